"""sBG and BG/BB: against direct sums, lifetimes, simulated truth, and on impossible input."""

from __future__ import annotations

import dataclasses
import itertools
import warnings

import numpy as np
import pandas as pd
import published_models as models
import pytest

from custkit import clv
from custkit.errors import DataError, ModelError, ParameterError

HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491]


def donors_at(n, rng, alpha, beta, gamma, delta, periods):
    """Simulate BG/BB customers over `periods` occasions: a table of who bought when, n by periods."""
    buy, leave = rng.beta(alpha, beta, n), rng.beta(gamma, delta, n)
    here = (rng.random((n, periods)) >= leave[:, None]).cumprod(axis=1).astype(bool)
    return here & (rng.random((n, periods)) < buy[:, None])


def summarise(bought):
    last = np.where(bought.any(axis=1), bought.shape[1] - bought[:, ::-1].argmax(axis=1), 0)
    return pd.DataFrame(
        {"frequency": bought.sum(axis=1), "recency": last, "periods": bought.shape[1]}, dtype=float
    )


# sBG ----------------------------------------------------------------------------------------------------


def test_sbg_against_direct_sums() -> None:
    model = clv.fit_sbg(HIGH_END)
    n = np.arange(2000)
    survival = model.predict_survival(n)
    assert survival[0] == 1 and (np.diff(survival) < 0).all()
    np.testing.assert_allclose(model.predict_retention_rate(n[1:]), survival[1:] / survival[:-1], rtol=1e-10)
    for renewals, rate in itertools.product((0, 3, 7), (0.05, 0.1, 0.5)):
        later = np.arange(renewals + 1, 900)
        direct = (survival[later] / survival[renewals] / (1 + rate) ** (later - renewals - 1)).sum()
        assert model.predict_discounted_renewals(renewals, rate) == pytest.approx(direct, rel=1e-10)


def test_sbg_forms_of_input_agree() -> None:
    model = clv.fit_sbg(HIGH_END)
    years = pd.Series(HIGH_END, index=range(1990, 1998))
    np.testing.assert_allclose(clv.fit_sbg(years).params, model.params, rtol=1e-12)
    half = np.array(HIGH_END) / 2
    np.testing.assert_allclose(clv.fit_sbg([half, half]).params, model.params, rtol=1e-9)
    assert model.convergence["converged"] and model.convergence["starts_agreeing"] == 3


def test_sbg_recovers_truth() -> None:
    errors = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        leave = rng.beta(0.8, 2.5, 4000)
        gone = rng.geometric(leave)
        counts = [int((gone > t).sum()) for t in range(9)]
        model = clv.fit_sbg(counts)
        errors.append(np.log(model.params / [0.8, 2.5]) / np.sqrt(np.diag(model.covariance)))
    assert (np.abs(errors) < 3.5).all()
    assert 0.85 <= (np.abs(errors) < 1.96).mean() <= 1


@pytest.mark.parametrize("counts", [[1000, 800], [1000, 0], [100, 100, 50], [5, 4]])
def test_sbg_on_too_little_says_so(counts) -> None:
    """Two parameters from one or two numbers: no crash, and no false certainty."""
    model = clv.fit_sbg(counts)
    assert not model.convergence["converged"] or (model.std_errors > model.params).any()
    assert np.isfinite(model.predict_survival(np.arange(5))).all()


@pytest.mark.parametrize(
    ("counts", "faults"),
    [([], 1), ([5], 1), ([5, 6], 1), ([5, np.nan], 1), ([5, -1], 1), ([[5, 6], [9, 8], [3]], 2)],
)
def test_sbg_impossible_cohorts(counts, faults) -> None:
    with pytest.raises(DataError, match="still there") as caught:
        clv.fit_sbg(counts)
    assert len(caught.value.faults) == faults


def test_sbg_declines() -> None:
    with pytest.raises(ModelError, match="nobody has left"):
        clv.fit_sbg([100, 100, 100])
    model = clv.fit_sbg(HIGH_END)
    for call in (
        lambda: model.predict_survival(-1),
        lambda: model.predict_retention_rate(0),
        lambda: model.predict_discounted_renewals(-1, 0.1),
        lambda: model.predict_discounted_renewals(1, 0),
        lambda: model.predict_discounted_renewals(1, np.nan),
    ):
        with pytest.raises(ParameterError):
            call()


