"""Small experiments that move single orders: reminders, a category offer, birthday wishes, a tasting evening.

All randomise on their own within the test panel. Extra orders are put between the others in order of time;
what was drawn before stays as it was.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from custkit.simulate import history
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance

ARMS = ["customer", "experiment_id", "arm", "week", "took_part"]


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """Extra and marked rows of `orders`, rows of `trial_arms`; adds `one_category` to `people`.

    `orders` gains `nudge` (experiment that brought an extra order, else missing) and `must_have_category`
    (what an order has to hold, else missing). `trial_arms.took_part` tells whether a person invited to an
    event came.
    """
    people, orders = draft.tables["people"], draft.tables["orders"].copy()
    draws = draft.rng("one_category").random(len(people))
    people = people.assign(one_category=draws < parameters("nudges")["exp_xsell"]["one_category_share"])
    orders["nudge"], orders["must_have_category"] = None, None
    arms = []
    for experiment in (_event, _refill, _birthday):
        frame, extra = experiment(draft, people, orders)
        orders = _inserted(draft, people, orders, extra)
        arms.append(frame)
    arms.append(_cross_sell(draft, people, orders))
    return {
        "people": people,
        "orders": orders,
        "trial_arms": pd.concat([draft.tables["trial_arms"], *arms], ignore_index=True),
    }


def allowed(people: pd.DataFrame, at) -> np.ndarray:
    """Consumers who may be sent a message at a time (weeks; one for all, or one each)."""
    gone = people["unsubscribed_week"] < at if "unsubscribed_week" in people else False
    return (people["consent_marketing"] & ~gone).to_numpy()


def reachable(people: pd.DataFrame, at) -> np.ndarray:
    """Those of them in the test panel."""
    return allowed(people, at) & (people["panel"] == "test").to_numpy()


def past_orders(orders: pd.DataFrame, customers: int, until: float) -> pd.DataFrame:
    """Orders so far, week of the last one and median interval (weeks), one row for each consumer."""
    past = orders.loc[orders["week"] < until, ["customer", "week"]]
    grouped = past.groupby("customer")["week"]
    table = pd.DataFrame({"orders": grouped.size(), "last": grouped.max()})
    table["interval"] = grouped.diff().groupby(past["customer"]).median()
    table = table.reindex(np.arange(customers))
    return table.assign(orders=table["orders"].fillna(0).astype(int))


def ordered_within(orders: pd.DataFrame, customer, start, weeks: float) -> np.ndarray:
    """Whether each customer orders between `start` (one time each, weeks) and `weeks` later."""
    begin = pd.Series(np.asarray(start, dtype=float), index=customer)
    own = orders.loc[orders["customer"].isin(begin.index), ["customer", "week"]]
    since = own["week"] - begin.reindex(own["customer"]).to_numpy()
    hit = own.loc[(since >= 0) & (since < weeks), "customer"]
    return np.isin(customer, hit)


def _arms(customer, experiment: str, arm, week, took_part=None) -> pd.DataFrame:
    frame = pd.DataFrame({"customer": customer, "experiment_id": experiment, "arm": arm, "week": week})
    frame["took_part"] = pd.array(
        took_part if took_part is not None else [None] * len(frame), dtype="boolean"
    )
    return frame[ARMS]


def _active(people: pd.DataFrame, orders: pd.DataFrame, given: dict) -> np.ndarray:
    """Positions of the consumers who are reachable at the start and ordered of late."""
    silent = given["start"] - history.last_order(orders, len(people), given["start"])
    return np.flatnonzero(reachable(people, given["start"]) & (silent <= given["active_within"]))


def _halves(rng: np.random.Generator, count: int) -> np.ndarray:
    """True for a random half."""
    return rng.permutation(count) < count // 2


def _early(rng: np.random.Generator, count: int, weeks: float) -> np.ndarray:
    """Delays (weeks) within a window, most of them short."""
    return weeks * rng.random(count) ** 1.6


def _refill(draft, people, orders):
    """Reminder on a fixed day or on the personal due date."""
    given, rng = parameters("nudges")["exp_refill"], draft.rng("exp_refill")
    past = past_orders(orders, len(people), given["start"])
    silent = past["last"] < given["start"] - given["silent_weeks"]
    who = np.flatnonzero(
        reachable(people, given["start"]) & silent & (past["orders"] >= given["least_orders"])
    )
    interval = past["interval"].to_numpy()[who].clip(*given["interval_weeks"])
    last = past["last"].to_numpy()[who]
    due = last + interval * np.ceil((given["start"] - last) / interval)
    fixed = given["fixed_at"] + rng.random(len(who)) / 7
    days = 7 * np.abs((fixed - last + interval / 2) % interval - interval / 2)  # to the nearest due date
    weeks = given["within_days"] / 7
    odds = {
        "personal": np.full(len(who), given["peak"]),
        "fixed": given["peak"] * np.exp(-((days / given["width_days"]) ** 2) / 2),
    }
    silent_then = {
        "personal": ~ordered_within(orders, who, due, weeks),
        "fixed": ~ordered_within(orders, who, fixed, weeks),
    }
    response = {arm: (1 - silent_then[arm] * (1 - odds[arm])).mean() for arm in odds}
    draft.plant(
        "exp_refill.difference",
        response["personal"] - response["fixed"],
        "share",
        "orders within 14 days: reminder on the personal due date less fixed date",
    )
    personal = _halves(rng, len(who))
    arm, sent = np.where(personal, "personal", "fixed"), np.where(personal, due, fixed)
    odd = np.where(personal, odds["personal"], odds["fixed"])
    free = np.where(personal, silent_then["personal"], silent_then["fixed"])
    hit = free & (rng.random(len(who)) < odd)
    late = sent[hit] + _early(rng, hit.sum(), weeks)
    return _arms(who, "EXP-REFILL", arm, sent), _extra("EXP-REFILL", who[hit], late)


def _birthday(draft, people, orders):
    """Wishes on the first day of the birthday month."""
    given, rng = parameters("nudges")["exp_bday"], draft.rng("exp_bday")
    year, (first, last) = draft.clock.as_of.year, given["months"]
    month = people["birth_month"].to_numpy()
    day_one = np.full(13, np.nan)
    for number in range(first, last + 1):
        day_one[number] = (dt.date(year, number, 1) - draft.clock.start).days / 7
    sent = day_one[np.nan_to_num(month).astype(int)]
    who = np.flatnonzero(reachable(people, sent) & (people["joined_week"].to_numpy() < sent))
    sent, weeks = sent[who], given["within_days"] / 7
    free = ~ordered_within(orders, who, sent, weeks)
    # Extra orders come only from those who would not order anyway: scaled to add so many points in all.
    odd = given["points"] / max(free.mean(), 0.5) if len(who) else 0.0
    draft.plant("exp_bday.effect", given["points"], "share", "orders within 7 days of birthday wishes")
    message = _halves(rng, len(who))
    hit = message & free & (rng.random(len(who)) < odd)
    late = sent[hit] + _early(rng, hit.sum(), weeks)
    arms = _arms(who, "EXP-BDAY", np.where(message, "message", "none"), sent)
    return arms, _extra("EXP-BDAY", who[hit], late)


def _event(draft, people, orders):
    """Invitation to a tasting evening; guests order more in the weeks after it."""
    given, rng = parameters("nudges")["exp_event"], draft.rng("exp_event")
    who = _active(people, orders, given)
    invited = _halves(rng, len(who))
    logit, rate = given["attend_logit"], np.log(people["order_rate"].to_numpy())
    odds = chance(
        logit["base"]
        + logit["engaged"] * people["engaged"].to_numpy()[who]
        + logit["order_rate_z"] * ((rate - rate.mean()) / rate.std())[who]
    )
    would_come = rng.random(len(who)) < odds
    guest = invited & would_come
    more = np.where(guest, rng.poisson(given["extra_orders"], len(who)), 0)
    after = given["start"] + given["event_after"]
    left = given["within_weeks"] - given["event_after"]
    customer = np.repeat(who, more)
    extra = _extra("EXP-EVENT", customer, after + _early(rng, len(customer), left))
    draft.plant(
        "exp_event.itt",
        odds.mean() * given["extra_orders"] if len(who) else 0.0,
        "orders",
        "orders within 8 weeks of an invitation, all invited",
    )
    draft.plant("exp_event.attendance", odds.mean() if len(who) else 0.0, "share", "of the invited who come")
    draft.plant("exp_event.guests", given["extra_orders"], "orders", "extra orders of one guest")
    took_part = np.where(invited, guest, None)
    return _arms(who, "EXP-EVENT", np.where(invited, "invited", "none"), given["start"], took_part), extra


def _cross_sell(draft, people, orders):
    """Offer of one category: marks one order of the window; `orders` is changed in place, nothing added."""
    given, rng = parameters("nudges")["exp_xsell"], draft.rng("exp_xsell")
    who = _active(people, orders, given)
    offer = _halves(rng, len(who))
    group = cross_sell_group(people)[who]
    inside = orders["week"].between(given["start"], given["start"] + given["within_weeks"], inclusive="left")
    own = orders.loc[inside & orders["customer"].isin(who)]
    place = rng.random(len(own))
    one = own.assign(place=place).sort_values("place").drop_duplicates("customer")
    row = pd.Series(one.index, index=one["customer"]).reindex(who)
    points = given["own_wish"] + np.where(offer, pd.Series(group).map(given["points"]).to_numpy(float), 0.0)
    marked = row.notna().to_numpy() & (rng.random(len(who)) < points)
    orders.loc[row[marked].astype(int), "must_have_category"] = given["category"]
    draft.plant("exp_xsell.orders", 0.0, "orders", "orders within 6 weeks: the offer moves none")
    return _arms(who, "EXP-XSELL", np.where(offer, "offer", "none"), given["start"])


def plant_cross_selling(draft: Draft) -> None:
    """Plant what the offer changed, once baskets are there: some marked orders held the category anyway."""
    given, people = parameters("nudges")["exp_xsell"], draft.tables["people"]
    arms, lines, orders = (draft.tables[name] for name in ("trial_arms", "order_lines", "orders"))
    who = arms.loc[arms["experiment_id"] == "EXP-XSELL", "customer"].to_numpy()
    kind = draft.tables["products"].set_index("product_id")["category"]
    held = orders["order_id"].isin(lines.loc[lines["product_id"].map(kind) == given["category"], "order_id"])
    inside = orders["week"].between(given["start"], given["start"] + given["within_weeks"], inclusive="left")
    by = pd.DataFrame({"held": held, "marked": orders["must_have_category"].notna()})[inside]
    by = by.groupby(orders.loc[inside, "customer"]).any().reindex(who).dropna().astype(bool)
    group = pd.Series(cross_sell_group(people), index=people.index)
    free = by[~by["marked"]]
    lacks = 1 - free["held"].groupby(group.reindex(free.index)).mean()
    unit, meaning = "share", "with the offered category within 6 weeks, offer less none, "
    effect = pd.Series(given["points"]).mul(lacks).reindex(list(given["points"])).fillna(0.0)
    for name, points in effect.items():
        draft.plant(f"exp_xsell.{name}", points, unit, meaning + f"buyers, {name}")
    overall = group.reindex(by.index).map(effect).sum() / max(len(who), 1)
    draft.plant("exp_xsell.all", overall, unit, meaning + "everybody asked")


def cross_sell_group(people: pd.DataFrame) -> np.ndarray:
    """``one_category``, ``low_engagement`` or ``most``, one per consumer."""
    rest = np.where(people["engaged"], "most", "low_engagement")
    return np.where(people["one_category"], "one_category", rest).astype(object)


def _extra(experiment: str, customer, week) -> pd.DataFrame:
    return pd.DataFrame({"customer": customer, "week": week, "nudge": experiment})


def _inserted(draft, people, orders, extra):
    """Extra orders among the others, in order of time, with amounts of their customers' own spend rate."""
    extra = extra[extra["week"] < draft.clock.weeks]
    if extra.empty:
        return orders
    rng = draft.rng(f"amounts {extra['nudge'].iat[0]}")
    shape, rate = parameters("people")["spend_model"]["p"], people["spend_rate"].to_numpy()[extra["customer"]]
    extra = extra.assign(net_amount=np.round(rng.gamma(shape, 1 / rate), 2)).reindex(columns=orders.columns)
    for name in orders.select_dtypes(bool).columns:
        extra[name] = False
    both = pd.concat([orders, extra.astype(orders.dtypes)], ignore_index=True)
    return both.sort_values(["week", "customer"], kind="stable", ignore_index=True)
