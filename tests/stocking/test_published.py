"""Every published or independently computed answer on stock levels, as the accuracy table prints it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmarks import published_levels
from scipy import stats


@pytest.fixture(scope="module")
def folder(test_data):
    return test_data / "stocking"


@pytest.fixture(scope="module")
def compared(folder):
    return list(published_levels.compare_all(folder))


def test_every_answer_is_met_to_the_digits_it_is_given_in(compared):
    assert sum(len(one.ours) for one in compared) > 1_700
    off = {one.what: one.difference for one in compared if not one.difference <= one.allowed}
    assert off == {}


def test_computed_answers_are_met_to_a_hundred_millionth(compared):
    trees = [one for one in compared if one.what.startswith(("two", "three", "depot"))]
    assert len(trees) == 13
    assert max(one.difference for one in trees) < 1e-8


def test_the_serial_system_costs_what_summing_over_all_demand_gives(folder):
    case = json.loads((folder / "ssm_serial_example_6_1.json").read_text())
    stages = sorted(case["data"]["example_6_1"]["_nodes"], key=lambda node: -node["_index"])
    counts = np.arange(150)
    stock, lead, holding = (11, 6, 9), (2, 1, 1), (2.0, 4.0, 7.0)
    waiting, cost = np.eye(1, len(counts)).ravel(), 2.0 * 5 + 4.0 * 5
    for s, days, money in zip(stock, lead, holding):
        on_order = np.convolve(waiting, stats.poisson.pmf(counts, 5 * days))[: len(counts)]
        cost += money * np.maximum(s - counts, 0) @ on_order
        waiting = np.bincount(np.maximum(counts - s, 0), weights=on_order, minlength=len(counts))
    cost += 37.12 * counts @ waiting
    assert published_levels.serial_cost(stages, np.array(stock)) == pytest.approx(cost, rel=1e-12)


def test_a_budget_buys_what_a_knapsack_finds(compared):
    bought = next(one for one in compared if "budget" in one.what)
    assert len(bought.ours) == 5
    assert bought.difference < 1e-8


def test_five_hundred_parts_cost_less_than_the_independent_plan_and_the_bounds_agree(folder):
    found, known = published_levels.large_case(folder)
    assert found.cost <= known["exact_feasible_cost"]
    assert found.lower_bound == pytest.approx(known["exact_lower_bound"], rel=1e-4)
    assert found.gap < 0.0005


def test_models_that_are_not_covered_are_named_with_the_reason():
    assert all(other.why for other in published_levels.OTHER_MODELS)
    assert {"guaranteed", "serial", "(r,"} <= {
        other.what.split()[0] for other in published_levels.OTHER_MODELS
    }
