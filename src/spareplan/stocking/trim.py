"""Whole levels that keep every promise: one piece more or less where it pays best, with exact gains.

With the stock upstream fixed, sites without children do not touch each other, so what one piece does there is
known exactly: P(N > S) fewer backorders, P(N = S) fewer misses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import Priced, measure
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ROUNDS = 12
# Far from the promises one piece per row and round is slow; then it goes on until they are kept.
MOST_ROUNDS = 400
# Rows per promise that may move in one round, and rows that are looked at together.
FEW = 400
BLOCK_ROWS = 1 << 20
# Kept back from every promise while trimming, so that rounding never breaks it.
MARGIN = 1e-10


def money(pipelines: Pipelines, levels: IntArray) -> float:
    """Money in base stock."""
    return weighted_sum(pipelines.row_cost, levels)


class Fees(Protocol):
    """What changes against an earlier plan must save."""

    def fees(self, levels: IntArray) -> float:
        """Of all changes together. [money]."""

    def fee_at(self, rows: IntArray, levels: IntArray) -> FloatArray:
        """Of levels at some rows, each by itself. [money]."""

    def fee_more(self, levels: IntArray) -> FloatArray:
        """Of one piece more at every row. [money]."""

    def fee_less(self, levels: IntArray) -> FloatArray:
        """Of one piece less at every row. [money]."""


def trim(
    pipelines: Pipelines,
    promises: Promises,
    levels: IntArray,
    prices: FloatArray,
    before: Fees | None = None,
    keep: Callable[[float, IntArray, Priced], None] | None = None,
    rounds: int = ROUNDS,
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
    before : Fees, optional
        Fees of changes against the plan before; they count as money.
    keep : callable, optional
        Called with money, levels and what they do whenever cheaper levels keep every promise, so that an
        interrupt loses nothing.
    rounds : int
        Most rounds once every promise is kept; until then it goes on.

    Returns
    -------
    tuple of ndarray and Priced, or None
        Levels that keep every promise, and what they do; None where none were found.
    """
    levels = np.array(levels, dtype=np.int64)
    best: tuple[float, IntArray, Priced] | None = None
    last = MOST_ROUNDS
    for step in range(MOST_ROUNDS):
        if step >= last:
            break
        state = measure(pipelines, levels, misses=promises.miss_promise is not None)
        used = promises.used(state)
        cost = money(pipelines, levels) + (0.0 if before is None else before.fees(levels))
        if promises.kept(used).all() and (best is None or cost < best[0] - 1e-9 * max(cost, 1.0)):
            # What pieces would change is asked of the round at hand only, and is two thirds of the memory.
            none = np.empty(0)
            slim = replace(state, over=none, under=none, at=none, below=none, late_at=none, late_below=none)
            if best is None:
                last = step + rounds
            best = (cost, levels, slim)
            if keep is not None:
                keep(cost, levels, slim)
        moves = _moves(pipelines, promises, state, levels, used, prices, before)
        if not moves.any():
            break
        levels = levels + moves
        del state
    return None if best is None else best[1:]


