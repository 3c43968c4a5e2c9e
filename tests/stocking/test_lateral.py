"""Pools of sites, against Erlang's loss, the formulas without pools, and each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels, pooled, simulate
from spareplan.stocking._forest import read_forest
from spareplan.stocking.attainment import pools_of
from spareplan.stocking.lateral import pool_service
from spareplan.stocking.pooled import run_pools
from spareplan.stocking.sampling import run_forest
from tests.stocking import networks


def erlang_loss(servers, load):
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def ring(count):
    return [[(k + n) % count for n in range(1, count)] for k in range(count)]


def test_a_pool_of_one_is_erlangs_loss():
    service = pool_service(np.array([0.3]), np.array([2]), np.array([5.0]), [[]])
    assert service.emergency[0] == pytest.approx(erlang_loss(2, 1.5))
    assert service.own[0] == pytest.approx(1 - erlang_loss(2, 1.5))


def test_a_full_pool_loses_as_one_big_site():
    demand, stock = np.array([0.1, 0.3, 0.05]), np.array([1, 2, 0])
    service = pool_service(demand, stock, np.full(3, 4.0), ring(3))
    np.testing.assert_allclose(service.emergency, erlang_loss(3, demand.sum() * 4), rtol=1e-9)
    np.testing.assert_allclose(service.own + service.lateral.sum(axis=1) + service.emergency, 1.0)
    assert service.own[2] == 0


def test_without_any_stock_everything_is_an_emergency():
    service = pool_service(np.array([0.1, 0.3]), np.array([0, 0]), np.full(2, 4.0), ring(2))
    np.testing.assert_allclose(service.emergency, 1.0)


def test_a_pool_too_big_for_the_chain_is_sent_to_the_simulation():
    with pytest.raises(DataError, match="simulate"):
        pool_service(np.ones(8), np.full(8, 9), np.ones(8), ring(8))


def pool_tables(stock, demand, lead=6.0):
    """Stations below an HQ that is never short, all in one pool."""
    count = len(stock)
    given = networks.tables([-1] + [0] * count, [1.0] + [lead] * count, [0.0, *demand], [400, *stock])
    laterals = pd.DataFrame(
        {
            "site_id": [f"S{n:02d}" for n in range(1, count + 1)],
            "lateral_pool": "east",
            "lateral_days": 0.5,
            "emergency_days": 2.0,
        }
    )
    return given, laterals


def test_simulated_pools_agree_with_erlang_and_nearly_with_the_chain():
    demand, stock = [0.1, 0.3, 0.05], [1, 2, 0]
    given, laterals = pool_tables(stock, demand)
    table = simulate(*given, years=600, seed=3, laterals=laterals)
    values = table.pivot_table(index="site_id", columns="measure", values="value", dropna=False)
    widths = table.pivot_table(index="site_id", columns="measure", values="half_width", dropna=False)
    chain = pool_service(np.array(demand), np.array(stock), np.full(3, 6.0), ring(3))
    stations = ["S01", "S02", "S03"]
    loss = erlang_loss(3, sum(demand) * 6)
    assert (
        abs(values.loc[stations, "emergency_share"] - loss) < 2 * widths.loc[stations, "emergency_share"]
    ).all()
    # Fixed replenishment times: own and lateral shares are near those of the chain, not equal.
    np.testing.assert_allclose(values.loc[stations, "fill_rate"], chain.own, atol=0.03)
    np.testing.assert_allclose(values.loc[stations, "lateral_share"], chain.lateral.sum(axis=1), atol=0.03)
    expected = 0.5 * values.loc[stations, "lateral_share"] + 2.0 * values.loc[stations, "emergency_share"]
    np.testing.assert_allclose(values.loc[stations, "mean_wait_days"], expected, atol=1e-9)


def test_sites_without_a_pool_behave_as_in_the_formulas():
    given = networks.tables([-1, 0, 0, 1], [30.0, 4, 2, 3], [0.0, 0.05, 0.3, 0.2], [12, 2, 2, 2])
    laterals = pd.DataFrame({"site_id": ["S01"], "lateral_pool": [None], "lateral_days": [np.nan]})
    table = simulate(*given, years=400, seed=2, laterals=laterals, times=[1.0])
    formula = evaluate_levels(*given, times=[1.0]).set_index("site_id")
    for row in table.itertuples():
        if row.measure in ("fill_rate", "mean_wait_days", "wait_le_1") and row.site_id != "S00":
            assert abs(row.value - formula.loc[row.site_id, row.measure]) < 2 * row.half_width


def test_help_from_neighbours_raises_service():
    given, laterals = pool_tables([1, 1], [0.1, 0.1])
    alone = simulate(
        *given, years=200, seed=1, laterals=laterals.assign(lateral_pool=None, emergency_days=np.nan)
    )
    pooled = simulate(*given, years=200, seed=1, laterals=laterals.assign(emergency_days=np.nan))
    mean = {
        name: t[t["measure"] == "mean_wait_days"]["value"].sum() for name, t in (("a", alone), ("p", pooled))
    }
    assert mean["p"] < 0.8 * mean["a"]


def test_faulty_laterals_are_named():
    given, laterals = pool_tables([1, 1], [0.1, 0.1])
    with pytest.raises(DataError) as caught:
        simulate(
            *given, years=1, seed=1, laterals=laterals.assign(site_id=["X", "S01"], lateral_days=[-1.0, 0.5])
        )
    assert set(caught.value.problems["column"]) == {"site_id", "lateral_days"}
    with pytest.raises(DataError, match="lateral_pool"):
        simulate(*given, years=1, seed=1, laterals=laterals.drop(columns="lateral_pool"))


NOBODY = pd.DataFrame({"site_id": ["S01"], "lateral_pool": [None], "lateral_days": [np.nan]})
TREE = ([-1, 0, 0, 1, 1], [30.0, 4, 2, 3, 1.0], [0.02, 0.05, 0.3, 0.2, 0.1], [18, 3, 2, 2, 0])


@pytest.mark.parametrize("lot, cv2", [(1, 0.0), (3, 0.0), (1, 0.4)])
def test_without_a_pool_the_event_loop_walks_the_sample_paths(lot, cv2):
    # Two ways to play the same demand: event by event, and by ranks of demands and receipts.
    sites, parts, rates, levels = networks.tables(*TREE)
    rates = rates.assign(rate_cv2=cv2)
    if lot > 1:
        levels = levels.assign(reorder_point=levels["base_stock"] - 1, order_quantity=[5, 1, lot, lot, 2])
    forest, times = read_forest(sites, parts, rates, levels), np.array([0.5, 4.0])
    loop, paths = run_pools(forest, NOBODY, 30, 4, times), run_forest(forest, 30, 4, times)
    for name in ("own", "own_filled", "own_wait", "own_waits_le"):
        np.testing.assert_allclose(getattr(loop, name), getattr(paths, name), atol=1e-6)
    assert (loop.own.sum(axis=1) > 0).all()


def test_the_compiled_loop_plays_the_same_events(monkeypatch):
    given, laterals = pool_tables([1, 2, 0], [0.1, 0.3, 0.05])
    forest = read_forest(*given)
    forest = dataclasses.replace(forest, own_repaired=np.full(len(forest), 0.3), lead_sd=forest.lead / 2)
    plain = run_pools(forest, laterals, 20, 4, np.array([1.0]))
    monkeypatch.setattr(pooled, "PLAIN_DEMANDS", 0)
    compiled = run_pools(forest, laterals, 20, 4, np.array([1.0]))
    for ours, theirs in zip(plain, compiled):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9)


def test_repairs_and_returns_without_a_pool_agree_with_the_formulas():
    sites, parts, rates, levels = networks.tables(*TREE)
    parts = parts.assign(repairable_share=0.4, repair_days=12.0, lead_time_sd_days=10.0)
    rates = rates.assign(repair_share_site=[0.0, 0.0, 0.5, 0.3, 0.2], repair_days_site=6.0)
    table = simulate(sites, parts, rates, levels, years=600, seed=2, laterals=NOBODY)
    formula = evaluate_levels(sites, parts, rates, levels).set_index("site_id")
    leaves = table[table["site_id"].isin(["S02", "S03", "S04"])]
    for row in leaves[leaves["measure"].isin(["fill_rate", "mean_wait_days"])].itertuples():
        width = 0.0 if np.isnan(row.half_width) else row.half_width
        assert abs(row.value - formula.loc[row.site_id, row.measure]) <= 2 * width + 1e-9


def test_pools_live_with_lots_repairs_and_random_times():
    given, laterals = pool_tables([2, 2], [0.1, 0.1])
    sites, parts, rates, levels = given
    given = (
        sites,
        parts.assign(repairable_share=0.3, repair_days=20.0, lead_time_sd_days=0.5),
        rates.assign(repair_share_site=0.2, repair_days_site=3.0),
        levels.assign(reorder_point=levels["base_stock"] - 1, order_quantity=[1, 2, 2]),
    )
    waits = laterals.assign(emergency_days=np.nan)
    alone = run_pools(read_forest(*given), NOBODY, 200, 3, np.empty(0))
    together = run_pools(read_forest(*given), waits, 200, 3, np.empty(0))
    assert together.lateral.sum() > 0 and together.emergency.sum() == 0
    assert together.own_wait.sum() < 0.8 * alone.own_wait.sum()
    np.testing.assert_allclose(together.own, alone.own)


def test_a_pool_needs_two_and_helps_as_fast_as_the_parent_where_nothing_is_said():
    sites = pd.DataFrame(
        {
            "site_id": ["A", "B", "C", "D"],
            "lateral_pool": ["x", "x", "y", None],
            "lateral_days": [0.5, np.nan, 1.0, 1.0],
            "lead_time_days": [3.0, 4.0, 5.0, 6.0],
        }
    )
    pools = pools_of(sites)
    assert pools["site_id"].tolist() == ["A", "B"]
    assert pools["lateral_days"].tolist() == [0.5, 4.0]
    assert pools_of(sites.drop(columns="lateral_pool")).empty
