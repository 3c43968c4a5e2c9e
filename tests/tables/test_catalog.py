"""The catalog keeps the contract, and every alias means one column only."""

from __future__ import annotations

import pandas as pd
import pytest

from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES, PLAN_TABLES
from spareplan.tables.cells import fold
from spareplan.tables.parse import parse_column
from spareplan.tables.reference import table_reference

TABLES = {**INPUT_TABLES, **OUTPUT_TABLES}
# the contract: a table, a colon, its columns; * key, ? optional
INPUT_TEXT = """
products: product_id* name tier downtime_cost_per_day? like_product?
parts: part_id* name unit_cost lead_time_days lead_time_sd_days? family? supplier? source? criticality?
  repairable_share? repair_days? min_order? pack_size? unit? expected_life_hours? shelf_life_days?
  superseded_by? last_buy_on? like_part?
fitment: product_id* part_id* quantity
regions: region_id* name area_km2? market_stage? records_from?
sites: site_id* name region_id? parent_id lead_time_days ship_weekday? capacity? lateral_pool? lateral_days?
  emergency_days? transport_cost? lateral_cost? emergency_cost? latitude? longitude?
units: unit_id* product_id site_id commissioned_on built_on? retired_on? customer_segment? latitude?
  longitude?
site_repairs: part_id* site_id* repair_share_site repair_days_site
usage: product_id* region_id* month* hours_per_unit
meter_readings: unit_id* read_on* hours
replacements: unit_id part_id replaced_on quantity? position? planned? order_id? reported_on?
demand: part_id* site_id* month* quantity one_off?
stock: part_id* site_id* on_hand reserved? in_repair? on_order? backorders? bin? reorder_point? max_stock?
open_orders: order_id* part_id from_site_id? to_site_id quantity due_on
reservations: part_id site_id due_on quantity why
sales_plan: product_id* site_id* month* units_sold units_retired?
work_orders: order_id* unit_id? region_id opened_at priority kind fault_code? skill? travel_hours? work_hours?
  responded_at? resolved_at? outcome?
engineers: region_id* skill* headcount annual_cost efficiency?
promises: priority* respond_hours resolve_hours target response_mode? clock?
targets: tier* target_fill_rate? target_wait_days? window_days? target_in_window?
calendar: region_id* date* kind
overrides: table column part_id? site_id? region_id? month? value who when why expires_on?
  withdrawn_on? withdrawn_by? withdrawn_why?
"""
RESULT_TEXT = """
DemandForecast: part_id site_id month mean variance vmr rate_cv2 q0.5 q0.8 q0.9 q0.95 q0.99
  from_installed_base from_new_units from_history from_planned method reason
PartGrades: part_id lead_time_grade value_grade abc demand_class tier criticality planner annual_value
  target_fill_rate target_wait_days reason
StockLevels: part_id site_id region_id base_stock reorder_point order_quantity demand_per_day ebo fill_rate
  mean_wait_days in_window value planner evaluation reason
Attainment: group measure promised achieved low high kept
Orders: week part_id from_site_id to_site_id quantity kind value plan priority reason
Headcount: region_id month skill required headcount gap utilisation hire train transfer_in transfer_out
  respond_p1 respond_p2 respond_p3 respond_p4 resolve_p1 resolve_p2 resolve_p3 resolve_p4
  bound_p1 bound_p2 bound_p3 bound_p4 reason
"""


def tables_of(text: str) -> dict[str, list[str]]:
    lines = text.strip().replace("\n  ", " ").splitlines()
    return {name: columns.split() for name, columns in (line.split(":") for line in lines)}


INPUTS, RESULTS = tables_of(INPUT_TEXT), tables_of(RESULT_TEXT)


@pytest.mark.parametrize("name", INPUTS)
def test_input_tables_keep_the_contract(name: str) -> None:
    table = INPUT_TABLES[name]
    wanted = INPUTS[name]
    assert table.names == [word.rstrip("*?") for word in wanted]
    assert table.keys == [word[:-1] for word in wanted if word.endswith("*")]
    # promises.target may be empty although the contract lists it plainly: 0.95 stands beside it
    optional = [word[:-1] for word in wanted if word.endswith("?")] + (
        ["target"] if name == "promises" else []
    )
    assert [column.name for column in table.columns if not column.required_column] == [
        name for name in table.names if name in optional
    ]


def test_no_table_is_beside_the_contract() -> None:
    assert set(INPUT_TABLES) == set(INPUTS)


@pytest.mark.parametrize("name", RESULTS)
def test_results_keep_the_contract(name: str) -> None:
    # columns may be added, none renamed, moved or dropped
    assert [column for column in OUTPUT_TABLES[name].names if column in RESULTS[name]] == RESULTS[name]


@pytest.mark.parametrize("name", INPUT_TABLES)
def test_an_alias_means_one_column_of_its_table(name: str) -> None:
    meant: dict[str, str] = {}
    for column in INPUT_TABLES[name].columns:
        for word in {fold(word) for word in (column.name, column.english, *column.chinese)}:
            assert meant.setdefault(word, column.name) == column.name, word


def test_an_alias_means_one_table() -> None:
    meant: dict[str, str] = {}
    for table in INPUT_TABLES.values():
        for word in {fold(word) for word in (table.name, table.english, *table.chinese)}:
            assert meant.setdefault(word, table.name) == table.name, word


def test_every_result_has_its_own_name_in_a_plan() -> None:
    assert len(PLAN_TABLES) == len(OUTPUT_TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_references_lead_to_keys_and_everything_is_said(name: str) -> None:
    for column in TABLES[name].columns:
        if column.references:
            table, label = column.references
            assert INPUT_TABLES[table].keys == [label]
        assert column.meaning and column.english and column.chinese
        for value in column.values:
            for word in (value, *column.words[value]):
                parsed = parse_column(pd.Series([word]), column)
                assert not parsed.faults
                assert str(parsed.values.iloc[0]).removesuffix(".0") == value


def test_the_reference_names_every_column_once_per_table() -> None:
    text = table_reference()
    for table in TABLES.values():
        section = text.split(f"### {table.name} · ")[1].split("\n### ")[0]
        for column in table.columns:
            name = f"**{column.name}**" if column.key else column.name
            assert section.count(f"| {name} | {column.dtype} |") == 1
