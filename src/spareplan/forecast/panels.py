"""Demand histories as a matrix: long table in, one row per series and one column per period out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem

FloatArray = NDArray[np.float64]
# A dense matrix of more periods than this is a misread period column, not a history.
LONGEST_HISTORY = 20_000


@dataclass(frozen=True)
class Panel:
    """Histories of many series on one clock.

    Parameters
    ----------
    keys : DataFrame, n rows
        Key columns, sorted.
    demand : ndarray, shape (n, c)
        Demand with returns taken off; NaN before a series starts and where the quantity is unknown. [pieces]
    start : ndarray of int, shape (n,)
        Column in which each series starts.
    whole : bool
        Whether every quantity of the history is a whole number.
    periods : tuple of int
        First and last period, as whole numbers (months since 1970-01 for dates).
    monthly : bool
        Whether the periods are months.
    """

    keys: pd.DataFrame
    demand: FloatArray
    start: NDArray[np.int64]
    whole: bool
    periods: tuple[int, int]
    monthly: bool = False

    @property
    def length(self) -> int:
        """Number of periods c."""
        return self.demand.shape[1]


def read_panel(history: pd.DataFrame, key: str | Sequence[str] = "part_id", table: str = "history") -> Panel:
    """Turn a long demand history into a panel.

    Parameters
    ----------
    history : DataFrame
        Key column(s), period (whole number, or month as date or pandas Period), quantity [pieces]. A series
        starts with its first row, all series end with the latest period of the table; periods without a row
        in between have no demand, NaN is unknown, a negative quantity is a return.
    key : str or sequence of str
        Name(s) of the key column(s).
    table : str
        Name shown in error messages.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        Missing columns, empty keys, doubled key and period, periods or quantities that cannot be read.
    """
    names = [key] if isinstance(key, str) else list(key)
    require_frame(history, [*names, "period", "quantity"], table)
    history = history.reset_index(drop=True)
    problems: list[Problem] = []
    for name in names:
        problems += flagged_rows(history[name].isna(), history[name], table, name, "is empty", "give the key")
    period = whole_periods(history["period"], table, problems)
    quantity = read_numbers(history["quantity"], table, "quantity", problems)
    frame = history[names].assign(period_number=period)
    doubled = frame.duplicated() & frame.notna().all(axis=1)
    problems += flagged_rows(
        doubled,
        history["period"],
        table,
        "period",
        "is doubled for its key",
        "add the quantities up, or drop one row",
    )
    if problems:
        raise DataError(problems)
    if frame.empty:
        return Panel(frame[names], np.empty((0, 0)), np.empty(0, np.int64), True, (0, -1))
    grouped = frame.groupby(names, sort=True)
    codes = grouped.ngroup().to_numpy()
    first_rows = ~pd.Series(codes).duplicated().to_numpy()
    keys = frame.loc[first_rows, names].iloc[np.argsort(codes[first_rows])].reset_index(drop=True)
    low, high = int(frame["period_number"].min()), int(frame["period_number"].max())
    if high - low >= LONGEST_HISTORY:
        raise DataError(
            [
                Problem(
                    table,
                    0,
                    "period",
                    f"{low} .. {high}",
                    f"spans {high - low + 1:,} periods, more than {LONGEST_HISTORY:,}",
                    "number periods by one unit, or give months as dates",
                )
            ]
        )
    column = frame["period_number"].to_numpy(np.int64) - low
    start = np.full(len(keys), high - low, dtype=np.int64)
    np.minimum.at(start, codes, column)
    demand = np.where(np.arange(high - low + 1) >= start[:, None], 0.0, np.nan)
    demand[codes, column] = quantity
    whole = bool(np.all(quantity[np.isfinite(quantity)] % 1 == 0))
    return Panel(keys, net_of_returns(demand), start, whole, (low, high), _monthly(history["period"]))


def net_of_returns(demand: FloatArray) -> FloatArray:
    """Take returned pieces off the latest demand before them.

    A piece that comes back unused was no demand. What was returned before any demand is known is ignored.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Net issues; negative in periods in which more came back than went out. [pieces]

    Returns
    -------
    ndarray, shape (n, c)
        Demand, never negative; NaN stays NaN. [pieces]
    """
    back = np.flatnonzero((demand < 0).any(axis=1))
    if back.size == 0:
        return demand
    out = demand.copy()
    rows = out[back]
    owed = np.zeros(len(back))
    for t in range(rows.shape[1] - 1, -1, -1):
        known = np.isfinite(rows[:, t])
        net = np.where(known, rows[:, t], 0.0) - owed
        rows[:, t] = np.where(known, np.maximum(net, 0.0), np.nan)
        owed = np.where(known, np.maximum(-net, 0.0), owed)
    out[back] = rows
    return out


def key_index(frame: pd.DataFrame, names: list[str]) -> pd.Index:
    """Key of every row as an index, of several levels where the key has several columns."""
    return pd.Index(frame[names[0]]) if len(names) == 1 else pd.MultiIndex.from_frame(frame[names])


def require_frame(frame: pd.DataFrame, columns: Sequence[str], table: str) -> None:
    """Refuse what is no frame, or lacks columns."""
    if not isinstance(frame, pd.DataFrame):
        found = type(frame).__name__
        raise DataError([Problem(table, 0, "", found, "is no DataFrame", "give one row per key and period")])
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            [
                Problem(
                    table,
                    0,
                    name,
                    "",
                    "is a missing column",
                    f"add it; given are {', '.join(map(str, frame.columns))}",
                )
                for name in missing
            ]
        )


def flagged_rows(
    bad: pd.Series, values: pd.Series, table: str, column: str, rule: str, remedy: str
) -> list[Problem]:
    """List a problem for every row that is bad."""
    flags = np.asarray(bad, dtype=bool)
    return [
        Problem(table, int(position) + 2, column, str(values.iloc[position]), rule, remedy)
        for position in np.flatnonzero(flags)
    ]


def read_numbers(values: pd.Series, table: str, column: str, problems: list[Problem]) -> FloatArray:
    """Read numbers, NaN where empty; what is none is added to the problems."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    text = np.isnan(numbers) & values.notna().to_numpy()
    problems += flagged_rows(
        pd.Series(text), values, table, column, "is no number", "give a number, or leave it empty"
    )
    problems += flagged_rows(
        pd.Series(np.isinf(numbers)), values, table, column, "is infinite", "give a number, or leave it empty"
    )
    return numbers


