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
NO_AMOUNT = "no readable amount"


def checked(*, time_unit: str = "D", table: str = "orders", **dates: Any) -> list[dt.date]:
    """The dates given, as dates; every fault of the parameters at once."""
    faults, days = [], []
    if time_unit not in DAYS:
        faults.append(f"time_unit is {time_unit!r}: give 'D' (days) or 'W' (weeks); months differ in length.")
    if not all(part.isidentifier() for part in str(table).split(".")):
        faults.append(f"table is {table!r}: give a plain name such as orders or shop.orders.")
    for name, when in dates.items():
        try:
            day = (dt.datetime.fromisoformat(when) if isinstance(when, str) else pd.Timestamp(when)).date()
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


def first_day(when: dt.date, time_unit: str) -> dt.date:
    return when - dt.timedelta(days=when.weekday() if time_unit == "W" else 0)


def later_text(cut: dt.date) -> str:
    """A column that is true for orders of the hold-out."""
    return f"cast(order_date as date) > {day_text(cut)} as later"


def _span(start: str, stop: str, time_unit: str) -> str:
    return f"cast({stop} - {start} as int) / {DAYS[time_unit]}"


def _coarse(amount: str) -> str:
    return f"floor({amount} * power(2, 20)) / power(2, 20)"


def purchases_text(
    end: dt.date,
    time_unit: str,
    table: str,
    also: str = "",
    count: str = "",
    kept: bool = True,
    refunds: bool = True,
) -> str:
    """The steps every question starts with: usable lines, their net by period, and purchases.

    `also` is one more expression to group by, with its name; `count` one more to aggregate. With
    `kept` false the text finds the periods that refunds cancel instead of the others. A log without
    `refunds` has no such periods, and need not be asked for them.
    """
    net = "(min(amount) >= 0 or round(sum(coarse) + sum(amount - coarse), 6) > 0)"
    having = f"\n    having {'' if kept else 'not '}{net}" if refunds else ""
    group = ", ".join(filter(None, ["customer_id", also.split(" as ")[-1], "period"]))
    also = also and f"\n           {also},"
    order_id = ", order_id" if "order_id" in count else ""
    return f"""
-- lines: the rows that can be used
-- net: one row per customer and {_UNITS[time_unit]}, refunds netted
-- coarse: money down to multiples of 2^-20; sums of it, and of the rest, are exact in any order
with lines as (
    select customer_id{order_id}, {_period("order_date", time_unit)} as period,{also}
           amount, {_coarse("amount")} as coarse
    from {table}
    where customer_id is not null and abs(amount) < 1e12 and not isnan(amount)
      and cast(order_date as date) <= {day_text(end)}
),
net as (
    select {group},
           sum(coarse) + sum(amount - coarse) as amount{count}
    from lines
    group by {group}{having}
),
purchases as (
    select *, {_coarse("amount")} as coarse
    from net
)""".lstrip()


def audit_sql(end: dt.date, table: str) -> str:
    """Every row of the log under one heading: used, or why not."""
    return f"""
select case when customer_id is null then 'no customer_id'
            when order_date is null then 'no readable order_date'
            when amount is null or isnan(amount) or abs(amount) >= 1e12 then '{NO_AMOUNT}'
            when cast(order_date as date) > {day_text(end)} then '{LATER}'
            else '{USED}' end as reason,
       count(*) as line_count, sum(amount) as amount, min(amount) as least,
       cast(min(order_date) as date) as first_day
from {table}
group by 1
order by 1""".lstrip()


# The first purchase is taken off part by part, so that the mean of the repeats is as exact.
_SPLIT = f"""split as (
    select *, {_coarse("first_amount")} as first_coarse
    from customers
)"""
_REPEAT_MEAN = """case when purchases > 1
            then (coarse - first_coarse + (fine - (first_amount - first_coarse))) / (purchases - 1)
            else 0.0 end"""


