"""The warehouse file is gone: sealed files and Postgres together make it again, and each row counts once."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, days_ago, fill, part
from tests.integration.archive.test_seal import LATE_ROW, flip_a_byte
from warehouse.archive.errors import ManifestDamaged, SealedFileDamaged, WarehouseBehindArchive
from warehouse.archive.sources import prepare_sources


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


@pytest.mark.parametrize("full", [False, True])
def test_detached_partition_of_sealed_day_is_no_matter(
    database: psycopg.Connection, own_home: Home, *, full: bool
) -> None:
    before = own_home.sources()
    own_home.seal()
    partition = f"tracking_events_p{OTHER_DAY:%Y%m%d}"
    database.execute(f"ALTER TABLE tracking_events DETACH PARTITION {partition}")
    own_home.load(full=full)
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
    restored.load()
    assert restored.seal() == [part("tracking_events", DAY, 1)]


def test_replaced_postgres_counts_beside_sealed_days(own_home: Home, empty_migrated_url: str) -> None:
    sealed = own_home.sources()["tracking_events"]
    own_home.seal()
    replaced = replace(own_home, database_url=empty_migrated_url)
    with psycopg.connect(empty_migrated_url, autocommit=True) as connection:
        # ids begin anew, so they meet those of the sealed days
        fill(connection, DAY, events=3)
    replaced.load(full=True)
    rows = replaced.sources()["tracking_events"]
    assert len(rows) == 24 + 3
    assert {row for row in sealed if row[14].date() < days_ago(1)} < set(rows)
    assert replaced.seal() == [part("activity_events", DAY, 1), part("tracking_events", DAY, 1)]
    assert replaced.sources()["tracking_events"] == rows


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
