"""Every fault of an order file: one plain message with the remedy, and all faults of a file at once."""

from __future__ import annotations

import datetime as dt
import gzip
import zipfile

import openpyxl
import pandas as pd
import pytest

from custkit import tables
from custkit.errors import DataError, ParameterError

TODAY = dt.date(2024, 6, 30)
HEAD = "customer_id,order_date,amount\n"
GOOD = HEAD + "A,2024-01-05,10.50\nB,2024-01-13,20.25\nA,2024-02-20,5.75\n"


def faults(source, **options) -> str:
    """The faults of a source, one a line; the folder it is in is never named."""
    with pytest.raises(DataError) as caught:
        tables.read_orders(source, today=TODAY, **options)
    text = "\n".join(caught.value.faults)
    assert (
        "/" not in text.replace("dd/mm/yyyy", "").replace("%d/%m", "").replace("n/a", "")
        or "/tmp" not in text
    )
    return text


def rows(dates: list[str]) -> str:
    """A file with one order of another customer on each date."""
    return HEAD + "".join([f"C{i},{day},10.50\n" for i, day in enumerate(dates)])


# --- the file itself -------------------------------------------------------------------------------


def test_no_such_file(tmp_path):
    assert faults(tmp_path / "none.csv").startswith("none.csv: no such file")


