"""Whom to treat: does a score find those whom a treatment moves, and what is a rule of treatment worth?

``custkit.experiments`` gives this out again; import it from there. Both questions are answered from an
experiment drawn by lot, best from one whose outcomes no score or rule was made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError, ParameterError
from custkit.trial_columns import draw_faults, levels_of, share_faults, share_level, side_by_side


@dataclass(frozen=True)
class Qini:
    """What a ranking by score gains over contacting at random: what `qini` gives.

    Attributes
    ----------
    curve : DataFrame
        share_contacted (from 0 to 1, one row for each different score), incremental (extra outcome per
        customer of the whole group if the best share is treated), random (the same share at random) and,
        with draws, low and high of incremental.
    coefficient : float
        Area between curve and random line: extra outcome per customer over random, mean over all shares.
    low, high : float
        Bootstrap interval of the coefficient; missing without draws.
    effect : float
        Mean effect of treating everybody, the end of the curve.
    """

    curve: pd.DataFrame
    coefficient: float
    low: float
    high: float
    effect: float


def qini(
    score: Any,
    outcome: Any,
    treated: Any,
    *,
    draws: int = 0,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Qini:
    """Uplift (Qini) curve of a score: the extra outcome when those with the highest scores are treated.

    Parameters
    ----------
    score : Series or array
        Higher is treated sooner, such as predicted uplift; equal scores enter together.
    outcome, treated : Series or array
        Number and True or False (1 or 0) for each customer, treatment drawn by lot.
    draws : int
        Bootstrap samples of customers (within the treated and the others) for the intervals.
    rng : numpy Generator
        Needed with draws.
    level : float
        Of the intervals.

    Returns
    -------
    Qini

    Raises
    ------
    DataError
        Missing values, columns that do not fit together, fewer than two treated or others.
    ParameterError
        Draws without rng, or a level that is none.

    Notes
    -----
    At share φ: φ times (mean outcome of the treated within it, less that of the others), which is
    Radcliffe (2007), "Using control groups to target on predicted lift", per customer and with the share
    of all customers in place of the treated. The coefficient is in the unit of the outcome and not divided
    by that of a perfect ranking, which no data show. Shares within which one arm is empty are passed over.
    Random scores have a coefficient of 0 on average.
    """
    table = side_by_side({"score": score, "outcome": outcome, "treated": treated}, {})
    level, arm = share_level(level), table["treated"].to_numpy()
    faults = [] if np.isin(arm, [0, 1]).all() else ["treated must be True or False (1 or 0) in every row"]
    if not faults and min(arm.sum(), (1 - arm).sum()) < 2:
        faults.append("two treated and two others are needed")
    if faults:
        raise DataError(faults)
    if wrong := draw_faults(draws, rng):
        raise ParameterError(wrong)
    order = np.argsort(-table["score"].to_numpy(), kind="stable")
    y, arm, sorted_score = (
        table["outcome"].to_numpy()[order],
        arm[order] == 1,
        table["score"].to_numpy()[order],
    )
    ends = np.append(np.flatnonzero(np.diff(sorted_score)), len(y) - 1)  # last row of each score
    share, gain = _curve(y, arm, ends, np.ones(len(y)))
    curve = pd.DataFrame({"share_contacted": share, "incremental": gain, "random": share * gain[-1]})
    low = high = np.nan
    if draws:
        tail = [0.5 - level / 2, 0.5 + level / 2]
        areas, gains = np.empty(draws), np.empty((draws, len(share)))
        for i in range(draws):
            x, g = _curve(y, arm, ends, _resampled(arm, rng))
            areas[i], gains[i] = _area(x, g), np.interp(share, x, g)
        low, high = (float(q) for q in np.quantile(areas, tail))
        curve["low"], curve["high"] = np.quantile(gains, tail, axis=0)
    return Qini(curve, _area(share, gain), low, high, float(gain[-1]))


def _curve(
    y: np.ndarray, arm: np.ndarray, ends: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Share contacted and extra outcome after each score, from (0, 0) on."""
    one, other = weights * arm, weights * ~arm
    n_one, n_other, n = (np.cumsum(w)[ends] for w in (one, other, weights))
    seen = (n_one > 0) & (n_other > 0)
    mean_one, mean_other = (
        np.cumsum(one * y)[ends][seen] / n_one[seen],
        np.cumsum(other * y)[ends][seen] / n_other[seen],
    )
    share = n[seen] / n[-1]
    return np.append(0, share), np.append(0, share * (mean_one - mean_other))


def _area(share: np.ndarray, gain: np.ndarray) -> float:
    return float(np.trapezoid(gain - share * gain[-1], share))


