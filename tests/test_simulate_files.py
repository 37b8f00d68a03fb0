"""`custkit simulate`: whole folders, the same bytes for the same seed, parts of a large company, refusals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from pyarrow import parquet

from custkit import cli, tables
from custkit.course_faults import faults
from custkit.course_tables import schema
from custkit.errors import ParameterError
from custkit.simulate import SEED, company, files


def said(capsys, *arguments):
    """Exit code, stdout and stderr of a command."""
    code = cli.main(["simulate", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny company, as the command writes it, and what the command said."""
    out = tmp_path_factory.mktemp("company") / "tiny"
    lines = []
    files.write_company(SEED, 400, out, lines.append)
    return out, lines


def test_tiny_is_whole_and_keeps_the_contract(tiny):
    out, lines = tiny
    read = {name: tables.load(name, out) for name in schema()["tables"]}
    assert faults(read) == []
    assert len(read["customers"].query("customer_type == 'consumer'")) == 400
    assert sum(map(len, contents(out / "juniper_lane").values())) < 500_000
    steps = [line.split()[0] for line in lines]
    assert steps == [*company.BLOCKS, "practice", "files"]
    assert all(re.fullmatch(r"  \w+ +\d+\.\d s", line) for line in lines)


def test_the_same_seed_gives_the_same_bytes_in_another_process(tiny, tmp_path):
    command = [sys.executable, "-m", "custkit", "simulate", "--profile", "tiny", "--out", "again"]
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True, text=True
    )
    assert run.returncode == 0 and re.fullmatch(r"\d+ files, \d\.\d MB: again\n", run.stdout), run.stderr
    assert "  people " in run.stderr
    assert contents(tmp_path / "again") == contents(tiny[0])


def test_another_seed_gives_another_company(tiny, tmp_path):
    files.write_company(7, 400, tmp_path / "other", lambda line: None)
    one, other = contents(tiny[0]), contents(tmp_path / "other")
    assert set(one) == set(other)
    same = {name for name in one if one[name] == other[name]}
    assert same == {
        *("schema.yml", "truth/truth_params.json"),  # and the catalogues, which nobody draws
        *("juniper_lane/products.csv.gz", "practice/second_company/products.csv.gz"),
    }


def test_the_manifest_counts_and_seals_each_file(tiny):
    manifest = json.loads((tiny[0] / "manifest.json").read_text("utf-8"))
    assert (manifest["seed"], manifest["customers"]) == (SEED, 400)
    assert set(manifest["versions"]) == {"custkit", "numpy", "pandas", "pyarrow", "scipy"}
    written = set(contents(tiny[0])) - {"manifest.json", "schema.yml", "README.md"}
    assert set(manifest["files"]) == written
    for name, facts in manifest["files"].items():
        assert files.file_facts(tiny[0] / name, facts.get("rows")) == facts
    assert manifest["files"]["juniper_lane/orders.csv.gz"]["rows"] == len(tables.load("orders", tiny[0]))


def test_files_say_nothing_of_when_or_where_they_were_made(tiny):
    for name, content in contents(tiny[0]).items():
        if name.endswith(".gz"):
            assert content[:10] == bytes([31, 139, 8, 0, 0, 0, 0, 0, 2, 255]), name


# A large company, in parts ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A company of three parts, as Parquet."""
    out = tmp_path_factory.mktemp("company") / "large"
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PART", 450)
        files.write_company(3, 1301, out, lines.append)
    return out, lines


def test_parts_are_one_company_that_keeps_the_contract(large):
    out, lines = large
    assert [line for line in lines if line.startswith("part")] == [
        "part 1 of 3: 434 customers",
        "part 2 of 3: 434 customers",
        "part 3 of 3: 433 customers",
    ]
    read = {name: tables.load(name, out) for name in schema()["tables"]}
    assert faults(read) == []
    assert len(read["customers"].query("customer_type == 'consumer'")) == 1301
    assert len(read["products"]) == 48


