"""Region-months as rows of the queue model: visits, their variation, where they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import StaffingOptions
from spareplan.staffing.model import RegionModel, region_rows
from spareplan.staffing.places import Places, find_places
from spareplan.staffing.region_travel import region_travel
from spareplan.staffing.teams import Teams
from spareplan.staffing.workload import Workload, build_workload
from spareplan.tables.dataset import Dataset
from tests.staffing.test_headcount import AS_OF, MONTHS, demand, frames

REGIONS = pd.Index(["华东", "新疆"])


def build(changes: dict | None = None, **options) -> tuple[RegionModel, Workload]:
    tables = frames() | (changes or {})
    data = Dataset.from_frames({name: table for name, table in tables.items() if table is not None})
    chosen = StaffingOptions(**options)
    load = build_workload(data, demand().table, None, MONTHS, AS_OF, chosen)
    regions = pd.Index(sorted(data.regions["region_id"]))
    return region_rows(data, load, Teams(data.engineers, regions), MONTHS, chosen), load


def told(model: RegionModel, load: Workload) -> dict[str, dict]:
    return {row["name"]: row for row in [*load.assumptions, *model.notes]}


def test_every_visit_made_with_the_part_may_fail_anew():
    model, load = build(part_known_share=0.25)
    shares = load.visits
    orders = load.months.groupby("region_id")["orders"].sum()
    failures = load.orders[load.orders["kind"] == "failure"].groupby("region_id")["orders"].sum()
    for place, region in enumerate(REGIONS):
        own = slice(place * len(MONTHS), (place + 1) * len(MONTHS))
        lost = 0.75 * shares.loc[region, "missing"] * failures[region]
        expected = orders[region] / (1.0 - shares.loc[region, "again"]) + lost
        assert model.hours["visits"][own].sum() == pytest.approx(expected)
    grid = load.work_hours.to_numpy()
    cube = load.orders.pivot_table("orders", ["region_id", "kind"], "priority", "sum")
    order = ["failure", "request", "project", "inspection"]
    for region, at_work in zip(REGIONS, model.hours["on_site"].reshape(2, -1).sum(axis=1), strict=True):
        mended = (cube.loc[region].loc[order].to_numpy() * grid).sum() * shares.loc[region, "hours_factor"]
        lost = 0.75 * shares.loc[region, "missing"] * failures[region]
        assert at_work == pytest.approx(mended / (1 - shares.loc[region, "again"]) + lost * 1.0)


def test_the_variation_of_a_visit_is_that_of_drawn_visits():
    model, _ = build()
    rows, repairs, row = model.rows, model.repairs, 3
    generator = np.random.default_rng(0)
    size = 400_000
    k = generator.choice(4, size, p=rows.rates[row] / rows.rates[row].sum())
    lost = generator.random(size) < (repairs.missing / repairs.visits)[row, k]
    scv = repairs.scv[row, k]
    work = np.where(
        lost,
        generator.exponential(repairs.diagnose, size),
        generator.gamma(1 / scv) * scv * repairs.work[row, k],
    )
    back = model.hours["back"][row]
    whole = work + back + generator.choice(rows.spread[rows.place[row], 0], size)
    assert rows.scv[row] == pytest.approx(whole.var() / whole.mean() ** 2, rel=0.02)


def test_kinds_of_unlike_length_vary_more_than_each_kind():
    table = frames()["work_orders"]
    long = table.assign(work_hours=np.where(table["kind"] == "request", 20.0, 1.0))
    model, load = build({"work_orders": long})
    # Each kind takes the same time every time.
    assert (load.scv.to_numpy() < 0.25).all()
    assert (model.repairs.scv > 1.0).all()


def test_places_are_told_for_every_region():
    model, load = build()
    assert model.places["region_id"].tolist() == list(REGIONS)
    assert (model.places["evidence"] == "machines").all()
    assert (model.places["hull_km2"] < model.places["area_km2"]).all()
    assert model.places["mean_drive_hours"].gt(0).all()
    assert model.clusters["units"].sum() == 120
    assert told(model, load)["travel_from_machines"]["value"] == "2 of 2 regions"
    # Recorded there and back, half of it the way out.
    out = load.visits["travel_hours"].to_numpy() / 2
    np.testing.assert_allclose(model.places["mean_drive_hours"], out)


def test_machines_that_left_say_nothing_of_the_work_ahead():
    units = frames()["units"].assign(retired_on=pd.NaT)
    gone = units["unit_id"].isin(units["unit_id"][:45])
    units.loc[gone, "retired_on"] = AS_OF
    # 500 km off, and out of service.
    units.loc[gone, "latitude"] += 5.0
    model, _ = build({"units": units})
    assert model.places["units"].tolist() == [45, 30]
    assert model.places["latitude"].max() < 31


def test_what_no_record_tells_is_named_region_by_region():
    tables = frames()
    blind = tables["units"].drop(columns=["latitude", "longitude"])
    orders = tables["work_orders"].drop(columns="travel_hours")
    model, load = build({"units": blind, "work_orders": orders})
    assert told(model, load)["travel_from_area"]["value"] == "华东, 新疆"
    assert "over-states" in told(model, load)["travel_from_area"]["meaning"]
    bare = tables["regions"].drop(columns="area_km2")
    model, load = build({"units": blind, "work_orders": orders, "regions": bare})
    assert told(model, load)["travel_unknown"]["value"] == "华东, 新疆"
    assert told(model, load)["travel_unknown"]["origin"] == "default"
    east = orders[orders["region_id"] == "华东"]
    kept = tables["replacements"][tables["replacements"]["order_id"].isin(east["order_id"])]
    model, load = build({"work_orders": east, "replacements": kept})
    assert told(model, load)["regions_without_orders"]["value"] == "新疆"
    assert (model.rows.rates[len(MONTHS) :].sum(axis=1) > 0).all()


def test_every_estimate_says_where_it_comes_from():
    model, load = build()
    bare = frames()["work_orders"][["order_id", "region_id", "opened_at", "priority", "kind"]]
    empty = build({"work_orders": bare, "replacements": None, "engineers": None, "demand": history()})
    rich, poor = told(model, load), told(*empty)
    names = {"not_fixed_share", "part_missing_share", "part_order_share", "work_hours", "skill_shares"}
    assert all(rich[name]["origin"].startswith("estimated") for name in names)
    assert all(poor[name]["origin"] == "default" for name in names)
    assert poor["work_scv"]["origin"] == "default"
    assert {"hour_profile", "request_season", "project_season", "follow_ups_recorded"} <= set(rich) & set(
        poor
    )


def history() -> pd.DataFrame:
    return pd.DataFrame({"part_id": ["007"], "site_id": ["010"], "month": [AS_OF], "quantity": [1]})


def test_slow_crews_are_not_counted_slow_twice():
    halved = frames()["engineers"].assign(efficiency=0.5)
    slow, _ = build({"engineers": halved})
    standard, _ = build({"engineers": halved}, recorded_hours="standard")
    np.testing.assert_allclose(slow.repairs.work * 2, standard.repairs.work)


def crowd(regions: list[str]) -> Places:
    """Regions with the same machines."""
    points = np.random.default_rng(3).uniform(0, 900, (200, 2))
    units = pd.DataFrame({"site_id": "s"}, index=range(200))
    units = units.assign(latitude=30 + points[:, 1] / 111.2, longitude=110 + points[:, 0] / 96.3)
    units = pd.concat([units.assign(region_id=region) for region in regions], ignore_index=True)
    none = pd.DataFrame(columns=["site_id", "region_id", "latitude", "longitude"])
    return find_places(pd.Index(regions), units, none, pd.Series(dtype=float))


def test_drives_without_records_are_those_of_a_crew_that_carries_the_work():
    places, drives = crowd(["far"]), []
    for engineers in (2, 20, 200):
        arguments = (np.array([np.nan]), np.array([0.8]), np.array([2.0]), np.array([engineers]))
        drives.append(region_travel(pd.Index(["far"]), places, *arguments, StaffingOptions())[4][0])
    # Two cannot carry it: told are the drives of as many as can, not those of an endless queue.
    assert drives[0] == pytest.approx(drives[1], rel=0.15)
    assert drives[2] < 0.6 * drives[1]


def test_regions_without_recorded_drives_learn_from_those_with_some():
    names = [f"r{i}" for i in range(8)]
    places, every = crowd(names), np.ones(8)

    def drives(recorded: np.ndarray) -> tuple[np.ndarray, set[str]]:
        crew = np.full(8, 40)
        told = region_travel(
            pd.Index(names), places, recorded, 0.3 * every, 2.0 * every, crew, StaffingOptions()
        )
        return told[4], {row["name"] for row in told[5]}

    plain, words = drives(np.full(8, np.nan))
    assert "travel_factor" not in words
    # Half of what is recorded is the way out; on these roads everybody takes twice as long as reckoned.
    recorded = np.where(np.arange(8) < 7, 4.0 * plain, np.nan)
    slow, words = drives(recorded)
    assert "travel_factor" in words
    np.testing.assert_allclose(slow[:7], 2.0 * plain[:7])
    assert slow[7] == pytest.approx(2.0 ** (7 / 8) * plain[7], rel=0.1)
