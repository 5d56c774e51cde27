"""Which files hold the hot rows of an event table, and the view over them that stands in the place of its raw table.

`meta.hot_files` decides: a file that it does not name is never read, and whoever loads or seals next removes it, for it
is of a run that was killed, and Postgres still has its rows. Nothing is written here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime

import duckdb

from warehouse.archive.fingerprint import sha256_of
from warehouse.archive.manifest import manifest_lines, require_own
from warehouse.archive.store import HOT, Archive, Listed
from warehouse.columns import RAW_TYPES, declared_columns, raw_columns
from warehouse.connection import literal, transaction
from warehouse.cursors import delete_cursor
from warehouse.lake.errors import HotFileDamaged
from warehouse.queries import lake_query
from warehouse.tables import EVENT_TABLES


@dataclass(frozen=True, slots=True)
class HotFile:
    """A Parquet file with hot rows of one table, received on one day (UTC); `path` is relative to the archive."""

    path: str
    table_name: str
    day: date
    row_count: int
    byte_count: int
    sha256: str
    newest_received_at: datetime


def is_in_lake(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> bool:
    """Tell whether a raw table is a view of files."""
    return warehouse.execute(lake_query("is_view"), [table_name]).fetchall() == [(True,)]


def named_files(warehouse: duckdb.DuckDBPyConnection, table_name: str | None = None) -> list[HotFile]:
    """Return the files that hold hot rows, of one table or of all, the oldest day first."""
    return [HotFile(*row) for row in warehouse.execute(lake_query("hot_files"), [table_name]).fetchall()]


def files_of_day(warehouse: duckdb.DuckDBPyConnection, table_name: str, day: date) -> list[HotFile]:
    """Return those of one day of receipt (UTC)."""
    return [file for file in named_files(warehouse, table_name) if file.day == day]


def swap_files(
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    table_name: str,
    *,
    new: Iterable[HotFile] = (),
    old: Iterable[HotFile] = (),
) -> None:
    """Let files count from now on, and others no more, in the caller's transaction; remove those after it."""
    for file in old:
        warehouse.execute(lake_query("delete_hot_file"), [file.path])
    for file in new:
        warehouse.execute(lake_query("insert_hot_file"), list(astuple(file)))
    make_hot_view(warehouse, archive, table_name)


def remove_hot_day(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str, day: date) -> list[HotFile]:
    """Let all files of a day count no more, in the caller's transaction, and return them: to be removed after it."""
    files = files_of_day(warehouse, table_name, day)
    swap_files(warehouse, archive, table_name, old=files)
    return files


def make_hot_view(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str) -> None:
    """Make the view of a table's files, in the caller's transaction."""
    columns = stored_columns(warehouse, table_name)
    if files := named_files(warehouse, table_name):
        source = lake_query("hot_view_files").format(paths=path_list(archive, files))
        items = ", ".join(read_item(column, kind) for column, kind in columns.items())
    else:
        nulls = ", ".join(f"NULL::{kind} AS {column}" for column, kind in columns.items())
        source, items = lake_query("hot_view_nothing").format(nulls=nulls), ", ".join(columns)
    warehouse.execute(lake_query("hot_view").format(table=table_name, columns=items, source=source))


def stored_columns(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> Mapping[str, str]:
    """Return the columns that all files of a table have, with their raw types: where there are some, of their view.

    An older footfall had others, until a load of everything comes.
    """
    found = raw_columns(warehouse) if is_in_lake(warehouse, table_name) else declared_columns()
    return found[table_name]


def require_hot_files(warehouse: duckdb.DuckDBPyConnection, archive: Archive) -> None:
    """Hold each named file to its size, look at them where they are now, and remove files that none names.

    The caller holds the writer lock. Raises HotFileDamaged, ArchiveOfAnother.
    """
    in_lake = [name for name in EVENT_TABLES if is_in_lake(warehouse, name)]
    if not in_lake:
        return
    listing = archive.listing(HOT)
    for file in named_files(warehouse):
        if fault := size_fault(listing.get(file.path), file):
            raise HotFileDamaged(archive.url(file.path), fault)
    with transaction(warehouse):
        # made anew because they hold absolute paths, and an archive can move
        for name in in_lake:
            make_hot_view(warehouse, archive, name)
    remove_unnamed(warehouse, archive, listing)


def require_whole(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str) -> None:
    """Read all files of a table, after a query failed that does not say which it cannot read. Raises HotFileDamaged."""
    for file in named_files(warehouse, table_name):
        if not _is_whole(archive, file):
            raise HotFileDamaged(archive.url(file.path), "has changed since it was loaded")


def remove_unnamed(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, listing: Mapping[str, Listed] | None = None
) -> None:
    """Remove files that nothing names, durably; the caller holds the writer lock. Raises ArchiveOfAnother."""
    archive.remove_unfinished()
    named = {file.path for file in named_files(warehouse)}
    found = archive.listing(HOT) if listing is None else listing
    if unnamed := [name for name in found if name not in named]:
        require_own(archive, warehouse, manifest_lines(archive))
        for name in unnamed:
            archive.remove(name)


def let_go_of_damaged(warehouse: duckdb.DuckDBPyConnection, archive: Archive) -> None:
    """Name no file any more that is not whole, so that the others can be read; its table is then loaded anew, whole.

    For a load of everything, which alone brings the rows back.
    """
    for table_name in [name for name in EVENT_TABLES if is_in_lake(warehouse, name)]:
        damaged = [file for file in named_files(warehouse, table_name) if not _is_whole(archive, file)]
        with transaction(warehouse):
            for file in damaged:
                warehouse.execute(lake_query("delete_hot_file"), [file.path])
            make_hot_view(warehouse, archive, table_name)
            if damaged:
                delete_cursor(warehouse, table_name)


def size_fault(listed: Listed | None, file: HotFile) -> str | None:
    """Say what is wrong at a glance, if anything is."""
    if listed is None:
        return "is missing"
    return None if listed.size == file.byte_count else f"has {listed.size:,} bytes, not {file.byte_count:,}"


def path_list(archive: Archive, files: Sequence[HotFile]) -> str:
    """Write the files as DuckDB's list of their urls."""
    return "[" + ", ".join(literal(archive.url(file.path)) for file in files) + "]"


def read_item(column: str, kind: str) -> str:
    """Write one item of the SELECT on a file that gives the raw column: files keep a uuid as its sixteen bytes."""
    return f"{column}::{kind} AS {column}" if kind == RAW_TYPES["uuid"] else column


def _is_whole(archive: Archive, file: HotFile) -> bool:
    if size_fault(archive.look(file.path), file):
        return False
    with archive.local(file.path) as path:
        return sha256_of(path) == file.sha256
