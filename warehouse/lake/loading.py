"""Loads an event table into the lake: new rows become files, one for each day that has some, and then count at once.

Days are read side by side, on two connections that see one moment of Postgres. The caller's transaction names the files
and moves the cursor; killed before it, the load leaves files that nothing names.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa

from warehouse.archive.store import Archive
from warehouse.columns import received
from warehouse.cursors import Cursor
from warehouse.lake.hot import HotFile, is_in_lake, swap_files
from warehouse.lake.partitions import DayRows, difference, everything
from warehouse.lake.writing import write_hot_file
from warehouse.postgres import Lane, Snapshot
from warehouse.tables import Table

# less than this one connection brings before a second has joined
SHARED_FROM_BYTES = 1 << 20


def load_everything(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, archive: Archive, table: Table, columns: Mapping[str, str]
) -> int:
    """Write all rows that the snapshot sees, in the place of a table that was put aside; return how many."""
    return _load(warehouse, snapshot, archive, table, columns, everything(snapshot, table, columns))


def load_difference(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    table: Table,
    columns: Mapping[str, str],
    cursor: Cursor,
) -> int:
    """Write the rows that the snapshot sees and the cursor did not; return how many."""
    return _load(warehouse, snapshot, archive, table, columns, difference(snapshot, table, columns, cursor))


def _load(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    table: Table,
    columns: Mapping[str, str],
    days: Sequence[DayRows],
) -> int:
    values = [received(column, kind) for column, kind in columns.items()]
    heavy, others = _by_weight(days)
    files = [file for day in heavy for file in _by_halves(warehouse, snapshot, archive, day, values)]
    files += _side_by_side(warehouse, snapshot, archive, others, values)
    if files or not is_in_lake(warehouse, table.name):
        swap_files(warehouse, archive, table.name, new=files)
    return sum(file.row_count for file in files)


def _by_weight(days: Sequence[DayRows]) -> tuple[list[DayRows], list[DayRows]]:
    """Tell a day that is more than all others together: to read it with one connection would take longer than those."""
    largest_first = sorted(days, key=lambda one: one.byte_count, reverse=True)
    rest = sum(one.byte_count for one in largest_first[1:])
    split = int(bool(largest_first) and largest_first[0].byte_count > max(rest, SHARED_FROM_BYTES))
    return largest_first[:split], largest_first[split:]


def _by_halves(
    warehouse: duckdb.DuckDBPyConnection, snapshot: Snapshot, archive: Archive, day: DayRows, values: Sequence[str]
) -> list[HotFile]:
    with snapshot.streams(day.halves()) as streams, warehouse.cursor() as engine:
        return _write(engine, archive, day, streams, values)


def _side_by_side(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    archive: Archive,
    days: Sequence[DayRows],
    values: Sequence[str],
) -> list[HotFile]:
    waiting = deque(days)
    is_little = sum(day.byte_count for day in days) < SHARED_FROM_BYTES
    lanes = snapshot.lanes(1 if is_little else len(days)) if days else []

    def work(lane: Lane) -> list[HotFile]:
        try:
            with warehouse.cursor() as engine:
                return [file for day in _in_turn(waiting) for file in _from_lane(engine, archive, day, lane, values)]
        except BaseException:
            # what one cannot do the other need not go on with
            waiting.clear()
            raise

    with ThreadPoolExecutor(max(len(lanes), 1)) as pool:
        try:
            return [file for files in pool.map(work, lanes) for file in files]
        finally:
            waiting.clear()


def _in_turn(waiting: deque[DayRows]) -> Iterator[DayRows]:
    while True:
        try:
            yield waiting.popleft()
        except IndexError:
            return


def _from_lane(
    engine: duckdb.DuckDBPyConnection, archive: Archive, day: DayRows, lane: Lane, values: Sequence[str]
) -> list[HotFile]:
    with lane.stream(day.query) as stream:
        return _write(engine, archive, day, [stream], values)


def _write(
    engine: duckdb.DuckDBPyConnection,
    archive: Archive,
    day: DayRows,
    streams: Sequence[pa.RecordBatchReader],
    values: Sequence[str],
) -> list[HotFile]:
    """Write what the streams bring into one file; into none where they bring nothing."""
    engine.execute("SET TimeZone = 'UTC'")
    incoming = {f"incoming_{number}": stream for number, stream in enumerate(streams)}
    for name, stream in incoming.items():
        engine.register(name, stream)
    rows = " UNION ALL ".join(f"FROM {name}" for name in incoming)
    file = write_hot_file(engine, archive, day.table.name, day.day, rows, values)
    for name in incoming:
        engine.unregister(name)
    return [file] if file else []
