"""The house rules hold for every stored notebook, and each rule rejects what it is there to reject."""

from __future__ import annotations

import copy
import re
import shlex
import subprocess
import sys
from pathlib import Path

import house_points
import house_prose
import house_rules
import nbformat
import pytest

ROOT = house_rules.ROOT
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("*/*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").glob("*/*.ipynb"))
REPORTS = sorted((ROOT / "custkit" / "reports").glob("*.ipynb"))
SETS = (
    "ch0_start/X0.1_your_first_check",
    "ch1_lifecycle/X1.1_from_visit_to_loyal_customer",
    "ch1_lifecycle/X1.2_stage_ladder_and_unit_economics",
    "ch1_lifecycle/X1.3_is_awareness_money_well_spent",
    "ch1_lifecycle/X1.4_find_the_leak",
    "ch1_lifecycle/X1.5_checkout_recommendation_objections",
    "ch1_lifecycle/X1.6_does_the_programme_cause_it",
    "ch1_lifecycle/X1.7_grow_whom",
    "ch1_lifecycle/X1.8_win_back_but_whom_and_how",
    "ch1_lifecycle/X1.9_running_the_system",
    "ch2_frequency/X2.2_how_often_do_they_buy",
)
EXPECTED = {
    "notebooks/00_start_here.ipynb",
    "notebooks/01a_lifecycle_map_metrics_attract.ipynb",
    "notebooks/01b_acquire_convert_retain.ipynb",
    "notebooks/01c_develop_winback_system.ipynb",
    "notebooks/02a_frequency_foundations.ipynb",
    "custkit/reports/lifecycle_health.ipynb",
    "custkit/reports/rfm_forecast.ipynb",
    "custkit/reports/winback_list.ipynb",
    *(f"{folder}/{name}.ipynb" for folder in ("solutions", "exercises") for name in SETS),
}

EVERYWHERE = (house_rules.private, house_rules.alt_text, house_rules.plain)
STORED = (
    *EVERYWHERE,
    house_rules.executed,
    house_rules.compared,
    house_rules.clean_outputs,
    house_rules.form,
    house_rules.imports_first,
    house_rules.long_cells,
)


def faults_of(path: Path) -> list[str]:
    """Every fault of one committed notebook, by the rules for its kind."""
    notebook = house_rules.load(path)
    rules = EVERYWHERE if path in EXERCISES else STORED
    faults = [f"{rule.__name__}: {fault}" for rule in rules for fault in rule(notebook)]
    faults += [f"size: {fault}" for fault in house_rules.size(path)]
    faults += [f"links: {fault}" for fault in house_prose.links(notebook, path.parent)]
    if path in CHAPTERS:
        live = [
            row
            for row in house_points.read_coverage()
            if row["live"] and path.name.startswith(row["notebook"] + "_")
        ]
        faults += [f"cell_budget: {fault}" for fault in house_rules.cell_budget(notebook)]
        faults += [f"furniture: {fault}" for fault in house_prose.furniture(notebook, path.stem)]
        faults += [f"points_named: {fault}" for fault in house_points.points_named(notebook, live)]
    if path in CHAPTERS or path in SOLUTIONS:
        faults += [f"typed_numbers: {fault}" for fault in house_prose.typed_numbers(notebook)]
    return faults


# The committed notebooks ----------------------------------------------------------------------------------


def test_the_notebooks_are_there():
    found = {path.relative_to(ROOT).as_posix() for path in (*CHAPTERS, *SOLUTIONS, *EXERCISES, *REPORTS)}
    assert not EXPECTED - found


