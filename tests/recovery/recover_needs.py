"""Recover what customers need, wish, intend and would pay, and why they leave."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, stats
from statsmodels.tools.numdiff import approx_fprime, approx_hess

from recovery.estimate import Company, Estimate
from recovery.survey_panel import Surveys, raked, trial_arm

KANO = {"like": 0, "expect": 1, "neutral": 2, "tolerate": 3, "dislike": 4}
KANO_TABLE = np.array([list(row) for row in ("QAAAO", "RIIIM", "RIIIM", "RIIIM", "RRRRQ")])
LADDER = [8, 12, 16, 20, 26, 34]
EXIT_SILENT = 13


def estimates(company: Company) -> list[Estimate]:
    """Every planted effect of the Kano, needs and exit surveys."""
    surveys = Surveys(company)
    makers = (kano, needs, contact, price, intent, leavers)
    return [estimate for maker in makers for estimate in maker(surveys)]


def kano(surveys: Surveys) -> list[Estimate]:
    """Share of each feature's own class less that of the next."""
    frame, found = surveys.frame, []
    own = dict(zip([f"K{number}" for number in range(1, 9)], "MMOAIRAO", strict=True))
    for feature, kind in own.items():
        pair = frame[[f"{feature}_f", f"{feature}_d"]].dropna()
        classes = KANO_TABLE[pair[f"{feature}_f"].map(KANO), pair[f"{feature}_d"].map(KANO)]
        shares = pd.Series(classes).value_counts(normalize=True)
        rest = shares.drop(kind).max()
        error = np.sqrt((shares[kind] + rest - (shares[kind] - rest) ** 2) / len(pair))
        found.append(
            Estimate.from_error(
                f"surveys.kano.{feature}", shares[kind] - rest, error, method="own class less the next"
            )
        )
    return found


def correlation(name: str, one, other, shrink: float = 1.0, **more) -> Estimate:
    """Correlation with the interval of Fisher's z."""
    r, n = np.corrcoef(one, other)[0, 1], len(one)
    half = 1.96 * shrink / np.sqrt(n - 3)
    return Estimate(name, r, np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half), **more)


def needs(surveys: Surveys) -> list[Estimate]:
    """Whom company draws, and what emotional needs go with."""
    some = surveys.frame[surveys.frame["social_wish"].notna()]
    edges = surveys.company.tables["social_edges"].query("kind == 'follow'")
    ends = pd.concat([edges["src_customer_id"], edges["dst_customer_id"]]).astype(object)
    degree = ends.value_counts().reindex(some["respondent_id"]).fillna(0)
    found = [correlation("surveys.needs.social_degree", np.log1p(degree.to_numpy()), some["social_wish"])]
    found.append(correlation("surveys.needs.emotional_nps", some["met_emotional"], some["nps"]))
    orders = surveys.orders[surveys.orders["week"].between(76, 102)]
    later = orders["customer_id"].value_counts().reindex(some["respondent_id"]).fillna(0).to_numpy()
    name = "surveys.needs.emotional_repeat"
    found.append(correlation(name, some["met_emotional"], np.log1p(later), kind="null"))
    return found


def contact(surveys: Surveys) -> list[Estimate]:
    """How many messages people want, and what they say of those they get in EXP-FREQ."""
    frame = surveys.frame
    modest = (frame["contact_wish"] <= 2).astype(float).where(frame["contact_wish"].notna())
    found = [
        Estimate.from_error(
            "surveys.contact.wish_at_most_2", *surveys.weighted_mean(modest), method="raked mean"
        )
    ]
    arm = trial_arm(surveys, "EXP-FREQ").astype(float)
    got = frame["respondent_id"].map(arm)
    much = (frame["contact_opinion"] >= 4).astype(float).where(frame["contact_opinion"].notna() & (got == 8))
    mean, error = surveys.weighted_mean(much)
    found.append(
        Estimate.from_error("surveys.contact.too_many_at_8", mean, error, method="raked mean, arm 8")
    )
    return found


