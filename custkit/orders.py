"""From an order log to one row per customer, in SQL that DuckDB and Spark both read.

An order log has customer_id, order_date and amount, and perhaps order_id. Each question has a function
that answers it and a twin, ``..._sql``, that returns the very text that is run.

Rules that hold for every question:

* Orders after `observation_end` are not looked at, not even those of its own week.
* Orders of a customer in the same period (day, week or month) are one purchase of that period.
* Refunds (negative amounts) are netted against the purchases of the same customer and period. A period
  whose net is negative, or which refunds cancel altogether, is not a purchase: it is set aside.
* Rows without customer_id, order_date or amount are set aside. What is set aside is counted in
  ``attrs["set_aside"]`` (reason -> rows) and announced by one `DataWarning`.
* Money is added up in two parts, the multiples of 2^-20 and the rest. Both sums are exact in floating
  point, so that neither the order of the rows nor the engine can change the last digit.
"""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any

import pandas as pd

from custkit.engine import Log, opened
from custkit.errors import DataError, DataWarning
from custkit.order_sql import (
    DAYS,
    LATER,
    NO_AMOUNT,
    USED,
    audit_sql,
    calibration_holdout_sql,
    checked,
    cohorts_sql,
    first_day,
    later_text,
    patterns_sql,
    period_totals_sql,
    purchase_summary_sql,
    refunded_sql,
    rfm_values_sql,
)

__all__ = [
    "calibration_holdout",
    "calibration_holdout_sql",
    "cohorts",
    "cohorts_sql",
    "patterns",
    "patterns_sql",
    "period_totals",
    "period_totals_sql",
    "purchase_summary",
    "purchase_summary_sql",
    "rfm_values",
    "rfm_values_sql",
]

REFUNDED = "refunds of the period reach or exceed its purchases"


def purchase_summary(
    orders: Any, *, observation_end: Any, time_unit: str = "D", engine: Any = None
) -> pd.DataFrame:
    """What BG/NBD and Gamma–Gamma need to know of each customer.

    Parameters
    ----------
    orders : frame, path, relation or table
        An order log, of any kind `custkit.engine.opened` takes.
    observation_end : date or ISO text
        Last day the log can show an order.
    time_unit : {"D", "W"}
        Count in days, or in weeks from Monday to Sunday.
    engine : SparkSession or DuckDBPyConnection, optional
        Where to run; DuckDB inside this process when not given.

    Returns
    -------
    DataFrame, one row per customer, sorted by customer_id
        customer_id; frequency (repeat purchases: periods with a purchase, less one); recency (first to
        last purchase) and T (first purchase to observation end) in time units; monetary_value (mean
        money per repeat purchase, the first left out; 0.0 at frequency 0). All float but the id.
        ``attrs``: time_unit, observation_end (ISO text), rows_in, rows_used, after_observation_end
        (rows), set_aside (reason -> rows), amount_set_aside (money), refunds (whether any used amount
        is negative), orders_merged (rows that fell into a period with another).
        rows_in = rows_used + after_observation_end + sum of set_aside.

    Raises
    ------
    DataError
        Columns missing or of a wrong type, no usable row, or observation_end before the first order.
    ParameterError
        An unknown time unit, or dates that are none.

    Notes
    -----
    As `lifetimes.utils.summary_data_from_transaction_data`, equal to the last digit, except for what
    the rules at the head of this module do better. Definitions: Fader, Hardie and Lee (2005).
    """
    (end,) = checked(observation_end=observation_end, time_unit=time_unit)
    with opened(orders, engine) as log:
        attrs = _audit(log, end, time_unit)
        summary = log.ask(
            lambda table: purchase_summary_sql(
                observation_end=end, time_unit=time_unit, table=table, refunds=attrs["refunds"]
            )
        )
    attrs["orders_merged"] = attrs["rows_used"] - int(summary["frequency"].sum()) - len(summary)
    return _finished(summary, attrs)


def patterns(orders: Any, *, observation_end: Any, time_unit: str = "D", engine: Any = None) -> pd.DataFrame:
    """How many customers share each (frequency, recency, T): all that fitting BG/NBD needs.

    Parameters, errors and attrs as `purchase_summary`; the customers themselves never leave the engine.

    Returns
    -------
    DataFrame
        frequency, recency, T (floats, time units) and customers (count), sorted by the first three.
    """
    (end,) = checked(observation_end=observation_end, time_unit=time_unit)
    with opened(orders, engine) as log:
        attrs = _audit(log, end, time_unit)
        found = log.ask(lambda table: patterns_sql(observation_end=end, time_unit=time_unit, table=table))
    return _finished(found, attrs)


def calibration_holdout(
    orders: Any, *, calibration_end: Any, observation_end: Any, time_unit: str = "D", engine: Any = None
) -> pd.DataFrame:
    """The purchase summary up to one day, beside what the same customers bought after it.

    Parameters
    ----------
    calibration_end : date or ISO text
        Last day of the calibration; the hold-out begins the day after and ends with `observation_end`.
    orders, observation_end, time_unit, engine
        As in `purchase_summary`.

    Returns
    -------
    DataFrame, one row per customer of the calibration, sorted by customer_id
        customer_id; frequency_cal, recency_cal, T_cal, monetary_value_cal as in `purchase_summary`;
        frequency_holdout (periods with a purchase); monetary_value_holdout (mean money per period with
        a purchase, as in the calibration; missing, not 0, without one); duration_holdout (time units).
        ``attrs`` as `purchase_summary`, and calibration_end, new_in_holdout (customers whose first
        purchase is in the hold-out, who are left out).

    Raises
    ------
    DataError, ParameterError
        As `purchase_summary`; calibration_end must lie before observation_end, and after the first order.
    """
    cut, end = checked(calibration_end=calibration_end, observation_end=observation_end, time_unit=time_unit)
    with opened(orders, engine) as log:
        attrs = _audit(log, end, time_unit, also=later_text(cut))
        both = log.ask(
            lambda table: calibration_holdout_sql(
                calibration_end=cut, observation_end=end, time_unit=time_unit, table=table
            )
        )
    known = both["T_cal"].notna()
    if not known.any():
        raise DataError(f"No purchase on or before calibration_end {cut}: there is nothing to calibrate on.")
    attrs |= {"calibration_end": cut.isoformat(), "new_in_holdout": int((~known).sum())}
    return _finished(both[known].reset_index(drop=True), attrs)


