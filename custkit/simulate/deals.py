"""Closing a deal: incentive plans, wins pulled into the old quarter, contract value, discount, payment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.firms import office_time
from custkit.simulate.people import chance
from custkit.simulate.streams import choose_each


def _quarter(draft: Draft, week) -> np.ndarray:
    """Number of the quarter, from 0, that holds a working time; times beyond the clock are of its last."""
    dates = pd.DatetimeIndex(office_time(draft.clock, np.minimum(week, draft.clock.weeks - 1e-6)))
    start = pd.Timestamp(draft.clock.start)
    return (dates.year - start.year).to_numpy() * 4 + dates.quarter.to_numpy() - start.quarter


def quarter_starts(draft: Draft) -> np.ndarray:
    """Working time at which each quarter after the first begins, the one after the record among them."""
    first = pd.Timestamp(draft.clock.start)
    days = np.array([(quarter.start_time - first).days for quarter in _quarters(draft)[1:]])
    working_days = parameters("firms")["office_day"]["days"]
    return days // 7 + np.minimum(days % 7, working_days) / working_days


def _quarters(draft: Draft) -> pd.PeriodIndex:
    end = pd.Timestamp(draft.clock.as_of) + pd.offsets.QuarterBegin(startingMonth=1)
    return pd.period_range(draft.clock.start, end, freq="Q")


def plan(draft: Draft, rep: np.ndarray, week) -> np.ndarray:
    """Incentive plan of a rep (row of `staff`) in the quarter of a working time."""
    staff = draft.tables["staff"]
    plans = np.full((len(staff), len(_quarters(draft)) - 1), None, dtype=object)
    for row, listed in staff["incentive_plan"].dropna().items():
        plans[row] = [part.split("=")[1] for part in listed.split(";")]
    return plans[rep, _quarter(draft, week)]


def pull_forward(draft: Draft, leads: pd.DataFrame) -> None:
    """Hurry wins of a new quarter's first weeks into the old quarter; all their stages shrink alike."""
    given, rng, n = parameters("selling")["pull"], draft.rng("pulled deals"), len(leads)
    close, contact = leads["enter_5"].to_numpy(), leads["enter_1"].to_numpy()
    starts = quarter_starts(draft)
    after = np.searchsorted(starts, close, "right") - 1
    start = np.where(after >= 0, starts[np.maximum(after, 0)], -np.inf)
    ending = plan(draft, leads["rep"].to_numpy(), np.where(after >= 0, start - 1e-6, 0.0))
    likely = np.array([given["chance"][name] for name in ending])
    target = start - rng.random(n) * given["days"] / 7
    with np.errstate(invalid="ignore"):
        factor = (target - contact) / (close - contact)
    won = (leads["passed"] == len(parameters("selling")["stages"])) & (leads["original"] < 0)
    pulled = won & (after >= 0) & (close < start + given["weeks"]) & (factor > given["least_factor"])
    pulled &= rng.random(n) < likely
    leads["pulled"] = pulled
    factor = np.where(pulled, factor, 1.0)
    for number in range(2, 6):
        leads[f"enter_{number}"] = contact + factor * (leads[f"enter_{number}"] - contact)


def contract(draft: Draft, leads: pd.DataFrame) -> None:
    """Yearly value, discount and payment of won leads; why the others were lost; what ground remains."""
    given, rng, n = parameters("selling"), draft.rng("contracts"), len(leads)
    won = leads["outcome"].eq("won").to_numpy()
    worth = given["value"]
    log_value = (
        worth["base"]
        + worth["size_z"] * leads["size_z"].to_numpy()
        + leads["sector"].map(worth["sector"]).to_numpy(float)
        + worth["budget_band"] * (leads["budget_true"].to_numpy() - 2.5)
        + worth["spread"] * rng.standard_normal(n)
    )
    leads["contract_value_year"] = np.where(won, np.round(np.exp(log_value), -1), np.nan)
    cut = given["discount"]
    discount = cut["mean"] + cut["spread"] * rng.standard_normal(n)
    discount += cut["competitor"] * leads["competitor_present"] + cut["pulled"] * leads["pulled"]
    leads["discount_pct"] = np.where(won, np.round(2 * np.clip(discount, 0, cut["most"])) / 2, np.nan)
    defaults = rng.random(n) < default_chance(leads["credit_grade"])
    loss = given["loss_given_default"]
    lost = rng.beta(loss["mean"] * loss["concentration"], (1 - loss["mean"]) * loss["concentration"], n)
    known = won & (leads["close_week"] <= draft.clock.weeks - given["paid_known_weeks"])
    leads["paid_share"] = np.where(known, np.where(defaults, np.round(1 - lost, 3), 1.0), np.nan)
    leads["lost_reason"] = _reasons(rng, leads)
    leads.loc[won, "retention_basis"] = "contract"
    _plant(draft, given)
    _plant_pulled(draft, leads)


