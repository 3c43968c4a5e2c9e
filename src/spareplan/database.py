"""The database of the plan store: its tables, how it is opened, and its refusals in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from spareplan.errors import StoreError

METADATA = sa.MetaData()
VERSIONS = sa.Table(
    "plan_versions",
    METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
)
PIECES = sa.Table(
    "plan_pieces",
    METADATA,
    sa.Column("version", sa.Integer, sa.ForeignKey("plan_versions.version"), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("piece", sa.Integer, primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("parquet", sa.LargeBinary, nullable=False),
)
EVENTS = sa.Table(
    "plan_events",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("version", sa.Integer, sa.ForeignKey("plan_versions.version"), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("action", sa.String(12), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
TOKENS = sa.Table(
    "api_tokens",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.String(8), nullable=False),
    sa.Column("regions", sa.Text, nullable=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
)


def open_engine(url: str) -> sa.Engine:
    """Connect to a database and bring its tables to the current shape.

    Parameters
    ----------
    url : str
        ``sqlite:///plans.db`` (made when missing) or ``postgresql+psycopg://user@host/database``.

    Returns
    -------
    Engine

    Raises
    ------
    StoreError
        The database cannot be reached or is not a plan store of a known version.
    """
    try:
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _set_up_sqlite)
        _migrate(engine)
    except (sa.exc.SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise StoreError(
            f"the plan store {_shown(url)} cannot be opened: {_first_line(error)}; "
            "check the address, the rights and that the server runs"
        ) from error
    return engine


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Whole or not at all; what the database refuses becomes a StoreError.

    Parameters
    ----------
    engine : Engine

    Yields
    ------
    Connection
    """
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        address = engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f"the plan store {address} refused: {_first_line(error)}; nothing was changed"
        ) from error


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Database:
    """An open plan store: what its versions, overrides and keys share.

    Parameters
    ----------
    url : str
        As in `open_engine`.
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


def named(who: str, argument: str) -> str:
    """The name behind a change; a StoreError where there is none."""
    if not str(who or "").strip():
        raise StoreError(f"{argument} is empty; every change needs a name")
    return str(who).strip()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _shown(url: str) -> str:
    """The address without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url
