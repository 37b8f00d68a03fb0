"""What ten per cent more of each stage's key metric is worth: the bottleneck table of lifecycle-health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .lifecycle_health import ACTIVE, YEAR_WEEKS

LEVEL = 0.9  # of the ranges
DRAWS = 4000


@dataclass(frozen=True)
class Lever:
    """Ten per cent more of a stage's key metric.

    Attributes
    ----------
    stage, metric : str
    events : float
        How often it happened in the record's window.
    per_year : float
        Factor that makes a year of it.
    worth, std_error : float
        What one event more brings in 12 months, money, by those to whom it happened by itself.
    cost : float
        What one more costs for certain, money: it is paid in full, whatever the one more brings.
    """

    stage: str
    metric: str
    events: float
    per_year: float
    worth: float
    std_error: float
    cost: float = 0.0


def levers(
    flows: pd.DataFrame,
    value: pd.DataFrame,
    new: Mapping[str, float],
    again: Mapping[str, float] | None,
    *,
    seen: float | None,
    cac: float,
    new_weeks: int,
) -> list[Lever]:
    """The levers the data can price.

    Parameters
    ----------
    flows : DataFrame
        From :func:`custkit.lifecycle.stage_flows`.
    value : DataFrame indexed by stage
        ``margin`` of the next 12 months each, ``std_error``.
    new, again : mapping
        ``events``, ``per_year``, ``worth``, ``std_error`` of new customers, and of those of them who ordered
        again within `new_weeks` (worth: their first 12 months less those of the others).
    seen : float, optional
        Share of the new customers who had been seen in the visits; None without visits.
    cac : float
        What a new customer costs; missing when not known.
    """
    weeks = flows["week"].nunique()
    people = flows.astype({"stage_from": "str", "stage_to": "str"})
    people = people.groupby(["stage_from", "stage_to"])["people"].sum()

    def moved(start: tuple[str, ...], stop: tuple[str, ...]) -> float:
        return float(sum(people.get((a, b), 0) for a in start for b in stop))

    cost = 0.0 if np.isnan(cac) else cac
    if seen is None:
        found = [Lever("attract and acquire", "new customers", *_numbers(new), cost)]
    else:
        reached = {**new, "events": new["events"] * seen}
        found = [
            Lever("attract", "visitors who become customers", *_numbers(reached), cost),
            Lever("acquire", "identified visitors who order", *_numbers(reached)),
        ]
    if again is not None:
        found.append(
            Lever("convert", f"new customers who order again within {new_weeks} weeks", *_numbers(again))
        )
    steps = [
        (
            "retain",
            "customers kept from falling silent",
            moved(ACTIVE, ("reacquire",)),
            "retain",
            "reacquire",
        ),
        (
            "develop",
            "customers who come to spend more",
            moved(("retain",), ("develop",)),
            "develop",
            "retain",
        ),
        ("reacquire", "lost customers who come back", moved(("reacquire",), ACTIVE), "retain", "reacquire"),
    ]
    for stage, metric, events, better, worse in steps:
        if {better, worse} <= set(value.index):
            gain = value.loc[better, "margin"] - value.loc[worse, "margin"]
            error = float(np.hypot(value.loc[better, "std_error"], value.loc[worse, "std_error"]))
            found.append(Lever(stage, metric, events, YEAR_WEEKS / weeks, float(gain), error))
    return found


def _numbers(facts: Mapping[str, float]) -> tuple[float, float, float, float]:
    return facts["events"], facts["per_year"], facts["worth"], facts["std_error"]


def bottleneck(found: list[Lever], *, carry_over: float, rng: np.random.Generator) -> pd.DataFrame:
    """What 10 % more of each stage's key metric is worth in a year, the most first.

    Each draw takes new events (Poisson), a new worth of one (normal), and for each stage a new carry-over,
    uniform from 0 to twice `carry_over` (or up to 1, as far above it as below).

    Returns
    -------
    DataFrame
        stage, metric, a_year (events), ten_percent (a tenth of them), worth_each (money, by those to whom it
        happened by itself), cost_each (money), worth (a year, money, less the cost), low, high (90 %), first
        (share of draws in which the stage is worth most).
    """
    reach = min(carry_over, 1 - carry_over)
    drawn = np.column_stack(
        [
            0.1
            * lever.per_year
            * rng.gamma(lever.events + 0.5, size=DRAWS)
            * (
                rng.normal(lever.worth, np.nan_to_num(lever.std_error), DRAWS)
                * rng.uniform(carry_over - reach, carry_over + reach, DRAWS)
                - lever.cost
            )
            for lever in found
        ]
    )
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    table = pd.DataFrame(
        {
            "stage": [lever.stage for lever in found],
            "metric": [lever.metric for lever in found],
            "a_year": [lever.events * lever.per_year for lever in found],
            "worth_each": [lever.worth for lever in found],
            "cost_each": [lever.cost for lever in found],
            "low": low,
            "high": high,
            "first": np.bincount(drawn.argmax(axis=1), minlength=len(found)) / DRAWS,
        }
    )
    table.insert(3, "ten_percent", 0.1 * table["a_year"])
    table.insert(6, "worth", table["ten_percent"] * (table["worth_each"] * carry_over - table["cost_each"]))
    return table.sort_values("worth", ascending=False, kind="stable", ignore_index=True)
