"""What it costs to take one person out of sealed files: to find the rows, to write the files anew, bytes and memory.

Once for somebody with rows in five files, once for somebody with rows in all of them. Postgres and the marts, where
a person has far fewer rows, are not measured here.
"""

import json
import re
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from rich.table import Table

from warehouse.archive import seal
from warehouse.archive.manifest import complete_manifest, last_hash
from warehouse.archive.rewrite import count_rows, rewrite_without
from warehouse.archive.store import open_archive, part_name
from warehouse.connection import open_warehouse
from warehouse.cursors import read_cursors
from warehouse.load import load

DEFAULT_ROW_COUNT = 1_000_000
FILE_ROWS = 100_000
TABLE = "tracking_events"
FEW_FILES = 5
# the first has two rows in each file, the second one in each of five
EVERYWHERE, IN_FEW = 7, 999_999
A_DAY = f"""
    INSERT INTO raw.{TABLE}
    SELECT
        n, CASE WHEN n = {{first}} AND {{is_one_of_few}} THEN {IN_FEW} ELSE n * 7919 % {FILE_ROWS // 2} END,
        ['student', 'teacher', 'guest'][n % 3 + 1], 'app' || n % 5, ['visit', 'button', 'session'][n % 3 + 1],
        'event ' || n % 50, ['DE', 'IN', 'US'][n % 3 + 1], sha256('address ' || n % 9_000), 'Linux',
        ['desktop', 'mobile'][n % 2 + 1], 'session ' || hash(n // 20), json_object('page', n % 100)::VARCHAR,
        TIMESTAMPTZ '{{day}} 00:00Z' + n % 86_400 * INTERVAL 1 SECOND, uuid(),
        TIMESTAMPTZ '{{day}} 00:00Z' + n % 86_400 * INTERVAL 1 SECOND, false, false, 1
    FROM range({{first}}, {{end}}) AS rows (n)
"""
STEP = "import sys; from benchmarks.erase import rewrite_once; rewrite_once(sys.argv[1], int(sys.argv[2]))"


@dataclass(frozen=True)
class Cost:
    """What one rewrite took, and what it read and wrote."""

    find_seconds: float
    seconds: float
    file_count: int
    removed_row_count: int
    old_byte_count: int
    new_byte_count: int
    peak_mb: float


def measure_erase(database_url: str, folder: Path, row_count: int) -> Table:
    """Seal files of 100,000 events, as many as that takes, and take two persons out of them."""
    warehouse_path = folder / "erase" / "warehouse" / "warehouse.duckdb"
    file_count = max(row_count // FILE_ROWS, FEW_FILES)
    _fill(database_url, warehouse_path, file_count)
    table = Table(title=f"One person out of {file_count * FILE_ROWS:,} events in {file_count} sealed files")
    for heading in ("rows in", "rows", "s to find", "s in all", "ms a file", "MB read", "MB written", "peak MB"):
        table.add_column(heading, justify="left" if heading == "rows in" else "right")
    for user_id, expected in ((IN_FEW, FEW_FILES), (EVERYWHERE, file_count)):
        cost = _in_process(warehouse_path, user_id)
        assert cost.file_count == expected, cost
        table.add_row(
            f"{cost.file_count} files", f"{cost.removed_row_count:,}", f"{cost.find_seconds:.1f}",
            f"{cost.seconds:.1f}", f"{cost.seconds / cost.file_count * 1000:,.0f}", f"{cost.old_byte_count / 1e6:,.1f}",
            f"{cost.new_byte_count / 1e6:,.1f}", f"{cost.peak_mb:,.0f}",
        )  # fmt: skip
    return table


def rewrite_once(warehouse_path: str, user_id: int) -> None:
    """Take a person out; print what it cost."""
    archive = open_archive(None, Path(warehouse_path))
    conditions = {TABLE: f"user_id = {user_id}"}
    with open_warehouse(Path(warehouse_path)) as warehouse:
        started = time.perf_counter()
        count_rows(warehouse, archive, conditions)
        found = time.perf_counter()
        done = rewrite_without(warehouse, archive, conditions, "a benchmark")
        seconds = time.perf_counter() - found
    # not getrusage: that begins with what the parent had when it forked
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    old, new = sum(one.removed_byte_count for one in done), sum(one.byte_count for one in done)
    removed = sum(one.removed_row_count for one in done)
    cost = Cost(found - started, seconds, len(done), removed, old, new, int(peak_kb) / 1024)
    # on a line of its own, whatever a library has printed
    print("\n" + json.dumps(astuple(cost)))


def _in_process(warehouse_path: Path, user_id: int) -> Cost:
    """In a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, "-c", STEP, str(warehouse_path), str(user_id)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    return Cost(*json.loads(output.splitlines()[-1]))


def _fill(database_url: str, warehouse_path: Path, file_count: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE tracking_events, event_ids")
    load(database_url, warehouse_path)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for number in range(file_count):
        _seal(warehouse_path, yesterday - timedelta(days=file_count - number), number, number < FEW_FILES)


def _seal(warehouse_path: Path, day: date, number: int, is_one_of_few: bool) -> None:
    archive = open_archive(None, warehouse_path)
    name = part_name(TABLE, day.isoformat(), 0)
    with open_warehouse(warehouse_path) as warehouse:
        bounds = {"first": number * FILE_ROWS, "end": (number + 1) * FILE_ROWS}
        warehouse.execute(A_DAY.format(day=day, is_one_of_few=is_one_of_few, **bounds))
        seal.write_part(warehouse, archive.staging(name), TABLE, day)
        archive.put_in_place(name)
        file = seal.describe(archive, TABLE, day, 0, read_cursors(warehouse)[TABLE], last_hash(warehouse))
        seal.commit(warehouse, archive, file)
        complete_manifest(archive, warehouse)
