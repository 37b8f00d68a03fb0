"""What the log records of each visit: links, pages, time, searches, errors, the category looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate.checkout import CART, LAND, VIEW
from custkit.simulate.draft import Draft, parameters, words
from custkit.simulate.newcomers import NOBODY, campaign_of
from custkit.simulate.streams import choose_each

STAGES = ("land", "view", "cart", "checkout", "payment", "order")  # furthest_step 1 to 6


def complete(draft: Draft, found: pd.DataFrame) -> pd.DataFrame:
    """The visits with all their columns except ids.

    Parameters
    ----------
    draft : Draft
    found : DataFrame
        Columns customer, order, coming (positions, -1 for none), week, source, device, landing,
        furthest_step, known.
    """
    given, rng = parameters("visits"), draft.rng("page_views")
    found = found.copy()
    found["campaign_id"] = _campaigns(draft, given, rng, found)
    found["keyword"] = _keywords(draft, given, rng, found)
    found["content_id"] = _content(given, rng, found["landing"])
    found["viewed_category"] = _categories(draft, given, rng, found)
    found["error_code"] = _errors(given, rng, found)
    found["search_term"], found["search_results"] = _searches(draft, given, rng, found)
    found["n_pages"] = _pages(given, rng, found)
    found["dwell_s"] = _dwell(given, rng, found)
    started = draft.clock.timestamps(found["week"])
    ended = found["order"] != NOBODY
    at = draft.tables["orders"]["ordered_at"].to_numpy()[found.loc[ended, "order"]]
    started[ended] = at - found.loc[ended, "dwell_s"].to_numpy().astype("timedelta64[s]")
    return found.assign(started_at=started)


def keyword_table(draft: Draft, given: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paid keywords and their flights.

    Returns
    -------
    names : array (keywords,)
    share : array (flights, keywords)
        Of a flight's clicks; the group that a flight pushes gets more.
    order : array (keywords,)
        Chance that the click of a visitor who never ordered ends in an order.
    """
    table = pd.DataFrame(given["keywords"]).T
    flights = draft.tables["campaigns"].query("kind == 'media' and randomised and channel == 'search'")
    pushed = (
        flights.sort_values("first_week")["keyword_group"].to_numpy()[:, None] == table["group"].to_numpy()
    )
    share = table["share"].to_numpy(float) * np.where(pushed, given["keyword_pushed"], 1.0)
    names = table.index.to_numpy(dtype=object)
    return names, share / share.sum(axis=1, keepdims=True), table["order"].to_numpy(float)


def _campaigns(draft: Draft, given: dict, rng: np.random.Generator, found: pd.DataFrame) -> np.ndarray:
    """The media flight whose link was followed. Search comes with the keywords."""
    share = [
        found["source"].map(given[kind]["campaign_share"]).fillna(0.0).to_numpy(float)
        for kind in ("known", "paths")
    ]
    linked = rng.random(len(found)) < np.where(found["known"], *share)
    flight = campaign_of(draft, found["source"], found["week"])
    return np.where(linked & (found["source"] != "search"), flight, None)


def _keywords(draft: Draft, given: dict, rng: np.random.Generator, found: pd.DataFrame) -> np.ndarray:
    """Keyword of the visits through paid search; fills their campaign.

    Of visitors who never ordered, a keyword's clicks end in an order as the parameters say; visits through
    unpaid search make up for it, so that search as a whole converts as the paths have it.
    """
    names, share, order = keyword_table(draft, given)
    search = np.flatnonzero(found["source"] == "search")
    rows = found.iloc[search]
    starts = np.sort(draft.tables["campaigns"].query("kind == 'media' and randomised")["first_week"].unique())
    flight = np.searchsorted(starts, draft.clock.week_number(rows["week"]), side="right") - 1
    known = rows["known"].to_numpy()
    paid = np.where(
        known, given["known"]["campaign_share"]["search"], given["paths"]["campaign_share"]["search"]
    )
    prior = np.column_stack([share[flight] * paid[:, None], 1 - paid])
    ordered = (rows["order"] != NOBODY).to_numpy()[:, None]
    new = np.bincount(flight[~known], minlength=len(share))
    won = np.bincount(flight[~known & ordered[:, 0]], minlength=len(share))
    overall = won / np.maximum(new, 1)  # of each flight: spend levels move it
    through_ads = given["paths"]["campaign_share"]["search"]
    unpaid = np.clip((overall - through_ads * share @ order) / (1 - through_ads), 0.01, 0.99)
    ends = np.column_stack([np.broadcast_to(order, share.shape), unpaid])[flight]
    weight = prior * np.where(known[:, None], 1.0, np.where(ordered, ends, 1 - ends))
    picked = np.append(names, None)[choose_each(rng, weight)]
    keyword = np.full(len(found), None, dtype=object)
    keyword[search] = picked
    bought = search[pd.notna(picked)]
    campaign = campaign_of(draft, found["source"].iloc[bought], found["week"].iloc[bought])
    found.loc[found.index[bought], "campaign_id"] = campaign
    return keyword


