"""Every stock of small problems in tables: exact pricing by looking up, without a compiler.

For each row of the pipelines the tables hold what the site does at every own stock and every combination of
stocks upstream (its paths). At given worths the cheapest levels of all parts are then found from the leaves
up: the least over the own stock, added to the parent's cell it belongs to. The least over a table is certain
without any search, so it proves what the kernels of `_pricing` find, and a small problem never waits for
numba.

A table ends at the stock beyond which a miss has less than 1e-15 chance whatever is upstream: with no stock
upstream the pieces on order are the most there can be, and their law is known in advance (for Poisson demand
a Poisson again).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spareplan.stocking._tabulating import tabulate_part
from spareplan.stocking.pipelines import MODELS, Pipelines
from spareplan.stocking.pricing import Priced, Worth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Four tables of this many cells take 64 MB; they serve proofs, where every cell is looked at.
MOST_CELLS = 2_000_000
# Up to here tables are made and looked up in less time than a compiler takes to load what it has compiled.
FEW_CELLS, FEW_ROWS = 300_000, 2_000
# Parts laid out many times are priced by tables up to this many cells.
MOST_PRICED = 4_000_000
# Chance of more pieces on order than a table counts.
BEYOND = 1e-17


@dataclass(frozen=True)
class Tables:
    """What every row does at every stock: cells by echelon, row, path and own stock.

    Parameters
    ----------
    first, paths, span : ndarray of int, shape (rows,)
        First cell of a row, combinations of stocks upstream, own stocks 0 .. span - 1.
    depth, parent : ndarray of int, shape (rows,)
        Echelon of a row, and its parent's row (-1 at HQ).
    ebo, miss, beyond : ndarray, shape (cells,)
        Expected backorders [pieces], P(N >= S), P(N > S).
    late : ndarray, shape (cells,), or None
        P(W > t) in the row's window.
    laid : bool
        Every cell belongs to one row, in order. Not so where rows share cells (`take`): these can be
        measured, and are laid out anew to be priced.
    """

    first: IntArray
    paths: IntArray
    span: IntArray
    depth: IntArray
    parent: IntArray
    ebo: FloatArray
    miss: FloatArray
    beyond: FloatArray
    late: FloatArray | None
    laid: bool = True

    @property
    def cells(self) -> int:
        """Cells of all rows."""
        return int(self.paths @ self.span)

    def take(self, rows: IntArray) -> Tables:
        """Tables of some parts as `Pipelines.take` lays out their rows, without copying a cell."""
        up = self.parent[rows]
        parent = np.where(up < 0, -1, up + np.arange(len(rows)) - rows)
        return replace(
            self,
            first=self.first[rows],
            paths=self.paths[rows],
            span=self.span[rows],
            depth=self.depth[rows],
            parent=parent,
            laid=False,
        )

    def lay(self) -> Tables:
        """The same tables with cells of their own for every row."""
        if self.laid:
            return self
        cells = self.paths * self.span
        first = _places(self.depth, cells)
        order = np.argsort(self.depth, kind="stable")
        shift = np.repeat((self.first - first)[order], cells[order])
        source = np.arange(len(shift)) + shift
        late = None if self.late is None else self.late[source]
        return replace(
            self,
            first=first,
            ebo=self.ebo[source],
            miss=self.miss[source],
            beyond=self.beyond[source],
            late=late,
            laid=True,
        )


def _places(depth: IntArray, cells: IntArray) -> IntArray:
    """First cell of every row: by echelon, then by row."""
    order = np.argsort(depth, kind="stable")
    first = np.empty(len(cells), np.int64)
    first[order] = np.r_[0, np.cumsum(cells[order])[:-1]]
    return first


def tree_of(pipelines: Pipelines) -> tuple[IntArray, IntArray]:
    """Echelon and parent's row of every row."""
    rows = len(pipelines.stop)
    depth, parent = np.zeros(rows, np.int64), np.full(rows, -1, np.int64)
    number = np.arange(rows)
    for row in np.flatnonzero(pipelines.stop > number + 1).tolist():
        # Later sites with children lie deeper and overwrite what those above them wrote.
        parent[row + 1 : pipelines.stop[row]] = row
    for d in range(1, pipelines.depth):
        depth[(parent >= 0) & (depth[parent] == d - 1)] = d
    return depth, parent


