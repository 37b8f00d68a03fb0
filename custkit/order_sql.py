"""The SQL that `custkit.orders` runs: one text per question, read by DuckDB and Spark alike.

Every text starts from the same two steps, lines and purchases; what they do with refunds, missing
values and the last digit of money is said at the head of `custkit.orders`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import ParameterError

DAYS = {"D": 1, "W": 7}  # days in a time unit
_UNITS = {"D": "day", "W": "week", "M": "month"}
USED = "used"
LATER = "after observation_end"


def checked(*, time_unit: str = "D", table: str = "orders", **dates: Any) -> list[dt.date]:
    """The dates given, as dates; every fault of the parameters at once."""
    faults, days = [], []
    if time_unit not in DAYS:
        faults.append(f"time_unit is {time_unit!r}: give 'D' (days) or 'W' (weeks); months differ in length.")
    if not all(part.isidentifier() for part in str(table).split(".")):
        faults.append(f"table is {table!r}: give a plain name such as orders or shop.orders.")
    for name, when in dates.items():
        try:
            day = dt.date.fromisoformat(when[:10]) if isinstance(when, str) else pd.Timestamp(when).date()
            days.append(day if isinstance(day, dt.date) and not pd.isna(day) else None)
        except (TypeError, ValueError):
            days.append(None)
        if days[-1] is None or isinstance(when, int | float | np.number):
            faults.append(f"{name} is {when!r}: give a date, or text such as '1998-06-30'.")
    if not faults and len(days) == 2 and days[0] >= days[1]:
        faults.append(f"calibration_end {days[0]} must be before observation_end {days[1]}.")
    if faults:
        raise ParameterError(faults)
    return days


def day_text(when: dt.date) -> str:
    return f"date '{when.isoformat()}'"


def _period(date: str, time_unit: str) -> str:
    """First day of the day, week (Monday to Sunday) or month that holds a date."""
    return (
        f"cast({date} as date)"
        if time_unit == "D"
        else f"cast(date_trunc('{_UNITS[time_unit]}', {date}) as date)"
    )


def later_text(cut: dt.date) -> str:
    """A column that is true for orders of the hold-out."""
    return f"cast(order_date as date) > {day_text(cut)} as later"


def _span(start: str, stop: str, time_unit: str) -> str:
    return f"cast({stop} - {start} as int) / {DAYS[time_unit]}"


def purchases_text(
    end: dt.date, time_unit: str, table: str, also: str = "", count: str = "", kept: bool = True
) -> str:
    """The two common table expressions every question starts with: usable lines, then purchases.

    `also` is one more expression to group by, with its name; `count` one more to aggregate. With
    `kept` false the text finds the periods that refunds cancel instead of the others.
    """
    name = also.split(" as ")[-1]
    group = ", ".join(filter(None, ["customer_id", name, "period"]))
    lines = ", ".join(
        filter(None, ["customer_id", f"{_period('order_date', time_unit)} as period", "amount", also])
    )
    order_id = ", order_id" if "order_id" in count else ""
    return f"""
-- lines: the rows that can be used
-- purchases: one row per customer and {_UNITS[time_unit]}, refunds netted, money in two exact parts
with lines as (
    select {lines}{order_id},
           floor(amount * power(2, 20)) / power(2, 20) as coarse
    from {table}
    where customer_id is not null and abs(amount) < 1e12 and cast(order_date as date) <= {day_text(end)}
),
purchases as (
    select {group},
           sum(coarse) as coarse, sum(amount - coarse) as fine{count}
    from lines
    group by {group}
    having {"" if kept else "not "}(min(amount) >= 0 or round(sum(coarse) + sum(amount - coarse), 6) > 0)
)""".lstrip()


def audit_sql(end: dt.date, table: str) -> str:
    """Every row of the log under one heading: used, or why not."""
    return f"""
select case when customer_id is null then 'no customer_id'
            when order_date is null then 'no order_date'
            when amount is null or not abs(amount) < 1e12 then 'no amount'
            when cast(order_date as date) > {day_text(end)} then '{LATER}'
            else '{USED}' end as reason,
       count(*) as line_count, sum(amount) as amount, min(amount) as least,
       cast(min(order_date) as date) as first_day
from {table}
group by 1
order by 1""".lstrip()


def purchase_summary_sql(*, observation_end: Any, time_unit: str = "D", table: str = "orders") -> str:
    """Text of the question `purchase_summary` answers."""
    (end,) = checked(observation_end=observation_end, time_unit=time_unit, table=table)
    stop = _period(day_text(end), time_unit)
    return f"""{purchases_text(end, time_unit, table)},
customers as (
    select customer_id,
           count(*) as purchases, min(period) as first_period, max(period) as last_period,
           sum(coarse) - min_by(coarse, period) as coarse,  -- without the first purchase
           sum(fine) - min_by(fine, period) as fine
    from purchases
    group by customer_id
)
select customer_id,
       cast(purchases - 1 as double) as frequency,
       {_span("first_period", "last_period", time_unit)} as recency,
       {_span("first_period", stop, time_unit)} as T,
       case when purchases > 1 then (coarse + fine) / (purchases - 1) else 0.0 end as monetary_value
