"""Conditional quantiles: past sums of kindred series, ranked by an index, are the forecast.

A log-linear regression ranks all (series, origin) windows by what they expect; neighbours in that rank have
been through the same, and the spread of what really followed them is the distribution of what will.

References
----------
.. [1] McCullagh & Nelder (1989), Generalized Linear Models, ch. 6 and 9 (Poisson quasi-likelihood).
.. [2] Koenker (2005), Quantile Regression, ch. 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
NEWTON_STEPS = 12
RIDGE = 1e-4
LARGEST_GROUP, SMALLEST_GROUP, GROUPS = 800, 30, 30
INDEX_FLOOR = 1e-3
FARTHEST = 5.0
ONE_OFF_LEVEL = 0.99


@dataclass(frozen=True)
class LogLinear:
    """A fitted log-linear mean.

    Parameters
    ----------
    centre, spread : ndarray, shape (p,)
        Standardisation of the columns.
    weights : ndarray, shape (p + 1,)
        Intercept first.
    """

    centre: FloatArray
    spread: FloatArray
    weights: FloatArray

    def predict(self, design: FloatArray) -> FloatArray:
        """Give the expected ratio for each row.

        Parameters
        ----------
        design : ndarray, shape (m, p)

        Returns
        -------
        ndarray, shape (m,)
        """
        return np.exp(np.clip(_standard(design, self.centre, self.spread) @ self.weights, -12.0, 6.0))


def fit_log_linear(design: FloatArray, ratio: FloatArray, weight: FloatArray) -> LogLinear:
    """Fit a log-linear mean by weighted Poisson quasi-likelihood with a small ridge.

    Parameters
    ----------
    design : ndarray, shape (m, p)
    ratio : ndarray, shape (m,)
        What followed, in units of the part; the largest percent is capped so that no single order rules.
    weight : ndarray, shape (m,)
        Positive.

    Returns
    -------
    LogLinear
    """
    centre, spread = design.mean(axis=0), design.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    x = _standard(design, centre, spread)
    w = weight / weight.mean()
    y = np.minimum(ratio, largest_ratio(ratio, w))
    beta = np.zeros(x.shape[1])
    beta[0] = np.log(max((w * y).sum() / w.sum(), 1e-6))
    ridge = RIDGE * len(y) * np.eye(x.shape[1])
    ridge[0, 0] = 0.0
    for _ in range(NEWTON_STEPS):
        mean = np.exp(np.clip(x @ beta, -12.0, 6.0))
        slope = x.T @ (w * (y - mean)) - ridge @ beta
        curve = (x * (w * mean)[:, None]).T @ x + ridge + 1e-9 * np.eye(x.shape[1])
        step = np.linalg.solve(curve, slope)
        largest = np.abs(step).max()
        beta = beta + step * min(1.0, 2.0 / max(largest, 1e-300))
        if largest < 1e-6:
            break
    return LogLinear(centre, spread, beta)


@dataclass(frozen=True)
class RankedWindows:
    """Windows ranked by their index and cut into groups, each with its own distribution of the ratio.

    Parameters
    ----------
    centres : ndarray, shape (g,)
        Mean index of each group, rising.
    tables : ndarray, shape (g, k + 3)
        Quantiles of the ratio, its share of zeros, its mean and its variance.
    """

    centres: FloatArray
    tables: FloatArray

    def predict(self, index: FloatArray) -> FloatArray:
        """Distribution of the ratio at given indices, between neighbouring groups in log index.

        Parameters
        ----------
        index : ndarray, shape (m,)

        Returns
        -------
        ndarray, shape (m, k + 3)
            Quantiles, share of zeros, mean, variance.
        """
        position = np.log(index + INDEX_FLOOR)
        grid = np.log(self.centres + INDEX_FLOOR)
        out = np.stack([np.interp(position, grid, column) for column in self.tables.T], axis=1)
        beyond = np.clip(index / max(self.centres[-1], 1e-12), 1.0, FARTHEST)
        out[:, :-3] *= beyond[:, None]
        out[:, -2] *= beyond
        out[:, -1] *= beyond**2
        return out


def rank_windows(index: FloatArray, ratio: FloatArray, unit: FloatArray, levels: FloatArray) -> RankedWindows:
    """Cut windows into groups of like index and tabulate what followed.

    Parameters
    ----------
    index, ratio, unit : ndarray, shape (m,)
        Index of each window, what followed in units of the part, and that unit.
    levels : ndarray, shape (k,)
        Rising.

    Returns
    -------
    RankedWindows
    """
    size = int(min(LARGEST_GROUP, max(SMALLEST_GROUP, len(index) / GROUPS)))
    groups = max(1, len(index) // size)
    order = np.argsort(index, kind="stable")
    group = np.empty(len(index), dtype=np.int64)
    group[order] = np.arange(len(index)) * groups // len(index)
    tables = group_tables(group, groups, ratio, unit, levels, largest_ratio(ratio, np.sqrt(unit)))
    smooth = tables.copy()
    if groups > 2:
        smooth[1:-1] = 0.25 * tables[:-2] + 0.5 * tables[1:-1] + 0.25 * tables[2:]
    centres = np.bincount(group, index, groups) / np.bincount(group, minlength=groups)
    return RankedWindows(np.maximum.accumulate(centres), smooth)


def group_tables(
    group: NDArray[np.int64],
    groups: int,
    ratio: FloatArray,
    unit: FloatArray,
    levels: FloatArray,
    largest: float,
) -> FloatArray:
    """Weighted quantiles, share of zeros, mean and variance of the ratio in every group.

    Parameters
    ----------
    group : ndarray of int, shape (m,)
        Group of each window, 0 .. groups - 1; every group has members.
    groups : int
    ratio, unit : ndarray, shape (m,)
    levels : ndarray, shape (k,)
    largest : float
        Ratio beyond which a window counts as no more for the mean and the variance (`largest_ratio`).

    Returns
    -------
    ndarray, shape (groups, k + 3)

    Notes
    -----
    Quantiles weigh a window by the root of its unit, between one part one vote and one piece one vote; means
    weigh by the unit, so that pieces add up, and are capped, so that one project does not.
    """
    order = np.lexsort((ratio, group))
    weight = np.sqrt(unit)[order]
    running = np.cumsum(weight)
    ends = np.cumsum(np.bincount(group, minlength=groups))
    base = np.concatenate([[0.0], running[ends[:-1] - 1]])
    total = running[ends - 1] - base
    # A position just below the wanted share finds the first window that reaches it despite rounding.
    wanted = base[:, None] + levels * total[:, None] * (1 - 1e-12)
    place = np.clip(
        np.searchsorted(running, wanted),
        (ends - np.bincount(group, minlength=groups))[:, None],
        ends[:, None] - 1,
    )
    quantiles = ratio[order][place]
    none = np.bincount(group, np.sqrt(unit) * (ratio == 0), groups) / total
    pieces = np.bincount(group, unit, groups)
    tame = np.minimum(ratio, largest)
    mean = np.bincount(group, unit * tame, groups) / pieces
    spread = np.bincount(group, unit * (tame - mean[group]) ** 2, groups) / pieces
    return np.column_stack([quantiles, none, mean, spread])


def largest_ratio(ratio: FloatArray, weight: FloatArray) -> float:
    """Quantile of the positive ratios above which a window is taken for a one-off.

    Parameters
    ----------
    ratio, weight : ndarray, shape (m,)

    Returns
    -------
    float
        Infinite where there are no positive ratios.
    """
    some = ratio > 0
    if not some.any():
        return float("inf")
    return float(weighted_quantile(ratio[some], weight[some], np.array([ONE_OFF_LEVEL]))[0])


def weighted_quantile(values: FloatArray, weight: FloatArray, levels: FloatArray) -> FloatArray:
    """Least value at which the weight reaches each level.

    Parameters
    ----------
    values, weight : ndarray, shape (m,)
    levels : ndarray, shape (k,)

    Returns
    -------
    ndarray, shape (k,)
    """
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weight[order])
    place = np.searchsorted(running, levels * running[-1] * (1 - 1e-12))
    return values[order][np.minimum(place, len(values) - 1)]


def _standard(design: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(design)), (design - centre) / spread])
