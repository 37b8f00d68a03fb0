"""The catalogue of the simulated company."""

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import products
from custkit.simulate.draft import Draft

CATEGORIES = {"coffee", "tea", "equipment", "gifts", "accessories"}


@pytest.fixture(scope="module")
def catalogue() -> pd.DataFrame:
    return products.draw(Draft(seed=1, size=100))["products"]


def test_forty_goods_four_services_four_packages(catalogue):
    assert catalogue["kind"].value_counts().to_dict() == {"good": 40, "service": 4, "business_package": 4}
    assert set(catalogue.loc[catalogue["kind"] == "good", "category"]) == CATEGORIES
    assert set(catalogue.loc[catalogue["kind"] != "good", "category"]) == {"service"}


def test_ids_and_names_are_each_used_once(catalogue):
    for column in ("product_id", "name_en", "name_zh_cn"):
        assert catalogue[column].is_unique and catalogue[column].notna().all()
    assert catalogue["name_zh_cn"].str.contains("[\u4e00-\u9fff]").all()


def test_services_carry_the_names_of_the_subscriptions(catalogue):
    services = catalogue.loc[catalogue["kind"] == "service", "name_en"].str.split().str[0]
    assert services.tolist() == ["CARE", "PLAN", "COACH", "PRIORITY"]


def test_every_category_is_sold_by_weight_too_so_that_an_order_can_be_filled(catalogue):
    by_weight = catalogue[(catalogue["sold_by"] == "100g") & (catalogue["popularity"] > 0)]
    assert set(by_weight["category"]) == CATEGORIES
    assert by_weight["discontinued_on"].isna().all()


def test_goods_earn_45_to_60_percent(catalogue):
    goods = catalogue[catalogue["kind"] == "good"]
    margin = 1 - goods["unit_cost"] / goods["list_price"]
    assert margin.between(0.45, 0.62).all()
    assert margin.groupby(goods["category"]).mean().between(0.45, 0.60).all()


def test_a_few_products_come_and_go_within_the_clock(catalogue):
    inside = catalogue["launched_on"] > "2024-01-01"
    gone = catalogue["discontinued_on"].dropna()
    assert 4 <= inside.sum() <= 10 and 2 <= len(gone) <= 6
    assert (catalogue["discontinued_on"].dropna() > catalogue.loc[gone.index, "launched_on"]).all()
    assert gone.between("2024-01-01", "2025-12-28").all()


def test_weeks_agree_with_the_days_on_sale(catalogue):
    first = catalogue["launched_on"] - pd.Timestamp("2024-01-01")
    assert np.allclose(catalogue["from_week"], first / pd.Timedelta(weeks=1))
    last = catalogue["discontinued_on"] - pd.Timestamp("2023-12-31")
    ends = catalogue["to_week"].where(np.isfinite(catalogue["to_week"]))
    assert np.allclose(ends, last / pd.Timedelta(weeks=1), equal_nan=True)


def test_prices_cost_whole_cents_in_half_and_quarter_units(catalogue):
    quarter = catalogue["list_price"] * 100 / 4 * 2
    assert np.allclose(quarter, quarter.round())
