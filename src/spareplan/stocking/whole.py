"""Whole levels for few parts: one whole column per part, near the linear programme's answer.

With many parts rounding costs next to nothing. With few it can cost percents, and a search over the
neighbours of
good levels finds nearly all of that again. Columns whose reduced cost exceeds the distance of plan and bound
cannot be part of a better plan and are left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError, SolverError
from spareplan.maths.solver import solve_arrays
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.trim import Fees

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FEW_ROWS = 1_200
FULL_BOX_ROWS = 5
MOST_COLUMNS_PER_PART = 200
MOST_COLUMNS = 1_600
MOST_SWAPS = 60
# The integer programme sees the best columns only; branching over more takes minutes and gains little.
INTEGER_COLUMNS = 260
FEW_PARTS, MANY_PARTS = 12, 60
INTEGER_NODES = {True: 2_000, False: 100}


@dataclass(frozen=True)
class Neighbours:
    """Columns near given levels: part, levels, money, use of promises, in the plan, reduced cost."""

    part: IntArray
    levels: IntArray
    cost: FloatArray
    use: FloatArray
    chosen: NDArray[np.bool_]
    reduced: FloatArray


def search_whole(
    pipelines: Pipelines,
    promises: Promises,
    levels: IntArray,
    cost: float,
    prices: FloatArray,
    bound: float,
    before: Fees | None = None,
    exchange_only: bool = False,
) -> IntArray:
    """Better a plan of few parts by exchanges and an integer programme over neighbouring columns.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    levels : ndarray of int, shape (rows,)
        Levels that keep every promise. [pieces]
    cost : float
        Their money, with fees. [money]
    prices : ndarray, shape (promises,)
        Prices at which `bound` holds. [money per unit of use]
    bound : float
        Lower bound. [money]
    before : Fees, optional
        Fees of changes against the plan before; they count as money.
    exchange_only : bool
        Only exchange the columns of one or two parts at a time: where a proof follows (`proving`).

    Returns
    -------
    ndarray of int, shape (rows,)
        Levels that keep every promise for at most the same money.
    """
    every = np.arange(len(levels))
    for _ in range(6):
        near = _neighbours(pipelines, promises, levels, prices, cost - bound, before)
        choice = _swap(near, promises)
        if len(pipelines.unit_cost) <= MANY_PARTS and not exchange_only:
            choice = _choose(near, promises, len(pipelines.unit_cost), choice)
        starts = pipelines.take(near.part).starts
        found = np.concatenate([near.levels[starts[k] : starts[k + 1]] for k in choice])
        better = weighted_sum(pipelines.row_cost, found)
        better += 0.0 if before is None else float(before.fee_at(every, found).sum())
        if better >= cost - 1e-9 * max(cost, 1.0):
            break
        if not promises.kept(promises.used(measure(pipelines, found))).all():
            break
        levels, cost = found, better
    return levels


def first_whole(
    pipelines: Pipelines, promises: Promises, levels: IntArray, prices: FloatArray
) -> IntArray | None:
    """Find whole levels that keep every promise where trimming found none, as under a tight cap.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    levels : ndarray of int, shape (rows,)
        Near which to look. [pieces]
    prices : ndarray, shape (promises,)
        [money per unit of use]

    Returns
    -------
    ndarray of int, shape (rows,), or None
        Levels that keep every promise; None where there are none near.
    """
    near = _neighbours(pipelines, promises, levels, prices, np.inf)
    choice = _choose(near, promises, len(pipelines.unit_cost), np.empty(0, np.int64))
    if not len(choice):
        return None
    starts = pipelines.take(near.part).starts
    found = np.concatenate([near.levels[starts[k] : starts[k + 1]] for k in choice])
    return found if promises.kept(promises.used(measure(pipelines, found))).all() else None


def _swap(near: Neighbours, promises: Promises) -> IntArray:
    """Exchange the columns of one or two parts at a time while that saves money and keeps every promise."""
    current = np.flatnonzero(near.chosen)
    allowed = promises.allowed * (1 - 1e-10)
    for _ in range(MOST_SWAPS):
        slack = allowed - near.use[current].sum(axis=0)
        saved = near.cost - near.cost[current][near.part]
        used = near.use - near.use[current][near.part]
        # Columns that cost more can only come with one that saves more than that.
        cheaper = np.flatnonzero(saved < 0)
        both = saved[cheaper, None] + saved[None, :]
        fits = (both < -1e-9) & (near.part[cheaper, None] != near.part[None, :])
        fits |= (saved[None, :] == 0) & (used[None, :] == 0).all(axis=2)
        for g in range(len(promises)):
            fits &= used[cheaper, g, None] + used[None, :, g] <= slack[g]
        if not fits.any():
            break
        gain = np.where(fits, both, np.inf)
        one, two = np.unravel_index(int(gain.argmin()), gain.shape)
        current[near.part[two]] = two
        current[near.part[cheaper[one]]] = cheaper[one]
    return current


def _neighbours(
    pipelines: Pipelines,
    promises: Promises,
    levels: IntArray,
    prices: FloatArray,
    distance: float,
    before: Fees | None = None,
) -> Neighbours:
    widths = np.diff(pipelines.starts)
    parts, vectors = [], []
    conditional = _conditional(pipelines, promises, levels, prices)
    for part, width in enumerate(widths.tolist()):
        own = levels[pipelines.starts[part] : pipelines.starts[part + 1]]
        steps = _steps(width)
        moved = np.unique(
            np.vstack([own + steps, *(base + steps[: 2 * width + 1] for base in conditional[part])]), axis=0
        )
        low = pipelines.least[pipelines.starts[part] : pipelines.starts[part + 1]]
        high = pipelines.most[pipelines.starts[part] : pipelines.starts[part + 1]]
        moved = moved[((moved >= low) & (moved <= high)).all(axis=1)]
        parts.append(np.full(len(moved), part))
        vectors.append(moved.ravel())
    owner, flat = np.concatenate(parts), np.concatenate(vectors)
    wide = pipelines.take(owner)
    rows = pipelines.rows_of(owner)
    state = measure(wide, flat)
    column, promise, amount = promises.take(rows).used_by_part(state, wide)
    use = np.zeros((len(owner), len(promises)))
    use[column, promise] = amount
    cost = state_money(wide, flat)
    if before is not None:
        cost = cost + np.add.reduceat(before.fee_at(rows, flat), wide.starts[:-1])
    reduced = cost + (use * prices).sum(axis=1)
    least = np.full(len(widths), np.inf)
    np.minimum.at(least, owner, reduced)
    reduced -= least[owner]
    # The plan in hand stays among the columns whatever its reduced cost.
    here = np.logical_and.reduceat(flat == levels[rows], wide.starts[:-1])
    order = np.lexsort((reduced, owner))
    first = np.searchsorted(owner[order], owner[order])
    near = np.zeros(len(owner), bool)
    limit = min(MOST_COLUMNS_PER_PART, max(4, MOST_COLUMNS // len(widths)))
    near[order[np.arange(len(order)) - first < limit]] = True
    near &= reduced <= distance + 1e-9 * max(abs(distance), 1.0)
    keep = np.flatnonzero(near | here)
    return Neighbours(owner[keep], flat[wide.rows_of(keep)], cost[keep], use[keep], here[keep], reduced[keep])


def _conditional(
    pipelines: Pipelines, promises: Promises, levels: IntArray, prices: FloatArray
) -> list[IntArray]:
    """Per part, its cheapest levels at the prices, and with each site's stock held one higher or lower."""
    widths = np.diff(pipelines.starts)
    part = np.repeat(np.arange(len(widths)), 2 * widths)
    wide = pipelines.take(part)
    offset = np.concatenate([np.repeat(np.arange(width), 2) for width in widths])
    rows = wide.starts[:-1] + offset
    step = np.tile([-1, 1], len(part) // 2)
    worth = promises.worth(prices)
    source = pipelines.rows_of(part)
    best = price(pipelines, worth, guess=levels).levels
    held = np.clip(best[source[rows]] + step, wide.least[rows], wide.most[rows])
    wide.least[rows], wide.most[rows] = held, held
    found = price(wide, worth.take(source), guess=best[source]).levels
    out = []
    first = np.r_[0, np.cumsum(2 * widths)]
    for i, width in enumerate(widths.tolist()):
        begin, end = wide.starts[first[i]], wide.starts[first[i + 1]]
        free = best[pipelines.starts[i] : pipelines.starts[i + 1]]
        out.append(np.vstack([free[None, :], found[begin:end].reshape(-1, width)]))
    return out


def state_money(pipelines: Pipelines, levels: IntArray) -> FloatArray:
    """Money of every part."""
    return np.add.reduceat(levels, pipelines.starts[:-1]) * pipelines.unit_cost


def _steps(width: int) -> IntArray:
    """Steps to neighbours: all of -1, 0, 1 for narrow parts, else one or two sites at a time."""
    if width <= FULL_BOX_ROWS:
        box = np.array(list(itertools.product((-1, 0, 1), repeat=width)), dtype=np.int64)
        return box[np.argsort(np.abs(box).sum(axis=1), kind="stable")]
    unit = np.eye(width, dtype=np.int64)
    singles = np.vstack([unit, -unit])
    nothing = np.zeros((1, width), np.int64)
    first, second = np.triu_indices(2 * width, 1)
    pairs = singles[first] + singles[second]
    return np.vstack([nothing, singles, pairs])


def _choose(near: Neighbours, promises: Promises, parts: int, current: IntArray) -> IntArray:
    """The best whole columns by HiGHS; `current`, which may be empty, where it finds nothing cheaper."""
    from scipy import sparse

    few = parts <= FEW_PARTS
    shown = np.arange(len(near.part))
    if not few:
        shown = np.flatnonzero(near.reduced <= np.sort(near.reduced)[min(INTEGER_COLUMNS, len(shown)) - 1])
        shown = np.union1d(shown, current)
    count, groups = len(shown), len(promises)
    convexity = sparse.csr_matrix(
        (np.ones(count), (near.part[shown], np.arange(count))), shape=(parts, count)
    )
    try:
        found = solve_arrays(
            near.cost[shown],
            sparse.vstack([sparse.csr_matrix(near.use[shown].T), convexity]),
            np.r_[np.full(groups, -np.inf), np.ones(parts)],
            np.r_[promises.allowed * (1 - 1e-9), np.ones(parts)],
            0.0,
            1.0,
            np.ones(count, bool),
            name="whole stock levels",
            mip_max_nodes=INTEGER_NODES[few],
            mip_detect_symmetry=False,
            mip_allow_restart=False,
            mip_heuristic_run_rins=few,
            mip_heuristic_run_rens=few,
        )
    except (InfeasibleError, SolverError):
        # The plan in hand keeps its promises; only this attempt to better it failed.
        return current
    taken = shown[found.values > 0.5]
    if len(taken) != parts or (len(current) and near.cost[taken].sum() >= near.cost[current].sum()):
        return current
    return taken[np.argsort(near.part[taken], kind="stable")]
