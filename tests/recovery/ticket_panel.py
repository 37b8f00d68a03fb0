"""Tickets as the estimators of `recover_tickets.py` need them, and their least squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm

from recovery.estimate import Company

WEEK = np.timedelta64(7, "D")


def usual_tickets(company: Company) -> pd.DataFrame:
    """Tickets of customers, questions before the first order left out; agents' training beside them."""
    people = company.tables["customers"][["customer_id", "joined_at", "gender"]]
    staff = company.tables["staff"][["staff_id", "trained_on"]]
    tickets = (
        company.tables["tickets"].merge(people, on="customer_id").merge(staff, on="staff_id", how="left")
    )
    tickets = tickets[tickets["opened_at"] >= tickets["joined_at"]].sort_values(
        "opened_at", ignore_index=True
    )
    tickets["trained"] = (tickets["opened_at"] >= tickets["trained_on"]).astype(float)
    tickets["unsolved"] = tickets["resolved_at"].isna().astype(float)
    tickets["month"] = tickets["opened_at"].dt.strftime("%Y-%m")
    tickets["hour"] = tickets["opened_at"].dt.hour
    tickets["weekday"] = tickets["opened_at"].dt.day_of_week
    return tickets


def dummies(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Indicator columns, and a constant."""
    shown = [pd.get_dummies(table[name].astype(str), drop_first=True).to_numpy(float) for name in columns]
    return np.column_stack([np.ones(len(table)), *shown])


def fit(y, first, rest, **options):
    """Least squares with robust errors; the coefficients wanted come first."""
    return sm.OLS(np.asarray(y, float), np.column_stack([first, rest])).fit(**{"cov_type": "HC1"} | options)


def codes(values: pd.Series) -> np.ndarray:
    return pd.factorize(values)[0]


def overlap(begin: pd.Series, end: pd.Series, months: np.ndarray) -> np.ndarray:
    """Weeks (rows × months) that each stretch of time shares with each month."""
    begin, end = (series.to_numpy().astype("datetime64[s]")[:, None] for series in (begin, end))
    edges = months.astype("datetime64[s]")
    shared = np.minimum(end, edges[1:]) - np.maximum(begin, edges[:-1])
    return np.maximum(shared / WEEK, 0)


def about_a_defect(company: Company, tickets: pd.DataFrame) -> np.ndarray:
    """Complaints about quality or function on an order with one of the two faulty products."""
    lines = company.tables["order_lines"]
    faulty = lines.loc[lines["product_id"].isin(faulty_products(company)), "order_id"]
    about = tickets["topic"].isin(["quality", "function"]) & (tickets["kind"] == "complaint")
    return (about & tickets["order_id"].isin(faulty)).to_numpy()


def faulty_products(company: Company) -> list[str]:
    return [name.split(".")[-1] for name in company.effects if name.startswith("tickets.defect.")]


def broken_line(
    y: np.ndarray, log_reply: np.ndarray, rest: np.ndarray, groups: np.ndarray, draws: int = 199
) -> tuple[float, float]:
    """Bend (minutes) of the line, flat before it, that leaves the smallest squares; error in doublings.

    The sum of squares is not smooth in the bend, so its error is that of a wild bootstrap in which the
    residuals of a customer change signs together.
    """
    basis, _ = np.linalg.qr(rest)
    grid = np.linspace(np.log2(10), np.log2(180), 161)
    hinges = np.maximum(log_reply[:, None] - grid, 0)
    hinges -= basis @ (basis.T @ hinges)
    hinges /= np.sqrt((hinges**2).sum(axis=0))

    def best(values):
        return ((hinges.T @ values) ** 2).argmax(axis=0)

    left = y - basis @ (basis.T @ y)
    found = best(left)
    fitted = hinges[:, found] * (hinges[:, found] @ left)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (groups.max() + 1, draws))[groups]
    noise = (left - fitted)[:, None] * signs
    again = grid[best(fitted[:, None] + noise - basis @ (basis.T @ noise))]
    return float(np.exp2(grid[found])), float(again.std())


def asked_again(tickets: pd.DataFrame) -> pd.Series:
    """Tickets of a customer within a week of another on the same matter; `tickets` in order of time."""
    since = tickets["opened_at"] - tickets.groupby(["customer_id", "kind", "topic"])["opened_at"].shift()
    return since < WEEK
