"""Which load brought a row: `meta.loads`, written with the cursor, and what two snapshots say. No rows of tables here.

A load brings what its snapshot sees and the one before it did not. That a row came late, its transaction open while a
load went by, changes nothing: its xid is in the list of those open then, so the load after it is the one.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from warehouse.cursors import Cursor
from warehouse.postgres import Snapshot
from warehouse.queries import trace_query

KEEP_DAYS = 400


@dataclass(frozen=True, slots=True)
class Load:
    """A load that brought rows to a table. `run_id` is None where no run asked for it.

    Without a `previous_snapshot` it took everything anew.
    """

    run_id: str | None
    loaded_at: datetime
    previous_snapshot: str | None
    snapshot: str


def note_load(
    warehouse: duckdb.DuckDBPyConnection,
    table_name: str,
    snapshot: Snapshot,
    cursor: Cursor | None,
    row_count: int,
    run_id: str | None,
) -> None:
    """Note a load, in the transaction that moves the cursor; one of nothing is none, unless it took all anew."""
    if cursor is not None and not row_count:
        return
    forget = trace_query("forget_loads").format(keep_days=KEEP_DAYS)
    warehouse.execute(forget, [table_name, cursor is None, snapshot.taken_at])
    if row_count:
        values = {
            "table_name": table_name,
            "run_id": run_id,
            "loaded_at": snapshot.taken_at,
            "row_count": row_count,
            "previous_snapshot": cursor.snapshot if cursor else None,
            "snapshot": snapshot.text,
        }
        warehouse.execute(trace_query("insert_load"), values)


def load_of(warehouse: duckdb.DuckDBPyConnection, table_name: str, xid: int) -> Load | None:
    """Find the load that brought the rows of a transaction; None where it is not noted any more, or was not yet."""
    found = warehouse.execute(trace_query("loads_after"), [table_name, xid])
    while row := found.fetchone():
        load = Load(*row)
        if has_brought(load, xid):
            return load
    return None


def has_brought(load: Load, xid: int) -> bool:
    """Tell whether a load was the one for the rows of a transaction that has committed."""
    return is_seen(xid, load.snapshot) and not (load.previous_snapshot and is_seen(xid, load.previous_snapshot))


def is_seen(xid: int, snapshot: str) -> bool:
    """Tell whether a `pg_snapshot`, as text `xmin:xmax:xip,…`, sees a transaction that has committed since."""
    _, xmax, open_xids = snapshot.split(":")
    return xid < int(xmax) and str(xid) not in open_xids.split(",")
