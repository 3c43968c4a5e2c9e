"""Marginal allocation against a published course table; budgets against enumeration."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels, solve_levels
from spareplan.stocking.marginal import marginal_allocation
from spareplan.stocking.policy import expected_backorders


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
