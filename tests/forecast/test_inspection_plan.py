"""Inspections from a whole dataset: visits placed, wear parts found, pieces counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.forecast.inspection_plan import plan_inspections
from spareplan.tables.dataset import Dataset

TODAY = pd.Timestamp("2025-12-31")
SEASON = np.array([0.2, 0.3, 0.7, 1.2, 1.4, 1.5, 1.3, 1.3, 1.4, 1.3, 0.8, 0.6])
MADE = (1, 3, 6, 12)
LIVES = pd.DataFrame(
    {
        "part_id": ["filter", "pump"],
        "shape": [3.0, 2.0],
        "scale": [900.0, 2500.0],
        "clock": ["hours", "hours"],
    }
)
OPTIONS = ForecastOptions()


def history(seed=0, machines=400, share=0.5, until="2026-12-31", ahead=MADE):
    """Machines handed over in four years; filters are changed at visits, pumps only when they fail."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2022-01-01")
    end = pd.Timestamp(until)
    sold = start + pd.to_timedelta(np.sort(rng.integers(0, 1460, machines)), unit="D")
    units = pd.DataFrame(
        {
            "unit_id": [f"U{i:03d}" for i in range(machines)],
            "product_id": "M",
            "site_id": np.where(np.arange(machines) % 2, "A", "B"),
            "commissioned_on": sold,
        }
    )
    rows = []
    for unit, born in zip(units["unit_id"], sold):
        visits = [born + pd.DateOffset(months=v) for v in MADE]
        visits = [d for d in visits if d <= TODAY]
        visits += [d for d in (born + pd.DateOffset(months=v) for v in ahead) if d > TODAY]
        for part, shape, scale in (("filter", 3.0, 9.0 * 30.4), ("pump", 2.0, 25.0 * 30.4)):
            due, stops = born + pd.Timedelta(days=int(scale * rng.weibull(shape)) + 1), list(visits)
            while min([due, *stops]) <= end:
                if stops and stops[0] <= due:
                    when = stops.pop(0)
                    if part == "pump" or rng.random() >= share:
                        continue
                    planned = True
                else:
                    when, planned = due, False
                rows.append((unit, part, when, planned))
                due = when + pd.Timedelta(days=int(scale * rng.weibull(shape)) + 1)
    records = pd.DataFrame(rows, columns=["unit_id", "part_id", "replaced_on", "planned"])
    return units, records


def dataset(units, records, **tables):
    months = pd.date_range("2024-01-01", "2025-12-01", freq="MS")
    parts = pd.DataFrame({"part_id": ["filter", "pump"], "name": ["f", "p"], "unit_cost": 1.0})
    frames = {
        "products": pd.DataFrame({"product_id": ["M"], "name": ["Machine"], "tier": [2]}),
        "parts": parts.assign(lead_time_days=20.0),
        "fitment": pd.DataFrame({"product_id": "M", "part_id": ["filter", "pump"], "quantity": 1}),
        "regions": pd.DataFrame({"region_id": ["北"], "name": ["north"], "records_from": ["2022-01-01"]}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "A", "B"],
                "name": ["hq", "a", "b"],
                "region_id": [None, "北", "北"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 5.0, 5.0],
            }
        ),
        "units": units,
        "replacements": records[records["replaced_on"] <= TODAY],
        "usage": pd.DataFrame(
            {
                "product_id": "M",
                "region_id": "北",
                "month": months,
                "hours_per_unit": 100 * SEASON[months.month - 1],
            }
        ),
    }
    frames |= tables
    return Dataset.from_frames({name: frame for name, frame in frames.items() if frame is not None})


@pytest.fixture(scope="module")
def fleet():
    units, records = history()
    return dataset(units, records), records


def test_wear_parts_are_found_and_the_pieces_of_the_visits_ahead_come_true(fleet):
    data, records = fleet
    plan = plan_inspections(data, TODAY, 12, LIVES, replace(OPTIONS, inspections="fixed"))
    assert plan.wear["part_id"].tolist() == ["filter"]
    assert plan.wear["share_per_visit"].item() == pytest.approx(0.5, abs=0.05)
    ahead = records[(records["replaced_on"] > TODAY) & records["planned"]]
    expected = plan.demand["planned"].sum()
    assert expected == pytest.approx(len(ahead), abs=4 * np.sqrt(expected))
    assert plan.calendar["pieces"].sum() == pytest.approx(expected, rel=1e-9)
    assert plan.demand["prevented"].sum() > 0


