"""Messages to known customers: who got how many in which campaign, who opened, clicked, left or complained.

Arms come from the trials on orders and services; control groups are kept as rows without a message, so that
every experiment can be read from `contacts` alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import history
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.trials import unsatisfied, unsubscribe_chance

SENDS = ["experiment_id", "arm", "customer", "cycle", "week", "n_sent"]


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`contacts`, the CRM rows of `campaigns`, and the campaign of orders that redeem an offer."""
    parts = (_trial_sends, _frequency, _expiry, _blanket, _personal, _newsletter)
    sends = pd.concat([part(draft) for part in parts], ignore_index=True)
    codes = sends["experiment_id"].map(_codes(draft))
    single = sends["experiment_id"].isin(["CRM-01", "NEWS"])
    sends["campaign_id"] = codes.where(single, codes + "-" + sends["arm"])
    contacts = _responses(draft, sends)
    orders = draft.tables["orders"]
    return {
        "contacts": contacts,
        "campaigns": pd.concat(
            [draft.tables["campaigns"], _campaigns(draft, contacts), _market_events(draft)], ignore_index=True
        ),
        "orders": orders.assign(campaign_id=_redeemed(orders, _codes(draft))),
    }


def _codes(draft: Draft) -> dict[str, str]:
    """Experiment → code that begins the ids of its campaigns; in later parts with the part's number."""
    lead = f"{draft.part}-" if draft.part else ""
    return {name: lead + one["code"] for name, one in parameters("contacts")["campaigns"].items()}


def pers_arms(draft: Draft) -> pd.Series:
    """Arm of EXP-PERS (generic, personal) by customer position: all consumers who joined before it and allow
    e-mail; whether in a survey or in an e-mail, a customer is in the same arm."""
    people, given = draft.tables["people"], parameters("contacts")["exp_pers"]
    draws = draft.rng("EXP-PERS").random(len(people))
    mails = people["consent_channels"].fillna("").astype(str).str.split(";").map(lambda way: "email" in way)
    who = (people["joined_week"] < given["week"]) & mails
    return pd.Series(np.where(draws < given["personal"], "personal", "generic"), index=people.index)[who]


def _trial_sends(draft: Draft) -> pd.DataFrame:
    """One row for each customer of a trial with one message, or none in the control arm."""
    silent = parameters("contacts")["silent_arms"]
    arms = draft.tables["trial_arms"]
    arms = arms[~arms["experiment_id"].isin(["EXP-FREQ", "EXP-EXPIRY"])].copy()
    arms["arm"] = arms["arm"].astype(str)
    arms["n_sent"] = np.where(arms["arm"].isin(silent), 0, 1)
    arms["cycle"] = arms.groupby(["experiment_id", "customer"]).cumcount() + 1
    return arms[[*SENDS, "took_part"]]


def _frequency(draft: Draft) -> pd.DataFrame:
    """EXP-FREQ: the messages of each cycle; those who left get none from then on."""
    cycles, weeks = draft.tables["freq_cycles"], parameters("trials")["exp_freq"]["cycle_weeks"]
    arms = draft.tables["trial_arms"].query("experiment_id == 'EXP-FREQ'").set_index("customer")
    begin = cycles["customer"].map(arms["week"]) + weeks * (cycles["cycle"] - 1)
    arm = cycles["customer"].map(arms["arm"]).astype(str)
    return cycles.assign(experiment_id="EXP-FREQ", arm=arm, week=begin)[[*SENDS, "unsubscribed"]]


def _expiry(draft: Draft) -> pd.DataFrame:
    """EXP-EXPIRY: a reminder that points are about to expire."""
    sent = draft.tables["points_reminders"]
    sent = sent.assign(cycle=sent.groupby("customer").cumcount() + 1, experiment_id="EXP-EXPIRY")
    return sent.assign(n_sent=(sent["arm"] == "reminder").astype(int))[SENDS]


def _blanket(draft: Draft) -> pd.DataFrame:
    """CRM-01, with the sends that had no consent."""
    people, given = draft.tables["people"], parameters("contacts")["crm01"]
    stray = draft.rng("crm01 list").random(len(people)) < given["without_consent"]
    reached = (people["joined_week"] < given["week"]) & (people["consent_marketing"] | stray)
    who = np.flatnonzero(reached)
    frame = pd.DataFrame({"customer": who, "week": given["week"]})
    return frame.assign(experiment_id="CRM-01", arm="all", cycle=1, n_sent=1)[SENDS]


