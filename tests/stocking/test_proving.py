"""Whole plans proved by the integer programme over cells: brute force, and bounds from both sides."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking import proving, solve_levels
from spareplan.stocking.multipliers import search_prices
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.proving import collect, excesses, prove, separate
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.tabulated import cells_at, price_cells, tabulate
from spareplan.stocking.targets import read_targets
from spareplan.stocking.trim import money, trim
from tests.stocking.test_levels import tiny

TOP = 8


def case(seed: int, tree: str = "two", groups: int = 1, parts: int = 2) -> tuple[Pipelines, Promises]:
    """A few cheap slow movers with fill and wait promises per site and group."""
    rng = np.random.default_rng(seed)
    parent = {"two": [None, "HQ", "HQ"], "three": [None, "HQ", "A"]}[tree]
    sites = pd.DataFrame(
        {"site_id": ["HQ", "A", "B"], "parent_id": parent, "lead_time_days": [0.0, *rng.uniform(2, 8, 2)]}
    )
    items = pd.DataFrame(
        {
            "part_id": [f"p{i}" for i in range(parts)],
            "unit_cost": rng.integers(20, 300, parts).astype(float),
            "lead_time_days": rng.uniform(20, 90, parts),
            "group": [f"g{i % groups}" for i in range(parts)],
        }
    )
    rates = pd.DataFrame(itertools.product(items["part_id"], ["A", "B"]), columns=["part_id", "site_id"])
    rates["demand_per_day"] = rng.gamma(1.0, 0.008, len(rates)) + 1e-4
    targets = pd.DataFrame(
        itertools.product(["A", "B"], sorted(items["group"].unique())), columns=["site_id", "group"]
    )
    fill = rng.random(len(targets)) < 0.5
    targets["target_fill_rate"] = np.where(fill, rng.uniform(0.6, 0.9, len(targets)), np.nan)
    targets["target_wait_days"] = np.where(fill, np.nan, rng.uniform(0.4, 3.0, len(targets)))
    forest, pipelines = read_pipelines(sites, items, rates, "exact")
    return pipelines, read_targets(targets, items, forest, pipelines)


def planned(pipelines: Pipelines, promises: Promises) -> tuple[np.ndarray, np.ndarray, float]:
    """A rounded plan, prices and the Lagrangian bound."""
    search = search_prices(pipelines, promises)
    levels, _ = trim(pipelines, promises, search.priced.levels, search.prices)
    return levels, search.prices, search.bound


def cheapest(pipelines: Pipelines, promises: Promises) -> float:
    """Least money over all levels up to `TOP`, two parts, by complete enumeration."""
    box = np.array(list(itertools.product(range(TOP + 1), repeat=3)))
    use, cost = [], []
    for part in range(2):
        wide = pipelines.take(np.full(len(box), part))
        rows = pipelines.rows_of(np.full(len(box), part))
        column, promise, amount = promises.take(rows).used_by_part(measure(wide, box.ravel()), wide)
        used = np.zeros((len(box), len(promises)))
        used[column, promise] = amount
        use.append(used)
        cost.append(box.sum(axis=1) * pipelines.unit_cost[part])
    both = use[0][:, None] + use[1][None]
    kept = (both <= promises.allowed * (1 + 1e-9)).all(axis=2)
    return float(np.where(kept, cost[0][:, None] + cost[1][None], np.inf).min())


@pytest.mark.parametrize(("seed", "tree"), list(itertools.product(range(6), ["two", "three"])))
def test_the_proved_plan_costs_what_complete_enumeration_finds(seed, tree):
    pipelines, promises = case(seed, tree)
    levels, prices, _ = planned(pipelines, promises)
    proof = prove(pipelines, promises, levels, prices)
    best = cheapest(pipelines, promises)
    assert proof.levels.max() <= TOP
    assert money(pipelines, proof.levels) == pytest.approx(best, rel=1e-9)
    assert best * (1 - 1e-6) <= proof.bound <= best * (1 + 1e-12)
    assert promises.kept(promises.used(measure(pipelines, proof.levels))).all()


@pytest.mark.parametrize("seed", range(3))
def test_bounds_stay_below_and_plans_above_the_optimum_however_little_is_looked_at(seed, monkeypatch):
    pipelines, promises = case(seed, parts=6)
    levels, prices, lower = planned(pipelines, promises)
    full = prove(pipelines, promises, levels, prices)
    optimum = money(pipelines, full.levels)
    assert full.bound == pytest.approx(optimum, rel=2e-6)
    for looks, work in (((8,), 1), ((25,), 10**5), ((60, 120), 600)):
        monkeypatch.setattr(proving, "LOOKS", looks)
        monkeypatch.setattr(proving, "WORK", work)
        monkeypatch.setattr(proving, "LEAST_WORK", work)
        some = prove(pipelines, promises, levels, prices)
        assert lower * (1 - 1e-9) <= some.bound <= optimum * (1 + 1e-9)
        assert optimum * (1 - 1e-9) <= money(pipelines, some.levels) <= money(pipelines, levels)


def test_groups_that_share_nothing_are_proved_apart():
    pipelines, promises = case(3, groups=2, parts=6)
    groups = list(separate(pipelines, promises))
    assert len(groups) == 2 and sum(len(g.kept) for g in groups) == len(promises)
    assert np.array_equal(np.sort(np.concatenate([g.rows for g in groups])), np.arange(len(pipelines.stop)))
    levels, prices, _ = planned(pipelines, promises)
    proof = prove(pipelines, promises, levels, prices)
    apart = 0.0
    for group in groups:
        used = group.promises.used(measure(group.pipelines, levels[group.rows]))
        assert used == pytest.approx(promises.used(measure(pipelines, levels))[group.kept])
        one = prove(group.pipelines, group.promises, levels[group.rows], prices[group.kept])
        apart += one.bound
    assert proof.bound == pytest.approx(apart, rel=1e-9)


def test_no_plan_uses_a_cell_of_more_excess_than_its_distance_to_the_bound():
    pipelines, promises = case(1, "three", parts=4)
    levels, prices, _ = planned(pipelines, promises)
    tables = tabulate(pipelines)
    priced = price_cells(tables, pipelines, promises.worth(prices))
    lower = priced[0].best.sum() - prices @ promises.allowed
    excess = np.concatenate(excesses(priced))
    rng = np.random.default_rng(0)
    for _ in range(50):
        other = np.maximum(levels + rng.integers(0, 3, len(levels)), 0)
        used = promises.used(measure(pipelines, other))
        if promises.kept(used).all():
            assert excess[cells_at(tables, other)].max() <= money(pipelines, other) - lower + 1e-6
    choices = collect(tables, priced, excesses(priced), money(pipelines, levels) - lower)
    below = choices.parent >= 0
    assert (choices.excess[choices.parent[below]] <= choices.excess[below] + 1e-9).all()
    assert (tables.parent[choices.row[below]] == choices.row[choices.parent[below]]).all()


def test_parts_without_promises_keep_their_floors():
    pipelines, promises = case(2, parts=4)
    second = pipelines.part == 1
    laid = {
        name: np.where(second, -1, values)
        for name in ("wait_promise", "miss_promise")
        if (values := getattr(promises, name)) is not None
    }
    free = replace(promises, **laid)
    levels, prices, _ = planned(pipelines, free)
    proof = prove(pipelines, free, levels, prices)
    assert (proof.levels[second] == 0).all()


def test_tiny_cases_are_proved_to_their_optimum(test_data):
    for one in json.loads((test_data / "stocking" / "tiny_optima.json").read_text())["instances"]:
        found = solve_levels(*tiny(one))
        assert found.cost == pytest.approx(one["optimal_cost"], rel=1e-12)
        assert one["optimal_cost"] * (1 - 1e-6) <= found.lower_bound <= one["optimal_cost"] * (1 + 1e-12)
