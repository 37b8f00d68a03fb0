"""Won leads as business accounts: their records, who referred whom, contracts, and what they answer.

How long contracts last is shifted-beta-geometric (Fader and Hardie 2007); a Gaussian copula ties it to
satisfaction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import betaln

from custkit.simulate import account_orders
from custkit.simulate.business_answers import business_answers
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.renewals import subscriptions
from custkit.simulate.streams import choose


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`accounts`, and `leads`, `orders`, `order_lines`, `vas_subscriptions`, `survey_answers` with theirs.

    The rows of consumers stay as they are; those of accounts come after them. Hidden columns of
    `accounts`: lead (row of `leads`), signed_week, joined_week, ends_week, satisfaction (N(0, 1)), leave
    (chance to leave in a month), order_rate (a week).
    """
    accounts = _records(draft)
    _contracts(draft, accounts)
    tables = {"leads": _referrals(draft, accounts)}
    orders = account_orders.draw(draft, accounts)
    answers = business_answers(draft, accounts)
    more = {"vas_subscriptions": _subscriptions(draft, accounts), "survey_answers": answers}
    for name, rows in (orders | more).items():
        tables[name] = append(draft.tables[name], rows) if name in draft.tables else rows
    return tables | {"accounts": accounts}


def append(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows after those of a frame; hidden columns that they lack are filled without a change of type."""
    blank = {"b": False, "i": -1, "f": np.nan, "M": np.datetime64("NaT")}
    rows = rows.reindex(columns=frame.columns)
    for name in frame.columns[rows.isna().all()]:
        kind = frame[name].dtype
        rows[name] = pd.Series([blank.get(kind.kind)] * len(rows), dtype=kind, index=rows.index)
    return pd.concat([frame, rows], ignore_index=True)


def _records(draft: Draft) -> pd.DataFrame:
    """All that `customers` tells of an account."""
    given, rng, leads = parameters("selling")["accounts"], draft.rng("accounts"), draft.tables["leads"]
    won = leads[leads["outcome"] == "won"].sort_values("close_week")
    n = len(won)
    accounts = won[["lead_id", "email", "phone", "city", "area_type", "sector", "size_z", "consent_ts"]]
    accounts = accounts.reset_index(names="lead")
    accounts.insert(0, "customer_id", draft.ids("B", n))
    signed = won["close_week"].to_numpy()
    room = np.minimum(given["first_order_weeks"], draft.clock.weeks - signed)
    first = signed + room * rng.uniform(0.02, 0.98, n)
    accounts["name"], accounts["customer_type"] = won["company"].to_numpy(), "business"
    accounts["signed_week"], accounts["joined_week"] = signed, first
    accounts["joined_at"] = account_orders.times(draft, first)
    accounts["acq_channel"] = won["source"].map(given["acq_channel"]).to_numpy()
    accounts["consent_marketing"] = won["consent"].to_numpy()
    accounts["consent_channels"] = np.where(accounts["consent_marketing"], "email;phone", None)
    versions = parameters("people")["consent"]["policy_versions"]
    from_days = np.array([str(day) for day in versions], dtype="datetime64[D]")
    when = accounts["consent_ts"].fillna(pd.Timestamp(draft.clock.start)).to_numpy().astype("datetime64[D]")
    known = np.array(list(versions.values()), dtype=object)[np.searchsorted(from_days, when, "right") - 1]
    accounts["policy_version"] = np.where(accounts["consent_marketing"], known, None)
    accounts["erasure_requested_at"] = pd.Series(np.datetime64("NaT", "s"), index=accounts.index)
    accounts["member_since"] = accounts["erasure_requested_at"]
    absent = dict.fromkeys(("acq_campaign_id", "occupation", "interests"))
    numbers = dict.fromkeys(("birth_year", "birth_month", "income_band"), np.nan)
    fixed = {"gender": "undisclosed", "social_platform": "none", "app_user": False, "panel": "bau"}
    return accounts.assign(**absent, **numbers, **fixed, consent_profiling=False)


def _contracts(draft: Draft, accounts: pd.DataFrame) -> None:
    """When each contract ends; a little beyond the record too, since an account slips before it leaves."""
    given, rng = parameters("selling"), draft.rng("business contracts")
    accounts["satisfaction"] = rng.standard_normal(len(accounts))
    longer = replace(draft.clock, weeks=draft.clock.weeks + given["accounts"]["slip"]["weeks"])
    stay = given["contract"]["stay"] * accounts["satisfaction"].to_numpy()
    lasting = subscriptions(rng, longer, "BIZ", accounts["signed_week"], stay=stay)
    seen = lasting["end_week"].to_numpy() < draft.clock.weeks
    accounts["started_on"] = lasting["started_on"]
    accounts["ended_on"] = lasting["ended_on"].where(seen)
    accounts["ends_week"] = lasting["end_week"]
    accounts["dropped_week"] = lasting["end_week"].where(seen)


def _subscriptions(draft: Draft, accounts: pd.DataFrame) -> pd.DataFrame:
    """The contracts as subscriptions of service BIZ."""
    given, rng, n = parameters("selling")["contract"], draft.rng("business fees"), len(accounts)
    leads = draft.tables["leads"].iloc[accounts["lead"]]
    fee = leads["contract_value_year"].to_numpy() * (1 - leads["discount_pct"].to_numpy() / 100) / 12
    ended = accounts["dropped_week"].notna().to_numpy()
    _plant(draft)
    return pd.DataFrame(
        {
            "subscription_id": draft.ids("VB", n),
            "customer_id": accounts["customer_id"],
            "service": "BIZ",
            "started_on": accounts["started_on"],
            "ended_on": accounts["ended_on"],
            "fee_month": np.round(fee, 2),
            "cost_month": np.round(fee * given["cost_share"], 2),
            "promo_channel": "none",
            "message": None,
            "trial": False,
            "cancel_reason": np.where(ended, choose(rng, given["cancel_reasons"], n), None),
        }
    )


def _referrals(draft: Draft, accounts: pd.DataFrame) -> pd.DataFrame:
    """`leads` with `referred_by`: an account that had signed before, or else a consumer."""
    given, rng, leads = (
        parameters("selling")["accounts"],
        draft.rng("referrals of firms"),
        draft.tables["leads"],
    )
    rows = np.flatnonzero(leads["source"] == "referral")
    week = leads["week"].to_numpy()[rows]
    keen = np.cumsum(rng.gamma(given["advocate_shape"], size=len(accounts)))
    signed = np.searchsorted(accounts["signed_week"], week)
    weight = np.concatenate([[0.0], keen])[signed]
    account = np.searchsorted(keen, rng.random(len(rows)) * weight)
    ids = accounts["customer_id"].to_numpy(object)
    by_account = (rng.random(len(rows)) < given["referred_by_account"]) & (signed > 0)
    people = draft.tables["people"]
    earlier = np.maximum(np.searchsorted(people["joined_week"], week), 1)
    consumer = people["customer_id"].to_numpy(object)[np.floor(rng.random(len(rows)) * earlier).astype(int)]
    consumer[by_account] = ids[account[by_account]]
    by = np.full(len(leads), None, dtype=object)
    by[rows] = consumer
    return leads.assign(referred_by=by)


def _plant(draft: Draft) -> None:
    given = parameters("services")["churn"]["BIZ"]
    a, b = given["alpha"], given["beta"]
    for months in (6, 12):
        # Fader and Hardie (2007), equation 6: S(t) = B(alpha, beta + t) / B(alpha, beta).
        alive = np.exp(betaln(a, b + months) - betaln(a, b))
        draft.plant(f"accounts.survival.{months}", alive, "share", f"contracts alive after {months} months")
