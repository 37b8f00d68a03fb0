"""What the estimators of orders and trials share: histories in weeks, forecasts, adjusted comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import statsmodels.api as sm

from custkit import clv
from recovery.estimate import Company

START = pd.Timestamp("2024-01-01")  # week 0; week number w covers [w - 1, w)
CALIBRATION, END = 78, 104
EXTRA = 0.3  # variance beyond Poisson, as a share of the squared mean, assumed in weighing customers
SLACK = 0.2  # orders; keeps the logarithm of a forecast near nought from running away


def week_of(times) -> np.ndarray:
    """Time stamps as weeks since the start."""
    return ((pd.to_datetime(pd.Series(times)) - START) / pd.Timedelta(weeks=1)).to_numpy()


@dataclass(frozen=True)
class Panel:
    """Consumers, numbered 0, 1, …, and their orders (customer, week, amount) in order of time."""

    company: Company
    customers: pd.DataFrame
    orders: pd.DataFrame

    @classmethod
    def of(cls, company: Company) -> Panel:
        """The consumers of a company."""
        customers = company.tables["customers"].query("customer_type == 'consumer'").reset_index(drop=True)
        number = pd.Series(customers.index, index=customers["customer_id"].astype(object))
        orders = company.tables["orders"]
        orders = pd.DataFrame(
            {
                "customer": orders["customer_id"].astype(object).map(number),
                "week": week_of(orders["ordered_at"]),
                "amount": orders["net_amount"].to_numpy(),
            }
        ).dropna()
        orders = orders.astype({"customer": int}).sort_values("week", ignore_index=True)
        return cls(company, customers, orders)

    @cached_property
    def joined(self) -> np.ndarray:
        """Week of each customer's first order."""
        return self.orders.groupby("customer")["week"].first().reindex(self.customers.index).to_numpy()

    @cached_property
    def truth(self) -> pd.DataFrame:
        """Hidden traits, in the order of the customers."""
        hidden = self.company.truth["truth_customers"].astype({"customer_id": object})
        return hidden.set_index("customer_id").loc[self.customers["customer_id"].astype(object)].reset_index()

    @cached_property
    def model(self) -> clv.BetaGeometricModel:
        """BG/NBD of the calibration period."""
        return clv.fit_bgnbd(self.summary(CALIBRATION), time_unit="W")

    def summary(self, at: float) -> pd.DataFrame:
        """Purchase summary of those with an order before a time, in continuous weeks."""
        by = self.orders[self.orders["week"] < at].groupby("customer")
        first, last, repeats = by["week"].first(), by["week"].last(), by.size() - 1
        table = pd.DataFrame({"frequency": repeats, "recency": last - first, "T": at - first})
        later = by["amount"].sum() - by["amount"].first()
        return table.assign(monetary_value=(later / repeats.where(repeats > 0)).fillna(0.0))

    def forecast(self, at: float, weeks: float) -> np.ndarray:
        """Orders expected of each customer after a time as usual; nan for those who came later."""
        expected = self.model.predict_purchases(self.summary(at), weeks)
        return expected.reindex(self.customers.index).to_numpy()

    def count(self, start: float, end: float) -> np.ndarray:
        """Orders of each customer in [start, end)."""
        within = self.orders[(self.orders["week"] >= start) & (self.orders["week"] < end)]
        return np.bincount(within["customer"], minlength=len(self.customers)).astype(float)

    def contacts(self, experiment: str) -> pd.DataFrame:
        """Rows of `contacts` that belong to an experiment, with the customer's number."""
        campaigns, contacts = self.company.tables["campaigns"], self.company.tables["contacts"]
        ids = campaigns.loc[campaigns["experiment_id"] == experiment, "campaign_id"]
        rows = contacts[contacts["campaign_id"].isin(ids)]
        number = pd.Series(self.customers.index, index=self.customers["customer_id"].astype(object))
        return rows.assign(customer=rows["customer_id"].astype(object).map(number))

    def arms(self, experiment: str) -> pd.Series:
        """Arm of each customer of an experiment, by the customer's number."""
        rows = self.contacts(experiment).drop_duplicates("customer")
        return rows.set_index("customer")["arm"].astype(object).sort_index()


@dataclass(frozen=True)
class Fit:
    """Coefficients by name, with their robust covariance."""

    value: pd.Series
    covariance: pd.DataFrame

    def of(self, **weights: float) -> tuple[float, float]:
        """A weighted sum of coefficients and its standard error."""
        w = pd.Series(weights)
        return float(w @ self.value[w.index]), float(np.sqrt(w @ self.covariance.loc[w.index, w.index] @ w))


def dummies(arm, without=None) -> pd.DataFrame:
    """0/1 columns of the arms, but for the one they are compared with."""
    table = pd.get_dummies(pd.Series(np.asarray(arm, dtype=object)), dtype=float)
    return table.drop(columns=[] if without is None else [without])


def log_ratios(orders, columns: pd.DataFrame, expected) -> Fit:
    """Negative-binomial regression of orders on columns and the log of the orders expected; robust errors.

    exp(coefficient) is a ratio of orders, adjusted for chance differences in what was to be expected anyway
    (CUPED on the scale of ratios). Heavy customers vary most and weigh less than in a ratio of totals.
    """
    design = columns.assign(one=1.0)
    if np.ptp(expected) > 0:
        design["expected"] = np.log(np.asarray(expected) + SLACK)
    fit = sm.GLM(
        np.asarray(orders), design.to_numpy(float), family=sm.families.NegativeBinomial(alpha=EXTRA)
    ).fit(cov_type="HC1")
    names = design.columns
    return Fit(pd.Series(fit.params, names), pd.DataFrame(fit.cov_params(), names, names))


def differences(outcome, columns: pd.DataFrame, expected, weights=None) -> Fit:
    """Least squares of an outcome on columns and what was to be expected (CUPED); robust covariance."""
    design = columns.assign(one=1.0, expected=np.asarray(expected) - np.mean(expected))
    weights = np.ones(len(design)) if weights is None else weights
    fit = sm.WLS(np.asarray(outcome, float), design.to_numpy(float), weights).fit(cov_type="HC1")
    names = design.columns
    return Fit(pd.Series(fit.params, names), pd.DataFrame(fit.cov_params(), names, names))
