"""Tickets of the service desk: who writes when, and about what.

Customers write as a Poisson process while they are active, at a rate that falls with the quality and the
service they get. What the desk does with a ticket is in `ticket_desk`, what it says in `ticket_texts`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.streams import choose_each
from custkit.simulate.ticket_desk import Desk, follow_ups, handle, training_in_all
from custkit.simulate.ticket_orders import defect_complaints, refer_to_orders
from custkit.simulate.ticket_texts import write

KINDS = ("question", "complaint", "suggestion", "objection")
TOPICS = ("quality", "function", "navigation", "delivery", "price", "payment", "service", "other")
PUBLIC = (
    "ticket_id",
    "customer_id",
    "order_id",
    "opened_at",
    "channel",
    "kind",
    "topic",
    "staff_id",
    "playbook",
)
PUBLIC += (
    "first_reply_min",
    "handling_min",
    "resolved_at",
    "n_transfers",
    "reopened",
    "compensation",
    "csat",
)
PUBLIC += ("sale_outcome", "decision", "text")
HIDDEN = ("customer", "week", "follow_up", "prospect")


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`tickets` in order of time; hidden: `customer` (−1: none), `week`, `follow_up`, `prospect`."""
    calendar = Calendar.of(draft)
    desk = Desk(draft, calendar.load)
    first = refer_to_orders(draft, _from_customers(draft, calendar))
    first = pd.concat([first, defect_complaints(draft)], ignore_index=True)
    first = handle(draft, desk, _at_hours(draft, first, "first"), "first")
    again = handle(draft, desk, _at_hours(draft, follow_ups(draft, first), "again"), "again")
    tickets = pd.concat([first, again, _from_prospects(draft, desk)], ignore_index=True)
    order = np.argsort(tickets["opened_at"].to_numpy(), kind="stable")
    tickets = tickets.iloc[order].reset_index(drop=True)
    tickets["ticket_id"] = draft.ids("T", len(tickets))
    customer_id = draft.tables["people"]["customer_id"].to_numpy()
    tickets["customer_id"] = np.where(tickets["customer"] < 0, None, customer_id[tickets["customer"]])
    tickets["text"] = write(draft, tickets)
    for column in ("customer_id", "order_id", "playbook", "sale_outcome", "decision"):
        tickets[column] = tickets[column].astype(object).where(tickets[column].notna(), None)
    _plant(draft, tickets)
    return {"tickets": tickets[[*PUBLIC, *HIDDEN]]}


class Calendar:
    """How many tickets each day brings, by kind, against the average day.

    Attributes
    ----------
    by_kind : array (days, kinds)
        Expected tickets of an average customer, as a share of those of an average day.
    load : array (days,)
        The same of all kinds together, with each kind's share.
    """

    def __init__(self, by_kind: np.ndarray):
        self.by_kind = by_kind
        self.load = by_kind.sum(axis=1)
        self.passed = np.concatenate([[0], np.cumsum(self.load)]) / 7  # in average weeks

    @classmethod
    def of(cls, draft: Draft) -> Calendar:
        """Season, days of the week, bursts of objections on offer days, incidents."""
        given, clock = parameters("tickets"), draft.clock
        arrivals, rng = given["arrivals"], draft.rng("ticket_days")
        day = np.arange(7 * clock.weeks)
        week = day / 7
        level = np.array(arrivals["weekdays"])[day % 7]
        level = level * np.where(clock.in_gift_season(week), arrivals["gift_season"], 1.0)
        offers = rng.random(len(day)) < arrivals["offer_days"]["share"]
        bursts = np.where(offers, arrivals["offer_days"]["objections"], 1.0)
        by_kind = np.column_stack(
            [
                arrivals["kinds"][kind]
                * level
                * topic_weights(draft, kind, week).sum(axis=1)
                * (bursts / bursts.mean() if kind == "objection" else 1.0)
                for kind in KINDS
            ]
        )
        return cls(by_kind)

    def times(self, rng: np.random.Generator, begin, end, rate) -> tuple[np.ndarray, np.ndarray]:
        """Customer positions and times (weeks) of a Poisson process between two times, calendar applied."""
        at = np.arange(len(self.passed)) / 7
        low, high = np.interp(begin, at, self.passed), np.interp(end, at, self.passed)
        number = rng.poisson(rate * np.maximum(high - low, 0))
        who = np.repeat(np.arange(len(number)), number)
        passed = low[who] + (high - low)[who] * rng.random(len(who))
        return who, np.interp(passed, self.passed, at)


