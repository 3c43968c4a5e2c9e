"""Whether forecast distributions of counts say the truth: probability integral transforms without chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
# Probabilities nearer to each other than this are the same.
NO_STEP = 1e-12


def count_places(counts: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Where each count lies in its forecast distribution, as far as the quantiles tell.

    Parameters
    ----------
    counts : array-like, shape (n,)
        [pieces]
    quantiles : array-like, shape (n, k)
        Least q with P(N <= q) >= level. [pieces]
    levels : array-like, shape (k,)
        Rising.

    Returns
    -------
    below, reached : ndarray, shape (n,)
        P(N < y) and P(N <= y): the middle of the levels between which the probability lies, 0 where nothing
        lies below.

    Examples
    --------
    No pieces with 7 in 10, at most one with 9 in 10:

    >>> below, reached = count_places([1.0], [[0, 1, 2]], [0.7, 0.9, 0.99])
    >>> below.round(3).tolist(), reached.round(3).tolist()
    ([0.8], [0.945])
    """
    y, edges = np.asarray(counts, dtype=float), np.asarray(quantiles, dtype=float)
    marks = np.concatenate([[0.0], np.asarray(levels, dtype=float), [1.0]])
    under, upto = (edges < y[:, None]).sum(axis=1), (edges <= y[:, None]).sum(axis=1)
    middle = (marks[:-1] + marks[1:]) / 2
    # No quantile below says only that P(N < y) is under the first level; at y = 0 it is nothing.
    low = np.where((under == 0) & (y <= 0), 0.0, middle[under])
    return np.minimum(low, middle[upto]), middle[upto]


def pit_histogram(below: ArrayLike, reached: ArrayLike, edges: ArrayLike) -> FloatArray:
    """Share of each count's step that falls between edges: the non-randomised PIT histogram [1]_.

    Parameters
    ----------
    below, reached : array-like, shape (n,)
        P(N < y) and P(N <= y) under the forecast.
    edges : array-like, shape (b + 1,)
        Rising from 0 to 1.

    Returns
    -------
    ndarray, shape (n, b)
        Rows add up to 1; their mean is the histogram, flat where the forecast says the truth.

    References
    ----------
    .. [1] Czado, Gneiting & Held (2009), Predictive model assessment for count data, Biometrics 65,
       1254-1261.

    Examples
    --------
    >>> pit_histogram([0.0], [0.4], [0.0, 0.2, 0.5, 1.0]).tolist()
    [[0.5, 0.5, 0.0]]
    """
    low, high = np.asarray(below, dtype=float)[:, None], np.asarray(reached, dtype=float)[:, None]
    marks = np.asarray(edges, dtype=float)
    wide = high - low
    step = wide > NO_STEP
    inside = np.clip((marks - low) / np.where(step, wide, 1.0), 0.0, 1.0)
    # A step without width lies where it is; the last edge closes the last bin.
    at = (marks > low) | (marks >= 1.0)
    return np.diff(np.where(step, inside, at.astype(float)), axis=1)
