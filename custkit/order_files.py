"""Opening an order file: CSV, Excel, Parquet or a frame becomes the DuckDB view ``file``.

The columns of the view are called c0, c1, …, so that no name taken from a file ever enters a query.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from custkit.errors import DataError

EARLY_ROWS = 20  # under a file's first row, where its headings are looked for when titles stand above them
SHOWN_HEADINGS = 12


@dataclass(frozen=True)
class OrderFile:
    """An order file opened in DuckDB as the view ``file``.

    Attributes
    ----------
    name : str
        File name without its folder, or what the source is.
    headings : list of str
        The columns' names, as written; column i of the view is ``c{i}``.
    row : str
        SQL for the row number in the source, in terms of ``rowid`` of a table loaded from ``file``.
    notes : list of str
        What was found on opening, in plain sentences.
    dated : dict of int to list of int
        For Excel: column number → rows whose cell is text although other cells of it are real dates.
    early : list of (int, list of str)
        The first rows under the headings with their row numbers, where the file may have titles on top.
    unread : str
        For Excel: which sheets were not read, and what to do if the orders are there.
    """

    name: str
    headings: list[str]
    row: str
    notes: list[str] = field(default_factory=list)
    dated: dict[int, list[int]] = field(default_factory=dict)
    early: list[tuple[int, list[str]]] = field(default_factory=list)
    unread: str = ""


@contextmanager
def open_orders(con: Any, source: Any) -> Iterator[OrderFile]:
    """Open a source as the view ``file`` of a DuckDB connection; valid inside the ``with`` block.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Where the view is made.
    source : path or frame
        CSV (plain or gzip), Excel (.xlsx) or Parquet file; pandas or polars frame; DuckDB relation.

    Yields
    ------
    OrderFile

    Raises
    ------
    DataError
        If the file is missing, empty, a folder, of another kind than its name says, or not readable.
    """
    if not isinstance(source, str | Path):
        yield _open_frame(con, source)
        return
    path = Path(source).expanduser()
    kind = _kind(path)
    if kind == "parquet":
        yield _open_parquet(con, path)
    elif kind == "excel":
        yield _open_excel(con, path)
    else:
        from custkit.csv_files import open_csv

        with tempfile.TemporaryDirectory(prefix="custkit-") as folder:
            yield open_csv(con, path, Path(folder))


def count(number: int, one: str, many: str) -> str:
    """A number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {one if number == 1 else many}"


def quoted(names: list[str]) -> str:
    """Names as a reader sees them in a message, the first of many: 'a', 'b'."""
    more = f" and {len(names) - SHOWN_HEADINGS:,} more" if len(names) > SHOWN_HEADINGS else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN_HEADINGS]) + more


def shortened(text: str, length: int = 60) -> str:
    """A text in quotes, cut to `length` characters, on one line."""
    text = " ".join(str(text).split())
    return f"'{text[:length]}…'" if len(text) > length else f"'{text}'"


def _kind(path: Path) -> str:
    """csv, excel or parquet: what the name says and the first bytes confirm."""
    if not path.exists():
        raise DataError(f"{path.name}: no such file. Check the name and the folder it is in")
    if path.is_dir():
        raise DataError(f"{path.name}: this is a folder. Name one order file in it (CSV, Excel or Parquet)")
    from custkit.file_kinds import content_of

    try:
        found = content_of(path)
    except OSError as error:
        raise DataError(f"{path.name}: cannot be opened ({error.strerror})") from None
    if found is None:
        raise DataError(f"{path.name}: the file is empty (0 bytes)")
    wanted = {".xlsx": "excel", ".xlsm": "excel", ".xls": "excel", ".parquet": "parquet", ".pq": "parquet"}
    named = wanted.get(path.suffix.lower(), "csv")
    if found.kind != named:
        but = ", not what its name says" if found.kind else ""
        raise DataError(f"{path.name}: this is {found.name}{but}. {found.remedy}")
    return named


