"""What to ask Postgres for the rows of an event table, day by day as its partitions have them. Nothing is read here.

The answers for one table have no row in common and miss none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from psycopg import sql

from warehouse.archive.fingerprint import day_bounds
from warehouse.cursors import Cursor
from warehouse.pieces import halves, named_columns
from warehouse.postgres import Snapshot
from warehouse.queries import filled_lake_query, filled_postgres_query
from warehouse.tables import Table

# as the raw column has it: within the days that all engines know
RECEIVED = sql.SQL("least(greatest(received_at, '0001-01-02 00:00:00+00'), '9999-12-31 00:00:00+00')")
# about what a row takes in Postgres: to hold rows that were counted against partitions that were measured
ROW_BYTES = 250


@dataclass(frozen=True, slots=True)
class DayRows:
    """Rows of one day (UTC) of receipt: what to ask for them, and about how many bytes they are."""

    table: Table
    day: date
    query: str
    byte_count: int

    def halves(self) -> list[str]:
        """Ask for them by two queries, for two that read at once."""
        return halves(self.query, self.table)


def everything(snapshot: Snapshot, table: Table, columns: Iterable[str]) -> list[DayRows]:
    """Ask for all rows that the snapshot sees."""
    _lock(snapshot, table)
    relation = sql.Literal(f"public.{table.name}")
    found = snapshot.fetch(
        filled_lake_query("postgres_partitions", relation=relation), f"tell which days {table.name} has"
    )
    asked: list[DayRows] = []
    for partition, day, byte_count in found:
        query = _visible(snapshot, partition, named_columns(columns))
        if day:
            asked.append(DayRows(table, date.fromisoformat(day), query, byte_count))
        else:
            # somebody has made a partition that is not one day of UTC
            rows = _visible(snapshot, partition, _place_and_time())
            asked += [_of_day(table, query, day, count) for _, day, count in _days(snapshot, table, rows)]
    return asked


def difference(snapshot: Snapshot, table: Table, columns: Iterable[str], cursor: Cursor) -> list[DayRows]:
    """Ask for the rows that the snapshot sees and the cursor did not."""
    days = _days(snapshot, table, _new(snapshot, cursor, table.name, _place_and_time()))
    return [
        _of_day(table, _new(snapshot, cursor, partition, named_columns(columns)), day, row_count)
        for partition, day, row_count in days
    ]


def _days(snapshot: Snapshot, table: Table, rows: str) -> list[tuple[str, str, int]]:
    """Tell for each partition with such rows, and each day in it, how many they are."""
    query = filled_lake_query("postgres_days", rows=sql.SQL(rows))
    return [(row[0], row[1], row[2]) for row in snapshot.fetch(query, f"tell which days of {table.name} have new rows")]


def _of_day(table: Table, query: str, day: str, row_count: int) -> DayRows:
    bounds = {name: sql.Literal(moment) for name, moment in day_bounds(date.fromisoformat(day)).items()}
    condition = filled_lake_query("postgres_of_day", received_at=RECEIVED, **bounds)
    return DayRows(table, date.fromisoformat(day), f"{query}\n{condition}", row_count * ROW_BYTES)


def _new(snapshot: Snapshot, cursor: Cursor, table_name: str, columns: sql.Composable) -> str:
    return filled_postgres_query(
        "difference",
        columns=columns,
        table=sql.Identifier(table_name),
        prev=sql.Literal(cursor.snapshot),
        cur=sql.Literal(snapshot.text),
    )


def _visible(snapshot: Snapshot, partition: str, columns: sql.Composable) -> str:
    names = {"columns": columns, "table": sql.Identifier(partition)}
    return filled_lake_query("postgres_visible", cur=sql.Literal(snapshot.text), **names)


def _place_and_time() -> sql.Composable:
    return sql.SQL("tableoid, {} AS received_at").format(RECEIVED)


def _lock(snapshot: Snapshot, table: Table) -> None:
    """From here to the end of the transaction no partition goes."""
    snapshot.run(filled_postgres_query("lock", table=sql.Identifier(table.name)), f"read {table.name}")
