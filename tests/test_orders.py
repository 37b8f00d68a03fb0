"""Customer tables from an order log: equal to lifetimes where it is right, better where it is not."""

from __future__ import annotations

import datetime as dt
import json
import math
import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal

from custkit import orders as o
from custkit.errors import DataError, DataWarning, ParameterError

END, CUT = "1998-06-30", "1997-09-30"


def log(*rows: tuple, columns=("customer_id", "order_date", "amount")) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.assign(order_date=pd.to_datetime(frame["order_date"]))


def random_log(rng: np.random.Generator, rows: int = 4_000) -> pd.DataFrame:
    """Orders with refunds, repeated days and cents."""
    return pd.DataFrame(
        {
            "customer_id": rng.integers(0, 500, rows),
            "order_date": np.datetime64("2023-01-02", "s")
            + rng.integers(0, 200, rows) * np.timedelta64(86_400, "s"),
            "amount": np.round(rng.gamma(2, 20, rows), 2) * np.where(rng.random(rows) < 0.1, -1, 1),
        }
    )


def lifetimes_summary(frame: pd.DataFrame, time_unit: str, end: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        return summary_data_from_transaction_data(
            frame, "customer_id", "order_date", "amount", observation_period_end=end, freq=time_unit
        )


# ------------------------------------------------------------------------------ equal to lifetimes
@pytest.mark.parametrize("time_unit", ["D", "W"])
@pytest.mark.parametrize("end", [END, CUT])
@pytest.mark.parametrize("which", ["cdnow", "cdnow_sample"])
def test_summary_equals_lifetimes(request, which, time_unit, end):
    frame = request.getfixturevalue(which)
    known = frame[
        frame["order_date"] <= end
    ]  # lifetimes counts the rest of the last week too; custkit must not
    theirs = lifetimes_summary(known, time_unit, end)
    ours = o.purchase_summary(frame, observation_end=end, time_unit=time_unit).set_index("customer_id")
    assert list(ours.columns) == list(theirs.columns)
    assert (ours.dtypes == np.float64).all()
    assert ours.index.equals(theirs.index)
    assert_frame_equal(
        ours.drop(columns="monetary_value"), theirs.drop(columns="monetary_value"), check_exact=True
    )
    # Money: all 15 digits that a double carries. The bit after them differs for some 2 % of customers:
    # lifetimes' running sum depends on the order of days; the next test shows that ours is the exact one.
    np.testing.assert_allclose(ours["monetary_value"], theirs["monetary_value"], rtol=5e-16)
    assert (ours["monetary_value"] == theirs["monetary_value"]).mean() > 0.97


@pytest.mark.parametrize("time_unit", ["D", "W"])
def test_money_is_the_exact_sum(cdnow, time_unit):
    ours = o.purchase_summary(cdnow, observation_end=END, time_unit=time_unit).set_index("customer_id")
    period = cdnow["order_date"].dt.to_period(time_unit)
    net = cdnow.groupby(["customer_id", period])["amount"].agg(math.fsum)
    repeats = (
        net[net.groupby(level=0).cumcount() > 0]
        .groupby(level=0)
        .agg(lambda money: math.fsum(money) / len(money))
    )
    expected = repeats.reindex(ours.index).fillna(0.0)
    assert (ours["monetary_value"] == expected).all()


def test_worked_example():
    """Three orders, the first left out of the money: (30 + 20) / 2."""
    frame = log(
        ("A", "2024-01-01", 99.0),
        ("A", "2024-01-11", 30.0),
        ("A", "2024-02-10", 20.0),
        ("B", "2024-01-31", 5.0),
    )
    found = o.purchase_summary(frame, observation_end="2024-03-01")
    expected = pd.DataFrame(
        {
            "customer_id": ["A", "B"],
            "frequency": [2.0, 0.0],
            "recency": [40.0, 0.0],
            "T": [60.0, 30.0],
            "monetary_value": [25.0, 0.0],
        }
    )
    assert_frame_equal(found, expected, check_exact=True)
    assert found.attrs["time_unit"] == "D"
    assert found.attrs["observation_end"] == "2024-03-01"
    assert json.dumps(found.attrs)  # so that the frame can be stored as Parquet


# ------------------------------------------------------------------------ better where it is not right
def test_same_day_orders_are_merged_and_counted(cdnow):
    days = cdnow.drop_duplicates(["customer_id", "order_date"])
    found = o.purchase_summary(cdnow, observation_end=END)
    assert found.attrs["orders_merged"] == len(cdnow) - len(days) == 2_068
    assert found["frequency"].sum() + len(found) == len(days)


def test_null_ids_dates_and_amounts_are_set_aside_with_one_warning():
    frame = log(("A", "2024-01-01", 1.0), (None, "2024-01-01", 2.0), ("A", None, 4.0), (None, None, 8.0),
                ("B", "2024-01-02", np.nan), ("B", "2024-01-03", np.inf),
                ("A", "2024-02-09", 16.0))  # fmt: skip
    with pytest.warns(
        DataWarning,
        match=r"5 of 7 rows .*2: no customer_id, 2: no readable amount, 1: no readable order_date",
    ) as caught:
        found = o.purchase_summary(frame, observation_end="2024-01-31")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert found["customer_id"].tolist() == ["A"]
    assert found.attrs["set_aside"] == {
        "no readable amount": 2,
        "no customer_id": 2,
        "no readable order_date": 1,
    }
    assert found.attrs["amount_set_aside"] == 14.0
    assert (found.attrs["rows_in"], found.attrs["rows_used"], found.attrs["after_observation_end"]) == (
        7,
        1,
        1,
    )


def test_nan_amounts_of_other_sources_are_set_aside_too(tmp_path):
    frame = pl.DataFrame(
        {"customer_id": [1, 1], "order_date": [dt.date(2024, 1, 1)] * 2, "amount": [math.nan, 3.0]}
    )
    frame.write_parquet(tmp_path / "orders.parquet")
    for source in (frame, tmp_path / "orders.parquet"):
        with pytest.warns(DataWarning, match="no readable amount"):
            found = o.rfm_values(source, observation_end="2024-01-31")
        assert found["monetary_total"].tolist() == [3.0]


def test_refunds_are_netted_and_cancelled_periods_are_no_purchases():
    frame = log(
        ("A", "2024-01-01", 50.0), ("A", "2024-01-01", -20.0),  # netted: 30
        ("A", "2024-01-09", 0.1), ("A", "2024-01-09", 0.2), ("A", "2024-01-09", -0.3),  # cancelled
        ("A", "2024-01-20", -5.0),  # a refund alone
        ("A", "2024-01-25", 0.0),  # a free order is an order
        ("B", "2024-01-03", -7.0),  # a customer of refunds only
    )  # fmt: skip
    with pytest.warns(DataWarning, match="5 of 8 rows"):
        found = o.purchase_summary(frame, observation_end="2024-01-31")
    assert found["customer_id"].tolist() == ["A"]
    assert found[["frequency", "recency", "monetary_value"]].to_numpy().tolist() == [[1.0, 24.0, 0.0]]
    assert found.attrs["set_aside"] == {o.REFUNDED: 5}
    assert found.attrs["amount_set_aside"] == -12.0
    with pytest.warns(DataWarning):
        values = o.rfm_values(frame, observation_end="2024-01-31")
    assert values[["orders", "monetary_total", "monetary_mean"]].to_numpy().tolist() == [[2.0, 30.0, 15.0]]


def test_orders_after_observation_end_are_not_seen_even_in_its_own_week():
    frame = log(
        ("A", "2024-01-01", 1.0), ("A", "2024-01-10", 2.0), ("A", "2024-01-12", 4.0)
    )  # 10th: a Wednesday
    found = o.purchase_summary(frame, observation_end="2024-01-10", time_unit="W")
    assert found["monetary_value"].tolist() == [2.0]
    assert found.attrs["after_observation_end"] == 1
    assert o.rfm_values(frame, observation_end="2024-01-10")["recency_days"].tolist() == [0]


# ------------------------------------------------------------------------------------ conservation
@pytest.mark.parametrize("time_unit", ["D", "W"])
def test_orders_and_money_in_are_out_plus_set_aside(rng, time_unit):
    frame = random_log(rng)
    frame["customer_id"] = frame["customer_id"].astype("Int64").mask(rng.random(len(frame)) < 0.02)
    frame["order_date"] = frame["order_date"].mask(rng.random(len(frame)) < 0.02)
    end = "2023-06-15"
    with pytest.warns(DataWarning):
        totals = o.period_totals(frame, observation_end=end, time_unit=time_unit)
    with pytest.warns(DataWarning):
        summary = o.purchase_summary(frame, observation_end=end, time_unit=time_unit)
    attrs = totals.attrs
    assert attrs["rows_in"] == len(frame)
    assert len(frame) == attrs["rows_used"] + attrs["after_observation_end"] + sum(
        attrs["set_aside"].values()
    )
    assert len(attrs["set_aside"]) == 3
    seen = frame[~(frame["customer_id"].notna() & (frame["order_date"] > end))]["amount"]
    kept = totals["first_amount"].sum() + totals["repeat_amount"].sum()
    assert kept + attrs["amount_set_aside"] == pytest.approx(math.fsum(seen), rel=1e-12)
    assert totals["first_purchases"].sum() == len(summary)
    assert totals["repeat_purchases"].sum() == summary["frequency"].sum()
    assert summary.attrs["orders_merged"] == attrs["rows_used"] - len(summary) - summary["frequency"].sum()
    assert (summary["monetary_value"] * summary["frequency"]).sum() == pytest.approx(
        totals["repeat_amount"].sum()
    )


def test_rfm_values_carry_all_money(cdnow):
    values = o.rfm_values(cdnow, observation_end=END)
    assert values["monetary_total"].sum() == pytest.approx(cdnow["amount"].sum(), rel=1e-12)
    assert values["orders"].sum() + values.attrs["orders_merged"] == len(cdnow)
    assert (values["monetary_mean"] * values["orders"]).to_numpy() == pytest.approx(
        values["monetary_total"].to_numpy()
    )
    dates = cdnow.groupby("customer_id")["order_date"].agg(["min", "max"])
    assert (values["first_order"].to_numpy() == dates["min"].to_numpy()).all()
    assert (values["last_order"].to_numpy() == dates["max"].to_numpy()).all()
    assert (values["recency_days"].to_numpy() == (pd.Timestamp(END) - dates["max"]).dt.days.to_numpy()).all()


def test_order_ids_are_counted_when_the_log_has_them():
    frame = log(("A", "2024-01-01", 1.0, 7), ("A", "2024-01-01", 2.0, 7), ("A", "2024-01-01", 4.0, 8),
                ("A", "2024-01-01", -0.5, 9), ("A", "2024-01-05", 8.0, None),
                columns=("customer_id", "order_date", "amount", "order_id"))  # fmt: skip
    with_id = o.rfm_values(frame, observation_end="2024-01-31")
    without = o.rfm_values(frame.drop(columns="order_id"), observation_end="2024-01-31")
    assert (with_id["orders"].item(), without["orders"].item()) == (3, 2)
    assert with_id["monetary_total"].item() == without["monetary_total"].item() == 14.5


# ----------------------------------------------------------------------------------------- hold-out
@pytest.mark.parametrize("time_unit", ["D", "W"])
def test_calibration_and_holdout_against_pandas(cdnow, time_unit):
    found = o.calibration_holdout(cdnow, calibration_end=CUT, observation_end=END, time_unit=time_unit)
    before = o.purchase_summary(cdnow, observation_end=CUT, time_unit=time_unit).add_suffix("_cal")
    assert_frame_equal(found.iloc[:, 1:5], before.iloc[:, 1:], check_exact=True)
    later = cdnow[cdnow["order_date"] > CUT]
    net = later.groupby(["customer_id", later["order_date"].dt.to_period(time_unit)])["amount"].agg(math.fsum)
    expected = net.groupby(level=0).agg(["count", lambda money: math.fsum(money) / len(money)])
    expected = expected.reindex(found["customer_id"])
    assert (found["frequency_holdout"].to_numpy() == expected["count"].fillna(0).to_numpy()).all()
    np.testing.assert_array_equal(found["monetary_value_holdout"], expected.iloc[:, 1])
    assert found["monetary_value_holdout"].isna().equals(found["frequency_holdout"] == 0)
    assert (found["duration_holdout"] == {"D": 273, "W": 39}[time_unit]).all()
    assert found.attrs["calibration_end"] == CUT
    assert found.attrs["new_in_holdout"] == 0


def test_customers_new_in_the_holdout_are_counted():
    frame = log(("A", "2024-01-01", 1.0), ("A", "2024-02-05", 3.0), ("A", "2024-02-05", 5.0),
                ("A", "2024-02-20", 2.0), ("B", "2024-01-02", 1.0), ("C", "2024-02-01", 1.0))  # fmt: skip
    found = o.calibration_holdout(frame, calibration_end="2024-01-31", observation_end="2024-02-29")
    assert found["customer_id"].tolist() == ["A", "B"]
    assert found.attrs["new_in_holdout"] == 1
    assert found["frequency_holdout"].tolist() == [2.0, 0.0]
    assert found["monetary_value_holdout"].iloc[0] == 5.0  # (8 + 2) / 2: by day, as in the calibration
    assert math.isnan(found["monetary_value_holdout"].iloc[1])


# --------------------------------------------------------------------------------------- invariance
def answers(frame, time_unit="D"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return [
            o.purchase_summary(frame, observation_end="2023-06-15", time_unit=time_unit),
            o.patterns(frame, observation_end="2023-06-15", time_unit=time_unit),
            o.calibration_holdout(
                frame, calibration_end="2023-04-05", observation_end="2023-06-15", time_unit=time_unit
            ),
            o.rfm_values(frame, observation_end="2023-06-15"),
            o.cohorts(frame, observation_end="2023-06-15"),
            o.period_totals(frame, observation_end="2023-06-15", time_unit=time_unit),
        ]


def assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert_frame_equal(ours, theirs, check_exact=True, check_dtype=True)
        assert ours.attrs == theirs.attrs


@pytest.mark.parametrize("time_unit", ["D", "W"])
def test_order_and_index_of_rows_do_not_matter_to_the_last_bit(rng, time_unit):
    frame = random_log(rng)
    shuffled = frame.sample(frac=1, random_state=1).set_index(rng.integers(0, 9, len(frame)))
    assert_same(answers(shuffled, time_unit), answers(frame, time_unit))
    assert "customer_id" in shuffled and len(shuffled.columns) == 3  # the caller's frame is left alone


def test_whole_money_as_int_or_float_is_the_same(rng):
    frame = random_log(rng).assign(amount=lambda f: f["amount"].round().astype("int32"))
    assert_same(answers(frame), answers(frame.astype({"amount": float})))


def test_weeks_are_days_over_seven_when_all_orders_are_on_mondays(rng):
    frame = random_log(rng)
    frame["order_date"] -= pd.to_timedelta(frame["order_date"].dt.day_of_week, unit="D")
    days, weeks = (answers(frame, unit)[0] for unit in "DW")
    monday = dt.date(2023, 6, 12)
    assert (weeks["frequency"] == days["frequency"]).all()
    assert (weeks["recency"] == days["recency"] / 7).all()
    assert (weeks["T"] == (days["T"] - (dt.date(2023, 6, 15) - monday).days) / 7).all()
    assert (weeks["monetary_value"] == days["monetary_value"]).all()


def test_patterns_are_the_summary_counted(cdnow):
    summary = o.purchase_summary(cdnow, observation_end=CUT, time_unit="W")
    expected = summary.groupby(["frequency", "recency", "T"]).size().reset_index(name="customers")
    found = o.patterns(cdnow, observation_end=CUT, time_unit="W")
    assert_frame_equal(found, expected, check_exact=True)


def test_cohorts_against_pandas(cdnow):
    found = o.cohorts(cdnow, observation_end=END)
    month = cdnow["order_date"].dt.to_period("M")
    first = month.groupby(cdnow["customer_id"]).transform("min")
    expected = cdnow.groupby([first, month]).agg(
        customers=("customer_id", "nunique"), amount=("amount", "sum")
    )
    assert found["customers"].tolist() == expected["customers"].tolist()
    assert found["amount"].to_numpy() == pytest.approx(expected["amount"].to_numpy())
    assert found.loc[found["period_number"] == 0, "customers"].sum() == cdnow["customer_id"].nunique()
    numbers = [(later - start).n for start, later in expected.index]
    assert found["period_number"].tolist() == numbers


def test_period_totals_list_empty_periods():
    frame = log(("A", "2024-01-03", 1.0), ("B", "2024-01-23", 2.0), ("A", "2024-01-24", 4.0))
    found = o.period_totals(frame, observation_end="2024-02-05", time_unit="W")
    assert found["period"].dt.strftime("%m-%d").tolist() == [
        "01-01",
        "01-08",
        "01-15",
        "01-22",
        "01-29",
        "02-05",
    ]
    assert found["first_purchases"].tolist() == [1, 0, 0, 1, 0, 0]
    assert found["repeat_amount"].tolist() == [0, 0, 0, 4, 0, 0]


# ---------------------------------------------------------------------------------- kinds of input
def test_every_kind_of_input_gives_the_same(rng, tmp_path):
    frame = random_log(rng).assign(amount=lambda f: f["amount"].abs())
    expected = answers(frame)
    path = tmp_path / "it's a file.parquet"
    frame.to_parquet(path)
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[part].to_parquet(tmp_path / "parts" / f"{number}.parquet")
    with duckdb.connect() as con:
        con.execute("create table orders as from frame")
        text = o.rfm_values_sql(observation_end="2023-06-15")
        assert_frame_equal(con.sql(text).df(), expected[3], check_dtype=False)  # the text, run by hand
        for source in (
            pl.from_pandas(frame),
            pl.from_pandas(frame).lazy(),
            path,
            str(path),
            str(tmp_path / "parts" / "*.parquet"),
            tmp_path / "parts",
            con.table("orders"),
            con.sql("select amount, order_date, customer_id, 1 as more from orders"),
        ):
            assert_same(answers(source), expected)
        found = o.rfm_values("orders", observation_end="2023-06-15", engine=con)
        assert_frame_equal(found, expected[3], check_exact=True)
        assert con.sql("from orders").shape == (len(frame), 3)  # nothing of the user's was replaced


def test_ids_come_back_as_they_were(tmp_path):
    rows = pd.DataFrame({"order_date": pd.to_datetime(["2024-01-01", "2024-01-02"]), "amount": [1.0, 2.0]})
    for ids in ([7, 3], ["0007", "0003"], pd.Categorical(["b", "a"]), pd.array([7, 3], dtype="int32")):
        frame = rows.assign(customer_id=ids)
        found = o.purchase_summary(frame, observation_end="2024-01-31")["customer_id"]
        assert found.tolist() == sorted(frame["customer_id"].tolist())
        assert pd.api.types.is_integer_dtype(found) == pd.api.types.is_integer_dtype(frame["customer_id"])
    frame = rows.assign(customer_id=["0007", "0003"])
    frame.to_csv(tmp_path / "orders.csv", index=False)
    found = o.purchase_summary(tmp_path / "orders.csv", observation_end="2024-01-31")
    assert found["customer_id"].tolist() == ["0003", "0007"]  # leading zeros kept


def test_every_kind_of_date_gives_the_local_calendar_day(tmp_path):
    times = pd.to_datetime(["2024-01-01 00:10", "2024-01-08 23:50"])
    base = pd.DataFrame({"customer_id": ["A", "A"], "amount": [1.0, 2.0]})
    berlin = base.assign(order_date=times.tz_localize("Europe/Berlin"))
    berlin.to_parquet(tmp_path / "berlin.parquet")
    kinds = [base.assign(order_date=times.as_unit(unit)) for unit in ("s", "ms", "us", "ns")]
    kinds += [base.assign(order_date=[time.date() for time in times]), berlin, pl.from_pandas(berlin)]
    kinds += [tmp_path / "berlin.parquet", base.assign(order_date=times.tz_localize("America/Los_Angeles"))]
    for source in kinds:
        found = o.rfm_values(source, observation_end=dt.date(2024, 1, 8))
        assert found["recency_days"].tolist() == [0]
        assert found["first_order"].dt.strftime("%Y-%m-%d").tolist() == ["2024-01-01"]


@pytest.mark.parametrize(
    "end",
    [
        "2024-01-31",
        "2024-01-31 15:00",
        dt.date(2024, 1, 31),
        dt.datetime(2024, 1, 31, 9),
        pd.Timestamp("2024-01-31"),
        np.datetime64("2024-01-31"),
    ],
)
def test_observation_end_of_any_kind(end):
    assert o.rfm_values(log(("A", "2024-01-01", 1.0)), observation_end=end)["recency_days"].item() == 30


# ---------------------------------------------------------------------------------------- bad input
def test_all_faults_of_the_columns_at_once(tmp_path):
    with pytest.raises(DataError) as caught:
        o.purchase_summary(pd.DataFrame({"customer": ["A"], "order_date": ["01/02/2024"], "amount": ["3"]}),
                           observation_end="2024-01-31")  # fmt: skip
    assert len(caught.value.faults) == 3
    assert "no column customer_id (it has: customer, order_date, amount)" in caught.value.faults[0]
    assert "order_date is VARCHAR" in caught.value.faults[1]
    assert "amount is VARCHAR" in caught.value.faults[2]
    with pytest.raises(DataError, match=r"nowhere\.parquet: no such file"):
        o.purchase_summary(tmp_path / "nowhere.parquet", observation_end="2024-01-31")
    (tmp_path / "orders.csv").write_text("Cust,Day,Sales\nA,2024-01-01,3\n")
    with pytest.raises(DataError, match="no column customer_id, order_date, amount"):
        o.purchase_summary(tmp_path / "orders.csv", observation_end="2024-01-31")
    (tmp_path / "false.parquet").write_text("not parquet")
    with pytest.raises(DataError, match="cannot be read as PARQUET"):
        o.purchase_summary(tmp_path / "false.parquet", observation_end="2024-01-31")
    with pytest.raises(DataError, match="ending does not say"):
        o.purchase_summary("orders.xlsx", observation_end="2024-01-31")
    with pytest.raises(ParameterError, match="orders is a list"):
        o.purchase_summary([1, 2], observation_end="2024-01-31")


def test_logs_with_nothing_to_use():
    with pytest.raises(
        DataError, match="No order on or before observation_end 2023-12-31: the first is of 2024-01-01"
    ):
        o.purchase_summary(log(("A", "2024-01-01", 1.0)), observation_end="2023-12-31")
    with pytest.raises(DataError, match="it is empty"):
        o.purchase_summary(log(("A", "2024-01-01", 1.0)).head(0), observation_end="2023-12-31")
    with pytest.raises(DataError, match="no usable row"):
        o.purchase_summary(log(("A", "2024-01-01", -1.0)), observation_end="2024-12-31")
    with pytest.raises(DataError, match="nothing to calibrate on"):
        o.calibration_holdout(
            log(("A", "2024-03-01", 1.0)), calibration_end="2024-01-01", observation_end="2024-12-31"
        )


def test_parameters_are_checked_all_at_once():
    frame = log(("A", "2024-01-01", 1.0))
    with pytest.raises(ParameterError) as caught:
        o.purchase_summary(frame, observation_end="31/01/2024", time_unit="M")
    assert len(caught.value.faults) == 2
    for wrong in (None, 20240131, pd.NaT, "today"):
        with pytest.raises(ParameterError, match="observation_end is"):
            o.purchase_summary(frame, observation_end=wrong)
    for cut in ("2024-01-31", "2024-02-01"):
        with pytest.raises(ParameterError, match="must be before observation_end"):
            o.calibration_holdout(frame, calibration_end=cut, observation_end="2024-01-31")
    with pytest.raises(ParameterError, match="plain name"):
        o.purchase_summary_sql(observation_end="2024-01-31", table="orders; drop table orders")
    with pytest.raises(ParameterError, match="engine is a str"):
        o.purchase_summary(frame, observation_end="2024-01-31", engine="spark")
    with pytest.raises(TypeError):
        o.purchase_summary(frame)  # never "today", never "last sale"
