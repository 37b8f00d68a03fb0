"""Effects of the small experiments on single orders: reminder, category offer, birthday wishes, event."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recovery.estimate import Company, Estimate
from recovery.order_panel import Panel, differences, dummies, week_of

LOOKS = 5  # visits without an order by which an analyst tells who looks at one category only


def estimates(company: Company) -> list[Estimate]:
    """All of them."""
    panel = Panel.of(company)
    return [found for part in (refill, birthday, event, cross_sell) for found in part(panel)]


def asked(panel: Panel, experiment: str) -> pd.DataFrame:
    """Customer, arm, week in which the message was sent (of the campaign's start for those without)."""
    rows = panel.contacts(experiment).drop_duplicates("customer")
    campaigns = panel.company.tables["campaigns"]
    start = campaigns.loc[campaigns["experiment_id"] == experiment, "start_on"].min()
    week = pd.Series(week_of(rows["first_sent_at"]), index=rows.index).fillna(week_of([start])[0])
    return rows[["customer", "arm", "n_clicked"]].assign(week=week).astype({"arm": object})


def responses(panel: Panel, rows: pd.DataFrame, weeks: float) -> np.ndarray:
    """Whether each orders within so many weeks of the message."""
    both = panel.orders.merge(rows[["customer", "week"]], on="customer", suffixes=("", "_sent"))
    hit = both["week"].between(both["week_sent"], both["week_sent"] + weeks, inclusive="left")
    return rows["customer"].isin(both.loc[hit, "customer"]).to_numpy(float)


def refill(panel: Panel) -> list[Estimate]:
    """Reminder on the personal due date against a fixed date."""
    rows = asked(panel, "EXP-REFILL")
    expected = panel.forecast(84, 4)[rows["customer"]]
    fit = differences(responses(panel, rows, 2), dummies(rows["arm"], "fixed"), expected)
    return [
        Estimate.from_error(
            "exp_refill.difference", *fit.of(personal=1), method="share within 14 days, CUPED"
        )
    ]


def birthday(panel: Panel) -> list[Estimate]:
    """Wishes on the first day of the birthday month."""
    rows = asked(panel, "EXP-BDAY")
    month = panel.customers["birth_month"].to_numpy()[rows["customer"]].astype(int)
    rows = rows.assign(week=week_of([pd.Timestamp(2025, number, 1) for number in month]))
    hit, arm = responses(panel, rows, 1), rows["arm"].to_numpy() == "message"
    error = np.sqrt(hit[arm].var() / arm.sum() + hit[~arm].var() / (~arm).sum())
    value, method = hit[arm].mean() - hit[~arm].mean(), "share within 7 days, message less none"
    return [Estimate.from_error("exp_bday.effect", value, error, kind="unprovable", method=method)]


def event(panel: Panel) -> list[Estimate]:
    """Invitation to the tasting evening: all invited, guests (instrument), guests against the rest."""
    rows = asked(panel, "EXP-EVENT")
    who, start = rows["customer"].to_numpy(), rows["week"].min()
    orders, expected = panel.count(start, start + 8)[who], panel.forecast(start, 8)[who]
    invited = (rows["arm"] == "invited").to_numpy()
    guest = invited & (rows["n_clicked"] > 0).to_numpy()
    fit = differences(orders, dummies(rows["arm"], "none"), expected)
    value, error = fit.of(invited=1)
    share = guest[invited].mean()
    spread = np.sqrt(share * (1 - share) / invited.sum())
    rest = ~guest
    naive = orders[guest].mean() - orders[rest].mean()
    naive_error = np.sqrt(orders[guest].var() / guest.sum() + orders[rest].var() / rest.sum())
    ratio, ratio_error = value / share, np.hypot(error, value * spread / share) / share
    return [
        Estimate.from_error("exp_event.itt", value, error, method="orders in 8 weeks, CUPED"),
        Estimate.from_error("exp_event.attendance", share, spread, method="share of the invited"),
        Estimate.from_error("exp_event.guests", ratio, ratio_error, method="Wald: ITT by attendance"),
        Estimate.from_error(
            "exp_event.guests", naive, naive_error, kind="trap", method="guests less all others"
        ),
    ]


def cross_sell(panel: Panel) -> list[Estimate]:
    """The category offer: orders with the category by group, and orders at all."""
    rows = asked(panel, "EXP-XSELL")
    start = rows["week"].min()
    has, who = orders_with(panel, "accessories", start, start + 6), rows["customer"].to_numpy()
    expected, bought = panel.forecast(start, 6)[who], has[who]
    count = panel.count(start, start + 6)[who]
    fit, moved = (differences(outcome, dummies(rows["arm"], "none"), expected) for outcome in (bought, count))
    found = [
        Estimate.from_error("exp_xsell.all", *fit.of(offer=1), method="share with the category, CUPED"),
        Estimate.from_error("exp_xsell.orders", *moved.of(offer=1), kind="null", method="orders, CUPED"),
    ]
    # The offer moves no order: those who ordered can be compared.
    one, keen = one_category(panel, start)[who], panel.customers["app_user"].to_numpy()[who]
    groups = {"one_category": one == 1, "low_engagement": (one == 0) & ~keen, "most": (one == 0) & keen}
    for name, group in groups.items():
        inside = group & (count > 0)
        fit = differences(bought[inside], dummies(rows["arm"][inside], "none"), expected[inside])
        kind = "effect" if name == "one_category" else "unprovable"
        method = "buyers, by what they looked at and app use"
        found.append(Estimate.from_error(f"exp_xsell.{name}", *fit.of(offer=1), kind=kind, method=method))
    return found


def orders_with(panel: Panel, category: str, start: float, end: float) -> np.ndarray:
    """Whether each customer has an order with a category in [start, end)."""
    tables = panel.company.tables
    ids = tables["products"].loc[tables["products"]["category"] == category, "product_id"]
    lines = tables["order_lines"]
    orders = tables["orders"][["order_id", "customer_id", "ordered_at"]]
    week = week_of(orders["ordered_at"])
    orders = orders[(week >= start) & (week < end)]
    buyers = orders.loc[
        orders["order_id"].isin(lines.loc[lines["product_id"].isin(ids), "order_id"]), "customer_id"
    ]
    return panel.customers["customer_id"].isin(buyers).to_numpy(float)


def one_category(panel: Panel, before: float) -> np.ndarray:
    """1 where all visits before a time looked at one category, 0 where not, nan where visits are few."""
    sessions = panel.company.tables["sessions"]
    looks = (
        sessions["order_id"].isna() & sessions["viewed_category"].notna() & sessions["customer_id"].notna()
    )
    looks &= week_of(sessions["started_at"]) < before
    by = sessions[looks].groupby("customer_id")["viewed_category"]
    kinds = by.nunique().where((by.size() >= LOOKS) | (by.nunique() > 1))
    return (kinds == 1).where(kinds.notna()).astype(float).reindex(panel.customers["customer_id"]).to_numpy()
