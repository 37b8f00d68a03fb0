"""Unit economics: what a customer costs to win and is worth, and what that hangs on.

``custkit.lifecycle`` gives all of this out again; use it from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError, ParameterError
from custkit.trial_columns import share_level


def acquisition_cost(spend: pd.Series, customers: pd.Series, level: float = 0.95) -> pd.DataFrame:
    """Spend per customer won, by channel, with an interval.

    Parameters
    ----------
    spend : Series
        Money by channel (index).
    customers : Series
        Customers won by channel. A channel that is in one of the two only has 0 in the other.
    level : float
        Of the interval.

    Returns
    -------
    DataFrame, index = the channels of spend, then those of customers only
        spend, customers, cac, cac_low, cac_high (money per customer). No customers: cac and cac_high are
        infinite, or missing where nothing was spent either.

    Raises
    ------
    DataError
        Negative or missing values, customers that are no whole numbers, a channel twice.

    Notes
    -----
    The customers are taken as a Poisson count, the spend as fixed; the interval is spend over the exact
    limits of the count (Garwood 1936, Biometrika 28:437-442). It says how sure the count is, not whether the
    customers came because of the spend.
    """
    from scipy.stats import chi2

    level, faults = share_level(level), []
    for name, series in (("spend", spend), ("customers", customers)):
        if not isinstance(series, pd.Series) or not pd.api.types.is_numeric_dtype(series):
            faults.append(f"{name} is no Series of numbers: give one value a channel, such as a groupby sum")
            continue
        wrong = series[series.isna() | (series < 0) | ((series % 1 != 0) & (name == "customers"))]
        if len(wrong):
            need = "whole numbers of at least 0" if name == "customers" else "money of at least 0"
            faults.append(f"{name} of {some(wrong.index)} is {wrong.iloc[0]}: {need} are needed")
        if series.index.has_duplicates:
            twice = series.index[series.index.duplicated()]
            faults.append(f"{name} has {some(twice)} in several rows: add them up first")
    if faults:
        raise DataError(faults)
    channels = spend.index.append(customers.index.difference(spend.index, sort=False))
    table = pd.DataFrame(index=channels.rename(spend.index.name or customers.index.name or "channel"))
    table["spend"] = spend.reindex(channels, fill_value=0).to_numpy(float)
    table["customers"] = customers.reindex(channels, fill_value=0).to_numpy(np.int64)
    won, tail = table["customers"].to_numpy(), (1 - level) / 2
    low = np.where(won > 0, chi2.ppf(tail, 2 * np.maximum(won, 1)) / 2, 0)
    high = chi2.ppf(1 - tail, 2 * won + 2) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, number in (("cac", won), ("cac_low", high), ("cac_high", low)):
            table[name] = table["spend"].to_numpy() / number
    return table


def retention_value(
    margin: Any,
    retention: Any,
    annual_discount_rate: float,
    *,
    periods_per_year: float = 1,
    paid_now: bool = False,
) -> Any:
    """Value of a customer who stays with the same probability each period and brings the same margin in each.

    Parameters
    ----------
    margin : float or array
        Money a period, paid at its end by those who are still there.
    retention : float or array
        Probability of staying from one period to the next.
    annual_discount_rate : float
        0.10 for 10 % a year; a period's is ``(1 + annual) ** (1 / periods_per_year) - 1``.
    periods_per_year : float
        1 for years, 12 for months, 365.25 / 7 for weeks.
    paid_now : bool
        Add one margin at once and undiscounted: the period that begins today is paid in advance.

    Returns
    -------
    float or array
        ``m r / (1 + d - r)``, which is m r / (1 + d) + m r² / (1 + d)² + … without end: the first margin
        comes one period from now, if the customer stays that long. With `paid_now`, m more:
        ``m (1 + d) / (1 + d - r)``.

    Raises
    ------
    ParameterError
        Retention outside 0 to 1, a discount rate not above -1, or an endless value (r = 1 without discount).

    References
    ----------
    Gupta, Lehmann and Stuart (2004), Valuing Customers, Journal of Marketing Research 41(1):7-18.
    """
    stays, faults = np.asarray(retention, dtype=float), []
    if not ((stays >= 0) & (stays <= 1)).all():
        faults.append(f"retention is {retention!r}: give a probability from 0 to 1")
    if not (np.isfinite(annual_discount_rate) and annual_discount_rate > -1):
        faults.append(f"annual_discount_rate is {annual_discount_rate!r}: give 0.10 for 10 % a year")
    if not periods_per_year > 0:
        faults.append(f"periods_per_year is {periods_per_year!r}: give 1 for years, 12 for months")
    rate = (1 + annual_discount_rate) ** (1 / periods_per_year) - 1 if not faults else 0
    if not faults and (1 + rate - stays <= 0).any():
        faults.append("the value has no end: with such retention the discount rate must be higher")
    if faults:
        raise ParameterError(faults)
    return margin * retention / (1 + rate - retention) + (margin if paid_now else 0)


def tornado(
    value: Callable[..., float], inputs: Mapping[str, float], change: float | Mapping[str, float] = 0.1
) -> pd.DataFrame:
    """What a result does when each input alone is a little lower and a little higher.

    Parameters
    ----------
    value : callable
        ``value(**inputs)`` gives one number.
    inputs : mapping
        Name -> number.
    change : float or mapping
        The share by which an input is changed: 0.1 for 10 % down and up; or one for each input.

    Returns
    -------
    DataFrame, one row an input, largest swing first
        input, at (its value), low and high (the result with the input lower and higher), swing (distance
        between them), elasticity (per cent of the result per per cent of the input, central difference:
        ``(high - low) / (2 * change * result)``). ``attrs``: result (as it is), change.

    Raises
    ------
    ParameterError
        An input that is no number, a change out of range, a result that is not finite; errors of `value`
        itself, naming the input that was changed.
    """
    changes = dict(change) if isinstance(change, Mapping) else dict.fromkeys(inputs, change)
    faults = [f"inputs: {k} is {v!r}: give a number" for k, v in inputs.items() if not _finite(v)]
    faults += [f"change has no value for {name}" for name in inputs if name not in changes]
    faults += [f"change is {c!r}: give a share such as 0.1" for c in {*changes.values()} if not 0 < c < 1]
    if not inputs:
        faults.append("inputs is empty: name at least one, such as {'margin': 120}")
    if faults:
        raise ParameterError(faults)
    base, rows = _result(value, inputs, "as it is"), []
    for name, at in inputs.items():
        low, high = (
            _result(value, {**inputs, name: at * (1 + sign * changes[name])}, f"with {name} {word}")
            for sign, word in ((-1, "lower"), (1, "higher"))
        )
        elasticity = (high - low) / (2 * changes[name] * base) if base else np.nan
        rows.append((name, float(at), low, high, abs(high - low), elasticity))
    table = pd.DataFrame(rows, columns=["input", "at", "low", "high", "swing", "elasticity"])
    table = table.sort_values("swing", ascending=False, kind="stable", ignore_index=True)
    table.attrs = {"result": base, "change": change}
    return table


def _result(value: Callable[..., float], inputs: Mapping[str, float], case: str) -> float:
    try:
        found = value(**inputs)
    except ParameterError as error:
        raise ParameterError([f"value {case}: {fault}" for fault in error.faults]) from None
    if not _finite(found):
        raise ParameterError(f"value {case} gives {found!r}: a finite number is needed.")
    return float(found)


def _finite(number: Any) -> bool:
    try:
        return bool(np.ndim(number) == 0 and np.isfinite(float(number)))
    except (TypeError, ValueError):
        return False


def some(names: Any) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")
