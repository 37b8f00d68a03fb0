"""Figures of groups of customers: RFM map, segment bars, value by segment, P(alive), migration, cohorts.

``custkit.plots`` gives all of this out again; import it from there.
"""

from __future__ import annotations

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patches import Rectangle

from custkit.errors import ParameterError
from custkit.style import (
    BESIDE,
    COLOURS,
    HEAT,
    count,
    format_axis,
    money,
    money_label,
    name_rows,
    need,
    new_axes,
    no_frame,
    percent,
    segment_colour,
    sentence,
    text_colour,
    whiskers,
)


def rfm_map(
    cells: pd.DataFrame,
    ax: Axes | None = None,
    *,
    value: str = "customers",
    currency: str | None = None,
    bins: int | None = None,
    title: str | None = None,
) -> Axes:
    """One shaded cell for each recency score by frequency score, with its number and segment.

    ``cells`` has ``r_score``, ``f_score`` (1 = worst, highest = best), the column named by ``value``
    (customers, or money when ``currency`` is given, ``""`` for money without a sign) and, if known,
    ``segment``: one name for each cell, drawn as a band in the segment's colour. ``bins`` is the number of
    scores, by default the highest in the table: give it where cells of the best score may be left out.
    """
    need(cells, ["r_score", "f_score", value], "rfm_map")
    ax = new_axes(ax, height=5.4)
    grid = cells.pivot_table(index="f_score", columns="r_score", values=value, aggfunc="sum", sort=True)
    top = bins or int(max(cells["r_score"].max(), cells["f_score"].max(), 2))
    grid = grid.reindex(index=range(1, top + 1), columns=range(1, top + 1))
    norm = PowerNorm(0.5, vmin=0, vmax=float(np.nanmax(grid.to_numpy(float))) or 1.0)
    ax.pcolormesh(np.arange(top + 1) + 0.5, np.arange(top + 1) + 0.5, grid, cmap=HEAT, norm=norm)
    text = count if currency is None else lambda v: money(v, currency, short=True)
    names = {}
    if "segment" in cells:
        names = {(c.r_score, c.f_score): str(c.segment) for c in cells.itertuples() if pd.notna(c.segment)}
    for f in grid.index:
        for r in grid.columns:
            number, name = grid.loc[f, r], names.get((r, f))
            shade = HEAT(norm(number)) if pd.notna(number) else COLOURS["muted"]
            ax.text(
                r, f + (0.17 if name else 0), text(number), ha="center", va="center", color=text_colour(shade)
            )
            if name:
                _segment_band(ax, r, f, name, width=70 // top)
    ax.set_xticks(range(1, top + 1))
    ax.set_yticks(range(1, top + 1))
    for edge in np.arange(1, top) + 0.5:
        ax.axvline(edge, color="white", linewidth=1.5)
        ax.axhline(edge, color="white", linewidth=1.5)
    no_frame(ax)
    ax.set(
        xlabel=f"recency score ({top} = bought most recently)",
        ylabel=f"frequency score ({top} = most orders)",
    )
    what = value.replace("_", " ") if currency is None else money_label("money", currency)
    ax.set_title(title or f"{sentence(what)} by recency and frequency score")
    return ax


def segment_bars(
    table: pd.DataFrame, ax: Axes | None = None, *, currency: str = "", title: str | None = None
) -> Axes:
    """Two bars for each segment: its share of customers and its share of money.

    ``table`` has ``segment``, ``customers`` (number) and ``monetary_total`` (money); drawn in table order
    from the top, customers in grey, money in the segment's colour.
    """
    need(table, ["segment", "customers", "monetary_total"], "segment_bars")
    ax = new_axes(ax, height=1.5 + 0.48 * len(table))
    place, names = np.arange(len(table)), table["segment"].astype(str)
    people = table["customers"] / table["customers"].sum()
    purse = table["monetary_total"] / table["monetary_total"].sum()
    ax.barh(place - 0.2, people, 0.36, color=COLOURS["muted"])
    ax.barh(place + 0.2, purse, 0.36, color=[segment_colour(n) for n in names])
    for y, share, number, value_share, value in zip(
        place, people, table["customers"], purse, table["monetary_total"], strict=True
    ):
        ax.annotate(f"{percent(share)} of customers ({count(number)})", (share, y - 0.2), **BESIDE)
        total = money(value, currency, short=True)
        ax.annotate(f"{percent(value_share)} of money ({total})", (value_share, y + 0.2), **BESIDE)
    reach = max(people.max(), purse.max()) * 1.42  # room for the text beside the longest bar
    ax.set_xlim(0, reach)
    name_rows(ax, names)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= 1])
    ax.set_xlim(0, reach)
    format_axis(ax.xaxis, "percent")
    ax.set_xlabel("share of all customers (grey), share of all money (colour)")
    ax.set_title(title or "Customers and money by segment")
    return ax


