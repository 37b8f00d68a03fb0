"""What was planted in the committed company can be found in it; `make recovery` does so on many companies."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from recovery import __main__ as recovery
from recovery.estimate import Company, Estimate


@functools.cache
def found() -> pd.DataFrame:
    """Every estimate on the committed files."""
    from recovery.estimate import committed

    return recovery.estimates(committed())


@pytest.mark.parametrize("block", recovery.recoverers())
def test_the_truth_lies_in_the_interval_of_each_estimate(block):
    """Within 99.9 %: 3.29/1.96 times as wide as the 95 % interval that the table of many seeds judges."""
    rows = found().query("block == @block and kind != 'trap'")
    assert len(rows)
    wide = 3.29 / 1.96
    low = rows["estimate"] - wide * (rows["estimate"] - rows["low"])
    high = rows["estimate"] + wide * (rows["high"] - rows["estimate"])
    missed = rows[(rows["truth"] < low) | (rows["truth"] > high)]
    assert missed.empty, missed[["name", "method", "truth", "estimate", "low", "high"]].to_string()


def test_every_planted_effect_is_estimated():
    from recovery.estimate import committed

    forgotten = sorted(set(committed().effects) - set(found()["name"]))
    assert not forgotten, f"planted, but nobody looks for it: {forgotten}"


def test_the_committed_table_has_a_line_for_each_estimate():
    text = recovery.TABLE.read_text(encoding="utf-8")
    rows = {tuple(cell.strip() for cell in line.split("|")[1:5]) for line in text.splitlines()}
    wanted = set(found()[["block", "name", "method", "kind"]].itertuples(index=False, name=None))
    assert wanted <= rows, f"run `make recovery`; missing: {sorted(wanted - rows)}"


def test_coverage_power_and_bias_by_hand():
    """Two companies: one interval holds the truth 2 and excludes 0, the other does neither."""
    rows = [Estimate("a", 2.5, 1.5, 3.5), Estimate("a", 0.5, -0.5, 1.5)]
    runs = pd.DataFrame(
        [
            vars(row) | {"block": "b", "unit": "", "truth": 2.0, "estimate": row.value, "seed": seed}
            for seed, row in enumerate(rows)
        ]
    )
    line = recovery.summary(runs).iloc[0]
    assert (line["coverage"], line["power"], line["seeds"]) == (0.5, 0.5, 2)
    assert line["bias"] == pytest.approx(-0.5)
    assert line["spread"] == pytest.approx(np.sqrt(2))


def test_an_estimate_of_something_not_planted_is_an_error(monkeypatch):
    class Block:
        @staticmethod
        def estimates(company):
            return [Estimate("nobody.planted.this", 1.0, 0.0, 2.0)]

    monkeypatch.setattr(recovery, "recoverers", lambda only=None: ["x"])
    monkeypatch.setattr(recovery.importlib, "import_module", lambda name: Block)
    with pytest.raises(KeyError, match="nobody"):
        recovery.estimates(Company({}, {}, {}))
