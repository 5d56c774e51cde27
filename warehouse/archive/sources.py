"""The schema `sources`: what the models read. Hot rows, and for event tables the sealed files that the table names.

A file that is not named is never read, a named one that is missing or changed stops whoever would build from less.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import duckdb

from warehouse.archive.errors import SealedFileDamaged
from warehouse.archive.folder import archive_folder, sha256_of
from warehouse.archive.manifest import complete_manifest, known_files, known_lines
from warehouse.archive.sealed_file import SealedFile
from warehouse.columns import RAW_TYPES, declared_columns
from warehouse.connection import literal, open_warehouse, transaction
from warehouse.queries import archive_query
from warehouse.tables import TABLES


def prepare_sources(warehouse_path: Path) -> None:
    """Make what the models read fit what is there now, or refuse; before models are built, by who holds the lock.

    Looks at each sealed file's size and time of change, and reads only those that changed. The views are made anew
    because they hold absolute paths, and a home folder can move. Raises WarehouseBehindArchive, ManifestDiffers,
    SealedFileDamaged, WarehouseUnusable.
    """
    archive = archive_folder(warehouse_path)
    with open_warehouse(warehouse_path) as warehouse:
        complete_manifest(archive, known_lines(warehouse))
        require_sealed_files(warehouse, archive)
        with transaction(warehouse):
            for table in TABLES:
                make_source_view(warehouse, archive, table.name)


def make_source_view(warehouse: duckdb.DuckDBPyConnection, archive: Path, table_name: str) -> None:
    """Make the view of one table, in the caller's transaction."""
    columns = declared_columns()[table_name]
    parts = [archive_query("source_view").format(table=table_name, columns=", ".join(columns))]
    for stored, files in _by_columns(known_files(warehouse, table_name)):
        items = ", ".join(_read_item(column, kind, stored) for column, kind in columns.items())
        parts.append(archive_query("source_view_files").format(columns=items, paths=path_list(archive, files)))
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS sources")
    warehouse.execute("\n".join(parts))


def require_sealed_files(warehouse: duckdb.DuckDBPyConnection, archive: Path) -> None:
    """Hold each file to its entry, by its content only where it was touched. Raises SealedFileDamaged."""
    modified_times = dict(warehouse.execute(archive_query("modified_times")).fetchall())
    for file in known_files(warehouse):
        path = archive / file.path
        if fault := size_fault(path, file):
            raise SealedFileDamaged(path, fault)
        modified_ns = path.stat().st_mtime_ns
        if modified_ns != modified_times[file.path]:
            require_content(path, file)
            warehouse.execute(archive_query("set_modified_time"), [modified_ns, file.path])


def require_content(path: Path, file: SealedFile) -> None:
    """Read the whole file. Raises SealedFileDamaged."""
    if fault := size_fault(path, file):
        raise SealedFileDamaged(path, fault)
    if sha256_of(path) != file.sha256:
        raise SealedFileDamaged(path, "has changed since it was sealed")


def size_fault(path: Path, file: SealedFile) -> str | None:
    """Say what is wrong at a glance, if anything is."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return "is missing"
    return None if size == file.byte_count else f"has {size:,} bytes, not {file.byte_count:,}"


def path_list(archive: Path, files: Iterable[SealedFile]) -> str:
    """Write the files as DuckDB's list of their absolute paths."""
    return "[" + ", ".join(literal(str(archive / file.path)) for file in files) + "]"


def _by_columns(files: Iterable[SealedFile]) -> Iterator[tuple[Mapping[str, str], Iterator[SealedFile]]]:
    """Put together files that were sealed with the same columns: an older footfall had others."""
    by_columns = groupby(sorted(files, key=_stored), key=_stored)
    return ((dict(stored), group) for stored, group in by_columns)


def _stored(file: SealedFile) -> tuple[tuple[str, str], ...]:
    return tuple(file.columns.items())


def _read_item(column: str, kind: str, stored: Mapping[str, str]) -> str:
    if column not in stored:
        return f"NULL::{kind} AS {column}"
    # files keep a uuid as its sixteen bytes
    return column if stored[column] == kind != RAW_TYPES["uuid"] else f"{column}::{kind} AS {column}"
