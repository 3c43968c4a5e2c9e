"""The fullest shelves: stock that leaves nothing to miss, and what ceilings leave possible at best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.curve import parents
from spareplan.stocking.pipelines import ANY_STOCK, Pipelines
from spareplan.stocking.pricing import Priced, measure
from spareplan.stocking.promises import Promises

IntArray = NDArray[np.int64]
# Less than this is missed by rounding only.
NOTHING_MISSED = 1e-13


def fullest(pipelines: Pipelines, promises: Promises) -> Priced:
    """What the largest stock within the ceilings does; only parts with a ceiling need to be measured."""
    rows = len(pipelines.stop)
    ebo, miss, late = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    none = np.empty(0)
    full = Priced(np.zeros(rows, np.int64), ebo, miss, none, none, none, none, none, late)
    parts = np.unique(pipelines.part[pipelines.most < ANY_STOCK])
    if len(parts):
        some = pipelines.take(parts)
        state = measure(some, np.clip(some.most, some.least, some.room - 4))
        place = pipelines.rows_of(parts)
        for name in ("ebo", "miss", "late") if some.windows is not None else ("ebo", "miss"):
            seen = getattr(state, name)
            getattr(full, name)[place] = np.where(seen > NOTHING_MISSED, seen, 0.0)
    return full


def plenty_of(pipelines: Pipelines) -> IntArray:
    """Stock that leaves nothing to miss, even with empty sites above, and little more."""
    parent = parents(pipelines)
    mean, spread = pipelines.mean.copy(), pipelines.mean + pipelines.excess
    level = np.flatnonzero(parent < 0)
    for _ in range(pipelines.depth - 1):
        level = np.flatnonzero(np.isin(parent, level))
        up, share = parent[level], pipelines.share[level]
        spread[level] += share * (1 - share) * mean[up] + share**2 * spread[up]
        mean[level] += share * mean[up]
    wild = np.maximum(1.0, spread / np.maximum(mean, 1e-12))
    most = np.ceil(mean + 12 * np.sqrt(spread) + 40 * wild).astype(np.int64)
    return np.maximum(np.minimum(most, pipelines.room - 4), pipelines.least)