def value_by_segment(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    by: str = "segment",
    value: str = "clv",
    currency: str = "",
    what: str = "CLV",
    title: str | None = None,
) -> Axes:
    """A bar of money with interval whiskers for each segment (or other group).

    ``table`` has the columns named by ``by`` (or an index that holds the groups, as `clv.value_interval`
    gives it) and by ``value``, and ``low`` and ``high`` (money); drawn in table order from the top. Leave out
    a row of the total, it would dwarf the rest. ``what`` names the money on the axis, with its period and
    its interval.
    """
    if by not in table:
        table = table.rename_axis(by).reset_index()
    need(table, [by, value, "low", "high"], "value_by_segment")
    ax = new_axes(ax, height=1.4 + 0.36 * len(table))
    place, names = np.arange(len(table)), table[by].astype(str)
    pooled = COLOURS["muted" if any(name in COLOURS for name in names) else "money"]
    ax.barh(place, table[value], 0.62, color=[COLOURS.get(name, pooled) for name in names])
    lengths = whiskers(table[value], table["low"], table["high"])
    ax.errorbar(table[value], place, xerr=lengths, fmt="none", ecolor=COLOURS["actual"], capsize=3)
    reach = table[[value, "high"]].max(axis=1).clip(lower=0)
    for y, end, sum_of_money in zip(place, reach, table[value], strict=True):
        ax.annotate(money(sum_of_money, currency, short=True), (end, y), **BESIDE)
    ax.set_xlim(right=reach.max() * 1.12)
    ax.axvline(0, color="#777777", linewidth=0.8)
    name_rows(ax, names)
    format_axis(ax.xaxis, "money")
    ax.set_xlabel(money_label(what, currency))
    ax.set_title(title or f"{sentence(what)} by {by}")
    return ax


def p_alive_histogram(
    table: pd.DataFrame, ax: Axes | None = None, *, bins: int = 20, title: str | None = None
) -> Axes:
    """Customers by P(alive): repeat buyers above, one-time buyers in a panel of their own below.

    ``table`` has one row for each customer: ``p_alive`` (0 to 1) and ``frequency`` (0 = bought once). The
    panels have their own scales, since BG/NBD puts every one-time buyer at 1. The Axes returned are the
    upper panel; the lower one is the last Axes of the figure. Axes given are divided, so they must be
    subplots.
    """
    need(table, ["p_alive", "frequency"], "p_alive_histogram")
    ax = new_axes(ax, height=4.8)
    if ax.get_subplotspec() is None:
        raise ParameterError("p_alive_histogram divides its Axes in two: make them with plt.subplots")
    halves = ax.get_subplotspec().subgridspec(2, 1, height_ratios=(2, 1))
    ax.set_subplotspec(halves[0])
    lower = ax.figure.add_subplot(halves[1], sharex=ax)
    edges = np.linspace(0, 1, bins + 1)
    once = table["frequency"] == 0
    for panel, chosen, label, role in (
        (ax, ~once, "repeat buyers", "model"),
        (lower, once, "one-time buyers", "customers"),
    ):
        values = table.loc[chosen, "p_alive"].to_numpy(float)
        panel.hist(values, edges, color=COLOURS[role], edgecolor="white", linewidth=0.6)
        panel.margins(y=0.3)
        note = panel.text(0.01, 0.97, f"{label}: {count(len(values))}", transform=panel.transAxes, va="top")
        note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
        panel.set(xlim=(0, 1), ylabel="customers")
        format_axis(panel.yaxis, bins=6 if panel is ax else 4)
        panel.grid(axis="y")
    ax.tick_params(labelbottom=False)
    lower.set_xlabel("P(alive): probability that the customer still buys")
    ax.set_title(title or "Customers by P(alive)")
    return ax


