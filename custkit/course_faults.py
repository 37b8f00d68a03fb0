"""What is wrong with tables, held against ``datasets/schema.yml``: every fault of every table at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from custkit.course_tables import schema

CENT = 0.005  # sums of rounded money may be off by less than half a cent


def faults(tables: Mapping[str, pd.DataFrame], contract: Mapping[str, Any] | None = None) -> list[str]:
    """Every breach of the contract of the tables given.

    Types, values missing without a reason, values outside the list or the range, too many decimals, days
    outside the clock, keys that are not unique, references to rows that are not there, and order lines
    that do not add up to the cent.

    Parameters
    ----------
    tables : dict
        Table name → frame, as `custkit.course_tables.load` gives it. A reference to a table that is not
        given is not followed.
    contract : dict, optional
        As `custkit.course_tables.schema` gives it, which is the default.

    Returns
    -------
    list of str
        One sentence a fault: table and column, how many rows, and the first three of them.
    """
    contract = contract or schema()
    found = [f"{name}: is not in schema.yml" for name in tables if name not in contract["tables"]]
    for name, declared in contract["tables"].items():
        if name in tables:
            found += _of_table(name, tables, declared, contract)
    return found + list(_sums(tables))


def _of_table(name: str, tables: Mapping, declared: Mapping, contract: Mapping) -> Iterator[str]:
    table, columns = tables[name], declared["columns"]
    yield from (f"{name}.{column}: is missing" for column in columns if column not in table)
    yield from (f"{name}.{column}: is not in schema.yml" for column in table if column not in columns)
    there = [column for column in columns if column in table]
    sound = []
    for column in there:
        if _has_type(table[column], columns[column]):
            sound.append(column)
            yield from _of_column(name, table, column, columns[column], contract["clock"])
        else:
            yield f"{name}.{column}: is {table[column].dtype}, not {columns[column]['is']['type']}"
    if all(column in there for column in declared["key"]):
        twice = table.duplicated(declared["key"], keep=False)
        yield from _count(table, twice, f"{name}: key {', '.join(declared['key'])} not unique")
    for column in sound:
        yield from _filled(name, table, column, columns[column])
        yield from _references(name, tables, column, columns[column], contract)


def _has_type(values: pd.Series, column: Mapping[str, Any]) -> bool:
    """Whether a column has the type in memory that `custkit.course_tables.load` gives it."""
    kind, optional = column["is"]["type"], "empty" in column
    if kind == "num" or (optional and kind in ("int", "bool")):
        return values.dtype == np.float64
    if kind in ("int", "bool"):
        return values.dtype == (np.int64 if kind == "int" else np.bool_)
    if kind in ("date", "ts"):
        return types.is_datetime64_dtype(values.dtype)
    return types.is_string_dtype(values.dtype) and not types.is_object_dtype(values.dtype)


def _of_column(
    name: str, table: pd.DataFrame, column: str, facts: Mapping[str, Any], clock: Mapping[str, Any]
) -> Iterator[str]:
    """Missing values, and those that cannot be."""
    is_, values = facts["is"], table[column]
    kind, there = is_["type"], values.notna()
    label = f"{name}.{column}"
    if "empty" not in facts:
        yield from _count(table, ~there, f"{label}: missing")
    if kind in ("int", "num"):
        yield from _count(table, values < is_.get("low", -np.inf), f"{label}: below {is_.get('low')}")
        yield from _count(table, values > is_.get("high", np.inf), f"{label}: above {is_.get('high')}")
        decimals = 0 if kind == "int" else is_.get("decimals", 2)
        yield from _count(
            table, there & (values.round(decimals) != values), f"{label}: over {decimals} decimals"
        )
    elif kind == "bool":
        yield from _count(table, there & ~values.isin([0, 1]), f"{label}: neither yes nor no")
    elif kind in ("date", "ts"):
        if kind == "date":
            yield from _count(table, there & (values.dt.normalize() != values), f"{label}: has a time of day")
        if is_.get("clock", True):
            first, last = (pd.Timestamp(clock[end]) for end in ("first", "last"))
            outside = there & ((values < first) | (values >= last + pd.Timedelta(days=1)))
            yield from _count(table, outside, f"{label}: outside {clock['first']} to {clock['last']}")
    else:
        untidy = values.str.contains(r"^\s|\s$|[\r\n\t]|^$", regex=True).fillna(False).astype(bool)
        yield from _count(table, untidy, f"{label}: empty, led or ended by a blank, or broken over lines")
        if "values" in is_:
            parts = values.dropna().str.split(";") if is_.get("list") else values.dropna()
            bad = ~parts.explode().isin(map(str, is_["values"]))
            yield from _count(table.loc[bad[bad].index.unique()], None, f"{label}: not an allowed value")


def _filled(name: str, table: pd.DataFrame, column: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """A value where its condition does not hold, or none where it does."""
    condition = facts["is"].get("filled_when")
    if condition:
        wanted = table.eval(condition, engine="python").astype(bool)
        wrong = table[column].notna() != wanted
        yield from _count(table, wrong, f"{name}.{column}: must be there exactly where {condition}")


def _references(
    name: str, tables: Mapping, column: str, facts: Mapping[str, Any], contract: Mapping[str, Any]
) -> Iterator[str]:
    """References that lead nowhere."""
    table, target = tables[name], facts["is"].get("to")
    if target not in tables:
        return
    (key,) = contract["tables"][target]["key"]
    if key in tables[target]:
        lost = table[column].notna() & ~table[column].isin(tables[target][key].tolist())
        if "to_when" in facts["is"]:
            lost &= table.eval(facts["is"]["to_when"], engine="python")
        yield from _count(table, lost, f"{name}.{column}: not in {target}")


def _sums(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """The lines of each order add up to goods_gross, and that is net_amount + discount, to the cent."""
    orders = tables.get("orders")
    money = ["goods_gross", "net_amount", "discount"]
    if orders is None or not {"order_id", *money} <= set(orders.columns):
        return
    off = (orders["goods_gross"] - orders["net_amount"] - orders["discount"]).abs() > CENT
    yield from _count(orders, off, "orders: goods_gross is not net_amount + discount")
    lines = tables.get("order_lines")
    if lines is not None and {"order_id", "line_amount"} <= set(lines.columns):
        total = orders["order_id"].map(lines.groupby("order_id")["line_amount"].sum())
        off = ~((total - orders["net_amount"] - orders["discount"]).abs() <= CENT)
        yield from _count(orders, off, "orders: the lines do not add up to net_amount + discount")


def _count(table: pd.DataFrame, wrong: pd.Series | None, what: str) -> Iterator[str]:
    """One sentence, with the first rows (by position in the frame), if any row is wrong."""
    rows = table.index if wrong is None else table.index[wrong.to_numpy(bool)]
    if len(rows):
        first = ", ".join(str(row) for row in rows[:3])
        yield f"{what} ({len(rows):,} rows, first {first})"
