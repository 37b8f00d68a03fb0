"""The questions that follow the core ones in some waves: effort, service quality, Kano, needs and price.

Each respondent gets one form. Everybody invited has an answer to the form drawn for them, sent or not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import wishes
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.questionnaire import cut, servqual_items
from custkit.simulate.streams import choose_each


def answers(draft: Draft, frame: pd.DataFrame) -> pd.DataFrame:
    """Everybody's answers to the form drawn for them; missing elsewhere. Index as `frame`."""
    makers = {"ces": effort, "servqual": service_quality, "kano": kano}
    makers |= dict.fromkeys(parameters("surveys")["needs"]["forms"], wishes.needs)
    parts = []
    for form, maker in makers.items():
        some = frame[frame["form"] == form]
        parts.append(maker(draft, some).set_axis(some.index))
    return pd.concat(parts).reindex(frame.index)


def effort(draft: Draft, frame: pd.DataFrame) -> pd.DataFrame:
    """Customer effort at each touchpoint, 1 (very low) to 5 (very high)."""
    given, rng = parameters("surveys")["ces"], draft.rng("survey ces")
    pull = given["service"] * frame["service"].to_numpy()
    return pd.DataFrame(
        {
            f"ces_{name}": cut(mean + pull + given["noise"] * rng.standard_normal(len(frame)))
            for name, mean in given["touchpoints"].items()
        }
    )


def service_quality(draft: Draft, frame: pd.DataFrame) -> pd.DataFrame:
    """Expectation and perception on five dimensions, 1 to 7 (SERVQUAL)."""
    given, rng, n = parameters("surveys")["servqual"], draft.rng("survey servqual"), len(frame)
    table = {}
    for name, facts in given["dimensions"].items():
        own = given["own"] * rng.standard_normal((2, n))
        centre = {
            "e": facts["expected"] + own[0],
            "p": facts["perceived"] + own[1] + facts["loading"] * frame["service"].to_numpy(),
        }
        for number in range(1, given["questions"] + 1):
            for side, middle in centre.items():
                noise = given["noise"] * rng.standard_normal(n)
                table[f"{name}_{number}_{side}"] = cut(middle + noise, 7)
    return pd.DataFrame(table)[servqual_items()]


def kano(draft: Draft, frame: pd.DataFrame) -> pd.DataFrame:
    """Pairs of answers to "if it were there" (f) and "if it were not there" (d) on eight features."""
    given, rng = parameters("surveys")["kano"], draft.rng("survey kano")
    words = np.array(given["answers"], dtype=object)
    table = {}
    for feature, kind in given["classes"].items():
        for side, chances in (("f", given["functional"]), ("d", given["dysfunctional"])):
            table[f"{feature}_{side}"] = words[choose_each(rng, np.tile(chances[kind], (len(frame), 1)))]
    return pd.DataFrame(table)


def kano_table() -> np.ndarray:
    """Class of each pair of answers, functional by row, dysfunctional by column (Berger et al. 1993)."""
    return np.array([list(row) for row in ("QAAAO", "RIIIM", "RIIIM", "RIIIM", "RRRRQ")])


def kano_shares(kind: str) -> dict[str, float]:
    """True shares of the classes among the answers to a feature of one class."""
    given, table = parameters("surveys")["kano"], kano_table()
    joint = np.outer(given["functional"][kind], given["dysfunctional"][kind])
    return {name: float(joint[table == name].sum()) for name in "MOAIRQ"}


def plant(draft: Draft, frame: pd.DataFrame, told: pd.DataFrame) -> None:
    """True figures of the forms, of everybody who would have got them."""
    for feature, kind in parameters("surveys")["kano"]["classes"].items():
        shares = kano_shares(kind)
        rest = max(share for name, share in shares.items() if name != kind)
        meaning = f"share of class {kind}, the feature's own, less the next largest"
        draft.plant(f"surveys.kano.{feature}", shares[kind] - rest, "share of answers", meaning)
    given = parameters("surveys")["servqual"]
    for name in given["dimensions"]:
        gap = gaps(told, name).mean()
        draft.plant(f"surveys.servqual.{name}", gap, "points", f"perceived less expected {name}")
    touchpoints = [f"ces_{name}" for name in parameters("surveys")["ces"]["touchpoints"]]
    means = told[touchpoints].mean()
    worst = means.idxmax()
    draft.plant(
        "surveys.ces.worst",
        means[worst] - means.drop(worst).max(),
        "points",
        f"effort at {worst} less the next",
    )
    wishes.plant(draft, frame, told)


def gaps(told: pd.DataFrame, dimension: str) -> pd.Series:
    """Each respondent's gap on one dimension: mean perception less mean expectation."""
    numbers = range(1, parameters("surveys")["servqual"]["questions"] + 1)
    sides = {side: [f"{dimension}_{number}_{side}" for number in numbers] for side in "ep"}
    return told[sides["p"]].mean(axis=1) - told[sides["e"]].mean(axis=1)