def migration(table: pd.DataFrame, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Segments before (rows) against segments after (columns): share of each row, with its size.

    ``table`` holds customers: index = segment before, columns = segment after, as `rfm.segment_migration`
    gives it. Its row and column for customers who came or went are left out where nobody did. Cells below
    half a per cent stay blank.
    """
    need(table, [], "migration")
    rows = [name for name, size in table.sum(axis=1).items() if size or name in table.columns]
    columns = [name for name, size in table.sum().items() if size or name in table.index]
    table = table.loc[rows, columns]
    ax = new_axes(ax, height=max(3.6, 2.2 + 0.38 * len(table)))
    sizes = table.sum(axis=1)
    shares = table.div(sizes.where(sizes > 0), axis=0).astype(float)
    rows = [f"{name} ({count(size)})" for name, size in zip(table.index, sizes, strict=True)]
    _annotated_grid(ax, shares, rows, [str(c) for c in table.columns], blank_below=0.005)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xticklabels(table.columns, rotation=40, ha="left", rotation_mode="anchor")
    ax.tick_params(length=0)
    for j, name in enumerate(table.columns):
        ax.add_patch(Rectangle((j + 0.03, -0.3), 0.94, 0.2, color=segment_colour(name)))
    for i, name in enumerate(table.index):
        ax.add_patch(Rectangle((-0.25, i + 0.03), 0.15, 0.94, color=segment_colour(name)))
    ax.set(xlim=(-0.25, len(table.columns)), ylim=(len(table), -0.3))
    ax.set(xlabel="segment after", ylabel="segment before (customers)")
    ax.set_title(title or "Where the customers of each segment went (share of the row)")
    return ax


def cohort_triangle(table: pd.DataFrame, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Share of each monthly cohort that bought in each later month; what is not yet observed stays grey.

    ``table`` has ``cohort`` (a day of the month of the first order), ``period_number`` (months since, 0 =
    first) and ``customers`` (who bought), as `orders.cohorts` gives it. A month without a row, up to the
    last month seen, is a month in which nobody bought.
    """
    need(table, ["cohort", "period_number", "customers"], "cohort_triangle")
    active = table.assign(cohort=pd.to_datetime(table["cohort"]).dt.to_period("M"))
    active = active.pivot(index="cohort", columns="period_number", values="customers")
    active = active.reindex(columns=range(int(active.columns.max()) + 1))
    months = np.array([m.ordinal for m in active.index])[:, None] + np.arange(active.shape[1])
    seen = months <= months[active.notna().to_numpy()].max()
    shares = active.fillna(0).div(active[0], axis=0).where(seen).astype(float)
    ax = new_axes(ax, height=1.5 + 0.33 * len(shares))
    rows = [f"{m} ({count(size)})" for m, size in active[0].items()]
    _annotated_grid(ax, shares, rows, [str(c) for c in shares.columns], blank_below=0.0)
    ax.set(xlabel="months since the first purchase", ylabel="cohort (customers)")
    ax.set_title(title or "Share of each cohort that bought, by month")
    return ax


def _annotated_grid(
    ax: Axes, shares: pd.DataFrame, rows: list[str], columns: list[str], *, blank_below: float
) -> None:
    """Shaded cells of shares with the per cent written in, first row on top."""
    values = shares.to_numpy(float)
    norm = PowerNorm(0.6, vmin=0, vmax=1)
    ax.pcolormesh(values, cmap=HEAT, norm=norm, edgecolors="white", linewidth=1.5)
    size = 9 if values.shape[1] <= 13 else 7
    for (i, j), share in np.ndenumerate(values):
        if np.isfinite(share) and share >= blank_below:
            shade = text_colour(HEAT(norm(share)))
            ax.text(j + 0.5, i + 0.5, percent(share), ha="center", va="center", fontsize=size, color=shade)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows)
    ax.invert_yaxis()
    no_frame(ax)


def _segment_band(ax: Axes, r: int, f: int, name: str, width: int) -> None:
    """The segment's name, in lines of ``width`` letters, on a band of its colour at the foot of a cell."""
    colour = segment_colour(name)
    ax.add_patch(Rectangle((r - 0.5, f - 0.5), 1, 0.36, facecolor=colour, edgecolor="none", zorder=1.5))
    lines = "\n".join(wrap(name, width, max_lines=2, placeholder=" …"))
    ax.text(
        r, f - 0.325, lines, ha="center", va="center", fontsize=8, color=text_colour(colour), linespacing=0.95
    )
