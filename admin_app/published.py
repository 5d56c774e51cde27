"""The published DuckDB file: open, the newest one, and what is read of it. Which queries there are stands elsewhere.

A refresh swaps the file as a whole. The new one is opened beside the old, which those who are reading it keep until
they are done; so a refresh never makes a request wait, and never mixes two files in one answer.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from admin_app.history import read_history
from admin_app.watching import Watch

LOOK_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
# DuckDB would keep what it read until four fifths of the machine were full, beside Postgres and ingest
MEMORY_LIMIT = "1GB"
BATCH_ROWS = 1_000
FAULTS_OF_QUERIES = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.OutOfMemoryException)
NOTHING_PUBLISHED = "nothing is published yet"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Table:
    """What a query found."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class PublishedFile:
    """One generation of the published file, open read-only; any thread may read it.

    `loaded_at` is what its numbers are as of, `refreshed_at` when it was published, both UTC. `history` is what the
    stats need of it, read once.
    """

    def __init__(self, path: Path) -> None:
        """Open it. Raises duckdb.Error where it is none, or damaged."""
        # attached to an instance of its own: a second connection to the same path would get the file of the first
        self._connection = duckdb.connect(":memory:")
        self.is_broken = False
        self._found: dict[str, Table] = {}
        self._connection.execute(f"SET TimeZone = 'UTC'; SET temp_directory = ''; SET memory_limit = '{MEMORY_LIMIT}'")
        quoted = str(path).replace("'", "''")
        self._connection.execute(f"ATTACH '{quoted}' AS published (READ_ONLY); USE published")
        self._connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        table = self.rows("SELECT loaded_at, refreshed_at FROM meta.refresh")
        self.loaded_at: datetime
        self.refreshed_at: datetime
        [(self.loaded_at, self.refreshed_at)] = table.rows
        self.history = read_history(self)

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> Table:
        """Run a query with its named parameters (`$name`)."""
        with self._connection.cursor() as cursor:
            # a new cursor begins in the schema of the instance, not in that of the connection it is made of
            cursor.execute("USE published")
            with self._noting_damage():
                found = cursor.execute(sql, dict(parameters or {}))
                columns = tuple(column for column, *_ in found.description or ())
                return Table(columns, found.fetchall())

    def rows_once(self, sql: str) -> Table:
        """Run a query that every page asks for, the first time alone: a file never changes."""
        if sql not in self._found:
            self._found[sql] = self.rows(sql)
        return self._found[sql]

    def batches(self, sql: str, parameters: Mapping[str, object]) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query, and hand out its rows some at a time; what is wrong with it is raised here, before the first."""
        cursor = self._connection.cursor()
        cursor.execute("USE published")
        with self._noting_damage():
            cursor.execute(sql, dict(parameters))
            first = cursor.fetchmany(BATCH_ROWS)
        return self._rest(cursor, first)

    def _rest(self, cursor: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
        with cursor, self._noting_damage():
            while rows:
                yield rows
                rows = cursor.fetchmany(BATCH_ROWS)

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            # damaged under us, and DuckDB may refuse every query from now on: the next look opens it anew, or not. A
            # wrong checksum has no class of its own in DuckDB 2, so it is told by what it is not
            self.is_broken = self.is_broken or not isinstance(error, FAULTS_OF_QUERIES)
            raise


class Published:
    """Knows the newest published file; `fault` says what is wrong with the one on disk, where something is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: os.stat_result | None = None
        self.current: PublishedFile | None = None
        self.fault: str | None = None
        self._watch = Watch("published file", LOOK_SECONDS, self._look)

    @property
    def is_damaged(self) -> bool:
        """Tell whether there is a file, and one that cannot be used."""
        return self.fault not in (None, NOTHING_PUBLISHED)

    def await_look(self) -> None:
        """Wait until the file was looked at once more; for tests, no request needs it."""
        self._watch.await_look(LONGEST_WAIT_SECONDS)

    def close(self) -> None:
        """Look no more."""
        self._watch.close()

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except OSError as error:
            # the fault first: who sees no file asks why
            is_missing = isinstance(error, FileNotFoundError)
            self.fault = NOTHING_PUBLISHED if is_missing else f"it cannot be opened: {error.strerror}"
            self._seen, self.current = None, None
            return
        if self._seen is None or not _is_same(found, self._seen) or self._is_broken():
            self._open(found)

    def _is_broken(self) -> bool:
        return self.current is not None and self.current.is_broken

    def _open(self, found: os.stat_result) -> None:
        """Open the file; where it cannot be read, the one before it stays, unless it is this one that was damaged."""
        try:
            self.current, self.fault = PublishedFile(self._path), None
        except (duckdb.Error, ValueError, TypeError, LookupError) as error:
            reason = next(iter(str(error).splitlines()), "")
            self.fault = f"it cannot be read: {reason}"
            log.error("the published file cannot be read", extra={"reason": reason})
            if self._is_broken() or (self._seen and found.st_ino == self._seen.st_ino):
                self.current = None
        # what was there before it was opened: a file that came in between is another one at the next look
        self._seen = found


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_mtime_ns, one.st_size) == (other.st_ino, other.st_mtime_ns, other.st_size)
