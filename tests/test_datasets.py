"""The committed files: whole, small, within the contract, and what the data dictionary says they are."""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

from custkit import tables, truth
from custkit.course_faults import faults
from custkit.course_tables import DATASETS, schema
from custkit.simulate import SEED, dictionary
from custkit.simulate.files import about_blocks, all_parameters, as_json, file_facts

FOLDERS = ("juniper_lane", "truth", "practice")
MANIFEST = json.loads((DATASETS / "manifest.json").read_text("utf-8"))
# Rows aimed at (curriculum C.2). There may be more where an effect needs them to be proved, within reason.
ROWS = {
    "customers": 6390,
    "products": 48,
    "orders": 45_000,
    "order_lines": 95_000,
    "sessions": 50_000,
    "campaigns": 220,
    "contacts": 46_000,
    "survey_answers": 60_000,
    "tickets": 7_500,
    "vas_subscriptions": 3_900,
    "leads": 3_240,
    "lead_activities": 22_000,
    "social_edges": 12_000,
    "staff": 36,
}
LEAST, MOST = 0.8, 1.7
CHINESE = r"[\u4e00-\u9fff]"


@pytest.fixture(scope="module")
def committed() -> dict[str, pd.DataFrame]:
    """All tables; copy one before changing it."""
    return {name: tables.load(name) for name in schema()["tables"]}


# Files ------------------------------------------------------------------------------------------------


def test_the_manifest_lists_each_file_and_each_is_what_it_says():
    there = {
        path.relative_to(DATASETS).as_posix(): path
        for folder in FOLDERS
        for path in (DATASETS / folder).rglob("*.*")
    }
    assert set(there) == set(MANIFEST["files"])
    for name, facts in MANIFEST["files"].items():
        assert file_facts(there[name], facts.get("rows")) == facts, name
        if name.endswith(".csv.gz"):
            lines = len(pd.read_csv(there[name], usecols=[0], dtype=str, keep_default_na=False))
            assert lines == facts["rows"], name


def test_the_company_is_that_of_the_course():
    assert (MANIFEST["company"], MANIFEST["seed"], MANIFEST["customers"]) == ("Juniper Lane", SEED, 6000)


def test_all_files_together_are_small():
    assert sum(path.stat().st_size for path in DATASETS.rglob("*") if path.is_file()) <= 8_000_000


def test_the_data_dictionary_is_fresh():
    """After a change of schema.yml or of a block's first sentence: `make datasets`."""
    assert (DATASETS / "README.md").read_text("utf-8") == dictionary.readme(
        schema(), MANIFEST, about_blocks(), all_parameters()
    )


def test_the_parameters_are_those_of_the_simulation():
    """After a change in simulate/parameters: `make datasets`."""
    assert (DATASETS / "truth" / "truth_params.json").read_text("utf-8") == as_json(all_parameters())


# Contract ---------------------------------------------------------------------------------------------


def test_the_tables_keep_the_contract(committed):
    assert faults(committed) == []


@pytest.mark.parametrize("name", schema()["tables"])
def test_the_contract_promises_no_more_than_there_is(committed, name):
    """Each allowed value occurs, and each column that may miss values does."""
    loose = []
    for column, facts in schema()["tables"][name]["columns"].items():
        values = committed[name][column]
        if "empty" in facts and values.notna().all():
            loose.append(f"{column} is never missing")
        parts = values.dropna().str.split(";").explode() if facts["is"].get("list") else values
        unused = {str(one) for one in facts["is"].get("values", ())} - set(parts)
        loose += [f"{column} is never {one}" for one in sorted(unused)]
    assert loose == []


@pytest.mark.parametrize("name", ROWS)
def test_there_are_about_as_many_rows_as_planned(committed, name):
    assert LEAST * ROWS[name] <= len(committed[name]) <= MOST * ROWS[name]
    assert len(committed[name]) == MANIFEST["files"][f"juniper_lane/{name}.csv.gz"]["rows"]


