"""Figures of cells and groups: RFM map, segments, frequency by recency, migration, cohort triangle.

``custkit.plots`` gives all of this out again; import it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

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
    percent,
    segment_colour,
    text_colour,
    whiskers,
)


def rfm_map(
    cells: pd.DataFrame,
    ax: Axes | None = None,
    *,
    value: str = "customers",
    currency: str | None = None,
    title: str | None = None,
) -> Axes:
    """One shaded cell for each recency score by frequency score, with its number and segment.

    ``cells`` has ``r_score``, ``f_score`` (1 = worst, highest = best), the column named by ``value``
    (customers, or money when ``currency`` is given, ``""`` for money without a sign) and, if known,
    ``segment``: one name for each cell, drawn as a band in the segment's colour.
    """
    need(cells, ["r_score", "f_score", value], "rfm_map")
    ax = new_axes(ax, height=5.4)
    grid = cells.pivot_table(index="f_score", columns="r_score", values=value, aggfunc="sum", sort=True)
    top = int(max(cells["r_score"].max(), cells["f_score"].max(), 2))
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
                _segment_band(ax, r, f, name)
    ax.set_xticks(range(1, top + 1))
    ax.set_yticks(range(1, top + 1))
    for edge in np.arange(1, top) + 0.5:
        ax.axvline(edge, color="white", linewidth=1.5)
        ax.axhline(edge, color="white", linewidth=1.5)
    _plain_frame(ax)
    ax.set(
        xlabel=f"recency score ({top} = bought most recently)",
        ylabel=f"frequency score ({top} = most orders)",
    )
    what = value.replace("_", " ") if currency is None else money_label("money", currency)
    ax.set_title(title or f"{what[:1].upper()}{what[1:]} by recency and frequency score")
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
    ax.set_xlim(0, max(people.max(), purse.max()) * 1.42)
    name_rows(ax, names)
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
    ax.barh(place, table[value], 0.62, color=[COLOURS.get(n, COLOURS["money"]) for n in names])
    lengths = whiskers(table[value], table["low"], table["high"])
    ax.errorbar(table[value], place, xerr=lengths, fmt="none", ecolor=COLOURS["actual"], capsize=3)
    reach = table[[value, "high"]].max(axis=1).clip(lower=0)
    for y, end, sum_of_money in zip(place, reach, table[value], strict=True):
        ax.annotate(money(sum_of_money, currency, short=True), (end, y), **BESIDE)
    ax.set_xlim(right=reach.max() * 1.12)
    ax.axvline(0, color="#777777", linewidth=0.8)
    name_rows(ax, names)
    format_axis(ax.xaxis, "money", currency)
    ax.set_xlabel(money_label(what, currency))
    ax.set_title(title or f"{what[:1].upper()}{what[1:]} by {by}")
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
    bar.set_label(unit or value.replace("_", " "))
    if value == "p_alive":
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: percent(v)))
    ax.set(
        xlabel="frequency x (repeat purchases)", ylabel=f"recency t_x ({time_unit}, first to last purchase)"
    )
    _plain_frame(ax)
    ax.set_title(title or f"{value.replace('_', ' ')} by frequency and recency")
    return ax


def migration(table: pd.DataFrame, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Segments before (rows) against segments after (columns): share of each row, with its size.

    ``table`` is a square or wide table of customers: index = segment before, columns = segment after. Cells
    below half a per cent are left blank, empty rows too.
    """
    need(table, [], "migration")
    ax = new_axes(ax, height=2.2 + 0.38 * len(table), width=8)
    sizes = table.sum(axis=1)
    shares = table.div(sizes.where(sizes > 0), axis=0).astype(float)
    rows = [f"{name} ({count(size)})" for name, size in zip(table.index, sizes, strict=True)]
    _annotated_grid(ax, shares, rows, [str(c) for c in table.columns], blank_below=0.005)
    for tick, name in zip(ax.get_xticklabels(), table.columns, strict=True):
        tick.set(rotation=40, ha="left", rotation_mode="anchor")
        tick.set_color(_readable(segment_colour(name)))
    for tick, name in zip(ax.get_yticklabels(), table.index, strict=True):
        tick.set_color(_readable(segment_colour(name)))
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0)
    ax.set(xlabel="segment after", ylabel="segment before (customers)")
    ax.set_title(title or "Where the customers of each segment went (share of the row)")
    return ax


def cohort_triangle(table: pd.DataFrame, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Share of each cohort that bought in each later period; what is not yet observed stays grey.

    ``table`` has ``cohort`` (label or date), ``period_number`` (0 = the cohort's own period) and
    ``active_share`` (0 to 1), one row for each observed cell.
    """
    need(table, ["cohort", "period_number", "active_share"], "cohort_triangle")
    grid = table.pivot(index="cohort", columns="period_number", values="active_share").astype(float)
    ax = new_axes(ax, height=1.5 + 0.33 * len(grid))
    rows = [f"{c:%Y-%m-%d}" if hasattr(c, "strftime") else str(c) for c in grid.index]
    _annotated_grid(ax, grid, rows, [str(c) for c in grid.columns], blank_below=-1.0)
    ax.set(xlabel="periods since the first purchase", ylabel="cohort")
    ax.set_title(title or "Share of each cohort that bought, by period")
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
    _plain_frame(ax)


def _segment_band(ax: Axes, r: int, f: int, name: str) -> None:
    """The segment's name on a band of its colour along the foot of a cell."""
    colour = segment_colour(name)
    ax.add_patch(Rectangle((r - 0.5, f - 0.5), 1, 0.36, facecolor=colour, edgecolor="none", zorder=1.5))
    lines = "\n".join(wrap(name, 13)[:2])
    ax.text(
        r, f - 0.325, lines, ha="center", va="center", fontsize=8, color=text_colour(colour), linespacing=0.95
    )


def _plain_frame(ax: Axes) -> None:
    """No frame, no tick marks: the cells speak."""
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _readable(colour: str) -> str:
    """A segment colour dark enough for text on white, else near black."""
    return colour if text_colour(colour) == "#FFFFFF" else COLOURS["actual"]
