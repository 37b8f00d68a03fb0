"""Firms that ask for a coffee corner: where they come from and what is known of them after seven days.

Leads of a paid source respond to its spend as visits do in `media` (Jin et al. 2017). Nothing here decides
who signs: that is `selling`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import firm_records
from custkit.simulate.clock import Clock
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.streams import choose, choose_each

DAY_H = 24.0


def office_time(clock: Clock, week) -> np.ndarray:
    """Working time (weeks as floats) as ``datetime64[s]`` in office hours, whole minutes, order kept.

    A week's time is spread evenly over its working days; ``nan`` gives ``NaT``.
    """
    office = parameters("firms")["office_day"]
    week = np.asarray(week, dtype=float)
    whole = np.floor(week)
    days = (week - whole) * office["days"]
    hours = office["opens"] + (days - np.floor(days)) * (office["closes"] - office["opens"])
    minutes = np.floor(((whole * 7 + np.floor(days)) * DAY_H + hours) * 60)
    known = np.isfinite(minutes)
    moved = np.datetime64(clock.start, "s") + np.where(known, minutes * 60, 0).astype("timedelta64[s]")
    return np.where(known, moved, np.datetime64("NaT"))


def working_weeks(hours) -> np.ndarray:
    """Working hours as weeks of working time."""
    office = parameters("firms")["office_day"]
    return np.asarray(hours, dtype=float) / (office["days"] * (office["closes"] - office["opens"]))


def size_z(headcount) -> np.ndarray:
    """Standardised logarithm of the headcount."""
    given = parameters("firms")["size"]
    return (np.log(np.asarray(headcount, dtype=float)) - given["log_mean"]) / given["log_std"]


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`leads` as known seven days after each was created, duplicates among them; business `campaigns`.

    Hidden columns: `week` (working time of creation), `reply_week`, `rep` (row of `staff`), `need_group`,
    `budget_true`, `customer` (row of `people`; -1 unless the contact shops in private), `original` (row of
    the lead that a duplicate repeats; -1 otherwise).
    """
    campaigns = pd.concat([_campaigns(draft), _experiment(draft)], ignore_index=True)
    leads = _arrivals(draft, campaigns)
    _firm(draft, leads)
    _needs(draft, leads)
    _interest(draft, leads)
    _contact_in_shop(draft, leads)
    firm_records.name_firms(draft, leads)
    leads = firm_records.with_duplicates(draft, leads)
    leads.insert(0, "lead_id", draft.ids("L", len(leads)))
    _reply(draft, leads)
    firm_records.consent(draft, leads)
    return {
        "campaigns": pd.concat([draft.tables["campaigns"], campaigns], ignore_index=True),
        "leads": leads,
    }


def _scale(draft: Draft) -> float:
    return draft.size / parameters("firms")["reference_customers"]


def _campaigns(draft: Draft) -> pd.DataFrame:
    """Flights of the paid sources, and tasting evenings for firms."""
    given, rng, clock, scale = parameters("firms"), draft.rng("firm media"), draft.clock, _scale(draft)
    length = given["flight_weeks"]
    starts = np.arange(0, clock.weeks, length)
    blocks = []
    for source, curve in given["paid_sources"].items():
        levels = np.resize(given["spend_levels"], len(starts))
        fair = source == "expo"
        offset = rng.integers(1, length - given["expo_weeks"], len(starts)) if fair else np.zeros(len(starts))
        lasting = 3 if fair else 7 * length
        blocks.append(
            pd.DataFrame(
                {
                    "source": source,
                    "channel": curve["channel"],
                    "kind": curve["kind"],
                    "start": starts + offset,
                    "days": lasting,
                    "spend": np.round(curve["spend_mean"] * scale * rng.permutation(levels), 2),
                    "name": curve["name"],
                    "stage": "acquire",
                }
            )
        )
        for name in ("ceiling", "scale"):
            unit = "leads a flight" if name == "ceiling" else "CNY a flight"
            meaning = f"response curve of leads from {source}"
            draft.plant(f"firms.media.{source}.{name}", curve[name] * scale, unit, meaning)
    evenings, events = np.arange(1, clock.weeks, given["events"]["every_weeks"]), given["events"]
    spend = events["spend_mean"] * scale * np.exp(rng.normal(0, events["spread"], len(evenings)))
    event = {
        "source": "event",
        "channel": "event",
        "kind": "field",
        "start": evenings,
        "days": 1,
        "spend": spend.round(2),
    }
    blocks.append(pd.DataFrame(event | {"name": "tasting evening", "stage": "convert"}))
    campaigns = pd.concat(blocks).sort_values(["start", "source"], ignore_index=True)
    cities = np.array(list(parameters("people")["cities"]), dtype=object)
    number = campaigns.groupby("source").cumcount()
    local = campaigns["kind"].eq("field")
    begin = clock.dates(campaigns["start"].to_numpy(float) + np.where(local, 3 / 7, 0.0))
    return campaigns.assign(
        campaign_id=draft.ids("FRM", len(campaigns), 3),
        name=campaigns["name"] + " " + (number + 1).astype(str),
        audience="business",
        city=np.where(local, cities[number % len(cities)], None),
        start_on=begin,
        end_on=begin + (campaigns["days"].to_numpy() - 1).astype("timedelta64[D]"),
        offer="none",
        randomised=campaigns["source"].ne("event"),
        experiment_id=None,
    )


