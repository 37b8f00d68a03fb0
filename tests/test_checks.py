"""check(): right, wrong with the reason, not answered yet; the gate against checks that accept too much."""

import json
import math
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from custkit import checks, recording
from custkit.answers import ANSWERS, answers

RECORDED = json.loads(ANSWERS.read_text("utf-8"))


def spec(value, kind, **more):
    """A recorded answer with one typical mistake that nothing else hits."""
    odd = {"int": 7_000_001, "float": 7e6, "bool": not value, "label": "odd", "choice": "odd"}
    odd |= {"set": ["odd"], "order": ["odd"], "mapping": {"odd": 1}, "frame": {"odd": [1]}}
    base = {
        "kind": kind,
        "value": value,
        "hint": "Look again.",
        "wrong": [{"value": odd[kind], "message": "Odd."}],
    }
    return base | more


PARAMETERS = spec({"r": 0.2, "alpha": 4.0}, "mapping", tolerance={"rel": 0.02})
MONTHS = spec({"month": ["1997-01-01", "1997-02-01"], "orders": [3, 5]}, "frame")
SMALL = spec({"m": ["x"], "n": [1]}, "frame")
SHARE = spec(0.42, "float", unit="share of spend", tolerance={"abs": 0.005}, reading="Less than half.")


# ---- what a student sees ------------------------------------------------------------------------------


@pytest.fixture
def one_question(monkeypatch):
    """Exactly one question, F2.4, whose answer is a share."""
    monkeypatch.setattr(checks, "answers", lambda: {"F2.4": SHARE})


def test_right_prints_one_line_and_returns_nothing(one_question, capsys):
    assert checks.check("F2.4", 0.4201) is None  # a returned number would be a partial grade to nbgrader
    assert capsys.readouterr().out == "✅ F2.4: right. Less than half.\n"


def test_wrong_raises_one_line_without_traceback(one_question):
    with pytest.raises(checks.WrongAnswer) as caught:
        checks.check("F2.4", 42)
    lines = caught.value._render_traceback_()
    assert len(lines) == 1
    assert lines[0].startswith("❌ F2.4: wrong. 100 times too large")
    assert lines[0].endswith("Hint: Look again.")


@pytest.mark.parametrize("stub", [..., None])
def test_not_answered_yet(one_question, stub):
    with pytest.raises(checks.NotAnswered, match=r"^⏳ F2.4: not answered yet\.$"):
        checks.check("F2.4", stub)


@pytest.mark.parametrize("stub", [{"A": ..., "B": "x"}, ["x", None], (...,)])
def test_an_answer_with_an_open_place_is_not_answered_yet(stub):
    kind = "mapping" if isinstance(stub, dict) else "order"
    assert checks.judge(spec({"A": "x"} if kind == "mapping" else ["x"], kind), stub) == ("not answered", "")


def test_unknown_question_names_the_nearest(one_question):
    with pytest.raises(checks.UnknownQuestion, match=r"there is no question 'F24'; near it: F2\.4"):
        checks.check("F24", 1)


