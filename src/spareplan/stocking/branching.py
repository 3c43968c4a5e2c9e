"""Branch on stocks, upstream ones first: where few parts share a promise and some of them are dear.

The linear programme mixes columns of a part, such as a shelf at HQ that is full for five sixths and empty for
the rest. With many parts per promise that is next to nothing; with few, dear ones it hides percents of money.
So one stock is split in two ranges, each is priced again with the columns that fit it, and every plan lies in
one of the two: the lower of their bounds holds for all. Ranges are taken in the order of their bounds, lowest
first; each also is a new place to round from [1]_.

References
----------
.. [1] Barnhart, Johnson, Nemhauser, Savelsbergh, Vance (1998), Branch-and-price: column generation for
   solving huge integer programs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.finding import LP_ROWS, SETTLED, Found
from spareplan.stocking.leaves import settle_leaves
from spareplan.stocking.levels_lp import Columns, Master, generate_columns, largest_shares
from spareplan.stocking.multipliers import Search, bound_at
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.proving import Group, separate
from spareplan.stocking.trim import trim

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Progress = Callable[[str, int, int], None]
# Rows in all splits, each about .7 ms of work: 15 splits of a group of 1,000 rows.
WORK = 15_000
# The law of a fast mover takes time with the square of its pieces on order: 150 of them weigh like a row.
PIECES_A_ROW = 150.0
MOST_SPLITS = 60
# Rounds of column generation at the root and in a range; prices change little from one to the next.
ROOT_ROUNDS, ROUNDS = 25, 6
TOLERANCE = 1e-4
# Shares and stocks that count as a mix.
MIXED = 1e-6
# A stock upstream moves those of all sites below it, a leaf's stock no other.
LEAF_WEIGHT = 0.5


@dataclass(order=True)
class Range:
    """Levels between floors and ceilings, and how cheap they can be at best.

    Parameters
    ----------
    bound : float
        No levels of this range cost less. [money]
    number : int
        Breaks ties.
    laid : Pipelines
        With the floors and ceilings of the range.
    search : Search
        Prices with the highest bound here.
    columns, master
        Columns that fit the range, and the linear programme's shares of them.
    """

    bound: float
    number: int
    laid: Pipelines = field(compare=False)
    search: Search = field(compare=False)
    columns: Columns = field(compare=False)
    master: Master = field(compare=False)


def branch_on_stocks(
    pipelines: Pipelines,
    promises: Promises,
    found: Found,
    progress: Progress | None = None,
) -> Found:
    """Better a plan and its bound where a gap is left that rounding does not explain.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises
    found : Found
        Levels that keep every promise, with the prices of the promises.
    progress : callable, optional
        Called with ("branches", splits done, all splits).

    Returns
    -------
    Found
        No dearer and no further from its bound; as given where the gap is small or the problem large.
    """
    near = found.cost - found.bound <= SETTLED * found.cost
    if found.interrupted or near or len(pipelines.stop) > LP_ROWS:
        return found
    told = progress or (lambda step, done, total: None)
    trees = [_Tree(group, found) for group in separate(pipelines, promises)]
    wide = [tree for tree in trees if tree.distance > SETTLED * found.cost]
    apart = sum(tree.distance for tree in wide)
    splits = [min(round(WORK * tree.distance / apart / tree.work), MOST_SPLITS) for tree in wide]
    interrupted = False
    try:
        for number, (tree, most) in enumerate(zip(wide, splits)):
            tree.split(most, partial(_tell, told, sum(splits[:number]), sum(splits)))
    except KeyboardInterrupt:
        interrupted = True
    levels = found.levels.copy()
    for tree in wide:
        levels[tree.group.rows] = tree.levels
    cost = weighted_sum(pipelines.row_cost, levels)
    bound = max(found.bound, min(sum(tree.bound for tree in trees), cost))
    if cost >= found.cost:
        return replace(found, bound=min(bound, found.cost), interrupted=interrupted)
    state = measure(pipelines, levels)
    return replace(found, levels=levels, state=state, cost=cost, bound=bound, interrupted=interrupted)


def _tell(told: Progress, before: int, total: int, done: int) -> None:
    told("branches", before + done, total)


class _Tree:
    """The ranges of one group of parts and promises that share nothing with the others.

    Attributes
    ----------
    levels : ndarray of int
        Cheapest levels of the group so far. [pieces]
    cost, bound : float
        Their money, and the least that any levels can cost. [money]
    """

    def __init__(self, group: Group, found: Found) -> None:
        self.group = group
        self.levels = found.levels[group.rows]
        self.cost = weighted_sum(group.pipelines.row_cost, self.levels)
        least = weighted_sum(group.pipelines.row_cost, group.pipelines.least)
        if not len(group.kept):
            self.bound = least
            return
        prices = found.prices[group.kept]
        priced = price(group.pipelines, group.promises.worth(prices), guess=self.levels)
        self.search = Search(
            prices, bound_at(group.promises, prices, priced), priced, prices.copy(), [priced]
        )
        self.bound = min(max(self.search.bound, least), self.cost)

    @property
    def distance(self) -> float:
        """Of levels and bound. [money]."""
        return self.cost - self.bound

    @property
    def work(self) -> float:
        """Of one look at the group. [rows]."""
        return len(self.group.rows) + float(((self.group.pipelines.mean / PIECES_A_ROW) ** 2).sum())

    def split(self, most: int, told: Callable[[int], None]) -> None:
        """Split ranges, lowest bound first."""
        if not most:
            return
        pipelines = self.group.pipelines
        columns = Columns(pipelines, self.group.promises)
        columns.add(measure(pipelines, self.levels))
        self.number = 0
        open_ranges: list[Range] = []
        closed = np.inf
        root = self._settle(pipelines, self.search, columns, self.bound, ROOT_ROUNDS)
        heapq.heappush(open_ranges, root)
        for done in range(most):
            told(done)
            self.bound = min(max(self.bound, min(open_ranges[0].bound, closed)), self.cost)
            if self.bound >= self.cost * (1 - SETTLED):
                return
            here = heapq.heappop(open_ranges)
            mixed = _most_mixed(pipelines, here)
            if mixed is None:
                # Whole columns already: the range's bound is as good as it gets.
                closed = min(closed, here.bound)
            else:
                for child in self._halves(here, *mixed):
                    heapq.heappush(open_ranges, child)
            if not open_ranges:
                break
        lowest = min([closed, *(here.bound for here in open_ranges)])
        self.bound = min(max(self.bound, lowest), self.cost)
        told(most)

    def _halves(self, here: Range, row: int, last: int) -> list[Range]:
        """The range with at most `last` pieces at a row, and that with more."""
        below, above = here.laid.most.copy(), here.laid.least.copy()
        below[row], above[row] = last, last + 1
        out = []
        least, most = here.laid.least, here.laid.most
        for laid in (here.laid.between(least, below), here.laid.between(above, most)):
            columns = here.columns.within(laid, row)
            levels = np.clip(here.search.priced.levels, laid.least, laid.most)
            prices = here.search.prices
            priced = price(laid, self.group.promises.worth(prices), guess=levels)
            bound = bound_at(self.group.promises, prices, priced)
            search = Search(prices.copy(), bound, priced, prices.copy(), [priced])
            out.append(self._settle(laid, search, columns, here.bound, ROUNDS))
        return out

    def _settle(self, laid: Pipelines, search: Search, columns: Columns, bound: float, rounds: int) -> Range:
        """Price a range, and look for cheaper levels near its answer."""
        for priced in search.visited:
            columns.add(priced)
        master = generate_columns(
            columns, search, rounds, TOLERANCE, enough=self.cost, readable=False
        )
        if search.interrupted:
            raise KeyboardInterrupt
        self.number += 1
        out = Range(max(bound, search.bound), self.number, laid, search, columns, master)
        if out.bound < self.cost:
            starts = [search.priced.levels]
            if len(master.shares) == len(columns):
                starts.append(columns.assemble(largest_shares(columns, master)))
            for levels in starts:
                self._round(levels, search.prices)
        return out

    def _round(self, levels: IntArray, prices: FloatArray) -> None:
        pipelines, promises = self.group.pipelines, self.group.promises
        found = trim(pipelines, promises, levels, prices)
        if found is None:
            return
        cost = weighted_sum(pipelines.row_cost, found[0])
        if cost < self.cost:
            better = settle_leaves(pipelines, promises, found[0], prices)
            cost = weighted_sum(pipelines.row_cost, better)
            if cost < self.cost:
                self.levels, self.cost = better, cost


def _most_mixed(pipelines: Pipelines, here: Range) -> tuple[int, int] | None:
    """The row whose stock the linear programme mixes for most money, and where to split it."""
    columns, shares = here.columns, here.master.shares
    best: tuple[float, int, int] | None = None
    weight = np.where(pipelines.is_leaf, LEAF_WEIGHT, 1.0)
    used = np.flatnonzero(shares[: len(columns)] > MIXED)
    for part in np.flatnonzero(np.bincount(columns.part[used], minlength=len(pipelines.unit_cost)) > 1):
        some = used[columns.part[used] == part]
        rows = slice(pipelines.starts[part], pipelines.starts[part + 1])
        stock = np.array([columns.levels[k] for k in some.tolist()])
        share = shares[some] / shares[some].sum()
        mean = share @ stock
        spread = share @ np.abs(stock - mean) * pipelines.unit_cost[part] * weight[rows]
        most = int(spread.argmax())
        if spread[most] > MIXED * pipelines.unit_cost[part] and (best is None or spread[most] > best[0]):
            best = (float(spread[most]), rows.start + most, int(np.floor(mean[most])))
    return None if best is None else best[1:]
