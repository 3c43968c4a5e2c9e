"""The door to the solver: signs, bounds, duals, constants and the ways to fail."""

from __future__ import annotations

import numpy as np
import pulp
import pytest
from scipy import sparse

from spareplan.errors import InfeasibleError, SolverError
from spareplan.maths.solver import solve_arrays, solve_model


def diet() -> pulp.LpProblem:
    model = pulp.LpProblem("diet", pulp.LpMinimize)
    x, y = model.add_variable("x", 0), model.add_variable("y", 0)
    model += 2 * x + 3 * y + 10
    model += x + y >= 4, "amount"
    model += x <= 3, "stock"
    return model


def knapsack(sense: int = pulp.LpMaximize, constant: float = 5.0) -> tuple[pulp.LpProblem, int]:
    weights, values, limit = [3, 4, 5, 8, 9], [4, 5, 7, 11, 12], 13
    model = pulp.LpProblem("knapsack", sense)
    take = [model.add_variable(f"take_{i}", cat="Binary") for i in range(5)]
    sign = 1 if sense == pulp.LpMaximize else -1
    model += sign * pulp.lpDot(values, take) + constant
    model += pulp.lpDot(weights, take) <= limit
    best = max(
        sum(v for i, v in enumerate(values) if mask >> i & 1)
        for mask in range(32)
        if sum(w for i, w in enumerate(weights) if mask >> i & 1) <= limit
    )
    return model, best


def test_a_minimisation_returns_its_value_with_the_constant_and_what_each_row_is_worth():
    model = diet()
    found = solve_model(model)
    assert found.objective == pytest.approx(2 * 3 + 3 * 1 + 10)
    assert found.bound == found.objective and found.gap == 0 and found.status == "optimal"
    # One more unit of amount costs 3; one more piece of the cheap food saves 1.
    assert found.duals == pytest.approx([3, -1])
    assert [c.pi for c in model.constraints.values()] == pytest.approx([3, -1])
    assert {v.name: v.varValue for v in model.variables()} == pytest.approx({"x": 3, "y": 1})


def test_a_maximisation_has_duals_of_its_own_sign():
    model = pulp.LpProblem("profit", pulp.LpMaximize)
    x, y = model.add_variable("x", 0), model.add_variable("y", 0, 6)
    model += 5 * x + 4 * y - 7
    model += x + y == 8
    model += x <= 2
    found = solve_model(model)
    assert found.objective == found.bound == pytest.approx(5 * 2 + 4 * 6 - 7)
    model = pulp.LpProblem("profit", pulp.LpMaximize)
    x, y = model.add_variable("x", 0), model.add_variable("y", 0, 9)
    model += 5 * x + 4 * y - 7
    model += x + y == 8
    model += x <= 2
    found = solve_model(model)
    assert found.objective == pytest.approx(5 * 2 + 4 * 6 - 7)
    # A piece more in all earns 4; a piece more of x displaces one of y and earns 1.
    assert found.duals == pytest.approx([4, 1])


@pytest.mark.parametrize("sense", [pulp.LpMaximize, pulp.LpMinimize])
def test_an_integer_bound_lies_on_the_right_side_and_includes_the_constant(sense):
    model, best = knapsack(sense)
    found = solve_model(model, gap=0.0)
    expected = 5 + best if sense == pulp.LpMaximize else 5 - best
    assert found.objective == pytest.approx(expected)
    assert found.bound == pytest.approx(expected)
    assert len(found.duals) == 0


def test_an_integer_search_that_is_cut_short_still_bounds_the_best():
    rng = np.random.default_rng(3)
    count = 60
    weights = rng.integers(20, 60, (8, count))
    model = pulp.LpProblem("packing", pulp.LpMaximize)
    take = [model.add_variable(f"t{i:02d}", cat="Binary") for i in range(count)]
    model += pulp.lpDot(rng.integers(20, 60, count).tolist(), take) + 100
    for row in weights:
        model += pulp.lpDot(row.tolist(), take) <= 500
    rough = solve_model(model, gap=0.05)
    assert rough.bound >= rough.objective
    assert rough.gap <= 0.05 + 1e-9
    assert rough.objective == pytest.approx(pulp.value(model.objective))


def test_equal_models_by_arrays_and_by_pulp_agree():
    matrix = sparse.csc_matrix(np.array([[1.0, 1.0], [1.0, 0.0]]))
    by_arrays = solve_arrays(np.array([2.0, 3.0]), matrix, np.array([4.0, -np.inf]), np.array([np.inf, 3.0]))
    by_model = solve_model(diet())
    assert by_arrays.objective == pytest.approx(by_model.objective - 10)
    assert by_arrays.duals == pytest.approx(by_model.duals)
    assert by_arrays.values == pytest.approx(by_model.values)


def test_impossible_rows_are_an_infeasible_error_with_the_name_of_the_model():
    model = diet()
    model += pulp.lpSum(model.variables()) <= 1
    with pytest.raises(InfeasibleError, match="diet"):
        solve_model(model)


def test_a_model_without_end_is_a_solver_error_and_not_called_infeasible():
    model = pulp.LpProblem("endless", pulp.LpMaximize)
    x = model.add_variable("x", 0)
    model += x
    model += x >= 1
    with pytest.raises(SolverError, match=r"endless.*[Uu]nbounded"):
        solve_model(model)


def test_no_time_is_a_solver_error_that_says_so():
    rng = np.random.default_rng(0)
    rows = rng.integers(10, 99, (40, 200)).astype(float)
    with pytest.raises(SolverError, match=r"[Tt]ime"):
        solve_arrays(
            -rng.integers(10, 99, 200).astype(float),
            sparse.csc_matrix(rows),
            np.full(40, -np.inf),
            np.full(40, 3000.0),
            0.0,
            1.0,
            np.ones(200, bool),
            time_limit=0.0,
            presolve="off",
            mip_heuristic_effort=0.0,
        )


def test_a_model_without_rows_takes_its_bounds():
    model = pulp.LpProblem("free", pulp.LpMinimize)
    x = model.add_variable("x", -3, 8)
    model += 2 * x + 1
    assert solve_model(model).objective == pytest.approx(-5)


def test_costs_of_many_powers_of_ten_are_solved_and_told_in_their_own_scale() -> None:
    """Two ways to cover a demand of one: a cheap one that holds half, a fine of 1e12 for the rest."""
    matrix = sparse.csc_matrix([[1.0, 1.0], [1.0, 0.0]])
    found = solve_arrays(np.array([3.0, 1e12]), matrix, np.array([1.0, -np.inf]), np.array([np.inf, 0.5]))
    assert found.values == pytest.approx([0.5, 0.5])
    assert found.objective == pytest.approx(1.5 + 5e11) and found.bound == pytest.approx(found.objective)
    assert found.duals == pytest.approx([1e12, 3.0 - 1e12])