# ---- the kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (spec(12, "int"), np.int64(12)),
        (spec(12, "int"), 12.0),
        (SHARE, np.float32(0.4249)),
        (spec(True, "bool"), np.bool_(True)),
        (spec("Champions", "label"), " champions "),
        (spec(["a", "b"], "set"), {"b", "a"}),
        (spec(["a", "b"], "set"), pd.Series(["b", "a"])),
        (spec(["a", "b"], "order"), pd.Index(["a", "b"])),
        (spec([1.0, 2.0], "order", tolerance={"rel": 0.01}), np.array([1.005, 2.0])),
        (
            spec({"r": 0.2, "alpha": 4.0}, "mapping", tolerance={"rel": 0.02}),
            pd.Series({"alpha": 4.01, "r": 0.2}),
        ),
        (spec({"A": "axis"}, "mapping"), {"a": "Axis"}),
        (
            MONTHS,
            pd.DataFrame(
                {"orders": [5, 3]}, index=pd.to_datetime(["1997-02-01", "1997-01-01"]).rename("month")
            ),
        ),
    ],
)
def test_right_answers_in_the_forms_students_have_them(question, answer):
    assert checks.judge(question, answer)[0] == "right"


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        (SHARE, -0.42, "the sign is not"),
        (SHARE, 0.0042, "100 times too small"),
        (SHARE, 0.58, "one minus the answer"),
        (SHARE, 1 / 0.42, "Upside down"),
        (SHARE, 0.43, "Too large"),
        (SHARE, 0.4143, "Too small, but near"),
        (SHARE, "0.42", "That is text; the answer is one number (share of spend)"),
        (SHARE, True, "That is True or False"),
        (SHARE, pd.Series([0.42]), "That is a Series"),
        (SHARE, pd.Timedelta("3D"), "That is a time span"),
        (SHARE, float("nan"), "missing value (NaN)"),
        (SHARE, pd.NA, "missing value (NaN)"),
        (SHARE, -math.inf, "infinite"),
        (spec(70.0, "float", unit="days", tolerance={"abs": 1.0}), 10, "days and weeks"),
        (spec(12, "int", unit="customers"), 12.5, "A count (customers) is a whole number"),
        (spec(True, "bool"), False, "Odd."),
        (spec(True, "bool"), 1, "the answer is True or False"),
        (spec("Champions", "label"), 3, "one label, as text in quotes"),
        (spec("b", "choice", options=["a", "b"]), "c", "'c' is not one of the choices: a, b"),
        (spec(["a", "b", "c"], "set"), {"a", "x"}, "2 missing, 1 that do not belong (of 3)"),
        (spec(["a"], "set"), "a", "That is text; the answer is a set"),
        (spec(["00007", "00012"], "set"), {7, 12}, "These are numbers; the members of the answer are text"),
        (spec("Champions", "label"), pd.Index(["Champions"]), "That is an Index"),
        (spec([1, 2], "set"), 3, "That is a whole number; the answer is a set"),
        (spec(0.5, "float", tolerance={"rel": 0.01}), 50, "a percentage and a share are mixed up."),
        (spec(["a", "b"], "order"), ["b", "a"], "the other way round"),
        (spec(["a", "b", "c"], "order"), ["b", "a", "c"], "in another order"),
        (spec(["a", "b"], "order"), ["a", "b", "b"], "twice"),
        (spec(["a", "b"], "order"), {"a", "b"}, "A set has no order"),
        (spec({"r": 1, "a": 2}, "mapping"), {"r": 1, "b": 2}, "There is no name a. Not asked for: b."),
        (spec({"r": 1, "a": 2}, "mapping"), {"r": 1, "a": 9}, "1 of 2 values are right; look again at a"),
        (spec({"r": 1}, "mapping"), [1], "a dict or a Series"),
        (SMALL, pd.DataFrame({"m": ["x"]}), "There is no column n."),
        (SMALL, pd.DataFrame({"m": ["x", "y"], "n": [1, 2]}), "2 rows"),
        (
            spec({"m": ["x"], "n": [1]}, "frame"),
            pd.DataFrame({"m": ["x"], "n": [2]}),
            "Not right: column n.",
        ),
        (SMALL, {"m": "x"}, "a pandas DataFrame"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong_about_them(question, answer, said):
    verdict, message = checks.judge(question, answer)
    assert verdict == "wrong"
    assert said in message


def test_in_a_notebook_each_outcome_is_one_line():
    """A real kernel: no traceback, and a name that does not exist yet counts as not answered."""
    point = next(iter(RECORDED))
    cells = [
        "from custkit import check",
        f'check("{point}", ...)',
        f'check("{point}", "no such answer")',
        f'check("{point}", not_there_yet)',
        "not_there_either",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        notebook, allow_errors=True, kernel_name="python3", extra_arguments=["--log-level=50"]
    ).execute()
    found = [[(o.ename, o.traceback) for o in cell.outputs] for cell in notebook.cells]
    assert found[0] == []
    assert found[1] == [("NotAnswered", [f"⏳ {point}: not answered yet."])]
    assert [(name, len(lines)) for name, lines in found[2]] == [("WrongAnswer", 1)]
    assert found[3][0][0] == "NotAnswered"
    assert len(found[3][0][1]) == 1
    assert "'not_there_yet' is not defined" in found[3][0][1][0]
    assert found[4][0][0] == "NameError"  # elsewhere an error stays an error
    assert len(found[4][0][1]) > 1


# ---- the recorded answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("point", RECORDED)
def test_each_recorded_check_passes_the_gate(point):
    assert recording.faults(RECORDED[point]) == []


@pytest.mark.parametrize("point", RECORDED)
def test_each_typical_mistake_gets_exactly_its_message(point):
    question = RECORDED[point]
    assert len(question["wrong"]) >= (1 if question["kind"] == "bool" else 2)
    for mistake in question["wrong"]:
        value = recording.as_given(question, mistake["value"])
        with pytest.raises(checks.WrongAnswer) as caught:
            checks.check(point, set(value) if question["kind"] == "set" else value)
        assert str(caught.value) == f"❌ {point}: wrong. {mistake['message']}"


@pytest.mark.parametrize("point", RECORDED)
def test_no_altered_answer_is_accepted(point):
    for what, value in recording.altered(RECORDED[point]).items():
        assert checks.judge(RECORDED[point], value)[0] != "right", what


def test_answers_are_read_once_and_are_the_file():
    assert answers() == RECORDED
    assert answers() is answers()


# ---- the gate bites -----------------------------------------------------------------------------------

GOOD = {
    "kind": "float",
    "value": 0.42,
    "unit": "share of spend",
    "tolerance": {"abs": 0.005},
    "hint": "Divide by the spend of all.",
    "wrong": [{"value": 42.0, "message": "A percentage."}, {"value": 0.3, "message": "Orders, not money."}],
}


def test_the_gate_passes_a_sound_check():
    assert recording.faults(GOOD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tolerance": {"abs": 0.2}}, "0.3 gets ('right', '') instead of 'Orders, not money.'"),
        ({"tolerance": {"rel": 3.0}}, "the sign flipped is accepted"),
        ({"tolerance": {"abs": 0.11}}, "a quarter less is accepted"),
        ({"tolerance": {}}, "a computed number needs a tolerance"),
        ({"value": 0.0, "kind": "int", "tolerance": {}}, "100 times it is accepted"),
        ({"value": math.nan}, "the right answer is not accepted"),
        ({"kind": "number"}, "the kind 'number' is not one of"),
        ({"hint": "It is about 0.42."}, "a message gives the answer away: 0.42"),
        ({"hint": ""}, "an empty hint or message"),
        ({"hint": "One\ntwo"}, "a message of several lines"),
        ({"wrong": GOOD["wrong"][:1]}, "1 typical wrong answers; give 2 to 4"),
        ({"wrong": [GOOD["wrong"][0], {"value": 42.001, "message": "Same."}]}, "instead of 'Same.'"),
        ({"wrong": [GOOD["wrong"][0], {"value": 0.421, "message": "Right?"}]}, "0.421 gets ('right', '')"),
        ({"kind": "choice", "value": "a", "options": ["a", "b", "c"]}, "option 'b' has no reason"),
        ({"kind": "choice", "value": "a", "options": ["a", "b"]}, "the right option has no reason"),
        ({"kind": "mapping", "value": {"r": 0.0}, "wrong": []}, "r altered is accepted"),
    ],
)
def test_the_gate_refuses_a_check_that_would_accept_a_wrong_answer(change, said):
    assert any(said in fault for fault in recording.faults(GOOD | change)), recording.faults(GOOD | change)


