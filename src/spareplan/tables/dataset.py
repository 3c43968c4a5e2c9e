"""Dataset: checked tables with the network of their sites, frozen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from spareplan.errors import DataError, Problem, problems_frame
from spareplan.tables.catalog import INPUT_TABLES, RECORDS
from spareplan.tables.checks import Checked, check_tables
from spareplan.tables.network import Network, build_network
from spareplan.tables.raw import RawTable, raw_from_frame, table_named


@dataclass(frozen=True, repr=False)
class Dataset:
    """All input tables, checked.

    Every input table of the catalog is an attribute (`data.parts`, `data.stock`, ...) with all its columns;
    tables that were not given are empty. Made by `read_dataset` and `Dataset.from_frames`, not by hand.

    Parameters
    ----------
    tables : Mapping of str to DataFrame
        By name.
    given : frozenset of str
        Names of the tables that were given.
    network : Network
        Sites as a tree.
    source : str
        Where the tables came from.
    dropped : DataFrame
        Problems of the rows that were dropped (columns of `DataError.problems`).
    notes : DataFrame
        table, note: what was read in a way the user should know.
    assumed : Mapping of str to str
        What the user made up because the data lacks it: "parts.unit_cost" to "100 for all parts".
    """

    tables: Mapping[str, pd.DataFrame]
    given: frozenset[str]
    network: Network
    source: str = "frames"
    dropped: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: pd.DataFrame = field(default_factory=pd.DataFrame)
    assumed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_frames(
        cls,
        frames: Mapping[str, pd.DataFrame],
        on_bad_rows: str = "raise",
        assumed: Mapping[str, str] | None = None,
        source: str = "frames",
    ) -> Dataset:
        """Check plain frames and build a dataset.

        Parameters
        ----------
        frames : mapping of str to DataFrame
            Table name (English or Chinese) to its rows; headers as in files.
        on_bad_rows : {"raise", "drop"}
            Refuse everything, or drop bad rows and what hangs on them.
        assumed : mapping of str to str, optional
            "table.column" to the words that tell where made-up values came from; listed among a plan's
            assumptions.
        source : str
            Where the frames came from.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            All problems at once; rows are counted as in a file, header line 1.
        """
        raws: dict[str, RawTable] = {}
        problems = []
        for given, frame in frames.items():
            name = table_named(given)
            if name is None or name in raws:
                rule = "is no table of a dataset" if name is None else f"is given twice, both being {name}"
                problems.append(
                    Problem(str(given), 0, "", "", rule, f"use one of: {', '.join(INPUT_TABLES)}")
                )
            else:
                raws[name] = raw_from_frame(name, frame)
        if problems:
            raise DataError(problems)
        return dataset_of(check_tables(raws, on_bad_rows), source, assumed)

    def with_tables(self, **tables: pd.DataFrame) -> Dataset:
        """Copy with some tables exchanged, checked again.

        Parameters
        ----------
        **tables : DataFrame
            Table name to its new rows.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            All problems of the new tables together with the old ones.
        """
        kept = {name: self.tables[name] for name in self.given}
        return Dataset.from_frames({**kept, **tables}, assumed=self.assumed, source=self.source)

    def as_of(self, value: dt.date | str | pd.Timestamp | None = None) -> pd.Timestamp:
        """Last day that is known.

        Parameters
        ----------
        value : date, optional
            Taken as it is; None: the last day of the month of the latest record.

        Returns
        -------
        Timestamp
            At midnight.

        Raises
        ------
        DataError
            There is no record to tell, or the value is no date.
        """
        if value is not None:
            try:
                return pd.Timestamp(value).normalize()
            except ValueError as error:
                raise DataError(
                    [Problem("as_of", 0, "", str(value), "is no date", "write it as 2024-01-31")]
                ) from error
        latest = [self.tables[table][column].max() for table, column in RECORDS]
        known = [moment for moment in latest if not pd.isna(moment)]
        if not known:
            raise DataError(
                [
                    Problem(
                        "as_of",
                        0,
                        "",
                        "",
                        "cannot be told: no table holds a record with a date",
                        "give as_of, the last day that is known",
                    )
                ]
            )
        return pd.Timestamp(max(known).to_period("M").end_time.date())

    def __getattr__(self, name: str) -> pd.DataFrame:
        # only called for what is no field; "tables" itself is missing while a copy is being unpickled
        if name in INPUT_TABLES and "tables" in self.__dict__:
            return self.tables[name]
        raise AttributeError(f"a Dataset has no attribute {name!r}; tables: {', '.join(INPUT_TABLES)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *INPUT_TABLES]

    def summary(self) -> str:
        """What is in it, in a few lines."""
        sizes = ", ".join(f"{len(self.tables[name]):,} {name}" for name in INPUT_TABLES if name in self.given)
        lines = [f"{self.source}: {sizes}"]
        if len(self.dropped):
            lines.append(f"{len(self.dropped):,} bad rows dropped")
        return "\n".join([*lines, *(f"{note.table}: {note.note}" for note in self.notes.itertuples())])

    def __repr__(self) -> str:
        return f"<Dataset {self.summary()}>"


def dataset_of(checked: Checked, source: str, assumed: Mapping[str, str] | None = None) -> Dataset:
    """Build a dataset of checked tables.

    Parameters
    ----------
    checked : Checked
    source : str
    assumed : mapping of str to str, optional
        As in `Dataset.from_frames`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        The check found problems; all of them.
    """
    _known_columns(assumed or {})
    if checked.problems:
        raise DataError(checked.problems)
    dropped = problems_frame(checked.dropped)
    network = build_network(checked.tables["sites"])
    return Dataset(
        checked.tables, checked.given, network, source, dropped, checked.notes, dict(assumed or {})
    )


def _known_columns(assumed: Mapping[str, str]) -> None:
    problems = []
    for name in assumed:
        table, _, column = name.partition(".")
        if table not in INPUT_TABLES or column not in INPUT_TABLES[table].names:
            problems.append(
                Problem("assumed", 0, "", name, "is no column of a dataset", "write it as parts.unit_cost")
            )
    if problems:
        raise DataError(problems)
