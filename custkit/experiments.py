"""Experiments: arms compared, the split checked, encouragement, uplift and the value of a policy.

An effect is always arm less control, in the unit of the outcome. Outcomes are one row for each unit that
was drawn by lot (or for several rows of it, with ``cluster``). Uplift and policies live in
`custkit.uplift` and are given out again here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from custkit.errors import DataError, DataWarning
from custkit.sample_ratio import SampleRatio, srm_check
from custkit.trial_columns import known, levels_of, share_level, side_by_side
from custkit.uplift import Qini, policy_value, qini

__all__ = ["Qini", "SampleRatio", "compare", "encouragement", "policy_value", "qini", "srm_check"]

ADJUSTMENTS = {"bh": "fdr_bh", "holm": "holm", "bonferroni": "bonferroni"}
ENCOURAGED = [
    "naive difference of takers and others",
    "intention to treat",
    "take-up",
    "effect on those who took it up (Wald)",
]


def compare(
    outcome: Any,
    arm: Any,
    *,
    control: Any,
    cluster: Any = None,
    covariate: Any = None,
    level: float = 0.95,
    adjust: str | None = "bh",
) -> pd.DataFrame:
    """Each arm against the control: difference of means with its interval.

    Parameters
    ----------
    outcome : Series or array
        One number a row (orders, money) or True and False; a difference of shares is one of means.
    arm : Series or array
        The arm each row was given by lot.
    control : label
        The arm all others are compared with.
    cluster : Series or array, optional
        Who or what was drawn, where it has several rows (the visitor of a session, the ticket's agent).
    covariate : Series or DataFrame, optional
        Numbers known *before* the lot, such as the purchases a model expected: the difference is then
        taken at equal covariates, and its interval is the shorter the better they foretell the outcome.
    level : float
        Of the interval of each single difference; intervals are not widened for the number of arms.
    adjust : {"bh", "holm", "bonferroni"} or None
        How p-values are adjusted for the number of arms; "bh" bounds the share of false discoveries.

    Returns
    -------
    DataFrame, one row for each other arm (in category order, or sorted)
        arm, n, n_control (rows), mean, mean_control (as observed), difference, std_error, low, high (unit
        of the outcome), p_value (two-sided, no difference), p_adjusted. Where nothing varies within the
        two arms, std_error is 0 and low, high and p_value are missing. ``attrs``: control, level, method.

    Raises
    ------
    DataError
        Missing or infinite values, columns that do not fit together, an arm with fewer than two rows.
    ParameterError
        An unknown control or adjustment, or a level that is none.

    Notes
    -----
    Without options: unpooled standard error and Welch–Satterthwaite degrees of freedom (Welch 1947).
    With a cluster: least squares with CR1 errors and t with clusters less 1 degrees of freedom (Liang and
    Zeger 1986). With a covariate: least squares with arm, centred covariates and their products (Lin
    2013), errors HC3, or CR1 with a cluster; to them is added the error of the covariates' mean, since the
    effect is meant for the customers the sample stands for. CUPED (Deng and others 2013) is this with one
    slope for both arms. P-values: Benjamini and Hochberg (1995), Holm (1979).
    """
    table = side_by_side({"outcome": outcome}, {"arm": arm, "cluster": cluster})
    table = pd.concat([table, _covariates(covariate, outcome, len(table))], axis=1)
    level, arms = share_level(level), levels_of(table["arm"])
    known("control", control, arms)
    if adjust is not None:
        known("adjust", adjust, ADJUSTMENTS)
    sizes = table["arm"].value_counts()
    faults = [
        f"arm {name!r} has {sizes[name]} row; two are needed for an error" for name in arms if sizes[name] < 2
    ]
    if len(arms) < 2:
        faults.append(f"all rows are of arm {control!r}: there is nothing to compare it with")
    if faults:
        raise DataError(faults)
    fit = _welch if cluster is None and covariate is None else _least_squares
    rows = []
    for name in arms:
        if name != control:
            part = table[table["arm"].isin([name, control])]
            rows.append({"arm": name, **_row(part, (part["arm"] == name).to_numpy(), fit, level)})
    found = pd.DataFrame(rows)
    found["p_adjusted"] = _adjusted(found["p_value"], adjust)
    how = ["difference of means" if covariate is None else "regression adjustment (Lin 2013)"]
    how.append({True: "Welch", False: "HC3"}[covariate is None] if cluster is None else "CR1 by cluster")
    found.attrs = {"control": control, "level": level, "method": ", ".join(how)}
    return found


def encouragement(
    outcome: Any,
    arm: Any,
    taken: Any,
    *,
    control: Any,
    cluster: Any = None,
    covariate: Any = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """An offer drawn by lot that not everybody takes: effect of offering, take-up, effect of taking.

    Parameters
    ----------
    outcome, arm, control, cluster, covariate, level
        As in `compare`; there are two arms.
    taken : Series or array
        Whether each row took what was offered (joined, came, installed); the control may have takers too.

    Returns
    -------
    DataFrame, four rows
        quantity, estimate, std_error, low, high, p_value:

        * "naive difference of takers and others": what a report without the lot would show. Takers choose
          themselves, so it is no effect; a covariate is not used for it.
        * "intention to treat": outcome of the arm offered less control, taken or not.
        * "take-up": share that took it in the arm offered, less that in the control.
        * "effect on those who took it up (Wald)": intention to treat by take-up.

        ``attrs``: control, offered (the other arm), level, method (of the intention to treat).

    Raises
    ------
    DataError
        As `compare`; more or fewer than two arms; taken is not True or False; nobody, or everybody, took it.

    Warns
    -----
    DataWarning
        If the take-up is so weak (F below 10, Staiger and Stock 1997) that the last row cannot be trusted.

    Notes
    -----
    Bloom (1984), Angrist, Imbens and Rubin (1996): the ratio is the effect on those whom the offer moves,
    if the offer does nothing to those who do not take it and drives nobody away. Its standard error is by
    the delta method: that of the comparison of ``outcome - ratio * taken``, divided by the take-up, which
    is also that of two-stage least squares.
    """
    table = side_by_side({"outcome": outcome, "taken": taken}, {"arm": arm})
    y, took, arms = table["outcome"].to_numpy(), table["taken"].to_numpy(), levels_of(table["arm"])
    known("control", control, arms)
    faults = []
    if len(arms) != 2:
        faults.append(
            f"arm has {len(arms)} arms ({', '.join(map(str, arms))}); keep the control and one other"
        )
    if not np.isin(took, [0, 1]).all():
        faults.append("taken must be True or False (1 or 0) in every row")
    elif not 0 < took.mean() < 1:
        faults.append("taken is the same in all rows: without takers and others there is no take-up")
    if faults:
        raise DataError(faults)
    cluster = None if cluster is None else np.asarray(cluster)
    drawn = {"control": control, "cluster": cluster, "level": level, "adjust": None}
    drawn["covariate"] = None if covariate is None else _covariates(covariate, outcome, len(table))
    lot = table["arm"].to_numpy()
    naive = compare(y, took, control=0.0, cluster=cluster, level=level, adjust=None)
    treat, uptake = compare(y, lot, **drawn), compare(took, lot, **drawn)
    share = uptake.loc[0, "difference"]
    if abs(share) < 1e-12:
        raise DataError(
            "taken: as many took it in the control as in the other arm, so the offer moved nobody"
        )
    if share**2 < 10 * uptake.loc[0, "std_error"] ** 2:
        warnings.warn(
            "The take-up is weak (F < 10): do not trust the effect on takers.", DataWarning, stacklevel=2
        )
    ratio = treat.loc[0, "difference"] / share
    around = compare(y - ratio * took, lot, **drawn).loc[0]  # its difference is 0: what is left is the error
    error, half = around["std_error"] / abs(share), (around["high"] - around["low"]) / 2 / abs(share)
    wald = {"difference": ratio, "std_error": error, "low": ratio - half, "high": ratio + half}
    wald["p_value"] = treat.loc[0, "p_value"]  # no effect of taking is no effect of offering
    found = pd.concat([naive, treat, uptake, pd.DataFrame([wald])], ignore_index=True)
    found = found[list(wald)].rename(columns={"difference": "estimate"})
    found.insert(0, "quantity", ENCOURAGED)
    found.attrs = {**treat.attrs, "offered": next(name for name in arms if name != control)}
    return found


def _row(part: pd.DataFrame, treated: np.ndarray, fit: Any, level: float) -> dict[str, float]:
    from scipy import stats

    y = part["outcome"].to_numpy()
    difference, error, freedom = fit(part, treated)
    half = stats.t.ppf(0.5 + level / 2, freedom) * error if error > 0 else np.nan
    return {
        "n": int(treated.sum()),
        "n_control": int((~treated).sum()),
        "mean": y[treated].mean(),
        "mean_control": y[~treated].mean(),
        "difference": difference,
        "std_error": error,
        "low": difference - half,
        "high": difference + half,
        "p_value": 2 * stats.t.sf(abs(difference) / error, freedom) if error > 0 else np.nan,
    }


def _welch(part: pd.DataFrame, treated: np.ndarray) -> tuple[float, float, float]:
    y = part["outcome"].to_numpy()
    one, other = y[treated], y[~treated]
    parts = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)])
    freedom = parts.sum() ** 2 / (parts**2 / [len(one) - 1, len(other) - 1]).sum() if parts.sum() else 1.0
    return one.mean() - other.mean(), float(np.sqrt(parts.sum())), float(freedom)


def _least_squares(part: pd.DataFrame, treated: np.ndarray) -> tuple[float, float, float]:
    """Arm, centred covariates and products; the effect at the mean of the covariates."""
    import statsmodels.api as sm

    y, x = (
        part["outcome"].to_numpy(),
        part.drop(columns=["outcome", "arm", "cluster"], errors="ignore").to_numpy(),
    )
    arm = treated.astype(float)[:, None]
    x = x - x.mean(axis=0)
    design = np.hstack([np.ones_like(arm), arm, x, arm * x])
    if np.linalg.matrix_rank(design) < design.shape[1] or len(y) <= design.shape[1]:
        raise DataError(
            "covariate: a column is constant, or given by the others, within an arm; leave it out"
        )
    if "cluster" in part:
        codes, names = pd.factorize(part["cluster"])
        if len(names) < 3:
            raise DataError(f"cluster: there are {len(names)}; standard errors need many, at least about 20")
        fitted = sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": codes})
        freedom, groups = len(names) - 1, codes
    else:
        fitted = sm.OLS(y, design).fit(cov_type="HC3")
        freedom, groups = fitted.df_resid, np.arange(len(y))
    variance = fitted.cov_params()[1, 1]
    if x.shape[1]:
        sums = pd.DataFrame(x).groupby(groups).sum().to_numpy()  # the mean of x is itself a draw
        slopes = fitted.params[2 + x.shape[1] :]
        variance += slopes @ (sums.T @ sums) @ slopes / len(y) ** 2
    return float(fitted.params[1]), float(np.sqrt(max(variance, 0))), float(freedom)


def _covariates(covariate: Any, outcome: Any, rows: int) -> pd.DataFrame | None:
    """One or several covariates as columns x0, x1, … of floats."""
    if covariate is None:
        return None
    frame = covariate if isinstance(covariate, pd.DataFrame) else pd.DataFrame({"covariate": covariate})
    if isinstance(outcome, pd.Series) and not isinstance(covariate, (pd.Series, pd.DataFrame)):
        frame = frame.set_axis(outcome.index[: len(frame)]) if len(frame) == rows else frame
    named = {f"covariate {name!r}" if frame is covariate else "covariate": frame[name] for name in frame}
    found = side_by_side({"outcome": outcome, **named}, {}).drop(columns="outcome")
    return found.set_axis([f"x{i}" for i in range(found.shape[1])], axis=1)


def _adjusted(p_values: pd.Series, adjust: str | None) -> pd.Series:
    from statsmodels.stats.multitest import multipletests

    found = p_values.copy()
    if adjust is not None and p_values.notna().any():
        found[p_values.notna()] = multipletests(p_values.dropna(), method=ADJUSTMENTS[adjust])[1]
    return found
