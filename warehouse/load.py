"""The load: what Postgres has and the warehouse has not, each row exactly once, rows and cursor in one commit.

Serial ids and timestamps skip rows whose transaction commits late; so each load takes the difference of
two snapshots (`difference` in `sql/postgres.sql`), and keeps the later one as the cursor of the next.
No models and no publishing here.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_manager
import duckdb
from psycopg import sql

from warehouse.columns import (
    Columns,
    declared_columns,
    postgres_columns,
    raw_columns,
    received,
    require_current_file,
    require_same_columns,
    selected,
)
from warehouse.connection import open_warehouse, transaction
from warehouse.cursors import Cursor, read_cursors, require_same_history, save_cursor
from warehouse.errors import LoadFailed, one_line
from warehouse.postgres import Snapshot, open_snapshot
from warehouse.queries import duckdb_query, postgres_query, raw_tables_ddl
from warehouse.restored import adopt_restored_rows, require_no_future_rows
from warehouse.tables import TABLES, Table
from warehouse.writer import writer_lock


@dataclass(frozen=True)
class TableLoad:
    """What one load did to one table; rows of `raw.<table_name>`."""

    table_name: str
    loaded_row_count: int
    deleted_row_count: int
    total_row_count: int
    duration_seconds: float


def load(
    database_url: str,
    warehouse_path: Path,
    *,
    full: bool = False,
    compare_keys: bool = False,
    wait_seconds: float = 0,
) -> list[TableLoad]:
    """Bring every raw table up to one moment of Postgres; killed at any point, the next load makes it good.

    `full` takes everything anew, one table per transaction, and accepts another or a restored database.
    `compare_keys` also deletes state rows that Postgres no longer has. Another writer is waited for at most
    `wait_seconds`. Raises a WarehouseError: WriterBusy,
    PostgresUnreachable, or what stands between the two sides and what to do about it.
    """
    with writer_lock(warehouse_path, wait_seconds, purpose="load"):
        if full:
            adopt_restored_rows(database_url, [table.name for table in TABLES])
        with open_snapshot(database_url) as snapshot, open_warehouse(warehouse_path) as warehouse:
            declared = declared_columns()
            require_same_columns(declared, postgres_columns(snapshot))
            cursors: dict[str, Cursor] = {}
            if not full:
                require_current_file(declared, raw_columns(warehouse), warehouse_path)
                cursors = read_cursors(warehouse)
                require_same_history(cursors, snapshot)
            require_no_future_rows(snapshot, [table.name for table in TABLES])
            return [
                _load_table(warehouse, snapshot, table, declared, cursors.get(table.name), compare_keys)
                for table in TABLES
            ]


def _load_table(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    table: Table,
    declared: Columns,
    cursor: Cursor | None,
    compare_keys: bool,
) -> TableLoad:
    started = time.perf_counter()
    columns = declared[table.name]
    try:
        with transaction(warehouse):
            if cursor is None:
                loaded = _take_everything(warehouse, snapshot, table, columns)
            else:
                loaded = _take_difference(warehouse, snapshot, table, columns, cursor)
            deleted = 0
            if compare_keys and table.kind == "state":
                deleted = _delete_absent_keys(warehouse, snapshot, table, columns)
            save_cursor(warehouse, table.name, snapshot)
    except (duckdb.Error, adbc_driver_manager.Error) as error:
        raise LoadFailed(table.name, one_line(error)) from error
    total = _count(warehouse, duckdb_query("count_rows").format(table=table.name))
    return TableLoad(table.name, loaded, deleted, total, time.perf_counter() - started)


def _take_everything(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table, columns: dict[str, str]
) -> int:
    """Make the table anew, so that one of an older footfall gets today's columns."""
    warehouse.execute(duckdb_query("drop_raw_table").format(table=table.name))
    warehouse.execute(raw_tables_ddl())
    query = _query("everything", table, columns, cur=snapshot.text)
    return _receive(warehouse, snapshot, query, "append_rows", table, columns)


def _take_difference(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    table: Table,
    columns: dict[str, str],
    cursor: Cursor,
) -> int:
    query = _query("difference", table, columns, cur=snapshot.text, prev=cursor.snapshot)
    if table.kind != "state":
        return _receive(warehouse, snapshot, query, "append_rows", table, columns)
    loaded = _receive(warehouse, snapshot, query, "stage_rows", table, columns)
    _run(warehouse, "delete_staged_keys", table)
    warehouse.execute(duckdb_query("insert_staged_rows").format(table=table.name, columns=", ".join(columns)))
    _run(warehouse, "drop_staged", table)
    return loaded


def _delete_absent_keys(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table, columns: dict[str, str]
) -> int:
    key = {table.key: columns[table.key]}
    _receive(warehouse, snapshot, _query("keys", table, key), "stage_rows", table, key)
    deleted = _run(warehouse, "delete_absent_keys", table)
    _run(warehouse, "drop_staged", table)
    return deleted


def _query(name: str, table: Table, columns: dict[str, str], **snapshots: str) -> str:
    """Fill in a query on Postgres; names are our own, snapshots are quoted."""
    items = sql.SQL(", ".join(selected(column, kind) for column, kind in columns.items()))
    literals = {key: sql.Literal(value) for key, value in snapshots.items()}
    composed = sql.SQL(postgres_query(name)).format(columns=items, table=sql.Identifier(table.name), **literals)
    return composed.as_string()


def _receive(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    query: str,
    into: str,
    table: Table,
    columns: dict[str, str],
) -> int:
    """Stream an answer of Postgres into DuckDB; a backlog of any size passes batch by batch."""
    statement = duckdb_query(into).format(
        table=table.name,
        columns=", ".join(columns),
        values=", ".join(received(column, kind) for column, kind in columns.items()),
    )
    with snapshot.stream(query) as incoming:
        warehouse.register("incoming", incoming)
        try:
            return _count(warehouse, statement)
        finally:
            warehouse.unregister("incoming")


def _run(warehouse: duckdb.DuckDBPyConnection, name: str, table: Table) -> int:
    return _count(warehouse, duckdb_query(name).format(table=table.name, key=table.key))


def _count(warehouse: duckdb.DuckDBPyConnection, statement: str) -> int:
    """Run a statement; DuckDB answers a change with the number of rows, and other statements with none."""
    row = warehouse.execute(statement).fetchone()
    return int(row[0]) if row else 0
