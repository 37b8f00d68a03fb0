"""What the models of repeat buying share: predictions from a fit, and the fit itself.

`custkit.bgnbd` and `custkit.pareto_nbd` supply the likelihoods. Expectations over the unseen rates are
Gauss quadratures, which stay finite where the closed forms with 2F1 do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from custkit.distinct import distinct
from custkit.errors import ModelError, ParameterError
from custkit.likelihood import FittedModel, Objective, maximise
from custkit.summary_columns import on_index, summary_columns, summary_patterns

if TYPE_CHECKING:
    import pandas as pd

PERIODS_PER_YEAR = {"D": 365.25, "W": 365.25 / 7}
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)
NODES, NODE_WEIGHTS = (NODES + 1) / 2, NODE_WEIGHTS / 2  # on (0, 1)
BLOCK = 1 << 12  # rows worked on at a time: they stay in the cache, and BLAS on one thread
Model = TypeVar("Model", bound="PurchaseModel")


@dataclass(frozen=True)
class PurchaseModel(FittedModel):
    """A fitted model of repeat buying. See `FittedModel` for the common fields.

    Attributes
    ----------
    time_unit : {"D", "W"} or None
        Unit of ``recency``, ``T`` and of the durations in ``params``; needed for discounting.
    """

    time_unit: str | None = None
    name: ClassVar[str]

    def predict_p_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Probability that each customer still buys at T.

        Parameters
        ----------
        summary : DataFrame
            ``frequency``, ``recency``, ``T`` per customer, in the unit of the fit.

        Returns
        -------
        Series named ``p_alive`` on the index of ``summary``, between 0 and 1.

        Raises
        ------
        DataError
            The summary lacks columns or has impossible rows.
        """
        from scipy.special import expit

        x, tx, T = summary_columns(summary)
        return on_index(expit(-self._log_odds_gone(x, tx, T)), summary, "p_alive")

    def predict_purchases(self, summary: pd.DataFrame, periods: float) -> pd.Series:
        """Expected purchases of each customer in the ``periods`` time units after T.

        Parameters
        ----------
        summary : DataFrame
            As for `predict_p_alive`.
        periods : float
            In the unit of the fit, 0 or more.

        Returns
        -------
        Series named ``expected_purchases`` on the index of ``summary``.

        Raises
        ------
        DataError
            As for `predict_p_alive`.
        ParameterError
            ``periods`` is negative or not a number.
        """
        check_periods(periods)
        return self._predict(summary, lambda x, T: self._if_alive(x, T, np.full((len(x), 1), periods))[:, 0])

    def predict_new_customer(self, periods: float | np.ndarray) -> np.ndarray:
        """Expected repeat purchases of a new customer in the ``periods`` units after the first purchase.

        Parameters
        ----------
        periods : float or array of shape (k,)
            In the unit of the fit, 0 or more.

        Returns
        -------
        array of shape (k,)

        Raises
        ------
        ParameterError
            A negative or missing number of periods.
        """
        from scipy.special import expit

        check_periods(periods)
        periods = np.atleast_1d(np.asarray(periods, float))
        zero = np.zeros(1)
        return expit(-self._log_odds_gone(zero, zero, zero)) * self._if_alive(zero, zero, periods[None])[0]

    def predict_discounted_purchases(
        self, summary: pd.DataFrame, *, annual_discount_rate: float, horizon_months: float | None = None
    ) -> pd.Series:
        """Expected purchases after T, each discounted to T.

        Parameters
        ----------
        summary : DataFrame
            As for `predict_p_alive`.
        annual_discount_rate : float
            For example 0.10; continuous discounting at ln(1 + rate) a year.
        horizon_months : float, optional
            Months of 365.25 / 12 days after T. Without it the horizon is infinite (DERT).

        Returns
        -------
        Series named ``expected_purchases`` on the index of ``summary``.

        Raises
        ------
        DataError
            As for `predict_p_alive`.
        ParameterError
            Time unit unknown, a rate or horizon below 0, or an infinite horizon without a discount rate.
        """
        year = PERIODS_PER_YEAR.get(self.time_unit or "")
        if year is None:
            raise ParameterError(f"{self.name}: fit with time_unit='D' or 'W' before discounting")
        if not annual_discount_rate >= 0 or not (horizon_months is None or horizon_months >= 0):
            raise ParameterError(
                f"annual_discount_rate {annual_discount_rate} and horizon_months {horizon_months}: "
                "neither may be below 0"
            )
        if horizon_months is None and annual_discount_rate == 0:
            raise ParameterError("an infinite horizon needs a positive annual_discount_rate")
        rate = np.log1p(annual_discount_rate) / year
        horizon = 40 / rate if horizon_months is None else horizon_months * year / 12
        if rate == 0:
            return self.predict_purchases(summary, horizon)

        def discounted(x, T):
            # integral of e^(-rate u) dC(u), by parts; nodes even in log time, so that early and late count
            scale = self._age(T)[:, None]
            stretch = np.log1p(horizon / scale)
            u = scale * np.expm1(stretch * NODES)
            later = rate * np.exp(-rate * u) * (u + scale) * stretch * NODE_WEIGHTS
            expected = self._if_alive(x, T, np.column_stack([u, np.full(len(x), horizon)]))
            return (expected[:, :-1] * later).sum(axis=1) + np.exp(-rate * horizon) * expected[:, -1]

        return self._predict(summary, discounted)

    def simulate_purchases(
        self, summary: pd.DataFrame, periods: float, rng: np.random.Generator
    ) -> np.ndarray:
        """One possible future of every customer.

        Parameters
        ----------
        summary : DataFrame
            As for `predict_p_alive`.
        periods : float
            Length of the future in the unit of the fit, 0 or more.
        rng : numpy.random.Generator

        Returns
        -------
        array of int of shape (n,)
            Purchases of each customer in the ``periods`` units after T.

        Raises
        ------
        DataError
            As for `predict_p_alive`.
        ParameterError
            ``periods`` is negative or not a number.
        """
        check_periods(periods)
        x, _, T = summary_columns(summary)
        bought = np.zeros(len(summary), dtype=np.int64)
        alive = np.flatnonzero(rng.random(len(summary)) < self.predict_p_alive(summary).to_numpy())
        bought[alive] = self._simulate_if_alive(x[alive], T[alive], periods, rng)
        return bought

    def _predict(self, summary, if_alive) -> pd.Series:
        x, _, T = summary_columns(summary)
        (ux, uT), _, inverse = distinct(x, T)
        blocks = np.array_split(np.arange(len(ux)), max(1, len(ux) // BLOCK + 1))
        value = np.concatenate([if_alive(ux[rows], uT[rows]) for rows in blocks])
        name = "expected_purchases"
        return on_index(value[inverse()], summary, name) * self.predict_p_alive(summary).rename(name)

    def _age(self, T):
        return self.params["alpha"] + T


def fit_purchases(
    model: type[Model],
    names: Sequence[str],
    objective: Callable[..., Callable[[np.ndarray], Objective]],
    summary: pd.DataFrame,
    time_unit: str | None,
) -> Model:
    """Fit ``model`` on the distinct patterns of ``summary``.

    Parameters
    ----------
    model : subclass of PurchaseModel
    names : sequence of str
        Parameter names; ``alpha`` and ``beta`` are durations.
    objective : callable
        ``objective(x, tx, T, scale, model)`` gives `maximise` its ``make_objective``.
    summary, time_unit
        See `custkit.bgnbd.fit_bgnbd`.

    Returns
    -------
    The fitted model.

    Raises
    ------
    DataError, ModelError, ParameterError
        See `custkit.bgnbd.fit_bgnbd`.
    """
    time_unit = time_unit or summary.attrs.get("time_unit")
    if time_unit not in (None, *PERIODS_PER_YEAR):
        raise ParameterError(f"time_unit is {time_unit!r}; give 'D' (days) or 'W' (weeks)")
    (x, tx, T), weights = summary_patterns(summary)
    if not (x * weights > 0).any():
        raise ModelError(f"{model.name}: no customer bought again, so there is nothing to learn a rate from")
    scale = float(T.max())
    units = [scale if name in ("alpha", "beta") else 1.0 for name in names]
    starts = [(0.5, 0.2, 0.5, 1.5), (1.0, 1.0, 1.0, 1.0), (0.2, 0.05, 1.5, 3.0)]
    make = objective(x, tx, T, scale, model)
    result = maximise(make, weights.astype(float), names, starts, units, model.name)
    result["log_likelihood"] -= float((weights * x).sum()) * np.log(scale)  # density in the unit of the data
    return model(**result, time_unit=time_unit)


def check_periods(periods: float | np.ndarray) -> None:
    """Refuse times that no prediction can be made for.

    Parameters
    ----------
    periods : float or array

    Raises
    ------
    ParameterError
        A negative or missing number.
    """
    if not (np.asarray(periods, float) >= 0).all():
        raise ParameterError(f"periods is {periods}; give a number of 0 or more, in the unit of the fit")
