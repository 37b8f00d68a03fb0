"""From solutions to exercises: collect the reference answers, build what students get.

``python -m custkit.checks record [--check]``
    executes every solution and writes ``custkit/answers.json`` (or says where that file is out of date);
``python -m custkit.checks build [--check]``
    makes ``exercises/`` from ``solutions/`` with nbgrader's own preprocessors, as ``nbgrader_config.py``
    lists them (needs the extra ``instructor``; no database is touched).

With ``--check`` nothing is written, and the command ends with 1 when something is out of date.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from custkit.answers import ANSWERS
from custkit.errors import CustkitError, ParameterError
from custkit.recording import RECORD_TO

ROOT = Path(__file__).resolve().parents[1]
_OLD_ANSWERS = ("UnknownQuestion", "WrongAnswer")  # what a check says before a new recording

# ---- recording --------------------------------------------------------------------------------------


def run_notebook(path: Path, record_to: Path | None = None) -> Any:
    """Execute a notebook in a kernel of its own, in an empty folder; go on after errors.

    Parameters
    ----------
    path : Path
        The notebook; it is not changed.
    record_to : Path, optional
        File to which the notebook's calls of `record` append what they state.

    Returns
    -------
    nbformat.NotebookNode
        The notebook with its outputs.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    env = os.environ | ({RECORD_TO: str(record_to)} if record_to else {})
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=600,
            allow_errors=True,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=50"],
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=env)
    return notebook


def errors_in(notebook: Any) -> list[tuple[str, str]]:
    """Return the errors among a notebook's outputs: name and message."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [(output.ename, output.evalue) for output in outputs if output.output_type == "error"]


def recorded(root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """Execute the solutions, and the lessons that record, and return what `answers` should hold."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "answers.jsonl"
        for path in [*sorted(root.glob("notebooks/*.ipynb")), *sorted(root.glob("solutions/*/*.ipynb"))]:
            if '"record"' not in path.read_text("utf-8"):  # no cell with this tag
                continue
            source, start = path.relative_to(root).as_posix(), time.monotonic()
            target.write_text("", "utf-8")
            failed = [e for e in errors_in(run_notebook(path, target)) if e[0] not in _OLD_ANSWERS]
            if failed:
                raise ParameterError(f"{source}: {name}: {message}" for name, message in failed)
            for line in target.read_text("utf-8").splitlines():
                spec = json.loads(line)
                point = spec.pop("point")
                if point in found:
                    raise ParameterError(f"{source}: {point} is also recorded by {found[point]['source']}")
                found[point] = spec | {"source": source}
            print(f"{source}: executed in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return dict(sorted(found.items()))


def differences(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> list[str]:
    """Compare two recordings: one line per question that is new, gone or changed."""
    lines = [f"{point}: not in answers.json" for point in sorted(new.keys() - old.keys())]
    lines += [f"{point}: no longer recorded by any notebook" for point in sorted(old.keys() - new.keys())]
    for point in sorted(old.keys() & new.keys()):
        changed = [n for n in old[point] | new[point] if not _equal(old[point].get(n), new[point].get(n))]
        lines += [f"{point}: {', '.join(changed)} changed"] if changed else []
    return lines


def _equal(a: Any, b: Any) -> bool:
    """Equal but for the last digits of floats, which differ between machines."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-5)
    return type(a) is type(b) and a == b


# ---- building ---------------------------------------------------------------------------------------


def student_version(text: str, config: Any) -> str:
    """Return the exercise made of one solution notebook: no solutions, outputs, or instructor's cells.

    Parameters
    ----------
    text : str
        The solution, as JSON.
    config : traitlets.config.Config
        The content of ``nbgrader_config.py``.
    """
    import nbformat

    notebook, resources = nbformat.reads(text, as_version=4), {}
    for step in config.GenerateAssignment.preprocessors:
        if step.__name__ != "SaveCells":  # that one writes to nbgrader's database
            notebook, resources = step(config=config).preprocess(notebook, resources)
    return nbformat.writes(notebook) + "\n"


def built(root: Path = ROOT) -> dict[str, bytes]:
    """Return what ``exercises/`` should hold: path below it -> content."""
    try:
        import nbgrader  # noqa: F401
    except ImportError:
        raise CustkitError("building exercises needs nbgrader: pip install 'custkit[instructor]'") from None
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    found, problems = {}, []
    for path in _files(root / "solutions"):
        name = path.relative_to(root / "solutions").as_posix()
        try:
            notebook = path.suffix == ".ipynb"
            content = (
                student_version(path.read_text("utf-8"), config).encode() if notebook else path.read_bytes()
            )
        except Exception as error:  # nbgrader raises plain RuntimeErrors and ValidationErrors
            cause = error.__context__ or error  # nbgrader's own message often hides the cause
            problems.append(f"solutions/{name}: {str(cause).splitlines()[0]}")
        else:
            found[name] = content
    if problems:
        raise ParameterError(problems)
    return found


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder, without hidden ones and caches."""
    hidden = (".", "__pycache__")
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [p for p in files if not any(part.startswith(hidden) for part in p.relative_to(folder).parts)]


def out_of_sync(root: Path = ROOT) -> dict[str, bytes | None]:
    """Compare ``exercises/`` with what ``solutions/`` generate.

    Returns
    -------
    dict of str to bytes or None
        Path below ``exercises/`` -> the content it should have; None for a file that should not exist.
    """
    want, folder = built(root), root / "exercises"
    have = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}
    return {name: want.get(name) for name in sorted(want | have) if want.get(name) != have.get(name)}


# ---- the command ------------------------------------------------------------------------------------


def _record(root: Path, check: bool) -> int:
    path = root / ANSWERS.relative_to(ROOT)
    old = json.loads(path.read_text("utf-8")) if path.exists() else {}
    new = recorded(root)
    lines = differences(old, new)
    for line in lines:
        print(f"answers.json: {line}")
    if lines and not check:
        path.write_text(json.dumps(new, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"{len(new)} answers, {len(lines)} of them {'out of date' if check else 'written anew'}")
    return 1 if lines and check else 0


def _build(root: Path, check: bool) -> int:
    stale = out_of_sync(root)
    for name, content in stale.items():
        path = root / "exercises" / name
        if check:
            print(f"out of sync: exercises/{name}")
        elif content is None:
            path.unlink()
            print(f"removed exercises/{name}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"wrote exercises/{name}")
    if not stale:
        print("exercises/ is what solutions/ generate")
    return 1 if stale and check else 0


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m custkit.checks``; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m custkit.checks", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="execute the solutions and write custkit/answers.json")
    build = commands.add_parser("build", help="make exercises/ from solutions/")
    for command in (record, build):
        command.add_argument(
            "--check", action="store_true", help="write nothing; end with 1 when out of date"
        )
        command.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    try:
        return (_record if options.command == "record" else _build)(options.root, options.check)
    except CustkitError as error:
        for fault in error.faults:
            print(f"error: {fault}", file=sys.stderr)
        return 2
