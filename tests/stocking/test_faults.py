"""Faults of plain tables and arguments: refused by name, all tables of a call at once, never a traceback."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels, simulate, solve_levels

SITES = pd.DataFrame(
    {"site_id": ["HQ", "A", "B"], "parent_id": [None, "HQ", "HQ"], "lead_time_days": [0.0, 2.0, 4.0]}
)
PARTS = pd.DataFrame({"part_id": ["p", "q"], "unit_cost": [10.0, 20.0], "lead_time_days": [30.0, 40.0]})
RATES = pd.DataFrame(
    {"part_id": ["p", "p", "q"], "site_id": ["A", "B", "A"], "demand_per_day": [0.1, 0.05, 0.02]}
)
LEVELS = pd.DataFrame({"part_id": ["p", "p", "q"], "site_id": ["HQ", "A", "A"], "base_stock": [2, 1, 1]})


def problems_of(call, *tables, **more):
    with pytest.raises(DataError) as caught:
        call(*tables, **more)
    return caught.value.problems


@pytest.mark.parametrize("times", ["abc", -3.0, [1.0, "soon"], [-1.0], [np.inf, np.nan], [None]])
def test_times_that_are_no_days_are_refused_by_name(times):
    found = problems_of(evaluate_levels, SITES, PARTS, RATES, LEVELS, times=times)
    assert found[["table", "column"]].values.tolist() == [["evaluate_levels", "times"]]
    found = problems_of(simulate, SITES, PARTS, RATES, LEVELS, 1.0, 1, times=times)
    assert found[["table", "column"]].values.tolist() == [["simulate", "times"]]


def test_arguments_that_are_no_tables_are_refused_together():
    found = problems_of(evaluate_levels, [1, 2], PARTS, {"part_id": "p"}, LEVELS)
    assert found["column"].tolist() == ["sites", "rates"]
    assert (found["rule"] == "is no table").all()
    assert problems_of(evaluate_levels, SITES, PARTS, RATES, None)["column"].tolist() == ["levels"]
    assert problems_of(simulate, SITES, "parts", RATES, LEVELS, 1.0, 1)["column"].tolist() == ["parts"]


def test_labels_that_differ_by_type_only_are_told_so():
    numbered = SITES.assign(site_id=[1, 2, 3], parent_id=[np.nan, 1, 1])
    found = problems_of(
        evaluate_levels,
        numbered,
        PARTS,
        RATES.assign(site_id=["2", "3", "9"]),
        LEVELS.assign(site_id=[1, 2, 7]),
    )
    assert found[["table", "row", "rule"]].values.tolist() == [
        ["levels", 4, "is not in sites"],
        ["rates", 2, "is a text here but a number where it is defined"],
        ["rates", 3, "is a text here but a number where it is defined"],
        ["rates", 4, "is not in sites"],
    ]
    parents = SITES.assign(site_id=["1", "2", "3"], parent_id=[np.nan, 1, 1])
    found = problems_of(evaluate_levels, parents, PARTS, RATES[:0], LEVELS[:0])
    assert found["rule"].tolist() == ["is a number here but a text where it is defined"] * 2


def test_a_reorder_point_without_its_quantity_is_refused_unless_it_says_the_same():
    lone = LEVELS.assign(reorder_point=[1, 0, 5])
    for quantity in ({}, {"order_quantity": np.nan}):
        found = problems_of(evaluate_levels, SITES, PARTS, RATES, lone.assign(**quantity))
        assert found[["row", "column", "value"]].values.tolist() == [[4, "reorder_point", "5"]]
    found = problems_of(evaluate_levels, SITES, PARTS, RATES, LEVELS.assign(order_quantity=[1, 3, np.nan]))
    assert found[["row", "column", "value"]].values.tolist() == [[3, "order_quantity", "3.0"]]
    same = evaluate_levels(SITES, PARTS, RATES, LEVELS.assign(reorder_point=LEVELS["base_stock"] - 1))
    pd.testing.assert_frame_equal(same, evaluate_levels(SITES, PARTS, RATES, LEVELS))


def limit(part, site, **columns):
    return pd.DataFrame({"part_id": [part], "site_id": [site]}).assign(**columns)


def test_faults_of_all_tables_of_a_call_are_told_at_once():
    found = problems_of(
        solve_levels,
        SITES.assign(region_id="R"),
        PARTS.assign(unit_cost=[-5, np.nan]),
        RATES.assign(demand_per_day=[-1, 0.1, 0.1]),
        pd.DataFrame(
            {
                "site_id": ["A", "B", "C"],
                "target_fill_rate": [2.0, np.nan, 0.9],
                "target_in_window": [np.nan, 0.9, np.nan],
            }
        ),
        limits=limit("p", "A", at_least=-3, at_most=2.5),
        caps=pd.DataFrame({"region_id": ["X"], "cap": [-1.0]}),
    )
    assert found[["table", "row", "column"]].values.tolist() == [
        ["caps", 2, "cap"],
        ["caps", 2, "region_id"],
        ["limits", 2, "at_least"],
        ["limits", 2, "at_most"],
        ["parts", 2, "unit_cost"],
        ["parts", 3, "unit_cost"],
        ["rates", 2, "demand_per_day"],
        ["targets", 2, "target_fill_rate"],
        ["targets", 3, "target_in_window"],
        ["targets", 4, "site_id"],
    ]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("budget", "abc"),
        ("budget", -1),
        ("budget", True),
        ("short_budget", "x"),
        ("targets", [1]),
        ("limits", 3),
    ],
)
def test_arguments_of_no_use_are_refused_by_name(argument, value):
    found = problems_of(solve_levels, SITES, PARTS, RATES, **{argument: value})
    assert found[["table", "column"]].values.tolist() == [["solve_levels", argument]]


@pytest.mark.parametrize("column", ["at_least", "at_most"])
def test_floors_and_ceilings_of_parts_of_a_piece_are_refused(column):
    found = problems_of(solve_levels, SITES, PARTS, RATES, limits=limit("p", "A", **{column: 2.5}))
    assert found[["table", "row", "column", "rule"]].values.tolist() == [
        ["limits", 2, column, "is no whole number"]
    ]


def test_a_floor_holds_where_nothing_is_asked_for():
    floors = pd.concat([limit("q", "B", at_least=2), limit("r", "A", at_least=3)])
    parts = pd.concat([PARTS, pd.DataFrame({"part_id": ["r"], "unit_cost": [7.0], "lead_time_days": [9.0]})])
    targets = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": [0.9, 0.9]})
    plain = solve_levels(SITES, PARTS, RATES, targets)
    with_floors = solve_levels(SITES, parts, RATES, targets, limits=floors)
    held = with_floors.table.set_index(["part_id", "site_id"])
    assert held.loc[("q", "B"), "base_stock"] == 2 and held.loc[("r", "A"), "base_stock"] == 3
    assert "the floor" in held.loc[("q", "B"), "reason"]
    # The floors come on top of the plan without them: nobody else is served by these pieces.
    assert with_floors.cost == pytest.approx(plain.cost + 2 * 20 + 3 * 7)
    assert with_floors.lower_bound == pytest.approx(plain.lower_bound + 2 * 20 + 3 * 7)
    assert with_floors.service["reached"].tolist() == pytest.approx(plain.service["reached"].tolist())


def test_a_ceiling_where_nothing_is_asked_for_adds_no_row():
    targets = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": [0.9, 0.9]})
    plain = solve_levels(SITES, PARTS, RATES, targets)
    capped = solve_levels(SITES, PARTS, RATES, targets, limits=limit("q", "B", at_most=4))
    pd.testing.assert_frame_equal(capped.table, plain.table)
