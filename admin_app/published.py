"""What the published DuckDB file holds. Opened read-only, for each look anew: a refresh swaps the file."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

TABLES = """
    SELECT t.table_name, r.row_count, coalesce(t.comment, '')
    FROM duckdb_tables() AS t JOIN meta.refresh_tables AS r USING (table_name)
    WHERE t.schema_name = 'marts' ORDER BY t.table_name
"""


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A mart: its name, its number of rows, and the sentence that explains it."""

    name: str
    row_count: int
    comment: str


@dataclass(frozen=True, slots=True)
class Published:
    """The file as a whole; `refreshed_at` is UTC."""

    refreshed_at: datetime
    tables: tuple[PublishedTable, ...]


def read_published(path: Path) -> Published | None:
    """List the marts that analysts can read; None before the first refresh."""
    if not path.exists():
        return None
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        refreshed_at = connection.execute("SELECT refreshed_at FROM meta.refresh").fetchall()[0][0]
        tables = tuple(PublishedTable(*row) for row in connection.execute(TABLES).fetchall())
    return Published(refreshed_at, tables)
