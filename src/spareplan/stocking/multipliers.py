"""Prices of promises without a solver: raise the price of a promise until it is just kept.

For prices u >= 0 of the promises, L(u) = (sum over parts of the least of money + u x use) - u x allowed is
below the money of any integer levels that keep the promises; at its maximum it equals the linear programme
over columns of levels (`levels_lp`) [1]_.

References
----------
.. [1] Fisher (1981), The Lagrangian relaxation method for solving integer programming problems; Wong,
Kranenburg,
   van Houtum, Cattrysse (2007), Efficient heuristics for two-echelon spare parts inventory systems with an
   aggregate mean waiting time constraint per local warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.pipelines import MODELS, Pipelines, weighted_sum
from spareplan.stocking.pricing import Priced, Worth, price
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FIRST_SLOPE, STEEPEST, FLATTEST = -0.9, -2.0, -0.3
LONGEST_STEP = 2.5
NO_PRICE = 1e-12
TWO_ECHELONS = 2
# Place of the caps among the kinds of promises.
CAP = 3
# Below this share of the unit cost a cap is free.
NO_CAP_PRICE = 1e-6


@dataclass
class Search:
    """Where a search for prices stands.

    Parameters
    ----------
    prices : ndarray, shape (promises,)
        Prices with the highest bound so far. [money per unit of use]
    bound : float
        Highest L(u) so far. [money]
    priced : Priced
        Levels at the last prices.
    last : ndarray, shape (promises,)
        Last prices looked at.
    visited : list of Priced
        Levels of every step, for the columns of the linear programme.
    slope : ndarray, shape (promises,), optional
        How the logarithm of use falls with the logarithm of the price.
    interrupted : bool
        The user broke off.
    certain : ndarray, shape (parts,), optional
        Least cost of every part at `prices`, as far as it is certain; NaN where it is not yet. [money]
    """

    prices: FloatArray
    bound: float
    priced: Priced
    last: FloatArray
    visited: list[Priced] = field(default_factory=list)
    slope: FloatArray | None = None
    interrupted: bool = False
    certain: FloatArray | None = None


def surrogate(pipelines: Pipelines) -> Pipelines:
    """The same pipelines evaluated by two moments: a few per cent off, several times quicker."""
    return replace(pipelines, model=np.full(len(pipelines.model), MODELS["two_moment"]))


def without_prices(pipelines: Pipelines) -> Priced:
    """Cheapest levels where nothing is promised: the floors."""
    return price(replace(pipelines, most=pipelines.least), Worth(), guess=pipelines.least)


def bound_at(promises: Promises, prices: FloatArray, priced: Priced) -> float:
    """L(u) from the priced parts."""
    return float(priced.value.sum()) - weighted_sum(prices, promises.allowed)


def first_prices(pipelines: Pipelines, promises: Promises) -> FloatArray:
    """A first guess: about one backorder or miss in twenty is left."""
    money = np.zeros(len(promises))
    weight = np.zeros(len(promises))
    cost = pipelines.row_cost
    for promise, factor in promises.kinds[:3]:
        if promise is None:
            continue
        rows = np.flatnonzero((promise >= 0) & (factor > 0))
        own = pipelines.own[rows]
        money += np.bincount(promise[rows], weights=own * cost[rows], minlength=len(promises))
        weight += np.bincount(promise[rows], weights=own * factor[rows], minlength=len(promises))
    return 20.0 * money / np.maximum(weight, 1e-300)


def search_prices(
    pipelines: Pipelines,
    promises: Promises,
    prices: FloatArray | None = None,
    rounds: int = 16,
    tolerance: float = 2e-5,
    keep: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    before: Search | None = None,
    quick: bool = False,
    slope: FloatArray | None = None,
    name: str = "prices",
    guess: IntArray | None = None,
) -> Search:
    """Raise and lower prices by secants in logarithms until use meets what is allowed.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
        All reachable (`levels` sees to that).
    prices : ndarray, shape (promises,), optional
        Where to start; None: `first_prices`.
    rounds : int
        Most steps.
    tolerance : float
        Stop when |u x (allowed - used)| is this share of the bound.
    keep : bool
        Keep the levels of every step in `visited`.
    progress : callable, optional
        Called with (name, steps done, all steps), and within a step with the same in parts.
    before : Search, optional
        A search under a quicker evaluation, to start from.
    quick : bool
        Walk instead of searching for certain: then `bound` is that of price 0 and `certify` must follow.
    slope : ndarray, shape (promises,), optional
        How the logarithm of use falls with that of the price, from a search over some of the parts.
    name : str
        Of this step, for `progress`.
    guess : ndarray of int, shape (rows,), optional
        Levels to start looking from. [pieces]

    Returns
    -------
    Search
    """
    # Promises that hold without any stock cost nothing and keep price 0.
    start = without_prices(pipelines)
    used = promises.used(start)
    cap = promises.is_cap
    open_ = (used > promises.allowed * (1 + 1e-12)) | cap
    now = np.where(open_, first_prices(pipelines, promises) if prices is None else prices, 0.0)
    now = np.where(open_ & (now <= 0) & ~cap, NO_PRICE, now)
    search = Search(
        np.zeros(len(promises)),
        bound_at(promises, np.zeros(len(promises)), start),
        start,
        now,
        [start] if keep else [],
    )
    if not (open_ & ~cap).any():
        return search
    allowed = np.maximum(promises.allowed, 1e-300)
    slope = np.full(len(promises), FIRST_SLOPE) if slope is None else slope
    if before is not None:
        guess = before.priced.levels
        slope = slope if before.slope is None else before.slope
        now = np.where(open_, np.where(cap, before.last, np.maximum(before.last, NO_PRICE)), 0.0)
    seen_at: tuple[FloatArray, FloatArray] | None = None
    highest = search.bound if not quick else -np.inf
    try:
        for step in range(rounds):
            inside = None if progress is None else partial(_inside, progress, name, step, rounds)
            priced = price(pipelines, promises.worth(now), guess, inside, quick)
            guess = priced.levels
            used = promises.used(priced)
            bound = bound_at(promises, now, priced)
            search.priced, search.last = priced, now
            if keep:
                search.visited.append(priced)
            if bound > highest:
                highest, search.prices = bound, now
                search.bound = search.bound if quick else bound
            if progress:
                progress(name, step + 1, rounds)
            if np.abs(now * (promises.allowed - used)).sum() <= tolerance * max(abs(bound), 1e-12):
                break
            with np.errstate(divide="ignore"):
                ratio = np.log(np.maximum(used, 1e-300) / allowed)
            if seen_at is not None:
                moved = np.log(np.maximum(now, 1e-300)) - seen_at[0]
                with np.errstate(divide="ignore", invalid="ignore"):
                    seen = (ratio - seen_at[1]) / moved
                # A slope seen over a tiny move is noise of whole pieces.
                slope = np.where(np.abs(moved) > 1e-3, np.clip(seen, STEEPEST, FLATTEST), slope)
            search.slope = slope
            seen_at = (np.log(np.maximum(now, 1e-300)), ratio)
            step_log = np.clip(-ratio / slope, -LONGEST_STEP, LONGEST_STEP)
            moved_on = now * np.exp(step_log)
            # A cap costs nothing until it binds.
            begins = np.clip(np.exp(np.minimum(ratio, 1.0)) - 1, 1e-3, 1.0) * (ratio > 0)
            now = np.where(open_, np.where(cap & (now <= NO_CAP_PRICE), begins, moved_on), 0.0)
    except KeyboardInterrupt:
        search.interrupted = True
    return search


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
        Levels at the last prices. [pieces]
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
    prices = np.where((ratio > 0) & (found.last > 0), found.last, guess)
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


def certify(
    pipelines: Pipelines,
    promises: Promises,
    search: Search,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Make the bound of a quick search certain: one full search at its best prices.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    search : Search
        Its bound is lifted, and its levels are replaced by the certain minimum.
    progress : callable, optional
        Called with ("proof", parts done, all parts).
    """
    inside = None if progress is None else partial(_inside, progress, "proof", 0, 1)
    search.certain = np.full(len(pipelines.unit_cost), np.nan)
    try:
        priced = price(
            pipelines, promises.worth(search.prices), search.priced.levels, inside, values=search.certain
        )
    except KeyboardInterrupt:
        search.interrupted = True
        return
    search.bound = max(search.bound, bound_at(promises, search.prices, priced))
    search.priced, search.last = priced, search.prices