def test_visits_are_placed_around_the_season_and_worth_more_than_today_s_dates(fleet):
    data, _ = fleet
    placed = plan_inspections(data, TODAY, 12, LIVES, OPTIONS)
    fixed = plan_inspections(data, TODAY, 12, LIVES, replace(OPTIONS, inspections="fixed"))
    assert set(fixed.calendar["after_months"]) == set(MADE)
    # Month 1 stays.
    first = [plan.calendar[plan.calendar["after_months"] == 1]["visits"].sum() for plan in (placed, fixed)]
    assert first[0] == first[1] > 0
    calendar = (placed.schedule["handover_month"] - 1 + placed.schedule["after_months"]) % 12 + 1
    near = [
        calendar.isin(months).groupby(placed.schedule["handover_month"]).any()
        for months in ([2, 3], [11, 12])
    ]
    assert near[0].all() and near[1].all()
    worth = [plan.schedule.groupby("handover_month")["prevented"].sum().mean() for plan in (placed, fixed)]
    assert worth[0] > worth[1]
    note = next(row for row in placed.notes if row["name"] == "failures of new machines seen in time")
    assert "on the dates 1, 3, 6, 12" in note["meaning"]
    assert list(placed.calendar) == [
        "product_id",
        "region_id",
        "site_id",
        "month",
        "after_months",
        "visits",
        "failures_ahead",
        "prevented",
        "pieces",
        "reason",
    ]
    assert placed.calendar["month"].min() > TODAY


def test_no_inspections_use_nothing(fleet):
    data, _ = fleet
    plan = plan_inspections(data, TODAY, 12, LIVES, replace(OPTIONS, inspections="none"))
    assert plan.calendar.empty and plan.demand.empty and plan.wear.empty
    full = plan_inspections(data, TODAY, 12, LIVES, OPTIONS)
    assert list(plan.calendar) == list(full.calendar) and list(plan.demand) == list(full.demand)
    assert plan.notes[0]["origin"] == "set by the user"


def test_row_order_does_not_matter(fleet):
    data, _ = fleet
    mixed = data.with_tables(
        **{
            name: getattr(data, name).sample(frac=1, random_state=3)
            for name in ("units", "replacements", "usage", "fitment")
        }
    )
    one, other = (
        plan_inspections(each, TODAY, 12, lives, OPTIONS)
        for each, lives in ((data, LIVES), (mixed, LIVES.iloc[::-1]))
    )
    for frame in ("calendar", "schedule", "wear", "demand", "hazard"):
        pd.testing.assert_frame_equal(getattr(one, frame), getattr(other, frame))
    assert one.notes == other.notes


def test_missing_tables_and_unknown_lives_still_give_a_calendar():
    units, records = history(machines=30)
    bare = dataset(units, records.iloc[:1]).sites.assign(region_id=np.nan)
    data = dataset(units, records.iloc[:1], usage=None, regions=None, sites=bare)
    plan = plan_inspections(data, TODAY, 12, LIVES.iloc[:0], OPTIONS)
    calendar, notes = plan.calendar, plan.notes
    assert calendar["visits"].sum() > 0
    assert calendar.loc[calendar["after_months"] > 1, "reason"].str.startswith("use is even").all()
    season = next(row for row in notes if row["name"] == "season of visits")
    assert season["value"] == 0


def test_machines_to_be_sold_are_visited_and_use_pieces(fleet):
    data, _ = fleet
    plan = pd.DataFrame(
        {"product_id": ["M"], "site_id": ["A"], "month": [pd.Timestamp("2026-02-01")], "units_sold": [50]}
    )
    sold = data.with_tables(sales_plan=plan)
    one, more = (plan_inspections(each, TODAY, 12, LIVES, OPTIONS) for each in (data, sold))
    extra = more.calendar["visits"].sum() - one.calendar["visits"].sum()
    due = more.schedule[(more.schedule["handover_month"] == 2) & (more.schedule["after_months"] <= 10)]
    assert extra == 50 * len(due)
    assert more.demand["planned"].sum() - one.demand["planned"].sum() == pytest.approx(
        extra * more.wear["share_per_visit"].item()
    )


def test_orders_tell_what_the_visits_save(fleet):
    data, _ = fleet
    opened = pd.date_range("2025-01-01", periods=10, freq="30D")
    orders = pd.DataFrame(
        {
            "order_id": [f"O{i}" for i in range(10)],
            "region_id": "北",
            "opened_at": opened,
            "resolved_at": opened + pd.Timedelta(hours=60),
            "priority": "P2",
            "kind": "failure",
        }
    )
    plan = plan_inspections(data.with_tables(work_orders=orders), TODAY, 12, LIVES, OPTIONS)
    note = next(row for row in plan.notes if row["name"].startswith("machine-days saved"))
    assert note["value"] == pytest.approx(2.5 * plan.demand["prevented"].sum())
    assert "failures of 2.5 days less" in note["meaning"]


def test_demand_may_reach_further_than_the_calendar(fleet):
    data, _ = fleet
    short = plan_inspections(data, TODAY, 3, LIVES, OPTIONS)
    long = plan_inspections(data, TODAY, 3, LIVES, OPTIONS, demand_months=12)
    pd.testing.assert_frame_equal(long.calendar, short.calendar)
    assert long.notes == short.notes
    assert long.demand["month"].max() > short.demand["month"].max()
    near = long.demand[long.demand["month"].isin(short.demand["month"])].reset_index(drop=True)
    np.testing.assert_allclose(near["planned"].sum(), short.demand["planned"].sum())
    np.testing.assert_allclose(near["prevented"].sum(), short.demand["prevented"].sum(), rtol=0.01)