def _experiment(draft: Draft) -> pd.DataFrame:
    """The arms of EXP-LEAD, drawn by lot in `selling`, as campaigns that cost nothing but the reps' time."""
    window, clock = parameters("selling")["experiment"], draft.clock
    rows = [(channel, message) for channel in ("email", "call") for message in ("generic", "personal")]
    begin = f"{draft.part}-" if draft.part else ""
    return pd.DataFrame(
        {
            "campaign_id": [f"{begin}LEAD{window['from_week']}-{'_'.join(row)}" for row in rows],
            "name": [f"First contact: {message} {channel}" for channel, message in rows],
            "audience": "business",
            "kind": "crm",
            "stage": "convert",
            "source": "experiment",
            "channel": ["phone" if channel == "call" else channel for channel, _ in rows],
            "city": None,
            "start_on": clock.dates(np.full(len(rows), window["from_week"] - 1.0)),
            "end_on": clock.dates(np.full(len(rows), window["to_week"] - 1 / 14)),
            "offer": "none",
            "spend": 0.0,
            "experiment_id": "EXP-LEAD",
            "randomised": True,
        }
    )


def _arrivals(draft: Draft, campaigns: pd.DataFrame) -> pd.DataFrame:
    """Source and time of creation of every lead, in order of time."""
    given, rng, scale = parameters("firms"), draft.rng("firm arrivals"), _scale(draft)
    found = []
    for source, curve in given["paid_sources"].items():
        flights = campaigns[campaigns["source"] == source]
        expected = curve["ceiling"] * scale * (1 - np.exp(-flights["spend"] / scale / curve["scale"]))
        count = rng.poisson(expected)
        lasting = given["expo_weeks"] if source == "expo" else given["flight_weeks"]
        begin = np.repeat(flights["start"].to_numpy(float), count)
        week = begin + lasting * rng.random(len(begin)) + (3 / 5 if source == "expo" else 0)
        found.append(pd.DataFrame({"week": week, "source": source}))
    referral = given["referral"]
    share, rise = rng.random(rng.poisson(referral["leads"] * scale)), referral["rise"]
    # Inverse of the distribution function of a density that rises along a line.
    time = (np.sqrt(1 + 2 * rise * share * (1 + rise / 2)) - 1) / rise
    found.append(pd.DataFrame({"week": time * draft.clock.weeks, "source": "referral"}))
    return pd.concat(found).sort_values("week", ignore_index=True)


def _firm(draft: Draft, leads: pd.DataFrame) -> None:
    """Sector, place, size, the person asking, rival suppliers, credit grade."""
    given, rng, n = parameters("firms"), draft.rng("firms"), len(leads)
    shares = np.array(list(given["sectors"].values()))
    tilt = pd.DataFrame(given["sector_by_source"]).T.reindex(columns=list(given["sectors"])).fillna(1.0)
    weights = shares * tilt.reindex(leads["source"]).fillna(1.0).to_numpy()
    leads["sector"] = np.array(list(given["sectors"]), dtype=object)[choose_each(rng, weights)]
    leads["city"] = choose(rng, parameters("people")["cities"], n)
    leads["area_type"] = choose(rng, parameters("people")["area_types"], n)
    heads = given["headcount"]
    median = leads["sector"].map(heads["median"]).to_numpy(float)
    drawn = np.round(median * np.exp(heads["spread"] * rng.standard_normal(n)))
    leads["headcount"] = np.clip(drawn, heads["least"], heads["most"]).astype(int)
    large = size_z(leads["headcount"])
    roles = given["contact_role"]
    weights = np.exp([[role["base"] + role["size"] * size for role in roles.values()] for size in large])
    leads["contact_role"] = np.array(list(roles), dtype=object)[choose_each(rng, weights)]
    leads["fit_score"] = choose(rng, given["fit_score"], n).astype(int)
    logit = given["competitor_logit"]
    leads["competitor_present"] = rng.random(n) < chance(logit["base"] + logit["size"] * large)
    more = rng.poisson(given["more_competitors"], n)
    leads["n_competitors"] = np.where(leads["competitor_present"], 1 + more, 0)
    credit = given["credit"]
    spread = np.hypot(1, credit["size"] * large.std())
    rank = pd.Series((rng.standard_normal(n) - credit["size"] * (large - large.mean())) / spread).rank(
        pct=True
    )
    grade = np.searchsorted(np.cumsum(list(credit["shares"].values()))[:-1], rank)
    leads["credit_grade"] = np.array(list(credit["shares"]), dtype=object)[grade]


