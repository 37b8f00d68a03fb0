"""When consumers order: renewals by hand-worked cases, and what the experiments may not touch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import company, history, purchases, true_value
from custkit.simulate.draft import parameters

SEED = 11


@pytest.fixture(scope="module")
def worlds():
    """The same 1,500 customers with all effects, and with none."""
    draft = company.build(SEED, customers=1500, until="people")
    return draft, purchases.draw(draft), purchases.draw(draft, effects=False)


def orders_of(tables, who, before=np.inf):
    orders = tables["orders"].loc[:, ["customer", "week", "net_amount"]]
    kept = np.asarray(who)[orders["customer"]] & (orders["week"] < before)
    return orders[kept].reset_index(drop=True)


def test_orders_follow_a_poisson_process_when_nobody_drops_out():
    n = 4000
    rng = np.random.default_rng(1)
    customer, time, dropped = purchases.renew(rng, np.zeros(n), 10.0, np.full(n, 0.5), np.zeros(n))
    counts = np.bincount(customer, minlength=n)
    assert abs(counts.mean() - 5) < 4 * np.sqrt(5 / n)
    assert abs(counts.var() - 5) < 0.6
    assert np.isnan(dropped).all()
    assert (np.diff(time) >= 0).all() and time.min() > 0 and time.max() < 10


def test_a_customer_whose_every_order_is_the_last_orders_once():
    n = 1000
    customer, time, dropped = purchases.renew(
        np.random.default_rng(1), np.zeros(n), 1000.0, np.ones(n), np.ones(n)
    )
    assert (np.bincount(customer, minlength=n) == 1).all()
    np.testing.assert_array_equal(dropped[customer], time)


def test_multipliers_stretch_time_week_by_week():
    n = 6000
    table = np.tile([1.0, 0.0, 3.0, 1.0], (n, 1))
    _, time, _ = purchases.renew(
        np.random.default_rng(2),
        np.full(n, 20.0),
        24.0,
        np.full(n, 0.4),
        np.zeros(n),
        multiplier=table,
        origin=20,
    )
    counts = np.bincount(np.floor(time).astype(int) - 20, minlength=4)
    assert counts[1] == 0
    expected = np.array([0.4, 1.2, 0.4]) * n
    assert (np.abs(counts[[0, 2, 3]] - expected) < 4 * np.sqrt(expected)).all()


def test_extra_drop_out_acts_in_its_weeks_only():
    n = 5000
    extra = np.tile([0.0, 1.0, 0.0], (n, 1))
    _, _, dropped = purchases.renew(
        np.random.default_rng(3), np.zeros(n), 3.0, np.full(n, 0.7), np.zeros(n), extra_drop=extra
    )
    gone = dropped[~np.isnan(dropped)]
    assert len(gone) > 2000
    assert ((gone >= 1) & (gone < 2)).all()


def test_expected_orders_equal_the_closed_form_and_the_simulation():
    rate, drop, n = 0.3, 0.2, 20000
    table = true_value.expected_orders(np.array([rate]), np.array([drop]), np.ones((1, 26)))
    assert table.sum() == pytest.approx((1 - np.exp(-rate * drop * 26)) / drop)
    customer, _, _ = purchases.renew(
        np.random.default_rng(4), np.zeros(n), 26.0, np.full(n, rate), np.full(n, drop)
    )
    assert len(customer) / n == pytest.approx(table.sum(), abs=4 * 3 / np.sqrt(n))


def test_nothing_happens_before_week_79(worlds):
    _, real, untouched = worlds
    everybody = np.ones(1500, bool)
    before = orders_of(real, everybody, 78.0)
    assert len(before) > 3000
    pd.testing.assert_frame_equal(before, orders_of(untouched, everybody, 78.0), check_exact=True)
    assert (real["trial_arms"]["week"] >= 78.0).all()
    assert not (real["people"]["join_week"] < 78.0).any()


def test_bau_panel_is_untouched_but_for_the_two_price_events(worlds):
    draft, real, untouched = worlds
    people, given = draft.tables["people"], parameters("trials")
    bau = people["panel"] == "bau"
    comp, own = given["comp_price"], given["own_price"]
    elsewhere = bau & ~people["city"].isin([comp["city"], own["city"]])
    pd.testing.assert_frame_equal(
        orders_of(real, elsewhere), orders_of(untouched, elsewhere), check_exact=True
    )
    for event in (comp, own):
        there = bau & (people["city"] == event["city"])
        pd.testing.assert_frame_equal(
            orders_of(real, there, event["start"]),
            orders_of(untouched, there, event["start"]),
            check_exact=True,
        )
        assert not orders_of(real, there).equals(orders_of(untouched, there))


def test_test_panel_is_moved(worlds):
    draft, real, untouched = worlds
    test = draft.tables["people"]["panel"] == "test"
    more = len(orders_of(real, test)) / len(orders_of(untouched, test))
    assert more > 1.03


def test_no_bau_customer_is_in_a_trial(worlds):
    _, real, _ = worlds
    people = real["people"]
    inside = real["trial_arms"]["customer"].unique()
    assert (people["panel"][inside] == "test").all()
    bau = people["panel"] == "bau"
    assert not people.loc[bau, ["pilot_member", "tier_at_79"]].any(axis=None)
    assert people.loc[bau, ["join_week", "reactivated_week", "unsubscribed_week"]].isna().all(axis=None)


def test_orders_are_in_time_and_begin_with_the_first(worlds):
    _, real, _ = worlds
    orders, people = real["orders"], real["people"]
    assert orders["week"].is_monotonic_increasing
    assert orders["week"].between(0, 104, inclusive="left").all()
    first = orders.groupby("customer")["week"].first()
    np.testing.assert_array_equal(first, people["joined_week"])
    assert (orders["net_amount"] > 0).all()
    np.testing.assert_array_equal(orders["net_amount"], orders["net_amount"].round(2))


def test_nobody_orders_after_dropping_out(worlds):
    _, real, _ = worlds
    people, orders = real["people"], real["orders"]
    last = orders.groupby("customer")["week"].last()
    gone = people["dropped_week"].dropna()
    np.testing.assert_array_equal(last[gone.index], gone)
    back = people["reactivated_week"].dropna()
    assert len(back) > 5
    assert (people.loc[back.index, "lost_week"] < back).all()
    assert back.between(91, 99).all()


def test_summary_and_last_order_by_hand():
    orders = pd.DataFrame(
        {
            "customer": [0, 1, 0, 0, 1],
            "week": [1.0, 2.0, 4.0, 9.0, 12.0],
            "net_amount": [5.0, 7.0, 10.0, 30.0, 1.0],
        }
    )
    table = history.summary(orders, 10.0)
    assert table.loc[0].tolist() == [2, 8.0, 9.0, 20.0]
    assert table.loc[1].tolist() == [0, 0.0, 8.0, 0.0]
    assert history.last_order(orders, 3, 10.0).tolist() == [9.0, 2.0, -np.inf]


def test_same_seed_same_orders_and_other_parts_have_other_orders():
    first, again, other = (
        company.build(5, customers=200, part=part, until="purchases").tables["orders"] for part in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["week"].equals(other["week"])