def _personal(draft: Draft) -> pd.DataFrame:
    """EXP-PERS: one e-mail, general or personal."""
    arms = pers_arms(draft)
    frame = pd.DataFrame({"customer": arms.index, "arm": arms.to_numpy()})
    week = parameters("contacts")["exp_pers"]["week"]
    return frame.assign(experiment_id="EXP-PERS", cycle=1, n_sent=1, week=week)[SENDS]


def _newsletter(draft: Draft) -> pd.DataFrame:
    """Business as usual in the cycles of EXP-FREQ, to all who agreed and are not in it, until they leave."""
    people, trial, rng = draft.tables["people"], parameters("trials")["exp_freq"], draft.rng("newsletter")
    inside = set(draft.tables["freq_cycles"]["customer"])
    sent = parameters("contacts")["newsletter"]["per_cycle"]
    on = people["consent_marketing"].to_numpy() & ~people.index.isin(inside)
    annoyed, cycles = unsatisfied(people), []
    for cycle in range(1, trial["cycles"] + 1):
        week = draft.clock.calibration_weeks + trial["cycle_weeks"] * (cycle - 1.0)
        who = np.flatnonzero(on & (people["joined_week"] < week))
        left = rng.random(len(who)) < unsubscribe_chance(sent, annoyed[who])
        cycles.append(pd.DataFrame({"customer": who, "cycle": cycle, "week": week, "unsubscribed": left}))
        on[who[left]] = False
    frame = pd.concat(cycles, ignore_index=True)
    return frame.assign(experiment_id="NEWS", arm="all", n_sent=sent)[[*SENDS, "unsubscribed"]]


def stage(draft: Draft, customer: np.ndarray, week: float) -> np.ndarray:
    """Stage of customers at a time: new, active, late or lost, by first and last order."""
    given, people = parameters("contacts")["crm01"], draft.tables["people"]
    silent = week - history.last_order(draft.tables["orders"], len(people), week)[customer]
    since = week - people["joined_week"].to_numpy()[customer]
    found = np.select(
        [silent > given["lost_weeks"], silent > given["late_weeks"]], ["lost", "late"], "active"
    )
    return np.where((since <= given["new_weeks"]) & (found == "active"), "new", found)


def _click_chance(draft: Draft, sends: pd.DataFrame) -> np.ndarray:
    """Chance to click one message."""
    given = parameters("contacts")
    engaged = draft.tables["people"]["engaged"].to_numpy()[sends["customer"]]
    logit = np.full(len(sends), given["click_logit"]["base"], dtype=float)
    blanket = (sends["experiment_id"] == "CRM-01").to_numpy()
    stages = stage(draft, sends.loc[blanket, "customer"].to_numpy(), given["crm01"]["week"])
    logit[blanket] = pd.Series(stages).map(given["crm01"]["click_logit"]).to_numpy()
    click = chance(logit + given["click_logit"]["engaged"] * engaged)
    trial, mail = given["exp_pers"], (sends["experiment_id"] == "EXP-PERS").to_numpy()
    more = np.where(engaged, trial["points"]["engaged"], trial["points"]["other"])
    click[mail] = (trial["base"] + more * (sends["arm"] == "personal"))[mail]
    for name in ("new", "active", "late", "lost"):
        rate = 100 * click[np.flatnonzero(blanket)[stages == name]].mean()
        draft.plant(f"contacts.crm01.{name}", rate, "%", f"clicks on the blanket message, stage {name}")
    for name, points in trial["points"].items():
        text = f"clicks, personal less general e-mail, {name} customers"
        draft.plant(f"exp_pers.mail.{name}", 100 * points, "points", text)
    return click


def _responses(draft: Draft, sends: pd.DataFrame) -> pd.DataFrame:
    """Public and hidden columns of `contacts`."""
    given, people, rng = parameters("contacts"), draft.tables["people"], draft.rng("responses")
    who, n = sends["customer"].to_numpy(), sends["n_sent"].to_numpy().astype(int)
    engaged = people["engaged"].to_numpy()[who]
    logit = given["open_logit"]
    opens = chance(logit["base"] + logit["engaged"] * engaged + logit["per_message"] * (n - 1))
    clicked = rng.binomial(n, _click_chance(draft, sends))
    invited = sends["took_part"].notna().to_numpy()  # to an event: coming is answering the invitation
    clicked[invited] = sends.loc[invited, "took_part"].astype(int)
    sends["n_clicked"] = clicked
    sends["n_opened"] = clicked + rng.binomial(n - clicked, opens)
    sends["unsubscribed"] = sends["unsubscribed"].eq(True)
    sends["complained"] = rng.random(len(sends)) < 1 - (1 - given["complain"]) ** n
    sends["channel"] = _channels(rng, people, sends, given)
    sends["cost"] = np.round(n * sends["channel"].map(given["unit_cost"]), 2)
    sent = sends["week"] + rng.random(len(sends)) * np.where(sends["week"] % 1 == 0, 2 / 7, 0)
    sends["first_sent_at"] = draft.clock.timestamps(sent.where(n > 0))
    sends["customer_id"] = people["customer_id"].to_numpy()[who]
    keys = ["campaign_id", "customer_id", "cycle"]
    return sends.sort_values(["week", *keys], ignore_index=True)


