"""Days are sealed out of the lake, expire, and come back as they do out of `warehouse.duckdb`."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests.integration.archive.aging import OLD, OLDER, expire_now, gone
from tests.integration.archive.sealing import DAY, OTHER_DAY, days_ago, fill, part
from tests.integration.lake.killing import kill_after
from tests.integration.lake.lakes import LakeHome, events, ids, ids_in_postgres
from warehouse.archive.errors import DayDiffers, DaysNotSealed
from warehouse.archive.restore import chosen
from warehouse.archive.restore_file import restore_into_file
from warehouse.archive.restore_postgres import restore_into_postgres
from warehouse.archive.verify import verify_files

TODAY = days_ago(0)
SEALED = [part(table, day) for table in ("activity_events", "tracking_events") for day in (OTHER_DAY, DAY)]


def test_sealed_days_leave_the_lake(lake: LakeHome) -> None:
    before = lake.sources()
    assert lake.seal() == SEALED
    assert lake.stray() == set()
    assert lake.sources() == before
    assert {file.day for file in lake.named()} == {TODAY}
    assert {path.parent.name for path in lake.hot.rglob("*.parquet")} == {f"received_date={TODAY}"}
    assert [finding.fault for finding in verify_files(lake.store)] == [None] * len(SEALED)


def test_rows_after_the_seal_are_sealed_as_a_further_part(database: psycopg.Connection, lake: LakeHome) -> None:
    lake.seal()
    events(database, DAY, 5, "late")
    lake.load_closed()
    assert lake.seal() == [part("tracking_events", DAY, 1)]
    assert ids(lake, schema="sources") == ids_in_postgres(database)


def test_full_load_leaves_sealed_rows_out(database: psycopg.Connection, lake: LakeHome) -> None:
    lake.seal()
    events(database, DAY, 5, "late")
    before = ids_in_postgres(database)
    lake.load(full=True)
    assert sorted(row[0] for row in lake.sources()["tracking_events"]) == before
    assert lake.hot_count() == 12 + 5
    assert lake.stray() == set()


def test_deleted_warehouse_comes_back(database: psycopg.Connection, lake: LakeHome) -> None:
    lake.seal()
    before = lake.sources()
    lake.warehouse_path.unlink()
    lake.load(full=True)
    assert lake.sources() == before
    assert lake.stray() == set()


def test_day_that_postgres_denies_stays_in_the_lake(database: psycopg.Connection, lake: LakeHome) -> None:
    before = lake.sources()
    database.execute("DELETE FROM tracking_events WHERE received_at < %s", [DAY + (DAY - OTHER_DAY)])
    with pytest.raises((DayDiffers, DaysNotSealed)):
        lake.seal()
    assert lake.sources() == before
    assert DAY in {file.day for file in lake.named() if file.table_name == "tracking_events"}


def test_seal_killed_between_naming_and_removing_is_resumed(lake: LakeHome) -> None:
    before = lake.sources()
    kill_after(lake, "seal", ["seal.remove_hot_day", "seal.make_source_view", "seal.commit", "store.remove"])
    assert lake.sources() == before
    lake.seal()
    assert lake.sources() == before
    assert lake.stray() == set()
    assert sorted(_sealed_names(lake)) == SEALED


def test_expired_days_are_read_from_the_archive_and_restored(
    database: psycopg.Connection, empty_lake: LakeHome, tmp_path: Path
) -> None:
    for day in (OLDER, OLD, TODAY):
        fill(database, day)
    empty_lake.load_closed()
    empty_lake.seal()
    before, in_postgres = empty_lake.sources(), ids_in_postgres(database)
    assert gone(expire_now(empty_lake))
    assert len(ids_in_postgres(database)) < len(in_postgres)
    empty_lake.load()
    assert empty_lake.sources() == before
    with chosen(empty_lake.warehouse_path, empty_lake.store, [OLD]) as files:
        restore_into_file(tmp_path / "restored.duckdb", empty_lake.store, files)
        restore_into_postgres(empty_lake.database_url, empty_lake.store, files)
    with duckdb.connect(str(tmp_path / "restored.duckdb")) as restored:
        assert restored.execute("SELECT count(*) FROM tracking_events").fetchall() == [(12,)]
    # what comes back to Postgres is loaded as anything else: once, for its sealed file has it
    empty_lake.load(full=True)
    assert empty_lake.sources() == before


def _sealed_names(lake: LakeHome) -> Iterator[str]:
    return (path.relative_to(lake.archive).as_posix() for path in lake.archive.glob("*_events/*/*.parquet"))
