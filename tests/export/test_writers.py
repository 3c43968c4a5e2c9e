"""Exports: every row in one cut, text stays text, files whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

import spareplan as sp
from spareplan.export.regional import HQ, cut_plan, full_sheets, merge_purchases, region_names
from spareplan.export.workbook import spoken
from spareplan.export.writers import csv_bytes, workbook_bytes
from spareplan.results import Plan
from tests.plans import small_plan


def test_the_cuts_of_all_regions_and_hq_add_up_to_the_plan() -> None:
    plan = small_plan()
    cuts = [cut_plan(plan, region) for region in [*region_names(plan), HQ]]
    for sheet, table, column in [
        ("levels", plan.levels.table, "value"),
        ("orders", plan.orders.table, "value"),
        ("forecast", plan.demand.table, "mean"),
        ("exceptions", plan.exceptions, "money"),
    ]:
        assert sum(cut.sheets[sheet][column].sum() for cut in cuts) == pytest.approx(table[column].sum()), (
            sheet
        )
        assert sum(len(cut.sheets[sheet]) for cut in cuts) == len(table), sheet


def test_what_leaves_a_region_is_shown_to_the_sender() -> None:
    cut = cut_plan(small_plan(), HQ)
    assert cut.sheets["shipments"]["to_site_id"].tolist() == ["上海"]
    assert cut.sheets["orders"]["kind"].tolist() == ["purchase"]


def test_purchases_of_a_part_in_a_week_become_one_line_and_keep_their_total() -> None:
    plan = small_plan()
    double = pd.concat([plan.orders.table, plan.orders.table.iloc[[0]]], ignore_index=True)
    merged = merge_purchases(replace(plan, orders=replace(plan.orders, table=double)))
    assert merged["quantity"].tolist() == [4]
    assert merged["value"].sum() == 4e5
    assert merged["arrives_on"].tolist() == [pd.Timestamp("2026-01-05") + pd.Timedelta(days=60)]


def test_text_in_a_workbook_never_becomes_a_formula_or_a_link(tmp_path: Path) -> None:
    paths = sp.export_plan(small_plan(), tmp_path)
    found = []
    for path in paths:
        for sheet in openpyxl.load_workbook(path).worksheets:
            for row in sheet.iter_rows():
                for cell in row:
                    assert cell.data_type != "f", (path.name, sheet.title, cell.coordinate)
                    assert cell.hyperlink is None
                    found.append(cell.value)
    assert "=SUM(A1:A9)" in found and "=1+1" in found and "00123" in found


def test_a_workbook_has_dates_numbers_and_text_of_the_right_kind(tmp_path: Path) -> None:
    (path,) = sp.export_plan(small_plan(), tmp_path, region="East China")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [
        "Summary",
        "Orders by week",
        "Shipments",
        "Stock levels",
        "Exceptions",
        "Forecast",
        "Inspections",
        "Engineers",
        "Assumptions",
    ]
    orders = book["Orders by week"]
    heads = [cell.value for cell in orders[1]]
    first = dict(zip(heads, [cell.value for cell in orders[2]]))
    assert first["Week"] == pd.Timestamp("2026-01-05").to_pydatetime()
    assert (first["Part"], first["Quantity"], first["Kind"]) == ("主油缸", 1, "Replenishment")
    assert orders.freeze_panes == "C2" and orders.auto_filter.ref == "A1:M2"


def test_the_forecast_of_a_workbook_has_a_column_per_month_and_keeps_its_sum(tmp_path: Path) -> None:
    plan = small_plan()
    later = plan.demand.table.assign(month=pd.Timestamp("2026-02-01"), mean=[2.0, 0.5])
    table = pd.concat([plan.demand.table, later], ignore_index=True)
    (path,) = sp.export_plan(replace(plan, demand=replace(plan.demand, table=table)), tmp_path, region="华东")
    sheet = pd.read_excel(path, sheet_name="Forecast", engine="calamine", dtype={"Part": str})
    assert sheet["Part"].tolist() == ["00123", "主油缸"]
    assert sheet[["2026-01", "2026-02"]].values.tolist() == [[1.5, 2.0], [0.25, 0.5]]
    assert sheet["Total"].tolist() == [3.5, 0.75]


def test_headers_speak_chinese_on_demand(tmp_path: Path) -> None:
    (path,) = sp.export_plan(small_plan(), tmp_path, region="华东", language="zh")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames[:2] == ["摘要", "每周订单"]
    assert [cell.value for cell in book["库存水平"][1]][:2] == ["物料编码", "物料名称"]


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for format in ("xlsx", "csv", "json"):
        one = sp.export_plan(small_plan(), tmp_path / "one", format=format)
        two = sp.export_plan(small_plan(), tmp_path / "two", format=format)
        assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two], format


def test_csv_guards_text_that_excel_would_compute() -> None:
    text = csv_bytes(pd.DataFrame({"name": ["=1+1", "@x", "plain", None], "n": [-1.5, 2, 3, 4]})).decode(
        "utf-8-sig"
    )
    assert text.splitlines() == ["name,n", "'=1+1,-1.5", "'@x,2.0", "plain,3.0", ",4.0"]
    assert csv_bytes(pd.DataFrame({"a": ["主"]})).startswith(b"\xef\xbb\xbf")


def test_json_and_parquet_hold_what_the_plan_holds(tmp_path: Path) -> None:
    plan = small_plan()
    (path,) = sp.export_plan(plan, tmp_path, region="华东", format="json")
    body = json.loads(path.read_text(encoding="utf-8"))
    assert (body["contract"], body["region_id"], body["as_of"]) == ("1.4", "华东", "2025-12-31")
    assert body["tables"]["levels"][0]["part_id"] == "00123"
    files = {path.stem: path for path in sp.export_plan(plan, tmp_path, region="华东", format="parquet")}
    levels = pd.read_parquet(files["levels"])
    assert levels["base_stock"].tolist() == [3, 1] and levels["part_name"].tolist() == ["泵", "=1+1"]


def test_regions_of_one_name_get_files_of_their_own(tmp_path: Path) -> None:
    plan = small_plan()
    sites = pd.concat(
        [plan.inputs["sites"], plan.inputs["sites"].iloc[[1]].assign(site_id="苏州", region_id="R2")],
        ignore_index=True,
    )
    regions = pd.DataFrame({"region_id": ["华东", "R2"], "name": ["East China", "EAST China"]})
    twins = replace(plan, inputs={**plan.inputs, "sites": sites, "regions": regions})
    names = [path.name for path in sp.export_plan(twins, tmp_path)]
    assert len({name.lower() for name in names}) == len(names) == 3
    assert "plan_2025-12_East_China_华东.xlsx" in names and "plan_2025-12_HQ.xlsx" in names


def test_unknown_regions_and_formats_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(sp.ExportError, match=r"no region '火星'; there are 华东 \(East China\) and HQ"):
        sp.export_plan(small_plan(), tmp_path, region="火星")
    with pytest.raises(sp.ExportError, match="'pdf' is not known"):
        sp.export_plan(small_plan(), tmp_path, format="pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spareplan.export import writers

    (path,) = sp.export_plan(small_plan(), tmp_path, region="华东")
    before = path.read_bytes()

    def full(self: object, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers.Workbook, "add_table", full)
    with pytest.raises(sp.ExportError, match="No space left"):
        sp.export_plan(small_plan(9), tmp_path, region="华东")
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before


def test_sheet_names_are_short_unique_and_legal() -> None:
    frame = pd.DataFrame({"part_id": ["a"]})
    names = ["x" * 40, "X" * 40, "a/b:c*?[d]\\", "''"]
    import io

    book = openpyxl.load_workbook(
        io.BytesIO(workbook_bytes(dict.fromkeys(names, frame), pd.Timestamp("2026-01-01")))
    )
    assert len({name.lower() for name in book.sheetnames}) == 4
    assert all(1 <= len(name) <= 31 and not set("[]:*?/\\") & set(name) for name in book.sheetnames)


def overridden_plan() -> Plan:
    """The small plan with a level, a demand and two planners' numbers of different regions."""
    plan = small_plan()
    levels = plan.levels.table.assign(model_base_stock=[2, 1, 0, 1])
    demand = plan.demand.table.assign(model_mean=[1.0, 0.25], from_override=[0.5, 0.0])
    orders = plan.orders.table.assign(model_quantity=[2, 4], issued_on=pd.Timestamp("2025-11-30"))
    listed = pd.DataFrame(
        {
            "table": ["levels", "demand", "demand"],
            "column": ["base_stock", "mean", "mean"],
            "part_id": ["00123", "00123", None],
            "site_id": ["上海", None, "HQ"],
            "region_id": [None, "华东", None],
            "month": pd.to_datetime([None, "2026-01-01", None]),
            "value": ["3", "1.5", "9"],
            "who": ["李敏", "王磊", "HQ"],
            "when": pd.Timestamp("2025-12-20"),
            "why": ["=隧道开工", "winter", "stock-taking"],
            "expires_on": pd.to_datetime(["2026-03-31", None, None]),
            "status": ["applied", "expired", "applied"],
            "rows": [1.0, float("nan"), 1.0],
            "model": ["1", "1", "4"],
            "note": ["", "counted until 2025-12-31", ""],
        }
    )
    return replace(
        plan,
        levels=replace(plan.levels, table=levels),
        demand=replace(plan.demand, table=demand),
        orders=replace(plan.orders, table=orders),
        inputs=dict(plan.inputs) | {"applied_overrides": listed},
    )


