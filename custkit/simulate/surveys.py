"""What customers answer when asked: satisfaction, recommendation and its drivers, wave by wave.

Everyone with an order in the half-year before a wave is invited. All of them have opinions; who tells them
hangs on age and on a complaint made, so that raw answers are not those of the customers. Likert items are
cut from the experience factors; the net promoter score follows Reichheld (2003).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import awareness, comments, exits, followups
from custkit.simulate.attitudes import decades, nps_group, nps_score, satisfaction
from custkit.simulate.contacts import pers_arms
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.questionnaire import HEAD, cut, stack
from custkit.simulate.streams import choose

__all__ = ["draw", "nps_group", "nps_score", "satisfaction"]


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`survey_answers` of customers, leavers, visitors and the public; `campaigns` with the AWARE flights."""
    frame = invited(draft)
    answers = pd.concat([core(draft, frame), followups.answers(draft, frame)], axis=1)
    given = parameters("surveys")["response_logit"]
    logit = (
        given["base"] + given["age_per_decade"] * decades(frame) + given["complained"] * frame["complained"]
    )
    answered = draft.rng("survey response").random(len(frame)) < chance(logit)
    for name in ("age_per_decade", "complained"):
        unit = "log-odds of an answer" + (" a decade of age" if name == "age_per_decade" else "")
        draft.plant(f"surveys.response.{name}", given[name], unit, "who answers the customer survey")
    plant_core(draft, frame, answers)
    followups.plant(draft, frame, answers)
    own = pd.concat([frame[HEAD], answers], axis=1)[answered]
    own["nps_text"] = comments.on_score(draft, frame[answered], own["nps"])
    sheets = [own, exits.sheets(draft), awareness.public(draft), awareness.prospects(draft)]
    return {
        "survey_answers": stack(draft, pd.concat(sheets, ignore_index=True)),
        "campaigns": awareness.with_flights(draft),
    }


