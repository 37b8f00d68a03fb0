"""Selling: outcomes, stages, activities, deals and business accounts agree with one another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import accounts, activities, company, deals, firms, selling
from custkit.simulate.draft import parameters
from custkit.simulate.firms import office_time

ORDER = ["new", "contacted", "qualified", "proposal", "negotiation"]


@pytest.fixture(scope="module")
def draft():
    """A company, and its consumers' orders before there were accounts."""
    drawn = company.build(5, customers=1500, until="baskets")
    drawn.tables |= firms.draw(drawn)
    drawn.consumer_orders = drawn.tables["orders"].copy()
    drawn.tables |= selling.draw(drawn)
    return drawn


@pytest.fixture(scope="module")
def leads(draft):
    return draft.tables["leads"]


@pytest.fixture(scope="module")
def done(draft):
    return draft.tables["lead_activities"]


def test_stage_shares_make_the_chance_to_win():
    assert sum(stage["share"] for stage in parameters("selling")["stages"].values()) == pytest.approx(1)


def test_wins_come_as_often_as_their_chances_say(leads):
    genuine = leads[leads["original"] < 0]
    won, chance = genuine["passed"] == 4, genuine["p_win"]
    assert abs(won.sum() - chance.sum()) < 4 * np.sqrt((chance * (1 - chance)).sum())
    # Also in the upper tenth: the chances tell who wins, not only how many.
    top = chance > chance.quantile(0.9)
    assert abs(won[top].sum() - chance[top].sum()) < 4 * np.sqrt((chance * (1 - chance))[top].sum())


def test_outcome_stage_and_closing_time_agree(leads, draft):
    closed = leads["outcome"] != "open"
    assert (leads["closed_at"].notna() == closed).all()
    assert (leads.loc[closed, "stage"] == leads.loc[closed, "outcome"]).all()
    assert leads.loc[~closed, "stage"].isin(ORDER).all()
    assert leads["closed_at"].max() < np.datetime64(draft.clock.as_of) + np.timedelta64(1, "D")
    assert (leads["closed_at"] >= leads["created_at"])[closed].all()


def test_what_follows_from_the_outcome_is_empty_before_it(leads):
    won, lost = leads["outcome"] == "won", leads["outcome"] == "lost"
    assert (leads["contract_value_year"].notna() == won).all()
    assert (leads["discount_pct"].notna() == won).all()
    assert (leads["lost_reason"].notna() == lost).all()
    assert not (leads["paid_share"].notna() & ~won).any()
    assert (leads["retention_basis"].eq("contract") == won).all()


def test_stage_changes_are_a_chain_that_ends_where_the_lead_stands(leads, done):
    changes = done[done["kind"] == "stage_change"]
    before = changes.groupby("lead_id")["stage_to"].shift().fillna("new")
    assert (changes["stage_from"] == before).all()
    last = changes.groupby("lead_id")["stage_to"].last()
    assert (leads["lead_id"].map(last).fillna("new") == leads["stage"]).all()
    ends = changes[changes["stage_to"].isin(["won", "lost"])].set_index("lead_id")["at"]
    closed = leads.dropna(subset="closed_at").set_index("lead_id")["closed_at"]
    assert (ends.sort_index() == closed.sort_index()).all()


def test_no_stage_is_left_out(done):
    changes = done[(done["kind"] == "stage_change") & ~done["stage_to"].isin(["won", "lost"])]
    step = changes["stage_to"].map(ORDER.index) - changes["stage_from"].map(ORDER.index)
    assert (step == 1).all()


def test_activities_lie_between_creation_and_end(leads, done, draft):
    lead = leads.set_index("lead_id").loc[done["lead_id"]]
    assert (done["at"].to_numpy() >= lead["created_at"].to_numpy()).all()
    end = lead["closed_at"].fillna(pd.Timestamp(draft.clock.as_of) + pd.Timedelta(days=1))
    assert (done["at"].to_numpy() <= end.to_numpy()).all()
    assert done["at"].is_monotonic_increasing
    assert done["activity_id"].is_unique


def test_first_contact_comes_when_the_lead_says(leads, done):
    first = done[done["kind"].isin(["email", "call"])].drop_duplicates("lead_id").set_index("lead_id")["at"]
    replied = leads[leads["first_reply_h"].notna()].set_index("lead_id")
    hours = (first - replied["created_at"]) / pd.Timedelta(hours=1)
    assert (hours - replied["first_reply_h"]).abs().max() < 0.051
    assert set(first.index) == set(replied.index)


