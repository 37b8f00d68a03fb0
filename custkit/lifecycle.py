"""Six stages from first visit to win-back, in which every person is at the end of every day exactly once.

Attract and acquire are visitors who are no customers yet; convert, retain, develop and reacquire are
customers. The rules are `stage_rules()`. All of them look backwards: nothing after the day judged, orders
of the evening included, has any influence on it. "In the last n days" means the n days that end with it.

The unit economics of these people (what one costs, brings, and is worth) come along from
`custkit.unit_economics` and `custkit.margin_curves`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import ParameterError
from custkit.margin_curves import margin_curve, payback_week
from custkit.stage_moves import OUTSIDE, stage_flows, stage_ladder
from custkit.stage_record import STAGES, Record, day_number, limits, record, to_dates
from custkit.stage_state import State, walk
from custkit.unit_economics import acquisition_cost, retention_value, tornado

__all__ = [
    "OUTSIDE",
    "RULES",
    "STAGES",
    "acquisition_cost",
    "late_after",
    "margin_curve",
    "payback_week",
    "retention_value",
    "stage_flows",
    "stage_history",
    "stage_ladder",
    "stage_rules",
    "stages",
    "tornado",
]

RULES: dict[str, tuple[str, str, str]] = {
    "attract": (
        "no customer yet, seen in the last {seen_days} days, never at the checkout",
        "visitors seen",
        "marketing",
    ),
    "acquire": (
        "no customer yet, seen in the last {seen_days} days, and identified: has been at the checkout",
        "identified visitors who order",
        "web shop",
    ),
    "convert": ("first order in the last {new_days} days", "new customers who order again", "web shop"),
    "retain": (
        "customer to whom no other rule applies",
        "customers who are late",
        "service desk",
    ),
    "develop": (
        "in the last {widened_days} days first bought in a category new to them, or has a running service",
        "margin per customer",
        "loyalty",
    ),
    "reacquire": ("no order for more than {lost_days} days", "customers who come back", "loyalty"),
}
"""Stage -> rule in words, key metric, owner. Where two rules apply, convert goes first, then reacquire."""


def stage_rules(**options: Any) -> pd.DataFrame:
    """The rules in words.

    Parameters
    ----------
    **options
        Limits as in `stages`, to be written into the rules.

    Returns
    -------
    DataFrame
        stage, rule, key_metric, owner (a department); one row a stage, in order.
    """
    chosen = vars(limits(**options))
    rows = [(stage, rule.format(**chosen), metric, owner) for stage, (rule, metric, owner) in RULES.items()]
    return pd.DataFrame(rows, columns=["stage", "rule", "key_metric", "owner"])


def stages(
    orders: pd.DataFrame,
    *,
    as_of: Any,
    visits: pd.DataFrame | None = None,
    categories: pd.DataFrame | None = None,
    services: pd.DataFrame | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The stage of every person at the end of a day.

    Parameters
    ----------
    orders : DataFrame
        customer_id, order_date and, if known, amount (money; refunds negative, netted against the day they
        are booked on, which is set aside if nothing is left). Orders of one day are one.
    as_of : date or ISO text
        The day judged, its evening included. What came later is not looked at.
    visits : DataFrame, optional
        visitor_id, seen_at, identified (bool: was at the checkout), customer_id (missing if unknown). A
        visitor linked to somebody who is a customer by as_of is that customer. Without visits there are
        four stages.
    categories : DataFrame, optional
        customer_id, order_date, category: what was bought.
    services : DataFrame, optional
        customer_id, started_on, ended_on (last day; missing = running). Where neither categories nor services
        are given, develop means at least 1.5 times as much money in the last ``widened_days`` as in as many
        days before, both above zero; without amount nobody is in it.
    **options
        new_days (56), lost_days (182), seen_days (28), widened_days (182): days of the rules.
        late_quantile (0.9) and minimum_gaps (5): as quantile and minimum_gaps of `late_after`.

    Returns
    -------
    DataFrame, one row a person, customers before visitors, each by id
        person_id; stage (categorical, ordered); late (silent for longer than late_after_days; never in
        attract, acquire and reacquire); orders (days with an order), first_order, last_order, silence_days
        (since the last order; all missing or 0 for visitors), late_after_days. Visitors out of sight have
        no row. ``attrs``: as_of, develop_rule (the rule used), set_aside (reason -> rows).

    Raises
    ------
    DataError
        Columns missing or of a wrong type, all at once; no order and no visits by as_of.
    ParameterError
        An option unknown or out of range.
    """
    known, (state,) = _walked(orders, [day_number(as_of)], visits, categories, services, options)
    here = np.flatnonzero(state.stage >= 0)
    buyers = here[here < len(known.first)]
    visitors = len(here) - len(buyers)
    days = pd.DataFrame(
        {
            "orders": state.orders[buyers],
            "first_order": to_dates(known.first[buyers]),
            "last_order": to_dates(state.last[buyers]),
            "silence_days": (day_number(as_of) - state.last[buyers]).astype(float),
            "late_after_days": state.late_after[buyers],
        }
    ).reindex(range(len(here)))
    days["orders"] = np.append(state.orders[buyers], np.zeros(visitors, np.int64))
    table = pd.DataFrame(
        {
            "person_id": known.ids[here],
            "stage": pd.Categorical.from_codes(state.stage[here], STAGES, ordered=True),
            "late": state.late[here],
        }
    ).join(days)
    return _described(table, known, as_of)


