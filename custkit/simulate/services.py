"""Value-added services: adoption cycle by cycle, a promotion experiment, and churn (module `renewals`).

Subscribing changes neither the order rate nor the spend of anybody (planted null), though heavy customers
subscribe more.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import betaln

from custkit.simulate import network
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.nudges import ARMS, allowed, plant_cross_selling
from custkit.simulate.people import chance
from custkit.simulate.renewals import subscriptions
from custkit.simulate.streams import choose, choose_each

FACTORS = ("price", "quality", "service")  # experience that tilts the reason given on leaving


def draw(draft: Draft) -> dict[str, pd.DataFrame]:
    """`vas_subscriptions` of consumers; rows of EXP-VAS in `trial_arms`; `follows`, which it needs.

    Hidden columns of `vas_subscriptions`: customer, start_week, end_week (weeks since the start; nan: still
    running). `trial_arms.took_part` tells who came to the event.
    """
    follows = network.follow_graph(draft)
    starts = _own_starts(draft)
    arms = _arms(draft)
    starts = _promoted(draft, starts, arms, follows)
    starts = _channels(draft, starts, arms)
    frame = _subscribed(draft, starts)
    _plant(draft, arms)
    plant_cross_selling(draft)
    return {
        "vas_subscriptions": frame,
        "follows": follows,
        "trial_arms": pd.concat([draft.tables["trial_arms"], arms[ARMS]], ignore_index=True),
    }


# Taking a service ---------------------------------------------------------------------------------------


def adoption_logit(people: pd.DataFrame, service: str) -> np.ndarray:
    """Log-odds to take a service in a cycle, later than the first ones; one per consumer."""
    given = parameters("services")["adoption"][service]
    rate = np.log(people["order_rate"].to_numpy())
    decades = (people["age"].to_numpy() - parameters("people")["age"]["mean"]) / 10
    return (
        given["base"]
        + given["engaged"] * people["engaged"].to_numpy()
        + given["quality"] * people["quality"].to_numpy()
        + given["age_per_decade"] * decades
        + people["area_type"].map({"urban": given["urban"], "rural": given["rural"]}).fillna(0.0).to_numpy()
        + people["segment"].map(given).to_numpy(float)
        + given.get("order_rate_z", 0.0) * (rate - rate.mean()) / rate.std()
    )


def _own_starts(draft: Draft) -> pd.DataFrame:
    """Who takes which service when, without the experiment: geometric in cycles, the first ones apart."""
    given, people, rng = parameters("services"), draft.tables["people"], draft.rng("services")
    joined, found = people["joined_week"].to_numpy(), []
    for service in given["services"]:
        logit = adoption_logit(people, service)
        wait = rng.exponential(size=len(people))
        early = -np.log1p(-chance(logit + given["adoption"][service]["new"]))
        late = -np.log1p(-chance(logit))
        first = given["new_cycles"]
        cycle = np.where(
            wait < first * early, np.floor(wait / early), first + np.floor((wait - first * early) / late)
        )
        start = joined + given["cycle_weeks"] * (cycle + rng.random(len(people)))
        who = np.flatnonzero(start < draft.clock.weeks)
        found.append(pd.DataFrame({"customer": who, "service": service, "start_week": start[who]}))
    return _with_partner_customers(draft, pd.concat(found, ignore_index=True))


def _with_partner_customers(draft: Draft, starts: pd.DataFrame) -> pd.DataFrame:
    """Adds the new customers whom partners brought and who subscribe with the first order."""
    given, people, rng = parameters("services")["partner"], draft.tables["people"], draft.rng("partner")
    brought = (people["acq_channel"] == "partner").to_numpy() & (
        rng.random(len(people)) < given["new_subscribes"]
    )
    who = np.flatnonzero(brought)
    new = pd.DataFrame(
        {
            "customer": who,
            "service": choose(rng, given["services"], len(who)),
            "start_week": people["joined_week"].to_numpy()[who],
            "channel": "partner",
        }
    )
    both = pd.concat([new, starts.assign(channel=None)], ignore_index=True)
    return both.drop_duplicates(["customer", "service"], ignore_index=True)


# The experiment -----------------------------------------------------------------------------------------


def _arms(draft: Draft) -> pd.DataFrame:
    """EXP-VAS: arm of every customer who may be asked, and who came to the event."""
    given, people, rng = parameters("services")["exp_vas"], draft.tables["people"], draft.rng("exp_vas")
    who = np.flatnonzero(
        allowed(people, given["start"]) & (people["joined_week"] < given["start"]).to_numpy()
    )
    arm = choose(rng, given["shares"], len(who))
    logit = given["event"]["attend_logit"]
    came = rng.random(len(who)) < chance(logit["base"] + logit["engaged"] * people["engaged"].to_numpy()[who])
    took_part = np.where(arm == "event", came, None)
    frame = pd.DataFrame({"customer": who, "experiment_id": "EXP-VAS", "arm": arm, "week": given["start"]})
    return frame.assign(took_part=pd.array(took_part, dtype="boolean"))


def _promoted(draft: Draft, starts: pd.DataFrame, arms: pd.DataFrame, follows: pd.DataFrame) -> pd.DataFrame:
    """Adds the subscriptions that the experiment brings, directly and to followers."""
    given, rng = parameters("services")["exp_vas"], draft.rng("exp_vas_starts")
    names, people = parameters("services")["services"], draft.tables["people"]
    begin, weeks = given["start"], given["within_weeks"]
    who = arms["customer"].to_numpy()
    points = _points(draft, arms) + _spill(draft, arms, follows)
    own = starts["customer"].where(starts["start_week"].between(begin, begin + weeks, inclusive="left"))
    free = ~np.isin(who, own.dropna())
    take = free & (rng.random(len(who)) < points / max(free.mean(), 0.5))
    # Which one: by what suits each, among those never taken.
    suits = np.column_stack([chance(adoption_logit(people, name)) for name in names])
    before = starts[starts["start_week"] < begin + weeks]
    suits[before["customer"], pd.Index(names).get_indexer(before["service"])] = 0.0
    take &= suits[who].sum(axis=1) > 0
    chosen = who[take]
    new = pd.DataFrame(
        {
            "customer": chosen,
            "service": np.array(names, dtype=object)[choose_each(rng, suits[chosen])],
            "start_week": begin + weeks * rng.random(len(chosen)) ** 1.3,
            "channel": None,
        }
    )
    # A later start of the same service does not happen any more.
    return pd.concat([new, starts], ignore_index=True).drop_duplicates(
        ["customer", "service"], ignore_index=True
    )


def _points(draft: Draft, arms: pd.DataFrame) -> np.ndarray:
    """What the own arm adds to the chance to subscribe."""
    given, orders = parameters("services")["exp_vas"], draft.tables["orders"]
    past = orders[orders["week"] < given["start"]].groupby("customer")["net_amount"].mean()
    big = (past.reindex(arms["customer"]) >= given["personal"]["big_basket"]).to_numpy()
    personal = np.where(big, given["personal"]["big"], given["personal"]["small"])
    guest = given["event"]["guests"] * arms["took_part"].fillna(False).to_numpy(float)
    points = arms["arm"].map(given["points"]).to_numpy(float)
    return np.select([arms["arm"] == "email_personal", arms["arm"] == "event"], [personal, guest], points)


def _spill(draft: Draft, arms: pd.DataFrame, follows: pd.DataFrame) -> np.ndarray:
    """What following persons in the social arm adds."""
    given = parameters("services")["exp_vas"]
    social = arms.loc[arms["arm"] == "social", "customer"]
    seen = follows[(follows["week"] < given["start"]) & follows["dst"].isin(social)]
    count = seen.groupby("src").size().reindex(arms["customer"]).fillna(0).to_numpy()
    return given["spill"]["points"] * np.minimum(count, given["spill"]["most"])


def _channels(draft: Draft, starts: pd.DataFrame, arms: pd.DataFrame) -> pd.DataFrame:
    """Promotion before each subscription: the experiment's within its weeks, else what happened to be."""
    given, rng, n = parameters("services"), draft.rng("promo"), len(starts)
    trial, partner = given["exp_vas"], given["partner"]
    inside = starts["start_week"].between(
        trial["start"], trial["start"] + trial["within_weeks"], inclusive="left"
    )
    arm = starts["customer"].map(arms.set_index("customer")["arm"]).where(inside & starts["channel"].isna())
    asked = arm.notna().to_numpy()
    new = partner["new_subscribes"] * (draft.tables["people"]["acq_channel"] == "partner").sum()  # expected
    tried = (arm == "partner").sum()
    other = starts["channel"].isna().to_numpy() & ~asked
    wanted = new * partner["had_already"] / (1 - partner["had_already"]) - tried
    by_partner = other & (rng.random(n) < wanted / max(other.sum(), 1))
    channel = choose(rng, given["promo"]["channel"], n)
    channel = np.where(by_partner | (starts["channel"] == "partner"), "partner", channel)
    channel = np.where(asked, arm.fillna("").str.split("_").str[0], channel)
    own = np.where(rng.random(n) < given["promo"]["personal_email"], "personal", "generic")
    message = np.where(asked, arm.fillna("").str.split("_").str[-1], own)
    tries = rng.random(n) < pd.Series(channel).map(given["promo"]["trial"]).to_numpy(float)
    return starts.assign(
        promo_channel=channel, message=np.where(channel == "email", message, None), trial=tries
    )


