"""Days that have ended, with rows in them that are easy to hash wrongly. No assertion here."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from warehouse.archive.days import closed_hot_days
from warehouse.archive.seal import seal
from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import Archive, open_archive
from warehouse.cursors import read_cursors
from warehouse.load import load

TODAY = datetime.now(UTC).date()
Rows = list[tuple[Any, ...]]

PARTITION = (
    "CREATE TABLE {table}_p{day:%Y%m%d} PARTITION OF {table} FOR VALUES FROM ('{day} 00:00Z') TO ('{end} 00:00Z')"
)

EVENTS = """
    INSERT INTO tracking_events
        (user_id, user_type, app_name, event_type, event_name, country_code, os, meta, created_at, received_at)
    SELECT
        nullif(n %% 5, 0), 'student', 'DViz', 'button', (ARRAY['open', '', E'ü 😀 \\n"', 'a''b'])[n %% 4 + 1],
        (ARRAY['DE', 'D ', NULL])[n %% 3 + 1], (ARRAY[NULL, '', 'Linux'])[n %% 3 + 1],
        CASE n %% 3 WHEN 0 THEN jsonb_build_object('b', 1.10, 'a', ARRAY['ü', NULL]) WHEN 1 THEN 'null' END,
        (ARRAY['infinity', '-infinity', '0001-01-01Z', '2026-03-29 01:30:00.123456+02'])[n %% 4 + 1]::timestamptz,
        %(day)s::timestamp AT TIME ZONE 'UTC' + n * interval '1 second'
    FROM generate_series(0, %(count)s - 1) AS n
"""

ACTIVITY = """
    INSERT INTO activity_events (user_id, event_type, action_name, created_at, received_at)
    SELECT CASE n %% 2 WHEN 0 THEN gen_random_uuid() END, 'action', nullif('a' || n %% 3, 'a0'), moment, moment
    FROM generate_series(0, %(count)s - 1) AS n,
        LATERAL (
            SELECT (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC' - (n + 1) * interval '1 microsecond'
        ) AS at (moment)
"""


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


DAY, OTHER_DAY = days_ago(3), days_ago(5)


def part(table: str, day: date, number: int = 0) -> str:
    return f"{table}/received_date={day}/part-{number}.parquet"


def fill(database: psycopg.Connection, day: date, *, events: int = 12, activity: int = 4) -> None:
    """Put rows into an ended day, its first and last moment among them."""
    for table in ("tracking_events", "activity_events"):
        partition = f"{table}_p{day:%Y%m%d}"
        if database.execute("SELECT to_regclass(%s)", [partition]).fetchone() == (None,):
            database.execute(PARTITION.format(table=table, day=day, end=day + timedelta(days=1)))
    database.execute(EVENTS, {"day": day, "count": events})
    database.execute(ACTIVITY, {"day": day, "count": activity})


def closed_days(warehouse_path: Path) -> list[date]:
    """The closed days of which there are hot events."""
    with duckdb.connect(str(warehouse_path)) as connection:
        return closed_hot_days(connection, "tracking_events", read_cursors(connection)["tracking_events"])


@dataclass(frozen=True)
class Home:
    """A home folder whose warehouse is loaded from one database."""

    folder: Path
    database_url: str
    archive_address: str | None = None

    @property
    def warehouse_path(self) -> Path:
        return self.folder / "warehouse" / "warehouse.duckdb"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def store(self) -> Archive:
        return open_archive(self.archive_address, self.warehouse_path)

    @property
    def manifest(self) -> Path:
        return self.archive / "manifest.jsonl"

    def load(self, *, full: bool = False) -> None:
        load(self.database_url, self.warehouse_path, full=full, archive_address=self.archive_address)

    def load_closed(self, *, full: bool = False) -> None:
        """Load until the ended days are closed: until what had an xid then, such as autovacuum, has ended."""
        self.load(full=full)
        for _ in range(100):
            if closed_days(self.warehouse_path):
                return
            self.load()
        raise AssertionError("a transaction stays open: no day can be sealed")

    def seal(self) -> list[str]:
        """Seal, and name what was sealed."""
        files = seal(self.database_url, self.warehouse_path, archive_address=self.archive_address)
        return [file.path for file in files]

    def ask(self, query: str) -> Rows:
        with duckdb.connect(str(self.warehouse_path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            self.store.attach(connection)
            return connection.execute(query).fetchall()

    def hot_count(self, table: str = "tracking_events") -> int:
        return int(self.ask(f"SELECT count(*) FROM raw.{table}")[0][0])

    def sources(self) -> dict[str, Rows]:
        """All rows of the event tables as the models read them."""
        prepare_sources(self.warehouse_path, self.archive_address)
        with duckdb.connect(str(self.warehouse_path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            self.store.attach(connection)
            return {
                table: connection.execute(f"SELECT * FROM sources.{table} ORDER BY event_id").fetchall()
                for table in ("tracking_events", "activity_events", "tracking_documents")
            }
