"""The load: what Postgres has and the warehouse has not, each row exactly once, rows and cursor in one commit.

Serial ids and timestamps skip rows whose transaction commits late; so each load takes the difference of
two snapshots (`difference` in `sql/postgres.sql`), and keeps the later one as the cursor of the next.
No models and no publishing here.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import adbc_driver_manager
import duckdb

from warehouse.archive.adopt import adopt_sealed_files, delete_sealed_rows
from warehouse.archive.days import mark_ended_day
from warehouse.archive.manifest import known_files
from warehouse.archive.store import Archive, open_archive
from warehouse.columns import (
    Columns,
    declared_columns,
    postgres_columns,
    raw_columns,
    received,
    require_current_file,
    require_same_columns,
)
from warehouse.comparison import require_same_rows, save_incarnation, unproved_incarnations
from warehouse.connection import open_warehouse, transaction
from warehouse.cursors import Cursor, read_cursors, require_same_history, save_cursor
from warehouse.errors import LoadFailed, one_line
from warehouse.held_back import OpenTransaction, held_back
from warehouse.lake.hot import is_in_lake, let_go_of_damaged, remove_unnamed, require_hot_files, require_whole
from warehouse.lake.loading import load_difference, load_everything
from warehouse.lake.switching import bring_rows
from warehouse.loads import note_load
from warehouse.new_rows import late_row_count
from warehouse.only_here import OnlyHere, keep_before, save_only_here
from warehouse.people.erasures import require_no_unfinished
from warehouse.pieces import difference, everything, keys
from warehouse.postgres import Snapshot, open_snapshot
from warehouse.queries import duckdb_query, raw_tables_ddl
from warehouse.restored import adopt_restored_rows, require_no_future_rows
from warehouse.standing import require_no_detached_rows, require_same_kinds, require_stamped
from warehouse.stops import forget_stops, noted_stops
from warehouse.tables import EVENT_TABLES, TABLES, Table
from warehouse.touched import touch_new_rows, touch_table
from warehouse.writer import writer_lock


@dataclass(frozen=True)
class TableLoad:
    """What one load did to one table; rows of `raw.<table_name>`.

    `late_row_count` of the loaded rows are of an earlier day (UTC) than they were received on; events alone know both.
    `byte_count` is what Postgres sent for it, as Arrow has it in memory.
    `held_back` are the transactions that have written to the table and were open: the next load takes their rows.
    `only_here` is the file with rows that a load of everything found in the warehouse, and not in Postgres.
    """

    table_name: str
    loaded_row_count: int
    deleted_row_count: int
    total_row_count: int
    duration_seconds: float
    late_row_count: int | None = None
    byte_count: int = 0
    held_back: Sequence[OpenTransaction] = ()
    only_here: OnlyHere | None = None


def load(
    database_url: str,
    warehouse_path: Path,
    *,
    full: bool = False,
    compare_keys: bool = False,
    archive_address: str | None = None,
    wait_seconds: float = 0,
    run_id: str | None = None,
    into_lake: bool = False,
) -> list[TableLoad]:
    """Bring every raw table up to one moment of Postgres; killed at any point, the next load makes it good.

    `full` takes everything anew, one table per transaction, and accepts another or a restored database; events and
    log rows that it lacks go to a file, see `TableLoad.only_here`.
    `compare_keys` also deletes state rows that Postgres no longer has, and proves all tables equal, events by their
    event_id; so does the first load after a start of Postgres. Another writer is waited for at most `wait_seconds`.
    `run_id` names who loads, for those who ask later what brought a row (`meta.loads`).
    `into_lake` writes event rows to files in the archive, where another engine than DuckDB reads them; where the load
    before did otherwise, its rows are brought there, or back.
    Raises a WarehouseError: WriterBusy, PostgresUnreachable, or what stands between the two sides and what to do about
    it. An OtherPast is raised again by every load and seal until a full load has ended.
    """
    with writer_lock(warehouse_path, wait_seconds, purpose="load"):
        if full:
            adopt_restored_rows(database_url, [table.name for table in TABLES])
        with (
            open_snapshot(database_url) as snapshot,
            open_warehouse(warehouse_path) as warehouse,
            noted_stops(warehouse),
        ):
            # rows arrive on two connections, in no order worth keeping; kept, each would wait for the other
            warehouse.execute("SET preserve_insertion_order = false")
            declared = declared_columns()
            cursors = _require_fit(snapshot, warehouse, warehouse_path, declared, full)
            archive = open_archive(archive_address, warehouse_path)
            archive.attach(warehouse)
            _make_ready(warehouse, archive, cursors, full, into_lake)
            require_no_detached_rows(snapshot, cursors, known_files(warehouse))
            mark_ended_day(warehouse, snapshot)
            waiting = held_back(snapshot.fetch)
            unproved = unproved_incarnations(warehouse, snapshot, every_table=compare_keys)
            loads = [
                replace(loaded, held_back=waiting.get(loaded.table_name, ()))
                for _, group in groupby(TABLES, key=lambda table: table.group or table.name)
                for loaded in _load_group(
                    warehouse, snapshot, archive, list(group), declared, cursors, unproved, run_id, into_lake
                )
            ]
            if full:
                forget_stops(warehouse)
            if not cursors.keys() >= set(EVENT_TABLES):
                remove_unnamed(warehouse, archive)
            return loads


def _require_fit(
    snapshot: Snapshot, warehouse: duckdb.DuckDBPyConnection, warehouse_path: Path, declared: Columns, full: bool
) -> dict[str, Cursor]:
    """Stop before any row where the two sides do not fit; else tell how far each table is loaded."""
    require_same_kinds(snapshot)
    require_same_columns(declared, postgres_columns(snapshot))
    cursors: dict[str, Cursor] = {}
    if not full:
        require_current_file(declared, raw_columns(warehouse), warehouse_path)
        cursors = read_cursors(warehouse)
        require_same_history(cursors, snapshot)
        # one of everything is let through: it may be what the erasure waits for, and what it keeps of the person in
        # files is found by the same erasure, run again
        require_no_unfinished(snapshot.fetch)
    require_stamped(snapshot)
    require_no_future_rows(snapshot, [table.name for table in TABLES])
    return cursors


def _make_ready(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, cursors: Mapping[str, Cursor], full: bool, into_lake: bool
) -> None:
    """Let what is loaded stand where this load goes on from, and know the sealed days that the archive has."""
    if full:
        let_go_of_damaged(warehouse, archive)
        adopt_sealed_files(warehouse, archive)
        return
    require_hot_files(warehouse, archive)
    loaded = [name for name in EVENT_TABLES if name in cursors]
    if any([bring_rows(warehouse, archive, name, into_lake=into_lake) for name in loaded]):
        remove_unnamed(warehouse, archive)


def _load_group(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    group: Sequence[Table],
    declared: Columns,
    cursors: Mapping[str, Cursor],
    unproved: Mapping[str, str],
    run_id: str | None,
    into_lake: bool,
) -> list[TableLoad]:
    """Load the tables of a group, all or none; rows that came to one have taken the place of rows of the next."""
    loads: list[TableLoad] = []
    try:
        with transaction(warehouse):
            for table in group:
                name, columns = table.name, declared[table.name]
                has_lost_rows = any(loaded.loaded_row_count for loaded in loads)
                loads.append(
                    _load_table(
                        warehouse,
                        snapshot,
                        archive,
                        table,
                        columns,
                        cursors.get(name),
                        unproved.get(name),
                        has_lost_rows=has_lost_rows,
                        into_lake=into_lake,
                    )
                )
                note_load(warehouse, name, snapshot, cursors.get(name), loads[-1].loaded_row_count, run_id)
    except (duckdb.Error, adbc_driver_manager.Error, OSError) as error:
        failed = group[min(len(loads), len(group) - 1)].name
        require_whole(warehouse, archive, failed)
        raise LoadFailed(failed, one_line(error)) from error
    return loads


def _load_table(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    table: Table,
    columns: dict[str, str],
    cursor: Cursor | None,
    unproved: str | None,
    *,
    has_lost_rows: bool,
    into_lake: bool,
) -> TableLoad:
    """Load one table, rows and cursor, in the caller's transaction."""
    started, bytes_before = time.perf_counter(), snapshot.received_byte_count
    only_here, deleted = None, 0
    if cursor is None:
        loaded, only_here = _take_everything(warehouse, snapshot, archive, table, columns, into_lake)
    else:
        loaded = _take_difference(warehouse, snapshot, archive, table, columns, cursor)
        if unproved is not None:
            deleted = _compare(warehouse, snapshot, table, columns)
        elif has_lost_rows:
            deleted = _delete_absent_keys(warehouse, snapshot, table, columns)
    if unproved is not None:
        save_incarnation(warehouse, table.name, unproved)
    save_cursor(warehouse, table.name, snapshot)
    total = _count(warehouse, duckdb_query("count_rows").format(table=table.name))
    return TableLoad(
        table_name=table.name,
        loaded_row_count=loaded,
        deleted_row_count=deleted,
        total_row_count=total,
        late_row_count=late_row_count(warehouse, table.name, cursor) if table.kind == "event" else None,
        byte_count=snapshot.received_byte_count - bytes_before,
        duration_seconds=time.perf_counter() - started,
        only_here=only_here,
    )