def _moves(
    pipelines: Pipelines,
    promises: Promises,
    state: Priced,
    levels: IntArray,
    used: FloatArray,
    prices: FloatArray,
    before: Fees | None,
) -> NDArray[np.int8]:
    """One round: at most one piece more or less at every row."""
    moves = np.zeros(len(levels), dtype=np.int8)
    # The last place stands for no promise: it never asks for a piece and never holds one back.
    slack = [*(promises.allowed * (1 - MARGIN) - used).tolist(), math.inf]
    uses = _uses(promises, state)
    fees = (0.0, 0.0) if before is None else (before.fee_more(levels), before.fee_less(levels))
    worth = np.r_[np.maximum(prices, 1e-300), 0.0]
    cap = _caps(promises, len(levels))
    paid = pipelines.row_cost
    short = np.array(slack) < 0
    more = _Shortlist(len(promises))
    for here in _blocks(len(levels)):
        helps = np.flatnonzero(levels[here] < pipelines.most[here]) + here.start
        gain = np.zeros(len(helps))
        for use in uses:
            promise = use.promise[helps]
            asked = short[promise]
            gain[asked] += (use.factor[helps] * use.more[helps] * worth[promise])[asked]
        helps, gain = helps[gain > 0], gain[gain > 0]
        cost = paid[helps] * (1 + worth[cap[helps]])
        if before is not None:
            cost = np.maximum(cost + fees[0][helps], 1e-9 * cost)  # type: ignore[index]
        with np.errstate(over="ignore"):
            # A piece that saves next to nothing at a promise without a price comes last.
            more.offer(helps, cost / gain, _first_promise(uses, helps))
    rows = more.in_order()
    touched = _touched(uses, rows, "more")
    # Best first, where a promise is broken. Sites with children may gain too; theirs is a lower bound.
    for row, spent, held, use_of_row in zip(
        rows.tolist(), paid[rows].tolist(), cap[rows].tolist(), touched, strict=True
    ):
        if slack[held] >= spent and any(slack[promise] < 0 for promise, _ in use_of_row):
            moves[row] = 1
            for promise, saved in use_of_row:
                slack[promise] += saved
            slack[held] -= spent
    # Remove: most money per use first, while all promises it touches stay kept or its cap is broken.
    room = np.maximum(slack, 0.0)
    broken = np.array(slack) < 0
    less = _Shortlist(len(promises))
    for here in _blocks(len(levels)):
        leaf = pipelines.stop[here] == np.arange(here.start + 1, here.stop + 1)
        leaf &= (levels[here] > pipelines.least[here]) & (moves[here] == 0)
        gone = np.flatnonzero(leaf) + here.start
        free = np.ones(len(gone), bool)
        loss = np.zeros(len(gone))
        for use in uses:
            promise, lost = use.promise[gone], use.factor[gone] * use.less[gone]
            free &= lost <= room[promise]
            loss += lost * worth[promise]
        saved = paid[gone] * (1 + worth[cap[gone]])
        if before is not None:
            saved = saved - fees[1][gone]  # type: ignore[index]
        keep = (saved > 0) & (free | broken[cap[gone]])
        gone = gone[keep]
        less.offer(gone, loss[keep] / saved[keep], _first_promise(uses, gone))
    rows = less.in_order()
    touched = _touched(uses, rows, "less")
    for row, freed, held, use_of_row in zip(
        rows.tolist(), paid[rows].tolist(), cap[rows].tolist(), touched, strict=True
    ):
        if slack[held] < 0 or all(lost <= slack[promise] for promise, lost in use_of_row):
            moves[row] = -1
            for promise, lost in use_of_row:
                slack[promise] -= lost
            slack[held] += freed
    return moves


class _Use(NamedTuple):
    """One kind of promise at the rows: which, its use per measure, and what one piece more or less does."""

    promise: IntArray
    factor: FloatArray
    more: FloatArray
    less: FloatArray


def _uses(promises: Promises, state: Priced) -> list[_Use]:
    gains = ((state.over, state.under), (state.at, state.below), (state.late_at, state.late_below))
    return [
        _Use(kind.promise, kind.factor, *gain)
        for kind, gain in zip(promises.kinds[:3], gains, strict=True)
        if kind.promise is not None and (kind.promise >= 0).any()
    ]


def _caps(promises: Promises, rows: int) -> IntArray:
    return np.broadcast_to(np.int64(-1), rows) if promises.cap_promise is None else promises.cap_promise


def _first_promise(uses: list[_Use], rows: IntArray) -> IntArray:
    out = np.full(len(rows), -1)
    for use in uses[::-1]:
        out = np.where(use.promise[rows] >= 0, use.promise[rows], out)
    return out


def _touched(uses: list[_Use], rows: IntArray, which: str) -> list[tuple[tuple[int, float], ...]]:
    """Promises of each row, and how much of them a piece saves or costs; no promise stands as -1."""
    told = [
        zip(use.promise[rows].tolist(), (use.factor[rows] * getattr(use, which)[rows]).tolist(), strict=True)
        for use in uses
    ]
    return list(zip(*told, strict=True)) if told else [() for _ in rows]


def _blocks(rows: int) -> Iterator[slice]:
    """Runs of rows, so that what is computed for all of them never stands in memory at once."""
    return (slice(begin, min(begin + BLOCK_ROWS, rows)) for begin in range(0, rows, BLOCK_ROWS))


class _Shortlist:
    """The best few rows of every promise: more of them never move in one round."""

    def __init__(self, promises: int) -> None:
        # The last place is for rows without a promise.
        self.limit = np.full(promises + 1, np.inf)
        self.rows, self.score, self.group = np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)

    def offer(self, rows: IntArray, score: FloatArray, group: IntArray) -> None:
        """Take in rows that are better than the last of their promise."""
        good = score <= self.limit[group]
        self.rows = np.r_[self.rows, rows[good]]
        self.score = np.r_[self.score, score[good]]
        self.group = np.r_[self.group, group[good]]
        if len(self.rows) <= FEW * len(self.limit):
            return
        order = np.lexsort((self.rows, self.score, self.group))
        group = self.group[order]
        place = np.arange(len(order)) - np.searchsorted(group, group)
        self.limit[group[place == FEW - 1]] = self.score[order[place == FEW - 1]]
        kept = order[place < FEW]
        self.rows, self.score, self.group = self.rows[kept], self.score[kept], self.group[kept]

    def in_order(self) -> IntArray:
        """Rows by score."""
        return self.rows[np.lexsort((self.rows, self.score))]
