"""Locks, environment.yml and imports agree with pyproject.toml."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BASE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = PROJECT["build-system"]["requires"]
LOCKS = {
    "requirements.lock": [*BASE, *BUILD],
    "requirements-test.lock": [*BASE, *BUILD, *EXTRAS["dev"], *EXTRAS["instructor"], *EXTRAS["spark"]],
}
SYSTEMS = [
    {"python_full_version": f"{python}.7", "python_version": python, "sys_platform": system, "os_name": name}
    for python in ("3.11", "3.12", "3.13")
    for system, name in (("linux", "posix"), ("darwin", "posix"), ("win32", "nt"))
]
# Where conda-forge calls a package by another name.
CONDA_NAMES = {"python-duckdb": "duckdb", "jupyter_client": "jupyter-client"}


@cache
def read_lock(name: str) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """{(package, version, marker): hashes}; ValueError for a line that is anything else."""
    entries = {}
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    for line in text.splitlines():
        form = re.fullmatch(
            r"([a-z0-9-]+)==([\w.]+)(?: ; ([^#]+?))?((?:\s+--hash=sha256:[0-9a-f]{64})*)\s*", line
        )
        if form is None:
            raise ValueError(f"{name}: {line[:80]}")
        entries[form[1], form[2], form[3] or ""] = tuple(sorted(form[4].split()))
    return entries


def versions(name: str, system: dict[str, str]) -> dict[str, str]:
    """What a lock installs on one system."""
    return {
        package: version
        for package, version, marker in read_lock(name)
        if not marker
        or Marker(marker).evaluate({**system, "platform_system": "", "implementation_name": "cpython"})
    }


@pytest.mark.parametrize("name", LOCKS)
def test_each_locked_package_has_hashes_and_names_no_host(name):
    entries = read_lock(name)
    assert len(entries) > 100
    assert [entry for entry, hashes in entries.items() if not hashes] == []
    assert not re.search(r"://|--index|--find-links|@|file:", (ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: f"{s['python_version']}-{s['sys_platform']}")
@pytest.mark.parametrize("name", LOCKS)
def test_each_declared_dependency_is_locked_within_its_range(name, system):
    locked = versions(name, system)
    faults = []
    for declared in map(Requirement, LOCKS[name]):
        version = locked.get(canonicalize_name(declared.name))
        if version is None or not declared.specifier.contains(version):
            faults.append(f"{declared} is locked as {version}; run `make locks`")
    assert not faults


def test_the_test_lock_holds_the_readers_lock_unchanged():
    reader, tester = read_lock("requirements.lock"), read_lock("requirements-test.lock")
    packages = {canonicalize_name(package) for package, _, _ in reader}
    assert {key: hashes for key, hashes in tester.items() if key[0] in packages} == reader


def test_conda_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    listed = [one for one in environment["dependencies"] if isinstance(one, str)]
    found = {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in map(Requirement, listed)}
    wanted = {r.name: str(r.specifier) for r in map(Requirement, BASE)}
    assert found == {**wanted, "python": PROJECT["project"]["requires-python"], "pip": ""}
    assert environment["dependencies"][-1] == {"pip": ["--editable ."]}


def imports_of(folder: str) -> dict[str, str]:
    """{third-party module: a file that imports it} below a folder."""
    own = {
        one
        for part in ("notebooks", "tests")
        for path in (ROOT / part).rglob("*.py")
        for one in (path.stem, path.parent.name)
    }
    found: dict[str, str] = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            found |= {name.split(".")[0]: path.relative_to(ROOT).as_posix() for name in names}
    return {
        name: path for name, path in found.items() if name not in {"custkit"} | own | sys.stdlib_module_names
    }


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("custkit", [*BASE, *EXTRAS["instructor"], *EXTRAS["spark"], "polars"]),  # polars frames are accepted
        ("notebooks", BASE),
        ("tests", [*LOCKS["requirements-test.lock"]]),
    ],
)
def test_each_import_is_declared(folder, allowed):
    distributions = packages_distributions()
    names = {canonicalize_name(Requirement(one).name) for one in allowed}
    undeclared = {
        module: path
        for module, path in imports_of(folder).items()
        if not names & {canonicalize_name(one) for one in distributions.get(module, [])}
    }
    assert not undeclared, "\n" + "\n".join(f"{path} imports {module}" for module, path in undeclared.items())


def test_network_is_off_here_and_in_processes_that_tests_start():
    attempt = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    child = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True)
    assert "the network is off in tests" in child.stderr
    with pytest.raises(ConnectionRefusedError, match="network is off"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(ConnectionRefusedError, match="network is off"):
        socket.getaddrinfo("example.org", 80)
    with socket.create_server(("127.0.0.1", 0)) as server:  # this machine stays reachable
        socket.create_connection(server.getsockname(), timeout=1).close()


def test_the_wheel_ships_reports_and_registers_but_no_tests(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "custkit"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shipped >= set(listed.stdout.splitlines())
    assert "custkit/simulate/schema.yml" in shipped  # from datasets/: what `custkit simulate` writes
    assert {name.split("/")[0] for name in shipped} == {"custkit"}
