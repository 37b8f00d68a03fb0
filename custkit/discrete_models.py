"""Models whose time goes in steps: sBG for contracts, BG/BB for regular occasions to buy or give.

Sources: sBG, Fader & Hardie (2007) Journal of Interactive Marketing 21(1):76-90; BG/BB, Fader, Hardie &
Shang (2010) Marketing Science 29(6):1086-1108.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from custkit.errors import DataError, ModelError, ParameterError
from custkit.likelihood import FittedModel, distinct, maximise
from custkit.purchase_models import on_index

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ShiftedBetaGeometricModel(FittedModel):
    """A fitted sBG model: params alpha, beta of the beta-distributed chance to leave at a renewal."""

    def predict_survival(self, renewals: np.ndarray) -> np.ndarray:
        """Share of a cohort still there after each number of renewals."""
        from scipy.special import betaln

        alpha, beta = self.params
        return np.exp(betaln(alpha, beta + np.asarray(renewals, float)) - betaln(alpha, beta))

    def predict_retention_rate(self, renewals: np.ndarray) -> np.ndarray:
        """Share of those still there who also renew the n-th time: S(n) / S(n - 1), n from 1."""
        alpha, beta = self.params
        n = np.asarray(renewals, float)
        return (beta + n - 1) / (alpha + beta + n - 1)

    def predict_discounted_renewals(self, renewals: int, discount_rate: float) -> float:
        """Discounted expected future renewals (DERL) of a customer who has renewed ``renewals`` times.

        ``discount_rate`` is per renewal period; the next renewal is due now and counts in full.
        """
        from scipy.special import hyp2f1

        if discount_rate <= 0:
            raise ParameterError("discount_rate must be above 0: without it the sum may have no end")
        alpha, beta = self.params
        left = beta + renewals
        first = left / (alpha + left)
        return float(first * hyp2f1(1, left + 1, alpha + left + 1, 1 / (1 + discount_rate)))


def fit_sbg(still_there: Sequence) -> ShiftedBetaGeometricModel:
    """Fit the shifted-beta-geometric model.

    Parameters
    ----------
    still_there : sequence of numbers, or sequence of such sequences
        Customers of one cohort at the start and after each renewal, for example ``[1000, 869, 743]``;
        or several cohorts, each as long as it has been seen.

    Raises
    ------
    DataError
        Fewer than two counts in a cohort, counts that rise, are negative or missing.
    ModelError
        Nobody has left, or the likelihood is not finite.
    """
    from scipy.special import digamma, gammaln

    cohorts = still_there if len(still_there) and np.ndim(still_there[0]) else [still_there]
    cohorts = [np.asarray(cohort, float) for cohort in cohorts]
    for i, cohort in enumerate(cohorts, start=1):
        if len(cohort) < 2 or not np.isfinite(cohort).all() or (np.diff(cohort) > 0).any() or cohort[-1] < 0:
            raise DataError(
                f"cohort {i}: give at least two counts of customers still there, none missing, none rising"
            )
    longest = max(map(len, cohorts))
    left, stayed = np.zeros(longest), np.zeros(longest)  # by renewal number
    for cohort in cohorts:
        left[1 : len(cohort)] -= np.diff(cohort)
        stayed[len(cohort) - 1] += cohort[-1]
    if left.sum() == 0:
        raise ModelError("sBG: nobody has left yet, so there is no churn to learn from")
    renewal = np.arange(longest)

    def make(weights):
        gone, here = weights[:longest], weights[longest:]
        n = weights.sum()

        def objective(theta):
            a, b = np.exp(theta)
            # left at renewal t: B(a + 1, b + t - 1) / B(a, b); still there: B(a, b + t) / B(a, b)
            earlier = np.maximum(b + renewal - 1, 1e-300)
            both, all_ = gammaln(a + b + renewal), gammaln(a + b) - gammaln(a) - gammaln(b)
            value = gone @ (gammaln(a + 1) + gammaln(earlier) - both)
            value += here @ (gammaln(a) + gammaln(b + renewal) - both) + n * all_
            d_both, d_all = digamma(a + b + renewal), digamma(a + b)
            slope = np.array(
                [
                    gone @ (digamma(a + 1) - d_both)
                    + here @ (digamma(a) - d_both)
                    + n * (d_all - digamma(a)),
                    gone[1:] @ digamma(earlier[1:])
                    + here @ digamma(b + renewal)
                    - (gone + here) @ d_both
                    + n * (d_all - digamma(b)),
                ]
            )
            return -value / n, -slope * np.exp(theta) / n

        return objective

    starts = [(1.0, 1.0), (0.5, 3.0), (3.0, 10.0)]
    weights = np.concatenate([left, stayed])
    return ShiftedBetaGeometricModel(**maximise(make, weights, ("alpha", "beta"), starts, model="sBG"))


@dataclass(frozen=True)
class BetaGeometricBetaBernoulliModel(FittedModel):
    """A fitted BG/BB model: alpha, beta of the chance to buy, gamma, delta of the chance to leave."""

    def predict_p_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Chance that each customer is still there at the next occasion.

        ``summary`` has ``frequency`` (repeat purchases), ``recency`` (number of the last occasion used,
        0 when none) and ``periods`` (occasions so far).
        """
        x, tx, n = _occasion_columns(summary)
        terms, _ = _bgbb_terms(*self.params, x, tx, n)
        log_here = terms[:, 0] + self._log_stay(n + 1) - self._log_stay(n)
        return on_index(np.exp(log_here - np.logaddexp.reduce(terms, axis=1)), summary, "p_alive")

    def predict_purchases(self, summary: pd.DataFrame, periods: int) -> pd.Series:
        """Expected purchases of each customer in the next ``periods`` occasions."""
        alpha, beta, _, _ = self.params
        x, _, n = _occasion_columns(summary)
        future = n[:, None] + np.arange(1, int(periods) + 1)
        stays = np.exp(self._log_stay(future) - self._log_stay(n + 1)[:, None]).sum(axis=1)
        buys = (alpha + x) / (alpha + beta + n)
        return (self.predict_p_alive(summary) * (buys * stays)).rename("expected_purchases")

    def predict_new_customer(self, periods: int) -> float:
        """Expected purchases of a new customer in the first ``periods`` occasions."""
        alpha, beta, _, _ = self.params
        return float(alpha / (alpha + beta) * np.exp(self._log_stay(np.arange(1, int(periods) + 1))).sum())

    def purchase_probabilities(self, n: np.ndarray, periods: int) -> np.ndarray:
        """P(X = n) over the first ``periods`` occasions, shape of n."""
        from scipy.special import betaln, comb

        alpha, beta, gamma, delta = self.params
        count, gone = np.meshgrid(np.asarray(n, float), np.arange(int(periods) + 1), indexing="ij")
        buys = comb(gone, count) * np.exp(
            betaln(alpha + count, np.maximum(beta + gone - count, 1e-300)) - betaln(alpha, beta)
        )
        leaves = np.exp(betaln(gamma + 1, delta + gone) - betaln(gamma, delta))
        leaves[:, -1] = np.exp(self._log_stay(int(periods)))
        return (buys * leaves).sum(axis=1)

    def _log_stay(self, occasions):
        from scipy.special import betaln

        _, _, gamma, delta = self.params
        return betaln(gamma, delta + np.asarray(occasions, float)) - betaln(gamma, delta)


