"""The second company of the practice extracts: the same processes, other true values, no experiments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate import baskets, media, people, products, purchases
from custkit.simulate.draft import Draft, other_values, parameters
from custkit.simulate.people import FACTORS

TABLES = ("customers", "products", "orders", "order_lines")


def build(seed: int) -> tuple[Draft, dict[str, Any]]:
    """Draw the club.

    Returns
    -------
    Draft
        With `people`, `products`, `orders` and `order_lines`.
    dict
        What is true of it: purchase and spend parameters, the effect of gender on the order rate, the weights
        of the experience factors.
    """
    given = parameters("second_company")
    draft = Draft(seed=seed, size=given["customers"], part=0)
    with other_values(given["values"]):
        for block in (media, people):
            draft.tables |= block.draw(draft)
        everyone = draft.tables["people"]
        everyone["order_rate"] *= everyone["gender"].map(given["gender_rate"]).astype(float)
        draft.tables |= products.draw(draft)
        book = purchases.Book(draft)
        book.go_on("all", np.arange(draft.size), 0, draft.clock.weeks)
        everyone["dropped_week"] = book.dropped
        draft.tables["orders"] = book.orders.sort_values(["week", "customer"], ignore_index=True)
        draft.tables |= baskets.draw(draft)
        true = {name: dict(parameters("people")[name]) for name in ("purchase_model", "spend_model")}
        true["experience_weights"] = {
            name: parameters("people")["experience_weights"][name] for name in FACTORS
        }
    draft.tables["products"] = _renamed(draft.tables["products"], given["names"])
    return draft, true | {"gender_rate": given["gender_rate"]}


def _renamed(goods: pd.DataFrame, names: dict[str, list[str]]) -> pd.DataFrame:
    """The club's own names for some goods."""
    found = goods["name_en"].map(names)
    english, chinese = (found.str[place] for place in (0, 1))
    return goods.assign(
        name_en=english.fillna(goods["name_en"]), name_zh_cn=chinese.fillna(goods["name_zh_cn"])
    )
