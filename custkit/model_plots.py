"""Figures of histories, models and rankings: what was bought, what a model expects, who is reached first.

``custkit.plots`` gives all of this out again; import it from there. Where a figure compares models, every
column that is not named in its docstring is a model, drawn in column order; its name is the legend's
label and decides its colour (``ROLES``, or ``roles={label: meaning}``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from custkit.errors import ParameterError
from custkit.style import (
    COLOURS,
    DASHES,
    HEAT,
    count,
    format_axis,
    line_looks,
    name_rows,
    need,
    new_axes,
    no_frame,
    percent,
    sentence,
    whiskers,
)

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
    ax = new_axes(ax, height=4.6)
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
    ax.set(xlabel="repeat purchases in the calibration period", ylabel=f"mean purchases, {period}")
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
    unit: str | None = None,
    roles: Roles = None,
    title: str | None = None,
) -> Axes:
    """Repeat purchases over time, actual against models.

    ``table`` has ``period`` (its number, 0 = start, or a date), ``actual`` and one column for each model, all
    *sums so far*. ``incremental=True`` draws what each period added instead, from the second row on.
    ``calibration_end`` is on the scale of ``period`` and drawn as a dashed line; ``unit`` labels that scale.
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
    if pd.api.types.is_datetime64_any_dtype(drawn.index):
        _date_axis(ax)
    else:
        ax.set_xlabel("weeks since the first day")
    ax.set(ylabel="repeat purchases in the period" if incremental else "repeat purchases, sum")
    if unit is not None:
        ax.set_xlabel(unit)
    format_axis(ax.yaxis)
    ax.grid(axis="y")
    ax.legend(loc="upper right" if incremental else "lower right")
    ax.set_title(title or ("Repeat purchases per period" if incremental else "Repeat purchases so far"))
    return ax


def frequency_recency_map(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    value: str = "p_alive",
    unit: str | None = None,
    time_unit: str = "weeks",
    iso_values: Sequence[float] | None = None,
    title: str | None = None,
) -> Axes:
    """A value over frequency and recency as shades, with lines of equal value if asked for.

    ``table`` has ``frequency`` (repeat purchases), ``recency`` (t_x, in ``time_unit``) and the column named
    by ``value``, one row for each point of a regular grid; missing values stay grey. ``iso_values`` are the
    values whose contours are drawn and labelled. ``unit`` is written on the colour bar.
    """
    need(table, ["frequency", "recency", value], "frequency_recency_map")
    ax = new_axes(ax, height=4.8)
    grid = table.pivot(index="recency", columns="frequency", values=value).astype(float)
    mesh = ax.pcolormesh(grid.columns, grid.index, grid, cmap=HEAT, shading="nearest")
    if iso_values is not None:
        lines = ax.contour(
            grid.columns,
            grid.index,
            grid,
            levels=sorted(iso_values),
            colors=COLOURS["model_2"],
            linewidths=1.4,
        )
        for label in ax.clabel(lines, fmt="%g", fontsize=9, colors=COLOURS["actual"]):
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85})
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.outline.set_visible(False)
    label = unit or {"p_alive": "P(alive)", "clv": "CLV"}.get(value, value.replace("_", " "))
    bar.set_label(label)
    if value == "p_alive":
        format_axis(bar.ax.yaxis, "percent")
    ax.set(
        xlabel="frequency x (repeat purchases)", ylabel=f"recency t_x ({time_unit}, first to last purchase)"
    )
    no_frame(ax)
    ax.set_title(title or f"{sentence(label)} by frequency and recency")
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


def history_timelines(
    orders: pd.DataFrame,
    ax: Axes | None = None,
    *,
    observation_end: object,
    time_unit: str = "W",
    title: str | None = None,
) -> Axes:
    """The purchases of a few customers on a time line, with their frequency x, recency t_x and age T.

    ``orders`` has ``customer_id`` and ``order_date``; customers are drawn in order of first appearance.
    ``time_unit`` is ``"D"`` or ``"W"``, the unit of t_x and T; several orders on one day count once.
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
        ax.plot([last, end], [y, y], color=COLOURS["model_2"], linewidth=2, linestyle="--", zorder=1)
        ax.plot([first, last], [y, y], color=COLOURS["model"], linewidth=3.2, zorder=2)
        ax.plot(dates[1:], np.full(len(dates) - 1, y), "o", color=COLOURS["actual"], markersize=6)
        ax.plot(first, y, "o", markerfacecolor="white", markeredgecolor=COLOURS["actual"], markersize=7)
        t_x, age = (last - first).days / days, (end - first).days / days
        note = f"x = {len(dates) - 1}\nt_x = {t_x:.1f}, T = {age:.1f}"
        ax.annotate(note, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    ax.set_ylim(-0.75, len(people) - 0.5)
    _boundary(ax, end, "observation end", left=True)
    name_rows(ax, map(str, people))
    _date_axis(ax)
    meanings = ("since the last purchase (RFM recency)", "t_x: first to last purchase", "x: repeat purchases")
    ax.legend(
        ax.lines[:4],
        [*meanings, "first purchase"],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.6 / ax.figure.get_figheight()),
        ncols=2,
        borderaxespad=0.4,
    )
    ax.set_ylabel("customer")
    ax.set_title(title or f"Purchases on a time line (t_x and T in {word})")
    return ax


def _date_axis(ax: Axes) -> None:
    """At most eight dates on the x axis, the year written where it begins."""
    locator = mdates.AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, show_offset=False))


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