# The table ----------------------------------------------------------------------------------------------


def _subscribed(draft: Draft, starts: pd.DataFrame) -> pd.DataFrame:
    """Rows of `vas_subscriptions`, in order of their starts."""
    given, people, rng = parameters("services"), draft.tables["people"], draft.rng("churn")
    parts = []
    for service, part in starts.groupby("service", sort=False):
        who = part["customer"].to_numpy()
        stay = given["stay"]["quality"] * people["quality"].to_numpy()[who]
        stay = stay + people["segment"].map(given["stay"].get(service, {})).fillna(0.0).to_numpy(float)[who]
        lasting = subscriptions(rng, draft.clock, service, part["start_week"], stay=stay)
        keep = part[["customer", "promo_channel", "message", "trial"]].reset_index(drop=True)
        parts.append(pd.concat([keep, lasting], axis=1))
    frame = pd.concat(parts, ignore_index=True).sort_values(["start_week", "customer"], ignore_index=True)
    offered = draft.tables["products"].query("kind == 'service'")
    offered = offered.set_index(offered["name_en"].str.split().str[0])
    spread = np.exp(given["cost_spread"] * rng.standard_normal(len(frame)) - given["cost_spread"] ** 2 / 2)
    frame["fee_month"] = frame["service"].map(offered["list_price"]).to_numpy(float)
    frame["cost_month"] = np.round(frame["service"].map(offered["unit_cost"]).to_numpy(float) * spread, 2)
    frame["cancel_reason"] = _reasons(
        rng, people.iloc[frame["customer"]], frame["ended_on"].notna().to_numpy()
    )
    frame.insert(0, "subscription_id", draft.ids("V", len(frame)))
    frame.insert(1, "customer_id", people["customer_id"].to_numpy()[frame["customer"]])
    return frame


