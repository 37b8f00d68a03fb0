"""What people write to the service desk, put together from the phrases in ``words/tickets.yml``."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters, words

SLOT = re.compile(r"\{(\w+)\}")


def write(draft: Draft, tickets: pd.DataFrame) -> np.ndarray:
    """One text for each ticket: it tells kind and, mostly, topic; one customer in seven writes Chinese."""
    writer = Writer(draft)
    given, rng = parameters("tickets")["texts"], draft.rng("ticket_texts")
    chinese = rng.random(len(draft.tables["people"])) < given["chinese_customers"]
    own = rng.random(len(tickets)) < given["chinese_customers"]
    customer = tickets["customer"].to_numpy()
    language = np.where(np.where(customer < 0, own, chinese[customer]), "zh", "en")
    topics = list(words("tickets")["en"]["bodies"])
    misfiled = rng.random(len(tickets)) < given["misfiled"]
    topic = np.where(misfiled, rng.choice(topics, len(tickets)), tickets["topic"])
    goods = _goods_of_orders(draft, tickets["order_id"])
    order_id, defect = _or_none(tickets["order_id"]), _or_none(tickets["defect"])
    rows = zip(
        language, topic, tickets["kind"], tickets["channel"], order_id, goods, defect,
        tickets["follow_up"], strict=True,
    )  # fmt: skip
    return np.array([writer.text(*row) for row in rows], dtype=object)


def _or_none(column: pd.Series) -> np.ndarray:
    return column.astype(object).where(column.notna(), None).to_numpy()


def _goods_of_orders(draft: Draft, order_id: pd.Series) -> list[list[str]]:
    """Product ids in each ticket's order; an empty list without one."""
    lines = draft.tables["order_lines"]
    lines = lines[lines["order_id"].isin(order_id.dropna())]
    held = lines.groupby("order_id")["product_id"].agg(list)
    return [held.get(order, []) for order in order_id]


class Writer:
    """Chooses phrases and fills their slots."""

    def __init__(self, draft: Draft):
        self.rng, self.given = draft.rng("ticket_phrases"), parameters("tickets")["texts"]
        self.words, self.topics = words("tickets"), list(words("tickets")["en"]["bodies"])
        products = draft.tables["products"].set_index("product_id")
        self.names = {"en": products["name_en"].to_dict(), "zh": products["name_zh_cn"].to_dict()}
        self.prices = products["list_price"].to_dict()
        self.random = _Uniform(self.rng)

    def text(self, language, topic, kind, channel, order, goods, defect, again) -> str:
        """One ticket's text."""
        bank, given = self.words[language], self.given
        tone = self._tone(kind)
        parts = [self._pick(bank["openings"][tone]), self._body(bank, topic, kind, goods, defect)]
        if again:
            parts.insert(1, self._pick(bank["repeats"]))
        if self.random() < given["second_topic"]:
            parts.append(self._body(bank, self._pick(self.topics), kind, goods, None))
        if self.random() < given["detail"]:
            parts.append(self._pick(bank["details"][kind]))
        parts.append(self._pick(bank["closings"][tone]))
        text = self._join([part for part in parts if part], language)
        text = self._fill(text, language, order, goods)
        if language == "en":
            text = self._as_typed(text, channel)
        return text

    def _tone(self, kind: str) -> str:
        shares, draw = self.given["tones"][kind], self.random()
        for tone, share in shares.items():
            draw -= share
            if draw < 0:
                return tone
        return tone

    def _pick(self, options):
        return options[int(self.random() * len(options))]

    def _body(self, bank, topic, kind, goods, defect) -> str:
        """A phrase of the topic; one that fits a single product has that product's own name in it."""
        if defect:
            return self._about(self._pick(bank["defects"][defect]), bank, defect)
        if self.random() < self.given["vague"]:
            return self._pick(bank["vague"][kind])
        held = [good for good in goods if good in self.words["pools"]["gear"]]
        for _ in range(8):  # a phrase about something that is not in the order is drawn anew
            product, bar, phrase = self._pick(bank["bodies"][topic][kind]).rpartition("|")
            if not bar or not held or product in held:
                break
        return self._about(phrase, bank, product) if bar else phrase

    def _about(self, phrase: str, bank, product: str) -> str:
        return phrase.replace("{gear}", self.names["zh" if bank is self.words["zh"] else "en"][product])

    def _join(self, parts: list[str], language: str) -> str:
        if language == "zh":
            return "".join(parts)
        text = parts[0]
        for part in parts[1:]:
            follows = text.endswith((",", "-"))
            text += " " + (
                part[0].lower() + part[1:] if follows and not part.startswith(("I ", "I'")) else part
            )
        return text

    def _fill(self, text: str, language: str, order, goods) -> str:
        """Slots become the order's number and goods, a day, a town, a number."""
        bank = self.words[language]
        good = self._pick(self.words["pools"]["product"])

        def value(match: re.Match) -> str:
            nonlocal good
            slot = match[1]
            if slot in self.words["pools"]:
                pool = self.words["pools"][slot]
                good = self._pick([held for held in goods if held in pool] or pool)
                return self.names[language][good]
            if slot == "price":
                return f"{self.prices[good]:g}"
            if slot == "order":
                return bank["named_order"] + order if order else self._pick(bank["unnamed_order"])
            if slot in ("weekday", "city"):
                return self._pick(bank["weekdays" if slot == "weekday" else "cities"])
            low, high = self.given["slots"][slot]
            return str(low + int(self.random() * (high - low + 1)))

        return SLOT.sub(value, text)

    def _as_typed(self, text: str, channel: str) -> str:
        """English as it is typed: at times without capitals, with a slip, after a Chinese greeting."""
        given = self.given
        if channel in ("chat", "social") and self.random() < given["casual"]:
            text = text.lower().rstrip(".")
        if self.random() < given["typo"]:
            place = int(self.random() * max(len(text) - 3, 1))
            if text[place : place + 2].isalpha() and text[place : place + 2].islower():
                text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        if self.random() < given["mixed"]:
            text = self._pick(self.words["zh"]["openings"]["polite"]) + text
        return text


class _Uniform:
    """Uniform random numbers one by one, drawn a batch at a time."""

    def __init__(self, rng: np.random.Generator, batch: int = 20000):
        self.rng, self.batch, self.at, self.numbers = rng, batch, batch, []

    def __call__(self) -> float:
        if self.at == self.batch:
            self.numbers, self.at = self.rng.random(self.batch).tolist(), 0
        self.at += 1
        return self.numbers[self.at - 1]
