"""The expire: days that are old enough leave Postgres, once the archive is proved to have each of their rows.

The steps stand in the order that a kill at any moment cannot hurt. A day's files are read again and held to all rows
that its partition has now; the partition is detached, so that no row can come any more; then one transaction locks
it, compares once more and drops it. Where it differs by then it is attached again. What was begun, the next run ends.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import psycopg

from warehouse.archive.detach import attach, detach, drop_if, fetcher, fingerprint_of, open_session, size_of, state_of
from warehouse.archive.errors import ArchiveUnusable, BucketMissing, DayHeldUp, DayStays
from warehouse.archive.fingerprint import hot_fingerprint
from warehouse.archive.manifest import complete_manifest, known_files
from warehouse.archive.parts import shared_columns, sum_of_parts
from warehouse.archive.retention import Partition, archive_after_days, due, find_partitions, is_due, today_of
from warehouse.archive.sealed_file import Fingerprint, SealedFile
from warehouse.archive.store import Archive, open_archive
from warehouse.archive.verify import file_fault
from warehouse.columns import declared_columns
from warehouse.connection import open_warehouse
from warehouse.cursors import read_cursors, require_same_history
from warehouse.errors import WarehouseError, one_line
from warehouse.people.erasures import require_no_unfinished
from warehouse.postgres import open_snapshot
from warehouse.writer import POLL_SECONDS, writer_lock

# so long may a refresh have to wait, with a day more
TURN_SECONDS = 5.0
NOTHING = Fingerprint(0, 0)


@dataclass(frozen=True, slots=True)
class ExpiredDay:
    """A day that has left Postgres, or would: how many rows and, with indexes, bytes."""

    table_name: str
    day: date
    row_count: int
    byte_count: int


@dataclass(slots=True)
class Expiry:
    """What an expire did, or would do; `oldest_days` names, per table, the oldest day that Postgres has after it.

    `failure` is what ended it before all days had their turn.
    """

    keep_days: int
    today: date
    expired: list[ExpiredDay] = field(default_factory=list)
    stays: list[DayStays] = field(default_factory=list)
    oldest_days: dict[str, date] = field(default_factory=dict)
    failure: WarehouseError | None = None


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a partition may have, all of it and nothing else, to be nowhere the only place of a row."""

    columns: dict[str, str]
    sealed: Sequence[Fingerprint]

    def require(self, connection: psycopg.Connection, partition: Partition) -> Fingerprint:
        """Hold what the partition has now to it. Raises DayStays."""
        found = fingerprint_of(connection, partition, self.columns)
        if found not in (NOTHING, *self.sealed):
            if not self.sealed:
                raise _stays(partition, f"its {found.row_count:,} rows are not sealed (look at the job `seal`)")
            told = f"Postgres has {_told(found)}, its sealed files {_told(self.sealed[0])}"
            advice = "late rows the next `seal` takes; else rows were changed or added by hand"
            if found.row_count < self.sealed[0].row_count:
                advice = (
                    f"bring back what Postgres lacks: `footfall archive restore {partition.day}`, then run it again"
                )
            raise _stays(partition, f"{told} ({advice})")
        return found


def expire(
    database_url: str,
    warehouse_path: Path,
    *,
    archive_address: str | None = None,
    dry_run: bool = True,
    wait_seconds: float = 0,
) -> Expiry:
    """Let all days go that ended at least `archive_after_days` ago; with `dry_run` look at them as closely, no more.

    A day that is not proved stays, with the reason, and the others go. The writer lock is held for some seconds at a
    time, so that a refresh need not wait for all days, and waited for at most `wait_seconds` each time. Raises, if no
    day had its turn yet (else it is the `failure`), SettingUnusable, WriterBusy, WarehouseBehindArchive,
    ManifestDiffers, OtherDatabase, OtherPast, ErasureUnfinished, PostgresUnreachable, PostgresQueryFailed.
    """
    archive = open_archive(archive_address, warehouse_path)
    expiry = None
    try:
        with open_session(database_url, "expire old days") as connection:
            fetch = fetcher(connection)
            expiry = Expiry(archive_after_days(fetch), today_of(fetch))
            left = deque(due(find_partitions(fetch), expiry.today, expiry.keep_days))
            while left:
                with _proving(database_url, warehouse_path, archive, wait_seconds) as warehouse:
                    _take_turn(connection, warehouse, archive, left, expiry, dry_run)
                # who waits for the lock looks that often
                time.sleep(2 * POLL_SECONDS if left else 0)
            expiry.oldest_days = _oldest_days(find_partitions(fetch))
    except WarehouseError as error:
        if expiry is None or not (expiry.expired or expiry.stays):
            raise
        expiry.failure = error
    return expiry


