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
from spareplan.stocking.pricing import Priced, Worth, nothing, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.secants import Secants, has_jumps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NO_PRICE = 1e-12
TWO_ECHELONS = 2
# A search that is made certain later stops where the next step would lift the bound by less than this share.
WALKED = 1e-5
# A certain search is followed by another where that promises to lift the bound by more than this share.
SURE, MOST_SURE, WALKS_BETWEEN = 4e-5, 4, 2
# Farther than this, in logarithms, a step is not trusted without a look.
NEAR = 0.3
# Share of a proof that its first turn mostly is.
FIRST_TURN = 0.8


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
    ahead : ndarray, shape (promises,), optional
        Prices that the last step led to, not looked at yet.
    """

    prices: FloatArray
    bound: float
    priced: Priced
    last: FloatArray
    visited: list[Priced] = field(default_factory=list)
    slope: FloatArray | None = None
    interrupted: bool = False
    certain: FloatArray | None = None
    ahead: FloatArray | None = None


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
    if before is not None:
        guess = before.priced.levels
        slope = slope if before.slope is None else before.slope
        now = np.where(open_, np.where(cap, before.last, np.maximum(before.last, NO_PRICE)), 0.0)
    secants = Secants(promises, open_, slope)
    later, quick = quick, quick and not has_jumps(promises)
    highest = search.bound if not quick else -np.inf
    if not keep:
        search.priced = _levels_only(start)
    del start
    try:
        for step in range(rounds):
            inside = None if progress is None else partial(_inside, progress, name, step, rounds)
            priced = price(pipelines, promises.worth(now), guess, inside, quick)
            guess = priced.levels
            used = promises.used(priced)
            bound = bound_at(promises, now, priced)
            search.priced, search.last = priced if keep else _levels_only(priced), now
            del priced
            if keep:
                search.visited.append(search.priced)
            if bound > highest:
                highest, search.prices = bound, now
                search.bound = search.bound if quick else bound
            if progress:
                progress(name, step + 1, rounds)
            if np.abs(now * (promises.allowed - used)).sum() <= tolerance * max(abs(bound), 1e-12):
                break
            ahead, gain = secants.step(now, used)
            search.slope, search.ahead = secants.slope, ahead
            if later and gain <= WALKED * abs(bound):
                break
            now = ahead
    except KeyboardInterrupt:
        search.interrupted = True
    return search


def _levels_only(priced: Priced) -> Priced:
    """Without what was only needed to count use: millions of rows of it."""
    return replace(priced, ebo=nothing(), miss=nothing(), late=nothing())


def certify(
    pipelines: Pipelines,
    promises: Promises,
    search: Search,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Make the bound of a quick search certain: full searches at the best prices, until they are the best.

    A walk may end in a minimum that is none (as where shares off the shelf are promised), and then its prices
    are wrong too: they are mended from what the certain levels use.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    search : Search
        Its bound is lifted, and its levels are replaced by the certain minimum.
    progress : callable, optional
        Called with ("proof", parts done, all parts).
    """
    prices = search.prices if search.ahead is None else search.ahead
    secants = Secants(promises, (search.prices > 0) | promises.is_cap, search.slope)
    guess, promised, best = search.priced.levels, np.inf, None
    for turn in range(MOST_SURE):
        before = -np.inf if best is None else best.bound
        tried = replace(search, prices=prices, last=prices, certain=np.full(len(pipelines.unit_cost), np.nan))
        inside = None if progress is None else partial(_nearer, progress, turn)
        try:
            priced = price(pipelines, promises.worth(prices), guess, inside, values=tried.certain)
            tried.bound, used = bound_at(promises, prices, priced), promises.used(priced)
            tried.priced = _levels_only(priced)
            del priced
            if tried.bound > before:
                best = tried
            ahead, gain = secants.step(prices, used)
            enough = gain <= SURE * abs(tried.bound) or tried.bound - before < promised / 10
            if enough or turn == MOST_SURE - 1:
                break
            promised, prices, guess = gain, ahead, tried.priced.levels
            for _ in range(0 if has_jumps(promises) else WALKS_BETWEEN):
                near = price(pipelines, promises.worth(prices), guess, quick=True)
                prices, guess = secants.step(prices, promises.used(near))[0], near.levels
                del near
        except KeyboardInterrupt:
            search.interrupted = True
            best = best or tried
            break
    if best is None:
        return
    search.prices, search.last, search.certain = best.prices, best.last, best.certain
    search.bound, search.priced = max(search.bound, best.bound), best.priced


def _nearer(progress: Callable[[str, int, int], None], turn: int, done: int, total: int) -> None:
    """Tell how far a proof is that may need further turns, each likely the last."""
    left = (1 - FIRST_TURN) ** turn * (1 - FIRST_TURN * done / total)
    progress("proof", round(1000 * (1 - left)), 1000)


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
