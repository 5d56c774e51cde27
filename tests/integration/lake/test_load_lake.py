"""A load into the lake: each committed row once, in one file for its day and load, read as from a raw table."""

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, days_ago
from tests.integration.lake.lakes import LakeHome, events, hot_rows, ids, ids_in_postgres, rows_in
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns, raw_columns
from warehouse.connection import open_warehouse
from warehouse.errors import LoadFailed, RowsDiffer
from warehouse.lake import loading, writing
from warehouse.lake.hot import HotFile
from warehouse.tables import EVENT_TABLES

TODAY = days_ago(0)


def test_first_load_writes_one_file_for_each_day(database: psycopg.Connection, filled_lake: LakeHome) -> None:
    filled_lake.load()
    files = [file for file in filled_lake.named() if file.table_name == "tracking_events"]
    assert [(file.day, file.row_count) for file in files] == [(OTHER_DAY, 12), (DAY, 12), (TODAY, 12)]
    for file in files:
        path = filled_lake.archive / file.path
        assert path.parent.name == f"received_date={file.day}"
        received = {row[14].date() for row in rows_in(path)}
        assert received == {file.day}
    assert ids(filled_lake) == ids_in_postgres(database)


def test_raw_view_is_what_the_table_would_be(filled_lake: LakeHome, tmp_path: Path) -> None:
    plain = Home(tmp_path / "plain", filled_lake.database_url)
    plain.load()
    filled_lake.load()
    assert hot_rows(filled_lake) == hot_rows(plain)
    assert hot_rows(filled_lake)["tracking_events"]
    with open_warehouse(filled_lake.warehouse_path) as warehouse:
        assert {name: list(columns.items()) for name, columns in raw_columns(warehouse).items()} == {
            name: list(columns.items()) for name, columns in declared_columns().items()
        }


def test_each_load_adds_one_file_for_days_with_new_rows(database: psycopg.Connection, lake: LakeHome) -> None:
    before = {file.path for file in lake.named()}
    events(database, DAY, 3, "late")
    events(database, TODAY, 5)
    loaded = lake.load_tables()["tracking_events"]
    added = [file for file in lake.named() if file.path not in before]
    assert [(file.table_name, file.day, file.row_count) for file in added] == [
        ("tracking_events", DAY, 3),
        ("tracking_events", TODAY, 5),
    ]
    assert (loaded.loaded_row_count, loaded.total_row_count) == (8, 44)
    assert before <= {file.path for file in lake.named()}
    lake.load()
    assert len(lake.named()) == len(before) + 2


def test_rows_of_open_transactions_come_once_after_commit(
    database: psycopg.Connection, database_url: str, lake: LakeHome
) -> None:
    with psycopg.connect(database_url) as late, psycopg.connect(database_url) as gone:
        events(late, DAY, 7, "late")
        events(gone, DAY, 7, "never")
        events(database, TODAY, 2)
        assert lake.load_tables()["tracking_events"].loaded_row_count == 2
        late.commit()
        gone.rollback()
        assert lake.load_tables()["tracking_events"].loaded_row_count == 7
    assert lake.load_tables()["tracking_events"].loaded_row_count == 0
    assert ids(lake) == ids_in_postgres(database)


def test_partition_that_is_no_day_is_split_by_days(database: psycopg.Connection, empty_lake: LakeHome) -> None:
    first, second = days_ago(41), days_ago(40)
    database.execute(
        f"CREATE TABLE of_two_days PARTITION OF tracking_events "
        f"FOR VALUES FROM ('{first} 12:00Z') TO ('{days_ago(39)} 00:00Z')".encode()
    )
    for moment, count in ((f"{first} 23:59:50", 15), (f"{second} 06:00", 3)):
        events(database, moment, count)
    empty_lake.load()
    assert [(file.day, file.row_count) for file in empty_lake.named()] == [(first, 9), (second, 9)]
    events(database, f"{first} 23:59:50", 15)
    empty_lake.load()
    assert Counter(file.day for file in empty_lake.named()) == {first: 2, second: 2}
    assert ids(empty_lake) == ids_in_postgres(database)