@pytest.mark.parametrize(
    "path", [*CHAPTERS, *SOLUTIONS, *EXERCISES, *REPORTS], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_a_notebook_keeps_the_house_rules(path):
    faults = faults_of(path)
    assert not faults, "\n" + "\n".join(faults)


def test_live_points_are_carried_by_notebook_and_exercises():
    carried = {
        path.stem.split("_")[0]: house_points.points(house_rules.load(path))
        for path in (*CHAPTERS, *SOLUTIONS)
    }
    assert not house_points.coverage(house_points.read_coverage(), carried)


def test_coverage_lists_each_courseware_point_once():
    ids = [row["point"] for row in house_points.read_coverage()]
    assert len(ids) == len(set(ids)) == 321
    assert [sum(one[0] == chapter for one in ids) for chapter in "LFARM"] == [90, 56, 67, 51, 57]


@pytest.mark.parametrize("folder", ["notebooks", "solutions", "exercises", "custkit", "tests"])
def test_no_stray_files(folder):
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    stray = re.findall(r"(?m)^.*(?:\.ipynb_checkpoints/|Untitled|-Copy\d).*$", listed)
    assert not stray


# Each rule bites ------------------------------------------------------------------------------------------

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HEADER = """# How often do they buy?

**Courseware points**: F2.4 精准营销原则
**Time**: 90 minutes. **What you need**: Python and pandas.
After this chapter you will be able to count the customers who buy again and say what that count is worth."""
FOOTER = """The shop counted its customers above, and the printed line says how many there were in all.

## Recap
We counted the customers.
## Decision memo
We write to those who bought.
## Exercises
[How often do they buy?](X.ipynb)
## Further reading
The glossary."""


def good() -> dict:
    """A small notebook that keeps every rule."""
    markdown, code, output = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell, nbformat.v4.new_output
    figure = output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"})
    figure.metadata = {"image/png": {"alt": "Bars: customers by number of orders, falling."}}
    cells = [
        markdown(HEADER),
        code("import math", execution_count=1),
        markdown(
            "## Customers\n\nWho buys, and how many are they? "
            "We count each of them once, whatever they bought and when."
        ),
        code("print(2357)", execution_count=2, outputs=[output("stream", name="stdout", text="2357\n")]),
        markdown(
            "There are 2,357 customers, each counted once; the figure shows how their orders are spread."
        ),
        code(
            "print(0.25)", execution_count=3, outputs=[output("stream", name="stdout", text="0.25\n"), figure]
        ),
        markdown("That is 25 % of those we hoped for."),
        markdown(FOOTER),
    ]
    cells[3].metadata["points"] = ["F2.4"]
    return dict(nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(house_rules.METADATA)))


def broken(**changes) -> dict:
    """The good notebook with one cell changed: cell=number (from 1), then its new source, outputs, ..."""
    notebook = good()
    cell = notebook["cells"][changes.pop("cell") - 1]
    for key, value in changes.items():
        if key in ("tags", "given", "points", "execution"):
            cell["metadata"][key] = value
        else:
            cell[key] = value
    return notebook


def stream(text: str, name: str = "stdout") -> list:
    return [nbformat.v4.new_output("stream", name=name, text=text)]


def test_the_good_notebook_keeps_every_rule(tmp_path):
    notebook = good()
    (tmp_path / "X.ipynb").touch()
    assert [fault for rule in STORED for fault in rule(notebook)] == []
    assert house_rules.cell_budget(notebook) == []
    assert house_prose.furniture(notebook, "02a_x") == []
    assert house_prose.typed_numbers(notebook) == []
    assert house_prose.links(notebook, tmp_path) == []


