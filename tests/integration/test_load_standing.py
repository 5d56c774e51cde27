"""Tables of Postgres that do not stand as the load needs them stop it, before any row."""

from pathlib import Path

import duckdb
import psycopg
import pytest

from warehouse.errors import (
    PartitionDetached,
    SchemaMissing,
    SchemaUnknown,
    TableOfAnotherKind,
    WarehouseError,
    XidNotKept,
)
from warehouse.load import load

YESTERDAYS = "SELECT 'tracking_events_p' || to_char((now() - interval '1 day') AT TIME ZONE 'UTC', 'YYYYMMDD')"
AN_EVENT = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, received_at)
    VALUES ('student', 'DViz', 'visit', 'open', now() - interval '1 day')
"""


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def yesterday(database: psycopg.Connection) -> str:
    """The partition of yesterday."""
    row = database.execute(YESTERDAYS).fetchone()
    assert row is not None
    return str(row[0])


def detach(database: psycopg.Connection, partition: str) -> None:
    database.execute(f"ALTER TABLE tracking_events DETACH PARTITION {partition}".encode())


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (
            "ALTER TABLE users RENAME TO people; CREATE VIEW users AS SELECT * FROM people",
            TableOfAnotherKind,
            "users is a view",
        ),
        (
            "CREATE TABLE plain (LIKE tracking_events INCLUDING ALL); DROP TABLE tracking_events;"
            "ALTER TABLE plain RENAME TO tracking_events",
            TableOfAnotherKind,
            "tracking_events is a plain table in Postgres, not a partitioned table",
        ),
        ("ALTER TABLE users DISABLE TRIGGER set_xid", XidNotKept, "users"),
        ("DROP TRIGGER set_xid ON accounts", XidNotKept, "accounts"),
        ("ALTER TABLE user_point_logs ALTER xid DROP DEFAULT", XidNotKept, "user_point_logs"),
        ("ALTER TABLE tracking_events ALTER xid SET DEFAULT '3'", XidNotKept, "tracking_events"),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_table_that_would_hide_rows_stops(
    database: psycopg.Connection,
    database_url: str,
    warehouse_path: Path,
    change: str,
    error: type[WarehouseError],
    named: str,
    full: bool,
) -> None:
    database.execute(change.encode())
    with pytest.raises(error, match=named) as stopped:
        load(database_url, warehouse_path, full=full)
    assert "`footfall refresh --full`" in str(stopped.value)


@pytest.mark.parametrize("full", [False, True])
def test_detached_partition_with_new_rows_stops(
    database: psycopg.Connection, database_url: str, warehouse_path: Path, yesterday: str, full: bool
) -> None:
    load(database_url, warehouse_path)
    database.execute(AN_EVENT)
    detach(database, yesterday)
    with pytest.raises(PartitionDetached, match=yesterday) as stopped:
        load(database_url, warehouse_path, full=full)
    database.execute(str(stopped.value).split("`")[1].encode())
    assert {it.table_name: it.loaded_row_count for it in load(database_url, warehouse_path, full=full)}[
        "tracking_events"
    ] == 1


def test_detached_partition_without_new_rows_is_no_matter(
    database: psycopg.Connection, database_url: str, warehouse_path: Path, yesterday: str
) -> None:
    database.execute(AN_EVENT)
    load(database_url, warehouse_path)
    detach(database, yesterday)
    assert sum(it.loaded_row_count for it in load(database_url, warehouse_path)) == 0


def test_table_that_no_day_names_is_no_partition(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("CREATE TABLE tracking_events_p1 AS SELECT 1 AS id; CREATE TABLE users_p202611 AS SELECT 1 AS id")
    assert sum(it.loaded_row_count for it in load(database_url, warehouse_path)) == 6


def test_unmigrated_database_names_the_command(empty_database_url: str, warehouse_path: Path) -> None:
    with pytest.raises(SchemaMissing, match="footfall migrate"):
        load(empty_database_url, warehouse_path)
    with pytest.raises(WarehouseError, match="footfall migrate"):
        load(empty_database_url, warehouse_path, full=True)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ("ALTER TABLE users DROP COLUMN account_id", SchemaMissing, "users.account_id"),
        ("ALTER TABLE users RENAME account_id TO account", SchemaMissing, r"users\.account_id .* has users\.account "),
        ("DROP TABLE visitor_sessions", SchemaMissing, "visitor_sessions"),
        ("DROP TABLE tracking_events", SchemaMissing, "tracking_events"),
        ("ALTER TABLE users ADD COLUMN nickname text", SchemaUnknown, "users.nickname"),
        ("ALTER TABLE user_points ALTER COLUMN points TYPE bigint", SchemaMissing, r"points \(INTEGER\) .*\(BIGINT\)"),
        ("CREATE TABLE likes (id bigint, xid xid8)", SchemaUnknown, "likes"),
    ],
)
def test_drifted_schema_stops_before_any_row(
    database: psycopg.Connection,
    database_url: str,
    warehouse_path: Path,
    change: str,
    error: type[WarehouseError],
    named: str,
) -> None:
    database.execute(AN_EVENT)
    database.execute(change)
    with pytest.raises(error, match=named):
        load(database_url, warehouse_path)
    with duckdb.connect(str(warehouse_path)) as warehouse:
        assert warehouse.execute("SELECT count(*) FROM raw.tracking_events").fetchall() == [(0,)]
