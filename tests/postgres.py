"""A PostgreSQL server of our own for tests: started once, thrown away at the end.

`postgres_url` gives each test a fresh, empty database. Where no server binaries are installed the tests are
skipped and say so; under CI=true they fail instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

OWNER = "postgres"
BINARIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


def _binaries() -> Path | None:
    for pattern in BINARIES:
        found = sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
        if found:
            return found[0]
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _as_owner(command: list[str]) -> None:
    # the server refuses to run as root
    prefix = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=60, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr or done.stdout}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL prefix and socket folder of a running server, up to and without the database name."""
    binaries = _binaries()
    if binaries is None:
        _missing("needs PostgreSQL's server binaries (Debian: postgresql), which are not installed")
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="pg_", dir="/tmp"))  # a socket's path must be short
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, OWNER, OWNER)
        data = folder / "data"
        _as_owner(
            [
                str(binaries / "initdb"),
                "-D",
                str(data),
                "-U",
                OWNER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ]
        )
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c synchronous_commit=off"
        _as_owner(
            [
                str(binaries / "pg_ctl"),
                "-D",
                str(data),
                "-o",
                options,
                "-l",
                str(folder / "log"),
                "-w",
                "start",
            ]
        )
        try:
            yield f"postgresql+psycopg://{OWNER}@/{{database}}?host={folder}"
        finally:
            _as_owner([str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, empty database."""
    import sqlalchemy as sa

    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(postgres_server.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield postgres_server.format(database=name)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
