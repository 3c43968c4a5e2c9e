"""An integer program written in blocks of columns and rows, kept as arrays.

Small programs go to the solver through PuLP, where every column and row has a name to read; large ones as
they are, because naming them costs more than solving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.maths.solver import Solution, solve_arrays, solve_model

if TYPE_CHECKING:
    import pulp

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Entries up to which a program is written out in PuLP (some 3 us each).
# Nodes of the branching that betters a plan found by holding figures whole.
MOST_NODES = 20
WRITTEN_OUT = 2_000


class Blocks:
    """Minimise cost @ x, built block by block; x is never negative.

    Columns are known by arrays of their numbers; -1 stands for a column that does not exist.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._columns: list[tuple[str, IntArray, FloatArray, FloatArray, bool]] = []
        self.row_blocks: list[tuple[str, IntArray, FloatArray, FloatArray]] = []
        self._entries: list[tuple[IntArray, IntArray, FloatArray]] = []
        self.width = self.height = 0
        self.constant = 0.0

    def columns(
        self,
        name: str,
        there: ArrayLike,
        cost: ArrayLike = 0.0,
        most: ArrayLike = np.inf,
        whole: bool = False,
    ) -> IntArray:
        """Add a column wherever `there` holds.

        Parameters
        ----------
        name : str
        there : ndarray of bool
        cost, most : ndarray
            Of one unit, and upper limit; broadcast to the shape of `there`.
        whole : bool
            Whether the columns are whole numbers.

        Returns
        -------
        ndarray of int
            Number of each column, -1 where there is none.
        """
        exists = np.asarray(there, dtype=bool)
        out = np.full(exists.shape, -1, dtype=np.int64)
        out[exists] = self.width + np.arange(int(exists.sum()))
        costs, limits = (np.broadcast_to(np.asarray(a, float), exists.shape)[exists] for a in (cost, most))
        self._columns.append((name, np.argwhere(exists), costs, limits, whole))
        self.width += int(exists.sum())
        return out

    def rows(self, name: str, lower: ArrayLike, upper: ArrayLike) -> IntArray:
        """Add a row per element of the limits.

        Returns
        -------
        ndarray of int
            Number of each row.
        """
        low, high = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        out = self.height + np.arange(low.size, dtype=np.int64).reshape(low.shape)
        self.row_blocks.append(
            (name, np.argwhere(np.ones(low.shape, bool)), low.reshape(-1), high.reshape(-1))
        )
        self.height += low.size
        return out

    def put(self, rows: IntArray, columns: IntArray, factor: ArrayLike = 1.0) -> None:
        """Add factor * column to each row, all broadcast together."""
        row, column, value = np.broadcast_arrays(rows, columns, np.asarray(factor, float))
        keep = (column >= 0) & (row >= 0) & (value != 0.0)
        self._entries.append((row[keep], column[keep], value[keep]))

    @property
    def entries(self) -> int:
        """Number of factors in the rows."""
        return sum(len(values) for _, _, values in self._entries)

    def arrays(self) -> tuple[FloatArray, FloatArray, NDArray[np.bool_], FloatArray, FloatArray]:
        """Cost, upper limits and wholeness of the columns; lower and upper limits of the rows."""
        cost = np.concatenate([c for _, _, c, _, _ in self._columns])
        most = np.concatenate([m for _, _, _, m, _ in self._columns])
        whole = np.concatenate([np.full(len(c), w) for _, _, c, _, w in self._columns])
        lower = np.concatenate([low for _, _, low, _ in self.row_blocks])
        upper = np.concatenate([high for _, _, _, high in self.row_blocks])
        return cost, most, whole, lower, upper

    def matrix(self) -> Any:
        """Factors as a sparse matrix of shape (rows, columns)."""
        from scipy import sparse

        rows, columns, values = (
            np.concatenate([np.empty(0, kind), *[entry[place] for entry in self._entries]])
            for place, kind in enumerate((np.int64, np.int64, np.float64))
        )
        return sparse.csc_matrix((values, (rows, columns)), shape=(self.height, self.width))

    def solve(
        self,
        gap: float,
        seconds: float | None,
        forbidden: IntArray | None = None,
        start: FloatArray | None = None,
        cuts: tuple[Any, FloatArray] | None = None,
        written_out: bool | None = None,
    ) -> Solution:
        """Solve by HiGHS on one thread.

        Parameters
        ----------
        gap : float
            Relative gap at which the search may stop.
        seconds : float, optional
            Longest search. [s]
        forbidden : ndarray of int, optional
            Columns held at 0.
        start : ndarray, optional
            A known solution to better.
        cuts : (sparse matrix, ndarray), optional
            Further rows and their lower limits, implied by the program.
        written_out : bool, optional
            Through PuLP or as arrays; None: through PuLP while small and without start and cuts.

        Returns
        -------
        Solution
            Objective and bound with the constant.
        """
        cost, most, whole, lower, upper = self.arrays()
        if forbidden is not None:
            most = most.copy()
            most[forbidden[forbidden >= 0]] = 0.0
        if written_out is None:
            written_out = start is None and cuts is None and self.entries <= WRITTEN_OUT
        if written_out:
            return solve_model(self.written_out(forbidden), seconds, gap)
        matrix = self.matrix()
        if cuts is not None:
            from scipy import sparse

            matrix = sparse.vstack([matrix, cuts[0]], format="csc")
            lower, upper = np.r_[lower, cuts[1]], np.r_[upper, np.full(len(cuts[1]), np.inf)]
        # Nodes, not seconds, end the search on every machine alike where a plan is at hand.
        nodes = {} if start is None else {"mip_max_nodes": MOST_NODES}
        found = solve_arrays(
            cost, matrix, lower, upper, 0.0, most, whole, seconds, gap, self.name, start, **nodes
        )
        return Solution(
            found.values,
            found.duals,
            found.objective + self.constant,
            found.bound + self.constant,
            found.status,
        )

    def written_out(self, forbidden: IntArray | None = None) -> pulp.LpProblem:
        """The program in PuLP, to read or to write to a file; columns keep their order."""
        import pulp

        most = np.concatenate([m for _, _, _, m, _ in self._columns])
        if forbidden is not None:
            most[forbidden[forbidden >= 0]] = 0.0
        model = pulp.LpProblem(self.name, pulp.LpMinimize)
        variables: list[Any] = []
        costs: list[float] = []
        for name, places, cost, _, whole in self._columns:
            kind = pulp.LpInteger if whole else pulp.LpContinuous
            for place, limit in zip(places.tolist(), most[len(variables) :].tolist(), strict=False):
                # Numbers in front: PuLP sorts columns by their names.
                label = f"x{len(variables):07d}_{name}_{'_'.join(map(str, place))}"
                variables.append(model.add_variable(label, 0, None if np.isinf(limit) else limit, kind))
            costs += cost.tolist()
        model += pulp.LpAffineExpression(list(zip(variables, costs, strict=True)), self.constant)
        factors = self.matrix().tocsr()
        factors.sort_indices()
        cuts, columns, values = factors.indptr.tolist(), factors.indices.tolist(), factors.data.tolist()
        number = 0
        for name, places, lower, upper in self.row_blocks:
            for place, low, high in zip(places.tolist(), lower.tolist(), upper.tolist(), strict=True):
                part = slice(cuts[number], cuts[number + 1])
                row = pulp.LpAffineExpression(
                    [(variables[c], v) for c, v in zip(columns[part], values[part], strict=True)]
                )
                label = f"{name}_{'_'.join(map(str, place))}"
                if low == high:
                    model += row == low, label
                elif np.isinf(low):
                    model += row <= high, label
                else:
                    model += row >= low, label
                number += 1
        return model
