"""A first load passes through memory batch by batch: what it needs does not grow with what there is to load."""

import re
import subprocess
import sys
from pathlib import Path

import psycopg

ROW_COUNT = 25_000
# Postgres keeps such a text in a few bytes, but sends it whole: 250 MB in all
META_BYTES = 10_000
DUCKDB_MB = 100
A_LOAD = f"""
import sys
from pathlib import Path
from warehouse import connection
from warehouse.load import load
connection.MEMORY_LIMIT = "{DUCKDB_MB}MB"
load(sys.argv[1], Path(sys.argv[2]))
print(Path("/proc/self/status").read_text())
"""


def peak_mb(database_url: str, warehouse_path: Path) -> float:
    arguments = [sys.executable, "-c", A_LOAD, database_url, str(warehouse_path)]
    told = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", told)
    return int(kilobytes) / 1024


def test_memory_of_a_load_stays_bounded(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    little = peak_mb(database_url, tmp_path / "little.duckdb")
    database.execute(
        """
        INSERT INTO tracking_events (user_type, app_name, event_type, event_name, meta)
        SELECT 'student', 'DViz', 'visit', 'open', jsonb_build_object('n', n, 'text', repeat('x', %s))
        FROM generate_series(1, %s) AS n
        """,
        [META_BYTES, ROW_COUNT],
    )
    much = peak_mb(database_url, tmp_path / "much.duckdb")
    assert much - little < DUCKDB_MB + ROW_COUNT * META_BYTES / 1e6 / 3
