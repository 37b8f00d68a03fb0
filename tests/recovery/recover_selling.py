"""Effects of the sales work: experiment, training, plans, cases, stages, deals and business accounts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.stats.proportion import proportion_confint

from recovery.estimate import Company, Estimate
from recovery.lead_panel import AS_OF, OLD, STAGES, LeadPanel, firth, working_weeks


def estimates(company: Company) -> list[Estimate]:
    """Everything planted by the block `selling`."""
    panel = LeadPanel(company)
    return [
        *_actions(panel),
        *_wins(panel),
        *_visits(panel),
        *_hand_over(panel),
        *_stages(panel),
        *_values(panel),
        *_payment(panel),
        *_pulled(panel),
        *_accounts(company),
    ]


def _actions(panel: LeadPanel) -> list[Estimate]:
    ripe = panel.ripe
    total = panel.activities["lead_id"].value_counts().reindex(ripe["lead_id"]).fillna(0).to_numpy()
    return [
        panel.effect("exp_lead.call"),
        panel.effect("exp_lead.personal.care"),
        panel.effect("exp_lead.personal.other", kind="null"),
        panel.effect("needs_call"),
        panel.effect("case_similarity"),
        panel.effect("trained"),
        panel.effect("plan.mixed"),
        panel.effect("plan.material", kind="unprovable"),
        panel.effect("null.touch", kind="null"),
        panel.alone("needs_call", ripe["needs_call"], "talk alone: reps talk to the promising"),
        panel.alone("null.touch", pd.Series(total, ripe.index), "all activities: winners stay longest"),
    ]


def _wins(panel: LeadPanel) -> list[Estimate]:
    """Share won, and what Kaplan and Meier give when lost leads are taken for unfinished ones."""
    leads = panel.leads[panel.leads["lost_reason"].astype(object).ne("duplicate")]
    idle = leads["first_reply_h"].isna() | leads["outcome"].eq("open")
    early = leads[(leads["created_at"] < OLD) & ~idle]
    won = early["outcome"].eq("won")
    low, high = proportion_confint(won.sum(), len(won), method="wilson")
    waited = (early["closed_at"] - early["created_at"]) / pd.Timedelta(weeks=1)
    curve = sm.SurvfuncRight(waited.to_numpy(), won.to_numpy(int))
    last = np.flatnonzero(waited.sort_values().size * 0.02 < curve.n_risk)[-1]
    missed, error = 1 - curve.surv_prob[last], curve.surv_prob_se[last]
    return [
        Estimate("leads.win_share", won.mean(), low, high, method="won of those ended"),
        Estimate.from_error("leads.win_share", missed, error, kind="trap", method="one minus Kaplan–Meier"),
    ]


def _visits(panel: LeadPanel) -> list[Estimate]:
    """Passing the proposal stage by whether a visit was paid in it, given the odds on the first days."""
    ripe = panel.ripe.assign(odds=panel.design.to_numpy() @ panel.logit[0].to_numpy())
    entered, left = panel.changed("proposal", "stage_to"), panel.changed("proposal", "stage_from")
    there = ripe[ripe["lead_id"].isin(entered.index)].copy()
    passed = panel.changed("negotiation", "stage_to").index
    visits = panel.activities[panel.activities["kind"] == "visit"]
    inside = visits[visits["at"].to_numpy() <= visits["lead_id"].map(left).to_numpy()]
    there["visited"] = there["lead_id"].isin(inside["lead_id"]).astype(float)
    x = sm.add_constant(there[["visited", "odds", "size"]].astype(float))
    fit = sm.Logit(there["lead_id"].isin(passed).astype(float), x).fit(disp=0)
    any_visit = ripe["lead_id"].isin(visits["lead_id"])
    return [
        Estimate.from_error("leads.null.visit", fit.params["visited"], fit.bse["visited"], kind="null",
                            method="within the proposal stage, given the odds"),
        panel.alone("null.visit", any_visit, "visited or not: only advanced leads are visited"),
    ]  # fmt: skip


def _hand_over(panel: LeadPanel) -> list[Estimate]:
    """Winning by whether a colleague took over, among the qualified; and among all, which favours it."""
    ripe = panel.ripe.assign(odds=panel.design.to_numpy() @ panel.logit[0].to_numpy())
    done = panel.activities
    colleague = done["staff_id"].astype(object) != done["lead_id"].map(
        panel.leads.set_index("lead_id")["staff_id"]
    )
    ripe["other"] = ripe["lead_id"].isin(done.loc[colleague, "lead_id"]).astype(float)
    there = ripe[ripe["lead_id"].isin(panel.changed("qualified", "stage_to").index)]
    slope, error = firth(sm.add_constant(there[["other", "odds"]]), there["won"])
    method = "among the qualified, given the odds"
    return [
        Estimate.from_error(
            "leads.null.hand_over", slope["other"], error["other"], kind="null", method=method
        ),
        panel.alone("null.hand_over", ripe["other"], "among all: only advanced leads change hands"),
    ]


def _stages(panel: LeadPanel) -> list[Estimate]:
    """Geometric mean of the time in each stage, which is the median of a lognormal one."""
    ripe, found, logs = panel.ripe[panel.ripe["created_at"] < OLD], [], []
    # Wins hurried into the last days of a quarter would shorten the stages.
    quarter = pd.PeriodIndex(ripe["closed_at"], freq="Q")
    late = working_weeks((quarter + 1).start_time) - working_weeks(ripe["closed_at"]) <= 10 / 7
    ripe = ripe[~(late & ripe["outcome"].eq("won"))].reset_index(drop=True)
    for stage in STAGES:
        begin, end = (
            panel.changed(stage, side).reindex(ripe["lead_id"]) for side in ("stage_to", "stage_from")
        )
        lasting = np.log(np.maximum(working_weeks(end) - working_weeks(begin), 0.01))
        lasting = pd.Series(lasting, ripe.index)
        other = lasting[ripe["source"].ne("referral")].dropna()
        error = other.std() / np.sqrt(len(other))
        middle = np.exp([other.mean(), other.mean() - 1.96 * error, other.mean() + 1.96 * error])
        found.append(Estimate(f"leads.stage.{stage}.median", *map(float, middle), method="geometric mean"))
        logs.append(pd.DataFrame({"log": lasting, "stage": stage, "referral": ripe["source"].eq("referral")}))
    long = pd.concat(logs).dropna()
    x = pd.get_dummies(long["stage"]).assign(referral=long["referral"]).astype(float)
    fit = sm.WLS(long["log"], x, weights=1 / long.groupby("stage")["log"].transform("var")).fit()
    low, high = np.exp(fit.conf_int().loc["referral"])
    ratio = float(np.exp(fit.params["referral"]))
    return [*found, Estimate("leads.referral_time", ratio, low, high, null=1.0, method="log time by stage")]


def _values(panel: LeadPanel) -> list[Estimate]:
    """Log contract value on size, sector and budget where told; discount where a rival is present."""
    won = panel.leads[panel.leads["outcome"] == "won"]
    x = pd.DataFrame({name: won["sector"] == name for name in ("cafe", "hotel", "school", "clinic")}).astype(
        float
    )
    x["size"] = (np.log(won["headcount"].astype(float)) - 3.5) / 1.05
    x["budget"] = won["budget_band"].astype(float)
    told = x["budget"].notna()
    fit = sm.OLS(np.log(won["contract_value_year"].astype(float))[told], sm.add_constant(x[told])).fit()
    rival = sm.add_constant(won["competitor_present"].astype(float))
    off = sm.OLS(won["discount_pct"].astype(float), rival).fit(cov_type="HC1")
    return [
        *(
            Estimate.from_error(
                f"deals.value.{name}", fit.params[name], fit.bse[name], method="log regression"
            )
            for name in x
            if name != "school"
        ),
        Estimate.from_error(
            "deals.value.school", fit.params["school"], fit.bse["school"], method="log regression"
        ),
        Estimate.from_error("deals.discount.competitor", off.params.iloc[1], off.bse.iloc[1], method="means"),
    ]


def _payment(panel: LeadPanel) -> list[Estimate]:
    known = panel.leads[panel.leads["paid_share"].notna()]
    grade = known["credit_grade"].map({name: number for number, name in enumerate("ABCDE")}).astype(float)
    failed = (known["paid_share"].astype(float) < 1).astype(float)
    x = pd.DataFrame({"at D": 1.0, "grade": grade - 3})
    slope, error = firth(x, failed)
    at_d = special.expit(slope["at D"] + 1.96 * error["at D"] * np.array([0, -1, 1]))
    lost = 1 - known["paid_share"].astype(float)[failed == 1]
    wide = stats.t.ppf(0.975, len(lost) - 1) * lost.std() / np.sqrt(len(lost))
    mean = lost.mean()
    return [
        Estimate.from_error(
            "deals.default.per_grade", slope["grade"], error["grade"], method="logit (Firth)"
        ),
        Estimate("deals.default.D", *map(float, at_d), method="the same logit"),
        Estimate("deals.loss_given_default", mean, mean - wide, mean + wide, method="mean, t interval"),
    ]


def _pulled(panel: LeadPanel) -> list[Estimate]:
    """Bunching: wins in a quarter's last ten days against its middle (Kleven 2016), and their discount."""
    won = panel.leads[panel.leads["outcome"] == "won"]
    when = won["closed_at"]
    quarter = pd.PeriodIndex(when, freq="Q")
    left = working_weeks((quarter + 1).start_time) - working_weeks(when)
    since = working_weeks(when) - working_weeks(quarter.start_time)
    bonus = panel.plan(won["staff_id"], when) != "flat"
    # Leads were too young in the first quarter, and the end of the last lies beyond the record.
    inside = (quarter > quarter.min()) & (quarter < pd.Period(AS_OF, freq="Q"))
    late, middle = left <= 10 / 7, (left > 10 / 7) & (since > 3)
    found = []
    for name, group in (("bonus", bonus), ("flat", ~bonus)):
        end, base = (late & group & inside).sum(), (middle & group & inside).sum()
        usual = base / (13 - 3 - 10 / 7) * 10 / 7
        error = np.sqrt(1 / max(end, 1) + 1 / max(base, 1))  # of the logarithm of usual / end
        span = 1 - usual / max(end, 0.5) * np.exp(1.96 * error * np.array([0, 1, -1]))
        kind = "effect" if name == "bonus" else "null"
        found.append(Estimate(f"deals.pulled.{name}", *map(float, span), kind=kind, method="bunching"))
    off = won["discount_pct"].astype(float).to_numpy()
    x = np.column_stack([np.ones(len(won)), late & bonus, won["competitor_present"].astype(float)])
    fit = sm.OLS(off, x.astype(float)).fit(cov_type="HC1")
    share = found[0].value
    pulled = fit.params[1] / share
    error = abs(pulled) * np.hypot(fit.bse[1] / fit.params[1], (found[0].high - found[0].low) / 3.92 / share)
    method = "discount of late wins over the share pulled"
    return [*found, Estimate.from_error("deals.discount.pulled", pulled, error, method=method)]


