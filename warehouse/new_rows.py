"""What a load has brought: how many rows came late, how old the newest is. Nothing is changed here."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse.connection import open_warehouse
from warehouse.cursors import Cursor
from warehouse.lake.hot import is_in_lake, named_files
from warehouse.postgres import snapshot_xmax
from warehouse.queries import new_rows_query
from warehouse.tables import EVENT_TABLES
from warehouse.writer import writer_lock


def late_row_count(warehouse: duckdb.DuckDBPyConnection, table_name: str, cursor: Cursor | None) -> int:
    """Count the rows of an event table that the cursor had not seen and that are of an earlier day than their receipt.

    Days are of UTC. Without a cursor every row counts that is not sealed.
    """
    xmax, still_open = 0, list[int]()
    if cursor:
        xmax = snapshot_xmax(cursor.snapshot)
        still_open = [int(xid) for xid in cursor.snapshot.split(":")[2].split(",") if xid]
    query = new_rows_query("late_rows").format(table=table_name, first=min([xmax, *still_open]))
    [(count,)] = warehouse.execute(query, {"xmax": xmax, "open": still_open}).fetchall()
    return int(count)


def newest_event_age_seconds(warehouse_path: Path, wait_seconds: float = 0) -> float | None:
    """Tell how long ago the newest loaded event was received; None where all are sealed, or there is none.

    By this host's clock, the events' is that of Postgres. Raises WriterBusy.
    """
    with (
        writer_lock(warehouse_path, wait_seconds, purpose="look for the newest event"),
        open_warehouse(warehouse_path) as warehouse,
    ):
        found = [newest for table in EVENT_TABLES for newest in _newest(warehouse, table)]
    return max((datetime.now(UTC) - max(found)).total_seconds(), 0.0) if found else None


def _newest(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> list[datetime]:
    """Tell when the newest hot row was received, if there is any; of files without opening one."""
    if is_in_lake(warehouse, table_name):
        return [file.newest_received_at for file in named_files(warehouse, table_name)]
    rows = warehouse.execute(new_rows_query("newest_row").format(table=table_name)).fetchall()
    return [moment for (moment,) in rows if moment]
