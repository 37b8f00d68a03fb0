"""Firms and leads as known after seven days: office hours, records, duplicates, sources."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import company, firm_records, firms
from custkit.simulate.draft import parameters, the_clock
from custkit.simulate.streams import stream


@pytest.fixture(scope="module")
def draft():
    drawn = company.build(5, customers=1500, until="staff")
    drawn.tables |= firms.draw(drawn)
    return drawn


@pytest.fixture(scope="module")
def leads(draft):
    return draft.tables["leads"]


def test_office_time_by_hand():
    clock = the_clock()
    # Tuesday noon is 3.5 of 9.5 hours into the second of five days.
    week = (1 + 3.5 / 9.5) / 5
    got = firms.office_time(clock, [0.0, week + 1e-9, 1.0])
    assert [str(time)[:16] for time in got] == ["2024-01-01T08:30", "2024-01-02T12:00", "2024-01-08T08:30"]


def test_office_time_keeps_order_and_office_hours():
    times = pd.Series(firms.office_time(the_clock(), np.sort(stream(1, "t").random(2000)) * 104))
    assert times.is_monotonic_increasing
    assert times.dt.day_of_week.max() == 4
    hours = times.dt.hour + times.dt.minute / 60
    assert hours.min() >= 8.5
    assert hours.max() < 18
    assert np.isnat(firms.office_time(the_clock(), [np.nan]))[0]


def test_working_weeks_of_a_week_of_work():
    assert firms.working_weeks(5 * 9.5) == pytest.approx(1)


def test_size_z_is_centred_where_the_parameters_say():
    given = parameters("firms")["size"]
    assert firms.size_z(np.exp(given["log_mean"])) == pytest.approx(0)
    assert firms.size_z(np.exp(given["log_mean"] + given["log_std"])) == pytest.approx(1)


def test_leads_are_in_order_of_time_with_unique_ids(leads, draft):
    assert leads["lead_id"].is_unique
    assert leads["week"].is_monotonic_increasing
    assert leads["created_at"].is_monotonic_increasing
    assert leads["week"].between(0, draft.clock.weeks).all()


def test_number_of_leads_follows_the_size_of_the_company(leads):
    firms_alone = (leads["original"] < 0).sum()
    assert abs(firms_alone - 750) < 4 * np.sqrt(750)
    assert (leads["original"] >= 0).sum() == round(0.08 * firms_alone)


def test_duplicates_come_later_and_repeat_the_firm(leads):
    again = leads[leads["original"] >= 0]
    first = leads.iloc[again["original"]]
    assert (first["original"] < 0).all()
    assert (again["week"].to_numpy() > first["week"].to_numpy()).all()
    for name in ("sector", "city", "area_type", "credit_grade", "need_group"):
        assert (again[name].to_numpy() == first[name].to_numpy()).all()


def test_duplicates_can_be_found_by_what_they_share(leads):
    again = leads[leads["original"] >= 0]
    first = leads.iloc[again["original"]]
    digits = [frame["phone"].str.replace(r"\D", "", regex=True).to_numpy() for frame in (again, first)]
    same_phone = digits[0] == digits[1]
    same_email = again["email"].to_numpy() == first["email"].to_numpy()
    same_domain = (
        again["email"].str.split("@").str[1].to_numpy() == first["email"].str.split("@").str[1].to_numpy()
    )
    assert 0.6 < same_phone.mean() < 0.85
    assert (same_phone | same_email | same_domain).mean() > 0.85
    assert not (same_phone & same_email).all()
    assert (again["company"].to_numpy() != first["company"].to_numpy()).mean() > 0.4


def test_competitors_are_counted_where_there_are_any(leads):
    assert (leads["n_competitors"].gt(0) == leads["competitor_present"]).all()


def test_a_warm_contact_is_a_consumer_with_the_same_number(leads, draft):
    warm = leads[(leads["customer"] >= 0) & (leads["original"] < 0)]
    people = draft.tables["people"].iloc[warm["customer"]]
    assert len(warm) > 40
    assert (warm["phone"].to_numpy() == people["phone"].to_numpy()).all()
    assert (warm["contact_name"].to_numpy() == people["name"].to_numpy()).all()
    assert (people["joined_week"].to_numpy() <= warm["week"].to_numpy()).all()
    strangers = leads[(leads["customer"] < 0) & (leads["original"] < 0)]
    assert not strangers["phone"].isin(draft.tables["people"]["phone"]).any()


def test_addresses_are_invented(leads):
    assert leads["email"].str.fullmatch(r"[a-z0-9.\-]+@[a-z0-9.\-]*example\.com").all()
    assert leads["phone"].str.fullmatch(r"[(]?000[)]?[ -]?\d+").all()


def test_reply_hours_are_those_between_two_office_times(leads, draft):
    replied = firms.office_time(draft.clock, leads["reply_week"])
    hours = (replied - leads["created_at"].to_numpy()) / np.timedelta64(3600, "s")
    assert np.abs(hours - leads["first_reply_h"]).max() < 0.051
    assert leads["first_reply_h"].min() >= 0


def test_reps_are_reps(leads, draft):
    role = draft.tables["staff"].set_index("staff_id")["role"]
    assert set(role[leads["staff_id"].unique()]) == {"sales_rep"}


def test_consent_has_a_time_and_a_ground(leads):
    assert (leads["consent_ts"].notna() == leads["consent"]).all()
    assert (leads["retention_basis"].eq("consent") == leads["consent"]).all()


def test_leads_of_a_fair_come_after_it_opens(leads, draft):
    fairs = draft.tables["campaigns"].query("audience == 'business' and channel == 'expo'")
    new = leads[(leads["source"] == "expo") & (leads["original"] < 0)]
    opened = np.searchsorted(fairs["start_on"], new["created_at"], "right") - 1
    since = new["created_at"].to_numpy() - fairs["start_on"].to_numpy()[opened]
    assert (opened >= 0).all()
    assert since.max() <= np.timedelta64(17, "D")


def test_business_campaigns_have_ids_of_their_own(draft):
    campaigns = draft.tables["campaigns"]
    assert campaigns["campaign_id"].is_unique
    assert set(campaigns.loc[campaigns["audience"] == "business", "kind"]) == {
        "media",
        "content",
        "field",
        "crm",
    }
    arms = campaigns[campaigns["experiment_id"] == "EXP-LEAD"]
    assert len(arms) == 4
    assert arms["randomised"].all()


@pytest.mark.parametrize(
    "name", ["Pineyard Harbour Café", "Ravenscar Old Mill Software Ltd", "北港松果咖啡馆"]
)
def test_another_hand_types_nearly_the_same(name):
    typed = {firm_records._retyped(stream(seed, "t"), name) for seed in range(60)}
    assert len(typed) >= 3
    for other in typed:
        shared = set(other.lower()) & set(name.lower())
        assert len(shared) >= 0.6 * len(set(name.lower())) or other in name


def test_a_wrong_number_differs_in_one_digit():
    for seed in range(40):
        phone = firm_records._phone(stream(seed, "p"), "000-1234567", same=False)
        digits = "".join(filter(str.isdigit, phone)).removeprefix("000")
        assert len(digits) == 7
        assert sum(a != b for a, b in zip(digits, "1234567", strict=True)) == 1


def test_the_same_seed_gives_the_same_leads(draft, leads):
    pd.testing.assert_frame_equal(firms.draw(draft)["leads"], leads)
