"""Figures: the right things with units, the same bytes twice, alt text kept, colours that stay apart."""

from __future__ import annotations

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from custkit import plots
from custkit.errors import DataError, ParameterError
from custkit.style import line_looks, text_colour


@pytest.fixture(autouse=True)
def no_figure_left():
    """Each test starts and ends without an open figure."""
    plt.close("all")
    yield
    plt.close("all")


def counts():
    return pd.DataFrame(
        {"frequency": ["0", "1", "2+"], "observed": [1411, 439, 507], "BG/NBD": [1406.2, 468.1, 482.7]}
    )


def cells():
    rows = [(1, 1, 4000, "Lost"), (5, 5, 25, "Champions"), (3, 5, 300, "At risk")]
    return pd.DataFrame(rows, columns=["r_score", "f_score", "customers", "segment"])


def segments():
    return pd.DataFrame(
        {"segment": ["Champions", "Lost"], "customers": [250, 750], "monetary_total": [90_000.0, 10_000.0]}
    )


def weekly():
    return pd.DataFrame({"period": [0, 1, 2, 3], "actual": [0, 10, 30, 45], "BG/NBD": [0, 12.0, 27.0, 44.0]})


def groups():
    return pd.DataFrame(
        {
            "frequency": ["0", "1+"],
            "actual": [0.2, 0.7],
            "actual_low": [0.1, 0.5],
            "actual_high": [0.4, 1.0],
            "customers": [1411, 946],
            "BG/NBD": [0.22, 0.6],
            "Pareto/NBD": [0.14, 0.65],
        }
    )


def gains():
    return pd.DataFrame(
        {"contacted_share": [0, 0.5, 1], "CLV": [0, 0.8, 1], "RFM score": [0, 0.7, 1], "best": [0, 1, 1]}
    )


def surface():
    grid = pd.MultiIndex.from_product([range(4), range(0, 40, 10)], names=["frequency", "recency"])
    return grid.to_frame(index=False).assign(
        p_alive=lambda t: t["recency"] / 40, clv=lambda t: t["recency"] * t["frequency"] * 1.0
    )


def values():
    return pd.DataFrame(
        {"clv": [5000.0, 800.0], "low": [4000.0, 500.0], "high": [7000.0, 1200.0]},
        index=pd.Index(["Champions", "At risk"], name="group"),
    )


def alive():
    return pd.DataFrame({"p_alive": [1.0, 1.0, 1.0, 0.2, 0.62], "frequency": [0, 0, 0, 3, 1]})


def moves():
    names = ["Champions", "Lost"]
    return pd.DataFrame([[30, 10], [0, 60]], index=names, columns=names)


def orders():
    days = ["2024-01-01", "2024-01-29", "2024-01-29", "2024-02-26", "2024-02-05"]
    return pd.DataFrame({"customer_id": ["A", "A", "A", "A", "B"], "order_date": days})


def cohort_table():
    rows = [("2024-01-01", 0, 100), ("2024-01-01", 2, 25), ("2024-02-01", 0, 50), ("2024-02-01", 1, 20)]
    return pd.DataFrame(rows, columns=["cohort", "period_number", "customers"])


EVERY = {
    "counts_against_model": lambda ax=None: plots.counts_against_model(counts(), ax),
    "rfm_map": lambda ax=None: plots.rfm_map(cells(), ax),
    "segment_bars": lambda ax=None: plots.segment_bars(segments(), ax, currency="$"),
    "tracking": lambda ax=None: plots.tracking(weekly(), ax, calibration_end=2),
    "conditional_expectation": lambda ax=None: plots.conditional_expectation(groups(), ax, period="39 weeks"),
    "gain_curves": lambda ax=None: plots.gain_curves(gains(), ax, mark=0.2),
    "frequency_recency_map": lambda ax=None: plots.frequency_recency_map(surface(), ax),
    "value_by_segment": lambda ax=None: plots.value_by_segment(values(), ax, currency="$"),
    "p_alive_histogram": lambda ax=None: plots.p_alive_histogram(alive(), ax),
    "migration": lambda ax=None: plots.migration(moves(), ax),
    "history_timelines": lambda ax=None: plots.history_timelines(orders(), ax, observation_end="2024-03-25"),
    "cohort_triangle": lambda ax=None: plots.cohort_triangle(cohort_table(), ax),
}
every_figure = pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)