def _take_everything(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    table: Table,
    columns: dict[str, str],
    into_lake: bool,
) -> tuple[int, OnlyHere | None]:
    """Make the table anew, so that one of an older footfall gets today's columns."""
    if table.kind == "state":
        warehouse.execute(duckdb_query("drop_raw_table").format(table=table.name))
    else:
        keep_before(warehouse, table)
    touch_table(warehouse, table.name)
    if table.kind == "event" and into_lake:
        loaded = load_everything(warehouse, snapshot, archive, table, columns)
    else:
        warehouse.execute(raw_tables_ddl())
        queries = everything(snapshot, table, columns)
        loaded = _receive(warehouse, snapshot, queries, "append_rows", table, columns) if queries else 0
    if table.kind == "event":
        delete_sealed_rows(warehouse, archive, table.name)
    return loaded, save_only_here(warehouse, archive, table) if table.kind != "state" else None


def _take_difference(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    table: Table,
    columns: dict[str, str],
    cursor: Cursor,
) -> int:
    if table.kind == "event" and is_in_lake(warehouse, table.name):
        loaded = load_difference(warehouse, snapshot, archive, table, columns, cursor)
        if loaded:
            touch_new_rows(warehouse, table.name, cursor)
        return loaded
    queries = difference(snapshot, table, columns, cursor)
    if table.kind != "state":
        loaded = _receive(warehouse, snapshot, queries, "append_rows", table, columns)
        if loaded:
            touch_new_rows(warehouse, table.name, cursor)
        return loaded
    loaded = _receive(warehouse, snapshot, queries, "stage_rows", table, columns)
    _run(warehouse, "delete_staged_keys", table)
    warehouse.execute(duckdb_query("insert_staged_rows").format(table=table.name, columns=", ".join(columns)))
    _run(warehouse, "drop_staged", table)
    if loaded:
        touch_table(warehouse, table.name)
    return loaded