def price(surveys: Surveys) -> list[Estimate]:
    """Willingness to pay from the price ladder: log-normal by maximum likelihood of the intervals."""
    frame = surveys.frame[surveys.frame["personal_wish"].notna()]
    wants = frame["personal_wish"]
    found = [Estimate.from_error("surveys.price.wants", wants.mean(), wants.sem(), method="share of answers")]
    yes = frame.loc[wants == 1, [f"price_{step}" for step in LADDER]].sum(axis=1)
    counts = np.bincount(yes.astype(int), minlength=len(LADDER) + 1)

    def loss(theta):
        above = stats.norm.sf((np.log(LADDER) - theta[0]) / np.exp(theta[1]))
        chances = -np.diff(np.concatenate([[1], above, [0]]))
        return -(counts * np.log(np.maximum(chances, 1e-12))).sum()

    best = optimize.minimize(loss, [np.log(18), np.log(0.5)], method="Nelder-Mead").x
    covariance = np.linalg.inv(approx_hess(best, loss))
    figures = {"median": lambda t: np.exp(t[0]), "best": best_price, "elasticity": elasticity}
    for name, figure in figures.items():
        slope = approx_fprime(best, lambda t, figure=figure: np.atleast_1d(figure(t)), centered=True).ravel()
        error = np.sqrt(slope @ covariance @ slope)
        found.append(
            Estimate.from_error(
                f"surveys.price.{name}", float(figure(best)), error, method="log-normal, price ladder"
            )
        )
    return found


def best_price(theta) -> float:
    """Where price times demand is highest: the hazard of log price equals one."""
    sigma = np.exp(theta[1])
    z = optimize.brentq(lambda z: stats.norm.pdf(z) - sigma * stats.norm.sf(z), -6, 6)
    return np.exp(theta[0] + sigma * z)


def elasticity(theta) -> float:
    """Of demand at the third step."""
    sigma = np.exp(theta[1])
    z = (np.log(LADDER[2]) - theta[0]) / sigma
    return -stats.norm.pdf(z) / stats.norm.sf(z) / sigma


def intent(surveys: Surveys) -> list[Estimate]:
    """Orders people say they will place in 13 weeks, to those they place."""
    frame = surveys.frame
    # From week 79 on trials and price events move the orders of others.
    customers = surveys.customers.reindex(frame["respondent_id"])
    calm = (customers["panel"] == "bau") & customers["city"].isin(["Northport", "Easthaven"])
    asked = frame["next_orders"].notna() & ((frame["wave"] == "2024H2") | calm.to_numpy())
    some = frame[asked]
    near = surveys.orders.merge(
        some[["respondent_id", "week"]], left_on="customer_id", right_on="respondent_id"
    )
    near = near[(near["week_x"] > near["week_y"]) & (near["week_x"] <= near["week_y"] + 13)]
    placed = near.groupby(["customer_id", "week_y"]).size()
    index = pd.MultiIndex.from_frame(some[["respondent_id", "week"]])
    did, said = placed.reindex(index).fillna(0).to_numpy(), some["next_orders"].to_numpy(float)
    ratio = said.sum() / did.sum()
    error = np.sqrt(((said - ratio * did) ** 2).sum()) / did.sum()
    return [
        Estimate.from_error(
            "surveys.intent.overstatement", ratio, error, null=1.0, method="ratio of stated to placed"
        )
    ]


def leavers(surveys: Surveys) -> list[Estimate]:
    """What leavers give as reason, raked to all who went silent; price is what the polite say."""
    orders = surveys.orders.sort_values(["customer_id", "week"])
    by = orders.groupby("customer_id")["week"]
    silent = orders.assign(many=by.cumcount() >= 3, asked=orders["week"] + EXIT_SILENT)
    silent = silent[(by.shift(-1).fillna(np.inf) > silent["asked"]) & (silent["asked"] + 1.5 < 104)]
    told = surveys.own[surveys.own["reason"].notna()].sort_values("week")
    both = pd.merge_asof(
        told[["respondent_id", "week", "reason"]].reset_index(),
        silent.sort_values("asked"),
        left_on="week",
        right_on="asked",
        left_by="respondent_id",
        right_by="customer_id",
        direction="backward",
        suffixes=("", "_order"),
        allow_exact_matches=True,
    )
    silent = silent.merge(both[["customer_id", "asked", "reason"]], on=["customer_id", "asked"], how="left")
    born = surveys.customers["birth_year"].reindex(silent["customer_id"]).to_numpy(float)
    silent["age"] = pd.cut(born, [1900, 1965, 1985, 2020], labels=False)
    silent["age"] = silent["age"].fillna(-1)
    silent["weight"] = raked(silent, silent["reason"].notna(), ["age", "many"])
    left = silent[silent["reason"].notna() & (silent["reason"] != "not_left")]
    shrink = np.sqrt(1 - silent["reason"].notna().mean())
    found = []
    for name in ("quality", "service", "price", "needs"):
        said = (left["reason"] == name).to_numpy(float)
        mean = np.average(said, weights=left["weight"])
        error = np.sqrt((left["weight"] ** 2 * (said - mean) ** 2).sum()) / left["weight"].sum() * shrink
        found.append(
            Estimate.from_error(f"surveys.exit.stated.{name}", mean, error, method="raked to all silent")
        )
        found.append(
            Estimate.from_error(f"surveys.exit.true.{name}", mean, error, kind="trap", method="what they say")
        )
    return found
