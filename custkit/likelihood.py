"""Maximum likelihood for models whose customers fall into few distinct patterns.

A customer enters the likelihood only through a few numbers (repeat purchases, last purchase, age).
Equal customers are therefore one weighted row. A fit first runs from several starts on a sample of
the customers, then once on all patterns from the best of them, with analytic gradients throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from custkit.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_CUSTOMERS = 20_000  # enough to land within Newton's reach of the optimum
LOOSE = 3.0  # standard error of a parameter's logarithm: a factor of 20 either way is no estimate
FARTHEST = 14.0  # of a logarithm from 0: beyond a million, differences of log-gammas lose their digits

#: ``objective(log_params) -> (mean negative log-likelihood, its gradient)``
Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class FittedModel:
    """What every fitted model of custkit carries.

    Attributes
    ----------
    params : pandas.Series
        Estimates by name; durations are in the time unit of the data.
    std_errors : pandas.Series
        Standard errors of ``params`` from the observed information (delta method); NaN where the
        likelihood is flat.
    log_likelihood : float
        At ``params``, summed over customers.
    covariance : pandas.DataFrame
        Covariance of the *logarithms* of ``params``.
    convergence : dict
        ``converged``, ``gradient_norm`` (largest relative slope per customer), ``still_to_gain``
        (log-likelihood a further Newton step would add), ``starts_agreeing`` and ``starts``,
        ``evaluations`` on all patterns, ``patterns``.
    customers : int
        Customers fitted on.
    """

    params: pd.Series
    std_errors: pd.Series
    log_likelihood: float
    covariance: pd.DataFrame
    convergence: dict[str, float]
    customers: int

    @property
    def pinned_down(self) -> bool:
        """Whether the data fix every parameter well enough to draw others from around the estimates."""
        spread = np.diag(self.covariance)
        return bool(np.isfinite(spread).all() and (spread >= 0).all() and np.sqrt(spread).max() <= LOOSE)

    def draw(self, rng: np.random.Generator) -> Self:
        """The same model with parameters drawn from their approximate sampling distribution.

        Parameters
        ----------
        rng : numpy.random.Generator
            The logarithms of the parameters are drawn from a normal distribution.

        Returns
        -------
        The model with other ``params``; everything else is that of the fit.

        Raises
        ------
        ModelError
            The likelihood is (nearly) flat at the estimates, so that they have no sampling distribution.
        """
        if not self.pinned_down:
            raise ModelError(
                "the data do not pin the parameters down (see convergence), so none can be drawn; "
                "use more customers or a longer time"
            )
        drawn = rng.multivariate_normal(np.log(self.params), self.covariance, method="eigh")
        return replace(self, params=self.params * 0 + np.exp(drawn))


def maximise(
    make_objective: Callable[[np.ndarray], Objective],
    weights: np.ndarray,
    names: Sequence[str],
    starts: Sequence[Sequence[float]],
    units: Sequence[float] | None = None,
    model: str = "model",
) -> dict:
    """Fit positive parameters by maximum likelihood.

    Parameters
    ----------
    make_objective : callable
        Given the weight of every pattern (0 leaves it out), returns the objective over log-parameters.
    weights : array of shape (k,)
        Customers per pattern.
    names : sequence of str
        Parameter names.
    starts : sequence of sequences
        Starting values of the parameters, in the scaled unit.
    units : sequence of float, optional
        Factor from the scaled unit back to the unit of the data, per parameter.
    model : str
        Name for messages.

    Returns
    -------
    dict
        The fields of `FittedModel`.

    Raises
    ------
    ModelError
        No start leads to a finite likelihood.

    Notes
    -----
    L-BFGS-B on a sample of at most 20,000 customers from each start, BFGS on all patterns from the
    best with the sample's curvature, then Newton steps until the slope is gone. Curvature is taken by
    central differences of the analytic gradient.
    """
    import pandas as pd
    from scipy.optimize import minimize

    n = float(weights.sum())
    sample = weights
    if len(weights) > SAMPLE_CUSTOMERS // 4 and n > SAMPLE_CUSTOMERS:
        sample = np.random.default_rng(1).multinomial(SAMPLE_CUSTOMERS, weights / n).astype(float)
    rough = make_objective(sample)
    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8, "maxls": 50}
    search = {"jac": True, "method": "L-BFGS-B", "bounds": [(-FARTHEST, FARTHEST)] * len(names)}
    tries = [minimize(rough, np.log(s), options=options, **search) for s in starts]
    tries = [t for t in tries if np.isfinite(t.fun) and np.isfinite(t.x).all()]
    if not tries:
        raise ModelError(f"{model}: the likelihood is not finite from any start; look for extreme customers")
    best = min(tries, key=lambda t: t.fun)
    agreeing = sum(t.fun - best.fun < 1e-6 * max(1.0, abs(best.fun)) for t in tries)

    objective = rough if sample is weights else make_objective(weights)
    evaluations, x = 0, best.x
    curvature = _curvature(rough, x)
    if sample is not weights:
        options = {"gtol": 1e-7, "maxiter": 200}
        if np.linalg.eigvalsh(curvature)[0] > 0:
            inverse = np.linalg.inv(curvature)
            options["hess_inv0"] = (inverse + inverse.T) / 2
        full = minimize(objective, x, jac=True, method="BFGS", options=options)
        x, evaluations = full.x, full.nfev
        curvature = _curvature(objective, x)
    value, slope = objective(x)
    sound = bool(np.linalg.eigvalsh(curvature)[0] > 1e-10)
    for _ in range(4 if sound else 0):
        if np.abs(slope).max() < 1e-13:
            break
        step = np.linalg.solve(curvature, -slope)
        moved, moved_slope = objective(x + step)
        if not np.abs(moved_slope).max() < np.abs(slope).max():
            break
        x, value, slope = x + step, moved, moved_slope
    gain = float(n * slope @ np.linalg.solve(curvature, slope) / 2) if sound else np.nan
    covariance = np.linalg.inv(curvature) / n if sound else np.full_like(curvature, np.nan)
    params = np.exp(x) * (1.0 if units is None else np.asarray(units, float))
    names = list(names)
    return {
        "params": pd.Series(params, names),
        "std_errors": pd.Series(params * np.sqrt(np.diag(covariance)), names),
        "log_likelihood": float(-n * value),
        "covariance": pd.DataFrame(covariance, names, names),
        "convergence": {
            "converged": bool(sound and gain < 1e-3 and np.abs(slope).max() < 1e-4),
            "gradient_norm": float(np.abs(slope).max()),
            "still_to_gain": gain,
            "starts_agreeing": int(agreeing),
            "starts": len(starts),
            "evaluations": int(evaluations or best.nfev),
            "patterns": int(np.count_nonzero(weights)),
        },
        "customers": int(n),
    }


def _curvature(objective: Objective, x: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Second derivatives by central differences of the gradient, made symmetric."""
    rows = [(objective(x + h)[1] - objective(x - h)[1]) / (2 * step) for h in np.eye(len(x)) * step]
    return (np.array(rows) + np.array(rows).T) / 2
