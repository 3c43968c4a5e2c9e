"""Levels under caps that bind: the capped sites lean, and what they lack made up for elsewhere.

One piece at a time rarely leads from a plan without caps to one within them: a piece that a region gives up
must be made up for by many elsewhere. So the caps are let go while whole levels are sought, and weights k of
the regions keep them: with money and promises of a capped region counted k times, the cheapest levels are
those of the plan without caps at k = 1, and the leanest the region can have as k grows, because all other
shelves then fill up for it. In between the region's money falls, and the least k that meets the cap is
sought. To the prices u of the promises that is a price k - 1 on the cap and k u on the region's promises, so
every k proves a lower bound with the cap, too. Given the stock elsewhere a region is a small problem by
itself, which is solved as one at every k.

Where no k suffices the capped sites are held at their leanest levels and all others planned around them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import SolverError
from spareplan.stocking.asked import Asked
from spareplan.stocking.caps import without_caps
from spareplan.stocking.curve import hold
from spareplan.stocking.finding import LP_ROWS, Found, Standing, find_levels, floor_money, price_promises
from spareplan.stocking.leaves import settle_leaves
from spareplan.stocking.multipliers import bound_at
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Priced, measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.proving import PROVED, prove
from spareplan.stocking.regions import Region, stand_apart
from spareplan.stocking.trim import money, trim
from spareplan.stocking.whole import FEW_ROWS, search_whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]
# Weights that are tried: the first, how their logarithm grows, the largest, and when they are near enough.
TRIALS, FIRST_WEIGHT, GROWS, MOST_WEIGHT, NEAR = 12, 1.15, 2.0, 1e4, 0.1
# So much further from its bound than the plan without caps a plan is not left without a better bound.
FAR = 1.01
MENDING_STEPS = 30


@dataclass
class Best:
    """Cheapest levels so far, and the highest bound with the prices that prove it."""

    cost: float
    levels: IntArray | None
    prices: FloatArray
    bound: float

    def offer(self, pipelines: Pipelines, promises: Promises, levels: IntArray) -> None:
        """Keep levels if they are cheaper and keep all."""
        cost = money(pipelines, levels)
        if cost < self.cost and promises.kept(promises.used(measure(pipelines, levels))).all():
            self.cost, self.levels = cost, levels

    def prove(self, promises: Promises, prices: FloatArray, priced: Priced) -> None:
        """Lift the bound by levels that are certainly the cheapest at some prices."""
        bound = bound_at(promises, prices, priced)
        if bound > self.bound:
            self.bound, self.prices = bound, prices


def tighten(
    asked: Asked, free: Found, regions: list[Region], progress: Progress | None = None
) -> Found | None:
    """Cheapest levels that keep every promise and the caps.

    Parameters
    ----------
    asked : Asked
    free : Found
        Levels that know of no caps, and exceed one.
    regions : list of Region
        Capped regions whose caps may bind.
    progress : callable, optional
        Called with (step, done, all).

    Returns
    -------
    Found or None
        None where no levels were found.
    """
    pipelines, promises = asked.pipelines, asked.promises
    best = Best(np.inf, None, np.r_[free.prices, np.zeros(len(promises) - len(free.prices))], free.bound)
    plain = best.prices
    weight = _weigh(asked, free, regions, best, progress)
    if best.levels is None:
        _around(asked, regions, free, weight, best)
    if best.levels is None:
        return None
    told = asked.eased or promises
    if asked.eased is not None or len(pipelines.stop) > LP_ROWS:
        prices = weighted(promises, plain, regions, weight)
        best.prove(told, prices, price(pipelines, told.worth(prices), guess=best.levels))
    if best.cost * free.bound > FAR * free.cost * best.bound and len(pipelines.stop) <= LP_ROWS:
        standing = Standing()
        price_promises(pipelines, told, best.prices, progress, standing)
        if standing.searched.bound > best.bound:
            best.bound, best.prices = standing.searched.bound, standing.searched.prices
    if len(pipelines.stop) <= FEW_ROWS:
        proof = prove(pipelines, told, best.levels, best.prices)
        best.bound = max(best.bound, proof.bound)
        best.offer(pipelines, promises, proof.levels)
        if best.cost > best.bound * (1 + PROVED):
            near = (best.levels, best.cost, best.prices, best.bound)
            best.offer(pipelines, promises, search_whole(pipelines, promises, *near))
    bound = min(max(best.bound, floor_money(pipelines)), best.cost)
    state = measure(pipelines, best.levels)
    return Found(best.levels, state, best.cost, bound, best.prices, free.road, free.interrupted)


def weighted(promises: Promises, prices: FloatArray, regions: list[Region], weight: FloatArray) -> FloatArray:
    """Prices with money and promises of every region counted so many times.

    Parameters
    ----------
    promises : Promises
    prices : ndarray, shape (promises,)
        Without caps. [money per unit of use]
    regions : list of Region
    weight : ndarray, shape (regions,)

    Returns
    -------
    ndarray, shape (promises,)
        [money per unit of use]
    """
    factor, caps = np.ones(len(promises)), np.zeros(len(promises))
    for region, times in zip(regions, weight.tolist(), strict=True):
        factor[region.asked] = np.maximum(factor[region.asked], times)
        caps[region.caps] = times - 1
    return np.where(promises.is_cap, caps, prices * factor)


def _weigh(
    asked: Asked, free: Found, regions: list[Region], best: Best, progress: Progress | None
) -> FloatArray:
    """Whole levels at one weight after the other; returns the least weights that met the caps."""
    pipelines, promises = asked.pipelines, asked.promises
    soft = replace(promises, allowed=np.where(promises.is_cap, np.inf, promises.allowed))
    small = len(pipelines.stop) <= LP_ROWS
    plain, levels = best.prices, free.levels
    over = _over(promises, free.state, regions)
    log, low, high = np.log(FIRST_WEIGHT) * over, np.zeros(len(regions)), np.where(over, np.inf, 0.0)
    for trial in range(TRIALS):
        if progress:
            progress("caps", trial, TRIALS)
        prices = weighted(promises, plain, regions, np.exp(log))
        priced = price(pipelines, promises.worth(prices), guess=levels, quick=not small)
        if small and asked.eased is None:
            best.prove(promises, prices, priced)
        levels = priced.levels
        done = trim(pipelines, soft, levels, prices)
        if done is None:
            over = np.ones(len(regions), bool)
        else:
            whole = _lean(asked, regions, done[0], prices) if small else done[0]
            state = measure(pipelines, whole)
            over = _over(promises, state, regions)
            if not over.any():
                best.offer(pipelines, promises, whole)
                if small:
                    best.offer(pipelines, promises, settle_leaves(pipelines, promises, whole, prices))
        low, high = np.where(over, log, low), np.where(over, np.where(log >= high, np.inf, high), log)
        near = np.isfinite(high) & (high <= low + NEAR * np.maximum(low, 1.0))
        if near.all() or (log > np.log(MOST_WEIGHT)).any():
            break
        grown = np.where(log > 0, GROWS * log, np.log(FIRST_WEIGHT))
        log = np.where(np.isinf(high), grown, np.where(high > 0, (low + high) / 2, 0.0))
    return np.exp(np.where(np.isinf(high), low, high))


def _over(promises: Promises, state: Priced, regions: list[Region]) -> BoolArray:
    """Regions with a cap that is exceeded."""
    kept = promises.kept(promises.used(state))
    return np.array([not kept[region.caps].all() for region in regions], dtype=bool)


def _lean(asked: Asked, regions: list[Region], levels: IntArray, prices: FloatArray) -> IntArray:
    """Every region that exceeds its cap at its leanest, given the stock elsewhere."""
    pipelines, promises = asked.pipelines, asked.promises
    levels = levels.copy()
    for region, over in zip(regions, _over(promises, measure(pipelines, levels), regions), strict=True):
        if over:
            apart = stand_apart(asked, region.caps, levels)
            lean = find_levels(apart.pipelines, apart.promises, prices[apart.asked])
            levels[apart.rows] = lean.levels
    return levels


def _around(asked: Asked, regions: list[Region], free: Found, weight: FloatArray, best: Best) -> None:
    """The capped sites at their leanest, and the rest planned around them."""
    pipelines, promises = asked.pipelines, asked.promises
    levels, capped = free.levels.copy(), np.zeros(len(pipelines.stop), bool)
    for region in regions:
        mine = region.rows[region.capped]
        levels[mine], capped[mine] = region.leanest.levels[region.capped], True
    held, uncapped = hold(pipelines, ~capped, levels), without_caps(promises)
    prices = weighted(promises, best.prices, regions, weight)[~promises.is_cap]
    try:
        found = find_levels(held, uncapped, prices)
        best.offer(pipelines, promises, found.levels)
    except SolverError:
        whole = mend(held, uncapped, levels, prices)
        if whole is not None:
            best.offer(pipelines, promises, whole)


def mend(pipelines: Pipelines, promises: Promises, levels: IntArray, prices: FloatArray) -> IntArray | None:
    """Raise the prices of promises that are not kept until they are; then trim.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
        Without caps.
    levels : ndarray of int, shape (rows,)
        Where to start looking. [pieces]
    prices : ndarray, shape (promises,)
        [money per unit of use]

    Returns
    -------
    ndarray of int, shape (rows,), or None
        Levels that keep every promise.
    """
    prices = prices.copy()
    for _ in range(MENDING_STEPS):
        priced = price(pipelines, promises.worth(prices), guess=levels)
        levels = priced.levels
        used = promises.used(priced)
        short = ~promises.kept(used)
        if not short.any():
            done = trim(pipelines, promises, levels, prices)
            return levels if done is None else done[0]
        ratio = np.log(used[short] / np.maximum(promises.allowed[short], 1e-300))
        prices[short] = np.maximum(prices[short], 1e-12) * np.exp(np.minimum(1.2 * ratio + 0.02, 3.0))
    return None
