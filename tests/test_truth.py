"""The truth is apart: it loads with a notice, and only cells tagged `truth` and tests reach it."""

from __future__ import annotations

from pathlib import Path

import house_truth
import nbformat
import pytest
from house_rules import ROOT, load
from test_house_rules import CHAPTERS, EXERCISES, REPORTS, SOLUTIONS

from custkit import truth
from custkit.course_tables import schema
from custkit.errors import DataError
from custkit.simulate.files import write_company

MODULES = [
    path
    for folder in ("custkit", "notebooks", "exercises", "solutions")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small company, written once for the tests of this module."""
    out = tmp_path_factory.mktemp("company") / "out"
    write_company(5, 400, out, lambda line: None)
    return out


# Who reads it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [*CHAPTERS, *SOLUTIONS, *EXERCISES, *REPORTS], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_a_notebook_reads_the_truth_only_in_tagged_cells(path):
    assert house_truth.notebook_faults(load(path), report=path in REPORTS) == []


def test_no_module_reads_the_truth():
    assert len(MODULES) > 40
    assert [fault for path in MODULES for fault in house_truth.module_faults(path, ROOT)] == []


READING = [
    "from custkit import truth",
    "import custkit.truth as t",
    "import custkit\ncustkit.truth.load('truth_leads')",
    "import custkit as ck\nck.truth.load('truth_leads')",
    "from custkit.simulate.draft import parameters",
    "from custkit import simulate",
    "import custkit.simulate.company",
    "pd.read_csv('datasets/truth/truth_customers.csv.gz')",
    "pd.read_csv(DATASETS / 'truth' / name)",
    "open(r'..\\datasets\\truth\\x.json')",
    "importlib.import_module('custkit.truth')",
    "open('custkit/simulate/parameters/people.yml')",
    "duckdb.sql(\"select * from '../datasets/truth/truth_leads.csv.gz'\")",
    "%matplotlib inline\nfrom custkit import truth",
    "!head ../datasets/truth/truth_effects.json",
    "%run ../custkit/simulate/company.py",
    "%%sql\nselect * from truth_customers",
]


def notebook(code: str, *tags: str) -> dict:
    cell = nbformat.v4.new_code_cell(code, metadata={"tags": list(tags)})
    return dict(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Truth."), cell]))


@pytest.mark.parametrize("code", READING)
def test_reading_needs_the_tag_and_is_never_allowed_in_a_report(code):
    assert house_truth.notebook_faults(notebook(code))[0].startswith("cell 2: reads the truth (")
    assert house_truth.notebook_faults(notebook(code, "truth")) == []
    assert len(house_truth.notebook_faults(notebook(code, "truth"), report=True)) == 1


@pytest.mark.parametrize(
    "code",
    ["from custkit import tables", "the_truth = 1\nprint('In truth, nobody knows.')", "# custkit.truth\n1"],
)
def test_other_code_is_welcome(code):
    assert house_truth.notebook_faults(notebook(code)) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("custkit/report.py", "from custkit import truth"),
        ("custkit/report.py", "from . import truth"),
        ("custkit/report.py", "from .truth import load"),
        ("custkit/reports/words.py", "from ..simulate import files"),
        ("custkit/cli.py", "from .simulate.draft import parameters"),
    ],
)
def test_a_module_that_reads_is_found(tmp_path, name, code):
    assert len(module_faults(tmp_path, name, code)) == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("custkit/simulate/files.py", "from custkit.simulate import company"),
        ("custkit/cli.py", "from .simulate import command"),
        ("custkit/clv.py", "from .spend_model import fit"),
    ],
)
def test_those_who_make_it_may(tmp_path, name, code):
    assert module_faults(tmp_path, name, code) == []


def module_faults(folder: Path, name: str, code: str) -> list[str]:
    """What the rule says of one module of a checkout."""
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text(code, encoding="utf-8")
    return house_truth.module_faults(path, folder)


# How it loads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*schema()["kept_apart"], *truth.VALUES])
def test_every_truth_loads_with_one_line_of_notice(folder, capsys, name):
    found = truth.load(name, folder)
    assert len(found) > 0
    assert capsys.readouterr().out == truth.NOTICE + "\n"


def test_parameters_are_those_of_the_simulation(folder):
    given = truth.load("truth_params", folder)
    assert given["people"]["purchase_model"] == {"r": 1.0, "alpha": 4.5, "a": 0.8, "b": 5.2}
    assert given["people"]["consent"]["policy_versions"]["2024-09-02"] == "v2"
    effects = truth.load("truth_effects", folder)
    assert set(effects["media.search.scale"]) == {"value", "unit", "meaning"}


def test_an_unknown_truth_is_refused_with_the_names(folder, tmp_path, capsys):
    with pytest.raises(DataError, match=r"no truth 'truth_orders'; there are .*truth_params, truth_effects"):
        truth.load("truth_orders", folder)
    with pytest.raises(DataError, match="no such file"):
        truth.load("truth_params", tmp_path)
    assert capsys.readouterr().out == ""
