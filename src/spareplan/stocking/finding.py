"""From promises to proven levels: prices, linear programme, whole levels, certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import SolverError
from spareplan.stocking.levels_lp import Columns, generate_columns
from spareplan.stocking.multipliers import Search, certify, prices_of_some, search_prices, surrogate
from spareplan.stocking.pricing import MODELS, Pipelines, Priced, measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.trim import money, trim
from spareplan.stocking.whole import FEW_ROWS, search_whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Up to here the linear programme sharpens the prices; beyond it the secants alone come as near.
LP_ROWS = 60_000
# From here on a search by two moments comes first, and the exact one starts near its end.
SURROGATE_ROWS = 3_000
# From here on a twentieth of the parts tells where the prices lie, and few steps over all of them remain.
SAMPLE_ROWS = 1_000_000
SAMPLED = 20


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
    progress: Callable[[str, int, int], None] | None = None,
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
    """
    search, starts, road = price_promises(pipelines, promises, prices, progress)
    levels, state = _best_trimmed(pipelines, promises, search, starts)
    cost = money(pipelines, levels)
    if len(pipelines.stop) <= FEW_ROWS and not search.interrupted and cost > search.bound * (1 + 1e-6):
        levels = search_whole(pipelines, promises, levels, cost, search.prices, search.bound)
        state = measure(pipelines, levels)
        cost = money(pipelines, levels)
    bound = search.bound
    if eased is not None and not search.interrupted:
        bound = price_promises(pipelines, eased, search.prices)[0].bound
    elif eased is not None:
        bound = 0.0
    # Rounding may lift a tight bound past the cost it proves.
    return Found(
        levels,
        state,
        cost,
        min(max(bound, floor_money(pipelines)), cost),
        search.prices,
        road,
        search.interrupted,
    )


def price_promises(
    pipelines: Pipelines,
    promises: Promises,
    prices: FloatArray | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Search, list[IntArray], str]:
    """Prices of the promises with the highest lower bound, by secants and the linear programme.

    Parameters
    ----------
    pipelines, promises, prices, progress
        As in `find_levels`.

    Returns
    -------
    tuple of Search, list of ndarray, str
        Prices and bound, levels to round from, and how they were found.
    """
    rows = len(pipelines.stop)
    small = rows <= LP_ROWS
    warm, slope, steps = None, None, 12
    if rows > SAMPLE_ROWS and prices is None:
        # Fixed draw: the same parts whatever the order of the tables.
        drawn = np.random.default_rng(0).permutation(len(pipelines.unit_cost))
        sample = np.sort(drawn[: max(len(drawn) // SAMPLED, 1)])
        prices, slope = prices_of_some(surrogate(pipelines), promises, sample, steps)
        steps = 4
    if rows > SURROGATE_ROWS and (pipelines.model == MODELS["exact"]).any():
        warm = search_prices(
            surrogate(pipelines),
            promises,
            prices,
            steps,
            1e-4,
            progress=progress,
            quick=not small,
            slope=slope,
        )
    search = search_prices(
        pipelines,
        promises,
        prices,
        12 if warm is None else 4,
        keep=small,
        progress=progress,
        before=warm,
        quick=not small,
    )
    if not small:
        certify(pipelines, promises, search)
    search.interrupted |= warm is not None and warm.interrupted
    road = "multipliers"
    starts = [search.priced.levels]
    if small and len(promises) and not search.interrupted:
        columns = Columns(pipelines, promises)
        for priced in search.visited[-6:]:
            columns.add(priced)
        master = generate_columns(columns, search, progress=progress)
        road = "linear programme"
        if len(master.shares) == len(columns):
            starts.append(columns.assemble(_largest(columns, master.shares)))
    starts.append(search.priced.levels)
    return search, starts, road


def floor_money(pipelines: Pipelines) -> float:
    """Money that the floors alone tie up."""
    return money(pipelines, pipelines.least)


def _largest(columns: Columns, shares: FloatArray) -> IntArray:
    order = np.lexsort((-shares, columns.part))
    first = np.r_[True, columns.part[order][1:] != columns.part[order][:-1]]
    return order[first]


def _best_trimmed(
    pipelines: Pipelines, promises: Promises, search: Search, starts: list[IntArray]
) -> tuple[IntArray, Priced]:
    best: tuple[float, IntArray, Priced] | None = None
    seen: set[bytes] = set()
    for levels in starts:
        if levels.tobytes() in seen:
            continue
        seen.add(levels.tobytes())
        done = trim(pipelines, promises, levels, search.prices)
        if done is not None and (best is None or money(pipelines, done[0]) < best[0]):
            best = (money(pipelines, done[0]), *done)
    if best is None:
        raise SolverError(
            "stock levels: no levels were found that keep every target; loosen the tightest one"
        )
    return best[1:]
