"""Demand histories as a matrix: long table in, one row per series and one column per period out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem, problem_in_argument

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
    """

    keys: pd.DataFrame
    demand: FloatArray
    start: NDArray[np.int64]
    whole: bool
    periods: tuple[int, int]

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
    _require(history, [*names, "period", "quantity"], table)
    history = history.reset_index(drop=True)
    problems: list[Problem] = []
    for name in names:
        problems += _problems(history[name].isna(), history[name], table, name, "is empty", "give the key")
    period = _whole_periods(history["period"], table, problems)
    quantity = _numbers(history["quantity"], table, "quantity", problems)
    frame = history[names].assign(period_number=period)
    doubled = frame.duplicated() & frame.notna().all(axis=1)
    problems += _problems(
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
    return Panel(keys, net_of_returns(demand), start, whole, (low, high))


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


def read_periods(periods: int | pd.Series, panel: Panel, key: str | Sequence[str]) -> NDArray[np.int64]:
    """Read the number of periods to sum for every series of the panel.

    Parameters
    ----------
    periods : int, or Series indexed by the key
        At least 1. The Series may hold more keys than the panel.
    panel : Panel
    key : str or sequence of str

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    DataError
        A key without periods, a doubled key, or numbers that are not whole and positive.
    """
    count = len(panel.keys)
    if not isinstance(periods, pd.Series):
        number = np.asarray(periods)
        if number.ndim or number.dtype.kind not in "iuf" or not number >= 1 or number % 1:
            raise problem_in_argument(
                "forecast_history",
                "periods",
                periods,
                "is no whole number from 1 up",
                "give the number of periods, or a Series of them by key",
            )
        return np.full(count, int(number), dtype=np.int64)
    names = [key] if isinstance(key, str) else list(key)
    values = pd.to_numeric(periods, errors="coerce")
    bad = ~((values >= 1) & (values % 1 == 0))
    problems = [
        Problem(
            "periods",
            int(position) + 2,
            "periods",
            f"{label}: {value}",
            "is no whole number from 1 up",
            "give a number of periods of at least 1",
        )
        for position, label, value in zip(np.flatnonzero(bad), periods.index[bad], periods[bad])
    ]
    problems += [
        Problem(
            "periods",
            int(position) + 2,
            names[0],
            str(periods.index[int(position)]),
            "is doubled",
            "give each key once",
        )
        for position in np.flatnonzero(periods.index.duplicated())
    ]
    wanted = _keys(panel.keys, names)
    if not problems:
        place = periods.index.get_indexer(wanted)
        problems += [
            Problem(
                "periods", 0, names[0], str(label), "has a history but no periods", "add the key to periods"
            )
            for label in wanted[place < 0]
        ]
    if problems:
        raise DataError(problems)
    return values.to_numpy(np.int64)[place] if count else np.empty(0, np.int64)


def read_exposure(
    exposure: pd.DataFrame, panel: Panel, key: str | Sequence[str], ahead: int
) -> tuple[FloatArray, FloatArray]:
    """Read what each series was, and will be, exposed to.

    Parameters
    ----------
    exposure : DataFrame
        Key column(s), exposure, e.g. machines in service [any unit, >= 0; NaN: unknown]; with a column period
        it may change, and may run on after the end of the history. Missing periods take the nearest known
        value before, else after. Keys without rows, and rows of other keys, are fine.
    panel : Panel
    key : str or sequence of str
    ahead : int
        Longest sum wanted. [periods]

    Returns
    -------
    past : ndarray, shape (n, c)
    future : ndarray, shape (n, ahead)
        NaN where the exposure of a series is not known at all.

    Raises
    ------
    DataError
    """
    names = [key] if isinstance(key, str) else list(key)
    _require(exposure, [*names, "exposure"], "exposure")
    exposure = exposure.reset_index(drop=True)
    problems: list[Problem] = []
    value = _numbers(exposure["exposure"], "exposure", "exposure", problems)
    problems += _problems(
        pd.Series(value < 0, index=exposure.index),
        exposure["exposure"],
        "exposure",
        "exposure",
        "is negative",
        "give 0 or more",
    )
    frame = exposure[names].copy()
    if "period" in exposure.columns:
        frame["period"] = _whole_periods(exposure["period"], "exposure", problems)
    problems += _problems(
        frame.duplicated(),
        exposure["exposure"],
        "exposure",
        "exposure",
        "is doubled for its key",
        "give each key (and period) once",
    )
    if problems:
        raise DataError(problems)
    wanted = _keys(panel.keys, names)
    given = _keys(frame, names)
    row = wanted.get_indexer(given)
    low, high = panel.periods
    width = high - low + 1 + ahead
    grid = np.full((len(wanted), width), np.nan)
    if "period" in frame:
        column = frame["period"].to_numpy(np.int64) - low
        use = (row >= 0) & (column >= 0) & (column < width)
        grid[row[use], column[use]] = value[use]
        grid = pd.DataFrame(grid).ffill(axis=1).bfill(axis=1).to_numpy()
    else:
        grid[row[row >= 0]] = value[row >= 0, None]
    return grid[:, : width - ahead], grid[:, width - ahead :]


def read_traits(traits: pd.DataFrame | None, panel: Panel, key: str | Sequence[str]) -> FloatArray:
    """Read what else is known of each series.

    Parameters
    ----------
    traits : DataFrame, optional
        Key column(s), and columns of numbers; NaN: unknown. Keys without a row, and rows of other keys, are
        fine.
    panel : Panel
    key : str or sequence of str

    Returns
    -------
    ndarray, shape (n, d)
        NaN where unknown; d = 0 where none are given.

    Raises
    ------
    DataError
    """
    if traits is None:
        return np.zeros((len(panel.keys), 0))
    names = [key] if isinstance(key, str) else list(key)
    _require(traits, names, "traits")
    traits = traits.reset_index(drop=True)
    problems: list[Problem] = []
    numbers = [str(name) for name in traits.columns if name not in names]
    values = [_numbers(traits[name], "traits", name, problems) for name in numbers]
    problems += _problems(
        traits.duplicated(names), traits[names[0]], "traits", names[0], "is doubled", "give each key once"
    )
    if problems:
        raise DataError(problems)
    given, wanted = _keys(traits, names), _keys(panel.keys, names)
    place = given.get_indexer(wanted)
    table = np.array(values).reshape(len(numbers), len(traits)).T
    out = np.full((len(wanted), len(numbers)), np.nan)
    out[place >= 0] = table[place[place >= 0]]
    return out


def _keys(frame: pd.DataFrame, names: list[str]) -> pd.Index:
    return pd.Index(frame[names[0]]) if len(names) == 1 else pd.MultiIndex.from_frame(frame[names])


def whole_periods(values: pd.Series) -> FloatArray:
    """Periods as whole numbers; months of dates count from 1970-01.

    Parameters
    ----------
    values : Series
        Whole numbers, month starts (dates or text) or pandas Periods.

    Returns
    -------
    ndarray of float
    """
    return _whole_periods(values, "history", [])


def _require(frame: pd.DataFrame, columns: Sequence[str], table: str) -> None:
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


def _problems(
    bad: pd.Series, values: pd.Series, table: str, column: str, rule: str, remedy: str
) -> list[Problem]:
    flags = np.asarray(bad, dtype=bool)
    return [
        Problem(table, int(position) + 2, column, str(values.iloc[position]), rule, remedy)
        for position in np.flatnonzero(flags)
    ]


def _numbers(values: pd.Series, table: str, column: str, problems: list[Problem]) -> FloatArray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    text = np.isnan(numbers) & values.notna().to_numpy()
    problems += _problems(
        pd.Series(text), values, table, column, "is no number", "give a number, or leave it empty"
    )
    problems += _problems(
        pd.Series(np.isinf(numbers)), values, table, column, "is infinite", "give a number, or leave it empty"
    )
    return numbers


def _whole_periods(values: pd.Series, table: str, problems: list[Problem]) -> FloatArray:
    """Periods as whole numbers in a float array; faults are added to `problems`."""
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
            problems += _problems(
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
        problems += _problems(
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
        problems += _problems(
            odd,
            values,
            table,
            "period",
            "is no month start",
            "give the first day of the month; number weeks or days by whole numbers",
        )
        numbers = (stamps.dt.year * 12 + stamps.dt.month - 1 - 1970 * 12).astype(float)
    problems += _problems(values.isna(), values, table, "period", "is empty", "give the period")
    return np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)


def _all_numbers(values: pd.Series) -> bool:
    """Whether a column of objects or text holds nothing but numbers (an empty column holds none)."""
    if values.dtype.kind == "M" or len(values) == 0:
        return False
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return True
    return kind == "string" and bool(pd.to_numeric(values, errors="coerce").notna().equals(values.notna()))
