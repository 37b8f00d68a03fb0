"""The form of survey answers: one row for each answered item of each response."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters

HEAD = ["respondent_type", "respondent_id", "form", "wave", "week", "channel"]
PUBLIC = ["age_band", "gender", "city", "aware", "knows_offer", "fresh", "expert", "fair_price", "caring"]


def cut(latent, most: int = 5, least: int = 1) -> np.ndarray:
    """A feeling as the nearest step of an answer scale."""
    return np.clip(np.floor(np.asarray(latent) + 0.5), least, most)


def servqual_items() -> list[str]:
    """``reliability_1_e`` and so on: dimension, question, expected or perceived."""
    given = parameters("surveys")["servqual"]
    questions = range(1, given["questions"] + 1)
    return [
        f"{name}_{number}_{side}" for name in given["dimensions"] for number in questions for side in "ep"
    ]


@cache
def survey_of() -> dict[str, str]:
    """Item → survey, in the order in which they are asked."""
    given = parameters("surveys")
    needs = given["needs"]
    asked = {
        "awareness": [*PUBLIC, "likes", "intends"],
        "nps": ["nps"],
        "csat": ["csat"],
        "drivers": given["business"]["items"],
        "ces": [f"ces_{name}" for name in given["ces"]["touchpoints"]],
        "servqual": servqual_items(),
        "kano": [f"{feature}_{side}" for feature in given["kano"]["classes"] for side in "fd"],
        "needs": dict.fromkeys(
            [*(item for form in needs["forms"].values() for item in form), *price_steps()]
        ),
        "exit": ["reason", "would_return"],
    }
    return {item: survey for survey, items in asked.items() for item in items}


def price_steps() -> list[str]:
    """Items of the price ladder, ``price_8`` and so on (CNY a month)."""
    return [f"price_{step}" for step in parameters("surveys")["needs"]["price"]["steps"]]


def stack(draft: Draft, sheets: pd.DataFrame, prefix: str = "R") -> pd.DataFrame:
    """Answers in long form.

    Parameters
    ----------
    draft : Draft
    sheets : DataFrame
        One row per response: `HEAD`, a column for each item (missing where not asked; numbers or words)
        and, for an item with comments, a column ``<item>_text``.
    prefix : str
        Of the response ids, which are numbered by form and time.

    Returns
    -------
    DataFrame
        The public columns of `survey_answers`, by response and the order of the questions.
    """
    sheets = sheets.sort_values(["form", "week"], kind="stable", ignore_index=True)
    minute = draft.clock.timestamps(sheets["week"]).astype("datetime64[m]").astype("datetime64[s]")
    head = sheets[HEAD].assign(answered_at=minute)
    head.insert(0, "response_id", draft.ids(prefix, len(sheets)))
    parts = []
    for place, (item, survey) in enumerate(survey_of().items()):
        if item not in sheets:
            continue
        row = np.flatnonzero(sheets[item].notna())
        answer = sheets[item].to_numpy()[row]
        if sheets[item].dtype.kind == "f":
            answer = answer.astype(int)
        has_text = f"{item}_text" in sheets
        text = sheets[f"{item}_text"].to_numpy(object)[row] if has_text else np.full(len(row), None)
        part = {"row": row, "place": place, "item": item, "survey": survey}
        parts.append(pd.DataFrame(part | {"answer": answer.astype(str), "text": text}))
    long = pd.concat(parts, ignore_index=True).sort_values(["row", "place"], ignore_index=True)
    whole = head.iloc[long["row"].to_numpy()].reset_index(drop=True)
    whole = whole.assign(**{name: long[name] for name in ("item", "survey", "answer", "text")})
    order = ["response_id", "item", "respondent_type", "respondent_id", "survey", "wave"]
    return whole[[*order, "answered_at", "channel", "answer", "text", "week"]]
