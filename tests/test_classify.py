from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spareplan.classify import abc_classes, compare_grades, count_moves, grade_parts, part_tiers
from spareplan.config import Thresholds
from spareplan.errors import DataError
from tests.small_data import forecast, raw_data

MONTHS = pd.date_range("2026-07-01", periods=12, freq="MS")


def fleet(**changes):
    tables = {
        "parts": [
            {
                "part_id": "A",
                "unit_cost": 100_000,
                "lead_time_days": 90,
                "source": "import",
                "criticality": "vital",
            },
            {"part_id": "B", "unit_cost": 60_000, "lead_time_days": 60, "source": "buy"},
            {"part_id": "C", "unit_cost": 100, "lead_time_days": 61, "source": "make"},
            {"part_id": "D", "unit_cost": 50, "lead_time_days": 5, "source": "buy"},
            {"part_id": "E", "unit_cost": 40, "lead_time_days": 5, "source": "buy"},
            {"part_id": "F", "unit_cost": 30, "lead_time_days": 5, "source": "make"},
        ],
        "products": [{"product_id": "pump truck", "tier": 1}, {"product_id": "roller", "tier": 3}],
        "fitment": [
            {"product_id": "pump truck", "part_id": "D", "quantity": 1},
            {"product_id": "roller", "part_id": "D", "quantity": 2},
            {"product_id": "roller", "part_id": "E", "quantity": 2},
        ],
    }
    return raw_data(**tables | changes)


def yearly(pieces):
    return forecast([(part, "HQ", month, count / 12) for part, count in pieces.items() for month in MONTHS])


DEMAND = {"A": 12, "B": 12, "C": 24, "D": 24, "E": 24, "F": 24}


def planners(result):
    return dict(zip(result.table["part_id"], result.table["planner"], strict=True))


def test_lead_time_and_value_choose_the_planner():
    result = grade_parts(fleet(), yearly(DEMAND), Thresholds(third_party=True))
    assert planners(result) == {
        "A": "hq",
        "B": "hq_routine_region_emergency",
        "C": "region",
        "D": "region",
        "E": "third_party",
        "F": "region",
    }


def test_nobody_contracts_a_third_party_unless_it_is_allowed():
    assert "third_party" not in set(planners(grade_parts(fleet(), yearly(DEMAND))).values())


def test_annual_value_scales_the_horizon_by_its_real_days():
    half = forecast([("A", "HQ", month, 2.0) for month in MONTHS[:6]])
    value = grade_parts(fleet(), half).table.set_index("part_id")["annual_value"]
    assert value["A"] == pytest.approx(12 * 365.25 / 184 * 100_000)
    assert value["F"] == 0


def test_the_split_keeps_parts_of_one_price_together():
    parts = [{"part_id": f"p{i}", "unit_cost": 10, "lead_time_days": 5} for i in range(5)]
    table = grade_parts(raw_data(parts=parts), yearly({f"p{i}": 10 for i in range(5)})).table
    assert len(set(table["value_grade"])) == 1


def test_high_value_parts_hold_at_least_the_wanted_share_and_without_the_cheapest_price_less():
    rng = np.random.default_rng(3)
    for _ in range(25):
        costs = rng.choice([1, 2, 5, 9, 20, 70, 300], size=30)
        parts = [
            {"part_id": f"p{i:02}", "unit_cost": cost, "lead_time_days": 5} for i, cost in enumerate(costs)
        ]
        pieces = {part["part_id"]: rng.integers(1, 9) for part in parts}
        table = grade_parts(raw_data(parts=parts), yearly(pieces)).table
        table["unit_cost"] = costs
        high, total = table[table["value_grade"] == "high"], table["annual_value"].sum()
        dearer = high[high["unit_cost"] > high["unit_cost"].min()]
        assert high["annual_value"].sum() >= 0.8 * total * (1 - 1e-9)
        assert dearer["annual_value"].sum() < 0.8 * total


def test_a_given_unit_cost_replaces_the_split():
    table = grade_parts(fleet(), yearly(DEMAND), Thresholds(high_unit_cost=45)).table.set_index("part_id")
    assert table.index[table["value_grade"] == "high"].tolist() == ["A", "B", "C", "D"]


def test_without_any_demand_the_split_counts_one_piece_each_and_says_so():
    result = grade_parts(fleet(), forecast([]))
    origin = result.assumptions.set_index("name").loc["value_split", "origin"]
    assert "no demand is expected" in origin
    assert set(result.table["abc"]) == {"C"} and set(result.table["demand_class"]) == {"none"}


def test_abc_classes_close_at_the_part_that_crosses_the_share():
    value = pd.Series([10.0, 70.0, 15.0, 4.0, 1.0, 0.0])
    assert abc_classes(value).tolist() == ["B", "A", "A", "C", "C", "C"]


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_class_a_is_the_smallest_dear_set_that_reaches_its_share(values):
    classes = abc_classes(pd.Series(values))
    money = np.array(values)
    a = money[classes == "A"]
    assert a.sum() >= 0.8 * money.sum() * (1 - 1e-6)
    assert a.sum() - a.min() < 0.8 * money.sum() * (1 + 1e-6)
    assert a.min() >= money[classes != "A"].max(initial=0)


