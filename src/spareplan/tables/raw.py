"""A table as it was given, and how its headers find their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.cells import cell_text, fold
from spareplan.tables.frames import FIRST_ROW
from spareplan.tables.schema import Column, Table


@dataclass(frozen=True)
class RawTable:
    """Cells as given.

    Parameters
    ----------
    name : str
        Name in the catalog.
    headers : sequence of str
        As given; may be doubled.
    columns : sequence of Series
        One per header, all of one length.
    rows : ndarray of int, optional
        Line of the file, or Excel row, of each row; None: rows have no number (a database).
    date_system : {1900, 1904}, optional
        Of a workbook.
    problems : sequence of Problem
        Found while reading, such as rows with too many cells.
    notes : sequence of str
        What a reader did that the user should know.
    """

    name: str
    headers: Sequence[str]
    columns: Sequence[pd.Series]
    rows: np.ndarray | None
    date_system: int | None = None
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def cell(self, position: int, at: int) -> str:
        """Text of one cell as given.

        Parameters
        ----------
        position : int
            Of the row.
        at : int
            Of the column.

        Returns
        -------
        str
        """
        return cell_text(self.columns[at].iloc[position])


class Finding(NamedTuple):
    """One fault: the row by its position as given (-1: the whole table); value None: the cell as given."""

    table: str
    position: int
    column: str
    rule: str
    remedy: str
    value: str | None = None
    structural: bool = False

    @property
    def whole(self) -> bool:
        """Whether dropping a row cannot mend it."""
        return self.position < 0 or self.structural


def raw_from_frame(name: str, frame: pd.DataFrame, numbered: bool = True) -> RawTable:
    """A frame as a table as given, rows counted as in a file.

    Parameters
    ----------
    name : str
    frame : DataFrame
    numbered : bool
        Whether rows have numbers; False for a database.

    Returns
    -------
    RawTable
    """
    rows = np.arange(FIRST_ROW, FIRST_ROW + len(frame)) if numbered else None
    columns = [frame.iloc[:, at].reset_index(drop=True) for at in range(frame.shape[1])]
    return RawTable(name, [str(header) for header in frame.columns], columns, rows)


def unreadable(name: str, error: DataError) -> RawTable:
    """A table that is there and cannot be read; the other tables are checked all the same.

    Parameters
    ----------
    name : str
    error : DataError

    Returns
    -------
    RawTable
        Without headers.
    """
    return RawTable(
        name, [], [], None, problems=[Problem(*row) for row in error.problems.itertuples(index=False)]
    )


def table_named(given: str) -> str | None:
    """Catalog name of a file, sheet or database table; None where it is none of ours.

    Parameters
    ----------
    given : str
        English or Chinese, in any case.

    Returns
    -------
    str or None
    """
    return _TABLE_WORDS.get(fold(given))


def header_words(name: str) -> frozenset[str]:
    """Folded headers that a table understands.

    Parameters
    ----------
    name : str

    Returns
    -------
    frozenset of str
    """
    return frozenset(_COLUMN_WORDS[name])


def match_headers(raw: RawTable) -> tuple[dict[str, int], list[Problem], list[str]]:
    """Find the column of each header.

    Parameters
    ----------
    raw : RawTable

    Returns
    -------
    places : dict of str to int
        Catalog column to its position among the headers.
    problems : list of Problem
        Doubled headers and missing required columns, row 0.
    unknown : list of str
        Headers that belong to no column.
    """
    table = INPUT_TABLES[raw.name]
    words = _COLUMN_WORDS[raw.name]
    places: dict[str, int] = {}
    problems: list[Problem] = []
    unknown: list[str] = []
    seen: dict[str, str] = {}
    for at, header in enumerate(raw.headers):
        folded = fold(header)
        name = words.get(folded)
        if name is None and not folded:
            if raw.columns[at].map(cell_text).str.strip().ne("").any():
                unknown.append(f"column {at + 1} (no header)")
            continue
        key = name or folded
        if key in seen:
            problems.append(
                Problem(
                    raw.name,
                    0,
                    name or header,
                    header,
                    f"stands twice in the header, as {seen[key]!r} and {header!r}",
                    "keep one of the two columns",
                )
            )
            continue
        seen[key] = header
        if name is None:
            unknown.append(header)
        else:
            places[name] = at
    for column in table.columns:
        if column.required_column and column.name not in places:
            problems.append(
                Problem(
                    raw.name,
                    0,
                    column.name,
                    "",
                    "is a required column",
                    f"add the column {column.name} ({column.chinese[0]}){_nearest(column, unknown)}",
                )
            )
    return places, problems, unknown


def _nearest(column: Column, unknown: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(column.name, unknown, n=1, cutoff=0.75)
    return f"; is it {near[0]!r}?" if near else ""


def _words_of_columns(table: Table) -> dict[str, str]:
    words: dict[str, str] = {}
    for column in table.columns:
        for word in (column.name, column.english, *column.chinese):
            words.setdefault(fold(word), column.name)
    for column in table.columns:  # a unit in brackets may be left out where that stays unambiguous
        for word in (column.english, *column.chinese):
            words.setdefault(fold(word.split("(")[0]), column.name)
    return words


def _words_of_tables(tables: Mapping[str, Table]) -> dict[str, str]:
    return {
        fold(word): table.name
        for table in tables.values()
        for word in (table.name, table.english, *table.chinese)
    }


_TABLE_WORDS = _words_of_tables(INPUT_TABLES)
_COLUMN_WORDS = {name: _words_of_columns(table) for name, table in INPUT_TABLES.items()}
