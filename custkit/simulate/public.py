"""What the company's records show of a draft: the tables and columns that ``datasets/schema.yml`` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from custkit.course_tables import schema
from custkit.errors import DataError
from custkit.simulate.draft import Draft

# Tables whose public rows stand in several frames of the draft.
PARTS = {"customers": ("people", "accounts")}


def public_tables(draft: Draft, names: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The tables as the company keeps them, typed as `custkit.course_tables.load` gives them.

    Parameters
    ----------
    draft : Draft
        Drawn to its last block.
    names : iterable of str, optional
        These tables only.

    Returns
    -------
    dict
        Table name → frame with the columns of the schema, in its order.

    Raises
    ------
    DataError
        If a column is missing or holds what its type cannot; all faults at once.
    """
    declared = schema()["tables"]
    return _typed_tables(_frames(draft), {name: declared[name] for name in names or declared})


def truth_tables(draft: Draft) -> dict[str, pd.DataFrame]:
    """The truth tables of a draft, typed likewise."""
    declared, people = schema()["kept_apart"], draft.tables["people"]
    frames = dict(draft.truth)
    alias = people["alias_of"].map(people["customer_id"])  # where in `people`, to which customer
    frames["truth_customers"] = frames["truth_customers"].assign(alias_of=alias.to_numpy())
    if odd := [f"{name}: is not in schema.yml" for name in frames if name not in declared]:
        raise DataError(odd)
    return _typed_tables(frames, {name: declared[name] for name in declared if name in frames})


def _frames(draft: Draft) -> dict[str, pd.DataFrame]:
    frames = dict(draft.tables)
    for name, parts in PARTS.items():
        columns = list(schema()["tables"][name]["columns"])
        there = [draft.tables[part].reindex(columns=columns) for part in parts if part in draft.tables]
        if there:
            frames[name] = pd.concat(there, ignore_index=True)
    return frames


def _typed_tables(frames: Mapping[str, pd.DataFrame], declared: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    faults, tables = [], {}
    for name, table in declared.items():
        if name not in frames:
            faults.append(f"{name}: was not drawn")
            continue
        typed = {}
        for column, facts in table["columns"].items():
            try:
                typed[column] = as_declared(frames[name][column], facts)
            except KeyError:
                faults.append(f"{name}.{column}: was not drawn")
            except (TypeError, ValueError) as error:
                faults.append(f"{name}.{column}: {error}")
        tables[name] = pd.DataFrame(typed).reset_index(drop=True)
    if faults:
        raise DataError(faults)
    return tables


def as_declared(values: pd.Series, column: Mapping[str, Any]) -> pd.Series:
    """A column with its declared type, numbers rounded to the declared decimals.

    Raises
    ------
    TypeError, ValueError
        If the values cannot be of that type, or are missing where they may not be.
    """
    is_, optional = column["is"], "empty" in column
    kind, missing = is_["type"], values.isna()
    if missing.any() and not optional:
        raise ValueError(f"{missing.sum():,} values are missing, and schema.yml gives no reason")
    if kind in ("int", "num"):
        number = pd.to_numeric(values).astype("float64")
        if kind == "num":
            return number.round(is_.get("decimals", 2)) + 0.0  # no negative zero
        if not np.array_equal(number[~missing], number[~missing].round()):
            raise ValueError("holds numbers that are not whole")
        return number if optional else number.astype("int64")
    if kind == "bool":
        if not values[~missing].isin([True, False]).all():
            raise ValueError("holds more than yes and no")
        return values.astype("float64") if optional else values.astype("bool")
    if kind in ("date", "ts"):
        times = pd.to_datetime(values).astype("datetime64[s]")
        if kind == "date" and not (times.dropna() == times.dropna().dt.normalize()).all():
            raise ValueError("is a date, and holds times of day")
        return times
    texts = values[~missing]
    if not texts.map(type).eq(str).all():
        raise TypeError("is a text, and holds something else")
    return values.astype("str")
