"""The money and the trial of a win-back: whom an offer pays for, and how its effect is known next time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import clv
from .rfm_forecast import Models
from .winback_list import after_return

if TYPE_CHECKING:
    import pandas as pd

CONTACT, HOLD_OUT, TOO_DEAR, BEYOND = "contact", "hold-out", "does not pay", "beyond the budget"
SIGNIFICANCE, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Offer:
    """What winning back costs, and how many it is taken to bring.

    Attributes
    ----------
    contact_cost, offer_cost : float
        Money per customer contacted, and per customer who comes back and uses the offer.
    uplift : float
        The share of those contacted who come back because of it: assumed.
    own : float
        The share who come back by themselves: they use the offer too.
    """

    contact_cost: float
    offer_cost: float
    uplift: float
    own: float

    def expected(self, value: Any) -> Any:
        """Expected gain of contacting a customer whose return is worth `value`."""
        uplift = min(self.uplift, 1 - self.own)
        return uplift * (value - self.offer_cost) - self.own * self.offer_cost - self.contact_cost

    def break_even(self, value: float) -> float:
        """The uplift at which a contact pays for itself; infinite where no return covers the offer."""
        gain = value - self.offer_cost
        return (self.contact_cost + self.own * self.offer_cost) / gain if gain > 0 else float("inf")

    @property
    def cost(self) -> float:
        """Expected cost of one contact, the offers used included."""
        return self.contact_cost + min(self.own + self.uplift, 1.0) * self.offer_cost


def assign_groups(
    value: pd.Series, offer: Offer, *, budget: float, holdout_share: float, rng: np.random.Generator
) -> pd.Series:
    """Contact, hold-out, or neither: best first while it pays and the budget lasts, then a random draw.

    Parameters
    ----------
    value : Series
        Of a return, highest first.
    budget : float
        What contacts and offers may cost; 0 for no limit.
    holdout_share : float
        Of those chosen, how many are left without a contact.
    """
    import pandas as pd

    pays = int((offer.expected(value) > 0).sum())
    sizes = np.arange(pays + 1)
    cost = (sizes - np.round(holdout_share * sizes)) * offer.cost
    chosen = int(sizes[cost <= budget + 1e-9].max()) if budget else pays
    group = np.array(
        [CONTACT] * chosen + [BEYOND] * (pays - chosen) + [TOO_DEAR] * (len(value) - pays), object
    )
    group[rng.permutation(chosen)[: int(np.round(holdout_share * chosen))]] = HOLD_OUT
    return pd.Series(group, value.index, name="group")


def gain_by_uplift(
    models: Models,
    known: pd.DataFrame,
    value: pd.DataFrame,
    offer: Offer,
    uplifts: list[float],
    *,
    margin_rate: float,
    horizon_months: float,
    tested: tuple[int, int] | None,
    rng: np.random.Generator,
    draws: int = 200,
    level: float = 0.9,
) -> pd.DataFrame:
    """Gain of contacting these customers by uplift, each with a range from replays of what they do.

    Parameters
    ----------
    known, value : DataFrame
        The customers to contact, from :func:`what_is_known` and :func:`value_if_back`.
    tested : (back, customers), optional
        Of the back-test: how well the share who come back by themselves is known.

    Returns
    -------
    DataFrame
        ``uplift``, ``expected``, ``low``, ``high``, in money.
    """
    import pandas as pd

    n, gains = len(known), np.zeros((draws, len(uplifts)))
    for draw in range(draws if n else 0):
        own = rng.beta(tested[0] + 0.5, tested[1] - tested[0] + 0.5) if tested else offer.own
        worth = margin_rate * _replayed_money(models, known, value, horizon_months, rng) - offer.offer_cost
        luck = rng.random(n)
        sure = n * offer.contact_cost + (luck < own).sum() * offer.offer_cost
        for column, uplift in enumerate(uplifts):
            gains[draw, column] = worth[(luck >= own) & (luck < own + uplift)].sum() - sure
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2], axis=0)
    expected = [float(replace(offer, uplift=u).expected(value["value"]).sum()) for u in uplifts]
    return pd.DataFrame({"uplift": uplifts, "expected": expected, "low": low, "high": high})


def _replayed_money(models, known, value, horizon_months, rng):
    """One possible discounted spend of each customer over the months after a return."""
    if models.purchase is None:
        return value["spend"].to_numpy()
    drawn = models.purchase.draw(rng) if models.pinned else models.purchase
    periods = horizon_months * clv.PERIODS_PER_YEAR["W"] / 12
    purchases = 1 + drawn.simulate_purchases(after_return(known), periods, rng)
    if not models.varying_spend:
        return purchases * float(models.spend) * value["discount"].to_numpy()
    spend = models.spend.draw(rng) if models.pinned else models.spend
    spend = spend if spend.params["q"] > 1 else models.spend
    return spend.simulate_spend(known, purchases, rng) * value["discount"].to_numpy()


@dataclass(frozen=True)
class Trial:
    """A random part of a list is left without contact: what the comparison can show.

    Attributes
    ----------
    contacted, held_out : int
        Customers of each group.
    own : float
        The share expected to come back in the hold-out group.
    """

    contacted: int
    held_out: int
    own: float

    def needed(self, uplift: float, holdout_share: float) -> float:
        """Customers in both groups together who show this uplift with 80 % power at the 5 % level.

        Two-sided comparison of two shares (arcsine); infinite where there is no hold-out or no uplift.
        """
        from statsmodels.stats.power import NormalIndPower

        effect = _effect(self.own, uplift)
        if not 0 < holdout_share < 1 or effect <= 0:
            return float("inf")
        ratio = (1 - holdout_share) / holdout_share
        held_out = NormalIndPower().solve_power(effect, alpha=SIGNIFICANCE, power=POWER, ratio=ratio)
        return float(np.ceil(held_out * (1 + ratio)))

    def power(self, uplift: float) -> float:
        """The chance that this trial shows such an uplift; missing without two groups."""
        from statsmodels.stats.power import NormalIndPower

        if not (self.contacted and self.held_out):
            return float("nan")
        ratio = self.contacted / self.held_out
        return float(
            NormalIndPower().power(_effect(self.own, uplift), self.held_out, SIGNIFICANCE, ratio=ratio)
        )

    def visible(self) -> float:
        """The smallest uplift that this trial shows with 80 % power; missing where none is large enough."""
        from scipy.stats import norm

        if not (self.contacted and self.held_out):
            return float("nan")
        apart = (norm.isf(SIGNIFICANCE / 2) + norm.ppf(POWER)) * np.sqrt(
            1 / self.contacted + 1 / self.held_out
        )
        angle = np.arcsin(np.sqrt(self.own)) + apart / 2
        return float(np.sin(angle) ** 2 - self.own) if angle < np.pi / 2 else float("nan")

    def in_words(self, uplift: float, holdout_share: float) -> list[str]:
        """What the hold-out group can show, and what it would take."""
        if not (self.contacted and self.held_out):
            return [
                "**No trial** without customers contacted and held out: the uplift will stay an assumption."
            ]
        if not uplift:
            return ["**An uplift of nothing** is what no trial shows: assume one to see what it takes."]
        visible, needed = self.visible(), self.needed(uplift, holdout_share)
        lists = np.ceil(needed / (self.contacted + self.held_out))
        sure = f"with {POWER:.0%}, one of {visible:.1%} or more" if visible < 1 else "no uplift is sure to be"
        more = (
            f" **This list alone will not settle it**: add up {lists:,.0f} lists like it, or hold out more "
            f"({self.needed(uplift, 0.5):,.0f} customers at half and half)."
        )
        return [
            f"**What it can show.** With {self.contacted:,} contacted and {self.held_out:,} held out, an "
            f"uplift of {uplift:.1%} is seen with a chance of {self.power(uplift):.0%}; {sure}.",
            f"**What it takes.** To see {uplift:.1%} with a power of {POWER:.0%} at the {SIGNIFICANCE:.0%} "
            f"level takes {needed:,.0f} customers in both groups together." + (more if lists > 1 else ""),
        ]


def _effect(own: float, uplift: float) -> float:
    from statsmodels.stats.proportion import proportion_effectsize

    return float(proportion_effectsize(min(own + uplift, 1.0), own))
