"""Every published number of the value models, at its printed precision; see `published_numbers.py`."""

from __future__ import annotations

import published_models as models
import pytest
from published_numbers import NOT_COMPUTED, TABLES, Box, Number, markdown

NUMBERS = [number for numbers in TABLES.values() for number in numbers]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.quantity)
def test_published(number: Number) -> None:
    rows = list(number.values())
    print("\n".join(f"published {printed}   computed {computed}" for printed, computed, _ in rows))
    assert all(agrees for *_, agrees in rows), rows


def test_full_series_is_what_custkit_gives() -> None:
    """The sheet's E[X(78)] = 1.8576 is a series cut at power 150; summed to the end it is ours."""
    params = (0.2425967, 4.413659, 0.7929869, 2.426164)
    ours = models.bg_at(*params).predict_new_customer(78)[0]
    assert ours == pytest.approx(models.bg_mean_with_cut_series(params, 78, 3000), rel=1e-12)
    assert round(ours, 4) == 1.8579


@pytest.mark.parametrize(
    ("printed", "computed", "agrees"),
    [
        (".243", 0.24251, True),
        (".243", 0.2424, False),
        ("-9582.429", -9582.4296, False),
        ("1.07869e-07", 1.078687e-07, True),
        ("1.07869e-07", 1.07870e-07, False),
        ("414,900", 414_900.4, True),
        (".243", Box(0.2, 0.3), True),
        (".243", Box(0.2436, 0.3), False),
        ("1 2", [1.0, 2.6], False),
    ],
)
def test_comparison_can_fail(printed: str, computed: object, agrees: bool) -> None:
    number = Number("made", printed, "nowhere", lambda: computed)
    assert all(ok for *_, ok in number.values()) is agrees


def test_table_lists_every_row() -> None:
    text, wrong = markdown()
    assert wrong == 0
    assert text.count("| yes |") == len(NUMBERS)
    assert all(what in text for what in NOT_COMPUTED)
