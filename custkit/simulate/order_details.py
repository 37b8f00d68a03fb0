"""How orders were placed, paid, discounted and delivered."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.lines import cents
from custkit.simulate.preferences import shares
from custkit.simulate.streams import choose, choose_each

CHANNELS = ("web", "app", "store", "phone")


def add_channels(draft: Draft, orders: pd.DataFrame) -> None:
    """Columns channel, site and payment_method; a customer's first order comes where he was won."""
    given, rng = parameters("baskets"), draft.rng("channels")
    people, customer = draft.tables["people"], orders["customer"].to_numpy()
    own = _own_channels(given["channels"], rng, people)
    channel = np.array(CHANNELS, dtype=object)[choose_each(rng, own[customer])]
    first = orders["week"].to_numpy() <= people["joined_week"].to_numpy()[customer]
    won_in_store = (people["acq_channel"] == "store").to_numpy()[customer]
    channel = np.where(first & won_in_store, "store", channel)
    channel = np.where(first & ~won_in_store & ~np.isin(channel, ["web", "app"]), "web", channel)
    orders["channel"] = channel
    site = people["city"].map(given["sites"]).to_numpy()[customer]
    orders["site"] = np.where(channel == "store", site, None)
    orders["payment_method"] = None
    for name, kinds in given["payment"].items():
        rows = channel == name
        orders.loc[rows, "payment_method"] = choose(rng, kinds, int(rows.sum()))


def _own_channels(given: dict, rng: np.random.Generator, people: pd.DataFrame) -> np.ndarray:
    """Each customer's own shares of the channels."""
    app = people["app_user"].to_numpy()[:, None]
    mean = np.where(app, *([given[kind][name] for name in CHANNELS] for kind in ("app_user", "other")))
    odds = np.ones_like(mean)
    odds[:, 2] = people["area_type"].map(given["store_odds"])
    odds[:, 2] *= np.where(people["acq_channel"] == "store", given["store_odds_if_acquired_there"], 1.0)
    decades = (people["age"] - parameters("people")["age"]["mean"]) / 10
    odds[:, 3] = np.exp(given["phone_per_decade"] * decades)
    mean = shares(mean * odds)
    return shares(rng.gamma(given["concentration"] * mean + 1e-12) + 1e-12 * (mean > 0))


def add_layout(draft: Draft, orders: pd.DataFrame, products: pd.DataFrame) -> np.ndarray:
    """The new layout of one store sells small things by the till: net_amount rises by their price.

    Returns
    -------
    array of int
        Position in `products` of the thing added to each order, -1 for none.
    """
    given, rng = parameters("baskets")["layout"], draft.rng("layout")
    items = _positions(products, parameters("baskets")["layout_items"])
    prices = products["list_price"].to_numpy()[items]
    there = (orders["site"] == given["site"]) & (orders["week"] >= given["from_week"] - 1)
    takes = there.to_numpy() & (rng.random(len(orders)) < given["value"] / prices.mean())
    item = np.where(takes, rng.choice(items, len(orders)), -1)
    price = np.where(takes, products["list_price"].to_numpy()[item], 0.0)
    orders["net_amount"] = np.round(orders["net_amount"] + price, 2)
    return item


def _positions(products: pd.DataFrame, names: list[str]) -> np.ndarray:
    place = {name: position for position, name in enumerate(products["name_en"])}
    return np.array([place[name] for name in names])


def add_coupons(draft: Draft, orders: pd.DataFrame) -> None:
    """Columns coupon (CNY off by a coupon or an offer; hidden) and campaign_id (of an offer)."""
    given, rng, people = parameters("baskets"), draft.rng("coupons"), draft.tables["people"]
    mean = people["segment"].map(parameters("people")["coupon_share"]).to_numpy(float)
    width = given["coupon"]["concentration"]
    share = rng.beta(width * mean, width * (1 - mean))
    rate = np.where(
        rng.random(len(orders)) < share[orders["customer"].to_numpy()], given["coupon"]["rate"], 0.0
    )
    promo = given["promo"]
    arm, back = (_text(orders, name) for name in ("promo_arm", "winback_arm"))
    rate = np.where(arm == "discount", promo["discount_rate"], rate)
    for name, own_rate in given["winback_rates"].items():
        rate = np.where(back == name, own_rate, rate)
    net = cents(orders["net_amount"])
    off = np.rint(net * rate / (1 - rate)).astype(np.int64)
    enough = (arm == "threshold") & (net >= cents(promo["threshold"]))
    off = np.where(enough, cents(promo["threshold_off"]), off)
    orders["coupon"] = off / 100
    offered = np.isin(arm, ["discount", "gift"]) | enough
    orders["campaign_id"] = np.where(offered, promo["campaign_id"], None)


def _text(orders: pd.DataFrame, column: str) -> np.ndarray:
    """A column of texts; empty texts where there is none."""
    if column not in orders:
        return np.full(len(orders), "", dtype=object)
    return orders[column].fillna("").astype(str).to_numpy(dtype=object)


def price_factor(draft: Draft, orders: pd.DataFrame) -> np.ndarray:
    """Unit prices against the list prices: one city pays more from its own-price event on."""
    event = parameters("trials")["own_price"]
    there = (draft.tables["people"]["city"] == event["city"]).to_numpy()[orders["customer"]]
    return np.where(there & (orders["week"] >= event["start"]).to_numpy(), 1 + event["rise"], 1.0)


def add_delivery(draft: Draft, orders: pd.DataFrame) -> None:
    """Columns promised_min and delivered_min of orders that the own couriers deliver (missing elsewhere)."""
    given, rng, people = parameters("baskets")["delivery"], draft.rng("delivery"), draft.tables["people"]
    who = people.loc[orders["customer"], ["area_type", "city", "service"]].reset_index(drop=True)
    ours = (orders["channel"] != "store").to_numpy() & who["area_type"].isin(given["areas"]).to_numpy()
    day = np.floor(orders["week"].to_numpy() * 7).astype(int)
    loads = rng.normal(0, given["load_std"], (draft.clock.weeks * 7, len(parameters("people")["cities"])))
    city = who["city"].map({name: number for number, name in enumerate(parameters("people")["cities"])})
    late = (
        given["late_mean"]
        + given["late_per_service"] * who["service"].to_numpy()
        + loads[day, city.to_numpy()]
        + rng.normal(0, given["noise_std"], len(orders))
    )
    more = choose(rng, given["promised_more"], len(orders)).astype(float)
    promised = who["area_type"].map(given["promised"]).to_numpy(float) + more
    orders["promised_min"] = np.where(ours, promised, np.nan)
    orders["delivered_min"] = np.where(ours, np.round(promised + late), np.nan)
