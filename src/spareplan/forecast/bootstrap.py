"""Sums of the next periods from a part's own past alone: what history says without a model.

Three ways to repeat the past. `iid_sums` draws every period anew (exactly, no simulation); `block_sums` keeps
whole stretches; `willemain_sums` lets demand come in runs and sizes be new [1]_.

References
----------
.. [1] Willemain, Smart & Schwarz (2004), A new approach to forecasting intermittent demand for service parts
   inventories, Int. J. Forecasting 20, 375-387.
.. [2] Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 8 (blocks).
.. [3] Embrechts & Frei (2009), Panjer recursion versus FFT for compound distributions, Mathematical Methods
   of Operations Research 69, 497-508.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, special

from spareplan.errors import problem_in_argument
from spareplan.forecast.recursions import period_weights, read_ahead, read_demand, read_levels

FloatArray = NDArray[np.float64]
_Numbers = TypeVar("_Numbers", NDArray[np.float64], NDArray[np.complex128])
# Points of the longest grid on which a sum is laid out; what does not fit is rounded to the grid.
MOST_POINTS = 4096
LEAST_POINTS = 8
# Numbers worked on at once: what a core keeps near. [float64]
CHUNK = 2**16
# Probabilities nearer than this are equal; tails below it are dropped.
SAME = 1e-10
DRAWS = 1024
# Added to every count of transitions, so that what was never seen stays possible (started counts).
STARTED = 1 / 6


class DemandSums(NamedTuple):
    """Distribution of the sum of the next periods, one series per row.

    Parameters
    ----------
    mean, variance : ndarray, shape (n,)
        [pieces, pieces²]
    quantiles : ndarray, shape (n, k)
        [pieces]
    none : ndarray, shape (n,)
        Probability that nothing is demanded.
    """

    mean: FloatArray
    variance: FloatArray
    quantiles: FloatArray
    none: FloatArray


def iid_sums(
    demand: ArrayLike, periods: ArrayLike, levels: ArrayLike, half_life: ArrayLike | None = None
) -> DemandSums:
    """Distribution of the sum of periods drawn independently from a series' own past.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    periods : int or array-like of int, shape (n,)
        How many periods are summed, at least 1. [periods]
    levels : array-like, shape (k,)
        Between 0 and 1.
    half_life : float or array-like, shape (n,), optional
        After so many periods a period is drawn half as often; None: all alike. [periods]

    Returns
    -------
    DemandSums
        Quantiles are the least sum reached with at least the probability of the level; all 0, and `none` 1,
        where nothing is known.

    Raises
    ------
    DataError
        Negative or infinite demand, levels outside 0 to 1, periods below 1, a half-life not above 0.

    Notes
    -----
    What a bootstrap with endless draws gives: the law of one period, raised to the power of `periods` by
    Fourier transform [3]_. It is exact (to 1e-10) where all demands of a series are multiples of one step, of
    which the sum holds fewer than 4,000: whole pieces, packs, half litres. Else each demand is split over its
    two neighbours on a grid, so that means stay. A step is then at most periods / 3,960 of the largest demand
    and a quantile less than periods steps off: for 3 periods 0.23 % of the largest demand at worst.

    Examples
    --------
    One demand of 2 in four months; two in the next three months have a chance of 9/64 and more:

    >>> sums = iid_sums([[0, 0, 2, 0]], periods=3, levels=(0.5, 0.9))
    >>> sums.quantiles.tolist(), sums.none.tolist()
    ([[2.0, 4.0]], [0.421875])
    """
    name = "iid_sums"
    values, known = read_demand(name, demand)
    marks, ahead = read_levels(name, levels), read_ahead(name, periods, len(values))
    pieces = np.where(known, values, 0.0)
    chance = period_weights(name, known, half_life)
    mean, variance = _moments(pieces, chance)
    none = np.where(pieces > 0, 0.0, chance).sum(axis=1)
    none = np.where((pieces > 0).any(axis=1), none, 1.0)
    quantiles = np.zeros((len(values), len(marks)))
    top = _reach(pieces.max(axis=1, initial=0.0), mean, variance, ahead)
    step = _steps(pieces, top)
    points = _grid_points(top, step)
    for length in np.unique(ahead):
        none[ahead == length] = _power(none[ahead == length], int(length))
        for width in np.unique(points[ahead == length]):
            rows = np.flatnonzero((ahead == length) & (points == width) & (top > 0))
            for start in range(0, len(rows), max(CHUNK // int(width), 1)):
                part = rows[start : start + max(CHUNK // int(width), 1)]
                one = _on_grid(pieces[part] / step[part, None], chance[part], int(width))
                summed = fft.irfft(_power(fft.rfft(one, axis=1), int(length)), int(width), axis=1)
                quantiles[part] = _least_reaching(summed, marks) * step[part, None]
    return DemandSums(
        ahead * mean, ahead * variance, _beside_none(quantiles, none, marks, _least(pieces)), none
    )


def block_sums(
    demand: ArrayLike, periods: int, levels: ArrayLike, half_life: ArrayLike | None = None
) -> DemandSums:
    """Distribution of past sums of so many neighbouring periods of a series.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; stretches with an unknown period are left out. [pieces]
    periods : int
        How many periods are summed, at least 1. [periods]
    levels : array-like, shape (k,)
        Between 0 and 1.
    half_life : float or array-like, shape (n,), optional
        After so many periods a stretch counts half; None: all alike. [periods]

    Returns
    -------
    DemandSums
        Where no whole stretch is known, that of `iid_sums`.

    Raises
    ------
    DataError
        Negative or infinite demand, levels outside 0 to 1, periods below 1, a half-life not above 0.

    Notes
    -----
    Overlapping stretches keep runs, gaps and seasons that drawing period by period loses, at the price of few
    of them: 40 periods hold 38 stretches of three, but only 13 that share nothing. Quantiles are interpolated
    between the sorted sums, each at the middle of its weight; above the largest, where history ends, the tail
    falls exponentially by the standard deviation, so that rare levels do not stop at the worst that was.

    Examples
    --------
    >>> block_sums([[0, 0, 2, 0, 4, 0]], periods=2, levels=(0.5,)).quantiles.tolist()
    [[2.0]]
    """
    name = "block_sums"
    values, known = read_demand(name, demand)
    marks, length = read_levels(name, levels), int(read_ahead(name, periods, 1)[0])
    n, c = values.shape
    if c < length:
        return iid_sums(values, length, marks, half_life)
    pieces = np.lib.stride_tricks.sliding_window_view(np.where(known, values, 0.0), length, axis=1)
    seen = np.asarray(np.lib.stride_tricks.sliding_window_view(known, length, axis=1).all(axis=2))
    sums = np.where(seen, pieces.sum(axis=2), 0.0)
    chance = period_weights(name, seen, half_life)
    mean, variance = _moments(sums, chance)
    none = np.where((sums > 0).any(axis=1), np.where(sums > 0, 0.0, chance).sum(axis=1), 1.0)
    order = np.argsort(np.where(seen, sums, -1.0), axis=1, kind="stable")
    sorted_sums, weight = np.take_along_axis(sums, order, 1), np.take_along_axis(chance, order, 1)
    middle = np.cumsum(weight, axis=1) - weight / 2
    quantiles = np.zeros((n, len(marks)))
    for column, level in enumerate(marks):
        quantiles[:, column] = _between(sorted_sums, middle, weight, level, np.sqrt(variance))
    quantiles[marks <= none[:, None] + SAME] = 0.0
    out = DemandSums(mean, variance, quantiles, none)
    short = np.flatnonzero(~seen.any(axis=1))
    half = half_life if half_life is None or np.ndim(half_life) == 0 else np.asarray(half_life)[short]
    for all_rows, anew in zip(out, iid_sums(values[short], length, marks, half)):
        all_rows[short] = anew
    return out


def willemain_sums(
    demand: ArrayLike, periods: int, levels: ArrayLike, draws: int = DRAWS, seed: int = 0
) -> DemandSums:
    """Distribution of the sum when demand comes in runs and sizes vary around those seen [1]_.

    Parameters
    ----------
    demand : array-like, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    periods : int
        How many periods are summed, at least 1. [periods]
    levels : array-like, shape (k,)
        Between 0 and 1.
    draws : int
        Simulated futures per series, at least 1; rounded up to a power of two, as evenly spread (Sobol)
        numbers ask for. Twice as many roughly halve the error.
    seed : int
        All series share the same random numbers: none depends on its neighbours in the table.

    Returns
    -------
    DemandSums
        All 0, and `none` 1, where there never was a demand.

    Raises
    ------
    DataError
        Negative or infinite demand, levels outside 0 to 1, periods or draws below 1.

    Notes
    -----
    Whether a period has demand is a Markov chain, its transitions counted between known neighbours with 1/6
    added to each count, started from the latest known period. Sizes X are drawn from those seen and jittered:
    1 + int(X + Z sqrt(X)), X itself where that is not positive; below one piece they stay as they are.
    """
    name = "willemain_sums"
    values, known = read_demand(name, demand)
    marks, length = read_levels(name, levels), int(read_ahead(name, periods, 1)[0])
    if not (isinstance(draws, (int, np.integer)) and draws >= 1):
        raise problem_in_argument(name, "draws", draws, "is no whole number from 1 up", "give e.g. 1024")
    occur, pick, noise = _even_draws(draws, length, seed)
    draws = len(occur)
    again, begin, latest = _transitions(values, known)
    hits = (np.where(known, values, 0.0) > 0).sum(axis=1)
    n = len(values)
    out = DemandSums(np.zeros(n), np.zeros(n), np.zeros((n, len(marks))), np.ones(n))
    ever = np.flatnonzero(hits > 0)
    for start in range(0, len(ever), max(CHUNK // draws, 1)):
        rows = ever[start : start + max(CHUNK // draws, 1)]
        sizes = np.sort(np.where(known[rows], values[rows], 0.0), axis=1)[:, ::-1]
        state = np.repeat(latest[rows, None], draws, axis=1)
        total = np.zeros((len(rows), draws))
        for t in range(length):
            state = occur[:, t] < np.where(state, again[rows, None], begin[rows, None])
            place = (pick[:, t] * hits[rows, None]).astype(np.intp)
            total += np.where(state, _jittered(np.take_along_axis(sizes, place, 1), noise[:, t]), 0.0)
        out.mean[rows], out.variance[rows] = total.mean(axis=1), total.var(axis=1)
        out.none[rows] = (total == 0).mean(axis=1)
        out.quantiles[rows] = np.quantile(total, marks, axis=1, method="inverted_cdf").T
    return out


def _moments(pieces: FloatArray, chance: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean = (chance * pieces).sum(axis=1)
    return mean, (chance * (pieces - mean[:, None]) ** 2).sum(axis=1)


def _reach(most: FloatArray, mean: FloatArray, variance: FloatArray, ahead: FloatArray) -> FloatArray:
    """Bound that the sum exceeds with a chance of 1e-12 at most (Bernstein), or never."""
    odds = -np.log(1e-12)
    lean = most * odds / 3
    return np.minimum(ahead * most, ahead * mean + lean + np.sqrt(lean**2 + 2 * odds * ahead * variance))


def _steps(pieces: FloatArray, top: FloatArray) -> FloatArray:
    """Grid step of each series: one piece, or what all its demands are multiples of, or what fits."""
    room = MOST_POINTS - 2
    step = np.ones(len(pieces))
    hard = np.flatnonzero((top >= room) | (pieces % 1 != 0).any(axis=1))
    coarse = top[hard] / (room - 2 * np.sqrt(room))
    common = _common_step(pieces[hard], top[hard] / room)
    step[hard] = np.where(common > 0, common, np.maximum(coarse, np.finfo(float).tiny))
    return step


def _common_step(pieces: FloatArray, least: FloatArray) -> FloatArray:
    """Largest step of which all demands of a series are multiples, 0 where it is below `least` (Euclid)."""
    common = np.zeros(len(pieces))
    alive = np.ones(len(pieces), bool)
    for column in pieces.T:
        rows = np.flatnonzero(alive & (column > 0))
        large, small = np.maximum(common[rows], column[rows]), np.minimum(common[rows], column[rows])
        # Remainders below this are rounding of multiples that have no exact binary form.
        speck = 1e-3 * least[rows]
        while (left := small > speck).any():
            rest = np.mod(large, np.where(left, small, 1.0))
            rest = np.minimum(rest, small - rest)
            large, small = np.where(left, small, large), np.where(left, rest, small)
        common[rows] = large
        alive[rows] = large >= least[rows]
    whole = pieces / np.where(common > 0, common, 1.0)[:, None]
    near = np.abs(whole - np.round(whole)).max(axis=1, initial=0.0) < 1e-6
    return np.where(alive & near, common, 0.0)


def _grid_points(top: FloatArray, step: FloatArray) -> NDArray[np.int64]:
    """Points of the grid: a power of two that holds the sum, so that few transforms serve all series."""
    need = np.maximum(top / step + 2, LEAST_POINTS)
    points = np.minimum(2 ** np.ceil(np.log2(need)), MOST_POINTS)
    return np.asarray(points, dtype=np.int64)


def _on_grid(places: FloatArray, chance: FloatArray, points: int) -> FloatArray:
    """Law of one period on the grid; a demand between two points is split so that its mean stays."""
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < 1e-6, nearest, places)
    lower = np.floor(places).astype(np.int64)
    upper_share = places - lower
    line = np.arange(len(places))[:, None] * points
    size = len(places) * points
    out = np.bincount((line + lower).ravel(), (chance * (1 - upper_share)).ravel(), size)
    if upper_share.any():
        upper = np.minimum(lower + 1, points - 1)
        out += np.bincount((line + upper).ravel(), (chance * upper_share).ravel(), size)
    return np.asarray(out.reshape(len(places), points), dtype=float)


def _power(base: _Numbers, exponent: int) -> _Numbers:
    """Power by squaring: alike whatever the neighbours, and complex powers go through logarithms in numpy."""
    out = base
    for bit in bin(exponent)[3:]:
        out = out * out
        if bit == "1":
            out = out * base
    return out


def _least_reaching(chance: FloatArray, levels: FloatArray) -> FloatArray:
    """Least place at which the added chances reach each level."""
    below = np.cumsum(chance, axis=1)
    return np.stack([(below < level - SAME).sum(axis=1) for level in levels], axis=1).astype(float)


def _least(pieces: FloatArray) -> FloatArray:
    least = np.where(pieces > 0, pieces, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, 0.0)


def _beside_none(
    quantiles: FloatArray, none: FloatArray, levels: FloatArray, least: FloatArray
) -> FloatArray:
    """Nothing up to the chance of nothing, beyond it the smallest demand at least."""
    return np.where(levels <= none[:, None] + SAME, 0.0, np.maximum(quantiles, least[:, None]))


def _between(
    sums: FloatArray, middle: FloatArray, weight: FloatArray, level: float, spread: FloatArray
) -> FloatArray:
    """Quantile between sorted sums that stand at the middle of their weights; an exponential tail above."""
    row = np.arange(len(sums))
    place = (middle < level).sum(axis=1)
    upper, lower = np.minimum(place, sums.shape[1] - 1), np.maximum(place - 1, 0)
    low, high = middle[row, lower], middle[row, upper]
    # Columns without weight come first and hold 0: nothing is read from them.
    low_value = np.where(weight[row, lower] > 0, sums[row, lower], sums[row, upper])
    share = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 1.0)
    inside = low_value + np.clip(share, 0.0, 1.0) * (sums[row, upper] - low_value)
    beyond = np.log((1 - middle[:, -1]) / (1 - level)) if level < 1 else 0.0
    return np.where(place < sums.shape[1], inside, sums[:, -1] + spread * np.maximum(beyond, 0.0))


def _even_draws(draws: int, length: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Numbers for occurrence, size and jitter, each of shape (draws, length)."""
    from scipy.stats import qmc

    even = qmc.Sobol(3 * length, seed=np.random.default_rng(seed)).random_base2(int(np.ceil(np.log2(draws))))
    occur, pick, noise = np.split(even, 3, axis=1)
    return occur, pick, special.ndtri(np.clip(noise, 1e-12, 1 - 1e-12))


def _transitions(
    values: FloatArray, known: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Chance of demand after demand and after none, and whether the latest known period had demand."""
    hit = known & (np.where(known, values, 0.0) > 0)
    both = known[:, 1:] & known[:, :-1]
    after_hit, after_none = both & hit[:, :-1], both & ~hit[:, :-1]
    chances = [
        ((after & hit[:, 1:]).sum(axis=1) + STARTED) / (after.sum(axis=1) + 2 * STARTED)
        for after in (after_hit, after_none)
    ]
    last = known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1) if known.shape[1] else np.zeros(0, int)
    return chances[0], chances[1], hit[np.arange(len(hit)), last]


def _jittered(sizes: FloatArray, noise: FloatArray) -> FloatArray:
    moved = 1 + np.trunc(sizes + noise * np.sqrt(sizes))
    return np.where((moved > 0) & (sizes >= 1), moved, sizes)
