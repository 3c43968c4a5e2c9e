"""Whole levels that keep every promise: one piece more or less where it pays best, with exact gains.

With the stock upstream fixed, sites without children do not touch each other, so what one piece does there is
known exactly: P(N > S) fewer backorders, P(N = S) fewer misses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.pricing import Pipelines, Priced, measure
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ROUNDS = 12
# Far from the promises one piece per row and round is slow; then it goes on until they are kept.
MOST_ROUNDS = 400
# Kept back from every promise while trimming, so that rounding never breaks it.
MARGIN = 1e-10


def money(pipelines: Pipelines, levels: IntArray) -> float:
    """Money in base stock."""
    return float(pipelines.row_cost @ levels)


def trim(
    pipelines: Pipelines, promises: Promises, levels: IntArray, prices: FloatArray
) -> tuple[IntArray, Priced] | None:
    """Mend and trim levels until every promise is kept and no piece is left that it does not need.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    levels : ndarray of int, shape (rows,)
        Near the optimum, such as the priced levels at the best prices. [pieces]
    prices : ndarray, shape (promises,)
        Prices of the promises; they rank the pieces. [money per unit of use]

    Returns
    -------
    tuple of ndarray and Priced, or None
        Levels that keep every promise, and what they do; None where none were found.
    """
    levels = np.array(levels, dtype=np.int64)
    best: tuple[float, IntArray, Priced] | None = None
    for step in range(MOST_ROUNDS):
        if step >= ROUNDS and best is not None:
            break
        state = measure(pipelines, levels)
        used = promises.used(state)
        cost = money(pipelines, levels)
        if promises.kept(used).all() and (best is None or cost < best[0] - 1e-9 * max(cost, 1.0)):
            best = (cost, levels.copy(), state)
        moves = _moves(pipelines, promises, state, levels, used, prices)
        if not moves.any():
            break
        levels = levels + moves
    return None if best is None else best[1:]


def _moves(
    pipelines: Pipelines,
    promises: Promises,
    state: Priced,
    levels: IntArray,
    used: FloatArray,
    prices: FloatArray,
) -> IntArray:
    """One round: at most one piece more or less at every row."""
    moves = np.zeros(len(levels), dtype=np.int64)
    slack = promises.allowed * (1 - MARGIN) - used
    cost = pipelines.row_cost
    wait, miss = promises.wait_promise, promises.miss_promise
    more_wait, less_wait = promises.wait_factor * state.over, promises.wait_factor * state.under
    more_miss, less_miss = promises.miss_factor * state.at, promises.miss_factor * state.below
    padded = np.r_[prices, 0.0]
    covered = (wait >= 0) | (miss >= 0)
    # Add: best first, where a promise is broken. Sites with children may gain too; theirs is a lower bound.
    short = np.r_[slack < 0, False]
    helps = covered & (levels < pipelines.most) & (short[wait] | short[miss])
    rows = np.flatnonzero(helps)
    gain = np.where(short[wait[rows]], more_wait[rows] * np.maximum(padded[wait[rows]], 1e-300), 0.0)
    gain += np.where(short[miss[rows]], more_miss[rows] * np.maximum(padded[miss[rows]], 1e-300), 0.0)
    useful = gain > 0
    rows, gain = rows[useful], gain[useful]
    for row in _in_order(rows, cost[rows] / gain, wait, miss, len(promises)):
        a, b = wait[row], miss[row]
        if (a >= 0 and slack[a] < 0) or (b >= 0 and slack[b] < 0):
            moves[row] = 1
            if a >= 0:
                slack[a] += more_wait[row]
            if b >= 0:
                slack[b] += more_miss[row]
    # Remove: most money per use first, while all promises it touches stay kept.
    leaf = pipelines.is_leaf & (levels > pipelines.least) & (moves == 0)
    room = np.r_[np.maximum(slack, 0.0), np.inf]
    leaf &= (less_wait <= room[wait]) & (less_miss <= room[miss])
    rows = np.flatnonzero(leaf)
    loss = less_wait[rows] * padded[wait[rows]] + less_miss[rows] * padded[miss[rows]]
    for row in _in_order(rows, loss / cost[rows], wait, miss, len(promises)):
        a, b = wait[row], miss[row]
        if (a < 0 or less_wait[row] <= slack[a]) and (b < 0 or less_miss[row] <= slack[b]):
            moves[row] = -1
            if a >= 0:
                slack[a] -= less_wait[row]
            if b >= 0:
                slack[b] -= less_miss[row]
    return moves


def _in_order(rows: IntArray, score: FloatArray, wait: IntArray, miss: IntArray, promises: int) -> list[int]:
    """Rows by score, the best few hundred per promise: more never move in one round."""
    few = 400
    if len(rows) > few * promises:
        group = np.where(wait[rows] >= 0, wait[rows], miss[rows])
        order = np.lexsort((score, group))
        first = np.searchsorted(group[order], group[order])
        order = order[np.arange(len(order)) - first < few]
        rows, score = rows[order], score[order]
    return rows[np.argsort(score, kind="stable")].tolist()
