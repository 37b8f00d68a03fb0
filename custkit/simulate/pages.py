"""Where visits begin and how far they go: landing pages, the leaks of the shop, and the offer pages' tests.

A visit lands, looks further, fills a cart, enters the checkout: each with a chance by landing page and
device.
The checkouts are given, so the visits that never got there are drawn backwards: as many, device by device, as
those chances leave beside the known number of checkouts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate.checkout import CART, CHECKOUT, LAND, VIEW
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.streams import choose, choose_each

DEVICES = ("phone", "desktop", "tablet")
STAGES = (LAND, VIEW, CART, CHECKOUT)  # the last: entered the checkout, however that ended


def stages(given: dict[str, Any]) -> np.ndarray:
    """Chance of each landing page and stage reached, by source and device.

    Returns
    -------
    array (sources, devices, landings, 4)
        Sums to 1 over the last two axes; sources and landings in the order of the parameters.
    """
    landing = pd.DataFrame(given["landings"]).T
    names = list(given["view"])
    share = landing[names].div(landing[names].sum(axis=1), axis=0).to_numpy()[:, None, :]
    view = np.array([[given["view"][name][device] for name in names] for device in DEVICES])
    cart = np.array(
        [[given["cart"][name] * given["cart_device"][device] for name in names] for device in DEVICES]
    )
    on = given["checkout"]["cart_to_checkout"]
    return np.stack(
        [
            share * (1 - view),
            share * view * (1 - cart),
            share * view * cart * (1 - on),
            share * view * cart * on,
        ],
        axis=-1,
    )


def of_customers(given: dict[str, Any]) -> np.ndarray:
    """The same for customers, whose sources are known by device: (devices, sources, landings, 4)."""
    table = stages(given)
    source = pd.DataFrame(given["known"]["source"]).T[list(given["landings"])].to_numpy()
    return source[:, :, None, None] * table.transpose(1, 0, 2, 3)


def before_checkout(given: dict[str, Any], rng: np.random.Generator, source, device) -> pd.DataFrame:
    """Landing page and furthest step of visits, with given sources and devices, that enter no checkout."""
    rows = stages(given)[_code(given["landings"], source), _code(DEVICES, device), :, :-1]
    cell = choose_each(rng, rows.reshape(len(rows), -1))
    return _cells(given, cell)


def at_checkout(given: dict[str, Any], rng: np.random.Generator, source, device) -> np.ndarray:
    """Landing page of visits, with given sources and devices, that enter the checkout."""
    rows = stages(given)[_code(given["landings"], source), _code(DEVICES, device), :, -1]
    return np.array(list(given["view"]), dtype=object)[choose_each(rng, rows)]


def customers_at_checkout(given: dict[str, Any], rng: np.random.Generator, device, app) -> pd.DataFrame:
    """Source and landing page of customers' visits that enter the checkout; `app`: whether in the app."""
    table = of_customers(given)[_code(DEVICES, device), :, :, -1]
    landing = choose_each(rng, table.sum(axis=1))
    source = choose_each(rng, table[np.arange(len(table)), :, landing]) if len(table) else landing
    name = np.array(list(given["landings"]), dtype=object)[source]
    name = np.where(app, choose(rng, given["known"]["source_of_app"], len(table)), name)
    return pd.DataFrame({"source": name, "landing": np.array(list(given["view"]), dtype=object)[landing]})


def customers_before_checkout(
    given: dict[str, Any], rng: np.random.Generator, checkouts: dict
) -> pd.DataFrame:
    """Visits of customers that end before the checkout, beside so many on each device that enter it.

    Parameters
    ----------
    given : dict
        ``parameters("visits")``.
    rng : numpy.random.Generator
    checkouts : dict
        Device → visits that enter the checkout.

    Returns
    -------
    DataFrame
        Columns device, source, landing, furthest_step.
    """
    found, table = [], of_customers(given)
    for number, device in enumerate(DEVICES):
        chance, starts = table[number], int(checkouts.get(device, 0))
        count = rng.negative_binomial(starts, chance[..., -1].sum()) if starts else 0
        rest = chance[..., :-1]
        cell = rng.choice(rest.size, count, p=rest.ravel() / rest.sum())
        source, cell = np.divmod(cell, rest[0].size)
        frame = _cells(given, cell)
        found.append(
            frame.assign(device=device, source=np.array(list(given["landings"]), dtype=object)[source])
        )
    return pd.concat(found, ignore_index=True)


