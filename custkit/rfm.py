"""RFM: scores in which equal customers score alike, and named segments by one table of rules.

A score compares customers with each other. With `bins` scores, 1 worst and `bins` best:

* recency: ``bins - floor(bins * share of customers who bought more recently)``;
* frequency and money: ``1 + floor(bins * share of customers with strictly less)``, and the largest value
  gets the best score in any case (unless all are equal: then nobody has less, and all score 1).

Customers with the same value have the same share, hence the same score: no tie is ever broken by the order
of rows. Groups are therefore as even as the ties allow, which `cut_points` reports. Where most customers
bought once they share score 1, and the scores above it go to the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from custkit import orders as order_tables
from custkit.errors import DataError, ParameterError

NEW, GONE = "not yet a customer", "no longer in the data"


class Rule(NamedTuple):
    """A segment: the recency and frequency scores it covers (from 1 to 5, both ends in), and what to do."""

    segment: str
    r_min: int
    r_max: int
    f_min: int
    f_max: int
    action: str


SEGMENTS = (
    Rule(
        "Champions",
        5,
        5,
        4,
        5,
        "Thank them, show them new things first, ask for reviews; no discounts needed.",
    ),
    Rule(
        "Loyal",
        3,
        4,
        4,
        5,
        "Keep the rhythm: a reason to return soon, and something that goes with past orders.",
    ),
    Rule("Potential loyalists", 4, 5, 2, 3, "Invite to the loyalty programme; recommend the next product."),
    Rule(
        "New customers", 4, 5, 1, 1, "Welcome them and help with the first order; win the second one early."
    ),
    Rule("Need attention", 3, 3, 2, 3, "Send a limited offer on what they bought before."),
    Rule(
        "About to sleep", 3, 3, 1, 1, "One cheap reminder with popular products; watch whether they answer."
    ),
    Rule("Cannot lose them", 1, 2, 5, 5, "Contact in person, ask what went wrong, and make it good."),
    Rule(
        "At risk",
        1,
        2,
        3,
        4,
        "A personal message with an offer worth their past orders, tested on a part first.",
    ),
    Rule("Hibernating", 2, 2, 1, 2, "Only cheap contacts, at the season in which they bought."),
    Rule("Lost", 1, 1, 1, 2, "Spend nothing; one win-back attempt at most, then leave them alone."),
)
"""The house's segments, in the order tables and figures show them: ``pandas.DataFrame(SEGMENTS)``."""

_LEVELS = 5  # the rules are written for scores 1 to 5


def rfm_table(
    orders: Any, *, observation_end: Any, bins: int = 5, rules: Sequence[Rule] = SEGMENTS, engine: Any = None
) -> pd.DataFrame:
    """Recency, frequency and money of each customer, scored, with the segment.

    Parameters
    ----------
    orders, observation_end, engine
        As in `custkit.orders.rfm_values`.
    bins : int, 2 to 9
        Number of scores. The rules are written for five; with another number the worst and the best
        score stay the worst and the best, and those between are spread evenly.
    rules : sequence of Rule
        Segments, checked by `check_rules` first.

    Returns
    -------
    DataFrame, one row per customer, sorted by customer_id
        customer_id, recency_days, orders, monetary_total, monetary_mean, first_order, last_order as
        `custkit.orders.rfm_values`; r_score, f_score, m_score (int, of recency_days, orders and
        monetary_total); rfm_score (text, such as "545"); segment (categorical in the order of the rules).
        ``attrs`` as there, and bins.

    Raises
    ------
    ParameterError
        `bins` out of range, or rules that leave a cell without a segment or give it two.
    DataError
        As `custkit.orders.purchase_summary`.
    """
    cells = check_rules(rules, bins)
    table = order_tables.rfm_values(orders, observation_end=observation_end, engine=engine)
    r_score = bins + 1 - _places(table["recency_days"], bins)
    f_score, m_score = (_least_first(table[name], bins) for name in ("orders", "monetary_total"))
    names = list(dict.fromkeys(rule.segment for rule in rules))
    codes = pd.Categorical(cells["segment"], categories=names).codes.reshape(bins, bins)
    return table.assign(
        r_score=r_score,
        f_score=f_score,
        m_score=m_score,
        rfm_score=(100 * r_score + 10 * f_score + m_score).astype("str"),
        segment=pd.Categorical.from_codes(codes[r_score - 1, f_score - 1], categories=names),
    ).pipe(_with_attrs, table.attrs | {"bins": bins})


def check_rules(rules: Sequence[Rule], bins: int = 5) -> pd.DataFrame:
    """Verify that every cell of scores has exactly one segment.

    Parameters
    ----------
    rules : sequence of Rule
    bins : int, 2 to 9

    Returns
    -------
    DataFrame
        r_score, f_score, segment: the map of all ``bins * bins`` cells.

    Raises
    ------
    ParameterError
        All cells without a segment, all with several, and a `bins` out of range.
    """
    if not isinstance(bins, int | np.integer) or not 2 <= bins <= 9:
        raise ParameterError(f"bins is {bins!r}: give a whole number from 2 to 9.")
    cells, faults = [], []
    for r in range(1, bins + 1):
        for f in range(1, bins + 1):
            level_r, level_f = (_level(score, bins) for score in (r, f))
            found = [
                rule.segment
                for rule in rules
                if rule.r_min <= level_r <= rule.r_max and rule.f_min <= level_f <= rule.f_max
            ]
            if not found:
                faults.append(f"recency score {r}, frequency score {f}: no segment")
            elif len(found) > 1:
                faults.append(f"recency score {r}, frequency score {f}: {' and '.join(found)}")
            cells.append((r, f, found[0] if found else None))
    if faults:
        raise ParameterError(faults)
    return pd.DataFrame(cells, columns=["r_score", "f_score", "segment"])


