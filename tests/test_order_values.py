"""Dates and amounts of an order file, in the ways people write them."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from order_reading import GOOD, HEAD, TODAY, WANTED, plain, read

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
