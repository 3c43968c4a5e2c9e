"""Learn from what followed on every past origin of the panel: the pooled model of demand sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.forest import grow_forest
from spareplan.forecast.history_features import History, glm_design, tick_length
from spareplan.forecast.history_quantiles import fit_log_linear, rank_windows

FloatArray = NDArray[np.float64]
# Below so many (series x periods) every period is an origin, above it sums do not overlap.
OVERLAP_BELOW = 30_000
MOST_WINDOWS = 100_000
LEAST_WINDOWS = 30
FEWEST_ORIGINS = 4
# Sums longer than this part of the history are stretched from shorter ones, which have more origins.
LONGEST_PART = 4


@dataclass(frozen=True)
class PooledSums:
    """Distribution of the sum for every series.

    Parameters
    ----------
    mean, variance : ndarray, shape (n,)
        [pieces, pieces²]
    quantiles : ndarray, shape (n, k)
        [pieces]
    none : ndarray, shape (n,)
        Probability that nothing is demanded.
    evidence : float
        Effective number of training windows in which something was demanded: few heavy parts count as few,
        and windows that overlap count once.
    windows : float
        Number of training windows, those that overlap counted once.
    """

    mean: FloatArray
    variance: FloatArray
    quantiles: FloatArray
    none: FloatArray
    evidence: float
    windows: float


def shortest_training(lead: int, length: int) -> int:
    """Place the first origin of the training windows."""
    return max(9, min(round(12 * tick_length(lead, length)), length // 2))


def longest_lead(length: int) -> int:
    """Bound the sums that a history of some length can teach; longer ones must be stretched."""
    return max(1, length // LONGEST_PART)


def forecast_sums(
    demand: FloatArray, lead: int, levels: FloatArray, exposure: FloatArray | None = None
) -> PooledSums | None:
    """Forecast the sum of the next `lead` periods by pooling what followed past origins.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first, NaN where unknown or not started. [pieces]
    lead : int
        [periods]
    levels : ndarray, shape (k,)
        Rising, between 0 and 1.
    exposure : ndarray, shape (n, c), optional
        What wears the part, e.g. machines in service; NaN rows where unknown. The forecast is for the
        exposure of the last period.

    Returns
    -------
    PooledSums, or None where the history is too short to learn from.
    """
    n, c = demand.shape
    first = shortest_training(lead, c)
    if c - lead < first:
        return None
    history = History(demand, tick_length(lead, c), exposure)
    step = 1 if n * (c - 12) < OVERLAP_BELOW else max(1, min(lead, (c - lead - first) // FEWEST_ORIGINS))
    origins = list(range(c - lead, first - 1, -step))[::-1]
    *past, now = history.snapshots([*origins, c], lead)
    features = np.concatenate([snapshot.features for snapshot in past])
    unit = np.concatenate([snapshot.unit for snapshot in past])
    followed = np.concatenate([history.outcomes(t, lead, s.rows) for t, s in zip(origins, past)])
    use = np.isfinite(followed)
    if use.sum() < LEAST_WINDOWS:
        return None
    features, unit, ratio = features[use], unit[use], followed[use] / unit[use]
    fresh = min(step / lead, 1.0)
    evidence, windows = effective_number(unit[ratio > 0]) * fresh, len(ratio) * fresh
    if len(ratio) > MOST_WINDOWS:
        pick = np.linspace(0, len(ratio) - 1, MOST_WINDOWS).astype(np.int64)
        features, unit, ratio = features[pick], unit[pick], ratio[pick]
    design = glm_design(features)
    line = fit_log_linear(design, ratio, np.sqrt(unit))
    ranked = rank_windows(line.predict(design), ratio, unit, levels)
    by_rank = ranked.predict(line.predict(glm_design(now.features)))
    by_tree = grow_forest(features, ratio, unit, levels).predict(now.features)
    tables = (by_rank + by_tree) / 2
    quantiles, none, mean, variance = np.zeros((n, len(levels))), np.ones(n), np.zeros(n), np.zeros(n)
    quantiles[now.rows] = tables[:, :-3] * now.unit[:, None]
    none[now.rows], mean[now.rows] = tables[:, -3], tables[:, -2] * now.unit
    variance[now.rows] = tables[:, -1] * now.unit**2
    return PooledSums(mean, variance, quantiles, none, evidence, windows)


def effective_number(weight: FloatArray) -> float:
    """Count the equal weights that would say as much, (sum w)² / sum w² [1]_.

    Parameters
    ----------
    weight : ndarray, shape (m,)
        Positive.

    Returns
    -------
    float

    References
    ----------
    .. [1] Kish (1965), Survey Sampling, section 11.7.
    """
    return float(weight.sum() ** 2 / np.square(weight).sum()) if weight.size else 0.0
