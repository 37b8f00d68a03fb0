"""What the public and visitors know and intend; the AWARE flights that should make the shop known.

Recall, knowledge, liking and intention follow the hierarchy of effects (Lavidge and Steiner 1961).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.questionnaire import HEAD, PUBLIC, cut
from custkit.simulate.streams import choose


def quota(rng: np.random.Generator, shares: dict, count: int) -> np.ndarray:
    """Labels whose counts follow the shares exactly (to a person), in random order."""
    edges = np.round(np.cumsum(list(shares.values())) / sum(shares.values()) * count).astype(int)
    return rng.permutation(np.repeat(np.array(list(shares), dtype=object), np.diff(edges, prepend=0)))


def public(draft: Draft) -> pd.DataFrame:
    """Interviews of the quota sample; those who do not know the shop are asked no more."""
    given, rng = parameters("awareness"), draft.rng("awareness")
    scale = draft.size / parameters("media")["reference_customers"]
    waves = parameters("surveys")["waves"]
    parts = []
    for number, (wave, start) in enumerate(waves.items()):
        count = round(given["size"][wave] * scale)
        labels = {name: quota(rng, shares, count) for name, shares in given["quotas"].items()}
        week = start + parameters("surveys")["field_weeks"] * rng.random(count)
        parts.append(pd.DataFrame(labels | {"wave": wave, "number": number, "week": week}))
    sheet = pd.concat(parts, ignore_index=True)
    n = len(sheet)
    sheet["respondent_type"], sheet["respondent_id"], sheet["form"] = "public", draft.ids("P", n), "public"
    sheet["channel"] = choose(rng, given["channels"], n)
    sheet["aware"] = (rng.random(n) < aware_chance(sheet)).astype(float)
    knows = np.where(sheet["aware"] == 1, (rng.random(n) < given["knows_offer"]).astype(float), np.nan)
    sheet["knows_offer"] = knows
    for name, share in given["associations"].items():
        sheet[name] = np.where(knows == 1, (rng.random(n) < share).astype(float), np.nan)
    liking = given["likes_logit"]
    logit = liking["base"] + sum(liking[name] * sheet[name] for name in given["associations"])
    sheet["likes"] = np.where(knows == 1, (rng.random(n) < chance(logit)).astype(float), np.nan)
    intends = given["intends"]
    latent = intends["base"] + intends["likes"] * sheet["likes"] + intends["noise"] * rng.standard_normal(n)
    sheet["intends"] = np.where(knows == 1, cut(latent), np.nan)
    plant(draft)
    return sheet[[*HEAD, *PUBLIC, "likes", "intends"]]


def aware_chance(sheet: pd.DataFrame) -> np.ndarray:
    """Chance to recognise the shop's name, by city, age, wave and the AWARE flights."""
    given, campaign = parameters("awareness")["aware"], parameters("awareness")["campaign"]
    young = sheet["age_band"].isin(["18-29", "30-39"])
    reached = sheet["city"].isin(campaign["heavy"]) & (sheet["wave"] == campaign["wave"])
    share = given["base"] + given["per_wave"] * sheet["number"] + sheet["city"].map(given["city"])
    share = share + given["young"] * np.where(young, 1, -1) + given["campaign"] * reached
    return share.to_numpy(float)


def likes_share() -> float:
    """True share of those who know the offer that like the shop, over all patterns of associations."""
    given = parameters("awareness")
    names, total = list(given["associations"]), 0.0
    for pattern in np.ndindex(*(2,) * len(names)):
        held = dict(zip(names, pattern, strict=True))
        weight = np.prod(
            [share if held[name] else 1 - share for name, share in given["associations"].items()]
        )
        logit = given["likes_logit"]["base"] + sum(given["likes_logit"][name] * held[name] for name in names)
        total += float(weight * chance(logit))
    return total


def plant(draft: Draft) -> None:
    """True lift of AWARE, steps of the ladder and weights of the associations."""
    given = parameters("awareness")
    draft.plant("aware.recognition", 100 * given["aware"]["campaign"], "points", "lift of heavy cities")
    draft.plant("awareness.knows_given_aware", given["knows_offer"], "share", "step of the ladder")
    draft.plant("awareness.likes_given_knows", likes_share(), "share", "step of the ladder")
    step = given["intends"]
    bar = (step["from"] - 0.5 - step["base"] - step["likes"]) / step["noise"]
    draft.plant("awareness.intends_given_likes", stats.norm.sf(bar), "share", "step of the ladder")
    for name in given["associations"]:
        draft.plant(f"awareness.likes.{name}", given["likes_logit"][name], "log-odds", f"liking if {name}")


