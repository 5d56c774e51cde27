"""How the rows that a load brings are counted: late ones, their bytes, the age of the newest event."""

from pathlib import Path

import psycopg

from warehouse.load import TableLoad, load
from warehouse.new_rows import newest_event_age_seconds

INSERT = "INSERT INTO activity_events (event_type, created_at) VALUES ('login', %s::timestamptz)"


def loaded(database_url: str, warehouse_path: Path, table: str = "activity_events") -> TableLoad:
    [found] = [done for done in load(database_url, warehouse_path) if done.table_name == table]
    return found


def test_late_rows_are_counted_by_one_load(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    warehouse_path = tmp_path / "warehouse.duckdb"
    database.execute(INSERT, ["2024-02-29 12:00+00"])
    assert loaded(database_url, warehouse_path).late_row_count == 1
    assert loaded(database_url, warehouse_path).late_row_count == 0
    database.execute(INSERT, ["now"])
    database.execute(INSERT, ["2024-03-01 12:00+00"])
    assert loaded(database_url, warehouse_path).late_row_count == 1


def test_only_events_know_when_they_are_late(database_url: str, tmp_path: Path) -> None:
    assert loaded(database_url, tmp_path / "warehouse.duckdb", "users").late_row_count is None


def test_bytes_are_those_of_new_rows(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    warehouse_path = tmp_path / "warehouse.duckdb"
    database.execute(INSERT, ["now"])
    one = loaded(database_url, warehouse_path).byte_count
    assert one > 50
    assert loaded(database_url, warehouse_path).byte_count == 0
    for _ in range(100):
        database.execute(INSERT, ["now"])
    assert loaded(database_url, warehouse_path).byte_count > 50 * one


def test_newest_event_has_an_age_once_loaded(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    warehouse_path = tmp_path / "warehouse.duckdb"
    database.execute(INSERT, ["2024-02-29 12:00+00"])
    assert newest_event_age_seconds(warehouse_path) is None
    loaded(database_url, warehouse_path)
    age = newest_event_age_seconds(warehouse_path)
    assert age is not None
    assert 0 <= age < 300
