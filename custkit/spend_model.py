"""Gamma-gamma: how much a customer spends per purchase.

Source: Fader & Hardie (2013), "The Gamma-Gamma Model of Monetary Value", note 025; Colombo & Jiang (1999)
Journal of Interactive Marketing 13(3):2-12. Spend varies around a mean of each customer's own; the means
vary among customers, unrelated to how often they buy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from custkit.distinct import levels
from custkit.errors import DataError, ModelError, ParameterError
from custkit.likelihood import FittedModel, maximise
from custkit.summary_columns import on_index, summary_weights

if TYPE_CHECKING:
    import pandas as pd

MIN_REPEAT_BUYERS = 10  # three parameters from fewer are noise


@dataclass(frozen=True)
class GammaGammaModel(FittedModel):
    """A fitted gamma-gamma model: params p, q, gamma (gamma in money).

    Attributes
    ----------
    frequency_correlation : float
        Pearson correlation of frequency and mean spend among repeat buyers. The model assumes none.
    """

    frequency_correlation: float = np.nan

    @property
    def mean_spend(self) -> float:
        """Expected mean spend of a customer not yet seen to buy again; infinite when q <= 1."""
        p, q, gamma = self.params
        return p * gamma / (q - 1) if q > 1 else np.inf

    def predict_spend(self, summary: pd.DataFrame) -> pd.Series:
        """Expected mean spend per future purchase, between the own mean and that of everybody.

        Parameters
        ----------
        summary : DataFrame
            ``frequency`` and ``monetary_value`` (mean spend of the repeat purchases; not read at 0).

        Returns
        -------
        Series named ``expected_average_value``, money per purchase.

        Raises
        ------
        DataError
            Missing columns; a repeat buyer without a mean spend, or with a negative one.
        ModelError
            q <= 1: the mean over customers is infinite and the model cannot price one-time buyers.
        """
        p, q, gamma = self._finite()
        x, money = _spend_columns(summary)
        value = p * (gamma + money * x) / (p * x + q - 1)
        return on_index(value, summary, "expected_average_value")

    def simulate_spend(
        self, summary: pd.DataFrame, purchases: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """One possible total spend of each customer over future purchases.

        Parameters
        ----------
        summary : DataFrame
            As for `predict_spend`.
        purchases : array of int of shape (n,)
            Future purchases of each customer.
        rng : numpy.random.Generator

        Returns
        -------
        array of shape (n,)
            Money.

        Raises
        ------
        DataError, ModelError
            As for `predict_spend`.
        ParameterError
            ``purchases`` has another length than ``summary``.
        """
        p, q, gamma = self._finite()
        x, money = _spend_columns(summary)
        purchases = np.asarray(purchases)
        if purchases.shape != x.shape:
            raise ParameterError(f"purchases has shape {purchases.shape}, the summary {len(x)} rows")
        spend = np.zeros(len(summary))
        some = np.flatnonzero(purchases)
        x, money = x[some], money[some]
        scale = (gamma + x * money) / rng.gamma(p * x + q)
        spend[some] = rng.gamma(p * purchases[some]) * scale
        return spend

    def _finite(self):
        if self.params["q"] <= 1:
            raise ModelError(
                f"gamma-gamma: q = {self.params['q']:.2f} is not above 1, so the mean spend has "
                "no finite value; use the average amount instead"
            )
        return self.params


def fit_gamma_gamma(summary: pd.DataFrame) -> GammaGammaModel:
    """Fit the gamma-gamma model to the repeat buyers.

    Parameters
    ----------
    summary : DataFrame
        ``frequency`` and ``monetary_value`` per customer; rows with frequency 0 are left out. An optional
        ``customers`` column weights the rows.

    Returns
    -------
    GammaGammaModel
        The log-likelihood is that of the mean spends (not of the totals).

    Raises
    ------
    DataError
        Missing columns; amounts of repeat buyers that are missing, zero or negative.
    ModelError
        Fewer than 10 repeat buyers, or all of them spend the same.
    """
    x, money = _spend_columns(summary, lowest=1e-300)
    weights = summary_weights(summary)
    weights = np.ones(len(x)) if weights is None else weights
    repeat = (x > 0) & (weights > 0)
    x, money, weights = x[repeat], money[repeat], weights[repeat]
    if weights.sum() < MIN_REPEAT_BUYERS:
        raise ModelError(
            f"gamma-gamma: {weights.sum():.0f} repeat buyers are too few; {MIN_REPEAT_BUYERS} are needed"
        )
    if np.ptp(money) <= 1e-9 * money.max():
        raise ModelError(f"gamma-gamma: every repeat buyer spends {money[0]:,.2f}; use that amount instead")
    scale = float(weights @ money / weights.sum())
    starts = [(6.0, 4.0, 0.5), (1.0, 1.5, 1.0), (2.0, 8.0, 4.0)]
    make = _objective(x, money / scale)
    result = maximise(make, weights, ("p", "q", "gamma"), starts, (1, 1, scale), "gamma-gamma")
    result["log_likelihood"] -= weights.sum() * np.log(scale)
    (var_x, both), (_, var_money) = np.cov(x, money, aweights=weights, ddof=0)
    correlation = both / np.sqrt(var_x * var_money) if var_x > 0 else np.nan
    return GammaGammaModel(**result, frequency_correlation=float(correlation))


def _objective(x, money):
    from scipy.special import digamma, gammaln

    ux, ix = levels(x)
    log_money, log_total = np.log(money), np.log(x * money)

    def make(weights):
        keep = np.flatnonzero(weights > 0)
        w, code, count, total = weights[keep], ix[keep], x[keep], (x * money)[keep]
        by_x, n = np.bincount(code, w, len(ux)), w.sum()
        used = np.flatnonzero(by_x)
        by_x, k = by_x[used], ux[used]
        sum_log_money = w @ log_money[keep]
        x_log_total = (w * count) @ log_total[keep]

        def objective(theta):
            p, q, gamma = np.exp(theta)
            log_sum, shape = np.log(total + gamma), p * count + q
            value = by_x @ (gammaln(p * k + q) - gammaln(p * k)) + n * (q * theta[2] - gammaln(q))
            value += p * x_log_total - sum_log_money - (w * shape) @ log_sum
            both = digamma(p * k + q)
            slope = np.array(
                [
                    by_x @ (k * (both - digamma(p * k))) + x_log_total - (w * count) @ log_sum,
                    by_x @ both + n * (theta[2] - digamma(q)) - w @ log_sum,
                    n * q / gamma - (w * shape) @ (1 / (total + gamma)),
                ]
            )
            return -value / n, -slope * np.exp(theta) / n

        return objective

    return make


def _spend_columns(summary, lowest=0.0):
    """Frequency, and mean spend of the repeat buyers (0 for others); DataError where it is below `lowest`."""
    missing = [name for name in ("frequency", "monetary_value") if name not in summary]
    if missing:
        raise DataError(
            f"the purchase summary lacks {', '.join(missing)}; make it with orders.purchase_summary"
        )
    x, money = (summary[name].to_numpy(float, na_value=np.nan) for name in ("frequency", "monetary_value"))
    money = np.where(x > 0, money, 0.0)
    wrong = {
        "a missing, infinite or negative frequency": ~((x >= 0) & np.isfinite(x)),
        f"repeat purchases but a missing, infinite{', zero' if lowest else ''} or negative monetary_value": (
            x > 0
        )
        & ~((money >= lowest) & np.isfinite(money)),
    }
    faults = [
        f"purchase summary: {bad.sum():,} rows with {what}, first at row {int(np.argmax(bad))} (from 0); "
        "net refunds and set zero amounts aside first (tables.read_orders does)"
        for what, bad in wrong.items()
        if bad.any()
    ]
    if faults:
        raise DataError(faults)
    return x, money
