"""Messages to known customers: rows, channels, redemptions, and the rules of sending."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import company, contacts
from custkit.simulate.draft import parameters


@pytest.fixture(scope="module")
def drawn():
    return company.build(3, customers=800, until="contacts")


@pytest.fixture(scope="module")
def sends(drawn):
    return drawn.tables["contacts"]


def test_a_row_for_each_campaign_customer_and_cycle(drawn, sends):
    assert not sends.duplicated(["campaign_id", "customer_id", "cycle"]).any()
    campaigns = drawn.tables["campaigns"].set_index("campaign_id")
    assert campaigns.index.is_unique
    assert set(sends["campaign_id"]) <= set(campaigns.index)
    day = sends["first_sent_at"].dt.normalize()
    late = day > sends["campaign_id"].map(campaigns["end_on"])
    early = day < sends["campaign_id"].map(campaigns["start_on"])
    assert not (late | early).any()


def test_every_experiment_keeps_its_control_group(drawn, sends):
    arms = drawn.tables["trial_arms"].assign(arm=lambda frame: frame["arm"].astype(str))
    for name, rows in arms.groupby("experiment_id"):
        if name == "EXP-EXPIRY":  # only members whose points run out are reminded
            continue
        there = sends[sends["experiment_id"] == name].drop_duplicates(["customer", "arm"])
        assert sorted(zip(there["customer"], there["arm"], strict=True)) == sorted(
            zip(*(rows.drop_duplicates(["customer", "arm"])[key] for key in ("customer", "arm")), strict=True)
        ), name


def test_nothing_sent_means_nothing_read_paid_or_left(sends):
    silent = sends[sends["n_sent"] == 0]
    assert len(silent)
    assert silent["first_sent_at"].isna().all()
    assert (silent[["n_opened", "n_clicked", "cost"]] == 0).all(axis=None)
    assert not silent["complained"].any()
    assert sends.loc[sends["n_sent"] > 0, "first_sent_at"].notna().all()
    assert (sends["n_clicked"] <= sends["n_opened"]).all()
    assert (sends["n_opened"] <= sends["n_sent"]).all()


def test_who_left_the_newsletter_gets_no_more_of_it(sends):
    news = sends.query("experiment_id == 'NEWS'")
    left = news[news["unsubscribed"]].set_index("customer")["cycle"]
    assert len(left)
    last = news.groupby("customer")["cycle"].max()
    pd.testing.assert_series_equal(last.loc[left.index], left, check_names=False)


def test_only_the_blanket_message_went_to_people_without_consent(drawn, sends):
    allowed = drawn.tables["people"]["consent_marketing"].to_numpy()[sends["customer"]]
    strays = sends[(sends["n_sent"] > 0) & ~allowed & (sends["channel"] != "page")]
    assert set(strays["campaign_id"]) == {"CRM01"}


def test_redeemed_offers_name_their_campaign(drawn):
    orders = drawn.tables["orders"]
    offered = orders["promo_arm"].isin(["discount", "threshold", "gift"]) & orders["campaign_id"].notna()
    assert offered.any()
    named = orders.loc[offered, "campaign_id"].str.removeprefix("PROMO95-")
    assert (named == orders.loc[offered, "promo_arm"]).all()
    assert set(orders["campaign_id"].dropna()) <= set(drawn.tables["campaigns"]["campaign_id"])


def test_the_arm_of_the_personal_mail_does_not_hang_on_what_was_drawn_before(drawn):
    pd.testing.assert_series_equal(contacts.pers_arms(drawn), contacts.pers_arms(drawn))
    mails = drawn.tables["people"]["consent_channels"].fillna("").astype(str).str.contains("email")
    assert mails.to_numpy()[contacts.pers_arms(drawn).index].all()


def test_stage_by_hand():
    """At week 50: joined at 45 and ordered then; at 20 and 48; at 10 and 30; at 10 only."""
    draft = company.build(1, customers=4, until="people")
    draft.tables["people"] = draft.tables["people"].assign(joined_week=[45.0, 20.0, 10.0, 10.0])
    draft.tables["orders"] = pd.DataFrame(
        {"customer": [0, 1, 1, 2, 2, 3], "week": [45.0, 20.0, 48.0, 10.0, 30.0, 10.0]}
    )
    assert contacts.stage(draft, np.arange(4), 50.0).tolist() == ["new", "active", "late", "lost"]


def test_every_campaign_has_a_setting():
    given = parameters("contacts")
    assert set(given["offers"]) <= {*given["arm_channel"], "reminder", "coupon10", "coupon20", "gift",
                                    "discount", "threshold", "double"}  # fmt: skip
    assert set(given["arm_channel"].values()) <= set(given["unit_cost"])