def _open_frame(con: Any, source: Any) -> OrderFile:
    """A pandas or polars frame or a DuckDB relation; its columns become Arrow, untouched where possible."""
    import pyarrow as pa

    if hasattr(source, "to_arrow_table"):
        table = source.to_arrow_table()
    elif hasattr(source, "to_arrow"):
        table = source.to_arrow()
    elif hasattr(source, "iloc") and hasattr(source, "columns"):
        table = pa.table(
            [_arrow(source.iloc[:, i]) for i in range(source.shape[1])], column_names(source.shape[1])
        )
    else:
        raise DataError(f"orders must be a file or a frame, not {type(source).__name__}")
    headings = [str(name) for name in (source.columns if hasattr(source, "columns") else table.column_names)]
    if table.num_rows == 0:
        raise DataError("frame: there are no rows")
    con.register("file", table.rename_columns(column_names(len(headings))))
    return OrderFile("frame", headings, "rowid + 1")


def _arrow(column: Any) -> Any:
    """One pandas column as Arrow; what Arrow cannot type becomes text; a time zone is dropped as written."""
    import pyarrow as pa

    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_localize(None)
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        values = zip(column, column.isna(), strict=True)
        return pa.array([None if null else str(value) for value, null in values])


def column_names(number: int) -> list[str]:
    """c0, c1, …: the columns of the view ``file``."""
    return [f"c{i}" for i in range(number)]


def _open_parquet(con: Any, path: Path) -> OrderFile:
    import duckdb

    try:
        relation = con.read_parquet(glob.escape(str(path.absolute())))
        headings = list(relation.columns)
        columns = [duckdb.ColumnExpression(name).alias(f"c{i}") for i, name in enumerate(headings)]
        relation = relation.select(*columns)
        empty = not relation.limit(1).select(duckdb.ConstantExpression(1)).fetchall()  # values stay in DuckDB
    except duckdb.Error:
        raise DataError(f"{path.name}: cannot be read as Parquet; it is damaged. Export it again") from None
    if empty:
        raise DataError(f"{path.name}: the file has columns but no rows")
    relation.create_view("file")
    return OrderFile(path.name, headings, "rowid + 1")


def _open_excel(con: Any, path: Path) -> OrderFile:
    """First sheet of a workbook, every cell as text; wholly empty rows are left out."""
    import openpyxl
    import pyarrow as pa

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception:  # openpyxl raises many kinds on a damaged file
        raise DataError(
            f"{path.name}: cannot be read as an Excel workbook; it is damaged or has a password"
        ) from None
    try:
        sheet = book.worksheets[0]
        others = [f"'{other.title}'" for other in book.worksheets[1:]]
        unread = (
            f"only the first sheet, '{sheet.title}', was read, not {', '.join(others)}: if the orders are "
        )
        unread = f"{unread}in another sheet, move it to the first place" if others else ""
        rows = enumerate(sheet.iter_rows(values_only=True), start=1)
        rows = ((number, row) for number, row in rows if any(cell is not None for cell in row))
        _, headings = next(rows, (0, ()))
        headings = ["" if cell is None else str(cell) for cell in headings]
        while headings and not headings[-1]:
            headings.pop()
        if not headings:
            raise DataError(
                f"{path.name}: the first sheet '{sheet.title}' is empty" + f"; {unread}" * bool(unread)
            )
        numbers, cells, mixed, early = [], [[] for _ in headings], [([], False) for _ in headings], []
        for number, row in rows:
            numbers.append(number)
            if len(early) < EARLY_ROWS:
                early.append((number, ["" if cell is None else str(cell) for cell in row]))
            for i in range(len(headings)):
                cell = row[i] if i < len(row) else None
                is_date = hasattr(cell, "year")
                if is_date:
                    mixed[i] = (mixed[i][0], True)
                elif isinstance(cell, str) and cell.strip():
                    mixed[i][0].append(number)
                cells[i].append(None if cell is None else f"{cell:%Y-%m-%d}" if is_date else str(cell))
        title = sheet.title
    finally:
        book.close()
    if not numbers:
        fault = f"{path.name}: the first sheet has a heading row but no rows under it"
        raise DataError(fault + f"; {unread}" * bool(unread))
    columns = [pa.array(column, pa.string()) for column in cells]
    con.register("file", pa.table([*columns, pa.array(numbers)], [*column_names(len(headings)), "sheet_row"]))
    notes = [f"Sheet '{title}' was read; not {', '.join(others)}."] if others else []
    dated = {i: texts for i, (texts, dates) in enumerate(mixed) if dates and texts}
    return OrderFile(path.name, headings, "sheet_row", notes, dated, early, unread)
