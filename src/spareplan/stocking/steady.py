"""Levels that do not flap: last month's level stays unless another saves more than a change must.

Every change of a level is charged a fee [1]_, and levels are chosen for the least money plus fees: at the
prices of the promises each part keeps its old stock upstream or takes the new one, and each shelf below it
keeps its old level or takes the best there, whichever is cheaper with the fees. What is left over or broken
of the promises is then trimmed with the fees in mind, so that every promise is kept exactly.

References
----------
.. [1] Scarf (1960), The optimality of (S, s) policies in the dynamic inventory problem: where a change costs
   a fee, the best answer to small moves is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.stocking._forest import Forest, missing_columns, numbers, rows_problem
from spareplan.stocking.finding import Found
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Priced, measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.trim import money, trim
from spareplan.stocking.whole import FEW_ROWS, search_whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
NEW = -1
# Prices move a little with the fees; more rounds change the money by less than a thousandth of them.
ROUNDS = 4
SLOPE, LONGEST_STEP = 0.9, 0.5


@dataclass(frozen=True)
class Before:
    """Levels of the plan before on the rows of the pipelines.

    Parameters
    ----------
    levels : ndarray of int, shape (rows,)
        Base stock to keep; NEW where the plan before had no such row. [pieces]
    fee : ndarray, shape (rows,)
        Money that a change must save. [money in base stock]
    published : ndarray, shape (rows,)
        Base stock as the plan before published it; NaN where it had none. [pieces]
    """

    levels: IntArray
    fee: FloatArray
    published: FloatArray

    def changed(self, levels: IntArray) -> BoolArray:
        """Rows whose level differs from the plan before."""
        return (self.levels != NEW) & (levels != self.levels)

    def fees(self, levels: IntArray) -> float:
        """What the changes must save together."""
        return float(self.fee[self.changed(levels)].sum())

    def fee_at(self, rows: IntArray, levels: IntArray) -> FloatArray:
        """Fee of levels at some rows, each by itself."""
        old = self.levels[rows]
        return np.where((old != NEW) & (levels != old), self.fee[rows], 0.0)

    def fee_more(self, levels: IntArray) -> FloatArray:
        """Fee of one piece more at every row; below 0 where it brings the old level back."""
        return self.fee * (1.0 * self.changed(levels + 1) - self.changed(levels))

    def fee_less(self, levels: IntArray) -> FloatArray:
        """Fee of one piece less at every row; below 0 where it brings the old level back."""
        return self.fee * (1.0 * self.changed(levels - 1) - self.changed(levels))


@dataclass(frozen=True)
class Steady:
    """Levels with few changes, and what keeping them so costs.

    Parameters
    ----------
    found : Found
        Cost of these levels; the bound is that of the levels free to change.
    free_cost : float
        Money of the levels found free to change. [money]
    free_levels : ndarray of int, shape (rows,)
        Those levels. [pieces]
    wished : ndarray of int, shape (rows,)
        At shelves that supply no other: the best level with the stock above them as it is. [pieces]
    saving : ndarray, shape (rows,)
        What going there would save at the prices of the promises. [money in base stock]
    """

    found: Found
    free_cost: float
    free_levels: IntArray
    wished: IntArray
    saving: FloatArray


def previous_problems(previous: pd.DataFrame | None) -> list[Problem]:
    """Faults of the levels of the plan before: missing columns, doubled rows, no whole pieces."""
    if previous is None:
        return []
    problems = missing_columns("previous", previous, ["part_id", "site_id", "base_stock"])
    if problems:
        return problems
    level = numbers(previous, "base_stock", "previous", problems)
    whole = (level == np.floor(level)) | ~(level >= 0)
    problems += rows_problem(
        "previous", previous, "base_stock", ~whole, "is no whole number", "give whole pieces"
    )
    return problems + rows_problem(
        "previous",
        previous,
        "part_id",
        previous.duplicated(["part_id", "site_id"]).to_numpy(),
        "stands twice with its site",
        "give each part x site once",
    )


def read_before(previous: pd.DataFrame, forest: Forest, pipelines: Pipelines, must_save: float) -> Before:
    """Check the levels of the plan before and lay them on the rows of the pipelines.

    Parameters
    ----------
    previous : DataFrame
        part_id, site_id, base_stock; parts and sites that are no more are passed over. Where a planner had
        set a level, the model's own in model_base_stock is the one to keep. [pieces]
    forest, pipelines : Forest, Pipelines
    must_save : float
        What a change must save, in pieces of the part.

    Returns
    -------
    Before

    Raises
    ------
    DataError
        Missing columns, doubled rows, levels that are no whole pieces, all at once.
    """
    if problems := previous_problems(previous):
        raise DataError(problems)
    level = numbers(previous, "base_stock", "previous", problems)
    part = forest.part_ids.get_indexer(pd.Index(previous["part_id"]))
    site = forest.site_ids.get_indexer(pd.Index(previous["site_id"]))
    known = (part >= 0) & (site >= 0)
    width = len(forest.site_ids)
    code = part[known] * width + site[known]
    order = np.argsort(code, kind="stable")
    rows = pipelines.forest_rows
    wanted = forest.part[rows] * width + forest.site[rows]
    own = level
    if "model_base_stock" in previous:
        model = previous["model_base_stock"].to_numpy(dtype=float)
        own = np.where(np.isnan(model), level, model)
    kept, published = np.full(len(wanted), NEW, dtype=np.int64), np.full(len(wanted), np.nan)
    if len(code):
        place = order[np.minimum(np.searchsorted(code[order], wanted), len(code) - 1)]
        there = code[place] == wanted
        kept = np.where(there, own[known][place], NEW).astype(np.int64)
        published = np.where(there, level[known][place], np.nan)
    return Before(kept, must_save * pipelines.row_cost, published)


def keep_steady(pipelines: Pipelines, promises: Promises, found: Found, before: Before) -> Steady:
    """Keep levels of the plan before where a change would save less than it must.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    found : Found
        Levels free to change, with the prices of the promises.
    before : Before

    Returns
    -------
    Steady
        Its levels keep every promise, and money plus fees is no higher than that of `found`.
    """
    best = (found.cost + before.fees(found.levels), found.levels, found.state)
    prices = found.prices
    guess = found.levels
    old = np.clip(
        np.where(before.levels == NEW, found.levels, before.levels), pipelines.least, pipelines.most
    )
    starts = [old]
    for _ in range(ROUNDS if len(promises) and not found.interrupted else 0):
        guess, settled = settle(pipelines, promises, prices, before, guess)
        starts.append(settled.levels)
        prices = _next_prices(promises, prices, promises.used(settled))
    seen: set[bytes] = set()
    # Without prices (an interrupt, or no promise) the old levels stay wherever they keep the promises.
    for levels in [starts[0], *starts[-2:]]:
        if levels.tobytes() in seen:
            continue
        seen.add(levels.tobytes())
        done = trim(pipelines, promises, levels, found.prices, before)
        if done is None:
            continue
        total = money(pipelines, done[0]) + before.fees(done[0])
        if total < best[0] - 1e-9 * max(best[0], 1.0):
            best = (total, *done)
    total, levels, state = best
    if len(levels) <= FEW_ROWS and len(promises) and not found.interrupted:
        levels = search_whole(pipelines, promises, levels, total, found.prices, found.bound, before)
        state = measure(pipelines, levels)
    wished, saving = _leaf_wishes(pipelines, promises, found.prices, levels, state)
    steady = replace(found, levels=levels, state=state, cost=money(pipelines, levels))
    return Steady(steady, found.cost, found.levels, wished, saving)


def settle(
    pipelines: Pipelines, promises: Promises, prices: FloatArray, before: Before, guess: IntArray
) -> tuple[IntArray, Priced]:
    """Levels of least money, promises at their prices, and fees: old or new upstream, old or new below.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    prices : ndarray, shape (promises,)
        [money per unit of use]
    before : Before
    guess : ndarray of int, shape (rows,)
        Where to look for the levels free to change. [pieces]

    Returns
    -------
    free : ndarray of int, shape (rows,)
        Levels free to change, at these prices. [pieces]
    settled : Priced
        Levels with the fees counted, and what they do.
    """
    free = price(pipelines, promises.worth(prices), guess=guess, quick=True).levels
    known = before.levels != NEW
    old = np.clip(np.where(known, before.levels, free), pipelines.least, pipelines.most)
    first, second = (_settle_below(pipelines, promises, prices, before, above) for above in (old, free))
    sums = [np.add.reduceat(row_value, pipelines.starts[:-1]) for row_value in (first[1], second[1])]
    keeps = np.repeat(sums[0] <= sums[1], np.diff(pipelines.starts))
    return free, measure(pipelines, np.where(keeps, first[0], second[0]))


def _settle_below(
    pipelines: Pipelines, promises: Promises, prices: FloatArray, before: Before, above: IntArray
) -> tuple[IntArray, FloatArray]:
    """With the stock above given: old or best level of every shelf below, and what rows cost with fees."""
    leaf = pipelines.is_leaf
    best, kept = _best_leaves(pipelines, promises, prices, above), np.array(above)
    known = leaf & (before.levels != NEW)
    kept[leaf] = best.levels[leaf]
    kept[known] = np.clip(before.levels, pipelines.least, pipelines.most)[known]
    as_old = measure(pipelines, kept)
    with_fee = [
        row_values(pipelines, promises, prices, state) + before.fee * before.changed(state.levels)
        for state in (as_old, best)
    ]
    stays = with_fee[0] <= with_fee[1]
    return np.where(stays, kept, best.levels), np.where(stays, with_fee[0], with_fee[1])


def row_values(pipelines: Pipelines, promises: Promises, prices: FloatArray, state: Priced) -> FloatArray:
    """Money of every row and what backorders, misses and lateness there are worth at given prices."""
    worth = promises.worth(prices)
    out = pipelines.row_cost * state.levels
    if worth.cost_factor is not None:
        out = out * worth.cost_factor
    for paid, measured in ((worth.backorder, state.ebo), (worth.miss, state.miss), (worth.late, state.late)):
        if paid is not None:
            out = out + paid * measured
    return out


def _best_leaves(pipelines: Pipelines, promises: Promises, prices: FloatArray, above: IntArray) -> Priced:
    """Best levels at shelves that supply no other, with all others held."""
    leaf = pipelines.is_leaf
    held = replace(
        pipelines,
        least=np.where(leaf, pipelines.least, above),
        most=np.where(leaf, pipelines.most, above),
    )
    return price(held, promises.worth(prices), guess=above)


def _leaf_wishes(
    pipelines: Pipelines, promises: Promises, prices: FloatArray, levels: IntArray, state: Priced
) -> tuple[IntArray, FloatArray]:
    best = _best_leaves(pipelines, promises, prices, levels)
    here = row_values(pipelines, promises, prices, replace(state, levels=levels))
    return best.levels, np.maximum(here - row_values(pipelines, promises, prices, best), 0.0)


def _next_prices(promises: Promises, prices: FloatArray, used: FloatArray) -> FloatArray:
    """Prices a step nearer to where use with fees meets what is allowed."""
    with np.errstate(divide="ignore"):
        ratio = np.log(np.maximum(used, 1e-300) / np.maximum(promises.allowed, 1e-300))
    return prices * np.exp(np.clip(ratio / SLOPE, -LONGEST_STEP, LONGEST_STEP))