def fit_bgbb(summary: pd.DataFrame) -> BetaGeometricBetaBernoulliModel:
    """Fit the BG/BB model.

    Parameters
    ----------
    summary : DataFrame
        ``frequency``, ``recency``, ``periods`` as in `BetaGeometricBetaBernoulliModel.predict_p_alive`;
        an optional ``customers`` column weights the rows.

    Raises
    ------
    DataError
        Missing columns or impossible rows.
    ModelError
        Nobody bought again, or the likelihood is not finite.
    """
    x, tx, n = _occasion_columns(summary)
    if "customers" in summary:
        counts = summary["customers"].to_numpy(float)
    else:
        (x, tx, n), counts, _ = distinct(x, tx, n)
    if not (x > 0).any():
        raise ModelError("BG/BB: no customer bought again, so there is nothing to learn a rate from")

    def make(weights):
        keep = weights > 0
        w, rows = weights[keep], (x[keep], tx[keep], n[keep])

        def objective(theta):
            terms, slopes = _bgbb_terms(*np.exp(theta), *rows)
            likelihood = np.logaddexp.reduce(terms, axis=1)
            share = np.exp(terms - likelihood[:, None])
            slope = np.array([w @ (share * part).sum(axis=1) for part in slopes])
            return -(w @ likelihood) / w.sum(), -slope * np.exp(theta) / w.sum()

        return objective

    names, starts = ("alpha", "beta", "gamma", "delta"), [(1, 1, 1, 2), (0.5, 2, 0.5, 5), (2, 1, 1, 8)]
    return BetaGeometricBetaBernoulliModel(
        **maximise(make, counts.astype(float), names, starts, model="BG/BB")
    )


def _bgbb_terms(alpha, beta, gamma, delta, x, tx, n):
    """Log-likelihood of each way to have got here (column 0: still there; i: left i occasions before the
    end, after the last purchase), minus infinity where impossible, and their slopes by parameter."""
    from scipy.special import betaln, digamma

    x, tx, n = x[:, None], tx[:, None], n[:, None]
    back = np.arange(int((n - tx).max()) + 1)  # 0 stands for still there
    left_at = np.maximum(n - back, tx)
    possible = back <= n - tx
    misses, gone = left_at - x, np.where(back > 0, 1.0, 0.0)
    value = betaln(alpha + x, beta + misses) - betaln(alpha, beta)
    value = value + betaln(gamma + gone, delta + left_at) - betaln(gamma, delta)
    buys, leaves = digamma(alpha + beta + left_at), digamma(gamma + gone + delta + left_at)
    slopes = (
        digamma(alpha + x) - buys - digamma(alpha) + digamma(alpha + beta),
        digamma(beta + misses) - buys - digamma(beta) + digamma(alpha + beta),
        digamma(gamma + gone) - leaves - digamma(gamma) + digamma(gamma + delta),
        digamma(delta + left_at) - leaves - digamma(delta) + digamma(gamma + delta),
    )
    return np.where(possible, value, -np.inf), slopes


def _occasion_columns(summary):
    missing = [name for name in ("frequency", "recency", "periods") if name not in summary]
    if missing:
        raise DataError(f"the summary of occasions lacks {', '.join(missing)}")
    x, tx, n = (summary[name].to_numpy(float) for name in ("frequency", "recency", "periods"))
    bad = ~((x >= 0) & (x <= tx) & (tx <= n) & np.isfinite(n))
    if bad.any() or not len(x):
        raise DataError(
            f"{bad.sum():,} rows do not have 0 <= frequency <= recency <= periods, "
            f"first at row {int(np.argmax(bad)) if bad.any() else 0} (from 0)"
        )
    return x, tx, n
