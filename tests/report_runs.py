"""What the tests of every report do: read a finished page and its tables, run the notebook by itself."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from custkit import reports


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a table that a report wrote."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def read_result(path: Path) -> tuple[str, str, dict]:
    """A page, its text as a reader sees it, and the summary beside it, in which no NaN may stand."""
    page = path.read_text("utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<style>.*?</style>", "", page)))
    summary = json.loads((path.parent / "summary.json").read_text("utf-8"), parse_constant=pytest.fail)
    return page, re.sub(r"\s+", " ", text), summary


def by_papermill(name: str, folder: Path, orders: pd.DataFrame) -> str:
    """The text of a report that plain papermill runs on these orders; it leaves nothing but its notebook."""
    import papermill

    orders.to_csv(folder / "orders.csv", index=False)
    book = papermill.execute_notebook(
        str(reports.find(name).path),
        str(folder / "out.ipynb"),
        {"orders": str(folder / "orders.csv")},
        progress_bar=False,
        extra_arguments=["--log-level=50"],
    )
    outputs = [o for cell in book.cells for o in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type in ("error", "stream")]
    assert [p.name for p in folder.iterdir() if p.name not in ("orders.csv", "out.ipynb")] == []
    return "\n".join(o.data.get("text/markdown", "") for o in outputs)
