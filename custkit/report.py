"""Run report notebooks: parameters in, one offline HTML page and its tables out, or one line per fault.

A report is executed by papermill in a kernel of its own. Everything is written to a temporary folder next to
the place asked for and moved there at the end, so a run that fails leaves no half-written result.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

from . import __version__, errors
from .reports import FOLDER as REPORTS
from .reports import Report, check_parameters

FAILED = "{name}-failed.ipynb"
_OWN_ERRORS = ("CustkitError", "DataError", "ParameterError", "ModelError")


class ReportFailure(errors.CustkitError):
    """A report stopped for a reason nobody foresaw: a fault of the report, not of the data."""


@dataclass(frozen=True)
class Result:
    """What a run left: page, names of all files, rows (``in``, ``used``, ``set_aside``) and seconds."""

    page: Path
    files: tuple[str, ...]
    rows: dict[str, int]
    seconds: float


class Progress:
    """One line per step, with its seconds, on a stream (None: silent)."""

    def __init__(self, stream: TextIO | None = None):
        self.stream, self.open_since = stream, None

    def step(self, text: str) -> None:
        """End the step before, if any, and begin one."""
        self.done()
        if self.stream:
            print(f"  {text} …", end="", file=self.stream, flush=True)
        self.open_since = time.perf_counter()

    def done(self) -> None:
        """End the step that is open."""
        if self.stream and self.open_since is not None:
            print(f" {time.perf_counter() - self.open_since:.1f} s", file=self.stream, flush=True)
        self.open_since = None


def run_report(
    report: Report, given: Mapping[str, Any], out: str | Path, *, progress: TextIO | None = None
) -> Result:
    """Run one report.

    Parameters
    ----------
    report : Report
        From :func:`custkit.reports.find`.
    given : mapping
        Parameters by name, as text or as Python values; those left out keep their defaults.
    out : path
        Folder for the page ``<name>.html`` and the files beside it; made when missing, and only at the end.
    progress : text stream, optional
        Where one line per step is written.

    Returns
    -------
    Result

    Raises
    ------
    ParameterError, DataError
        Parameters or data cannot be used; nothing is written. All faults are in ``faults``.
    ReportFailure
        Anything else that stopped the report; ``<name>-failed.ipynb`` in `out` holds the details.
    """
    values = check_parameters(report, given)
    started, out, steps = time.perf_counter(), Path(out), Progress(progress)
    with _workplace(out) as work:
        steps.step("starting Python for the report")
        try:
            book = _execute(report, {**values, "output_dir": str(work)}, work, out, steps.step)
            steps.step("writing the page")
            (work / f"{report.name}.html").write_text(to_html(book, report.title), "utf-8")
            rows = _complete_summary(work, run_key(report, values))
            files = _move(work, out, last=f"{report.name}.html")
            out.joinpath(FAILED.format(name=report.name)).unlink(missing_ok=True)
        finally:
            steps.done()
    return Result(out / f"{report.name}.html", files, rows, time.perf_counter() - started)


def is_done(report: Report, given: Mapping[str, Any], out: str | Path) -> bool:
    """Whether `out` holds this report, finished, of the same parameters, file and version of custkit."""
    out = Path(out)
    try:
        run = json.loads((out / "summary.json").read_text("utf-8"))["run"]
    except (OSError, ValueError, KeyError):
        return False
    key = run_key(report, check_parameters(report, given))
    return run["key"] == key and (out / f"{report.name}.html").exists()


def run_table(
    report: Report, runs: Mapping[str, Mapping[str, Any]], out: str | Path, *, jobs: int, progress: TextIO
) -> dict[str, errors.CustkitError]:
    """Run a report once per entry of `runs`, `jobs` at a time, each into the folder `out`/name.

    Runs already done with the same parameters, file and version are not repeated. One line per run is
    written to `progress`. Returns the errors of the runs that failed, by name.
    """
    out, failed = Path(out), {}
    todo = {name: given for name, given in runs.items() if not is_done(report, given, out / name)}
    if len(todo) < len(runs):
        print(f"  {len(runs) - len(todo)} of {len(runs)} done before", file=progress, flush=True)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_report, report, given, out / name): name for name, given in todo.items()}
        for count, future in enumerate(as_completed(waiting), 1):
            name = waiting[future]
            try:
                said = f"done in {future.result().seconds:.1f} s"
            except errors.CustkitError as error:
                failed[name], said = error, "failed"
            print(f"  [{count}/{len(todo)}] {name}: {said}", file=progress, flush=True)
    return failed


def run_key(report: Report, values: Mapping[str, Any]) -> str:
    """A hash of all that a result depends on: notebook, version, parameters, size and time of the files."""
    parts: list[Any] = [__version__, report.path.read_bytes().hex(), sorted(values.items())]
    for name, value in sorted(values.items()):
        if report.parameters[name].is_file and Path(value).is_file():
            stat = Path(value).stat()
            parts.append([stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """A temporary folder on the disk of `out`; always removed. Nothing is made at `out` itself."""
    base = out.absolute().parent
    while not base.exists():
        base = base.parent
    if out.exists() and not out.is_dir():
        raise errors.ParameterError(f"--out {out}: is a file; give a folder")
    try:
        work = Path(tempfile.mkdtemp(prefix=".custkit-", dir=base))
    except OSError as error:
        raise errors.ParameterError(f"--out {out}: cannot write there ({error.strerror})") from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _move(work: Path, out: Path, last: str) -> tuple[str, ...]:
    """Move the finished files into `out`, replacing each in one step, the page last; return their names."""
    out.mkdir(parents=True, exist_ok=True)
    names = [p.name for p in sorted(work.iterdir()) if p.is_file() and not p.name.startswith(".")]
    for name in sorted(names, key=lambda name: name == last):
        os.replace(work / name, out / name)
    return tuple(names)


def _complete_summary(work: Path, key: str) -> dict[str, int]:
    """Add what the run was to the notebook's ``summary.json``; return its row counts."""
    path = work / "summary.json"
    summary = json.loads(path.read_text("utf-8")) if path.exists() else {}
    summary["run"] = {"custkit": __version__, "key": key}
    path.write_text(json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")
    return summary.get("rows", {})


def _execute(
    report: Report, values: dict[str, Any], work: Path, out: Path, begin_step: Callable[[str], None]
) -> Any:
    """The executed notebook; errors of the kernel come back as custkit's own."""
    import logging

    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)

    def on_cell_start(cell, cell_index):
        if step := cell.metadata.get("step"):
            begin_step(step)

    executed = work / ".executed.ipynb"
    try:
        with _environment(work):
            return papermill.execute_notebook(
                str(report.path),
                str(executed),
                parameters=values,
                kernel_name="python3",
                progress_bar=False,
                request_save_on_cell_execute=False,
                on_cell_start=on_cell_start,
                extra_arguments=["--log-level=50", "--HistoryManager.enabled=False"],
            )
    except PapermillExecutionError as error:
        raise _translated(report, error, executed, values, out) from None
    except DeadKernelError:
        raise ReportFailure(f"{report.name}: Python stopped in the middle (out of memory?)") from None


