"""Drawing the course's company, a large one, and loading the tables.

Each company is drawn by `custkit simulate` in a process of its own. `CUSTKIT_BENCH_CUSTOMERS` makes the large
one smaller (a million customers take some ten minutes).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_orders import memory_row
from bench_report import row

LARGE = int(os.environ.get("CUSTKIT_BENCH_CUSTOMERS", 1_000_000))
_DRAW = """
import resource, sys
from custkit.cli import main
code = main(sys.argv[1:])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def drawn(folder: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak megabytes of one `custkit simulate`."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _DRAW, "simulate", "--out", str(folder), *options],
        capture_output=True,
        text=True,
    )
    code, megabytes = (done.stdout.split() or ["", "0"])[-2:]
    if code not in ("0", "None"):
        raise RuntimeError(f"custkit simulate {' '.join(options)}: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - started, float(megabytes)


def slowest_load(folder: Path) -> tuple[str, float]:
    """The table that takes longest to load, best of three each; its name and seconds."""
    from custkit import tables
    from custkit.course_tables import schema

    times = {}
    for name in schema()["tables"]:
        for _ in range(3):
            started = time.perf_counter()
            tables.load(name, folder)
            times[name] = min(time.perf_counter() - started, times.get(name, 1e9))
    slowest = max(times, key=times.get)
    return slowest, times[slowest]


def run() -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="custkit-bench-") as temporary:
        folder = Path(temporary)
        print("  6,000 customers", flush=True)
        seconds, megabytes = drawn(folder / "full")
        rows.append(row("custkit simulate, 6,000 customers", seconds, 60))
        rows.append(memory_row("peak memory, custkit simulate, 6,000 customers", megabytes, 2_000))
        name, seconds = slowest_load(folder / "full")
        rows.append(row(f"tables.load, slowest of all: {name}", seconds, 0.3))
        print(f"  {LARGE:,} customers", flush=True)
        seconds, megabytes = drawn(folder / "large", "--customers", str(LARGE))
        figure = f"peak memory, custkit simulate, {LARGE:,} customers to Parquet, {seconds:.0f} s"
        rows.append(memory_row(figure, megabytes, 4_000))
    return rows
