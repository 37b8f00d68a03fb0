"""Figures of the lifecycle: the map of stages and flows, stages by week, and what a result hangs on.

``custkit.plots`` gives all of this out again; import it from there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.transforms import ScaledTranslation

from custkit.errors import DataError, ParameterError
from custkit.stage_moves import OUTSIDE
from custkit.stage_record import STAGES
from custkit.style import (
    BESIDE,
    COLOURS,
    count,
    format_axis,
    money,
    money_label,
    name_rows,
    need,
    new_axes,
    no_frame,
    percent,
    sentence,
    text_colour,
)

_PLACES = dict(
    zip(STAGES, [(22, 47), (52, 47), (82, 47), (82, 16), (52, 16), (22, 16)], strict=True)
)  # centres; the row below runs back, so that the loop closes
_WIDE, _HIGH = 20, 13
_OUT = "outside"
Point = tuple[float, float]
# from, to -> start, end, bend (as matplotlib's arc3), place of the number
_WAYS: dict[tuple[str, str], tuple[Point, Point, float, Point]] = {
    (_OUT, "attract"): ((1, 47), (12, 47), 0, (5.5, 50)),
    (_OUT, "acquire"): ((52, 62), (52, 53.5), 0, (54, 58)),
    (_OUT, "convert"): ((88, 66), (88, 53.5), 0, (90.2, 61)),
    ("attract", _OUT): ((16, 40.5), (16, 32), 0, (18.4, 36)),
    ("acquire", _OUT): ((46, 40.5), (46, 32), 0, (48.2, 36)),
    ("attract", "acquire"): ((32, 47), (42, 47), 0, (37, 50)),
    ("acquire", "convert"): ((62, 47), (72, 47), 0, (67, 50)),
    ("attract", "convert"): ((26, 53.5), (78, 53.5), -0.25, (52, 67.5)),
    ("convert", "retain"): ((87, 40.5), (87, 22.5), 0, (89.2, 32)),
    ("convert", "develop"): ((77, 40.5), (59, 22.5), 0, (72.5, 32)),
    ("retain", "develop"): ((72, 19), (62, 19), 0, (67, 22)),
    ("develop", "retain"): ((62, 13), (72, 13), 0, (67, 10)),
    ("develop", "reacquire"): ((42, 19), (32, 19), 0, (37, 22)),
    ("reacquire", "develop"): ((32, 13), (42, 13), 0, (37, 10)),
    ("retain", "reacquire"): ((78, 9.5), (26, 9.5), -0.13, (52, 6.9)),
    ("reacquire", "retain"): ((18, 9.5), (86, 9.5), 0.26, (52, -5.5)),
}


def stage_map(
    flows: pd.DataFrame, ax: Axes | None = None, *, minor: float = 0.05, title: str | None = None
) -> Axes:
    """The six stages with the people in each, and arrows with the people who go between them in a week.

    ``flows`` is what `lifecycle.stage_flows` gives: ``week``, ``stage_from``, ``stage_to``, ``people``, those
    who stayed included. Blocks hold the people at the end of the last week and the mean weekly growth; arrows
    the mean per week, wider where more people go, grey below the share ``minor`` of the largest. "In" are
    people not seen before, or back in sight; "out" those who go out of sight. Stages in which nobody ever was
    are left pale.
    """
    need(flows, ["week", "stage_from", "stage_to", "people"], "stage_map")
    ax = new_axes(ax, height=5.0)
    moves = flows.astype({"stage_from": "str", "stage_to": "str"})
    last, weeks = moves["week"].max(), moves["week"].nunique()
    stock = moves[moves["week"] == last].groupby("stage_to")["people"].sum()
    outside = dict.fromkeys(OUTSIDE, _OUT)
    moves = moves.replace({"stage_from": outside, "stage_to": outside})
    moves = moves[moves["stage_from"] != moves["stage_to"]]
    rates = moves.groupby(["stage_from", "stage_to"])["people"].sum() / weeks
    unknown = sorted({*moves["stage_from"], *moves["stage_to"]} - {*STAGES, _OUT})
    if unknown:
        raise DataError(f"stage_map knows no stage {', '.join(unknown)}; it knows {', '.join(STAGES)}")
    top = float(rates.max()) if len(rates) else 1.0
    for way, rate in rates.items():
        if way in _WAYS:
            words = _rate(rate) + (" in" if way[0] == _OUT else " out" if way[1] == _OUT else "")
            _arrow(ax, *_WAYS[way], words, rate / top, rate < minor * top)
    people = set(flows["stage_from"].astype("str")) | set(flows["stage_to"].astype("str"))
    for number, stage in enumerate(STAGES, 1):
        growth = sum(
            rate * ((way[1] == stage) - (way[0] == stage)) for way, rate in rates.items() if stage in way
        )
        _block(ax, f"{number} {stage}", stage, stock.get(stage, 0), growth, stage in people)
    other = rates[[way not in _WAYS for way in rates.index]].sum() if len(rates) else 0
    ax.set(xlim=(0, 97), ylim=(-8, 72), xticks=[], yticks=[])
    no_frame(ax)
    mean = f"mean of {weeks} weeks" if weeks > 1 else "one week"
    more = f"; {_rate(other)} more on ways not drawn" if other else ""
    day = pd.Timestamp(last).date()
    ax.set_xlabel(f"blocks: people at the end of {day}; arrows: people a week, {mean}{more}")
    ax.set_title(title or "People in each stage, and how many move in a week")
    return ax


def _arrow(
    ax: Axes, start: Point, end: Point, bend: float, where: Point, words: str, share: float, minor: bool
) -> None:
    colour = COLOURS["muted" if minor else "boundary"]
    width = 1.0 if minor else 1.2 + 4.2 * np.sqrt(share)
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>,head_length=0.45,head_width=0.28",
            mutation_scale=9 + 1.6 * width,
            linewidth=width,
            color=colour,
            shrinkA=0,
            shrinkB=0,
        )
    )
    shade = COLOURS["baseline" if minor else "actual"]
    side = "left" if start[0] == end[0] else "center"
    ax.text(*where, words, ha=side, va="center", fontsize=10, color=shade)


def _block(ax: Axes, name: str, stage: str, people: int, growth: float, known: bool) -> None:
    x, y = _PLACES[stage]
    colour = COLOURS[stage] if known else "#FFFFFF"
    corner = (x - _WIDE / 2 + 0.8, y - _HIGH / 2 + 0.8)
    ax.add_patch(
        FancyBboxPatch(
            corner,
            _WIDE - 1.6,
            _HIGH - 1.6,
            boxstyle="round,pad=0.8,rounding_size=1.6",
            facecolor=colour,
            edgecolor=COLOURS["muted"] if not known else colour,
            zorder=3,
        )
    )
    ink = text_colour(colour) if known else COLOURS["baseline"]
    said = [(name, 3.6, 10.5, "bold"), (f"{count(people)} people", -0.2, 10.5, "normal")]
    said.append((f"{_signed(growth)} a week", -3.7, 9, "normal"))
    if not known:
        said = [(name, 2, 10.5, "bold"), ("nobody in the data", -2, 9, "normal")]
    for words, up, size, weight in said:
        ax.text(x, y + up, words, ha="center", va="center", fontsize=size, weight=weight, color=ink, zorder=4)


def _rate(rate: float) -> str:
    return count(rate) if rate >= 9.95 else f"{rate:.1f}"


def _signed(rate: float) -> str:
    return f"{'+' if rate >= 0 else '−'}{_rate(abs(rate))}" if abs(rate) >= 0.05 else "±0"


def stage_area(
    history: pd.DataFrame,
    ax: Axes | None = None,
    *,
    customers_only: bool = False,
    shares: bool = False,
    title: str | None = None,
) -> Axes:
    """People by stage, stacked, week by week; the first stage on top.

    ``history`` is what `lifecycle.stage_history` gives: one row a person and ``week`` with ``stage``.
    ``customers_only`` leaves out attract and acquire; ``shares`` draws shares of each week's people.
    """
    need(history, ["week", "stage"], "stage_area")
    ax = new_axes(ax)
    table = history.groupby(["week", "stage"], observed=True).size().unstack(fill_value=0)
    wanted = [s for s in STAGES[2 * customers_only :] if s in table.columns]
    if not wanted:
        raise DataError(f"stage_area finds none of the stages {', '.join(STAGES)} in the history")
    table = table[wanted[::-1]]
    if shares:
        table = table.div(table.sum(axis=1), axis=0)
    ax.stackplot(
        table.index,
        table.to_numpy(float).T,
        labels=table.columns,
        colors=[COLOURS[s] for s in table.columns],
        edgecolor="white",
        linewidth=0.6,
    )
    total = float(table.sum(axis=1).max())
    ax.set(xlim=(table.index[0], table.index[-1]), ylim=(0, total if shares else total * 1.04))
    tops = table.iloc[-1].cumsum()
    heights = _apart((tops - table.iloc[-1] / 2).to_numpy(float), total * 0.06)
    for stage, y in zip(table.columns, heights, strict=True):
        value = table[stage].iloc[-1]
        words = f"{stage} {percent(value) if shares else count(value)}"
        ax.annotate(
            words, (1, y), xycoords=("axes fraction", "data"), **{**BESIDE, "xytext": (6, 0), "fontsize": 9.5}
        )
    locator = AutoDateLocator(minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    format_axis(ax.yaxis, "percent" if shares else "count")
    ax.set(xlabel="end of week", ylabel="share of the people" if shares else "people")
    ax.set_title(title or f"{'Customers' if customers_only else 'People'} in each stage by week")
    return ax


def _apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Ascending heights, moved up as little as keeps them `gap` apart."""
    steps = np.arange(len(heights)) * gap
    return np.maximum.accumulate(heights - steps) + steps


