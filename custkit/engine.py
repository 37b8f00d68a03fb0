"""Where SQL on an order log runs: DuckDB inside this process, or a Spark session.

`opened` gives any kind of order log one face: its columns, and a way to put a question to it.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from custkit.errors import DataError, ParameterError

if TYPE_CHECKING:
    import duckdb

NEEDED = ("customer_id", "order_date", "amount")
# A CSV file holds text only. Ids stay as written; dates must be ISO, because 03/04 is read two ways.
_FROM_TEXT = {
    "customer_id": "customer_id",
    "order_id": "order_id",
    "order_date": "try_cast(order_date as timestamp) as order_date",
    "amount": "try_cast(amount as double) as amount",
}
# DuckDB cuts a grouping into parts by its threads: those of two outgrow the processor's cache.
MIN_THREADS = 3
_DATES = ("DATE", "TIMESTAMP")
_NUMBERS = ("TINYINT", "SMALLINT", "INT", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINT", "UBIGINT",
            "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BYTE", "SHORT", "LONG")  # fmt: skip


@dataclass(frozen=True)
class Log:
    """An order log that SQL can be put to.

    Attributes
    ----------
    columns : frozenset of str
        Names of its columns.
    ask : callable
        ``ask(text)`` runs the text made by ``text(table)``, where ``table`` is the name the log
        has in the engine, and returns the answer as a DataFrame.
    make_room : callable
        ``make_room(rows)`` lets DuckDB use 30 bytes of memory for each row of the log, at least 640
        megabytes for each processor, at most six tenths of the machine's. An engine that was
        passed in keeps its own settings.
    """

    columns: frozenset[str]
    ask: Callable[[Callable[[str], str]], pd.DataFrame]
    make_room: Callable[[int], Any] = lambda rows: None


def hide_progress(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep DuckDB's progress bar out of notebooks.

    Only where it is on: inside Jupyter without ipywidgets it is off, and DuckDB refuses to touch it.
    """
    if connection.execute("select current_setting('enable_progress_bar')").fetchall()[0][0]:
        connection.execute("set enable_progress_bar = false")


@contextmanager
def opened(orders: Any, engine: Any = None) -> Iterator[Log]:
    """Open an order log for questions in SQL.

    Parameters
    ----------
    orders : DataFrame, path, relation or table name
        A pandas or polars frame, the path or glob of Parquet or CSV files, a DuckDB relation; with
        ``engine`` also a Spark DataFrame or the name of a table of that engine. Needs the columns
        customer_id, order_date (date or time) and amount (number).
    engine : SparkSession or DuckDBPyConnection, optional
        Where to run; a DuckDB of its own, held to little memory (see `Log.make_room`) and
        spilling to a temporary folder, when not given.

    Yields
    ------
    Log

    Raises
    ------
    DataError
        The log cannot be found, or columns are missing or of the wrong type (all faults at once).
    ParameterError
        `orders` or `engine` is of a kind that cannot be read.
    """
    import duckdb

    if type(orders).__module__.startswith("pyspark.") and engine is None:
        engine = orders.sparkSession
    threads = max(os.cpu_count() or 1, MIN_THREADS)
    settings = {"preserve_insertion_order": False, "memory_limit": _room(0), "threads": threads}
    with tempfile.TemporaryDirectory(prefix="custkit-") as folder:
        own = duckdb.connect(config=settings | {"temp_directory": folder})
        try:
            hide_progress(own)
            if engine is None or isinstance(engine, duckdb.DuckDBPyConnection):
                log = _duckdb_log(_relation(orders, own, engine))
                yield replace(log, make_room=lambda rows: own.execute(f"set memory_limit = '{_room(rows)}'"))
            elif hasattr(engine, "createDataFrame"):
                with _spark_log(orders, engine, own) as log:
                    yield log
            else:
                raise ParameterError(
                    f"engine is a {type(engine).__name__}: give a Spark session or a DuckDB connection."
                )
        finally:
            own.close()


