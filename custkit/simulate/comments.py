"""Comments as people write them: put together from sentences by topic and tone, in English or Chinese."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters, words
from custkit.simulate.streams import choose_each

# What a topic of a comment hangs on; topics that several factors share come up by chance.
FACTOR_OF = {
    "quality": "quality",
    "service": "service",
    "delivery": "service",
    "price": "price",
    "communication": "communication",
    "website": None,
}


SLOTS = [
    ("drink", "drink", ""),
    ("gear", "gear", ""),
    ("drink_zh", "drink", "_zh"),
    ("gear_zh", "gear", "_zh"),
]


def writes_chinese(draft: Draft) -> np.ndarray:
    """Whether each consumer writes in Chinese; the same people as in tickets."""
    share = parameters("tickets")["texts"]["chinese_customers"]
    return draft.rng("ticket_texts").random(len(draft.tables["people"])) < share


def on_score(draft: Draft, frame: pd.DataFrame, score: pd.Series) -> np.ndarray:
    """Comments on the net promoter question: praise from 9, blame up to 6, both between; None for most."""
    given, rng = parameters("surveys")["comments"], draft.rng("survey comments")
    tone = np.where(score >= 9, "good", np.where(score <= 6, "bad", "mixed"))
    sign = np.where(tone == "bad", -1.0, 1.0)
    pulls = np.column_stack(
        [np.zeros(len(frame)) if name is None else frame[name].to_numpy() for name in FACTOR_OF.values()]
    )
    topics = np.array(list(FACTOR_OF))
    first = topics[choose_each(rng, np.exp(1.1 * sign[:, None] * pulls))]
    # The second topic speaks the other way in a mixed comment.
    turn = np.where(tone == "mixed", -1.0, sign)
    second = topics[choose_each(rng, np.exp(1.1 * turn[:, None] * pulls) * (topics != first[:, None]))]
    chinese = writes_chinese(draft)[frame["customer"]]
    writes = rng.random(len(frame)) < given["share"]
    texts = np.full(len(frame), None, dtype=object)
    rows = zip(first[writes], second[writes], tone[writes], chinese[writes], strict=True)
    texts[writes] = [comment(rng, *row) for row in rows]
    return texts


def comment(rng: np.random.Generator, first: str, second: str, tone: str, chinese: bool) -> str:
    """One comment; `second` is used in mixed comments and in some others."""
    given, bank, language = parameters("surveys")["comments"], words("surveys"), "zh" if chinese else "en"
    bodies = bank["bodies"]
    praise = "good" if tone == "mixed" else tone
    text = sentence(rng, bodies[first][praise][language])
    if tone == "mixed":
        text = join(
            text, pick(rng, bank["but"][language]), pick(rng, bodies[second]["bad"][language]), chinese
        )
    elif rng.random() < given["second"]:
        text = join(text, "", sentence(rng, bodies[second][tone][language]), chinese)
    parts = [text + ("。" if chinese else ".")]
    if rng.random() < given["opening"]:
        parts.insert(0, pick(rng, bank["openings"][tone][language]))
    if rng.random() < given["closing"]:
        parts.append(pick(rng, bank["closings"][tone][language]))
    return finish(rng, parts, chinese)


def pick(rng: np.random.Generator, options: list[str]) -> str:
    """One of some texts."""
    return options[int(rng.random() * len(options))]


def sentence(rng: np.random.Generator, options: list[str]) -> str:
    """One of some texts, with a capital."""
    text = pick(rng, options)
    return text[0].upper() + text[1:]


def join(text: str, link: str, more: str, chinese: bool) -> str:
    """Two sentences in one line."""
    return f"{text}{'，' if chinese and link else '。' if chinese else '. '}{link}{more}"


def finish(rng: np.random.Generator, parts: list[str], chinese: bool) -> str:
    """Fill in names and numbers; a typing error in some English texts."""
    bank = words("surveys")
    text = ("" if chinese else " ").join(parts)
    city, name = pick(rng, list(bank["cities"].items()))
    filled = text.format(
        **{slot: pick(rng, bank[f"{kind}s{end}"]) for slot, kind, end in SLOTS},
        days=rng.integers(2, 15),
        hours=rng.integers(2, 6),
        city=name if chinese else city,
    )
    careless = not chinese and rng.random() < parameters("surveys")["comments"]["typo"]
    return mistype(rng, filled) if careless else filled


def mistype(rng: np.random.Generator, text: str) -> str:
    """Two letters of one longer word swapped."""
    terms = text.split(" ")
    long = [place for place, term in enumerate(terms) if len(term) > 4 and term.isalpha()]
    if not long:
        return text
    place = long[int(rng.random() * len(long))]
    at = int(rng.integers(1, len(terms[place]) - 2))
    term = terms[place]
    terms[place] = term[:at] + term[at + 1] + term[at] + term[at + 2 :]
    return " ".join(terms)


def on_leaving(rng: np.random.Generator, reason: str, chinese: bool) -> str:
    """Why somebody left, in one to three sentences."""
    given, language = words("surveys")["exit"], "zh" if chinese else "en"
    parts = [pick(rng, given["reasons"][reason][language])]
    if rng.random() < parameters("surveys")["exit"]["opening"]:
        parts.insert(0, pick(rng, given["openings"][language]))
    stays = reason == "not_left"
    if rng.random() < parameters("surveys")["exit"]["staying" if stays else "closing"]:
        parts.append(pick(rng, given["stays" if stays else "closings"][language]))
    return finish(rng, parts, chinese)
