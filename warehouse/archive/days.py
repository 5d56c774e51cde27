"""Which days are closed: no transaction that could have written into them is still under way. No rows move here.

A row's day is that of `received_at`, which Postgres's clock sets a moment before the transaction has its xid. So
once a day is over, the first snapshot taken is its mark: who writes into that day has an xid below the mark's xmax.
As soon as a table is loaded up to a snapshot whose xmin has passed that, it holds all there will be of the day.
"""

from datetime import date, timedelta

import duckdb

from warehouse.cursors import Cursor
from warehouse.postgres import Snapshot
from warehouse.queries import archive_query

# between the reading of the clock and the xid lie microseconds; a stopped process can stretch them. What is later
# still is sealed as a further part of its day
GRACE_MINUTES = 10
KEEP_MARKS_DAYS = 7


def mark_ended_day(warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Keep this snapshot as the mark of the day that ended last, if it is the first one after it.

    It marks all earlier days too. The day is Postgres's, not this machine's.
    """
    [(ended,)] = snapshot.fetch(archive_query("ended_day").format(grace_minutes=GRACE_MINUTES))
    warehouse.execute(
        archive_query("insert_day_mark"), [ended, snapshot.xmax, snapshot.system_identifier, snapshot.database_oid]
    )
    warehouse.execute(archive_query("delete_old_day_marks"), [date.fromisoformat(ended) - timedelta(KEEP_MARKS_DAYS)])


def closed_hot_days(warehouse: duckdb.DuckDBPyConnection, table_name: str, cursor: Cursor) -> list[date]:
    """Return the closed days of which the table has hot rows, the oldest first."""
    closed = warehouse.execute(
        archive_query("last_closed_day"),
        [snapshot_xmin(cursor.snapshot), cursor.system_identifier, cursor.database_oid],
    ).fetchone()
    if closed is None:
        return []
    days = warehouse.execute(archive_query("hot_days").format(table=table_name), closed).fetchall()
    return [day for (day,) in days]


def snapshot_xmin(snapshot: str) -> int:
    """Give xmin of a `pg_snapshot`'s text: all transactions below it have ended."""
    return int(snapshot.split(":")[0])
