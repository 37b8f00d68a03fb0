"""What the report ``winback_list.ipynb`` says in words: every sentence with its number bound in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .rfm_forecast import Models
from .rfm_words import span
from .winback_list import AS_MANY, BY_MODEL, WORTH_MORE, BackTest, Rules
from .winback_offer import Offer, Trial

if TYPE_CHECKING:
    import pandas as pd

Write = Callable[[float], str]
ASSUMED = (
    "The uplift is **an assumption until a trial has been run**: orders alone cannot show what an offer does."
)


def percent(share: float) -> str:
    """A share with one decimal, or a dash."""
    return f"{share:.1%}" if np.isfinite(share) else "–"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def takes(break_even: float) -> str:
    """The uplift from which contacts pay, in words."""
    if np.isnan(break_even):
        return "more than that"
    return f"an uplift of {percent(break_even)}" if break_even <= 1 else "more than any uplift can give"


def rule_in_words(rules: Rules, *, by_model: bool) -> str:
    """How a customer gets on the list."""
    orders = f"at least {rules.min_orders} order{'s' if rules.min_orders > 1 else ''}"
    if by_model:
        return f"{orders}, and P(alive) below {100 * rules.palive_max:g}%"
    return f"{orders}, and none for {rules.lost_weeks:g} weeks"


def in_short(
    lost: int,
    contacted: int,
    held_out: int,
    break_even: float,
    offer: Offer,
    value: float,
    silent: int,
    money: Write,
) -> list[str]:
    """What is on the list, what a return is worth, what to do; `silent` are lost by the manager's rule."""
    if not lost and silent:
        return [
            f"**Nobody is called lost**, so there is no list. The manager's rule would call {silent:,} "
            "lost: P(alive) takes them for slow buyers who are still there."
        ]
    if not lost:
        return ["**Nobody is called lost**, so there is no list. Be glad, or lower `--min-orders`."]
    many = "1 customer is" if lost == 1 else f"{lost:,} customers are"
    worth = f"If one of them comes back, that is worth {money(value)} of margin on average."
    if np.isnan(value):
        worth = "They are too few to say more of them here than `winback.csv` does."
    lines = [f"**{many} probably lost.** {worth}"]
    share = f"at least {percent(break_even)}" if np.isfinite(break_even) else "enough"
    if not contacted:
        return [
            *lines,
            f"**Contact nobody yet:** at an assumed uplift of {percent(offer.uplift)} no contact is "
            f"expected to pay. On average it takes {takes(break_even)}.",
        ]
    return [
        *lines,
        f"**Contact {contacted:,}, hold out {held_out:,} at random, spare "
        f"{lost - contacted - held_out:,}.** The contacts pay if {share} of these customers come back "
        f"*because of* them; {percent(offer.uplift)} is assumed.",
    ]


def test_in_short(test: BackTest, rule: str) -> str:
    """Who came back by themselves in the hidden time."""
    row = test.table.loc[rule]
    return (
        f"**Would they have come back anyway?** Of {row['customers']:,.0f} called lost on {test.end}, "
        f"{row['back']:,.0f} ({percent(row['share'])}) came back by themselves within {test.weeks} weeks: "
        "for them a coupon would have been a present."
    )


def compared(test: BackTest) -> str:
    """P(alive) against the longest silence, with lists of the same length."""
    if AS_MANY not in test.table.index:
        return ""
    model, silent = test.table.loc[BY_MODEL], test.table.loc[AS_MANY]
    _, low, high = test.apart
    verdict = "At picking who stays away the two cannot be told apart here"
    if high < 0 or low > 0:
        verdict = f"{'P(alive)' if high < 0 else 'Plain silence'} picks better who stays away"
    more = "more" if model["value"] > silent["value"] else "less"
    return (
        f"**At equal length.** A list of the {silent['customers']:,.0f} longest silent would have held "
        f"{percent(silent['share'])} presents, that of P(alive) {percent(model['share'])} (difference "
        f"{points(low)} to {points(high)} points, 95 % interval). {verdict}. A return of those picked by "
        f"P(alive) is worth {abs(model['value'] / silent['value'] - 1):.0%} {more}: P(alive) weighs the "
        "silence against how often a customer used to buy."
    )


def believed(test: BackTest, rule: str) -> str:
    """P(alive) as a probability: what it expected to come back, beside what did."""
    if rule not in test.table.index or not np.isfinite(test.table.loc[rule, "expected"]):
        return ""
    row = test.table.loc[rule]
    told = f"**P(alive) as a probability.** The model expected {percent(row['expected'])} of them back"
    if row["low"] <= row["expected"] <= row["high"]:
        return f"{told}, within the interval of what came."
    way = "fewer" if row["expected"] < row["low"] else "more"
    return (
        f"{told}, {way} than came. **Use P(alive) to rank customers here, not as a probability**; the "
        "money below takes the share that was observed."
    )


def value_meaning(
    models: Models, margin_rate: float, annual_discount_rate: float, horizon_months: int
) -> str:
    """What the value of a return is made of."""
    if models.purchase is None:
        return (
            f"The margin ({margin_rate:.0%} of the amount) of one order of the customer's own mean: "
            "without a model none is expected to follow it."
        )
    return (
        f"The margin ({margin_rate:.0%} of the amount) of the order it is made of, and of those expected "
        f"to follow it in {horizon_months} months, discounted by {annual_discount_rate:.0%} a year. "
        "Somebody who comes back may leave again; the model counts that in. Past margin is not in it."
    )


