"""What it is worth to begin with one person: word of mouth as an independent cascade.

Kempe, Kleinberg and Tardos (2003), "Maximizing the spread of influence through a social network": whoever
hears of something passes it to each follower with a fixed chance, once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters


def seeding_value(draft: Draft, follows: pd.DataFrame) -> pd.DataFrame:
    """Truth table: customer_id, followers, following, reached (others reached by a message seeded there)."""
    people, given = draft.tables["people"], parameters("network")["cascade"]
    n = len(people)
    followers = np.bincount(follows["dst"], minlength=n)
    following = np.bincount(follows["src"], minlength=n)
    rng = draft.rng("cascade")
    inside = np.flatnonzero(followers + following)
    runs = max(3, round(given["runs"] * given["reference_customers"] / max(n, given["reference_customers"])))
    reached = np.zeros(n)
    reached[inside] = reach(
        rng, follows["src"].to_numpy(), follows["dst"].to_numpy(), inside, given["chance"], runs
    )
    top = np.repeat(np.argsort(-followers, kind="stable")[:10], given["runs"])
    begun = reach(rng, follows["src"].to_numpy(), follows["dst"].to_numpy(), top, given["chance"], runs)
    unit, meaning = "persons", "others reached by a message that begins with one of the "
    draft.plant(
        "network.seeding.top10", begun.mean() if len(inside) else 0.0, unit, meaning + "ten most followed"
    )
    draft.plant(
        "network.seeding.anybody", reached[inside].mean() if len(inside) else 0.0, unit, meaning + "community"
    )
    return pd.DataFrame(
        {
            "customer_id": people["customer_id"],
            "followers": followers,
            "following": following,
            "reached": np.round(reached, 2),
        }
    ).iloc[inside]


def reach(
    rng: np.random.Generator, src: np.ndarray, dst: np.ndarray, seeds: np.ndarray, passes: float, runs: int
) -> np.ndarray:
    """Mean number of others whom a message reaches that begins with each of some persons.

    Parameters
    ----------
    rng : Generator
    src, dst : arrays of int
        Follows: `src` hears of what `dst` says.
    seeds : array of int
        Where it begins; each is looked at on its own.
    passes : float
        Chance that a follower takes it up and passes it on.
    runs : int
        Runs to average over.

    Returns
    -------
    array of float
    """
    n = int(max(src.max(initial=-1), dst.max(initial=-1), seeds.max(initial=-1))) + 1
    order = np.argsort(dst, kind="stable")
    listeners, start = src[order], np.searchsorted(dst[order], np.arange(n + 1))
    total = np.zeros(len(seeds))
    for _ in range(runs):
        known = np.arange(len(seeds)) * n + seeds  # pairs of a seed's number and a person, as one number
        origin, person = np.arange(len(seeds)), seeds
        while len(person):
            heard = start[person + 1] - start[person]
            at = np.repeat(np.arange(len(person)), heard)
            step = np.arange(len(at)) - np.repeat(np.cumsum(heard) - heard, heard)
            on = rng.random(len(at)) < passes
            at, step = at[on], step[on]
            pair = np.unique(origin[at] * n + listeners[start[person[at]] + step])
            pair = pair[~np.isin(pair, known)]
            known = np.concatenate([known, pair])
            origin, person = pair // n, pair % n
            total += np.bincount(origin, minlength=len(seeds))
    return total / runs
