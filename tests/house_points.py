"""House rules about courseware points: which are carried where, by `coverage.csv`."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from house_prose import Notebook, source


def read_coverage() -> list[dict[str, str]]:
    """Rows of tests/coverage.csv; `live` says what the row has now: nothing, notebook, or both."""
    with Path(__file__).with_name("coverage.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def points(notebook: Notebook) -> set[str]:
    """Courseware points named in cell metadata."""
    return {point for cell in notebook["cells"] for point in cell["metadata"].get("points", [])}


def coverage(rows: list[dict[str, str]], carried: dict[str, set[str]]) -> list[str]:
    """Each live point is carried where its row says; nothing is carried that is not a live row.

    `carried` maps a notebook ("02a") or exercise set ("X2.2") that exists to the points in its cells.
    """
    faults = []
    known = {row["point"]: row for row in rows}
    for row in rows:
        wanted = {"": [], "notebook": ["notebook"], "both": ["notebook", "exercise"]}.get(row["live"])
        if wanted is None:
            faults.append(
                f"coverage.csv: {row['point']}: live is {row['live']!r}; leave empty or say notebook, both"
            )
            continue
        for place in ("notebook", "exercise"):
            has = row["point"] in carried.get(row[place], set())
            if place in wanted and not has:
                faults.append(f"{row['point']} is live but not carried by {place} {row[place]}")
            if place not in wanted and has:
                faults.append(
                    f"{row['point']} is carried by {place} {row[place]}; make its row live in coverage.csv"
                )
    for name, found in carried.items():
        faults += [f"{name}: {point} is not a row of coverage.csv" for point in sorted(found - set(known))]
    return faults


def points_named(notebook: Notebook, rows: list[dict[str, str]]) -> list[str]:
    """The header names each given coverage row by its number and its Chinese term."""
    text = "\n".join(source(cell) for cell in notebook["cells"][:6] if cell["cell_type"] == "markdown")
    return [
        f"the header does not name {row['point']} {row['title_zh_cn']}"
        for row in rows
        if not (re.search(rf"\b{re.escape(row['point'])}\b", text) and row["title_zh_cn"] in text)
    ]
