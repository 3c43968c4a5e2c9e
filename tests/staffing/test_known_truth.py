"""Estimates from past orders of made-up regions whose truth is known: no bias, honest intervals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from spareplan.config import StaffingOptions
from spareplan.staffing.workload import Workload, build_workload
from spareplan.tables.dataset import Dataset

START, END = pd.Timestamp("2025-01-01"), pd.Timestamp("2025-12-31")
MONTHS = pd.date_range("2026-01-01", periods=12, freq="MS")
SIZES = np.array([4, 8, 15, 30, 60, 120, 250, 500])
REGIONS = [f"r{i}" for i in range(len(SIZES))]
KINDS, PRIORITIES, SKILLS = (
    ("failure", "request", "project"),
    ("P1", "P2", "P3", "P4"),
    ("junior", "senior", "expert"),
)
EFFICIENCY = np.array([0.8, 1.0, 1.25])
SKILL_HOURS = np.array([2.0, 4.0, 6.0])
SCV = np.array([0.3, 0.6, 0.9, 1.5])
SKILL_MIX = np.array([0.5, 0.35, 0.15])
REQUESTS, PROJECTS, FAILURES = 0.25, 0.05, 0.4
AGAIN, MISSING = 0.12, 0.15


def truth(seed: int, differ: float = 0.14) -> dict[str, np.ndarray]:
    """Regions differ by a factor each; kin of 50 orders says 14 %."""
    generator = np.random.default_rng(1000 + seed)
    factors = np.exp(generator.normal(-(differ**2) / 2, differ, (5, len(REGIONS))))
    names = ("requests", "projects", "not fixed", "time at the machine", "travel there and back")
    base = (REQUESTS, PROJECTS, AGAIN, float(SKILL_MIX @ SKILL_HOURS), 2.0)
    return {name: value * factor for name, value, factor in zip(names, base, factors, strict=True)}


@lru_cache(maxsize=16)
def made_up(seed: int, differ: float = 0.14, silent: int = 0) -> tuple[Workload, dict[str, np.ndarray]]:
    """Plan the work of regions; the first `silent` ones have machines but no records."""
    real, generator = truth(seed, differ), np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(REGIONS)), SIZES)
    units = pd.DataFrame(
        {
            "unit_id": [f"u{i:04d}" for i in range(len(owner))],
            "product_id": "p",
            "site_id": [f"s{i}" for i in owner],
            "commissioned_on": pd.Timestamp("2023-12-31"),
        }
    )
    frames = []
    for kind, rate in zip(
        KINDS, (np.full(len(SIZES), FAILURES), real["requests"], real["projects"]), strict=True
    ):
        count = generator.poisson(rate[owner] * 12.0)
        frames.append(pd.DataFrame({"unit": np.repeat(np.arange(len(owner)), count), "kind": kind}))
    work = pd.concat(frames, ignore_index=True)
    region = owner[work["unit"]]
    size = len(work)
    priority, skill = (
        generator.choice(4, size, p=[0.1, 0.2, 0.3, 0.4]),
        generator.choice(3, size, p=SKILL_MIX),
    )
    mean = SKILL_HOURS[skill] * real["time at the machine"][region] / float(SKILL_MIX @ SKILL_HOURS)
    standard = mean * generator.gamma(1 / SCV[priority]) * SCV[priority]
    lost = (work["kind"] == "failure").to_numpy() & (generator.random(size) < MISSING)
    again = generator.random(size) < real["not fixed"][region]
    orders = pd.DataFrame(
        {
            "order_id": [f"w{i:06d}" for i in range(size)],
            "unit_id": units["unit_id"].to_numpy()[work["unit"]],
            "region_id": np.array(REGIONS)[region],
            "opened_at": START + pd.to_timedelta(generator.integers(0, 365 * 1440, size), unit="min"),
            "priority": np.array(PRIORITIES)[priority],
            "kind": work["kind"],
            "skill": np.array(SKILLS)[skill],
            "travel_hours": generator.gamma(2.0, real["travel there and back"][region] / 2.0),
            "work_hours": standard / EFFICIENCY[skill],
            "outcome": np.where(lost, "part_missing", np.where(again, "not_fixed", "fixed")),
        }
    )
    tables = {
        "products": pd.DataFrame({"product_id": ["p"], "name": ["p"], "tier": [2]}),
        "parts": pd.DataFrame({"part_id": ["a"], "name": ["a"], "unit_cost": [1.0], "lead_time_days": [9.0]}),
        "fitment": pd.DataFrame({"product_id": ["p"], "part_id": ["a"], "quantity": [1]}),
        "regions": pd.DataFrame({"region_id": REGIONS, "name": REGIONS}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", *(f"s{i}" for i in range(len(REGIONS)))],
                "name": "x",
                "region_id": [None, *REGIONS],
                "parent_id": [None, *["HQ"] * len(REGIONS)],
                "lead_time_days": [0.0, *[1.0] * len(REGIONS)],
            }
        ),
        "units": units,
        "demand": pd.DataFrame({"part_id": ["a"], "site_id": ["s0"], "month": [END], "quantity": [1]}),
        "work_orders": orders,
        "engineers": pd.DataFrame(
            {
                "region_id": np.repeat(REGIONS, 3),
                "skill": list(SKILLS) * len(REGIONS),
                "headcount": 1.0,
                "annual_cost": 1e5,
                "efficiency": np.tile(EFFICIENCY, len(REGIONS)),
            }
        ),
    }
    demand = pd.DataFrame({"part_id": ["a"], "site_id": ["s0"], "month": MONTHS[:1]})
    demand = demand.assign(from_installed_base=0.0, from_new_units=0.0)
    tables["work_orders"] = orders[~orders["region_id"].isin(REGIONS[:silent])]
    data = Dataset.from_frames(tables)
    return build_workload(data, demand, None, MONTHS, END, StaffingOptions()), real


def found(load: Workload, quantity: str) -> pd.DataFrame:
    rows = load.estimates[load.estimates["quantity"] == quantity]
    return rows.set_index("region_id").reindex(REGIONS)


QUANTITIES = ["requests", "projects", "not fixed", "time at the machine", "travel there and back"]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_estimates_have_no_bias_and_their_intervals_cover(quantity: str):
    big, inside = [], []
    for seed in range(8):
        load, real = made_up(seed)
        rows = found(load, quantity)
        big.append(np.average(rows["value"] / real[quantity], weights=SIZES) - 1)
        inside.append((rows["low"] <= real[quantity]) & (real[quantity] <= rows["high"]))
    assert abs(np.mean(big)) < 0.02
    # 64 intervals of 90 %.
    assert 0.80 <= np.mean(inside) <= 0.99


def test_regions_that_differ_more_than_kin_says_are_covered_less():
    inside = []
    for seed in range(4):
        load, real = made_up(seed, 0.4)
        rows = found(load, "requests")
        inside.append((rows["low"] <= real["requests"]) & (real["requests"] <= rows["high"]))
        # Large regions speak for themselves all the same.
        np.testing.assert_allclose(rows["value"].iloc[-2:], real["requests"][-2:], rtol=0.2)
    assert np.mean(inside) < 0.85


def test_hours_are_those_of_a_standard_engineer():
    load, _ = made_up(1)
    told = {row["name"]: row for row in load.assumptions}
    assert told["standard_hours"]["origin"].startswith("data: engineers.efficiency")
    weights = [made_up(seed)[0].skill_hours.to_numpy() for seed in range(8)]
    np.testing.assert_allclose(np.mean(weights, axis=0), SKILL_HOURS, rtol=0.06)


def test_variation_is_found_by_priority():
    # Skills differ in their means within a priority: that adds to the variation of each.
    spread = float(SKILL_MIX @ SKILL_HOURS**2) / float(SKILL_MIX @ SKILL_HOURS) ** 2
    whole = (1.0 + SCV) * spread - 1.0
    values = [made_up(seed)[0].scv.to_numpy() for seed in range(8)]
    np.testing.assert_allclose(np.mean(values, axis=(0, 1)), whole, rtol=0.08)
    # The largest region's own orders outweigh those of all ten to one, and agree.
    np.testing.assert_allclose(np.mean(values, axis=0)[-1], whole, rtol=0.12)


def test_shares_of_missing_parts_and_failed_visits_are_found():
    loads = [made_up(seed)[0].visits.reindex(REGIONS) for seed in range(8)]
    assert np.mean([load["missing"] for load in loads]) == pytest.approx(MISSING, rel=0.06)
    assert np.mean([load["missing"].iloc[-1] for load in loads]) == pytest.approx(MISSING, rel=0.06)
    assert all(load["again"].between(0.04, 0.3).all() for load in loads)


def test_orders_of_the_year_ahead_are_those_of_the_year_before():
    ratios = []
    for seed in range(8):
        load, real = made_up(seed)
        expected = load.orders[load.orders["kind"] == "request"].groupby("region_id")["orders"].sum()
        ratios.append(expected.sum() / (12.0 * (real["requests"] * SIZES).sum()))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)


def test_regions_without_records_are_named_and_lean_on_all():
    load, real = made_up(0, silent=2)
    told = {row["name"]: row for row in load.assumptions}
    assert told["regions_without_orders"]["value"] == "r0, r1"
    assert "regions_without_machines" not in told
    rows = found(load, "requests").iloc[:2]
    assert (rows["orders"] == 0).all() and (rows["own_share"] == 0).all()
    overall = (real["requests"] * SIZES).sum() / SIZES.sum()
    np.testing.assert_allclose(rows["value"], overall, rtol=0.1)
    assert found(load, "travel there and back")["value"].isna()[:2].all()
    assert "regions_without_orders" not in {row["name"] for row in made_up(0)[0].assumptions}


def test_skills_share_orders_and_standard_hours():
    loads = [made_up(seed)[0] for seed in range(4)]
    orders = np.mean([load.skill_orders.to_numpy() for load in loads], axis=(0, 1))
    np.testing.assert_allclose(orders, SKILL_MIX, atol=0.02)
    whole = SKILL_MIX * (SKILL_HOURS + 2.0)
    hours = np.mean([load.skills.to_numpy() for load in loads], axis=(0, 1))
    np.testing.assert_allclose(hours, whole / whole.sum(), atol=0.02)
    np.testing.assert_allclose(loads[0].skills.sum(axis=1), 1.0)
