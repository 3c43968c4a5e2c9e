"""The linear programme over columns of levels, priced by its own duals (Dantzig and Wolfe).

A column is one way to stock one part at all its sites: its money, and what it uses of every promise. The
master picks one column per part, in shares that add up to one, and keeps every promise. Its duals price the
promises;
`pricing.price` answers with the best column of every part at these prices, and the Lagrangian bound with
them.

References
----------
.. [1] Dantzig and Wolfe (1960), Decomposition principle for linear programs.
.. [2] Kranenburg and van Houtum (2007), Effect of commonality on spare parts provisioning costs for capital
goods.
.. [3] Wentges (1997), Weighted Dantzig-Wolfe decomposition for linear mixed-integer programming.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.solver import Solution, WarmProgram, solve_arrays, solve_model
from spareplan.stocking.multipliers import Search, bound_at
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Priced, price
from spareplan.stocking.promises import Promises

if TYPE_CHECKING:
    from scipy import sparse

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Building costs about 40 us per entry in PuLP; beyond this the same rows go to HiGHS as arrays.
READABLE_COLUMNS = 300
# New prices stay so near to the best ones so far: duals of few columns leap about, and with many promises the
# bound would follow late [3]_.
HELD = 0.7


class Columns:
    """Ways to stock parts, without doubles.

    Parameters
    ----------
    pipelines : Pipelines
    promises : Promises

    Attributes
    ----------
    part, cost : list of ndarray
        Part and money of the columns. [money]
    use_column, use_promise, use_amount : list of ndarray
        Sparse use of the promises.
    """

    def __init__(self, pipelines: Pipelines, promises: Promises) -> None:
        self.pipelines, self.promises = pipelines, promises
        self.part, self.cost = np.empty(0, np.int64), np.empty(0)
        self.use_column, self.use_promise, self.use_amount = (
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty(0),
        )
        self.levels: list[NDArray[np.int32]] = []
        self._seen: set[tuple[int, bytes]] = set()

    def __len__(self) -> int:
        return len(self.part)

    def add(self, priced: Priced, parts: IntArray | None = None) -> int:
        """Add the levels of some parts (None: all) as columns; returns how many were new."""
        pipelines = self.pipelines
        starts = pipelines.starts
        short = priced.levels.astype(np.int32)
        chosen = range(len(pipelines.unit_cost)) if parts is None else parts.tolist()
        fresh: list[int] = []
        for part in chosen:
            levels = short[starts[part] : starts[part + 1]]
            key = (part, levels.tobytes())
            if key not in self._seen:
                self._seen.add(key)
                fresh.append(part)
                self.levels.append(levels)
        if not fresh:
            return 0
        new = np.array(fresh, dtype=np.int64)
        money = np.add.reduceat(priced.levels, starts[:-1]) * pipelines.unit_cost
        place = np.full(len(pipelines.unit_cost), -1)
        place[new] = len(self) + np.arange(len(new))
        part, promise, amount = self.promises.used_by_part(priced, pipelines)
        mine = place[part] >= 0
        self.use_column = np.r_[self.use_column, place[part[mine]]]
        self.use_promise = np.r_[self.use_promise, promise[mine]]
        self.use_amount = np.r_[self.use_amount, amount[mine]]
        self.part, self.cost = np.r_[self.part, new], np.r_[self.cost, money[new]]
        return len(new)

    def within(self, pipelines: Pipelines, row: int) -> Columns:
        """The columns that fit the floors and ceilings of one row; the others are left out."""
        part = int(np.searchsorted(pipelines.starts, row, side="right")) - 1
        place = row - int(pipelines.starts[part])
        low, high = int(pipelines.least[row]), int(pipelines.most[row])
        fits = np.ones(len(self), bool)
        for k in np.flatnonzero(self.part == part).tolist():
            fits[k] = low <= self.levels[k][place] <= high
        out = Columns(pipelines, self.promises)
        number = np.cumsum(fits) - 1
        used = fits[self.use_column]
        out.part, out.cost = self.part[fits], self.cost[fits]
        out.use_column = number[self.use_column[used]]
        out.use_promise, out.use_amount = self.use_promise[used], self.use_amount[used]
        out.levels = [self.levels[k] for k in np.flatnonzero(fits).tolist()]
        out._seen = {(int(part), levels.tobytes()) for part, levels in zip(out.part, out.levels)}
        return out

    def assemble(self, choice: IntArray) -> IntArray:
        """Levels of all rows from one column per part, shape (parts,)."""
        return np.concatenate([self.levels[k] for k in choice]).astype(np.int64)


@dataclass(frozen=True)
class Master:
    """Solution of the master.

    Parameters
    ----------
    shares : ndarray, shape (columns,)
        Share of each column in its part.
    prices : ndarray, shape (promises,)
        What a unit of each promise is worth, at least 0. [money per unit of use]
    objective : float
        Money, with the fines for promises that no columns keep yet. [money]
    unkept : float
        Sum of what is missing.
    """

    shares: FloatArray
    prices: FloatArray
    objective: float
    unkept: float


def solve_master(columns: Columns, fine: FloatArray, whole: bool = False, gap: float = 1e-7) -> Master:
    """Choose shares of columns so that every promise is kept for the least money.

    Parameters
    ----------
    columns : Columns
        At least one column per part.
    fine : ndarray, shape (promises,)
        Price of leaving a promise unkept; bounds its dual from above. [money per unit of use]
    whole : bool
        One whole column per part instead of shares.
    gap : float
        Relative gap at which the search for whole columns may stop.

    Returns
    -------
    Master
    """
    if len(columns) <= READABLE_COLUMNS:
        solution = _written_out(columns, fine, whole, gap)
    else:
        solution = _as_arrays(columns, fine, whole, gap)
    count = len(columns)
    duals = np.zeros(len(fine)) if whole else solution.duals[: len(fine)]
    return Master(
        solution.values[:count],
        np.maximum(-duals, 0.0),
        solution.objective,
        float(solution.values[count:].sum()),
    )


def _written_out(columns: Columns, fine: FloatArray, whole: bool, gap: float) -> Solution:
    import pulp

    promises = columns.promises
    model = pulp.LpProblem("stock_levels", pulp.LpMinimize)
    kind = pulp.LpBinary if whole else pulp.LpContinuous
    take = [model.add_variable(f"a_column_{k:07d}", 0, None, kind) for k in range(len(columns))]
    # Names sort columns before shortfalls, and PuLP keeps the order of the names.
    unkept = [model.add_variable(f"b_unkept_{g:07d}", 0) for g in range(len(promises))]
    model += pulp.LpAffineExpression(
        list(zip(take, columns.cost.tolist())) + list(zip(unkept, fine.tolist()))
    )
    order = np.argsort(columns.use_promise, kind="stable")
    cuts = np.searchsorted(columns.use_promise[order], np.arange(len(promises) + 1))
    for g, allowed in enumerate(promises.allowed.tolist()):
        entries = order[cuts[g] : cuts[g + 1]]
        used = [
            (take[k], amount)
            for k, amount in zip(columns.use_column[entries], columns.use_amount[entries].tolist())
        ]
        model += pulp.LpAffineExpression([*used, (unkept[g], -1.0)]) <= allowed, f"promise_{g}"
    order = np.argsort(columns.part, kind="stable")
    cuts = np.searchsorted(columns.part[order], np.arange(len(columns.pipelines.unit_cost) + 1))
    for i in range(len(cuts) - 1):
        model += pulp.lpSum(take[k] for k in order[cuts[i] : cuts[i + 1]]) == 1, f"part_{i}"
    return solve_model(model, gap=gap)


def _as_arrays(columns: Columns, fine: FloatArray, whole: bool, gap: float) -> Solution:
    from scipy import sparse

    groups = len(fine)
    matrix = sparse.hstack([_matrix(columns, 0), _unkept(columns)]).tocsc()
    limit = np.r_[columns.promises.allowed, np.ones(matrix.shape[0] - groups)]
    return solve_arrays(
        np.r_[columns.cost, fine],
        matrix,
        np.r_[np.full(groups, -np.inf), limit[groups:]],
        limit,
        integer=np.r_[np.ones(len(columns), bool), np.zeros(groups, bool)] if whole else None,
        gap=gap,
        name="stock levels",
    )


def _matrix(columns: Columns, first: int) -> sparse.csc_matrix:
    """What the columns from `first` on use of the promises, and whose they are."""
    from scipy import sparse

    groups, count = len(columns.promises), len(columns) - first
    new = columns.use_column >= first
    rows = np.concatenate([columns.use_promise[new], groups + columns.part[first:]])
    places = np.concatenate([columns.use_column[new] - first, np.arange(count)])
    values = np.concatenate([columns.use_amount[new], np.ones(count)])
    shape = (groups + len(columns.pipelines.unit_cost), count)
    return sparse.csc_matrix((values, (rows, places)), shape=shape)


def _unkept(columns: Columns) -> sparse.csc_matrix:
    """What is missing at each promise."""
    from scipy import sparse

    groups = len(columns.promises)
    shape = (groups + len(columns.pipelines.unit_cost), groups)
    return sparse.csc_matrix((-np.ones(groups), (np.arange(groups), np.arange(groups))), shape=shape)


class _Growing:
    """The master kept in the solver while columns are added: each solution starts from the last one."""

    def __init__(self, columns: Columns, fine: FloatArray) -> None:
        self.columns, self.fine, self.known = columns, fine, 0
        limit = np.r_[columns.promises.allowed, np.ones(len(columns.pipelines.unit_cost))]
        groups = len(fine)
        lower = np.r_[np.full(groups, -np.inf), limit[groups:]]
        unbounded = np.full(groups, np.inf)
        self.program = WarmProgram(fine, _unkept(columns), lower, limit, unbounded, "stock levels")

    def solve(self, fine: FloatArray) -> Master:
        """Shares and prices with the columns there are now."""
        groups, columns = len(fine), self.columns
        if len(columns) > self.known:
            self.program.add_columns(columns.cost[self.known :], _matrix(columns, self.known))
            self.known = len(columns)
        if not np.array_equal(fine, self.fine):
            self.program.charge(np.arange(groups), fine)
            self.fine = fine.copy()
        found = self.program.solve()
        return Master(
            found.values[groups:],
            np.maximum(-found.duals[:groups], 0.0),
            found.objective,
            float(found.values[:groups].sum()),
        )


def generate_columns(
    columns: Columns,
    search: Search,
    rounds: int = 60,
    tolerance: float = 1e-6,
    progress: Callable[[str, int, int], None] | None = None,
    enough: float = np.inf,
    readable: bool = True,
) -> Master:
    """Solve the master over all columns there are, by pricing new ones until none would help.

    Parameters
    ----------
    columns : Columns
        Grows.
    search : Search
        Prices and bound so far; bettered in place.
    rounds : int
        Most rounds.
    tolerance : float
        Stop when master and bound are this near, as a share of the bound.
    progress : callable, optional
        Called with ("columns", rounds done, all rounds).
    enough : float
        Stop once the bound has come this far. [money]
    readable : bool
        Write few columns out in PuLP; where the master is solved over and over, arrays are quicker.

    Returns
    -------
    Master
        Of the last round; its objective is at most `tolerance` above the bound unless the rounds ran out.
    """
    pipelines, promises = columns.pipelines, columns.promises
    fine = 10 * np.maximum(
        search.prices, np.maximum(search.last, 1e-9 * search.prices.max(initial=0.0) + 1e-12)
    )
    growing: _Growing | None = None

    def solve() -> Master:
        nonlocal growing
        if growing is None and readable and len(columns) <= READABLE_COLUMNS:
            return solve_master(columns, fine)
        growing = growing or _Growing(columns, fine)
        return growing.solve(fine)

    master = solve()
    held = HELD
    try:
        for step in range(rounds):
            prices = held * search.prices + (1 - held) * master.prices
            priced = price(pipelines, promises.worth(prices), guess=search.priced.levels)
            bound = bound_at(promises, prices, priced)
            search.priced, search.last = priced, prices
            if bound > search.bound:
                search.bound, search.prices = bound, prices
            if progress:
                progress("columns", step + 1, rounds)
            if search.bound >= enough:
                break
            if master.unkept > 0:
                fine = np.where(master.prices >= fine * (1 - 1e-9), fine * 10, fine)
            elif master.objective - search.bound <= tolerance * abs(search.bound):
                break
            if not columns.add(priced) and master.unkept <= 0:
                # Nothing new between the best prices and the duals: look at the duals themselves.
                if held == 0.0:
                    break
                held = 0.0
                continue
            held = HELD
            master = solve()
    except KeyboardInterrupt:
        search.interrupted = True
    return master


def largest_shares(columns: Columns, master: Master) -> IntArray:
    """Column of the largest share of every part, shape (parts,)."""
    order = np.lexsort((-master.shares, columns.part))
    first = np.r_[True, columns.part[order][1:] != columns.part[order][:-1]]
    return order[first]
