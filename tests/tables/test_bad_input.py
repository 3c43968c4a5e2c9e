"""Every kind of wrong input is named: table, row, column, value, rule and the way out."""

from __future__ import annotations

import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.tables.dataset import Dataset
from spareplan.tables.io import check_dataset, read_dataset
from tests.tables.small_tables import edited, text_frames, with_row, write_csvs

# sentence: (frames, table, row, column, value, piece of the rule)
CASES = {
    "a negative price": (edited("parts", 3, "unit_cost", "-5"), "parts", 3, "unit_cost", "-5", "at least 0"),
    "a price that is text": (
        edited("parts", 3, "unit_cost", "abc"),
        "parts",
        3,
        "unit_cost",
        "abc",
        "no number",
    ),
    "a price that is NaN": (edited("parts", 3, "unit_cost", "NaN"), "parts", 3, "unit_cost", "NaN", "finite"),
    "an infinite lead time": (
        edited("parts", 4, "lead_time_days", "inf"),
        "parts",
        4,
        "lead_time_days",
        "inf",
        "finite",
    ),
    "a price too large for a number": (
        edited("parts", 4, "unit_cost", "1e999"),
        "parts",
        4,
        "unit_cost",
        "1e999",
        "finite",
    ),
    "a price with a currency sign": (
        edited("parts", 2, "unit_cost", "¥100"),
        "parts",
        2,
        "unit_cost",
        "¥100",
        "currency",
    ),
    "a number that may be thousands or decimals": (
        edited("parts", 2, "unit_cost", "1,234"),
        "parts",
        2,
        "unit_cost",
        "1,234",
        "comma",
    ),
    "a percentage": (
        edited("site_repairs", 2, "repair_share_site", "30%"),
        "site_repairs",
        2,
        "repair_share_site",
        "30%",
        "percentage",
    ),
    "a share above one": (
        edited("site_repairs", 2, "repair_share_site", "1.2"),
        "site_repairs",
        2,
        "repair_share_site",
        "1.2",
        "at most 1",
    ),
    "a quantity of nothing": (
        edited("fitment", 2, "quantity", "0"),
        "fitment",
        2,
        "quantity",
        "0",
        "above 0",
    ),
    "half a replacement": (
        edited("replacements", 2, "quantity", "1.5"),
        "replacements",
        2,
        "quantity",
        "1.5",
        "whole",
    ),
    "a missing price": (edited("parts", 2, "unit_cost", ""), "parts", 2, "unit_cost", "", "empty"),
    "a missing id": (edited("stock", 3, "part_id", ""), "stock", 3, "part_id", "", "empty"),
    "a tier nobody knows": (edited("products", 2, "tier", "4"), "products", 2, "tier", "4", "allowed values"),
    "a source nobody knows": (
        edited("parts", 2, "source", "borrowed"),
        "parts",
        2,
        "source",
        "borrowed",
        "allowed values",
    ),
    "a day that does not exist": (
        edited("units", 2, "commissioned_on", "2023-02-30"),
        "units",
        2,
        "commissioned_on",
        "2023-02-30",
        "calendar",
    ),
    "a date with the year last": (
        edited("units", 2, "commissioned_on", "05/06/2023"),
        "units",
        2,
        "commissioned_on",
        "05/06/2023",
        "which is day",
    ),
    "a serial date outside a workbook": (
        edited("units", 2, "commissioned_on", "45000"),
        "units",
        2,
        "commissioned_on",
        "45000",
        "no date but a number",
    ),
    "a date far in the future": (
        edited("units", 2, "retired_on", "9999-12-31"),
        "units",
        2,
        "retired_on",
        "9999-12-31",
        "outside",
    ),
    "a moment with a time zone": (
        edited("work_orders", 2, "opened_at", "2024-05-02T08:30+08:00"),
        "work_orders",
        2,
        "opened_at",
        "2024-05-02T08:30+08:00",
        "time zone",
    ),
    "a month that is none": (
        edited("demand", 2, "month", "2024-13"),
        "demand",
        2,
        "month",
        "2024-13",
        "calendar",
    ),
    "neither yes nor no": (
        edited("replacements", 2, "planned", "maybe"),
        "replacements",
        2,
        "planned",
        "maybe",
        "yes nor no",
    ),
    "an id a spreadsheet has rounded": (
        edited("stock", 2, "part_id", "1.23E+11"),
        "stock",
        2,
        "part_id",
        "1.23E+11",
        "spreadsheet",
    ),
    "an error of a formula": (edited("stock", 2, "on_hand", "#N/A"), "stock", 2, "on_hand", "#N/A", "error"),
    "an unknown part": (edited("stock", 3, "part_id", "P-77"), "stock", 3, "part_id", "P-77", "not in parts"),
    "an unknown site": (edited("stock", 3, "site_id", "北京"), "stock", 3, "site_id", "北京", "not in sites"),
    "an unknown product": (
        edited("units", 2, "product_id", "CRANE"),
        "units",
        2,
        "product_id",
        "CRANE",
        "not in products",
    ),
    "an unknown machine": (
        edited("replacements", 2, "unit_id", "U9"),
        "replacements",
        2,
        "unit_id",
        "U9",
        "not in units",
    ),
    "an unknown region": (
        edited("sites", 3, "region_id", "华中"),
        "sites",
        3,
        "region_id",
        "华中",
        "not in regions",
    ),
    "an unknown parent": (
        edited("sites", 4, "parent_id", "HQ2"),
        "sites",
        4,
        "parent_id",
        "HQ2",
        "not in sites",
    ),
    "a part superseded by an unknown one": (
        edited("parts", 2, "superseded_by", "P-9"),
        "parts",
        2,
        "superseded_by",
        "P-9",
        "not in parts",
    ),
    "parts that supersede each other": (
        edited("parts", 4, "superseded_by", "P-2"),
        "parts",
        3,
        "superseded_by",
        "P-3",
        "circle",
    ),
    "a doubled part": (
        with_row("parts", "P-2", "again", "1", "1"),
        "parts",
        5,
        "part_id",
        "P-2",
        "already in row 3",
    ),
    "a doubled month of demand": (
        with_row("demand", "P-3", "上海", "2024年2月", "1"),
        "demand",
        5,
        "part_id, site_id, month",
        "P-3, 上海, 2024-02-01",
        "already in row 3",
    ),
    "two headquarters": (
        edited("sites", 3, "parent_id", ""),
        "sites",
        3,
        "parent_id",
        "",
        "second headquarters",
    ),
    "no headquarters": (
        edited("sites", 2, "parent_id", "上海"),
        "sites",
        0,
        "parent_id",
        "",
        "no headquarters",
    ),
    "a circle of sites": (edited("sites", 3, "parent_id", "上海"), "sites", 3, "parent_id", "上海", "circle"),
    "a lead time at headquarters": (
        edited("sites", 2, "lead_time_days", "5"),
        "sites",
        2,
        "lead_time_days",
        "5",
        "not 0 for headquarters",
    ),
    "no lead time below headquarters": (
        edited("sites", 4, "lead_time_days", ""),
        "sites",
        4,
        "lead_time_days",
        "",
        "empty",
    ),
    "retirement before commissioning": (
        edited("units", 3, "retired_on", "2023-01-31"),
        "units",
        3,
        "retired_on",
        "2023-01-31",
        "before commissioning on 2023-02-01",
    ),
    "commissioning before the machine was built": (
        edited("units", 4, "built_on", "2023-09-01"),
        "units",
        4,
        "commissioned_on",
        "2023-08-15",
        "built on 2023-09-01",
    ),
    "a failure before commissioning": (
        edited("replacements", 4, "replaced_on", "2023-08-01"),
        "replacements",
        4,
        "replaced_on",
        "2023-08-01",
        "before the machine's commissioning",
    ),
    "a failure after retirement": (
        edited("replacements", 3, "replaced_on", "2024-04-01"),
        "replacements",
        3,
        "replaced_on",
        "2024-04-01",
        "after the machine's retirement on 2024-03-31",
    ),
    "a report before its replacement": (
        edited("replacements", 2, "reported_on", "2023-11-04"),
        "replacements",
        2,
        "reported_on",
        "2023-11-04",
        "before the replacement on 2023-11-05",
    ),
    "a reading before the machine was there": (
        edited("meter_readings", 2, "read_on", "2022-02-01"),
        "meter_readings",
        2,
        "read_on",
        "2022-02-01",
        "there, on 2022-03-01",
    ),
    "a meter that runs backwards": (
        with_row("meter_readings", "U1", "2024-03-31", "2500"),
        "meter_readings",
        3,
        "hours",
        "2500",
        "below the reading of 2600 hours on 2024-01-31",
    ),
    "a machine without any date": (
        edited("units", 3, "commissioned_on", ""),
        "units",
        3,
        "commissioned_on",
        "",
        "so is built_on",
    ),
    "a part that does not fit the machine": (
        edited("replacements", 4, "part_id", "00123"),
        "replacements",
        4,
        "part_id",
        "00123",
        "does not fit product ROLLER",
    ),
    "a response before the call": (
        edited("work_orders", 2, "responded_at", "2024-05-02 08:00"),
        "work_orders",
        2,
        "responded_at",
        "2024-05-02 08:00",
        "before the order was opened",
    ),
    "a solution before the response": (
        edited("work_orders", 2, "resolved_at", "2024-05-02 08:40"),
        "work_orders",
        2,
        "resolved_at",
        "2024-05-02 08:40",
        "before the response",
    ),
    "a solution before the call": (
        edited("work_orders", 3, "resolved_at", "2024-05-03 09:00"),
        "work_orders",
        3,
        "resolved_at",
        "2024-05-03 09:00",
        "before the order was opened",
    ),
    "an override of an unknown table": (
        edited("overrides", 2, "table", "prices"),
        "overrides",
        2,
        "table",
        "prices",
        "no result",
    ),
    "an override of an unknown column": (
        edited("overrides", 2, "column", "price"),
        "overrides",
        2,
        "column",
        "price",
        "no column of demand",
    ),
    "an override of a number by a word": (
        edited("overrides", 2, "value", "many"),
        "overrides",
        2,
        "value",
        "many",
        "no number",
    ),
    "an override by half a piece": (
        edited("overrides", 3, "value", "2.5"),
        "overrides",
        3,
        "value",
        "2.5",
        "whole",
    ),
    "an override out of bounds": (
        edited("overrides", 3, "value", "-2"),
        "overrides",
        3,
        "value",
        "-2",
        "at least 0",
    ),
    "a window without a share": (
        edited("targets", 3, "window_days", "2"),
        "targets",
        3,
        "target_in_window",
        "",
        "window_days is given",
    ),
    "no parts table": (text_frames(parts=None), "parts", 0, "", "", "required table"),
    "an empty sites table": (
        text_frames(sites="site_id,name,parent_id,lead_time_days"),
        "sites",
        0,
        "",
        "",
        "no rows",
    ),
    "a missing column": (
        text_frames(fitment="product_id,part_id\nPUMP,P-2"),
        "fitment",
        0,
        "quantity",
        "",
        "required column",
    ),
    "a doubled header": (
        text_frames(fitment="product_id,part_id,quantity,数量\nPUMP,P-2,1,2"),
        "fitment",
        0,
        "quantity",
        "数量",
        "twice",
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_wrong_input_is_refused_by_name(sentence: str) -> None:
    frames, table, row, column, value, rule = CASES[sentence]
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(frames)
    problems = caught.value.problems
    assert list(problems.columns) == ["table", "row", "column", "value", "rule", "remedy"]
    place = (problems["table"] == table) & (problems["row"] == row) & (problems["column"] == column)
    assert place.any(), problems.to_string()
    found = problems[place & problems["rule"].str.contains(rule, regex=False)].iloc[0]
    assert found["value"] == value
    assert len(found["remedy"]) > 3


@pytest.mark.parametrize("sentence", list(CASES)[::7])
def test_files_are_refused_with_the_same_words_as_frames(sentence: str, tmp_path) -> None:
    frames = CASES[sentence][0]
    with pytest.raises(DataError) as from_frames:
        Dataset.from_frames(frames)
    write_csvs(frames, tmp_path)
    check = check_dataset(tmp_path)
    pd.testing.assert_frame_equal(check.problems, from_frames.value.problems)
    assert check.summary.endswith("tables")


def test_one_fault_gives_one_problem() -> None:
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(edited("parts", 3, "unit_cost", "abc"))
    assert len(caught.value.problems) == 1


def test_all_problems_come_at_once_sorted_by_table_and_row() -> None:
    frames = text_frames(regions=None)
    frames["stock"].loc[0, "on_hand"] = "-1"
    frames["stock"].loc[1, "part_id"] = "P-77"
    frames["parts"].loc[2, "unit_cost"] = ""
    frames["parts"].loc[0, "lead_time_days"] = "soon"
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(frames)
    problems = caught.value.problems
    assert list(zip(problems["table"], problems["row"])) == [
        ("parts", 2),
        ("parts", 4),
        ("stock", 2),
        ("stock", 3),
    ]
    assert "stock[row 3].part_id = 'P-77': not in parts; add it to parts or drop the row" in str(caught.value)


def test_an_id_that_lost_its_zeros_is_recognised() -> None:
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(edited("stock", 2, "part_id", "123"))
    assert caught.value.problems["remedy"].iloc[0] == "is it '00123'?"


def test_dropping_takes_bad_rows_and_what_hangs_on_them() -> None:
    frames = edited("units", 2, "commissioned_on", "someday")
    data = Dataset.from_frames(frames, on_bad_rows="drop")
    assert data.units["unit_id"].tolist() == ["U2", "U3"]
    assert data.replacements["unit_id"].tolist() == ["U2", "U3"]
    assert data.meter_readings.empty
    assert data.work_orders["order_id"].tolist() == ["W2"]
    assert set(zip(data.dropped["table"], data.dropped["row"])) == {
        ("units", 2),
        ("replacements", 2),
        ("meter_readings", 2),
        ("work_orders", 2),
    }
    assert "1 bad rows were dropped" in data.notes.loc[data.notes["table"] == "units", "note"].tolist()


def test_a_dropped_site_takes_its_whole_branch() -> None:
    frames = with_row("sites", "苏州", "Suzhou", "华东", "上海", "1")
    frames["sites"].loc[1, "lead_time_days"] = "-3"
    data = Dataset.from_frames(frames, on_bad_rows="drop")
    assert data.network.site_ids == ["HQ", "乌鲁木齐"]
    assert not data.stock["site_id"].isin(["上海", "苏州"]).any()


@pytest.mark.parametrize(
    "sentence", ["two headquarters", "no headquarters", "a missing column", "no parts table"]
)
def test_dropping_rows_does_not_mend_a_whole_table(sentence: str) -> None:
    with pytest.raises(DataError):
        Dataset.from_frames(CASES[sentence][0], on_bad_rows="drop")


def test_dropping_everything_is_refused_with_the_reason() -> None:
    frames = text_frames()
    frames["parts"]["unit_cost"] = "free"
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(frames, on_bad_rows="drop")
    problems = caught.value.problems
    assert ("parts", 0) in set(zip(problems["table"], problems["row"]))
    assert ("parts", 2) in set(zip(problems["table"], problems["row"]))


def test_another_choice_than_raise_or_drop_is_refused() -> None:
    with pytest.raises(DataError, match="raise or drop"):
        Dataset.from_frames(text_frames(), on_bad_rows="ignore")


def test_rows_with_too_few_cells_are_named_by_their_line(tmp_path) -> None:
    write_csvs(text_frames(), tmp_path)
    (tmp_path / "stock.csv").write_text(
        'part_id,site_id,on_hand,bin\n00123,HQ,1,"two\nlines"\nP-2,上海\n\nP-3,HQ,x,\n', encoding="utf-8"
    )
    problems = check_dataset(tmp_path).problems
    assert problems[["table", "row", "column", "value"]].values.tolist() == [
        ["stock", 4, "", "P-2,上海"],
        ["stock", 6, "on_hand", "x"],
    ]
    data = read_dataset(tmp_path, on_bad_rows="drop")
    assert data.stock["part_id"].tolist() == ["00123"]
    assert len(data.dropped) == 2


def test_bytes_that_are_no_text_are_named_beside_other_problems(tmp_path) -> None:
    write_csvs(edited("parts", 2, "unit_cost", "-1"), tmp_path)
    (tmp_path / "stock.csv").write_bytes(b"part_id,site_id,on_hand\n\xff\xfe\x81,HQ,1\n")
    problems = check_dataset(tmp_path).problems
    assert problems["table"].tolist() == ["parts", "stock"]
    assert problems["rule"].tolist()[1] == "is neither UTF-8 nor GB18030"


def test_an_empty_file_is_named(tmp_path) -> None:
    write_csvs(text_frames(), tmp_path)
    (tmp_path / "sites.csv").write_bytes(b"")
    problems = check_dataset(tmp_path).problems
    assert problems[["table", "row"]].values.tolist() == [["sites", 0]]
    assert "empty" in problems["rule"].iloc[0]


@pytest.mark.parametrize(
    "source", ["nowhere", "sqlite:///nowhere.db", "postgresql+psycopg://x@127.0.0.1:1/x", "magic://x"]
)
def test_a_source_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset(source)
    assert caught.value.problems["row"].tolist() == [0]


def test_a_folder_without_tables_is_named(tmp_path) -> None:
    (tmp_path / "notes.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="holds no table"):
        read_dataset(tmp_path)


def test_a_password_never_shows(monkeypatch) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset("postgresql+psycopg://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


def test_the_same_table_twice_is_refused(tmp_path) -> None:
    write_csvs(text_frames(), tmp_path)
    (tmp_path / "备件.csv").write_text("part_id\nX\n", encoding="utf-8")
    problems = check_dataset(tmp_path).problems
    assert problems["rule"].str.contains("twice").any()
