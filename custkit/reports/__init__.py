"""The report notebooks shipped with custkit, and what can be known of them without running them.

Each ``*.ipynb`` in this folder is a papermill template. Its first cell is Markdown: a ``# `` heading and one
paragraph that says what the report is for. Its one cell tagged ``parameters`` holds annotated literals,
``name: type = default  # help``; the help says in brackets what is checked before anything runs: ``(file)``,
``(date)``, ``(0 to 1)`` or ``(one of W D)``. Nothing heavy is imported here.
"""

from __future__ import annotations

import ast
import csv
import datetime as dt
import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ParameterError

FOLDER = Path(__file__).parent
MANAGED = ("output_dir",)  # set by the runner, never by the user
TYPES = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_LINE = re.compile(r"^(?P<name>\w+)\s*:\s*(?P<type>\w+)\s*=")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a report: name, type name (``str``, ``int``, ``float``, ``bool``), default, help."""

    name: str
    type: str
    default: Any
    help: str

    @property
    def is_file(self) -> bool:
        """Whether the value names a file."""
        return "(file" in self.help

    @property
    def option(self) -> str:
        """The option of the command line, for example ``--date-format``."""
        return "--" + self.name.replace("_", "-")

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value of the right type, or None."""
        rule = re.search(r"\((?:(file)\b[^)]*|(date)\b[^)]*|one of ([^)]*)|(\S+) to (\S+))\)", self.help)
        if rule is None or value == self.default:
            return None
        is_file, is_date, choices, low, high = rule.groups()
        if is_file:
            return _file_fault(value)
        if is_date and value and not _is_date(value):
            return f"{self.option} {value!r} is not a date; write it as YYYY-MM-DD"
        if choices and value not in choices.split():
            return f"{self.option} {value!r} is not one of {choices}"
        if low and not float(low) <= value <= float(high):
            return f"{self.option} {value} is outside {low} to {high}"
        return None


@dataclass(frozen=True)
class Report:
    """One report notebook: its command-line name, file, title, one-line summary and parameters by name."""

    name: str
    path: Path
    title: str
    summary: str
    parameters: dict[str, Parameter]


def catalogue(folder: Path = FOLDER) -> dict[str, Report]:
    """All reports of a folder by name, sorted; ``rfm_forecast.ipynb`` is called ``rfm-forecast``."""
    paths = sorted(folder.glob("*.ipynb"))
    return {report.name: report for report in map(load, paths)}


