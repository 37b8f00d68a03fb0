"""BG/BB: regular occasions to buy or give; customers use each or not, and may leave before the next.

Source: Fader, Hardie & Shang (2010) Marketing Science 29(6):1086-1108.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from custkit.distinct import distinct
from custkit.errors import DataError, ModelError, ParameterError
from custkit.likelihood import FittedModel, maximise
from custkit.summary_columns import on_index, summary_weights

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BetaGeometricBetaBernoulliModel(FittedModel):
    """A fitted BG/BB model: alpha, beta of the chance to buy, gamma, delta of the chance to leave."""

    def predict_p_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Chance that each customer is still there at the next occasion.

        Parameters
        ----------
        summary : DataFrame
            ``frequency`` (repeat purchases), ``recency`` (number of the last occasion used, 0 when none)
            and ``periods`` (occasions so far).

        Returns
        -------
        Series named ``p_alive`` on the index of ``summary``, between 0 and 1.

        Raises
        ------
        DataError
            Missing columns or impossible rows.
        """
        (x, tx, n), _, inverse = distinct(*_occasion_columns(summary))
        terms, _ = _bgbb_terms(*self.params, x, tx, n)
        log_here = terms[:, 0] + self._log_stay(n + 1) - self._log_stay(n)
        chance = np.exp(log_here - np.logaddexp.reduce(terms, axis=1))
        return on_index(chance[inverse()], summary, "p_alive")

    def predict_purchases(self, summary: pd.DataFrame, periods: int) -> pd.Series:
        """Expected purchases of each customer in the next ``periods`` occasions.

        Parameters
        ----------
        summary : DataFrame
            As for `predict_p_alive`.
        periods : int
            Occasions, 0 or more.

        Returns
        -------
        Series named ``expected_purchases`` on the index of ``summary``.

        Raises
        ------
        DataError
            As for `predict_p_alive`.
        ParameterError
            ``periods`` is not a whole number of 0 or more.
        """
        alpha, beta, _, _ = self.params
        (x, n), _, inverse = distinct(*_occasion_columns(summary)[::2])
        future = n[:, None] + np.arange(1, _whole(periods) + 1)
        stays = np.exp(self._log_stay(future) - self._log_stay(n + 1)[:, None]).sum(axis=1)
        buys = (alpha + x) / (alpha + beta + n)
        return (self.predict_p_alive(summary) * (buys * stays)[inverse()]).rename("expected_purchases")

    def predict_new_customer(self, periods: int) -> float:
        """Expected purchases of a new customer in the first ``periods`` occasions.

        Parameters
        ----------
        periods : int
            Occasions, 0 or more.

        Returns
        -------
        float

        Raises
        ------
        ParameterError
            ``periods`` is not a whole number of 0 or more.
        """
        alpha, beta, _, _ = self.params
        return float(alpha / (alpha + beta) * np.exp(self._log_stay(np.arange(1, _whole(periods) + 1))).sum())

    def purchase_probabilities(self, n: np.ndarray, periods: int) -> np.ndarray:
        """P(X = n): chance of n purchases of a new customer over the first ``periods`` occasions.

        Parameters
        ----------
        n : array of int of shape (k,)
            Numbers of purchases, 0 or more.
        periods : int
            Occasions, 0 or more.

        Returns
        -------
        array of shape (k,), between 0 and 1

        Raises
        ------
        ParameterError
            ``periods`` is not a whole number of 0 or more.
        """
        from scipy.special import betaln

        alpha, beta, gamma, delta = self.params
        periods = _whole(periods)
        count, gone = np.meshgrid(np.asarray(n, float), np.arange(periods + 1), indexing="ij")
        misses = np.maximum(gone - count, 0)
        ways = -np.log1p(gone) - betaln(misses + 1, count + 1)  # log of "gone choose count"
        log_chance = ways + betaln(alpha + count, beta + misses) - betaln(alpha, beta)
        leaves = betaln(gamma + 1, delta + gone) - betaln(gamma, delta)
        leaves[:, -1] = self._log_stay(periods)
        return np.where(count <= gone, np.exp(log_chance + leaves), 0.0).sum(axis=1)

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

    Returns
    -------
    BetaGeometricBetaBernoulliModel
        Params alpha, beta, gamma, delta.

    Raises
    ------
    DataError
        Missing columns or impossible rows.
    ModelError
        Nobody bought again, or the likelihood is not finite.
    """
    x, tx, n = _occasion_columns(summary)
    counts = summary_weights(summary)
    if counts is None:
        (x, tx, n), counts, _ = distinct(x, tx, n)
    if not (x * counts > 0).any():
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
    names = ("frequency", "recency", "periods")
    x, tx, n = (summary[name].to_numpy(float, na_value=np.nan) for name in names)
    if not len(x):
        raise DataError("the summary of occasions has no customers")
    whole = (x % 1 == 0) & (tx % 1 == 0) & (n % 1 == 0)
    bad = ~((x >= 0) & (x <= tx) & (tx <= n) & np.isfinite(n) & ((x > 0) | (tx == 0)))
    wrong = {
        "are not 0 <= frequency <= recency <= periods, with recency 0 at frequency 0": bad,
        "are not whole numbers of occasions": ~bad & ~whole,
    }
    faults = [
        f"summary of occasions: {rows.sum():,} rows {what}, first at row {int(np.argmax(rows))} (from 0)"
        for what, rows in wrong.items()
        if rows.any()
    ]
    if faults:
        raise DataError(faults)
    return x, tx, n


def _whole(periods):
    if not (np.ndim(periods) == 0 and periods >= 0 and periods % 1 == 0):
        raise ParameterError(f"periods is {periods}; give a whole number of occasions, 0 or more")
    return int(periods)
