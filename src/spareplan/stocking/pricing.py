"""Price the levels of parts: for given worth of a backorder and of a miss, the cheapest stock on any tree.

For one part and, at every site n, h_n the money of a piece, v_n the worth of one expected backorder, w_n the
worth of certainty to miss and z_n that of certainty to be late, the kernels find

    min over S of  sum_n [ h_n S_n + v_n EBO_n(S) + w_n P(N_n >= S_n) + z_n P(W_n > t_n) ].

Given the stock upstream, sites without children separate, and there the best stock is found by one pass over
the pmf. How a window t is looked at: `windows`.

At a site with children, Phi(s) = everything but its own money never rises with s, because more stock
makes every backlog downstream stochastically smaller. So on a span a..b no stock costs less than
h a + Phi(b): spans that cannot beat the best are dropped and the rest is halved. The minimum is exact, not a
local one, and its sum over the parts makes the Lagrangian bound of `multipliers` valid [1]_.

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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.engine import run_chunks
from spareplan.stocking._forest import Forest

if TYPE_CHECKING:
    from spareplan.stocking.tabulated import Tables

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SEARCH, WRITE, QUICK = 0, 1, 2
MODELS = {"exact": 0, "two_moment": 1, "metric": 2}
ANY_STOCK = 1 << 40
# Parts per call of a kernel: enough to keep it busy, few enough to hear an interrupt.
CHUNK_ROWS = 60_000
# A certain search on deep trees takes long for some parts: smaller pieces of work share it out evenly.
DEEP, DEEP_CUTS = 3, 4
# Chunks that are sent to other processes together; more would fill this one's memory.
SENT_AT_ONCE = 16
# What the kernels tell of a row: backorders, misses, lateness; with given levels also what a piece changes.
SEARCH_MEASURES, ALL_MEASURES = 3, 9
LATE_MEASURES = (2, 7, 8)


def nothing() -> FloatArray:
    """Array of what is not asked for."""
    return np.empty(0)


def weighted_sum(weights: FloatArray, values: NDArray[Any]) -> float:
    """Sum of products, to the last digit the same wherever the arrays lie in memory: BLAS is not."""
    return float((weights * values).sum())


class Windows(NamedTuple):
    """How far each row's window reaches, as the kernels ask it (arrays of shape (rows,)).

    Parameters
    ----------
    up : ndarray of int
        Steps up to the site in whose lead time the window ends; 0: the site's own, -1: nothing is ever late.
    mean, excess, tied : ndarray
        Pieces ordered there before a tagged one and still on the way when the window closes: mean, variance
        beyond it, and covariance with the common rate. [pieces, pieces², pieces]
    """

    up: IntArray
    mean: FloatArray
    excess: FloatArray
    tied: FloatArray


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
class Pipelines:
    """What the kernels need to know of every part x site: rows by part, within a part in preorder.

    Parameters
    ----------
    starts : ndarray of int, shape (parts + 1,)
        First row of each part.
    unit_cost : ndarray, shape (parts,)
        Money per piece, above 0. [money]
    model, batch : ndarray of int, shape (parts,)
        Evaluation (`MODELS`), and order quantity at HQ. [pieces]
    stop : ndarray of int, shape (rows,)
        Row after the last descendant.
    mean, excess : ndarray, shape (rows,)
        Pieces on the way without the parent's backlog, and their variance beyond Poisson. [pieces, pieces²]
    share : ndarray, shape (rows,)
        Share of the parent's demand that this site orders.
    wild : ndarray, shape (rows, 3)
        What overdispersed demand adds: covariance of `mean` and the common rate [pieces], pieces on order
        that an
        arriving piece finds beyond the mean [pieces], pieces of one order that wait together at the parent.
    least, most : ndarray of int, shape (rows,)
        Floor and ceiling of the base stock. [pieces]
    own, demand : ndarray, shape (rows,)
        Demand of the site itself, and all that arrives. [pieces per day]
    forest_rows : ndarray of int, shape (rows,)
        Row of the forest each row came from.
    windows : Windows, optional
        Of the promises to serve within some days.
    engine : str
        Where the kernels run: "local" (threads), "processes" or the address of a Dask scheduler.
    """

    starts: IntArray
    unit_cost: FloatArray
    model: IntArray
    batch: IntArray
    stop: IntArray
    mean: FloatArray
    excess: FloatArray
    share: FloatArray
    wild: FloatArray
    least: IntArray
    most: IntArray
    own: FloatArray
    demand: FloatArray
    forest_rows: IntArray
    depth: int
    room: int
    windows: Windows | None = None
    engine: str = "local"

    @cached_property
    def tables(self) -> Tables | None:
        """Every stock of a small problem tabulated, so that it waits for no compiler; None: too many."""
        from spareplan.stocking.tabulated import few_tables

        return few_tables(self)

    @property
    def part(self) -> IntArray:
        """Part of each row."""
        return np.repeat(np.arange(len(self.unit_cost)), np.diff(self.starts))

    @property
    def row_cost(self) -> FloatArray:
        """Unit cost of each row."""
        return np.repeat(self.unit_cost, np.diff(self.starts))

    def take(self, parts: IntArray) -> Pipelines:
        """Lay out some parts, in any order, also more than once."""
        counts = np.diff(self.starts)[parts]
        starts = np.r_[0, np.cumsum(counts)].astype(np.int64)
        shift = np.repeat(self.starts[parts] - starts[:-1], counts)
        rows = np.arange(starts[-1]) + shift
        changed: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in (
                "mean",
                "excess",
                "share",
                "wild",
                "least",
                "most",
                "own",
                "demand",
                "forest_rows",
            )
        }
        changed |= {name: getattr(self, name)[parts] for name in ("unit_cost", "model", "batch")}
        if self.windows is not None:
            changed["windows"] = Windows(*(values[rows] for values in self.windows))
        taken = replace(self, starts=starts, stop=self.stop[rows] - shift, **changed)
        if self.tables is not None:
            taken.__dict__["tables"] = self.tables.take(rows)
        return taken

    def rows_of(self, parts: IntArray) -> IntArray:
        """Rows of some parts, as `take` lays them out."""
        counts = np.diff(self.starts)[parts]
        ends = np.cumsum(counts)
        return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
            self.starts[parts] - (ends - counts), counts
        )

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Rows without children."""
        return self.stop == np.arange(len(self.stop)) + 1


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


