"""The tables `custkit.lifecycle` is given: read, checked, and sorted by day."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError, DataWarning, ParameterError
from custkit.order_sql import checked

STAGES = ("attract", "acquire", "convert", "retain", "develop", "reacquire")
MORE_SPENT = 1.5  # times the spending before: the rule where neither categories nor services are known
NO_DAY = int(np.datetime64("NaT", "D").astype(np.int64))
ENDLESS = 10**6
_DATES = ("order_date", "seen_at", "started_on", "ended_on")
_COLUMNS = {
    "orders": ("customer_id", "order_date"),
    "visits": ("visitor_id", "seen_at", "identified", "customer_id"),
    "categories": ("customer_id", "order_date", "category"),
    "services": ("customer_id", "started_on", "ended_on"),
}
_FILLED = {  # a row without one of these is set aside; an amount is not required of orders
    "orders": ("customer_id", "order_date", "amount"),
    "visits": ("visitor_id", "seen_at"),
    "categories": ("customer_id", "order_date", "category"),
    "services": ("customer_id", "started_on"),
}


@dataclass(frozen=True)
class Limits:
    """The numbers in the rules of the stages; all days but the quantile and the number of gaps."""

    new_days: int = 56
    lost_days: int = 182
    seen_days: int = 28
    widened_days: int = 182
    late_quantile: float = 0.9
    minimum_gaps: int = 5


def limits(**given: Any) -> Limits:
    """The limits given, checked; every fault at once."""
    known = [field.name for field in fields(Limits)]
    unknown = given.keys() - set(known)
    faults = [f"there is no option {name!r}; known are {', '.join(known)}" for name in unknown]
    for name in set(known) & given.keys():
        value, whole = given[name], name != "late_quantile"
        number = isinstance(value, int | np.integer if whole else float | np.floating)
        if not number or isinstance(value, bool) or not (value > 0 and (whole or value < 1)):
            need = "a whole number above 0" if whole else "a share between 0 and 1, such as 0.9"
            faults.append(f"{name} is {value!r}: give {need}")
    if not faults and Limits(**given).lost_days < Limits(**given).new_days:
        faults.append("lost_days is below new_days: nobody can be new and lost at once")
    if faults:
        raise ParameterError(sorted(faults))
    return Limits(**given)


@dataclass(frozen=True)
class Record:
    """What had happened by the last date: people by number, days since 1970, all sorted by day."""

    ids: pd.Index  # customers, then visitors who are none, each sorted
    first: np.ndarray  # day of the first order of each customer
    order: dict[str, np.ndarray]  # code, day, rank (0 = first), gap, amount; one row an order day
    wide: dict[str, np.ndarray] | None  # code, day of a first purchase in a new category
    running: dict[str, np.ndarray] | None  # code, day, end of a service
    seen: dict[str, np.ndarray] | None  # code, day, identified
    limits: Limits
    develop_rule: str
    set_aside: dict[str, int]


def day_number(as_of: Any) -> int:
    """An as_of of any kind as days since 1970."""
    return int(np.datetime64(checked(as_of=as_of)[0], "D").astype(np.int64))


def to_dates(days: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.asarray(days).astype("datetime64[D]").astype("datetime64[s]"))


def record(as_of: int, rules: Limits, **tables: pd.DataFrame | None) -> Record:
    """Read the tables given (orders, visits, categories, services) up to the end of a day."""
    faults = [
        fault for name, frame in tables.items() if frame is not None for fault in table_faults(name, frame)
    ]
    if faults:
        raise DataError(faults)
    aside: dict[str, int] = {}
    orders = _until(tables["orders"], "orders", as_of, aside)
    customers, order = _order_days(orders, aside)
    if not len(customers):
        early = "the first order is later" if len(tables["orders"]) else "it has no rows"
        if tables.get("visits") is None:
            raise DataError(f"orders: no order on or before as_of {to_dates([as_of])[0].date()}; {early}.")
    first = np.full(len(customers), 0)
    first[order["code"][order["rank"] == 0]] = order["day"][order["rank"] == 0]
    ids, seen, wide, running = customers, None, None, None
    if tables.get("visits") is not None:
        ids, seen = _visits(_until(tables["visits"], "visits", as_of, aside), customers)
    if tables.get("categories") is not None:
        bought = _until(tables["categories"], "categories", as_of, aside)
        wide = _widened(bought, customers, first)
    if tables.get("services") is not None:
        running = _services(_until(tables["services"], "services", as_of, aside), customers)
    parts = [
        f"first purchase in a new category in the last {rules.widened_days} days" if wide is not None else "",
        "a running service" if running is not None else "",
    ]
    if wide is None and running is None and "amount" in order:
        parts = [f"spent {MORE_SPENT:g} times as much as in the {rules.widened_days} days before"]
    rule = " or ".join(filter(None, parts)) or "none: it needs categories, services or an amount"
    if aside:
        listed = ", ".join(f"{n:,} of {reason}" for reason, n in aside.items())
        warnings.warn(f"Rows set aside: {listed}.", DataWarning, stacklevel=4)
    return Record(ids, first, order, wide, running, seen, rules, rule, aside)


def _order_days(orders: pd.DataFrame, aside: dict[str, int]) -> tuple[pd.Index, dict[str, np.ndarray]]:
    """Customers, and their order days sorted by day; refunds netted against the day they were booked on."""
    code, customers = pd.factorize(orders["customer_id"], sort=True)
    day = orders["order_date"].to_numpy()
    low = int(day.min()) if len(day) else 0
    key = code.astype(np.int64) << 20 | (day - low)
    rows = np.argsort(key, kind="stable")
    key = key[rows]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.array([], int)
    order = {"code": (key >> 20)[starts], "day": (key & (1 << 20) - 1)[starts] + low}
    if "amount" in orders:
        amount = orders["amount"].to_numpy(float)[rows]
        net = np.add.reduceat(amount, starts).round(6) if len(starts) else amount
        if len(amount) and amount.min() < 0:
            gone = (net < 0) | ((net == 0) & (np.minimum.reduceat(amount, starts) < 0))
            if gone.any():
                sizes = np.diff(np.append(starts, len(key)))
                aside["orders: refunds reach or exceed the day's purchases"] = int(sizes[gone].sum())
                order, net = {name: part[~gone] for name, part in order.items()}, net[~gone]
                still, order["code"] = np.unique(order["code"], return_inverse=True)
                customers = customers[still]
        order["amount"] = net
    new = np.append(True, order["code"][1:] != order["code"][:-1])[: len(order["code"])]
    place = np.arange(len(new))
    order["rank"] = place - np.maximum.accumulate(np.where(new, place, 0)) if len(new) else place
    order["gap"] = np.where(new, 0, np.diff(order["day"], prepend=low))
    by_day = np.argsort(order["day"], kind="stable")
    return pd.Index(customers), {name: part[by_day] for name, part in order.items()}


def _visits(visits: pd.DataFrame, customers: pd.Index) -> tuple[pd.Index, dict[str, np.ndarray]]:
    """All people, and their visits; a visitor linked to a customer is that customer throughout."""
    visitor, names = pd.factorize(visits["visitor_id"], sort=True)
    both = customers.intersection(pd.Index(names))
    if len(both):
        raise DataError(
            f"visits: visitor_id {both[0]!r} is also a customer_id of orders; give visitors ids of "
            "their own, such as 'V' in front, and put the customer in the column customer_id."
        )
    person = customers.get_indexer(pd.Index(visits["customer_id"]))
    day = visits["seen_at"].to_numpy()
    linked = np.flatnonzero(person >= 0)
    linked = linked[np.lexsort((person[linked], day[linked]))][::-1]  # the earliest link is written last
    link = np.full(len(names), -1)
    link[visitor[linked]] = person[linked]
    free = link < 0
    link[free] = len(customers) + np.arange(free.sum())
    code = np.where(person >= 0, person, link[visitor])
    ids = customers.append(pd.Index(names)[free]) if len(customers) else pd.Index(names)[free]
    identified = visits["identified"].eq(True).to_numpy(bool)
    by_day = np.argsort(day, kind="stable")
    return ids, {"code": code[by_day], "day": day[by_day], "identified": identified[by_day]}


def _widened(bought: pd.DataFrame, customers: pd.Index, first: np.ndarray) -> dict[str, np.ndarray]:
    """Days on which a customer first bought in a category, but for those of the first order."""
    code = customers.get_indexer(pd.Index(bought["customer_id"]))
    rows = pd.DataFrame({"code": code, "day": bought["order_date"], "category": bought["category"]})
    by_category = rows[code >= 0].groupby(["code", "category"], observed=True, sort=False)
    begun = by_category["day"].min().reset_index()
    begun = begun[begun["day"].to_numpy() > first[begun["code"]]].sort_values("day", kind="stable")
    return {name: begun[name].to_numpy() for name in ("code", "day")}


def _services(services: pd.DataFrame, customers: pd.Index) -> dict[str, np.ndarray]:
    code = customers.get_indexer(pd.Index(services["customer_id"]))
    mine = code >= 0
    start, end = (services[name].to_numpy() for name in ("started_on", "ended_on"))
    return {"code": code[mine], "day": start[mine], "end": np.where(end == NO_DAY, ENDLESS, end)[mine]}


def _until(frame: pd.DataFrame, name: str, as_of: int, aside: dict[str, int]) -> pd.DataFrame:
    """The columns used, dates as days since 1970, rows of later days gone, unusable rows set aside."""
    when = _FILLED[name][1]
    used = dict.fromkeys((*_COLUMNS[name], *_FILLED[name]))
    table = pd.DataFrame({column: frame[column] for column in used if column in frame})
    for column in table.columns.intersection(_DATES):
        table[column] = plain_dates(table[column]).to_numpy("datetime64[D]").astype(np.int64)
    needed = [c for c in _FILLED[name] if c in table]
    missing = table[needed].isna().any(axis=1).to_numpy() | (table[when] == NO_DAY).to_numpy()
    if missing.any():
        aside[f"{name}: no {' or '.join(needed)}"] = int(missing.sum())
    return table[~missing & (table[when] <= as_of).to_numpy()]


def table_faults(name: str, frame: Any, *more: str) -> list[str]:
    """What is wrong with a table: columns that are missing, or of the wrong type.

    `more` are columns needed besides, the first of them money; without, an amount is money if it is there.
    """
    if not isinstance(frame, pd.DataFrame):
        return [f"{name} is a {type(frame).__name__}: give a pandas DataFrame"]
    there = ", ".join(map(str, frame.columns)) or "none"
    needed = dict.fromkeys((*_COLUMNS[name], *more))
    faults = [f"{name} needs a column {c!r}; there are: {there}" for c in needed if c not in frame]
    for column in frame.columns.intersection(_COLUMNS[name]).intersection(_DATES):
        if plain_dates(frame[column]) is None:
            faults.append(f"{name}: {column!r} holds no dates: convert it with pandas.to_datetime first")
    for column in dict.fromkeys((*more[:1], *(["amount"] if name == "orders" else []))):
        if column in frame and not pd.api.types.is_numeric_dtype(frame[column]):
            faults.append(f"{name}: {column!r} holds no numbers: convert it with pandas.to_numeric first")
    return faults


def plain_dates(column: pd.Series) -> pd.Series | None:
    """A column of dates without time zone; nothing if it holds something else."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None) if column.dt.tz is not None else column
    if pd.api.types.is_numeric_dtype(column) and not column.isna().all():
        return None
    try:
        return pd.to_datetime(column.astype("object"), format="ISO8601")
    except (TypeError, ValueError):
        return None