def _accounts(company: Company) -> list[Estimate]:
    """Orders: NBD until eight weeks before the contract's end, slower after that; length of contracts."""
    tables = company.tables
    contracts = tables["vas_subscriptions"]
    contracts = contracts[contracts["service"].astype(object) == "BIZ"]
    who = pd.Series(np.arange(len(contracts)), index=contracts["customer_id"].astype(object))
    orders = tables["orders"]
    orders = orders[orders["customer_id"].astype(object).isin(who.index)]
    account = orders["customer_id"].astype(object).map(who).to_numpy(int)
    week = working_weeks(orders["ordered_at"])
    first = pd.Series(week).groupby(account).min().reindex(range(len(contracts))).to_numpy()
    ended = contracts["ended_on"].notna().to_numpy()
    end = np.where(ended, working_weeks(contracts["ended_on"]), working_weeks([AS_OF])[0])
    turn = np.maximum(end - 8, first)
    before, repeat = week <= turn[account], week > first[account]
    count = np.bincount(account[before & repeat], minlength=len(contracts))
    late = np.bincount(account[repeat & ~before & (week <= end[account])], minlength=len(contracts))
    exposure, slow = turn - first, end - turn
    return [*_nbd(count, exposure), _slip(count, exposure, late, slow, ended), *_survival(contracts)]


