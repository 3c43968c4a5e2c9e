"""Independent runs of a forest for the simulation: rows copied, time axis, batches, and the events on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.stocking._forest import Forest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BATCHES = 20
# Runs of a part whose rate is unknown: each lives in a world of its own.
WORLDS = 60
# Waits are sums and differences of times in days; below this they are rounding.
INSTANT = 1e-7
# Standard deviations of a lead time after which what was sent counts as in.
LATEST = 8.0


@dataclass(frozen=True)
class Runs:
    """A forest copied into independent runs, and the time axis of each row.

    Parameters
    ----------
    source : ndarray of int, shape (m,)
        Row of the forest that each row copies.
    parent, depth : ndarray of int, shape (m,)
        As in the forest, among the copies.
    warm, length : ndarray, shape (m,)
        Days until every order of the empty past is in, and days that are measured. [days]
    run : ndarray of int, shape (m,)
        Number of the run among those of its part.
    first_batch, batches : ndarray of int, shape (m,)
        Batches that the measured time of this row fills, out of BATCHES.
    """

    source: IntArray
    parent: IntArray
    depth: IntArray
    warm: FloatArray
    length: FloatArray
    run: IntArray
    first_batch: IntArray
    batches: IntArray


class Events(NamedTuple):
    """Arrivals at the rows of one echelon, sorted by row and time.

    Parameters
    ----------
    row : ndarray of int, shape (k,)
        Row of the runs.
    time : ndarray, shape (k,)
        [days]
    child : ndarray of int, shape (k,)
        Place of the order among the events of the echelon below; -1 for the site's own demand.
    repaired : ndarray of bool, shape (k,)
        The failed piece is repaired at the site, no order goes up.
    """

    row: IntArray
    time: FloatArray
    child: IntArray
    repaired: NDArray[np.bool_]


def lay_runs(forest: Forest, rows: IntArray, years: float) -> Runs:
    """Copy the rows of some parts into runs: one long run, or WORLDS short ones where the rate is unknown.

    Parameters
    ----------
    forest : Forest
    rows : ndarray of int
        Whole parts.
    years : float
        Time to measure per part, over all its runs. [years]

    Returns
    -------
    Runs
        A rate that is unknown (rate_cv2) is drawn anew in every run and holds throughout it.
    """
    copies = np.where(in_worlds(forest)[rows], WORLDS, 1)
    source = np.repeat(rows, copies)
    run = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)
    order = np.lexsort((source, run, forest.part[source]))
    source, run = source[order], run[order]
    above = forest.parent[source]
    key = source * WORLDS + run
    by_key = np.argsort(key)
    found = np.searchsorted(key[by_key], np.maximum(above, 0) * WORLDS + run)
    parent = np.where(above >= 0, by_key[np.minimum(found, len(key) - 1)], -1)
    days = np.maximum(
        forest.lead + LATEST * forest.lead_sd, np.where(forest.return_share > 0, forest.return_days, 0.0)
    )
    days = np.maximum(days, np.where(forest.repair_share > 0, forest.repair_days, 0.0))
    longest = days.copy()
    for depth in range(1, int(forest.depth.max(initial=0)) + 1):
        at = forest.rows_at(depth)
        longest[at] += longest[forest.parent[at]]
    warm = np.zeros(len(forest.part_ids))
    np.maximum.at(warm, forest.part, longest)
    many = np.repeat(copies, copies)[order]
    return Runs(
        source=source, parent=parent, depth=forest.depth[source], warm=warm[forest.part[source]],
        length=years * DAYS_PER_YEAR / many, run=run,
        first_batch=run * BATCHES // WORLDS, batches=np.where(many > 1, 1, BATCHES),
    )  # fmt: skip


def in_worlds(forest: Forest) -> NDArray[np.bool_]:
    """Rows of parts that live in many worlds: with an unknown rate, or with lots that feed on lots.

    A site that orders 6 at a time and is asked for 3 at a time keeps for ever to the positions it began with.
    """
    lots = forest.most > forest.least
    fed = np.zeros(len(forest), dtype=bool)
    fed[forest.parent[lots & (forest.parent >= 0)]] = True
    for depth in range(int(forest.depth.max(initial=0)), 0, -1):
        rows = forest.rows_at(depth)
        fed[forest.parent[rows[fed[rows]]]] = True
    return _part_any(forest, (forest.spread > 0) | (lots & fed))


def _part_any(forest: Forest, flag: NDArray[np.bool_]) -> NDArray[np.bool_]:
    hit = np.zeros(len(forest.part_ids), dtype=bool)
    hit[forest.part[flag]] = True
    return hit[forest.part]
