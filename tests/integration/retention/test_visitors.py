"""Visitors are forgotten and stay counted: in Postgres and in the warehouse, whoever is killed, whenever."""

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.intake import Intake
from ingest_app.store import see_visitors
from tests.integration.retention.growing import DAY, grow, visitors
from warehouse.housekeeping import keep_house
from warehouse.load import TableLoad, load

OLD, YOUNG = 100, 10

# ends by SIGKILL while a batch waits in Postgres
HOUSEKEEPING = """
import sys
from pathlib import Path
from warehouse import aged_rows
from warehouse.housekeeping import keep_house

aged_rows.BATCH_ROWS = 20
keep_house(sys.argv[1], Path(sys.argv[2]), dry_run=False)
"""
# a child is killed after the first table of the group, the next once the second is loaded too and nothing committed
LOADS = """
import os, signal, sys
from pathlib import Path
import warehouse.load

def load_and_die(deadly):
    do = warehouse.load._load_table
    def do_and_die(warehouse, snapshot, archive, table, *rest, **more):
        loaded = do(warehouse, snapshot, archive, table, *rest, **more)
        if table.name == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return loaded
    warehouse.load._load_table = do_and_die
    warehouse.load.load(sys.argv[1], Path(sys.argv[2]))

for table in sys.argv[3:]:
    child = os.fork()
    if not child:
        try:
            load_and_die(table)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# who waits for the lock of forgotten_visitors that a test holds
WAITING = "SELECT l.pid FROM pg_locks AS l WHERE l.relation = 'forgotten_visitors'::regclass AND NOT l.granted"


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "warehouse.duckdb"


@pytest.fixture
def crowd(database: psycopg.Connection) -> int:
    """Visitors of whom some will be forgotten."""
    grow(database, "visitor_sessions", 400 * DAY, OLD)
    grow(database, "visitor_sessions", 300 * DAY, YOUNG)
    return OLD + YOUNG


def raw_counts(warehouse_path: Path) -> tuple[int, int]:
    """Count the sessions that are loaded, and the forgotten visitors."""
    with duckdb.connect(str(warehouse_path)) as connection:
        [(sessions,)] = connection.execute("SELECT count(*) FROM raw.visitor_sessions").fetchall()
        [(forgotten,)] = connection.execute(
            "SELECT coalesce(sum(visitor_count), 0) FROM raw.forgotten_visitors"
        ).fetchall()
    return int(sessions), int(forgotten)


def by_name(loads: list[TableLoad]) -> dict[str, TableLoad]:
    return {loaded.table_name: loaded for loaded in loads}


def keep(database_url: str, home: Path) -> None:
    assert [found.fault for found in keep_house(database_url, home, dry_run=False) if found.fault] == []


def test_forgotten_visitors_are_counted_by_quarter_hours(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    spans = [("2020-01-01 23:44:59.9Z", "2020-01-02 00:00Z"), ("2020-01-01 23:30Z", "2020-01-02 00:14:59.999Z")]
    for number, (first, last) in enumerate([*spans, ("-infinity", "2020-01-02 00:15Z")]):
        database.execute(
            "INSERT INTO visitor_sessions (session_id, first_seen_at, last_seen_at) VALUES (%s, %s, %s)",
            [str(number), first, last],
        )
    keep(database_url, tmp_path)
    query = "SELECT first_seen_at::text, last_seen_at::text, visitor_count FROM forgotten_visitors ORDER BY 1"
    database.execute("SET TimeZone = 'UTC'")
    assert database.execute(query).fetchall() == [
        ("-infinity", "2020-01-02 00:15:00+00", 1),
        ("2020-01-01 23:30:00+00", "2020-01-02 00:00:00+00", 2),
    ]


def test_visitor_who_comes_again_counts_as_new(
    database: psycopg.Connection, database_url: str, tmp_path: Path, warehouse_path: Path
) -> None:
    rows = b'[{"session_id": "s1", "first_seen_at": "2020-01-01T00:00:00Z", "last_seen_at": "2020-01-01T00:00:00Z"}]'
    engine = make_engine(database_url)
    for times in (1, 2, 3):
        with engine.begin() as connection:
            see_visitors(Intake(connection), rows)
        keep(database_url, tmp_path)
        load(database_url, warehouse_path)
        assert raw_counts(warehouse_path) == (0, times)
    engine.dispose()
    assert database.execute("SELECT count(*), sum(visitor_count) FROM forgotten_visitors").fetchone() == (1, 3)


def test_next_load_sees_sessions_go_and_numbers_come(
    crowd: int, database: psycopg.Connection, database_url: str, tmp_path: Path, warehouse_path: Path
) -> None:
    load(database_url, warehouse_path)
    keep(database_url, tmp_path)
    loads = by_name(load(database_url, warehouse_path))
    assert loads["visitor_sessions"].deleted_row_count == OLD
    assert raw_counts(warehouse_path) == (YOUNG, OLD)
    again = by_name(load(database_url, warehouse_path, compare_keys=True))
    assert again["visitor_sessions"].deleted_row_count == 0


def test_load_killed_between_the_tables_changes_neither(
    crowd: int, database_url: str, tmp_path: Path, warehouse_path: Path
) -> None:
    load(database_url, warehouse_path)
    keep(database_url, tmp_path)
    command = [sys.executable, "-c", LOADS, database_url, str(warehouse_path), "forgotten_visitors", "visitor_sessions"]
    killed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert killed.stdout.split() == ["-9", "-9"]
    assert raw_counts(warehouse_path) == (crowd, 0)
    load(database_url, warehouse_path)
    assert raw_counts(warehouse_path) == (YOUNG, OLD)


@pytest.mark.parametrize("server_goes_on", [True, False])
def test_housekeeping_killed_in_a_batch_keeps_all_counts(
    crowd: int, database: psycopg.Connection, database_url: str, tmp_path: Path, server_goes_on: bool
) -> None:
    with psycopg.connect(database_url) as other:
        # counting waits for it, so the batch is half done: its sessions are deleted and their number is not there
        other.execute("LOCK TABLE forgotten_visitors IN SHARE MODE")
        command = [sys.executable, "-c", HOUSEKEEPING, database_url, str(tmp_path)]
        with subprocess.Popen(command) as child:
            while not (waiting := database.execute(WAITING).fetchall()):
                assert child.poll() is None
                time.sleep(0.01)
            child.kill()
        if not server_goes_on:
            database.execute("SELECT pg_terminate_backend(%s, 5000)", waiting[0])
    # the server ends the statement of a client that is gone, or rolls it back: either way whole
    while database.execute("SELECT FROM pg_stat_activity WHERE pid = %s", waiting[0]).fetchall():
        time.sleep(0.01)
    assert visitors(database) == crowd
    keep(database_url, tmp_path)
    assert visitors(database) == crowd
    assert database.execute("SELECT count(*) FROM visitor_sessions").fetchone() == (YOUNG,)
