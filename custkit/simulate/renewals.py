"""How long subscriptions last: every month a customer may leave, each with a chance of their own.

Shifted-beta-geometric model: Fader and Hardie (2007), "How to project customer retention", Journal of
Interactive Marketing 21(1). A Gaussian copula can tie the chances to what is known of the customers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate.clock import Clock
from custkit.simulate.draft import parameters


def subscriptions(rng: np.random.Generator, clock: Clock, service: str, starts, *, stay=None) -> pd.DataFrame:
    """Subscriptions from their starts to their ends.

    Parameters
    ----------
    rng : Generator
    clock : Clock
    service : str
        Such as ``"BIZ"``; its churn is in ``parameters/services.yml``.
    starts : array of float
        Weeks since the start of the record.
    stay : array of float, optional
        Standard deviations by which each subscriber is likelier to stay; whatever they are, the monthly churn
        chances over all of them stay Beta distributed.

    Returns
    -------
    DataFrame
        service, started_on, ended_on (NaT: still running), start_week, end_week (nan likewise).
    """
    given, starts = parameters("services")["churn"][service], np.asarray(starts, dtype=float)
    stay = np.zeros(len(starts)) if stay is None else np.asarray(stay, dtype=float)
    rank = mixed_rank(rng.standard_normal(len(starts)) - stay, -stay)
    theta = stats.beta.ppf(rank, given["alpha"], given["beta"])
    wait = rng.exponential(size=len(starts))
    months = np.minimum(1 + np.floor(-wait / np.log1p(-np.clip(theta, 1e-9, 1 - 1e-9))), 600).astype(int)
    started = clock.dates(starts)
    ended = month_later(started, months)
    gone = ended <= np.datetime64(clock.as_of, "s")
    week = (ended - np.datetime64(clock.start, "s")) / np.timedelta64(7, "D")
    return pd.DataFrame(
        {
            "service": service,
            "started_on": started,
            "ended_on": np.where(gone, ended, np.datetime64("NaT")),
            "start_week": starts,
            "end_week": np.where(gone, week, np.nan),
        }
    )


def mixed_rank(score: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Rank (0 to 1) of scores ~ N(centre, 1) within the mixture of all of them; uniform over a random one."""
    if not len(score):
        return np.empty(0)
    grid = np.linspace(score.min(), score.max(), 400)
    edges = np.unique(np.quantile(centre, np.linspace(0, 1, 201)))
    near = edges[np.abs(centre[:, None] - edges).argmin(axis=1)] if len(edges) < len(centre) else centre
    values, counts = np.unique(near, return_counts=True)
    mixture = stats.norm.cdf(grid[:, None] - values) @ (counts / counts.sum())
    return np.interp(score, grid, mixture)


def month_later(day: np.ndarray, months: np.ndarray) -> np.ndarray:
    """The same day some calendar months later, or that month's last day if it is shorter."""
    first = day.astype("datetime64[M]")
    number = (day.astype("datetime64[D]") - first).astype(int)
    target = first + months
    length = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(int)
    return (target.astype("datetime64[D]") + np.minimum(number, length - 1)).astype("datetime64[s]")
