"""What a file is by its content, whatever its name says, and what to do when it is no order file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 512
SAVE = "Save it as .xlsx or as CSV UTF-8 and use that file"
EXPORT = "Export the orders as CSV, .xlsx or Parquet"
MARKUP = ("<!doctype html", "<html", "<head", "<meta", "<body", "<table", "<style", "<script", "<div", "<!--")


@dataclass(frozen=True)
class Content:
    """What a file is.

    Attributes
    ----------
    kind : {"csv", "excel", "parquet", ""}
        How custkit reads it; empty when it does not.
    name, remedy : str
        What it is, and what to do when that is not wanted.
    """

    kind: str
    name: str
    remedy: str


EXCEL = Content("excel", "an Excel workbook (.xlsx)", "Rename it to .xlsx, or export it again")
PARQUET = Content("parquet", "a Parquet file", "Rename it to .parquet, or export it again")
TEXT = Content("csv", "text", "Rename it to .csv, or export it again")
OLD_EXCEL = Content("", "an old Excel workbook (.xls)", SAVE)
LOCKED = Content("", "a workbook with a password, or an old Excel workbook (.xls)", SAVE)
BINARY_EXCEL = Content("", "a binary Excel workbook (.xlsb)", SAVE)
OPEN_DOCUMENT = Content("", "an OpenDocument spreadsheet (.ods)", SAVE)
ZIP = Content("", "a zip archive", "Unpack it and use the order file in it")
PAGE = Content(
    "",
    "a web page (HTML)",
    f"Open it: if it shows the orders, {SAVE[0].lower()}{SAVE[1:]}; else download them again",
)
XML = Content("", "an XML file", f"Open it in a spreadsheet. {SAVE}")
JSON = Content("", "a JSON file", EXPORT)
MAGIC = {
    b"PAR1": PARQUET,
    b"%PDF": Content("", "a PDF document", EXPORT),
    b"SQLi": Content("", "an SQLite database", EXPORT),
}


def content_of(path: Path) -> Content | None:
    """What a file is by its first bytes; None when it has none.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        return None
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return LOCKED if path.suffix.lower() in (".xlsx", ".xlsm") else OLD_EXCEL
    if head.startswith(b"PK\x03\x04"):
        return _zipped(path)
    return MAGIC.get(head[:4]) or _text(head)


def _zipped(path: Path) -> Content:
    """What a zip archive holds; a damaged one is taken for the workbook its name says."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return EXCEL
    if "xl/workbook.bin" in names:
        return BINARY_EXCEL
    if "content.xml" in names and "mimetype" in names:
        return OPEN_DOCUMENT
    return EXCEL if "[Content_Types].xml" in names else ZIP


def _text(head: bytes) -> Content:
    """What a text is by its first signs, in any encoding that keeps ASCII or pads it with zeros."""
    start = head.replace(b"\0", b"").decode("latin-1").lstrip("\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if start.startswith(MARKUP) or (start.startswith("<?xml") and "<html" in start):
        return PAGE
    if start.startswith("<?xml"):
        return XML
    return JSON if "".join(start.split())[:2] in ("[{", '{"', "[[") else TEXT
