"""Reading an order file: its kind, its columns, the verdict, and the data shipped with libraries."""

from __future__ import annotations

import datetime as dt
import gzip

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pytest
from order_reading import GOOD, WANTED, plain, read

from custkit import tables

# --- kinds of file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(file, separator):
    log = read(file(GOOD.replace(",", separator)))
    assert plain(log) == WANTED
    assert any("separated by" in note for note in log.notes) == (separator != ",")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_byte_order_mark(file, end):
    content = ("\ufeff\n" + GOOD.replace("B,", "\nB,") + "\n\n").replace("\n", end)
    assert plain(read(file(content))) == WANTED


def test_first_line_that_names_the_separator(file):
    log = read(file("sep=;\n" + GOOD.replace(",", ";") + "C;2024-03-01;-1\n"))
    assert plain(log) == WANTED and list(log.rejected["row"]) == [6]


def test_gzip(file):
    assert plain(read(file(gzip.compress(GOOD.encode()), "orders.csv.gz"))) == WANTED


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("gb18030", "GB18030"), ("cp1252", "Windows-1252"), ("utf-16", "UTF-16"), ("utf-8", None)],
)
def test_encodings(file, encoding, said):
    who = "Müller" if encoding == "cp1252" else "张伟镕"
    content = GOOD.replace("A,", f"{who},")
    log = read(file(content.encode(encoding)))
    assert [row[0] for row in plain(log)] == [who, "B", who]
    assert said is None or any(said in note for note in log.notes)


def test_chinese_headings_in_a_chinese_encoding(file):
    content = "客户编号,下单时间,订单金额,订单号\n007,2024年1月5日,￥10.50,1\n008,2024年2月13日,20.25元,2\n"
    log = read(file(content.encode("gbk")))
    assert plain(log) == [("007", "2024-01-05", 10.5), ("008", "2024-02-13", 20.25)]
    assert log.columns["amount"] == "订单金额"
    assert any("customer_id from '客户编号'" in note for note in log.notes)


def test_excel(tmp_path):
    book = openpyxl.Workbook()
    for row in [
        ("customer_id", "order_date", "amount", None),
        ("007", dt.datetime(2024, 1, 5, 14, 30), 10.5, None),
        (None, None, None, None),
        (12345, dt.date(2024, 2, 20), 5, None),
        (12345.0, dt.date(2024, 2, 21), "bad", None),
        *[(f"C{i}", dt.date(2024, 2, 21), 1, None) for i in range(20)],
    ]:
        book.active.append(row)
    book.create_sheet("Notes")
    book.save(tmp_path / "orders.xlsx")
    log = read(tmp_path / "orders.xlsx")
    assert plain(log)[:2] == [("007", "2024-01-05", 10.5), ("12345", "2024-02-20", 5.0)]
    assert log.rejected.to_dict("records") == [
        {
            "row": 5,
            "customer_id": "12345",
            "order_date": "2024-02-21",
            "amount": "bad",
            "reason": "amount is not a number",
        }
    ]
    assert any("not 'Notes'" in note for note in log.notes)


def test_parquet_pandas_polars_and_relation_agree(tmp_path, cdnow_sample):
    import duckdb

    cdnow_sample.to_parquet(tmp_path / "orders.parquet")
    path = tmp_path / "orders.parquet"
    relation = duckdb.connect().read_parquet(str(path))
    logs = [read(source) for source in (path, cdnow_sample, pl.read_parquet(path), relation)]
    assert all(plain(log) == plain(logs[0]) and log.rejected.equals(logs[0].rejected) for log in logs)
    assert logs[0].source_name == "orders.parquet" and logs[1].source_name == "frame"


def test_parquet_of_instants_with_a_zone_in_the_first_column(tmp_path):
    moments = pd.to_datetime(["2024-01-05 23:30", "2024-01-13 00:00", "2024-02-20 00:00"]).tz_localize(
        "America/New_York"
    )
    frame = pd.DataFrame(
        {"order_date": moments, "customer_id": ["A", "B", "A"], "amount": [10.5, 20.25, 5.75]}
    )
    frame.to_parquet(tmp_path / "zone.parquet")
    log = read(tmp_path / "zone.parquet")
    assert [day for _, day, _ in plain(log)] == ["2024-01-06", "2024-01-13", "2024-02-20"]
    assert any("the calendar day in UTC is used" in note for note in log.notes)


def test_csv_equals_parquet(tmp_path, cdnow_sample):
    cdnow_sample.to_parquet(tmp_path / "orders.parquet")
    cdnow_sample.to_csv(tmp_path / "orders.csv", index=False)
    typed, text = read(tmp_path / "orders.parquet"), read(tmp_path / "orders.csv")
    assert plain(typed) == plain(text)
    assert list(text.rejected["row"]) == list(typed.rejected["row"] + 1)  # a Parquet file has no heading row


