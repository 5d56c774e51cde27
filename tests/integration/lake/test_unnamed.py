"""Files of the lake that nothing names are never read, and go; a named one that is not whole stops whoever reads it."""

import shutil
from dataclasses import replace

import psycopg
import pytest

from tests.conftest import new_database
from tests.integration.archive.sealing import DAY, days_ago, part
from tests.integration.archive.test_seal import flip_a_byte
from tests.integration.lake.lakes import LakeHome, events, hot_rows, ids, ids_in_postgres
from warehouse.archive.errors import ArchiveOfAnother
from warehouse.archive.fingerprint import sha256_of
from warehouse.archive.loose import loose_files
from warehouse.archive.sources import prepare_sources
from warehouse.archive.verify import unnamed_files, verify_files
from warehouse.connection import open_warehouse
from warehouse.errors import WarehouseOutdated
from warehouse.lake.errors import HotFileDamaged
from warehouse.lake.hot import named_files, path_list, remove_unnamed

TODAY = days_ago(0)


def test_unnamed_and_half_written_files_are_not_read_and_go(lake: LakeHome) -> None:
    rows = lake.sources()
    file = next(file for file in lake.named() if file.table_name == "tracking_events")
    path = lake.archive / file.path
    for name in ("killed.parquet", "killed.parquet.new"):
        path.with_name(name).write_bytes(path.read_bytes())
    path.with_name("half.parquet").write_bytes(path.read_bytes()[:100])
    assert hot_rows(lake)["tracking_events"] == sorted(rows["tracking_events"])
    assert lake.sources() == rows
    lake.load()
    assert lake.sources() == rows
    assert lake.stray() == set()
    assert not list(lake.hot.rglob("*.new"))


def test_other_folders_of_the_lake_stay_as_they_are(lake: LakeHome) -> None:
    others = [
        lake.archive / "lake" / name
        for name in ("tables/accounts/a.parquet", "models/marts.fct_a/a/part-0.parquet", "models/x/_SUCCESS")
    ]
    for path in others:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"somebody's")
    lake.seal()
    lake.load()
    lake.load(full=True)
    assert all(path.read_bytes() == b"somebody's" for path in others)
    assert loose_files(lake.store) == []
    assert lake.store.unnamed_parts([part("tracking_events", DAY)]) != []
    assert not [finding for finding in unnamed_files(lake.store) if "lake" in finding.subject]
    assert not [finding for finding in verify_files(lake.store) if finding.fault]
    assert not [name for name in lake.store.listing() if name.startswith("lake")]


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_hot_file_stops_until_all_is_loaded_anew(
    database: psycopg.Connection, lake: LakeHome, damage: str
) -> None:
    file = next(file for file in lake.named() if (file.table_name, file.day) == ("tracking_events", DAY))
    path = lake.archive / file.path
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    for read in (lake.load, lake.seal, lambda: prepare_sources(lake.warehouse_path)):
        with pytest.raises(HotFileDamaged, match=r"received_date=.*refresh --full"):
            read()
    assert not lake.manifest.exists()
    lake.load(full=True)
    assert ids(lake) == ids_in_postgres(database)
    assert lake.stray() == set()


def test_hot_file_with_other_bytes_is_not_sealed(lake: LakeHome) -> None:
    file = next(file for file in lake.named() if (file.table_name, file.day) == ("tracking_events", DAY))
    flip_a_byte(lake.archive / file.path)
    for read in (lake.seal, lambda: lake.load_tables(compare_keys=True)):
        with pytest.raises(HotFileDamaged, match="has changed since it was loaded"):
            read()
    lake.load(full=True)
    lake.seal()
    assert not [finding for finding in verify_files(lake.store) if finding.fault]


def test_load_of_everything_that_is_killed_goes_on_with_everything(
    database: psycopg.Connection, lake: LakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = next(file for file in lake.named() if file.table_name == "tracking_events")
    (lake.archive / file.path).unlink()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("warehouse.load.adopt_sealed_files", stop)
        with pytest.raises(KeyboardInterrupt):
            lake.load(full=True)
    lake.load()
    assert ids(lake) == ids_in_postgres(database)


def test_moved_archive_is_read_where_it_is_now(database: psycopg.Connection, lake: LakeHome) -> None:
    rows = hot_rows(lake)
    moved = replace(lake, archive_address=str(lake.folder / "elsewhere"))
    shutil.move(lake.archive, lake.folder / "elsewhere")
    assert moved.sources().keys()
    assert hot_rows(moved) == rows
    events(database, TODAY, 3)
    moved.load()
    assert ids(moved) == ids_in_postgres(database)


def test_files_of_an_older_footfall_are_loaded_anew(database: psycopg.Connection, lake: LakeHome) -> None:
    """An upgrade brought the column `os`: the files lack it, and their view."""
    with open_warehouse(lake.warehouse_path) as warehouse:
        for file in named_files(warehouse, "tracking_events"):
            path = lake.archive / file.path
            warehouse.execute(
                f"CREATE OR REPLACE TEMP TABLE old AS SELECT * EXCLUDE (os) "
                f"FROM read_parquet('{path}', hive_partitioning = false)"
            )
            warehouse.execute(f"COPY old TO '{path}'")
            described = ("byte_count", path.stat().st_size), ("sha256", sha256_of(path))
            for column, value in described:
                warehouse.execute(f"UPDATE meta.hot_files SET {column} = ? WHERE path = ?", [value, file.path])
        paths = path_list(lake.store, named_files(warehouse, "tracking_events"))
        warehouse.execute(
            "CREATE OR REPLACE VIEW raw.tracking_events AS SELECT * REPLACE (event_id::UUID AS event_id) "
            f"FROM read_parquet({paths}, hive_partitioning = false)"
        )
    with pytest.raises(WarehouseOutdated, match=r"raw\.tracking_events"):
        lake.load()
    database.execute("DELETE FROM tracking_events WHERE id = (SELECT min(id) FROM tracking_events)")
    only_here = lake.load_tables(full=True)["tracking_events"].only_here
    assert only_here is not None
    assert only_here.row_count == 1
    assert ids(lake) == ids_in_postgres(database)
    lake.load()


def test_files_of_another_footfall_are_not_removed(lake: LakeHome, server_url: str, template_database: str) -> None:
    lake.seal()
    before = lake.named()
    with new_database(server_url, template_database) as url:
        other = LakeHome(lake.folder / "other", url, str(lake.archive))
        with pytest.raises(ArchiveOfAnother):
            other.load()
    assert lake.named() == before
    assert all((lake.archive / file.path).exists() for file in before)


def test_what_a_load_left_goes_also_when_nothing_is_in_the_lake(lake: LakeHome) -> None:
    lake.load_tables(into_lake=False)
    left = lake.hot / "tracking_events" / f"received_date={DAY}" / "left.parquet"
    left.write_bytes(b"left")
    with open_warehouse(lake.warehouse_path) as warehouse:
        remove_unnamed(warehouse, lake.store)
    assert not left.exists()
