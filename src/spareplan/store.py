"""The plan store: versions, approvals and an audit trail, in SQLite or PostgreSQL.

A version goes draft -> approved -> issued -> superseded and never back; what was approved never changes. Each
table of a plan is kept as Parquet inside the database, so that types, leading zeros and Chinese text come
back exactly as they went in, and saving is one transaction: whole or not at all.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from typing import Any

import pandas as pd
import sqlalchemy as sa

from spareplan.database import EVENTS, PIECES, VERSIONS, named
from spareplan.errors import StoreError
from spareplan.keys import Keys
from spareplan.ledger import Ledger, enter
from spareplan.pieces import differences, parquet_pieces, put_together, take_apart
from spareplan.results import Plan
from spareplan.tables.typed import shaped_overrides


class PlanStore(Keys, Ledger):
    """Versions of plans in a database.

    Parameters
    ----------
    url : str
        ``sqlite:///plans.db`` (made when missing) or ``postgresql+psycopg://user@host/database``.
    now : callable, optional
        Gives the time written into the audit trail; the clock (UTC) by default.

    Raises
    ------
    StoreError
        The database cannot be reached or is not a plan store of a known version.
    """

    def save(self, plan: Plan, author: str, note: str = "") -> int:
        """Keep a plan as a new draft.

        Parameters
        ----------
        plan : Plan
        author, note : str
            Who saved it, and why.

        Returns
        -------
        int
            The version.

        Raises
        ------
        StoreError
            No author, or the database refused; nothing is kept then.
        """
        author = named(author, "author")
        content, pieces = take_apart(plan)
        at = self._now()
        row = {
            "status": "draft",
            "author": author,
            "note": note,
            "saved_at": at,
            "as_of": plan.as_of.date(),
            "summary": plan.summary(),
            "content": json.dumps(content, ensure_ascii=False),
        }
        with self._transaction() as connection:
            version = int(connection.execute(VERSIONS.insert().values(row)).inserted_primary_key[0])
            for name, frame in pieces.items():
                for number, rows, data in parquet_pieces(frame):
                    connection.execute(
                        PIECES.insert().values(
                            version=version, name=name, piece=number, rows=rows, parquet=data
                        )
                    )
            self._record(connection, version, at, author, "saved", note)
        return version

    def approve(self, version: int, who: str, note: str = "") -> None:
        """Approve a draft; from now on it never changes.

        Parameters
        ----------
        version : int
        who, note : str
            Who approved it, and why.

        Raises
        ------
        StoreError
            No such version, or it is no draft.
        """
        with self._transaction() as connection:
            self._move(connection, version, "draft", "approved", who, note)

    def issue(self, version: int, who: str, note: str = "") -> None:
        """Issue an approved version to purchasing and regions; the one issued before is superseded.

        Its overrides enter the list of `overrides`: what was issued lives on until it expires or is
        withdrawn.

        Parameters
        ----------
        version : int
        who, note : str

        Raises
        ------
        StoreError
            No such version, or it is not approved.
        """
        known = "inputs.overrides" in self.tables(version)
        rows = shaped_overrides(self.table(version, "inputs.overrides") if known else pd.DataFrame())
        with self._transaction() as connection:
            self._move(connection, version, "approved", "issued", who, note)
            enter(connection, rows[rows["withdrawn_on"].isna()], self._now(), who, version)
            others = sa.select(VERSIONS.c.version).where(
                VERSIONS.c.status == "issued", VERSIONS.c.version != version
            )
            for old in connection.execute(others).scalars().all():
                self._move(connection, old, "issued", "superseded", who, f"version {version} was issued")

    def list(self) -> pd.DataFrame:
        """All versions, newest first.

        Returns
        -------
        DataFrame
            version, status, author, note, saved_at, as_of, summary.
        """
        columns = [c for c in VERSIONS.columns if c.name != "content"]
        return self._frame(sa.select(*columns).order_by(VERSIONS.c.version.desc()))

    def audit(self, version: int | None = None) -> pd.DataFrame:
        """Who did what, when and why.

        Parameters
        ----------
        version : int, optional
            None: all versions.

        Returns
        -------
        DataFrame
            event, version, at, who, action, note, in the order it happened.
        """
        query = sa.select(EVENTS).order_by(EVENTS.c.event)
        return self._frame(query if version is None else query.where(EVENTS.c.version == version))

    def issued(self) -> int | None:
        """Version that is issued now; None where none is."""
        query = sa.select(VERSIONS.c.version).where(VERSIONS.c.status == "issued")
        with self._transaction() as connection:
            return connection.execute(query.order_by(VERSIONS.c.version.desc())).scalar()

    def status(self, version: int) -> str:
        """Status of a version (errors as in `get`)."""
        return str(self._row(version)["status"])

    def get(self, version: int) -> Plan:
        """A stored plan as it was saved (a curve that is computed on demand is not kept).

        Parameters
        ----------
        version : int

        Returns
        -------
        Plan
            With its version, and in `typed_overrides` the overrides the store holds now.

        Raises
        ------
        StoreError
            No such version.
        """
        content = json.loads(self._row(version)["content"])
        frames = {name: self.table(version, name) for name in content["frames"]}
        plan = put_together(content, frames)
        return dataclasses.replace(plan, version=version, typed_overrides=self.overrides())

    def table(self, version: int, name: str) -> pd.DataFrame:
        """One table of a stored plan.

        Parameters
        ----------
        version : int
        name : str
            As in ``tables(version)``, such as "levels.table".

        Returns
        -------
        DataFrame

        Raises
        ------
        StoreError
            No such version or table.
        """
        query = (
            sa.select(PIECES.c.parquet)
            .where(PIECES.c.version == version, PIECES.c.name == name)
            .order_by(PIECES.c.piece)
        )
        with self._transaction() as connection:
            blobs = connection.execute(query).scalars().all()
        if not blobs:
            self._row(version)
            raise StoreError(
                f"version {version} has no table {name!r}; it has {', '.join(self.tables(version))}"
            )
        frames = [pd.read_parquet(io.BytesIO(blob)) for blob in blobs]
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def tables(self, version: int) -> tuple[str, ...]:
        """Names of the tables of a stored plan (errors as in `get`)."""
        return tuple(json.loads(self._row(version)["content"])["frames"])

    def diff(self, version: int, other: int) -> pd.DataFrame:
        """What changes from one version to another.

        Parameters
        ----------
        version, other : int
            Before and after.

        Returns
        -------
        DataFrame
            table, key (the row in words), column, before, after, change; largest change of money first within
            a table. Rows that appear or vanish have an empty side.
        """
        return differences(self.get(version), self.get(other))

    def _known(self) -> dict[str, pd.DataFrame]:
        """Parts, sites and regions of the newest version; none where nothing is stored."""
        versions = self.list()
        if versions.empty:
            return {}
        version = int(versions["version"].iloc[0])
        tables = self.tables(version)
        names = ("parts", "sites", "regions")
        return {name: self.table(version, f"inputs.{name}") for name in names if f"inputs.{name}" in tables}

    def _row(self, version: int) -> dict[str, Any]:
        with self._transaction() as connection:
            row = (
                connection.execute(sa.select(VERSIONS).where(VERSIONS.c.version == version))
                .mappings()
                .first()
            )
            if row is None:
                known = (
                    connection.execute(sa.select(VERSIONS.c.version).order_by(VERSIONS.c.version))
                    .scalars()
                    .all()
                )
                raise StoreError(
                    f"there is no version {version}; there are {', '.join(map(str, known)) or 'none yet'}"
                )
            return dict(row)

    def _move(self, connection: Any, version: int, old: str, new: str, who: str, note: str) -> None:
        who = named(who, "who")
        # The condition inside the update makes two approvals at once impossible.
        moved = connection.execute(
            VERSIONS.update()
            .where(VERSIONS.c.version == version, VERSIONS.c.status == old)
            .values(status=new)
        )
        if moved.rowcount != 1:
            status = connection.execute(
                sa.select(VERSIONS.c.status).where(VERSIONS.c.version == version)
            ).scalar()
            if status is None:
                raise StoreError(f"there is no version {version}; see the list of versions")
            way = {"draft": "approve it first", "approved": "it can be issued"}.get(
                status, "save a new version"
            )
            raise StoreError(f"version {version} is {status}, so it cannot become {new}; {way}")
        self._record(connection, version, self._now(), who, new, note)

    @staticmethod
    def _record(connection: Any, version: int, at: dt.datetime, who: str, action: str, note: str) -> None:
        connection.execute(EVENTS.insert().values(version=version, at=at, who=who, action=action, note=note))
