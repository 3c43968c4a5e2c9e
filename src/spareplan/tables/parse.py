"""Cells as given -> values of one dtype, each either read right or refused by name.

What is read, beside the plain forms:

- numbers: full-width digits; thousands separators where they can mean nothing else (1,234.50 or 1,234,567; a lone
  1,234 is refused, it may be a decimal comma); never percent, currency signs, NaN or infinities.
- dates: 2024-01-05, 2024/1/5, 2024.1.5, 2024年1月5日, 20240105, with a time of day or without; a date column keeps
  the day. Excel's serial numbers only in a workbook, whose date system is known. The year comes first: 5/1/2024 is
  refused. Months also as 2024-01, 2024/1, 202401, 2024年1月; any day of it means its month.
- yes and no: true/false, yes/no, y/n, 1/0, 是/否.
- text and ids: as given, leading zeros kept; white space around them and an apostrophe in front (Excel's mark for
  text) are taken off. Full-width letters and digits in ids stay. A whole number in an id cell of a workbook is its
  digits (123.0 is 123).
- words: case, width and Chinese words of the catalog are understood where a column has a list of values.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.tables.schema import STAMP, TEXT, Column

FIRST_YEAR, LAST_YEAR = 1900, 2200
EXACT_DIGITS = 1e15
SERIAL_ZERO = dt.datetime(1899, 12, 30)
SERIAL_1904_SHIFT = 1462
EXCEL_ERRORS = {"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
NO_NUMBERS = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity", "1.#inf", "1.#qnan"}
YES = {"true", "yes", "y", "t", "1", "是", "真", "对"}
NO = {"false", "no", "n", "f", "0", "否", "假", "错"}
SPACES = " \t\r\n\v\f\u00a0\u3000\ufeff\u200b\u2007\u202f"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I)
_GROUPED = re.compile(r"[+-]?(\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})")
_TIME = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
_DATE = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日?)" + _TIME)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_MONTH = re.compile(r"(\d{4})(?:[-/.](\d{1,2})|年(\d{1,2})月?|(\d{2}))")
_SERIAL = re.compile(r"\d{4,6}(\.\d+)?")
_ZONED = re.compile(r".*\d{1,2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})", re.I)
_YEAR_LAST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*")
_SPOILT_ID = re.compile(r"\d(\.\d+)?E\+\d+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Fault(NamedTuple):
    """Why a cell cannot be read, and the way out."""

    rule: str
    remedy: str


@dataclass(frozen=True)
class Parsed:
    """One column read.

    Parameters
    ----------
    values : Series
        Dtype of the column; missing where the cell is empty or faulty; integers as float until defaults are in.
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
        value = Fault("is an error of a spreadsheet", "mend the formula behind it, or empty the cell") \
            if text in EXCEL_ERRORS else read(text)
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
        return raw.cat.codes.to_numpy().astype(np.int64), [cell_text(value) for value in raw.cat.categories]
    if raw.dtype == object:
        raw = pd.Series([None if _missing(value) else cell_text(value) for value in raw], dtype=object)
        codes, cells = pd.factorize(raw)
        return codes, list(cells)
    codes, values = pd.factorize(raw)
    return codes, [cell_text(value) for value in values]


