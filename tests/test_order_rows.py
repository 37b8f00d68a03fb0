"""Rows of an order file: netted, set aside, doubted, and written to rejected.csv."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from order_reading import GOOD, HEAD, read

from custkit.pages import defused

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


@pytest.mark.parametrize("cell", ["\tx", " =1", "\ufeff=1", "|x", "－1"])
def test_rejected_csv_is_as_safe_as_the_tables_of_a_report(cell, tmp_path):
    rows = [
        ("A", "2024-01-05", 5.0),
        ("B", "2024-02-05", 5.0),
        ("A", "2024-03-05", 6.0),
        (cell, "2024-01-06", 0.0),
    ]
    log = read(pd.DataFrame(rows, columns=["customer_id", "order_date", "amount"]))
    log.write_rejected(tmp_path / "rejected.csv")
    (found,) = log.rejected["customer_id"]
    back = pd.read_csv(tmp_path / "rejected.csv", dtype=str, encoding="utf-8-sig")["customer_id"]
    assert list(back) == [defused(found)] == [f"'{found}"]


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
