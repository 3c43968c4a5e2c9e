"""English and Chinese words for everything a plan shows: headers, sheets, codes, figures.

Headers stand in the catalog beside their columns (`spareplan.tables.catalog`), all other words in
`language_words.csv`; there is no third place.
"""

from __future__ import annotations

import csv
import functools
import re
from importlib import resources

from spareplan.errors import SpareplanError
from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES, PLAN_TABLES
from spareplan.tables.schema import Column, Table

LANGUAGES = ("en", "zh")
SHEET_TABLES = {
    "orders": "Orders",
    "shipments": "Orders",
    "purchasing": "Orders",
    "levels": "StockLevels",
    "forecast": "DemandForecast",
    "engineers": "Headcount",
    "grades": "PartGrades",
    "service": "Attainment",
    **{
        name.replace("Headcount.", "engineers_"): name
        for name in OUTPUT_TABLES
        if name.startswith("Headcount.")
    },
}
_QUANTILE = re.compile(r"q(0\.\d+)")
_WITHIN = re.compile(r"wait_le_(.+)")


class UnknownWordError(SpareplanError, KeyError):
    """A word, column or language that the dictionary lacks."""

    def __str__(self) -> str:
        return str(self.args[0])


def header(table: str, column: str, language: str = "en") -> str:
    """Header of a column in a reader's language.

    Parameters
    ----------
    table : str
        An input table, a result (StockLevels), its name in a plan (levels) or a sheet of an export
        (forecast).
    column : str
        A column of it, or one that means the same in any table (part_name).
    language : {"en", "zh"}

    Returns
    -------
    str

    Raises
    ------
    UnknownWordError
        No table has such a column and no word stands for it.
    """
    _check_language(language)
    for found in _tables_named(table):
        if column in found.names:
            return _heading(found[column], language)
    if column.startswith("model_"):
        own = header(table, column.removeprefix("model_"), language)
        return f"{own} (model)" if language == "en" else f"模型{own}"
    quantile = _QUANTILE.fullmatch(column)
    if quantile:
        share = f"{100 * float(quantile[1]):g}"
        return f"{share} % quantile" if language == "en" else f"{share}%分位数"
    for found in (*OUTPUT_TABLES.values(), *INPUT_TABLES.values()):
        if column in found.names and column not in _words():
            return _heading(found[column], language)
    try:
        return word(column, language)
    except UnknownWordError:
        raise UnknownWordError(
            f"no header for {table}.{column}; add the column to the catalog or the word to language_words.csv"
        ) from None


def word(key: str, language: str = "en") -> str:
    """A word in a reader's language.

    Parameters
    ----------
    key : str
        A code (third_party), sheet (levels), figure (money_in_base_stock), unit (pieces) or plain words
        (late order).
    language : {"en", "zh"}

    Returns
    -------
    str

    Raises
    ------
    UnknownWordError
        The dictionary lacks it.
    """
    _check_language(language)
    plain = key.strip().replace(" ", "_")
    found = _words().get(plain) or _words().get(plain.lower()) or _codes().get(plain) or _titles().get(plain)
    if found:
        return found[LANGUAGES.index(language)]
    within = _WITHIN.fullmatch(plain)
    if within:
        return f"Met within {within[1]} days" if language == "en" else f"{within[1]}天内满足率"
    raise UnknownWordError(f"no word for {key!r}; add it to language_words.csv")


def code_word(table: str, column: str, value: str, language: str = "en") -> str:
    """A coded value in a reader's language: the column's own word for it before the dictionary's.

    Parameters
    ----------
    table, column : str
        As in `header`.
    value : str
    language : {"en", "zh"}

    Returns
    -------
    str

    Raises
    ------
    UnknownWordError
        Neither the column nor the dictionary has a word for it.
    """
    _check_language(language)
    for found in _tables_named(table):
        if column in found.names and value in found[column].words:
            english, chinese = _spoken(found[column], value)
            own = [text for text in found[column].words[value] if text.isascii()]
            return chinese if language == "zh" else own[0].capitalize() if own else english
    return word(value, language)


def _heading(column: Column, language: str) -> str:
    return column.english if language == "en" else column.chinese[0]


def _tables_named(name: str) -> list[Table]:
    found = [PLAN_TABLES.get(name), OUTPUT_TABLES.get(SHEET_TABLES.get(name, name)), INPUT_TABLES.get(name)]
    return [table for table in found if table is not None]


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise UnknownWordError(f"language {language!r} is not known; use {' or '.join(LANGUAGES)}")


@functools.cache
def _words() -> dict[str, tuple[str, str]]:
    text = resources.files("spareplan").joinpath("language_words.csv").read_text(encoding="utf-8")
    return {row["key"]: (row["english"], row["chinese"]) for row in csv.DictReader(text.splitlines())}


@functools.cache
def _codes() -> dict[str, tuple[str, str]]:
    """Allowed values of the catalog's columns; an input's words give way to those of a result."""
    found: dict[str, tuple[str, str]] = {}
    for table in (*OUTPUT_TABLES.values(), *INPUT_TABLES.values()):
        for column in table.columns:
            for value in column.values:
                found.setdefault(value, _spoken(column, value))
    return found


def _spoken(column: Column, value: str) -> tuple[str, str]:
    words = [name for name in column.words[value] if not name.isascii()]
    said = value.replace("_", " ")
    return said[:1].upper() + said[1:], words[0] if words else value


@functools.cache
def _titles() -> dict[str, tuple[str, str]]:
    """Titles of the sheets that are a table of the catalog."""
    return {
        sheet: (OUTPUT_TABLES[table].english, OUTPUT_TABLES[table].chinese[0])
        for sheet, table in SHEET_TABLES.items()
    }
