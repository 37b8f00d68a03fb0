"""Staff and tickets of the simulated company: by hand where it can be, invariants where it cannot."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from custkit.simulate import company, staff, ticket_desk, ticket_orders, tickets
from custkit.simulate.draft import Draft, parameters, words

KINDS, TOPICS = tickets.KINDS, tickets.TOPICS


@pytest.fixture(scope="module")
def drawn() -> Draft:
    return company.build(3, customers=1500, until="tickets")


@pytest.fixture(scope="module")
def table(drawn) -> pd.DataFrame:
    return drawn.tables["tickets"]


@pytest.fixture(scope="module")
def desk(drawn) -> ticket_desk.Desk:
    return ticket_desk.Desk(drawn, tickets.Calendar.of(drawn).load)


def test_staff_is_36_people_with_three_waves_of_training():
    people = staff.draw(Draft(1, 400))["staff"]
    assert people["role"].value_counts().to_dict() == {
        "service_agent": 12, "sales_rep": 10, "store": 8, "marketer": 2, "analyst": 2, "privacy_officer": 1,
        "admin": 1,
    }  # fmt: skip
    assert people["staff_id"].is_unique and people["name"].is_unique
    agents = people[people["role"] == "service_agent"]
    assert agents["trained_week"].value_counts().to_dict() == {29: 3, 55: 3, 81: 3} and len(agents) == 12
    assert set(people["trained_on"].dropna().dt.day_name()) == {"Monday"}
    assert people.loc[~people["role"].isin(["service_agent", "sales_rep"]), "trained_on"].isna().all()
    assert (people["hired_on"] < "2024-01-01").all()


def test_plans_rotate_by_quarter_over_the_sales_teams():
    people = staff.draw(Draft(1, 400))["staff"].drop_duplicates("team").set_index("team")
    plan = people["incentive_plan"]
    first = dict(part.split("=") for part in plan["sales harbour"].split(";"))
    assert list(first) == [f"{year}Q{quarter}" for year in (2024, 2025) for quarter in (1, 2, 3, 4)]
    assert list(first.values())[:4] == ["flat", "mixed", "material", "flat"]
    assert plan["sales hill"].startswith("2024Q1=mixed;2024Q2=material")
    assert plan[~plan.index.str.startswith("sales")].isna().all()


def test_a_larger_company_has_more_staff():
    assert len(staff.draw(Draft(1, 18000))["staff"]) == 3 * 36


def test_tickets_are_whole(table, drawn):
    assert table["ticket_id"].is_unique and table["opened_at"].is_monotonic_increasing
    assert set(table["kind"]) == set(KINDS) and set(table["topic"]) == set(TOPICS)
    assert set(table["staff_id"]) <= set(drawn.tables["staff"]["staff_id"])
    for column, kind in (
        ("playbook", "objection"),
        ("sale_outcome", "objection"),
        ("decision", "suggestion"),
    ):
        assert (table[column].notna() == (table["kind"] == kind)).all()
    never = table["first_reply_min"].isna()
    assert never.any() and table.loc[never, ["csat", "resolved_at"]].isna().all(axis=None)
    assert (table.loc[never, ["n_transfers", "handling_min", "compensation"]] == 0).all(axis=None)
    reply = table["opened_at"] + pd.to_timedelta(table["first_reply_min"] - 0.1, unit="min")
    assert (table["resolved_at"] >= reply)[table["resolved_at"].notna()].all()
    assert table["resolved_at"].max() < np.datetime64("2025-12-29")
    assert (table.loc[table["compensation"] > 0, "kind"] == "complaint").all()
    assert table["csat"].dropna().isin([1, 2, 3, 4, 5]).all()


def test_an_order_named_is_the_customers_and_older_than_the_ticket(table, drawn):
    orders = drawn.tables["orders"].set_index("order_id")
    named = table[table["order_id"].notna() & ~table["prospect"]]
    order = orders.loc[named["order_id"]]
    assert (order["customer"].to_numpy() == named["customer"].to_numpy()).all()
    assert (order["week"].to_numpy() < named["week"].to_numpy()).all()
    assert 0.3 < len(named) / len(table) < 0.6


def test_customers_write_while_they_are_active(table, drawn):
    own = table[~table["prospect"]]
    joined = drawn.tables["people"]["joined_week"].to_numpy()[own["customer"]]
    until = tickets.active_until(drawn)[own["customer"]]
    first_ask = ~own["follow_up"] & own["order_id"].isna()
    assert (own["week"] > joined).all()
    assert (own["week"] < until + 1 / 7)[first_ask].all()


def test_questions_before_the_first_order(table, drawn):
    asked = table[table["prospect"]]
    people = drawn.tables["people"]
    first = drawn.tables["orders"].drop_duplicates("customer").set_index("customer")["order_id"]
    became = asked[asked["customer"] >= 0]
    assert asked["customer_id"].notna().equals(asked["order_id"].notna())
    assert (became["opened_at"].to_numpy() < people["joined_at"].to_numpy()[became["customer"]]).all()
    assert (became["order_id"].to_numpy() == first[became["customer"]].to_numpy()).all()
    assert not became["customer"].duplicated().any()
    assert asked["csat"].isna().all() and len(asked) == 225


def test_poisson_times_follow_the_calendar():
    by_kind = np.zeros((28, 4))
    by_kind[::2, 0] = 2.0  # every other day, as many as on two average days
    calendar = tickets.Calendar(by_kind)
    who, week = calendar.times(
        np.random.default_rng(1), np.array([0.0, 2.0]), np.array([4.0, 2.0]), np.array([500.0, 9])
    )
    assert set(who) == {0}  # the other's time has no length
    assert (np.floor(week * 7 + 1e-9) % 2 == 0).all()
    assert abs(len(week) - 2000) < 4 * np.sqrt(2000)


def test_an_incident_raises_its_topic_in_its_weeks():
    draft = Draft(1, 400)
    weeks = np.array([59.5, 60.5, 61.5, 62.5])  # weeks number 60 to 63
    weights = tickets.topic_weights(draft, "complaint", weeks)[:, TOPICS.index("payment")]
    usual = parameters("tickets")["topics"]["complaint"]["payment"]
    assert weights == pytest.approx([usual, 6 * usual, 6 * usual, usual])
    assert tickets.topic_weights(draft, "objection", weeks).sum(axis=1) == pytest.approx(1)


def test_the_brewing_coach_is_known_by_spell():
    draft = Draft(1, 400)
    spells = {"customer": [0, 0, 1], "service": ["COACH", "CARE", "COACH"]}
    spells |= {"start_week": [10.0, 1.0, 5.0], "end_week": [20.0, 90.0, np.nan]}
    draft.tables["vas_subscriptions"] = pd.DataFrame(spells)
    customer, week = np.array([0, 0, 0, 1, 1, 2]), np.array([9.0, 15, 20, 4, 90, 15])
    assert tickets._advised(draft, customer, week).tolist() == [False, True, False, False, True, False]


def test_the_last_order_before_a_ticket():
    orders = pd.DataFrame({"customer": [0, 0, 1], "week": [1.0, 3.0, 3.0], "order_id": ["a", "b", "c"]})
    asked = pd.DataFrame({"customer": [0, 0, 0, 1, 0], "day": [8, 21, 22, 90, 6]})
    found = ticket_orders._last_order(asked, orders, weeks=6)
    assert found.tolist() == ["a", "a", "b", None, None]  # an order's own day does not count


def test_desk_is_never_empty_and_deals_play_books_by_agent_and_day(desk, table):
    assert desk.on_duty.any(axis=2).mean() > 0.99 and desk.on_duty.any(axis=(1, 2)).all()
    worked = desk.on_duty.any(axis=1)
    assert worked[:700].mean() == pytest.approx(5 / 7, abs=0.005)
    assert not desk.on_duty.all(axis=1).any()  # nobody works both shifts
    objections = table[table["kind"] == "objection"]
    day = objections["opened_at"].dt.date
    assert (objections.groupby([day, "staff_id"])["playbook"].nunique() == 1).all()
    assert (objections.groupby(day)["staff_id"].nunique() == 1).all()
    assert (objections["playbook"] == "B").mean() == pytest.approx(0.5, abs=0.12)


def test_satisfaction_has_the_mean_that_was_planted(desk):
    about, n = parameters("tickets")["csat"], 20000
    rng = np.random.default_rng(5)

    def mean(reply=20.0, **other):
        row = {"kind": "question", "channel": "chat", "agent": 0, "first_reply_min": reply, "week": 0.0}
        row |= {"n_transfers": 0, "reopened": False, "compensation": 0.0} | other
        rows = pd.DataFrame([row]).loc[np.zeros(n, int)].reset_index(drop=True)
        rows["resolved_at"] = np.datetime64("2024-05-05", "s")
        return np.nanmean(ticket_desk._csat(rng, desk, rows, trained=other.get("week", 0) > 50))

    tolerance = 5 / np.sqrt(0.8 * n)
    base = about["base"] + about["kinds"]["question"] + about["skill"] * desk.agents["skill"][0]
    assert mean() == pytest.approx(base, abs=tolerance)
    assert mean(reply=45.0) == pytest.approx(base, abs=tolerance)
    assert mean(reply=180.0) == pytest.approx(base + 2 * about["per_doubling"], abs=tolerance)
    assert mean(n_transfers=2) == pytest.approx(base + 2 * about["transfer"], abs=tolerance)
    assert mean(reopened=True, week=52.0) == pytest.approx(base - 0.35 + 0.25 + 0.10, abs=tolerance)


def test_a_follow_up_comes_within_a_week_by_another_channel(table, drawn):
    again = table[table["follow_up"]]
    assert 0.01 < len(again) / len(table) < 0.10
    same = again.merge(table[~table["follow_up"]], on=["customer", "kind", "topic"], suffixes=("", "_first"))
    gap = (same["opened_at"] - same["opened_at_first"]).dt.total_seconds() / 86400
    near = same[(gap > 0) & (gap < 7.0) & (same["channel"] != same["channel_first"])]
    assert set(again["ticket_id"]) == set(near["ticket_id"])


def test_every_topic_has_its_phrases():
    for language, least in (("en", 25), ("zh", 12)):
        for topic in TOPICS:
            phrases = words("tickets")[language]["bodies"][topic]
            assert set(phrases) == set(KINDS)
            assert sum(len(set(group)) for group in phrases.values()) >= least


def test_texts_read_like_letters(table):
    text = table["text"]
    assert not text.str.contains(r"[{}|]").any()
    assert text.str.len().min() >= 6
    chinese = text.str.contains(r"[\u4e00-\u9fff]")
    assert 0.10 < chinese.mean() < 0.20
    assert text.duplicated().mean() < 0.03
    mixed = chinese & text.str.contains(r"[a-z]{4,} [a-z]{2,} [a-z]{2,}")
    assert mixed.mean() < 0.02
    letters = text[~chinese].str.replace(r"\W", "", regex=True)
    assert letters.str.islower().mean() > 0.02  # some never use capitals


def test_an_order_number_in_the_text_is_the_tickets_own(table):
    number = table["text"].str.extract(r"(O\d{5})", flags=re.I)[0].str.upper()
    told = number.notna()
    assert told.mean() > 0.02
    assert (number[told] == table.loc[told, "order_id"]).all()


def test_complaints_about_a_defect_name_the_product(drawn, table):
    products = drawn.tables["products"].set_index("product_id")
    complaints = ticket_orders.defect_complaints(drawn)
    assert set(complaints["defect"]) == set(parameters("tickets")["defects"])
    lines = drawn.tables["order_lines"]
    held = lines.groupby("order_id")["product_id"].agg(set)
    assert all(row.defect in held[row.order_id] for row in complaints.itertuples())
    kettles = complaints.loc[complaints["defect"] == "P21", "order_id"]
    told = table.loc[table["order_id"].isin(kettles) & (table["topic"] == "function"), "text"]
    names = products.loc["P21", ["name_en", "name_zh_cn"]]
    assert told.str.contains("|".join(names), case=False).mean() > 0.8


def test_topic_can_be_learnt_from_the_text_but_not_always(table):
    train = np.arange(len(table)) % 4 != 0
    terms = TfidfVectorizer(token_pattern=r"[a-zA-Z]{2,}|[\u4e00-\u9fff]", ngram_range=(1, 2), min_df=2)
    known = terms.fit_transform(table.loc[train, "text"])
    model = LogisticRegression(C=5, max_iter=200).fit(known, table.loc[train, "topic"])
    right = model.predict(terms.transform(table.loc[~train, "text"])) == table.loc[~train, "topic"]
    assert 0.78 < right.mean() < 0.96


def test_parts_of_a_large_company_share_no_ids(drawn):
    other = company.build(1, customers=900, part=1, until="tickets").tables
    for name, key in (("tickets", "ticket_id"), ("staff", "staff_id")):
        assert not set(drawn.tables[name][key]) & set(other[name][key])
    told = other["tickets"]["text"].str.extract(r"(O1-\d{5})", flags=re.I)[0].dropna()
    assert len(told) and set(told.str.upper()) <= set(other["orders"]["order_id"])


def test_the_same_seed_gives_the_same_tickets(drawn, table):
    pd.testing.assert_frame_equal(tickets.draw(drawn)["tickets"], table)
