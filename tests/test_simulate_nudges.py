"""Small experiments on single orders: who, when, and that nothing else moves."""

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import company, nudges

SMALL = {"customers": 900}


@pytest.fixture(scope="module")
def draft():
    return company.build(3, until="nudges", **SMALL)


@pytest.fixture(scope="module")
def before():
    return company.build(3, until="purchases", **SMALL)


def test_other_orders_stay_as_they_were(draft, before):
    orders = draft.tables["orders"]
    old = orders[orders["nudge"].isna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(old[before.tables["orders"].columns], before.tables["orders"])


def test_orders_stay_in_order_of_time_and_inside_the_clock(draft):
    weeks = draft.tables["orders"]["week"].to_numpy()
    assert (np.diff(weeks) >= 0).all() and weeks.max() < draft.clock.weeks


def test_extra_orders_are_in_the_hold_out_weeks_of_consenting_test_customers_only(draft):
    orders, people = draft.tables["orders"], draft.tables["people"]
    touched = orders[orders["nudge"].notna() | orders["must_have_category"].notna()]
    assert len(touched) > 10
    assert touched["week"].min() >= draft.clock.calibration_weeks
    who = people.loc[touched["customer"]]
    assert (who["panel"] == "test").all() and who["consent_marketing"].all()


def test_only_treated_arms_get_extra_orders(draft):
    orders, arms = draft.tables["orders"], draft.tables["trial_arms"]
    extra = orders[orders["nudge"].notna()].merge(
        arms, left_on=["customer", "nudge"], right_on=["customer", "experiment_id"], suffixes=("", "_sent")
    )
    assert len(extra) == orders["nudge"].notna().sum()
    assert (extra["week"] >= extra["week_sent"]).all()
    assert set(extra["arm"]) <= {"fixed", "personal", "message", "invited"}


def test_only_guests_of_the_event_order_more(draft):
    orders, arms = draft.tables["orders"], draft.tables["trial_arms"]
    event = arms[arms["experiment_id"] == "EXP-EVENT"].set_index("customer")
    assert event.loc[event["arm"] == "none", "took_part"].isna().all()
    assert event.loc[event["arm"] == "invited", "took_part"].notna().all()
    assert event.loc[orders.loc[orders["nudge"] == "EXP-EVENT", "customer"], "took_part"].all()


def test_arms_are_halves_and_one_row_a_customer(draft):
    arms = draft.tables["trial_arms"]
    assert not arms.duplicated(["customer", "experiment_id"]).any()
    for name in ("EXP-REFILL", "EXP-XSELL", "EXP-BDAY", "EXP-EVENT"):
        counts = arms.loc[arms["experiment_id"] == name, "arm"].value_counts()
        assert len(counts) == 2 and np.ptp(counts.to_numpy()) <= 1


def test_past_orders_by_hand():
    orders = pd.DataFrame({"customer": [0, 2, 0, 0, 0], "week": [1.0, 2.0, 3.0, 6.0, 20.0]})
    past = nudges.past_orders(orders, 3, 10.0)
    assert past["orders"].tolist() == [3, 0, 1]
    assert past["last"].iloc[[0, 2]].tolist() == [6.0, 2.0] and np.isnan(past["last"].iloc[1])
    assert past["interval"].iloc[0] == 2.5 and past["interval"].iloc[1:].isna().all()


def test_ordered_within_by_hand():
    orders = pd.DataFrame({"customer": [0, 1, 1, 2], "week": [5.0, 4.9, 7.0, 6.9]})
    hit = nudges.ordered_within(orders, np.array([0, 1, 2, 3]), np.array([5.0, 5.0, 5.0, 5.0]), 2.0)
    assert hit.tolist() == [True, False, True, False]


def test_same_seed_same_experiments(draft):
    again = company.build(3, until="nudges", **SMALL)
    pd.testing.assert_frame_equal(draft.tables["orders"], again.tables["orders"])
    pd.testing.assert_frame_equal(draft.tables["trial_arms"], again.tables["trial_arms"])
