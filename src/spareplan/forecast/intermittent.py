"""The classic methods for intermittent demand, one series per row: what every other forecast must beat.

All give the expected demand of one period from the whole history; NaN periods are skipped. Weights may differ
by series; `best_weights` finds those that would have erred least. `compound_sums` turns means into quantiles.

References
----------
.. [1] Croston (1972), Forecasting and stock control for intermittent demands, Oper. Res. Q. 23(3), 289-303.
.. [2] Syntetos & Boylan (2005), The accuracy of intermittent demand estimates, Int. J. Forecasting 21,
   303-314.
.. [3] Teunter, Syntetos & Babai (2011), Intermittent demand: linking forecasting to inventory obsolescence,
   Eur. J. Oper. Res. 214, 606-615.
.. [4] Petropoulos & Kourentzes (2015), Forecast combinations for intermittent demand, J. Oper. Res. Soc. 66,
   914-924 (IMAPA).
.. [5] Nikolopoulos, Syntetos, Boylan, Petropoulos & Assimakopoulos (2011), An aggregate-disaggregate
   intermittent demand approach (ADIDA) to forecasting, J. Oper. Res. Soc. 62, 544-554.
.. [6] Kourentzes (2014), On intermittent demand model optimisation and selection, Int. J. Production
   Economics 156, 180-190.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.forecast.recursions import (
    RECURSIONS,
    Flags,
    forecasts_after,
    period_weights,
    read_demand,
    read_weight,
)
from spareplan.maths.intermittency import demand_intervals

FloatArray = NDArray[np.float64]
SMOOTHING = 0.1
# Series worked on at once, so that a core keeps them near.
ROWS = 4096
MOST_AGGREGATION = 24
# What the past chooses among, and how many periods of a typical series each one is joined by; found on
# origins before every month that is scored in the benchmarks.
WEIGHTS = (0.1, 0.15, 0.2, 0.25, 0.3)
HALF_LIVES = (3.0, 4.5, 6.0, 9.0, 12.0, 18.0, 24.0, 48.0, np.inf)
PANEL_PERIODS = 192.0


def mean_demand(demand: ArrayLike, half_life: ArrayLike | None = None) -> FloatArray:
    """Mean of all known periods.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    half_life : float or array-like, shape (n,), optional
        A period this much older than another counts half as much; None: all alike. [periods]

    Returns
    -------
    ndarray, shape (n,)
        0 where nothing is known. [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a half-life not above 0.
    """
    values, known = read_demand("mean_demand", demand)
    weight = period_weights("mean_demand", known, half_life)
    return (weight * np.where(known, values, 0.0)).sum(axis=1)


def ses(demand: ArrayLike, alpha: ArrayLike = SMOOTHING) -> FloatArray:
    """Smooth exponentially, started with the first known period.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha : float or array-like, shape (n,)
        Weight of the newest period, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.

    Examples
    --------
    >>> ses([[2.0, 4.0]], alpha=0.5).tolist()
    [3.0]
    """
    return _last("ses", demand, alpha)


def croston(demand: ArrayLike, alpha: ArrayLike = SMOOTHING) -> FloatArray:
    """Croston's size over interval [1]_: both smoothed when there is a demand, started with the first one.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha : float or array-like, shape (n,)
        Weight of the newest demand, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        0 where there never was a demand. [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.

    Examples
    --------
    Six pieces every third period:

    >>> croston([[0, 0, 6.0, 0, 0, 6.0]]).tolist()
    [2.0]
    """
    return _last("croston", demand, alpha)


def sba(demand: ArrayLike, alpha: ArrayLike = SMOOTHING) -> FloatArray:
    """Croston's forecast without its bias, times 1 - alpha / 2 [2]_.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha : float or array-like, shape (n,)
        Weight of the newest demand, above 0 up to 1.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.
    """
    return _last("sba", demand, alpha)


def tsb(demand: ArrayLike, alpha: ArrayLike = SMOOTHING, beta: ArrayLike = SMOOTHING) -> FloatArray:
    """Chance times size, the chance smoothed in every period [3]_: parts that die are forgotten.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    alpha, beta : float or array-like, shape (n,)
        Weight of the newest demand in the size, of the newest period in the chance, above 0 up to 1. The
        chance starts with the share of periods with demand among the first twelve known.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.
    """
    return _last("tsb", demand, alpha, beta)


def imapa(demand: ArrayLike, alpha: ArrayLike | None = None) -> FloatArray:
    """Mean of smoothed forecasts over blocks of 1, 2, ... periods, up to the mean interval of demand [4]_.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; blocks with an unknown period are skipped. [pieces]
    alpha : float or array-like, shape (n,), optional
        Weight of the newest block, above 0 up to 1; None: what would have erred least on the past blocks of
        the series, for each length of block.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.
    """
    values, known = read_demand("imapa", demand)
    weight = None if alpha is None else read_weight("imapa", "alpha", alpha, len(values))
    longest = _mean_interval(values, known)
    total = np.zeros(len(values))
    for width in range(1, int(longest.max(initial=1)) + 1):
        rows = np.flatnonzero(longest >= width)
        total[rows] += _by_blocks(values, weight, rows, width)
    return total / longest


def adida(demand: ArrayLike, alpha: ArrayLike | None = None) -> FloatArray:
    """Smooth sums over blocks as long as the mean interval of demand, shared out evenly [5]_.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; blocks with an unknown period are skipped. [pieces]
    alpha : float or array-like, shape (n,), optional
        Weight of the newest block, above 0 up to 1; None: what would have erred least on the past blocks of
        the series.

    Returns
    -------
    ndarray, shape (n,)
        [pieces per period]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, a weight outside 0 to 1.

    Examples
    --------
    Demand every second period, so blocks of two:

    >>> adida([[0, 4.0, 0, 4.0, 0, 2.0]], alpha=0.5).tolist()
    [1.5]
    """
    values, known = read_demand("adida", demand)
    weight = None if alpha is None else read_weight("adida", "alpha", alpha, len(values))
    width = _mean_interval(values, known)
    out = np.zeros(len(values))
    for length in np.unique(width):
        rows = np.flatnonzero(width == length)
        out[rows] = _by_blocks(values, weight, rows, int(length))
    return out


def best_weights(
    demand: ArrayLike,
    method: str = "ses",
    among: Sequence[float] = WEIGHTS,
    panel_periods: float = PANEL_PERIODS,
) -> FloatArray:
    """Find the smoothing weights whose forecasts of the next period erred least in the past.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    method : str
        ses, croston, sba or tsb (one weight for size and chance).
    among : sequence of float
        Weights to choose from, above 0 up to 1.
    panel_periods : float
        So many periods of a typical series are added to each one's own: 0 lets every series choose alone,
        infinity gives all of them the weight that suits the panel. [periods]

    Returns
    -------
    ndarray, shape (n,)
        To be passed as `alpha` (and `beta`).

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, an unknown method, weights outside 0 to 1, negative
        `panel_periods`.

    Notes
    -----
    Errors are squared: absolute ones favour the forecast of nothing [6]_. Each series' errors are taken
    relative to its mean square demand, so that heavy parts do not choose for all.
    """
    methods = [name for name in RECURSIONS if name != "mean"]
    if method not in methods:
        remedy = f"give one of {', '.join(methods)}"
        raise problem_in_argument("best_weights", "method", method, "is unknown", remedy)
    return _least_error("best_weights", demand, method, among, among, panel_periods)


def best_half_lives(
    demand: ArrayLike, among: Sequence[float] = HALF_LIVES, panel_periods: float = PANEL_PERIODS
) -> FloatArray:
    """Find how fast to forget so that `mean_demand` would have erred least on every next period of the past.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    among : sequence of float
        Half-lives to choose from; infinity forgets nothing. [periods]
    panel_periods : float
        As in `best_weights`. [periods]

    Returns
    -------
    ndarray, shape (n,)
        To be passed as `half_life` of `mean_demand` or `bootstrap.iid_sums`. [periods]

    Raises
    ------
    DataError
        Negative or infinite demand, no matrix, half-lives not above 0, negative `panel_periods`.

    Examples
    --------
    Demand that stepped up is forecast best by what is recent:

    >>> best_half_lives([[1.0] * 20 + [9.0] * 20], panel_periods=0).tolist()
    [3.0]
    """
    half = np.asarray(among, dtype=float)
    if not (half > 0).all():
        raise problem_in_argument("best_half_lives", "among", among, "are not above 0", "give periods")
    weights = np.maximum(1 - 0.5 ** (1 / half), np.finfo(float).eps)
    return _least_error("best_half_lives", demand, "mean", half, weights, panel_periods)


def _least_error(
    function: str,
    demand: ArrayLike,
    method: str,
    among: ArrayLike,
    weights: ArrayLike,
    panel_periods: float,
) -> FloatArray:
    """For every series the one `among` whose weight erred least, joined by so many periods of the panel."""
    choice, weight = np.asarray(among, dtype=float), np.asarray(weights, dtype=float)
    if choice.ndim != 1 or not choice.size:
        raise problem_in_argument(
            function, "among", among, "is no list of numbers", "give some to choose from"
        )
    if not panel_periods >= 0:
        raise problem_in_argument(function, "panel_periods", panel_periods, "is negative", "give 0 or more")
    values, known = read_demand(function, demand)
    scale = (np.where(known, values, 0.0) ** 2).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    error, met = np.zeros((len(values), len(choice))), np.zeros(len(values))
    for start in range(0, len(values), ROWS):
        rows = slice(start, start + ROWS)
        part, seen = np.ascontiguousarray(values[rows].T), np.ascontiguousarray(known[rows].T)
        for column in range(len(choice)):
            before = np.full(part.shape[1], np.nan)
            met[rows] = 0
            for y, here, after in zip(part, seen, forecasts_after(method, values[rows], weight[column])):
                judged = here & np.isfinite(before)
                error[rows, column] += np.where(judged, y - before, 0.0) ** 2
                met[rows] += judged
                before = after
    relative = error / np.where(scale > 0, scale, 1.0)[:, None]
    panel = relative.sum(axis=0) / max(met[scale > 0].sum(), 1.0)
    if np.isinf(panel_periods):
        return np.full(len(values), choice[np.argmin(panel)])
    return choice[np.argmin(relative + panel_periods * panel, axis=1)]


def _last(method: str, demand: ArrayLike, *weights: ArrayLike) -> FloatArray:
    """Forecast after the latest period; 0 where a series has not started."""
    latest = np.zeros(len(np.asarray(demand)))
    for after in forecasts_after(method, demand, *weights):
        latest = after
    return np.nan_to_num(latest)


def _mean_interval(values: FloatArray, known: Flags) -> NDArray[np.int64]:
    """Mean of Croston's intervals (which end with the latest demand), rounded; 1 without demand."""
    hit = known & (np.where(known, values, 0.0) > 0)
    before = np.where(hit, np.cumsum(known, axis=1), 0).max(axis=1, initial=0)
    adi = demand_intervals(before, hit.sum(axis=1))
    return np.clip(np.round(np.where(np.isfinite(adi), adi, 1.0)), 1, MOST_AGGREGATION).astype(np.int64)


def _by_blocks(
    values: FloatArray, weight: FloatArray | None, rows: NDArray[np.int64], width: int
) -> FloatArray:
    """Forecast of one period from sums over blocks that end with the latest; NaN blocks are skipped."""
    blocks = values.shape[1] // width
    tail = values[rows, values.shape[1] - blocks * width :]
    sums = tail.reshape(len(rows), blocks, width).sum(axis=2)
    return ses(sums, best_weights(sums, panel_periods=0) if weight is None else weight[rows]) / width
