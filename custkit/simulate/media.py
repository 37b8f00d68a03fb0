"""Paid media: 4-week flights with spend levels drawn at random, visits with a concave response.

visits ~ Poisson(ceiling (1 − exp(−spend / scale)) × season): the saturating response of marketing-mix
models (Jin et al. 2017, "Bayesian methods for media mix modeling", adstock left out).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.clock import Clock
from custkit.simulate.draft import Draft, parameters


def season(clock: Clock, week_number) -> np.ndarray:
    """How many visits a week brings, against the average week."""
    given = parameters("media")["season"]
    week = np.asarray(week_number)
    wave = 1 + given["amplitude"] * np.cos(2 * np.pi * (week - given["peak_week"]) / 52)
    return wave * np.where(clock.in_gift_season(week - 0.5), given["gift_weeks"], 1.0)


def response(channel: str, spend, size: int) -> np.ndarray:
    """Expected visits of a flight without season; spend in CNY, company of `size` consumers."""
    curve, scale = parameters("media")["paid"][channel], size / parameters("media")["reference_customers"]
    return scale * curve["ceiling"] * (1 - np.exp(-np.asarray(spend) / scale / curve["scale"]))


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """The media rows of `campaigns`, one per channel and flight; hidden column `first_week` (its number)."""
    given, clock, rng = parameters("media"), draft.clock, draft.rng("media")
    length = given["flight_weeks"]
    scale = draft.size / given["reference_customers"]
    starts = np.arange(1, clock.weeks + 1, length)
    flights = []
    for channel, curve in given["paid"].items():
        spend = np.round(curve["spend_mean"] * scale * rng.choice(given["spend_levels"], len(starts)), 2)
        year_part = np.array([season(clock, start + np.arange(length)).mean() for start in starts])
        visits = rng.poisson(response(channel, spend, draft.size) * year_part)
        clicks = visits + rng.binomial(visits, 0.08)  # some clicks never load the page
        flights.append(
            pd.DataFrame(
                {
                    "first_week": starts,
                    "channel": channel,
                    "spend": spend,
                    "visits": visits,
                    "clicks": clicks,
                    "impressions": np.round(
                        clicks / curve["click_rate"] * rng.uniform(0.9, 1.1, len(starts))
                    ),
                    "keyword_group": rng.choice(given["keyword_groups"], len(starts))
                    if channel == "search"
                    else None,
                }
            )
        )
    campaigns = pd.concat(flights, ignore_index=True).sort_values(
        ["first_week", "channel"], ignore_index=True
    )
    _plant(draft, season(clock, np.arange(1, clock.weeks + 1)).mean())
    begin = clock.dates(campaigns["first_week"].to_numpy() - 1.0)
    campaigns = campaigns.assign(
        campaign_id=draft.ids("MED", len(campaigns), 3),
        name=campaigns["channel"] + " flight " + ((campaigns["first_week"] - 1) // length + 1).astype(str),
        audience="consumer",
        kind="media",
        stage="attract",
        city=None,
        start_on=begin,
        end_on=begin + np.timedelta64(7 * length - 1, "D"),
        offer="none",
        unit_cost=np.round(campaigns["spend"] / campaigns["clicks"].clip(lower=1), 2),
        experiment_id=None,
        randomised=True,
    )
    return {"campaigns": campaigns}


def _plant(draft: Draft, average: float) -> None:
    """Note the response curves, at the season's average."""
    given = parameters("media")
    scale = draft.size / given["reference_customers"]
    for channel, curve in given["paid"].items():
        text = f"response curve of {channel}"
        draft.plant(f"media.{channel}.ceiling", curve["ceiling"] * scale * average, "visits a flight", text)
        draft.plant(f"media.{channel}.scale", curve["scale"] * scale, "CNY a flight", text)
