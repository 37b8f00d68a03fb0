"""Experiments: by hand, against truth, and with bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from custkit import experiments, tables, truth
from custkit.errors import DataError, DataWarning, ParameterError


@pytest.fixture(scope="module")
def effects():
    return {name: found["value"] for name, found in truth.load("truth_effects").items()}


# compare ------------------------------------------------------------------------------------------------


def test_two_arms_by_hand():
    found = experiments.compare([1, 3, 2, 6], list("AABB"), control="A")
    row = found.loc[0]
    assert (row["arm"], row["n"], row["n_control"]) == ("B", 2, 2)
    assert (row["mean"], row["mean_control"], row["difference"]) == (4, 2, 2)
    assert row["std_error"] == pytest.approx(5**0.5)  # 8 / 2 + 2 / 2
    test = stats.ttest_ind([2, 6], [1, 3], equal_var=False)
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert found.attrs == {"control": "A", "level": 0.95, "method": "difference of means, Welch"}


def test_arms_keep_the_order_of_their_categories_and_p_values_are_adjusted(rng):
    arm = pd.Series(pd.Categorical(np.repeat(["none", "small", "large"], 50), ["large", "none", "small"]))
    outcome = pd.Series(rng.normal(size=150)) + 0.5 * (arm == "large")
    found = experiments.compare(outcome, arm, control="none")
    assert found["arm"].tolist() == ["large", "small"]
    p_small, p_large = np.sort(found["p_value"])
    assert np.sort(found["p_adjusted"]) == pytest.approx([min(2 * p_small, p_large), p_large])
    plain = experiments.compare(outcome, arm, control="none", adjust=None)
    assert plain["p_adjusted"].equals(plain["p_value"])


def test_the_order_of_rows_changes_nothing(rng):
    table = pd.DataFrame({"y": rng.normal(size=60), "arm": ["A", "B", "C"] * 20, "x": rng.normal(size=60)})
    table["who"] = np.arange(60) // 2
    mixed = table.sample(frac=1, random_state=1)
    for given in ([], ["x"], ["who"], ["x", "who"]):
        one, other = (
            experiments.compare(
                t["y"],
                t["arm"],
                control="A",
                covariate=t["x"] if "x" in given else None,
                cluster=t["who"] if "who" in given else None,
            )
            for t in (table, mixed)
        )
        pd.testing.assert_frame_equal(one, other)


def test_rows_copied_within_a_cluster_tell_nothing_new(rng):
    outcome, arm = rng.normal(size=400), np.repeat(["A", "B"], 200)
    once = experiments.compare(outcome, arm, control="A").loc[0]
    who = np.tile(np.arange(400), 3)
    three = experiments.compare(np.tile(outcome, 3), np.tile(arm, 3), control="A", cluster=who).loc[0]
    naive = experiments.compare(np.tile(outcome, 3), np.tile(arm, 3), control="A").loc[0]
    assert three["std_error"] == pytest.approx(once["std_error"], rel=0.01)
    assert naive["std_error"] == pytest.approx(once["std_error"] / 3**0.5, rel=0.01)


def test_a_covariate_by_hand():
    # Both arms lie on a line of slope 2 but for one half: at x = 2 the lines are 3 apart.
    x = pd.Series([0.0, 1, 2, 3, 1, 2, 3, 4])
    bump = pd.Series([0.5, -0.5, -0.5, 0.5] * 2)
    arm = pd.Series(list("AAAABBBB"))
    found = experiments.compare(2 * x + 3 * (arm == "B") + bump, arm, control="A", covariate=x)
    assert found.loc[0, "difference"] == pytest.approx(3)
    assert found.loc[0, "mean"] - found.loc[0, "mean_control"] == pytest.approx(5)


def test_intervals_hold_the_true_effect(rng):
    """Arms of unequal size and noise, effects that grow with the covariate, clusters that share luck."""
    found = {"plain": [], "covariate": [], "cluster": []}
    who = np.arange(240) // 4
    for _ in range(150):
        x, treated = rng.normal(3, 1, 240), rng.random(240) < 0.25
        y = x + rng.normal(size=240) * (1 + treated) + (0.4 + 3 * (x - 3)) * treated
        arm = np.where(treated, "B", "A")
        drawn = np.where(rng.random(60) < 0.5, "B", "A")[who]
        shared = rng.normal(size=60)[who] + rng.normal(size=240) + 0.4 * (drawn == "B")
        found["plain"].append(experiments.compare(y, arm, control="A"))
        found["covariate"].append(experiments.compare(y, arm, control="A", covariate=x))
        found["cluster"].append(experiments.compare(shared, drawn, control="A", cluster=who))
    for rows in map(pd.concat, found.values()):
        assert 0.9 <= (rows["low"].lt(0.4) & rows["high"].gt(0.4)).mean() <= 0.99
        assert rows["std_error"].mean() == pytest.approx(rows["difference"].std(), rel=0.15)
    widths = [(rows["high"] - rows["low"]).mean() for rows in map(pd.concat, found.values())]
    assert widths[1] < 0.8 * widths[0]


def test_arms_in_which_nothing_varies_have_no_interval():
    found = experiments.compare([0] * 6 + [1, 0, 1], list("AAABBBCCC"), control="A")
    assert found.loc[0, ["low", "high", "p_value", "p_adjusted"]].isna().all()
    assert found.loc[1, "p_adjusted"] == found.loc[1, "p_value"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"outcome": [1, None, 3, 4]}, "outcome is missing in 1 of 4 rows"),
        ({"outcome": [1, np.inf, 3, 4]}, "outcome is infinite in 1 rows"),
        ({"outcome": list("abcd")}, "outcome must be numbers"),
        ({"arm": ["A", None, "B", "B"]}, "arm is missing in 1 of 4 rows"),
        ({"arm": ["A", "A", "B"]}, "arm has 3 values and outcome 4"),
        ({"arm": ["A", "A", "A", "B"]}, "arm 'B' has 1 row"),
        ({"arm": ["A"] * 4}, "all rows are of arm 'A'"),
        ({"covariate": [1, 2, None, 4]}, "covariate is missing in 1 of 4 rows"),
        ({"covariate": [1, 1, 2, 3]}, "covariate: a column is constant"),
        ({"cluster": [1, 1, 2, 2]}, "cluster: there are 2"),
        ({"outcome": [], "arm": []}, "outcome is empty"),
    ],
)
def test_columns_that_cannot_be_compared_are_named(given, message):
    columns = {"outcome": [1, 2, 3, 4], "arm": list("AABB"), "control": "A", **given}
    with pytest.raises(DataError, match=message):
        experiments.compare(**columns)


def test_all_faults_are_told_at_once_and_options_are_checked():
    with pytest.raises(DataError) as error:
        experiments.compare([1, None], ["A", None], control="A", cluster=[None, 1])
    assert len(error.value.faults) == 3
    for wrong in ({"control": "Z"}, {"control": "A", "adjust": "none"}, {"control": "A", "level": 95}):
        with pytest.raises(ParameterError, match=r"Z|adjust|level"):
            experiments.compare([1, 2, 3, 4], list("AABB"), **wrong)
    one, other = pd.Series([1, 2, 3, 4]), pd.Series(list("AABB"), index=[3, 2, 1, 0])
    with pytest.raises(DataError, match="different indexes"):
        experiments.compare(one, other, control="A")


# srm_check ----------------------------------------------------------------------------------------------


def test_sample_ratio_by_hand():
    found = experiments.srm_check(["A"] * 60 + ["B"] * 40)
    assert found.statistic == pytest.approx(4)  # 10² / 50 twice
    assert found.p_value == pytest.approx(0.0455, abs=1e-4)
    assert found.table.columns.tolist() == ["arm", "observed", "expected", "share", "expected_share"]
    assert found.ok and "No sample-ratio mismatch" in str(found)
    lost = experiments.srm_check(["A"] * 600 + ["B"] * 400, {"A": 1, "B": 1})
    assert not lost.ok and "p < 0.001" in lost.verdict
    assert experiments.srm_check(["A"] * 600 + ["B"] * 400, {"A": 3, "B": 2}).p_value == pytest.approx(1)
    gone = experiments.srm_check(["A"] * 20, {"A": 1, "B": 1})
    assert gone.table["observed"].tolist() == [20, 0] and not gone.ok


def test_sample_ratio_alarms_seldom_when_the_lot_was_fair(rng):
    alarms = [not experiments.srm_check(rng.integers(3, size=300)).ok for _ in range(200)]
    assert np.mean(alarms) <= 0.01


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"A": 1}, "lacks arm 'B'"), ({"A": 1, "B": 0}, "'B' must be above 0"), ({"A": 1, "B": -1}, "above 0")],
)
def test_wrong_shares_are_refused(shares, message):
    with pytest.raises(ParameterError, match=message):
        experiments.srm_check(list("AABB"), shares)
    with pytest.raises(ParameterError, match="one arm alone"):
        experiments.srm_check(list("AA"))


# encouragement ------------------------------------------------------------------------------------------


def test_encouragement_by_hand():
    outcome = [4, 6, 1, 1, 2, 2, 2, 4]
    taken = [1, 1, 0, 0, 0, 0, 0, 1]
    with pytest.warns(DataWarning, match="weak"):
        found = experiments.encouragement(outcome, ["in"] * 4 + ["out"] * 4, taken, control="out")
    # takers (4 + 6 + 4) / 3 less others 8 / 5; offered 3 less 2.5; take-up 1/2 less 1/4
    assert found["estimate"].tolist() == pytest.approx([14 / 3 - 1.6, 0.5, 0.25, 2.0])
    assert found["quantity"].tolist() == experiments.ENCOURAGED
    assert (found["low"] < found["estimate"]).all() and (found["estimate"] < found["high"]).all()


def offer(rng, n=600, gain=1.0):
    """Keen customers take the offer and would have bought more anyway."""
    keen, offered = rng.normal(size=n), rng.random(n) < 0.5
    taken = offered & (keen + rng.normal(size=n) > 0)
    return keen + rng.normal(size=n) + gain * taken, np.where(offered, "in", "out"), taken, keen


def test_the_effect_on_takers_is_found_where_the_naive_difference_is_not(rng):
    held = []
    for _ in range(100):
        outcome, arm, taken, _ = offer(rng)
        found = experiments.encouragement(outcome, arm, taken, control="out")
        held.append(found["low"].lt(1.0) & found["high"].gt(1.0))
    naive, _, _, wald = np.mean(held, axis=0)
    assert naive < 0.2
    assert 0.88 <= wald <= 0.99


def test_the_error_of_the_effect_on_takers_is_that_of_two_stage_least_squares(rng):
    outcome, arm, taken, keen = offer(rng, n=3000)
    found = experiments.encouragement(outcome, arm, taken, control="out").loc[3]
    offered = (arm == "in").astype(float)
    z, x = np.column_stack([np.ones(3000), offered]), np.column_stack([np.ones(3000), taken])
    beta = np.linalg.solve(z.T @ x, z.T @ outcome)
    meat = z * (outcome - x @ beta)[:, None]
    bread = np.linalg.inv(z.T @ x)
    error = np.sqrt((bread @ (meat.T @ meat) @ bread.T)[1, 1])
    assert (found["estimate"], found["std_error"]) == pytest.approx((beta[1], error), rel=2e-3)
    closer = experiments.encouragement(outcome, arm, taken, control="out", covariate=keen).loc[3]
    assert closer["std_error"] < 0.85 * found["std_error"]


def test_encouragement_refuses_what_it_cannot_judge(rng):
    with pytest.raises(DataError, match="3 arms"):
        experiments.encouragement([1, 2, 3, 4, 5, 6], list("AABBCC"), [0, 1, 0, 1, 0, 1], control="A")
    with pytest.raises(DataError, match="True or False"):
        experiments.encouragement([1, 2, 3, 4], list("AABB"), [0, 1, 2, 1], control="A")
    with pytest.raises(DataError, match="same in all rows"):
        experiments.encouragement([1, 2, 3, 4], list("AABB"), [1, 1, 1, 1], control="A")
    with pytest.raises(DataError, match="moved nobody"):
        experiments.encouragement([1, 2, 3, 4], list("AABB"), [0, 1, 0, 1], control="A")
    taken = rng.random(200) < 0.5
    taken[:100][:2] ^= True
    with pytest.warns(DataWarning, match="weak"):
        experiments.encouragement(rng.normal(size=200), np.repeat(["A", "B"], 100), taken, control="A")


# Juniper Lane -------------------------------------------------------------------------------------------


def test_the_checkout_experiment_is_read_rightly(effects):
    sessions = tables.load("sessions")
    seen = sessions[sessions["checkout_variant"].notna()]
    found = experiments.compare(
        seen["order_id"].notna(), seen["checkout_variant"], control="A", cluster=seen["visitor_id"]
    )
    assert found.loc[0, "low"] < effects["exp_checkout.all.lift"] < found.loc[0, "high"]
    assert found.loc[0, "low"] > 0
    assert experiments.srm_check(seen.drop_duplicates("visitor_id")["checkout_variant"]).ok


def test_the_invitation_and_the_win_back_are_read_rightly(effects):
    contacts, orders = tables.load("contacts"), tables.load("orders")
    asked = contacts[contacts["campaign_id"].str.startswith("JOIN79")].drop_duplicates("customer_id")
    start = pd.Timestamp("2025-06-30")
    after, before = (
        asked["customer_id"].map(part.groupby("customer_id").size()).fillna(0)
        for part in (orders[orders["ordered_at"] >= start], orders[orders["ordered_at"] < start])
    )
    found = experiments.encouragement(
        after, asked["arm"], asked["n_clicked"] > 0, control="not_invited", covariate=before
    ).set_index("quantity")
    for row, name in (
        ("intention to treat", "invited"),
        ("take-up", "take_up"),
        ("effect on those who took it up (Wald)", "compliers"),
    ):
        assert found.loc[row, "low"] < effects[f"exp_join.{name}"] < found.loc[row, "high"]

    pool = contacts[contacts["campaign_id"].str.startswith("WINBACK92")]
    window = orders[orders["ordered_at"].between(pd.Timestamp("2025-09-29"), pd.Timestamp("2025-11-24"))]
    arms = experiments.compare(pool["customer_id"].isin(window["customer_id"]), pool["arm"], control="none")
    for row in arms.to_dict("records"):
        assert row["low"] < effects[f"exp_winback.{row['arm']}"] < row["high"]