from customers
order by customer_id"""


def patterns_sql(*, observation_end: Any, time_unit: str = "D", table: str = "orders") -> str:
    """Text of the question `patterns` answers."""
    summary = purchase_summary_sql(observation_end=observation_end, time_unit=time_unit, table=table)
    start, finish = summary.rsplit("\nselect ", 1)
    return f"""{start},
summary as (
select {finish.rsplit(chr(10), 1)[0]}
)
select frequency, recency, T, count(*) as customers
from summary
group by frequency, recency, T
order by frequency, recency, T"""


def calibration_holdout_sql(
    *, calibration_end: Any, observation_end: Any, time_unit: str = "D", table: str = "orders"
) -> str:
    """Text of the question `calibration_holdout` answers; customers new in the hold-out have no T_cal."""
    cut, end = checked(
        calibration_end=calibration_end, observation_end=observation_end, time_unit=time_unit, table=table
    )
    cut_period, stop = (_period(day_text(when), time_unit) for when in (cut, end))
    return f"""{purchases_text(end, time_unit, table, later_text(cut))},
customers as (
    select customer_id,
           count(*) filter (where not later) as purchases,
           min(period) filter (where not later) as first_period,
           max(period) filter (where not later) as last_period,
           sum(coarse) filter (where not later) - min_by(coarse, period) filter (where not later) as coarse,
           sum(fine) filter (where not later) - min_by(fine, period) filter (where not later) as fine,
           count(*) filter (where later) as later_purchases,
           sum(coarse) filter (where later) + sum(fine) filter (where later) as later_amount
    from purchases
    group by customer_id
)
select customer_id,
       cast(purchases - 1 as double) as frequency_cal,
       {_span("first_period", "last_period", time_unit)} as recency_cal,
       {_span("first_period", cut_period, time_unit)} as T_cal,
       case when purchases > 1 then (coarse + fine) / (purchases - 1) else 0.0 end as monetary_value_cal,
       cast(later_purchases as double) as frequency_holdout,
       later_amount / nullif(later_purchases, 0) as monetary_value_holdout,
       {_span(cut_period, stop, time_unit)} as duration_holdout
from customers
order by customer_id"""


def rfm_values_sql(*, observation_end: Any, order_id: bool = False, table: str = "orders") -> str:
    """Text of the question `rfm_values` answers; `order_id` says whether the log has that column."""
    (end,) = checked(observation_end=observation_end, table=table)
    bought = "greatest(count(distinct case when amount >= 0 then order_id end), 1)" if order_id else "1"
    return f"""{purchases_text(end, "D", table, count=f", {bought} as orders")}
select customer_id,
       cast({day_text(end)} - max(period) as int) as recency_days,
       cast(sum(orders) as bigint) as orders,
       sum(coarse) + sum(fine) as monetary_total,
       (sum(coarse) + sum(fine)) / sum(orders) as monetary_mean,
       min(period) as first_order,
       max(period) as last_order
from purchases
group by customer_id
order by customer_id"""


def cohorts_sql(*, observation_end: Any, table: str = "orders") -> str:
    """Text of the question `cohorts` answers."""
    (end,) = checked(observation_end=observation_end, table=table)
    return f"""{purchases_text(end, "M", table)},
active as (
    select period, coarse, fine, min(period) over (partition by customer_id) as cohort
    from purchases
)
select cohort,
       cast(12 * (year(period) - year(cohort)) + month(period) - month(cohort) as bigint) as period_number,
       count(*) as customers,
       sum(coarse) + sum(fine) as amount
from active
group by cohort, period
order by cohort, period"""


def period_totals_sql(*, observation_end: Any, time_unit: str = "W", table: str = "orders") -> str:
    """Text of the question `period_totals` answers; periods without a purchase are missing in it."""
    (end,) = checked(observation_end=observation_end, time_unit=time_unit, table=table)
    return f"""{purchases_text(end, time_unit, table)},
active as (
    select period, coarse, fine, period = min(period) over (partition by customer_id) as is_first
    from purchases
)
select period,
       count(*) filter (where is_first) as first_purchases,
       count(*) filter (where not is_first) as repeat_purchases,
       coalesce(sum(coarse) filter (where is_first) + sum(fine) filter (where is_first), 0.0) as first_amount,
       coalesce(sum(coarse) filter (where not is_first) + sum(fine) filter (where not is_first), 0.0)
           as repeat_amount
from active
group by period
order by period"""


def refunded_sql(end: dt.date, time_unit: str, table: str, also: str = "") -> str:
    """Rows and money of the periods that are no purchase because refunds reach or exceed it."""
    count = ", count(*) as line_count"
    return f"""{purchases_text(end, time_unit, table, also, count, kept=False)}
select cast(sum(line_count) as bigint) as line_count, sum(coarse) + sum(fine) as amount
from purchases"""
