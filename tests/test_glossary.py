"""The register of definitions is complete in both languages and covers the columns students meet."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from numpy.random import default_rng

from custkit import glossary
from custkit.errors import ParameterError

ENTRIES = glossary.entries()
every_entry = pytest.mark.parametrize("key", ENTRIES)
KNOWN = {"term", "definition", "unit", "symbol", "columns", "also", "see_also"}


@every_entry
def test_an_entry_is_complete_in_both_languages(key):
    entry = ENTRIES[key]
    assert set(entry) <= KNOWN
    for part in ("term", "definition", "unit"):
        assert set(entry[part]) == set(glossary.LANGUAGES)
        assert all(str(text).strip() == text != "" for text in entry[part].values())


@every_entry
def test_definitions_are_sentences_of_their_language(key):
    english, chinese = (ENTRIES[key]["definition"][lang] for lang in glossary.LANGUAGES)
    assert re.match(r"[A-Z0-9].*[.]$", english)
    assert chinese.endswith("。")
    assert not re.search(r"[一-鿿]", english)
    assert len(re.findall(r"[一-鿿]", chinese)) >= 10
    assert not re.search(r"[一-鿿][,;:!?]|[,;:!?][一-鿿]", chinese), "ASCII punctuation between Chinese words"
    assert len(english) <= 320


def test_chinese_is_simplified():
    traditional = "頻額訂單購買後為與這個時間會員類資數據價終續實際應對現點關區輪預測並從來無論儲戶"
    text = "".join(e[part]["zh-CN"] for e in ENTRIES.values() for part in ("term", "definition", "unit"))
    assert sorted(set(traditional) & set(text)) == []


def test_see_also_leads_to_other_entries():
    wrong = [
        (key, other)
        for key, entry in ENTRIES.items()
        for other in entry.get("see_also", [])
        if other not in ENTRIES or other == key
    ]
    assert wrong == []


@pytest.mark.parametrize("lang", glossary.LANGUAGES)
def test_no_term_or_definition_twice(lang):
    for part in ("term", "definition"):
        texts = [entry[part][lang].casefold() for entry in ENTRIES.values()]
        assert len(texts) == len(set(texts))


def test_no_column_has_two_meanings():
    columns = [column for entry in ENTRIES.values() for column in entry.get("columns", [])]
    assert sorted(c for c in set(columns) if columns.count(c) > 1) == []


def test_the_two_recencies_and_frequencies_point_at_each_other():
    for one, other in (("recency", "recency_days"), ("frequency", "frequency_rfm")):
        assert other in ENTRIES[one]["see_also"]
        assert one in ENTRIES[other]["see_also"]
        assert "Not the" in glossary.define(one)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("recency_days", "recency_days"),
        ("Recency (RFM)", "recency_days"),
        ("recency", "recency"),
        ("T", "T"),
        ("orders", "frequency_rfm"),
        ("frequency_cal", "frequency"),
        ("CUSTOMER LIFETIME VALUE (CLV)", "clv"),
        ("客单价", "aov"),
        ("CET", "expected_purchases"),
        (" p_alive ", "p_alive"),
    ],
)
def test_a_term_is_found_by_key_term_column_or_other_name(name, key):
    assert glossary.define(name) == ENTRIES[key]["definition"]["en"]
    assert glossary.define(name, "zh-CN") == ENTRIES[key]["definition"]["zh-CN"]


def test_an_unknown_term_names_the_closest():
    with pytest.raises(ParameterError, match=r"no term 'recncy'; closest: recency"):
        glossary.define("recncy")
    with pytest.raises(ParameterError, match="zh-CN"):
        glossary.define("clv", lang="fr")


def test_table_keeps_the_order_asked_for():
    table = glossary.table(["clv", "orders", "CLV"], lang="zh-CN")
    assert list(table.index) == ["clv", "frequency_rfm"]
    assert list(table.columns) == ["term", "definition", "unit", "column"]
    assert table.loc["clv", "term"] == "客户终身价值（CLV）"
    assert len(glossary.table()) == len(ENTRIES)


def test_table_names_all_unknown_terms_at_once():
    with pytest.raises(ParameterError) as error:
        glossary.table(["clv", "nonsense", "more nonsense"])
    assert len(error.value.faults) == 2


def columns_met(log):
    """Every column a student meets on the way from orders to value."""
    from custkit import clv, orders, rfm

    end = "1998-06-30"
    summary = orders.purchase_summary(log, observation_end=end, time_unit="W")
    model = clv.fit_bgnbd(summary, time_unit="W")
    terms = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": 12}
    table = rfm.rfm_table(log, observation_end=end)
    frames = [
        log,
        summary,
        orders.patterns(log, observation_end=end, time_unit="W"),
        orders.calibration_holdout(log, calibration_end="1997-09-30", observation_end=end, time_unit="W"),
        orders.rfm_values(log, observation_end=end),
        orders.cohorts(log, observation_end=end),
        orders.period_totals(log, observation_end=end),
        table,
        rfm.segment_summary(table),
        rfm.cut_points(table),
        clv.customer_value(model, 30.0, summary, **terms),
        clv.value_interval(
            model,
            30.0,
            summary,
            pd.Series("all", summary.index),
            rng=default_rng(1),
            draws=5,
            **terms,
        ),
        clv.expected_repeat_purchases(model, summary, 3).reset_index(),
    ]
    return {str(column) for frame in frames for column in frame.columns}


def test_every_column_students_meet_is_defined(cdnow_sample):
    defined = {column for entry in ENTRIES.values() for column in entry.get("columns", [])}
    assert sorted(columns_met(cdnow_sample) - defined) == []


def test_every_segment_is_defined_by_the_scores_of_its_rule():
    from custkit.rfm import SEGMENTS

    def scores(low, high):
        return f"{low}" if low == high else f"{low} to {high}"

    for rule in SEGMENTS:
        text = glossary.define(rule.segment)
        r, f = scores(rule.r_min, rule.r_max), scores(rule.f_min, rule.f_max)
        assert f"recency score {r} and frequency score {f} of 5" in text