def _room(rows: int) -> str:
    """Memory for a log of so many rows, as DuckDB's setting."""
    wanted = max(640 * max(2, os.cpu_count() or 2), 30 * rows // 1_000_000)
    if hasattr(os, "sysconf"):  # Unix
        wanted = min(wanted, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000 * 6 // 10)
    return f"{wanted}MB"


def _relation(orders: Any, own: Any, engine: Any = None) -> Any:
    """The order log as a DuckDB relation, nothing copied where that can be helped."""
    import duckdb

    if isinstance(orders, duckdb.DuckDBPyRelation):
        return orders
    con = engine or own
    if isinstance(orders, str | os.PathLike):
        if engine is not None and not _is_path(orders):
            try:
                return con.table(str(orders))
            except duckdb.CatalogException:
                raise DataError(f"There is no table {orders} in the DuckDB connection given.") from None
        return _read_files(con, orders)
    if isinstance(orders, pd.DataFrame):
        return con.from_df(_plain_columns(orders))
    if type(orders).__module__.startswith("polars."):
        frame = orders.collect() if hasattr(orders, "collect") else orders
        return con.from_arrow(_local_time(frame.to_arrow()))
    raise ParameterError(
        f"orders is a {type(orders).__name__}: give a pandas or polars frame, a Parquet or CSV path, "
        "or a DuckDB relation."
    )


def _plain_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns we use, with time zones dropped (local date kept) and categories as their values."""
    if set(NEEDED) <= set(frame.columns):
        frame = frame[[name for name in (*NEEDED, "order_id") if name in frame.columns]]
    changed = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            changed[name] = column.dt.tz_localize(None)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            changed[name] = column.astype(column.cat.categories.dtype)
    return frame.assign(**changed) if changed else frame


def _local_time(table: Any) -> Any:
    """An Arrow table whose order_date shows local time without a zone."""
    import pyarrow.compute as pc

    where = table.schema.get_field_index("order_date")
    if where >= 0 and getattr(table.schema.field(where).type, "tz", None):
        table = table.set_column(where, "order_date", pc.local_timestamp(table.column(where)))
    return table


def _is_path(name: str | os.PathLike) -> bool:
    return not isinstance(name, str) or _kind(name) is not None or os.path.isdir(name)


def _kind(path: str | os.PathLike) -> str | None:
    """'parquet' or 'csv' by the ending of a name, None when it tells neither."""
    endings = [ending.lower() for ending in Path(path).suffixes]
    if ".parquet" in endings or ".pq" in endings:
        return "parquet"
    return "csv" if {".csv", ".tsv"} & set(endings) else None


def _files(path: str | os.PathLike) -> tuple[str, str]:
    """Path or glob that an engine can read, and 'parquet' or 'csv'."""
    name = os.fspath(path)
    if os.path.isdir(name):
        name = os.path.join(name, "*.parquet")
    kind = _kind(name)
    if kind is None:
        raise DataError(
            f"{name}: the ending does not say Parquet or CSV; read it with custkit.tables.read_orders."
        )
    if "://" not in name and not os.path.exists(name) and not glob.glob(name, recursive=True):
        raise DataError(f"{name}: no such file.")
    return name, kind


def _read_files(con: Any, path: str | os.PathLike) -> Any:
    import duckdb

    name, kind = _files(path)
    try:
        if kind == "csv":
            relation = con.read_csv(name, header=True, all_varchar=True)
            return relation.project(", ".join(_from_text(relation.columns)))
        relation = con.read_parquet(name)
        if "TIMESTAMP WITH TIME ZONE" in map(str, relation.types):
            con.execute("set TimeZone = $zone", {"zone": _zone(name)})
        return relation
    except duckdb.Error as error:
        raise DataError(f"{name}: cannot be read as {kind.upper()} ({str(error).splitlines()[0]}).") from None


def _from_text(columns: list[str]) -> list[str]:
    faults = _missing(columns)
    if faults:
        raise DataError(faults)
    return [text for name, text in _FROM_TEXT.items() if name in columns]


def _zone(name: str) -> str:
    """Time zone that the writer of a Parquet file gave its order_date: the zone of the calendar dates."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(sorted(glob.glob(name, recursive=True))[0])
    known = "order_date" in schema.names
    return (getattr(schema.field("order_date").type, "tz", None) if known else None) or "UTC"


def _duckdb_log(relation: Any) -> Log:
    _check_columns(dict(zip(relation.columns, map(str, relation.types), strict=True)))

    def ask(text: Callable[[str], str]) -> pd.DataFrame:
        return _frame(relation.query("orders", text("orders")).to_arrow_table())

    return Log(frozenset(relation.columns), ask)


@contextmanager
def _spark_log(orders: Any, spark: Any, own: Any) -> Iterator[Log]:
    if type(orders).__module__.startswith("pyspark."):
        data = orders
    elif isinstance(orders, str | os.PathLike) and _is_path(orders):
        name, kind = _files(orders)
        data = spark.read.parquet(name) if kind == "parquet" else spark.read.csv(name, header=True)
        if kind == "csv":
            data = data.selectExpr(*_from_text(data.columns))
    elif isinstance(orders, str):
        if not spark.catalog.tableExists(orders):
            raise DataError(f"There is no table {orders} in the Spark session given.")
        data = spark.table(orders)
    else:
        local = _relation(orders, own)
        _check_columns(dict(zip(local.columns, map(str, local.types), strict=True)))
        wanted = ["customer_id", "cast(order_date as date) as order_date", "amount"]
        wanted += ["order_id"] if "order_id" in local.columns else []
        data = spark.createDataFrame(local.project(", ".join(wanted)).to_arrow_table())
    _check_columns({field.name: field.dataType.typeName().upper() for field in data.schema})
    view = f"custkit_orders_{os.getpid()}_{id(data)}"
    data.createOrReplaceTempView(view)
    try:
        yield Log(frozenset(data.columns), lambda text: _frame(spark.sql(text(view)).toArrow()))
    finally:
        spark.catalog.dropTempView(view)


def _missing(columns: Iterable[str]) -> list[str]:
    """A sentence on the columns that an order log lacks, if it lacks any."""
    lacking = [name for name in NEEDED if name not in columns]
    if not lacking:
        return []
    return [
        f"The order log has no column {', '.join(lacking)} (it has: {', '.join(columns)}). Rename its "
        "columns, or read it with custkit.tables.read_orders, which maps them."
    ]


def _check_columns(types: dict[str, str]) -> None:
    """Raise one DataError with everything that is wrong with the columns of an order log."""
    faults = _missing(types)
    day, money = types.get("order_date", "DATE"), types.get("amount", "DOUBLE")
    if not day.startswith(_DATES):
        faults.append(
            f"order_date is {day}, not a date. Convert it with pandas.to_datetime(..., format=...), or read "
            "the file with custkit.tables.read_orders."
        )
    if not money.startswith(_NUMBERS):
        faults.append(f"amount is {money}, not a number. Convert it with pandas.to_numeric.")
    if faults:
        raise DataError(faults)


def _frame(table: Any) -> pd.DataFrame:
    # The Arrow table is given up while it is converted, so that memory holds the answer once.
    return table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
