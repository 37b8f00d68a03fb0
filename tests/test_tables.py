"""Reading and cleaning an order file: what is used, what is set aside, and what is said about it."""

from __future__ import annotations

import datetime as dt
import gzip

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pytest

from custkit import tables
from custkit.order_policies import REASONS

TODAY = dt.date(2024, 6, 30)
HEAD = "customer_id,order_date,amount\n"
GOOD = HEAD + "A,2024-01-05,10.50\nB,2024-01-13,20.25\nA,2024-02-20,5.75\n"


@pytest.fixture
def file(tmp_path):
    """Write a file of that name with that content; returns its path."""

    def write(content: str | bytes, name: str = "orders.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write


def read(source, **options):
    """Read, and hold every result to the rule: rows in = rows used + rows set aside."""
    log = tables.read_orders(source, **{"today": TODAY} | options)
    assert log.rows_in == log.rows_used + log.rows_set_aside
    assert (len(log.to_frame()), len(log.rejected)) == (log.rows_used, log.rows_set_aside)
    assert sum(log.reasons.values()) == log.rows_set_aside and set(log.reasons) <= set(REASONS)
    return log


def plain(log) -> list[tuple[str, str, float]]:
    """The rows used, for comparison."""
    frame = log.to_frame()
    days = frame["order_date"].dt.strftime("%Y-%m-%d")
    return list(zip(frame["customer_id"], days, frame["amount"], strict=True))


WANTED = [("A", "2024-01-05", 10.5), ("B", "2024-01-13", 20.25), ("A", "2024-02-20", 5.75)]


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


# --- dates -----------------------------------------------------------------------------------------

FORMS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%d/%m/%y",
    "%m-%d-%y",
    "%Y年%m月%d日",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d-%b-%y",
]


TIMES = [" 14:05", " 2:05:09 PM", "T23:05:09.123Z", " 23:30:00+08:00"]


TIMED = [(form, time) for form in ("%Y-%m-%d", "%d/%m/%y", "%b %d, %Y") for time in TIMES]


@pytest.mark.parametrize(("form", "time"), [(form, "") for form in FORMS] + TIMED)
def test_every_date_format_is_read_when_the_column_decides(form, time):
    days = pd.date_range("2023-11-25", periods=60)
    frame = pd.DataFrame({"customer_id": [f"C{i % 7}" for i in range(60)], "amount": 1.5})
    frame["order_date"] = [day.strftime(form) + time for day in days]
    log = read(frame)
    assert list(log.to_frame()["order_date"]) == list(days)
    assert any("is read as" in note for note in log.notes)
    assert any("kept as written" in note for note in log.notes) == (time.endswith("Z") or "+" in time)


def test_iso_with_and_without_time_together(file):
    log = read(file(GOOD.replace("2024-01-13", "2024-01-13T08:00:00").replace("2024-02-20", "2024/2/20")))
    assert plain(log) == WANTED and any("%Y-%m-%d or %Y/%m/%d" in note for note in log.notes)


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("%d/%m/%Y", "2024-03-05"),
        ("dd/mm/yyyy", "2024-03-05"),
        ("%m/%d/%Y", "2024-05-03"),
        ("m/d/yyyy", "2024-05-03"),
    ],
)
def test_date_format_told(file, told, day):
    log = read(file(HEAD + "A,05/03/2024,1\nB,06/04/2024,2\n"), date_format=told)
    assert plain(log)[0][1] == day and any("as told" in note for note in log.notes)


@pytest.mark.parametrize("told", ["%d/%m/%Y %Hh%M", "%d/%m/%Y"])
def test_date_format_with_a_time(file, told):
    time = " 10h30" if "H" in told else " 10:30"
    log = read(file(HEAD + f"A,05/03/2024{time},1\nB,06/04/2024{time},2\n"), date_format=told)
    assert [row[1] for row in plain(log)] == ["2024-03-05", "2024-04-06"]


def test_few_unreadable_dates_are_set_aside(file):
    days = [f"2024-01-{1 + i % 28:02d}" for i in range(60)]
    days[10], days[20], days[30], days[31] = "2024-02-30", "n/a", "", "0001-01-01"
    log = read(file(HEAD + "".join(f"C{i},{day},1\n" for i, day in enumerate(days))))
    assert log.rejected[["row", "order_date", "reason"]].fillna("").values.tolist() == [
        [12, "2024-02-30", "order date cannot be read"],
        [22, "n/a", "no order date"],
        [32, "", "no order date"],
        [33, "0001-01-01", "order date cannot be read"],
    ]


