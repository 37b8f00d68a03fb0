"""The Makefile: what each target sets up, tried in a copy whose Python only writes down what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("awk", "bash", "chmod", "cp", "dirname", "id", "make", "mkdir", "rm", "test", "touch")

# Stands for Python: `-c` answers the version question, `-m venv DIR` makes an environment of such
# scripts, everything is noted in calls.log.
FAKE = """#!/bin/bash
case "$1 $2" in
  "--version "*) echo "Python {version}"; exit 0;;
  "-c "*) exit {old};;
  "-m venv") mkdir -p "$3/bin"
    for name in python custkit ruff jupyter; do cp "$0" "$3/bin/$name"; done
    exit 0;;
esac
echo "${{0##*/}} $*" >> calls.log
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with the Makefile and its inputs, and a function that runs make there."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-test.lock"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in TOOLS:
        (bin_ / tool).symlink_to(shutil.which(tool))

    def make(*arguments: str, version: str = "3.11.7") -> subprocess.CompletedProcess:
        python = bin_ / "python3"
        python.write_text(FAKE.format(version=version, old=int(version < "3.11")), encoding="utf-8")
        python.chmod(0o755)
        environment = {"PATH": str(bin_), "HOME": str(tmp_path)}
        return subprocess.run(
            ["make", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return make


def installs(folder: Path) -> list[str]:
    """Which locks were installed, in order; the log starts anew."""
    log = folder / "calls.log"
    found = re.findall(r"pip install .*-r (\S+)", log.read_text(encoding="utf-8")) if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def touch_later(path: Path) -> None:
    """Give a file a modification time after every stamp."""
    later = path.stat().st_mtime + 100
    os.utime(path, (later, later))


def test_plain_make_lists_every_command_on_one_line(clone):
    result = clone()
    assert result.returncode == 0
    listed = re.findall(r"(?m)^  make ([a-z]+) +\S", result.stdout)
    assert listed[:7] == ["help", "setup", "lab", "run", "report", "test", "bench"]
    phony = re.search(r"(?m)^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))[1].split()
    assert sorted(listed) == sorted(phony)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (["run"], ["requirements.lock"]),
        (["test"], ["requirements.lock", "requirements-test.lock"]),
        (["run", "test"], ["requirements.lock", "requirements-test.lock"]),
        (["test", "run"], ["requirements.lock", "requirements-test.lock"]),
        (["test", "test", "run", "run"], ["requirements.lock", "requirements-test.lock"]),
    ],
)
def test_each_command_works_alone_and_in_either_order(clone, tmp_path, calls, expected):
    for call in calls:
        result = clone(call)
        assert result.returncode == 0, result.stderr
    assert installs(tmp_path) == expected


def test_both_at_once_set_up_once(clone, tmp_path):
    assert clone("-j", "4", "run", "test").returncode == 0
    assert installs(tmp_path) == ["requirements.lock", "requirements-test.lock"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("requirements.lock", ["requirements.lock", "requirements-test.lock"]),
        ("pyproject.toml", ["requirements.lock", "requirements-test.lock"]),
        ("requirements-test.lock", ["requirements-test.lock"]),
        ("Makefile", []),
    ],
)
def test_a_changed_lock_is_installed_by_the_next_call(clone, tmp_path, changed, expected):
    clone("test")
    installs(tmp_path)
    touch_later(tmp_path / changed)
    assert clone("test").returncode == 0
    assert installs(tmp_path) == expected


def test_a_failed_installation_is_tried_again(clone, tmp_path):
    clone("setup")
    installs(tmp_path)
    for stamp in (tmp_path / ".venv").glob(".ready-*"):
        stamp.unlink()  # what a failing pip leaves: no stamp
    clone("setup")
    assert installs(tmp_path) == ["requirements.lock"]


def test_an_old_python_gets_one_clear_line(clone, tmp_path):
    result = clone("run", version="2.7.18")
    assert result.returncode == 2
    assert "Python 3.11 or newer is needed, and none was found (Python 2.7.18)." in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_lab_hands_out_exercises_then_opens_the_start_page(clone, tmp_path):
    assert clone("lab", "LAB=--no-browser").returncode == 0
    calls = (tmp_path / "calls.log").read_text(encoding="utf-8").splitlines()[-2:]
    assert calls[0] == "python notebooks/_course/workbook.py copy-exercises"
    assert re.fullmatch(r"jupyter lab (--allow-root )?--no-browser notebooks/00_start_here.ipynb", calls[1])


def test_report_asks_for_a_file(clone):
    clone("setup")
    result = clone("report")
    assert result.returncode == 2 and "make report ORDERS=my_orders.csv" in result.stderr


def test_report_passes_file_and_columns_on(clone, tmp_path):
    result = clone("report", "ORDERS=my orders.csv", "COLUMNS=customer_id=Cust,amount=Sales")
    assert result.returncode == 0, result.stderr
    log = (tmp_path / "calls.log").read_text(encoding="utf-8")
    assert "report rfm-forecast --orders my orders.csv --columns customer_id=Cust,amount=Sales" in log


def test_continuous_integration_calls_the_readmes_command():
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in run and run.rstrip().endswith("exec make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^ +- run: (.+)$", workflow) == [".ci/run"]
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
