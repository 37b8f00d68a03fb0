"""What the sales team does with leads, and what comes of it.

A logit gives each lead's chance to be won (Hosmer, Lemeshow and Sturdivant, "Applied logistic regression").
The way there is semi-Markov: a lognormal time in each stage, and stage k is passed with probability
P(win)^share; as the shares add up to 1, the stages together are passed with probability P(win).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import accounts, activities, deals
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.firms import office_time, size_z
from custkit.simulate.people import chance

STAGES = ("contacted", "qualified", "proposal", "negotiation")


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """Outcomes in `leads`, `lead_activities`, business `accounts` and what they order, use and answer."""
    leads = draft.tables["leads"].copy()
    _actions(draft, leads)
    _outcomes(draft, leads)
    deals.pull_forward(draft, leads)
    _state(draft, leads)
    deals.contract(draft, leads)
    done = activities.draw(draft, leads)
    latest = done.groupby("lead")["at"].max().reindex(leads.index)
    leads["updated_at"] = latest.fillna(leads["created_at"]).astype("datetime64[s]")
    _truth(draft, leads)
    tables = {"leads": leads, "lead_activities": done}
    draft.tables |= tables
    return tables | accounts.draw(draft)


def _actions(draft: Draft, leads: pd.DataFrame) -> None:
    """Training and plan of the rep, first contact (by lot in EXP-LEAD), needs talk, case shown or not."""
    given, rng, n = parameters("selling"), draft.rng("sales actions"), len(leads)
    staff, week = draft.tables["staff"], leads["week"].to_numpy()
    rep = leads["rep"].to_numpy()
    leads["trained"] = week >= np.nan_to_num(staff["trained_week"].to_numpy()[rep], nan=np.inf)
    leads["plan"] = deals.plan(draft, rep, week)
    large, fit = size_z(leads["headcount"]), fit_z(leads["fit_score"])
    leads["size_z"], leads["fit_z"] = large, fit
    demo = leads["demo_requested"].to_numpy()
    lot = rng.integers(0, 4, n)
    number = draft.clock.week_number(week)
    window = given["experiment"]
    leads["in_experiment"] = (number >= window["from_week"]) & (number <= window["to_week"])
    leads["call"] = np.where(leads["in_experiment"], lot % 2 == 1, rng.random(n) < given["first_call"])
    leads["personal"] = leads["in_experiment"] & (lot >= 2)
    talk = given["needs_call_logit"]
    logit = talk["base"] + talk["fit_z"] * fit + talk["demo"] * demo + talk["size_z"] * large
    leads["needs_call"] = rng.random(n) < chance(logit)
    leads["case_shared"] = rng.random(n) < given["case_share"]


def fit_z(score) -> np.ndarray:
    """Standardised fit score."""
    given = parameters("firms")["fit"]
    return (np.asarray(score, dtype=float) - given["mean"]) / given["std"]


def day7_logit(draft: Draft, leads: pd.DataFrame) -> np.ndarray:
    """Log-odds of winning by all that is settled seven days after a lead was created."""
    given = parameters("selling")["logit"]
    waited = np.minimum(leads["first_reply_h"], given["reply_most"])
    read = leads["content_downloads"].fillna("").str.split(";")
    topic = sum(
        effect * read.map(lambda topics, name=name: name in topics) for name, effect in given["topic"].items()
    )
    personal = leads["sector"].map(given["personal"]).fillna(0.0) * leads["personal"]
    staff = draft.tables["staff"]
    skill = staff["skill"] - staff.loc[staff["role"] == "sales_rep", "skill"].mean()
    logit = (
        given["base"]
        + leads["source"].map(given["source"])
        + given["size_z"] * leads["size_z"]
        + given["page"] * leads["pages_viewed"]
        + given["demo"] * leads["demo_requested"]
        + given["competitor"] * leads["competitor_present"]
        + given["fit_z"] * leads["fit_z"]
        + given["event"] * leads["event_attended"]
        + given["reply_hour"] * waited
        + given["warm"] * (leads["customer"] >= 0)
        + topic
        + given["trained"] * leads["trained"]
        + leads["plan"].map(given["plan"])
        + given["call"] * leads["call"]
        + personal
        + skill.to_numpy()[leads["rep"]]
    )
    return logit.to_numpy(float)


def similarity(firms: pd.DataFrame, cases: pd.DataFrame) -> np.ndarray:
    """Gower similarity, 0 to 1, of each firm (row) to each case (column)."""
    width = parameters("selling")["headcount_range"]
    same = sum(
        (firms[name].to_numpy()[:, None] == cases[name].to_numpy()[None, :]).astype(float)
        for name in ("sector", "city", "area_type")
    )
    sizes = [np.log(frame["headcount"].to_numpy(float)) for frame in (firms, cases)]
    gap = np.abs(sizes[0][:, None] - sizes[1][None, :])
    return (same + np.maximum(0, 1 - gap / width)) / 4


def _outcomes(draft: Draft, leads: pd.DataFrame) -> None:
    """Stages passed (0 to 4) and times of entry, window by window: cases shown were won before.

    Adds `logit`, `p_win`, `passed`, `case` (row of the lead shown, -1 if none), `likeness` and the times
    `enter_1` … `enter_5` (contacted … won), whether or not the lead gets so far.
    """
    given, rng, n = parameters("selling"), draft.rng("sales outcomes"), len(leads)
    stages = [given["stages"][name] for name in STAGES]
    quick = np.where(leads["source"] == "referral", given["referral_time"], 1.0)
    time = leads["reply_week"].to_numpy().copy()
    enter = [time]
    for stage in stages:
        time = time + quick * stage["median"] * np.exp(stage["spread"] * rng.standard_normal(n))
        enter.append(time)
    luck = rng.random((n, len(stages)))
    near, any_case = rng.random(n) < given["case_nearest"], rng.random(n)
    logit = day7_logit(draft, leads)
    leads["logit_day7"] = logit
    logit = logit + given["logit"]["needs_call"] * leads["needs_call"].to_numpy()
    shares = np.array([stage["share"] for stage in stages])
    passed, case, likeness = np.zeros(n, int), np.full(n, -1), np.full(n, np.nan)
    week, genuine = leads["week"].to_numpy(), leads["original"].to_numpy() < 0
    for begin in np.arange(0, draft.clock.weeks, given["window_weeks"]):
        rows = np.flatnonzero((week >= begin) & (week < begin + given["window_weeks"]) & genuine)
        cases = np.flatnonzero((passed == len(stages)) & (enter[-1] < begin))
        shown = rows[leads["case_shared"].to_numpy()[rows]] if len(cases) else rows[:0]
        if len(shown):
            like = similarity(leads.iloc[shown], leads.iloc[cases])
            pick = np.where(near[shown], like.argmax(axis=1), (any_case[shown] * len(cases)).astype(int))
            case[shown], likeness[shown] = cases[pick], like[np.arange(len(shown)), pick]
            logit[shown] += given["logit"]["case"] * (likeness[shown] - given["logit"]["case_neutral"])
        passes = luck[rows] < chance(logit[rows])[:, None] ** shares
        passed[rows] = np.cumprod(passes, axis=1).sum(axis=1)
    leads["logit"], leads["p_win"] = (
        np.where(genuine, logit, np.nan),
        np.where(genuine, chance(logit), np.nan),
    )
    leads["passed"], leads["case"], leads["likeness"] = passed, case, likeness
    for number, when in enumerate(enter, start=1):
        leads[f"enter_{number}"] = when


def _state(draft: Draft, leads: pd.DataFrame) -> None:
    """Stage, outcome and closing time at the end of the record; duplicates are closed as such or lie idle."""
    given, rng, n, end = parameters("selling"), draft.rng("sales states"), len(leads), draft.clock.weeks
    enter = leads[[f"enter_{number}" for number in range(1, 6)]].to_numpy()
    passed = leads["passed"].to_numpy()
    close = enter[np.arange(n), np.minimum(passed + 1, len(STAGES))]
    reached = (enter[:, :-1] <= end).sum(axis=1)  # 0: nobody has replied yet
    duplicate = leads["original"].to_numpy() >= 0
    noticed = duplicate & (rng.random(n) < given["duplicate"]["closed"])
    silent = duplicate & ~noticed & (rng.random(n) < given["duplicate"]["never_answered"])
    after = leads["reply_week"] + rng.exponential(given["duplicate"]["closed_weeks"], n)
    close = np.where(duplicate, np.where(noticed, after, np.inf), close)
    reached = np.where(
        silent, 0, np.where(duplicate, np.minimum(reached, 1), np.minimum(reached, passed + 1))
    )
    leads["close_week"] = close
    closed = close <= end
    won = closed & ~duplicate & (passed == len(STAGES))
    names = np.array(["new", *STAGES], dtype=object)
    leads["stage_number"] = reached
    leads["outcome"] = np.where(won, "won", np.where(closed, "lost", "open"))
    leads["stage"] = np.where(closed, leads["outcome"], names[reached])
    leads["closed_at"] = office_time(draft.clock, np.where(closed, close, np.nan))
    leads["first_reply_h"] = leads["first_reply_h"].where(reached > 0)


def _truth(draft: Draft, leads: pd.DataFrame) -> None:
    """`truth_leads`, and the planted effects on winning."""
    given, ids = parameters("selling"), leads["lead_id"].to_numpy()
    original = leads["original"].to_numpy()
    draft.truth["truth_leads"] = pd.DataFrame(
        {
            "lead_id": ids,
            "logit": leads["logit"].round(4),
            "logit_day7": leads["logit_day7"].where(original < 0).round(4),
            "p_win": leads["p_win"].round(5),
            "duplicate_of": np.where(original >= 0, ids[original], None),
            "need_group": leads["need_group"],
            "default_probability": deals.default_chance(leads["credit_grade"]).round(4),
            "pulled_forward": leads["pulled"] & leads["outcome"].eq("won"),
        }
    )
    old = leads["week"] < draft.clock.weeks - 26
    meaning = "mean chance to be won of leads created at least 26 weeks before the end"
    draft.plant("leads.win_share", leads.loc[old, "p_win"].mean(), "share", meaning)
    for name, value, meaning in _effects(given["logit"]):
        draft.plant(f"leads.{name}", value, "log-odds", meaning)
    for name in given["nulls"]:
        draft.plant(f"leads.null.{name}", 0, "log-odds", f"{name} has no effect of its own on winning a lead")
    for name, stage in given["stages"].items():
        draft.plant(
            f"leads.stage.{name}.median", stage["median"], "weeks", f"median working time in stage {name}"
        )
    draft.plant(
        "leads.referral_time", given["referral_time"], "ratio", "referred leads: time in each stage, times"
    )


def _effects(given: dict):
    """Name, value and meaning of each effect in the logit."""
    for source, value in given["source"].items():
        if source != "web_form":
            yield f"source.{source}", value, f"source {source} against web form"
    yield "size", given["size_z"], "per standard deviation of ln headcount"
    yield "page", given["page"], "per page viewed"
    yield "demo", given["demo"], "demo asked for"
    yield "competitor", given["competitor"], "a competitor is present"
    yield "fit", given["fit_z"], "per standard deviation of the fit score"
    yield "event", given["event"], "attended an event"
    yield "reply_hour", given["reply_hour"], f"per hour until the first reply, up to {given['reply_most']}"
    yield "warm", given["warm"], "the contact shops with us in private"
    yield "trained", given["trained"], "TRAIN: the rep had been trained"
    yield "plan.mixed", given["plan"]["mixed"], "mixed incentive plan against flat pay"
    yield "plan.material", given["plan"]["material"], "material incentive plan against flat pay"
    yield "exp_lead.call", given["call"], "EXP-LEAD: first contact by call against e-mail"
    yield (
        "exp_lead.personal.care",
        given["personal"]["school"],
        "EXP-LEAD: personal message, schools and clinics",
    )
    yield "exp_lead.personal.other", 0.0, "EXP-LEAD: personal message, other sectors"
    yield "needs_call", given["needs_call"], "a talk about needs took place"
    yield "case_similarity", given["case"], "per 1.0 of similarity of the case shown"
    for topic, value in given["topic"].items():
        yield f"topic.{topic}", value, f"read the guide on {topic}"
    yield "topic.other", 0.0, "read any other guide"
