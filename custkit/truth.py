"""What the simulation planted, kept apart from the tables: for cells tagged ``truth`` and for tests alone.

A real company never sees it. Nothing else may import this module, to which `tests/house_truth.py` holds all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custkit.course_tables import DATASETS, read_table, schema
from custkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

NOTICE = "Truth of the simulation, known only because we made it; no company has this table."
VALUES = ("truth_params", "truth_effects", "truth_practice")  # JSON files


def load(name: str, folder: str | Path | None = None) -> pd.DataFrame | dict[str, Any]:
    """A truth table, after a one-line notice.

    Parameters
    ----------
    name : str
        A table such as ``"truth_customers"``; ``"truth_params"`` (block → its true parameters),
        ``"truth_effects"`` (planted effect → value, unit, meaning) or ``"truth_practice"`` (practice
        extract → facts about it).
    folder : path, optional
        What ``custkit simulate --out`` wrote. Default: the ``datasets`` folder of the checkout.

    Returns
    -------
    DataFrame or dict

    Raises
    ------
    DataError
        If there is no such truth.
    """
    tables = schema()["kept_apart"]
    if name not in tables and name not in VALUES:
        raise DataError(f"there is no truth {name!r}; there are {', '.join([*tables, *VALUES])}")
    place = (DATASETS if folder is None else Path(folder)) / "truth"
    if name in tables:
        found = read_table(place, name, tables[name]["columns"])
    else:
        path = place / f"{name}.json"
        if not path.exists():
            raise DataError(f"{path}: no such file; make one with `custkit simulate --out DIR`")
        found = json.loads(path.read_text("utf-8"))
    print(NOTICE)
    return found
