"""Gamma-gamma: how much a customer spends per purchase.

Source: Fader & Hardie (2013), "The Gamma-Gamma Model of Monetary Value", note 025; Colombo & Jiang (1999)
Journal of Interactive Marketing 13(3):2-12. Spend varies around a mean of each customer's own; the means
vary among customers, unrelated to how often they buy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from custkit.errors import DataError, ModelError
from custkit.likelihood import FittedModel, levels, maximise
from custkit.purchase_models import on_index

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
        ModelError
            q <= 1: the mean over customers is infinite and the model cannot price one-time buyers.
        """
        p, q, gamma = self._finite()
        x, money = _spend_columns(summary)
        value = p * (gamma + np.where(x > 0, money, 0.0) * x) / (p * x + q - 1)
        return on_index(value, summary, "expected_average_value")

    def simulate_spend(
        self, summary: pd.DataFrame, purchases: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """One possible total spend of each customer over the given numbers of future purchases."""
        p, q, gamma = self._finite()
        x, money = _spend_columns(summary)
        spend = np.zeros(len(summary))
        some = np.flatnonzero(purchases)
        x, money = x[some], np.where(x > 0, money, 0.0)[some]
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
        ``frequency`` and ``monetary_value`` per customer; rows with frequency 0 are left out.

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
    x, money = _spend_columns(summary)
    repeat = x > 0
    x, money = x[repeat], money[repeat]
    if len(x) < MIN_REPEAT_BUYERS:
        raise ModelError(f"gamma-gamma: {len(x)} repeat buyers are too few; {MIN_REPEAT_BUYERS} are needed")
    bad = ~(money > 0)
    if bad.any():
        raise DataError(
            f"purchase summary: {bad.sum():,} repeat buyers with a missing, zero or negative monetary_value; "
            "net refunds and set zero amounts aside first (tables.read_orders does)"
        )
    if np.ptp(money) <= 1e-9 * money.max():
        raise ModelError(f"gamma-gamma: every repeat buyer spends {money[0]:,.2f}; use that amount instead")
    scale = float(money.mean())
    starts = [(6.0, 4.0, 0.5), (1.0, 1.5, 1.0), (2.0, 8.0, 4.0)]
    make = _objective(x, money / scale)
    result = maximise(make, np.ones(len(x)), ("p", "q", "gamma"), starts, (1, 1, scale), "gamma-gamma")
    result["log_likelihood"] -= len(x) * np.log(scale)
    correlation = np.corrcoef(x, money)[0, 1] if np.ptp(x) else np.nan
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


def _spend_columns(summary):
    missing = [name for name in ("frequency", "monetary_value") if name not in summary]
    if missing:
        raise DataError(
            f"the purchase summary lacks {', '.join(missing)}; make it with orders.purchase_summary"
        )
    return summary["frequency"].to_numpy(float), summary["monetary_value"].to_numpy(float)
