"""A home whose loads write to the lake, and what is in its lake. No assertion here."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg

from tests.integration.archive.sealing import Home, Rows
from warehouse.archive.days import closed_hot_days
from warehouse.connection import open_warehouse
from warehouse.cursors import read_cursors
from warehouse.lake.hot import HotFile, is_in_lake, named_files
from warehouse.load import TableLoad, load
from warehouse.tables import EVENT_TABLES

EVENTS = """
    INSERT INTO tracking_events (user_id, user_type, app_name, event_type, event_name, received_at)
    SELECT n, 'student', 'DViz', 'visit', %s, %s::timestamp AT TIME ZONE 'UTC' + n * interval '1 second'
    FROM generate_series(1, %s) AS n
"""


@dataclass(frozen=True)
class LakeHome(Home):
    """A home folder with hot rows in the lake of its archive."""

    def load(self, *, full: bool = False) -> None:
        self.load_tables(full=full)

    def load_tables(
        self, *, into_lake: bool = True, full: bool = False, compare_keys: bool = False
    ) -> dict[str, TableLoad]:
        loads = load(
            self.database_url,
            self.warehouse_path,
            full=full,
            compare_keys=compare_keys,
            archive_address=self.archive_address,
            into_lake=into_lake,
        )
        return {loaded.table_name: loaded for loaded in loads}

    def load_closed(self, *, full: bool = False) -> None:
        """Load until the ended days are closed, wherever the lake is."""
        self.load(full=full)
        for _ in range(100):
            with open_warehouse(self.warehouse_path) as warehouse:
                self.store.attach(warehouse)
                if closed_hot_days(warehouse, "tracking_events", read_cursors(warehouse)["tracking_events"]):
                    return
            self.load()
        raise AssertionError("a transaction stays open: no day can be sealed")

    @property
    def hot(self) -> Path:
        return self.archive / "lake" / "hot"

    def named(self) -> list[HotFile]:
        with open_warehouse(self.warehouse_path) as warehouse:
            return named_files(warehouse)

    def in_lake(self) -> list[str]:
        with open_warehouse(self.warehouse_path) as warehouse:
            return [table for table in EVENT_TABLES if is_in_lake(warehouse, table)]

    def stray(self) -> set[str]:
        """What lies in the folder of hot files and is not named, by path."""
        found = {path.relative_to(self.archive).as_posix() for path in self.hot.rglob("*") if path.is_file()}
        return found - {file.path for file in self.named()}


def events(database: psycopg.Connection, day: object, count: int, name: str = "open") -> None:
    database.execute(EVENTS, [name, day, count])


def rows_in(path: Path) -> Rows:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            f"SELECT * FROM read_parquet('{path}', hive_partitioning = false) ORDER BY id"
        ).fetchall()


def hot_rows(home: Home, schema: str = "raw") -> dict[str, Rows]:
    return {table: home.ask(f"SELECT * FROM {schema}.{table} ORDER BY id") for table in EVENT_TABLES}


def ids(home: Home, table: str = "tracking_events", schema: str = "raw") -> list[int]:
    return [row_id for (row_id,) in home.ask(f"SELECT id FROM {schema}.{table} ORDER BY id")]


def ids_in_postgres(database: psycopg.Connection, table: str = "tracking_events") -> list[int]:
    return [row_id for (row_id,) in database.execute(f"SELECT id FROM {table} ORDER BY id".encode()).fetchall()]
