"""Demands that look like one-off projects: far beyond what the series' others and the panel's tail allow.

They are flagged, never taken away: whether a project comes again, only the planner knows.

References
----------
.. [1] Davies & Gather (1993), The identification of multiple outliers, J. Amer. Statist. Assoc. 88, 782-792
   (an outlier lies where so many ordinary values hardly ever put one).
.. [2] Weissman (1978), Estimation of parameters and large quantiles based on the k largest observations,
   J. Amer. Statist. Assoc. 73, 812-815 (exponential excesses of log sizes).
.. [3] Efron & Morris (1975), Data analysis using Stein's estimator and its generalizations, J. Amer. Statist.
   Assoc. 70, 311-319.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# Chance that a series of ordinary demands has one flagged.
FALSE_ALARM = 0.01
# What is less than this many times the usual size is no project.
LEAST_FACTOR = 3.0
LEAST_DEMANDS = 3
# A project is over after some periods; what lasts longer is a new level.
LONGEST_PROJECT = 3
# Large demands that come again and again belong to the series.
MOST_EPISODES = 0.15
TAIL_SHARE = 0.05
# Weight of a normal law, in demands of the tail, where a panel has few; its start and mean excess.
TAIL_PRIOR, NORMAL_START, NORMAL_EXCESS = 10.0, 1.645, 0.5
# Weight of the panel's scale beside a series' own. [demands]
SCALE_PRIOR = 4.0
CAP = 2.5
# Spread of log sizes above their median in lumpy demand, and its weight where a panel has few. [demands]
LUMPY_SCALE, LUMPY_WEIGHT = 0.8, 5.0
LEAST_SCALE = 0.2
# Variance of a median over that of a mean, at the normal law.
MEDIAN_COST = np.pi / 2


class OneOffs(NamedTuple):
    """Demands that stand out.

    Parameters
    ----------
    row, column : ndarray of int, shape (k,)
        Series and period, sorted.
    pieces, usual : ndarray, shape (k,)
        What was demanded, and the median of the series' other demands. [pieces]
    chance : ndarray, shape (k,)
        Chance of so large a demand among as many ordinary ones as the series has.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    pieces: FloatArray
    usual: FloatArray
    chance: FloatArray


def find_one_offs(demand: FloatArray, false_alarm: float = FALSE_ALARM) -> OneOffs:
    """Find demands far beyond what their series and the panel make likely.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first, returns taken off; NaN where unknown or not started. [pieces]
    false_alarm : float
        Chance that a series without any is flagged.

    Returns
    -------
    OneOffs

    Notes
    -----
    The log of each demand is held against the median of the series' other demands, shrunk towards the panel,
    in units of their spread, shrunk likewise: r = (log y - m) / s. The largest twentieth of all r teaches how
    heavy the panel's tail is: its excesses are exponential, P(R > r) = 0.05 exp(-(r - u) / e), e from the
    median excess, which projects hardly move. A demand is flagged where k P(R > r) is below `false_alarm`, k
    the demands of its series (three at least), unless it is less than three times the usual size, one of
    many, or the start of a new level.
    """
    row, column = np.nonzero(demand > 0)
    if row.size == 0:
        nothing = np.empty(0)
        return OneOffs(row, column, nothing, nothing, nothing)
    pieces = demand[row, column]
    count = np.bincount(row, minlength=len(demand))[row]
    others, centre, scale = _expected_log_size(row, np.log(pieces), count)
    residual = (np.log(pieces) - centre) / scale
    # Bolts come by the hundred and pumps one by one: a lone demand tells nothing of what is usual.
    compared = count >= LEAST_DEMANDS
    chance = np.ones(len(row))
    chance[compared] = np.minimum(count[compared] * _tail_chance(residual[compared]), 1.0)
    usual = np.exp(others)
    stands_out = (chance < false_alarm) & (pieces >= LEAST_FACTOR * usual)
    keep = stands_out & _passing(row, column, stands_out, count, demand.shape)
    return OneOffs(row[keep], column[keep], pieces[keep], usual[keep], chance[keep])


