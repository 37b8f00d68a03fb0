"""The runner of reports, on a small report made here; the shipped report is in test_rfm_forecast.py."""

import ast
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from custkit import report as running
from custkit import reports
from custkit.errors import DataError, ParameterError

PARAMETERS = """\
orders: str = "demo"  # order file (file or demo)
until: str = ""  # last day (date YYYY-MM-DD)
share: float = 0.5  # a share (0 to 1)
unit: str = "W"  # time unit (one of W D)
groups: int = 5  # how many groups (2 to 10)
loud: bool = False  # say more
output_dir: str = ""
"""
READ = """\
import json, sys, base64
from pathlib import Path
from IPython.display import HTML, Image, Markdown, display
from custkit.errors import DataError
text = "demo" if orders == "demo" else Path(orders).read_text()
if "bad" in text:
    raise DataError([f"{Path(orders).name}: first fault", "second fault"])
print("a warning", file=sys.stderr)
ratio = 1 / ("crash" not in text)"""
SHOW = """\
png = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)
display(Markdown("## Heading"), HTML("<table><tr><td>cell</td></tr></table>"))
display(Image(png, metadata={"alt": 'a "dot" <b>'}))
if output_dir:
    summary = {"rows": {"in": 3, "used": 2, "set_aside": 1}, "groups": groups}
    Path(output_dir, "summary.json").write_text(json.dumps(summary))
    Path(output_dir, "extra.csv").write_text("a\\n1\\n")"""


