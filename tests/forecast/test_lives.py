"""What the fleet itself tells: its clock, its kind of repair, its harsh regions, its new parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.forecast.demand import forecast_demand
from spareplan.tables.dataset import Dataset
from tests.forecast.fleets import TODAY

START = pd.Timestamp("2020-01-01")


def simulate(
    seed=0, machines=120, parts=None, repaired=False, harsh=1.0, use_spread=0.0, products=("M",), **tables
):
    """Machines in a mild and a harsh region; lives in days, or in hours where use differs."""
    rng = np.random.default_rng(seed)
    parts = parts or {"P1": (2.5, 500.0)}
    born = START + pd.to_timedelta(rng.integers(0, 1400, machines), unit="D")
    rough = np.arange(machines) % 2 == 1
    per_day = np.exp(rng.normal(2.0, use_spread, machines)) if use_spread else np.ones(machines)
    units = pd.DataFrame(
        {
            "unit_id": [f"U{i:04d}" for i in range(machines)],
            "product_id": products[0],
            "site_id": np.where(rough, "S2", "S1"),
            "commissioned_on": born,
        }
    )
    rows = []
    for part, (shape, scale) in parts.items():
        for i in range(machines):
            h = harsh if rough[i] else 1.0
            age, horizon = 0.0, float((TODAY - born[i]).days) * per_day[i]
            while True:
                if repaired:
                    age = scale * ((age / scale) ** shape + rng.exponential() / h) ** (1 / shape)
                else:
                    age += scale * (rng.exponential() / h) ** (1 / shape)
                if age >= horizon:
                    break
                rows.append((units["unit_id"][i], part, born[i] + pd.Timedelta(days=age / per_day[i])))
    events = pd.DataFrame(rows, columns=["unit_id", "part_id", "replaced_on"])
    events["replaced_on"] = events["replaced_on"].dt.normalize()
    frames = {
        "products": pd.DataFrame({"product_id": list(products), "name": "m", "tier": 2}),
        "parts": pd.DataFrame(
            {"part_id": list(parts), "name": "p", "unit_cost": 10.0, "lead_time_days": 30.0}
        ),
        "fitment": pd.DataFrame({"product_id": products[0], "part_id": list(parts), "quantity": 1}),
        "units": units,
        "replacements": events,
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "S1", "S2"],
                "name": "s",
                "region_id": [None, "mild", "harsh"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 5.0, 5.0],
            }
        ),
        "regions": pd.DataFrame({"region_id": ["mild", "harsh"], "name": "r", "records_from": START}),
    }
    if use_spread:
        days = (TODAY - born).days.to_numpy()
        frames["meter_readings"] = pd.DataFrame(
            {"unit_id": units["unit_id"], "read_on": TODAY, "hours": days * per_day}
        )
    return Dataset.from_frames(frames | tables)


def note(result, name):
    rows = result.assumptions[result.assumptions["name"] == name]
    return rows.iloc[0] if len(rows) else None


def test_machines_used_differently_show_that_parts_age_by_hours():
    result = forecast_demand(simulate(1, parts={"P1": (2.5, 4000.0)}, use_spread=0.6), as_of=TODAY)
    law = result.lifetimes.iloc[0]
    assert law["clock"] == "hours"
    assert law["shape"] == pytest.approx(2.5, rel=0.15)
    assert law["scale"] == pytest.approx(4000, rel=0.1)


def test_parts_that_age_in_any_case_keep_the_calendar_though_hours_are_known():
    data = simulate(2, parts={"P1": (2.5, 500.0)})
    rng = np.random.default_rng(0)
    days = (TODAY - data.units["commissioned_on"]).dt.days
    hours = days * np.exp(rng.normal(2.0, 0.7, len(days)))
    meter = pd.DataFrame({"unit_id": data.units["unit_id"], "read_on": TODAY, "hours": hours})
    result = forecast_demand(data.with_tables(meter_readings=meter), as_of=TODAY)
    assert result.lifetimes["clock"].iloc[0] == "days"
    wished = forecast_demand(
        data.with_tables(meter_readings=meter), as_of=TODAY, options=ForecastOptions(clock="hours")
    )
    assert wished.lifetimes["clock"].iloc[0] == "hours"


@pytest.mark.parametrize("repaired", [True, False])
def test_assemblies_that_repair_does_not_renew_are_recognised(repaired):
    data = simulate(3, parts={"P1": (2.0, 450.0)}, repaired=repaired, machines=150)
    result = forecast_demand(data, as_of=TODAY)
    assert (result.lifetimes["kind"] == "repaired").all() == repaired
    assert result.lifetimes["shape"].iloc[0] == pytest.approx(2.0, rel=0.12)
    if repaired:
        # Power law: every machine goes on failing by its own age.
        age = (TODAY - data.units["commissioned_on"]).dt.days + 1
        expected = (((age + 365) / 450) ** 2 - (age / 450) ** 2).sum()
        assert result.lead_time_demand(365)["mean"].sum() == pytest.approx(expected, rel=0.12)
        assert note(result, "parts whose failures do not renew them")["value"] == "1"


def test_a_harsh_region_wears_its_parts_faster():
    parts = {f"P{i}": (2.0, 700.0) for i in range(4)}
    result = forecast_demand(simulate(4, parts=parts, harsh=2.5, machines=160), as_of=TODAY)
    assert note(result, "groups of machines that wear faster or slower") is not None
    site = result.lead_time_demand(90).groupby("site_id")["mean"].sum()
    # A hazard 2.5 times as high makes lives shorter by the square root, and renewals more frequent so.
    assert 1.35 < site["S2"] / site["S1"] < 2.0
    same = forecast_demand(simulate(4, parts=parts, harsh=1.0, machines=160), as_of=TODAY)
    assert note(same, "groups of machines that wear faster or slower") is None


def test_a_new_part_takes_the_life_of_the_part_it_is_like():
    data = simulate(5, parts={"P1": (2.5, 300.0), "P2": (2.5, 2000.0)}, products=("M", "N"))
    parts = pd.concat([data.parts, data.parts.iloc[:1].assign(part_id="NEW")], ignore_index=True)
    fitment = pd.DataFrame({"product_id": ["M", "M", "N"], "part_id": ["P1", "P2", "NEW"], "quantity": 1})
    plan = pd.DataFrame(
        {"product_id": "N", "site_id": "S1", "month": pd.Timestamp("2026-02-01"), "units_sold": [50]}
    )
    year = {}
    for like in ("P1", "P2"):
        named = parts.assign(like_part=[None, None, like])
        keep = ["part_id", "name", "unit_cost", "lead_time_days", "like_part"]
        result = forecast_demand(
            data.with_tables(parts=named[keep], fitment=fitment, sales_plan=plan), months=24, as_of=TODAY
        )
        new = result.table[result.table["part_id"] == "NEW"]
        assert np.isfinite(new["mean"]).all()
        year[like] = new["mean"].sum()
        assert result.lifetimes.set_index("part_id").loc["NEW", "like_part"] == like
    assert year["P1"] > 2 * year["P2"]


def test_a_product_that_is_only_to_be_sold_is_used_like_its_tier():
    data = simulate(6, parts={"P1": (2.0, 3000.0)}, products=("M", "N"))
    months = pd.date_range("2020-01-01", "2025-12-01", freq="MS")
    usage = pd.concat(
        [
            pd.DataFrame({"product_id": "M", "region_id": r, "month": months, "hours_per_unit": 150.0})
            for r in ("mild", "harsh")
        ]
    )
    fitment = pd.DataFrame({"product_id": ["M", "N"], "part_id": "P1", "quantity": 1})
    plan = pd.DataFrame(
        {"product_id": "N", "site_id": "S1", "month": pd.Timestamp("2026-02-01"), "units_sold": [40]}
    )
    result = forecast_demand(
        data.with_tables(usage=usage, fitment=fitment, sales_plan=plan),
        as_of=TODAY,
        options=ForecastOptions(clock="hours"),
    )
    assert result.lifetimes["clock"].iloc[0] == "hours"
    assert note(result, "usage of N in mild")["value"] == "as M"
    assert result.table["from_new_units"].sum() > 0
