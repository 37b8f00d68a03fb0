"""Published numbers of the value models, beside what custkit computes from the same data.

`python tests/published_numbers.py` prints the table and writes it to `build/published_numbers.md`;
`test_clv_published.py` holds every row of it. A row agrees when each computed value rounds to the printed
one. Where a row allows something else, its note says what and why:

- `within` is an absolute tolerance;
- a `Box` is the span of the computed value over all parameters that round to the printed ones, for sources
  that print results to more digits than the parameters they come from.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import published_models as models

BG, PARETO = (0.2425967, 4.413659, 0.7929869, 2.426164), ("0.553", "10.580", "0.606", "11.658")
WALK, CLVT, LT = "BTYD walkthrough", "CLVTools tests", "lifetimes tests and docs"
ISO, SBG = "Fader, Hardie & Lee 2005, JMR 42(4)", "Fader & Hardie 2007, JIM 21(1)"
AT_BG = "at the walkthrough's .2425967, 4.413659, .7929869, 2.426164"
IN_BOX = "span over parameters that round to .553, 10.580, .606, 11.658"


@dataclass(frozen=True)
class Box:
    """Smallest and largest value that a computed quantity takes."""

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Number:
    """One row: what it is, as printed (several values with blanks between), where, and how to compute it."""

    quantity: str
    published: str
    source: str
    compute: Callable[[], float | np.ndarray | Box]
    note: str = ""
    within: float | None = None

    def values(self) -> Iterator[tuple[str, str, bool]]:
        """Printed value, computed value as text, and whether they agree."""
        computed = self.compute()
        low, high = (computed.low, computed.high) if isinstance(computed, Box) else (computed, computed)
        printed = self.published.split()
        lows, highs = np.broadcast_to(low, len(printed)), np.broadcast_to(high, len(printed))
        for text, least, most in zip(printed, lows, highs, strict=True):
            value = Decimal(text.replace(",", ""))
            unit = 10.0 ** value.as_tuple().exponent
            allowed = unit / 2 * (1 + 1e-9) if self.within is None else self.within
            digits = max(4, len(value.as_tuple().digits) + 2)
            shown = f"{least:.{digits}g}" + (f" … {most:.{digits}g}" if most > least else "")
            yield text, shown, bool(least - allowed <= float(value) <= most + allowed)


def box(printed: tuple[str, ...], compute: Callable[..., np.ndarray]) -> Box:
    """Span of `compute(*params)` over the corners of the parameters that round to the printed ones."""
    sides = [(float(p) - half, float(p) + half) for p in printed for half in [_half(p)]]
    at_corners = np.array([np.atleast_1d(compute(*corner)) for corner in itertools.product(*sides)])
    return Box(at_corners.min(axis=0), at_corners.max(axis=0))


def _half(text: str) -> float:
    return 10.0 ** Decimal(text).as_tuple().exponent / 2


def bg(method: str, *args: object) -> Callable[[], np.ndarray]:
    """A prediction of the BG/NBD at the walkthrough's parameters."""
    return lambda: np.asarray(getattr(models.bg_at(*BG), method)(*args))


def pareto(method: str, *args: object) -> Callable[[], Box]:
    """A prediction of the Pareto/NBD over all parameters that round to the walkthrough's."""
    return lambda: box(PARETO, lambda *p: np.asarray(getattr(models.pareto_at(*p), method)(*args)))


def bgbb(method: str, *args: object) -> Callable[[], Box]:
    """A prediction of the BG/BB over all parameters that round to the published ones."""
    printed = ("1.204", "0.750", "0.657", "2.783")
    return lambda: box(printed, lambda *p: np.asarray(getattr(models.bgbb_at(*p), method)(*args)))