def stage_history(
    orders: pd.DataFrame,
    *,
    as_of: Any,
    weeks: int = 26,
    visits: pd.DataFrame | None = None,
    categories: pd.DataFrame | None = None,
    services: pd.DataFrame | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The stage of every person at the end of each of the last weeks.

    Parameters
    ----------
    weeks : int
        Number of weeks; they end on as_of, seven days before it, and so on.
    orders, as_of, visits, categories, services, **options
        As in `stages`.

    Returns
    -------
    DataFrame, one row a person and week, by week
        week (its last day), person_id (categorical), stage (categorical, ordered), late. ``attrs`` as
        `stages`.

    Notes
    -----
    The stage and lateness of a week rest on what had happened by its end: gaps, pools and visits of later
    weeks are not looked at. Only *who is who* is taken from as_of: the visits of somebody who turned out to
    be a customer carry that customer's id from the beginning, so that one can be followed from attract to
    convert. Hence the customers of a week are those of ``stages(as_of=week)``, and its visitors are too, but
    for those whom a later visit made known as one person.
    """
    if not isinstance(weeks, int | np.integer) or isinstance(weeks, bool) or weeks < 1:
        raise ParameterError(f"weeks is {weeks!r}: give a whole number of at least 1.")
    ends = day_number(as_of) - 7 * np.arange(weeks - 1, -1, -1)
    known, states = _walked(orders, ends, visits, categories, services, options)
    parts = []
    for state in states:
        here = np.flatnonzero(state.stage >= 0)
        parts.append((here.astype(np.int32), state.stage[here], state.late[here]))
    person, stage, late = (np.concatenate(part) for part in zip(*parts, strict=True))
    history = pd.DataFrame(
        {
            "week": np.repeat(to_dates(ends), [len(part[0]) for part in parts]),
            "person_id": pd.Categorical.from_codes(person, known.ids),
            "stage": pd.Categorical.from_codes(stage, STAGES, ordered=True),
            "late": late,
        }
    )
    return _described(history, known, as_of)


def late_after(
    orders: pd.DataFrame, *, as_of: Any, quantile: float = 0.9, minimum_gaps: int = 5
) -> pd.DataFrame:
    """After how many days of silence each customer is late, by the gaps between order days up to as_of.

    With at least `minimum_gaps` gaps it is the quantile of the customer's own. With fewer it is the quantile
    of the group: the gaps that customers who did come back needed after *as many* orders (after the first
    order, the gaps between first and second). Where the group has fewer than `minimum_gaps`, all gaps of
    all customers count; where there is none, nobody is late and the number is missing.

    Parameters
    ----------
    orders, as_of
        As in `stages`.
    quantile : float, between 0 and 1
        Linear between the two nearest gaps, as numpy.
    minimum_gaps : int

    Returns
    -------
    DataFrame, one row a customer, by id
        customer_id, gaps (number), late_after_days, basis ("own", "group").

    Notes
    -----
    Being late is no forecast. Of n gaps the quantile q covers the next one with probability
    ``((n - 1) q + 1) / (n + 1)``, hence 0.77 and not 0.9 for five; and only gaps that have ended are known,
    so that those of a group are on the short side. More than one in ten of those who come back were late.
    """
    given = {"late_quantile": quantile, "minimum_gaps": minimum_gaps}
    known, (state,) = _walked(orders, [day_number(as_of)], None, None, None, given)
    return pd.DataFrame(
        {
            "customer_id": known.ids,
            "gaps": state.orders - 1,
            "late_after_days": state.late_after,
            "basis": np.where(state.own, "own", "group"),
        }
    )


def _walked(
    orders: Any, ends: Any, visits: Any, categories: Any, services: Any, options: Mapping[str, Any]
) -> tuple[Record, Iterator[State]]:
    """The record up to the last of the days, and an iterator of the states at each."""
    rules, ends = limits(**options), np.asarray(ends)
    tables = {"orders": orders, "visits": visits, "categories": categories, "services": services}
    known = record(int(ends[-1]), rules, **tables)
    return known, walk(known, ends)


def _described(table: pd.DataFrame, known: Record, as_of: Any) -> pd.DataFrame:
    day = str(to_dates([day_number(as_of)])[0].date())
    table.attrs = {"as_of": day, "develop_rule": known.develop_rule, "set_aside": known.set_aside}
    return table
