"""What a demand series is doing: new, steady, growing, dying, dead.

References
----------
.. [1] Fader, Hardie & Shang (2010), Customer-base analysis in a discrete-time noncontractual setting,
   Marketing Science 29, 1086-1108 (silence at the end of a record under beta-distributed rates).
.. [2] Kleinman (1973), Proportions with extraneous variance, J. Amer. Statist. Assoc. 68, 46-54.
.. [3] Pitman (1937), Significance tests which may be applied to samples from any populations, J. Royal
   Statist. Soc. Suppl. 4, 119-130 (permutation test behind the trend).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spareplan.forecast.one_offs import OneOffs, find_one_offs
from spareplan.forecast.panels import net_of_returns
from spareplan.maths.intermittency import demand_intervals, size_variation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
STATES = ("new", "starting", "steady", "growing", "dying", "dead", "never", "single")
# Series younger than this are new; those whose first demand is younger than a year are starting. [periods]
NEW_PERIODS, STARTING_PERIODS = 6, 12
# Chance of a silence as long as the present one, were the series still alive.
DEAD_CHANCE, DYING_CHANCE = 0.01, 0.05
# Shorter silences are no sign, however regular the demand was. [periods]
DEAD_SILENCE, DYING_SILENCE = 6, 3
# The latest periods are held against the ones before them.
RECENT_PERIODS, LEAST_PERIODS, LEAST_DEMANDS = 12, 12, 4
# Standard deviations and ratio that make a trend.
TREND_DEVIATIONS, TREND_RATIO = 2.58, 1.5
# What is assumed of how series differ, until the panel says more: share of the binomial variance, series.
PRIOR_SPREAD, PRIOR_SERIES = 1 / 3, 3.0


class SeriesLife(NamedTuple):
    """What each series of a panel is doing.

    Parameters
    ----------
    periods, unknown : ndarray of int, shape (n,)
        Known and unknown periods since the start. [periods]
    demands : ndarray of int, shape (n,)
        Periods with a demand.
    pieces : ndarray, shape (n,)
        Demand with returns taken off. [pieces]
    adi, cv2 : ndarray, shape (n,)
        Mean interval between demands [periods]; squared variation of their sizes.
    state : ndarray of str, shape (n,)
        One of STATES.
    since_last : ndarray, shape (n,)
        Periods since the latest demand; NaN where there was none. [periods]
    longest_gap : ndarray of int, shape (n,)
        Longest silence before that demand. [periods]
    gap_chance : ndarray, shape (n,)
        Chance of a silence as long as the present one at the rate before it; NaN where there was no demand.
    trend : ndarray, shape (n,)
        Demand per period lately relative to before; NaN where too little is known.
    one_offs : OneOffs
        Demands that stand out.
    """

    periods: IntArray
    unknown: IntArray
    demands: IntArray
    pieces: FloatArray
    adi: FloatArray
    cv2: FloatArray
    state: NDArray[np.str_]
    since_last: FloatArray
    longest_gap: IntArray
    gap_chance: FloatArray
    trend: FloatArray
    one_offs: OneOffs


def describe_series(demand: FloatArray, start: IntArray | None = None) -> SeriesLife:
    """Say what each series of a panel is doing.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first; NaN before a series starts and where the quantity is unknown; negative for net
        returns, which are taken off the demand before them. [pieces]
    start : ndarray of int, shape (n,), optional
        Column in which each series starts. None: that of its first known quantity.

    Returns
    -------
    SeriesLife

    Notes
    -----
    Looked at backwards from the end, a series that lives waits for its latest demand as for any other, and
    what came before that demand tells how often it comes: of m periods before it x had demand. With rates
    spread over the panel as a beta law of mean mu and strength s, fitted by moments [2]_, a silence of g
    known periods has the chance B(a, b + g) / B(a, b), a = s mu + x, b = s (1 - mu) + m - x [1]_: normal gaps
    of slow movers are likely. A series is dead where that is below 1 %, dying below 5 %, and the silence is
    longer than any before. Elsewhere the sum of the latest year is held against its permutation law over all
    periods [3]_, demands that stand out counting as usual ones.
    """
    net = net_of_returns(np.asarray(demand, dtype=float))
    if not net.shape[1]:
        net = np.full((len(net), 1), np.nan)
    c = net.shape[1]
    known = np.isfinite(net)
    if start is None:
        start = np.where(known.any(axis=1), known.argmax(axis=1), c)
    begun = np.arange(c) >= start[:, None]
    periods, unknown = (known & begun).sum(axis=1), (~known & begun).sum(axis=1)
    pieces = np.where(known, net, 0.0)
    some = pieces > 0
    demands, total = some.sum(axis=1), pieces.sum(axis=1)
    last = c - 1 - np.argmax(some[:, ::-1], axis=1)
    since = np.where(demands > 0, c - 1 - last, np.nan)
    silent = (known & (np.arange(c) > last[:, None])).sum(axis=1)
    longest = _longest_gap(some, start)
    gap_chance = np.where(demands > 0, _silence_chance(known, some, start, last, silent), np.nan)
    one_offs = find_one_offs(net)
    usual = pieces.copy()
    usual[one_offs.row, one_offs.column] = one_offs.usual
    trend, deviations = _trend(usual, known, demands)
    return SeriesLife(
        periods,
        unknown,
        demands,
        total,
        demand_intervals(periods, demands),
        size_variation(demands, total, (pieces**2).sum(axis=1)),
        _state(c, start, np.argmax(some, axis=1), demands, silent, longest, gap_chance, trend, deviations),
        since,
        longest,
        gap_chance,
        trend,
        one_offs,
    )


def _silence_chance(
    known: NDArray[np.bool_], some: NDArray[np.bool_], start: IntArray, last: IntArray, silent: IntArray
) -> FloatArray:
    """Chance of no demand since the latest one, at the rate before it."""
    demands = some.sum(axis=1)
    before = known & (np.arange(known.shape[1]) < last[:, None])
    # Where the table begins a series with its first demand, that one says nothing about how often they come.
    begins = np.take_along_axis(some, np.minimum(start, known.shape[1] - 1)[:, None], axis=1)[:, 0]
    forced = (begins & (start < last)).astype(np.int64)
    tries = np.maximum(before.sum(axis=1) - forced, 0)
    hits = np.clip(demands - 1 - forced, 0, tries)
    mean, strength = _beta_moments(demands, known.sum(axis=1))
    a, b = strength * mean + hits, strength * (1 - mean) + tries - hits
    log = special.gammaln(b + silent) - special.gammaln(b) + special.gammaln(a + b)
    return np.asarray(np.exp(np.minimum(log - special.gammaln(a + b + silent), 0.0)))


def _beta_moments(demands: IntArray, periods: IntArray) -> tuple[float, float]:
    """Mean and strength of the beta law of the chance of demand in a period."""
    has = periods > 0
    hits, length = demands[has].astype(float), periods[has].astype(float)
    mean = (hits.sum() + 0.5) / (length.sum() + 1.0)
    binomial = mean * (1 - mean)
    information = float((1 - 1 / length).sum())
    between = float(((hits / length - mean) ** 2 - binomial / length).sum())
    between = (max(between, 0.0) + PRIOR_SERIES * PRIOR_SPREAD * binomial) / (information + PRIOR_SERIES)
    return float(mean), float(np.clip(binomial / max(between, 1e-12) - 1.0, 0.1, 1e4))


def _longest_gap(some: NDArray[np.bool_], start: IntArray) -> IntArray:
    """Longest run of periods without demand before the latest demand."""
    row, column = np.nonzero(some)
    begins = np.concatenate([[True], row[1:] != row[:-1]])[: len(row)]
    before = np.where(begins, start[row] - 1, np.concatenate([[0], column[:-1]])[: len(row)])
    longest = np.zeros(len(some), dtype=np.int64)
    np.maximum.at(longest, row, column - before - 1)
    return longest


def _trend(usual: FloatArray, known: NDArray[np.bool_], demands: IntArray) -> tuple[FloatArray, FloatArray]:
    """Demand per period lately over that before, and its distance from chance in standard deviations."""
    count = known.sum(axis=1)
    c = usual.shape[1]
    window = np.minimum(RECENT_PERIODS, count // 3)
    recent = known & (np.arange(c) >= c - window[:, None])
    late = recent.sum(axis=1)
    early = count - late
    enough = (count >= LEAST_PERIODS) & (demands >= LEAST_DEMANDS) & (late > 0) & (early > 0)
    total, recently = usual.sum(axis=1), np.where(recent, usual, 0.0).sum(axis=1)
    length = np.maximum(count, 2)
    mean = total / length
    spread = np.maximum((usual**2).sum(axis=1) - length * mean**2, 0.0) / (length - 1)
    deviation = np.sqrt(late * (1 - late / length) * spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (recently / late) / ((total - recently) / early)
        away = (recently - late * mean) / deviation
    return np.where(enough, ratio, np.nan), np.where(enough & (deviation > 0), away, 0.0)


def _state(
    c: int,
    start: IntArray,
    first: IntArray,
    demands: IntArray,
    silent: IntArray,
    longest: IntArray,
    gap_chance: FloatArray,
    trend: FloatArray,
    deviations: FloatArray,
) -> NDArray[np.str_]:
    unusual = silent > longest
    began_late = (start > 0) | (first - start >= STARTING_PERIODS)
    return np.select(
        [
            demands == 0,
            (start > 0) & (c - start < NEW_PERIODS),
            unusual & (silent >= DEAD_SILENCE) & (gap_chance < DEAD_CHANCE),
            unusual & (silent >= DYING_SILENCE) & (gap_chance < DYING_CHANCE) & (demands > 1),
            demands == 1,
            began_late & (c - first <= STARTING_PERIODS),
            (deviations > TREND_DEVIATIONS) & (trend > TREND_RATIO),
            (deviations < -TREND_DEVIATIONS) & (trend < 1 / TREND_RATIO),
        ],
        ["never", "new", "dead", "dying", "single", "starting", "growing", "dying"],
        default="steady",
    )