def test_parts_stream_to_one_parquet_file_a_table(large):
    out, _ = large
    assert {path.name for path in (out / "juniper_lane").iterdir()} == {
        f"{name}.parquet" for name in schema()["tables"]
    }
    orders = parquet.ParquetFile(out / "juniper_lane" / "orders.parquet")
    assert orders.num_row_groups == 3
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["files"]["juniper_lane/orders.parquet"]["rows"] == orders.metadata.num_rows
    truth = pd.read_parquet(out / "truth" / "truth_customers.parquet")
    assert len(truth) == truth["customer_id"].nunique() == 1301


def test_effects_that_differ_between_parts_are_left_out(large, tiny):
    effects = [
        json.loads((one[0] / "truth" / "truth_effects.json").read_text("utf-8")) for one in (large, tiny)
    ]
    assert set(effects[0]) < set(effects[1])
    assert effects[0]["purchase_model.r"] == effects[1]["purchase_model.r"]
    assert "media.search.ceiling" not in effects[0]  # visits grow with the size of a part


# The command ------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Stands for the writer: remembers what it was asked for."""
    calls = []

    def write_company(seed, customers, out, say):
        calls.append((seed, customers, out))
        say("  media           0.1 s")
        return {"files": {"a.csv.gz": {"bytes": 1_250_000}, "b.json": {"bytes": 50_000}}}

    monkeypatch.setattr(files, "write_company", write_company)
    return calls


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (SEED, 6000)),
        (["--profile", "full"], (SEED, 6000)),
        (["--profile=tiny", "--seed", "0"], (0, 400)),
        (["--customers", "1000000", "--seed=9"], (9, 1_000_000)),
    ],
)
def test_options_reach_the_writer(asked, capsys, arguments, expected):
    assert said(capsys, "--out", "there", *arguments) == (
        0,
        "2 files, 1.3 MB: there\n",
        "  media           0.1 s\n",
    )
    assert asked == [(*expected, "there")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["say where to write: --out DIR"]),
        (["--out", "x", "--seed", "-1"], ["--seed '-1' is not a whole number from 0"]),
        (["--out", "x", "--seed", "1.5"], ["--seed '1.5' is not a whole number from 0"]),
        (["--out", "x", "--customers", "399"], ["--customers '399' is not a whole number from 400"]),
        (["--out", "x", "--customers", ""], ["--customers '' is not a whole number from 400"]),
        (["--out", "x", "--customers", "1e6"], ["--customers '1e6' is not a whole number"]),
        (["--out", "x", "--profile", "huge"], ["--profile 'huge': there is full and tiny"]),
        (["--out", "x", "--profile", "tiny", "--customers", "500"], ["not both"]),
        (["--out", "x", "--rows", "7"], ["unrecognized arguments: --rows 7"]),
        (["--seed", "a", "--customers", "b"], ["--out DIR", "--seed 'a'", "--customers 'b'"]),
    ],
)
def test_refusals_are_one_line_per_fault_and_exit_2(asked, capsys, arguments, expected):
    code, out, err = said(capsys, *arguments)
    assert (code, out, asked) == (2, "", [])
    lines = err.splitlines()
    assert len(lines) == len(expected)
    assert all(
        line.startswith("error: ") and part in line for line, part in zip(lines, expected, strict=True)
    )


def test_help_names_every_option(capsys):
    code, out, _ = said(capsys, "--help")
    assert code == 0 and all(f"\n  {one} " in out for one in ("--out", "--seed", "--profile", "--customers"))


def test_a_folder_with_files_or_a_file_is_refused(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for out in (tmp_path, tmp_path / "notes.txt"):
        code, _, err = said(capsys, "--out", out, "--profile", "tiny")
        assert code == 2 and err == f"error: {out}: exists and is not an empty folder; name another one\n"
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_a_folder_that_cannot_be_made_is_refused(capsys, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = said(capsys, "--out", tmp_path / "file" / "x", "--profile", "tiny")
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and "cannot be written" in err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ParameterError("broke"), MemoryError()])
def test_a_run_that_stops_leaves_nothing(monkeypatch, tmp_path, error):
    def build(*arguments, **options):
        raise error

    monkeypatch.setattr(company, "build", build)
    (tmp_path / "out").mkdir()
    with pytest.raises(type(error)):
        files.write_company(1, 400, tmp_path / "out", lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and not contents(tmp_path)
