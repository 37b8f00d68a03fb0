"""Numerics of the value models: finite everywhere, quadratures exact, gradients right, units harmless."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import published_models as models
import pytest
from scipy import integrate, special

from custkit import bgbb, clv, purchase_models, sbg, spend_model
from custkit.bgnbd import beta_quadrature
from custkit.distinct import distinct
from custkit.pareto_nbd import _pareto_terms

PURCHASE_FITS = [clv.fit_bgnbd, clv.fit_mbgnbd, clv.fit_pareto_nbd]


@pytest.fixture(scope="module")
def some() -> pd.DataFrame:
    """The CDNOW sample, 39 weeks."""
    return models.sample_weeks().reset_index(drop=True)


@pytest.fixture(scope="module", params=PURCHASE_FITS, ids=lambda fit: fit.__name__)
def fit(request):
    return request.param


def fitted_at(cls, params, unit="W"):
    """A purchase model at given parameters, without a fit."""
    names = ["r", "alpha", "s", "beta"] if cls is clv.ParetoModel else ["r", "alpha", "a", "b"]
    nothing = pd.DataFrame(np.zeros((4, 4)), names, names)
    series = pd.Series(params, names, dtype=float)
    return cls(series, series * 0, 0.0, nothing, {}, 1, unit)


def extreme_customers() -> pd.DataFrame:
    rows = [
        (x, tx, T)
        for x in [*range(8), 20, 50, 100, 131, 132, 133, 200, 500, 1000, 2000, 5000, 9999, 10_000]
        for T in (0.0, 1 / 7, 1.0, 39.0, 100.0, 520.0, 5000.0)
        for tx in sorted({0.0, T / 1000, T / 2, T * 0.999, T})
        if (x == 0) == (tx == 0)
    ]
    return models.customers(*rows)


AT = [
    (clv.BetaGeometricModel, (0.243, 4.414, 0.793, 2.426)),
    (clv.BetaGeometricModel, (0.55, 60.0, 1.0, 2.4)),
    (clv.BetaGeometricModel, (0.5, 5.0, 0.5, 0.5)),
    (clv.BetaGeometricModel, (5.0, 30.0, 0.05, 9.0)),
    (clv.BetaGeometricModel, (0.5, 5.0, 1e-6, 1e5)),
    (clv.ModifiedBetaGeometricModel, (0.525, 6.183, 0.891, 1.614)),
    (clv.ModifiedBetaGeometricModel, (0.3, 2.0, 2.0, 6.0)),
    (clv.ParetoModel, (0.553, 10.58, 0.606, 11.66)),
    (clv.ParetoModel, (0.2, 1.0, 1.0, 300.0)),
    (clv.ParetoModel, (2.0, 50.0, 3.0, 4.0)),
]


@pytest.mark.parametrize(("cls", "params"), AT)
def test_finite_for_any_customer(cls, params) -> None:
    model, table = fitted_at(cls, params), extreme_customers()
    alive = model.predict_p_alive(table)
    assert alive.between(0, 1).all()
    year = {"annual_discount_rate": 0.1}
    for value in (
        model.predict_purchases(table, 0),
        model.predict_purchases(table, 52),
        model.predict_purchases(table, 5200),
        model.predict_discounted_purchases(table, horizon_months=12, **year),
        model.predict_discounted_purchases(table, **year),
    ):
        assert np.isfinite(value).all() and (value >= 0).all()
    sums = model.purchase_probabilities(np.arange(4000), 39)
    assert np.isfinite(sums).all() and ((sums >= 0) & (sums <= 1)).all()


@pytest.mark.parametrize("x", [10, 131, 132, 1000, 10_000])
def test_fits_with_a_very_frequent_customer(fit, some, x) -> None:
    table = pd.concat([some, models.customers((x, 50, 50), (x, 20, 50))], ignore_index=True)
    model = fit(table, "W")
    assert np.isfinite(model.log_likelihood)
    assert np.isfinite(model.params).all()
    assert model.predict_p_alive(table).between(0, 1).all()


# Quadratures --------------------------------------------------------------------------------------------


def bg_purchases_by_integral(params, late, x, T, periods) -> float:
    """Expectation over the chance to leave, on the logit scale, by adaptive integration."""
    r, alpha, a, b = params
    b += x + late
    log_beta = special.betaln(a, b)

    def inside(u):
        log_p, log_q = -np.logaddexp(0, -u), -np.logaddexp(0, u)
        p = np.exp(log_p)
        bought = -np.expm1(-(r + x) * np.log1p(periods * p / (alpha + T))) / p
        return bought * np.exp(a * log_p + b * log_q - log_beta)

    mode = np.log(a / b)
    ends = mode + np.concatenate([[-min(300 / a, 600)], np.linspace(-60, 60, 31)])
    pieces = itertools.pairwise(ends)
    return sum(integrate.quad(inside, *piece, epsabs=0, epsrel=1e-12, limit=300)[0] for piece in pieces)


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(
    "params",
    [(0.243, 4.414, 0.793, 2.426), (1.5, 10, 0.2, 5), (0.3, 2, 1, 6), (0.5, 5, 5, 30), (3, 5, 0.3, 0.7)],
)
def test_bg_expectation_exact(params, late) -> None:
    cls = (clv.BetaGeometricModel, clv.ModifiedBetaGeometricModel)[late]
    x, T = np.array([0.0, 0, 1, 20, 300]), np.array([0.0, 39, 39, 200, 39])
    periods = np.array([1 / 7, 52.0, 520.0, 20_000.0])
    ours = fitted_at(cls, params)._if_alive(x, T, np.tile(periods, (5, 1)))
    exact = [
        [bg_purchases_by_integral(params, late, *row, t) for t in periods] for row in zip(x, T, strict=True)
    ]
    np.testing.assert_allclose(ours, exact, rtol=1e-9)


def test_beta_quadrature_has_the_right_moments() -> None:
    for a in (1e-3, 0.3, 1.0, 2.5, 40.0):
        b = np.array([0.2, 3.0, 500.0])
        p, weight = beta_quadrature(a, b, -5.0)
        np.testing.assert_allclose((p * weight).sum(axis=1), a / (a + b), rtol=1e-10)
        np.testing.assert_allclose(
            (p**2 * weight).sum(axis=1), a * (a + 1) / (a + b) / (a + b + 1), rtol=1e-10
        )


@pytest.mark.parametrize(("cls", "params"), [AT[0], AT[3], AT[5], AT[7]])
@pytest.mark.parametrize("months", [1, 12, None])
def test_discounting_exact(cls, params, months) -> None:
    """Integral of e^(-rate u) dC(u), with the slope of C by central differences."""
    model, rate = fitted_at(cls, params), np.log(1.1) / clv.PERIODS_PER_YEAR["W"]
    end = 40 / rate if months is None else months * clv.PERIODS_PER_YEAR["W"] / 12
    for x, T in ((0.0, 10.0), (3.0, 39.0), (100.0, 39.0)):
        age = model.params["alpha"] + T

        def bought(u, x=x, T=T):
            return model._if_alive(np.array([x]), np.array([T]), np.array([[u]]))[0, 0]

        def inside(s, age=age, bought=bought):  # by parts, in s = log(1 + u / age)
            u = age * np.expm1(s)
            return rate * np.exp(-rate * u) * bought(u) * age * np.exp(s)

        ends = np.linspace(0, np.log1p(end / age), 5)
        area = sum(
            integrate.quad(inside, *piece, epsabs=0, epsrel=1e-11)[0] for piece in itertools.pairwise(ends)
        )
        table = models.customers((x, T if x else 0.0, T))
        alive = model.predict_p_alive(table)[0]
        ours = model.predict_discounted_purchases(table, annual_discount_rate=0.1, horizon_months=months)[0]
        assert ours == pytest.approx(alive * (area + np.exp(-rate * end) * bought(end)), rel=1e-9)


def test_long_and_endless_horizons_meet() -> None:
    table = models.customers((0, 0, 0), (3, 30, 39), (100, 38, 39))
    for cls, params in AT:
        model = fitted_at(cls, params)
        long = model.predict_discounted_purchases(table, annual_discount_rate=0.1, horizon_months=12 * 400)
        np.testing.assert_allclose(
            long, model.predict_discounted_purchases(table, annual_discount_rate=0.1), rtol=1e-8
        )
        once = model.predict_discounted_purchases(table, annual_discount_rate=0, horizon_months=12)
        np.testing.assert_allclose(
            once, model.predict_purchases(table, clv.PERIODS_PER_YEAR["W"]), rtol=1e-12
        )


@pytest.mark.parametrize("params", [(0.55, 10.6, 0.61, 11.7), (0.8, 12.0, 0.6, 4.0), (2.0, 3.0, 1.5, 9.0)])
def test_pareto_likelihood_is_the_2f1_form(params) -> None:
    r, alpha, s, beta = params
    x, tx, T = (np.array(v, float) for v in ([0, 1, 3, 20, 60], [0, 5, 30, 38, 35], [39, 20, 39, 39, 39]))
    alive, gone, _ = _pareto_terms(*params, x, tx, T)
    ours = np.logaddexp(alive, np.logaddexp.reduce(gone, axis=1))
    far, other = (alpha, s + 1) if alpha >= beta else (beta, r + x)
    k = r + s + x

    def part(t):
        return special.hyp2f1(k, other, k + 1, abs(alpha - beta) / (far + t)) * (far + t) ** -k

    published = (alpha + T) ** -(r + x) * (beta + T) ** -s + s / k * (part(tx) - part(T))
    np.testing.assert_allclose(ours, np.log(published), rtol=1e-11)


@pytest.mark.parametrize("x", [0, 5, 132, 2000, 10_000])
def test_pareto_likelihood_integral_exact(x) -> None:
    """The integral over the moment of leaving, against adaptive integration, far beyond 2F1's reach."""
    r, alpha, s, beta, tx, T = 0.55, 10.6, 0.61, 11.7, (20.0 if x else 0.0), 39.0
    _, gone, _ = _pareto_terms(r, alpha, s, beta, np.array([float(x)]), np.array([tx]), np.array([T]))
    top = -(r + x) * np.log(alpha + tx) - (s + 1) * np.log(beta + tx)

    def inside(y):
        return np.exp(np.log(s) - (r + x) * np.log(alpha + y) - (s + 1) * np.log(beta + y) - top)

    span = min(T - tx, 45 * (alpha + tx) / (r + x + s + 1))
    exact = top + np.log(integrate.quad(inside, tx, tx + span, epsabs=0, epsrel=1e-13)[0])
    assert np.logaddexp.reduce(gone[0]) == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("cls", "params"), AT[:4] + AT[5:9])
