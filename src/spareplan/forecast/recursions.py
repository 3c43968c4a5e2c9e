"""Recursions behind the classic methods: what each would have forecast after every period of the past.

Beside them the checks of arguments that all forecasts from a matrix of histories share.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]
Path = Iterator[FloatArray]
# Periods whose share with demand starts the chance of TSB.
EARLY = 12


def period_weights(function: str, known: Flags, half_life: ArrayLike | None) -> FloatArray:
    """Weights of the known periods; they add up to 1, or to 0 where nothing is known.

    Parameters
    ----------
    function : str
        Named in the error message.
    known : ndarray of bool, shape (n, c)
        Oldest period first.
    half_life : float, array-like, shape (n,), or None
        Infinity and None: all alike. [periods]

    Returns
    -------
    ndarray, shape (n, c)

    Raises
    ------
    DataError
        A half-life that is not above 0.
    """
    half = np.asarray(np.inf if half_life is None else half_life, dtype=float)
    if half.shape not in ((), known.shape[:1]) or not (half > 0).all():
        remedy = "give periods, once or per series, or None"
        raise problem_in_argument(function, "half_life", half_life, "is not above 0", remedy)
    age = np.arange(known.shape[1] - 1, -1, -1.0)
    # Counted from the latest known period, so that weights before a long silence do not vanish.
    latest = np.where(known, age, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    since = np.maximum(age - np.where(np.isfinite(latest), latest, 0.0), 0.0)
    weight = np.where(known, np.exp(-np.log(2) / half.reshape(-1, 1) * since), 0.0)
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1.0))


def read_demand(function: str, demand: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Check a matrix of series by periods; the numbers, and which of them are known."""
    values = np.asarray(demand, dtype=float)
    if values.ndim != 2:
        raise problem_in_argument(
            function,
            "demand",
            values.shape,
            "is no matrix of series by periods",
            "give shape (series, periods)",
        )
    if (values < 0).any() or np.isinf(values).any():
        raise problem_in_argument(
            function,
            "demand",
            "",
            "has negative or infinite numbers",
            "take returns off the demand before them",
        )
    return values, np.isfinite(values)


def read_levels(function: str, levels: ArrayLike) -> FloatArray:
    """Check quantile levels: numbers between 0 and 1."""
    marks = np.asarray(levels, dtype=float)
    if marks.ndim != 1 or not ((marks > 0) & (marks < 1)).all():
        remedy = "give levels such as (0.5, 0.9, 0.95)"
        raise problem_in_argument(function, "levels", levels, "are no numbers between 0 and 1", remedy)
    return marks


def read_ahead(function: str, periods: ArrayLike, count: int) -> FloatArray:
    """Check the number of periods to sum: whole, at least 1, one or one per series; shape (count,)."""
    ahead = np.asarray(periods, dtype=float)
    if ahead.shape not in ((), (count,)) or not ((ahead >= 1) & (ahead % 1 == 0)).all():
        remedy = "give the number of periods, or one per series"
        raise problem_in_argument(function, "periods", periods, "is no whole number from 1 up", remedy)
    return np.broadcast_to(ahead, (count,))


def read_weight(function: str, argument: str, weight: ArrayLike, count: int) -> FloatArray:
    """Check smoothing weights, above 0 up to 1, one or one per series; shape (count,)."""
    given = np.asarray(weight, dtype=float)
    if given.shape not in ((), (count,)) or not ((given > 0) & (given <= 1)).all():
        remedy = "give more than 0, at most 1, once or per series"
        raise problem_in_argument(function, argument, weight, "is no weight", remedy)
    return np.broadcast_to(given, (count,))


def forecasts_after(method: str, demand: ArrayLike, alpha: ArrayLike, beta: ArrayLike | None = None) -> Path:
    """Forecasts of the next period after each period.

    Parameters
    ----------
    method : str
        mean (weights that fall by alpha per period, adding up to 1), ses, croston, sba or tsb.
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha, beta : float or array-like, shape (n,)
        Weights; without `beta`, `alpha` serves twice.

    Returns
    -------
    iterator of c ndarray, each of shape (n,)
        NaN before a series has started. [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.
    """
    values, known = read_demand(method, demand)
    first = read_weight(method, "alpha", alpha, len(values))
    second = first if beta is None else read_weight(method, "beta", beta, len(values))
    return RECURSIONS[method](values, known, first, second)


def _mean_path(values: FloatArray, known: Flags, alpha: FloatArray, _: FloatArray) -> Path:
    total, weight = np.zeros(len(values)), np.zeros(len(values))
    for y, seen in zip(values.T, known.T):
        total = np.where(seen, (1 - alpha) * total + y, total)
        weight = np.where(seen, (1 - alpha) * weight + 1, weight)
        yield np.where(weight > 0, total / np.maximum(weight, 1.0), np.nan)


def _ses_path(values: FloatArray, known: Flags, alpha: FloatArray, _: FloatArray) -> Path:
    level = np.full(len(values), np.nan)
    for y, seen in zip(values.T, known.T):
        moved = np.where(np.isnan(level), y, level + alpha * (y - level))
        level = np.where(seen, moved, level)
        yield level


def _croston_path(values: FloatArray, known: Flags, alpha: FloatArray, beta: FloatArray) -> Path:
    size, interval = (np.full(len(values), np.nan) for _ in range(2))
    waited = np.ones(len(values))
    for y, seen in zip(values.T, known.T):
        hit = seen & (y > 0)
        first = hit & np.isnan(size)
        size = np.where(first, y, np.where(hit, size + alpha * (y - size), size))
        interval = np.where(first, waited, np.where(hit, interval + beta * (waited - interval), interval))
        waited = np.where(hit, 1.0, waited + seen)
        yield size / interval


def _sba_path(values: FloatArray, known: Flags, alpha: FloatArray, beta: FloatArray) -> Path:
    return ((1 - beta / 2) * rate for rate in _croston_path(values, known, alpha, beta))


def _tsb_path(values: FloatArray, known: Flags, alpha: FloatArray, beta: FloatArray) -> Path:
    early = known & (np.cumsum(known, axis=1) <= EARLY)
    chance = ((values > 0) & early).sum(axis=1) / np.maximum(early.sum(axis=1), 1)
    size = np.full(len(values), np.nan)
    for y, seen in zip(values.T, known.T):
        hit = seen & (y > 0)
        size = np.where(hit & np.isnan(size), y, np.where(hit, size + alpha * (y - size), size))
        chance = np.where(seen, chance + beta * (hit - chance), chance)
        yield chance * size


RECURSIONS = {
    "mean": _mean_path,
    "ses": _ses_path,
    "croston": _croston_path,
    "sba": _sba_path,
    "tsb": _tsb_path,
}