def texts(ax):
    """All words written in the plot area."""
    return [t.get_text() for t in ax.texts]


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


# ---- what holds for every figure


@every_figure
def test_a_figure_is_800_pixels_wide_small_titled_and_labelled(draw):
    ax = draw()
    png = plots.png_bytes(ax.figure)  # a missing glyph or a layout fault is a warning, so an error here
    assert Image.open(io.BytesIO(png)).width == 800
    assert len(png) <= 60_000
    assert ax.get_title(loc="left")
    assert ax.get_xlabel() or ax.figure.axes[-1].get_xlabel() or ax.xaxis.get_majorticklabels()
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert ax.get_ylabel() or {"Champions"} < set(names)  # segment names say what they are


@every_figure
def test_the_same_figure_is_the_same_bytes(draw):
    first = plots.png_bytes(draw().figure)
    assert plots.png_bytes(draw().figure) == first
    assert b"tEXt" not in first  # where matplotlib puts its version, other programs the time
    assert b"tIME" not in first


@every_figure
def test_nothing_is_cut_off(draw):
    figure = draw().figure
    figure.canvas.draw()
    box = figure.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.get_figwidth()
    assert box.y1 <= figure.get_figheight()


@every_figure
def test_tick_labels_do_not_overlap(draw):
    figure = draw().figure
    figure.canvas.draw()
    for ax, side in itertools.product(figure.axes, "xy"):
        labels = [t for t in getattr(ax, f"{side}axis").get_majorticklabels() if t.get_text()]
        boxes = [t.get_window_extent() for t in labels if t.get_visible() and not t.get_rotation()]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), (ax, side)


@every_figure
def test_given_axes_are_drawn_on(draw):
    plots.use_style()
    figure, (left, _) = plt.subplots(1, 2, figsize=(12, 4))
    assert draw(left) is left
    assert plt.get_fignums() == [figure.number]


@every_figure
def test_the_callers_table_is_not_changed(draw, monkeypatch):
    for make in (counts, cells, segments, weekly, groups, gains, surface, values, alive, moves, orders):
        before = make()
        monkeypatch.setitem(globals(), make.__name__, lambda before=before: before)
    kept = {m: globals()[m]().copy() for m in ("counts", "cells", "weekly", "values", "moves", "orders")}
    draw()
    for name, frame in kept.items():
        pd.testing.assert_frame_equal(globals()[name](), frame)


# ---- what each figure draws


