"""Distinct rows of a few columns of numbers, counted.

The likelihoods and predictions of custkit depend on a customer through two or three numbers; they are
computed once for each combination that occurs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

DENSE_CELLS = 2**23  # a count table of 32 MB: up to here counting beats hashing
CACHE_ROWS = 1 << 16


def distinct(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, Callable[[], np.ndarray]]:
    """Distinct rows of a few columns, how often each occurs, and which row is which.

    Parameters
    ----------
    *columns : array of shape (n,)
        Numbers; a missing one equals every other missing one.

    Returns
    -------
    values : list of arrays of shape (k,)
        The columns of the distinct rows.
    counts : array of shape (k,)
        Rows equal to each.
    inverse : callable
        Returns the array of shape (n,) that gives each row its place among the distinct ones
        (a fit does not need it, so it is only made when asked for).
    """
    columns = [np.asarray(column) for column in columns]
    counted = _count_whole(columns)
    if counted is not None:
        used, shape, values, counts = counted

        def inverse() -> np.ndarray:
            place = np.zeros(used[-1] + 1, dtype=np.intp)
            place[used] = np.arange(len(used))
            return place[_key(columns, shape)]

        return values, counts, inverse

    import pandas as pd

    values, codes = zip(*(levels(column) for column in columns), strict=True)
    shape = tuple(len(value) for value in values)
    where, used = pd.factorize(_key(codes, shape))
    cell = np.unravel_index(used, shape)
    return [value[i] for value, i in zip(values, cell, strict=True)], np.bincount(where), lambda: where


def _count_whole(columns):
    """Used cells of a table of all combinations, its shape, their columns and rows; None if not all is whole.

    How large the table must be is guessed from the first rows, with an eighth to spare: of ten million rows,
    one read less saves a sixth of the time. Should a later row lie outside, all are looked at.
    """
    for rows, spare in ((CACHE_ROWS, 1 / 8), (len(columns[0]), 0)):
        tops = [column[:rows].max() for column in columns]
        if not all(0 <= top < 2**20 for top in tops):
            return None
        lengths = [int(top * (1 + spare)) + 2 for top in tops[1:]]
        room = DENSE_CELLS // math.prod(lengths)
        if tops[0] < room:
            counted = _count_cells(columns, (room, *lengths))
            if counted is not None or len(columns[0]) <= rows:
                return counted
    return None


def _count_cells(columns, shape):
    """As `_count_whole`, with a table of a given shape.

    A row goes to the cell of its whole parts. The columns of the cells add up to what those of the rows do,
    signs left out, only if no row has a fraction or a sign: one look at each column, not five.
    """
    from scipy.linalg.blas import dasum

    rows, top = len(columns[0]), 0
    room = min(CACHE_ROWS, rows)
    counts = np.zeros(math.prod(shape), dtype=np.uint32 if rows < 2**32 else np.uint64)
    keys, wholes = np.empty((2, room), dtype=np.int32)
    cells, one, sums = np.empty(room, dtype=np.intp), counts.dtype.type(1), []
    with np.errstate(invalid="ignore"):  # no sum comes out right with infinite or missing numbers
        for low in range(0, rows, room):
            parts = [column[low : low + room] for column in columns]
            key, whole, cell = keys[: len(parts[0])], wholes[: len(parts[0])], cells[: len(parts[0])]
            sums.append([dasum(parts[0])])
            np.copyto(key, parts[0], casting="unsafe")
            for part, length in zip(parts[1:], shape[1:], strict=True):
                sums[-1].append(dasum(part))  # and what was read for it is at hand for the next line
                np.copyto(whole, part, casting="unsafe")
                if whole.max() >= length:
                    return None
                key *= length
                key += whole
            top = max(top, int(key.max()))
            if key.min() < 0 or top >= len(counts):
                return None
            cell[:] = key
            np.add.at(counts, cell, one)
    used = np.flatnonzero(counts[: top + 1] != 0)
    counts, places = counts[used].astype(np.intp), np.unravel_index(used, shape)
    whole_sums = [place @ counts for place in places]
    if [math.fsum(column) for column in zip(*sums, strict=True)] != whole_sums:
        return None
    return used, shape, [place.astype(float) for place in places], counts


def _key(codes, shape):
    key = codes[0].astype(np.int64)
    for code, size in zip(codes[1:], shape[1:], strict=True):
        key *= size
        key += code.astype(np.int64, copy=False)
    return key


def levels(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of a column and, for each row, the place of its value; whole numbers are their own place."""
    import pandas as pd

    column = np.asarray(column)
    if len(column) and column.min() >= 0 and (top := column.max()) < 2**20:
        whole = column.astype(np.intp)
        if np.array_equal(whole, column):
            return np.arange(int(top) + 1, dtype=float), whole
    place, value = pd.factorize(column, use_na_sentinel=False)
    return value.astype(float), place
