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
from spareplan.tables.typed import read_overrides
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


def test_floors_and_ceilings_stand_side_by_side_once_per_pair_and_the_later_decision_holds():
    given = data(
        one("levels", "base_stock_at_least", 1, part_id="P", when="2026-06-01"),
        one("levels", "base_stock_at_least", 2, part_id="P", region_id="east", when="2026-06-02"),
        one("levels", "base_stock_at_most", 6, part_id="P", site_id="S1"),
        one("levels", "base_stock", 3, part_id="Q", site_id="S1"),
    )
    bounds = overrides.level_bounds(given, TODAY)
    assert bounds["part_id"].tolist() == ["P", "P", "P"]
    assert bounds["site_id"].tolist() == ["HQ", "S1", "S2"]
    assert bounds["at_least"].tolist() == [1.0, 2.0, 1.0]
    assert bounds["at_most"].fillna(-1).tolist() == [-1.0, 6.0, -1.0]
    assert overrides.level_bounds(data(), TODAY).empty
    assert len(overrides.fixed_levels(given, TODAY)) == 1


def test_a_floor_above_a_ceiling_is_refused_with_both():
    given = data(
        one("levels", "base_stock_at_least", 4, part_id="P", site_id="S1"),
        one("levels", "base_stock_at_most", 2, part_id="P", region_id="east"),
    )
    with pytest.raises(DataError) as caught:
        overrides.level_bounds(given, TODAY)
    row = caught.value.problems.iloc[0]
    assert row["rule"] == "asks for at least 4 of P at S1, another for at most 2"
    assert row["remedy"] == "withdraw one of the two"


def test_a_floor_stands_in_the_levels_with_who_and_why_and_the_models_own_number():
    row = one("levels", "base_stock_at_least", 3, part_id="P", site_id="S1")
    given = data(row)
    rows = [("P", "S1", 3, "as promised"), ("P", "S2", 1, "as promised")]
    plain = levels(pd.DataFrame(rows, columns=["part_id", "site_id", "base_stock", "reason"]))
    table = plain.table.assign(model_base_stock=[1, 1], base_stock_at_least=[3.0, np.nan])
    laid = overrides.apply_to_levels(dataclasses.replace(plain, table=table), given, TODAY)
    assert laid.table["base_stock_at_least"].tolist()[0] == 3.0
    assert "base_stock_at_least set to 3 by Li (model 1): a tunnel begins" in laid.table["reason"].iloc[0]
    assert "model_base_stock_at_least" not in laid.table
    listed = overrides.list_overrides(given, TODAY, levels=laid)
    assert listed[["status", "model"]].values.tolist() == [["applied", "1"]]


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


def test_a_run_with_a_number_overridden_equals_one_whose_number_was_changed_by_hand():
    """Two roads for a part's lead time: overridden, or written into the table."""
    given = data(one("parts", "lead_time_days", 95, part_id="P"))
    laid = overrides.apply_to_parts(given, TODAY)
    by_hand = pd.DataFrame(PARTS)
    by_hand.loc[0, "lead_time_days"] = 95
    pd.testing.assert_frame_equal(laid.parts, data().with_tables(parts=by_hand).parts)
    beside = overrides.beside_given(laid.parts, given.parts)
    assert beside["model_lead_time_days"].tolist() == [30, 30]
    assert [name for name in beside if name.startswith("model_")] == ["model_lead_time_days"]


