"""Spend or save money piece by piece where it does most good or least harm, with exact gains.

What a piece does at a site without children is known from its law (P(N > S) fewer backorders, P(N = S) fewer
misses); what one does at headquarters is looked at by trying. Parts do not touch each other, so after a move
only the moved parts are measured again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.curve import priced_use
from spareplan.stocking.finding import LP_ROWS
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import Priced, measure
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ROUNDS, LARGE_ROUNDS = 200, 6
# A round adds the pieces that save nearly as much per money as the best one; in few rounds all that help.
NEARLY_BEST = 0.8
# Share of the rows from which a round of saving takes a piece at most.
SHED_SHARE = 20


class Measured:
    """Levels with what they do, kept up to date part by part.

    Parameters
    ----------
    pipelines : Pipelines
    levels : ndarray of int, shape (rows,)
        [pieces]

    Attributes
    ----------
    levels, state
        As they stand now.
    """

    def __init__(self, pipelines: Pipelines, levels: IntArray) -> None:
        self.pipelines = pipelines
        self.levels = np.array(levels, dtype=np.int64)
        seen = measure(pipelines, self.levels)
        self.state = replace(seen, **{one.name: np.array(getattr(seen, one.name)) for one in fields(seen)})

    def move(self, rows: IntArray, pieces: int) -> IntArray:
        """Add pieces at some rows; returns the parts they belong to."""
        self.levels[rows] += pieces
        parts = np.unique(self.pipelines.part[rows])
        place = self.pipelines.rows_of(parts)
        seen = measure(self.pipelines.take(parts), self.levels[place])
        for one in fields(seen):
            if one.name != "value" and len(getattr(seen, one.name)):
                getattr(self.state, one.name)[place] = getattr(seen, one.name)
        return parts


@dataclass(frozen=True)
class Purses:
    """Money that may lie in base stock, and what it is good for.

    Parameters
    ----------
    pipelines, promises
        Caps among the promises are never exceeded by spending.
    prices : ndarray, shape (promises,)
        [money per unit of use]
    code : ndarray of int, shape (rows,)
        Purse of each row; -1: gets nothing.
    budget : ndarray, shape (purses,)
        What stands there included. [money]
    """

    pipelines: Pipelines
    promises: Promises
    prices: FloatArray
    code: IntArray
    budget: FloatArray


def spend(
    purses: Purses, levels: IntArray, open_: BoolArray | None = None, rounds: int | None = None
) -> IntArray:
    """Add pieces where they save most priced use per money until the money of each purse is spent.

    Parameters
    ----------
    purses : Purses
    levels : ndarray of int, shape (rows,)
        Where to start. [pieces]
    open_ : ndarray of bool, shape (promises,), optional
        Promises that still count; None: all.
    rounds : int, optional
        Most rounds; None: as many as it takes, few for large networks.

    Returns
    -------
    ndarray of int, shape (rows,)
        At sites without children and at headquarters; elsewhere as they were. [pieces]
    """
    pipelines, promises, prices = purses.pipelines, purses.promises, purses.prices
    code, budget, cap = purses.code, purses.budget, promises.cap_promise
    few = len(pipelines.stop) > LP_ROWS or rounds is not None
    most = rounds if rounds is not None else LARGE_ROUNDS if few else ROUNDS
    count, cost, part = len(budget), pipelines.row_cost, pipelines.part
    worth = prices if open_ is None else np.where(open_, prices, 0.0)
    leaf, root = pipelines.is_leaf, pipelines.starts[:-1]
    head = root[~leaf[root] & (code[root] >= 0)]
    at = np.maximum(code, 0)
    now = Measured(pipelines, levels)
    helped = np.zeros(len(pipelines.unit_cost))
    changed = part[head]
    for _ in range(most):
        helped[changed] = _saved_at_head(pipelines, promises, worth, now, changed)
        left = budget - sums(code, count, cost * now.levels)
        gain = np.where(leaf, _gain(promises, worth, now.state), 0.0)
        gain[head] = helped[part[head]]
        affordable = (code >= 0) & (cost <= left[at] * (1 + 1e-12)) & (now.levels < pipelines.most)
        if cap is not None:
            room = promises.allowed - sums(cap, len(promises), cost * now.levels)
            affordable &= (cap < 0) | (cost <= room[cap] * (1 + 1e-12))
        rows = np.flatnonzero(affordable & (gain > 1e-12 * cost))
        if not len(rows):
            break
        ratio = gain[rows] / cost[rows]
        best = np.zeros(count)
        np.maximum.at(best, code[rows], ratio)
        near = ratio >= (0.0 if few else NEARLY_BEST) * best[code[rows]]
        rows, ratio = rows[near], ratio[near]
        # A piece at headquarters changes what the others of its part would save: the better kind goes first.
        above = np.isin(rows, head)
        kinds = np.zeros((2, len(pipelines.unit_cost)))
        np.maximum.at(kinds, (above.astype(int), part[rows]), ratio)
        first_kind = above == (kinds[1] > kinds[0])[part[rows]]
        rows, ratio = rows[first_kind], ratio[first_kind]
        rows = rows[np.lexsort((rows, -ratio, code[rows]))]
        rows = rows[_paid_for(cost[rows], code[rows], left)]
        if cap is not None:
            held = rows[np.argsort(cap[rows], kind="stable")]
            fits = (cap[held] < 0) | _paid_for(cost[held], cap[held], room)
            rows = held[fits]
        moved = now.move(rows, 1)
        changed = moved[~leaf[root[moved]] & (code[root[moved]] >= 0)]
    return now.levels


def shed(purses: Purses, levels: IntArray) -> IntArray:
    """Take away pieces whose loss is least per money, at sites without children, until the money is met.

    Parameters
    ----------
    purses : Purses
        One purse for all rows.
    levels : ndarray of int, shape (rows,)
        Where to start. [pieces]

    Returns
    -------
    ndarray of int, shape (rows,)
        The floors where sites without children hold too little to save so much. [pieces]
    """
    pipelines, promises, weights = purses.pipelines, purses.promises, purses.prices
    budget = float(purses.budget[0])
    now, cost = Measured(pipelines, levels), pipelines.row_cost
    while (over := weighted_sum(cost, now.levels) - budget) > 0:
        rows = np.flatnonzero(pipelines.is_leaf & (now.levels > pipelines.least))
        if not len(rows):
            return pipelines.least.copy()
        state = now.state
        lost = replace(state, ebo=state.under, miss=state.below, late=state.late_below)
        order = np.argsort(priced_use(promises, weights, lost)[rows] / cost[rows], kind="stable")
        needed = int(np.searchsorted(np.cumsum(cost[rows[order]]), over)) + 1
        now.move(rows[order[: min(needed, max(len(rows) // SHED_SHARE, 1))]], -1)
    return now.levels


def _paid_for(cost: FloatArray, code: IntArray, left: FloatArray) -> BoolArray:
    """Which pieces, sorted by purse and best first, the money left in each purse pays for."""
    paid = np.cumsum(cost)
    paid -= (paid - cost)[np.searchsorted(code, code)]
    return np.asarray(paid <= left[code] * (1 + 1e-12), dtype=bool)


def sums(code: IntArray, count: int, values: FloatArray) -> FloatArray:
    """Sum values by purse; -1 belongs to none."""
    inside = code >= 0
    return np.bincount(code[inside], weights=values[inside].astype(float), minlength=count).astype(float)


def _saved_at_head(
    pipelines: Pipelines, promises: Promises, worth: FloatArray, now: Measured, parts: IntArray
) -> FloatArray:
    """Priced use that one piece more at headquarters saves in all of a part, shape (parts,)."""
    if not len(parts):
        return np.zeros(0)
    place, some = pipelines.rows_of(parts), pipelines.take(parts)
    more = now.levels[place]
    more[some.starts[:-1]] += 1
    laid = promises.take(place)
    fewer = {
        name: getattr(now.state, name)[place]
        for name in ("ebo", "miss", "late")
        if len(getattr(now.state, name))
    }
    seen = measure(some, more)
    saved = priced_use(laid, worth, replace(seen, **fewer)) - priced_use(laid, worth, seen)
    return np.add.reduceat(saved, some.starts[:-1])


def _gain(promises: Promises, prices: FloatArray, state: Priced) -> FloatArray:
    """Priced use that one piece more saves at each row itself, in money."""
    return priced_use(promises, prices, replace(state, ebo=state.over, miss=state.at, late=state.late_at))
