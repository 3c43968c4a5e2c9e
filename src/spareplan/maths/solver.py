"""The only door to PuLP and HiGHS: a model or arrays in; solution, duals and status out.

Models that people want to read are written in PuLP (`solve_model`); problems of more than about a hundred
thousand columns are handed to HiGHS as arrays (`solve_arrays`), because building them costs more than
solving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError, SolverError

if TYPE_CHECKING:
    import pulp
    from scipy.sparse import spmatrix


# Largest cost handed to the solver as it is.
LARGEST_COST = 1e6


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    Parameters
    ----------
    values : ndarray, shape (columns,)
        The variables, in the order of the model.
    duals : ndarray, shape (rows,)
        What the objective gains per unit of each row's limit; empty for integer problems.
    objective, bound : float
        Value of the solution, and the proven bound: lower of a minimisation, upper of a maximisation.
    status : {"optimal", "limit"}
        "limit": stopped by time or gap with a feasible solution.
    """

    values: NDArray[np.float64]
    duals: NDArray[np.float64]
    objective: float
    bound: float
    status: str

    @property
    def gap(self) -> float:
        """Distance of objective and bound relative to the bound, 0 where both vanish."""
        difference = abs(self.objective - self.bound)
        return 0.0 if abs(difference) < 1e-9 else difference / max(abs(self.bound), 1e-12)


def solve_model(
    model: pulp.LpProblem, time_limit: float | None = None, gap: float = 1e-6, **options: Any
) -> Solution:
    """Solve a PuLP model by HiGHS on one thread.

    Parameters
    ----------
    model : pulp.LpProblem
        A minimisation, or a maximisation (its bound is then an upper bound). The values are written into its
        variables, the duals into the ``pi`` of its constraints.
    time_limit : float, optional
        [s]
    gap : float
        Relative gap at which an integer search may stop.
    **options
        Further HiGHS options.

    Returns
    -------
    Solution
        Values in the order of ``model.variables()``, duals in the order of ``model.constraints``.

    Raises
    ------
    InfeasibleError, SolverError
    """
    import pulp
    from scipy import sparse

    variables, constraints = model.variables(), list(model.constraints.values())
    place = {variable.name: column for column, variable in enumerate(variables)}
    sign = -1.0 if model.sense == pulp.LpMaximize else 1.0
    objective = model.objective if model.objective is not None else pulp.LpAffineExpression()
    cost = np.zeros(len(variables))
    for variable, factor in objective.items():
        cost[place[variable.name]] += factor
    counts = [len(constraint) for constraint in constraints]
    columns = [place[variable.name] for constraint in constraints for variable in constraint]
    factors = [factor for constraint in constraints for factor in constraint.values()]
    rows = np.repeat(np.arange(len(constraints)), counts)
    matrix = sparse.csc_matrix((factors, (rows, columns)), shape=(len(constraints), len(variables)))
    limit = np.array([-constraint.constant for constraint in constraints], dtype=float)
    sense = np.array([constraint.sense for constraint in constraints], dtype=int)
    found = solve_arrays(
        sign * cost,
        matrix,
        np.where(sense == pulp.LpConstraintLE, -np.inf, limit),
        np.where(sense == pulp.LpConstraintGE, np.inf, limit),
        np.array([-np.inf if v.lowBound is None else v.lowBound for v in variables], dtype=float),
        np.array([np.inf if v.upBound is None else v.upBound for v in variables], dtype=float),
        np.array([v.cat == pulp.LpInteger for v in variables], dtype=bool),
        time_limit,
        gap,
        model.name,
        **options,
    )
    constant = float(objective.constant or 0.0)
    solution = Solution(
        found.values,
        sign * found.duals,
        sign * found.objective + constant,
        sign * found.bound + constant,
        found.status,
    )
    for variable, value in zip(variables, solution.values, strict=True):
        variable.varValue = float(value)
    for constraint, dual in zip(constraints, solution.duals, strict=False):
        constraint.pi = float(dual)
    return solution