@pytest.mark.parametrize(
    ("given", "read"),
    [("１２", 12.0), ("12", 12.0), (" 12 ", 12.0), ("1,234.5", 1234.5), ("1e1", 10.0), (7, 7.0)],
)
def test_a_number_is_read_in_any_width(given, read):
    result = overrides.apply_to_demand(model(), data(one("demand", "mean", given, part_id="P")), TODAY)
    assert (result.table.query("part_id == 'P'")["mean"] == read).all()


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("mean", "1,200", "comma that may part thousands"),
        ("mean", "NaN", "not"),
        ("mean", "nan", "not"),
        ("mean", "inf", "not"),
        ("mean", "-3", "at least 0"),
        ("mean", "10%", "percentage"),
        ("mean", "十", "no number"),
        ("mean", " ", "empty"),
        ("mean", "¥10", "currency"),
    ],
)
def test_what_is_no_number_is_refused_with_row_column_value_and_remedy(column, value, rule):
    rows = pd.DataFrame([one("demand", column, 1), one("demand", column, value)])
    with pytest.raises(DataError) as caught:
        read_overrides(rows)
    problem = caught.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("overrides", 3, "value")
    assert rule in problem["rule"] and problem["remedy"]


@pytest.mark.parametrize(
    ("change", "column", "words"),
    [
        ({"part_id": "P9"}, "part_id", "not in parts"),
        ({"site_id": "S9"}, "site_id", "not in sites"),
        ({"region_id": "mars"}, "region_id", "not in regions"),
        ({"month": "13/2026"}, "month", ""),
        ({"why": ""}, "why", ""),
        ({"who": None}, "who", ""),
        ({"when": "soon"}, "when", ""),
        ({"expires_on": "5/1/2026"}, "expires_on", ""),
        ({"column": "variance"}, "column", "no column of demand that can be overridden"),
        ({"table": "weather"}, "table", ""),
        ({"table": "levels", "column": "base_stock", "value": "2.5"}, "value", "whole"),
        ({"table": "grades", "column": "planner", "value": "boss"}, "value", "none of the allowed"),
        ({"table": "grades", "column": "tier", "value": "4"}, "value", "allowed"),
        ({"table": "grades", "column": "target_fill_rate", "value": "95"}, "value", "at most 1"),
        ({"reason": "typo"}, "reason", "is no column"),
    ],
)
def test_a_typed_override_that_cannot_be_followed_is_refused_by_name(change, column, words):
    rows = pd.DataFrame([one("demand", "mean", 3, part_id="P") | change])
    with pytest.raises(DataError) as caught:
        read_overrides(rows, data().tables)
    problem = caught.value.problems.iloc[0]
    assert problem["table"] == "overrides" and problem["column"] == column
    assert words in problem["rule"] and problem["remedy"]
    assert problem["row"] == (0 if column == "reason" else 2)


def test_all_faults_are_named_at_once():
    rows = pd.DataFrame([one("demand", "mean", "x", part_id="P9"), one("weather", "mean", 3)])
    with pytest.raises(DataError) as caught:
        read_overrides(rows, data().tables)
    assert set(caught.value.problems["column"]) == {"value", "part_id", "table"}


def test_chinese_headers_words_and_reasons_are_read():
    rows = pd.DataFrame(
        [
            {
                "表": "grades",
                "列": "planner",
                "物料编码": "P",
                "调整值": "区域计划",
                "调整人": "王磊",
                "调整日期": "2026年6月1日",
                "调整原因": "冬季封路,乌鲁木齐至少备两台",
                "有效期至": "2026/12/31",
            }
        ]
    )
    read = read_overrides(rows, data().tables)
    given = dataclasses.replace(data(), tables=dict(data().tables) | {"overrides": read})
    table = pd.DataFrame({"part_id": ["P", "Q"], "planner": ["hq", "hq"], "reason": ["r", "r"]})
    grades = overrides.apply_to_grades(PartGrades(table, assumptions_frame([])), given, TODAY).table
    assert grades["planner"].tolist() == ["region", "hq"]
    assert "王磊" in grades["reason"].iloc[0] and "冬季封路" in grades["reason"].iloc[0]


