"""What the report ``lifecycle_health.ipynb`` says in words: every sentence with its number bound in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..style import percent
from .lifecycle_health import OWN, RULE, YEAR_WEEKS, Retention
from .rfm_words import span

if TYPE_CHECKING:
    import pandas as pd

    from .lifecycle_files import Beside
    from .rfm_forecast import Plan

Write = Callable[[float], str]
CLEAR = 0.8  # share of the draws in which a stage leads, from which on the lead is called clear
NO_VISITS = (
    "Orders show customers only. Who looks and does not buy is not in them, so the first two stages, "
    "attract and acquire, cannot be told apart or counted: they are one, seen by the new customers it ends "
    "in. `--visits` fills the gap."
)
SAME_ORDERS = (
    " Attract and acquire lead to the same orders: ten per cent more at either is ten per cent more of the "
    "new customers who had been seen in the visits."
)
SKIPPED = (
    "Nobody tells a shop that they leave: who skips a period and comes back later counts as gone here, so "
    "the value is on the low side."
)
WHAT_TO_DO = {
    "attract": "bring more visitors: media, partners, recommendations",
    "acquire": "help those at the checkout through it: fewer steps, prices and delivery said early",
    "attract and acquire": "win more customers; find out with `--visits` where they get lost",
    "convert": "the second order: a welcome series, a reason to come back within weeks",
    "retain": "notice who is late, and ask: the care list below",
    "develop": "offer what they do not buy yet",
    "reacquire": "win back, starting with those worth most",
}


def carries(
    record_weeks: int,
    *,
    lost_weeks: int,
    visits: bool,
    cost: bool,
    retention: Retention | None,
) -> list[tuple[str, bool, str]]:
    """What the length of the record and the files given allow: analysis, can_run, why."""
    record = f"The record covers {record_weeks:,} weeks"
    need = {
        "stage flows": (1, "a flow needs two weeks"),
        "lost customers": (lost_weeks + 1, f"nobody can have been silent for more than {lost_weeks} weeks"),
        "lateness put to the test": (2 * lost_weeks, "half to judge by, half to see who came back"),
        "value by stage a year ago": (
            YEAR_WEEKS + lost_weeks + 1,
            "a year to follow, and all stages before it",
        ),
    }
    rows = []
    for name, (least, why) in need.items():
        short = record_weeks < least
        rows.append((name, not short, f"{record}; {least} are needed: {why}." if short else f"{record}."))
    rows.append(
        ("first two stages", visits, "Visits were given." if visits else "They need visits (--visits).")
    )
    why = "What a customer costs was given." if cost else "It needs --spend or --acquisition-cost."
    rows.append(("payback", cost, why))
    if retention is None:
        why = f"{record}, too few for two periods with customers in each."
    else:
        earlier = f"the {retention.weeks} weeks before the last {retention.weeks}"
        why = f"{retention.before:,} customers bought in {earlier}."
    rows.append(("value by retention", retention is not None, why))
    return rows


def lateness(table: pd.DataFrame, rule_weeks: int, follow_weeks: int) -> str:
    """How often each sign of leaving was right, and how much it found."""
    lost = table["lost"].iloc[0]
    parts = []
    for name, who in ((OWN, "late by the own rhythm"), (RULE, f"silent for more than {rule_weeks} weeks")):
        row = table.loc[name]
        if not row["flagged"]:
            parts.append(f"nobody was {who}")
            continue
        parts.append(
            f"{row['flagged']:,.0f} were {who}, of whom {percent(row['right'])} stayed away "
            f"({percent(row['found'])} of all who did)"
        )
    return (
        f"**The test.** Judged {follow_weeks} weeks before the end, {'; '.join(parts)}. Of all customers "
        f"not yet lost, {percent(lost)} stayed away for the {follow_weeks} weeks that followed: that is "
        "what a flag must beat."
    )


def payback(week: float, low: float, high: float, last: int) -> str:
    """When the cost of winning a customer has come back."""
    if not np.isfinite(week):
        return f"within the {last} weeks of the curve the cost has **not** come back"
    early, late = (f"{value:.0f}" if np.isfinite(value) else f"later than {last}" for value in (low, high))
    return f"the cost has come back after **{week:.0f} weeks** (range: {early} to {late})"


def lead(table: pd.DataFrame) -> str:
    """How sure the first place of the bottleneck table is."""
    if len(table) == 1:
        return "It is the only stage these data can price."
    best = table.iloc[0]
    sure = "a clear lead" if best["first"] >= CLEAR else "**no clear lead**: take the first places as equal"
    return f"**{best['stage']}** is first in {percent(best['first'])} of the draws, {sure}."


def next_money(
    table: pd.DataFrame, money: Write, short: Write, *, cac_known: bool, carry_over: float
) -> list[str]:
    """Where the next money goes: policy, ceiling, what the figures rest on."""
    best = table.iloc[0]
    if best["worth"] <= 0:
        return [
            "**Where the next money goes.** At none of the stages does ten per cent more bring money by "
            "these data: spend on none of them before a test has shown otherwise."
        ]
    lines = [
        f"**Where the next money goes.** To **{best['stage']}**: {WHAT_TO_DO[best['stage']]}. Ten per cent "
        f"more ({best['ten_percent']:,.0f} a year) is worth {short(best['worth'])} a year "
        f"(range: {span(best['low'], best['high'], short)}). That is the ceiling of what may be spent on "
        f"it in a year: at most {money(best['worth'] / best['ten_percent'])} for each one more."
    ]
    if len(table) > 1:
        second = table.iloc[1]
        lines.append(f"{lead(table)} Next: **{second['stage']}**, {short(second['worth'])}.")
    if not cac_known and best["stage"].startswith("attract"):
        lines.append("What a customer costs is not in this figure, because it is not known here.")
    lines.append(
        f"One more of these is **assumed** to bring {percent(carry_over)} of what those bring who came by "
        "themselves. Only an experiment at that stage can say."
    )
    return lines


def care(plan: Plan, late: int, money: Write, short: Write, value_name: str) -> list[str]:
    """Who goes on the care list, and what it costs and returns."""
    if not late:
        return ["**Care list.** Nobody is late: the list is empty."]
    if not plan.customers:
        return [
            f"**Care list.** {late:,} customers are late, but for none of them does "
            f"{percent(plan.response, 1)} of the {value_name} reach the cost of a contact: the list is empty."
        ]
    value = span(plan.low, plan.high, short) if np.isfinite(plan.low + plan.high) else "no range can be given"
    return [
        f"**Care list.** {plan.customers:,} of the {late:,} late customers: those for whom "
        f"{percent(plan.response, 1)} of the {value_name} is more than the cost of a contact. "
        f"{plan.customers:,} contacts cost **{money(plan.cost)}**; these customers stand for "
        f"{short(plan.value)} (range: {value}). The contacts pay from a rise of "
        f"**{percent(plan.break_even, 1)}**; the {percent(plan.response, 1)} is **assumed**."
    ]


def doubts(
    table: pd.DataFrame,
    plan: Plan,
    ladder: pd.DataFrame | None,
    worth_new: float,
    cac: float,
    end: object,
    money: Write,
) -> list[str]:
    """What would change the decision: events to look out for, with their numbers."""
    lines = []
    if len(table) > 1 and table.iloc[0]["worth"] > 0:
        best, second = table.iloc[0], table.iloc[1]
        share = max(second["worth"], 0.0) / best["worth"]
        lines.append(
            f"**An experiment at {best['stage']} brings less than {percent(share)} of its figure.** Then "
            f"{second['stage']} is worth more."
        )
    if plan.customers:
        lines.append(
            "**A test of the care list says so.** Leave a random tenth of it without contact. If the "
            f"others bring less than {percent(plan.break_even, 1)} more, the contacts cost more than they "
            "return: stop."
        )
    if np.isfinite(cac):
        lines.append(
            f"**A new customer costs more than {money(worth_new)}.** That is what one brings in the weeks "
            f"of the curve; today the cost is {money(cac)}."
        )
    if ladder is not None:
        mean = float(ladder.set_index("stage").loc["reacquire", "came_in_mean"])
        limit = 4 * mean + 2 * np.sqrt(4 * mean)
        lines.append(
            f"**More customers fall silent.** In a mean month of four weeks {4 * mean:,.0f} do; above "
            f"{limit:,.0f} something has changed."
        )
    lines.append(
        f"**The record ends elsewhere.** {end} is taken as the last day the file can show an order. If the "
        "shop was observed longer, everybody is more silent than shown here: run again with "
        "`--observation-end`."
    )
    return lines


def beside(given: Beside, customers: int, flow_weeks: int) -> list[str]:
    """What was read beside the orders, one sentence each."""
    notes = []
    if given.visits is not None:
        visits = given.visits
        first, last = visits["seen_at"].min().date(), visits["seen_at"].max().date()
        known = visits["customer_id"].nunique()
        notes.append(
            f"Visits ({visits.attrs['name']}): {len(visits):,} by {visits['visitor_id'].nunique():,} "
            f"visitors from {first} to {last}; they name {known:,} customers. Everybody in sight is known "
            f"for {flow_weeks} weeks at most, hence the flows are those of so many."
        )
    if given.spend is not None:
        spend = given.spend
        first, last = spend["first_day"].min().date(), spend["last_day"].max().date()
        notes.append(
            f"Spend ({spend.attrs['name']}): {spend['spend'].sum():,.2f} in {len(spend)} channels from "
            f"{first} to {last}. The customers won are those with a first order in that time."
        )
    if given.channel is not None:
        notes.append(
            f"Channels ({given.channel.attrs['name']}): known of {len(given.channel):,} of {customers:,} "
            "customers."
        )
    elif given.spend is not None:
        notes.append("Which channel won whom was not given (customers), so the cost is one for all channels.")
    return notes


def cost(
    cac: float,
    overall: pd.Series | None,
    given: Beside,
    paid: pd.Series,
    last: int,
    money: Write,
) -> str:
    """What winning a customer costs, and when that has come back."""
    back = payback(*paid[["week", "week_low", "week_high"]], last)
    if overall is None:
        return f"Winning a customer is taken to cost {money(cac)}, as given: {back}."
    return (
        f"{money(overall['spend'])} were spent and {overall['customers']:,.0f} customers won in the same "
        f"days: **{money(cac)}** each (95% interval: "
        f"{span(overall['cac_low'], overall['cac_high'], money)}), whether they came because of the money "
        f"or not; {back}."
    )


def cautions(first: object, new_weeks: int) -> list[str]:
    """What the figures rest on."""
    return [
        f"**The record begins.** Who bought before {first} looks new at the first order after it, so that "
        "early new customers and cohorts may hold old ones.",
        "**Late is not lost.** On any day some customers are late who come back by themselves. Where the "
        "record is long enough, the test above says how many.",
        "**Stages are a description.** Customers who order again within "
        f"{new_weeks} weeks differ from those who do not in more than that: what a push brings is less.",
        "**One margin rate for all.** Where discounts or products differ in margin, so do customers.",
        "**The future.** Prices, seasons, advertising and competition are taken to stay as they were.",
    ]
