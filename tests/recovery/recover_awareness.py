"""Recover what the public, visitors and business accounts say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm

from recovery.estimate import Company, Estimate
from recovery.order_panel import week_of
from recovery.survey_panel import Surveys

HEAVY, CAMPAIGN_WAVE = ["Northport", "Easthaven"], "2025H1"
HORIZON = 8.0  # weeks in which a visitor's order counts
ASSOCIATIONS = ["fresh", "expert", "fair_price", "caring"]
INDEX = ["q", "s", "p", "c", "delivery", "billing"]


def estimates(company: Company) -> list[Estimate]:
    """Every planted effect of the public, prospect and business surveys."""
    surveys = Surveys(company)
    public = surveys.sheets("public")
    return [*recognition(public), *ladder(public), *liking(public), prospects(surveys), *business(surveys)]


def share(name: str, values, **more) -> Estimate:
    """A share with its normal interval."""
    values = np.asarray(values, float)
    return Estimate.from_error(name, values.mean(), values.std(ddof=1) / np.sqrt(len(values)), **more)


def recognition(public: pd.DataFrame) -> list[Estimate]:
    """AWARE: heavy less light cities in its wave, less the same in the other waves; and without that."""
    heavy = public["city"].isin(HEAVY).to_numpy(float)
    during = (public["wave"] == CAMPAIGN_WAVE).to_numpy(float)
    cells = pd.get_dummies(public[["city", "wave", "age_band"]], drop_first=True, dtype=float)
    columns = sm.add_constant(cells.assign(lift=heavy * during))
    fit = sm.OLS(public["aware"].to_numpy(float), columns).fit(cov_type="HC1")
    name = "aware.recognition"
    found = [
        Estimate.from_error(name, 100 * fit.params["lift"], 100 * fit.bse["lift"], method="differences twice")
    ]
    one, two = (public.loc[during * (heavy == side) == 1, "aware"] for side in (1, 0))
    error = np.hypot(one.sem(), two.sem())
    gap = one.mean() - two.mean()
    return [
        *found,
        Estimate.from_error(name, 100 * gap, 100 * error, kind="trap", method="cities in one wave"),
    ]


def ladder(public: pd.DataFrame) -> list[Estimate]:
    """Steps of the hierarchy of effects."""
    likes = public[public["likes"] == 1]
    method = "share of those a step higher"
    return [
        share("awareness.knows_given_aware", public["knows_offer"].dropna(), method=method),
        share("awareness.likes_given_knows", public["likes"].dropna(), method=method),
        share("awareness.intends_given_likes", likes["intends"] >= 4, method=method),
    ]


def liking(public: pd.DataFrame) -> list[Estimate]:
    """Which associations go with liking: logit among those who know the offer."""
    some = public[public["likes"].notna()]
    fit = sm.Logit(some["likes"].astype(float), sm.add_constant(some[ASSOCIATIONS].astype(float))).fit(disp=0)
    return [
        Estimate.from_error(
            f"awareness.likes.{name}",
            fit.params[name],
            fit.bse[name],
            kind="unprovable" if name == "fair_price" else "effect",
            method="logit of liking",
        )
        for name in ASSOCIATIONS
    ]


def prospects(surveys: Surveys) -> Estimate:
    """Visitors who would definitely buy, and order within eight weeks."""
    told = surveys.sheets("prospect")
    sessions = surveys.company.tables["sessions"]
    bought = sessions[sessions["order_id"].notna()]
    week = pd.Series(week_of(bought["started_at"]), bought["visitor_id"].astype("str").to_numpy())
    first = week.groupby(level=0).min().reindex(told["respondent_id"]).to_numpy()
    sure = (told["intends"] == 5).to_numpy()
    order = (first > told["week"]) & (first <= told["week"] + HORIZON)
    return share("prospects.conversion_of_definitely", order[sure], method="share of the definitely")


def business(surveys: Surveys) -> list[Estimate]:
    """Index of satisfaction of business accounts: reliability, the stray item, the slip of service."""
    told = surveys.sheets("business")
    late = told["wave"].isin(["2025H1", "2025H2"])
    total = told[INDEX].sum(axis=1)
    link = np.corrcoef(told["showroom"], total)[0, 1]
    error = 1 / np.sqrt(len(told) - 3)
    stray = Estimate.from_error("surveys.business.stray", link, error, kind="null", method="item-rest")
    # Every item less its mean of the wave, so that the slip of one does not count.
    items = told[INDEX] - told.groupby("wave")[INDEX].transform("mean")
    alpha = cronbach(items)
    rng = np.random.default_rng(1)
    accounts = list(told.groupby("respondent_id").indices.values())
    draws = []
    for _ in range(300):
        rows = np.concatenate([accounts[place] for place in rng.choice(len(accounts), len(accounts))])
        draws.append(cronbach(items.iloc[rows]))
    low, high = np.quantile(draws, [0.025, 0.975])
    index = Estimate("surveys.business.alpha", alpha, low, high, method="Cronbach, bootstrap of accounts")
    columns = sm.add_constant(pd.DataFrame({"late": late.astype(float), "rest": total - told["s"]}))
    fit = sm.OLS(told["s"].astype(float), columns).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(told["respondent_id"])[0]}
    )
    slip = Estimate.from_error(
        "surveys.business.slip", fit.params["late"], fit.bse["late"], method="given the other items"
    )
    return [index, stray, slip]


def cronbach(items: pd.DataFrame) -> float:
    """Cronbach's alpha."""
    count = items.shape[1]
    return count / (count - 1) * (1 - items.var().sum() / items.sum(axis=1).var())