def test_probabilities_add_up_and_give_the_mean(cls, params) -> None:
    model, n = fitted_at(cls, params), np.arange(3000)
    chance = model.purchase_probabilities(n, 39)
    assert chance.sum() == pytest.approx(1, abs=1e-9)
    assert chance @ n == pytest.approx(model.predict_new_customer(39)[0], rel=1e-8)


# Gradients ----------------------------------------------------------------------------------------------


class Captured(Exception):
    pass


def objective_of(fit, data, module, monkeypatch):
    """The objective that a fit would hand to the optimiser, with its weights."""

    def capture(make, weights, names, *args, **kwargs):
        raise Captured(make(weights.astype(float)), len(names))

    monkeypatch.setattr(module, "maximise", capture)
    with pytest.raises(Captured) as caught:
        fit(data)
    return caught.value.args


@pytest.mark.parametrize(
    ("fit", "module"),
    [
        (clv.fit_bgnbd, purchase_models),
        (clv.fit_mbgnbd, purchase_models),
        (clv.fit_pareto_nbd, purchase_models),
        (clv.fit_gamma_gamma, spend_model),
        (clv.fit_sbg, sbg),
        (clv.fit_bgbb, bgbb),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_gradient(fit, module, some, monkeypatch) -> None:
    data = {"fit_sbg": [1000, 869, 743, 653, 593], "fit_bgbb": models.donations()}.get(fit.__name__, some)
    objective, size = objective_of(fit, data, module, monkeypatch)
    rng = np.random.default_rng(3)
    for theta in rng.normal(0, 0.8, (6, size)):
        steps = np.eye(size) * 1e-5
        by_difference = [(objective(theta + h)[0] - objective(theta - h)[0]) / 2e-5 for h in steps]
        np.testing.assert_allclose(objective(theta)[1], by_difference, rtol=1e-6, atol=1e-8)


# Invariances --------------------------------------------------------------------------------------------


def same(one, two, rel=1e-7) -> None:
    np.testing.assert_allclose(one.params, two.params, rtol=rel)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=100 * rel)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-10)


