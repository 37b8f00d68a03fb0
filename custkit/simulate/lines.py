"""The lines of orders: products whose prices add up to what was spent, to the cent.

All lines but the last are pieces or round weights that fit the budget; the last is a product by weight that
takes the rest. How many lines an order has depends on its money alone, and the category of each line is drawn
on its own: so the categories' shares of lines are exactly the customers' mixes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import parameters
from custkit.simulate.preferences import shares
from custkit.simulate.streams import choose_each


def cents(money) -> np.ndarray:
    """CNY as whole cents."""
    return np.rint(np.asarray(money, dtype=float) * 100).astype(np.int64)


def fill_lines(
    rng: np.random.Generator,
    orders: pd.DataFrame,
    mixes: pd.DataFrame,
    products: pd.DataFrame,
    popularity: str = "popularity",
) -> pd.DataFrame:
    """Lines for any orders, of consumers or of firms.

    Parameters
    ----------
    orders : DataFrame
        One row per order: goods_gross (CNY, what the lines add up to) and week (time); optionally
        price_factor (of the list prices), house_taste (log preference for the house brand) and
        must_have_category (category of one line, or None).
    mixes : DataFrame
        One row per order, one column per category: the chance of each for a line. At least one category
        with products by weight must have a chance in every order.
    products : DataFrame
        As the block `products` makes it.
    popularity : str
        Column of `products` that weighs the products within a category; rows with 0 are left out.

    Returns
    -------
    DataFrame
        order (position in `orders`), line_no, product (position in `products`), qty (pieces or 100 g),
        unit_price, line_amount and unit_cost (CNY); sorted by order and line_no. The sum of line_amount is
        goods_gross. line_amount is qty times unit_price to the cent, except for the last line, whose weight
        the scale rounds to a gram (qty to two decimals).
    """
    given = parameters("baskets")["lines"]
    basket = _Basket(orders, mixes, products.assign(popularity=products[popularity]), given)
    basket.fill(rng)
    return basket.lines(products)


class _Basket:
    """Orders while their lines are drawn, all at once, one line after the other; money in cents."""

    def __init__(self, orders: pd.DataFrame, mixes: pd.DataFrame, products: pd.DataFrame, given: dict):
        size = len(orders)
        self.given, self.products, self.categories = given, products, list(mixes.columns)
        self.mixes, self.week = mixes.to_numpy(float), orders["week"].to_numpy(float)
        self.spare = cents(orders["goods_gross"])
        self.factor = orders.get("price_factor", pd.Series(1.0, orders.index)).to_numpy(float)
        self.house = orders.get("house_taste", pd.Series(0.0, orders.index)).to_numpy(float)
        self.must = orders.get("must_have_category", pd.Series([None] * size)).to_numpy()
        self.taken = np.zeros((size, len(products)), bool)
        self.packs = _packs(products, given)
        self.reserve = self._reserve()
        self.found: list[tuple[np.ndarray, ...]] = []

    def fill(self, rng: np.random.Generator) -> None:
        """Draw the number of lines and their categories, then product by product, then the last."""
        before = self._before_last(rng)
        category = self._categories(rng, before)
        for step in range(before.max(initial=0)):
            rows = np.flatnonzero(before > step)
            self._line(rng, rows, category[rows, step], before[rows] - step - 1)
        self._last(rng, category[np.arange(len(before)), before])

    def lines(self, products: pd.DataFrame) -> pd.DataFrame:
        """The lines drawn, as `fill_lines` gives them."""
        names = ("order", "product", "qty", "unit_price", "line_amount")
        columns = (np.concatenate(part) for part in zip(*self.found, strict=True))
        lines = pd.DataFrame(dict(zip(names, columns, strict=True)))
        lines = lines.sort_values("order", kind="stable", ignore_index=True)
        lines.insert(1, "line_no", lines.groupby("order").cumcount() + 1)
        lines["unit_price"], lines["line_amount"] = lines["unit_price"] / 100, lines["line_amount"] / 100
        lines["unit_cost"] = products["unit_cost"].to_numpy()[lines["product"]]
        return lines

    def _reserve(self) -> int:
        """Cents for which every category has a pack that is on sale all the time."""
        always = self.packs[(self.packs["from_week"] <= self.week.min(initial=0))]
        always = always[always["to_week"] > self.week.max(initial=0)]
        cheapest = (always["qty"] * always["list_price"]).groupby(always["category"]).min()
        return int(np.ceil(cheapest.loc[self.categories].max() * self.factor.max(initial=1) * 100)) + 1

    def _before_last(self, rng: np.random.Generator) -> np.ndarray:
        """How many lines come before the last: one at least where the money allows."""
        given, size = self.given, np.maximum(self.spare, 0) / 100 / self.given["typical_gross"]
        more = rng.poisson(given["more_lines"] * size ** given["gross_power"])
        can = np.maximum(self.spare - cents(given["least_last"]), 0) // self.reserve
        return np.minimum(np.minimum(1 + more, given["most_before_last"]), can).astype(int)

    def _categories(self, rng: np.random.Generator, before: np.ndarray) -> np.ndarray:
        """Category of every line (orders × lines), one that is fit to be weighed out in the last place."""
        edges = np.cumsum(shares(self.mixes), axis=1)[:, None, :-1]
        draws = rng.random((len(before), before.max(initial=0) + 1, 1))
        category = (draws >= edges).sum(axis=2)
        for number, name in enumerate(self.categories):
            category[self.must == name, 0] = number
        fit = np.array([self.given["fit_to_weigh"].get(name, 0.0) for name in self.categories])
        weight = fit[category] * (np.arange(category.shape[1]) <= before[:, None])
        none = weight.sum(axis=1) == 0
        weight[none, before[none]] = 1
        last, rows = choose_each(rng, weight), np.arange(len(before))
        moved, out = category[rows, before], category[rows, last]
        category[rows, last], category[rows, before] = moved, out
        category[none, before[none]] = choose_each(rng, self.mixes[none] * fit)
        return category

    def _line(
        self, rng: np.random.Generator, rows: np.ndarray, category: np.ndarray, after: np.ndarray
    ) -> None:
        """One more line before the last in some orders; `after` more will follow."""
        limit = self.spare[rows] - self.reserve * after - cents(self.given["least_last"])
        target = np.log(self.spare[rows] / (after + 2))
        for number, name in enumerate(self.categories):
            packs, here = self.packs[self.packs["category"] == name], category == number
            if here.any():
                self._choose(rng, packs, rows[here], limit[here], target[here])

    def _choose(self, rng, packs: pd.DataFrame, rows, limit, target) -> None:
        """One pack for each of these orders, within the limit and round the target (log cents)."""
        product, qty = packs["product"].to_numpy(), packs["qty"].to_numpy()
        price = np.rint(np.outer(self.factor[rows], packs["list_price"] * 100))
        cost = np.floor(price * qty + 0.5)
        far = (np.log(cost) - target[:, None]) / self.given["price_spread"]
        weight = self._liking(packs, rows) * np.exp(-(far**2) / 2) * (cost <= limit[:, None])
        pick = choose_each(rng, weight)
        at = np.arange(len(rows))
        self._add(rows, product[pick], qty[pick], price[at, pick], cost[at, pick].astype(np.int64))

    def _last(self, rng: np.random.Generator, category: np.ndarray) -> None:
        """The last line of every order, by weight, for what is left."""
        goods = self.products.assign(product=np.arange(len(self.products)))
        goods = goods[(goods["sold_by"] == "100g") & (goods["popularity"] > 0)]
        for number, name in enumerate(self.categories):
            kinds, here = goods[goods["category"] == name], np.flatnonzero(category == number)
            if len(here) == 0:
                continue
            price = np.rint(np.outer(self.factor[here], kinds["list_price"] * 100))
            far = np.log(self.spare[here, None] / price / self.given["weight_of_last"])
            weight = self._liking(kinds, here) * np.exp(-((far / self.given["weight_spread"]) ** 2) / 2)
            pick = choose_each(rng, weight)
            paid = price[np.arange(len(here)), pick]
            qty = weighed(self.spare[here], paid)
            self._add(here, kinds["product"].to_numpy()[pick], qty, paid, self.spare[here])

    def _liking(self, options: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
        """Weight of each option in each order: none if not on sale, hardly any if it is there already."""
        week, house = self.week[rows, None], self.house[rows, None] * (options["brand"] == "house").to_numpy()
        on_sale = (options["from_week"].to_numpy() <= week) & (week < options["to_week"].to_numpy())
        again = np.where(self.taken[rows][:, options["product"]], 1e-9, 1.0)
        return options["popularity"].to_numpy() * np.exp(house) * on_sale * again

    def _add(self, rows, product, qty, price, amount) -> None:
        self.found.append((rows, product, qty, price, amount))
        self.spare[rows] -= amount
        self.taken[rows, product] = True


def weighed(amount, price) -> np.ndarray:
    """Units of 100 g, to the gram and at least one, for an amount and a price (same money)."""
    return np.maximum(np.round(np.asarray(amount) / np.asarray(price), 2), 0.01)


def _packs(products: pd.DataFrame, given: dict) -> pd.DataFrame:
    """Products in the quantities in which they are bought, popularity shared out over these."""
    rows = []
    for position, item in enumerate(products.to_dict("records")):
        if item["popularity"] > 0:
            bags = given["pieces"] if item["sold_by"] == "unit" else given["bags"][item["category"]]
            total = sum(bags.values())
            rows += [
                item
                | {"product": position, "qty": float(qty), "popularity": item["popularity"] * share / total}
                for qty, share in bags.items()
            ]
    return pd.DataFrame(rows)
