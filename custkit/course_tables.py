"""The tables of the course's company: loaded with the types that ``datasets/schema.yml`` declares."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custkit.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DATASETS = Path(__file__).resolve().parents[1] / "datasets"
PRACTICE = DATASETS / "practice"  # small extracts with planted faults, and a second company
COMPANY = "juniper_lane"  # folder of the tables
FORMATS = (".csv.gz", ".parquet")
LANGUAGES = ("en", "zh-CN")
REMEDY = (
    "The tables come with a checkout of the repository (folder datasets/); elsewhere make them with "
    "`custkit simulate --out DIR` and give folder='DIR'"
)


@cache
def schema() -> Mapping[str, Any]:
    """The contract of all tables (``datasets/schema.yml``); not to be changed."""
    import yaml

    return yaml.load(schema_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def schema_text() -> str:
    """``datasets/schema.yml`` of the checkout; an installed wheel brings a copy."""
    path = DATASETS / "schema.yml"
    if not path.exists():
        path = Path(__file__).with_name("simulate") / "schema.yml"
    return path.read_text("utf-8")


def load(name: str, folder: str | Path | None = None) -> pd.DataFrame:
    """A table of the course's company, typed.

    Parameters
    ----------
    name : str
        Such as ``"orders"``; `describe` says what its columns mean.
    folder : path, optional
        Another company: what ``custkit simulate --out`` wrote, or a folder that holds the files directly.
        Default: Juniper Lane in the ``datasets`` folder of the checkout.

    Returns
    -------
    DataFrame
        Ids, categories and texts are ``str`` (a category's allowed values are in `describe`), dates and
        times ``datetime64[s]``. A whole number or a yes/no that can be missing is ``float64`` with NaN: the
        nullable types of pandas stop the formulas of statsmodels. Others are ``int64`` and ``bool``.

    Raises
    ------
    DataError
        If the table or the folder is not there, or the file is not what the schema says.
    """
    tables = schema()["tables"]
    if name not in tables:
        raise DataError(_unknown(name, tables))
    place = Path(folder) if folder is not None else DATASETS
    if (place / COMPANY).is_dir():
        place = place / COMPANY
    return read_table(place, name, tables[name]["columns"])


def describe(table: str, lang: str = "en") -> pd.DataFrame:
    """What the columns of a table mean.

    Parameters
    ----------
    table : str
        Such as ``"orders"``.
    lang : str
        ``"en"`` or ``"zh-CN"``.

    Returns
    -------
    DataFrame
        One row a column of the table: column, type, unit, key (part of the key, or ``→`` the table it
        refers to), values (allowed), missing (why it can be), description.
    """
    import pandas as pd

    if lang not in LANGUAGES:
        raise ParameterError(f"no language {lang!r}; there are {' and '.join(LANGUAGES)}")
    known = schema()["tables"] | schema()["kept_apart"]
    if table not in known:
        raise DataError(_unknown(table, known))
    return pd.DataFrame(
        {"column": name, **column_facts(known[table], name, lang)} for name in known[table]["columns"]
    )


def column_facts(table: Mapping[str, Any], name: str, lang: str = "en") -> dict[str, str]:
    """Type, unit, key, values, missing and description of one column, as text."""
    column = table["columns"][name]
    is_ = column["is"]
    keys = (["key"] if name in table["key"] else []) + ([f"→ {is_['to']}"] if "to" in is_ else [])
    values = ", ".join(map(str, is_.get("values", ())))
    if "low" in is_ or "high" in is_:
        values = f"{is_.get('low', '')} to {is_['high']}" if "high" in is_ else f"from {is_['low']}"
    return {
        "type": is_["type"],
        "unit": is_.get("unit", ""),
        "key": " ".join(keys),
        "values": values,
        "missing": column.get("empty", {}).get(lang, ""),
        "description": column[lang],
    }


def read_table(folder: Path, name: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read one file of a folder with the declared types; `load` and `custkit.truth.load` call this."""
    import pyarrow as pa

    path = _find(folder, name)
    try:
        found = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, columns)
    except (pa.ArrowException, EOFError, OSError) as error:
        raise DataError(f"{path.name}: cannot be read: {error}") from None
    if list(found.column_names) != list(columns):
        odd = sorted(set(found.column_names) ^ set(columns)) or ["their order"]
        raise DataError(f"{path.name}: its columns are not those of schema.yml; look at {', '.join(odd)}")
    typed = pa.table([_plain(found[one], columns[one]) for one in columns], names=list(columns))
    return typed.to_pandas()


def arrow_type(column: Mapping[str, Any]) -> pa.DataType:
    """How a column is stored: int64, double, bool, date32, timestamp[s] or text."""
    import pyarrow as pa

    kinds = {"int": pa.int64(), "num": pa.float64(), "bool": pa.bool_()}
    times = {"date": pa.date32(), "ts": pa.timestamp("s")}
    return (kinds | times).get(column["is"]["type"], pa.string())


def _unknown(name: str, tables: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name), tables, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no table {name!r}{hint} The tables are {', '.join(tables)}"


def _find(folder: Path, name: str) -> Path:
    """The file of a table; both formats are looked for."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. {REMEDY}")
    for ending in FORMATS:
        if (folder / f"{name}{ending}").exists():
            return folder / f"{name}{ending}"
    there = sorted(path.name.split(".")[0] for path in folder.iterdir() if path.name.endswith(FORMATS))
    raise DataError(
        f"{folder}: holds no table {name} (it holds {', '.join(there) or 'no table at all'}). {REMEDY}"
    )


def _read_csv(path: Path, columns: Mapping[str, Any]) -> pa.Table:
    from pyarrow import csv

    convert = csv.ConvertOptions(
        column_types={name: arrow_type(column) for name, column in columns.items()},
        null_values=[""],
        strings_can_be_null=True,
    )
    return csv.read_csv(path, convert_options=convert)


def _read_parquet(path: Path) -> pa.Table:
    from pyarrow import parquet

    return parquet.read_table(path)


def _plain(values: pa.ChunkedArray, column: Mapping[str, Any]) -> pa.ChunkedArray:
    """The type in memory: numbers and booleans that can be missing as double, times in seconds."""
    import pyarrow as pa

    kind = arrow_type(column)
    if "empty" in column and kind in (pa.int64(), pa.bool_()):
        values = values.cast(pa.int8()) if kind == pa.bool_() else values
        return values.cast(pa.float64())
    return values.cast(pa.timestamp("s") if kind == pa.date32() else kind)