def tornado(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    result: float | None = None,
    what: str = "result",
    currency: str = "",
    title: str | None = None,
) -> Axes:
    """What the result becomes with each input lower (grey) and higher (colour), longest bar on top.

    ``table`` is what `lifecycle.tornado` gives: ``input``, ``low`` and ``high`` (the result) and, if known,
    ``at`` (the input as it is). ``result`` is the result as it is, by default ``table.attrs["result"]``;
    ``what`` names it on the axis.
    """
    need(table, ["input", "low", "high"], "tornado")
    middle = table.attrs.get("result") if result is None else result
    if middle is None:
        raise ParameterError("tornado needs result=…: the result with every input as it is")
    ax = new_axes(ax, height=1.7 + 0.5 * len(table))
    change = table.attrs.get("change")
    by = f"{change * 100:g}% " if isinstance(change, float | int) else ""
    place, ends = np.arange(len(table)), table[["low", "high"]].to_numpy(float)
    for name, word, role in (("low", "lower", "customers"), ("high", "higher", "money")):
        values = table[name].to_numpy(float)
        bars = ax.barh(place, values - middle, 0.6, left=middle, color=COLOURS[role])
        bars.set_label(f"input {by}{word}")
        for y, value, other in zip(place, values, ends.sum(axis=1) - values, strict=True):
            left = value < other or (value == other and name == "low")
            beside = BESIDE | {"xytext": (-4 if left else 4, 0), "ha": "right" if left else "left"}
            ax.annotate(money(value, currency, short=abs(value) >= 10_000), (value, y), **beside)
    ax.axvline(middle, color=COLOURS["actual"], linewidth=1)
    reach = [min(ends.min(), middle), max(ends.max(), middle)]
    room = 0.14 * (reach[1] - reach[0] or 1)
    ax.set_xlim(reach[0] - room, reach[1] + room)
    names = table["input"].astype("str").str.replace("_", " ")
    if "at" in table:
        names = [f"{name} = {at:,.4g}" for name, at in zip(names, table["at"], strict=True)]
    name_rows(ax, names)
    format_axis(ax.xaxis, "money")
    ax.set_xlabel(f"{money_label(what, currency)}; line: {money(middle, currency)} as it is")
    under = ax.transAxes + ScaledTranslation(0, -0.6, ax.figure.dpi_scale_trans)  # inches, below the label
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=under, ncols=2)
    ax.set_title(title or f"{sentence(what)} with one input changed at a time")
    return ax
