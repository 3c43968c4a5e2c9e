"""Trimming to whole levels: every promise kept exactly, and no piece left that none of them needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking import evaluate_levels
from spareplan.stocking.pricing import measure
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets
from spareplan.stocking.trim import money, trim


def small_case(seed: int, measure_name: str, depots: bool) -> tuple[pd.DataFrame, ...]:
    """Four parts at three stations, with or without a depot between."""
    rng = np.random.default_rng(seed)
    names = ["S1", "S2", "S3"]
    sites = pd.DataFrame({"site_id": ["HQ"], "parent_id": [None], "lead_time_days": [0.0]})
    above = ["HQ"] * 3
    if depots:
        sites.loc[1] = ["D1", "HQ", 4.0]
        above = ["D1", "D1", "HQ"]
    stations = pd.DataFrame({"site_id": names, "parent_id": above, "lead_time_days": rng.uniform(2, 9, 3)})
    parts = pd.DataFrame(
        {
            "part_id": [f"P{i}" for i in range(4)],
            "unit_cost": rng.lognormal(4, 1, 4),
            "lead_time_days": rng.uniform(20, 90, 4),
        }
    )
    rates = pd.DataFrame(
        [(part, site, rng.gamma(1.0, 0.02) + 1e-4) for part in parts["part_id"] for site in names],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    wish = rng.uniform(0.3, 1.0, 3) if measure_name == "target_wait_days" else rng.uniform(0.7, 0.95, 3)
    targets = pd.DataFrame({"site_id": names, measure_name: wish})
    return pd.concat([sites, stations], ignore_index=True), parts, rates, targets


CASES = [
    (seed, name, depots)
    for seed in range(3)
    for name in ("target_wait_days", "target_fill_rate")
    for depots in (False, True)
]


def laid_out(case):
    forest, pipelines = read_pipelines(*case[:3], "exact")
    return forest, pipelines, read_targets(case[3], case[1], forest, pipelines)


@pytest.mark.parametrize("seed, name, depots", CASES)
def test_trimmed_levels_keep_every_promise_by_an_evaluation_of_their_own(seed, name, depots):
    case = small_case(seed, name, depots)
    forest, pipelines, promises = laid_out(case)
    start = np.random.default_rng(100 + seed).integers(0, 4, len(pipelines.stop))
    done = trim(pipelines, promises, start, np.full(len(promises), 300.0))
    assert done is not None
    rows = pipelines.forest_rows
    levels = pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part[rows]),
            "site_id": forest.site_ids.take(forest.site[rows]),
            "base_stock": done[0],
        }
    )
    table = case[2].merge(evaluate_levels(*case[:3], levels), on=["part_id", "site_id"])
    table = table.assign(late=table["ebo"], missed=table["demand_per_day"] * (1 - table["fill_rate"]))
    by_site = table.groupby("site_id")[["late", "missed", "demand_per_day"]].sum()
    wish = case[3].set_index("site_id")[name]
    if name == "target_wait_days":
        reached = by_site["late"] / by_site["demand_per_day"]
        assert (reached <= wish * (1 + 1e-9)).all()
    else:
        reached = 1 - by_site["missed"] / by_site["demand_per_day"]
        assert (1 - reached <= (1 - wish) * (1 + 1e-9)).all()


@pytest.mark.parametrize("seed, name, depots", CASES)
def test_no_single_piece_can_go_from_a_shelf_without_breaking_a_promise(seed, name, depots):
    _, pipelines, promises = laid_out(small_case(seed, name, depots))
    start = np.random.default_rng(200 + seed).integers(0, 6, len(pipelines.stop))
    # From so far away it takes more rounds than near the optimum.
    done = trim(pipelines, promises, start, np.full(len(promises), 300.0), rounds=60)
    assert done is not None
    levels, state = done
    assert promises.kept(promises.used(state)).all()
    tried = 0
    for row in np.flatnonzero(pipelines.is_leaf & (levels > pipelines.least)).tolist():
        fewer = levels.copy()
        fewer[row] -= 1
        used = promises.used(measure(pipelines, fewer))
        # Trimming keeps back a hair of every promise, so that rounding never breaks it.
        assert (used > promises.allowed * (1 - 1e-9)).any(), row
        tried += 1
    assert tried > 0


def test_trimming_from_far_above_gives_back_most_of_the_money():
    _, pipelines, promises = laid_out(small_case(3, "target_wait_days", True))
    start = np.full(len(pipelines.stop), 12)
    costs: list[float] = []
    done = trim(
        pipelines,
        promises,
        start,
        np.full(len(promises), 300.0),
        keep=lambda cost, levels, state: costs.append(cost),
    )
    assert done is not None
    assert costs == sorted(costs, reverse=True) and len(costs) > 3
    assert costs[-1] == money(pipelines, done[0]) < money(pipelines, start) / 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_from_far_below_trimming_goes_on_after_the_promises_are_kept(seed):
    sites, parts, rates, targets = small_case(seed, "target_fill_rate", seed == 1)
    busy = rates.assign(demand_per_day=20 * rates["demand_per_day"])
    _, pipelines, promises = laid_out((sites, parts, busy, targets))
    start = np.where(pipelines.is_leaf, 0, 80)
    costs: list[float] = []
    done = trim(
        pipelines,
        promises,
        start,
        np.full(len(promises), 300.0),
        keep=lambda cost, levels, state: costs.append(cost),
    )
    assert done is not None and promises.kept(promises.used(done[1])).all()
    assert len(costs) > 3 and money(pipelines, done[0]) == costs[-1] < 0.99 * costs[0]


def test_floors_and_ceilings_stay_as_they_are():
    _, pipelines, promises = laid_out(small_case(1, "target_wait_days", False))
    leaf = np.flatnonzero(pipelines.is_leaf)
    least, most = pipelines.least.copy(), pipelines.most.copy()
    least[leaf[0]], most[leaf[1]] = 3, 1
    held = replace(pipelines, least=least, most=most)
    done = trim(held, promises, np.clip(np.full(len(least), 2), least, most), np.full(len(promises), 300.0))
    assert done is not None
    assert (done[0] >= least).all() and (done[0] <= most).all()


def test_what_pieces_change_in_misses_is_left_out_only_where_asked():
    pipelines = laid_out(small_case(2, "target_wait_days", True))[1]
    # As large networks do it: by the kernels, without tables of every stock.
    pipelines.__dict__["tables"] = None
    levels = np.random.default_rng(5).integers(0, 4, len(pipelines.stop))
    every, fewer = measure(pipelines, levels), measure(pipelines, levels, misses=False)
    assert not len(fewer.at) and not len(fewer.below) and len(every.at) == len(levels)
    for name in ("ebo", "miss", "over", "under"):
        assert (getattr(every, name) == getattr(fewer, name)).all()
