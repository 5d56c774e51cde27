"""The load: each committed row once, state as it is, and a clear stop where the two sides do not fit."""

import datetime as dt
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.migrate import migrate
from warehouse.columns import RAW_TYPES, selected
from warehouse.errors import (
    LoadFailed,
    OtherDatabase,
    PostgresUnreachable,
    RowsFromTheFuture,
    SnapshotWentBack,
    WarehouseError,
    WarehouseOutdated,
    WarehouseUnusable,
)
from warehouse.load import TableLoad, load

AN_EVENT = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name)
    VALUES ('student', 'DViz', 'visit', 'open') RETURNING id
"""


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "warehouse.duckdb"


def in_warehouse(warehouse_path: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse_path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(statement).fetchall()


def by_name(loads: list[TableLoad]) -> dict[str, TableLoad]:
    return {load.table_name: load for load in loads}


def test_empty_database_loads_only_seeded_settings(database_url: str, warehouse_path: Path) -> None:
    counts = {name: table.total_row_count for name, table in by_name(load(database_url, warehouse_path)).items()}
    assert counts.pop("admin_settings") == 6
    assert set(counts.values()) == {0}


def test_second_load_takes_nothing_again(database: psycopg.Connection, database_url: str, warehouse_path: Path) -> None:
    database.execute(AN_EVENT)
    database.execute("INSERT INTO user_point_logs (user_id, action, points) VALUES (1, 'earn', 5)")
    assert sum(table.loaded_row_count for table in load(database_url, warehouse_path)) == 8
    again = load(database_url, warehouse_path)
    assert sum(table.loaded_row_count for table in again) == 0
    assert sum(table.total_row_count for table in again) == 8


@pytest.mark.parametrize("full", [False, True])
def test_every_value_arrives_as_postgres_has_it(
    database: psycopg.Connection, database_url: str, warehouse_path: Path, full: bool
) -> None:
    load(database_url, warehouse_path)
    database.execute("""
        INSERT INTO tracking_events
            (user_id, user_type, app_name, event_type, event_name, country_code, ip_hash, meta, created_at)
        VALUES
            (9007199254740993, 'guest', 'a''b', 'button', 'ü 😀 \n"', 'DE', repeat('0f', 32),
             '{"b": 1.10, "a": ["ü", null]}', '2026-03-29 01:30:00.123456+02'),
            (NULL, 'guest', 'c', 'button', '', NULL, NULL, NULL, '0001-01-02 00:00:00+00')
    """)
    columns = """user_id, user_type, app_name, event_type, event_name, country_code, ip_hash, os, device_type,
        session_id, {meta}, created_at, event_id, received_at, created_at_adjusted, is_bot, {xid}"""
    wanted = database.execute(
        f"SELECT {columns.format(meta='meta::text', xid='xid::text::bigint')} FROM tracking_events ORDER BY id"
    ).fetchall()
    load(database_url, warehouse_path, full=full)
    found = in_warehouse(
        warehouse_path, f"SELECT {columns.format(meta='meta', xid='xid')} FROM raw.tracking_events ORDER BY id"
    )
    assert found == wanted


def test_endless_times_become_the_last_known_day(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    for stated in ("infinity", "20000-01-01", "-infinity", "4713-01-01 BC"):
        database.execute(
            "INSERT INTO subscriptions (plan, status, ends_at) VALUES (%s, 'active', %s)", [stated, stated]
        )
    load(database_url, warehouse_path)
    last, first = dt.datetime(9999, 12, 31, tzinfo=dt.UTC), dt.datetime(1, 1, 2, tzinfo=dt.UTC)
    assert dict(in_warehouse(warehouse_path, "SELECT plan, ends_at FROM raw.subscriptions")) == {
        "infinity": last,
        "20000-01-01": last,
        "-infinity": first,
        "4713-01-01 BC": first,
    }


def test_absent_time_is_not_the_first_day(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("ALTER TABLE subscriptions ALTER ends_at DROP NOT NULL")
    for plan, stated in (("never", None), ("once", "2026-01-02 03:04Z")):
        database.execute("INSERT INTO subscriptions (plan, status, ends_at) VALUES (%s, 'active', %s)", [plan, stated])
    load(database_url, warehouse_path)
    assert dict(in_warehouse(warehouse_path, "SELECT plan, ends_at FROM raw.subscriptions")) == {
        "never": None,
        "once": dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC),
    }


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("NULL", None), ("'2026-01-02 03:04Z'", dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC))],
)
def test_postgres_bounds_no_absent_time(
    database: psycopg.Connection, stated: str, expected: dt.datetime | None
) -> None:
    item = selected("ends_at", RAW_TYPES["timestamptz"])
    row = database.execute(f"SELECT {item} FROM (SELECT {stated}::timestamptz AS ends_at) AS it").fetchone()
    assert row == (expected,)


def test_updated_state_row_replaces_the_old(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    account_id = uuid.uuid4()
    database.execute(
        "INSERT INTO accounts (id, username) VALUES (%s, 'first'), (gen_random_uuid(), NULL)", [account_id]
    )
    load(database_url, warehouse_path)
    database.execute("UPDATE accounts SET username = 'second' WHERE id = %s", [account_id])
    database.execute("UPDATE accounts SET username = 'third' WHERE id = %s", [account_id])
    loaded = by_name(load(database_url, warehouse_path))["accounts"]
    assert (loaded.loaded_row_count, loaded.total_row_count) == (1, 2)
    assert in_warehouse(warehouse_path, "SELECT id FROM raw.accounts WHERE username = 'third'") == [(account_id,)]


def test_row_deleted_and_made_again_stands_once(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("INSERT INTO users (id, name, user_type) VALUES (1, 'old', 'student')")
    load(database_url, warehouse_path)
    database.execute("DELETE FROM users")
    database.execute("INSERT INTO users (id, name, user_type) VALUES (1, 'new', 'student')")
    load(database_url, warehouse_path)
    assert in_warehouse(warehouse_path, "SELECT id, name FROM raw.users") == [(1, "new")]


def test_deleted_row_goes_only_with_key_comparison(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("INSERT INTO users (id, user_type) VALUES (1, 'student'), (2, 'teacher')")
    load(database_url, warehouse_path)
    database.execute("DELETE FROM users WHERE id = 1")
    assert by_name(load(database_url, warehouse_path))["users"].total_row_count == 2
    compared = by_name(load(database_url, warehouse_path, compare_keys=True))["users"]
    assert (compared.deleted_row_count, compared.total_row_count) == (1, 1)
    assert in_warehouse(warehouse_path, "SELECT id FROM raw.users") == [(2,)]


def test_late_commit_is_loaded_and_rollback_never(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    with psycopg.connect(database_url) as late, psycopg.connect(database_url) as undone:
        late_row = late.execute(AN_EVENT).fetchone()
        undone.execute(AN_EVENT)
        early_row = database.execute(AN_EVENT).fetchone()
        load(database_url, warehouse_path)
        assert in_warehouse(warehouse_path, "SELECT id FROM raw.tracking_events") == [early_row]
        load(database_url, warehouse_path)
        late.commit()
        undone.rollback()
        load(database_url, warehouse_path)
    assert in_warehouse(warehouse_path, "SELECT id FROM raw.tracking_events ORDER BY id") == [late_row, early_row]


def test_another_database_stops_until_full(
    database: psycopg.Connection, database_url: str, empty_database_url: str, warehouse_path: Path
) -> None:
    database.execute(AN_EVENT)
    load(database_url, warehouse_path)
    engine = make_engine(empty_database_url)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()
    with pytest.raises(OtherDatabase, match="footfall refresh --full"):
        load(empty_database_url, warehouse_path)
    loaded = by_name(load(empty_database_url, warehouse_path, full=True))
    assert loaded["tracking_events"].total_row_count == 0
    assert by_name(load(empty_database_url, warehouse_path))["admin_settings"].total_row_count == 6


@pytest.mark.parametrize(
    ("tampered", "error"),
    [("system_identifier = '1'", OtherDatabase), ("snapshot = '900000000:900000000:'", SnapshotWentBack)],
)
def test_another_history_stops_until_full(
    database: psycopg.Connection,
    database_url: str,
    warehouse_path: Path,
    tampered: str,
    error: type[WarehouseError],
) -> None:
    database.execute(AN_EVENT)
    load(database_url, warehouse_path)
    in_warehouse(warehouse_path, f"UPDATE meta.load_cursors SET {tampered} WHERE table_name = 'users'")
    with pytest.raises(error, match="footfall refresh --full"):
        load(database_url, warehouse_path)
    load(database_url, warehouse_path, full=True)
    assert by_name(load(database_url, warehouse_path))["tracking_events"].total_row_count == 1


def test_rows_restored_from_another_server_are_adopted(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("""
        INSERT INTO tracking_events (user_type, app_name, event_type, event_name, xid)
        VALUES ('student', 'DViz', 'visit', 'open', '900000000')
    """)
    with pytest.raises(RowsFromTheFuture, match="footfall refresh --full"):
        load(database_url, warehouse_path)
    assert by_name(load(database_url, warehouse_path, full=True))["tracking_events"].loaded_row_count == 1
    assert by_name(load(database_url, warehouse_path))["tracking_events"].total_row_count == 1


def test_full_load_forgets_what_postgres_has_not(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute(AN_EVENT)
    load(database_url, warehouse_path)
    in_warehouse(warehouse_path, "CREATE VIEW a_view AS SELECT count(*) AS n FROM raw.tracking_events")
    database.execute("DELETE FROM tracking_events")
    database.execute("INSERT INTO users (id, user_type) VALUES (1, 'student')")
    loaded = by_name(load(database_url, warehouse_path, full=True))
    assert (loaded["tracking_events"].total_row_count, loaded["users"].total_row_count) == (0, 1)
    assert in_warehouse(warehouse_path, "SELECT n FROM a_view") == [(0,)]


def test_file_of_an_older_footfall_is_rebuilt(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("INSERT INTO users (id, user_type) VALUES (1, 'student')")
    load(database_url, warehouse_path)
    in_warehouse(warehouse_path, "ALTER TABLE raw.users DROP COLUMN account_id")
    with pytest.raises(WarehouseOutdated, match="footfall refresh --full"):
        load(database_url, warehouse_path)
    assert by_name(load(database_url, warehouse_path, full=True))["users"].total_row_count == 1
    load(database_url, warehouse_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@127.0.0.1:1/x",
        "postgresql://u:secret@127.0.0.1:nonsense/x",
        "postgresql://u:sec ret@127.0.0.1/x",
        "mysql://u:secret@127.0.0.1/x",
    ],
)
def test_unreachable_postgres_is_one_line_without_password(url: str, warehouse_path: Path) -> None:
    with pytest.raises(PostgresUnreachable) as caught:
        load(url, warehouse_path)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not warehouse_path.exists()


def test_failed_table_is_undone_and_taken_again(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    load(database_url, warehouse_path)
    database.execute("INSERT INTO users (id, user_type) VALUES (1, 'student')")
    # a view of the same name and columns stands in the way of the insert
    in_warehouse(
        warehouse_path,
        "ALTER TABLE raw.users RENAME TO kept; CREATE VIEW raw.users AS SELECT * FROM raw.kept",
    )
    with pytest.raises(LoadFailed, match="users"):
        load(database_url, warehouse_path)
    in_warehouse(warehouse_path, "DROP VIEW raw.users; ALTER TABLE raw.kept RENAME TO users")
    assert by_name(load(database_url, warehouse_path))["users"].total_row_count == 1


def test_file_that_is_no_warehouse_is_named(database_url: str, warehouse_path: Path) -> None:
    warehouse_path.parent.mkdir()
    warehouse_path.write_text("not a database" * 1000)
    with pytest.raises(WarehouseUnusable, match=r"warehouse\.duckdb"):
        load(database_url, warehouse_path)


def test_file_open_in_another_program_is_named(database_url: str, warehouse_path: Path) -> None:
    load(database_url, warehouse_path)
    hold = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(warehouse_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(WarehouseUnusable, match=f"PID {other.pid}"):
            load(database_url, warehouse_path)
