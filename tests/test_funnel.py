"""Funnels and attribution: by hand, against truth, and with bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from custkit import funnel, tables, truth
from custkit.errors import DataError, ParameterError
from custkit.simulate.draft import parameters
from custkit.simulate.paths import Chain

SITE = ["land", "view", "cart", "checkout", "payment", "order"]
CHANNELS = ["search", "social", "email", "referral", "display"]
VISITS = {"path": "visitor_id", "channel": "source", "at": "started_at"}


# steps --------------------------------------------------------------------------------------------------


def test_steps_by_hand():
    table = pd.DataFrame({"furthest_step": [1, 1, 2, 3, 3, 3, 3, 3]})
    found = funnel.steps(table, names=["land", "view", "cart"])
    assert found["name"].tolist() == ["land", "view", "cart"]
    assert found["reached"].tolist() == [8, 6, 5]
    assert found["lost"].tolist()[:2] == [2, 1] and np.isnan(found["lost"][2])
    assert found["step_conversion_rate"].tolist()[1:] == [6 / 8, 5 / 6]
    assert found["conversion_rate"].tolist() == [1, 6 / 8, 5 / 8]
    assert found.loc[0, ["step_conversion_rate", "low", "high"]].isna().all()
    assert (found.loc[1, "low"], found.loc[1, "high"]) == pytest.approx(
        proportion_confint(6, 8, method="wilson")
    )


def test_steps_left_out_are_passed_over_and_those_who_came_not_so_far_are_not_in_the_funnel():
    table = pd.DataFrame({"far": [1, 2, 4, 4, 6]})
    found = funnel.steps(table, "far", names={6: "order", 2: "view", 4: "checkout"})
    assert found["step"].tolist() == [2, 4, 6]
    assert found["reached"].tolist() == [4, 3, 1]
    assert funnel.steps(table.assign(far=1), "far", names={2: "a", 3: "b"})["conversion_rate"].isna().all()


def test_groups_have_their_own_funnel_in_the_order_of_their_categories(rng):
    table = pd.DataFrame({"furthest_step": rng.integers(1, 7, 300)})
    table["device"] = pd.Categorical(rng.choice(["app", "phone"], 300), ["phone", "app", "fax"])
    found = funnel.steps(table, names=SITE, by="device")
    assert found["device"].tolist() == ["phone"] * 6 + ["app"] * 6
    alone = funnel.steps(table[table["device"] == "app"], names=SITE)
    pd.testing.assert_frame_equal(found[6:].drop(columns="device").reset_index(drop=True), alone)
    mixed = funnel.steps(table.sample(frac=1, random_state=1), names=SITE, by="device")
    pd.testing.assert_frame_equal(found, mixed)
    assert found.attrs == {"level": 0.95, "by": "device"}


def test_step_intervals_hold_the_true_rate(rng):
    furthest = 1 + (rng.random((250, 150)) < 0.08) * (1 + (rng.random((250, 150)) < 0.5))
    held = []
    for row in furthest:
        found = funnel.steps(pd.DataFrame({"furthest_step": row}), names=["a", "b", "c"])
        held.append((found["low"] <= [0, 0.08, 0.5]) & (found["high"] >= [0, 0.08, 0.5]))
    assert pd.DataFrame(held).mean()[1:].between(0.91, 0.99).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"step": [1]}, "needs a column 'furthest_step'; there are: step"),
        ({"furthest_step": [1, None]}, "furthest_step is missing in 1 rows"),
        ({"furthest_step": [1.5, 2]}, "whole numbers"),
        ({"furthest_step": ["x", "y"]}, "whole numbers"),
        ({"furthest_step": [1, 9]}, "goes up to 9, but names ends at 6"),
        ({"furthest_step": []}, "no rows"),
    ],
)
def test_steps_names_what_is_wrong(table, message):
    with pytest.raises(DataError, match=message):
        funnel.steps(pd.DataFrame(table), names=SITE)


def test_steps_needs_two_names_and_a_level():
    table = pd.DataFrame({"furthest_step": [1, 2]})
    with pytest.raises(ParameterError, match="two steps"):
        funnel.steps(table, names=["land"])
    with pytest.raises(ParameterError, match="level"):
        funnel.steps(table, names=SITE, level=95)
    with pytest.raises(DataError, match="device"):
        funnel.steps(table, names=SITE, by="device")


# transitions and attribution ----------------------------------------------------------------------------


def of(*paths):
    """Touches and ends from texts such as "ab!": channels a, then b, then an order."""
    rows = [(i, letter, n) for i, path in enumerate(paths) for n, letter in enumerate(path.rstrip("!"))]
    touches = pd.DataFrame(rows, columns=["path_id", "channel", "at"])
    return touches, pd.Series([path.endswith("!") for path in paths])


def test_transitions_by_hand():
    found = funnel.transitions(*of("ab!", "b", "ba", "b!"))
    assert found.index.tolist() == ["start", "a", "b"]
    assert found.columns.tolist() == ["a", "b", "order", "away"]
    assert found.loc["start"].tolist() == [0.25, 0.75, 0, 0]
    assert found.loc["a"].tolist() == [0, 0.5, 0, 0.5]
    assert found.loc["b"].tolist() == [0.25, 0, 0.5, 0.25]
    assert found.attrs["counts"]["b"] == {"a": 1, "b": 0, "order": 2, "away": 1}
    assert {name: found.attrs[name] for name in ("paths", "converted", "without_touches")} == {
        "paths": 4,
        "converted": 2,
        "without_touches": 0,
    }


def test_attribution_by_hand():
    found = funnel.attribution(*of("ab!", "aab!", "b!", "c"))
    assert found.loc["a"].tolist() == pytest.approx(
        [2 / 3, 0, (1 / 2 + 2 / 3) / 3, (2 / 3) / (2 / 3 + 1), (1 / 2 + 1 / 2) / 3]
    )
    assert found.loc["c"].tolist() == [0] * 5
    assert found[["first", "last", "linear", "markov", "shapley"]].sum().tolist() == pytest.approx([1] * 5)
    # Markov: all who come to b order; without a only the one of four who starts at b does.
    assert found.columns.tolist() == list(funnel.RULES)


def test_removal_shares_by_hand():
    # Start: 6 to ad, 4 to mail. From ad: 5 to mail, 1 orders, 4 leave; from mail: 2 of 10 order.
    counts = np.array([[6, 4, 0, 0], [0, 5, 1, 4], [0, 0, 2, 8.0]])
    # P(order) = 0.6 (0.1 + 0.5 × 0.2) + 0.4 × 0.2 = 0.2; without ad 0.08, without mail 0.06.
    assert funnel.removal_shares(counts) == pytest.approx(np.array([0.6, 0.7]) / 1.3)
    assert funnel.removal_shares(np.stack([counts, 2 * counts]))[1] == pytest.approx(
        np.array([0.6, 0.7]) / 1.3
    )


def drawn(rng, people=400, letters="abcd"):
    texts = ["".join(rng.choice(list(letters), rng.integers(1, 5))) for _ in range(people)]
    return of(*(text + "!" * (rng.random() < 0.2 + 0.2 * ("a" in text)) for text in texts))


def test_all_rules_agree_where_each_path_has_one_touch(rng):
    texts = rng.choice(["a", "a!", "b", "b!", "b!", "c!"], 200)
    found = funnel.attribution(*of(*texts))
    for rule in funnel.RULES:
        assert found[rule].to_numpy() == pytest.approx(found["last"].to_numpy())


def test_shapley_is_that_of_its_game(rng):
    touches, converted = drawn(rng)
    touched = touches.groupby("path_id")["channel"].agg(set)
    won = [touched[i] for i in touched.index if converted[i]]
    players = sorted(touches["channel"].unique())

    def worth(coalition):
        return sum(path <= set(coalition) for path in won)

    value = dict.fromkeys(players, 0.0)
    for order in itertools.permutations(players):
        for i, player in enumerate(order):
            value[player] += worth(order[: i + 1]) - worth(order[:i])
    expected = [value[player] / math.factorial(len(players)) / len(won) for player in players]
    found = funnel.attribution(touches, converted, rules=["shapley"])["shapley"]
    assert found.to_numpy() == pytest.approx(expected)
    assert found.sum() == pytest.approx(1)
    swapped = touches.assign(channel=touches["channel"].map({"a": "b", "b": "a", "c": "c", "d": "d"}))
    other = funnel.attribution(swapped, converted, rules=["shapley"])["shapley"]
    assert other[["b", "a", "c", "d"]].to_numpy() == pytest.approx(found.to_numpy())


def test_markov_is_the_share_of_walks_that_fail_without_a_channel(rng):
    touches, converted = drawn(rng, people=3000, letters="ab")
    chance = funnel.transitions(touches, converted)
    failed = []
    for out in "ab":
        at, ordered = np.full(40_000, "start", dtype=object), 0
        for _ in range(60):
            onward = np.empty(len(at), dtype=object)
            for name in chance.index:
                here = at == name
                onward[here] = rng.choice(chance.columns, here.sum(), p=chance.loc[name])
            ordered += (onward == "order").sum()
            at = onward[(onward != "order") & (onward != "away") & (onward != out)]
        failed.append(ordered / 40_000)
    whole = converted.mean()
    effects = 1 - np.array(failed) / whole
    found = funnel.attribution(touches, converted, rules=["markov"])["markov"]
    assert found.to_numpy() == pytest.approx(effects / effects.sum(), abs=0.02)


def test_neither_rows_nor_names_decide(rng):
    touches, converted = drawn(rng)
    touches["path_id"] = "V" + touches["path_id"].astype(str)
    converted.index = "V" + converted.index.astype(str)
    one = funnel.attribution(touches, converted)
    mixed = touches.sample(frac=1, random_state=2)
    other = funnel.attribution(mixed, converted.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(one, other)
    a, b = (
        funnel.attribution(t, converted, draws=20, rng=np.random.default_rng(1)) for t in (touches, mixed)
    )
    pd.testing.assert_frame_equal(a, b)


def test_bootstrap_intervals_hold_the_true_shares(rng):
    held = []
    for _ in range(80):
        touches, converted = drawn(rng, people=300, letters="abc")
        found = funnel.attribution(touches, converted, rules=["first", "linear"], draws=100, rng=rng)
        held.append(
            [found.loc[n, "linear_low"] < third < found.loc[n, "linear_high"] for n, third in TRUE.items()]
        )
    assert 0.88 <= np.mean(held) <= 0.99


def _true_linear() -> dict[str, float]:
    """Of paths of 1 to 4 touches among a, b, c, ordering with 0.4 if a is in it, else 0.2."""
    credit = dict.fromkeys("abc", 0.0)
    for length in range(1, 5):
        for path in itertools.product("abc", repeat=length):
            chance = (0.2 + 0.2 * ("a" in path)) / 3**length
            for letter in path:
                credit[letter] += chance / length
    return {name: value / sum(credit.values()) for name, value in credit.items()}


TRUE = _true_linear()


def test_the_credit_of_juniper_lanes_channels_is_found(rng):
    sessions, joined = tables.load("sessions"), tables.load("customers").set_index("customer_id")["joined_at"]
    new = sessions["customer_id"].isna() | (sessions["started_at"] <= sessions["customer_id"].map(joined))
    touches = sessions[new & sessions["source"].isin(CHANNELS)]
    converted = touches.groupby("visitor_id")["order_id"].agg(lambda ids: ids.notna().any())
    effects = truth.load("truth_effects")
    found = funnel.attribution(touches, converted, **VISITS)
    true = pd.Series({name: effects[f"paths.{name}.removal_share"]["value"] for name in CHANNELS})
    # In this draw of the company referral is three standard errors low.
    wrong = found.sub(true, axis=0).abs()
    assert wrong["markov"].max() < 0.025
    assert wrong["markov"].sum() < 0.5 * wrong[["first", "last"]].sum().min()
    gap = pd.Series({name: effects[f"paths.{name}.first_minus_last"]["value"] for name in CHANNELS})
    assert (found["first"] - found["last"] - gap).abs().max() < 0.04
    assert found.attrs["converted"] / found.attrs["paths"] == pytest.approx(
        effects["paths.conversion"]["value"], abs=0.02
    )


def test_markov_intervals_hold_the_removal_shares_of_the_chain(rng):
    chain, held = Chain.of(parameters("visits")["paths"]), []
    for _ in range(60):
        won = rng.binomial(1500, chain.conversion())
        walks = [chain.walk(rng, won, converting=True), chain.walk(rng, 1500 - won, converting=False)]
        walks[1]["path"] += won
        converted = pd.Series(np.arange(1500) < won)
        found = funnel.attribution(
            pd.concat(walks),
            converted,
            path="path",
            channel="touch",
            at="position",
            rules=["markov"],
            draws=100,
            rng=rng,
        )
        true = chain.removal_shares()
        held.append((found["markov_low"] < true) & (true < found["markov_high"]))
    assert 0.88 <= np.mean(held) <= 0.98


def test_paths_that_cannot_be_read_are_named():
    touches, converted = of("ab!", "b")
    cases = [
        (touches.drop(columns="at"), converted, "needs a column 'at'"),
        (touches.assign(channel=[None, "b", "b"]), converted, "channel is missing in 1 rows"),
        (touches.assign(channel="order"), converted, "called 'order'"),
        (touches.iloc[:0], converted, "no rows"),
        (touches, converted[:1], "lacks 1 paths of touches, such as 1"),
        (touches, pd.concat([converted, converted]), "2 ids twice"),
        (touches, pd.Series([1, 7]), "True or False"),
        (touches, [True, False], "must be a Series"),
    ]
    for table, ends, message in cases:
        for function in (funnel.transitions, funnel.attribution):
            with pytest.raises(DataError, match=message):
                function(table, ends)
    with pytest.raises(DataError, match="no path ended in an order"):
        funnel.attribution(touches, ~pd.Series([True, True]))
    with pytest.raises(DataError) as error:
        funnel.attribution(touches.assign(channel=[None, "b", "start"]), [True])
    assert len(error.value.faults) == 3
    with pytest.raises(ParameterError) as error:
        funnel.attribution(touches, converted, rules=["u-shaped"], draws=5)
    assert len(error.value.faults) == 2


def test_ids_without_a_touch_are_counted():
    touches, _ = of("ab!", "b")
    assert funnel.transitions(touches, pd.Series([True, False, True])).attrs["without_touches"] == 1
