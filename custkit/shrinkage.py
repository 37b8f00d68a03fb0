"""Empirical Bayes: many small groups, each pulled towards the mean of all as far as its data are thin.

Between the groups a normal (means) or beta (rates) distribution is fitted; each group's estimate is its
mean given the own data. Intervals take into account that this distribution is itself an estimate: they
average over the spread between groups, with a flat prior on it (Gelman 2006), by the law of total
variance. So they stay honest when there are few groups, or none that differ, and need not lie evenly about
the shrunk estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError
from custkit.trial_columns import share_level, side_by_side

__all__ = ["shrink_means", "shrink_rates"]

_POINTS = 60  # values of the spread between groups over which intervals average


def shrink_rates(successes: Any, trials: Any, *, level: float = 0.95) -> pd.DataFrame:
    """Rates of groups, shrunk towards their common mean (beta-binomial).

    Parameters
    ----------
    successes, trials : Series or array
        One for each group; a group without trials gets the mean of all.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame, index as given
        rate (as observed), shrunk, low, high (shares), own_weight (weight of the group's own rate in
        shrunk, 0 to 1). ``attrs``: prior_mean, prior_strength (trials the prior is worth; infinite when
        the groups differ no more than chance makes them, then all are shrunk to the mean), level.

    Raises
    ------
    DataError
        Fewer than two groups with trials, missing or negative numbers, more successes than trials.

    Notes
    -----
    Prior beta(m s, (1 − m) s) by maximum likelihood; shrunk = (successes + m s) / (trials + s). Casella
    (1985), "An introduction to empirical Bayes data analysis", The American Statistician 39.
    """
    hits, n, index = _columns("successes", successes, "trials", trials)
    faults = []
    if (n < 0).any() or (hits < 0).any():
        faults.append("successes and trials must not be negative")
    if (hits > n).any():
        faults.append(f"successes exceed trials in {int((hits > n).sum())} groups")
    if (n > 0).sum() < 2:
        faults.append("two groups with trials are needed: one alone has nothing to be pulled towards")
    if faults:
        raise DataError(faults)
    if hits.sum() in (0, n.sum()):
        return _all_or_nothing(hits, n, index, share_level(level))
    spread = np.linspace(0, 0.98, _POINTS)  # sd between groups, as a share of the largest possible
    fits = [_rates_given(hits, n, s) for s in _strengths(spread)]
    best_spread = _best(spread, lambda t: _rates_given(hits, n, _strengths(t))[0])
    strength = float(_strengths(best_spread))
    _, mean, _ = _rates_given(hits, n, strength)
    own = (
        np.where(n > 0, 1.0 if strength == 0 else n / (n + strength), 0.0) if np.isfinite(strength) else 0 * n
    )
    rate = np.divide(hits, n, out=np.full(len(n), np.nan), where=n > 0)
    shrunk = mean + own * (np.nan_to_num(rate, nan=mean) - mean)
    given = [_rates_moments(hits, n, _strengths(s), *fit[1:]) for s, fit in zip(spread, fits, strict=True)]
    low, high = _beta_interval(*_averaged(fits, given), share_level(level))
    found = pd.DataFrame(
        {"rate": rate, "shrunk": shrunk, "low": low, "high": high, "own_weight": own}, index=index
    )
    found.attrs = {"prior_mean": float(mean), "prior_strength": strength, "level": level}
    return found


def shrink_means(means: Any, std_errors: Any, *, level: float = 0.95) -> pd.DataFrame:
    """Means (or effects) of groups with their standard errors, shrunk towards their common mean.

    Parameters
    ----------
    means, std_errors : Series or array
        One for each group, in one unit; standard errors above 0.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame, index as given
        mean (as given), shrunk, low, high (unit of the means), own_weight (weight of the group's own mean
        in shrunk, 0 to 1). ``attrs``: prior_mean, tau (standard deviation between groups, unit of the
        means; 0 when they differ no more than chance makes them), level.

    Raises
    ------
    DataError
        Fewer than two groups, missing numbers, standard errors of 0 or less.

    Notes
    -----
    Normal-normal model, tau by restricted maximum likelihood (REML); Efron and Morris (1975), "Data
    analysis using Stein's estimator and its generalizations", JASA 70.
    """
    from scipy import stats

    y, errors, index = _columns("means", means, "std_errors", std_errors)
    faults = [] if (errors > 0).all() else [f"std_errors must be above 0; {int((errors <= 0).sum())} are not"]
    if len(y) < 2:
        faults.append("two groups are needed: one alone has nothing to be pulled towards")
    if faults:
        raise DataError(faults)
    largest = 3 * (np.std(y) + errors.min()) + 1e-12
    spread = np.linspace(0, largest, _POINTS)
    fits = [_means_given(y, errors, t) for t in spread]
    tau = _best(spread, lambda t: _means_given(y, errors, t)[0])
    _, mean, _ = _means_given(y, errors, tau)
    own = tau**2 / (tau**2 + errors**2)
    shrunk = mean + own * (y - mean)
    given = [_means_moments(y, errors, t, *fit[1:]) for t, fit in zip(spread, fits, strict=True)]
    centre, variance = _averaged(fits, given)
    half = stats.norm.ppf(0.5 + share_level(level) / 2) * np.sqrt(variance)
    columns = {"mean": y, "shrunk": shrunk, "low": centre - half, "high": centre + half, "own_weight": own}
    found = pd.DataFrame(columns, index=index)
    found.attrs = {"prior_mean": float(mean), "tau": float(tau), "level": level}
    return found


# For a given spread between groups: (log likelihood with the mean integrated out, mean, its variance) -------


def _means_given(y: np.ndarray, errors: np.ndarray, tau: float) -> tuple[float, float, float]:
    weights = 1 / (errors**2 + tau**2)
    mean = (weights @ y) / weights.sum()
    likelihood = 0.5 * (np.log(weights).sum() - np.log(weights.sum()) - weights @ (y - mean) ** 2)
    return float(likelihood), float(mean), float(1 / weights.sum())


def _rates_given(hits: np.ndarray, n: np.ndarray, strength: float) -> tuple[float, float, float]:
    """As for means; the mean by maximum likelihood, integrated out by Laplace's method on the logit."""
    from scipy.optimize import minimize_scalar

    pooled = (hits.sum() + 0.5) / (n.sum() + 1)
    centre = np.log(pooled / (1 - pooled))

    def loss(logit: float) -> float:
        return -_log_likelihood(hits, n, 1 / (1 + np.exp(-logit)), strength)

    logit = minimize_scalar(
        loss, bounds=(centre - 4, centre + 4), method="bounded", options={"xatol": 1e-9}
    ).x
    step = 0.02
    bend = max((loss(logit + step) - 2 * loss(logit) + loss(logit - step)) / step**2, 1e-9)
    mean = 1 / (1 + np.exp(-logit))
    return float(-loss(logit) - 0.5 * np.log(bend)), float(mean), float((mean * (1 - mean)) ** 2 / bend)


