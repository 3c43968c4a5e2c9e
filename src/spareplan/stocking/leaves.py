"""Whole stocks of the sites without children, chosen together: what rounding piece by piece leaves over.

With the stock upstream held, leaves do not touch each other except in the promises they share. So every set
of leaves that shares promises is a small knapsack: one stock for each of them, every promise kept, least
money [1]_. Where few parts share a promise and some are dear, one piece more or less is much money, and the
best choice is worth the search.

References
----------
.. [1] Kellerer, Pferschy and Pisinger (2004), Knapsack Problems, chapter 11: multiple choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from spareplan.errors import InfeasibleError, SolverError
from spareplan.maths.solver import solve_arrays
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Stocks looked at, from the one in hand: near, and far, as the first pieces of a dear part save nothing.
STEPS = np.arange(-3, 5)
FAR_STEPS = np.r_[-40, -32, -26, -21, -17, -14, -12, -10, np.arange(-8, 10), 11, 13, 16, 20, 25, 32]
# Choices of one knapsack that are searched as they are, and those that its relaxation leaves over.
MOST_CHOICES, MOST_LEFT = 600, 1_200
MOST_NODES = 200
# Share of what may be saved that is not worth another look.
CLOSE = 1e-5
# A leaf that uses less of every promise, as a share of what is allowed, asks for no more.
SATED = 1e-9
# Shares of a choice that count.
MIXED = 1e-9
# The solver may overdraw a promise by so much; then it is asked to keep as much back.
SOLVED_WITHIN = 2e-6
# Kept back from every promise, so that rounding never breaks it.
MARGIN = 1e-10


@dataclass(frozen=True)
class Choices:
    """Stocks that leaves may have, one entry each, and what each uses of the promises.

    Parameters
    ----------
    row, step : ndarray of int, shape (choices,)
        Row of the pipelines, and pieces more than in hand.
    money : ndarray, shape (choices,)
        Beyond the stock in hand. [money]
    excess : ndarray, shape (choices,)
        Money and use at the prices, beyond the cheapest of the leaf. [money]
    use : csr_matrix, shape (choices, promises)
        Use as a share of what is allowed.
    """

    row: IntArray
    step: IntArray
    money: FloatArray
    excess: FloatArray
    use: sparse.csr_matrix


def settle_leaves(
    pipelines: Pipelines,
    promises: Promises,
    levels: IntArray,
    prices: FloatArray,
    steps: IntArray = STEPS,
    told: Callable[[int, int], None] | None = None,
) -> IntArray:
    """Choose the stocks of leaves that share promises together, for the least money.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    levels : ndarray of int, shape (rows,)
        Levels that keep every promise; what is not at a leaf stays. [pieces]
    prices : ndarray, shape (promises,)
        Prices of the promises; they tell which stocks cannot be part of a better plan. [money per unit of
        use]
    steps : ndarray of int
        Stocks looked at, from the one in hand, in rising order. [pieces]
    told : callable, optional
        Called with (leaves done, all leaves).

    Returns
    -------
    ndarray of int, shape (rows,)
        Levels that keep every promise for at most the same money.
    """
    rows = _leaves(pipelines, promises)
    if not len(rows):
        return levels
    choices = _choices(pipelines, promises, levels, rows, prices, steps)
    scale = np.where(promises.allowed > 0, promises.allowed, 1.0)
    in_hand = np.flatnonzero(choices.step == 0)
    theirs = np.asarray(choices.use[in_hand].sum(axis=0)).ravel()
    used = promises.used(measure(pipelines, levels))
    room = promises.allowed / scale * (1 - MARGIN) - used / scale + theirs
    settled = levels.copy()
    done = 0
    for some, kept in _knapsacks(choices, len(levels)):
        if told:
            told(done, len(rows))
        done += int((choices.step[some] == 0).sum())
        settled[choices.row[some]] = levels[choices.row[some]]
        for row, step in _settle(choices, some, kept, room, prices * scale):
            settled[row] = levels[row] + step
    better = promises.kept(promises.used(measure(pipelines, settled))).all()
    return settled if better else levels


def _leaves(pipelines: Pipelines, promises: Promises) -> IntArray:
    """Leaves that a promise covers and whose stock may move."""
    covered = np.zeros(len(pipelines.stop), bool)
    for kind in promises.kinds:
        if kind.promise is not None:
            covered |= kind.promise >= 0
    return np.flatnonzero(covered & pipelines.is_leaf & (pipelines.least < pipelines.most))


def _choices(
    pipelines: Pipelines,
    promises: Promises,
    levels: IntArray,
    rows: IntArray,
    prices: FloatArray,
    steps: IntArray,
) -> Choices:
    """Every stock near the one in hand, with its use: one measurement per step, as leaves are apart."""
    count, scale = len(promises), np.where(promises.allowed > 0, promises.allowed, 1.0)
    found, part = [], pipelines.part
    useful = np.ones(len(rows), bool)
    for step in steps.tolist():
        moved = levels[rows] + step
        allowed = useful & (moved >= pipelines.least[rows]) & (moved <= pipelines.most[rows])
        if not allowed.any():
            continue
        here = rows[allowed]
        theirs = np.unique(part[here])
        wide = pipelines.rows_of(theirs)
        place = np.full(len(levels), -1, np.int64)
        place[here] = np.arange(len(here))
        mine, laid = place[wide], promises.take(wide)
        tried = levels.copy()
        tried[here] = moved[allowed]
        state = measure(pipelines.take(theirs), tried[wide])
        entries = []
        for kind, measured in zip(laid.kinds, (state.ebo, state.miss, state.late, state.levels)):
            if kind.promise is not None:
                some = (mine >= 0) & (kind.promise >= 0)
                entries.append((mine[some], kind.promise[some], kind.factor[some] * measured[some]))
        owner, promise, amount = (np.concatenate(column) for column in zip(*entries))
        use = sparse.csr_matrix((amount / scale[promise], (owner, promise)), shape=(len(here), count))
        found.append((here, np.full(len(here), step), use))
        if step > 0:
            # More pieces where next to nothing is missing help nobody.
            useful[allowed] = use.max(axis=1).toarray().ravel() > SATED
    row: IntArray = np.concatenate([one[0] for one in found])
    moves: IntArray = np.concatenate([one[1] for one in found])
    use = sparse.vstack([one[2] for one in found]).tocsr()
    money = moves * pipelines.row_cost[row]
    value = money + use @ (prices * scale)
    least = np.full(len(levels), np.inf)
    np.minimum.at(least, row, value)
    return Choices(row, moves, money, value - least[row], use)


def _knapsacks(choices: Choices, rows: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Choices of leaves that are tied by promises, and those promises."""
    count = choices.use.shape[1]
    held = choices.use.tocoo()
    tied = sparse.coo_matrix(
        (np.ones(held.nnz), (choices.row[held.row], rows + held.col)), shape=(rows + count,) * 2
    )
    label = connected_components(tied, directed=False)[1]
    mine = label[choices.row]
    order = np.argsort(mine, kind="stable")
    names, starts = np.unique(mine[order], return_index=True)
    for name, some in zip(names.tolist(), np.split(order, starts[1:])):
        yield some, np.flatnonzero(label[rows:] == name)


