"""Every header and code has an English and a Chinese word."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from spareplan.export.contract import CODED_COLUMNS, SHEETS
from spareplan.language import UnknownWordError, header, word
from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES

TABLES = {**INPUT_TABLES, **OUTPUT_TABLES}


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in text)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_both_headers(table: str) -> None:
    for column in TABLES[table].columns:
        assert not is_chinese(header(table, column.name, "en"))
        assert is_chinese(header(table, column.name, "zh")), column.name


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_exported_sheet_and_column_has_words(sheet: str) -> None:
    assert is_chinese(word(sheet, "zh"))
    headers = [header(sheet, column, "zh") for column in SHEETS[sheet]]
    assert all(map(is_chinese, headers))
    assert len(set(headers)) == len(headers)
    english = [header(sheet, column, "en") for column in SHEETS[sheet]]
    assert len(set(english)) == len(english)


def test_every_allowed_value_of_a_coded_column_has_words() -> None:
    for table in OUTPUT_TABLES.values():
        for column in table.columns:
            if column.name in CODED_COLUMNS:
                for value in column.values:
                    assert is_chinese(word(value, "zh")), (table.name, value)


def test_no_comma_cuts_a_word_short() -> None:
    text = resources.files("spareplan").joinpath("language_words.csv").read_text(encoding="utf-8")
    assert [row for row in csv.reader(text.splitlines()) if len(row) != 3] == []


def test_plain_words_and_windows_are_understood() -> None:
    assert word("late order", "zh") == "订单延误"
    assert word("wait_le_2", "en") == "Met within 2 days"
    assert header("forecast", "q0.975", "zh") == "97.5%分位数"
    assert header("demand", "quantity", "zh") == "数量"
    assert header("demand", "mean", "en") == "Expected demand"


@pytest.mark.parametrize(
    "ask",
    [lambda: word("gobbledygook"), lambda: header("levels", "gobbledygook"), lambda: word("summary", "fr")],
)
def test_an_unknown_word_is_an_error_that_says_where_to_add_it(ask) -> None:
    with pytest.raises(UnknownWordError, match=r"language_words\.csv|use en or zh"):
        ask()
