"""EXP-WINBACK: messages to customers gone silent; some of the truly lost come back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import history
from custkit.simulate.trials import Trials


def start(trials: Trials, orders: pd.DataFrame, dropped: np.ndarray) -> pd.DataFrame:
    """Draw the arms, and who comes back when.

    Parameters
    ----------
    trials : Trials
        Gets the arm of each customer of the pool.
    orders : DataFrame
        Orders before the start.
    dropped : array of float
        When each customer dropped out; nan for those who did not.

    Returns
    -------
    DataFrame
        customer, week and arm of those truly lost who return; in order of time.
    """
    given, rng = trials.given["exp_winback"], trials.draft.rng("win_back")
    at = given["start"]
    last = history.last_order(orders, trials.size, at)
    silent = np.isfinite(last) & (at - last >= given["silent_weeks"])
    pool = trials.test & trials.reachable(at) & silent
    arm = trials.assign("EXP-WINBACK", pool, dict.fromkeys(given["arms"], 1.0), at)
    trials.lost_in_pool = pool & (dropped < at)
    back = trials.lost_in_pool & (rng.random(trials.size) < return_chance(trials, arm))
    # An exponential delay, cut off at the end of the offer.
    cut = 1 - np.exp(-given["within"] / given["mean_delay"])
    delay = -given["mean_delay"] * np.log1p(-cut * rng.random(trials.size))
    rows = np.flatnonzero(back)
    returns = pd.DataFrame({"customer": rows, "week": at + delay[rows], "arm": arm[rows]})
    return returns.sort_values("week", ignore_index=True)


def return_chance(trials: Trials, arm: np.ndarray) -> np.ndarray:
    """Chance that each customer, if lost, is brought back by an arm; 0 outside the trial."""
    table = pd.DataFrame(trials.given["exp_winback"]["arms"]).T
    inside = np.isin(arm, list(table.index))
    chances = np.zeros(trials.size)
    row, column = (
        table.index.get_indexer(arm[inside]),
        table.columns.get_indexer(trials.people["churn_reason"][inside]),
    )
    chances[inside] = table.to_numpy()[row, column]
    return chances


def mark(trials: Trials, orders: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    """Columns winback_arm (first order within the offer's weeks) and reactivated_by (of the truly lost)."""
    given = trials.given["exp_winback"]
    arm = trials.arm["EXP-WINBACK"][orders["customer"]]
    within = (orders["week"] >= given["start"]) & (orders["week"] < given["start"] + given["within"])
    first = orders[within].drop_duplicates("customer").index
    offer = pd.Series(arm, index=orders.index, dtype=object).where(orders.index.isin(first))
    brought = orders["customer"].isin(returns["customer"])
    return orders.assign(
        winback_arm=offer.astype(object).where(offer.notna(), None),
        reactivated_by=offer.where(brought & offer.notna(), None),
    )
