"""The staff: roles, sites, teams, training in three waves, incentive plans rotated over the sales teams."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import Draft, parameters, words


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`staff`, one row per person; hidden columns `skill` and `trained_week` (time; nan = never trained)."""
    given, rng = parameters("staff"), draft.rng("staff")
    growth = max(1.0, draft.size / given["reference_customers"])
    head_count = {role: round(about["people"] * growth) for role, about in given["roles"].items()}
    role = np.repeat(list(head_count), list(head_count.values()))
    place = np.concatenate([np.arange(count) for count in head_count.values()])  # number within the role
    staff = pd.DataFrame(
        {"staff_id": draft.ids("S", len(role), 2), "name": _names(rng, len(role)), "role": role}
    )
    staff["team"] = _teams(given, role, place)
    staff["site"] = _sites(given, role, place)
    least, most = given["hired_years"]
    start = np.datetime64(draft.clock.start, "D")
    days = np.round(365.25 * rng.uniform(least, most, len(staff))).astype(int)
    staff["hired_on"] = (start - days.astype("timedelta64[D]")).astype("datetime64[s]")
    staff["trained_week"] = _trained(given["training"], rng, role)
    staff["trained_on"] = draft.clock.dates(staff["trained_week"])
    staff["incentive_plan"] = _plans(given, draft, staff["team"])
    mean, spread = (
        staff["role"].map({name: about[key] for name, about in given["roles"].items()})
        for key in ("hourly_cost", "spread")
    )
    staff["hourly_cost"] = np.round(mean + spread * rng.uniform(-1, 1, len(staff)), 1)
    staff["skill"] = rng.normal(0, given["skill_std"], len(staff))
    return {"staff": staff}


def _names(rng: np.random.Generator, count: int) -> list[str]:
    """Names, each once as long as there are enough."""
    bank = words("staff")
    given, family = bank["given_names"], bank["family_names"]
    pairs = rng.permutation(max(count, len(given) * len(family)))[:count] % (len(given) * len(family))
    return [f"{given[pair % len(given)]} {family[pair // len(given)]}" for pair in pairs]


def _teams(given: dict, role: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Reps and agents sit in teams of about equal size; everyone else in a team named after the work."""
    team = np.char.replace(role.astype(str), "_", " ").astype(object)
    for name, teams in (("sales_rep", given["sales_teams"]), ("service_agent", given["service_teams"])):
        team = np.where(role == name, np.array(teams, dtype=object)[place % len(teams)], team)
    return team


def _sites(given: dict, role: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Stores and sales stand in the four cities, the service desk in two of them, the rest at head office."""
    all_sites = np.array(list(given["sites"].values()), dtype=object)
    desk = np.array(given["service_sites"], dtype=object)
    site = np.where(
        np.isin(role, ["store", "sales_rep"]), all_sites[place % len(all_sites)], given["head_office"]
    )
    return np.where(role == "service_agent", desk[place % len(desk)], site)


def _trained(training: dict, rng: np.random.Generator, role: np.ndarray) -> np.ndarray:
    """Time of training: in each role the waves are of equal size and who is in which is drawn by lot."""
    week = np.full(len(role), np.nan)
    for name in training["roles"]:
        who = rng.permutation(np.flatnonzero(role == name))
        trained = who[round(training["never_trained"] * len(who)) :]
        waves = np.array(training["weeks"]) - 1.0
        week[trained] = waves[np.arange(len(trained)) % len(waves)]
    return week


def _plans(given: dict, draft: Draft, team: pd.Series) -> list[str | None]:
    """Plan by quarter, "2024Q1=flat;…": in each quarter the sales teams move on to the next plan."""
    quarters = pd.period_range(draft.clock.start, draft.clock.as_of, freq="Q")
    plans = given["plans"]
    by_team = {
        name: ";".join(
            f"{quarter}={plans[(number + step) % len(plans)]}" for step, quarter in enumerate(quarters)
        )
        for number, name in enumerate(given["sales_teams"])
    }
    return [by_team.get(name) for name in team]
