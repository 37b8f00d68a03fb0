"""Surveys of the simulated company: who is asked, who answers, and what the answers hang on."""

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import awareness, comments, exits, followups, questionnaire, wishes
from custkit.simulate.attitudes import is_lost, nps_group, nps_score, satisfaction
from custkit.simulate.business_answers import business_answers, cronbach
from custkit.simulate.company import build
from custkit.simulate.draft import Draft, parameters, words


@pytest.fixture(scope="module")
def draft():
    return build(5, customers=1000, until="surveys")


@pytest.fixture(scope="module")
def answers(draft):
    return draft.tables["survey_answers"]


def numbers(answers, item):
    return answers.loc[answers["item"] == item, "answer"].astype(float)


def test_an_item_is_answered_once_a_response(answers):
    assert not answers.duplicated(["response_id", "item"]).any()
    one = answers.groupby("response_id")[["respondent_id", "wave", "answered_at", "channel"]].nunique()
    assert (one == 1).all().all()
    assert answers["item"].map(questionnaire.survey_of()).eq(answers["survey"]).all()


def test_answers_lie_on_their_scales(answers):
    for item, least, most in (
        ("nps", 0, 10),
        ("csat", 1, 5),
        ("q", 1, 5),
        ("ces_returns", 1, 5),
        ("empathy_1_e", 1, 7),
        ("aware", 0, 1),
        ("intends", 1, 5),
        ("would_return", 1, 5),
    ):
        found = numbers(answers, item)
        assert found.between(least, most).all() and found.nunique() > 1, item
    kano = answers.loc[answers["survey"] == "kano", "answer"]
    assert set(kano) == set(parameters("surveys")["kano"]["answers"])


def test_only_customers_with_an_order_before_are_invited(draft, answers):
    given, orders = parameters("surveys"), draft.tables["orders"]
    people = draft.tables["people"].set_index("customer_id")
    for wave, start in given["waves"].items():
        some = answers[(answers["item"] == "nps") & (answers["wave"] == wave)]
        recent = orders[(orders["week"] >= start - given["frame_weeks"]) & (orders["week"] < start)]
        assert (
            some["respondent_id"]
            .isin(draft.tables["people"]["customer_id"][recent["customer"].unique()])
            .all()
        )
        assert not some["respondent_id"].duplicated().any()
        joined = draft.clock.timestamps(people.loc[some["respondent_id"], "joined_week"])
        assert (some["answered_at"].to_numpy() > joined).all()
        assert some["week"].between(start, start + given["field_weeks"]).all()


def test_who_does_not_know_the_shop_is_asked_no_more(answers):
    wide = answers[answers["respondent_type"] == "public"].pivot(
        index="response_id", columns="item", values="answer"
    )
    assert wide.loc[wide["aware"] == "0", "knows_offer"].isna().all()
    assert wide.loc[wide["aware"] == "1", "knows_offer"].notna().all()
    assert wide.loc[wide["knows_offer"] == "1", ["likes", "intends", "fresh"]].notna().all().all()
    assert wide.loc[wide["knows_offer"] != "1", ["likes", "intends", "fresh"]].isna().all().all()


def test_quotas_are_filled_to_a_person():
    rng = np.random.default_rng(1)
    assert pd.Series(awareness.quota(rng, {"a": 0.5, "b": 0.3, "c": 0.2}, 10)).value_counts().to_dict() == {
        "a": 5,
        "b": 3,
        "c": 2,
    }


def test_flights_join_the_campaigns(draft):
    campaigns = draft.tables["campaigns"]
    flights = campaigns[campaigns["experiment_id"] == "AWARE"]
    assert not campaigns["campaign_id"].duplicated().any()
    assert (flights["start_on"] >= np.datetime64("2024-12-30")).all()
    assert (flights["end_on"] <= np.datetime64("2025-06-29")).all()
    spend = flights.groupby("city")["spend"].sum()
    assert spend[["Northport", "Easthaven"]].min() > 4 * spend[["Southmere", "Westfield"]].max()


def test_lasting_scores_are_the_same_whenever_asked(draft):
    assert np.array_equal(nps_score(draft), nps_score(draft))
    groups, score = nps_group(draft), nps_score(draft)
    assert score[groups == "promoter"].min() >= 8.5 > score[groups == "passive"].max()
    assert score[groups == "passive"].min() >= 6.5 > score[groups == "detractor"].max()


def test_satisfaction_by_hand():
    weights = parameters("people")["experience_weights"]
    norm = np.sqrt(sum(weight**2 for weight in weights.values()))
    age = parameters("people")["age"]["mean"] + 10
    one = pd.DataFrame({**{name: [0.0] for name in weights}, "age": [age]})
    per_decade = parameters("surveys")["satisfaction"]["age_per_decade"]
    assert satisfaction(one)[0] == pytest.approx(per_decade)
    assert satisfaction(one.assign(quality=1.0))[0] == pytest.approx(per_decade + weights["quality"] / norm)


def test_lost_customers_may_come_back():
    people = pd.DataFrame(
        {
            "lost_week": [np.nan, 10, 10, 10],
            "reactivated_week": [np.nan, np.nan, 20, 20],
            "dropped_week": [np.nan, 10, np.nan, 30],
        }
    )
    assert is_lost(people, 5).tolist() == [False] * 4
    assert is_lost(people, 15).tolist() == [False, True, True, True]
    assert is_lost(people, 25).tolist() == [False, True, False, False]
    assert is_lost(people, 35).tolist() == [False, True, False, True]