def test_counts_are_bars_beside_each_other():
    ax = plots.counts_against_model(counts())
    observed, fitted = ax.containers
    assert [b.get_height() for b in observed] == [1411, 439, 507]
    assert [b.get_height() for b in fitted] == [1406.2, 468.1, 482.7]
    assert observed[0].get_x() + observed[0].get_width() < fitted[0].get_x()
    assert legend(ax) == ["observed", "BG/NBD"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2+"]
    assert ax.get_ylabel() == "customers"


def test_rfm_map_writes_number_and_segment_of_each_cell():
    ax = plots.rfm_map(cells())
    assert {"4,000", "25", "300", "Lost", "Champions", "At risk"} <= set(texts(ax))
    assert texts(ax).count("–") == 22  # cells without customers
    lost = next(t for t in ax.texts if t.get_text() == "Lost")
    assert lost.get_position()[0] == 1
    assert 0.5 < lost.get_position()[1] < 1
    assert to_hex(ax.patches[0].get_facecolor()).upper() == plots.COLOURS["Lost"]


def test_rfm_map_of_money_has_currency():
    money = cells().rename(columns={"customers": "monetary_total"}).drop(columns="segment")
    ax = plots.rfm_map(money, value="monetary_total", currency="€")
    assert "€4k" in texts(ax)
    assert "(€)" in ax.get_title(loc="left")


def test_rfm_map_keeps_scores_whose_cells_were_left_out():
    ax = plots.rfm_map(cells().query("r_score < 4 and f_score < 4"), bins=5)
    assert ax.get_xlabel() == "recency score (5 = bought most recently)"
    assert len(ax.get_xticks()) == 5


def test_text_on_dark_cells_is_light():
    written = {t.get_text(): t.get_color() for t in plots.rfm_map(cells()).texts}
    assert written["4,000"] == "#FFFFFF"
    assert written["25"] != "#FFFFFF"
    assert text_colour("#000000") == "#FFFFFF" != text_colour("#FFFFFF")


def test_segment_bars_show_both_shares():
    ax = plots.segment_bars(segments(), currency="$")
    people, purse = ax.containers
    assert [b.get_width() for b in people] == [0.25, 0.75]
    assert [b.get_width() for b in purse] == [0.9, 0.1]
    assert texts(ax)[:2] == ["25% of customers (250)", "90% of money ($90k)"]
    assert ax.yaxis_inverted()  # first row on top


def test_tracking_draws_sums_or_steps_and_the_boundary():
    ax = plots.tracking(weekly(), calibration_end=2)
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["actual"].get_ydata()) == [0, 10, 30, 45]
    assert lines["BG/NBD"].get_color() == plots.COLOURS["model"]
    boundary = next(line for line in ax.lines if list(line.get_xdata()) == [2, 2])
    assert boundary.get_linestyle() == "--"
    assert "end of calibration" in texts(ax)
    steps = plots.tracking(weekly(), incremental=True)
    assert list(steps.lines[0].get_ydata()) == [10, 20, 15]
    assert list(steps.lines[0].get_xdata()) == [1, 2, 3]


def test_tracking_takes_dates():
    dated = weekly().assign(period=pd.date_range("2024-01-01", periods=4, freq="7D"))
    ax = plots.tracking(dated, calibration_end=pd.Timestamp("2024-01-15"))
    ax.figure.canvas.draw()
    assert "2024" in "".join(t.get_text() for t in ax.get_xticklabels()) or "Jan" in [
        t.get_text() for t in ax.get_xticklabels()
    ]
    assert ax.get_xlabel() == ""


def test_conditional_expectation_has_whiskers_and_group_sizes():
    ax = plots.conditional_expectation(groups(), period="39 weeks")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0\nn=1,411", "1+\nn=946"]
    (bar,) = ax.containers
    ends = [segment[:, 1].tolist() for segment in bar.lines[2][0].get_segments()]
    assert ends == [pytest.approx([0.1, 0.4]), pytest.approx([0.5, 1.0])]
    assert legend(ax) == ["BG/NBD", "Pareto/NBD", "actual"]
    assert "39 weeks" in ax.get_ylabel()


def test_gain_curves_have_the_diagonal_and_the_mark():
    ax = plots.gain_curves(gains(), mark=0.2, roles={"best": "muted"})
    assert legend(ax) == ["CLV", "RFM score", "best", "random"]
    random = next(line for line in ax.lines if line.get_label() == "random")
    assert list(random.get_xdata()) == list(random.get_ydata()) == [0, 1]
    assert "20% of customers" in texts(ax)
    ax.figure.canvas.draw()
    assert ax.get_xticklabels()[-1].get_text() == "100%"


