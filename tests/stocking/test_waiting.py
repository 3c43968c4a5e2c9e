"""The law of the wait, against an independent evaluator, simulation, and properties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.maths import distributions
from spareplan.stocking import evaluate_levels, simulate
from spareplan.stocking._forest import read_forest
from spareplan.stocking.waiting import exact_shares, kernel_shares
from tests.stocking import networks

TREE = ([-1, 0, 0, 1, 1], [30.0, 4, 2, 3, 1.0], [0.02, 0.05, 0.3, 0.2, 0.1], [18, 3, 2, 2, 0])
TIMES = [0, 0.5, 1, 2, 3, 4, 5, 7, 12, 31]


def shares(table):
    names = [name for name in table if name.startswith("wait_le_")]
    return table[names].to_numpy()


def test_two_echelons_agree_with_an_independent_evaluator(test_data):
    for given, case in networks.two_echelon_cases(test_data):
        table = evaluate_levels(*given, times=case["t"])
        np.testing.assert_allclose(shares(table)[1:], case["P_wait_le_t"], atol=1e-8)


def test_three_echelons_agree_with_an_independent_evaluator(test_data):
    for given, case in networks.three_echelon_cases(test_data):
        table = evaluate_levels(*given, times=case["t"]).set_index("site_id")
        for site, expected in case["P_wait_le_t"].items():
            ours = shares(table.loc[[f"S{int(site):02d}"]])[0]
            np.testing.assert_allclose(ours, expected, atol=1e-8)


@pytest.mark.parametrize("method", ["exact", "two_moment", "metric"])
def test_shares_grow_with_time_from_the_fill_rate_to_one(method):
    table = evaluate_levels(*networks.tables(*TREE), times=[*TIMES, 40, 60], method=method)
    found = shares(table)
    assert (np.diff(found, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(found[:, 0], table["fill_rate"], atol=1e-10)
    np.testing.assert_allclose(found[:, -1], 1.0)


def test_the_mean_wait_is_the_area_over_the_law():
    times = np.linspace(0, 37, 371)
    table = evaluate_levels(*networks.tables(*TREE), times=times.tolist())
    area = ((1 - shares(table)) * np.diff(times, append=times[-1])).sum(axis=1)
    np.testing.assert_allclose(area, table["mean_wait_days"], atol=0.12)


def test_one_site_is_a_poisson_count():
    table = evaluate_levels(*networks.tables([-1], [20.0], [0.2], [4]), times=[0, 5, 19.9, 20])
    expected = [*(distributions.cdf(3, 0.2 * (20 - t)) for t in (0, 5, 19.9)), 1.0]
    np.testing.assert_allclose(shares(table)[0], np.array(expected, dtype=float))


def test_without_stock_the_wait_jumps_at_the_lead_time():
    table = evaluate_levels(*networks.tables([-1, 0], [20.0, 3.0], [0, 0.1], [4, 0]), times=[2.999, 3.0])
    below, at = shares(table)[1]
    assert below == 0
    assert at == pytest.approx(table["fill_rate"][0])


def away(given, years, times, **arguments):
    """Distance of simulated shares and formula in half-widths."""
    simulated = simulate(*given, years=years, seed=6, times=times)
    formula = evaluate_levels(*given, times=times, **arguments).set_index("site_id")
    values = simulated.pivot_table(index="site_id", columns="measure", values="value")
    widths = simulated.pivot_table(index="site_id", columns="measure", values="half_width")
    names = [f"wait_le_{t:g}" for t in times]
    return (values[names] - formula[names]) / widths[names]


def test_compiled_shares_are_the_plain_ones():
    sites, parts, rates, levels = networks.tables(*TREE)
    levels = levels.assign(reorder_point=[12, *[np.nan] * 4], order_quantity=[6, *[np.nan] * 4])
    forest = read_forest(sites, parts, rates, levels)
    every = np.ones(len(forest), dtype=bool)
    times = np.array(TIMES, dtype=float)
    plain = exact_shares(forest, times, every)
    np.testing.assert_allclose(kernel_shares(forest, times, every), plain, atol=1e-10)


def test_simulation_agrees():
    assert (away(networks.tables(*TREE), 1500, TIMES).abs() <= 2).all(axis=None)


def test_pieces_that_overtake_each_other_agree_with_simulation():
    sites, parts, rates, levels = networks.tables(*TREE)
    parts = parts.assign(repairable_share=0.5, repair_days=6.0)
    assert (away((sites, parts, rates, levels), 1500, TIMES).abs() <= 2).all(axis=None)


def test_order_quantities_agree_with_simulation():
    sites, parts, rates, levels = networks.tables(*TREE)
    levels = levels.assign(reorder_point=[12, *[np.nan] * 4], order_quantity=[6, *[np.nan] * 4])
    assert (away((sites, parts, rates, levels), 1500, TIMES).abs() <= 2).all(axis=None)


def test_repair_at_a_site_never_promises_too_much():
    sites, parts, rates, levels = networks.tables(*TREE)
    rates = rates.assign(
        repair_share_site=[0.0, 0.3, 0.5, 0.0, 0.2], repair_days_site=[0.0, 6.0, 9.0, 0.0, 1.0]
    )
    distance = away((sites, parts, rates, levels), 1500, TIMES)
    assert (distance >= -2).all(axis=None)


REPAIRED = ([-1, 0, 0, 0], [30.0, 4, 2, 3], [0.02, 0.05, 0.3, 0.2], [14, 1, 2, 0])


@pytest.mark.parametrize("days", [(6.0, 9.0, 1.0), (40.0, 20.0, 15.0)])
@pytest.mark.parametrize("lots", [False, True])
def test_repair_at_stations_below_headquarters_agrees_with_simulation(days, lots):
    sites, parts, rates, levels = networks.tables(*REPAIRED)
    rates = rates.assign(repair_share_site=[0.0, 0.3, 0.5, 0.4], repair_days_site=[0.0, *days])
    if lots:
        parts = parts.assign(repairable_share=0.4, repair_days=7.0)
        levels = levels.assign(reorder_point=[9, *[np.nan] * 3], order_quantity=[6, *[np.nan] * 3])
    assert (away((sites, parts, rates, levels), 1500, TIMES).abs() <= 2).all(axis=None)


@pytest.mark.parametrize("share, days", [(0.5, 15.0), (0.2, 30.0), (0.8, 20.0)])
def test_repair_at_stations_below_a_depot_is_nearly_exact(share, days):
    sites, parts, rates, levels = networks.tables(*TREE)
    repaired = rates["site_id"].isin(["S03", "S04"])
    rates = rates.assign(repair_share_site=np.where(repaired, share, 0.0), repair_days_site=days)
    simulated = simulate(sites, parts, rates, levels, years=1500, seed=6, times=TIMES)
    values = simulated.pivot_table(index="site_id", columns="measure", values="value")
    formula = evaluate_levels(sites, parts, rates, levels, times=TIMES).set_index("site_id")
    names = [f"wait_le_{t:g}" for t in TIMES]
    np.testing.assert_allclose(formula[names], values[names], atol=0.01)


def test_overdispersed_waits_start_at_their_fill_rate():
    sites, parts, rates, levels = networks.tables(*TREE)
    table = evaluate_levels(sites, parts, rates.assign(vmr=2.0, rate_cv2=0.2), levels, times=TIMES)
    found = shares(table)
    assert set(table["evaluation"]) == {"two_moment"}
    np.testing.assert_allclose(found[:, 0], table["fill_rate"], atol=1e-10)
    plain = shares(evaluate_levels(sites, parts, rates, levels, times=TIMES))
    assert found[:, :4].sum() < plain[:, :4].sum()


def test_sites_without_demand_have_no_law():
    sites, parts, _, levels = networks.tables(*TREE)
    rates = pd.DataFrame({"part_id": ["P1"], "site_id": ["S01"], "demand_per_day": [0.0]})
    assert np.isnan(shares(evaluate_levels(sites, parts, rates, levels, times=[1.0]))).all()
