"""Recover what the block baskets planted: mixes, season, pairs, coupons, layout, delivery."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm

from custkit.bgnbd import fit_bgnbd
from recovery.estimate import Company, Estimate

CATEGORIES = ("coffee", "tea", "equipment", "gifts", "accessories")
HOLDOUT = pd.Timestamp("2025-06-30")  # Monday of week 79


def estimates(company: Company) -> list[Estimate]:
    """Every effect planted in the baskets."""
    data = _Data(company)
    return [
        *_lifts(company, data),
        *_mixes(data),
        *_coupons(data),
        *_odds(data),
        *_gender(data),
        *_breadth(data),
        _layout(data),
        *_delivery(data),
    ]


class _Data:
    """Consumer orders with what is known of the customer, and their lines counted by category."""

    def __init__(self, company: Company):
        tables = company.tables
        people = tables.get("customers", tables.get("people"))
        people = people[people["customer_type"] == "consumer"].set_index("customer_id")
        truth = company.truth.get("truth_customers", tables.get("people")).set_index("customer_id")
        orders = tables["orders"][lambda table: table["customer_id"].isin(people.index)]
        orders = orders.sort_values("ordered_at", ignore_index=True)
        lines = tables["order_lines"][lambda table: table["order_id"].isin(orders["order_id"])]
        products = tables["products"][lambda table: table["kind"] == "good"].set_index("product_id")
        category = products["category"].map(CATEGORIES.index)
        self.order = pd.Index(orders["order_id"]).get_indexer(lines["order_id"])
        place = self.order * len(CATEGORIES) + lines["product_id"].map(category).to_numpy()
        self.counts = np.bincount(place, minlength=len(orders) * len(CATEGORIES)).reshape(len(orders), -1)
        self.lines, self.people, self.orders = lines, people, orders
        self.customer = people.index.get_indexer(orders["customer_id"])
        self.segment = truth["segment"].reindex(people.index)
        self.service = truth["service"].reindex(people.index)
        day = orders["ordered_at"]
        week = (day - pd.Timestamp("2024-01-01")) / pd.Timedelta(days=7)
        self.week = week.to_numpy()
        self.gifts = (np.floor(self.week) % 52 + 1 >= 47) & (np.floor(self.week) % 52 + 1 <= 52)
        self.early = (day < HOLDOUT).to_numpy()

    def clustered(self, influence: np.ndarray, rows: np.ndarray) -> float:
        """Standard error of an estimate from its influence values, orders of a customer taken together."""
        return float(np.sqrt((np.bincount(self.customer[rows], influence) ** 2).sum()))

    def ratio(
        self, above: np.ndarray, below: np.ndarray, rows: np.ndarray
    ) -> tuple[float, float, np.ndarray]:
        """Ratio of two sums over some orders, its standard error, and the influence of each order."""
        above, below = above[rows], below[rows]
        value = above.sum() / below.sum()
        influence = (above - value * below) / below.sum()
        return value, self.clustered(influence, rows), influence


def _lifts(company: Company, data: _Data) -> list[Estimate]:
    """Lift of each planted pair, orders of a customer clustered (delta method on the logarithm)."""
    names = company.tables["products"].set_index("name_en")["product_id"]
    rows, found = np.arange(len(data.orders)), []
    for name, effect in company.effects.items():
        if not name.startswith("baskets.lift."):
            continue
        pair = effect["meaning"].removesuffix(" in one consumer order").split(" and ")
        one, other = (
            np.bincount(data.order, data.lines["product_id"] == names[product], len(rows)) > 0
            for product in pair
        )
        both, total = one & other, len(rows)
        log_lift = np.log(both.sum() * total / (one.sum() * other.sum()))
        influence = both / both.sum() - one / one.sum() - other / other.sum() + 1 / total
        error = data.clustered(influence, rows)
        low, high = np.exp(log_lift - 1.96 * error), np.exp(log_lift + 1.96 * error)
        found.append(Estimate(name, float(np.exp(log_lift)), low, high, null=1, method="lift, clustered"))
    return found


def _mixes(data: _Data) -> list[Estimate]:
    """Share of each category in a segment's lines, plain weeks of the calibration period."""
    found, total = [], data.counts.sum(axis=1)
    segment = data.segment.to_numpy()[data.customer]
    for name in sorted(data.segment.unique()):
        rows = np.flatnonzero((segment == name) & data.early & ~data.gifts)
        for number, category in enumerate(CATEGORIES):
            value, error, _ = data.ratio(data.counts[:, number], total, rows)
            found.append(
                Estimate.from_error(
                    f"baskets.mix.{name}.{category}", value, error, method="share of lines, clustered"
                )
            )
    return found


