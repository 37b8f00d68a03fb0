"""What the sales team wrote down about a firm: names, addresses, typing variants, consent."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters, words
from custkit.simulate.streams import choose


def name_firms(draft: Draft, leads: pd.DataFrame) -> None:
    """Company, contact, e-mail and telephone; the contact who shops in private gives that number."""
    rng, n = draft.rng("firm names"), len(leads)
    in_chinese = rng.random(n) < parameters("firms")["chinese_names"]
    bank, luck = words("firms"), rng.random((n, 4))
    pairs = [
        _chinese(bank, row, sector, city) if chinese else _english(bank, row, sector)
        for row, sector, city, chinese in zip(luck, leads["sector"], leads["city"], in_chinese, strict=True)
    ]
    leads["company"] = [company for company, _ in pairs]
    leads["contact_name"] = _persons(rng, n)
    own_domain = rng.random(n) < 0.62
    boxes, personal = rng.choice(bank["mailboxes"], n), rng.random(n) < 0.55
    # No firm shares a number with a stranger.
    taken = draft.tables["people"]["phone"].str.removeprefix("000-").astype(int)
    numbers = rng.choice(10_000_000, min(2 * n + 100, 10_000_000), replace=False)
    numbers = numbers[~np.isin(numbers, taken)][:n]
    leads["phone"] = [f"000-{number:07d}" for number in numbers]
    warm = leads["customer"].to_numpy() >= 0
    people = draft.tables["people"].iloc[leads.loc[warm, "customer"]]
    leads.loc[warm, "contact_name"] = people["name"].to_numpy()
    leads.loc[warm, "phone"] = people["phone"].to_numpy()
    leads["slug"] = [slug for _, slug in pairs]
    leads["own_domain"] = own_domain
    leads["email"] = _emails(leads, np.where(personal, None, boxes))


def _english(bank: dict, luck: np.ndarray, sector: str) -> tuple[str, str]:
    """Name and address part of a firm, from four numbers between 0 and 1."""
    parts = [_pick(bank["stems"], luck[0])]
    if luck[3] < 0.85:
        parts.append(_pick(bank["seconds"], luck[1]))
    parts.append(_pick(bank["kinds"][sector], luck[2]))
    form = _pick(bank["forms"], luck[3] / 0.85) if sector == "office" and luck[3] < 0.85 else ""
    slug = "-".join(parts).lower().replace("é", "e").replace(" ", "-")
    return " ".join(parts) + form, slug


def _chinese(bank: dict, luck: np.ndarray, sector: str, city: str) -> tuple[str, str]:
    name, latin = _pick(bank["zh_stems"], luck[0])
    place = bank["zh_cities"][city] if luck[3] < 0.6 else ""
    company = place + name + _pick(bank["zh_seconds"], luck[1]) + _pick(bank["zh_kinds"][sector], luck[2])
    return company, f"{latin}{10 + int(90 * luck[3])}"


def _pick(options: list, luck: float):
    return options[int(luck * len(options))]


def _persons(rng: np.random.Generator, n: int) -> np.ndarray:
    bank = words("people")
    given, family = rng.choice(bank["given_names"], n), rng.choice(bank["family_names"], n)
    return np.array([f"{first} {last}" for first, last in zip(given, family, strict=True)], dtype=object)


def _emails(leads: pd.DataFrame, boxes) -> list[str]:
    """``box@firm.example.com``, or a box named after the firm at a mail service; None: the contact's own."""
    return [
        f"{box or person.lower().replace(' ', '.')}@{slug}.example.com"
        if own
        else f"{slug.replace('-', '.')}{'' if box else '.' + person[0].lower()}@mail.example.com"
        for box, person, slug, own in zip(
            boxes, leads["contact_name"], leads["slug"], leads["own_domain"], strict=True
        )
    ]


