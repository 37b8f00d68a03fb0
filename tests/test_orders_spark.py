"""The same SQL in Spark gives the same tables, to the last bit."""

from __future__ import annotations

import importlib.util
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from custkit import orders as o
from custkit import rfm
from custkit.errors import DataError, DataWarning

MISSING = [
    *(["Java (no java on the path)"] if shutil.which("java") is None else []),
    *(["pyspark (install custkit[spark])"] if importlib.util.find_spec("pyspark") is None else []),
]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"missing: {' and '.join(MISSING)}"),
    # PySpark leaves the socket of each answer to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

END, CUT = "1998-06-30", "1997-09-30"


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        folder = tmp_path_factory.mktemp("spark")
        session = (
            SparkSession.builder.master("local[2]")
            .appName("custkit tests")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
            .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder}")
            .config("spark.sql.session.timeZone", "America/Sao_Paulo")
            .config("spark.log.level", "ERROR")
            .getOrCreate()
        )  # fmt: skip
        yield session
        session.stop()


QUESTIONS = {
    "summary in days": lambda log, **e: o.purchase_summary(log, observation_end=END, time_unit="D", **e),
    "summary in weeks": lambda log, **e: o.purchase_summary(log, observation_end=CUT, time_unit="W", **e),
    "patterns": lambda log, **e: o.patterns(log, observation_end=END, time_unit="W", **e),
    "hold-out in weeks": lambda log, **e: o.calibration_holdout(
        log, calibration_end=CUT, observation_end=END, time_unit="W", **e
    ),
    "RFM values": lambda log, **e: o.rfm_values(log, observation_end=END, **e),
    "RFM table": lambda log, **e: rfm.rfm_table(log, observation_end=CUT, **e),
    "cohorts": lambda log, **e: o.cohorts(log, observation_end=END, **e),
    "period totals": lambda log, **e: o.period_totals(log, observation_end=END, time_unit="W", **e),
}


@pytest.fixture(scope="module")
def path(cdnow, tmp_path_factory):
    """CDNOW with the faults of real logs: nulls, refunds, NaN, order ids."""
    rng = np.random.default_rng(7)
    frame = cdnow.sample(frac=1, random_state=3).reset_index(drop=True)
    frame["amount"] *= np.where(rng.random(len(frame)) < 0.02, -1, 1)
    frame["order_id"] = rng.integers(0, 60_000, len(frame))
    for name in ("customer_id", "order_date", "amount"):
        frame[name] = frame[name].mask(rng.random(len(frame)) < 0.001)
    path = tmp_path_factory.mktemp("orders") / "orders.parquet"
    frame.to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("question", QUESTIONS)
def test_spark_and_duckdb_agree_to_the_last_bit(spark, path, question):
    ask = QUESTIONS[question]
    with pytest.warns(DataWarning):
        ours = ask(path)
    with pytest.warns(DataWarning):
        theirs = ask(path, engine=spark)
    assert_frame_equal(theirs, ours, check_exact=True)
    assert theirs.attrs == ours.attrs
    assert len(ours) > 10


def test_every_kind_of_spark_input(spark, cdnow_sample, tmp_path):
    frame = cdnow_sample[["customer_id", "order_date", "amount"]]
    ask = QUESTIONS["summary in weeks"]
    expected = ask(frame)
    frame.to_csv(tmp_path / "orders.csv", index=False)
    frame.to_parquet(tmp_path / "orders.parquet")
    data = spark.read.parquet(str(tmp_path / "orders.parquet"))
    data.createOrReplaceTempView("orders")
    for source in (frame, data, "orders", tmp_path / "orders.csv", str(tmp_path / "*.parquet")):
        assert_frame_equal(ask(source, engine=spark), expected, check_exact=True)
    assert_frame_equal(ask(data), expected, check_exact=True)  # a Spark frame brings its session
    assert [view.name for view in spark.catalog.listTables()] == ["orders"]  # nothing left behind
    spark.catalog.dropTempView("orders")


def test_integer_ids_stay_integers(spark):
    frame = pd.DataFrame(
        {"customer_id": [9, 7], "order_date": pd.to_datetime(["2024-01-01"] * 2), "amount": [1, 2]}
    )
    for engine in (None, spark):
        found = o.purchase_summary(frame, observation_end="2024-01-31", engine=engine)
        assert found["customer_id"].tolist() == [7, 9]
        assert found["customer_id"].dtype == np.int64


def test_the_texts_run_in_spark_as_they_are(spark, cdnow_sample, tmp_path):
    cdnow_sample.to_parquet(tmp_path / "orders.parquet")
    spark.read.parquet(str(tmp_path / "orders.parquet")).createOrReplaceTempView("orders")
    found = spark.sql(o.rfm_values_sql(observation_end=END)).toArrow().to_pandas(date_as_object=False)
    assert_frame_equal(found, o.rfm_values(cdnow_sample, observation_end=END), check_exact=True)
    spark.catalog.dropTempView("orders")


def test_faults_are_told_for_spark_too(spark):
    with pytest.raises(DataError, match="no table nowhere"):
        o.rfm_values("nowhere", observation_end=END, engine=spark)
    wrong = spark.createDataFrame([("A", "01/02/2024", "1")], ["customer_id", "order_date", "amount"])
    with pytest.raises(DataError) as caught:
        o.rfm_values(wrong, observation_end=END)
    assert len(caught.value.faults) == 2
