"""What the report ``rfm_forecast.ipynb`` says in words: every sentence with its number bound in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from .. import rfm
from ..holdout import MODEL, RIVAL, HoldOut
from .rfm_forecast import Models, Plan

if TYPE_CHECKING:
    import pandas as pd

WEAK = 0.3  # correlations below this are called weak
TOLERANCE = 0.1  # a total forecast within this is called near
UNPINNED = (
    " **The data do not pin all parameters down**, so there are no ranges: more customers or a longer time "
    "are needed."
)


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
    end = "ended at a maximum" if fit["converged"] else "**did not end at a clear maximum**"
    own, other = (
        model.predict_purchases(summary, periods).sum() for model in (models.purchase, models.rival)
    )
    better = signed_number(models.rival.log_likelihood - models.purchase.log_likelihood)
    lines = [
        f"**The fit.** {fit['starts_agreeing']:.0f} of {fit['starts']:.0f} starting points lead to the same "
        f"parameters, and the search {end}." + ("" if models.pinned else UNPINNED),
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


def gain_sentence(gains: pd.DataFrame, share: float = 0.2) -> str:
    """What each ranking reaches at one share of customers, in a sentence."""
    row = gains.set_index("contacted_share").loc[lambda table: table.index >= share - 1e-9].iloc[0]
    reached = ", ".join(f"{name} {value:.0%}" for name, value in row.sort_values(ascending=False).items())
    return f"The first {share:.0%} of customers hold, ranked by each: {reached}."


def span(low: float, high: float, write: Callable[[float], str]) -> str:
    """A range in words."""
    return f"{write(low)} to {write(high)}" if np.isfinite(low + high) else "no range can be given"


def actions(groups: Iterable[str]) -> list[str]:
    """What to do with each segment; of segments pooled, what to do with the largest."""
    known = {rule.segment: rule.action for rule in rfm.SEGMENTS}
    return [known.get(group.split(" and ")[0], "Too few customers to treat apart.") for group in groups]


def in_short(plan: Plan, customers: int, short: Callable[[float], str]) -> str:
    """The decision in two sentences."""
    if not plan.customers:
        return "**Contact nobody:** at this cost and response no contact is expected to pay."
    spared = customers - plan.customers
    return (
        f"**Contact {plan.customers:,} customers and spare {spared:,}.** Contacting them costs "
        f"{short(plan.cost)} and pays if it raises what they bring by more than {plan.break_even:.1%}."
    )


def decision(
    plan: Plan,
    customers: int,
    contact_cost: float,
    horizon_months: int,
    money: Callable[[float], str],
    short: Callable[[float], str],
) -> list[str]:
    """Policy, budget, return and who is spared, one paragraph each.

    Parameters
    ----------
    plan : Plan
    customers : int
        All customers.
    contact_cost : float
        Of one contact, in money.
    money, short : function
        Write an amount in full, and rounded.
    """
    share = f"{plan.response:.0%}" if plan.response >= 0.01 or not plan.response else f"{plan.response:.1%}"
    floor = f": that is, from a value of {money(contact_cost / plan.response)} up" if plan.response else ""
    policy = (
        f"**Policy.** Contact a customer if {share} of the {horizon_months}-month value is more than the "
        f"cost of a contact, {money(contact_cost)}{floor}. The {share} is what a contact "
        "is **assumed** to add."
    )
    if not plan.customers:
        return [policy, f"**Nobody** of the {customers:,} customers is worth that much: contact nobody."]
    value, cost = span(plan.low, plan.high, short), f"{plan.customers:,} contacts at {money(contact_cost)}"
    gain = span(plan.response * plan.low, plan.response * plan.high, short)
    return [
        policy,
        f"**Budget.** {cost} = **{money(plan.cost)}**. These customers are expected to bring "
        f"{short(plan.value)} without any contact (range: {value}).",
        f"**Return.** If a contact raises that by {share}, it returns **{short(plan.gain)}** (range: "
        f"{gain}). The contacts pay from a rise of **{plan.break_even:.1%}**. Orders alone cannot show what "
        "a contact does: leave a random tenth of the list without contact, and compare.",
        f"**Spare** the other {customers - plan.customers:,}: for them a contact is not expected to pay.",
    ]
