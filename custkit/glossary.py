"""The register of definitions (``glossary.yml``), in English and Simplified Chinese."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from custkit.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

LANGUAGES = ("en", "zh-CN")


@cache
def entries() -> Mapping[str, dict]:
    """All entries: key → term, definition, unit, symbol, columns, also, see_also."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("glossary.yml").read_text("utf-8"))


def define(term: str, lang: str = "en") -> str:
    """The definition of a term, in one or two sentences.

    Parameters
    ----------
    term : str
        Key, term in either language, column name, or another name in use; case does not matter.
    lang : str
        ``"en"`` or ``"zh-CN"``.

    Raises
    ------
    ParameterError
        If the term or the language is not known; the closest terms are named.
    """
    return entries()[find(term)]["definition"][_language(lang)]


def find(term: str) -> str:
    """The key of a term given as in `define`."""
    names, wanted = _names(), str(term).strip()
    # T (age) and t, or a column and a word, may differ in case alone: the exact name comes first
    key = names.get(wanted) or names.get(wanted.casefold())
    if key is None:
        near = difflib.get_close_matches(wanted.casefold(), names, n=5, cutoff=0.5)
        near = list(dict.fromkeys(entries()[names[n]]["term"]["en"] for n in near))[:3]
        hint = f"; closest: {', '.join(near)}" if near else ""
        raise ParameterError(f"the glossary has no term {term!r}{hint}")
    return key


def table(terms: Iterable[str] | None = None, lang: str = "en") -> pd.DataFrame:
    """Definitions as a table for a report or a page.

    Parameters
    ----------
    terms : iterable of str, optional
        As in `define`, in the order wanted; all terms by default, in the order of the register.
    lang : str
        ``"en"`` or ``"zh-CN"``.

    Returns
    -------
    DataFrame indexed by key
        ``term``, ``definition``, ``unit``, ``column`` (column names of custkit, parted by commas; empty if
        there is none).

    Raises
    ------
    ParameterError
        If terms (all of them are named) or the language are not known.
    """
    import pandas as pd

    lang, keys, faults = _language(lang), [], []
    for term in entries() if terms is None else terms:
        try:
            keys.append(find(term))
        except ParameterError as error:
            faults.extend(error.faults)
    if faults:
        raise ParameterError(faults)
    rows = [
        {
            "term": entries()[key]["term"][lang],
            "definition": entries()[key]["definition"][lang],
            "unit": entries()[key]["unit"][lang],
            "column": ", ".join(entries()[key].get("columns", [])),
        }
        for key in dict.fromkeys(keys)
    ]
    index = pd.Index(dict.fromkeys(keys), name="key", dtype="str")
    return pd.DataFrame(rows, index, columns=["term", "definition", "unit", "column"])


@cache
def _names() -> dict[str, str]:
    """Every name of every entry → key. Keys win over columns, columns over terms, terms over other names."""
    names: dict[str, str] = {}
    for spell in (str, str.casefold):
        for kind in ("key", "columns", "term", "also"):
            for key, entry in entries().items():
                given = {"key": [key], "term": entry["term"].values()}.get(kind, entry.get(kind, []))
                for name in given:
                    names.setdefault(spell(name), key)
    return names


def _language(lang: str) -> str:
    known = {"en": "en", "zh-cn": "zh-CN", "zh_cn": "zh-CN", "zh": "zh-CN"}
    if str(lang).casefold() not in known:
        raise ParameterError(f"lang is {lang!r}; the glossary has {' and '.join(LANGUAGES)}")
    return known[lang.casefold()]
