"""Sealed days back into Postgres: all rows of a table's day at once, none of them twice, and none new to a load.

The day's table is made apart and attached when it is full, in the same transaction: no reader sees half a day, and no
insert waits. Where a partition is there already, only what it lacks comes in.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from warehouse.archive.detach import attach, detach, fetcher, open_session, state_of
from warehouse.archive.errors import NotRestored
from warehouse.archive.fingerprint import NOT_PART_OF_AN_EVENT, ROW_GROUP_ROWS, postgres_text
from warehouse.archive.parts import shared_columns, sum_of_parts
from warehouse.archive.restore import RestoredDay, by_day, proved, read_items
from warehouse.archive.retention import Partition
from warehouse.archive.sealed_file import Fingerprint, SealedFile
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns, selected
from warehouse.connection import literal
from warehouse.people.erasures import require_no_unfinished
from warehouse.queries import filled_expire_query, restore_query

# a value is quoted, NULL is not: so an empty text stays one
AS_POSTGRES_READS = csv.WriteOptions(include_header=False, quoting_style="all_valid")


def restore_into_postgres(database_url: str, archive: Archive, files: Sequence[SealedFile]) -> list[RestoredDay]:
    """Bring the rows of these files back, a transaction for each table and day, after all files were read.

    The caller holds the writer lock since it chose them. Raises ErasureUnfinished, SealedFileDamaged, NotRestored,
    DayHeldUp, PostgresUnreachable, PostgresQueryFailed.
    """
    require_nobody_half_erased(database_url)
    with proved(archive, files) as paths, open_session(database_url, "restore days") as connection:
        return [
            _restore_day(connection, archive, Partition(table_name, day), parts, paths)
            for table_name, day, parts in by_day(files)
        ]


def require_nobody_half_erased(database_url: str) -> None:
    """Refuse a restore of files that may not be written anew yet.

    Raises ErasureUnfinished, PostgresUnreachable, PostgresQueryFailed.
    """
    with open_session(database_url, "tell who is being erased") as connection:
        require_no_unfinished(fetcher(connection))


def _restore_day(
    connection: psycopg.Connection,
    archive: Archive,
    partition: Partition,
    parts: Sequence[SealedFile],
    paths: Mapping[str, Path],
) -> RestoredDay:
    state = state_of(connection, partition)
    if state == "pending":
        detach(connection, partition)
    with connection.transaction():
        if state is None:
            make_table(connection, partition)
        for part in parts:
            stage(connection, part, paths[part.path], is_first=part is parts[0])
        written = _insert(connection, partition)
        _require_rows(connection, archive, partition, parts)
        if state != "attached":
            attach(connection, partition)
    return RestoredDay(partition.table_name, partition.day, sum(part.row_count for part in parts), written)


def make_table(connection: psycopg.Connection, partition: Partition) -> None:
    """Make the day's table, which is no partition yet."""
    names = {"table": sql.Identifier(partition.table_name), "partition": sql.Identifier(partition.name)}
    connection.execute(filled_expire_query("make_table", **names).encode())


def stage(connection: psycopg.Connection, part: SealedFile, path: Path, *, is_first: bool) -> None:
    """Bring a file into a table that this transaction alone sees."""
    if is_first:
        make = filled_expire_query("make_staging", table=sql.Identifier(part.table_name))
        connection.execute(make.encode())
        connection.execute(filled_expire_query("stamp_staging").encode())
    items = {column: item for column, item in read_items(part).items() if column != NOT_PART_OF_AN_EVENT}
    statement = filled_expire_query("copy_restored", columns=_names(list(items)))
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for batch in _texts(path, items):
            rows = io.BytesIO()
            csv.write_csv(batch, rows, AS_POSTGRES_READS)
            copy.write(rows.getvalue())


def _texts(path: Path, items: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Read a file's rows with every value as the text that Postgres reads too."""
    values = ", ".join(f"({item})::VARCHAR AS {column}" for column, item in items.items())
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        query = restore_query("texts").format(values=values, path=literal(str(path)))
        yield from engine.sql(query).to_arrow_reader(ROW_GROUP_ROWS)


def _insert(connection: psycopg.Connection, partition: Partition) -> int:
    columns = _names(list(declared_columns()[partition.table_name]))
    query = filled_expire_query("insert_restored", partition=sql.Identifier(partition.name), columns=columns)
    return connection.execute(query.encode()).rowcount


def _require_rows(
    connection: psycopg.Connection, archive: Archive, partition: Partition, parts: Sequence[SealedFile]
) -> None:
    """Hold the day's rows in Postgres to its files. Raises NotRestored."""
    columns = shared_columns(parts)
    query = filled_expire_query(
        "restored_fingerprint",
        partition=sql.Identifier(partition.name),
        columns=sql.SQL(", ".join(selected(column, kind) for column, kind in columns.items())),
        text=sql.SQL(postgres_text(columns)),
    )
    [(row_count, digest)] = fetcher(connection)(query)
    sealed = sum_of_parts(archive, parts, columns)
    if Fingerprint(row_count, int(digest)) != sealed:
        found = f"of its {sealed.row_count:,} sealed rows Postgres would have {row_count:,}, or other values in them"
        raise NotRestored(f"{partition} is", f"{found}; rows that were there before were changed by hand")


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
