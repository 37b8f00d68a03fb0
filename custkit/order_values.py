"""How the values of an order file are read: ids, dates and amounts, in SQL.

Every reading looks at the whole column before it decides, and refuses where two readings fit. Queries
hold only text of this module; whatever comes from a file or a user is a bound parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from custkit.order_files import OrderFile, count, shortened

MAX_UNREADABLE_SHARE = 0.05  # one cell in twenty unread means the column is misread, not dirty
CURRENCY = (
    r"(?i)us\$|hk\$|nt\$|[¥￥元$€£₹₩₽₺₫฿]|rmb|cny|usd|eur|gbp|hkd|twd|inr|jpy|chf|sek|nok|dkk|pln|czk|huf|cad|"
    r"aud|nzd|sgd|krw|brl|mxn|zar|try|thb|aed|r\$|kr\.?|zł|kč|fr\."
)
SHORTENED_ID = "[0-9]([.][0-9]+)?[eE][+][0-9]+"  # what a spreadsheet leaves of a long number
SAME_CURRENCY = {"￥": "¥", "元": "¥", "rmb": "¥", "cny": "¥", "us$": "$", "usd": "$", "eur": "€", "gbp": "£"}
SAME_CURRENCY |= {"hkd": "hk$", "twd": "nt$", "inr": "₹", "fr.": "chf", "kr.": "kr"}
POINT = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+|\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?)(?:[eE][+-]?\d+)?"
COMMA = r"[+-]?(?:\d+(?:,\d*)?|,\d+|\d{1,3}(?:\.\d{3})+(?:,\d*)?)"


@dataclass
class Reading:
    """How one column is read: SQL over ``raw`` with its bound parameters, and what was found."""

    sql: str
    params: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def option(name: str, value: str) -> str:
    """An option as both the command line and Python take it."""
    return f"--{name} {value} ({name.replace('-', '_')}= in Python)"


def kinds(con: Any) -> dict[str, str]:
    """Column → DuckDB type of the table ``raw``."""
    return dict(con.execute("select column_name, column_type from (describe raw)").fetchall())


def read_ids(con: Any, role: str, file: OrderFile, column: int) -> Reading:
    """Ids as text; ``12345.0``, left by a spreadsheet, becomes ``12345``, and that is stated."""
    reading = Reading(role)
    short = f"regexp_full_match({role}, '{SHORTENED_ID}')"
    repaired, shortened_ids, filled, rows = con.execute(
        f"select count(*) filter (regexp_full_match({role}, '[0-9]+[.]0+')), count(*) filter ({short}), "
        f"count({role}), count(*) from raw"
    ).fetchone()
    heading = file.headings[column]
    if repaired:
        reading.sql = f"regexp_replace({role}, '^([0-9]+)[.]0+$', '\\1')"
        what = count(repaired, "value", "values")
        reading.notes.append(f"'{heading}': {what} written as a decimal, such as 12345.0, read as 12345.")
    if rows and not filled and role == "customer_id":
        reading.faults.append(f"column '{heading}' holds no customer id in any of {rows:,} rows")
    if shortened_ids:
        first = con.execute(f"select {file.row}, {role} from raw where {short} order by 1 limit 3").fetchall()
        reading.faults.append(
            f"column '{heading}': a spreadsheet has shortened {count(shortened_ids, 'long id', 'long ids')} "
            f"({examples(first)}), so that different ones now look alike. Export them as text"
        )
    return reading


def examples(rows: list[tuple[Any, ...]]) -> str:
    """The first rows of a fault, as a message names them."""
    return "first: " + "; ".join(f"row {row} {shortened(text, 30)}" for row, text in rows)


def read_numbers(con: Any, role: str, decimal: str | None, file: OrderFile, column: int) -> Reading:
    """Amounts as numbers, with the one decimal sign that fits the whole column.

    Currency signs, thousands separators and ``(12.00)`` for a negative are understood.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Holds the table ``raw``.
    role : {"amount", "quantity", "unit_price"}
    decimal : {".", ","}, optional
        Decides where the column cannot.
    file : OrderFile
    column : int
        Number of the column in the file.

    Returns
    -------
    Reading
        Faults: two decimal signs, a decimal sign that cannot be decided, two currencies, or more than
        `MAX_UNREADABLE_SHARE` unreadable.
    """
    name = file.headings[column]
    if kinds(con)[role] != "VARCHAR":
        return Reading(f"case when isfinite({role}) then {role} end")
    body = f"regexp_replace(regexp_replace({role}, '{CURRENCY}', '', 'g'), '[\\s\u00a0\u202f’'']', '', 'g')"
    body = f"regexp_replace(replace({body}, '−', '-'), '^\\((.*)\\)$|^([^-]*)-$', '-\\1\\2')"
    plain = f"regexp_full_match({role}, '[+-]?\\d+([.]\\d{{1,2}}|[.]\\d{{4,}})?')"
    simple, filled = con.execute(f"select count(*) filter ({plain}), count({role}) from raw").fetchone()
    if simple == filled and decimal != ",":
        return Reading(f"try_cast({role} as double)")
    point = f"replace(regexp_extract({body}, '^(?:{POINT})$'), ',', '')"
    comma = f"replace(replace(regexp_extract({body}, '^(?:{COMMA})$'), '.', ''), ',', '.')"
    readings = {".": f"try_cast({point} as double)", ",": f"try_cast({comma} as double)"}
    con.execute(
        f"create or replace temp table numbers as select {file.row} as row, {role} as x, "
        f"{readings['.']} as p, {readings[',']} as c from raw where {role} is not null"
    )
    reading = Reading("")
    signs = con.execute(
        f"select distinct lower(regexp_extract(x, '{CURRENCY}')) from numbers "
        "where not regexp_full_match(x, '[0-9.]+')"
    ).fetchall()
    currencies = sorted({SAME_CURRENCY.get(sign, sign) for (sign,) in signs} - {""})
    if len(currencies) > 1:
        reading.faults.append(
            f"column '{name}' holds more than one currency ({', '.join(currencies)}); convert to one first"
        )
    sign = decimal or _decide_decimal(con, name, reading)
    if sign is None:
        return reading
    value = "p" if sign == "." else "c"
    unread, total = con.execute(f"select count(*) filter ({value} is null), count(*) from numbers").fetchone()
    if unread:
        rows = con.execute(
            f"select row, x from numbers where {value} is null order by row limit 3"
        ).fetchall()
        found = f"{unread:,} of {total:,} values are not numbers ({examples(rows)})"
        if unread > MAX_UNREADABLE_SHARE * total:
            reading.faults.append(f"column '{name}': {found}. Give the column with numbers, or repair them")
        else:
            reading.notes.append(f"'{name}': {found}; those rows are set aside.")
    reading.sql = readings[sign]
    return reading


def _decide_decimal(con: Any, name: str, reading: Reading) -> str | None:
    """The decimal sign that reads the whole column; None, with a fault added, where it cannot be decided."""
    best, point, comma, unequal = con.execute(
        "select count(coalesce(p, c)), count(p), count(c), count(*) filter (p <> c) from numbers"
    ).fetchone()
    if point == best and (comma < best or not unequal):
        return "."
    if comma == best and point < best:
        reading.notes.append(f"'{name}' has decimal commas: they fit every amount.")
        return ","
    signs = option("decimal", "'.' or ','")
    if point == best:
        row, text, p, c = con.execute("select * from numbers where p <> c order by row limit 1").fetchone()
        reading.faults.append(
            f"column '{name}': decimal point or decimal comma cannot be told; '{text}' in row {row} may be "
            f"{p:,.3f} or {c:,.3f} (with a decimal point). Say which with {signs}"
        )
    else:
        rows = [
            con.execute(
                f"select row, x from numbers where {a} is null and {b} is not null order by row limit 1"
            ).fetchone()
            for a, b in (("c", "p"), ("p", "c"))
        ]
        (row, text), (other_row, other) = rows
        reading.faults.append(
            f"column '{name}' mixes decimal signs ('{text}' in row {row}, '{other}' in row {other_row}). "
            f"Give the right one with {signs}; rows that do not fit are then set aside"
        )
    return None
