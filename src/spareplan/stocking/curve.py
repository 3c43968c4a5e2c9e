"""Money against service: efficient plans at a plan's shadow prices times a factor, for the whole or by scope.

At given prices of the promises every part takes the levels with the least money + price x use (`pricing`).
With all prices times a factor f these plans are the corners of the efficient frontier: no plan has less money
and less priced use [1]_. So money falls and priced use rises along the curve, convexly.

References
----------
.. [1] Everett (1963), Generalized Lagrange multiplier method for solving problems of optimum allocation of
   resources, Operations Research 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.stocking._forest import Forest
from spareplan.stocking.finding import LP_ROWS, Found
from spareplan.stocking.marginal import waiting_promise
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import Priced, Worth, measure, price
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
WHOLE = "all"
# Between factors nearer than this a leap in money is one of whole pieces, which no factor between would fill.
LEAST_RATIO = 1.03
# Days of wait that one unit of money should save where nothing was promised and no price is known.
UNPROMISED_WORTH = 20.0


@dataclass(frozen=True)
class Scope:
    """One way to cut the network: every row of the pipelines belongs to one piece, or to none.

    Parameters
    ----------
    labels : ndarray of object, shape (pieces,)
        What the pieces are called.
    code : ndarray of int, shape (rows,)
        Piece of each row of the pipelines; -1: none.
    """

    labels: NDArray[np.object_]
    code: IntArray


@dataclass(frozen=True)
class Frontier:
    """A plan and what is needed to draw the efficient frontier through it.

    Parameters
    ----------
    pipelines, promises, found
        Of the plan.
    scopes : mapping of str to Scope
        Ways to cut the network: "tier", "site", "region", as far as they are known.
    today : ndarray of int, shape (rows,), optional
        Today's base stocks. [pieces]
    """

    pipelines: Pipelines
    promises: Promises
    found: Found
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    today: IntArray | None = None

    def curve(
        self, by: str | None = None, points: int = 15, widest: float = 60.0, by_group: bool = False
    ) -> pd.DataFrame:
        """Money against service; see `StockLevels.curve`."""
        for name, value, least in (("points", points, 2), ("widest", widest, 1 + 1e-9)):
            if not value >= least:
                raise problem_in_argument(
                    "curve", name, value, "is too small", "give at least 2 points and a factor above 1"
                )
        scope = None if by is None else self.scope(by)
        promises, prices = self.priced_promises()
        factors, whole = self._spread(promises, prices, points, widest)
        marks = [("this plan", 1.0, self.found.state)]
        if self.today is not None:
            marks.append(("today", np.nan, measure(self.pipelines, self.today)))
        named = [("curve", f, s) for f, s in zip(factors.tolist(), whole, strict=True)] + marks
        if by_group:
            return pd.concat([self._by_group(promises, *one) for one in named], ignore_index=True)
        rows = np.zeros(len(self.pipelines.stop), np.int64)
        cut = Scope(np.array([WHOLE], dtype=object), rows)
        frames = [self.figures(cut, promises, prices, *one) for one in named]
        if scope is None:
            return pd.concat(frames, ignore_index=True).drop(columns=["scope"])
        for free, pieces in layers(self.pipelines, scope):
            own = whole if free is None else self._states(promises, prices, factors, free)
            ours = [("curve", f, s) for f, s in zip(factors.tolist(), own, strict=True)] + marks
            for one in ours:
                told = self.figures(scope, promises, prices, *one)
                frames.append(told[told["scope"].isin(scope.labels[pieces])])
        table = pd.concat(frames, ignore_index=True)
        rank = {WHOLE: -1} | {label: k for k, label in enumerate(scope.labels.tolist())}
        order = np.argsort(table["scope"].map(rank).to_numpy(), kind="stable")
        return table.take(order).reset_index(drop=True).rename(columns={"scope": str(by)})

    def next_money(self, amount: float = 100_000.0, by: str | None = None) -> pd.DataFrame:
        """What the next amount of money buys; see `StockLevels.next_money`."""
        from spareplan.stocking.worth import next_money

        return next_money(self, amount, by)

    def point_costs(self, points: float = 1.0) -> pd.DataFrame:
        """What each promise costs, tightened and loosened; see `StockLevels.point_costs`."""
        from spareplan.stocking.worth import point_costs

        return point_costs(self, points)

    def scope(self, by: str) -> Scope:
        """A way to cut the network.

        Raises
        ------
        DataError
            The network is not known by it.
        """
        if by not in self.scopes:
            raise problem_in_argument(
                "curve", "by", by, "is no way to cut this plan", f"use {', '.join(self.scopes) or 'None'}"
            )
        return self.scopes[by]

    def priced_promises(self) -> tuple[Promises, FloatArray]:
        """Promises with their prices; all waiting as one promise where nothing is promised or has a price."""
        if len(self.promises) and (self.found.prices[~self.promises.is_cap] > 0).any():
            return self.promises, self.found.prices
        cost = self.pipelines.row_cost
        worth = float(cost.mean()) * UNPROMISED_WORTH if len(cost) else 1.0
        return waiting_promise(self.pipelines), np.array([worth])

    def _spread(
        self, promises: Promises, prices: FloatArray, points: int, widest: float
    ) -> tuple[FloatArray, list[Priced]]:
        """Factors and plans of the whole network: two thirds on a grid, the rest where money leaps most."""
        # An odd number of points has this plan's own prices in the middle.
        first = min(points, max(2 * (points // 3) + 1, 2))
        factors = np.geomspace(1 / widest, widest, first)
        states = self._states(promises, prices, factors, None)
        while len(states) < points:
            paid = np.array([weighted_sum(self.pipelines.row_cost, state.levels) for state in states])
            ratio = factors[1:] / factors[:-1]
            leap = np.where(ratio > LEAST_RATIO, np.diff(paid), 0.0)
            k = int(leap.argmax() if (leap > 0).any() else ratio.argmax())
            factor = float(np.sqrt(factors[k] * factors[k + 1]))
            state = price_at(self.pipelines, promises, prices, factor, states[k].levels)
            factors = np.insert(factors, k + 1, factor)
            states.insert(k + 1, state)
        return factors, states

    def _states(
        self, promises: Promises, prices: FloatArray, factors: FloatArray, free: BoolArray | None
    ) -> list[Priced]:
        """Plans at the factors, from the middle outwards, so that each starts near its neighbour."""
        pipelines = self.pipelines if free is None else hold(self.pipelines, free, self.found.levels)
        scale = None if free is None else free.astype(float)
        out: list[Priced | None] = [None] * len(factors)
        middle = int(np.argmin(np.abs(np.log(factors))))
        for places in (range(middle, len(factors)), range(middle - 1, -1, -1)):
            guess = self.found.levels
            for k in places:
                own = factors[k] if scale is None else scale * factors[k]
                state = price_at(pipelines, promises, prices, own, guess)
                out[k] = state
                guess = state.levels
        return [state for state in out if state is not None]

    def figures(
        self, scope: Scope, promises: Promises, prices: FloatArray, what: str, factor: float, state: Priced
    ) -> pd.DataFrame:
        """A row per piece of a scope: its money and the service of its demand under some levels.

        Returns
        -------
        DataFrame
            scope, money, service (fill rate), what, mean_wait_days, in_window, shortfall (use at the shadow
            prices [money]), waiting (pieces), price_factor, pieces, demand_per_day.
        """
        pipelines, count = self.pipelines, len(scope.labels)
        inside = scope.code >= 0
        code = scope.code[inside]

        def total(values: FloatArray) -> FloatArray:
            return np.bincount(code, weights=values[inside], minlength=count).astype(float)

        own = pipelines.own
        with np.errstate(invalid="ignore", divide="ignore"):
            waiting = total(np.where(own > 0, own / pipelines.demand * state.ebo, 0.0))
            demand = total(own)
            late, within = window_use(promises, pipelines, state)
            table = pd.DataFrame(
                {
                    "scope": scope.labels,
                    "money": total(pipelines.row_cost * state.levels),
                    "service": np.maximum(
                        np.where(demand > 0, 1 - total(own * state.miss) / demand, np.nan), 0.0
                    ),
                    "what": what,
                    "mean_wait_days": np.where(demand > 0, waiting / demand, np.nan),
                    "in_window": 1 - total(late) / np.where(total(within) > 0, total(within), np.nan),
                    "shortfall": total(priced_use(promises, prices, state)),
                    "waiting": waiting,
                    "price_factor": factor,
                    "pieces": total(state.levels.astype(float)).astype(np.int64),
                    "demand_per_day": demand,
                }
            )
        return table[table["demand_per_day"] > 0] if count > 1 else table

    def _by_group(self, promises: Promises, what: str, factor: float, state: Priced) -> pd.DataFrame:
        reached = promises.reached(promises.used(state))
        table = promises.table[["group", "measure"]].assign(
            money=weighted_sum(self.pipelines.row_cost, state.levels),
            reached=reached,
            what=what,
            price_factor=factor,
        )
        return table[["money", "group", "measure", "reached", "what", "price_factor"]]


def price_at(
    pipelines: Pipelines,
    promises: Promises,
    prices: FloatArray,
    factor: float | FloatArray,
    guess: IntArray,
) -> Priced:
    """Cheapest levels at the prices of service times a factor (one, or one per row).

    Large networks walk from the guess instead of searching for certain, which is three times as quick and, as
    measured, within 1e-6 of the certain minimum.
    """
    worth = promises.worth(prices)
    backorder, miss, late = (None if paid is None else paid * factor for paid in worth[:3])
    scaled = Worth(backorder, miss, late, worth.cost_factor)
    quick = len(pipelines.stop) > LP_ROWS
    return price(pipelines, scaled, guess=guess, quick=quick)


def priced_use(promises: Promises, prices: FloatArray, state: Priced) -> FloatArray:
    """What the demand of each row uses of its promises at their prices, in money."""
    out = np.zeros(len(state.levels))
    for paid, measured in zip(promises.worth(prices)[:3], (state.ebo, state.miss, state.late), strict=True):
        if paid is not None:
            out += paid * measured
    return out


def window_use(promises: Promises, pipelines: Pipelines, state: Priced) -> tuple[FloatArray, FloatArray]:
    """Late demand and all demand of the rows with a promised window, in pieces per day."""
    if promises.late_promise is None or not len(state.late):
        return np.zeros(len(pipelines.stop)), np.zeros(len(pipelines.stop))
    within = np.where(promises.late_promise >= 0, pipelines.own, 0.0)
    return within * state.late, within


def hold(pipelines: Pipelines, free: BoolArray, levels: IntArray) -> Pipelines:
    """The same pipelines with every row that is not free held at its level."""
    return replace(
        pipelines,
        least=np.where(free, pipelines.least, levels),
        most=np.where(free, pipelines.most, levels),
    )


def scopes_of(
    forest: Forest,
    pipelines: Pipelines,
    part_group: pd.Series | None = None,
    group_name: str = "group",
    region: pd.Series | None = None,
) -> dict[str, Scope]:
    """Ways to cut the network.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
    part_group : Series, optional
        Group (or tier) by part_id.
    group_name : str
        What that cut is called.
    region : Series, optional
        Region by site_id.

    Returns
    -------
    dict of str to Scope
        "site", and `group_name` and "region" where they are known.
    """
    rows = pipelines.forest_rows
    part, site = forest.part[rows], forest.site[rows]
    found = {"site": Scope(forest.site_ids.to_numpy(dtype=object), site)}
    for name, known, ids, place in (
        (group_name, part_group, forest.part_ids, part),
        ("region", region, forest.site_ids, site),
    ):
        if known is None:
            continue
        values = pd.Series(known.reindex(ids).to_numpy(dtype=object))
        code, labels = pd.factorize(values, sort=True)
        found[name] = Scope(np.asarray(labels, dtype=object), np.asarray(code, dtype=np.int64)[place])
    return found


def layers(
    pipelines: Pipelines, scope: Scope, alone: bool = False
) -> list[tuple[BoolArray | None, IntArray]]:
    """Pieces that may be moved at the same time, because none stands above another.

    Pieces made of whole parts touch nothing else: they all move with the whole network. A piece made of sites
    moves its own stock only, with the stock elsewhere held as in the plan.

    Parameters
    ----------
    pipelines : Pipelines
    scope : Scope
    alone : bool
        Move own stock only even where pieces are made of whole parts.

    Returns
    -------
    list of (free rows or None for all, pieces)
    """
    starts = pipelines.starts[:-1]
    if not len(starts):
        return []
    whole_parts = np.minimum.reduceat(scope.code, starts) == np.maximum.reduceat(scope.code, starts)
    asked = np.unique(scope.code[(pipelines.own > 0) & (scope.code >= 0)])
    if whole_parts.all() and not alone:
        return [(None, asked)]
    above = _pairs_above(pipelines, scope)
    left = asked.tolist()
    out: list[tuple[BoolArray | None, IntArray]] = []
    while left:
        taken: list[int] = []
        for piece in left:
            if all((piece, other) not in above and (other, piece) not in above for other in taken):
                taken.append(piece)
        out.append((np.isin(scope.code, taken), np.array(taken)))
        left = [piece for piece in left if piece not in taken]
    return out


def _pairs_above(pipelines: Pipelines, scope: Scope) -> set[tuple[int, int]]:
    """Pairs of pieces of which one has a row above a row of the other."""
    parent = parents(pipelines)
    rows = np.flatnonzero(scope.code >= 0)
    up = parent[rows]
    found: set[tuple[int, int]] = set()
    while len(rows):
        keep = up >= 0
        rows, up = rows[keep], up[keep]
        one, two = scope.code[up], scope.code[rows]
        differ = (one >= 0) & (one != two)
        found |= set(map(tuple, np.unique(np.stack([one[differ], two[differ]], axis=1), axis=0).tolist()))
        up = parent[up]
    return found


def parents(pipelines: Pipelines) -> IntArray:
    """Row of the parent of every row; -1 at headquarters."""
    rows = np.arange(len(pipelines.stop))
    parent = np.full(len(rows), -1)
    inner = np.flatnonzero(~pipelines.is_leaf)
    # In preorder deeper rows come later, so the nearest ancestor writes last.
    for row in inner.tolist():
        parent[row + 1 : pipelines.stop[row]] = row
    return parent
