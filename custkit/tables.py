"""Reading, checking and cleaning an order file: every row is used, or set aside with one reason."""

from __future__ import annotations

import datetime as dt
import importlib.util
import tempfile
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from custkit.course_tables import PRACTICE, describe, load  # noqa: F401  found here too
from custkit.csv_files import ragged_rows
from custkit.errors import DataError, ParameterError
from custkit.order_columns import assign_columns
from custkit.order_dates import read_dates
from custkit.order_files import OrderFile, count, open_orders
from custkit.order_policies import (
    REASONS,
    judge_rows,
    last_order_date,
    load_raw,
    one_day_only,
    policy_notes,
    set_aside,
    too_little,
    write_rejected,
)
from custkit.order_values import Reading, option, read_ids, read_numbers

MEMORY_LIMIT = "3GB"  # beyond it DuckDB works on disk; leaves a small machine its half


@dataclass(frozen=True, repr=False)
class OrderLog:
    """The orders of a file, read, checked and cleaned.

    Attributes
    ----------
    orders : duckdb.DuckDBPyRelation
        The rows used: customer_id (text), order_date (date), amount (float, one currency) and, where
        the file has one, order_id (text). It lives as long as this object.
    rows_in, rows_used, rows_set_aside : int
        ``rows_in == rows_used + rows_set_aside``, always.
    observation_end : datetime.date
        Last day the data can show an order.
    notes : tuple of str
        What was decided on reading, in plain sentences.
    source_name : str
        File name without its folder, or what the source is.
    columns : dict
        custkit's name → heading in the file.
    """

    orders: Any
    rows_in: int
    rows_used: int
    rows_set_aside: int
    observation_end: dt.date
    notes: tuple[str, ...]
    source_name: str
    columns: dict[str, str]
    _con: Any = field(compare=False)

    def __repr__(self) -> str:
        return (
            f"OrderLog({self.source_name}: {count(self.rows_in, 'row', 'rows')} in = {self.rows_used:,} used "
            f"+ {self.rows_set_aside:,} set aside; observed to {self.observation_end})"
        )

    def to_frame(self) -> Any:
        """The rows used as a pandas DataFrame; order_date as datetime64 at midnight."""
        return self.orders.df()

    @cached_property
    def rejected(self) -> Any:
        """Rows set aside, as a DataFrame: row, customer_id, order_date, amount (as in the file), reason.

        ``row`` is the row number in the file, the heading row being row 1 (blank lines not counted); in a
        frame or Parquet file, which has no heading row, the first row is 1.
        """
        return self._con.sql("from rejected order by row").df()

    @cached_property
    def reasons(self) -> dict[str, int]:
        """Reason → rows set aside for it, in the order of `REASONS`."""
        found = dict(self._con.sql("select reason, count(*) from rejected group by 1").fetchall())
        return {reason: found[reason] for reason in REASONS if reason in found}

    def write_rejected(self, path: str | Path) -> None:
        """Write `rejected` as CSV, safe in a spreadsheet as `custkit.pages.write_csv` makes it."""
        write_rejected(self._con, Path(path))

    def verdict(self) -> Any:
        """Which analyses the data can carry: a DataFrame of analysis, can_run and why."""
        from custkit.verdict import verdict

        return verdict(self._con, self.observation_end)