def lay_out(forest: Forest, unit_cost: FloatArray, method: str, batch: IntArray | None = None) -> Pipelines:
    """Arrange a forest for the kernels.

    Parameters
    ----------
    forest : Forest
        From `read_forest`.
    unit_cost : ndarray, shape (parts,)
        Of `forest.part_ids`. [money]
    method : {"exact", "two_moment", "metric"}
        Evaluation; overdispersed parts are evaluated by two moments where "exact" is asked for.
    batch : ndarray of int, shape (parts,), optional
        Order quantity at HQ; None: one for one. [pieces]

    Returns
    -------
    Pipelines
        Only the parts that have rows, in the order of the forest.
    """
    count = len(forest)
    rank = _preorder(forest)[forest.site]
    # Two echelons stand in preorder already: then nothing is copied.
    ordered = bool(((rank[1:] > rank[:-1]) | (forest.part[1:] != forest.part[:-1])).all())
    order = np.arange(count) if ordered else np.lexsort((rank, forest.part))
    del rank

    def arranged(values: NDArray[Any]) -> NDArray[Any]:
        return values if ordered or values.strides == (0,) else values[order]

    part = arranged(forest.part)
    starts = np.flatnonzero(np.r_[True, part[1:] != part[:-1]]) if count else np.empty(0, np.int64)
    kept = part[starts]
    parent = forest.parent
    if not ordered:
        place = np.empty(count, dtype=np.int64)
        place[order] = np.arange(count)
        parent = np.where(parent[order] >= 0, place[parent[order]], -1)
        del place
    depth = arranged(forest.depth)
    echelons = [np.flatnonzero(depth == d) for d in range(1, int(forest.depth.max(initial=0)) + 1)]
    stop = np.arange(1, count + 1)
    for rows in echelons[::-1]:
        np.maximum.at(stop, parent[rows], stop[rows])
    days = arranged(forest.mean_days)
    mean = arranged(forest.demand) * days
    nothing_more = np.broadcast_to(np.float64(0.0), count)
    wild = forest.overdispersed.any()
    varies = arranged(forest.overdispersed)[starts]
    model = np.where(varies & (method == "exact"), MODELS["two_moment"], MODELS[method])
    excess, tied = nothing_more, np.broadcast_to(np.array([0.0, 0.0, 1.0]), (count, 3))
    if wild and method != "metric":
        beyond = np.maximum(forest.excess, 0.0) * forest.mean_days
        beyond += (forest.spread * forest.mean_days) ** 2
        excess = arranged(np.where(forest.overdispersed, beyond, 0.0))
    if wild:
        tied = np.stack([forest.rate_tie, forest.seen_ahead, forest.parent_lump], axis=1)[order]
    share = arranged(forest.share)
    most_mean, most_variance = mean.copy(), mean + excess
    for rows in echelons:
        up, p = parent[rows], share[rows]
        most_mean[rows] += p * most_mean[up]
        most_variance[rows] += p * (1 - p) * most_mean[up] + p**2 * most_variance[up]
    size = (
        most_mean
        + 12 * np.sqrt(most_variance)
        + 40 * np.maximum(1, most_variance / np.maximum(most_mean, 1e-12))
    ).max(initial=0.0)
    del most_mean, most_variance, echelons
    quantity = np.ones(len(starts), np.int64) if batch is None else np.asarray(batch, np.int64)[kept]
    least = np.broadcast_to(np.int64(0), count)
    if (quantity > 1).any():
        least = np.zeros(count, np.int64)
        least[starts] = quantity - 1
    starts = np.r_[starts, count].astype(np.int64)
    return Pipelines(
        starts=starts,
        unit_cost=np.asarray(unit_cost, float)[kept],
        model=model.astype(np.int64),
        batch=quantity,
        stop=stop,
        mean=mean,
        excess=excess,
        share=share,
        wild=tied,
        least=least,
        most=np.broadcast_to(np.int64(ANY_STOCK), count),
        own=arranged(forest.own),
        demand=arranged(forest.demand),
        forest_rows=order,
        depth=int(forest.depth.max(initial=0)) + 1,
        room=int(size) + 64 + int(quantity.max(initial=1)),
    )


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


