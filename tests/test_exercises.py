"""Solutions are the one source: answers and exercises come out of them again, and drift is refused."""

import json
import shutil
import subprocess
import sys

import nbformat
import pytest

from custkit import exercises
from custkit.answers import ANSWERS
from custkit.errors import CustkitError

ROOT = exercises.ROOT
SOLUTIONS = sorted((ROOT / "solutions").glob("*/*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").glob("*/*.ipynb"))


def check_cells(notebook):
    """The cells that nbgrader marks by running them."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]


def point(cell):
    """The question that a check cell is about."""
    return cell.source.split('"')[1]


# ---- answers.json ---------------------------------------------------------------------------------------


def test_executing_the_solutions_gives_the_recorded_answers():
    """Half a minute: every solution runs in a kernel of its own."""
    assert exercises.differences(json.loads(ANSWERS.read_text("utf-8")), exercises.recorded()) == []


def test_every_question_of_every_set_is_recorded():
    recorded = json.loads(ANSWERS.read_text("utf-8"))
    sources = [spec["source"] for spec in recorded.values()]
    asked = {
        path.relative_to(ROOT).as_posix(): len(check_cells(nbformat.read(path, 4))) for path in SOLUTIONS
    }
    assert {source: sources.count(source) for source in asked} == asked
    assert all(asked.values())
    assert {"start", "F2.4", "F4.4a", "F4.5", "F4.6"} <= set(recorded)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: spec.update(value=spec["value"] + 1), "start: value changed"),
        (lambda spec: spec["wrong"][0].update(value=-5), "start: wrong changed"),
        (lambda spec: spec.update(value=float(spec["value"])), "start: value changed"),
        (lambda spec: spec.update(tolerance={"abs": 9}), "start: tolerance changed"),
    ],
)
def test_an_answer_out_of_date_is_noticed(change, said):
    new = json.loads(ANSWERS.read_text("utf-8"))
    old = json.loads(ANSWERS.read_text("utf-8"))
    change(old["start"])
    assert exercises.differences(old, new) == [said]
    assert exercises.differences({}, {"start": new["start"]}) == ["start: not in answers.json"]
    assert exercises.differences({"x": {}}, {}) == ["x: no longer recorded by any notebook"]


def test_last_digits_of_a_fit_are_no_change():
    assert exercises.differences({"x": {"value": 0.2801908885}}, {"x": {"value": 0.2801908899}}) == []
    assert exercises.differences({"x": {"value": 0.28019}}, {"x": {"value": 0.28021}}) != []


# ---- exercises/ -----------------------------------------------------------------------------------------


def test_the_committed_exercises_are_what_the_solutions_generate():
    assert exercises.out_of_sync() == {}


def test_nothing_of_the_solution_reaches_the_student():
    for path in EXERCISES:
        notebook = nbformat.read(path, as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells)
        assert "SOLUTION" not in text
        assert "recording.record" not in text
        assert not any("solution" in cell.metadata.get("tags", []) for cell in notebook.cells)
        assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.fixture
def course(tmp_path):
    """A copy of what nbgrader and the builder work on."""
    for folder in ("solutions", "exercises"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    return tmp_path


def test_the_gate_refuses_a_drifted_exercise(course, capsys):
    one = "exercises/" + EXERCISES[0].relative_to(ROOT / "exercises").as_posix()
    text = (course / one).read_text("utf-8")
    (course / one).write_text(text.replace("visit", "call", 1), "utf-8")
    (course / "exercises" / "left_over.ipynb").write_text(text, "utf-8")
    assert exercises.main(["build", "--check", "--root", str(course)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"out of sync: {one}",
        "out of sync: exercises/left_over.ipynb",
    ]
    assert exercises.main(["build", "--root", str(course)]) == 0
    assert (course / one).read_text("utf-8") == text
    assert not (course / "exercises" / "left_over.ipynb").exists()
    capsys.readouterr()
    assert exercises.main(["build", "--check", "--root", str(course)]) == 0
    assert capsys.readouterr().out == "exercises/ is what solutions/ generate\n"


def test_a_solution_changed_without_building_is_refused(course):
    source = course / "solutions" / SOLUTIONS[0].relative_to(ROOT / "solutions")
    source.write_text(source.read_text("utf-8").replace("visit", "call", 1), "utf-8")
    assert list(exercises.out_of_sync(course)) == [SOLUTIONS[0].relative_to(ROOT / "solutions").as_posix()]


def test_a_solution_that_nbgrader_refuses_is_named_and_nothing_is_written(course, capsys):
    source = course / "solutions" / SOLUTIONS[0].relative_to(ROOT / "solutions")
    source.write_text(source.read_text("utf-8").replace("### END SOLUTION", "### THE END", 1), "utf-8")
    assert exercises.main(["build", "--root", str(course)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {source.relative_to(course).as_posix()}: ")
    assert (course / "exercises" / source.relative_to(course / "solutions")).exists()


def test_without_nbgrader_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    with pytest.raises(CustkitError, match=r"pip install 'custkit\[instructor\]'"):
        exercises.built()


def test_nbgraders_own_command_makes_the_same_bytes(course):
    shutil.rmtree(course / "exercises")
    command = [
        sys.executable,
        "-m",
        "nbgrader",
        "generate_assignment",
        "--assignment=*",
        "--force",
        "--no-db",
    ]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = {p.relative_to(course).as_posix(): p.read_bytes() for p in (course / "exercises").rglob("*.ipynb")}
    assert made == {p.relative_to(ROOT).as_posix(): p.read_bytes() for p in EXERCISES}


# ---- a student's run ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_an_unsolved_exercise_runs_to_its_end(path):
    """Every check says "not answered yet"; nothing else fails, and no cell is left out."""
    notebook = exercises.run_notebook(path)
    questions = check_cells(notebook)
    assert questions
    assert exercises.errors_in(notebook) == [
        ("NotAnswered", f"⏳ {point(cell)}: not answered yet.") for cell in questions
    ]
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert all("raises-exception" in cell.metadata.tags for cell in questions)  # so that "Run All" goes on


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_stored_solution_is_right_throughout(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in check_cells(notebook):
        said = "".join(output.get("text", "") for output in cell.outputs)
        assert said.startswith(f"✅ {point(cell)}: right.")


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_a_set_is_made_of_small_steps(path):
    """Each question has text before it, a named answer with its unit, a folded hint and one check."""
    cells = nbformat.read(path, as_version=4).cells
    for place, cell in enumerate(cells):
        if not cell.metadata.get("nbgrader", {}).get("grade") or cell.cell_type != "code":
            continue
        hint, answer, question = cells[place - 1], cells[place - 2], cells[place - 3]
        name = cell.source.rpartition(", ")[2].rstrip(")")
        assert question.cell_type == "markdown", cell.source
        assert f"{name} = ..." in answer.source or f"{name} = {{" in answer.source, cell.source
        assert "  # " in answer.source.split(f"{name} = ")[1].splitlines()[0], cell.source
        assert hint.source.startswith("<details><summary>Hint</summary>"), cell.source
        assert cell.source == f'check("{point(cell)}", {name})'


def test_check_is_what_the_command_says():
    """`python -m custkit.checks` is the door that the Makefile and the handbook name."""
    command = [sys.executable, "-m", "custkit.checks", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "record" in done.stdout
    assert "build" in done.stdout
