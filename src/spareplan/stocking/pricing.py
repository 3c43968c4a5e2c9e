"""Price the levels of parts: for given worth of backorders, misses and lateness, the cheapest stock.

For one part on any tree of sites and, at every site n, h_n the money of a piece, v_n the worth of one
expected backorder, w_n the worth of certainty to miss and z_n that of certainty to be late, the kernels find

    min over S of  sum_n [ h_n S_n + v_n EBO_n(S) + w_n P(N_n >= S_n) + z_n P(W_n > t_n) ].

Given the stock upstream, sites without children separate, and there the best stock is found by one pass over
the pmf. How a window t is looked at: `windows`.

At a site with children, Phi(s) = everything but its own money never rises with s, because more stock
makes every backlog downstream stochastically smaller. So on a span a..b no stock costs less than
h a + Phi(b): spans that cannot beat the best are dropped and the rest is halved. Where all below are leaves,
one sweep down from the highest stock that can pay leaps over what cannot, and carries the leaves' laws along.
The minimum is exact, not a local one, and its sum over the parts makes the Lagrangian bound of `multipliers`
valid [1]_.

References
----------
.. [1] Wong, van Houtum, Cattrysse, Van Oudheusden (2005), Simple, efficient heuristics for multi-item
multi-location
   spare parts systems with lateral transshipments and waiting time constraints; Topan, Bayindir, Tan (2017),
   Heuristics for
   multi-item two-echelon spare parts inventory control subject to aggregate and individual service measures.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.engine import run_chunks
from spareplan.stocking._columns import (
    AHEAD,
    CHANCE,
    COST,
    EXCESS,
    FIGURES,
    HIGH,
    LATE_EXCESS,
    LATE_MEAN,
    LATE_TIED,
    LATENESS,
    LOW,
    LUMP,
    MEAN,
    QUICK,
    SEARCH,
    SHARE,
    STOCK,
    STOP,
    TIED,
    TOLD_ALWAYS,
    TOLD_AT,
    TOLD_BELOW,
    TOLD_LATE,
    TOLD_LATE_AT,
    TOLD_LATE_BELOW,
    UP,
    WHOLES,
    WORTH,
    WRITE,
)
from spareplan.stocking.pipelines import Pipelines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Parts per call of a kernel: enough to keep it busy, few enough to hear an interrupt.
CHUNK_ROWS = 60_000
# A certain search on deep trees takes long for some parts: smaller pieces of work share it out evenly.
DEEP, DEEP_CUTS = 3, 4
# Chunks that are sent to other processes together; more would fill this one's memory.
SENT_AT_ONCE = 16
# What the kernels tell of a row with given levels; a search tells the first few of it.
ALL_MEASURES = TOLD_LATE_BELOW + 1
LATE_MEASURES = (TOLD_LATE, TOLD_LATE_AT, TOLD_LATE_BELOW)
MISS_GAINS = (TOLD_AT, TOLD_BELOW)


def nothing() -> FloatArray:
    """Array of what is not asked for."""
    return np.empty(0)


class Worth(NamedTuple):
    """What is paid at every row (arrays of shape (rows,), None: nothing).

    Parameters
    ----------
    backorder, miss, late : ndarray or None
        v, w and z of the module's formula. [money per piece, money, money]
    cost_factor : ndarray or None
        A piece costs so many times its unit cost here. [ratio]
    """

    backorder: FloatArray | None = None
    miss: FloatArray | None = None
    late: FloatArray | None = None
    cost_factor: FloatArray | None = None

    def take(self, rows: IntArray) -> Worth:
        """Worth of some rows."""
        return Worth(*(None if values is None else values[rows] for values in self))


@dataclass(frozen=True)
class Priced:
    """Levels and what they do (arrays of shape (rows,), `value` of shape (parts,)).

    Parameters
    ----------
    levels : ndarray of int
        Base stock. [pieces]
    ebo : ndarray
        Expected backorders. [pieces]
    miss : ndarray
        P(N >= S): chance that a demand is not met from the shelf.
    over, under : ndarray
        P(N > S) and P(N > S - 1): backorders that one piece more saves, and one piece less costs; like all
        gains of pieces, empty from `price` and told by `measure`.
    at, below : ndarray
        P(N = S) and P(N = S - 1): misses that one piece more saves, and one piece less costs.
    value : ndarray
        Least cost per part at the multipliers. [money]
    late, late_at, late_below : ndarray
        P(W > t) in the row's window, how much of it one piece more saves, and one piece less costs; empty
        where no windows are asked for.
    """

    levels: IntArray
    ebo: FloatArray
    miss: FloatArray
    over: FloatArray
    under: FloatArray
    at: FloatArray
    below: FloatArray
    value: FloatArray
    late: FloatArray = field(default_factory=nothing)
    late_at: FloatArray = field(default_factory=nothing)
    late_below: FloatArray = field(default_factory=nothing)


def price(
    pipelines: Pipelines,
    worth: Worth,
    guess: IntArray | None = None,
    progress: Callable[[int, int], None] | None = None,
    quick: bool = False,
    values: FloatArray | None = None,
) -> Priced:
    """Cheapest levels of every part at given worths, with the certainty that none is cheaper.

    Parameters
    ----------
    pipelines : Pipelines
    worth : Worth
        Of backorders, misses and lateness, and what a piece costs at each row.
    guess : ndarray of int, shape (rows,), optional
        Where to start looking; changes the time, never the answer. [pieces]
    progress : callable, optional
        Called with (parts done, all parts).
    quick : bool
        Only walk from the guess while that pays: near the minimum, without the certainty.
    values : ndarray, shape (parts,), optional
        Filled in with the least costs part by part, for whoever needs them after an interrupt. [money]

    Returns
    -------
    Priced
    """
    tables = pipelines.tables
    if tables is not None:
        from spareplan.stocking.tabulated import MOST_PRICED, price_tables

        if tables.cells <= MOST_PRICED:
            priced = price_tables(tables, pipelines, worth)
            if values is not None:
                values[:] = priced.value
            return priced
    if guess is None:
        # Above the leaves about as much as is on the way; a far guess costs many steps.
        guess = np.where(pipelines.is_leaf, 0, pipelines.mean).astype(np.int64)
    levels = np.clip(guess, pipelines.least, pipelines.most)
    return _run(pipelines, worth, levels, QUICK if quick else SEARCH, progress, values)


def measure(pipelines: Pipelines, levels: IntArray, misses: bool = True) -> Priced:
    """Backorders, misses and lateness of given levels (rows of `pipelines`); `value` is the money.

    Without `misses`, where none are promised, what pieces would change in them (`at`, `below`) is left out.
    """
    if pipelines.tables is not None:
        from spareplan.stocking.tabulated import measure_tables

        return measure_tables(pipelines.tables, pipelines, np.array(levels, dtype=np.int64))
    return _run(pipelines, Worth(), np.array(levels, dtype=np.int64), WRITE, None, misses=misses)


def _run(
    pipelines: Pipelines,
    worth: Worth,
    levels: IntArray,
    mode: int,
    progress: Callable[[int, int], None] | None,
    values: FloatArray | None = None,
    misses: bool = True,
) -> Priced:
    parts, rows = len(pipelines.unit_cost), len(levels)
    # One array per measure, so that those that are no longer asked for can go.
    measures = ALL_MEASURES if mode == WRITE else TOLD_ALWAYS
    left_out = {*(() if pipelines.windows is not None else LATE_MEASURES), *(() if misses else MISS_GAINS)}
    wanted = [k for k in range(measures) if k not in left_out]
    told = {k: np.empty(rows) for k in wanted}
    values = np.zeros(parts) if values is None else values
    size = CHUNK_ROWS if pipelines.depth < DEEP or mode != SEARCH else CHUNK_ROWS // DEEP_CUTS
    cuts = np.searchsorted(pipelines.starts, np.arange(0, rows + size, size))
    edges = np.unique(np.clip(cuts, 0, parts)).tolist()

    def task(first: int) -> Task:
        return _task(pipelines, worth, levels, mode, measures, edges[first], edges[first + 1])

    def note(first: int, priced: tuple[IntArray, FloatArray, FloatArray]) -> None:
        here = slice(pipelines.starts[edges[first]], pipelines.starts[edges[first + 1]])
        levels[here], values[edges[first] : edges[first + 1]] = priced[0], priced[2]
        for k in wanted:
            told[k][here] = priced[1][:, k]

    def tell(first: int) -> None:
        if progress:
            progress(edges[first + 1], parts)

    chunks = len(edges) - 1
    if chunks == 1:
        note(0, price_chunk(task(0)))
    elif pipelines.engine == "local":
        _run_threads(lambda first: note(first, price_chunk(task(first))), chunks, tell)
    else:
        for begin in range(0, chunks, SENT_AT_ONCE):
            sent = range(begin, min(begin + SENT_AT_ONCE, chunks))
            for first, priced in zip(
                sent, run_chunks(price_chunk, [task(k) for k in sent], pipelines.engine), strict=True
            ):
                note(first, priced)
            tell(sent[-1])
    ebo, miss, late, over, under, at, below, late_at, late_below = (
        told.get(k, nothing()) for k in range(ALL_MEASURES)
    )
    return Priced(levels, ebo, miss, over, under, at, below, values, late, late_at, late_below)


def _run_threads(work: Callable[[int], None], chunks: int, tell: Callable[[int], None]) -> None:
    """Work on all chunks on all cores; after an interrupt only those that have begun are ended."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    try:
        for first, _ in enumerate(pool.map(work, range(chunks))):
            tell(first)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Task(NamedTuple):
    """What the kernels need for some parts, as arrays that can be sent to another process."""

    starts: IntArray
    model: IntArray
    batch: IntArray
    figures: FloatArray
    whole: IntArray
    mode: int
    measures: int
    depth: int
    room: int
    width: int


