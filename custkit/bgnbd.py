"""BG/NBD and MBG/NBD: customers buy at their own rate and may leave after a purchase.

Sources: Fader, Hardie & Lee (2005) Marketing Science 24(2):275-284; Batislam, Denizel & Filiztekin
(2007) International Journal of Research in Marketing 24(3):201-209. Everything is computed in logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from custkit.likelihood import levels
from custkit.purchase_models import BLOCK, PurchaseModel, fit_purchases

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BetaGeometricModel(PurchaseModel):
    """BG/NBD, or MBG/NBD when ``late`` is 1: a customer may also leave right after the first purchase."""

    late: ClassVar[int] = 0
    name = "BG/NBD"

    def purchase_probabilities(self, n: np.ndarray, periods: float) -> np.ndarray:
        """P(X(t) = n): chance of n repeat purchases in the ``periods`` units after the first, shape of n.

        The sum over earlier purchases in the published form is a negative-binomial tail.
        """
        from scipy.special import betaln
        from scipy.stats import nbinom

        r, alpha, a, b = self.params
        n = np.asarray(n, int)
        counts = nbinom(r, alpha / (alpha + periods))
        stays = np.exp(betaln(a, b + n + self.late) - betaln(a, b)) * counts.pmf(n)
        leaves = np.exp(betaln(a + 1, np.maximum(b + n + self.late - 1, 1e-300)) - betaln(a, b))
        return stays + np.where(n + self.late > 0, leaves * counts.sf(n - 1), 0.0)

    def _log_odds_gone(self, x, tx, T):
        r, alpha, a, b = self.params
        before = x + self.late > 0
        level = np.log(a) - np.log(np.where(before, b + x + self.late - 1, 1.0))
        return np.where(before, (r + x) * np.log((alpha + T) / (alpha + tx)) + level, -np.inf)

    def _if_alive(self, x, T, periods):
        """Expected purchases in `periods` (rows by times) of customers alive at T."""
        r, alpha, a, b = self.params
        ux, ix = np.unique(x, return_inverse=True)
        p, weight = beta_quadrature(a, b + ux + self.late)
        out = np.empty(periods.shape)
        for rows in np.array_split(np.arange(len(x)), max(1, periods.size * 32 // 2**22)):
            p_, weight_, age = p[ix[rows], None], weight[ix[rows], None], (alpha + T[rows])[:, None, None]
            grown = np.log1p(periods[rows, :, None] * p_ / age) * -(r + x[rows])[:, None, None]
            out[rows] = (-np.expm1(grown) / p_ * weight_).sum(axis=2)
        return out

    def _simulate_if_alive(self, x, T, periods, rng):
        r, alpha, a, b = self.params
        rate = rng.gamma(r + x) / (alpha + T)
        leave = np.maximum(rng.beta(a, b + x + self.late), 1e-15)
        return np.minimum(rng.poisson(rate * periods), rng.geometric(leave))


@dataclass(frozen=True)
class ModifiedBetaGeometricModel(BetaGeometricModel):
    """MBG/NBD."""

    late: ClassVar[int] = 1
    name = "MBG/NBD"


def beta_quadrature(a: float, b: np.ndarray, nodes: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (each len(b) by nodes) of expectations over Beta(a, b).

    Gauss-Jacobi by the eigenvalues of the recurrence matrix (Golub & Welsch 1969).
    """
    al, be = np.asarray(b, float)[:, None] - 1, a - 1
    k = np.arange(1, nodes)
    total = 2 * k + al + be
    diagonal = np.empty((len(al), nodes))
    diagonal[:, :1] = (be - al) / (al + be + 2)
    diagonal[:, 1:] = (be**2 - al**2) / (total * (total + 2))
    off = 4 * k * (k + al) * (k + be) * (k + al + be) / (total**2 * (total + 1) * (total - 1))
    off[:, :1] = 4 * (1 + al) * (1 + be) / ((2 + al + be) ** 2 * (3 + al + be))
    matrix = np.zeros((len(al), nodes, nodes))
    matrix[:, np.arange(nodes), np.arange(nodes)] = diagonal
    matrix[:, k, k - 1] = np.sqrt(off)  # eigh reads the lower triangle
    place, vectors = np.linalg.eigh(matrix)
    return np.clip((1 + place) / 2, 1e-300, 1.0), vectors[:, 0, :] ** 2