def measure(pipelines: Pipelines, levels: IntArray) -> Priced:
    """Backorders, misses and lateness of given levels (rows of `pipelines`); `value` is the money."""
    if pipelines.tables is not None:
        from spareplan.stocking.tabulated import measure_tables

        return measure_tables(pipelines.tables, pipelines, np.array(levels, dtype=np.int64))
    return _run(pipelines, Worth(), np.array(levels, dtype=np.int64), WRITE, None)


def _run(
    pipelines: Pipelines,
    worth: Worth,
    levels: IntArray,
    mode: int,
    progress: Callable[[int, int], None] | None,
    values: FloatArray | None = None,
) -> Priced:
    parts, rows = len(pipelines.unit_cost), len(levels)
    # One array per measure, so that those that are no longer asked for can go.
    measures = ALL_MEASURES if mode == WRITE else SEARCH_MEASURES
    wanted = [k for k in range(measures) if pipelines.windows is not None or k not in LATE_MEASURES]
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
    figures = np.zeros((end - begin, 13))
    for column, values_of in enumerate((pipelines.mean, pipelines.excess, pipelines.share)):
        figures[:, column] = values_of[here]
    figures[:, 3:6] = pipelines.wild[here]
    counts = np.diff(starts)
    figures[:, 6] = np.repeat(pipelines.unit_cost[first:last], counts)
    if worth.cost_factor is not None:
        figures[:, 6] *= worth.cost_factor[here]
    for column, paid in enumerate(worth[:3], start=7):
        if paid is not None:
            figures[:, column] = paid[here]
    whole = np.full((end - begin, 5), -1, np.int64)
    whole[:, 0] = pipelines.stop[here] - begin
    whole[:, 1] = levels[here] if mode == WRITE else pipelines.least[here]
    whole[:, 2] = levels[here] if mode == WRITE else pipelines.most[here]
    whole[:, 3] = levels[here]
    if pipelines.windows is not None:
        whole[:, 4] = pipelines.windows.up[here]
        for column, given in enumerate(pipelines.windows[1:], start=10):
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
    return whole[:, 3], out, values


def _preorder(forest: Forest) -> IntArray:
    """Rank of every site in preorder: a site, then its first child with all below it, and so on."""
    count = len(forest.site_ids)
    above = np.full(count, -1)
    below = forest.parent >= 0
    above[forest.site[below]] = forest.site[forest.parent[below]]
    size = np.ones(count, np.int64)
    for site in range(count - 1, 0, -1):
        if above[site] >= 0:
            size[above[site]] += size[site]
    rank = np.zeros(count, np.int64)
    used = np.zeros(count, np.int64)
    for site in range(1, count):
        if above[site] >= 0:
            rank[site] = rank[above[site]] + 1 + used[above[site]]
            used[above[site]] += size[site]
    return rank
