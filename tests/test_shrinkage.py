"""Shrinkage: by hand, against truth, at the edges, and with bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit import shrinkage
from custkit.errors import DataError, ParameterError


def test_rates_are_the_mean_of_prior_and_own_data():
    hits, trials = pd.Series([2, 30, 9, 0], list("abcd")), pd.Series([10, 60, 90, 0], list("abcd"))
    found = shrinkage.shrink_rates(hits, trials)
    m, s = found.attrs["prior_mean"], found.attrs["prior_strength"]
    assert found.index.tolist() == list("abcd")
    assert found["shrunk"].tolist() == pytest.approx(((hits + m * s) / (trials + s)).tolist())
    assert found["own_weight"].tolist() == pytest.approx((trials / (trials + s)).tolist())
    assert found["rate"].tolist()[:3] == [0.2, 0.5, 0.1] and np.isnan(found.loc["d", "rate"])
    assert found.loc["d", "shrunk"] == pytest.approx(m)
    assert (found["low"] < found["shrunk"]).all() and (found["shrunk"] < found["high"]).all()


def test_what_is_not_known_of_the_prior_mean_counts_by_its_weight():
    # 5 of 10 and a prior worth 10 trials: half own; beta(10, 10) has variance 0.25 / 21.
    centre, variance = shrinkage._rates_moments(np.array([5.0]), np.array([10.0]), 10.0, 0.5, 0.04)
    assert (centre[0], variance[0]) == pytest.approx((0.5, 0.25 / 21 + 0.25 * 0.04))


def test_the_prior_of_the_rates_is_the_likeliest():
    from scipy import stats

    hits, trials = np.array([2, 30, 9, 14]), np.array([10, 60, 90, 30])
    found = shrinkage.shrink_rates(hits, trials)

    def likelihood(mean, strength):
        return stats.betabinom.logpmf(hits, trials, mean * strength, (1 - mean) * strength).sum()

    # With the mean integrated out, so that the strength is a little below that of the joint maximum.
    m, s = found.attrs["prior_mean"], found.attrs["prior_strength"]
    assert likelihood(m, s) >= max(likelihood(m * f, s) for f in (0.98, 1.02))
    best = max(likelihood(a, b) for a in np.linspace(0.1, 0.6, 51) for b in np.geomspace(0.5, 500, 60))
    assert best - likelihood(m, s) < 0.5


def test_means_by_hand():
    # Errors of 1, means 4 apart: REML takes the variance of the two, 8, less the 1 of the errors.
    found = shrinkage.shrink_means([0, 4], [1, 1])
    assert found.attrs["tau"] == pytest.approx(7**0.5, abs=1e-4)
    assert found.attrs["prior_mean"] == pytest.approx(2)
    assert found["own_weight"].tolist() == pytest.approx([7 / 8] * 2, abs=1e-5)
    assert found["shrunk"].tolist() == pytest.approx([0.25, 3.75], abs=1e-4)
    assert found["mean"].tolist() == [0, 4]


def test_eight_schools():
    """Rubin (1981): the likeliest spread is 0; averaged over it, the first school is at about 11 ± 8."""
    effects, errors = [28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18]
    found = shrinkage.shrink_means(effects, errors)
    assert found.attrs["tau"] == 0
    assert found["shrunk"].tolist() == pytest.approx([7.686] * 8, abs=1e-3)
    assert found[["low", "high"]].iloc[0].mean() == pytest.approx(11.2, abs=0.6)
    assert (found["high"] - found["low"]).iloc[0] / 3.92 == pytest.approx(8.2, abs=0.6)


@pytest.mark.parametrize(
    "found",
    [
        shrinkage.shrink_rates([10, 10, 10], [100, 100, 100]),
        shrinkage.shrink_rates([5, 10], [50, 100]),
        shrinkage.shrink_rates([0, 0, 0], [10, 20, 0]),
        shrinkage.shrink_rates([10, 20], [10, 20]),
        shrinkage.shrink_means([3, 3, 3], [1, 2, 1]),
    ],
)
def test_groups_that_are_equal_are_shrunk_altogether(found):
    assert (found["own_weight"] == 0).all()
    assert found["shrunk"].to_numpy() == pytest.approx(found.iloc[0, 0])
    assert (found["low"] <= found["shrunk"]).all() and (found["shrunk"] <= found["high"]).all()
    assert (found["low"] < found["high"]).all()
    assert found.attrs.get("tau", 0) == 0 and np.isinf(found.attrs.get("prior_strength", np.inf))


def test_groups_far_apart_keep_their_own():
    found = shrinkage.shrink_rates([0, 1000], [1000, 1000])
    assert found["shrunk"].tolist() == pytest.approx([0, 1], abs=0.01)
    assert found["high"][0] < 0.05 and found["low"][1] > 0.95
    assert shrinkage.shrink_means([0, 1e4], [1, 1])["shrunk"].tolist() == pytest.approx([0, 1e4], abs=0.1)


def test_the_order_of_groups_changes_nothing(rng):
    hits, trials = pd.Series(rng.binomial(40, 0.3, 12)), pd.Series([40] * 12)
    mixed = rng.permutation(12)
    one = shrinkage.shrink_rates(hits, trials)
    other = shrinkage.shrink_rates(hits[mixed], trials[mixed]).sort_index()
    pd.testing.assert_frame_equal(one, other, rtol=1e-4)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.15])
def test_shrunk_rates_are_nearer_the_truth_and_their_intervals_hold_it(rng, spread):
    held, own, shrunk = [], [], []
    for _ in range(30):
        s = 0.2 * 0.8 / spread**2 - 1 if spread else None
        true = rng.beta(0.2 * s, 0.8 * s, 12) if spread else np.full(12, 0.2)
        trials = rng.integers(10, 80, 12)
        found = shrinkage.shrink_rates(rng.binomial(trials, true), trials)
        held.append((found["low"] <= true) & (true <= found["high"]))
        own.append(((found["rate"] - true) ** 2).mean())
        shrunk.append(((found["shrunk"] - true) ** 2).mean())
    assert 0.92 <= np.mean(held) <= (0.995 if spread else 1)  # with no spread to find, they are wide
    assert np.mean(shrunk) < (0.9 if spread > 0.1 else 0.75) * np.mean(own)


@pytest.mark.parametrize("tau", [0.0, 1.0, 3.0])
def test_shrunk_means_are_nearer_the_truth_and_their_intervals_hold_it(rng, tau):
    held, own, shrunk = [], [], []
    for _ in range(80):
        true, errors = rng.normal(5, tau, 10), rng.uniform(0.5, 2.5, 10)
        found = shrinkage.shrink_means(rng.normal(true, errors), errors)
        held.append((found["low"] <= true) & (true <= found["high"]))
        own.append(((found["mean"] - true) ** 2).mean())
        shrunk.append(((found["shrunk"] - true) ** 2).mean())
    assert 0.92 <= np.mean(held) <= (0.995 if tau else 1)  # with no spread to find, they are wide
    assert np.mean(shrunk) < 0.95 * np.mean(own)


def test_groups_that_cannot_be_shrunk_are_named():
    for successes, trials, message in (
        ([1], [10], "two groups with trials"),
        ([1, 0], [10, 0], "two groups with trials"),
        ([11, 1], [10, 10], "successes exceed trials in 1 groups"),
        ([-1, 1], [10, 10], "must not be negative"),
        ([1, None], [10, 10], "successes is missing in 1 of 2 rows"),
        ([1, 2], [10, 10, 10], "trials has 3 values and successes 2"),
        (["a", "b"], [10, 10], "successes must be numbers"),
    ):
        with pytest.raises(DataError, match=message):
            shrinkage.shrink_rates(successes, trials)
    for means, errors, message in (
        ([1], [1], "two groups"),
        ([1, 2], [1, 0], "std_errors must be above 0; 1 are not"),
        ([1, None], [1, 1], "means is missing"),
    ):
        with pytest.raises(DataError, match=message):
            shrinkage.shrink_means(means, errors)
    with pytest.raises(DataError) as error:
        shrinkage.shrink_means([1], [-1])
    assert len(error.value.faults) == 2
    with pytest.raises(ParameterError, match="level"):
        shrinkage.shrink_means([1, 2], [1, 1], level=2)
