"""Hazard ratios of groups of machines from failures and expected failures, the baseline of each part free.

With a Weibull baseline the likelihood of a part that failed d_g times in group g, where its own baseline
expects e_g failures (lambda S_g), is that of Poisson counts of mean e_g c exp(b_g): failures and expected
failures are sufficient for the hazard ratios exp(b). The factor c of each part is free. Profiled out it is
d / sum_g(e_g exp(b_g)), and what is left is the likelihood of how the part's failures fall upon the groups.

References
----------
.. [1] Cox (1972), Journal of the Royal Statistical Society B 34(2), 187-220.
.. [2] Laird & Olivier (1981), J. American Statistical Association 76, 231-240: hazards as Poisson counts.
.. [3] Greenland & Robins (1985), Biometrics 41(1), 55-68: estimation from many sparse strata.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOWEST_RATIO = 1e-12
RANK_TOLERANCE = 1e-8
# Spread of log hazard ratios between levels before any is seen, and the levels that knowledge counts as.
USUAL_SPREAD, USUAL_LEVELS = 0.3, 1.0
SPREADS = (0.03, 1.5)


class Counts(NamedTuple):
    """Failures by part and group, the parts that failed at all.

    Parameters
    ----------
    part : ndarray of int, shape (rows,)
        Number of the part, from 0.
    failures, expected : ndarray, shape (rows,)
        Failures seen, and failures that the part's own baseline expects.
    """

    part: IntArray
    failures: FloatArray
    expected: FloatArray

    def rescaled(self, log_ratio: FloatArray) -> FloatArray:
        """Expected failures under log hazard ratios per row, summing to each part's failures."""
        weight = self.expected * np.exp(log_ratio)
        factor = np.bincount(self.part, self.failures) / np.bincount(self.part, weight)
        return np.asarray(factor[self.part] * weight)

    def gain(self, log_ratio: FloatArray, stratum: IntArray, strata: int) -> FloatArray:
        """Log-likelihood over that of no effect in nats, summed within strata of parts."""
        weight = self.expected * np.exp(log_ratio)
        total = np.bincount(self.part, weight) / np.bincount(self.part, self.expected)
        rows = self.failures * (log_ratio - np.log(total)[self.part])
        return np.asarray(np.bincount(stratum, rows, minlength=strata), dtype=float)


def fit_ratios(
    counts: Counts, levels: list[IntArray], tolerance: float = 1e-6, steps: int = 200
) -> FloatArray:
    """Maximum-likelihood log hazard ratios, by scaling each level to its failures in turn.

    Parameters
    ----------
    counts : Counts
    levels : list of ndarray of int, shape (rows,)
        Level of each row, an array per covariate, from 0. Strata that are to be fitted apart have levels of
        their own; they converge side by side.
    tolerance : float
        Change of a log ratio at which the scaling stops.
    steps : int
        Most rounds over all covariates.

    Returns
    -------
    ndarray, shape (rows,)
        Sum of the log ratios of each row; about -27 for a level without any failure.

    References
    ----------
    .. [1] Deming & Stephan (1940), Annals of Mathematical Statistics 11(4): iterative proportional fitting.
    """
    log_ratio = np.zeros(len(counts.part))
    seen = [np.bincount(level, counts.failures) for level in levels]
    for _ in range(steps):
        moved = 0.0
        for level, total in zip(levels, seen):
            fitted = np.bincount(level, counts.rescaled(log_ratio))
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.log(np.maximum(total / fitted, LOWEST_RATIO))
            step = np.where(total > 0, np.nan_to_num(step), np.log(LOWEST_RATIO))[level]
            new = np.maximum(log_ratio + step, np.log(LOWEST_RATIO))
            live = total[level] > 0
            moved = max(moved, float(np.abs(np.where(live, new - log_ratio, 0.0)).max(initial=0.0)))
            log_ratio = new
        if moved < tolerance:
            break
    return log_ratio


def information(counts: Counts, levels: list[IntArray], log_ratio: FloatArray) -> FloatArray:
    """Information on the log ratios of all levels, the baseline of every part profiled out.

    Parameters
    ----------
    counts : Counts
    levels : list of ndarray of int, shape (rows,)
        As in `fit_ratios`.
    log_ratio : ndarray, shape (rows,)
        Where it is taken.

    Returns
    -------
    ndarray, shape (levels, levels)
        Levels of all covariates one after the other. Its rank is the number of ratios that the data can tell.
    """
    fitted = counts.rescaled(log_ratio)
    sizes = [int(level.max()) + 1 for level in levels]
    offset = np.concatenate([[0], np.cumsum(sizes)])
    width, parts = int(offset[-1]), int(counts.part.max()) + 1
    whole = np.zeros(width * width)
    by_part = np.zeros(parts * width)
    codes = [level + low for level, low in zip(levels, offset)]
    for first in codes:
        by_part += np.bincount(counts.part * width + first, fitted, minlength=parts * width)
        for second in codes:
            whole += np.bincount(first * width + second, fitted, minlength=width * width)
    table = by_part.reshape(parts, width)
    failures = np.bincount(counts.part, counts.failures)
    return np.asarray(whole.reshape(width, width) - (table / failures[:, None]).T @ table)


