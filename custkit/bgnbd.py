"""BG/NBD and MBG/NBD: customers buy at their own rate and may leave after a purchase.

Sources: Fader, Hardie & Lee (2005) Marketing Science 24(2):275-284; Batislam, Denizel & Filiztekin
(2007) International Journal of Research in Marketing 24(3):201-209. Everything is computed in logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.polynomial import chebyshev

from custkit.distinct import levels
from custkit.purchase_models import BLOCK, PurchaseModel, check_periods, fit_purchases

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BetaGeometricModel(PurchaseModel):
    """BG/NBD, or MBG/NBD when ``late`` is 1: a customer may also leave right after the first purchase."""

    late: ClassVar[int] = 0
    name = "BG/NBD"

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

        Notes
        -----
        The sum over earlier purchases in the published form is a negative-binomial tail.
        """
        from scipy.special import betainc, betaln, gammaln, xlogy

        check_periods(periods)
        r, alpha, a, b = self.params
        n = np.asarray(n, int)
        share = periods / (alpha + periods)
        count = gammaln(r + n) - gammaln(r) - gammaln(n + 1) + r * np.log1p(-share) + xlogy(n, share)
        stays = np.exp(betaln(a, b + n + self.late) - betaln(a, b) + count)
        leaves = np.exp(betaln(a + 1, np.maximum(b + n + self.late - 1, 1e-300)) - betaln(a, b))
        at_least = np.where(n > 0, betainc(np.maximum(n, 1), r, share), 1.0)
        return stays + np.where(n + self.late > 0, leaves * at_least, 0.0)

    def _log_odds_gone(self, x, tx, T):
        r, alpha, a, b = self.params
        before = x + self.late > 0
        level = np.log(a) - np.log(np.where(before, b + x + self.late - 1, 1.0))
        return np.where(before, (r + x) * np.log((alpha + T) / (alpha + tx)) + level, -np.inf)

    def _if_alive(self, x, T, periods):
        """Expected purchases in `periods` (rows by times) of customers alive at T.

        In s = log(1 + periods / (alpha + T)): what nearly equal customers would buy, times a factor that
        varies slowly and for each x with s alone. 64 Chebyshev points give it to about eleven digits.
        """
        from scipy.special import exprel

        r, alpha, a, b = self.params
        s = np.log1p(periods / (alpha + T)[:, None])
        top = max(s.max(), 1e-9)
        ux, ix = np.unique(x, return_inverse=True)

        def at(place):  # place is in (-1, 1)
            return _slow_factor(a, b + ux + self.late, r + ux, top * (place + 1) / 2)

        factor = chebyshev.chebinterpolate(at, 63)[:, ix, None]
        slow = chebyshev.chebval(2 * s / top - 1, factor, tensor=False)
        return (r + x)[:, None] * s * exprel((1 - a) * s) * slow

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


def beta_quadrature(a: float, b: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of expectations over Beta(a, b), of functions that change over orders of magnitude.

    Trapezoidal rule in log(p / (1 - p)), with the tails beyond the ends added as geometric series. Gauss
    rules of a few dozen nodes are tens of per cent off here over long horizons, when a < 1.

    Parameters
    ----------
    a : float
    b : array of shape (k,)
    reach : float
        Logarithm of the smallest p at which the function still changes.

    Returns
    -------
    p, weight : arrays of shape (k, nodes)
        The weights of a row add up to 1.
    """

    def tail(own, other):  # beyond, the density has fallen by e^40
        return 40 / own + np.log1p(40 / other) + np.sqrt(80 / np.minimum(own, other))

    mode = np.log(a / b)
    low = np.minimum(mode, reach) - np.minimum(30, tail(a, b))
    if a > 1:  # also when the function is as steep as 1 / p
        low = np.maximum(low, mode - tail(a - 1, b))
    high = np.minimum(np.maximum(mode, 30), mode + tail(b, a))
    widest = np.minimum(0.3, 0.6 * np.sqrt(1 / a + 1 / b))
    nodes = int(np.ceil(((high - low) / widest).max())) + 1
    step = (high - low) / (nodes - 1)
    place = low[:, None] + step[:, None] * np.arange(nodes)
    log_p = -np.logaddexp(0, -place)
    log_weight = a * log_p - b[:, None] * np.logaddexp(0, place)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True)) * step[:, None]
    weight[:, 0] /= -np.expm1(-a * step)
    weight[:, -1] /= -np.expm1(-b * step)
    return np.exp(log_p), weight / weight.sum(axis=1, keepdims=True)


def _slow_factor(a, b, k, s):
    """E[(1 - (1 + p z)^-k) / p] over Beta(a, b), z = e^s - 1, per k s exprel((1 - a) s): s by b."""
    from scipy.special import exprel

    later = np.expm1(s)
    factor = np.empty((len(s), len(b)))
    for rows in np.array_split(np.arange(len(b)), len(b) // 256 + 1):
        p, weight = beta_quadrature(a, b[rows], -np.log1p(k[rows] * later.max()))
        for i, z in enumerate(later):
            factor[i, rows] = (-np.expm1(-k[rows, None] * np.log1p(z * p)) / p * weight).sum(axis=1)
    return factor / (k * (s * exprel((1 - a) * s))[:, None])


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
    ParameterError
        A time unit other than "D" or "W".
    """
    return fit_purchases(BetaGeometricModel, ("r", "alpha", "a", "b"), _bg_objective, summary, time_unit)


def fit_mbgnbd(summary: pd.DataFrame, time_unit: str | None = None) -> ModifiedBetaGeometricModel:
    """Fit the MBG/NBD model.

    Parameters
    ----------
    summary : DataFrame
        As for `fit_bgnbd`.
    time_unit : {"D", "W"}, optional
        As for `fit_bgnbd`.

    Returns
    -------
    ModifiedBetaGeometricModel
        Params r, alpha (time), a, b.

    Raises
    ------
    DataError, ModelError, ParameterError
        As for `fit_bgnbd`.
    """
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
