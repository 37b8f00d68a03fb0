"""Recover the effect of reminders of expiring points, from a ledger of the points of each pilot member."""

from __future__ import annotations

import pandas as pd
import statsmodels.api as sm

from recovery.estimate import Company, Estimate

START = pd.Timestamp("2025-06-30")  # Monday of week 79, the pilot's first
REMINDER_DAYS = pd.to_datetime(["2025-08-25", "2025-09-22", "2025-10-20", "2025-11-17"])
LIFE, SPAN, LEAST = pd.Timedelta(weeks=8), pd.Timedelta(weeks=4), 200


def estimates(company: Company) -> list[Estimate]:
    """Share of members who redeem at the first order after a reminder, by arm."""
    arm, orders = _arms(company), company.tables["orders"]
    orders = orders[orders["customer_id"].isin(arm.index) & (orders["ordered_at"] >= START)]
    rows = [
        (customer, arm[customer] == "reminder", redeems)
        for customer, own in orders.sort_values("ordered_at").groupby("customer_id")
        for redeems in _first_orders(own)
    ]
    seen = pd.DataFrame(rows, columns=["customer", "reminded", "redeems"])
    groups = seen["customer"].astype("category").cat.codes
    design = sm.add_constant(seen["reminded"].astype(float))
    fit = sm.OLS(seen["redeems"].astype(float), design).fit(cov_type="cluster", cov_kwds={"groups": groups})
    value, error = fit.params["reminded"], fit.bse["reminded"]
    return [Estimate.from_error("baskets.points.reminder", value, error, method="first orders, by arm")]


def _arms(company: Company) -> pd.Series:
    """Arm of each pilot member whose points were about to expire."""
    campaigns = company.tables["campaigns"][["campaign_id", "experiment_id"]]
    rows = company.tables["contacts"].merge(campaigns, on="campaign_id")
    rows = rows[rows["experiment_id"] == "EXP-EXPIRY"].drop_duplicates("customer_id")
    return rows.set_index("customer_id")["arm"]


def _first_orders(own: pd.DataFrame) -> list[bool]:
    """Whether points were redeemed at each first order within four weeks of a reminder day.

    Counted are orders with enough points, after days on which some were about to expire, whether or not
    the member was in the arm that got the reminder.
    """
    lots: list[list] = []  # [time earned, points left], oldest first
    bought = own[["ordered_at", "points_earned", "points_redeemed"]].itertuples(index=False)
    events = [(day, 0, 0, 0) for day in REMINDER_DAYS] + [(time, 1, *points) for time, *points in bought]
    found, told = [], None
    for time, is_order, earned, redeemed in sorted(events):
        lots = [lot for lot in lots if lot[0] + LIFE > time]
        if not is_order:
            told = time if any(left and since + LIFE < time + SPAN for since, left in lots) else None
            continue
        if told is not None and time < told + SPAN and sum(left for _, left in lots) >= LEAST:
            found.append(redeemed > 0)
        told = None
        for lot in lots:
            used = min(lot[1], redeemed)
            lot[1], redeemed = lot[1] - used, redeemed - used
        lots.append([time, earned])
    return found
