"""The sample-ratio check of an experiment: are the arms as large as the lot should have made them?

``custkit.experiments`` gives it out again; import it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from custkit.errors import ParameterError
from custkit.trial_columns import levels_of, share_faults, side_by_side


@dataclass(frozen=True)
class SampleRatio:
    """Whether the arms have the sizes the lot should have given: what `srm_check` gives.

    Attributes
    ----------
    table : DataFrame
        arm, observed, expected (rows), share, expected_share.
    statistic, p_value : float
        Pearson's chi-square and its p-value.
    ok : bool
        Whether p_value is at least 0.001: below it something other than chance chose who was counted.
    """

    table: pd.DataFrame
    statistic: float
    p_value: float
    ok: bool

    @property
    def verdict(self) -> str:
        """One sentence."""
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        if self.ok:
            return f"No sample-ratio mismatch: a fair lot gives such sizes ({p})."
        return f"Sample-ratio mismatch ({p}): find out who is missing before reading any effect."

    def __str__(self) -> str:
        return self.verdict


def srm_check(arm: Any, shares: Mapping[Any, float] | None = None) -> SampleRatio:
    """Sample-ratio check: are the arms as large as the lot should have made them?

    Parameters
    ----------
    arm : Series or array
        The arm of each unit drawn, one row a unit (not one a session, if visitors were drawn).
    shares : mapping, optional
        Arm → share or ratio that was meant, such as ``{"A": 1, "B": 1}``. Equal for the arms seen if not
        given; an arm that was lost altogether is noticed only when it is named here.

    Returns
    -------
    SampleRatio
        With ``table``, ``p_value``, ``ok`` (p at least 0.001) and ``verdict``.

    Notes
    -----
    Pearson's chi-square against the shares meant; the limit of 0.001 as Fabijan and others (2019),
    "Diagnosing sample ratio mismatch in online controlled experiments", KDD.
    """
    from scipy import stats

    table = side_by_side({}, {"arm": arm})
    seen = levels_of(table["arm"])
    shares = dict.fromkeys(seen, 1.0) if shares is None else dict(shares)
    faults = share_faults(shares, table["arm"])
    if len(shares) < 2:
        faults.append("one arm alone has no ratio: give the arms that were meant in shares")
    if faults:
        raise ParameterError(faults)
    observed = table["arm"].astype(object).value_counts().reindex(list(shares), fill_value=0)
    meant = pd.Series(shares, dtype=float) / sum(shares.values())
    expected = meant * len(table)
    statistic, p = stats.chisquare(observed.to_numpy(float), expected.to_numpy(float))
    columns = {
        "observed": observed,
        "expected": expected,
        "share": observed / len(table),
        "expected_share": meant,
    }
    return SampleRatio(
        pd.DataFrame(columns).rename_axis("arm").reset_index(), float(statistic), float(p), bool(p >= 0.001)
    )