def find(name: str, folder: Path = FOLDER) -> Report:
    """The report of that name.

    Raises
    ------
    ParameterError
        No such report; the message names the ones there are.
    """
    known = catalogue(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ParameterError(f"no report is called {name!r}; {meant}there is: {', '.join(known)}")
    return known[name]


def load(path: Path) -> Report:
    """Read what a report notebook says of itself: title, summary and parameters.

    Raises
    ------
    ParameterError
        The notebook has no cell tagged ``parameters``, or a line of it is not ``name: type = literal``.
    """
    book = json.loads(path.read_text("utf-8"))
    title, _, summary = "".join(book["cells"][0]["source"]).partition("\n")
    cells = [c for c in book["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if len(cells) != 1:
        raise ParameterError(f"{path.name}: needs exactly one cell tagged 'parameters', has {len(cells)}")
    name = path.stem.replace("_", "-")
    found = _parameters("".join(cells[0]["source"]), path.name)
    return Report(name, path, title.lstrip("# "), " ".join(summary.split()), found)


def _parameters(source: str, where: str) -> dict[str, Parameter]:
    """Parse ``name: type = literal  # help`` lines; a help may go on in comment lines below."""
    found: dict[str, Parameter] = {}
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value):
            raise ParameterError(f"{where}: parameters cell, line {node.lineno}: not 'name: type = literal'")
        kind = ast.unparse(node.annotation)
        if kind not in TYPES:
            raise ParameterError(f"{where}: {node.target.id} has type {kind}; use {', '.join(TYPES)}")
        help_text = lines[node.end_lineno - 1][node.end_col_offset :].partition("#")[2].strip()
        found[node.target.id] = Parameter(node.target.id, kind, ast.literal_eval(node.value), help_text)
    return found


def check_parameters(report: Report, given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn given values (text from the command line or a table, or Python values) into typed ones.

    Parameters
    ----------
    report : Report
    given : mapping
        Parameter name to value. Hyphens in names are read as underscores.

    Returns
    -------
    dict
        The given parameters with values of the declared type.

    Raises
    ------
    ParameterError
        Unknown names, wrong types, values out of range, files that are missing or empty: all at once.
    """
    faults, values = [], {}
    known = [name for name in report.parameters if name not in MANAGED]
    for raw_name, raw in given.items():
        name = raw_name.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {report.parameters[near[0]].option}? " if near else ""
            have = ", ".join(report.parameters[n].option for n in known)
            faults.append(f"unknown parameter {raw_name!r}; {meant}{report.name} has: {have}")
            continue
        parameter = report.parameters[name]
        try:
            values[name] = _convert(raw, parameter.type)
        except ValueError:
            share = "; write 30% as 0.3" if str(raw).strip().endswith("%") else ""
            faults.append(f"{parameter.option} {raw!r} is not {TYPES[parameter.type]}{share}")
            continue
        if fault := parameter.fault(values[name]):
            faults.append(fault)
    if faults:
        raise ParameterError(faults)
    return values


def read_table(report: Report, table: str | Path, common: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The runs a CSV table asks for: one row each, columns are parameters, empty cells keep the default.

    Parameters
    ----------
    report : Report
    table : path
        A column ``name`` gives the folder of each run; without it they are called run-1, run-2 …
        Order files are looked for beside the table.
    common : mapping
        Parameters for every run that a row does not set.

    Returns
    -------
    dict
        Name of the run to its parameters, checked.

    Raises
    ------
    ParameterError
        The faults of all rows at once.
    """
    table, runs, faults = Path(table), {}, []
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"--params {table}: cannot be read as a CSV table ({error})") from None
    for number, row in enumerate(rows, 1):
        filled = {k: v.strip() for k, v in row.items() if k and isinstance(v, str) and v.strip()}
        name = filled.pop("name", f"run-{number}")
        for key, parameter in report.parameters.items():
            if parameter.is_file and filled.get(key, parameter.default) != parameter.default:
                filled[key] = str(table.parent / filled[key])
        if not re.fullmatch(r"[\w][\w .-]*", name) or name in runs:
            faults.append(f"{table.name}, row {number}: the name {name!r} is used twice or is no folder name")
        try:
            runs[name] = check_parameters(report, {**common, **filled})
        except ParameterError as error:
            faults += [f"{table.name}, row {number}: {fault}" for fault in error.faults]
    if faults or not rows:
        raise ParameterError(faults or f"--params {table}: has no rows")
    return runs


def _convert(raw: Any, kind: str) -> Any:
    """A value of the named type; ValueError when the text or value is not one."""
    if kind == "bool":
        if isinstance(raw, bool):
            return raw
        if str(raw).strip().lower() not in _BOOLEANS:
            raise ValueError(raw)
        return _BOOLEANS[str(raw).strip().lower()]
    if kind == "int":
        if isinstance(raw, (bool, float)):
            raise ValueError(raw)
        return int(raw)
    if kind == "float":
        value = float(raw)
        if isinstance(raw, bool) or value != value or value in (float("inf"), -float("inf")):
            raise ValueError(raw)
        return value
    if not isinstance(raw, str):
        raise ValueError(raw)
    raw.encode()  # a file name in another encoding cannot be handed on: a ValueError as well
    return raw


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _file_fault(value: str) -> str | None:
    """Why a file cannot be read, as far as can be told at once; the text names the file, not its folder."""
    path = Path(value)
    if not path.exists():
        return f"{value}: no such file"
    if path.is_dir():
        return f"{value}: is a folder; give one CSV, Excel or Parquet file"
    if path.stat().st_size == 0:
        return f"{value}: the file is empty"
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"{value}: cannot be read ({error.strerror})"
    return None
