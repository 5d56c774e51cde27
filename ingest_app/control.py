"""What steers a worker from outside: keys and kill switches, known without asking Postgres at each request.

A thread of each worker reads them twice a second. The last known state is noted in the spool folder, so that a worker
that starts while Postgres is away knows its keys; it holds hashes of keys, never keys.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from ingest_app.errors import NotReady
from ingest_app.keys import Key, hash_key, mark_used, working_keys
from ingest_app.schema import admin_settings

# a kill switch is obeyed within a second
POLL_SECONDS = 0.4
# an unknown key may be a new one, but whoever guesses keys must not cost a query each
FORCED_POLL_SECONDS = 0.1
MARK_USED_SECONDS = 15.0
DEFAULT_ARCHIVE_DAYS = 90

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Control:
    """The settings that a request depends on, and the keys that work, by hash."""

    is_tracking_enabled: bool = True
    archive_after_days: int = DEFAULT_ARCHIVE_DAYS
    keys: Mapping[str, Key] = field(default_factory=dict)


def read_control(connection: Connection) -> Control:
    """Read the state of now."""
    rows = connection.execute(select(admin_settings.c.setting_key, admin_settings.c.setting_value))
    settings: dict[str, str] = {row.setting_key: row.setting_value for row in rows}
    stated = settings.get("archive_after_days", "")
    return Control(
        is_tracking_enabled=settings.get("tracking_enabled") != "0",
        # a value that somebody wrote past the checks must not refuse every event
        archive_after_days=int(stated) if re.fullmatch("[0-9]{1,5}", stated) else DEFAULT_ARCHIVE_DAYS,
        keys=working_keys(connection),
    )


class ControlWatch:
    """Keeps a worker's Control fresh. `current` and `find_key` cost no query."""

    def __init__(self, engine: Engine, note: Path) -> None:
        """Read the state, from Postgres or else from the note at `note`, and go on reading it."""
        self._engine = engine
        self._note = note
        self._control: Control | None = None
        self._used: set[int] = set()
        self._refreshing = threading.Lock()
        self._refreshed_at = self._marked_at = float("-inf")
        self._is_away = False
        self._stop = threading.Event()
        self._refresh()
        if self._control is None:
            self._control = _read_note(note)
        self._thread = threading.Thread(target=self._watch, name="control", daemon=True)
        self._thread.start()

    @property
    def current(self) -> Control:
        """The last known state. Raises NotReady where Postgres was never seen."""
        if self._control is None:
            raise NotReady
        return self._control

    def find_key(self, shown: str) -> Key | None:
        """Return the key that a request shows, unless it is unknown or revoked; note that it is in use."""
        hashed = hash_key(shown)
        key = self.current.keys.get(hashed)
        if key is None:
            self._refresh_for_unknown_key()
            key = self.current.keys.get(hashed)
        if key is not None:
            self._used.add(key.id)
        return key

    def close(self) -> None:
        """Stop reading, and mark the keys that were used since the last time."""
        self._stop.set()
        self._thread.join()
        self._mark_used()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._refresh()
            if time.monotonic() - self._marked_at > MARK_USED_SECONDS:
                self._mark_used()

    def _refresh_for_unknown_key(self) -> None:
        if time.monotonic() - self._refreshed_at > FORCED_POLL_SECONDS and not self._is_away:
            self._refresh()

    def _refresh(self) -> None:
        with self._refreshing:
            try:
                with self._engine.connect() as connection:
                    found = read_control(connection)
            except SQLAlchemyError as error:
                self._say_away(error)
                return
            self._is_away, self._refreshed_at = False, time.monotonic()
            if found != self._control:
                self._control = found
                _write_note(self._note, found)

    def _mark_used(self) -> None:
        """Write when keys were last used, all at once; while Postgres is away they are kept for the next time."""
        used, self._used = self._used, set()
        self._marked_at = time.monotonic()
        if not used:
            return
        try:
            with self._engine.begin() as connection:
                mark_used(connection, sorted(used))
        except SQLAlchemyError:
            self._used |= used

    def _say_away(self, error: SQLAlchemyError) -> None:
        if not self._is_away:
            log.warning("keys and settings are not refreshed, Postgres cannot be asked: %s", type(error).__name__)
        self._is_away = True


def _read_note(note: Path) -> Control | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Control)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_note(note: Path, control: Control) -> None:
    """Replace the note whole; each worker writes one of its own first."""
    made = note.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        descriptor = os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(control))
        os.replace(made, note)
    except OSError as error:
        log.warning("the state of keys and settings was not noted: %s", error.strerror)