def test_a_feeling_is_cut_to_the_nearest_step():
    assert questionnaire.cut([-3, 1.49, 1.5, 4.6, 9]).tolist() == [1, 1, 2, 5, 5]


def test_each_class_of_kano_is_its_own_largest():
    for kind in "MOAIR":
        shares = followups.kano_shares(kind)
        assert max(shares, key=shares.get) == kind
        assert sum(shares.values()) == pytest.approx(1)


def test_the_ladder_of_prices_only_falls(answers):
    wide = answers[answers["item"].isin(questionnaire.price_steps())].pivot(
        index="response_id", columns="item", values="answer"
    )
    steps = wide[questionnaire.price_steps()].astype(int).to_numpy()
    assert len(steps) > 30 and (np.diff(steps, axis=1) <= 0).all()


def test_the_four_prices_are_in_order(answers):
    names = list(parameters("surveys")["needs"]["price"]["questions"])
    wide = answers[answers["item"].isin(names)].pivot(index="response_id", columns="item", values="answer")
    assert (np.diff(wide[names].astype(int).to_numpy(), axis=1) >= 0).all()


def test_best_price_is_a_maximum():
    price = parameters("surveys")["needs"]["price"]
    best = wishes.best_price(price)
    rng = np.random.default_rng(2)
    pay = price["median"] * np.exp(price["sigma"] * rng.standard_normal(400_000))
    revenue = {step: step * (pay >= step).mean() for step in (best * 0.8, best, best * 1.25)}
    assert max(revenue, key=revenue.get) == best


def test_expected_orders_by_hand():
    one = pd.DataFrame({"order_rate": [0.2], "drop_chance": [0.1], "week": [5.0]})
    one = one.assign(lost_week=np.nan, reactivated_week=np.nan, dropped_week=np.nan)
    rng = np.random.default_rng(3)
    count, alive, time = np.zeros(50_000), np.ones(50_000, bool), np.zeros(50_000)
    while alive.any():
        time = time + rng.exponential(1 / 0.2, 50_000)
        alive &= time < 13
        count += alive
        alive &= rng.random(50_000) >= 0.1
    assert wishes.expected_orders(one, 13)[0] == pytest.approx(count.mean(), rel=0.02)
    assert wishes.expected_orders(one.assign(dropped_week=4.0, lost_week=4.0), 13)[0] == 0


def test_leavers_are_asked_after_silence(draft):
    asked, given = exits.asked(draft), parameters("surveys")["exit"]
    orders = draft.tables["orders"]
    for row in asked.sample(40, random_state=1).itertuples():
        weeks = orders.loc[orders["customer"] == row.customer, "week"]
        gap = row.week - weeks[weeks <= row.week].max()
        assert given["silent_weeks"] <= gap <= given["silent_weeks"] + given["delay"]


def test_comments_are_filled_varied_and_partly_chinese(answers):
    texts = answers["text"].dropna()
    assert not texts.str.contains(r"[{}]|  |\.\.").any()
    assert texts.duplicated().mean() < 0.2
    assert 0.08 < texts.str.contains(r"[\u4e00-\u9fff]").mean() < 0.25
    assert set(answers.loc[answers["text"].notna(), "item"]) == {"nps", "reason"}


def test_tone_goes_with_the_score(answers):
    closings = words("surveys")["closings"]
    said = answers[(answers["item"] == "nps") & answers["text"].notna()]
    score = said["answer"].astype(int)
    for tone, right in (("good", score >= 9), ("bad", score <= 6)):
        ends = tuple(text for text in closings[tone]["en"] if "{" not in text)
        found = said["text"].str.endswith(ends)
        assert found.any() and right[found].all()


def test_a_typing_error_swaps_two_letters():
    rng = np.random.default_rng(4)
    wrong = comments.mistype(rng, "the courier came late")
    assert wrong != "the courier came late" and sorted(wrong) == sorted("the courier came late")
    assert comments.mistype(rng, "a b") == "a b"


def test_business_answers_form_an_index(draft):
    accounts = pd.DataFrame({"customer_id": [f"B{n}" for n in range(300)], "joined_week": 0.0})
    ended = accounts.assign(ends_week=30.0)
    told = business_answers(draft, accounts)
    wide = told.pivot(index="response_id", columns="item", values="answer").astype(float)
    good = [item for item in parameters("surveys")["business"]["items"] if item != "showroom"]
    assert 0.9 > cronbach(wide[good]) > 0.75
    assert cronbach(wide[[*good, "showroom"]]) < cronbach(wide[good]) - 0.02
    assert set(business_answers(draft, ended)["wave"]) == {"2024H1"}
    assert told["response_id"].str.startswith("RB").all()


def test_cronbach_of_equal_items_is_one():
    items = pd.DataFrame({"a": [1.0, 2, 3, 5], "b": [1.0, 2, 3, 5]})
    assert cronbach(items) == pytest.approx(1)


def test_ids_of_a_later_part_are_its_own():
    sheet = pd.DataFrame(
        {"respondent_type": "public", "respondent_id": ["P1", "P2"], "form": "public", "wave": "2024H1"}
        | {"week": [22.5, 22.1], "channel": "web", "aware": [1.0, 0.0]}
    )
    parts = [questionnaire.stack(Draft(seed=1, size=400, part=part), sheet) for part in (0, 1)]
    assert not set(parts[0]["response_id"]) & set(parts[1]["response_id"])
    assert parts[0]["respondent_id"].tolist() == ["P2", "P1"]  # by time
    assert parts[0]["answer"].tolist() == ["0", "1"]
