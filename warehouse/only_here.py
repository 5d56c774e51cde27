"""Rows that only the warehouse has, written to a file before a load of everything drops them. Nothing is loaded here.

Postgres was replaced, or put back as it was some hours ago: what it lost in between was loaded before. No report shows
such rows any more, but they are not lost.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from warehouse.archive.store import Archive
from warehouse.lake.hot import is_in_lake
from warehouse.lake.switching import put_aside
from warehouse.queries import duckdb_query, lake_query
from warehouse.tables import Table

# of a log row the id alone will not do: another Postgres counts anew
KEYS = {"event": ("event_id",), "log": ("id", "user_id", "created_at")}


@dataclass(frozen=True)
class OnlyHere:
    """A Parquet file with rows that Postgres does not have."""

    url: str
    row_count: int

    def __str__(self) -> str:
        """Say what an operator has to know."""
        return (
            f"{self.row_count:,} rows that Postgres does not have were written to {self.url}, and no report shows them"
        )


def keep_before(warehouse: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Put the table aside whole, in the caller's transaction, so that it can be made anew."""
    if is_in_lake(warehouse, table.name):
        put_aside(warehouse, table.name)
        return
    warehouse.execute(duckdb_query("keep_before").format(table=table.name))


def save_only_here(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table: Table) -> OnlyHere | None:
    """Write rows that the new table lacks to the archive, and drop the old one; in the same transaction."""
    same = " AND ".join(f"new.{column} IS NOT DISTINCT FROM old.{column}" for column in KEYS[table.kind])
    rows = warehouse.sql(duckdb_query("only_before").format(table=table.name, same=same))
    [(row_count,)] = rows.count("*").fetchall()
    saved = None
    if row_count:
        name = f"only-here/{table.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}.parquet"
        rows.write_parquet(str(archive.staging(name)))
        archive.put_in_place(name)
        saved = OnlyHere(archive.url(name), row_count)
    if is_in_lake(warehouse, f"{table.name}_before"):
        warehouse.execute(lake_query("drop_view_aside").format(table=table.name))
    else:
        warehouse.execute(duckdb_query("drop_before").format(table=table.name))
    return saved
