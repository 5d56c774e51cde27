"""How fast rows come from Postgres into DuckDB, beside dlt, and beside a bare COPY that Postgres throws away.

The ratios are the figures to look at: machines differ, and all sides run in turn on the same one. Each loads the same
table into a new file in a process of its own, whose peak memory is what the system counted.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psycopg
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

DEFAULT_ROW_COUNT = 3_000_000
MEMORY_ROW_COUNT = 10_000_000
SIDES_SCRIPT = Path(__file__).with_name("sides.py")
COPY, FOOTFALL = "COPY to /dev/null", "footfall"
RIVALS = ("connectorx", "pyarrow")
DLT_PACKAGES = (
    "dlt[duckdb,parquet,sql_database]==1.31.0",
    "connectorx==0.4.6",
    "duckdb==2.0.0",
    "pandas==3.1.1",
    "psycopg2-binary==2.9.13",
    "pyarrow==26.0.1",
    "sqlalchemy==2.1.9",
)

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


@dataclass(frozen=True)
class Run:
    """What one run of one side took."""

    seconds: float
    peak_mb: float
    row_count: int


def measure_load(database_url: str, row_count: int, repetitions: int) -> Table:
    """Time all sides in turn; medians."""
    python = {FOOTFALL: Path(sys.executable)} | dict.fromkeys(RIVALS, _dlt_python())
    runs: dict[str, list[Run]] = defaultdict(list)
    with psycopg.connect(database_url, autocommit=True) as connection:
        _fill(connection, row_count)
        for _ in range(repetitions):
            runs[COPY].append(_copy(connection, row_count))
            for side in (FOOTFALL, *RIVALS):
                runs[side].append(_load(python[side], side, database_url, row_count))
    return _table(row_count, runs)


def measure_memory(database_url: str, row_count: int) -> Table:
    """Load many more rows than fit, once."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        _fill(connection, row_count)
    run = _load(Path(sys.executable), FOOTFALL, database_url, row_count)
    return _table(row_count, {FOOTFALL: [run]})


def _fill(connection: psycopg.Connection, row_count: int) -> None:
    connection.execute("TRUNCATE tracking_events")
    connection.execute(INSERT_EVENTS, [row_count])
    connection.execute("VACUUM ANALYZE tracking_events")
    connection.execute("CHECKPOINT")


def _copy(connection: psycopg.Connection, row_count: int) -> Run:
    started = time.perf_counter()
    connection.execute("COPY (SELECT * FROM tracking_events) TO '/dev/null' (FORMAT binary)")
    return Run(time.perf_counter() - started, 0, row_count)


def _load(python: Path, side: str, database_url: str, row_count: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="footfall-load-") as folder:
        done = subprocess.run(
            [python, SIDES_SCRIPT, side, database_url, folder], check=True, capture_output=True, text=True
        )
    run = Run(**json.loads(done.stdout.splitlines()[-1]))
    if run.row_count != row_count:
        raise AssertionError(f"{side} loaded {run.row_count:,} rows, not {row_count:,}")
    return run


def _dlt_python() -> Path:
    """Make an environment for dlt, which footfall does not need, once; the packages come from the usual index."""
    folder = user_cache_path("footfall") / "benchmarks" / "dlt-1.31.0"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        Console(stderr=True).print(f"installing {', '.join(DLT_PACKAGES)} into {folder}", markup=False)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *DLT_PACKAGES], check=True)
        (folder / "complete").touch()
    return python


def _table(row_count: int, runs: dict[str, list[Run]]) -> Table:
    medians = {side: statistics.median(run.seconds for run in done) for side, done in runs.items()}
    table = Table(title=f"Postgres to DuckDB, {row_count:,} events, medians")
    for heading in ("", "runs", "seconds", "rows per second", "of COPY's rate", "times the rate of dlt", "peak MB"):
        table.add_column(heading, justify="left" if not heading else "right")
    dlt_seconds = min((medians[side] for side in RIVALS if side in medians), default=None)
    for side, seconds in medians.items():
        table.add_row(
            side if side in (COPY, FOOTFALL) else f"dlt, {side}",
            str(len(runs[side])),
            f"{seconds:.2f}",
            f"{row_count / seconds:,.0f}",
            f"{medians[COPY] / seconds:.2f}" if COPY in medians else "",
            f"{dlt_seconds / seconds:.2f}" if dlt_seconds else "",
            f"{max(run.peak_mb for run in runs[side]):.0f}" if side != COPY else "",
        )
    return table
