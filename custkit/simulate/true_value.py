"""What may truly be expected of each customer: orders as usual, and what each trial would change.

Between two orders a customer waits an exponential time, and each order is his last with chance p. Over a
stretch with rate λ he who is a customer at its start places (1 − exp(−λ p t)) / p orders on average (Fader,
Hardie and Lee 2005, appendix). No simulation is needed, so the truth has no noise of its own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import win_back
from custkit.simulate.people import FACTORS
from custkit.simulate.trials import Trials, response, unsatisfied, unsubscribe_chance


def expected_orders(rate, drop, multiplier: np.ndarray, extra_drop: np.ndarray | float = 0.0) -> np.ndarray:
    """Expected orders, week by week.

    Parameters
    ----------
    rate, drop : array (customers,)
        Orders a week; chance that an order is the last.
    multiplier : array (customers, weeks)
        What the rate is multiplied by; 0 before a customer comes, and for one who is lost.
    extra_drop : array (customers, weeks), optional
        Added to the chance `drop`.

    Returns
    -------
    array (customers, weeks)
    """
    rate, drop = (np.asarray(value, dtype=float)[:, None] for value in (rate, drop))
    chance = np.minimum(drop + extra_drop, 1)
    gone = rate * multiplier * chance  # hazard of dropping out in the week
    left = np.cumsum(gone, axis=1)
    safe = np.maximum(chance, 1e-12)
    return np.exp(-(left - gone)) * -np.expm1(-rate * multiplier * safe) / safe


class Expectation:
    """Expected orders of all customers under chosen multipliers, from the state in which a time finds them.

    Parameters
    ----------
    trials : Trials
    at : float
        Whole week from which on orders are expected.
    here : array of bool
        Customers at that time; those who join later count from their first order on, which is not counted.
    """

    def __init__(self, trials: Trials, at: float, here: np.ndarray) -> None:
        self.trials, self.columns = trials, trials.span(at, trials.weeks)
        people = trials.people
        self.rate, self.drop = people["order_rate"].to_numpy(), people["drop_chance"].to_numpy()
        begin = at + np.arange(trials.origin + trials.weeks - at)
        stay = np.clip(begin + 1 - people["joined_week"].to_numpy()[:, None], 0, 1)
        self.present = stay * (here | (people["joined_week"].to_numpy() >= at))[:, None]

    def __call__(
        self,
        multiplier: np.ndarray,
        rows: np.ndarray | slice = slice(None),
        weeks: int | None = None,
        extra_drop: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Expected orders of some customers over the next weeks (default: to the end).

        Parameters
        ----------
        multiplier : array (customers or 1, weeks of the trials)
            For all customers, or for those of `rows`.
        rows : index, optional
        weeks : int, optional
        extra_drop : array (customers of `rows`, weeks of the trials), optional
        """
        table = multiplier[:, self.columns] * self.present[rows]
        extra = extra_drop if np.isscalar(extra_drop) else extra_drop[:, self.columns]
        return expected_orders(self.rate[rows], self.drop[rows], table, extra)[:, :weeks].sum(axis=1)


def message_table(trials: Trials, rows: np.ndarray, messages: float) -> np.ndarray:
    """Mean multipliers of some customers at so many messages a cycle, those who unsubscribe included."""
    given = trials.given["exp_freq"]
    leaves = unsubscribe_chance(messages, unsatisfied(trials.people)[rows])[:, None]
    cycle = np.arange(trials.weeks) // given["cycle_weeks"]
    still = (1 - leaves) ** np.minimum(cycle, given["cycles"])
    engaged = trials.people["engaged"].to_numpy()[rows, None]

    def at(n):
        return np.where(engaged, response("engaged", n), response("other", n)) / np.where(
            engaged, response("engaged", given["usual"]), response("other", given["usual"])
        )

    planned = np.where(cycle < given["cycles"], at(messages), 1.0)
    return still * planned + (1 - still) * at(0)


def state(trials: Trials, lost, dropped, returned, at: float) -> np.ndarray:
    """Who is a customer at a time: has come, and has not dropped out since the last first order."""
    gone = np.where(returned < at, dropped, lost)
    return (trials.people["joined_week"].to_numpy() < at) & ~(gone < at)


def truth_customers(trials: Trials, expect: Expectation, lost, dropped, returned) -> pd.DataFrame:
    """One row per consumer: what drives him, and what each trial would change in his orders to the end.

    Parameters
    ----------
    trials : Trials
    expect : Expectation
        From the end of the calibration period.
    lost, dropped, returned : arrays
        First and last drop-out, and return (weeks; nan).

    Returns
    -------
    DataFrame
        customer_id; order_rate (a week), drop_chance (an order), spend_rate (1/CNY); dropped_at,
        reactivated_at (dates); traits; expected_orders (weeks 79 to 104 as usual); uplift_... (further
        orders expected in these weeks from one trial alone; 0 outside it); return_... (chance to be brought
        back by an arm of EXP-WINBACK; 0 for those not lost or not silent).
    """
    people, clock = trials.people, trials.draft.clock
    table = people[["customer_id", "order_rate", "drop_chance", "spend_rate"]].copy()
    table["dropped_at"], table["reactivated_at"] = clock.dates(dropped), clock.dates(returned)
    table[["segment", "engaged", *FACTORS, "churn_reason"]] = people[
        ["segment", "engaged", *FACTORS, "churn_reason"]
    ]
    usual = trials.ones()
    as_usual = expect(usual)
    table["expected_orders"] = as_usual

    def add(name, who, multiplier, extra_drop=0.0):
        rows = np.flatnonzero(who)
        more = np.zeros(trials.size)
        more[rows] = expect(multiplier, rows, extra_drop=extra_drop) - as_usual[rows]
        table[f"uplift_{name}"] = more

    audience = trials.inside("EXP-FREQ")
    for n in trials.given["exp_freq"]["arms"]:
        if n != trials.given["exp_freq"]["usual"]:
            add(f"freq_{n}", audience, message_table(trials, np.flatnonzero(audience), n))
    add("join", trials.complies, trials.if_invited[trials.complies])
    past = trials.test & (people["joined_week"].to_numpy() < trials.origin)
    add("tier", past, usual[past] * trials.given["tier"]["multiplier"])
    add("points", trials.member, trials.points_table()[trials.member])
    promo = trials.inside("EXP-PROMO")
    for arm in list(trials.given["exp_promo"]["arms"])[1:]:
        add(f"promo_{arm}", promo, trials.promo_table(np.where(promo, arm, None))[promo])
    there = trials.extra_drop.any(axis=1)
    add("comp_price", there, usual[there], trials.extra_drop[there])
    there = (trials.factors["OWN-PRICE"] != 1).any(axis=1)
    add("own_price", there, trials.factors["OWN-PRICE"][there])
    for arm in list(trials.given["exp_winback"]["arms"])[1:]:
        offered = np.where(trials.lost_in_pool, arm, None)
        table[f"return_{arm}"] = win_back.return_chance(trials, offered)
    return rounded(table)


def rounded(table: pd.DataFrame, digits: int = 4) -> pd.DataFrame:
    """Floats to so many significant digits, factors to two decimals: small files."""
    table = table.copy()
    for name in table.select_dtypes("float").columns:
        value = table[name].to_numpy()
        size = np.floor(np.log10(np.maximum(np.abs(value), 1e-9)))
        scale = 10.0 ** np.clip(digits - 1 - size, 0, 5)
        table[name] = np.round(value * scale) / scale
    table[list(FACTORS)] = table[list(FACTORS)].round(2)
    return table
