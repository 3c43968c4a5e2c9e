"""The plan store's ledger of overrides: entered once, never changed, at most taken back by name.

What planners type in a notebook, a file or over HTTP stands here, and what came with a version that was
issued; the next run picks it up.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from spareplan.database import METADATA, Database, named
from spareplan.errors import StoreError
from spareplan.tables.scopes import decision_keys
from spareplan.tables.typed import OVERRIDE_COLUMNS, read_overrides, shaped_overrides

OVERRIDES = sa.Table(
    "plan_overrides",
    METADATA,
    sa.Column("override", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("in_table", sa.String(20), nullable=False),
    sa.Column("in_column", sa.String(40), nullable=False),
    sa.Column("part_id", sa.Text),
    sa.Column("site_id", sa.Text),
    sa.Column("region_id", sa.Text),
    sa.Column("month", sa.Date),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("decided_on", sa.Date, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("expires_on", sa.Date),
    sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("entered_by", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, sa.ForeignKey("plan_versions.version")),
    sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
    sa.Column("withdrawn_by", sa.Text),
    sa.Column("withdrawn_why", sa.Text),
)
# "table", "column" and "when" are words of SQL.
_NAMES = {"in_table": "table", "in_column": "column", "decided_on": "when", "withdrawn_at": "withdrawn_on"}
_TYPED = OVERRIDE_COLUMNS[: OVERRIDE_COLUMNS.index("withdrawn_on")]


class Ledger(Database):
    """Enters, lists and takes back overrides."""

    def add_override(self, table: str, column: str, value: Any, who: str, why: str, **scope: Any) -> int:
        """Keep one override for the next run (as `add_overrides`); gives its number.

        Parameters
        ----------
        table, column : str
            What it changes: "demand", "mean".
        value : number or str
        who, why : str
        **scope : part_id, site_id, region_id, month, when, expires_on
            An empty one means all; `when` is today if left out.

        Returns
        -------
        int
        """
        row = {"table": table, "column": column, "value": str(value), "who": who, "why": why, **scope}
        return self.add_overrides(pd.DataFrame([row]))[0]

    def add_overrides(self, rows: pd.DataFrame | str | Path, by: str = "", data: Any = None) -> list[int]:
        """Keep overrides for the next run.

        Parameters
        ----------
        rows : DataFrame or path
            Columns of the input table overrides, or a .csv or .xlsx file of it; an empty `when` is today.
        by : str
            Who enters them; empty: those who decided.
        data : Dataset, optional
            Whose parts, sites and regions are the known ones; None: those of the newest version.

        Returns
        -------
        list of int
            Their numbers; one that is held already, to the letter, is not entered again.

        Raises
        ------
        DataError
            Every fault by row, column, value and remedy; nothing is kept then.
        """
        at = self._now()
        if isinstance(rows, pd.DataFrame):
            day = pd.Timestamp(at.date())
            rows = rows.assign(when=rows["when"].fillna(day) if "when" in rows else day)
        typed = read_overrides(rows, self._known() if data is None else data.tables)
        with self._transaction() as connection:
            return enter(connection, typed, at, by)

    def overrides(self) -> pd.DataFrame:
        """All overrides the store holds, those taken back too, in the order they were entered.

        Returns
        -------
        DataFrame
            override (its number), the columns of the input table overrides, entered_at, entered_by, version
            (with which it was issued).
        """
        with self._transaction() as connection:
            return read(connection)

    def override_status(self, overrides: pd.DataFrame) -> pd.Series:
        """What each override does today.

        Parameters
        ----------
        overrides : DataFrame
            From `overrides`.

        Returns
        -------
        Series of str
            counts, expired or withdrawn.
        """
        today = pd.Timestamp(self._now().date())
        over = np.where(overrides["expires_on"] < today, "expired", "counts")
        return pd.Series(np.where(overrides["withdrawn_on"].notna(), "withdrawn", over), overrides.index)

    def withdraw_override(self, override: int, who: str, why: str = "") -> None:
        """Take an override back: the next run is without it, the list still shows it.

        Parameters
        ----------
        override : int
            Its number.
        who, why : str

        Raises
        ------
        StoreError
            No such override, taken back before, or nobody named.
        """
        with self._transaction() as connection:
            withdraw(connection, override, self._now(), named(who, "who"), why)

    def _known(self) -> dict[str, pd.DataFrame]:
        """Tables whose ids overrides may name; none: ids are checked by the run."""
        return {}


def enter(
    connection: sa.Connection, rows: pd.DataFrame, at: dt.datetime, by: str, version: int | None = None
) -> list[int]:
    """Enter overrides that the ledger does not hold yet.

    Parameters
    ----------
    connection : Connection
    rows : DataFrame
        As from `read_overrides`.
    at : datetime
    by : str
        Who entered them; empty: each by who decided it.
    version : int, optional
        The version they were issued with.

    Returns
    -------
    list of int
        Numbers of the new ones.
    """
    kept = read(connection)
    fresh = rows[~_values(rows).isin(_values(kept))]
    home = {name: column for column, name in _NAMES.items()}
    numbers = []
    for row in fresh[list(_TYPED)].to_dict("records"):
        values = {home.get(str(name), str(name)): _plain(value) for name, value in row.items()}
        values |= {"entered_at": at, "entered_by": by or row["who"], "version": version}
        entered = connection.execute(OVERRIDES.insert().values(values))
        numbers.append(int(entered.inserted_primary_key[0]))  # type: ignore[index]
    return numbers


def read(connection: sa.Connection) -> pd.DataFrame:
    """All overrides of the ledger, in the order they were entered.

    Parameters
    ----------
    connection : Connection

    Returns
    -------
    DataFrame
        override (its number), the columns of the input table overrides, entered_at, entered_by, version.
    """
    answer = connection.execute(sa.select(OVERRIDES).order_by(OVERRIDES.c.override))
    frame = pd.DataFrame(answer.fetchall(), columns=list(answer.keys())).rename(columns=_NAMES)
    # The day it was taken back is that of the clock's zone, UTC.
    for name in ("withdrawn_on", "entered_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    frame["withdrawn_on"] = frame["withdrawn_on"].dt.tz_localize(None).dt.normalize()
    for name in ("month", "when", "expires_on"):
        frame[name] = pd.to_datetime(frame[name])
    out = shaped_overrides(frame)
    out.insert(0, "override", frame["override"].astype("int64"))
    return out.assign(
        entered_at=frame["entered_at"],
        entered_by=frame["entered_by"].astype(object),
        version=frame["version"].astype("Int64"),
    )


def withdraw(connection: sa.Connection, override: int, at: dt.datetime, who: str, why: str) -> None:
    """Take an override back; it stays in the ledger.

    Parameters
    ----------
    connection : Connection
    override : int
        Its number.
    at : datetime
    who, why : str

    Raises
    ------
    StoreError
        There is none of this number, or it was taken back before.
    """
    done = connection.execute(
        OVERRIDES.update()
        .where(OVERRIDES.c.override == override, OVERRIDES.c.withdrawn_at.is_(None))
        .values(withdrawn_at=at, withdrawn_by=who, withdrawn_why=why)
    )
    if done.rowcount == 1:
        return
    row = connection.execute(sa.select(OVERRIDES).where(OVERRIDES.c.override == override)).mappings().first()
    if row is None:
        raise StoreError(f"there is no override {override}; see `spareplan override list`")
    raise StoreError(f"override {override} was withdrawn by {row['withdrawn_by']} already")


def _values(rows: pd.DataFrame) -> pd.Series:
    """The decision with its value and end: what tells a mended one from the same."""
    until = rows["expires_on"].dt.strftime("%Y-%m-%d").fillna("")
    return decision_keys(rows) + "\x1f" + rows["value"].astype(str) + "\x1f" + until


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.date() if isinstance(value, pd.Timestamp) else value
