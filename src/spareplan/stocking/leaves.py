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

from collections.abc import Iterator
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
# Stocks looked at, from the one in hand.
STEPS = np.arange(-3, 5)
# Choices of one knapsack: with more of them one piece is little money, and trimming comes as near.
MOST_CHOICES = 1_500
MOST_NODES = 200
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


def settle_leaves(pipelines: Pipelines, promises: Promises, levels: IntArray, prices: FloatArray) -> IntArray:
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

    Returns
    -------
    ndarray of int, shape (rows,)
        Levels that keep every promise for at most the same money.
    """
    rows = _leaves(pipelines, promises)
    if not len(rows):
        return levels
    choices = _choices(pipelines, promises, levels, rows, prices)
    scale = np.where(promises.allowed > 0, promises.allowed, 1.0)
    in_hand = np.flatnonzero(choices.step == 0)
    theirs = np.asarray(choices.use[in_hand].sum(axis=0)).ravel()
    used = promises.used(measure(pipelines, levels))
    room = promises.allowed / scale * (1 - MARGIN) - used / scale + theirs
    settled = levels.copy()
    for some, kept in _knapsacks(choices, len(levels)):
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
    pipelines: Pipelines, promises: Promises, levels: IntArray, rows: IntArray, prices: FloatArray
) -> Choices:
    """Every stock near the one in hand, with its use: one measurement per step, as leaves are apart."""
    count, scale = len(promises), np.where(promises.allowed > 0, promises.allowed, 1.0)
    parts = []
    for step in STEPS.tolist():
        moved = levels[rows] + step
        allowed = (moved >= pipelines.least[rows]) & (moved <= pipelines.most[rows])
        tried = levels.copy()
        tried[rows] = np.where(allowed, moved, levels[rows])
        state = measure(pipelines, tried)
        here = rows[allowed]
        place = np.full(len(levels), -1, np.int64)
        place[here] = np.arange(len(here))
        entries = []
        for kind, measured in zip(promises.kinds, (state.ebo, state.miss, state.late, state.levels)):
            if kind.promise is not None:
                mine = here[kind.promise[here] >= 0]
                entries.append((place[mine], kind.promise[mine], kind.factor[mine] * measured[mine]))
        owner, promise, amount = (np.concatenate(column) for column in zip(*entries))
        use = sparse.csr_matrix((amount / scale[promise], (owner, promise)), shape=(len(here), count))
        parts.append((here, np.full(len(here), step), use))
    row: IntArray = np.concatenate([part[0] for part in parts])
    steps: IntArray = np.concatenate([part[1] for part in parts])
    use = sparse.vstack([part[2] for part in parts]).tocsr()
    money = steps * pipelines.row_cost[row]
    value = money + use @ (prices * scale)
    least = np.full(len(levels), np.inf)
    np.minimum.at(least, row, value)
    return Choices(row, steps, money, value - least[row], use)


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
    leaves, owner = np.unique(choices.row[some], return_inverse=True)
    if len(some) > MOST_CHOICES or len(some) == len(leaves):
        return
    one_each = sparse.csr_matrix((np.ones(len(some)), (owner, np.arange(len(some)))))
    try:
        found = solve_arrays(
            choices.money[some],
            sparse.vstack([choices.use[some][:, kept].T, one_each]),
            np.r_[np.full(len(kept), -np.inf), np.ones(len(leaves))],
            np.r_[room[kept], np.ones(len(leaves))],
            0.0,
            1.0,
            np.ones(len(some), bool),
            gap=1e-6,
            name="stocks of the sites below",
            mip_max_nodes=MOST_NODES,
        )
    except (InfeasibleError, SolverError):
        # The stocks in hand keep the promises; only this attempt to better them failed.
        return
    taken = some[found.values > 0.5]
    if len(taken) == len(leaves) and choices.money[taken].sum() < 0:
        yield from zip(choices.row[taken].tolist(), choices.step[taken].tolist())
