"""Goes round the spools of a node: live ones, and those that dead workers left. It waits out an absent Postgres.

A spool that is drained and left is removed. One that is damaged gives what can still be read, is set aside under
the name `*.damaged`, and never stops the others.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, text
from sqlalchemy.exc import DBAPIError

from ingest_app.drain.batch import Drained, lock_cursor, move_cursor, write_entries
from ingest_app.drain.rejected import MISSING_PARTITION
from ingest_app.metrics import DrainMetrics
from ingest_app.migrate import PARTITION_DAYS_AHEAD
from ingest_app.schema import spool_cursors
from ingest_app.spool.files import lock_path, remove, spools_in
from ingest_app.spool.reader import DAMAGED_SUFFIX, Entry, SpoolReader, is_damage, note_drained

BATCH_RECORDS = 4_000
BATCH_BYTES = 8 * 1024 * 1024

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

    def drain_round(self) -> Drained:
        """Take at most one batch from each spool. Raises SQLAlchemy's errors where Postgres cannot be asked."""
        total = Drained()
        for path in spools_in(self._folder):
            try:
                found = self._drain(path)
            except sqlite3.DatabaseError as error:
                found = self._drain_damaged(path, error) if is_damage(error) else self._leave(path, error)
            total.records += found.records
            total.duplicates += found.duplicates
            total.rejected += found.rejected
            total.has_more |= found.has_more
        if total.records:
            note_drained(self._folder, self._drained)
        return total

    def close(self) -> None:
        """Close the spools."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _drain(self, path: Path) -> Drained:
        reader = self._readers.get(path.stem)
        if reader is None:
            reader = self._readers[path.stem] = SpoolReader(path)
        # asked before the end is looked at: what its worker still wrote is seen then
        is_left = reader.is_left()
        last = reader.last_seq()
        drained = Drained()
        if last == 0:
            self._drained[path.stem] = 0
        elif self._drained.get(path.stem) != last:
            drained = self._move(path.stem, reader)
            drained.has_more = self._drained[path.stem] < last
        if is_left and self._drained[path.stem] == last:
            self._remove(path)
        return drained

    def _move(self, name: str, reader: SpoolReader) -> Drained:
        started = time.perf_counter()
        with self._engine.begin() as connection:
            cursor = lock_cursor(connection, name)
            oldest_at = reader.oldest_after(cursor)
            entries = reader.read_after(cursor, BATCH_RECORDS, BATCH_BYTES)
            drained = self._write(connection, name, entries)
        if entries:
            self.metrics.batch_written(drained, time.perf_counter() - started, oldest_at)
        self._drained[name] = entries[-1].seq if entries else cursor
        return drained

    def _write(self, connection: Connection, name: str, entries: list[Entry]) -> Drained:
        if not entries:
            return Drained()
        try:
            with connection.begin_nested():
                drained = write_entries(connection, entries)
        except DBAPIError as error:
            if MISSING_PARTITION not in str(error.orig):
                raise
            log.warning("a partition was missing and is made: the job make_partitions has not run")
            connection.execute(text("SELECT make_event_partitions(:days)"), {"days": PARTITION_DAYS_AHEAD})
            drained = write_entries(connection, entries)
        move_cursor(connection, name, entries[-1].seq)
        return drained

    def _remove(self, path: Path) -> None:
        self._readers.pop(path.stem).close()
        # the file first: with a cursor and no file nothing is read twice
        remove(path)
        with self._engine.begin() as connection:
            connection.execute(delete(spool_cursors).where(spool_cursors.c.spool_name == path.stem))
        del self._drained[path.stem]

    def _leave(self, path: Path, error: sqlite3.DatabaseError) -> Drained:
        """Leave a spool that is busy, or gone, for the next round."""
        if path.exists():
            log.warning("%s was not read, trying again: %s", path, error)
        else:
            self._readers.pop(path.stem, None)
        return Drained()

    def _drain_damaged(self, path: Path, error: sqlite3.DatabaseError) -> Drained:
        """Save what can be read. The file itself stays for people to look at, once its worker has left it."""
        if reader := self._readers.pop(path.stem, None):
            reader.close()
        started = time.perf_counter()
        with closing(SpoolReader(path)) as reader, self._engine.begin() as connection:
            cursor = lock_cursor(connection, path.stem)
            entries = list(reader.salvage_after(cursor))
            drained = self._write(connection, path.stem, entries)
            is_left = reader.is_left()
        if entries:
            self.metrics.batch_written(drained, time.perf_counter() - started, None)
        if is_left:
            kept = path.with_suffix(DAMAGED_SUFFIX)
            log.error(
                "%s is damaged (%s): %d records saved, the file is kept as %s", path, error, drained.records, kept
            )
            os.replace(path, kept)
            lock_path(path).unlink(missing_ok=True)
        return drained


def drain_all(engine: Engine, folder: Path) -> None:
    """Take to Postgres what the spools of `folder` hold now, beside the node's drainer or in its place."""
    drainer = Drainer(engine, folder)
    try:
        while drainer.drain_round().has_more:
            pass
    finally:
        drainer.close()