def _take_turn(
    connection: psycopg.Connection,
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    left: deque[Partition],
    expiry: Expiry,
    dry_run: bool,
) -> None:
    """Take days from those that are left for some seconds, and note what became of each."""
    ends_at = time.monotonic() + TURN_SECONDS
    while left and time.monotonic() < ends_at:
        partition = left.popleft()
        # the list is older than the lock: another expire may have ended this day, a restore may have brought it back
        state = state_of(connection, partition)
        if state is None:
            continue
        partition = replace(partition, state=state)
        # whoever holds up one day of a table holds up them all
        if any(isinstance(stays, DayHeldUp) and stays.table == partition.table_name for stays in expiry.stays):
            continue
        try:
            if is_due(partition.day, expiry.today, expiry.keep_days):
                expiry.expired.append(_expire_day(connection, warehouse, archive, partition, dry_run))
            elif not dry_run:
                _put_back(connection, partition)
        except DayStays as stays:
            expiry.stays.append(stays)


@contextmanager
def _proving(
    database_url: str, warehouse_path: Path, archive: Archive, wait_seconds: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Hold the warehouse, which has to be of this Postgres and to know what the archive has."""
    with (
        writer_lock(warehouse_path, wait_seconds, purpose="expire"),
        open_warehouse(warehouse_path) as warehouse,
    ):
        # closed again at once: an open snapshot is what a detach waits for
        with open_snapshot(database_url) as snapshot:
            require_same_history(read_cursors(warehouse), snapshot)
            # its rows are half removed: those of a day and of its files differ
            require_no_unfinished(snapshot.fetch)
        complete_manifest(archive, warehouse)
        yield warehouse


def _expire_day(
    connection: psycopg.Connection,
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    partition: Partition,
    dry_run: bool,
) -> ExpiredDay:
    if dry_run:
        found = prove(warehouse, archive, partition).require(connection, partition)
        return ExpiredDay(partition.table_name, partition.day, found.row_count, size_of(connection, partition))
    if partition.state == "pending":
        detach(connection, partition)
    try:
        proof = prove(warehouse, archive, partition)
        found = proof.require(connection, partition)
        if partition.state == "attached":
            detach(connection, partition)
        byte_count = drop_if(connection, partition, lambda: proof.require(connection, partition))
    except DayHeldUp:
        raise
    except DayStays:
        # where loads and seals see it: a late row of it, say
        _put_back(connection, partition)
        raise
    return ExpiredDay(partition.table_name, partition.day, found.row_count, byte_count)


def prove(warehouse: duckdb.DuckDBPyConnection, archive: Archive, partition: Partition) -> _Proof:
    """Read all files of a day again. Raises DayStays where one is not whole, or where rows wait to be sealed."""
    columns = declared_columns()[partition.table_name]
    parts = [file for file in known_files(warehouse, partition.table_name) if file.day == partition.day]
    hot = hot_fingerprint(warehouse, partition.table_name, partition.day, columns)
    if hot.row_count:
        raise _stays(partition, f"{hot.row_count:,} rows of it are not sealed yet (look at the job `seal`)")
    try:
        for part in parts:
            if fault := file_fault(archive, part):
                only = "this partition is the only whole copy of the day now"
                raise _stays(partition, f"{archive.url(part.path)} {fault}: {only} (put the file back from a backup)")
        return _Proof(shared_columns(parts), _sums(archive, parts)) if parts else _Proof(columns, ())
    except (ArchiveUnusable, BucketMissing, OSError, pl.exceptions.PolarsError) as error:
        raise _stays(partition, f"its sealed files cannot be read: {one_line(error)}") from error


def _sums(archive: Archive, parts: Sequence[SealedFile]) -> list[Fingerprint]:
    """Add up all parts, and those of the newest one's Postgres: what another one had may be missing in it."""
    *_, newest = parts
    of_this_postgres = [part for part in parts if part.source == newest.source]
    return [sum_of_parts(archive, some, shared_columns(parts)) for some in (parts, of_this_postgres)]


def _put_back(connection: psycopg.Connection, partition: Partition) -> None:
    """Make it a partition again, if it is none now."""
    state = state_of(connection, partition)
    if state == "pending":
        detach(connection, partition)
    if state in {"pending", "detached"}:
        attach(connection, partition)


def _oldest_days(partitions: Sequence[Partition]) -> dict[str, date]:
    """Return the oldest attached day of each table; `partitions` come in the order of days."""
    return {one.table_name: one.day for one in reversed(partitions) if one.state == "attached"}


def _stays(partition: Partition, reason: str) -> DayStays:
    return DayStays(partition.table_name, partition.day, reason)


def _told(fingerprint: Fingerprint) -> str:
    return f"{fingerprint.row_count:,} rows (digest {fingerprint.digest})"