def _task(
    pipelines: Pipelines, worth: Worth, levels: IntArray, mode: int, measures: int, first: int, last: int
) -> Task:
    starts = pipelines.starts[first : last + 1]
    begin, end = starts[0], starts[-1]
    here = slice(begin, end)
    figures = np.zeros((end - begin, FIGURES))
    for column, values_of in zip((MEAN, EXCESS, SHARE), (pipelines.mean, pipelines.excess, pipelines.share)):
        figures[:, column] = values_of[here]
    figures[:, [TIED, AHEAD, LUMP]] = pipelines.wild[here]
    counts = np.diff(starts)
    figures[:, COST] = np.repeat(pipelines.unit_cost[first:last], counts)
    if worth.cost_factor is not None:
        figures[:, COST] *= worth.cost_factor[here]
    for column, paid in zip((WORTH, CHANCE, LATENESS), worth[:3]):
        if paid is not None:
            figures[:, column] = paid[here]
    whole = np.full((end - begin, WHOLES), -1, np.int64)
    whole[:, STOP] = pipelines.stop[here] - begin
    whole[:, LOW] = levels[here] if mode == WRITE else pipelines.least[here]
    whole[:, HIGH] = levels[here] if mode == WRITE else pipelines.most[here]
    whole[:, STOCK] = levels[here]
    if pipelines.windows is not None:
        whole[:, UP] = pipelines.windows.up[here]
        for column, given in zip((LATE_MEAN, LATE_EXCESS, LATE_TIED), pipelines.windows[1:]):
            figures[:, column] = given[here]
    return Task(
        starts - begin,
        pipelines.model[first:last],
        pipelines.batch[first:last],
        figures,
        whole,
        mode,
        measures,
        pipelines.depth,
        pipelines.room,
        int(counts.max(initial=1)),
    )


def price_chunk(task: Task) -> tuple[IntArray, FloatArray, FloatArray]:
    """Price the parts of a task: levels, measures (rows, measures) and least cost per part."""
    from spareplan.stocking import _pricing

    rows, parts = len(task.whole), len(task.model)
    out, values = np.zeros((rows, task.measures)), np.zeros(parts)
    if not task.whole.flags.writeable:
        # What comes from another process may be read-only, which would be another type to the compiler.
        task = task._replace(
            starts=task.starts.copy(),
            model=task.model.copy(),
            batch=task.batch.copy(),
            figures=task.figures.copy(),
            whole=task.whole.copy(),
        )
    whole = task.whole
    _pricing.price_parts(
        0, parts, task.starts, task.model, task.batch, task.figures, whole, out, task.mode, values,
        np.empty(rows), task.depth, task.room, task.width,
    )  # fmt: skip
    return whole[:, STOCK], out, values
