"""The recorded answers and how an answer is compared with one: kinds, plain values, tolerance.

``answers.json`` is written by ``python -m custkit.checks record`` from executing the solutions; nothing in
it is typed by hand. `custkit.checks` says to a student what these comparisons find.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).with_name("answers.json")
KINDS = ("int", "float", "bool", "label", "choice", "set", "order", "mapping", "frame")


class Unfit(Exception):
    """The answer is not of the kind asked for; the message says what it is instead."""


@functools.cache
def answers() -> dict[str, dict[str, Any]]:
    """Return the recorded answers: point -> kind, value, unit, tolerance, reading, hint, wrong, source."""
    return json.loads(ANSWERS.read_text("utf-8"))


def unanswered(answer: Any) -> bool:
    """Tell whether an answer, or a place in it, is still ``...`` or None."""
    if isinstance(answer, dict | list | tuple | set | frozenset):
        places = answer.values() if isinstance(answer, dict) else answer
        return any(place is None or place is ... for place in places)
    return answer is None or answer is ...


def to_plain(spec: dict[str, Any], answer: Any) -> Any:
    """Turn an answer into the plain value its kind is compared as, or raise `Unfit` saying what it is."""
    kind = spec["kind"]
    if kind in ("int", "float"):
        return _number(answer, spec.get("unit", ""))
    if kind == "bool":
        return _truth(answer)
    if kind in ("label", "choice"):
        return _label(answer, spec.get("options"))
    if kind in ("set", "order"):
        return _items(answer, kind)
    return _mapping(answer) if kind == "mapping" else _frame(answer, spec["value"])


def _name(answer: Any) -> str:
    """Say in a word or two what a wrongly typed answer is."""
    names = {"str": "text", "list": "a list", "tuple": "a tuple", "dict": "a dict", "set": "a set"}
    names |= {"bool": "True or False", "Timedelta": "a time span", "Timestamp": "a date"}
    names |= {"int": "a whole number", "float": "a number"}
    kind = type(answer).__name__
    return names.get(kind, f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}")


def _scalar(value: Any) -> Any:
    """Unwrap numpy scalars; missing values become NaN."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        return value.item()
    return math.nan if type(value).__name__ in ("NAType", "NaTType") else value


def _cell(value: Any) -> Any:
    """Turn one member of a collection into a number, text or bool; dates become ISO text."""
    value = _scalar(value)
    if hasattr(value, "isoformat"):
        return value.isoformat().removesuffix("T00:00:00")
    return value if isinstance(value, int | float) else str(value)


def _number(answer: Any, unit: str) -> float | int:
    value = _scalar(answer)
    wanted = f"one number{f' ({unit})' if unit else ''}"
    if isinstance(value, bool) or not hasattr(value, "__float__") or hasattr(value, "__len__"):
        raise Unfit(f"That is {_name(answer)}; the answer is {wanted}.")
    if math.isnan(value):
        raise Unfit(f"That is a missing value (NaN); the answer is {wanted}.")
    if math.isinf(value):
        raise Unfit(f"That is infinite; the answer is {wanted}.")
    return value if isinstance(value, int) else float(value)


def _truth(answer: Any) -> bool:
    value = _scalar(answer)
    if not isinstance(value, bool):
        raise Unfit(f"That is {_name(answer)}; the answer is True or False.")
    return value


def _label(answer: Any, options: list[str] | None) -> str:
    value = _scalar(answer)
    if not isinstance(value, str):
        raise Unfit(f"That is {_name(answer)}; the answer is one label, as text in quotes.")
    if options and fold(value) not in map(fold, options):
        raise Unfit(f"{value!r} is not one of the choices: {', '.join(options)}.")
    return value


def _items(answer: Any, kind: str) -> list[Any]:
    wanted = "a list" if kind == "order" else "a set"
    single = isinstance(answer, str | bytes) or not hasattr(answer, "__iter__")
    if single or isinstance(answer, dict) or hasattr(answer, "columns"):
        raise Unfit(f"That is {_name(answer)}; the answer is {wanted}.")
    if kind == "order" and isinstance(answer, set | frozenset):
        raise Unfit("A set has no order; the answer is a list, first place first.")
    return [_cell(item) for item in answer]


def _mapping(answer: Any) -> dict[str, Any]:
    if not hasattr(answer, "items") or hasattr(answer, "columns"):
        raise Unfit(f"That is {_name(answer)}; the answer is a dict or a Series, one value per name.")
    return {str(_cell(key)): _cell(value) for key, value in answer.items()}


def _frame(answer: Any, wanted: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if not hasattr(answer, "columns") or not hasattr(answer, "reset_index"):
        raise Unfit(f"That is {_name(answer)}; the answer is a pandas DataFrame.")
    if not answer.columns.is_unique:
        raise Unfit("Two columns have the same name.")
    if set(answer.index.names) & (set(wanted) - set(answer.columns)):
        answer = answer.reset_index()  # the key was left in the index: forgiven
    return {str(name): [_cell(value) for value in answer[name]] for name in answer.columns}


# ---- comparison ------------------------------------------------------------------------------------


def fold(value: Any) -> Any:
    """Return text without case and outer blanks; anything else as it is."""
    return value.strip().casefold() if isinstance(value, str) else value


def close(spec: dict[str, Any], a: Any, b: Any) -> bool:
    """Compare two values: numbers within the tolerance (around `b`), text without case and outer blanks."""
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b)]
    if not all(numbers):
        return type(a) is type(b) and fold(a) == fold(b)
    tolerance = spec.get("tolerance", {})
    margin = tolerance.get("abs", 0.0) + tolerance.get("rel", 0.0) * abs(b)
    return abs(a - b) <= max(margin, 1e-9 * abs(b))


def matched_rows(frame: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    """Return the rows of a frame, columns by name; text columns decide the order of the rows."""
    rows = zip(*(frame[name] for name in sorted(frame, key=fold)), strict=True)
    return sorted(rows, key=lambda row: [fold(value) for value in row if isinstance(value, str)])


def same(spec: dict[str, Any], a: Any, b: Any) -> bool:
    """Tell whether two plain values are the same answer to this question."""
    kind = spec["kind"]
    if kind in ("set", "order"):
        if kind == "set":
            return {fold(item) for item in a} == {fold(item) for item in b}
        return len(a) == len(b) and all(close(spec, x, y) for x, y in zip(a, b, strict=True))
    if kind == "mapping":
        a, b = ({fold(key): value for key, value in m.items()} for m in (a, b))
        return a.keys() == b.keys() and all(close(spec, a[key], b[key]) for key in b)
    if kind == "frame":
        if {fold(c) for c in a} != {fold(c) for c in b}:
            return False
        rows_a, rows_b = matched_rows(a), matched_rows(b)
        return len(rows_a) == len(rows_b) and all(
            close(spec, x, y) for r, s in zip(rows_a, rows_b, strict=True) for x, y in zip(r, s, strict=True)
        )
    return close(spec, a, b)
