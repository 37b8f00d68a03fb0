"""The report lifecycle-health: on the demo, on dirty files with all beside them, on data that say little."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pytest
from report_runs import read_csv, read_result

from custkit import cli, lifecycle, reports
from custkit.errors import DataError, ParameterError
from custkit.report import run_report
from custkit.reports import lifecycle_files as files
from custkit.reports import lifecycle_health as health
from custkit.reports import lifecycle_words as words
from custkit.reports.lifecycle_levers import Lever, bottleneck, levers
from custkit.reports.rfm_forecast import Plan

END = dt.date(2024, 12, 29)
HOSTILE_ID, HOSTILE_CHANNEL = "<script>alert(1)</script>", "<img src=x>"
PARTS = [
    "In short",
    "What was read",
    "What these data can carry",
    "Where the customers stand",
    "Who is late",
    "Do they come back?",
    "What a new customer brings",
    "What they are worth in the next 12 months",
    "What the value hangs on",
    "Where ten per cent more is worth most",
    "How far to trust this",
    "Decision",
    "What would change our mind",
    "Definitions, parameters and versions",
]


def made_orders(customers=700, weeks=104, seed=5):
    """Orders of customers who come all the time, differ in rate, and leave."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        day, rate, leave = float(rng.integers(0, 7 * weeks)), rng.gamma(2, 1 / 70), rng.beta(0.8, 4)
        while day < 7 * weeks:
            when = END - dt.timedelta(7 * weeks - 1 - int(day))
            rows.append((f"C{number:04d}", when, rng.gamma(4, 10)))
            if rng.random() < leave:
                break
            day += 1 + rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["Cust", "Day", "Sales"]).round({"Sales": 2})


def run(folder, frame, **given):
    """A finished report: folder, page, its text, and summary."""
    frame.to_csv(folder / "orders.csv", index=False)
    given = {"columns": "customer_id=Cust,order_date=Day,amount=Sales", "observation_end": str(END), **given}
    report = reports.find("lifecycle-health")
    result = run_report(report, {"orders": str(folder / "orders.csv"), **given}, folder / "out")
    return folder, *read_result(result.page)


def beside_files(folder, orders):
    """Visits of everybody before the first order and of others, spend of two channels, who came by which."""
    first = orders.groupby("Cust")["Day"].min().reset_index()
    own = pd.DataFrame({"visitor_id": "V" + first["Cust"], "seen_at": first["Day"], "identified": "yes"})
    own["customer_id"] = first["Cust"]
    rng = np.random.default_rng(3)
    days = [END - dt.timedelta(int(day)) for day in rng.integers(0, 300, 3000)]
    other = pd.DataFrame({"visitor_id": [f"W{i}" for i in range(3000)], "seen_at": days})
    other = other.assign(identified=np.where(rng.random(3000) < 0.2, "1", "0"), customer_id="")
    pd.concat([own, other]).to_csv(folder / "visits.csv", index=False)
    spend = pd.DataFrame({"channel": ["search", HOSTILE_CHANNEL], "spend": [5000, 9000.5]})
    spend.assign(first_day=END - dt.timedelta(727), last_day=END).to_csv(folder / "spend.csv", index=False)
    channel = np.where(np.arange(len(first)) % 3 == 0, HOSTILE_CHANNEL, "search")
    channel[:5] = "rare"
    first.assign(acq_channel=channel).rename(columns={"Cust": "customer_id"}).to_csv(
        folder / "customers.csv", index=False
    )
    return {name: str(folder / f"{name}.csv") for name in ("visits", "spend", "customers")}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A report on dirty orders with everything beside them."""
    folder = tmp_path_factory.mktemp("full")
    clean = made_orders().astype({"Day": "str"})
    clean.loc[clean["Cust"] == "C0001", "Cust"] = HOSTILE_ID
    clean.loc[clean["Cust"] == "C0002", "Cust"] = "=1+1"
    given = beside_files(folder, clean)
    bad = pd.DataFrame([("", "2024-05-05", 5.0)] * 12 + [("C0003", "2090-01-01", 5.0)], columns=clean.columns)
    return run(folder, pd.concat([clean, bad]), currency="<b>$", **given)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A report on orders only, with one number for the acquisition cost."""
    return run(tmp_path_factory.mktemp("plain"), made_orders(seed=6), acquisition_cost=12.5)


def test_rows_add_up_and_the_page_has_its_parts_in_order(full):
    folder, _, text, summary = full
    rows = summary["rows"]
    assert rows["in"] == rows["used"] + rows["set_aside"] and rows["set_aside"] == 13
    assert len(read_csv(folder / "out" / "rejected.csv")) == 13
    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)