def fit_bgnbd(summary: pd.DataFrame, time_unit: str | None = None) -> BetaGeometricModel:
    """Fit the BG/NBD model.

    Parameters
    ----------
    summary : DataFrame
        ``frequency`` (repeat purchases), ``recency`` (first to last), ``T`` (first to the end); an
        optional ``customers`` column weights the rows.
    time_unit : {"D", "W"}, optional
        Unit of recency and T; taken from ``summary.attrs["time_unit"]`` when not given.

    Returns
    -------
    BetaGeometricModel
        Params r, alpha (time), a, b.

    Raises
    ------
    DataError
        Missing columns, missing or negative values, recency above T.
    ModelError
        Nobody bought again, or no start leads to a finite likelihood.
    """
    return fit_purchases(BetaGeometricModel, ("r", "alpha", "a", "b"), _bg_objective, summary, time_unit)


def fit_mbgnbd(summary: pd.DataFrame, time_unit: str | None = None) -> ModifiedBetaGeometricModel:
    """Fit the MBG/NBD model. Arguments, result and errors as for `fit_bgnbd`."""
    return fit_purchases(
        ModifiedBetaGeometricModel, ("r", "alpha", "a", "b"), _bg_objective, summary, time_unit
    )


def _bg_objective(x, tx, T, scale, model):
    from scipy.special import digamma, gammaln

    def make(weights):
        keep = weights > 0
        w_all, late = weights[keep], model.late
        (ux, ix), (uT, iT), (ut, it) = (levels(column[keep]) for column in (x, T, tx))
        uT, ut = uT / scale, ut / scale
        n, by_x = w_all.sum(), np.bincount(ix, w_all)
        by_T, x_by_T = np.bincount(iT, w_all), np.bincount(iT, w_all * ux[ix])
        rows = np.flatnonzero(ux[ix] + late > 0)  # BG/NBD: one-time buyers are alive for sure
        cuts = np.array_split(rows, max(1, len(rows) // BLOCK))  # small enough to stay in the cache
        blocks = [(ix[cut], iT[cut], it[cut], w_all[cut]) for cut in cuts]
        before = ux + late - 1  # purchases at each of which the customer could have left, less one

        def objective(theta):
            r, alpha, a, b = np.exp(theta)
            ab = a + b + ux + late
            constant = gammaln(r + ux) - gammaln(r) + r * theta[1] + gammaln(a + b) - gammaln(ab)
            constant += gammaln(b + ux + late) - gammaln(b)
            log_T, log_t, near_T, near_t = (
                np.log(alpha + uT),
                np.log(alpha + ut),
                1 / (alpha + uT),
                1 / (alpha + ut),
            )
            earlier = np.where(before >= 0, b + before, 1.0)
            level, rate = theta[2] - np.log(earlier), r + ux
            value = by_x @ constant - (r * by_T + x_by_T) @ log_T
            gone_x, gone_r, gone_alpha = np.zeros(len(ux)), 0.0, 0.0
            for x_, T_, t_, w in blocks:
                apart, k = log_T[T_] - log_t[t_], rate[x_]
                odds = k * apart + level[x_]  # log odds of having left
                small = np.exp(-np.abs(odds))
                gone = np.where(odds > 0, w, w * small) / (1 + small)
                value += w @ (np.maximum(odds, 0) + np.log1p(small))
                gone_x += np.bincount(x_, gone, len(ux))
                gone_r += gone @ apart
                gone_alpha += (gone * k) @ (near_T[T_] - near_t[t_])
            both = digamma(a + b) - digamma(ab)
            slope = np.array(
                [
                    by_x @ (digamma(r + ux) - digamma(r)) + n * theta[1] - by_T @ log_T + gone_r,
                    n * r / alpha - (r * by_T + x_by_T) @ near_T + gone_alpha,
                    by_x @ both + gone_x.sum() / a,
                    by_x @ (both + digamma(b + ux + late) - digamma(b)) - gone_x @ (1 / earlier),
                ]
            )
            return -value / n, -slope * np.exp(theta) / n

        return objective

    return make
