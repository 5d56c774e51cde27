"""Writes one file of hot rows: durable under its name, and not read before it is named. Which rows, the caller says."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse.archive.fingerprint import ROW_GROUP_ROWS, sha256_of
from warehouse.archive.seal import ZSTD_LEVEL, written_item
from warehouse.archive.store import HOT, Archive
from warehouse.columns import declared_columns
from warehouse.connection import literal
from warehouse.lake.hot import HotFile
from warehouse.queries import lake_query


def hot_name(table_name: str, day: date) -> str:
    """Return a new name for hot rows of a day."""
    return f"{HOT}/{table_name}/received_date={day}/{uuid4().hex}.parquet"


def write_hot_file(
    engine: duckdb.DuckDBPyConnection,
    archive: Archive,
    table_name: str,
    day: date,
    rows: str,
    values: Sequence[str] | None = None,
) -> HotFile | None:
    """Write the rows of a query and return their file, not named yet; None where there are none.

    `values` are the items of a SELECT that makes the raw columns of what the query answers; without, it answers these.
    Raises duckdb.Error, OSError, ArchiveError.
    """
    columns = declared_columns()[table_name]
    name = hot_name(table_name, day)
    staging = archive.staging(name)
    query = lake_query("write_hot_file").format(
        # cast: the driver has a type of its own for jsonb, and a file would keep it
        items=", ".join(f"{column}::{kind} AS {column}" for column, kind in columns.items()),
        written=", ".join(written_item(column, kind) for column, kind in columns.items()),
        values=", ".join(values or columns),
        rows=rows,
        path=literal(str(staging)),
        level=ZSTD_LEVEL,
        row_group_rows=ROW_GROUP_ROWS,
    )
    try:
        [(row_count,)] = engine.execute(query).fetchall()
        if not row_count:
            staging.unlink()
            return None
        file = describe(engine, staging, name, table_name, day)
        archive.put_in_place(name)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    return file


def describe(engine: duckdb.DuckDBPyConnection, path: Path, name: str, table_name: str, day: date) -> HotFile:
    """Write down what is in a file that is still under another name."""
    [(row_count, newest)] = engine.execute(lake_query("about_file").format(path=literal(str(path)))).fetchall()
    return HotFile(name, table_name, day, row_count, path.stat().st_size, sha256_of(path), newest)