def test_the_page_is_offline_escaped_and_holds_no_customer_and_no_path(full):
    folder, page, text, summary = full
    assert not re.search(r"(?i)<script|<img src=x|<b>|alert\(1\)|\bC0\d{3}\b|https?://", page)
    assert HOSTILE_CHANNEL in text and str(folder) not in page + json.dumps(summary)
    assert not re.search(r"C0\d{3}|alert", json.dumps(summary))
    alts = re.findall(r'<img[^>]*\balt="([^"]*)"', page)
    assert len(alts) == page.count("<img") == 7 and all(len(alt) > 20 for alt in alts)


def test_summary_agrees_with_page_and_tables(full):
    folder, _, text, summary = full
    out = folder / "out"
    care = read_csv(out / "care_list.csv")
    assert len(care) == summary["care_list"]["customers"] > 0
    assert f"{len(care):,} of the {summary['late']['customers']:,} late customers" in text
    values = [float(row["value"]) for row in care]
    assert values == sorted(values, reverse=True) and min(values) * 0.05 > 1
    assert all(float(row["silence_days"]) > float(row["late_after_days"]) for row in care)
    everybody = read_csv(out / "customers.csv")
    assert len(everybody) == summary["customers"] and "'=1+1" in {row["customer_id"] for row in everybody}
    chances = summary["bottleneck"]
    assert [row["stage"] for row in chances] == [row["stage"] for row in read_csv(out / "bottleneck.csv")]
    assert {row["stage"] for row in chances} <= set(lifecycle.STAGES) and len(chances) >= 4
    assert all(row["a_year"] >= 20 for row in chances)
    assert sum(row["first"] for row in chances) == pytest.approx(1)
    assert f"To {chances[0]['stage']} :" in text and all(row["low"] <= row["high"] for row in chances)
    stages = {row["stage"]: row["people"] for row in summary["stages"]}
    assert sum(stages[name] for name in health.CUSTOMERS) == summary["customers"]
    value = summary["value"]
    assert value["plan_low"] <= value["low"] < value["clv"] < value["high"] <= value["plan_high"]


def test_costs_by_channel_pool_the_small_and_pay_back(full):
    *_, summary = full
    table = {row["channel"]: row for row in summary["unit_economics"]["by_channel"]}
    assert "rare" not in table and all(row["customers"] >= 20 for row in table.values())
    assert sum(row["customers"] for row in table.values()) == summary["customers"] == 700
    assert summary["unit_economics"]["cac"] == pytest.approx(14000.5 / 700)
    assert summary["unit_economics"]["payback"]["week"] >= 1


def test_orders_only_say_that_the_first_two_stages_are_one(plain):
    _, page, text, summary = plain
    assert "cannot be told apart or counted" in text and summary["unit_economics"]["cac"] == 12.5
    assert {row["stage"] for row in summary["stages"]} == set(health.CUSTOMERS)
    assert "attract and acquire" in {row["stage"] for row in summary["bottleneck"]}
    assert "is taken to cost 12 , as given" in text or "is taken to cost 12, as given" in text
    assert not re.search(r"\bC0\d{3}\b", page)


def test_a_tiny_young_record_declines_in_words(tmp_path):
    rows = [(f"K{i}", END - dt.timedelta(i % 5), 10.0 + i) for i in range(12)]
    _, page, text, summary = run(tmp_path, pd.DataFrame(rows, columns=["Cust", "Day", "Sales"]))
    assert "There is no forecast" in text and "too short for flows" in text and "No test" in text
    assert "cannot be said from these data" in text and "no stage could be priced" in text
    assert summary["bottleneck"] == [] and "value" not in summary and page.count("<img") == 0
    assert all(row["people"] is None for row in summary["stages"] if row["stage"] == "convert")


def test_the_demo_has_all_six_stages(tmp_path):
    assert cli.main(["report", "lifecycle-health", "--demo", "--out", str(tmp_path / "out")]) == 0
    page, text, summary = read_result(tmp_path / "out" / "lifecycle-health.html")
    assert {row["stage"] for row in summary["stages"]} == set(lifecycle.STAGES)
    assert summary["source"] == "Juniper Lane, consumers" and not re.search(r"\bC\d{5}\b", page)
    assert f"{summary['customers']:,} customers" in text and summary["parameters"]["visits"] == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--weeks", "x"], ["--weeks 'x' is not a whole number"]),
        (["--carry-over", "2", "--seed", "1.5"], ["--carry-over 2.0 is outside", "--seed '1.5'"]),
        (["--visits", "gone.csv"], ["gone.csv: no such file"]),
        (["--late-quantil", "0.9"], ["did you mean --late-quantile?"]),
    ],
)
def test_ill_typed_parameters_are_refused(capsys, tmp_path, given, expected):
    code = cli.main(["report", "lifecycle-health", "--demo", *given, "--out", str(tmp_path / "out")])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == len(expected) and not list(tmp_path.iterdir())
    assert all(part in line for line, part in zip(lines, expected, strict=True))


