"""Figures of estimates with their intervals: dots and whiskers, funnels, uplift curves.

``custkit.plots`` gives all of this out again; import it from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from custkit.errors import DataError, ParameterError
from custkit.style import (
    COLOURS,
    DASHES,
    count,
    format_axis,
    line_looks,
    money,
    name_rows,
    need,
    new_axes,
    percent,
    sentence,
)

KINDS = ("number", "percent", "points", "money")


def interval_dots(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    estimate: str = "estimate",
    low: str = "low",
    high: str = "high",
    label: str | None = None,
    by: str | None = None,
    reference: float | None = 0.0,
    truth: str | None = None,
    kind: str = "number",
    role: str = "model",
    roles: Mapping[str, str] | None = None,
    xlabel: str | None = None,
    title: str | None = None,
) -> Axes:
    """A dot with whiskers for each row, first row on top.

    ``table`` has the columns named by ``estimate``, ``low`` and ``high``; ``label`` names the column of the
    row names (the index if not given), ``truth`` one of true values, drawn as hollow diamonds. ``by`` names a
    column of series: rows of one label are then drawn under each other, with a legend; ``roles`` says the
    meaning of a series' colour (without ``by``, of a row's colour; others have ``role``). ``reference`` is
    drawn as a line (None for none). ``kind`` writes the axis as "number", "percent", "points" (percentage
    points, from shares) or "money".
    """
    table = table if label is not None else table.rename_axis("label").reset_index()
    label = label or "label"
    need(table, [c for c in (label, estimate, low, high, by, truth) if c is not None], "interval_dots")
    if kind not in KINDS:
        raise ParameterError(f"kind={kind!r} is not there; there are {', '.join(KINDS)}")
    rows = [str(name) for name in dict.fromkeys(table[label].astype(str))]
    series = [None] if by is None else list(dict.fromkeys(table[by].astype(str)))
    twice = table.assign(**{label: table[label].astype(str)}).duplicated([label, *([by] if by else [])])
    if twice.any():
        again = ", ".join(table.loc[twice, label].astype(str).unique()[:3])
        raise DataError(
            f"interval_dots: {again} is in several rows; one row a label is drawn, or one a series of by"
        )
    names = [fill(row, 34) for row in rows]
    room = 0.34 if by is None else 0.16 + 0.19 * len(series)
    ax = new_axes(ax, height=1.5 + len(rows) * max(room, 0.19 * max(n.count("\n") + 1 for n in names)))
    if reference is not None:
        ax.axvline(reference, color=COLOURS["boundary"], linestyle="--", linewidth=1.2, zorder=1)
    looks = {} if by is None else line_looks(series, roles)
    gap = 0.7 / len(series)
    for i, name in enumerate(series):
        part = table if name is None else table[table[by].astype(str) == name]
        y = np.array([rows.index(str(row)) for row in part[label]]) + (i - (len(series) - 1) / 2) * gap
        colours = [looks[name]["color"] if name else _row_colour(row, role, roles) for row in part[label]]
        ax.hlines(y, part[low], part[high], colors=colours, linewidth=2)
        for end in (low, high):
            ax.scatter(part[end], y, s=40, c=colours, marker="|", linewidths=2)
        ax.scatter(part[estimate], y, s=36, c=colours, marker="osD^vP"[i % 6], label=name, zorder=3)
        if truth is not None:
            look = {"facecolors": "none", "edgecolors": COLOURS["actual"], "linewidths": 1.4}
            ax.scatter(
                part[truth],
                y,
                s=70,
                marker="D",
                label="true value" if i + 1 == len(series) else None,
                zorder=4,
                **look,
            )
    name_rows(ax, names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.margins(x=0.06)
    _numbers(ax, kind)
    ax.grid(axis="x")
    ax.set_xlabel(xlabel or estimate.replace("_", " ") + (" (percentage points)" if kind == "points" else ""))
    if by is not None or truth is not None:
        _legend_below(ax)
    ax.set_title(title or f"{sentence(estimate.replace('_', ' '))} with intervals")
    return ax


def funnel_bars(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    by: str | None = None,
    share: bool = False,
    unit: str = "sessions",
    roles: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Axes:
    """Bars of how many reach each step; beside them the share of the step before, with its interval.

    ``table`` is from `funnel.steps`. Its groups (``by``, known from the table) are drawn under each other;
    ``share=True`` draws shares of those at the first step, for groups of different size. ``unit`` names what
    is counted.
    """
    by = by or table.attrs.get("by")
    value = "conversion_rate" if share else "reached"
    columns = ["name", "reached", "step_conversion_rate", "low", "high", value]
    need(table, [*columns, *([by] if by else [])], "funnel_bars")
    rows = list(dict.fromkeys(table["name"]))
    groups = [None] if by is None else list(dict.fromkeys(table[by].astype(str)))
    ax = new_axes(ax, height=1.4 + len(rows) * (0.42 if by is None else 0.18 + 0.26 * len(groups)))
    looks = {} if by is None else line_looks(groups, roles)
    width = 0.62 if by is None else 0.84 / len(groups)
    for i, name in enumerate(groups):
        part = table if name is None else table[table[by].astype(str) == name]
        y = np.array([rows.index(row) for row in part["name"]]) + (i - (len(groups) - 1) / 2) * width
        colour = looks[name]["color"] if name else COLOURS["model"]
        ax.barh(y, part[value], width * 0.92, color=colour, label=name)
        for place, row in zip(y, part.to_dict("records"), strict=True):
            note = count(row["reached"])
            if pd.notna(row["step_conversion_rate"]):
                rate = percent(row["step_conversion_rate"])
                note += f"; {rate} ({percent(row['low'])} to {percent(row['high'])})"
            ax.annotate(
                note, (row[value], place), (4, 0), textcoords="offset points", va="center", fontsize=9
            )
    name_rows(ax, rows)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    reach = float(table[value].max()) or 1.0
    ax.set_xlim(0, reach * 1.3)  # room for the text beside the longest bar
    format_axis(ax.xaxis, "percent" if share else "count")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= reach * 1.001])
    level = percent(table.attrs.get("level", 0.95))
    what = f"share of the {unit} at the first step" if share else unit
    ax.set_xlabel(f"{what}; beside the bar: {unit}, share of the step before ({level} interval)")
    if by is not None:
        _legend_below(ax)
    ax.set_title(title or f"{unit[:1].upper() + unit[1:]} that reached each step")
    return ax


def qini_curves(
    curves: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    what: str = "extra outcome per customer",
    kind: str = "number",
    roles: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Axes:
    """Extra outcome per customer against the share contacted, best score first, for each way to score.

    ``curves`` maps a name to what `experiments.qini` gives (or its ``curve``). Bands are bootstrap intervals
    where there are any; the dotted line contacts the same share at random.
    """
    if not curves:
        raise DataError("qini_curves: no curve was given")
    frames = {str(name): getattr(found, "curve", found) for name, found in curves.items()}
    for frame in frames.values():
        need(frame, ["share_contacted", "incremental", "random"], "qini_curves")
    ax = new_axes(ax, height=4.8)
    for name, look in line_looks(frames, roles).items():
        frame = frames[name]
        ax.plot(frame["share_contacted"], frame["incremental"], label=name, **look)
        if {"low", "high"} <= set(frame):
            ax.fill_between(
                frame["share_contacted"], frame["low"], frame["high"], color=look["color"], alpha=0.13, lw=0
            )
    first = next(iter(frames.values()))
    ax.plot(
        first["share_contacted"],
        first["random"],
        color=COLOURS["baseline"],
        linestyle=DASHES["baseline"],
        label="random",
    )
    ax.axhline(0, color="#777777", linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="share of customers contacted", ylabel=what)
    format_axis(ax.xaxis, "percent")
    ax.yaxis.set_major_formatter(FuncFormatter(_writer(kind, ax.get_yticks())))
    ax.grid()
    ax.legend(loc="best")
    ax.set_title(title or f"{sentence(what)} by share contacted")
    return ax


def _row_colour(row: object, role: str, roles: Mapping[str, str] | None) -> str:
    meaning = (roles or {}).get(str(row), role)
    if meaning not in COLOURS:
        raise ParameterError(f"roles: {meaning!r} is not in COLOURS; known are {', '.join(COLOURS)}")
    return COLOURS[meaning]


def _numbers(ax: Axes, kind: str) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(_writer(kind, ax.get_xticks())))


def _writer(kind: str, ticks: np.ndarray) -> Callable[[float, int], str]:
    """Text of a tick, with as many digits as the steps between the ticks need."""
    step = float(np.min(np.diff(ticks))) if len(ticks) > 1 else 1.0
    if kind == "money":
        return lambda value, _: money(value, short=np.abs(ticks).max() >= 10_000)
    scale = 1 if kind == "number" else 100
    digits = next((d for d in range(6) if np.isclose(step * scale * 10**d, round(step * scale * 10**d))), 6)
    tail = "%" if kind == "percent" else ""
    sign = "+" if kind == "points" else ""

    def text(value: float, _: int) -> str:
        value = round(value * scale, digits) + 0.0
        return f"{value:{sign if value else ''},.{digits}f}{tail}".replace("-", "−")

    return text


def _legend_below(ax: Axes) -> None:
    """A legend in one line under the axis label."""
    height = ax.get_window_extent().height / ax.figure.dpi
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5 / height), ncols=5, borderaxespad=0.4)
