"""`sessions`: visits to the web shop and the app in the weeks that the log keeps.

Every online order has the visit it ended in. Around the orders stand the visits that ended otherwise, drawn
so that the chances of `parameters/visits.yml` hold exactly: see `checkout` (EXP-CHECKOUT), `pages` (landing
pages, leaks, EXP-CTA and EXP-PERS), `paths` and `newcomers` (the way to the first order).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate import checkout, newcomers, page_views, pages, paths
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.newcomers import NOBODY
from custkit.simulate.streams import choose

PUBLIC = [
    "session_id",
    "visitor_id",
    "customer_id",
    "started_at",
    "source",
    "campaign_id",
    "page_variant",
    "device",
    "landing",
    "content_id",
    "keyword",
    "search_term",
    "search_results",
    "n_pages",
    "dwell_s",
    "viewed_category",
    "furthest_step",
    "steps_in_checkout",
    "checkout_variant",
    "error_code",
    "order_id",
]


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`sessions`; fills `session_id` in `orders`, and `acq_channel` of people whose path is in the log."""
    orders = draft.tables["orders"]
    joined = draft.tables["people"]["joined_week"].to_numpy()[orders["customer"]]
    online = orders["channel"].isin(["web", "app"]) & (orders["week"] >= paths.log_begin(draft))
    online = orders.loc[online, ["customer", "week", "channel"]]
    first = online["week"].to_numpy() == joined[online.index]
    new, people = newcomers.visits(draft, online[first])
    known = _customers(draft, online[~first])
    checkout.plant(draft, parameters("visits")["checkout"], first.sum(), (~first).sum())
    draft.plant("visits.gender.orders_per_visit", 0.0, "share", "orders a visit of customers, women less men")

    found = pd.concat([new.assign(known=False), known.assign(known=True)], ignore_index=True)
    found["coming"] = found["coming"].fillna(NOBODY).astype(int)
    found = page_views.complete(draft, found)
    page_views.plant(draft)
    found = found.sort_values(["started_at", "person"], ignore_index=True)
    found.insert(0, "session_id", draft.ids("S", len(found), width=6))
    found["visitor_id"] = _visitors(draft, found)
    ids = people["customer_id"].to_numpy(dtype=object)
    found["customer_id"] = np.where(found["customer"] >= 0, ids[found["customer"]], None)
    ended = found[found["order"] != NOBODY]
    session = pd.Series(None, index=orders.index, dtype=object)
    session.loc[ended["order"].to_numpy()] = ended["session_id"].to_numpy()
    found["order_id"] = None
    found.loc[ended.index, "order_id"] = orders["order_id"].to_numpy(dtype=object)[ended["order"]]
    hidden = ["customer", "week", "order", "known"]
    return {"sessions": found[PUBLIC + hidden], "orders": orders.assign(session_id=session), "people": people}


def _customers(draft: Draft, online: pd.DataFrame) -> pd.DataFrame:
    """Visits of people who have ordered before: those that end in an order, and all others."""
    given, rng = parameters("visits"), draft.rng("visits")
    ended = checkout.passed(given["checkout"], rng, np.zeros(len(online), dtype=bool)).assign(
        customer=online["customer"].to_numpy(),
        order=online.index,
        week=online["week"].to_numpy(),
        device=newcomers.device_of(given, rng, online["channel"]),
        app=(online["channel"] == "app").to_numpy(),
    )
    left = checkout.abandoned(given["checkout"], rng, len(online), False)
    twin = ended.iloc[rng.integers(0, max(len(ended), 1), len(left))]
    left = left.assign(device=twin["device"].to_numpy(), app=twin["app"].to_numpy(), order=NOBODY)
    look_in = _Callers(draft)
    left = left.assign(**look_in(len(left)))
    starts = pd.concat([ended, left], ignore_index=True)
    starts["landing"] = None
    offers = _offers(draft, rng, look_in, starts)
    plain = starts["landing"].isna().to_numpy()
    begun = pages.customers_at_checkout(given, rng, starts["device"], starts["app"])
    starts["source"] = begun["source"]
    starts.loc[plain, "landing"] = begun["landing"][plain]
    starts.loc[~plain, "source"] = choose(rng, given["offers"]["source"], (~plain).sum())
    counts = starts.loc[plain, "device"].value_counts().to_dict()
    looks = pages.customers_before_checkout(given, rng, counts)
    looks = looks.assign(**look_in(len(looks), before_orders=True), order=NOBODY)
    found = pd.concat([starts, offers, looks], ignore_index=True).drop(columns="app")
    platform = draft.tables["people"]["social_platform"].to_numpy()[found["customer"]]
    nowhere = (found["source"] == "social") & (platform == "none")
    found.loc[nowhere, "source"] = "direct"
    return found.assign(person=found["customer"])