def test_of_two_planners_on_one_cell_the_later_holds_and_both_are_told():
    cell = {"part_id": "P", "site_id": "S1", "month": "2026-07-01"}
    given = data(
        one("demand", "mean", 10, who="Li", when="2026-06-10", **cell),
        one("demand", "mean", 2, who="王磊", when="2026-06-12", **cell),
    )
    result = overrides.apply_to_demand(model(), given, TODAY)
    assert changed(result)["mean"].tolist() == [2.0]
    listed = overrides.list_overrides(given, TODAY, demand=result)
    assert listed["status"].tolist() == ["overruled", "applied"]
    assert listed["note"].tolist() == ["overruled by 王磊 on 2026-06-12 (2)", ""]
    assert listed["model"].tolist() == ["4", "4"]
    told = overrides.override_exceptions(listed, given.parts.set_index("part_id")["unit_cost"])
    assert told["action"].tolist() == ["let the two planners agree on one number"]
    assert told["money"].tolist() == [60.0]
    # A planner's own second thought is no quarrel.
    same = data(one("demand", "mean", 10, when="2026-06-10", **cell), one("demand", "mean", 2, **cell))
    listed = overrides.list_overrides(same, TODAY, demand=overrides.apply_to_demand(model(), same, TODAY))
    assert listed["status"].tolist() == ["overruled", "applied"]
    assert overrides.override_exceptions(listed, pd.Series(dtype=float)).empty


def test_a_decision_that_still_holds_somewhere_is_not_overruled():
    given = data(
        one("demand", "mean", 10, part_id="P", when="2026-06-10"),
        one("demand", "mean", 2, part_id="P", site_id="S1", when="2026-06-12"),
    )
    listed = overrides.list_overrides(given, TODAY, demand=overrides.apply_to_demand(model(), given, TODAY))
    assert listed["status"].tolist() == ["applied", "applied"]


def test_an_expired_override_gives_the_number_back_to_the_model_and_says_until_when_it_counted():
    given = data(one("demand", "mean", 10, part_id="P", expires_on="2026-06-29"))
    result = overrides.apply_to_demand(model(), given, TODAY)
    pd.testing.assert_frame_equal(result.table[model().table.columns], model().table)
    listed = overrides.list_overrides(given, TODAY, demand=result).iloc[0]
    assert (listed["status"], listed["note"]) == ("expired", "counted until 2026-06-29")


def test_a_withdrawn_override_counts_no_more_and_says_who_took_it_back():
    back = {"withdrawn_on": "2026-06-25", "withdrawn_by": "王伟", "withdrawn_why": "project stopped"}
    given = data(one("demand", "mean", 10, part_id="P", **back))
    assert changed(overrides.apply_to_demand(model(), given, TODAY)).empty
    listed = overrides.list_overrides(given, TODAY, demand=model()).iloc[0]
    assert listed["status"] == "withdrawn"
    assert listed["note"] == "taken back on 2026-06-25 by 王伟: project stopped"


def with_successor():
    parts = pd.DataFrame(PARTS).assign(superseded_by=["Q", None])
    return lambda *rows: data(*rows).with_tables(parts=parts)


def test_an_override_of_a_superseded_part_goes_to_its_successor_where_only_that_one_is_planned():
    given = with_successor()(one("demand", "mean", 10, part_id="P", site_id="S1", month="2026-08-01"))
    only_new = dataclasses.replace(model(), table=model().table.query("part_id == 'Q'"))
    only_new = dataclasses.replace(
        only_new,
        windows=model().windows.query("part_id == 'Q'"),
        contributions=model().contributions.query("part_id == 'Q'"),
    )
    result = overrides.apply_to_demand(only_new, given, TODAY)
    assert changed(result)[["part_id", "mean"]].values.tolist() == [["Q", 10.0]]
    listed = overrides.list_overrides(given, TODAY, demand=result).iloc[0]
    assert (listed["status"], listed["note"]) == ("applied", "Q took the place of P")
    level = with_successor()(one("levels", "base_stock", 6, part_id="P", site_id="S1"))
    fixed = overrides.fixed_levels(level, TODAY, result.table["part_id"])
    assert fixed[["part_id", "site_id", "base_stock"]].values.tolist() == [["Q", "S1", 6.0]]
    # Where the old part is still planned it keeps its number.
    both = overrides.apply_to_demand(model(), given, TODAY)
    assert set(changed(both)["part_id"]) == {"P"}