def _settle(
    choices: Choices, some: IntArray, kept: IntArray, room: FloatArray, prices: FloatArray
) -> Iterator[tuple[int, int]]:
    """Steps of the leaves of one knapsack; nothing where the stocks in hand are as good."""
    in_hand = choices.step[some] == 0
    slack = room - np.asarray(choices.use[some[in_hand]].sum(axis=0)).ravel()
    # Any plan costs at least the bound at these prices and its excess, so what exceeds the distance is out.
    distance = float(choices.excess[some][in_hand].sum())
    distance += weighted_sum(prices[kept], np.maximum(slack[kept], 0.0))
    some = some[(choices.excess[some] <= distance * (1 + 1e-9)) | in_hand]
    if len(some) == len(np.unique(choices.row[some])):
        return
    if len(some) > MOST_CHOICES:
        some = _near_relaxation(choices, some, kept, room)
    for narrower in (0.0, SOLVED_WITHIN):
        taken = _choose(choices, some, kept, room * (1 - narrower), CLOSE * distance)
        use = np.asarray(choices.use[taken].sum(axis=0)).ravel()
        if not len(taken) or choices.money[taken].sum() >= 0:
            return
        if (use[kept] <= room[kept]).all():
            yield from zip(choices.row[taken].tolist(), choices.step[taken].tolist())
            return