def topic_weights(draft: Draft, kind: str, week) -> np.ndarray:
    """Weights (times × topics) of one kind; they exceed 1 in sum while a topic is raised by an incident."""
    given, clock = parameters("tickets"), draft.clock
    weights = np.tile([given["topics"][kind][topic] for topic in TOPICS], (len(week), 1))
    number = clock.week_number(week)
    for incident in given["incidents"] if kind in ("question", "complaint") else []:
        low, high = incident["weeks"]
        weights[(number >= low) & (number <= high), TOPICS.index(incident["topic"])] *= incident["factor"]
    return weights


def active_until(draft: Draft) -> np.ndarray:
    """Time (weeks) until which each consumer may write: some weeks after the order with which one left."""
    people, grace = draft.tables["people"], parameters("tickets")["arrivals"]["grace_weeks"]
    return np.fmin(people["lost_week"].to_numpy() + grace, draft.clock.weeks)


def _from_customers(draft: Draft, calendar: Calendar) -> pd.DataFrame:
    """Customer, day, kind and topic of what active customers write."""
    given, rng, people = parameters("tickets"), draft.rng("tickets"), draft.tables["people"]
    arrivals = given["arrivals"]
    slope, log_rate = arrivals["log_rate"], np.log(people["order_rate"])
    raised = slope["quality"] * people["quality"] + slope["service"] * people["service"]
    raised = raised + slope["order_rate"] * (log_rate - np.log(people["order_rate"].mean()))
    begin = np.ceil(people["joined_week"].to_numpy() * 7) / 7  # from the day after the first order
    rate = arrivals["per_week"] * np.exp(raised.to_numpy())
    who, week = calendar.times(rng, begin, active_until(draft), rate)
    kept = ~_advised(draft, who, week) | (rng.random(len(who)) < arrivals["coach_ratio"])
    who, day = who[kept], np.floor(week[kept] * 7 + 1e-6).astype(int).clip(0, 7 * draft.clock.weeks - 1)
    kind = choose_each(rng, calendar.by_kind[day])
    topic = np.zeros(len(who), dtype=int)
    tilt = _topic_tilt(people)
    for number, name in enumerate(KINDS):
        rows = kind == number
        topic[rows] = choose_each(rng, topic_weights(draft, name, day[rows] / 7) * tilt[who[rows]])
    return pd.DataFrame(
        {"customer": who, "day": day, "kind": np.array(KINDS)[kind], "topic": np.array(TOPICS)[topic]}
    )


def _topic_tilt(people: pd.DataFrame) -> np.ndarray:
    """Factors (customers × topics): those badly served on one side write about that side."""
    tilt = np.zeros((len(people), len(TOPICS)))
    for factor, topics in parameters("tickets")["topic_tilt"].items():
        for topic, slope in topics.items():
            tilt[:, TOPICS.index(topic)] += slope * people[factor].to_numpy()
    return np.exp(tilt)


def _advised(draft: Draft, customer: np.ndarray, week: np.ndarray) -> np.ndarray:
    """Whether each customer has the brewing coach (COACH) at that time."""
    advised = np.zeros(len(customer), dtype=bool)
    if "vas_subscriptions" not in draft.tables:
        return advised
    coach = draft.tables["vas_subscriptions"].query("service == 'COACH'")
    spells = coach[["customer", "start_week", "end_week"]].astype(float)
    asked = pd.DataFrame({"customer": customer, "week": week, "row": np.arange(len(customer))})
    both = asked.merge(spells, on="customer")
    inside = (both["start_week"] <= both["week"]) & ~(both["end_week"] <= both["week"])
    advised[both.loc[inside, "row"]] = True
    return advised


def _at_hours(draft: Draft, tickets: pd.DataFrame, name: str) -> pd.DataFrame:
    """Adds channel (unless given) and `opened_at`: an opening hour of the day, by the desk's hour profile."""
    given, rng = parameters("tickets"), draft.rng(f"ticket_hours_{name}")
    names = np.array(list(given["channels"]["reply_median"]), dtype=object)
    shares = {
        kind: [share[channel] for channel in names] for kind, share in given["channels"]["shares"].items()
    }
    weights = np.array([shares[kind] for kind in tickets["kind"]]).reshape(-1, len(names))
    if "left_channel" in tickets:
        weights = np.where(tickets["left_channel"].to_numpy()[:, None] == names, 0.0, weights)
    channel = names[choose_each(rng, weights)]
    hours = np.array(list(given["hours"]))
    profile = np.tile(np.array(list(given["hours"].values())), (len(tickets), 1))
    profile[(channel == "store")[:, None] & (hours < 10)[None, :]] = 0.0
    hour = hours[choose_each(rng, profile)] + rng.random(len(tickets))
    seconds = np.floor(tickets["day"].to_numpy() * 86400.0 + hour * 3600).astype("timedelta64[s]")
    opened = np.datetime64(draft.clock.start, "s") + seconds
    return tickets.assign(channel=channel, opened_at=opened, hour=hour)


