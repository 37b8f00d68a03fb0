"""Value-added services: who may take what when, how subscriptions end, what the experiment adds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from custkit.simulate import company, renewals, services
from custkit.simulate.draft import parameters, the_clock

SIZE = 1200


@pytest.fixture(scope="module")
def draft():
    return company.build(5, until="services", customers=SIZE)


@pytest.fixture(scope="module")
def taken(draft):
    return draft.tables["vas_subscriptions"]


def test_month_later_by_hand():
    days = np.array(["2024-01-31", "2024-01-31", "2025-01-31", "2024-12-15"], dtype="datetime64[s]")
    later = renewals.month_later(days, np.array([1, 2, 1, 13]))
    assert later.astype("datetime64[D]").astype(str).tolist() == [
        "2024-02-29",
        "2024-03-31",
        "2025-02-28",
        "2026-01-15",
    ]


def test_rank_in_a_mixture_is_uniform():
    rng = np.random.default_rng(1)
    centre = rng.choice([-1.0, 0.0, 2.0], 4000)
    rank = renewals.mixed_rank(centre + rng.standard_normal(4000), centre)
    assert stats.kstest(rank, "uniform").pvalue > 0.01
    assert np.corrcoef(rank, centre)[0, 1] > 0.5  # and still tied to what it is tied to


def test_subscriptions_last_as_the_model_says():
    clock, starts = the_clock(), np.zeros(20_000)
    rows = renewals.subscriptions(np.random.default_rng(2), clock, "COACH", starts)
    stays = 1 - (rows["end_week"] < 12 * 30.5 / 7).mean()
    given = parameters("services")["churn"]["COACH"]
    expected = np.exp(_log_survival(given["alpha"], given["beta"], 12))
    assert stays == pytest.approx(expected, abs=0.012)


def _log_survival(alpha, beta, months):
    return np.log([(beta + t) / (alpha + beta + t) for t in range(months)]).sum()


def test_subscriptions_of_nobody():
    rows = renewals.subscriptions(np.random.default_rng(3), the_clock(), "BIZ", [])
    assert len(rows) == 0 and "ended_on" in rows


def test_dates_fees_and_keys(draft, taken):
    assert taken["subscription_id"].is_unique
    assert not taken.duplicated(["customer", "service"]).any()
    assert taken["customer_id"].isin(draft.tables["people"]["customer_id"]).all()
    joined = draft.tables["people"]["joined_week"].to_numpy()[taken["customer"]]
    assert (taken["start_week"] >= joined).all() and (taken["start_week"] < draft.clock.weeks).all()
    ended = taken["ended_on"].dropna()
    assert (ended <= pd.Timestamp(draft.clock.as_of)).all()
    assert (ended >= taken.loc[ended.index, "started_on"] + pd.Timedelta(days=28)).all()
    assert (taken["fee_month"] > 0).all() and (taken["cost_month"] > 0).all()
    assert taken["started_on"].is_monotonic_increasing


def test_fees_are_the_list_prices(draft, taken):
    products = draft.tables["products"].query("kind == 'service'")
    price = products.set_index(products["name_en"].str.split().str[0])["list_price"]
    assert (taken["fee_month"] == taken["service"].map(price)).all()


def test_reasons_only_where_it_ended_and_messages_only_by_email(taken):
    assert taken.loc[taken["ended_on"].isna(), "cancel_reason"].isna().all()
    assert taken.loc[taken["ended_on"].notna(), "cancel_reason"].notna().mean() > 0.75
    assert (taken["message"].notna() == (taken["promo_channel"] == "email")).all()


def test_experiment_asks_consenting_customers_of_both_panels(draft):
    arms, people = draft.tables["trial_arms"], draft.tables["people"]
    asked = arms[arms["experiment_id"] == "EXP-VAS"]
    who = people.loc[asked["customer"]]
    assert who["consent_marketing"].all() and set(who["panel"]) == {"test", "bau"}
    assert (who["joined_week"] < parameters("services")["exp_vas"]["start"]).all()
    assert set(asked["arm"]) == set(parameters("services")["exp_vas"]["shares"])
    assert (asked["took_part"].notna() == (asked["arm"] == "event")).all()


def test_subscriptions_within_the_experiment_carry_its_channel(draft, taken):
    given, arms = parameters("services")["exp_vas"], draft.tables["trial_arms"]
    arm = arms[arms["experiment_id"] == "EXP-VAS"].set_index("customer")["arm"]
    inside = taken[taken["start_week"].between(given["start"], given["start"] + 4, inclusive="left")]
    inside = inside.assign(arm=inside["customer"].map(arm)).dropna(subset="arm")
    assert len(inside) > 20
    assert (inside["promo_channel"] == inside["arm"].str.split("_").str[0]).all()
    mails = inside[inside["promo_channel"] == "email"]
    assert (mails["message"] == mails["arm"].str.split("_").str[1]).all()


def test_experiment_leaves_orders_and_earlier_subscriptions_alone(draft, taken):
    before = company.build(5, until="visits", customers=SIZE)
    pd.testing.assert_frame_equal(before.tables["orders"], draft.tables["orders"])
    early = taken[taken["start_week"] < parameters("services")["exp_vas"]["start"]]
    own = services._own_starts(draft)
    own = own[own["start_week"] < parameters("services")["exp_vas"]["start"]]
    assert len(own) == len(early)


def test_partners_bring_new_customers_with_their_first_order(draft, taken):
    joined = draft.tables["people"]["joined_week"].to_numpy()[taken["customer"]]
    new = taken["start_week"].to_numpy() == joined
    assert new.sum() > 5
    assert (taken.loc[new, "promo_channel"] == "partner").all()
    channel = draft.tables["people"]["acq_channel"].to_numpy()[taken.loc[new, "customer"]]
    assert (channel == "partner").all()


def test_adoption_moves_with_what_is_known_of_a_customer():
    people = company.build(5, until="people", customers=50).tables["people"]
    plain = services.adoption_logit(people.assign(area_type="suburban"), "PRIORITY")
    urban = services.adoption_logit(people.assign(area_type="urban"), "PRIORITY")
    np.testing.assert_allclose(urban - plain, parameters("services")["adoption"]["PRIORITY"]["urban"])
    older = services.adoption_logit(people.assign(age=people["age"] + 10), "COACH")
    slope = parameters("services")["adoption"]["COACH"]["age_per_decade"]
    np.testing.assert_allclose(older - services.adoption_logit(people, "COACH"), slope)
