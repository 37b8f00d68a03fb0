"""State the reference answer of a question, in the solution that computes it.

In a solution each question is followed by one cell tagged ``solution`` and ``record``. It calls `record`
with the answer and with the wrong answers people give, all of them computed there. Cells tagged
``solution`` do not reach the exercise; ``python -m custkit.checks record`` executes the solutions and
collects what these cells state (`custkit.exercises`).
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

from custkit.answers import KINDS, Unfit, to_plain
from custkit.checks import judge
from custkit.errors import ParameterError

RECORD_TO = "CUSTKIT_RECORD"  # names the file that a recording kernel appends its answers to


def record(
    point: str,
    value: Any,
    *,
    wrong: dict[str, Any],
    hint: str,
    reading: str = "",
    unit: str = "",
    abs_tolerance: float = 0.0,
    rel_tolerance: float = 0.0,
    kind: str | None = None,
    options: list[str] | None = None,
) -> None:
    """State the right answer of a question and the wrong ones people give; called in a solution.

    Always tests the statement (`faults`) and prints the typical wrong answers with what is said about
    each. While ``python -m custkit.checks record`` runs the notebook, the answer is also written down.

    Parameters
    ----------
    point : str
        The question's number, as in the check cell.
    value : object
        The right answer as the solution computed it. Its type decides the kind: int, float, bool, str
        (a label, or with `options` one of them), set, list (an order), dict or Series (a mapping), DataFrame.
    wrong : dict of str to object
        Two to four typical wrong answers: message -> the value that gets it. In a quiz (kind "choice"),
        every other option with the reason against it.
    hint : str
        Added to every other message about a wrong answer. It must not give the answer away.
    reading : str
        What the right answer means, shown with "right"; in a quiz the reason for the option.
    unit : str
        Unit of a number ("days", "share of spend" …).
    abs_tolerance, rel_tolerance : float
        How far a number may be off: in its unit, as a share of the answer.
    kind : str, optional
        Only to ask for "choice".
    options : list of str, optional
        The labels to choose from.

    Raises
    ------
    ParameterError
        If the statement is faulty: for instance a check that would accept one of the wrong answers.
    """
    kind = kind or _kind_of(value)
    tolerance = {"abs": abs_tolerance, "rel": rel_tolerance}
    spec: dict[str, Any] = {"kind": kind, "unit": unit, "hint": hint, "reading": reading}
    spec["tolerance"] = {name: size for name, size in tolerance.items() if size}
    spec["options"] = list(options or [])
    spec = {name: entry for name, entry in spec.items() if entry}
    try:
        spec["value"] = _stored(kind, to_plain(spec | {"value": {}}, value))
        plain = {message: _stored(kind, to_plain(spec, one)) for message, one in wrong.items()}
    except Unfit as unfit:
        raise ParameterError(f"{point}: {unfit}") from None
    spec["wrong"] = [{"value": one, "message": message} for message, one in plain.items()]
    if found := faults(spec):
        raise ParameterError(f"{point}: {fault}" for fault in found)
    for mistake in spec["wrong"]:
        print(f"{_short(mistake['value'])} → {mistake['message']}")
    if target := os.environ.get(RECORD_TO):
        with open(target, "a", encoding="utf-8") as file:
            file.write(json.dumps({"point": point} | spec, ensure_ascii=False) + "\n")


def _kind_of(value: Any) -> str:
    if hasattr(value, "columns"):
        return "frame"
    if hasattr(value, "items"):
        return "mapping"
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    kinds = {"bool": bool, "int": int, "float": float, "label": str, "set": (set, frozenset), "order": list}
    return next((kind for kind, types in kinds.items() if isinstance(value, types)), "order")


def _stored(kind: str, plain: Any) -> Any:
    """Round floats to ten digits and sort sets, so that a recording comes out the same again."""
    if isinstance(plain, dict):
        return {key: _stored("", value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_stored("", value) for value in (sorted(plain, key=str) if kind == "set" else plain)]
    return float(f"{plain:.10g}") if isinstance(plain, float) else plain


def _short(value: Any) -> str:
    """Show a wrong answer in a few characters."""
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.4g}"
    if isinstance(value, dict) and isinstance(next(iter(value.values()), 0), list):
        return f"table of {len(next(iter(value.values())))} rows"
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {_short(one)}" for key, one in value.items())
    elif isinstance(value, list):
        value = ", ".join(map(_short, value))
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 50 else text[:47] + "…"


# ---- the gate: a check must not accept a wrong answer -----------------------------------------------


def faults(spec: dict[str, Any]) -> list[str]:
    """Return what is wrong with a recorded answer; an empty list when its check can be trusted.

    The right answer must be accepted; each typical wrong answer refused with exactly its own message;
    and so must everything made from the right answer by a change of sign, size, type, order or number.
    """
    if spec["kind"] not in KINDS:
        return [f"the kind {spec['kind']!r} is not one of {', '.join(KINDS)}"]
    found = []
    number = 1 if spec["kind"] == "bool" else 2
    if spec["kind"] == "choice":
        reasons = {spec["value"], *(mistake["value"] for mistake in spec["wrong"])}
        found += [f"option {one!r} has no reason" for one in spec.get("options", []) if one not in reasons]
        found += [] if spec.get("reading") else ["the right option has no reason (reading)"]
    elif not number <= len(spec["wrong"]) <= 4:
        found += [f"{len(spec['wrong'])} typical wrong answers; give {number} to 4"]
    texts = [spec.get("hint", ""), *(mistake["message"] for mistake in spec["wrong"])]
    found += ["an empty hint or message"] if not all(texts) else []
    found += [f"a message of several lines: {text!r}" for text in texts if "\n" in text]
    if spec["kind"] in ("int", "float"):
        tokens = re.findall(r"\d[\d,]*\.?\d*", " ".join(texts))
        given_away = [token for token in tokens if judge(spec, float(token.replace(",", "")))[0] == "right"]
        found += [f"a message gives the answer away: {token}" for token in given_away]
    if _has_float(spec["value"]) and not spec.get("tolerance"):
        found.append("a computed number needs a tolerance")
    if judge(spec, as_given(spec, spec["value"]))[0] != "right":
        found.append("the right answer is not accepted")
    for mistake in spec["wrong"]:
        got = judge(spec, as_given(spec, mistake["value"]))
        if got != ("wrong", mistake["message"]):
            found.append(f"{_short(mistake['value'])} gets {got!r} instead of {mistake['message']!r}")
    found += [f"{name} is accepted" for name, one in altered(spec).items() if judge(spec, one)[0] == "right"]
    return found


def as_given(spec: dict[str, Any], plain: Any) -> Any:
    """Turn a recorded value back into what a student would give: a frame is stored as lists."""
    if spec["kind"] != "frame":
        return plain
    import pandas as pd

    return pd.DataFrame(plain)


def altered(spec: dict[str, Any]) -> dict[str, Any]:
    """Return wrong answers made from the right one: description -> value."""
    kind, right = spec["kind"], spec["value"]
    made: dict[str, Any] = {"empty text": "", "an empty list": [], "an empty dict": {}, "NaN": math.nan}
    made |= {"infinity": math.inf, "a list around it": [[right]], "a function": lambda: right}
    made |= {"its text with a mark": f"{right}!", "nothing": None, "the stub": ...}
    if kind in ("int", "float"):
        made |= {"the sign flipped": -right, "100 times it": right * 100, "a hundredth": right / 100}
        made |= {"10 times it": right * 10, "twice it": right * 2, "half of it": right / 2}
        made |= {"a quarter more": right * 1.25, "a quarter less": right * 0.75, "as text": str(right)}
    elif kind == "bool":
        made |= {"the opposite": not right, "as a number": int(right), "as text": str(right)}
    elif kind in ("set", "order"):
        made |= {"one left out": right[1:], "one too many": [*right, "someone else"]}
        made |= {"turned round": right[::-1]} if kind == "order" else {}
    elif kind == "mapping":
        made |= {f"{key} left out": {k: v for k, v in right.items() if k != key} for key in right}
        made |= {f"{key} altered": right | {key: _altered(right[key])} for key in right}
    elif kind == "frame":
        frame = as_given(spec, right)
        made |= {"a row left out": frame.iloc[1:], "a row twice": frame.iloc[[0, *range(len(frame))]]}
        made |= {f"without {name}": frame.drop(columns=name) for name in frame}
        made |= {f"{name} altered": frame.assign(**{name: frame[name].map(_altered)}) for name in frame}
    return made


def _has_float(plain: Any) -> bool:
    if isinstance(plain, dict | list):
        return any(map(_has_float, plain.values() if isinstance(plain, dict) else plain))
    return isinstance(plain, float)


def _altered(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value * 1.25 if isinstance(value, int | float) else f"{value}!"