def read_orders(
    source: Any,
    *,
    columns: dict[str, str] | None = None,
    date_format: str | None = None,
    decimal: str | None = None,
    observation_end: dt.date | str | None = None,
    today: dt.date | None = None,
) -> OrderLog:
    """Read an order file, check it, and set aside what cannot be used, with the reason.

    Refunds (negative amounts) are netted against the same customer's purchases of the same day; where a
    customer's day does not end above zero, all its rows are set aside. With an order_id column, a row
    equal to an earlier one in every column of the file is set aside as a repeated line.

    Parameters
    ----------
    source : path, "demo" or frame
        CSV (any of , ; tab |, also gzip), Excel (.xlsx, first sheet) or Parquet file; pandas or polars frame;
        "demo" for the CDNOW orders.
    columns : dict, optional
        custkit's name (customer_id, order_date, amount, order_id, quantity, unit_price) → heading in the
        file. Roles not named are guessed from the headings, and the guess is stated in ``notes``.
    date_format : str, optional
        Such as ``dd/mm/yyyy`` or ``%d/%m/%Y``; needed only where day and month cannot be told apart.
    decimal : {".", ","}, optional
        Needed only where a decimal comma cannot be told from a thousands separator.
    observation_end : date or ISO text, optional
        Last day the data can show an order. Default: the last order date not in the future.
    today : datetime.date, optional
        Later order dates are in the future. Default: the day of the call.

    Returns
    -------
    OrderLog

    Raises
    ------
    DataError
        All faults of the file at once, each naming the column, the first rows and the remedy.
    ParameterError
        If an option is unknown or has no possible value.
    """
    import duckdb

    from custkit.engine import hide_progress

    if decimal not in (None, ".", ","):
        raise ParameterError(f"decimal must be '.' or ',', not {decimal!r}")
    today = today or dt.date.today()
    end = _as_date(observation_end, today)
    name, source = ("CDNOW", cdnow()) if isinstance(source, str) and source == "demo" else (None, source)
    folder = Path(tempfile.gettempdir(), f"custkit-{uuid.uuid4().hex}")  # DuckDB makes it only if needed
    con = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(folder)})
    hide_progress(con)
    con.execute("set TimeZone = 'UTC'")
    with open_orders(con, source) as file:
        name = name or file.name
        roles, found = assign_columns(file, columns)
        hopeless = one_day_only(con, roles)
        if hopeless:  # 30 million rows need not be read to say so
            raise DataError([f"{name}: {fault}" for fault in found.faults + hopeless])
        try:
            load_raw(con, file, roles)
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException):
            raise DataError(f"{name}: cannot be read to its end; the file is damaged") from None
        faults = found.faults + ragged_rows(con)
    readings = _read_columns(con, file, roles, date_format, decimal, today)
    notes = [*file.notes, *found.notes, *(note for reading in readings.values() for note in reading.notes)]
    faults += [fault for reading in readings.values() for fault in reading.faults]
    if faults:
        raise DataError([f"{name}: {fault}" for fault in faults])
    judge_rows(con, readings, today)
    rows_in = con.execute("select count(*) from judged").fetchone()[0]
    if end is None:
        end = last_order_date(con)
        notes.append(
            f"Observation end: {end}, the last order date. If the record runs on after it without orders, "
            f"give {option('observation-end', 'DATE')}; otherwise customers look more alive than they are."
        )
    faults = too_little(con, "judged", end)
    if not faults:
        set_aside(con, file, roles, end)
        faults = too_little(con, "orders", end)
    if faults:
        raise DataError([f"{name}: {fault}" for fault in faults])
    notes += policy_notes(con, roles)
    used, aside = con.execute(
        "select (select count(*) from orders), (select count(*) from rejected)"
    ).fetchone()
    con.execute("drop table raw; drop table judged; drop table repeated; drop table unpaid_days")
    headings = {role: file.headings[i] for role, i in roles.items()}
    return OrderLog(con.table("orders"), rows_in, used, aside, end, tuple(notes), name, headings, con)


def _as_date(value: dt.date | str | None, today: dt.date) -> dt.date | None:
    """The observation end as a date; it cannot lie after today."""
    if value is None:
        return None
    try:
        date = dt.datetime.fromisoformat(str(value)).date()
    except ValueError:
        raise ParameterError(f"observation_end '{value}' is no date; write it like 1998-06-30") from None
    if date > today:
        raise ParameterError(f"observation_end {date} is in the future: no order after {today} is known yet")
    return date


def _read_columns(
    con: Any,
    file: OrderFile,
    roles: dict[str, int],
    date_format: str | None,
    decimal: str | None,
    today: dt.date,
) -> dict[str, Reading]:
    """A reading of every column that has a role; quantity and unit_price keep their own."""
    readings = {}
    for role, i in roles.items():
        if role in ("customer_id", "order_id"):
            readings[role] = read_ids(con, role, file, i)
        elif role == "order_date":
            readings[role] = read_dates(con, date_format, file, i, today)
        else:
            readings[role] = read_numbers(con, role, decimal, file, i)
    return readings


def _shipped(name: str) -> Path:
    """A data file of the installed lifetimes package, found without importing it (its loader is broken)."""
    spec = importlib.util.find_spec("lifetimes")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    paths = [path for folder in folders if (path := Path(folder, "datasets", name)).exists()]
    if not paths:
        raise DataError(f"{name}: not found; it ships with the lifetimes package (pip install lifetimes)")
    return paths[0]


def cdnow(sample: bool = False) -> Any:
    """The CDNOW orders: first purchases in the first quarter of 1997, followed to 30 June 1998.

    Parameters
    ----------
    sample : bool
        The 1/10 sample (2,357 customers, 6,919 rows) instead of all (23,570 customers, 69,659 rows).

    Returns
    -------
    DataFrame
        customer_id (text, the master's number with its zeros), order_date (midnight), quantity (CDs),
        amount (US dollars).

    References
    ----------
    Fader and Hardie, the CDNOW data set; the text files are read from the installed lifetimes package.
    """
    import pandas as pd

    names = ["customer_id", "order_date", "quantity", "amount"]
    if sample:
        names.insert(1, "sample_id")
    orders = pd.read_csv(
        _shipped("CDNOW_sample.txt" if sample else "CDNOW_master.txt"),
        sep=r"\s+",
        header=None,
        names=names,
        skiprows=0 if sample else 1,
        dtype={"customer_id": "str", "order_date": "str"},
    )
    orders["order_date"] = pd.to_datetime(orders["order_date"], format="%Y%m%d")
    return orders[["customer_id", "order_date", "quantity", "amount"]]


def donations() -> Any:
    """Donations of 11,104 people in six yearly chances, as patterns with counts.

    Returns
    -------
    DataFrame
        frequency (years with a gift after the first), recency (last such year), periods (chances, years),
        weights (people).

    References
    ----------
    Fader, Hardie and Shang (2010), Customer-base analysis in a discrete-time noncontractual setting.
    """
    import pandas as pd

    return pd.read_csv(_shipped("donations.csv"))
