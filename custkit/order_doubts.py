"""What in the orders used may be wrong although each row can be read: said with its numbers, not repaired."""

from __future__ import annotations

from typing import Any

from custkit.order_files import count

EARLY_SHARE = 0.01  # of the rows: so few may be dated long before the others by mistake
MANY_ORDERS = 20  # times the mean of a customer, and
LARGE_PAYMENT = 0.1  # of all money in one of 200 rows and more is likely a slip
LARGE_SHARE = 0.01  # of all rows: more is rarely one buyer


def unlikely(con: Any, rows: int, largest: int, customers: int, folded: int) -> list[str]:
    """What is kept but may be wrong: orders long before all others, one id for many buyers, ids twice.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Holds the table ``orders``.
    rows, largest, customers : int
        Rows used, most rows of one customer, and customers.
    folded : int
        Customers when capital letters do not count.
    """
    notes = []
    usual, first, end = con.execute(
        f"select quantile_disc(order_date, {EARLY_SHARE}), min(order_date), max(order_date) from orders"
    ).fetchone()
    if usual - first > end - usual:
        few = con.execute(
            "select count(*) from orders where order_date < $limit", {"limit": usual - (end - usual)}
        ).fetchone()[0]
        notes.append(
            f"Long before the others: {count(few, 'row', 'rows')}, the first dated {first}; the orders "
            f"of {1 - EARLY_SHARE:.0%} of the rows begin {usual}. If those dates are wrong, repair them: the "
            "forecast and its test take the record to begin there."
        )
    most, money = con.execute("select max(amount), sum(amount) from orders").fetchone()
    if most > LARGE_PAYMENT * money and rows * LARGE_PAYMENT > MANY_ORDERS:
        notes.append(
            f"One row of {most:,.2f} holds {most / money:.0%} of all money. If it is mistyped, repair it: "
            "every total and mean rests on it."
        )
    if largest * customers > MANY_ORDERS * rows and largest > LARGE_SHARE * rows:
        notes.append(
            f"One customer id holds {largest:,} of the {rows:,} rows ({largest / rows:.0%}). If it "
            "stands for buyers who are not known, leave it blank in the file: those rows are then set aside."
        )
    if folded < customers:
        notes.append(
            f"{count(customers - folded, 'customer id differs', 'customer ids differ')} from another only in "
            "capital letters; they are kept apart. If they are the same customers, write them alike."
        )
    return notes
