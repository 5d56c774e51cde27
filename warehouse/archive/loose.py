"""Files of rows that no line of the manifest names, written anew without some rows. They count in no report.

A load of everything writes what only the warehouse had to `only-here/`, and a seal sets a part aside that it does not
know. Such a file may have other columns than today's, and may be of a table that is never sealed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import duckdb
import polars as pl

from warehouse.archive.errors import LooseFilesStay, RewriteFailed
from warehouse.archive.fingerprint import rows_fingerprint
from warehouse.archive.rewrite import Rewritten
from warehouse.archive.splitting import Split, fingerprint_of, write_staying
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns
from warehouse.connection import literal
from warehouse.errors import one_line
from warehouse.queries import rewrite_query

ONLY_HERE, SET_ASIDE = "only-here/*.parquet", "*/part-*.parquet.unnamed-*"


def rewrite_loose_files(archive: Archive, conditions: Mapping[str, str], reason: str) -> list[Rewritten]:
    """Take the rows for which the condition of their table holds out of all these files; remove what is empty then.

    The caller holds the writer lock. Raises LooseFilesStay with every file that could not be read, or that lacks a
    column which its condition names; the others are done then.
    """
    done: list[Rewritten] = []
    failed: list[RewriteFailed] = []
    for name, table_name in loose_files(archive):
        if table_name in conditions:
            try:
                if rewritten := rewrite_loose_file(archive, name, table_name, conditions[table_name], reason):
                    done.append(rewritten)
            except RewriteFailed as error:
                failed.append(error)
    if failed:
        raise LooseFilesStay(failed)
    return done


def loose_files(archive: Archive) -> list[tuple[str, str]]:
    """Name these files, each with the table that its rows are of."""
    names = sorted(name for name in archive.listing() if fnmatch(name, ONLY_HERE) or fnmatch(name, SET_ASIDE))
    return [(name, _table_of(name)) for name in names]


def count_loose_rows(archive: Archive, name: str, table_name: str, condition: str) -> int:
    """Count, without a change, the rows that would go. Raises RewriteFailed."""
    with _opened(archive, name) as (engine, path):
        split = _split(engine, path, table_name, condition)
        return fingerprint_of(engine, split.going(), split.columns).row_count


def rewrite_loose_file(archive: Archive, name: str, table_name: str, condition: str, reason: str) -> Rewritten | None:
    """Write one of them anew under its name; None where no row goes. Raises RewriteFailed."""
    with _opened(archive, name) as (engine, path):
        split = _split(engine, path, table_name, condition)
        going = fingerprint_of(engine, split.going(), split.columns)
        if not going.row_count:
            return None
        old_byte_count = path.stat().st_size
        staging = archive.staging(name)
        try:
            write_staying(engine, split, staging, reason)
            staying = rows_fingerprint(staging, split.columns)
            byte_count = staging.stat().st_size
            everything = fingerprint_of(engine, f"FROM read_parquet({literal(str(path))})", split.columns)
            if staying + going != everything:
                raise RewriteFailed(archive.url(name), "what stays and what goes is not what there was")
        except BaseException:
            staging.unlink(missing_ok=True)
            raise
        if staying.row_count:
            archive.put_in_place(name)
        else:
            archive.remove(name)
    kept_byte_count = byte_count if staying.row_count else 0
    return Rewritten(name, name, going.row_count, staying.row_count, kept_byte_count, old_byte_count)


def _split(engine: duckdb.DuckDBPyConnection, path: Path, table_name: str, condition: str) -> Split:
    declared = declared_columns()[table_name]
    query = rewrite_query("columns_of").format(path=literal(str(path)))
    columns = {column: declared.get(column, kind) for column, kind in engine.execute(query).fetchall()}
    return Split(table_name, path, columns, condition, has_all_columns=False)


@contextmanager
def _opened(archive: Archive, name: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    try:
        with duckdb.connect() as engine, archive.local(name) as path:
            engine.execute("SET TimeZone = 'UTC'")
            yield engine, path
    except (duckdb.Error, pl.exceptions.PolarsError, OSError) as error:
        raise RewriteFailed(archive.url(name), one_line(error)) from error


def _table_of(name: str) -> str:
    first, *_ = PurePosixPath(name).parts
    return PurePosixPath(name).name.rpartition("-")[0] if first == "only-here" else first