def reach(pipelines: Pipelines) -> IntArray:
    """Counts that the pieces on order of a row pass with chance below `BEYOND`, whatever is upstream."""
    depth, parent = tree_of(pipelines)
    mean, variance = pipelines.mean.copy(), pipelines.mean + pipelines.excess
    tied, ahead, lump = pipelines.wild.T
    tie = tied.copy()
    for d in range(1, pipelines.depth):
        rows = np.flatnonzero(depth == d)
        up, p = parent[rows], pipelines.share[rows]
        variance[rows] += (
            lump[rows] * p * (1 - p) * mean[up] + p**2 * variance[up] + 2 * mean[rows] * p * tie[up]
        )
        mean[rows] += p * mean[up]
        tie[rows] += p * tie[up]
    seen = mean + ahead + tie
    poisson = np.repeat(pipelines.model != MODELS["two_moment"], np.diff(pipelines.starts))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(mean > 0, np.maximum(variance / mean, 1.0), 1.0)
    # Without stock upstream the law of a Poisson's split and sum is a Poisson: halve down to where it ends.
    plain, low = np.floor(mean + 9.5 * np.sqrt(mean) + 24), np.floor(mean)
    while ((plain - low) > 1).any():
        middle = np.floor((plain + low) / 2)
        enough = special.pdtrc(middle, mean) < BEYOND
        plain, low = np.where(enough, middle, plain), np.where(enough, low, middle)
    wild = np.maximum(seen, mean)
    wild = wild + 12 * np.sqrt(wild * ratio) + 40 * ratio + 20
    return np.where(poisson, plain, wild).astype(np.int64) + 2


def cells_of(pipelines: Pipelines) -> float:
    """Upper bound of the cells that tables would have."""
    depth, parent = tree_of(pipelines)
    batch = np.repeat(pipelines.batch, np.diff(pipelines.starts))
    cells = reach(pipelines) + np.where(depth == 0, batch, 0).astype(float)
    for d in range(1, pipelines.depth):
        rows = np.flatnonzero(depth == d)
        cells[rows] *= cells[parent[rows]]
    return float(cells.sum())


def tabulate(pipelines: Pipelines, most_cells: int = MOST_CELLS) -> Tables | None:
    """Tables of a small problem; None where they would take more than `most_cells` cells.

    Parameters
    ----------
    pipelines : Pipelines
    most_cells : int
        Bound on the cells of all tables together.

    Returns
    -------
    Tables or None
    """
    rows = len(pipelines.stop)
    if not rows or rows > most_cells or cells_of(pipelines) > most_cells:
        return None
    size = reach(pipelines)
    made = [
        table for part in range(len(pipelines.unit_cost)) for table in tabulate_part(pipelines, part, size)
    ]
    depth, parent = tree_of(pipelines)
    paths, span = np.array([table.ebo.shape for table in made]).T
    order = np.argsort(depth, kind="stable")
    cells = paths * span
    first = _places(depth, cells)
    ebo, miss, beyond = (
        np.concatenate([made[row][column].ravel() for row in order.tolist()]) for column in range(3)
    )
    late = None
    if pipelines.windows is not None:
        late = np.concatenate(
            [
                np.zeros(cells[row]) if (given := made[row].late) is None else given.ravel()
                for row in order.tolist()
            ]
        )
    return Tables(first, paths, span, depth, parent, ebo, miss, beyond, late)


def few_tables(pipelines: Pipelines) -> Tables | None:
    """Tables where they are quicker than loading the kernels; else None."""
    return tabulate(pipelines, FEW_CELLS) if len(pipelines.stop) <= FEW_ROWS else None


@dataclass(frozen=True)
class Echelon:
    """One echelon of priced tables; a segment is a row x path.

    Parameters
    ----------
    rows : ndarray of int
        Rows of the echelon.
    begin : int
        Its first cell.
    row : ndarray of int, shape (cells,)
        Row of each cell.
    stock : ndarray of int, shape (cells,)
        Own stock. [pieces]
    segments : ndarray of int, shape (segments + 1,)
        First cell of each segment, counted from `begin`.
    above : ndarray of int, shape (segments,)
        The parent's cell a segment belongs to, counted from the parent echelon's begin; empty at HQ.
    cost, best : ndarray, shape (cells,), shape (segments,)
        Money and worth of a cell with the best of all below it, and the least of each segment. [money]
    """

    rows: IntArray
    begin: int
    row: IntArray
    stock: IntArray
    segments: IntArray
    above: IntArray
    cost: FloatArray
    best: FloatArray


