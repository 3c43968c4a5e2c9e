from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spareplan import overrides
from spareplan.errors import DataError
from spareplan.maths.distributions import quantile
from spareplan.results import Orders, PartGrades, assumptions_frame
from spareplan.tables.dataset import Dataset
from spareplan.tables.scopes import check_overrides
from tests.small_data import forecast, frame, levels

TODAY = pd.Timestamp("2026-06-30")
MONTHS = pd.date_range("2026-07-01", periods=3, freq="MS")
PARTS = [{"part_id": name, "name": name, "unit_cost": 10, "lead_time_days": 30} for name in ("P", "Q")]
SITES = [
    {"site_id": "HQ", "name": "HQ", "parent_id": None, "lead_time_days": 0, "region_id": None},
    {"site_id": "S1", "name": "one", "parent_id": "HQ", "lead_time_days": 2, "region_id": "east"},
    {"site_id": "S2", "name": "two", "parent_id": "HQ", "lead_time_days": 2, "region_id": "west"},
]


def one(table, column, value, **more):
    return {
        "table": table,
        "column": column,
        "value": str(value),
        "who": "Li",
        "when": "2026-06-20",
        "why": "a tunnel begins",
    } | more


def data(*rows):
    given = {
        "parts": PARTS,
        "sites": SITES,
        "regions": [{"region_id": name, "name": name} for name in ("east", "west")],
        "demand": [{"part_id": "P", "site_id": "S1", "month": "2026-06-01", "quantity": 1}],
    }
    if rows:
        given["overrides"] = list(rows)
    return Dataset.from_frames({name: pd.DataFrame(table) for name, table in given.items()})


def model():
    result = forecast(
        [(part, site, month, 4.0) for part in ("P", "Q") for site in ("S1", "S2") for month in MONTHS]
    )
    table = result.table.assign(vmr=1.5, rate_cv2=0.2)
    table["variance"] = 1.5 * table["mean"] + 0.2 * table["mean"] ** 2
    for level in (0.5, 0.9):
        table[f"q{level:g}"] = quantile(np.full(len(table), level), table["mean"], table["variance"])
    table["reason"] = "12 machines"
    days = pd.DataFrame({"days": [15, 31, 62, 92]})
    windows = table[["part_id", "site_id"]].drop_duplicates().merge(days, how="cross")
    windows["mean"] = windows["days"].map({15: 4 * 15 / 31, 31: 4.0, 62: 8.0, 92: 12.0})
    contributions = table[["part_id", "site_id", "month", "mean"]].assign(source="machines in use")
    return dataclasses.replace(
        result, table=table, windows=windows.assign(vmr=1.5, rate_cv2=0.2), contributions=contributions
    )


def changed(result):
    return result.table[result.table["mean"] != result.table["model_mean"]]


def test_without_overrides_the_forecast_stays_and_the_models_number_stands_beside_it():
    result = overrides.apply_to_demand(model(), data(), TODAY)
    pd.testing.assert_frame_equal(result.table[model().table.columns], model().table)
    assert (result.table["model_mean"] == result.table["mean"]).all()


def test_a_planners_number_replaces_the_mean_of_its_row_and_says_so():
    given = data(one("demand", "mean", 10, part_id="P", site_id="S1", month="2026-08-01"))
    result = overrides.apply_to_demand(model(), given, TODAY)
    row = changed(result).iloc[0]
    assert len(changed(result)) == 1
    assert (row["mean"], row["model_mean"], row["from_override"]) == (10.0, 4.0, 6.0)
    assert row["variance"] == pytest.approx(1.5 * 10 + 0.2 * 100)
    assert row["q0.9"] == quantile([0.9], [10.0], [35.0])[0]
    assert row["reason"] == "12 machines; mean set to 10 by Li (model 4): a tunnel begins"
    assert "demand.mean" in set(result.assumptions["name"])


