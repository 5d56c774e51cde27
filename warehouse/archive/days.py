"""Which days are closed: no transaction that could have written into them is still under way. No rows move here.

A row's day is that of `received_at`, which Postgres's clock sets a moment before the transaction has its xid. So
once a day is over, a fresh xid is its mark: who wrote into that day has a lower one. As soon as a table is loaded up
to a snapshot whose xmin has reached the mark, it holds all there will be of the day. (A snapshot's xmax would not do
as a mark: it follows the last xid that has ended, and transactions with higher ones may be under way.)
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
    """Mark the day that ended last, and with it all before, unless it is marked already; once a day it takes an xid.

    The day is that of Postgres's clock, not of this machine's. Where the clock once was ahead, what it marked then is
    forgotten: such a mark would have every later day sealed while rows still come in.
    """
    [(ended,)] = snapshot.fetch(archive_query("ended_day").format(grace_minutes=GRACE_MINUTES), "tell its time")
    warehouse.execute(archive_query("delete_later_day_marks"), [ended])
    mark = [ended, snapshot.system_identifier, snapshot.database_oid]
    if warehouse.execute(archive_query("day_mark"), mark).fetchone():
        return
    [(xid,)] = snapshot.fetch(archive_query("fresh_xid"), "give out a transaction id")
    warehouse.execute(archive_query("insert_day_mark"), [*mark, int(xid)])
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
