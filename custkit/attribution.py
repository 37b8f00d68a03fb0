"""Paths of touches to an order: what follows what, and which channel earns the credit.

``custkit.funnel`` gives all of this out again; import it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from custkit.errors import DataError, ParameterError
from custkit.trial_columns import draw_faults, levels_of, share_level

RULES = ("first", "last", "linear", "markov", "shapley")
START, ORDER, AWAY = "start", "order", "away"


class Paths(NamedTuple):
    """Distinct paths: touches coded by channel, one long array, and how often each path is there."""

    channels: list[Any]
    codes: np.ndarray  # of all touches, path after path
    path: np.ndarray  # number of the distinct path of each touch
    converted: np.ndarray  # of each distinct path
    weights: np.ndarray  # people who took it
    alone: int  # ids in converted without a touch


def transitions(
    touches: pd.DataFrame,
    converted: pd.Series,
    *,
    path: str = "path_id",
    channel: str = "channel",
    at: str = "at",
) -> pd.DataFrame:
    """What follows what on the way to an order: a first-order Markov chain.

    Parameters
    ----------
    touches : DataFrame
        One row for each touch.
    converted : Series of bool
        Whether each path ended in an order; its index holds the path ids.
    path, channel, at : str
        Columns of the path (or person), the channel, and the time or number that orders the touches;
        touches at the same time are taken in order of channel.

    Returns
    -------
    DataFrame
        Row = "start" or the channel of a touch, column = what came next: a channel, "order" or "away";
        value = share of the row. ``attrs``: counts (row → column → number; ``DataFrame(counts).T``), paths
        (number), converted (number), without_touches (ids in converted that have none, left out).

    Raises
    ------
    DataError
        Columns missing, missing values, paths whose end is unknown, ids twice in converted.
    """
    paths = _read(touches, converted, path, channel, at)
    counts = (_moves(paths) * paths.weights[:, None, None]).sum(axis=0)
    rows, columns = [START, *paths.channels], [*paths.channels, ORDER, AWAY]
    table = pd.DataFrame(counts, index=pd.Index(rows, name="from"), columns=pd.Index(columns, name="to"))
    shares = table.div(table.sum(axis=1), axis=0)
    shares.attrs = {"counts": table.astype(int).to_dict("index"), **_sizes(paths)}
    return shares


def removal_shares(counts: np.ndarray) -> np.ndarray:
    """Credit of each channel by removal effect, from transition counts.

    Parameters
    ----------
    counts : array, shape (…, channels + 1, channels + 2)
        As `transitions` has them: rows start and channels, columns channels, order, away.

    Returns
    -------
    array, shape (…, channels)
        Shares of credit, sum 1; missing where nobody orders.

    Notes
    -----
    P(order) of the absorbing chain is a'(I − Q)⁻¹ r: a from the start, Q between channels, r to the order.
    A channel is removed by sending away whoever comes to it; its effect is 1 − P(order without it) /
    P(order), and effects are divided by their sum (Anderl and others 2016, International Journal of
    Research in Marketing 33).
    """
    counts = np.asarray(counts, dtype=float)
    k = counts.shape[-1] - 2
    total = counts.sum(axis=-1, keepdims=True)
    chance = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)

    def ordered(start: np.ndarray, onward: np.ndarray) -> np.ndarray:
        reach = np.linalg.solve(np.eye(k) - onward, chance[..., 1:, k, None])[..., 0]
        return (start * reach).sum(axis=-1)

    start, onward = chance[..., 0, :k], chance[..., 1:, :k]
    whole, effects = ordered(start, onward), []
    for out in range(k):
        kept = np.arange(k) != out
        effects.append(whole - ordered(start * kept, onward * kept))
    effects = np.stack(effects, axis=-1)
    with np.errstate(invalid="ignore"):
        return effects / effects.sum(axis=-1, keepdims=True)


def attribution(
    touches: pd.DataFrame,
    converted: pd.Series,
    *,
    path: str = "path_id",
    channel: str = "channel",
    at: str = "at",
    rules: Sequence[str] = RULES,
    draws: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Credit for the orders by channel, under several rules side by side.

    Parameters
    ----------
    touches, converted, path, channel, at
        As in `transitions`.
    rules : sequence of {"first", "last", "linear", "markov", "shapley"}
        The columns of the answer.
    draws : int
        Bootstrap samples of paths for the intervals.
    rng : numpy Generator
        Needed with draws.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame, index = channel
        One column of shares (sum 1) for each rule; with draws, also ``{rule}_low`` and ``{rule}_high``.
        ``attrs``: paths, converted, without_touches (numbers), level.

    Raises
    ------
    DataError
        As `transitions`; no path ended in an order.
    ParameterError
        An unknown rule, or draws without rng.

    Notes
    -----
    * first, last: all credit of an order to the first or last touch of its path; linear: the same to each
      touch. They look at paths with an order alone.
    * markov: removal effects, see `removal_shares`; it uses the paths without an order too.
    * shapley: channels are players, and a coalition earns the orders of the paths that touch no channel
      outside it. The Shapley value of that game is each order divided equally among the *different*
      channels of its path (Zhao, Mahboobi and Bagheri 2018, "Shapley value methods for attribution
      modeling in online advertising", simplified form).

    All of them share out orders that happened; none says what an advertisement caused. Intervals are
    percentiles of the bootstrap over paths, drawn as weights of the distinct paths.
    """
    faults = [
        f"rules: {rule!r} is not there; there are {', '.join(RULES)}" for rule in rules if rule not in RULES
    ]
    if not rules:
        faults.append("rules: name one at least")
    faults += draw_faults(draws, rng)
    if faults:
        raise ParameterError(faults)
    level, paths = share_level(level), _read(touches, converted, path, channel, at)
    if not paths.weights[paths.converted].sum():
        raise DataError("converted: no path ended in an order, so there is no credit to share")
    people = int(paths.weights.sum())
    weights = paths.weights[None, :].astype(float)
    if draws:
        weights = np.vstack([weights, rng.multinomial(people, paths.weights / people, size=draws)])
    found = pd.DataFrame(index=pd.Index(paths.channels, name="channel"))
    for rule in rules:
        shares = _shares(paths, rule, weights)
        found[rule] = shares[0]
        if draws:
            ends = np.nanquantile(shares[1:], [0.5 - level / 2, 0.5 + level / 2], axis=0)
            found[f"{rule}_low"], found[f"{rule}_high"] = ends
    found = found[[*rules, *(c for c in found if c not in rules)]]
    found.attrs = {**_sizes(paths), "level": level}
    return found


