"""Which column of an order file plays which role: named by the user, or guessed from its heading."""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path
from typing import Any

from custkit.errors import ParameterError
from custkit.order_files import OrderFile, quoted
from custkit.order_values import Reading, option

OWN, KNOWN, WEAK, NONE = 3, 2, 1, 0  # custkit's own name, a name of the schema, a name taken if alone


@cache
def order_log_schema() -> dict[str, dict[str, Any]]:
    """The contract of an order log (``schema.yml``): column → type, unit, required, description, names."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("schema.yml").read_text("utf-8"))["order_log"]


def assign_columns(file: OrderFile, given: dict[str, str] | None) -> tuple[dict[str, int], Reading]:
    """Which column of the file plays which role: as given, else by the names in ``schema.yml``.

    Parameters
    ----------
    file : OrderFile
    given : dict, optional
        custkit's name → the file's name.

    Returns
    -------
    roles : dict of str to int
        Role → column number. Without an amount column: quantity and unit_price instead.
    found : Reading
        Its notes (columns guessed) and faults (none, or two candidates, for a needed column).

    Raises
    ------
    ParameterError
        If `given` names no role of custkit, or one column for two roles.
    """
    schema, given, found = order_log_schema(), dict(given or {}), Reading("")
    unknown = [name for name in given if name not in schema]
    if unknown:
        raise ParameterError(f"columns: {quoted(unknown)} unknown; the names are {', '.join(schema)}")
    if len(set(given.values())) < len(given):
        raise ParameterError("columns: one column of the file is named for two roles")
    roles: dict[str, int] = {}
    for role, name in given.items():
        hits = [i for i, heading in enumerate(file.headings) if heading == name]
        hits = hits or [i for i, heading in enumerate(file.headings) if _key(heading) == _key(name)]
        if len(hits) == 1:
            roles[role] = hits[0]
        elif hits:
            found.faults.append(f"column '{name}' is there {len(hits)} times; give each its own heading")
        else:
            near = difflib.get_close_matches(name, file.headings, n=1, cutoff=0.5)
            hint = f"; closest is '{near[0]}'" if near else ""
            found.faults.append(
                f"no column '{name}' (wanted for {role}){hint}. The file has {quoted(file.headings)}"
            )
    guess = {r: _candidates(r, file.headings, roles) for r in schema if r not in given}
    product = ("quantity", "unit_price")
    both = all(r in given or guess[r][1] for r in product)
    if "amount" in guess and (all(r in given for r in product) or (both and guess["amount"][0] < KNOWN)):
        del guess["amount"]
    else:
        guess = {r: hits for r, hits in guess.items() if r not in product}
    for role, (_, hits) in guess.items():
        if len(hits) == 1:
            roles[role] = hits[0]
        elif hits:
            rivals = [file.headings[i] for i in hits]
            remedy = f"say which with {option('columns', f'{role}=NAME')}"
            if len(set(rivals)) == 1:
                remedy = "give each column its own heading"
            found.faults.append(f"{role} may be {quoted(rivals)}; {remedy}")
        elif schema[role]["required"]:
            taken = {i for r, (_, others) in guess.items() if r != role for i in others} | set(roles.values())
            found.faults.append(
                _missing(role, [h for i, h in enumerate(file.headings) if i not in taken], file)
            )
    if found.faults and (fault := _no_headings(file, given, roles)):
        found.faults = [fault]
    if found.faults and file.unread:
        found.faults.append(file.unread)
    for how, some in (("as told", given), ("guessed from their names", guess)):
        names = {role: file.headings[roles[role]] for role in some if role in roles}
        taken = [f"{role} from '{name}'" for role, name in names.items() if role in given or name != role]
        found.notes += [f"Columns {how}: {', '.join(taken)}."] if taken else []
    if "unit_price" in roles and "amount" not in roles:
        found.notes.append("There is no amount column: amount = quantity × unit_price, line by line.")
    return roles, found


def _key(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name.casefold())


def _bare(name: str) -> str:
    """The key of a heading without the unit behind it: ``Amount (EUR)`` counts as ``Amount``."""
    return _key(re.sub(r"[(（\[][^()（）\[\]]*[)）\]]\s*$", "", name)) or _key(name)


def _no_headings(file: OrderFile, given: dict[str, str], roles: dict[str, int]) -> str:
    """The one fault of a file whose first row is not its headings: they are below titles, or not there."""
    schema = order_log_schema()
    needed = [role for role in schema if schema[role]["required"]]
    for number, cells in file.early:
        keys = {_key(cell) for cell in cells}
        known = [
            r for r in needed if (_key(given[r]) in keys if r in given else _candidates(r, cells, {})[1])
        ]
        if len(known) > max(1, sum(role in roles for role in needed)):
            return (
                f"the headings seem to be in row {number} ({quoted([cell for cell in cells if cell])}): "
                "delete the rows above it"
            )
    if not any(role in roles for role in needed) and any(_is_data(heading) for heading in file.headings):
        return f"the first row looks like data ({quoted(file.headings)}): the file needs a heading row"
    return ""


def _candidates(role: str, headings: list[str], taken: dict[str, int]) -> tuple[int, list[int]]:
    """How well names of the file fit a role (OWN > KNOWN > WEAK > NONE), and the columns that fit so."""
    names = order_log_schema()[role]
    free = [i for i in range(len(headings)) if i not in taken.values()]
    own = [i for i in free if headings[i] == role]
    if own:
        return OWN, own
    for strength, known in ((KNOWN, names["also"]), (WEAK, names["weak"])):
        keys = {_key(name) for name in known}
        hits = [i for i in free if _key(headings[i]) in keys or _bare(headings[i]) in keys]
        if hits:
            return strength, hits
    return NONE, []


def _missing(role: str, free: list[str], file: OrderFile) -> str:
    keys = {_bare(heading): heading for heading in free}
    names = order_log_schema()[role]["also"]
    near = [match for name in names for match in difflib.get_close_matches(_key(name), keys, 1, 0.7)]
    hint = f" (perhaps '{keys[near[0]]}')" if near else ""
    instead = ", or quantity and unit_price," if role == "amount" else ""
    return (
        f"no column for {role}{instead} was recognised. The file has {quoted(file.headings)}; "
        f"say which{hint} with {option('columns', f'{role}=NAME')}"
    )


def _is_data(heading: str) -> bool:
    return bool(re.fullmatch(r"[\d.,:/ -]+", heading))
