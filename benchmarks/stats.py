"""The stats and the reports: how long they take from the published file, beside the seeds' SQL on Postgres.

One table at a time has many rows, with all of its indexes, and the seeds' SQL is that of the tests' oracle, which the
marts equal. Both sides fetch all rows of the answer; medians.
"""

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import psycopg
from rich.table import Table

from pipelines.dbt_project import build, parse
from warehouse.archive.sources import prepare_sources
from warehouse.builds import begin_build, finish_build
from warehouse.load import load
from warehouse.publish import publish

DEFAULT_ROW_COUNT = 10_000_000
ORACLE = Path(__file__).parents[1] / "tests" / "sql" / "oracle"
# to a table its marts, and the SQL that fills it with so many rows, spread over half a year
TABLES = {
    "activity_events": (
        ["rpt_activity_by_day", "rpt_daily_activity", "rpt_monthly_logins"],
        """
        INSERT INTO activity_events (event_type, created_at)
        SELECT (ARRAY['login', 'signup', 'app_open', 'action'])[n % 4 + 1], now() - n % 15552000 * interval '1 second'
        FROM generate_series(1, %s) AS n
        """,
    ),
    "visitor_sessions": (
        ["rpt_totals", "rpt_visitors_daily"],
        """
        INSERT INTO visitor_sessions (session_id, first_seen_at, last_seen_at)
        SELECT 'session ' || n, at, at FROM generate_series(1, %s) AS n, LATERAL (
            SELECT now() - n % 15552000 * interval '1 second') AS moment (at)
        """,
    ),
    "tracking_events": (
        ["rpt_event_usage_daily"],
        """
        INSERT INTO tracking_events (user_id, user_type, app_name, event_type, event_name, country_code, created_at)
        SELECT n % 5000, 'student', 'app' || n % 5, 'button', 'event ' || n % 50, 'DE',
            now() - n % 15552000 * interval '1 second'
        FROM generate_series(1, %s) AS n
        """,
    ),
    "tracking_documents": (
        ["rpt_document_opens", "rpt_document_opens_daily"],
        """
        INSERT INTO tracking_documents (user_id, user_type, level_name, chapter_name, document_name, created_at)
        SELECT n % 5000, 'student', 'level ' || n % 3, 'chapter ' || n % 20, 'document ' || n % 300,
            now() - n % 15552000 * interval '1 second'
        FROM generate_series(1, %s) AS n
        """,
    ),
}


def measure_stats(database_url: str, folder: Path, row_count: int, repetitions: int) -> Table:
    """Fill one table after the other, refresh, and ask both sides."""
    table = Table(title=f"Stats and reports, {row_count:,} rows, medians of {repetitions}")
    for heading in ("mart", "rows", "seeds' SQL on Postgres, ms", "published file, ms", "times"):
        table.add_column(heading, justify="left" if heading == "mart" else "right")
    with psycopg.connect(database_url, autocommit=True) as postgres:
        for name, (marts, fill) in TABLES.items():
            postgres.execute(fill.replace("%", "%%").replace("%%s", "%s"), [row_count])
            postgres.execute(f"VACUUM ANALYZE {name}")
            published_path = _refresh(database_url, folder / name)
            with duckdb.connect(str(published_path), read_only=True) as published:
                for mart in marts:
                    seed_sql = (ORACLE / f"{mart}.sql").read_text()
                    slow, _ = _median(partial(_on_postgres, postgres, seed_sql), repetitions)
                    fast, count = _median(partial(_on_published, published, mart), repetitions)
                    table.add_row(mart, f"{count:,}", f"{slow:,.1f}", f"{fast:,.2f}", f"1/{slow / fast:,.0f}")
            postgres.execute(f"TRUNCATE {name}")
    return table


def _refresh(database_url: str, home: Path) -> Path:
    os.environ["FOOTFALL_HOME"] = str(home)
    warehouse_path = home / "warehouse" / "warehouse.duckdb"
    project = parse(home / "dbt")
    load(database_url, warehouse_path)
    prepare_sources(warehouse_path)
    begin_build(warehouse_path, "bench", models_version=project.fingerprint)
    failed = [f"{result.name}: {result.message}" for result in build(project, home / "dbt") if result.is_failed]
    if failed:
        raise AssertionError(failed)
    finish_build(warehouse_path, "bench")
    publish(warehouse_path, warehouse_path.with_name("analytics.duckdb"))
    return warehouse_path.with_name("analytics.duckdb")


def _on_postgres(postgres: psycopg.Connection, seed_sql: str) -> int:
    return len(postgres.execute(seed_sql.encode(), {"timezone": "UTC", "as_of": datetime.now(UTC)}).fetchall())


def _on_published(published: duckdb.DuckDBPyConnection, mart: str) -> int:
    return len(published.execute(f"FROM marts.{mart}").fetchall())


def _median(ask: Callable[[], int], repetitions: int) -> tuple[float, int]:
    """Return milliseconds, and how many rows came."""
    times, row_count = [], 0
    for _ in range(repetitions):
        started = time.perf_counter()
        row_count = ask()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), row_count
