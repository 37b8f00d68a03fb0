"""Who follows, mentions and refers whom among the consumers.

Follows grow as in Price (1976), on cumulative advantage: a new link goes to the target of an earlier link,
drawn at random, or to anybody. Referrals are Poisson with a mean by net promoter
group and year. A few rings of one person with several accounts refer themselves for the reward.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate import rings
from custkit.simulate.attitudes import nps_group, nps_score
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.media import season
from custkit.simulate.people import chance
from custkit.simulate.seeding import seeding_value


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`social_edges`; `people` with the accounts of referral rings changed.

    Hidden columns of `social_edges`: src, dst (positions in `people`), week, ring (number of the ring,
    missing for honest referrals).
    """
    follows = draft.tables["follows"]
    people, ringed = rings.draw(draft)
    parts = [
        follows[["src", "dst", "week"]].assign(kind="follow"),
        _mentions(draft, follows).assign(kind="mention"),
        _referrals(draft, ringed).assign(kind="referral"),
    ]
    edges = pd.concat(parts, ignore_index=True)
    edges = edges.sort_values(["week", "src", "dst"], kind="stable", ignore_index=True)
    edges.insert(0, "edge_id", draft.ids("E", len(edges)))
    for end in ("src", "dst"):
        edges[f"{end}_customer_id"] = people["customer_id"].to_numpy()[edges[end]]
    edges["at"] = draft.clock.timestamps(edges["week"])
    referral = (edges["kind"] == "referral").to_numpy()
    edges["reward_paid"] = np.where(referral, _reward(edges["at"]), np.nan)
    orders = draft.tables["orders"].drop_duplicates("customer").set_index("customer")
    edges["first_order_id"] = np.where(referral, orders["order_id"].reindex(edges["dst"]).to_numpy(), None)
    draft.truth["truth_network"] = seeding_value(draft, follows)
    return {"people": people, "social_edges": edges}


def follow_graph(draft: Draft) -> pd.DataFrame:
    """Follows: src, dst (positions in `people`), week, back (a follow returned); in order of time."""
    given, people, rng = parameters("network"), draft.tables["people"], draft.rng("follow_graph")
    entry = _entry(draft, rng)
    who = np.flatnonzero(entry < draft.clock.weeks)
    follow = given["follow"]
    mean = np.where(people["engaged"].to_numpy()[who], follow["more"]["engaged"], follow["more"]["other"])
    more = rng.poisson(mean * rng.gamma(follow["more_shape"], 1 / follow["more_shape"], len(who)))
    later = np.repeat(who, more)
    week = np.concatenate(
        [entry[who], entry[later] + follow["spread_weeks"] * rng.exponential(size=len(later))]
    )
    edges = pd.DataFrame({"src": np.concatenate([who, later]), "week": week})
    edges = edges[edges["week"] < draft.clock.weeks].sort_values("week", ignore_index=True)
    edges["dst"] = _targets(rng, edges, np.sort(entry[who]), who[np.argsort(entry[who])])
    edges = edges[edges["dst"] >= 0]
    draft.plant("network.preferential", follow["preferential"], "share", "follows that go where others went")
    return _with_returns(rng, edges.assign(back=False), draft.clock.weeks)


def _entry(draft: Draft, rng: np.random.Generator) -> np.ndarray:
    """When each consumer enters the community (weeks); infinite for those who never do."""
    given, people = parameters("network")["community"], draft.tables["people"]
    rate = np.log(people["order_rate"].to_numpy())
    logit = (
        given["base"]
        + given["engaged"] * people["engaged"].to_numpy()
        + given["order_rate_z"] * (rate - rate.mean()) / rate.std()
        + given["club"] * people["member_since"].notna().to_numpy()
        + given["without_platform"] * (people["social_platform"] == "none").to_numpy()
    )
    comes = rng.random(len(people)) < chance(logit)
    # The delay hangs on nothing, so that those who came later show what those before them would have done.
    delay = given["entry_delay_weeks"] * rng.exponential(size=len(people))
    return np.where(comes, people["joined_week"].to_numpy() + delay, np.inf)


def _targets(
    rng: np.random.Generator, edges: pd.DataFrame, entered: np.ndarray, node: np.ndarray
) -> list[int]:
    """Whom each follow goes to; -1 where nothing comes of it, being of oneself, of nobody, or a second time.

    Parameters
    ----------
    edges : DataFrame
        Follows, in order of time: src, week.
    entered, node : arrays
        Times of entry, in order, and who entered.
    """
    share = parameters("network")["follow"]["preferential"]
    there = np.searchsorted(entered, edges["week"].to_numpy(), "left")
    anybody = np.where(there > 0, node[(rng.random(len(edges)) * there).astype(int)], -1).tolist()
    copies, place = rng.random(len(edges)) < share, rng.random(len(edges)).tolist()
    links, known, targets = [], set(), []
    # One after the other: each link hangs on those before it.
    for person, other, copy, where in zip(
        edges["src"].tolist(), anybody, copies.tolist(), place, strict=True
    ):
        if copy and links:
            other = links[int(where * len(links))]
        if other == person or other < 0 or (person, other) in known:
            targets.append(-1)
            continue
        known.add((person, other))
        links.append(other)
        targets.append(other)
    return targets


