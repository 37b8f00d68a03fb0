"""The way to the first order: a first-order Markov chain over marketing touches.

Anderl, Becker, von Wangenheim and Schumann (2016), "Mapping the customer journey", IJRM 33(3): a visitor goes
from touch to touch, converts or gives up. A channel's removal effect is the share of conversions lost when
every way through it ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters


@dataclass(frozen=True)
class Chain:
    """A chain of touches.

    Attributes
    ----------
    channels : list of str
    start : array (channels,)
        Chance of the first touch.
    onward : array (channels, channels)
        Chance of the next touch, row to column; what a row lacks to 1 converts or gives up.
    convert : array (channels,)
        Chance to convert at a touch.
    """

    channels: list[str]
    start: np.ndarray
    onward: np.ndarray
    convert: np.ndarray

    @classmethod
    def of(cls, given: dict[str, Any]) -> Chain:
        """The chain that parameters `channels`, `start`, `next` and `convert` describe."""
        names = given["channels"]
        return cls(
            channels=list(names),
            start=np.array(given["start"], dtype=float),
            onward=np.array([given["next"][name] for name in names], dtype=float),
            convert=np.array([given["convert"][name] for name in names], dtype=float),
        )

    def chances(self) -> np.ndarray:
        """Chance to convert in the end, from each channel."""
        return np.linalg.solve(np.eye(len(self.start)) - self.onward, self.convert)

    def conversion(self) -> float:
        """Share of the paths that convert."""
        return float(self.start @ self.chances())

    def visits(self) -> np.ndarray:
        """Expected touches of a path, by channel."""
        return np.linalg.solve(np.eye(len(self.start)) - self.onward.T, self.start)

    def removal_shares(self) -> np.ndarray:
        """Removal effects of the channels, scaled to add up to 1."""
        whole, effects = self.conversion(), []
        for out in range(len(self.start)):
            kept = np.delete(np.arange(len(self.start)), out)
            rest = Chain([], self.start[kept], self.onward[np.ix_(kept, kept)], self.convert[kept])
            effects.append(1 - rest.conversion() / whole)
        return np.array(effects) / np.sum(effects)

    def last_touch(self) -> np.ndarray:
        """Share of the conversions by last touch."""
        return self.visits() * self.convert / self.conversion()

    def first_touch(self) -> np.ndarray:
        """Share of the conversions by first touch."""
        return self.start * self.chances() / self.conversion()

    def walk(self, rng: np.random.Generator, count: int, *, converting: bool) -> pd.DataFrame:
        """Draw paths that all convert, or none of which does.

        Returns
        -------
        DataFrame
            Columns `path` (from 0), `position` (from 0), `touch` (number of the channel); sorted.
        """
        end = self.chances() if converting else 1 - self.chances()
        # Given how the path ends, it is again a chain: each way weighted by its chance to end so.
        edges = np.cumsum(self.onward * end / end[:, None], axis=1)
        path, position = np.arange(count), 0
        first = self.start * end
        touch = rng.choice(len(first), count, p=first / first.sum())
        steps = []
        while len(path):
            steps.append(pd.DataFrame({"path": path, "position": position, "touch": touch}))
            touch = (rng.random((len(path), 1)) >= edges[touch]).sum(axis=1)
            on = touch < len(first)
            path, touch, position = path[on], touch[on], position + 1
        if not steps:
            return pd.DataFrame({"path": [], "position": [], "touch": []}, dtype=int)
        return pd.concat(steps).sort_values(["path", "position"], ignore_index=True)


def match(rng: np.random.Generator, wanted, room, last, length) -> np.ndarray:
    """One converting path for each joiner, whose last touch is the wanted channel where possible.

    Parameters
    ----------
    wanted, last : int arrays
        Channel of each joiner; last touch of each path. Equal in length.
    room : array of float
        Weeks of the log before each joiner's first order; with less than one week a path of one touch is
        given if there is one.
    length : int array
        Touches of each path.

    Returns
    -------
    array of int
        Number of the path, for each joiner.
    """
    joiners = pd.DataFrame({"channel": wanted, "late": np.asarray(room) >= 1.0, "u": rng.random(len(wanted))})
    pool = pd.DataFrame({"channel": last, "late": np.asarray(length) > 1, "u": rng.random(len(wanted))})
    ranked = []
    for frame in (joiners, pool):
        frame = frame.sort_values(["channel", "late", "u"])
        ranked.append(frame.assign(rank=frame.groupby("channel").cumcount(), number=frame.index))
    pairs = ranked[0].merge(ranked[1], on=["channel", "rank"], suffixes=("", "_path"))
    chosen = np.full(len(wanted), -1)
    chosen[pairs["number"]] = pairs["number_path"]
    left = np.setdiff1d(np.arange(len(wanted)), pairs["number_path"])
    without = np.flatnonzero(chosen < 0)
    chosen[without[np.argsort(np.asarray(room)[without])]] = left[np.argsort(np.asarray(length)[left])]
    return chosen


def times(draft: Draft, rng: np.random.Generator, touches: pd.DataFrame, ends: np.ndarray) -> np.ndarray:
    """When each touch was (weeks), the last one at the given end of its path.

    Where the log is too short for a path, its touches are moved together.
    """
    given, begin = parameters("visits")["paths"], log_begin(draft)
    gap = given["gap_least_weeks"] + rng.exponential(given["gap_weeks"], len(touches))
    path = touches["path"].to_numpy()
    gap[touches["position"].to_numpy() == 0] = 0.0
    since = pd.Series(gap).groupby(path).cumsum().to_numpy()
    total = np.zeros(len(ends))
    np.maximum.at(total, path, since)
    squeeze = np.minimum(1.0, 0.98 * (ends - begin) / np.maximum(total, 1e-9))
    return ends[path] + (since - total[path]) * squeeze[path]


def like(draft: Draft, rng: np.random.Generator, weeks: np.ndarray, count: int) -> np.ndarray:
    """Times that fall on the media flights as often as the given ones, anywhere within a flight."""
    length = parameters("media")["flight_weeks"]
    flight = np.floor(rng.choice(weeks, count) / length) if count else np.empty(0)
    first = np.maximum(flight * length, log_begin(draft))
    return first + rng.random(count) * (np.minimum((flight + 1) * length, draft.clock.weeks) - first)


def log_begin(draft: Draft) -> int:
    """Week after which visits are on record."""
    return draft.clock.weeks - parameters("visits")["weeks_kept"]


def plant(draft: Draft, chain: Chain) -> None:
    """Note the true removal shares, and what the first and the last touch would say."""
    first, last, shares = chain.first_touch(), chain.last_touch(), chain.removal_shares()
    for number, channel in enumerate(chain.channels):
        meaning = f"credit of {channel} for first orders by removal effect, of the five channels"
        draft.plant(f"paths.{channel}.removal_share", shares[number], "share", meaning)
        meaning = f"first-touch less last-touch share of {channel} in first orders"
        draft.plant(f"paths.{channel}.first_minus_last", first[number] - last[number], "share", meaning)
    draft.plant("paths.conversion", chain.conversion(), "share", "paths of new visitors that end in an order")