def _coupons(data: _Data) -> list[Estimate]:
    """Share of a segment's orders with a coupon, before points and offers."""
    found, one = [], np.ones(len(data.orders))
    segment = data.segment.to_numpy()[data.customer]
    used = (data.orders["discount"] > 0).to_numpy()
    for name in sorted(data.segment.unique()):
        rows = np.flatnonzero((segment == name) & data.early)
        value, error, _ = data.ratio(used, one, rows)
        found.append(
            Estimate.from_error(f"baskets.coupon_share.{name}", value, error, method="share, clustered")
        )
    return found


def _odds(data: _Data) -> list[Estimate]:
    """Season, age, trend and interest as (log) odds ratios of the categories of lines."""
    people = data.people
    segment = pd.get_dummies(data.segment, dtype=float).iloc[:, 1:].to_numpy()
    age = (2025 - people["birth_year"].to_numpy(dtype=float) - 40) / 10
    told = people["interests"].fillna("").astype(str)
    interests = np.column_stack(
        [told.str.contains(name) for name in ("tea ceremony", "coffee tasting", "cooking", "design")]
    )
    here, coffee, tea, gifts = data.customer, data.counts[:, 0], data.counts[:, 1], data.counts[:, 3]
    total = data.counts.sum(axis=1)
    own = np.column_stack([segment[here], interests[here]])
    early = data.early  # later the lines by the till of one store dilute the season
    season = _logit(data, gifts * early, (total - gifts) * early, data.gifts, own)
    drinks = _logit(data, tea, coffee, age[here], own)
    month = (np.floor(data.week / 4) * 4 + 2) / 52
    trend = _logit(data, tea, total - tea, month, np.column_stack([own, data.gifts]))
    rest = np.column_stack([segment[here], interests[here][:, 1:], np.nan_to_num(age)[here], data.gifts])
    ceremony = _logit(data, tea, total - tea, interests[here][:, 0], rest)
    method = "pooled logit of lines, clustered"
    return [
        _ratio_estimate("baskets.gift_season.odds_ratio", *season, method),
        Estimate.from_error("baskets.age.tea_against_coffee", *drinks, method=method),
        Estimate.from_error("baskets.trend.tea", *trend, method=method),
        _ratio_estimate("baskets.interest.tea", *ceremony, method),
    ]


def _ratio_estimate(name: str, log_ratio: float, error: float, method: str, **other) -> Estimate:
    low, high = np.exp(log_ratio - 1.96 * error), np.exp(log_ratio + 1.96 * error)
    return Estimate(name, float(np.exp(log_ratio)), low, high, null=1, method=method, **other)


def _logit(data: _Data, yes, no, cause, others) -> tuple[float, float]:
    """Coefficient of a cause on the log odds of lines, and its standard error, clustered by customer."""
    causes = np.column_stack([cause, others]).astype(float)
    rows = np.flatnonzero(np.isfinite(causes).all(axis=1) & (yes + no > 0))
    names = [f"cause{number}" for number in range(causes.shape[1])]
    columns = {"customer": data.customer[rows], **dict(zip(names, causes[rows].T, strict=True))}
    table = pd.DataFrame({"yes": yes[rows], "no": no[rows], **columns})
    table = table.groupby(list(columns), as_index=False).sum()  # alike orders of a customer in one row
    design = sm.add_constant(table[names].to_numpy(), has_constant="add")
    fit = sm.GLM(table[["yes", "no"]].to_numpy(), design, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": table["customer"].to_numpy()}
    )
    return fit.params[1], fit.bse[1]


def _gender(data: _Data) -> list[Estimate]:
    """Women less men: shares of lines, and the ratio of mean amounts. Nothing is there."""
    gender, total = data.people["gender"].to_numpy()[data.customer], data.counts.sum(axis=1)
    women, men = np.flatnonzero(gender == "f"), np.flatnonzero(gender == "m")
    found = []
    for name, number in (("gifts", 3), ("tea", 1)):
        one, error_one, _ = data.ratio(data.counts[:, number], total, women)
        two, error_two, _ = data.ratio(data.counts[:, number], total, men)
        error = np.hypot(error_one, error_two)
        found.append(
            Estimate.from_error(
                f"baskets.gender.{name}", one - two, error, kind="null", method="difference, clustered"
            )
        )
    amount, each = data.orders["net_amount"].to_numpy(), np.ones(len(data.orders))
    one, error_one, _ = data.ratio(amount, each, women)
    two, error_two, _ = data.ratio(amount, each, men)
    error = np.hypot(error_one / one, error_two / two)
    found.append(
        _ratio_estimate(
            "baskets.gender.amount", np.log(one / two), error, "ratio of means, clustered", kind="null"
        )
    )
    return found