def test_typed_columns_of_a_frame():
    frame = pd.DataFrame(
        {
            "customer_id": [1001.0, 1002.0, np.nan, 1001.0],
            "order_date": pd.DatetimeIndex(
                ["2024-01-05 23:30", "2024-01-06 00:10", "2024-01-07 00:00", None], tz="Asia/Shanghai"
            ),
            "amount": [10, 20, 30, 40],
        }
    )
    log = read(frame)
    assert plain(log) == [("1001", "2024-01-05", 10.0), ("1002", "2024-01-06", 20.0)]
    assert list(log.rejected["reason"]) == ["no customer id", "no order date"]
    assert list(log.rejected["row"]) == [3, 4]
    assert any("written as a decimal, such as 12345.0" in note for note in log.notes)


def test_objects_of_mixed_type_in_a_frame():
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series([7, "007", None, 8] + [9] * 30, dtype=object),
            "order_date": pd.Series([dt.date(2024, 1, 5)] + ["2024-01-06"] * 33, dtype=object),
            "amount": pd.Series([1, "2.5", 3.0, float("inf")] + [4.0] * 30, dtype=object),
        }
    ).set_axis([9, 9, *range(32)])
    log = read(frame)
    assert plain(log)[:3] == [("7", "2024-01-05", 1.0), ("007", "2024-01-06", 2.5), ("9", "2024-01-06", 4.0)]
    assert list(log.rejected["reason"]) == ["no customer id", "amount is not a number"]


def test_the_frame_given_is_not_changed(cdnow_sample):
    before = cdnow_sample.copy()
    read(cdnow_sample)
    pd.testing.assert_frame_equal(before, cdnow_sample)


# --- columns ---------------------------------------------------------------------------------------


def test_names_no_query_should_ever_see(tmp_path, file):
    names = ['"; drop table raw; --', "select", 'it\'s 客户 "id"']
    frame = pd.DataFrame([["A", "2024-01-05", 10.5], ["B", "2024-01-13", 20.25], ["A", "2024-02-20", 5.75]])
    frame.columns = names
    columns = dict(zip(("customer_id", "order_date", "amount"), names, strict=True))
    frame.to_csv(tmp_path / "we'ird [x]*;.csv", index=False)
    frame.to_parquet(tmp_path / 'we"ird [x].parquet')
    for source in (frame, tmp_path / "we'ird [x]*;.csv", tmp_path / 'we"ird [x].parquet'):
        log = read(source, columns=columns)
        assert plain(log) == WANTED and log.columns == columns


@pytest.mark.parametrize(
    "head",
    [
        "Cust ID,Invoice Date,Sales",
        "CUSTOMER-NO,Transaction_Date,Order Value",
        "会员编号,日期,实付金额",
        "Id,date,Price",
        "Kunden-Nr.,Bestelldatum,Betrag [EUR]",
        "顾客,日期,金额（元）",
    ],
)
def test_known_names_are_guessed_and_said(file, head):
    log = read(file(GOOD.replace("customer_id,order_date,amount", head)))
    assert plain(log) == WANTED and any("guessed from their names: " in note for note in log.notes)


def test_columns_given_win_over_names(file):
    content = (
        "customer_id,order_date,amount,net\nA,2024-01-05,1,10.50\nB,2024-01-13,2,20.25\nA,2024-02-20,3,5.75\n"
    )
    assert plain(read(file(content), columns={"amount": "net"})) == WANTED
    log = read(file(content), columns={"amount": " NET"})
    assert plain(log) == WANTED and "Columns as told: amount from 'net'." in log.notes


def test_own_name_wins_over_a_known_name(file):
    content = GOOD.replace("order_date", "client,order_date").replace(",2024", ",x,2024")
    assert plain(read(file(content))) == WANTED


def test_amount_from_quantity_and_unit_price(file):
    """The shape of the UCI Online Retail file."""
    content = (
        "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,6,12/1/2010 8:26,2.55,17850.0,United Kingdom\n"
        "536365,71053,6,12/1/2010 8:26,3.39,17850.0,United Kingdom\n"
        "536366,22633,-1,12/13/2010 9:00,1.85,17851.0,France\n"
        "536367,22633,2,12/14/2010 9:00,1.85,17851.0,France\n"
    )
    log = read(file(content))
    assert [(who, day, round(amount, 2)) for who, day, amount in plain(log)] == [
        ("17850", "2010-12-01", 15.3),
        ("17850", "2010-12-01", 20.34),
        ("17851", "2010-12-14", 3.7),
    ]
    assert list(log.to_frame()["order_id"]) == ["536365", "536365", "536367"]
    assert list(log.rejected["amount"]) == ["-1 × 1.85"]
    assert any("quantity × unit_price" in note for note in log.notes)


