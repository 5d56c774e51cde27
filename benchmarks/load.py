"""How fast rows come from Postgres into DuckDB, beside a bare COPY of the same rows that nobody keeps.

The ratio is the figure to look at: machines differ, and both sides run in turn on the same one.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
from rich.table import Table

from warehouse.load import load

DEFAULT_ROW_COUNT = 300_000

INSERT_EVENTS = """
    INSERT INTO tracking_events (
        user_id, user_type, app_name, event_type, event_name,
        country_code, ip_hash, os, device_type, session_id, meta
    )
    SELECT
        n %% 5000, 'student', 'app' || n %% 5, 'button', 'event ' || n %% 50,
        'DE', md5(n::text) || md5(n::text), 'Linux', 'desktop', 'session ' || n %% 20000,
        jsonb_build_object('page', n %% 100, 'referrer', 'https://example.org/' || n)
    FROM generate_series(1, %s) AS n
"""


def measure_load(database_url: str, folder: Path, row_count: int, repetitions: int) -> Table:
    """Time both sides in turn, each load into a new file; medians, in rows per second."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(INSERT_EVENTS, [row_count])
        connection.execute("VACUUM ANALYZE tracking_events")
        copies: list[float] = []
        loads: list[float] = []
        for repetition in range(repetitions):
            warehouse_path = folder / f"warehouse{repetition}.duckdb"
            copies.append(_seconds(partial(_drain_copy, connection)))
            loads.append(_seconds(partial(_load, database_url, warehouse_path, row_count)))
            warehouse_path.unlink()
    return _table(row_count, copies, loads)


def _drain_copy(connection: psycopg.Connection) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT * FROM tracking_events) TO STDOUT (FORMAT binary)") as copy,
    ):
        for _ in copy:
            pass


def _load(database_url: str, warehouse_path: Path, row_count: int) -> None:
    loaded = {table.table_name: table.loaded_row_count for table in load(database_url, warehouse_path)}
    if loaded["tracking_events"] != row_count:
        raise AssertionError(f"{loaded['tracking_events']:,} rows loaded, not {row_count:,}")


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _table(row_count: int, copies: list[float], loads: list[float]) -> Table:
    copy_seconds, load_seconds = statistics.median(copies), statistics.median(loads)
    table = Table(title=f"Postgres to DuckDB, {row_count:,} events, median of {len(loads)}")
    for heading in ("", "seconds", "rows per second", "of COPY's rate"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds in (("COPY, drained", copy_seconds), ("first load", load_seconds)):
        table.add_row(name, f"{seconds:.2f}", f"{row_count / seconds:,.0f}", f"{copy_seconds / seconds:.2f}")
    return table
