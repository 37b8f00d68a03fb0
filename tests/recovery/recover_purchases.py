"""Purchase models, causes of drop-out, and what has no effect on ordering."""

from __future__ import annotations

import numpy as np
from scipy import stats

from custkit import clv
from recovery.estimate import Company, Estimate
from recovery.order_panel import CALIBRATION, END, Panel, dummies, log_ratios, week_of

FACTORS = ["quality", "service", "price", "communication"]
TOUCHED = ["Southmere", "Westfield"]  # cities of the price events
DRAWS = 30


def estimates(company: Company) -> list[Estimate]:
    """All of them."""
    panel = Panel.of(company)
    found = [*models(panel), forecast(panel), *causes(panel), gender(panel), *community(panel)]
    return found


def models(panel: Panel) -> list[Estimate]:
    """Parameters of BG/NBD and Gamma–Gamma, intervals on the scale of logarithms."""
    fits = {"purchase_model": panel.model, "spend_model": clv.fit_gamma_gamma(panel.summary(CALIBRATION))}
    found = []
    for label, fit in fits.items():
        spread = np.exp(1.96 * np.sqrt(np.diag(fit.covariance)))
        for (name, value), factor in zip(fit.params.items(), spread, strict=True):
            ends = value / factor, value * factor
            found.append(Estimate(f"{label}.{name}", value, *ends, method="maximum likelihood, weeks 1-78"))
    return found


def forecast(panel: Panel) -> Estimate:
    """Orders of the bau panel away from the price events in weeks 79-104, to those forecast at week 78."""
    who = (panel.customers["panel"] == "bau").to_numpy() & ~panel.customers["city"].isin(TOUCHED).to_numpy()
    who &= panel.joined < CALIBRATION
    ahead = END - CALIBRATION
    expected, actual = panel.forecast(CALIBRATION, ahead)[who], panel.count(CALIBRATION, END)[who]
    ratio = actual.sum() / expected.sum()
    rng, table = np.random.default_rng(1), panel.summary(CALIBRATION)
    table = table[who[table.index]]
    totals = [panel.model.draw(rng).predict_purchases(table, ahead).sum() for _ in range(DRAWS)]
    luck = np.sqrt(((actual - ratio * expected) ** 2).sum()) / expected.sum()
    error = np.hypot(luck, np.std(totals) / np.mean(totals))
    method = "actual to BG/NBD forecast, weeks 79-104"
    return Estimate.from_error("bau_panel.forecast", ratio, error, kind="null", null=1.0, method=method)


def causes(panel: Panel) -> list[Estimate]:
    """Weights of the four factors among the causes of drop-out, from the true factors and true drop-out.

    The probit of the drop-out chance is -w·x plus a normal rest; a customer with k repeat orders stayed
    after each, or left after the last. The rest is integrated out; the scale of the marginal is that of
    the fitted Beta. (What surveys and silence show of it belongs to the block of surveys.)
    """
    truth, table = panel.truth, panel.summary(CALIBRATION)
    table = table[table["frequency"] > 0]
    x = truth[FACTORS].to_numpy()[table.index]
    # Only customers lost before week 79 had been silent for long enough to be won back.
    left = (week_of(truth["dropped_at"]) < CALIBRATION) | truth["reactivated_at"].notna().to_numpy()
    left = left[table.index]
    stayed = table["frequency"].to_numpy() - left
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    grid = np.linspace(-7, 7, 4001)
    chance = stats.beta.ppf(stats.norm.cdf(grid), *panel.model.params[["a", "b"]])
    log_leave, log_stay = np.log(np.maximum(chance, 1e-300)), np.log1p(-np.minimum(chance, 1 - 1e-12))

    def log_likelihood(w):
        rest = np.sqrt(max(1 - (w**2).sum(), 1e-3))
        z = np.clip((-(x @ w)[:, None] + rest * nodes), -7, 7)
        place = (z + 7) / (grid[1] - grid[0])
        low = np.minimum(place.astype(int), len(grid) - 2)
        part = place - low
        leave = log_leave[low] * (1 - part) + log_leave[low + 1] * part
        stay = log_stay[low] * (1 - part) + log_stay[low + 1] * part
        term = left[:, None] * leave + stayed[:, None] * stay
        top = term.max(axis=1, keepdims=True)
        return np.log(np.exp(term - top) @ weights) + top[:, 0]

    w, step = np.full(4, 0.3), 1e-4
    for _ in range(5):  # Berndt, Hall, Hall and Hausman: scores by difference
        scores = np.column_stack(
            [(log_likelihood(w + e) - log_likelihood(w - e)) / (2 * step) for e in step * np.eye(4)]
        )
        information = scores.T @ scores
        w = w + np.linalg.solve(information, scores.sum(axis=0))
        w *= min(1, 0.97 / np.sqrt((w**2).sum()))
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    method = "probit of drop-out on the true factors (oracle)"
    return [
        Estimate.from_error(f"drop_out.{name}", value, error, method=method)
        for name, value, error in zip(FACTORS, w, errors, strict=True)
    ]


def gender(panel: Panel) -> Estimate:
    """Repeat orders of women to men in the calibration period, given the time since they came."""
    table = panel.summary(CALIBRATION)
    who = panel.customers["gender"][table.index]
    table, who = table[who.isin(["f", "m"])], who[who.isin(["f", "m"])]
    expected = panel.model.predict_new_customer(table["T"].to_numpy())
    fit = log_ratios(table["frequency"], dummies(who, "m"), expected)
    value, error = fit.of(f=1)
    ends = np.exp([value, value - 1.96 * error, value + 1.96 * error])
    return Estimate(
        "gender.order_rate", *ends, kind="null", null=1.0, method="regression of counts, weeks 1-78"
    )


def community(panel: Panel) -> list[Estimate]:
    """Members and others after week 78: those who never join; and those who join after week 91.

    Who joins is chosen by order rate, when is not (given how long the customer has been one): later members
    are the fair comparison.
    """
    middle = CALIBRATION + 13
    since = week_of(panel.customers["member_since"])
    expected = panel.forecast(CALIBRATION, middle - CALIBRATION)
    past, orders = panel.joined < CALIBRATION, panel.count(CALIBRATION, middle)
    early, late = since < CALIBRATION, since >= middle
    age = (CALIBRATION - panel.joined) / CALIBRATION
    columns = dummies(np.where(early, "member", "other"), "other").assign(age=age, bend=age**2)
    naive, fair = past & (early | np.isnan(since)), past & (early | late)
    fits = {
        "trap": log_ratios(panel.count(CALIBRATION, END)[naive], columns[naive], np.ones(naive.sum())),
        "null": log_ratios(orders[fair], columns[fair], expected[fair]),
    }
    methods = {
        "trap": "members to those who never joined, given age",
        "null": "early to later members, given age and forecast",
    }
    found = []
    for kind, fit in fits.items():
        value, error = fit.of(member=1)
        ends = np.exp([value, value - 1.96 * error, value + 1.96 * error])
        found.append(Estimate("community.order_rate", *ends, kind=kind, null=1.0, method=methods[kind]))
    return found
