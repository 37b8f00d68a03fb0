"""Tables and one figure of the report ``winback_list.ipynb``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..style import COLOURS, format_axis, new_axes
from .winback_list import AS_MANY, BY_MODEL, BY_RIVAL, BY_SILENCE, ENOUGH, WORTH_MORE
from .winback_offer import BEYOND, CONTACT, HOLD_OUT, TOO_DEAR

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ROLES = {
    BY_MODEL: "model",
    WORTH_MORE: "model",
    BY_RIVAL: "model_3",
    BY_SILENCE: "rule",
    AS_MANY: "rule",
    ENOUGH: "baseline",
}
GROUPS = {
    CONTACT: "Send the offer.",
    HOLD_OUT: "Send nothing; count who orders.",
    TOO_DEAR: "Spare: at the assumed uplift the contact is not expected to pay.",
    BEYOND: "Spare: it would pay, but the budget is spent on better ones.",
}
BANDS = 5


def crossed(known: pd.DataFrame, called: pd.DataFrame, min_group: int) -> pd.DataFrame:
    """Customers with enough orders by P(alive) and by silence: lost or not, and what they are like.

    Parameters
    ----------
    known, called : DataFrame
        From :func:`.winback_list.what_is_known` with models, and :meth:`.winback_list.Rules.call`.
    min_group : int
        Smaller groups are left out.
    """
    import pandas as pd

    chosen = called[called[ENOUGH]]
    names = {BY_MODEL: "lost by P(alive)", BY_SILENCE: "lost by silence"}
    groups = known.loc[chosen.index].groupby([chosen[rule].rename(name) for rule, name in names.items()])
    table = pd.DataFrame(
        {
            "customers": groups.size(),
            "orders each": groups["orders"].mean(),
            "weeks silent": groups["silent_weeks"].median(),
            "P(alive), BG/NBD": groups["p_alive"].mean(),
            "P(alive), MBG/NBD": groups["p_alive_mbgnbd"].mean(),
        }
    )
    table = table[table["customers"] >= min_group].sort_index(ascending=False).reset_index()
    for name in names.values():
        table[name] = table[name].map({True: "yes", False: "no"})
    return table


def test_rows(table: pd.DataFrame, offer_cost: float) -> pd.DataFrame:
    """The back-test by rule, for the page: the share with its interval, and the presents in money."""
    import pandas as pd

    share = [
        f"{s:.1%} ({low:.1%} to {high:.1%})"
        for s, low, high in zip(table["share"], table["low"], table["high"], strict=True)
    ]
    return pd.DataFrame(
        {
            "rule": table.index,
            "called lost": table["customers"].to_numpy(),
            "came back": table["back"].to_numpy(),
            "share (95 % interval)": share,
            "expected by the model": table["expected"].to_numpy(),
            "presents": table["back"].to_numpy() * offer_cost,
            "value of a return": table["value"].to_numpy(),
        }
    )


def rank_bands(ranked: pd.DataFrame, min_group: int) -> pd.DataFrame:
    """Parts of the list in order of rank, of one size and none below `min_group`; empty when too short.

    Parameters
    ----------
    ranked : DataFrame
        As written to ``winback.csv``, best first.
    """
    import pandas as pd

    bands = min(BANDS, len(ranked) // max(min_group, 1))
    rows = []
    for place in np.array_split(np.arange(len(ranked)), bands) if bands > 1 else []:
        part = ranked.iloc[place]
        row = {"ranks": f"{place[0] + 1:,} to {place[-1] + 1:,}", "customers": len(part)}
        row |= {"orders each": part["orders"].mean(), "weeks silent": part["silent_weeks"].median()}
        row |= {"P(alive)": part["p_alive"].mean(), "past margin": part["past_margin"].mean()}
        row |= {"value of a return": part["value_if_back"].mean()}
        rows.append(row | {"expected gain": part["expected_gain"].mean()})
    return pd.DataFrame(rows)


def alive_histogram(p_alive: pd.Series, limit: float, ax: Axes | None = None) -> Axes:
    """Customers by P(alive), with the limit below which they are called lost as a line."""
    ax = new_axes(ax, height=3.2)
    ax.hist(p_alive, np.linspace(0, 1, 21), color=COLOURS["model"], edgecolor="white", linewidth=0.6)
    ax.axvline(limit, color=COLOURS["boundary"], linestyle="--", linewidth=1.2)
    ax.margins(y=0.18)
    ax.annotate(
        f"called lost below {limit:g}", (limit, 0.97), (5, 0), va="top", color=COLOURS["boundary"],
        xycoords=("data", "axes fraction"), textcoords="offset points",
    )  # fmt: skip
    ax.set(xlim=(0, 1), xlabel="P(alive): probability that the customer still buys", ylabel="customers")
    format_axis(ax.yaxis)
    ax.grid(axis="y")
    ax.set_title("Customers with enough orders by P(alive)")
    return ax


def needed_customers(customers: float) -> str:
    """Customers a trial takes, or a dash where no number is enough."""
    return f"{customers:,.0f}" if np.isfinite(customers) else "–"
