"""The plan store: versions, approvals and an audit trail, in SQLite or PostgreSQL.

A version goes draft -> approved -> issued -> superseded and never back; what was approved never changes. Each
table of a plan is kept as Parquet inside the database, so that types, leading zeros and Chinese text come
back exactly as they went in, and saving is one transaction: whole or not at all.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import json
import secrets
from collections.abc import Callable
from typing import Any

import pandas as pd
import sqlalchemy as sa

from spareplan.database import EVENTS, PIECES, TOKENS, VERSIONS, open_engine, transaction
from spareplan.errors import StoreError
from spareplan.pieces import differences, parquet_pieces, put_together, take_apart
from spareplan.results import Plan


@dataclasses.dataclass(frozen=True)
class Token:
    """What the bearer of a key may do.

    Parameters
    ----------
    name : str
        Whose key it is; written into the audit trail.
    role : {"hq", "region"}
        HQ reads everything, approves and issues; a region reads its own rows of issued versions.
    regions : tuple of str
        Region ids of a region's token.
    """

    name: str
    role: str
    regions: tuple[str, ...] = ()


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class PlanStore:
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

    def __init__(self, url: str, now: Callable[[], dt.datetime] = _utc_now) -> None:
        self.url = url
        self._now = now
        self._engine = open_engine(url)

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
        author = _named(author, "author")
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

        Parameters
        ----------
        version : int
        who, note : str

        Raises
        ------
        StoreError
            No such version, or it is not approved.
        """
        with self._transaction() as connection:
            self._move(connection, version, "approved", "issued", who, note)
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

        Raises
        ------
        StoreError
            No such version.
        """
        content = json.loads(self._row(version)["content"])
        frames = {name: self.table(version, name) for name in content["frames"]}
        return put_together(content, frames)

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

    def make_token(self, name: str, role: str, regions: tuple[str, ...] = ()) -> str:
        """Make a key for the HTTP service; only its hash is kept, so it is shown once.

        Parameters
        ----------
        name : str
            Whose key it is.
        role : {"hq", "region"}
        regions : tuple of str
            Region ids; at least one for role "region".

        Returns
        -------
        str
            The key.

        Raises
        ------
        StoreError
            No name, an unknown role, or a region's key without regions.
        """
        name = _named(name, "name")
        if role not in ("hq", "region"):
            raise StoreError(f"role {role!r} is not known; use hq or region")
        if role == "region" and not regions:
            raise StoreError("a region's key needs at least one region id")
        key = "sp_" + secrets.token_urlsafe(32)
        row = {
            "digest": _digest(key),
            "name": name,
            "role": role,
            "regions": json.dumps(list(regions)),
            "made_at": self._now(),
        }
        with self._transaction() as connection:
            connection.execute(TOKENS.insert().values(row))
        return key

    def token(self, key: str) -> Token | None:
        """What a key may do; None for an unknown one."""
        with self._transaction() as connection:
            row = (
                connection.execute(sa.select(TOKENS).where(TOKENS.c.digest == _digest(key)))
                .mappings()
                .first()
            )
        return None if row is None else Token(row["name"], row["role"], tuple(json.loads(row["regions"])))

    def revoke_tokens(self, name: str) -> int:
        """Make all keys of a name worthless; gives how many there were."""
        with self._transaction() as connection:
            return int(connection.execute(TOKENS.delete().where(TOKENS.c.name == name)).rowcount)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _transaction(self) -> Any:
        return transaction(self._engine)

    def _frame(self, query: Any) -> pd.DataFrame:
        with self._transaction() as connection:
            answer = connection.execute(query)
            frame = pd.DataFrame(answer.fetchall(), columns=list(answer.keys()))
        for column in frame.columns.intersection(["saved_at", "at"]):
            # SQLite forgets the zone; what was written is UTC.
            frame[column] = pd.to_datetime(frame[column], utc=True)
        return frame

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
        who = _named(who, "who")
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


def _digest(key: str) -> str:
    # A plain hash is enough: the keys are long and random, there is nothing to guess.
    return hashlib.sha256(key.encode()).hexdigest()


def _named(who: str, argument: str) -> str:
    if not str(who or "").strip():
        raise StoreError(f"{argument} is empty; every change needs a name")
    return str(who).strip()
