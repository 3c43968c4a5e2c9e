"""Learn from what followed on every past origin of the panel: the pooled model of demand sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.forest import TREES, Forest, bin_edges, bin_features, grow_on_bins
from spareplan.forecast.history_features import History, Snapshot, glm_design, tick_length
from spareplan.forecast.history_quantiles import (
    LogLinear,
    RankedWindows,
    fit_log_linear,
    largest_ratio,
    rank_windows,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Below so many (series x periods) every period is an origin, above it sums do not overlap.
OVERLAP_BELOW = 30_000
MOST_WINDOWS, ENOUGH_WINDOWS = 100_000, 20_000
LEAST_WINDOWS = 30
FEWEST_ORIGINS = 4
# Sums longer than this part of the history are stretched from shorter ones, which have more origins.
LONGEST_PART = 4
SEED = 7


@dataclass(frozen=True)
class SumModel:
    """A fitted pooled model.

    Parameters
    ----------
    line : LogLinear
        Index that ranks the windows.
    ranked : RankedWindows
        What followed windows of about the same index.
    forest : Forest
        What followed windows in the same leaves.
    excess : float
        What all windows add up to over what they do with the largest ones cut off, as the tables are.
    evidence : float
        Effective number of windows in which something was demanded: few heavy parts count as few, and windows
        that overlap count once.
    """

    line: LogLinear
    ranked: RankedWindows
    forest: Forest
    excess: float
    evidence: float

    def predict(self, now: Snapshot, traits: FloatArray) -> FloatArray:
        """Forecast the sums of the series of a snapshot.

        Parameters
        ----------
        now : Snapshot
        traits : ndarray, shape (n, d)
            Of all series of the panel.

        Returns
        -------
        ndarray, shape (m, k + 3)
            Quantiles [pieces], probability of no demand, mean [pieces], variance [pieces²].
        """
        by_rank = self.ranked.predict(self.line.predict(glm_design(now.features)))
        by_tree = self.forest.predict(_with_traits(now, traits))
        table = (by_rank + by_tree) / 2
        table[:, :-3] *= now.unit[:, None]
        table[:, -2] *= now.unit * self.excess
        table[:, -1] *= now.unit**2
        return table


def shortest_training(lead: int, length: int) -> int:
    """Place the first origin of the training windows."""
    return max(9, min(round(12 * tick_length(lead, length)), length // 2))


def longest_lead(length: int) -> int:
    """Bound the sums that a history of some length can teach; longer ones must be stretched."""
    return max(1, length // LONGEST_PART)


def training_origins(series: int, length: int, lead: int) -> list[int]:
    """Origins whose sums are known, rising; the last one is `lead` periods before the end.

    Parameters
    ----------
    series : int
        Number of series; few of them need windows that overlap.
    length, lead : int
        [periods]

    Returns
    -------
    list of int
        Empty where the history is too short to learn from.
    """
    first = shortest_training(lead, length)
    if length - lead < first:
        return []
    many = series * (length - 12) >= OVERLAP_BELOW
    step = max(1, min(lead, (length - lead - first) // FEWEST_ORIGINS)) if many else 1
    return list(range(length - lead, first - 1, -step))[::-1]


class Windows(NamedTuple):
    """What was known at past origins and what followed, origin after origin.

    Parameters
    ----------
    origin : ndarray of int, shape (m,)
    design : ndarray, shape (m, p)
        Columns of the log-linear index.
    bins : ndarray of uint8, shape (f, m)
        Features and traits, cut into bins for the forest.
    edges : list of ndarray
        Of the bins.
    unit, ratio : ndarray, shape (m,)
        Unit of the part, and the sum that followed in it.
    """

    origin: IntArray
    design: FloatArray
    bins: NDArray[np.uint8]
    edges: list[FloatArray]
    unit: FloatArray
    ratio: FloatArray


def gather_windows(
    history: History, shots: list[Snapshot], origins: list[int], lead: int, traits: FloatArray
) -> Windows | None:
    """Put every series at every past origin beside what followed.

    Parameters
    ----------
    history : History
    shots : list of Snapshot
        At the origins.
    origins : list of int
        Rising.
    lead : int
        Length of the sums. [periods]
    traits : ndarray, shape (n, d)
        What else is known of the series and does not change, such as unit cost.

    Returns
    -------
    Windows, or None where there are too few to learn from.
    """
    followed = [history.outcomes(t, lead, shot.rows) for t, shot in zip(origins, shots)]
    use = [np.isfinite(sums) for sums in followed]
    if sum(int(known.sum()) for known in use) < LEAST_WINDOWS:
        return None
    features = np.concatenate([_with_traits(shot, traits)[known] for shot, known in zip(shots, use)])
    unit = np.concatenate([shot.unit[known] for shot, known in zip(shots, use)])
    sums = np.concatenate([values[known] for values, known in zip(followed, use)])
    origin = np.repeat(origins, [int(known.sum()) for known in use])
    edges = bin_edges(features)
    shared = features[:, : features.shape[1] - traits.shape[1]]
    return Windows(origin, glm_design(shared), bin_features(features, edges), edges, unit, sums / unit)


def learn_sums(
    windows: Windows, lead: int, levels: FloatArray, before: int | None = None, trees: int = TREES
) -> SumModel | None:
    """Fit the pooled model to what followed past origins.

    Parameters
    ----------
    windows : Windows
    lead : int
        Length of the sums. [periods]
    levels : ndarray, shape (k,)
        Rising, between 0 and 1.
    before : int, optional
        Only windows whose sums were known at this period teach.
    trees : int
        Of the forest.

    Returns
    -------
    SumModel, or None where there is too little to learn from.
    """
    end = len(windows.origin)
    if before is not None:
        end = int(np.searchsorted(windows.origin, before - lead, side="right"))
    if end < LEAST_WINDOWS:
        return None
    design, unit, ratio = windows.design[:end], windows.unit[:end], windows.ratio[:end]
    origins = np.unique(windows.origin[:end])
    gap = int(np.diff(origins).min()) if len(origins) > 1 else lead
    evidence = effective_number(unit[ratio > 0]) * min(gap / lead, 1.0)
    line = fit_log_linear(design, ratio, np.sqrt(unit))
    ranked = rank_windows(line.predict(design), ratio, unit, levels)
    forest = grow_on_bins(windows.bins[:, :end], windows.edges, ratio, unit, levels, trees=trees)
    cut = np.minimum(ratio, largest_ratio(ratio, np.sqrt(unit)))
    whole, tame = float(unit @ ratio), float(unit @ cut)
    return SumModel(line, ranked, forest, whole / tame if tame > 0 else 1.0, evidence)


def draw_series(series: int, origins: int, fits: int = 1) -> IntArray:
    """Series that teach: all, or as many at random as make the most windows that are needed.

    Parameters
    ----------
    series, origins, fits : int
        Numbers of series, of origins, and of models that are fitted.

    Returns
    -------
    ndarray of int
        Positions, rising.
    """
    wanted = max(MOST_WINDOWS // fits, ENOUGH_WINDOWS) // max(origins, 1)
    if series <= wanted:
        return np.arange(series)
    return np.sort(np.random.default_rng(SEED).choice(series, wanted, replace=False))


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


def _with_traits(shot: Snapshot, traits: FloatArray) -> FloatArray:
    return np.column_stack([shot.features, traits[shot.rows]]) if traits.shape[1] else shot.features
