"""A broken copy of part of the database: lost keys, and a table changed after its checksum was taken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.streams import stream


def faulty_database(
    draft: Draft, tables: Mapping[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Four tables of a few hundred customers, and the checksums taken before somebody was at them.

    Returns
    -------
    tables : dict
        customers, orders, order_lines, products, and checksums (table, rows, sha256 of its CSV text).
    dict
        Numbers of orphan orders and lines, and the table that was tampered with.
    """
    given, rng = parameters("practice")["faulty_db"], stream(draft.seed, "faulty database")
    everyone = tables["customers"].query("customer_type == 'consumer'")
    columns = ["customer_id", "joined_at", "city", "acq_channel"]
    customers = everyone[columns].iloc[: given["customers"]].reset_index(drop=True)
    orders = tables["orders"][["order_id", "customer_id", "ordered_at", "net_amount", "discount"]]
    orders = orders[orders["customer_id"].isin(customers["customer_id"])].reset_index(drop=True)
    lines = tables["order_lines"]
    lines = lines[lines["order_id"].isin(orders["order_id"])].reset_index(drop=True)
    products = tables["products"].reset_index(drop=True)

    lost = rng.choice(len(orders), given["orphan_orders"], replace=False)
    orders.loc[lost, "customer_id"] = [f"C9{number:04d}" for number in range(len(lost))]
    whole = np.flatnonzero(~lines["order_id"].isin(orders.loc[lost, "order_id"]))
    stray = rng.choice(whole, given["orphan_lines"], replace=False)
    lines.loc[stray, "order_id"] = [f"O9{number:04d}" for number in range(len(stray))]
    found = {"customers": customers, "orders": orders, "order_lines": lines, "products": products}
    checksums = pd.DataFrame(
        [(name, len(table), checksum(table)) for name, table in found.items()],
        columns=["table", "rows", "sha256"],
    )
    goods = np.flatnonzero(products["kind"] == "good")
    changed = products.copy()
    cheaper = rng.choice(goods, given["tampered_prices"], replace=False)
    changed.loc[cheaper, "list_price"] = (changed.loc[cheaper, "list_price"] * 0.5).round(2)
    facts = {
        "orphan_orders": given["orphan_orders"],
        "orphan_lines": given["orphan_lines"],
        "tampered_table": "products",
    }
    return found | {"products": changed, "checksums": checksums}, facts


def checksum(table: pd.DataFrame) -> str:
    """SHA-256 of a table's CSV text, without the index, lines ended by a line feed."""
    return hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode("utf-8")).hexdigest()
