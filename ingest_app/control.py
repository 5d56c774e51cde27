"""What steers a worker from outside: keys and kill switches, known without asking Postgres at each request.

A thread of each worker reads them four times a second, and it alone: no request waits for Postgres here, but a few with
an unknown key, which may be a new one. The last known state is noted in the spool folder, so that a worker that starts
while Postgres is away knows its keys and switches; it holds hashes of keys, never keys.
"""

import logging
import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from ingest_app.errors import NotReady
from ingest_app.intake import WORKERS, Intake
from ingest_app.keys import Key, hash_key, mark_used, working_keys
from ingest_app.rates import RateLimits
from ingest_app.schema import admin_settings

# a kill switch is obeyed within a second, also by a worker whose threads all want the processor. A look costs 1.2 ms
POLL_SECONDS = 0.25
# an unknown key may be a new one, but whoever guesses keys must not cost a query each, nor hold many threads
FORCED_POLL_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 0.5
MOST_WAITING = 8
MARK_USED_SECONDS = 15.0
CLOSE_SECONDS = 5.0
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

    def __init__(
        self,
        engine: Engine,
        note: Path,
        mark_used_seconds: float = MARK_USED_SECONDS,
        each_time: Callable[[], None] = lambda: None,
    ) -> None:
        """Read the state, from Postgres or else from the note at `note`, and go on reading it until `close`.

        `engine` is its own, not one whose connections requests may all hold: a switch must not wait for them.
        `each_time` is what else a worker has to see to now and then, beside its requests.
        """
        self._each_time = each_time
        self.rates = RateLimits()
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._counting = engine
        # what requests dropped, by table, since it was last counted; any thread appends
        self._dropped: deque[tuple[str, int]] = deque()
        self._note = note
        self._control: Control | None = None
        self._noted: Control | None = None
        self._is_away = self._is_dead = False
        self._used_at: dict[int, float] = {}
        self._marked_at = time.monotonic()
        self._mark_used_seconds = mark_used_seconds
        self._looked = threading.Condition()
        self._looks_begun = self._looks_done = self._waiting = 0
        self._begun_at = float("-inf")
        self._wanted, self._closing = threading.Event(), threading.Event()
        self._look()
        if self._control is None:
            self._control = _read_note(note)
        # a daemon, as one that waits for a dead server must not keep the worker from ending
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()
        # granian's workers are children of multiprocessing, which end without atexit; elsewhere atexit runs these too
        self._at_exit = Finalize(None, self.close, exitpriority=0)

    @property
    def current(self) -> Control:
        """The last known state. Raises NotReady where there is none, or none any more that is looked after."""
        if self._control is None or self._is_dead:
            raise NotReady
        return self._control

    @property
    def is_postgres_away(self) -> bool:
        """Whether Postgres could not be asked when it was last tried, a few seconds ago at most."""
        return self._is_away

    def find_key(self, shown: str) -> Key | None:
        """Return the key that a request shows, unless it is unknown or revoked; note that it is in use."""
        hashed = hash_key(shown)
        key = self.current.keys.get(hashed)
        if key is None:
            self._await_look()
            key = self.current.keys.get(hashed)
        if key is not None:
            self._used_at[key.id] = time.monotonic()
        return key

    def note_dropped(self, table_name: str, record_count: int) -> None:
        """Have records of an event table counted that are not kept while tracking is off."""
        self._dropped.append((table_name, record_count))

    def close(self) -> None:
        """Stop reading, mark the keys that were used and count what was dropped since the last time."""
        self._closing.set()
        self._wanted.set()
        self._thread.join(CLOSE_SECONDS)
        self._engine.dispose()
        self._at_exit.cancel()

    def _await_look(self) -> None:
        """Wait for a look that begins now or later; nobody waits for long, or where there is nothing to wait for."""
        with self._looked:
            if self._is_away or self._waiting >= MOST_WAITING:
                return
            number = self._looks_begun + 1
            self._waiting += 1
            self._wanted.set()
            self._looked.wait_for(lambda: self._looks_done >= number, LONGEST_WAIT_SECONDS)
            self._waiting -= 1

    def _run(self) -> None:
        try:
            self._watch()
        finally:
            # ended by an error: what it knew gets older and older, and a switch would not be obeyed
            self._is_dead = not self._closing.is_set()

    def _watch(self) -> None:
        while not self._closing.is_set():
            self._wanted.wait(POLL_SECONDS)
            self._closing.wait(self._begun_at + FORCED_POLL_SECONDS - time.monotonic())
            self._wanted.clear()
            self._look()
            self._each_time()
            if time.monotonic() - self._marked_at > self._mark_used_seconds:
                self._mark_used()
                self._count_dropped()
        self._mark_used()
        self._count_dropped()

    def _look(self) -> None:
        with self._looked:
            self._looks_begun += 1
            self._begun_at = time.monotonic()
        self._read()
        with self._looked:
            self._looks_done = self._looks_begun
            self._looked.notify_all()

    def _read(self) -> None:
        try:
            with self._engine.connect() as connection:
                found = read_control(connection)
        except SQLAlchemyError as error:
            self._say_away(error)
            return
        self._is_away = False
        if found != self._control:
            self._control = found
        # not only when it changed: the disk may have been full then
        if found != self._noted and _write_note(self._note, found):
            self._noted = found

    def _mark_used(self) -> None:
        """Write when keys were last used, all at once; while Postgres is away they are kept for the next time."""
        self._marked_at = now = time.monotonic()
        # one by one, as requests go on adding
        used_at = {key_id: self._used_at.pop(key_id) for key_id in list(self._used_at)}
        try:
            with self._engine.begin() as connection:
                mark_used(connection, {key_id: now - at for key_id, at in used_at.items()})
        except SQLAlchemyError:
            for key_id, at in used_at.items():
                self._used_at.setdefault(key_id, at)

    def _count_dropped(self) -> None:
        """Count what was dropped, in one transaction; while Postgres is away it is kept for the next time."""
        dropped = [self._dropped.popleft() for _ in range(len(self._dropped))]
        if not dropped:
            return
        try:
            with self._counting.begin() as connection:
                intake = Intake(connection, WORKERS)
                for table_name, count in dropped:
                    intake.count(table_name, accepted=count, dropped=count)
                intake.write()
        except SQLAlchemyError:
            sums: Counter[str] = Counter()
            for table_name, count in dropped:
                sums[table_name] += count
            self._dropped.extend(sums.items())

    def _say_away(self, error: SQLAlchemyError) -> None:
        if not self._is_away:
            log.warning("keys and settings are not refreshed, Postgres cannot be asked: %s", type(error).__name__)
        self._is_away = True


def _read_note(note: Path) -> Control | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Control)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_note(note: Path, control: Control) -> bool:
    """Replace the note whole, so that a cut power leaves the old one; each worker writes one of its own first."""
    made = note.with_suffix(f".{os.getpid()}")
    try:
        descriptor = os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(control))
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, note)
    except OSError as error:
        log.warning("the state of keys and settings was not noted: %s", error.strerror)
        made.unlink(missing_ok=True)
        return False
    return True
