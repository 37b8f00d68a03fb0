"""The house rules for stored notebooks, each a plain function from a notebook to a list of faults.

`tests/test_house_rules.py` applies them to every committed notebook and feeds each rule a broken one.
`make rules` (this file run as a script) prints the cell budget of every notebook and the faults found.
Rules about prose are in `house_prose.py`, those about courseware points in `house_points.py`, who may read
the truth in `house_truth.py`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import house_prose
from house_prose import Notebook, source, text_outputs
from workbook import METADATA

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1_000_000
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|Users|root|tmp|work|opt|mnt|var|private|srv|builds?)/[\w.-]+|\b[A-Za-z]:\\{1,2}\w|file:///"
    r"|[\\/]site-packages[\\/]"
)
REGISTRY = re.compile(
    r"pypi\.org/simple|files\.pythonhosted\.org|conda\.anaconda\.org|registry\.npmjs|index-url|find-links",
    re.I,
)
EMAIL = re.compile(r"[\w.+-]+@(?!(?:[\w-]+\.)*example(?:\.\w+)?\b)[\w-]+\.[A-Za-z][\w.-]+")
IGNORED = {"nbval-ignore-output", "nbval-skip"}


def load(path: Path) -> Notebook:
    return json.loads(path.read_text(encoding="utf-8"))


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def code_cells(notebook: Notebook) -> Iterator[tuple[int, dict]]:
    """Code cells with their number among all cells, counted from 1."""
    return ((i, cell) for i, cell in enumerate(notebook["cells"], 1) if cell["cell_type"] == "code")


# Stored outputs -----------------------------------------------------------------------------------------


def executed(notebook: Notebook) -> list[str]:
    """Every code cell has run, once, from top to bottom; nbval would silently pass one that has not."""
    faults = []
    for expected, (i, cell) in enumerate(code_cells(notebook), 1):
        if not source(cell).strip():
            faults.append(f"cell {i}: empty code cell")
        elif cell["execution_count"] is None:
            faults.append(f"cell {i}: never executed")
        elif cell["execution_count"] != expected:
            faults.append(f"cell {i}: executed as [{cell['execution_count']}], expected [{expected}]")
    return faults


def compared(notebook: Notebook) -> list[str]:
    """nbval compares at least nine code cells in ten, and can see what each of them shows."""
    faults, ignored, total = [], 0, 0
    for i, cell in code_cells(notebook):
        total += 1
        ignored += bool(tags(cell) & IGNORED or re.search(r"#\s*(PYTEST_VALIDATE|NBVAL)_\w+", source(cell)))
        if source(cell).rstrip().endswith(";"):
            faults.append(f"cell {i}: ends in ';', which nbval does not understand; assign to _ instead")
    if ignored * 10 > total:
        faults.append(f"nbval is told to ignore {ignored} of {total} code cells; at most one in ten")
    return faults


def clean_outputs(notebook: Notebook) -> list[str]:
    """No stored warning, untagged error or SVG (compared byte for byte); a tagged error is there."""
    faults = []
    for i, cell in code_cells(notebook):
        errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
        meant = "raises-exception" in tags(cell)
        if errors and not meant:
            faults.append(f"cell {i}: stored error {errors[0]['ename']}")
        if meant and not errors:
            faults.append(f"cell {i}: tagged raises-exception, but no error is stored")
        if any(o.get("name") == "stderr" for o in cell["outputs"]):
            faults.append(f"cell {i}: stored stderr (a warning?)")
        if any("image/svg+xml" in o.get("data", {}) for o in cell["outputs"]):
            faults.append(f"cell {i}: SVG output; store PNG")
    return faults


def alt_text(notebook: Notebook) -> list[str]:
    """Each picture has a sentence for those who cannot see it."""
    faults = []
    for i, cell in enumerate(notebook["cells"], 1):
        for output in cell.get("outputs", []):
            for kind in ("image/png", "image/jpeg"):
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                if kind in output.get("data", {}) and len(alt.strip()) < 20:
                    faults.append(f"cell {i}: picture without alt text of at least 20 characters")
        if cell["cell_type"] == "markdown":
            faults += [f"cell {i}: image without alt text" for _ in re.finditer(r"!\[\s*\]\(", source(cell))]
            images = re.findall(r"<img\b[^>]*>", source(cell))
            faults += [
                f"cell {i}: <img> without alt text" for img in images if not re.search(r'alt="[^"]', img)
            ]
    return faults


def private(notebook: Notebook) -> list[str]:
    """No machine path, package registry or e-mail address in sources, text outputs or metadata."""
    parts = [("notebook metadata", json.dumps(notebook["metadata"]))]
    for i, cell in enumerate(notebook["cells"], 1):
        parts.append((f"cell {i}: source", source(cell)))
        parts.append((f"cell {i}: metadata", json.dumps(cell["metadata"], ensure_ascii=False)))
        parts.append((f"cell {i}: output", text_outputs(cell)))
        parts += [
            (f"cell {i}: output metadata", json.dumps(o.get("metadata", {}))) for o in cell.get("outputs", [])
        ]
    kinds = (("machine path", MACHINE_PATH), ("package registry", REGISTRY), ("e-mail address", EMAIL))
    return [
        f"{place}: {kind} {found[0]!r}"
        for place, text in parts
        for kind, rule in kinds
        if (found := rule.search(text))
    ]


# The file -----------------------------------------------------------------------------------------------


def form(notebook: Notebook) -> list[str]:
    """Uniform metadata, nbformat 4.5, unique cell ids, no execution times."""
    faults = []
    if notebook["metadata"] != METADATA:
        faults.append("notebook metadata is not the house's own; run `make refresh`")
    if (notebook["nbformat"], notebook["nbformat_minor"]) != (4, 5):
        faults.append(f"format {notebook['nbformat']}.{notebook['nbformat_minor']}, expected 4.5")
    ids = [cell.get("id", "") for cell in notebook["cells"]]
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", one) for one in ids) or len(set(ids)) < len(ids):
        faults.append("a cell id is missing, malformed or used twice")
    timed = [
        str(i)
        for i, cell in enumerate(notebook["cells"], 1)
        if {"execution", "ExecuteTime"} & set(cell["metadata"])
    ]
    if timed:
        faults.append(f"execution times in the metadata of cells {', '.join(timed)}")
    return faults


def size(path: Path) -> list[str]:
    """At most one megabyte, so that it opens everywhere."""
    megabytes = path.stat().st_size / MEGABYTE
    return [f"{megabytes:.1f} MB, at most 1 MB"] if megabytes > 1 else []


# Code ---------------------------------------------------------------------------------------------------


def tree(cell: dict) -> ast.Module | None:
    """The syntax tree of a code cell, lines of magic left out; None where it is not plain Python."""
    lines = source(cell).split("\n")
    try:
        return ast.parse("\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines))
    except SyntaxError:
        return None


def imported(cell: dict) -> set[str]:
    """Dotted names that a cell imports, at any depth."""
    names = set()
    for node in ast.walk(tree(cell) or ast.Module([], [])):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imports_first(notebook: Notebook) -> list[str]:
    """Imports stand in the first code cell (after the parameters); a truth cell brings its own."""
    cells = [(i, cell) for i, cell in code_cells(notebook) if "parameters" not in tags(cell)]
    late = [(i, cell) for i, cell in cells[1:] if imported(cell) and "truth" not in tags(cell)]
    return [
        f"cell {i}: imports {', '.join(sorted(imported(cell)))}; move it to the first code cell"
        for i, cell in late
    ]


def plain(notebook: Notebook) -> list[str]:
    """No installation from a cell; no MyST directive or role, which other viewers show raw."""
    faults = []
    for i, cell in enumerate(notebook["cells"], 1):
        text = source(cell)
        if cell["cell_type"] == "code" and re.search(r"(?m)^\s*[!%]{1,2}\s*(pip|conda|mamba|uv)\b", text):
            faults.append(f"cell {i}: installs packages")
        if cell["cell_type"] == "markdown" and re.search(r"(?m)^\s*(:{3,}|`{3,})\{|\{[a-z:-]+\}`", text):
            faults.append(f"cell {i}: MyST directive or role; use plain Markdown")
    return faults


def long_cells(notebook: Notebook) -> list[str]:
    """No code cell over 25 lines."""
    return [
        f"cell {i}: {n} lines of code, at most 25"
        for i, cell in code_cells(notebook)
        if (n := code_lines(cell)) > 25
    ]


def code_lines(cell: dict) -> int:
    """Lines a student reads: comments count, empty lines and nbgrader's solution marks do not."""
    return sum(
        1 for line in source(cell).split("\n") if line.strip() and not re.match(r"\s*### (BEGIN|END) ", line)
    )


