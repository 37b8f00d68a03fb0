"""Models and measures behind `published_numbers.py`: each fitted once, on the data the sources used."""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import gammaln

from custkit import clv, orders, tables
from custkit.bgnbd import BetaGeometricModel, _bg_objective
from custkit.distinct import distinct
from custkit.pareto_nbd import ParetoModel, _pareto_objective
from custkit.spend_model import _objective as _spend_objective

WEEK_39, WEEK_78 = "1997-09-30", "1998-06-30"
HIGH_END = np.array([100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1, 46.8, 44.5, 42.7, 40.9, 39.4])
REGULAR = np.array([100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1, 22.3, 20.7, 19.4, 18.3, 17.3])


def customers(*rows: tuple[float, float, float]) -> pd.DataFrame:
    """A purchase summary of (frequency, recency, T) in weeks."""
    return pd.DataFrame(rows, columns=["frequency", "recency", "T"], dtype=float)


def donors(*rows: tuple[int, int, int]) -> pd.DataFrame:
    """A summary of (frequency, recency, periods)."""
    return pd.DataFrame(rows, columns=["frequency", "recency", "periods"], dtype=float)


def at(model, *params: float):
    """A fitted model moved to other parameters."""
    return dataclasses.replace(model, params=pd.Series(params, model.params.index))


# CDNOW --------------------------------------------------------------------------------------------------


@cache
def order_log(sample: bool) -> pd.DataFrame:
    return tables.cdnow(sample=sample)


@cache
def weeks(sample: bool, end: str) -> pd.DataFrame:
    """Purchase summary with recency and T in days / 7, on customer_id, in the order of the file."""
    log = order_log(sample)
    summary = orders.purchase_summary(log, observation_end=end, time_unit="D").set_index("customer_id")
    summary = summary.loc[log.customer_id.unique()]
    summary[["recency", "T"]] /= 7
    summary.attrs["time_unit"] = "W"
    return summary


def sample_weeks() -> pd.DataFrame:
    return weeks(True, WEEK_39)


@cache
def bg():
    return clv.fit_bgnbd(sample_weeks())


@cache
def bg_two_decimals():
    return clv.fit_bgnbd(sample_weeks().round({"recency": 2, "T": 2}))


@cache
def mbg():
    return clv.fit_mbgnbd(sample_weeks())


@cache
def pareto():
    return clv.fit_pareto_nbd(sample_weeks())


@cache
def pareto_78():
    return clv.fit_pareto_nbd(weeks(True, WEEK_78))


@cache
def spend():
    return clv.fit_gamma_gamma(sample_weeks())


@cache
def spend_78():
    return clv.fit_gamma_gamma(weeks(True, WEEK_78))


def bg_at(*params: float):
    return at(bg(), *params)


def pareto_at(*params: float):
    return at(pareto(), *params)


def log_likelihood(objective, model, params, summary: pd.DataFrame) -> float:
    """Log-likelihood of a purchase model at any parameters, in the time unit of the summary."""
    columns, counts, _ = distinct(*(summary[name].to_numpy() for name in ("frequency", "recency", "T")))
    value, _ = objective(*columns, 1.0, model)(counts.astype(float))(np.log(params))
    return -value * len(summary)


def bg_log_likelihood(params: tuple[float, ...]) -> float:
    return log_likelihood(_bg_objective, BetaGeometricModel, params, sample_weeks())


def pareto_log_likelihood(params: tuple[float, ...]) -> float:
    return log_likelihood(_pareto_objective, ParetoModel, params, sample_weeks())


def bg_mean_with_cut_series(params: tuple[float, ...], periods: float, last_power: int) -> float:
    """E[X(t)] of the BG/NBD as published, its 2F1 summed up to a power."""
    r, alpha, a, b = params
    j = np.arange(last_power + 1)
    log_terms = gammaln(r + j) - gammaln(r) + gammaln(b + j) - gammaln(b) - gammaln(j + 1)
    log_terms += gammaln(a + b - 1) - gammaln(a + b - 1 + j) + j * np.log(periods / (alpha + periods))
    series = np.exp(log_terms).sum()
    return (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + periods)) ** r * series)


