"""Dots with whiskers, funnels, uplift curves: what is drawn is what the table says, and nothing overlaps."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from custkit import experiments, funnel, plots
from custkit.errors import DataError, ParameterError
from custkit.interval_plots import _writer


@pytest.fixture(autouse=True)
def no_figure_left():
    """Each test starts and ends without an open figure."""
    plt.close("all")
    yield
    plt.close("all")


def effects(rows=3):
    table = pd.DataFrame(
        {"arm": [f"arm {i}" for i in range(rows)], "difference": np.linspace(-0.02, 0.1, rows)}
    )
    return table.assign(
        low=table["difference"] - 0.03, high=table["difference"] + 0.05, true=table["difference"] / 2
    )


def texts_of(ax):
    ax.figure.canvas.draw()
    left, right = sorted(ax.get_xlim())
    ticks = [t for t in ax.get_xticklabels() if left <= t.get_position()[0] <= right]
    return [t for t in [*ax.get_yticklabels(), *ticks, *ax.texts] if t.get_text()]


def overlapping(ax):
    """Pairs of texts of the axes that share pixels, and texts that leave the figure."""
    texts = texts_of(ax)
    boxes = [t.get_window_extent() for t in texts]
    edge = ax.figure.bbox
    out = [t.get_text() for t, b in zip(texts, boxes, strict=True) if b.x0 < 0 or b.x1 > edge.x1 or b.y0 < 0]
    pairs = itertools.combinations(zip(texts, boxes, strict=True), 2)
    return out + [(a.get_text(), b.get_text()) for (a, p), (b, q) in pairs if p.overlaps(q)]


def dots(ax):
    """Places of the filled dots, series after series."""
    marked = [c for c in ax.collections if hasattr(c, "get_offsets") and len(c.get_facecolors())]
    return np.vstack([np.asarray(c.get_offsets()) for c in marked if c.get_sizes()[0] == 36])


def test_a_dot_a_row_with_its_whiskers_and_the_truth():
    ax = plots.interval_dots(effects(), estimate="difference", label="arm", truth="true", kind="points")
    assert dots(ax) == pytest.approx(np.array([[-0.02, 0], [0.04, 1], [0.1, 2]]))
    lines = next(c for c in ax.collections if hasattr(c, "get_segments"))
    assert next(s[:, 0].tolist() for s in lines.get_segments()) == pytest.approx([-0.05, 0.03])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["arm 0", "arm 1", "arm 2"]
    assert ax.yaxis_inverted()
    assert list(ax.lines[0].get_xdata()) == [0, 0]
    diamonds = next(c for c in ax.collections if c.get_label() == "true value")
    assert to_hex(diamonds.get_edgecolors()[0]) == plots.COLOURS["actual"]
    assert diamonds.get_offsets()[:, 0].tolist() == pytest.approx([-0.01, 0.02, 0.05])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["true value"]
    assert ax.get_xlabel() == "difference (percentage points)"
    ax.figure.canvas.draw()
    assert {"0", "+5"} <= {t.get_text() for t in ax.get_xticklabels()}


def test_series_lie_under_each_other_in_their_colours():
    both = pd.concat([effects().assign(when="week"), effects().assign(when="net", difference=0.0)])
    ax = plots.interval_dots(
        both, estimate="difference", label="arm", by="when", roles={"net": "bad"}, reference=None
    )
    place = dots(ax)
    assert place[:3, 1].tolist() == pytest.approx([-0.175, 0.825, 1.825])
    assert place[3:, 1].tolist() == pytest.approx([0.175, 1.175, 2.175])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["week", "net"]
    colours = {
        c.get_label(): to_hex(c.get_facecolors()[0]) for c in ax.collections if len(c.get_facecolors())
    }
    assert colours["net"] == plots.COLOURS["bad"].lower()
    assert len(ax.lines) == 0


def test_rows_are_named_by_the_index_and_coloured_by_role():
    table = effects().set_index("arm")
    ax = plots.interval_dots(
        table, estimate="difference", roles={"arm 1": "good"}, xlabel="orders", title="Gain"
    )
    dotted = next(c for c in ax.collections if len(c.get_facecolors()) == 3)
    assert [to_hex(c) for c in dotted.get_facecolors()] == [
        plots.COLOURS[role].lower() for role in ("model", "good", "model")
    ]
    assert (ax.get_xlabel(), ax.get_title(loc="left")) == ("orders", "Gain")


@pytest.mark.parametrize("kind", ["percent", "points"])
def test_fourteen_rows_with_long_names_stay_apart(kind):
    table = effects(14)
    table["arm"] = table["arm"] + " with a name that goes on for quite a while and then for a while more"
    ax = plots.interval_dots(table, estimate="difference", label="arm", truth="true", kind=kind)
    assert overlapping(ax) == []
    assert ax.get_position().width > 0.55  # names leave room for what is drawn
    two = pd.concat([table.assign(s="a"), table.assign(s="b")])
    assert overlapping(plots.interval_dots(two, estimate="difference", label="arm", by="s", kind=kind)) == []


def test_ticks_have_the_digits_their_steps_need():
    assert _writer("percent", np.array([0, 0.025]))(0.025, 0) == "2.5%"
    assert _writer("percent", np.array([0, 0.1]))(-0.1, 0) == "−10%"
    assert _writer("points", np.array([0, 0.005]))(0.005, 0) == "+0.5"
    assert _writer("points", np.array([0, 0.05]))(1e-18, 0) == "0"
    assert _writer("number", np.array([0, 0.25]))(1234.5, 0) == "1,234.50"
    assert _writer("money", np.array([0, 250]))(1250, 0) == "1,250"  # not 1.2k
    assert _writer("money", np.array([0, 12_500]))(2500, 0) == "2.5k"


def test_tables_that_cannot_be_drawn_are_refused():
    with pytest.raises(DataError) as error:
        plots.interval_dots(effects(), label="name", truth="real")
    assert len(error.value.faults) == 3  # estimate, name, real
    with pytest.raises(DataError, match="arm 0 is in several rows"):
        plots.interval_dots(pd.concat([effects(), effects()[:1]]), estimate="difference", label="arm")
    with pytest.raises(DataError, match="no rows"):
        plots.interval_dots(effects()[:0], estimate="difference", label="arm")
    with pytest.raises(ParameterError, match="number, percent, points, money"):
        plots.interval_dots(effects(), estimate="difference", label="arm", kind="euro")
    for given in ({"role": "blue"}, {"roles": {"arm 0": "blue"}}):
        with pytest.raises(ParameterError, match="'blue' is not in COLOURS"):
            plots.interval_dots(effects(), estimate="difference", label="arm", **given)


def reached(by=None):
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"furthest_step": np.minimum(rng.geometric(0.4, 3000), 6)})
    table["device"] = rng.choice(["app", "desktop", "phone"], 3000, p=[0.1, 0.3, 0.6])
    return funnel.steps(table, names=["land", "view", "cart", "checkout", "payment", "order"], by=by)


def test_funnel_bars_say_how_many_and_which_share():
    table = pd.DataFrame({"furthest_step": [1, 1, 2, 2, 2, 2, 2, 2]})
    ax = plots.funnel_bars(funnel.steps(table, names=["land", "view"]), unit="people")
    assert [bar.get_width() for bar in ax.patches] == [8, 6]
    assert [t.get_text() for t in ax.texts] == ["8", "6; 75% (41% to 93%)"]
    assert ax.get_xlabel() == "people; beside the bar: people, share of the step before (95% interval)"
    assert ax.get_title(loc="left") == "People that reached each step"


@pytest.mark.parametrize(("by", "share"), [(None, False), ("device", False), ("device", True)])
def test_the_texts_of_a_funnel_stay_apart(by, share):
    ax = plots.funnel_bars(reached(by), share=share)
    assert overlapping(ax) == []
    assert len(ax.patches) == (6 if by is None else 18)
    if by:
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["app", "desktop", "phone"]
    if share:
        assert max(bar.get_width() for bar in ax.patches) == 1


def test_uplift_curves_with_bands_and_the_random_line(rng):
    x, treated = rng.random(500), rng.random(500) < 0.5
    outcome = (rng.random(500) < 0.1 + 0.3 * x * treated).astype(float)
    found = experiments.qini(x, outcome, treated, draws=20, rng=rng)
    other = experiments.qini(-x, outcome, treated).curve
    ax = plots.qini_curves(
        {"uplift": found, "least first": other}, what="extra orders per customer", kind="percent"
    )
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["uplift", "least first", "random"]
    assert ax.lines[0].get_ydata().tolist() == found.curve["incremental"].tolist()
    assert ax.lines[2].get_ydata()[-1] == pytest.approx(found.effect)
    assert len(ax.collections) == 1  # a band where there are draws
    assert ax.get_ylabel() == "extra orders per customer"
    assert overlapping(ax) == []


def test_uplift_curves_need_curves():
    with pytest.raises(DataError, match="no curve"):
        plots.qini_curves({})
    with pytest.raises(DataError, match="incremental"):
        plots.qini_curves({"a": pd.DataFrame({"share_contacted": [0], "random": [0]})})


def test_figures_can_be_drawn_into_given_axes():
    figure, axes = plt.subplots(1, 2)
    assert plots.interval_dots(effects(), axes[0], estimate="difference", label="arm") is axes[0]
    assert plots.funnel_bars(reached(), axes[1]) is axes[1]
    assert len(figure.axes) == 2
