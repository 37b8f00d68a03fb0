"""sBG: a contract is renewed or not, and each customer has a chance of their own to leave.

Source: Fader & Hardie (2007) Journal of Interactive Marketing 21(1):76-90.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from custkit.errors import DataError, ModelError, ParameterError
from custkit.likelihood import FittedModel, maximise


@dataclass(frozen=True)
class ShiftedBetaGeometricModel(FittedModel):
    """A fitted sBG model: params alpha, beta of the beta-distributed chance to leave at a renewal."""

    def predict_survival(self, renewals: np.ndarray) -> np.ndarray:
        """Share of a cohort still there after each number of renewals.

        Parameters
        ----------
        renewals : number or array
            0 or more.

        Returns
        -------
        array of the shape of ``renewals``, between 0 and 1

        Raises
        ------
        ParameterError
            Negative renewals.
        """
        from scipy.special import betaln

        alpha, beta = self.params
        return np.exp(betaln(alpha, beta + _at_least(0, renewals)) - betaln(alpha, beta))

    def predict_retention_rate(self, renewals: np.ndarray) -> np.ndarray:
        """Share of those still there who also renew the n-th time: S(n) / S(n - 1).

        Parameters
        ----------
        renewals : number or array
            Which renewal: 1 or more.

        Returns
        -------
        array of the shape of ``renewals``, between 0 and 1

        Raises
        ------
        ParameterError
            A renewal below 1.
        """
        alpha, beta = self.params
        n = _at_least(1, renewals)
        return (beta + n - 1) / (alpha + beta + n - 1)

    def predict_discounted_renewals(self, renewals: int, discount_rate: float) -> float:
        """Discounted expected future renewals (DERL) of a customer who is still there.

        Parameters
        ----------
        renewals : int
            How often the customer has renewed: 0 or more.
        discount_rate : float
            Per renewal period. The next renewal is due now and counts in full.

        Returns
        -------
        float

        Raises
        ------
        ParameterError
            Negative renewals, or a discount rate that is not above 0.
        """
        from scipy.special import hyp2f1

        if not discount_rate > 0:
            raise ParameterError("discount_rate must be above 0: without it the sum may have no end")
        alpha, beta = self.params
        left = beta + float(_at_least(0, renewals))
        first = left / (alpha + left)
        return float(first * hyp2f1(1, left + 1, alpha + left + 1, 1 / (1 + discount_rate)))


def fit_sbg(still_there: Sequence) -> ShiftedBetaGeometricModel:
    """Fit the shifted-beta-geometric model.

    Parameters
    ----------
    still_there : sequence of numbers, or sequence of such sequences
        Customers of one cohort at the start and after each renewal, for example ``[1000, 869, 743]``;
        or several cohorts, each as long as it has been seen.

    Returns
    -------
    ShiftedBetaGeometricModel
        Params alpha, beta.

    Raises
    ------
    DataError
        Fewer than two counts in a cohort, counts that rise, are negative or missing.
    ModelError
        Nobody has left, or the likelihood is not finite.
    """
    from scipy.special import digamma, gammaln

    cohorts = list(still_there)  # a Series too
    cohorts = cohorts if cohorts and np.ndim(cohorts[0]) else [cohorts]
    cohorts, faults = [np.asarray(cohort, float) for cohort in cohorts], []
    for i, cohort in enumerate(cohorts, start=1):
        if len(cohort) < 2 or not np.isfinite(cohort).all() or (np.diff(cohort) > 0).any() or cohort[-1] < 0:
            faults.append(
                f"cohort {i}: give at least two counts of customers still there, none missing, none rising"
            )
    if faults:
        raise DataError(faults)
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


def _at_least(lowest, renewals):
    renewals = np.asarray(renewals, float)
    if not (renewals >= lowest).all():
        raise ParameterError(f"renewals is {renewals}; give {lowest} or more")
    return renewals
