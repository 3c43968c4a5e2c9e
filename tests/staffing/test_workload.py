"""Orders ahead: what the forecast and its calendar of visits bring to the engineers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import StaffingOptions
from spareplan.staffing.workload import build_workload

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "delivery_pump"


def inspections(data: sp.Dataset, visits: pd.DataFrame | None) -> pd.Series:
    months = pd.date_range("2026-01-01", periods=6, freq="MS")
    table = pd.DataFrame({"part_id": ["00101"], "site_id": ["010"], "month": months[:1], "mean": [1.0]})
    table = table.assign(from_installed_base=1.0, from_new_units=0.0, from_history=0.0, from_planned=0.0)
    load = build_workload(data, table, None, months, pd.Timestamp("2025-12-31"), StaffingOptions(), visits)
    orders = load.orders[load.orders["kind"] == "inspection"]
    return orders.groupby(["region_id", "month"])["orders"].sum()


def test_inspections_ahead_follow_the_visit_calendar() -> None:
    data = sp.read_dataset(SAMPLE)
    region = data.regions["region_id"].iloc[0]
    months = pd.date_range("2026-01-01", periods=6, freq="MS")
    calendar = pd.DataFrame({"region_id": region, "month": months[[1, 1, 4]], "visits": [10.0, 5.0, 30.0]})
    by_calendar, by_date = inspections(data, calendar), inspections(data, None)
    own = by_calendar[region]
    assert own[months[4]] == pytest.approx(2 * own[months[1]])
    assert own[months[[0, 2, 3, 5]]].sum() == 0
    assert by_calendar.sum() == pytest.approx(own.sum())
    # Without a calendar every region's machines are due on their dates.
    assert (by_date.groupby("region_id").sum() > 0).sum() > 3
