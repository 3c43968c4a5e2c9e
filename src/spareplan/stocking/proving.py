"""Prove whole levels of small problems: an integer programme over every stock that a better plan could use.

At prices u of the promises every cell of the tables (`tabulated`: a stock at a site, given the stocks
upstream) has an excess: how much the cheapest levels of its part that use it cost more than the cheapest of
all. A plan that uses a cell of excess x costs at least L(u) + x, so cells whose excess is above the distance
of plan and bound are in no better plan [1]_. What is left is chosen by

    min  sum of money x cell    with  one root cell per part,
                                      one cell per child for every chosen cell of its parent,
                                      use of every promise <= allowed.

Without the promises these choices are a flow down a tree, so the relaxation is as tight as the linear
programme over columns of `levels_lp`, with far fewer columns: the leaves are chosen apart, not in every
combination. Parts and promises that share nothing are proved one group at a time. Where too many cells are
left only those of least excess t are looked at, and the bound is the lower of theirs and L(u) + t.

References
----------
.. [1] Nemhauser and Wolsey (1988), Integer and Combinatorial Optimization, II.5.2: reduced cost fixing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError, SolverError
from spareplan.maths.solver import Solution, solve_arrays
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import measure, price
from spareplan.stocking.promises import KEPT_WITHIN, Promises
from spareplan.stocking.tabulated import Echelon, Tables, cells_at, price_cells, tabulate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Looks at the cells of least excess: the first better the plan, so that fewer are left for the proof.
LOOKS = (600, 2_500)
MOST_NODES = 10
# A node costs about 10 us per cell; this much over all groups of a problem is a few seconds.
WORK, LEAST_WORK = 50_000, 10_000
# Rows of the programme tell use in thousandths of what is allowed; the solver keeps them to this.
UNITS, TOLERANCE = 1e3, 1e-9
# Distance of plan and bound, as a share, that counts as proved, and what rounding in the solver may add.
PROVED = 1e-6
ROUNDING = 1e-8


class Proof(NamedTuple):
    """Levels, the least that any levels can cost, and how many looks were taken; 0: tables are too large."""

    levels: IntArray
    bound: float
    looks: int


class Group(NamedTuple):
    """Parts and promises that share nothing with the others."""

    pipelines: Pipelines
    promises: Promises
    rows: IntArray
    kept: IntArray


@dataclass(frozen=True)
class Choices:
    """Cells that a better plan could use, HQ first (arrays of shape (cells,) over all echelons).

    Parameters
    ----------
    cell, row, stock : ndarray of int
        Cell of the tables, row of the pipelines, own stock. [pieces]
    parent : ndarray of int
        Place of the parent's cell among the choices; -1 at HQ.
    excess : ndarray
        What the cheapest levels with this cell cost beyond the cheapest of all. [money]
    """

    cell: IntArray
    row: IntArray
    stock: IntArray
    parent: IntArray
    excess: FloatArray

    def __len__(self) -> int:
        return len(self.cell)


def prove(
    pipelines: Pipelines,
    promises: Promises,
    levels: IntArray,
    prices: FloatArray,
    progress: Callable[[str, int, int], None] | None = None,
) -> Proof:
    """Better a plan of few parts to its optimum, or as near as `WORK` lets.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    levels : ndarray of int, shape (rows,)
        Levels that keep every promise. [pieces]
    prices : ndarray, shape (promises,)
        Prices of the promises at which the Lagrangian bound is high. [money per unit of use]
    progress : callable, optional
        Called with ("proof", groups done, all groups).

    Returns
    -------
    Proof
        Levels that keep every promise for at most the same money; the bound holds for all whole levels.
    """
    levels, bound, looks = levels.copy(), 0.0, 0
    groups = list(separate(pipelines, promises))
    work = max(WORK // max(len(groups), 1), LEAST_WORK)
    for number, group in enumerate(groups):
        if progress:
            progress("proof", number, len(groups))
        found = _prove_group(group, levels[group.rows], prices[group.kept], work)
        levels[group.rows] = found.levels
        bound += found.bound
        looks += found.looks
    return Proof(levels, bound, looks)


def separate(pipelines: Pipelines, promises: Promises) -> Iterator[Group]:
    """Groups of parts and promises that touch nothing of each other; parts without a promise are one group.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises

    Yields
    ------
    Group
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    parts, count, part = len(pipelines.unit_cost), len(promises), pipelines.part
    ends = [np.empty((2, 0), np.int64)]
    for kind in promises.kinds:
        if kind.promise is not None:
            rows = np.flatnonzero(kind.promise >= 0)
            ends.append(np.stack([part[rows], parts + kind.promise[rows]]))
    one, two = np.concatenate(ends, axis=1)
    tied = coo_matrix((np.ones(len(one)), (one, two)), shape=(parts + count,) * 2)
    label = connected_components(tied, directed=False)[1]
    alone = ~np.isin(np.arange(parts), one)
    label[:parts][alone] = -1
    for name in np.unique(label[:parts]).tolist():
        mine = np.flatnonzero(label[:parts] == name)
        kept = np.flatnonzero(label[parts:] == name)
        rows = pipelines.rows_of(mine)
        yield Group(pipelines.take(mine), promises.take(rows).only(kept), rows, kept)


