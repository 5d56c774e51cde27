"""What it costs that old days leave Postgres: seconds, and the longest that an insert beside it has to wait.

Beside it stands what is done without partitions: DELETE of the same rows and VACUUM, on a plain table with the same
rows and indexes. Then the whole archive is verified. Each writer inserts in a process of its own, a row a transaction.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from rich.console import Group
from rich.table import Table

from warehouse.archive.expire import expire
from warehouse.archive.seal import seal
from warehouse.archive.store import open_archive
from warehouse.archive.verify import verify_files
from warehouse.load import load

DEFAULT_DAYS = 90
DEFAULT_ROWS_A_DAY = 100_000
# the youngest of the days that are to go ended so many days ago
KEPT_DAYS = 90
PLAIN = "plain_events"

ROWS = """
    INSERT INTO tracking_events
        (user_id, user_type, app_name, event_type, event_name, country_code, ip_hash, os, device_type, session_id, meta,
         created_at, received_at)
    SELECT
        n % 5000, (ARRAY['student', 'teacher', 'guest'])[n % 3 + 1], 'app ' || n % 7, 'button', 'name ' || n % 40,
        (ARRAY['DE', 'FR', 'GB'])[n % 3 + 1], md5((n % 5000)::text) || md5((n % 5000)::text), 'Linux', 'desktop',
        md5((n % 9000)::text), jsonb_build_object('page', n % 100, 'ms', random()), moment, moment
    FROM generate_series(1, {rows}) AS n,
        LATERAL (SELECT '{day} 00:00Z'::timestamptz + n * interval '86000 seconds' / {rows}) AS at (moment)
"""
PARTITION = (
    "CREATE TABLE tracking_events_p{day:%Y%m%d} PARTITION OF tracking_events "
    "FOR VALUES FROM ('{day} 00:00Z') TO ('{end} 00:00Z')"
)
# inserts until its input ends; prints how many there were and how long the longest took
WRITER = """
import json, select, sys, time
import psycopg
url, table = sys.argv[1:]
columns = "user_type, app_name, event_type, event_name" + (", id" if table == "plain_events" else "")
values = "'guest', 'a', 'visit', 'x'" + (", 0" if table == "plain_events" else "")
longest, count = 0.0, 0
with psycopg.connect(url, autocommit=True) as connection:
    while not select.select([sys.stdin], [], [], 0)[0]:
        started = time.perf_counter()
        connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})")
        longest, count = max(longest, time.perf_counter() - started), count + 1
        if count == 10:
            print("under way", flush=True)
            longest = 0.0  # connecting and planning are over
print(json.dumps([longest, count]))
"""


def measure_expire(database_url: str, folder: Path, day_count: int, rows_a_day: int) -> Group:
    """Fill days, seal and copy them; let them go and delete them, a writer beside each; then verify the archive."""
    warehouse_path = folder / "expiring" / "warehouse" / "warehouse.duckdb"
    newest = datetime.now(UTC).date() - timedelta(days=KEPT_DAYS + 1)
    days = [newest - timedelta(days=number) for number in range(day_count)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        _fill(connection, days, rows_a_day)
    load(database_url, warehouse_path)
    seal(database_url, warehouse_path)
    idle = _beside(database_url, "tracking_events", lambda: time.sleep(3))
    results = [
        ("nothing", *idle),
        ("expire", *_beside(database_url, "tracking_events", lambda: _expire(database_url, warehouse_path, day_count))),
        ("DELETE, VACUUM", *_beside(database_url, PLAIN, lambda: _delete(database_url, newest))),
    ]
    return Group(_steps(day_count, rows_a_day, results), _verified(warehouse_path))


def _fill(connection: psycopg.Connection, days: list[date], rows_a_day: int) -> None:
    connection.execute("TRUNCATE tracking_events")
    for day in days:
        connection.execute(PARTITION.format(day=day, end=day + timedelta(days=1)).encode())
        connection.execute(ROWS.format(rows=rows_a_day, day=day).encode())
    # what stays lies behind what goes, so that no VACUUM can cut the file short
    connection.execute(ROWS.format(rows=rows_a_day, day=datetime.now(UTC).date()).encode())
    connection.execute(f"CREATE TABLE {PLAIN} (LIKE tracking_events INCLUDING ALL EXCLUDING IDENTITY)".encode())
    # not loaded: it is no table of footfall's
    connection.execute(f"ALTER TABLE {PLAIN} ALTER xid DROP DEFAULT, ALTER xid TYPE bigint USING 0".encode())
    connection.execute(f"ALTER TABLE {PLAIN} ALTER xid SET DEFAULT 0".encode())
    columns = [str(row[0]) for row in connection.execute(COLUMNS)]
    names = ", ".join(columns)
    connection.execute(f"INSERT INTO {PLAIN} ({names}) SELECT {names} FROM tracking_events ORDER BY id".encode())
    connection.execute(f"VACUUM ANALYZE {PLAIN}; ".encode())
    connection.execute("CHECKPOINT")


COLUMNS = """
    SELECT column_name FROM information_schema.columns WHERE table_name = 'tracking_events' AND column_name <> 'xid'
"""


def _expire(database_url: str, warehouse_path: Path, day_count: int) -> None:
    expiry = expire(database_url, warehouse_path, dry_run=False)
    assert not expiry.stays, expiry.stays
    assert len([one for one in expiry.expired if one.table_name == "tracking_events"]) == day_count


def _delete(database_url: str, newest: date) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"DELETE FROM {PLAIN} WHERE received_at < '{newest + timedelta(days=1)} 00:00Z'".encode())
        connection.execute(f"VACUUM {PLAIN}".encode())


def _beside(database_url: str, table: str, do: Callable[[], object]) -> tuple[float, float, int, int]:
    """Return seconds, the longest insert, how many there were, and bytes of all tables freed by then."""
    before = _size(database_url)
    command = [sys.executable, "-c", WRITER, database_url, table]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        writer.stdout.readline()
        started = time.perf_counter()
        do()
        seconds = time.perf_counter() - started
        told, _ = writer.communicate("end\n")
    longest, count = json.loads(told)
    return seconds, longest, count, before - _size(database_url)


def _size(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row
    return int(row[0])


def _steps(day_count: int, rows_a_day: int, results: list[tuple[str, float, float, int, int]]) -> Table:
    table = Table(title=f"{day_count} days of {rows_a_day:,} events leave Postgres")
    for heading in ("", "seconds", "rows per second", "longest insert, ms", "inserts beside", "MB freed on disk"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds, longest, count, freed in results:
        rate = f"{day_count * rows_a_day / seconds:,.0f}" if name != "nothing" else ""
        table.add_row(name, f"{seconds:.1f}", rate, f"{longest * 1000:.1f}", f"{count:,}", f"{freed / 1e6:,.0f}")
    return table


def _verified(warehouse_path: Path) -> Table:
    started = time.perf_counter()
    findings = list(verify_files(open_archive(None, warehouse_path)))
    seconds = time.perf_counter() - started
    assert not [finding for finding in findings if finding.fault]
    size, rows = (sum(getattr(one, name) for one in findings) for name in ("byte_count", "row_count"))
    table = Table(title="The archive verified")
    for heading in ("files", "MB", "seconds", "MB per second", "rows per second"):
        table.add_column(heading, justify="right")
    table.add_row(
        str(len(findings)),
        f"{size / 1e6:,.1f}",
        f"{seconds:.1f}",
        f"{size / 1e6 / seconds:.1f}",
        f"{rows / seconds:,.0f}",
    )
    return table