BEST, STAYED = models.customers((26, 216 / 7, 31)), models.customers(*((x, 20, 39) for x in (10, 15, 20, 25)))
NEVER, SHEET = models.customers((0, 0, 39)), models.customers((2, 30.43, 38.86))
BIG = models.customers((132, 200, 200), (133, 200, 200))
DONORS = models.donors((0, 0, 6), (4, 5, 6))
GROUPS = "by repeat count 0 .. 6, 7+"

CDNOW_SAMPLE = [
    Number(f"customers {GROUPS}", "1411 439 214 100 62 38 29 64", WALK, models.group_sizes),
    Number(
        f"actual mean hold-out purchases {GROUPS}",
        ".237 .697 1.393 1.560 2.532 2.947 3.862 6.359",
        WALK,
        lambda: models.by_group(models.holdout()),
    ),
    Number("BG/NBD r, alpha, a, b", ".243 4.414 .793 2.426", WALK, lambda: models.bg().params),
    Number("BG/NBD log-likelihood", "-9582.429", WALK, lambda: models.bg().log_likelihood),
    Number(
        "BG/NBD log-likelihood at the walkthrough's parameters",
        "-9582.429",
        WALK,
        lambda: models.bg_log_likelihood(BG),
        "they are its optimiser's, to the seventh digit",
    ),
    Number(
        "BG/NBD standard errors",
        ".012557 .378221 .185719 .705345",
        LT,
        lambda: models.bg_two_decimals().std_errors,
        "their data have two decimals, their Hessian is numerical: one unit of the last digit",
        within=1.01e-6,
    ),
    Number("BG/NBD E[X(52)]", "1.444004", WALK, bg("predict_new_customer", 52), AT_BG),
    Number(
        "BG/NBD E[X(t)], t = .1429, 1, 3, 31.8571, 32",
        ".0078 .0532 .1506 1.0405 1.0437",
        "Hardie's sheet, in lifetimes tests",
        bg("predict_new_customer", [0.1429, 1, 3, 31.8571, 32]),
        AT_BG,
    ),
    Number(
        "BG/NBD E[X(78)], 2F1 cut off at power 150 as in a sheet",
        "1.8576",
        "Hardie's sheet, in lifetimes tests",
        lambda: models.bg_mean_with_cut_series(BG, 78, 150),
        "the full series is 1.8579, as custkit's, see test_clv_published",
    ),
    Number(
        "BG/NBD CET(39 | x=2, t_x=30.43, T=38.86)",
        "1.226",
        "Hardie's sheet, in lifetimes tests",
        bg("predict_purchases", SHEET, 39),
    ),
    Number("BG/NBD customer 1516: CET(52)", "25.75659", WALK, bg("predict_purchases", BEST, 52), AT_BG),
    Number("BG/NBD customer 1516: P(alive)", ".9688523", WALK, bg("predict_p_alive", BEST), AT_BG),
    Number(
        "BG/NBD CET(52), t_x=20, T=39, x = 10, 15, 20, 25",
        ".3474606 .04283391 .004158973 .0003583685",
        WALK,
        bg("predict_purchases", STAYED, 52),
        AT_BG,
    ),
    Number(
        "BG/NBD P(X(39) = 0)",
        ".5737864",
        "BTYD manual",
        lambda: models.bg_at(0.243, 4.414, 0.793, 2.426).purchase_probabilities(0, 39),
        "at .243, 4.414, .793, 2.426",
    ),
    Number(
        "BG/NBD P(X(2) = 10)",
        "1.07869e-07",
        "BTYD manual",
        lambda: models.bg_at(0.243, 4.414, 0.793, 2.426).purchase_probabilities(10, 2),
        "at .243, 4.414, .793, 2.426",
    ),
    Number(
        f"BG/NBD expected hold-out {GROUPS}",
        ".225 .523 1.044 1.520 2.164 2.654 3.504 6.157",
        WALK,
        lambda: models.by_group(models.bg().predict_purchases(models.sample_weeks(), 39)),
    ),
    Number(
        "BG/NBD cumulative repeats, weeks 20 and 25",
        "1312.458 1669.6",
        WALK,
        lambda: models.tracking(models.bg_at(*BG))[[20, 25]],
        AT_BG,
    ),
    Number("Pareto/NBD r, alpha, s, beta", ".553 10.578 .606 11.669", LT, lambda: models.pareto().params),
    Number("Pareto/NBD log-likelihood", "-9594.976", WALK, lambda: models.pareto().log_likelihood),
    Number(
        "Pareto/NBD log-likelihood at CLVTools' .55315, 10.57633, .60625, 11.67150",
        "-9594.976",
        CLVT,
        lambda: models.pareto_log_likelihood((0.55315, 10.57633, 0.60625, 11.67150)),
    ),
    Number(
        "Pareto/NBD standard errors of r, alpha, s",
        ".0476264 .8427222 .1872594",
        CLVT,
        lambda: models.pareto().std_errors.iloc[:3],
        "their parameters and Hessian are numerical: within 3e-5",
        within=3e-5,
    ),
    Number(
        "Pareto/NBD standard error of beta",
        "6.2105448",
        CLVT,
        lambda: models.pareto().std_errors.iloc[3],
        "their parameters and Hessian are numerical: one part in ten thousand",
        within=6.5e-4,
    ),
    Number("Pareto/NBD E[X(52)]", "1.473434", WALK, lambda: models.pareto().predict_new_customer(52)),
    Number(
        "Pareto/NBD customer 1516: CET(52)", "25.45647", WALK, pareto("predict_purchases", BEST, 52), IN_BOX
    ),
    Number("Pareto/NBD customer 1516: P(alive)", ".997874", WALK, pareto("predict_p_alive", BEST), IN_BOX),
    Number(
        "Pareto/NBD P(alive | 0, 0, 39)",
        ".2941633",
        "BTYD manual",
        lambda: models.pareto_at(0.5533971, 10.5801985, 0.6060625, 11.6562237).predict_p_alive(NEVER),
        "at the manual's .5533971, 10.5801985, .6060625, 11.6562237",
    ),
    Number(
        "Pareto/NBD CET(52), t_x=20, T=39, x = 10, 15, 20, 25",
        ".7062289 .1442396 .02250658 .00309267",
        WALK,
        pareto("predict_purchases", STAYED, 52),
        IN_BOX,
    ),
    Number(
        f"Pareto/NBD expected hold-out {GROUPS}",
        ".138 .600 1.196 1.714 2.399 2.907 3.819 6.403",
        WALK,
        lambda: box(
            PARETO,
            lambda *p: models.by_group(models.pareto_at(*p).predict_purchases(models.sample_weeks(), 39)),
        ),
        IN_BOX,
    ),
    Number(
        "Pareto/NBD cumulative repeats, weeks 20 and 25",
        "1308.856 1674.253",
        WALK,
        lambda: box(PARETO, lambda *p: models.tracking(models.pareto_at(*p))[[20, 25]]),
        IN_BOX,
    ),
    Number("actual cumulative repeats, weeks 20 and 25", "1359 1672", WALK, models.actual_repeats),
    Number(
        "Pareto/NBD under-forecast of cumulative repeats at week 78, % (printed: less than 2)",
        "1",
        ISO,
        lambda: 100 * models.under_forecast(),
        "between 0 and 2",
        within=1.0,
    ),
    Number(
        "Pareto/NBD CET(10 | x, 200, 200), x = 132, 133, at .55, 10.58, .61, 11.67",
        "6.2060517889632418 6.2528722475748113",
        LT,
        lambda: models.pareto_at(0.55, 10.58, 0.61, 11.67).predict_purchases(BIG, 10),
        "lifetimes itself gives NaN from 132; the last digits are beyond double precision",
        within=2e-12,
    ),
    Number("MBG/NBD r, alpha, a, b", ".525 6.183 .891 1.614", LT, lambda: models.mbg().params),
    Number("repeat buyers", "946", ISO, lambda: models.repeat_spend().size),
    Number(
        "mean repeat spend: min, 25%, median, 75%, max, mean, sd",
        "3 16 27 42 300 35 30",
        ISO,
        lambda: models.spend_summary(),
    ),
    Number(
        "correlation of frequency and spend: lifetimes",
        ".1139",
        LT,
        lambda: models.spend().frequency_correlation,
        "lifetimes prints .113884, of data with two decimals",
    ),
    Number("correlation without one outlier", ".06", ISO, models.correlation_without_outlier),
    Number("gamma-gamma p, q, gamma", "6.25 3.74 15.44", CLVT, lambda: models.spend().params),
    Number("gamma-gamma log-likelihood of means", "-4055.9177", CLVT, lambda: models.spend().log_likelihood),
    Number("gamma-gamma log-likelihood of totals", "-4659", ISO, models.total_spend_log_likelihood),
    Number(
        "E(M) of the first 10 customers of the file",
        "24.65 18.91 35.17 35.17 35.17 71.46 18.91 35.17 27.28 35.17",
        "Fader & Hardie 2013, note 025, in lifetimes tests",
        models.first_expected_spends,
    ),
    Number("derived: actual hold-out purchases", "1882", "our notes", lambda: models.holdout().sum()),
    Number(
        "derived: hold-out forecast and mean absolute error, Pareto/NBD",
        "1665.5 .7545",
        "our notes",
        lambda: models.holdout_score(models.pareto()),
    ),
    Number(
        "derived: hold-out forecast and mean absolute error, BG/NBD",
        "1653.4 .7855",
        "our notes",
        lambda: models.holdout_score(models.bg()),
    ),
]