def rank_of(matrix: FloatArray, failures: float) -> int:
    """Number of ratios that an information matrix drawn from so many failures tells apart."""
    return int((np.linalg.eigvalsh(matrix) > RANK_TOLERANCE * failures).sum())


class ShrunkFit(NamedTuple):
    """Shrunk log hazard ratios of all levels of some covariates.

    Parameters
    ----------
    ratios : list of ndarray, shape (levels,)
        Log hazard ratio per covariate and level; weighed by expected failures the ratios average 1.
    errors : list of ndarray, shape (levels,)
        Posterior standard errors.
    spreads : ndarray, shape (covariates,)
        Estimated standard deviation between the levels of each covariate.
    """

    ratios: list[FloatArray]
    errors: list[FloatArray]
    spreads: FloatArray


def shrink_ratios(
    counts: Counts, levels: list[IntArray], rounds: int = 25, tolerance: float = 0.02
) -> ShrunkFit:
    """Hazard ratios by empirical Bayes: Poisson regression in which every level is drawn towards 1.

    Parameters
    ----------
    counts : Counts
    levels : list of ndarray of int, shape (rows,)
        Level of each row, an array per covariate, from 0.
    rounds : int
        Most rounds of ratios and spreads.
    tolerance : float
        Relative change of a spread at which the rounds stop.

    Returns
    -------
    ShrunkFit

    Notes
    -----
    Each level gets 1/spread² failures in as many expected, the conjugate gamma of mean 1; a level without any
    failure stays finite. Scaling finds the baselines of the parts and, by their second moments, the spreads
    between levels; one Poisson regression with log offset (statsmodels' GLM) then fits all levels, data and
    prior together.
    """
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    sizes = [int(level.max()) + 1 for level in levels]
    offset = np.concatenate([[0], np.cumsum(sizes)])
    cell = levels[0].copy()
    for level, size in zip(levels[1:], sizes[1:]):
        cell = cell * size + level
    _, first, cell = np.unique(cell, return_index=True, return_inverse=True)
    design = np.zeros((len(first) + offset[-1], offset[-1]))
    for level, low in zip(levels, offset):
        design[np.arange(len(first)), low + level[first]] = 1.0
    design[len(first) :] = np.eye(offset[-1])
    seen = np.concatenate([np.bincount(level, counts.failures) for level in levels])
    values = np.zeros(offset[-1])
    spread = np.full(len(levels), USUAL_SPREAD)
    for _ in range(rounds):
        before = spread
        weight = np.repeat(1 / spread**2, sizes)
        values = _scale(counts, levels, offset, seen, weight, values)
        covariance = _posterior_covariance(counts, levels, offset, weight, values)
        square = values**2 + np.diag(covariance)
        moments = np.add.reduceat(square, offset[:-1]) + USUAL_LEVELS * USUAL_SPREAD**2
        spread = np.clip(np.sqrt(moments / (np.array(sizes) + USUAL_LEVELS)), *SPREADS)
        if np.abs(np.log(spread / before)).max() < tolerance:
            break
    weight = np.repeat(1 / spread**2, sizes)
    values = _scale(counts, levels, offset, seen, weight, values)
    log_ratio = _row_sums(levels, offset, values)
    base = np.bincount(cell, counts.rescaled(log_ratio) * np.exp(-log_ratio))
    model = GLM(
        np.concatenate([np.bincount(cell, counts.failures), weight]),
        design,
        family=Poisson(),
        offset=np.log(np.concatenate([base, weight])),
    )
    values = np.asarray(model.fit(start_params=values, tol=1e-9).params)
    covariance = _posterior_covariance(counts, levels, offset, weight, values)
    ratios, errors = [], []
    for level, low, size in zip(levels, offset, sizes):
        own = slice(low, low + size)
        centred = _centred(covariance[own, own], counts, level, values[own])
        ratios.append(centred[0])
        errors.append(centred[1])
    return ShrunkFit(ratios, errors, spread)


def _scale(
    counts: Counts,
    levels: list[IntArray],
    offset: IntArray,
    seen: FloatArray,
    weight: FloatArray,
    values: FloatArray,
) -> FloatArray:
    """Posterior modes of all levels for given weights: each in turn, the baselines renewed between."""
    values = values.copy()
    log_ratio = _row_sums(levels, offset, values)
    for _ in range(200):
        moved = 0.0
        for level, low, high in zip(levels, offset[:-1], offset[1:]):
            own = slice(low, high)
            base = np.bincount(level, counts.rescaled(log_ratio), minlength=high - low) * np.exp(-values[own])
            new = np.log((seen[own] + weight[own]) / (base + weight[own]))
            step = new - values[own]
            log_ratio = log_ratio + step[level]
            values[own] = new
            moved = max(moved, float(np.abs(step).max()))
        if moved < 1e-4:
            break
    return values


