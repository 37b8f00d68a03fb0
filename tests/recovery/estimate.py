"""What a recovery estimator takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd


@dataclass(frozen=True)
class Company:
    """A company as the analyst sees it, and what was planted in it.

    Attributes
    ----------
    tables : dict
        Table name → frame, with the columns and types that `custkit.tables.load` gives.
    effects : dict
        Name of a planted effect → ``{"value": …, "unit": …, "meaning": …}``.
    truth : dict
        Truth table → frame.
    """

    tables: dict[str, pd.DataFrame]
    effects: dict[str, dict[str, Any]]
    truth: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Estimate:
    """One planted effect, estimated on one company.

    Attributes
    ----------
    name : str
        The planted effect, as in `Company.effects`.
    value, low, high : float
        Estimate and its 95 % interval, in the unit of the effect.
    kind : str
        "effect": to be found at the committed size. "null": nothing is there, though it may look so.
        "unprovable": there, but meant to drown at this size. "trap": the naive estimate a lesson warns
        of; meant to be biased.
    null : float
        Value of the effect that stands for none (1 for a ratio).
    method : str
        How it was estimated, in a few words.
    """

    name: str
    value: float
    low: float
    high: float
    kind: Literal["effect", "null", "unprovable", "trap"] = "effect"
    null: float = 0.0
    method: str = ""

    @classmethod
    def from_error(cls, name: str, value: float, std_error: float, **other: Any) -> Estimate:
        """An estimate with a normal interval of 1.96 standard errors."""
        return cls(
            name, float(value), float(value - 1.96 * std_error), float(value + 1.96 * std_error), **other
        )


def simulated(seed: int, customers: int = 6000) -> Company:
    """Draw a company; its tables have the types that the files have when they are loaded."""
    from custkit.simulate.company import build
    from custkit.simulate.public import public_tables, truth_tables

    draft = build(seed, customers=customers)
    return Company(public_tables(draft), draft.effects, truth_tables(draft))


def committed() -> Company:
    """The company in `datasets/`, as students load it."""
    from custkit import tables, truth
    from custkit.course_tables import schema

    return Company(
        {name: tables.load(name) for name in schema()["tables"]},
        truth.load("truth_effects"),
        {name: truth.load(name) for name in schema()["kept_apart"]},
    )
