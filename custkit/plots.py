"""The figures of the workbook, their colours and their style: one place to import them from.

``use_style()`` sets the look, ``COLOURS`` says which colour means what, ``show(ax, alt="…")`` displays a
figure with its alt text. Every figure function takes a small table and ``ax=None`` and returns the Axes;
without ``ax`` it makes a figure 800 pixels wide. Titles say what is drawn, never what came out of it.
"""

from custkit.group_plots import (
    cohort_triangle,
    migration,
    p_alive_histogram,
    rfm_map,
    segment_bars,
    value_by_segment,
)
from custkit.interval_plots import funnel_bars, interval_dots, qini_curves
from custkit.model_plots import (
    conditional_expectation,
    counts_against_model,
    frequency_recency_map,
    gain_curves,
    history_timelines,
    tracking,
)
from custkit.stage_plots import stage_area, stage_map, tornado
from custkit.style import (
    COLOURS,
    DASHES,
    HEAT,
    ROLES,
    count,
    format_axis,
    money,
    money_label,
    percent,
    png_bytes,
    segment_colour,
    show,
    use_style,
)

__all__ = [
    "COLOURS",
    "DASHES",
    "HEAT",
    "ROLES",
    "cohort_triangle",
    "conditional_expectation",
    "count",
    "counts_against_model",
    "format_axis",
    "frequency_recency_map",
    "funnel_bars",
    "gain_curves",
    "history_timelines",
    "interval_dots",
    "migration",
    "money",
    "money_label",
    "p_alive_histogram",
    "percent",
    "png_bytes",
    "qini_curves",
    "rfm_map",
    "segment_bars",
    "segment_colour",
    "show",
    "stage_area",
    "stage_map",
    "tornado",
    "tracking",
    "use_style",
    "value_by_segment",
]
