"""Follows, mentions, referrals and rings: who can be tied to whom, and what seeding is worth."""

import numpy as np
import pandas as pd
import pytest

from custkit.simulate import company, network, rings, seeding
from custkit.simulate.draft import parameters


@pytest.fixture(scope="module")
def draft():
    return company.build(6, until="network", customers=1500)


@pytest.fixture(scope="module")
def edges(draft):
    return draft.tables["social_edges"]


def test_keys_times_and_kinds(draft, edges):
    ids = draft.tables["people"]["customer_id"]
    assert edges["edge_id"].is_unique
    assert edges["src_customer_id"].isin(ids).all() and edges["dst_customer_id"].isin(ids).all()
    assert (edges["src"] != edges["dst"]).all()
    assert edges["at"].is_monotonic_increasing
    assert edges["at"].max() < pd.Timestamp(draft.clock.as_of) + pd.Timedelta(days=1)
    assert set(edges["kind"]) == {"follow", "mention", "referral"}


def test_nobody_appears_before_his_first_order(draft, edges):
    joined = draft.tables["people"]["joined_week"].to_numpy()
    for end in ("src", "dst"):
        assert (edges["week"].to_numpy() >= joined[edges[end]]).all()


def test_follows_are_single_and_mentions_follow_them(edges):
    follows = edges[edges["kind"] == "follow"]
    assert not follows.duplicated(["src", "dst"]).any()
    mentions = edges[edges["kind"] == "mention"].merge(
        follows[["src", "dst", "week"]], on=["src", "dst"], how="left", suffixes=("", "_follow")
    )
    assert (mentions["week"] >= mentions["week_follow"]).all()


def test_referrals_bring_customers_by_referral_once_with_their_first_order(draft, edges):
    referrals, people = edges[edges["kind"] == "referral"], draft.tables["people"]
    assert not referrals["dst"].duplicated().any()
    assert (people["acq_channel"].to_numpy()[referrals["dst"]] == "referral").all()
    joined = people["joined_week"].to_numpy()
    assert (joined[referrals["src"]] < joined[referrals["dst"]]).all()
    first = draft.tables["orders"].drop_duplicates("customer").set_index("customer")["order_id"]
    assert (first.loc[referrals["dst"]].to_numpy() == referrals["first_order_id"].to_numpy()).all()
    rest = edges[edges["kind"] != "referral"]
    assert rest["first_order_id"].isna().all() and rest["reward_paid"].isna().all()


def test_rewards_by_date():
    at = pd.Series(
        pd.to_datetime(["2024-06-30 23:00", "2024-07-01 08:00", "2025-03-01", "2025-12-28"], format="ISO8601")
    )
    assert network._reward(at).tolist() == [10, 20, 30, 20]


def test_rings_are_variants_of_one_person(draft, edges):
    people, ringed = draft.tables["people"], edges[edges["ring"].notna()]
    assert len(ringed) >= 2
    assert not ringed["dst"].duplicated().any()
    first = people["alias_of"].to_numpy()[ringed["dst"]].astype(int)
    assert people["alias_of"].notna().sum() == len(ringed)
    assert (people["city"].to_numpy()[first] == people["city"].to_numpy()[ringed["dst"]]).all()
    same = people["phone"].str[:-1].to_numpy()
    assert (same[first] == same[ringed["dst"]]).all()
    assert people["email"].is_unique and people["email"].str.endswith("@example.com").all()
    count = np.bincount(draft.tables["orders"]["customer"])
    assert (count[ringed["dst"]] == 1).all()


def test_rings_change_nobody_else(draft):
    before = company.build(6, until="services", customers=1500).tables["people"]
    after = draft.tables["people"]
    others = after["alias_of"].isna()
    pd.testing.assert_frame_equal(before[others], after.loc[others, before.columns])


def test_name_variants():
    assert rings._name("Alva Belvar", 0) == "A. Belvar"
    assert rings._name("Alva Belvar", 1) == "Belvar Alva"
    assert rings._name("Alva Belvar", 2) == "Alva Bellvar"


def test_targets_by_copying_only_go_where_others_went():
    follows = pd.DataFrame({"src": np.arange(1, 400), "week": np.arange(1, 400) / 10.0})
    targets = network._targets(np.random.default_rng(1), follows, np.arange(400) / 10.0, np.arange(400))
    targets = np.array(targets)
    assert (targets < follows["src"].to_numpy()).all()  # nobody follows one who comes later
    assert np.bincount(targets[targets >= 0]).max() > 15  # the rich get richer


def test_cascade_that_always_passes_on_reaches_everybody_behind():
    # 1 and 2 follow 0, 3 follows 2, 4 follows nobody.
    src, dst = np.array([1, 2, 3]), np.array([0, 0, 2])
    reached = seeding.reach(np.random.default_rng(1), src, dst, np.arange(5), 1.0, 2)
    assert reached.tolist() == [3, 0, 1, 0, 0]
    assert seeding.reach(np.random.default_rng(1), src, dst, np.arange(5), 0.0, 2).tolist() == [0] * 5


def test_cascade_meets_its_mean():
    src, dst = np.arange(1, 51), np.zeros(50, int)
    reached = seeding.reach(np.random.default_rng(1), src, dst, np.zeros(200, int), 0.1, 10)
    assert reached.mean() == pytest.approx(5, abs=0.3)


def test_seeding_value_of_the_most_followed(draft):
    table = draft.truth["truth_network"]
    assert table["customer_id"].is_unique
    assert table.nlargest(10, "followers")["reached"].mean() > 5 * table["reached"].mean()


def test_promoters_bring_most(draft):
    names = parameters("network")["referral"]["per_year"]
    effects = [draft.effects[f"network.referrals.{name}"]["value"] for name in names]
    assert effects == sorted(effects, reverse=True)