def _content(given: dict, rng: np.random.Generator, landing: pd.Series) -> np.ndarray:
    content = np.full(len(landing), None, dtype=object)
    for kind, (letter, count) in given["content"].items():
        rows = np.flatnonzero(landing == kind)
        weight = 1 / np.arange(1, count + 1) ** 0.6
        number = 1 + rng.choice(count, len(rows), p=weight / weight.sum())
        content[rows] = [f"{letter}{piece:02d}" for piece in number]
    return content


def _categories(draft: Draft, given: dict, rng: np.random.Generator, found: pd.DataFrame) -> np.ndarray:
    """Category looked at most: of the basket, of the order soon to come, or to the person's taste."""
    people, lines = draft.tables["people"], draft.tables["order_lines"]
    kind = draft.tables["products"]["category"].to_numpy(dtype=object)[lines["product"]]
    names = sorted(set(kind))
    code = pd.Index(names).get_indexer(kind)
    orders, segments = draft.tables["orders"], people["segment"].astype("category")
    buyer = segments.cat.codes.to_numpy()[orders["customer"].to_numpy()[lines["order"]]]
    taste = np.zeros((len(segments.cat.categories) + 1, len(names)))
    np.add.at(taste, (buyer, code), 1.0)
    taste[-1] = taste.sum(axis=0)
    taste /= taste.sum(axis=1, keepdims=True)
    own = segments.cat.codes.to_numpy()[found["customer"]]
    nobody = (found["customer"] == NOBODY) | (rng.random(len(found)) > given["segment_views"])
    seen = choose_each(rng, taste[np.where(nobody, -1, own)])
    # One line of each order, at random.
    line = rng.permutation(len(lines))
    line = line[~pd.Series(lines["order"].to_numpy()[line]).duplicated().to_numpy()]
    bought = np.full(len(orders), -1)
    bought[lines["order"].to_numpy()[line]] = code[line]
    same = (found["coming"] != NOBODY) & (rng.random(len(found)) < given["known"]["same_category"])
    for place, rows in (("coming", same), ("order", found["order"] != NOBODY)):
        there = np.flatnonzero(rows)
        picked = bought[found[place].to_numpy()[there]]
        seen[there] = np.where(picked >= 0, picked, seen[there])
    # Some customers look at their one category only, unless they order (EXP-XSELL).
    favourite = choose_each(draft.rng("favourite category"), taste[segments.cat.codes])
    one = people["one_category"].to_numpy()[found["customer"]] & (found["customer"] != NOBODY)
    one &= found["order"] == NOBODY
    seen = np.where(one, favourite[found["customer"]], seen)
    looked = (found["furthest_step"] >= VIEW) | found["landing"].isin(["category", "product"])
    return np.where(looked, np.array(names, dtype=object)[seen], None)


def _errors(given: dict, rng: np.random.Generator, found: pd.DataFrame) -> np.ndarray:
    table = given["errors"]
    rate = np.array([table[stage] for stage in STAGES])[found["furthest_step"].to_numpy() - 1]
    rate[:, 0] *= found["landing"].map(table["nav_by_landing"]).fillna(1.0).to_numpy()
    weight = np.column_stack([rate, 1 - rate.sum(axis=1)])
    return np.array([*table["codes"], None], dtype=object)[choose_each(rng, weight)]


