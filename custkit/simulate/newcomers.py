"""Visits of people who have not ordered yet: paths of touches, some of which end in a first order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate import checkout, pages, paths
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.streams import choose

NOBODY = -1  # of a position: no customer, no order


def visits(draft: Draft, firsts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Visits up to first orders in the log, and of those who never order.

    Parameters
    ----------
    draft : Draft
    firsts : DataFrame
        First orders placed online within the log: columns customer, week, channel; the index is their
        place in `orders`.

    Returns
    -------
    visits, people : DataFrame
        One row per visit (customer and order are -1 where there is none); `people` with the channel of the
        path's last touch.
    """
    given, rng = parameters("visits"), draft.rng("newcomers")
    chain = paths.Chain.of(given["paths"])
    people = draft.tables["people"]
    channel = people["acq_channel"].to_numpy()[firsts["customer"]]
    on_path = firsts[np.isin(channel, chain.channels)]
    touches, people = _converting(draft, rng, chain, on_path)
    others = _lost(draft, rng, chain, on_path["week"].to_numpy())
    alone = firsts.drop(on_path.index)
    alone = pd.DataFrame(
        {"customer": alone["customer"], "order": alone.index, "week": alone["week"], "source": "direct"}
    ).assign(device=device_of(given, rng, alone["channel"]), person=alone["customer"].to_numpy())
    found = pd.concat([touches, others, alone], ignore_index=True)
    paths.plant(draft, chain)
    return _outcomes(given, rng, found), people


def device_of(given: dict[str, Any], rng: np.random.Generator, channel: pd.Series) -> np.ndarray:
    """Device of visits that ended in an order, by the order's channel (web or app)."""
    known = given["known"]
    return np.where(
        channel == "app",
        choose(rng, known["device_of_app"], len(channel)),
        choose(rng, known["device_of_web"], len(channel)),
    )


def campaign_of(draft: Draft, channel, week) -> np.ndarray:
    """Id of the media flight that ran in a channel at a time; None where there was none."""
    flights = draft.tables["campaigns"].query("kind == 'media' and randomised")
    table = flights.pivot(index="first_week", columns="channel", values="campaign_id")
    place = table.columns.get_indexer(pd.Index(np.asarray(channel, dtype=object)))
    flight = np.searchsorted(table.index, draft.clock.week_number(week), side="right") - 1
    return np.where(place >= 0, table.to_numpy(dtype=object)[flight, place], None)


def _converting(
    draft: Draft, rng: np.random.Generator, chain: paths.Chain, firsts: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Paths of the joiners; where none ends in a joiner's channel, the channel is the path's."""
    given, people = parameters("visits"), draft.tables["people"]
    touches = chain.walk(rng, len(firsts), converting=True)
    ends = touches.groupby("path").agg(last=("touch", "last"), length=("touch", "size"))
    customer = firsts["customer"].to_numpy()
    wanted = pd.Index(chain.channels).get_indexer(people["acq_channel"].to_numpy()[customer])
    room = firsts["week"].to_numpy() - paths.log_begin(draft)
    chosen = paths.match(rng, wanted, room, ends["last"].to_numpy(), ends["length"].to_numpy())
    joiner = np.argsort(chosen)  # of each path
    names = np.array(chain.channels, dtype=object)
    last, week = names[ends["last"].to_numpy()], firsts["week"].to_numpy()[joiner]
    changed = last != people["acq_channel"].to_numpy()[customer[joiner]]
    place = people.index[customer[joiner][changed]]
    people = people.copy()
    people.loc[place, "acq_channel"] = last[changed]
    people.loc[place, "acq_campaign_id"] = campaign_of(draft, last[changed], week[changed])

    path = touches["path"].to_numpy()
    closing = ~touches.duplicated("path", keep="last").to_numpy()
    device = device_of(given, rng, firsts["channel"])
    found = pd.DataFrame(
        {
            "customer": np.where(closing, customer[joiner][path], NOBODY),
            "order": np.where(closing, firsts.index.to_numpy()[joiner][path], NOBODY),
            "week": paths.times(draft, rng, touches, week),
            "source": names[touches["touch"].to_numpy()],
            "device": device[joiner][path],
            "person": customer[joiner][path],
        }
    )
    return found, people


def _lost(draft: Draft, rng: np.random.Generator, chain: paths.Chain, weeks: np.ndarray) -> pd.DataFrame:
    """Paths of the visitors who gave up, as many as belong to those who ordered in these weeks."""
    given = parameters("visits")["paths"]
    count = rng.negative_binomial(len(weeks), chain.conversion()) if len(weeks) else 0
    ends = paths.like(draft, rng, weeks, count)
    touches = chain.walk(rng, count, converting=False)
    path = touches["path"].to_numpy()
    return pd.DataFrame(
        {
            "customer": NOBODY,
            "order": NOBODY,
            "week": paths.times(draft, rng, touches, ends),
            "source": np.array(chain.channels, dtype=object)[touches["touch"].to_numpy()],
            "device": choose(rng, given["device"], count)[path],
            "person": -1 - path,
        }
    )


def _outcomes(given: dict[str, Any], rng: np.random.Generator, found: pd.DataFrame) -> pd.DataFrame:
    """How far each visit went, on which page it began, and what it saw of the experiments."""
    ordered = found["order"].to_numpy() != NOBODY
    left = checkout.abandoned(given["checkout"], rng, ordered.sum(), True)
    free = rng.permutation(np.flatnonzero(~ordered))
    left = left.iloc[: len(free)]
    leaving, free = free[: len(left)], free[len(left) :]
    done = checkout.passed(given["checkout"], rng, np.ones(ordered.sum(), dtype=bool))
    for place, outcome in ((np.flatnonzero(ordered), done), (leaving, left)):
        for column in outcome:
            found.loc[found.index[place], column] = outcome[column].to_numpy()
    cta = given["offers"]["cta"]
    on_offer = free[: rng.binomial(len(free), cta["new_share"])]
    arms = rng.choice(np.array(list(cta["completion"]), dtype=object), len(on_offer))
    seen = pages.offer_visits(given, rng, arms, pd.Series(arms).map(cta["completion"]).to_numpy(float))
    moved = seen["to_checkout"].to_numpy()
    # Who follows the call into the checkout is one of those already there.
    entered = rng.permutation(np.concatenate([np.flatnonzero(ordered), leaving]))[: moved.sum()]
    found.loc[found.index[entered], "page_variant"] = arms[moved][: len(entered)]
    stays = on_offer[~moved]
    found.loc[found.index[stays], "page_variant"] = arms[~moved]
    found.loc[found.index[stays], "furthest_step"] = seen["furthest_step"].to_numpy()[~moved]
    found["landing"] = np.where(found["page_variant"].notna(), "offer", None)
    rest = found[found["furthest_step"].isna()]
    before = pages.before_checkout(given, rng, rest["source"], rest["device"])
    found.loc[rest.index, ["landing", "furthest_step"]] = before.to_numpy()
    rest = found[found["landing"].isna()]
    found.loc[rest.index, "landing"] = pages.at_checkout(given, rng, rest["source"], rest["device"])
    return found.assign(furthest_step=found["furthest_step"].astype(int))
