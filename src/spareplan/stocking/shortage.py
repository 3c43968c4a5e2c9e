"""Too little money for all promises: the best service it buys, and how far each promise falls behind.

Best is the least shortfall over all promises, each valued at the price it has in the plan that keeps them
all (`Found.prices`). So a promise that is dear to keep is dear to miss, and tiers keep their weight against
each other. With a price on money the parts separate as ever; all prices of service times one factor m below
1 give the efficient plans, as on the curve, and for every m the sum V(m) of the parts' least values proves

    shortfall >= (V(m) - budget) / m - sum of price x allowed .
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.asked import Asked
from spareplan.stocking.clashes import refuse_budget, refuse_floors
from spareplan.stocking.curve import hold, price_at
from spareplan.stocking.finding import Found, find_levels, floor_money
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.spending import Purses, shed, spend
from spareplan.stocking.trim import money

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
STEPS = 14
LEAST_FACTOR = 1e-7
# With few parts whole pieces matter; beyond this many rows what an exchange gains is below its time.
EXCHANGE_ROWS, EXCHANGE_STEPS, EXCHANGE_ROUNDS = 40, 6, 2


@dataclass(frozen=True)
class Shortage:
    """The best service for too little money.

    Parameters
    ----------
    found : Found
        Levels within the budget; `bound` is the least money that comes as near to the promises.
    missed : ndarray, shape (promises,)
        Use beyond what is allowed. [units of use]
    shortfall, least_shortfall : float
        Sum of price x missed, and the least that any whole levels for the money could reach. [money]
    """

    found: Found
    missed: FloatArray
    shortfall: float
    least_shortfall: float


def serve_or_refuse(
    asked: Asked,
    found: Found,
    budget: float | None,
    short_budget: str,
    outside: NDArray[np.bool_] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Shortage | None:
    """The best service where a budget does not pay for all promises; None where it does.

    Parameters
    ----------
    asked : Asked
    found : Found
        The cheapest plan that keeps all promises.
    budget : float or None
        [money]
    short_budget : {"refuse", "best_service"}
    outside : ndarray of bool, shape (rows,), optional
        Rows that others pay for; they stay as they are.
    progress : callable, optional

    Returns
    -------
    Shortage or None

    Raises
    ------
    InfeasibleError
        The budget is too small and shall be refused, or does not pay for the floors.
    """
    pipelines, promises = asked.pipelines, asked.promises
    theirs = np.zeros(len(pipelines.stop), bool) if outside is None else outside
    beside = weighted_sum(pipelines.row_cost[theirs], found.levels[theirs])
    if budget is None or not len(promises) or found.cost - beside <= budget * (1 + 1e-12):
        return None
    if short_budget != "best_service":
        refuse_budget(pipelines, promises, found, budget, beside)
    free = hold(pipelines, ~theirs, found.levels) if beside else pipelines
    refuse_floors(asked.forest, free, budget + beside)
    return best_service(free, promises, found, budget + beside, asked.eased, progress)


def best_service(
    pipelines: Pipelines,
    promises: Promises,
    found: Found,
    budget: float,
    eased: Promises | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Shortage:
    """Least shortfall for the money, each promise valued at its price.

    Parameters
    ----------
    pipelines, promises
    found : Found
        The cheapest plan that keeps all promises; dearer than the budget.
    budget : float
        At least what the floors need. [money]
    eased : Promises, optional
        Easier promises under which bounds hold, as in `find_levels`.
    progress : callable, optional
        Called with (step, done, all).

    Returns
    -------
    Shortage
    """
    weights = np.where(promises.is_cap, 0.0, found.prices)
    toll = weighted_sum(found.prices[promises.is_cap], promises.allowed[promises.is_cap])
    low, high = LEAST_FACTOR, 1.0
    levels, guess = pipelines.least.copy(), found.levels
    seen: list[tuple[float, float]] = []
    interrupted = False
    try:
        for step in range(STEPS):
            # Money falls with about the logarithm of the factor: first look where a straight line would end.
            trial = float(np.sqrt(low * high)) if step else float(max((budget / found.cost) ** 4, 1e-3))
            priced = price_at(pipelines, promises, found.prices, trial, guess)
            guess = priced.levels
            seen.append((trial, float(priced.value.sum()) - toll))
            within = money(pipelines, guess) <= budget * (1 + 1e-12)
            if within and _caps_kept(promises, promises.used(priced)):
                low, levels = trial, guess
            else:
                high = trial
            if progress:
                progress("short budget", step + 1, STEPS)
            if high <= low * (1 + 1e-4):
                break
    except KeyboardInterrupt:
        interrupted = True
    # From a corner of the frontier upwards, and from the plan that keeps all downwards: the better counts.
    purse = Purses(pipelines, promises, weights, np.zeros(len(levels), np.int64), np.array([budget]))
    ways = [levels, shed(purse, found.levels)]
    ways = [_spend_rest(pipelines, promises, found.prices, one, budget) for one in ways]
    short = [float(weights @ _missed(promises, promises.used(measure(pipelines, one)))) for one in ways]
    levels = ways[int(np.argmin(short))]
    # Searching again and again under tight caps takes long and may find nothing.
    few = len(pipelines.stop) <= EXCHANGE_ROWS and promises.cap_promise is None
    if few and not interrupted:
        levels = _exchange(pipelines, promises, weights, levels, budget)
    state = measure(pipelines, levels)
    missed = _missed(promises, promises.used(state))
    shortfall = weighted_sum(weights, missed)
    if eased is not None and not interrupted:
        at = high if low <= LEAST_FACTOR else low
        seen = [(at, float(price_at(pipelines, eased, found.prices, at, levels).value.sum()) - toll)]
    kept = weighted_sum(weights, promises.allowed)
    least = max((value - budget) / factor - kept for factor, value in seen)
    bound = max(value - factor * (kept + shortfall) for factor, value in seen)
    cost = money(pipelines, levels)
    return Shortage(
        Found(
            levels,
            state,
            cost,
            min(max(bound, floor_money(pipelines)), cost),
            np.where(promises.is_cap, found.prices, weights * low),
            "best service for the money",
            interrupted or found.interrupted,
        ),
        missed,
        shortfall,
        min(max(least, 0.0), shortfall),
    )


def _missed(promises: Promises, used: FloatArray) -> FloatArray:
    return np.where(promises.is_cap | promises.kept(used), 0.0, np.maximum(used - promises.allowed, 0.0))


def _caps_kept(promises: Promises, used: FloatArray) -> bool:
    return bool((promises.kept(used) | ~promises.is_cap).all())


def _spend_rest(
    pipelines: Pipelines, promises: Promises, prices: FloatArray, levels: IntArray, budget: float
) -> IntArray:
    """Spend what is left where it saves most shortfall."""
    open_ = _missed(promises, promises.used(measure(pipelines, levels))) > 0
    purse = Purses(pipelines, promises, prices, np.zeros(len(levels), np.int64), np.array([budget]))
    return spend(purse, levels, open_)


def _exchange(
    pipelines: Pipelines, promises: Promises, weights: FloatArray, levels: IntArray, budget: float
) -> IntArray:
    """Better a plan of few parts: search for levels that come as near to all promises as the budget pays."""
    best = float(weights @ _missed(promises, promises.used(measure(pipelines, levels))))
    for _ in range(EXCHANGE_ROUNDS):
        used = promises.used(measure(pipelines, levels))
        missed = _missed(promises, used)
        low, high, better = 0.0, 1.0, False
        for _ in range(EXCHANGE_STEPS):
            share = (low + high) / 2
            nearer = replace(promises, allowed=promises.allowed + share * missed)
            tried = find_levels(pipelines, nearer)
            if tried.interrupted:
                return levels
            if tried.cost > budget * (1 + 1e-12):
                low = share
                continue
            high = share
            spent = _spend_rest(pipelines, promises, weights, tried.levels, budget)
            short = float(weights @ _missed(promises, promises.used(measure(pipelines, spent))))
            if short < best * (1 - 1e-9):
                best, levels, better = short, spent, True
        if not better:
            break
    return levels
