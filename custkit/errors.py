"""Errors and warnings of custkit: plain words, every fault at once, no traceback in a notebook."""

from __future__ import annotations

from collections.abc import Iterable


class CustkitError(Exception):
    """Base of all errors custkit raises on purpose.

    Parameters
    ----------
    faults : str or iterable of str
        What is wrong, one sentence each, naming file, column, row and remedy. All faults found are
        given at once, so that a reader repairs the input in one go.

    Attributes
    ----------
    faults : tuple of str
        The sentences.
    """

    def __init__(self, faults: str | Iterable[str]):
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("; ".join(self.faults))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return [f"{type(self).__name__}: {fault}" for fault in self.faults]


class DataError(CustkitError):
    """The data given cannot be used as they are."""


class ParameterError(CustkitError):
    """An option or argument is unknown, of the wrong type, or out of range."""


class ModelError(CustkitError):
    """A model declines: the data do not carry it, or the fit did not converge."""


class DataWarning(UserWarning):
    """Rows were set aside or merged: the message says how many and why."""
