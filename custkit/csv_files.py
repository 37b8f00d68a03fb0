"""Opening a delimited text file of orders: encoding, separator, headings and ragged rows."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import zlib
from pathlib import Path
from typing import Any

from custkit.errors import DataError
from custkit.order_files import EARLY_ROWS, OrderFile, column_names, count, shortened

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
SAMPLE_BYTES = 65_536  # enough lines to see the separator, below the csv module's limit for one value
CHUNK_BYTES = 1_048_576
SHARE_CHINESE = 0.5  # of the non-ASCII characters: Western text read as Chinese stays far below


def open_csv(con: Any, path: Path, folder: Path) -> OrderFile:
    """A delimited text file; one that is not UTF-8 is first rewritten as UTF-8 in `folder`."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    opener = gzip.open if zipped else open
    try:
        encoding, notes = _encoding(path, opener)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(f"{path.name}: the compressed file is damaged and cannot be unpacked") from None
    name, original = path.name, path
    if encoding != "utf-8":
        path, zipped = folder / "orders.csv", False
        with opener(original, "rb") as binary, path.open("w", encoding="utf-8", newline="") as target:
            for piece in codecs.getreader(encoding)(binary, errors="replace"):
                target.write(piece)
        opener = open
    with opener(path, "rb") as stream:
        sample = stream.read(SAMPLE_BYTES).decode("utf-8-sig", errors="ignore")
    if not sample.strip():
        raise DataError(f"{name}: the file is empty (nothing but blank lines)")
    skip, delimiter, headings, early, rows = _layout(sample)
    if len(headings) == 1:
        seen = [word for sign, word in DELIMITERS.items() if sign in headings[0]]
        why = (
            f"its heading row is one quoted text with {' and '.join(seen)} in it; take the outer quotes away"
            if seen
            else "separate the columns with comma, semicolon, tab or vertical bar"
        )
        if title := _title_rows(sample):
            why = title
        raise DataError(f"{name}: only one column was found, {shortened(headings[0])}: {why}")
    if rows == 0:
        raise DataError(f"{name}: the file has a heading row but no rows under it")
    if delimiter != ",":
        notes.append(f"Columns are separated by {DELIMITERS[delimiter]}.")
    relation = con.read_csv(
        glob.escape(str(path.absolute())),
        header=True,
        auto_detect=False,
        skiprows=skip,
        delimiter=delimiter,
        quotechar='"',
        escapechar='"',
        columns=dict.fromkeys(column_names(len(headings)), "varchar"),
        compression="gzip" if zipped else "none",
        store_rejects=True,
    )
    relation.create_view("file")
    return OrderFile(name, headings, f"rowid + {skip + 2}", notes, early=early)


def _title_rows(sample: str) -> str:
    """The remedy where a first line of one column has a line of several under it; else nothing."""
    for number, line in enumerate(sample.splitlines()[:EARLY_ROWS], 1):
        if any(len(next(csv.reader([line], delimiter=sign), [])) > 2 for sign in DELIMITERS):
            return f"line {number} has several ({shortened(line)}): delete the lines above its headings"
    return ""


def _layout(sample: str) -> tuple[int, str, list[str], list[tuple[int, list[str]]], int]:
    """Lines to skip, separator, headings, first rows under them, and how many rows the sample shows."""
    lines = sample.splitlines(keepends=True)
    skip, given = 0, None
    while lines and (not lines[0].strip() or lines[0].lower().startswith("sep=")):
        sign = lines.pop(0).strip()[4:5]  # Excel's own first line "sep=;"
        skip, given = skip + 1, sign or given
    best = None
    for delimiter in [given] if given in DELIMITERS else DELIMITERS:
        table = [row for row in csv.reader(lines[:200], delimiter=delimiter) if row]
        width = len(table[0]) if table else 0
        same = sum(len(row) == width for row in table[1:])
        score = (width > 1, same, width)
        if best is None or score > best[0]:
            headings = [heading.strip() for heading in table[0]] if table else []
            early = [(skip + n, row) for n, row in enumerate(table[1 : EARLY_ROWS + 1], 2)]
            best = (score, delimiter, headings, early, len(table) - 1)
    return skip, *best[1:]


def _encoding(path: Path, opener: Any) -> tuple[str, list[str]]:
    """Encoding of a text file, with a note unless it is UTF-8."""
    with opener(path, "rb") as stream:
        chunk = stream.read(CHUNK_BYTES)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", ["The file is UTF-16 text (Excel's Unicode text) and was read as such."]
        decoder = codecs.getincrementaldecoder("utf-8")()
        while chunk:
            if b"\0" in chunk:
                raise DataError(f"{path.name}: this is not text. Export the orders as CSV, .xlsx or Parquet")
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                break
            chunk = stream.read(CHUNK_BYTES)
        else:
            return "utf-8", []
    chinese = _looks_chinese(chunk)
    name = "GB18030 (Chinese)" if chinese else "Windows-1252 (Western European)"
    note = f"The file is not UTF-8; it was read as {name}. If names look wrong, save it as CSV UTF-8."
    return "gb18030" if chinese else "cp1252", [note]


def _looks_chinese(chunk: bytes) -> bool:
    """Whether bytes read as GB18030 give Chinese: Western text so read gives few and rare characters."""
    text = chunk.decode("gb18030", errors="replace")
    foreign = [letter for letter in text if ord(letter) > 127]
    common = 0
    for letter in foreign:
        pair = letter.encode("gb18030")
        common += len(pair) == 2 and min(pair) >= 0xA1  # the everyday set GB 2312 has both bytes high
    return bool(foreign) and common >= SHARE_CHINESE * len(foreign)


def ragged_rows(con: Any) -> list[str]:
    """Faults about CSV rows that have not the headings' number of columns, once ``file`` was read."""
    tables = {name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()}
    if "reject_errors" not in tables:
        return []
    rows = con.execute(
        "select line, any_value(regexp_replace(error_message, "
        "'Expected Number of Columns: (.*) Found: (.*)', '\\1 columns expected, \\2 found')), "
        "any_value(csv_line) from reject_errors where trim(csv_line) <> '' group by line order by line"
    ).fetchall()
    if not rows:
        return []
    first = "; ".join(f"row {line}: {message} in {shortened(text)}" for line, message, text in rows[:3])
    return [
        f"{count(len(rows), 'row does', 'rows do')} not fit the columns of the heading row ({first}). Check "
        "the separator, put a value that holds it or a line break in double quotes, and close every quote"
    ]
