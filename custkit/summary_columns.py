"""Columns that the value models read from a summary of one row per customer, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from custkit.distinct import distinct
from custkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def summary_columns(summary: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequency, recency and T of a purchase summary.

    Parameters
    ----------
    summary : DataFrame
        ``frequency``, ``recency``, ``T`` per customer.

    Returns
    -------
    x, tx, T : arrays of float of shape (n,)

    Raises
    ------
    DataError
        Missing columns, missing, infinite or negative values, recency above T, repeat purchases at
        recency 0, fractions of purchases, or no rows; all that is wrong at once.
    """
    missing = [name for name in ("frequency", "recency", "T") if name not in summary]
    if missing:
        raise DataError(
            f"the purchase summary lacks {', '.join(missing)}; make it with orders.purchase_summary"
        )
    x, tx, T = (summary[name].to_numpy(float, na_value=np.nan) for name in ("frequency", "recency", "T"))
    faults = [
        f"purchase summary: {bad.sum():,} rows with {what}, first at row {int(np.argmax(bad))} (from 0); "
        "make it with orders.purchase_summary"
        for what, bad in _faults(x, tx, T).items()
        if bad.any()
    ]
    if faults or not len(x):
        raise DataError(faults or "the purchase summary has no customers")
    return x, tx, T


def summary_patterns(summary: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct (frequency, recency, T), and how many customers have each.

    Parameters
    ----------
    summary : DataFrame
        As for `summary_columns`; an optional ``customers`` column weights the rows.

    Returns
    -------
    columns : list of three arrays of float of shape (k,)
    customers : array of shape (k,)

    Raises
    ------
    DataError
        As for `summary_columns` and `summary_weights`.

    Notes
    -----
    Only the distinct rows are checked, which spares ten million customers many passes. A fault is then
    looked up among all rows.
    """
    weights = summary_weights(summary)
    if weights is None and {"frequency", "recency", "T"} <= set(summary):
        rows = [summary[name].to_numpy(float, na_value=np.nan) for name in ("frequency", "recency", "T")]
        if len(summary):
            columns, customers, _ = distinct(*rows)
            if not any(bad.any() for bad in _faults(*columns).values()):
                return columns, customers
    columns = list(summary_columns(summary))
    if weights is None:
        columns, weights, _ = distinct(*columns)
    return columns, weights


def _faults(x, tx, T):
    return {
        "a missing or infinite value": ~np.isfinite(x + tx + T),
        "a negative value": (x < 0) | (tx < 0) | (T < 0),
        "recency above T": tx > T,
        "a fraction of a purchase": np.isfinite(x) & (x % 1 != 0),
        "repeat purchases at recency 0": (x > 0) & (tx == 0),
    }


def summary_weights(summary: pd.DataFrame) -> np.ndarray | None:
    """How many customers each row stands for.

    Parameters
    ----------
    summary : DataFrame
        With or without a column ``customers``.

    Returns
    -------
    array of float of shape (n,), or None without that column: every row is one customer.

    Raises
    ------
    DataError
        Missing, infinite or negative numbers of customers, or none above 0.
    """
    if "customers" not in summary:
        return None
    weights = summary["customers"].to_numpy(float, na_value=np.nan)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any() or not weights.any():
        raise DataError(
            f"column customers: {bad.sum():,} rows are missing, infinite or negative, first at row "
            f"{int(np.argmax(bad))} (from 0); give the number of customers of each row"
            if bad.any()
            else "column customers: every row has 0 customers"
        )
    return weights


def on_index(values: np.ndarray, summary: pd.DataFrame, name: str) -> pd.Series:
    """Values as a Series on the index of a summary.

    Parameters
    ----------
    values : array of shape (n,)
    summary : DataFrame
        Of n rows.
    name : str
        Name of the Series.

    Returns
    -------
    Series
    """
    import pandas as pd

    return pd.Series(values, index=summary.index, name=name)
