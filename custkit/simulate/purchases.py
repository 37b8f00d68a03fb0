"""When consumers order, and for how much: BG/NBD and Gamma–Gamma, drawn event by event.

A customer orders as a Poisson process at an own rate and drops out after a repeat order with an own chance
(Fader, Hardie and Lee 2005). Experiments multiply the rate in some weeks: time is stretched accordingly.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters


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


def draw_amounts(draft: Draft, spend_rate) -> np.ndarray:
    """Money of each order (CNY, cents), Gamma with the customer's own rate."""
    shape = parameters("people")["spend_model"]["p"]
    return np.round(draft.rng("amounts").gamma(shape, 1 / np.asarray(spend_rate)), 2)


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`orders` (customer, week, net_amount) in order of time; adds `dropped_week` to `people`."""
    people = draft.tables["people"]
    joined = people["joined_week"].to_numpy()
    customer, time, dropped = renew(
        draft.rng("purchases"),
        joined,
        draft.clock.weeks,
        people["order_rate"].to_numpy(),
        people["drop_chance"].to_numpy(),
    )
    customer = np.concatenate([people.index.to_numpy(), customer])
    time = np.concatenate([joined, time])
    order = np.lexsort((customer, time))
    customer, time = customer[order], time[order]
    orders = pd.DataFrame({"customer": customer, "week": time})
    orders["net_amount"] = draw_amounts(draft, people["spend_rate"].to_numpy()[customer])
    return {"people": people.assign(dropped_week=dropped), "orders": orders}