def _from_prospects(draft: Draft, desk: Desk) -> pd.DataFrame:
    """Questions before the first order, answered slowly; whoever orders then is one of the consumers.

    P(order) is logistic in the hours until the reply. Those who order are matched to consumers drawn by
    lot, whose first order it was; the others never become customers.
    """
    given, rng, people = parameters("tickets"), draft.rng("ticket_prospects"), draft.tables["people"]
    about, clock = given["prospects"], draft.clock
    count = round(about["count"] * draft.size / given["reference_customers"])
    reply = about["reply_hours"]
    hours = np.minimum(reply["median"] * np.exp(reply["std"] * rng.standard_normal(count)), reply["most"])
    share = np.array(list(about["share_topics"].values()))
    topic = np.array(list(about["share_topics"]), dtype=object)[
        rng.choice(len(share), count, p=share / share.sum())
    ]
    logit = about["logit"]["base"] + np.array([about["topic_logit"][name] for name in topic])
    ordered = rng.random(count) < chance(logit + about["logit"]["per_hour"] * hours)
    # Everyone asks some days before a first order: the own one, or (who never orders) that of someone alike.
    eligible = np.flatnonzero((people["acq_channel"] != "store") & (people["joined_week"] > 2))
    someone = rng.permutation(np.resize(rng.permutation(eligible), count))
    before = hours / 24 + rng.exponential(about["days_to_order"], count).clip(0.02, 7)
    opened = people["joined_at"].to_numpy()[someone] - np.round(before * 86400).astype("timedelta64[s]")
    customer = np.where(ordered, someone, -1)
    tickets = pd.DataFrame({"customer": customer, "topic": topic, "opened_at": opened})
    tickets["kind"], tickets["channel"], tickets["prospect"] = "question", "email", True
    tickets["follow_up"] = False
    tickets["first_reply_min"] = np.round(60 * hours, 1)
    day = (opened - np.datetime64(clock.start, "s")) / np.timedelta64(86400, "s")
    tickets["day"], tickets["week"] = np.floor(day).astype(int), day / 7
    first_orders = draft.tables["orders"].drop_duplicates("customer").set_index("customer")["order_id"]
    tickets["order_id"] = np.where(ordered, first_orders.reindex(someone).to_numpy(), None)
    return desk.answer_prospects(tickets, rng)


def _plant(draft: Draft, tickets: pd.DataFrame) -> None:
    """Notes the true effects; those of a mixture are taken over the tickets drawn."""
    given = parameters("tickets")
    csat, arrivals, book = given["csat"], given["arrivals"], given["playbook"]
    for name, meaning in (
        ("trained", "training on csat, beside the quicker reply"),
        ("transfer", "one transfer on csat"),
        ("per_doubling", "each doubling of the reply time beyond the bend on csat"),
        ("compensation", "compensation on csat"),
    ):
        draft.plant(f"tickets.csat.{name}", csat[name], "csat points", meaning)
    in_all = "training on csat, by quicker replies too"
    draft.plant("tickets.csat.trained_in_all", training_in_all(tickets), "csat points", in_all)
    draft.plant("tickets.csat.bend", csat["bend_min"], "minutes", "reply time from which csat falls")
    draft.plant(
        "tickets.reply.trained", given["reply"]["trained"], "log minutes", "training on the first reply"
    )
    for name in ("quality", "service"):
        meaning = f"ticket rate of an active customer by latent {name} (one standard deviation)"
        draft.plant(f"tickets.rate.{name}", arrivals["log_rate"][name], "log rate", meaning)
    draft.plant(
        "tickets.rate.coach", arrivals["coach_ratio"], "ratio", "ticket rate while COACH is subscribed"
    )
    trial = tickets["playbook"].notna() & tickets["sale_outcome"].notna()
    quality = (tickets.loc[trial, "topic"] == "quality").mean()
    mean_b = book["b"] + quality * (book["b_quality"] - book["b"])
    draft.plant(
        "playbook.sale", mean_b - book["a"], "share", "play-book B against A on sales after objections"
    )
    for name, b in (("other_topics", book["b"]), ("quality", book["b_quality"])):
        meaning = f"play-book B against A, topic {name.replace('_', ' ')}"
        draft.plant(f"playbook.sale.{name}", b - book["a"], "share", meaning)
    slope = given["prospects"]["logit"]["per_hour"]
    draft.plant("tickets.prospects.per_hour", slope, "log-odds", "hour until the reply on the first order")
    meaning = "a solved complaint on ordering in weeks 14 to 26 after it; latent service does it"
    draft.plant("tickets.solved.retention", 0, "share", meaning)
    draft.plant("tickets.gender.csat", 0, "csat points", "women against men")
    for product, defect in given["defects"].items():
        draft.plant(f"tickets.defect.{product}", defect["per_order"], "tickets an order", "complaints on top")
