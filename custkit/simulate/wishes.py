"""What customers need, wish, intend and would pay: the needs survey.

Stated intent overstates what people do. Willingness to pay is log-normal; the price ladder follows Gabor and
Granger (1966), the four price questions Van Westendorp (1976).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from custkit.simulate.attitudes import decades, is_lost, own_taste
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.questionnaire import cut, price_steps
from custkit.simulate.streams import choose_each


def needs(draft: Draft, frame: pd.DataFrame) -> pd.DataFrame:
    """Answers of customers who got one form of the needs survey."""
    form = frame["form"].iloc[0] if len(frame) else "needs_a"
    items = parameters("surveys")["needs"]["forms"][form]
    rng = draft.rng(f"survey {form}")
    pay = willingness(rng, len(frame))
    columns = {item: _ask(draft, rng, frame, item, pay) for item in items if not item.startswith("price_")}
    if "price_dear" in items:
        columns |= price_answers(rng, pay)
    return pd.DataFrame(columns)


def _ask(
    draft: Draft, rng: np.random.Generator, frame: pd.DataFrame, item: str, pay: np.ndarray
) -> np.ndarray:
    given, n = parameters("surveys")["needs"], len(frame)
    group, _, detail = item.partition("_")
    if item == "next_orders":
        return stated_orders(rng, frame)
    if item in ("motive", "need_type"):
        table = pd.DataFrame(given[item]).T
        picked = choose_each(rng, table.loc[frame["segment"]].to_numpy())
        return table.columns.to_numpy(object)[picked]
    if item == "longer_warranty":
        logit = given[item]["base"] + given[item]["age_per_decade"] * decades(frame)
        return (rng.random(n) < chance(logit)).astype(float)
    if item == "personal_wish":
        return (pay > 0).astype(float)
    if item == "social_wish":
        pull = given[item]["degree"] * standard(np.log1p(degree(draft)))[frame["customer"]]
        return cut(given[item]["mean"] + pull + given[item]["noise"] * rng.standard_normal(n))
    if group == "met":
        return met(draft, rng, frame, detail)
    if item == "contact_wish":
        levels = np.array(given["contact"]["levels"], float)
        return levels[np.abs(np.log1p(levels) - wished(draft, frame)[:, None]).argmin(axis=1)]
    if item == "contact_opinion":
        given = given["contact"]["opinion"]
        excess = np.log1p(messages(draft, frame)) - wished(draft, frame)
        return cut(3 + given["slope"] * excess + given["noise"] * rng.standard_normal(n))
    return problem(draft, rng, frame, detail)


def standard(values: np.ndarray) -> np.ndarray:
    """Values less their mean, in standard deviations."""
    return (values - values.mean()) / values.std()


def degree(draft: Draft) -> np.ndarray:
    """Followers and people followed, of each consumer."""
    edges = draft.tables["social_edges"].query("kind == 'follow'")
    ids = pd.Index(draft.tables["people"]["customer_id"])
    ends = pd.concat([edges["src_customer_id"], edges["dst_customer_id"]])
    return ends.value_counts().reindex(ids).fillna(0).to_numpy()


def stated_orders(rng: np.random.Generator, frame: pd.DataFrame) -> np.ndarray:
    """Orders people say they will place in the weeks ahead: the expected ones, overstated."""
    given = parameters("surveys")["needs"]["next_orders"]
    spread = np.exp(given["spread"] * rng.standard_normal(len(frame)) - given["spread"] ** 2 / 2)
    told = given["overstate"] * expected_orders(frame, given["weeks"]) * spread
    return np.floor(told + rng.random(len(frame)))  # rounded at random, so that the mean is kept


def expected_orders(frame: pd.DataFrame, weeks: float) -> np.ndarray:
    """Own expected orders in the weeks after an answer: an active customer's rate falls with drop-out."""
    rate, drop = frame["order_rate"].to_numpy(), frame["drop_chance"].to_numpy()
    return ~is_lost(frame, frame["week"]) * -np.expm1(-rate * drop * weeks) / drop


def willingness(rng: np.random.Generator, n: int) -> np.ndarray:
    """CNY a month each would pay for personal selection; 0 for those who do not want it."""
    given = parameters("surveys")["needs"]
    price = given["price"]["median"] * np.exp(given["price"]["sigma"] * rng.standard_normal(n))
    return np.where(rng.random(n) < given["personal_wish"], price, 0.0)


def price_answers(rng: np.random.Generator, pay: np.ndarray) -> dict[str, np.ndarray]:
    """The four price questions (CNY; asked of those who want it) and the ladder (1 yes, 0 no)."""
    given = parameters("surveys")["needs"]["price"]
    wants = pay > 0
    answers = {}
    for item, part in given["questions"].items():
        said = np.round(part * pay * np.exp(given["spread"] * rng.standard_normal(len(pay))))
        answers[item] = np.where(wants, np.maximum(said, 1), np.nan)
    # Nobody calls a price dear that is lower than the one called a bargain.
    ordered = np.sort(np.column_stack(list(answers.values())), axis=1)
    answers = dict(zip(answers, ordered.T, strict=True))
    return answers | {
        item: (pay >= step).astype(float) for item, step in zip(price_steps(), given["steps"], strict=True)
    }


def met(draft: Draft, rng: np.random.Generator, frame: pd.DataFrame, need: str) -> np.ndarray:
    """How well a need is met: functional by quality, emotional by what the shop means to one."""
    given = parameters("surveys")["needs"]["met"]
    pull = given["quality"][need] * frame["quality"].to_numpy()
    pull = pull + given["own_taste"][need] * own_taste(draft)[frame["customer"]]
    return cut(given["mean"][need] + pull + given["noise"] * rng.standard_normal(len(frame)))


