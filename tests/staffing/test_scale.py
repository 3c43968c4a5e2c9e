from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.staffing.benchmark import scale_signs
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.queues import servers_needed
from spareplan.staffing.scale import area_growth, grow_market, pooling_elasticity, scale_table
from spareplan.staffing.sizing import Promises
from spareplan.staffing.travel import unit_square_table


def test_a_made_up_market_rises_falls_and_rises_again():
    path = grow_market(np.array([20.0, 167.0, 500.0, 6000.0]))
    np.testing.assert_allclose(path["units_per_engineer"], [10.0, 41.8, 35.7, 41.4], atol=0.05)
    # From 24,000 to 200,000 km2 while it falls; full at the end.
    np.testing.assert_allclose(path["area_km2"][1:3], [24e3, 200e3], rtol=0.01)
    np.testing.assert_allclose(path["utilisation"][1:], [0.42, 0.64, 0.85], atol=0.02)


def test_each_phase_of_the_market_is_told_by_pooling_against_spread():
    path = grow_market(np.geomspace(20, 6000, 4000))
    logs = np.log(path[["units", "units_per_engineer", "utilisation"]].to_numpy())
    ends = np.searchsorted(path["units"], [20, 167, 500, 6000]).clip(max=len(path) - 1)
    signs = []
    for low, high in itertools.pairwise(ends):
        grown = np.diff(logs[[low, high], 0])[0]
        pooling = np.diff(logs[[low, high], 2])[0] / grown
        part = path.iloc[low:high]
        spread = float((part["travel_share"] * part["area_elasticity"]).mean())
        slope, sign = scale_signs(np.array([1.0]), np.array([spread]), np.array([pooling]))
        assert slope[0] == pytest.approx(np.diff(logs[[low, high], 1])[0] / grown, abs=0.02)
        signs.append(sign[0])
    assert signs == ["rises", "falls", "rises"]


def test_engineers_of_the_market_are_the_least_that_keep_its_promise():
    row = grow_market(np.array([500.0])).iloc[0]
    mu = 1.0 / (row["utilisation"] * row["engineers"] / (500 * 10.5 / 8766))
    assert servers_needed([500 * 10.5 / 8766], mu, [4.0], [0.95]) == row["engineers"]


def test_nearest_first_falls_only_where_density_itself_falls():
    share, pool = np.full(3, 0.4), np.full(3, 0.1)
    border = 1 + 2 * 0.1 / 0.4
    slope, sign = scale_signs(share, np.array([border - 0.1, border, border + 0.1]), pool, nearest=True)
    assert sign[[0, 2]].tolist() == ["rises", "falls"]
    assert slope[1] == pytest.approx(0.0, abs=1e-12)
    # Engineers ~ N (R + c sqrt(A / n)) / rho, solved directly.
    eta, grow = 1.2, 1e-4

    def engineers(units):
        area, rho = units**eta, units**0.1
        n, low, high = 0.0, 1e-9, 1e9
        for _ in range(200):
            n = np.sqrt(low * high)
            need = units * (0.6 + 0.4 * np.sqrt(area / n)) / rho
            low, high = (n, high) if need > n else (low, n)
        return n

    truth = grow - np.log(engineers(np.exp(grow)) / engineers(1.0))
    found, _ = scale_signs(np.array([0.4]), np.array([eta]), np.array([0.1]), nearest=True)
    assert truth / grow == pytest.approx(found[0], abs=1e-3)


def machines(power: float, seed: int = 0, count: int = 600) -> pd.DataFrame:
    """Machines put up over ten years while the square they stand in grows with a power of their number."""
    generator = np.random.default_rng(seed)
    order = np.arange(1, count + 1)
    side = 0.02 * order ** (power / 2)
    # A machine stands anywhere in the square of its day, so the whole grows without changing its form.
    place = (generator.random((count, 2)) - 0.5) * side[:, None]
    return pd.DataFrame(
        {
            "region_id": "R",
            "latitude": 30 + place[:, 0],
            "longitude": 110 + place[:, 1] / np.cos(np.radians(30)),
            "commissioned_on": pd.Timestamp("2014-01-01")
            + pd.to_timedelta(np.round(order / count * 3652), unit="D"),
        }
    )


def test_growth_of_the_area_is_found_where_it_spreads_and_where_it_only_fills():
    regions = pd.Index(["R"])
    found = {
        power: area_growth(regions, machines(power), pd.Timestamp("2023-12-31")).table.iloc[0]
        for power in (0.0, 1.6)
    }
    assert abs(found[0.0]["area_elasticity"]) < 0.1
    assert found[1.6]["area_elasticity"] == pytest.approx(1.6, abs=0.25)
    assert (found[1.6]["area_evidence"], found[1.6]["looks"]) == ("own growth", 10)


def test_regions_without_growth_lean_on_the_others_and_nothing_is_guessed():
    still = machines(1.6).head(40).assign(region_id="S", commissioned_on=pd.Timestamp("2014-01-01"))
    both = pd.concat([machines(1.6), still])
    table = area_growth(pd.Index(["R", "S"]), both, pd.Timestamp("2023-12-31")).table.set_index("region_id")
    assert table.loc["S", "area_evidence"] == "all regions' growth"
    assert table.loc["S", "area_elasticity"] == pytest.approx(table.loc["R", "area_elasticity"])
    alone = area_growth(pd.Index(["S"]), still, pd.Timestamp("2023-12-31")).table
    assert alone["area_evidence"].tolist() == ["unknown"]
    assert alone["area_elasticity"].isna().all()


def test_small_crews_pool_and_full_ones_have_pooled():
    base = unit_square_table(16)
    rate = np.array([0.1, 40.0])
    rows = RegionRows(
        rate[:, None] * np.array([0.5, 0.5]),
        np.full((2, 2), 4.0),
        np.ones(2),
        np.zeros(2, dtype=np.int64),
        base.mean[None] * 0.2,
        base.quantiles[None] * 0.2,
    )
    promises = Promises(np.array([0.5, 4.0]), np.full(2, np.nan), np.full(2, 0.95), np.zeros(2, bool))
    small, large = pooling_elasticity(rows, promises)
    assert 0.2 < small <= 1.0
    assert 0.0 <= large < 0.1


def test_a_region_is_told_in_a_sentence():
    workload = pd.DataFrame(
        {
            "region_id": ["A", "B"],
            "month": pd.Timestamp("2026-01-01"),
            "units": 100.0,
            "visits": 50.0,
            "drive_hours": 1.0,
            "return_hours": 1.0,
            "hours": 200.0,
            "people_for_waits": 2.3,
            "people_for_hours": 1.0,
        }
    )
    growth = pd.DataFrame(
        {
            "region_id": ["A", "B"],
            "area_elasticity": [2.0, np.nan],
            "area_evidence": ["own growth", "unknown"],
        }
    )
    table = scale_table(workload, growth, pd.Series({"A": 0.05, "B": 0.4}))
    assert table["sign"].tolist() == ["falls", "unknown"]
    assert table["travel_share"].tolist() == [0.5, 0.5]
    assert table["units_per_engineer"][0] == pytest.approx(100 / 3)
    assert "machines per engineer fall with 10 % more machines (-4.5 % sent from base" in table["reason"][0]
    assert "not known" in table["reason"][1]
    with pytest.raises(DataError, match="B"):
        scale_table(workload, growth.head(1), pd.Series({"A": 0.05, "B": 0.4}))
    with pytest.raises(DataError, match="return_hours"):
        scale_table(workload.drop(columns="return_hours"), growth, pd.Series({"A": 0.05, "B": 0.4}))