def _breadth(data: _Data) -> list[Estimate]:
    """Breadth of categories in weeks 1 to 78 on the orders of the bau panel in weeks 79 to 104.

    The raw slope says that broad customers order more. They had ordered more before; so what BG/NBD expects
    of each is held fixed, and the mix and basket size, which tell of the segment.
    """
    early, n = data.early, len(data.people)
    first = np.full(n, np.inf)
    last, count = np.full(n, -np.inf), np.bincount(data.customer[early], minlength=n)
    np.minimum.at(first, data.customer[early], data.week[early])
    np.maximum.at(last, data.customer[early], data.week[early])
    later = np.bincount(data.customer[~early], minlength=n)
    categories = np.column_stack([np.bincount(data.customer[early], row[early], n) for row in data.counts.T])
    spent = np.bincount(data.customer[early], data.orders["net_amount"].to_numpy()[early], n)
    used = np.bincount(data.customer[early], (data.orders["discount"] > 0).to_numpy()[early], n)
    seen = count > 0
    summary = pd.DataFrame({"frequency": count - 1, "recency": last - first, "T": 78 - first})[seen]
    expected = fit_bgnbd(summary).predict_purchases(summary, 26)
    rows = np.flatnonzero(seen & (data.people["panel"] == "bau").to_numpy())
    breadth = (categories[rows] > 0).sum(axis=1)
    weeks = pd.Series(np.asarray(expected), index=np.flatnonzero(seen)).loc[rows].to_numpy()
    mix = (categories[rows] + 0.5) / (categories[rows] + 0.5).sum(axis=1, keepdims=True)
    lines = categories[rows].sum(axis=1) / count[rows]
    fixed = np.column_stack([mix[:, 1:], np.log(spent[rows] / count[rows]), lines, used[rows] / count[rows]])
    raw, raw_error = _poisson(later[rows], breadth[:, None])
    value, error = _poisson(later[rows], np.column_stack([breadth, fixed]), np.log(weeks))
    name = "baskets.breadth.order_rate"
    return [
        Estimate.from_error(name, value, error, kind="null", method="Poisson, adjusted for BG/NBD and mix"),
        Estimate.from_error(name, raw, raw_error, kind="trap", method="Poisson, not adjusted"),
    ]


def _poisson(count: np.ndarray, columns: np.ndarray, offset=None) -> tuple[float, float]:
    model = sm.GLM(count, sm.add_constant(columns), family=sm.families.Poisson(), offset=offset)
    fit = model.fit(cov_type="HC1")
    return fit.params[1], fit.bse[1]


def _layout(data: _Data) -> Estimate:
    """Difference in differences of store orders, within customers: one store changed in week 79."""
    rows = np.flatnonzero(data.orders["channel"] == "store")
    who, amount = data.customer[rows], data.orders["net_amount"].to_numpy()[rows]
    after = ~data.early[rows]
    changed = after & (data.orders["site"].to_numpy()[rows] == "NP1")
    columns = np.column_stack([amount, changed, after]).astype(float)
    number = np.bincount(who)[who]
    means = np.column_stack([np.bincount(who, column)[who] / number for column in columns.T])
    inside = columns - means
    fit = sm.OLS(inside[:, 0], inside[:, 1:]).fit(cov_type="cluster", cov_kwds={"groups": who})
    return Estimate.from_error(
        "baskets.layout.value", fit.params[0], fit.bse[0], method="difference in differences within customers"
    )


def _delivery(data: _Data) -> list[Estimate]:
    """Minutes late on the service factor of the truth, as the what-if case uses it."""
    orders = data.orders
    rows = np.flatnonzero(orders["promised_min"].notna())
    late = (orders["delivered_min"] - orders["promised_min"]).to_numpy(dtype=float)[rows]
    design = sm.add_constant(data.service.to_numpy()[data.customer[rows]])
    city = data.people["city"].astype("category").cat.codes.to_numpy()[data.customer[rows]]
    day = np.floor(data.week[rows] * 7).astype(int) * 8 + city  # a busy day delays everybody in the city
    fit = sm.OLS(late, design).fit(cov_type="cluster", cov_kwds={"groups": day})
    names = ("baskets.delivery.late_mean", "baskets.delivery.per_service")
    return [
        Estimate.from_error(name, value, error, method="least squares on the true factor, days clustered")
        for name, value, error in zip(names, fit.params, fit.bse, strict=True)
    ]