@cache
def repeat_days() -> pd.DataFrame:
    """Days with a repeat purchase, one row each, of the sample."""
    days = order_log(True).drop_duplicates(["customer_id", "order_date"])
    first = days.groupby("customer_id").order_date.transform("min")
    return days[days.order_date > first]


def holdout() -> pd.Series:
    """Purchases of each customer in the 39 weeks after the calibration."""
    later = repeat_days().query("order_date > @WEEK_39").groupby("customer_id").size()
    return later.reindex(sample_weeks().index, fill_value=0)


def by_group(values: pd.Series) -> np.ndarray:
    """Means by repeat count 0 .. 6, 7+."""
    return values.groupby(sample_weeks().frequency.clip(upper=7)).mean().to_numpy()


def group_sizes() -> np.ndarray:
    return sample_weeks().frequency.clip(upper=7).value_counts().sort_index().to_numpy()


def holdout_score(model) -> list[float]:
    expected = model.predict_purchases(sample_weeks(), 39)
    return [expected.sum(), (expected - holdout()).abs().mean()]


def tracking(model) -> np.ndarray:
    return clv.expected_repeat_purchases(model, sample_weeks(), 78).to_numpy()


def actual_repeats() -> list[int]:
    week = (repeat_days().order_date - pd.Timestamp("1997-01-01")).dt.days // 7 + 1
    return [int((week <= end).sum()) for end in (20, 25)]


def under_forecast() -> float:
    return 1 - tracking(pareto())[78] / len(repeat_days())


def repeat_spend() -> pd.Series:
    return sample_weeks().query("frequency > 0").monetary_value


def spend_summary() -> list[float]:
    m = repeat_spend()
    return [m.min(), *m.quantile([0.25, 0.5, 0.75]), m.max(), m.mean(), m.std()]


def correlation_without_outlier() -> float:
    buyers = sample_weeks().query("frequency > 0")
    return clv.fit_gamma_gamma(buyers.drop(buyers.monetary_value.idxmax())).frequency_correlation


def total_spend_log_likelihood(model=None) -> float:
    """Of total repeat spends, as in the paper: the density of a mean over that of a total is x."""
    buyers = sample_weeks().query("frequency > 0")
    x, money = buyers.frequency.to_numpy(), buyers.monetary_value.to_numpy()
    value, _ = _spend_objective(x, money)(np.ones(len(x)))(np.log((model or spend()).params.to_numpy()))
    return -value * len(x) - np.log(x).sum()


def later_spend_log_likelihood() -> float:
    return total_spend_log_likelihood(spend_78())


def first_expected_spends() -> np.ndarray:
    return spend().predict_spend(sample_weeks()).to_numpy()[:10]


# The iso-value paper ------------------------------------------------------------------------------------


@cache
def repeat_totals() -> pd.Series:
    log = order_log(False)
    repeats = log[log.order_date > log.groupby("customer_id").order_date.transform("min")]
    return repeats.groupby("customer_id").amount.sum().reindex(log.customer_id.unique(), fill_value=0.0)


def cohort_sizes() -> list[int]:
    return [len(repeat_totals()), int((repeat_totals() <= 4000).sum())]


@cache
def values() -> pd.DataFrame:
    """CLV of the cohort (30% margin, 15% a year, no end) with terciles of its repeat buyers.

    R is the day of the last purchase, M the mean repeat spend; equal customers get equal terciles.
    """
    summary = weeks(False, WEEK_78)[repeat_totals() <= 4000]
    rates = {"margin_rate": 0.3, "annual_discount_rate": 0.15, "horizon_months": None}
    value = clv.customer_value(pareto_78(), spend_78(), summary, **rates)
    value["frequency"] = summary.frequency
    buyers = summary[summary.frequency > 0]
    what = {"R": buyers.recency - buyers["T"], "F": buyers.frequency, "M": buyers.monetary_value}
    for name, column in what.items():
        low, high = column.quantile([1 / 3, 2 / 3])
        value[name] = 1 + (column > low).astype(int) + (column > high).astype(int)
    return value


