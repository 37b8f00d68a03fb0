"""Effects planted in the visits: checkout, offer pages, paths, leaks, errors, searches, keywords."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from custkit.funnel import removal_shares
from custkit.simulate.draft import parameters
from recovery.estimate import Company, Estimate

CHANNELS = ["search", "social", "email", "referral", "display"]


def estimates(company: Company) -> list[Estimate]:
    """Every effect of the visits, from `sessions`, `customers` and, where said, the true engagement."""
    visits = labelled(company)
    return [
        *_checkout(visits),
        *_call_to_action(company, visits),
        *_personal(company, visits),
        *_paths(visits),
        *_leaks(visits),
        *_errors(visits),
        *_searches(visits),
        *_keywords(company, visits),
        *_gender(company, visits),
    ]


def labelled(company: Company) -> pd.DataFrame:
    """`sessions` with `new`: the visitor had not ordered before (not logged in, or first order)."""
    sessions = company.tables["sessions"]
    who = "customers" if "customers" in company.tables else "people"
    joined = company.tables[who].set_index("customer_id")["joined_at"]
    first = sessions["started_at"] <= sessions["customer_id"].map(joined)
    ordered = sessions["order_id"].notna()
    return sessions.assign(new=sessions["customer_id"].isna() | first, ordered=ordered)


def _rate(hits: pd.Series) -> tuple[float, float]:
    """A share with its variance, by Agresti and Coull's two added hits and misses where few were seen."""
    count, share = len(hits), hits.mean()
    near = (hits.sum() + 2) / (count + 4)
    return share, near * (1 - near) / (count + 4)


def _gap(one: pd.Series, other: pd.Series) -> tuple[float, float]:
    (high, var_high), (low, var_low) = _rate(one), _rate(other)
    return high - low, float(np.sqrt(var_high + var_low))


def _share(name: str, hits: pd.Series, method: str) -> Estimate:
    share, variance = _rate(hits)
    return Estimate.from_error(name, share, variance**0.5, method=method)


def _checkout(visits: pd.DataFrame) -> list[Estimate]:
    entered = visits[visits["checkout_variant"].notna()]
    arm = {name: entered[entered["checkout_variant"] == name] for name in "AB"}
    found, method = [], "two proportions"
    lift = {}
    for label, kept in (("all", [True, False]), ("new", [True]), ("known", [False])):
        part = [arm[name].loc[arm[name]["new"].isin(kept), "ordered"] for name in "BA"]
        lift[label] = _gap(*part)
        found.append(Estimate.from_error(f"exp_checkout.{label}.lift", *lift[label], method=method))
    (new, error_new), (known, error_known) = lift["new"], lift["known"]
    error = float(np.hypot(error_new, error_known))
    found.append(Estimate.from_error("exp_checkout.interaction", new - known, error, method="lift by lift"))
    for name, length in (("A", 5), ("B", 3)):
        for step in range(1, length + 1):
            there = arm[name][arm[name]["steps_in_checkout"] >= step - 1]
            gone = (there["steps_in_checkout"] == step - 1) & ~there["ordered"]
            label = f"exp_checkout.{name.lower()}.step{step}.hazard"
            if step == length:
                label_new = f"exp_checkout.{name.lower()}.payment_new.hazard"
                found.append(_share(label_new, gone[there["new"]], "leave at step, never ordered before"))
                gone = gone[~there["new"]]
            found.append(_share(label, gone, "leave at step, of those there"))
    return found


def _call_to_action(company: Company, visits: pd.DataFrame) -> list[Estimate]:
    found, profit = [], {}
    margins = parameters("visits")["offers"]["cta"]["margin"]  # known to the company, not estimated
    for name in ("form", "trial", "buy"):
        followed = visits.loc[visits["page_variant"] == name, "furthest_step"] >= 3
        margin = margins[name]
        share, variance = _rate(followed)
        profit[name] = share * margin, variance * margin**2
        found.append(_share(f"exp_cta.{name}.completion", followed, "share with step 3 or further"))
        found.append(Estimate.from_error(f"exp_cta.{name}.profit", share * margin, variance**0.5 * margin))
    for other in ("form", "buy"):
        gain = profit["trial"][0] - profit[other][0]
        error = (profit["trial"][1] + profit[other][1]) ** 0.5
        found.append(Estimate.from_error(f"exp_cta.trial_less_{other}.profit", gain, error))
    gap = _gap(
        *(visits.loc[visits["page_variant"] == name, "furthest_step"] >= 3 for name in ("form", "trial"))
    )
    return [*found, Estimate.from_error("exp_cta.form_less_trial.completion", *gap)]


