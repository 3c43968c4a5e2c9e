"""Pools of sites, against Erlang's loss, the formulas without pools, and each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels, simulate
from spareplan.stocking.lateral import pool_service
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