def solve_arrays(
    cost: NDArray[np.float64],
    matrix: spmatrix,
    row_lower: NDArray[np.float64],
    row_upper: NDArray[np.float64],
    column_lower: NDArray[np.float64] | float = 0.0,
    column_upper: NDArray[np.float64] | float = np.inf,
    integer: NDArray[np.bool_] | None = None,
    time_limit: float | None = None,
    gap: float = 1e-6,
    name: str = "problem",
    start: NDArray[np.float64] | None = None,
    **options: Any,
) -> Solution:
    """Minimise cost @ x subject to row_lower <= matrix @ x <= row_upper by HiGHS on one thread.

    Parameters
    ----------
    cost : ndarray, shape (columns,)
    matrix : sparse matrix, shape (rows, columns)
    row_lower, row_upper : ndarray, shape (rows,)
        Use -inf and inf for one-sided rows.
    column_lower, column_upper : ndarray, shape (columns,), or float
    integer : ndarray of bool, shape (columns,), optional
        Which columns are whole numbers.
    time_limit : float, optional
        [s]
    gap : float
        Relative gap at which an integer search may stop.
    name : str
        Shown in errors.
    start : ndarray, shape (columns,), optional
        A known solution of an integer problem, to better.
    **options
        Further HiGHS options, such as ``solver="ipm"``.

    Returns
    -------
    Solution

    Raises
    ------
    InfeasibleError, SolverError
    """
    import highspy
    from scipy import sparse

    columns = sparse.csc_matrix(matrix)
    rows, width = columns.shape
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = width, rows
    # Costs of many powers of ten stop the simplex; a power of two scales them without rounding.
    largest = float(np.abs(cost).max(initial=0.0))
    scale = 2.0 ** max(0, math.ceil(math.log2(largest / LARGEST_COST))) if largest > LARGEST_COST else 1.0
    lp.col_cost_ = np.asarray(cost, dtype=float) / scale
    lp.col_lower_ = np.broadcast_to(np.asarray(column_lower, float), width).copy()
    lp.col_upper_ = np.broadcast_to(np.asarray(column_upper, float), width).copy()
    lp.row_lower_ = np.asarray(row_lower, dtype=float)
    lp.row_upper_ = np.asarray(row_upper, dtype=float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = columns.indptr
    lp.a_matrix_.index_ = columns.indices
    lp.a_matrix_.value_ = columns.data
    whole = integer is not None and bool(np.any(integer))
    if integer is not None and whole:
        kinds = highspy.HighsVarType
        lp.integrality_ = [kinds.kInteger if flag else kinds.kContinuous for flag in integer]
    highs = highspy.Highs()
    highs.silent()
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("mip_rel_gap", gap)
    if time_limit is not None:
        highs.setOptionValue("time_limit", float(time_limit))
    for key, value in options.items():
        highs.setOptionValue(key, value)
    highs.passModel(lp)
    if start is not None:
        known = highspy.HighsSolution()
        known.col_value = np.asarray(start, dtype=float)
        highs.setSolution(known)
    highs.run()
    if not whole and highs.getModelStatus() in (
        highspy.HighsModelStatus.kNotset,
        highspy.HighsModelStatus.kSolveError,
    ):
        # The simplex gave up for numerical reasons; the interior point takes another road to the same vertex.
        highs.setOptionValue("solver", "ipm")
        highs.run()
    status = _status(highs, name)
    solution, info = highs.getSolution(), highs.getInfo()
    objective = float(info.objective_function_value) * scale
    bound = float(info.mip_dual_bound) * scale if whole else objective
    duals = np.empty(0) if whole else np.asarray(solution.row_dual, dtype=float) * scale
    return Solution(
        np.asarray(solution.col_value, dtype=float), duals, objective, min(bound, objective), status
    )


def _status(highs: Any, name: str) -> str:
    """Translate the HiGHS model status."""
    import highspy

    status, info, kind = highs.getModelStatus(), highs.getInfo(), highspy.HighsModelStatus
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if status in (kind.kOptimal, kind.kModelEmpty):
        return "optimal"
    if status in (kind.kInfeasible, kind.kUnboundedOrInfeasible):
        raise InfeasibleError(f"{name}: no solution keeps every row")
    if feasible and status in (kind.kTimeLimit, kind.kIterationLimit, kind.kSolutionLimit, kind.kInterrupt):
        return "limit"
    raise SolverError(
        f"{name}: the solver stopped with '{highs.modelStatusToString(status)}' and no solution"
    )


# Number of the primal simplex among the strategies of HiGHS.
PRIMAL = 4


class WarmProgram:
    """A linear program kept in the solver: after new limits or rows it starts from the last answer.

    Parameters
    ----------
    cost, matrix, row_lower, row_upper, column_upper
        As in `solve_arrays`; columns are never negative.
    name : str
        Shown in errors.
    """

    def __init__(
        self,
        cost: NDArray[np.float64],
        matrix: spmatrix,
        row_lower: NDArray[np.float64],
        row_upper: NDArray[np.float64],
        column_upper: NDArray[np.float64],
        name: str = "problem",
    ) -> None:
        import highspy
        from scipy import sparse

        columns = sparse.csc_matrix(matrix)
        self.name = name
        self._highs = highspy.Highs()
        self._highs.silent()
        self._highs.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        lp.num_row_, lp.num_col_ = columns.shape
        # As in `solve_arrays`: a power of two scales costs without rounding.
        largest = float(np.abs(cost).max(initial=0.0))
        steps = math.ceil(math.log2(largest / LARGEST_COST)) if largest > LARGEST_COST else 0
        self._scale = 2.0**steps
        lp.col_cost_ = np.asarray(cost, dtype=float) / self._scale
        lp.col_lower_, lp.col_upper_ = np.zeros(columns.shape[1]), np.asarray(column_upper, dtype=float)
        lp.row_lower_, lp.row_upper_ = np.asarray(row_lower, float), np.asarray(row_upper, float)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = columns.indptr, columns.indices
        lp.a_matrix_.value_ = columns.data
        self._highs.passModel(lp)

    def solve(self, solver: str = "simplex", time_limit: float | None = None) -> Solution:
        """Solve it as it stands now.

        Parameters
        ----------
        solver : {"simplex", "ipm"}
            The simplex starts from the last basis; the interior point starts anew and ends in a basis.
        time_limit : float, optional
            [s]

        Returns
        -------
        Solution
            Status "limit": the time ended before the optimum, and the bound is minus infinity.

        Raises
        ------
        InfeasibleError, SolverError
        """
        highs = self._highs
        highs.setOptionValue("solver", solver)
        # The clock of the solver runs on from call to call.
        highs.setOptionValue(
            "time_limit", np.inf if time_limit is None else highs.getRunTime() + max(time_limit, 0.0)
        )
        highs.run()
        status = _status(highs, self.name)
        solution = highs.getSolution()
        objective = float(highs.getInfo().objective_function_value) * self._scale
        return Solution(
            np.asarray(solution.col_value, dtype=float),
            np.asarray(solution.row_dual, dtype=float) * self._scale,
            objective,
            objective if status == "optimal" else -np.inf,
            status,
        )

    def limit(
        self, columns: NDArray[np.int64], lower: NDArray[np.float64], upper: NDArray[np.float64]
    ) -> None:
        """Set the limits of some columns."""
        self._highs.changeColsBounds(
            len(columns), columns.astype(np.int32), np.asarray(lower, float), np.asarray(upper, float)
        )

    def add_rows(
        self, matrix: spmatrix, row_lower: NDArray[np.float64], row_upper: NDArray[np.float64]
    ) -> None:
        """Add rows below those that stand."""
        from scipy import sparse

        rows = sparse.csr_matrix(matrix)
        self._highs.addRows(
            rows.shape[0],
            np.asarray(row_lower, float),
            np.asarray(row_upper, float),
            rows.nnz,
            rows.indptr[:-1].astype(np.int32),
            rows.indices.astype(np.int32),
            rows.data.astype(float),
        )

    def add_columns(
        self, cost: NDArray[np.float64], matrix: spmatrix, column_upper: NDArray[np.float64] | float = np.inf
    ) -> None:
        """Add columns, never negative, to the right of those that stand."""
        from scipy import sparse

        # The last basis still keeps every row, so the primal simplex goes on from it.
        self._highs.setOptionValue("simplex_strategy", PRIMAL)

        columns = sparse.csc_matrix(matrix)
        count = columns.shape[1]
        self._highs.addCols(
            count,
            np.asarray(cost, float) / self._scale,
            np.zeros(count),
            np.broadcast_to(np.asarray(column_upper, float), count).copy(),
            columns.nnz,
            columns.indptr[:-1].astype(np.int32),
            columns.indices.astype(np.int32),
            columns.data.astype(float),
        )

    def charge(self, columns: NDArray[np.int64], cost: NDArray[np.float64]) -> None:
        """Set the costs of some columns."""
        self._highs.changeColsCost(
            len(columns), columns.astype(np.int32), np.asarray(cost, float) / self._scale
        )
