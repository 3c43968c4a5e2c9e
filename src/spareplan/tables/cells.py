"""One cell as given -> its value, read right or refused by name.

What is read, beside the plain forms:

- numbers: full-width digits; thousands separators where they can mean nothing else (1,234.50 or 1,234,567; a
  lone 1,234 is refused, it may be a decimal comma); never percent, currency signs, NaN or infinities.
- dates: 2024-01-05, 2024/1/5, 2024.1.5, 2024年1月5日, 20240105, with a time of day or without; a date column
  keeps the day. Excel's serial numbers only in a workbook, whose date system is known. The year comes first:
  5/1/2024 is refused. Months also as 2024-01, 2024/1, 202401, 2024年1月; any day of it means its month.
- yes and no: true/false, yes/no, y/n, 1/0, 是/否.
- text and ids: as given, leading zeros kept; white space around them and an apostrophe in front (Excel's mark
  for text) are taken off. Full-width letters and digits in ids stay. A whole number in an id cell of a
  workbook is its digits (123.0 is 123).
- words: case, width and Chinese words of the catalog are understood where a column has a list of values.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

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
        return Fault(
            "was turned into a rounded number by a spreadsheet",
            "format the column as text and fill in the id anew",
        )
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
        return number if math.isfinite(number) else not_finite()
    if _GROUPED.fullmatch(plain):
        return float(plain.replace(",", ""))
    if plain.casefold() in NO_NUMBERS:
        return not_finite()
    if plain.endswith(("%", "‰")):
        return Fault("is a percentage", "write the fraction: 0.95 for 95 %")
    if "," in plain and _NUMBER.fullmatch(plain.replace(",", "").replace(" ", "")):
        return Fault(
            "has a comma that may part thousands or decimals", "write 1234.5, without a thousands separator"
        )
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
        moment = _moment(
            int(year),
            int(month or month_zh),
            int(day or day_zh),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((part or "0").ljust(6, "0")[:6]),
        )
    elif compact:
        moment = _moment(*(int(group) for group in compact.groups()))
    elif _SERIAL.fullmatch(plain) and date_system:
        days = float(plain) + (SERIAL_1904_SHIFT if date_system == 1904 else 0)
        # a serial is a binary fraction of a day: half a millisecond of noise is no time of day
        moment = (SERIAL_ZERO + dt.timedelta(days=days, microseconds=500)).replace(microsecond=0)
        moment = moment if FIRST_YEAR <= moment.year <= LAST_YEAR else outside()
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


def cell_text(value: Any) -> str:
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
    if is_missing(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        whole = math.isfinite(number) and number == int(number) and abs(number) < EXACT_DIGITS
        return str(int(number)) if whole else repr(number)
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


def is_missing(value: object) -> bool:
    """Whether a cell is empty.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return (
        value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    )


def not_finite() -> Fault:
    """Fault of NaN and infinities written out.

    Returns
    -------
    Fault
    """
    return Fault("is not a finite number", "leave the cell empty where the number is unknown")


def outside() -> Fault:
    """Fault of dates no plan can mean.

    Returns
    -------
    Fault
    """
    return Fault(
        f"lies outside {FIRST_YEAR} to {LAST_YEAR}", "correct the date, or leave it empty where there is none"
    )


def _narrow(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip(SPACES)


def _moment(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, micro: int = 0
) -> dt.datetime | Fault:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return outside()
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
