"""What one event costs each stage: one lot of events goes the whole way, and each process on it tells what it used.

Costs are processor time, which depends little on what else the machine does. The events are those of the demo's
traffic; but the days that both engines build have the events of `benchmarks.refresh`, which are quicker to make.
"""

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import psycopg

from benchmarks.growth_ingest import measure_disk, measure_ingest
from benchmarks.growth_model import Costs, fit
from benchmarks.meter import Meter, Used
from benchmarks.refresh import Bench, make_bench
from warehouse.archive.seal import seal

TABLE = "tracking_events"
# the shorter of the two days that are built
SHORT_DAY = 50_000
TOUCHING_EVENTS = 100
# so many days with the rows of one: the file grows by much more than a block
PUBLISHED_DAYS = 300
BETWEEN_MODELS = ("int_user_days", "int_session_days")

KEPT = "user_id, user_type, app_name, event_type, event_name, country_code, ip_hash, os, device_type, session_id, meta"
# the same events as if all had come the day before: that day has ended, and can be sealed
COME_BEFORE = f"""
    INSERT INTO {TABLE} ({KEPT}, created_at, received_at)
    SELECT {KEPT}, created_at - interval '1 day', created_at - interval '1 day' FROM {TABLE}
"""
TOUCH = f"""
    INSERT INTO {TABLE} (user_id, user_type, app_name, event_type, event_name, session_id, created_at)
    SELECT n, 'student', 'app' || n %% 5, 'button', 'event ' || n %% 50, 'touch ' || n, %s
    FROM generate_series(1, %s) AS n
"""
# the days that are built have ids of their own, which Postgres knows nothing of
IDS_ABOVE = f"SELECT setval(pg_get_serial_sequence('{TABLE}', 'id'), 1000000000000)"
SIZES = f"""
    SELECT sum(pg_total_relation_size(inhrelid)), pg_total_relation_size('event_ids'), (SELECT count(*) FROM {TABLE})
    FROM pg_inherits WHERE inhparent = '{TABLE}'::regclass
"""


def measure_costs(
    database_url: str, folder: Path, event_count: int, day: int, repetitions: int, note: Callable[[str], None]
) -> Costs:
    """Let `event_count` events go the whole way, then build a day of `day` events on both engines.

    `note` is told what is being measured. Raises SparkUnusable where Spark does not run.
    """
    folder.mkdir(parents=True)
    megabytes, fsyncs = measure_disk(folder)
    with psycopg.connect(database_url, autocommit=True) as connection:
        meter = Meter(connection)
        # it has loaded nothing: what is loaded later is what is new, as in all loads but the first
        bench = make_bench(database_url, folder, 0, days=0)
        note(f"accepting and draining {event_count:,} events")
        batches, singles, drained = measure_ingest(database_url, folder, event_count, meter)
        event_bytes, id_bytes = _postgres_bytes(connection)
        note("loading, building and sealing them")
        loaded, loaded_count = _load(bench, connection, meter)
        bench.build()
        bench.publish()
        between, published = _between_bytes(bench, loaded_count), _published_day_bytes(bench)
        sealed, sealed_count, parquet = _seal(bench, connection, meter)
        connection.execute(IDS_ABOVE)
        engines = {}
        for engine in ("duckdb", "spark"):
            note(f"building days of {SHORT_DAY:,} and {day:,} events on {engine}")
            engines[engine] = _days(bench, engine, day, repetitions, meter, connection)
    accepted = batches.event_count + singles.event_count
    return Costs(
        batch_us=_us(batches.used.here, batches.event_count),
        single_us=_us(singles.used.here, singles.event_count),
        batch_fsyncs=batches.commit_count / batches.event_count,
        single_fsyncs=singles.commit_count / singles.event_count,
        spool_bytes=batches.spool_bytes / batches.event_count,
        spool_written_bytes=batches.written_bytes / batches.event_count,
        disk_mb_per_second=megabytes,
        disk_fsyncs_per_second=fsyncs,
        drain_us=_us(drained.here, accepted),
        drain_postgres_us=_us(drained.postgres, accepted),
        postgres_bytes=event_bytes,
        event_id_bytes=id_bytes,
        load_us=_us(loaded.here, loaded_count),
        load_postgres_us=_us(loaded.postgres, loaded_count),
        duckdb_us=engines["duckdb"][0],
        duckdb_seconds=engines["duckdb"][1],
        spark_us=engines["spark"][0],
        spark_seconds=engines["spark"][1],
        publish_seconds=engines["duckdb"][2],
        between_bytes=between,
        seal_us=_us(sealed.here, sealed_count),
        seal_postgres_us=_us(sealed.postgres, sealed_count),
        parquet_bytes=parquet,
        published_day_bytes=published,
    )


