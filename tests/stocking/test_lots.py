"""Orders in lots below headquarters, against simulation, whole laws, and sites that order one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spareplan.stocking import evaluate_levels, simulate
from spareplan.stocking._forest import read_forest
from spareplan.stocking.echelons import exact_service
from spareplan.stocking.lot_laws import lot_service
from spareplan.stocking.lots import lot_noise, lot_spread
from spareplan.stocking.moments import two_moment_service
from spareplan.stocking.waiting import exact_shares
from tests.stocking import networks


@pytest.mark.parametrize(
    "mean, variance, lot", [(0.3, 0.3, 3), (2.0, 2.0, 4), (5.0, 9.0, 7), (40.0, 40.0, 6), (0.0, 0.0, 5)]
)
def test_a_lot_adds_the_variance_that_the_whole_law_tells(mean, variance, lot):
    count = np.arange(2000)
    if variance > mean:
        law = stats.nbinom.pmf(count, mean**2 / (variance - mean), mean / variance)
    else:
        law = stats.poisson.pmf(count, mean)
    rest = count % lot
    added, left = lot_spread(np.array([mean]), np.array([variance]), np.array([lot]))
    assert added[0] == pytest.approx((law * rest * (lot - rest)).sum(), abs=1e-7)
    assert left[0] == pytest.approx((law * rest).sum(), abs=1e-7)


def test_what_lots_add_is_what_drawn_orders_show():
    sites, parts, rates, levels = networks.tables(
        [-1, 0, 0, 1, 1], [30.0, 4, 2, 3, 1], [0.1, 0, 0.3, 0.2, 0.1], np.zeros(5)
    )
    quantity = [1, 6, 4, 1, 3]
    forest = read_forest(sites, parts, rates, levels.assign(reorder_point=0, order_quantity=quantity))
    draw = np.random.default_rng(1)

    def lots(count, lot):
        return lot * ((draw.integers(lot, size=len(count)) + count) // lot)

    days, many = 20.0, 400_000
    own = {site: draw.poisson(rate * days, many) for site, rate in enumerate([0.1, 0, 0.3, 0.2, 0.1])}
    depot = own[3] + lots(own[4], 3)
    all_asked = own[0] + lots(depot, 6) + lots(own[2], 4)
    noise = lot_noise(forest, np.array([0, 1]), np.array([days, days]))
    expected = [all_asked.var() - 0.7 * days, depot.var() - 0.3 * days]
    np.testing.assert_allclose(noise.variance, expected, rtol=0.03)


def random_lots(seed, depots=0):
    """Stations, perhaps below depots, with slow and fast demand, in lots of 1 to 10."""
    draw = np.random.default_rng(seed)
    stations = int(draw.integers(max(2, depots), 6))
    above = np.r_[np.arange(1, depots + 1), draw.integers(1, depots + 1, stations - depots)] if depots else 0
    parent = np.r_[-1, np.zeros(depots, int), np.broadcast_to(above, stations)]
    size = len(parent)
    lead = np.r_[draw.uniform(10, 60), draw.uniform(1, 12, size - 1)]
    demand = np.zeros(size)
    demand[-stations:] = np.exp(draw.uniform(np.log(0.02), np.log(0.5), stations))
    total = demand.copy()
    for site in range(size - 1, 0, -1):
        total[parent[site]] += total[site]
    lot = draw.choice([1, 2, 3, 4, 6, 10], size)
    lot[0], lot[-1] = draw.choice([1, 5]), 3
    pipe = total * lead
    point = np.maximum(np.round(pipe + draw.uniform(-1, 1.5, size) * np.sqrt(pipe)), -1)
    sites, parts, rates, levels = networks.tables(parent.tolist(), lead, demand, np.zeros(size))
    return (sites, parts, rates, levels.assign(reorder_point=point, order_quantity=lot)), total


def simulated(given, total, pieces, times=()):
    table = simulate(*given, years=pieces / total[0] / 365.25, seed=1, times=times)
    return (
        table.pivot_table(index="site_id", columns="measure", values=column, dropna=False)
        for column in ("value", "half_width")
    )


@pytest.mark.parametrize("seed", range(8))
def test_lots_of_two_echelons_agree_with_simulation(seed):
    given, total = random_lots(seed)
    times = [0.5, 3.0, 15.0]
    values, widths = simulated(given, total, 60_000, times)
    formula = evaluate_levels(*given, times=times).set_index("site_id")
    assert set(formula["evaluation"]) == {"exact"}
    names = [
        "ebo",
        "fill_rate",
        "ready_rate",
        "mean_wait_days",
        "on_hand",
        *(f"wait_le_{t:g}" for t in times),
    ]
    away = ((values - formula)[names] / np.maximum(widths[names], 1e-3)).abs()
    assert not (away > 2.5).any(axis=None)
    assert (away <= 1).to_numpy().mean() > 0.6


@pytest.mark.parametrize("seed", range(4))
def test_lots_of_three_echelons_nearly_agree_with_simulation(seed):
    given, total = random_lots(seed, depots=2)
    values, _ = simulated(given, total, 60_000)
    formula = evaluate_levels(*given).set_index("site_id")
    assert set(formula["evaluation"]) == {"near_exact"}
    np.testing.assert_allclose(formula["fill_rate"], values["fill_rate"], atol=0.02)
    off = (formula["mean_wait_days"] - values["mean_wait_days"]).abs()
    assert off.sum() < 0.07 * values["mean_wait_days"].sum()


def with_lots(given, changed):
    """The same levels with other order quantities where `changed` names a site."""
    sites, parts, rates, levels = given
    quantity = levels["site_id"].map(changed).fillna(levels["order_quantity"])
    return sites, parts, rates, levels.assign(order_quantity=quantity)


@pytest.mark.parametrize("seed", [0, 4, 6])
def test_depots_that_pass_on_the_lots_of_stations_nearly_agree_with_simulation(seed):
    # The rest of a lot stands in the queue of the depot and of headquarters at once.
    given, total = random_lots(seed, depots=2)
    given = with_lots(given, {"S01": 1, "S02": 1})
    values, _ = simulated(given, total, 100_000)
    formula = evaluate_levels(*given).set_index("site_id")
    for names, close in ((["S01", "S02"], 0.03), (formula.index[3:], 0.15)):
        off = (formula["mean_wait_days"] - values["mean_wait_days"])[names].abs()
        assert off.sum() < close * values["mean_wait_days"][names].sum()
    np.testing.assert_allclose(formula["fill_rate"], values["fill_rate"], atol=0.015)


@pytest.mark.parametrize("seed", [1, 2])
def test_lots_of_depots_with_single_orders_below_agree_with_simulation(seed):
    given, total = random_lots(seed, depots=2)
    single = dict.fromkeys(given[0]["site_id"][3:], 1)
    given = with_lots(given, {**single, "S01": 4, "S02": 3})
    values, widths = simulated(given, total, 100_000)
    formula = evaluate_levels(*given).set_index("site_id")
    names = ["ebo", "fill_rate", "ready_rate", "mean_wait_days", "on_hand"]
    away = ((values - formula)[names] / np.maximum(widths[names], 1e-3)).abs()
    assert not (away > 2.5).any(axis=None)
    assert (away <= 1).to_numpy().mean() > 0.75


def test_a_chain_of_lots_of_lots_is_the_first_site_that_is_asked_piece_by_piece():
    # One station below one depot: every lot of the depot is made of whole lots of the station, so that
    # depot and station together hold the position of one site that sees every demand.
    sites, parts, rates, levels = networks.tables([-1, 0, 1], [0.0, 5.0, 0.0], [0, 0, 0.3], [0, 0, 0])
    lots = levels.assign(reorder_point=[500, -1, 2], order_quantity=[1, 1, 4])
    chain = evaluate_levels(sites, parts, rates, lots).set_index("site_id")
    alone = networks.tables([-1, 0], [0.0, 5.0], [0, 0.3], [0, 0])
    alone = (*alone[:3], alone[3].assign(reorder_point=[500, 2], order_quantity=[1, 4]))
    one = evaluate_levels(*alone).set_index("site_id")
    for column in ("ebo", "fill_rate", "mean_wait_days", "on_hand"):
        assert chain.loc["S02", column] == pytest.approx(one.loc["S01", column], abs=2e-3)


@pytest.mark.parametrize("depot, way", [(3, 4.0), (0, 4.0), (0, 0.0)])
def test_depots_without_lots_are_the_binomial_split_to_a_thousandth(depot, way):
    given = networks.tables(
        [-1, 0, 0, 1, 1, 2], [30.0, way, 2, 3, 1, 2], [0.02, 0.05, 0.1, 0.2, 0.1, 0.1],
        [18, depot, 2, 2, 0, 1],
    )  # fmt: skip
    forest = read_forest(*given)
    every = np.ones(len(forest), dtype=bool)
    for lots, split in zip(lot_service(forest, every, np.empty(0))[0], exact_service(forest, every)):
        np.testing.assert_allclose(lots, split, atol=5e-4)


def test_piece_by_piece_is_the_binomial_split_where_nobody_orders_in_lots():
    given = networks.tables([-1, 0, 0, 0], [30.0, 4, 2, 3], [0.05, 0.05, 0.3, 0.2], [14, 1, 2, 0])
    forest = read_forest(*given)
    every, times = np.ones(len(forest), dtype=bool), np.array([0.0, 1.0, 2.0, 2.5, 4.0, 20.0])
    ours, shares = lot_service(forest, every, times)
    for lots, split in zip(ours, exact_service(forest, every)):
        np.testing.assert_allclose(lots, split, atol=2e-6)
    np.testing.assert_allclose(shares, exact_shares(forest, times, every), atol=2e-6)


def test_shares_grow_with_time_from_the_fill_rate_to_one():
    given, _ = random_lots(5, depots=1)
    times = [0.0, 0.5, 1, 2, 4, 8, 16, 30, 100]
    table = evaluate_levels(*given, times=times)
    shares = table[[f"wait_le_{t:g}" for t in times]].to_numpy()
    assert (np.diff(shares, axis=1) >= -1e-6).all()
    np.testing.assert_allclose(shares[:, 0], table["fill_rate"], atol=1e-9)
    np.testing.assert_allclose(shares[:, -1], 1.0)


def test_lots_with_repair_or_wild_demand_are_taken_by_two_moments():
    given, total = random_lots(2)
    sites, parts, rates, levels = given
    wild = (sites, parts, rates.assign(vmr=1.5), levels)
    repaired = (sites, parts, rates.assign(repair_share_site=0.3, repair_days_site=4.0), levels)
    returned = (sites, parts.assign(repairable_share=0.4, repair_days=15.0), rates, levels)
    for changed in (wild, repaired, returned):
        formula = evaluate_levels(*changed).set_index("site_id")
        assert set(formula["evaluation"]) == {"two_moment"}
        values, _ = simulated(changed, total, 60_000)
        np.testing.assert_allclose(formula["fill_rate"], values["fill_rate"], atol=0.06)
        off = (formula["mean_wait_days"] - values["mean_wait_days"]).abs()
        assert off.sum() < 0.6 * values["mean_wait_days"].sum()


def test_lots_make_stations_wait_longer_than_the_mean_of_base_stocks_says():
    # The tempting short cut: evaluate with base stocks R + 1 .. R + Q and average.
    given = networks.tables([-1, 0, 0], [20.0, 2, 2], [0, 0.3, 0.2], [12, 0, 0])
    lots = (*given[:3], given[3].assign(reorder_point=[np.nan, 0, 0], order_quantity=[np.nan, 3, 3]))
    exact = evaluate_levels(*lots)["mean_wait_days"].to_numpy()[1:]
    naive = np.zeros(2)
    for stock in (1, 2, 3):
        level = given[3].assign(base_stock=[12, stock, stock])
        naive += evaluate_levels(*given[:3], level)["mean_wait_days"].to_numpy()[1:] / 3
    assert (exact > 1.05 * naive).all()


def test_parts_in_lots_do_not_touch_the_others():
    given, _ = random_lots(3)
    plain = networks.tables([-1, 0, 0], [30.0, 4, 2], [0.0, 0.02, 0.1], [3, 0, 1], part="A")[1:]
    mixed = (given[0], *(pd.concat([b, a]) for a, b in zip(given[1:], plain)))
    table = evaluate_levels(*mixed, times=[1.0])
    for tables in (given, (given[0], *plain)):
        alone = evaluate_levels(*tables, times=[1.0])
        mine = table[table["part_id"] == alone["part_id"][0]].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone)


def test_moments_of_lots_are_nearer_to_the_truth_than_no_lots_at_all():
    given, _ = random_lots(6)
    forest = read_forest(*given)
    laws, _ = lot_service(forest, np.ones(len(forest), dtype=bool), np.empty(0))
    moments = two_moment_service(forest)
    assert abs(moments.fill_rate - laws.fill_rate).mean() < 0.05
