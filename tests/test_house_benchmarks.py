"""The benchmark runner: a process for each file, one table, and a failing exit only for a broken file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

RUNNER = Path(__file__).parent / "benchmarks" / "__main__.py"
ROW = {
    "figure": "counting",
    "ours": 0.5,
    "peer": "loop, 2 s",
    "ratio": 4.0,
    "target": ">= 2",
    "reached": True,
}


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The runner, looking for benchmarks in a folder of the test."""
    spec = importlib.util.spec_from_file_location("benchmark_runner", RUNNER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "TABLE", tmp_path / "build" / "bench.md")
    return module


def write(folder: Path, name: str, rows: list[dict]) -> None:
    code = f"import json\n\ndef run():\n    print('measuring')\n    return json.loads({json.dumps(rows)!r})\n"
    (folder / name).write_text(code, encoding="utf-8")


def test_one_table_of_all_files(runner, tmp_path, capsys):
    write(tmp_path, "bench_a.py", [ROW])
    write(tmp_path, "bench_b.py", [{**ROW, "figure": "memory", "ours": "1.1 GB", "reached": False}])
    assert runner.main([]) == 0
    out = capsys.readouterr().out
    assert "1 of 2  bench_a.py ..." in out and "2 of 2  bench_b.py:" in out
    lines = (tmp_path / "build" / "bench.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:4]]
    assert cells[0] == ["figure", "ours", "peer", "ratio", "target", "reached"]
    assert cells[2] == ["counting", "0.5 s", "loop, 2 s", "4", ">= 2", "yes"]
    assert cells[3] == ["memory", "1.1 GB", "loop, 2 s", "4", ">= 2", "NO"]
    assert len({len(line) for line in lines[:4]}) == 1


def test_a_word_chooses_files(runner, tmp_path, capsys):
    write(tmp_path, "bench_a.py", [ROW])
    write(tmp_path, "bench_b.py", [ROW])
    assert runner.main(["_b"]) == 0
    assert "bench_a" not in capsys.readouterr().out
    assert runner.main(["none"]) == 2


@pytest.mark.parametrize("rows", [[{"figure": "counting"}], [{**ROW, "extra": 1}]])
def test_a_row_of_another_form_is_refused(runner, tmp_path, capfd, rows):
    write(tmp_path, "bench_a.py", [ROW])
    write(tmp_path, "bench_b.py", rows)
    assert runner.main([]) == 1
    captured = capfd.readouterr()
    assert "bench_b.py could not be measured" in captured.err and "bench_b.py: a row has" in captured.err
    assert "| counting" in captured.out  # what could be measured is still shown
