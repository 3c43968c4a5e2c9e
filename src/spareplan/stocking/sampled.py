"""Prices of promises from some of the parts: a good start for all, because prices do not grow with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.multipliers import first_prices, search_prices, surrogate
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Place of the caps among the kinds of promises.
CAP = 3
# A twentieth of the parts by two moments, then a fifth exactly: parts per part looked at, most parts, rounds.
FEW, MOST_FEW, FEW_ROUNDS = 20, 2_500, 10
MORE, MOST_MORE, MORE_ROUNDS = 5, 10_000, 3


def prices_by_samples(
    pipelines: Pipelines, promises: Promises, progress: Callable[[str, int, int], None] | None = None
) -> tuple[FloatArray, FloatArray | None, IntArray]:
    """Where to start a search over many parts.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    progress : callable, optional
        Called with ("some parts", steps done, all steps).

    Returns
    -------
    prices, slope : ndarray, shape (promises,)
        As from `prices_of_some`.
    levels : ndarray of int, shape (rows,)
        From `levels_like`. [pieces]
    """
    # Fixed draw: the same parts whatever the order of the tables.
    drawn = np.random.default_rng(0).permutation(len(pipelines.unit_cost))
    few, more = (
        np.sort(drawn[: min(max(len(drawn) // share, 1), most)])
        for share, most in ((FEW, MOST_FEW), (MORE, MOST_MORE))
    )
    prices, slope, _ = prices_of_some(surrogate(pipelines), promises, few, FEW_ROUNDS, None, progress)
    start = (prices, slope)
    prices, slope, known = prices_of_some(pipelines, promises, more, MORE_ROUNDS, start, progress)
    return prices, slope, levels_like(pipelines, more, known)


def prices_of_some(
    pipelines: Pipelines,
    promises: Promises,
    parts: IntArray,
    rounds: int,
    start: tuple[FloatArray, FloatArray | None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[FloatArray, FloatArray | None, IntArray]:
    """Prices that keep the promises for some of the parts, with the share of the demand that is theirs.

    Prices do not grow with the number of parts, so those of a twentieth are a good start for all.

    Parameters
    ----------
    pipelines, promises
        Of all parts.
    parts : ndarray of int
        Parts to look at.
    rounds : int
        Most steps.
    start : tuple of ndarray, optional
        Prices and slopes to start from.
    progress : callable, optional
        Called with ("some parts", steps done, all steps).

    Returns
    -------
    prices : ndarray, shape (promises,)
        [money per unit of use]
    slope : ndarray, shape (promises,), or None
        How the logarithm of use falls with that of the price.
    levels : ndarray of int, shape (rows of the parts,)
        Levels at the last prices that were looked at. [pieces]
    """
    some, rows = pipelines.take(parts), pipelines.rows_of(parts)
    theirs = promises.take(rows)
    ratio = np.ones(len(promises))
    for number, (all_of, part_of) in enumerate(zip(promises.kinds, theirs.kinds, strict=True)):
        if all_of.promise is None or part_of.promise is None:
            continue
        counts = []
        for kind, weight in ((all_of, pipelines.own), (part_of, some.own)):
            assert kind.promise is not None
            # Caps count money, the others demand.
            factor = kind.factor if number == CAP else weight * (kind.factor > 0)
            held = kind.promise >= 0
            counts.append(np.bincount(kind.promise[held], weights=factor[held], minlength=len(promises)))
        ratio = np.where(counts[0] > 0, counts[1] / np.maximum(counts[0], 1e-300), ratio)
    lessened = replace(theirs, allowed=promises.allowed * ratio)
    prices, slope = (None, None) if start is None else start
    found = search_prices(
        some, lessened, prices, rounds, 1e-4, progress=progress, quick=True, slope=slope, name="some parts"
    )
    if found.interrupted:
        raise KeyboardInterrupt
    guess = first_prices(pipelines, promises)
    prices = np.where((ratio > 0) & (found.prices > 0), found.prices, guess)
    return prices, found.slope, found.priced.levels


def levels_like(pipelines: Pipelines, parts: IntArray, levels: IntArray) -> IntArray:
    """Levels to start from: above the leaves like those of some parts, by money and pieces on the way.

    Parameters
    ----------
    pipelines : Pipelines
    parts : ndarray of int
        Parts whose levels are known.
    levels : ndarray of int
        Theirs, as `Pipelines.take` lays them out. [pieces]

    Returns
    -------
    ndarray of int, shape (rows,)
        0 at the leaves, where every stock is looked at anyway. [pieces]
    """
    some = pipelines.take(parts)

    def traits(of: Pipelines) -> tuple[IntArray, FloatArray, FloatArray]:
        rows = np.flatnonzero(~of.is_leaf)
        mean = of.mean[rows]
        cost, on_way = np.log(of.row_cost[rows]), np.log(np.maximum(mean, 1e-9))
        return rows, mean, np.stack([np.ones(len(rows)), cost, on_way, cost**2, on_way**2, cost * on_way], 1)

    rows, mean, known = traits(some)
    above = (levels[rows] - mean) / np.sqrt(mean + 1)
    weights = np.linalg.lstsq(known, above, rcond=None)[0]
    rows, mean, known = traits(pipelines)
    out = np.zeros(len(pipelines.stop), dtype=np.int64)
    out[rows] = np.maximum(np.rint(mean + (known * weights).sum(axis=1) * np.sqrt(mean + 1)), 0)
    return out
