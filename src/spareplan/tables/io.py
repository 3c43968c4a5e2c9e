"""Door: read a dataset from a folder, a workbook or a database; write one as a folder.

What is read as what stands in `spareplan.tables.readers` and `.workbook` (files) and
`spareplan.tables.cells` (cells).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from spareplan.errors import DataError, Problem, problems_frame
from spareplan.tables import readers
from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.cells import cell_text
from spareplan.tables.checks import NOTE_COLUMNS, check_tables
from spareplan.tables.dataset import Dataset, dataset_of
from spareplan.tables.raw import RawTable, table_named, unreadable
from spareplan.tables.workbook import read_workbook

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm", ".xls")
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


class DatasetCheck(NamedTuple):
    """What a check found: `problems` (columns of `DataError.problems`, empty if all is fine) and `notes`."""

    problems: pd.DataFrame
    notes: pd.DataFrame
    summary: str


def read_dataset(path_or_url: str | Path, on_bad_rows: str = "raise") -> Dataset:
    """Read and check all input tables.

    Parameters
    ----------
    path_or_url : str or Path
        A folder of CSV or Parquet files named after the tables, one workbook with a sheet per table, or a
        database URL (sqlite:///file.db, postgresql://user@host/name). Names and headers may be English or
        Chinese.
    on_bad_rows : {"raise", "drop"}
        Refuse everything, or drop bad rows and what hangs on them, listed in `.dropped`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        All problems at once.
    """
    raws, notes = read_tables(path_or_url)
    return dataset_of(check_tables(raws, on_bad_rows, notes), readers.shown_url(str(path_or_url)))


def check_dataset(path_or_url: str | Path) -> DatasetCheck:
    """Check all input tables without using them.

    Parameters
    ----------
    path_or_url : str or Path
        As in `read_dataset`.

    Returns
    -------
    DatasetCheck
        problems, notes (table, note) and a summary in words.
    """
    try:
        raws, notes = read_tables(path_or_url)
    except DataError as error:
        nothing = pd.DataFrame(columns=NOTE_COLUMNS)
        return DatasetCheck(error.problems, nothing, _counted(error.problems))
    checked = check_tables(raws, "raise", notes)
    problems = problems_frame(checked.problems)
    if checked.problems:
        return DatasetCheck(problems, checked.notes, _counted(problems))
    data = dataset_of(checked, readers.shown_url(str(path_or_url)))
    return DatasetCheck(problems, checked.notes, data.summary())


def _counted(problems: pd.DataFrame) -> str:
    return f"{len(problems)} problems in {problems['table'].nunique()} tables"


def read_tables(path_or_url: str | Path) -> tuple[dict[str, RawTable], list[tuple[str, str]]]:
    """Read all tables as given, unchecked.

    Parameters
    ----------
    path_or_url : str or Path
        As in `read_dataset`.

    Returns
    -------
    raws : dict of str to RawTable
    notes : list of (table, note)
        Files, sheets and tables that were not read.

    Raises
    ------
    DataError
        Nothing is there, a table is there twice, or files cannot be read; all at once.
    """
    text = str(path_or_url)
    path = Path(path_or_url) if "://" not in text else None
    if path is None or path.suffix.lower() in DATABASE_SUFFIXES:
        found = _collect(readers.read_database(text if path is None else f"sqlite:///{path}"), "table")
    elif path.is_dir():
        found = _read_folder(path)
    elif path.suffix.lower() in WORKBOOK_SUFFIXES and path.is_file():
        found = _collect(read_workbook(path), "sheet")
    else:
        rule = "is no folder, workbook or database" if path.exists() else "does not exist"
        raise DataError(
            [
                Problem(
                    "dataset",
                    0,
                    "",
                    text,
                    rule,
                    "give a folder of CSV or Parquet files, an .xlsx workbook or a database URL",
                )
            ]
        )
    if not found[0]:
        raise DataError(
            [
                Problem(
                    "dataset",
                    0,
                    "",
                    readers.shown_url(text),
                    "holds no table of a dataset",
                    f"name the tables {', '.join(INPUT_TABLES)}",
                )
            ]
        )
    return found


def write_folder(frames: Mapping[str, pd.DataFrame], folder: str | Path) -> list[Path]:
    """Write tables as CSV files that people and programs read alike.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Table name to rows; `data.tables` does.
    folder : path
        Made if it is not there; files of the same names are replaced.

    Returns
    -------
    list of Path
        UTF-8 without BOM, whole numbers without a decimal point, ISO dates, true and false.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, frame in frames.items():
        path = target / f"{name}.csv"
        shown = pd.DataFrame(
            {column: _shown(values) for column, values in frame.items()}, columns=frame.columns
        )
        shown.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
        written.append(path)
    return written


def _shown(values: pd.Series) -> pd.Series:
    """Cells as text; distinct values are written once and spread."""
    codes, distinct = pd.factorize(values)
    texts = pd.Series([*(cell_text(value) for value in distinct), ""], dtype=object)
    return texts.take(codes % len(texts)).set_axis(values.index)


def _read_folder(folder: Path) -> tuple[dict[str, RawTable], list[tuple[str, str]]]:
    return _collect(_folder_tables(folder), "file")


def _folder_tables(folder: Path) -> Iterator[tuple[str, RawTable | None]]:
    for path in sorted(folder.iterdir()):
        suffixes = [suffix.lower() for suffix in path.suffixes]
        kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
        if (
            not path.is_file()
            or path.name.startswith((".", "~$"))
            or kind not in (*TEXT_SUFFIXES, ".parquet")
        ):
            continue
        name = table_named(path.name.split(".")[0])
        if name is None:
            yield path.name, None
            continue
        try:
            yield path.name, (readers.read_parquet if kind == ".parquet" else readers.read_csv)(path, name)
        except DataError as error:
            yield path.name, unreadable(name, error)


def _collect(
    tables: Iterable[tuple[str, RawTable | None]], kind: str
) -> tuple[dict[str, RawTable], list[tuple[str, str]]]:
    raws: dict[str, RawTable] = {}
    notes: list[tuple[str, str]] = []
    for given, raw in tables:
        if raw is None:
            notes.append((given, f"is no table of a dataset; the {kind} was not read"))
        elif raw.name in raws:
            twice = Problem(
                raw.name, 0, "", given, f"is there twice: another {kind} means it too", "keep one of them"
            )
            raws[raw.name] = replace(raws[raw.name], problems=[*raws[raw.name].problems, twice])
        else:
            raws[raw.name] = raw
    return raws, notes