def value_checked(ratio: tuple[float, float, float], returned: int) -> str:
    """The value of a return against those who came back in the hidden time."""
    times, low, high = ratio
    if not np.isfinite(times):
        return "Too few came back in the hidden time to check the value of a return."
    held = "the value is not contradicted" if low <= 1 <= high else "**read the values with that factor**"
    return (
        f"**Checked.** The {returned:,} who came back in the hidden time brought {times:.2f} times what "
        f"was expected of them from their return to its end (95 % interval {low:.2f} to {high:.2f}): "
        f"{held}."
    )


def decision(
    offer: Offer,
    lost: int,
    trial: Trial,
    gain: pd.Series,
    break_even: float,
    budget: float,
    forgone: float,
    money: Write,
    short: Write,
) -> list[str]:
    """Policy, budget, return and hold-out, one paragraph each.

    Parameters
    ----------
    gain : Series
        ``expected``, ``low`` and ``high`` of the contacts at the assumed uplift, in money.
    break_even : float
        The uplift at which the contacts pay.
    budget : float
        0 for none.
    forgone : float
        Expected gain of those held out, in money.
    """
    if not lost:
        return ["**Nobody** is on the list, so there is nobody to contact."]
    policy = (
        f"**Policy.** Contact a lost customer if {percent(offer.uplift)} of the value of a return, less "
        f"the offer, is more than the contact ({money(offer.contact_cost)}) and the offers "
        f"({money(offer.offer_cost)} each) that go to the {percent(offer.own)} who come back by "
        "themselves. " + ASSUMED
    )
    within = " within the budget" if budget else ""
    if not trial.contacted:
        return [
            policy,
            f"**Nobody** of the {lost:,} is contacted: no contact is expected to pay{within}. On average "
            f"it takes {takes(break_even)}.",
        ]
    cost = trial.contacted * offer.cost
    earned = (
        f"**Return.** After these costs the contacts bring **{short(gain['expected'])}** at the assumed "
        f"uplift (90 % range {span(gain['low'], gain['high'], short)}), and pay for themselves at "
        f"{percent(break_even)}."
    )
    if np.isnan(gain["expected"]):
        earned = "**Return.** These are too few to show their money here: see `winback.csv`."
    price = f"; its price is a gain of {short(forgone)} forgone, if the assumption holds"
    price = price if np.isfinite(forgone) else ""
    limit = f" of a budget of {money(budget)}" if budget else ""
    return [
        policy,
        f"**Budget.** {trial.contacted:,} contacts, and the offers used, are expected to cost "
        f"**{money(cost)}**{limit}.",
        earned,
        f"**Hold out** the {trial.held_out:,} drawn at random: send them nothing, and compare the shares "
        f"who order. That is the only way to know the uplift{price}."
        if trial.held_out
        else "**No hold-out group** was asked for: the uplift will stay unknown.",
    ]


def cautions(models: Models, test: BackTest | None, stays: float, own: float, tested: bool) -> list[str]:
    """How far the figures carry, one sentence with its number for each assumption."""
    lines = [f"**The uplift.** {ASSUMED}"]
    if models.purchase is None:
        lines.append(
            "**No model.** Silence alone says who is lost, and a return is worth one order: nothing is "
            "expected to follow it. Values are low rather than high."
        )
    else:
        if np.isfinite(stays):
            lines.append(
                f"**They may leave again.** {1 - stays:.0%} of those who come back are expected to be gone "
                "directly after that order. The value counts this in, and takes their rate of buying from "
                "all their time, the silence included."
            )
        lines.append(
            "**One-time buyers.** BG/NBD takes them for alive, so they are never on this list, whatever "
            "`--min-orders` says; MBG/NBD stands beside it in `winback.csv`."
        )
        if not models.pinned:
            lines.append(
                "**The fit.** The data do not pin all parameters down: the ranges hold the luck of the "
                "customers, not the doubt about the parameters."
            )
    lines.append(
        "**Other people.** Whoever comes back for an offer need not be like those who came back by "
        "themselves; their value is a forecast, not a record."
    )
    if not tested:
        return [
            *lines,
            f"**No back-test.** The share who come back by themselves is taken to be {percent(own)}"
            + (", as the model expects." if models.purchase is not None else ": nothing tells it."),
        ]
    lines.append(f"**One stretch of time.** The back-test saw {test.weeks} weeks; another season may differ.")
    if WORTH_MORE not in test.table.index:
        return lines
    half = test.table.loc[WORTH_MORE]
    return [
        *lines,
        "**Those contacted.** The half of the list worth more came back by itself in "
        f"{percent(half['share'])} of cases ({span(half['low'], half['high'], percent)}). Contacts go to "
        "those first, and the money counts the share of the whole list.",
    ]


def doubts(
    offer: Offer, value: float, break_even: float, end: dt.date, lost: int, contacted: int
) -> list[str]:
    """What would change the decision: events to look out for, with their numbers."""
    lines = []
    if contacted and np.isfinite(break_even):
        lines.append(
            f"**The trial says so.** If the contacted order by less than {100 * break_even:.1f} percentage "
            "points more than the hold-out group, stop; if by clearly more, contact more of the list."
        )
        if offer.offer_cost and np.isfinite(value):
            most = (offer.uplift * (value - offer.offer_cost) - offer.contact_cost) / offer.offer_cost
            lines.append(
                f"**More come back by themselves.** Above {percent(min(max(most, 0), 1))} in the hold-out "
                "group the presents eat up the return."
            )
    elif lost:
        lines.append(
            "**A cheaper offer, or a trial elsewhere** that shows a larger uplift: run again with it."
        )
    return [
        *lines,
        f"**The record ends elsewhere.** {end} is taken as the last day the file can show an order. If the "
        "shop was observed longer, everybody is less alive than shown: run again with `--observation-end`.",
        "**The margin is another.** The values move in proportion to it, the costs do not.",
    ]
