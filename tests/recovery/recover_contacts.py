"""Effects planted in messages: clicks by stage of the customer's life, and the personal e-mail."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from recovery.estimate import Company, Estimate

SENT_ON = pd.Timestamp("2025-06-23")  # Monday of week 78, when CRM01 went out


def estimates(company: Company) -> list[Estimate]:
    """One estimate for each planted effect of block contacts."""
    return [*_by_stage(company), *_personal_mail(company)]


def stages(company: Company) -> pd.Series:
    """Stage of each consumer on the day of CRM01: new (joined up to 8 weeks ago), active, late (13 weeks
    without an order), lost (26)."""
    orders = company.tables["orders"]
    past = orders[orders["ordered_at"] < SENT_ON].groupby("customer_id")["ordered_at"]
    silent, since = ((SENT_ON - when) / pd.Timedelta(weeks=1) for when in (past.max(), past.min()))
    found = np.select([silent > 26, silent > 13, since <= 8], ["lost", "late", "new"], "active")
    return pd.Series(found, index=silent.index)


def _by_stage(company: Company) -> list[Estimate]:
    sent = company.tables["contacts"].query("campaign_id == 'CRM01'")
    stage = sent["customer_id"].map(stages(company))
    found = []
    for name, clicks in sent.groupby(stage)["n_clicked"]:
        hits, n = int(clicks.sum()), len(clicks)
        low, high = proportion_confint(hits, n, method="wilson")
        found.append(
            Estimate(
                f"contacts.crm01.{name}", 100 * hits / n, 100 * low, 100 * high, method="Wilson interval"
            )
        )
    return found


def _personal_mail(company: Company) -> list[Estimate]:
    """Personal against general e-mail; whether a customer is engaged is latent, and taken from the truth."""
    sent = company.tables["contacts"]
    sent = sent[sent["campaign_id"].str.startswith("PERS85")]
    engaged = sent["customer_id"].map(company.truth["truth_customers"].set_index("customer_id")["engaged"])
    found = []
    for name, kind in (("engaged", "effect"), ("other", "unprovable")):
        part = sent[engaged.eq(name == "engaged")]
        by = part.groupby("arm")["n_clicked"].agg(["sum", "size"])
        low, high = confint_proportions_2indep(*by.loc["personal"], *by.loc["generic"], method="newcomb")
        gap = by["sum"] / by["size"]
        found.append(
            Estimate(
                f"exp_pers.mail.{name}",
                100 * (gap["personal"] - gap["generic"]),
                100 * low,
                100 * high,
                kind=kind,
                method="difference of shares, true engagement",
            )
        )
    return found