def _needs(draft: Draft, leads: pd.DataFrame) -> None:
    """The latent need group, and what it shows in: topics read, budget band, months until they begin."""
    given, rng, n = parameters("firms"), draft.rng("firm needs"), len(leads)
    groups = given["need_groups"]
    leads["need_group"] = choose(rng, {name: group["share"] for name, group in groups.items()}, n)
    budget = np.array([group["budget"] for group in groups.values()])
    place = pd.Categorical(leads["need_group"], categories=list(groups)).codes
    leads["budget_true"] = 1 + choose_each(rng, budget[place])
    leads["budget_band"] = np.where(rng.random(n) < given["budget_known"], leads["budget_true"], np.nan)
    months = np.array([group["months"] for group in groups.values()])[place]
    months = np.clip(np.round(months * np.exp(given["months_spread"] * rng.standard_normal(n))), 1, 24)
    leads["timeline_months"] = np.where(rng.random(n) < given["timeline_known"], months, np.nan)
    topics = [topic for group in groups.values() for topic in group["topics"]]
    own = np.array([[topic in group["topics"] for topic in topics] for group in groups.values()])[place]
    weights = np.where(own, given["own_topic"] / 2, (1 - given["own_topic"]) / (len(topics) - 2))
    count = rng.poisson(leads["source"].map(given["downloads"]).to_numpy(float))
    # The most a lead reads is four; each is drawn alone, so that a topic may come up twice and counts once.
    picks = np.array(topics, dtype=object)[np.column_stack([choose_each(rng, weights) for _ in range(4)])]
    listed = [";".join(dict.fromkeys(row[:k])) for row, k in zip(picks, count, strict=True)]
    leads["content_downloads"] = np.where(count > 0, np.array(listed, dtype=object), None)
    leads["demo_bent"] = np.array([group["demo"] for group in groups.values()])[place]


def _interest(draft: Draft, leads: pd.DataFrame) -> None:
    """Pages viewed, demo asked for, event attended in the first days."""
    given, rng, n = parameters("firms"), draft.rng("firm interest"), len(leads)
    mean, shape = leads["source"].map(given["pages"]).to_numpy(float), given["pages_shape"]
    pages = rng.negative_binomial(shape, shape / (shape + mean))
    leads["pages_viewed"] = np.minimum(pages, given["pages_most"])
    demo = given["demo_logit"]
    logit = demo["base"] + leads["source"].map(demo).fillna(0.0).to_numpy(float) + leads.pop("demo_bent")
    leads["demo_requested"] = rng.random(n) < chance(logit)
    leads["event_attended"] = rng.random(n) < leads["source"].map(given["event_share"]).to_numpy(float)


def _contact_in_shop(draft: Draft, leads: pd.DataFrame) -> None:
    """The consumer behind some leads: somebody who had ordered before the lead was created."""
    given, rng, n = parameters("firms"), draft.rng("warm firms"), len(leads)
    earlier = np.searchsorted(draft.tables["people"]["joined_week"], leads["week"])
    warm = (rng.random(n) < leads["source"].map(given["warm_share"]).to_numpy(float)) & (earlier > 0)
    leads["customer"] = np.where(warm, np.floor(rng.random(n) * earlier), -1).astype(int)


def _reply(draft: Draft, leads: pd.DataFrame) -> None:
    """The rep in charge, when the lead was created, and how many hours it waited for the first reply."""
    given, rng, n = parameters("firms"), draft.rng("firm replies"), len(leads)
    staff = draft.tables["staff"]
    reps = staff.index[staff["role"] == "sales_rep"].to_numpy()
    rep = reps[rng.integers(0, len(reps), n)]
    stays = rng.random(n) < given["home_team"]
    for city, site in parameters("staff")["sites"].items():
        there = reps[(staff.loc[reps, "site"] == site).to_numpy()]
        rows = np.flatnonzero(stays & (leads["city"] == city))
        if len(there):
            rep[rows] = there[rng.integers(0, len(there), len(rows))]
    leads["rep"], leads["staff_id"] = rep, staff["staff_id"].to_numpy()[rep]
    reply = given["reply"]
    own = dict(zip(reps, reply["rep_spread"] * rng.standard_normal(len(reps)), strict=True))
    log_hours = np.log(reply["median"]) + reply["spread"] * rng.standard_normal(n) + leads["rep"].map(own)
    log_hours += np.log(reply["demo"]) * leads["demo_requested"]
    log_hours += np.log(reply["cold_list"]) * (leads["source"] == "cold_list")
    hours = np.minimum(np.exp(log_hours), reply["most"])
    leads["reply_week"] = leads["week"] + working_weeks(hours)
    leads["created_at"] = office_time(draft.clock, leads["week"])
    replied = office_time(draft.clock, leads["reply_week"])
    hours = (replied - leads["created_at"].to_numpy()) / np.timedelta64(3600, "s")
    leads["first_reply_h"] = np.round(hours, 1)