def budget(notebook: Notebook) -> dict[str, float]:
    """Code cells, their median and longest length, share up to 10 lines, words per code line, runs."""
    cells = notebook["cells"]
    lengths = [code_lines(cell) for _, cell in code_cells(notebook)]
    words = sum(house_prose.words(source(cell)) for cell in cells if cell["cell_type"] == "markdown")
    pairs = sum(a["cell_type"] == b["cell_type"] == "code" for a, b in pairwise(cells))
    count = len(lengths)
    return {
        "code_cells": count,
        "median_lines": median(lengths) if lengths else 0,
        "share_to_10": sum(n <= 10 for n in lengths) / count if count else 1.0,
        "longest": max(lengths, default=0),
        "words_per_line": words / sum(lengths) if lengths else float("inf"),
        "code_after_code": pairs / count if count else 0.0,
    }


def cell_budget(notebook: Notebook) -> list[str]:
    """A chapter is read: small cells, eight words to a line of code, seldom two code cells in a row."""
    is_, faults = budget(notebook), []
    if is_["median_lines"] > 5:
        faults.append(f"median code cell has {is_['median_lines']:g} lines, at most 5")
    if is_["share_to_10"] < 0.9:
        faults.append(f"{is_['share_to_10']:.0%} of code cells have at most 10 lines, at least 90% must")
    if is_["words_per_line"] < 8:
        faults.append(f"{is_['words_per_line']:.1f} words of prose per line of code, at least 8")
    if is_["code_after_code"] >= 0.15:
        faults.append(
            f"{is_['code_after_code']:.0%} of code cells follow another directly, fewer than 15% may"
        )
    return faults


def main() -> int:
    """Print budget and faults of every notebook."""
    from test_house_rules import CHAPTERS, EXERCISES, REPORTS, SOLUTIONS, faults_of

    print(f"{'notebook':58}{'cells':>6}{'median':>7}{'<=10':>6}{'max':>5}{'words/line':>11}{'in a row':>9}")
    total = 0
    for path in [*CHAPTERS, *SOLUTIONS, *REPORTS, *EXERCISES]:
        notebook = load(path)
        is_ = budget(notebook)
        print(
            f"{path.relative_to(ROOT).as_posix():58}{is_['code_cells']:6}{is_['median_lines']:7g}"
            f"{is_['share_to_10']:6.0%}{is_['longest']:5}{is_['words_per_line']:11.1f}{is_['code_after_code']:9.0%}"
        )
        for fault in faults_of(path):
            print(f"    {fault}")
            total += 1
    print(f"{total} faults")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