def _searches(
    draft: Draft, given: dict, rng: np.random.Generator, found: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Terms typed into the shop's search box, and the number of results."""
    rule, bank = given["search"], words("visits")
    term, results = np.full(len(found), None, dtype=object), np.full(len(found), np.nan)
    may = (found["furthest_step"] >= VIEW) & (found["landing"] != "offer")
    rows = np.flatnonzero(may & (rng.random(len(found)) < rule["used"]))
    cart = found["furthest_step"].to_numpy()[rows] >= CART
    if not len(rows):
        return term, results
    # Carts after a search without results are so much rarer: turned round by Bayes' rule.
    base, none = cart.mean(), rule["nothing_found"]
    after = base * rule["cart_ratio"] / (1 - none * (1 - rule["cart_ratio"]))
    chance = np.where(cart, none * after / max(base, 1e-9), none * (1 - after) / max(1 - base, 1e-9))
    empty = rng.random(len(rows)) < chance
    chinese = rng.random(len(rows)) < rule["chinese"]
    results[rows] = np.where(empty, 0, 1)
    for language, here in (("zh", chinese), ("en", ~chinese)):
        pick = rows[here & empty]
        term[pick] = _terms(rng, bank["nothing"][language], bank["falling"]["nothing"], len(pick))
        for category, listed in bank["found"][language].items():
            pick = rows[here & ~empty & (found["viewed_category"].to_numpy()[rows] == category)]
            term[pick] = _terms(rng, listed, bank["falling"]["found"], len(pick))
            results[pick] = 1 + rng.poisson(rule["results_mean"][category] - 1, len(pick))
    return term, results


def _terms(rng: np.random.Generator, listed: list[str], falling: float, count: int) -> np.ndarray:
    weight = falling ** np.arange(len(listed))
    return np.array(listed, dtype=object)[rng.choice(len(listed), count, p=weight / weight.sum())]


def _pages(given: dict, rng: np.random.Generator, found: pd.DataFrame) -> np.ndarray:
    rule, stage = given["pages"], found["furthest_step"].to_numpy() - 1
    more = np.array([rule["more"][name] for name in STAGES])[stage]
    lost = (found["error_code"] == "nav").to_numpy()
    pages = np.array([rule["least"][name] for name in STAGES])[stage] + rng.poisson(more)
    one = (stage == LAND - 1) & (rng.random(len(found)) < rule["one_page"])
    return np.where(one, 1, pages) + np.where(lost & ~one, rng.poisson(rule["lost_in_menus"], len(found)), 0)


def _dwell(given: dict, rng: np.random.Generator, found: pd.DataFrame) -> np.ndarray:
    rule, stage = given["dwell"], found["furthest_step"].to_numpy() - 1
    median = np.array([rule["median"][name] for name in STAGES])[stage]
    median = median * np.where(found["landing"] == "video", rule["video"], 1.0)
    seconds = median * rng.lognormal(0, rule["sigma"], len(found))
    return np.clip(np.round(seconds), 2, rule["longest"]).astype(int)


def plant(draft: Draft) -> None:
    """Note the true rates of keywords, errors and searches."""
    given = parameters("visits")
    for name, row in given["keywords"].items():
        if row["share"] >= given["keyword_plant_from"]:
            label = name.replace(" ", "_")
            meaning = f"orders a click of '{name}' by people who never ordered"
            draft.plant(f"visits.keyword.{label}.order", row["order"], "share", meaning)
    table, codes = given["errors"], given["errors"]["codes"]
    for code, stage, what in (
        ("pay_fail", "payment", "order"),
        ("coupon", "checkout", "payment"),
        ("stock", "cart", "checkout"),
    ):
        stop, on = (table[row][codes.index(code)] for row in (stage, what))
        odds = np.log(stop / (1 - stop) / (on / (1 - on)))
        meaning = f"error {code}: visits that end at step {stage} against those that get further"
        draft.plant(f"visits.error.{code}.log_odds", odds, "log odds", meaning)
    ratio = table["nav_by_landing"]["category"]
    draft.plant("visits.error.nav.category", ratio, "ratio", "rate of nav, category landing against others")
    rule = given["search"]
    draft.plant("visits.search.nothing_found", rule["nothing_found"], "share", "searches without results")
    draft.plant(
        "visits.search.cart_ratio", rule["cart_ratio"], "ratio", "carts after no results against some"
    )