def test_frequency_recency_map_has_a_labelled_bar_and_contours():
    ax = plots.frequency_recency_map(
        surface(), value="clv", unit="CLV, 12 months ($)", iso_values=[40.0, 15.0]
    )
    assert ax.figure.axes[-1].get_ylabel() == "CLV, 12 months ($)"
    assert {"15", "40"} <= set(texts(ax))
    assert "weeks" in ax.get_ylabel()
    mesh = ax.collections[0]
    assert mesh.get_array().shape == (4, 4)
    assert mesh.get_array()[3, 2] == 60  # row = recency 30, column = frequency 2


def test_value_by_segment_reads_the_table_of_value_interval():
    ax = plots.value_by_segment(values(), currency="$", what="CLV, 12 months")
    bars, whiskers = ax.containers
    assert [b.get_width() for b in bars] == [5000, 800]
    assert whiskers.lines[2][0].get_segments()[0][:, 0].tolist() == [4000, 7000]
    assert to_hex(bars[1].get_facecolor()).upper() == plots.COLOURS["At risk"]
    assert ax.get_xlabel() == "CLV, 12 months ($)"
    assert texts(ax) == ["$5k", "$800"]
    assert ax.get_title(loc="left") == "CLV by segment"


def test_p_alive_keeps_one_time_buyers_apart():
    ax = plots.p_alive_histogram(alive())
    lower = ax.figure.axes[-1]
    assert [sum(b.get_height() for b in panel.patches) for panel in (ax, lower)] == [2, 3]
    assert texts(ax) == ["repeat buyers: 2"]
    assert texts(lower) == ["one-time buyers: 3"]
    assert lower.patches[-1].get_height() == 3  # all of them at 1


def test_p_alive_needs_axes_it_can_divide():
    loose = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ParameterError, match=r"plt\.subplots"):
        plots.p_alive_histogram(alive(), loose)


def test_migration_shows_row_shares_and_row_sizes():
    ax = plots.migration(moves())
    assert texts(ax) == ["75%", "25%", "100%"]  # nobody left Lost for Champions: blank
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Champions (40)", "Lost (60)"]


def test_migration_leaves_out_rows_and_columns_where_nobody_came_or_went():
    table = moves().assign(gone=0)
    table.loc["new"] = [5, 0, 0]
    ax = plots.migration(table)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Champions", "Lost"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Champions (40)", "Lost (60)", "new (5)"]


def test_history_timelines_state_x_tx_and_t():
    ax = plots.history_timelines(orders(), observation_end="2024-03-25")
    assert "x = 2\nt_x = 8.0, T = 12.0" in texts(ax)  # two orders of one day count once
    assert "x = 0\nt_x = 0.0, T = 7.0" in texts(ax)
    days = plots.history_timelines(orders(), observation_end="2024-03-25", time_unit="D")
    assert "x = 2\nt_x = 56.0, T = 84.0" in texts(days)
    with pytest.raises(ParameterError, match="time_unit"):
        plots.history_timelines(orders(), observation_end="2024-03-25", time_unit="M")


def test_cohorts_tell_nobody_from_not_yet():
    ax = plots.cohort_triangle(cohort_table())
    assert texts(ax) == ["100%", "0%", "25%", "100%", "40%"]  # February's month 2 lies ahead
    assert [t.get_text() for t in ax.get_yticklabels()] == ["2024-01 (100)", "2024-02 (50)"]


def test_cohorts_of_real_orders(cdnow_sample):
    from custkit.orders import cohorts

    ax = plots.cohort_triangle(cohorts(cdnow_sample, observation_end="1998-06-30"))
    assert len(ax.get_yticklabels()) == 3  # first orders in January, February and March 1997
    assert len(ax.get_xticklabels()) == 18


# ---- faults of the input


def test_all_missing_columns_are_named_at_once():
    with pytest.raises(DataError) as error:
        plots.rfm_map(pd.DataFrame({"f_score": [1]}))
    assert "'r_score'" in str(error.value)
    assert "'customers'" in str(error.value)
    assert "there are: f_score" in str(error.value)


