"""Two thousand lines of a till, with five kinds of fault and four ways to write a date."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.streams import stream

FAULTS = ("duplicate", "negative_quantity", "impossible_date", "test_order", "no_customer")


def order_lines(draft: Draft, tables: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Order lines as a till exports them; no line has more than one fault.

    Returns
    -------
    lines : DataFrame of text
        row, order_no, order_date (four notations, none ambiguous), customer, product, quantity, unit_price,
        amount.
    truth : DataFrame
        row, fault ("none" or one of `FAULTS`; of two equal lines the later is the duplicate), order_date
        (ISO; empty where there is no such day).
    """
    given, rng = parameters("practice")["orders_raw"], stream(draft.seed, "orders raw")
    orders, lines = tables["orders"], tables["order_lines"]
    since = draft.clock.dates(given["from_week"] - 1.0)
    chosen = orders.loc[orders["ordered_at"] >= since, ["order_id", "customer_id", "ordered_at"]]
    till = lines.merge(chosen, on="order_id").sort_values(["ordered_at", "order_id", "line_no"])
    fresh = given["rows"] - given["duplicate"]
    # Lines that are truly there twice would look like faults.
    till = till.drop_duplicates(["order_id", "product_id", "qty", "unit_price"]).iloc[:fresh]
    frame = pd.DataFrame(
        {
            "order_no": till["order_id"].to_numpy(),
            "day": till["ordered_at"].dt.normalize().to_numpy(),
            "customer": till["customer_id"].to_numpy(),
            "product": till["product_id"].to_numpy(),
            "quantity": till["qty"].to_numpy(),
            "unit_price": till["unit_price"].to_numpy(),
            "amount": till["line_amount"].to_numpy(),
        }
    )
    counts = [given[fault] for fault in FAULTS]
    hit = np.split(rng.permutation(len(frame))[: sum(counts)], np.cumsum(counts)[:-1])
    frame["fault"] = "none"
    frame["order_date"] = _written(rng, frame["day"])
    twins, negative, impossible, tests, nobody = hit
    frame.loc[negative, ["quantity", "amount"]] *= -1
    frame.loc[impossible, "order_date"] = _no_such_day(rng, frame.loc[impossible, "day"])
    frame.loc[tests, "customer"] = rng.choice(["TEST", "test", "Test account"], len(tests))
    frame.loc[nobody, "customer"] = None
    for fault, rows in zip(FAULTS[1:], hit[1:], strict=True):
        frame.loc[rows, "fault"] = fault
    again = frame.loc[twins].assign(fault="duplicate")
    # A repeated line follows its first copy, not always at once.
    place = np.r_[np.arange(len(frame)), twins + rng.choice([0.2, 3.2, 9.2], len(twins))]
    frame = pd.concat([frame, again]).iloc[np.argsort(place, kind="stable")].reset_index(drop=True)
    frame.insert(0, "row", np.arange(1, len(frame) + 1))
    shown = ["row", "order_no", "order_date", "customer", "product", "quantity", "unit_price", "amount"]
    true_day = frame["day"].dt.strftime("%Y-%m-%d").where(frame["fault"] != "impossible_date")
    return frame[shown], frame[["row", "fault"]].assign(order_date=true_day)


def _written(rng: np.random.Generator, days: pd.Series) -> list[str]:
    forms = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%d %b %Y")
    picks = rng.choice(len(forms), len(days), p=[0.6, 0.2, 0.12, 0.08])
    return [day.strftime(forms[pick]) for day, pick in zip(days, picks, strict=True)]


def _no_such_day(rng: np.random.Generator, days: pd.Series) -> list[str]:
    wrong = ("{}-02-30", "{}-04-31", "{}-06-31", "00.00.{}", "?")
    picks = rng.integers(0, len(wrong), len(days))
    return [wrong[pick].format(day.year) for day, pick in zip(days, picks, strict=True)]
