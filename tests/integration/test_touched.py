"""Which quarter hours a load touches, and until when that is kept. What the models make of it: tests/sql."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest

from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.errors import LoadFailed
from warehouse.load import load
from warehouse.tables import TABLES
from warehouse.touched import touch_days

ALL_OF_EACH = [(table.name, None) for table in TABLES]
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
Touched = list[tuple[str, datetime | None]]


@pytest.fixture
def warehouse_path(database_url: str, tmp_path: Path) -> Path:
    """A warehouse that is loaded and built."""
    path = tmp_path / "warehouse" / "warehouse.duckdb"
    load(database_url, path)
    build(path)
    return path


def test_first_load_touches_all_of_each_table(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    load(database_url, path)
    assert touched(path) == sorted(ALL_OF_EACH)


def test_load_touches_quarter_hours_of_new_rows(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    insert(database, "12:00", "12:14:59.999999", "12:15", "23:59:59.999999")
    load(database_url, warehouse_path)
    slots = [
        ("activity_events", NOON.replace(hour=hour, minute=minute)) for hour, minute in ((12, 0), (12, 15), (23, 45))
    ]
    assert touched(warehouse_path) == slots
    insert(database, "12:01", "13:00")
    load(database_url, warehouse_path)
    load(database_url, warehouse_path)
    assert touched(warehouse_path) == sorted([*slots, ("activity_events", NOON.replace(hour=13))])


def test_row_that_commits_late_touches_its_quarter_hour(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    with psycopg.connect(database_url) as late:
        insert(late, "08:00")
        insert(database, "12:00")
        load(database_url, warehouse_path)
        build(warehouse_path)
    load(database_url, warehouse_path)
    assert touched(warehouse_path) == [("activity_events", NOON.replace(hour=8))]


def test_full_load_touches_all_of_each_table(database_url: str, warehouse_path: Path) -> None:
    load(database_url, warehouse_path, full=True)
    assert touched(warehouse_path) == sorted(ALL_OF_EACH)


def test_chosen_days_are_touched_from_end_to_end(warehouse_path: Path) -> None:
    first, second = (NOON.replace(month=3, day=day, hour=0) for day in (1, 2))
    with open_warehouse(warehouse_path) as warehouse:
        touch_days(warehouse, first.date(), second.date())
        touch_days(warehouse, second.date(), second.date())
        touch_days(warehouse, second.date(), date(2024, 3, 1))
    last_quarter_hour = timedelta(hours=23, minutes=45)
    ends = [end for day in (first, second) for end in (day, day + last_quarter_hour)]
    assert touched(warehouse_path) == sorted(
        (table.name, end) for table in TABLES if table.kind != "state" for end in ends
    )


def test_state_table_is_touched_by_change_and_by_absence(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    database.execute("INSERT INTO users (id, name, user_type) VALUES (1, 'Ann', 'student')")
    load(database_url, warehouse_path)
    assert begin_build(warehouse_path, "2", models_version="1") == ["users"]
    finish_build(warehouse_path, "2")
    assert begin_build(warehouse_path, "3", models_version="1") == []
    database.execute("DELETE FROM users")
    load(database_url, warehouse_path, compare_keys=True)
    assert begin_build(warehouse_path, "4", models_version="1") == ["users"]


def test_load_that_fails_touches_nothing(
    database: psycopg.Connection, database_url: str, warehouse_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise duckdb.IOException("disk full")

    insert(database, "12:00")
    monkeypatch.setattr("warehouse.load.save_cursor", full_disk)
    with pytest.raises(LoadFailed):
        load(database_url, warehouse_path)
    assert touched(warehouse_path) == []


def test_only_a_passed_build_forgets(database: psycopg.Connection, database_url: str, warehouse_path: Path) -> None:
    insert(database, "12:00")
    load(database_url, warehouse_path)
    assert begin_build(warehouse_path, "2", models_version="1") == ["activity_events"]
    assert touched(warehouse_path) == [("activity_events", NOON)]
    finish_build(warehouse_path, "2")
    assert touched(warehouse_path) == []


def test_other_models_touch_everything_until_they_pass(warehouse_path: Path) -> None:
    assert begin_build(warehouse_path, "2", models_version="2") is None
    assert begin_build(warehouse_path, "3", models_version="2") is None
    finish_build(warehouse_path, "3")
    assert begin_build(warehouse_path, "4", models_version="2") == []
    assert begin_build(warehouse_path, "5", models_version="2", full=True) is None


def test_build_of_an_older_footfall_touches_everything(warehouse_path: Path) -> None:
    with open_warehouse(warehouse_path) as warehouse:
        warehouse.execute("ALTER TABLE meta.builds DROP models_version; DROP TABLE meta.touched")
    assert begin_build(warehouse_path, "2", models_version="1") is None


def build(path: Path) -> None:
    begin_build(path, "1", models_version="1")
    finish_build(path, "1")


def insert(database: psycopg.Connection, *times: str) -> None:
    for time in times:
        database.execute(
            "INSERT INTO activity_events (event_type, created_at) VALUES ('login', %s)", [f"2024-02-29 {time}Z"]
        )


def touched(path: Path) -> Touched:
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute("FROM meta.touched ORDER BY ALL").fetchall()