def price_cells(tables: Tables, pipelines: Pipelines, worth: Worth) -> list[Echelon]:
    """Least cost of every cell and of all below it at given worths, HQ first.

    Parameters
    ----------
    tables : Tables
    pipelines : Pipelines
        Floors and ceilings may differ from those the tables were made with.
    worth : Worth

    Returns
    -------
    list of Echelon
    """
    money = pipelines.row_cost if worth.cost_factor is None else pipelines.row_cost * worth.cost_factor
    low = np.minimum(pipelines.least, tables.span - 1)
    high = np.maximum(np.minimum(pipelines.most, tables.span - 1), low)
    paid_beyond = money * (pipelines.least - low)
    out: list[Echelon] = []
    below: FloatArray = np.empty(0)
    for d in range(int(tables.depth.max()), -1, -1):
        rows = np.flatnonzero(tables.depth == d)
        begin = int(tables.first[rows[0]])
        cells, span = tables.paths[rows] * tables.span[rows], tables.span[rows]
        end = begin + int(cells.sum())
        row = np.repeat(rows, cells)
        starts = np.r_[0, np.cumsum(np.repeat(span, tables.paths[rows]))]
        stock = np.arange(end - begin) - np.repeat(starts[:-1], np.diff(starts))
        cost = money[row] * stock
        for values, table in (
            (worth.backorder, tables.ebo),
            (worth.miss, tables.miss),
            (worth.late, tables.late),
        ):
            if values is not None and table is not None and values[rows].any():
                cost += values[row] * table[begin:end]
        if paid_beyond[rows].any():
            cost += paid_beyond[row]
        if len(below):
            cost += below
        if low[rows].any() or (high[rows] < span - 1).any():
            cost[(stock < low[row]) | (stock > high[row])] = np.inf
        best = np.minimum.reduceat(cost, starts[:-1])
        above = np.empty(0, np.int64)
        below = np.empty(0)
        if d:
            up = tables.parent[rows]
            upper = np.flatnonzero(tables.depth == d - 1)
            start = int(tables.first[upper[0]])
            path = np.arange(len(best)) - np.repeat(
                np.cumsum(tables.paths[rows]) - tables.paths[rows], tables.paths[rows]
            )
            above = np.repeat(tables.first[up] - start, tables.paths[rows]) + path
            below = np.bincount(above, weights=best, minlength=begin - start).astype(float)
        out.append(Echelon(rows, begin, row, stock, starts, above, cost, best))
    return out[::-1]


def price_tables(tables: Tables, pipelines: Pipelines, worth: Worth) -> Priced:
    """Cheapest levels of every part at given worths: `pricing.price` by looking up.

    Parameters
    ----------
    tables : Tables
    pipelines : Pipelines
    worth : Worth

    Returns
    -------
    Priced
    """
    tables = tables.lay()
    priced = price_cells(tables, pipelines, worth)
    levels = np.zeros(len(tables.first), np.int64)
    taken = np.zeros(len(tables.first), np.int64)
    for level in priced:
        rows = level.rows
        path = np.where(tables.parent[rows] < 0, 0, taken[tables.parent[rows]])
        start = tables.first[rows] - level.begin + path * tables.span[rows]
        ends = np.cumsum(tables.span[rows])
        place = np.arange(ends[-1]) - np.repeat(ends - tables.span[rows], tables.span[rows])
        cost = level.cost[np.repeat(start, tables.span[rows]) + place]
        least = np.minimum.reduceat(cost, ends - tables.span[rows])
        first = np.where(cost == np.repeat(least, tables.span[rows]), place, np.iinfo(np.int64).max)
        levels[rows] = np.minimum.reduceat(first, ends - tables.span[rows])
        taken[rows] = path * tables.span[rows] + levels[rows]
    found = np.maximum(levels, pipelines.least)
    measured = measure_tables(tables, pipelines, found)
    return Priced(**(vars(measured) | {"value": priced[0].best}))


def cells_at(tables: Tables, levels: IntArray) -> IntArray:
    """Cell of every row at given levels; stocks beyond a table end in its last cell."""
    cells = np.zeros(len(levels), np.int64)
    inside = np.minimum(levels, tables.span - 1)
    for d in range(int(tables.depth.max(initial=0)) + 1):
        rows = np.flatnonzero(tables.depth == d)
        up = tables.parent[rows]
        path = np.where(up < 0, 0, cells[up] - tables.first[up])
        cells[rows] = tables.first[rows] + path * tables.span[rows] + inside[rows]
    return cells


def measure_tables(tables: Tables, pipelines: Pipelines, levels: IntArray) -> Priced:
    """What given levels do: `pricing.measure` by looking up.

    Parameters
    ----------
    tables : Tables
    pipelines : Pipelines
    levels : ndarray of int, shape (rows,)
        [pieces]

    Returns
    -------
    Priced
    """
    cells = cells_at(tables, levels)
    inside, last = levels < tables.span, levels >= tables.span - 1
    after = np.where(last, cells, cells + 1)
    before = np.where(levels == 0, cells, cells - 1)

    def look(table: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        here = np.where(inside, table[cells], 0.0)
        saved = np.maximum(here - np.where(last, 0.0, table[after]), 0.0)
        lost = np.maximum(np.where((levels > 0) & (levels <= tables.span), table[before], here) - here, 0.0)
        return here, saved, lost

    miss, at, below = look(tables.miss)
    ebo = np.where(inside, tables.ebo[cells], 0.0)
    over = np.where(inside, tables.beyond[cells], 0.0)
    under = np.where(levels == 0, 1.0, np.where(inside, tables.beyond[before], 0.0))
    nothing = np.empty(0)
    late, late_at, late_below = (nothing,) * 3 if tables.late is None else look(tables.late)
    value = np.add.reduceat(levels, pipelines.starts[:-1]) * pipelines.unit_cost
    return Priced(levels, ebo, miss, over, under, at, below, value, late, late_at, late_below)
