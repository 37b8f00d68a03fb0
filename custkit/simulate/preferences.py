"""What a customer likes to buy: shares of the categories, drawn from a Dirichlet distribution by segment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate.draft import Draft, parameters

ROUNDS = 12  # of the adjustment of means; each takes away most of what is left


def order_mixes(draft: Draft, orders: pd.DataFrame) -> pd.DataFrame:
    """Chance of each category for a line of each order.

    A customer's mix is Dirichlet round the mean of the segment, tilted by age and interests; it follows the
    gift season, a trend, and, before those leave whose needs changed, a new mix of their own.

    Returns
    -------
    DataFrame
        One row per order, one column per category; rows add up to 1.
    """
    given, people = parameters("baskets"), draft.tables["people"]
    customer, week = orders["customer"].to_numpy(), orders["week"].to_numpy()
    gifts, drift = draft.clock.in_gift_season(week), given["needs_drift"]
    left = people["dropped_week"].to_numpy()[customer]
    drifted = (people["churn_reason"].to_numpy()[customer] == "needs") & (week > left - drift["weeks"])
    trend = _trend(given, week, np.where(drifted, drift["concentration"], given["concentration"]))
    mean = _mean_mixes(draft, people, customer, week, trend)
    season = np.where(np.array(given["categories"]) == "gifts", given["gift_odds"], 1.0)
    rng = draft.rng("preferences")
    usual = _dirichlet(rng, given["concentration"], mean)
    new = _dirichlet(rng, drift["concentration"], mean)
    mixes = np.where(gifts[:, None], usual(shares(mean * season))[customer], usual(mean)[customer])
    changed = np.where(gifts[:, None], new(shares(mean * season))[customer], new(mean)[customer])
    mixes = np.where(drifted[:, None], changed, mixes)
    return pd.DataFrame(shares(mixes * trend), columns=given["categories"], index=orders.index)


def shares(weights) -> np.ndarray:
    """Rows scaled to add up to 1."""
    weights = np.asarray(weights, dtype=float)
    return weights / weights.sum(axis=1, keepdims=True)


def _trend(given: dict, week: np.ndarray, concentration: np.ndarray) -> np.ndarray:
    """Factor of each category at each order.

    A factor on the odds of every customer's own share moves the odds of the mean share by less: in first
    order by c / (c + 1) at concentration c, the part of the variance that lies within customers. The trend
    is planted in the mean.
    """
    slope = np.array([given["trend_per_year"].get(name, 0.0) for name in given["categories"]])
    years = (week - given["trend_centre_week"]) / 52
    return np.exp(np.outer(years * (concentration + 1) / concentration, slope))


def _mean_mixes(
    draft: Draft, people: pd.DataFrame, customer: np.ndarray, week: np.ndarray, trend: np.ndarray
) -> np.ndarray:
    """Expected mix of each customer; over a segment's plain orders the average is that of the segment.

    Plain orders are those of the calibration period outside the gift weeks.
    """
    given, clock = parameters("baskets"), draft.clock
    segment = people["segment"].to_numpy()
    wanted = np.array([given["mixes"][name] for name in segment], dtype=float)
    tilt = _tilts(given, people)
    plain = (week < clock.calibration_weeks) & ~clock.in_gift_season(week)
    for name in given["mixes"]:
        target, rows = np.array(given["mixes"][name], dtype=float), plain & (segment[customer] == name)
        here, factor = segment == name, np.ones(len(target))
        for _ in range(ROUNDS if rows.any() else 0):
            average = shares(shares(wanted * tilt * factor)[customer[rows]] * trend[rows]).mean(axis=0)
            factor *= target / average
        wanted[here] = shares(wanted * tilt * factor)[here]
    return wanted


def _tilts(given: dict, people: pd.DataFrame) -> np.ndarray:
    """Factor of each category for each customer, by age and by the interests told."""
    decades = (people["age"].to_numpy() - parameters("people")["age"]["mean"]) / 10
    interests = people["interests"].fillna("").astype(str)
    columns = []
    for category in given["categories"]:
        log_odds = given["age_per_decade"].get(category, 0.0) * decades
        for interest, odds in given["interests"].items():
            log_odds = (
                log_odds + np.log(odds.get(category, 1.0)) * interests.str.contains(interest).to_numpy()
            )
        columns.append(np.exp(log_odds))
    return np.column_stack(columns)


def _dirichlet(
    rng: np.random.Generator, concentration: float, mean: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Dirichlet draws as a function of their mean, so that one person's taste follows the season.

    The Gamma variables behind a Dirichlet draw keep their ranks while the mean moves.
    """
    rank = rng.random(mean.shape)
    return lambda mean: shares(stats.gamma.ppf(rank, concentration * mean) + 1e-12)
