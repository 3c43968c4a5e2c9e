"""Engineers in the exports: headquarters sees every region, a region its own rows and nobody else's."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

import spareplan as sp
from spareplan.export.contract import CONTRACT_VERSION, ENGINEER_SHEETS, HQ_ENGINEER_SHEETS, SHEETS
from spareplan.export.engineers import engineer_frames
from spareplan.export.regional import HQ, cut_plan, full_sheets
from spareplan.export.workbook import spoken
from spareplan.results import Plan
from spareplan.staffing.bases import BASE_COLUMNS
from spareplan.staffing.cures import REPAIR_COLUMNS, STOCK_COLUMNS
from spareplan.staffing.night import NIGHT_COLUMNS
from spareplan.tables.catalog import OUTPUT_TABLES
from tests.plans import small_plan
from tests.staffing.test_headcount import size

PINNED = Path(__file__).parents[1] / "oracles" / "export_contract_1_4.csv"
MONTH = pd.Timestamp("2026-03-01")
# Rows only where a promise is broken, with shifts, or after a search.
RARE = {
    "stock_cures": STOCK_COLUMNS,
    "repair_cures": REPAIR_COLUMNS,
    "base_cures": BASE_COLUMNS,
    "nights": NIGHT_COLUMNS,
    "shortages": ["region_id", "month", "skill", "people", "cost", "reason"],
    "inspections": ["region_id", "month", "due", "planned", "reason"],
    "attained": [
        "region_id",
        "month",
        "priority",
        "measure",
        "promised",
        "planned",
        "achieved",
        "low",
        "high",
        "kept",
    ],
    "searched": ["region_id", "month", "formula", "searched", "looked_at", "orders", "reason"],
}


def moves() -> pd.DataFrame:
    """East hires, borrows from North and works overtime; North takes over one of South's."""
    return pd.DataFrame(
        {
            "region_id": ["华东", "华东", "华东", "华北"],
            "month": MONTH,
            "skill": ["junior", "senior", "expert", "senior"],
            "action": ["hire", "lend", "overtime", "move"],
            "people": [2.0, 0.25, 0.1, 1.0],
            "cost": [19_000.0, 900.0, 300.0, 5_000.0],
            "other_region_id": [None, "华北", None, "华南"],
            "reason": ["5.1 needed", "secret of the East: 3.2 needed", "1.2 needed", "4 needed"],
        }
    )


def manned_plan() -> Plan:
    """The small plan with engineers of three regions in every frame that cuts differ by."""
    plan = small_plan()
    regions = ["华东", "华北", "华南"]
    table = pd.concat([plan.crew.table.assign(region_id=region) for region in regions], ignore_index=True)
    each = pd.DataFrame({"region_id": regions, "reason": [f"of {region}" for region in regions]})
    crew = replace(
        plan.crew,
        table=table,
        regions=each.assign(
            month=MONTH, machines=[40.0, 20, 10], required=3.0, present=2.0, gap=1.0,
            decides=["waits", "hours", "nothing"], cause=["P1 repair, P2 parts", "none", "P3 reach"],
        ),
        places=pd.DataFrame(
            {"region_id": regions, "effective_km2": [5e4, 6e4, np.nan], "latitude": 30.0, "longitude": 120.0}
        ),
        moves=moves(),
        shortages=each.assign(month=MONTH, skill="expert", people=0.5, cost=9_000.0),
        stock_cures=each.assign(priority="P1", part_id="00123", site_id="上海", pieces=2, money=2e5),
        towns=pd.DataFrame({"region_id": regions, "cluster": 1, "units": 9.0}),
        nights=pd.DataFrame({"priority": ["P1", "P2"], "served": ["any hour", "on shift"], "reason": "x"}),
        alternatives=pd.DataFrame({"name": ["plan", "hire only"], "cost": [1.0, 2.0], "reason": "x"}),
        benchmark=each.assign(units=9.0, engineers=2.0, flag="too_few_regions"),
        shifts=pd.DataFrame({"place": ["desk"], "start": 7, "end": 15, "days": "Mon Tue", "people": 1}),
        desk=pd.DataFrame({"weekday": [0], "hour": [9], "calls_per_hour": [1.5], "required": 1, "people": 1}),
    )  # fmt: skip
    return replace(plan, crew=crew)