def test_future_and_late_rows(file):
    content = GOOD + "C,2024-03-31,1\nC,2024-04-01,2\nC,2024-07-01,3\n"
    log = read(file(content), observation_end="2024-03-31")
    assert list(log.rejected["reason"]) == ["after the observation end", "order date in the future"]
    assert log.observation_end == dt.date(2024, 3, 31)


def test_default_observation_end_is_the_last_order_not_in_the_future(file):
    log = read(file(GOOD + "C,2024-06-30,1\nC,2031-07-01,3\nC,2024-05-31,x\n".replace("x", "1")))
    assert log.observation_end == TODAY
    assert any("Observation end: 2024-06-30" in note and "more alive" in note for note in log.notes)


def test_two_digit_year_first_and_last(file):
    """24/06/30: where the other reading puts one in twenty orders into the future, it is no reading."""
    days = pd.date_range("2023-09-01", periods=200)
    for form in ("%y/%m/%d", "%d/%m/%y"):
        text = "".join(f"C{i % 9},{day.strftime(form)},1\n" for i, day in enumerate(days))
        assert list(read(file(HEAD + text)).to_frame()["order_date"]) == list(days)


def test_reading_is_the_same_in_every_order_of_rows(file, rng):
    days = [day.strftime("%d/%m/%Y") for day in pd.date_range("2023-11-25", periods=60)]
    lines = [f"C{i % 7},{day},{i + 1}.5\n" for i, day in enumerate(days)]
    first = sorted(plain(read(file(HEAD + "".join(lines)))))
    rng.shuffle(lines)
    assert sorted(plain(read(file(HEAD + "".join(lines))))) == first


# --- amounts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1,234.56", "12", "-5.5"], [1234.56, 12, -5.5]),
        (["¥1,234.5", "￥12", "7元"], [1234.5, 12, 7]),
        (["$12", "$ 1,000.00", "(12.00)"], [12, 1000, -12]),
        (["12,50", "1.234,56", "7"], [12.5, 1234.56, 7]),
        (["1.234.567", "12,5", "0,5"], [1234567, 12.5, 0.5]),
        (["1 234,50 €", "12,5 EUR", "7"], [1234.5, 12.5, 7]),
        (["12.5-", "−3.25", "1e3", "2"], [-12.5, -3.25, 1000, 2]),
        (["1.234", "12.50", "3"], [1.234, 12.5, 3]),
        (["12,34,567.00", "1,000", "9"], [1234567, 1000, 9]),
        (["100", "250", "3"], [100, 250, 3]),
        (["CHF 1’234.50", "12.00 Fr.", "CHF -3"], [1234.5, 12, -3]),
        (["1 234,50 kr", "12,5 kr.", "7 kr"], [1234.5, 12.5, 7]),
    ],
)
def test_amounts(texts, values):
    frame = pd.DataFrame({"customer_id": list("ABCD")[: len(texts)], "amount": texts})
    frame["order_date"] = pd.date_range("2024-01-05", periods=len(texts))
    log = read(frame)
    found = dict(zip(log.to_frame()["customer_id"], log.to_frame()["amount"], strict=True))
    assert found == pytest.approx({k: v for k, v in zip("ABCD", values, strict=False) if v > 0})
    assert sum(value < 0 for value in values) == log.rows_set_aside


@pytest.mark.parametrize(("told", "first"), [(".", 1234.0), (",", 1.234)])
def test_decimal_sign_told(file, told, first):
    log = read(file(HEAD + 'A,2024-01-05,"1,234"\nB,2024-01-06,"2,500"\n'), decimal=told)
    assert plain(log)[0][2] == first


def test_decimal_sign_told_is_never_overruled(file):
    """With a decimal comma told, 12.50 is no number, rather than twelve and a half."""
    lines = "".join(f'C{i},2024-01-{i % 28 + 1:02d},"{i},5"\n' for i in range(1, 40))
    log = read(file(HEAD + lines + "A,2024-01-05,12.50\n"), decimal=",")
    assert list(log.rejected["reason"]) == ["amount is not a number"]
    assert any("1 of 40 values are not numbers (first: row 41 '12.50')" in note for note in log.notes)


def test_ten_point_nought_five_stays(file):
    """The PyPI package rfm cuts two characters off any amount that contains '.0'."""
    amounts = [row[2] for row in plain(read(file(GOOD.replace("10.50", "10.05").replace("5.75", "1.07"))))]
    assert amounts == [10.05, 20.25, 1.07]


# --- refunds, repeats, precedence ------------------------------------------------------------------


