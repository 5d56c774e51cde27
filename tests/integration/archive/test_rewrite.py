"""Sealed files are written anew without some rows: just these go, the chain says so, and whatever reads files copes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from tests.integration.archive.aging import OLD as OLD_DAY
from tests.integration.archive.aging import OLDER, expire_now, gone
from tests.integration.archive.rewriting import CONDITIONS, faults, rewrite, without
from tests.integration.archive.sealing import DAY, OTHER_DAY, TODAY, Home, Rows, part
from tests.integration.archive.test_seal import LATE_ROW, flip_a_byte
from warehouse.archive import rewrite as rewrite_module
from warehouse.archive.errors import FilesNotNamed, RewriteFailed, SealedFileDamaged
from warehouse.archive.manifest import read_manifest
from warehouse.archive.rewrite import count_rows
from warehouse.archive.splitting import Split, write_staying
from warehouse.connection import open_warehouse

OLD = part("tracking_events", DAY)
NEW = OLD.replace("part-0.", "part-0.v1.")


def test_only_these_rows_are_gone_from_files(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    old = pl.read_parquet(sealed.archive / OLD)
    with open_warehouse(sealed.warehouse_path) as warehouse:
        counted = {file.path: count for file, count in count_rows(warehouse, sealed.store, CONDITIONS)}
    written = {one.old_path: one for one in rewrite(sealed)}
    assert {path: one.removed_row_count for path, one in written.items()} == counted
    assert sum(counted.values()) == 2 + 6
    new = pl.read_parquet(sealed.archive / NEW)
    # columns, their types and the order as they were
    assert new.equals(old.filter(pl.col("user_id").is_null() | (pl.col("user_id") != 1)))
    assert (written[OLD].path, written[OLD].row_count) == (NEW, 9)
    assert written[OLD].byte_count == (sealed.archive / NEW).stat().st_size
    assert sealed.sources() == without(before_rewrite, f"{TODAY}")
    assert faults(sealed) == []


def test_rewrite_again_finds_nothing_to_do(sealed: Home) -> None:
    rewrite(sealed)
    manifest = sealed.manifest.read_bytes()
    assert rewrite(sealed) == []
    assert sealed.manifest.read_bytes() == manifest


def test_uuid_conditions_read_columns_as_models_do(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    rows = before_rewrite["activity_events"]
    person = next(row[1] for row in rows if row[1] is not None and f"{row[6]:%Y-%m-%d}" == f"{DAY}")
    rewrite(sealed, {"activity_events": f"user_id = '{person}'"})
    assert sealed.sources()["activity_events"] == [row for row in rows if row[1] != person]


def test_file_of_which_nothing_stays_is_empty(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    rewrite(sealed, {"tracking_events": f"received_at < '{DAY}'", "activity_events": "true"})
    assert pl.read_parquet(sealed.archive / part("tracking_events", OTHER_DAY).replace("-0.", "-0.v1.")).height == 0
    expected = {
        "tracking_events": [row for row in before_rewrite["tracking_events"] if f"{row[14]:%Y-%m-%d}" >= f"{DAY}"],
        "activity_events": [row for row in before_rewrite["activity_events"] if f"{row[6]:%Y-%m-%d}" == f"{TODAY}"],
        "tracking_documents": [],
    }
    assert sealed.sources() == expected
    assert faults(sealed) == []
    [empty] = [
        file
        for file in read_manifest(sealed.store)
        if file.path.startswith(f"tracking_events/received_date={OTHER_DAY}")
    ]
    assert (empty.row_count, empty.digest, empty.min_created_at) == (0, "0", "")
    sealed.warehouse_path.unlink()
    sealed.load(full=True)
    assert sealed.sources() == before_rewrite


def spoil_the_footer(path: Path) -> None:
    """Every row can be read as it was."""
    content = path.read_bytes()
    assert content.count(b"DuckDB") == 1
    path.write_bytes(content.replace(b"DuckDB", b"DuckDC"))


@pytest.mark.parametrize("damage", [flip_a_byte, spoil_the_footer], ids=["a row", "the footer"])
def test_damaged_file_is_named_and_not_rewritten(sealed: Home, damage: Callable[[Path], None]) -> None:
    path = sealed.archive / OLD
    damage(path)
    damaged = path.read_bytes()
    # as a disk does it, without a new time of change
    with open_warehouse(sealed.warehouse_path) as warehouse:
        warehouse.execute("UPDATE meta.sealed_files SET modified_ns = ? WHERE path = ?", [path.stat().st_mtime_ns, OLD])
    manifest = sealed.manifest.read_bytes()
    with pytest.raises(SealedFileDamaged, match=OLD):
        rewrite(sealed, {"tracking_events": f"id > 0 AND received_at >= '{DAY}'"})
    assert sealed.manifest.read_bytes() == manifest
    assert path.read_bytes() == damaged
    assert not (sealed.archive / NEW).exists()


def test_condition_that_cannot_be_read_changes_nothing(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    with pytest.raises(RewriteFailed, match="no_such_column"):
        rewrite(sealed, {"tracking_events": "no_such_column = 1"})
    with pytest.raises(ValueError, match="no event tables: user_points"):
        rewrite(sealed, {"user_points": "user_id = 1"})
    assert sealed.sources() == before_rewrite


def test_quarter_hours_of_gone_rows_are_touched(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    sealed.ask("DELETE FROM meta.touched RETURNING 1")
    rewrite(sealed)
    expected = {("tracking_events", moment) for moment, in sealed.ask(
        "SELECT DISTINCT time_bucket(INTERVAL '15 minutes', created_at) FROM raw.tracking_events WHERE user_id = 1"
    )}  # fmt: skip
    touched = set(sealed.ask("SELECT table_name, quarter_hour FROM meta.touched"))
    assert {row for row in touched if row[0] == "tracking_events"} == expected
    # the last moment of each of two days
    assert {f"{moment:%H:%M}" for table, moment in touched if table == "activity_events"} == {"23:45"}
    assert len(touched) == len(expected) + 2


def test_part_that_nothing_names_stops_the_rewrite(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    other = OLD.replace("part-0.", "part-7.")
    shutil.copy(sealed.archive / OLD, sealed.archive / other)
    with pytest.raises(FilesNotNamed, match=other):
        rewrite(sealed)
    assert sealed.sources() == before_rewrite
    assert rewrite(sealed, {"tracking_events": "user_id = 987654"}) == []


def test_part_of_a_killed_seal_goes_before_a_rewrite(home: Home) -> None:
    """Its rows are hot, but for those that have gone there already."""
    hot = [row for row in home.ask(f"SELECT id FROM raw.tracking_events WHERE received_at::DATE = '{DAY}'")]
    assert len(hot) == 12
    (home.archive / OLD).parent.mkdir(parents=True)
    home.ask(
        f"COPY (SELECT * REPLACE (event_id::BLOB AS event_id) FROM raw.tracking_events"
        f" WHERE received_at::DATE = '{DAY}') TO '{home.archive / OLD}' (FORMAT parquet)"
    )
    home.ask("DELETE FROM raw.tracking_events WHERE user_id = 1 RETURNING 1")
    assert rewrite(home) == []
    assert not (home.archive / OLD).exists()


def test_late_row_is_sealed_beside_a_rewritten_part(database: psycopg.Connection, own_home: Home) -> None:
    own_home.seal()
    for table, condition in CONDITIONS.items():
        database.execute(f"DELETE FROM {table} WHERE {condition} AND received_at < '{TODAY}'".encode())
    rewrite(own_home)
    database.execute(LATE_ROW)
    own_home.load()
    before = own_home.sources()
    assert len(before["tracking_events"]) == 36 - 6 + 1
    assert own_home.seal() == [part("tracking_events", DAY, 1)]
    assert own_home.sources() == before
    own_home.warehouse_path.unlink()
    own_home.load(full=True)
    assert own_home.sources() == before
    assert own_home.hot_count() == 12
    rewrite(own_home, {"tracking_events": "event_name = 'late'"})
    assert own_home.sources()["tracking_events"] == [row for row in before["tracking_events"] if row[5] != "late"]


def test_days_in_a_bucket_are_rewritten_likewise(s3_home: Home) -> None:
    before = s3_home.sources()
    s3_home.seal()
    assert {one.removed_row_count for one in rewrite(s3_home)} == {1, 3}
    assert s3_home.sources() == without(before, f"{TODAY}")
    assert NEW in s3_home.store.listing()
    assert OLD not in s3_home.store.listing()
    assert faults(s3_home) == []
    s3_home.warehouse_path.unlink()
    s3_home.load(full=True)
    assert s3_home.sources() == before


def test_day_that_postgres_has_whole_does_not_expire(aged_home: Home) -> None:
    rewrite(aged_home, {"tracking_events": f"user_id = 1 AND received_at < '{DAY}'"})
    expiry = expire_now(aged_home)
    assert {(one.table, one.day) for one in expiry.stays} == {("tracking_events", day) for day in (OLDER, OLD_DAY)}
    assert "Postgres has 12 rows" in str(expiry.stays[0])
    assert "its sealed files 9 rows" in str(expiry.stays[0])
    with psycopg.connect(aged_home.database_url, autocommit=True) as connection:
        connection.execute(f"DELETE FROM tracking_events WHERE user_id = 1 AND received_at < '{DAY}'".encode())
    assert gone(expire_now(aged_home)) == [("tracking_events", day) for day in (OLDER, OLD_DAY)]


def test_file_that_does_not_add_up_replaces_nothing(
    sealed: Home, before_rewrite: dict[str, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row more is lost on the way to the disk than should go."""

    def write_less(connection: duckdb.DuckDBPyConnection, split: Split, path: Path, reason: str) -> None:
        write_staying(connection, replace(split, condition=f"{split.condition} OR user_id = 2"), path, reason)

    monkeypatch.setattr(rewrite_module, "write_staying", write_less)
    with pytest.raises(RewriteFailed, match=r"7 rows stay and 3 go, 12 were sealed"):
        rewrite(sealed, {"tracking_events": "user_id = 1"})
    assert sealed.sources() == before_rewrite
    assert not list(sealed.archive.rglob("*.v1.*"))
