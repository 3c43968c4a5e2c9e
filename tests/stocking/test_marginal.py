"""Marginal allocation against a published course table; budgets against enumeration."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels, solve_levels
from spareplan.stocking.marginal import best_for_budget, marginal_allocation
from spareplan.stocking.policy import expected_backorders
from spareplan.stocking.reading import read_pipelines


def test_marginal_allocation_follows_the_published_efficient_points(test_data):
    case = json.loads((test_data / "stocking" / "kth_sf2863_2021_single_site.json").read_text())
    mean = np.multiply(case["lam_per_hour"], case["T_hours"])
    points = case["published_marginal_allocation"]
    path = marginal_allocation(np.array(case["cost"], float), mean, points[-1]["cost"])
    ours = path.set_index("cost")["ebo"]
    for point in points:
        assert ours[point["cost"]] == pytest.approx(point["EBO"], abs=2e-3)
    assert (path["ebo"].diff().dropna() < 0).all()
    # Each piece saves less per money than the one before: the curve is convex.
    slope = path["ebo"].diff() / path["cost"].diff()
    assert slope.dropna().is_monotonic_increasing


def test_the_path_adds_up_to_the_backorders_of_its_last_stock():
    cost, mean, variance = np.array([3.0, 5.0, 1.0]), np.array([0.5, 2.0, 0.1]), np.array([0.9, 3.0, 0.1])
    path = marginal_allocation(cost, mean, 40.0, variance)
    stock = np.bincount(path["part"][1:], minlength=3)
    assert path["ebo"].iloc[-1] == pytest.approx(expected_backorders(stock, mean, variance).sum())
    assert path["cost"].iloc[-1] == pytest.approx(stock @ cost) and path["cost"].iloc[-1] <= 40
    with pytest.raises(DataError):
        marginal_allocation(np.array([0.0]), np.array([1.0]), 10.0)


def test_a_budget_at_one_site_buys_what_enumeration_finds_on_the_efficient_points():
    sites = pd.DataFrame({"site_id": ["HQ"], "parent_id": [None], "lead_time_days": [0.0]})
    parts = pd.DataFrame(
        {"part_id": list("abc"), "unit_cost": [12.0, 14.0, 21.0], "lead_time_days": [6.0, 8.0, 14.0]}
    )
    rates = pd.DataFrame({"part_id": list("abc"), "site_id": "HQ", "demand_per_day": [0.05, 0.04, 0.045]})
    mean = rates["demand_per_day"].to_numpy() * parts["lead_time_days"].to_numpy()
    for budget in marginal_allocation(parts["unit_cost"].to_numpy(), mean, 90.0)["cost"].iloc[1:]:
        found = solve_levels(sites, parts, rates, budget=float(budget))
        ebo = evaluate_levels(sites, parts, rates, found.table)["ebo"].sum()
        best = min(
            expected_backorders(np.array(stock), mean).sum()
            for stock in itertools.product(range(7), repeat=3)
            if np.dot(stock, parts["unit_cost"]) <= budget
        )
        assert found.cost <= budget and ebo == pytest.approx(best, rel=1e-9)
        assert found.gap < 1e-6


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_no_levels_for_the_money_wait_less_than_is_said(seed):
    draw = np.random.default_rng(seed)
    sites = pd.DataFrame({"site_id": ["HQ", "A"], "parent_id": [None, "HQ"], "lead_time_days": [0.0, 3.0]})
    cost = draw.integers(5, 30, 3).astype(float)
    parts = pd.DataFrame(
        {"part_id": list("abc"), "unit_cost": cost, "lead_time_days": draw.uniform(5, 40, 3)}
    )
    rates = pd.DataFrame(
        {"part_id": list("abc"), "site_id": "A", "demand_per_day": draw.uniform(0.01, 0.04, 3)}
    )
    budget = float(draw.uniform(0.5, 3.0) * cost.sum())
    _, pipelines = read_pipelines(sites, parts, rates, "exact")
    bought = best_for_budget(pipelines, budget)
    pairs = list(itertools.product(range(7), repeat=2))
    # Every pair of levels of every part as a part of its own, evaluated in one call.
    named = pd.DataFrame(
        [(part, f"{part}{head}{shelf}", head, shelf) for part in "abc" for head, shelf in pairs],
        columns=["part_id", "name", "HQ", "A"],
    )
    many = [
        frame.merge(named[["part_id", "name"]]).drop(columns="part_id").rename(columns={"name": "part_id"})
        for frame in (parts, rates)
    ]
    levels = named.melt("name", ["HQ", "A"], "site_id", "base_stock").rename(columns={"name": "part_id"})
    seen = evaluate_levels(sites, *many, levels)
    owed = seen[seen["site_id"] == "A"].set_index("part_id")["ebo"][named["name"]].to_numpy().reshape(3, -1)
    paid = cost[:, None] * named[["HQ", "A"]].sum(axis=1).to_numpy().reshape(3, -1)
    money = paid[0][:, None, None] + paid[1][:, None] + paid[2]
    waiting = owed[0][:, None, None] + owed[1][:, None] + owed[2]
    best = waiting[money <= budget + 1e-9].min()
    assert bought.waiting == pytest.approx(best, rel=1e-6)
    assert bought.least_waiting <= best * (1 + 1e-9)
    assert bought.least_waiting > 0.999 * best
    said = solve_levels(sites, parts, rates, budget=budget).summary()
    days = bought.waiting / rates["demand_per_day"].sum()
    assert f"a mean wait of {days:.4g} days; no levels for this money wait less than" in said
    assert "promise" not in said


def test_without_promises_and_money_nothing_is_bought_and_that_is_said():
    sites = pd.DataFrame({"site_id": ["HQ"], "parent_id": [None], "lead_time_days": [0.0]})
    parts = pd.DataFrame({"part_id": ["a"], "unit_cost": [12.0], "lead_time_days": [6.0]})
    rates = pd.DataFrame({"part_id": ["a"], "site_id": ["HQ"], "demand_per_day": [0.05]})
    free = solve_levels(sites, parts, rates)
    assert free.cost == 0 and free.lines[1].startswith("nothing is promised, so nothing is stocked")
    none = solve_levels(sites, parts, rates, budget=0)
    assert none.cost == 0 and none.gap == 0
    assert "0 buys a fill rate of 0.0% over all demand and a mean wait of 6 days" in none.lines[1]
    idle = solve_levels(sites, parts, rates.assign(demand_per_day=0.0), budget=50)
    assert idle.lines[1] == "nothing is asked for, so nothing is bought for the money"


def test_parts_that_cost_nothing_are_published_at_no_value():
    sites = pd.DataFrame({"site_id": ["HQ", "A"], "parent_id": [None, "HQ"], "lead_time_days": [0.0, 2.0]})
    parts = pd.DataFrame({"part_id": ["a", "b"], "unit_cost": [0.0, 20.0], "lead_time_days": [30.0, 40.0]})
    rates = pd.DataFrame({"part_id": ["a", "b"], "site_id": "A", "demand_per_day": [0.1, 0.02]})
    targets = pd.DataFrame({"site_id": ["A"], "target_fill_rate": [0.9]})
    plan = solve_levels(sites, parts, rates, targets)
    free = plan.table["part_id"] == "a"
    assert plan.table.loc[free, "base_stock"].sum() > 0 and (plan.table.loc[free, "value"] == 0).all()
    assert plan.cost == plan.table["value"].sum() == 20 * plan.table.loc[~free, "base_stock"].sum()
    assert plan.lower_bound <= plan.cost and plan.gap < 1e-6
    assert not any(line.startswith("the next") for line in plan.lines)
    assert "parts_without_price" in plan.assumptions["name"].tolist()
    nothing = solve_levels(sites, parts.assign(unit_cost=0.0), rates, targets)
    assert nothing.cost == nothing.lower_bound == nothing.table["value"].sum() == 0
    assert "costs 0" not in nothing.summary() and nothing.service["kept"].all()


def test_a_promise_of_nothing_is_reached_with_nothing_and_never_below():
    sites = pd.DataFrame({"site_id": ["HQ", "A"], "parent_id": [None, "HQ"], "lead_time_days": [0.0, 2.0]})
    parts = pd.DataFrame({"part_id": ["a", "b"], "unit_cost": [10.0, 20.0], "lead_time_days": [30.0, 40.0]})
    rates = pd.DataFrame({"part_id": ["a", "b"], "site_id": "A", "demand_per_day": [0.1, 0.02]})
    plan = solve_levels(sites, parts, rates, pd.DataFrame({"site_id": ["A"], "target_fill_rate": [0.0]}))
    assert plan.cost == 0 and "-0" not in plan.summary()
    assert (plan.service["reached"] >= 0).all() and (plan.curve()["service"] >= 0).all()
    assert (plan.table["fill_rate"].dropna() >= 0).all()
