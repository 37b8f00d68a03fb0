"""What the estimators of leads share: leads that had time to end, with what an analyst can join to them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import special

from recovery.estimate import Company, Estimate

START, AS_OF = pd.Timestamp("2024-01-01"), pd.Timestamp("2025-12-28")
RIPE = AS_OF - pd.Timedelta(weeks=16)  # of leads created later too many are still open
OLD = AS_OF - pd.Timedelta(weeks=26)  # of leads created before hardly any
STAGES = ["contacted", "qualified", "proposal", "negotiation"]


def working_weeks(times) -> np.ndarray:
    """Times as weeks of office time (Monday to Friday, 8:30 to 18:00) since the start; nan where missing."""
    times = pd.Series(pd.to_datetime(times)).reset_index(drop=True)
    day = (times - START).dt.days
    hour = times.dt.hour + times.dt.minute / 60
    part = np.clip((hour - 8.5) / 9.5, 0, 1)
    return (day // 7 + np.minimum(day % 7 + part, 5) / 5).to_numpy(float)


def digits(phone: pd.Series) -> pd.Series:
    """Digits of telephone numbers, however they are written."""
    return phone.astype(str).str.replace(r"\D", "", regex=True)


class LeadPanel:
    """Leads of a company, with features by which winning is explained.

    Attributes
    ----------
    leads : DataFrame
        Every lead.
    ripe : DataFrame
        Leads created early enough, ended, and not closed as duplicates; with `won` and the features.
    """

    def __init__(self, company: Company):
        self.tables = company.tables
        names = ("source", "sector", "city", "contact_role", "credit_grade", "staff_id", "outcome", "lead_id")
        leads = company.tables["leads"]
        self.leads = leads.assign(**{name: leads[name].astype(object) for name in names})
        activities = company.tables["lead_activities"]
        names = ("kind", "lead_id", "stage_from", "stage_to", "message", "case_lead_id")
        self.activities = activities.assign(**{name: activities[name].astype(object) for name in names})
        ended = self.leads["outcome"].ne("open") & self.leads["lost_reason"].astype(object).ne("duplicate")
        self.ripe = self.leads[ended & (self.leads["created_at"] < RIPE)].reset_index(drop=True)
        self.ripe["won"] = self.ripe["outcome"].eq("won").astype(float)
        self._firm()
        self._sales()

    def _firm(self) -> None:
        """Features known on the seventh day."""
        ripe = self.ripe
        ripe["size"] = (np.log(ripe["headcount"].astype(float)) - 3.5) / 1.05
        ripe["fit"] = (ripe["fit_score"].astype(float) - 3) / 1.095
        ripe["waited"] = np.minimum(ripe["first_reply_h"].astype(float), 48)
        ripe["week"] = (ripe["created_at"] - START) / pd.Timedelta(weeks=1)
        read = ripe["content_downloads"].astype(object).fillna("").str.split(";")
        ripe["read_pricing"] = read.map(lambda topics: "pricing" in topics)
        ripe["read_other"] = read.map(lambda topics: any(topic not in ("", "pricing") for topic in topics))
        customers = self.tables["customers" if "customers" in self.tables else "people"]
        private = customers[customers["customer_type"].astype(object) == "consumer"]
        ripe["warm"] = digits(ripe["phone"]).isin(digits(private["phone"]))
        staff = self.tables["staff"].assign(staff_id=lambda frame: frame["staff_id"].astype(object))
        staff = staff.set_index("staff_id")
        ripe["trained"] = ripe["staff_id"].map(staff["trained_on"]) <= ripe["created_at"]
        ripe["plan"] = self.plan(ripe["staff_id"], ripe["created_at"])

    def plan(self, staff_id: pd.Series, when: pd.Series) -> np.ndarray:
        """Incentive plan of a rep at a time."""
        staff = self.tables["staff"]
        plans = {
            rep: dict(part.split("=") for part in str(listed).split(";"))
            for rep, listed in zip(staff["staff_id"].astype(object), staff["incentive_plan"], strict=True)
            if isinstance(listed, str)
        }
        quarters = pd.PeriodIndex(when, freq="Q").astype(str)
        return np.array([plans[rep][quarter] for rep, quarter in zip(staff_id, quarters, strict=True)])

    def _sales(self) -> None:
        """What the team did in the first stage, which every lead goes through."""
        ripe, done = self.ripe, self.activities
        touches = done[done["kind"].isin(["email", "call"])]
        first = touches.drop_duplicates("lead_id").set_index("lead_id")
        ripe["call"] = ripe["lead_id"].map(first["kind"]).eq("call")
        ripe["personal"] = ripe["lead_id"].map(first["message"]).eq("personal")
        ripe["in_experiment"] = ripe["lead_id"].map(first["message"]).notna()
        care = ripe["sector"].isin(["school", "clinic"])
        ripe["personal_care"], ripe["personal_other"] = ripe["personal"] & care, ripe["personal"] & ~care
        ripe["needs_call"] = ripe["lead_id"].isin(done.loc[done["kind"] == "needs_call", "lead_id"])
        shown = done[done["kind"] == "case_shared"].set_index("lead_id")["case_lead_id"]
        ripe["case"] = ripe["lead_id"].map(shown)
        ripe["case_shared"] = ripe["case"].notna()
        ripe["likeness"] = self._likeness()
        left = self.changed("contacted", "stage_from")
        early = done[done["kind"].isin(["email", "call", "social"])]
        early = early[early["at"] < early["lead_id"].map(left)]
        ripe["touches"] = ripe["lead_id"].map(early["lead_id"].value_counts()).fillna(0) - 1

    def changed(self, stage: str, side: str) -> pd.Series:
        """When each lead left (`stage_from`) or entered (`stage_to`) a stage, by lead_id."""
        rows = self.activities[self.activities[side] == stage]
        return rows.drop_duplicates("lead_id").set_index("lead_id")["at"]

    def _likeness(self) -> np.ndarray:
        """Gower similarity of each lead to the case shown, less one half; 0 where none was shown."""
        by_id, ripe = self.leads.set_index("lead_id"), self.ripe
        case = by_id.reindex(ripe["case"])
        same = sum(
            (case[name].astype(object).to_numpy() == ripe[name].astype(object).to_numpy()).astype(float)
            for name in ("sector", "city", "area_type")
        )
        gap = np.abs(np.log(case["headcount"].to_numpy(float)) - np.log(ripe["headcount"].to_numpy(float)))
        like = (same + np.maximum(0, 1 - gap / 4.6)) / 4
        return np.where(ripe["case_shared"], like - 0.5, 0.0)

    @cached_property
    def design(self) -> pd.DataFrame:
        """Columns of the joint logit: features, actions, and a level for each rep."""
        ripe = self.ripe
        x = pd.DataFrame({f"source.{name}": ripe["source"] == name for name in
                          ("content", "partner", "referral", "cold_list", "expo")})  # fmt: skip
        x["size"], x["page"], x["demo"] = ripe["size"], ripe["pages_viewed"], ripe["demo_requested"]
        x["competitor"], x["fit"], x["event"] = (
            ripe["competitor_present"],
            ripe["fit"],
            ripe["event_attended"],
        )
        x["reply_hour"], x["warm"] = ripe["waited"], ripe["warm"]
        x["topic.pricing"], x["topic.other"] = ripe["read_pricing"], ripe["read_other"]
        x["trained"] = ripe["trained"]
        x["plan.mixed"], x["plan.material"] = ripe["plan"] == "mixed", ripe["plan"] == "material"
        x["exp_lead.call"] = ripe["call"]
        x["exp_lead.personal.care"], x["exp_lead.personal.other"] = (
            ripe["personal_care"],
            ripe["personal_other"],
        )
        x["needs_call"], x["case_similarity"] = ripe["needs_call"], ripe["likeness"]
        x["null.contact_role"], x["null.city"] = ripe["contact_role"] == "buyer", ripe["city"] == "Northport"
        x["null.n_competitors"] = ripe["n_competitors"] - ripe["competitor_present"]
        budget, months = ripe["budget_band"].astype(float), np.log(ripe["timeline_months"].astype(float))
        x["null.budget_band"], x["null.timeline_months"] = budget - 2.5, months - np.log(4)
        x["null.week"] = ripe["week"] - 44
        x["null.touch"] = ripe["touches"]
        x["untold budget"], x["untold months"] = budget.isna(), months.isna()
        x["case shown"] = ripe["case_shared"]
        reps = pd.get_dummies(ripe["staff_id"].astype(str), prefix="rep")
        return pd.concat([x, reps], axis=1).fillna(0.0).astype(float)

    @cached_property
    def logit(self) -> tuple[pd.Series, pd.Series]:
        """The joint logit of winning: coefficients and standard errors."""
        return firth(self.design, self.ripe["won"])

    def effect(self, name: str, **other) -> Estimate:
        """A coefficient of the joint logit."""
        other = {"method": "joint logit (Firth)"} | other
        return Estimate.from_error(f"leads.{name}", self.logit[0][name], self.logit[1][name], **other)

    def alone(self, name: str, column: pd.Series, method: str) -> Estimate:
        """The same effect by a logit on nothing else: what a hasty reader would take it for."""
        fit = sm.Logit(self.ripe["won"], sm.add_constant(column.astype(float).rename("x"))).fit(disp=0)
        return Estimate.from_error(f"leads.{name}", fit.params["x"], fit.bse["x"], kind="trap", method=method)


def firth(x: pd.DataFrame, y: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Logit without the bias of maximum likelihood when events are few (Firth 1993, Biometrika 80).

    Returns
    -------
    coefficients, std_errors : Series
    """
    names, x, y = x.columns, x.to_numpy(float), y.to_numpy(float)
    beta = np.zeros(x.shape[1])
    for _ in range(60):
        chance = special.expit(x @ beta)
        weight = chance * (1 - chance)
        covariance = np.linalg.inv((x * weight[:, None]).T @ x)
        leverage = weight * ((x @ covariance) * x).sum(axis=1)
        step = covariance @ (x.T @ (y - chance + leverage * (0.5 - chance)))
        beta += step * min(1.0, 2.0 / np.abs(step).max())
        if np.abs(step).max() < 1e-6:
            break
    return pd.Series(beta, names), pd.Series(np.sqrt(np.diag(covariance)), names)
