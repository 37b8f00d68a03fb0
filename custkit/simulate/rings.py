"""Referral rings: one person with several accounts who refers himself for the reward.

Accounts that are somebody's alias keep their orders as they are; name, phone and e-mail become variants of
those of the ring's first account, which is how record linkage finds them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters

ALIKE = ("name", "email", "phone", "city", "birth_year")  # columns that an alias has from the first account


def draw(draft: Draft) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the rings.

    Returns
    -------
    people : DataFrame
        With the aliases' records changed; new column `alias_of` (first account's position, or missing).
    edges : DataFrame
        Referrals inside the rings: src, dst (positions), week, ring (number from 1).
    """
    given, people, rng = parameters("network")["fraud"], draft.tables["people"].copy(), draft.rng("rings")
    joined = people["joined_week"].to_numpy()
    orders = np.bincount(draft.tables["orders"]["customer"], minlength=len(people))
    left = np.flatnonzero((people["acq_channel"] == "referral") & (orders == 1))
    edges = []
    for ring in range(1, round(given["rings"] * draft.size / given["reference_customers"]) + 1):
        wanted = rng.integers(given["aliases"][0], given["aliases"][1] + 1)
        first = rng.choice(np.flatnonzero(orders > 1))
        near = left[(joined[left] > joined[first]) & (joined[left] < joined[first] + given["within_weeks"])]
        aliases = np.sort(rng.permutation(near)[:wanted])
        if len(aliases) < given["aliases"][0]:
            continue
        left = np.setdiff1d(left, aliases)
        # Each account brings the next one, or the first brings it.
        before = np.concatenate([[first], aliases[:-1]])
        source = np.where(rng.random(len(aliases)) < 0.5, before, first)
        edges.append(pd.DataFrame({"src": source, "dst": aliases, "week": joined[aliases], "ring": ring}))
    empty = pd.DataFrame({"src": np.empty(0, int), "dst": np.empty(0, int), "week": [], "ring": []})
    edges = pd.concat([empty, *edges], ignore_index=True).astype({"src": int, "dst": int})
    firsts = edges.groupby("ring")["src"].min().reindex(edges["ring"]).to_numpy()
    return _disguised(rng, people, edges["dst"].to_numpy(), firsts), edges


def _disguised(
    rng: np.random.Generator, people: pd.DataFrame, alias: np.ndarray, first: np.ndarray
) -> pd.DataFrame:
    """`people` with the aliases' records made variants of the first accounts' ones."""
    people["alias_of"] = np.nan
    people.loc[alias, "alias_of"] = first
    for column in ALIKE:
        people.loc[alias, column] = people[column].to_numpy()[first.astype(int)]
    kind = rng.integers(0, 4, len(alias))
    people.loc[alias, "name"] = [
        _name(name, k) for name, k in zip(people.loc[alias, "name"], kind, strict=True)
    ]
    people.loc[alias, "email"] = [
        _email(email, k, number)
        for number, (email, k) in enumerate(zip(people.loc[alias, "email"], kind, strict=True), 2)
    ]
    other = rng.random(len(alias)) < 0.35  # a second phone: the last digit differs
    digit = rng.integers(0, 10, len(alias))
    people.loc[alias, "phone"] = [
        f"{phone[:-1]}{d}" if differs else phone
        for phone, d, differs in zip(people.loc[alias, "phone"], digit, other, strict=True)
    ]
    people.loc[alias[rng.random(len(alias)) < 0.4], "birth_year"] = np.nan
    return people


def _name(name: str, kind: int) -> str:
    """A variant: initial only, turned round, a letter doubled, or the same."""
    given, _, family = name.partition(" ")
    doubled = f"{given} {family[:3]}{family[2]}{family[3:]}"
    return (f"{given[0]}. {family}", f"{family} {given}", doubled, name)[kind]


def _email(email: str, kind: int, number: int) -> str:
    """A variant that reaches the same person, or another box with almost the same name."""
    local, _, domain = email.partition("@")
    spelt = local.replace(".", "") if kind % 2 else local
    return f"{spelt}+{number}@{domain}"
