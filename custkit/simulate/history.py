"""What the company can know of its customers from their orders up to a moment, in continuous weeks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.clv import BetaGeometricModel, GammaGammaModel
from custkit.simulate.draft import parameters


def last_order(orders: pd.DataFrame, size: int, at: float) -> np.ndarray:
    """Time (weeks) of the last order of each customer before `at`; -inf where there is none."""
    last = np.full(size, -np.inf)
    past = orders[orders["week"] < at]
    np.maximum.at(last, past["customer"].to_numpy(), past["week"].to_numpy())
    return last


def summary(orders: pd.DataFrame, at: float) -> pd.DataFrame:
    """Purchase summary at a time: frequency, recency, T (weeks), monetary_value; index is the customer."""
    past = orders[orders["week"] < at].sort_values("week")
    by = past.groupby("customer")
    first, last, count = by["week"].first(), by["week"].last(), by.size()
    later = by["net_amount"].sum() - by["net_amount"].first()
    table = pd.DataFrame({"frequency": count - 1, "recency": last - first, "T": at - first})
    return table.assign(monetary_value=(later / table["frequency"].where(table["frequency"] > 0)).fillna(0.0))


def expected_value(orders: pd.DataFrame, size: int, at: float, periods: float = 26) -> np.ndarray:
    """Spend expected of each customer (CNY) in the weeks after `at`, from his orders and the true models."""
    given = parameters("people")
    known = {
        "std_errors": None,
        "log_likelihood": np.nan,
        "covariance": None,
        "convergence": {},
        "customers": 0,
    }
    buying = BetaGeometricModel(params=pd.Series(given["purchase_model"])[["r", "alpha", "a", "b"]], **known)
    spend = GammaGammaModel(params=pd.Series(given["spend_model"])[["p", "q", "gamma"]], **known)
    table = summary(orders, at)
    money = buying.predict_purchases(table, periods) * spend.predict_spend(table)
    value = np.zeros(size)
    value[table.index] = money
    return value
