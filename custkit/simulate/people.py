"""The consumers: latent traits first, then how and when they came, then what the records show of them.

Purchase model: BG/NBD (Fader, Hardie and Lee 2005). Spend: Gamma–Gamma (Fader and Hardie 2013). A Gaussian
copula joins the drop-out chance to four experience factors, so that its marginal stays exactly Beta. Order
rate and spend are independent: they hang on two independent traits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate.draft import Draft, parameters, words
from custkit.simulate.media import season
from custkit.simulate.streams import choose, choose_each

FACTORS = ("quality", "service", "price", "communication")


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`people`: one row per consumer in the order of the first orders, latent and public columns together."""
    people = _arrivals(draft).sort_values("joined_week", ignore_index=True)
    people.insert(0, "customer_id", draft.ids("C", draft.size))
    people["customer_type"], people["lead_id"] = "consumer", None
    people["joined_at"] = draft.clock.timestamps(people["joined_week"])
    _traits(draft, people)
    _demographics(draft, people)
    _consent(draft, people)
    return {"people": people}


def chance(logit) -> np.ndarray:
    """Logistic function: log-odds to probability."""
    return 1 / (1 + np.exp(-np.asarray(logit, dtype=float)))


def _arrivals(draft: Draft) -> pd.DataFrame:
    """When and through which channel and campaign each consumer came."""
    given, rng = parameters("media"), draft.rng("arrivals")
    flights = draft.tables["campaigns"].query("kind == 'media' and randomised")
    unpaid = rng.random(draft.size) < sum(given["unpaid_share"].values())
    conversion = flights["channel"].map({name: curve["conversion"] for name, curve in given["paid"].items()})
    pull = (flights["visits"] * conversion).to_numpy(float)
    flight = flights.iloc[rng.choice(len(flights), draft.size, p=pull / pull.sum())]
    weeks = np.arange(1, draft.clock.weeks + 1)
    busy = season(draft.clock, weeks)
    week = np.where(
        unpaid,
        rng.choice(weeks, draft.size, p=busy / busy.sum()),
        flight["first_week"].to_numpy() + rng.integers(0, given["flight_weeks"], draft.size),
    )
    return pd.DataFrame(
        {
            "joined_week": week - 1 + rng.random(draft.size),
            "acq_channel": np.where(
                unpaid, choose(rng, given["unpaid_share"], draft.size), flight["channel"].to_numpy()
            ),
            "acq_campaign_id": np.where(unpaid, None, flight["campaign_id"].to_numpy()),
        }
    )


def _traits(draft: Draft, people: pd.DataFrame) -> None:
    """Order rate, drop-out, spend, segment, engagement and the four experience factors."""
    given, rng, n = parameters("people"), draft.rng("traits"), len(people)
    buying, spend, shift = given["purchase_model"], given["spend_model"], given["trait_shift"]
    traits = {}
    for name in ("heavy", "large"):
        has = rng.random(n) < 0.5
        score = np.where(has, shift, -shift) + rng.standard_normal(n)
        # The mixture's own distribution function makes the rank exactly uniform.
        rank = (stats.norm.cdf(score - shift) + stats.norm.cdf(score + shift)) / 2
        people[name], traits[name] = has, rank
    people["order_rate"] = stats.gamma.ppf(traits["heavy"], buying["r"], scale=1 / buying["alpha"])
    people["spend_rate"] = stats.gamma.ppf(1 - traits["large"], spend["q"], scale=1 / spend["gamma"])
    kind = np.where(people["heavy"], "heavy_", "light_") + np.where(people["large"], "large", "small")
    people["segment"] = pd.Series(kind, index=people.index).map(given["segments"])
    people["panel"] = np.where(rng.random(n) < given["test_panel_share"], "test", "bau")
    people["engaged"] = rng.random(n) < given["engaged_share"]

    weights = np.array([given["experience_weights"][name] for name in FACTORS])
    factors = rng.standard_normal((n, len(FACTORS)))
    rest = np.sqrt(1 - (weights**2).sum()) * rng.standard_normal(n)
    score = rest - factors @ weights
    people["drop_chance"] = stats.beta.ppf(stats.norm.cdf(score), buying["a"], buying["b"])
    for name, factor in zip(FACTORS, factors.T, strict=True):
        people[name] = factor
    people["price_sensitive"] = people["price"] < given["sensitive_below"]
    # What would drive a customer away: the largest push, of a factor or of needs that changed.
    pushes = np.column_stack([-weights[:3] * factors[:, :3], rest])
    people["churn_reason"] = np.array(["quality", "service", "price", "needs"])[pushes.argmax(axis=1)]


