"""Funnels and paths: who reaches which step, and which channel earns the credit for an order.

Paths are read and credit is shared out in `custkit.attribution`, given out again here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from custkit.attribution import RULES, attribution, removal_shares, transitions
from custkit.errors import DataError, ParameterError
from custkit.trial_columns import levels_of, share_level

__all__ = ["RULES", "attribution", "removal_shares", "steps", "transitions"]


def steps(
    table: pd.DataFrame,
    furthest: str = "furthest_step",
    *,
    names: Mapping[int, str] | Sequence[str],
    by: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """How many reach each step of a funnel, with Wilson intervals.

    Parameters
    ----------
    table : DataFrame
        One row for each session, person or other unit.
    furthest : str
        Column with the number of the furthest step it reached.
    names : mapping or sequence
        Step number → name, or names of the steps from 1 on. Steps left out are passed over; rows that did
        not reach the first one are not in the funnel.
    by : str, optional
        Column of groups; each gets its own funnel. Rows without a group are refused.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame, one row for each group and step
        the group's column (if any), step (number), name, reached, lost (reached, but not the next step;
        missing at the last), step_conversion_rate (of those who reached the step before; missing at the
        first) with low and high, conversion_rate (of those who reached the first).

    Raises
    ------
    DataError
        Columns missing, furthest steps that are missing or no whole numbers, or steps without a name
        beyond the last named.
    ParameterError
        Fewer than two names, or a level that is none.

    Notes
    -----
    Interval: Wilson (1927), which stays within 0 and 1 and holds at small counts, by
    `statsmodels.stats.proportion.proportion_confint`. Missing where nobody reached the step before.
    """
    from statsmodels.stats.proportion import proportion_confint

    names = dict(names) if isinstance(names, Mapping) else dict(enumerate(names, start=1))
    names = {int(step): str(names[step]) for step in sorted(names)}
    level = share_level(level)
    if len(names) < 2:
        raise ParameterError("names: a funnel needs two steps or more")
    _check_steps(table, furthest, names, by)
    parts = []
    for group in [None] if by is None else levels_of(table[by]):
        rows = table if by is None else table[table[by] == group]
        reached = np.array([(rows[furthest] >= step).sum() for step in names])
        before = np.append(0, reached[:-1])
        seen = before > 0
        part = pd.DataFrame({"step": list(names), "name": list(names.values()), "reached": reached})
        part["lost"] = np.append(reached[:-1] - reached[1:], np.nan)
        rate, low, high = (np.full(len(names), np.nan) for _ in range(3))
        rate[seen] = reached[seen] / before[seen]
        low[seen], high[seen] = proportion_confint(reached[seen], before[seen], 1 - level, method="wilson")
        part["step_conversion_rate"] = rate
        part["low"], part["high"] = np.minimum(low, rate), np.maximum(high, rate)  # rounding at 0 and 1
        part["conversion_rate"] = reached / reached[0] if reached[0] else np.nan
        if by is not None:
            part.insert(0, by, group)
        parts.append(part)
    found = pd.concat(parts, ignore_index=True)
    if by is not None and isinstance(table[by].dtype, pd.CategoricalDtype):
        found[by] = found[by].astype(table[by].dtype)
    found.attrs = {"level": level, "by": by}
    return found


def _check_steps(table: pd.DataFrame, furthest: str, names: dict[int, str], by: str | None) -> None:
    there = ", ".join(map(str, table.columns))
    faults = [
        f"steps needs a column {c!r}; there are: {there}"
        for c in (furthest, by)
        if c is not None and c not in table
    ]
    if not faults:
        for column in (furthest, by):
            missing = 0 if column is None else int(table[column].isna().sum())
            if missing:
                faults.append(
                    f"{column} is missing in {missing:,} rows: leave them out, or say what they are"
                )
        values = pd.to_numeric(table[furthest], errors="coerce").dropna()
        if len(values) < table[furthest].notna().sum() or (values % 1 != 0).any():
            faults.append(f"{furthest} must be whole numbers, the furthest step of each row")
        beyond = sorted({int(value) for value in values[values > max(names)]})
        if beyond:
            faults.append(
                f"{furthest} goes up to {beyond[-1]}, but names ends at {max(names)}: "
                "name every step up to the last"
            )
    if not faults and table.empty:
        faults = ["steps: the table has no rows"]
    if faults:
        raise DataError(faults)