def cell(source, **metadata):
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def write_report(path, cells):
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    about = {"cell_type": "markdown", "metadata": {}, "source": "# A <small> report\n\nA report for tests."}
    cells = [about, *cells]
    for number, one in enumerate(cells):
        one["id"] = f"cell-{number}"
    book = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(book), "utf-8")
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The catalogue entry of the small report."""
    folder = tmp_path_factory.mktemp("reports")
    cells = [cell(PARAMETERS, tags=["parameters"]), cell(READ, step="reading"), cell(SHOW, step="showing")]
    write_report(folder / "small_report.ipynb", cells)
    return reports.find("small-report", folder)


def orders_file(folder, content="fine"):
    path = folder / "orders.csv"
    path.write_text(content)
    return path


# --- what is known without running


def test_catalogue_reads_names_types_defaults_and_help(small):
    assert (small.name, small.title, small.summary) == (
        "small-report",
        "A <small> report",
        "A report for tests.",
    )
    share = small.parameters["share"]
    assert (share.type, share.default, share.help, share.option) == (
        "float",
        0.5,
        "a share (0 to 1)",
        "--share",
    )


def test_shipped_reports_can_be_listed():
    for report in reports.catalogue().values():
        assert report.summary and "output_dir" in report.parameters
        assert all(p.help for p in report.parameters.values())


def test_papermill_reads_the_same_parameters(caplog):
    import papermill

    for report in reports.catalogue().values():
        found = papermill.inspect_notebook(str(report.path))
        assert {n: (p["inferred_type_name"], ast.literal_eval(p["default"])) for n, p in found.items()} == {
            p.name: (p.type, p.default) for p in report.parameters.values()
        }
    assert not caplog.records


def test_unknown_report_is_refused_with_a_suggestion(small):
    with pytest.raises(ParameterError, match="did you mean small-report"):
        reports.find("smal-report", small.path.parent)


def test_every_parameter_fault_is_told_at_once(small):
    given = {
        "shar": 1,
        "share": "1.5",
        "unit": "M",
        "groups": "2.5",
        "until": "1998-02-30",
        "loud": "perhaps",
        "orders": "nowhere.csv",
        "output_dir": "x",
    }
    with pytest.raises(ParameterError) as caught:
        reports.check_parameters(small, given)
    faults = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == len(given)
    for expected in (
        "unknown parameter 'shar'; did you mean --share?",
        "--share 1.5 is outside 0 to 1",
        "--unit 'M' is not one of W D",
        "--groups '2.5' is not a whole number",
        "--until '1998-02-30' is not a date",
        "--loud 'perhaps' is not true or false",
        "nowhere.csv: no such file",
        "unknown parameter 'output_dir'",
    ):
        assert expected in faults


@pytest.mark.parametrize("value", ["nan", "inf", True, "x"])
def test_a_number_must_be_a_number(small, value):
    with pytest.raises(ParameterError, match="is not a number"):
        reports.check_parameters(small, {"share": value})


def test_a_percentage_is_told_how_to_be_written(small):
    with pytest.raises(ParameterError, match=r"--share '30%' is not a number; write 30% as 0\.3"):
        reports.check_parameters(small, {"share": "30%"})


def test_a_file_name_that_is_no_unicode_is_refused(small):
    with pytest.raises(ParameterError, match="is not text"):
        reports.check_parameters(small, {"orders": "m\udcfcller.csv"})


def test_values_get_their_type(small):
    given = {"share": "0.25", "groups": "3", "loud": "yes", "until": "1998-06-30"}
    expected = {"share": 0.25, "groups": 3, "loud": True, "until": "1998-06-30"}
    assert reports.check_parameters(small, given) == expected


def test_empty_file_and_folder_are_refused(small, tmp_path):
    empty = orders_file(tmp_path, "")
    with pytest.raises(ParameterError, match="the file is empty"):
        reports.check_parameters(small, {"orders": str(empty)})
    with pytest.raises(ParameterError, match="is a folder"):
        reports.check_parameters(small, {"orders": str(tmp_path)})


def test_a_parameters_cell_must_be_annotated_literals(tmp_path):
    path = write_report(tmp_path / "r.ipynb", [cell("a = 1", tags=["parameters"])])
    with pytest.raises(ParameterError, match="line 1: not 'name: type = literal'"):
        reports.load(path)
    path = write_report(tmp_path / "r.ipynb", [cell("a = 1")])
    with pytest.raises(ParameterError, match="exactly one cell tagged 'parameters'"):
        reports.load(path)


# --- one run


@pytest.fixture(scope="module")
def done(small, tmp_path_factory):
    """A finished run: result, what was said meanwhile, the page."""
    said = io.StringIO()
    out = tmp_path_factory.mktemp("run") / "new" / "folder"
    result = running.run_report(small, {"groups": "7"}, out, progress=said)
    return result, said.getvalue(), result.page.read_text("utf-8")


def test_a_run_leaves_page_and_files_and_nothing_else(done):
    result, _, _ = done
    folder = result.page.parent
    expected = {"small-report.html", "summary.json", "extra.csv"}
    assert {p.name for p in folder.iterdir()} == expected == set(result.files)
    assert [p.name for p in folder.parent.iterdir()] == ["folder"]
    assert not list(folder.parent.parent.glob(".custkit-*"))
    assert result.rows == {"in": 3, "used": 2, "set_aside": 1}


def test_parameters_reach_the_notebook(done):
    summary = json.loads((done[0].page.parent / "summary.json").read_text())
    assert summary["groups"] == 7


def test_progress_names_each_step_with_its_seconds(done):
    lines = done[1].splitlines()
    steps = ["starting Python for the report", "reading", "showing", "writing the page"]
    assert [re.sub(r" … \d+\.\d s$", "", line).strip() for line in lines] == steps


def test_page_is_offline_without_code_and_with_alt_text(done):
    page, images = done[2], []
    parser = HTMLParser()
    parser.handle_startendtag = lambda tag, attributes: tag == "img" and images.append(dict(attributes))
    parser.feed(page)
    assert [image["alt"] for image in images] == ['a "dot" <b>']
    assert "<h2" in page and "cell</td>" in page
    assert "<title>A &lt;small&gt; report</title>" in page
    for unwanted in ("<script", "http://", "https://", "import json", "a warning", "@import", "url("):
        assert unwanted not in page


def test_page_holds_no_path_of_this_machine(done, small):
    text = done[2] + (done[0].page.parent / "summary.json").read_text()
    for folder in (Path.cwd(), done[0].page.parent, small.path.parent):
        assert str(folder) not in text


def test_faults_of_the_data_arrive_whole_and_nothing_is_written(small, tmp_path):
    bad = orders_file(tmp_path, "bad")
    with pytest.raises(DataError) as caught:
        running.run_report(small, {"orders": str(bad)}, tmp_path / "a" / "b")
    assert caught.value.faults == ("orders.csv: first fault", "second fault")
    assert [p.name for p in tmp_path.iterdir()] == ["orders.csv"]


def test_an_unforeseen_failure_names_cell_and_details_without_paths(small, tmp_path):
    crash = orders_file(tmp_path, "crash")
    with pytest.raises(running.ReportFailure) as caught:
        running.run_report(small, {"orders": str(crash)}, tmp_path / "out")
    details = tmp_path / "out" / "small-report-failed.ipynb"
    [line] = caught.value.faults
    assert line == f"small-report: cell 3: ZeroDivisionError: division by zero  (details: {details})"
    assert [p.name for p in (tmp_path / "out").iterdir()] == [details.name]
    text = details.read_text()
    assert "ZeroDivisionError" in text and "orders.csv" in text
    assert str(tmp_path) not in text and str(Path.cwd()) not in text
    json.loads(text)


def test_a_good_run_clears_the_details_of_a_failed_one(small, tmp_path):
    (tmp_path / "small-report-failed.ipynb").write_text("old")
    (tmp_path / "mine.txt").write_text("kept")
    running.run_report(small, {}, tmp_path)
    assert not (tmp_path / "small-report-failed.ipynb").exists()
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_figures_are_drawn_without_a_window_whatever_the_user_draws_with(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    with running._environment(tmp_path):
        subprocess.run([sys.executable, "-c", "import matplotlib.pyplot"], check=True)
    assert os.environ["MPLBACKEND"] == "nonsense"


def test_out_must_be_a_folder_that_can_be_written(small, tmp_path):
    file = orders_file(tmp_path)
    with pytest.raises(ParameterError, match="is a file; give a folder"):
        running.run_report(small, {}, file)


def test_out_without_permission_is_refused(small, tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(ParameterError, match=r"out: cannot write there \(Permission denied\)"):
        running.run_report(small, {}, tmp_path / "out")


# --- many runs


def runs_table(folder, text):
    path = folder / "runs.csv"
    path.write_text(text)
    return path


def test_table_faults_of_all_rows_come_at_once(small, tmp_path):
    table = runs_table(tmp_path, "name,share,orders\nok,0.2,\nok,7,\n../x,0.3,gone.csv\n")
    with pytest.raises(ParameterError) as caught:
        reports.read_table(small, table, {})
    faults = "\n".join(caught.value.faults)
    for expected in (
        "row 2: the name 'ok'",
        "row 2: --share 7.0 is outside",
        "row 3: the name '../x'",
        "gone.csv: no such file",
    ):
        assert expected in faults


def test_many_runs_go_on_after_a_failure_and_resume(small, tmp_path):
    orders_file(tmp_path, "bad")
    table = runs_table(tmp_path, "name,groups,orders\nfirst,3,\nsecond,4,demo\nthird,,orders.csv\n")
    runs = reports.read_table(small, table, {"share": 0.1})
    assert runs["first"] == {"share": 0.1, "groups": 3}
    said = io.StringIO()
    failed = running.run_table(small, runs, tmp_path / "out", jobs=2, progress=said)
    assert failed["third"].faults == ("orders.csv: first fault", "second fault")
    assert set(failed) == {"third"} and "[3/3]" in said.getvalue()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"first", "second"}

    before = (tmp_path / "out" / "first" / "small-report.html").stat().st_mtime_ns
    orders_file(tmp_path, "repaired")
    runs["second"]["groups"] = 5
    said = io.StringIO()
    assert running.run_table(small, runs, tmp_path / "out", jobs=1, progress=said) == {}
    assert "1 of 3 done before" in said.getvalue()
    assert (tmp_path / "out" / "first" / "small-report.html").stat().st_mtime_ns == before


def test_a_changed_file_is_not_taken_for_done(small, tmp_path):
    path = orders_file(tmp_path)
    running.run_report(small, {"orders": str(path)}, tmp_path / "out")
    assert running.is_done(small, {"orders": str(path)}, tmp_path / "out")
    assert not running.is_done(small, {"orders": str(path), "groups": 3}, tmp_path / "out")
    path.write_text("fine and longer")
    assert not running.is_done(small, {"orders": str(path)}, tmp_path / "out")