def offer_visits(given: dict[str, Any], rng: np.random.Generator, arms: np.ndarray, chance) -> pd.DataFrame:
    """What happens on offer pages: whether the call is followed, and how far the visit goes.

    Parameters
    ----------
    given : dict
        ``parameters("visits")``.
    rng : numpy.random.Generator
    arms : array of str
        Version of the page that each visit saw.
    chance : array of float
        Chance of each visit to follow the call.

    Returns
    -------
    DataFrame
        Columns page_variant, furthest_step, `to_checkout` (goes on to the checkout).
    """
    followed = rng.random(len(arms)) < chance
    looked = rng.random(len(arms)) < given["offers"]["view"]
    onward = followed & (rng.random(len(arms)) < given["offers"]["on_to_checkout"])
    step = np.where(followed, CART, np.where(looked, VIEW, LAND))
    return pd.DataFrame({"page_variant": arms, "furthest_step": step, "to_checkout": onward})


def cart_chance(given: dict[str, Any], arms: np.ndarray, engaged: np.ndarray) -> np.ndarray:
    """Chance of a cart on an offer page of EXP-PERS, by arm and engagement."""
    pers = given["offers"]["pers"]
    gain = np.where(engaged, pers["personal"]["engaged"], pers["personal"]["other"])
    return pers["generic"] + np.where(arms == "personal", gain, 0.0)


def plant(draft: Draft, engaged_share: float) -> None:
    """Note the true leaks, and the effects on the offer pages; `engaged_share` of the visits of EXP-PERS."""
    given = parameters("visits")
    table = of_customers(given).sum(axis=1)  # devices, landings, stages
    reached = {
        name: table[..., at:].sum(axis=(1, 2)) for at, name in enumerate(("land", "view", "cart", "out"))
    }
    note = "phone less desktop, customers' visits, offer pages apart"
    for begin, end, step in (("land", "view", "view"), ("view", "cart", "cart"), ("cart", "out", "checkout")):
        rate = reached[end] / reached[begin]
        draft.plant(
            f"visits.to_{step}.phone_gap", rate[0] - rate[1], "share", f"of those who {begin}: {note}"
        )
    stop = given["pages"]["one_page"] * (1 - given["view"]["blog"]["phone"])
    draft.plant("visits.blog_phone.bounce", stop, "share", "one-page visits, blog landing on phones")

    cta, pers = given["offers"]["cta"], given["offers"]["pers"]["personal"]
    for arm, rate in cta["completion"].items():
        draft.plant(f"exp_cta.{arm}.completion", rate, "share", f"visits that follow the call '{arm}'")
        margin = cta["margin"][arm]
        draft.plant(f"exp_cta.{arm}.profit", rate * margin, "CNY", f"margin a visit, call '{arm}'")
    for other in ("form", "buy"):
        gain = cta["completion"]["trial"] * cta["margin"]["trial"]
        gain -= cta["completion"][other] * cta["margin"][other]
        draft.plant(f"exp_cta.trial_less_{other}.profit", gain, "CNY", f"margin a visit, trial less {other}")
    gap = cta["completion"]["form"] - cta["completion"]["trial"]
    draft.plant("exp_cta.form_less_trial.completion", gap, "share", "completion of form less trial")
    overall = pers["engaged"] * engaged_share + pers["other"] * (1 - engaged_share)
    note = "carts a visit, personal less generic offer page, "
    draft.plant("exp_pers.all.cart", overall, "share", note + "all visits")
    draft.plant("exp_pers.engaged.cart", pers["engaged"], "share", note + "engaged customers")
    draft.plant("exp_pers.other.cart", pers["other"], "share", note + "other customers")


def _cells(given: dict[str, Any], cell: np.ndarray) -> pd.DataFrame:
    """Landing page and furthest step of cells of (landings × 3 stages)."""
    landing, stage = np.divmod(cell, len(STAGES) - 1)
    names = np.array(list(given["view"]), dtype=object)
    return pd.DataFrame({"landing": names[landing], "furthest_step": np.array(STAGES)[stage]})


def _code(names, values) -> np.ndarray:
    return pd.Index(list(names)).get_indexer(values)