def test_windows_move_by_the_pieces_that_fall_into_them():
    given = data(one("demand", "mean", 10, part_id="P", site_id="S1", month="2026-08-01"))
    windows = overrides.apply_to_demand(model(), given, TODAY).windows
    moved = windows.query("part_id == 'P' and site_id == 'S1'").set_index("days")["mean"]
    assert moved.tolist() == pytest.approx([4 * 15 / 31, 4.0, 14.0, 18.0])
    assert (
        windows.query("part_id == 'Q'")["mean"].tolist()
        == model().windows.query("part_id == 'Q'")["mean"].tolist()
    )
    ahead = (
        overrides.apply_to_demand(model(), given, TODAY)
        .lead_time_demand(92)
        .set_index(["part_id", "site_id"])
    )
    assert ahead.loc[("P", "S1"), "mean"] == pytest.approx(18.0)


def test_contributions_add_up_to_the_overridden_mean():
    given = data(one("demand", "mean", 1, part_id="P"), one("demand", "mean", 7, region_id="west"))
    result = overrides.apply_to_demand(model(), given, TODAY)
    keys = ["part_id", "site_id", "month"]
    pd.testing.assert_series_equal(
        result.contributions.groupby(keys)["mean"].sum(), result.table.set_index(keys)["mean"].sort_index()
    )


def test_an_empty_scope_means_all_and_the_later_decision_holds():
    early = one("demand", "mean", 1, part_id="P", when="2026-06-01")
    late = one("demand", "mean", 9, region_id="east", when="2026-06-02")
    table = overrides.apply_to_demand(model(), data(late, early), TODAY).table.set_index(
        ["part_id", "site_id"]
    )
    assert table.loc[("P", "S1"), "mean"].eq(9).all()
    assert table.loc[("P", "S2"), "mean"].eq(1).all()
    assert table.loc[("Q", "S1"), "mean"].eq(9).all()
    assert table.loc[("Q", "S2"), "mean"].eq(4).all()


def test_expired_overrides_are_left_out_and_none_reaches_months_after_its_end():
    gone = one("demand", "mean", 1, part_id="P", expires_on="2026-06-29")
    ends = one("demand", "mean", 9, part_id="Q", expires_on="2026-08-15")
    given = data(gone, ends)
    result = overrides.apply_to_demand(model(), given, TODAY)
    assert set(changed(result)["part_id"]) == {"Q"}
    assert set(changed(result)["month"]) == set(MONTHS[:2])
    listed = overrides.list_overrides(given, TODAY, demand=result)
    assert listed["status"].tolist() == ["expired", "applied"]
    assert listed["rows"].tolist()[1] == 4


def test_a_part_at_a_site_the_model_does_not_know_gets_rows_and_windows():
    given = data(one("demand", "mean", 3, part_id="P", site_id="HQ", month="2026-07-01"))
    result = overrides.apply_to_demand(model(), given, TODAY)
    rows = result.table.query("site_id == 'HQ'")
    assert rows["mean"].tolist() == [3.0, 0.0, 0.0] and rows["variance"].tolist() == [3.0, 0.0, 0.0]
    window = result.windows.query("site_id == 'HQ'").set_index("days")["mean"]
    assert window[92] == pytest.approx(3.0) and window[15] == pytest.approx(3 * 15 / 31)


def test_an_override_that_reaches_nothing_is_listed_as_unmatched():
    given = data(one("demand", "mean", 3, part_id="P", region_id="west", site_id="S1"))
    result = overrides.apply_to_demand(model(), given, TODAY)
    assert changed(result).empty
    assert overrides.list_overrides(given, TODAY, demand=result)["status"].tolist() == ["unmatched"]


def test_what_follows_from_a_decision_cannot_be_overridden():
    rows = frame(
        "overrides",
        [
            one("demand", "variance", 3),
            one("weather", "mean", 3),
            one("demand", "mean", "many"),
            one("levels", "base_stock", -1),
        ],
    )
    with pytest.raises(DataError) as caught:
        check_overrides(rows)
    assert caught.value.problems[["row", "column"]].values.tolist() == [
        [2, "column"],
        [3, "table"],
        [4, "value"],
        [5, "value"],
    ]