def test_a_folder(tmp_path):
    assert "this is a folder" in faults(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n  \n", "\ufeff"])
def test_empty_file(file, content):
    assert "the file is empty" in faults(file(content))


def test_header_only(file):
    text = faults(file(HEAD))
    assert "heading row but no rows" in text


def test_header_and_blank_lines_only(file):
    assert "no rows" in faults(file(HEAD + "\n\n"))


def test_wrong_delimiter(file):
    text = faults(file(GOOD.replace(",", "^")))
    assert "only one column was found, 'customer_id^order_date^amount'" in text
    assert "comma, semicolon, tab or vertical bar" in text


def test_header_in_one_pair_of_quotes_names_the_separator_seen(file):
    text = faults(file('"customer_id;order_date;amount"\n"A;2024-01-05;3"\n'))
    assert "semicolon" in text and "outer quotes" in text


def test_excel_named_csv(file, tmp_path):
    book = openpyxl.Workbook()
    book.save(tmp_path / "real.xlsx")
    text = faults(file((tmp_path / "real.xlsx").read_bytes()))
    assert "Excel workbook (.xlsx)" in text and "Rename it to .xlsx" in text


def test_old_excel(file):
    old = b"\xd0\xcf\x11\xe0" + bytes(100)
    for name in ("orders.xls", "orders.csv"):
        assert "old Excel workbook (.xls)" in faults(file(old, name))


def test_csv_named_xlsx_and_parquet(file):
    assert "this is text" in faults(file(GOOD, "orders.xlsx"))
    assert "Rename it to .csv" in faults(file(GOOD, "orders.parquet"))


def test_damaged_excel_and_parquet(file):
    assert "cannot be read as an Excel workbook" in faults(file(b"PK\x03\x04" + bytes(50), "orders.xlsx"))
    assert "cannot be read as Parquet" in faults(file(b"PAR1" + bytes(50) + b"PAR1", "orders.parquet"))


def test_binary_file_named_csv(file):
    assert "not text" in faults(file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"))


def test_damaged_gzip(file):
    assert "cannot be unpacked" in faults(file(gzip.compress(GOOD.encode())[:30], "orders.csv.gz"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("orders.xls", "<html><body><table><tr><td>customer_id</td></tr></table>", "a web page (HTML)"),
        ("orders.csv", "\ufeff\n<!DOCTYPE html>\n<p>Log in, please</p>\n", "a web page (HTML)"),
        ("orders.xls", "<?xml version='1.0'?><Workbook xmlns='urn:x'/>", "an XML file"),
        ("orders.json", '[\n {"customer_id": "A", "amount": 1}]', "a JSON file"),
        ("orders.csv", b"%PDF-1.7", "a PDF document"),
    ],
)
def test_what_is_no_table_is_named_with_another_remedy_than_its_name(file, name, content, said):
    text = faults(file(content, name))
    assert f"this is {said}." in text and "Rename" not in text


@pytest.mark.parametrize(
    ("names", "said", "remedy"),
    [
        (["orders.csv"], "a zip archive", "Unpack it"),
        (["xl/workbook.bin", "[Content_Types].xml"], "a binary Excel workbook (.xlsb)", "Save it as .xlsx"),
        (["mimetype", "content.xml"], "an OpenDocument spreadsheet (.ods)", "Save it as .xlsx"),
        (["xl/workbook.xml", "[Content_Types].xml"], "an Excel workbook (.xlsx)", "Rename it to .xlsx"),
    ],
)
def test_archives_are_told_apart(tmp_path, names, said, remedy):
    with zipfile.ZipFile(tmp_path / "orders.zip", "w") as archive:
        for name in names:
            archive.writestr(name, GOOD)
    text = faults(tmp_path / "orders.zip")
    assert f"this is {said}" in text and remedy in text


def test_a_workbook_with_a_password_is_not_called_old(file):
    assert "a workbook with a password" in faults(file(b"\xd0\xcf\x11\xe0" + bytes(100), "orders.xlsx"))


def workbook(path, **sheets):
    """A workbook of these sheets, each a list of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, lines in sheets.items():
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return path


def test_headings_under_titles_are_found_and_nothing_else_is_said(file, tmp_path):
    titles = "Sales report\nprinted today\n\n"
    assert "line 4 has several ('customer_id,order_date,amount')" in faults(file(titles + GOOD))
    wide = faults(file("Sales report,,\n,,\n" + GOOD))
    assert "headings seem to be in row 3 ('customer_id', 'order_date', 'amount'): delete" in wide
    assert len(wide.splitlines()) == 1
    rows = [("Sales report",), (), ("Cust", "order_date", "amount"), ("A", dt.date(2024, 1, 5), 3.5)]
    path = workbook(tmp_path / "titles.xlsx", Orders=rows)
    told = faults(path, columns={"customer_id": "Cust"})
    assert "in row 3 ('Cust', 'order_date', 'amount')" in told and len(told.splitlines()) == 1


def test_orders_in_another_sheet_than_the_first(tmp_path):
    sheets = {"Read me": [("see the other sheet",)], "Orders": [("customer_id", "order_date", "amount")]}
    for first in ([("see the other sheet",), ("thank you",)], [("only a heading",)], []):
        text = faults(workbook(tmp_path / "two.xlsx", **sheets | {"Read me": first}))
        assert "only the first sheet, 'Read me', was read, not 'Orders'" in text


def test_ragged_rows_are_all_counted_and_three_named(file):
    bad = GOOD + "B,2024-03-01\nB,2024-03-02,1,2\nB,2024-03-03,7\n,\nC,x,y,z\n"
    text = faults(file(bad))
    assert "4 rows do not fit the columns" in text
    assert (
        "row 5: 3 columns expected, 2 found in 'B,2024-03-01'" in text
        and "row 6" in text
        and "row 8" in text
        and "row 9" not in text
    )


def test_open_quote(file):
    assert "quote" in faults(file(GOOD + '"C,2024-03-01,7\nD,2024-03-02,8\n'))


# --- columns ---------------------------------------------------------------------------------------


def test_missing_column_names_what_is_there_and_the_closest(file):
    text = faults(file(GOOD.replace("amount", "amnt")))
    assert "no column for amount" in text and "'amnt'" in text and "--columns amount=NAME" in text


def test_all_missing_columns_at_once(file):
    text = faults(file("x,y,z\na,b,c\n"))
    assert all(f"no column for {role}" in text for role in ("customer_id", "order_date", "amount"))


def test_no_heading_row(file):
    text = faults(file("17,2024-01-05,10\n18,2024-01-06,11\n"))
    assert "needs a heading row" in text and len(text.splitlines()) == 1


def test_many_headings_are_cut_short(file):
    wide = ",".join(f"x{i}" for i in range(200))
    text = faults(file(f"{wide}\n{wide.replace('x', 'a')}\n"))
    assert "'x11' and 188 more" in text and "'x12'" not in text


def test_a_column_that_has_a_role_is_not_offered_for_another(file):
    assert "perhaps" not in faults(file("customer_id,Order Date,x\nA,2024-01-05,1\n"))


def test_two_candidates_are_not_guessed(file):
    text = faults(file("customer,client,date,amount\nA,B,2024-01-05,1\nB,C,2024-01-06,2\n"))
    assert "customer_id may be 'customer', 'client'" in text and "--columns customer_id=NAME" in text


def test_one_heading_twice_is_not_guessed(file):
    text = faults(file("customer_id,order_date,amount,amount\nA,2024-01-05,1,2\nB,2024-01-06,1,2\n"))
    assert "give each column its own heading" in text


def test_separator_of_the_headings_is_not_that_of_the_rows(file):
    assert "2 rows do not fit" in faults(file(HEAD + "A;2024-01-05;1\nB;2024-01-06;2\n"))


def test_column_given_but_not_there(file):
    text = faults(file(GOOD), columns={"amount": "amout"})
    assert "no column 'amout'" in text and "closest is 'amount'" in text


def test_same_heading_twice(file):
    text = faults(file("customer_id,order_date,sum,sum\nA,2024-01-05,1,2\n"), columns={"amount": "sum"})
    assert "there 2 times" in text


@pytest.mark.parametrize(
    "options",
    [
        {"columns": {"customer": "a"}},
        {"columns": {"amount": "a", "order_date": "a"}},
        {"decimal": ";"},
        {"observation_end": "30.06.2024"},
        {"observation_end": "2031-01-01"},
        {"date_format": "%m/%Y"},
        {"date_format": "%Q %d %m %Y"},
        {"date_format": "whenever"},
    ],
)
def test_impossible_options(file, options):
    with pytest.raises(ParameterError):
        tables.read_orders(file(GOOD), today=TODAY, **options)


# --- values ----------------------------------------------------------------------------------------


def test_unparseable_dates_are_counted_with_rows_and_formats_seen(file):
    text = faults(file(rows(["2024-01-05"] * 8 + ["soon", "Q1 2024", "later", "2024-13-45"])))
    assert "4 of 12 dates cannot be read" in text
    assert "row 10 'soon'; row 11 'Q1 2024'; row 12 'later'" in text and "row 13" not in text
    assert "'2024-01-05' (9 rows)" in text and "--date-format" in text


def test_spreadsheet_day_numbers_are_explained(file):
    text = faults(file(rows(["45296", "45297", "45301"])))
    assert "spreadsheet day numbers" in text and "--date-format" not in text


def test_unix_seconds_are_no_dates(file):
    for zeros in ("", "000"):
        text = faults(file(rows([f"170441280{i}{zeros}" for i in range(3)])))
        assert "3 of 3 dates cannot be read" in text
        assert "seconds since 1970" in text and "--date-format" not in text


@pytest.mark.parametrize("sign", ["/", "-", "."])
def test_day_and_month_cannot_be_told_apart(file, sign):
    text = faults(file(rows([f"05{sign}03{sign}2024", f"06{sign}04{sign}2024"])))
    assert "day and month cannot be told apart" in text
    assert "5 March 2024" in text and "3 May 2024" in text
    assert f"--date-format '%d{sign}%m{sign}%Y' or '%m{sign}%d{sign}%Y'" in text


def test_two_digit_years_have_a_third_reading(file):
    text = faults(file(rows(["05/03/10", "06/04/11"])))
    assert all(day in text for day in ("5 March 2010", "3 May 2010", "10 March 2005"))


def test_mixed_orders_of_day_and_month(file):
    text = faults(file(rows(["25/03/2024", "03/26/2024", "04/05/2024"])))
    assert "mixes orders of day and month" in text and "'25/03/2024'" in text and "'03/26/2024'" in text


def test_excel_dates_mixed_with_text(tmp_path):
    book = openpyxl.Workbook()
    for row in [
        ("customer_id", "order_date", "amount"),
        ("A", dt.date(2024, 3, 5), 1.5),
        ("B", "25/03/2024", 2.5),
        ("C", dt.date(2024, 7, 1), 3.5),
    ]:
        book.active.append(row)
    book.save(tmp_path / "orders.xlsx")
    text = faults(tmp_path / "orders.xlsx")
    assert "mixes real dates with 1 text (rows 3)" in text and "swapped day and month" in text


def test_all_ids_null(file):
    text = faults(file(HEAD + ",2024-01-05,1\nNULL,2024-01-06,2\nnan,2024-01-07,3\n"))
    assert "holds no customer id in any of 3 rows" in text


def test_ids_shortened_by_a_spreadsheet(file):
    text = faults(file(HEAD + "4.0012E+12,2024-01-05,1\n4.0012E+12,2024-01-06,2\n17,2024-01-07,3\n"))
    assert (
        "shortened 2 long ids (first: row 2 '4.0012E+12'; row 3 '4.0012E+12')" in text and "as text" in text
    )


def test_many_amounts_are_no_numbers(file):
    text = faults(file(HEAD + "A,2024-01-05,1\nB,2024-01-06,two\nC,2024-01-07,3\n"))
    assert "1 of 3 values are not numbers (first: row 3 'two')" in text


@pytest.mark.parametrize("amounts", [("1,234", "2,500"), ("1.234", "2.500")])
def test_decimal_sign_cannot_be_told(file, amounts):
    text = faults(file(HEAD + f'A,2024-01-05,"{amounts[0]}"\nB,2024-01-06,"{amounts[1]}"\n'))
    assert "cannot be told" in text and "--decimal" in text and "1,234.000" in text and "1.234" in text


def test_decimal_comma_told_where_points_stand(file):
    assert "3 of 3 values are not numbers" in faults(file(GOOD), decimal=",")


def test_mixed_decimal_signs(file):
    text = faults(file('customer_id,order_date,amount\nA,2024-01-05,"1,234.50"\nB,2024-01-06,"12,5"\n'))
    assert "mixes decimal signs" in text and "'12,5' in row 3" in text


def test_two_currencies(file):
    text = faults(file(HEAD + "A,2024-01-05,$12.00\nB,2024-01-06,¥90.00\n"))
    assert "more than one currency ($, ¥)" in text


def test_all_faults_at_once(file):
    text = faults(
        file('buyer,when,amount\n,05/03/2024,"1,234"\n,06/04/2024,"2,500"\n'), columns={"order_date": "when"}
    )
    assert "holds no customer id" in text and "day and month" in text and "decimal point or" in text
    assert len(text.splitlines()) == 3


# --- nothing to analyse ----------------------------------------------------------------------------


def test_one_customer_only(file):
    text = faults(file(GOOD.replace("B,", "A,")))
    assert "all of one customer, 'A'" in text and "3 usable rows" in text


def test_one_order_day_only(file):
    text = faults(file(rows(["2024-01-05"] * 4)))
    assert "4 rows, all dated 2024-01-05" in text and "recency" in text


def test_one_day_left_after_refunds_are_set_aside():
    frame = pd.DataFrame(
        {
            "customer_id": ["A", "B", "B"],
            "order_date": pd.to_datetime(["2024-01-05", "2024-01-05", "2024-01-06"]),
            "amount": [1.0, 2.0, -2.0],
        }
    )
    assert "all dated 2024-01-05" in faults(frame)


def test_no_row_usable_says_why(file):
    text = faults(file(rows(["2025-01-05", "2025-02-05"])))
    assert "no row can be used (order date in the future: 2)" in text


def test_observation_end_before_the_first_order(file):
    text = faults(file(GOOD), observation_end="2023-12-31")
    assert "no row can be used (after the observation end: 3)" in text


def test_a_million_rows_of_one_day(tmp_path):
    """Thirty million were run once by hand; the path is the same."""
    import duckdb

    path = tmp_path / "day.parquet"
    duckdb.sql(
        "select i % 300000 as customer_id, date '2024-01-05' as order_date, 9.5 as amount "
        "from range(1000000) t(i)"
    ).write_parquet(str(path))
    assert "1,000,000 rows, all dated 2024-01-05" in faults(path)


def test_empty_frame():
    assert "no rows" in faults(pd.DataFrame({"customer_id": [], "order_date": [], "amount": []}))


def test_not_a_table():
    assert "must be a file or a frame, not int" in faults(17)


def test_nothing_is_written_beside_a_refused_file(file, tmp_path):
    path = file(rows(["05/03/2024", "06/04/2024"]))
    faults(path)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
