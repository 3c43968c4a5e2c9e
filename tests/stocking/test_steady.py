"""Levels that do not flap: promises stay kept, a change pays, and few levels move from month to month."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spareplan.errors import DataError
from spareplan.maths.solver import solve_arrays
from spareplan.stocking.finding import find_levels
from spareplan.stocking.pricing import measure
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.steady import keep_steady, read_before
from spareplan.stocking.targets import read_targets

PARTS, SITES = ["a", "b", "c", "d"], ["x", "y"]


def tables(seed, wish="target_fill_rate"):
    """A tiny network in two months: demand moves by about a third between them."""
    random = np.random.default_rng(seed)
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *SITES],
            "parent_id": [None, "HQ", "HQ"],
            "lead_time_days": [0.0, 3.0, 6.0],
        }
    )
    parts = pd.DataFrame(
        {
            "part_id": PARTS,
            "unit_cost": random.lognormal(5, 1, 4).round(),
            "lead_time_days": random.uniform(20, 60, 4),
        }
    )
    first = random.gamma(1, 0.02, 8) + 0.002
    pairs = pd.DataFrame(itertools.product(PARTS, SITES), columns=["part_id", "site_id"])
    rates = [pairs.assign(demand_per_day=rate) for rate in (first, first * random.lognormal(0, 0.3, 8))]
    value = [0.9, 0.85] if wish == "target_fill_rate" else [0.5, 1.0]
    return sites, parts, rates, pd.DataFrame({"site_id": SITES, wish: value})


def solved(sites, parts, rates, targets):
    forest, pipelines = read_pipelines(sites, parts, rates, "exact")
    promises = read_targets(targets, parts, forest, pipelines)
    return forest, pipelines, promises, find_levels(pipelines, promises)


def as_table(forest, pipelines, levels):
    rows = pipelines.forest_rows
    return pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part[rows]),
            "site_id": forest.site_ids.take(forest.site[rows]),
            "base_stock": levels,
        }
    )


def two_months(seed, wish, share):
    sites, parts, (first, second), targets = tables(seed, wish)
    forest, pipelines, _, found = solved(sites, parts, first, targets)
    previous = as_table(forest, pipelines, found.levels)
    forest, pipelines, promises, found = solved(sites, parts, second, targets)
    before = read_before(previous, forest, pipelines, share)
    return pipelines, promises, found, before


def least_with_fees(pipelines, promises, before, top):
    """Least money and fees by an integer programme over every vector of levels up to `top` + 2."""
    cost, use, owner = [], [], []
    for i in range(len(pipelines.unit_cost)):
        here = slice(pipelines.starts[i], pipelines.starts[i + 1])
        vectors = np.array(list(itertools.product(*[range(level + 3) for level in top[here]])))
        wide = pipelines.take(np.full(len(vectors), i))
        state = measure(wide, vectors.ravel())
        used = np.zeros((len(vectors), len(promises)))
        for k in range(vectors.shape[1]):
            for promise, factor, measured in (
                (promises.wait_promise, promises.wait_factor, state.ebo),
                (promises.miss_promise, promises.miss_factor, state.miss),
            ):
                if promise is not None and promise[here][k] >= 0:
                    column = measured.reshape(len(vectors), -1)[:, k]
                    used[:, promise[here][k]] += factor[here][k] * column
        changed = vectors != before.levels[here]
        cost.append(vectors.sum(axis=1) * pipelines.unit_cost[i] + changed @ before.fee[here])
        use.append(used)
        owner.append(np.full(len(vectors), i))
    money, owner = np.concatenate(cost), np.concatenate(owner)
    one_each = sparse.csr_matrix((np.ones(len(money)), (owner, np.arange(len(money)))))
    found = solve_arrays(
        money,
        sparse.vstack([sparse.csr_matrix(np.vstack(use).T), one_each]),
        np.r_[np.full(len(promises), -np.inf), np.ones(len(cost))],
        np.r_[promises.allowed, np.ones(len(cost))],
        0.0,
        1.0,
        np.ones(len(money), bool),
    )
    return float(money @ found.values)


@pytest.mark.parametrize("wish", ["target_fill_rate", "target_wait_days"])
def test_every_promise_is_kept_and_money_with_fees_is_near_the_proven_least(wish):
    gaps = []
    for seed in range(6):
        pipelines, promises, found, before = two_months(seed, wish, 0.25)
        steady = keep_steady(pipelines, promises, found, before)
        again = measure(pipelines, steady.found.levels)
        assert promises.kept(promises.used(again)).all()
        total = steady.found.cost + before.fees(steady.found.levels)
        free = found.cost + before.fees(found.levels)
        top = np.maximum(found.levels, before.levels)
        least = least_with_fees(pipelines, promises, before, top)
        assert least * (1 - 1e-9) <= total <= free * (1 + 1e-9)
        gaps.append(total / least - 1)
    assert max(gaps) <= 0.05
    assert np.mean(gaps) <= 0.01


def test_without_a_fee_the_least_money_is_kept_and_with_an_endless_one_no_level_that_can_stay_moves():
    pipelines, promises, found, before = two_months(3, "target_fill_rate", 0.0)
    assert keep_steady(pipelines, promises, found, before).found.cost <= found.cost * (1 + 1e-9)
    _, _, _, before = two_months(3, "target_fill_rate", 1e6)
    steady = keep_steady(pipelines, promises, found, before)
    kept = promises.kept(promises.used(measure(pipelines, before.levels))).all()
    assert before.changed(steady.found.levels).sum() == 0 if kept else before.changed(found.levels).any()


def test_the_same_month_again_changes_nothing_and_costs_nothing():
    sites, parts, (first, _), targets = tables(1)
    forest, pipelines, promises, found = solved(sites, parts, first, targets)
    before = read_before(as_table(forest, pipelines, found.levels), forest, pipelines, 0.25)
    steady = keep_steady(pipelines, promises, found, before)
    assert (steady.found.levels == found.levels).all()
    assert steady.found.cost == found.cost


def test_what_a_change_would_save_is_the_difference_by_hand():
    pipelines, promises, found, before = two_months(2, "target_fill_rate", 0.5)
    steady = keep_steady(pipelines, promises, found, before)
    leaf = np.flatnonzero(pipelines.is_leaf & (steady.wished != steady.found.levels))
    state = measure(pipelines, steady.found.levels)
    padded = np.r_[found.prices, 0.0]
    for row in leaf.tolist():
        moved = steady.found.levels.copy()
        moved[row] = steady.wished[row]
        other = measure(pipelines, moved)
        paid = padded[promises.miss_promise[row]] * promises.miss_factor[row]
        pieces = steady.found.levels[row] - steady.wished[row]
        by_hand = pipelines.row_cost[row] * pieces + paid * (state.miss[row] - other.miss[row])
        assert steady.saving[row] == pytest.approx(by_hand, rel=1e-9, abs=1e-9)


def months(seed, share, parts=180, sites=6, count=5):
    """Levels month after month, demand estimated anew from the last 24 months of Poisson data."""
    random = np.random.default_rng(seed)
    names, places = [f"P{i:03d}" for i in range(parts)], [f"S{j:02d}" for j in range(sites)]
    network = pd.DataFrame(
        {
            "site_id": ["HQ", *places],
            "parent_id": [None] + ["HQ"] * sites,
            "lead_time_days": [0.0, *random.uniform(2, 10, sites)],
        }
    )
    cost = np.exp(random.normal(np.log(700), 1.5, parts)).clip(5, 1e5)
    catalogue = pd.DataFrame(
        {"part_id": names, "unit_cost": cost, "lead_time_days": random.uniform(30, 180, parts)}
    )
    usual = np.exp(random.normal(np.log(0.1), 1.4, parts))
    mean = usual[:, None] * random.gamma(1.5, 1 / 1.5, (parts, sites))
    demand = random.poisson(mean[:, :, None], (parts, sites, 24 + count))
    targets = pd.DataFrame({"site_id": places, "target_fill_rate": 0.95})
    previous, changed, more = None, [], []
    for month in range(count):
        seen = demand[:, :, month : month + 24].sum(axis=2)
        rate = (seen + 1.5) / (24 + 36 / (seen.mean(axis=1, keepdims=True) + 0.05))
        pairs = pd.DataFrame(itertools.product(names, places), columns=["part_id", "site_id"])
        rates = pairs.assign(demand_per_day=rate.ravel() / 30.4375)
        forest, pipelines, promises, found = solved(network, catalogue, rates, targets)
        levels = found.levels
        if previous is not None:
            before = read_before(previous, forest, pipelines, share)
            steady = keep_steady(pipelines, promises, found, before)
            assert promises.kept(promises.used(measure(pipelines, steady.found.levels))).all()
            levels = steady.found.levels
            changed.append(int(before.changed(levels).sum()))
            more.append(steady.found.cost / found.cost - 1)
        previous = as_table(forest, pipelines, levels)
    return np.array(changed), np.array(more)


def test_a_quarter_piece_halves_the_changes_for_less_than_a_percent_of_the_money():
    free, _ = months(7, 0.0)
    steady, more = months(7, 0.25)
    assert steady.sum() <= 0.6 * free.sum()
    assert more.max() <= 0.01


def test_parts_and_sites_that_come_and_go_are_no_fault_and_planners_numbers_are_not_clung_to():
    sites, parts, (first, _), targets = tables(4)
    forest, pipelines, promises, found = solved(sites, parts, first, targets)
    previous = as_table(forest, pipelines, found.levels)
    gone = pd.DataFrame({"part_id": ["gone"], "site_id": ["x"], "base_stock": [7]})
    some = pd.concat([previous.iloc[1:], gone], ignore_index=True)
    some["model_base_stock"] = np.where(some.index == 0, some["base_stock"], np.nan)
    some.loc[0, "base_stock"] += 9
    before = read_before(some.sample(frac=1.0, random_state=1), forest, pipelines, 0.25)
    assert (before.levels == -1).sum() == 1
    assert np.isnan(before.published).sum() == 1
    steady = keep_steady(pipelines, promises, found, before)
    assert (steady.found.levels == found.levels).all()


def test_a_bad_table_of_the_plan_before_is_refused_with_all_its_faults():
    sites, parts, (first, _), targets = tables(4)
    forest, pipelines, _, found = solved(sites, parts, first, targets)
    previous = as_table(forest, pipelines, found.levels).astype({"base_stock": float})
    previous.loc[0, "base_stock"] = 1.5
    previous.loc[1, "base_stock"] = -2
    bad = pd.concat([previous, previous.iloc[[2]]], ignore_index=True)
    with pytest.raises(DataError) as caught:
        read_before(bad, forest, pipelines, 0.25)
    problems = caught.value.problems
    assert problems["row"].tolist() == [2, 3, 14]
    with pytest.raises(DataError, match="base_stock"):
        read_before(previous.drop(columns="base_stock"), forest, pipelines, 0.25)
