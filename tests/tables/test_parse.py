"""Cells as people type them, read right or refused."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.cells import Fault, cell_text, read_boolean, read_date, read_month, read_number
from spareplan.tables.parse import parse_column


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("１２３", 123),
        ("－５．５", -5.5),
        ("1e3", 1000),
        (".5", 0.5),
        ("5.", 5),
        ("+7", 7),
        ("\u22123", -3),
        ("1,234.50", 1234.5),
        ("1,234,567", 1234567),
        ("１，２３４．５０", 1234.5),
    ],
)
def test_numbers_are_read(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1,234", "comma"),
        ("1234,5", "comma"),
        ("1.234,50", "comma"),
        ("12,34.5", "comma"),
        ("5%", "percentage"),
        ("５％", "percentage"),
        ("nan", "finite"),
        ("-Inf", "finite"),
        ("1e400", "finite"),
        ("￥5", "currency"),
        ("5元", "currency"),
        ("--5", "no number"),
        ("0x10", "no number"),
        ("1_000", "no number"),
        ("five", "no number"),
        ("½", "no number"),
    ],
)
def test_what_is_no_plain_number_is_refused(text: str, rule: str) -> None:
    fault = read_number(text)
    assert isinstance(fault, Fault)
    assert rule in fault.rule


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-05",
        "2024/1/5",
        "2024.01.05",
        "2024年1月5日",
        "2024年01月05",
        "20240105",
        "２０２４－０１－０５",
        "2024-01-05 13:45",
        "2024-01-05T13:45:10.5",
        "2024/1/5  8:00",
    ],
)
def test_days_are_read(text: str) -> None:
    assert read_date(text).isoformat() == "2024-01-05T00:00:00"  # type: ignore[union-attr]


def test_a_moment_keeps_its_time() -> None:
    assert read_date("2024/1/5 8:05", with_time=True).isoformat() == "2024-01-05T08:05:00"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "5.1.2024",
        "01/05/24",
        "2024-1",
        "2024-02-30",
        "1899-12-31",
        "2300-01-01",
        "45000",
        "2024-01/05",
        "yesterday",
        "2024-01-05 25:00",
        "2024-01-05T08:00Z",
        "240105",
    ],
)
def test_what_is_no_plain_day_is_refused(text: str) -> None:
    assert isinstance(read_date(text), Fault)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01",
        "2024/1",
        "2024.1",
        "202401",
        "2024年1月",
        "2024年01",
        "2024-01-31",
        "2024年1月15日",
        "20240115",
    ],
)
def test_months_are_read_as_their_first_day(text: str) -> None:
    assert read_month(text).isoformat() == "2024-01-01T00:00:00"  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["2024-13", "202400", "Jan 2024", "01/2024", "2024"])
def test_what_is_no_month_is_refused(text: str) -> None:
    assert isinstance(read_month(text), Fault)


def test_serial_dates_are_those_of_excel() -> None:
    # Excel: 45296 is 2024-01-05 in the 1900 system, 43834 in the 1904 system; half a day is noon
    assert read_date("45296", 1900).isoformat() == "2024-01-05T00:00:00"  # type: ignore[union-attr]
    assert read_date("43834", 1904).isoformat() == "2024-01-05T00:00:00"  # type: ignore[union-attr]
    assert read_date("45296.5", 1900, with_time=True).hour == 12  # type: ignore[union-attr]
    assert read_month("45296", 1900).day == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("是", True),
        ("Ｙ", True),
        ("1", True),
        ("FALSE", False),
        ("否", False),
        ("n", False),
        ("0", False),
    ],
)
def test_yes_and_no_are_read(text: str, value: bool) -> None:
    assert read_boolean(text) is value


@pytest.mark.parametrize(
    ("table", "column", "text", "value"),
    [
        ("products", "tier", "超越期望", 1),
        ("products", "tier", "3", 3),
        ("products", "tier", "２", 2),
        ("products", "tier", "2.0", 2),
        ("parts", "source", "外购", "buy"),
        ("parts", "criticality", "VITAL", "vital"),
        ("work_orders", "priority", "p1", "P1"),
        ("work_orders", "outcome", "Part missing", "part_missing"),
        ("sites", "ship_weekday", "周三", 3),
        ("calendar", "kind", "放假", "holiday"),
    ],
)
def test_words_of_the_catalog_are_understood(table: str, column: str, text: str, value: object) -> None:
    assert parse_column(pd.Series([text]), INPUT_TABLES[table][column]).values.iloc[0] == value


def test_mixed_cells_of_a_frame_are_read_one_by_one() -> None:
    cells = pd.Series([1, "2", 3.5, None, np.nan, pd.NA, "x", True, np.inf, ""], dtype=object)
    parsed = parse_column(cells, INPUT_TABLES["parts"]["unit_cost"])
    assert parsed.values[:3].tolist() == [1, 2, 3.5]
    assert parsed.values[3:].isna().all()
    assert parsed.faulty.tolist() == [6, 7, 8]


def test_numbers_become_the_ids_they_were() -> None:
    column = INPUT_TABLES["parts"]["part_id"]
    for cells in (
        pd.Series([123, 7]),
        pd.Series([123.0, 7.0]),
        pd.Series([123.0, "7"], dtype=object),
        pd.Series(["123", "7"]).astype("category"),
    ):
        assert parse_column(cells, column).values.tolist() == ["123", "7"]


def test_a_time_zone_of_typed_moments_is_left_off_as_the_wall_clock_shows_it() -> None:
    moments = pd.Series(pd.to_datetime(["2024-05-01 08:00"]).tz_localize("Asia/Shanghai"))
    parsed = parse_column(moments, INPUT_TABLES["work_orders"]["opened_at"])
    assert parsed.values.iloc[0] == pd.Timestamp("2024-05-01 08:00")


def test_typed_dates_out_of_range_are_refused() -> None:
    days = pd.Series(np.array(["2024-05-01", "9999-12-31"], dtype="datetime64[s]"))
    parsed = parse_column(days, INPUT_TABLES["units"]["retired_on"])
    assert parsed.faulty.tolist() == [1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (pd.Timestamp("2024-01-05"), "2024-01-05"),
        (pd.Timestamp("2024-01-05 08:30"), "2024-01-05 08:30:00"),
        (None, ""),
        (math.nan, ""),
        (1e16, "1e+16"),
        (0.1, "0.1"),
    ],
)
def test_cells_are_shown_as_people_see_them(value: object, text: str) -> None:
    assert cell_text(value) == text
