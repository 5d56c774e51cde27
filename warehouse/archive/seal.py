"""The seal: hot rows of closed days become Parquet files that are proved before a row is deleted. Nothing expires here.

The steps stand in the order that a kill at any moment cannot hurt: the file is written, made durable, read back and
compared with the hot rows and with Postgres; then one DuckDB transaction names it and deletes its rows, and from then
on it counts; last comes the mirror in the archive. What was begun before that transaction is begun anew.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import adbc_driver_manager
import duckdb
import polars as pl

from warehouse.archive.days import closed_hot_days, mark_ended_day
from warehouse.archive.errors import ArchiveError, DayDiffers, DaysNotSealed, SealFailed
from warehouse.archive.fingerprint import (
    ROW_GROUP_ROWS,
    day_bounds,
    event_ids_of,
    file_fingerprint,
    hot_fingerprint,
    postgres_fingerprint,
    sha256_of,
)
from warehouse.archive.manifest import add_file, complete_manifest, known_files, last_hash
from warehouse.archive.parts import shared_columns, sum_of_parts
from warehouse.archive.sealed_file import Fingerprint, SealedFile
from warehouse.archive.sources import make_source_view, require_sealed_files, require_size
from warehouse.archive.store import Archive, open_archive, part_name
from warehouse.columns import RAW_TYPES, declared_columns, raw_columns, require_current_file
from warehouse.connection import literal, open_warehouse, transaction
from warehouse.cursors import Cursor, read_cursors, require_same_history
from warehouse.errors import one_line
from warehouse.lake.hot import HotFile, is_in_lake, remove_hot_day, require_hot_files, require_whole
from warehouse.people.erasures import require_no_unfinished
from warehouse.postgres import Snapshot, open_snapshot
from warehouse.queries import archive_query
from warehouse.tables import TABLES
from warehouse.writer import writer_lock

# chosen by measurement: docs/adr/0012-sealed-days.md
ZSTD_LEVEL = 3
ORDER = "created_at, event_id"

NOT_AS_LOADED = "run `footfall refresh --full`, then the job `seal` in Dagster"
GONE = "put its partition back from a backup: `footfall refresh --full` would lose the rows here as well"


def seal(
    database_url: str, warehouse_path: Path, *, archive_address: str | None = None, wait_seconds: float = 0
) -> list[SealedFile]:
    """Seal the hot rows of all closed days, table by table, and return the new files.

    A day whose rows Postgres does not confirm stays as it is, and the others are sealed. Another writer is waited for
    at most `wait_seconds`. Raises DaysNotSealed or DayDiffers then, SealFailed where the disk does not do its part,
    SealedFileDamaged, WarehouseBehindArchive, ManifestDiffers, and what `warehouse.load.load` raises.
    """
    archive = open_archive(archive_address, warehouse_path)
    with (
        writer_lock(warehouse_path, wait_seconds, purpose="seal"),
        open_snapshot(database_url) as snapshot,
        open_warehouse(warehouse_path) as warehouse,
    ):
        archive.attach(warehouse)
        cursors = read_cursors(warehouse)
        require_same_history(cursors, snapshot)
        require_no_unfinished(snapshot.fetch)
        require_current_file(declared_columns(), raw_columns(warehouse), warehouse_path)
        complete_manifest(archive, warehouse)
        require_sealed_files(warehouse, archive)
        require_hot_files(warehouse, archive)
        archive.remove_unfinished()
        mark_ended_day(warehouse, snapshot)
        return _seal_closed_days(warehouse, snapshot, archive, cursors)


def _seal_closed_days(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, archive: Archive, cursors: Mapping[str, Cursor]
) -> list[SealedFile]:
    sealed: list[SealedFile] = []
    refused: list[DayDiffers] = []
    for name in [table.name for table in TABLES if table.kind == "event" and table.name in cursors]:
        for day in _closed_days(warehouse, archive, name, cursors[name]):
            try:
                sealed.append(_seal_day(warehouse, snapshot, archive, name, day, cursors[name]))
            except DayDiffers as error:
                refused.append(error)
            except (duckdb.Error, adbc_driver_manager.Error, pl.exceptions.PolarsError, OSError) as error:
                require_whole(warehouse, archive, name)
                raise SealFailed(name, day, one_line(error)) from error
    if refused:
        raise refused[0] if len(refused) == 1 else DaysNotSealed(refused)
    return sealed


def _closed_days(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str, cursor: Cursor) -> list[date]:
    try:
        return closed_hot_days(warehouse, table_name, cursor)
    except duckdb.Error:
        require_whole(warehouse, archive, table_name)
        raise


def _seal_day(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    table_name: str,
    day: date,
    cursor: Cursor,
) -> SealedFile:
    earlier = [file for file in known_files(warehouse, table_name) if file.day == day]
    name = part_name(table_name, day.isoformat(), len(earlier))
    # another footfall with the same address may have sealed meanwhile: its part is not to be moved or written over
    complete_manifest(archive, warehouse)
    _make_room(warehouse, archive, name, table_name, day)
    try:
        write_part(warehouse, archive.staging(name), table_name, day)
        complete_manifest(archive, warehouse)
        archive.put_in_place(name)
        file = describe(archive, table_name, day, len(earlier), cursor, last_hash(warehouse))
        require_hot_rows(warehouse, file)
        require_postgres_rows(snapshot, archive, [*earlier, file], cursor)
    except BaseException:
        # nothing names it yet; of a killed seal the next one writes over it, and why this one failed matters more
        with suppress(ArchiveError):
            complete_manifest(archive, warehouse)
            archive.remove(name)
        raise
    commit(warehouse, archive, file)
    complete_manifest(archive, warehouse)
    return file


def _make_room(warehouse: duckdb.DuckDBPyConnection, archive: Archive, name: str, table_name: str, day: date) -> None:
    """Set aside a file that nothing names, unless a killed seal wrote it out of these hot rows.

    Where a manifest was lost it may be all that is left of a day.
    """
    if archive.look(name) is None:
        return
    columns = declared_columns()[table_name]
    try:
        with archive.local(name) as path:
            found, _ = file_fingerprint(path, columns)
    except pl.exceptions.PolarsError:
        # cut short, or no Parquet at all: so it is not of these rows either
        found = None
    if found != hot_fingerprint(warehouse, table_name, day, columns):
        archive.set_aside(name)


def write_part(warehouse: duckdb.DuckDBPyConnection, path: Path, table_name: str, day: date) -> None:
    """Write the hot rows of a day to a path that nobody reads."""
    columns = declared_columns()[table_name]
    warehouse.execute(
        archive_query("write_part").format(
            columns=", ".join(written_item(column, kind) for column, kind in columns.items()),
            table=table_name,
            order=ORDER,
            path=literal(str(path)),
            level=ZSTD_LEVEL,
            row_group_rows=ROW_GROUP_ROWS,
            **day_bounds(day),
        )
    )


def describe(archive: Archive, table_name: str, day: date, part: int, cursor: Cursor, previous_hash: str) -> SealedFile:
    """Read the file back, with another reader than the one that wrote it, and write down what is in it."""
    columns = declared_columns()[table_name]
    name = part_name(table_name, day.isoformat(), part)
    with archive.local(name) as path:
        fingerprint, spans = file_fingerprint(path, columns)
        sha256, byte_count = sha256_of(path), path.stat().st_size
    min_created_at, max_created_at, min_received_at, max_received_at = spans
    return SealedFile(
        table_name=table_name,
        received_date=day.isoformat(),
        part=part,
        path=name,
        row_count=fingerprint.row_count,
        digest=str(fingerprint.digest),
        sha256=sha256,
        byte_count=byte_count,
        min_created_at=min_created_at,
        max_created_at=max_created_at,
        min_received_at=min_received_at,
        max_received_at=max_received_at,
        columns=columns,
        source=f"{cursor.system_identifier}/{cursor.database_oid}",
        sealed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        previous_hash=previous_hash,
    )


def require_hot_rows(warehouse: duckdb.DuckDBPyConnection, file: SealedFile) -> None:
    """Hold the file to the rows it was written from. Raises DayDiffers."""
    hot = hot_fingerprint(warehouse, file.table_name, file.day, file.columns)
    if hot != file.fingerprint:
        found = f"the file has {_told(file.fingerprint)}, the warehouse {_told(hot)}"
        raise DayDiffers(file.table_name, file.day, found, "the disk or its memory errs: look at both, then try again")


def require_postgres_rows(snapshot: Snapshot, archive: Archive, parts: Sequence[SealedFile], cursor: Cursor) -> None:
    """Hold all parts of a day together to what was loaded of it from Postgres. Raises DayDiffers.

    Parts that were sealed from another Postgres, which this one has replaced, may be missing in it. What happened to
    rows since they were sealed does not matter for a further part: then Postgres has to have its rows, each of them.
    """
    *_, newest = parts
    columns = shared_columns(parts)
    found = postgres_fingerprint(snapshot, newest.table_name, newest.day, columns, cursor.snapshot)
    of_this_postgres = [part for part in parts if part.source == newest.source]
    sealed = [sum_of_parts(archive, some, columns) for some in (parts, of_this_postgres)]
    if found not in sealed and not (len(parts) > 1 and _has_rows_of(snapshot, archive, newest, cursor)):
        told = f"Postgres has {_told(found)}, its files and the warehouse {_told(sealed[0])}"
        raise DayDiffers(newest.table_name, newest.day, told, NOT_AS_LOADED if found.row_count else GONE)


def _has_rows_of(snapshot: Snapshot, archive: Archive, part: SealedFile, cursor: Cursor) -> bool:
    """Tell whether Postgres has the rows of one part, as they are in it."""
    with archive.local(part.path) as path:
        event_ids = event_ids_of(path)
    found = postgres_fingerprint(snapshot, part.table_name, part.day, part.columns, cursor.snapshot, event_ids)
    return found == part.fingerprint


def commit(warehouse: duckdb.DuckDBPyConnection, archive: Archive, file: SealedFile) -> None:
    """Let the file count and its rows go, at once: this is the moment at which a day is sealed."""
    complete_manifest(archive, warehouse)
    listed = require_size(archive, archive.look(file.path), file)
    old: list[HotFile] = []
    with transaction(warehouse):
        if is_in_lake(warehouse, file.table_name):
            old = remove_hot_day(warehouse, archive, file.table_name, file.day)
            deleted = sum(one.row_count for one in old)
        else:
            query = archive_query("delete_hot_day").format(table=file.table_name, **day_bounds(file.day))
            deleted = warehouse.execute(query).fetchall()[0][0]
        if deleted != file.row_count:
            raise DayDiffers(file.table_name, file.day, f"{deleted:,} rows would go for {file.row_count:,}", "a bug")
        add_file(warehouse, file, listed.modified_ns)
        make_source_view(warehouse, archive, file.table_name)
    for one in old:
        archive.remove(one.path)


def written_item(column: str, kind: str) -> str:
    """Write one item of the SELECT that is written to a file: a uuid as its sixteen bytes.

    Spark does not read Parquet's own type of them.
    """
    return f"{column}::BLOB AS {column}" if kind == RAW_TYPES["uuid"] else column


def _told(fingerprint: Fingerprint) -> str:
    return f"{fingerprint.row_count:,} rows (digest {fingerprint.digest})"
