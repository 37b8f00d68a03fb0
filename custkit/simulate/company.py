"""The whole company, block by block."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from custkit.errors import ParameterError
from custkit.simulate import SEED
from custkit.simulate.draft import Draft

# The order of drawing. A block is a module with ``draw(draft)``, which returns the tables it makes or
# changes; it may read those of the blocks before it.
BLOCKS = (
    "media",
    "people",
    "staff",
    "products",
    "purchases",
    "nudges",
    "baskets",
    "visits",
    "services",
    "network",
    "tickets",
    "surveys",
    "contacts",
    "firms",
    "selling",
)


def build(
    seed: int = SEED,
    *,
    customers: int = 6000,
    part: int = 0,
    until: str = BLOCKS[-1],
    progress: Callable[[str], None] = lambda block: None,
) -> Draft:
    """Draw a company.

    Parameters
    ----------
    seed : int
        The same seed and versions give the same company.
    customers : int
        Consumers; everything else grows with them.
    part : int
        Number of the part, from 0, where a large company is drawn in parts.
    until : str
        Last block to draw.
    progress : callable, optional
        Called with each block's name before it is drawn.

    Returns
    -------
    Draft
    """
    if until not in BLOCKS:
        raise ParameterError(f"There is no block {until}; the blocks are {', '.join(BLOCKS)}.")
    draft = Draft(seed=seed, size=customers, part=part)
    for block in BLOCKS[: BLOCKS.index(until) + 1]:
        progress(block)
        draft.tables |= importlib.import_module(f"custkit.simulate.{block}").draw(draft)
    return draft
