"""What a sealed day costs: time and memory to seal and to verify it, and bytes an event in each of the three stores.

The events are those of the demo's traffic generator: sessions of people and guests in the apps, with their pages,
buttons, documents and devices. To fill one day it is run for as many crowds as that takes, each of people of its own.
An address has one session. They come to Postgres in the order of time, a thousand a transaction, as the drainer does.
"""

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from rich.console import Group
from rich.table import Table

from footfall.demo.traffic import live_through
from footfall.demo.world import World
from warehouse.archive import fingerprint, seal
from warehouse.archive.store import open_archive
from warehouse.archive.verify import verify_files
from warehouse.columns import declared_columns
from warehouse.load import load
from warehouse.queries import archive_query

DEFAULT_EVENT_COUNT = 1_000_000
DRAINED_AT_ONCE = 1_000
COLUMNS = (
    "user_id", "user_type", "app_name", "event_type", "event_name", "country_code", "ip_hash", "os", "device_type",
    "session_id", "meta", "created_at", "event_id", "received_at",
)  # fmt: skip
# what the choice was made from: sort order, zstd level, rows a row group
LAYOUTS = [
    (order, level, rows)
    for order in ("created_at, event_id", "session_id, created_at", "app_name, event_type, event_name, created_at")
    for level, rows in ((3, 122_880), (9, 122_880), (15, 122_880))
] + [("created_at, event_id", 9, 30_720), ("created_at, event_id", 9, 491_520)]

# in a process of its own, so that its peak of memory is its own
STEP = "import sys; from benchmarks.seal import {step}; {step}(*sys.argv[1:])"


