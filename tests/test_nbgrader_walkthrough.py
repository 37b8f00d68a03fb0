"""The instructor's way: hand out, collect two made submissions, mark, give feedback, export.

Ming answers everything right. Ola answers a third of the questions right, a third wrong, leaves a third open,
and does what students do: copies a cell, overwrites a check, deletes another, leaves a cell that fails.
"""

import csv
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from custkit.answers import answers
from custkit.exercises import ROOT

CHAPTER = "ch2_frequency"
SETS = sorted((ROOT / "solutions" / CHAPTER).glob("*.ipynb"))


def role(cell):
    """What nbgrader makes of a cell: answer, check, open (marked by hand) or given."""
    mark = cell.metadata.get("nbgrader", {})
    if mark.get("grade"):
        return "open" if mark.get("solution") else "check"
    return "answer" if mark.get("solution") else "given"


def point(cell):
    return re.search(r'check\("([^"]+)"', cell.source)[1]


def name(cell):
    """The name that a check cell is given."""
    return cell.source.rpartition(", ")[2].rstrip(")")


def all_right(exercise, solution):
    """Take every answer from the solution and write something under the open question."""
    answer = {cell.id: cell.source for cell in solution.cells if role(cell) == "answer"}
    for cell in exercise.cells:
        if role(cell) == "answer":
            cell.source = answer[cell.id]
        elif role(cell) == "open":
            cell.source = "We write to the best fifth, because the money is there."


def olas_answer(place, question):
    """Her answer to the question at a place, as code and as what the check must say to it."""
    spec = answers()[question]
    if place % 3 == 0:
        mistake = spec["wrong"][0]
        value, said = mistake["value"], f"❌ {question}: wrong. {mistake['message']}"
    elif place % 3 == 1:
        return "...", f"⏳ {question}: not answered yet."
    else:
        value, said = spec["value"], f"✅ {question}: right."
    return f"pd.DataFrame({value!r})" if spec["kind"] == "frame" else repr(value), said


def mixed(exercise):
    """Give Ola's answers, and her mishaps."""
    checks = [cell for cell in exercise.cells if role(cell) == "check"]
    answer_to = [exercise.cells[exercise.cells.index(cell) - 2] for cell in checks]
    for place, (cell, answer) in enumerate(zip(checks, answer_to, strict=True)):
        assert role(answer) == "answer"
        answer.source = f"{name(cell)} = {olas_answer(place, point(cell))[0]}"
    checks[1].source = "assert True"  # a locked cell overwritten: nbgrader puts the real one back
    exercise.cells.remove(checks[4])
    answer_to[3].source += "\nno_such_name"  # her own cell fails: the questions after it still count
    copy = nbformat.from_dict(answer_to[3])
    copy["id"] = "copied-cell"  # a cell copied together with nbgrader's mark
    exercise.cells.insert(exercise.cells.index(answer_to[3]) + 1, copy)


@pytest.fixture
def course(tmp_path):
    """A temporary course with two marked submissions; about a minute."""
    folder = tmp_path
    shutil.copytree(ROOT / "solutions" / CHAPTER, folder / "solutions" / CHAPTER)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    said = {}

    def nbgrader(command, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", command, *arguments],
            cwd=folder,
            env=os.environ | {"JUPYTER_CONFIG_DIR": str(folder / "jupyter")},
            capture_output=True,
            text=True,
        )
        said[command] = done.stdout + done.stderr
        assert done.returncode == 0, said[command]

    nbgrader("generate_assignment", CHAPTER)
    for path in SETS:
        handed_out = folder / "exercises" / CHAPTER / path.name
        for student in ("ming", "ola"):
            exercise = nbformat.read(handed_out, as_version=4)
            if student == "ming":
                all_right(exercise, nbformat.read(path, as_version=4))
            else:
                mixed(exercise)
            target = folder / "submitted" / student / CHAPTER / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(exercise, target)
    nbgrader("autograde", CHAPTER)
    nbgrader("generate_feedback", CHAPTER)
    nbgrader("export")
    return folder, said


def table(folder, file):
    with (folder / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def marks(folder, student):
    """Question -> (score, highest score, state) of one student."""
    rows = [row for row in table(folder, "points.csv") if row["student_id"] == student]
    return {row["question"]: (float(row["score"]), float(row["max_score"]), row["state"]) for row in rows}


def questions(kind, sets=SETS):
    cells = [cell for path in sets for cell in nbformat.read(path, as_version=4).cells if role(cell) == kind]
    return [point(cell) if kind == "check" else cell.metadata.nbgrader.grade_id for cell in cells]


def right_answers_get_every_point(course):
    got = marks(course[0], "ming")
    assert {q: got[q] for q in questions("check")} == dict.fromkeys(questions("check"), (1.0, 1.0, "marked"))


def the_open_question_waits_for_a_person(course):
    assert questions("open")
    got = marks(course[0], "ming")
    for question in questions("open"):
        score, highest, state = got[question]
        assert (score, state) == (0.0, "to be marked")
        assert highest >= 4


def only_right_answers_count(course):
    """Also where a check was overwritten or deleted, a cell fails, or a cell was copied."""
    got = marks(course[0], "ola")
    expected = {question: float(place % 3 == 2) for place, question in enumerate(questions("check"))}
    assert {question: got[question][0] for question in expected} == expected
    assert set(got) == {*expected, *questions("open")}
    for question in questions("open"):
        assert got[question][0] == 0.0
        assert got[question][2] == "marked"  # an open question left untouched needs nobody


def the_class_table_has_the_same_totals(course):
    rows = {row["student_id"]: row for row in table(course[0], "grades.csv")}
    for student in ("ming", "ola"):
        got = marks(course[0], student).values()
        assert float(rows[student]["score"]) == sum(score for score, _, _ in got)
        assert float(rows[student]["max_score"]) == sum(highest for _, highest, _ in got)


def each_student_reads_what_the_check_said(course):
    folder, _ = course
    for path in SETS:
        graded = nbformat.read(folder / "autograded" / "ola" / CHAPTER / path.name, as_version=4)
        checks = [cell for cell in graded.cells if role(cell) == "check"]
        assert [point(cell) for cell in checks] == questions("check", [path])
        page = (folder / "feedback" / "ola" / CHAPTER / f"{path.stem}.html").read_text("utf-8")
        for place, cell in enumerate(checks):
            (output,) = cell.outputs
            said = olas_answer(place, point(cell))[1]
            assert output.get("evalue", output.get("text", "")).startswith(said)
            assert said.split(":")[0] in page


def marking_raises_no_warning_of_ours(course):
    """Nothing on stderr in any cell: nbgrader would give a warning no points."""
    folder, said = course
    for path in folder.glob(f"autograded/*/{CHAPTER}/*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not [o for o in cell.get("outputs", []) if o.get("name") == "stderr"], cell.source
    assert not re.search(r"custkit\S*: \w*Warning", "".join(said.values()))


def test_the_walk_from_handing_out_to_the_class_table(course):
    """One test, so that the minute of marking is spent once, however many workers run."""
    right_answers_get_every_point(course)
    the_open_question_waits_for_a_person(course)
    only_right_answers_count(course)
    the_class_table_has_the_same_totals(course)
    each_student_reads_what_the_check_said(course)
    marking_raises_no_warning_of_ours(course)