def _demographics(draft: Draft, people: pd.DataFrame) -> None:
    given, rng, n = parameters("people"), draft.rng("demographics"), len(people)
    bank = words("people")
    family, given_name = (rng.choice(bank[part], n) for part in ("family_names", "given_names"))
    people["name"] = [f"{first} {last}" for first, last in zip(given_name, family, strict=True)]
    people["email"] = [
        f"{first.lower()}.{last.lower()}{customer[1:]}@example.com"
        for first, last, customer in zip(given_name, family, people["customer_id"], strict=True)
    ]
    people["phone"] = [f"000-{number:07d}" for number in rng.choice(10_000_000, n, replace=False)]

    age = given["age"]
    years = np.clip(rng.normal(age["mean"], age["std"], n), age["least"], age["most"])
    people["age"] = years
    people["birth_year"] = np.where(
        rng.random(n) < given["birth_year_known"], draft.clock.as_of.year - np.floor(years), np.nan
    )
    for name, column in (
        ("gender", "gender"),
        ("cities", "city"),
        ("area_types", "area_type"),
        ("social_platforms", "social_platform"),
    ):
        people[column] = choose(rng, given[name], n)
    job = np.where(years > 64, "retired", choose(rng, given["occupations"], n))
    people["occupation"] = np.where(rng.random(n) < given["occupation_known"], job, None)
    income = given["income"]
    score = rng.standard_normal(n) + np.where(people["large"], 1, -1) * income["large_basket_shift"]
    people["income_true"] = 1 + np.searchsorted(income["cuts"], score)
    miss = given["income_missing_logit"]
    missing = rng.random(n) < chance(miss["base"] + miss["per_band"] * (people["income_true"] - 3))
    people["income_band"] = np.where(missing, np.nan, people["income_true"])

    app = given["app_logit"]
    logit = app["base"] + people["segment"].map(app).to_numpy() + app["engaged"] * people["engaged"]
    people["app_user"] = rng.random(n) < chance(logit)
    people["interests"] = _interests(rng, given, people)
    club = given["community_logit"]
    rate = np.log(people["order_rate"])
    logit = (
        club["base"]
        + club["engaged"] * people["engaged"]
        + club["order_rate_z"] * (rate - rate.mean()) / rate.std()
    )
    stay = draft.clock.weeks - people["joined_week"]
    since = people["joined_week"] + rng.random(n) * stay
    people["member_since"] = np.where(
        rng.random(n) < chance(logit), draft.clock.dates(since), np.datetime64("NaT")
    )


def _interests(rng: np.random.Generator, given: dict, people: pd.DataFrame) -> np.ndarray:
    """Up to three interests; tasting goes with heavy drinkers, design and cooking with large baskets."""
    names, n = np.array(given["interests"]), len(people)
    weights = np.ones((n, len(names)))
    weights[people["segment"].isin(["daily", "connoisseur"]), 0] = 3
    weights[people["large"], 3:5] = 1.8
    picks = [names[choose_each(rng, weights)] for _ in range(3)]
    how_many = rng.integers(1, 4, n)
    known = rng.random(n) < given["interests_known"]
    joined = [";".join(dict.fromkeys(trio[:k])) for *trio, k in zip(*picks, how_many, strict=True)]
    return np.where(known, np.array(joined, dtype=object), None)


def _consent(draft: Draft, people: pd.DataFrame) -> None:
    """What each consumer allowed, when, and under which text; when erasure was asked for."""
    given, rng, n = parameters("people")["consent"], draft.rng("consent"), len(people)
    logit = given["marketing_logit"]
    marketing = rng.random(n) < chance(logit["base"] + logit["engaged"] * people["engaged"])
    profiling = marketing & (rng.random(n) < given["profiling_given_marketing"])
    people["consent_marketing"], people["consent_profiling"] = marketing, profiling
    chosen = np.column_stack([rng.random(n) < share for share in given["channels"].values()])
    chosen[:, 0] |= ~chosen.any(axis=1)
    names = list(given["channels"])
    listed = [";".join(name for name, on in zip(names, row, strict=True) if on) for row in chosen]
    people["consent_channels"] = np.where(marketing, np.array(listed, dtype=object), None)
    people["consent_ts"] = np.where(marketing, people["joined_at"], np.datetime64("NaT"))
    from_days = np.array([str(day) for day in given["policy_versions"]], dtype="datetime64[D]")
    version = np.searchsorted(from_days, people["joined_at"].to_numpy().astype("datetime64[D]"), "right") - 1
    known = np.array(list(given["policy_versions"].values()), dtype=object)[version]
    people["policy_version"] = np.where(marketing, known, None)
    birthday = profiling & (rng.random(n) < given["birthday_given_profiling"])
    people["birth_month"] = np.where(birthday, rng.integers(1, 13, n), np.nan)
    asked = rng.random(n) < given["erasure_requested"]
    when = people["joined_week"] + (draft.clock.weeks - people["joined_week"]) * rng.random(n)
    people["erasure_requested_at"] = np.where(asked, draft.clock.timestamps(when), np.datetime64("NaT"))
