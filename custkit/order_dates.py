"""How the dates of an order file are read: one order of day and month for the whole column, or a refusal."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from custkit.errors import ParameterError
from custkit.order_files import OrderFile, count, shortened
from custkit.order_values import MAX_UNREADABLE_SHARE, Reading, examples, kinds, option

# Day and month can be told by the shape alone in these, so they belong to every order of day and month.
SURE_FORMATS = (
    *("%d %b %y", "%d-%b-%y", "%d/%b/%y", "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d %B %Y", "%d. %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
    *("%Y年%m月%d日", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
)
YEARS = (1900, 2199)  # outside: a placeholder, or a two-digit year taken for four digits
PLACEHOLDERS = "date '1900-01-01', date '1970-01-01'"  # what programs write where no date is known
DAY_NUMBERS = " (spreadsheet day numbers: format that column as a date and save again)"
COMPUTER_TIME = " (a computer's count of seconds since 1970: have that column exported as dates)"
ORDERS = {
    "day/month/year": tuple(f"%d{s}%m{s}{y}" for y in ("%y", "%Y") for s in "/-."),
    "month/day/year": tuple(f"%m{s}%d{s}{y}" for y in ("%y", "%Y") for s in "/-."),
    "year/month/day": tuple(f"%y{s}%m{s}%d" for s in "/-."),
}
TIME = (
    r"(?s)^(.+?)(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*"
    r"(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?|\s*\d{1,2}时\d{1,2}分(?:\d{1,2}秒)?)?$"
)
ZONE = r":\d{2}(?:[.,]\d+)?\s*(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
FRIENDLY = {"yyyy": "%Y", "yy": "%y", "mmm": "%b", "mm": "%m", "m": "%m", "dd": "%d", "d": "%d"}


def plausible(column: str) -> str:
    """SQL: a moment as its calendar day; nothing outside `YEARS`."""
    return f"case when year({column}) between {YEARS[0]} and {YEARS[1]} then cast({column} as date) end"


def read_dates(con: Any, date_format: str | None, file: OrderFile, column: int, today: dt.date) -> Reading:
    """Order dates as calendar days, in the one order of day and month that fits the whole column.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Holds the table ``raw``.
    date_format : str, optional
        A strptime format, or words such as ``dd/mm/yyyy``; decides where the column cannot.
    file : OrderFile
    column : int
        Number of the date column in the file.
    today : datetime.date
        A two-digit year first is no reading of dates where it puts many of them after this day.

    Returns
    -------
    Reading
        Faults: ambiguous or mixed order of day and month, or more than `MAX_UNREADABLE_SHARE` unreadable.

    Raises
    ------
    ParameterError
        If `date_format` is no format with year, month and day.
    """
    kind, name = kinds(con)["order_date"], file.headings[column]
    if kind != "VARCHAR":
        reading = Reading("order_date")
        if "TIME ZONE" in kind:
            reading.notes.append(
                f"'{name}' holds instants with a time zone; the calendar day in UTC is used."
            )
        return reading
    reading = _text_dates(con, date_format, name, file.row, today)
    texts = file.dated.get(column, [])
    total = con.execute("select count(order_date) from raw").fetchone()[0]
    if len(texts) > MAX_UNREADABLE_SHARE * total:
        reading.faults.append(
            f"column '{name}' mixes real dates with {count(len(texts), 'text', 'texts')} (rows "
            f"{', '.join(map(str, texts[:3]))}): the spreadsheet has turned some into dates and may have "
            "swapped day and month in them. Export the orders again, with dates written year-month-day"
        )
    return reading


def _text_dates(con: Any, date_format: str | None, name: str, row: str, today: dt.date) -> Reading:
    timed, zoned = con.execute(
        "select bool_or(contains(order_date, ':') or contains(order_date, '时')), "
        f"bool_or(contains(order_date, ':') and regexp_matches(order_date, '{ZONE}')) from raw"
    ).fetchone()
    day = f"regexp_extract(order_date, '{TIME}', 1)" if timed else "order_date"
    con.execute(
        f"create or replace temp table days as select {day} as day, count(*) as n, min(rowid) as first "
        "from raw where order_date is not null group by 1"
    )
    reading = Reading("")
    if zoned:
        reading.notes.append(
            f"'{name}' carries time zones; the calendar day is kept as written, not converted."
        )
    if date_format is not None:
        full, short = _given_format(con, date_format)
        reading.params = {"date_formats": [short]}
        reading.sql = f"try_strptime({day}, $date_formats)"
        if full != short and "%z" not in full.lower():
            reading.params["full_format"] = full
            reading.sql = f"coalesce(try_strptime(order_date, $full_format), {reading.sql})"
        reading.notes.append(f"'{name}' is read as {date_format}, as told.")
    else:
        formats = _decide_format(con, name, reading, today)
        if formats is None:
            return reading
        reading.params = {"date_formats": formats}
        reading.sql = f"try_strptime({day}, $date_formats)"
    read = f"from (select {row} as row, order_date, {reading.sql} as d from raw)"
    good, total = con.execute(
        f"select count({plausible('d')}), count(order_date) {read}", reading.params
    ).fetchone()
    unread = total - good
    if unread > MAX_UNREADABLE_SHARE * total:
        rows = con.execute(
            f"select row, order_date {read} where order_date is not null and {plausible('d')} is null "
            "order by row limit 3",
            reading.params,
        ).fetchall()
        reading.faults.append(
            f"column '{name}': {unread:,} of {total:,} dates cannot be read ({examples(rows)}). "
            f"Formats seen: {_shapes(con)}"
        )
    return reading


def _given_format(con: Any, date_format: str) -> tuple[str, str]:
    """The format told, and the part of it before the time of day."""
    import duckdb

    full = date_format
    if "%" not in full:
        full = re.sub("yyyy|yy|mmm|mm|m|dd|d", lambda match: FRIENDLY[match[0]], full.lower())
    short = re.sub(r"[T ,]*%-?[HIMSfgnpzZ].*$", "", full)
    try:
        con.execute("select try_strptime('', $format)", {"format": short})
        con.execute("select try_strptime('', $format)", {"format": re.sub("(?i)%z", "", full)})
    except duckdb.Error:
        short = ""
    if not (re.search("%-?[dj]", short) and re.search("%-?[mbBj]", short) and re.search("%-?[yY]", short)):
        raise ParameterError(
            f"date_format '{date_format}' is no date format with year, month and day; "
            "write it like dd/mm/yyyy or %d/%m/%Y"
        )
    return full, short


def _decide_format(con: Any, name: str, reading: Reading, today: dt.date) -> list[str] | None:
    """The formats that read the whole column; None, with a fault added, where that cannot be decided."""
    lists = {f"f{i}": [*formats, *SURE_FORMATS] for i, formats in enumerate(ORDERS.values())}
    lists = {key: sorted(formats, key=lambda f: "%Y" in f) for key, formats in lists.items()}
    con.execute(
        f"create or replace temp table readings as select day, n, first, "
        f"{', '.join(f'{plausible(key)} as {key}' for key in lists)} from (select day, n, first, "
        f"{', '.join(f'try_strptime(day, ${key}) as {key}' for key in lists)} from days)",
        lists,
    )
    any_read = "coalesce(f0, f1, f2) is not null"
    best, *fits = con.execute(
        f"select sum(n) filter ({any_read}), sum(n) filter (f0 is not null), sum(n) filter (f1 is not null), "
        "sum(n) filter (f2 is not null) from readings"
    ).fetchone()
    if best is None:
        return ["%Y-%m-%d"]  # nothing can be read; the caller counts it
    orders = [
        (key, order)
        for (key, order), n in zip(zip(lists, ORDERS, strict=True), fits, strict=True)
        if n == best
    ]
    if not orders:
        rows = con.execute(
            f"select day from readings where {any_read} and (f0 is null) <> "
            "(f1 is null) order by f0 is null, first"
        ).fetchall()
        clash = (
            f"'{rows[0][0]}' can only have the day first, '{rows[-1][0]}' only the month"
            if rows
            else "two orders"
        )
        reading.faults.append(
            f"column '{name}' mixes orders of day and month ({clash}). Give the right one with "
            f"{option('date-format', 'FORMAT')}; rows that do not fit are then set aside"
        )
        return None
    if ("f2", "year/month/day") in orders:  # 24/06/30: a year 2030 in some rows tells the readings apart
        late = ", ".join(f"coalesce(sum(n) filter ({key} > $today), 0)" for key, _ in orders)
        late = con.execute(f"select {late} from readings", {"today": today}).fetchone()
        past = [order for order, n in zip(orders, late, strict=True) if n <= MAX_UNREADABLE_SHARE * best]
        orders = past or orders
    for key, _ in orders[1:]:
        unequal = f"{orders[0][0]} is distinct from {key}"
        row = con.execute(f"select day from readings where {unequal} order by first limit 1").fetchone()
        if row:
            reading.faults.append(_ambiguous(con, name, row[0], [lists[key] for key, _ in orders]))
            return None
    used = []
    for form in lists[orders[0][0]]:
        fits = (
            f"select bool_or({plausible('d')} is not null) from (select try_strptime(day, $f) as d from days)"
        )
        used += [form] if con.execute(fits, {"f": form}).fetchone()[0] else []
    reading.notes.append(f"'{name}' is read as {' or '.join(used)}: it fits every date that can be read.")
    return used


def _ambiguous(con: Any, name: str, text: str, lists: list[list[str]]) -> str:
    readings = {}
    for formats in lists:
        for form in formats:
            query = f"select {plausible('d')} from (select try_strptime($t, $f) as d)"
            day = con.execute(query, {"t": text, "f": form}).fetchone()[0]
            if day is not None:
                readings.setdefault(day, form)
                break
    ways = " or ".join(f"{day.day} {day:%B %Y} ({form})" for day, form in readings.items())
    formats = " or ".join(f"'{form}'" for form in readings.values())
    return (
        f"column '{name}': day and month cannot be told apart; '{text}' may be {ways}. "
        f"Say which with {option('date-format', formats)}"
    )


def _shapes(con: Any) -> str:
    """The commonest shapes of the date texts, with an example and how often each occurs, and the remedy."""
    shapes = con.execute(
        "select min_by(day, first), sum(n) from days group by translate(day, '0123456789', '9999999999') "
        "order by 2 desc limit 4"
    ).fetchall()
    seen = ", ".join(f"{shortened(example, 30)} ({count(int(n), 'row', 'rows')})" for example, n in shapes)
    for pattern, remedy in ((r"[34]\d{4}(\.\d+)?", DAY_NUMBERS), (r"1\d{9}(\d{3})?", COMPUTER_TIME)):
        if any(re.fullmatch(pattern, example) for example, _ in shapes):
            return seen + remedy
    return f"{seen}. Give {option('date-format', 'FORMAT')}, such as dd/mm/yyyy"
