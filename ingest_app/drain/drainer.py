"""Goes round the spools of a node: live ones, and those that dead workers left. It waits out an absent Postgres.

A spool that is drained and left is removed. One that is damaged gives what can still be read, is set aside under
the name `*.damaged`, and never stops the others. Of one that is gone, what its worker noted is counted.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, delete
from sqlalchemy.exc import DBAPIError

from ingest_app.database import is_away
from ingest_app.drain.batch import Drained, lock_cursor, move_cursor, write_entries
from ingest_app.drain.rejected import is_missing_partition
from ingest_app.intake import UNREADABLE, Intake
from ingest_app.metrics import DrainMetrics
from ingest_app.migrate import make_partitions
from ingest_app.schema import spool_cursors
from ingest_app.spool.errors import SpoolDamaged
from ingest_app.spool.files import (
    COMPANIONS,
    lock_path,
    orphans_in,
    read_end,
    remove,
    spools_in,
    sync_folder,
    take_lock,
)
from ingest_app.spool.reader import DAMAGED_SUFFIX, Entry, SpoolReader, note_drained, take_batch

BATCH_RECORDS = 4_000
BATCH_BYTES = 8 * 1024 * 1024
# a damaged spool whose worker still holds it is read whole each time
DAMAGED_PAUSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Drainer:
    """The drainer of one spool folder. Two of them at once do no harm: the cursor's row lock makes them take turns."""

    def __init__(self, engine: Engine, folder: Path, metrics: DrainMetrics | None = None) -> None:
        """Take the spools of `folder` to the database of `engine`."""
        self.metrics = metrics or DrainMetrics()
        self._engine = engine
        self._folder = folder
        self._readers: dict[str, SpoolReader] = {}
        # what Postgres said last; asked anew where it is not known
        self._drained: dict[str, int] = {}
        self._salvaged_at: dict[str, float] = {}

    def drain_round(self) -> Drained:
        """Take at most one batch from each spool. Raises SQLAlchemy's errors where Postgres cannot be asked."""
        total = Drained()
        faults: list[DBAPIError] = []
        for path in [*spools_in(self._folder), *orphans_in(self._folder)]:
            try:
                total.add(self._drain_or_leave(path))
            except DBAPIError as error:
                if is_away(error):
                    raise
                # this spool's affair, such as a lock that was waited for too long; the others go on
                faults.append(error)
        if total.records:
            note_drained(self._folder, self._drained)
        if faults:
            raise faults[0]
        return total

    def close(self) -> None:
        """Close the spools."""
        for name in list(self._readers):
            self._close_reader(name)

    def _drain_or_leave(self, path: Path) -> Drained:
        try:
            try:
                return self._drain(path) if path.exists() else self._clear_orphan(path)
            except SpoolDamaged as error:
                return self._salvage(path, error)
        except (sqlite3.Error, OSError) as error:
            # busy, no room to open it, or gone: the next round sees
            self._close_reader(path.stem)
            if path.exists():
                log.warning("%s was not read, trying again: %s", path, error)
            else:
                self._drained.pop(path.stem, None)
            return Drained()

    def _drain(self, path: Path) -> Drained:
        reader = self._readers.get(path.stem)
        if reader is None:
            reader = self._readers[path.stem] = SpoolReader(path)
        # asked before the end is looked at: what its worker still wrote is seen then
        is_left = reader.is_left()
        last = reader.last_seq()
        if is_left:
            reader.require_whole()
        drained = Drained()
        if self._drained.setdefault(path.stem, 0) < last:
            drained = self._move(path, lambda seq: reader.read_after(seq, BATCH_RECORDS, BATCH_BYTES))
            drained.has_more = self._drained[path.stem] < last
        if is_left and self._drained[path.stem] >= last:
            # a salvage under a living worker, or one that was killed, moved the cursor past the damage
            reader.require_sound()
            self._remove(path)
        return drained

    def _move(self, path: Path, read: Callable[[int], list[Entry]]) -> Drained:
        """Write what `read` gives after the cursor, and move the cursor, in one transaction."""
        started = time.perf_counter()
        with self._engine.begin() as connection:
            cursor = lock_cursor(connection, path.stem)
            # another drainer may have removed the file while this one waited for the cursor, which is a new one then
            os.stat(path)
            entries = read(cursor)
            drained = self._write(connection, path.stem, entries, cursor)
        self._drained[path.stem] = entries[-1].seq if entries else cursor
        if entries:
            self.metrics.batch_written(drained, time.perf_counter() - started, entries[0].received_at)
        return drained

    def _write(self, connection: Connection, name: str, entries: list[Entry], cursor: int) -> Drained:
        if not entries:
            return Drained()
        try:
            with connection.begin_nested():
                drained = write_entries(connection, entries, cursor)
        except DBAPIError as error:
            if not is_missing_partition(error):
                raise
            log.warning("a partition was missing and is made: the job make_partitions has not run")
            make_partitions(connection)
            drained = write_entries(connection, entries, cursor)
        move_cursor(connection, name, entries[-1].seq)
        return drained

    def _remove(self, path: Path) -> None:
        self._close_reader(path.stem)
        with self._engine.begin() as connection:
            connection.execute(delete(spool_cursors).where(spool_cursors.c.spool_name == path.stem))
            # on disk before the commit: a cursor without a file does no harm, a file without a cursor is read twice
            remove(path)
            sync_folder(self._folder)
        self._drained.pop(path.stem, None)

    def _salvage(self, path: Path, error: SpoolDamaged) -> Drained:
        """Save what can be read. The file itself stays for people to look at, once its worker has left it."""
        self._close_reader(path.stem)
        if time.monotonic() - self._salvaged_at.get(path.stem, float("-inf")) < DAMAGED_PAUSE_SECONDS:
            return Drained()
        self._salvaged_at[path.stem] = time.monotonic()
        drained = Drained()
        with closing(SpoolReader(path)) as reader:
            is_left = reader.is_left()
            entries = reader.salvage()
        # at least once, for the cursor; then until nothing is left
        while (moved := self._move(path, lambda seq: _after(entries, seq))).records:
            drained.add(moved)
        if is_left:
            log.error("%s; %d more records saved, kept as *%s", error, drained.records, DAMAGED_SUFFIX)
            self._set_aside(path)
        return drained

    def _set_aside(self, path: Path) -> None:
        """Rename it with its log. The cursor stays: a file that somebody mends and names back goes on there.

        What its worker answered for after the cursor is counted as accepted, and as nothing else.
        """
        kept = path.with_suffix(DAMAGED_SUFFIX)
        with self._engine.begin() as connection:
            cursor = lock_cursor(connection, path.stem)
            os.stat(path)
            _count_unreadable(connection, max(read_end(path).seq - cursor, 0))
            # on disk before the commit: where the drainer is killed in between it is not counted, and never twice
            for companion in (*COMPANIONS, ""):
                with suppress(FileNotFoundError):
                    os.replace(f"{path}{companion}", f"{kept}{companion}")
            lock_path(path).unlink(missing_ok=True)
        self._drained.pop(path.stem, None)

    def _clear_orphan(self, path: Path) -> Drained:
        """Remove what is left of a spool without its main file, and count what that took with it.

        A removal that was broken off took nothing: the cursor had come to the end.
        """
        self._close_reader(path.stem)
        # a worker holds the lock before it makes the file
        lock = take_lock(lock_path(path))
        if lock is None:
            return Drained()
        try:
            if not path.exists():
                self._count_gone(path)
                remove(path)
        finally:
            os.close(lock)
        self._drained.pop(path.stem, None)
        return Drained()

    def _count_gone(self, path: Path) -> None:
        end = read_end(path)
        if not end.seq:
            return
        with self._engine.begin() as connection:
            cursor = lock_cursor(connection, path.stem)
            # on disk before the commit, as another drainer does it: who waited for its cursor finds no lock file here
            lock_path(path).unlink()
            if end.seq > cursor:
                log.error("%s is gone, and with it %d records that were accepted", path, end.seq - cursor)
                _count_unreadable(connection, end.seq - cursor)

    def _close_reader(self, name: str) -> None:
        if reader := self._readers.pop(name, None):
            reader.close()


def _count_unreadable(connection: Connection, record_count: int) -> None:
    intake = Intake(connection)
    intake.count(UNREADABLE, accepted=record_count)
    intake.write()


def _after(entries: list[Entry], seq: int) -> list[Entry]:
    return take_batch((entry for entry in entries if entry.seq > seq), seq, BATCH_RECORDS, BATCH_BYTES)


def drain_all(engine: Engine, folder: Path) -> None:
    """Take to Postgres what the spools of `folder` hold now, beside the node's drainer or in its place."""
    with closing(Drainer(engine, folder)) as drainer:
        while drainer.drain_round().has_more:
            pass