def wished(draft: Draft, frame: pd.DataFrame) -> np.ndarray:
    """log(1 + messages in four weeks) that each customer wishes for."""
    given = parameters("surveys")["needs"]["contact"]["wish_log"]
    own = draft.rng("contact wish").standard_normal(len(draft.tables["people"]))[frame["customer"]]
    centre = np.where(frame["engaged"], given["engaged"], given["other"])
    return np.maximum(centre + given["noise"] * own, 0)


def messages(draft: Draft, frame: pd.DataFrame) -> np.ndarray:
    """Messages each customer gets in four weeks: those of the arm in EXP-FREQ, else the usual number."""
    arms = draft.tables["trial_arms"].query("experiment_id == 'EXP-FREQ'").set_index("customer")["arm"]
    usual = parameters("surveys")["needs"]["contact"]["usual"]
    return arms.reindex(frame["customer"]).astype(float).fillna(usual).to_numpy()


def problem(draft: Draft, rng: np.random.Generator, frame: pd.DataFrame, topic: str) -> np.ndarray:
    """Whether there was a problem in the last half-year, told the company or not."""
    given = parameters("surveys")["needs"]["problems"][topic]
    logit = given["base"] + sum(
        slope * frame[factor].to_numpy() for factor, slope in given.items() if factor != "base"
    )
    return (reported(draft, frame, topic) | (rng.random(len(frame)) < chance(logit))).astype(float)


def reported(draft: Draft, frame: pd.DataFrame, topic: str) -> np.ndarray:
    """Whether a customer complained about a topic within the frame weeks before the wave."""
    tickets = draft.tables["tickets"]
    start = frame["start"].iloc[0] if len(frame) else 0.0
    week = tickets["week"].between(start - parameters("surveys")["frame_weeks"], start, inclusive="left")
    told = tickets[week & (tickets["kind"] == "complaint") & (tickets["topic"] == topic)]
    return frame["customer"].isin(told["customer"]).to_numpy()


def plant(draft: Draft, frame: pd.DataFrame, told: pd.DataFrame) -> None:
    """True figures of the needs survey: of its process where known, else of everybody who got the form."""
    given = parameters("surveys")["needs"]
    draft.plant(
        "surveys.intent.overstatement", given["next_orders"]["overstate"], "ratio", "stated to true orders"
    )
    share = told["longer_warranty"].mean()
    draft.plant("surveys.needs.longer_warranty", share, "share", "customers who want a longer warranty")
    price = given["price"]
    draft.plant(
        "surveys.price.wants", given["personal_wish"], "share", "customers who want personal selection"
    )
    draft.plant("surveys.price.median", price["median"], "CNY a month", "median willingness to pay of those")
    draft.plant("surveys.price.best", best_price(price), "CNY a month", "price of highest stated revenue")
    draft.plant(
        "surveys.price.elasticity", elasticity(price), "ratio", "of stated demand at the middle price"
    )
    asked = frame["form"] == "needs_b"
    some, given_b = frame[asked], told[asked]
    link = np.corrcoef(np.log1p(degree(draft))[some["customer"]], given_b["social_wish"])[0, 1]
    draft.plant("surveys.needs.social_degree", link, "correlation", "wish for company with log(1 + follows)")
    link = np.corrcoef(given_b["met_emotional"], given_b["nps"])[0, 1]
    draft.plant("surveys.needs.emotional_nps", link, "correlation", "emotional needs met with nps")
    draft.plant(
        "surveys.needs.emotional_repeat", 0, "correlation", "emotional needs met with orders afterwards"
    )
    asked = told["contact_opinion"].notna()
    got = messages(draft, frame[asked])
    much = (told.loc[asked, "contact_opinion"] >= 4).to_numpy()
    draft.plant("surveys.contact.too_many_at_8", much[got == 8].mean(), "share", "too many messages, arm 8")
    little = (told.loc[asked, "contact_wish"] <= 2).mean()
    draft.plant("surveys.contact.wish_at_most_2", little, "share", "want two messages in four weeks at most")
    for topic in given["problems"]:
        share = told[f"problem_{topic}"].mean()
        draft.plant(f"surveys.problem.{topic}", share, "share", f"who had a problem of {topic}")
    plant_iceberg(draft, frame, told)


def best_price(price: dict) -> float:
    """Price at which price times the share willing to pay it is highest."""
    tries = np.linspace(0.3, 2, 3401) * price["median"]
    return float(tries[np.argmax(tries * stats.norm.sf(np.log(tries / price["median"]) / price["sigma"]))])


def elasticity(price: dict) -> float:
    """Per cent of demand lost for a per cent of price, at the third step of the ladder."""
    z = np.log(price["steps"][2] / price["median"]) / price["sigma"]
    return float(-stats.norm.pdf(z) / stats.norm.sf(z) / price["sigma"])


def plant_iceberg(draft: Draft, frame: pd.DataFrame, told: pd.DataFrame) -> None:
    """How many customers had trouble with the delivery for each one who complained about it."""
    wave = frame["wave"] == frame.loc[frame["form"] == "needs_c", "wave"].iloc[0]
    spoke = reported(draft, frame[wave], "delivery").mean()
    factor = told["problem_delivery"].mean() / spoke if spoke else np.nan
    draft.plant("surveys.iceberg.delivery", factor, "ratio", "with delivery trouble to those who complained")
