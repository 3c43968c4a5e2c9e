"""The best plan for a budget without promises, and plain greedy steps at one site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.stocking.finding import Found, find_levels
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.policy import expected_backorders
from spareplan.stocking.pricing import Priced, measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.trim import money

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
STEPS = 40
# With few parts whole pieces matter; beyond this many rows what an exchange gains is below its time.
EXCHANGE_ROWS, EXCHANGE_STEPS = 300, 12


def waiting_promise(pipelines: Pipelines) -> Promises:
    """All demand x wait as one promise that allows nothing, to be priced."""
    rows = len(pipelines.stop)
    own = pipelines.own > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(own, pipelines.own / pipelines.demand, 0.0)
    table = pd.DataFrame(
        {
            "group": ["all sites"],
            "site_id": [""],
            "part_group": [""],
            "measure": ["mean_wait_days"],
            "target": [0.0],
            "demand_per_day": [float(pipelines.own.sum())],
        }
    )
    return Promises(table, np.zeros(1), np.where(own, 0, -1), np.full(rows, -1), factor, np.zeros(rows))


@dataclass(frozen=True)
class Bought:
    """The best plan for a budget without promises.

    Parameters
    ----------
    found : Found
        `bound` is the least money that reaches the same demand x wait.
    budget : float
        [money]
    waiting, least_waiting : float
        Pieces that customers wait for on average, and the least that any levels for the money could reach.
        [pieces]
    """

    found: Found
    budget: float
    waiting: float
    least_waiting: float


def best_for_budget(
    pipelines: Pipelines, budget: float, progress: Callable[[str, int, int], None] | None = None
) -> Bought:
    """Least demand x wait for the money.

    Parameters
    ----------
    pipelines : Pipelines
    budget : float
        At least what the floors need. [money]
    progress : callable, optional
        Called with (step, done, all).

    Returns
    -------
    Bought
    """
    promise = waiting_promise(pipelines)
    low, high = 0.0, float(pipelines.row_cost.max(initial=1.0))
    best = price(pipelines, promise.worth(np.zeros(1)))
    # Price, least value and money of every step; levels of each would fill the memory.
    visited = [_point(pipelines, 0.0, best)]
    interrupted = False
    try:
        priced = best
        while money(pipelines, priced.levels) <= budget and high < 1e18:
            low, high = high, high * 16
            best = priced if money(pipelines, priced.levels) <= budget else best
            priced = price(pipelines, promise.worth(np.array([low])), guess=priced.levels)
            visited.append(_point(pipelines, low, priced))
            if money(pipelines, priced.levels) <= budget:
                best = priced
            else:
                low, high = (
                    max((worth for worth, _, paid in visited if paid <= budget), default=0.0),
                    low,
                )
        for step in range(STEPS):
            if high <= low * (1 + 1e-7):
                break
            middle = np.sqrt(low * high) if low > 0 else high / 16
            priced = price(pipelines, promise.worth(np.array([middle])), guess=best.levels)
            visited.append(_point(pipelines, middle, priced))
            if money(pipelines, priced.levels) <= budget:
                low, best = middle, priced
            else:
                high = middle
            if progress:
                progress("budget", step + 1, STEPS)
    except KeyboardInterrupt:
        interrupted = True
    levels = spend_rest(pipelines, promise, best.levels, budget)
    least = max(0.0, *((value - budget) / worth for worth, value, _ in visited if worth > 0), 0.0)
    if len(pipelines.stop) <= EXCHANGE_ROWS and not interrupted:
        levels, least = exchange(pipelines, promise, levels, budget, least)
    state = measure(pipelines, levels)
    used = promise.used(state)
    bounds = [(value - u * float(used[0]), u) for u, value, _ in visited]
    bound, at = max(bounds)
    cost = money(pipelines, levels)
    found = Found(
        levels,
        state,
        cost,
        min(max(bound, money(pipelines, pipelines.least)), cost),
        np.array([at]),
        "multiplier on money",
        interrupted,
    )
    return Bought(found, budget, float(used[0]), min(least, float(used[0])))


def _point(pipelines: Pipelines, worth: float, priced: Priced) -> tuple[float, float, float]:
    return worth, float(priced.value.sum()), money(pipelines, priced.levels)


def spend_rest(pipelines: Pipelines, promise: Promises, levels: IntArray, budget: float) -> IntArray:
    """Spend what is left of a budget at sites without children, where it saves most wait per money."""
    levels = levels.copy()
    cost = pipelines.row_cost
    leaf = pipelines.is_leaf
    for _ in range(60):
        left = budget - money(pipelines, levels)
        state = measure(pipelines, levels)
        gain = promise.wait_factor * state.over
        rows = np.flatnonzero(leaf & (gain > 0) & (cost <= left) & (levels < pipelines.most))
        if not len(rows):
            break
        order = rows[np.argsort(-gain[rows] / cost[rows], kind="stable")]
        for row in order[:2000].tolist():
            if cost[row] <= left:
                levels[row] += 1
                left -= cost[row]
    return levels


def exchange(
    pipelines: Pipelines, promise: Promises, levels: IntArray, budget: float, least: float
) -> tuple[IntArray, float]:
    """Better a budget's plan of few parts: the smallest use of the promise that the budget still pays for.

    Parameters
    ----------
    pipelines : Pipelines
    promise : Promises
        One promise, as from `waiting_promise`.
    levels : ndarray of int, shape (rows,)
        A plan within the budget. [pieces]
    budget : float
        [money]
    least : float
        Use that no plan within the budget goes below.

    Returns
    -------
    levels : ndarray of int, shape (rows,)
        A plan within the budget that uses at most as much. [pieces]
    least : float
        Use that no plan within the budget goes below, as far as it could be proved.
    """
    high = float(promise.used(measure(pipelines, levels))[0])
    low = least
    for _ in range(EXCHANGE_STEPS):
        if high - low <= 1e-4 * high:
            break
        middle = (low + high) / 2
        found = find_levels(pipelines, replace(promise, allowed=np.array([middle])))
        if found.cost <= budget:
            levels = found.levels
            high = float(promise.used(found.state)[0])
        else:
            low = middle
            if found.bound > budget * (1 + 1e-9):
                least = middle
        if found.interrupted:
            break
    return levels, least


def marginal_allocation(
    unit_cost: FloatArray, mean: FloatArray, budget: float, variance: FloatArray | None = None
) -> pd.DataFrame:
    """Spend money at one site piece by piece where it saves most backorders: the efficient plans.

    Parameters
    ----------
    unit_cost : ndarray, shape (parts,)
        Above 0. [money]
    mean, variance : ndarray, shape (parts,)
        Pieces on order; variance None means Poisson. [pieces, pieces²]
    budget : float
        Money at which to stop. [money]

    Returns
    -------
    DataFrame
        A row per plan: cost, ebo, part (position of the piece added; -1 at the start). [money, pieces]

    Raises
    ------
    DataError
        If a unit cost is not above 0 or the budget is no amount of money.

    References
    ----------
    .. [1] Fox (1966), Discrete optimization via marginal analysis: with backorders convex in stock, every
       plan on this path is the best for its money.
    """
    cost = np.asarray(unit_cost, dtype=float)
    if not (cost > 0).all():
        raise problem_in_argument(
            "marginal_allocation", "unit_cost", cost, "is not above 0", "give money above 0"
        )
    if not (np.isfinite(budget) and budget >= 0):
        raise problem_in_argument(
            "marginal_allocation", "budget", budget, "is no amount of money", "give 0 or more"
        )
    stock = np.zeros(len(cost))
    ebo = expected_backorders(stock, mean, variance)
    saved = ebo - expected_backorders(stock + 1, mean, variance)
    rows = [(0.0, float(ebo.sum()), -1)]
    spread = None if variance is None else np.asarray(variance, dtype=float)
    while True:
        part = int((saved / cost).argmax())
        if saved[part] <= 0 or rows[-1][0] + cost[part] > budget:
            return pd.DataFrame(rows, columns=["cost", "ebo", "part"])
        stock[part] += 1
        rows.append((rows[-1][0] + float(cost[part]), rows[-1][1] - float(saved[part]), part))
        at = np.array([stock[part], stock[part] + 1])
        own = None if spread is None else spread[part]
        now, then = expected_backorders(at, np.full(2, np.asarray(mean, float)[part]), own)
        saved[part] = now - then