ABOUT = "printed in words: within {}"
# The notes do not say how the terciles were cut; of 80 readings tried none gives every printed figure. The
# plainest is kept: these rows guard against change, they do not confirm the paper's cells.
TIES = "close, not reproduced: the rule of the terciles is not known"
CDNOW_COHORT = [
    Number(
        "customers; without those whose repeat spend is above $4,000",
        "23570 23560",
        ISO,
        models.cohort_sizes,
    ),
    Number(
        "Pareto/NBD 78 weeks, 1/10 sample",
        ".5629966 12.5590370 .4081095 10.5148048",
        "BTYD manual",
        lambda: models.pareto_78().params,
        "an optimiser's digits: within 3e-4, 1/700 of the smallest standard error",
        within=3e-4,
    ),
    Number(
        "average CLV, $ (about 47)",
        "47",
        ISO,
        lambda: models.values().clv.mean(),
        "here and below a year has 365.25 days; the paper's 52 weeks give values 0.6% lower",
    ),
    Number(
        "cohort value, $ (slightly more than 1.1 million)",
        "1,105,000",
        ISO,
        lambda: models.values().clv.sum(),
        ABOUT.format("1.10 and 1.11 million"),
        within=5_000,
    ),
    Number("zero class: customers", "12054", ISO, lambda: models.zero_class().size),
    Number("zero class: average CLV, $ (about 4.40)", "4.4", ISO, lambda: models.zero_class().mean()),
    Number(
        "zero class: value, $",
        "53,000",
        ISO,
        lambda: models.zero_class().sum(),
        ABOUT.format("half a thousand"),
        within=500,
    ),
    Number(
        "zero class: share of the value, % (about 5)",
        "5",
        ISO,
        lambda: 100 * models.zero_class().sum() / models.values().clv.sum(),
    ),
    Number(
        "average CLV by recency tercile 1, 2, 3",
        "10 62 201",
        ISO,
        lambda: models.tercile_means("R"),
        TIES + ": within 2",
        within=2.0,
    ),
    Number(
        "average CLV by frequency tercile",
        "18 50 205",
        ISO,
        lambda: models.tercile_means("F"),
        TIES + ": within 2",
        within=2.0,
    ),
    Number(
        "average CLV by monetary tercile",
        "31 81 160",
        ISO,
        lambda: models.tercile_means("M"),
        TIES + ": within 2",
        within=2.0,
    ),
    Number(
        "cell R=F=M=3: customers",
        "954",
        ISO,
        lambda: models.cell(3, 3, 3).size,
        TIES + ": within 4%",
        within=38,
    ),
    Number(
        "cell R=F=M=3: average CLV, $",
        "435",
        ISO,
        lambda: models.cell(3, 3, 3).mean(),
        TIES + ": within 2%",
        within=8.7,
    ),
    Number(
        "cell R=F=M=3: value, $",
        "414,900",
        ISO,
        lambda: models.cell(3, 3, 3).sum(),
        TIES + ": within 2%",
        within=8_300,
    ),
    Number(
        "cell R=F=M=3: share of the value, % (about 38)",
        "38",
        ISO,
        lambda: 100 * models.cell(3, 3, 3).sum() / models.values().clv.sum(),
        TIES + ": within 1.1",
        within=1.1,
    ),
    Number(
        "cells M=3, R=1: customers at F=1 and F=3",
        "676 101",
        ISO,
        lambda: [models.cell(1, f, 3).size for f in (1, 3)],
        TIES + ": within 6",
        within=6,
    ),
    Number(
        "cells M=3, R=1: average CLV at F=1 and F=3, $",
        "17 10",
        ISO,
        lambda: [models.cell(1, f, 3).mean() for f in (1, 3)],
        TIES + ": within 1",
        within=1.0,
    ),
    Number(
        "cells M=3, R=1: value at F=1 and F=3, $",
        "11,300 1,000",
        ISO,
        lambda: [models.cell(1, f, 3).sum() for f in (1, 3)],
        TIES + ": within 250",
        within=250,
    ),
    Number(
        "DERT of (7, 35) and (1, 30) at T = 77.86 (about 2)",
        "1.864 2.199",
        "BTYD manual's parameters",
        models.paradox,
        "at the paper's .0027 a week; buying more in the past can mean less to come",
    ),
    Number(
        "78-week Pareto/NBD in the 39-week likelihood",
        "-9608",
        ISO,
        lambda: models.pareto_log_likelihood(tuple(models.pareto_78().params)),
    ),
    Number(
        "78-week gamma-gamma in the 39-week likelihood",
        "-4661",
        ISO,
        models.later_spend_log_likelihood,
    ),
]

