"""The lake in an S3 bucket: loaded, read, sealed, cleared of a person and taken back as in a folder."""

import uuid
from dataclasses import replace

import psycopg
import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, days_ago
from tests.integration.lake.lakes import LakeHome, events, hot_rows, ids, ids_in_postgres
from tests.s3_server import S3Server
from warehouse.archive.sources import prepare_sources
from warehouse.connection import open_warehouse, transaction
from warehouse.lake.errors import HotFileDamaged
from warehouse.lake.files import export_table, source_files
from warehouse.lake.hot import remove_unnamed
from warehouse.lake.removal import remove_hot_rows
from warehouse.new_rows import newest_event_age_seconds
from warehouse.people.compact import compact


@pytest.fixture
def bucket(filled_lake: LakeHome, s3: S3Server) -> LakeHome:
    """One that is loaded into a bucket, under a prefix of this test's own."""
    home = replace(filled_lake, archive_address=s3.address(f"tests/{uuid.uuid4().hex}"))
    home.load_closed()
    return home


def test_bucket_is_loaded_sealed_and_taken_back(database: psycopg.Connection, bucket: LakeHome) -> None:
    before = bucket.sources()
    assert not bucket.archive.exists()
    assert hot_rows(bucket, "sources") == hot_rows(bucket)
    events(database, DAY, 5)
    bucket.load_closed()
    assert bucket.seal()
    assert ids(bucket, schema="sources") == ids_in_postgres(database)
    assert set(bucket.store.listing("lake/hot")) == {file.path for file in bucket.named()}
    bucket.load(full=True)
    assert ids(bucket, schema="sources") == ids_in_postgres(database)
    bucket.load_tables(into_lake=False)
    assert ids(bucket, schema="sources") == ids_in_postgres(database)
    assert bucket.store.listing("lake/hot") == {}
    assert len(bucket.sources()["activity_events"]) == len(before["activity_events"])


def test_rows_leave_files_of_a_bucket(database: psycopg.Connection, bucket: LakeHome) -> None:
    with open_warehouse(bucket.warehouse_path) as warehouse:
        bucket.store.attach(warehouse)
        with transaction(warehouse):
            removed = remove_hot_rows(warehouse, bucket.store, "tracking_events", "user_id = 3", reason="asked")
        remove_unnamed(warehouse, bucket.store)
    assert removed
    kept = database.execute("SELECT id FROM tracking_events WHERE user_id IS DISTINCT FROM 3 ORDER BY id").fetchall()
    assert ids(bucket) == [row_id for (row_id,) in kept]
    assert set(bucket.store.listing("lake/hot")) == {file.path for file in bucket.named()}


def test_what_needs_no_archive_needs_none_in_a_bucket(bucket: LakeHome) -> None:
    prepare_sources(bucket.warehouse_path, bucket.archive_address)
    assert newest_event_age_seconds(bucket.warehouse_path) is not None
    compact(bucket.warehouse_path)
    assert {day for file in bucket.named() for day in [file.day]} == {OTHER_DAY, DAY, days_ago(0)}
    assert hot_rows(bucket)["tracking_events"]


def test_missing_object_stops_models(bucket: LakeHome, s3: S3Server) -> None:
    file = bucket.named()[0]
    s3.files.delete_file(bucket.store.url(file.path).removeprefix("s3://"))
    with pytest.raises(HotFileDamaged, match=r"s3://.* is missing"):
        prepare_sources(bucket.warehouse_path, bucket.archive_address)


def test_files_are_named_by_their_urls(bucket: LakeHome) -> None:
    with open_warehouse(bucket.warehouse_path) as warehouse:
        files = source_files(warehouse, bucket.store, "tracking_events")
        exported = export_table(warehouse, bucket.store, "raw.accounts", "accounts")
    assert all(file.path.startswith("s3://") for file in files)
    assert [bucket.store.url(name) for name in bucket.store.listing("lake/tables")] == [exported]