def test_refunds_are_netted_against_the_same_day(file):
    log = read(
        file(
            HEAD
            + "A,2024-01-05,30\nA,2024-01-05,-10\n"  # netted: 20 remain
            + "B,2024-01-05,30\nB,2024-01-06,-30\n"  # the refund of another day is set aside
            + "C,2024-01-07,0.1\nC,2024-01-07,0.2\nC,2024-01-07,-0.3\n"  # nothing remains
            + "D,2024-01-08,0\nD,2024-01-08,0\nD,2024-01-09,0\nD,2024-01-09,5\n"
        )
    )
    assert log.reasons == {
        "refund without a purchase that day": 1,
        "purchases of the day refunded in full": 3,
        "amount is zero": 2,
    }
    assert log.to_frame().groupby("customer_id")["amount"].sum().to_dict() == {"A": 20, "B": 30, "D": 5}
    assert any("1 refund of 10.00 in all netted" in note for note in log.notes)


def test_repeated_lines_with_an_order_id(file):
    content = (
        "order_id,customer_id,order_date,amount,sku\n"
        "1,A,2024-01-05,10,x\n1,A,2024-01-05,10,x\n1,A,2024-01-05,10,y\n1,A,2024-01-05,10,x\n"
        "2,B,2024-01-06,10,x\n3,B,2024-01-06,10,x\n"
    )
    log = read(file(content))
    assert list(log.rejected["row"]) == [3, 5]
    assert set(log.rejected["reason"]) == {"repeats an earlier order line"}


def test_a_repeated_refund_is_not_netted_twice(file):
    content = (
        "order_id,customer_id,order_date,amount\n1,A,2024-01-05,10\n1,A,2024-01-05,-6\n1,A,2024-01-05,-6\n"
        "2,B,2024-01-06,1\n"
    )
    assert read(file(content)).to_frame()["amount"].sum() == 5


def test_repeated_rows_without_an_order_id_are_kept_and_said(file):
    log = read(file(GOOD + "A,2024-01-05,10.50\n"))
    assert log.rows_set_aside == 0
    assert any(note.startswith("1 row repeats an earlier row exactly; kept") for note in log.notes)
    assert any("4 rows make 3 purchase days" in note for note in log.notes)


def test_one_reason_a_row_in_the_order_stated(file):
    content = GOOD + ",2031-01-01,0\nC,,\nC,2031-01-01,\nC,2024-01-01,\n" + "D,2024-01-01,5\n" * 40
    log = read(file(content))
    assert list(log.rejected["reason"]) == [
        "no customer id",
        "no order date",
        "order date in the future",
        "no amount",
    ]


def test_cdnow_zero_amounts_counted_independently(cdnow):
    log = read("demo")
    days = cdnow.groupby(["customer_id", "order_date"])["amount"].transform("sum")
    assert log.rows_set_aside == int((days <= 0).sum()) > 0
    assert log.source_name == "CDNOW" and log.observation_end == dt.date(1998, 6, 30)
    kept = cdnow[days > 0]
    assert log.to_frame()["amount"].sum() == pytest.approx(kept["amount"].sum(), rel=1e-12)
    assert set(log.to_frame()["customer_id"]) == set(kept["customer_id"])
    assert f"{int(cdnow.duplicated().sum()):,} rows repeat" in "".join(log.notes)


@pytest.mark.parametrize("seed", range(12))
def test_random_dirty_files_lose_no_row(tmp_path, seed):
    """Rows and money in = used + set aside, and what is used is what plain pandas would keep."""
    rng = np.random.default_rng(seed)
    n = 400
    frame = pd.DataFrame(
        {
            "customer_id": rng.choice(["A", "007", " B", "12.0", "客户", "=1+1", "", "nan", "NULL"], n),
            "order_date": rng.choice(
                ["2024-01-05", "2024-01-13", "2024-02-20", "2024-03-01", "2031-01-01", "", "2024-02-30"],
                n,
                p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02],
            ),
            "amount": rng.choice(
                ["10.50", "3.25", "-10.50", "0", "-1", "", "x"], n, p=[0.4, 0.3, 0.1, 0.06, 0.1, 0.02, 0.02]
            ),
            "order_id": rng.integers(1, 60, n).astype(str),
        }
    )
    path = tmp_path / "orders.csv"
    frame.to_csv(path, index=False)
    log = read(path, observation_end="2024-02-29")

    clean = frame.assign(
        who=frame["customer_id"].str.strip().replace({"12.0": "12", "nan": None, "NULL": None, "": None}),
        day=pd.to_datetime(frame["order_date"], format="%Y-%m-%d", errors="coerce"),
        money=pd.to_numeric(frame["amount"], errors="coerce"),
    )
    clean = clean.dropna(subset=["who", "day", "money"])
    clean = clean[clean["day"] <= pd.Timestamp("2024-02-29")]
    clean = clean[~clean.duplicated(["customer_id", "order_date", "amount", "order_id"])]
    net = clean.groupby(["who", "day"])["money"].transform("sum")
    kept = clean[net > 1e-9]
    assert log.rows_in == n and log.rows_used == len(kept)
    assert sorted(set(range(2, n + 2)) - set(log.rejected["row"])) == list(kept.index + 2)
    used = log.to_frame()
    assert list(used["customer_id"]) == list(kept["who"]) and list(used["order_date"]) == list(kept["day"])
    assert list(used["amount"]) == list(kept["money"])


