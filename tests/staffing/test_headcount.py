from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import StaffingOptions
from spareplan.errors import DataError
from spareplan.staffing.cures import STOCK_COLUMNS
from spareplan.staffing.headcount import can_size
from spareplan.tables.dataset import Dataset

AS_OF = pd.Timestamp("2025-12-31")
MONTHS = pd.date_range("2026-01-01", periods=6, freq="MS")
CONTRACT = [
    "region_id",
    "month",
    "skill",
    "required",
    "headcount",
    "gap",
    "utilisation",
    "hire",
    "train",
    "transfer_in",
    "transfer_out",
    *[f"{what}_p{k}" for what in ("respond", "resolve", "bound") for k in (1, 2, 3, 4)],
    "reason",
]


def frames(seed: int = 0, orders: int = 900) -> dict[str, pd.DataFrame]:
    generator = np.random.default_rng(seed)
    units = pd.DataFrame(
        {
            "unit_id": [f"U{i:03d}" for i in range(120)],
            "product_id": "DP",
            "site_id": np.where(np.arange(120) < 90, "010", "020"),
            "commissioned_on": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(generator.integers(0, 2100, 120), unit="D"),
            "latitude": 30 + generator.random(120),
            "longitude": 110 + generator.random(120),
        }
    )
    who = generator.integers(0, 120, orders)
    opened = pd.Timestamp("2025-01-01") + pd.to_timedelta(
        generator.integers(0, 364 * 1440, orders), unit="min"
    )
    kind = generator.choice(["failure", "request", "project", "inspection"], orders, p=[0.7, 0.2, 0.05, 0.05])
    work = pd.DataFrame(
        {
            "order_id": [f"W{i:04d}" for i in range(orders)],
            "unit_id": units["unit_id"].to_numpy()[who],
            "region_id": np.where(who < 90, "华东", "新疆"),
            "opened_at": np.maximum(opened, units["commissioned_on"].to_numpy()[who]),
            "priority": generator.choice(["P1", "P2", "P3", "P4"], orders, p=[0.05, 0.2, 0.35, 0.4]),
            "kind": kind,
            "skill": generator.choice(["junior", "senior", "expert"], orders, p=[0.6, 0.3, 0.1]),
            "travel_hours": generator.gamma(4.0, 0.5, orders),
            "work_hours": generator.gamma(3.0, 1.0, orders),
            "outcome": generator.choice(["fixed", "part_missing", "not_fixed"], orders, p=[0.85, 0.1, 0.05]),
        }
    )
    fails = work[work["kind"] == "failure"]
    return {
        "products": pd.DataFrame({"product_id": ["DP"], "name": ["pump"], "tier": [2]}),
        "parts": pd.DataFrame(
            {"part_id": ["007"], "name": ["油缸"], "unit_cost": [100.0], "lead_time_days": [30.0]}
        ),
        "fitment": pd.DataFrame({"product_id": ["DP"], "part_id": ["007"], "quantity": [1]}),
        "regions": pd.DataFrame(
            {"region_id": ["华东", "新疆"], "name": ["East", "West"], "area_km2": [5e5, 1.6e6]}
        ),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "010", "020"],
                "name": ["a", "b", "c"],
                "region_id": [None, "华东", "新疆"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 3.0, 9.0],
            }
        ),
        "units": units,
        "replacements": pd.DataFrame(
            {
                "unit_id": fails["unit_id"],
                "part_id": "007",
                "replaced_on": fails["opened_at"].dt.normalize() + pd.Timedelta(days=0),
                "order_id": fails["order_id"],
            }
        ).drop_duplicates(["unit_id", "replaced_on"]),
        "work_orders": work,
        "engineers": pd.DataFrame(
            {
                "region_id": ["华东"] * 3 + ["新疆"] * 2,
                "skill": ["junior", "senior", "expert", "junior", "senior"],
                "headcount": [3, 2, 1, 1, 1],
                "annual_cost": [9e4, 14e4, 22e4, 9e4, 14e4],
                "efficiency": [0.9, 1.0, 1.2, 0.9, 1.0],
            }
        ),
        "promises": pd.DataFrame(
            {
                "priority": ["P1", "P2", "P3", "P4"],
                "respond_hours": [1 / 3, 1.0, 8.0, 24.0],
                "resolve_hours": [8.0, 48.0, 168.0, 336.0],
                "target": [0.95] * 4,
                "response_mode": ["desk", "desk", "dispatch", "dispatch"],
            }
        ),
    }


def demand(monthly: float = 40.0) -> SimpleNamespace:
    rows = [
        ("007", site, month, share * monthly)
        for site, share in (("010", 0.75), ("020", 0.25))
        for month in MONTHS
    ]
    table = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "mean"])
    return SimpleNamespace(
        table=table.assign(
            from_installed_base=table["mean"], from_new_units=0.0, from_history=5.0, from_planned=2.0
        ),
        as_of=AS_OF,
    )


