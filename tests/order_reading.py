"""What the tests of order files share: a good file, how a file is read, and the rows used in plain form."""

from __future__ import annotations

import datetime as dt

from custkit import tables
from custkit.order_policies import REASONS

TODAY = dt.date(2024, 6, 30)
HEAD = "customer_id,order_date,amount\n"
GOOD = HEAD + "A,2024-01-05,10.50\nB,2024-01-13,20.25\nA,2024-02-20,5.75\n"
WANTED = [
    ("A", "2024-01-05", 10.5),
    ("B", "2024-01-13", 20.25),
    ("A", "2024-02-20", 5.75),
]  # the rows of GOOD


def read(source, **options):
    """Read, and hold every result to the rule: rows in = rows used + rows set aside."""
    log = tables.read_orders(source, **{"today": TODAY} | options)
    assert log.rows_in == log.rows_used + log.rows_set_aside
    assert (len(log.to_frame()), len(log.rejected)) == (log.rows_used, log.rows_set_aside)
    assert sum(log.reasons.values()) == log.rows_set_aside and set(log.reasons) <= set(REASONS)
    return log


def plain(log) -> list[tuple[str, str, float]]:
    """The rows used, for comparison."""
    frame = log.to_frame()
    days = frame["order_date"].dt.strftime("%Y-%m-%d")
    return list(zip(frame["customer_id"], days, frame["amount"], strict=True))
