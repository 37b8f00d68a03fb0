"""``custkit doctor``: does this computer have what custkit needs, and if not, what is to be done?"""

from __future__ import annotations

import importlib.metadata as metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .order_files import shortened

MEND = "install custkit anew in a fresh environment (README, first screen)"
OLDEST_PYTHON = (3, 11)
CDNOW_SAMPLE = (2357, 6919)  # customers and rows of the sample shipped with lifetimes
EXTRAS = {
    "spark": "to run the order queries in Spark",
    "instructor": "to mark exercises with nbgrader",
    "dev": "to run the tests and change custkit",
}


@dataclass(frozen=True)
class Finding:
    """One line of the check: ``ok``, ``missing`` (needed) or ``optional`` (not here, not needed for most)."""

    status: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.status:<9} {self.what}" + (f"\n{'':<9} -> {self.remedy}" if self.remedy else "")


def main() -> int:
    """Print a line per check as it ends; 1 when something needed is missing, else 0."""
    missing = 0
    for check in (python, packages, extras, java, kernel, fonts, cdnow, write_access):
        for finding in _findings(check):
            print(finding, flush=True)
            missing += finding.status == "missing"
    print(f"\n{missing} needed thing(s) missing" if missing else "\neverything needed is here")
    return 1 if missing else 0


def _findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; one that stops itself is a finding, not a traceback."""
    try:
        yield from check()
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")
        yield Finding("missing", f"the check of {check.__name__} stopped: {shortened(said, 200)}", MEND)


def python() -> Iterator[Finding]:
    """The version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        yield Finding("ok", f"Python {version}")
    else:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("missing", f"Python {version} is too old", f"install Python {wanted} or newer")


def packages(requirements: list[str] | None = None) -> Iterator[Finding]:
    """Every required package, its version against custkit's requirement."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        yield Finding("missing", "package 'packaging' is not installed", "pip install packaging")
        return
    try:
        texts = requirements if requirements is not None else metadata.requires("custkit") or []
    except metadata.PackageNotFoundError:
        yield Finding("missing", "custkit itself is not installed", "run pip install . in its folder")
        return
    for requirement in map(Requirement, texts):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement, "missing")


def extras() -> Iterator[Finding]:
    """The optional groups of packages: one line each."""
    try:
        from packaging.requirements import Requirement

        requirements = [Requirement(text) for text in metadata.requires("custkit") or []]
    except ImportError:
        return  # the packages check has said so
    for extra, purpose in EXTRAS.items():
        wanted = [
            r
            for r in requirements
            if r.marker and r.marker.evaluate({"extra": extra}) and not r.marker.evaluate({"extra": ""})
        ]
        lacking = [r.name for r in wanted if _package(r, "optional").status != "ok"]
        if lacking:
            what = f"[{extra}] {purpose}: without {', '.join(lacking)}"
            yield Finding("optional", what, f'pip install "custkit[{extra}]"')
        else:
            yield Finding("ok", f"[{extra}] {purpose}")


def java(find: Callable[[str], str | None] = shutil.which) -> Iterator[Finding]:
    """Java, which only Spark needs."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else find("java")
    try:
        if program is None:
            raise FileNotFoundError("java")
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=True)
        yield Finding("ok", f"Java for Spark: {said.stderr.splitlines()[0]}")
    except (OSError, subprocess.SubprocessError, IndexError):
        yield Finding("optional", "Java does not start; only Spark needs it", "install Java 17")


def kernel() -> Iterator[Finding]:
    """The notebook kernel: the right Python, and it starts and finds custkit."""
    remedy = f"{sys.executable} -m ipykernel install --sys-prefix"
    try:
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import start_new_kernel

        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
        found = shutil.which(command) or command
        if command not in ("python", "python3") and not os.path.samefile(found, sys.executable):
            yield Finding("missing", "the notebook kernel 'python3' belongs to another Python", remedy)
            return
        manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=50"])
        try:
            reply = client.execute_interactive("import custkit", timeout=60, output_hook=lambda message: None)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    except Exception as error:
        yield Finding("missing", f"the notebook kernel does not start ({type(error).__name__})", remedy)
        return
    if reply["content"]["status"] == "ok":
        yield Finding("ok", "notebook kernel: starts and finds custkit")
    else:
        yield Finding("missing", "the notebook kernel does not find custkit", remedy)


def fonts() -> Iterator[Finding]:
    """The font of the figures, and one for Chinese labels."""
    try:
        from matplotlib import font_manager
    except ImportError:
        return  # the packages check has said so
    names = {font.name for font in font_manager.fontManager.ttflist}
    if "DejaVu Sans" in names:
        yield Finding("ok", "font of the figures: DejaVu Sans")
    else:
        remedy = "pip install --force-reinstall matplotlib"
        yield Finding("missing", "matplotlib's own font DejaVu Sans is not there", remedy)
    chinese = sorted(name for name in names if "CJK" in name or name in ("Microsoft YaHei", "PingFang SC"))
    chinese.sort(key=lambda name: not name.endswith("SC"))
    if chinese:
        yield Finding("ok", f"font for Chinese labels: {chinese[0]}")
    else:
        yield Finding("optional", "no font for Chinese labels in figures", "install Noto Sans CJK SC")


def cdnow() -> Iterator[Finding]:
    """The real orders that the demonstration and the lessons use."""
    try:
        from .tables import cdnow as read_cdnow

        sample = read_cdnow(sample=True)
        found = (sample["customer_id"].nunique(), len(sample))
    except Exception as error:
        what = f"the CDNOW orders cannot be read ({type(error).__name__})"
        yield Finding("missing", what, "pip install --force-reinstall lifetimes")
        return
    if found == CDNOW_SAMPLE:
        yield Finding("ok", f"CDNOW orders: sample of {found[0]:,} customers, {found[1]:,} rows")
    else:
        what = f"the CDNOW sample has {found[0]:,} customers and {found[1]:,} rows, not {CDNOW_SAMPLE}"
        yield Finding("missing", what, "pip install --force-reinstall lifetimes")


def write_access(folder: Path | None = None) -> Iterator[Finding]:
    """Whether reports can be written into this folder."""
    folder = Path.cwd() if folder is None else folder
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = f"cannot write into this folder ({error.strerror})"
        yield Finding("missing", what, "change to another folder, or give custkit report --out DIR")
    else:
        yield Finding("ok", "this folder can be written to")


def _package(requirement, absent: str) -> Finding:
    """Installed version of one package against its requirement."""
    remedy = f'pip install "{requirement.name}{requirement.specifier}"'
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(absent, f"{requirement.name}: not installed", remedy)
    if not requirement.specifier.contains(version, prereleases=True):
        what = f"{requirement.name} {version}: needs {requirement.specifier}"
        return Finding(absent, what, remedy)
    return Finding("ok", f"{requirement.name} {version}")
