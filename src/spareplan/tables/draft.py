"""One table on its way from cells as given to a checked frame."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import Problem
from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.cells import SPACES, cell_text
from spareplan.tables.frames import first_positions, key_text
from spareplan.tables.parse import cells_of, parse_column
from spareplan.tables.raw import Finding, RawTable, match_headers
from spareplan.tables.schema import Column, Table


@dataclass
class Draft:
    """A table on its way: cells as given beside what they were read as; its index is the position."""

    raw: RawTable
    places: dict[str, int]
    frame: pd.DataFrame

    def problem(self, finding: Finding) -> Problem:
        """Say where a finding stands and what was given there."""
        value = finding.value or ""
        if finding.position < 0:
            return Problem(finding.table, 0, finding.column, value, finding.rule, finding.remedy)
        if self.raw.rows is not None:
            row: int | None = int(self.raw.rows[finding.position])
        else:
            row, value = None, self._with_key(finding, value)
        return Problem(finding.table, row, finding.column, value, finding.rule, finding.remedy)

    def cells(self, column: str, positions: list[int]) -> list[str]:
        """Text of some cells as given; of several columns the first."""
        at = self.places.get(column.split(",")[0])
        if at is None:
            return [""] * len(positions)
        return [cell_text(value) for value in self.raw.columns[at].iloc[positions].astype(object).tolist()]

    def _with_key(self, finding: Finding, value: str) -> str:
        keys = [name for name in INPUT_TABLES[finding.table].keys if name in self.places]
        shown = [
            f"{name}={self.raw.cell(finding.position, self.places[name])}"
            for name in keys or list(self.places)[:3]
        ]
        return f"{value} ({', '.join(shown)})" if keys != [finding.column] else value


def read_table(raw: RawTable) -> tuple[Draft, list[Finding], list[Problem], list[str]]:
    """Read and check the cells of one table.

    Parameters
    ----------
    raw : RawTable

    Returns
    -------
    draft : Draft
    findings : list of Finding
        Cells that cannot be read, are empty or out of bounds; doubled keys.
    problems : list of Problem
        Of the whole table.
    notes : list of str
    """
    table = INPUT_TABLES[raw.name]
    places, problems, unknown = match_headers(raw)
    notes = list(raw.notes)
    if unknown:
        notes.append(f"columns that are not used: {', '.join(unknown)}")
    filled = _filled_rows(raw)
    columns: dict[str, pd.Series] = {}
    findings: list[Finding] = []
    unread: dict[str, np.ndarray] = {}
    for column in table.columns:
        if column.name not in places:
            columns[column.name] = _all_default(column, len(raw))
            continue
        parsed = parse_column(raw.columns[places[column.name]], column, raw.date_system)
        findings += [
            Finding(raw.name, int(at), column.name, fault.rule, fault.remedy)
            for at, fault in zip(parsed.faulty, parsed.faults)
        ]
        unread[column.name] = parsed.faulty
        if parsed.trimmed:
            notes.append(f"{column.name}: white space or an apostrophe was taken off {parsed.trimmed} cells")
        columns[column.name] = _with_default(parsed.values, column)
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(raw)))
    if raw.name == "sites":
        frame.loc[frame["parent_id"].isna() & frame["lead_time_days"].isna(), "lead_time_days"] = 0.0
    frame = frame if filled.all() else frame[filled]
    findings += against_catalog(frame, table, places, unread)
    findings += doubled_keys(frame, table, raw)
    if raw.name == "units" and "commissioned_on" in places:
        findings += dateless_units(frame, unread)
    return Draft(raw, places, frame), findings, problems, notes


def against_catalog(
    frame: pd.DataFrame, table: Table, places: Mapping[str, int], unread: Mapping[str, np.ndarray]
) -> list[Finding]:
    """Empty cells and cells out of bounds, through the table's pandera schema.

    Parameters
    ----------
    frame : DataFrame
        Read cells.
    table : Table
    places : mapping
        Columns that were given.
    unread : mapping of str to ndarray of int
        Cells known to be faulty; they count as empty and are not named twice.

    Returns
    -------
    list of Finding
    """
    import pandera.errors

    try:
        pandera_schema(table.name).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return []
    findings = []
    for (name, check), group in cases.groupby(["column", "check"], sort=False):
        column = table[str(name)]
        positions = group["index"].to_numpy(dtype=np.int64)
        if check == "not_nullable":
            if column.name not in places:
                continue
            positions = np.setdiff1d(positions, unread[column.name])
            rule, remedy = "is empty", "fill it in or drop the row"
        else:
            rule = f"is not {check}"
            remedy = f"give a value {column.bounds}" + (f" [{column.unit}]" if column.unit else "")
        findings += [Finding(table.name, int(at), column.name, rule, remedy) for at in positions]
    return findings


def dateless_units(frame: pd.DataFrame, unread: Mapping[str, np.ndarray]) -> list[Finding]:
    """Machines that have neither a day of commissioning nor one on which they were built.

    Parameters
    ----------
    frame : DataFrame
        Read cells of units.
    unread : mapping of str to ndarray of int
        Cells known to be faulty; they are not named twice.

    Returns
    -------
    list of Finding
    """
    lost = frame.index[frame["commissioned_on"].isna() & frame["built_on"].isna()].to_numpy()
    for name in ("commissioned_on", "built_on"):
        lost = np.setdiff1d(lost, unread.get(name, []))
    return [
        Finding(
            "units",
            int(at),
            "commissioned_on",
            "is empty, and so is built_on",
            "fill in one of the two dates or drop the row",
        )
        for at in lost
    ]


@functools.cache
def pandera_schema(name: str) -> Any:
    """The pandera schema of an input table, made from the catalog.

    Parameters
    ----------
    name : str

    Returns
    -------
    pandera.DataFrameSchema
        Checks carry their short name (`at least 0`) as error; dtypes stay free, empty integers being floats
        until defaults are in.
    """
    import pandera.pandas as pa

    def checks(column: Column) -> list[Any]:
        found = []
        if column.low is not None:
            found.append(
                pa.Check.gt(column.low, error=f"above {column.low:g}")
                if column.low_open
                else pa.Check.ge(column.low, error=f"at least {column.low:g}")
            )
        if column.high is not None:
            found.append(
                pa.Check.lt(column.high, error=f"below {column.high:g}")
                if column.high_open
                else pa.Check.le(column.high, error=f"at most {column.high:g}")
            )
        return found

    table = INPUT_TABLES[name]
    return pa.DataFrameSchema(
        {
            column.name: pa.Column(None, checks(column), nullable=not column.required)
            for column in table.columns
        }
    )


def doubled_keys(frame: pd.DataFrame, table: Table, raw: RawTable) -> list[Finding]:
    """Rows whose key stood before.

    Parameters
    ----------
    frame : DataFrame
    table : Table
    raw : RawTable

    Returns
    -------
    list of Finding
    """
    keys = table.keys
    if not keys:
        return []
    whole = frame[keys]
    complete = whole.notna().all(axis=1)
    if not complete.all():
        whole = whole[complete]
    again = whole.duplicated()
    if not again.any():
        return []
    named = whole[whole.duplicated(keep=False)]
    first = dict(zip(named.index, named.index[first_positions(named)]))
    findings = []
    for position, text in zip(again.index[again], key_text(whole[again])):
        place = f"row {raw.rows[first[position]]}" if raw.rows is not None else "another row"
        rule = f"stands already in {place}"
        findings.append(
            Finding(table.name, int(position), ", ".join(keys), rule, "keep one of the two rows", text)
        )
    return findings


def finish(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Give a table that passed its final dtypes and a fresh index.

    Parameters
    ----------
    frame : DataFrame
    table : Table

    Returns
    -------
    DataFrame
    """
    dtypes: Any = {
        column.name: column.pandas_dtype
        for column in table.columns
        if frame[column.name].dtype != column.pandas_dtype
    }
    return frame.reset_index(drop=True).astype(dtypes)