# BG/BB --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_bgbb_same_as_lifetimes() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoBetaBinomFitter

        table = models.donations()
        columns = (table.frequency, table.recency, table.periods)
        peer = BetaGeoBetaBinomFitter().fit(*columns, table.customers)
        model = models.bgbb()
        np.testing.assert_allclose(model.params, peer.params_, rtol=1e-3)
        value = (peer._loglikelihood(peer.params_.to_numpy(), *columns) * table.customers).sum()
        assert model.log_likelihood == pytest.approx(value, rel=1e-6)
        moved = dataclasses.replace(model, params=pd.Series(peer.params_.to_numpy(), model.params.index))
        # lifetimes asks for the chance `m_periods_in_future` occasions ahead; the next one is 1
        alive = peer.conditional_probability_alive(1, *columns)
        np.testing.assert_allclose(moved.predict_p_alive(table), alive, rtol=1e-9)
        more = peer.conditional_expected_number_of_purchases_up_to_time(5, *columns)
        np.testing.assert_allclose(moved.predict_purchases(table, 5), more, rtol=1e-9)
        expected = peer.expected_number_of_transactions_in_first_n_periods(6)
        ours = moved.purchase_probabilities(np.arange(7), 6) * table.customers.sum()
        np.testing.assert_allclose(ours, expected.to_numpy().ravel()[-7:], rtol=1e-8)


def test_bgbb_probabilities_add_up_at_any_length() -> None:
    for periods in (0, 1, 6, 60, 2000):
        n = np.arange(periods + 1)
        chance = models.bgbb().purchase_probabilities(n, periods)
        assert (chance >= 0).all()
        assert chance.sum() == pytest.approx(1, abs=1e-9)
        assert chance @ n == pytest.approx(models.bgbb().predict_new_customer(periods), rel=1e-8, abs=1e-12)
    assert models.bgbb().purchase_probabilities(np.array([7, 3]), 6)[0] == 0


def test_bgbb_forecasts_what_happens() -> None:
    rng = np.random.default_rng(3)
    bought = donors_at(60_000, rng, 1.2, 0.75, 0.66, 2.8, 11)
    table = summarise(bought[:, :6])
    model = models.bgbb_at(1.2, 0.75, 0.66, 2.8)
    table["error"] = bought[:, 6:].sum(axis=1) - model.predict_purchases(table, 5)
    groups = table.groupby(["frequency", "recency"]).error
    large = groups.size() > 200
    assert (groups.mean() / groups.std() * groups.size() ** 0.5)[large].abs().max() < 4
    assert model.predict_p_alive(table).between(0, 1).all()


def test_bgbb_recovers_truth() -> None:
    truth, errors = np.array([1.2, 0.75, 0.66, 2.8]), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        model = clv.fit_bgbb(summarise(donors_at(4000, rng, *truth, 8)))
        errors.append(np.log(model.params / truth) / np.sqrt(np.diag(model.covariance)))
    assert (np.abs(errors) < 3.5).all()
    assert 0.85 <= (np.abs(errors) < 1.96).mean() <= 1


def test_bgbb_rows_or_weights() -> None:
    table = models.donations()
    rows = table.loc[table.index.repeat(table.customers), ["frequency", "recency", "periods"]]
    one = clv.fit_bgbb(rows.sample(frac=1, random_state=1))
    np.testing.assert_allclose(one.params, models.bgbb().params, rtol=1e-9)
    assert one.customers == models.bgbb().customers == 11_104
    predicted = one.predict_purchases(rows.reset_index(drop=True), 5).sum()
    assert predicted == pytest.approx(models.donations_expected(), rel=1e-9)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((2, 1, 6), "not 0 <= frequency <= recency <= periods"),
        ((1, 7, 6), "not 0 <= frequency <= recency <= periods"),
        ((-1, 0, 6), "not 0 <= frequency <= recency <= periods"),
        ((0, 3, 6), "recency 0 at frequency 0"),
        ((1, np.nan, 6), "first at row 1"),
        ((1, 2.5, 6), "not whole numbers"),
    ],
)
def test_bgbb_impossible_rows(row, says) -> None:
    table = models.donors((1, 1, 6), row)
    for call in (
        clv.fit_bgbb,
        models.bgbb().predict_p_alive,
        lambda t: models.bgbb().predict_purchases(t, 2),
    ):
        with pytest.raises(DataError, match=says):
            call(table)


def test_bgbb_declines() -> None:
    with pytest.raises(ModelError, match="no customer bought again"):
        clv.fit_bgbb(models.donors((0, 0, 6), (0, 0, 6)))
    with pytest.raises(DataError, match="lacks recency, periods"):
        clv.fit_bgbb(pd.DataFrame({"frequency": [1]}))
    with pytest.raises(DataError, match="no customers"):
        clv.fit_bgbb(models.donors())
    with pytest.raises(DataError, match="column customers"):
        clv.fit_bgbb(models.donations().assign(customers=-1))
    for periods in (-1, 1.5, np.nan, [1, 2]):
        with pytest.raises(ParameterError, match="whole number of occasions"):
            models.bgbb().predict_new_customer(periods)