# --- what may be wrong but is kept -----------------------------------------------------------------


def many(**other) -> pd.DataFrame:
    """300 customers with one order each, a day apart; `other` replaces cells: row number → value."""
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(300)],
            "order_date": pd.date_range("2022-01-01", periods=300),
            "amount": 10.0,
        }
    )
    for column, cells in other.items():
        for row, value in cells.items():
            frame.loc[row, column] = value
    return frame


def test_dates_nobody_typed_are_set_aside():
    dates = {3: pd.Timestamp("1970-01-01 08:00"), 4: pd.Timestamp("1900-01-01")}
    log = read(many(order_date=dates))
    assert log.reasons == {"order date is a placeholder": 2} and log.rows_used == 298


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            {"order_date": {9: pd.Timestamp("2002-01-10")}},
            "Long before the others: 1 row, the first dated 2002",
        ),
        ({"amount": {9: 1e6}}, "One row of 1,000,000.00 holds 100% of all money"),
        (
            {"customer_id": dict.fromkeys(range(30), "guest")},
            "One customer id holds 30 of the 300 rows (10%)",
        ),
        ({"customer_id": {9: "C8"}}, "1 customer id differs from another only in capital letters"),
    ],
)
def test_what_may_be_wrong_is_said_with_its_numbers_and_kept(cells, said):
    log = read(many(**cells))
    assert log.rows_used == 300 and sum(said in note for note in log.notes) == 1
    assert not any("guest" in note for note in log.notes)  # a customer id has no place on the page
    assert not any(said.split(" ")[0] in note.split(" ")[:2] for note in read(many()).notes)


def test_nothing_is_doubted_in_real_orders(cdnow):
    assert not any(word in note for note in read(cdnow).notes for word in ("Long before", "One ", "capital"))


def test_an_amount_beyond_all_money_is_no_number(file):
    frame = many(amount={9: 1e300, 10: -1e15, 11: 9e14})
    assert read(frame).reasons == {"amount is not a number": 2}


# --- rejected.csv ----------------------------------------------------------------------------------


def test_rejected_csv_is_safe_for_a_spreadsheet(file, tmp_path):
    lines = "".join(f"C{i},2024-01-{i % 28 + 1:02d},5\n" for i in range(60))
    content = (
        HEAD
        + lines
        + "\"=cmd|' /C calc'!A0\",2024-01-05,-12.5\n@SUM(1),2024-01-06,0\n+x,@now,5\n-7,2024-01-07,-3\n"
    )
    log = read(file(content))
    log.write_rejected(tmp_path / "rejected.csv")
    text = (tmp_path / "rejected.csv").read_text("utf-8").splitlines()
    assert text[0] == "row,customer_id,order_date,amount,reason" and len(text) == 1 + log.rows_set_aside
    back = pd.read_csv(tmp_path / "rejected.csv", dtype=str)
    assert list(back["customer_id"]) == ["'=cmd|' /C calc'!A0", "'@SUM(1)", "'+x", "-7"]
    assert list(back["order_date"])[2] == "'@now" and list(back["amount"]) == ["-12.5", "0", "5", "-3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders.csv", "rejected.csv"]


def test_rejected_csv_keeps_letters_beyond_ascii_in_a_spreadsheet(file, tmp_path):
    path = tmp_path / "rejected.csv"
    read(file(GOOD + "Müller,2024-01-09,0\n＝1+1,2024-01-09,-12.50\n")).write_rejected(path)
    assert path.read_bytes().startswith("\ufeffrow,".encode())
    back = pd.read_csv(path, dtype=str)
    assert list(back.columns) == ["row", "customer_id", "order_date", "amount", "reason"]
    assert list(back["customer_id"]) == ["Müller", "'＝1+1"] and list(back["amount"]) == ["0", "-12.50"]


def test_rejected_csv_with_nothing_in_it(file, tmp_path):
    path = tmp_path / "rejected.csv"
    read(file(GOOD)).write_rejected(path)
    assert path.read_text("utf-8").strip() == "row,customer_id,order_date,amount,reason"


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
