"""A company written to a folder: tables, truth, manifest and data dictionary."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

import custkit
from custkit.course_tables import COMPANY, arrow_type, schema, schema_text
from custkit.errors import ParameterError
from custkit.simulate import company, dictionary, practice, second_company
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.public import public_tables, truth_tables

PART = 50_000  # consumers drawn at once; a larger company is drawn in parts and written as Parquet
SHARED = 1000  # rows of a table below which parts may share it

Progress = Callable[[str], None]
Tables = Mapping[str, pd.DataFrame]


def write_company(seed: int, customers: int, out: str | Path, say: Progress = print) -> dict[str, Any]:
    """Draw a company and write it to a new folder, whole or not at all.

    Up to 50,000 consumers are one draft, written as gzip CSV. More are drawn in parts, one after the
    other, and streamed to one Parquet file a table; a part is like a branch, with campaigns and staff of
    its own.

    Parameters
    ----------
    seed : int
        The same seed, customers and versions give the same bytes.
    customers : int
        Consumers.
    out : path
        Folder to write; it must not exist, or be empty.
    say : callable, optional
        Called with a line of text after each step.

    Returns
    -------
    dict
        The manifest, as in ``manifest.json``: seed, versions, and rows, bytes and SHA-256 of each file.

    Raises
    ------
    ParameterError
        If the folder cannot be used; nothing is written.
    """
    with _new_folder(Path(out)) as folder:
        write = _write_whole if customers <= PART else _write_parts
        rows = write(folder, seed, customers, say)
        return _finish(folder, seed, customers, rows)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that takes its final name when all is written, and vanishes if anything fails."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ParameterError(f"{target}: exists and is not an empty folder; name another one")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            building = Path(scratch) / target.name
            building.mkdir()
            yield building
            if target.exists():
                target.rmdir()
            building.rename(target)
    except OSError as error:
        raise ParameterError(f"{target}: cannot be written: {error.strerror}") from None


def _draw(seed: int, customers: int, part: int, say: Progress) -> Draft:
    """One draft; a line for each block with its seconds."""
    begun: list[tuple[str, float]] = []

    def step(block: str | None) -> None:
        if begun:
            name, since = begun.pop()
            say(f"  {name:<12}{time.perf_counter() - since:7.1f} s")
        if block:
            begun.append((block, time.perf_counter()))

    draft = company.build(seed, customers=customers, part=part, progress=step)
    step(None)
    return draft


def _kinds(draft: Draft) -> Iterator[tuple[str, Mapping[str, Any], Tables]]:
    """Folder, contract and frames of the tables and of their truth."""
    yield COMPANY, schema()["tables"], public_tables(draft)
    yield "truth", schema()["kept_apart"], truth_tables(draft)


def _write_whole(folder: Path, seed: int, customers: int, say: Progress) -> dict[str, int]:
    """One draft as gzip CSV, with its practice extracts; returns file → rows."""
    draft = _draw(seed, customers, 0, say)
    begun = time.perf_counter()
    texts, facts = _practice(draft)
    say(f"  {'practice':<12}{time.perf_counter() - begun:7.1f} s")
    begun = time.perf_counter()
    for place, declared, tables in _kinds(draft):
        texts |= {f"{place}/{name}": as_text(table, declared[name]) for name, table in tables.items()}
    for path, table in texts.items():
        write_gzip(csv_text(table), folder / f"{path}.csv.gz")
    _write_truth(folder / "truth", draft.effects, {"truth_practice": facts})
    say(f"  {'files':<12}{time.perf_counter() - begun:7.1f} s")
    return {f"{path}.csv.gz": len(table) for path, table in texts.items()}


def _practice(draft: Draft) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Path → practice extract, and what is true of each; their truth tables go to the draft's."""
    extracts, truth, facts = practice.extracts(draft, public_tables(draft))
    draft.truth |= truth
    texts = {f"practice/{name}": table for name, table in extracts.items()}
    club, facts["second_company"] = second_company.build(draft.seed)
    for name, table in public_tables(club, second_company.TABLES).items():
        texts[f"practice/second_company/{name}"] = as_text(table, schema()["tables"][name])
    return texts, facts


