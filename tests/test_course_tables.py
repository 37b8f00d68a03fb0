"""The course's tables: loaded with the declared types, described in two languages, every fault found."""

from __future__ import annotations

import copy
import datetime as dt
import gzip

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from custkit import course_tables, tables
from custkit.course_faults import faults
from custkit.course_tables import schema
from custkit.errors import DataError, ParameterError
from custkit.simulate.draft import the_clock
from custkit.simulate.files import as_text, csv_text, to_arrow, write_gzip
from custkit.simulate.public import as_declared

TYPES = {"id", "int", "num", "cat", "bool", "date", "ts", "txt"}
FACTS = {"type", "unit", "decimals", "values", "list", "low", "high", "to", "to_when", "clock", "filled_when"}
SECTIONS = [schema()["tables"], schema()["kept_apart"]]
ALL = {name: table for section in SECTIONS for name, table in section.items()}


# The contract itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_each_column_is_declared_whole(name):
    table = ALL[name]
    assert set(table) == {"en", "zh-CN", "key", "columns"} and set(table["key"]) <= set(table["columns"])
    for column, facts in table["columns"].items():
        assert set(facts) <= {"is", "empty", "en", "zh-CN"}, column
        assert facts["is"]["type"] in TYPES and set(facts["is"]) <= FACTS, column
        assert facts["is"].get("to", "customers") in schema()["tables"], column
        assert ("unit" in facts["is"]) == (facts["is"]["type"] in ("int", "num")), column
        assert ("values" in facts["is"]) or facts["is"]["type"] != "cat", column
        assert ("filled_when" not in facts["is"]) or "empty" in facts, column
        for texts in (facts, facts.get("empty", facts)):
            assert len(texts["en"]) > 3
            assert any("一" <= sign <= "鿿" for sign in texts["zh-CN"]), column


def test_there_are_the_fourteen_tables_of_the_course():
    assert list(schema()["tables"]) == [
        *("customers", "products", "orders", "order_lines", "sessions", "campaigns", "contacts"),
        *(
            "survey_answers",
            "tickets",
            "vas_subscriptions",
            "leads",
            "lead_activities",
            "social_edges",
            "staff",
        ),
    ]


def test_the_contract_has_the_simulations_clock():
    clock = the_clock()
    assert schema()["clock"] == {"first": clock.start, "last": clock.as_of}


# describe ---------------------------------------------------------------------------------------------


def test_describe_tells_type_unit_key_values_and_meaning_of_each_column():
    facts = tables.describe("orders").set_index("column")
    assert list(facts.index) == list(schema()["tables"]["orders"]["columns"])
    assert list(facts.columns) == ["type", "unit", "key", "values", "missing", "description"]
    assert facts.loc["net_amount", ["type", "unit"]].tolist() == ["num", "CNY"]
    assert facts.loc["order_id", "key"] == "key" and facts.loc["customer_id", "key"] == "→ customers"
    assert facts.loc["channel", "values"] == "web, app, store, phone"
    assert facts.loc["site", "missing"] == "not bought in a store"
    assert tables.describe("order_lines")["key"][0] == "key → orders"
    assert tables.describe("tickets").set_index("column").loc["csat", "values"] == "1 to 5"


def test_describe_in_chinese():
    facts = tables.describe("orders", lang="zh-CN").set_index("column")
    assert facts.loc["net_amount", "description"] == "实付金额。"
    assert facts.loc["site", "missing"] == "非门店订单"


def test_describe_refuses_unknown_names():
    with pytest.raises(DataError, match="no table 'order'; did you mean orders"):
        tables.describe("order")
    with pytest.raises(ParameterError, match="no language 'fr'; there are en and zh-CN"):
        tables.describe("orders", lang="fr")


# load -------------------------------------------------------------------------------------------------