def measure_seal(database_url: str, folder: Path, row_count: int) -> Group:
    """Fill a day that has ended, load it, seal it, verify it."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    warehouse_path = folder / "home" / "warehouse" / "warehouse.duckdb"
    _fill(database_url, day, row_count)
    load(database_url, warehouse_path)
    sizes = [*_postgres_sizes(database_url, day), ("DuckDB", warehouse_path.stat().st_size)]
    layouts = _try_layouts(warehouse_path, folder, day, row_count)
    sealed = _in_process("seal_once", database_url, str(warehouse_path))
    verified = _in_process("verify_once", str(warehouse_path))
    [parquet] = (folder / "home" / "archive").rglob("*.parquet")
    sizes.append(("Parquet", parquet.stat().st_size))
    return Group(_steps(row_count, sealed, verified), _sizes(row_count, sizes), layouts, _pruning(parquet, day))


def seal_once(database_url: str, warehouse_path: str) -> None:
    """Seal what is closed; print seconds and the peak of memory in MB."""
    started = time.perf_counter()
    files = seal.seal(database_url, Path(warehouse_path))
    _tell(started, len(files))


def verify_once(warehouse_path: str) -> None:
    """Verify the archive; print seconds and the peak of memory in MB."""
    started = time.perf_counter()
    findings = list(verify_files(open_archive(None, Path(warehouse_path))))
    assert not [finding for finding in findings if finding.fault]
    _tell(started, len(findings))


def _tell(started: float, file_count: int) -> None:
    seconds = time.perf_counter() - started
    # not getrusage: that begins with what the parent had when it forked
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    peak_mb = int(peak_kb) / 1024
    # on a line of its own, whatever a library has printed
    print("\n" + json.dumps([seconds, time.process_time(), peak_mb, file_count]))


def _in_process(step: str, *arguments: str) -> tuple[float, float, float]:
    command = [sys.executable, "-c", STEP.format(step=step), *arguments]
    seconds, cpu_seconds, peak_mb, file_count = json.loads(_last_line(command))
    assert file_count == 1
    return seconds, cpu_seconds, peak_mb


def _last_line(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[-1]


def _fill(database_url: str, day: date, row_count: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE tracking_events, event_ids")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS tracking_events_p{day:%Y%m%d} PARTITION OF tracking_events "
            f"FOR VALUES FROM ('{day} 00:00Z') TO ('{day + timedelta(days=1)} 00:00Z')"
        )
        rows = iter(sorted(islice(_events(day), row_count), key=itemgetter(-3)))
        copy_in = f"COPY tracking_events ({', '.join(COLUMNS)}) FROM STDIN"
        while batch := list(islice(rows, DRAINED_AT_ONCE)):
            with connection.cursor() as cursor, cursor.copy(copy_in) as copy:
                for row in batch:
                    copy.write_row(row)
        connection.execute(
            "INSERT INTO event_ids SELECT event_id, 'tracking_events', received_at FROM tracking_events ORDER BY id"
        )
        connection.execute("VACUUM ANALYZE tracking_events")


def _events(day: date) -> Iterator[tuple[Any, ...]]:
    worlds = [World(seed, 30, day) for seed in range(8)]
    for crowd in count():
        for world in worlds:
            seed = crowd * len(worlds) + world.seed
            for event in live_through(seed, day, world.people_on(day)).events:
                yield _row(event, day, seed)


def _row(event: dict[str, Any], day: date, crowd: int) -> tuple[Any, ...]:
    address = hashlib.sha256(event["session_id"].encode()).hexdigest()
    created_at = datetime.fromisoformat(event["created_at"])
    # a drained batch arrives within a second; the last of a day on the next, which is another day's
    late = timedelta(microseconds=int(address[:5], 16))
    received_at = min(created_at + late, datetime.combine(day, datetime.max.time(), UTC))
    stated = {**event, "ip_hash": address, "meta": event["meta"] and json.dumps(event["meta"])}
    if event["user_id"] is not None:
        stated["user_id"] = event["user_id"] + crowd * 1_000_000
    return (*(stated[column] for column in COLUMNS[:-1]), received_at)


def _postgres_sizes(database_url: str, day: date) -> list[tuple[str, int]]:
    with psycopg.connect(database_url) as connection:
        partition = f"tracking_events_p{day:%Y%m%d}"
        query = "SELECT pg_total_relation_size(%(it)s), pg_indexes_size(%(it)s), pg_total_relation_size('event_ids')"
        row = connection.execute(query, {"it": partition}).fetchone()
    assert row
    total, indexes, event_ids = row
    return [
        ("Postgres, partition with indexes", total),
        ("  of it indexes", indexes),
        ("  besides, in event_ids for a week", event_ids),
    ]


def _try_layouts(warehouse_path: Path, folder: Path, day: date, row_count: int) -> Table:
    table = Table(title="Layouts tried")
    for heading in (
        "sorted by",
        "zstd",
        "rows a group",
        "bytes an event",
        "seconds to write",
        "ms to read 1 h",
        "ms, 1 app",
    ):
        table.add_column(heading, justify="left" if heading == "sorted by" else "right")
    columns = declared_columns()["tracking_events"]
    items = ", ".join(seal.written_item(column, kind) for column, kind in columns.items())
    for order, level, rows in LAYOUTS:
        path = folder / "tried.parquet"
        query = archive_query("write_part").format(
            columns=items, table="tracking_events", order=order, path=f"'{path}'", level=level, row_group_rows=rows,
            **fingerprint.day_bounds(day),
        )  # fmt: skip
        with duckdb.connect(str(warehouse_path)) as warehouse:
            started = time.perf_counter()
            warehouse.execute(query)
            seconds = time.perf_counter() - started
        hour, app = (
            _read_ms(path, f"created_at >= '{day} 12:00Z' AND created_at < '{day} 13:00Z'"),
            _read_ms(path, "app_name = 'DViz'"),
        )
        size = path.stat().st_size / row_count
        table.add_row(order, str(level), f"{rows:,}", f"{size:.1f}", f"{seconds:.1f}", f"{hour:.0f}", f"{app:.0f}")
        path.unlink()
    return table


def _read_ms(path: Path, where: str) -> float:
    with duckdb.connect() as engine:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            engine.execute(
                f"SELECT event_name, count(DISTINCT session_id) FROM '{path}' WHERE {where} GROUP BY 1"
            ).fetchall()
            times.append(time.perf_counter() - started)
    return min(times) * 1000


def _pruning(parquet: Path, day: date) -> Table:
    """How many row groups have to be read for one hour of the day."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        [(total, wanted)] = engine.execute(
            f"""
            SELECT count(*), count(*) FILTER (stats_max_value::TIMESTAMPTZ >= '{day} 12:00Z'
                AND stats_min_value::TIMESTAMPTZ < '{day} 13:00Z')
            FROM parquet_metadata('{parquet}') WHERE path_in_schema = 'created_at'
            """
        ).fetchall()
    table = Table(title="Pruning")
    for heading in ("row groups of the day", "of them read for one hour"):
        table.add_column(heading, justify="right")
    table.add_row(str(total), str(wanted))
    return table


def _steps(row_count: int, sealed: tuple[float, float, float], verified: tuple[float, float, float]) -> Table:
    table = Table(title=f"A day of {row_count:,} events")
    for heading in ("", "seconds", "of CPU", "rows per second", "peak MB"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, (seconds, cpu_seconds, peak_mb) in (("seal", sealed), ("verify", verified)):
        table.add_row(name, f"{seconds:.1f}", f"{cpu_seconds:.1f}", f"{row_count / seconds:,.0f}", f"{peak_mb:,.0f}")
    return table


def _sizes(row_count: int, sizes: list[tuple[str, int]]) -> Table:
    table = Table(title="Bytes an event")
    for heading in ("", "bytes", "of Postgres"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, size in sizes:
        table.add_row(name, f"{size / row_count:.1f}", f"{size / sizes[0][1]:.3f}")
    return table
