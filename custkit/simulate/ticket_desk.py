"""The service desk: who takes a ticket, how fast, how it ends, and what the customer thinks of it.

Satisfaction is beta-binomial on 1 to 5, so that its mean is linear in what causes it and effects are points.
Customers' latent service factor acts on reply time and transfers only: they are indicators of it, and all
else follows from them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.streams import choose

MINUTE, DAY = np.timedelta64(60, "s"), 86400


class Desk:
    """Agents, their shifts, and by what factor each day and hour is busier than the average.

    Attributes
    ----------
    agents : DataFrame
        The service agents; index 0, 1, …
    on_duty : bool array (days, shifts, agents)
        Who works in which shift (early, late).
    playbook_b : bool array (days, agents)
        Play-book drawn by lot for each agent and day; True = B.
    """

    def __init__(self, draft: Draft, day_load: np.ndarray):
        given, rng = parameters("tickets"), draft.rng("ticket_desk")
        staff = draft.tables["staff"]
        self.agents = staff[staff["role"] == "service_agent"].reset_index(drop=True)
        self.store_staff = staff[staff["role"] == "store"].reset_index(drop=True)
        self.change, self.clock = given["desk"]["shift_change"], draft.clock
        day = np.arange(len(day_load))[:, None]
        agent = np.arange(len(self.agents))[None, :]
        works = (day + 2 * agent) % 7 < given["desk"]["days_a_week"]
        early = (day // 7 + agent) % 2 == 0
        self.on_duty = np.stack([works & early, works & ~early], axis=1)
        self.playbook_b = rng.random(works.shape) < 0.5
        # Objections of a day go to one agent at each objection desk: a trained eye, and clusters.
        self.desks = max(1, round(draft.size / given["reference_customers"]))
        pick = rng.random((*works.shape, self.desks)) * works[:, :, None]
        self.objections_to = pick.argmax(axis=1)
        hour_load = np.zeros(24)
        hour_load[list(given["hours"])] = list(given["hours"].values())
        self.load = np.outer(day_load / day_load.mean(), hour_load / hour_load[hour_load > 0].mean())

    def assign(self, rng: np.random.Generator, tickets: pd.DataFrame, city: np.ndarray) -> np.ndarray:
        """Position of the agent who takes each ticket; store tickets: minus 1 minus the store clerk's."""
        day, late = tickets["day"].to_numpy(), (tickets["hour"] >= self.change).to_numpy(int)
        free = self.on_duty[day, late]
        anyone = self.on_duty[day].any(axis=1)
        free = np.where(free.any(axis=1, keepdims=True), free, anyone)
        agent = (rng.random(free.shape) * free).argmax(axis=1)
        objection = (tickets["kind"] == "objection").to_numpy()
        agent = np.where(objection, self.objections_to[day, tickets["customer"] % self.desks], agent)
        sites = np.array([parameters("staff")["sites"][name] for name in city], dtype=object)
        near = self.store_staff["site"].to_numpy()[None, :] == sites[:, None]
        clerk = (rng.random(near.shape) * near).argmax(axis=1)
        return np.where(tickets["channel"] == "store", -1 - clerk, agent)

    def trained(self, agent: np.ndarray, week: np.ndarray) -> np.ndarray:
        """Whether the agent had been trained by then; store clerks never are."""
        return (agent >= 0) & (self.agents["trained_week"].to_numpy()[np.maximum(agent, 0)] <= week)

    def staff_ids(self, agent: np.ndarray) -> np.ndarray:
        """Ids of agents and store clerks, as `assign` gives them."""
        ids, clerks = self.agents["staff_id"].to_numpy(), self.store_staff["staff_id"].to_numpy()
        return np.where(agent >= 0, ids[np.maximum(agent, 0)], clerks[np.maximum(-1 - agent, 0)])

    def answer_prospects(self, tickets: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """Questions before the first order: any agent, no rating, solved by the answer."""
        given, count = parameters("tickets"), len(tickets)
        works = self.on_duty[tickets["day"].to_numpy()].any(axis=1)
        agent = (rng.random(works.shape) * works).argmax(axis=1)
        shape, mean = given["handling"]["shape"], given["channels"]["handling_mean"]["email"]
        tickets["handling_min"] = np.round(rng.gamma(shape, mean / shape, count).clip(1), 1)
        wait = np.round(60 * (tickets["first_reply_min"] + tickets["handling_min"])).to_numpy()
        resolved = tickets["opened_at"].to_numpy() + wait.astype("timedelta64[s]")
        return tickets.assign(
            staff_id=self.staff_ids(agent),
            resolved_at=_before_end(self.clock, resolved),
            n_transfers=0,
            reopened=False,
            compensation=0.0,
            csat=np.nan,
        )


def _before_end(clock, times: np.ndarray) -> np.ndarray:
    """Times, NaT where they lie after the record's last day."""
    end = np.datetime64(clock.as_of, "s") + np.timedelta64(DAY, "s")
    return np.where(times < end, times, np.datetime64("NaT"))


def handle(draft: Draft, desk: Desk, tickets: pd.DataFrame, name: str) -> pd.DataFrame:
    """Adds to arrivals (customer, day, hour, channel, kind, topic, opened_at) what became of them."""
    rng, people = draft.rng(f"ticket_handling_{name}"), draft.tables["people"]
    about = people.loc[tickets["customer"], ["service", "communication", "city"]].reset_index(drop=True)
    tickets = tickets.assign(week=(tickets["day"] + tickets["hour"] / 24) / 7, prospect=False)
    tickets["follow_up"] = name == "again"
    agent = desk.assign(rng, tickets, about["city"].to_numpy())
    tickets["staff_id"], tickets["agent"] = desk.staff_ids(agent), agent
    trained = desk.trained(agent, tickets["week"].to_numpy())
    tickets["trained"] = trained
    tickets["first_reply_min"] = _first_reply(rng, desk, tickets, about, trained)
    tickets["n_transfers"] = _transfers(rng, tickets, about)
    tickets = _outcome(rng, desk, tickets)
    tickets["csat"] = _csat(rng, desk, tickets, trained)
    tickets = _objections(rng, desk, tickets)
    suggestion = (tickets["kind"] == "suggestion").to_numpy()
    decided = np.where(
        tickets["first_reply_min"].notna(),
        choose(rng, parameters("tickets")["decisions"], len(tickets)),
        "none",
    )
    tickets["decision"] = np.where(suggestion, decided, None)
    return tickets


def _doublings(reply: pd.Series) -> np.ndarray:
    """Reply time in doublings of the bend; that of a ticket never answered counts as a day."""
    minutes = reply.fillna(1440).to_numpy()
    return np.log2(minutes / parameters("tickets")["csat"]["bend_min"])


def _first_reply(
    rng, desk: Desk, tickets: pd.DataFrame, about: pd.DataFrame, trained: np.ndarray
) -> np.ndarray:
    """Minutes until the first reply, lognormal; nan for tickets nobody ever answers."""
    given = parameters("tickets")
    reply = given["reply"]
    hour = tickets["hour"].to_numpy().astype(int)
    log_minutes = (
        np.log(tickets["channel"].map(given["channels"]["reply_median"]).to_numpy(float))
        + reply["load"] * np.log(desk.load[tickets["day"].to_numpy(), hour])
        + reply["service"] * about["service"].to_numpy()
        + reply["trained"] * trained
        + reply["std"] * rng.standard_normal(len(tickets))
    )
    base = tickets["kind"].map(given["unanswered"]).to_numpy(float)
    slope = np.where(tickets["kind"] == "suggestion", given["unanswered_communication"], 0.0)
    never = rng.random(len(tickets)) < chance(np.log(base / (1 - base)) + slope * about["communication"])
    minutes = np.round(np.exp(log_minutes).clip(0.2), 1)
    late = np.isnat(
        _before_end(desk.clock, tickets["opened_at"].to_numpy() + (minutes * 60).astype("timedelta64[s]"))
    )
    return np.where(never | late, np.nan, minutes)


def _transfers(rng, tickets: pd.DataFrame, about: pd.DataFrame) -> np.ndarray:
    """How often the ticket was passed on."""
    given = parameters("tickets")["transfers"]
    topic = tickets["topic"].map(given["topics"]).fillna(1.0).to_numpy()
    mean = given["mean"] * topic * np.exp(given["service"] * about["service"].to_numpy())
    return np.where(tickets["first_reply_min"].isna(), 0, rng.poisson(mean).clip(0, 6))


def _outcome(rng, desk: Desk, tickets: pd.DataFrame) -> pd.DataFrame:
    """Adds handling time, whether and when it was solved, reopened, compensation."""
    given, count = parameters("tickets"), len(tickets)
    kind, transfers = tickets["kind"], tickets["n_transfers"].to_numpy()
    answered, complaint = tickets["first_reply_min"].notna().to_numpy(), (kind == "complaint").to_numpy()
    doublings = _doublings(tickets["first_reply_min"])

    work = given["handling"]
    mean = tickets["channel"].map(given["channels"]["handling_mean"]).to_numpy(float)
    mean = mean * np.where(complaint, work["complaint"], 1.0) + work["transfer"] * transfers
    minutes = np.round(rng.gamma(work["shape"], mean / work["shape"]).clip(1), 1)
    tickets["handling_min"] = np.where(answered, minutes, 0.0)

    solvable, paid = _chances(tickets, doublings)
    good = answered & (rng.random(count) < solvable)
    steps = given["steps_min"]
    spread = np.exp(steps["std"] * rng.standard_normal((count, 2)))
    wait = (
        transfers * steps["transfer"] * spread[:, 0] + kind.map(steps["work"]).to_numpy(float) * spread[:, 1]
    )
    seconds = 60 * (tickets["first_reply_min"].fillna(0).to_numpy() + minutes + wait)
    resolved = _before_end(desk.clock, tickets["opened_at"].to_numpy() + seconds.astype("timedelta64[s]"))
    tickets["resolved_at"] = np.where(good, resolved, np.datetime64("NaT"))
    good = tickets["resolved_at"].notna().to_numpy()

    again = given["reopened"]
    logit = again["base"] + again["complaint"] * complaint + again["transfer"] * transfers
    tickets["reopened"] = good & (rng.random(count) < chance(logit))
    given_money = answered & (rng.random(count) < paid)
    tickets["compensation"] = np.where(
        given_money, choose(rng, given["compensation"]["amounts"], count), 0
    ).astype(float)
    return tickets


def _chances(tickets: pd.DataFrame, doublings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chances that a ticket is solved, and that a complaint is paid for, by the wait for the reply."""
    given = parameters("tickets")
    solved, paid, transfers = given["solved"], given["compensation"], tickets["n_transfers"].to_numpy()
    logit = tickets["kind"].map(solved["base"]).to_numpy(float) + solved["per_doubling"] * doublings
    logit_paid = paid["base"] + paid["per_doubling"] * doublings + paid["transfer"] * transfers
    complaint = (tickets["kind"] == "complaint").to_numpy()
    return chance(logit + solved["transfer"] * transfers), chance(logit_paid) * complaint


def training_in_all(tickets: pd.DataFrame) -> float:
    """Expected effect of training on csat over trained agents' rated tickets, quicker replies included."""
    given = parameters("tickets")
    csat, rated = given["csat"], tickets[tickets["trained"].eq(True) & tickets["csat"].notna()]

    def points(doublings):
        solved, paid = _chances(rated, doublings)
        slow = csat["per_doubling"] * np.maximum(doublings, 0)
        return slow + csat["unsolved"] * (1 - solved) + csat["compensation"] * paid

    with_training = _doublings(rated["first_reply_min"])
    without = with_training - given["reply"]["trained"] / np.log(2)
    return csat["trained"] + float((points(with_training) - points(without)).mean())


def _csat(rng, desk: Desk, tickets: pd.DataFrame, trained: np.ndarray) -> np.ndarray:
    """Satisfaction 1 to 5 of those asked who answered; nan otherwise."""
    given = parameters("tickets")
    about, agent = given["csat"], tickets["agent"].to_numpy()
    skill = np.where(agent >= 0, desk.agents["skill"].to_numpy()[np.maximum(agent, 0)], 0.0)
    mean = (
        about["base"]
        + tickets["kind"].map(about["kinds"]).to_numpy(float)
        + tickets["channel"].map(given["channels"]["csat"]).to_numpy(float)
        + about["per_doubling"] * np.maximum(_doublings(tickets["first_reply_min"]), 0)
        + about["transfer"] * tickets["n_transfers"].to_numpy()
        + about["unsolved"] * tickets["resolved_at"].isna().to_numpy()
        + about["reopened"] * tickets["reopened"].to_numpy()
        + about["compensation"] * (tickets["compensation"] > 0).to_numpy()
        + about["trained"] * trained
        + about["skill"] * skill
        + about["per_year"] * tickets["week"].to_numpy() / 52
    )
    share = ((mean - 1) / 4).clip(0.02, 0.98)
    wish = rng.beta(about["concentration"] * share, about["concentration"] * (1 - share))
    points = 1.0 + rng.binomial(4, wish)
    asked = rng.random(len(tickets)) < tickets["channel"].map(given["channels"]["csat_asked"]).to_numpy(float)
    return np.where(asked & tickets["first_reply_min"].notna(), points, np.nan)


def _objections(rng, desk: Desk, tickets: pd.DataFrame) -> pd.DataFrame:
    """Adds the play-book and whether the customer bought; outcomes of an agent-day hang together."""
    given = parameters("tickets")["playbook"]
    day, agent = tickets["day"].to_numpy(), tickets["agent"].to_numpy()
    objection = (tickets["kind"] == "objection").to_numpy()
    trial = objection & (desk.clock.week_number(day / 7) >= given["first_week"])
    b = trial & desk.playbook_b[day, np.maximum(agent, 0)]
    better = np.where(tickets["topic"] == "quality", given["b_quality"], given["b"])
    bar = stats.norm.ppf(np.where(b, better, given["a"]))
    together = given["day_correlation"]
    mood = rng.standard_normal(desk.playbook_b.shape)[day, np.maximum(agent, 0)]
    own = rng.standard_normal(len(tickets))
    bought = np.sqrt(together) * mood + np.sqrt(1 - together) * own < bar
    sold = (bought & tickets["first_reply_min"].notna().to_numpy()).astype(object)
    tickets["playbook"] = np.where(trial, np.where(b, "B", "A"), None)
    tickets["sale_outcome"] = np.where(objection, sold, None)
    return tickets


def follow_ups(draft: Draft, first: pd.DataFrame) -> pd.DataFrame:
    """Second tickets on the same matter, by another channel, where the first was not solved."""
    given, rng = parameters("tickets")["follow_up"], draft.rng("ticket_follow_ups")
    waiting = first[first["resolved_at"].isna() & first["kind"].isin(["question", "complaint"])]
    waiting = waiting[rng.random(len(waiting)) < given["unsolved"]]
    days = np.ceil(rng.exponential(given["days"], len(waiting)).clip(0.01, 6)).astype(int)
    kept = ["customer", "kind", "topic", "order_id", "defect"]
    again = waiting[kept].assign(day=waiting["day"] + days, left_channel=waiting["channel"])
    return again[again["day"] < 7 * draft.clock.weeks].reset_index(drop=True)
