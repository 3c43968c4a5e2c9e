"""Random lead times: what their spread changes, what it does not (Palm), and what rows say of it."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.errors import DataError
from spareplan.stocking import _draws, _runs, evaluate_levels, simulate
from spareplan.stocking._forest import read_forest
from tests.stocking import networks
from tests.stocking.test_simulation import MEASURES, TREE, misfits, wide


@pytest.mark.parametrize("sd", [15.0, 30.0, 60.0])
def test_the_spread_of_the_suppliers_time_changes_nothing_for_single_orders(sd):
    # Palm: of a Poisson stream only the mean time counts, pieces may overtake; the way below HQ is fixed.
    sites, parts, rates, levels = networks.tables(*TREE)
    parts = parts.assign(lead_time_sd_days=sd)
    assert (misfits((sites, parts, rates, levels), years=2000) <= 2).all(axis=None)


def test_the_spread_of_the_suppliers_time_changes_the_law_of_the_wait():
    sites, parts, rates, levels = networks.tables(*TREE)
    parts, times = parts.assign(lead_time_sd_days=60.0), [2.0, 12.0]
    simulated = simulate(sites, parts, rates, levels, years=2000, seed=3, times=times)
    values, widths = wide(simulated).loc[("P1", "S00")], wide(simulated, "half_width").loc[("P1", "S00")]
    formula = evaluate_levels(sites, parts, rates, levels, times=times).iloc[0]
    # Quick pieces help somebody sooner; those who wait long wait longer.
    assert values["wait_le_2"] > formula["wait_le_2"] + widths["wait_le_2"]
    assert values["wait_le_12"] < formula["wait_le_12"] - widths["wait_le_12"]


def test_the_spread_of_transport_changes_little_where_headquarters_may_be_short():
    sites, parts, rates, levels = networks.tables(*TREE)
    sites = sites.assign(lead_time_sd_days=sites["lead_time_days"])
    values = wide(simulate(sites, parts, rates, levels, years=2000, seed=3)).loc["P1"]
    formula = evaluate_levels(sites, parts, rates, levels).set_index("site_id")
    np.testing.assert_allclose(values["fill_rate"].dropna(), formula["fill_rate"].dropna(), atol=0.01)
    np.testing.assert_allclose(values["mean_wait_days"], formula["mean_wait_days"], rtol=0.04)


def test_the_spread_of_the_suppliers_time_hurts_where_whole_lots_cross():
    sites, parts, rates, levels = networks.tables(*TREE)
    levels = levels.assign(reorder_point=[12, *[np.nan] * 4], order_quantity=[6, *[np.nan] * 4])
    given = (sites, parts.assign(lead_time_sd_days=30.0), rates, levels)
    values = wide(simulate(*given, years=2000, seed=3)).loc["P1"]
    formula = evaluate_levels(*given).set_index("site_id")
    assert (values["mean_wait_days"] > 1.15 * formula["mean_wait_days"]).all()
    little = vague_supplier(given, 6.0)
    longer = wide(simulate(*little, years=2000, seed=3)).loc["P1", "mean_wait_days"].drop("S00")
    assert longer.div(formula["mean_wait_days"].drop("S00")).between(1.04, 1.2).all()


def vague_supplier(given, sd):
    return (given[0], given[1].assign(lead_time_sd_days=sd), *given[2:])


def test_a_moderate_spread_leaves_the_law_of_the_wait_within_the_interval():
    given = vague_supplier(networks.tables(*TREE), 9.0)
    assert (evaluate_levels(*given)["evaluation"] == "exact").all()
    times = [2.0, 12.0]
    measures = [*MEASURES, "wait_le_2", "wait_le_12"]
    assert (misfits(given, years=2000, measures=measures, times=times) <= 2).all(axis=None)


@pytest.mark.parametrize("sd", [0.0, 20.0])
def test_orders_of_several_pieces_that_travel_together_do_not_feel_the_spread(sd):
    sites, parts, rates, levels = networks.tables([-1], [20.0], [0.2], [6])
    given = vague_supplier((sites, parts, rates.assign(vmr=3.0), levels), sd)
    assert (misfits(given, years=4000, measures=["ebo", "ready_rate", "on_hand"]) <= 2).all(axis=None)


def test_demand_steadier_than_poisson_feels_the_spread_but_never_beyond_poisson():
    sites, parts, rates, levels = networks.tables([-1], [20.0], [0.2], [6])
    steady = (sites, parts, rates.assign(vmr=0.25), levels)
    waits = [
        wide(simulate(*vague_supplier(steady, sd), years=2000, seed=3))["mean_wait_days"].iloc[0]
        for sd in (0.0, 20.0)
    ]
    poisson = evaluate_levels(*steady)["mean_wait_days"][0]
    assert 3 * waits[0] < waits[1] < 0.7 * poisson


def test_rows_say_where_a_random_time_makes_them_approximate():
    sites, parts, rates, levels = networks.tables(*TREE)
    vague = parts.assign(lead_time_sd_days=6.0)
    ways = sites.assign(lead_time_sd_days=sites["site_id"].map({"S01": 1.0}).fillna(0.0))
    lots = levels.assign(reorder_point=[12, *[np.nan] * 4], order_quantity=[6, *[np.nan] * 4])

    def told(*given):
        return evaluate_levels(*given).set_index("site_id")["evaluation"].to_dict()

    assert set(told(sites, parts, rates, lots).values()) == {"exact"}
    assert set(told(sites, vague, rates, levels).values()) == {"exact"}
    assert set(told(sites, vague, rates, lots).values()) == {"fixed_times"}
    assert set(told(ways, parts, rates, lots).values()) == {"fixed_times"}
    near = {"S01", "S03", "S04"}
    assert told(ways, parts, rates, levels) == {
        f"S{n:02d}": "near_exact" if f"S{n:02d}" in near else "exact" for n in range(5)
    }
    assert set(told(ways, vague, rates.assign(vmr=2.0), lots).values()) == {"two_moment"}


def test_random_times_have_the_asked_mean_and_spread_and_loads_travel_together():
    sites, parts, rates, levels = networks.tables([-1], [20.0], [2.0], [0])
    parts = parts.assign(lead_time_sd_days=10.0)
    forest = read_forest(sites, parts, rates, levels)
    runs = _runs.lay_runs(forest, np.arange(1), years=1)
    sent = np.repeat(np.arange(40_000.0), 2)
    days = _draws.lead_times(forest, runs, np.zeros(80_000, dtype=np.int64), sent, seed=4, salt=0)
    np.testing.assert_array_equal(days[::2], days[1::2])
    assert days.mean() == pytest.approx(20, rel=0.01)
    assert days.std() == pytest.approx(10, rel=0.02)
    assert np.corrcoef(days[:-2:2], days[2::2])[0, 1] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("table", ["sites", "parts"])
def test_a_negative_spread_of_lead_times_is_refused(table):
    sites, parts, rates, levels = networks.tables(*TREE)
    given = {"sites": sites, "parts": parts}
    given[table] = given[table].assign(lead_time_sd_days=-1.0)
    with pytest.raises(DataError, match="lead_time_sd_days"):
        simulate(given["sites"], given["parts"], rates, levels, years=1, seed=0)