def test_headquarters_reads_every_row_and_a_region_its_own() -> None:
    plan = manned_plan()
    hq = cut_plan(plan, HQ).sheets
    assert {name for name in hq if name.startswith("engineers_")} == set(engineer_frames(plan.crew))
    assert set(HQ_ENGINEER_SHEETS) & set(hq) == {
        "engineers_alternatives", "engineers_benchmark", "engineers_shifts", "engineers_desk",
    }  # fmt: skip
    cuts = {region: cut_plan(plan, region).sheets for region in ("华东", "华北", "华南")}
    for region, sheets in cuts.items():
        assert not set(HQ_ENGINEER_SHEETS) & set(sheets), region
        for name in ENGINEER_SHEETS:
            if name in sheets and "region_id" in sheets[name]:
                assert set(sheets[name]["region_id"]) == {region}, name
    for name in ("engineers_regions", "engineers_shortages", "engineers_stock_cures", "engineers_towns"):
        assert sum(len(sheets[name]) for sheets in cuts.values()) == len(hq[name]) == 3
    assert cuts["华东"]["engineers_nights"].equals(hq["engineers_nights"])


def test_a_region_that_gives_is_told_whom_and_to_whom_and_nothing_of_the_others_need() -> None:
    plan = manned_plan()
    north = cut_plan(plan, "华北").sheets["engineers_moves"].set_index("action")
    assert north.index.tolist() == ["lend_out", "move"]
    assert north.loc["lend_out", ["other_region_id", "people"]].tolist() == ["华东", 0.25]
    assert "secret" not in "".join(north["reason"])
    south = cut_plan(plan, "华南").sheets["engineers_moves"]
    assert south[["action", "other_region_id"]].values.tolist() == [["move_out", "华北"]]
    cuts = [cut_plan(plan, region).sheets["engineers_moves"] for region in ("华东", "华北", "华南")]
    assert sum(cut["cost"].sum() for cut in cuts) == moves()["cost"].sum()
    assert len(cut_plan(plan, HQ).sheets["engineers_moves"]) == len(moves())


def test_sheets_without_rows_are_left_out() -> None:
    plain = full_sheets(small_plan())
    assert not [name for name in plain if name.startswith("engineers_")]
    assert not [name for name in full_sheets(replace(small_plan(), crew=None)) if "engineers_" in name]
    assert "engineers_base_cures" not in cut_plan(manned_plan(), HQ).sheets


def test_the_summary_of_a_region_tells_its_engineers_in_its_fullest_month() -> None:
    lines = cut_plan(manned_plan(), "华北").lines
    assert "Engineers: 2 today, 3 required in 2026-03, the fullest month: of 华北." in lines
    assert "0.5 person-months of engineers stay missing, priced at 9,000." in lines
    assert not [line for line in cut_plan(small_plan(), "华东").lines if line.startswith("Engineers")]


def test_the_facts_count_engineers_of_the_fullest_month() -> None:
    plan = manned_plan()
    later = plan.crew.table.assign(month=MONTH, required=5.0)
    table = pd.concat([plan.crew.table, later], ignore_index=True)
    facts = dict(cut_plan(replace(plan, crew=replace(plan.crew, table=table)), "华北").facts)
    assert (facts["engineers_required_most"], facts["engineers_present"]) == (5.0, 2.0)


