"""Products bought together: lines are exchanged within their category until the planted lift holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import parameters
from custkit.simulate.lines import cents, weighed


def apply_rules(
    rng: np.random.Generator, lines: pd.DataFrame, products: pd.DataFrame, size: int
) -> list[float]:
    """Exchange products in `lines` (changed in place) for the partners of `baskets.yml`.

    Parameters
    ----------
    lines : DataFrame
        As `fill_lines` gives them, for orders numbered from 0 to `size` - 1.
    products : DataFrame
        As the block `products` makes it.

    Returns
    -------
    list of float
        For each rule the chance that an exchange that was possible took place.

    Notes
    -----
    With n orders, n_a with the first product, n_b with the partner and n_ab with both, and m orders where an
    exchange is possible, a chance c gives the expected lift L = n (n_ab + c m) / (n_a (n_b + c m)). It is
    solved for c, so that the lift is L in expectation whatever the orders. Exchanges stay in the category.
    """
    rules = parameters("baskets")["rules"]
    place = {name: position for position, name in enumerate(products["name_en"])}
    kept = {place[one] for one, _, _ in rules}
    chances = []
    for one, other, lift in rules:
        kept.add(place[other])  # later rules leave alone what earlier ones have set
        chances.append(_apply(rng, lines, products, size, sorted(kept), place[one], place[other], lift))
    return chances


def _apply(rng, lines, products, size, kept, one, other, lift) -> float:
    order, product = lines["order"].to_numpy(), lines["product"].to_numpy()
    has_one, has_other = (np.bincount(order, product == item, size) > 0 for item in (one, other))
    candidates = np.flatnonzero(
        (has_one & ~has_other)[order]
        & (products["category"].to_numpy()[product] == products["category"].iloc[other])
        & ~np.isin(product, kept)
        & _exchangeable(lines, products, other)
    )
    candidates = candidates[np.unique(order[candidates], return_index=True)[1]]  # one for each order
    first, second, both = has_one.sum(), has_other.sum(), (has_one & has_other).sum()
    share = lift * first / size
    missing = (share * second - both) / (1 - share)
    chance = float(np.clip(missing / max(len(candidates), 1), 0, 1))
    _exchange(lines, products, candidates[rng.random(len(candidates)) < chance], other)
    return chance


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
