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
    cluster: IntArray,
    groups: sparse.csr_array,
    base: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Intervals for the losses of forecasts relative to one of them, by group.

    All forecasts and groups see the same resamples; what is drawn is a cluster, such as a part with all its
    sites and origins, with Poisson(1) weights [1]_.

    Parameters
    ----------
    losses : ndarray, shape (m, n)
        Loss of each forecast in each trial. [pieces]
    cluster : ndarray of int, shape (n,)
        What is drawn together, numbered from 0.
    groups : sparse array, shape (g, n)
        1 where a trial belongs to a group.
    base : int
        The forecast the others are held against.
    resamples, seed : int

    Returns
    -------
    low, high : ndarray, shape (g, m)
        95 % interval of the ratio of losses; NaN in groups of fewer than 10 clusters.
    clusters : ndarray of int, shape (g,)

    References
    ----------
    .. [1] Hanley & MacGibbon (2006), Creating non-parametric bootstrap samples using Poisson frequencies,
       Computer Methods and Programs in Biomedicine 83, 57-62.
    """
    count = int(cluster.max()) + 1 if len(cluster) else 0
    by_cluster = sparse.csr_array(
        (np.ones(len(cluster)), (np.arange(len(cluster)), cluster)), shape=(len(cluster), count)
    )
    sums = [(groups @ sparse.diags_array(row) @ by_cluster).tocsr() for row in losses]
    clusters = np.diff((groups @ by_cluster).tocsr().indptr)
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(losses), groups.shape[0]))
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        weights = rng.poisson(1.0, (count, size)).astype(float)
        for number, each in enumerate(sums):
            drawn[start : start + size, number] = (each @ weights).T
    reference = drawn[:, [base], :]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(reference > 0, drawn / reference, np.nan)
    bounds = np.full((2, len(losses), groups.shape[0]), np.nan)
    told = (clusters >= FEWEST) & np.isfinite(ratios).all(axis=(0, 1))
    if told.any():
        edge = (1 - COVER) / 2
        bounds[:, :, told] = np.quantile(ratios[:, :, told], [edge, 1 - edge], axis=0)
    return bounds[0].T, bounds[1].T, clusters
