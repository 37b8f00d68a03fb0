"""Effects planted in the value-added services: who takes them, who stays, what EXP-VAS did."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm

from custkit import clv
from recovery.estimate import Company, Estimate
from recovery.order_panel import Panel, week_of

SERVICES = ("CARE", "COACH", "PLAN", "PRIORITY")
CYCLE = 4  # weeks
BIG_BASKET = 150  # CNY, mean order before the campaign: what the personal message tells of


def estimates(company: Company) -> list[Estimate]:
    """All of them."""
    panel = Panel.of(company)
    taken = subscriptions(panel)
    found = [*survival(taken, company), *adoption(panel, taken), *plan(panel, taken), *trial(taken)]
    return [*found, *partner(panel, taken), *promotion(panel, taken)]


def subscriptions(panel: Panel) -> pd.DataFrame:
    """Subscriptions of consumers: customer's number, week of the start, months lasted and months seen."""
    rows = panel.company.tables["vas_subscriptions"]
    number = pd.Series(panel.customers.index, index=panel.customers["customer_id"].astype(object))
    rows = rows.assign(customer=rows["customer_id"].astype(object).map(number)).dropna(subset="customer")
    started, ended, last = rows["started_on"], rows["ended_on"], pd.Timestamp("2025-12-28")
    seen = months(started, pd.Series(last, started.index)) - (started.dt.day > last.day)
    return rows.assign(
        customer=rows["customer"].astype(int),
        week=week_of(started),
        lasted=months(started, ended),  # missing: still running
        seen=seen,
    ).reset_index(drop=True)


def months(start: pd.Series, end: pd.Series) -> pd.Series:
    """Calendar months between two dates, days left out."""
    return (end.dt.year - start.dt.year) * 12 + end.dt.month - start.dt.month


def still_there(rows: pd.DataFrame) -> list[np.ndarray]:
    """Subscriptions at the start and after each month, by the number of months seen."""
    cohorts = []
    for seen, cohort in rows[rows["seen"] >= 1].groupby("seen"):
        lasted = cohort["lasted"].fillna(np.inf).to_numpy()
        cohorts.append((lasted[:, None] > np.arange(seen + 1)).sum(axis=0))
    return cohorts


def survival(taken: pd.DataFrame, company: Company) -> list[Estimate]:
    """Shifted-beta-geometric model of each service."""
    found, method = [], "sBG, monthly cohorts"
    for service in SERVICES:
        model = clv.fit_sbg(still_there(taken[taken["service"] == service]))
        name, stays = service.lower(), float(model.predict_survival(12))
        logit, slope = np.log(stays / (1 - stays)), survival_slope(model.params)
        error = 1.96 * np.sqrt(slope @ model.covariance.to_numpy() @ slope) / (stays * (1 - stays))
        low, high = (1 / (1 + np.exp(-(logit + side * error))) for side in (-1, 1))
        found.append(Estimate(f"services.{name}.survival12", stays, low, high, method=method))
        for parameter in ("alpha", "beta"):
            value = model.params[parameter]
            factor = np.exp(1.96 * np.sqrt(model.covariance.loc[parameter, parameter]))
            found.append(
                Estimate(f"services.{name}.{parameter}", value, value / factor, value * factor, method=method)
            )
    return found


def survival_slope(params: pd.Series, renewals: int = 12) -> np.ndarray:
    """Slope of the survival in the logarithms of alpha and beta."""
    from scipy.special import betaln

    def survives(logs):
        alpha, beta = np.exp(logs)
        return np.exp(betaln(alpha, beta + renewals) - betaln(alpha, beta))

    at, step = np.log(params.to_numpy()), 1e-5
    return np.array([(survives(at + d) - survives(at - d)) / (2 * step) for d in step * np.eye(2)])


def adoption(panel: Panel, taken: pd.DataFrame, until: float = 88) -> list[Estimate]:
    """Log-odds to take a service in a cycle; before the campaign, without customers of partners."""
    customers = panel.customers
    known = (customers["birth_year"].notna() & (customers["acq_channel"] != "partner")).to_numpy()
    decades = (2025 - customers["birth_year"].to_numpy(float) - 41) / 10
    area = pd.get_dummies(customers["area_type"], dtype=float)
    wanted = {
        "CARE": {"age": decades},
        "COACH": {"age": decades},
        "PRIORITY": {"urban": area["urban"].to_numpy(), "rural": area["rural"].to_numpy()},
    }
    found = []
    for service, columns in wanted.items():
        start = taken[taken["service"] == service].drop_duplicates("customer").set_index("customer")["week"]
        start = start.reindex(customers.index).to_numpy()
        end = np.fmin(start, until)
        cycles = np.ceil((end - panel.joined) / CYCLE - 1e-9)
        takes = start < until
        rows = known & (panel.joined < until - CYCLE)
        early, late = np.clip(cycles, 1, 2), np.maximum(cycles - 2, 0)
        trials = np.concatenate([early[rows], late[rows]])
        hits = np.concatenate([(takes & (cycles <= 2))[rows], (takes & (cycles > 2))[rows]]).astype(float)
        new = np.repeat([1.0, 0.0], rows.sum())
        design = np.column_stack([np.ones(len(new)), new, *(np.tile(c[rows], 2) for c in columns.values())])
        at_risk = trials > 0
        counts = np.column_stack([hits, trials - hits])[at_risk]
        fit = sm.GLM(counts, design[at_risk], family=sm.families.Binomial()).fit()
        for place, name in enumerate(columns, 2):
            full = f"services.{service.lower()}.adoption.{name}"
            found.append(
                Estimate.from_error(full, fit.params[place], fit.bse[place], method="logit by cycle")
            )
    return found


