"""Is a forecast any good? Hide the last part of the orders, forecast it, and compare.

Beside the purchase model stand the forecasts anyone could make without one: the past rate goes on, and the
same as in the last period. A ranking is judged by the money its best customers bring.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import clv, orders, rfm
from .errors import ModelError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from .tables import OrderLog

MODEL, RIVAL = "BG/NBD", "MBG/NBD"
PAST_RATE, LAST_PERIOD, RFM_SCORE = "past rate goes on", "same as last period", "RFM score"
MONEY_SO_FAR = "money so far"
LONG_TAIL = 7  # customers with this many repeat purchases and more are one group


def half_time(log: OrderLog, share: float) -> dt.date:
    """The day that ends the given share of the time from the first order to the observation end."""
    first = log.orders.aggregate("min(order_date)::date").fetchall()[0][0]
    return first + dt.timedelta(days=int((log.observation_end - first).days * share))


@dataclass(frozen=True)
class HoldOut:
    """What the forecasts of the calibration time are worth in the time after it.

    Attributes
    ----------
    calibration_end : date
        The last day the forecasts may know.
    duration : float
        Length of the hold-out, in the time unit of the summary.
    customers : DataFrame indexed by customer
        The calibration summary (``frequency``, ``recency``, ``T``, ``monetary_value``), and of the hold-out
        ``actual`` (purchases) and ``actual_money``.
    forecasts : DataFrame
        Expected hold-out purchases of each customer, one column per method.
    rankings : DataFrame
        Scores by which each method would pick customers, best highest.
    new_customers : int
        Customers whose first purchase is in the hold-out: no forecast can know them.
    """

    calibration_end: dt.date
    duration: float
    customers: pd.DataFrame
    forecasts: pd.DataFrame
    rankings: pd.DataFrame
    new_customers: int

    def errors(self) -> pd.DataFrame:
        """Per method: total forecast, its relative error, and the mean absolute error per customer."""
        import pandas as pd

        actual = self.customers["actual"]
        total = self.forecasts.sum()
        return pd.DataFrame(
            {
                "forecast": total,
                "actual": float(actual.sum()),
                "error": total / actual.sum() - 1,
                "mean_absolute_error": self.forecasts.sub(actual, axis=0).abs().mean(),
            }
        ).rename_axis("method")

    def results(self) -> dict[str, Any]:
        """The figures for ``summary.json``."""
        gains = self.gains().set_index("contacted_share")
        return {
            "calibration_end": self.calibration_end,
            "duration": self.duration,
            "customers": len(self.customers),
            "new_in_holdout": self.new_customers,
            "errors": self.errors().to_dict(orient="index"),
            "money_reached_by_top_20_percent": gains.loc[gains.index[len(gains) // 5]],
        }

    def gains(self) -> pd.DataFrame:
        """Share of hold-out money against share of customers, per ranking; see :func:`gain_table`."""
        return gain_table(self.rankings, self.customers["actual_money"])

    def by_frequency(self, min_group: int = 1) -> pd.DataFrame:
        """Mean hold-out purchases by calibration frequency: actual with a 95 % interval, and forecasts.

        Groups of fewer than `min_group` customers are left out.
        """
        group = self.customers["frequency"].clip(upper=LONG_TAIL).astype(int)
        actual = self.customers["actual"].groupby(group).agg(["size", "mean", "sem"])
        reach = 1.96 * actual["sem"].fillna(0.0)
        table = actual[["mean"]].set_axis(["actual"], axis=1)
        table["actual_low"], table["actual_high"] = actual["mean"] - reach, actual["mean"] + reach
        table["customers"] = actual["size"]
        table = table.join(self.forecasts[[MODEL, LAST_PERIOD]].groupby(group).mean()).reset_index()
        table = table[table["customers"] >= min_group]
        return table.assign(frequency=frequency_labels(table["frequency"]))


def hold_out(
    log: OrderLog, calibration_end: dt.date, time_unit: str, bins: int
) -> tuple[HoldOut | None, str]:
    """Forecast the time after `calibration_end` from what was known then, and set it beside what came.

    Returns
    -------
    HoldOut or None, str
        None with the reason when the calibration time does not carry the model.

    Raises
    ------
    ParameterError
        `calibration_end` is not within the time of the orders.
    """
    first = half_time(log, 0.0)
    if not first < calibration_end < log.observation_end:
        where = f"between {first} and {log.observation_end}"
        raise ParameterError(f"calibration_end {calibration_end} must lie {where}")
    try:
        return _hold_out(log, calibration_end, time_unit, bins), ""
    except ModelError as error:
        return None, f"The time up to {calibration_end} alone does not carry the model: {error}."


def _hold_out(log: OrderLog, calibration_end: dt.date, time_unit: str, bins: int) -> HoldOut:
    import pandas as pd

    span = {"observation_end": log.observation_end, "time_unit": time_unit}
    split = orders.calibration_holdout(log.orders, calibration_end=calibration_end, **span)
    new_customers = split.attrs["new_in_holdout"]
    split = split.set_index("customer_id").rename(columns=lambda name: name.removesuffix("_cal"))
    duration = float(split["duration_holdout"].iloc[0])
    money = (split["frequency_holdout"] * split["monetary_value_holdout"]).fillna(0.0)
    known = split[["frequency", "recency", "T", "monetary_value"]].assign(
        actual=split["frequency_holdout"].astype(float), actual_money=money
    )
    known.attrs = {"time_unit": time_unit}
    model, rival = clv.fit_bgnbd(known), clv.fit_mbgnbd(known)
    forecasts = pd.DataFrame(
        {
            MODEL: model.predict_purchases(known, duration),
            RIVAL: rival.predict_purchases(known, duration),
            PAST_RATE: known["frequency"] / known["T"].where(known["T"] > 0) * duration,
            LAST_PERIOD: _last_period(log, known, calibration_end, duration, time_unit),
        }
    ).fillna(0.0)
    try:
        spend = clv.fit_gamma_gamma(known).predict_spend(known)
    except ModelError:
        spend = mean_spend(known)
    scored = rfm.rfm_table(log.orders, observation_end=calibration_end, bins=bins).set_index("customer_id")
    scored = scored.loc[known.index]
    rankings = pd.DataFrame(
        {
            MODEL: forecasts[MODEL] * spend,
            RFM_SCORE: scored[["r_score", "f_score", "m_score"]].sum(axis=1),
            MONEY_SO_FAR: scored["monetary_total"],
        }
    )
    return HoldOut(calibration_end, duration, known, forecasts, rankings, new_customers)


def _last_period(
    log: OrderLog, known: pd.DataFrame, end: dt.date, duration: float, time_unit: str
) -> pd.Series:
    """Repeat purchases of each customer in the time before `end` that is as long as the hold-out.

    First purchases do not count: nobody can make a second first purchase.
    """
    start = end - dt.timedelta(days=round(duration * orders.DAYS[time_unit]))
    if start < half_time(log, 0.0):  # the record is shorter than that: all of it, scaled up
        return known["frequency"] * max(1.0, duration / known["T"].max())
    before = orders.purchase_summary(log.orders, observation_end=start, time_unit=time_unit)
    earlier = before.set_index("customer_id")["frequency"].reindex(known.index)
    return known["frequency"] - earlier.fillna(0)


def gain_table(rankings: pd.DataFrame, gained: pd.Series, points: int = 101) -> pd.DataFrame:
    """Share of a total that is reached by contacting the best customers of each ranking.

    Customers with equal scores are taken in random order: within a tie the curve is a straight line, its
    expectation, so the order of the file gives no method an advantage.

    Parameters
    ----------
    rankings : DataFrame
        One column of scores per ranking, best highest.
    gained : Series
        What each customer brought, on the same index.

    Returns
    -------
    DataFrame
        ``contacted_share`` (0 to 1 in `points` steps) and one column of reached shares per ranking.
    """
    import pandas as pd

    at = np.linspace(0, 1, points)
    table = pd.DataFrame({"contacted_share": at})
    for name, score in rankings.items():
        worst_last = gained.groupby(-score.to_numpy()).agg(["size", "sum"]).cumsum()
        customers, reached = (np.append(0.0, worst_last[c]) for c in ("size", "sum"))
        table[name] = np.interp(at, customers / customers[-1], reached / reached[-1])
    return table


def frequency_labels(frequency: pd.Series) -> pd.Series:
    """0, 1 … as text, the last group with a plus."""
    return frequency.astype(int).astype(str).replace(str(LONG_TAIL), f"{LONG_TAIL}+")


def mean_spend(summary: pd.DataFrame) -> float:
    """Mean amount of a repeat purchase, over all repeat purchases; NaN when there are none."""
    x = summary["frequency"]
    return float((x * summary["monetary_value"]).sum() / x.sum()) if x.sum() else float("nan")
