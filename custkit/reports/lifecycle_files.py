"""The files lifecycle-health can use beside the orders: visits, spend by channel, channel of customers.

The contract is as small as an honest figure allows. Spend says which days it paid for, because a cost per
customer is only one when the customers won are those of the same days. The channel that won a customer is a
fact of the customer, not of an order, hence a file of its own (an orders file with the column will do).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, ParameterError
from ..order_files import count, quoted, shortened
from ..stage_record import Limits

if TYPE_CHECKING:
    import pandas as pd

CONTRACT: dict[str, dict[str, str]] = {
    "visits": {"visitor_id": "text", "seen_at": "date", "identified": "bool", "customer_id": "id"},
    "spend": {"channel": "text", "spend": "number", "first_day": "date", "last_day": "date"},
    "customers": {"customer_id": "id", "acq_channel": "text"},
}
"""Kind of file -> column -> what its cells hold. Other columns are not looked at."""
MAY_BE_EMPTY = {("visits", "customer_id"), ("customers", "acq_channel")}
SEEN_DAYS = Limits.seen_days  # a visitor is in sight for this long

_READ = {
    "text": "nullif(trim(cast({0} as varchar)), '')",
    "id": "regexp_replace(nullif(trim(cast({0} as varchar)), ''), '^([0-9]+)[.]0+$', '\\1')",
    "date": "cast(try_cast({0} as timestamp) as date)",
    "number": "try_cast({0} as double)",
    "bool": "case when lower(trim(cast({0} as varchar))) in ('true', 't', 'yes', 'y', '1', '1.0') then true "
    "when lower(trim(cast({0} as varchar))) in ('false', 'f', 'no', 'n', '0', '0.0') then false end",
}
_WANTED = {
    "text": "a text",
    "id": "an id",
    "date": "a date such as 2025-12-28",
    "number": "a number such as 1234.56",
    "bool": "true or false",
}


@dataclass(frozen=True)
class Beside:
    """What was given beside the orders; None for what was not.

    Attributes
    ----------
    visits : DataFrame
        visitor_id, seen_at, identified, customer_id.
    visit_weeks : int
        Weeks before the observation end in which they show everybody in sight.
    spend : DataFrame
        From `read_spend`.
    channel : Series
        From `read_channels`.
    """

    visits: pd.DataFrame | None = None
    visit_weeks: int | None = None
    spend: pd.DataFrame | None = None
    channel: pd.Series | None = None


def read_beside(
    end: dt.date, ids: pd.Index, *, visits: Any, spend: Any, customers: Any, acquisition_cost: float
) -> Beside:
    """Read what is given beside the orders (None or "" for what is not); the faults of all files at once.

    Parameters
    ----------
    end : date
        The observation end.
    ids : Index
        The customers of the orders.
    acquisition_cost : float
        Refused beside a spend file.

    Raises
    ------
    ParameterError
        Things given that do not go together.
    DataError
        As the functions that read each file; a file none of whose customers is in the orders.
    """
    given = {
        name: source is not None and not (isinstance(source, str) and source == "")
        for name, source in (("visits", visits), ("spend", spend), ("customers", customers))
    }
    clashes = []
    if given["spend"] and acquisition_cost > 0:
        clashes.append("give --spend FILE or --acquisition-cost, not both")
    if given["customers"] and not given["spend"]:
        clashes.append("--customers says which channel won whom, which only --spend FILE has a use for")
    if clashes:
        raise ParameterError(clashes)
    found: dict[str, Any] = {}
    faults: list[str] = []
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "visits": lambda: dict(zip(("visits", "visit_weeks"), read_visits(visits, end), strict=True)),
        "spend": lambda: {"spend": read_spend(spend, end)},
        "customers": lambda: {"channel": _known(read_channels(customers), ids)},
    }
    for name, step in steps.items():
        if given[name]:
            try:
                found |= step()
            except DataError as error:
                faults += error.faults
    if faults:
        raise DataError(faults)
    return Beside(**found)


def _known(channel: pd.Series, ids: pd.Index) -> pd.Series:
    """The channels of the customers of the orders."""
    mine = channel[channel.index.isin(ids)]
    if mine.empty:
        raise DataError(
            f"{channel.attrs['name']}: none of its {len(channel):,} customers with an acq_channel is in the "
            "orders; the ids must be written alike in both"
        )
    return mine


def read_file(kind: str, source: Any) -> pd.DataFrame:
    """A file of the contract, or a frame, checked.

    Parameters
    ----------
    kind : {"visits", "spend", "customers"}
    source : path or DataFrame
        CSV (any separator, also gzip), Excel or Parquet.

    Returns
    -------
    DataFrame
        The columns of `CONTRACT`, typed; dates without time. ``attrs["name"]`` is the name of the file.

    Raises
    ------
    DataError
        Columns missing, or cells empty or of another kind: every fault at once, with its first rows.
    """
    import duckdb

    from ..csv_files import ragged_rows
    from ..engine import hide_progress
    from ..order_files import open_orders

    wanted = CONTRACT[kind]
    with duckdb.connect() as con:
        hide_progress(con)
        with open_orders(con, source) as file:
            name = file.name if isinstance(source, str | Path) else kind
            places = {_key(heading): i for i, heading in reversed(list(enumerate(file.headings)))}
            if lacking := [column for column in wanted if _key(column) not in places]:
                raise DataError(
                    f"{name}: no column {quoted(lacking)}. The file has {quoted(file.headings)}; a {kind} "
                    f"file has {', '.join(wanted)}"
                )
            given = ", ".join(f"c{places[_key(column)]} as {column}" for column in wanted)
            sheet = ", sheet_row" if file.row == "sheet_row" else ""
            try:
                con.execute(f"create table given as select {given}{sheet} from file")
            except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException):
                raise DataError(f"{name}: cannot be read to its end; the file is damaged") from None
            faults = ragged_rows(con)
        for column, what in wanted.items():
            faults += _bad_cells(con, file.row, column, what, may_be_empty=(kind, column) in MAY_BE_EMPTY)
        if faults:
            raise DataError([f"{name}: {fault}" for fault in faults])
        read = ", ".join(f"{_READ[what].format(column)} as {column}" for column, what in wanted.items())
        table = con.sql(f"select {read} from given").df()
    table.attrs["name"] = name
    return table


def _key(heading: str) -> str:
    return re.sub(r"[^\w]|_", "", heading.casefold())


def _bad_cells(con: Any, row: str, column: str, what: str, *, may_be_empty: bool) -> list[str]:
    """The fault of a column with cells that are empty or cannot be read, or nothing."""
    empty = f"coalesce(trim(cast({column} as varchar)), '') = ''"
    bad = f"({_READ[what].format(column)} is null and not ({empty} and {str(may_be_empty).lower()}))"
    rows = con.execute(
        f"select {row}, coalesce(cast({column} as varchar), ''), count(*) over () from given where {bad} "
        "order by 1 limit 3"
    ).fetchall()
    if not rows:
        return []
    first = "; ".join(f"row {number} {shortened(text, 30)}" for number, text, _ in rows)
    cells = count(rows[0][2], "cell is", "cells are")
    need = f"not {_WANTED[what]}" if may_be_empty else f"empty or not {_WANTED[what]}"
    return [f"column '{column}': {cells} {need} (first: {first})"]


def read_visits(source: Any, end: dt.date) -> tuple[pd.DataFrame, int]:
    """Visits, and how many weeks before `end` they show everybody in sight.

    Raises
    ------
    DataError
        As `read_file`; visits end too early, or begin too late, to tell who is in sight.
    """
    visits = read_file("visits", source)
    first, last = visits["seen_at"].min().date(), visits["seen_at"].max().date()
    weeks, fault = ((end - first).days + 1 - SEEN_DAYS) // 7, ""
    if (end - last).days >= SEEN_DAYS:
        fault = f"the last visit is of {last}"
    elif weeks < 1:
        fault = f"the first visit is of {first}"
    if fault:
        raise DataError(
            f"{visits.attrs['name']}: {fault}, the observation end is {end}: who is in sight cannot be told. "
            f"Give visits that begin at least {SEEN_DAYS + 7} days before it and go up to it"
        )
    return visits, weeks


def read_spend(source: Any, end: dt.date) -> pd.DataFrame:
    """Spend by channel: spend (money), first_day, last_day; one row a channel.

    Raises
    ------
    DataError
        As `read_file`; negative spend, days in the wrong order, or days after the observation end, whose
        customers are not in the orders.
    """
    table = read_file("spend", source)
    checks: list[tuple[Any, Callable[[Any], str]]] = [
        (table["spend"] < 0, lambda row: f"spend is {row.spend:,.2f}; give money of at least 0"),
        (
            table["first_day"] > table["last_day"],
            lambda row: f"first_day {row.first_day.date()} lies after last_day {row.last_day.date()}",
        ),
        (
            table["last_day"].dt.date > end,
            lambda row: (
                f"last_day {row.last_day.date()} lies after the observation end {end}: the orders "
                "cannot show whom that money won; give the spend up to it"
            ),
        ),
    ]
    faults = [
        f"{table.attrs['name']}: {count(int(bad.sum()), 'row', 'rows')}, the first of channel "
        f"{shortened(row.channel)}: {say(row)}"
        for bad, say in checks
        for row in table[bad].head(1).itertuples()
    ]
    if faults:
        raise DataError(faults)
    sums = {"spend": ("spend", "sum"), "first_day": ("first_day", "min"), "last_day": ("last_day", "max")}
    by_channel = table.groupby("channel").agg(**sums)
    by_channel.attrs["name"] = table.attrs["name"]
    return by_channel


def read_channels(source: Any) -> pd.Series:
    """The channel that won each customer: acq_channel by customer_id; customers without one are left out.

    Raises
    ------
    DataError
        As `read_file`; a customer with two channels.
    """
    table = read_file("customers", source).dropna().drop_duplicates()
    twice = table.loc[table["customer_id"].duplicated(), "customer_id"]
    if len(twice):
        first = table[table["customer_id"] == twice.iloc[0]]
        people = count(twice.nunique(), "customer has", "customers have")
        raise DataError(
            f"{table.attrs['name']}: {people} more than one acq_channel; first: {shortened(twice.iloc[0])} "
            f"has {quoted(list(first['acq_channel'][:3]))}. Give the channel that won the customer"
        )
    channel = table.set_index("customer_id")["acq_channel"]
    channel.attrs["name"] = table.attrs["name"]
    return channel