def _reasons(rng: np.random.Generator, subscriber: pd.DataFrame, ended: np.ndarray) -> np.ndarray:
    """Why each subscription ended, as told on leaving; missing while it runs, and where nobody told."""
    given = parameters("services")["cancel"]
    weights = np.tile(np.array(list(given["reasons"].values())), (len(subscriber), 1))
    for place, name in enumerate(given["reasons"]):
        if name in FACTORS:
            weights[:, place] *= np.where(subscriber[name] < -0.5, given["tilt"], 1.0)
    reason = np.array(list(given["reasons"]), dtype=object)[choose_each(rng, weights)]
    return np.where(ended & (rng.random(len(subscriber)) < given["told"]), reason, None)


def _plant(draft: Draft, arms: pd.DataFrame) -> None:
    given = parameters("services")
    for service in given["services"]:
        alpha, beta = (given["churn"][service][name] for name in ("alpha", "beta"))
        stays, name = np.exp(betaln(alpha, beta + 12) - betaln(alpha, beta)), service.lower()
        draft.plant(
            f"services.{name}.survival12", stays, "share", f"{service} subscriptions that last 12 months"
        )
        draft.plant(f"services.{name}.alpha", alpha, "", f"monthly churn of {service}, Beta distribution")
        draft.plant(f"services.{name}.beta", beta, "", f"monthly churn of {service}, Beta distribution")
    for service in ("CARE", "COACH"):
        slope = given["adoption"][service]["age_per_decade"]
        name = f"services.{service.lower()}.adoption.age"
        draft.plant(name, slope, "log-odds a decade", f"taking {service} in a four-week cycle")
    for area in ("urban", "rural"):
        slope = given["adoption"]["PRIORITY"][area]
        draft.plant(
            f"services.priority.adoption.{area}", slope, "log-odds", f"taking PRIORITY, {area} to suburban"
        )
    draft.plant(
        "services.plan.orders", 0, "orders a week", "PLAN on the order rate: heavy customers choose it"
    )
    draft.plant("services.plan.spend", 0, "CNY a month", "PLAN on what is spent on goods: nothing")
    draft.plant("services.trial.staying", 0, "share", "free trial on staying two months: nothing")
    draft.plant(
        "services.partner.had_already",
        given["partner"]["had_already"],
        "share",
        "subscribers through partners who were customers before",
    )
    trial = given["exp_vas"]
    for arm, points in trial["points"].items():
        if arm != "none":
            draft.plant(f"exp_vas.{arm}", points, "share", f"subscribe within four weeks, {arm} less none")
    for size in ("big", "small"):
        draft.plant(
            f"exp_vas.email_personal.{size}",
            trial["personal"][size],
            "share",
            f"personal e-mail less none, {size} baskets so far",
        )
    for size in ("big", "small"):
        draft.plant(
            f"exp_vas.personal_less_generic.{size}",
            trial["personal"][size] - trial["points"]["email_generic"],
            "share",
            f"subscribe within four weeks, personal less generic e-mail, {size} baskets so far",
        )
    guests = arms.loc[arms["arm"] == "event", "took_part"].astype(float)
    draft.plant("exp_vas.event.guests", trial["event"]["guests"], "share", "a guest of the event subscribes")
    draft.plant(
        "exp_vas.event",
        trial["event"]["guests"] * float(np.mean(guests)) if len(guests) else 0.0,
        "share",
        "subscribe within four weeks, invited to the event less none",
    )
    draft.plant("exp_vas.spill", trial["spill"]["points"], "share", "for each promoted person followed")
