"""Stocks of leaves chosen together, against every choice there is."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking.leaves import STEPS, settle_leaves
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
