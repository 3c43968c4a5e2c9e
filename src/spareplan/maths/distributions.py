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
# Up to this mean quantiles are found by adding probabilities up. [pieces]
FEW = 8.0
# Pieces that are summed beyond a stock far in the tail; enough while the tail falls by a tenth per piece.
_STEPS = np.arange(1, 400)


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


def sf(count: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None) -> FloatArray:
    """Probability of more than `count` pieces, exact far in the tail (arguments as in `cdf`).

    Parameters
    ----------
    count, mean, variance : array-like, broadcast to shape (n,)
        [pieces, pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
        P(N > count).
    """
    k, m, v = _moments(count, mean, variance)
    out = np.where(k >= 0, special.pdtrc(np.maximum(np.floor(k), 0), m), 1.0)
    over, under = _kinds(m, v)
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        whole = np.maximum(np.floor(k[over]), 0)
        out[over] = np.where(k[over] >= 0, special.betainc(whole + 1, size, 1 - keep), 1.0)
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        out[under] = stats.binom.sf(k[under], trials, chance)
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
    above = sf(base, m, v)
    at = pmf(base, m, v)
    edge = m * at
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        edge[over] = (base[over] + size) * (1 - keep) / keep * at[over]
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        edge[under] = (trials - base[under]) * chance * at[under]
    out = (m - base) * above + edge
    far = _far_tail(base, m, v)
    if far.any():
        out[far] = (_tail(base[far], m[far], v[far]) * _STEPS).sum(axis=1)
    out = np.maximum(out, 0.0)
    # Between whole pieces and below zero the loss is linear.
    inside = np.where(k >= 0, (k - whole) * above, 0.0)
    return np.where(k < 0, m - k, out - inside).reshape(shape)


def backlog(
    stock: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the shortfall (N - stock)+ over a whole stock (arguments as in `cdf`).

    Parameters
    ----------
    stock : array-like of whole numbers >= 0, broadcast to shape (n,)
        [pieces]
    mean, variance : array-like, broadcast to shape (n,)
        A variance below the mean counts as Poisson. [pieces, pieces²]

    Returns
    -------
    mean, variance : ndarray, shape (n,)
        [pieces, pieces²]

    Notes
    -----
    With B the shortfall, E[B(B - 1)] is for a Poisson ((m - S)^2 + S) P(N > S) + m (m - S) p(S) and for a
    negative binomial with size r and b = (1 - q)/q: (r (r + 1) b^2 - 2 r b S + S (S + 1)) P(N > S) +
    ((r + 1) b - S)(S + r) b p(S) [2]_.

    References
    ----------
    .. [2] Zipkin (2000), Foundations of Inventory Management, C.2.3.
    """
    k, m, v = _moments(stock, mean, variance)
    k, m, v = (np.atleast_1d(a) for a in (k, m, v))
    shape = k.shape
    k, m, v = (a.ravel() for a in (k, m, np.maximum(v, m)))
    first = loss(k, m, v)
    above, at = sf(k, m, v), pmf(k, m, v)
    second = ((m - k) ** 2 + k) * above + m * (m - k) * at
    over, _ = _kinds(m, v)
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        odds, s = (1 - keep) / keep, k[over]
        second[over] = (size * (size + 1) * odds**2 - 2 * size * odds * s + s * (s + 1)) * above[over] + (
            (size + 1) * odds - s
        ) * (s + size) * odds * at[over]
    far = _far_tail(k, m, v)
    if far.any():
        second[far] = (_tail(k[far], m[far], v[far]) * _STEPS * (_STEPS - 1)).sum(axis=1)
    spread = np.maximum(np.maximum(second, 0.0) + first - first**2, 0.0)
    return first.reshape(shape), spread.reshape(shape)


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
    out = np.zeros(m.shape)
    over, under = _kinds(m, v)
    few = (m > 0) & (m <= FEW) & ~under & (p > 0) & (p < 1)
    out[few] = _quantile_of_few(p[few], m[few], np.where(over, v, m)[few])
    plain, over, under = (kind & ~few for kind in ((m > 0) & ~over & ~under, over, under))
    if plain.any():
        out[plain] = stats.poisson.ppf(p[plain], m[plain])
    if over.any():
        size, keep = _negative_binomial(m[over], v[over])
        out[over] = stats.nbinom.ppf(p[over], size, keep)
    if under.any():
        trials, chance = _binomial(m[under], v[under])
        out[under] = stats.binom.ppf(p[under], trials, chance)
    return np.maximum(out, 0.0)


def _quantile_of_few(level: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Quantile by adding up probabilities from 0, where few pieces are expected; Poisson if v = m.

    Most rows of a forecast are done after a step or two, where an inverse function costs the same for all.
    """
    poisson = variance <= mean * (1 + POISSON_TOLERANCE)
    win = np.where(poisson, 1.0, mean / variance)
    lose = 1 - win
    size = np.where(poisson, 1.0, mean * win / np.where(poisson, 1.0, lose))
    # Not by log1p(-lose): a tiny mean of large variance makes lose 1.
    chance = np.where(poisson, np.exp(-mean), np.exp(size * np.log(win)))
    out = np.zeros(len(mean))
    left = np.flatnonzero(chance < level)
    chance, below = chance[left], chance[left].copy()
    count = 0
    while len(left):
        ratio = np.where(poisson[left], mean[left], (size[left] + count) * lose[left]) / (count + 1)
        count += 1
        chance = chance * ratio
        below = below + chance
        # Where what is added no longer counts, the sum has come as near to 1 as numbers can.
        done = (below >= level[left]) | ((chance < 1e-17) & (count > mean[left]))
        out[left[done]] = count
        left, chance, below = left[~done], chance[~done], below[~done]
    return out


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


def _far_tail(stock: FloatArray, mean: FloatArray, variance: FloatArray) -> NDArray[np.bool_]:
    top = np.maximum(variance, mean)
    return (stock > mean + 4 * np.sqrt(top)) & (mean > 0) & (top < 8 * mean)


def _tail(stock: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    return pmf(stock[:, None] + _STEPS, mean[:, None], variance[:, None])
