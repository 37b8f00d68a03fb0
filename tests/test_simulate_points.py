"""The points programme of the simulated company: a ledger, first in, first out."""

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import points
from custkit.simulate.company import build
from custkit.simulate.draft import Draft, parameters


@pytest.fixture(scope="module")
def draft() -> Draft:
    return build(5, customers=900, until="baskets")


class Always:
    """Random numbers that make every chance come true, or none."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self, size):
        return np.full(size, self.value)


GIVEN = {"life_weeks": 8, "least": 200, "step": 100}
GIVEN |= {"redeem_chance": 0.2, "reminder_span": 4, "reminder_effect": 0.2}


def test_points_are_redeemed_oldest_first_and_expire():
    week = np.array([[80.0, 81.0, 82.0, 89.5, 89.6]])
    earned = np.array([[150, 130, 500, 10, 0]])
    orders = np.ones(week.shape, bool)
    redeemed, _ = points.redeem(Always(0.0), GIVEN, week, earned, orders, reminded=np.array([False]))
    # 82.0: 280 points, 200 go (150 of the first lot, 50 of the second). At 89.5 the lots of weeks 80 and 81
    # have expired with the 80 points left, and the 500 are there; the 10 then earned are too few.
    assert redeemed.tolist() == [[0, 0, 200, 500, 0]]


def test_nothing_is_redeemed_where_chance_says_no():
    week, earned = np.array([[80.0, 81.0]]), np.array([[900, 0]])
    redeemed, _ = points.redeem(
        Always(0.5), GIVEN, week, earned, np.ones((1, 2), bool), reminded=np.array([True])
    )
    assert redeemed.sum() == 0


def test_a_reminder_raises_the_chance_of_the_next_order_only():
    week = np.array([[79.0, 80.0, 86.0, 86.5, 87.0]])
    earned = np.array([[50, 300, 0, 400, 0]])
    is_order = np.array([[True, True, False, True, True]])
    for reminded, expected in ((True, [0, 0, 0, 300, 0]), (False, [0, 0, 0, 0, 0])):
        redeemed, expiring = points.redeem(
            Always(0.3), GIVEN, week, earned, is_order, reminded=np.array([reminded])
        )
        assert redeemed.tolist() == [expected]
        assert expiring.tolist() == [[0, 0, 350, 0, 0]]


def fifo_balances(draft: Draft) -> pd.DataFrame:
    """Balance before each order of a member, one lot after the other, as a by-hand ledger would."""
    life, orders = parameters("baskets")["points"]["life_weeks"], draft.tables["orders"]
    rows = []
    for _, own in orders[orders["points_earned"] + orders["points_redeemed"] > 0].groupby("customer"):
        lots = []
        for week, earned, redeemed in own[["week", "points_earned", "points_redeemed"]].to_numpy():
            lots = [lot for lot in lots if lot[0] + life > week]
            rows.append((sum(left for _, left in lots), redeemed))
            for lot in lots:
                used = min(lot[1], redeemed)
                lot[1], redeemed = lot[1] - used, redeemed - used
            lots.append([week, earned])
    return pd.DataFrame(rows, columns=["balance", "redeemed"])


def test_no_redemption_exceeds_the_balance(draft):
    ledger = fifo_balances(draft)
    assert (ledger["redeemed"] > 0).sum() >= 5
    assert (ledger["redeemed"] <= ledger["balance"]).all()
    assert (ledger.loc[ledger["redeemed"] > 0, "balance"] >= 200).all()


def test_only_pilot_members_earn_from_the_day_they_joined(draft):
    people, orders = draft.tables["people"], draft.tables["orders"]
    joined = people["join_week"].to_numpy()[orders["customer"]]
    earns = orders["week"] >= np.nan_to_num(joined, nan=np.inf)
    assert ((orders["points_earned"] > 0) <= earns).all()
    plain = earns & (orders["week"] < parameters("trials")["exp_points"]["start"])
    assert (orders["points_earned"] == np.floor(orders["net_amount"]))[plain].all()
    assert (orders.loc[~earns, "points_redeemed"] == 0).all()
    assert orders["week"][orders["points_earned"] > 0].min() >= draft.clock.calibration_weeks


def test_redeemed_points_are_part_of_the_discount(draft):
    orders = draft.tables["orders"]
    value = parameters("baskets")["points"]["value"]
    assert np.allclose(orders["discount"], orders["coupon"] + value * orders["points_redeemed"])


def test_reminders_go_to_members_with_points_that_expire(draft):
    reminders, people = draft.tables["points_reminders"], draft.tables["people"]
    assert people["pilot_member"].to_numpy()[reminders["customer"]].all()
    assert (reminders["points"] > 0).all() and not reminders.duplicated(["customer", "week"]).any()
    arms = draft.tables["trial_arms"].query("experiment_id == 'EXP-EXPIRY'").set_index("customer")["arm"]
    assert arms.index.is_unique and (arms[reminders["customer"]].to_numpy() == reminders["arm"]).all()
