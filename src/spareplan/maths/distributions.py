"""Counts with a mean and a variance: Poisson, negative binomial, binomial.

One rule serves the whole project: variance above the mean is a negative binomial, equal to it a Poisson,
below it (renewals are more regular than chance) a binomial, each matched to both moments. Where a caller
wants the safe side for small variances it passes ``max(variance, mean)``.

References
----------
.. [1] Sherbrooke (2004), Optimal Inventory Modeling of Systems, ch. 2 and 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

FloatArray = NDArray[np.float64]
# Below this relative distance the two-parameter laws are numerically a Poisson.
POISSON_TOLERANCE = 1e-9


def cdf(count: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None) -> FloatArray:
    """Probability that the count is at most `count`.

    Parameters
    ----------
    count : array-like, broadcast to shape (n,)
        Number of pieces; below 0 the probability is 0. [pieces]
    mean, variance : array-like, broadcast to shape (n,)
        Moments of the count; variance None means Poisson. [pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
        P(N <= count).
    """
    k, m, v = _moments(count, mean, variance)
    out = np.where(k >= 0, special.pdtr(np.maximum(k, 0), m), 0.0)
    over, under = _kinds(m, v)
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        out[over] = special.betainc(size, np.maximum(k[over], 0) + 1, keep) * (k[over] >= 0)
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        out[under] = stats.binom.cdf(k[under], trials, chance)
    return out


def pmf(count: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None) -> FloatArray:
    """Probability of exactly `count` pieces (arguments as in `cdf`).

    Parameters
    ----------
    count, mean, variance : array-like, broadcast to shape (n,)
        [pieces, pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
        P(N = count).
    """
    k, m, v = _moments(count, mean, variance)
    out = np.asarray(stats.poisson.pmf(k, m), dtype=float)
    over, under = _kinds(m, v)
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        out[over] = stats.nbinom.pmf(k[over], size, keep)
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        out[under] = stats.binom.pmf(k[under], trials, chance)
    return out


def loss(stock: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None) -> FloatArray:
    """Expected shortfall E[(N - stock)+] of a count (arguments as in `cdf`).

    Parameters
    ----------
    stock, mean, variance : array-like, broadcast to shape (n,)
        [pieces, pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
        E[(N - stock)+]. [pieces]

    Notes
    -----
    Poisson: (m - S) P(N > S) + m p(S). Negative binomial with size r and keep q: (m - S) P(N > S) +
    (S + r)(1 - q)/q p(S) [1]_. Both follow from n p(n) recursions. Far in the upper tail the two terms
    cancel, so there the tail is summed instead.
    """
    k, m, v = _moments(stock, mean, variance)
    k, m, v = (np.atleast_1d(a) for a in (k, m, v))
    shape = k.shape
    k, m, v = (a.ravel() for a in (k, m, v))
    whole = np.floor(k)
    base = np.maximum(whole, 0.0)
    over, under = _kinds(m, v)
    above = 1.0 - cdf(base, m, v)
    at = pmf(base, m, v)
    edge = m * at
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        edge[over] = (base[over] + size) * (1 - keep) / keep * at[over]
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        edge[under] = (trials - base[under]) * chance * at[under]
    out = (m - base) * above + edge
    far = (base > m + 4 * np.sqrt(np.maximum(v, m))) & (m > 0)
    if far.any():
        steps = np.arange(1, 400)
        tail = pmf(base[far, None] + steps, m[far, None], v[far, None])
        out[far] = (tail * steps).sum(axis=1)
    out = np.maximum(out, 0.0)
    # Between whole pieces and below zero the loss is linear.
    inside = np.where(k >= 0, (k - whole) * (1.0 - cdf(base, m, v)), 0.0)
    return np.where(k < 0, m - k, out - inside).reshape(shape)


def quantile(level: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None) -> FloatArray:
    """Least whole number q with P(N <= q) >= level.

    Parameters
    ----------
    level : array-like, broadcast to shape (n,)
        Between 0 and 1.
    mean, variance : array-like, broadcast to shape (n,)
        Moments; variance None means Poisson. [pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
        Whole numbers as float. [pieces]
    """
    p, m, v = _moments(level, mean, variance)
    out = np.where(m > 0, stats.poisson.ppf(p, np.maximum(m, 1e-300)), 0.0)
    over, under = _kinds(m, v)
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        out[over] = stats.nbinom.ppf(p[over], size, keep)
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        out[under] = stats.binom.ppf(p[under], trials, chance)
    return np.maximum(out, 0.0)


def _moments(first: ArrayLike, mean: ArrayLike, variance: ArrayLike | None) -> tuple[FloatArray, ...]:
    second = mean if variance is None else variance
    arrays = np.broadcast_arrays(np.asarray(first, float), np.asarray(mean, float), np.asarray(second, float))
    return tuple(np.array(a, dtype=float) for a in arrays)


def _kinds(mean: FloatArray, variance: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    over = (variance > mean * (1 + POISSON_TOLERANCE)) & (mean > 0)
    under = (variance < mean * (1 - POISSON_TOLERANCE)) & (mean > 0)
    return over, under


def _negative_binomial(mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    keep = mean / variance
    return mean * keep / (1 - keep), keep


def _binomial(mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    # Whole trials keep the mean exact; the variance is matched to the nearest that a binomial can have.
    trials = np.maximum(np.ceil(mean**2 / np.maximum(mean - variance, 1e-12) - 1e-9), np.ceil(mean))
    return trials, mean / trials
