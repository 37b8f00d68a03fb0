"""Value models against lifetimes, against simulated truth, and on input that cannot carry a model."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import published_models as models
import pytest
from scipy.optimize import minimize
from value_simulators import TRUE_BG, TRUE_PARETO, mean_spends, purchases_bg, purchases_pareto

from custkit import clv
from custkit.errors import DataError, ModelError, ParameterError
from custkit.purchase_models import fit_purchases

PURCHASE_FITS = [clv.fit_bgnbd, clv.fit_mbgnbd, clv.fit_pareto_nbd]
RATES = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": 12}


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    return models.sample_weeks()


@pytest.fixture(scope="module")
def lifetimes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes

        yield lifetimes


# lifetimes ----------------------------------------------------------------------------------------------


def peer_fit(lifetimes, name, *columns, **options):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return getattr(lifetimes, name)().fit(*columns, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (models.bg, "BetaGeoFitter", {}),
        (models.mbg, "ModifiedBetaGeoFitter", {}),
        (models.pareto, "ParetoNBDFitter", {"tol": 1e-8, "maxiter": 5000}),
    ],
)
def test_same_as_lifetimes(lifetimes, summary, ours, name, options) -> None:
    model, columns = ours(), (summary.frequency, summary.recency, summary["T"])
    peer = peer_fit(lifetimes, name, *columns, **options)
    np.testing.assert_allclose(model.params, peer.params_, rtol=1e-3)

    at_peer = dataclasses.replace(model, params=pd.Series(peer.params_.to_numpy(), model.params.index))
    if name == "ParetoNBDFitter":
        value = peer._conditional_log_likelihood(peer.params_.to_numpy(), *columns).sum()
        chances = peer.conditional_probability_of_n_purchases_up_to_time(2, 39, 0, 0, 0)
        assert at_peer.purchase_probabilities(2, 39) == pytest.approx(chances, rel=1e-8)
    else:
        value = -len(summary) * peer._negative_log_likelihood(
            np.log(peer.params_.to_numpy()), *columns, np.ones(len(summary)), 0
        )
        n = np.arange(12)
        chances = [float(np.squeeze(peer.probability_of_n_purchases_up_to_time(39, k))) for k in n]
        np.testing.assert_allclose(at_peer.purchase_probabilities(n, 39), chances, rtol=1e-8)
    assert model.log_likelihood == pytest.approx(value, rel=1e-6)
    assert model.log_likelihood >= value - 1e-6  # nobody finds a better optimum

    np.testing.assert_allclose(
        at_peer.predict_p_alive(summary), peer.conditional_probability_alive(*columns), rtol=1e-9
    )
    np.testing.assert_allclose(
        at_peer.predict_purchases(summary, 39),
        peer.conditional_expected_number_of_purchases_up_to_time(39, *columns),
        rtol=1e-7,
    )
    new = [peer.expected_number_of_purchases_up_to_time(t) for t in (1, 39, 78)]
    np.testing.assert_allclose(
        at_peer.predict_new_customer(np.array([1, 39, 78])), np.squeeze(new), rtol=1e-9
    )


@pytest.mark.filterwarnings("ignore")
def test_gamma_gamma_same_as_lifetimes(lifetimes, summary) -> None:
    buyers, model = summary[summary.frequency > 0], models.spend()
    peer = peer_fit(lifetimes, "GammaGammaFitter", buyers.frequency, buyers.monetary_value)
    np.testing.assert_allclose(model.params, peer.params_, rtol=1e-3)
    value = -len(buyers) * peer._negative_log_likelihood(
        np.log(peer.params_.to_numpy()), buyers.frequency, buyers.monetary_value, np.ones(len(buyers)), 0
    )
    assert model.log_likelihood == pytest.approx(value, rel=1e-6)
    at_peer = dataclasses.replace(model, params=pd.Series(peer.params_.to_numpy(), model.params.index))
    np.testing.assert_allclose(
        at_peer.predict_spend(summary),
        peer.conditional_expected_average_profit(summary.frequency, summary.monetary_value),
        rtol=1e-9,
    )


@pytest.mark.filterwarnings("ignore")
def test_pareto_where_lifetimes_has_no_number(lifetimes) -> None:
    """From 132 purchases on lifetimes gives NaN (its own test fails there); the curve goes on smoothly."""
    peer = lifetimes.ParetoNBDFitter()
    params = (0.55, 10.58, 0.61, 11.67)
    peer.params_ = pd.Series(params, ["r", "alpha", "s", "beta"])
    x = np.arange(125, 140)
    with np.errstate(all="ignore"):
        theirs = [
            np.squeeze(peer.conditional_expected_number_of_purchases_up_to_time(10, k, 200, 200)) for k in x
        ]
    ours = models.pareto_at(*params).predict_purchases(models.customers(*((k, 200, 200) for k in x)), 10)
    assert np.isnan(theirs)[x >= 132].all()
    np.testing.assert_allclose(ours[x < 132], np.array(theirs)[x < 132], rtol=1e-9)
    np.testing.assert_allclose(np.diff(ours), np.diff(ours).mean(), rtol=0.02)


# Convergence --------------------------------------------------------------------------------------------


def nelder_mead(fit_name, summary):
    """Maximise the same likelihood without gradients or patterns, from a plain start."""
    found = {}

    def optimise(make, weights, names, starts, units=None, model=""):
        objective = make(weights)
        options = {"xatol": 1e-5, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}
        result = minimize(
            lambda t: objective(t)[0], np.zeros(len(names)), method="Nelder-Mead", options=options
        )
        found["params"] = np.exp(result.x) * (1 if units is None else np.asarray(units))
        raise StopIteration

    module = {"fit_gamma_gamma": "custkit.spend_model"}.get(fit_name, "custkit.purchase_models")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopIteration):
        patch.setattr(f"{module}.maximise", optimise)
        getattr(clv, fit_name)(summary)
    return found["params"]


@pytest.mark.parametrize("name", ["fit_bgnbd", "fit_mbgnbd", "fit_pareto_nbd", "fit_gamma_gamma"])
def test_second_optimiser_agrees(name, summary) -> None:
    model = getattr(clv, name)(summary)
    np.testing.assert_allclose(model.params, nelder_mead(name, summary), rtol=1e-3)
    report = model.convergence
    assert report["converged"] is True
    assert report["gradient_norm"] < 1e-9 and report["still_to_gain"] < 1e-9
    assert report["starts_agreeing"] == report["starts"] == 3
    assert (model.std_errors > 0).all()


@pytest.mark.parametrize("fit", PURCHASE_FITS, ids=lambda fit: fit.__name__)
def test_flat_likelihood_says_so(fit) -> None:
    """Everybody buys at one rate and nobody ever leaves: the parameters run off, the forecasts do not."""
    rng = np.random.default_rng(1)
    T = rng.integers(20, 60, 2000).astype(float)
    x = rng.poisson(0.2 * T)
    recency = np.where(x > 0, T * rng.beta(np.maximum(x, 1), 1), 0)
    table = pd.DataFrame({"frequency": x, "recency": recency, "T": T})
    model = fit(table, "W")
    assert model.convergence["converged"] is False or (model.std_errors > 10 * model.params).any()
    assert (model.predict_p_alive(table) > 0.99).all()
    assert model.predict_purchases(table, 10).mean() == pytest.approx(2.0, rel=0.03)
    if model.std_errors.isna().any():
        with pytest.raises(ModelError, match="do not pin the parameters down"):
            model.draw(rng)


@pytest.mark.parametrize("fit", PURCHASE_FITS, ids=lambda fit: fit.__name__)
def test_one_customer_and_equal_customers_do_not_crash(fit) -> None:
    for table in (models.customers((3, 20, 30)), models.customers(*[(3, 30, 30)] * 50)):
        model = fit(table, "W")
        assert model.convergence["converged"] is False
        assert np.isfinite(model.predict_purchases(table, 52)).all()


def test_no_start_with_a_likelihood() -> None:
    def hopeless(*_):
        return lambda weights: lambda theta: (np.nan, np.full(4, np.nan))

    with pytest.raises(ModelError, match="not finite from any start"):
        fit_purchases(
            clv.BetaGeometricModel, ("r", "alpha", "a", "b"), hopeless, models.customers((1, 2, 3)), "W"
        )


# Recovery of simulated truth ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "simulate", "truth", "options", "size", "seeds"),
    [
        (clv.fit_bgnbd, purchases_bg, TRUE_BG, {}, 1500, 40),
        (clv.fit_mbgnbd, purchases_bg, TRUE_BG, {"late": 1}, 1500, 20),
        (clv.fit_pareto_nbd, purchases_pareto, TRUE_PARETO, {}, 1000, 8),
    ],
    ids=["BG/NBD", "MBG/NBD", "Pareto/NBD"],
)
def test_recovers_truth(fit, simulate, truth, options, size, seeds) -> None:
    """Errors of the logarithms, in standard errors: none wild, the 95% intervals right nearly that often."""
    errors = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        table = simulate(size, rng, truth, rng.uniform(40, 80, size), **options)
        model = fit(table, "W")
        assert model.convergence["converged"]
        errors.append(np.log(model.params / pd.Series(truth)) / np.sqrt(np.diag(model.covariance)))
    errors = pd.DataFrame(errors)
    assert (errors.abs() < 4).all(axis=None)
    assert (errors.abs() < 3).mean(axis=None) >= 0.97
    assert 0.85 <= (errors.abs() < 1.96).mean(axis=None) <= 1


def test_recovers_spend() -> None:
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = mean_spends(pd.DataFrame({"frequency": rng.poisson(3.0, 3000)}), rng)
        model = clv.fit_gamma_gamma(table)
        truth = np.log(model.params / [6.0, 4.0, 15.0])
        errors.append(truth / np.sqrt(np.diag(model.covariance)))
        error = model.predict_spend(table) - table.true_mean
        assert abs(error.mean()) < 5 * error.std() / np.sqrt(len(table))
    assert (np.abs(errors) < 3).all()
    assert 0.85 <= (np.abs(errors) < 1.96).mean() <= 1


@pytest.mark.parametrize("kind", ["BG/NBD", "MBG/NBD", "Pareto/NBD"])
def test_forecasts_what_happens(kind) -> None:
    """True parameters, 60,000 simulated customers: forecast and future agree in groups and in sum."""
    rng = np.random.default_rng(8)
    if kind == "Pareto/NBD":
        table = purchases_pareto(60_000, rng, TRUE_PARETO, 40.0, later=52.0)
        model = models.pareto_at(*TRUE_PARETO.values())
    else:
        late = int(kind == "MBG/NBD")
        table = purchases_bg(60_000, rng, TRUE_BG, 40.0, later=52.0, late=late)
        model = dataclasses.replace(models.mbg() if late else models.bg(), params=pd.Series(TRUE_BG))
    table["expected"] = model.predict_purchases(table, 52)
    groups = table.groupby(
        [table.frequency.clip(upper=6), pd.cut(table.recency, [-1, 0, 15, 30, 40])], observed=True
    )
    error = groups.apply(
        lambda g: (g.future - g.expected).mean() / (g.future - g.expected).std() * len(g) ** 0.5
    )
    assert error.abs().max() < 4
    future = model.predict_new_customer(40)[0] * len(table)
    assert table.frequency.sum() == pytest.approx(future, abs=4 * table.frequency.std() * len(table) ** 0.5)
    share = (table.frequency == 3).mean()
    assert model.purchase_probabilities(3, 40) == pytest.approx(share, abs=4 * (share / len(table)) ** 0.5)


@pytest.mark.parametrize("kind", ["bg", "mbg", "pareto"])
def test_replayed_futures_have_the_expected_mean(kind, summary) -> None:
    model, rng = getattr(models, kind)(), np.random.default_rng(4)
    few = summary.iloc[[0, 1, 2, 5, 11, 100, 700]]
    many = few.loc[few.index.repeat(30_000)]
    bought = model.simulate_purchases(many, 52, rng).reshape(len(few), -1)
    error = bought.mean(axis=1) - model.predict_purchases(few, 52)
    assert (error.abs() < 4 * bought.std(axis=1) / 30_000**0.5).all()
    assert (model.simulate_purchases(many, 0, rng) == 0).all()
    spend = models.spend()
    once = spend.simulate_spend(many, np.ones(len(many), int), rng).reshape(len(few), -1)
    error = once.mean(axis=1) - spend.predict_spend(few)
    assert (error.abs() < 4 * once.std(axis=1) / 30_000**0.5).all()


def test_drawn_parameters_spread_like_the_standard_errors() -> None:
    rng = np.random.default_rng(6)
    for model in (models.bg(), models.pareto(), models.spend(), models.bgbb(), models.sbg("Regular")):
        drawn = np.log([model.draw(rng).params for _ in range(1500)])
        np.testing.assert_allclose(drawn.std(axis=0), model.std_errors / model.params, rtol=0.08)
        np.testing.assert_allclose(
            drawn.mean(axis=0), np.log(model.params), atol=0.12 * drawn.std(axis=0).max()
        )


# Money --------------------------------------------------------------------------------------------------


def test_customer_value_is_margin_times_spend_times_purchases(summary) -> None:
    value = clv.customer_value(models.bg(), models.spend(), summary, **RATES)
    assert list(value) == [
        "p_alive", "expected_purchases", "discounted_purchases", "expected_average_value", "clv",
    ]  # fmt: skip
    np.testing.assert_allclose(
        value.clv, 0.3 * value.expected_average_value * value.discounted_purchases, rtol=1e-12
    )
    ratio = value.discounted_purchases / value.expected_purchases
    assert ratio.between(1 / 1.1, 1).all()
    endless = clv.customer_value(models.bg(), 20.0, summary, **{**RATES, "horizon_months": None})
    assert "expected_purchases" not in endless
    assert (endless.clv > 0.3 * 20 * value.discounted_purchases).all()


def test_value_interval_adds_up_and_repeats(summary) -> None:
    groups = pd.Series(np.where(summary.frequency > 0, "repeat", "once"), summary.index, name="kind")

    def run(seed, **options):
        rng = np.random.default_rng(seed)
        return clv.value_interval(models.bg(), models.spend(), summary, groups, rng=rng, **RATES, **options)

    table = run(1, draws=60)
    assert list(table.index) == ["once", "repeat", "All customers"] and table.index.name == "kind"
    total = clv.customer_value(models.bg(), models.spend(), summary, **RATES).clv.sum()
    assert table.clv["All customers"] == pytest.approx(total)
    assert table.iloc[:2][["customers", "expected_purchases", "clv"]].sum().to_numpy() == pytest.approx(
        table.iloc[2][["customers", "expected_purchases", "clv"]].to_numpy(float)
    )
    assert (table.low < table.clv).all() and (table.clv < table.high).all()
    pd.testing.assert_frame_equal(table, run(1, draws=60))
    wide = run(1, draws=60, level=0.99)
    assert (wide.high - wide.low > table.high - table.low).all()
    one_amount = clv.value_interval(
        models.bg(), 20.0, summary, groups, rng=np.random.default_rng(1), draws=20, **RATES
    )
    assert (one_amount.low < one_amount.high).all()


def test_several_groupings_share_the_replays(summary) -> None:
    groups = pd.DataFrame(
        {"half": np.where(np.arange(len(summary)) % 2, "odd", "even"), "all": "everybody"},
        index=summary.index,
    )

    def of(which):
        rng = np.random.default_rng(3)
        return clv.value_interval(models.bg(), models.spend(), summary, which, rng=rng, draws=5, **RATES)

    both = of(groups)
    assert list(both.index.get_level_values(0).unique()) == ["half", "all"]
    for name in groups:
        pd.testing.assert_frame_equal(both.loc[name], of(groups[name]), check_names=False)
    np.testing.assert_allclose(both.loc[("half", clv.ALL)], both.loc[("all", "everybody")])


def test_value_interval_holds_the_simulated_truth() -> None:
    """30 companies of 600 customers: the 90% interval of the total holds the real future about that often."""
    hits = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        table = purchases_bg(600, rng, TRUE_BG, rng.uniform(40, 80, 600), later=26.0)
        table = mean_spends(table, rng)
        rate = 6.0 / table.true_mean
        money = 0.3 * (rng.gamma(6.0 * np.maximum(table.future, 1e-9)) / rate)[table.future > 0].sum()
        interval = clv.value_interval(
            clv.fit_bgnbd(table, "W"),
            clv.fit_gamma_gamma(table),
            table,
            pd.Series("all", table.index),
            rng=rng,
            draws=60,
            margin_rate=0.3,
            annual_discount_rate=0.0,
            horizon_months=26 * 12 / clv.PERIODS_PER_YEAR["W"],
        ).loc["All customers"]
        hits += interval.low <= money <= interval.high
    assert 22 <= hits <= 30  # 27 expected; fewer than 22 in 0.3% of such tests


def test_tracking_starts_at_nothing_and_rises(summary) -> None:
    track = clv.expected_repeat_purchases(models.bg(), summary, 60)
    assert track.iloc[0] == 0 and (track.diff().iloc[1:] > 0).all() and track.index.name == "period"
    one = summary.iloc[:1]
    alone = clv.expected_repeat_purchases(models.bg(), one, 5)
    np.testing.assert_allclose(alone, models.bg().predict_new_customer(np.arange(6)))


# Input that cannot carry a model ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recency": [1.0, np.nan, 2.0]}, "1 rows with a missing or infinite value, first at row 1"),
        ({"T": [np.inf, 9.0, 9.0]}, "a missing or infinite value, first at row 0"),
        ({"frequency": [-1.0, 1.0, 1.0]}, "a negative value"),
        ({"recency": [1.0, 99.0, 98.0]}, "2 rows with recency above T, first at row 1"),
        ({"recency": [1.0, 0.0, 2.0]}, "repeat purchases at recency 0, first at row 1"),
        ({"frequency": [1.0, 1.5, 1.0]}, "a fraction of a purchase, first at row 1"),
        ({"frequency": pd.array([1, None, 1], "Int64")}, "a missing or infinite value, first at row 1"),
        ({"customers": [1.0, -2.0, np.nan]}, "column customers: 2 rows are missing, infinite or negative"),
        ({"customers": [0.0, 0.0, 0.0]}, "every row has 0 customers"),
    ],
)
@pytest.mark.parametrize("fit", PURCHASE_FITS, ids=lambda fit: fit.__name__)
def test_impossible_rows(fit, change, says) -> None:
    table = models.customers((1, 1, 9), (1, 5, 9), (1, 2, 9)).assign(**change)
    with pytest.raises(DataError, match=says):
        fit(table)


def test_all_faults_at_once_and_missing_columns() -> None:
    table = models.customers((1, 99, 9), (1, 0, 9), (-1, 2, 9))
    with pytest.raises(DataError) as caught:
        models.bg().predict_p_alive(table)
    assert len(caught.value.faults) == 3
    with pytest.raises(DataError, match=r"lacks recency, T; make it with orders\.purchase_summary"):
        clv.fit_bgnbd(pd.DataFrame({"frequency": [1.0]}))
    with pytest.raises(DataError, match="no customers"):
        clv.fit_bgnbd(models.customers())


@pytest.mark.parametrize("fit", PURCHASE_FITS, ids=lambda fit: fit.__name__)
def test_nobody_bought_again(fit) -> None:
    with pytest.raises(ModelError, match="no customer bought again"):
        fit(models.customers((0, 0, 9), (0, 0, 5)))
    with pytest.raises(ModelError, match="no customer bought again"):
        fit(models.customers((0, 0, 9), (2, 3, 5)).assign(customers=[10, 0]))


def test_time_unit_is_explicit(summary) -> None:
    plain = summary.copy()
    plain.attrs.clear()
    assert clv.fit_bgnbd(summary).time_unit == "W" and clv.fit_bgnbd(plain).time_unit is None
    with pytest.raises(ParameterError, match="time_unit is 'M'"):
        clv.fit_bgnbd(plain, "M")
    unitless = clv.fit_bgnbd(plain)
    for call in (
        lambda: unitless.predict_discounted_purchases(summary, annual_discount_rate=0.1),
        lambda: clv.customer_value(unitless, 20.0, summary, **RATES),
    ):
        with pytest.raises(ParameterError, match="fit with time_unit='D' or 'W'"):
            call()


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"margin_rate": 0}, 1),
        ({"margin_rate": 30}, 1),
        ({"annual_discount_rate": -0.1}, 1),
        ({"annual_discount_rate": 10}, 1),
        ({"horizon_months": 0}, 1),
        ({"margin_rate": np.nan, "annual_discount_rate": np.nan, "horizon_months": np.nan}, 3),
    ],
)
def test_rates_out_of_range(change, faults, summary) -> None:
    with pytest.raises(ParameterError) as caught:
        clv.customer_value(models.bg(), 20.0, summary, **{**RATES, **change})
    assert len(caught.value.faults) == faults


def test_amounts_horizons_and_periods_out_of_range(summary) -> None:
    endless = {"margin_rate": 0.3, "annual_discount_rate": 0.0, "horizon_months": None}
    bg = models.bg()
    for call in (
        lambda: clv.customer_value(bg, -5.0, summary, **RATES),
        lambda: clv.customer_value(bg, np.nan, summary, **RATES),
        lambda: clv.customer_value(bg, 20.0, summary, **endless),
        lambda: bg.predict_discounted_purchases(summary, annual_discount_rate=-0.1, horizon_months=12),
        lambda: bg.predict_discounted_purchases(summary, annual_discount_rate=0.1, horizon_months=-1),
        lambda: bg.predict_purchases(summary, -1),
        lambda: bg.predict_new_customer([1, np.nan]),
        lambda: bg.purchase_probabilities(1, -1),
        lambda: models.pareto().purchase_probabilities(1, -1),
        lambda: bg.simulate_purchases(summary, -1, np.random.default_rng(0)),
    ):
        with pytest.raises(ParameterError):
            call()


def test_interval_arguments_out_of_range(summary) -> None:
    groups = pd.Series("all", summary.index)
    rng = np.random.default_rng(0)
    fine = {**RATES, "rng": rng, "draws": 5}
    for change, says in (
        ({"horizon_months": None}, "an interval needs an end"),
        ({"level": 1.0}, "level is 1.0"),
        ({"draws": 1}, "draws is 1"),
    ):
        with pytest.raises(ParameterError, match=says):
            clv.value_interval(models.bg(), 20.0, summary, groups, **{**fine, **change})
    with pytest.raises(ParameterError, match="groups has 3 rows"):
        clv.value_interval(models.bg(), 20.0, summary, groups[:3], **fine)
    with pytest.raises(ParameterError, match="2 customers have none"):
        clv.value_interval(models.bg(), 20.0, summary, groups.where(np.arange(len(groups)) > 1), **fine)


def money(frequency, value, **more) -> pd.DataFrame:
    return pd.DataFrame({"frequency": frequency, "monetary_value": value, **more})


def test_spend_declines() -> None:
    with pytest.raises(ModelError, match="9 repeat buyers are too few; 10 are needed"):
        clv.fit_gamma_gamma(money([1] * 9 + [0] * 50, np.arange(59.0) + 1))
    with pytest.raises(ModelError, match=r"every repeat buyer spends 25\.00"):
        clv.fit_gamma_gamma(money([1, 2] * 10, 25.0))
    with pytest.raises(DataError, match="lacks monetary_value"):
        clv.fit_gamma_gamma(pd.DataFrame({"frequency": [1.0]}))
    with pytest.raises(
        DataError, match=r"3 rows .*missing, infinite, zero or negative monetary_value, first at row 1"
    ):
        clv.fit_gamma_gamma(money([1, 1, 1, 1, 0], [5.0, 0.0, -3.0, np.nan, np.nan]))


def test_spend_predictions_refuse_bad_money() -> None:
    model = models.spend()
    assert model.predict_spend(money([0, 1], [np.nan, 0.0])).notna().all()  # a gift can be the only repeat
    assert model.predict_spend(money([0], [np.nan]))[0] == pytest.approx(model.mean_spend)
    with pytest.raises(DataError, match="2 rows with repeat purchases but a missing"):
        model.predict_spend(money([1, 1], [np.nan, -1.0]))
    with pytest.raises(DataError, match="negative frequency"):
        model.predict_spend(money([np.nan, -1], [1.0, 1.0]))
    with pytest.raises(ParameterError, match="purchases has shape"):
        model.simulate_spend(money([1], [1.0]), np.array([1, 2]), np.random.default_rng(0))


def test_spend_without_a_finite_mean(summary) -> None:
    """Means with a tail so heavy that q <= 1: nothing to price a one-time buyer with."""
    rng = np.random.default_rng(0)
    table = mean_spends(pd.DataFrame({"frequency": rng.poisson(4.0, 2000)}), rng, p=5.0, q=0.7, gamma=10.0)
    model = clv.fit_gamma_gamma(table)
    assert model.params["q"] < 1 and model.mean_spend == np.inf
    with pytest.raises(ModelError, match="not above 1"):
        model.predict_spend(table)
    with pytest.raises(ModelError, match="not above 1"):
        clv.customer_value(models.bg(), model, summary, **RATES)
    nearly = dataclasses.replace(models.spend(), params=models.spend().params * [1, 0.26738, 1])
    sure = dataclasses.replace(
        nearly, covariance=nearly.covariance * 1e-12, params=nearly.params * [1, 0.99, 1]
    )
    assert sure.params["q"] < 1
    groups = pd.Series("all", summary.index)
    with pytest.raises(ModelError):
        clv.value_interval(models.bg(), sure, summary, groups, rng=rng, draws=5, **RATES)


def test_spend_near_one_redraws_until_finite(summary) -> None:
    edge = models.spend()
    edge = dataclasses.replace(edge, params=edge.params * [1, 1.02 / edge.params["q"], 1])
    rng = np.random.default_rng(0)
    groups = pd.Series("all", summary.index)
    table = clv.value_interval(models.bg(), edge, summary, groups, rng=rng, draws=20, **RATES)
    assert np.isfinite(table.to_numpy(float)).all()
    stuck = dataclasses.replace(edge, covariance=edge.covariance * 1e-12, params=edge.params * [1, 0.97, 1])
    from custkit.clv import _draw_finite

    with pytest.raises(ModelError, match="too close to 1"):
        _draw_finite(stuck, rng)