def _prove_group(group: Group, levels: IntArray, prices: FloatArray, work: int) -> Proof:
    pipelines, promises, _, kept = group
    least = weighted_sum(pipelines.row_cost, pipelines.least)
    cost = weighted_sum(pipelines.row_cost, levels)
    if not len(kept):
        return Proof(levels, least, 0)
    tables = pipelines.tables
    tables = tabulate(pipelines) if tables is None else tables.lay()
    if tables is None:
        value = price(pipelines, promises.worth(prices), guess=levels).value.sum()
        return Proof(levels, float(np.clip(value - weighted_sum(prices, promises.allowed), least, cost)), 0)
    priced = price_cells(tables, pipelines, promises.worth(prices))
    lower = float(priced[0].best.sum()) - weighted_sum(prices, promises.allowed)
    bound, looks = min(max(lower, least), cost), 0
    excess = excesses(priced)
    looked, closer = 0, True
    for cells in LOOKS:
        distance = cost - lower
        if cost - bound <= PROVED * cost or (cells == looked and not closer):
            break
        every = np.sort(np.concatenate([values[values <= distance] for values in excess]))
        # Ties with the last cell stay out, so that the choice does not hang on the order of rows.
        threshold = distance if len(every) <= cells else float(every[cells]) * (1 - 1e-9)
        choices = collect(tables, priced, excess, threshold)
        most_nodes = max(work // max(len(choices), 1), 1)
        if threshold < distance:
            most_nodes = min(most_nodes, MOST_NODES)
        found = choose(pipelines, promises, tables, choices, levels, most_nodes, cost)
        if found is None:
            break
        solution, better = found
        looks += 1
        proved = solution.bound
        if np.isfinite(proved):
            proved -= ROUNDING * abs(proved)
        if threshold < distance:
            proved = min(proved, lower + threshold)
        looked, closer = cells, better is not None
        if better is not None:
            levels, cost = better, weighted_sum(pipelines.row_cost, better)
        bound = min(max(bound, proved), cost)
        if threshold >= distance and not closer:
            break
    return Proof(levels, bound, looks)


def excesses(priced: list[Echelon]) -> list[FloatArray]:
    """What the cheapest levels that use a cell cost beyond the cheapest of all, per echelon.

    Parameters
    ----------
    priced : list of Echelon
        From `tabulated.price_cells`.

    Returns
    -------
    list of ndarray, shape (cells of the echelon,)
        At least 0. [money]
    """
    out: list[FloatArray] = []
    for level in priced:
        over = np.zeros(len(level.best)) if not out else out[-1][level.above]
        width = np.diff(level.segments)
        with np.errstate(invalid="ignore"):
            here = np.repeat(over - level.best, width) + level.cost
        out.append(np.where(np.isfinite(level.cost), np.maximum(here, 0.0), np.inf))
    return out


def collect(tables: Tables, priced: list[Echelon], excess: list[FloatArray], threshold: float) -> Choices:
    """Cells of at most this excess; with a cell its parent's cell is always among them.

    Parameters
    ----------
    tables : Tables
    priced : list of Echelon
    excess : list of ndarray
    threshold : float
        [money]

    Returns
    -------
    Choices
    """
    columns: list[list[NDArray[np.generic]]] = []
    place: IntArray = np.empty(0, np.int64)
    count = 0
    for level, over in zip(priced, excess):
        kept = np.flatnonzero(over <= threshold)
        segment = np.searchsorted(level.segments, kept, side="right") - 1
        parent = place[level.above[segment]] if len(level.above) else np.full(len(kept), -1)
        columns.append([level.begin + kept, level.row[kept], level.stock[kept], parent, over[kept]])
        place = np.full(len(over), -1)
        place[kept] = count + np.arange(len(kept))
        count += len(kept)
    cell, row, stock, parent, over = (np.concatenate(column) for column in zip(*columns))
    return Choices(cell, row, stock, parent, over)


def choose(
    pipelines: Pipelines,
    promises: Promises,
    tables: Tables,
    choices: Choices,
    levels: IntArray,
    nodes: int,
    cost: float,
) -> tuple[Solution, IntArray | None] | None:
    """Cheapest plan of the choices by HiGHS, and the bound it proves for them.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    tables : Tables
    choices : Choices
    levels : ndarray of int, shape (rows,)
        A plan that keeps every promise, to start from. [pieces]
    nodes : int
        Most nodes of the search.
    cost : float
        Money of the plan. [money]

    Returns
    -------
    tuple of Solution and ndarray, or None
        The levels if they are cheaper than the plan, else None; None alone where the solver found nothing.
    """
    from scipy import sparse

    count = len(choices)
    stock = np.maximum(choices.stock, _beyond(pipelines, tables)[choices.row])
    money = pipelines.row_cost[choices.row] * stock
    entries = []
    measures = (tables.ebo, tables.miss, tables.late, None)
    for kind, measure_of in zip(promises.kinds, measures):
        if kind.promise is None:
            continue
        some = np.flatnonzero(kind.promise[choices.row] >= 0)
        row = choices.row[some]
        amount = stock[some] if measure_of is None else measure_of[choices.cell[some]]
        entries.append((kind.promise[row], some, kind.factor[row] * amount))
    owner, place, used = (np.concatenate(column) for column in zip(*entries))
    # A promise without room allows no use at all; there any unit does.
    unit = UNITS / np.where(promises.allowed > 0, promises.allowed, 1.0)
    use = sparse.csr_matrix((used * unit[owner], (owner, place)), shape=(len(promises), count))
    # One cell per part at HQ, and per child of every chosen cell.
    key = choices.parent * len(pipelines.stop) + choices.row
    flows, flow = np.unique(
        np.where(choices.parent < 0, choices.row - len(pipelines.stop), key), return_inverse=True
    )
    below = choices.parent[np.unique(flow, return_index=True)[1]]
    has = np.flatnonzero(below >= 0)
    split = sparse.csr_matrix(
        (
            np.r_[np.ones(count), -np.ones(len(has))],
            (np.r_[flow, has], np.r_[np.arange(count), below[has]]),
        ),
        shape=(len(flows), count),
    )
    # As far as a promise counts as kept, so that no plan that counts lies below the bound.
    limit = promises.allowed * unit * (1 + KEPT_WITHIN)
    taken = np.isin(choices.cell, cells_at(tables, levels)).astype(float)
    start = taken if taken.sum() == len(levels) else None
    try:
        found = solve_arrays(
            money,
            sparse.vstack([use, split]),
            np.r_[np.full(len(promises), -np.inf), (below < 0).astype(float)],
            np.r_[limit, (below < 0).astype(float)],
            0.0,
            1.0,
            np.ones(count, bool),
            gap=PROVED / 10,
            name="proof of stock levels",
            start=start,
            mip_max_nodes=nodes,
            mip_detect_symmetry=False,
            mip_allow_restart=False,
            mip_heuristic_run_rens=False,
            mip_heuristic_run_root_reduced_cost=False,
            mip_feasibility_tolerance=TOLERANCE,
            primal_feasibility_tolerance=TOLERANCE,
        )
    except InfeasibleError:
        # None of these choices keeps the promises: every plan uses a cell beyond them.
        nothing = np.zeros(count)
        return Solution(nothing, np.empty(0), np.inf, np.inf, "optimal"), None
    except SolverError:
        return None
    chosen = np.flatnonzero(found.values > 0.5)
    better = np.zeros(len(levels), np.int64)
    better[choices.row[chosen]] = stock[chosen]
    if len(chosen) != len(levels) or weighted_sum(pipelines.row_cost, better) >= cost - PROVED / 10 * cost:
        return found, None
    kept = promises.kept(promises.used(measure(pipelines, better))).all()
    return found, better if kept else None


def _beyond(pipelines: Pipelines, tables: Tables) -> IntArray:
    """Floors that lie beyond the tables, whose last stock stands for them; 0 elsewhere."""
    return np.where(pipelines.least >= tables.span, pipelines.least, 0)
