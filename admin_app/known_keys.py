"""The keys that a worker knows, and when they were used. They are found without a query; `live.py` keeps them fresh.

They are noted in the home folder, so that a worker that starts while Postgres is away lets in whom it let in before:
hashes, never keys.
"""

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from admin_app.errors import KeysUnknown
from ingest_app.keys import Key, hash_key, mark_used

MARK_USED_SECONDS = 15.0

log = logging.getLogger(__name__)


class KnownKeys:
    """The keys that work, of every scope, by their hash."""

    def __init__(self, note: Path) -> None:
        """Begin with those of the note at `note`, where there is one."""
        self._note = note
        self._keys = _read_note(note)
        self._noted: Mapping[str, Key] | None = None
        self._used_at: dict[int, float] = {}
        self._marked_at = time.monotonic()

    def replace(self, keys: Mapping[str, Key]) -> None:
        """Know these from now on."""
        self._keys = keys
        # not only when they changed: the disk may have been full then
        if keys != self._noted and _write_note(self._note, keys):
            self._noted = keys

    def find(self, shown: str) -> Key | None:
        """Return the key that somebody shows, unless it does not work. Raises KeysUnknown."""
        return self._used(self._known().get(hash_key(shown)))

    def find_by_id(self, key_id: int) -> Key | None:
        """Return the key of a session, unless it works no more. Raises KeysUnknown."""
        return self._used(next((key for key in self._known().values() if key.id == key_id), None))

    def mark_used(self, engine: Engine) -> None:
        """Write when keys were last used, now and then, all at once. Raises SQLAlchemyError; then the next time."""
        now = time.monotonic()
        if now - self._marked_at > MARK_USED_SECONDS and self._used_at:
            used_at = dict(self._used_at)
            with engine.begin() as connection:
                mark_used(connection, {key_id: now - at for key_id, at in used_at.items()})
            self._marked_at = now
            for key_id in [key_id for key_id, at in used_at.items() if self._used_at[key_id] == at]:
                del self._used_at[key_id]

    def _known(self) -> Mapping[str, Key]:
        if self._keys is None:
            raise KeysUnknown
        return self._keys

    def _used(self, key: Key | None) -> Key | None:
        if key is not None:
            self._used_at[key.id] = time.monotonic()
        return key


def _read_note(note: Path) -> Mapping[str, Key] | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=dict[str, Key])
    except (OSError, msgspec.MsgspecError):
        return None


def _write_note(note: Path, keys: Mapping[str, Key]) -> bool:
    """Replace the note whole; nobody else may read it."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=note.parent, prefix=f".{note.name}")
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(keys))
        os.replace(made, note)
    except OSError as error:
        log.warning("the keys were not noted, a start without Postgres would know none: %s", error.strerror)
        return False
    return True
