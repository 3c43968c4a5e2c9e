"""Faults of plain tables and arguments, said by name: missing columns, faulty rows, strange labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem, problem_in_argument

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def missing_columns(table: str, frame: pd.DataFrame, columns: list[str]) -> list[Problem]:
    """A problem per column that the table lacks."""
    return [
        Problem(table, 0, name, "", "is missing", f"add the column {name}")
        for name in columns
        if name not in frame.columns
    ]


def rows_problem(
    table: str, frame: pd.DataFrame, column: str, bad: BoolArray, rule: str, remedy: str
) -> list[Problem]:
    """A problem per faulty row; rows count as in a file with the header as line 1."""
    if not np.any(bad):
        return []
    values = (
        frame[column].to_numpy(dtype=object) if column in frame else np.full(len(frame), "", dtype=object)
    )
    return [
        Problem(table, int(row) + 2, column, "" if pd.isna(values[row]) else str(values[row]), rule, remedy)
        for row in np.flatnonzero(bad)
    ]


def unknown_labels(
    table: str,
    frame: pd.DataFrame,
    column: str,
    bad: BoolArray,
    ids: pd.Index | None,
    rule: str,
    remedy: str,
) -> list[Problem]:
    """A problem per row whose label is none of `ids`; where only its type differs, that is said instead."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return []
    known = {_written(label): label for label in ([] if ids is None else ids.tolist())}
    labels = frame[column].to_numpy(dtype=object)[rows]
    written = [None if pd.isna(label) else _written(label) for label in labels]
    types = np.full(len(frame), "", dtype=object)
    types[rows] = [
        f"is {_kind(label)} here but {_kind(known[text])} where it is defined" if text in known else ""
        for label, text in zip(labels, written)
    ]
    problems = rows_problem(table, frame, column, bad & (types == ""), rule, remedy)
    for differs in sorted(set(types[rows].tolist()) - {""}):
        problems += rows_problem(
            table, frame, column, types == differs, differs, f"give {column} the same type in all tables"
        )
    return problems


def _written(label: object) -> str:
    """A label as text, whole numbers without decimals."""
    whole = isinstance(label, (float, np.floating)) and float(label).is_integer()
    return str(int(label)) if whole else str(label)  # type: ignore[call-overload]


def _kind(label: object) -> str:
    if isinstance(label, str):
        return "a text"
    number = isinstance(label, (int, float, np.number)) and not isinstance(label, bool)
    return "a number" if number else f"of type {type(label).__name__}"


def refuse_no_tables(function: str, needed: Mapping[str, object], **wished: object) -> None:
    """Refuse arguments that are no tables, all at once.

    Parameters
    ----------
    function : str
        Name of the public function.
    needed : mapping of str to object
        Its arguments that must be tables.
    **wished
        Those that may be None instead.

    Raises
    ------
    DataError
        A row per argument that is no DataFrame.
    """
    given = dict(needed) | {name: value for name, value in wished.items() if value is not None}
    problems = [
        Problem(function, 0, name, str(value)[:40], "is no table", "give a pandas DataFrame")
        for name, value in given.items()
        if not isinstance(value, pd.DataFrame)
    ]
    if problems:
        raise DataError(problems)


def money_or_none(function: str, amount: float | None) -> float | None:
    """Check a budget: None or an amount of money.

    Raises
    ------
    DataError
        It is no finite number of at least 0.
    """
    number = amount is None or (isinstance(amount, (int, float, np.number)) and not isinstance(amount, bool))
    if not number or (amount is not None and not (np.isfinite(amount) and amount >= 0)):
        raise problem_in_argument(
            function, "budget", amount, "is no amount of money", "give 0 or more, or None"
        )
    return None if amount is None else float(amount)


def read_times(function: str, times: Sequence[float]) -> FloatArray:
    """Waits to give the probability of, checked [days].

    Raises
    ------
    DataError
        They are no finite numbers of at least 0.
    """
    given = pd.Series([times] if isinstance(times, str) or np.ndim(times) == 0 else list(times), dtype=object)
    days = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float)
    bad = given[~((days >= 0) & np.isfinite(days))]
    if len(bad):
        rule, remedy = "holds no finite days of at least 0", "give days of at least 0"
        raise problem_in_argument(function, "times", bad.tolist(), rule, remedy)
    return days
