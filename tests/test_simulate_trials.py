"""Who is in which experiment, what it does to the order rate, and the truth kept of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import company, trial_effects, trials, true_value
from custkit.simulate.draft import parameters

IDS = ["EXP-FREQ", "EXP-JOIN", "EXP-POINTS", "EXP-PROMO", "EXP-WINBACK"]


@pytest.fixture(scope="module")
def draft():
    return company.build(12, customers=3000, until="purchases")


@pytest.fixture(scope="module")
def arms(draft):
    table = draft.tables["trial_arms"]
    return {name: rows.set_index("customer")["arm"] for name, rows in table.groupby("experiment_id")}


def test_every_customer_has_one_arm_in_a_trial(draft, arms):
    table = draft.tables["trial_arms"]
    assert sorted(arms) == IDS
    assert not table.duplicated(["customer", "experiment_id"]).any()
    assert table["arm"].map(type).eq(str).all()
    given = parameters("trials")
    assert sorted(arms["EXP-FREQ"].unique()) == [str(n) for n in given["exp_freq"]["arms"]]
    assert sorted(arms["EXP-PROMO"].unique()) == sorted(given["exp_promo"]["arms"])
    assert sorted(arms["EXP-WINBACK"].unique()) == sorted(given["exp_winback"]["arms"])


def test_arms_of_two_trials_are_independent(arms):
    both = pd.crosstab(arms["EXP-FREQ"], arms["EXP-JOIN"])
    expected = np.outer(both.sum(axis=1), both.sum(axis=0)) / both.to_numpy().sum()
    chi2 = ((both.to_numpy() - expected) ** 2 / expected).sum()
    assert chi2 < 18.5  # 99.9 % point at 4 degrees of freedom


def test_audiences_are_as_described(draft, arms):
    people, orders = draft.tables["people"], draft.tables["orders"]
    messages = arms["EXP-FREQ"].index
    assert people.loc[messages, "consent_marketing"].all()
    last = orders[orders["week"] < 78].groupby("customer")["week"].max()
    assert (78 - last[messages]).max() <= parameters("trials")["active_within"]
    pool = arms["EXP-WINBACK"].index
    last = orders[orders["week"] < 91].groupby("customer")["week"].max()
    assert (91 - last[pool]).min() >= 13
    assert not (people.loc[pool, "unsubscribed_week"] < 91).any()
    members = people.index[people["pilot_member"]]
    assert set(arms["EXP-POINTS"].index) == set(members)
    assert (arms["EXP-JOIN"][members] == "invited").all()


def test_the_invited_alone_join_and_about_as_many_as_comply(draft, arms):
    invited = arms["EXP-JOIN"].index[arms["EXP-JOIN"] == "invited"]
    table = draft.tables["trial_arms"]
    took_part = table[table["took_part"].notna()].set_index("customer")["took_part"].astype(bool)
    assert set(took_part.index) == set(invited)
    assert set(took_part.index[took_part]) == set(draft.tables["people"].query("pilot_member").index)
    share = draft.tables["people"].loc[invited, "pilot_member"].mean()
    given = parameters("trials")["exp_join"]["comply"]
    assert abs(share - given) < 4 * np.sqrt(given * (1 - given) / len(invited))


def test_messages_are_sent_as_planned_until_somebody_unsubscribes(draft, arms):
    cycles = draft.tables["freq_cycles"].sort_values(["customer", "cycle"])
    planned = cycles["customer"].map(arms["EXP-FREQ"]).astype(int)
    left_before = cycles.groupby("customer")["unsubscribed"].cumsum() - cycles["unsubscribed"]
    np.testing.assert_array_equal(cycles["n_sent"], np.where(left_before > 0, 0, planned))
    assert cycles.groupby("customer")["unsubscribed"].sum().max() == 1
    assert not cycles.loc[planned == 0, "unsubscribed"].any()
    assert (cycles.groupby("customer").size() == 6).all()


def test_dose_response_by_hand():
    given = parameters("trials")["exp_freq"]["engaged"]
    s = parameters("trials")["exp_freq"]["saturation"]
    by_hand = 1 + given["lift"] * (1 - np.exp(-4 / s)) - given["fatigue"] * 4
    assert trials.response("engaged", 4) == pytest.approx(by_hand)
    assert trials.response("other", 0) == 1
    best = s * np.log(given["lift"] / (given["fatigue"] * s))
    grid = np.linspace(0, 10, 2001)
    assert grid[trials.response("engaged", grid).argmax()] == pytest.approx(best, abs=0.01)


def test_unsubscribe_chance_by_hand():
    assert trials.unsubscribe_chance(8, False) == pytest.approx(1 / (1 + np.exp(5.2 - 0.35 * 8)))
    assert trials.unsubscribe_chance(0, True) == 0
    assert trials.unsubscribe_chance(2, True) > trials.unsubscribe_chance(2, False)


def test_tier_follows_the_spend_of_52_weeks(draft):
    people, orders = draft.tables["people"], draft.tables["orders"]
    year = orders[(orders["week"] >= 26) & (orders["week"] < 78)]
    spent = year.groupby("customer")["net_amount"].sum().round(2).reindex(people.index, fill_value=0)
    expected = (people["panel"] == "test") & (spent >= parameters("trials")["tier"]["threshold"])
    np.testing.assert_array_equal(people["tier_at_79"], expected)


def test_offers_mark_the_orders_of_their_week(draft, arms):
    orders = draft.tables["orders"]
    marked = orders[orders["promo_arm"].notna()]
    assert marked["week"].between(94, 95, inclusive="left").all()
    assert (marked["promo_arm"].to_numpy() == marked["customer"].map(arms["EXP-PROMO"]).to_numpy()).all()
    assert "none" not in set(marked["promo_arm"])
    low, high = parameters("trials")["exp_promo"]["top_up"]["to"]
    topped = orders[orders["topped_up"]]
    assert len(topped) > 0
    assert topped["net_amount"].between(low, high).all()
    assert (topped["promo_arm"] == "threshold").all()


def test_win_back_marks_first_orders_and_those_brought_back(draft, arms):
    orders, people = draft.tables["orders"], draft.tables["people"]
    marked = orders[orders["winback_arm"].notna()]
    assert not marked["customer"].duplicated().any()
    assert (marked["winback_arm"].to_numpy() == marked["customer"].map(arms["EXP-WINBACK"]).to_numpy()).all()
    brought = orders[orders["reactivated_by"].notna()]
    returned = people["reactivated_week"].dropna()
    np.testing.assert_array_equal(np.sort(brought["customer"]), returned.index)
    np.testing.assert_array_equal(brought.set_index("customer")["week"].sort_index(), returned)
    assert "none" not in set(brought["reactivated_by"])


def test_more_messages_of_the_best_arm_bring_back_more_of_the_lost(draft):
    truth = draft.truth["truth_customers"]
    pool = truth[truth["return_reminder"] > 0]
    given = parameters("trials")["exp_winback"]["arms"]
    quality = pool[pool["churn_reason"] == "quality"]
    assert (quality["return_service_call"] == given["service_call"]["quality"]).all()
    assert (pool["dropped_at"].notna() | pool["reactivated_at"].notna()).all()


def test_truth_adds_up_to_what_happens_without_effects(draft):
    truth = draft.truth["truth_customers"]
    assert len(truth) == 3000 and truth["customer_id"].is_unique
    assert (truth["expected_orders"] >= 0).all()
    gone = draft.tables["people"]["lost_week"] < 78
    assert (truth.loc[gone, "expected_orders"] == 0).all()
    bau = (draft.tables["people"]["panel"] == "bau").to_numpy()
    trial_columns = [
        name
        for name in truth
        if name.startswith(("uplift_", "return_")) and name not in ("uplift_comp_price", "uplift_own_price")
    ]
    assert (truth.loc[bau, trial_columns] == 0).all(axis=None)
    assert (truth["uplift_join"] >= 0).all() and truth["uplift_join"].sum() > 0
    assert (truth["uplift_comp_price"] <= 0).all() and truth["uplift_comp_price"].sum() < 0


def test_rounding_keeps_four_digits():
    table = pd.DataFrame({"value": [0.00123456, 1234.567, -3.14159, np.nan]})
    for name in true_value.FACTORS:
        table[name] = 0.12345
    out = true_value.rounded(table)
    assert out["value"].tolist()[:3] == [0.00123, 1235.0, -3.142]
    assert np.isnan(out["value"][3])
    assert (out["quality"] == 0.12).all()


def test_planted_effects_point_the_right_way(draft):
    value = {name: effect["value"] for name, effect in draft.effects.items()}
    assert value["exp_freq.engaged.optimum"] > value["exp_freq.other.optimum"] + 1
    assert value["exp_join.compliers"] > value["exp_join.invited"] > 0
    assert value["tier.jump"] > 1
    assert value["exp_promo.gift.upper"] > value["exp_promo.gift.lower"] > 1
    assert value["exp_promo.discount.week"] > 2 and value["exp_promo.discount.dip"] < 0.8
    assert value["own_price.sensitive.elasticity"] < value["own_price.other.elasticity"] < 0
    assert value["comp_price.sensitive.again"] < value["comp_price.city.again"] < 0
    assert value["exp_winback.service_call.quality"] > value["exp_winback.coupon20.quality"]


def test_summit_is_found_between_the_points_of_the_grid():
    assert trial_effects._summit(-((trial_effects.GRID - 3.37) ** 2)) == pytest.approx(3.37)
    assert trial_effects._summit(-trial_effects.GRID) == 0
    assert trial_effects._summit(trial_effects.GRID) == trial_effects.GRID[-1]
