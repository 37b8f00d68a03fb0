"""The report winback-list: on a dirty file made here, a tiny one, one without repeat buyers, and CDNOW."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pytest
from report_runs import by_papermill, read_csv, read_result

from custkit import cli, reports
from custkit.report import run_report
from custkit.reports.rfm_forecast import Models

HOSTILE_ID, HOSTILE_FILE, HOSTILE_CURRENCY = "<script>alert(1)</script>", "<img src=x>.csv", "<b>$"
RATES = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": 12}
REPLAYED = {"margin_rate": 0.3, "horizon_months": 12}
NO_MODEL = Models(None, None, 20.0, ("too few",))


def made_orders(customers=800, seed=11):
    """Orders over two years of customers who differ in rate, in leaving and in mean amount."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        day, amount = float(rng.integers(0, 300)), rng.gamma(6, 1) * 6
        rate, leave = rng.gamma(0.9, 1 / 30), rng.beta(0.8, 2.5)
        while day < 730:
            on = dt.date(2022, 1, 1) + dt.timedelta(int(day))
            rows.append((f"C{number:04d}", on, round(rng.gamma(4, amount / 4), 2)))
            if rng.random() < leave:
                break
            day += 1 + rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["Cust", "Day", "Sales"])


def run(folder, frame, **given):
    """Run the report on a frame with the headings of `made_orders`: page, text, summary, rows of the list."""
    name = given.pop("name", "orders.csv")
    frame.to_csv(folder / name, index=False)
    given |= {"orders": str(folder / name), "columns": "customer_id=Cust,order_date=Day,amount=Sales"}
    result = run_report(reports.find("winback-list"), given, folder / "out")
    return *read_result(result.page), read_csv(folder / "out" / "winback.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report on a dirty file, with a budget: folder, page, its text, summary, list."""
    folder = tmp_path_factory.mktemp("made")
    frame = made_orders().astype({"Day": "str"})
    gone = frame["Cust"].value_counts().loc[lambda n: n >= 3].index[:2]
    frame["Cust"] = frame["Cust"].replace({gone[0]: HOSTILE_ID, gone[1]: "=1+1"})
    bad = pd.DataFrame([("", "2022-05-05", 5.0)] * 12 + [("C0003", "2090-01-01", 5.0)], columns=frame.columns)
    given = {"currency": HOSTILE_CURRENCY, "observation_end": "2023-12-31", "budget": "60", "seed": "5"}
    return folder, *run(folder, pd.concat([frame, bad]), name=HOSTILE_FILE, **given)


def test_every_row_is_used_or_set_aside(made):
    folder, _, text, summary, _ = made
    rows = summary["rows"]
    assert rows["in"] == rows["used"] + rows["set_aside"] and rows["set_aside"] == 13
    assert len(read_csv(folder / "out" / "rejected.csv")) == 13
    assert f"{rows['in']:,} rows in = {rows['used']:,} rows used + 13 rows set aside" in text


def test_the_page_shows_data_as_text_and_no_customer_and_no_path(made):
    folder, page, text, summary, _ = made
    assert HOSTILE_FILE in text and HOSTILE_CURRENCY in text
    assert not re.search(r"(?i)<script|<img src=x|<b>|alert\(1\)|\bC0\d{3}\b|https?://", page)
    assert not re.search(r"\bC0\d{3}\b|alert", json.dumps(summary))
    assert str(folder) not in page + json.dumps(summary)


def test_pictures_have_alt_text_and_the_pages_their_order(made):
    _, page, text, _, _ = made
    alts = re.findall(r'<img[^>]*\balt="([^"]*)"', page)
    assert len(alts) == page.count("<img") == 3 and all(len(alt) > 20 for alt in alts)
    parts = ["In short", "What was read", "What these data can carry", "Who is probably lost"]
    parts += ["Who comes back anyway", "What a return is worth", "What the offer must do", "The trial"]
    parts += ["How far to trust this", "Decision", "What would change our mind", "Definitions, parameters"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_list_is_ranked_defused_and_complete(made):
    _, _, _, summary, rows = made
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
    worth = [float(row["value_if_back"]) for row in rows]
    assert worth == sorted(worth, reverse=True)
    assert all(float(row["p_alive"]) < 0.2 and int(row["orders"]) >= 3 for row in rows)
    assert len(rows) == summary["called_lost"]["P(alive), BG/NBD"]
    ids = {row["customer_id"] for row in rows}
    assert "=1+1" not in ids
    for row in rows:
        gain = 0.05 * (float(row["value_if_back"]) - 5) - 5 * summary["own_return"]["used"] - 1
        assert float(row["expected_gain"]) == pytest.approx(gain, abs=1e-5)


def test_groups_are_best_first_within_the_budget_and_drawn_by_the_seed(made):
    _, _, text, summary, rows = made
    groups = [row["group"] for row in rows]
    chosen = sum(group in ("contact", "hold-out") for group in groups)
    assert set(groups[:chosen]) == {"contact", "hold-out"} and "contact" not in groups[chosen:]
    assert groups.count("hold-out") == round(0.2 * chosen) == summary["trial"]["held_out"]
    assert groups[chosen:] == sorted(groups[chosen:])  # beyond the budget comes before does not pay
    decision = summary["decision"]
    assert decision["groups"] == {name: groups.count(name) for name in set(groups)}
    one = decision["cost"] / groups.count("contact")
    assert decision["cost"] <= 60 < decision["cost"] + 2 * one
    assert f"Contact {groups.count('contact')}, hold out {groups.count('hold-out')} at random" in text


def test_the_summary_agrees_with_the_page(made):
    _, _, text, summary, rows = made
    row = next(row for row in summary["back_test"]["rules"] if row["rule"] == summary["rule"])
    assert f"Of {row['customers']} called lost on 2023-10-01, {row['back']} ({row['share']:.1%})" in text
    assert summary["own_return"] == {"used": row["share"], "from": "back-test"}
    assert f"at least {summary['decision']['break_even']:.1%} of these customers" in text
    assert f"{len(rows)} customers are probably lost" in text
    gain = next(g for g in summary["gain_by_uplift"] if g["uplift"] == 0.05)
    assert gain["low"] < gain["expected"] < gain["high"]
    assert sum(float(r["expected_gain"]) for r in rows if r["group"] == "contact") == pytest.approx(
        gain["expected"], abs=0.01
    )
    assert set(summary["bgnbd"]) >= {"r", "alpha", "a", "b"} and summary["mbgnbd"]["a"] > 0
    assert summary["parameters"]["orders"] == HOSTILE_FILE and summary["parameters"]["uplift"] == 0.05
    assert text.count("an assumption until a trial has been run") >= 2


def test_small_groups_have_no_money(made):
    folder, _, _, summary, _ = made
    tested = read_csv(folder / "out" / "back_test.csv")
    assert {row["rule"] for row in tested} == {row["rule"] for row in summary["back_test"]["rules"]}
    assert all(int(row["customers"]) >= 20 for row in tested)
    assert all((row["margin"] == "") == (int(row["back"]) < 20) for row in tested)


def test_too_few_repeat_buyers_decline_the_model_and_are_listed_by_silence(tmp_path):
    frame = made_orders()
    often = frame["Cust"].value_counts().index
    few = frame[frame["Cust"].isin(often[:30]) | ~frame.duplicated("Cust")]
    few = few[few["Cust"].isin([*often[:30], *often[-300:]])]
    _, text, summary, rows = run(
        tmp_path, few, lost_weeks=8, mask_pii="false", min_group=2, contact_cost="0.01"
    )
    assert "no model of who still buys: 30 of 330 customers" in text
    assert summary["rule"] == "silent for long" and rows and "bgnbd" not in summary
    end = pd.Timestamp(summary["observation_end"])
    gone = few.groupby("Cust")["Day"].agg(["size", "max"])
    silent = (end - pd.to_datetime(gone["max"])).dt.days / 7
    assert {row["customer_id"] for row in rows} == set(gone.index[(gone["size"] >= 3) & (silent >= 8)])
    assert all(row["p_alive"] == "" for row in rows)
    mean = few.groupby("Cust")["Sales"].mean()
    assert float(rows[0]["value_if_back"]) == pytest.approx(0.3 * mean[rows[0]["customer_id"]], abs=1e-4)
    assert rows[0]["customer_id"] in text and "nan" not in text.lower().replace("finance", "")


def test_plain_papermill_runs_it_and_nobody_on_the_list_is_said_in_words(tmp_path):
    once = made_orders(300).drop_duplicates("Cust").set_axis(["customer_id", "order_date", "amount"], axis=1)
    text = by_papermill("winback-list", tmp_path, once)
    assert "**Nobody is called lost**" in text and "no repeat purchase" in text
    assert "nobody to contact" in text and "nan" not in text


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (["--palive-max", "1.5"], "--palive-max 1.5 is outside 0.001 to 0.999"),
        (["--min-orders", "few"], "--min-orders 'few' is not a whole number"),
        (["--holdout-share", "1"], "outside 0 to 0.9"),
        (["--uplift", "5%"], "--uplift '5%' is not a number"),
        (["--mask-pii", "maybe"], "--mask-pii 'maybe' is not true or false"),
        (["--budgett", "3"], "did you mean --budget"),
    ],
)
def test_ill_typed_parameters_are_refused(given, fault, capsys, tmp_path):
    assert cli.main(["report", "winback-list", "--demo", "--out", str(tmp_path / "out"), *given]) == 2
    captured = capsys.readouterr()
    assert fault in captured.err and captured.err.count("error: ") == 1 and not captured.out
    assert not list(tmp_path.iterdir())


def test_all_faults_of_a_file_reach_the_terminal_and_nothing_is_written(tmp_path, capsys):
    file = tmp_path / "bad.csv"
    file.write_text("customer_id,order_date,amount\n" + ",banana,x\n" * 30)
    assert cli.main(["report", "winback-list", "--orders", str(file), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("error: ") == 3 and "Traceback" not in captured.err and not captured.out
    assert [p.name for p in tmp_path.iterdir()] == ["bad.csv"]
