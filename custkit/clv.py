"""Customer lifetime value: the models of one place, and money from their predictions.

Purchase models (`fit_bgnbd`, `fit_mbgnbd`, `fit_pareto_nbd`), the spend model (`fit_gamma_gamma`) and the
models in steps (`fit_sbg`, `fit_bgbb`) live in modules of their own; this one is where to call them.
Value is always *residual*: what a customer is expected to bring after the observation end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from custkit.bgbb import fit_bgbb
from custkit.bgnbd import BetaGeometricModel, ModifiedBetaGeometricModel, fit_bgnbd, fit_mbgnbd
from custkit.errors import ModelError, ParameterError
from custkit.pareto_nbd import ParetoModel, fit_pareto_nbd
from custkit.purchase_models import PERIODS_PER_YEAR, PurchaseModel
from custkit.sbg import fit_sbg
from custkit.spend_model import GammaGammaModel, fit_gamma_gamma
from custkit.summary_columns import summary_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PERIODS_PER_YEAR",
    "BetaGeometricModel",
    "GammaGammaModel",
    "ModifiedBetaGeometricModel",
    "ParetoModel",
    "PurchaseModel",
    "customer_value",
    "expected_repeat_purchases",
    "fit_bgbb",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "fit_mbgnbd",
    "fit_pareto_nbd",
    "fit_sbg",
    "value_interval",
]

ALL = "All customers"


def customer_value(
    purchase_model: PurchaseModel,
    spend: GammaGammaModel | float,
    summary: pd.DataFrame,
    *,
    margin_rate: float,
    annual_discount_rate: float,
    horizon_months: float | None,
) -> pd.DataFrame:
    """Residual value of each customer: margin x mean spend x discounted expected purchases.

    Parameters
    ----------
    purchase_model : PurchaseModel
        Fitted with a time unit.
    spend : GammaGammaModel or float
        The spend model, or one amount per purchase for everybody.
    summary : DataFrame
        ``frequency``, ``recency``, ``T`` and, for a spend model, ``monetary_value``.
    margin_rate : float
        Contribution margin as a share of the amount, in (0, 1].
    annual_discount_rate : float
        For example 0.10. Discounting is continuous, at ln(1 + rate) a year.
    horizon_months : float or None
        Months of 365.25 / 12 days; None is the infinite horizon.

    Returns
    -------
    DataFrame on the index of ``summary``
        ``p_alive``; ``expected_purchases`` within the horizon, not discounted (left out when infinite);
        ``discounted_purchases``; ``expected_average_value`` (money per purchase); ``clv`` (money).

    Raises
    ------
    ParameterError
        A rate, horizon or fixed amount out of range, or no time unit.
    DataError
        The summary lacks columns or has impossible rows.
    ModelError
        The spend model has no finite mean.
    """
    _check_rates(spend, margin_rate, annual_discount_rate, horizon_months)
    value = purchase_model.predict_p_alive(summary).to_frame()
    if horizon_months is not None:
        periods = _periods(purchase_model, horizon_months)
        value["expected_purchases"] = purchase_model.predict_purchases(summary, periods)
    value["discounted_purchases"] = purchase_model.predict_discounted_purchases(
        summary, annual_discount_rate=annual_discount_rate, horizon_months=horizon_months
    )
    fixed = not isinstance(spend, GammaGammaModel)
    value["expected_average_value"] = float(spend) if fixed else spend.predict_spend(summary)
    value["clv"] = margin_rate * value["expected_average_value"] * value["discounted_purchases"]
    return value


def value_interval(
    purchase_model: PurchaseModel,
    spend: GammaGammaModel | float,
    summary: pd.DataFrame,
    groups: pd.Series | pd.DataFrame,
    *,
    margin_rate: float,
    annual_discount_rate: float,
    horizon_months: float,
    rng: np.random.Generator,
    level: float = 0.9,
    draws: int = 200,
) -> pd.DataFrame:
    """Residual value of groups of customers, with prediction intervals.

    Each draw takes new parameters from their sampling distribution, replays the future of every customer
    and adds up the money per group: the interval holds both the doubt about the model's parameters and
    the luck of the customers. It does not hold the doubt about the model itself.

    Parameters
    ----------
    groups : Series or DataFrame
        Group of each customer, in the order of ``summary``; several groupings as columns share the replays.
    level : float
        Share of the draws between ``low`` and ``high``.
    draws : int
        Replays.
    rng, and all others
        As in `customer_value`; ``rng`` makes the draws repeatable.

    Returns
    -------
    DataFrame indexed by group, last row "All customers"
        ``customers``, ``expected_purchases``, ``clv`` (expected), ``low``, ``high`` (money). For several
        groupings one such table under the other; the outer index names the grouping.

    Raises
    ------
    ParameterError
        A rate, horizon, level or number of draws out of range; an infinite horizon (the futures replayed
        have an end); groups of another length than ``summary`` or missing for some customers; no time unit.
    ModelError
        The models have no sampling distribution, or the spend model no finite mean.
    """
    import pandas as pd

    _check_replays(groups, summary, horizon_months, level, draws)
    settings = {"margin_rate": margin_rate, "annual_discount_rate": annual_discount_rate}
    expected = customer_value(purchase_model, spend, summary, horizon_months=horizon_months, **settings)
    with np.errstate(invalid="ignore", divide="ignore"):
        discount = np.nan_to_num(
            (expected["discounted_purchases"] / expected["expected_purchases"]).to_numpy()
        )
    periods = _periods(purchase_model, horizon_months)

    several = groups if isinstance(groups, pd.DataFrame) else groups.to_frame(groups.name or "group")
    coded = {name: pd.factorize(column.to_numpy(), sort=True) for name, column in several.items()}
    replays = {name: np.empty((draws, len(names))) for name, (_, names) in coded.items()}
    for draw in range(draws):
        purchases = purchase_model.draw(rng).simulate_purchases(summary, periods, rng)
        if isinstance(spend, GammaGammaModel):
            money = _draw_finite(spend, rng).simulate_spend(summary, purchases, rng)
        else:
            money = purchases * float(spend)
        money *= margin_rate * discount
        for name, (codes, names) in coded.items():
            replays[name][draw] = np.bincount(codes, money, len(names))
    tables = {name: _totals(expected, *coded[name], replays[name], level, name) for name in coded}
    return pd.concat(tables) if several is groups else next(iter(tables.values()))


def _totals(expected, codes, names, replays, level, label):
    """Expected totals and their range by group, and those of everybody in the last row."""
    import pandas as pd

    replays = np.column_stack([replays, replays.sum(axis=1)])
    low, high = np.quantile(replays, [(1 - level) / 2, (1 + level) / 2], axis=0)

    def add_up(values):
        by_group = np.bincount(codes, values, len(names))
        return np.append(by_group, by_group.sum())

    return pd.DataFrame(
        {
            "customers": add_up(np.ones(len(codes))).astype(int),
            "expected_purchases": add_up(expected["expected_purchases"].to_numpy()),
            "clv": add_up(expected["clv"].to_numpy()),
            "low": low,
            "high": high,
        },
        index=pd.Index([*names, ALL], name=label),
    )


def expected_repeat_purchases(model: PurchaseModel, summary: pd.DataFrame, until: int) -> pd.Series:
    """Repeat purchases a fitted model expects of the whole cohort, cumulated period by period.

    Parameters
    ----------
    model : PurchaseModel
        Fitted on ``summary``.
    summary : DataFrame
        Only ``T`` matters: when, before the observation end, each customer first bought.
    until : int
        Number of periods from the first purchase of the oldest customer.

    Returns
    -------
    Series named ``expected_repeat_purchases``, indexed by ``period`` 0 .. until, cumulative.

    Raises
    ------
    DataError
        The summary lacks columns or has impossible rows.
    """
    import pandas as pd

    _, _, age = summary_columns(summary)
    begins, customers = np.unique(age.max() - age, return_counts=True)
    moments = np.arange(until + 1)
    total = np.zeros(until + 1)
    for rows in np.array_split(np.arange(len(begins)), len(begins) // 1024 + 1):
        ages = np.maximum(moments - begins[rows, None], 0.0)
        total += customers[rows] @ model.predict_new_customer(ages.ravel()).reshape(ages.shape)
    return pd.Series(total, pd.RangeIndex(until + 1, name="period"), name="expected_repeat_purchases")


def _periods(model, months):
    if model.time_unit not in PERIODS_PER_YEAR:
        raise ParameterError(
            f"{model.name}: fit with time_unit='D' or 'W' before turning months into periods"
        )
    return months * PERIODS_PER_YEAR[model.time_unit] / 12


def _draw_finite(spend, rng):
    for _ in range(100):
        drawn = spend.draw(rng)
        if drawn.params["q"] > 1:
            return drawn
    raise ModelError("gamma-gamma: q is too close to 1 for an interval; use one average amount instead")


def _check_rates(spend, margin_rate, annual_discount_rate, horizon_months):
    faults = []
    if not isinstance(spend, GammaGammaModel) and not 0 <= spend < np.inf:
        faults.append(f"spend is {spend}; give a fitted spend model, or one amount per purchase")
    if not 0 < margin_rate <= 1:
        faults.append(f"margin_rate is {margin_rate}; give a share above 0 and at most 1, for example 0.3")
    if not 0 <= annual_discount_rate < 1:
        faults.append(f"annual_discount_rate is {annual_discount_rate}; give a share a year, for example 0.1")
    if horizon_months is not None and not horizon_months > 0:
        faults.append(f"horizon_months is {horizon_months}; give a number above 0, or None for no end")
    if faults:
        raise ParameterError(faults)


def _check_replays(groups, summary, horizon_months, level, draws):
    faults = []
    if len(groups) != len(summary):
        faults.append(f"groups has {len(groups)} rows, the summary {len(summary)}")
    elif missing := int(groups.isna().to_numpy().sum()):
        faults.append(f"groups: {missing:,} customers have none; give those a group of their own")
    if horizon_months is None:
        faults.append("horizon_months is None; an interval needs an end, for example 12")
    if not 0 < level < 1:
        faults.append(f"level is {level}; give a share between 0 and 1, for example 0.9")
    if draws < 2:
        faults.append(f"draws is {draws}; give 2 or more, for example 200")
    if faults:
        raise ParameterError(faults)
