"""Columns of cells -> columns of one dtype.

Each distinct cell is read once and spread over the rows, so a column of millions of rows costs as many
readings as it has different values. What a cell may look like stands in `spareplan.tables.cells`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.tables.cells import (
    EXCEL_ERRORS,
    FIRST_YEAR,
    LAST_YEAR,
    SPACES,
    Fault,
    cell_text,
    fold,
    is_missing,
    not_finite,
    outside,
    read_boolean,
    read_date,
    read_id,
    read_integer,
    read_month,
    read_number,
    read_text,
)
from spareplan.tables.schema import STAMP, TEXT, Column


@dataclass(frozen=True)
class Parsed:
    """One column read.

    Parameters
    ----------
    values : Series
        Dtype of the column; missing where the cell is empty or faulty; integers as float until defaults are
        in.
    faulty : ndarray of int
        Positions that could not be read.
    faults : list of Fault
        One per faulty position.
    trimmed : int
        Cells that lost white space or an apostrophe.
    """

    values: pd.Series
    faulty: np.ndarray
    faults: list[Fault]
    trimmed: int = 0


def parse_column(raw: pd.Series, column: Column, date_system: int | None = None) -> Parsed:
    """Read one column.

    Parameters
    ----------
    raw : Series
        Cells as given: text, categories of text, numbers, dates, or a mixture.
    column : Column
        What they shall become.
    date_system : {1900, 1904}, optional
        Date system of the workbook; None: no workbook, serial dates are refused.

    Returns
    -------
    Parsed
        Index 0..n-1.
    """
    typed = _parse_typed(raw, column)
    if typed is not None:
        return typed
    codes, cells = cells_of(raw)
    read = _reader(column, date_system)
    values: list[Any] = [None] * len(cells)
    faults: dict[int, Fault] = {}
    trimmed = np.zeros(len(cells), dtype=bool)
    for at, cell in enumerate(cells):
        text = cell.strip(SPACES)
        if len(text) > 1 and text[0] == "'":
            text = text[1:].strip(SPACES)
        trimmed[at] = text != cell and text != ""
        if not text:
            continue
        value = (
            Fault("is an error of a spreadsheet", "mend the formula behind it, or empty the cell")
            if text in EXCEL_ERRORS
            else read(text)
        )
        if isinstance(value, Fault):
            faults[at] = value
        else:
            values[at] = value
    taken = _typed_values(values, column, codes)
    bad = np.zeros(len(cells) + 1, dtype=bool)
    bad[list(faults)] = True
    faulty = np.flatnonzero(bad[codes])  # code -1, an empty cell, takes the last entry, which stays False
    count = int(np.append(trimmed, False)[codes].sum()) if trimmed.any() else 0
    return Parsed(taken, faulty, [faults[code] for code in codes[faulty]], count)


def cells_of(raw: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Distinct cells of a column as text, and which of them stands in each row.

    Parameters
    ----------
    raw : Series

    Returns
    -------
    codes : ndarray of int, shape (n,)
        -1 where the cell is empty.
    cells : list of str
    """
    if isinstance(raw.dtype, pd.CategoricalDtype):
        # a plain list: looping over text in Arrow's memory costs ten times as much
        categories = raw.cat.categories.to_numpy(dtype=object).tolist()
        return raw.cat.codes.to_numpy().astype(np.int64), [cell_text(value) for value in categories]
    if raw.dtype == object:
        raw = pd.Series([None if is_missing(value) else cell_text(value) for value in raw], dtype=object)
        codes, cells = pd.factorize(raw)
        return codes, list(cells)
    codes, values = pd.factorize(raw)
    return codes, [cell_text(value) for value in np.asarray(values, dtype=object).tolist()]


def _parse_typed(raw: pd.Series, column: Column) -> Parsed | None:
    """Columns whose dtype already says what they are; None where cells must be read one by one."""
    raw = raw.reset_index(drop=True)
    kind = getattr(raw.dtype, "kind", "O")
    if isinstance(raw.dtype, pd.CategoricalDtype):
        return None
    if column.dtype == "number" and kind in "iuf":
        values = raw.astype("float64")
        infinite = np.flatnonzero(np.isinf(values.to_numpy()))
        return Parsed(values.where(np.isfinite(values)), infinite, [not_finite()] * len(infinite))
    if column.dtype in ("date", "month", "moment") and kind == "M":
        plain = raw.dt.tz_localize(None) if getattr(raw.dtype, "tz", None) is not None else raw
        strange = np.flatnonzero(((plain.dt.year < FIRST_YEAR) | (plain.dt.year > LAST_YEAR)).to_numpy())
        plain = plain.mask(plain.index.isin(strange)) if len(strange) else plain
        if column.dtype == "month":
            plain = plain.dt.to_period("M").dt.to_timestamp()
        elif column.dtype == "date":
            plain = plain.dt.normalize()
        return Parsed(plain.astype(STAMP), strange, [outside()] * len(strange))
    if column.dtype == "boolean" and raw.dtype == bool:
        return Parsed(raw.astype(object), np.array([], dtype=np.int64), [])
    return None


def _typed_values(values: list[Any], column: Column, codes: np.ndarray) -> pd.Series:
    """Distinct values spread over the rows; code -1 takes the missing value put behind them."""
    if column.dtype in ("number", "integer"):
        table = np.array([math.nan if value is None else value for value in values] + [math.nan], dtype=float)
        return pd.Series(table[codes])
    if column.dtype in ("date", "month", "moment"):
        stamps = pd.Series(pd.to_datetime([*values, None])).astype(STAMP)
        return stamps.take(codes % len(stamps)).reset_index(drop=True)
    dtype: Any = TEXT if column.dtype == "text" else object
    texts = pd.Series([math.nan if value is None else value for value in values] + [math.nan], dtype=dtype)
    return texts.take(codes % len(texts)).reset_index(drop=True)


def _reader(column: Column, date_system: int | None) -> Callable[[str], Any]:
    if column.values and column.dtype in ("text", "integer"):
        return _word_reader(column)
    if column.dtype == "number":
        return read_number
    if column.dtype == "integer":
        return read_integer
    if column.dtype == "boolean":
        return read_boolean
    if column.dtype == "month":
        return lambda text: read_month(text, date_system)
    if column.dtype in ("date", "moment"):
        return lambda text: read_date(text, date_system, column.dtype == "moment")
    is_id = column.key or column.references is not None or column.name.endswith("_id")
    return read_id if is_id else read_text


def _word_reader(column: Column) -> Callable[[str], Any]:
    number = column.dtype == "integer"
    known = {
        fold(word): float(value) if number else value
        for value in column.values
        for word in (value, *column.words[value])
    }
    shown = ", ".join(column.values)

    def read(text: str) -> Any:
        value = known.get(fold(text))
        if value is None and number:
            whole = read_integer(text)
            value = known.get(f"{whole:g}") if isinstance(whole, float) else None
        return Fault("is none of the allowed values", f"use one of: {shown}") if value is None else value

    return read
