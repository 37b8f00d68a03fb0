"""The computations behind the report ``rfm_forecast.ipynb``, kept out of its pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import clv, rfm
from ..errors import ModelError
from ..holdout import (
    LAST_PERIOD,
    LONG_TAIL,
    MODEL,
    MONEY_SO_FAR,
    RIVAL,
    HoldOut,
    frequency_labels,
    mean_spend,
)

if TYPE_CHECKING:
    import pandas as pd

ROLES = {LAST_PERIOD: "baseline", MONEY_SO_FAR: "model_2"}  # beside those custkit.plots knows
WEAK = 0.3  # correlations below this are called weak
TOLERANCE = 0.1  # a total forecast within this is called near


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
        row = totals.reindex(["yes"]).fillna(0.0).iloc[0]
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


def off(error: float) -> str:
    """A relative error in words: ``3.1% too low``."""
    return f"{abs(error):.1%} too {'low' if error < 0 else 'high'}"


def signed(error: float) -> str:
    """A relative error with its sign: ``−3.1%``."""
    return f"{error:+.1%}".replace("-", "−")


def signed_number(value: float, digits: int = 1) -> str:
    """A number with its sign."""
    return f"{value:+,.{digits}f}".replace("-", "−")


def parameter_table(models: Models) -> pd.DataFrame:
    """model, parameter, estimate and standard error as text."""
    import pandas as pd

    fitted = {MODEL: models.purchase, RIVAL: models.rival}
    if models.varying_spend:
        fitted["gamma-gamma"] = models.spend
    rows = [
        (label, name, f"{value:.4f}", f"{model.std_errors[name]:.4f}")
        for label, model in fitted.items()
        if model is not None
        for name, value in model.params.items()
    ]
    return pd.DataFrame(rows, columns=["model", "parameter", "estimate", "standard error"])


def cautions(models: Models, check: HoldOut | None, summary: pd.DataFrame, periods: float) -> list[str]:
    """How far the forecast can be trusted: one sentence with its number for each assumption.

    Parameters
    ----------
    periods : float
        Length of the forecast, in the time unit of the summary.
    """
    fit = models.purchase.convergence
    end = "ended at a maximum" if fit["converged"] else "**DID NOT CONVERGE**"
    own, other = (
        model.predict_purchases(summary, periods).sum() for model in (models.purchase, models.rival)
    )
    better = signed_number(models.rival.log_likelihood - models.purchase.log_likelihood)
    lines = [
        f"**The fit.** {fit['starts_agreeing']:.0f} of {fit['starts']:.0f} starting points lead to the same "
        f"parameters, and the search {end}.",
        f"**The model.** {RIVAL}, which lets customers leave after their first purchase, expects "
        f"{abs(other / own - 1):.1%} {'fewer' if other < own else 'more'} purchases in all. Its "
        f"log-likelihood is {better} from that of {MODEL} (above zero: it fits better).",
    ]
    if models.varying_spend:
        r = models.spend.frequency_correlation
        verdict = "weak enough" if abs(r) < WEAK else "**too strong: values of frequent buyers may be off**"
        lines.append(
            "**The money.** Spend per purchase is taken to have nothing to do with frequency. Among repeat "
            f"buyers the correlation is {signed_number(r, 2)}: {verdict}."
        )
    if check is not None:
        error = check.errors().loc[MODEL, "error"]
        advice = "near" if abs(error) <= TOLERANCE else f"**take the totals as {off(error)}**"
        lines.append(f"**The past as a test.** On the hidden time the total was {off(error)}: {advice}.")
    lines.append(
        "**The future.** Prices, seasons, advertising and competition are taken to stay as they were. "
        "Customers who have not yet bought are not in these figures."
    )
    return lines


def doubts(
    models: Models, check: HoldOut | None, plan: Plan | None, summary: pd.DataFrame, end: dt.date
) -> list[str]:
    """What would change the decision: events to look out for, with their numbers."""
    lines = [
        f"**The record ends elsewhere.** {end} is taken as the last day the file can show an order. "
        "If the shop was observed longer, everybody is less alive than shown here: run again with "
        "`--observation-end`."
    ]
    if plan is None:
        return [*lines, "**More customers come back.** Then the purchase models can run."]
    quarter = {"D": 91, "W": 13}[models.purchase.time_unit]
    expected = models.purchase.predict_purchases(summary, quarter).sum()
    slack = max(TOLERANCE, abs(check.errors().loc[MODEL, "error"]) if check else 0.0)
    if plan.customers:
        lines.insert(
            0,
            f"**A test says so.** If a random group left without contact brings less by under "
            f"{plan.break_even:.1%}, the contacts cost more than they return: stop.",
        )
    low, high = expected * (1 - slack), expected * (1 + slack)
    return [
        *lines,
        f"**The next {quarter} {'weeks' if quarter == 13 else 'days'} differ.** We expect {expected:,.0f} "
        f"purchases of today's customers. Below {low:,.0f} or above {high:,.0f}, fit again.",
        "**The margin is another.** All values move in proportion to it.",
    ]


def actions(groups: Iterable[str]) -> list[str]:
    """What to do with each segment; of segments pooled, what to do with the largest."""
    known = {rule.segment: rule.action for rule in rfm.SEGMENTS}
    return [known.get(group.split(" and ")[0], "Too few customers to treat apart.") for group in groups]


def planning_range(total: pd.Series, check: HoldOut | None) -> tuple[float, float]:
    """The range of a total to plan with: that of the model, widened to the error it made on hidden time.

    Parameters
    ----------
    total : Series
        ``clv``, ``low`` and ``high`` as :func:`custkit.clv.value_interval` gives them, in money.
    """
    miss = abs(check.errors().loc[MODEL, "error"]) if check else 0.0
    return min(total["low"], total["clv"] * (1 - miss)), max(total["high"], total["clv"] * (1 + miss))


def gain_sentence(gains: pd.DataFrame, share: float = 0.2) -> str:
    """What each ranking reaches at one share of customers, in a sentence."""
    row = gains.set_index("contacted_share").loc[lambda table: table.index >= share - 1e-9].iloc[0]
    reached = ", ".join(f"{name} {value:.0%}" for name, value in row.sort_values(ascending=False).items())
    return f"The first {share:.0%} of customers hold, ranked by each: {reached}."
