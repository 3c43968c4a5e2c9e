"""How often an order misses its part and how long it waits, from fill rates and mean waits of the levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from spareplan.staffing.parts_wait import level_rows, parts_per_order, parts_wait, still_waiting

NEVER = np.array([np.inf])
ONE = np.ones(1)


def one(fill: float, wait: float, lead: float, rush: float = np.inf, parts: np.ndarray = ONE):
    row = (np.array([value]) for value in (1.0, fill, wait, lead, rush))
    return parts_wait(np.array([0]), 1, *row, parts)


@pytest.mark.parametrize("stock", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("pipeline", [0.3, 1.0, 2.0])
def test_the_wait_at_one_shelf_agrees_with_the_exact_law(stock: int, pipeline: float):
    # One-for-one supply with a fixed lead time: W > t if the demands of lead - t reach the stock.
    lead = 240.0
    times = np.linspace(0.0, lead, 4001)[:-1]
    late = poisson.sf(stock - 1, pipeline * (1.0 - times / lead)) if stock else np.ones(len(times))
    miss = float(late[0])
    step = times[1]
    mean = late.sum() * step / miss
    scv = (2.0 * (times + step / 2) * late).sum() * step / miss / mean**2 - 1.0
    found = one(1.0 - miss, mean * miss, lead)
    assert found.missing[0] == pytest.approx(miss)
    assert found.hours[0] == pytest.approx(mean, rel=0.02)
    # Exact where nothing is on the shelf or little is under way; a mean alone would have meant 1.
    assert found.scv[0] == pytest.approx(scv, abs=0.08)
    rushed = one(1.0 - miss, mean * miss, lead, rush=48.0)
    near = times <= 48.0
    assert rushed.hours[0] == pytest.approx(late[near].sum() * step / miss, rel=0.03)
    assert rushed.scv[0] <= found.scv[0] + 1e-9


def test_a_mean_beyond_the_lead_time_is_lead_time_and_delay():
    found = one(0.8, 0.2 * 300.0, 100.0)
    assert found.hours[0] == pytest.approx(300.0, rel=0.01)
    assert found.scv[0] == pytest.approx((200 / 300) ** 2, abs=0.03)
    np.testing.assert_allclose(
        still_waiting(np.array([99.0, 300.0]), np.array([300.0] * 2), np.array([100.0] * 2)),
        [1.0, np.exp(-1.0)],
    )


def test_orders_of_several_parts_wait_for_the_last_one():
    generator = np.random.default_rng(4)
    count = 200_000
    fill, wait, lead = np.array([0.9, 0.6]), np.array([6.0, 40.0]), np.array([120.0, 240.0])
    weight = np.array([3.0, 1.0])
    needed = np.where(generator.random(count) < 0.7, 1, 3)
    kind = generator.choice(2, size=(count, 3), p=weight / weight.sum())
    given = wait / (1 - fill)
    power = lead / given - 1.0
    drawn = lead[kind] * (1.0 - generator.random((count, 3)) ** (1.0 / power[kind]))
    drawn *= (generator.random((count, 3)) > fill[kind]) & (np.arange(3) < needed[:, None])
    longest = drawn.max(axis=1)
    late = longest[longest > 0]
    found = parts_wait(np.zeros(2, int), 1, weight, fill, wait, lead, NEVER, np.array([0.7, 0.0, 0.3]))
    assert found.missing[0] == pytest.approx((longest > 0).mean(), abs=0.005)
    assert found.hours[0] == pytest.approx(late.mean(), rel=0.02)
    assert found.scv[0] == pytest.approx(late.var() / late.mean() ** 2, rel=0.04)


def test_regions_without_levels_stay_unknown_and_full_shelves_never_miss():
    found = parts_wait(
        np.array([0]), 2, ONE, ONE, np.zeros(1), np.array([48.0]), np.array([np.inf, np.inf]), ONE
    )
    assert found.missing[0] == 0 and np.isnan(found.missing[1])
    assert np.isnan(found.hours).all() and np.isnan(found.scv).all()


def test_parts_weigh_by_their_failures_and_not_by_all_demand():
    levels = pd.DataFrame(
        {
            "part_id": ["a", "b", "a"],
            "site_id": ["1", "1", "2"],
            "demand_per_day": [1.0, 9.0, 1.0],
            "fill_rate": [0.5, 1.0, 0.9],
            "mean_wait_days": [2.0, 0.0, 1.0],
        }
    )
    sites = pd.DataFrame({"site_id": ["1", "2"], "region_id": ["x", "y"], "lead_time_days": [5.0, 5.0]})
    demand = pd.DataFrame(
        {
            "part_id": ["a", "b", "b"],
            "site_id": ["1", "1", "1"],
            "from_installed_base": [4.0, 1.0, np.nan],
            "from_new_units": [0.0, 0.0, 3.0],
        }
    )
    rows = level_rows(levels, demand, sites, pd.Index(["x", "y"]))
    # b is mostly planned demand; region y has no failures, so its demand weighs.
    assert rows["weight"].tolist() == [4.0, 4.0, 1.0]
    assert rows["lead"].tolist() == [120.0] * 3
    shuffled = level_rows(levels[::-1], demand[::-1], sites[::-1], pd.Index(["x", "y"]))
    assert sorted(shuffled["weight"]) == sorted(rows["weight"])


def test_parts_per_order_are_counted_once_per_kind():
    replaced = pd.DataFrame({"order_id": ["1", "1", "1", "2", None], "part_id": ["a", "a", "b", "a", "c"]})
    np.testing.assert_allclose(parts_per_order(replaced), [0.5, 0.5])
    assert parts_per_order(replaced.iloc[4:]).tolist() == [1.0]
