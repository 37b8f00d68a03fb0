"""Run, refresh and hand out the workbook's notebooks.

    python notebooks/_course/workbook.py run                  all chapters -> build/notebooks, build/book
    python notebooks/_course/workbook.py refresh a.ipynb ...  re-run in place, keep what did not change
    python notebooks/_course/workbook.py copy-exercises       exercises/ -> work/, never over a student's file

The Makefile calls it; it lives beside the course's other tools because it serves the notebooks, not
customer analysis, and so has no place in the package.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = "[0-9]*.ipynb"
SANITIZER = ROOT / "tests" / "nbval_sanitize.cfg"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_SECONDS = 600


def say(text: str) -> None:
    """Print one line at once, also into a log file."""
    print(text, flush=True)


def shown(path: Path) -> str:
    """The path as a reader of the repository knows it."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def execute(path: Path) -> NotebookNode:
    """Run a notebook from a cold kernel, in its own folder, and return it with fresh outputs.

    Raises
    ------
    RuntimeError
        One line with the file, the cell (counted from 1) and the error, when a cell fails.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=[
            "--log-level=50"
        ],  # the kernel's note about unencrypted local ports is not for readers
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        number = next(
            i
            for i, cell in enumerate(notebook.cells, 1)
            if any(output.output_type == "error" for output in cell.get("outputs", []))
            and "raises-exception" not in cell.metadata.get("tags", [])
        )
        raise RuntimeError(f"{shown(path)}: cell {number}: {error.ename}: {error.evalue}") from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise RuntimeError(f"{shown(path)}: {type(error).__name__}: {str(error).splitlines()[0]}") from None
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def page(notebook: NotebookNode, title: str) -> str:
    """One HTML page with images inside; links to other chapters lead to their pages."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="classic", embed_images=True)  # `lab` drops the alt text
    exporter.require_js_url = exporter.jquery_url = exporter.mermaid_js_url = ""
    html, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    html = re.sub(r'href="([0-9][\w.-]*)\.ipynb', r'href="\1.html', html)
    return html.replace('href="../', 'href="../../')  # build/book/ lies one folder deeper than notebooks/


def run_chapter(path: Path, out: Path) -> tuple[str, float]:
    """Execute one chapter, write its notebook and page; return an error line (or "") and seconds."""
    started = time.perf_counter()
    try:
        notebook = execute(path)
    except RuntimeError as error:
        return str(error), time.perf_counter() - started
    nbformat.write(notebook, out / "notebooks" / path.name)
    (out / "book" / f"{path.stem}.html").write_text(page(notebook, path.stem), encoding="utf-8")
    return "", time.perf_counter() - started


def run(source: Path, out: Path, jobs: int) -> int:
    """Execute every chapter in `source`; one line each; return 1 when any failed."""
    chapters = sorted(source.glob(CHAPTERS))
    if not chapters:
        say(f"No chapter found in {shown(source)}/.")
        return 1
    for folder in ("notebooks", "book"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    say(f"Running {len(chapters)} notebooks, {jobs} at a time ...")
    faults = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tasks = {pool.submit(run_chapter, path, out): path for path in chapters}
        for done, task in enumerate(as_completed(tasks), 1):
            fault, seconds = task.result()
            faults += [fault] if fault else []
            verdict = "FAILED" if fault else "done"
            say(f"  {done} of {len(chapters)}  {tasks[task].name}: {verdict} in {seconds:.1f} s")
    for fault in faults:
        say(f"error: {fault}")
    return 1 if faults else 0


@cache
def sanitizer() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The replacements that `pytest --nbval` applies before it compares, from the same file."""
    from nbval.plugin import get_sanitize_patterns

    rules = get_sanitize_patterns(SANITIZER.read_text(encoding="utf-8"))
    return tuple((re.compile(pattern), replacement) for pattern, replacement in rules)


def comparable(outputs: list[NotebookNode]) -> list[dict]:
    """Outputs as nbval would compare them, images by their bytes, metadata (alt text) included."""
    clean = []
    for output in outputs:
        kept = {key: output[key] for key in ("output_type", "name", "metadata") if key in output}
        texts = {key: output[key] for key in ("text", "ename", "evalue") if key in output}
        for key, value in {**texts, **output.get("data", {})}.items():
            if isinstance(value, str) and not key.startswith("image/"):
                for pattern, replacement in sanitizer():
                    value = pattern.sub(replacement, value)
            kept[key] = value
        clean.append(kept)
    return clean


def refresh(path: Path) -> list[int]:
    """Re-run one notebook in place; return the numbers (from 1) of the cells whose output changed.

    A cell whose output is equal after sanitizing keeps the stored bytes, so that a second refresh
    changes no line. Nothing is written when a cell fails.
    """
    stored = nbformat.read(path, as_version=4)
    fresh = execute(path)
    changed = []
    for number, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True), 1):
        new.metadata.pop("execution", None)
        if new.cell_type != "code":
            continue
        ignored = old.outputs and "nbval-ignore-output" in new.metadata.get("tags", [])
        if ignored or comparable(old.outputs) == comparable(new.outputs):
            new.outputs = old.outputs
        else:
            changed.append(number)
    text = nbformat.writes(fresh) + "\n"
    if text != path.read_text(encoding="utf-8"):
        path.write_text(text, encoding="utf-8")
    return changed


def refresh_all(paths: list[Path]) -> int:
    """Refresh notebooks one after the other; one line each; return 1 when any failed."""
    failed = 0
    for done, path in enumerate(paths, 1):
        started = time.perf_counter()
        try:
            changed = refresh(path)
            what = f"cells changed: {', '.join(map(str, changed))}" if changed else "no output changed"
        except RuntimeError as error:
            failed, what = 1, f"FAILED, not written: {error}"
        say(f"  {done} of {len(paths)}  {shown(path)}: {what} ({time.perf_counter() - started:.1f} s)")
    return failed


def copy_exercises(source: Path, target: Path) -> int:
    """Copy what `target` lacks and name it; a file that is already there is never touched."""
    new = []
    for path in sorted(p for p in source.rglob("*") if p.is_file() and ".ipynb_checkpoints" not in p.parts):
        copy = target / path.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            new.append(copy)
    for copy in new:
        say(f"  new exercise: {target.name}/{copy.relative_to(target).as_posix()}")
    say(f"Your exercises are in {target.name}/ ({len(new)} new; files you already had are as you left them).")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    commands.add_parser("refresh").add_argument("notebooks", nargs="+", type=Path)
    commands.add_parser("copy-exercises")
    chosen = parser.parse_args(arguments)
    if chosen.command == "run":
        return run(ROOT / "notebooks", ROOT / "build", chosen.jobs)
    if chosen.command == "refresh":
        return refresh_all(chosen.notebooks)
    return copy_exercises(ROOT / "exercises", ROOT / "work")


if __name__ == "__main__":
    sys.exit(main())