def test_only_qualified_leads_are_handed_over_within_the_team(leads, done, draft):
    staff = draft.tables["staff"].set_index("staff_id")
    lead = leads.set_index("lead_id").loc[done["lead_id"]]
    other = done["staff_id"].to_numpy() != lead["staff_id"].to_numpy()
    assert done.loc[other, "lead_id"].nunique() > 20
    assert (lead["stage_number"].to_numpy()[other] >= 2).all()
    team = [staff.loc[ids, "team"].to_numpy() for ids in (done["staff_id"], lead["staff_id"])]
    assert (team[0] == team[1]).all()
    assert (staff.loc[done["staff_id"], "role"] == "sales_rep").all()


def test_the_lead_was_last_updated_by_its_last_activity(leads, done):
    last = done.groupby("lead_id")["at"].max()
    expected = leads["lead_id"].map(last).fillna(leads["created_at"])
    assert (leads["updated_at"] == expected).all()


def test_cases_shown_were_won_before(leads, done):
    shown = done[done["kind"] == "case_shared"]
    case = leads.set_index("lead_id").loc[shown["case_lead_id"]]
    assert (case["outcome"] == "won").all()
    assert (case["closed_at"].to_numpy() < shown["at"].to_numpy()).all()
    assert done.loc[done["kind"] != "case_shared", "case_lead_id"].isna().all()


def test_similarity_by_hand():
    columns = ["sector", "city", "area_type", "headcount"]
    firm = pd.DataFrame([["school", "Northport", "urban", 10]], columns=columns)
    cases = pd.DataFrame(
        [["school", "Northport", "urban", 10], ["clinic", "Easthaven", "rural", 10 * np.exp(2.3)]],
        columns=columns,
    )
    np.testing.assert_allclose(selling.similarity(firm, cases), [[1.0, 0.125]])


def test_messages_are_the_arms_of_the_experiment(leads, done):
    tagged = done[done["message"].notna()]
    assert tagged["lead_id"].is_unique
    number = leads.set_index("lead_id").loc[tagged["lead_id"], "week"]
    assert number.min() >= parameters("selling")["experiment"]["from_week"] - 1
    arms = pd.crosstab(tagged["kind"], tagged["message"])
    assert (arms.to_numpy() / arms.to_numpy().sum() > 0.18).all()


def test_pulled_deals_close_late_in_a_quarter_with_a_bonus(leads, draft):
    pulled = leads[leads["pulled"]]
    assert len(pulled) >= 5
    starts = deals.quarter_starts(draft)
    ahead = starts[np.searchsorted(starts, pulled["enter_5"])] - pulled["enter_5"]
    assert ahead.max() <= parameters("selling")["pull"]["days"] / 7 + 1e-9
    assert (deals.plan(draft, pulled["rep"].to_numpy(), pulled["enter_5"].to_numpy()) != "flat").all()


def test_quarters_begin_where_the_calendar_says(draft):
    starts = office_time(draft.clock, deals.quarter_starts(draft)).astype("datetime64[D]")
    # Weekends have no working time: Monday 1 April 2024 and Tuesday 1 April 2025, but Monday 1 July 2024.
    assert [str(day) for day in starts[[0, 1, 4]]] == ["2024-04-01", "2024-07-01", "2025-04-01"]


def test_plans_are_those_of_the_staff_table(draft):
    staff = draft.tables["staff"]
    rep = int(np.flatnonzero(staff["role"] == "sales_rep")[0])
    listed = dict(part.split("=") for part in staff["incentive_plan"][rep].split(";"))
    got = deals.plan(draft, np.array([rep, rep]), np.array([1.0, 103.5]))
    assert got.tolist() == [listed["2024Q1"], listed["2025Q4"]]


def test_default_chances_rise_with_the_grade():
    chance = deals.default_chance(pd.Series(list("ABCDE")))
    np.testing.assert_allclose(chance[[0, 4]], [0.01, 0.218], atol=0.001)
    assert (np.diff(chance) > 0).all()


def test_every_won_lead_is_an_account_whose_first_order_follows(draft, leads):
    rows = draft.tables["accounts"]
    assert set(rows["lead_id"]) == set(leads.loc[leads["outcome"] == "won", "lead_id"])
    orders = draft.tables["orders"].query("customer == -1")
    first = orders.groupby("customer_id")["ordered_at"].min()
    assert (rows.set_index("customer_id")["joined_at"] == first.loc[rows["customer_id"]]).all()
    signed = leads.set_index("lead_id").loc[rows["lead_id"], "closed_at"]
    assert (rows["joined_at"].to_numpy() >= signed.to_numpy()).all()


