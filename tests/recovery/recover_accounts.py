"""Effects planted in business accounts: how often they order, how they slip, how long contracts last."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, special

from recovery.estimate import Company, Estimate
from recovery.lead_panel import AS_OF, working_weeks


def estimates(company: Company) -> list[Estimate]:
    """Orders: NBD until eight weeks before the contract's end, slower after that; length of contracts."""
    tables = company.tables
    contracts = tables["vas_subscriptions"]
    contracts = contracts[contracts["service"].astype(object) == "BIZ"]
    who = pd.Series(np.arange(len(contracts)), index=contracts["customer_id"].astype(object))
    orders = tables["orders"]
    orders = orders[orders["customer_id"].astype(object).isin(who.index)]
    account = orders["customer_id"].astype(object).map(who).to_numpy(int)
    week = working_weeks(orders["ordered_at"])
    first = pd.Series(week).groupby(account).min().reindex(range(len(contracts))).to_numpy()
    ended = contracts["ended_on"].notna().to_numpy()
    end = np.where(ended, working_weeks(contracts["ended_on"]), working_weeks([AS_OF])[0])
    turn = np.maximum(end - 8, first)
    before, repeat = week <= turn[account], week > first[account]
    count = np.bincount(account[before & repeat], minlength=len(contracts))
    late = np.bincount(account[repeat & ~before & (week <= end[account])], minlength=len(contracts))
    exposure, slow = turn - first, end - turn
    return [*_nbd(count, exposure), _slip(count, exposure, late, slow, ended), *_survival(contracts)]


def _nbd(count: np.ndarray, exposure: np.ndarray) -> list[Estimate]:
    """Maximum likelihood of the NBD with unequal exposure; delta method on the logarithms."""
    use = exposure > 0
    x, t = count[use], exposure[use]

    def loss(theta: np.ndarray) -> float:
        r, alpha = np.exp(theta)
        terms = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + x * np.log(t)
        return -float((terms - (r + x) * np.log(alpha + t)).sum())

    fit = optimize.minimize(loss, np.log([1.0, 4.0]), method="Nelder-Mead")
    covariance = np.linalg.inv(_hessian(loss, fit.x))
    spread = {"r": [1, 0], "alpha": [0, 1], "mean": [1, -1]}
    found = []
    for name, weights in spread.items():
        middle, error = np.dot(weights, fit.x), np.sqrt(weights @ covariance @ np.array(weights))
        span = np.exp([middle, middle - 1.96 * error, middle + 1.96 * error])
        found.append(Estimate(f"accounts.rate.{name}", *map(float, span), method="NBD, maximum likelihood"))
    return found


def _hessian(loss, at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    size, moves = len(at), step * np.eye(len(at))
    return np.array(
        [
            [
                (loss(at + moves[i] + moves[j]) - loss(at + moves[i] - moves[j])
                 - loss(at - moves[i] + moves[j]) + loss(at - moves[i] - moves[j])) / (4 * step**2)
                for j in range(size)
            ]
            for i in range(size)
        ]
    )  # fmt: skip


def _slip(count, exposure, late, slow, ended) -> Estimate:
    """Rate in the last eight weeks of a contract over the rate before, each account its own stratum."""
    use = ended & (exposure > 0) & (slow > 0)
    a, b, t1, t0 = late[use], count[use], slow[use], exposure[use]
    total = t1 + t0
    top, bottom = (a * t0 / total).sum(), (b * t1 / total).sum()
    ratio = top / bottom
    variance = ((a + b) * t1 * t0 / total**2).sum() / (top * bottom)  # Greenland and Robins 1985
    span = np.exp(np.log(ratio) + 1.96 * np.sqrt(variance) * np.array([0, -1, 1]))
    return Estimate("accounts.slip", *map(float, span), null=1.0, method="Mantel–Haenszel rate ratio")


def _survival(contracts: pd.DataFrame) -> list[Estimate]:
    """Shifted-beta-geometric survival by maximum likelihood, in months."""
    ended = contracts["ended_on"].notna().to_numpy()
    last = contracts["ended_on"].fillna(AS_OF)
    months = ((last - contracts["started_on"]) / pd.Timedelta(days=365.25 / 12)).to_numpy()
    months = np.where(ended, np.maximum(np.round(months), 1), np.floor(months))

    def alive(theta: np.ndarray, t) -> np.ndarray:
        a, b = np.exp(theta)
        return np.exp(special.betaln(a, b + t) - special.betaln(a, b))

    def loss(theta: np.ndarray) -> float:
        left = np.where(ended, alive(theta, months - 1) - alive(theta, months), alive(theta, months))
        return -float(np.log(np.maximum(left, 1e-300)).sum())

    fit = optimize.minimize(loss, np.log([0.7, 8.0]), method="Nelder-Mead")
    covariance = np.linalg.inv(_hessian(loss, fit.x))
    found = []
    for t in (6, 12):
        share = float(alive(fit.x, t))
        slope = np.array(
            [(alive(fit.x + step, t) - alive(fit.x - step, t)) / 2e-4 for step in 1e-4 * np.eye(2)]
        )
        error = np.sqrt(slope @ covariance @ slope)
        found.append(Estimate.from_error(f"accounts.survival.{t}", share, error, method="sBG"))
    return found
