"""When consumers order, and for how much: BG/NBD and Gamma–Gamma, drawn event by event.

A customer orders as a Poisson process at an own rate and drops out after a repeat order with an own chance
(Fader, Hardie and Lee 2005). Experiments (`custkit.simulate.trials`) multiply the rate in some weeks: time is
stretched accordingly.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from custkit.simulate import trial_effects, true_value, win_back
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.trials import Trials


def renew(
    rng: np.random.Generator,
    begin,
    until: float,
    rate,
    drop,
    *,
    multiplier: np.ndarray | None = None,
    extra_drop: np.ndarray | None = None,
    origin: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat orders of many customers at once.

    Parameters
    ----------
    begin : array of float
        Time (weeks) from which each customer orders; nan for one who does not.
    until : float
        End of the stretch, weeks.
    rate, drop : array of float
        Orders a week; chance to drop out after each of these orders.
    multiplier : array (customers, weeks), optional
        What the rate is multiplied by, week by week from `origin`.
    extra_drop : array (customers, weeks), optional
        What is added to the drop-out chance, likewise.
    origin : float
        Whole week in which the two tables begin.

    Returns
    -------
    customer, time, dropped : arrays
        Position and time of each order, in order of time; for every customer the time of drop-out, nan
        if there was none.
    """
    begin = np.array(begin, dtype=float)
    dropped = np.full(len(begin), np.nan)
    stretched = None
    if multiplier is not None:
        stretched = np.concatenate([np.zeros((len(begin), 1)), np.cumsum(multiplier, axis=1)], axis=1)
    who = np.flatnonzero(begin < until)
    time, found = begin[who], []
    while len(who):
        wait = rng.exponential(size=len(who)) / rate[who]
        time = time + wait if stretched is None else _later(stretched[who], time - origin, wait) + origin
        on = time < until
        who, time = who[on], time[on]
        found.append((who, time))
        chance = drop[who]
        if extra_drop is not None:
            chance = chance + extra_drop[who, np.floor(time - origin).astype(int)]
        gone = rng.random(len(who)) < chance
        dropped[who[gone]] = time[gone]
        who, time = who[~gone], time[~gone]
    customer = np.concatenate([np.empty(0, int), *(who for who, _ in found)])
    when = np.concatenate([np.empty(0), *(time for _, time in found)])
    order = np.argsort(when, kind="stable")
    return customer[order], when[order], dropped


def _later(stretched: np.ndarray, time: np.ndarray, wait: np.ndarray) -> np.ndarray:
    """The time at which so much stretched time has passed; beyond the table time runs at its own pace."""
    rows, last = np.arange(len(time)), stretched.shape[1] - 1
    week = np.minimum(np.floor(time).astype(int), last - 1)
    begin = stretched[rows, week]
    target = begin + (time - week) * (stretched[rows, week + 1] - begin) + wait
    week = (stretched <= target[:, None]).sum(axis=1) - 1
    inside = np.minimum(week, last - 1)
    span = stretched[rows, inside + 1] - stretched[rows, inside]
    within = inside + (target - stretched[rows, inside]) / np.where(span > 0, span, np.inf)
    return np.where(week >= last, last + target - stretched[:, last], within)


def draw_amounts(rng: np.random.Generator, spend_rate) -> np.ndarray:
    """Money of each order (CNY, cents), Gamma with the customer's own rate."""
    return np.round(rng.gamma(parameters("people")["spend_model"]["p"], 1 / np.asarray(spend_rate)), 2)


