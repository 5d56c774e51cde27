"""A Postgres with another past than the one that was loaded stops the load, however much it looks like it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psycopg
import pytest

from footfall.postgres import embedded_postgres
from ingest_app.database import make_engine
from ingest_app.migrate import migrate
from warehouse.archive.seal import seal
from warehouse.errors import RowsDiffer, SnapshotWentBack, StillStopped
from warehouse.load import load

AN_EVENT = (
    "INSERT INTO tracking_events (user_type, app_name, event_type, event_name) VALUES ('guest', 'A', 'visit', %s)"
)
FULL = "footfall refresh --full"
ROWS_OF_ANY_KIND = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, created_at)
    VALUES ('guest', 'A', 'visit', 'ü 😀', 'infinity');
    INSERT INTO user_point_logs (user_id, action, points, related_event, created_at)
    VALUES (1, 'earn', 5, NULL, '2026-03-29 01:30:00.123456+02'), (2, 'earn', -5, '', '-infinity');
    INSERT INTO users (id, name, user_type, country_code) VALUES (1, NULL, 'student', 'DE');
    INSERT INTO users (id, name, user_type, country_code) VALUES (2, E'a\\n''b', 'teacher', 'D ');
    INSERT INTO accounts (username, created_at) VALUES ('', '0001-01-01Z');
    INSERT INTO subscriptions (plan, status, ends_at) VALUES ('never', 'active', 'infinity');
    INSERT INTO subscriptions (plan, status, ends_at) VALUES ('', 'active', '4713-01-01 BC')
"""


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "warehouse.duckdb"


def in_warehouse(warehouse_path: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse_path)) as connection:
        return connection.execute(statement).fetchall()


def insert_events(database: psycopg.Connection, name: str, count: int) -> None:
    """One transaction an event."""
    for _ in range(count):
        database.execute(AN_EVENT, [name])


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, psycopg.Connection]]:
    with embedded_postgres(folder) as url, psycopg.connect(url, autocommit=True) as database:
        yield url, database


def make_schema(url: str) -> None:
    engine = make_engine(url)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()


def test_data_folder_put_back_stops_until_full(tmp_path: Path) -> None:
    at_once, later = (tmp_path / name / "warehouse" / "warehouse.duckdb" for name in ("at_once", "later"))
    # not a folder of pytest's, which the server's own user may not enter
    with TemporaryDirectory(prefix="footfall-") as name:
        folder, backup = Path(name) / "postgres", Path(name) / "backup"
        with running(folder) as (url, database):
            make_schema(url)
            insert_events(database, "kept", 3)
            load(url, at_once)
        subprocess.run(["cp", "-a", folder, backup], check=True)
        with running(folder) as (url, database):
            insert_events(database, "lost", 20)
            load(url, at_once)
        shutil.copytree(at_once.parent, later.parent)
        shutil.rmtree(folder)
        backup.rename(folder)
        with running(folder) as (url, database):
            with pytest.raises(SnapshotWentBack, match=FULL) as seen:
                load(url, at_once)
            insert_events(database, "new", 40)
            # as many transactions as before, and more: the cursor alone would let it pass
            for go_on in (load, seal):
                with pytest.raises(StillStopped, match=re.escape(str(seen.value))):
                    go_on(url, at_once)
            with pytest.raises(RowsDiffer, match=f"tracking_events .*: 43 on either side, but others; .*{FULL}"):
                load(url, later)
            for warehouse_path in (at_once, later):
                load(url, warehouse_path, full=True)
                load(url, warehouse_path, compare_keys=True)
                found = in_warehouse(warehouse_path, "SELECT event_name, count(*) FROM raw.tracking_events GROUP BY 1")
                assert dict(found) == {"kept": 3, "new": 40}


@pytest.mark.parametrize(
    ("table", "compare_keys"),
    [("users", False), ("user_point_logs", False), ("tracking_events", True)],
)
def test_older_rows_put_back_stop_the_load(
    database: psycopg.Connection, database_url: str, warehouse_path: Path, table: str, compare_keys: bool
) -> None:
    database.execute(ROWS_OF_ANY_KIND)
    load(database_url, warehouse_path)
    database.execute(f"CREATE SCHEMA dump; CREATE TABLE dump.rows AS SELECT * FROM {table}")
    database.execute("UPDATE users SET name = 'newer' WHERE id = 1")
    database.execute(ROWS_OF_ANY_KIND.replace("(1, NULL,", "(3, NULL,").replace("(2, E'a", "(4, E'a"))
    load(database_url, warehouse_path)
    database.execute(f"""
        ALTER TABLE {table} DISABLE TRIGGER USER;
        TRUNCATE {table} CASCADE;
        INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM dump.rows;
        ALTER TABLE {table} ENABLE TRIGGER USER
    """)
    with pytest.raises(RowsDiffer, match=f"^{table} has other rows .*{FULL}") as seen:
        load(database_url, warehouse_path, compare_keys=compare_keys)
    with pytest.raises(StillStopped, match=re.escape(str(seen.value))):
        load(database_url, warehouse_path)
    load(database_url, warehouse_path, full=True)
    load(database_url, warehouse_path, compare_keys=True)


def test_table_made_again_with_other_rows_stops(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    insert_events(database, "lost", 1)
    load(database_url, warehouse_path)
    database.execute("""
        CREATE TABLE again (LIKE tracking_events INCLUDING ALL) PARTITION BY RANGE (received_at);
        DROP TABLE tracking_events CASCADE;
        ALTER TABLE again RENAME TO tracking_events
    """)
    with pytest.raises(RowsDiffer, match="0 there, 1 here"):
        load(database_url, warehouse_path)


def test_row_with_an_old_xid_is_found_at_night(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    load(database_url, warehouse_path)
    database.execute("""
        INSERT INTO tracking_events (user_type, app_name, event_type, event_name, xid)
        VALUES ('guest', 'A', 'visit', 'merged', '700')
    """)
    load(database_url, warehouse_path)
    with pytest.raises(RowsDiffer, match=r"tracking_events .*\d: 1 there, 0 here; "):
        load(database_url, warehouse_path, compare_keys=True)
    load(database_url, warehouse_path, full=True)
    assert in_warehouse(warehouse_path, "SELECT event_name FROM raw.tracking_events") == [("merged",)]


def test_deleted_event_stops_the_key_comparison(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    insert_events(database, "gone", 1)
    load(database_url, warehouse_path)
    database.execute("DELETE FROM tracking_events")
    load(database_url, warehouse_path)
    with pytest.raises(RowsDiffer, match="0 there, 1 here"):
        load(database_url, warehouse_path, compare_keys=True)


def test_equal_rows_go_on_after_a_restart(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute(ROWS_OF_ANY_KIND)
    load(database_url, warehouse_path)
    database.execute("DELETE FROM users WHERE id = 1")
    in_warehouse(warehouse_path, "UPDATE meta.compared SET incarnation = 'of another start'")
    load(database_url, warehouse_path)
    # that is what a comparison does
    assert in_warehouse(warehouse_path, "SELECT id FROM raw.users") == [(2,)]
    assert in_warehouse(warehouse_path, "FROM meta.compared WHERE incarnation = 'of another start'") == []


def test_file_of_before_comparisons_loads_on(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute(ROWS_OF_ANY_KIND)
    load(database_url, warehouse_path)
    in_warehouse(warehouse_path, "DROP TABLE meta.compared; DROP TABLE meta.stops")
    insert_events(database, "new", 1)
    load(database_url, warehouse_path)
    assert in_warehouse(warehouse_path, "SELECT count(*) FROM raw.tracking_events") == [(2,)]
