"""What the estimators of surveys share: the invited, who answered, weights, and a few standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recovery.estimate import Company
from recovery.order_panel import week_of

WAVES = {"2024H1": 22, "2024H2": 46, "2025H1": 72, "2025H2": 94}  # weeks since the start
FRAME_WEEKS, FIELD_WEEKS = 26, 4
AGE_EDGES = [1900, 1955, 1965, 1975, 1985, 1995, 2020]  # of birth


@dataclass(frozen=True)
class Surveys:
    """Answers of consumers with the frame they came from."""

    company: Company

    @cached_property
    def customers(self) -> pd.DataFrame:
        """Consumers, by customer_id."""
        customers = self.company.tables["customers"].query("customer_type == 'consumer'")
        return customers.set_index(customers["customer_id"].astype("str"))

    @cached_property
    def orders(self) -> pd.DataFrame:
        """customer_id, week and channel of consumers' orders, by time."""
        table = self.company.tables["orders"]
        table = table[table["customer_id"].isin(self.customers.index)]
        orders = pd.DataFrame(
            {
                "customer_id": table["customer_id"].astype("str").to_numpy(),
                "week": week_of(table["ordered_at"]),
                "channel": table["channel"].astype(object).to_numpy(),
            }
        )
        return orders.sort_values("week", ignore_index=True)

    @cached_property
    def complaints(self) -> pd.DataFrame:
        """customer_id, topic and week of complaints."""
        table = self.company.tables["tickets"].query("kind == 'complaint'")
        return table[["customer_id", "topic"]].assign(week=week_of(table["opened_at"]))

    def sheets(self, who: str) -> pd.DataFrame:
        """Answers of one type of respondent, one row per response; numbers as numbers."""
        answers = self.company.tables["survey_answers"]
        answers = answers[answers["respondent_type"] == who].astype({"item": object, "answer": object})
        head = answers.drop_duplicates("response_id").set_index("response_id")
        wide = head[["respondent_id", "wave"]].astype("str").assign(week=week_of(head["answered_at"]))
        answers = answers.assign(number=pd.to_numeric(answers["answer"], errors="coerce"))
        in_words = answers["item"].isin(answers.loc[answers["number"].isna(), "item"].unique())
        for some, column in ((answers[~in_words], "number"), (answers[in_words], "answer")):
            wide = wide.join(some.pivot(index="response_id", columns="item", values=column))
        return wide

    @cached_property
    def own(self) -> pd.DataFrame:
        """Answers of consumers."""
        return self.sheets("customer")

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Everybody invited, with the answers of those who sent them (`answered`) and their `weight`."""
        parts = []
        for wave, start in WAVES.items():
            recent = self.orders[self.orders["week"].between(start - FRAME_WEEKS, start, inclusive="left")]
            last = recent.drop_duplicates("customer_id", keep="last")
            trouble = self.complaints["week"].between(start - FRAME_WEEKS, start, inclusive="left")
            complained = last["customer_id"].isin(self.complaints.loc[trouble, "customer_id"].unique())
            parts.append(
                pd.DataFrame(
                    {
                        "respondent_id": last["customer_id"],
                        "wave": wave,
                        "start": start,
                        "last_channel": last["channel"],
                        "complained": complained,
                    }
                )
            )
        frame = pd.concat(parts, ignore_index=True)
        born = self.customers["birth_year"].reindex(frame["respondent_id"]).to_numpy(float)
        frame["decades"] = (2025 - born) / 10
        frame["age"] = pd.cut(born, AGE_EDGES, labels=False)
        frame["age"] = frame["age"].fillna(-1)
        core = self.own[self.own["nps"].notna()]
        frame = frame.merge(core, on=["respondent_id", "wave"], how="left")
        frame["answered"] = frame["nps"].notna()
        frame["weight"] = np.nan
        # Whose age is not known gets no weight: who answers hangs on age.
        for _, some in frame[frame["age"] >= 0].groupby("wave"):
            frame.loc[some.index, "weight"] = raked(some, some["answered"], ["age", "complained"])
        return frame

    def weighted_mean(self, values: pd.Series) -> tuple[float, float]:
        """Mean over everybody invited, with its standard error; of a column that some who answered have.

        The sample is small beside the frame: no correction for its share, unless most were asked.
        """
        known = values.notna() & self.frame["weight"].notna()
        rows = self.frame[known]
        y, w = values[known].to_numpy(float), rows["weight"].to_numpy()
        mean = np.average(y, weights=w)
        # What is left of the values after the margins that the weights are raked to.
        margins = pd.get_dummies(rows[["age", "complained"]].astype(str), drop_first=True, dtype=float)
        design = np.column_stack([np.ones(len(y)), margins])
        root = np.sqrt(w)
        slope = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        rest = y - design @ slope
        return mean, float(np.sqrt(((w * rest) ** 2).sum()) / w.sum())

    def sampled(self, values: pd.Series) -> float:
        """Factor on a standard error where so large a part of the frame was seen."""
        known = values.notna() & self.frame["weight"].notna()
        waves = self.frame.loc[known, "wave"].unique()
        return float(np.sqrt(1 - known.mean() / self.frame["wave"].isin(waves).mean()))


def raked(frame: pd.DataFrame, answered: pd.Series, margins: list[str], rounds: int = 30) -> np.ndarray:
    """Weights of those who answered so that they show the frame's margins (Deming and Stephan 1940)."""
    weight = np.where(answered, 1.0, 0.0)
    codes = [pd.factorize(frame[name])[0] for name in margins]
    goals = [np.bincount(code) for code in codes]
    for _ in range(rounds):
        for code, goal in zip(codes, goals, strict=True):
            weight = weight * (goal / np.maximum(np.bincount(code, weight), 1e-9))[code]
    return np.where(answered, weight, np.nan)


def trial_arm(surveys: Surveys, name: str) -> pd.Series:
    """Arm of each customer in an experiment, as the contacts keep it."""
    tables = surveys.company.tables
    campaigns = tables["campaigns"]
    trial = campaigns.loc[campaigns["experiment_id"] == name, "campaign_id"]
    sent = tables["contacts"][tables["contacts"]["campaign_id"].isin(trial)]
    sent = sent.astype({"customer_id": "str", "arm": object}).drop_duplicates("customer_id")
    return sent.set_index("customer_id")["arm"]
