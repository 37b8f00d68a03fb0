"""Effects of what is known of a lead after seven days, and the response of leads to spend."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from recovery.estimate import Company, Estimate
from recovery.lead_panel import START, LeadPanel, digits

FEATURES = (
    "size",
    "page",
    "demo",
    "competitor",
    "fit",
    "event",
    "reply_hour",
    "warm",
    "topic.pricing",
)
SOURCES = ("content", "partner", "referral", "cold_list", "expo")
# Source of leads → channel of the campaigns that bring them.
FLIGHTS = {"web_form": "search", "content": "web", "partner": "partner", "cold_list": "phone", "expo": "expo"}


def estimates(company: Company) -> list[Estimate]:
    """Everything planted by the block `firms`, and the first days' effects on winning."""
    panel = LeadPanel(company)
    return [
        *(panel.effect(f"source.{name}") for name in SOURCES),
        *(panel.effect(name) for name in FEATURES),
        *(panel.effect(f"null.{name}", kind="null") for name in
          ("week", "contact_role", "city", "n_competitors", "budget_band", "timeline_months")),
        panel.effect("topic.other", kind="null"),
        panel.alone("null.n_competitors", panel.ripe["n_competitors"], "their number alone"),
        *(estimate for source in FLIGHTS for estimate in _response(panel, company, source)),
    ]  # fmt: skip


def once(leads: pd.DataFrame) -> pd.DataFrame:
    """Leads without those whose telephone number or e-mail address came before."""
    leads = leads.sort_values("created_at")
    return leads[~(digits(leads["phone"]).duplicated() | leads["email"].astype(str).duplicated())]


def _response(panel: LeadPanel, company: Company, source: str) -> list[Estimate]:
    """Poisson likelihood of leads a flight = ceiling (1 − exp(−spend / scale)), profile intervals."""
    campaigns = company.tables["campaigns"]
    mine = campaigns["audience"].astype(object).eq("business") & campaigns["channel"].astype(object).eq(
        FLIGHTS[source]
    )
    flights = campaigns[mine & campaigns["randomised"].astype(bool) & campaigns["experiment_id"].isna()]
    leads = once(panel.leads)
    leads = leads[leads["source"] == source]
    slot = ((leads["created_at"] - START).dt.days // 56).value_counts()
    count = slot.reindex((flights["start_on"] - START).dt.days // 56).fillna(0).to_numpy()
    spend = flights["spend"].to_numpy(float)

    def best(log_scale: float) -> tuple[float, float]:
        """Likelihood with the best ceiling, and that ceiling."""
        shape = -np.expm1(-spend / np.exp(log_scale))
        ceiling = count.sum() / shape.sum()
        return float(special.xlogy(count, ceiling * shape).sum() - ceiling * shape.sum()), ceiling

    middle = np.log(spend.mean())
    grid = np.linspace(middle - 2.5, middle + 3.0, 400)
    height = np.array([best(value)[0] for value in grid])
    inside = grid[height > height.max() - stats.chi2.ppf(0.95, 1) / 2]
    at = optimize.minimize_scalar(
        lambda value: -best(value)[0], bounds=(grid[0], grid[-1]), method="bounded"
    ).x
    scale = np.exp([at, inside[0], inside[-1]])
    # The ceiling rises with the scale; a little more for its own Poisson noise.
    ceiling = np.array([best(np.log(value))[1] for value in scale])
    noise = 1.96 / np.sqrt(count.sum())
    method = "Poisson, profile likelihood"
    return [
        Estimate(f"firms.media.{source}.scale", *map(float, scale), method=method),
        Estimate(f"firms.media.{source}.ceiling", float(ceiling[0]), float(ceiling[1] * (1 - noise)),
                 float(ceiling[2] * (1 + noise)), method=method),
    ]  # fmt: skip