def test_a_region_sees_the_models_number_beside_the_planners_with_who_why_and_until_when(
    tmp_path: Path,
) -> None:
    plan = overridden_plan()
    (path,) = sp.export_plan(plan, tmp_path, region="华东")
    book = openpyxl.load_workbook(path)
    sheet = book["Overrides"]
    heads = [cell.value for cell in sheet[1]]
    rows = [dict(zip(heads, [cell.value for cell in row])) for row in sheet.iter_rows(min_row=2)]
    assert [row["Who"] for row in rows] == ["李敏", "王磊"], "headquarters' own is none of the region's"
    first = rows[0]
    assert (first["Model"], first["Value"], first["Why"]) == ("1", "3", "=隧道开工")
    assert first["Expires on"] == pd.Timestamp("2026-03-31").to_pydatetime()
    assert (rows[1]["Status"], rows[1]["Note"]) == ("expired", "counted until 2025-12-31")
    levels = book["Stock levels"]
    heads = [cell.value for cell in levels[1]]
    column = heads.index("Base stock") + 1
    assert heads[column] == "Base stock (model)"
    marked = levels.cell(2, column)
    assert marked.fill.start_color.rgb == "FFFFF2CC" and "Model: 1" in marked.comment.text
    assert levels.cell(3, column).comment is None
    orders = book["Orders by week"]
    assert [cell.value for cell in orders[1]].count("Quantity (model)") == 1
    forecast = pd.read_excel(path, sheet_name="Forecast", engine="calamine", dtype={"Part": str})
    assert forecast["From overrides"].tolist() == [0.5, 0.0]
    everything = cut_plan(plan, HQ).sheets["overrides"]
    assert len(everything) == 3