def prospects(draft: Draft) -> pd.DataFrame:
    """Visitors who never ordered, asked as they leave the page: `likes` and `intends`.

    Whether they order within the horizon is known already; what they say goes with it, and overstates.
    """
    given, rng = parameters("awareness")["prospects"], draft.rng("prospects")
    pool = first_visits(draft, rng)
    bought = pool["order_week"] - pool["week"] <= given["horizon_weeks"]
    n = len(pool)
    likes = rng.random(n) < np.where(bought, given["likes"]["buyer"], given["likes"]["other"])
    latent = given["intends"]["base"] + given["intends"]["buyer"] * bought + given["intends"]["likes"] * likes
    intends = cut(latent + given["intends"]["noise"] * rng.standard_normal(n))
    scale = draft.size / parameters("media")["reference_customers"]
    asked = rng.random(n) < min(1.0, given["count"] * scale / max(n, 1))
    sure = intends == 5
    draft.plant(
        "prospects.conversion_of_definitely",
        bought[sure].mean() if sure.any() else np.nan,
        "share",
        "visitors who would say definitely and order within eight weeks",
    )
    waves = np.array(list(parameters("surveys")["waves"]), dtype=object)
    sheet = pd.DataFrame(
        {
            "respondent_type": "prospect",
            "form": "prospect",
            "respondent_id": pool["visitor_id"],
            "wave": waves[(pool["week"] // 26).astype(int).clip(upper=len(waves) - 1)],
            "week": pool["week"] + given["minutes"] / 7 / 24 / 60,
            "channel": "web",
            "likes": likes.astype(float),
            "intends": intends,
        }
    )
    return sheet[asked]


def first_visits(draft: Draft, rng: np.random.Generator) -> pd.DataFrame:
    """One visit of each visitor from before a first order, early enough to see what follows.

    Columns visitor_id, week, order_week (of the visitor's first order in the log; infinite for none).
    """
    sessions = draft.tables["sessions"]
    last = draft.clock.weeks - parameters("awareness")["prospects"]["horizon_weeks"]
    order_week = sessions[sessions["order_id"].notna()].groupby("visitor_id")["week"].min()
    ordered = sessions["visitor_id"].map(order_week).fillna(np.inf)
    open_ = sessions.assign(order_week=ordered)[
        (sessions["customer_id"].isna() & (sessions["week"] < ordered) & (sessions["week"] < last)).to_numpy()
    ]
    picked = open_.iloc[rng.permutation(len(open_))].drop_duplicates("visitor_id")
    return picked.sort_values("week")[["visitor_id", "week", "order_week"]].reset_index(drop=True)


def with_flights(draft: Draft) -> pd.DataFrame:
    """`campaigns` with the AWARE flights of the heavy and the light cities."""
    given, rng, clock = parameters("awareness")["campaign"], draft.rng("aware flights"), draft.clock
    length = parameters("media")["flight_weeks"]
    scale = draft.size / parameters("media")["reference_customers"]
    cities = list(parameters("awareness")["quotas"]["city"])
    first = given["first_week"] + length * np.arange(given["flights"])
    rows = pd.DataFrame([(week, city) for week in first for city in cities], columns=["first_week", "city"])
    level = np.where(rows["city"].isin(given["heavy"]), given["spend"]["heavy"], given["spend"]["light"])
    spend = np.round(level * scale * rng.uniform(1 - given["spread"], 1 + given["spread"], len(rows)), 2)
    begin = clock.dates(rows["first_week"].to_numpy() - 1.0)
    number = (rows["first_week"] - given["first_week"]) // length + 1
    flights = rows.assign(
        campaign_id=draft.ids("AWA", len(rows), 3),
        name="Posters in " + rows["city"] + " " + number.astype(str),
        audience="consumer",
        kind="media",
        stage="attract",
        channel="outdoor",
        start_on=begin,
        end_on=begin + np.timedelta64(7 * length - 1, "D"),
        offer="none",
        spend=spend,
        unit_cost=given["cost_per_thousand"] / 1000,
        impressions=np.round(spend / given["cost_per_thousand"] * 1000),
        experiment_id="AWARE",
        randomised=False,
    )
    campaigns = draft.tables["campaigns"]
    columns = [*campaigns.columns, *(name for name in flights if name not in campaigns)]
    return pd.concat([campaigns, flights], ignore_index=True)[columns]
