"""The pilot of the points programme: points earned, redeemed first in, first out, and expired."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters

EXPERIMENT = "EXP-EXPIRY"


def add_points(draft: Draft, orders: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Columns points_earned and points_redeemed of `orders`; who was reminded of points that expire.

    Returns
    -------
    dict
        trial_arms : the arms of EXP-EXPIRY (none, reminder), drawn for each pilot member, added to those
        there are. points_reminders : one row per member and reminder day on which points were about to
        expire: customer, week (time), arm, points (that expire within the span).
    """
    given, rng, people = parameters("baskets")["points"], draft.rng("points"), draft.tables["people"]
    orders["points_earned"], orders["points_redeemed"] = 0, 0
    arms = draft.tables.get("trial_arms", pd.DataFrame(columns=["customer", "experiment_id", "arm", "week"]))
    if "pilot_member" not in people:
        return {"trial_arms": arms, "points_reminders": pd.DataFrame(columns=["customer", "week", "arm"])}
    member = np.flatnonzero(people["pilot_member"].to_numpy())
    arm = np.where(rng.random(len(member)) < given["reminded_share"], "reminder", "none").astype(object)
    joined = people["join_week"].to_numpy()
    since = joined[orders["customer"]]
    counts = np.flatnonzero(orders["week"].to_numpy() >= np.nan_to_num(since, nan=np.inf))
    orders.loc[counts, "points_earned"] = _earned(given, orders.iloc[counts], arms)
    events, table = _events(given, orders, counts, member)
    redeemed, expiring = redeem(rng, given, *table, reminded=arm == "reminder")
    row, column = events["row"].to_numpy(), events["column"].to_numpy()
    events["redeemed"], events["expiring"] = redeemed[row, column], expiring[row, column]
    bought = events[events["position"] >= 0]
    orders.loc[bought["position"], "points_redeemed"] = bought["redeemed"].to_numpy()
    told = events[(events["position"] < 0) & (events["expiring"] > 0)]
    start = min(given["reminder_weeks"]) - 1.0
    drawn = pd.DataFrame({"customer": member, "experiment_id": EXPERIMENT, "arm": arm, "week": start})
    reminders = pd.DataFrame(
        {
            "customer": member[told["row"]],
            "week": told["week"].to_numpy(),
            "arm": arm[told["row"]],
            "points": told["expiring"].to_numpy(),
        }
    )
    return {
        "trial_arms": pd.concat([arms, drawn], ignore_index=True) if len(arms) else drawn,
        "points_reminders": reminders.sort_values(["week", "customer"], ignore_index=True),
    }


def _earned(given: dict, orders: pd.DataFrame, arms: pd.DataFrame) -> np.ndarray:
    """One point for each whole yuan paid, more in the double arm of EXP-POINTS while it runs."""
    event = parameters("trials")["exp_points"]
    double = arms.loc[(arms["experiment_id"] == "EXP-POINTS") & (arms["arm"] == "double"), "customer"]
    now = (orders["week"] >= event["start"]) & (orders["week"] < event["start"] + event["weeks"])
    factor = np.where(now & orders["customer"].isin(double), given["double"], 1)
    return np.floor(orders["net_amount"].to_numpy() * given["per_yuan"]).astype(int) * factor


def _events(given: dict, orders: pd.DataFrame, counts: np.ndarray, member: np.ndarray):
    """Orders and reminder days of each member in order of time: as a list, and as tables member × number."""
    row_of = pd.Series(np.arange(len(member)), index=member)
    days = np.array(given["reminder_weeks"], dtype=float) - 1
    bought = pd.DataFrame(
        {
            "row": row_of.loc[orders["customer"].iloc[counts]].to_numpy(),
            "week": orders["week"].iloc[counts].to_numpy(),
            "earned": orders["points_earned"].iloc[counts].to_numpy(),
            "position": counts,
        }
    )
    told = pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(member)), len(days)),
            "week": np.tile(days, len(member)),
            "earned": 0,
            "position": -1,
        }
    )
    events = pd.concat([bought, told]).sort_values(["row", "week"], kind="stable", ignore_index=True)
    events["column"] = events.groupby("row").cumcount()
    shape = (len(member), int(events["column"].max() + 1) if len(events) else 0)
    week, earned, is_order = np.full(shape, np.nan), np.zeros(shape, int), np.zeros(shape, bool)
    place = (events["row"].to_numpy(), events["column"].to_numpy())
    week[place], earned[place], is_order[place] = events["week"], events["earned"], events["position"] >= 0
    return events, (week, earned, is_order)


def redeem(
    rng: np.random.Generator,
    given: dict,
    week: np.ndarray,
    earned: np.ndarray,
    is_order: np.ndarray,
    *,
    reminded: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Points redeemed at each event, oldest first, and points about to expire at each reminder day.

    Parameters
    ----------
    week, earned, is_order : arrays (members, events)
        Time of each event (weeks; nan after a member's last), points earned at it, and whether it is an
        order (else it is a reminder day). Points can be redeemed from the next order on, and for
        `life_weeks` after they were earned.
    reminded : array of bool
        Members who get reminders.

    Returns
    -------
    redeemed, expiring : arrays (members, events)
    """
    lots = np.zeros(earned.shape, int)
    redeemed, expiring = np.zeros(earned.shape, int), np.zeros(earned.shape, int)
    told_at = np.full(len(week), -np.inf)
    for event in range(week.shape[1]):
        now = week[:, event, None]
        lots[now >= week + given["life_weeks"]] = 0
        soon = lots * (week + given["life_weeks"] < now + given["reminder_span"])
        day = ~is_order[:, event] & np.isfinite(now[:, 0])
        expiring[:, event] = np.where(day, soon.sum(axis=1), 0)
        told_at = np.where(day & reminded & (expiring[:, event] > 0), now[:, 0], told_at)
        order = is_order[:, event]
        fresh = order & (now[:, 0] < told_at + given["reminder_span"])
        chance = given["redeem_chance"] + given["reminder_effect"] * fresh
        told_at[order] = -np.inf
        balance = lots.sum(axis=1)
        takes = order & (balance >= given["least"]) & (rng.random(len(week)) < chance)
        points = np.where(takes, balance // given["step"] * given["step"], 0)
        before = np.cumsum(lots, axis=1) - lots
        lots -= np.clip(points[:, None] - before, 0, lots)
        redeemed[:, event] = points
        lots[:, event] += np.where(order, earned[:, event], 0)
    return redeemed, expiring
