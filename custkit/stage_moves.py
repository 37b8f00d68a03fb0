"""What happened between the weeks of a stage history: flows, and the ladder of stages.

``custkit.lifecycle`` gives all of this out again; use it from there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.errors import DataError
from custkit.stage_record import STAGES

UNSEEN, GONE = "not seen before", "out of sight"
OUTSIDE = (UNSEEN, GONE)
"""Where people come from who were not in the history before, and where visitors go who do not return."""


def stage_flows(history: pd.DataFrame) -> pd.DataFrame:
    """How many people went from which stage to which in each week.

    Parameters
    ----------
    history : DataFrame
        From `stage_history`, of two weeks at least.

    Returns
    -------
    DataFrame
        week (end of the week in which they went), stage_from, stage_to (categorical: the stages, before
        them "not seen before", after them "out of sight"), people. Those who stayed are in it (stage_from
        = stage_to); flows of nobody are not. The first week of the history has no flows. "Not seen before"
        means in this history.
    """
    grid, weeks = _grid(history)
    places, out = (UNSEEN, *STAGES, GONE), len(STAGES) + 1
    seen = np.zeros(len(grid), bool)
    counts = np.zeros((len(weeks) - 1, len(places), len(places)), np.int64)
    for i in range(len(weeks) - 1):
        before, after = grid[:, i].astype(np.int64), grid[:, i + 1].astype(np.int64)
        seen |= before >= 0
        start = np.where(before >= 0, before + 1, np.where(seen, out, 0))
        stop = np.where(after >= 0, after + 1, out)
        moved = (before >= 0) | (after >= 0)
        flat = np.bincount(start[moved] * len(places) + stop[moved], minlength=len(places) ** 2)
        counts[i] = flat.reshape(len(places), -1)
    week, start, stop = np.nonzero(counts)
    return pd.DataFrame(
        {
            "week": weeks[1:][week],
            "stage_from": pd.Categorical.from_codes(start, places, ordered=True),
            "stage_to": pd.Categorical.from_codes(stop, places, ordered=True),
            "people": counts[week, start, stop],
        }
    )


def stage_ladder(history: pd.DataFrame) -> pd.DataFrame:
    """People in each stage at the last week, how many came in, and how many left.

    Parameters
    ----------
    history : DataFrame
        From `stage_history`, of two weeks at least.

    Returns
    -------
    DataFrame, one row a stage, in order
        stage; people, late (at the end of the last week); people_before (a week earlier), came_in, left (in
        the last week): people = people_before + came_in - left, exactly; came_in_mean, left_mean (per week,
        over all weeks but the first): their difference is the mean weekly growth.
    """
    grid, _ = _grid(history)
    ladder = []
    for i, stage in enumerate(STAGES):
        inside = grid == i
        came = (inside[:, 1:] & ~inside[:, :-1]).sum(axis=0)
        left = (inside[:, :-1] & ~inside[:, 1:]).sum(axis=0)
        people = inside.sum(axis=0)
        ladder.append((stage, people[-1], people[-2], came[-1], left[-1], came.mean(), left.mean()))
    names = ["stage", "people", "people_before", "came_in", "left", "came_in_mean", "left_mean"]
    table = pd.DataFrame(ladder, columns=names)
    last = history.loc[history["late"] & (history["week"] == history["week"].max()), "stage"]
    table.insert(2, "late", last.value_counts().reindex(STAGES, fill_value=0).to_numpy())
    return table.assign(stage=pd.Categorical(table["stage"], STAGES, ordered=True))


def _grid(history: pd.DataFrame) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Place in STAGES by person (row) and week (column); -1 = not there."""
    lacking = [name for name in ("week", "person_id", "stage", "late") if name not in history]
    if lacking:
        raise DataError(f"history lacks {', '.join(lacking)}: make it with lifecycle.stage_history.")
    if history["week"].nunique() < 2:
        raise DataError("history has fewer than two weeks with people in them: flows need weeks=2 or more.")
    weeks = pd.date_range(history["week"].min(), history["week"].max(), freq="7D")
    week = weeks.get_indexer(pd.DatetimeIndex(history["week"]))
    if (week < 0).any():
        raise DataError("history has weeks less or more than seven days apart: use lifecycle.stage_history.")
    person = history["person_id"].astype("category").cat
    grid = np.full((len(person.categories), len(weeks)), -1, np.int8)
    grid[person.codes, week] = history["stage"].cat.codes
    return grid, weeks
