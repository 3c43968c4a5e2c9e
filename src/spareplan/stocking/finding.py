"""From promises to proven levels: prices, linear programme, whole levels, certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import SolverError
from spareplan.stocking.leaves import FAR_STEPS, STEPS, settle_leaves
from spareplan.stocking.levels_lp import Columns, generate_columns, largest_shares
from spareplan.stocking.multipliers import (
    Search,
    certify,
    relaxed_bound,
    search_prices,
    surrogate,
)
from spareplan.stocking.pipelines import MODELS, Pipelines
from spareplan.stocking.pricing import Priced, measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.proving import PROVED, prove
from spareplan.stocking.sampled import prices_by_samples
from spareplan.stocking.secants import has_jumps
from spareplan.stocking.trim import money, trim
from spareplan.stocking.whole import FEW_ROWS, first_whole, search_whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Progress = Callable[[str, int, int], None]
# Up to here the linear programme sharpens the prices; beyond it the secants alone come as near.
LP_ROWS = 60_000
# Where shares are promised to few parts each, one part is much of a promise: the secants miss the prices
# by tens of percents, and the linear programme is worth its time much longer.
JUMPY_LP_ROWS, FEW_PER_PROMISE = 300_000, 2_000
# How near the programme comes to its bound, as a share; more is lost to whole pieces there.
FINE, ROUGH = 1e-6, 2e-4
# From here on a search by two moments comes first, and the exact one starts near its end.
SURROGATE_ROWS = 3_000
# From here on some of the parts tell where the prices lie, and few steps over all of them remain.
SAMPLE_ROWS = 200_000
# Nearer to the bound than this, choosing the stocks of leaves together gains little.
SETTLED = 1e-3
# Farther than this, stocks of leaves far from those in hand are looked at, in so many passes at most, as long
# as one closes this share of what is left.
FAR, PASSES, WORTHWHILE = 5e-3, 4, 0.05
# Passes that may follow an interrupt until all promises are kept.
MENDING_STEPS = 6


@dataclass(frozen=True)
class Found:
    """Levels that keep every promise, with the proof.

    Parameters
    ----------
    levels : ndarray of int, shape (rows,)
        [pieces]
    state : Priced
        What they do.
    cost, bound : float
        Money, and the least that any whole levels could cost. [money]
    prices : ndarray, shape (promises,)
        Shadow prices. [money per unit of use]
    road : str
        How the prices were found.
    interrupted : bool
        The user broke off; levels and bound are valid all the same.
    """

    levels: IntArray
    state: Priced
    cost: float
    bound: float
    prices: FloatArray
    road: str
    interrupted: bool


def find_levels(
    pipelines: Pipelines,
    promises: Promises,
    prices: FloatArray | None = None,
    progress: Progress | None = None,
    eased: Promises | None = None,
) -> Found:
    """Cheapest whole levels that keep every promise.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
        Each reachable by itself; stock never hurts another, so they are reachable together.
    prices : ndarray, shape (promises,), optional
        Prices of a similar plan, to start from.
    progress : callable, optional
        Called with (step, done, all).
    eased : Promises, optional
        Easier promises under which the lower bound is taken, where some are told on the safe side only.

    Returns
    -------
    Found

    Raises
    ------
    SolverError
        No levels that keep every promise were found.
    KeyboardInterrupt
        The user broke off before all parts had been priced once, or again before a first plan was ready.
    """
    standing = Standing()
    told = progress or _silent
    bound = None
    try:
        starts = price_promises(pipelines, promises, prices, progress, standing)
        _trim_all(pipelines, promises, standing, starts, told)
        _search_few(pipelines, promises, standing, told)
        if eased is not None:
            easy = Standing()
            price_promises(pipelines, eased, standing.searched.prices, progress, easy)
            bound = easy.searched.bound
            if len(pipelines.stop) <= FEW_ROWS and standing.best is not None:
                # Levels that keep the promises keep the easier ones.
                proof = prove(pipelines, eased, standing.best[1], easy.searched.prices, told)
                bound = max(bound, proof.bound)
    except KeyboardInterrupt:
        if standing.search is None:
            raise
        standing.interrupted = True
        told("mending", 0, 1)
        _mend(pipelines, promises, standing)
    search = standing.searched
    cost, levels, state = standing.feasible
    if bound is None:
        bound = search.bound if eased is None else 0.0
    # Rounding may lift a tight bound past the cost it proves.
    return Found(
        levels,
        state,
        cost,
        min(max(bound, floor_money(pipelines)), cost),
        search.prices,
        standing.road,
        standing.interrupted,
    )


@dataclass
class Standing:
    """How far the search is: what is left of it when the user breaks off.

    Parameters
    ----------
    search : Search, optional
        Prices and valid bound so far; None until all parts have been priced once.
    best : tuple of float, ndarray and Priced, optional
        Cheapest levels so far that keep every promise.
    road : str
        How the prices were found.
    interrupted : bool
        The user broke off.
    """

    search: Search | None = None
    best: tuple[float, IntArray, Priced] | None = None
    road: str = "multipliers"
    interrupted: bool = False

    @property
    def searched(self) -> Search:
        """The search, which is there."""
        assert self.search is not None
        return self.search

    @property
    def feasible(self) -> tuple[float, IntArray, Priced]:
        """The cheapest levels so far.

        Raises
        ------
        SolverError
            There are none.
        """
        if self.best is None:
            raise SolverError(
                "stock levels: no levels were found that keep every target; loosen the tightest one"
            )
        return self.best

    def offer(self, cost: float, levels: IntArray, state: Priced) -> None:
        """Keep levels that keep every promise if they are the cheapest so far."""
        if self.best is None or cost < self.best[0]:
            self.best = (cost, levels, state)


def price_promises(
    pipelines: Pipelines,
    promises: Promises,
    prices: FloatArray | None,
    progress: Progress | None,
    standing: Standing,
) -> list[IntArray]:
    """Prices of the promises with the highest lower bound, by secants and the linear programme.

    Parameters
    ----------
    pipelines, promises, prices, progress
        As in `find_levels`.
    standing : Standing
        Its search is filled in, step by step.

    Returns
    -------
    list of ndarray
        Levels to round from.

    Raises
    ------
    KeyboardInterrupt
        The user broke off; `standing` holds what there is.
    """
    rows = len(pipelines.stop)
    small = by_columns(pipelines, promises)
    rough = rows > SURROGATE_ROWS and (pipelines.model == MODELS["exact"]).any()
    warm, slope, guess, steps = None, None, None, 12
    if rows > SAMPLE_ROWS and prices is None:
        prices, slope, guess = prices_by_samples(pipelines, promises, progress)
        rough = False
        steps = 5
    if rough:
        warm = search_prices(
            surrogate(pipelines), promises, prices, steps, 1e-4, progress=progress, quick=not small,
            slope=slope, name="prices, roughly",
        )  # fmt: skip
        # What two moments bound is no bound for the exact evaluation.
        standing.search = replace(
            warm, bound=floor_money(pipelines), priced=replace(warm.priced, value=np.empty(0))
        )
        _stop_if(warm)
    search = search_prices(
        pipelines,
        promises,
        prices,
        steps if warm is None else 4,
        keep=small,
        progress=progress,
        before=warm,
        quick=not small,
        slope=slope if warm is None else None,
        guess=guess,
    )
    standing.search = search
    _stop_if(search)
    if not small:
        certify(pipelines, promises, search, progress)
        _stop_if(search)
    starts = [search.priced.levels]
    if small and len(promises):
        columns = Columns(pipelines, promises)
        for priced in search.visited[-6:]:
            columns.add(priced)
        fine = rows <= LP_ROWS or not has_jumps(promises)
        master = generate_columns(columns, search, tolerance=FINE if fine else ROUGH, progress=progress)
        _stop_if(search)
        standing.road = "linear programme"
        if len(master.shares) == len(columns):
            starts.append(columns.assemble(largest_shares(columns, master)))
    starts.append(search.priced.levels)
    return starts


def by_columns(pipelines: Pipelines, promises: Promises) -> bool:
    """Whether the linear programme over columns finds the prices, not the secants alone."""
    rows = len(pipelines.stop)
    few = rows <= min(JUMPY_LP_ROWS, FEW_PER_PROMISE * len(promises))
    return rows <= LP_ROWS or (few and has_jumps(promises))


def _stop_if(search: Search) -> None:
    if search.interrupted:
        raise KeyboardInterrupt


def _silent(step: str, done: int, total: int) -> None:
    pass


def _mend(pipelines: Pipelines, promises: Promises, standing: Standing) -> None:
    """After an interrupt: a plan that keeps every promise, in a few quick passes, and a valid bound.

    Raises
    ------
    KeyboardInterrupt
        The user broke off again before there was such a plan.
    """
    search = standing.searched
    try:
        if standing.best is None:
            levels, prices = search.priced.levels, np.maximum(search.last, 0.0)
            state = search.priced if len(search.priced.ebo) else measure(pipelines, levels)
            used = promises.used(state)
            for _ in range(MENDING_STEPS):
                short = ~promises.kept(used) & ~promises.is_cap
                if not short.any():
                    break
                ratio = np.log(used[short] / np.maximum(promises.allowed[short], 1e-300))
                prices[short] = np.maximum(prices[short], 1e-12) * np.exp(np.minimum(1.2 * ratio + 0.01, 3.0))
                priced = price(pipelines, promises.worth(prices), guess=levels, quick=True)
                levels, used = priced.levels, promises.used(priced)
            trim(pipelines, promises, levels, prices, keep=standing.offer, rounds=MENDING_STEPS)
        search.bound = max(search.bound, relaxed_bound(pipelines, promises, search))
    except KeyboardInterrupt:
        if standing.best is None:
            raise
    if standing.best is None:
        raise KeyboardInterrupt


def _trim_all(
    pipelines: Pipelines, promises: Promises, standing: Standing, starts: list[IntArray], told: Progress
) -> None:
    for number, levels in enumerate(starts):
        told("pieces", number, len(starts))
        if not any(np.array_equal(levels, before) for before in starts[:number]):
            trim(pipelines, promises, levels, standing.searched.prices, keep=standing.offer)
    if standing.best is None and len(pipelines.stop) <= FEW_ROWS:
        # A cap leaves few plans, and one piece at a time may not lead to any.
        for levels in starts:
            whole = first_whole(pipelines, promises, levels, standing.searched.prices)
            if whole is not None:
                standing.offer(money(pipelines, whole), whole, measure(pipelines, whole))
    near = standing.best is None or standing.best[0] <= standing.searched.bound * (1 + SETTLED)
    if standing.best is not None and by_columns(pipelines, promises) and not near:
        _settle(pipelines, promises, standing, told)
    told("pieces", 1, 1)


def _settle(pipelines: Pipelines, promises: Promises, standing: Standing, told: Progress) -> None:
    """Choose stocks of leaves together: near ones, and far ones where the bound is still far."""
    prices = standing.searched.prices
    steps = STEPS
    for number in range(PASSES):
        before, levels, _ = standing.feasible
        inside = partial(_settled, told, number)
        levels = settle_leaves(pipelines, promises, levels, prices, steps, inside)
        standing.offer(money(pipelines, levels), levels, measure(pipelines, levels))
        cost, bound = standing.feasible[0], standing.searched.bound
        gained = number == 0 or before - cost > WORTHWHILE * (cost - bound)
        if cost <= bound * (1 + FAR) or not gained:
            break
        steps = FAR_STEPS


def _settled(told: Progress, number: int, done: int, total: int) -> None:
    told("stocks of stations", number * total + done, PASSES * total)


def _search_few(pipelines: Pipelines, promises: Promises, standing: Standing, told: Progress) -> None:
    """Better a plan of few parts by exchanges, and prove it as far as tables reach."""
    if len(pipelines.stop) > FEW_ROWS or standing.best is None:
        return
    cost, levels, _ = standing.best
    search = standing.searched

    def offer(levels: IntArray) -> None:
        standing.offer(money(pipelines, levels), levels, measure(pipelines, levels))

    if cost > search.bound * (1 + PROVED):
        told("whole levels", 0, 1)
        near = (search.prices, search.bound)
        offer(search_whole(pipelines, promises, levels, cost, *near, exchange_only=True))
        proof = prove(pipelines, promises, standing.best[1], search.prices, told)
        offer(proof.levels)
        if not proof.looks:
            cost, levels, _ = standing.best
            offer(search_whole(pipelines, promises, levels, cost, *near))
        search.bound = max(search.bound, proof.bound)


def floor_money(pipelines: Pipelines) -> float:
    """Money that the floors alone tie up."""
    return money(pipelines, pipelines.least)
