"""The computations behind the report ``winback_list.ipynb``, kept out of its pages.

A customer is *called lost* by a rule, on a day, from the orders up to that day. The rules are put to the test
on time they have not seen: whoever comes back there by themselves would have had a coupon as a present.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import clv, orders
from ..holdout import half_time
from .rfm_forecast import Models, fit_models

if TYPE_CHECKING:
    import pandas as pd

    from ..tables import OrderLog

ENOUGH = "all with enough orders"
BY_MODEL, BY_RIVAL = "P(alive), BG/NBD", "P(alive), MBG/NBD"
BY_SILENCE, AS_MANY = "silent for long", "longest silent, as many"
WORTH_MORE = "on the list, the half worth more"
SHORTEST_PAST = 13  # weeks that a back-test must know at least


@dataclass(frozen=True)
class Rules:
    """When a customer is called lost.

    Attributes
    ----------
    palive_max : float
        P(alive) below this.
    min_orders : int
        Only customers with so many orders are looked at.
    lost_weeks : float
        The manager's rule: no order for so many weeks.
    """

    palive_max: float
    min_orders: int
    lost_weeks: float

    def call(self, known: pd.DataFrame) -> pd.DataFrame:
        """Who is called lost: one column of True and False per rule that can be applied.

        Parameters
        ----------
        known : DataFrame
            From :func:`what_is_known`.
        """
        import pandas as pd

        enough = known["orders"] >= self.min_orders
        called = pd.DataFrame({ENOUGH: enough})
        called[BY_SILENCE] = enough & (known["silent_weeks"] >= self.lost_weeks)
        if "p_alive" in known:
            called[BY_MODEL] = enough & (known["p_alive"] < self.palive_max)
            called[BY_RIVAL] = enough & (known["p_alive_mbgnbd"] < self.palive_max)
            silence = known["silent_weeks"].where(enough, -1.0)
            longest = silence.sort_values(ascending=False, kind="stable").index[: called[BY_MODEL].sum()]
            called[AS_MANY] = known.index.isin(longest)
        return called


def list_rule(called: pd.DataFrame) -> str:
    """The rule the list is made by: P(alive) where there is a model, else silence."""
    return BY_MODEL if BY_MODEL in called else BY_SILENCE


def what_is_known(
    log: OrderLog, end: dt.date, verdict: pd.DataFrame, weeks: float
) -> tuple[pd.DataFrame, Models]:
    """All that orders up to a day tell of each customer, and the models fitted on them.

    Parameters
    ----------
    log : OrderLog
    end : date
        The last day that may be known.
    verdict : DataFrame
        ``can_run`` and ``why`` by analysis.
    weeks : float
        Within which a customer may come back without an offer.

    Returns
    -------
    DataFrame indexed by customer_id, Models
        RFM values and purchase summary in weeks; ``silent_weeks``; with models ``p_alive``,
        ``p_alive_mbgnbd`` and ``own_return``, the chance of an order within `weeks`.
    """
    summary = orders.purchase_summary(log.orders, observation_end=end, time_unit="W").set_index("customer_id")
    values = orders.rfm_values(log.orders, observation_end=end).set_index("customer_id")
    models = fit_models(summary, verdict)
    known = values.join(summary)
    known.attrs = {}
    known["silent_weeks"] = known["recency_days"] / 7
    if models.purchase is not None:
        known["p_alive"] = models.purchase.predict_p_alive(known)
        known["p_alive_mbgnbd"] = models.rival.predict_p_alive(known)
        known["own_return"] = own_return(models.purchase, known, weeks)
    return known, models


def own_return(model: clv.BetaGeometricModel, summary: pd.DataFrame, weeks: float) -> pd.Series:
    """The chance that a customer orders within so many weeks: alive, and not waiting longer than that."""
    r, alpha, _, _ = model.params
    age = alpha + summary["T"]
    waits_longer = (age / (age + weeks)) ** (r + summary["frequency"])
    return (model.predict_p_alive(summary) * (1 - waits_longer)).rename("own_return")


def after_return(known: pd.DataFrame) -> pd.DataFrame:
    """The purchase summary of customers on the day they have come back: one purchase more, made just now."""
    age = known["T"].clip(lower=1.0)  # nobody comes back in the week of the first purchase
    return known.assign(frequency=known["frequency"] + 1.0, recency=age, T=age)


def value_if_back(models: Models, known: pd.DataFrame, **rates: float) -> pd.DataFrame:
    """What a return is worth: the margin of the order it is made of, and of those expected to follow.

    A customer who comes back may leave again: the purchase model counts that in. Without a model nothing is
    expected to follow.

    Parameters
    ----------
    **rates
        ``margin_rate``, ``annual_discount_rate`` and ``horizon_months``, as for
        :func:`custkit.clv.customer_value`.

    Returns
    -------
    DataFrame on the index of `known`
        ``spend`` (money per purchase), ``following`` (expected purchases after the return), ``discount``
        (what delay leaves of their money), ``stays`` (P(alive) just after the return), ``value`` (money).
    """
    import pandas as pd

    value, margin_rate = pd.DataFrame(index=known.index), rates["margin_rate"]
    if models.purchase is None or known.empty:
        value["spend"] = known["monetary_mean"]
        value["following"], value["discount"], value["stays"] = 0.0, 1.0, np.nan
        value["value"] = margin_rate * value["spend"]
        return value.astype(float)
    value["spend"] = models.spend.predict_spend(known) if models.varying_spend else float(models.spend)
    after = clv.customer_value(models.purchase, 1.0, after_return(known), **rates)
    value["following"], value["stays"] = after["expected_purchases"], after["p_alive"]
    value["discount"] = (1 + after["discounted_purchases"]) / (1 + after["expected_purchases"])
    value["value"] = margin_rate * value["spend"] * (1 + after["discounted_purchases"])
    return value


@dataclass(frozen=True)
class BackTest:
    """The rules applied on an earlier day, and who came back after it without any offer of this list.

    Attributes
    ----------
    end : date
        The last day the rules may know.
    weeks : int
        Hidden weeks after it.
    table : DataFrame indexed by rule
        ``customers`` called lost, ``back`` of them, ``share`` with ``low`` and ``high`` (Wilson, 95 %),
        ``expected`` share (missing without a model), ``value`` (mean, of a return) and ``margin`` that
        those who came back brought
        (missing where they are fewer than a group that may be shown).
    returned : DataFrame indexed by customer
        Those called lost by the rule of the list who came back: ``margin`` brought from the return to the
        end, and ``expected`` for the same time.
    apart : tuple of float
        Share who came back, P(alive) less the longest silence at equal length, and its 95 % interval from
        those picked by one of the two only. Missing without a model.
    """

    end: dt.date
    weeks: int
    table: pd.DataFrame
    returned: pd.DataFrame
    apart: tuple[float, float, float] = (float("nan"),) * 3

    def value_ratio(
        self, rng: np.random.Generator, *, min_group: int = 1, draws: int = 1000
    ) -> tuple[float, float, float]:
        """Margin of those who came back, as a multiple of the expected one; 95 % bootstrap range.

        Missing where fewer than `min_group` came back.
        """
        brought, expected = (self.returned[name].to_numpy(float) for name in ("margin", "expected"))
        if len(brought) < max(min_group, 1):
            return (float("nan"),) * 3
        rows = rng.integers(0, len(brought), (draws, len(brought)))
        ratios = brought[rows].sum(axis=1) / expected[rows].sum(axis=1)
        return float(brought.sum() / expected.sum()), *map(float, np.quantile(ratios, [0.025, 0.975]))


def back_test(
    log: OrderLog,
    verdict: pd.DataFrame,
    rules: Rules,
    main: str,
    *,
    weeks: int,
    min_group: int = 1,
    **rates: float,
) -> tuple[BackTest | None, str]:
    """Call customers lost as of `weeks` before the end, and see who came back since.

    Parameters
    ----------
    main : str
        The rule the list is made by.
    min_group : int
        Rules that call fewer customers are left out, and the money of fewer is not told.
    **rates
        As :func:`value_if_back` takes them.

    Returns
    -------
    BackTest or None, str
        None with the reason when the orders are too short. A reason beside a test says that the rule of the
        list itself called too few to be tested.
    """
    import pandas as pd
    from statsmodels.stats.proportion import proportion_confint

    end = log.observation_end - dt.timedelta(weeks=weeks)
    past = (end - half_time(log, 0.0)).days / 7
    needed = max(SHORTEST_PAST, rules.lost_weeks)
    if past < needed:
        return None, (
            f"Hiding the last {weeks} weeks leaves {max(past, 0):.0f} to learn from; a back-test needs "
            f"{needed:.0f}."
        )
    known, models = what_is_known(log, end, verdict, weeks)
    called, why = rules.call(known), ""
    if main not in called:
        return (
            None,
            f"The orders up to {end} alone do not carry a purchase model, so its rule cannot be tested.",
        )
    if (n := int(called[main].sum())) < max(min_group, 1):
        number = f"fewer than {min_group} customers" if n else "nobody"
        why = f"On {end} the rule of the list would have called {number} lost: too few to test it."
    if called[ENOUGH].sum() < max(min_group, 1):
        return None, why
    value = value_if_back(models, known[called[ENOUGH]], **rates)["value"].reindex(known.index)
    called[WORTH_MORE] = called[main] & (value >= value[called[main]].median())
    later = log.orders.filter(f"cast(order_date as date) > date '{end}'")
    later = later.aggregate("customer_id, min(order_date)::date as back_on, sum(amount) as money").df()
    later = later.set_index("customer_id").reindex(known.index)
    back, margin_rate = later["back_on"].notna(), rates["margin_rate"]
    margin = later["money"].fillna(0.0) * margin_rate
    rows = {}
    for rule, chosen in called.items():
        n, k = int(chosen.sum()), int(back[chosen].sum())
        if n < max(min_group, 1):
            continue
        low, high = proportion_confint(k, n, method="wilson")
        expected = known.loc[chosen, "own_return"].mean() if "own_return" in known else np.nan
        worth = value[chosen].mean()
        brought = margin[chosen].sum() if k >= min_group else np.nan
        rows[rule] = (n, k, k / n, low, high, expected, worth, brought)
    names = ["customers", "back", "share", "low", "high", "expected", "value", "margin"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("rule")
    who = called[main] & back
    waited = (pd.to_datetime(later.loc[who, "back_on"]) - pd.Timestamp(end)).dt.days // 7
    returned = pd.DataFrame({"margin": margin[who], "expected": np.nan})
    for week, group in known[who].groupby(waited):
        returned.loc[group.index, "expected"] = margin_rate * _money_since(models, group, week, weeks)
    return BackTest(end, weeks, table, returned, _apart(called, back)), why


def _apart(called: pd.DataFrame, back: pd.Series) -> tuple[float, float, float]:
    """Difference of the shares who came back between two lists of one length that hold some of the same."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    if BY_MODEL not in called:
        return (float("nan"),) * 3
    one, other = called[BY_MODEL] & ~called[AS_MANY], called[AS_MANY] & ~called[BY_MODEL]
    if not one.any():
        return 0.0, 0.0, 0.0
    n, k, j = int(one.sum()), int(back[one].sum()), int(back[other].sum())
    low, high = confint_proportions_2indep(k, n, j, n, method="newcomb", compare="diff")
    scale = n / called[BY_MODEL].sum()
    return scale * (k - j) / n, scale * low, scale * high


def _money_since(models: Models, known: pd.DataFrame, waited: int, weeks: int) -> pd.Series:
    """Money expected of customers who came back after `waited` weeks, from then to the end of `weeks`."""
    if models.purchase is None:
        return known["monetary_mean"]
    spend = models.spend.predict_spend(known) if models.varying_spend else float(models.spend)
    grown = after_return(known.assign(T=known["T"] + waited))
    return spend * (1 + models.purchase.predict_purchases(grown, max(weeks - waited, 0)))