SMALL = {
    "en": "",
    "zh-CN": "",
    "key": ["one_id"],
    "columns": {
        "one_id": {"is": {"type": "id"}},
        "count": {"is": {"type": "int", "unit": ""}},
        "maybe": {"is": {"type": "int", "unit": ""}, "empty": {}},
        "money": {"is": {"type": "num", "unit": "CNY"}},
        "yes": {"is": {"type": "bool"}},
        "told": {"is": {"type": "bool"}, "empty": {}},
        "day": {"is": {"type": "date"}, "empty": {}},
        "at": {"is": {"type": "ts"}},
        "text": {"is": {"type": "txt"}, "empty": {}},
    },
}
LINES = """one_id,count,maybe,money,yes,told,day,at,text
007,1,,1.5,true,,2024-02-29,2024-02-29 23:59:59,"Good, ""very"" good; 好"
NA,2,45,-0.25,false,true,,2025-12-28 00:00:00,
"""


def check_small(frame: pd.DataFrame) -> None:
    assert [str(kind) for kind in frame.dtypes] == [
        *("str", "int64", "float64", "float64", "bool", "float64", "datetime64[s]", "datetime64[s]", "str"),
    ]
    assert frame["one_id"].tolist() == ["007", "NA"]
    assert np.isnan(frame["maybe"][0]) and frame["maybe"][1] == 45
    assert frame["money"].tolist() == [1.5, -0.25] and frame["yes"].tolist() == [True, False]
    assert np.isnan(frame["told"][0]) and frame["told"][1] == 1
    assert frame["day"][0] == pd.Timestamp("2024-02-29") and pd.isna(frame["day"][1])
    assert frame["at"][0] == pd.Timestamp("2024-02-29 23:59:59")
    assert frame["text"][0] == 'Good, "very" good; 好' and pd.isna(frame["text"][1])


@pytest.fixture
def small(tmp_path):
    """A folder with one table, as gzip CSV."""
    (tmp_path / "small.csv.gz").write_bytes(gzip.compress(LINES.encode()))
    return tmp_path


def test_each_type_is_read_as_documented(small):
    check_small(course_tables.read_table(small, "small", SMALL["columns"]))


def test_a_table_survives_both_file_formats(small, tmp_path):
    frame = course_tables.read_table(small, "small", SMALL["columns"])
    text = csv_text(as_text(frame, SMALL))
    assert text == LINES
    write_gzip(text, tmp_path / "again" / "small.csv.gz")
    check_small(course_tables.read_table(tmp_path / "again", "small", SMALL["columns"]))
    (tmp_path / "parquet").mkdir()
    parquet.write_table(to_arrow(frame, SMALL), tmp_path / "parquet" / "small.parquet")
    check_small(course_tables.read_table(tmp_path / "parquet", "small", SMALL["columns"]))


def test_what_is_not_there_is_named_with_the_remedy(tmp_path):
    with pytest.raises(
        DataError, match=r"no table 'order'; did you mean orders\? The tables are customers, "
    ):
        tables.load("order")
    with pytest.raises(DataError, match=r"gone: no such folder\. .*custkit simulate --out DIR"):
        tables.load("orders", tmp_path / "gone")
    (tmp_path / "staff.csv.gz").touch()
    with pytest.raises(DataError, match=r"holds no table orders \(it holds staff\)\. .*custkit simulate"):
        tables.load("orders", tmp_path)


def test_a_file_that_is_not_the_table_is_refused(tmp_path):
    def write(text: bytes) -> None:
        (tmp_path / "staff.csv.gz").write_bytes(text)

    write(gzip.compress(b"staff_id,nome\nS1,x\n"))
    with pytest.raises(DataError, match=r"staff.csv.gz: its columns are not those of schema.yml; .*nome"):
        tables.load("staff", tmp_path)
    columns = list(schema()["tables"]["staff"]["columns"])
    write(gzip.compress(f"{','.join(columns)}\nS1,x,store,t,NP1,yesterday,,p,40\n".encode()))
    with pytest.raises(DataError, match=r"staff.csv.gz: cannot be read: .*yesterday"):
        tables.load("staff", tmp_path)
    write(gzip.compress(b"staff_id\nS1\n")[:-9])
    with pytest.raises(DataError, match=r"staff.csv.gz: cannot be read"):
        tables.load("staff", tmp_path)


def test_the_data_folder_does_not_hang_on_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert course_tables.DATASETS.is_absolute() and (course_tables.DATASETS / "schema.yml").exists()


