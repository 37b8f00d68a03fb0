"""The computations behind the report ``rfm_forecast.ipynb``, kept out of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import clv
from ..errors import ModelError
from ..holdout import (
    LAST_PERIOD,
    LONG_TAIL,
    MODEL,
    MONEY_SO_FAR,
    HoldOut,
    frequency_labels,
    mean_spend,
)

if TYPE_CHECKING:
    import pandas as pd

ROLES = {LAST_PERIOD: "baseline", MONEY_SO_FAR: "model_2"}  # beside those custkit.plots knows


@dataclass(frozen=True)
class Models:
    """The models a purchase summary carries.

    Attributes
    ----------
    purchase, rival : PurchaseModel or None
        BG/NBD, and MBG/NBD beside it. None when they decline.
    spend : GammaGammaModel or float
        The spend model, or one mean amount per purchase for everybody.
    declined : tuple of str
        Why a model is missing, one sentence each.
    """

    purchase: clv.PurchaseModel | None
    rival: clv.PurchaseModel | None
    spend: clv.GammaGammaModel | float
    declined: tuple[str, ...]

    @property
    def pinned(self) -> bool:
        """Whether the data fix every parameter well enough to draw others from around it."""
        return self.purchase.pinned_down and (not self.varying_spend or self.spend.pinned_down)

    @property
    def varying_spend(self) -> bool:
        """Whether there is a spend model rather than one mean amount."""
        return isinstance(self.spend, clv.GammaGammaModel)


def fit_models(summary: pd.DataFrame, verdict: pd.DataFrame) -> Models:
    """Fit what the data carry.

    Parameters
    ----------
    summary : DataFrame
        From :func:`custkit.orders.purchase_summary`.
    verdict : DataFrame
        ``can_run`` and ``why`` by analysis, from :meth:`custkit.tables.OrderLog.verdict`.
    """
    declined, purchase, rival = [], None, None
    if verdict.loc["purchase models", "can_run"]:
        try:
            purchase, rival = clv.fit_bgnbd(summary), clv.fit_mbgnbd(summary)
        except ModelError as error:
            declined.append(str(error))
    else:
        declined.append(verdict.loc["purchase models", "why"])
    spend: clv.GammaGammaModel | float = mean_spend(summary)
    if purchase is not None and verdict.loc["spend model", "can_run"]:
        try:
            fitted = clv.fit_gamma_gamma(summary)
            if np.isfinite(fitted.mean_spend):
                spend = fitted
            else:
                declined.append("The spend model gives no finite mean; the mean amount is used instead.")
        except ModelError as error:
            declined.append(f"{error}; the mean amount is used instead.")
    elif purchase is not None:
        declined.append(verdict.loc["spend model", "why"])
    return Models(purchase, rival, spend, tuple(declined))


def counts_table(summary: pd.DataFrame, models: dict[str, Any]) -> pd.DataFrame:
    """Customers by number of repeat purchases: observed, and expected by each model given their ages."""
    group = summary["frequency"].clip(upper=LONG_TAIL).astype(int)
    counts = group.value_counts().reindex(range(LONG_TAIL + 1), fill_value=0).rename("observed")
    table = counts.rename_axis("frequency").reset_index()
    ages = summary["T"].value_counts()
    for name, model in models.items():
        expected = np.zeros(LONG_TAIL)
        for age, customers in ages.items():
            expected += customers * model.purchase_probabilities(np.arange(LONG_TAIL), age)
        table[name] = np.append(expected, ages.sum() - expected.sum())
    return table.assign(frequency=frequency_labels(table["frequency"]))


def contact_plan(value: pd.DataFrame, *, contact_cost: float, response: float) -> pd.Series:
    """``yes`` for the customers whom a contact is expected to pay for: response x value above its cost.

    Parameters
    ----------
    value : DataFrame
        With ``clv``, in money.
    contact_cost : float
        Cost of contacting one customer, in money.
    response : float
        Share by which a contact is assumed to raise a customer's value: an assumption until tested.
    """
    pays = value["clv"] * response > contact_cost
    return pays.map({True: "yes", False: "no"}).rename("contact")


@dataclass(frozen=True)
class Plan:
    """A contact list in money: who is on it, what it costs, and what it returns if the response holds.

    Attributes
    ----------
    customers : int
        Customers to contact.
    cost : float
        Of contacting them, in money.
    value, low, high : float
        What they are expected to bring without a contact, and its range, in money.
    response : float
        The assumed share by which a contact raises that value.
    """

    customers: int
    cost: float
    value: float
    low: float
    high: float
    response: float

    @classmethod
    def of(cls, totals: pd.DataFrame, *, contact_cost: float, response: float) -> Plan:
        """From totals by ``yes`` and ``no`` as :func:`custkit.clv.value_interval` gives them."""
        if "yes" not in totals.index:
            return cls(0, 0.0, 0.0, 0.0, 0.0, response)
        row = totals.loc["yes"]
        customers = int(row["customers"])
        return cls(customers, customers * contact_cost, *row[["clv", "low", "high"]].astype(float), response)

    @property
    def gain(self) -> float:
        """Expected return of the contacts, before their cost."""
        return self.response * self.value

    @property
    def break_even(self) -> float:
        """The response at which the contacts pay for themselves; NaN when there is nobody to contact."""
        return self.cost / self.value if self.value else float("nan")

    def results(self) -> dict[str, float]:
        """The figures for ``summary.json``."""
        own = ("customers", "cost", "value", "low", "high", "response", "gain", "break_even")
        return {name: getattr(self, name) for name in own}


def model_results(models: Models) -> dict[str, dict[str, Any]]:
    """Parameters, standard errors, log-likelihood and convergence by model, for ``summary.json``."""
    fitted = {"bgnbd": models.purchase, "mbgnbd": models.rival}
    fitted["gamma_gamma"] = models.spend if models.varying_spend else None
    results: dict[str, dict[str, Any]] = {
        name: {
            **model.params,
            "std_errors": model.std_errors,
            "log_likelihood": model.log_likelihood,
            "convergence": model.convergence,
        }
        for name, model in fitted.items()
        if model is not None
    }
    if models.varying_spend:
        results["gamma_gamma"]["frequency_correlation"] = models.spend.frequency_correlation
    else:
        results["mean_spend"] = models.spend
    return results


def value_totals(
    models: Models, summary: pd.DataFrame, groups: pd.DataFrame, **settings: Any
) -> pd.DataFrame:
    """:func:`custkit.clv.value_interval`; where the data do not pin the parameters down, without a range.

    Parameters
    ----------
    models : Models
    summary : DataFrame
        The purchase summary the models were fitted on.
    groups : DataFrame
        A grouping of the customers per column, on the index of `summary`.
    **settings
        As :func:`custkit.clv.value_interval` takes them.

    Returns
    -------
    DataFrame indexed by grouping and group, the last row of each grouping "All customers"
        ``customers``, ``expected_purchases``, ``clv``, ``low``, ``high`` (missing without a range).
    """
    import pandas as pd

    if models.pinned:
        return clv.value_interval(models.purchase, models.spend, summary, groups, **settings)
    kept = {name: settings[name] for name in ("margin_rate", "annual_discount_rate", "horizon_months")}
    value = clv.customer_value(models.purchase, models.spend, summary, **kept)[["expected_purchases", "clv"]]
    value.insert(0, "customers", 1)
    everybody = value.sum().to_frame(clv.ALL).T
    totals = pd.concat(
        {
            name: pd.concat([value.groupby(group.to_numpy()).sum(), everybody])
            for name, group in groups.items()
        }
    )
    return totals.astype({"customers": int}).assign(low=np.nan, high=np.nan)


def planning_range(total: pd.Series, check: HoldOut | None) -> tuple[float, float]:
    """The range of a total to plan with: that of the model, widened to the error it made on hidden time.

    Parameters
    ----------
    total : Series
        ``clv``, ``low`` and ``high`` as :func:`value_totals` gives them, in money.

    Returns
    -------
    low, high : float
        Money; missing when there is neither a range nor a test.
    """
    if check is None:
        return total["low"], total["high"]
    miss = abs(check.errors().loc[MODEL, "error"])
    low, high = total["clv"] * (1 - miss), total["clv"] * (1 + miss)
    return float(np.fmin(total["low"], low)), float(np.fmax(total["high"], high))
