"""Effects of the experiments and price events on ordering, from contacts and orders."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recovery.estimate import Company, Estimate
from recovery.order_panel import CALIBRATION, END, Fit, Panel, differences, dummies, log_ratios

USUAL = "2"
# Cells of reason by action are small: L20.1 of the curriculum shrinks them towards each other. These two
# stand out all the same.
CLEAR = [("service_call", "quality"), ("coupon20", "price")]
ARMS = ["0", "1", "2", "4", "8"]


def estimates(company: Company) -> list[Estimate]:
    """All of them."""
    panel = Panel.of(company)
    parts = frequency, join, tier, points, promo, win_back, comp_price, own_price
    return [found for part in parts for found in part(panel)]


def ratio(name: str, fit: Fit, coefficient: str, **other) -> Estimate:
    """Estimate of exp(coefficient)."""
    value, error = fit.of(**{coefficient: 1})
    return Estimate(name, *np.exp([value, value - 1.96 * error, value + 1.96 * error]), null=1.0, **other)


# EXP-FREQ ---------------------------------------------------------------------------------------------


def frequency(panel: Panel) -> list[Estimate]:
    """Orders by number of messages, and the best number, with BG/NBD expectations as covariate."""
    arm, end = panel.arms("EXP-FREQ"), CALIBRATION + 24
    who = arm.index.to_numpy()
    orders, expected = panel.count(CALIBRATION, end)[who], panel.forecast(CALIBRATION, 24)[who]
    engaged = panel.truth["engaged"].to_numpy()[who]
    found, best = [], {}
    for name, rows in (("engaged", engaged), ("other", ~engaged), ("all", engaged | True)):
        fit = log_ratios(orders[rows], dummies(arm[rows], USUAL), expected[rows])
        for n in ("0", "8"):
            text = "regression of counts given the forecast"
            # By design eight messages serve the engaged nearly as well as two, and none the others.
            kind = "unprovable" if (name, n) in (("engaged", "8"), ("other", "0")) else "effect"
            found.append(ratio(f"exp_freq.{name}.orders_{n}", fit, n, kind=kind, method=text))
        best[name] = best_number(fit)
        text = "curve with saturation and fatigue, weak prior on the saturation"
        kind = "unprovable" if name == "other" else "effect"  # that the others want any message at all
        found.append(Estimate(f"exp_freq.{name}.optimum", *middle(best[name]), kind=kind, method=text))
    gap = best["engaged"] - best["other"]
    found.append(Estimate("exp_freq.optimum_gap", *middle(gap), method="the same curves"))
    rows = panel.contacts("EXP-FREQ").query("arm == '8' and cycle == 1")
    share = rows["unsubscribed"].astype(float).mean()
    error = np.sqrt(share * (1 - share) / len(rows))
    found.append(Estimate.from_error("exp_freq.unsubscribe_8", share, error, method="share, first cycle"))
    return found


def best_number(fit: Fit, draws: int = 400) -> np.ndarray:
    """Number of messages with most orders, among those tried: the estimate, then draws of its distribution.

    At a given saturation s the curve A (1 + B (1 - e^(-n/s)) - F n) is linear in A, AB and AF. The
    saturation is chosen by fit, with a lognormal prior around 1.5 messages.
    """
    names = [name for name in ARMS if name != USUAL]
    rng = np.random.default_rng(1)
    spread = fit.covariance.loc[names, names].to_numpy()
    logs = rng.multivariate_normal(fit.value[names], spread, size=draws)
    levels = np.exp(np.vstack([fit.value[names], logs]))
    centre = np.append(levels[0], 1.0)
    observed = np.column_stack([levels, np.ones(len(levels))])
    n = np.array([float(name) for name in [*names, USUAL]])
    # Errors of the four ratios; the usual arm is the measure of all and has a tiny error of its own.
    errors = np.zeros((5, 5))
    errors[:4, :4] = spread * np.outer(centre[:4], centre[:4])
    whiten = np.linalg.inv(np.linalg.cholesky(errors + 1e-6 * np.eye(5)))
    grid, fitted = np.arange(0, 8.01, 0.05), []
    for saturation in 1.5 * np.exp(np.linspace(-0.75, 0.75, 13)):
        design = whiten @ np.column_stack([np.ones(5), -np.expm1(-n / saturation), -n])
        solve = np.linalg.pinv(design)
        targets = whiten @ observed.T
        weights = solve @ targets
        misfit = ((targets - design @ weights) ** 2).sum(axis=0) + (np.log(saturation / 1.5) / 0.25) ** 2
        curve = np.column_stack([-np.expm1(-grid / saturation), -grid]) @ weights[1:]
        fitted.append((misfit, grid[curve.argmax(axis=0)]))
    misfits, places = (np.array(part) for part in zip(*fitted, strict=True))
    return places[misfits.argmin(axis=0), np.arange(len(levels))]


def middle(draws: np.ndarray) -> tuple[float, float, float]:
    """Estimate, and the 95 % interval of its draws."""
    return float(draws[0]), *map(float, np.quantile(draws[1:], [0.025, 0.975]))


# EXP-JOIN, TIER, EXP-POINTS ----------------------------------------------------------------------------


def join(panel: Panel) -> list[Estimate]:
    """Effect of the invitation, and of joining on those who join when asked (Wald)."""
    rows = panel.contacts("EXP-JOIN").drop_duplicates("customer").set_index("customer")
    who, invited = rows.index.to_numpy(), (rows["arm"] == "invited").to_numpy()
    joined = rows["n_clicked"].to_numpy() > 0
    fit = differences(
        panel.count(CALIBRATION, END)[who],
        dummies(rows["arm"], "not_invited"),
        panel.forecast(CALIBRATION, END - CALIBRATION)[who],
    )
    value, error = fit.of(invited=1)
    share = joined[invited].mean()
    spread = np.sqrt(share * (1 - share) / invited.sum())
    method = "least squares given the forecast"
    return [
        Estimate.from_error("exp_join.invited", value, error, method=method),
        Estimate.from_error(
            "exp_join.compliers", value / share, error / share, method="invitation / take-up"
        ),
        Estimate.from_error("exp_join.take_up", share, spread, method="share of the invited"),
    ]


def tier(panel: Panel, width: float = 1000.0) -> list[Estimate]:
    """Jump of the orders of 26 weeks at a spend of CNY 1,000 in the year before; local linear."""
    year = panel.orders[(panel.orders["week"] >= CALIBRATION - 52) & (panel.orders["week"] < CALIBRATION)]
    spent = np.bincount(year["customer"], year["amount"], len(panel.customers))
    away = np.round(spent, 2) - 1000
    who = (panel.customers["panel"] == "test").to_numpy() & (np.abs(away) < width)
    who &= panel.joined < CALIBRATION
    above = (away[who] >= 0).astype(float)
    columns = pd.DataFrame({"jump": above, "slope": away[who], "bend": away[who] * above})
    fit = differences(
        panel.count(CALIBRATION, END)[who],
        columns,
        panel.forecast(CALIBRATION, END - CALIBRATION)[who],
        1 - np.abs(away[who]) / width,
    )
    method = f"regression discontinuity, CNY {width:.0f} to both sides, given the forecast"
    return [Estimate.from_error("tier.jump", *fit.of(jump=1), method=method)]


def points(panel: Panel) -> list[Estimate]:
    """Orders of members with double points to those with single, weeks 99-104."""
    arm, start = panel.arms("EXP-POINTS"), 98
    who = arm.index.to_numpy()
    columns, expected = dummies(arm, "single"), panel.forecast(start, END - start)[who]
    fit = log_ratios(panel.count(start, END)[who], columns, expected)
    return [ratio("exp_points.orders", fit, "double", method="regression of counts given the forecast")]


# EXP-PROMO ---------------------------------------------------------------------------------------------


def promo(panel: Panel) -> list[Estimate]:
    """Orders in the week of the offer, in the dip, and both together."""
    arm, start = panel.arms("EXP-PROMO"), 94
    who = arm.index.to_numpy()
    expected = panel.forecast(start, 5)[who]
    week, dip = panel.count(start, start + 1)[who], panel.count(start + 1, start + 5)[who]
    columns = dummies(arm, "none")
    fits = {"week": log_ratios(week, columns, expected), "dip": log_ratios(dip, columns, expected)}
    net = differences(100 * (week + dip), columns, expected)
    found = []
    for name in ("discount", "threshold", "gift"):
        for part, fit in fits.items():
            kind = "unprovable" if (name, part) == ("gift", "dip") else "effect"
            text = "regression of counts given the forecast"
            found.append(ratio(f"exp_promo.{name}.{part}", fit, name, kind=kind, method=text))
        # L14.3: the peak and the dip can be proved, what is left over in the end cannot.
        text = "least squares given the forecast"
        value = net.of(**{name: 1})
        found.append(Estimate.from_error(f"exp_promo.{name}.net", *value, kind="unprovable", method=text))
    upper = worth(panel, start)[who]
    upper = upper >= np.median(upper)
    for half, rows in (("upper", upper), ("lower", ~upper)):
        fit = log_ratios(week[rows], dummies(arm[rows], "none"), expected[rows])
        kind = "effect" if half == "upper" else "unprovable"
        found.append(ratio(f"exp_promo.gift.{half}", fit, "gift", kind=kind, method=f"{half} half of value"))
    return [*found, top_up(panel, arm, start)]


def worth(panel: Panel, at: float) -> np.ndarray:
    """Spend expected of each customer after a time."""
    from custkit import clv

    table = panel.summary(at)
    spend = clv.fit_gamma_gamma(panel.summary(CALIBRATION))
    money = panel.model.predict_purchases(table, 26) * spend.predict_spend(table)
    return money.reindex(panel.customers.index).to_numpy()


def top_up(panel: Panel, arm: pd.Series, start: float) -> Estimate:
    """Orders in excess just over CNY 200 in the threshold arm, as a share of those usually at 140 to 200."""
    orders = panel.orders[(panel.orders["week"] >= start) & (panel.orders["week"] < start + 1)]
    own = orders[orders["customer"].map(arm) == "threshold"]["amount"]
    rest = panel.orders[panel.orders["week"] < start]["amount"]
    under, over = (((rest >= low) & (rest < high)).mean() for low, high in ((140, 200), (200, 212)))
    seen = int(((own >= 200) & (own < 212)).sum())
    value = (seen / len(own) - over) / under
    error = np.sqrt(max(seen, 1)) / len(own) / under
    return Estimate.from_error("exp_promo.top_up", value, error, method="excess of orders at CNY 200 to 212")


# EXP-WINBACK -------------------------------------------------------------------------------------------


def win_back(panel: Panel) -> list[Estimate]:
    """Customers who order within eight weeks, against no message; all, and by true reason."""
    arm, start = panel.arms("EXP-WINBACK"), 91
    who = arm.index.to_numpy()
    back = panel.count(start, start + 8)[who] > 0
    expected = -np.expm1(-panel.forecast(start, 8)[who])
    reason = panel.truth["churn_reason"].astype(object).to_numpy()[who]
    fit = differences(back, dummies(arm, "none"), expected)
    method = "difference in return, given the forecast"
    found = [
        Estimate.from_error(
            f"exp_winback.{name}",
            *fit.of(**{name: 1}),
            kind="effect",
            method=method,
        )
        for name in ("reminder", "coupon10", "coupon20", "service_call")
    ]
    for name in ("quality", "price", "needs", "service"):
        rows = reason == name
        fit = differences(back[rows], dummies(arm[rows], "none"), expected[rows])
        for action in ("reminder", "coupon10", "coupon20", "service_call"):
            found.append(
                Estimate.from_error(
                    f"exp_winback.{action}.{name}",
                    *fit.of(**{action: 1}),
                    kind="effect" if (action, name) in CLEAR else "unprovable",
                    method=f"{method}; true reason",
                )
            )
        if name in ("quality", "price"):
            best, other = ("service_call", "coupon20") if name == "quality" else ("coupon20", "service_call")
            value = fit.of(**{best: 1, other: -1})
            found.append(
                Estimate.from_error(f"exp_winback.{name}_gap", *value, method=f"{method}; true reason")
            )
    return found


# Price events ------------------------------------------------------------------------------------------


def comp_price(panel: Panel, start: float = 82, weeks: float = 6, again_in: float = 13) -> list[Estimate]:
    """Who orders again within 13 weeks after a repeat order in weeks 83-88: Southmere and other cities.

    Only the bau panel: reminders and invitations brought the test panel orders in these weeks.
    """
    orders = panel.orders
    following = orders.groupby("customer")["week"].shift(-1)
    inside = (orders["week"] >= start) & (orders["week"] < start + weeks)
    inside &= orders["week"] > panel.joined[orders["customer"]]
    first = orders[inside].assign(following=following[inside]).drop_duplicates("customer")
    who = first["customer"].to_numpy()
    city = panel.customers["city"].to_numpy()[who]
    fair = (city != "Westfield") & (panel.customers["panel"] == "bau").to_numpy()[who]
    first, who, city = first[fair], who[fair], city[fair]
    again = (first["following"] - first["week"] < again_in).to_numpy(float)
    expected = -np.expm1(-panel.forecast(start, again_in)[who])
    known = ~np.isnan(expected)
    sensitive = panel.truth["price"].to_numpy()[who] < -0.5
    columns = pd.DataFrame({"there": (city == "Southmere").astype(float)})
    found = []
    for name, rows, kind in (
        ("sensitive", known & sensitive, "effect"),
        ("other", known & ~sensitive, "null"),
        ("city", known, "unprovable"),  # the average hides what hit the sensitive third
    ):
        fit = differences(again[rows], columns[rows], expected[rows])
        method = "Southmere less other cities, given the forecast"
        value = fit.of(there=1)
        found.append(Estimate.from_error(f"comp_price.{name}.again", *value, kind=kind, method=method))
    return found


def own_price(panel: Panel, start: float = 88) -> list[Estimate]:
    """Log ratio of Westfield's orders to other cities', by the log of the price ratio."""
    rise = 1.20
    expected, orders = panel.forecast(start, END - start), panel.count(start, END)
    city = panel.customers["city"].to_numpy()
    known = ~np.isnan(expected) & (city != "Southmere")
    sensitive = panel.truth["price"].to_numpy() < -0.5
    columns = pd.DataFrame({"there": (city == "Westfield").astype(float)})
    found = []
    for name, who in (("sensitive", sensitive), ("other", ~sensitive), ("city", sensitive | True)):
        rows = known & who
        fit = log_ratios(orders[rows], columns[rows], expected[rows])
        value, error = fit.of(there=1 / np.log(rise))
        method = "regression of counts on the city, given the forecast"
        found.append(Estimate.from_error(f"own_price.{name}.elasticity", value, error, method=method))
    return found