def size(changes: dict | None = None, monthly: float = 40.0, levels=None, **options):
    tables = frames() | (changes or {})
    data = Dataset.from_frames({name: table for name, table in tables.items() if table is not None})
    return sp.size_headcount(data, demand(monthly), levels, options=StaffingOptions(**options))


@pytest.fixture(scope="module")
def crew():
    return size()


def test_the_table_keeps_the_contract(crew):
    assert crew.table.columns.tolist() == CONTRACT
    assert len(crew.table) == 2 * len(MONTHS) * 3
    assert (crew.table["gap"] == crew.table["required"] - crew.table["headcount"]).all()
    assert set(crew.table["bound_p1"]) <= {"none", "staff", "parts", "repair", "reach"}
    shares = crew.table[[f"{w}_p{k}" for w in ("respond", "resolve") for k in (1, 2, 3, 4)]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert crew.table["reason"].str.len().gt(20).all()
    assert "Engineers: 8 today" in crew.summary()


def test_a_broken_promise_is_bound_and_a_kept_one_is_not(crew):
    for k in (1, 2, 3, 4):
        broken = (crew.table[f"respond_p{k}"] < 0.95 - 1e-4) | (crew.table[f"resolve_p{k}"] < 0.95 - 1e-4)
        kept = (crew.table[f"respond_p{k}"] > 0.95 + 1e-4) & (crew.table[f"resolve_p{k}"] > 0.95 + 1e-4)
        assert (crew.table.loc[broken, f"bound_p{k}"] != "none").all()
        assert (crew.table.loc[kept, f"bound_p{k}"] == "none").all()


def test_lent_people_leave_another_region(crew):
    sums = crew.table.groupby(["month", "skill"])[["transfer_in", "transfer_out"]].sum()
    np.testing.assert_allclose(sums["transfer_in"], sums["transfer_out"], atol=1e-6)


def test_orders_follow_the_forecast_failures(crew):
    table = crew.workload
    east = table[table["region_id"] == "华东"]
    ratio = east["orders_failure"] / east["failed_pieces"]
    assert np.ptp(ratio) < 1e-9
    assert ratio.iloc[0] == pytest.approx(1.0, abs=0.1)
    doubled = size(monthly=80.0).workload
    both = table.merge(doubled, on=["region_id", "month"])
    np.testing.assert_allclose(both["orders_failure_y"], 2 * both["orders_failure_x"])
    np.testing.assert_allclose(both["orders_request_y"], both["orders_request_x"])
    np.testing.assert_allclose(
        table["orders"], table[[c for c in table if c.startswith("orders_p") and len(c) == 9]].sum(axis=1)
    )


def test_the_reason_names_the_promise_that_decides_the_waits():
    result = size(search_by_simulation="none", simulate_orders=0, plan_alternatives=False)
    reasons = result.table.groupby("region_id")["reason"].first()
    assert reasons.str.contains(r"waits decide(?: \(P[1-4] response\))?: \d on duty").all()
    assert reasons.str.contains("waits decide (P3 response): 2 on duty round the clock", regex=False).any()


def test_more_failures_need_no_fewer_people(crew):
    more = size(monthly=160.0)
    assert more.table["required"].sum() > crew.table["required"].sum()


def test_row_order_does_not_matter(crew):
    shuffled = {name: table.sample(frac=1.0, random_state=1) for name, table in frames().items()}
    pd.testing.assert_frame_equal(size(shuffled).table, crew.table)


def test_missing_parts_bind_and_stock_cures_them():
    def levels(fill):
        return SimpleNamespace(
            table=pd.DataFrame(
                {
                    "part_id": "007",
                    "site_id": ["010", "020"],
                    "base_stock": 20,
                    "demand_per_day": 1.0,
                    "fill_rate": fill,
                    "mean_wait_days": (1 - fill) * 20.0,
                }
            )
        )

    empty, full = size(levels=levels(0.3)), size(levels=levels(1.0))
    assert (empty.table["bound_p2"] == "parts").all()
    assert not (full.table["bound_p2"] == "parts").any()
    assert empty.workload["visits"].sum() > full.workload["visits"].sum()
    assert "told where stock levels are given" not in empty.summary()


def test_without_stock_levels_the_plan_says_that_they_would_name_the_pieces():
    result = size(part_missing_share=0.5, parts_wait_hours=300.0)
    assert (result.table["bound_p2"] == "parts").any()
    assert result.stock_cures.empty and result.stock_cures.columns.tolist() == STOCK_COLUMNS
    assert "pieces of stock would cure parts-bound promises is told where stock levels" in result.summary()


def test_long_repairs_bind_whatever_the_staff():
    slow = frames()["work_orders"].assign(work_hours=lambda f: f["work_hours"] * 4)
    result = size({"work_orders": slow})
    assert (result.table["bound_p1"] == "repair").all()


def test_too_few_people_bind_by_staff_until_the_hired_come():
    few = frames()["engineers"].assign(headcount=[1, 0, 0, 1, 0])
    result = size({"engineers": few}, monthly=160.0, hire_lead_months=3)
    first = result.table[result.table["month"] == MONTHS[0]]
    assert (first["hire"] == 0).all()
    east = first[first["region_id"] == "华东"]
    assert (east["bound_p4"] == "staff").all()
    later = result.table[result.table["month"] >= MONTHS[3]]
    assert later["hire"].sum() > 0


def test_no_engineers_are_named_and_still_sized():
    result = size({"engineers": None})
    assert (result.table["headcount"] == 0).all()
    assert result.table["required"].sum() > 0
    assert "no engineers" in result.summary()


def test_a_priority_without_promise_is_named():
    result = size({"promises": frames()["promises"].iloc[[0, 1, 3]]})
    named = result.assumptions[result.assumptions["name"] == "promise_P3"]
    assert "P3 has no promise" in named["meaning"].iloc[0]
    assert result.table["respond_p3"].isna().all()
    assert (result.table["bound_p3"] == "none").all()


def test_a_region_without_machines_needs_nobody():
    more = frames()["regions"]
    more = pd.concat([more, pd.DataFrame({"region_id": ["西北"], "name": ["NW"]})], ignore_index=True)
    result = size({"regions": more})
    empty = result.table[result.table["region_id"] == "西北"]
    assert (empty["required"] == 0).all()
    assert (empty["reason"] == "no orders expected").all()


@pytest.mark.parametrize("missing", ["work_orders", "units"])
def test_a_stage_that_cannot_run_says_what_it_needs(missing):
    tables = frames()
    if missing == "units":
        tables = {k: v for k, v in tables.items() if k not in ("units", "replacements", "work_orders")}
        tables["demand"] = pd.DataFrame(
            {"part_id": ["007"], "site_id": ["010"], "month": [AS_OF], "quantity": [1]}
        )
    else:
        tables.pop("work_orders")
        tables["replacements"] = tables["replacements"].drop(columns="order_id")
    data = Dataset.from_frames(tables)
    assert missing in can_size(data)
    with pytest.raises(DataError, match=missing):
        sp.size_headcount(data, demand())


def test_every_assumption_has_an_origin(crew):
    assert (crew.assumptions["origin"] != "").all()
    names = set(crew.assumptions["name"])
    assert {
        "max_utilisation",
        "orders_per_failed_piece",
        "travel_hours",
        "desk_people",
        "hour_profile",
    } <= names


def test_the_sample_is_sized(samples):
    data = sp.read_dataset(samples / "delivery_pump")
    months = pd.date_range(data.as_of() + pd.Timedelta(days=1), periods=2, freq="MS")
    sites = data.sites.dropna(subset=["region_id"])["site_id"]
    grid = pd.MultiIndex.from_product([sites, months], names=["site_id", "month"]).to_frame(index=False)
    table = grid.assign(
        part_id="00101", mean=20.0, from_installed_base=20.0, from_new_units=0.0, from_history=0.0
    )
    result = sp.size_headcount(data, SimpleNamespace(table=table, as_of=data.as_of()))
    assert result.table["region_id"].nunique() == 11
    assert (result.table.groupby(["region_id", "month"])["required"].sum() > 0).all()


def test_more_months_than_the_forecast_has_are_refused():
    data = Dataset.from_frames(frames())
    assert sp.size_headcount(data, demand(), months=4).table["month"].nunique() == 4
    with pytest.raises(DataError, match="ends with 2026-06"):
        sp.size_headcount(data, demand(), months=9)


def test_the_simulated_plan_keeps_what_the_formulas_say():
    result = size(simulate_years=40)
    table = result.simulated
    assert set(table["region_id"]) == {"华东", "新疆"}
    assert len(table) == 2 * 6
    np.testing.assert_allclose(table["achieved"], table["planned"], atol=0.06)
    assert "Simulated 40 years" in result.summary()
    assert size(simulate_orders=0).simulated.empty


def test_every_plan_carries_a_simulated_attainment_of_each_region_with_its_interval(crew):
    table = crew.simulated
    assert set(table["region_id"]) == set(crew.table["region_id"])
    assert not table.duplicated(["region_id", "priority", "measure"]).any()
    assert (table["low"] <= table["achieved"]).all()
    assert (table["achieved"] <= table["high"]).all()
    assert "promises kept" in crew.summary()


def test_every_region_has_one_row_in_its_fullest_month_and_the_most_short_stands_first(crew):
    regions = crew.regions
    assert regions["region_id"].is_unique
    assert set(regions["region_id"]) == set(crew.table["region_id"])
    assert regions["gap"].is_monotonic_decreasing
    need = crew.table.groupby(["region_id", "month"])["required"].sum()
    for row in regions.itertuples():
        assert row.required == need[row.region_id].max() == need[row.region_id, row.month]
        assert row.gap == row.required - row.present
        named = crew.table[(crew.table["region_id"] == row.region_id) & (crew.table["month"] == row.month)]
        assert all((f"P{k}" in row.cause) == (named[f"bound_p{k}"] != "none").any() for k in range(1, 5))