def _channels(rng: np.random.Generator, people: pd.DataFrame, sends: pd.DataFrame, given: dict) -> np.ndarray:
    """Channel of each row: that of the arm, or one the customer allows (e-mail mostly, where allowed)."""
    allowed = people["consent_channels"].fillna("email").astype(str).str.split(";")
    first = allowed.str[0].to_numpy()[sends["customer"]]
    last = allowed.map(lambda ways: [way for way in ways if way != "phone"] or ways).str[-1]
    own = np.where(rng.random(len(sends)) < 0.8, first, last.to_numpy()[sends["customer"]])
    own = np.where(sends["experiment_id"].isin(given["only_email"]), "email", own)
    return sends["arm"].map(given["arm_channel"]).fillna(pd.Series(own, index=sends.index)).to_numpy()


def _campaigns(draft: Draft, contacts: pd.DataFrame) -> pd.DataFrame:
    """One row of `campaigns` for each arm, control groups among them."""
    given, clock = parameters("contacts"), draft.clock
    scale = draft.size / parameters("media")["reference_customers"]
    rows = []
    for (name, arm, campaign), sent in contacts.groupby(["experiment_id", "arm", "campaign_id"], sort=True):
        one, begin = given["campaigns"][name], np.floor(sent["week"].min())
        channel = sent["channel"].mode().iloc[0]
        fixed = given["fixed_cost"].get(f"{name}.{arm}", 0) * scale
        end = min(begin + one["weeks"], clock.weeks) - 0.5 / 7
        rows.append(
            {
                "campaign_id": campaign,
                "name": one["name"] if arm == "all" else f"{one['name']}, {arm.replace('_', ' ')}",
                "audience": "consumer",
                "kind": one.get("kind", "crm"),
                "stage": one["stage"],
                "channel": {"page": "web"}.get(channel, channel),
                "start_on": clock.dates([begin])[0],
                "end_on": clock.dates([end])[0],
                "offer": given["offers"].get(arm, "none"),
                "spend": round(fixed + sent["cost"].sum(), 2),
                "unit_cost": given["unit_cost"][channel] if sent["n_sent"].any() else 0.0,
                "experiment_id": name if name.startswith("EXP-") else None,
                "randomised": name.startswith("EXP-"),
            }
        )
    return pd.DataFrame(rows).reindex(columns=draft.tables["campaigns"].columns)


def _market_events(draft: Draft) -> pd.DataFrame:
    """The two city-wide price events: campaigns that send nothing, for the calendar of what happened when."""
    clock, rows = draft.clock, []
    for name, text in parameters("contacts")["market_events"].items():
        event = parameters("trials")[name.lower().replace("-", "_")]
        end = min(event["start"] + event.get("weeks", clock.weeks), clock.weeks)
        rows.append(
            {
                "campaign_id": f"{draft.part}-{name}" if draft.part else name,
                "name": text,
                "audience": "consumer",
                "kind": "market_event",
                "stage": "retain",
                "city": event["city"],
                "start_on": clock.dates([event["start"]])[0],
                "end_on": clock.dates([end - 0.5 / 7])[0],
                "offer": "none",
                "spend": 0.0,
                "experiment_id": name,
                "randomised": False,
            }
        )
    return pd.DataFrame(rows).reindex(columns=draft.tables["campaigns"].columns)


def _redeemed(orders: pd.DataFrame, codes: dict[str, str]) -> pd.Series:
    """Campaign of the orders that used an offer: the week of offers, and the win-back coupons."""
    promo = orders["promo_arm"].astype(object).where(orders["campaign_id"].notna())
    found = (codes["EXP-PROMO"] + "-" + promo).astype(object)
    back = orders["winback_arm"].astype(object)
    coupon = back.where(back.isin(["coupon10", "coupon20"]))
    return found.fillna(codes["EXP-WINBACK"] + "-" + coupon)
