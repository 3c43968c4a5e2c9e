"""Keys of the HTTP service: who may read what; only their hashes are kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets

import sqlalchemy as sa

from spareplan.database import TOKENS, Database, named
from spareplan.errors import StoreError


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


class Keys(Database):
    """Makes, reads and revokes keys."""

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
        name = named(name, "name")
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


def _digest(key: str) -> str:
    # A plain hash is enough: the keys are long and random, there is nothing to guess.
    return hashlib.sha256(key.encode()).hexdigest()
