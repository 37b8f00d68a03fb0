"""Which order a ticket is about, and the complaints that two defective products cause."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters, words


def refer_to_orders(draft: Draft, tickets: pd.DataFrame) -> pd.DataFrame:
    """Adds `order_id`: the customer's last order of the weeks before, for topics that concern an order.

    Tickets about how something works refer to the last order that holds such a thing.
    """
    given, rng = parameters("tickets"), draft.rng("ticket_orders")
    named = rng.random(len(tickets)) < tickets["topic"].map(given["refers_to_order"]).to_numpy()
    lines = draft.tables["order_lines"]
    with_gear = lines.loc[lines["product_id"].isin(words("tickets")["pools"]["gear"]), "order_id"]
    orders = draft.tables["orders"][["customer", "week", "order_id"]]
    weeks = given["order_within_weeks"]
    usual = _last_order(tickets, orders, weeks["any"])
    gear = _last_order(tickets, orders[orders["order_id"].isin(with_gear)], weeks["function"])
    found = np.where(tickets["topic"] == "function", gear, usual)
    return tickets.assign(order_id=np.where(named, found, None))


def _last_order(tickets: pd.DataFrame, orders: pd.DataFrame, weeks: float) -> np.ndarray:
    """Id of the customer's last order in the weeks before each ticket's day, None if there is none."""
    # The order's whole day must be over: a ticket of the same day might precede it.
    days = np.floor(orders["week"].to_numpy() * 7).astype(int) + 1
    placed = orders.assign(day=days)[["customer", "day", "order_id"]].sort_values("day", kind="stable")
    asked = tickets[["customer", "day"]].assign(row=np.arange(len(tickets))).sort_values("day", kind="stable")
    found = pd.merge_asof(asked, placed, on="day", by="customer", tolerance=round(7 * weeks))
    order_id = found.sort_values("row")["order_id"]
    return order_id.astype(object).where(order_id.notna(), None).to_numpy()


def defect_complaints(draft: Draft) -> pd.DataFrame:
    """Complaints about the products with a defect: customer, day, kind, topic, order and the product."""
    given, rng = parameters("tickets"), draft.rng("ticket_defects")
    orders = draft.tables["orders"].set_index("order_id")
    orders = orders[orders["customer"] >= 0]
    lines = draft.tables["order_lines"]
    parts = []
    for product, defect in given["defects"].items():
        bought = lines.loc[lines["product_id"] == product, "order_id"].drop_duplicates()
        bought = bought[bought.isin(orders.index)]
        faulty = orders.loc[bought[rng.random(len(bought)) < defect["per_order"]]]
        week = faulty["week"].to_numpy() + rng.exponential(given["defect_lag_weeks"], len(faulty))
        columns = {"customer": faulty["customer"].to_numpy(int), "day": np.floor(week * 7).astype(int) + 1}
        columns |= {"kind": "complaint", "topic": defect["topic"], "defect": product}
        columns["order_id"] = faulty.index.to_numpy(dtype=object)
        parts.append(pd.DataFrame(columns))
    complaints = pd.concat(parts, ignore_index=True)
    return complaints[complaints["day"] < 7 * draft.clock.weeks].reset_index(drop=True)
