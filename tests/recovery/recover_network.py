"""Effects planted in the network: how links grow, who brings new customers, what seeding is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.optimize import minimize_scalar

from recovery.estimate import Company, Estimate
from recovery.order_panel import END, Panel, week_of
from recovery.recover_services import event_time, raw_gap

PASSES = 0.08  # chance that a follower passes a message on, assumed in the course
SEEDS, RUNS = 10, 2000


def estimates(company: Company) -> list[Estimate]:
    """All of them."""
    panel = Panel.of(company)
    edges = numbered(panel)
    follows = edges[edges["kind"] == "follow"]
    return [*growth(follows), *referrals(panel, edges), *community(panel, follows), *seeding(follows)]


def numbered(panel: Panel) -> pd.DataFrame:
    """Edges in order of time, with the customers' numbers and the week."""
    edges = panel.company.tables["social_edges"]
    number = pd.Series(panel.customers.index, index=panel.customers["customer_id"].astype(object))
    ends = {end: edges[f"{end}_customer_id"].astype(object).map(number).astype(int) for end in ("src", "dst")}
    return edges.assign(**ends, week=week_of(edges["at"])).sort_values("week", ignore_index=True)


def growth(follows: pd.DataFrame) -> list[Estimate]:
    """Share of links that go where others went: likelihood of each target, given the network before it."""
    pair = follows["src"].to_numpy(np.int64) << 32 | follows["dst"].to_numpy()
    reverse = follows["dst"].to_numpy(np.int64) << 32 | follows["src"].to_numpy()
    first = pd.Series(np.arange(len(pair)), index=pair)
    returned = first.reindex(reverse).to_numpy() < np.arange(len(pair))  # the other followed before
    own = follows[~returned].reset_index(drop=True)
    entry = own.groupby("src")["week"].min()
    number, links = np.arange(len(own)), own.groupby("dst").cumcount().to_numpy()
    there = np.searchsorted(np.sort(entry.to_numpy()), own["week"].to_numpy(), "left")
    barred_links, barred = already(own)
    rows = number >= 50  # the first few could hardly choose
    by_links, by_lot = (links / np.maximum(number, 1))[rows], 1 / np.maximum(there, 1)[rows]
    # Nobody follows himself, or the same person twice: chances are those among the others.
    open_links = 1 - (barred_links / np.maximum(number, 1))[rows]
    open_lot = 1 - barred[rows] / np.maximum(there, 1)[rows]

    def parts(share):
        top, bottom = share * by_links + (1 - share) * by_lot, share * open_links + (1 - share) * open_lot
        return top, bottom

    def loss(share):
        top, bottom = parts(share)
        return -(np.log(top) - np.log(bottom)).sum()

    share = minimize_scalar(loss, bounds=(0.01, 0.99), method="bounded").x
    top, bottom = parts(share)
    score = (by_links - by_lot) / top - (open_links - open_lot) / bottom
    error, method = 1 / np.sqrt((score**2).sum()), "likelihood of each follow's target"
    return [Estimate.from_error("network.preferential", share, error, method=method)]