def test_best_tier_wins_and_a_successor_inherits_it():
    data = fleet()
    data.parts.loc[data.parts["part_id"] == "D", "superseded_by"] = "F"
    assert part_tiers(data).to_dict() == {"D": 1.0, "E": 3.0, "F": 1.0}
    table = grade_parts(data, yearly(DEMAND)).table.set_index("part_id")
    assert table.loc["A", "tier"] == 3 and "fits no known product" in table.loc["A", "reason"]


def test_targets_of_the_tier_come_from_the_table_else_from_the_thresholds():
    targets = [{"tier": 1, "target_wait_days": 0.5}, {"tier": 2, "target_fill_rate": 0.99}]
    result = grade_parts(fleet(targets=targets), yearly(DEMAND))
    table = result.table.set_index("part_id")
    assert table.loc["D", "target_wait_days"] == 0.5 and np.isnan(table.loc["D", "target_fill_rate"])
    assert table.loc["E", "target_fill_rate"] == 0.90
    origins = result.assumptions.set_index("name")["origin"]
    assert origins["promise_tier_1"] == "data: targets" and "default" in origins["promise_tier_3"]


def test_vital_parts_get_a_floor_where_one_is_set():
    table = grade_parts(fleet(), yearly(DEMAND), Thresholds(fill_rate_vital=0.99)).table.set_index("part_id")
    assert table.loc["A", "target_fill_rate"] == 0.99 and table.loc["B", "target_fill_rate"] == 0.90


def test_demand_class_counts_demand_and_replacements_of_full_months_up_to_today():
    months = pd.date_range("2025-01-01", "2026-07-01", freq="MS")
    demand = [{"part_id": "A", "site_id": "HQ", "month": month, "quantity": 5} for month in months]
    demand += [
        {"part_id": "B", "site_id": "HQ", "month": "2025-01-01", "quantity": 1},
        {"part_id": "B", "site_id": "HQ", "month": "2025-12-01", "quantity": 1},
        {"part_id": "C", "site_id": "HQ", "month": "2025-01-01", "quantity": 1},
        {"part_id": "C", "site_id": "X", "month": "2025-12-01", "quantity": 30},
        {"part_id": "F", "site_id": "X", "month": "2025-12-01", "quantity": -3},
    ]
    replacements = [
        {"unit_id": "u", "part_id": "D", "replaced_on": day, "quantity": 1}
        for day in pd.date_range("2025-01-03", "2026-06-30", freq="7D")
    ]
    data = fleet(demand=demand, replacements=replacements)
    table = grade_parts(data, yearly(DEMAND)).table.set_index("part_id")
    assert table["demand_class"].to_dict() == {
        "A": "smooth",
        "B": "intermittent",
        "C": "lumpy",
        "D": "smooth",
        "E": "none",
        "F": "none",
    }
    assert table.loc["A", "adi"] == 1.0
    assert table.loc["B", "adi"] == 9.0


def test_row_order_does_not_matter():
    data, demand = fleet(), yearly(DEMAND)
    shuffled = fleet()
    for name in ("parts", "fitment", "products"):
        setattr(shuffled, name, getattr(data, name).sample(frac=1, random_state=2))
    again = forecast(demand.table.sample(frac=1, random_state=1)[["part_id", "site_id", "month", "mean"]])
    pd.testing.assert_frame_equal(grade_parts(data, demand).table, grade_parts(shuffled, again).table)


def test_a_forecast_part_that_is_not_in_parts_is_refused_by_name():
    with pytest.raises(DataError, match="'Z': not in parts"):
        grade_parts(fleet(), yearly({"Z": 1}))


def test_moving_a_threshold_lists_what_moves_with_its_money():
    scenarios = {"today": Thresholds(), "patient": Thresholds(long_lead_time_days=95)}
    moves = compare_grades(fleet(), yearly(DEMAND), scenarios)
    planner = moves[moves["column"] == "planner"]
    assert planner[["part_id", "from", "to"]].values.tolist() == [["A", "hq", "hq_routine_region_emergency"]]
    counted = count_moves(moves)
    assert counted.loc[counted["column"] == "lead_time_grade", "parts"].sum() == 2
    assert compare_grades(fleet(), yearly(DEMAND), {"a": Thresholds(), "b": Thresholds()}).empty
    with pytest.raises(DataError, match="one scenario or none"):
        compare_grades(fleet(), yearly(DEMAND), {"a": Thresholds()})


def test_every_row_says_why_in_its_own_numbers():
    reason = grade_parts(fleet(), yearly(DEMAND)).table.set_index("part_id")["reason"]
    assert reason["A"] == (
        "lead time 90 d > 60 d; unit cost 100000 > 100; tier 3 (fits no known product): HQ plans centrally"
    )
