"""Stocks of leaves chosen together, against every choice there is."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking import leaves
from spareplan.stocking.leaves import FAR_STEPS, STEPS, settle_leaves
from spareplan.stocking.pricing import measure
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets
from spareplan.stocking.trim import money


@pytest.mark.parametrize("seed", range(4))
def test_leaves_that_share_promises_are_settled_for_the_least_money(seed):
    rng = np.random.default_rng(seed)
    sites = pd.DataFrame(
        {"site_id": ["HQ", "A", "B"], "parent_id": [None, "HQ", "HQ"], "lead_time_days": [0.0, 4.0, 7.0]}
    )
    parts = pd.DataFrame(
        {
            "part_id": list("wxyz"),
            "lead_time_days": rng.uniform(10, 60, 4),
            "unit_cost": rng.choice([10.0, 300.0, 900.0, 2_000.0], 4),
        }
    )
    rates = pd.DataFrame(
        [(part, site, rng.uniform(0.01, 0.2)) for part in "wxyz" for site in "AB"],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    targets = pd.DataFrame(
        {"site_id": ["A", "B"], "target_fill_rate": [0.8, 0.85], "target_wait_days": [np.nan, 1.0]}
    )
    forest, pipelines = read_pipelines(sites, parts, rates, "exact")
    promises = read_targets(targets, parts, forest, pipelines)
    levels = np.where(pipelines.is_leaf, 4, np.ceil(pipelines.mean) + 2).astype(np.int64)
    assert promises.kept(promises.used(measure(pipelines, levels))).all()
    prices = rng.uniform(100, 5_000, len(promises))
    settled = settle_leaves(pipelines, promises, levels, prices)
    assert (settled == levels)[~pipelines.is_leaf].all()
    assert promises.kept(promises.used(measure(pipelines, settled))).all()
    least = np.inf
    rows = np.flatnonzero(pipelines.is_leaf)
    for site in np.unique(forest.site[pipelines.forest_rows[rows]]):
        # Sites share nothing here, so each is looked at alone.
        here = rows[forest.site[pipelines.forest_rows[rows]] == site]
        best = np.inf
        for stocks in itertools.product(4 + STEPS, repeat=len(here)):
            tried = levels.copy()
            tried[here] = stocks
            cost = float(pipelines.row_cost[here] @ np.array(stocks))
            if cost < best and promises.kept(promises.used(measure(pipelines, tried))).all():
                best = cost
        least = best if np.isinf(least) else least + best
    upstream = float(pipelines.row_cost[~pipelines.is_leaf] @ levels[~pipelines.is_leaf])
    assert money(pipelines, settled) == pytest.approx(least + upstream)


def _network(seed):
    """Eight parts at two stations, the first of them dear and in much demand."""
    rng = np.random.default_rng(seed)
    sites = pd.DataFrame(
        {"site_id": ["HQ", "A", "B"], "parent_id": [None, "HQ", "HQ"], "lead_time_days": [0.0, 20.0, 30.0]}
    )
    parts = pd.DataFrame(
        {
            "part_id": list("stuvwxyz"),
            "lead_time_days": rng.uniform(10, 60, 8),
            "unit_cost": np.r_[3_000.0, rng.uniform(20, 200, 7)],
        }
    )
    rate = {part: 0.5 if part == "s" else rng.uniform(0.05, 0.4) for part in parts["part_id"]}
    rates = pd.DataFrame(
        [(part, site, rate[part]) for part in rate for site in "AB"],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    share = 1 - 0.5 / sum(rate.values())
    targets = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": 0.9 * share})
    _, pipelines = read_pipelines(sites, parts, rates, "exact")
    promises = read_targets(targets, parts, _, pipelines)
    levels = np.ceil(pipelines.mean + 3 * np.sqrt(pipelines.mean) + 2).astype(np.int64)
    return pipelines, promises, levels, rng.uniform(100, 5_000, len(promises))


@pytest.mark.parametrize("seed", range(2))
def test_a_dear_part_whose_first_pieces_save_nothing_is_given_up_at_once(seed):
    pipelines, promises, levels, prices = _network(seed)
    dear = pipelines.is_leaf & (pipelines.row_cost == 3_000.0)
    near = settle_leaves(pipelines, promises, levels, prices)
    far = settle_leaves(pipelines, promises, levels, prices, FAR_STEPS)
    assert (near[dear] >= levels[dear] + STEPS[0]).all() and (near[dear] > 0).all()
    assert (far[dear] < near[dear]).all()
    assert money(pipelines, far) < money(pipelines, near)
    assert promises.kept(promises.used(measure(pipelines, far))).all()


@pytest.mark.parametrize("seed", range(2))
def test_choices_that_the_relaxation_leaves_out_are_in_no_better_plan(seed, monkeypatch):
    pipelines, promises, levels, prices = _network(seed)
    monkeypatch.setattr(leaves, "MOST_NODES", 20_000)
    every = settle_leaves(pipelines, promises, levels, prices, FAR_STEPS)
    monkeypatch.setattr(leaves, "MOST_CHOICES", 0)
    few = settle_leaves(pipelines, promises, levels, prices, FAR_STEPS)
    assert money(pipelines, few) == pytest.approx(money(pipelines, every), rel=1e-9)
    assert money(pipelines, few) < money(pipelines, levels)


def test_a_promise_that_the_solver_overdraws_is_kept_by_a_second_search(monkeypatch):
    pipelines, promises, levels, prices = _network(0)
    plain = settle_leaves(pipelines, promises, levels, prices, FAR_STEPS)
    solve, asked = leaves.solve_arrays, []

    def overdrawn(cost, matrix, lower, upper, *rest, **options):
        asked.append(float(upper[0]))
        generous = upper * 1.05 if len(asked) == 1 else upper
        return solve(cost, matrix, lower, np.where(upper == 1, 1, generous), *rest, **options)

    monkeypatch.setattr(leaves, "solve_arrays", overdrawn)
    settled = settle_leaves(pipelines, promises, levels, prices, FAR_STEPS)
    assert promises.kept(promises.used(measure(pipelines, settled))).all()
    assert money(pipelines, settled) == pytest.approx(money(pipelines, plain), rel=1e-3)
