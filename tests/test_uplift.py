"""Uplift curves and the value of policies: by hand, against truth, and with bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit import experiments
from custkit.errors import DataError, ParameterError


def test_curve_by_hand():
    found = experiments.qini([4, 3, 2, 1], [1, 0, 1, 1], [1, 0, 1, 0])
    # At one half: 1 of 1 treated, 0 of 1 others; at three quarters 2 of 2, 0 of 1; in the end 1 less 1/2.
    assert found.curve["share_contacted"].tolist() == [0, 0.5, 0.75, 1]
    assert found.curve["incremental"].tolist() == [0, 0.5, 0.75, 0.5]
    assert found.curve["random"].tolist() == [0, 0.25, 0.375, 0.5]
    # Above random by 0, 1/4, 3/8, 0.
    assert found.coefficient == pytest.approx(0.25 * 0.5 / 2 + (0.25 + 0.375) * 0.25 / 2 + 0.375 * 0.25 / 2)
    assert found.effect == 0.5
    assert np.isnan(found.low) and "low" not in found.curve


def customers(rng, n):
    """Uplift 0.4 x for x between 0 and 1; buyers without it are those of a small x."""
    x, treated = rng.random(n), rng.random(n) < 0.4
    return x, (rng.random(n) < 0.3 * (1 - x) + 0.4 * x * treated).astype(float), treated


def test_equal_scores_enter_together_and_order_does_not_matter(rng):
    x, outcome, treated = customers(rng, 300)
    assert experiments.qini(np.ones(300), outcome, treated).coefficient == 0
    coarse = np.round(x, 1)
    mixed = rng.permutation(300)
    one, other = (experiments.qini(coarse[i], outcome[i], treated[i]) for i in (np.arange(300), mixed))
    pd.testing.assert_frame_equal(one.curve, other.curve)
    assert len(one.curve) == 12  # 0, then one row for each of 11 scores
    doubled = experiments.qini(10 + 2 * coarse, outcome, treated)
    assert doubled.coefficient == pytest.approx(one.coefficient)


def test_the_coefficient_is_found_and_random_scores_have_none(rng):
    # Sorted by x, the curve is 0.4 (φ − φ²/2) and random 0.2 φ: the area between is 0.4/3 − 0.1 = 1/30.
    held, random = [], []
    for _ in range(120):
        x, outcome, treated = customers(rng, 800)
        found = experiments.qini(x, outcome, treated, draws=60, rng=rng)
        held.append(found.low < 1 / 30 < found.high)
        random.append(experiments.qini(rng.random(800), outcome, treated).coefficient)
    assert 0.86 <= np.mean(held) <= 0.99
    assert abs(np.mean(random)) < 3 * np.std(random) / 120**0.5
    assert {"low", "high"} <= set(found.curve)


def test_qini_refuses_what_it_cannot_judge():
    with pytest.raises(DataError, match="two treated"):
        experiments.qini([1, 2, 3], [1, 0, 1], [0, 0, 1])
    with pytest.raises(DataError, match="True or False"):
        experiments.qini([1, 2, 3], [1, 0, 1], [0, 2, 1])
    with pytest.raises(DataError) as error:
        experiments.qini([1, None, 3], [1, None, 1], [0, 1, 1])
    assert len(error.value.faults) == 2
    with pytest.raises(ParameterError, match="rng"):
        experiments.qini([1, 2, 3, 4], [1, 0, 1, 0], [0, 0, 1, 1], draws=10)


def test_policy_by_hand():
    arm, outcome = pd.Series(list("AAABBB")), pd.Series([1.0, 2, 3, 4, 0, 5])
    rule = pd.Series(list("ABABBA"))  # rows 0, 2, 3 and 4 got what the rule gives
    found = experiments.policy_value(rule, outcome, arm).set_index("policy")
    assert found.loc["policy", "matched"] == 4
    assert found.loc["policy", "value"] == pytest.approx((1 + 3 + 4 + 0) / 4)
    assert found.loc["everybody: A", "value"] == 2
    assert found.loc["everybody: B", "value"] == 3
    assert found.loc["everybody: A", "std_error"] == pytest.approx(np.sqrt(2 / 3 / 3))
    assert found.attrs["best_arm"] == "B"
    assert found.loc["everybody: B", ["difference", "difference_std_error"]].tolist() == [0, 0]
    assert found.loc["policy", "difference"] == -1
    # With the lot at 1 to 2, an A that matched stands for three and a B for one and a half.
    uneven = experiments.policy_value(rule, outcome, arm, shares={"A": 1, "B": 2})
    assert uneven.loc[0, "value"] == pytest.approx((3 * 4 + 1.5 * 4) / 9)


def test_where_two_rules_agree_nothing_is_uncertain(rng):
    arm = pd.Series(rng.choice(["A", "B"], 200))
    outcome = pd.Series(rng.normal(size=200)) + (arm == "B")
    found = experiments.policy_value({"all B": pd.Series(["B"] * 200)}, outcome, arm)
    assert found.loc[0, "difference"] == found.loc[0, "difference_std_error"] == 0
    mixed = rng.permutation(200)
    again = experiments.policy_value(
        {"all B": pd.Series(["B"] * 200)},
        outcome[mixed].reset_index(drop=True),
        arm[mixed].reset_index(drop=True),
    )
    pd.testing.assert_frame_equal(found, again)


def test_the_value_of_a_rule_and_its_gain_are_found(rng):
    held = []
    for _ in range(120):
        x, arm = rng.normal(size=600), rng.choice(["A", "B", "C"], 600, p=[0.3, 0.5, 0.2])
        outcome = rng.normal(size=600) + np.select([arm == "A", arm == "B"], [3 * (x > 0), x <= 0], 0.2)
        rules = pd.DataFrame({"best": np.where(x > 0, "A", "B"), "worst": np.where(x > 0, "B", "A")})
        found = experiments.policy_value(rules, outcome, arm)
        assert found.attrs["best_arm"] == "A"
        true, gain = np.array([2, 0, 1.5, 0.5, 0.2]), np.array([0.5, -1.5, 0, -1, -1.3])
        held.append(found["low"].lt(true) & found["high"].gt(true))
        held.append(found["difference_low"].le(gain) & found["difference_high"].ge(gain))
    values, gains = pd.DataFrame(held[::2]).mean(), pd.DataFrame(held[1::2]).mean()
    assert values.between(0.88, 1).all(), values
    assert gains.drop(2).between(0.88, 1).all() and gains[2] == 1, gains


def test_policy_value_refuses_what_it_cannot_judge():
    outcome, arm = [1.0, 2, 3, 4], list("AABB")
    with pytest.raises(DataError, match="policy gives 'C', to which nobody was drawn"):
        experiments.policy_value(list("ABCA"), outcome, arm)
    with pytest.raises(DataError, match="policy is missing in 1 of 4 rows"):
        experiments.policy_value(["A", None, "B", "B"], outcome, arm)
    with pytest.raises(DataError, match="cannot be judged"):
        experiments.policy_value(list("BBAA"), outcome, arm)
    with pytest.raises(ParameterError) as error:
        experiments.policy_value(list("AABB"), outcome, arm, shares={"A": 0})
    assert len(error.value.faults) == 2
    with pytest.raises(ParameterError, match="name each rule"):
        experiments.policy_value({"arm": list("AABB")}, outcome, arm)