def test_overrides_of_all_places_become_one_list():
    own = data(one("demand", "mean", 5, part_id="P", when="2026-06-20"))
    before = read_overrides(
        pd.DataFrame(
            [
                one("demand", "mean", 7, part_id="P", when="2026-06-20"),
                one("demand", "mean", 8, part_id="Q", when="2026-05-20"),
                one("demand", "mean", 9, part_id="Q", when="2026-05-21"),
            ]
        )
    )
    typed = read_overrides(
        pd.DataFrame(
            [
                one("demand", "mean", 8, part_id="Q", when="2026-05-20", withdrawn_on="2026-06-01",
                    withdrawn_by="王伟"),
                one("levels", "base_stock", 3, part_id="P", site_id="S1", who="王磊"),
            ]
        )
    )  # fmt: skip
    merged, lost = overrides.gather_overrides(own, typed, before)
    table = merged.overrides.sort_values(["table", "part_id", "value"])
    assert lost == []
    assert table[["part_id", "value"]].values.tolist() == [["P", "5"], ["Q", "8"], ["Q", "9"], ["P", "3"]]
    assert table["withdrawn_by"].notna().tolist() == [False, True, False, False]
    again, _ = overrides.gather_overrides(merged, typed, before)
    assert len(again.overrides) == 4
    assert overrides.gather_overrides(own)[0] is own


def test_overrides_of_what_the_data_no_longer_knows_are_left_out_by_name():
    before = read_overrides(
        pd.DataFrame([one("demand", "mean", 7, part_id="GONE"), one("demand", "mean", 1)])
    )
    merged, lost = overrides.gather_overrides(data(), before=before)
    assert merged.overrides["value"].tolist() == ["1"]
    assert len(lost) == 1 and "GONE is not in parts" in lost[0]["reason"] and "withdraw" in lost[0]["remedy"]


def test_one_more_override_is_added_in_a_checked_copy():
    given = data(one("demand", "mean", 5, part_id="P"))
    more = overrides.add_override(given, "demand", "mean", 6, "Li", "opens", part_id="Q", month="2026-08")
    assert more.overrides["value"].tolist() == ["5", "6"] and len(given.overrides) == 1
    assert more.overrides["when"].iloc[1] == given.as_of()
    mended = overrides.add_override(
        more, "demand", "mean", 7, "Li", "opens later", part_id="Q", month="2026-08"
    )
    assert mended.overrides["value"].tolist() == ["5", "7"]
    with pytest.raises(DataError, match="not in parts"):
        overrides.add_override(given, "demand", "mean", 6, "Li", "opens", part_id="X")
    with pytest.raises(DataError, match="is no column"):
        overrides.add_override(given, "demand", "mean", 6, "Li", "opens", machine="Q")


def test_a_file_of_overrides_is_read_from_csv_and_workbook(tmp_path):
    rows = pd.DataFrame([one("demand", "mean", "１２", part_id="P", why="隧道开工")])
    rows.to_csv(tmp_path / "mine.csv", index=False, encoding="gb18030")
    rows.to_excel(tmp_path / "mine.xlsx", sheet_name="overrides", index=False)
    for name in ("mine.csv", "mine.xlsx"):
        read = read_overrides(tmp_path / name, data().tables)
        assert read["why"].tolist() == ["隧道开工"] and read["when"].tolist() == [pd.Timestamp("2026-06-20")]
    with pytest.raises(DataError, match="is no file"):
        read_overrides(tmp_path / "none.csv")
    rows.to_excel(tmp_path / "other.xlsx", sheet_name="stuff", index=False)
    with pytest.raises(DataError, match="has no sheet overrides"):
        read_overrides(tmp_path / "other.xlsx")