def _filled_rows(raw: RawTable) -> np.ndarray:
    """Rows with at least one cell that is not empty."""
    filled = np.zeros(len(raw), dtype=bool)
    # numbers and dates first: one full column of them settles it
    for column in sorted(raw.columns, key=lambda cells: getattr(cells.dtype, "kind", "O") not in "iufbM"):
        filled |= _filled_cells(column)
        if filled.all():
            break
    return filled


def _filled_cells(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, cells = cells_of(column)
        return np.array([bool(cell.strip(SPACES)) for cell in cells] + [False])[codes]
    present = column.notna().to_numpy()
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        codes, cells = cells_of(column)
        return np.array([bool(cell.strip(SPACES)) for cell in cells] + [False])[codes]
    return present


def _all_default(column: Column, length: int) -> pd.Series:
    return _with_default(pd.Series(np.full(length, np.nan, dtype=object)), column)


def _with_default(values: pd.Series, column: Column) -> pd.Series:
    """Put the default into empty cells; faulty cells take it too, their rows being refused anyway."""
    if column.default is not None:
        values = (
            values.astype(object).where(values.notna(), column.default) if values.isna().any() else values
        )
    if column.dtype == "boolean":
        return values.astype("bool")
    dtype: Any = "float64" if column.dtype in ("number", "integer") else column.pandas_dtype
    return values.astype(dtype) if values.dtype != dtype else values
