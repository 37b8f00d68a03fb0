"""``custkit simulate``: options, and what it says while it draws."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from custkit.errors import ParameterError
from custkit.simulate import SEED

HELP = f"""\
usage: custkit simulate --out DIR [options]

Draw a company like Juniper Lane and write its tables, its truth and their dictionary to a new folder.

  --out DIR        folder to write; it must not exist, or be empty
  --seed N         whole number from 0; the same seed gives the same company (default {SEED})
  --profile NAME   full: 6,000 consumers, the course's company (default); tiny: 400, for tests
  --customers N    so many consumers instead, from 400; over 50,000 the tables are Parquet files
"""
PROFILES = {"full": 6000, "tiny": 400}
LEAST = 400  # consumers; with fewer, some arm of some experiment stays empty


def run(arguments: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Read the options, draw the company and write it; 0 when done.

    Raises
    ------
    ParameterError
        If options cannot be used; all faults at once, nothing written.
    """
    for option in ("--out", "--seed", "--profile", "--customers"):
        parser.add_argument(option)
    options = parser.parse_args(arguments)
    faults = [] if options.out else ["say where to write: --out DIR"]
    if options.profile and options.customers:
        faults.append("give --profile or --customers, not both")
    profile = options.profile or "full"
    if profile not in PROFILES:
        faults.append(f"--profile {profile!r}: there is {' and '.join(PROFILES)}")
    seed = _whole_number("--seed", options.seed, SEED, 0, faults)
    customers = _whole_number("--customers", options.customers, PROFILES.get(profile, LEAST), LEAST, faults)
    if faults:
        raise ParameterError(faults)
    from threadpoolctl import threadpool_limits

    from custkit.simulate.files import write_company

    with threadpool_limits(1):  # sums come out alike on every machine, and threads do not wait for each other
        manifest = write_company(seed, customers, options.out, lambda line: print(line, file=sys.stderr))
    sizes = [file["bytes"] for file in manifest["files"].values()]
    print(f"{len(sizes)} files, {sum(sizes) / 1e6:,.1f} MB: {options.out}")
    return 0


def _whole_number(option: str, text: str | None, default: int, least: int, faults: list[str]) -> int:
    """The value of an option; what is wrong with it is added to the faults."""
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and int(text) >= least):
        faults.append(f"{option} {text!r} is not a whole number from {least}")
        return default
    return int(text)