BGBB = "Fader, Hardie & Shang 2010, MktSci 29(6)"
IN_BGBB_BOX = "span over parameters that round to 1.204, .750, .657, 2.783"
DONATIONS = [
    Number("BG/BB alpha, beta, gamma, delta", "1.204 .750 .657 2.783", BGBB, lambda: models.bgbb().params),
    Number("BG/BB log-likelihood", "-33225.58", BGBB, lambda: models.bgbb().log_likelihood),
    Number("BG/BB E[X(10)]", "3.179805", WALK, bgbb("predict_new_customer", 10), IN_BGBB_BOX),
    Number(
        "BG/BB CET(10) of (0, 0) and (4, 5), n = 6",
        ".1302169 3.627858",
        WALK,
        bgbb("predict_purchases", DONORS, 10),
        IN_BGBB_BOX,
    ),
    Number("BG/BB sum of CET(5)", "12884.2", LT, models.donations_expected),
    Number("BG/BB P(alive 2002): (0, 0), (2, 4), (6, 6)", ".11 .59 .93", BGBB, lambda: models.donors_alive()),
    Number("BG/BB expected donors with 0 and 6 repeats", "3454.9 1253.1", LT, models.donors_expected),
    Number(
        "BG/BB expected hold-out by frequency 0 .. 6",
        ".073 .325 .709 1.334 2.031 2.784 3.753",
        WALK,
        lambda: box(("1.204", "0.750", "0.657", "2.783"), models.donations_by_frequency),
        IN_BGBB_BOX,
    ),
]

