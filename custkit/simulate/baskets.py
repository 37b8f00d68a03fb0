"""Baskets: what consumers bought with the money of each order, and all else an order records.

Category mixes are Dirichlet by segment; products within a category go by popularity, budget and a taste for
the house brand; pairs have a planted lift. The sum of the lines is net_amount + discount to the cent.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import order_details
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.lines import cents, fill_lines
from custkit.simulate.pair_rules import apply_rules
from custkit.simulate.points import add_points
from custkit.simulate.preferences import order_mixes


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`orders` with all public columns but session_id, `order_lines`, `trial_arms`, `points_reminders`.

    Hidden columns: coupon (CNY of the discount that is not points) in `orders`; order (position in
    `orders`) and product (position in `products`) in `order_lines`.
    """
    products = draft.tables["products"]
    orders = draft.tables["orders"].sort_values("week", kind="stable", ignore_index=True)
    orders.insert(0, "order_id", draft.ids("O", len(orders)))
    customer = orders["customer"].to_numpy()
    orders.insert(1, "customer_id", draft.tables["people"]["customer_id"].to_numpy()[customer])
    orders["ordered_at"] = draft.clock.timestamps(orders["week"])
    orders["session_id"] = None
    order_details.add_channels(draft, orders)
    by_till = order_details.add_layout(draft, orders, products)
    order_details.add_coupons(draft, orders)
    tables = add_points(draft, orders)
    value = parameters("baskets")["points"]["value"]
    off = cents(orders["coupon"]) + cents(orders["points_redeemed"] * value)
    orders["discount"] = off / 100
    orders["goods_gross"] = (cents(orders["net_amount"]) + off) / 100
    order_details.add_delivery(draft, orders)
    lines = _lines(draft, orders, products, by_till)
    _plant(draft)
    return {"orders": orders, "order_lines": lines} | tables


def _lines(draft: Draft, orders: pd.DataFrame, products: pd.DataFrame, by_till: np.ndarray) -> pd.DataFrame:
    """Lines of all consumer orders: the basket, then things by the till and gifts of an offer."""
    taste = parameters("baskets")["lines"]["house_taste_std"]
    house = draft.rng("house_taste").normal(0, taste, len(draft.tables["people"]))
    extra = np.where(by_till >= 0, products["list_price"].to_numpy()[by_till], 0.0)
    factor = order_details.price_factor(draft, orders)
    columns = {
        "goods_gross": orders["goods_gross"] - extra,
        "week": orders["week"],
        "price_factor": factor,
        "house_taste": house[orders["customer"]],
    }
    if "must_have_category" in orders:
        columns["must_have_category"] = orders["must_have_category"]
    lines = fill_lines(draft.rng("lines"), pd.DataFrame(columns), order_mixes(draft, orders), products)
    apply_rules(draft.rng("rules"), lines, products)
    lines = _append(lines, products, np.flatnonzero(by_till >= 0), by_till[by_till >= 0], paid=True)
    gift = parameters("baskets")["promo"]["gift"]
    given_away = np.flatnonzero(orders["promo_arm"] == "gift") if "promo_arm" in orders else np.empty(0, int)
    item = np.full(len(given_away), products.index[products["name_en"] == gift][0])
    lines = _append(lines, products, given_away, item, paid=False)
    lines.insert(0, "order_id", orders["order_id"].to_numpy()[lines["order"]])
    lines.insert(2, "product_id", products["product_id"].to_numpy()[lines["product"]])
    return lines


def _append(
    lines: pd.DataFrame, products: pd.DataFrame, order: np.ndarray, item: np.ndarray, paid: bool
) -> pd.DataFrame:
    """One more line, a piece at list price or for nothing, at the end of these orders."""
    price = products["list_price"].to_numpy()[item] * paid
    more = pd.DataFrame({"order": order, "product": item, "qty": 1.0, "unit_price": price})
    more["line_amount"], more["unit_cost"] = price, products["unit_cost"].to_numpy()[item]
    lines = pd.concat([lines, more]).sort_values("order", kind="stable", ignore_index=True)
    lines["line_no"] = lines.groupby("order").cumcount() + 1
    return lines


def _plant(draft: Draft) -> None:
    """Note every effect planted here."""
    given, plant = parameters("baskets"), draft.plant
    for segment, mix in given["mixes"].items():
        for category, share in zip(given["categories"], mix, strict=True):
            plant(f"baskets.mix.{segment}.{category}", share, "share", "lines, outside the gift weeks")
        coupon = parameters("people")["coupon_share"][segment]
        plant(f"baskets.coupon_share.{segment}", coupon, "share", "orders with a coupon before week 79")
    for number, rule in enumerate(given["rules"], 1):
        pair = f"{rule['one']} and {rule['partner']} in one consumer order"
        plant(f"baskets.lift.rule{number}", rule["lift"], "ratio", pair)
    slope = given["age_per_decade"]
    for name, value, unit, meaning in (
        ("gift_season.odds_ratio", given["gift_odds"], "ratio", "odds of gifts in the gift weeks"),
        ("age.tea_against_coffee", slope["tea"] - slope["coffee"], "log odds", "a decade of age"),
        ("trend.tea", given["trend_per_year"]["tea"], "log odds", "tea against the rest, a year"),
        ("interest.tea", given["interests"]["tea ceremony"]["tea"], "ratio", "odds of tea, tea ceremony"),
        ("gender.gifts", 0, "share", "women less men, gifts' share of lines"),
        ("gender.tea", 0, "share", "women less men, tea's share of lines"),
        ("gender.amount", 1, "ratio", "women against men, mean net_amount"),
        ("breadth.order_rate", 0, "log rate", "one category more, on orders of the hold-out weeks"),
        ("layout.value", given["layout"]["value"], "CNY", "an order more in the store with the new layout"),
        ("delivery.late_mean", given["delivery"]["late_mean"], "minutes", "delivered less promised"),
        ("delivery.per_service", given["delivery"]["late_per_service"], "minutes", "one unit of S"),
        ("points.reminder", given["points"]["reminder_effect"], "share", "next order redeems points"),
    ):
        plant(f"baskets.{name}", value, unit, meaning)
