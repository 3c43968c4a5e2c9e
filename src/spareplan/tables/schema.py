"""Column and Table: what the catalog knows about a table, and how it is read from data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Dtype = Literal["text", "number", "integer", "boolean", "date", "month", "moment"]

TEXT = pd.Series(["a"]).dtype
STAMP = pd.Series(pd.to_datetime(["2024-01-01"])).dtype


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        The name other people's files depend on.
    dtype : str
        text, number, integer, boolean, date, month (its first day) or moment (date and time).
    unit : str
        Unit in brackets everywhere; empty for none.
    key : bool
        Part of the table's key.
    required : bool
        Must be there, and filled in every row; `required_column` alone: cells may be empty.
    default : float, str, bool or None
        Stands where an optional cell is empty; None: stays empty.
    low, high : float or None
        Bounds; `low_open`, `high_open`: the bound itself is not allowed.
    values : tuple of str
        Allowed values; empty: any.
    words : Mapping of str to tuple of str
        Other words for each allowed value, Chinese among them, that are read as it.
    references : tuple of str, or None
        (table, column) its values must stand in.
    english : str
        Header of an English export.
    chinese : tuple of str
        Chinese headers that are recognised; the first is written by exports.
    meaning : str
        One sentence.
    """

    name: str
    dtype: Dtype
    unit: str
    key: bool
    required: bool
    required_column: bool
    default: float | str | bool | None
    low: float | None
    low_open: bool
    high: float | None
    high_open: bool
    values: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    references: tuple[str, str] | None
    english: str
    chinese: tuple[str, ...]
    meaning: str

    @property
    def pandas_dtype(self) -> object:
        """Dtype of the checked column: text, float64, int64 where never empty, bool, datetime."""
        if self.dtype == "text":
            return TEXT
        if self.dtype in ("date", "month", "moment"):
            return STAMP
        if self.dtype == "boolean":
            return "bool"
        never_empty = self.required or self.default is not None
        return "int64" if self.dtype == "integer" and never_empty else "float64"

    def allows(self, number: float) -> bool:
        """Whether a number lies within the bounds."""
        above = self.low is None or number > self.low or (number == self.low and not self.low_open)
        below = self.high is None or number < self.high or (number == self.high and not self.high_open)
        return above and below

    @property
    def bounds(self) -> str:
        """The bounds in words; empty where there are none."""
        low = "" if self.low is None else f"{'above' if self.low_open else 'at least'} {self.low:g}"
        high = "" if self.high is None else f"{'below' if self.high_open else 'at most'} {self.high:g}"
        return " and ".join(part for part in (low, high) if part)


@dataclass(frozen=True)
class Table:
    """One table.

    Parameters
    ----------
    name : str
        Name of the file, sheet or database table; for results the class (and its attribute).
    columns : tuple of Column
        In the order in which they are written.
    plan_name : str
        Name within `Plan.tables()`; empty for input tables.
    english, chinese, meaning
        As in `Column`.
    """

    name: str
    columns: tuple[Column, ...]
    plan_name: str
    english: str
    chinese: tuple[str, ...]
    meaning: str

    @property
    def names(self) -> list[str]:
        """Names of all columns, in order."""
        return [column.name for column in self.columns]

    @property
    def keys(self) -> list[str]:
        """Names of the key columns; empty where rows have no key."""
        return [column.name for column in self.columns if column.key]

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}; it has {', '.join(self.names)}")

    def empty(self) -> pd.DataFrame:
        """The table without rows, every column with its dtype."""
        columns = {column.name: pd.Series([], dtype=column.pandas_dtype) for column in self.columns}  # type: ignore[call-overload]
        return pd.DataFrame(columns)


def column_from(row: Mapping[str, str]) -> Column:
    """Build a Column from one row of a catalog file.

    Parameters
    ----------
    row : mapping of str to str
        Cells: yes or empty for key; yes, column or empty for required; ">0" for a bound that is not allowed
        itself; `a=word=word|b` for values with their other words; `table.column` for references.

    Returns
    -------
    Column
    """
    low, low_open = _bound(row["low"], ">")
    high, high_open = _bound(row["high"], "<")
    words = [entry.split("=") for entry in row["values"].split("|") if entry]
    table, _, column = row["references"].partition(".")
    return Column(
        name=row["column"],
        dtype=row["dtype"],  # type: ignore[arg-type]
        unit=row["unit"],
        key=row["key"] == "yes",
        required=row["required"] == "yes",
        required_column=row["required"] in ("yes", "column"),
        default=_default(row["default"], row["dtype"]),
        low=low,
        low_open=low_open,
        high=high,
        high_open=high_open,
        values=tuple(entry[0] for entry in words),
        words={entry[0]: tuple(entry[1:]) for entry in words},
        references=(table, column) if table else None,
        english=row["english"],
        chinese=_aliases(row["chinese"]),
        meaning=row["meaning"],
    )


def table_from(row: Mapping[str, str], columns: Iterable[Column]) -> Table:
    """Build a Table from its row of the catalog and its columns.

    Parameters
    ----------
    row : mapping of str to str
    columns : iterable of Column

    Returns
    -------
    Table
    """
    return Table(
        row["table"],
        tuple(columns),
        row["plan_name"],
        row["english"],
        _aliases(row["chinese"]),
        row["meaning"],
    )


def _aliases(cell: str) -> tuple[str, ...]:
    return tuple(word for word in cell.split("|") if word)


def _bound(cell: str, sign: str) -> tuple[float | None, bool]:
    return (float(cell.lstrip(sign)) if cell else None), cell.startswith(sign)


def _default(cell: str, dtype: str) -> float | str | bool | None:
    if not cell:
        return None
    if dtype in ("number", "integer"):
        return float(cell)
    return cell == "true" if dtype == "boolean" else cell
