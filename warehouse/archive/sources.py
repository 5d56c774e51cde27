"""The schema `sources`: what the models read. Hot rows, and for event tables the sealed files that the table names.

A file that is not named is never read, a named one that is missing or changed stops whoever would build from less.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import duckdb

from warehouse.archive.errors import SealedFileDamaged
from warehouse.archive.fingerprint import sha256_of
from warehouse.archive.leftovers import remove_leftovers
from warehouse.archive.manifest import complete_manifest, known_files, known_lines
from warehouse.archive.sealed_file import SealedFile, from_line
from warehouse.archive.store import Archive, Listed, open_archive
from warehouse.columns import RAW_TYPES, declared_columns
from warehouse.connection import literal, open_warehouse, transaction
from warehouse.lake.hot import require_hot_files
from warehouse.queries import archive_query
from warehouse.tables import EVENT_TABLES, TABLES


def prepare_sources(warehouse_path: Path, archive_address: str | None = None) -> None:
    """Make what the models read fit what is there now, or refuse; before models are built, by who holds the lock.

    Looks, in one listing, at each sealed file's size and time of change, and reads only those that changed. The views
    are made anew because they hold absolute paths, and an archive can move. Raises WarehouseBehindArchive,
    ManifestDiffers, SealedFileDamaged, HotFileDamaged, WarehouseUnusable.
    """
    archive = open_archive(archive_address, warehouse_path)
    with open_warehouse(warehouse_path) as warehouse:
        archive.attach(warehouse)
        complete_manifest(archive, warehouse)
        require_sealed_files(warehouse, archive)
        require_hot_files(warehouse, archive)
        with transaction(warehouse):
            for table in TABLES:
                make_source_view(warehouse, archive, table.name)
            make_received_days_view(warehouse)


def make_source_view(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str) -> None:
    """Make the view of one table, in the caller's transaction."""
    columns = declared_columns()[table_name]
    parts = [archive_query("source_view").format(table=table_name, columns=", ".join(columns))]
    for stored, files in by_columns(known_files(warehouse, table_name)):
        items = ", ".join(read_item(column, kind, stored) for column, kind in columns.items())
        parts.append(archive_query("source_view_files").format(columns=items, paths=path_list(archive, files)))
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS sources")
    warehouse.execute("\n".join(parts))


def make_received_days_view(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Make the view that counts the rows of each day of receipt, in the caller's transaction."""
    hot_days = "\nUNION ALL\n".join(archive_query("hot_day_counts").format(table=table) for table in EVENT_TABLES)
    warehouse.execute(archive_query("received_days_view").format(hot_days=hot_days))


def require_sealed_files(warehouse: duckdb.DuckDBPyConnection, archive: Archive) -> None:
    """Hold each live file to its entry, by its content only where it was touched; remove what a killed rewrite left.

    The caller holds the writer lock and has completed the manifest. Raises SealedFileDamaged.
    """
    modified_times = dict(warehouse.execute(archive_query("modified_times")).fetchall())
    files = known_files(warehouse)
    listing = archive.listing() if files else {}
    for file in files:
        listed = require_size(archive, listing.get(file.path), file)
        if listed.modified_ns != modified_times[file.path]:
            require_content(archive, file)
            warehouse.execute(archive_query("set_modified_time"), [listed.modified_ns, file.path])
    remove_leftovers(archive, [from_line(line) for line in known_lines(warehouse)], listing)


def require_size(archive: Archive, listed: Listed | None, file: SealedFile) -> Listed:
    """Hold what a listing says to the file's entry. Raises SealedFileDamaged."""
    if listed is None or listed.size != file.byte_count:
        raise SealedFileDamaged(archive.url(file.path), size_fault(listed, file) or "")
    return listed


def require_content(archive: Archive, file: SealedFile) -> None:
    """Read the whole file. Raises SealedFileDamaged."""
    with archive.local(file.path) as path:
        if sha256_of(path) != file.sha256:
            raise SealedFileDamaged(archive.url(file.path), "has changed since it was sealed")


def size_fault(listed: Listed | None, file: SealedFile) -> str | None:
    """Say what is wrong at a glance, if anything is."""
    if listed is None:
        return "is missing"
    return None if listed.size == file.byte_count else f"has {listed.size:,} bytes, not {file.byte_count:,}"


def path_list(archive: Archive, files: Iterable[SealedFile]) -> str:
    """Write the files as DuckDB's list of their urls."""
    return "[" + ", ".join(literal(archive.url(file.path)) for file in files) + "]"


def by_columns(files: Iterable[SealedFile]) -> Iterator[tuple[Mapping[str, str], Iterator[SealedFile]]]:
    """Put together files that were sealed with the same columns: an older footfall had others."""
    by_columns = groupby(sorted(files, key=_stored), key=_stored)
    return ((dict(stored), group) for stored, group in by_columns)


def _stored(file: SealedFile) -> tuple[tuple[str, str], ...]:
    return tuple(file.columns.items())


def read_item(column: str, kind: str, stored: Mapping[str, str]) -> str:
    """Write one item of the SELECT on files with these columns that gives what the models read."""
    if column not in stored:
        return f"NULL::{kind} AS {column}"
    # files keep a uuid as its sixteen bytes
    return column if stored[column] == kind != RAW_TYPES["uuid"] else f"{column}::{kind} AS {column}"
