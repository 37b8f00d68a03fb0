"""What report notebooks need to write pages and files: escaping, tables, money, small groups, safe files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

_MARKUP = re.compile(r"[^\w ,.;:%/()'+–—−-]|_|:(?=//)")
FORMULA = "^[\\s\ufeff]*[=+\\-@\\t\\r|＝＋－＠]"  # what a spreadsheet takes for the begin of one
NUMBER = "^[+-]?[0-9]+([.,][0-9]+)*$"  # no formula, whatever its sign
BYTE_ORDER_MARK = "\ufeff".encode()
LONG_TEXT = 40  # columns with longer texts get room


def text(value: Any) -> str:
    """Data as plain text for Markdown and HTML: every sign that could be read as markup becomes an entity.

    A file name, a column header or a currency can hold anything; ``<script>``, ``$`` (mathematics) and
    ``*`` come out as themselves.
    """
    return _MARKUP.sub(lambda sign: f"&#{ord(sign.group())};", " ".join(str(value).split()))


def say(*paragraphs: str) -> None:
    """Show Markdown paragraphs in a notebook. Data in them must have gone through :func:`text`."""
    from IPython.display import Markdown, display

    display(Markdown("\n\n".join(paragraphs)))


def number(digits: int) -> Callable[[float], str]:
    """A function that writes numbers with so many decimals; a dash when there is none."""

    def write(value: float) -> str:
        return f"{value:,.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"

    return write


def money(currency: str, *, short: bool = False) -> Callable[[float], str]:
    """A function that writes amounts in a currency, safe in Markdown: ``money("EUR")(1234.5)``."""
    from .style import money as write

    return lambda value: text(write(value, currency, short=short))


def column_map(given: str) -> dict[str, str] | None:
    """``customer_id=Cust,amount=Sales`` as a dictionary; None when empty. Headings may hold commas.

    Raises
    ------
    ParameterError
        A part is not ``name=heading``.
    """
    parts = re.split(r",(?=\s*\w+\s*=)", given) if given.strip() else []
    pairs = [part.partition("=") for part in parts]
    if bad := [
        part
        for part, (name, _, heading) in zip(parts, pairs, strict=True)
        if not (name.strip() and heading.strip())
    ]:
        raise ParameterError(f"columns: {bad[0]!r} is not written as name=heading, such as customer_id=Cust")
    return {name.strip(): heading.strip() for name, _, heading in pairs} or None


def table(
    frame: pd.DataFrame, formats: Mapping[str, Callable[[Any], str]] | None = None, *, total: bool = False
) -> None:
    """Show a frame as an HTML table, everything in it escaped.

    Parameters
    ----------
    frame : DataFrame
        Column names are the headings; the index is not shown.
    formats : mapping, optional
        Column to the function that writes its values. These columns and numeric ones are aligned right.
    total : bool
        The last row is a total and set off.
    """
    from IPython.display import HTML, display

    formats = dict(formats or {})
    # money() and text() have escaped already: their entities must not be escaped again
    cells = {c: [_once(formats.get(c, str)(value)) for value in frame[c]] for c in frame}
    right = {c for c in frame if c in formats or frame[c].dtype.kind in "iuf"}
    long = {c for c in frame if max(map(len, cells[c]), default=0) > LONG_TEXT}
    mark = {c: ' class="number"' if c in right else ' class="long"' if c in long else "" for c in frame}
    head = "".join(f"<th{mark[c]}>{_once(text(c))}</th>" for c in frame)
    rows = []
    for i in range(len(frame)):
        row = ' class="total"' if total and i == len(frame) - 1 else ""
        rows.append(f"<tr{row}>" + "".join(f"<td{mark[c]}>{cells[c][i]}</td>" for c in frame) + "</tr>")
    body = "\n".join(rows)
    display(HTML(f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"))


def _once(written: str) -> str:
    """Escape what is not yet an entity written by :func:`text`."""
    return re.sub(r"&(?!#\d+;)|[<>\"]", lambda sign: f"&#{ord(sign.group()[0])};", written)


def what_was_read(log: Any, currency: str) -> None:
    """Show the account of the rows of an order log: read, used, set aside, and what was decided on reading.

    Parameters
    ----------
    log : custkit.tables.OrderLog
    currency : str
        Of the amounts; empty where the file does not say.
    """
    aside = f"{log.rows_set_aside:,} rows set aside ({log.rows_set_aside / log.rows_in:.1%})."
    say(
        "## What was read",
        f"File **{text(log.source_name)}**: {log.rows_in:,} rows in = {log.rows_used:,} rows used + {aside}"
        + (" The rows set aside are listed, with the reason, in `rejected.csv`." if log.reasons else "")
        + ("" if currency else " Amounts are in the currency of the file."),
    )
    say("\n".join(f"- {text(note)}" for note in log.notes))


def what_data_carry(verdict: pd.DataFrame, declined: Iterable[str]) -> None:
    """Show which analyses the data can carry, and why others were declined.

    Parameters
    ----------
    verdict : DataFrame indexed by analysis
        ``can_run`` and ``why``.
    declined : iterable of str
        Further reasons; those the verdict gives already, and empty ones, are not repeated.
    """
    shown = verdict.reset_index()
    shown["can_run"] = shown["can_run"].map({True: "yes", False: "no"})
    say("## What these data can carry")
    table(shown.rename(columns={"can_run": "can run"}))
    say(*(text(why) for why in declined if why and why not in set(verdict["why"])))


def settings_used(settings: Mapping[str, Any]) -> None:
    """Show the parameters a report ran with."""
    import pandas as pd

    rows = [(name, "–" if value in (None, "") else str(value)) for name, value in settings.items()]
    say("**Parameters.**")
    table(pd.DataFrame(rows, columns=["parameter", "value"]))


def versions(*packages: str) -> None:
    """Show the versions of Python and of these packages."""
    import platform
    from importlib.metadata import version

    named = " · ".join(f"{name} {version(name)}" for name in packages)
    say(f"**Versions.** Python {platform.python_version()} · {named}")


def too_small(sizes: pd.Series, min_group: int) -> list[str]:
    """Labels of the groups that must not be shown by themselves, the largest of them first.

    Those under `min_group` members; if they are too few together as well, the next larger group joins
    them, because otherwise they could be had by subtracting the rest from the total. Empty groups hide
    nobody and are left out.
    """
    small, members = [], 0
    for label, size in sizes[sizes > 0].sort_values(kind="stable").items():
        if size >= min_group and (members == 0 or members >= min_group):
            break
        small.insert(0, label)
        members += size
    return small


def pool_small(labels: pd.Series, min_group: int) -> pd.Series:
    """Labels in which the groups that are :func:`too_small` are pooled.

    The pool is named after its largest member (``At risk and 2 small``); when all customers together are
    too few to part, it is called ``all together``.
    """
    labels = labels.astype("str")
    sizes = labels.value_counts()
    small = too_small(sizes, min_group)
    if len(small) == len(sizes) > 1:
        name = "all together"
    else:
        name = " and ".join([*small[:1], f"{len(small) - 1} small"][: len(small)])
    return labels.where(~labels.isin(small), name)


def write_csv(frame: pd.DataFrame, folder: str | Path, name: str) -> None:
    """Write a CSV file a spreadsheet opens without running anything; nothing happens without a folder.

    Numbers are written to six decimals. Text that a spreadsheet would take for a formula gets a leading
    apostrophe (plain numbers do not).
    Text beyond ASCII gets a byte-order mark, without which Excel shows it garbled.
    """
    if not folder:
        return
    import duckdb  # writes a large table several times faster than pandas

    safe, written = frame.copy(), []
    for column in safe:
        kind, quoted = safe[column].dtype.kind, '"' + str(column).replace('"', '""') + '"'
        if kind == "f":
            safe[column] = safe[column].round(6)
        elif kind not in "iubM":
            safe[column] = safe[column].astype("str").map(defused, na_action="ignore")
        midnight = kind == "M" and (safe[column].dropna() == safe[column].dropna().dt.normalize()).all()
        written.append(f"cast({quoted} as date) as {quoted}" if midnight else quoted)
    path = Path(folder, name)
    with duckdb.connect() as con:
        con.from_df(safe).project(", ".join(written)).write_csv(str(path), header=True)
    content = path.read_bytes()
    if not content.isascii():
        path.write_bytes(BYTE_ORDER_MARK + content)


def defused(value: Any) -> Any:
    """Text that begins like a spreadsheet formula, made harmless; anything else as it is.

    A carriage return becomes a blank: CSV readers would take it for the end of the row.
    """
    value = value.replace("\r", " ") if isinstance(value, str) else value
    if isinstance(value, str) and re.match(FORMULA, value) and not re.match(NUMBER, value.strip()):
        return "'" + value
    return value


def write_summary(summary: Mapping[str, Any], folder: str | Path) -> None:
    """Write ``summary.json`` in strict JSON (no NaN: null); nothing happens without a folder."""
    if folder:
        content = json.dumps(plain(summary), indent=1, allow_nan=False, ensure_ascii=False)
        Path(folder, "summary.json").write_text(content + "\n", "utf-8")


def plain(value: Any) -> Any:
    """Numbers, Series, frames and dates as what JSON knows; not-a-number and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "to_dict"):
        return plain(value.to_dict(orient="records") if hasattr(value, "columns") else value.to_dict())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
