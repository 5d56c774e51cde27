"""What a refresh takes as history grows, what one with nothing new takes, and a full rebuild beside a query by hand.

History is sealed, a file a day, as it is in a warehouse that has run for long. It is written into the warehouse by
DuckDB and through the seal's own steps, but for the comparison with Postgres, which never had it. New events come from
Postgres. A refresh is load, models with their checks, publish, in this process; Dagster's share is not in it.
"""

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import psycopg
from rich.console import Group
from rich.table import Table

from benchmarks.load import INSERT_EVENTS
from pipelines.dbt_project import NodeResult, ParsedProject, parse
from pipelines.engine import chosen_engine
from pipelines.settings import Settings, adopt
from warehouse.archive import seal
from warehouse.archive.manifest import complete_manifest, last_hash
from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import open_archive, part_name
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.cursors import read_cursors
from warehouse.load import load
from warehouse.publish import publish

HISTORIES = (1_000_000, 20_000_000)
HISTORY_DAYS = 200
NEW_EVENTS = 100_000
TABLE = "tracking_events"

A_DAY = f"""
    INSERT INTO raw.{TABLE}
    SELECT
        n, n * 7919 % 50_000, ['student', 'teacher', 'guest'][n % 3 + 1], 'app' || n % 5,
        ['visit', 'button', 'session'][n % 3 + 1], 'event ' || n % 50, ['DE', 'IN', 'US'][n % 3 + 1],
        sha256('address ' || n % 9_000), 'Linux', ['desktop', 'mobile'][n % 2 + 1], 'session ' || hash(n // 20),
        json_object('page', n % 100)::VARCHAR, TIMESTAMPTZ '{{day}} 00:00Z' + n % 86_400 * INTERVAL 1 SECOND,
        uuid(), TIMESTAMPTZ '{{day}} 00:00Z' + n % 86_400 * INTERVAL 1 SECOND, false, false, 1
    FROM range({{first}}, {{end}}) AS rows (n)
"""

# what the models of tracking events count: usage, apps by day and by month, bots
BY_HAND = """
    CREATE OR REPLACE TABLE by_hand AS
    WITH events AS (
        SELECT *, (created_at AT TIME ZONE 'UTC')::DATE AS day, strftime(day, '%Y-%m') AS month
        FROM sources.tracking_events
    )
    SELECT 'usage' AS report, day, NULL AS month, app_name, event_type, event_name, user_type, country_code,
        device_type, os, count(*) AS event_count, NULL AS user_count, NULL AS session_count
    FROM events WHERE NOT is_bot GROUP BY ALL
    UNION ALL BY NAME
    SELECT 'day' AS report, day, app_name, count(*) AS event_count, count(DISTINCT user_id) AS user_count,
        count(DISTINCT session_id) AS session_count
    FROM events WHERE NOT is_bot GROUP BY ALL
    UNION ALL BY NAME
    SELECT 'month' AS report, month, app_name, count(*) AS event_count, count(DISTINCT user_id) AS user_count,
        count(DISTINCT session_id) AS session_count
    FROM events WHERE NOT is_bot GROUP BY ALL
    UNION ALL BY NAME
    SELECT 'bots' AS report, day, app_name, count(*) AS event_count FROM events WHERE is_bot GROUP BY ALL
"""
OF_EVENTS = {
    "int_user_days", "int_session_days", "rpt_event_usage_daily", "rpt_app_usage_daily", "rpt_app_usage_monthly",
    "rpt_bot_traffic_daily",
}  # fmt: skip


@dataclass
class Refresh:
    """Seconds of each step of one refresh."""

    load: float = 0
    models: float = 0
    publish: float = 0
    results: Sequence[NodeResult] = field(default=(), repr=False)

    @property
    def total(self) -> float:
        """All steps."""
        return self.load + self.models + self.publish


@dataclass(frozen=True)
class Bench:
    """A home folder, the project parsed, the Postgres that new events come from, and what builds the models."""

    home: Path
    database_url: str
    project: ParsedProject
    archive_address: str | None = None
    engine: Literal["duckdb", "spark"] = "duckdb"
    spark_master: str = "local[*]"

    @property
    def settings(self) -> Settings:
        """What an installation with this home would be told."""
        return Settings(
            footfall_home=self.home,
            database_url=self.database_url,
            footfall_archive=self.archive_address,
            footfall_engine=self.engine,
            footfall_spark_master=self.spark_master,
        )

    @property
    def warehouse_path(self) -> Path:
        """Where the warehouse file is."""
        return self.settings.warehouse_path

    def refresh(self, *, full: bool = False) -> Refresh:
        """Do what the job does, step by step."""
        done = Refresh()
        started = time.perf_counter()
        self.load()
        done.load = time.perf_counter() - started
        started = time.perf_counter()
        done.results = self.build(full=full)
        done.models = time.perf_counter() - started
        started = time.perf_counter()
        self.publish()
        done.publish = time.perf_counter() - started
        return done

    def load(self) -> None:
        """Load what is new, to where the engine reads it."""
        into_lake = self.engine == "spark"
        load(self.database_url, self.warehouse_path, archive_address=self.archive_address, into_lake=into_lake)

    def build(self, *, full: bool = False) -> Sequence[NodeResult]:
        """Build and check what is new, or all. Raises AssertionError where a check fails."""
        adopt(self.settings.environment)
        prepare_sources(self.warehouse_path, self.archive_address)
        engine = chosen_engine(self.project, self.settings)
        full = full or not engine.has_all_tables()
        touched = begin_build(self.warehouse_path, "bench", models_version=engine.project.fingerprint, full=full)
        results = engine.build(touched)
        failed = [f"{result.name}: {result.message}" for result in results if result.is_failed]
        if failed:
            raise AssertionError(failed)
        finish_build(self.warehouse_path, "bench")
        return results

    def publish(self) -> None:
        """Swap in the file that people read."""
        publish(self.warehouse_path, self.settings.published_path)