def _choose(choices: Choices, some: IntArray, kept: IntArray, room: FloatArray, close: float) -> IntArray:
    """Cheapest choices, one for each leaf; none where the search finds no plan."""
    leaves, owner = np.unique(choices.row[some], return_inverse=True)
    try:
        found = solve_arrays(
            choices.money[some],
            *_programme(choices, some, kept, room, owner),
            0.0,
            1.0,
            np.ones(len(some), bool),
            gap=1e-6,
            name="stocks of the sites below",
            mip_max_nodes=MOST_NODES,
            mip_abs_gap=close,
        )
    except (InfeasibleError, SolverError):
        # The stocks in hand keep the promises; only this attempt to better them failed.
        return np.empty(0, np.int64)
    taken = some[found.values > 0.5]
    return taken if len(taken) == len(leaves) else np.empty(0, np.int64)


def _programme(
    choices: Choices, some: IntArray, kept: IntArray, room: FloatArray, owner: IntArray
) -> tuple[sparse.csr_matrix, FloatArray, FloatArray]:
    """Rows of a knapsack: every promise kept, one choice for each leaf; matrix, lower and upper ends."""
    one_each = sparse.csr_matrix((np.ones(len(some)), (owner, np.arange(len(some)))))
    ones = np.ones(one_each.shape[0])
    matrix = sparse.vstack([choices.use[some][:, kept].T, one_each]).tocsr()
    return matrix, np.r_[np.full(len(kept), -np.inf), ones], np.r_[room[kept], ones]


def _near_relaxation(choices: Choices, some: IntArray, kept: IntArray, room: FloatArray) -> IntArray:
    """Choices that a better plan can use, by the relaxation of the knapsack; of too many the nearest."""
    leaves, owner = np.unique(choices.row[some], return_inverse=True)
    matrix, lower, upper = _programme(choices, some, kept, room, owner)
    relaxed = solve_arrays(choices.money[some], matrix, lower, upper, 0.0, 1.0, name="stocks of sites below")
    reduced = choices.money[some] - matrix[: len(kept)].T @ relaxed.duals[: len(kept)]
    least = np.full(len(leaves), np.inf)
    np.minimum.at(least, owner, reduced)
    reduced -= least[owner]
    # Of mixed leaves the choice that uses least: all promises stay kept, and no better plan costs more.
    use = np.asarray(matrix[: len(kept)].sum(axis=0)).ravel()
    order = np.lexsort((use, relaxed.values <= MIXED, owner))
    first = order[np.r_[True, np.diff(owner[order]) > 0]]
    costs = [0.0]
    if (room[kept] >= matrix[: len(kept)][:, first].sum(axis=1).A1).all():
        costs.append(float(choices.money[some[first]].sum()))
    near = reduced <= (min(costs) - relaxed.objective) * (1 + 1e-9) + 1e-9
    if near.sum() > MOST_LEFT:
        near &= reduced <= np.sort(reduced)[MOST_LEFT - 1]
    near[first] = True
    near |= choices.step[some] == 0
    return some[near]
