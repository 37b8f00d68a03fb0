"""The report rfm-forecast on orders made here: a dirty and hostile file, and one nobody came back in."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pytest
from report_runs import by_papermill, read_csv, read_result

from custkit import cli, clv, orders, reports
from custkit.holdout import MODEL
from custkit.report import run_report
from custkit.reports import rfm_forecast as computing
from custkit.reports import rfm_words as words

HOSTILE_ID, HOSTILE_FILE, HOSTILE_CURRENCY = "<script>alert(1)</script>", "<img src=x>.csv", "<b>$"
SET_ASIDE = {"no customer id": 12, "amount is zero": 8, "order date in the future": 1}


def made_orders(customers=900, seed=5):
    """Orders over two years of customers who differ in rate, in leaving and in mean amount."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        day, amount = float(rng.integers(0, 300)), rng.gamma(6, 1) * 6
        rate, leave = rng.gamma(0.7, 1 / 40), rng.beta(0.8, 2.5)
        while day < 730:
            rows.append(
                (f"C{number:04d}", dt.date(2022, 1, 1) + dt.timedelta(int(day)), rng.gamma(4, amount / 4))
            )
            if rng.random() < leave:
                break
            day += 1 + rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["Cust", "Day", "Sales"]).round({"Sales": 2})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished report on a dirty file: folder, page, its text, and summary."""
    folder = tmp_path_factory.mktemp("made")
    frame = made_orders().astype({"Day": "str"})
    frame.loc[frame["Cust"] == "C0001", "Cust"] = HOSTILE_ID
    frame.loc[frame["Cust"] == "C0002", "Cust"] = "=1+1"
    bad = pd.DataFrame(
        [("", "2022-05-05", 5.0)] * 12 + [("C0500", f"2023-11-{i + 1:02d}", 0.0) for i in range(8)]
        + [("C0003", "2090-01-01", 5.0)],
        columns=frame.columns,
    )  # fmt: skip
    pd.concat([frame, bad]).to_csv(folder / HOSTILE_FILE, index=False)
    given = {"orders": str(folder / HOSTILE_FILE), "columns": "customer_id=Cust,order_date=Day,amount=Sales"}
    given |= {"currency": HOSTILE_CURRENCY, "observation_end": "2023-12-31", "contact_cost": "0.5"}
    result = run_report(reports.find("rfm-forecast"), given, folder / "out")
    return folder, *read_result(result.page)


def test_rows_in_are_rows_used_plus_rows_set_aside(made):
    folder, _, text, summary = made
    rows, rejected = summary["rows"], read_csv(folder / "out" / "rejected.csv")
    assert rows["in"] == rows["used"] + rows["set_aside"] and rows["set_aside"] == 21 == len(rejected)
    assert summary["set_aside"] == SET_ASIDE
    assert {r: sum(row["reason"] == r for row in rejected) for r in SET_ASIDE} == SET_ASIDE
    assert f"{rows['in']:,} rows in = {rows['used']:,} rows used + 21 rows set aside" in text


def test_the_page_shows_data_as_text_and_no_customer(made):
    _, page, text, _ = made
    assert HOSTILE_FILE in text and HOSTILE_CURRENCY in text
    assert not re.search(r"(?i)<script|<img src=x|<b>|alert\(1\)|\bC0\d{3}\b", page)
    assert not re.search(r"https?://", page)


def test_the_page_holds_no_path(made):
    folder, page, _, summary = made
    assert str(folder) not in page + json.dumps(summary)


def test_pictures_have_alt_text_and_the_pages_their_order(made):
    _, page, text, _ = made
    alts = re.findall(r'<img[^>]*\balt="([^"]*)"', page)
    assert len(alts) == page.count("<img") >= 7 and all(len(alt) > 20 for alt in alts)
    parts = [
        "In short",
        "What was read",
        "What these data can carry",
        "Who the customers are",
        "How often they buy",
    ]
    parts += [
        "Who still buys",
        "Does the forecast hold?",
        "What they are worth",
        "How far to trust this",
        "Decision",
    ]
    places = [text.index(part) for part in [*parts, "Definitions, parameters and versions"]]
    assert places == sorted(places)


def test_the_customer_list_is_complete_ranked_and_defused(made):
    folder, _, _, summary = made
    rows = read_csv(folder / "out" / "customers.csv")
    assert len(rows) == summary["customers"] and "'=1+1" in {row["customer_id"] for row in rows}
    worth = [float(row["clv"]) for row in rows]
    assert worth == sorted(worth, reverse=True)
    assert sum(worth) == pytest.approx(summary["value"]["clv"], rel=1e-6)
    listed = [row for row in rows if row["contact"] == "yes"]
    assert len(listed) == summary["decision"]["customers"]
    assert min(float(row["clv"]) for row in listed) * 0.05 > 0.5


def test_the_summary_carries_the_fit_and_ranges(made):
    _, _, text, summary = made
    assert set(summary["bgnbd"]) >= {"r", "alpha", "a", "b", "std_errors", "log_likelihood", "convergence"}
    assert set(summary["gamma_gamma"]) >= {"p", "q", "gamma", "frequency_correlation"}
    value = summary["value"]
    assert value["plan_low"] <= value["low"] < value["clv"] < value["high"] <= value["plan_high"]
    assert summary["observation_end"] == "2023-12-31" and summary["parameters"]["orders"] == HOSTILE_FILE
    errors = summary["hold_out"]["errors"]
    assert f"its total was {words.off(errors[MODEL]['error'])}" in text


def test_small_groups_are_nowhere(made):
    folder, _, _, summary = made
    segments = read_csv(folder / "out" / "segments.csv")
    assert sum(int(row["customers"]) for row in segments) == summary["customers"]
    assert all(int(row["customers"]) >= 20 for row in segments)
    for row in segments:
        assert row["contact"] == "" or float(row["contact"]) == 0 or float(row["contact"]) >= 20


def test_plain_papermill_runs_it_and_without_repeat_buyers_only_rfm_is_shown(tmp_path):
    once = made_orders(300).drop_duplicates("Cust").set_axis(["customer_id", "order_date", "amount"], axis=1)
    text = by_papermill("rfm-forecast", tmp_path, once)
    assert "no forecast" in text and "no repeat purchase" in text and "rule of thumb" in text
    assert "How often they buy" not in text


def test_all_faults_of_a_file_reach_the_terminal_and_nothing_is_written(tmp_path, capsys):
    file = tmp_path / "bad.csv"
    file.write_text("customer_id,order_date,amount\n" + ",banana,x\n" * 30)
    assert cli.main(["report", "rfm-forecast", "--orders", str(file), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert [next(c for c in ("customer_id", "order_date", "amount") if c in e) for e in errors] == [
        "customer_id",
        "order_date",
        "amount",
    ]
    assert "Traceback" not in captured.err and not captured.out
    assert [p.name for p in tmp_path.iterdir()] == ["bad.csv"]


# --- the computations


@pytest.fixture(scope="module")
def fitted():
    """Models of customers who all buy at one rate and never leave: the likelihood is flat."""
    rng = np.random.default_rng(3)
    x = 1.0 + rng.poisson(9, 200)
    summary = pd.DataFrame(
        {"frequency": x, "recency": 99.0, "T": 100.0, "monetary_value": rng.gamma(9, 2, 200)}
    )
    summary.attrs["time_unit"] = "W"
    verdict = pd.DataFrame({"can_run": True, "why": "enough"}, index=["purchase models", "spend model"])
    return summary, computing.fit_models(summary, verdict)


def test_flat_likelihoods_give_totals_without_a_range(fitted):
    summary, models = fitted
    assert not models.pinned
    rates = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": 12}
    groups = pd.DataFrame({"contact": ["yes"] * 50 + ["no"] * 150, "all": "everybody"})
    both = computing.value_totals(models, summary, groups, rng=np.random.default_rng(1), **rates)
    totals = both.loc["contact"]
    value = clv.customer_value(models.purchase, models.spend, summary, **rates)
    assert totals.index.tolist() == ["no", "yes", clv.ALL]
    assert totals.loc[clv.ALL, "clv"] == pytest.approx(value["clv"].sum())
    assert both.loc["all", "customers"].tolist() == [200, 200]
    assert totals["customers"].tolist() == [150, 50, 200] and totals[["low", "high"]].isna().all(axis=None)
    plan = computing.Plan.of(totals, contact_cost=2, response=0.1)
    text = " ".join(words.decision(plan, 200, 2, 12, str, str))
    assert text.count("no range can be given") == 2
    cautions = words.cautions(models, None, summary, 52)
    assert "do not pin all parameters down" in cautions[0]


def test_models_decline_with_the_reason_of_the_verdict():
    summary = pd.DataFrame({"frequency": [0.0] * 5, "recency": 0.0, "T": 9.0, "monetary_value": 0.0})
    verdict = pd.DataFrame(
        {"can_run": False, "why": ["nobody came back", "no spend"]}, index=["purchase models", "spend model"]
    )
    models = computing.fit_models(summary, verdict)
    assert models.purchase is None and models.declined == ("nobody came back",)


def test_parameters_of_real_orders_are_pinned_down(cdnow_sample):
    summary = orders.purchase_summary(cdnow_sample, observation_end="1998-06-30", time_unit="W")
    verdict = pd.DataFrame({"can_run": True, "why": "enough"}, index=["purchase models", "spend model"])
    assert computing.fit_models(summary, verdict).pinned


def test_plan_by_hand():
    totals = pd.DataFrame(
        {"customers": [30, 70], "clv": [900.0, 100], "low": [800.0, 90], "high": [1000.0, 110]}
    )
    plan = computing.Plan.of(totals.set_index(pd.Index(["yes", "no"])), contact_cost=3, response=0.2)
    assert (plan.customers, plan.cost, plan.gain, plan.break_even) == (30, 90, 180, 0.1)
    nobody = computing.Plan.of(totals.set_index(pd.Index(["a", "no"])), contact_cost=3, response=0.2)
    assert nobody.customers == 0 and np.isnan(nobody.break_even)
    assert words.in_short(nobody, 100, str).startswith("**Contact nobody")
    assert len(words.decision(nobody, 100, 3, 12, str, str)) == 2
    value = pd.DataFrame({"clv": [15.0, 15.01, 3]})
    assert computing.contact_plan(value, contact_cost=3, response=0.2).tolist() == ["no", "yes", "no"]


def test_expected_counts_add_up_to_the_customers():
    summary, models = pd.DataFrame({"frequency": [0.0, 0, 2, 9], "T": [10.0, 20, 20, 30]}), None
    rng = np.random.default_rng(1)
    many = pd.DataFrame({"frequency": rng.poisson(rng.gamma(1, 2, 500)) * 1.0, "T": 40.0})
    many["recency"] = np.where(many["frequency"] > 0, rng.uniform(1, 40, 500), 0)
    models = clv.fit_bgnbd(many, "W")
    table = computing.counts_table(summary, {"model": models})
    assert table["observed"].tolist() == [2, 0, 1, 0, 0, 0, 0, 1]
    assert table["model"].sum() == pytest.approx(4) and (table["model"] > 0).all()
    assert table["frequency"].tolist()[-1] == "7+"


def test_words():
    assert words.off(-0.104) == "10.4% too low" and words.off(0.2) == "20.0% too high"
    assert words.signed(-0.05) == "−5.0%" and words.signed_number(0.1, 2) == "+0.10"
    assert words.span(1, 2, str) == "1 to 2"
    segments = ["Champions", "At risk and 2 small", "all together"]
    actions = words.actions(segments)
    assert len(set(actions)) == 3 and actions[2] == "Too few customers to treat apart."
