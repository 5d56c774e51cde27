"""The worker's side of the spool: append, and return when it is on disk. Group commit: what gathers goes in together.

The request that finds nobody committing commits for all who wait, then hands over to the first of those who came
meanwhile. There is no thread between a request and the disk.
"""

import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ingest_app.errors import SpoolFailed, SpoolFull
from ingest_app.spool.files import (
    CREATE_TABLE,
    SUFFIX,
    Part,
    asked_at_ns,
    checksum,
    lock_path,
    new_name,
    note_end,
    pack,
    remove,
    sync_folder,
    take_lock,
)

ROOM_IS_KNOWN_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large and old a file gets, after which it is drained and removed whole, and how large one entry."""

    file_bytes: int = 64 * 1024 * 1024
    file_seconds: float = 3600.0
    # the drainer writes an entry in one transaction
    entry_records: int = 4_000
    entry_bytes: int = 4 * 1024 * 1024


DEFAULT_LIMITS = Limits()


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request that waits for its part to be on disk: released once it is, or when it is its turn to commit."""

    part: Part
    turn: threading.Lock = field(default_factory=_locked)
    is_settled: bool = False
    fault: Exception | None = None


class Spool:
    """A worker's spool. Any thread may append; at most one commits at a time."""

    def __init__(self, folder: Path, reserve_bytes: int, limits: Limits = DEFAULT_LIMITS) -> None:
        """Keep `reserve_bytes` of the disk free. No file is made before the first record."""
        self.folder = folder
        self._reserve_bytes = reserve_bytes
        self._limits = limits
        # the gate is for who waits, and never held for long; who writes to the file or closes it holds `_writing`
        self._gate = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._is_committing = False
        self._file: _SpoolFile | None = None
        self._room_looked_at = 0.0
        self._told: type[Exception] | None = None

    def append(self, part: Part) -> None:
        """Return when the part is on disk, fsync included. Raises SpoolFull, SpoolFailed: then it is not kept."""
        waiting = _Waiting(part)
        with self._gate:
            self._waiting.append(waiting)
            follows, self._is_committing = self._is_committing, True
        if follows:
            waiting.turn.acquire()
        if not waiting.is_settled:
            self._commit_group()
        if waiting.fault is not None:
            raise waiting.fault

    def require_room(self) -> None:
        """Raise SpoolFull where the disk has less than the reserve, SpoolFailed where there is no such folder."""
        try:
            stat = os.statvfs(self.folder)
        except OSError as error:
            raise SpoolFailed(str(error.strerror)) from error
        if stat.f_bavail * stat.f_frsize < self._reserve_bytes:
            raise SpoolFull

    def probe(self) -> None:
        """Write and fsync a file in the folder, as an append would. Raises SpoolFull, SpoolFailed."""
        self.require_room()
        path = self.folder / f".probe-{os.getpid()}-{threading.get_ident()}"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.write(descriptor, b"footfall")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                path.unlink()
        except OSError as error:
            raise SpoolFailed(str(error.strerror)) from error

    def retire_old_file(self) -> None:
        """Move on from a file that has been open for long or is asked for: drained records shall not stay in it."""
        asked_at = asked_at_ns(self.folder)
        if not self._writing.acquire(blocking=False):
            return  # the commit itself looks
        try:
            # what cannot be closed well is let go all the same: the drainer sees what it holds
            with suppress(sqlite3.Error, OSError):
                if self._file and (self._file.is_done() or self._file.made_at_ns <= asked_at):
                    self._close_file()
        finally:
            self._writing.release()

    def close(self) -> None:
        """Let go of the file; what is in it is the drainer's now."""
        with self._writing:
            self._close_file()

    def _commit_group(self) -> None:
        group: list[_Waiting] = []
        fault: Exception | None = SpoolFailed("the commit was broken off")
        try:
            with self._gate:
                group, self._waiting = _split(self._waiting, self._limits)
            with self._writing:
                self._write([waiting.part for waiting in group])
            fault = None
        except (SpoolFull, SpoolFailed) as error:
            fault = error
        except (sqlite3.Error, OSError) as error:
            fault = _refusal(error)
        finally:
            self._settle(group, fault)

    def _settle(self, group: Sequence[_Waiting], fault: Exception | None) -> None:
        with self._gate:
            if not group:
                # an error that nobody foresaw came before it was taken: all that wait are answered, none waits forever
                group, self._waiting = self._waiting, []
            successor = self._waiting[0] if self._waiting else None
            self._is_committing = successor is not None
        self._tell(fault)
        if successor:
            successor.turn.release()
        for waiting in group:
            waiting.is_settled, waiting.fault = True, fault
            waiting.turn.release()

    def _tell(self, fault: Exception | None) -> None:
        """Log when the spool begins to refuse, and when it accepts again; not each refusal."""
        kind = type(fault) if fault else None
        if kind is not self._told:
            self._told = kind
            log.error("nothing is accepted: %s", fault) if fault else log.warning("the spool accepts again")

    def _write(self, parts: Sequence[Part]) -> None:
        now = time.monotonic()
        if now - self._room_looked_at > ROOM_IS_KNOWN_SECONDS:
            self.require_room()
            self._room_looked_at = now
        try:
            if self._file and self._file.is_done():
                self._close_file()
            if self._file is None:
                self._file = _SpoolFile(self.folder, self._limits)
            self._file.append(parts)
        except BaseException:
            # whatever is wrong with this file, the next one begins without it; the drainer takes what it holds
            self._close_file()
            raise

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file:
            file.close()


