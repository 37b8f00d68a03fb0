"""Every touch of a lead: first contact, follow-ups, talks, demos, visits, quotes and changes of stage."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.firms import office_time
from custkit.simulate.streams import choose_each

STAGES = ("new", "contacted", "qualified", "proposal", "negotiation")
# Of two things in the same minute the talk comes before the change of stage that it brings.
COLUMNS = [
    "activity_id",
    "lead_id",
    "at",
    "staff_id",
    "kind",
    "stage_from",
    "stage_to",
    "message",
    "case_lead_id",
]


def draw(draft: Draft, leads: pd.DataFrame) -> pd.DataFrame:
    """`lead_activities` in order of time; hidden column `lead` (row of `leads`)."""
    found = pd.concat(
        [*_set_piece(draft, leads), *_follow_ups(draft, leads), _changes(leads)], ignore_index=True
    )
    end = np.minimum(leads["close_week"].to_numpy(), draft.clock.weeks)[found["lead"]]
    found = found[found["week"] <= end].copy()
    found["change"] = found["kind"] == "stage_change"
    found["at"] = office_time(draft.clock, found["week"])
    found = found.sort_values(["at", "change", "week", "lead"], ignore_index=True)
    rows = found["lead"].to_numpy()
    found["lead_id"] = leads["lead_id"].to_numpy()[rows]
    found["rep"] = _who(draft, leads, found)
    found["staff_id"] = draft.tables["staff"]["staff_id"].to_numpy()[found["rep"]]
    found["activity_id"] = draft.ids("A", len(found))
    _effort(draft, found)
    return found[[*COLUMNS, "minutes", "cost", "lead", "week"]]


def _touch(rows, week, kind, **more) -> pd.DataFrame:
    """Some touches of leads in these rows."""
    columns = {"lead": rows, "week": week, "kind": kind, "stage_from": None, "stage_to": None}
    return pd.DataFrame(columns | {"message": None, "case_lead_id": None} | more)


def _within(
    rng: np.random.Generator, leads: pd.DataFrame, rows, stage: int, low: float, high: float
) -> np.ndarray:
    """A working time in a stage (1: contacted … 4: negotiation), between two shares of its length."""
    begin, end = (leads[f"enter_{stage + step}"].to_numpy()[rows] for step in (0, 1))
    return begin + (end - begin) * rng.uniform(low, high, len(rows))


def _set_piece(draft: Draft, leads: pd.DataFrame) -> list[pd.DataFrame]:
    """What happens at most once to a lead."""
    given, rng = parameters("selling")["activities"], draft.rng("sales touches")
    stage, genuine = leads["stage_number"].to_numpy(), leads["original"].to_numpy() < 0
    first = np.flatnonzero(stage >= 1)
    contact = leads.iloc[first]
    kind = np.where(contact["call"], "call", "email")
    message = np.where(contact["personal"], "personal", "generic").astype(object)
    message[~contact["in_experiment"].to_numpy()] = None
    parts = [_touch(first, contact["enter_1"].to_numpy(), kind, message=message)]
    event = np.flatnonzero(leads["event_attended"])
    length = np.minimum(
        parameters("firms")["event_days"] / 7, leads["close_week"] - leads["week"]
    ).to_numpy()[event]
    when = leads["week"].to_numpy()[event] + length * rng.uniform(0.02, 0.98, len(event))
    parts.append(_touch(event, when, "event"))
    talk = np.flatnonzero(leads["needs_call"] & genuine & (stage >= 1))
    parts.append(_touch(talk, _within(rng, leads, talk, 1, 0.1, 0.9), "needs_call"))
    shown = np.flatnonzero((leads["case"] >= 0) & (stage >= 1))
    ids = leads["lead_id"].to_numpy()[leads["case"].to_numpy()[shown]]
    parts.append(_touch(shown, _within(rng, leads, shown, 1, 0.2, 0.95), "case_shared", case_lead_id=ids))
    chance = np.where(leads["demo_requested"], given["demo"]["requested"], given["demo"]["other"])
    demo = np.flatnonzero((stage >= 2) & (rng.random(len(leads)) < chance))
    parts.append(_touch(demo, _within(rng, leads, demo, 2, 0.1, 0.8), "demo"))
    quote = np.flatnonzero(stage >= 3)
    parts.append(_touch(quote, _within(rng, leads, quote, 3, 0.05, 0.5), "quote"))
    return parts


def _follow_ups(draft: Draft, leads: pd.DataFrame) -> list[pd.DataFrame]:
    """Mails, calls and posts at an even rate through each stage; visits from the proposal on."""
    given, rng = parameters("selling")["activities"], draft.rng("sales follow-ups")
    kinds = np.array(list(given["kinds"]), dtype=object)
    taste = np.exp(given["social_spread"] * rng.standard_normal(len(draft.tables["staff"])))
    parts = []
    for number, stage in enumerate(STAGES[1:], start=1):
        there = np.flatnonzero((leads["stage_number"] >= number) & (leads["original"] < 0))
        lasting = (leads[f"enter_{number + 1}"] - leads[f"enter_{number}"]).to_numpy()[there]
        rows = np.repeat(there, rng.poisson(given["follow_ups"][stage] * lasting))
        weights = np.tile(list(given["kinds"].values()), (len(rows), 1))
        weights[:, list(given["kinds"]).index("social")] *= taste[leads["rep"].to_numpy()[rows]]
        kind = kinds[choose_each(rng, weights)]
        parts.append(_touch(rows, _within(rng, leads, rows, number, 0, 1), kind))
        if stage in given["visits"]:
            mean = given["visits"][stage] * np.exp(
                given["visits"]["size_z"] * leads["size_z"].to_numpy()[there]
            )
            rows = np.repeat(there, np.minimum(rng.poisson(mean), 4))
            parts.append(_touch(rows, _within(rng, leads, rows, number, 0.05, 0.95), "visit"))
    return parts


def _changes(leads: pd.DataFrame) -> pd.DataFrame:
    """Each change of stage, up to where the lead stands or ended."""
    stage, parts = leads["stage_number"].to_numpy(), []
    for number in range(1, len(STAGES)):
        rows = np.flatnonzero(stage >= number)
        when = leads[f"enter_{number}"].to_numpy()[rows]
        parts.append(
            _touch(rows, when, "stage_change", stage_from=STAGES[number - 1], stage_to=STAGES[number])
        )
    rows = np.flatnonzero(leads["outcome"] != "open")
    last = np.array(STAGES, dtype=object)[stage[rows]]
    outcome, when = leads["outcome"].to_numpy()[rows], leads["close_week"].to_numpy()[rows]
    parts.append(_touch(rows, when, "stage_change", stage_from=last, stage_to=outcome))
    return pd.concat(parts, ignore_index=True)


def _who(draft: Draft, leads: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
    """The rep in charge; of leads handed over, a colleague of the team once they are qualified."""
    rng, staff = draft.rng("hand-overs"), draft.tables["staff"]
    given, rep = parameters("selling")["activities"], leads["rep"].to_numpy()
    number = np.arange(len(staff))
    team = staff["team"].where(staff["role"] == "sales_rep", None)
    mates = {row: number[(team == team[row]) & (number != row)] for row in np.unique(rep)}
    luck, pick = rng.random(len(leads)), rng.random(len(leads))
    colleague = [
        mates[row][int(share * len(mates[row]))] if len(mates[row]) else row
        for row, share in zip(rep, pick, strict=True)
    ]
    rows = found["lead"].to_numpy()
    later = found["week"].to_numpy() > leads["enter_2"].to_numpy()[rows]
    later &= leads["stage_number"].to_numpy()[rows] >= 2
    return np.where(later & (luck[rows] < given["hand_over"]), np.array(colleague)[rows], rep[rows])


def _effort(draft: Draft, found: pd.DataFrame) -> None:
    """Minutes of the rep, and their cost with travel and material."""
    given, rng = parameters("selling")["activities"], draft.rng("sales effort")
    usual = found["kind"].map(given["minutes"]).to_numpy(float)
    minutes = 5 * np.round(usual * np.exp(given["spread"] * rng.standard_normal(len(found))) / 5)
    found["minutes"] = np.where(usual > 0, np.maximum(minutes, 5), 0).astype(int)
    hourly = draft.tables["staff"]["hourly_cost"].to_numpy()[found["rep"]]
    extra = found["kind"].map(given["extra_cost"]).to_numpy(float)
    found["cost"] = np.round(found["minutes"] / 60 * hourly + extra, 2)
