"""The linear programme over columns: readable and array forms agree, its duals price, its bound holds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking import levels_lp
from spareplan.stocking.levels_lp import Columns, generate_columns, solve_master
from spareplan.stocking.multipliers import bound_at, search_prices
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets, read_windows
from spareplan.stocking.trim import money, trim


def network(parts: int = 30, seed: int = 3) -> tuple[Pipelines, Promises]:
    rng = np.random.default_rng(seed)
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", "D", "A", "B", "C"],
            "parent_id": [None, "HQ", "HQ", "D", "D"],
            "lead_time_days": [0.0, 5.0, 6.0, 2.0, 3.0],
        }
    )
    items = pd.DataFrame(
        {
            "part_id": [f"p{i:03d}" for i in range(parts)],
            "unit_cost": rng.lognormal(4, 1, parts),
            "lead_time_days": rng.uniform(20, 100, parts),
        }
    )
    rates = pd.DataFrame(
        [(p, s, rng.gamma(0.8, 0.02)) for p in items["part_id"] for s in ("A", "B", "C", "D")],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    targets = pd.DataFrame(
        {
            "site_id": ["A", "B", "C", "D"],
            "target_wait_days": [0.5, 0.4, np.nan, 0.8],
            "target_fill_rate": [np.nan, 0.9, 0.9, np.nan],
        }
    )
    forest, pipelines = read_pipelines(sites, items, rates, "exact")
    return pipelines, read_targets(targets, items, forest, pipelines)


def test_pricing_finds_the_minimum_over_all_levels():
    pipelines, promises = network(3)
    rng = np.random.default_rng(0)
    box = np.array(list(itertools.product(range(6), range(4), range(4), range(4), range(4))))
    for _ in range(4):
        worth = promises.worth(rng.uniform(0, 400, len(promises)))
        found = price(pipelines, worth)
        for part in range(3):
            rows = slice(pipelines.starts[part], pipelines.starts[part + 1])
            done = measure(pipelines.take(np.full(len(box), part)), box.ravel())
            use = (done.ebo.reshape(len(box), -1) * worth[0][rows]).sum(axis=1)
            use += (done.miss.reshape(len(box), -1) * worth[1][rows]).sum(axis=1)
            least = (box.sum(axis=1) * pipelines.unit_cost[part] + use).min()
            # The box may be too small, never too large.
            assert found.value[part] <= least + 1e-9
            if (found.levels[rows] < box.max(axis=0)).all():
                assert found.value[part] == pytest.approx(least, rel=1e-12)


def test_a_quick_walk_never_beats_the_certain_search():
    pipelines, promises = network(40)
    worth = promises.worth(np.full(len(promises), 300.0))
    certain, walked = price(pipelines, worth), price(pipelines, worth, quick=True)
    assert (walked.value >= certain.value - 1e-9).all()
    assert walked.value.sum() <= certain.value.sum() * 1.01


def test_master_and_bound_meet_and_the_money_is_that_of_the_columns():
    pipelines, promises = network()
    search = search_prices(pipelines, promises, keep=True)
    columns = Columns(pipelines, promises)
    for priced in search.visited:
        columns.add(priced)
    master = generate_columns(columns, search)
    assert master.unkept == pytest.approx(0, abs=1e-9)
    assert master.objective == pytest.approx(search.bound, rel=2e-6)
    # Two roads: the objective is the money of the shares, and shares of a part add up to one.
    assert master.shares @ columns.cost[: len(master.shares)] == pytest.approx(master.objective, rel=1e-9)
    assert np.bincount(columns.part[: len(master.shares)], weights=master.shares) == pytest.approx(1.0)
    again = price(pipelines, promises.worth(search.prices))
    assert bound_at(promises, search.prices, again) == pytest.approx(search.bound, rel=1e-12)


def test_the_readable_form_and_the_arrays_give_the_same_master(monkeypatch):
    pipelines, promises = network()
    search = search_prices(pipelines, promises, keep=True)
    columns = Columns(pipelines, promises)
    for priced in search.visited:
        columns.add(priced)
    fine = np.full(len(promises), 1e7)
    monkeypatch.setattr(levels_lp, "READABLE_COLUMNS", 10**9)
    readable = solve_master(columns, fine)
    monkeypatch.setattr(levels_lp, "READABLE_COLUMNS", 0)
    arrays = solve_master(columns, fine)
    assert readable.objective == pytest.approx(arrays.objective, rel=1e-9)
    assert readable.prices == pytest.approx(arrays.prices, rel=1e-6, abs=1e-6)
    whole = solve_master(columns, fine, whole=True)
    assert whole.objective >= arrays.objective * (1 - 1e-9)


def test_any_prices_give_a_bound_below_any_plan_that_keeps_the_promises():
    pipelines, promises = network()
    search = search_prices(pipelines, promises)
    levels, state = trim(pipelines, promises, search.priced.levels, search.prices)
    assert promises.kept(promises.used(state)).all()
    rng = np.random.default_rng(1)
    for _ in range(10):
        prices = search.prices * rng.uniform(0.2, 3.0, len(promises))
        assert bound_at(promises, prices, price(pipelines, promises.worth(prices))) <= money(
            pipelines, levels
        )


def test_an_interrupt_leaves_levels_that_keep_every_promise_and_a_valid_bound():
    from spareplan.stocking.finding import find_levels

    pipelines, promises = network()
    full = find_levels(pipelines, promises)

    def stop_at_second_step(step: str, done: int, all_steps: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    broken = find_levels(pipelines, promises, progress=stop_at_second_step)
    assert broken.interrupted and promises.kept(promises.used(broken.state)).all()
    assert broken.bound <= full.cost * (1 + 1e-12) and broken.cost >= full.bound * (1 - 1e-12)


def test_parts_can_be_taken_in_any_order_and_more_than_once():
    pipelines, promises = network(6)
    worth = promises.worth(np.full(len(promises), 200.0))
    chosen = np.array([4, 1, 1])
    some, rows = pipelines.take(chosen), pipelines.rows_of(chosen)
    whole, part = price(pipelines, worth), price(some, worth.take(rows))
    assert part.value == pytest.approx(whole.value[chosen], rel=1e-14)
    assert (part.levels == whole.levels[rows]).all()
    assert replace(some, depth=some.depth).starts[-1] == len(rows)


@pytest.mark.parametrize("measure_of", ["target_wait_days", "target_fill_rate", "target_in_window"])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_sweep_down_finds_the_best_of_all_stocks_at_hq(measure_of, batch):
    # Slow and fast parts, so that some laws outgrow what the sweep carries from stock to stock.
    rng = np.random.default_rng(batch)
    count = 10
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", "A", "B", "C", "F"],
            "parent_id": [None, "HQ", "HQ", "HQ", "HQ"],
            "lead_time_days": [0.0, 2.0, 3.0, 1.5, 5.0],
        }
    )
    items = pd.DataFrame(
        {
            "part_id": [f"p{k:02d}" for k in range(count)],
            "unit_cost": rng.uniform(10, 900, count),
            "lead_time_days": rng.uniform(5, 40, count),
            "order_quantity": batch,
        }
    )
    rates = pd.DataFrame(
        [
            (part, site, rate * rng.uniform(0.3, 1.0))
            for part, rate in zip(items["part_id"], np.geomspace(0.001, 2.0, count))
            for site in "ABCF"
        ],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    targets = pd.DataFrame({"site_id": list("ABCF"), measure_of: 0.9, "window_days": 1.0})
    forest, pipelines = read_pipelines(sites, items, rates, "exact")
    pipelines = read_windows(targets, items, forest, pipelines)[0]
    promises = read_targets(targets, items, forest, pipelines)
    every = np.arange(batch - 1, 260)
    for prices in (30.0, 3_000.0):
        worth = promises.worth(np.full(len(promises), prices))
        found = price(pipelines, worth)
        for part in range(count):
            copies = np.full(len(every), part)
            held = pipelines.take(copies)
            held.least[held.starts[:-1]] = held.most[held.starts[:-1]] = every
            # With its stock held there is nothing to sweep over: every leaf is priced from the whole law.
            each = price(held, worth.take(pipelines.rows_of(copies))).value
            assert found.value[part] == pytest.approx(each.min(), rel=1e-12)