def _offers(draft: Draft, rng: np.random.Generator, look_in: _Callers, starts: pd.DataFrame) -> pd.DataFrame:
    """Customers' visits to the offer pages; those who go on to the checkout are marked in `starts`."""
    given, found = parameters("visits"), []
    engaged = draft.tables["people"]["engaged"].to_numpy()
    starts["page_variant"] = None
    completion = given["offers"]["cta"]["completion"]
    share = 0.0
    for test, names in (("cta", list(completion)), ("pers", ["generic", "personal"])):
        count = rng.poisson(given["offers"][test]["per_known_start"] * len(starts))
        who = look_in(count)
        arms = rng.choice(np.array(names, dtype=object), count)
        keen = engaged[who["customer"]]
        if test == "cta":
            chance = pd.Series(arms).map(completion).to_numpy(float)
        else:
            chance, share = pages.cart_chance(given, arms, keen), keen.mean() if count else 0.0
        seen = pages.offer_visits(given, rng, arms, chance).assign(**who, order=NOBODY)
        moved = seen["to_checkout"].to_numpy()
        for group in (True, False):  # a visit stands in for one of the same kind of customer
            free = starts["page_variant"].isna().to_numpy() & (engaged[starts["customer"]] == group)
            versions = arms[moved & (keen == group)]
            place = rng.permutation(np.flatnonzero(free))[: len(versions)]
            starts.loc[place, "page_variant"] = versions[: len(place)]
            starts.loc[place, "landing"] = "offer"
        stays = seen[~moved].drop(columns="to_checkout")
        found.append(
            stays.assign(
                landing="offer",
                source=choose(rng, given["offers"]["source"], len(stays)),
                device=choose(rng, given["known"]["device_of_web"], len(stays)),
            )
        )
    pages.plant(draft, share)
    return pd.concat(found, ignore_index=True)


class _Callers:
    """Draws which customers look in, and when: by an own propensity, seldom after drop-out."""

    def __init__(self, draft: Draft) -> None:
        given: dict[str, Any] = parameters("visits")["known"]
        people, self._rng = draft.tables["people"], draft.rng("callers")
        like, end = given["propensity"], float(draft.clock.weeks)
        keen = self._rng.gamma(like["shape"], 1 / like["shape"], len(people))
        keen *= np.where(people["engaged"], like["engaged"], 1) * np.where(
            people["app_user"], like["app_user"], 1
        )
        keen *= (people["order_rate"] / people["order_rate"].mean()) ** like["order_rate_power"]
        # An hour of the week at least after the first order, so that the log tells them apart.
        self._begin = np.maximum(people["joined_week"] + 0.05, paths.log_begin(draft)).to_numpy()
        gone = np.clip(
            people["dropped_week"].fillna(end).to_numpy(), self._begin, np.maximum(end, self._begin)
        )
        self._from = np.concatenate([self._begin, gone])
        self._until = np.concatenate([gone, np.maximum(end, gone)])
        weight = (self._until - self._from) * np.concatenate([keen, keen * like["after_drop_out"]])
        self._edges = np.cumsum(weight)
        orders = draft.tables["orders"]
        self._orders = orders.loc[orders["week"] > self._begin[orders["customer"]], ["customer", "week"]]
        self._given = given

    def __call__(self, count: int, *, before_orders: bool = False) -> dict[str, np.ndarray]:
        """Customer and week of so many visits; `coming` is the order that a visit was made before, or -1."""
        rng = self._rng
        cell = np.searchsorted(self._edges, rng.random(count) * self._edges[-1], side="right")
        week = self._from[cell] + rng.random(count) * (self._until - self._from)[cell]
        customer, coming = cell % len(self._begin), np.full(count, NOBODY)
        if before_orders and len(self._orders):
            row = self._orders.iloc[rng.integers(0, len(self._orders), count)]
            early = row["week"].to_numpy() - 0.03 - rng.exponential(self._given["before_order_weeks"], count)
            fits = (rng.random(count) < self._given["before_order"]) & (
                early > self._begin[row["customer"].to_numpy()]
            )
            customer = np.where(fits, row["customer"], customer)
            week, coming = np.where(fits, early, week), np.where(fits, row.index, NOBODY)
        return {"customer": customer, "week": week, "coming": coming}


def _visitors(draft: Draft, found: pd.DataFrame) -> np.ndarray:
    """Ids of browsers: one for each person and device, numbered in the order of the log."""
    device = pd.Index(list(pages.DEVICES)).get_indexer(found["device"])
    number, browsers = pd.factorize(found["person"] * len(pages.DEVICES) + device)
    return draft.ids("V", len(browsers))[number]