@pytest.mark.parametrize("fit", [*PURCHASE_FITS, clv.fit_gamma_gamma], ids=lambda fit: fit.__name__)
def test_order_index_and_weights_do_not_matter(fit, some) -> None:
    model = fit(some)
    shuffled = some.sample(frac=1, random_state=1).set_index(pd.Index(np.arange(len(some)) + 7))
    same(model, fit(shuffled))
    columns = ["frequency", "recency", "T", "monetary_value"]
    weighted = some.groupby(columns).size().rename("customers").reset_index()
    assert len(weighted) < len(some)
    same(model, fit(weighted))
    assert fit(weighted).customers == fit(some).customers


def test_time_unit_scales_alpha_and_beta_only(fit, some) -> None:
    weeks = fit(some, "W")
    days = fit(some.assign(recency=some.recency * 7, T=some["T"] * 7), "D")
    factor = pd.Series({name: 7.0 if name in ("alpha", "beta") else 1.0 for name in weeks.params.index})
    np.testing.assert_allclose(days.params, weeks.params * factor, rtol=1e-9)
    np.testing.assert_allclose(days.std_errors, weeks.std_errors * factor, rtol=1e-6)
    bought = some.frequency.sum()
    assert days.log_likelihood == pytest.approx(weeks.log_likelihood - bought * np.log(7), rel=1e-12)
    horizon = {"annual_discount_rate": 0.1, "horizon_months": 12}
    in_days = some.assign(recency=some.recency * 7, T=some["T"] * 7)
    np.testing.assert_allclose(
        days.predict_discounted_purchases(in_days, **horizon),
        weeks.predict_discounted_purchases(some, **horizon),
        rtol=1e-9,
    )


