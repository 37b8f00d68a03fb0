"""Stages and flows: cases done by hand, bad input, the past never moved by the future."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from lifecycle_cases import END, ago, company, log

from custkit import lifecycle
from custkit.errors import DataError, DataWarning, ParameterError
from custkit.lifecycle import STAGES


def seen(*rows):
    """Visits: visitor, days before END, at the checkout, customer."""
    table = pd.DataFrame(rows, columns=["visitor_id", "days", "identified", "customer_id"])
    return table.assign(seen_at=[ago(d) for d in table.pop("days")])


def bought(*rows):
    return pd.DataFrame(
        [(who, ago(d), what) for who, d, what in rows], columns=["customer_id", "order_date", "category"]
    )


def subscribed(*rows):
    rows = [(who, ago(d), pd.NaT if e is None else ago(e)) for who, d, e in rows]
    return pd.DataFrame(rows, columns=["customer_id", "started_on", "ended_on"])


def stage_of(*args, **kwargs):
    table = lifecycle.stages(*args, as_of=END, **kwargs)
    return dict(zip(table["person_id"], table["stage"].astype("str"), strict=True))


def until(frame, day):
    when = frame.columns.intersection(["order_date", "seen_at", "started_on"])[0]
    return frame[frame[when] < day + pd.Timedelta(days=1)]


# ---- stages


def test_stages_of_customers_turn_over_on_the_right_day():
    orders = log(new=[55], no_longer_new=[56], quiet=[400, 182], silent=[400, 183])
    assert stage_of(orders, categories=bought()) == {
        "new": "convert",
        "no_longer_new": "retain",
        "quiet": "retain",
        "silent": "reacquire",
    }


def test_develop_is_a_new_category_or_a_running_service():
    everybody = ("same", "first_day", "old", "wide", "runs", "ended", "today")
    orders = log(**{k: [300, 150] for k in everybody} | {"begun": [150, 140]})
    categories = bought(
        ("same", 300, "tea"), ("same", 150, "tea"), ("first_day", 300, "cake"), ("old", 182, "cake"),
        ("wide", 181, "cake"), ("begun", 150, "tea"), ("begun", 140, "tea"),
    )  # fmt: skip
    services = subscribed(("runs", 250, None), ("ended", 250, 1), ("today", 250, 0))
    found = stage_of(orders, categories=categories, services=services)
    assert {who for who, stage in found.items() if stage == "develop"} == {"wide", "runs", "today"}
    assert set(found.values()) == {"retain", "develop"}


def test_silence_and_newness_go_before_develop():
    orders = log(new=[30, 10], gone=[400, 190])
    categories = bought(("new", 10, "cake"))
    services = subscribed(("gone", 300, None))
    assert stage_of(orders, categories=categories, services=services) == {
        "new": "convert",
        "gone": "reacquire",
    }


def test_without_categories_and_services_develop_is_more_money():
    orders = log(
        more=[(300, 100), (100, 150)],
        less=[(300, 100), (100, 149)],
        fresh=[(150, 900)],
        none=[(300, 1), (9, 0)],
    )
    table = lifecycle.stages(orders, as_of=END)
    assert dict(zip(table["person_id"], table["stage"], strict=True)) == {
        "more": "develop",
        "less": "retain",
        "fresh": "retain",
        "none": "retain",
    }
    assert table.attrs["develop_rule"].startswith("spent 1.5 times")
    assert lifecycle.stages(orders.drop(columns="amount"), as_of=END).attrs["develop_rule"].startswith("none")


def test_visitors_are_seen_of_late_and_no_customers():
    orders = log(C1=[100], C2=[-1])  # C2 orders after the day judged
    visits = seen(
        ("V1", 27, False, None), ("V2", 28, True, None), ("V3", 90, True, None), ("V3", 3, False, None),
        ("V4", 5, True, "C1"), ("V4", 9, True, None), ("V5", 2, True, "C2"), ("V6", -1, False, None),
    )  # fmt: skip
    table = lifecycle.stages(orders, as_of=END, visits=visits)
    assert list(table["person_id"]) == ["C1", "V1", "V3", "V5"]
    assert list(table["stage"]) == ["retain", "attract", "acquire", "acquire"]
    assert list(table["orders"]) == [1, 0, 0, 0]
    assert table["first_order"].isna().tolist() == [False, True, True, True]


def test_silence_lateness_and_days_with_orders():
    table = lifecycle.stages(log(A=[70, 70, 60, 50, 40, 30, 20, 9], B=[58, 8]), as_of=END)
    a = table.set_index("person_id").loc["A"]
    assert (a["orders"], a["first_order"], a["last_order"], a["silence_days"]) == (7, ago(70), ago(9), 9)
    # gaps 10, 10, 10, 10, 10, 11: nine tenths of the way from first to last of them is half-way up to 11
    assert a["late_after_days"] == 10.5
    assert not a["late"]
    assert table["stage"].cat.ordered
    assert list(table["stage"].cat.categories) == list(STAGES)
    later = lifecycle.stages(log(A=[70, 60, 50, 40, 30, 20, 11]), as_of=END)
    assert later.loc[0, "late_after_days"] == 10
    assert later.loc[0, "late"]


def test_only_some_stages_can_be_late():
    orders = log(A=[300, 298, 296, 294, 292, 290], B=[120, 118, 116, 114, 112, 110])
    table = lifecycle.stages(orders, as_of=END)
    assert list(table["stage"]) == ["reacquire", "retain"]
    assert list(table["late"]) == [False, True]


def test_refunds_are_netted_against_their_day():
    orders = log(A=[(300, 50), (300, -50), (20, 80)], B=[(90, 10), (80, -10)], C=[(90, -5)])
    with pytest.warns(DataWarning, match="refunds reach or exceed"):
        table = lifecycle.stages(orders, as_of=END)
    assert list(table["person_id"]) == ["A", "B"]
    assert list(table["first_order"]) == [ago(20), ago(90)]
    assert table.attrs["set_aside"] == {"orders: refunds reach or exceed the day's purchases": 4}


def test_rows_without_customer_or_date_are_set_aside():
    orders = pd.concat(
        [log(A=[5]), pd.DataFrame({"customer_id": [None, "B"], "order_date": [ago(3), pd.NaT]})]
    )
    with pytest.warns(DataWarning, match="2 of orders"):
        assert stage_of(orders) == {"A": "convert"}


def test_numbers_as_ids_and_texts_as_dates():
    orders = pd.DataFrame({"customer_id": [2, 1], "order_date": ["2025-12-01", "2025-01-01 10:00"]})
    visits = seen(("V1", 1, True, 2.0), ("V2", 1, True, np.nan))
    found = lifecycle.stages(orders, as_of="2025-12-28", visits=visits)
    assert list(found["person_id"]) == [1, 2, "V2"]
    assert list(found["stage"]) == ["reacquire", "convert", "acquire"]


def test_the_rules_say_their_numbers():
    rules = lifecycle.stage_rules(lost_days=91)
    assert list(rules["stage"]) == list(STAGES)
    assert list(rules.columns) == ["stage", "rule", "key_metric", "owner"]
    assert "91 days" in rules.loc[5, "rule"]
    assert "{" not in "".join(rules["rule"])


def test_other_limits_move_people():
    orders = log(A=[400, 100])
    assert stage_of(orders) == {"A": "retain"}
    assert stage_of(orders, lost_days=99) == {"A": "reacquire"}


def test_all_faults_of_the_tables_at_once():
    orders = pd.DataFrame({"customer": ["A"], "order_date": [20251201], "amount": ["12"]})
    with pytest.raises(DataError) as error:
        lifecycle.stages(orders, as_of=END, visits=log(A=[1]), services=[1])
    said = " | ".join(error.value.faults)
    assert len(error.value.faults) == 7
    assert "orders needs a column 'customer_id'; there are: customer, order_date, amount" in said
    assert "'order_date' holds no dates" in said
    assert "'amount' holds no numbers" in said
    assert "visits needs a column 'seen_at'" in said
    assert "services is a list" in said


def test_all_faults_of_the_options_at_once():
    with pytest.raises(ParameterError) as error:
        lifecycle.stages(log(A=[1]), as_of=END, new_day=3, lost_days=-1, late_quantile=90)
    assert len(error.value.faults) == 3
    with pytest.raises(ParameterError, match="new and lost"):
        lifecycle.stages(log(A=[1]), as_of=END, lost_days=7)
    with pytest.raises(ParameterError, match="as_of is 'soon'"):
        lifecycle.stages(log(A=[1]), as_of="soon")


def test_nobody_there_is_said():
    with pytest.raises(DataError, match="no order on or before as_of 2025-12-28; the first order is later"):
        lifecycle.stages(log(A=[-1]), as_of=END)
    with pytest.raises(DataError, match="it has no rows"):
        lifecycle.stages(log(A=[1]).head(0), as_of=END)
    only_visitors = lifecycle.stages(log(A=[-1]), as_of=END, visits=seen(("V1", 1, False, None)))
    assert list(only_visitors["stage"]) == ["attract"]


def test_an_id_that_is_visitor_and_customer_is_refused():
    with pytest.raises(DataError, match="visitor_id 'A' is also a customer_id"):
        lifecycle.stages(log(A=[1]), as_of=END, visits=seen(("A", 1, True, "A")))


# ---- late


def test_late_after_by_own_gaps_or_by_those_of_others():
    orders = log(
        own=[100, 90, 80, 70, 60, 40],  # gaps 10, 10, 10, 10, 20
        once=[30], twice=[200, 170], again=[200, 160], more=[300, 250], most=[300, 240],
    )  # fmt: skip
    table = lifecycle.late_after(orders, as_of=END, quantile=0.5).set_index("customer_id")
    assert table.loc["own"].tolist() == [5, 10.0, "own"]
    assert table.loc["once"].tolist() == [0, 40.0, "group"]  # first gaps 10, 30, 40, 50, 60
    assert table.loc["twice"].tolist() == [1, 20.0, "group"]  # one second gap is too few: all nine gaps
    assert lifecycle.late_after(log(A=[9]), as_of=END)["late_after_days"].isna().all()


def test_late_after_needs_a_quantile():
    with pytest.raises(ParameterError, match="late_quantile is 2"):
        lifecycle.late_after(log(A=[9]), as_of=END, quantile=2)


# ---- history


def test_history_follows_one_person_from_visit_to_silence():
    orders = log(C1=[200])
    visits = seen(("V1", 215, False, None), ("V1", 209, True, None), ("V1", 150, True, "C1"))
    history = lifecycle.stage_history(orders, as_of=END, weeks=33, visits=visits)
    assert set(history["person_id"]) == {"C1"}  # who the visitor was is known by END
    stages = history["stage"].astype("str").tolist()
    assert list(dict.fromkeys(stages)) == ["attract", "acquire", "convert", "retain", "reacquire"]
    counts = history["stage"].value_counts()
    assert counts[["attract", "acquire", "convert", "reacquire"]].tolist() == [1, 1, 8, 3]
    assert history["week"].iloc[-1] == END
    flows = lifecycle.stage_flows(history)
    moved = flows[flows["stage_from"] != flows["stage_to"]]
    assert moved["stage_to"].astype("str").tolist() == ["acquire", "convert", "retain", "reacquire"]


def test_history_of_every_week_is_the_stages_of_that_day():
    orders, tables = company()
    history = lifecycle.stage_history(orders, as_of=END, weeks=60, **tables)
    for weeks in (0, 20, 59):
        day = END - pd.Timedelta(weeks=weeks)
        now = lifecycle.stages(
            until(orders, day), as_of=day, **{name: until(frame, day) for name, frame in tables.items()}
        )
        then = history[history["week"] == day]
        both = now.merge(then, on="person_id", suffixes=("", "_then"))
        customers = both["orders"] > 0
        assert customers.sum() == (now["orders"] > 0).sum() == (then["stage"] >= "convert").sum()
        assert (both["stage"] == both["stage_then"]).all()
        assert (both["late"] == both["late_then"]).all()
        visitors = (then["stage"] < "convert").sum()
        assert visitors <= (now["stage"] < "convert").sum() <= visitors * 1.03 + 1


def test_ladder_balances_over_26_weeks_of_the_company():
    orders, tables = company()
    history = lifecycle.stage_history(orders, as_of=END, **tables)
    ladder = lifecycle.stage_ladder(history)
    assert (ladder["people"] == ladder["people_before"] + ladder["came_in"] - ladder["left"]).all()
    sizes = history.groupby(["week", "stage"], observed=False).size().unstack()
    growth = (sizes.iloc[-1] - sizes.iloc[0]) / 25
    np.testing.assert_allclose(growth, ladder["came_in_mean"] - ladder["left_mean"], atol=1e-9)
    flows = lifecycle.stage_flows(history)
    into = flows.pivot_table(
        index="week", columns="stage_to", values="people", aggfunc="sum", observed=False
    ).fillna(0)
    out = flows.pivot_table(
        index="week", columns="stage_from", values="people", aggfunc="sum", observed=False
    ).fillna(0)
    for stage in STAGES:
        assert into[stage].tolist() == sizes[stage].tolist()[1:]
        assert out[stage].tolist() == sizes[stage].tolist()[:-1]
    assert not history.duplicated(["week", "person_id"]).any()
    assert (flows["people"] > 0).all()
    assert (ladder["late"][[0, 1, 5]] == 0).all()


def test_the_order_of_rows_changes_nothing(rng):
    orders, tables = company()
    tables = {name: frame.sample(frac=1, random_state=rng) for name, frame in tables.items()}
    mixed = lifecycle.stage_history(orders.sample(frac=1, random_state=rng), as_of=END, weeks=3, **tables)
    pd.testing.assert_frame_equal(mixed, lifecycle.stage_history(orders, as_of=END, weeks=3, **company()[1]))
    curve = lifecycle.margin_curve(orders.sample(frac=1, random_state=rng), as_of=END, value="amount")
    pd.testing.assert_frame_equal(curve, lifecycle.margin_curve(orders, as_of=END, value="amount"))


def test_what_comes_later_changes_nothing():
    orders, tables = company()
    day = END - pd.Timedelta(weeks=10)
    past = {name: until(frame, day) for name, frame in tables.items()}
    services = past["services"]  # nor does the end of a service that has yet to come
    past["services"] = services.assign(ended_on=services["ended_on"].where(services["ended_on"] <= day))
    for call in (lifecycle.stages, functools.partial(lifecycle.stage_history, weeks=4)):
        whole, known = call(orders, as_of=day, **tables), call(until(orders, day), as_of=day, **past)
        pd.testing.assert_frame_equal(whole, known)
    curve = lifecycle.margin_curve(orders, as_of=day, value="amount")
    pd.testing.assert_frame_equal(
        curve, lifecycle.margin_curve(until(orders, day), as_of=day, value="amount")
    )


def test_flows_and_ladder_by_hand():
    weeks = pd.DatetimeIndex([ago(14), ago(7), ago(0)])
    rows = [
        (0, "A", "attract"), (0, "B", "retain"),
        (1, "A", "acquire"), (1, "B", "retain"), (1, "C", "convert"),
        (2, "B", "reacquire"), (2, "C", "convert"), (2, "D", "attract"),
    ]  # fmt: skip
    history = pd.DataFrame(rows, columns=["week", "person_id", "stage"]).assign(late=False)
    history["week"] = weeks[history["week"]]
    history["stage"] = pd.Categorical(history["stage"], STAGES, ordered=True)
    flows = lifecycle.stage_flows(history)
    assert [(str(r.week.date()), r.stage_from, r.stage_to, r.people) for r in flows.itertuples()] == [
        ("2025-12-21", "not seen before", "convert", 1),
        ("2025-12-21", "attract", "acquire", 1),
        ("2025-12-21", "retain", "retain", 1),
        ("2025-12-28", "not seen before", "attract", 1),
        ("2025-12-28", "acquire", "out of sight", 1),
        ("2025-12-28", "convert", "convert", 1),
        ("2025-12-28", "retain", "reacquire", 1),
    ]
    ladder = lifecycle.stage_ladder(history).set_index("stage")
    assert ladder.loc["acquire"].tolist() == [0, 0, 1, 0, 1, 0.5, 0.5]
    assert ladder.loc["convert"].tolist() == [1, 0, 1, 0, 0, 0.5, 0]
    back = pd.concat([history, history.tail(1).assign(week=ago(-7), person_id="A")])
    last = lifecycle.stage_flows(back).query("week == @ago(-7)").astype({"stage_from": "str"})
    assert "out of sight" in last["stage_from"].tolist()


def test_flows_refuse_what_is_no_history():
    with pytest.raises(DataError, match="lacks person_id, stage, late"):
        lifecycle.stage_flows(pd.DataFrame({"week": [END]}))
    with pytest.raises(DataError, match="two weeks"):
        lifecycle.stage_ladder(lifecycle.stage_history(log(A=[30]), as_of=END, weeks=1))
    with pytest.raises(ParameterError, match="weeks is 0"):
        lifecycle.stage_history(log(A=[30]), as_of=END, weeks=0)
