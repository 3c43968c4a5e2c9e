"""Arguments of the queue formulas, checked all at once and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem

FloatArray = NDArray[np.float64]
# Recursions take a step per server; beyond this they would not end in good time.
MOST_SERVERS = 1_000_000


@dataclass
class Arguments:
    """Arguments of one function; every fault is kept until `refuse`.

    Parameters
    ----------
    function : str
        Name told in the problems.
    """

    function: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, name: str, value: object, rule: str, remedy: str) -> None:
        """Note a fault."""
        self.problems.append(Problem(self.function, 0, name, str(value), rule, remedy))

    def numbers(self, name: str, value: Any, unknown: bool = False) -> FloatArray:
        """Any numbers; NaN only where it means that nothing is known or promised."""
        try:
            out = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            self.add(name, value, "is a number or numbers", "give numbers, as many in each row")
            return np.ones(1)
        if not unknown:
            self._each(name, out, np.isnan(out), "is known", "give the value")
        return out

    def not_negative(self, name: str, value: Any, unknown: bool = False, endless: bool = False) -> FloatArray:
        """Numbers of 0 or more, finite unless `endless`."""
        out = self.numbers(name, value, unknown)
        self._each(
            name, out, (out < 0) | (np.isinf(out) & (not endless)), "is 0 or more", "give such a value"
        )
        return out

    def positive(self, name: str, value: Any) -> FloatArray:
        """Finite numbers above 0."""
        out = self.numbers(name, value)
        self._each(name, out, (out <= 0) | np.isinf(out), "is above 0", "give such a value")
        return out

    def whole(self, name: str, value: Any, least: int) -> FloatArray:
        """Whole numbers from `least` to a million."""
        out = self.numbers(name, value)
        with np.errstate(invalid="ignore"):
            wrong = (out < least) | (out != np.floor(out)) | (out > MOST_SERVERS)
        rule = f"is a whole number of at least {least} and at most a million"
        self._each(name, out, wrong & ~np.isnan(out), rule, "give the engineers on duty")
        return out

    def shares(self, name: str, value: Any, unknown: bool = False) -> FloatArray:
        """Shares from 0 to below 1."""
        out = self.numbers(name, value, unknown)
        remedy = "promise less; no count keeps a share of 1"
        wrong = (out < 0) | (out >= 1)
        for position in np.flatnonzero(wrong):
            place = f"{name}[{position}]" if out.ndim else name
            self.add(place, out.reshape(-1)[position], "lies from 0 to below 1", remedy)
        return out

    def single(self, name: str, value: FloatArray) -> FloatArray:
        """One number, shape ()."""
        if value.size != 1:
            self.add(name, f"shape {value.shape}", "is one number", "call once for each")
            return np.ones(())
        return value.reshape(())

    def straight(self, name: str, value: FloatArray) -> FloatArray:
        """At least one number, shape (n,)."""
        value = np.atleast_1d(value)
        if value.ndim != 1 or not len(value):
            self.add(name, f"shape {value.shape}", "is a row of at least one number", "give one per class")
            return np.ones(1)
        return value

    def utilisation(self, name: str, value: Any) -> float:
        """One number above 0 and at most 1."""
        out = self.single(name, self.numbers(name, value))
        if not 0 < out <= 1 and not np.isnan(out):
            self.add(name, value, "lies above 0 and at most 1", "give the highest load per server")
        return float(out)

    def same_length(self, **values: FloatArray) -> None:
        """Note where rows that belong together differ in length."""
        lengths = [len(value) for value in values.values()]
        if len(set(lengths)) > 1:
            told = ", ".join(f"{name} {count}" for name, count in zip(values, lengths, strict=True))
            self.add(list(values)[-1], f"entries: {told}", "has an entry per class", "give as many in each")

    def together(self, **values: FloatArray) -> list[FloatArray]:
        """Broadcast arrays against each other."""
        try:
            return list(np.broadcast_arrays(*values.values()))
        except ValueError:
            told = ", ".join(f"{name} {value.shape}" for name, value in values.items())
            self.add(list(values)[-1], told, "fits the shape of the others", "give as many in each")
            return [np.ones(1) for _ in values]

    def refuse(self) -> None:
        """Raise what was found.

        Raises
        ------
        DataError
            If there was any fault.
        """
        if self.problems:
            raise DataError(self.problems)

    def _each(self, name: str, out: FloatArray, wrong: NDArray[np.bool_], rule: str, remedy: str) -> None:
        for bad in out[wrong]:
            self.add(name, f"{bad:g}", rule, remedy)


def checked_together(*checks: Callable[[], Any]) -> list[Any]:
    """Run checks, and refuse all that any of them found at once.

    Parameters
    ----------
    checks : callables
        Each gives what it read, or raises a DataError.

    Returns
    -------
    list
        What each gave.

    Raises
    ------
    DataError
        With the problems of all checks.
    """
    results, problems = [], []
    for check in checks:
        try:
            results.append(check())
        except DataError as error:
            problems.append(error.problems)
    if problems:
        raise DataError(pd.concat(problems, ignore_index=True))
    return results


def plain_number(value: Any) -> float:
    """Give a plain number as it is; NaN for anything else."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return float(value) if number else np.nan


def most_urgent_first(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by priority where all are named P1, P2 and so on; else keep their order."""
    rank = table["priority"].astype(str).str.extract(r"^P(\d+)$", expand=False)
    if rank.isna().any():
        return table
    return table.iloc[np.argsort(rank.astype(int).to_numpy(), kind="stable")].reset_index(drop=True)
