"""Contact records of the web shop, the store till and an expo list: the same people, written differently."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters
from custkit.simulate.streams import choose, stream

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def contact_records(draft: Draft, tables: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records of three sources, with slips, gaps, second addresses and mixed notations.

    Returns
    -------
    records : DataFrame of text
        source, record_id, name, email, phone, company, city, birth_year, updated_at, bounced (fields that
        failed when they were tried in the last week: "email", "phone", "email;phone", "no"; empty when not
        tried), consent_raw.
    truth : DataFrame
        record_id, entity_id: records of one person share it.
    """
    given, rng = parameters("practice")["crm_raw"], stream(draft.seed, "contact records")
    persons = _persons(rng, given, tables)
    inside = np.column_stack([rng.random(len(persons)) < share for share in given["sources"].values()])
    inside[~inside.any(axis=1), 0] = True
    who, source = np.nonzero(inside)
    records = persons.iloc[who].reset_index(drop=True)
    records["source"] = np.array(list(given["sources"]))[source]
    n = len(records)
    age = _age_in_weeks(rng, n)
    records["name"] = _names(rng, given, records)
    records["email"] = _emails(rng, given, records["email"])
    records["phone"] = _phones(rng, given, records["phone"])
    records["birth_year"] = records["birth_year"].where(rng.random(n) >= given["birth_year_missing"])
    records["birth_year"] = records["birth_year"].map("{:.0f}".format, na_action="ignore")
    records["updated_at"] = _written_dates(rng, draft, age, records["source"])
    records["bounced"] = _bounced(rng, given, records, age)
    words = {
        "yes": 3,
        "Y": 2,
        "1": 2,
        "true": 1,
        "ja": 0.3,
        "同意": 0.7,
        "no": 2,
        "N": 1,
        "0": 1,
        "": 2,
        "不同意": 0.3,
    }
    records["consent_raw"] = choose(rng, words, n)
    records = records.iloc[rng.permutation(n)].reset_index(drop=True)
    prefix = records["source"].map({"web_shop": "W", "store_till": "S", "expo_list": "X"})
    records["record_id"] = prefix + (records.groupby("source").cumcount() + 1).map("{:05d}".format)
    columns = ["source", "record_id", "name", "email", "phone", "company", "city", "birth_year", "updated_at",
               "bounced", "consent_raw"]  # fmt: skip
    return records[columns], records[["record_id", "entity_id"]]


def _persons(rng: np.random.Generator, given: Mapping, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """People the three sources may know: consumers, and contacts of firms."""
    columns = ["name", "email", "phone", "city", "birth_year", "company"]
    consumers = tables["customers"].query("customer_type == 'consumer'").assign(company=None)[columns]
    firms = tables["leads"].rename(columns={"contact_name": "name"}).assign(birth_year=np.nan)[columns]
    firms = firms.drop_duplicates("email")
    wanted = min(given["persons"], len(consumers) + len(firms))
    contacts = min(round(given["company_contacts"] * wanted), len(firms))
    parts = [
        part.iloc[np.sort(rng.choice(len(part), min(size, len(part)), replace=False))]
        for part, size in ((consumers, wanted - contacts), (firms, contacts))
    ]
    persons = pd.concat(parts, ignore_index=True)
    persons["entity_id"] = [f"P{number:05d}" for number in rng.permutation(len(persons)) + 1]
    return persons


def _age_in_weeks(rng: np.random.Generator, n: int) -> np.ndarray:
    """Weeks since each record was last updated; most are recent, few are two years old."""
    return np.minimum(rng.exponential(38, n), 103.5)


def _names(rng: np.random.Generator, given: Mapping, records: pd.DataFrame) -> list[str]:
    """Names with slips of the finger, initials, capitals, or the family name first."""
    slips = {name: given[name] for name in ("typo", "nickname")}
    rest = {"capitals": 0.05, "reversed": 0.06, "spaces": 0.03, "as is": 0.70}
    kind = choose(rng, slips | rest, len(records))
    places = rng.random(len(records))
    return [
        _written(name, how, place) for name, how, place in zip(records["name"], kind, places, strict=True)
    ]


def _written(name: str, how: str, place: float) -> str:
    first, _, last = name.partition(" ")
    if how == "typo":
        at = 1 + int(place * (len(name) - 2))
        slips = (name[:at] + name[at + 1 :], name[:at] + name[at] + name[at:], _swapped(name, at))
        return slips[int(place * 997) % 3]
    return {
        "nickname": f"{first[:1]}. {last}",
        "capitals": name.upper(),
        "reversed": f"{last}, {first}",
        "spaces": f" {first}  {last}",
    }.get(how, name)


def _swapped(name: str, at: int) -> str:
    return name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :]