def test_a_month_where_there_is_none_is_refused_by_name():
    given = data(one("levels", "reorder_point", 3, part_id="P", month="2026-07-01"))
    with pytest.raises(DataError, match="levels knows no month"):
        overrides.apply_to_levels(levels([{"part_id": "P", "site_id": "S1", "base_stock": 2}]), given, TODAY)


def test_fixed_levels_cover_the_scope_once_per_pair():
    given = data(
        one("levels", "base_stock", 2, part_id="P", when="2026-06-01"),
        one("levels", "base_stock", 5, part_id="P", region_id="east", when="2026-06-02"),
        one("levels", "reorder_point", 1, part_id="Q"),
    )
    fixed = overrides.fixed_levels(given, TODAY)
    assert fixed[["site_id", "base_stock"]].values.tolist() == [["HQ", 2.0], ["S1", 5.0], ["S2", 2.0]]
    assert fixed["reason"].iloc[1] == "base stock set to 5 by Li: a tunnel begins"
    assert overrides.fixed_levels(data(), TODAY).empty


def test_part_parameters_are_overridden_in_a_checked_copy():
    given = data(
        one("parts", "lead_time_days", 95, part_id="P"), one("parts", "criticality", "vital", part_id="Q")
    )
    parts = overrides.apply_to_parts(given, TODAY).parts.set_index("part_id")
    assert parts["lead_time_days"].to_dict() == {"P": 95.0, "Q": 30.0}
    assert parts.loc["Q", "criticality"] == "vital"
    assert (given.parts["lead_time_days"] == 30).all()
    assert overrides.apply_to_parts(data(), TODAY) is not None


def test_grades_and_orders_keep_the_models_value_beside_the_planners():
    given = data(
        one("grades", "planner", "region", part_id="P"),
        one("grades", "tier", 1, part_id="Q"),
        one("orders", "quantity", 12, part_id="P", site_id="S1", month="2026-07-01"),
    )
    table = pd.DataFrame(
        {"part_id": ["P", "Q"], "planner": ["hq", "hq"], "tier": [2, 2], "reason": ["r", "r"]}
    )
    grades = overrides.apply_to_grades(PartGrades(table, assumptions_frame([])), given, TODAY).table
    assert grades["planner"].tolist() == ["region", "hq"] and grades["model_planner"].tolist() == ["hq", "hq"]
    assert grades["tier"].tolist() == [2, 1] and grades["tier"].dtype.kind == "i"
    orders = Orders(
        pd.DataFrame(
            {
                "week": pd.to_datetime(["2026-07-06", "2026-08-03"]),
                "part_id": "P",
                "to_site_id": "S1",
                "quantity": [1.0, 1.0],
                "value": [10.0, 10.0],
                "reason": "position 0",
            }
        ),
        assumptions_frame([]),
    )
    laid = overrides.apply_to_orders(orders, given, TODAY).table
    assert laid["quantity"].tolist() == [12, 1] and laid["value"].tolist() == [120.0, 10.0]
    assert list(laid.columns)[-1] == "reason"


def test_the_order_of_the_overrides_does_not_matter():
    rows = [
        one("demand", "mean", value, part_id=part, when=f"2026-06-{day:02}")
        for day, (part, value) in enumerate([("P", 1), ("P", 2), ("Q", 3), ("P", 4)], start=1)
    ]
    first = overrides.apply_to_demand(model(), data(*rows), TODAY).table
    again = overrides.apply_to_demand(model(), data(*rows[::-1]), TODAY).table
    pd.testing.assert_frame_equal(first.drop(columns="reason"), again.drop(columns="reason"))
    assert first.query("part_id == 'P'")["mean"].eq(4).all()
