"""Random numbers of the simulated company: every block has a stream of its own.

A block whose code changes does not disturb the others, and the same seed gives the same company.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that belongs to a seed and a name, such as ``stream(1, "people")``."""
    keys = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng([seed, *keys])


def choose(rng: np.random.Generator, shares: dict, size: int) -> np.ndarray:
    """Draw keys of ``{key: share}``; shares are scaled to add up to 1."""
    weights = np.array(list(shares.values()), dtype=float)
    return np.array(list(shares), dtype=object)[rng.choice(len(weights), size, p=weights / weights.sum())]


def choose_each(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """One column number for each row of a (rows × options) table of weights."""
    edges = np.cumsum(weights, axis=1)
    return (rng.random((len(weights), 1)) * edges[:, -1:] >= edges).sum(axis=1)
