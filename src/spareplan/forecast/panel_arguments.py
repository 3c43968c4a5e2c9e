"""What is told of a panel beside its demand: lengths of sums, exposure, traits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.panels import (
    Panel,
    flagged_rows,
    key_index,
    read_numbers,
    require_frame,
    whole_periods,
)

FloatArray = NDArray[np.float64]


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
    wanted = key_index(panel.keys, names)
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
    require_frame(exposure, [*names, "exposure"], "exposure")
    exposure = exposure.reset_index(drop=True)
    problems: list[Problem] = []
    value = read_numbers(exposure["exposure"], "exposure", "exposure", problems)
    problems += flagged_rows(
        pd.Series(value < 0, index=exposure.index),
        exposure["exposure"],
        "exposure",
        "exposure",
        "is negative",
        "give 0 or more",
    )
    frame = exposure[names].copy()
    if "period" in exposure.columns:
        frame["period"] = whole_periods(exposure["period"], "exposure", problems)
    problems += flagged_rows(
        frame.duplicated(),
        exposure["exposure"],
        "exposure",
        "exposure",
        "is doubled for its key",
        "give each key (and period) once",
    )
    if problems:
        raise DataError(problems)
    wanted = key_index(panel.keys, names)
    given = key_index(frame, names)
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
    require_frame(traits, names, "traits")
    traits = traits.reset_index(drop=True)
    problems: list[Problem] = []
    numbers = [str(name) for name in traits.columns if name not in names]
    values = [read_numbers(traits[name], "traits", name, problems) for name in numbers]
    problems += flagged_rows(
        traits.duplicated(names), traits[names[0]], "traits", names[0], "is doubled", "give each key once"
    )
    if problems:
        raise DataError(problems)
    given, wanted = key_index(traits, names), key_index(panel.keys, names)
    place = given.get_indexer(wanted)
    table = np.array(values).reshape(len(numbers), len(traits)).T
    out = np.full((len(wanted), len(numbers)), np.nan)
    out[place >= 0] = table[place[place >= 0]]
    return out
