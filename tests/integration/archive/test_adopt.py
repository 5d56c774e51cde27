"""The warehouse file is gone: sealed files and Postgres together make it again, and each row counts once."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, days_ago, fill, part
from tests.integration.archive.test_seal import LATE_ROW, flip_a_byte
from warehouse.archive.adopt import adopt_sealed_files
from warehouse.archive.errors import (
    DayDiffers,
    FilesNotNamed,
    ManifestDamaged,
    SealedFileDamaged,
    WarehouseBehindArchive,
)
from warehouse.archive.sources import prepare_sources
from warehouse.connection import open_warehouse
from warehouse.errors import PartitionDetached
from warehouse.load import load


@pytest.fixture
def restored(own_home: Home, database: psycopg.Connection, server_url: str) -> Iterator[Home]:
    """The same home before another Postgres that has the same rows, as after a restore."""
    name = f"{make_url(own_home.database_url).database}_restored"
    url = make_url(own_home.database_url).set(database=name).render_as_string(hide_password=False)
    own_home.seal()
    template = database.info.dbname
    database.close()
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield replace(own_home, database_url=url)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_deleted_warehouse_comes_back_row_for_row(home: Home) -> None:
    before = home.sources()
    home.seal()
    manifest = home.manifest.read_bytes()
    home.warehouse_path.unlink()
    home.load(full=True)
    assert home.sources() == before
    assert home.hot_count() == 12
    assert home.manifest.read_bytes() == manifest
    assert home.seal() == []


def test_full_load_beside_sealed_days_doubles_nothing(home: Home) -> None:
    before = home.sources()
    home.seal()
    home.load(full=True)
    assert home.sources() == before
    assert home.hot_count() == 12


def test_detached_partition_of_sealed_day_is_no_matter(database: psycopg.Connection, own_home: Home) -> None:
    before = own_home.sources()
    own_home.seal()
    partition = f"tracking_events_p{OTHER_DAY:%Y%m%d}"
    database.execute(f"ALTER TABLE tracking_events DETACH PARTITION {partition}")
    own_home.load()
    assert own_home.sources() == before
    own_home.warehouse_path.unlink()
    own_home.load(full=True)
    assert own_home.sources() == before


def test_sealed_days_outlive_their_rows_in_postgres(database: psycopg.Connection, own_home: Home) -> None:
    before = own_home.sources()
    own_home.seal()
    for table in ("activity_events", "tracking_events"):
        database.execute(f"DROP TABLE {table}_p{OTHER_DAY:%Y%m%d}")
    own_home.warehouse_path.unlink()
    own_home.load(full=True)
    assert own_home.sources() == before


def test_restored_postgres_adds_up_with_sealed_days(restored: Home) -> None:
    before = restored.sources()
    restored.load(full=True)
    assert restored.sources() == before
    with psycopg.connect(restored.database_url, autocommit=True) as connection:
        connection.execute(LATE_ROW)
    restored.load_closed()
    assert restored.seal() == [part("tracking_events", DAY, 1)]


def test_replaced_postgres_counts_beside_sealed_days(own_home: Home, empty_migrated_url: str) -> None:
    sealed = own_home.sources()["tracking_events"]
    own_home.seal()
    replaced = replace(own_home, database_url=empty_migrated_url)
    with psycopg.connect(empty_migrated_url, autocommit=True) as connection:
        # ids begin anew, so they meet those of the sealed days
        fill(connection, DAY, events=3)
    told = {it.table_name: it.only_here for it in load(replaced.database_url, replaced.warehouse_path, full=True)}
    rows = replaced.sources()["tracking_events"]
    assert len(rows) == 24 + 3
    assert {row for row in sealed if row[14].date() < days_ago(1)} < set(rows)
    replaced.load_closed()
    assert replaced.seal() == [part("activity_events", DAY, 1), part("tracking_events", DAY, 1)]
    assert replaced.sources()["tracking_events"] == rows
    # those of today, which were not sealed yet
    saved = told["tracking_events"]
    assert saved is not None
    ids = pl.read_parquet(saved.url)["id"].sort().to_list()
    assert ids == sorted(row[0] for row in sealed if row[14].date() == days_ago(0))
    assert saved.row_count == 12


def test_ordinary_load_stops_models_beside_unknown_files(home: Home) -> None:
    home.seal()
    home.warehouse_path.unlink()
    home.load()
    with pytest.raises(WarehouseBehindArchive, match=r"names 4 sealed files .* `footfall refresh --full`"):
        prepare_sources(home.warehouse_path)


def test_older_warehouse_put_back_learns_the_newer_files(home: Home) -> None:
    before = home.sources()
    old_warehouse = home.warehouse_path.read_bytes()
    home.seal()
    home.warehouse_path.write_bytes(old_warehouse)
    with pytest.raises(WarehouseBehindArchive):
        home.seal()
    home.load(full=True)
    assert home.sources() == before


def test_changed_file_is_not_adopted(home: Home) -> None:
    home.seal()
    home.warehouse_path.unlink()
    flip_a_byte(home.archive / part("tracking_events", DAY))
    with pytest.raises(SealedFileDamaged, match="has changed since it was sealed"):
        home.load(full=True)
    assert home.ask("SELECT count(*) FROM meta.sealed_files") == [(0,)]


def test_changed_manifest_is_not_adopted(home: Home) -> None:
    home.seal()
    home.warehouse_path.unlink()
    home.manifest.write_text(home.manifest.read_text().replace('"row_count":12', '"row_count":13'))
    with pytest.raises(ManifestDamaged, match=r"line 3: it was changed"):
        home.load(full=True)


def test_manifest_that_lost_lines_is_not_adopted(home: Home) -> None:
    home.seal()
    home.warehouse_path.unlink()
    *lines, last = home.manifest.read_text().splitlines(keepends=True)
    home.manifest.write_text("".join(lines))
    with pytest.raises(FilesNotNamed, match=rf"does not name {part('tracking_events', DAY)}: lines of it are missing"):
        home.load(full=True)
    assert home.ask("SELECT count(*) FROM meta.sealed_files") == [(0,)]
    home.manifest.write_text("".join([*lines, last]))
    home.load(full=True)
    assert home.hot_count() == 12


def test_full_load_killed_after_adopting_doubles_nothing(database: psycopg.Connection, own_home: Home) -> None:
    """An older warehouse was put back: its cursor is of before the sealed rows; the next load would take them again."""
    old_warehouse = own_home.warehouse_path.read_bytes()
    fill(database, DAY)
    own_home.load()
    before = own_home.sources()
    own_home.seal()
    own_home.warehouse_path.write_bytes(old_warehouse)
    with open_warehouse(own_home.warehouse_path) as warehouse:
        adopt_sealed_files(warehouse, own_home.store)
    own_home.load()
    assert own_home.sources() == before
    assert own_home.hot_count() == 12


def test_file_that_nothing_names_is_not_written_over(home: Home) -> None:
    path = home.archive / part("tracking_events", DAY)
    home.seal()
    only_copy = path.read_bytes()
    home.manifest.unlink()
    shutil.rmtree(path.parents[1] / f"received_date={OTHER_DAY}")
    shutil.rmtree(home.archive / "activity_events")
    home.warehouse_path.unlink()
    home.load()
    home.ask(f"DELETE FROM raw.tracking_events WHERE received_at < TIMESTAMPTZ '{DAY} 00:00:05Z'")
    with pytest.raises(DayDiffers):
        home.seal()
    [aside] = path.parent.glob("*.unnamed-*")
    assert aside.read_bytes() == only_copy
    assert not path.exists()


def test_archive_is_found_beside_a_linked_warehouse(home: Home, tmp_path: Path) -> None:
    before = home.sources()
    home.seal()
    (home.folder / "warehouse").rename(tmp_path / "elsewhere")
    (home.folder / "warehouse").symlink_to(tmp_path / "elsewhere")
    home.warehouse_path.unlink()
    home.load(full=True)
    assert home.sources() == before


def test_late_rows_of_a_detached_sealed_day_stop_a_full_load(database: psycopg.Connection, own_home: Home) -> None:
    own_home.seal()
    database.execute(LATE_ROW)
    own_home.load()
    database.execute(f"ALTER TABLE tracking_events DETACH PARTITION tracking_events_p{DAY:%Y%m%d}")
    own_home.load()
    with pytest.raises(PartitionDetached):
        own_home.load(full=True)