def _write_parts(folder: Path, seed: int, customers: int, say: Progress) -> dict[str, int]:
    """Part after part appended to one Parquet file a table; returns file → rows."""
    count = -(-customers // PART)
    effects: dict[str, dict] = {}
    with ExitStack() as stack:
        growing = _Growing(folder, stack)
        for part in range(count):
            size = customers // count + (part < customers % count)
            say(f"part {part + 1} of {count}: {size:,} customers")
            found = growing.add(_draw(seed, size, part, say))
            same = {name: effect for name, effect in effects.items() if effect == found.get(name)}
            effects = same if part else found
    _write_truth(folder / "truth", effects)
    return growing.rows


class _Growing:
    """Parquet files that take the tables of one draft after another.

    Attributes
    ----------
    rows : dict
        File → rows so far.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.rows: dict[str, int] = {}
        self._writers: dict[str, parquet.ParquetWriter] = {}
        self._shared: dict[str, pd.DataFrame] = {}

    def add(self, draft: Draft) -> dict[str, dict]:
        """Append a draft's tables; returns its effects. The draft itself is not kept."""
        for place, declared, tables in _kinds(draft):
            for name, table in tables.items():
                path = f"{place}/{name}.parquet"
                arrow = to_arrow(table, declared[name])
                if path not in self._writers:
                    (self.folder / place).mkdir(exist_ok=True)
                    writer = parquet.ParquetWriter(self.folder / path, arrow.schema, compression="zstd")
                    self._writers[path], self.rows[path] = self.stack.enter_context(writer), 0
                    self._shared |= {path: table} if len(table) < SHARED else {}
                elif path in self._shared and table.equals(self._shared[path]):
                    continue  # the range of products is the same in every part
                self._writers[path].write_table(arrow)
                self.rows[path] += len(table)
        return draft.effects


def to_arrow(table: pd.DataFrame, declared: Mapping[str, Any]) -> pa.Table:
    """A table as it is stored: whole numbers and yes/no as such also where values are missing."""
    kinds = {name: arrow_type(column) for name, column in declared["columns"].items()}
    nullable = {pa.int64(): "Int64", pa.bool_(): "boolean"}
    arrays = [
        pa.array(table[name].astype(nullable[kind]) if kind in nullable else table[name], kind)
        for name, kind in kinds.items()
    ]
    return pa.table(arrays, names=list(kinds))


def as_text(table: pd.DataFrame, declared: Mapping[str, Any]) -> pd.DataFrame:
    """A table as it is written to CSV: numbers as short as they can be, true and false, ISO times."""
    stored = to_arrow(table, declared)
    return pa.table([one.cast(pa.string()) for one in stored.columns], stored.column_names).to_pandas()


def csv_text(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def write_gzip(text: str, path: Path) -> None:
    """Gzip that is the same to the byte for the same text: it holds neither time nor name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode("utf-8"))


def _write_truth(folder: Path, effects: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
    """Every true parameter, block by block, every planted effect, and more if given."""
    folder.mkdir(exist_ok=True)
    values = {"truth_params": all_parameters(), "truth_effects": effects} | dict(more or {})
    for name, value in values.items():
        _write_json(folder / f"{name}.json", value)


def all_parameters() -> dict[str, Any]:
    """Block → its true parameters, from every file of ``simulate/parameters``."""
    files = importlib.resources.files("custkit.simulate").joinpath("parameters").iterdir()
    return {name: parameters(name) for name in sorted(file.name.removesuffix(".yml") for file in files)}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(as_json(value), encoding="utf-8", newline="\n")


def as_json(value: Any) -> str:
    """JSON as it stands in the files; dates, also those that are keys, are text."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, dt.date) else value


def _finish(folder: Path, seed: int, customers: int, rows: Mapping[str, int]) -> dict[str, Any]:
    """Contract, manifest and data dictionary beside the tables."""
    manifest = {
        "company": "Juniper Lane",
        "seed": seed,
        "customers": customers,
        "versions": {"custkit": custkit.__version__}
        | {name: importlib.metadata.version(name) for name in ("numpy", "pandas", "pyarrow", "scipy")},
        "files": {
            path.relative_to(folder).as_posix(): file_facts(
                path, rows.get(path.relative_to(folder).as_posix())
            )
            for path in sorted(folder.rglob("*.*"))
        },
    }
    _write_json(folder / "manifest.json", manifest)
    (folder / "schema.yml").write_text(schema_text(), encoding="utf-8", newline="\n")
    readme = dictionary.readme(schema(), manifest, about_blocks(), all_parameters())
    (folder / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    return manifest


def about_blocks() -> dict[str, str]:
    """Block → the first sentence of its module."""
    modules = {name: importlib.import_module(f"custkit.simulate.{name}") for name in company.BLOCKS}
    return {name: module.__doc__.split("\n\n")[0].replace("\n", " ") for name, module in modules.items()}


def file_facts(path: Path, rows: int | None) -> dict[str, Any]:
    """Rows (of a table), bytes and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ({} if rows is None else {"rows": rows}) | {"bytes": path.stat().st_size, "sha256": digest}
