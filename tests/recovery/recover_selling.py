"""Effects of the sales work: experiment, training, plans, cases, stages and deals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import special, stats
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
    plain = sm.Logit(failed, x).fit(disp=0)  # Firth's correction draws rare shares towards one half
    at_d = special.expit(plain.params["at D"] + 1.96 * plain.bse["at D"] * np.array([0, -1, 1]))
    lost = 1 - known["paid_share"].astype(float)[failed == 1]
    wide = stats.t.ppf(0.975, len(lost) - 1) * lost.std() / np.sqrt(len(lost))
    mean = lost.mean()
    return [
        Estimate.from_error(
            "deals.default.per_grade", slope["grade"], error["grade"], method="logit (Firth)"
        ),
        Estimate("deals.default.D", *map(float, at_d), method="logit"),
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
    late, middle = (left <= 10 / 7) & inside, (left > 10 / 7) & (since > 3) & inside
    weeks = 13 - 3 - 10 / 7
    # The plan of the quarter before still shows early in a quarter, so reps without a bonus are compared with
    # the five weeks just before; over all reps the plans rotate and this cancels.
    near = middle & (left <= 10 / 7 + 5) & ~bonus
    found = [
        _bunching("deals.pulled", late.sum(), middle.sum(), weeks, kind="effect"),
        _bunching("deals.pulled.flat", (late & ~bonus).sum(), near.sum(), 5, kind="null"),
    ]
    x = pd.DataFrame({"late": late, "rival": won["competitor_present"].to_numpy()})[inside].astype(float)
    fit = sm.OLS(won["discount_pct"].to_numpy(float)[inside], sm.add_constant(x)).fit(cov_type="HC1")
    more = Estimate.from_error(
        "deals.discount.late", fit.params["late"], fit.bse["late"], method="regression"
    )
    return [*found, more]


def _bunching(name: str, end: int, base: int, weeks: float, kind: str) -> Estimate:
    """Share of the wins of a quarter's last ten days beyond what as many days usually bring.

    Given both counts together the first is binomial, which gives an exact interval of their ratio.
    """
    in_end = np.array([end / (end + base), *proportion_confint(end, end + base, method="beta")])
    span = 1 - (1 - in_end) / np.maximum(in_end, 1e-9) / weeks * 10 / 7
    return Estimate(name, *map(float, span), kind=kind, method="bunching")
