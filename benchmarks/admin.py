"""The stats API and the reports over HTTP: how long they take with many events behind them, and while refreshes run.

The admin app is served as `footfall up` serves it. The events are in Postgres, a quarter each of activity, visits,
tracking events and documents, and all of them in the marts. wrk asks at a pace that a few open pages do not reach:
as fast as it is answered it would measure how long requests wait for each other.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from rich.console import Group
from rich.table import Table

from admin_app.reports import REPORTS
from benchmarks.load import INSERT_EVENTS
from benchmarks.refresh import Bench, make_bench
from benchmarks.serving import Load, run_wrk, server
from benchmarks.stats import TABLES
from ingest_app.database import make_engine
from ingest_app.keys import create_key
from warehouse.publish import publish

DEFAULT_EVENT_COUNT = 10_000_000
LIMIT_MS = 50
CONNECTIONS = 4
# as `footfall up` has them
WORKERS = 1
NEW_EVENTS = 10_000
WARM_UP_SECONDS = 1
PAUSE_MS = 20
GET = """
wrk.headers["Authorization"] = "Bearer {key}"
function delay() return {pause_ms} end
"""


def measure_admin(database_url: str, folder: Path, event_count: int, seconds: float) -> Group:
    """Fill the tables, refresh, and ask for the stats at rest and while files are swapped, then for each report."""
    bench = make_bench(database_url, folder / "admin", 0, days=0)
    _fill(database_url, event_count)
    bench.refresh()
    key = _key(database_url)
    env = {"DATABASE_URL": database_url, "FOOTFALL_HOME": str(bench.home), "FOOTFALL_SECRET": "benchmark"}
    with server("admin_app.app:create_app", env, WORKERS) as (url, _):

        def ask(path: str, for_seconds: float = seconds) -> Load:
            return run_wrk(f"{url}{path}", GET.format(key=key, pause_ms=PAUSE_MS), for_seconds, CONNECTIONS)

        ask("/api/stats", WARM_UP_SECONDS)
        stats = Table(title=f"GET /api/stats, {event_count:,} events behind it, {CONNECTIONS} connections")
        _add_columns(stats, "of these", f"{LIMIT_MS} ms at p99")
        for what, beside in _besides(bench).items():
            with _again_and_again(beside) as done:
                load = ask("/api/stats")
            stats.add_row(what, *_cells(load), f"{len(done):,}", "kept" if load.p99_ms < LIMIT_MS else "missed")
        reports = Table(title="GET /api/reports/…, the first 100 rows of the last 30 days")
        _add_columns(reports)
        for name in REPORTS:
            reports.add_row(name, *_cells(ask(f"/api/reports/{name}", min(seconds, 5))))
    return Group(stats, reports)


def _besides(bench: Bench) -> dict[str, Callable[[], object] | None]:
    """Return what goes on while the stats are asked for."""
    published_path = bench.warehouse_path.with_name("analytics.duckdb")

    def refresh() -> None:
        with psycopg.connect(bench.database_url, autocommit=True) as connection:
            connection.execute(INSERT_EVENTS, [NEW_EVENTS])
        bench.refresh()

    return {
        "at rest": None,
        "files swapped": lambda: publish(bench.warehouse_path, published_path),
        "refreshes": refresh,
    }


@contextmanager
def _again_and_again(do: Callable[[], object] | None) -> Iterator[list[object]]:
    """Do it, if anything, while the body of the `with` runs; yields what came of each. Raises what it raises."""
    done: list[object] = []
    stop = threading.Event()

    def run() -> None:
        while do and not stop.is_set():
            done.append(do())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield done
        finally:
            stop.set()
        running.result()


def _fill(database_url: str, event_count: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as postgres:
        for name, (_, fill) in TABLES.items():
            postgres.execute(fill.replace("%", "%%").replace("%%s", "%s"), [event_count // len(TABLES)])
            postgres.execute(f"VACUUM ANALYZE {name}")


def _key(database_url: str) -> str:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, "admin")
    engine.dispose()
    return key


def _add_columns(table: Table, *more: str) -> None:
    for heading in ("", "a second", "p50 ms", "p99 ms", *more):
        table.add_column(heading, justify="right" if heading else "left")


def _cells(load: Load) -> tuple[str, str, str]:
    if load.refused:
        raise AssertionError(f"{load.refused} answers were no 200")
    return f"{load.per_second:,.0f}", f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}"
