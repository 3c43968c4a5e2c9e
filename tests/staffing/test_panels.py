from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.staffing.benchmark import benchmark_regions
from spareplan.staffing.panels import TOO_FEW, benchmark_months, plan_panel


def months(seed: int = 0, count: int = 40, periods: int = 12) -> pd.DataFrame:
    """Regions that differ for good, so that their months repeat the same chance."""
    generator = np.random.default_rng(seed)
    region = np.repeat(np.arange(count), periods)
    units = np.exp(generator.uniform(4, 8, count))[region] * 1.01 ** np.tile(np.arange(periods), count)
    kept = generator.normal(0, 0.2, count)[region] + generator.normal(0, 0.02, len(region))
    return pd.DataFrame(
        {
            "region_id": [f"R{i:02d}" for i in region],
            "month": np.tile(pd.date_range("2025-01-01", periods=periods, freq="MS"), count),
            "units": units,
            "engineers": 0.05 * units**0.85 * np.exp(kept),
        }
    )


def test_errors_clustered_by_region_cover_the_truth_where_plain_ones_do_not():
    import statsmodels.api as sm

    clustered = plain = 0
    for seed in range(40):
        panel = months(seed)
        row = benchmark_months(panel).set_index("name").loc["log_units"]
        clustered += abs(row["estimate"] - 0.85) < 1.96 * row["standard_error"]
        x = sm.add_constant(np.log(panel["units"].to_numpy()))
        plain += (
            abs(row["estimate"] - 0.85) < 1.96 * sm.OLS(np.log(panel["engineers"].to_numpy()), x).fit().bse[1]
        )
    assert clustered >= 34
    assert plain <= 24


def test_below_twenty_regions_only_the_models_own_requirement_is_said():
    table = benchmark_months(months(count=19))
    assert (table["note"] == TOO_FEW).all()
    assert table["estimate"].isna().all()


def test_row_order_does_not_matter():
    panel = months()
    pd.testing.assert_frame_equal(
        benchmark_months(panel), benchmark_months(panel.sample(frac=1, random_state=1))
    )


@pytest.mark.parametrize(("column", "value"), [("units", np.nan), ("engineers", 0.0)])
def test_impossible_months_are_refused_by_name(column, value):
    panel = months()
    panel.loc[7, column] = value
    with pytest.raises(DataError) as caught:
        benchmark_months(panel)
    assert caught.value.problems[["row", "column"]].to_numpy().tolist() == [[9, column]]


def test_a_panel_of_the_plan_carries_the_models_own_requirement():
    names = [f"R{i:02d}" for i in range(25)]
    generator = np.random.default_rng(0)
    machines = generator.integers(50, 900, 25).astype(float)
    regions = pd.DataFrame(
        {"region_id": names, "machines": machines, "required": np.ceil(machines / 40), "present": 5.0}
    )
    regions.loc[3, "present"] = 0.0
    skills = ["junior", "senior", "expert"]
    table = pd.DataFrame(
        {
            "region_id": np.repeat(names, 3),
            "skill": np.tile(skills, 25),
            "headcount": np.tile([3.0, 1, 1], 25),
        }
    )
    workload = pd.DataFrame({"region_id": names, "orders_p1": 1.0, "orders_p2": 1.0, "orders": 10.0})
    panel = plan_panel(table, regions, workload)
    assert "R03" not in panel["region_id"].tolist()
    np.testing.assert_allclose(panel["urgent_share"], 0.2)
    np.testing.assert_allclose(panel["skilled_share"], 0.4)
    result = benchmark_regions(panel, bootstraps=0).table
    assert (result["required"] == panel["required"]).all()
    assert set(result["flag"]) <= {"under", "usual", "over"}
