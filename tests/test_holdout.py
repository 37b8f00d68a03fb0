"""The hold-out check: what it hides, what it compares, and that ties give no ranking an advantage."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from custkit import clv, holdout, orders, tables
from custkit.errors import ParameterError

END = dt.date(1997, 9, 30)


@pytest.fixture(scope="module")
def log():
    return tables.read_orders(tables.cdnow(sample=True))


@pytest.fixture(scope="module")
def check(log):
    found, reason = holdout.hold_out(log, END, "W", 5)
    assert reason == ""
    return found


def test_half_of_the_time_of_cdnow_is_39_weeks(log):
    assert holdout.half_time(log, 0.5) == END


def test_what_came_is_what_the_orders_say(log, check):
    frame = log.to_frame()
    known = frame[frame["order_date"] <= pd.Timestamp(END)]["customer_id"].unique()
    later = frame[(frame["order_date"] > pd.Timestamp(END)) & frame["customer_id"].isin(known)]
    weeks = later.assign(week=later["order_date"].dt.to_period("W"))
    assert check.customers["actual"].sum() == len(weeks[["customer_id", "week"]].drop_duplicates())
    assert check.customers["actual_money"].sum() == pytest.approx(later["amount"].sum())
    assert len(check.customers) == len(known) and check.duration == 39
    assert check.new_customers == frame["customer_id"].nunique() - len(known)


def test_forecasts_know_nothing_of_the_hidden_time(log, check):
    until = log.orders.filter(f"order_date <= DATE '{END}'")
    summary = orders.purchase_summary(until, observation_end=END, time_unit="W").set_index("customer_id")
    expected = clv.fit_bgnbd(summary).predict_purchases(summary, 39)
    pd.testing.assert_series_equal(
        check.forecasts[holdout.MODEL], expected.loc[check.forecasts.index], check_names=False, rtol=1e-6
    )


def test_same_as_last_period_counts_repeats_only(check):
    # the calibration is as long as the hold-out: all repeat purchases are in the last period
    assert check.forecasts[holdout.LAST_PERIOD].tolist() == check.customers["frequency"].tolist()


def test_last_period_leaves_older_purchases_out(log):
    late, _ = holdout.hold_out(log, dt.date(1998, 3, 31), "W", 5)
    start = dt.date(1998, 3, 31) - dt.timedelta(weeks=late.duration)
    before = orders.purchase_summary(log.orders, observation_end=start, time_unit="W")
    before = before.set_index("customer_id")["frequency"].reindex(late.customers.index).fillna(0)
    expected = late.customers["frequency"] - before
    assert late.forecasts[holdout.LAST_PERIOD].tolist() == expected.tolist()
    assert late.forecasts[holdout.LAST_PERIOD].sum() < late.customers["frequency"].sum()


def test_errors_by_hand(check):
    row = check.errors().loc[holdout.LAST_PERIOD]
    forecast, actual = check.customers["frequency"], check.customers["actual"]
    assert row["forecast"] == forecast.sum() and row["actual"] == actual.sum()
    assert row["error"] == pytest.approx((forecast.sum() - actual.sum()) / actual.sum())
    assert row["mean_absolute_error"] == pytest.approx((forecast - actual).abs().mean())


def test_the_model_beats_the_simple_forecasts_on_cdnow(check):
    errors = check.errors()["mean_absolute_error"]
    assert errors[holdout.MODEL] < min(errors[holdout.LAST_PERIOD], errors[holdout.PAST_RATE])


def test_groups_by_frequency_leave_small_ones_out(check):
    table = check.by_frequency()
    assert table["customers"].sum() == len(check.customers)
    weighted = (table["actual"] * table["customers"]).sum()
    assert weighted == pytest.approx(check.customers["actual"].sum())
    assert table["frequency"].tolist() == [*map(str, range(7)), "7+"]
    limit = int(table["customers"].sort_values().iloc[1])
    assert len(check.by_frequency(limit)) == len(table) - 1


@pytest.mark.parametrize("end", [dt.date(1996, 1, 1), dt.date(1998, 6, 30), dt.date(2001, 1, 1)])
def test_the_calibration_must_end_within_the_orders(log, end):
    with pytest.raises(ParameterError, match="must lie between 1997-01-01 and 1998-06-30"):
        holdout.hold_out(log, end, "W", 5)


def test_a_calibration_too_short_to_learn_from_is_declined_with_the_reason(log):
    found, reason = holdout.hold_out(log, dt.date(1997, 1, 2), "D", 5)
    assert found is None and "1997-01-02" in reason and "nothing to learn" in reason


# --- gains


def test_gain_of_a_perfect_and_a_reversed_ranking():
    gained = pd.Series([10.0, 0, 0, 30, 0, 0, 0, 0, 0, 0])
    rankings = pd.DataFrame({"perfect": gained, "reversed": -gained})
    table = holdout.gain_table(rankings, gained, points=11).set_index("contacted_share")
    assert table["perfect"].round(9).tolist() == [0, 0.75] + [1] * 9
    assert table["reversed"].round(9).tolist() == [0] * 9 + [0.25, 1]


def test_equal_scores_gain_nothing_whatever_the_order_of_rows():
    gained = pd.Series([5.0, 0, 0, 5, 0])
    for values in (gained, gained[::-1].reset_index(drop=True)):
        table = holdout.gain_table(pd.DataFrame({"same": np.ones(5)}), values, points=6)
        np.testing.assert_allclose(table["same"], table["contacted_share"])


def test_gains_end_at_everything(check):
    last = check.gains().iloc[-1]
    np.testing.assert_allclose(last.to_numpy(), 1)


def test_mean_spend_weighs_by_purchases():
    summary = pd.DataFrame({"frequency": [0.0, 1, 3], "monetary_value": [0.0, 10, 2]})
    assert holdout.mean_spend(summary) == 4
    assert np.isnan(holdout.mean_spend(summary.head(1)))