PY = "shifted_beta_geometric_py"
RETENTION = [
    Number("sBG High End alpha, beta", ".668 3.806", SBG, lambda: models.sbg("High End").params),
    Number("sBG Regular alpha, beta", ".704 1.182", SBG, lambda: models.sbg("Regular").params),
    Number("sBG High End log-likelihood per customer", "-1.611", SBG, lambda: models.sbg_fit_quality()),
    Number(
        "sBG High End log-likelihood per customer at (1, 1)",
        "-2.115",
        PY,
        lambda: models.sbg_log_likelihood("High End", 1, 1),
        "exactly -2.11555: the last printed digit is cut, not rounded",
        within=1e-3,
    ),
    Number("sBG E(theta), High End and Regular", ".15 .37", SBG, models.sbg_means),
    Number(
        "sBG High End S(8 .. 12)",
        ".460 .436 .414 .395 .378",
        PY,
        lambda: models.sbg("High End").predict_survival(np.arange(8, 13)),
    ),
    Number("sBG Regular S(12)", ".170", SBG, lambda: models.sbg("Regular").predict_survival(12)),
    Number("sBG year-12 error, %, High End and Regular (sizes)", "4 2", SBG, models.sbg_errors),
    Number(
        "sBG High End r_1, r_8",
        ".851 .942",
        SBG,
        lambda: models.sbg("High End").predict_retention_rate(np.array([1, 8])),
    ),
    Number(
        "sBG High End DERL(10%) after 7 renewals",
        "7.530",
        PY,
        lambda: models.sbg("High End").predict_discounted_renewals(7, 0.1),
    ),
    Number("sBG several cohorts alpha, beta", "3.80 15.19", PY, lambda: models.sbg_cohorts().params),
    Number("R2 of linear and quadratic curves", ".922 .998", SBG, lambda: models.curves()[0][:2]),
    Number(
        "R2 of the exponential curve",
        ".963",
        SBG,
        lambda: models.curves()[0][2],
        "exactly .9637 in logarithms: our note of it may be cut; one unit of the last digit",
        within=1e-3,
    ),
    Number("year-12 error of these, %", "-81 92 -30", SBG, lambda: models.curves()[1]),
]

