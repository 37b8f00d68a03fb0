"""Lasting attitudes of consumers, which surveys ask for and word of mouth hangs on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters


def satisfaction(people: pd.DataFrame) -> np.ndarray:
    """Lasting satisfaction of each consumer: the weighted experience factors (standard normal) and age."""
    weights = parameters("people")["experience_weights"]
    norm = np.sqrt(sum(weight**2 for weight in weights.values()))
    score = sum(weight / norm * people[name].to_numpy() for name, weight in weights.items())
    return score + parameters("surveys")["satisfaction"]["age_per_decade"] * decades(people)


def decades(people: pd.DataFrame) -> np.ndarray:
    """Age in decades above the mean."""
    return (people["age"].to_numpy() - parameters("people")["age"]["mean"]) / 10


def own_taste(draft: Draft) -> np.ndarray:
    """What in a consumer's readiness to recommend has nothing to do with the shop's performance, N(0, 1)."""
    return draft.rng("nps").standard_normal(len(draft.tables["people"]))


def nps_score(draft: Draft) -> np.ndarray:
    """Lasting readiness to recommend, 0 to 10 and not rounded, one per row of `people`.

    The same for every block that asks, since its random part has a stream of its own.
    """
    given = parameters("surveys")["nps"]
    weight = given["satisfaction_weight"]
    mix = weight * satisfaction(draft.tables["people"]) + np.sqrt(1 - weight**2) * own_taste(draft)
    return np.clip(given["mean"] + given["std"] * mix, 0, 10)


def nps_group(draft: Draft) -> np.ndarray:
    """``promoter``, ``passive`` or ``detractor`` by the lasting score, one per row of `people`."""
    given, score = parameters("surveys")["nps"], nps_score(draft)
    low = np.where(score < given["detractor_below"], "detractor", "passive")
    return np.where(score >= given["promoter_from"], "promoter", low).astype(object)


def is_lost(people: pd.DataFrame, at) -> np.ndarray:
    """Whether each consumer has dropped out by a time (weeks) and has not come back."""
    back = (people["reactivated_week"] <= at).to_numpy()
    return ((people["lost_week"] <= at).to_numpy() & ~back) | (people["dropped_week"] <= at).to_numpy()
