"""What customers bring week by week after their first order, and when that has paid for winning them.

``custkit.lifecycle`` gives all of this out again; use it from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError, ParameterError
from custkit.stage_record import day_number, plain_dates, table_faults, to_dates
from custkit.trial_columns import share_level
from custkit.unit_economics import some

_ROWS = 20_000  # customers looked at in one go


def margin_curve(
    orders: pd.DataFrame,
    *,
    as_of: Any,
    by: str | pd.Series | None = None,
    weeks: int = 52,
    value: str = "margin",
    level: float = 0.95,
) -> pd.DataFrame:
    """Cumulative margin per customer won, by whole weeks since the first order.

    Parameters
    ----------
    orders : DataFrame
        customer_id, order_date and the column named by `value`; unsorted, several rows a day allowed.
    as_of : date or ISO text
        Last day looked at.
    by : column or Series, optional
        One curve for each group: a column of orders (its value in the customer's first order counts) or a
        Series by customer_id (customers not in it are left out).
    weeks : int
        How far the curves go. They end earlier where nobody has been seen that long.
    value : str
        Column of money, such as "amount" where the margin is not known.
    level : float
        Of the interval.

    Returns
    -------
    DataFrame, one row a week (and group)
        (the group); week (1 = the seven days that begin with the first order), customers (old enough to have
        been seen all that week), margin (mean of that week, money a customer), cumulative, std_error, low,
        high (of the cumulative margin).

    Raises
    ------
    DataError, ParameterError
        As `stages`; `value` or `by` not found.

    Notes
    -----
    A week's margin is the mean over all customers old enough for it, those who bought nothing included, and
    the curve adds these means up, so late weeks rest on old cohorts only. Customers are the unit of the
    standard error: it is the root of the sum of squares of what each contributes to the curve,
    ``sum over weeks of (own margin - mean) / customers``, times n / (n - 1).
    """
    from scipy.stats import norm

    level = share_level(level)
    if not isinstance(weeks, int | np.integer) or weeks < 1:
        raise ParameterError(f"weeks is {weeks!r}: give a whole number of at least 1.")
    end, column = day_number(as_of), by if isinstance(by, str) else None
    faults = table_faults("orders", orders, value, *([column] if column else []))
    if faults:
        raise DataError(faults)
    money, day = orders[value].to_numpy(float), plain_dates(orders["order_date"])
    usable = orders["customer_id"].notna() & day.notna() & ~np.isnan(money)
    rows = np.flatnonzero(usable & (day < to_dates([end + 1])[0]))
    if not len(rows):
        raise DataError(f"orders: no order with a {value} on or before as_of {to_dates([end])[0].date()}.")
    day = day.to_numpy("datetime64[D]").astype(np.int64)
    rows = rows[np.lexsort((money[rows], day[rows]))]
    code, ids = pd.factorize(orders["customer_id"].iloc[rows])
    firsts = rows[np.unique(code, return_index=True)[1]]
    first, group = day[firsts], by
    if column:
        group = pd.Series(orders[column].iloc[firsts].to_numpy(), pd.Index(ids))
    table = pd.DataFrame({"code": code, "week": (day[rows] - first[code]) // 7, "money": money[rows]})
    age, curves = (end - first + 1) // 7, []
    for label, chosen in _groups(pd.Index(ids), group):
        place = np.full(len(ids), -1)
        place[chosen] = np.arange(len(chosen))
        part = table.assign(code=place[code])[place[code] >= 0]
        curve = _curve(part, age[chosen], weeks)
        if label is not None:
            curve.insert(0, column or getattr(by, "name", None) or "group", label)
        curves.append(curve)
    curve = pd.concat(curves, ignore_index=True)
    reach = norm.ppf((1 + level) / 2) * curve["std_error"]
    return curve.assign(low=curve["cumulative"] - reach, high=curve["cumulative"] + reach)


def _groups(ids: pd.Index, group: pd.Series | None) -> list[tuple[Any, np.ndarray]]:
    """Label and numbers of the customers of each group."""
    if group is None:
        return [(None, np.arange(len(ids)))]
    if not isinstance(group, pd.Series) or group.index.has_duplicates:
        raise ParameterError("by is neither a column nor a Series with one row a customer_id.")
    of_customer = group.reindex(ids).reset_index(drop=True).dropna()
    if of_customer.empty:
        raise DataError("by has no group for any customer of orders: is its index the customer_id?")
    return [(label, part.index.to_numpy()) for label, part in of_customer.groupby(of_customer, observed=True)]


def _curve(rows: pd.DataFrame, age: np.ndarray, weeks: int) -> pd.DataFrame:
    """The curve of one group; `age` = whole weeks each customer has been seen, in the order of the codes."""
    weeks = min(weeks, int(age.max()))
    seen = np.array([(age > week).sum() for week in range(weeks)])
    code, week = rows["code"].to_numpy(), rows["week"].to_numpy()
    inside = week < np.minimum(age[code], weeks)
    code, week, money = code[inside], week[inside], rows["money"].to_numpy()[inside]
    mean = np.bincount(week, money, minlength=weeks) / seen
    squares, by_person = np.zeros(weeks), np.argsort(code, kind="stable")
    code, week, money = code[by_person], week[by_person], money[by_person]
    for start in range(0, len(age), _ROWS):
        part = slice(*np.searchsorted(code, [start, start + _ROWS]))
        size = min(_ROWS, len(age) - start)
        flat = np.bincount((code[part] - start) * weeks + week[part], money[part], minlength=size * weeks)
        old = age[start : start + size, None] > np.arange(weeks)
        share = np.where(old, flat.reshape(size, weeks) - mean, 0) / seen
        squares += (share.cumsum(axis=1) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(seen > 1, np.sqrt(squares * seen / (seen - 1)), np.nan)
    columns = {"week": np.arange(1, weeks + 1), "customers": seen, "margin": mean}
    return pd.DataFrame({**columns, "cumulative": mean.cumsum(), "std_error": error})


def payback_week(curve: pd.DataFrame, cac: Any) -> pd.DataFrame:
    """The week at whose end the cumulative margin has reached the cost of acquisition.

    Parameters
    ----------
    curve : DataFrame
        From `margin_curve`.
    cac : float, Series or DataFrame
        Money per customer: one for all, or by group (a table of `acquisition_cost` will do).

    Returns
    -------
    DataFrame, one row a group (or one row)
        (the group); cac; week (missing: not within the curve); week_low and week_high (the same by the upper
        and lower end of the curve's interval; the cost is taken as known).

    Raises
    ------
    DataError
        A group without cac, or a table that is no margin curve.
    """
    lacking = [name for name in ("week", "cumulative", "low", "high") if name not in curve]
    if lacking:
        raise DataError(f"curve lacks {', '.join(lacking)}: make it with lifecycle.margin_curve.")
    costs = cac["cac"] if isinstance(cac, pd.DataFrame) and "cac" in cac else cac
    name = None if curve.columns[0] == "week" else curve.columns[0]
    parts = [(None, curve)] if name is None else list(curve.groupby(name, observed=True, sort=False))
    if isinstance(costs, pd.Series) and name is None:
        raise DataError("cac is by group, the curve is not: give one number, or margin_curve its by=")
    missing = [k for k, _ in parts if isinstance(costs, pd.Series) and not pd.notna(costs.get(k, np.nan))]
    if missing:
        raise DataError(f"cac has no value for {some(missing)}: give each group of the curve one.")
    rows = []
    for label, part in parts:
        cost = float(costs[label] if isinstance(costs, pd.Series) else costs)
        found = [part.loc[part[end] >= cost, "week"].min() for end in ("cumulative", "high", "low")]
        rows.append({name or "": label, "cac": cost, "week": found[0], "week_low": found[1]})
        rows[-1]["week_high"] = found[2]
    table = pd.DataFrame(rows).astype(dict.fromkeys(("week", "week_low", "week_high"), float))
    return table if name else table.drop(columns="")
