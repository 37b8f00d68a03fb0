"""Fits and values of a million customers beside lifetimes; import time of custkit.

Customers are simulated day by day (r .55, alpha 60 days, a .8, b 2.4, ages up to two years), once, and seen
in days and in weeks. Ours are medians of five, lifetimes' of three (each takes many seconds); both log-
likelihoods are evaluated by one function, in the same unit of time.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from custkit import clv
from custkit.bgnbd import BetaGeometricModel, _bg_objective
from custkit.distinct import distinct

SIZE, LARGE, REPEATS, PEER_REPEATS = 1_000_000, 10_000_000, 5, 3
TRUTH = {"r": 0.55, "alpha": 60.0, "a": 0.8, "b": 2.4}


def simulate(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Purchase summary in days of BG/NBD customers; purchases of one day count as one."""
    age = rng.integers(1, 730, n)
    rate = rng.gamma(TRUTH["r"], 1 / TRUTH["alpha"], n)
    leave = rng.beta(TRUTH["a"], TRUTH["b"], n)
    frequency, recency, clock = np.zeros(n), np.zeros(n), np.zeros(n)
    here = np.arange(n)
    while len(here):
        clock[here] += rng.exponential(size=len(here)) / rate[here]
        here = here[clock[here] <= age[here]]
        day = np.ceil(clock[here])
        frequency[here] += day > recency[here]
        recency[here] = day
        here = here[rng.random(len(here)) > leave[here]]
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": age.astype(float)})


def in_weeks(days: pd.DataFrame) -> pd.DataFrame:
    """The same customers with recency and T in whole weeks, rounded up."""
    return days.assign(recency=np.ceil(days.recency / 7), T=np.ceil(days["T"] / 7))


def seconds(call: Callable[[], object]) -> tuple[float, object]:
    """Wall time of a call, and its result."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def median_seconds(call: Callable[[], object], repeats: int) -> tuple[float, object]:
    """Median wall time of a call, and its last result."""
    runs = [seconds(call) for _ in range(repeats)]
    return statistics.median(took for took, _ in runs), runs[-1][1]


def log_likelihood(summary: pd.DataFrame, params: pd.Series) -> float:
    """BG/NBD log-likelihood of all customers at any parameters."""
    columns, counts, _ = distinct(*(summary[name].to_numpy() for name in ("frequency", "recency", "T")))
    objective = _bg_objective(*columns, 1.0, BetaGeometricModel)(counts.astype(float))
    return -len(summary) * objective(np.log(params.to_numpy(float)))[0]


def fit_rows(summary: pd.DataFrame, unit: str, target: float) -> list[dict]:
    """Our fit, collapse included, against lifetimes' on the rows."""
    import lifetimes

    word = {"W": "weeks", "D": "days"}[unit]
    print(f"  BG/NBD fit in {word}", flush=True)
    our_times, their_times, fitter = [], [], lifetimes.BetaGeoFitter()
    for turn in range(REPEATS):  # in turns, so that a busy moment of the machine meets both
        took, model = seconds(lambda: clv.fit_bgnbd(summary, unit))
        our_times.append(took)
        if turn < PEER_REPEATS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                took, peer = seconds(lambda: fitter.fit(summary.frequency, summary.recency, summary["T"]))
            their_times.append(took)
    ours, theirs = statistics.median(our_times), statistics.median(their_times)
    one, other = log_likelihood(summary, model.params), log_likelihood(summary, peer.params_)
    apart = abs(one / other - 1)
    patterns = model.convergence["patterns"]
    rows = [
        {
            "figure": f"BG/NBD fit, {len(summary):,} customers in {word} ({patterns:,} patterns)",
            "ours": ours,
            "peer": f"lifetimes on the rows, {theirs:.1f} s (median of {PEER_REPEATS})",
            "ratio": theirs / ours,
            "target": f">= {target:g} times faster",
            "reached": theirs / ours >= target,
        },
        {
            "figure": f"the same: log-likelihood in {word}",
            "ours": f"{one:.3f}",
            "peer": f"lifetimes, {other:.3f}",
            "ratio": 1e-6 / max(apart, 1e-12),
            "target": "apart by <= 1e-6",
            "reached": bool(apart <= 1e-6),
        },
    ]
    return rows


def growth_row(weeks: pd.DataFrame) -> dict:
    """From a million to ten million customers, in weeks; both in turns."""
    print(f"  {LARGE:,} customers", flush=True)
    large, times = in_weeks(simulate(LARGE, np.random.default_rng(1))), []
    for _ in range(REPEATS):
        times.append([seconds(lambda table=table: clv.fit_bgnbd(table, "W"))[0] for table in (weeks, large)])
    before, after = np.median(times, axis=0)
    return {
        "figure": f"BG/NBD fit, {LARGE:,} customers in weeks",
        "ours": float(after),
        "peer": f"{len(weeks):,} customers, {before:.2f} s; limit twice that",
        "ratio": float(2 * before / after),
        "target": "grows <= 2 times",
        "reached": bool(after <= 2 * before),
    }


def value_row(summary: pd.DataFrame, unit: str, months: int | None) -> dict:
    """Customer values from fitted models."""
    rng = np.random.default_rng(2)
    spends = rng.gamma(6, 1 / rng.gamma(4, 1 / 15, len(summary)))
    summary = summary.assign(monetary_value=np.where(summary.frequency > 0, spends, 0.0))
    model, spend = clv.fit_bgnbd(summary, unit), clv.fit_gamma_gamma(summary.head(50_000))
    rates = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": months}
    took, value = median_seconds(lambda: clv.customer_value(model, spend, summary, **rates), REPEATS)
    sound = bool(np.isfinite(value.to_numpy()).all())
    horizon = f"{months} months" if months else "no end"
    return {
        "figure": f"CLV of {len(summary):,} customers, {horizon}, {'days' if unit == 'D' else 'weeks'}",
        "ours": took,
        "peer": f"limit 3 s; {'no NaN' if sound else 'NaN found'}",
        "ratio": 3 / took,
        "target": "<= 3 s",
        "reached": took <= 3 and sound,
    }


def import_row() -> dict:
    """`import custkit` in fresh processes, over bare Python."""
    print("  import custkit", flush=True)

    def fresh(code: str) -> float:
        return median_seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True), REPEATS)[0]

    fresh("import custkit")  # once unmeasured, so that files are in the cache
    bare, ours = fresh("pass"), fresh("import custkit")
    over = max(ours - bare, 1e-3)
    return {
        "figure": "import custkit, over bare Python",
        "ours": over,
        "peer": f"bare Python {bare:.2f} s; limit 0.15 s over it",
        "ratio": 0.15 / over,
        "target": "<= 0.15 s",
        "reached": over <= 0.15,
    }


def run() -> list[dict]:
    """All rows; see the runner `__main__.py`."""
    rows = [import_row()]
    print("  simulating a million customers", flush=True)
    days = simulate(SIZE, np.random.default_rng(0))
    weeks = in_weeks(days)
    clv.fit_bgnbd(weeks.head(5000), "W")  # imports are not part of a fit
    rows += [*fit_rows(weeks, "W", 20), growth_row(weeks), *fit_rows(days, "D", 8)]
    print("  customer values", flush=True)
    rows += [value_row(weeks, "W", 12), value_row(days, "D", 12), value_row(days, "D", None)]
    return rows
