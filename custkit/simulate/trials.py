"""Experiments and price events that touch the order process: who is in which arm, and what it does.

Each trial is randomised on its own. What it does to the order rate is a table (customers × weeks after the
calibration period) of multipliers; the tables of all trials are multiplied.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from custkit.simulate import history
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import FACTORS, chance
from custkit.simulate.streams import choose


def response(kind: str, messages) -> np.ndarray:
    """Order rate at so many messages per cycle (0 or more), against none; kind "engaged" or "other"."""
    given = parameters("trials")["exp_freq"]
    n = np.asarray(messages, dtype=float)
    return 1 + given[kind]["lift"] * (1 - np.exp(-n / given["saturation"])) - given[kind]["fatigue"] * n


def unsatisfied(people: pd.DataFrame) -> np.ndarray:
    """Whether a customer's experience is below the bar that makes unsubscribing likelier."""
    weights = np.array([parameters("people")["experience_weights"][name] for name in FACTORS])
    score = people[list(FACTORS)].to_numpy() @ weights / np.sqrt((weights**2).sum())
    return score < parameters("trials")["exp_freq"]["unsatisfied_below"]


def unsubscribe_chance(messages, unsatisfied) -> np.ndarray:
    """Chance to unsubscribe in a cycle with so many messages; nobody does without one."""
    logit = parameters("trials")["exp_freq"]["unsubscribe_logit"]
    n = np.asarray(messages, dtype=float)
    leave = chance(logit["base"] + logit["per_message"] * n + logit["unsatisfied"] * np.asarray(unsatisfied))
    return np.where(n > 0, leave, 0.0)


