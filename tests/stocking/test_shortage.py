"""Too little money: the best service against full enumeration, and bounds that hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spareplan.stocking.pricing import measure
from spareplan.stocking.shortage import best_service
from tests.stocking.test_curve import frontier, network


@pytest.mark.parametrize("seed", [1, 4])
def test_the_best_service_of_a_tiny_network_is_near_the_best_of_all_and_the_bounds_hold(seed):
    plan = frontier(*network(2, 2, 0, seed=seed))
    pipelines, promises, found = plan.pipelines, plan.promises, plan.found
    every = np.array(list(itertools.product(range(5), repeat=6)))
    both = np.tile(np.arange(2), len(every))
    laid = promises.take(pipelines.rows_of(both))
    column, promise, amount = laid.used_by_part(
        measure(pipelines.take(both), every.ravel()), pipelines.take(both)
    )
    use = np.zeros((len(both), len(promises)))
    use[column, promise] = amount
    missed = np.maximum(use.reshape(len(every), 2, -1).sum(axis=1) - promises.allowed, 0.0) @ found.prices
    paid = every @ pipelines.row_cost
    for share in (0.3, 0.9):
        budget = share * found.cost
        best = missed[paid <= budget].min()
        short = best_service(pipelines, promises, found, budget)
        assert short.found.cost <= budget and short.least_shortfall <= best + 1e-9
        assert best - 1e-9 <= short.shortfall <= max(1.5 * best, 1.0)
        # No levels as near to the promises cost less than the bound.
        as_near = missed <= short.shortfall + 1e-9
        assert short.found.bound <= paid[as_near].min() + 1e-9


def test_with_many_parts_the_best_service_is_proven_and_every_unit_of_money_helps():
    plan = frontier(*network(300, 4, 0, seed=3))
    shortfalls = []
    for share, within in ((0.7, 1e-4), (0.9, 1e-4), (0.99, 0.02)):
        short = best_service(plan.pipelines, plan.promises, plan.found, share * plan.found.cost)
        assert short.found.cost <= share * plan.found.cost
        assert short.found.bound <= short.found.cost <= short.found.bound * (1 + within)
        assert short.least_shortfall <= short.shortfall
        shortfalls.append(short.shortfall)
    assert shortfalls[0] > shortfalls[1] > shortfalls[2] > 0


def test_strong_tiers_stay_ahead_when_money_is_short():
    sites, items, rates, targets = network(200, 4, 2, seed=6)
    plan = frontier(sites, items, rates, targets)
    short = best_service(plan.pipelines, plan.promises, plan.found, 0.85 * plan.found.cost)
    reached = plan.promises.reached(plan.promises.used(short.found.state))
    table = plan.promises.table.assign(reached=reached)
    fills = table.groupby("part_group")["reached"].mean()
    assert fills["tier 1"] > fills["tier 2"]
    assert (short.missed > 0).any()
