"""Baskets, order details and points of the simulated company."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from custkit.simulate import baskets, order_details, pair_rules, preferences, products
from custkit.simulate.company import build
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.lines import cents, fill_lines, weighed
from custkit.simulate.streams import stream


@pytest.fixture(scope="module")
def before() -> Draft:
    return build(5, customers=900, until="nudges")


def with_baskets(before: Draft) -> Draft:
    return replace(before, tables=before.tables | baskets.draw(before), effects=dict(before.effects))


@pytest.fixture(scope="module")
def draft(before) -> Draft:
    return with_baskets(before)


@pytest.fixture(scope="module")
def catalogue() -> pd.DataFrame:
    return products.draw(Draft(seed=1, size=100))["products"]


def few_orders(gross, **columns) -> tuple[pd.DataFrame, pd.DataFrame]:
    orders = pd.DataFrame({"goods_gross": gross, "week": 50.0} | columns)
    mixes = pd.DataFrame(0.2, index=orders.index, columns=parameters("baskets")["categories"])
    return orders, mixes


# Lines ------------------------------------------------------------------------------------------------


def test_lines_add_up_to_the_order_to_the_cent(draft):
    orders, lines = draft.tables["orders"], draft.tables["order_lines"]
    total = np.bincount(lines["order"], cents(lines["line_amount"]), len(orders)).astype(int)
    assert (total == cents(orders["goods_gross"])).all()
    assert (cents(orders["goods_gross"]) == cents(orders["net_amount"]) + cents(orders["discount"])).all()


def test_every_order_has_lines_numbered_from_one(draft):
    lines = draft.tables["order_lines"]
    assert set(lines["order_id"]) == set(draft.tables["orders"]["order_id"])
    assert not lines.duplicated(["order_id", "line_no"]).any()
    assert (lines["line_no"] == lines.groupby("order_id").cumcount() + 1).all()


def test_amount_is_quantity_times_price_but_for_the_rounding_of_the_scale(draft):
    lines = draft.tables["order_lines"]
    by_unit = draft.tables["products"]["sold_by"].to_numpy()[lines["product"]] == "unit"
    gap = (lines["line_amount"] - lines["qty"] * lines["unit_price"]).abs()
    assert (gap[by_unit] < 0.0051).all()
    assert (gap <= 0.005 * lines["unit_price"] + 0.0051)[lines["qty"] > 0.01].all()
    assert (lines["qty"][by_unit] % 1 == 0).all() and (lines["qty"] > 0).all()


def test_nothing_is_sold_before_its_launch_or_after_its_end(draft):
    lines, week = draft.tables["order_lines"], draft.tables["orders"]["week"].to_numpy()
    given = draft.tables["products"].loc[lines["product"], ["from_week", "to_week"]].to_numpy()
    at = week[lines["order"]]
    assert ((given[:, 0] <= at) & (at < given[:, 1])).all()


def test_services_and_packages_are_in_no_consumer_basket(draft):
    lines = draft.tables["order_lines"]
    assert (draft.tables["products"]["kind"].to_numpy()[lines["product"]] == "good").all()


@pytest.mark.parametrize("gross", [0.05, 3.0, 52.4, 190.0, 4321.09])
def test_any_amount_can_be_filled(catalogue, gross):
    orders, mixes = few_orders([gross] * 40)
    lines = fill_lines(stream(1, "lines"), orders, mixes, catalogue)
    assert (np.bincount(lines["order"], cents(lines["line_amount"])) == cents(gross)).all()
    last = lines.groupby("order").tail(1)["product"]
    assert (catalogue["sold_by"].to_numpy()[last] == "100g").all()


def test_shares_of_lines_are_the_mix_whatever_the_prices(catalogue):
    orders, mixes = few_orders(np.linspace(20, 500, 40_000))
    mixes[:] = [0.10, 0.15, 0.40, 0.30, 0.05]
    lines = fill_lines(stream(2, "lines"), orders, mixes, catalogue)
    share = catalogue["category"].to_numpy()[lines["product"]]
    found = pd.Series(share).value_counts(normalize=True)[mixes.columns]
    assert np.abs(found.to_numpy() - mixes.iloc[0].to_numpy()).max() < 4 * np.sqrt(0.24 / len(lines))


def test_a_wanted_category_is_there(catalogue):
    orders, mixes = few_orders([15.0, 90.0, 300.0] * 50, must_have_category=[None, "gifts", "tea"] * 50)
    lines = fill_lines(stream(3, "lines"), orders, mixes, catalogue)
    held = catalogue["category"].to_numpy()[lines["product"]]
    for name, orders_with in (("gifts", range(1, 150, 3)), ("tea", range(2, 150, 3))):
        assert set(orders_with) <= set(lines["order"][held == name])


def test_firms_can_buy_packages(catalogue):
    orders, _ = few_orders([1500.0, 700.0, 380.0])
    mixes = pd.DataFrame({"service": [0.9] * 3, "coffee": [0.1] * 3})
    lines = fill_lines(stream(4, "lines"), orders, mixes, catalogue, popularity="firm_popularity")
    assert (np.bincount(lines["order"], cents(lines["line_amount"])) == [150000, 70000, 38000]).all()
    assert "business_package" in set(catalogue["kind"].to_numpy()[lines["product"]])


def test_dearer_city_pays_five_percent_more_a_unit(catalogue):
    orders, mixes = few_orders([250.0] * 200, price_factor=1.05)
    lines = fill_lines(stream(5, "lines"), orders, mixes, catalogue)
    listed = catalogue["list_price"].to_numpy()[lines["product"]]
    assert np.allclose(lines["unit_price"], np.rint(listed * 105) / 100)


def test_own_price_event_is_in_the_unit_prices(draft):
    orders, lines = draft.tables["orders"], draft.tables["order_lines"]
    event = parameters("trials")["own_price"]
    city = draft.tables["people"]["city"].to_numpy()[orders["customer"]]
    dear = ((city == event["city"]) & (orders["week"] >= event["start"]).to_numpy())[lines["order"]]
    paid = lines["unit_price"] > 0
    listed = draft.tables["products"]["list_price"].to_numpy()[lines["product"]]
    ratio = lines["unit_price"] / listed
    by_till = lines["order"].isin(np.flatnonzero(orders["site"] == "NP1"))
    assert np.allclose(ratio[~dear & paid], 1, atol=1e-9)
    assert np.allclose(ratio[dear & paid & ~by_till], 1 + event["rise"], atol=0.001)


# Pairs ------------------------------------------------------------------------------------------------


def test_a_rule_puts_the_partner_into_a_line_of_its_category_and_keeps_the_sum(catalogue, monkeypatch):
    names = {name: place for place, name in enumerate(catalogue["name_en"])}
    rule = {"one": "Two-mug gift box", "partner": "Coffee-bean chocolates", "chance": 1.0, "lift": 1.0}
    given = parameters("baskets") | {"rules": [rule]}
    monkeypatch.setattr(pair_rules, "parameters", lambda name: given)
    box, peel, beans = (names[name] for name in ("Two-mug gift box", "Candied orange peel",
                                                 "Morning Bell house blend"))  # fmt: skip
    lines = pd.DataFrame(
        {
            "order": [0, 0, 1, 1, 2],
            "line_no": [1, 2, 1, 2, 1],
            "product": [box, peel, box, beans, peel],
            "qty": [1.0, 2.0, 1.0, 1.0, 2.0],
            "unit_price": [128.0, 26.0, 128.0, 17.8, 26.0],
            "line_amount": [128.0, 52.07, 128.0, 17.8, 52.0],
        }
    )
    lines["unit_cost"] = catalogue["unit_cost"].to_numpy()[lines["product"]]
    pair_rules.apply_rules(stream(1, "rules"), lines, catalogue)
    partner = names["Coffee-bean chocolates"]
    assert lines["product"].tolist() == [box, partner, box, beans, peel]
    assert lines["line_amount"].tolist() == [128.0, 52.07, 128.0, 17.8, 52.0]
    assert lines.loc[1, ["qty", "unit_price", "unit_cost"]].tolist() == [1.37, 38.0, 17.4]


def test_a_partner_before_the_last_line_is_one_unit_and_the_last_line_pays_the_rest(catalogue, monkeypatch):
    names = {name: place for place, name in enumerate(catalogue["name_en"])}
    rule = {"one": "Bamboo whisk", "partner": "Stone-milled matcha", "chance": 1.0, "lift": 1.0}
    monkeypatch.setattr(pair_rules, "parameters", lambda name: parameters("baskets") | {"rules": [rule]})
    whisk, bags, beans = (names[name] for name in ("Bamboo whisk", "Breakfast tea forty bags",
                                                   "Morning Bell house blend"))  # fmt: skip
    lines = pd.DataFrame(
        {
            "order": [0, 0, 0, 1, 1, 1],
            "line_no": [1, 2, 3, 1, 2, 3],
            "product": [whisk, bags, beans] * 2,
            "qty": [1.0] * 6,
            "unit_price": [36.0, 29.0, 17.8] * 2,
            "line_amount": [36.0, 29.0, 100.0, 36.0, 29.0, 20.0],
            "unit_cost": 1.0,
        }
    )
    pair_rules.apply_rules(stream(1, "rules"), lines, catalogue)
    matcha = names["Stone-milled matcha"]
    assert lines["product"].tolist() == [whisk, matcha, beans, whisk, bags, beans]
    assert lines["line_amount"].tolist() == [36.0, 78.0, 51.0, 36.0, 29.0, 20.0]
    assert lines["qty"].iloc[2] == weighed(5100, 1780) == 2.87


# Preferences ------------------------------------------------------------------------------------------


def test_mixes_are_shares_and_gifts_grow_in_their_season(draft):
    orders = draft.tables["orders"]
    mixes = preferences.order_mixes(draft, orders)
    assert np.allclose(mixes.sum(axis=1), 1) and (mixes.to_numpy() >= 0).all()
    season = draft.clock.in_gift_season(orders["week"])
    assert mixes["gifts"][season].mean() > 1.3 * mixes["gifts"][~season].mean()


def test_mean_mix_of_a_segment_is_the_planted_one(draft):
    people, orders, clock = draft.tables["people"], draft.tables["orders"], draft.clock
    customer, week = orders["customer"].to_numpy(), orders["week"].to_numpy()
    still = np.ones((len(orders), 5))
    mean = preferences._mean_mixes(draft, people, customer, week, still)
    plain = (week < clock.calibration_weeks) & ~clock.in_gift_season(week)
    for segment, mix in parameters("baskets")["mixes"].items():
        rows = plain & (people["segment"].to_numpy()[customer] == segment)
        assert np.allclose(mean[customer[rows]].mean(axis=0), mix, atol=1e-4)


def test_segments_can_be_found_in_what_is_recorded(draft):
    orders, people = draft.tables["orders"], draft.tables["people"]
    lines = draft.tables["order_lines"]
    category = draft.tables["products"]["category"].to_numpy()[lines["product"]]
    customer = orders["customer"].to_numpy()
    bought = pd.crosstab(customer[lines["order"]], category).reindex(people.index, fill_value=0)
    times = np.bincount(customer, minlength=len(people))
    last = orders.groupby("customer")["week"].max()
    features = np.sqrt(bought.div(bought.sum(axis=1), axis=0)).assign(
        coupons=np.bincount(customer, orders["discount"] > 0) / times,
        app=np.bincount(customer, orders["channel"] == "app") / times,
        often=np.log(times / (last - people["joined_week"] + 4)),
        basket=np.log(np.bincount(customer, orders["net_amount"]) / times),
    )[times >= 3]
    found = KMeans(4, n_init=5, random_state=0).fit_predict(StandardScaler().fit_transform(features))
    assert adjusted_rand_score(people["segment"][features.index], found) > 0.6


def test_taste_keeps_its_rank_when_the_mean_moves():
    mean = np.tile([0.3, 0.7], (500, 1))
    taste = preferences._dirichlet(stream(1, "taste"), 14, mean)
    low, high = taste(mean), taste(np.tile([0.5, 0.5], (500, 1)))
    assert (high[:, 0] > low[:, 0]).all()
    assert abs(high[:, 0].mean() - 0.5) < 0.02


# Order details ----------------------------------------------------------------------------------------


def test_public_columns_of_orders(draft):
    orders = draft.tables["orders"]
    assert orders["order_id"].is_unique and orders["ordered_at"].is_monotonic_increasing
    assert set(orders["channel"]) == {"web", "app", "store", "phone"}
    assert (orders["site"].notna() == (orders["channel"] == "store")).all()
    assert (orders["payment_method"] == "cash").sum() == (
        (orders["payment_method"] == "cash") & (orders["channel"] == "store")
    ).sum()
    assert orders["session_id"].isna().all()
    app = draft.tables["people"]["app_user"].to_numpy()[orders["customer"]]
    assert not ((orders["channel"] == "app").to_numpy() & ~app).any()


def test_first_orders_come_where_the_customer_was_won(draft):
    people, orders = draft.tables["people"], draft.tables["orders"]
    first = orders.drop_duplicates("customer").set_index("customer")["channel"]
    in_store = (people["acq_channel"] == "store").reindex(first.index)
    assert ((first == "store") == in_store).all()


def test_couriers_deliver_what_is_neither_rural_nor_bought_in_a_store(draft):
    people, orders = draft.tables["people"], draft.tables["orders"]
    rural = (people["area_type"] == "rural").to_numpy()[orders["customer"]]
    delivered = (orders["channel"] != "store") & ~rural
    for column in ("promised_min", "delivered_min"):
        assert (orders[column].notna() == delivered).all()
        assert (orders[column].dropna() % 1 == 0).all() and (orders[column].dropna() > 0).all()


def test_only_the_new_layout_changes_what_was_paid(before, draft):
    given = before.tables["orders"].sort_values("week", kind="stable", ignore_index=True)
    after = draft.tables["orders"]
    gap = (after["net_amount"] - given["net_amount"]).round(2)
    layout = parameters("baskets")["layout"]
    there = (after["site"] == layout["site"]) & (after["week"] >= layout["from_week"] - 1)
    assert (gap[~there] == 0).all()
    assert (gap[there] >= 0).all() and gap[there].max() > 0


def test_offers_of_the_promotion_week_and_of_the_win_back():
    draft = build(7, customers=400, until="people")
    orders = pd.DataFrame({"customer": 0, "net_amount": [170.0, 199.99, 200.0, 80.0, 90.0]})
    orders["promo_arm"] = ["discount", "threshold", "threshold", None, "gift"]
    orders["winback_arm"] = [None, None, None, "coupon20", None]
    order_details.add_coupons(draft, orders)
    assert orders["coupon"].tolist()[0] == 30.0  # 15 % of 200
    assert orders["coupon"].tolist()[2:4] == [20.0, 20.0]  # over the threshold; 20 % of 100
    assert orders["campaign_id"].notna().tolist() == [True, False, True, False, True]


def test_the_same_seed_gives_the_same_baskets(before, draft):
    again = with_baskets(before)
    for name in ("orders", "order_lines", "points_reminders"):
        pd.testing.assert_frame_equal(draft.tables[name], again.tables[name])