class Book:
    """The order book while it is written: orders so far, and who is still a customer.

    Every stretch of time is simulated on its own; a Poisson process has no memory, so that nothing is
    changed by starting afresh. Groups of customers have random numbers of their own: what an experiment
    does to one group cannot change a single order of another.

    Attributes
    ----------
    orders : DataFrame
        Orders so far: customer (position in `people`), week, net_amount; stretch by stretch.
    since, dropped : array of float
        Since when each customer has been one, or one again; when he dropped out (nan: he did not).
    lost, returned : array of float
        For those who came back: when they had dropped out before, and when they returned.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft, self.people = draft, draft.tables["people"]
        self.since = self.people["joined_week"].to_numpy(float, copy=True)
        self.dropped, self.lost, self.returned = (np.full(len(self.people), np.nan) for _ in range(3))
        self.orders = pd.DataFrame({"customer": np.empty(0, int), "week": [], "net_amount": []})
        self._streams: dict[str, tuple[np.random.Generator, np.random.Generator]] = {}

    def go_on(
        self,
        group: str,
        rows: np.ndarray,
        start: float,
        end: float,
        *,
        multiplier: np.ndarray | None = None,
        extra_drop: np.ndarray | None = None,
    ) -> None:
        """Write the orders of some customers between two times.

        Parameters
        ----------
        group : str
            Name of the group, which has random numbers of its own.
        rows : array of int
            Positions of its customers.
        start, end : float
            Weeks.
        multiplier, extra_drop : arrays (customers of the group, weeks), optional
            As for `renew`, from `start` on.
        """
        rng, _ = self._rngs(group)
        since = self.since[rows]
        begin = np.where(np.isnan(self.dropped[rows]), np.maximum(since, start), np.nan)
        rate, drop = (self.people[name].to_numpy()[rows] for name in ("order_rate", "drop_chance"))
        place, time, dropped = renew(
            rng, begin, end, rate, drop, multiplier=multiplier, extra_drop=extra_drop, origin=start
        )
        gone = ~np.isnan(dropped)
        self.dropped[rows[gone]] = dropped[gone]
        first = rows[(since >= start) & (since < end)]
        self.write(group, np.concatenate([first, rows[place]]), np.concatenate([self.since[first], time]))

    def bring_back(self, rows: np.ndarray, time: np.ndarray) -> None:
        """Customers who had dropped out order again at a time, and are customers again from then on."""
        self.lost[rows] = self.dropped[rows]
        self.dropped[rows], self.since[rows], self.returned[rows] = np.nan, time, time

    def write(self, group: str, customer: np.ndarray, time: np.ndarray) -> None:
        """Add orders, with an amount each."""
        order = np.lexsort((customer, time))
        customer, time = customer[order], time[order]
        _, rng = self._rngs(group)
        amount = draw_amounts(rng, self.people["spend_rate"].to_numpy()[customer])
        new = pd.DataFrame({"customer": customer, "week": time, "net_amount": amount})
        self.orders = pd.concat([self.orders, new], ignore_index=True)

    def _rngs(self, group: str) -> tuple[np.random.Generator, np.random.Generator]:
        if group not in self._streams:
            self._streams[group] = tuple(
                self.draft.rng(f"{part} {group}") for part in ("purchases", "amounts")
            )
        return self._streams[group]


def draw(draft: Draft, *, effects: bool = True) -> dict[str, pd.DataFrame]:
    """Orders of all consumers, and the experiments that act on them.

    Parameters
    ----------
    draft : Draft
    effects : bool
        False leaves every experiment and price event without effect: the world as it would have been.

    Returns
    -------
    dict of DataFrame
        `orders` in order of time: customer, week, net_amount; promo_arm (offer in force on the order),
        topped_up (raised over the threshold), winback_arm (first order of a customer of EXP-WINBACK while
        its offer holds), reactivated_by (arm that brought back a customer truly lost). `trial_arms`
        (customer, experiment_id, arm, week, took_part), `freq_cycles` (customer, cycle, n_sent,
        unsubscribed). `people` with dropped_week (nan: still a customer), lost_week (first drop-out, also
        of those who came back), reactivated_week, pilot_member, join_week, tier_at_79 and unsubscribed_week.
    """
    people, clock = draft.tables["people"], draft.clock
    book = Book(draft)
    book.go_on("calibration", np.arange(len(people)), 0, clock.calibration_weeks)
    trials = Trials(draft, book.orders)
    returns = None
    for start, end in pairwise([*trials.stops(), clock.weeks]):
        if start == trials.given["exp_promo"]["start"]:
            trials.start_promo(book.orders)
        if start == trials.given["exp_winback"]["start"]:
            returns = win_back.start(trials, book.orders, book.dropped)
            if effects:
                book.bring_back(returns["customer"].to_numpy(), returns["week"].to_numpy())
        for group, rows in trials.groups.items():
            multiplier, extra_drop = trials.tables(rows, start, end, effects)
            book.go_on(group, rows, start, end, multiplier=multiplier, extra_drop=extra_drop)
    orders = book.orders.sort_values(["week", "customer"], ignore_index=True)
    orders = win_back.mark(trials, trials.mark_promo(orders, effects), returns if effects else returns[:0])
    lost = np.where(np.isnan(book.returned), book.dropped, book.lost)
    _note_truth(trials, orders, book, lost)
    people = trials.people_columns().assign(
        dropped_week=book.dropped, lost_week=lost, reactivated_week=book.returned
    )
    return {"people": people, "orders": orders, "trial_arms": trials.arms(), "freq_cycles": trials.cycles}


def _note_truth(trials: Trials, orders: pd.DataFrame, book: Book, lost: np.ndarray) -> None:
    """Plant the effects and write `truth_customers`."""
    whens = lost, book.dropped, book.returned
    expect, late = (
        true_value.Expectation(trials, at, true_value.state(trials, *whens, at))
        for at in (trials.origin, trials.given["exp_promo"]["start"])
    )
    trial_effects.plant(trials, expect, late, orders)
    trials.draft.truth["truth_customers"] = true_value.truth_customers(trials, expect, *whens)
