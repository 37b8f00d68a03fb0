"""What happens to each row of an order file: used, or set aside for one reason."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

from custkit.order_dates import PLACEHOLDERS, plausible
from custkit.order_doubts import unlikely
from custkit.order_files import OrderFile, count
from custkit.order_values import Reading
from custkit.pages import FORMULA, NUMBER

# Why a row is set aside. A row with several faults gets the first of them in this order.
REASONS = (
    "no customer id",
    "no order date",
    "order date cannot be read",
    "order date is a placeholder",
    "order date in the future",
    "no amount",
    "amount is not a number",
    "after the observation end",
    "repeats an earlier order line",
    "refund without a purchase that day",
    "purchases of the day refunded in full",
    "amount is zero",
)
(NO_ID, NO_DATE, BAD_DATE, NO_REAL_DATE, FUTURE, NO_AMOUNT, BAD_AMOUNT, LATE, REPEATED, REFUND, REFUNDED) = (
    range(1, len(REASONS))
)
ZERO = len(REASONS)
LARGEST_AMOUNT = 1e15  # beyond it cents are lost in the arithmetic: no amount of an order
SPACES = " \t\r\n\u00a0\u3000\ufeff"
NULL_WORDS = ("", "nan", "null", "none", "nat", "na", "n/a", "#n/a", "<na>", "(null)", "nil")
MONEY_DIGITS = 6  # a day's net is rounded to this, so that 0.1 + 0.2 - 0.3 counts as zero


def load_raw(con: Any, file: OrderFile, roles: dict[str, int]) -> None:
    """Table ``raw``: the columns with a role and a fingerprint of the whole line (``line``).

    Dates and numbers keep their type, all else is text. Text is trimmed and null words become null; what a
    changed cell held before is kept in ``<role>_was`` (null for all others, so it costs little).
    """
    kinds = dict(con.execute("select column_name, column_type from (describe file)").fetchall())
    chosen = "".join(f"{_typed(role, f'c{i}', kinds[f'c{i}'])} as {role}, " for role, i in roles.items())
    sheet = "sheet_row, " if file.row == "sheet_row" else ""
    every = ", ".join(f"c{i}" for i in range(len(file.headings)))
    con.execute(f"create table raw as select {chosen}{sheet}hash({every}) as line from file")
    kinds = dict(con.execute("select column_name, column_type from (describe raw)").fetchall())
    for role in roles:
        con.execute(f"alter table raw add column {role}_was varchar")
        if kinds[role] == "VARCHAR":
            null = f"list_contains($words, lower(trim({role}, $spaces)))"
            con.execute(
                f"update raw set {role}_was = {role}, {role} = if({null}, null, trim({role}, $spaces)) "
                f"where regexp_matches({role}, $edge) or (length({role}) <= $longest "
                f"and list_contains($words, lower({role})))",
                {
                    "words": list(NULL_WORDS),
                    "spaces": SPACES,
                    "edge": f"^[{SPACES}]|[{SPACES}]$",
                    "longest": max(map(len, NULL_WORDS)),
                },
            )


def _typed(role: str, column: str, kind: str) -> str:
    """SQL: a column of the file as the type `load_raw` keeps it in."""
    number = re.match(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|FLOAT|DOUBLE|DECIMAL", kind)
    if role == "order_date" and re.match("DATE|TIMESTAMP", kind):
        return column
    if role in ("amount", "quantity", "unit_price") and number:
        return f"cast({column} as double)"
    return f"cast({column} as varchar)"


def one_day_only(con: Any, roles: dict[str, int]) -> list[str]:
    """The fault of a file whose typed date column holds one day; found before anything is loaded."""
    column = f"c{roles.get('order_date')}"
    kinds = dict(con.execute("select column_name, column_type from (describe file)").fetchall())
    if not re.match("DATE|TIMESTAMP", kinds.get(column, "")):
        return []
    first, last, rows = con.execute(
        f"select cast(min({column}) as date), cast(max({column}) as date), count({column}) from file"
    ).fetchone()
    return [_one_day(rows, first)] if rows and first == last else []


def _one_day(rows: int, day: dt.date) -> str:
    return (
        f"{count(rows, 'row', 'rows')}, all dated {day}: one order day has no recency and no repeat "
        "purchase. Check that the date column is the order date, not the day of export"
    )


def judge_rows(con: Any, readings: dict[str, Reading], today: dt.date) -> None:
    """Table ``judged``: every row as read, with the number of the first reason its own values give, or 0."""
    factors = ["amount"] if "amount" in readings else ["quantity", "unit_price"]
    blank = " or ".join(f"{factor} is null" for factor in factors)
    order_id = readings["order_id"].sql if "order_id" in readings else "null"
    params = {key: value for reading in readings.values() for key, value in reading.params.items()}
    con.execute(
        f"""
        create table judged as
        select * exclude (moment, no_date, no_amount), {plausible("moment")} as order_date, case
            when customer_id is null then {NO_ID}
            when order_date is null then if(no_date, {NO_DATE}, {BAD_DATE})
            when order_date in ({PLACEHOLDERS}) then {NO_REAL_DATE}
            when order_date > $today then {FUTURE}
            when no_amount then {NO_AMOUNT}
            when amount is null or abs(amount) >= {LARGEST_AMOUNT} then {BAD_AMOUNT}
            else 0 end::utinyint as reason
        from (
            select rowid as position, line, {readings["customer_id"].sql} as customer_id,
                {readings["order_date"].sql} as moment,
                {" * ".join(f"({readings[factor].sql})" for factor in factors)} as amount,
                {order_id} as order_id,
                order_date is null as no_date, {blank} as no_amount
            from raw
        )
        """,
        params | {"today": today},
    )


def last_order_date(con: Any) -> dt.date | None:
    """Last date of an order that can be used; None if none can."""
    return con.execute("select max(order_date) from judged where reason = 0").fetchone()[0]


def set_aside(con: Any, file: OrderFile, roles: dict[str, int], end: dt.date) -> None:
    """Tables ``orders`` (rows used) and ``rejected`` (row, values as in the file, reason)."""
    late = "update judged set reason = $late where reason = 0 and order_date > $end"
    con.execute(late, {"late": LATE, "end": end})
    con.execute(
        """
        create table repeated as
        select later.position
        from (select line, min(position) as earliest from judged where reason = 0
            group by line having count(*) > 1) as twice
        join judged as first on first.position = twice.earliest
        join judged as later on later.line = twice.line and later.position > twice.earliest
        where later.reason = 0 and later.customer_id = first.customer_id
            and later.order_date = first.order_date and later.amount = first.amount
        """
    )
    if "order_id" in roles:
        again = "update judged set reason = $why where position in (select position from repeated)"
        con.execute(again, {"why": REPEATED})
    # A customer's day can only end at zero or below if one of its rows does.
    con.execute(
        f"""
        create table unpaid_days as
        select customer_id, order_date,
            case when max(amount) > 0 then {REFUNDED} when min(amount) < 0 then {REFUND}
                else {ZERO} end as why
        from judged
        semi join (from judged where reason = 0 and amount <= 0) as suspect using (customer_id, order_date)
        where reason = 0
        group by customer_id, order_date
        having round(sum(amount), {MONEY_DIGITS}) <= 0
        """
    )
    con.execute(
        "update judged set reason = why from unpaid_days where reason = 0 "
        "and judged.customer_id = unpaid_days.customer_id and judged.order_date = unpaid_days.order_date"
    )
    columns = "customer_id, order_date, amount" + (", order_id" if "order_id" in roles else "")
    con.execute(f"create table orders as select {columns} from judged where reason = 0")
    was = {role: f"coalesce({role}_was, cast({role} as varchar))" for role in roles}
    amount = was["amount"] if "amount" in roles else f"concat({was['quantity']}, ' × ', {was['unit_price']})"
    names = ", ".join(f"'{reason}'" for reason in REASONS)
    con.execute(
        f"""
        create table rejected as
        select {file.row} as row, {was["customer_id"]} as customer_id,
            regexp_replace({was["order_date"]}, ' 00:00:00$', '') as order_date,
            {amount} as amount, [{names}][reason] as reason
        from (select rowid, * from raw) as raw
        join (select position, reason from judged where reason > 0) as aside on raw.rowid = aside.position
        """
    )


def too_little(con: Any, table: str, end: dt.date | None) -> list[str]:
    """Faults that leave nothing to analyse: no usable row, one customer, one order day."""
    usable = "true" if table == "orders" else "reason = 0 and order_date <= $end"
    rows, who, other, first, last = con.execute(
        f"select count(*), min(customer_id), max(customer_id), min(order_date), max(order_date) from {table} "
        f"where {usable}",
        {} if table == "orders" else {"end": end},
    ).fetchone()
    if rows == 0:
        late = f"if(reason = 0, {LATE}, reason)"  # before `set_aside` what is left can only be late
        why = con.execute(f"select {late}, count(*) from judged group by 1 order by 1").fetchall()
        return [f"no row can be used ({'; '.join(f'{REASONS[reason - 1]}: {n:,}' for reason, n in why)})"]
    faults = []
    if who == other:
        faults.append(
            f"{count(rows, 'usable row', 'usable rows')}, all of one customer, '{who}': nobody to compare "
            "with. Check that the customer column is the right one"
        )
    if first == last:
        faults.append(_one_day(rows, first))
    return faults


def policy_notes(con: Any, roles: dict[str, int]) -> list[str]:
    """What the policies did, in numbers: rows set aside, refunds netted, lines repeated, days merged."""
    notes = []
    why = con.execute("select reason, count(*) from judged where reason > 0 group by 1 order by 1").fetchall()
    for reason, n in why:
        notes.append(f"{count(n, 'row', 'rows')} set aside: {REASONS[reason - 1]}.")
    refunds, money = con.execute("select count(*), sum(amount) from orders where amount < 0").fetchone()
    if refunds:
        notes.append(
            f"{count(refunds, 'refund', 'refunds')} of {-money:,.2f} in all netted against the same "
            "customer's purchases of the same day."
        )
    repeated = con.execute("select count(*) from repeated").fetchone()[0]
    if repeated and "order_id" not in roles:
        notes.append(
            f"{count(repeated, 'row repeats', 'rows repeat')} an earlier row exactly; kept, because without "
            "an order_id a repeated line cannot be told from a second purchase."
        )
    sums = con.execute(
        "select sum(n), sum(days), max(n), count(*), count(distinct lower(customer_id)) "
        "from (select customer_id, sum(n) as n, count(*) as days "
        "from (select customer_id, count(*) as n from orders group by customer_id, order_date) "
        "group by customer_id)"
    ).fetchone()
    rows, days, largest, customers, folded = map(int, sums)
    notes += unlikely(con, rows, largest, customers, folded)
    if rows > days:
        notes.append(
            f"Rows of one customer on one day are one purchase: {rows:,} rows make {days:,} purchase days."
        )
    return notes


def write_rejected(con: Any, path: Path) -> None:
    """Write the table ``rejected`` as CSV; cells a spreadsheet would run are led by an apostrophe."""
    names = ("customer_id", "order_date", "amount")
    defused = ", ".join(
        f"if(regexp_matches({name}, '{FORMULA}') and not regexp_matches({name}, '{NUMBER}'), "
        f"chr(39) || {name}, {name}) as {name}"
        for name in names
    )
    beyond = f"bool_or(strlen(concat({', '.join(names)})) > length(concat({', '.join(names)})))"
    wide = con.execute(f"select {beyond} from rejected").fetchall()[0][0]
    first = '"\ufeffrow"' if wide else "row"  # a byte-order mark, without which Excel garbles the text
    part = path.with_name(path.name + ".part")
    rows = con.sql(f"select row as {first}, {defused}, reason from rejected order by rejected.row")
    rows.write_csv(str(part), header=True)
    part.replace(path)
