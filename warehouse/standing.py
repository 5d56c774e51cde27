"""Whether Postgres's tables stand as the load needs them: of their kind, stamped, with all partitions. No rows here.

Each of these would make rows stay behind without a word, where a missing column (`warehouse.columns`) is noticed.
"""

from collections.abc import Sequence
from datetime import date

from psycopg import sql

from warehouse.archive.fingerprint import day_bounds
from warehouse.archive.retention import partition_day
from warehouse.archive.sealed_file import SealedFile
from warehouse.cursors import Cursor
from warehouse.errors import PartitionDetached, TableOfAnotherKind, XidNotKept
from warehouse.postgres import Snapshot
from warehouse.queries import filled_postgres_query
from warehouse.tables import TABLES

PARTITIONED = [table.name for table in TABLES if table.kind == "event"]
STAMPED_BY_DEFAULT = [table.name for table in TABLES if table.kind != "state"]
STAMPED_BY_TRIGGER = [table.name for table in TABLES if table.kind == "state"]
KINDS = {
    "r": "a plain table",
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
}


def require_same_kinds(snapshot: Snapshot) -> None:
    """Hold each table to its kind; one that is not there is not looked at. Raises TableOfAnotherKind."""
    wanted = {table.name: "p" if table.name in PARTITIONED else "r" for table in TABLES}
    for name, kind in snapshot.fetch(filled_postgres_query("kinds", names=sql.Literal(list(wanted)))):
        if kind != wanted[name]:
            raise TableOfAnotherKind(name, KINDS.get(kind, "something else"), KINDS[wanted[name]])


def require_stamped(snapshot: Snapshot) -> None:
    """Hold each table to writing down the xid of its changes. Raises XidNotKept."""
    query = filled_postgres_query(
        "unstamped", by_default=sql.Literal(STAMPED_BY_DEFAULT), by_trigger=sql.Literal(STAMPED_BY_TRIGGER)
    )
    if unstamped := [name for (name,) in snapshot.fetch(query)]:
        raise XidNotKept(", ".join(unstamped))


def require_no_detached_rows(snapshot: Snapshot, cursors: dict[str, Cursor], sealed: Sequence[SealedFile]) -> None:
    """Hold partitions that were detached to having nothing that is not loaded, or in the files of their day.

    To expire a day is to detach its partition and then to drop it, and a killed expiry leaves one detached. Raises
    PartitionDetached.
    """
    for parent, partition, is_pending in snapshot.fetch(
        filled_postgres_query("detached", names=sql.Literal(PARTITIONED))
    ):
        day = partition_day(partition)
        if day is None:
            continue  # somebody's own table, of whatever name
        cursor = cursors.get(parent)
        of_day = [file for file in sealed if file.table_name == parent and file.day == day]
        sealed_count = sum(file.row_count for file in of_day) if cursor is None else 0
        [(count,)] = snapshot.fetch(
            filled_postgres_query("row_count", query=sql.SQL(_not_loaded(snapshot, partition, cursor)))
        )
        if count > sealed_count:
            raise PartitionDetached(parent, partition, _attach(parent, partition, day, is_pending))


def _not_loaded(snapshot: Snapshot, partition: str, cursor: Cursor | None) -> str:
    table = sql.Identifier(partition)
    if cursor is None:
        return filled_postgres_query("keys", columns=sql.SQL("1"), table=table)
    prev, cur = sql.Literal(cursor.snapshot), sql.Literal(snapshot.text)
    return filled_postgres_query("difference", columns=sql.SQL("1"), table=table, prev=prev, cur=cur)


def _attach(parent: str, partition: str, day: date, is_pending: bool) -> str:
    finalize = f"ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE; " if is_pending else ""
    first, end = (f"'{moment}'" for moment in day_bounds(day).values())
    return f"{finalize}ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({end})"