def default_chance(grade: pd.Series) -> np.ndarray:
    """Chance that a firm of a credit grade, A to E, does not pay its first year in full."""
    given, number = parameters("selling")["default"], grade.map({name: k for k, name in enumerate("ABCDE")})
    return chance(given["grade_a"] + given["per_grade"] * number)


def _reasons(rng: np.random.Generator, leads: pd.DataFrame) -> np.ndarray:
    given = parameters("selling")
    table = given["lost_reason"]
    reasons = list(table["base"])
    weights = np.tile(list(table["base"].values()), (len(leads), 1))
    applies = {
        "competitor": leads["competitor_present"],
        "poor": leads["budget_true"] == 1,
        "far": leads["timeline_months"] >= given["far_months"],
        "unfit": leads["fit_score"] <= 2,
        "early": leads["passed"] == 0,
        "late": leads["passed"] >= 2,
    }
    for name, rows in applies.items():
        for reason, factor in table[name].items():
            weights[rows.to_numpy(), reasons.index(reason)] *= factor
    reason = np.array(reasons, dtype=object)[choose_each(rng, weights)]
    reason = np.where(leads["original"] >= 0, "duplicate", reason)
    return np.where(leads["outcome"] == "lost", reason, None)


def _plant(draft: Draft, given: dict) -> None:
    worth, cut = given["value"], given["discount"]
    draft.plant(
        "deals.value.size", worth["size_z"], "ln CNY", "contract value per standard deviation of ln headcount"
    )
    draft.plant("deals.value.budget", worth["budget_band"], "ln CNY", "contract value per budget band")
    for sector, value in worth["sector"].items():
        if value:
            draft.plant(
                f"deals.value.{sector}", value, "ln CNY", f"contract value of a {sector} against an office"
            )
    draft.plant(
        "deals.discount.competitor", cut["competitor"], "points", "discount given where a rival is present"
    )
    slope = given["default"]["per_grade"]
    draft.plant("deals.default.per_grade", slope, "log-odds", "not paying in full, per credit grade")
    at_d = float(default_chance(pd.Series(["D"]))[0])
    draft.plant("deals.default.D", at_d, "probability", "a firm of credit grade D does not pay in full")
    lost = given["loss_given_default"]["mean"]
    draft.plant("deals.loss_given_default", lost, "share", "of the first year's value, where it is not paid")


def _plant_pulled(draft: Draft, leads: pd.DataFrame) -> None:
    """Among wins of the last days of a quarter, the share that belongs into the next one, as drawn.

    The first quarter, in which leads were still too young to be won, and the last, whose end lies beyond the
    record, are left out.
    """
    days, starts = parameters("selling")["pull"]["days"], quarter_starts(draft)[1:-1]
    won = leads[leads["outcome"] == "won"]
    close = won["close_week"].to_numpy()
    ahead = starts[np.minimum(np.searchsorted(starts, close, "right"), len(starts) - 1)] - close
    late = (ahead > 0) & (ahead <= days / 7) & (close >= quarter_starts(draft)[0])
    share = won["pulled"].to_numpy()[late]
    meaning = f"of wins in the last {days} days of a quarter: pulled forward from the next"
    draft.plant("deals.pulled", share.mean() if len(share) else 0.0, "share", meaning)
    extra = parameters("selling")["discount"]["pulled"] * draft.effects["deals.pulled"]["value"]
    draft.plant("deals.discount.late", extra, "points", f"more discount on wins of those {days} days")
    draft.plant("deals.pulled.flat", 0, "share", "the same for reps without a bonus: none")
