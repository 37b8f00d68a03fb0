"""What winback-list computes and says: rules, back-test, offer and trial; by hand and on CDNOW."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from custkit import clv, orders, reports, tables
from custkit.reports import winback_list as computing
from custkit.reports import winback_offer as offers
from custkit.reports import winback_tables as forms
from custkit.reports import winback_words as words
from custkit.reports.rfm_forecast import Models

RATES = {"margin_rate": 0.3, "annual_discount_rate": 0.1, "horizon_months": 12}
REPLAYED = {"margin_rate": 0.3, "horizon_months": 12}
NO_MODEL = Models(None, None, 20.0, ("too few",))


@pytest.fixture(scope="module")
def cdnow_log():
    return tables.read_orders(tables.cdnow(sample=True))


@pytest.fixture(scope="module")
def known(cdnow_log):
    verdict = cdnow_log.verdict().set_index("analysis")
    return computing.what_is_known(cdnow_log, cdnow_log.observation_end, verdict, 13)


def test_the_stored_report_says_what_the_real_orders_say():
    log = tables.read_orders("demo")
    verdict = log.verdict().set_index("analysis")
    rules = computing.Rules(0.2, 3, 13)
    test, why = computing.back_test(log, verdict, rules, computing.BY_MODEL, weeks=13, min_group=20, **RATES)
    row = test.table.loc[computing.BY_MODEL]
    stored = json.loads(reports.find("winback-list").path.read_text("utf-8"))
    said = "".join(
        "".join(o["data"].get("text/markdown", []))
        for cell in stored["cells"]
        for o in cell.get("outputs", [])
        if "data" in o
    )
    assert why == "" and words.test_in_short(test, computing.BY_MODEL) in said
    # counted without the package: three orders' days, last of them known, and an order after the cut
    days = log.to_frame().drop_duplicates(["customer_id", "order_date"])
    cut = pd.Timestamp("1998-03-31")
    before = days[days["order_date"] <= cut].groupby("customer_id")["order_date"].agg(["size", "max"])
    silent = before.index[(before["size"] >= 3) & ((cut - before["max"]).dt.days >= 91)]
    later = set(days.loc[days["order_date"] > cut, "customer_id"])
    assert test.table.loc[computing.BY_SILENCE, ["customers", "back"]].tolist() == [
        len(silent),
        len(later & set(silent)),
    ]
    assert test.table.loc[computing.AS_MANY, "customers"] == row["customers"]


def test_a_rule_knows_nothing_of_the_hidden_time(cdnow_log):
    frame = cdnow_log.to_frame()
    cut = cdnow_log.observation_end - dt.timedelta(weeks=13)
    verdict = cdnow_log.verdict().set_index("analysis")
    rules = computing.Rules(0.3, 2, 13)
    kept = frame[(frame["order_date"] <= pd.Timestamp(cut)) | frame["customer_id"].str.endswith("1")]
    other = tables.read_orders(kept, observation_end=str(cdnow_log.observation_end))
    one, two = (
        computing.back_test(log, verdict, rules, computing.BY_MODEL, weeks=13, **RATES)[0].table
        for log in (cdnow_log, other)
    )
    same = ["customers", "expected", "value"]
    pd.testing.assert_frame_equal(one[same], two[same])
    assert two["back"].sum() < one["back"].sum()


def test_own_return_is_the_share_of_replays_with_an_order(known, rng):
    customers, models = known
    some = customers[customers["frequency"] >= 2].head(150)
    replays = [models.purchase.simulate_purchases(some, 13, rng) > 0 for _ in range(400)]
    expected = computing.own_return(models.purchase, some, 13)
    assert np.mean(replays) == pytest.approx(expected.mean(), abs=0.005)
    assert (expected <= some["p_alive"]).all()


def test_the_value_of_a_return_by_hand(known, rng):
    customers, models = known
    one = customers[customers["frequency"] == 4].head(1)
    value = computing.value_if_back(models, one, **RATES).iloc[0]
    after = one.assign(frequency=5.0, recency=one["T"])
    later = models.purchase.predict_discounted_purchases(after, annual_discount_rate=0.1, horizon_months=12)
    spend = models.spend.predict_spend(one).iloc[0]
    assert value["value"] == pytest.approx(0.3 * spend * (1 + later.iloc[0]))
    assert 0.3 * spend < value["value"] and 0 < value["stays"] < 1
    plain_value = computing.value_if_back(NO_MODEL, pd.DataFrame({"monetary_mean": [40.0]}), **RATES)
    assert plain_value["value"].tolist() == [12.0] and plain_value["following"].tolist() == [0.0]
    assert computing.value_if_back(models, customers.head(0), **RATES).empty
    new = customers.head(1).assign(frequency=0.0, recency=0.0, T=0.0, monetary_value=0.0)
    assert computing.value_if_back(models, new, **RATES)["value"].iloc[0] > 0  # three orders, all this week


def test_the_range_lies_about_the_expected_gain(known, rng):
    customers, models = known
    lost = customers[(customers["p_alive"] < 0.5) & (customers["orders"] >= 3)]
    value = computing.value_if_back(models, lost, **RATES)
    offer = offers.Offer(0.2, 2, 0.2, 0.1)
    told = {"tested": None, "rng": rng, "draws": 200, **REPLAYED}
    gains = offers.gain_by_uplift(models, lost, value, offer, [0.0, 0.2], **told)
    by_hand = (0.2 * (value["value"] - 2) - 0.1 * 2 - 0.2).sum()
    assert gains["expected"].tolist() == pytest.approx([-len(lost) * 0.4, by_hand])
    assert ((gains["low"] < gains["expected"]) & (gains["expected"] < gains["high"])).all()
    wide = offers.gain_by_uplift(models, lost, value, offer, [0.0, 0.2], **told | {"tested": (1, 10)})
    assert (wide["high"] - wide["low"]).iloc[0] > 2 * (gains["high"] - gains["low"]).iloc[0]


def test_an_offer_by_hand():
    offer = offers.Offer(contact_cost=1, offer_cost=5, uplift=0.05, own=0.1)
    assert offer.expected(45.0) == pytest.approx(0.05 * 40 - 0.5 - 1)
    assert offer.break_even(45.0) == pytest.approx(1.5 / 40) and offer.break_even(5.0) == float("inf")
    assert offer.cost == pytest.approx(1 + 0.15 * 5)
    at = offers.Offer(1, 5, offer.break_even(45.0), 0.1)
    assert at.expected(45.0) == pytest.approx(0)
    everybody = offers.Offer(1, 5, 0.9, 0.4)  # no more than all can come back
    assert everybody.expected(45.0) == pytest.approx(0.6 * 40 - 2 - 1) and everybody.cost == 6


def test_groups_by_hand():
    offer = offers.Offer(1, 0, 0.1, 0.3)  # pays above a value of 10
    value = pd.Series([50.0, 40, 30, 20, 15, 12, 11, 9, 8, 7], list("abcdefghij"))

    def groups(seed=1, **given):
        given = {"budget": 0, "holdout_share": 0.0} | given
        return offers.assign_groups(value, offer, rng=np.random.default_rng(seed), **given)

    assert groups().tolist() == ["contact"] * 7 + ["does not pay"] * 3
    assert groups(budget=4).tolist() == ["contact"] * 4 + ["beyond the budget"] * 3 + ["does not pay"] * 3
    both = groups(budget=3, holdout_share=0.25)  # four chosen, one held out, three paid for
    assert sorted(both[:4]) == ["contact"] * 3 + ["hold-out"] and (both[4:7] == "beyond the budget").all()
    assert groups(budget=0.5).tolist() == ["beyond the budget"] * 7 + ["does not pay"] * 3
    drawn = [groups(seed, holdout_share=0.3) for seed in range(300)]
    held = pd.concat([group == "hold-out" for group in drawn], axis=1).mean(axis=1)
    assert held[:7].between(0.2, 0.37).all() and held[7:].sum() == 0  # two of seven, each as likely
    assert groups(4, holdout_share=0.3).equals(groups(4, holdout_share=0.3))
    assert groups(1, budget=0, holdout_share=0.2).isin(["contact", "hold-out", "does not pay"]).all()
    nobody = {"budget": 5, "holdout_share": 0.2, "rng": np.random.default_rng(1)}
    assert offers.assign_groups(value[:0], offer, **nobody).empty


def test_a_trial_of_the_needed_size_has_the_power(rng):
    trial = offers.Trial(800, 200, 0.11)
    needed = trial.needed(0.05, 0.2)
    assert needed == 2294 or 2200 < needed < 2400
    held = round(0.2 * needed)
    enough = offers.Trial(round(needed) - held, held, 0.11)
    assert enough.power(0.05) == pytest.approx(0.8, abs=0.005)
    assert enough.visible() == pytest.approx(0.05, abs=0.001)
    control, treated = rng.binomial(held, 0.11, 4000) / held, rng.binomial(4 * held, 0.16, 4000) / (4 * held)
    pooled = (control + 4 * treated) / 5
    seen = abs(treated - control) > 1.96 * np.sqrt(pooled * (1 - pooled) * (1 / held + 1 / (4 * held)))
    assert seen.mean() == pytest.approx(0.8, abs=0.05)
    assert trial.needed(0.05, 0.0) == trial.needed(0.0, 0.2) == float("inf")
    assert np.isnan(offers.Trial(10, 0, 0.1).power(0.1)) and np.isnan(offers.Trial(10, 0, 0.1).visible())


def test_rules_by_hand():
    customers = pd.DataFrame(
        {
            "orders": [5, 5, 5, 2, 5],
            "silent_weeks": [20.0, 12.9, 40, 60, 13],
            "p_alive": [0.1, 0.15, 0.5, 0.01, 0.9],
            "p_alive_mbgnbd": [0.3, 0.1, 0.5, 0.01, 0.9],
        }
    )
    called = computing.Rules(0.2, 3, 13).call(customers)
    assert called[computing.BY_MODEL].tolist() == [True, True, False, False, False]
    assert called[computing.BY_RIVAL].tolist() == [False, True, False, False, False]
    assert called[computing.BY_SILENCE].tolist() == [True, False, True, False, True]
    assert called[computing.AS_MANY].tolist() == [True, False, True, False, False]  # the two longest silent
    bare = computing.Rules(0.2, 3, 13).call(customers[["orders", "silent_weeks"]])
    assert computing.list_rule(bare) == computing.BY_SILENCE and computing.BY_MODEL not in bare


def test_a_back_test_by_hand():
    start = pd.Timestamp("2022-01-03")
    rows = [(f"K{k}", start + pd.Timedelta(weeks=w), 10.0) for k in range(12) for w in (0, 2, 4)]
    rows += [(f"K{k}", start + pd.Timedelta(weeks=40), 30.0) for k in range(3)]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_date", "amount"])
    log = tables.read_orders(frame, observation_end="2022-10-31")
    verdict = log.verdict().set_index("analysis")
    rules, rule = computing.Rules(0.2, 3, 13), computing.BY_SILENCE
    test, _ = computing.back_test(log, verdict, rules, rule, weeks=13, **RATES)
    row = test.table.loc[rule]
    assert (row["customers"], row["back"], row["share"]) == (12, 3, 0.25)
    assert row["low"] == pytest.approx(0.0889, abs=1e-4) and row["high"] == pytest.approx(0.5323, abs=1e-4)
    assert row["margin"] == pytest.approx(27) and np.isnan(row["expected"])
    ratio, low, high = test.value_ratio(np.random.default_rng(1))
    assert (ratio, low, high) == pytest.approx((3, 3, 3))
    assert np.isnan(test.value_ratio(np.random.default_rng(1), min_group=4)).all()
    none, why = computing.back_test(log, verdict, rules, rule, weeks=13, min_group=20, **RATES)
    assert none is None and "fewer than 20 customers lost" in why
    none, why = computing.back_test(log, verdict, rules, rule, weeks=40, **RATES)
    assert none is None and "leaves 3 to learn from; a back-test needs 13" in why
    none, why = computing.back_test(log, verdict, rules, computing.BY_MODEL, weeks=13, **RATES)
    assert none is None and "do not carry a purchase model" in why
    none, why = computing.back_test(log, verdict, computing.Rules(0.2, 9, 13), rule, weeks=13, **RATES)
    assert none is None and "nobody" in why
    other, why = computing.back_test(log, verdict, computing.Rules(0.2, 3, 27), rule, weeks=13, **RATES)
    assert list(other.table.index) == [computing.ENOUGH] and "nobody" in why and other.returned.empty


def test_bands_hold_the_smallest_group():
    ranked = pd.DataFrame(
        dict.fromkeys(["orders", "silent_weeks", "p_alive", "past_margin"], np.arange(47.0))
    )
    ranked = ranked.assign(value_if_back=1.0, expected_gain=2.0)
    bands = forms.rank_bands(ranked, 20)
    assert bands["customers"].tolist() == [24, 23] and bands["ranks"].tolist() == ["1 to 24", "25 to 47"]
    assert forms.rank_bands(ranked.head(39), 20).empty and len(forms.rank_bands(ranked, 1)) == 5
    assert forms.needed_customers(float("inf")) == "–" and forms.needed_customers(2298.0) == "2,298"


def test_lists_that_share_customers_are_told_apart_by_the_others():
    called = pd.DataFrame({computing.BY_MODEL: [True] * 200 + [False] * 100})
    called[computing.AS_MANY] = [False] * 100 + [True] * 200
    back = pd.Series([True] * 5 + [False] * 95 + [True] * 50 + [False] * 50 + [True] * 30 + [False] * 70)
    apart, low, high = computing._apart(called, back)
    assert apart == pytest.approx(55 / 200 - 80 / 200)
    wide = 1.96 * np.sqrt(0.05 * 0.95 / 100 + 0.3 * 0.7 / 100) / 2  # half of each list differs
    assert low == pytest.approx(apart - wide, abs=0.01) and high == pytest.approx(apart + wide, abs=0.01)
    called[computing.AS_MANY] = called[computing.BY_MODEL]
    assert computing._apart(called, back) == (0, 0, 0)
    assert np.isnan(computing._apart(called[[computing.AS_MANY]], back)).all()


# --- the words


def back_test_of(model, silent, expected=0.05):
    rows = {computing.BY_MODEL: model, computing.AS_MANY: silent}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["share", "low", "high"])
    table = table.assign(customers=100, back=10, expected=expected, value=[60.0, 50.0])
    apart = (model[0] - silent[0], model[1] - silent[2], model[2] - silent[1])
    return computing.BackTest(dt.date(2024, 1, 1), 13, table, pd.DataFrame(), apart)


def test_words_follow_the_back_test():
    better, worse = (0.05, 0.03, 0.07), (0.2, 0.17, 0.23)
    assert "P(alive) picks better" in words.compared(back_test_of(better, worse))
    assert "Plain silence picks better" in words.compared(back_test_of(worse, better))
    assert "cannot be told apart" in words.compared(back_test_of(better, (0.06, 0.04, 0.08)))
    assert "worth 20% more" in words.compared(back_test_of(better, worse))
    assert "within the interval" in words.believed(back_test_of(better, worse), computing.BY_MODEL)
    assert "fewer than came" in words.believed(back_test_of(worse, better), computing.BY_MODEL)
    assert "more than came" in words.believed(back_test_of(better, worse, 0.2), computing.BY_MODEL)
    assert words.believed(back_test_of(better, worse, np.nan), computing.BY_MODEL) == ""
    assert "not contradicted" in words.value_checked((0.9, 0.7, 1.1), 65)
    assert "that factor" in words.value_checked((0.5, 0.4, 0.6), 65)
    assert "Too few" in words.value_checked((np.nan,) * 3, 1)


def test_words_of_the_decision():
    offer = offers.Offer(1, 5, 0.05, 0.1)
    gain = pd.Series({"expected": 100.0, "low": -5.0, "high": 300.0})
    full, none = offers.Trial(80, 20, 0.1), offers.Trial(0, 0, 0.1)
    said = " ".join(words.decision(offer, 200, full, gain, 0.02, 500, 7.0, str, str))
    assert "-5.0 to 300.0" in said and "of a budget of 500" in said and "a gain of 7.0 forgone" in said
    said = " ".join(words.decision(offer, 200, none, gain, 0.2, 0, np.nan, str, str))
    assert "Nobody** of the 200" in said and "an uplift of 20.0%" in said and "budget" not in said
    assert words.decision(offer, 0, none, gain, 0.2, 0, np.nan, str, str) == [
        "**Nobody** is on the list, so there is nobody to contact."
    ]
    few = " ".join(
        words.decision(offer, 9, offers.Trial(7, 2, 0.1), gain * np.nan, np.nan, 0, np.nan, str, str)
    )
    assert "too few to show their money" in few and "nan" not in few
    assert "1 customer is probably lost" in words.in_short(1, 0, 0, np.nan, offer, np.nan, 0, str)[0]
    assert "would call 8 lost" in words.in_short(0, 0, 0, np.nan, offer, np.nan, 8, str)[0]
    assert "more than any uplift can give" in words.takes(float("inf"))
    assert "**This list alone will not settle it**" in full.in_words(0.05, 0.2)[1]
    assert "settle" not in " ".join(offers.Trial(8000, 2000, 0.1).in_words(0.05, 0.2))
    assert "no trial shows" in full.in_words(0.0, 0.2)[0]
    assert none.in_words(0.05, 0.2)[0].startswith("**No trial**")


def test_parameters_of_the_model_are_used_in_weeks(known):
    customers, models = known
    assert models.purchase.time_unit == "W" and isinstance(models.purchase, clv.BetaGeometricModel)
    summary = orders.purchase_summary(tables.cdnow(sample=True), observation_end="1998-06-30", time_unit="W")
    assert customers["frequency"].sum() == summary["frequency"].sum()
    assert (customers["silent_weeks"] == customers["recency_days"] / 7).all()
