"""Figures of the lifecycle: the right numbers on the right arrows, nothing overlapping, colours apart."""

from __future__ import annotations

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from PIL import Image
from test_plots import SIGHT, lab

from custkit import lifecycle, plots
from custkit.errors import DataError, ParameterError
from custkit.lifecycle import STAGES

WEEKS = pd.DatetimeIndex(["2025-12-21", "2025-12-28"])
# (from, to) -> people in the first and in the second week
MOVES = {
    ("not seen before", "attract"): (150, 250),
    ("not seen before", "acquire"): (20, 20),
    ("not seen before", "convert"): (60, 40),
    ("out of sight", "attract"): (0, 10),
    ("attract", "attract"): (800, 900),
    ("attract", "acquire"): (3, 5),
    ("attract", "convert"): (12, 14),
    ("attract", "out of sight"): (140, 150),
    ("acquire", "acquire"): (100, 110),
    ("acquire", "convert"): (2, 2),
    ("acquire", "out of sight"): (15, 17),
    ("convert", "convert"): (600, 650),
    ("convert", "retain"): (20, 20),
    ("convert", "develop"): (30, 32),
    ("retain", "retain"): (1000, 1100),
    ("retain", "develop"): (21, 23),
    ("develop", "retain"): (30, 34),
    ("retain", "reacquire"): (24, 28),
    ("develop", "reacquire"): (18, 20),
    ("reacquire", "retain"): (9, 9),
    ("reacquire", "develop"): (10, 13),
    ("develop", "develop"): (12_000, 12_100),
    ("reacquire", "reacquire"): (1800, 1850),
}


def flows():
    rows = [(WEEKS[i], *way, n[i]) for way, n in MOVES.items() for i in (0, 1) if n[i]]
    return pd.DataFrame(rows, columns=["week", "stage_from", "stage_to", "people"])


def history():
    before = {"attract": 30, "acquire": 1, "convert": 9, "retain": 20, "reacquire": 5}
    after = {"attract": 46, "acquire": 1, "convert": 4, "retain": 21, "reacquire": 8}
    rows = [
        (week, f"{stage}{number}", stage, False)
        for week, sizes in zip(WEEKS, (before, after), strict=True)
        for stage, size in sizes.items()
        for number in range(size)
    ]
    return pd.DataFrame(rows, columns=["week", "person_id", "stage", "late"])


def value(margin, retention, cac):
    return lifecycle.retention_value(margin, retention, 0.1) - cac


def swings():
    return lifecycle.tornado(value, {"margin": 100.0, "retention": 0.8, "cac": 60.0})


EVERY = {
    "stage_map": lambda ax=None: plots.stage_map(flows(), ax),
    "stage_area": lambda ax=None: plots.stage_area(history(), ax),
    "tornado": lambda ax=None: plots.tornado(swings(), ax, what="value of a customer", currency="¥"),
}
every_figure = pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)


@pytest.fixture(autouse=True)
def no_figure_left():
    plt.close("all")
    yield
    plt.close("all")


def texts(ax):
    return [t.get_text() for t in ax.texts]


def colour_of(ax, words):
    return next(t for t in ax.texts if t.get_text() == words).get_color()


@every_figure
def test_a_figure_is_800_pixels_wide_titled_labelled_and_whole(draw):
    ax = draw()
    png = plots.png_bytes(ax.figure)
    assert Image.open(io.BytesIO(png)).width == 800
    assert len(png) <= 60_000
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    box = ax.figure.get_tightbbox()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= ax.figure.get_figwidth()
    assert box.y1 <= ax.figure.get_figheight()
    assert plots.png_bytes(draw().figure) == png


@every_figure
def test_no_words_overlap(draw):
    ax = draw()
    ax.figure.canvas.draw()
    written = [*ax.texts, ax.xaxis.label, *ax.get_yticklabels(), *ax.get_xticklabels()]
    written += ax.get_legend().get_texts() if ax.get_legend() else []
    boxes = {t: t.get_window_extent() for t in written if t.get_text()}
    assert [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])] == []


@every_figure
def test_given_axes_are_drawn_on(draw):
    plots.use_style()
    figure, (left, _) = plt.subplots(1, 2, figsize=(12, 4))
    assert draw(left) is left
    assert plt.get_fignums() == [figure.number]


# ---- the map


def test_the_map_writes_people_growth_and_weekly_flows():
    ax = plots.stage_map(flows())
    said = texts(ax)
    for stage in STAGES:
        assert f"{STAGES.index(stage) + 1} {stage}" in said
    # attract at the end: 250 + 10 + 900; the mean of 150 - 155 and of 260 - 169 grows it by 43
    assert "1,160 people" in said
    assert "+43 a week" in said
    assert {"205 in", "20 in", "50 in", "145 out", "16 out"} <= set(said)
    assert {"4.0", "2.0", "13", "20", "31", "22", "32", "26", "19", "9.0", "12"} <= set(said)
    assert len([p for p in ax.patches if isinstance(p, FancyArrowPatch)]) == 16
    assert "mean of 2 weeks" in ax.get_xlabel()
    assert "2025-12-28" in ax.get_xlabel()