def test_over_http_a_region_reads_its_own_engineers_and_headquarters_all(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from spareplan.export.http import create_app

    store = sp.PlanStore(f"sqlite:///{tmp_path / 'plans.db'}")
    version = store.save(manned_plan(), "planner")
    store.approve(version, "HQ")
    store.issue(version, "HQ")
    hq = {"Authorization": f"Bearer {store.make_token('hq', 'hq', ())}"}
    two = {"Authorization": f"Bearer {store.make_token('two', 'region', ('华北', '华南'))}"}
    with TestClient(create_app(store)) as client:
        path = f"/versions/{version}/tables"
        seen = client.get(path, headers=two).json()["tables"]
        assert not set(HQ_ENGINEER_SHEETS) & set(seen) and seen["engineers_nights"]["rows"] == 2
        for name in seen:
            rows = client.get(f"{path}/{name}", headers=two).json()["rows"]
            assert {row.get("region_id", "华北") for row in rows} <= {"华北", "华南"}, name
        assert client.get(f"{path}/engineers_moves", headers=hq).headers["X-Total-Count"] == "4"
        assert client.get(f"{path}/engineers_alternatives", headers=two).status_code == 404
    store.close()


def test_where_the_work_is_stands_beside_each_region() -> None:
    sheet = full_sheets(manned_plan())["engineers_regions"].set_index("region_id")
    assert sheet.loc["华北", ["effective_km2", "latitude"]].tolist() == [6e4, 30.0]
    assert np.isnan(sheet.loc["华南", "effective_km2"]) and sheet["clusters"].isna().all()


def test_codes_speak_chinese_and_priorities_stay() -> None:
    sheets = full_sheets(manned_plan())
    shown = spoken("engineers_regions", sheets["engineers_regions"], "zh")
    assert shown["未达成承诺及原因"].tolist() == ["P1 维修, P2 备件", "无", "P3 距离"]
    assert shown["决定因素"].tolist() == ["等待时间", "工作量", "无工单"]
    told = spoken("engineers_moves", sheets["engineers_moves"], "zh")
    assert told["措施"].tolist() == ["招聘", "借入", "加班", "调入"]
    english = spoken("engineers_moves", sheets["engineers_moves"], "en")
    assert english["Action"].tolist() == ["Hire", "Borrow", "Overtime", "Take over"]
    assert spoken("engineers_shifts", sheets["engineers_shifts"], "zh")["工作日"].tolist() == ["周一 周二"]
    assert spoken("engineers_regions", sheets["engineers_regions"], "en")["Broken promises"][0].startswith(
        "P1 r"
    )


def test_a_workbook_shows_engineers_with_dates_shares_and_a_frozen_head(tmp_path: Path) -> None:
    (path,) = sp.export_plan(manned_plan(), tmp_path, region="华北")
    book = openpyxl.load_workbook(path)
    assert {"Engineers by region", "Engineer moves", "Engineers missing", "Cures by stock"} <= set(
        book.sheetnames
    )
    sheet = book["Engineer moves"]
    heads = [cell.value for cell in sheet[1]]
    first = dict(zip(heads, sheet[2], strict=True))
    assert (first["Action"].value, first["Other region"].value) == ("Lend out", "华东")
    assert first["Month"].number_format == "yyyy-mm" and first["People"].number_format == "#,##0.00"
    assert sheet.freeze_panes == "C2" and sheet.auto_filter.ref == "A1:H3"
    cures = book["Cures by stock"]
    assert [cell.value for cell in cures[2]][:7] == ["华北", "P1", "00123", "泵", "上海", "上海站", 2]
    (zh,) = sp.export_plan(manned_plan(), tmp_path / "zh", region="HQ", language="zh")
    assert {"各大区工程师", "工程师调配计划", "服务台班次"} <= set(openpyxl.load_workbook(zh).sheetnames)


def test_json_and_csv_carry_the_same_rows(tmp_path: Path) -> None:
    (path,) = sp.export_plan(manned_plan(), tmp_path, region="华东", format="json")
    tables = json.loads(path.read_text(encoding="utf-8"))["tables"]
    assert [row["action"] for row in tables["engineers_moves"]] == ["hire", "lend", "overtime"]
    files = {file.stem: file for file in sp.export_plan(manned_plan(), tmp_path, region="华东", format="csv")}
    written = pd.read_csv(files["engineers_moves"], encoding="utf-8-sig")
    assert written["Action"].tolist() == ["Hire", "Borrow", "Overtime"]


def test_the_frames_of_a_real_head_count_have_the_columns_of_the_contract() -> None:
    sized = engineer_frames(size(simulate_orders=300, search_by_simulation="none", plan_alternatives=False))
    wanted = {*ENGINEER_SHEETS, *HQ_ENGINEER_SHEETS} - {f"engineers_{name}" for name in RARE}
    assert set(sized) >= wanted
    for name, frame in sized.items():
        columns = [column for column in SHEETS[name] if not column.endswith("_name")]
        assert [column for column in columns if column not in frame] == [], name


@pytest.mark.parametrize("name", RARE)
def test_frames_that_are_often_empty_have_the_columns_of_the_contract(name: str) -> None:
    assert sorted(OUTPUT_TABLES[f"Headcount.{name}"].names) == sorted(RARE[name])


def test_no_column_of_the_contract_was_renamed_moved_or_dropped() -> None:
    assert CONTRACT_VERSION == "1.4"
    with PINNED.open(encoding="utf-8") as file:
        pinned = {row["sheet"]: row["columns"].split(" ") for row in csv.DictReader(file)}
    for sheet, columns in pinned.items():
        assert [column for column in SHEETS[sheet] if column in columns] == columns, sheet
