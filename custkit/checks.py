"""`check(point, answer)`: right, wrong and why, or not answered yet.

An exercise asks for one named value per question. The reference answers, their tolerance and the wrong
answers people really give are recorded from the solution notebooks (`custkit.exercises`).

A wrong or missing answer *raises*, because nbgrader counts a cell that does not raise as passed. The
exception shows as one line, and the check cells of an exercise carry the tag ``raises-exception``, so that
"Run All" in JupyterLab goes on to the next question.
"""

from __future__ import annotations

import difflib
import linecache
import re
import sys
from typing import Any

from custkit.answers import Unfit, answers, close, fold, matched_rows, same, to_plain, unanswered
from custkit.errors import CustkitError, ParameterError

_TIME_WORDS = re.compile(r"\b(day|week|month|year)s?\b")


class Feedback(CustkitError):
    """What a check says when the answer is not right; shown as its one line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class UnknownQuestion(ParameterError):
    """No question has the number given."""


class WrongAnswer(Feedback):
    """The answer is wrong; the message says in what way and gives a hint."""


class NotAnswered(Feedback):
    """The answer is still ``...`` or None."""


def check(point: str, answer: Any) -> None:
    """Tell whether `answer` answers the question of `point`.

    Parameters
    ----------
    point : str
        The question's number, such as ``"F2.4"``.
    answer : object
        The value found: a number, a label, a set, a list in order, a mapping (dict or Series), True or
        False, a DataFrame, or the letter of a quiz option, as the question says.

    Raises
    ------
    WrongAnswer
        With what is wrong about the answer (sign, unit, type, which customers were counted …) and a hint.
    NotAnswered
        While the answer is ``...`` or None.
    UnknownQuestion
        If no question has this number.
    """
    known = answers()
    if point not in known:
        near = ", ".join(difflib.get_close_matches(str(point), known, n=3, cutoff=0.3))
        raise UnknownQuestion(f"there is no question {point!r}" + (f"; near it: {near}" if near else ""))
    verdict, message = judge(known[point], answer)
    if verdict == "right":
        print(f"✅ {point}: right. {message}".rstrip())
    elif verdict == "wrong":
        raise WrongAnswer(f"❌ {point}: wrong. {message}")
    else:
        raise NotAnswered(f"⏳ {point}: not answered yet.")


def judge(spec: dict[str, Any], answer: Any) -> tuple[str, str]:
    """Compare an answer with a recorded one.

    Parameters
    ----------
    spec : dict
        One entry of `answers`.
    answer : object
        What the student gives.

    Returns
    -------
    verdict : {"right", "wrong", "not answered"}
    message : str
        The reading of a right answer; what is wrong about a wrong one, with a hint unless the mistake
        is one of the typical ones, whose message says what to do.
    """
    if unanswered(answer):
        return "not answered", ""
    try:
        plain = to_plain(spec, answer)
    except Unfit as unfit:
        return "wrong", _with_hint(spec, str(unfit))
    if same(spec, plain, spec["value"]):
        return "right", spec.get("reading", "")
    for mistake in spec["wrong"]:
        if same(spec, plain, mistake["value"]):
            return "wrong", mistake["message"]
    return "wrong", _with_hint(spec, _describe(spec, plain))


def _with_hint(spec: dict[str, Any], message: str) -> str:
    return f"{message} Hint: {spec['hint']}" if spec.get("hint") else message


# ---- what is wrong about it ------------------------------------------------------------------------


def _describe(spec: dict[str, Any], value: Any) -> str:
    """Say what is wrong about a plain value that is neither right nor a typical mistake."""
    kind, right = spec["kind"], spec["value"]
    if kind in ("int", "float"):
        return _describe_number(spec, value)
    if kind in ("set", "order"):
        ours, theirs = ({fold(item) for item in items} for items in (right, value))
        missing, extra = len(ours - theirs), len(theirs - ours)
        texts = [sum(isinstance(item, str) for item in items) for items in (right, value)]
        if value and texts == [len(right), 0]:
            return "These are numbers; the members of the answer are text, in quotes."
        if missing or extra:
            return f"{missing} missing, {extra} that do not belong (of {len(ours)})."
        if same(spec, value[::-1], right):
            return "The right members, the other way round."
        return "The right members, in another order." if len(value) == len(right) else "A member comes twice."
    if kind == "mapping":
        ours, theirs = ({fold(key): v for key, v in m.items()} for m in (right, value))
        if ours.keys() != theirs.keys():
            return _missing_extra("name", right, value)
        bad = [key for key in right if not close(spec, theirs[fold(key)], ours[fold(key)])]
        return f"{len(right) - len(bad)} of {len(right)} values are right; look again at {', '.join(bad)}."
    if kind == "frame":
        if {fold(c) for c in value} != {fold(c) for c in right}:
            return _missing_extra("column", right, value)
        rows, wanted = (len(next(iter(f.values()), [])) for f in (value, right))
        if rows != wanted:
            return f"{rows} rows; the answer has {wanted}."
        bad = [c for c, ok in _columns_right(spec, value) if not ok]
        noun = "column" if len(bad) == 1 else "columns"
        return f"Not right: {noun} {', '.join(bad)}." if bad else "The values are in the wrong rows."
    return "It is the other way round." if kind == "bool" else f"Not {str(value)[:40]!r}."


def _missing_extra(what: str, right: dict, value: dict) -> str:
    """Name the keys a mapping or frame lacks and those it should not have."""
    ours, theirs = ({fold(key) for key in m} for m in (right, value))
    missing = [key for key in right if fold(key) not in theirs]
    extra = [str(key) for key in value if fold(key) not in ours]
    parts = [f"There is no {what} {', '.join(missing)}."] if missing else []
    parts += [f"Not asked for: {', '.join(extra[:5])}."] if extra else []
    return " ".join(parts)


def _columns_right(spec: dict[str, Any], value: dict) -> list[tuple[str, bool]]:
    """Compare a frame column by column, rows matched by their keys."""
    names = sorted(spec["value"], key=fold)
    columns = zip(*matched_rows(value), strict=True), zip(*matched_rows(spec["value"]), strict=True)
    pairs = zip(names, *columns, strict=True)
    return [(n, all(close(spec, x, y) for x, y in zip(a, b, strict=True))) for n, a, b in pairs]


def _describe_number(spec: dict[str, Any], value: float) -> str:
    right, unit = spec["value"], spec.get("unit", "")
    wanted = f" (asked for: {unit})" if unit else ""

    def fits(x: float) -> bool:
        return close(spec, x, right)

    if fits(-value):
        return "The size is right, the sign is not."
    if fits(value / 100) or fits(value * 100):
        size = "large" if abs(value) > abs(right) else "small"
        return f"100 times too {size}: a percentage and a share are mixed up{wanted}."
    if _TIME_WORDS.search(unit) and (fits(value / 7) or fits(value * 7)):
        return f"Off by a factor of 7: days and weeks are mixed up{wanted}."
    if "share" in unit and fits(1 - value):
        return "That is the share of all the others: one minus the answer."
    if value and fits(1 / value):
        return "Upside down: numerator and denominator are swapped."
    if spec["kind"] == "int" and value != int(value):
        return f"A count{f' ({unit})' if unit else ''} is a whole number."
    size = "large" if value > right else "small"
    near = abs(value - right) <= 0.02 * abs(right)
    return f"Too {size}" + (", but near: was something rounded on the way?" if near else ".")


# ---- a name that does not exist yet ----------------------------------------------------------------


def _on_missing_name(shell, kind, error, trace, tb_offset=None) -> None:
    """In a check cell, say "not answered yet" when the answer's name does not exist; else do as usual."""
    frame = trace
    while frame.tb_next:
        frame = frame.tb_next
    line = linecache.getline(frame.tb_frame.f_code.co_filename, frame.tb_lineno)
    if found := re.match(r"""\s*check\(\s*["']([^"']+)""", line):
        error = NotAnswered(f"⏳ {found[1]}: not answered yet ({error}; run the cell above first).")
        kind = NotAnswered
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


if "IPython" in sys.modules and (_shell := sys.modules["IPython"].get_ipython()) is not None:
    _shell.set_custom_exc((NameError,), _on_missing_name)


if __name__ == "__main__":
    from custkit.exercises import main

    raise SystemExit(main())