@pytest.mark.parametrize("name", schema()["kept_apart"])
def test_truth_tables_load(name):
    table = truth.load(name)
    facts = schema()["kept_apart"][name]
    assert not table.duplicated(facts["key"]).any()
    for column, declared in facts["columns"].items():
        if "values" in declared["is"]:
            assert set(table[column].dropna()) <= set(map(str, declared["is"]["values"])), column


def test_the_truth_is_about_these_customers(committed):
    consumers = committed["customers"].query("customer_type == 'consumer'")
    assert truth.load("truth_customers")["customer_id"].tolist() == consumers["customer_id"].tolist()


# What the tables promise each other ---------------------------------------------------------------------


def test_joined_at_is_the_first_order(committed):
    first = committed["orders"].groupby("customer_id")["ordered_at"].min()
    consumers = committed["customers"].query("customer_type == 'consumer'").set_index("customer_id")
    assert (consumers["joined_at"] == first.reindex(consumers.index)).all()


def test_orders_of_sessions_and_sessions_of_orders_are_the_same_pairs(committed):
    pairs = [
        set(committed[name][["order_id", "session_id"]].dropna().itertuples(index=False, name=None))
        for name in ("orders", "sessions")
    ]
    assert pairs[0] == pairs[1] and len(pairs[0]) > 1000


def test_names_addresses_and_numbers_are_invented(committed):
    for name in ("customers", "leads"):
        assert committed[name]["email"].str.fullmatch(r"[\w.+-]+@([\w-]+\.)*example\.com").all()
        assert committed[name]["phone"].str.fullmatch(r"\(?000\)?[- ]?\d{7}").all()
    for path in (DATASETS / "practice").rglob("*.csv.gz"):
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
        domains = re.findall(r"[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|cn)\b", text)
        assert [one for one in domains if not one.endswith("example.com")] == [], path.name


@pytest.mark.parametrize(("name", "column"), [("tickets", "text"), ("survey_answers", "text")])
def test_texts_are_varied_and_partly_chinese(committed, name, column):
    texts = committed[name][column].dropna()
    assert len(texts) > 1000 and texts.duplicated().mean() < 0.07
    assert 0.08 < texts.str.contains(CHINESE).mean() < 0.25
    assert texts.str.len().median() > 20


def test_each_survey_item_has_its_question_and_each_experiment_its_line(committed):
    asked = committed["survey_answers"][["survey", "item"]].drop_duplicates()
    assert set(asked.itertuples(index=False, name=None)) == set(
        dictionary.questions(schema()["survey_items"])
    )
    assert set(committed["campaigns"]["experiment_id"].dropna()) <= set(schema()["experiments"])


# The experiments stay where they belong -----------------------------------------------------------------

ON_ORDER_RATES = ["EXP-FREQ", "EXP-JOIN", "EXP-PROMO", "EXP-POINTS", "EXP-WINBACK"]


def test_trials_on_order_rates_touch_the_test_panel_alone_from_week_79(committed):
    campaigns = committed["campaigns"]
    trials = campaigns[campaigns["experiment_id"].isin(ON_ORDER_RATES)]
    assert set(trials["experiment_id"]) == set(ON_ORDER_RATES)
    contacts = committed["contacts"].merge(trials[["campaign_id"]])
    panel = contacts["customer_id"].map(committed["customers"].set_index("customer_id")["panel"])
    assert len(contacts) > 5000 and set(panel) == {"test"}
    assert contacts["first_sent_at"].min() >= pd.Timestamp("2025-06-30")


def test_nothing_but_price_events_changes_the_bau_panel(committed):
    expected = truth.load("truth_customers").set_index("customer_id")
    bau = committed["customers"].query("panel == 'bau' and customer_type == 'consumer'")["customer_id"]
    changed = expected.filter(regex="^(uplift|return)_").drop(
        columns=["uplift_comp_price", "uplift_own_price"]
    )
    assert not changed.loc[bau].any(axis=None)
    assert np.count_nonzero(changed.to_numpy()) > 5000
    assert not committed["orders"][committed["orders"]["customer_id"].isin(bau)]["points_earned"].any()
