"""Purchase summary of a large order log, beside lifetimes, plain pandas and DuckDB's bare grouping.

Every measurement is a process of its own: seconds from opening the Parquet file to the frame in hand
(imports not counted, for nobody), and the process's peak memory. The contenders take turns, so that a busy
moment of the machine meets all of them. `CUSTKIT_BENCH_ORDERS` and `CUSTKIT_BENCH_REPEATS` make it smaller.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ORDERS = int(os.environ.get("CUSTKIT_BENCH_ORDERS", 10_000_000))
REPEATS = int(os.environ.get("CUSTKIT_BENCH_REPEATS", 5))
END = "2023-12-31"


def write_orders(path: Path, orders: int, ids: str) -> None:
    """Made orders over two years, in order of date; about 0.32 customers an order, some far more active."""
    import duckdb

    customer = "'C' || lpad(cast(k as varchar), 9, '0')" if ids == "string" else "k"
    with duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(path.parent)}) as con:
        con.execute("set enable_progress_bar = false")
        con.execute(f"""
            copy (
                select {customer} as customer_id,
                       date '2022-01-01' + cast(floor(i * 730.0 / {orders}) as int) as order_date,
                       round(5 + exp(3 + 0.8 * sqrt(-2 * ln(u)) * cos(2 * pi() * v)), 2) as amount
                from (
                    select i,
                           cast(floor({orders} * 0.34 * pow((hash(i) % 1000000007) / 1000000007, 1.35))
                                as bigint) as k,
                           (hash(7 * i + 1) % 999983 + 1) / 999984 as u,
                           (hash(11 * i + 5) % 999983) / 999983 as v
                    from range({orders}) as made(i)
                )
            ) to '{path}' (format parquet)""")


def custkit_summary(path: str):
    import duckdb  # noqa: F401  loaded before the clock starts, as for the others
    import pyarrow  # noqa: F401

    from custkit import orders

    started = time.perf_counter()
    return started, orders.purchase_summary(path, observation_end=END, time_unit="D")


def lifetimes_summary(path: str):
    import pyarrow.parquet as pq
    from lifetimes.utils import summary_data_from_transaction_data

    started = time.perf_counter()
    frame = pq.read_table(path).to_pandas(date_as_object=False)
    return started, summary_data_from_transaction_data(
        frame, "customer_id", "order_date", "amount", observation_period_end=END, freq="D"
    )


def pandas_summary(path: str):
    import pandas as pd
    import pyarrow.parquet as pq

    started = time.perf_counter()
    frame = pq.read_table(path).to_pandas(date_as_object=False)
    days = frame.groupby(["customer_id", "order_date"], as_index=False)["amount"].sum()  # sorted by both
    found = days.groupby("customer_id", sort=False).agg(
        days=("amount", "size"),
        first=("order_date", "first"),
        last=("order_date", "last"),
        total=("amount", "sum"),
        first_amount=("amount", "first"),
    )
    day, repeats = pd.Timedelta(days=1), found["days"] - 1
    return started, pd.DataFrame(
        {
            "frequency": repeats.astype(float),
            "recency": (found["last"] - found["first"]) / day,
            "T": (pd.Timestamp(END) - found["first"]) / day,
            "monetary_value": ((found["total"] - found["first_amount"]) / repeats.where(repeats > 0)).fillna(
                0.0
            ),
        }
    )


def duckdb_grouping(path: str):
    import duckdb
    import pandas  # noqa: F401  loaded before the clock starts, as for the others
    import pyarrow  # noqa: F401

    started = time.perf_counter()
    con = duckdb.connect(config={"preserve_insertion_order": False})
    con.execute("set enable_progress_bar = false")
    log = con.read_parquet(path)
    return started, log.query(
        "log",
        "select customer_id, count(*) as orders, min(order_date) as first, max(order_date) as last, "
        "sum(amount) as amount from log group by customer_id",
    ).df()


CONTENDERS = {
    "custkit": custkit_summary,
    "lifetimes": lifetimes_summary,
    "plain pandas": pandas_summary,
    "DuckDB reading and grouping": duckdb_grouping,
}


def measure(contender: str, path: Path) -> tuple[float, float, int]:
    """Seconds, peak megabytes and customers of one contender in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, contender, str(path)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{contender} on {path.name}: {done.stderr.strip().splitlines()[-1:]}")
    seconds, megabytes, customers = done.stdout.split()[-3:]
    return float(seconds), float(megabytes), int(customers)


def compared(path: Path, name: str) -> list[dict]:
    """Rows for one file: three speed ratios and the peak memory."""
    runs = {contender: [] for contender in CONTENDERS}
    for number in range(REPEATS):
        for contender, done in runs.items():
            done.append(measure(contender, path))
            print(
                f"  {name} {contender}, run {number + 1}: {done[-1][0]:.2f} s, {done[-1][1]:,.0f} MB",
                flush=True,
            )
    sizes = {done[0][2] for done in runs.values()}
    if len(sizes) != 1:
        raise RuntimeError(f"the contenders disagree on the number of customers: {sizes}")
    seconds = {contender: statistics.median(run[0] for run in done) for contender, done in runs.items()}
    memory = max(run[1] for run in runs["custkit"])
    rows = []
    for peer, least in (("lifetimes", 5.0), ("plain pandas", 2.5), ("DuckDB reading and grouping", 0.5)):
        ratio = seconds[peer] / seconds["custkit"]
        rows.append(
            {
                "figure": f"purchase summary, {name}",
                "ours": seconds["custkit"],
                "peer": f"{peer}, {seconds[peer]:.1f} s",
                "ratio": ratio,
                "target": f">= {least:g} times as fast" if least > 1 else "within 2 times",
                "reached": ratio >= least,
            }
        )
    return [*rows, memory_row(f"peak memory, {name}", memory, 1_500)]


def memory_row(figure: str, megabytes: float, limit: float) -> dict:
    return {
        "figure": figure,
        "ours": f"{megabytes / 1000:.2f} GB",
        "peer": f"limit {limit / 1000:g} GB",
        "ratio": limit / megabytes,
        "target": f"<= {limit / 1000:g} GB",
        "reached": megabytes <= limit,
    }


def run() -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="custkit-bench-") as folder:
        for ids in ("integer", "string"):
            path = Path(folder) / f"{ids}.parquet"
            write_orders(path, ORDERS, ids)
            rows += compared(path, f"{ORDERS:,} orders, {ids} ids")
            path.unlink()
        path = Path(folder) / "large.parquet"
        write_orders(path, 10 * ORDERS, "string")
        seconds, megabytes, customers = measure("custkit", path)
        name = f"{10 * ORDERS:,} orders of {customers:,} customers, string ids"
        print(f"  {name}: {seconds:.1f} s, {megabytes:,.0f} MB", flush=True)
        rows.append(memory_row(f"peak memory, {name}, {seconds:.0f} s", megabytes, 6_000))
    return rows


if __name__ == "__main__":
    begun, answer = CONTENDERS[sys.argv[1]](sys.argv[2])
    took = time.perf_counter() - begun
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, len(answer))
