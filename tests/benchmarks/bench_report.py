"""Importing custkit, and the reports from a shell: each measurement is a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ORDERS = 1_000_000
REPORTS = ("rfm-forecast", "lifecycle-health", "winback-list")
IMPORT_LIMIT, DEMO_LIMIT, MILLION_LIMIT = 0.15, 25.0, 40.0
# What every report pays before its first step, and what the report's kernel imports.
START = (
    "from custkit.report import run_report\n"
    "import papermill, nbconvert.exporters.html\n"
    "from jupyter_client.manager import start_new_kernel\n"
    "manager, client = start_new_kernel()\n"
    "names = 'clv, glossary, orders, pages, plots, rfm, tables'\n"
    "code = f'from custkit import {names}; import scipy.optimize, duckdb'\n"
    "client.execute_interactive(code, timeout=100)\n"
    "client.stop_channels(); manager.shutdown_kernel(now=True)\n"
)


def seconds(*arguments: str, repeats: int = 5) -> float:
    """Median wall time of a fresh Python with these arguments, after one run that warms the disk."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def write_orders(path: Path, rows: int) -> None:
    """A CSV of so many orders over two years: own rates, own leaving, own mean amounts; seed fixed."""
    rng = np.random.default_rng(20240229)
    customers = rows  # more than enough; cut to the number of rows below
    rate, leave = rng.gamma(0.6, 1 / 60, customers), rng.beta(0.8, 2.5, customers)
    first = rng.integers(0, 365, customers)
    bought = np.minimum(rng.poisson(rate * (730 - first)), rng.geometric(leave))
    who = np.repeat(np.arange(customers), bought + 1)[:rows]
    is_first = np.r_[True, np.diff(who) > 0]
    day = first[who] + np.where(is_first, 0, rng.random(len(who)) * (730 - first[who])).astype(int)
    mean = rng.gamma(6, 1, customers)[who] * 6
    frame = pd.DataFrame(
        {
            "customer_id": np.char.add("C", who.astype(str)),
            "order_date": (np.datetime64("2022-01-01") + day).astype(str),
            "amount": np.round(rng.gamma(4, mean / 4), 2) + 0.01,
        }
    )
    frame.sort_values("order_date", kind="stable").to_csv(path, index=False)


def row(figure: str, ours: float, limit: float, note: str = "") -> dict:
    return {
        "figure": figure,
        "ours": ours,
        "peer": f"limit {limit:g} s{note}",
        "ratio": limit / ours,
        "target": f"<= {limit:g} s",
        "reached": ours <= limit,
    }


def run() -> list[dict]:
    bare = seconds("-c", "pass")
    rows = [row("import custkit, over bare Python", seconds("-c", "import custkit") - bare, IMPORT_LIMIT)]
    start = seconds("-c", START, repeats=3)
    with tempfile.TemporaryDirectory() as folder:
        orders = Path(folder, "orders.csv")
        write_orders(orders, ORDERS)
        for name in REPORTS:
            command = ("-m", "custkit", "report", name, "--out", f"{folder}/out")
            demo = seconds(*command, "--demo", repeats=3)
            rows.append(row(f"report {name} --demo", demo, DEMO_LIMIT, f", {start:.1f} s start and imports"))
            million = seconds(*command, "--orders", str(orders), repeats=3)
            rows.append(row(f"report {name}, {ORDERS:,} orders in CSV", million, MILLION_LIMIT))
    return rows
