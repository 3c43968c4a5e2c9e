"""The error family: every message says where, what, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

SHOWN_PROBLEMS = 8


class SpareplanError(Exception):
    """Base of everything spareplan raises on purpose."""


class Problem(NamedTuple):
    """One fault in the input.

    Parameters
    ----------
    table, column : str
        Where it stands; an empty column means the whole row or table.
    row : int or None
        Line in the file with the header as line 1; 0 for a whole-table problem; None for a database or a
        frame that never was a file.
    value : str
        The value as it was given.
    rule, remedy : str
        What was broken, and the way out.
    """

    table: str
    row: int | None
    column: str
    value: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        place = self.table if self.row in (0, None) else f"{self.table}[row {self.row}]"
        place += f".{self.column}" if self.column else ""
        shown = f" = {self.value!r}" if self.value else ""
        return f"{place}{shown}: {self.rule}; {self.remedy}"


class DataError(SpareplanError):
    """The input cannot be used as it is.

    Parameters
    ----------
    problems : iterable of Problem, or DataFrame with the columns of Problem
        Every fault found, not only the first.

    Attributes
    ----------
    problems : DataFrame
        Columns table, row, column, value, rule, remedy; sorted by table and row.
    """

    def __init__(self, problems: Iterable[Problem] | pd.DataFrame) -> None:
        self.problems = problems_frame(problems)
        shown = self.problems.head(SHOWN_PROBLEMS).astype({"row": object})
        shown["row"] = shown["row"].where(shown["row"].notna(), None)
        lines = [str(Problem(*row)) for row in shown.itertuples(index=False)]
        hidden = len(self.problems) - len(lines)
        if hidden > 0:
            lines.append(f"... and {hidden} more problems, all in .problems")
        super().__init__("\n".join(lines))


class FitError(SpareplanError):
    """A model cannot be fitted to the data it was given."""


class InfeasibleError(SpareplanError):
    """The wishes cannot be met together.

    Attributes
    ----------
    clashes : DataFrame or None
        The targets that clash, a row each.
    least : float or None
        The least budget (or other limit) that would do. [unit named in the message]
    ceilings : DataFrame or None
        part_id, site_id, at_most, least: ceilings on stock that stand in the way, and to what they must rise.
        [pieces]
    """

    def __init__(
        self,
        message: str,
        clashes: pd.DataFrame | None = None,
        least: float | None = None,
        ceilings: pd.DataFrame | None = None,
    ) -> None:
        super().__init__(message)
        self.clashes = clashes
        self.least = least
        self.ceilings = ceilings


class SolverError(SpareplanError):
    """The solver stopped without an answer that can be trusted."""


class StoreError(SpareplanError):
    """The plan store refused a step, or cannot be reached."""


class ExportError(SpareplanError):
    """A plan could not be written."""


def problems_frame(problems: Iterable[Problem] | pd.DataFrame) -> pd.DataFrame:
    """Sort problems by table and row into one frame.

    Parameters
    ----------
    problems : iterable of Problem, or DataFrame with the columns of Problem

    Returns
    -------
    DataFrame
        Columns table, row (nullable integer), column, value, rule, remedy.
    """
    import pandas as pd

    columns = list(Problem._fields)
    frame = problems if isinstance(problems, pd.DataFrame) else pd.DataFrame(list(problems), columns=columns)
    frame = frame[columns].copy()
    frame["row"] = frame["row"].astype("Int64")
    return frame.sort_values(["table", "row"], kind="stable", na_position="last").reset_index(drop=True)


def problem_in_argument(function: str, argument: str, value: object, rule: str, remedy: str) -> DataError:
    """A DataError for one faulty argument of a public function.

    Parameters
    ----------
    function, argument : str
        Name of the public function and of its argument.
    value : object
        What was given.
    rule, remedy : str
        What was broken, and the way out.

    Returns
    -------
    DataError
        To be raised by the caller.
    """
    return DataError([Problem(function, 0, argument, str(value), rule, remedy)])