def _expected_log_size(
    row: NDArray[np.int64], log_size: FloatArray, count: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Median of the other demands of its series; centre and spread of the log size of each, given those."""
    order = np.lexsort([log_size, row])
    place = np.empty(len(row), dtype=np.int64)
    place[order] = np.arange(len(row))
    begin = np.searchsorted(row, row)
    rank, value = place - begin, log_size[order]

    def at(index: NDArray[np.int64]) -> FloatArray:
        return np.asarray(value[np.minimum(begin + index, len(value) - 1)])

    own = (at((count - 1) // 2) + at(count // 2)) / 2
    low, high = (np.maximum(index, 0) for index in ((count - 2) // 2, (count - 1) // 2))
    others = (at(low + (low >= rank)) + at(high + (high >= rank))) / 2
    # Small demands say nothing about how far large ones reach: only what lies above the median counts.
    off, more = np.square(np.maximum(log_size - own, 0.0)), count > 1
    degrees = (np.bincount(row) - 1).clip(0).sum() / 2
    spread = _shared_spread(off, off.sum(), degrees)
    for _ in range(3):
        # Projects must not widen the scale that they are held against.
        capped = np.minimum(off, CAP**2 * spread)
        spread = _shared_spread(capped, capped.sum(), degrees)
    left = np.bincount(row, capped)[row] - capped
    own_weight = np.maximum(count - 2, 0) / 2
    variance = (SCALE_PRIOR * spread + left) / (SCALE_PRIOR + own_weight)
    first = np.flatnonzero(rank == 0)
    typical = float(np.median(own[first]))
    between = 1.4826 * float(np.median(np.abs(own[first] - typical)))
    prior = np.maximum(between**2, spread)
    known = np.where(more, (count - 1) / (MEDIAN_COST * variance), 0.0)
    centre = (np.where(more, others, 0.0) * known + typical / prior) / (known + 1 / prior)
    return others, centre, np.sqrt(variance + 1 / (known + 1 / prior))


def _shared_spread(off: FloatArray, total: float, degrees: float) -> FloatArray:
    """Spread of all demands but the one that is looked at."""
    known = total - off + LUMPY_WEIGHT * LUMPY_SCALE**2
    return np.maximum(known / (max(degrees - 0.5, 0.0) + LUMPY_WEIGHT), LEAST_SCALE**2)


def _tail_chance(residual: FloatArray) -> FloatArray:
    """Chance of a residual above each one; 1 below the tail."""
    start = float(np.quantile(residual, 1 - TAIL_SHARE)) if len(residual) else NORMAL_START
    tail = residual[residual > start] - start
    # Of a small panel the largest may be the project itself.
    weight = max(len(tail) - 1, 0) / (len(tail) + TAIL_PRIOR)
    excess = float(np.median(tail)) / np.log(2) if len(tail) else 0.0
    start = weight * start + (1 - weight) * NORMAL_START
    excess = weight * excess + (1 - weight) * NORMAL_EXCESS
    over = (residual - start) / max(excess, 1e-6)
    return np.where(over > 0, TAIL_SHARE * np.exp(-np.maximum(over, 0.0)), 1.0)


def _passing(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    stands_out: NDArray[np.bool_],
    count: NDArray[np.int64],
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Whether large demands come in few, short episodes."""
    # One empty column parts the series, so that no episode runs from one into the next.
    flag = np.zeros((shape[0], shape[1] + 1), dtype=bool)
    flag[row[stands_out], column[stands_out]] = True
    line = flag.ravel()
    begins = line & ~np.concatenate([[False], line[:-1]])
    episode = (np.cumsum(begins) - 1).reshape(flag.shape)
    length = np.bincount(episode[flag], minlength=1)
    episodes = begins.reshape(flag.shape).sum(axis=1)
    few = episodes[row] <= np.maximum(MOST_EPISODES * count, 1.0)
    short = length[np.maximum(episode[row, column], 0)] <= LONGEST_PROJECT
    return np.asarray(few & short)
