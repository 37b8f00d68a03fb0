"""The computations behind the report ``lifecycle_health.ipynb``, kept out of its pages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import lifecycle, pages
from ..style import COLOURS, DASHES, format_axis, money, money_label, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

YEAR_WEEKS = 52
PERIODS = (52, 26, 13)  # weeks a retention rate is counted over: the longest of which two fit into the record
CUSTOMERS = lifecycle.STAGES[2:]
ACTIVE = CUSTOMERS[:3]
BOTH, OWN, RULE, NEITHER = "both", "own rhythm only", "rule only", "neither"
SIGNS = (BOTH, OWN, RULE, NEITHER)


def money_between(orders: pd.DataFrame, ids: Any, start: pd.Timestamp, stop: pd.Timestamp) -> np.ndarray:
    """Money of each customer of `ids` after `start` and up to `stop`, both days."""
    inside = (orders["order_date"] > start) & (orders["order_date"] <= stop)
    return orders[inside].groupby("customer_id")["amount"].sum().reindex(ids, fill_value=0.0).to_numpy()


def ago(end: dt.date, weeks: int) -> pd.Timestamp:
    """The day so many weeks before another."""
    return pd.Timestamp(end) - pd.Timedelta(weeks=weeks)


def signs(late: pd.Series, silence_days: pd.Series, rule_weeks: int) -> pd.Series:
    """Which of two signs of leaving each customer shows: late by the own rhythm, and long silent."""
    long = silence_days > 7 * rule_weeks
    found = np.select([late & long, late, long], SIGNS[:3], NEITHER)
    return pd.Series(pd.Categorical(found, SIGNS), late.index, name="sign")


def lateness_test(
    orders: pd.DataFrame, end: dt.date, *, follow_weeks: int, rule_weeks: int, min_group: int, **rules: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Who bought again: customers as they stood `follow_weeks` before the end, by the signs they showed.

    Returns
    -------
    by_sign : DataFrame indexed by sign
        customers, came_back (share who bought in the weeks that followed), low, high (95 % Wilson).
        Groups of fewer than `min_group` are left out.
    by_rule : DataFrame indexed by rule
        flagged (customers), right (share of them who stayed silent), found (share of all who stayed silent
        that are among them), lost (share of all customers who stayed silent).
    """
    from statsmodels.stats.proportion import proportion_confint

    start = ago(end, follow_weeks)
    then = lifecycle.stages(orders, as_of=start, **rules)
    then = then[then["stage"].isin(ACTIVE)]
    back = money_between(orders, then["person_id"], start, pd.Timestamp(end)) > 0
    sign = signs(then["late"], then["silence_days"], rule_weeks)
    counts = pd.DataFrame({"sign": sign, "back": back}).groupby("sign", observed=True)["back"]
    table = counts.agg(["size", "sum"]).set_axis(["customers", "back"], axis=1)
    table["came_back"] = table["back"] / table["customers"]
    table["low"], table["high"] = proportion_confint(table["back"], table["customers"], 0.05, "wilson")
    silent = ~back
    rows = {}
    for name, flagged in ((OWN, then["late"]), (RULE, then["silence_days"] > 7 * rule_weeks)):
        hits = int((silent & flagged).sum())
        with np.errstate(invalid="ignore"):
            rows[name] = {
                "flagged": int(flagged.sum()),
                "right": np.divide(hits, float(flagged.sum())),
                "found": np.divide(hits, float(silent.sum())),
                "lost": float(np.mean(silent)),
            }
    shown = table[table["customers"] >= min_group].drop(columns="back")
    return shown, pd.DataFrame(rows).T


def value_a_year_ago(
    orders: pd.DataFrame, end: dt.date, *, margin_rate: float, min_group: int, **rules: Any
) -> pd.DataFrame:
    """What customers of each stage brought in the 52 weeks after they stood in it: the rule beside the model.

    Returns
    -------
    DataFrame indexed by stage
        customers (in it 52 weeks before the end), margin (mean of the 52 weeks since, money each),
        std_error. Stages of fewer than `min_group` are left out.
    """
    start = ago(end, YEAR_WEEKS)
    then = lifecycle.stages(orders, as_of=start, **rules)
    margin = margin_rate * money_between(orders, then["person_id"], start, pd.Timestamp(end))
    by_stage = pd.Series(margin).groupby(then["stage"].astype("str").to_numpy())
    table = by_stage.agg(["size", "mean", "sem"]).set_axis(["customers", "margin", "std_error"], axis=1)
    return table[table["customers"] >= max(min_group, 2)].rename_axis("stage")


