"""Windows of promises as the kernels ask them: in whose lead time "within t days" ends.

Tag a demand at a site with lead time L. For t < L its own order, and all of the last L - t days, are still to
come. For t >= L the piece has come if the site above had sent it L days before t closed, so the question goes
up, with t - L days left. The count starts where the time ends inside a lead time and comes down again
(`_site_laws.late_law`); `waiting` tells the same law row by row.

References
----------
.. [1] Kruse (1981), Waiting time in a continuous review (s, S) inventory system with constant lead times.
.. [2] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.pipelines import Pipelines, Windows
from spareplan.stocking.waiting import INSTANT

FloatArray = NDArray[np.float64]


def lay_windows(
    forest: Forest, pipelines: Pipelines, window_days: FloatArray
) -> tuple[Windows, NDArray[np.bool_]]:
    """Lay windows on the rows of the pipelines.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
    window_days : ndarray, shape (rows,)
        Of the rows of the pipelines; NaN: none. [days]

    Returns
    -------
    windows : Windows
    exact : ndarray of bool, shape (rows,)
        Where supplies of different length meet, later orders may come first. There the windows leave out what
        that helps: the share served is then no less than they say, and the row is marked False.
    """
    rows = pipelines.forest_rows
    asked = ~np.isnan(window_days)
    at, left = rows.copy(), np.where(asked, window_days, 0.0)
    up = np.where(asked, 0, -1)
    exact = np.ones(len(rows), bool)
    climbing = asked.copy()
    for _ in range(int(forest.depth.max(initial=0)) + 1):
        # A site that repairs on the spot is not looked past: the wait at the end of its lead time is no less.
        passes = climbing & (left >= forest.lead[at] - INSTANT)
        repairs = forest.repair_share[at] > 0
        exact &= ~(passes & repairs)
        top = forest.parent[at] < 0
        slow = passes & top & (forest.return_share[at] > 0) & (left < forest.return_days[at] - INSTANT)
        exact &= ~slow
        done = passes & top & ~slow & ~repairs
        up[done] = -1
        climbing = passes & ~top & ~repairs
        left = np.where(climbing, np.maximum(left - forest.lead[at], 0.0), left)
        at = np.where(climbing, forest.parent[at], at)
        up[climbing] += 1
    # Part of the supply in time, part not: later orders by the quicker way may come first.
    quick = np.where(forest.repair_share[at] > 0, forest.repair_days[at], np.inf)
    back = np.where(forest.return_share[at] > 0, forest.return_days[at], np.inf)
    exact &= (up < 0) | ((left < quick - INSTANT) & (left < back - INSTANT))
    days = _days_left(forest, at, left)
    owed = forest.demand[at] * days
    beyond = np.maximum(forest.excess[at], 0.0) * days + (forest.spread[at] * days) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        part_left = np.where(forest.pipeline[at] > 0, owed / forest.pipeline[at], 0.0)
    counted = up >= 0
    return (
        Windows(
            up,
            np.where(counted, owed, 0.0),
            np.where(counted & forest.overdispersed[at], beyond, 0.0),
            np.where(counted, forest.rate_tie[at] * part_left, 0.0),
        ),
        exact,
    )


def _days_left(forest: Forest, at: NDArray[np.int64], left: FloatArray) -> FloatArray:
    """Mean time that an order is still under way after `left` days."""
    repaired, back = forest.repair_share[at], forest.return_share[at]
    supplied = (1 - back) * np.maximum(forest.lead[at] - left, 0.0)
    supplied += back * np.maximum(forest.return_days[at] - left, 0.0)
    return repaired * np.maximum(forest.repair_days[at] - left, 0.0) + (1 - repaired) * supplied