def cut_points(table: pd.DataFrame) -> pd.DataFrame:
    """Which values got which score, and how many customers that is.

    Parameters
    ----------
    table : DataFrame
        From `rfm_table`.

    Returns
    -------
    DataFrame
        measure (recency_days, orders, monetary_total), score, lowest and highest value, customers,
        customer_share. A score that nobody got has no row.
    """
    parts = []
    for measure, score in (("recency_days", "r_score"), ("orders", "f_score"), ("monetary_total", "m_score")):
        groups = table.groupby(score)[measure].agg(lowest="min", highest="max", customers="size")
        groups = groups.rename_axis("score").reset_index().astype({"lowest": float, "highest": float})
        groups.insert(0, "measure", measure)
        parts.append(groups.assign(customer_share=groups["customers"] / len(table)))
    return pd.concat(parts, ignore_index=True)


def segment_summary(table: pd.DataFrame, rules: Sequence[Rule] = SEGMENTS) -> pd.DataFrame:
    """Customers, orders and money of each segment, and what to do with it.

    Parameters
    ----------
    table : DataFrame
        From `rfm_table`.
    rules : sequence of Rule
        The rules it was made with.

    Returns
    -------
    DataFrame, one row per segment in the order of the rules, empty ones included
        segment, customers, customer_share, orders, monetary_total (money), monetary_share,
        monetary_mean (money per order), recency_days (mean; missing in an empty segment), action.
    """
    groups = table.groupby("segment", observed=False)
    found = groups.agg(
        customers=("customer_id", "size"),
        orders=("orders", "sum"),
        monetary_total=("monetary_total", "sum"),
        recency_days=("recency_days", "mean"),
    ).reset_index()
    money = found["monetary_total"].sum()
    found.insert(2, "customer_share", found["customers"] / len(table))
    found.insert(5, "monetary_share", found["monetary_total"] / money if money else np.nan)
    found.insert(6, "monetary_mean", found["monetary_total"] / found["orders"].where(found["orders"] > 0))
    actions = {rule.segment: rule.action for rule in rules}
    return found.assign(action=found["segment"].astype("str").map(actions))


def segment_migration(before: pd.DataFrame, after: pd.DataFrame, *, shares: bool = False) -> pd.DataFrame:
    """Where the customers of each segment at one date are at a later date.

    Parameters
    ----------
    before, after : DataFrame
        From `rfm_table` at two dates.
    shares : bool
        Give shares of the row instead of customers.

    Returns
    -------
    DataFrame
        Row = segment before, column = segment after, value = customers (or share of the row; missing in
        an empty row). The last row holds customers who came in between, the last column those who are no
        longer in the data, so that no customer of either table is missing.

    Raises
    ------
    DataError
        A table has a customer twice, or lacks customer_id or segment.
    """
    faults = []
    for name, table in (("before", before), ("after", after)):
        if not {"customer_id", "segment"} <= set(table.columns):
            faults.append(f"{name} lacks customer_id or segment: make it with rfm.rfm_table.")
        elif table["customer_id"].duplicated().any():
            twice = table.loc[table["customer_id"].duplicated(), "customer_id"].unique()[:3]
            faults.append(f"{name} has customers in several rows, such as {', '.join(map(str, twice))}.")
    if faults:
        raise DataError(faults)
    rows = [*_names(before), NEW]
    columns = [*_names(after), GONE]
    both = pd.merge(
        before[["customer_id", "segment"]].astype({"segment": "str"}),
        after[["customer_id", "segment"]].astype({"segment": "str"}),
        on="customer_id",
        how="outer",
        suffixes=("_before", "_after"),
    )
    counts = pd.crosstab(both["segment_before"].fillna(NEW), both["segment_after"].fillna(GONE))
    counts = counts.reindex(index=rows, columns=columns, fill_value=0)
    counts = counts.rename_axis(index="segment before", columns="segment after")
    return counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0) if shares else counts


def _names(table: pd.DataFrame) -> list[str]:
    categories = table["segment"].astype("category").cat.categories
    return [str(name) for name in categories]


def _level(score: int, bins: int) -> int:
    """A score on the scale of five for which the rules are written; ends stay ends."""
    return 1 + int((score - 1) * (_LEVELS - 1) / (bins - 1) + 0.5)


def _places(values: pd.Series, bins: int) -> np.ndarray:
    """1 + floor(bins * share of customers with a strictly smaller value), in whole numbers throughout."""
    smaller = values.rank(method="min").to_numpy().astype(np.int64) - 1
    return 1 + smaller * bins // max(len(values), 1)


def _least_first(values: pd.Series, bins: int) -> np.ndarray:
    scores = _places(values, bins)
    largest = (values == values.max()).to_numpy()
    return scores if largest.all() else np.where(largest, bins, scores)


def _with_attrs(table: pd.DataFrame, attrs: dict[str, Any]) -> pd.DataFrame:
    table.attrs = attrs
    return table
