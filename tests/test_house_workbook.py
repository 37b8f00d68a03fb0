"""The workbook tool: run all chapters, refresh in place, hand out exercises."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import workbook


def write(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_copying_exercises_never_touches_a_students_file(tmp_path, capsys):
    source, work = tmp_path / "exercises", tmp_path / "work"
    (source / "ch2").mkdir(parents=True)
    (source / "ch2" / "X2.1.ipynb").write_text("exercise", encoding="utf-8")
    workbook.copy_exercises(source, work)
    assert "new exercise: work/ch2/X2.1.ipynb" in capsys.readouterr().out

    (work / "ch2" / "X2.1.ipynb").write_text("my answer", encoding="utf-8")
    (source / "ch2" / "X2.2.ipynb").write_text("exercise", encoding="utf-8")
    workbook.copy_exercises(source, work)
    assert (work / "ch2" / "X2.1.ipynb").read_text(encoding="utf-8") == "my answer"
    out = capsys.readouterr().out
    assert "X2.2" in out and "X2.1" not in out and "1 new" in out


def test_refresh_stores_results_and_then_changes_nothing(tmp_path):
    volatile = "import time; print('done in', time.perf_counter_ns() % 97, 's at', object())"
    path = write(tmp_path / "a.ipynb", "x = 2", "print(x)", volatile)
    assert workbook.refresh(path) == [2, 3]
    stored = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2, 3]
    assert stored.metadata == workbook.METADATA and "execution" not in stored.cells[0].metadata

    before = path.read_bytes()
    assert workbook.refresh(path) == []
    assert path.read_bytes() == before

    stored.cells[0].source = "x = 3"
    nbformat.write(stored, path)
    assert workbook.refresh(path) == [2]


def test_refresh_writes_nothing_when_a_cell_fails(tmp_path, capsys):
    path = write(tmp_path / "a.ipynb", "1 / 0")
    before = path.read_bytes()
    assert workbook.refresh_all([path]) == 1
    assert path.read_bytes() == before
    assert "a.ipynb: cell 1: ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_run_builds_notebooks_and_pages_and_names_the_failing_cell(tmp_path, capsys):
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks" / "01_good.ipynb", "print(6 * 7)")
    assert workbook.run(tmp_path / "notebooks", tmp_path / "build", jobs=1) == 0
    out = capsys.readouterr().out
    assert "1 of 1  01_good.ipynb: done in" in out
    assert "42" in (tmp_path / "build" / "book" / "01_good.html").read_text(encoding="utf-8")
    assert (tmp_path / "build" / "notebooks" / "01_good.ipynb").exists()

    write(tmp_path / "notebooks" / "02_bad.ipynb", "x = 1", "raise KeyError('customer_id')")
    assert workbook.run(tmp_path / "notebooks", tmp_path / "build", jobs=1) == 1
    out = capsys.readouterr().out
    assert "02_bad.ipynb: FAILED" in out
    assert "error: 02_bad.ipynb: cell 2: KeyError: 'customer_id'" in out


def test_links_between_pages_lead_to_pages_and_files():
    markdown = "[next](02a_x.ipynb) [practice](../exercises/ch2/X.ipynb) [web](https://example.org/a.ipynb)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(markdown)])
    html = workbook.page(notebook, "x")
    assert 'href="02a_x.html"' in html
    assert 'href="../../exercises/ch2/X.ipynb"' in html and 'href="https://example.org/a.ipynb"' in html


def test_a_page_keeps_the_alt_text_of_its_pictures():
    picture = nbformat.v4.new_output("display_data", data={"image/png": "iVBORw0KGgo="})
    picture.metadata = {"image/png": {"alt": "Bars falling from left to right."}}
    cell = nbformat.v4.new_code_cell("show()", outputs=[picture], execution_count=1)
    assert 'alt="Bars falling from left to right."' in workbook.page(
        nbformat.v4.new_notebook(cells=[cell]), "x"
    )


@pytest.mark.parametrize("quiet", ["addresses <A at 0x7f00deadbeef>", "Wall time: 3.2 s"])
def test_the_sanitizer_hides_only_what_may_differ(quiet):
    (pattern_hit,) = workbook.comparable([nbformat.v4.new_output("stream", text=quiet)])
    assert pattern_hit["text"] != quiet
    for result in ("101.87", "1997-09-30", "2357 customers", "p = 0.0012"):
        (kept,) = workbook.comparable([nbformat.v4.new_output("stream", text=result)])
        assert kept["text"] == result