def purchase_summary_sql(
    *, observation_end: Any, time_unit: str = "D", table: str = "orders", refunds: bool = True
) -> str:
    """Text of the question `purchase_summary` answers; `refunds` says whether amounts may be negative."""
    (end,) = checked(observation_end=observation_end, time_unit=time_unit, table=table)
    stop = day_text(first_day(end, time_unit))
    return f"""{purchases_text(end, time_unit, table, refunds=refunds)},
customers as (
    select customer_id,
           count(*) as purchases, min(period) as first_period, max(period) as last_period,
           sum(coarse) as coarse, sum(amount - coarse) as fine, min_by(amount, period) as first_amount
    from purchases
    group by customer_id
),
{_SPLIT}
select customer_id,
       cast(purchases - 1 as double) as frequency,
       {_span("first_period", "last_period", time_unit)} as recency,
       {_span("first_period", stop, time_unit)} as T,
       {_REPEAT_MEAN} as monetary_value
from split
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
    cut_period, stop = (day_text(first_day(when, time_unit)) for when in (cut, end))
    return f"""{purchases_text(end, time_unit, table, later_text(cut))},
customers as (
    select customer_id,
           count(*) filter (where not later) as purchases,
           min(period) filter (where not later) as first_period,
           max(period) filter (where not later) as last_period,
           sum(coarse) filter (where not later) as coarse,
           sum(amount - coarse) filter (where not later) as fine,
           min_by(amount, period) filter (where not later) as first_amount,
           count(*) filter (where later) as later_purchases,
           sum(coarse) filter (where later) + sum(amount - coarse) filter (where later) as later_amount
    from purchases
    group by customer_id
),
{_SPLIT}
select customer_id,
       cast(purchases - 1 as double) as frequency_cal,
       {_span("first_period", "last_period", time_unit)} as recency_cal,
       {_span("first_period", cut_period, time_unit)} as T_cal,
       {_REPEAT_MEAN} as monetary_value_cal,
       cast(later_purchases as double) as frequency_holdout,
       later_amount / nullif(later_purchases, 0) as monetary_value_holdout,
       {_span(cut_period, stop, time_unit)} as duration_holdout
from split
order by customer_id"""


def rfm_values_sql(*, observation_end: Any, order_id: bool = False, table: str = "orders") -> str:
    """Text of the question `rfm_values` answers; `order_id` says whether the log has that column."""
    (end,) = checked(observation_end=observation_end, table=table)
    bought = "greatest(count(distinct case when amount >= 0 then order_id end), 1)" if order_id else "1"
    return f"""{purchases_text(end, "D", table, count=f", {bought} as orders")}
select customer_id,
       cast({day_text(end)} - max(period) as int) as recency_days,
       cast(sum(orders) as bigint) as orders,
       sum(coarse) + sum(amount - coarse) as monetary_total,
       (sum(coarse) + sum(amount - coarse)) / sum(orders) as monetary_mean,
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
    select period, amount, coarse, min(period) over (partition by customer_id) as cohort
    from purchases
)
select cohort,
       cast(12 * (year(period) - year(cohort)) + month(period) - month(cohort) as bigint) as period_number,
       count(*) as customers,
       sum(coarse) + sum(amount - coarse) as amount
from active
group by cohort, period
order by cohort, period"""


def period_totals_sql(*, observation_end: Any, time_unit: str = "W", table: str = "orders") -> str:
    """Text of the question `period_totals` answers; periods without a purchase are missing in it."""
    (end,) = checked(observation_end=observation_end, time_unit=time_unit, table=table)
    return f"""{purchases_text(end, time_unit, table)},
active as (
    select period, amount, coarse, period = min(period) over (partition by customer_id) as is_first
    from purchases
)
select period,
       count(*) filter (where is_first) as first_purchases,
       count(*) filter (where not is_first) as repeat_purchases,
       coalesce(sum(coarse) filter (where is_first)
                + sum(amount - coarse) filter (where is_first), 0.0) as first_amount,
       coalesce(sum(coarse) filter (where not is_first)
                + sum(amount - coarse) filter (where not is_first), 0.0) as repeat_amount
from active
group by period
order by period"""


def refunded_sql(end: dt.date, time_unit: str, table: str, also: str = "") -> str:
    """Rows and money of the periods that are no purchase because refunds reach or exceed it."""
    count = ", count(*) as line_count"
    return f"""{purchases_text(end, time_unit, table, also, count, kept=False)}
select cast(sum(line_count) as bigint) as line_count, sum(coarse) + sum(amount - coarse) as amount
from purchases"""
