"""Which difference between two forecasts is real: a paired bootstrap over series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RESAMPLES = 500
COVER = 0.95
# A resample of fewer series than this says little about others.
FEWEST = 10
CHUNK = 50


def loss_ratios(
    losses: FloatArray,
    groups: sparse.csr_array,
    clusters: sparse.csr_array,
    base: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Intervals for the losses of forecasts relative to one of them, by group.

    All forecasts and groups see the same resamples; what is drawn is a cluster, such as a part with all its
    sites and origins, with Poisson(1) weights [1]_.

    Parameters
    ----------
    losses : ndarray, shape (m, n)
        Loss of each forecast in each trial. [pieces]
    groups : sparse array, shape (g, n)
        1 where a trial belongs to a group.
    clusters : sparse array, shape (n, p)
        1 where a trial belongs to a cluster.
    base : int
        The forecast the others are held against.
    resamples, seed : int

    Returns
    -------
    low, high : ndarray, shape (g, m)
        95 % interval of the ratio of losses; NaN in groups of fewer than 10 clusters.

    References
    ----------
    .. [1] Hanley & MacGibbon (2006), Creating non-parametric bootstrap samples using Poisson frequencies,
       Computer Methods and Programs in Biomedicine 83, 57-62.
    """
    sums = [(groups @ sparse.diags_array(row) @ clusters).tocsr() for row in losses]
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, groups.shape[0], len(losses)))
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        weights = rng.poisson(1.0, (clusters.shape[1], size)).astype(float)
        for number, each in enumerate(sums):
            drawn[start : start + size, :, number] = (each @ weights).T
    reference = drawn[:, :, [base]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(reference > 0, drawn / reference, np.nan)
    bounds = np.full((2, *ratios.shape[1:]), np.nan)
    told = (_count(groups, clusters) >= FEWEST) & np.isfinite(ratios).all(axis=(0, 2))
    if told.any():
        edge = (1 - COVER) / 2
        bounds[:, told] = np.quantile(ratios[:, told], [edge, 1 - edge], axis=0)
    return bounds[0], bounds[1]


def ratio_noise(
    over: FloatArray, under: FloatArray, groups: sparse.csr_array, clusters: sparse.csr_array
) -> FloatArray:
    """Standard error of the ratio of two sums, by group, where clusters are drawn.

    Parameters
    ----------
    over, under : ndarray, shape (n,)
        What each trial adds to the sums.
    groups : sparse array, shape (g, n)
    clusters : sparse array, shape (n, p)

    Returns
    -------
    ndarray, shape (g,)
        By linearisation [1]_; NaN in groups of fewer than 10 clusters, or where the lower sum is 0.

    References
    ----------
    .. [1] Cochran (1977), Sampling Techniques, ch. 6: the variance of a ratio of sums over clusters.
    """
    above, below = (
        (groups @ sparse.diags_array(np.asarray(row, dtype=float)) @ clusters).tocsr()
        for row in (over, under)
    )
    total = np.asarray(below.sum(axis=1)).ravel()
    safe = np.where(total > 0, total, np.nan)
    ratio = np.asarray(above.sum(axis=1)).ravel() / safe
    off = (above - sparse.diags_array(np.nan_to_num(ratio)) @ below).tocsr()
    noise = np.sqrt(np.asarray(off.multiply(off).sum(axis=1)).ravel()) / safe
    return np.where(_count(groups, clusters) >= FEWEST, noise, np.nan)


def _count(groups: sparse.csr_array, clusters: sparse.csr_array) -> IntArray:
    """Number of clusters of each group."""
    return np.diff((groups @ clusters).tocsr().indptr).astype(np.int64)
