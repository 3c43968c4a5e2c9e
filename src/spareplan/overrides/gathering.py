"""Overrides of all places in one list: the data's own, those of the plan store, those of the plan before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.tables import relations
from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.draft import finish, read_table
from spareplan.tables.raw import RawTable, raw_from_frame
from spareplan.tables.scopes import check_overrides, decision_keys, is_withdrawn

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

OVERRIDE_COLUMNS = tuple(INPUT_TABLES["overrides"].names)
HOMES = ("parts", "sites", "regions")
BACK = ["withdrawn_on", "withdrawn_by", "withdrawn_why"]


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
    problems = [*raw.problems, *refused]
    tables = {name: table.empty() for name, table in INPUT_TABLES.items()} | {"overrides": draft.frame}
    homes = {name: frame for name, frame in (known or {}).items() if name in HOMES}
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


def add_override(
    data: Dataset, table: str, column: str, value: Any, who: str, why: str, **scope: Any
) -> Dataset:
    """Copy of a dataset with one override more.

    Parameters
    ----------
    data : Dataset
    table, column : str
        What it changes: "demand", "mean".
    value : number or str
    who, why : str
    **scope : part_id, site_id, region_id, month, when, expires_on
        An empty one means all; `when` is the last known day of the data if left out.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        It cannot be followed: unknown id, table, column or month, or a value the column cannot hold.
    """
    row = {"table": table, "column": column, "value": str(value), "who": who, "why": why, **scope}
    if row.get("when") is None:
        row["when"] = data.as_of()
    strange = sorted(set(row) - set(OVERRIDE_COLUMNS))
    if strange:
        raise DataError(
            [
                Problem(
                    "overrides", 0, name, str(row[name]), "is no column", f"use {', '.join(OVERRIDE_COLUMNS)}"
                )
                for name in strange
            ]
        )
    new = read_overrides(pd.DataFrame([row]), data.tables)
    return gather_overrides(data, new)[0]


def gather_overrides(
    data: Dataset, typed: pd.DataFrame | None = None, before: pd.DataFrame | None = None
) -> tuple[Dataset, list[dict[str, str]]]:
    """Put the overrides of all places into a dataset.

    Parameters
    ----------
    data : Dataset
        Its own overrides are the planners' latest word where a decision stands in several places.
    typed : DataFrame, optional
        Kept by a plan store, those taken back too: what was taken back there counts nowhere.
    before : DataFrame, optional
        Of the plan before: they live on until they expire or are taken back.

    Returns
    -------
    Dataset
        With all of them; the same object where there are no others.
    left_out : list of dict
        what, reason, remedy: overrides of parts, sites or regions that the data knows no more.
    """
    others = [_shaped(frame) for frame in (before, typed) if frame is not None and len(frame)]
    if not others:
        return data, []
    own = data.overrides[list(OVERRIDE_COLUMNS)]
    every = own
    for older in reversed(others):
        every = pd.concat([older[~decision_keys(older).isin(decision_keys(every))], every], ignore_index=True)
    back = pd.concat([frame[is_withdrawn(frame)] for frame in others], ignore_index=True)
    if len(back):
        # Taken back is one value of one decision; another value of the same day is a new one.
        names = decision_keys(every) + "\x1f" + every["value"].astype(str)
        last = back.set_index(decision_keys(back) + "\x1f" + back["value"].astype(str))[BACK]
        last = last[~last.index.duplicated(keep="last")]
        hit = names.isin(last.index) & every["withdrawn_on"].isna()
        for name in BACK:
            every[name] = every[name].where(~hit, names.map(last[name]))
    known, left_out = _still_known(every, data)
    tables = dict(data.tables) | {"overrides": _shaped(every[known])}
    return dataclasses.replace(data, tables=tables, given=data.given | {"overrides"}), left_out


def _still_known(every: pd.DataFrame, data: Dataset) -> tuple[pd.Series, list[dict[str, str]]]:
    known = pd.Series(True, index=every.index)
    left_out = []
    for column, home in (("part_id", "parts"), ("site_id", "sites"), ("region_id", "regions")):
        if home not in data.given:
            continue
        lost = every[column].notna() & ~every[column].isin(data.tables[home][column])
        for row in every[lost & known].itertuples(index=False):
            left_out.append(
                {
                    "what": f"override {row.table}.{row.column} = {row.value} by {row.who}",
                    "reason": f"{getattr(row, column)} is not in {home}",
                    "remedy": f"withdraw it, or add {getattr(row, column)} to {home}",
                }
            )
        known &= ~lost
    return known, left_out


def _shaped(frame: pd.DataFrame) -> pd.DataFrame:
    """All columns of the table with their dtypes."""
    out = frame.reindex(columns=list(OVERRIDE_COLUMNS)).reset_index(drop=True)
    for column in INPUT_TABLES["overrides"].columns:
        out[column.name] = out[column.name].astype(column.pandas_dtype)  # type: ignore[call-overload]
    return out


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


def _empty(name: str) -> Problem:
    return Problem(name, 0, "", "", "has no header", "write the column names into the first line")
