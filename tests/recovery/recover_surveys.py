"""Recover what customers think: recommendation, drivers, effort, service quality, Kano, needs, leavers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.tools.numdiff import approx_fprime, approx_hess

from recovery.estimate import Company, Estimate
from recovery.survey_panel import FIELD_WEEKS, FRAME_WEEKS, WAVES, Surveys, raked

DRIVERS = {"q": "quality", "s": "service", "p": "price", "c": "communication"}
KANO = {"like": 0, "expect": 1, "neutral": 2, "tolerate": 3, "dislike": 4}
KANO_TABLE = np.array([list(row) for row in ("QAAAO", "RIIIM", "RIIIM", "RIIIM", "RRRRQ")])
LADDER = [8, 12, 16, 20, 26, 34]
EXIT_SILENT = 13


def estimates(company: Company) -> list[Estimate]:
    """Every planted effect of the customer surveys."""
    surveys = Surveys(company)
    makers = (
        response,
        nps,
        drivers,
        satisfaction,
        personal,
        forms,
        kano,
        needs,
        contact,
        price,
        intent,
        leavers,
    )
    return [estimate for maker in makers for estimate in maker(surveys)]


def clustered(outcome, columns: pd.DataFrame, group, family=None):
    """Least squares (or a logit) with errors that allow for several answers of one person."""
    model = sm.add_constant(columns.astype(float))
    codes = pd.factorize(np.asarray(group))[0]
    given = {"cov_type": "cluster", "cov_kwds": {"groups": codes}}
    if family is None:
        return sm.OLS(np.asarray(outcome, float), model).fit(**given)
    return sm.GLM(np.asarray(outcome, float), model, family=family).fit(**given)


def response(surveys: Surveys) -> list[Estimate]:
    """Who answers: logit in age and in a complaint made."""
    frame = surveys.frame[surveys.frame["decades"].notna()]
    columns = frame[["decades", "complained"]].join(pd.get_dummies(frame["wave"], drop_first=True))
    fit = clustered(frame["answered"], columns, frame["respondent_id"], sm.families.Binomial())
    names = {"decades": "surveys.response.age_per_decade", "complained": "surveys.response.complained"}
    return [
        Estimate.from_error(name, fit.params[column], fit.bse[column], method="logit of everybody invited")
        for column, name in names.items()
    ]


def nps(surveys: Surveys) -> list[Estimate]:
    """NPS of each wave, raked to the frame and raw."""
    found = []
    frame = surveys.frame
    points = 100.0 * ((frame["nps"] >= 9).astype(float) - (frame["nps"] <= 6)).where(frame["nps"].notna())
    for wave in WAVES:
        score = points.where(frame["wave"] == wave)
        value, error = surveys.weighted_mean(score)
        error *= surveys.sampled(score)
        name = f"surveys.nps.{wave}"
        found.append(Estimate.from_error(name, value, error, method="raked to age and complaints"))
        raw, spread = score.mean(), score.sem() * surveys.sampled(score)
        found.append(Estimate.from_error(name, raw, spread, kind="trap", method="raw answers"))
    return found


def drivers(surveys: Surveys) -> list[Estimate]:
    """What goes with lapsing and with satisfaction: slopes on the four items."""
    frame = surveys.frame
    found = []
    gone = lapsed(surveys)
    some = frame[frame["answered"] & gone.notna()]
    fit = clustered(gone[some.index], some[list(DRIVERS)], some["respondent_id"])
    shrink = np.sqrt(1 - len(some) / gone.notna().sum())
    for item, name in DRIVERS.items():
        found.append(
            Estimate.from_error(
                f"surveys.churn_driver.{name}",
                fit.params[item],
                fit.bse[item] * shrink,
                method="least squares of no order in 26 weeks",
            )
        )
    contrast = np.array([0, 0.5, 0.5, -0.5, -0.5])
    error = np.sqrt(contrast @ fit.cov_params().to_numpy() @ contrast) * shrink
    top = contrast @ fit.params.to_numpy()
    found.append(Estimate.from_error("surveys.churn_driver.top_two", top, error, method="contrast of slopes"))
    some = frame[frame["answered"]]
    fit = clustered(some["csat"], some[list(DRIVERS)], some["respondent_id"])
    shrink = np.sqrt(1 - len(some) / len(frame))
    found += [
        Estimate.from_error(
            f"surveys.csat_driver.{name}", fit.params[item], fit.bse[item] * shrink, method="least squares"
        )
        for item, name in DRIVERS.items()
    ]
    return found


def lapsed(surveys: Surveys) -> pd.Series:
    """1 where no order came in the half-year after the wave closed, missing where it is not over."""
    frame, orders = surveys.frame, surveys.orders
    gone = pd.Series(np.nan, frame.index)
    for wave, start in WAVES.items():
        begin = start + FIELD_WEEKS
        if begin + FRAME_WEEKS <= 104:
            after = orders.loc[orders["week"].between(begin, begin + FRAME_WEEKS), "customer_id"]
            rows = frame.index[frame["wave"] == wave]
            gone[rows] = (~frame.loc[rows, "respondent_id"].isin(after.unique())).astype(float)
    return gone


def satisfaction(surveys: Surveys) -> list[Estimate]:
    """csat by channel of the last order, by gender, and of the same people from wave to wave."""
    frame = surveys.frame[surveys.frame["answered"]]
    channels = pd.get_dummies(frame["last_channel"])[["store", "phone", "app"]]
    fit = clustered(frame["csat"], channels, frame["respondent_id"])
    shrink = np.sqrt(1 - len(frame) / len(surveys.frame))
    method = "means by last channel"
    found = [
        Estimate.from_error(f"surveys.csat.{name}", fit.params[name], fit.bse[name] * shrink, method=method)
        for name in ("store", "phone")
    ]
    gender = surveys.customers["gender"].astype(object).reindex(frame["respondent_id"]).to_numpy()
    two = np.isin(gender, ["f", "m"])
    columns = pd.DataFrame({"female": gender[two] == "f"}, index=frame.index[two])
    fit = clustered(frame.loc[two, "csat"], columns, frame.loc[two, "respondent_id"])
    name = "surveys.csat.gender"
    found.append(
        Estimate.from_error(name, fit.params["female"], fit.bse["female"], kind="null", method="two means")
    )
    table = frame.pivot(index="respondent_id", columns="wave", values="csat")
    changes = [table[late] - table[early] for early, late in (("2024H1", "2024H2"), ("2024H2", "2025H1"))]
    change = pd.concat(changes).dropna()
    fit = clustered(change, pd.DataFrame(index=change.index), change.index)
    found.append(
        Estimate.from_error(
            "surveys.csat.wave_change",
            fit.params.iloc[0],
            fit.bse.iloc[0],
            kind="null",
            method="paired differences",
        )
    )
    return found


def personal(surveys: Surveys) -> list[Estimate]:
    """EXP-PERS: csat of the two arms in the wave after the messages."""
    arm = trial_arm(surveys, "EXP-PERS")
    frame = surveys.frame[surveys.frame["answered"] & (surveys.frame["wave"] == "2025H2")]
    got = frame["respondent_id"].map(arm)
    one, two = (frame.loc[got == name, "csat"] for name in ("personal", "generic"))
    error = np.hypot(one.sem(), two.sem())
    return [Estimate.from_error("exp_pers.csat", one.mean() - two.mean(), error, method="two means")]


def trial_arm(surveys: Surveys, name: str) -> pd.Series:
    """Arm of each customer in an experiment, as the contacts keep it."""
    tables = surveys.company.tables
    campaigns = tables["campaigns"]
    trial = campaigns.loc[campaigns["experiment_id"] == name, "campaign_id"]
    sent = tables["contacts"][tables["contacts"]["campaign_id"].isin(trial)]
    sent = sent.astype({"customer_id": "str", "arm": object}).drop_duplicates("customer_id")
    return sent.set_index("customer_id")["arm"]


def forms(surveys: Surveys) -> list[Estimate]:
    """SERVQUAL gaps, effort at the worst touchpoint, shares of the needs survey: raked means."""
    frame = surveys.frame
    found = []
    for name in ("tangibles", "reliability", "responsiveness", "assurance", "empathy"):
        sides = {side: frame[[f"{name}_{number}_{side}" for number in (1, 2)]].mean(axis=1) for side in "ep"}
        mean, error = surveys.weighted_mean(sides["p"] - sides["e"])
        kind = "unprovable" if name == "tangibles" else "effect"
        found.append(
            Estimate.from_error(
                f"surveys.servqual.{name}", mean, error, kind=kind, method="raked mean of gaps"
            )
        )
    gap = frame["ces_returns"] - frame["ces_helpline"]
    found.append(Estimate.from_error("surveys.ces.worst", *surveys.weighted_mean(gap), method="raked mean"))
    warranty = frame["longer_warranty"]
    mean, error = surveys.weighted_mean(warranty)
    name = "surveys.needs.longer_warranty"
    found.append(Estimate.from_error(name, mean, error, method="raked mean"))
    found.append(
        Estimate.from_error(name, warranty.mean(), warranty.sem(), kind="trap", method="raw answers")
    )
    for topic in ("quality", "delivery", "navigation", "payment", "service"):
        mean, error = surveys.weighted_mean(frame[f"problem_{topic}"])
        found.append(Estimate.from_error(f"surveys.problem.{topic}", mean, error, method="raked mean"))
    return [*found, iceberg(surveys)]


def iceberg(surveys: Surveys) -> Estimate:
    """Customers with delivery trouble for each one who complained about it."""
    frame, start = surveys.frame, WAVES["2025H2"]
    told = surveys.complaints.query("topic == 'delivery'")
    told = told[told["week"].between(start - FRAME_WEEKS, start, inclusive="left")]
    spoke = frame.loc[frame["wave"] == "2025H2", "respondent_id"].isin(told["customer_id"]).mean()
    mean, error = surveys.weighted_mean(frame["problem_delivery"])
    return Estimate.from_error(
        "surveys.iceberg.delivery", mean / spoke, error / spoke, null=1.0, method="raked share to tickets"
    )


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
