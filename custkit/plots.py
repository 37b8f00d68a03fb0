"""The figures of the workbook: each takes a small table and ``ax=None`` and returns the Axes.

Where a figure compares models, every column that is not named in its docstring is a model, drawn in
column order; its name is the legend's label and decides its colour (``ROLES``, or ``roles={label:
meaning}``). Titles say what is drawn, never what came out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from custkit.errors import ParameterError
from custkit.group_plots import (
    cohort_triangle,
    frequency_recency_map,
    migration,
    rfm_map,
    segment_bars,
    value_by_segment,
)
from custkit.style import (
    COLOURS,
    DASHES,
    ROLES,
    count,
    format_axis,
    line_looks,
    money,
    money_label,
    name_rows,
    need,
    new_axes,
    percent,
    png_bytes,
    segment_colour,
    show,
    use_style,
    whiskers,
)

__all__ = [
    "COLOURS",
    "DASHES",
    "ROLES",
    "cohort_triangle",
    "conditional_expectation",
    "count",
    "counts_against_model",
    "format_axis",
    "frequency_recency_map",
    "gain_curves",
    "history_timelines",
    "migration",
    "money",
    "money_label",
    "p_alive_histogram",
    "percent",
    "png_bytes",
    "rfm_map",
    "segment_bars",
    "segment_colour",
    "show",
    "tracking",
    "use_style",
    "value_by_segment",
]

Roles = Mapping[str, str] | None


def counts_against_model(
    table: pd.DataFrame, ax: Axes | None = None, *, roles: Roles = None, title: str | None = None
) -> Axes:
    """Bars: customers by number of repeat purchases, observed beside each model.

    ``table`` has ``frequency`` (repeat purchases; the last may be text such as ``"7+"``), ``observed``
    (customers) and one column of expected customers for each model.
    """
    need(table, ["frequency", "observed"], "counts_against_model")
    ax = new_axes(ax)
    looks = line_looks(_models(table, "frequency", "observed"), roles)
    bars = {"observed": {"color": COLOURS["actual"]}, **looks}
    width, place = 0.8 / len(bars), np.arange(len(table))
    for i, (label, look) in enumerate(bars.items()):
        ax.bar(place - 0.4 + width * (i + 0.5), table[label], width * 0.94, color=look["color"], label=label)
    ax.set_xticks(place, [str(f) for f in table["frequency"]])
    ax.set(xlabel="repeat purchases", ylabel="customers")
    format_axis(ax.yaxis)
    ax.grid(axis="y")
    ax.legend()
    ax.set_title(title or "Customers by number of repeat purchases")
    return ax


def conditional_expectation(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    period: str = "hold-out",
    roles: Roles = None,
    title: str | None = None,
) -> Axes:
    """Mean purchases in a later period, by repeat purchases in the calibration period.

    ``table`` has ``frequency`` (labels as in `counts_against_model`), ``actual`` (mean purchases a customer),
    if known ``actual_low`` and ``actual_high`` (drawn as whiskers) and ``customers`` (written under the
    axis), and one column for each model. ``period`` names the later period, such as ``"39 weeks"``.
    """
    need(table, ["frequency", "actual"], "conditional_expectation")
    ax = new_axes(ax)
    own = ("frequency", "actual", "actual_low", "actual_high", "customers")
    place = np.arange(len(table))
    for marker, (label, look) in zip(
        "sD^vP*X", line_looks(_models(table, *own), roles).items(), strict=False
    ):
        ax.plot(place, table[label], marker=marker, markersize=5, label=label, **look)
    lengths = None
    if {"actual_low", "actual_high"} <= set(table):
        lengths = whiskers(table["actual"], table["actual_low"], table["actual_high"])
    ax.errorbar(
        place,
        table["actual"],
        lengths,
        fmt="o",
        color=COLOURS["actual"],
        capsize=4,
        label="actual",
        zorder=4,
    )
    names = [str(f) for f in table["frequency"]]
    if "customers" in table:
        names = [f"{f}\nn={count(n)}" for f, n in zip(names, table["customers"], strict=True)]
    ax.set_xticks(place, names)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="repeat purchases in the calibration period", ylabel=f"purchases per customer, {period}")
    ax.grid(axis="y")
    ax.legend()
    ax.set_title(title or "Purchases in the later period, by earlier repeat purchases")
    return ax


def tracking(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    calibration_end: object = None,
    incremental: bool = False,
    unit: str = "weeks since the first day",
    roles: Roles = None,
    title: str | None = None,
) -> Axes:
    """Repeat purchases over time, actual against models.

    ``table`` has ``period`` (its number, 0 = start, or a date), ``actual`` and one column for each model, all
    *sums so far*. ``incremental=True`` draws what each period added instead, from the second row on.
    ``calibration_end`` is on the scale of ``period`` and drawn as a dashed line.
    """
    need(table, ["period", "actual"], "tracking")
    ax = new_axes(ax)
    drawn = table.set_index("period").sort_index()
    if incremental:
        drawn = drawn.diff().iloc[1:]
    looks = {"actual": {"color": COLOURS["actual"], "linestyle": "-"}}
    looks |= line_looks(_models(table, "period", "actual"), roles)
    for label, look in looks.items():
        ax.plot(drawn.index, drawn[label], label=label, **look)
    ax.set_ylim(bottom=0)
    if calibration_end is not None:
        _boundary(ax, calibration_end, "end of calibration")
    ax.set(xlabel=unit, ylabel="repeat purchases in the period" if incremental else "repeat purchases, sum")
    format_axis(ax.yaxis)
    ax.grid(axis="y")
    ax.legend(loc="upper right" if incremental else "lower right")
    ax.set_title(title or ("Repeat purchases per period" if incremental else "Repeat purchases so far"))
    return ax


def gain_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    what: str = "hold-out money",
    mark: float | None = None,
    roles: Roles = None,
    title: str | None = None,
) -> Axes:
    """Share of what was reached against share of customers contacted, best first.

    ``table`` has ``contacted_share`` (0 to 1) and one column of reached shares (0 to 1) for each ranking.
    The diagonal of a ranking by chance is always drawn; ``mark`` draws a line at that share of customers.
    """
    need(table, ["contacted_share"], "gain_curves")
    ax = new_axes(ax, height=4.8)
    for label, look in line_looks(_models(table, "contacted_share"), roles).items():
        ax.plot(table["contacted_share"], table[label], label=label, **look)
    ax.plot([0, 1], [0, 1], color=COLOURS["baseline"], linestyle=DASHES["baseline"], label="random")
    if mark is not None:
        _boundary(ax, mark, f"{percent(mark)} of customers", top=0.03)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="share of customers contacted", ylabel=f"share of {what}")
    format_axis(ax.xaxis, "percent")
    format_axis(ax.yaxis, "percent")
    ax.grid()
    ax.legend(loc="lower right")
    ax.set_title(title or f"Share of {what} reached, by ranking")
    return ax


def p_alive_histogram(
    table: pd.DataFrame, ax: Axes | None = None, *, bins: int = 20, title: str | None = None
) -> Axes:
    """Customers by P(alive): repeat buyers above, one-time buyers in a panel of their own below.

    ``table`` has one row for each customer: ``p_alive`` (0 to 1) and ``frequency`` (0 = bought once). The
    panels have their own scales, since BG/NBD puts every one-time buyer at 1. The lower panel is
    ``ax.child_axes[0]``.
    """
    need(table, ["p_alive", "frequency"], "p_alive_histogram")
    ax = new_axes(ax, height=4.8)
    lower = ax.inset_axes([0, -0.62, 1, 0.42])
    edges = np.linspace(0, 1, bins + 1)
    once = table["frequency"] == 0
    groups = ((ax, ~once, "repeat buyers", "model"), (lower, once, "one-time buyers", "muted"))
    for panel, chosen, label, role in groups:
        values = table.loc[chosen, "p_alive"].to_numpy(float)
        panel.hist(values, edges, color=COLOURS[role], edgecolor="white", linewidth=0.6)
        panel.text(0.01, 0.97, f"{label}: {count(len(values))}", transform=panel.transAxes, va="top")
        panel.set(xlim=(0, 1), ylabel="customers")
        panel.margins(y=0.25)
        format_axis(panel.yaxis)
        panel.grid(axis="y")
    ax.tick_params(labelbottom=False)
    lower.set_xlabel("P(alive): probability that the customer still buys")
    ax.set_title(title or "Customers by P(alive)")
    return ax


def history_timelines(
    orders: pd.DataFrame,
    ax: Axes | None = None,
    *,
    observation_end: object,
    time_unit: str = "W",
    title: str | None = None,
) -> Axes:
    """The purchases of a few customers on a time line, with their frequency x, recency t_x and age T.

    ``orders`` has ``customer_id`` and ``order_date``; customers are drawn in order of first appearance. The
    first purchase is a ring, repeat purchases are dots, the thick line is t_x. ``time_unit`` is ``"D"`` or
    ``"W"``; several orders on one day count once.
    """
    need(orders, ["customer_id", "order_date"], "history_timelines")
    if time_unit not in ("D", "W"):
        raise ParameterError(f'time_unit must be "D" or "W", not {time_unit!r}')
    days, word = (1, "days") if time_unit == "D" else (7, "weeks")
    end = pd.Timestamp(observation_end)
    people = list(orders["customer_id"].unique())
    ax = new_axes(ax, height=1.5 + 0.5 * len(people))
    for y, person in enumerate(people):
        dates = orders.loc[orders["customer_id"] == person, "order_date"]
        dates = pd.DatetimeIndex(sorted(pd.to_datetime(dates).dt.normalize().unique()))
        first, last = dates[0], dates[-1]
        ax.plot([first, end], [y, y], color=COLOURS["muted"], linewidth=1.2, zorder=1)
        ax.plot([first, last], [y, y], color=COLOURS["model"], linewidth=3.2, zorder=2)
        ax.plot(dates[1:], np.full(len(dates) - 1, y), "o", color=COLOURS["actual"], markersize=6)
        ax.plot(first, y, "o", markerfacecolor="white", markeredgecolor=COLOURS["actual"], markersize=7)
        t_x, age = (last - first).days / days, (end - first).days / days
        note = f"x = {len(dates) - 1}\nt_x = {t_x:.1f}, T = {age:.1f}"
        ax.annotate(note, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    ax.set_ylim(-0.75, len(people) - 0.5)
    _boundary(ax, end, "observation end", left=True)
    name_rows(ax, map(str, people))
    ax.set(xlabel="date (x: repeat purchases)", ylabel="customer")
    ax.set_title(title or f"Purchases on a time line (t_x and T in {word})")
    return ax


def _models(table: pd.DataFrame, *own: str) -> Sequence[str]:
    """The columns that are not the figure's own."""
    return [str(column) for column in table.columns if column not in own]


def _boundary(ax: Axes, x: object, text: str, *, top: float = 0.97, left: bool = False) -> None:
    """A dashed vertical line with its meaning written beside it."""
    ax.axvline(x, color=COLOURS["boundary"], linestyle="--", linewidth=1.2)
    ax.annotate(
        text,
        (x, top),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if left else 5, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if top > 0.5 else "bottom",
        fontsize=9,
        color=COLOURS["boundary"],
    )