def _compare(warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table, columns: dict[str, str]) -> int:
    """Prove the table equal to Postgres, after state rows have gone that it deleted; return how many went."""
    deleted = _delete_absent_keys(warehouse, snapshot, table, columns) if table.kind == "state" else 0
    require_same_rows(warehouse, snapshot, table, columns)
    return deleted


def _delete_absent_keys(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table, columns: dict[str, str]
) -> int:
    key = {table.key: columns[table.key]}
    _receive(warehouse, snapshot, [keys(table, key)], "stage_rows", table, key)
    deleted = _run(warehouse, "delete_absent_keys", table)
    if deleted:
        touch_table(warehouse, table.name)
    _run(warehouse, "drop_staged", table)
    return deleted


def _receive(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    queries: list[str],
    into: str,
    table: Table,
    columns: dict[str, str],
) -> int:
    """Stream the answers of Postgres into DuckDB by one statement; a backlog of any size passes batch by batch."""
    with snapshot.streams(queries) as streams:
        incoming = {f"incoming_{number}": stream for number, stream in enumerate(streams)}
        for name, stream in incoming.items():
            warehouse.register(name, stream)
        statement = duckdb_query(into).format(
            table=table.name,
            columns=", ".join(columns),
            values=", ".join(received(column, kind) for column, kind in columns.items()),
            incoming=" UNION ALL ".join(f"FROM {name}" for name in incoming),
        )
        row_count = _count(warehouse, statement)
        # only now: in a transaction that has failed it would fail too, and hide why
        for name in incoming:
            warehouse.unregister(name)
    return row_count


def _run(warehouse: duckdb.DuckDBPyConnection, name: str, table: Table) -> int:
    return _count(warehouse, duckdb_query(name).format(table=table.name, key=table.key))


def _count(warehouse: duckdb.DuckDBPyConnection, statement: str) -> int:
    """Run a statement; DuckDB answers a change with the number of rows, and other statements with none."""
    # all of it: an answer that is not read to its end stays in the way of the transaction's next statement
    rows = warehouse.execute(statement).fetchall()
    return int(rows[0][0]) if rows else 0