def relaxed_bound(pipelines: Pipelines, promises: Promises, search: Search) -> float:
    """A lower bound in one quick pass: parts that are not certain yet find all sites above the last full.

    More stock upstream never hurts below, so money counted from the floors there and endless stock is below
    the cost of any levels.

    Parameters
    ----------
    pipelines, promises
    search : Search
        The bound is taken at its prices.

    Returns
    -------
    float
        [money]
    """
    proving = search.certain is not None
    prices = search.prices if proving else search.last
    certain = np.full(len(pipelines.unit_cost), np.nan)
    if search.certain is not None:
        certain = search.certain
    rest = np.flatnonzero(np.isnan(certain))
    bound = float(np.nansum(certain)) - weighted_sum(prices, promises.allowed)
    if len(rest):
        some, rows = pipelines.take(rest), pipelines.rows_of(rest)
        worth, levels = promises.take(rows).worth(prices), search.priced.levels[rows]
        inner = ~some.is_leaf
        endless = np.where(inner, some.room - 4, some.least)
        full = replace(some, least=endless, most=np.where(inner, endless, some.most))
        paid = some.row_cost * (1.0 if worth.cost_factor is None else worth.cost_factor)
        floors = np.add.reduceat(paid * some.least * inner, some.starts[:-1])
        # Where all stock above is given, the walk is as certain as the search.
        least = price(full, worth, guess=np.where(inner, endless, levels), quick=True).value
        least = least - np.add.reduceat(paid * endless * inner, some.starts[:-1]) + floors
        if some.depth == TWO_ECHELONS and len(search.priced.value) and not proving:
            # Up to the stock of the walk what is below costs no less; beyond it that stock is paid for.
            root = some.starts[:-1]
            there = paid[root] * levels[root] * inner[root]
            below = search.priced.value[rest] - there + floors
            least = np.minimum(np.maximum(below, least), least - floors + there)
        bound += float(least.sum())
    return bound


def _inside(
    progress: Callable[[str, int, int], None], name: str, step: int, steps: int, done: int, total: int
) -> None:
    """Tell how far a step among others is."""
    progress(name, step * total + done, steps * total)