def test_zeros_in_front_of_ids_stay(file):
    assert [row[0] for row in plain(read(file(GOOD.replace("A,", "007,"))))] == ["007", "B", "007"]


def test_ids_are_trimmed_and_merged(file):
    assert plain(read(file(GOOD.replace("A,2024-02", " A\u3000,2024-02")))) == WANTED


# --- verdict ---------------------------------------------------------------------------------------


def verdict(log) -> dict[str, bool]:
    table = log.verdict()
    assert list(table.columns) == ["analysis", "can_run", "why"] and table["why"].str.endswith(".").all()
    return dict(zip(table["analysis"], table["can_run"], strict=True))


def why(log, analysis: str) -> str:
    return log.verdict().set_index("analysis").loc[analysis, "why"]


def made(customers: int, days: list[str], amounts) -> pd.DataFrame:
    """Every customer orders on each of those days; amounts(customer, day number) gives the money."""
    return pd.DataFrame(
        [(f"C{c}", pd.Timestamp(day), amounts(c, i)) for c in range(customers) for i, day in enumerate(days)],
        columns=["customer_id", "order_date", "amount"],
    )


def test_verdict_of_cdnow_allows_everything():
    assert all(verdict(read("demo")).values())


def test_verdict_without_repeat_buyers():
    frame = made(100, ["2024-01-05"], lambda c, i: 5.0 + c)
    frame.loc[50:, "order_date"] = pd.Timestamp("2024-03-05")
    log = read(frame)
    assert verdict(log) == {
        "RFM": True,
        "purchase models": False,
        "spend model": False,
        "hold-out check": False,
        "cohort table": True,
    }
    assert "No customer bought on more than one day" in why(log, "purchase models")


def test_verdict_of_constant_amounts():
    log = read(made(60, ["2023-01-05", "2023-03-05", "2023-09-05"], lambda c, i: 9.9))
    assert verdict(log)["purchase models"] and not verdict(log)["spend model"]
    assert "Every purchase is 9.90" in why(log, "spend model")
    assert "used as the mean" in why(log, "spend model")


def test_verdict_of_few_buyers_and_short_history():
    log = read(made(39, ["2024-01-05", "2024-01-20"], lambda c, i: 5.0 + c + i))
    assert verdict(log) == {
        "RFM": True,
        "purchase models": False,
        "spend model": True,
        "hold-out check": False,
        "cohort table": False,
    }
    assert "39 of 39 customers" in why(log, "purchase models")
    assert "at least 40" in why(log, "purchase models")


def test_verdict_where_everyone_always_pays_the_same():
    assert not verdict(read(made(60, ["2024-01-05", "2024-01-20"], lambda c, i: 5.0 + c)))["spend model"]


# --- shipped data and the import -------------------------------------------------------------------


def test_cdnow_is_the_published_data(cdnow, cdnow_sample):
    assert (len(cdnow), cdnow["customer_id"].nunique()) == (69_659, 23_570)
    assert (len(cdnow_sample), cdnow_sample["customer_id"].nunique()) == (6_919, 2_357)
    assert set(cdnow_sample["customer_id"]) <= set(cdnow["customer_id"])
    assert cdnow["customer_id"].iloc[0] == "00001" and str(cdnow["order_date"].dtype).startswith("datetime64")
    assert (cdnow["order_date"].min(), cdnow["order_date"].max()) == (
        pd.Timestamp("1997-01-01"),
        pd.Timestamp("1998-06-30"),
    )
    both = cdnow_sample.merge(cdnow.drop_duplicates(), how="left", indicator=True)
    assert (both["_merge"] == "both").all()


def test_donations():
    gifts = tables.donations()
    assert list(gifts.columns) == ["frequency", "recency", "periods", "weights"]
    assert gifts["weights"].sum() == 11_104


def test_import_is_light():
    import subprocess
    import sys

    code = "import sys, custkit.tables; print(sorted({'duckdb', 'pandas', 'yaml'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_orders_are_read_in_a_notebook_without_ipywidgets() -> None:
    """A reader's environment has no ipywidgets; DuckDB then refuses to change its progress bar."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    code = """
import sys
sys.modules["ipywidgets"] = None
import duckdb
from custkit import orders, tables
log = tables.read_orders("demo")
print(log.rows_in, len(orders.purchase_summary(log.to_frame(), observation_end=log.observation_end)))
"""
    notebook = NotebookClient(new_notebook(cells=[new_code_cell(code)]), kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0]["text"] == "69659 23502\n"
