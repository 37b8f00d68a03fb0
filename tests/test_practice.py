"""The practice extracts in `datasets/practice/`: each fault that the truth names can be found in the file."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from custkit import tables, truth
from custkit.course_tables import DATASETS
from custkit.simulate import second_company
from custkit.simulate.draft import parameters
from custkit.simulate.practice import _expected_kappa

PRACTICE = DATASETS / "practice"


def raw(name: str) -> pd.DataFrame:
    """A practice file as text."""
    return pd.read_csv(PRACTICE / f"{name}.csv.gz", dtype=str, keep_default_na=False)


def read_dates(written: pd.Series) -> pd.Series:
    """Dates in any of the four notations; missing where there is no such day."""
    tries = [
        pd.to_datetime(written, format=form, errors="coerce")
        for form in ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%d %b %Y")
    ]
    return pd.concat(tries, axis=1).bfill(axis=1).iloc[:, 0]


@pytest.fixture(scope="module")
def facts():
    return json.loads((DATASETS / "truth" / "truth_practice.json").read_text("utf-8"))


def test_contact_records_of_one_person_resemble_each_other(facts):
    records, true = raw("crm_raw"), truth.load("truth_crm_raw")
    assert records["record_id"].is_unique
    assert records["record_id"].tolist() == true["record_id"].tolist()
    assert true["entity_id"].nunique() == facts["crm_raw"]["persons"]
    records["entity"] = true["entity_id"]
    pairs = records.merge(records, on="entity").query("record_id_x < record_id_y")
    assert len(pairs) > 1000
    same_family = [
        bool(set(one.lower().replace(",", "").split()) & set(other.lower().replace(",", "").split()))
        for one, other in zip(pairs["name_x"], pairs["name_y"], strict=True)
    ]
    assert np.mean(same_family) > 0.9
    assert (pairs["name_x"] != pairs["name_y"]).mean() > 0.3  # but are rarely written alike


def test_fields_of_contact_records_fail_at_the_rate_planted():
    """Share of phones that failed, against what a constant rate says of the records' ages."""
    records = raw("crm_raw").query("bounced != '' and phone != ''")
    age = (pd.Timestamp("2025-12-28") - read_dates(records["updated_at"])) / pd.Timedelta(weeks=1)
    failed = records["bounced"].str.contains("phone")
    rate = parameters("practice")["crm_raw"]["failure_rate"]["phone"]
    expected = 1 - np.exp(-rate * age)
    error = np.sqrt((expected * (1 - expected)).sum())
    assert abs(failed.sum() - expected.sum()) < 4 * error
    assert (records["email"] != "").any()


def test_every_fault_of_the_order_lines_can_be_found(facts):
    lines, true = raw("orders_raw"), truth.load("truth_orders_raw")
    given = parameters("practice")["orders_raw"]
    assert len(lines) == given["rows"]
    content = lines.drop(columns="row")
    found = {
        "duplicate": content.duplicated(),
        "negative_quantity": lines["quantity"].str.startswith("-"),
        "test_order": lines["customer"].str.lower().str.startswith("test"),
        "no_customer": lines["customer"] == "",
        "impossible_date": read_dates(lines["order_date"]).isna(),
    }
    for fault, rows in found.items():
        assert (np.asarray(rows) == (true["fault"] == fault).to_numpy()).all(), fault
        assert facts["orders_raw"][fault] == given[fault] == np.sum(rows)


def test_dates_of_the_order_lines_are_not_ambiguous():
    lines, true = raw("orders_raw"), truth.load("truth_orders_raw")
    good = true["fault"] != "impossible_date"
    read = read_dates(lines.loc[good, "order_date"])
    assert (read == true.loc[good, "order_date"]).all()
    assert lines.loc[good, "order_date"].str.replace(r"\w", "9", regex=True).nunique() >= 4  # notations