def test_an_empty_table_is_refused():
    with pytest.raises(DataError, match="no rows"):
        plots.counts_against_model(counts().iloc[:0])


def test_an_unknown_role_is_refused():
    with pytest.raises(ParameterError, match="purple"):
        plots.tracking(weekly(), roles={"BG/NBD": "purple"})


# ---- alt text


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_show_refuses_empty_alt(alt):
    with pytest.raises(ParameterError, match="alt"):
        plots.show(plots.tracking(weekly()), alt)


def test_show_outside_ipython_draws_and_closes(capsys):
    assert plots.show(plots.tracking(weekly()), alt="Lines.") is None
    assert plt.get_fignums() == []
    assert capsys.readouterr().out == ""


def test_show_stores_alt_in_the_notebook():
    import nbformat
    from nbclient import NotebookClient

    source = (
        "import pandas as pd\nfrom custkit import plots\n"
        "table = pd.DataFrame({'frequency': ['0', '1+'], 'observed': [3, 1]})\n"
        "plots.show(plots.counts_against_model(table), alt='Two bars.')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=120, extra_arguments=["--log-level=50"]).execute()
    (output,) = notebook.cells[0].outputs  # one picture, and no second one from the inline backend
    assert output["metadata"]["image/png"]["alt"] == "Two bars."
    assert output["data"]["text/plain"] == "Two bars."
    assert len(output["data"]["image/png"]) > 1000


# ---- words and colours


@pytest.mark.parametrize(
    ("value", "currency", "short", "text"),
    [
        (1234567.8, "$", False, "$1,234,568"),
        (1234567.8, "$", True, "$1.2m"),
        (415_000, "€", True, "€415k"),
        (999_960, "$", True, "$1m"),
        (9.99, "$", True, "$9.99"),
        (-5, "¥", False, "−¥5"),
        (1000, "USD", True, "USD\N{NO-BREAK SPACE}1k"),
        (0, "", True, "0"),
        (float("nan"), "$", True, "–"),
    ],
)
def test_money(value, currency, short, text):
    assert plots.money(value, currency, short=short) == text


def test_percent_and_count():
    assert [plots.percent(s) for s in (0, 0.004, 0.123, -0.05)] == ["0%", "<1%", "12%", "−5%"]
    assert plots.percent(0.1234, 1) == "12.3%"
    assert plots.count(23570) == "23,570"


def test_known_labels_keep_their_colour_and_others_take_free_ones():
    looks = line_looks(["mine", "BG/NBD", "also mine"])
    assert looks["BG/NBD"]["color"] == plots.COLOURS["model"]
    assert looks["mine"]["color"] == plots.COLOURS["model_2"]
    assert len({look["color"] for look in looks.values()}) == 3


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
SIGHT = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "full colour": np.eye(3),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, sight):
    """CIE L*a*b* of a colour as a person with the given sight sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = TO_XYZ @ (np.asarray(SIGHT[sight]) @ linear).clip(0, 1) / [0.9505, 1, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_lines_that_meet_in_one_figure_stay_apart(sight):
    meet = [plots.COLOURS[k] for k in ("actual", "model", "model_2", "model_3", "rule", "baseline")]
    apart = [np.linalg.norm(lab(a, sight) - lab(b, sight)) for a, b in itertools.combinations(meet, 2)]
    assert min(apart) >= 20


def test_models_differ_in_greyscale_too():
    meet = [plots.COLOURS[k] for k in ("actual", "model", "model_2", "model_3", "rule")]
    shades = [lab(c, "full colour")[0] for c in meet]
    assert min(abs(a - b) for a, b in itertools.combinations(shades, 2)) >= 6


def test_every_segment_has_a_colour_of_its_own():
    from custkit.rfm import SEGMENTS

    names = [rule.segment for rule in SEGMENTS]
    assert [n for n in names if n not in plots.COLOURS] == []
    assert len({plots.COLOURS[n] for n in names}) == len(names)