def _log_likelihood(hits: np.ndarray, n: np.ndarray, mean: float, strength: float) -> float:
    from scipy.special import betaln

    if not np.isfinite(strength):
        return float(hits.sum() * np.log(mean) + (n - hits).sum() * np.log1p(-mean))
    a, b = mean * strength, (1 - mean) * strength
    return float((betaln(a + hits, b + n - hits) - betaln(a, b)).sum())


# Given the spread, the mean and its variance: mean and variance of each group ------------------------------


def _means_moments(y, errors, tau, mean, variance) -> tuple[np.ndarray, np.ndarray]:
    own = tau**2 / (tau**2 + errors**2)
    return mean + own * (y - mean), own * errors**2 + (1 - own) ** 2 * variance


def _rates_moments(hits, n, strength, mean, variance) -> tuple[np.ndarray, np.ndarray]:
    if not np.isfinite(strength):
        return np.full(len(n), mean), np.full(len(n), variance)
    centre = (hits + mean * strength) / (n + strength)
    within = centre * (1 - centre) / (n + strength + 1)
    return centre, within + (strength / (n + strength)) ** 2 * variance


def _averaged(fits: list, given: list) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each group over all spreads, each weighted by its likelihood."""
    logs = np.array([fit[0] for fit in fits])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    centres, variances = (np.array(part) for part in zip(*given, strict=True))
    centre = weights @ centres
    return centre, weights @ (variances + (centres - centre) ** 2)


def _best(spread: np.ndarray, likelihood: Any) -> float:
    """The spread of largest likelihood: the best of the grid, refined between its neighbours; 0 stays 0."""
    from scipy.optimize import minimize_scalar

    values = [likelihood(t) for t in spread]
    i = int(np.argmax(values))
    bounds = spread[max(i - 1, 0)], spread[min(i + 1, len(spread) - 1)]
    found = minimize_scalar(
        lambda t: -likelihood(t), bounds=bounds, method="bounded", options={"xatol": 1e-9 * spread[-1]}
    )
    return float(found.x) if -found.fun > values[i] + 1e-5 else float(spread[i])


def _strengths(spread: Any) -> Any:
    """Trials s the prior is worth, from its spread as a share of the largest possible: 1/(s + 1) = share²."""
    with np.errstate(divide="ignore"):
        return 1 / np.square(spread) - 1


def _all_or_nothing(hits: np.ndarray, n: np.ndarray, index: pd.Index, level: float) -> pd.DataFrame:
    """No success anywhere, or nothing else: all at 0 or 1, with Jeffreys' interval of all trials together."""
    from scipy import stats

    rate = float(hits.sum() > 0)
    ends = stats.beta.ppf([(1 - level) / 2, (1 + level) / 2], hits.sum() + 0.5, n.sum() - hits.sum() + 0.5)
    columns = {"rate": np.where(n > 0, rate, np.nan), "shrunk": rate}
    columns |= {"low": min(ends[0], rate), "high": max(ends[1], rate), "own_weight": 0.0}
    found = pd.DataFrame(columns, index=index)
    found.loc[:, "low" if rate == 0 else "high"] = rate
    found.attrs = {"prior_mean": rate, "prior_strength": np.inf, "level": level}
    return found


def _beta_interval(mean: np.ndarray, variance: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the beta distribution of this mean and variance."""
    from scipy import stats

    mean = np.clip(mean, 1e-12, 1 - 1e-12)
    strength = np.maximum(mean * (1 - mean) / variance - 1, 0.05)
    a, b = mean * strength, (1 - mean) * strength
    return stats.beta.ppf(0.5 - level / 2, a, b), stats.beta.ppf(0.5 + level / 2, a, b)


def _columns(one: str, first: Any, other: str, second: Any) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    table = side_by_side({one: first, other: second}, {})
    index = next((c.index for c in (first, second) if isinstance(c, pd.Series)), table.index)
    return table[one].to_numpy(), table[other].to_numpy(), index