def cell_text(value: object) -> str:
    """A cell as text as a person would see it.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        Whole numbers without a decimal point, dates in ISO form, midnight left out.
    """
    if isinstance(value, str):
        return value
    if _missing(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        whole = math.isfinite(value) and value == int(value) and abs(value) < EXACT_DIGITS
        return str(int(value)) if whole else repr(float(value))
    if isinstance(value, dt.datetime):
        plain = value.replace(tzinfo=None)
        return plain.isoformat(sep=" ") if plain.time() != dt.time() else plain.date().isoformat()
    if isinstance(value, np.datetime64):
        return cell_text(pd.Timestamp(value))
    return str(value)


def fold(text: str) -> str:
    """Text without the differences of case, width and spacing.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return re.sub(r"[\s_\-\ufeff\u200b]+", "", unicodedata.normalize("NFKC", text).casefold())


def _missing(value: object) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _parse_typed(raw: pd.Series, column: Column) -> Parsed | None:
    """Columns whose dtype already says what they are; None where cells must be read one by one."""
    raw = raw.reset_index(drop=True)
    kind = getattr(raw.dtype, "kind", "O")
    if isinstance(raw.dtype, pd.CategoricalDtype):
        return None
    if column.dtype == "number" and kind in "iuf":
        values = raw.astype("float64")
        infinite = np.flatnonzero(np.isinf(values.to_numpy()))
        return Parsed(values.where(np.isfinite(values)), infinite, [_not_finite()] * len(infinite))
    if column.dtype in ("date", "month", "moment") and kind == "M":
        plain = raw.dt.tz_localize(None) if getattr(raw.dtype, "tz", None) is not None else raw
        outside = np.flatnonzero(((plain.dt.year < FIRST_YEAR) | (plain.dt.year > LAST_YEAR)).to_numpy())
        plain = plain.mask(plain.index.isin(outside)) if len(outside) else plain
        if column.dtype == "month":
            plain = plain.dt.to_period("M").dt.to_timestamp()
        elif column.dtype == "date":
            plain = plain.dt.normalize()
        return Parsed(plain.astype(STAMP), outside, [_outside()] * len(outside))  # type: ignore[call-overload]
    if column.dtype == "boolean" and raw.dtype == bool:
        return Parsed(raw.astype(object), np.array([], dtype=np.int64), [])
    return None


def _typed_values(values: list[Any], column: Column, codes: np.ndarray) -> pd.Series:
    """Distinct values spread over the rows; code -1 takes the missing value put behind them."""
    if column.dtype in ("number", "integer"):
        table = np.array([math.nan if value is None else value for value in values] + [math.nan], dtype=float)
        return pd.Series(table[codes])
    if column.dtype in ("date", "month", "moment"):
        stamps = pd.Series(pd.to_datetime([*values, None])).astype(STAMP)  # type: ignore[call-overload]
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


def read_text(text: str) -> str | Fault:
    """Text as it stands.

    Parameters
    ----------
    text : str

    Returns
    -------
    str or Fault
    """
    if _CONTROL.search(text):
        return Fault("holds a control character", "type the cell anew")
    return text


def read_id(text: str) -> str | Fault:
    """An id as it stands, unless a spreadsheet has spoilt it.

    Parameters
    ----------
    text : str

    Returns
    -------
    str or Fault
    """
    if _SPOILT_ID.fullmatch(text) or re.fullmatch(r"\d\.?\d*e\+\d+", text):
        return Fault("was turned into a rounded number by a spreadsheet",
                     "format the column as text and fill in the id anew")
    return read_text(text)


def read_number(text: str) -> float | Fault:
    """A number.

    Parameters
    ----------
    text : str

    Returns
    -------
    float or Fault
    """
    plain = _narrow(text)
    if _NUMBER.fullmatch(plain):
        number = float(plain)
        return number if math.isfinite(number) else _not_finite()
    if _GROUPED.fullmatch(plain):
        return float(plain.replace(",", ""))
    if plain.casefold() in NO_NUMBERS:
        return _not_finite()
    if plain.endswith(("%", "‰")):
        return Fault("is a percentage", "write the fraction: 0.95 for 95 %")
    if "," in plain and _NUMBER.fullmatch(plain.replace(",", "").replace(" ", "")):
        return Fault("has a comma that may part thousands or decimals", "write 1234.5, without a thousands separator")
    if re.search(r"[¥$€£元]|cny|rmb|usd|eur", plain.casefold()):
        return Fault("has a currency sign", "write the number alone")
    return Fault("is no number", "write a number, or leave the cell empty where it is unknown")


def read_integer(text: str) -> float | Fault:
    """A whole number, as float.

    Parameters
    ----------
    text : str

    Returns
    -------
    float or Fault
    """
    number = read_number(text)
    if isinstance(number, float) and number != math.floor(number):
        return Fault("is no whole number", "write a whole number")
    return number


def read_boolean(text: str) -> bool | Fault:
    """Yes or no.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool or Fault
    """
    plain = _narrow(text).casefold()
    if plain in YES or plain in NO:
        return plain in YES
    return Fault("is neither yes nor no", "write true or false (是 or 否)")


def read_date(text: str, date_system: int | None = None, with_time: bool = False) -> dt.datetime | Fault:
    """A day, or a moment.

    Parameters
    ----------
    text : str
    date_system : {1900, 1904}, optional
        Of the workbook the text comes from.
    with_time : bool
        Keep the time of day.

    Returns
    -------
    datetime or Fault
    """
    plain = _narrow(text)
    moment: dt.datetime | Fault
    match = _DATE.fullmatch(plain)
    compact = _COMPACT_DATE.fullmatch(plain)
    if match:
        year, _, month, day, month_zh, day_zh, hour, minute, second, part = match.groups()
        moment = _moment(int(year), int(month or month_zh), int(day or day_zh), int(hour or 0), int(minute or 0),
                         int(second or 0), int((part or "0").ljust(6, "0")[:6]))
    elif compact:
        moment = _moment(*(int(group) for group in compact.groups()))
    elif _SERIAL.fullmatch(plain) and date_system:
        days = float(plain) + (SERIAL_1904_SHIFT if date_system == 1904 else 0)
        # a serial is a binary fraction of a day: half a millisecond of noise is no time of day
        moment = (SERIAL_ZERO + dt.timedelta(days=days, microseconds=500)).replace(microsecond=0)
        moment = moment if FIRST_YEAR <= moment.year <= LAST_YEAR else _outside()
    else:
        return _date_fault(plain, "2024-01-05 14:30" if with_time else "2024-01-05")
    if isinstance(moment, Fault) or with_time:
        return moment
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def read_month(text: str, date_system: int | None = None) -> dt.datetime | Fault:
    """A month, as its first day.

    Parameters
    ----------
    text : str
    date_system : {1900, 1904}, optional
        Of the workbook the text comes from.

    Returns
    -------
    datetime or Fault
    """
    plain = _narrow(text)
    match = _MONTH.fullmatch(plain)
    if match:
        year, *months = match.groups()
        return _moment(int(year), int(next(month for month in months if month)), 1)
    date = read_date(plain, date_system)
    if isinstance(date, Fault):
        return Fault(date.rule, date.remedy.replace("2024-01-05", "2024-01"))
    return date.replace(day=1)


def _word_reader(column: Column) -> Callable[[str], Any]:
    number = column.dtype == "integer"
    known = {fold(word): float(value) if number else value
             for value in column.values for word in (value, *column.words[value])}
    shown = ", ".join(column.values)

    def read(text: str) -> Any:
        value = known.get(fold(text))
        if value is None and number:
            whole = read_integer(text)
            value = known.get(f"{whole:g}") if isinstance(whole, float) else None
        return Fault("is none of the allowed values", f"use one of: {shown}") if value is None else value

    return read


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip(SPACES)


def _moment(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, micro: int = 0
) -> dt.datetime | Fault:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return _outside()
    try:
        return dt.datetime(year, month, day, hour, minute, second, micro)
    except ValueError:
        return Fault("is no day of the calendar", "correct the date")


def _date_fault(plain: str, example: str) -> Fault:
    if _ZONED.fullmatch(plain):
        return Fault("carries a time zone", f"write local time without a zone: {example}")
    if _YEAR_LAST.fullmatch(plain):
        return Fault("does not say which is day and which is month", f"write the year first: {example}")
    if _SERIAL.fullmatch(plain):
        return Fault("is no date but a number", f"write {example}; serial numbers are read in workbooks only")
    return Fault("is no date", f"write it as {example}")


def _not_finite() -> Fault:
    return Fault("is not a finite number", "leave the cell empty where the number is unknown")


def _outside() -> Fault:
    return Fault(f"lies outside {FIRST_YEAR} to {LAST_YEAR}", "correct the date, or leave it empty where there is none")
