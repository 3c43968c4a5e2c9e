"""Demand of any number of days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.maths.distributions import quantile
from spareplan.tables.windows import window_demand

GRID = pd.DataFrame(
    {
        "part_id": ["A"] * 3 + ["B"] * 2,
        "site_id": "S",
        "days": [10.0, 30, 60, 20, 40],
        "mean": [1.0, 2, 8, 4, 4],
        "vmr": [1.0, 0.8, 0.5, 2, 2],
        "rate_cv2": [0.1, 0.2, 0.3, 0, 0],
    }
)


def test_means_are_straight_lines_and_go_on_at_the_last_slope():
    read = {days: window_demand(GRID, days).set_index("part_id")["mean"] for days in (0, 5, 20, 60, 90)}
    assert [read[days]["A"] for days in (0, 5, 20, 60, 90)] == pytest.approx([0, 0.5, 1.5, 8, 14])
    assert read[90]["B"] == pytest.approx(4)


def test_the_pair_is_that_of_the_window_and_gives_the_variance():
    row = window_demand(GRID, 45.0, levels=[0.5, 0.95]).set_index("part_id").loc["A"]
    assert (row["vmr"], row["rate_cv2"]) == pytest.approx((0.65, 0.25))
    assert row["variance"] == pytest.approx(0.65 * 5 + 0.25 * 25)
    assert row["q0.95"] == quantile(0.95, row["mean"], row["variance"])
    outside = window_demand(GRID, 300.0).set_index("part_id").loc["A"]
    assert (outside["vmr"], outside["rate_cv2"]) == (0.5, 0.3)


def test_days_come_as_number_series_or_frame_in_any_row_order():
    by_part = window_demand(GRID, pd.Series({"A": 20.0, "B": 20.0}))
    by_pair = window_demand(
        GRID.sample(frac=1, random_state=0), pd.Series({("B", "S"): 20.0, ("A", "S"): 20.0})
    )
    by_frame = window_demand(GRID, pd.DataFrame({"part_id": ["B", "A"], "days": [20.0, 20.0]}))
    for other in (by_pair, by_frame):
        pd.testing.assert_frame_equal(by_part, other)
    assert np.isfinite(by_part["mean"]).all()


def test_parts_without_a_window_and_negative_days_are_refused():
    with pytest.raises(DataError, match="B, S"):
        window_demand(GRID, pd.Series({"A": 20.0}))
    with pytest.raises(DataError, match="0 or more"):
        window_demand(GRID, -1.0)
    with pytest.raises(DataError, match="stands twice"):
        window_demand(GRID, pd.DataFrame({"part_id": ["A", "A"], "days": [1.0, 2.0]}))