def _with_returns(rng: np.random.Generator, edges: pd.DataFrame, until: float) -> pd.DataFrame:
    """Some are followed back; not where they followed already."""
    given = parameters("network")["follow"]
    back = edges[rng.random(len(edges)) < given["back"]]
    late = back["week"] + given["back_weeks"] * rng.exponential(size=len(back))
    back = pd.DataFrame({"src": back["dst"], "dst": back["src"], "week": late, "back": True})
    both = pd.concat([edges, back[late < until]], ignore_index=True)
    both = both.drop_duplicates(["src", "dst"])  # the follow of one's own accord stands before the return
    return both.sort_values("week", kind="stable", ignore_index=True)[["src", "dst", "week", "back"]]


def _mentions(draft: Draft, follows: pd.DataFrame) -> pd.DataFrame:
    """Mentions of people one follows, spread over the time of following."""
    given, people, rng = parameters("network")["mention"], draft.tables["people"], draft.rng("mentions")
    left = draft.clock.weeks - follows["week"].to_numpy()
    engaged = people["engaged"].to_numpy()[follows["src"]]
    rate = np.where(engaged, given["per_year"]["engaged"], given["per_year"]["other"])
    edges = follows.loc[np.repeat(follows.index, rng.poisson(rate * left / 52))]
    week = edges["week"] + (draft.clock.weeks - edges["week"]) * rng.random(len(edges))
    return edges[["src", "dst"]].assign(week=week)


def _referrals(draft: Draft, ringed: pd.DataFrame) -> pd.DataFrame:
    """Who brought which customer: everybody brings new ones at a rate of his own, from his first order on.

    They are customers by referral; those beyond what the rates bring came without a code.
    """
    people, rng, clock = draft.tables["people"], draft.rng("referrals"), draft.clock
    pull = _pull(draft)
    joined = people["joined_week"].to_numpy()
    brought = np.setdiff1d(np.flatnonzero(people["acq_channel"] == "referral"), ringed["dst"])
    brought = brought[brought > 0]
    busy = season(clock, np.arange(1, clock.weeks + 1))
    come = len(brought) * busy / busy.sum()  # expected a week
    # Consumers stand in the order of their first orders: those before one are the earlier ones.
    edges = np.cumsum(pull) / 52
    wanted = edges[brought - 1] / come[clock.week_number(joined[brought]) - 1]
    traced = brought[rng.random(len(brought)) < wanted]
    src = np.searchsorted(edges, rng.random(len(traced)) * edges[traced - 1], "right")
    honest = pd.DataFrame({"src": src, "dst": traced, "week": joined[traced]})
    return pd.concat([honest, ringed], ignore_index=True)


def _pull(draft: Draft) -> np.ndarray:
    """New customers each consumer brings in a year; plants what surveys can show of it."""
    mean = parameters("network")["referral"]["per_year"]
    pull = pd.Series(nps_group(draft)).map(mean).to_numpy(float)
    given, score = parameters("surveys")["nps"], nps_score(draft)
    noise = np.hypot(given["mood"], given["noise"])
    promoter = stats.norm.sf((given["promoter_from"] - score) / noise)
    detractor = stats.norm.cdf((given["detractor_below"] - score) / noise)
    unit, by_answer = "new customers a year", {"promoter": promoter, "detractor": detractor}
    by_answer["passive"] = 1 - promoter - detractor
    for name, odds in by_answer.items():
        rate = np.average(pull, weights=odds) if len(pull) else 0.0
        draft.plant(f"network.referrals.{name}", rate, unit, f"brought by each who answers as a {name}")
    draft.plant("network.reproduction", pull.mean(), unit, "brought by each customer, rings left out")
    draft.plant(
        "network.referred.orders", 1, "ratio", "order rate of customers by referral to that of others"
    )
    draft.plant("network.community.orders", 0, "orders a week", "being in the community on the order rate")
    return pull


def _reward(at: pd.Series) -> np.ndarray:
    """Reward in force (CNY)."""
    given = parameters("network")["referral"]["reward"]
    days = np.array([str(day) for day in given], dtype="datetime64[D]")
    number = np.searchsorted(days, at.to_numpy().astype("datetime64[D]"), "right") - 1
    return np.array(list(given.values()), dtype=float)[number]