def _personal(company: Company, visits: pd.DataFrame) -> list[Estimate]:
    """By engagement as the truth has it: app use tells too little of it (opened messages tell more)."""
    part = visits[visits["page_variant"].isin(["generic", "personal"])]
    cart, personal = part["furthest_step"] >= 3, part["page_variant"] == "personal"
    engaged = part["customer_id"].map(_engagement(company)).to_numpy(bool)
    found = []
    everybody = np.ones(len(part), bool)
    for label, group in (("all", everybody), ("engaged", engaged), ("other", ~engaged)):
        gap = _gap(cart[personal & group], cart[~personal & group])
        kind = "unprovable" if label == "other" else "effect"
        how = "two proportions" + ("" if label == "all" else ", true engagement")
        found.append(Estimate.from_error(f"exp_pers.{label}.cart", *gap, kind=kind, method=how))
    return found


def _engagement(company: Company) -> pd.Series:
    frame = company.truth.get("truth_customers", company.tables.get("people"))
    return frame.set_index("customer_id")["engaged"].astype(bool)


def paths_of(visits: pd.DataFrame) -> pd.DataFrame:
    """Touches of people who had not ordered, in order of time: columns visitor_id, source, ordered."""
    touches = visits[visits["new"] & visits["source"].isin(CHANNELS)]
    return touches.sort_values(["visitor_id", "started_at"])[["visitor_id", "source", "ordered"]]


def transitions(paths: pd.DataFrame) -> np.ndarray:
    """Counts of the ways out of the start and of each channel: to each channel, converted, gave up."""
    code = pd.Index(CHANNELS).get_indexer(paths["source"])
    visitor = paths["visitor_id"].to_numpy()
    opening = np.append(True, visitor[1:] != visitor[:-1])
    closing = np.append(opening[1:], True)
    onward = np.append(code[1:], 0)
    target = np.where(~closing, onward, np.where(paths["ordered"], len(CHANNELS), len(CHANNELS) + 1))
    counts = np.zeros((len(CHANNELS) + 1, len(CHANNELS) + 2))
    np.add.at(counts, (np.zeros(opening.sum(), int), code[opening]), 1)
    np.add.at(counts, (code + 1, target), 1)
    return counts


def _delta_errors(counts: np.ndarray) -> np.ndarray:
    """Standard errors of the removal shares: delta method, each row of counts a multinomial draw."""
    total = counts.sum(axis=1, keepdims=True)
    chance, base, step = counts / total, removal_shares(counts), 1e-5
    variance = np.zeros(len(base))
    for row in range(len(counts)):
        slopes = []
        for column in range(counts.shape[1]):
            moved = chance.copy()
            moved[row, column] += step
            slopes.append((removal_shares(moved) - base) / step)
        slope, weight = np.array(slopes), chance[row][:, None]
        mean = (weight * slope).sum(axis=0)
        variance += (weight * (slope - mean) ** 2).sum(axis=0) / total[row, 0]
    return np.sqrt(variance)


def _paths(visits: pd.DataFrame) -> list[Estimate]:
    paths = paths_of(visits)
    counts = transitions(paths)
    shares, errors = removal_shares(counts), _delta_errors(counts)
    groups = paths.groupby("visitor_id")
    ends = groups.agg(first=("source", "first"), last=("source", "last"), ordered=("ordered", "any"))
    found = [_share("paths.conversion", ends["ordered"], "paths that end in an order")]
    won = ends[ends["ordered"]]
    for channel, share, error in zip(CHANNELS, shares, errors, strict=True):
        name = f"paths.{channel}.removal_share"
        found.append(Estimate.from_error(name, share, error, method="removal effect, delta method"))
        for touch in ("first", "last"):
            hits = won[touch] == channel
            value, variance = _rate(hits)
            method = f"{touch}-touch share"
            found.append(Estimate.from_error(name, value, variance**0.5, kind="trap", method=method))
        gap = (won["first"] == channel).astype(float) - (won["last"] == channel)
        error = gap.std() / len(gap) ** 0.5
        kind = "effect" if channel in ("social", "email", "display", "referral") else "unprovable"
        found.append(Estimate.from_error(f"paths.{channel}.first_minus_last", gap.mean(), error, kind=kind))
    return found


def _leaks(visits: pd.DataFrame) -> list[Estimate]:
    part = visits[~visits["new"] & (visits["landing"] != "offer")]
    found = []
    for step, label in ((2, "view"), (3, "cart"), (4, "checkout")):
        there = part[part["furthest_step"] >= step - 1]
        on = there["furthest_step"] >= step
        gap = _gap(on[there["device"] == "phone"], on[there["device"] == "desktop"])
        kind = "null" if label == "checkout" else "effect"
        name = f"visits.to_{label}.phone_gap"
        found.append(Estimate.from_error(name, *gap, kind=kind, method="two proportions, customers"))
    cell = visits[(visits["landing"] == "blog") & (visits["device"] == "phone") & ~visits["new"]]
    found.append(_share("visits.blog_phone.bounce", cell["n_pages"] == 1, "one page, customers"))
    return found