def zero_class() -> pd.Series:
    return values().query("frequency == 0").clv


def tercile_means(name: str) -> np.ndarray:
    return values().groupby(name).clv.mean().to_numpy()


def cell(r: int, f: int, m: int) -> pd.Series:
    return values().query("R == @r and F == @f and M == @m").clv


def paradox() -> pd.Series:
    model = at(pareto_78(), 0.5629966, 12.5590370, 0.4081095, 10.5148048)
    pair = customers((7, 35, 77.86), (1, 30, 77.86))
    a_year = np.expm1(0.0027 * clv.PERIODS_PER_YEAR["W"])  # the paper discounts at .0027 a week
    return model.predict_discounted_purchases(pair, annual_discount_rate=a_year)


# Donations and contracts --------------------------------------------------------------------------------


@cache
def donations() -> pd.DataFrame:
    package = importlib.util.find_spec("lifetimes").submodule_search_locations[0]
    table = pd.read_csv(Path(package) / "datasets" / "donations.csv")
    return table.rename(columns={"weights": "customers"})


@cache
def bgbb():
    return clv.fit_bgbb(donations())


def bgbb_at(*params: float):
    return at(bgbb(), *params)


def donations_expected() -> float:
    return float(bgbb().predict_purchases(donations(), 5) @ donations().customers)


def donations_by_frequency(*params: float) -> np.ndarray:
    table = donations()
    expected = bgbb_at(*params).predict_purchases(table, 5) * table.customers
    return (
        expected.groupby(table.frequency).sum() / table.customers.groupby(table.frequency).sum()
    ).to_numpy()


def donors_alive() -> pd.Series:
    return bgbb().predict_p_alive(donors((0, 0, 6), (2, 4, 6), (6, 6, 6)))


def donors_expected() -> np.ndarray:
    return bgbb().purchase_probabilities(np.array([0, 6]), 6) * donations().customers.sum()


@cache
def sbg(name: str):
    return clv.fit_sbg(10 * {"High End": HIGH_END, "Regular": REGULAR}[name][:8])


@cache
def sbg_cohorts():
    counts = [10000, 8000, 6480, 5307, 4391]
    return clv.fit_sbg([counts[:seen] for seen in (5, 4, 3, 2)])


def sbg_fit_quality() -> float:
    return sbg("High End").log_likelihood / 1000


def sbg_log_likelihood(name: str, *params: float) -> float:
    """Per customer, from the survival curve alone."""
    data = {"High End": HIGH_END, "Regular": REGULAR}[name][:8] / 100
    survival = at(sbg(name), *params).predict_survival(np.arange(8))
    return float(-np.diff(data) @ np.log(-np.diff(survival)) + data[-1] * np.log(survival[-1]))


def sbg_means() -> list[float]:
    return [sbg(name).params["alpha"] / sbg(name).params.sum() for name in ("High End", "Regular")]


def sbg_errors() -> list[float]:
    ends = {"High End": HIGH_END[12], "Regular": REGULAR[12]}
    return [abs(100 * (100 * sbg(name).predict_survival(12) / end - 1)) for name, end in ends.items()]


def curves() -> tuple[list[float], list[float]]:
    """R2 and year-12 error (%) of a line, a parabola and an exponential through High End."""
    year, share = np.arange(8), HIGH_END[:8] / 100
    fits = [(share, np.polyfit(year, share, 1)), (share, np.polyfit(year, share, 2))]
    fits.append((np.log(share), np.polyfit(year, np.log(share), 1)))
    quality = [1 - np.var(y - np.polyval(c, year)) / np.var(y) for y, c in fits]
    ends = [np.polyval(c, 12) for _, c in fits]
    ends[2] = np.exp(ends[2])
    return quality, [100 * (end / (HIGH_END[12] / 100) - 1) for end in ends]