def _nbd(count: np.ndarray, exposure: np.ndarray) -> list[Estimate]:
    """Maximum likelihood of the NBD with unequal exposure; delta method on the logarithms."""
    use = exposure > 0
    x, t = count[use], exposure[use]

    def loss(theta: np.ndarray) -> float:
        r, alpha = np.exp(theta)
        terms = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + x * np.log(t)
        return -float((terms - (r + x) * np.log(alpha + t)).sum())

    fit = optimize.minimize(loss, np.log([1.0, 4.0]), method="Nelder-Mead")
    covariance = np.linalg.inv(_hessian(loss, fit.x))
    spread = {"r": [1, 0], "alpha": [0, 1], "mean": [1, -1]}
    found = []
    for name, weights in spread.items():
        middle, error = np.dot(weights, fit.x), np.sqrt(weights @ covariance @ np.array(weights))
        span = np.exp([middle, middle - 1.96 * error, middle + 1.96 * error])
        found.append(Estimate(f"accounts.rate.{name}", *map(float, span), method="NBD, maximum likelihood"))
    return found


def _hessian(loss, at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    size, moves = len(at), step * np.eye(len(at))
    return np.array(
        [
            [
                (loss(at + moves[i] + moves[j]) - loss(at + moves[i] - moves[j])
                 - loss(at - moves[i] + moves[j]) + loss(at - moves[i] - moves[j])) / (4 * step**2)
                for j in range(size)
            ]
            for i in range(size)
        ]
    )  # fmt: skip


def _slip(count, exposure, late, slow, ended) -> Estimate:
    """Rate in the last eight weeks of a contract over the rate before, each account its own stratum."""
    use = ended & (exposure > 0) & (slow > 0)
    a, b, t1, t0 = late[use], count[use], slow[use], exposure[use]
    total = t1 + t0
    top, bottom = (a * t0 / total).sum(), (b * t1 / total).sum()
    ratio = top / bottom
    variance = ((a + b) * t1 * t0 / total**2).sum() / (top * bottom)  # Greenland and Robins 1985
    span = np.exp(np.log(ratio) + 1.96 * np.sqrt(variance) * np.array([0, -1, 1]))
    return Estimate("accounts.slip", *map(float, span), null=1.0, method="Mantel–Haenszel rate ratio")


def _survival(contracts: pd.DataFrame) -> list[Estimate]:
    """Shifted-beta-geometric survival by maximum likelihood, in months."""
    ended = contracts["ended_on"].notna().to_numpy()
    last = contracts["ended_on"].fillna(AS_OF)
    months = ((last - contracts["started_on"]) / pd.Timedelta(days=365.25 / 12)).to_numpy()
    months = np.where(ended, np.maximum(np.round(months), 1), np.floor(months))

    def alive(theta: np.ndarray, t) -> np.ndarray:
        a, b = np.exp(theta)
        return np.exp(special.betaln(a, b + t) - special.betaln(a, b))

    def loss(theta: np.ndarray) -> float:
        left = np.where(ended, alive(theta, months - 1) - alive(theta, months), alive(theta, months))
        return -float(np.log(np.maximum(left, 1e-300)).sum())

    fit = optimize.minimize(loss, np.log([0.7, 8.0]), method="Nelder-Mead")
    covariance = np.linalg.inv(_hessian(loss, fit.x))
    found = []
    for t in (6, 12):
        share = float(alive(fit.x, t))
        slope = np.array(
            [(alive(fit.x + step, t) - alive(fit.x - step, t)) / 2e-4 for step in 1e-4 * np.eye(2)]
        )
        error = np.sqrt(slope @ covariance @ slope)
        found.append(Estimate.from_error(f"accounts.survival.{t}", share, error, method="sBG"))
    return found
