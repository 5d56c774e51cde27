"""Where one event is behind Postgres: hot in `warehouse.duckdb`, or in which sealed file; and which load brought it.

Nothing is changed. The writer's lock is held for no longer than a look into the file takes: sealed files, which can be
many, are read without it. What counts the event is `trace_marts.py`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from warehouse.archive.errors import SealedFileDamaged
from warehouse.archive.manifest import known_files
from warehouse.archive.sealed_file import SealedFile
from warehouse.archive.sources import by_columns, path_list, read_item
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns
from warehouse.connection import open_warehouse
from warehouse.cursors import Cursor
from warehouse.errors import WarehouseUnusable, one_line
from warehouse.loads import Load, load_of
from warehouse.queries import duckdb_query, trace_query
from warehouse.tables import EVENT_TABLES
from warehouse.writer import writer_lock

PURPOSE = "trace an event"
# the year 9999: what says later was not made by a clock
LATEST_MS = 253_370_764_800_000


@dataclass(frozen=True, slots=True)
class LoadedEvent:
    """The row of an event, by raw column; without a `file` it is hot."""

    table_name: str
    values: Mapping[str, Any]
    file: SealedFile | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What `warehouse.duckdb` says: the event's hot rows, how far each table is loaded, which files are sealed."""

    events: Sequence[LoadedEvent]
    cursors: Mapping[str, Cursor]
    files: Sequence[SealedFile]


def look(warehouse_path: Path, event_id: UUID, wait_seconds: float, archive: Archive | None = None) -> Looked:
    """Ask the file, once a writer has ended; where hot rows are in the lake of an `archive` in a bucket, also this one.

    Raises WriterBusy, WarehouseUnusable.
    """
    with writer_lock(warehouse_path, wait_seconds, purpose=PURPOSE), open_warehouse(warehouse_path) as warehouse:
        try:
            if archive is not None:
                archive.attach(warehouse)
            hot = [event for table in EVENT_TABLES for event in _hot(warehouse, table, event_id)]
            # also those of a load that stopped: they say how far it came
            cursors = warehouse.execute(duckdb_query("cursors")).fetchall()
            return Looked(hot, {table: Cursor(*rest) for table, *rest in cursors}, known_files(warehouse))
        except duckdb.Error as error:
            raise WarehouseUnusable(warehouse_path, one_line(error)) from error


def find_load(warehouse_path: Path, table_name: str, xid: int, wait_seconds: float) -> Load | None:
    """Find the load that brought a row, if that is noted. Raises WriterBusy, WarehouseUnusable."""
    with writer_lock(warehouse_path, wait_seconds, purpose=PURPOSE), open_warehouse(warehouse_path) as warehouse:
        return load_of(warehouse, table_name, xid)


def find_sealed(
    archive: Archive, event_id: UUID, files: Sequence[SealedFile], days: Collection[date], *, everywhere: bool
) -> list[LoadedEvent]:
    """Look for the event in files of the days on which it may have come; and, if it is in none, in all others.

    Each file that is named was read. Raises SealedFileDamaged.
    """
    likely = [file for file in files if file.day in days]
    found = list(_sealed(archive, event_id, likely))
    if not found and everywhere:
        found = list(_sealed(archive, event_id, [file for file in files if file.day not in days]))
    return found


def likely_days(event_id: UUID, received: Collection[datetime]) -> set[date]:
    """Name the days (UTC) to look at first: those of receipt, and what an id of version 7 says of when it was made."""
    days = {moment.astimezone(UTC).date() for moment in received}
    made_ms = event_id.int >> 80
    if event_id.version == 7 and made_ms < LATEST_MS:
        made_on = datetime.fromtimestamp(made_ms / 1000, UTC).date()
        days |= {made_on, made_on + timedelta(days=1)}
    return days


def _hot(warehouse: duckdb.DuckDBPyConnection, table_name: str, event_id: UUID) -> Iterator[LoadedEvent]:
    columns = declared_columns()[table_name]
    query = trace_query("hot_row").format(table=table_name, columns=", ".join(columns))
    for row in warehouse.execute(query, [event_id]).fetchall():
        yield LoadedEvent(table_name, dict(zip(columns, row, strict=True)))


def _sealed(archive: Archive, event_id: UUID, files: Sequence[SealedFile]) -> Iterator[LoadedEvent]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        archive.attach(connection)
        for table_name in EVENT_TABLES:
            of_table = [file for file in files if file.table_name == table_name]
            for stored, alike in by_columns(of_table):
                yield from _in_files(connection, archive, event_id, table_name, stored, list(alike))


def _in_files(
    connection: duckdb.DuckDBPyConnection,
    archive: Archive,
    event_id: UUID,
    table_name: str,
    stored: Mapping[str, str],
    files: Sequence[SealedFile],
) -> Iterator[LoadedEvent]:
    columns = declared_columns()[table_name]
    by_url = {archive.url(file.path): file for file in files}
    items = ", ".join(read_item(column, kind, stored) for column, kind in columns.items())
    query = trace_query("sealed_row").format(columns=items, paths=path_list(archive, files))
    try:
        rows = connection.execute(query, [event_id.bytes]).fetchall()
    except duckdb.Error as error:
        raise SealedFileDamaged(archive.address, f"cannot be read ({one_line(error)})") from error
    for url, *values in rows:
        yield LoadedEvent(table_name, dict(zip(columns, values, strict=True)), by_url[url])
