"""API keys: made once, kept as a hash, revoked, never shown again. What a scope may do stands in `app.py`."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from ingest_app.schema import api_keys

SCOPES = ("write", "server", "admin")


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; the key itself is not."""

    id: int
    scope: str
    app_name: str | None
    allowed_origins: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    requests_per_second: int


def create_key(connection: Connection, scope: str, app_name: str | None = None, origins: Sequence[str] = ()) -> str:
    """Make a key and return it: this is the only moment at which it can be read."""
    key = f"ff_{scope}_{secrets.token_urlsafe(32)}"
    row = {"key_hash": hash_key(key), "scope": scope, "app_name": app_name, "allowed_origins": list(origins)}
    connection.execute(insert(api_keys).values(row))
    return key


def list_keys(connection: Connection) -> list[Key]:
    """Return every key ever made, the revoked ones too, in the order of their ids."""
    return [_key(row) for row in connection.execute(_select().order_by(api_keys.c.id)).all()]


def revoke_key(connection: Connection, key_id: int) -> bool:
    """Make a key worthless from now on; false where there is no such key that still works."""
    statement = (
        update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    return connection.execute(statement).rowcount > 0


def working_keys(connection: Connection) -> dict[str, Key]:
    """Return the keys that are not revoked, by the hash that `hash_key` gives."""
    c = api_keys.c
    rows = connection.execute(_select().add_columns(c.key_hash).where(c.revoked_at.is_(None))).all()
    return {row.key_hash: _key(row) for row in rows}


def mark_used(connection: Connection, key_ids: Sequence[int]) -> None:
    """Note keys as used now."""
    statement = update(api_keys).where(api_keys.c.id.in_(key_ids)).values(last_used_at=func.now())
    connection.execute(statement)


def hash_key(key: str) -> str:
    """A plain SHA-256: the key is 256 random bits, so there is nothing to guess and nothing to salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def _select() -> Select[Any]:
    return select(api_keys).with_only_columns(*(c for c in api_keys.c if c.name != "key_hash"))


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        scope=row.scope,
        app_name=row.app_name,
        allowed_origins=tuple(row.allowed_origins),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        requests_per_second=row.requests_per_second,
    )