TABLES = {
    "CDNOW, 1/10 sample, 39 weeks": CDNOW_SAMPLE,
    "CDNOW, full cohort, 78 weeks (parameters of the 1/10 sample)": CDNOW_COHORT,
    "Donations": DONATIONS,
    "Contractual retention": RETENTION,
}

NOT_COMPUTED = {
    "GGom/NBD log-likelihood -9594.9762": "not a model of custkit",
    "Iso-value example pair, DET 4.6 and 1.9": "the notes do not say which frequency and recency",
    "Donations, actual hold-out by frequency": "the hold-out is not in the file shipped with lifetimes",
}


def markdown() -> tuple[str, int]:
    """The whole table, and how many rows do not agree."""
    lines, wrong = ["# Published numbers beside computed ones", ""], 0
    for title, numbers in TABLES.items():
        lines += [f"## {title}", "", "| quantity | published | computed | agrees | source, note |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for number in numbers:
            printed, computed, agrees = zip(*number.values(), strict=True)
            wrong += not all(agrees)
            note = number.source + (f"; {number.note}" if number.note else "")
            cells = (
                number.quantity,
                " ".join(printed),
                " ".join(computed),
                "yes" if all(agrees) else "NO",
                note,
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    lines += ["## Not computed", "", *(f"- {what}: {why}" for what, why in NOT_COMPUTED.items()), ""]
    return "\n".join(lines), wrong


if __name__ == "__main__":
    text, wrong = markdown()
    target = Path(__file__).resolve().parents[1] / "build" / "published_numbers.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(f"{wrong} rows do not agree" if wrong else 0)
