"""What a customer costs, brings and is worth: cases done by hand, bad input, a known value found again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifecycle_cases import END, ago, company, log

from custkit import lifecycle
from custkit.errors import DataError, ParameterError


def test_acquisition_cost_by_hand():
    spend = pd.Series({"search": 1000.0, "display": 50.0})
    table = lifecycle.acquisition_cost(spend, pd.Series({"search": 10, "store": 4}))
    assert table["cac"].tolist() == [100, np.inf, 0]
    # exact limits of a count of 10 are 4.795 and 18.390; of 0, 0 and 3.689 (Garwood's table)
    assert table.loc["search", ["cac_low", "cac_high"]].tolist() == pytest.approx([54.38, 208.5], abs=0.05)
    assert table.loc["display", ["cac_low", "cac_high"]].tolist() == [pytest.approx(13.55, abs=0.01), np.inf]
    free = lifecycle.acquisition_cost(pd.Series({"a": 0.0}), pd.Series({"a": 0}))
    assert free[["cac", "cac_high"]].isna().all(axis=None)


def test_acquisition_cost_names_all_faults():
    with pytest.raises(DataError) as error:
        lifecycle.acquisition_cost(pd.Series({"a": -1.0}), pd.Series([1.5, 2], index=["a", "a"]))
    assert len(error.value.faults) == 3
    with pytest.raises(ParameterError, match="level is 95"):
        lifecycle.acquisition_cost(pd.Series({"a": 1.0}), pd.Series({"a": 1}), level=95)


def margins():
    return pd.DataFrame(
        [("A", 20, 10.0), ("A", 10, 4.0), ("B", 8, 20.0), ("B", 1, 2.0), ("C", 3, 99.0)],
        columns=["customer_id", "days", "margin"],
    ).assign(order_date=lambda t: [ago(d) for d in t["days"]])


def test_margin_curve_by_hand():
    curve = lifecycle.margin_curve(margins(), as_of=END)
    # A has been seen three weeks, B one (and two days, with its second order), C not even one
    assert curve["customers"].tolist() == [2, 1, 1]
    assert curve["margin"].tolist() == [15, 4, 0]
    assert curve["cumulative"].tolist() == [15, 19, 19]
    assert curve["std_error"].iloc[0] == pytest.approx(5)  # the mean of 10 and 20: 7.07 / root 2
    assert curve["std_error"].isna().tolist() == [False, True, True]
    assert curve["high"].iloc[0] == pytest.approx(15 + 1.96 * 5, abs=0.001)


def test_margin_curve_by_group():
    group = pd.Series({"A": "x", "B": "y", "C": "y"}, name="channel")
    by_series = lifecycle.margin_curve(margins(), as_of=END, by=group)
    assert by_series[["channel", "cumulative"]].to_numpy().tolist() == [
        ["x", 10],
        ["x", 14],
        ["x", 14],
        ["y", 20],
    ]
    orders = margins().assign(channel=["x", "other", "y", "other", "y"])  # the first order's counts
    by_column = lifecycle.margin_curve(orders.iloc[::-1], as_of=END, by="channel")
    pd.testing.assert_frame_equal(by_series, by_column)


def test_margin_curve_needs_its_columns():
    with pytest.raises(DataError) as error:
        lifecycle.margin_curve(log(A=[3]), as_of=END, by="channel")
    assert len(error.value.faults) == 2
    with pytest.raises(DataError, match="no order with a margin on or before"):
        lifecycle.margin_curve(margins(), as_of="2024-01-01")


def test_payback_and_cost_are_found_again(rng):
    """Customers bring 20 at once and then buy at 0.5 a week for 8 on average: 20 + 4 w after w weeks."""
    people, weeks = 4000, 20
    first = rng.integers(1, 140, people)
    later = rng.poisson(0.5 * first / 7)
    who = np.repeat(np.arange(people), 1 + later)
    begin = np.r_[True, who[1:] != who[:-1]]
    day = np.where(begin, first[who], first[who] - rng.uniform(0, 1, len(who)) * first[who])
    money = np.where(begin, 20, rng.gamma(2, 4, len(who)))
    orders = pd.DataFrame(
        {"customer_id": who, "order_date": END - pd.to_timedelta(day, "D"), "margin": money}
    )
    curve = lifecycle.margin_curve(orders, as_of=END, weeks=weeks)
    truth = 20 + 4 * curve["week"]
    assert ((curve["cumulative"] - truth).abs() < 3.5 * curve["std_error"]).all()
    spend = pd.Series({"all": 50.0 * people})
    cost = lifecycle.acquisition_cost(spend, pd.Series({"all": rng.poisson(people)}))
    assert cost["cac_low"].item() < 50 < cost["cac_high"].item()
    back = lifecycle.payback_week(curve, 50)
    assert back["week_low"].item() <= 8 <= back["week_high"].item()
    assert abs(back["week"].item() - 8) <= 1


def test_standard_errors_are_those_of_a_bootstrap(rng):
    orders, _ = company()
    some = orders[orders["customer_id"].isin(orders["customer_id"].unique()[::20])]
    curve = lifecycle.margin_curve(some, as_of=END, value="amount", weeks=12)
    people, draws = some["customer_id"].unique(), []
    for _ in range(60):
        drawn = (
            pd.DataFrame({"customer_id": rng.choice(people, len(people))}).rename_axis("copy").reset_index()
        )
        again = drawn.merge(some).assign(customer_id=lambda t: t["copy"])
        again = lifecycle.margin_curve(again, as_of=END, value="amount", weeks=12)
        draws.append(again["cumulative"].iloc[-1])
    assert np.std(draws, ddof=1) / curve["std_error"].iloc[-1] == pytest.approx(1, abs=0.3)


def test_payback_by_hand():
    curve = lifecycle.margin_curve(margins(), as_of=END, by=pd.Series({"A": "x", "B": "y"}, name="channel"))
    cost = lifecycle.acquisition_cost(pd.Series({"x": 24.0, "y": 90.0}), pd.Series({"x": 2, "y": 3}))
    back = lifecycle.payback_week(curve, cost)
    assert back["week"].tolist()[:1] == [2]
    assert np.isnan(back["week"].iloc[1])  # 20 never reaches 30
    assert lifecycle.payback_week(lifecycle.margin_curve(margins(), as_of=END), 15)["week"].tolist() == [1]
    with pytest.raises(DataError, match="no value for 'y'"):
        lifecycle.payback_week(curve, pd.Series({"x": 1.0}))
    with pytest.raises(DataError, match="lacks week, cumulative"):
        lifecycle.payback_week(pd.DataFrame({"a": [1]}), 1)


def test_retention_value_is_the_sum_it_stands_for():
    t = np.arange(1, 4000)
    assert lifecycle.retention_value(100, 0.8, 0.1) == pytest.approx((100 * 0.8**t / 1.1**t).sum())
    now = lifecycle.retention_value(100, 0.8, 0.1, paid_now=True)
    assert now == pytest.approx(100 + (100 * 0.8**t / 1.1**t).sum())
    monthly = lifecycle.retention_value(10, 0.97, 0.1, periods_per_year=12)
    assert monthly == pytest.approx((10 * 0.97**t / 1.1 ** (t / 12)).sum())
    many = lifecycle.retention_value(np.array([1.0, 2.0]), pd.Series([0.5, 0.0]), 0.0)
    assert many.tolist() == [1, 0]


def test_retention_value_refuses_endless_money():
    with pytest.raises(ParameterError) as error:
        lifecycle.retention_value(1, 1.2, -2, periods_per_year=0)
    assert len(error.value.faults) == 3
    with pytest.raises(ParameterError, match="no end"):
        lifecycle.retention_value(1, 1, 0)


def test_tornado_by_hand():
    table = lifecycle.tornado(lambda a, b, c: a * b - c, {"c": 1.0, "a": 2.0, "b": 3.0}, change=0.5)
    assert table["input"].tolist() == ["a", "b", "c"]
    assert table[["low", "high", "swing"]].to_numpy().tolist() == [[2, 8, 6], [2, 8, 6], [5.5, 4.5, 1]]
    assert table["elasticity"].tolist() == pytest.approx([1.2, 1.2, -0.2])
    assert table.attrs["result"] == 5
    uneven = lifecycle.tornado(lambda a: a, {"a": 4.0}, change={"a": 0.25})
    assert uneven[["low", "high", "elasticity"]].to_numpy().tolist() == [[3, 5, 1]]


def test_tornado_of_a_closed_form_has_its_elasticity():
    def value(margin, retention):
        return lifecycle.retention_value(margin, retention, 0.1)

    table = lifecycle.tornado(value, {"margin": 50.0, "retention": 0.7}, change=0.001).set_index("input")
    assert table.loc["margin", "elasticity"] == pytest.approx(1)
    assert table.loc["retention", "elasticity"] == pytest.approx(1.1 / (1.1 - 0.7), rel=1e-4)


def test_tornado_says_what_went_wrong():
    with pytest.raises(ParameterError) as error:
        lifecycle.tornado(lambda a: a, {"a": "x", "b": np.nan}, change=3)
    assert len(error.value.faults) == 3
    with pytest.raises(ParameterError, match="value with r higher: retention is 1"):
        lifecycle.tornado(lambda r: lifecycle.retention_value(1, r, 0.1), {"r": 0.95})