def _us(seconds: float, event_count: int) -> float:
    return seconds / event_count * 1e6


def _postgres_bytes(connection: psycopg.Connection) -> tuple[float, float]:
    """Return the bytes of an event with its indexes, and those of its id, which is kept for a week besides."""
    connection.execute(f"VACUUM ANALYZE {TABLE}")
    [(events, ids, event_count)] = connection.execute(SIZES).fetchall()
    return float(events) / event_count, ids / event_count


def _load(bench: Bench, connection: psycopg.Connection, meter: Meter) -> tuple[Used, int]:
    [(event_count,)] = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchall()
    with meter.running() as used:
        bench.load()
    with meter.running() as idle:
        bench.load()
    return used - idle, event_count


def _seal(bench: Bench, connection: psycopg.Connection, meter: Meter) -> tuple[Used, int, float]:
    """Let all have come on a day that has ended, and seal that."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    connection.execute(
        f"CREATE TABLE {TABLE}_p{day:%Y%m%d} PARTITION OF {TABLE} "
        f"FOR VALUES FROM ('{day} 00:00Z') TO ('{day + timedelta(days=1)} 00:00Z')"
    )
    connection.execute(COME_BEFORE)
    bench.load()
    with meter.running() as used:
        files = seal(bench.database_url, bench.warehouse_path)
    with meter.running() as idle:
        seal(bench.database_url, bench.warehouse_path)
    row_count = sum(file.row_count for file in files)
    size = sum(path.stat().st_size for path in (bench.home / "archive" / TABLE).rglob("*.parquet"))
    return used - idle, row_count, size / row_count


def _between_bytes(bench: Bench, event_count: int) -> float:
    """Return the bytes of an event in the tables from which months are counted: a row a user, and a session, a day."""
    path = bench.home / "between.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute(f"ATTACH '{bench.warehouse_path}' AS warehouse (READ_ONLY)")
        tables = made.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() "
            "WHERE database_name = 'warehouse' AND table_name IN (?, ?)",
            BETWEEN_MODELS,
        ).fetchall()
        for schema, name in tables:
            made.execute(f"CREATE TABLE {name} AS FROM warehouse.{schema}.{name}")
    return path.stat().st_size / event_count


def _published_day_bytes(bench: Bench) -> float:
    """Return by how much a day makes the published file grow: each of PUBLISHED_DAYS gets the rows of this one."""
    path = bench.home / "days.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute(f"ATTACH '{bench.settings.published_path}' AS published (READ_ONLY)")
        tables = made.execute(
            "SELECT schema_name, table_name, min(column_name) FROM duckdb_columns() "
            "WHERE database_name = 'published' AND data_type = 'DATE' GROUP BY ALL HAVING count(*) = 1"
        ).fetchall()
        for schema, name, day in tables:
            made.execute(
                f"CREATE TABLE {name} AS SELECT rows.* REPLACE ({day} + n::INTEGER AS {day}) "
                f"FROM published.{schema}.{name} AS rows, range({PUBLISHED_DAYS}) AS days (n) "
                f"WHERE {day} = (SELECT max({day}) FROM published.{schema}.{name}) ORDER BY n"
            )
    return path.stat().st_size / PUBLISHED_DAYS


def _days(
    bench: Bench,
    engine: Literal["duckdb", "spark"],
    day: int,
    repetitions: int,
    meter: Meter,
    connection: psycopg.Connection,
) -> tuple[float, float, float]:
    """Build a short day and a long one again, since a few rows came for it; medians of the repetitions.

    Returns core-microseconds an event, and seconds of a build and of publishing whatever is new.
    """
    builds, cores = {}, {}
    published: list[float] = []
    for event_count in (SHORT_DAY, day):
        home = bench.home / f"{engine}-{event_count}"
        each = make_bench(bench.database_url, home, event_count, days=1, engine=engine)
        each.refresh()
        used = [_touch(each, meter, connection) for _ in range(repetitions)]
        builds[event_count] = statistics.median(built.seconds for built, _ in used)
        cores[event_count] = statistics.median(built.here for built, _ in used)
        published += [done.seconds for _, done in used]
    an_event = fit(*cores.items()).an_event
    return an_event * 1e6, fit(*builds.items()).fixed, statistics.median(published)


def _touch(bench: Bench, meter: Meter, connection: psycopg.Connection) -> tuple[Used, Used]:
    """Return what building the day again took, and publishing it."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    connection.execute(TOUCH, [datetime.combine(day, time(12), UTC), TOUCHING_EVENTS])
    bench.load()
    with meter.running() as built:
        bench.build()
    with meter.running() as published:
        bench.publish()
    return built, published