def with_duplicates(draft: Draft, leads: pd.DataFrame) -> pd.DataFrame:
    """Firms written down a second time, among the others in order of time; `original` points to the first."""
    given, rng = parameters("firms")["duplicates"], draft.rng("duplicates")
    leads = leads.assign(original=-1, key=np.arange(len(leads)))
    rows = np.sort(rng.permutation(np.flatnonzero(leads["week"] < draft.clock.weeks - 1)))
    rows = rng.permutation(rows)[: round(given["share"] * len(leads))]
    again = leads.iloc[rows].reset_index(drop=True)
    n, left = len(again), draft.clock.weeks - again["week"].to_numpy()
    later = rng.exponential(given["later_weeks"], n)
    later = np.where(later < left, later, left * rng.random(n))
    again = again.assign(week=again["week"] + later, original=again["key"], key=-1)
    # Whoever else came at that time came through the sources that were busy then.
    near = np.minimum(np.searchsorted(leads["week"], again["week"]), len(leads) - 1)
    again["source"] = leads["source"].to_numpy()[near]
    again["company"] = [_retyped(rng, name) for name in again["company"]]
    other = rng.random(n) >= given["same_contact"]
    again["contact_name"] = np.where(other, _persons(rng, n), again["contact_name"])
    again["contact_role"] = np.where(other, rng.permutation(again["contact_role"]), again["contact_role"])
    boxes = rng.choice(words("firms")["mailboxes"], n)
    same_box = rng.random(n) < given["same_mailbox"]
    again["email"] = np.where(same_box, again["email"], _emails(again, boxes))
    same_phone = rng.random(n) < given["same_phone"]
    again["phone"] = [_phone(rng, *pair) for pair in zip(again["phone"], same_phone, strict=True)]
    again["headcount"] = np.maximum(2, np.round(again["headcount"] * np.exp(rng.normal(0, 0.08, n)))).astype(
        int
    )
    again["pages_viewed"] = rng.poisson(2.0, n)
    again["demo_requested"] &= rng.random(n) < 0.3
    again["event_attended"] &= rng.random(n) < 0.3
    again["customer"] = np.where(other | ~same_phone, -1, again["customer"])
    again.loc[rng.random(n) < 0.5, "content_downloads"] = None
    both = pd.concat([leads, again]).sort_values("week", kind="stable", ignore_index=True)
    place = np.empty(len(leads), int)
    first = both["key"].to_numpy() >= 0
    place[both["key"].to_numpy()[first]] = np.flatnonzero(first)
    both["original"] = np.where(first, -1, place[both["original"]])
    return both.drop(columns=["key", "slug", "own_domain"])


def _retyped(rng: np.random.Generator, name: str) -> str:
    """The same firm as another hand would type it."""
    if re.search("[一-鿿]", name):
        city = next((zh for zh in words("firms")["zh_cities"].values() if name.startswith(zh)), "")
        short = name.removeprefix(city)
        options = [name, short, f"{short}（{city}）" if city else f"{name} ", name[:2] + " " + name[2:]]
        return options[rng.integers(len(options))].strip()
    place = int(rng.integers(1, len(name) - 1))
    options = [
        name,
        name.lower(),
        name.upper(),
        re.sub(r" (Ltd|Co\.|Group)$", "", name),
        name[:place] + name[place + 1] + name[place] + name[place + 2 :],
        name[:place] + name[place + 1 :],
        name[:place] + name[place] + name[place:],
        name.replace("Centre", "Ctr")
        .replace("Consulting", "Consult.")
        .replace("é", "e")
        .replace("School", "Sch."),
        name.replace(" ", "  ", 1),
        "The " + name,
    ]
    return options[rng.integers(len(options))]


def _phone(rng: np.random.Generator, phone: str, same: bool) -> str:
    """The number in another notation; if it is not the same, one digit differs."""
    digits = phone.split("-")[1]
    if not same:
        place = int(rng.integers(len(digits) - 3, len(digits)))
        digits = (
            digits[:place] + str((int(digits[place]) + int(rng.integers(1, 10))) % 10) + digits[place + 1 :]
        )
    notations = ["000-{}", "000-{}", "000 {}", "(000) {}", "000{}"]
    return notations[rng.integers(len(notations))].format(digits)


def consent(draft: Draft, leads: pd.DataFrame) -> None:
    """What the contact allowed, on what ground the record is kept, whether erasure was asked for."""
    given, rng, n = parameters("firms"), draft.rng("firm consent"), len(leads)
    leads["consent"] = rng.random(n) < leads["source"].map(given["consent"]).to_numpy(float)
    leads["consent_ts"] = leads["created_at"].where(leads["consent"])
    ground = choose(
        rng,
        {"legitimate_interest": given["legitimate_interest"], "none": 1 - given["legitimate_interest"]},
        n,
    )
    leads["retention_basis"] = np.where(leads["consent"], "consent", ground)
    asked = rng.random(n) < given["erasure_requested"]
    when = leads["week"] + (draft.clock.weeks - leads["week"]) * rng.random(n)
    leads["erasure_requested_at"] = np.where(asked, draft.clock.timestamps(when), np.datetime64("NaT"))
