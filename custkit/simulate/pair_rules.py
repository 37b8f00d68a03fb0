"""Products bought together: lines are exchanged within their category until the planted lift holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import parameters
from custkit.simulate.lines import cents, weighed


def apply_rules(rng: np.random.Generator, lines: pd.DataFrame, products: pd.DataFrame) -> None:
    """Exchange products in `lines` (changed in place) for the partners that `baskets.yml` names.

    Exchanges stay within the category, so that the category mixes are what they were.

    Parameters
    ----------
    lines : DataFrame
        As `fill_lines` gives them.
    products : DataFrame
        As the block `products` makes it.
    """
    rules = parameters("baskets")["rules"]
    place = {name: position for position, name in enumerate(products["name_en"])}
    kept = {place[rule["one"]] for rule in rules}
    for rule in rules:
        one, other = place[rule["one"]], place[rule["partner"]]
        kept.add(other)  # later rules leave alone what earlier ones have set
        rows = _candidates(lines, products, sorted(kept), one, other)
        _exchange(lines, products, rows[rng.random(len(rows)) < rule["chance"]], other)


def _candidates(
    lines: pd.DataFrame, products: pd.DataFrame, kept: list[int], one: int, other: int
) -> np.ndarray:
    """Rows of `lines` to put the partner into: the first that can, in orders with the one and without it."""
    order, product = lines["order"].to_numpy(), lines["product"].to_numpy()
    has_one, has_other = (np.bincount(order, product == item) > 0 for item in (one, other))
    rows = np.flatnonzero(
        (has_one & ~has_other)[order]
        & (products["category"].to_numpy()[product] == products["category"].iloc[other])
        & ~np.isin(product, kept)
        & _exchangeable(lines, products, other)
    )
    return rows[np.unique(order[rows], return_index=True)[1]]


def _last_lines(lines: pd.DataFrame) -> np.ndarray:
    """For each line the row of the last line of its order."""
    order = lines["order"].to_numpy()
    return np.searchsorted(order, order, side="right") - 1


def _exchangeable(lines: pd.DataFrame, products: pd.DataFrame, other: int) -> np.ndarray:
    """Lines that the partner can take: the last by weight, one before it if the last can make it up."""
    last, amount = _last_lines(lines), cents(lines["line_amount"])
    is_last = last == np.arange(len(lines))
    least = cents(parameters("baskets")["lines"]["least_last"])
    enough = amount[last] + amount - _paid(lines, products, other) >= least
    return np.where(is_last, products["sold_by"].iloc[other] == "100g", enough)


def _paid(lines: pd.DataFrame, products: pd.DataFrame, other: int) -> np.ndarray:
    """Unit price of the partner in each line (cents), at the price level of its order."""
    level = lines["unit_price"].to_numpy() / products["list_price"].to_numpy()[lines["product"]]
    return np.rint(cents(products["list_price"].iloc[other]) * np.round(level, 2)).astype(np.int64)


def _exchange(lines: pd.DataFrame, products: pd.DataFrame, rows: np.ndarray, other: int) -> None:
    """Put the partner into these lines: for the whole of a last line, as one piece or 100 g elsewhere.

    What that costs more or less goes to the last line of the order.
    """
    price, amount = _paid(lines, products, other)[rows], cents(lines["line_amount"])
    last = _last_lines(lines)[rows]
    takes_all = last == rows
    new = np.where(takes_all, amount[rows], price)
    amount[last] += amount[rows] - new
    amount[rows] = new
    lines.loc[rows, "product"] = other
    lines.loc[rows, "unit_price"] = price / 100
    lines.loc[rows, "unit_cost"] = products["unit_cost"].iloc[other]
    lines.loc[rows, "qty"] = 1.0
    lines.loc[last, "qty"] = weighed(amount[last], cents(lines["unit_price"].to_numpy()[last]))
    lines["line_amount"] = amount / 100
