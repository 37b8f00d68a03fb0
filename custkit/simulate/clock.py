"""The company's clock: time is a number of weeks since Monday 2024-01-01, 00:00, as a float."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clock:
    """Weeks, dates and hours of the simulated company.

    Attributes
    ----------
    start : datetime.date
        Monday of week 1.
    weeks, calibration_weeks : int
        Length of the record, and of its part before any experiment on order rates.
    gift_weeks : (int, int)
        First and last week of the gift season, in each year of 52 weeks.
    hour_quantiles : tuple of float
        Opening hours of the day's shopping, as evenly spaced quantiles.
    """

    start: dt.date
    weeks: int
    calibration_weeks: int
    gift_weeks: tuple[int, int]
    hour_quantiles: tuple[float, ...]

    @property
    def as_of(self) -> dt.date:
        """Last day of the record."""
        return self.start + dt.timedelta(days=7 * self.weeks - 1)

    def week_number(self, time):
        """Week 1, 2, … that holds a time."""
        return np.floor(np.asarray(time, dtype=float)).astype(int) + 1

    def in_gift_season(self, time):
        """Whether a time lies in the weeks before the turn of the year."""
        week = (self.week_number(time) - 1) % 52 + 1
        return (week >= self.gift_weeks[0]) & (week <= self.gift_weeks[1])

    def timestamps(self, time) -> np.ndarray:
        """Times as ``datetime64[s]``: the day is kept, the hour moved into the shopping day, order kept."""
        days = np.asarray(time, dtype=float) * 7
        day = np.floor(days)
        quantiles = np.linspace(0, 1, len(self.hour_quantiles))
        hours = np.interp(days - day, quantiles, self.hour_quantiles)
        seconds = np.floor(day * 86400 + hours * 3600)
        known = np.isfinite(seconds)
        moved = np.datetime64(self.start, "s") + np.where(known, seconds, 0).astype("timedelta64[s]")
        return np.where(known, moved, np.datetime64("NaT"))

    def dates(self, time) -> np.ndarray:
        """Times as ``datetime64[s]`` at midnight."""
        return self.timestamps(time).astype("datetime64[D]").astype("datetime64[s]")