def test_faults_of_all_files_beside_reach_the_terminal_and_nothing_is_written(tmp_path, capsys):
    made_orders(60).set_axis(["customer_id", "order_date", "amount"], axis=1).to_csv(
        tmp_path / "orders.csv", index=False
    )
    (tmp_path / "visits.csv").write_text("visitor_id,seen_at,identified,customer_id\nV1,13/02/2024,maybe,\n")
    (tmp_path / "spend.csv").write_text("channel;spend;first_day;last_day\nsearch;-5;2024-01-01;2030-01-01\n")
    (tmp_path / "who.csv").write_text("customer_id,acq_channel\nC0001,search\nC0001,email\n")
    names = {"orders": "orders", "visits": "visits", "spend": "spend", "customers": "who"}
    options = [word for name, file in names.items() for word in (f"--{name}", str(tmp_path / f"{file}.csv"))]
    assert cli.main(["report", "lifecycle-health", *options, "--out", str(tmp_path / "out")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    expected = ["'seen_at': 1 cell", "'identified': 1 cell", "spend is -5.00", "2030-01-01 lies after"]
    expected.append("1 customer has more than one acq_channel")
    assert len(errors) == len(expected)
    assert all(part in line for line, part in zip(errors, expected, strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{f}.csv" for f in names.values())


# --- the files beside the orders


def test_a_missing_column_is_named_with_the_contract(tmp_path):
    (tmp_path / "v.csv").write_text("Visitor ID,Seen At,customer_id\nV1,2024-01-01,\n")
    with pytest.raises(DataError, match=r"no column 'identified'.*a visits file has visitor_id, seen_at"):
        files.read_file("visits", tmp_path / "v.csv")


def test_visits_are_read_with_dates_flags_and_repaired_ids(tmp_path):
    (tmp_path / "v.csv").write_text(
        "Visitor ID;Seen At;identified;customer_id\nV1;2024-12-05 10:30:00;Yes;17.0\nV2;2024-11-01;0;\n"
    )
    table, weeks = files.read_visits(tmp_path / "v.csv", END)
    assert table["identified"].tolist() == [True, False] and table["customer_id"].iloc[0] == "17"
    assert table["seen_at"].iloc[0] == pd.Timestamp("2024-12-05") and pd.isna(table["customer_id"].iloc[1])
    assert weeks == (59 - 28) // 7


def test_visits_that_end_or_begin_in_the_wrong_place_are_refused():
    visits = pd.DataFrame(
        {"visitor_id": "V", "seen_at": ["2024-01-01"], "identified": ["1"], "customer_id": ""}
    )
    with pytest.raises(DataError, match="the last visit is of 2024-01-01"):
        files.read_visits(visits, END)
    with pytest.raises(DataError, match="the first visit is of 2024-12-20"):
        files.read_visits(visits.assign(seen_at="2024-12-20"), END)


def test_things_that_do_not_go_together_are_refused():
    nothing = {"visits": None, "spend": "", "customers": ""}
    assert files.read_beside(END, pd.Index([]), **nothing, acquisition_cost=3.0) == files.Beside()
    with pytest.raises(ParameterError, match="not both"):
        files.read_beside(END, pd.Index([]), **{**nothing, "spend": "x.csv"}, acquisition_cost=3.0)
    with pytest.raises(ParameterError, match="only --spend"):
        files.read_beside(END, pd.Index([]), **{**nothing, "customers": "x.csv"}, acquisition_cost=0.0)
    strangers = pd.DataFrame({"customer_id": ["x"], "acq_channel": ["search"]})
    spend = pd.DataFrame(
        {"channel": ["a"], "spend": [1], "first_day": ["2024-01-01"], "last_day": ["2024-02-01"]}
    )
    given = {"visits": None, "spend": spend, "customers": strangers}
    with pytest.raises(DataError, match="none of its 1 customers"):
        files.read_beside(END, pd.Index(["y"]), **given, acquisition_cost=0.0)


# --- the computations, by hand


def by_hand():
    """Three customers: a stays, b fell silent after the first quarter, c is new."""
    rows = [("a", f"2024-{month:02d}-10", 10.0) for month in range(1, 13)]
    rows += [("b", "2024-01-05", 20.0), ("b", "2024-03-05", 20.0), ("c", "2024-12-01", 40.0)]
    rows += [("c", "2024-12-20", 40.0)]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_date", "amount"])
    return frame.assign(order_date=pd.to_datetime(frame["order_date"]))


def test_retention_counts_who_bought_in_both_periods():
    found = health.Retention.of(by_hand(), END, 51)
    assert (found.before, found.stayed, found.rate) == (2, 1, 0.5) and found.weeks == 26
    assert found.amount == pytest.approx((60 + 80) / 2)
    assert health.Retention.of(by_hand(), END, 20) is None
    table = found.tornado(0.3, 0.1)
    period = 1.1**0.5 - 1
    assert table.attrs["result"] == pytest.approx(0.3 * 70 * 0.5 / (1 + period - 0.5))
    assert set(table["input"]) == {"margin_rate", "retention_rate", "annual_discount_rate"}


def test_second_orders_count_within_their_days_only():
    assert health.ordered_again(by_hand(), END, 28).to_dict() == {"a": False, "b": False, "c": True}
    assert health.ordered_again(by_hand(), END, 32).to_dict() == {"a": True, "b": False}


def test_lateness_is_judged_by_what_came_after():
    rules = {"new_days": 28, "lost_days": 300, "late_quantile": 0.9}
    signs, rule = health.lateness_test(by_hand(), END, follow_weeks=26, rule_weeks=13, min_group=1, **rules)
    assert signs.loc[health.BOTH, "customers"] == 1 and signs.loc[health.BOTH, "came_back"] == 0
    assert rule.loc[health.RULE, ["flagged", "right", "found", "lost"]].tolist() == [1, 1, 1, 0.5]


def test_channel_costs_count_customers_of_the_paid_days():
    spend = pd.DataFrame(
        {"spend": [100.0, 50.0], "first_day": ["2024-01-01"] * 2, "last_day": ["2024-06-30", "2024-01-31"]},
        index=["x", "y"],
    ).astype({"first_day": "datetime64[us]", "last_day": "datetime64[us]"})
    first = pd.Series(pd.to_datetime(["2024-01-05", "2024-05-05", "2024-05-06", "2024-09-01"]), list("abcd"))
    channel = pd.Series(["x", "x", "y", "x"], list("abcd"))
    table, overall, _ = health.channel_costs(spend, first, channel, 1)
    assert table["customers"].to_dict() == {"x": 2, "y": 0} and table.loc["x", "cac"] == 50
    assert overall["customers"] == 3 and overall["cac"] == 50
    assert health.channel_costs(spend, first, None, 1)[0].empty


def some_flows():
    rows = [("retain", "reacquire", 30), ("reacquire", "retain", 5), ("retain", "develop", 8)]
    rows += [("retain", "retain", 500), ("not seen before", "convert", 9)]
    return pd.DataFrame(rows, columns=["stage_from", "stage_to", "people"]).assign(week=pd.Timestamp(END))


def test_levers_and_their_worth_by_hand():
    value = pd.DataFrame(
        {"margin": [100.0, 150.0, 20.0], "std_error": 0.0}, index=["retain", "develop", "reacquire"]
    )
    new = {"events": 40, "per_year": 1.0, "worth": 90.0, "std_error": 0.0}
    again = {**new, "events": 10, "worth": 60.0}
    found = levers(some_flows(), value, new, again, seen=None, cac=50.0, new_weeks=8)
    table = bottleneck(found, carry_over=0.5, rng=np.random.default_rng(1)).set_index("stage")
    assert table["worth_each"].to_dict() == {
        "retain": 80, "reacquire": 80, "develop": 50, "attract and acquire": 90, "convert": 60
    }  # fmt: skip
    assert table.loc["retain", "worth"] == pytest.approx(0.1 * 30 * 52 * 80 * 0.5)
    assert table.loc["attract and acquire", "worth"] == pytest.approx(0.1 * 40 * (90 * 0.5 - 50))
    assert table.index[0] == "retain" and table.loc["retain", "first"] > 0.7
    assert (table["low"] < table["worth"]).all() and (table["worth"] < table["high"]).all()
    seen = levers(some_flows(), value, new, None, seen=0.5, cac=np.nan, new_weeks=8)
    assert [(x.stage, x.events, x.worth) for x in seen[:2]] == [("attract", 20, 90), ("acquire", 20, 90)]
    assert [x.stage for x in levers(some_flows(), value[:0], new, None, seen=None, cac=0, new_weeks=8)] == [
        "attract and acquire"
    ]


def test_words_follow_the_numbers():
    lever = Lever("convert", "m", 100, 1, -5.0, 0.1)
    table = bottleneck([lever], carry_over=0.5, rng=np.random.default_rng(1))
    assert "At none of the stages" in words.next_money(table, str, str, cac_known=False, carry_over=0.5)[0]
    nobody = Plan(0, 0.0, 0.0, 0.0, 0.0, 0.05)
    assert "Nobody is late" in words.care(nobody, 0, str, str, "value")[0]
    assert "the list is empty" in words.care(nobody, 3, str, str, "value")[0]
    assert "has **not** come back" in words.payback(np.nan, 3, np.nan, 52)
    assert words.payback(9, 8, np.nan, 52).endswith("(range: 8 to later than 52)")
    assert len(words.doubts(table, nobody, None, 1.0, np.nan, END, str)) == 1