ERROR = [nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])]
PICTURE = [nbformat.v4.new_output("display_data", data={"image/png": PIXEL})]
SVG = [nbformat.v4.new_output("display_data", data={"image/svg+xml": "<svg/>"})]
BREAKS = [
    (house_rules.executed, {"cell": 4, "execution_count": None}, "never executed"),
    (house_rules.executed, {"cell": 4, "execution_count": 7}, "expected [2]"),
    (house_rules.executed, {"cell": 4, "source": " "}, "empty code cell"),
    (house_rules.compared, {"cell": 4, "source": "plot();"}, "ends in ';'"),
    (house_rules.compared, {"cell": 4, "tags": ["nbval-ignore-output"]}, "ignore 1 of 3"),
    (house_rules.compared, {"cell": 4, "source": "# NBVAL_SKIP\n1"}, "ignore 1 of 3"),
    (house_rules.clean_outputs, {"cell": 4, "outputs": stream("careful", "stderr")}, "stderr"),
    (house_rules.clean_outputs, {"cell": 4, "outputs": ERROR}, "stored error ValueError"),
    (house_rules.clean_outputs, {"cell": 4, "tags": ["raises-exception"]}, "no error is stored"),
    (house_rules.clean_outputs, {"cell": 4, "outputs": SVG}, "SVG"),
    (house_rules.alt_text, {"cell": 4, "outputs": PICTURE}, "without alt text"),
    (house_rules.alt_text, {"cell": 5, "source": "![](plan.png)"}, "without alt text"),
    (house_rules.alt_text, {"cell": 5, "source": '<img src="plan.png">'}, "without alt text"),
    (house_rules.private, {"cell": 4, "outputs": stream("read /home/ann/orders.csv")}, "machine path"),
    (house_rules.private, {"cell": 4, "outputs": stream(r"read C:\Users\ann\orders.csv")}, "machine path"),
    (house_rules.private, {"cell": 4, "source": "open('/Users/ann/orders.csv')"}, "machine path"),
    (house_rules.private, {"cell": 4, "outputs": stream("lib/site-packages/x.py")}, "machine path"),
    (
        house_rules.private,
        {"cell": 4, "outputs": stream("from https://files.pythonhosted.org/x")},
        "package registry",
    ),
    (house_rules.private, {"cell": 5, "source": "Write to ann.lee@shop.com."}, "e-mail address"),
    (
        house_rules.form,
        {"cell": 4, "execution": {"iopub.execute_input": "2024-02-29T10:00:00Z"}},
        "execution times",
    ),
    (house_rules.form, {"cell": 4, "id": "not an id"}, "cell id"),
    (house_rules.imports_first, {"cell": 4, "source": "import json\nprint(1)"}, "imports json"),
    (house_rules.plain, {"cell": 4, "source": "!pip install pandas"}, "installs packages"),
    (house_rules.plain, {"cell": 4, "source": "%pip install pandas"}, "installs packages"),
    (house_rules.plain, {"cell": 5, "source": ":::{note}\nx\n:::"}, "MyST"),
    (house_rules.plain, {"cell": 5, "source": "```{tip}\nx\n```"}, "MyST"),
    (house_rules.plain, {"cell": 5, "source": "see {doc}`chapter`"}, "MyST"),
    (house_rules.long_cells, {"cell": 4, "source": "x = 1\n" * 26}, "26 lines"),
    (house_rules.cell_budget, {"cell": 4, "source": "x = 1\n" * 11}, "at most 10 lines"),
    (house_rules.cell_budget, {"cell": 4, "source": "x = 1\n" * 20}, "words of prose per line"),
    (house_rules.cell_budget, {"cell": 3, "cell_type": "code", "outputs": []}, "follow another"),
    (house_prose.typed_numbers, {"cell": 5, "source": "There are 2,358 customers."}, "'2,358'"),
    (house_prose.typed_numbers, {"cell": 5, "source": "There are 2358 customers."}, "'2358'"),
    (house_prose.typed_numbers, {"cell": 7, "source": "That is 26 % of them."}, "'26 %'"),
    (house_prose.typed_numbers, {"cell": 7, "source": "The share is 0.31."}, "'0.31'"),
    (house_prose.typed_numbers, {"cell": 7, "source": "Sales fell by -1.5 points."}, "'1.5'"),
    (house_prose.typed_numbers, {"cell": 7, "source": "It costs £12."}, "'£12'"),
    (house_prose.typed_numbers, {"cell": 3, "source": "There are 2,357 customers."}, "'2,357'"),
    (house_prose.typed_numbers, {"cell": 7, "given": ["99 %"]}, "does not hold"),
]


@pytest.mark.parametrize(("rule", "change", "expected"), BREAKS, ids=lambda v: getattr(v, "__name__", None))
def test_a_rule_rejects(rule, change, expected):
    faults = rule(broken(**change))
    assert any(expected in fault for fault in faults), faults


@pytest.mark.parametrize(
    "change",
    [
        {"cell": 7, "source": "A 95 % interval.", "given": ["95 %"]},
        {"cell": 7, "source": "In 1997 they bought 3 times in 39 weeks; see F4.4, `0.31` and $x = 0.31$."},
        {"cell": 7, "source": "The share was 0.3, rounded, or 25.0 per cent."},
    ],
)
def test_numbers_with_a_home_are_welcome(change):
    assert house_prose.typed_numbers(broken(**change)) == []


def test_an_e_mail_address_of_an_example_domain_is_welcome():
    assert (
        house_rules.private(broken(cell=5, source="Write to ann@example.com or ann@juniper.example.")) == []
    )


