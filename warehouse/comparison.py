"""Whether the warehouse has the very rows that Postgres has, table by table and day by day. Nothing is mended here.

A cursor says how far a table is loaded, and not that Postgres still is what it was: where a data folder or a dump was
put back, other rows can carry the transaction ids that were loaded before. So both sides add up the hashes of their
rows each night, and whenever the server or the table may have been replaced: then the server has another start, or
the table another file (its incarnation).
"""

from collections.abc import Mapping
from typing import Any

import duckdb
from psycopg import sql

from warehouse.archive.fingerprint import day_bounds, duckdb_text, postgres_text
from warehouse.archive.manifest import known_files
from warehouse.columns import selected
from warehouse.errors import RowsDiffer
from warehouse.postgres import Snapshot
from warehouse.queries import comparison_query
from warehouse.tables import TABLES, Table

Sums = dict[str, tuple[int, int]]
"""Day (UTC, of receipt) to the number of its rows and the sum of their hashes; of what has no such day, of ""."""

SHOWN_DAYS = 3
# drawn by chance, so that two pasts never share one; numbers and names they may share, with other rows behind them
EVENT_KEY = {"event_id": "UUID"}
_DAY = "(received_at AT TIME ZONE 'UTC')::date"


def unproved_incarnations(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, *, every_table: bool
) -> dict[str, str]:
    """Name the tables to compare, each with its incarnation: those that were not found, or made, equal in it before."""
    names = sql.Literal([table.name for table in TABLES])
    query = sql.SQL(comparison_query("postgres_incarnations")).format(names=names)
    found = snapshot.fetch(query.as_string(), "tell since when its tables are the same")
    proved = {} if every_table else dict(warehouse.execute(comparison_query("incarnations")).fetchall())
    return {table_name: incarnation for table_name, incarnation in found if proved.get(table_name) != incarnation}


def save_incarnation(warehouse: duckdb.DuckDBPyConnection, table_name: str, incarnation: str) -> None:
    """Note that a table is equal to Postgres in this incarnation, in the caller's transaction."""
    warehouse.execute(comparison_query("delete_incarnation"), [table_name])
    warehouse.execute(comparison_query("insert_incarnation"), [table_name, incarnation])


def require_same_rows(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table, columns: Mapping[str, str]
) -> None:
    """Hold a table that was just loaded to what the snapshot sees of it: of events the days after the last sealed one.

    Those before were proved when they were sealed. Raises RowsDiffer.
    """
    compared = EVENT_KEY if table.kind == "event" else columns
    parts = _parts(warehouse, table)
    found, loaded = _in_postgres(snapshot, table, compared, parts), _in_warehouse(warehouse, table, compared, parts)
    if differences := [
        _told(day, found.get(day, (0, 0))[0], loaded.get(day, (0, 0))[0])
        for day in sorted({*found, *loaded})
        if found.get(day) != loaded.get(day)
    ]:
        more = len(differences) - SHOWN_DAYS
        told = differences[:SHOWN_DAYS] + ([f"and {more} more days"] if more > 0 else [])
        raise RowsDiffer(table.name, "; ".join(told))


def _parts(warehouse: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    """Say in SQL, which both engines read alike, what is a row's day and which rows count."""
    if table.kind != "event":
        return {"day": "''", "condition": "true"}
    last_day = max((file.day for file in known_files(warehouse, table.name)), default=None)
    condition = f"received_at >= TIMESTAMPTZ '{day_bounds(last_day)['end']}'" if last_day else "true"
    return {"day": f"{_DAY}::text", "condition": condition}


def _in_postgres(snapshot: Snapshot, table: Table, columns: Mapping[str, str], parts: Mapping[str, str]) -> Sums:
    query = sql.SQL(comparison_query("postgres_sums")).format(
        table=sql.Identifier(table.name),
        columns=sql.SQL(", ".join(selected(column, kind) for column, kind in columns.items())),
        text=sql.SQL(postgres_text(columns)),
        cur=sql.Literal(snapshot.text),
        **{name: sql.SQL(part) for name, part in parts.items()},
    )
    return _sums(snapshot.fetch(query.as_string(), f"add up the rows of {table.name}"))


def _in_warehouse(
    warehouse: duckdb.DuckDBPyConnection, table: Table, columns: Mapping[str, str], parts: Mapping[str, str]
) -> Sums:
    query = comparison_query("sums").format(table=table.name, text=duckdb_text(columns), **parts)
    return _sums(warehouse.execute(query).fetchall())


def _sums(rows: list[tuple[Any, ...]]) -> Sums:
    return {day: (row_count, int(digest)) for day, row_count, digest in rows}


def _told(day: str, found: int, loaded: int) -> str:
    counts = f"{found:,} there, {loaded:,} here" if found != loaded else f"{found:,} on either side, but others"
    return f"{day}: {counts}" if day else counts
