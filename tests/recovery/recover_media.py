"""Response curves of the media: visits against spend, season taken out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from recovery.estimate import Company, Estimate

FLIGHTS_A_YEAR = 13


def estimates(company: Company) -> list[Estimate]:
    """Ceiling and scale of each paid channel.

    visits = ceiling (1 − exp(−spend / scale)) × season of the flight, which all channels share; fitted to the
    square roots of the visits, whose error does not hang on their number.
    """
    flights = company.tables["campaigns"].query("kind == 'media' and randomised and city.isna()")
    flights = flights[flights["campaign_id"].str.startswith("MED")]
    channel, names = pd.factorize(flights["channel"], sort=True)
    days = (flights["start_on"] - flights["start_on"].min()).dt.days.to_numpy()
    part = (days // 28) % FLIGHTS_A_YEAR
    spend, seen = flights["spend"].to_numpy(), np.sqrt(flights["visits"].to_numpy(float))

    def expected(theta: np.ndarray) -> np.ndarray:
        season = np.exp(np.append(theta[2 * len(names) :], 0.0))
        ceiling, scale = np.exp(theta[: len(names)]), np.exp(theta[len(names) : 2 * len(names)])
        reach = ceiling[channel] * (1 - np.exp(-spend / scale[channel]))
        return np.sqrt(reach * (season / season.mean())[part])

    start = np.r_[
        np.log([seen[channel == i].max() ** 2 for i in range(len(names))]),
        np.log([spend[channel == i].mean() for i in range(len(names))]),
        np.zeros(FLIGHTS_A_YEAR - 1),
    ]
    fit = least_squares(lambda theta: expected(theta) - seen, start, x_scale="jac")
    variance = 2 * fit.cost / (len(seen) - len(start)) * np.linalg.inv(fit.jac.T @ fit.jac)
    error = np.sqrt(np.diag(variance))
    found = []
    for place, name in enumerate([*(f"{one}.ceiling" for one in names), *(f"{one}.scale" for one in names)]):
        low, middle, high = np.exp(fit.x[place] + np.array([-1.96, 0, 1.96]) * error[place])
        method = "saturating curve with a shared season"
        found.append(Estimate(f"media.{name}", middle, low, high, method=method))
    return found
