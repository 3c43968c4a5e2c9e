"""The classic methods for intermittent demand, one series per row: what every other forecast must beat.

All give the expected demand of one period from the whole history; NaN periods are skipped.

References
----------
.. [1] Croston (1972), Forecasting and stock control for intermittent demands, Oper. Res. Q. 23(3), 289-303.
.. [2] Syntetos & Boylan (2005), The accuracy of intermittent demand estimates, Int. J. Forecasting 21,
   303-314.
.. [3] Teunter, Syntetos & Babai (2011), Intermittent demand: linking forecasting to inventory obsolescence,
   Eur. J. Oper. Res. 214, 606-615.
.. [4] Petropoulos & Kourentzes (2015), Forecast combinations for intermittent demand, J. Oper. Res. Soc. 66,
   914-924 (IMAPA).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.intermittency import demand_intervals

FloatArray = NDArray[np.float64]
SMOOTHING = 0.1
MOST_AGGREGATION = 24


def mean_demand(demand: ArrayLike) -> FloatArray:
    """Mean of all known periods.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]

    Returns
    -------
    ndarray, shape (n,)
        0 where nothing is known. [pieces per period]
    """
    values, known = read_demand("mean_demand", demand)
    return np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def ses(demand: ArrayLike, alpha: float = SMOOTHING) -> FloatArray:
    """Smooth exponentially, started with the first known period.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha : float
        Weight of the newest period, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]

    Examples
    --------
    >>> ses([[2.0, 4.0]], alpha=0.5).tolist()
    [3.0]
    """
    _check_weight("ses", "alpha", alpha)
    values, known = read_demand("ses", demand)
    level = np.full(len(values), np.nan)
    for t in range(values.shape[1]):
        y, seen = values[:, t], known[:, t]
        moved = np.where(np.isnan(level), y, level + alpha * (y - level))
        level = np.where(seen, moved, level)
    return np.nan_to_num(level)


def croston(demand: ArrayLike, alpha: float = SMOOTHING) -> FloatArray:
    """Croston's size over interval [1]_: both smoothed when there is a demand, started with the first one.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha : float
        Weight of the newest demand, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        0 where there never was a demand. [pieces per period]

    Examples
    --------
    Six pieces every third period:

    >>> croston([[0, 0, 6.0, 0, 0, 6.0]]).tolist()
    [2.0]
    """
    _check_weight("croston", "alpha", alpha)
    values, known = read_demand("croston", demand)
    size, interval = (np.full(len(values), np.nan) for _ in range(2))
    waited = np.ones(len(values))
    for t in range(values.shape[1]):
        y, seen = values[:, t], known[:, t]
        hit = seen & (y > 0)
        first = hit & np.isnan(size)
        size = np.where(first, y, np.where(hit, size + alpha * (y - size), size))
        interval = np.where(first, waited, np.where(hit, interval + alpha * (waited - interval), interval))
        waited = np.where(hit, 1.0, waited + seen)
    never = np.isnan(size)
    return np.where(never, 0.0, size / np.where(never, 1.0, interval))


def sba(demand: ArrayLike, alpha: float = SMOOTHING) -> FloatArray:
    """Croston's forecast without its bias, times 1 - alpha / 2 [2]_.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha : float
        Weight of the newest demand, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]
    """
    return (1 - alpha / 2) * croston(demand, alpha)


def tsb(demand: ArrayLike, alpha: float = SMOOTHING, beta: float = SMOOTHING) -> FloatArray:
    """Chance times size, the chance smoothed in every period [3]_: parts that die are forgotten.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha, beta : float
        Weight of the newest demand in the size, of the newest period in the chance, above 0 up to 1. The
        chance starts with the share of periods with demand among the first twelve known.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]
    """
    _check_weight("tsb", "alpha", alpha)
    _check_weight("tsb", "beta", beta)
    values, known = read_demand("tsb", demand)
    early = known & (np.cumsum(known, axis=1) <= 12)
    chance = ((values > 0) & early).sum(axis=1) / np.maximum(early.sum(axis=1), 1)
    size = np.full(len(values), np.nan)
    for t in range(values.shape[1]):
        y, seen = values[:, t], known[:, t]
        hit = seen & (y > 0)
        size = np.where(hit & np.isnan(size), y, np.where(hit, size + alpha * (y - size), size))
        chance = np.where(seen, chance + beta * (hit - chance), chance)
    return chance * np.nan_to_num(size)


def imapa(demand: ArrayLike, alpha: float = SMOOTHING) -> FloatArray:
    """Mean of smoothed forecasts over blocks of 1, 2, ... periods, up to the mean interval of demand [4]_.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; blocks with an unknown period are skipped. [pieces]
    alpha : float
        Weight of the newest block, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]
    """
    values, known = read_demand("imapa", demand)
    filled = np.where(known, values, 0.0)
    adi = demand_intervals(known.sum(axis=1), (filled > 0).sum(axis=1))
    longest = np.clip(
        np.where(np.isfinite(adi), np.round(np.where(np.isfinite(adi), adi, 1.0)), 1.0),
        1,
        min(MOST_AGGREGATION, max(values.shape[1], 1)),
    ).astype(int)
    total = np.zeros(len(values))
    for width in range(1, int(longest.max(initial=1)) + 1):
        rows = np.flatnonzero(longest >= width)
        blocks = values.shape[1] // width
        tail = slice(values.shape[1] - blocks * width, None)
        shape = (len(rows), blocks, width)
        sums = filled[rows, tail].reshape(shape).sum(axis=2)
        some = known[rows, tail].reshape(shape).all(axis=2)
        total[rows] += ses(np.where(some, sums, np.nan), alpha) / width
    return total / longest


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


def _check_weight(function: str, argument: str, weight: float) -> None:
    if not 0 < weight <= 1:
        raise problem_in_argument(function, argument, weight, "is no weight", "give more than 0, at most 1")