def already(own: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """For each follow, before it: links to those its follower cannot choose, and how many these are.

    These are the persons followed already, and the follower where he has entered before.
    """
    src, dst, n = own["src"].to_numpy(), own["dst"].to_numpy(), len(own)
    by = own.groupby("src")
    made, position = by.cumcount().to_numpy(), np.arange(n)
    place = np.argsort(src, kind="stable")  # follows of one person stand together, in order of time
    begin = np.empty(n, int)
    begin[place] = np.repeat(np.cumsum(np.bincount(src)) - np.bincount(src), np.bincount(src))
    which = np.repeat(position, made)
    step = np.arange(len(which)) - np.repeat(np.cumsum(made) - made, made)
    person = np.concatenate([dst[place[begin[which] + step]], src[made > 0]])
    which = np.concatenate([which, position[made > 0]])
    keys = np.sort(dst.astype(np.int64) * n + position)
    links = np.searchsorted(keys, person.astype(np.int64) * n + which)
    links = links - np.searchsorted(keys, person.astype(np.int64) * n)
    return np.bincount(which, links, n), np.bincount(which, minlength=n)


def referrals(panel: Panel, edges: pd.DataFrame) -> list[Estimate]:
    """New customers brought a year, by answer to the net promoter question; orders of those brought."""
    honest = without_rings(panel, edges[edges["kind"] == "referral"])
    brought = np.bincount(honest["src"], minlength=len(panel.customers))
    years = (END - panel.joined) / 52
    answers = panel.company.tables["survey_answers"]
    answers = answers[(answers["item"] == "nps") & (answers["respondent_type"] == "customer")]
    last = answers.sort_values("answered_at").drop_duplicates("respondent_id", keep="last")
    score = last.set_index("respondent_id")["answer"].reindex(panel.customers["customer_id"]).to_numpy(float)
    groups = {"promoter": score >= 9, "passive": (score >= 7) & (score < 9), "detractor": score < 7}
    found = []
    for name, group in groups.items():
        value, low, high = rate(brought[group], years[group])
        found.append(
            Estimate(f"network.referrals.{name}", value, low, high, method="a customer-year, by answer")
        )
    value, low, high = rate(brought, years)
    found.append(Estimate("network.reproduction", value, low, high, method="a customer-year, rings left out"))
    return [*found, referred(panel)]


def rate(count: np.ndarray, years: np.ndarray) -> tuple[float, float, float]:
    """Events a year with an interval on the log scale, robust to spread beyond Poisson."""
    value = count.sum() / years.sum()
    spread = np.sqrt(((count - value * years) ** 2).sum()) / max(count.sum(), 1)
    return value, value * np.exp(-1.96 * spread), value * np.exp(1.96 * spread)


def without_rings(panel: Panel, referrals: pd.DataFrame) -> pd.DataFrame:
    """Referrals but for those between accounts with the same phone (its last digit left out) and city."""
    person = panel.customers["phone"].astype(str).str[:-1] + panel.customers["city"].astype(str)
    person = person.to_numpy(object)
    return referrals[person[referrals["src"]] != person[referrals["dst"]]]


def referred(panel: Panel, end: float = 78) -> Estimate:
    """Repeat orders of customers by referral against others, in the calibration period."""
    rows = panel.joined < end - 8
    orders, weeks = panel.count(0, end)[rows] - 1, (end - panel.joined)[rows]
    by = (panel.customers["acq_channel"] == "referral").to_numpy(float)[rows]
    design = np.column_stack([np.ones(rows.sum()), by, np.log(weeks), np.log(weeks) ** 2])
    fit = sm.GLM(orders, design, family=sm.families.Poisson()).fit(cov_type="HC1")
    value, error = fit.params[1], 1.96 * fit.bse[1]
    low, middle, high = np.exp([value - error, value, value + error])
    method = "repeat orders, by acquisition channel"
    return Estimate("network.referred.orders", middle, low, high, kind="null", null=1.0, method=method)


def community(panel: Panel, follows: pd.DataFrame) -> list[Estimate]:
    """Being in the community and the orders: raw gap, and the same customers before and after."""
    entry = follows.groupby("src")["week"].min()
    effect, gap = event_time(panel, entry, "orders"), raw_gap(panel, entry)
    name = "network.community.orders"
    return [
        Estimate.from_error(name, *gap, kind="trap", method="members less others"),
        Estimate.from_error(name, *effect, kind="null", method="event time, against later members"),
    ]


def seeding(follows: pd.DataFrame) -> list[Estimate]:
    """How many a message reaches that begins with one of the most followed, against anybody."""
    rng = np.random.default_rng(1)
    src, dst = follows["src"].to_numpy(), follows["dst"].to_numpy()
    n = int(max(src.max(), dst.max())) + 1
    order = np.argsort(dst, kind="stable")
    listeners, start = src[order], np.searchsorted(dst[order], np.arange(n + 1))
    followers = np.bincount(dst, minlength=n)
    top = np.argsort(-followers, kind="stable")[:SEEDS]
    inside = np.unique(np.concatenate([src, dst]))
    found = []
    for name, seeds in (("top10", np.repeat(top, RUNS // SEEDS)), ("anybody", rng.choice(inside, RUNS))):
        reached = cascade(rng, listeners, start, seeds)
        error = reached.std() / np.sqrt(len(reached))
        method = f"{RUNS} cascades, {PASSES:.0%} pass on"
        found.append(Estimate.from_error(f"network.seeding.{name}", reached.mean(), error, method=method))
    return found


def cascade(
    rng: np.random.Generator, listeners: np.ndarray, start: np.ndarray, seeds: np.ndarray
) -> np.ndarray:
    """Others reached in one run from each seed."""
    reached = np.zeros(len(seeds))
    for number, seed in enumerate(seeds):
        known, front = {seed}, [seed]
        while front:
            person = front.pop()
            heard = listeners[start[person] : start[person + 1]]
            new = {other for other in heard[rng.random(len(heard)) < PASSES].tolist() if other not in known}
            known |= new
            front.extend(new)
        reached[number] = len(known) - 1
    return reached
