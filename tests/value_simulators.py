"""Customers simulated from the purchase and spend models, event by event, apart from custkit's own code."""

from __future__ import annotations

import numpy as np
import pandas as pd

TRUE_BG = {"r": 0.8, "alpha": 8.0, "a": 0.9, "b": 2.5}
TRUE_PARETO = {"r": 0.8, "alpha": 8.0, "s": 0.7, "beta": 12.0}


def purchases_bg(n, rng, params, age, later=0.0, late=0):
    """Simulate BG/NBD (late=0) or MBG/NBD (late=1) customers seen for `age`, then for `later` more.

    Returns a purchase summary with the column `future`: purchases in the later time.
    """
    r, alpha, a, b = params.values()
    age = np.broadcast_to(np.asarray(age, float), n)
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    return _run(
        n, rng, age, later, rate, lambda who: rng.random(len(who)) < leave[who], np.full(n, np.inf), late
    )


def purchases_pareto(n, rng, params, age, later=0.0):
    """Simulate Pareto/NBD customers; see `purchases_bg`."""
    r, alpha, s, beta = params.values()
    age = np.broadcast_to(np.asarray(age, float), n)
    rate = rng.gamma(r, 1 / alpha, n)
    end = rng.exponential(size=n) / rng.gamma(s, 1 / beta, n)
    return _run(n, rng, age, later, rate, lambda who: np.zeros(len(who), bool), end, 0)


def _run(n, rng, age, later, rate, leaves, end, late):
    frequency, recency, future, clock = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    here = np.arange(n)
    if late:
        here = here[~leaves(here)]
    while len(here):
        clock[here] += rng.exponential(size=len(here)) / rate[here]
        here = here[(clock[here] <= age[here] + later) & (clock[here] <= end[here])]
        seen = here[clock[here] <= age[here]]
        frequency[seen] += 1
        recency[seen] = clock[seen]
        future[np.setdiff1d(here, seen, assume_unique=True)] += 1
        here = here[~leaves(here)]
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": age, "future": future})


def mean_spends(summary, rng, p=6.0, q=4.0, gamma=15.0):
    """Add `monetary_value` of gamma-gamma customers to a purchase summary, and each one's true mean."""
    rate = rng.gamma(q, 1 / gamma, len(summary))
    x = summary.frequency.to_numpy()
    total = rng.gamma(p * np.maximum(x, 1)) / rate
    summary["monetary_value"] = np.where(x > 0, total / np.maximum(x, 1), 0.0)
    summary["true_mean"] = p / rate
    return summary