# Typed from a draft -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "is_", "message"),
    [
        ([1.0, np.nan], {"type": "num"}, "1 values are missing"),
        ([1.0, 1.5], {"type": "int"}, "not whole"),
        (["yes", "no"], {"type": "bool"}, "more than yes and no"),
        ([1, 2], {"type": "id"}, "is a text"),
        ([pd.Timestamp("2024-01-01 08:00")], {"type": "date"}, "times of day"),
        (["x"], {"type": "num"}, "x"),
    ],
)
def test_a_column_of_another_type_is_refused(values, is_, message):
    with pytest.raises((TypeError, ValueError), match=message):
        as_declared(pd.Series(values), {"is": is_})


def test_numbers_are_rounded_to_their_decimals():
    rounded = as_declared(pd.Series([1.005, -0.001, 2.349]), {"is": {"type": "num", "decimals": 1}})
    assert rounded.tolist() == [1.0, 0.0, 2.3] and not np.signbit(rounded[1])


# faults -----------------------------------------------------------------------------------------------

CONTRACT = {
    "clock": {"first": dt.date(2024, 1, 1), "last": dt.date(2025, 12, 28)},
    "tables": {
        "customers": {
            "key": ["customer_id"],
            "columns": {
                "customer_id": {"is": {"type": "id"}},
                "kind": {"is": {"type": "cat", "values": ["f", "m"]}},
                "channels": {"is": {"type": "txt", "list": True, "values": ["email", "sms"]}, "empty": {}},
                "age": {"is": {"type": "int", "low": 18, "high": 99}, "empty": {}},
                "app": {"is": {"type": "bool"}},
                "vip": {"is": {"type": "bool"}, "empty": {}},
                "born": {"is": {"type": "date", "clock": False}, "empty": {}},
                "joined": {"is": {"type": "date", "filled_when": "app"}, "empty": {}},
            },
        },
        "orders": {
            "key": ["order_id"],
            "columns": {
                "order_id": {"is": {"type": "id"}},
                "customer_id": {"is": {"type": "id", "to": "customers", "to_when": "channel == 'web'"}},
                "channel": {"is": {"type": "cat", "values": ["web", "till"]}},
                "ordered_at": {"is": {"type": "ts"}},
                "goods_gross": {"is": {"type": "num", "low": 0}},
                "discount": {"is": {"type": "num", "low": 0}},
                "net_amount": {"is": {"type": "num", "low": 0}},
            },
        },
        "order_lines": {
            "key": ["order_id", "line_no"],
            "columns": {
                "order_id": {"is": {"type": "id", "to": "orders"}},
                "line_no": {"is": {"type": "int", "low": 1}},
                "line_amount": {"is": {"type": "num", "decimals": 2}},
            },
        },
    },
}


def sound() -> dict[str, pd.DataFrame]:
    """Three small tables that keep the contract."""
    times = pd.to_datetime(["2024-01-01 00:00:00", "2025-03-04 10:11:12", "2025-12-28 23:59:59"])
    return {
        "customers": pd.DataFrame(
            {
                "customer_id": ["C1", "C2", "C3"],
                "kind": ["f", "m", "m"],
                "channels": ["email", "email;sms", None],
                "age": [18.0, np.nan, 99.0],
                "app": [True, False, False],
                "vip": [1.0, 0.0, np.nan],
                "born": pd.to_datetime(["1980-01-01", None, "1999-12-31"]),
                "joined": pd.to_datetime(["2024-05-01", None, None]),
            }
        ),
        "orders": pd.DataFrame(
            {
                "order_id": ["O1", "O2", "O3"],
                "customer_id": ["C1", "C1", "passer-by"],
                "channel": ["web", "web", "till"],
                "ordered_at": times,
                "goods_gross": [10.1, 20.0, 7.5],
                "discount": [0.1, 0.0, 0.0],
                "net_amount": [10.0, 20.0, 7.5],
            }
        ),
        "order_lines": pd.DataFrame(
            {
                "order_id": ["O1", "O1", "O2", "O3"],
                "line_no": [1, 2, 1, 1],
                "line_amount": [3.3, 6.8, 20.0, 7.5],
            }
        ),
    }


def test_sound_tables_have_no_fault():
    assert faults(sound(), CONTRACT) == []
    alone = {"order_lines": sound()["order_lines"]}
    assert faults(alone, CONTRACT) == []


