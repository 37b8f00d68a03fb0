"""EXP-CHECKOUT: a checkout of five steps (A) or three (B), drawn at random for each visit that enters it.

Orders are given, so the arms are drawn backwards. A visit that ended in an order had arm v with a chance in
proportion to the share of v's visits that get through; beside `orders` orders there are a negative binomial
number of visits that did not, each in the arm and at the step that the hazards give. Everything an analyst
counts is then distributed as if visits had been drawn forwards, until so many orders had come.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft

ARMS = ("A", "B")
# Steps of the sales funnel, as `furthest_step` counts them.
LAND, VIEW, CART, CHECKOUT, PAYMENT, ORDER = range(1, 7)


def hazards(given: dict[str, Any], arm: str, new: bool) -> np.ndarray:
    """Chance to leave at each step of an arm's checkout, of those who reach it.

    Parameters
    ----------
    given : dict
        ``parameters("visits")["checkout"]``.
    arm : str
        "A" or "B".
    new : bool
        Whether the visitor never ordered before.
    """
    chances = np.array(given[arm], dtype=float)
    if new:
        chances[-1] = given["new_at_payment"] * (given["badge"] if arm == "B" else 1.0)
    return chances


def completion(given: dict[str, Any], arm: str, new: bool) -> float:
    """Share of the visits entering an arm's checkout that end in an order."""
    return float(np.prod(1 - hazards(given, arm, new)))


def passed(given: dict[str, Any], rng: np.random.Generator, new: np.ndarray) -> pd.DataFrame:
    """Arm and steps of visits that ended in an order; `new` says which were a first order."""
    arm = np.empty(len(new), dtype=object)
    for kind in (False, True):
        through = np.array([completion(given, name, kind) for name in ARMS])
        here = new == kind
        arm[here] = np.array(ARMS, dtype=object)[(rng.random(here.sum()) < through[1] / through.sum()) * 1]
    steps = np.where(arm == "A", len(given["A"]), len(given["B"]))
    return pd.DataFrame({"checkout_variant": arm, "steps_in_checkout": steps, "furthest_step": ORDER})


def abandoned(given: dict[str, Any], rng: np.random.Generator, orders: int, new: bool) -> pd.DataFrame:
    """The visits that entered the checkout and left it, beside so many that ended in an order."""
    arm, steps, last, chance = [], [], [], []
    for name in ARMS:
        leave = hazards(given, name, new)
        reach = np.concatenate([[1.0], np.cumprod(1 - leave)[:-1]])
        for step, share in enumerate(reach * leave / len(ARMS)):
            arm.append(name), steps.append(step), last.append(step == len(leave) - 1), chance.append(share)
    count = rng.negative_binomial(orders, 1 - sum(chance)) if orders else 0
    cell = rng.choice(len(chance), count, p=np.array(chance) / sum(chance))
    return pd.DataFrame(
        {
            "checkout_variant": np.array(arm, dtype=object)[cell],
            "steps_in_checkout": np.array(steps)[cell],
            "furthest_step": np.where(np.array(last)[cell], PAYMENT, CHECKOUT),
        }
    )


def plant(draft: Draft, given: dict[str, Any], first_orders: int, other_orders: int) -> None:
    """Note the true lifts and hazards; the lift of all visits is that of their expected mix."""
    rate = {(arm, new): completion(given, arm, new) for arm in ARMS for new in (False, True)}
    lift = {new: rate["B", new] - rate["A", new] for new in (False, True)}
    starts = {
        new: orders / (rate["A", new] + rate["B", new])
        for new, orders in ((False, other_orders), (True, first_orders))
    }
    both = sum(starts.values())
    new_share = starts[True] / both if both else 0.0
    overall = lift[True] * new_share + lift[False] * (1 - new_share)
    note = "orders per checkout entered, B less A, "
    draft.plant("exp_checkout.all.lift", overall, "share", note + "all visits")
    draft.plant("exp_checkout.new.lift", lift[True], "share", note + "people who never ordered before")
    draft.plant("exp_checkout.known.lift", lift[False], "share", note + "customers")
    draft.plant("exp_checkout.interaction", lift[True] - lift[False], "share", "lift of new less of known")
    for arm in ARMS:
        for step, leave in enumerate(hazards(given, arm, False), start=1):
            name = f"exp_checkout.{arm.lower()}.step{step}.hazard"
            who = "customers" if step == len(given[arm]) else "all visits"
            draft.plant(name, leave, "share", f"leave checkout {arm} at step {step}, of those there; {who}")
        name = f"exp_checkout.{arm.lower()}.payment_new.hazard"
        draft.plant(
            name, hazards(given, arm, True)[-1], "share", f"leave {arm} at payment, never ordered before"
        )
