"""The stage of everybody at the end of any day: a walk over dates, for `custkit.lifecycle`.

Everything that happened is sorted by day once. The walk then takes up, date by date, what has become known
since the date before, so that a date can only be judged by what lay behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from custkit.stage_record import MORE_SPENT, Limits, Record

ATTRACT, ACQUIRE, CONVERT, RETAIN, DEVELOP, REACQUIRE = range(6)
NEVER = -(10**6)  # a day before all others
_CELLS = 4_000_000  # of one block of gaps


@dataclass(frozen=True)
class State:
    """Where everybody is at the end of a day; arrays by person, customers first."""

    stage: np.ndarray  # place in STAGES; -1 = nobody yet, or out of sight
    late: np.ndarray
    orders: np.ndarray  # order days, customers only, as all that follow
    last: np.ndarray
    late_after: np.ndarray  # days; missing where no gap is known
    own: np.ndarray  # whether that is the customer's own quantile


def walk(known: Record, ends: np.ndarray) -> Iterator[State]:
    """The state at the end of each day of `ends`, which ascend."""
    rules, order, people = known.limits, known.order, len(known.first)
    own_after = _own_quantiles(order, int(ends[0]), rules)
    pools = _Pools(order, rules)
    last, orders = np.full(people, NEVER), np.zeros(people, np.int64)
    threshold = np.full(people, np.nan)
    widened, seen = np.full(people, NEVER), np.full(len(known.ids), NEVER)
    identified = np.zeros(len(known.ids), bool)
    done = dict.fromkeys(("order", "wide", "seen"), 0)

    def fresh(name: str, end: int) -> slice:
        stop = int(np.searchsorted(getattr(known, name)["day"], end, side="right"))
        new, done[name] = slice(done[name], stop), stop
        return new

    for end in map(int, ends):
        new = fresh("order", end)  # of several rows of one person the last is kept: rows are sorted by day
        code = order["code"][new]
        last[code], orders[code], threshold[code] = order["day"][new], order["rank"][new] + 1, own_after[new]
        bought, silence = orders > 0, end - last
        of_group = pools.at(end)[np.minimum(orders, rules.minimum_gaps)]
        after = np.where(np.isnan(threshold), of_group, threshold)
        grown = np.zeros(people, bool)
        if known.wide is not None:
            new = fresh("wide", end)
            widened[known.wide["code"][new]] = known.wide["day"][new]
            grown |= end - widened < rules.widened_days
        if known.running is not None:
            on = (known.running["day"] <= end) & (known.running["end"] >= end)
            grown[known.running["code"][on]] = True
        if known.wide is None and known.running is None and "amount" in order:
            now, before = (_spent(order, end - k * rules.widened_days, rules, people) for k in (0, 1))
            grown = (before > 0) & (now >= MORE_SPENT * before)
        stage = np.full(len(known.ids), -1, np.int8)
        if known.seen is not None:
            new = fresh("seen", end)
            code = known.seen["code"][new]
            seen[code] = known.seen["day"][new]
            identified[code[known.seen["identified"][new]]] = True
            here = end - seen < rules.seen_days
            stage[here] = np.where(identified[here], ACQUIRE, ATTRACT)
        mine = np.where(grown, DEVELOP, RETAIN)
        mine = np.where(silence > rules.lost_days, REACQUIRE, mine)
        mine = np.where(end - known.first < rules.new_days, CONVERT, mine)
        stage[:people][bought] = mine[bought]
        late = np.zeros(len(known.ids), bool)
        late[:people] = bought & (mine != REACQUIRE) & (silence > after)
        yield State(stage, late, orders, last, after, ~np.isnan(threshold))


class _Pools:
    """Quantiles of the gaps that others needed, by how many orders lay before, among gaps known by a day."""

    def __init__(self, order: dict[str, np.ndarray], rules: Limits):
        self.rules, rank = rules, order["rank"]
        kept = [np.flatnonzero(rank == k) for k in range(1, rules.minimum_gaps + 1)] + [np.flatnonzero(rank)]
        self.parts = [(order["day"][rows], order["gap"][rows]) for rows in kept]

    def at(self, end: int) -> np.ndarray:
        """By number of orders so far (up to minimum_gaps): days after which one is late."""
        known = [gaps[: np.searchsorted(days, end, side="right")] for days, gaps in self.parts]
        found = [
            np.quantile(gaps, self.rules.late_quantile) if len(gaps) >= self.rules.minimum_gaps else np.nan
            for gaps in known[:-1]
        ]
        if np.isnan(found).any() and len(known[-1]):
            found = np.where(np.isnan(found), np.quantile(known[-1], self.rules.late_quantile), found)
        return np.array([np.nan, *found])


def _own_quantiles(order: dict[str, np.ndarray], start: int, rules: Limits) -> np.ndarray:
    """After each order day that is somebody's last at `start` or later: the quantile of the gaps so far."""
    by_person = np.lexsort((order["day"], order["code"]))
    gap, rank, day = (order[name][by_person] for name in ("gap", "rank", "day"))
    until = np.append(np.where(rank[1:] > 0, day[1:], np.iinfo(np.int64).max), np.iinfo(np.int64).max)
    rows = np.flatnonzero((rank >= rules.minimum_gaps) & (until[: len(rank)] > start))
    rows = rows[np.argsort(rank[rows], kind="stable")]
    found = np.full(len(gap), np.nan)
    gaps, where = np.unique(rank[rows], return_index=True)
    if not len(rows):
        return found
    for number, some in zip(gaps, np.split(rows, where[1:]), strict=True):
        for part in np.array_split(some, max(1, len(some) * number // _CELLS)):
            block = gap[part[:, None] - np.arange(number)]
            found[part] = np.quantile(block, rules.late_quantile, axis=1)
    back = np.empty_like(found)
    back[by_person] = found
    return back


def _spent(order: dict[str, np.ndarray], end: int, rules: Limits, people: int) -> np.ndarray:
    start, stop = np.searchsorted(order["day"], [end - rules.widened_days, end], side="right")
    return np.bincount(order["code"][start:stop], order["amount"][start:stop], minlength=people).round(6)