def test_currency_scales_gamma_only(some) -> None:
    euros = clv.fit_gamma_gamma(some)
    cents = clv.fit_gamma_gamma(some.assign(monetary_value=some.monetary_value * 100))
    np.testing.assert_allclose(cents.params, euros.params * [1, 1, 100], rtol=1e-9)
    buyers = (some.frequency > 0).sum()
    assert cents.log_likelihood == pytest.approx(euros.log_likelihood - buyers * np.log(100), rel=1e-12)


def test_predictions_keep_the_index(some) -> None:
    table = some.head(40).set_index(pd.Index([f"C{i}" for i in range(40)]))[::-1]
    model, spend = clv.fit_bgnbd(some, "W"), clv.fit_gamma_gamma(some)
    rates = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": 12}
    value = clv.customer_value(model, spend, table, **rates)
    plain = clv.customer_value(model, spend, some.head(40), **rates)
    assert value.index.equals(table.index)
    np.testing.assert_array_equal(value.to_numpy()[::-1], plain.to_numpy())


def test_distinct_counts_and_puts_back() -> None:
    rng = np.random.default_rng(2)
    few = [
        rng.integers(0, 4, 500).astype(float),
        rng.choice([0.5, 2.25, 1e9], 500),
        rng.integers(0, 9, 500) / 7,
    ]
    many = [rng.integers(0, 3000, 500).astype(float), rng.random(500), rng.random(500)]
    for columns in (few, many):
        values, counts, inverse = distinct(*columns)
        assert counts.sum() == 500
        assert len(counts) == len({*zip(*columns, strict=True)})
        for value, column in zip(values, columns, strict=True):
            np.testing.assert_array_equal(value[inverse()], column)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({0: 2.5}, id="a fraction"),
        pytest.param({0: 2 - 2**-52}, id="next to a whole number, from below"),
        pytest.param({0: 2 + 1e-9}, id="next to a whole number, from above"),
        pytest.param({0: 1.5, 1: 2.5}, id="two fractions that add up to a whole number"),
        pytest.param({0: -0.5, 1: 0.5}, id="two fractions that add up to nothing"),
        pytest.param({0: -1.0}, id="a sign"),
        pytest.param({0: -1.0, 1: 1.0}, id="two signs that add up to nothing"),
        pytest.param({0: -1e12}, id="far below"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_distinct_tells_apart_what_is_not_whole(wrong, place) -> None:
    rng = np.random.default_rng(3)
    columns = [rng.integers(0, 4, 70_000).astype(float) for _ in range(3)]
    for column in columns:
        column[-1] = 4  # the largest of each is known
    for row, number in wrong.items():
        columns[place][row] = number
    _told_apart(columns)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("late", [5.0, 300.0, 2.0**19, 1e9, 1e300, np.nan, np.inf])
def test_distinct_sees_late_rows_unlike_the_first(late, place) -> None:
    columns = [np.random.default_rng(4).integers(0, 4, 70_000).astype(float) for _ in range(3)]
    columns[place][-3:-1] = late
    _told_apart(columns)


@pytest.mark.parametrize("kind", [np.int64, np.int16, np.uint8, np.float32, bool])
def test_distinct_takes_numbers_of_any_kind_and_stride(kind) -> None:
    block = np.random.default_rng(5).integers(0, 2, (500, 3)).astype(kind)
    _told_apart([*block.T])


def _told_apart(columns) -> None:
    values, counts, inverse = distinct(*columns)
    rows = np.nan_to_num(np.column_stack(columns).astype(float), nan=-9.0)  # numpy tells missing ones apart
    there, often = np.unique(rows, axis=0, return_counts=True)
    found = np.nan_to_num(np.column_stack(values), nan=-9.0)
    order = np.lexsort(found.T[::-1])
    np.testing.assert_array_equal(found[order], there)
    np.testing.assert_array_equal(counts[order], often)
    for value, column in zip(values, columns, strict=True):
        np.testing.assert_array_equal(value[inverse()], column)


def test_simulated_models_of_a_draw_differ(some) -> None:
    model = clv.fit_bgnbd(some, "W")
    rng = np.random.default_rng(0)
    assert not model.draw(rng).params.equals(model.draw(rng).params)
    assert dataclasses.replace(model, params=model.draw(rng).params).log_likelihood == model.log_likelihood
