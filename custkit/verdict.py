"""Which analyses an order log can carry, in plain words."""

from __future__ import annotations

import datetime as dt
from typing import Any

MIN_REPEAT_BUYERS = 40  # a purchase model has four parameters; below ten buyers for each it only fits noise
MIN_SPEND_BUYERS = 30  # the spend model has three parameters, again ten buyers for each
MIN_HOLDOUT_WEEKS = 26  # half a year: a quarter to learn from and a quarter to be tested on
MIN_COHORTS = 2  # one cohort has nothing to be compared with
CONSTANT_SPREAD = 1e-6  # relative; smaller differences of amounts are rounding

FACTS = f"""
with days as (
    select customer_id, order_date, sum(amount) as amount from orders group by customer_id, order_date
), customers as (
    select customer_id, count(*) as days, min(order_date) as first,
        max(amount) - min(amount) > {CONSTANT_SPREAD} * max(amount) as varies,
        min(amount) as low, max(amount) as high
    from days group by customer_id
)
select count(*), count(*) filter (days > 1), count(*) filter (days > 1 and varies),
    count(distinct date_trunc('month', first)), min(first),
    max(high) - min(low) <= {CONSTANT_SPREAD} * max(high), min(low)
from customers
"""


def verdict(con: Any, observation_end: dt.date) -> Any:
    """The eligibility table of the orders in a DuckDB connection.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Holds the table ``orders`` (customer_id, order_date, amount).
    observation_end : datetime.date

    Returns
    -------
    DataFrame
        analysis ("RFM", "purchase models", "spend model", "hold-out check", "cohort table"),
        can_run (bool), why (a sentence with the numbers it rests on).
    """
    import pandas as pd

    (facts,) = con.execute(FACTS).fetchall()  # all fetched, so that the connection is free again
    customers, repeat, varying, cohorts, first, constant, amount = facts
    weeks = (observation_end - first).days // 7
    enough = repeat >= MIN_REPEAT_BUYERS
    buyers = f"{repeat:,} of {customers:,} customers bought on more than one day"
    rows = [("RFM", True, f"{customers:,} customers over {weeks:,} weeks.")]
    if repeat == 0:
        why = "No customer bought on more than one day: there is no repeat purchase to learn from."
    else:
        why = f"{buyers}." if enough else f"{buyers}; at least {MIN_REPEAT_BUYERS} are needed."
    rows.append(("purchase models", enough, why))
    spends = varying >= MIN_SPEND_BUYERS
    if constant:
        why = f"Every purchase is {amount:,.2f}: amounts do not vary, so that amount is used as the mean."
    elif spends:
        why = f"{varying:,} repeat buyers spend different amounts on different days."
    else:
        why = (
            f"{varying:,} repeat buyers spend different amounts on different days; at least "
            f"{MIN_SPEND_BUYERS} are needed. The mean amount is used instead."
        )
    rows.append(("spend model", spends, why))
    long = weeks >= MIN_HOLDOUT_WEEKS
    why = f"{weeks:,} weeks from the first order to the observation end"
    why += "." if long else f"; at least {MIN_HOLDOUT_WEEKS} are needed."
    why += "" if enough else " It tests a purchase model, and none can run."
    rows.append(("hold-out check", long and enough, why))
    months = f"First orders fall in {cohorts:,} calendar {'month' if cohorts == 1 else 'months'}"
    several = cohorts >= MIN_COHORTS
    rows.append(
        ("cohort table", several, f"{months}{'.' if several else f'; at least {MIN_COHORTS} are needed.'}")
    )
    return pd.DataFrame(rows, columns=["analysis", "can_run", "why"])
