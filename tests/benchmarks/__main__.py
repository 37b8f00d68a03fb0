"""Measure speed beside other libraries and print one table: `make bench`.

Each `bench_*.py` in this folder has a function `run() -> list[dict]`. It measures and returns rows:

    figure   what was measured, in words ("purchase summary, 10,000,000 orders, integer ids")
    ours     our time in seconds (float), or any other measure as text ("1.1 GB")
    peer     what it is compared with, and its time or limit, as text ("lifetimes, 16.1 s"; "limit 25 s")
    ratio    peer over ours, or limit over ours: larger is better (float)
    target   what is to be reached, as text (">= 5 times faster")
    reached  whether it was (bool)

Peers are timed in the same run as ours; take medians of five where a run is short. A file may print what
it is doing. Each runs in a process of its own, so that memory and imports of one do not weigh on another;
`python tests/benchmarks fit orders` runs only the files whose names contain one of the words. The table is
also written to `build/bench.md`. A timing is a figure for people, never an assertion: the command fails
only when a file cannot be measured.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from markdown_table import markdown_table  # noqa: E402

TABLE = HERE.parents[1] / "build" / "bench.md"
COLUMNS = ("figure", "ours", "peer", "ratio", "target", "reached")


def measure(path: Path, out: Path) -> None:
    """Run one file's `run()` in this process and store its rows as JSON."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # so that a file may start processes of its own
    sys.path.insert(0, str(HERE))
    spec.loader.exec_module(module)
    rows = module.run()
    wrong = [row for row in rows if set(row) != set(COLUMNS)]
    if wrong:
        raise ValueError(f"{path.name}: a row has {sorted(wrong[0])}, expected {sorted(COLUMNS)}")
    text = json.dumps(rows, default=lambda value: value.item())  # numpy numbers and booleans as plain ones
    out.write_text(text, encoding="utf-8")


def cells(row: dict) -> list[str]:
    """One row as text, ready for the table."""
    ours = row["ours"] if isinstance(row["ours"], str) else f"{row['ours']:.3g} s"
    reached = "yes" if row["reached"] else "NO"
    return [row["figure"], ours, row["peer"], f"{row['ratio']:.3g}", row["target"], reached]


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table."""
    return markdown_table(COLUMNS, [cells(row) for row in rows])


def main(words: list[str]) -> int:
    files = [p for p in sorted(HERE.glob("bench_*.py")) if not words or any(word in p.stem for word in words)]
    if not files:
        print("No benchmark matches.", file=sys.stderr)
        return 2
    rows, failed = [], []
    for number, path in enumerate(files, 1):
        print(f"{number} of {len(files)}  {path.name} ...", flush=True)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "rows.json"
            done = subprocess.run([sys.executable, __file__, "--one", str(path), str(out)])
            if done.returncode:
                failed.append(path.name)
            else:
                rows += json.loads(out.read_text(encoding="utf-8"))
        print(f"{number} of {len(files)}  {path.name}: {time.perf_counter() - started:.0f} s", flush=True)
    text = table(rows)
    python = f"Python {platform.python_version()}"
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, {python}"
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(f"{text}\n\n{machine}\n", encoding="utf-8")
    print(f"\n{text}\n\n{machine}; also in build/bench.md")
    for name in failed:
        print(f"error: {name} could not be measured; its own message is above", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
