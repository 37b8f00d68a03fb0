"""Small order logs by days before an end, and the committed company, for the tests of `custkit.lifecycle`."""

from __future__ import annotations

import functools

import pandas as pd

END = pd.Timestamp("2025-12-28")


def ago(days):
    return END - pd.Timedelta(days=days)


def log(**days):
    """Orders of customers by days before END; pairs are (days, amount)."""
    rows = [(who, d) for who, all_days in days.items() for d in all_days]
    if rows and isinstance(rows[0][1], tuple):
        return pd.DataFrame(
            [(who, ago(d), float(a)) for who, (d, a) in rows], columns=["customer_id", "order_date", "amount"]
        )
    return pd.DataFrame([(who, ago(d)) for who, d in rows], columns=["customer_id", "order_date"])


@functools.cache
def company():
    """Juniper Lane's consumers: their orders, and the other tables as the functions want them."""
    from custkit import tables

    customers = tables.load("customers").query("customer_type == 'consumer'")
    orders = tables.load("orders").rename(columns={"ordered_at": "order_date", "net_amount": "amount"})
    orders = orders[orders["customer_id"].isin(customers["customer_id"])]
    lines = tables.load("order_lines").merge(tables.load("products")[["product_id", "category"]])
    sessions = tables.load("sessions").rename(columns={"started_at": "seen_at"})
    sessions["identified"] = sessions["furthest_step"] >= 4
    bought = lines.merge(orders[["order_id", "customer_id", "order_date"]], on="order_id")
    services = tables.load("vas_subscriptions").query("service != 'BIZ'")
    return orders[["customer_id", "order_date", "amount"]], {
        "visits": sessions[["visitor_id", "seen_at", "identified", "customer_id"]],
        "categories": bought[["customer_id", "order_date", "category"]],
        "services": services[["customer_id", "started_on", "ended_on"]],
    }
