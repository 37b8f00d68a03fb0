"""Pareto/NBD: customers buy at their own rate and leave at an unseen moment.

Source: Schmittlein, Morrison & Colombo (1987) Management Science 33(1):1-24. The likelihood is written
as an integral over the moment of leaving instead of with 2F1, which overflows from 132 purchases on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from custkit.distinct import distinct
from custkit.purchase_models import BLOCK, NODE_WEIGHTS, NODES, PurchaseModel, check_periods, fit_purchases

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ParetoModel(PurchaseModel):
    """Pareto/NBD: customers leave at an unseen moment, not only after a purchase."""

    name = "Pareto/NBD"

    def purchase_probabilities(self, n: np.ndarray, periods: float) -> np.ndarray:
        """P(X(t) = n): chance of n repeat purchases of a new customer.

        Parameters
        ----------
        n : int or array of int
            Numbers of purchases.
        periods : float
            Time after the first purchase, in the unit of the fit.

        Returns
        -------
        array of the shape of ``n``, between 0 and 1

        Raises
        ------
        ParameterError
            ``periods`` is negative or not a number.
        """
        from scipy.stats import nbinom

        check_periods(periods)
        r, alpha, s, beta = self.params
        n, near = np.asarray(n, int)[..., None], min(alpha, beta)
        stretch = np.log1p(periods / near)
        left = near * np.expm1(stretch * NODES)  # moments of leaving
        leaves = (left + near) * stretch * NODE_WEIGHTS * s / beta * (1 + left / beta) ** -(s + 1)
        stays = (1 + periods / beta) ** -s
        bought = nbinom.pmf(n, r, alpha / (alpha + np.append(left, periods)))
        return bought @ np.append(leaves, stays)

    def _log_odds_gone(self, x, tx, T):
        columns, _, inverse = distinct(x, tx, T)
        odds = np.empty(len(columns[0]))
        for rows in np.array_split(np.arange(len(odds)), len(odds) // BLOCK + 1):  # 32 nodes a row
            alive, gone, _ = _pareto_terms(*self.params, *(column[rows] for column in columns))
            odds[rows] = np.logaddexp.reduce(gone, axis=1) - alive
        return odds[inverse()]

    def _if_alive(self, x, T, periods):
        from scipy.special import exprel

        r, alpha, s, beta = self.params
        older = np.log1p(periods / (beta + T)[:, None])
        return ((r + x) / (alpha + T) * (beta + T))[:, None] * older * exprel((1 - s) * older)

    def _simulate_if_alive(self, x, T, periods, rng):
        r, alpha, s, beta = self.params
        rate = rng.gamma(r + x) / (alpha + T)
        leaves = rng.exponential(size=len(x)) / np.maximum(rng.gamma(s, size=len(x)) / (beta + T), 1e-300)
        return rng.poisson(rate * np.minimum(leaves, periods))


def _pareto_terms(r, alpha, s, beta, x, tx, T):
    """Log-likelihood parts without constants: still there at T (n,), left at each node (n, 32), nodes."""
    k, c = (r + x)[:, None], min(alpha, beta)
    tx, T = tx[:, None], T[:, None]
    start = c + tx
    decay = start * (k / (alpha + tx) + (s + 1) / (beta + tx))
    stretch = np.minimum(np.log((c + T) / start), 45 / decay)  # beyond, nothing that a double can see
    y = start * np.exp(stretch * NODES) - c
    with np.errstate(divide="ignore"):  # T = tx: no time to leave in
        width = np.log(s * stretch * NODE_WEIGHTS)
    gone = width + np.log(c + y) - k * np.log(alpha + y) - (s + 1) * np.log(beta + y)
    alive = -(k * np.log(alpha + T) + s * np.log(beta + T))[:, 0]
    return alive, gone, y


def _pareto_objective(x, tx, T, scale, model):
    from scipy.special import digamma, gammaln

    tx, T = tx / scale, T / scale

    def make(weights):
        keep = weights > 0
        blocks = np.array_split(np.flatnonzero(keep), max(1, keep.sum() // BLOCK))
        n = weights.sum()

        def objective(theta):
            r, alpha, s, beta = np.exp(theta)
            value, slope = 0.0, np.zeros(4)
            for rows in blocks:
                w, k, age = weights[rows], r + x[rows], T[rows]
                alive, gone, y = _pareto_terms(r, alpha, s, beta, x[rows], tx[rows], age)
                top = np.maximum(alive, gone.max(axis=1))
                stays, leaves = np.exp(alive - top), np.exp(gone - top[:, None])
                total = stays + leaves.sum(axis=1)
                stays, leaves = w * stays / total, leaves * (w / total)[:, None]
                left = leaves.sum()
                value += w @ (gammaln(k) - gammaln(r) + r * theta[1] + s * theta[3] + top + np.log(total))
                near, far = 1 / (alpha + y), 1 / (beta + y)
                slope += [
                    w @ (digamma(k) - digamma(r) + theta[1])
                    - stays @ np.log(alpha + age)
                    + np.vdot(leaves, np.log(near)),
                    w.sum() * r / alpha
                    - (stays * k) @ (1 / (alpha + age))
                    - np.vdot(leaves * k[:, None], near),
                    w.sum() * theta[3] - stays @ np.log(beta + age) + np.vdot(leaves, np.log(far)) + left / s,
                    w.sum() * s / beta - s * (stays @ (1 / (beta + age))) - (s + 1) * np.vdot(leaves, far),
                ]
            return -value / n, -slope * np.exp(theta) / n

        return objective

    return make


def fit_pareto_nbd(summary: pd.DataFrame, time_unit: str | None = None) -> ParetoModel:
    """Fit the Pareto/NBD model.

    Parameters
    ----------
    summary : DataFrame
        As for `custkit.bgnbd.fit_bgnbd`.
    time_unit : {"D", "W"}, optional
        As there.

    Returns
    -------
    ParetoModel
        Params r, alpha (time), s, beta (time).

    Raises
    ------
    DataError, ModelError, ParameterError
        As for `custkit.bgnbd.fit_bgnbd`.

    Notes
    -----
    The likelihood is written as an integral over the unseen moment of leaving, which a 32-point Gauss
    rule in logarithmic time gives to about twelve digits for any frequency.
    """
    return fit_purchases(ParetoModel, ("r", "alpha", "s", "beta"), _pareto_objective, summary, time_unit)
