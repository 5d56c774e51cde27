"""API keys: made once, kept as a hash, revoked, never shown again; both is in the audit log.

What a scope may do stands in `app.py`.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from ingest_app.errors import OriginMalformed
from ingest_app.schema import admin_audit_log, api_keys

SCOPES = ("write", "server", "admin")
DEFAULT_REQUESTS_PER_SECOND = 1_000
# who makes keys that nobody asked for: the first ones of an installation, the demo's, the canary's
FOOTFALL = "footfall"

# what a browser sends; `capacitor://localhost` and the pages of extensions are origins too, and a page that has none
# (a file, a sandboxed frame) sends the word null. A name that is not ASCII is sent as xn--…
ORIGIN = re.compile(r"null|(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?P<port>:[0-9]{1,5})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Key:
    """What a request needs to know of its key; the key itself is not known."""

    id: int
    scope: str
    app_name: str | None
    allowed_origins: tuple[str, ...]
    requests_per_second: int

    def allows_origin(self, origin: str) -> bool:
        """Tell whether a page of this origin may use the key.

        No list means any for a write key, which pages are made to show; a key of another scope gives whoever reads the
        page more than that, so it is for pages only where its list names them.
        """
        return origin in self.allowed_origins or (self.scope == "write" and not self.allowed_origins)


@dataclass(frozen=True, slots=True)
class ListedKey(Key):
    """What an operator is told of a key."""

    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


def create_key(
    connection: Connection,
    scope: str,
    app_name: str | None = None,
    origins: Sequence[str] = (),
    requests_per_second: int = DEFAULT_REQUESTS_PER_SECOND,
    actor: str = FOOTFALL,
) -> str:
    """Make a key and return it: this is the only moment at which it can be read. Raises OriginMalformed."""
    key = f"ff_{scope}_{secrets.token_urlsafe(32)}"
    row = {
        "key_hash": hash_key(key),
        "scope": scope,
        "app_name": app_name,
        "allowed_origins": [read_origin(origin) for origin in origins],
        "requests_per_second": requests_per_second,
    }
    key_id: int = connection.execute(insert(api_keys).values(row).returning(api_keys.c.id)).scalar_one()
    detail = {name: row[name] for name in ("scope", "app_name", "allowed_origins", "requests_per_second")}
    _note(connection, actor, "keys.create", key_id, detail)
    return key


def read_origin(stated: str) -> str:
    """Return an origin as browsers send it: lower case, without the port that its scheme has anyway.

    Raises OriginMalformed.
    """
    origin = stated.lower()
    found = ORIGIN.fullmatch(origin)
    if found is None:
        raise OriginMalformed(stated)
    port = found["port"]
    return origin.removesuffix(port) if port and DEFAULT_PORTS.get(found["scheme"]) == port else origin


def list_keys(connection: Connection) -> list[ListedKey]:
    """Return every key ever made, the revoked ones too, in the order of their ids."""
    rows = connection.execute(select(api_keys).order_by(api_keys.c.id)).all()
    return [
        ListedKey(**_known(row), created_at=row.created_at, revoked_at=row.revoked_at, last_used_at=row.last_used_at)
        for row in rows
    ]


def revoke_key(connection: Connection, key_id: int, actor: str = FOOTFALL) -> bool:
    """Make a key worthless from now on; false where there is no such key that still works."""
    statement = (
        update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    is_revoked = connection.execute(statement).rowcount > 0
    if is_revoked:
        _note(connection, actor, "keys.revoke", key_id, {})
    return is_revoked


def working_keys(connection: Connection) -> dict[str, Key]:
    """Return the keys that are not revoked, by the hash that `hash_key` gives."""
    c = api_keys.c
    columns = (c.key_hash, c.id, c.scope, c.app_name, c.allowed_origins, c.requests_per_second)
    rows = connection.execute(select(*columns).where(c.revoked_at.is_(None))).all()
    return {row.key_hash: Key(**_known(row)) for row in rows}


def mark_used(connection: Connection, ages_seconds: Mapping[int, float]) -> None:
    """Note when keys were last used: so many seconds ago, by the database's clock. Never moves a time back."""
    used_at = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("age_seconds"))
    later = func.greatest(api_keys.c.last_used_at, used_at)
    statement = update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(last_used_at=later)
    # in one order, so that two workers that mark the same keys never wait for each other in a circle
    rows = [{"key_id": key_id, "age_seconds": age} for key_id, age in sorted(ages_seconds.items())]
    if rows:
        connection.execute(statement, rows)


def hash_key(key: str) -> str:
    """A plain SHA-256: the key is 256 random bits, so there is nothing to guess and nothing to salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def _note(connection: Connection, actor: str, action: str, key_id: int, detail: Mapping[str, Any]) -> None:
    entry = {"actor": actor, "action": action, "subject": str(key_id), "detail": detail}
    connection.execute(insert(admin_audit_log).values(entry))


def _known(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "scope": row.scope,
        "app_name": row.app_name,
        "allowed_origins": tuple(row.allowed_origins),
        "requests_per_second": row.requests_per_second,
    }
