"""The practice extracts: small files, dirty on purpose, each with its truth.

They are taken from a finished company as an analyst would find them: contact records of three sources, a
till's order lines, coded interviews, an access log, a lead file with a trap, a broken copy of the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from custkit.simulate import practice_contacts, practice_database, practice_orders
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.streams import stream

Frames = dict[str, pd.DataFrame]


def extracts(
    draft: Draft, tables: Mapping[str, pd.DataFrame]
) -> tuple[Frames, Frames, dict[str, dict[str, Any]]]:
    """All practice files of a company.

    Parameters
    ----------
    draft : Draft
        The finished company; its seed and clock are used.
    tables : dict
        Its public tables.

    Returns
    -------
    files, truth : dict
        Path under ``practice/`` (without ending) → frame of text columns as they stand in the file; truth
        table → frame.
    facts : dict
        Extract → what is true of it, by name.
    """
    files: Frames = {}
    truth: Frames = {}
    facts: dict[str, dict[str, Any]] = {}
    files["crm_raw"], truth["truth_crm_raw"] = practice_contacts.contact_records(draft, tables)
    facts["crm_raw"] = {"persons": int(truth["truth_crm_raw"]["entity_id"].nunique())}
    files["orders_raw"], truth["truth_orders_raw"] = practice_orders.order_lines(draft, tables)
    facts["orders_raw"] = truth["truth_orders_raw"]["fault"].value_counts().to_dict()
    files["interviews_coded"], facts["interviews_coded"] = interviews(draft)
    files["access_log"], files["access_rights"], facts["access_log"] = access(draft, tables)
    files["leads_trap"], facts["leads_trap"] = leads_trap(draft, tables)
    broken, facts["faulty_db"] = practice_database.faulty_database(draft, tables)
    files |= {f"faulty_db/{name}": frame for name, frame in broken.items()}
    return files, truth, facts


def interviews(draft: Draft) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Forty interviews, coded for themes by two people who do not always agree.

    Returns
    -------
    DataFrame
        interview (1, 2, … in the order held), theme, coder_a, coder_b (1 = theme seen).
    dict
        Cohen's kappa expected of the two coders over all themes.
    """
    given, rng = parameters("practice")["interviews"], stream(draft.seed, "interviews")
    themes, n = given["themes"], given["interviews"]
    rows = pd.MultiIndex.from_product([range(1, n + 1), themes], names=["interview", "theme"])
    coded = rows.to_frame(index=False)
    there = rng.random(len(coded)) < coded["theme"].map(themes)
    coders = zip(given["coder_sensitivity"], given["coder_false_alarm"], strict=True)
    for name, (sees, invents) in zip(("coder_a", "coder_b"), coders, strict=True):
        coded[name] = (rng.random(len(coded)) < np.where(there, sees, invents)).astype(int)
    return coded, {"kappa": round(_expected_kappa(given), 4)}


def _expected_kappa(given: Mapping[str, Any]) -> float:
    """Agreement of the coders beyond chance, from the true shares (Cohen 1960)."""
    share = np.array(list(given["themes"].values()))
    (a, b), (x, y) = given["coder_sensitivity"], given["coder_false_alarm"]
    both = (share * a * b + (1 - share) * x * y).mean()
    first, second = ((share * see + (1 - share) * invent).mean() for see, invent in ((a, x), (b, y)))
    agree = 1 - first - second + 2 * both
    chance = first * second + (1 - first) * (1 - second)
    return (agree - chance) / (1 - chance)


def access(
    draft: Draft, tables: Mapping[str, pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Who read which table over 26 weeks, and the rights of each role.

    Returns
    -------
    log : DataFrame
        week (1 to 26), staff_id, role, table, reads (times in the week).
    rights : DataFrame
        role, table: what the role may read.
    dict
        The offender, the week it began, and the rights that nobody of the role used.
    """
    given, rng = parameters("practice")["access_log"], stream(draft.seed, "access log")
    staff = tables["staff"][["staff_id", "role"]]
    names = sorted(tables)
    roles = list(given["reads_a_week"])
    rights = pd.DataFrame([(role, name) for role in roles for name in names], columns=["role", "table"])
    rights = rights[rng.random(len(rights)) < np.where(rights["role"] == "admin", 1.0, 0.5)]
    needs_customers = pd.DataFrame({"role": roles, "table": "customers"})
    rights = pd.concat([rights, needs_customers]).drop_duplicates().sort_values(["role", "table"])
    idle = (rng.random(len(rights)) < given["never_used"]) & (rights["table"] != "customers").to_numpy()
    used = rights[~idle]
    offender = rng.choice(staff.loc[staff["role"] == given["offender_role"], "staff_id"])
    log = staff.merge(used, on="role").merge(
        pd.DataFrame({"week": range(1, given["weeks"] + 1)}), how="cross"
    )
    share = 1 / log.groupby(["staff_id", "week"])["table"].transform("size")
    rate = log["role"].map(given["reads_a_week"]) * share
    guilty = (
        (log["staff_id"] == offender)
        & (log["week"] >= given["offence_from_week"])
        & (log["table"] == "customers")
    )
    log["reads"] = rng.poisson(rate * np.where(guilty, given["offence_factor"], 1.0))
    log.loc[log.groupby(["role", "table"]).head(1).index, "reads"] += 1  # a used right is seen at least once
    log = log[log["reads"] > 0].sort_values(["week", "staff_id", "table"])
    facts = {"offender": offender, "from_week": given["offence_from_week"], "unused_rights": int(idle.sum())}
    columns = ["week", "staff_id", "role", "table", "reads"]
    return log[columns].reset_index(drop=True), rights.reset_index(drop=True), facts


def leads_trap(draft: Draft, tables: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Closed leads with one column that is only filled in once the outcome is known.

    Returns
    -------
    DataFrame
        lead_id, sector, source, headcount, pages_viewed, demo_requested, first_reply_h, won (0 or 1), and
        onboarding_call_booked, the trap.
    dict
        Name of the leaking column.
    """
    given, rng = parameters("practice")["leads_trap"], stream(draft.seed, "leads trap")
    closed = tables["leads"].query("outcome != 'open'")
    closed = closed.iloc[np.sort(rng.choice(len(closed), min(given["rows"], len(closed)), replace=False))]
    columns = ["lead_id", "sector", "source", "headcount", "pages_viewed", "demo_requested", "first_reply_h"]
    trap = closed[columns].assign(won=(closed["outcome"] == "won").astype(int)).reset_index(drop=True)
    agrees = rng.random(len(trap)) < given["agreement"]
    trap["onboarding_call_booked"] = np.where(agrees, trap["won"], 1 - trap["won"])
    return trap, {"leaking_column": "onboarding_call_booked"}