def _emails(rng: np.random.Generator, given: Mapping, emails: pd.Series) -> list[str | None]:
    share = {name: given[f"email_{name}"] for name in ("missing", "invalid", "other")}
    kinds = choose(rng, share | {"capitals": 0.05, "as is": 1 - sum(share.values()) - 0.05}, len(emails))
    picks = rng.integers(0, 3, len(emails))
    found = []
    for email, kind, pick in zip(emails, kinds, picks, strict=True):
        local, _, domain = email.partition("@")
        faults = (f"{local}{domain}", f"{local}@@{domain}", f"{local} @{domain.replace('.', '..')}")
        found.append(
            {
                "missing": None,
                "invalid": faults[pick],
                "other": f"{local.split('.')[-1]}.{pick}@mail.example.com",
                "capitals": f"{local.title()}@{domain.upper()}",
            }.get(kind, email)
        )
    return found


def _phones(rng: np.random.Generator, given: Mapping, phones: pd.Series) -> list[str | None]:
    share = {"missing": given["phone_missing"], "other": given["phone_other"]}
    kinds = choose(rng, share | {"as is": 1 - sum(share.values())}, len(phones))
    notation = rng.integers(0, 6, len(phones))
    others = rng.integers(0, 10_000_000, len(phones))
    found = []
    for phone, kind, form, other in zip(phones, kinds, notation, others, strict=True):
        digits = "".join(filter(str.isdigit, phone))[3:] if kind == "as is" else f"{other:07d}"
        forms = (f"000-{digits}", f"000 {digits[:3]} {digits[3:]}", f"(000) {digits}", f"+00 000 {digits}",
                 f"000.{digits[:3]}.{digits[3:]}", f"000-{digits}".translate(_FULL_WIDTH))  # fmt: skip
        found.append(None if kind == "missing" else forms[form])
    return found


def _written_dates(rng: np.random.Generator, draft: Draft, age: np.ndarray, source: pd.Series) -> list[str]:
    """The shop writes ISO dates, the till dots, the expo list either slashes year first or month names."""
    days = pd.DatetimeIndex(draft.clock.dates(draft.clock.weeks - 0.5 - age))
    forms = {"web_shop": ["%Y-%m-%d"], "store_till": ["%d.%m.%Y"], "expo_list": ["%Y/%m/%d", "%d %b %Y"]}
    picks = rng.integers(0, 2, len(days))
    return [
        day.strftime(forms[name][pick % len(forms[name])])
        for day, name, pick in zip(days, source, picks, strict=True)
    ]


def _bounced(rng: np.random.Generator, given: Mapping, records: pd.DataFrame, age: np.ndarray) -> np.ndarray:
    """Fields that no longer work, at a constant rate since the last update; invalid addresses never do."""
    n = len(records)
    dead = {field: rng.random(n) < 1 - np.exp(-rate * age) for field, rate in given["failure_rate"].items()}
    email = records["email"].fillna("")
    dead["email"] = (dead["email"] | ~email.str.fullmatch(r"[^@\s]+@[^@\s]+")) & (email != "")
    dead["phone"] &= records["phone"].notna().to_numpy()
    told = np.select(
        [dead["email"] & dead["phone"], dead["email"], dead["phone"]], ["email;phone", "email", "phone"], "no"
    )
    return np.where(rng.random(n) < given["tested"], told, "")
