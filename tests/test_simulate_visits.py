"""Visits: the chain of paths, the checkout, the pages by hand; the sessions of a small company."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from recovery import recover_visits
from recovery.estimate import Company

from custkit.simulate import checkout, company, pages, paths, visits
from custkit.simulate.draft import Draft, parameters

GIVEN = parameters("visits")


@pytest.fixture(scope="module")
def before() -> Draft:
    return company.build(3, customers=500, until=company.BLOCKS[company.BLOCKS.index("visits") - 1])


@pytest.fixture(scope="module")
def after(before: Draft) -> Draft:
    drawn = Draft(seed=before.seed, size=before.size, tables=dict(before.tables))
    drawn.tables |= visits.draw(drawn)
    return drawn


@pytest.fixture(scope="module")
def sessions(after: Draft) -> pd.DataFrame:
    return after.tables["sessions"]


def test_chain_of_two_channels_by_hand():
    chain = paths.Chain(
        ["ad", "mail"], np.array([0.6, 0.4]), np.array([[0.0, 0.5], [0.0, 0.0]]), np.array([0.1, 0.2])
    )
    # Through mail 0.2; through ad 0.1 + 0.5 × 0.2 = 0.2. Without ad 0.08, without mail 0.06 are left of 0.2.
    assert chain.conversion() == pytest.approx(0.2)
    assert chain.removal_shares() == pytest.approx(np.array([0.6, 0.7]) / 1.3)
    assert chain.first_touch() == pytest.approx([0.6, 0.4])
    assert chain.last_touch() == pytest.approx([0.3, 0.7])


def test_the_chain_is_that_of_the_curriculum():
    chain = paths.Chain.of(GIVEN["paths"])
    assert chain.removal_shares() == pytest.approx([0.381, 0.188, 0.190, 0.147, 0.094], abs=0.0006)
    assert (chain.start.sum(), (chain.onward.sum(axis=1) + chain.convert <= 1).all()) == (
        pytest.approx(1),
        True,
    )


def test_walks_have_the_touches_that_the_chain_promises(rng):
    chain = paths.Chain.of(GIVEN["paths"])
    won = chain.walk(rng, 20_000, converting=True)
    share = won.groupby("path")["touch"].last().value_counts(normalize=True).sort_index()
    assert share.to_numpy() == pytest.approx(chain.last_touch(), abs=0.012)
    lost = chain.walk(rng, 20_000, converting=False)
    c = chain.conversion()
    touches = (len(won) * c + len(lost) * (1 - c)) / 20_000
    assert touches == pytest.approx(chain.visits().sum(), abs=0.03)
    assert (won.groupby("path")["position"].max() + 1 == won.groupby("path").size()).all()


def test_transition_counts_of_three_paths_by_hand():
    touches = pd.DataFrame(
        {
            "visitor_id": ["V1", "V1", "V2", "V3"],
            "source": ["social", "search", "search", "email"],
            "ordered": [False, True, False, False],
        }
    )
    counts = recover_visits.transitions(touches)
    assert counts[0].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert counts[1].tolist() == [0, 0, 0, 0, 0, 1, 1]  # from search: one order, one gave up
    assert counts[2].tolist() == [1, 0, 0, 0, 0, 0, 0]  # from social: on to search
    assert counts[3].tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_paths_go_to_joiners_of_their_last_channel_where_possible(rng):
    wanted = np.array([0, 0, 0, 1, 1, 2])
    last = np.array([1, 0, 0, 0, 0, 2])
    chosen = paths.match(rng, wanted, np.array([0.2, 5, 5, 5, 5, 5]), last, np.array([1, 3, 1, 3, 3, 2]))
    assert sorted(chosen) == list(range(6))
    assert (last[chosen] == wanted).sum() == 5  # one of channel 1 must take a path of channel 0
    assert chosen[0] == 2  # the joiner of the first days gets the short path


def test_touches_stay_in_the_log_and_end_at_the_first_order(rng):
    draft = Draft(seed=1, size=100)
    touches = paths.Chain.of(GIVEN["paths"]).walk(rng, 400, converting=True)
    ends = rng.uniform(78.001, 104, 400)
    week = pd.Series(paths.times(draft, rng, touches, ends)).groupby(touches["path"])
    assert week.last().to_numpy() == pytest.approx(ends)
    assert week.first().min() >= 78
    assert week.diff().dropna().gt(0).all()
    lost = paths.like(draft, rng, np.array([78.5, 90.0]), 1000)  # flights of weeks 77 to 80 and 89 to 92
    assert np.isin(np.floor(lost), [78, 79, 88, 89, 90, 91]).all()
    assert (lost < 80).mean() == pytest.approx(0.5, abs=0.06)


def test_completion_is_the_product_of_the_steps():
    by_hand = {"A": [0.1, 0.2], "B": [0.5], "new_at_payment": 0.4, "badge": 0.5}
    assert checkout.completion(by_hand, "A", False) == pytest.approx(0.72)
    assert checkout.completion(by_hand, "A", True) == pytest.approx(0.54)
    assert checkout.completion(by_hand, "B", True) == pytest.approx(0.8)


@pytest.mark.parametrize("new", [False, True])
def test_checkouts_drawn_backwards_have_the_hazards(rng, new):
    given, orders = GIVEN["checkout"], 60_000
    done = checkout.passed(given, rng, np.full(orders, new))
    left = checkout.abandoned(given, rng, orders, new)
    entered = pd.concat([done, left], ignore_index=True)
    assert (entered["checkout_variant"] == "A").mean() == pytest.approx(0.5, abs=0.008)
    for arm in checkout.ARMS:
        rows = entered[entered["checkout_variant"] == arm]
        for step, chance in enumerate(checkout.hazards(given, arm, new)):
            there = rows[rows["steps_in_checkout"] >= step]
            gone = (there["steps_in_checkout"] == step) & (there["furthest_step"] < checkout.ORDER)
            assert gone.mean() == pytest.approx(chance, abs=0.006)
        paying = rows["furthest_step"] == checkout.PAYMENT
        assert (rows.loc[paying, "steps_in_checkout"] == len(given[arm]) - 1).all()


def test_nothing_is_abandoned_where_nothing_is_ordered(rng):
    assert checkout.abandoned(GIVEN["checkout"], rng, 0, True).empty
    assert pages.customers_before_checkout(GIVEN, rng, {}).empty


def test_stages_are_chances():
    assert pages.stages(GIVEN).sum(axis=(2, 3)) == pytest.approx(1.0)
    assert pages.of_customers(GIVEN).sum(axis=(1, 2, 3)) == pytest.approx(1.0)


def test_visits_drawn_backwards_have_the_leaks(rng):
    starts = {"phone": 40_000, "desktop": 40_000}
    looks = pages.customers_before_checkout(GIVEN, rng, starts)
    table = pages.of_customers(GIVEN).sum(axis=(1, 2))
    for number, device in enumerate(("phone", "desktop")):
        step = looks.loc[looks["device"] == device, "furthest_step"]
        total = starts[device] + len(step)
        for at in (1, 2, 3):
            assert (step == at).sum() / total == pytest.approx(table[number, at - 1], abs=0.006)


def test_every_online_order_of_the_log_has_its_visit(after, sessions):
    orders = after.tables["orders"]
    online = orders["channel"].isin(["web", "app"]) & (orders["week"] >= 78)
    assert orders.loc[online, "session_id"].is_unique and orders.loc[online, "session_id"].notna().all()
    assert orders.loc[~online, "session_id"].isna().all()
    joined = sessions.dropna(subset="order_id").merge(orders, on="order_id", suffixes=("", "_there"))
    assert len(joined) == online.sum()
    assert (joined["session_id"] == joined["session_id_there"]).all()
    assert (joined["customer_id"] == joined["customer_id_there"]).all()
    assert (joined["started_at"] < joined["ordered_at"]).all()


def test_sessions_keep_their_rules(after, sessions):
    assert sessions["session_id"].is_unique and sessions["started_at"].is_monotonic_increasing
    begin, end = np.datetime64("2025-06-30"), np.datetime64("2025-12-29")
    assert begin <= sessions["started_at"].min() and sessions["started_at"].max() < end
    assert ((sessions["furthest_step"] == 6) == sessions["order_id"].notna()).all()
    entered = sessions["furthest_step"] >= 4
    assert (sessions["checkout_variant"].notna() == entered).all()
    assert (sessions["steps_in_checkout"].notna() == entered).all()
    assert ((sessions["landing"] == "offer") == sessions["page_variant"].notna()).all()
    assert (sessions["search_results"].notna() == sessions["search_term"].notna()).all()
    assert (sessions["content_id"].notna() == sessions["landing"].isin(["blog", "video", "ebook"])).all()
    assert (sessions.loc[sessions["keyword"].notna(), "source"] == "search").all()
    assert (sessions["n_pages"] >= 1).all()
    assert sessions.groupby("visitor_id")["device"].nunique().max() == 1
    linked = sessions.dropna(subset="campaign_id").merge(after.tables["campaigns"], on="campaign_id")
    assert (linked["source"] == linked["channel"]).all()
    assert (linked["start_on"] <= linked["started_at"]).all()
    assert (linked["started_at"] < linked["end_on"] + pd.Timedelta(days=1)).all()


def test_a_path_ends_in_the_channel_that_won_the_customer(after, sessions):
    people = after.tables["people"].set_index("customer_id")
    first = sessions.dropna(subset="order_id")
    first = first[first["started_at"] <= first["customer_id"].map(people["joined_at"])]
    channel = first["customer_id"].map(people["acq_channel"])
    on_path = channel.isin(GIVEN["paths"]["channels"])
    assert on_path.sum() > 20
    assert (first["source"] == channel)[on_path].all()
    assert (first["source"] == "direct")[~on_path].all()
    campaign = first["customer_id"].map(people["acq_campaign_id"])
    assert (first["campaign_id"] == campaign)[on_path & first["campaign_id"].notna()].all()
    touches = sessions[sessions["visitor_id"].isin(first["visitor_id"]) & sessions["customer_id"].isna()]
    last = touches["visitor_id"].map(first.set_index("visitor_id")["started_at"])
    assert (touches["started_at"] < last).all()


def test_nothing_but_channels_of_late_joiners_changes_elsewhere(before, after):
    old, new = before.tables["people"], after.tables["people"]
    pd.testing.assert_frame_equal(
        old.drop(columns=["acq_channel", "acq_campaign_id"]),
        new.drop(columns=["acq_channel", "acq_campaign_id"]),
    )
    early = old["joined_week"] < 78
    pd.testing.assert_frame_equal(old[early], new[early])
    both = (frame.tables["orders"].drop(columns="session_id") for frame in (before, after))
    pd.testing.assert_frame_equal(*both)


def test_the_same_seed_gives_the_same_visits_and_parts_have_their_own_ids(before, sessions):
    again = Draft(seed=before.seed, size=before.size, tables=dict(before.tables))
    pd.testing.assert_frame_equal(visits.draw(again)["sessions"], sessions)
    part = Draft(seed=before.seed, size=before.size, part=2, tables=dict(before.tables))
    other = visits.draw(part)["sessions"]
    assert not set(other["session_id"]) & set(sessions["session_id"])
    assert not set(other["visitor_id"]) & set(sessions["visitor_id"])


def test_estimators_answer_for_every_planted_effect(after):
    found = recover_visits.estimates(Company(after.tables, after.effects, {}))
    margins = {name for name in after.effects if name.endswith(".margin")}  # known, not estimated
    assert {estimate.name for estimate in found} == set(after.effects) - margins
    assert all(np.isfinite([e.value, e.low, e.high]).all() and e.low <= e.value <= e.high for e in found)