def _resampled(arm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How often each customer is drawn, with as many of either arm as there are."""
    weights = np.empty(len(arm))
    for rows in (np.flatnonzero(arm), np.flatnonzero(~arm)):
        weights[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
    return weights


def policy_value(
    policy: Any,
    outcome: Any,
    arm: Any,
    *,
    shares: Mapping[Any, float] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """What rules "who gets which arm" are worth per customer, from an experiment drawn by lot.

    Parameters
    ----------
    policy : Series, mapping or DataFrame
        The arm the rule gives each customer; several rules as name → Series, or as columns.
    outcome, arm : Series or array
        Number (such as margin less the cost of the arm) and the arm drawn, for each customer.
    shares : mapping, optional
        Arm → probability with which it was drawn (or a ratio); the observed shares if not given.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame, one row for each rule, then one for each single arm ("everybody: …")
        policy, matched (customers whose arm is the one the rule gives), value (per customer, unit of the
        outcome), std_error, low, high; difference (from the best single arm), difference_std_error,
        difference_low, difference_high. ``attrs``: best_arm (its own difference is 0), level. The best
        single arm is chosen by the same data, which flatters it a little.

    Raises
    ------
    DataError
        Missing values, columns that do not fit together, a rule that gives an arm nobody was drawn to.
    ParameterError
        Shares that lack an arm or are not above 0.

    Notes
    -----
    Inverse propensity weights, normalised (Hájek 1971): value = Σ w y / Σ w, w = 1/share of the arm for
    those whose arm is the rule's, else 0. Errors from w (y − value) / mean w, customer by customer, so
    that differences of two rules are paired: where they agree, nothing is uncertain. Two standard errors
    hold for samples of some hundred matches.
    """
    from scipy import stats

    rules = _rules(policy)
    table = side_by_side({"outcome": outcome}, {"arm": arm, **rules})
    arms, level = levels_of(table["arm"]), share_level(level)
    faults = []
    for name in rules:
        strange = [value for value in levels_of(table[name]) if value not in arms]
        if strange:
            faults.append(f"{name} gives {', '.join(map(repr, strange))}, to which nobody was drawn")
    if faults:
        raise DataError(faults)
    weights = table["arm"].astype(object).map(_odds(shares, table["arm"], arms)).to_numpy(float)
    y, drawn = table["outcome"].to_numpy(), table["arm"].astype(object).to_numpy()
    given = {name: table[name].astype(object).to_numpy() for name in rules}
    given |= {f"everybody: {name}": np.full(len(y), name, dtype=object) for name in arms}
    rows, parts = [], {}
    for name, rule in given.items():
        w = np.where(drawn == rule, weights, 0.0)
        if not w.any():
            raise DataError(f"{name}: nobody was drawn to the arm it gives; the rule cannot be judged")
        value = (w @ y) / w.sum()
        parts[name] = w * (y - value) / w.mean()
        rows.append({"policy": name, "matched": int((w > 0).sum()), "value": value})
    found = pd.DataFrame(rows)
    best = found.loc[found["value"][len(rules) :].idxmax(), "policy"]
    reach = stats.norm.ppf(0.5 + level / 2)
    spread = {name: _error(part) for name, part in parts.items()}
    found["std_error"] = found["policy"].map(spread)
    found["low"], found["high"] = (found["value"] + sign * reach * found["std_error"] for sign in (-1, 1))
    found["difference"] = found["value"] - found.set_index("policy")["value"][best]
    error = found["policy"].map({name: _error(part - parts[best]) for name, part in parts.items()})
    found["difference_std_error"] = error
    found["difference_low"], found["difference_high"] = (
        found["difference"] + s * reach * error for s in (-1, 1)
    )
    found.attrs = {"best_arm": arms[[f"everybody: {name}" for name in arms].index(best)], "level": level}
    return found


def _error(part: np.ndarray) -> float:
    return float(np.sqrt(part @ part) / len(part))


def _rules(policy: Any) -> dict[str, Any]:
    if isinstance(policy, pd.DataFrame):
        policy = {name: policy[name] for name in policy}
    rules = dict(policy) if isinstance(policy, Mapping) else {"policy": policy}
    taken = {"outcome", "arm"} & set(rules)
    if taken or not rules:
        raise ParameterError(f"policy: name each rule, not {', '.join(taken) or 'none'}")
    return {str(name): rule for name, rule in rules.items()}


def _odds(shares: Mapping[Any, float] | None, arm: pd.Series, arms: list) -> dict[Any, float]:
    """1 / probability of each arm."""
    if shares is None:
        return {name: len(arm) / int((arm == name).sum()) for name in arms}
    if faults := share_faults(shares, arm):
        raise ParameterError(faults)
    return {name: sum(shares.values()) / shares[name] for name in arms}
