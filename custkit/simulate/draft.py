"""The company while it is drawn: its tables so far, its parameters, and what was planted."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import yaml

from custkit.simulate.clock import Clock
from custkit.simulate.streams import stream

_other: dict[str, Mapping[str, Any]] = {}  # values in force inside `other_values`


@cache
def _read(folder: str, name: str) -> Any:
    text = importlib.resources.files("custkit.simulate").joinpath(folder, f"{name}.yml").read_text("utf-8")
    return yaml.safe_load(text)


def parameters(block: str) -> dict[str, Any]:
    """True parameters of one block, from ``simulate/parameters/<block>.yml``; not to be changed."""
    given = _read("parameters", block)
    return _merged(given, _other[block]) if block in _other else given


@contextmanager
def other_values(values: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Inside this context, ``parameters`` of the blocks named give other values where `values` has them."""
    _other.update(values)
    try:
        yield
    finally:
        _other.clear()


def _merged(given: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping whose values are replaced by those of `other`; a list, or a choice of shares, as a whole."""
    merged = dict(given)
    for name, value in other.items():
        nested = isinstance(value, Mapping) and set(value) <= set(given[name])
        merged[name] = _merged(given[name], value) if nested else value
    return merged


def words(name: str) -> Any:
    """Names, sentences and labels in ``simulate/words/<name>.yml``; not to be changed."""
    return _read("words", name)


def the_clock() -> Clock:
    """The company's clock, as ``parameters/clock.yml`` sets it."""
    given = parameters("clock")
    quantiles, gifts = tuple(given["hour_quantiles"]), tuple(given["gift_weeks"])
    return Clock(**given | {"hour_quantiles": quantiles, "gift_weeks": gifts})


@dataclass
class Draft:
    """What the blocks of the generating process hand on.

    Attributes
    ----------
    seed, size : int
        Seed of the company; its number of consumers.
    part : int
        Number of the part, from 0, where a large company is drawn in parts.
    tables : dict
        Name → frame, public and hidden columns together. `tables["people"]` has one row per consumer in
        the order of their first orders; its index is the consumer's position, which other frames keep in
        a column `customer`.
    effects : dict
        Name of a planted effect → true value, unit and meaning.
    truth : dict
        Name of a truth table → frame.
    """

    seed: int
    size: int
    part: int = 0
    clock: Clock = field(default_factory=the_clock)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    truth: dict[str, pd.DataFrame] = field(default_factory=dict)

    def rng(self, name: str) -> np.random.Generator:
        """The random numbers of one block (or of one part of it)."""
        return stream(self.seed, self.part, name)

    def ids(self, prefix: str, count: int, width: int = 5) -> np.ndarray:
        """Ids "O00001", "O00002", …; those of later parts carry the part's number ("O3-00001")."""
        lead = prefix if self.part == 0 else f"{prefix}{self.part}-"
        return np.array([f"{lead}{number:0{width}d}" for number in range(1, count + 1)], dtype=object)

    def plant(self, name: str, value: float, unit: str, meaning: str) -> None:
        """Note a planted effect: dotted name (``exp_freq.engaged.optimum``), true value, unit, meaning."""
        self.effects[name] = {"value": float(value), "unit": unit, "meaning": meaning}