def invited(draft: Draft) -> pd.DataFrame:
    """One row for each customer and wave to which the customer is invited.

    Columns of `people`, `customer` (position), `HEAD`, `last_channel` of the last order, `complained` within
    the frame weeks, `form` of the questions that follow the core ones, `start` of the wave.
    """
    given, rng = parameters("surveys"), draft.rng("survey frame")
    people, orders, tickets = (draft.tables[name] for name in ("people", "orders", "tickets"))
    complaints = tickets[tickets["kind"] == "complaint"]
    parts = []
    for wave, start in given["waves"].items():
        recent = orders[orders["week"].between(start - given["frame_weeks"], start, inclusive="left")]
        last = recent.sort_values("week").drop_duplicates("customer", keep="last").set_index("customer")
        within = complaints["week"].between(start - given["frame_weeks"], start, inclusive="left")
        frame = people.loc[np.sort(last.index)].rename_axis("customer").reset_index()
        parts.append(
            frame.assign(
                wave=wave,
                start=start,
                last_channel=last["channel"].reindex(frame["customer"]).to_numpy(),
                complained=frame["customer"].isin(complaints.loc[within, "customer"]),
                form=choose(rng, given["forms"][wave], len(frame)),
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    delay = rng.exponential(given["answer_delay"], len(frame)) % given["field_weeks"]
    by_app = frame["app_user"] & (rng.random(len(frame)) < given["channels"]["app"])
    return frame.assign(
        respondent_type="customer",
        respondent_id=frame["customer_id"],
        week=frame["start"] + delay,
        channel=np.where(by_app, "app", "email"),
    )


def core(draft: Draft, frame: pd.DataFrame) -> pd.DataFrame:
    """Everybody's answers to nps, csat, q, s, p and c, whether they send them or not."""
    given, rng, n = parameters("surveys"), draft.rng("survey core"), len(frame)
    feeling, mood = satisfaction(frame), rng.standard_normal(n)
    nps, csat, drivers = given["nps"], given["csat"], given["drivers"]
    lasting = nps_score(draft)[frame["customer"]]
    answers = pd.DataFrame(
        {"nps": cut(lasting + nps["mood"] * mood + nps["noise"] * rng.standard_normal(n), 10, 0)}
    )
    latent = csat["mean"] + csat["satisfaction"] * feeling + csat["mood"] * mood
    latent += frame["last_channel"].map(csat["channel"]).to_numpy(float)
    latent += csat["noise"] * rng.standard_normal(n)
    arm = personal_arm(draft, frame)
    answers["csat"] = cut(latent + csat["personal"] * (arm == "personal"))
    lift = (cut(latent + csat["personal"]) - cut(latent))[arm != "none"]
    meaning = "csat after personal pages and mails, less after generic ones"
    draft.plant("exp_pers.csat", lift.mean() if len(lift) else np.nan, "points", meaning)
    for item, factor in drivers["items"].items():
        noise = drivers["noise"] * rng.standard_normal(n)
        answers[item] = cut(drivers["mean"] + drivers["slope"] * frame[factor].to_numpy() + noise)
    return answers


def personal_arm(draft: Draft, frame: pd.DataFrame) -> np.ndarray:
    """Arm of each invited customer in EXP-PERS, once it runs: generic, personal or none."""
    arm = pers_arms(draft).reindex(frame["customer"]).to_numpy(object)
    begun = (frame["week"] >= parameters("contacts")["exp_pers"]["week"]).to_numpy()
    return np.where(begun & ~pd.isna(arm), arm, "none")


def slopes(outcome: np.ndarray, columns: pd.DataFrame) -> pd.Series:
    """Least-squares slopes of an outcome on some columns, over everybody invited."""
    design = np.column_stack([np.ones(len(columns)), columns.to_numpy(float)])
    found = np.linalg.lstsq(design, np.asarray(outcome, float), rcond=None)[0]
    return pd.Series(found[1:], index=columns.columns)


def lapsed(draft: Draft, frame: pd.DataFrame) -> np.ndarray:
    """No order in the half-year after the wave has closed; nan where the record ends before."""
    given, orders = parameters("surveys"), draft.tables["orders"]
    gone = np.full(len(frame), np.nan)
    for start in frame["start"].unique():
        begin = start + given["field_weeks"]
        if begin + given["frame_weeks"] > draft.clock.weeks:
            continue
        after = orders.loc[orders["week"].between(begin, begin + given["frame_weeks"]), "customer"]
        rows = (frame["start"] == start).to_numpy()
        gone[rows] = ~frame.loc[rows, "customer"].isin(after)
    return gone


def plant_core(draft: Draft, frame: pd.DataFrame, answers: pd.DataFrame) -> None:
    """True figures of everybody invited: NPS by wave, drivers of satisfaction and of lapsing."""
    for wave, score in answers["nps"].groupby(frame["wave"]):
        value = 100 * ((score >= 9).mean() - (score <= 6).mean())
        draft.plant(f"surveys.nps.{wave}", value, "points", f"NPS of everybody invited in {wave}")
    items = parameters("surveys")["drivers"]["items"]
    gone = lapsed(draft, frame)
    known = np.isfinite(gone)
    churn = slopes(gone[known], answers.loc[known, list(items)])
    liking = slopes(answers["csat"], answers[list(items)])
    for item, name in items.items():
        unit = "share a point of the item"
        draft.plant(f"surveys.churn_driver.{name}", churn[item], unit, "no order in the half-year after")
        draft.plant(
            f"surveys.csat_driver.{name}", liking[item], "points a point of the item", "csat on drivers"
        )
    top = churn[["q", "s"]].mean() - churn[["p", "c"]].mean()
    draft.plant("surveys.churn_driver.top_two", top, unit, "mean of q and s less mean of p and c")
    draft.plant("surveys.csat.gender", 0, "points", "csat of women less men")
    draft.plant("surveys.csat.wave_change", 0, "points", "same customers' csat, one wave to the next")
    by = answers["csat"].groupby(frame["last_channel"]).mean()
    for name in ("store", "phone"):
        meaning = f"csat after {name} less after web orders"
        draft.plant(f"surveys.csat.{name}", by.get(name, np.nan) - by.get("web", np.nan), "points", meaning)