def test_agreement_of_the_coders(facts):
    coded = pd.read_csv(PRACTICE / "interviews_coded.csv.gz")
    a, b = coded["coder_a"], coded["coder_b"]
    agree, chance = (a == b).mean(), a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    assert (agree - chance) / (1 - chance) == pytest.approx(facts["interviews_coded"]["kappa"], abs=0.08)


def test_expected_kappa_by_hand():
    """Two themes in every second interview; perfect coders agree beyond chance as far as can be."""
    perfect = {"themes": {"a": 0.5, "b": 0.5}, "coder_sensitivity": [1, 1], "coder_false_alarm": [0, 0]}
    assert _expected_kappa(perfect) == pytest.approx(1)
    guess = perfect | {"coder_sensitivity": [0.5, 0.5], "coder_false_alarm": [0.5, 0.5]}
    assert _expected_kappa(guess) == pytest.approx(0)


def test_the_offender_stands_out_in_the_access_log(facts):
    log, rights = pd.read_csv(PRACTICE / "access_log.csv.gz"), pd.read_csv(PRACTICE / "access_rights.csv.gz")
    true = facts["access_log"]
    reads = log.query("table == 'customers'").pivot_table(index="staff_id", columns="week", values="reads")
    reads = reads.fillna(0)
    late = reads.loc[:, true["from_week"] :].sum(axis=1)
    before = reads.loc[:, : true["from_week"] - 1].sum(axis=1) / (true["from_week"] - 1)
    weeks = reads.columns.max() - true["from_week"] + 1
    surprise = pd.Series(stats.poisson.sf(late - 1, before * weeks), index=reads.index)
    assert surprise.idxmin() == true["offender"]
    used = log[["role", "table"]].drop_duplicates()
    assert len(rights) - len(used) == true["unused_rights"]
    assert len(used.merge(rights)) == len(used)  # nobody reads without a right


def test_the_trap_among_the_lead_columns_leaks(facts):
    leads = pd.read_csv(PRACTICE / "leads_trap.csv.gz")
    agree = (leads[facts["leads_trap"]["leaking_column"]] == leads["won"]).mean()
    assert agree == pytest.approx(parameters("practice")["leads_trap"]["agreement"], abs=0.02)
    honest = leads[["headcount", "pages_viewed"]].corrwith(leads["won"]).abs()
    assert honest.max() < 0.5


def test_the_faulty_database_has_the_orphans_and_the_changed_table(facts):
    files = {path.name.split(".")[0]: path for path in (PRACTICE / "faulty_db").iterdir()}
    found = {name: pd.read_csv(path, dtype=str, keep_default_na=False) for name, path in files.items()}
    true = facts["faulty_db"]
    lost = ~found["orders"]["customer_id"].isin(found["customers"]["customer_id"])
    assert lost.sum() == true["orphan_orders"]
    lost = ~found["order_lines"]["order_id"].isin(found["orders"]["order_id"])
    assert lost.sum() == true["orphan_lines"]
    sums = found["checksums"].set_index("table")["sha256"]
    changed = [
        name
        for name in sums.index
        if hashlib.sha256(found[name].to_csv(index=False, lineterminator="\n").encode()).hexdigest()
        != sums[name]
    ]
    assert changed == [true["tampered_table"]]


def test_the_second_company_loads_and_gender_matters_in_it():
    customers, products, orders, lines = (
        tables.load(name, PRACTICE / "second_company") for name in second_company.TABLES
    )
    assert orders["customer_id"].isin(customers["customer_id"]).all()
    assert lines["order_id"].isin(orders["order_id"]).all()
    assert lines["product_id"].isin(products["product_id"]).all()
    assert "Skipping rope" in set(products["name_en"])
    bought = customers.assign(n=customers["customer_id"].map(orders.groupby("customer_id").size()))
    women, men = (bought.loc[bought["gender"] == one, "n"] for one in ("f", "m"))
    assert stats.ttest_ind(women, men).pvalue < 0.01
    assert women.mean() > men.mean()
