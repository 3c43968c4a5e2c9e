"""Overrides as a planner types them: in a notebook, a file, over HTTP -> the checked table of overrides."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.tables import relations
from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.draft import finish, read_table
from spareplan.tables.raw import RawTable, match_headers, raw_from_frame
from spareplan.tables.scopes import check_overrides

OVERRIDE_COLUMNS = tuple(INPUT_TABLES["overrides"].names)
HOMES = ("parts", "sites", "regions")
# What a list of the plan store says beside the table itself; it may be read again.
LISTED = ("override", "status", "entered_at", "entered_by", "version", "rows", "model", "note")


def shaped_overrides(frame: pd.DataFrame) -> pd.DataFrame:
    """All columns of the table of overrides with their dtypes.

    Parameters
    ----------
    frame : DataFrame
        Some of them, read already.

    Returns
    -------
    DataFrame
    """
    out = frame.reindex(columns=list(OVERRIDE_COLUMNS)).reset_index(drop=True)
    for column in INPUT_TABLES["overrides"].columns:
        out[column.name] = out[column.name].astype(column.pandas_dtype)  # type: ignore[call-overload]
    return out


def read_overrides(
    rows: pd.DataFrame | RawTable | str | Path, known: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Read overrides as they were typed and check them by the rules of the catalog.

    Parameters
    ----------
    rows : DataFrame or path
        Columns of the input table overrides, English or Chinese; a .csv, .tsv or .xlsx file (a sheet named
        overrides, or the only one).
    known : mapping of str to DataFrame, optional
        parts, sites, regions: their ids are the known ones; None: ids are not checked.

    Returns
    -------
    DataFrame
        All columns of the table, read.

    Raises
    ------
    DataError
        Every fault by row, column, value and remedy; nothing is read then.
    """
    raw = rows if isinstance(rows, RawTable) else _raw(rows)
    if not raw.headers:
        raise DataError(list(raw.problems) or [_empty(raw.name)])
    draft, findings, refused, _ = read_table(raw)
    strange = [header for header in match_headers(raw)[2] if header not in LISTED]
    problems = [*raw.problems, *refused, *map(_unknown, strange)]
    tables = {name: table.empty() for name, table in INPUT_TABLES.items()} | {"overrides": draft.frame}
    homes = {
        name: frame[[f"{name[:-1]}_id", "name"]].reindex(columns=INPUT_TABLES[name].names)
        for name, frame in (known or {}).items()
        if name in HOMES and len(frame)
    }
    tables |= homes
    lost = [
        one
        for one in relations.references(tables, frozenset({"overrides", *homes}))
        if one.table == "overrides"
    ]
    findings = [*findings, *lost, *relations.override_targets(draft.frame)]
    for finding in findings:
        value = finding.value
        if value is None and finding.position >= 0:
            value = draft.cells(finding.column, [finding.position])[0]
        problems.append(draft.problem(finding._replace(value=value)))
    if problems:
        raise DataError(problems)
    read = finish(draft.frame, INPUT_TABLES["overrides"]).reset_index(drop=True)
    check_overrides(read)
    return read


def _raw(rows: pd.DataFrame | str | Path) -> RawTable:
    if isinstance(rows, pd.DataFrame):
        return raw_from_frame("overrides", rows)
    path = Path(rows)
    if not path.is_file():
        raise DataError([Problem("overrides", 0, "", str(path), "is no file", "give a .csv or .xlsx file")])
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        from spareplan.tables.readers import read_csv

        return read_csv(path, "overrides")
    from spareplan.tables.workbook import read_workbook

    found = {raw.name: raw for _, raw in read_workbook(path) if raw is not None}
    if "overrides" not in found:
        sheets = ", ".join(found) or "none that is known"
        raise DataError(
            [
                Problem(
                    "overrides", 0, "", path.name, f"has no sheet overrides (sheets: {sheets})", "name one so"
                )
            ]
        )
    return found["overrides"]


def _unknown(header: str) -> Problem:
    near = difflib.get_close_matches(header, OVERRIDE_COLUMNS, n=1)
    remedy = f"is it {near[0]}?" if near else f"use {', '.join(OVERRIDE_COLUMNS)}"
    return Problem("overrides", 0, header, header, "is no column of overrides", remedy)


def _empty(name: str) -> Problem:
    return Problem(name, 0, "", "", "has no header", "write the column names into the first line")
