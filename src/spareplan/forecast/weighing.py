"""Weigh forecasts by how they did on past origins, class of series by class, near to a prior."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.scores import pinball_losses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Series with none, 1-2, 3-5, 6-11 and more demands so far: what a history says grows with them. Series that
# have been quiet for four times as long as usual, as one in fifty is by chance, are a class of their own.
CLASS_EDGES = (1, 3, 6, 12)
QUIET, QUIET_DEMANDS = 4.0, 3
QUIET_CLASS = len(CLASS_EDGES) + 1
CLASSES = QUIET_CLASS + 1
# With much evidence, a forecast that lost a tenth more than the best keeps exp(-6) of its weight; with that
# many series with demand, exp(-3).
SHARPNESS = 60.0
HALF_SHARP = 200.0
# Series with demand in a class whose verdict weighs as much as that of the whole panel.
CLASS_EVIDENCE = 50.0


def history_class(demands: FloatArray, age: FloatArray, recency: FloatArray) -> IntArray:
    """Class of each series, 0 .. `QUIET_CLASS`.

    Parameters
    ----------
    demands : ndarray, shape (n,)
        Periods with demand so far.
    age, recency : ndarray, shape (n,)
        Time since the first and since the last of them, in one unit.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    usual = (age - recency) / np.maximum(demands - 1, 1)
    quiet = (demands >= QUIET_DEMANDS) & (recency > QUIET * usual)
    return np.where(quiet, QUIET_CLASS, np.digitize(demands, CLASS_EDGES))


def past_losses(
    y: FloatArray, unit: FloatArray, quantiles: list[FloatArray], levels: FloatArray
) -> FloatArray:
    """Loss of each forecast on each series, between one part one vote and one piece one vote.

    Parameters
    ----------
    y, unit : ndarray, shape (m,)
        What came [pieces], and the unit of each part.
    quantiles : list of ndarray, shape (m, k)
        One per forecast. [pieces]
    levels : ndarray, shape (k,)

    Returns
    -------
    ndarray, shape (m, forecasts)
        Mean pinball loss over the root of the unit.
    """
    scale = 1 / np.sqrt(unit)
    return np.column_stack([pinball_losses(y, q, levels).mean(axis=1) * scale for q in quantiles])


def class_weights(losses: FloatArray, classes: IntArray, hit: FloatArray, prior: FloatArray) -> FloatArray:
    """Weights of the forecasts for each class of series.

    Parameters
    ----------
    losses : ndarray, shape (m, forecasts)
    classes : ndarray of int, shape (m,)
    hit : ndarray, shape (m,)
        1 where something was demanded: only those tell much.
    prior : ndarray, shape (forecasts,)
        Weights without any evidence; sum to 1.

    Returns
    -------
    ndarray, shape (CLASSES, forecasts)
        Rows sum to 1.

    Notes
    -----
    Exponential weights on relative losses [1]_, the sharper the more is known; a class's losses count in
    proportion to its evidence, those of the whole panel for the rest; quiet series, which are unlike the
    others, have the prior for the rest.

    References
    ----------
    .. [1] Vovk (1990), Aggregating strategies, Proceedings of COLT, 371-386.
    """
    summed = np.stack([np.bincount(classes, column, CLASSES) for column in losses.T], axis=1).astype(float)
    evidence = np.bincount(classes, hit, CLASSES).astype(float)
    trust = (evidence / (evidence + CLASS_EVIDENCE))[:, None]
    panel = np.tile(_behind(summed.sum(axis=0, keepdims=True)), (CLASSES, 1))
    panel[QUIET_CLASS] = 0.0
    behind = trust * _behind(summed) + (1 - trust) * panel
    sharpness = SHARPNESS * evidence.sum() / (evidence.sum() + HALF_SHARP)
    weight = prior * np.exp(-sharpness * behind)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _behind(losses: FloatArray) -> FloatArray:
    """How much more than the best each forecast lost, relative to it."""
    best = losses.min(axis=1, keepdims=True)
    return np.where(best > 0, losses / np.where(best > 0, best, 1.0) - 1.0, 0.0)
