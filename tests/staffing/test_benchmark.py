from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.staffing.benchmark import benchmark_regions, scale_signs


def panel(seed=0, count=40, noise=0.10):
    generator = np.random.default_rng(seed)
    units = np.exp(generator.uniform(np.log(50), np.log(3000), count))
    area = 4e4 * (units / 300) ** 0.5 * np.exp(generator.normal(0, 0.5, count))
    engineers = 0.04 * units**0.85 * (area / 4e4) ** 0.12 * np.exp(generator.normal(0, noise, count))
    return pd.DataFrame(
        {
            "region_id": [f"R{i:02d}" for i in range(count)],
            "units": units,
            "engineers": engineers,
            "area_km2": area,
        }
    )


def test_elasticities_are_found():
    table = benchmark_regions(panel(noise=0.05)).coefficients.set_index("name")
    for name, truth in (("log_units", 0.85), ("log_area", 0.12)):
        assert abs(table.loc[name, "estimate"] - truth) < 4 * table.loc[name, "standard_error"]


def test_intervals_are_those_of_a_fit_without_the_region():
    data = panel(3)
    table = benchmark_regions(data).table
    left = data.drop(index=7)
    x = np.column_stack([np.ones(39), np.log(left["units"]), np.log(left["area_km2"])])
    beta, *_ = np.linalg.lstsq(x, np.log(left["engineers"]), rcond=None)
    at = np.array([1.0, np.log(data["units"][7]), np.log(data["area_km2"][7])])
    assert table["expected"][7] == pytest.approx(np.exp(at @ beta))
    residual = np.log(left["engineers"]) - x @ beta
    spread = np.sqrt((residual**2).sum() / 36 * (1 + at @ np.linalg.inv(x.T @ x) @ at))
    assert table["high"][7] == pytest.approx(np.exp(at @ beta + 1.68830 * spread), rel=1e-4)


def test_ninety_percent_intervals_cover_about_ninety_percent_and_find_a_cut():
    covered, found = [], 0
    for seed in range(60):
        data = panel(seed)
        table = benchmark_regions(data, bootstraps=0).table
        covered.append((table["flag"] == "usual").mean())
        data.loc[5, "engineers"] *= 0.6
        found += benchmark_regions(data, bootstraps=0).table.loc[5, "flag"] == "under"
    assert 0.85 <= np.mean(covered) <= 0.95
    assert found >= 55


def test_too_few_regions_are_not_flagged():
    result = benchmark_regions(panel(count=11).assign(required=3.0))
    assert (result.table["flag"] == "too_few_regions").all()
    assert result.table["low"].isna().all()
    assert (result.table["required"] == 3.0).all()
    assert "no interval" in result.table["reason"][0]


def test_the_curve_lies_in_its_band_and_follows_the_data():
    curve = benchmark_regions(panel(1)).curve
    inside = (curve["low"] <= curve["units_per_engineer"]) & (curve["units_per_engineer"] <= curve["high"])
    assert inside.mean() > 0.9
    assert curve["units_per_engineer"].iloc[-1] > curve["units_per_engineer"].iloc[0]


def test_units_per_engineer_rise_fall_and_rise_with_pooling_spread_and_density():
    slope, sign = scale_signs(
        np.array([0.1, 0.5, 0.4]), np.array([0.8, 1.6, 0.0]), np.array([0.4, 0.15, 0.08])
    )
    assert sign.tolist() == ["rises", "falls", "rises"]
    np.testing.assert_allclose(slope, [0.36, -0.25, 0.08])


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"engineers": 0.0}, "engineers"),
        ({"region_id": "R"}, "region_id"),
        ({"units": np.nan}, "units"),
        ({"engineers": np.nan}, "engineers"),
        ({"urgent_share": np.nan}, "urgent_share"),
        ({"required": np.inf}, "required"),
    ],
)
def test_impossible_panels_are_refused_by_name(changes, column):
    with pytest.raises(DataError) as caught:
        benchmark_regions(panel().assign(**changes))
    assert column in caught.value.problems["column"].tolist()