@dataclass(frozen=True)
class Retention:
    """How many of the customers of one period bought in the next, and what the active ones spent.

    Attributes
    ----------
    weeks : int
        Length of a period; the last one ends with the observation end.
    before, stayed : int
        Customers who bought in the period before the last, and those of them who bought in the last.
    amount : float
        Mean money of the last period's buyers in it.
    """

    weeks: int
    before: int
    stayed: int
    amount: float

    @property
    def rate(self) -> float:
        """Share who stayed, per period."""
        return self.stayed / self.before

    @property
    def range(self) -> tuple[float, float]:
        """95 % Wilson interval of the rate."""
        from statsmodels.stats.proportion import proportion_confint

        return proportion_confint(self.stayed, self.before, 0.05, "wilson")

    @classmethod
    def of(cls, orders: pd.DataFrame, end: dt.date, record_weeks: int) -> Retention | None:
        """From orders; None when not even two short periods fit into the record, or nobody bought in one."""
        weeks = next((weeks for weeks in PERIODS if record_weeks + 1 >= 2 * weeks), None)
        if weeks is None:
            return None
        middle, start = ago(end, weeks), ago(end, 2 * weeks)
        date = orders["order_date"]
        last = orders[(date > middle) & (date <= pd.Timestamp(end))]
        before = orders.loc[(date > start) & (date <= middle), "customer_id"].unique()
        buyers = last["customer_id"].unique()
        if not len(before) or not len(buyers):
            return None
        stayed = int(pd.Index(before).isin(buyers).sum())
        return cls(weeks, len(before), stayed, float(last["amount"].sum() / len(buyers)))

    def tornado(self, margin_rate: float, annual_discount_rate: float) -> pd.DataFrame:
        """What the value of an active customer hangs on (see :func:`custkit.lifecycle.tornado`)."""

        def value(margin_rate: float, retention_rate: float, annual_discount_rate: float) -> float:
            kept = min(retention_rate, 0.99)
            per_year = YEAR_WEEKS / self.weeks
            return lifecycle.retention_value(
                margin_rate * self.amount, kept, annual_discount_rate, periods_per_year=per_year
            )

        inputs = {"margin_rate": margin_rate, "retention_rate": self.rate}
        return lifecycle.tornado(value, {**inputs, "annual_discount_rate": annual_discount_rate})


def channel_costs(
    spend: pd.DataFrame, first_order: pd.Series, channel: pd.Series | None, min_group: int
) -> tuple[pd.DataFrame, pd.Series, dict[str, str]]:
    """Acquisition cost of all channels together and, if known who came by what, of each.

    Parameters
    ----------
    spend : DataFrame
        From :func:`custkit.reports.lifecycle_files.read_spend`.
    first_order : Series
        Day of the first order by customer_id.
    channel : Series, optional
        acq_channel by customer_id.

    Returns
    -------
    by_channel : DataFrame indexed by channel
        spend, customers, cac, cac_low, cac_high; channels with fewer than `min_group` customers, but some,
        are pooled. Empty when `channel` is not given.
    overall : Series
        The same of everybody won from the first to the last day of the spend.
    pooled : dict
        Channel -> name of the pool it is in.
    """
    days = (spend["first_day"].min(), spend["last_day"].max())
    won = first_order[first_order.between(*days)]
    overall = lifecycle.acquisition_cost(
        pd.Series({"all": spend["spend"].sum()}), pd.Series({"all": len(won)})
    ).loc["all"]
    if channel is None:
        return pd.DataFrame(), overall, {}
    channel = channel.reindex(won.index).dropna()
    known = spend.reindex(channel.to_numpy())
    days_of = won.loc[channel.index].reset_index(drop=True)
    inside = days_of.between(
        known["first_day"].reset_index(drop=True), known["last_day"].reset_index(drop=True)
    )
    outside = known["spend"].isna().to_numpy()
    customers = channel[inside.to_numpy() | outside].value_counts()
    small = pages.too_small(customers, min_group)
    pooled = " and ".join([*small[:1], f"{len(small) - 1} small"][: len(small)]) if small else ""
    names = dict.fromkeys(small, pooled)
    both = (table.rename(index=names).groupby(level=0).sum() for table in (spend["spend"], customers))
    return lifecycle.acquisition_cost(*both).sort_values("cac"), overall, names


def ordered_again(orders: pd.DataFrame, end: dt.date, days: int) -> pd.Series:
    """Whether each customer ordered again within so many days of the first order; those seen so long only."""
    day = orders[["customer_id", "order_date"]].drop_duplicates().sort_values(["customer_id", "order_date"])
    rank = day.groupby("customer_id").cumcount()
    first = day[rank == 0].set_index("customer_id")["order_date"]
    second = day[rank == 1].set_index("customer_id")["order_date"].reindex(first.index)
    old = first <= pd.Timestamp(end) - pd.Timedelta(days=days)
    return ((second - first).dt.days < days)[old].rename("again")


def margin_figure(curve: pd.DataFrame, cac: float, currency: str) -> Axes:
    """The cumulative margin of a customer with its interval; the acquisition cost, if known, as a line."""
    ax = new_axes(None)
    week = np.append(0, curve["week"])
    ax.plot(week, np.append(0, curve["cumulative"]), color=COLOURS["model"], label="margin so far")
    low, high = np.append(0, curve["low"]), np.append(0, curve["high"])
    ax.fill_between(week, low, high, color=COLOURS["model"], alpha=0.18, lw=0, label="95% interval")
    if np.isfinite(cac):
        label = f"acquisition cost, {money(cac, currency)}"
        ax.axhline(cac, color=COLOURS["bad"], linestyle=DASHES["model_2"], label=label)
    ax.set(xlim=(0, week[-1]), xlabel="weeks since the first order")
    ax.set_ylim(bottom=min(0, float(np.nanmin(low))))
    ax.set_ylabel(money_label("margin per customer", currency))
    format_axis(ax.yaxis, "money")
    ax.grid()
    ax.legend(loc="lower right")
    ax.set_title("Cumulative margin per customer won, by week since the first order")
    return ax
