"""Count orders in time, batch by batch: plain Python that numba compiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=1)
def compiled_tally() -> Callable[..., Any]:
    """`tally` compiled by numba, cached on disk."""
    import numba

    return numba.njit(cache=True, nogil=True)(tally)


def tally(
    cut: np.ndarray,
    grade: np.ndarray,
    opened: np.ndarray,
    ready: np.ndarray,
    sent: np.ndarray,
    responded: np.ndarray,
    solved: np.ndarray,
    respond: np.ndarray,
    resolve: np.ndarray,
    on_shift: np.ndarray,
    start: float,
    end: float,
    days: int,
) -> np.ndarray:
    """Count orders of each class and those in time, batch by batch.

    Parameters
    ----------
    cut : ndarray of int, shape (B + 1,)
        Batch b holds the orders `cut[b]` to `cut[b + 1] - 1`.
    grade, opened, ready, sent, responded, solved : ndarray, shape (N,)
        Class; moments of the call, when the first visit could be made, when somebody set out, of response and
        solution. [hours]
    respond, resolve : ndarray, shape (K,)
        Limits; NaN: none. [hours]
    on_shift : ndarray of bool, shape (K,)
        Classes whose limits count hours of the shift only.
    start, end : float
        The shift. [hour of the day]
    days : int
        Days a week with a shift.

    Returns
    -------
    ndarray, shape (B, K, 5)
        Orders, answered in time, solved in time; hours waited, all together; orders that did not wait.
    """
    out = np.zeros((len(cut) - 1, len(respond), 5))
    length = end - start
    moment, passed = np.empty(4), np.empty(4)
    for b in range(len(cut) - 1):
        for i in range(cut[b], cut[b + 1]):
            k = grade[i]
            out[b, k, 0] += 1.0
            first, last = responded[i] - ready[i], solved[i] - opened[i]
            waited = sent[i] - ready[i]
            out[b, k, 3] += waited
            if waited <= 1e-9:
                out[b, k, 4] += 1.0
            if on_shift[k]:
                moment[0], moment[1], moment[2], moment[3] = ready[i], responded[i], opened[i], solved[i]
                for j in range(4):
                    day = np.floor(moment[j] / 24.0)
                    week = np.floor(day / 7.0)
                    weekday = day - 7.0 * week
                    passed[j] = length * (days * week + min(weekday, float(days)))
                    if weekday < days:
                        passed[j] += min(max(moment[j] - 24.0 * day - start, 0.0), length)
                first, last = passed[1] - passed[0], passed[3] - passed[2]
            if first <= respond[k]:
                out[b, k, 1] += 1.0
            if last <= resolve[k]:
                out[b, k, 2] += 1.0
    return out