class Trials:
    """Arms and effects of the trials, over the weeks after the calibration period.

    Attributes
    ----------
    factors : dict
        Trial → table (customers × weeks) of multipliers of the order rate.
    extra_drop : array (customers, weeks)
        Added to the drop-out chance per order.
    arm : dict
        Experiment → arm of each customer; None for those outside.
    groups : dict
        Customers (positions) whose random numbers no trial may disturb: the bau panel elsewhere and in the
        two cities of the price events; the test panel.
    """

    def __init__(self, draft: Draft, orders: pd.DataFrame) -> None:
        self.draft, self.people, self.given = draft, draft.tables["people"], parameters("trials")
        self.origin = draft.clock.calibration_weeks
        self.weeks = draft.clock.weeks - self.origin
        self.size = len(self.people)
        self.test = (self.people["panel"] == "test").to_numpy()
        self.factors: dict[str, np.ndarray] = {}
        self.arm: dict[str, np.ndarray] = {}
        self.begin: dict[str, float] = {}
        self.extra_drop = np.zeros((self.size, self.weeks))
        self.unsubscribed_week = np.full(self.size, np.nan)
        self._group()
        audience = self.active(orders, self.origin) & self.reachable(self.origin)
        self._start_frequency(audience)
        self._start_join(audience)
        self._start_tier(orders)
        self._start_points()
        self._start_prices()

    # Who, and when ------------------------------------------------------------------------------------

    def stops(self) -> list[float]:
        """Weeks in which a trial starts that needs to know the past, or a price event on the bau panel."""
        names = ("comp_price", "own_price", "exp_winback", "exp_promo")
        return sorted({self.origin, *(self.given[name]["start"] for name in names)})

    def _group(self) -> None:
        cities = [self.given[name]["city"] for name in ("comp_price", "own_price")]
        place = self.people["city"].where(self.people["city"].isin(cities), "elsewhere")
        label = np.where(self.test, "test", "bau " + place.astype(str))
        self.groups = {name: np.flatnonzero(label == name) for name in sorted(set(label))}

    def active(self, orders: pd.DataFrame, at: float) -> np.ndarray:
        """Customers of the test panel who ordered of late."""
        silent = at - history.last_order(orders, self.size, at)
        return self.test & (silent <= self.given["active_within"])

    def reachable(self, at: float) -> np.ndarray:
        """Customers who allow marketing messages at a time."""
        return self.people["consent_marketing"].to_numpy() & ~(self.unsubscribed_week < at)

    def assign(self, name: str, who: np.ndarray, shares: dict, start: float) -> np.ndarray:
        """Draw the arm of each customer of a mask; None for the others."""
        arm = np.full(self.size, None, dtype=object)
        arm[who] = choose(self.draft.rng(name), shares, int(who.sum()))
        self.arm[name], self.begin[name] = arm, start
        return arm

    def inside(self, name: str) -> np.ndarray:
        """Mask of the customers in a trial."""
        return np.not_equal(self.arm[name], None)

    def arms(self) -> pd.DataFrame:
        """`trial_arms`: customer, experiment_id, arm, week of the start; took_part (in EXP-JOIN: joined)."""
        parts = [
            pd.DataFrame(
                {"customer": rows, "experiment_id": name, "arm": arm[rows], "week": self.begin[name]}
            )
            for name, arm in self.arm.items()
            if len(rows := np.flatnonzero(np.not_equal(arm, None)))
        ]
        table = pd.concat(parts, ignore_index=True)
        invited = (table["experiment_id"] == "EXP-JOIN") & (table["arm"] == "invited")
        joined = pd.Series(self.member[table["customer"]], dtype="boolean")
        return table.assign(took_part=joined.where(invited, pd.NA))

    # What it does -------------------------------------------------------------------------------------

    def ones(self) -> np.ndarray:
        """A table without effect."""
        return np.ones((self.size, self.weeks))

    def span(self, start: float, weeks: int) -> slice:
        """Columns of some weeks."""
        return slice(int(start - self.origin), int(start - self.origin) + int(weeks))

    def product(self, without: Iterable[str] = ()) -> np.ndarray:
        """All multipliers together, leaving out some trials."""
        table = self.ones()
        for name, factor in self.factors.items():
            if name not in without:
                table *= factor
        return table

    def tables(
        self, rows: np.ndarray, start: float, end: float, effects: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Multipliers and extra drop-out of some customers between two whole weeks."""
        span = self.span(start, end - start)
        multiplier, extra = np.ones((len(rows), int(end - start))), np.zeros((len(rows), int(end - start)))
        if effects:
            for factor in self.factors.values():
                multiplier *= factor[rows, span]
            extra = self.extra_drop[rows, span]
        return multiplier, extra

    def _start_frequency(self, audience: np.ndarray) -> None:
        given, rng = self.given["exp_freq"], self.draft.rng("unsubscribe")
        arm = self.assign("EXP-FREQ", audience, dict.fromkeys(given["arms"], 1.0), self.origin)
        who = np.flatnonzero(audience)
        planned = arm[who].astype(int)
        annoyed = unsatisfied(self.people)[who]
        usual = self._response(who, given["usual"])
        table, on, cycles = self.ones(), np.ones(len(who), bool), []
        for cycle in range(given["cycles"]):
            sent = np.where(on, planned, 0)
            leaves = rng.random(len(who)) < unsubscribe_chance(sent, annoyed)
            cycles.append(
                pd.DataFrame({"customer": who, "cycle": cycle + 1, "n_sent": sent, "unsubscribed": leaves})
            )
            span = self.span(self.origin + cycle * given["cycle_weeks"], given["cycle_weeks"])
            table[who, span] = (self._response(who, sent) / usual)[:, None]
            self.unsubscribed_week[who[leaves]] = self.origin + (cycle + 1) * given["cycle_weeks"]
            on &= ~leaves
        after = self.span(self.origin + given["cycles"] * given["cycle_weeks"], self.weeks)
        table[who, after] = np.where(on, 1.0, self._response(who, 0) / usual)[:, None]
        self.factors["EXP-FREQ"] = table
        self.cycles = pd.concat(cycles, ignore_index=True)
        arm[who] = planned.astype(str).astype(object)

    def _response(self, who: np.ndarray, messages) -> np.ndarray:
        engaged = self.people["engaged"].to_numpy()[who]
        return np.where(engaged, response("engaged", messages), response("other", messages))

    def _start_join(self, audience: np.ndarray) -> None:
        given, rng = self.given["exp_join"], self.draft.rng("join")
        shares = {"invited": given["invited"], "not_invited": 1 - given["invited"]}
        arm = self.assign("EXP-JOIN", audience, shares, self.origin)
        self.complies = complies = audience & (rng.random(self.size) < given["comply"])
        week = np.where(complies, self.origin + given["join_within"] * rng.random(self.size), np.nan)
        part = np.clip(self.origin + 1 + np.arange(self.weeks) - week[:, None], 0, 1)
        self.if_invited = 1 + (given["multiplier"] - 1) * np.nan_to_num(part)
        self.member = complies & (arm == "invited")
        self.join_week = np.where(self.member, week, np.nan)
        self.factors["EXP-JOIN"] = np.where(self.member[:, None], self.if_invited, 1.0)

    def _start_tier(self, orders: pd.DataFrame) -> None:
        given = self.given["tier"]
        year = orders[orders["week"] >= self.origin - given["look_back"]]
        spent = np.bincount(year["customer"], year["net_amount"], self.size)
        # To the cent, as it would be added up from the order table.
        self.tier = self.test & (np.round(spent, 2) >= given["threshold"])
        self.year_spend = np.round(spent, 2)
        self.factors["TIER"] = np.where(self.tier[:, None], given["multiplier"], self.ones())

    def _start_points(self) -> None:
        given = self.given["exp_points"]
        shares = {"double": given["double"], "single": 1 - given["double"]}
        arm = self.assign("EXP-POINTS", self.member, shares, given["start"])
        self.factors["EXP-POINTS"] = np.where((arm == "double")[:, None], self.points_table(), 1.0)

    def points_table(self) -> np.ndarray:
        """Multipliers of EXP-POINTS if everybody had double points."""
        given, table = self.given["exp_points"], self.ones()
        table[:, self.span(given["start"], given["weeks"])] = given["multiplier"]
        return table

    def _start_prices(self) -> None:
        given, sensitive = self.given["comp_price"], self.people["price_sensitive"].to_numpy()
        there = (self.people["city"] == given["city"]).to_numpy()
        self.extra_drop[there & sensitive, self.span(given["start"], given["weeks"])] = given["extra_drop"]
        given = self.given["own_price"]
        elasticity = np.where(sensitive, given["elasticity"]["sensitive"], given["elasticity"]["other"])
        there = (self.people["city"] == given["city"]).to_numpy()
        table = self.ones()
        change = ((1 + given["rise"]) ** elasticity)[there, None]
        table[there, self.span(given["start"], self.weeks)] = change
        self.factors["OWN-PRICE"] = table

    def start_promo(self, orders: pd.DataFrame) -> None:
        """EXP-PROMO: arms among the customers active by now, upper and lower half of customer value.

        The offer is shown on the site, in the app and at the till, so that it needs no consent to messages.
        """
        given = self.given["exp_promo"]
        audience = self.active(orders, given["start"])
        self.assign("EXP-PROMO", audience, dict.fromkeys(given["arms"], 1.0), given["start"])
        value = history.expected_value(orders, self.size, given["start"])
        self.upper = audience & (value >= np.median(value[audience]))
        self.factors["EXP-PROMO"] = self.promo_table(self.arm["EXP-PROMO"])

    def promo_table(self, arm: np.ndarray) -> np.ndarray:
        """Multipliers of EXP-PROMO if each customer were in an arm."""
        given, table = self.given["exp_promo"], self.ones()
        week = self.span(given["start"], 1)
        dip = self.span(given["start"] + 1, given["dip_weeks"])
        for name, effect in given["arms"].items():
            rows = arm == name
            table[rows, week] = np.where(self.upper[rows], effect["upper"], effect["lower"])[:, None]
            table[rows, dip] = effect["dip"]
        return table

    # What the records keep ----------------------------------------------------------------------------

    def mark_promo(self, orders: pd.DataFrame, effects: bool) -> pd.DataFrame:
        """Columns promo_arm and topped_up; orders just under the threshold are raised over it."""
        given = self.given["exp_promo"]
        arm = self.arm["EXP-PROMO"][orders["customer"]]
        within = (orders["week"] >= given["start"]) & (orders["week"] < given["start"] + 1)
        offered = within.to_numpy() & np.not_equal(arm, None) & (arm != "none")
        near, rng = given["top_up"], self.draft.rng("top_up")
        amount = orders["net_amount"].to_numpy()
        close = (amount >= near["above"]) & (amount < near["below"]) & (offered & (arm == "threshold"))
        topped = close & (rng.random(len(orders)) < near["share"]) & effects
        raised = np.round(rng.uniform(*near["to"], len(orders)), 2)
        return orders.assign(
            net_amount=np.where(topped, raised, amount),
            promo_arm=np.where(offered, arm, None),
            topped_up=topped,
        )

    def people_columns(self) -> pd.DataFrame:
        """`people` with the columns of the trials."""
        return self.people.assign(
            pilot_member=self.member,
            join_week=self.join_week,
            tier_at_79=self.tier,
            unsubscribed_week=self.unsubscribed_week,
        )
