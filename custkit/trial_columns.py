"""The columns an analysis of an experiment or a path takes: side by side, checked, every fault at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError, ParameterError


def side_by_side(numbers: dict[str, Any], labels: dict[str, Any]) -> pd.DataFrame:
    """Columns as one frame, in the order numbers, labels; refused unless complete and of one length.

    Parameters
    ----------
    numbers, labels : dict
        Argument name → Series, array or list; None is left out. Numbers become float (True = 1).

    Raises
    ------
    DataError
        Lengths or indexes that differ, no rows, missing values (counted), numbers that are none.
    """
    given = {name: values for name, values in {**numbers, **labels}.items() if values is not None}
    columns = {name: _series(values) for name, values in given.items()}
    first, faults = next(iter(columns)), []
    for name, column in columns.items():
        if len(column) != len(columns[first]):
            faults.append(
                f"{name} has {len(column):,} values and {first} {len(columns[first]):,}: "
                "give columns of one table"
            )
        elif not _same_index(given[name], given[first]):
            faults.append(
                f"{name} and {first} have different indexes: give columns of one table, in one order"
            )
        missing = int(column.isna().sum())
        if missing:
            faults.append(
                f"{name} is missing in {missing:,} of {len(column):,} rows: "
                "leave them out, or say what they are"
            )
        if name in numbers:
            columns[name], fault = _floats(column, name)
            faults += fault
    if not faults and not len(columns[first]):
        faults = [f"{first} is empty: there is nothing to compare"]
    if faults:
        raise DataError(faults)
    return pd.DataFrame({name: column.reset_index(drop=True) for name, column in columns.items()})


def share_level(level: float) -> float:
    """The level of an interval; ParameterError unless it lies between 0 and 1."""
    if not (isinstance(level, (int, float)) and 0 < level < 1):
        raise ParameterError(f"level is {level!r}: give a share between 0 and 1, such as 0.95.")
    return float(level)


def share_faults(shares: Mapping[Any, float], arm: pd.Series) -> list[str]:
    """What is wrong with the shares by which a lot is meant to have drawn the arms."""
    sizes = arm.astype(object).value_counts()
    lacking = [name for name in levels_of(arm) if name not in shares]
    faults = [f"shares lacks arm {name!r}, which {sizes[name]:,} rows have" for name in lacking]
    return faults + [
        f"shares: {name!r} must be above 0, not {share!r}" for name, share in shares.items() if not share > 0
    ]


def draw_faults(draws: int, rng: np.random.Generator | None) -> list[str]:
    """What is wrong with a wish for bootstrap samples."""
    if draws < 0 or (draws and not isinstance(rng, np.random.Generator)):
        return ["draws need rng, such as np.random.default_rng(1), and must not be negative"]
    return []


def known(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise ParameterError unless the value is one of the choices."""
    choices = list(choices)
    if value not in choices:
        raise ParameterError(f"{name}={value!r} is not there; there are {', '.join(map(str, choices))}")


def levels_of(column: pd.Series) -> list[Any]:
    """The values of a column that occur: in the order of its categories, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [value for value in column.cat.categories if (column == value).any()]
    values = column.unique().tolist()
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _same_index(one: Any, other: Any) -> bool:
    both = isinstance(one, pd.Series) and isinstance(other, pd.Series)
    return not both or one.index.equals(other.index)


def _series(values: Any) -> pd.Series:
    if isinstance(values, pd.DataFrame):
        raise ParameterError(f"one column was expected, not a table of {values.shape[1]} columns")
    return values if isinstance(values, pd.Series) else pd.Series(np.asarray(values))


def _floats(column: pd.Series, name: str) -> tuple[pd.Series, list[str]]:
    try:
        found = column.astype(float)
    except (TypeError, ValueError):
        return column, [f"{name} must be numbers (or True and False), not {column.dtype}"]
    endless = int(np.isinf(found).sum())
    return found, [f"{name} is infinite in {endless:,} rows"] if endless else []
