"""Ages against the mean rate, weighed by back-test."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.forecast.blend import blended_spread, learn_blend
from spareplan.forecast.demand import forecast_demand
from tests.forecast.fleets import TODAY, make_fleet


def road_with(by_ages, by_rate, parts):
    windows = pd.DataFrame(
        {
            "part_id": parts,
            "site_id": "S1",
            "days": 365.0,
            "mean": by_ages,
            "by_ages": by_ages,
            "by_rate": by_rate,
            "vmr": 1.0,
            "rate_cv2": 0.01,
            "cv2_rate": 0.01,
        }
    )
    lifetimes = pd.DataFrame({"part_id": parts, "family": "f"})
    return lambda origin, months, days: SimpleNamespace(windows=windows, lifetimes=lifetimes)


@pytest.fixture(scope="module")
def fleet():
    data, _ = make_fleet(1, machines=60, parts={f"P{i}": (1.0, 500.0) for i in range(6)})
    years = data.replacements[data.replacements["replaced_on"] > TODAY - pd.Timedelta(days=365)]
    old = data.units.loc[data.units["commissioned_on"] <= TODAY - pd.Timedelta(days=365), "unit_id"]
    seen = years[years["unit_id"].isin(old)].groupby("part_id").size()
    return data, seen


def test_the_road_that_told_right_gets_the_weight(fleet):
    data, seen = fleet
    begin, parts = pd.Timestamp("2022-01-01"), seen.index
    right, wrong = seen.to_numpy(float), 2.0 * seen.to_numpy(float)
    ages = learn_blend(data, TODAY, begin, 1, road_with(right, wrong, parts))
    rate = learn_blend(data, TODAY, begin, 1, road_with(wrong, right, parts))
    assert min(ages.weight.values()) > 0.9
    assert max(rate.weight.values()) < 0.35
    assert ages.doubt <= rate.doubt


def test_short_records_leave_the_ages_alone(fleet):
    data, _ = fleet
    blend = learn_blend(data, TODAY, TODAY - pd.Timedelta(days=60), 2, road_with([1.0], [1.0], ["P0"]))
    assert blend.of("P0") == 1.0
    assert "too short" in blend.notes[0]["meaning"]


def test_no_origins_means_ages_alone_and_says_so():
    data, _ = make_fleet(2)
    result = forecast_demand(data, as_of=TODAY, options=ForecastOptions(backtest_origins=0))
    assert result.table["method"].str.startswith("installed base: ages").all()
    row = result.assumptions.set_index("name").loc["weight of ages against the mean rate"]
    assert row["value"] == "1"


def test_blended_spread_joins_both_ends():
    vmr, cv2 = blended_spread(np.array([0.0, 1.0]), 0.6, 0.04, 0.01)
    assert vmr.tolist() == [1.0, 0.6]
    np.testing.assert_allclose(cv2, [0.01, 0.04])