@contextmanager
def _environment(work: Path) -> Iterator[None]:
    """What the kernel is started with.

    A private IPython folder: no start-up files of the user, and a read-only home does no harm. Figures drawn
    without a window, whatever the user draws with. One thread for linear algebra, unless told otherwise: the
    matrices are small, and threads would wait for each other.
    """
    wanted = {"IPYTHONDIR": str(work / ".ipython"), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    wanted["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _translated(report: Report, error: Any, executed: Path, values: dict[str, Any], out: Path) -> Exception:
    """The kernel's error as one of ours: custkit's errors show one line per fault in place of a traceback."""
    if error.ename in _OWN_ERRORS:
        lines = [line.removeprefix(f"{error.ename}: ") for line in error.traceback]
        return getattr(errors, error.ename)(lines)
    out.mkdir(parents=True, exist_ok=True)
    details = out / FAILED.format(name=report.name)
    details.write_text(_without_paths(executed.read_text("utf-8"), values), "utf-8")
    first = next(iter(error.evalue.strip().splitlines()), "")
    if error.ename == "ModuleNotFoundError":
        first += "; run custkit doctor"
    what = f"cell {error.exec_count}: {error.ename}: {first}"
    return ReportFailure(f"{report.name}: {what}  (details: {details})")


def _without_paths(text: str, values: dict[str, Any]) -> str:
    """The text of a notebook with the folders of this machine cut out of it, longest first."""
    given = [Path(v).parent for v in values.values() if isinstance(v, str) and os.sep in v]
    folders = {str(p.absolute()) for p in [*given, Path.cwd(), Path.home(), *map(Path, sys.path)]}
    folders |= {str(p) for p in given}
    for folder in sorted(folders - {"", ".", "/"}, key=len, reverse=True):
        text = text.replace(json.dumps(folder)[1:-1] + json.dumps(os.sep)[1:-1], "").replace(folder, "…")
    return text


def to_html(book: Any, title: str) -> str:
    """One HTML page of an executed notebook: no code, no script, nothing loaded from elsewhere.

    Parameters
    ----------
    book : notebook node
        The executed notebook. Figures keep the alt text of their output metadata; stderr is left out.
    title : str
        The title of the page.
    """
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(
        template_name="base",
        template_file=str(REPORTS / "page.html.j2"),
        exclude_input=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    return exporter.from_notebook_node(book, {"page_title": title})[0]
