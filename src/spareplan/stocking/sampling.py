"""Simulated years of a whole forest, stretch by stretch, and measures with intervals from their batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.stocking import _draws, _paths, _runs, _tally
from spareplan.stocking._forest import Forest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CONFIDENCE = 0.95
# Of events that never happened up to so many may have been missed, at that confidence: the rule of three.
MISSED = 3.0
# Events in memory at a time, and the length of a run after which progress is shown.
CHUNK_EVENTS = 2_000_000
SHOW_PROGRESS_EVENTS = 10_000_000


def run_forest(forest: Forest, years: float, seed: int, times: FloatArray) -> _tally.Batched:
    """Simulate every part of a forest.

    Parameters
    ----------
    forest : Forest
    years : float
        [years]
    seed : int
    times : ndarray, shape (T,)
        Waits to count. [days]

    Returns
    -------
    Batched
        Sums per row of the forest and batch.
    """
    chunks = list(_chunks(forest, years))
    pieces = []
    for rows in _shown(chunks, forest, years):
        runs = _runs.lay_runs(forest, rows, years)
        own = _draws.draw_demand(forest, runs, seed)
        echelons = _paths.climb(forest, runs, own, seed)
        paths = _paths.descend(forest, runs, echelons, seed)
        pieces.append(_tally.measure(forest, runs, echelons, paths, rows, times))
    if not pieces:
        empty = np.zeros((0, _runs.BATCHES))
        shares = np.zeros((0, _runs.BATCHES, len(times)))
        counted = {"waits_le": shares, "own_waits_le": shares}
        return _tally.Batched(**{name: counted.get(name, empty) for name in _tally.Batched._fields})
    return _tally.Batched(*(np.concatenate(columns) for columns in zip(*pieces)))


def measures_table(forest: Forest, batched: _tally.Batched, times: FloatArray) -> pd.DataFrame:
    """Measures with their intervals, a row per part x site x measure.

    Parameters
    ----------
    forest : Forest
    batched : Batched
    times : ndarray, shape (T,)
        [days]

    Returns
    -------
    DataFrame
        part_id, site_id, measure, value, half_width.
    """
    longest = longest_waits(forest)
    late, late_width = ratio_interval(batched.late, batched.days, most=longest)
    short, short_width = ratio_interval(batched.short, batched.days, most=longest)
    found = {
        "ebo": (late, late_width),
        "fill_rate": ratio_interval(batched.filled, batched.demands, share=True),
        "ready_rate": (1 - short, np.minimum(short_width, 1.0)),
        "mean_wait_days": ratio_interval(batched.wait, batched.demands, most=longest),
        "on_hand": ratio_interval(batched.shelf, batched.days),
    }
    for column, time in enumerate(times):
        found[f"wait_le_{time:g}"] = ratio_interval(
            batched.waits_le[:, :, column], batched.demands, share=True
        )
    count, names = len(forest), list(found)
    values = np.stack([value for value, _ in found.values()], axis=1) if count else np.empty((0, len(names)))
    widths = np.stack([width for _, width in found.values()], axis=1) if count else np.empty((0, len(names)))
    return pd.DataFrame(
        {
            "part_id": forest.part_ids.take(np.repeat(forest.part, len(names))),
            "site_id": forest.site_ids.take(np.repeat(forest.site, len(names))),
            "measure": np.tile(names, count),
            "value": values.ravel(),
            "half_width": widths.ravel(),
        }
    )


def ratio_interval(
    top: FloatArray, bottom: FloatArray, share: bool = False, most: FloatArray | float = np.nan
) -> tuple[FloatArray, FloatArray]:
    """Ratio of sums over batches, and half the width of its 95 % interval.

    Parameters
    ----------
    top, bottom : ndarray, shape (n, batches)
    share : bool
        The ratio counts hits among tries: where all or none hit, the rule of three gives the width.
    most : ndarray, shape (n,), optional
        What a single one can add to the top at most, as a wait adds days: where nothing was added, up to
        three may have been missed (rule of three), and the width is three times this over the bottom.

    Returns
    -------
    value, half_width : ndarray, shape (n,)
        NaN where the bottom sums to 0.
    """
    batches = top.shape[1]
    total = bottom.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(total > 0, top.sum(axis=1) / total, np.nan)
        residual = top - value[:, None] * bottom
        error = np.sqrt((residual**2).sum(axis=1) * batches / (batches - 1)) / total
        width = special.stdtrit(batches - 1, (1 + CONFIDENCE) / 2) * error
        if share:
            certain = (value <= 0) | (value >= 1)
            width = np.where(certain, np.minimum(MISSED / total, 1.0), width)
        nothing = abs(value) <= _runs.INSTANT
        width = np.where(nothing & ~np.isnan(most), MISSED / total * most, width)
    return value, width


def longest_waits(forest: Forest) -> FloatArray:
    """Longest that a demand can wait at each row if nothing is in stock on its way. [days].

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    ndarray, shape (n,)
        From the supplier down; where times are random, the mean of the time that is under way at a random
        moment. 0 where nothing is ever asked for.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        days = np.where(forest.lead > 0, forest.lead + forest.lead_sd**2 / forest.lead, 0.0)
    days = np.maximum(days, np.where(forest.return_share > 0, forest.return_days, 0.0))
    for depth in range(1, int(forest.depth.max(initial=0)) + 1):
        rows = forest.rows_at(depth)
        days[rows] += days[forest.parent[rows]]
    days = np.maximum(days, np.where(forest.repair_share > 0, forest.repair_days, 0.0))
    return np.where(forest.demand > 0, days, 0.0)


def _chunks(forest: Forest, years: float) -> Iterator[IntArray]:
    """Whole parts, about CHUNK_EVENTS at a time."""
    if not len(forest):
        return
    events = np.cumsum(_events(forest, years))
    first, last = forest.spans()
    group = (events[last - 1] // CHUNK_EVENTS).astype(np.int64)
    for value in np.unique(group):
        mine = np.flatnonzero(group == value)
        yield np.arange(first[mine[0]], last[mine[-1]])


def _events(forest: Forest, years: float) -> FloatArray:
    worlds = np.where(_runs.in_worlds(forest), _runs.WORLDS, 1)
    return forest.demand * (years * DAYS_PER_YEAR + 2 * worlds * forest.lead) + 20.0


def _shown(chunks: list[IntArray], forest: Forest, years: float) -> Any:
    if float(_events(forest, years).sum()) < SHOW_PROGRESS_EVENTS:
        return chunks
    from tqdm.auto import tqdm

    return tqdm(chunks, desc="simulation", unit="chunk")
