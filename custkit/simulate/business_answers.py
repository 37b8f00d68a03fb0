"""What business accounts answer about their contract: drivers, a stray item, satisfaction; wave by wave."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.questionnaire import cut, stack


def business_answers(draft: Draft, accounts: pd.DataFrame) -> pd.DataFrame:
    """Survey answers of business accounts, to be added to `survey_answers`.

    All items but the stray one share a common feeling, so that they form a reliable index (Cronbach 1951).
    From one wave on the service item slips.

    Parameters
    ----------
    draft : Draft
    accounts : DataFrame
        One row per account: customer_id, joined_week (when the contract began) and, if known, ends_week
        (when it ended; missing while it runs) and satisfaction (the common feeling, N(0, 1)).

    Returns
    -------
    DataFrame
        Columns as `survey_answers`, hidden ones too; the response ids begin with "RB".
    """
    given, rng = parameters("surveys")["business"], draft.rng("survey business")
    common = rng.standard_normal(len(accounts))
    if "satisfaction" in accounts:
        common = accounts["satisfaction"].to_numpy()
    ended = accounts["ends_week"] if "ends_week" in accounts else pd.Series(np.nan, accounts.index)
    parts, felt = [], []
    for number, (wave, start) in enumerate(parameters("surveys")["waves"].items()):
        old = accounts["joined_week"].to_numpy() + given["weeks_with_us"] <= start
        there = old & ~(ended.to_numpy() < start)
        asked = there & (rng.random(len(accounts)) < given["response"])
        answers = _answers(rng, common[asked], slipped=number >= _slip_from(given))
        felt.append(common[there])
        parts.append(
            answers.assign(
                respondent_id=accounts.loc[asked, "customer_id"].to_numpy(),
                wave=wave,
                week=start + parameters("surveys")["field_weeks"] * rng.random(len(answers)),
            )
        )
    sheets = pd.concat(parts, ignore_index=True)
    _plant(draft, given, np.concatenate(felt))
    return stack(draft, sheets.assign(respondent_type="business", form="business", channel="email"), "RB")


def _slip_from(given: dict) -> int:
    return list(parameters("surveys")["waves"]).index(given["slip"]["wave"])


def _answers(rng: np.random.Generator, common: np.ndarray, slipped: bool) -> pd.DataFrame:
    given = parameters("surveys")["business"]
    latent = {}
    for item, mean in given["items"].items():
        shared = 0.0 if item == given["stray"] else given["common"] * common
        size = given["noise"] if item != given["stray"] else np.hypot(given["noise"], given["common"])
        latent[item] = mean + shared + size * rng.standard_normal(len(common))
    if slipped:
        latent[given["slip"]["item"]] = latent[given["slip"]["item"]] + given["slip"]["points"]
    csat = given["csat"]
    feeling = csat["mean"] + sum(
        weight * (latent[item] - given["items"][item]) for item, weight in csat["weights"].items()
    )
    table = {item: cut(value) for item, value in latent.items()}
    return pd.DataFrame(table | {"csat": cut(feeling + csat["noise"] * rng.standard_normal(len(common)))})


def _plant(draft: Draft, given: dict, felt: np.ndarray) -> None:
    """True slip of the service item as a scale of 1 to 5 shows it; alpha; the stray item hangs on nothing.

    Of a large sample of answers of accounts that feel like those surveyed.
    """
    if len(felt) == 0:
        return
    rng = draft.rng("survey business truth")
    common = rng.choice(felt, 200_000)
    before, after = (_answers(rng, common, slipped) for slipped in (False, True))
    item = given["slip"]["item"]
    change = after[item].mean() - before[item].mean()
    draft.plant("surveys.business.slip", change, "points", f"item {item} from {given['slip']['wave']} on")
    good = before[[name for name in given["items"] if name != given["stray"]]]
    draft.plant("surveys.business.alpha", cronbach(good), "alpha", "of the six good items")
    draft.plant("surveys.business.stray", 0, "correlation", "of the stray item with the sum of the others")


def cronbach(items: pd.DataFrame) -> float:
    """Cronbach's alpha: how far the items of an index measure one thing."""
    count = items.shape[1]
    return float(count / (count - 1) * (1 - items.var().sum() / items.sum(axis=1).var()))