def test_overrides_travel_in_every_format_and_the_same_bytes_come_out(tmp_path: Path) -> None:
    plan = overridden_plan()
    (path,) = sp.export_plan(plan, tmp_path, region="华东", format="json")
    tables = json.loads(path.read_text(encoding="utf-8"))["tables"]
    assert [row["who"] for row in tables["overrides"]] == ["李敏", "王磊"]
    assert [row["model_base_stock"] for row in tables["levels"]] == [1, 1]
    one = sp.export_plan(plan, tmp_path / "one", language="zh")
    two = sp.export_plan(plan, tmp_path / "two", language="zh")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert "人工调整" in openpyxl.load_workbook(one[0]).sheetnames


def wished_plan() -> Plan:
    """The small plan with a region's own part, a third party's, a floor, and levels of the plan before."""
    plan = small_plan()
    table = plan.levels.table.assign(
        decision=["decided", "decided", "third_party", "to_confirm"],
        previous_base_stock=[2.0, 4.0, np.nan, 1.0],
        base_stock_at_least=[np.nan, 3.0, np.nan, np.nan],
        base_stock_at_most=[np.nan, np.nan, np.nan, 5.0],
        part_group=["tier 1 vital", "tier 1 vital", "tier 3", "tier 3"],
    )
    return replace(plan, levels=replace(plan.levels, table=table))


def test_floors_ceilings_steadiness_and_whose_word_a_row_is_stand_on_the_sheet_in_chinese() -> None:
    levels = full_sheets(wished_plan())["levels"]
    shown = spoken("levels", levels, "zh")
    wanted = ["上期目标库存", "目标库存下限", "目标库存上限", "决定状态", "承诺组"]
    assert set(wanted) <= set(shown.columns)
    assert shown["决定状态"].tolist() == ["已定", "已定", "第三方供应", "待区域确认"]
    plain = full_sheets(small_plan())["levels"]
    assert not {"decision", "previous_base_stock", "base_stock_at_least", "part_group"} & set(plain.columns)


def test_the_summary_says_whose_money_the_base_stock_is() -> None:
    plan = wished_plan()
    east, hq = cut_plan(plan, "华东"), cut_plan(plan, HQ)
    facts = dict(east.facts)
    assert facts["money_in_base_stock"] == 300_050.0
    assert facts["money_to_confirm"] == 50.0
    assert "money_third_party" not in facts
    assert "50 are the region's own plan" in east.lines[1]
    # Headquarters reads the facts of the whole plan.
    own = plan.levels.table["decision"] != "third_party"
    assert dict(hq.facts)["money_in_base_stock"] == plan.levels.table.loc[own, "value"].sum()
    assert dict(hq.facts)["money_to_confirm"] == 50.0
