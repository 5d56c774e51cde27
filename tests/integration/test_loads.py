"""What the warehouse keeps of its loads: in which run each row came, also one whose transaction was open for long."""

from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from warehouse.connection import open_warehouse
from warehouse.load import load
from warehouse.loads import KEEP_DAYS, load_of

AN_EVENT = "INSERT INTO activity_events (event_type) VALUES ('login') RETURNING xid::text"


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "warehouse.duckdb"


def runs_of(warehouse_path: Path, *xids: int) -> list[str | None]:
    with open_warehouse(warehouse_path) as warehouse:
        found = [load_of(warehouse, "activity_events", xid) for xid in xids]
        return [one.run_id if one else None for one in found]


def insert(connection: psycopg.Connection) -> int:
    row: tuple[Any, ...] | None = connection.execute(AN_EVENT).fetchone()
    assert row
    return int(row[0])


def test_late_commit_is_of_the_run_that_saw_it(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    first = insert(database)
    load(database_url, warehouse_path, run_id="one")
    with psycopg.connect(database_url) as late:
        held = insert(late)
        second = insert(database)
        load(database_url, warehouse_path, run_id="two")
        assert runs_of(warehouse_path, held) == [None]
    load(database_url, warehouse_path, run_id="nothing of other tables")
    load(database_url, warehouse_path, run_id="nothing at all")
    assert runs_of(warehouse_path, first, second, held) == ["one", "two", "nothing of other tables"]
    with duckdb.connect(str(warehouse_path)) as warehouse:
        query = (
            "SELECT run_id, loaded_row_count FROM meta.loads WHERE table_name = 'activity_events' ORDER BY loaded_at"
        )
        assert warehouse.sql(query).fetchall() == [("one", 1), ("two", 1), ("nothing of other tables", 1)]


def test_full_load_brings_all_anew(database: psycopg.Connection, database_url: str, warehouse_path: Path) -> None:
    xid = insert(database)
    load(database_url, warehouse_path, run_id="one")
    load(database_url, warehouse_path, run_id="anew", full=True)
    assert runs_of(warehouse_path, xid, insert(database)) == ["anew", None]


def test_file_of_before_goes_on_without_its_loads(
    database: psycopg.Connection, database_url: str, warehouse_path: Path
) -> None:
    before = insert(database)
    load(database_url, warehouse_path, run_id="one")
    with duckdb.connect(str(warehouse_path)) as warehouse:
        warehouse.execute("DROP TABLE meta.loads")
    after = insert(database)
    load(database_url, warehouse_path, run_id="two")
    assert runs_of(warehouse_path, before, after) == [None, "two"]


def test_loads_are_kept_for_400_days(database: psycopg.Connection, database_url: str, warehouse_path: Path) -> None:
    xids = []
    for run_id, days in (("old", KEEP_DAYS + 1), ("young", KEEP_DAYS - 1), ("now", 0)):
        xids.append(insert(database))
        load(database_url, warehouse_path, run_id=run_id)
        with duckdb.connect(str(warehouse_path)) as warehouse:
            aged = "UPDATE meta.loads SET loaded_at = now() - INTERVAL 1 DAY * ? WHERE run_id = ?"
            warehouse.execute(aged, [days, run_id])
    assert runs_of(warehouse_path, *xids) == [None, "young", "now"]
