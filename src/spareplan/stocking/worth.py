"""What money buys and what a promise costs: the next amount of money, and one more point of every promise.

Prices tell the first order: at this plan one unit of money, well spent, saves one unit of use valued at the
shadow prices, and a promise moved by a little costs its price times the move. Further away money buys less
and points cost more, because backorders and misses fall convexly in stock; the functions here go there and
look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_YEAR, HOURS_PER_DAY
from spareplan.stocking.curve import WHOLE, Frontier, Scope, hold, layers, price_at, priced_use
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import KEPT_WITHIN, Promises
from spareplan.stocking.spending import Purses, spend, sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# Halvings of the interval of price factors; whole pieces make more of them useless.
HALVINGS = 9
HIGHEST_FACTOR = 1e4
# One step of a promise by its measure, and how it is said.
POINT = {"mean_wait_days": 0.1, "fill_rate": 0.01, "in_window": 0.01}
SAID = {
    "mean_wait_days": "0.1 day of mean wait",
    "fill_rate": "one point (0.01) of fill rate",
    "in_window": "one point (0.01) within the window",
}
FACTORS = np.geomspace(1 / 30, 300, 19)
# Steps in which the price is summed over the way of a moved promise.
WAY = 24


def next_money(frontier: Frontier, amount: float = 100_000.0, by: str | None = None) -> pd.DataFrame:
    """What the next amount of money buys; see `StockLevels.next_money`."""
    if not (np.isfinite(amount) and amount > 0):
        raise problem_in_argument(
            "next_money", "amount", amount, "is no amount of money to spend", "give money above 0"
        )
    pipelines = frontier.pipelines
    whole = Scope(np.array([WHOLE], dtype=object), np.zeros(len(pipelines.stop), np.int64))
    frames = [_bought(frontier, whole, None, np.array([0]), amount)]
    if by is not None:
        scope = frontier.scope(by)
        for free, pieces in layers(pipelines, scope):
            frames.append(_bought(frontier, scope, free, pieces, amount))
    table = pd.concat(frames, ignore_index=True)
    table["reason"] = _sentences(table, by, frontier.promises.cap_promise is not None)
    if by is None:
        return table.drop(columns="scope")
    rest = table.iloc[1:].sort_values("machine_hours_saved_per_year", ascending=False, kind="stable")
    return pd.concat([table.iloc[:1], rest], ignore_index=True).rename(columns={"scope": by})


def _bought(
    frontier: Frontier, scope: Scope, free: BoolArray | None, pieces: IntArray, amount: float
) -> pd.DataFrame:
    """A row per piece of the scope: `amount` spent there alone."""
    promises, prices = frontier.priced_promises()
    start = frontier.found.levels
    pipelines = frontier.pipelines if free is None else hold(frontier.pipelines, free, start)
    code = np.where(np.isin(scope.code, pieces), scope.code, -1)
    count = len(scope.labels)
    budget = sums(code, count, pipelines.row_cost * start) + amount
    levels = _priced_up(pipelines, promises, prices, code, count, start, budget)
    # From a corner of the frontier to the whole money; and the same from the plan itself: the better counts.
    purses = Purses(pipelines, promises, prices, code, budget)
    ways = [spend(purses, one) for one in (levels, start)]
    states = [measure(pipelines, one) for one in ways]
    left = [sums(code, count, priced_use(promises, prices, state)) for state in states]
    better = (left[0] <= left[1])[np.maximum(code, 0)] & (code >= 0)
    now = frontier.figures(scope, promises, prices, "now", 1.0, frontier.found.state)
    # Pieces of one layer touch nothing of each other, so the better way may differ from piece to piece.
    then = frontier.figures(
        scope, promises, prices, "then", 1.0, measure(pipelines, np.where(better, ways[0], ways[1]))
    )
    both = now.merge(then, on="scope", suffixes=("", "_then"))
    both = both[both["scope"].isin(scope.labels[pieces])]
    return pd.DataFrame(
        {
            "scope": both["scope"],
            "money": both["money"],
            "spent": both["money_then"] - both["money"],
            "pieces_more": both["pieces_then"] - both["pieces"],
            "service": both["service"],
            "service_then": both["service_then"],
            "points_of_fill": 100 * (both["service_then"] - both["service"]),
            "mean_wait_days": both["mean_wait_days"],
            "mean_wait_days_then": both["mean_wait_days_then"],
            "days_of_wait_saved": both["mean_wait_days"] - both["mean_wait_days_then"],
            "points_in_window": 100 * (both["in_window_then"] - both["in_window"]),
            "machine_hours_saved_per_year": (both["waiting"] - both["waiting_then"])
            * DAYS_PER_YEAR
            * HOURS_PER_DAY,
            "shortfall_saved": both["shortfall"] - both["shortfall_then"],
        }
    ).reset_index(drop=True)


def _priced_up(
    pipelines: Pipelines,
    promises: Promises,
    prices: FloatArray,
    code: IntArray,
    count: int,
    start: IntArray,
    budget: FloatArray,
) -> IntArray:
    """Levels at the highest price factor of each piece that its budget pays for."""
    low, high = np.ones(count), np.full(count, np.nan)
    inside = code >= 0
    at = np.maximum(code, 0)
    best = start.copy()
    paid = np.zeros(count, bool)
    trial = np.full(count, 1.25)
    for _ in range(HALVINGS):
        scale = np.where(inside, trial[at], 0.0)
        levels = price_at(pipelines, promises, prices, scale, best).levels
        within = sums(code, count, pipelines.row_cost * levels) <= budget * (1 + 1e-12)
        within &= ~_above_caps(promises, pipelines, code, count, levels)
        best = np.where(inside & within[at], levels, best)
        paid |= within
        low, high = np.where(within, trial, low), np.where(within, high, trial)
        with np.errstate(invalid="ignore"):
            trial = np.where(np.isnan(high), np.minimum(low**2 * 1.5, HIGHEST_FACTOR), np.sqrt(low * high))
        if (high <= low * (1 + 1e-4)).all():
            break
    return best


def _above_caps(
    promises: Promises, pipelines: Pipelines, code: IntArray, count: int, levels: IntArray
) -> BoolArray:
    """Pieces of a scope that have a row under a cap which the levels exceed."""
    cap = promises.cap_promise
    out = np.zeros(count, bool)
    if cap is None:
        return out
    room = promises.allowed * (1 + KEPT_WITHIN) - sums(cap, len(promises), pipelines.row_cost * levels)
    rows = (cap >= 0) & (code >= 0)
    out[code[rows][room[cap[rows]] < 0]] = True
    return out


def point_costs(frontier: Frontier, points: float = 1.0) -> pd.DataFrame:
    """What each promise costs, tightened and loosened; see `StockLevels.point_costs`."""
    if not (np.isfinite(points) and points > 0):
        raise problem_in_argument("point_costs", "points", points, "is no step", "give points above 0")
    promises, found = frontier.promises, frontier.found
    table = promises.table[["group", "measure", "target", "demand_per_day"]].reset_index(drop=True)
    size = table["measure"].map(POINT).to_numpy(dtype=float) * points
    move = size * table["demand_per_day"].to_numpy(dtype=float)
    costs, frees = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for kind in promises.kinds[:3]:
        if kind.promise is None:
            continue
        scope = Scope(np.arange(len(table)).astype(object), kind.promise)
        for free, asked in layers(frontier.pipelines, scope, alone=True):
            use = _used_at_factors(frontier, kind.promise, free)
            for g in asked.tolist():
                if found.prices[g] <= 0:
                    costs[g] = frees[g] = 0.0
                    continue
                more, less = _bend(use[:, g], float(promises.allowed[g]), move[g])
                costs[g], frees[g] = more * found.prices[g] * move[g], less * found.prices[g] * move[g]
    return pd.DataFrame(
        {
            "group": table["group"],
            "measure": table["measure"],
            "target": table["target"],
            "step": size,
            "linear": found.prices * move,
            "costs": costs,
            "frees": frees,
        }
    )


def _used_at_factors(frontier: Frontier, promise: IntArray, free: BoolArray | None) -> FloatArray:
    """Use of every promise at FACTORS of its price, other stock held, shape (factors, promises)."""
    promises, found = frontier.promises, frontier.found
    moved = promise >= 0 if free is None else free & (promise >= 0)
    held = hold(frontier.pipelines, moved, found.levels)
    guess, use = found.levels, []
    for factor in FACTORS.tolist():
        state = price_at(held, promises, found.prices, np.where(moved, factor, 0.0), guess)
        guess = state.levels
        use.append(promises.used(state))
    return np.array(use)


def _bend(use: FloatArray, now: float, move: float) -> tuple[float, float]:
    """How much dearer than at the margin a tighter promise is, and how much less a looser one frees.

    At a factor f of its price a promise is used so far that one unit less costs f times the price. So f as a
    function of use, between the factors looked at straight in logarithms, is summed over the way.

    Parameters
    ----------
    use : ndarray, shape (factors,)
        Of the promise at FACTORS of its price.
    now, move : float
        What is allowed, and how far it moves. [units of use]

    Returns
    -------
    tuple of float
        At least 1 (NaN: certainty), and at most 1.
    """
    seen, first = np.unique(np.maximum(use, 1e-300)[::-1], return_index=True)
    factor = np.log(FACTORS[::-1][first])
    if now <= 0 or len(seen) < 2:
        return np.nan, 1.0
    steps = (np.arange(WAY) + 0.5) / WAY * move

    def price_at_use(at: FloatArray) -> FloatArray:
        return np.exp(np.interp(np.log(at), np.log(seen), factor))

    here = float(price_at_use(np.array([now]))[0])
    loose = float(price_at_use(now + steps).mean())
    tight = float(price_at_use(now - steps).mean()) if now - move >= seen[0] else np.nan
    return float(np.maximum(tight / here, 1.0)), min(loose / here, 1.0)


def _sentences(table: pd.DataFrame, by: str | None, capped: bool) -> list[str]:
    told: list[str] = []
    caps = " and the caps of the regions allow" if capped else ""
    kind = "" if by in (None, "group") else f"{by} "
    row: Any
    for row in table.itertuples(index=False):
        place = "in the whole network" if row.scope == WHOLE else f"for {kind}{row.scope}"
        if row.pieces_more <= 0:
            told.append(f"no piece {place} that this money pays for{caps} would serve anybody better")
            continue
        points = row.points_in_window
        window = "" if np.isnan(points) else f", {points:+.2f} points within the window"
        told.append(
            f"{row.spent:,.0f} more {place} buys {row.pieces_more:,} pieces: fill rate {row.service:.2%} -> "
            f"{row.service_then:.2%}, mean wait {row.mean_wait_days:.3g} -> "
            f"{row.mean_wait_days_then:.3g} days{window}, {row.machine_hours_saved_per_year:,.0f} "
            "machine-hours of waiting a year less"
        )
    return told