def rfm_values(orders: Any, *, observation_end: Any, engine: Any = None) -> pd.DataFrame:
    """Recency, frequency and money of each customer, as RFM means them.

    Parameters, errors and attrs as `purchase_summary`.

    Returns
    -------
    DataFrame, one row per customer, sorted by customer_id
        customer_id; recency_days (last order to observation end); orders (distinct order_id when the
        log has it, days with a purchase when not); monetary_total and monetary_mean (money in all, and
        per order); first_order and last_order (dates).
    """
    (end,) = checked(observation_end=observation_end)
    with opened(orders, engine) as log:
        attrs = _audit(log, end, "D")
        has_id = "order_id" in log.columns
        values = log.ask(lambda table: rfm_values_sql(observation_end=end, order_id=has_id, table=table))
    attrs["orders_merged"] = attrs["rows_used"] - int(values["orders"].sum())
    return _finished(values, attrs)


def cohorts(orders: Any, *, observation_end: Any, engine: Any = None) -> pd.DataFrame:
    """Customers active in each month, by the month of their first order.

    Parameters, errors and attrs as `purchase_summary`.

    Returns
    -------
    DataFrame
        cohort (first day of the month of the first order), period_number (months since, 0 = first),
        customers (who bought in that month), amount (their money in it). Months in which nobody of a
        cohort bought have no row. The last month is partial unless observation_end is its last day.
    """
    (end,) = checked(observation_end=observation_end)
    with opened(orders, engine) as log:
        attrs = _audit(log, end, "M")
        return _finished(log.ask(lambda table: cohorts_sql(observation_end=end, table=table)), attrs)


def period_totals(
    orders: Any, *, observation_end: Any, time_unit: str = "W", engine: Any = None
) -> pd.DataFrame:
    """Purchases in each period, first ones and repeats apart, as tracking plots show them.

    Parameters, errors and attrs as `purchase_summary`.

    Returns
    -------
    DataFrame, one row per period from the first purchase to observation_end, empty ones included
        period (its first day), first_purchases, repeat_purchases (customers), first_amount,
        repeat_amount (money). The last period is partial unless observation_end is its last day.
    """
    (end,) = checked(observation_end=observation_end, time_unit=time_unit)
    with opened(orders, engine) as log:
        attrs = _audit(log, end, time_unit)
        found = log.ask(
            lambda table: period_totals_sql(observation_end=end, time_unit=time_unit, table=table)
        )
    last, unit = pd.Timestamp(first_day(end, time_unit)), found["period"].dt.unit
    every = pd.date_range(found["period"].min(), last, freq=f"{DAYS[time_unit]}D", unit=unit)
    totals = found.set_index("period").reindex(every.rename("period"), fill_value=0).reset_index()
    return _finished(totals.astype(found.dtypes), attrs)


def _audit(log: Log, end: dt.date, time_unit: str, also: str = "") -> dict[str, Any]:
    """Count what is used and what is set aside, and why; refuse a log with nothing to use."""
    found = log.ask(lambda table: audit_sql(end, table)).set_index("reason")
    rows = {reason: int(n) for reason, n in found["line_count"].items()}
    log.make_room(sum(rows.values()))
    used, later = rows.pop(USED, 0), rows.pop(LATER, 0)
    if not used:
        day = found["first_day"].min()
        raise DataError(
            f"No order on or before observation_end {end}: the first is of {day.date()}."
            if later
            else f"The order log has no usable row ({_listed(rows) or 'it is empty'})."
        )
    readable = [reason for reason in rows if reason != NO_AMOUNT]
    money = float(found["amount"].reindex(readable).sum())
    refunds = bool(found.loc[USED, "least"] < 0)
    if refunds:
        gone = log.ask(lambda table: refunded_sql(end, time_unit, table, also)).iloc[0]
        if gone["line_count"] > 0:
            rows[REFUNDED] = int(gone["line_count"])
            used, money = used - rows[REFUNDED], money + float(gone["amount"])
    if not used:
        raise DataError(f"The order log has no usable row ({_listed(rows)}).")
    return {
        "time_unit": time_unit,
        "observation_end": end.isoformat(),
        "rows_in": used + later + sum(rows.values()),
        "rows_used": used,
        "after_observation_end": later,
        "set_aside": rows,
        "amount_set_aside": money,
        "refunds": refunds,
    }


def _listed(rows: dict[str, int]) -> str:
    return ", ".join(f"{n:,}: {reason}" for reason, n in rows.items())


def _finished(frame: pd.DataFrame, attrs: dict[str, Any]) -> pd.DataFrame:
    frame.attrs = attrs
    if attrs["set_aside"]:
        warnings.warn(
            f"{sum(attrs['set_aside'].values()):,} of {attrs['rows_in']:,} rows of the order log were set "
            f"aside ({_listed(attrs['set_aside'])}).",
            DataWarning,
            stacklevel=3,
        )
    return frame
