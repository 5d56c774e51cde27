"""The seal: a closed day becomes files, no row is lost or doubled on the way, and what is not proved is not deleted."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import psycopg
import pytest

from pipelines.assets.archive import sealed_days
from pipelines.settings import Settings
from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, fill, part
from warehouse.archive.errors import ArchiveError, DayDiffers, DaysNotSealed, SealedFileDamaged
from warehouse.archive.fingerprint import file_fingerprint, sha256_of
from warehouse.archive.manifest import read_manifest
from warehouse.archive.sources import prepare_sources

LATE_ROW = f"""
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, received_at)
    VALUES ('guest', 'DViz', 'visit', 'late', '{DAY} 12:00Z')
"""


def test_closed_days_become_files_that_sources_read(home: Home) -> None:
    before = home.sources()
    assert home.seal() == [
        part(table, day) for table in ("activity_events", "tracking_events") for day in (OTHER_DAY, DAY)
    ]
    assert [file.row_count for file in read_manifest(home.store)] == [4, 4, 12, 12]
    # at once, and not only when models are built next
    assert home.ask("SELECT count(*) FROM sources.tracking_events") == [(36,)]
    assert home.sources() == before
    assert home.hot_count() == 12


def test_open_transaction_keeps_its_day_open(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    home = Home(tmp_path, database_url)
    fill(database, DAY)
    with psycopg.connect(database_url) as late:
        late.execute(LATE_ROW)
        for _ in range(2):
            home.load()
            assert home.seal() == []
        late.commit()
    home.load_closed()
    assert part("tracking_events", DAY) in home.seal()
    assert ("late",) in home.ask(f"SELECT event_name FROM '{home.archive / part('tracking_events', DAY)}'")


def test_late_row_becomes_a_further_part(database: psycopg.Connection, own_home: Home) -> None:
    own_home.seal()
    database.execute(LATE_ROW)
    own_home.load()
    before = own_home.sources()
    assert len(before["tracking_events"]) == 37
    assert own_home.seal() == [part("tracking_events", DAY, 1)]
    assert own_home.sources() == before
    assert own_home.hot_count() == 12


def test_late_row_is_sealed_whatever_became_of_sealed_ones(database: psycopg.Connection, own_home: Home) -> None:
    own_home.seal()
    database.execute("DELETE FROM tracking_events WHERE id = (SELECT min(id) FROM tracking_events)")
    database.execute(LATE_ROW)
    database.execute(LATE_ROW.replace(str(DAY), str(OTHER_DAY)))
    own_home.load()
    database.execute(f"UPDATE tracking_events SET os = 'other' WHERE event_name = 'late' AND received_at < '{DAY}'")
    with pytest.raises(DayDiffers, match=f"tracking_events of {OTHER_DAY}"):
        own_home.seal()
    database.execute(f"UPDATE tracking_events SET os = NULL WHERE event_name = 'late' AND received_at < '{DAY}'")
    assert own_home.seal() == [part("tracking_events", OTHER_DAY, 1)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE tracking_events SET os = NULL WHERE os = ''", r"Postgres has 12 rows .* --full"),
        ("DELETE FROM tracking_events WHERE id = (SELECT min(id) FROM tracking_events)", "Postgres has 11 rows"),
        (f"DROP TABLE tracking_events_p{DAY:%Y%m%d}", r"Postgres has 0 rows .* from a backup"),
    ],
    ids=["other values", "a row less", "no partition"],
)
def test_rows_that_postgres_denies_stay_hot(
    database: psycopg.Connection, own_home: Home, change: str, told: str
) -> None:
    before = own_home.sources()
    database.execute(change)
    with pytest.raises((DayDiffers, DaysNotSealed), match=told):
        own_home.seal()
    assert own_home.sources() == before
    sealed = {file.path for file in read_manifest(own_home.store)}
    assert part("activity_events", DAY) in sealed
    assert {path.relative_to(own_home.archive).as_posix() for path in own_home.archive.rglob("*.parquet*")} == sealed


def test_day_is_sealed_after_the_advice_is_followed(database: psycopg.Connection, own_home: Home) -> None:
    database.execute(f"DELETE FROM tracking_events WHERE event_name = '' AND received_at < '{DAY}'")
    with pytest.raises(DayDiffers, match=f"tracking_events of {OTHER_DAY}"):
        own_home.seal()
    own_home.load(full=True)
    assert own_home.seal() == [part("tracking_events", OTHER_DAY)]


def test_moved_home_folder_reads_its_own_files(home: Home, tmp_path: Path) -> None:
    before = home.sources()
    home.seal()
    moved = replace(home, folder=tmp_path / "it's elsewhere")
    shutil.move(home.folder, moved.folder)
    assert moved.sources() == before


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, "is missing"),
        (lambda path: os.truncate(path, 100), "has 100 bytes, not"),
        (flip_a_byte, "has changed since"),
    ],
    ids=["missing", "cut", "changed"],
)
def test_damaged_file_stops_models_and_seal(home: Home, damage: Callable[[Path], None], told: str) -> None:
    home.seal()
    damage(home.archive / part("tracking_events", DAY))
    with pytest.raises(SealedFileDamaged, match=told):
        prepare_sources(home.warehouse_path)
    with pytest.raises(SealedFileDamaged, match=rf"{DAY}/part-0\.parquet {told}.*footfall archive verify"):
        home.seal()


def test_touched_file_is_read_once_and_kept(home: Home) -> None:
    before = home.sources()
    home.seal()
    path = home.archive / part("tracking_events", DAY)
    os.utime(path, (0, 0))
    assert home.sources() == before
    assert home.ask("SELECT count(*) FROM meta.sealed_files WHERE modified_ns = 0") == [(1,)]


def test_file_that_nothing_names_is_never_read(home: Home) -> None:
    before = home.sources()
    home.seal()
    path = home.archive / part("tracking_events", DAY)
    shutil.copy(path, path.with_name("part-1.parquet"))
    assert home.sources() == before


def test_file_with_fewer_columns_still_counts(database: psycopg.Connection, own_home: Home) -> None:
    """An older footfall sealed it, before the column `os` was: it reads as NULL, and late rows still add up."""
    own_home.seal()
    path = own_home.archive / part("tracking_events", DAY)
    pl.read_parquet(path).drop("os").write_parquet(path)
    [old] = [file for file in read_manifest(own_home.store) if file.path == part("tracking_events", DAY)]
    columns = {name: kind for name, kind in old.columns.items() if name != "os"}
    digest = str(file_fingerprint(path, columns)[0].digest)
    new = replace(old, columns=columns, digest=digest, sha256=sha256_of(path), byte_count=path.stat().st_size)
    with duckdb.connect(str(own_home.warehouse_path)) as warehouse:
        # the newest line, so no other has to be made anew
        assert warehouse.execute("SELECT max_by(path, position) FROM meta.sealed_files").fetchall() == [(old.path,)]
        warehouse.execute("UPDATE meta.sealed_files SET manifest_line = ? WHERE path = ?", [new.line(), new.path])
    own_home.manifest.unlink()
    database.execute(LATE_ROW)
    own_home.load()
    assert own_home.seal() == [part("tracking_events", DAY, 1)]
    rows = own_home.ask(f"SELECT os FROM sources.tracking_events WHERE received_at::DATE = '{DAY}'")
    assert rows == [(None,)] * 13


def test_other_manifest_than_the_warehouse_knows_stops(home: Home) -> None:
    home.seal()
    lines = home.manifest.read_text().splitlines(keepends=True)
    home.manifest.write_text("".join(lines[1:]))
    with pytest.raises(ArchiveError, match=r"manifest\.jsonl and the warehouse know other sealed files"):
        home.seal()


def test_sealing_asset_tells_what_it_sealed(home: Home) -> None:
    settings = Settings(footfall_home=home.folder, database_url=home.database_url)
    with dg.DagsterInstance.ephemeral() as instance:
        # most days there is nothing more to seal by the second time
        for sealed in ((32, 2), (0, 0)):
            result = dg.materialize([sealed_days], instance=instance, resources={"settings": settings})
            metadata = result.asset_materializations_for_node("sealed_days")[0].metadata
            assert (metadata["sealed_row_count"].value, metadata["sealed_day_count"].value) == sealed