def measure_refresh(database_url: str, folder: Path, repetitions: int) -> Group:
    """Time refreshes on a short history and on a long one, then a full rebuild of the long one."""
    benches = {history: make_bench(database_url, folder / str(history), history) for history in HISTORIES}
    full = {history: bench.refresh(full=True) for history, bench in benches.items()}
    some: dict[int, list[Refresh]] = {history: [] for history in HISTORIES}
    none: dict[int, list[Refresh]] = {history: [] for history in HISTORIES}
    # the two take turns, for the machine is not as fast at all times
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(repetitions):
            connection.execute(INSERT_EVENTS, [NEW_EVENTS])
            for history, bench in benches.items():
                some[history].append(bench.refresh())
                none[history].append(bench.refresh())
    rows = [(history, f"{NEW_EVENTS:,} new events", _median(some[history])) for history in HISTORIES]
    rows += [(history, "nothing new", _median(none[history])) for history in HISTORIES]
    rows += [(history, "full rebuild", full[history]) for history in HISTORIES]
    longest = HISTORIES[-1]
    return Group(_refreshes(rows), _rebuild(longest, full[longest], _by_hand(benches[longest], repetitions)))


def make_bench(
    database_url: str,
    home: Path,
    history: int,
    *,
    days: int = HISTORY_DAYS,
    archive_address: str | None = None,
    engine: Literal["duckdb", "spark"] = "duckdb",
) -> Bench:
    """Make a home with so many rows sealed in so many days, and a Postgres without an event."""
    os.environ["FOOTFALL_HOME"] = str(home)
    with psycopg.connect(database_url, autocommit=True) as connection:
        empty(connection)
    bench = Bench(home, database_url, parse(home / "dbt"), archive_address, engine)
    # rows are sealed out of the warehouse, whichever engine reads them later
    load(database_url, bench.warehouse_path)
    today = datetime.now(UTC).date()
    for number in range(days):
        _seal(bench, today - timedelta(days=days + 1 - number), number, history // days)
    return bench


def empty(connection: psycopg.Connection) -> None:
    """Leave Postgres without an event, and without a count of those that it had."""
    connection.execute("TRUNCATE tracking_events, event_ids, intake_counts")


def _seal(bench: Bench, day: date, number: int, row_count: int) -> None:
    archive = open_archive(bench.archive_address, bench.warehouse_path)
    name = part_name(TABLE, day.isoformat(), 0)
    with open_warehouse(bench.warehouse_path) as warehouse:
        archive.attach(warehouse)
        warehouse.execute(A_DAY.format(day=day, first=number * row_count, end=(number + 1) * row_count))
        cursor = read_cursors(warehouse)[TABLE]
        seal.write_part(warehouse, archive.staging(name), TABLE, day)
        archive.put_in_place(name)
        file = seal.describe(archive, TABLE, day, 0, cursor, last_hash(warehouse))
        seal.commit(warehouse, archive, file)
        complete_manifest(archive, warehouse)


def _by_hand(bench: Bench, repetitions: int) -> float:
    path = bench.home / "by_hand.duckdb"
    times = []
    for _ in range(repetitions):
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"ATTACH '{bench.warehouse_path}' AS warehouse (READ_ONLY); SET TimeZone = 'UTC'")
            started = time.perf_counter()
            connection.execute(BY_HAND.replace("sources.", "warehouse.sources."))
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def _median(done: Sequence[Refresh]) -> Refresh:
    return sorted(done, key=lambda refresh: refresh.total)[len(done) // 2]


def _refreshes(rows: Sequence[tuple[int, str, Refresh]]) -> Table:
    table = Table(title=f"Refreshes, history sealed in {HISTORY_DAYS} days")
    for heading in ("", "history", "load s", "models s", "publish s", "total s", "of the short history's"):
        table.add_column(heading, justify="left" if not heading else "right")
    shortest = {what: refresh.total for history, what, refresh in rows if history == HISTORIES[0]}
    for history, what, done in sorted(rows, key=lambda row: row[1]):
        steps = (f"{seconds:.2f}" for seconds in (done.load, done.models, done.publish, done.total))
        table.add_row(what, f"{history:,}", *steps, f"{done.total / shortest[what]:.2f}")
    return table


def _rebuild(history: int, full: Refresh, by_hand: float) -> Table:
    of_events = [result for result in full.results if result.kind == "model" and result.name in OF_EVENTS]
    models = sum(result.duration_seconds for result in of_events)
    table = Table(title=f"All of {history:,} events")
    for heading in ("", "seconds", "events per second", "times by hand"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds in (
        ("every model and check", full.models),
        (f"the {len(of_events)} models of tracking events", models),
        ("their counts in one query by hand", by_hand),
    ):
        table.add_row(name, f"{seconds:.1f}", f"{history / seconds:,.0f}", f"{seconds / by_hand:.2f}")
    return table
