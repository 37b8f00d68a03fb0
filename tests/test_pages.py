"""Escaping, tables, small groups and safe files of the report pages."""

import csv
import datetime as dt
import html
import io
import json

import numpy as np
import pandas as pd
import pytest
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from custkit import pages
from custkit.errors import ParameterError

HOSTILE = ["<script>alert(1)</script>", "![x](http://e.vil/x.png)", "a_b*c*`d`", "$5 and $6", "&lt;", "q\"'"]


def shown(monkeypatch, call):
    """The HTML or Markdown that `call` displays."""
    caught = []
    monkeypatch.setattr("IPython.display.display", caught.append)
    call()
    return caught[0].data


@pytest.mark.parametrize("value", HOSTILE)
def test_text_comes_out_of_markdown_as_it_went_in(value):
    page = MarkdownWithMath(renderer=IPythonRenderer(escape=False)).render(pages.text(value))
    assert html.unescape(page).strip() == f"<p>{value}</p>"
    assert page.count("<") == 2


@pytest.mark.parametrize("value", HOSTILE)
def test_tables_escape_data_and_headings(monkeypatch, value):
    frame = pd.DataFrame({value: [value], "n": [3]})
    page = shown(monkeypatch, lambda: pages.table(frame))
    assert page.count("<") == len(["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]) * 2
    assert html.unescape(page).count(value) == 2 or value == "&lt;"
    assert "<script" not in page


def test_tables_do_not_escape_twice_and_mark_numbers_and_total(monkeypatch):
    frame = pd.DataFrame({"a": ["x", "all"], "value": [1.5, 2000.0]})
    page = shown(monkeypatch, lambda: pages.table(frame, {"value": pages.money("U$")}, total=True))
    assert "<td>x</td>" in page and '<td class="number">U&#36; 1.50</td>' in page
    assert '<tr class="total"><td>all</td><td class="number">U&#36; 2,000</td></tr>' in page


@pytest.mark.parametrize(("value", "expected"), [(1234.5, "EUR 1,234"), (-250, "−EUR 250"), (np.nan, "–")])
def test_money(value, expected):
    assert pages.money("EUR")(value) == expected


def test_numbers_that_are_missing_show_a_dash():
    write = pages.number(1)
    assert [write(v) for v in (12345.67, -0.5, np.nan, np.inf)] == ["12,345.7", "−0.5", "–", "–"]


def test_column_map():
    assert pages.column_map(" customer_id = Cust, no , amount=Sales=net") == {
        "customer_id": "Cust, no",
        "amount": "Sales=net",
    }
    assert pages.column_map("") is None
    for wrong in ("Cust", "customer_id=", "=Cust"):
        with pytest.raises(ParameterError, match="is not written as name=heading"):
            pages.column_map(wrong)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"a": 50, "b": 30, "c": 20}, {"a": 50, "b": 30, "c": 20}),
        ({"a": 50, "b": 30, "c": 5}, {"a": 50, "b and 1 small": 35}),  # c alone could be had by subtraction
        ({"a": 50, "b": 9, "c": 12}, {"a": 50, "c and 1 small": 21}),
        ({"a": 50, "b": 19}, {"all together": 69}),
        ({"a": 3, "b": 2}, {"all together": 5}),
        ({"a": 50, "b": 2, "c": 30, "d": 1}, {"a": 50, "c and 2 small": 33}),
        ({"a": 3}, {"a": 3}),
    ],
)
def test_small_groups_are_pooled_until_none_can_be_inferred(sizes, expected):
    labels = pd.Series([label for label, size in sizes.items() for _ in range(size)])
    assert pages.pool_small(labels, 20).value_counts().to_dict() == expected
    categories = labels.astype(pd.CategoricalDtype([*"abcd", "empty"]))
    assert pages.pool_small(categories, 20).value_counts().to_dict() == expected


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\t=1", "＝1", "\r=1"]
HARMLESS = ["-12.50", "+3", "1,000", "A=1", "2024-01-01", "", "plain"]


def test_spreadsheet_formulas_are_defused_and_nothing_else(tmp_path):
    values = FORMULAS + HARMLESS
    frame = pd.DataFrame({"id": values, "n": -1.5 * np.ones(len(values))})
    pages.write_csv(frame, tmp_path, "x.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_bytes().decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == ["'" + v.replace("\r", " ") for v in FORMULAS] + HARMLESS
    assert {row["n"] for row in rows} == {"-1.5"}
    assert list(frame["id"]) == values  # the caller's frame is untouched


def test_csv_has_a_mark_for_excel_only_when_needed(tmp_path):
    pages.write_csv(pd.DataFrame({"a": ["x"]}), tmp_path, "plain.csv")
    pages.write_csv(pd.DataFrame({"a": ["客户"]}), tmp_path, "chinese.csv")
    assert (tmp_path / "plain.csv").read_bytes() == b"a\nx\n"
    assert (tmp_path / "chinese.csv").read_bytes() == "\ufeffa\n客户\n".encode()


def test_summary_is_strict_json(tmp_path):
    summary = {
        "a": np.float64("nan"),
        "b": np.int64(3),
        "day": dt.date(1998, 6, 30),
        "series": pd.Series({"r": 0.25, "x": np.inf}),
        "frame": pd.DataFrame({"k": ["x"], "v": [1.5]}),
        "flag": np.bool_(True),
    }
    pages.write_summary(summary, tmp_path)
    expected = {
        "a": None,
        "b": 3,
        "day": "1998-06-30",
        "series": {"r": 0.25, "x": None},
        "frame": [{"k": "x", "v": 1.5}],
        "flag": True,
    }
    assert json.loads((tmp_path / "summary.json").read_text()) == expected


def test_no_folder_means_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.write_summary({}, "")
    pages.write_csv(pd.DataFrame({"a": [1]}), "", "x.csv")
    assert not list(tmp_path.iterdir())


def test_the_account_of_what_was_read_escapes_the_file_and_its_notes(monkeypatch):
    class Log:
        source_name, rows_in, rows_used, rows_set_aside = "<b>.csv", 1200, 1190, 10
        reasons, notes = {"no customer id": 10}, ("'<i>' is read",)

    caught = []
    monkeypatch.setattr("IPython.display.display", caught.append)
    pages.what_was_read(Log(), "")
    text = html.unescape(" ".join(block.data for block in caught))
    assert "1,200 rows in = 1,190 rows used + 10 rows set aside (0.8%)" in text and "`rejected.csv`" in text
    assert "currency of the file" in text and "<b>.csv" in text
    assert not any("<" in block.data for block in caught)
    caught.clear()
    pages.what_was_read(Log(), "EUR")
    assert "currency of the file" not in caught[0].data


def test_reasons_the_verdict_gives_are_not_repeated(monkeypatch):
    caught = []
    monkeypatch.setattr("IPython.display.display", caught.append)
    verdict = pd.DataFrame({"can_run": [False], "why": ["too few"]}, index=pd.Index(["x"], name="analysis"))
    pages.what_data_carry(verdict, ["too few", "", "the fit <failed>"])
    assert html.unescape(caught[-1].data) == "the fit <failed>" and "<td>no</td>" in caught[1].data


def test_settings_and_versions_are_listed(monkeypatch):
    caught = []
    monkeypatch.setattr("IPython.display.display", caught.append)
    pages.settings_used({"orders": "<x>.csv", "columns": "", "bins": 5, "until": None})
    assert caught[1].data.count("–") == 2 and "<x>" not in caught[1].data
    pages.versions("numpy")
    assert f"numpy {np.__version__}" in caught[-1].data and "Python 3" in caught[-1].data