def plan(panel: Panel, taken: pd.DataFrame) -> list[Estimate]:
    """PLAN and the orders: raw gap, and the same customers before and after, against those who follow."""
    start = taken[taken["service"] == "PLAN"].drop_duplicates("customer").set_index("customer")["week"]
    gap, orders = raw_gap(panel, start), event_time(panel, start, "orders")
    spend = [52 / 12 * value for value in event_time(panel, start, "amount")]
    same = {"kind": "null", "method": "event time, against later takers"}
    return [
        Estimate.from_error("services.plan.orders", *gap, kind="trap", method="holders less others"),
        Estimate.from_error("services.plan.orders", *orders, **same),
        Estimate.from_error("services.plan.spend", *spend, **same),
    ]


def raw_gap(panel: Panel, start: pd.Series, at: float = 52, end: float = 78) -> tuple[float, float]:
    """Orders a week after a time, of those who had started by then less all others who were customers."""
    there = panel.joined < at
    has = np.isin(panel.customers.index, start.index[start < at])[there]
    rate = panel.count(at, end)[there] / (end - at)
    error = np.sqrt(rate[has].var() / has.sum() + rate[~has].var() / (~has).sum())
    return rate[has].mean() - rate[~has].mean(), error


def event_time(panel: Panel, start: pd.Series, what: str, end: float = 78) -> tuple[float, float]:
    """Effect a week of having started, among those who start before `end`, by age as a customer.

    Who starts later shows what those who started would have done: customer effects, age effects, and the
    share of each 4-week cell after the start. Standard errors are clustered by customer.
    """
    start = start[start < end]
    who, cells = start.index.to_numpy(), int(end // CYCLE) + 1
    joined, place = panel.joined[who], pd.Series(np.arange(len(who)), index=who)
    own = panel.orders[panel.orders["customer"].isin(who) & (panel.orders["week"] < end)]
    own = own[own["week"].to_numpy() > panel.joined[own["customer"]]]  # repeat orders
    row = place[own["customer"]].to_numpy()
    cell = ((own["week"].to_numpy() - joined[row]) // CYCLE).astype(int)
    weight = np.ones(len(own)) if what == "orders" else own["amount"].to_numpy()
    outcome = np.zeros((len(who), cells))
    np.add.at(outcome, (row, cell), weight)
    left = joined[:, None] + CYCLE * np.arange(cells)
    whole = left + CYCLE <= end
    after = np.clip((left + CYCLE - start.to_numpy()[:, None]) / CYCLE, 0, 1)
    ages = np.broadcast_to(np.eye(cells), (len(who), cells, cells))
    columns = [outcome / CYCLE, after, *np.moveaxis(ages, 2, 0)]
    count = np.maximum(whole.sum(axis=1, keepdims=True), 1)
    inside = [
        (column - np.where(whole, column, 0).sum(axis=1, keepdims=True) / count)[whole] for column in columns
    ]
    design = np.column_stack(inside[1:])
    residual = design[:, 0] - design[:, 1:] @ np.linalg.lstsq(design[:, 1:], design[:, 0], rcond=None)[0]
    effect = residual @ inside[0] / (residual @ residual)
    fitted = np.column_stack([design[:, 0], design[:, 1:]])
    noise = inside[0] - fitted @ np.linalg.lstsq(fitted, inside[0], rcond=None)[0]
    owner = np.broadcast_to(np.arange(len(who))[:, None], whole.shape)[whole]
    scores = np.bincount(owner, residual * noise, len(who))
    return float(effect), float(np.sqrt((scores**2).sum()) / (residual @ residual))


def trial(taken: pd.DataFrame) -> list[Estimate]:
    """Free trial and staying two months, within service."""
    rows = taken[taken["seen"] >= 2]
    stays = (rows["lasted"].fillna(np.inf) > 2).to_numpy(float)
    design = pd.get_dummies(rows["service"], dtype=float).assign(trial=rows["trial"].astype(float))
    fit = sm.OLS(stays, design.to_numpy()).fit(cov_type="HC1")
    method = "share staying two months"
    return [
        Estimate.from_error("services.trial.staying", fit.params[-1], fit.bse[-1], kind="null", method=method)
    ]


def partner(panel: Panel, taken: pd.DataFrame) -> list[Estimate]:
    """How many of the partners' subscribers were customers before."""
    rows = taken[taken["promo_channel"] == "partner"]
    before = rows["week"].to_numpy() > panel.joined[rows["customer"]]
    share = before.mean()
    error = np.sqrt(share * (1 - share) / len(rows))
    return [Estimate.from_error("services.partner.had_already", share, error, method="share of subscribers")]


def promotion(panel: Panel, taken: pd.DataFrame) -> list[Estimate]:
    """EXP-VAS: arms against none, with the promoted persons each follows."""
    rows = panel.contacts("EXP-VAS").drop_duplicates("customer").set_index("customer")
    campaigns = panel.company.tables["campaigns"]
    start = week_of([campaigns.loc[campaigns["experiment_id"] == "EXP-VAS", "start_on"].min()])[0]
    hits = taken.loc[taken["week"].between(start, start + 4, inclusive="left"), "customer"]
    hit, arm = rows.index.isin(hits).astype(float), rows["arm"].astype(object)
    past = panel.orders[panel.orders["week"] < start].groupby("customer")["amount"].mean()
    big = (past.reindex(rows.index) >= BIG_BASKET).to_numpy(float)
    design = pd.get_dummies(arm, dtype=float).drop(columns="none")
    for mail in ("email_generic", "email_personal"):
        design[f"{mail}.big"] = design[mail] * big
        design[f"{mail}.small"] = design.pop(mail) * (1 - big)
    dose, followed = exposure(panel, start, arm)
    design["spill"] = np.minimum(dose.reindex(rows.index).fillna(0), 4)
    known = followed.reindex(rows.index).fillna(0)
    for number in range(1, 7):
        design[f"follows {number}"] = (known == number).astype(float)
    design["follows more"], design["follows how many more"] = (
        (known > 6).astype(float),
        (known - 6).clip(lower=0),
    )
    design["big"], design["one"] = big, 1.0
    fit = sm.OLS(hit, design.to_numpy(float)).fit(cov_type="HC1")
    value, covariance = pd.Series(fit.params, design.columns), fit.cov_params()
    covariance = pd.DataFrame(covariance, design.columns, design.columns)

    def of(name, method, **weights):
        w = pd.Series(weights)
        error = np.sqrt(w @ covariance.loc[w.index, w.index] @ w)
        return Estimate.from_error(name, w @ value[w.index], error, method=method)

    text, found = "share within four weeks", []
    for name in ("page", "social", "event", "partner"):
        found.append(of(f"exp_vas.{name}", text, **{name: 1.0}))
    share = big.mean()
    both = {"email_generic.big": share, "email_generic.small": 1 - share}
    found.append(of("exp_vas.email_generic", text, **both))
    for size in ("big", "small"):
        mail = {f"email_personal.{size}": 1.0}
        one = of(f"exp_vas.email_personal.{size}", text + ", by basket", **mail)
        found.append(one if size == "big" else as_null(one))
        found.append(
            of(
                f"exp_vas.personal_less_generic.{size}",
                text + ", by basket",
                **mail,
                **{f"email_generic.{size}": -1},
            )
        )
    guests = (rows["n_clicked"] > 0)[arm == "event"].mean()
    found.append(of("exp_vas.event.guests", "Wald: ITT by attendance", event=1 / guests))
    found.append(of("exp_vas.spill", "per promoted person followed", spill=1.0))
    return found


def as_null(estimate: Estimate) -> Estimate:
    return Estimate(
        estimate.name, estimate.value, estimate.low, estimate.high, "null", method=estimate.method
    )


def exposure(panel: Panel, start: float, arm: pd.Series) -> tuple[pd.Series, pd.Series]:
    """By follower: persons of the social arm followed at the start, and persons of any arm followed."""
    edges = panel.company.tables["social_edges"]
    edges = edges[(edges["kind"] == "follow") & (week_of(edges["at"]) < start)]
    number = pd.Series(panel.customers.index, index=panel.customers["customer_id"].astype(object))
    src, dst = (edges[f"{end}_customer_id"].astype(object).map(number).to_numpy() for end in ("src", "dst"))
    to = arm.reindex(dst).to_numpy()
    by = pd.DataFrame({"social": to == "social", "asked": pd.notna(to)}).groupby(src).sum()
    return by["social"], by["asked"]