def _row_sums(levels: list[IntArray], offset: IntArray, values: FloatArray) -> FloatArray:
    total = np.zeros(len(levels[0]))
    for level, low in zip(levels, offset):
        total += values[low + level]
    return total


def _posterior_covariance(
    counts: Counts, levels: list[IntArray], offset: IntArray, weight: FloatArray, values: FloatArray
) -> FloatArray:
    curvature = information(counts, levels, _row_sums(levels, offset, values))
    return np.asarray(np.linalg.inv(curvature + np.diag(weight * np.exp(values))), dtype=float)


def difference_of_strata(
    counts: Counts, level: IntArray, stratum: IntArray, strata: int
) -> tuple[float, float]:
    """How far the ratios of strata differ beyond chance, and their spread.

    Parameters
    ----------
    counts : Counts
        Expected failures with all that strata have in common in them.
    level, stratum : ndarray of int, shape (rows,)
        Level and stratum of each row; a part stands in one stratum.
    strata : int

    Returns
    -------
    tuple of float
        Standardised score, about N(0, 1) where strata are alike, and the spread of their log ratios.

    Notes
    -----
    With U the failures less those expected by level and V their covariance, U'U - tr V has mean 0 exactly
    where strata are alike, however few the failures, and tr V² times the squared spread where they are not
    [1]_. Its variance is 2 tr V² and the fourth cumulants, near those of Poisson counts.

    References
    ----------
    .. [1] Commenges & Jacqmin-Gadda (1997), J. Royal Statistical Society B 59(1), 157-171.
    """
    nothing = np.zeros(len(level))
    size = int(level.max(initial=0)) + 1
    surprise = np.bincount(stratum * size + level, counts.failures - counts.rescaled(nothing), strata * size)
    square = (surprise.reshape(strata, size) ** 2).sum(axis=1)
    first = second = over = 0.0
    for rows in rows_of(stratum, strata):
        if not len(rows):
            continue
        part = np.unique(counts.part[rows], return_inverse=True)[1]
        own = np.unique(level[rows], return_inverse=True)[1]
        some = Counts(part, counts.failures[rows], counts.expected[rows])
        matrix = information(some, [own], np.zeros(len(rows)))
        first += float(np.trace(matrix))
        second += float((matrix**2).sum())
        over += float(square[stratum[rows[0]]] - np.trace(matrix))
    if second <= RANK_TOLERANCE:
        return 0.0, 0.0
    return over / np.sqrt(2 * second + first), float(np.sqrt(max(over, 0.0) / second))


def pooled_ratios(counts: Counts, cell: IntArray, spread: float) -> FloatArray:
    """Log ratios of many levels side by side, each drawn towards 1 as one of a population of that spread.

    Parameters
    ----------
    counts : Counts
    cell : ndarray of int, shape (rows,)
        Level of each row, numbered apart in each stratum.
    spread : float
        Standard deviation of the log ratios in the population.

    Returns
    -------
    ndarray, shape (cells,)

    Notes
    -----
    The same maximum as `shrink_ratios` with a known spread, by scaling: given the baselines a level's
    posterior mode is (failures + 1/spread²) / (expected + 1/spread²).
    """
    seen = np.bincount(cell, counts.failures).astype(float)
    nothing = np.zeros(len(seen))
    return _scale(counts, [cell], np.array([0, len(seen)]), seen, nothing + 1 / spread**2, nothing)


def rows_of(stratum: IntArray, strata: int) -> list[IntArray]:
    """Rows of each stratum, in their order."""
    order = np.argsort(stratum, kind="stable")
    edges = np.searchsorted(stratum[order], np.arange(strata + 1))
    return [order[edges[number] : edges[number + 1]] for number in range(strata)]


def centred_errors(counts: Counts, level: IntArray, values: FloatArray, spread: float) -> FloatArray:
    """Posterior errors of the log ratios of one covariate, their common level left out."""
    weight = np.full(len(values), 1 / spread**2)
    covariance = _posterior_covariance(counts, [level], np.array([0]), weight, values)
    return _centred(covariance, counts, level, values)[1]


def _centred(
    covariance: FloatArray, counts: Counts, level: IntArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log ratios that average 1, and their errors: the level of all belongs to the baselines."""
    size = len(values)
    expected = np.bincount(level, counts.rescaled(np.zeros(len(level))), minlength=size)
    share = expected * np.exp(values)
    centred = np.eye(size) - share / share.sum()
    errors = np.sqrt(np.diag(centred @ covariance @ centred.T))
    return values - np.log(share.sum() / expected.sum()), np.asarray(errors)
