"""The season that all series of a panel share: how demand moves through the year beside its trend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spareplan.forecast.history_quantiles import largest_ratio

FloatArray = NDArray[np.float64]
# Periods of a year of months, four-week buckets and weeks.
MONTHS = (12,)
CYCLES = (12, 13, 52)
HARMONICS = 3
# Chance that a panel without a season is taken to have one, all cycles together.
FALSE_ALARM = 0.002
FEWEST_CYCLES = 2


def seasonal_index(demand: FloatArray, periods: int, cycles: tuple[int, ...] = CYCLES) -> FloatArray | None:
    """Find the season of a panel, if it has one beyond doubt.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first, NaN where unknown or not started. [pieces]
    periods : int
        How many periods to carry it on after the history.
    cycles : tuple of int
        Lengths of a year that are tried. [periods]

    Returns
    -------
    ndarray, shape (c + periods,), or None
        Index with mean 1 over a cycle.

    Notes
    -----
    The log of the panel's total (each part by the root of its pieces, single orders capped) is regressed on
    a trend that may bend once a cycle and on three harmonics [1]_. The season is kept where the F test leaves
    no doubt, and shrunk by 1 - 1/F [2]_.

    References
    ----------
    .. [1] Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, section 2.3.4.
    .. [2] James & Stein (1961), Proceedings of the Fourth Berkeley Symposium 1, 361-379.
    """
    total = _panel_totals(demand)
    best: tuple[float, FloatArray] | None = None
    for cycle in cycles:
        found = _fit_cycle(total, cycle, demand.shape[1] + periods)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return None if best is None or best[0] > FALSE_ALARM / len(cycles) else best[1]


def _panel_totals(demand: FloatArray) -> FloatArray:
    """Total of each period, parts weighed between one part one vote and one piece one vote."""
    known = np.isfinite(demand)
    pieces = np.where(known, demand, 0.0)
    count = np.count_nonzero(pieces > 0, axis=1)
    some = count > 0
    size = pieces[some].sum(axis=1) / count[some]
    ratio = pieces[some] / size[:, None]
    capped = np.minimum(ratio, largest_ratio(ratio.ravel(), np.sqrt(np.repeat(size, demand.shape[1]))))
    return np.asarray((capped * np.sqrt(size)[:, None]).sum(axis=0))


def _fit_cycle(total: FloatArray, cycle: int, length: int) -> tuple[float, FloatArray] | None:
    """P value of a season of that length, and the index."""
    c = len(total)
    waves = 2 * min(HARMONICS, (cycle - 1) // 2)
    bends = max(c // cycle - 1, 0)
    left = c - 2 - bends - waves
    if c < FEWEST_CYCLES * cycle or left < waves or (total <= 0).any():
        return None
    time = np.arange(c) / cycle
    trend = np.column_stack([np.ones(c), time, *[np.maximum(time - k - 1, 0.0) for k in range(bends)]])
    season = _harmonics(np.arange(c), cycle)
    log = np.log(total)
    both = np.column_stack([trend, season])
    weights = np.linalg.lstsq(both, log, rcond=None)[0]
    unexplained = float(((log - both @ weights) ** 2).sum())
    without = float(((log - trend @ np.linalg.lstsq(trend, log, rcond=None)[0]) ** 2).sum())
    if unexplained <= 1e-12 * max(without, 1e-12):
        return None
    ratio = (without - unexplained) / waves / (unexplained / left)
    shrunk = max(1 - 1 / max(ratio, 1e-12), 0.0) * weights[trend.shape[1] :]
    index = np.exp(_harmonics(np.arange(length), cycle) @ shrunk)
    level = np.exp(_harmonics(np.arange(cycle), cycle) @ shrunk).mean()
    return float(special.fdtrc(waves, left, ratio)), index / level


def _harmonics(period: NDArray[np.int64], cycle: int) -> FloatArray:
    angle = 2 * np.pi * np.outer(period, np.arange(1, min(HARMONICS, (cycle - 1) // 2) + 1)) / cycle
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
