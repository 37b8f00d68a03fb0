"""Who may read the truth: cells tagged `truth` in notebooks, and tests. Nothing else, reports least of all.

Each rule is a plain function to a list of faults; `tests/test_truth.py` applies them and feeds each a broken
specimen.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from house_prose import Notebook, source
from house_rules import code_cells, tags

# Modules that know the truth, and names under which it lies on disk.
KNOWING = ("custkit.truth", "custkit.simulate")
PLACES = re.compile(r"\btruth_\w+|[\\/\"']truth[\\/\"']|\bsimulate[\\/]parameters\b")
NAMES = re.compile(r"\bcustkit[./](?:truth|simulate)\b")
# The package's own modules that draw a company or hand out its truth.
ALLOWED = re.compile(r"custkit/(truth\.py|simulate/.+)")
COMMAND = "custkit/cli.py"  # starts the simulation, reads nothing of it


def notebook_faults(notebook: Notebook, *, report: bool = False) -> list[str]:
    """Cells that reach for the truth without the tag; in a report the tag does not help."""
    faults = []
    for i, cell in code_cells(notebook):
        found = sorted(reached(source(cell)))
        if found and (report or "truth" not in tags(cell)):
            faults.append(f"cell {i}: reads the truth ({', '.join(found)})")
    return faults


def module_faults(path: Path, root: Path) -> list[str]:
    """A module of the package, or a script of the workbook, that reaches for the truth."""
    name = path.relative_to(root).as_posix()
    if ALLOWED.fullmatch(name):
        return []
    found = reached(path.read_text(encoding="utf-8"), package=name.split("/")[:-1])
    if name == COMMAND:
        found -= {"custkit.simulate", "custkit.simulate.command"}
    return [f"{name}: reads the truth ({', '.join(sorted(found))})"] if found else []


def reached(code: str, package: list[str] | None = None) -> set[str]:
    """Knowing modules and places of the truth that a piece of code names; `package` for relative imports.

    Lines of magic, and cells of another language, are searched as text.
    """
    lines = code.split("\n")
    magic = [line for line in lines if line.lstrip().startswith(("%", "!"))]
    plain = "\n".join("" if line in magic else line for line in lines)
    try:
        tree = ast.parse(plain)
    except SyntaxError:
        tree, magic = ast.Module([], []), lines
    found = {match[0] for line in magic for match in (*PLACES.finditer(line), *NAMES.finditer(line))}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = (package or [])[: len(package or []) + 1 - node.level] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [re.sub(r"^ck\b", "custkit", ast.unparse(node))]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
            if PLACES.search(node.value if " " in node.value else f'"{node.value}"'):
                found.add(repr(node.value[:40]))
        found |= {name for name in names if any(f"{name}.".startswith(f"{one}.") for one in KNOWING)}
    return found