def _shares(paths: Paths, rule: str, weights: np.ndarray) -> np.ndarray:
    """Credit by channel for each row of weights of the distinct paths."""
    if rule == "markov":
        moves = _moves(paths)
        counts = weights @ moves.reshape(len(moves), -1)
        return removal_shares(counts.reshape(len(weights), *moves.shape[1:]))
    shape = len(paths.converted), len(paths.channels)
    credit = np.zeros(shape)
    opening, closing = _ends(paths)
    chosen = {"first": opening, "last": closing}.get(rule, np.ones(len(paths.codes), bool))
    np.add.at(credit, (paths.path[chosen], paths.codes[chosen]), 1.0)
    if rule == "shapley":
        credit = (credit > 0).astype(float)
    credit *= (paths.converted / credit.sum(axis=1))[:, None]
    total = weights @ credit
    with np.errstate(invalid="ignore"):
        return total / total.sum(axis=1, keepdims=True)


def _ends(paths: Paths) -> tuple[np.ndarray, np.ndarray]:
    """Whether each touch is the first, and the last, of its path."""
    change = paths.path[1:] != paths.path[:-1]
    return np.append(True, change), np.append(change, True)


def _moves(paths: Paths) -> np.ndarray:
    """Moves of each distinct path: number, from start or channel, to channel, order or away."""
    k = len(paths.channels)
    moves = np.zeros((len(paths.converted), k + 1, k + 2))
    opening, closing = _ends(paths)
    onward = np.append(paths.codes[1:], 0)
    target = np.where(~closing, onward, np.where(paths.converted[paths.path], k, k + 1))
    moves[paths.path[opening], 0, paths.codes[opening]] = 1
    np.add.at(moves, (paths.path, paths.codes + 1, target), 1)
    return moves


def _sizes(paths: Paths) -> dict[str, int]:
    won = int(paths.weights[paths.converted].sum())
    return {"paths": int(paths.weights.sum()), "converted": won, "without_touches": paths.alone}


def _read(touches: pd.DataFrame, converted: pd.Series, path: str, channel: str, at: str) -> Paths:
    """Touches in order, equal paths of equal end merged."""
    _check(touches, converted, path, channel, at)
    channels = levels_of(touches[channel])
    codes = pd.Index(channels).get_indexer(touches[channel].astype(object))
    person, ids = pd.factorize(touches[path])
    order = np.lexsort((codes, touches[at].to_numpy(), person))
    codes, person = codes[order].astype(np.uint8), person[order]
    starts = np.flatnonzero(np.append(True, person[1:] != person[:-1]))
    won = converted.reindex(ids).to_numpy(dtype=bool)
    letters, edges = codes.tobytes(), [*starts.tolist(), len(codes)]
    keys = [letters[a:b] + bytes([end]) for a, b, end in zip(edges, edges[1:], won.tolist(), strict=False)]
    weights = pd.Series(keys).value_counts(sort=False).sort_index()
    lengths = np.array([len(key) - 1 for key in weights.index])
    touched = np.frombuffer(b"".join(key[:-1] for key in weights.index), dtype=np.uint8).astype(int)
    ended = np.array([key[-1] == 1 for key in weights.index])
    number = np.repeat(np.arange(len(lengths)), lengths)
    return Paths(channels, touched, number, ended, weights.to_numpy(), len(converted) - len(ids))


def _check(touches: pd.DataFrame, converted: pd.Series, path: str, channel: str, at: str) -> None:
    there = ", ".join(map(str, touches.columns))
    faults = [
        f"touches needs a column {c!r}; there are: {there}" for c in (path, channel, at) if c not in touches
    ]
    if not faults:
        for column in (path, channel, at):
            missing = int(touches[column].isna().sum())
            if missing:
                faults.append(f"touches: {column} is missing in {missing:,} rows; leave them out")
        names = set(touches[channel].dropna().unique())
        faults += [
            f"touches: a channel is called {name!r}, the name of an end"
            for name in (START, ORDER, AWAY)
            if name in names
        ]
        if len(names) > 255:
            faults.append(f"touches: {channel} has {len(names)} values; at most 255 channels are compared")
        if touches.empty:
            faults.append("touches has no rows")
    if not isinstance(converted, pd.Series):
        faults.append(
            f"converted must be a Series of True and False by {path}, not {type(converted).__name__}"
        )
    else:
        if converted.index.has_duplicates:
            faults.append(
                f"converted has {int(converted.index.duplicated().sum()):,} ids twice; give one row a path"
            )
        if not converted.dropna().isin([0, 1]).all() or converted.isna().any():
            faults.append("converted must be True or False for every path")
        if path in touches:
            unknown = touches.loc[~touches[path].isin(converted.index), path].dropna().unique()
            if len(unknown):
                faults.append(f"converted lacks {len(unknown):,} paths of touches, such as {unknown[0]}")
    if faults:
        raise DataError(faults)
