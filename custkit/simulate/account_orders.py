"""What business accounts order: a negative binomial number (Ehrenberg 1959), filled with packages."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.firms import office_time
from custkit.simulate.lines import cents, fill_lines
from custkit.simulate.purchases import renew
from custkit.simulate.streams import choose


def times(draft: Draft, week) -> np.ndarray:
    """Office times of orders, none after the last day of the record."""
    return office_time(draft.clock, np.minimum(week, draft.clock.weeks - 1e-6))


def draw(draft: Draft, accounts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`orders` and `order_lines` of accounts; adds `order_rate` to `accounts`."""
    given, rng = parameters("selling")["accounts"], draft.rng("business orders")
    rate = rng.gamma(given["rate"]["r"], 1 / given["rate"]["alpha"], len(accounts))
    accounts["order_rate"] = rate
    first = accounts["joined_week"].to_numpy()
    slowed = _slowed(draft, accounts)
    who, week, _ = renew(rng, first, draft.clock.weeks, rate, np.zeros(len(accounts)), multiplier=slowed)
    account = np.concatenate([np.arange(len(accounts)), who])
    week = np.concatenate([first, week])
    order = np.lexsort((account, week))
    orders = _orders(draft, accounts, account[order], week[order])
    lines = _lines(draft, accounts, orders)
    before = len(draft.tables["orders"]) if "order_lines" in draft.tables else 0
    lines["order"] += before
    _plant(draft, given)
    return {"orders": orders.drop(columns="account"), "order_lines": lines}


def _slowed(draft: Draft, accounts: pd.DataFrame) -> np.ndarray:
    """What the order rate is multiplied by, week by week: less towards the end of the contract and after."""
    slip = parameters("selling")["accounts"]["slip"]
    weeks = np.arange(draft.clock.weeks)
    from_week = accounts["ends_week"].fillna(np.inf).to_numpy()[:, None] - slip["weeks"]
    share = np.clip(weeks + 1 - from_week, 0, 1)  # of the week that lies after it
    return 1 - (1 - slip["factor"]) * share


def _orders(draft: Draft, accounts: pd.DataFrame, account: np.ndarray, week: np.ndarray) -> pd.DataFrame:
    given, rng, n = parameters("selling")["accounts"], draft.rng("business amounts"), len(account)
    amount = given["amount"]
    own = np.exp(
        amount["size_z"] * accounts["size_z"] + amount["spread"] * rng.standard_normal(len(accounts))
    )
    mean = amount["mean"] * own.to_numpy()[account]
    gross = np.maximum(rng.gamma(amount["shape"], mean / amount["shape"]), given["least_amount"])
    off = draft.tables["leads"]["discount_pct"].to_numpy()[accounts["lead"]][account]
    gross = cents(gross)
    discount = np.rint(gross * off / 100).astype(np.int64)
    promised = rng.choice(given["promised_min"], n)
    late = np.round(given["late"]["mean"] + given["late"]["spread"] * rng.standard_normal(n))
    return pd.DataFrame(
        {
            "order_id": draft.ids("OB", n),
            "customer_id": accounts["customer_id"].to_numpy()[account],
            "customer": -1,
            "account": account,
            "week": week,
            "ordered_at": times(draft, week),
            "channel": choose(rng, given["channels"], n),
            "site": None,
            "session_id": None,
            "campaign_id": None,
            "goods_gross": gross / 100,
            "discount": discount / 100,
            "net_amount": (gross - discount) / 100,
            "points_earned": 0,
            "points_redeemed": 0,
            "payment_method": choose(rng, given["payment"], n),
            "promised_min": promised.astype(float),
            "delivered_min": np.maximum(promised + late, 30),
        }
    )


def _lines(draft: Draft, accounts: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Lines by the mix of the account's sector."""
    products, mixes = draft.tables["products"], parameters("selling")["accounts"]["mixes"]
    names = [*parameters("baskets")["categories"], "service"]
    mix = pd.DataFrame(mixes, index=names).T.loc[accounts["sector"].to_numpy()[orders["account"]]]
    lines = fill_lines(
        draft.rng("business lines"),
        orders[["goods_gross", "week"]],
        mix.reset_index(drop=True),
        products,
        "firm_popularity",
    )
    lines.insert(0, "order_id", orders["order_id"].to_numpy()[lines["order"]])
    lines.insert(2, "product_id", products["product_id"].to_numpy()[lines["product"]])
    return lines


def _plant(draft: Draft, given: dict) -> None:
    for name, value in given["rate"].items():
        draft.plant(
            f"accounts.rate.{name}", value, "1" if name == "r" else "weeks", "NBD of orders of accounts"
        )
    draft.plant(
        "accounts.rate.mean", given["rate"]["r"] / given["rate"]["alpha"], "orders a week", "mean rate"
    )
    slip = given["slip"]
    meaning = f"order rate from {slip['weeks']} weeks before a contract's end on, times"
    draft.plant("accounts.slip", slip["factor"], "ratio", meaning)