def test_consumer_orders_stay_as_drawn(draft):
    before = draft.consumer_orders
    after = draft.tables["orders"].iloc[: len(before)]
    pd.testing.assert_frame_equal(before, after)


def test_business_orders_add_up_to_the_cent(draft):
    orders = draft.tables["orders"].query("customer == -1").set_index("order_id")
    lines = draft.tables["order_lines"]
    lines = lines[lines["order_id"].isin(orders.index)]
    total = np.rint(100 * lines.groupby("order_id")["line_amount"].sum()).astype(int)
    for money in (orders["goods_gross"], orders["net_amount"] + orders["discount"]):
        assert (np.rint(100 * money).astype(int) == total.loc[orders.index]).all()
    frame = draft.tables["orders"]
    assert (frame["order_id"].to_numpy()[lines["order"]] == lines["order_id"]).all()
    bought = draft.tables["products"].set_index("product_id").loc[lines["product_id"], "kind"]
    assert set(bought) == {"good", "business_package"}


def test_contracts_and_answers_belong_to_accounts(draft):
    ids = set(draft.tables["accounts"]["customer_id"])
    contracts = draft.tables["vas_subscriptions"].query("service == 'BIZ'")
    assert set(contracts["customer_id"]) == ids
    assert (contracts["cancel_reason"].notna() <= contracts["ended_on"].notna()).all()
    answers = draft.tables["survey_answers"].query("respondent_type == 'business'")
    assert set(answers["respondent_id"]) <= ids
    assert len(answers)


def test_accounts_refer_leads_only_after_signing(draft, leads):
    rows = draft.tables["accounts"].set_index("customer_id")
    referred = leads[leads["referred_by"].notna()]
    assert (referred["source"] == "referral").all()
    assert leads.loc[leads["source"] == "referral", "referred_by"].notna().all()
    by_account = referred[referred["referred_by"].isin(rows.index)]
    assert len(by_account) > 10
    assert (
        rows.loc[by_account["referred_by"], "signed_week"].to_numpy() <= by_account["week"].to_numpy()
    ).all()


def test_an_account_orders_less_towards_the_end_of_its_contract(draft):
    from custkit.simulate import account_orders

    slip = parameters("selling")["accounts"]["slip"]
    factor = account_orders._slowed(draft, pd.DataFrame({"ends_week": [50.5, np.nan]}))
    assert factor[1].tolist() == [1.0] * draft.clock.weeks
    week = 50 - slip["weeks"]  # half of this week lies after the turn
    np.testing.assert_allclose(
        factor[0, [week - 1, week, week + 1]], [1, 1 - (1 - slip["factor"]) / 2, slip["factor"]]
    )


def test_appended_rows_keep_types():
    frame = pd.DataFrame({"a": [1.5], "hidden": [True], "place": [3], "word": ["x"]})
    both = accounts.append(frame, pd.DataFrame({"a": [2.5]}))
    assert both.dtypes.astype(str).tolist()[:3] == ["float64", "bool", "int64"]
    assert both.loc[1].tolist()[:3] == [2.5, False, -1]
    assert both["word"].isna().tolist() == [False, True]


def test_truth_names_what_it_repeats(draft, leads):
    truth = draft.truth["truth_leads"]
    assert (truth["lead_id"] == leads["lead_id"]).all()
    again = truth["duplicate_of"].notna()
    assert again.sum() == (leads["original"] >= 0).sum()
    assert truth.loc[again, "p_win"].isna().all()
    assert truth.loc[~again, "p_win"].between(0, 1).all()


def test_time_of_activities_costs_money(done):
    worked = done["kind"] != "stage_change"
    assert (done.loc[worked, "minutes"] >= 5).all()
    assert (done.loc[worked, "cost"] > 0).all()
    assert (done.loc[~worked, "cost"] == 0).all()
    assert set(done.columns) >= set(activities.COLUMNS)


def test_firths_logit_adds_half_to_each_cell_of_a_two_by_two_table():
    from recovery.lead_panel import firth

    treated = np.repeat([1.0, 1.0, 0.0, 0.0], [3, 9, 0, 11])
    won = np.repeat([1.0, 0.0, 1.0, 0.0], [3, 9, 0, 11])
    slope, _ = firth(pd.DataFrame({"one": 1.0, "treated": treated}), pd.Series(won))
    assert slope["treated"] == pytest.approx(np.log(3.5 / 9.5) - np.log(0.5 / 11.5), abs=1e-4)