def test_minor_flows_are_grey_and_thin():
    ax = plots.stage_map(flows(), minor=0.1)
    assert colour_of(ax, "13") == plots.COLOURS["baseline"]
    assert colour_of(ax, "26") == plots.COLOURS["actual"]
    arrows = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    grey = [p for p in arrows if to_hex(p.get_edgecolor()).upper() == plots.COLOURS["muted"]]
    assert {p.get_linewidth() for p in grey} == {1.0}
    assert len(grey) == 9  # below a tenth of 205: 20 in, 16 out, 4, 2, 13, 20, 19, 9 and 12
    assert min(p.get_linewidth() for p in arrows if p not in grey) > 2


def test_growth_of_the_map_is_that_of_the_ladder():
    days = pd.Timestamp("2025-12-28") - pd.to_timedelta([400, 230, 20, 3, 60], "D")
    orders = pd.DataFrame({"customer_id": list("ABCAB"), "order_date": days})
    history = lifecycle.stage_history(orders, as_of="2025-12-28", weeks=10)
    ladder = lifecycle.stage_ladder(history).set_index("stage").loc[["convert", "retain", "reacquire"]]
    said = texts(plots.stage_map(lifecycle.stage_flows(history)))
    people = [t for t in said if t.endswith(" people")]
    assert people == [f"{n} people" for n in ladder["people"]]
    assert said.count("nobody in the data") == 3
    growth = ladder["came_in_mean"] - ladder["left_mean"]
    shown = [t.removesuffix(" a week") for t in said if t.endswith(" a week")]
    shown = [float(t.replace("−", "-").replace("±", "")) for t in shown]
    assert shown == pytest.approx(growth.tolist(), abs=0.051)


def test_the_map_keeps_count_of_ways_it_does_not_draw():
    odd = pd.DataFrame([(WEEKS[1], "convert", "reacquire", 7)], columns=flows().columns)
    assert "3.5 more on ways not drawn" in plots.stage_map(pd.concat([flows(), odd])).get_xlabel()


def test_the_map_refuses_other_tables():
    with pytest.raises(DataError, match="needs a column 'stage_from'"):
        plots.stage_map(pd.DataFrame({"week": WEEKS, "people": 1, "stage_to": "attract"}))
    with pytest.raises(DataError, match="knows no stage loyal"):
        plots.stage_map(flows().replace("retain", "loyal"))
    with pytest.raises(DataError, match="no rows"):
        plots.stage_map(flows().head(0))


# ---- stages by week, tornado


def test_areas_are_stacked_with_the_first_stage_on_top():
    ax = plots.stage_area(history())
    assert texts(ax) == ["reacquire 8", "retain 21", "convert 4", "acquire 1", "attract 46"]
    assert [c.get_label() for c in ax.collections] == ["reacquire", "retain", "convert", "acquire", "attract"]
    assert to_hex(ax.collections[0].get_facecolor()[0]).upper() == plots.COLOURS["reacquire"]
    assert ax.collections[-1].get_datalim(ax.transData).y1 == 80
    heights = [t.xy[1] for t in ax.texts]
    assert (np.diff(heights) >= 0.06 * 80 - 1e-9).all()


def test_areas_of_customers_and_of_shares():
    ax = plots.stage_area(history(), customers_only=True, shares=True)
    assert texts(ax) == ["reacquire 24%", "retain 64%", "convert 12%"]
    assert ax.get_ylim() == (0, 1)
    with pytest.raises(DataError, match="none of the stages"):
        plots.stage_area(history().query("stage == 'attract'"), customers_only=True)


def test_tornado_draws_each_input_from_the_result_as_it_is():
    table = swings()
    ax = plots.tornado(table, currency="¥")
    lower, higher = ax.containers
    middle = value(100, 0.8, 60)
    assert [b.get_x() for b in lower] == pytest.approx([middle] * 3)
    assert [b.get_x() + b.get_width() for b in higher] == pytest.approx(table["high"].tolist())
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["retention = 0.8", "margin = 100", "cac = 60"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["input 10% lower", "input 10% higher"]
    assert "¥207 as it is" in ax.get_xlabel()
    side = {t.get_text(): t.get_ha() for t in ax.texts}
    assert side["¥201"] == "right"  # a higher cost lowers the result: its number stands on the left
    assert side["¥213"] == "left"


def test_tornado_needs_the_result():
    with pytest.raises(ParameterError, match="needs result="):
        plots.tornado(pd.DataFrame(swings().to_dict()))
    assert plots.tornado(pd.DataFrame(swings().to_dict()), result=200.0)


# ---- colours


@pytest.mark.parametrize("sight", SIGHT)
def test_stage_colours_stay_apart_and_from_the_segments(sight):
    shades = {stage: lab(plots.COLOURS[stage], sight) for stage in STAGES}
    for a, b in itertools.combinations(STAGES, 2):
        assert np.linalg.norm(shades[a] - shades[b]) > 15, (a, b)
    others = set(plots.COLOURS) - set(STAGES)
    assert {plots.COLOURS[stage] for stage in STAGES}.isdisjoint({plots.COLOURS[name] for name in others})


def test_stage_colours_darken_in_order():
    light = [lab(plots.COLOURS[stage], "full colour")[0] for stage in STAGES]
    assert (np.diff(light) < -8).all()
