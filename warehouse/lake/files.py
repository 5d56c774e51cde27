"""What another engine than DuckDB is given: the named files of an event table, and other relations as files.

Both are Parquet that Spark reads: a uuid is its sixteen bytes, and what has no sign a decimal. The engine is not known
here. The caller holds the writer lock and has prepared the sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse.archive.manifest import known_files
from warehouse.archive.store import GIVEN, LAKE, Archive, FolderArchive
from warehouse.columns import RAW_TYPES, declared_columns
from warehouse.connection import literal, quoted
from warehouse.lake.errors import HotRowsNotInLake, LakeNotLocal
from warehouse.lake.hot import is_in_lake, named_files
from warehouse.queries import lake_query

# DuckDB's type to the one that a file has
GIVEN_TYPES = {RAW_TYPES["uuid"]: "BLOB", RAW_TYPES["xid8"]: "DECIMAL(20, 0)", "HUGEINT": "DECIMAL(38, 0)"}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that counts: its absolute path or url, and its columns with their raw types, in the order of the file.

    An xid is an unsigned 64-bit integer in it, a uuid its sixteen bytes.
    """

    path: str
    columns: Mapping[str, str]
    is_hot: bool = False


def source_files(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str) -> list[SourceFile]:
    """Return the files that together have each row of an event table once: those of sealed days, and the hot ones.

    Raises HotRowsNotInLake.
    """
    columns = declared_columns()[table_name]
    if not is_in_lake(warehouse, table_name) and _has_rows(warehouse, table_name):
        raise HotRowsNotInLake(table_name)
    sealed = [SourceFile(archive.url(file.path), file.columns) for file in known_files(warehouse, table_name)]
    hot = [SourceFile(archive.url(file.path), columns, is_hot=True) for file in named_files(warehouse, table_name)]
    return sealed + hot


def export_table(warehouse: duckdb.DuckDBPyConnection, archive: Archive, relation: str, name: str) -> str:
    """Write a table or view whole to a new file of the lake, remove its older ones, and return the path or url.

    What is UBIGINT in it is DECIMAL(20, 0) in the file, HUGEINT DECIMAL(38, 0), a uuid its sixteen bytes.
    """
    folder = f"{GIVEN}/{name}"
    file_name = f"{folder}/{uuid4().hex}.parquet"
    columns = warehouse.execute(lake_query("columns_of").format(relation=relation)).fetchall()
    items = ", ".join(_given_item(str(column), str(kind)) for column, kind, *_ in columns)
    path = literal(str(archive.staging(file_name)))
    warehouse.execute(lake_query("export").format(items=items, relation=relation, path=path))
    archive.put_in_place(file_name)
    remove_exported(archive, name, but=file_name)
    return archive.url(file_name)


def remove_exported(archive: Archive, name: str | None = None, *, but: str = "") -> None:
    """Remove what was exported under a name, or everything: it can be exported again."""
    for found in archive.listing(f"{GIVEN}/{name}" if name else GIVEN):
        if found != but:
            archive.remove(found)


def lake_folder(archive: Archive) -> Path:
    """Return the folder of the lake, which all machines have to reach by this path. Raises LakeNotLocal."""
    if not isinstance(archive, FolderArchive):
        raise LakeNotLocal(archive.address)
    return Path(archive.url(LAKE))


def _has_rows(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> bool:
    return warehouse.execute(lake_query("has_rows").format(table=table_name)).fetchall() == [(True,)]


def _given_item(column: str, kind: str) -> str:
    name = quoted(column)
    return f"{name}::{GIVEN_TYPES[kind]} AS {name}" if kind in GIVEN_TYPES else name
