"""Faulty plain tables: whatever is wrong together, every fault is named at once, and nothing sound is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels

SITES = [f"S{n}" for n in range(8)]
PARTS = [f"P{n}" for n in range(6)]


def sound():
    """Four sound tables of eight sites and six parts, keyed by name, as objects so that anything fits in."""
    grid = pd.MultiIndex.from_product([PARTS, SITES], names=["part_id", "site_id"]).to_frame(index=False)
    tables = {
        "sites": pd.DataFrame(
            {"site_id": SITES, "parent_id": [None, "S0", "S0", "S1", "S1", "S2", "S2", "S2"],
             "lead_time_days": [0.0, *np.arange(1.0, 8)]}
        ),
        "parts": pd.DataFrame(
            {"part_id": PARTS, "lead_time_days": 30.0, "repairable_share": 0.2, "repair_days": 5.0}
        ),
        "rates": grid.assign(demand_per_day=0.1, vmr=1.0, repair_share_site=0.1, repair_days_site=2.0),
        "levels": grid.assign(base_stock=2),
    }  # fmt: skip
    return {name: frame.astype(object) for name, frame in tables.items()}


# Table, row, column, what is written there, and the column that is blamed.
CELLS = [
    ("sites", 3, "lead_time_days", None, "lead_time_days"),
    ("sites", 4, "lead_time_days", -1.0, "lead_time_days"),
    ("sites", 0, "lead_time_days", 3.0, "lead_time_days"),
    ("sites", 5, "parent_id", "nowhere", "parent_id"),
    ("sites", 7, "parent_id", "S7", "parent_id"),
    ("parts", 0, "lead_time_days", np.nan, "lead_time_days"),
    ("parts", 1, "lead_time_days", -3.0, "lead_time_days"),
    ("parts", 2, "repairable_share", 1.5, "repairable_share"),
    ("parts", 3, "repair_days", None, "repair_days"),
    ("rates", 0, "part_id", "P77", "part_id"),
    ("rates", 1, "site_id", "S77", "site_id"),
    ("rates", 2, "demand_per_day", np.nan, "demand_per_day"),
    ("rates", 3, "demand_per_day", -0.1, "demand_per_day"),
    ("rates", 4, "demand_per_day", np.inf, "demand_per_day"),
    ("rates", 5, "demand_per_day", "often", "demand_per_day"),
    ("rates", 6, "vmr", -1.0, "vmr"),
    ("rates", 7, "repair_share_site", 2.0, "repair_share_site"),
    ("rates", 8, "repair_days_site", None, "repair_days_site"),
    ("levels", 10, "part_id", "P77", "part_id"),
    ("levels", 11, "site_id", None, "site_id"),
    ("levels", 12, "base_stock", -1, "base_stock"),
    ("levels", 13, "base_stock", 1.5, "base_stock"),
    ("levels", 14, "base_stock", None, "base_stock"),
    ("levels", 15, "base_stock", "two", "base_stock"),
]
DOUBLES = {"sites": "site_id", "parts": "part_id", "rates": "part_id", "levels": "part_id"}


def faults_of(tables):
    with pytest.raises(DataError) as caught:
        evaluate_levels(tables["sites"], tables["parts"], tables["rates"], tables["levels"])
    problems = caught.value.problems
    assert (problems["rule"].str.len() > 0).all() and (problems["remedy"].str.len() > 0).all()
    return problems, set(zip(problems["table"], problems["row"], problems["column"]))


@settings(max_examples=60, deadline=None)
@drawn(
    cells=st.sets(st.integers(0, len(CELLS) - 1), max_size=6),
    doubles=st.sets(st.sampled_from(sorted(DOUBLES)), max_size=2),
    lost=st.sampled_from([None, None, ("rates", "demand_per_day"), ("parts", "lead_time_days")]),
)
def test_every_fault_of_any_mixture_is_named_and_nothing_else(cells, doubles, lost):
    tables, expected = sound(), set()
    for cell in cells:
        table, row, column, value, blamed = CELLS[cell]
        if lost == (table, column):
            continue
        tables[table].loc[row, column] = value
        expected.add((table, row + 2, blamed))
        if value is None and column == "site_id":
            # An empty key is no key either.
            expected.add((table, row + 2, "part_id"))
    for table in doubles:
        frame = tables[table]
        tables[table] = pd.concat([frame, frame.tail(1)], ignore_index=True)
        expected.add((table, len(frame) + 2, DOUBLES[table]))
    if "sites" in doubles:
        # Without one row per site nobody can tell who goes round in a circle; the copy of S7 has its parent.
        expected.discard(("sites", 9, "parent_id"))
    if lost:
        tables[lost[0]] = tables[lost[0]].drop(columns=lost[1])
        expected.add((lost[0], 0, lost[1]))
    if not expected:
        evaluate_levels(*tables.values())
        return
    _, found = faults_of(tables)
    assert found == expected


def test_lost_columns_of_all_tables_are_named_together_with_what_else_is_wrong():
    tables = sound()
    tables["sites"] = tables["sites"].drop(columns="parent_id")
    tables["levels"] = tables["levels"].drop(columns="base_stock")
    tables["rates"].loc[3, "demand_per_day"] = -1.0
    tables["parts"].loc[2, "lead_time_days"] = np.nan
    tables["rates"].loc[9, "site_id"] = "S77"
    _, found = faults_of(tables)
    assert found == {
        ("sites", 0, "parent_id"), ("levels", 0, "base_stock"), ("rates", 5, "demand_per_day"),
        ("parts", 4, "lead_time_days"), ("rates", 11, "site_id"),
    }  # fmt: skip


def test_two_headquarters_and_a_circle_are_told_at_once():
    tables = sound()
    tables["sites"].loc[1, "parent_id"] = None
    tables["sites"].loc[[5, 6], "parent_id"] = ["S6", "S5"]
    problems, found = faults_of(tables)
    assert {("sites", 0, "parent_id"), ("sites", 7, "parent_id"), ("sites", 8, "parent_id")} <= found
    told = " ".join(problems["rule"])
    assert "exactly one" in told and "circle" in told


def test_empty_tables_are_refused_or_are_no_demand():
    tables = sound()
    none = {name: frame.head(0) for name, frame in tables.items()}
    _, found = faults_of({**tables, "sites": none["sites"]})
    assert ("sites", 0, "") in found
    assert len(evaluate_levels(tables["sites"], tables["parts"], none["rates"], tables["levels"])) == 0
    bare = evaluate_levels(tables["sites"], tables["parts"], tables["rates"], none["levels"])
    assert (bare["base_stock"] == 0).all() and len(bare) == 48


def test_messages_name_table_row_column_value_and_the_way_out():
    tables = sound()
    tables["rates"].loc[7, "part_id"] = "P-77"
    problems, _ = faults_of(tables)
    with pytest.raises(DataError) as caught:
        evaluate_levels(*tables.values())
    assert "rates[row 9].part_id = 'P-77': is not in parts; add the part or drop the row" in str(caught.value)
    assert list(problems["value"]) == ["P-77"]


def test_more_pieces_on_order_than_a_law_is_laid_out_for_are_refused_by_part_and_row():
    from spareplan.stocking import solve_levels

    tables = sound()
    rates = tables["rates"].copy()
    worst = rates.index[(rates["part_id"] == "P2") & (rates["site_id"] == "S5")][0]
    rates.loc[worst, "demand_per_day"] = 1e6
    parts = tables["parts"].assign(unit_cost=10.0)
    targets = pd.DataFrame({"site_id": ["S5"], "target_fill_rate": [0.9]})
    with pytest.raises(DataError, match="pieces of P2 on order") as refused:
        solve_levels(tables["sites"], parts, rates, targets)
    problem = refused.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("rates", worst + 2, "demand_per_day")
    assert len(refused.value.problems) == 1
