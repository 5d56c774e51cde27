"""How far each table is loaded, and whether Postgres still is the database it was loaded from. No rows here."""

from dataclasses import dataclass

import duckdb

from warehouse.errors import OtherDatabase, SnapshotWentBack
from warehouse.postgres import Snapshot, snapshot_xmax
from warehouse.queries import duckdb_query
from warehouse.stops import require_no_stop


@dataclass(frozen=True)
class Cursor:
    """The Postgres snapshot up to which a table is loaded, and of which database."""

    snapshot: str
    system_identifier: str
    database_oid: int


def read_cursors(warehouse: duckdb.DuckDBPyConnection) -> dict[str, Cursor]:
    """Read the cursor of each table that was ever loaded. Raises StillStopped where nothing may go on from there."""
    require_no_stop(warehouse)
    return {table: Cursor(*rest) for table, *rest in warehouse.execute(duckdb_query("cursors")).fetchall()}


def save_cursor(warehouse: duckdb.DuckDBPyConnection, table_name: str, snapshot: Snapshot) -> None:
    """Move a table's cursor, in the transaction that writes the rows."""
    delete_cursor(warehouse, table_name)
    warehouse.execute(
        duckdb_query("insert_cursor"),
        [table_name, snapshot.text, snapshot.system_identifier, snapshot.database_oid, snapshot.taken_at],
    )


def delete_cursor(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> None:
    """Let the next load take all of a table anew, in the caller's transaction."""
    warehouse.execute(duckdb_query("delete_cursor"), [table_name])


def require_same_history(cursors: dict[str, Cursor], snapshot: Snapshot) -> None:
    """Refuse to load on top of another past. Raises OtherDatabase or SnapshotWentBack."""
    found = _name(snapshot)
    for table_name, cursor in cursors.items():
        if _name(cursor) != found:
            raise OtherDatabase(_name(cursor), found)
        loaded = snapshot_xmax(cursor.snapshot)
        if snapshot.xmax < loaded:
            raise SnapshotWentBack(table_name, loaded, snapshot.xmax)


def _name(source: Cursor | Snapshot) -> str:
    return f"{source.system_identifier}/{source.database_oid}"
