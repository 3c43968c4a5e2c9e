"""Finer shapes for parts that failed often: nine shapes are plenty for a few failures, not for hundreds.

With k failures ln beta is known to about 0.78 / sqrt(k). Where that is less than the distance of two nodes,
the posterior is read on a finer grid: the likelihood there is exact but for the sums of powers, which are
smooth in ln beta, and what the prior adds is smoother still.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from spareplan.forecast.likelihood import LifeFit
from spareplan.forecast.sparse import SHAPES, PooledLives, between_nodes

FloatArray = NDArray[np.float64]
LOG_SHAPES = np.log(SHAPES)
STEP = float(LOG_SHAPES[1] - LOG_SHAPES[0])
# Failures from which the step is cut into so many.
CUTS = ((12, 2), (40, 3), (150, 6))
LEAST_WEIGHT = 1e-3


class Laws(NamedTuple):
    """Posterior of every part, as a few Weibull laws with a gamma rate each.

    Parameters
    ----------
    weight, shape, scale, failures : list of ndarray, each of shape (laws,)
        Per part: weight, shape, scale [hours or days], and gamma shape of the rate.
    """

    weight: list[FloatArray]
    shape: list[FloatArray]
    scale: list[FloatArray]
    failures: list[FloatArray]


def refined_laws(posterior: PooledLives, k: FloatArray, log_sum: FloatArray, sums: FloatArray) -> Laws:
    """Read the posterior of each part on as fine a grid of shapes as its failures allow.

    Parameters
    ----------
    posterior : PooledLives
    k, log_sum : ndarray, shape (parts,)
        Failures, and the sum of ln(age / unit) over them.
    sums : ndarray, shape (parts, nodes)
        Sums of powers at the nodes. [unit^beta]

    Returns
    -------
    Laws
    """
    unit = np.broadcast_to(np.asarray(posterior.unit, dtype=float), k.shape)
    parts = len(k)
    out = Laws(*([np.empty(0)] * parts for _ in range(4)))
    cut = np.ones(parts, dtype=np.int64)
    for least, pieces in CUTS:
        cut[k >= least] = pieces
    for pieces in np.unique(cut):
        rows = np.flatnonzero(cut == pieces)
        if pieces == 1:
            log_shape, weight = LOG_SHAPES, posterior.weight[rows]
            failures, scale = posterior.failures[rows], posterior.scales()[rows]
        else:
            log_shape = np.linspace(LOG_SHAPES[0], LOG_SHAPES[-1], (len(SHAPES) - 1) * int(pieces) + 1)
            weight, failures, scale = _finer(posterior, rows, k, log_sum, sums, unit, log_shape)
        shape = np.exp(log_shape)
        for place, row in enumerate(rows):
            keep = weight[place] > LEAST_WEIGHT
            share = weight[place, keep]
            values = (share / share.sum(), shape[keep], scale[place, keep], failures[place, keep])
            for column, value in zip(out, values):
                column[row] = value
    return out


def _finer(
    posterior: PooledLives,
    rows: NDArray[np.int64],
    k: FloatArray,
    log_sum: FloatArray,
    sums: FloatArray,
    unit: FloatArray,
    log_shape: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weight, gamma shape and scale at finer shapes, arrays (rows, shapes)."""
    count, total = k[rows, None], log_sum[rows, None]
    log_s = np.log(np.maximum(sums[rows], 1e-300))

    def likelihood(at: FloatArray, log_power: FloatArray) -> FloatArray:
        return np.asarray(
            count * at + (np.exp(at) - 1) * total + gammaln(np.maximum(count, 1e-9)) - count * log_power
        )

    def between(values: FloatArray) -> FloatArray:
        return np.column_stack([between_nodes(values, np.full(len(rows), at)) for at in log_shape])

    with np.errstate(divide="ignore"):
        log_weight = np.log(posterior.weight[rows])
    gap = log_weight - likelihood(LOG_SHAPES, log_s)
    # Far from the best shape weights vanish: there the prior's share goes on as at the nearest known node.
    known = np.isfinite(gap) & (log_weight > -500)
    best = log_weight.argmax(axis=1)
    nodes = np.arange(len(SHAPES))
    distance = np.where(known[:, None, :], np.abs(nodes[:, None] - nodes), len(nodes))
    nearest = distance.argmin(axis=2)
    gap = np.where(known, gap, np.take_along_axis(gap, nearest, axis=1))
    gap = np.where(np.isfinite(gap), gap, gap[np.arange(len(rows)), best][:, None])
    power = between(log_s)
    fine = likelihood(log_shape, power) + between(gap)
    weight = np.exp(fine - fine.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    extra = between(posterior.failures[rows] - count)
    failures = count + np.maximum(extra, 1e-3)
    ratio = between(np.log(posterior.exposure[rows]) - log_s)
    log_rate = np.log(failures) - ratio - power
    return weight, failures, unit[rows, None] * np.exp(-log_rate / np.exp(log_shape))


def point_laws(
    fit: LifeFit,
    posterior: PooledLives,
    laws: Laws,
    k: FloatArray,
    log_sum: FloatArray,
    sums: FloatArray,
) -> LifeFit:
    """Give one law per part, for tables and pictures.

    Parameters
    ----------
    fit : LifeFit
        One law per part from the nodes alone.
    posterior : PooledLives
    laws : Laws
    k, log_sum, sums
        As in `refined_laws`.

    Returns
    -------
    LifeFit
        Parts on finer grids at the means of their laws' ln shape and ln scale, the others as in `fit`.
    """
    unit = np.broadcast_to(np.asarray(posterior.unit, dtype=float), k.shape)
    out = LifeFit(*(np.array(column) for column in fit))
    often = np.flatnonzero(k >= CUTS[0][0])
    moments = np.empty((len(often), 4))
    for place, row in enumerate(often):
        weight, log_shape = laws.weight[row], np.log(laws.shape[row])
        log_scale, doubt = np.log(laws.scale[row]), 1 / (laws.failures[row] * laws.shape[row] ** 2)
        mean = weight @ log_shape, weight @ log_scale
        spread = weight @ (log_shape - mean[0]) ** 2, weight @ ((log_scale - mean[1]) ** 2 + doubt)
        moments[place] = *mean, *np.sqrt(spread)
    # A grid cannot show less doubt than the curvature of the likelihood.
    shape, scale = np.exp(moments[:, 0]), np.exp(moments[:, 1])
    shape_sd = np.maximum(moments[:, 2], 0.78 / np.sqrt(k[often]) * (moments[:, 2] < STEP / 12))
    own = between_nodes(np.log(np.maximum(sums[often], 1e-300)), moments[:, 0])
    log_rate = shape * np.log(unit[often] / scale)
    values = (
        k[often] * np.log(shape) + (shape - 1) * log_sum[often] + k[often] * log_rate - np.exp(log_rate + own)
    )
    out.first[often], out.second[often] = shape, scale
    out.first_se[often], out.second_se[often] = shape * shape_sd, scale * moments[:, 3]
    out.loglik[often] = values - k[often] * np.log(unit[often])
    return out
