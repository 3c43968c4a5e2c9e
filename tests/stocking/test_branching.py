"""Ranges of stocks upstream: bounds that stay below the optimum, plans that stay above it."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking.branching import branch_on_stocks
from spareplan.stocking.finding import Found, Standing, price_promises
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.proving import prove
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets
from spareplan.stocking.trim import money, trim
from tests.stocking.test_proving import case, cheapest


def rounded(pipelines: Pipelines, promises: Promises) -> Found:
    """The linear programme's plan, rounded, as it is before anything else betters it."""
    standing = Standing()
    starts = price_promises(pipelines, promises, None, None, standing)
    for levels in starts:
        trim(pipelines, promises, levels, standing.searched.prices, keep=standing.offer)
    cost, levels, state = standing.feasible
    search = standing.searched
    return Found(levels, state, cost, search.bound, search.prices, standing.road, False)


def one_dear_part(seed: int, parts: int = 8, sites: int = 4) -> tuple[Pipelines, Promises]:
    """Parts that share a promise per site, one of which costs more than all others together."""
    rng = np.random.default_rng(seed)
    names = ["HQ", *(f"s{n}" for n in range(sites))]
    network = pd.DataFrame(
        {
            "site_id": names,
            "parent_id": [None, *["HQ"] * sites],
            "lead_time_days": [0.0, *rng.uniform(2, 8, sites)],
        }
    )
    items = pd.DataFrame(
        {
            "part_id": [f"p{i}" for i in range(parts)],
            "unit_cost": np.r_[8_000.0, rng.integers(20, 300, parts - 1)],
            "lead_time_days": rng.uniform(60, 200, parts),
        }
    )
    rates = pd.DataFrame(itertools.product(items["part_id"], names[1:]), columns=["part_id", "site_id"])
    rates["demand_per_day"] = rng.gamma(1.0, 0.02, len(rates)) + 1e-3
    targets = pd.DataFrame({"site_id": names[1:], "target_fill_rate": rng.uniform(0.7, 0.85, sites)})
    forest, pipelines = read_pipelines(network, items, rates, "exact")
    return pipelines, read_targets(targets, items, forest, pipelines)


@pytest.mark.parametrize(("seed", "tree"), list(itertools.product(range(8), ["two", "three"])))
def test_complete_enumeration_lies_between_bound_and_plan(seed, tree):
    pipelines, promises = case(seed, tree)
    before = rounded(pipelines, promises)
    after = branch_on_stocks(pipelines, promises, before)
    best = cheapest(pipelines, promises)
    assert before.bound * (1 - 1e-9) <= after.bound <= best * (1 + 1e-9)
    assert best * (1 - 1e-9) <= after.cost <= before.cost
    assert after.cost == pytest.approx(money(pipelines, after.levels))
    assert promises.kept(promises.used(measure(pipelines, after.levels))).all()


@pytest.mark.parametrize("seed", range(2))
def test_one_dear_part_leaves_less_of_a_gap_and_the_proved_optimum_within_it(seed):
    pipelines, promises = one_dear_part(seed)
    before = rounded(pipelines, promises)
    after = branch_on_stocks(pipelines, promises, before)
    proof = prove(pipelines, promises, after.levels, after.prices)
    assert after.bound <= money(pipelines, proof.levels) * (1 + 1e-9)
    assert proof.bound <= after.cost * (1 + 1e-9)
    assert after.cost - after.bound < 0.7 * (before.cost - before.bound)
    assert np.array_equal(branch_on_stocks(pipelines, promises, before).levels, after.levels)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_breaking_off_keeps_the_best_plan_and_a_valid_bound(at):
    pipelines, promises = one_dear_part(0)
    before = rounded(pipelines, promises)
    calls = itertools.count()

    def stop(step: str, done: int, total: int) -> None:
        if next(calls) == at:
            raise KeyboardInterrupt

    broken = branch_on_stocks(pipelines, promises, before, stop)
    full = branch_on_stocks(pipelines, promises, before)
    assert broken.interrupted
    assert not full.interrupted
    assert broken.cost <= before.cost
    assert broken.bound <= full.cost * (1 + 1e-9)
    assert promises.kept(promises.used(broken.state)).all()
