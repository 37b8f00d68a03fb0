"""The catalogue: goods, value-added services and packages for firms. Nothing here is drawn at random."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters

KINDS = {"goods": "good", "services": "service", "business_packages": "business_package"}


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`products`; hidden columns `popularity`, `firm_popularity`, `from_week` and `to_week` (times)."""
    given = parameters("products")
    rows = [
        dict(zip(given["columns"], row, strict=True)) | {"kind": kind}
        for part, kind in KINDS.items()
        for row in given[part]
    ]
    products = pd.DataFrame(rows)
    products.insert(0, "product_id", [f"P{number:02d}" for number in range(1, len(products) + 1)])
    first, last = (products[name].to_numpy(float) for name in ("from_day", "to_day"))
    products["from_week"], products["to_week"] = first / 7, np.where(np.isnan(last), np.inf, (last + 1) / 7)
    start = np.datetime64(draft.clock.start, "D")
    known = np.where(np.isnan(last), 0, last).astype("timedelta64[D]")
    launched = start + first.astype("timedelta64[D]")
    gone = np.where(np.isnan(last), np.datetime64("NaT"), start + known)
    products["launched_on"] = launched.astype("datetime64[s]")
    products["discontinued_on"] = gone.astype("datetime64[s]")
    for name in ("list_price", "unit_cost", "dev_cost", "popularity", "firm_popularity"):
        products[name] = products[name].astype(float)
    return {"products": products.drop(columns=["from_day", "to_day"])}