class _SpoolFile:
    """One file of a worker: made, appended to, let go."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        path = folder / f"{new_name()}{SUFFIX}"
        self._limits = limits
        # before there is a file, for one that is not locked counts as left
        self._lock = _require_lock(lock_path(path))
        try:
            self._connection = _create(path)
            sync_folder(folder)
        except BaseException:
            remove(path)
            os.close(self._lock)
            raise
        self._seq = self._size = 0
        self._made_at = time.monotonic()
        self.made_at_ns = time.time_ns()

    def append(self, parts: Sequence[Part]) -> None:
        # one statement, one step: SQLite gives the interpreter up once a commit, and not for every row
        body = pack(parts)
        seq = self._seq + sum(part.count for part in parts)
        self._connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?)", (seq, time.time(), checksum(seq, body), body)
        )
        self._seq, self._size = seq, self._size + len(body)
        note_end(self._lock, seq)

    def is_done(self) -> bool:
        age = time.monotonic() - self._made_at
        return self._size > self._limits.file_bytes or age > self._limits.file_seconds

    def close(self) -> None:
        # before SQLite lets go: who opens the file then takes all of its log for committed, also what a failed fsync
        # left there and was answered 503
        note_end(self._lock, self._seq, is_final=True)
        try:
            self._connection.close()
        finally:
            os.close(self._lock)


def _require_lock(path: Path) -> int:
    descriptor = take_lock(path)
    if descriptor is None:
        raise OSError(errno.EAGAIN, "the new spool's lock is taken", str(path))
    return descriptor


def _create(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit in the WAL is fsynced before it returns
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(CREATE_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection


def _refusal(error: sqlite3.Error | OSError) -> SpoolFull | SpoolFailed:
    is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if is_full or (isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}):
        return SpoolFull()
    # an OSError's whole text has the path, which is nobody's business who posts
    return SpoolFailed(str(getattr(error, "strerror", None) or error))


def _split(waiting: list[_Waiting], limits: Limits) -> tuple[list[_Waiting], list[_Waiting]]:
    """Take those that fit one entry, at least one; the others wait for the next."""
    records = size = 0
    for index, one in enumerate(waiting):
        records, size = records + one.part.count, size + len(one.part.rows)
        if index and (records > limits.entry_records or size > limits.entry_bytes):
            return waiting[:index], waiting[index:]
    return waiting, []