def test_the_gate_sees_a_comparison_that_accepts_everything(monkeypatch):
    """Whatever may break in the comparison itself, the gate must notice."""
    monkeypatch.setattr(recording, "judge", lambda spec, answer: ("right", ""))
    assert len(recording.faults(GOOD)) >= 10


# ---- record -------------------------------------------------------------------------------------------


def test_record_writes_what_was_computed_and_shows_the_mistakes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(recording.RECORD_TO, str(tmp_path / "answers.jsonl"))
    frame = pd.DataFrame({"segment": ["a", "b"], "customers": [1, 2]})
    recording.record("T1", np.float64(2 / 3), wrong={"A": 1.0, "B": 2.0}, hint="h", rel_tolerance=0.01)
    recording.record("T2", {"x", "b"}, wrong={"A": {"x"}, "B": {"b"}}, hint="h")
    recording.record("T3", frame, wrong={"A": frame.iloc[:1], "B": frame.iloc[1:]}, hint="h")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [(line["point"], line["kind"], line["value"]) for line in lines] == [
        ("T1", "float", 0.6666666667),
        ("T2", "set", ["b", "x"]),
        ("T3", "frame", {"segment": ["a", "b"], "customers": [1, 2]}),
    ]
    assert capsys.readouterr().out.startswith("1 → A\n2 → B\n")


def test_record_refuses_a_faulty_statement(monkeypatch, tmp_path):
    target = tmp_path / "answers.jsonl"
    monkeypatch.setenv(recording.RECORD_TO, str(target))
    with pytest.raises(recording.ParameterError, match="T1: a quarter more is accepted"):
        recording.record("T1", 8.0, wrong={"A": 1.0, "B": 99.0}, hint="h", abs_tolerance=3)
    with pytest.raises(recording.ParameterError, match="T1: That is text; the answer is one number"):
        recording.record("T1", 8, wrong={"A": "eight", "B": 99}, hint="h")
    assert not target.exists()


def test_checks_are_light():
    """A student's first cell must not load nbgrader, nbclient or scipy for the sake of the checks."""
    heavy = {"nbgrader", "nbclient", "scipy", "pandas"}
    code = f"import sys, custkit.checks; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[\]\s*", done.stdout)