def _errors(visits: pd.DataFrame) -> list[Estimate]:
    found = []
    for code, step in (("pay_fail", 5), ("coupon", 4), ("stock", 3)):
        there = visits[visits["furthest_step"] >= step]
        table = pd.crosstab(there["error_code"].eq(code), there["furthest_step"] == step).to_numpy() + 0.5
        odds = np.log(table[1, 1] * table[0, 0] / (table[0, 1] * table[1, 0]))
        error = np.sqrt((1 / table).sum())
        found.append(Estimate.from_error(f"visits.error.{code}.log_odds", odds, error, method="Woolf"))
    ratio = _mantel_haenszel(
        visits["error_code"].eq("nav"), visits["landing"].eq("category"), visits["furthest_step"]
    )
    found.append(Estimate("visits.error.nav.category", *ratio, null=1.0, method="Mantel-Haenszel by step"))
    return found


def _mantel_haenszel(hit: pd.Series, exposed: pd.Series, stratum: pd.Series) -> tuple[float, float, float]:
    """Risk ratio over strata, with the interval of Greenland and Robins (1985)."""
    groups = pd.DataFrame({"a": hit & exposed, "n": exposed, "c": hit & ~exposed, "m": ~exposed})
    t = groups.groupby(stratum).sum().astype(float)
    total = t["n"] + t["m"]
    up, down = (t["a"] * t["m"] / total).sum(), (t["c"] * t["n"] / total).sum()
    spread = ((t["n"] * t["m"] * (t["a"] + t["c"]) - t["a"] * t["c"] * total) / total**2).sum() / (up * down)
    ratio, factor = up / down, np.exp(1.96 * np.sqrt(spread))
    return ratio, ratio / factor, ratio * factor


def _searches(visits: pd.DataFrame) -> list[Estimate]:
    used = visits[visits["search_term"].notna()]
    empty, cart = used["search_results"] == 0, used["furthest_step"] >= 3
    (low, var_low), (high, var_high) = _rate(cart[empty]), _rate(cart[~empty])
    factor = np.exp(1.96 * np.sqrt(var_low / low**2 + var_high / high**2))
    name, ratio = "visits.search.cart_ratio", low / high
    return [
        _share("visits.search.nothing_found", empty, "searches with no results"),
        Estimate(name, ratio, ratio / factor, ratio * factor, null=1.0, method="risk ratio"),
    ]


def _keywords(company: Company, visits: pd.DataFrame) -> list[Estimate]:
    """Orders a click by keyword; "no effect" is the rate at which a click just earns its price."""
    paid = visits[visits["new"] & visits["keyword"].notna() & visits["campaign_id"].notna()]
    price = paid["campaign_id"].map(company.tables["campaigns"].set_index("campaign_id")["unit_cost"]).mean()
    lines = company.tables["order_lines"]
    lines = lines[lines["order_id"].isin(paid["order_id"].dropna())]
    margin = (lines["line_amount"] - lines["qty"] * lines["unit_cost"]).sum() / lines["order_id"].nunique()
    found = []
    for name in company.effects:
        if name.startswith("visits.keyword."):
            ordered = paid.loc[paid["keyword"] == name.split(".")[2].replace("_", " "), "ordered"]
            low, high = proportion_confint(ordered.sum(), len(ordered), method="wilson")
            method = "orders a click, Wilson, against break-even"
            low = min(low, ordered.mean())  # with no order, rounding leaves it a hair above 0
            found.append(Estimate(name, ordered.mean(), low, high, null=price / margin, method=method))
    return found


def _gender(company: Company, visits: pd.DataFrame) -> list[Estimate]:
    """Orders a visit of customers, women less men: the error counts customers, not visits."""
    who = company.tables["customers" if "customers" in company.tables else "people"]
    gender = who.set_index("customer_id")["gender"]
    part = visits[~visits["new"]]
    by = part.groupby("customer_id")["ordered"].agg(["sum", "size"]).join(gender.rename("gender"))
    rate, variance = {}, 0.0
    for sex in ("f", "m"):
        rows = by[by["gender"] == sex]
        rate[sex] = rows["sum"].sum() / rows["size"].sum()
        rest = rows["sum"] - rate[sex] * rows["size"]
        variance += (rest**2).sum() / rows["size"].sum() ** 2
    gap, name = rate["f"] - rate["m"], "visits.gender.orders_per_visit"
    return [Estimate.from_error(name, gap, variance**0.5, kind="null", method="ratio, errors by customer")]
