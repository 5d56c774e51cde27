"""Rows that leave hot files before their day is sealed: a person's, or what a sealed file has too.

Which these are, the caller says. A file with such rows is written anew without them, read back and held, with the rows
that go, to what it had; then the new one counts in its place, in the caller's transaction, and the old one is removed
after it.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date

import duckdb
import polars as pl

from warehouse.archive.errors import RewriteFailed
from warehouse.archive.fingerprint import rows_fingerprint
from warehouse.archive.splitting import Split, fingerprint_of, write_staying
from warehouse.archive.store import Archive
from warehouse.connection import literal
from warehouse.errors import one_line
from warehouse.lake.hot import HotFile, files_of_day, named_files, path_list, read_item, stored_columns, swap_files
from warehouse.lake.writing import describe, hot_name
from warehouse.queries import lake_query, rewrite_query


def remove_hot_rows(
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    table_name: str,
    condition: str,
    *,
    day: date | None = None,
    reason: str,
) -> int:
    """Take rows out of a table that is in the lake, in the caller's transaction, and return how many went.

    `condition` is SQL over the raw columns; NULL is no reason to go. Of one `day` of receipt (UTC), or of all. Files
    that count no more are for `remove_unnamed`. Raises RewriteFailed.
    """
    files = named_files(warehouse, table_name) if day is None else files_of_day(warehouse, table_name, day)
    old = _with_rows(warehouse, archive, table_name, files, condition)
    new = [_written_without(warehouse, archive, file, condition, reason) for file in old]
    swap_files(warehouse, archive, table_name, new=[file for file in new if file], old=old)
    return sum(file.row_count for file in old) - sum(file.row_count for file in new if file)


def _with_rows(
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    table_name: str,
    files: Sequence[HotFile],
    condition: str,
) -> list[HotFile]:
    """Choose the files that have such rows; only the columns are read that the condition needs."""
    if not files:
        return []
    items = ", ".join(read_item(column, kind) for column, kind in stored_columns(warehouse, table_name).items())
    query = rewrite_query("rows_by_file").format(read=items, paths=path_list(archive, files), condition=condition)
    by_url = {archive.url(file.path): file for file in files}
    return [by_url[url] for url, _ in warehouse.execute(query).fetchall()]


def _written_without(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, old: HotFile, condition: str, reason: str
) -> HotFile | None:
    """Write the rows that stay to a new file; None where there are none. Raises RewriteFailed."""
    columns = stored_columns(warehouse, old.table_name)
    name = hot_name(old.table_name, old.day)
    staging = archive.staging(name)
    try:
        with archive.local(old.path) as path:
            split = Split(old.table_name, path, columns, condition)
            write_staying(warehouse, split, staging, reason)
            staying, going = rows_fingerprint(staging, columns), fingerprint_of(warehouse, split.going(), columns)
            query = lake_query("everything_in").format(path=literal(str(path)))
            if staying + going != fingerprint_of(warehouse, query, columns):
                raise RewriteFailed(archive.url(old.path), "what stays and what goes is not what there was")
        file = describe(warehouse, staging, name, old.table_name, old.day)
        if not file.row_count:
            staging.unlink()
            return None
        archive.put_in_place(name)
    except (duckdb.Error, pl.exceptions.PolarsError, OSError) as error:
        with suppress(OSError):
            staging.unlink(missing_ok=True)
        raise RewriteFailed(archive.url(old.path), one_line(error)) from error
    return file
