"""The disk is full in the middle of a load or a publish: one line says what failed, the old state is kept, all goes on.

A limit on the size of files stands for the full disk: it needs no root, and a write fails in the same places.
"""

from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tests.integration.spools import run_python
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.load import load
from warehouse.publish import PublishedTable, publish

LIMITED = """
import resource, sys
from pathlib import Path
from warehouse.errors import WarehouseError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    {call}
except WarehouseError as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""
LOAD = LIMITED.format(
    call="from warehouse.load import load; load(sys.argv[2], Path(sys.argv[3]), full=sys.argv[4:] != [])"
)
PUBLISH = LIMITED.format(call="from warehouse.publish import publish; publish(Path(sys.argv[2]), Path(sys.argv[3]))")

# random, so that they do not shrink
EVENTS = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, session_id)
    SELECT 'guest', 'DViz', 'visit', 'open', gen_random_uuid()::text FROM generate_series(1, %s)
"""
SOME, MANY = 100, 30_000


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def complaint(script: str, *arguments: object) -> str:
    with run_python(script, *arguments) as process:
        output, errors = process.communicate(timeout=120)
    assert errors == ""
    assert output.count("\n") == 1, output
    return output


def in_file(path: Path, statement: str, *, read_only: bool = True) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=read_only) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.parametrize(("room_bytes", "full"), [(0, []), (500_000, []), (500_000, ["full"])])
def test_load_on_full_disk_is_undone_and_repeated(
    database: psycopg.Connection, database_url: str, warehouse_path: Path, room_bytes: int, full: list[str]
) -> None:
    database.execute(EVENTS, [SOME])
    load(database_url, warehouse_path)
    database.execute(EVENTS, [MANY])
    limit = warehouse_path.stat().st_size + room_bytes
    says = complaint(LOAD, limit, database_url, warehouse_path, *full)
    assert says.startswith("LoadFailed: the load of tracking_events failed and was undone")
    assert "File too large" in says
    count = "SELECT count(*), count(DISTINCT event_id) FROM raw.tracking_events"
    assert in_file(warehouse_path, count) == [(SOME, SOME)]
    load(database_url, warehouse_path)
    assert in_file(warehouse_path, count) == [(SOME + MANY, SOME + MANY)]


@pytest.mark.parametrize("room_bytes", [0, 100_000, 2_000_000])
def test_publish_on_full_disk_keeps_the_old_file(tmp_path: Path, warehouse_path: Path, room_bytes: int) -> None:
    published_path = tmp_path / "published" / "analytics.duckdb"
    begin_build(warehouse_path, "a build")
    with open_warehouse(warehouse_path) as warehouse:
        warehouse.execute("CREATE SCHEMA marts; CREATE TABLE marts.rpt_days AS SELECT 1::HUGEINT AS n")
    finish_build(warehouse_path, "a build")
    publish(warehouse_path, published_path)
    before = published_path.read_bytes()
    in_file(
        warehouse_path, "INSERT INTO marts.rpt_days SELECT hash(range)::INT128 FROM range(500_000)", read_only=False
    )
    says = complaint(PUBLISH, room_bytes, warehouse_path, published_path)
    assert says.startswith(f"PublishFailed: the marts were not published, {published_path} is as it was: ")
    assert "File too large" in says
    assert published_path.read_bytes() == before
    assert {path.name for path in published_path.parent.iterdir()} == {"analytics.duckdb", "analytics.duckdb.wal"}
    assert publish(warehouse_path, published_path) == [PublishedTable("rpt_days", 500_001)]