BREAKS = [
    ("customers", "customer_id", 1, "C1", "customers: key customer_id not unique (2 rows, first 0, 1)"),
    ("customers", "customer_id", 1, None, "customers.customer_id: missing (1 rows, first 1)"),
    ("customers", "kind", 2, "x", "customers.kind: not an allowed value (1 rows, first 2)"),
    ("customers", "channels", 1, "email;fax", "customers.channels: not an allowed value"),
    ("customers", "channels", 1, "email; sms", "customers.channels: not an allowed value"),
    ("customers", "age", 0, 17.0, "customers.age: below 18"),
    ("customers", "age", 0, 100.0, "customers.age: above 99"),
    ("customers", "age", 0, 18.5, "customers.age: over 0 decimals"),
    ("customers", "vip", 0, 0.5, "customers.vip: neither yes nor no"),
    ("customers", "born", 0, pd.Timestamp("1980-01-01 08:00"), "customers.born: has a time of day"),
    ("customers", "joined", 0, pd.NaT, "customers.joined: must be there exactly where app"),
    (
        "customers",
        "joined",
        1,
        pd.Timestamp("2024-05-01"),
        "customers.joined: must be there exactly where app",
    ),
    (
        "customers",
        "joined",
        0,
        pd.Timestamp("2025-12-29"),
        "customers.joined: outside 2024-01-01 to 2025-12-28",
    ),
    ("orders", "ordered_at", 0, pd.Timestamp("2023-12-31 23:59:59"), "orders.ordered_at: outside 2024-01-01"),
    ("orders", "customer_id", 1, "C9", "orders.customer_id: not in customers (1 rows, first 1)"),
    ("orders", "customer_id", 1, " C1", "orders.customer_id: empty, led or ended by a blank"),
    ("orders", "customer_id", 2, "a\nb", "orders.customer_id: empty, led or ended by a blank"),
    ("orders", "discount", 1, 0.01, "orders: goods_gross is not net_amount + discount (1 rows, first 1)"),
    ("orders", "discount", 1, -1.0, "orders.discount: below 0"),
    ("orders", "net_amount", 0, 10.001, "orders.net_amount: over 2 decimals"),
    ("order_lines", "line_amount", 1, 6.81, "orders: the lines do not add up to net_amount + discount"),
    ("order_lines", "order_id", 2, "O9", "order_lines.order_id: not in orders"),
    ("order_lines", "order_id", 2, "O9", "orders: the lines do not add up to net_amount + discount (1 rows"),
    ("order_lines", "line_no", 1, 1, "order_lines: key order_id, line_no not unique"),
]


@pytest.mark.parametrize(("table", "column", "row", "value", "expected"), BREAKS)
def test_each_fault_is_found(table, column, row, value, expected):
    broken = sound()
    broken[table].loc[row, column] = value
    found = faults(broken, CONTRACT)
    assert any(fault.startswith(expected) for fault in found), found


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        ("age", "str", "customers.age: is str, not int"),
        ("app", "float64", "customers.app: is float64, not bool"),
        ("kind", "object", "customers.kind: is object, not cat"),
        ("born", "str", "customers.born: is str, not date"),
        ("vip", "object", "customers.vip: is object, not bool"),
    ],
)
def test_a_wrong_type_is_found(column, kind, expected):
    broken = sound()
    broken["customers"] = broken["customers"].astype({column: kind})
    assert expected in faults(broken, CONTRACT)


def test_columns_and_tables_too_many_or_too_few_are_found():
    broken = sound()
    broken["customers"] = broken["customers"].drop(columns="kind").assign(shoe_size=43)
    broken["order"] = broken["orders"]
    assert faults(broken, CONTRACT) == [
        "order: is not in schema.yml",
        "customers.kind: is missing",
        "customers.shoe_size: is not in schema.yml",
    ]


def test_all_faults_are_found_at_once():
    broken = copy.deepcopy(sound())
    broken["customers"].loc[0, "age"] = 3.0
    broken["orders"].loc[0, "channel"] = "fax"
    broken["order_lines"].loc[3, "line_amount"] = 7.0
    assert len(faults(broken, CONTRACT)) == 3
