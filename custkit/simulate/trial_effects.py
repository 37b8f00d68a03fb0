"""The true effect of every trial on the order process, as an analyst would measure it.

All are averages over the customers of the trial, with the other trials as they were, computed and not
simulated: the estimates of a student may miss them by luck, but not by design.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate.draft import parameters
from custkit.simulate.trials import Trials, unsatisfied, unsubscribe_chance
from custkit.simulate.true_value import Expectation, message_table

GRID = np.arange(0, 8.01, 0.25)  # messages a cycle among which the best number is looked for
NEAR = 400.0  # CNY on both sides of the threshold from which the jump at it is read
RETURN_WEEKS = 13  # weeks within which a customer should have ordered again


def plant(trials: Trials, expect: Expectation, late: Expectation, orders: pd.DataFrame) -> None:
    """Plant the effects of all trials.

    Parameters
    ----------
    trials : Trials
    expect, late : Expectation
        From the end of the calibration period, and from the start of EXP-PROMO.
    orders : DataFrame
        All orders.
    """
    _plant_models(trials)
    _plant_frequency(trials, expect)
    _plant_join(trials, expect)
    _plant_tier(trials, expect)
    _plant_points(trials, late)
    _plant_promo(trials, late)
    _plant_win_back(trials)
    _plant_comp_price(trials, orders)
    _plant_own_price(trials, expect)


def _plant_models(trials: Trials) -> None:
    given, plant = parameters("people"), trials.draft.plant
    units = {"r": "", "alpha": "weeks", "a": "", "b": "", "p": "", "q": "", "gamma": "CNY"}
    for model in ("purchase_model", "spend_model"):
        for name, value in given[model].items():
            plant(f"{model}.{name}", value, units[name], f"parameter {name} of the {model.replace('_', ' ')}")
    for name, value in given["experience_weights"].items():
        plant(
            f"drop_out.{name}", value, "standard deviations", f"weight of {name} among the causes of drop-out"
        )
    plant(
        "bau_panel.forecast", 1, "ratio", "orders of the untouched bau panel in weeks 79-104 to the forecast"
    )
    plant("gender.order_rate", 1, "ratio", "order rate of women to that of men")
    plant("community.order_rate", 1, "ratio", "order rate with membership of the community to that without")


def _plant_frequency(trials: Trials, expect: Expectation) -> None:
    given, plant = trials.given["exp_freq"], trials.draft.plant
    inside, engaged = trials.inside("EXP-FREQ"), trials.people["engaged"].to_numpy()
    others = trials.product(without=["EXP-FREQ"])
    weeks = given["cycles"] * given["cycle_weeks"]
    curves, best = {}, {}
    for name, who in (("engaged", inside & engaged), ("other", inside & ~engaged)):
        rows = np.flatnonzero(who)
        tables = (message_table(trials, rows, n) * others[rows] for n in GRID)
        curves[name] = np.array([expect(table, rows, weeks).sum() for table in tables])
    curves["all"] = curves["engaged"] + curves["other"]
    for name, curve in curves.items():
        best[name] = _summit(curve)
        plant(f"exp_freq.{name}.optimum", best[name], "messages a cycle", f"most orders, customers: {name}")
        for n in (0, 8):
            text = f"orders at {n} messages a cycle to those at {given['usual']}, customers: {name}"
            ratio = curve[n == GRID] / curve[given["usual"] == GRID]
            plant(f"exp_freq.{name}.orders_{n}", ratio.item(), "ratio", text)
    gap = best["engaged"] - best["other"]
    plant("exp_freq.optimum_gap", gap, "messages a cycle", "best number, engaged less other customers")
    annoyed = unsatisfied(trials.people)[inside]
    chance = unsubscribe_chance(8, annoyed).mean()
    plant("exp_freq.unsubscribe_8", chance, "share a cycle", "unsubscribed in the first cycle, 8 messages")


def _summit(curve: np.ndarray) -> float:
    """Where a curve over `GRID` is highest: the top of the parabola through its highest three points."""
    top = int(curve.argmax())
    if top in (0, len(GRID) - 1):
        return float(GRID[top])
    bend, slope, _ = np.polyfit(GRID[top - 1 : top + 2] - GRID[top], curve[top - 1 : top + 2], 2)
    return float(GRID[top] - slope / (2 * bend))


def _plant_join(trials: Trials, expect: Expectation) -> None:
    """Those who join get double points in the last weeks by lot: that is part of what joining brings."""
    plant, others = trials.draft.plant, trials.product(without=["EXP-JOIN", "EXP-POINTS"])
    rows, double = np.flatnonzero(trials.complies), trials.given["exp_points"]["double"]
    joined = others[rows] * trials.if_invited[rows]
    with_points = joined * trials.points_table()[rows]
    more = (
        double * expect(with_points, rows) + (1 - double) * expect(joined, rows) - expect(others[rows], rows)
    )
    inside = trials.inside("EXP-JOIN").sum()
    plant("exp_join.invited", more.sum() / inside, "orders in 26 weeks", "effect of the invitation (ITT)")
    plant(
        "exp_join.compliers",
        more.mean(),
        "orders in 26 weeks",
        "effect of joining on those who join if asked",
    )
    plant("exp_join.take_up", trials.given["exp_join"]["comply"], "share", "of the invited who join")


def _plant_tier(trials: Trials, expect: Expectation) -> None:
    given, others = trials.given["tier"], trials.product(without=["TIER"])
    from_line = trials.year_spend - given["threshold"]
    past = trials.people["joined_week"].to_numpy() < trials.origin
    rows = np.flatnonzero(trials.test & past & (np.abs(from_line) < NEAR))
    more = expect(others[rows] * given["multiplier"], rows) - expect(others[rows], rows)
    weights = np.sqrt(1 - np.abs(from_line[rows]) / NEAR)
    jump = np.polyfit(from_line[rows], more, 1, w=weights)[1]
    trials.draft.plant("tier.jump", jump, "orders in 26 weeks", "effect of the tier at its threshold")


def _plant_points(trials: Trials, late: Expectation) -> None:
    given, others = trials.given["exp_points"], trials.product(without=["EXP-POINTS"])
    rows = np.flatnonzero(trials.member)
    span = trials.span(given["start"], given["weeks"])
    before = np.where(np.arange(trials.weeks) < span.start, others[rows], 0)
    base = late(before, rows)
    with_double = late(others[rows] * trials.points_table()[rows], rows) - base
    without = late(others[rows], rows) - base
    ratio = with_double.sum() / without.sum()
    trials.draft.plant("exp_points.orders", ratio, "ratio", "orders with double points to those with single")


def _plant_promo(trials: Trials, late: Expectation) -> None:
    given, plant = trials.given["exp_promo"], trials.draft.plant
    inside, others = trials.inside("EXP-PROMO"), trials.product(without=["EXP-PROMO"])
    weeks = 1 + given["dip_weeks"]

    def orders(arm, who=inside):
        rows = np.flatnonzero(who)
        table = others[rows] * trials.promo_table(np.where(inside, arm, None))[rows]
        return np.array([late(table, rows, span).sum() for span in (1, weeks)]) / len(rows) * 100

    week, net = orders("none")
    for arm in list(given["arms"])[1:]:
        arm_week, arm_net = orders(arm)
        plant(f"exp_promo.{arm}.week", arm_week / week, "ratio", f"orders in the week of the offer: {arm}")
        ratio = (arm_net - arm_week) / (net - week)
        plant(f"exp_promo.{arm}.dip", ratio, "ratio", f"orders in the four weeks after the offer: {arm}")
        text = f"orders in the offer's week and the four after, against none: {arm}"
        plant(f"exp_promo.{arm}.net", arm_net - net, "orders per 100 customers", text)
    for half, who in (("upper", inside & trials.upper), ("lower", inside & ~trials.upper)):
        ratio = orders("gift", who)[0] / orders("none", who)[0]
        plant(
            f"exp_promo.gift.{half}", ratio, "ratio", f"orders in the week of the gift, {half} half of value"
        )
    share = given["top_up"]["share"]
    plant("exp_promo.top_up", share, "share", "of orders just under the threshold that are raised over it")


def _plant_win_back(trials: Trials) -> None:
    arms, plant = trials.given["exp_winback"]["arms"], trials.draft.plant
    inside, lost = trials.inside("EXP-WINBACK"), trials.lost_in_pool
    reason = trials.people["churn_reason"].to_numpy()
    for arm in list(arms)[1:]:
        chance = pd.Series(reason).map(arms[arm]).to_numpy() * lost
        plant(f"exp_winback.{arm}", chance[inside].mean(), "share", f"brought back by {arm}, all of the pool")
        for name in arms[arm]:
            value = chance[inside & (reason == name)].mean()
            plant(f"exp_winback.{arm}.{name}", value, "share", f"brought back by {arm}, reason {name}")
    for name, best, other in (("quality", "service_call", "coupon20"), ("price", "coupon20", "service_call")):
        who = inside & (reason == name)
        gap = (arms[best][name] - arms[other][name]) * lost[who].mean()
        plant(f"exp_winback.{name}_gap", gap, "share", f"brought back by {best} less {other}, reason {name}")


def _plant_comp_price(trials: Trials, orders: pd.DataFrame) -> None:
    """Change in the share who order again, after a customer's first repeat order in the event's weeks.

    In the bau panel: elsewhere reminders and invitations of those weeks bring orders of their own.
    """
    given, people = trials.given["comp_price"], trials.people
    first = orders[(orders["week"] >= given["start"]) & (orders["week"] < given["start"] + given["weeks"])]
    first = first[first["week"] > people["joined_week"].to_numpy()[first["customer"]]]
    first = first.drop_duplicates("customer")
    there = (people["city"] == given["city"]).to_numpy() & ~trials.test
    first = first[there[first["customer"]]]
    who, week = first["customer"].to_numpy(), np.floor(first["week"]).to_numpy(int) - trials.origin
    rate, drop = (people[name].to_numpy()[who] for name in ("order_rate", "drop_chance"))
    passed = np.concatenate([np.zeros((len(who), 1)), np.cumsum(trials.product()[who], axis=1)], axis=1)
    rows = np.arange(len(who))
    again = -np.expm1(-rate * (passed[rows, week + RETURN_WEEKS] - passed[rows, week]))
    more = np.minimum(trials.extra_drop[who, week], 1 - drop) * again
    sensitive = people["price_sensitive"].to_numpy()[who]
    text = "share who order again within 13 weeks after an order in the weeks of the rival's price cut, "
    plant = trials.draft.plant
    plant("comp_price.other.again", 0, "share", text + "the others")
    if sensitive.any():  # not in a company of some hundred
        plant("comp_price.sensitive.again", -more[sensitive].mean(), "share", text + "the price-sensitive")
        plant("comp_price.city.again", -more.mean(), "share", text + "all of the city")


def _plant_own_price(trials: Trials, expect: Expectation) -> None:
    given, people = trials.given["own_price"], trials.people
    there = (people["city"] == given["city"]).to_numpy()
    sensitive, product = people["price_sensitive"].to_numpy(), trials.product()
    unchanged = product / trials.factors["OWN-PRICE"]
    before = np.arange(trials.weeks) < trials.span(given["start"], 1).start
    for name, who in (("sensitive", there & sensitive), ("other", there & ~sensitive), ("city", there)):
        rows = np.flatnonzero(who)
        earlier = expect(product[rows] * before, rows).sum()
        changed = expect(product[rows], rows).sum() - earlier
        ratio = changed / (expect(unchanged[rows], rows).sum() - earlier)
        elasticity = np.log(ratio) / np.log1p(given["rise"])
        trials.draft.plant(f"own_price.{name}.elasticity", elasticity, "% per %", f"orders to price, {name}")
