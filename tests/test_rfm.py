"""RFM: equal customers score alike, every cell has one segment, no customer is lost in migration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from custkit import orders, plots, rfm
from custkit.errors import DataError, ParameterError

CUT, END = "1997-09-30", "1998-06-30"
SCORES = {"recency_days": "r_score", "orders": "f_score", "monetary_total": "m_score"}


@pytest.fixture(scope="module")
def tables(cdnow):
    return rfm.rfm_table(cdnow, observation_end=CUT), rfm.rfm_table(cdnow, observation_end=END)


def random_log(rng: np.random.Generator, customers: int, once: float) -> pd.DataFrame:
    """Orders of customers of whom a share bought once; few distinct amounts, hence many ties."""
    count = np.where(rng.random(customers) < once, 1, 1 + rng.poisson(1.5, customers))
    ids = rng.permutation(np.repeat(np.arange(customers), count))
    days = rng.integers(0, 60, len(ids)) * np.timedelta64(1, "D")
    return pd.DataFrame(
        {
            "customer_id": ids,
            "order_date": np.datetime64("2024-01-01") + days,
            "amount": rng.choice([5.0, 10.0, 20.0], len(ids)),
        }
    )


# ------------------------------------------------------------------------------------------ scores
@pytest.mark.parametrize("once", [0.0, 0.5, 0.8, 0.97, 1.0])
@pytest.mark.parametrize("bins", [2, 3, 5, 9])
def test_equal_customers_score_alike_and_better_ones_no_worse(rng, once, bins):
    for _ in range(3):
        table = rfm.rfm_table(random_log(rng, 400, once), observation_end="2024-03-31", bins=bins)
        for measure, score in SCORES.items():
            assert table[score].between(1, bins).all()
            by_value = (
                table.groupby(measure)[score]
                .agg(["min", "max"])
                .sort_index(ascending=measure != "recency_days")
            )
            assert (by_value["min"] == by_value["max"]).all()  # equal values, equal scores
            assert by_value["min"].is_monotonic_increasing  # worst value first
        assert (table["r_score"] == bins).any()  # somebody bought most recently
        if table["orders"].nunique() > 1:
            assert table.loc[table["orders"].idxmax(), "f_score"] == bins  # the top is not empty
        else:
            assert (table["f_score"] == 1).all()
        assert table["segment"].notna().all()


def test_score_is_the_share_of_customers_behind():
    """Five customers, two of them alike: the definition, counted by hand."""
    frame = pd.DataFrame(
        {
            "customer_id": list("ABCDE"),
            "order_date": pd.to_datetime(
                ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-04", "2024-01-05"]
            ),
            "amount": [40.0, 20.0, 20.0, 10.0, 30.0],
        }
    )
    table = rfm.rfm_table(frame, observation_end="2024-01-06").set_index("customer_id")
    assert table["r_score"].tolist() == [1, 3, 3, 4, 5]  # ahead of A: 4 of 5; of B and C: 2 of 5
    assert table["m_score"].tolist() == [5, 2, 2, 1, 4]
    assert table["f_score"].tolist() == [1] * 5
    assert table.loc["A", "rfm_score"] == "115"
    assert table.loc["A", "segment"] == "Lost"


def test_scores_do_not_depend_on_the_order_of_rows(rng):
    frame = random_log(rng, 500, 0.8)
    shuffled = frame.sample(frac=1, random_state=2)
    expected = rfm.rfm_table(frame, observation_end="2024-03-31")
    assert_frame_equal(rfm.rfm_table(shuffled, observation_end="2024-03-31"), expected, check_exact=True)


def test_distinct_values_make_even_groups(rng):
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(1_000),
            "order_date": pd.Timestamp("2024-01-01"),
            "amount": rng.permutation(1_000) + 1.0,
        }
    )
    table = rfm.rfm_table(frame, observation_end="2024-01-31")
    assert table["m_score"].value_counts().to_dict() == dict.fromkeys(range(1, 6), 200)
    assert (table["r_score"] == 5).all()  # all bought as recently as anyone


def test_cdnow_top_scores_are_filled(tables):
    before, after = tables
    assert (before["orders"] == 1).mean() > 0.59
    for table in tables:
        cuts = rfm.cut_points(table)
        assert cuts.groupby("measure")["customers"].sum().eq(len(table)).all()
        assert cuts.groupby("measure")["customer_share"].sum().to_numpy() == pytest.approx(1)
        tops = cuts[cuts["score"] == 5].set_index("measure")["customer_share"]
        assert tops.between(0.1, 0.25).all()
        for measure, ranges in cuts.groupby("measure"):
            ranges = ranges.sort_values("score", ascending=measure != "recency_days")
            assert (ranges["lowest"].to_numpy()[1:] > ranges["highest"].to_numpy()[:-1]).all()  # no overlap
    assert (after["monetary_total"] >= before["monetary_total"] - 1e-9).all()


def test_table_carries_the_values_of_orders(cdnow, tables):
    values = orders.rfm_values(cdnow, observation_end=END)
    assert_frame_equal(tables[1][values.columns.tolist()], values, check_exact=True)
    assert tables[1].attrs["observation_end"] == END
    assert tables[1].attrs["bins"] == 5


# ---------------------------------------------------------------------------------------- segments
@pytest.mark.parametrize("bins", range(2, 10))
def test_shipped_rules_cover_every_cell_once(bins):
    cells = rfm.check_rules(rfm.SEGMENTS, bins)
    assert len(cells) == bins**2
    assert not cells.duplicated(["r_score", "f_score"]).any()
    corners = cells.set_index(["r_score", "f_score"])["segment"]
    assert corners[bins, bins] == "Champions"
    assert corners[1, 1] == "Lost"
    assert corners[bins, 1] == "New customers"
    assert corners[1, bins] == "Cannot lose them"


def test_shipped_segments_have_names_actions_and_colours():
    names = [rule.segment for rule in rfm.SEGMENTS]
    assert len(names) == len(set(names)) <= 10
    assert all(rule.action.endswith(".") for rule in rfm.SEGMENTS)
    assert len({plots.segment_colour(name) for name in names}) == len(names)


def test_a_gap_is_rejected_by_cell():
    rules = [rule for rule in rfm.SEGMENTS if rule.segment != "Need attention"]
    with pytest.raises(ParameterError) as caught:
        rfm.check_rules(rules)
    assert caught.value.faults == (
        "recency score 3, frequency score 2: no segment",
        "recency score 3, frequency score 3: no segment",
    )


def test_an_overlap_is_rejected_by_cell(cdnow_sample):
    rules = [*rfm.SEGMENTS, rfm.Rule("Favourites", 5, 5, 5, 5, "Call them.")]
    with pytest.raises(ParameterError) as caught:
        rfm.rfm_table(cdnow_sample, observation_end=END, rules=rules)
    assert caught.value.faults == ("recency score 5, frequency score 5: Champions and Favourites",)


def test_own_rules_are_used(cdnow_sample):
    rules = [rfm.Rule("Here", 3, 5, 1, 5, "Stay."), rfm.Rule("Away", 1, 2, 1, 5, "Return.")]
    table = rfm.rfm_table(cdnow_sample, observation_end=END, rules=rules)
    assert ((table["r_score"] >= 3) == (table["segment"] == "Here")).all()
    assert rfm.segment_summary(table, rules)["action"].tolist() == ["Stay.", "Return."]


def test_each_customer_has_the_segment_of_its_cell(tables):
    cells = rfm.check_rules(rfm.SEGMENTS)
    for table in tables:
        expected = table[["r_score", "f_score"]].merge(cells, how="left", on=["r_score", "f_score"])[
            "segment"
        ]
        assert table["segment"].astype("str").tolist() == expected.tolist()


def test_summary_adds_up(tables):
    for table in tables:
        summary = rfm.segment_summary(table)
        assert summary["segment"].tolist() == [rule.segment for rule in rfm.SEGMENTS]
        assert summary["customers"].sum() == len(table)
        assert summary["orders"].sum() == table["orders"].sum()
        assert summary["monetary_total"].sum() == pytest.approx(table["monetary_total"].sum())
        assert summary[["customer_share", "monetary_share"]].sum().to_numpy() == pytest.approx([1, 1])
        filled = summary[summary["customers"] > 0]
        mean = (filled["recency_days"] * filled["customers"]).sum() / len(table)
        assert mean == pytest.approx(table["recency_days"].mean())
        assert summary["action"].str.len().gt(10).all()


# --------------------------------------------------------------------------------------- migration
def test_margins_of_migration_add_up(tables):
    before, after = tables
    counts = rfm.segment_migration(before, after)
    sizes = before["segment"].value_counts()
    assert counts.loc[sizes.index].sum(axis=1).eq(sizes).all()
    sizes = after["segment"].value_counts()
    assert counts[list(sizes.index)].sum().eq(sizes.to_numpy()).all()
    assert counts.to_numpy().sum() == len(after)
    assert counts.loc[rfm.NEW].sum() == counts[rfm.GONE].sum() == 0  # CDNOW is one cohort
    shares = rfm.segment_migration(before, after, shares=True).sum(axis=1)
    assert shares[counts.sum(axis=1) > 0].to_numpy() == pytest.approx(1)
    still = before.merge(after, on="customer_id", suffixes=("", "_after"))
    both = (still["segment"].astype("str") == "Champions") & (still["segment_after"].astype("str") == "Loyal")
    assert counts.loc["Champions", "Loyal"] == both.sum() > 0


def test_migration_shows_who_came_and_who_left(tables):
    before, after = tables[0].iloc[100:], tables[1].iloc[:-50]
    counts = rfm.segment_migration(before, after)
    assert counts.loc[rfm.NEW].sum() == 100
    assert counts[rfm.GONE].sum() == 50
    assert counts.to_numpy().sum() == len(tables[1])


def test_migration_refuses_doubled_customers(tables):
    twice = pd.concat([tables[0], tables[0].head(2)])
    with pytest.raises(DataError) as caught:
        rfm.segment_migration(twice, tables[1].drop(columns="segment"))
    assert len(caught.value.faults) == 2
    assert "such as 00001, 00002" in caught.value.faults[0]


@pytest.mark.parametrize("bins", [1, 10, 2.5, "five", True])
def test_bins_out_of_range(cdnow_sample, bins):
    with pytest.raises(ParameterError, match="from 2 to 9"):
        rfm.rfm_table(cdnow_sample, observation_end=END, bins=bins)