def whole_periods(
    values: pd.Series, table: str = "history", problems: list[Problem] | None = None
) -> FloatArray:
    """Periods as whole numbers; months of dates count from 1970-01.

    Parameters
    ----------
    values : Series
        Whole numbers, month starts (dates or text) or pandas Periods.
    table : str
        Name shown in messages.
    problems : list of Problem, optional
        Faults are added to it.

    Returns
    -------
    ndarray of float
    """
    problems = [] if problems is None else problems
    if isinstance(values.dtype, pd.PeriodDtype):
        numbers = pd.Series(values.array.asi8, index=values.index).astype(float)
        numbers = numbers.where(values.notna())
    elif pd.api.types.is_numeric_dtype(values) or _all_numbers(values):
        numbers = pd.to_numeric(values).astype(float)
        stamped = numbers.between(190_001, 210_012) & (numbers % 100).between(1, 53)
        if len(numbers) and stamped.all() and numbers.floordiv(100).min() < numbers.floordiv(100).max():
            problems.append(
                Problem(
                    table,
                    0,
                    "period",
                    str(values.iloc[0]),
                    "looks like year and month in one number",
                    "give months as dates, or number the periods one by one",
                )
            )
        elif (numbers % 1 != 0).any():
            problems += flagged_rows(
                (numbers % 1 != 0) & numbers.notna(),
                values,
                table,
                "period",
                "is no whole number",
                "number the periods by whole numbers, or give months",
            )
    else:
        stamps = pd.to_datetime(
            values, errors="coerce", format=None if values.dtype.kind == "M" else "ISO8601"
        )
        unread = stamps.isna() & values.notna()
        problems += flagged_rows(
            unread,
            values,
            table,
            "period",
            "is neither a whole number nor a month",
            "write months as 2024-05 or 2024-05-01",
        )
        if stamps.dt.tz is not None:
            stamps = stamps.dt.tz_localize(None)
        odd = stamps.notna() & ((stamps.dt.day != 1) | (stamps != stamps.dt.normalize()))
        problems += flagged_rows(
            odd,
            values,
            table,
            "period",
            "is no month start",
            "give the first day of the month; number weeks or days by whole numbers",
        )
        numbers = (stamps.dt.year * 12 + stamps.dt.month - 1 - 1970 * 12).astype(float)
    problems += flagged_rows(values.isna(), values, table, "period", "is empty", "give the period")
    return np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)


def _all_numbers(values: pd.Series) -> bool:
    """Whether a column of objects or text holds nothing but numbers (an empty column holds none)."""
    if values.dtype.kind == "M" or len(values) == 0:
        return False
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return True
    return kind == "string" and bool(pd.to_numeric(values, errors="coerce").notna().equals(values.notna()))


def _monthly(values: pd.Series) -> bool:
    """Whether periods are given as months rather than as numbers."""
    if isinstance(values.dtype, pd.PeriodDtype):
        return str(values.dtype) == "period[M]"
    return not (pd.api.types.is_numeric_dtype(values) or _all_numbers(values))