@pytest.mark.parametrize(
    "part", ["Courseware points", "90 minutes", "What you need", "be able to", "# How often"]
)
def test_a_header_must_be_whole(part):
    faults = house_prose.furniture(broken(cell=1, source=HEADER.replace(part, "")), "02a_x")
    assert len(faults) == 1 and faults[0].startswith("the header lacks")


@pytest.mark.parametrize("part", ["Recap", "Decision memo", "Exercises", "Further reading"])
def test_a_footer_must_be_whole(part):
    notebook = broken(cell=8, source=FOOTER.replace(f"## {part}", ""))
    assert any("last headings" in fault for fault in house_prose.furniture(notebook, "02a_x"))


def test_only_the_start_page_needs_no_decision_memo():
    notebook = broken(cell=8, source=FOOTER.replace("## Decision memo\n", ""))
    assert house_prose.furniture(notebook, "00_start_here") == []
    assert house_prose.furniture(notebook, "01a_x") != []


def test_a_header_must_name_its_points():
    row = {"point": "F2.4", "title_zh_cn": "精准营销原则"}
    assert house_points.points_named(good(), [row]) == []
    assert house_points.points_named(good(), [{**row, "point": "F2.5"}]) == [
        "the header does not name F2.5 精准营销原则"
    ]


def test_a_dead_link_is_rejected(tmp_path):
    assert house_prose.links(good(), tmp_path) == ["cell 8: link to X.ipynb, which does not exist"]


def test_a_large_file_is_rejected(tmp_path):
    (tmp_path / "large.ipynb").write_bytes(b"x" * 1_000_001)
    assert house_rules.size(tmp_path / "large.ipynb") == ["1.0 MB, at most 1 MB"]


def test_foreign_notebook_metadata_is_rejected():
    notebook = good()
    notebook["metadata"]["kernelspec"]["display_name"] = "my-env"
    assert "metadata" in house_rules.form(notebook)[0]


ROWS = [{"point": "F2.4", "notebook": "02a", "exercise": "X2.2", "live": "both"}]


@pytest.mark.parametrize(
    ("live", "carried", "expected"),
    [
        ("both", {"02a": {"F2.4"}, "X2.2": {"F2.4"}}, None),
        ("notebook", {"02a": {"F2.4"}, "X2.2": set()}, None),
        ("", {"02a": set()}, None),
        ("both", {"02a": {"F2.4"}}, "not carried by exercise X2.2"),
        ("both", {"X2.2": {"F2.4"}}, "not carried by notebook 02a"),
        ("notebook", {"02a": {"F2.4"}, "X2.2": {"F2.4"}}, "carried by exercise X2.2; make its row live"),
        ("", {"02a": {"F2.4"}}, "carried by notebook 02a; make its row live"),
        ("yes", {}, "live is 'yes'"),
        ("both", {"02a": {"F2.4", "F9.9"}, "X2.2": {"F2.4"}}, "F9.9 is not a row"),
    ],
)
def test_coverage_is_held(live, carried, expected):
    faults = house_points.coverage([{**ROWS[0], "live": live}], carried)
    assert (faults == []) if expected is None else (len(faults) == 1 and expected in faults[0])


# The real comparison, with the options that `make test` uses ---------------------------------------------


def compare(notebook: nbformat.NotebookNode, folder: Path) -> subprocess.CompletedProcess:
    """Run the Makefile's own nbval command on one notebook."""
    options = re.search(r"(?m)^NBVAL := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))[1]
    path = folder / "stored.ipynb"
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *shlex.split(options), str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def small_notebook(stored: str) -> nbformat.NotebookNode:
    cells = [
        nbformat.v4.new_code_cell("customers = 2_000 + 357", execution_count=1),
        nbformat.v4.new_code_cell("print(customers)", execution_count=2, outputs=stream(stored)),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(house_rules.METADATA))


def test_a_fresh_notebook_passes_the_comparison(tmp_path):
    result = compare(small_notebook("2357\n"), tmp_path)
    assert result.returncode == 0 and "2 passed" in result.stdout, result.stdout


def test_a_stale_notebook_fails_the_comparison(tmp_path):
    result = compare(small_notebook("2358\n"), tmp_path)
    assert result.returncode == 1 and "1 failed, 1 passed" in result.stdout, result.stdout