def test_days_are_read_side_by_side_at_one_moment(
    database: psycopg.Connection, filled_lake: LakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SHARED_FROM_BYTES", 0)
    threads: set[threading.Thread] = set()
    both = threading.Barrier(2, timeout=60)

    def wait_for_the_other(
        engine: duckdb.DuckDBPyConnection, archive: Archive, table: str, day: date, rows: str, values: Sequence[str]
    ) -> HotFile | None:
        if threading.current_thread() not in threads and len(threads) < 2:
            threads.add(threading.current_thread())
            both.wait()
            if both.n_waiting == 0:
                events(database, TODAY, 1, "later")
        return writing.write_hot_file(engine, archive, table, day, rows, values)

    monkeypatch.setattr(loading, "write_hot_file", wait_for_the_other)
    before = ids_in_postgres(database)
    filled_lake.load()
    assert len(threads) == 2
    assert ids(filled_lake) == before
    filled_lake.load()
    assert ids(filled_lake) == ids_in_postgres(database)


def test_heavy_day_is_one_file_of_two_connections(
    database: psycopg.Connection, lake: LakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SHARED_FROM_BYTES", 0)
    events(database, TODAY, 500)
    events(database, DAY, 5)
    before = {file.path for file in lake.named()}
    lake.load()
    added = [(file.day, file.row_count) for file in lake.named() if file.path not in before]
    assert added == [(DAY, 5), (TODAY, 500)]
    assert ids(lake) == ids_in_postgres(database)


@pytest.mark.parametrize("shared_from", [0, 1 << 30], ids=["two connections", "one connection"])
def test_failure_in_one_day_undoes_the_table(
    database: psycopg.Connection, lake: LakeHome, monkeypatch: pytest.MonkeyPatch, shared_from: int
) -> None:
    monkeypatch.setattr(loading, "SHARED_FROM_BYTES", shared_from)
    before, named = ids(lake), lake.named()
    for day in (TODAY, DAY, OTHER_DAY):
        events(database, day, 5)

    def full_on_the_second(
        engine: duckdb.DuckDBPyConnection, archive: Archive, table: str, day: date, rows: str, values: Sequence[str]
    ) -> HotFile | None:
        if day == DAY:
            raise OSError(28, "No space left on device")
        return writing.write_hot_file(engine, archive, table, day, rows, values)

    with monkeypatch.context() as patch:
        patch.setattr(loading, "write_hot_file", full_on_the_second)
        with pytest.raises(LoadFailed, match=r"tracking_events.*No space left"):
            lake.load()
    assert (ids(lake), lake.named()) == (before, named)
    lake.load()
    assert ids(lake) == ids_in_postgres(database)
    assert lake.stray() == set()


def test_full_load_makes_all_files_anew(database: psycopg.Connection, lake: LakeHome) -> None:
    events(database, DAY, 3)
    lake.load()
    before, rows = lake.named(), hot_rows(lake)
    lake.load(full=True)
    assert hot_rows(lake) == rows
    assert not {file.path for file in before} & {file.path for file in lake.named()}
    assert lake.stray() == set()
    assert Counter((file.table_name, file.day) for file in lake.named()).most_common(1)[0][1] == 1


def test_full_load_keeps_what_only_the_lake_has(database: psycopg.Connection, lake: LakeHome) -> None:
    database.execute("DELETE FROM tracking_events WHERE id = (SELECT min(id) FROM tracking_events)")
    only_here = lake.load_tables(full=True)["tracking_events"].only_here
    assert only_here is not None
    assert only_here.row_count == 1
    assert len(rows_in(Path(only_here.url))) == 1
    assert ids(lake) == ids_in_postgres(database)


def test_comparison_of_keys_reads_the_lake(database: psycopg.Connection, lake: LakeHome) -> None:
    lake.load_tables(compare_keys=True)
    database.execute("DELETE FROM tracking_events WHERE id = (SELECT max(id) FROM tracking_events)")
    with pytest.raises(RowsDiffer, match="11 there, 12 here"):
        lake.load_tables(compare_keys=True)


def test_touched_quarter_hours_and_late_rows_are_told(database: psycopg.Connection, lake: LakeHome) -> None:
    lake.ask("DELETE FROM meta.touched")
    database.execute("INSERT INTO activity_events (event_type, created_at) VALUES ('login', '2024-02-29 12:07Z')")
    assert lake.load_tables()["activity_events"].late_row_count == 1
    touched = lake.ask("SELECT table_name, quarter_hour::VARCHAR FROM meta.touched")
    assert touched == [("activity_events", "2024-02-29 12:00:00+00")]


def test_tables_of_a_lake_without_events_are_empty(empty_lake: LakeHome) -> None:
    empty_lake.load()
    assert empty_lake.in_lake() == EVENT_TABLES
    assert empty_lake.named() == []
    assert hot_rows(empty_lake) == {table: [] for table in EVENT_TABLES}
    empty_lake.load()
