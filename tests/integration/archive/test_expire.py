"""The expire: old days leave Postgres, and no row is in fewer places than before it was proved to be in the archive."""

import shutil
import uuid
from dataclasses import replace

import psycopg
import pytest

from tests.integration.archive import aging
from tests.integration.archive.aging import (
    AGED_TABLES,
    AN_OLD_EVENT,
    OLD,
    OLDER,
    expire_now,
    gone,
    partition,
    partition_states,
)
from tests.integration.archive.sealing import DAY, PARTITION, Home, days_ago, part
from tests.integration.archive.test_seal import flip_a_byte
from tests.s3_server import S3Server
from warehouse.archive import expire
from warehouse.archive.detach import detach
from warehouse.archive.restore import chosen
from warehouse.archive.restore_postgres import restore_into_postgres
from warehouse.archive.retention import Partition
from warehouse.errors import OtherDatabase, SettingUnusable
from warehouse.partitions import make_event_partitions

ALL_OLD = [(table, day) for day in (OLDER, OLD) for table in AGED_TABLES]


def run(home: Home, *statements: str) -> None:
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def count(home: Home, query: str) -> int:
    with psycopg.connect(home.database_url) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return int(row[0])


def test_old_days_leave_and_reports_do_not_notice(aged_home: Home) -> None:
    before = aged_home.sources()
    expiry = expire_now(aged_home)
    assert gone(expiry) == ALL_OLD
    assert [one.row_count for one in expiry.expired] == [4, 12, 4, 12]
    assert all(one.byte_count > 0 for one in expiry.expired)
    assert (expiry.stays, {expiry.oldest_days[table] for table in AGED_TABLES}) == ([], {DAY})
    assert count(aged_home, f"SELECT count(*) FROM tracking_events WHERE received_at < '{DAY}'") == 0
    assert aged_home.sources() == before
    aged_home.load()
    aged_home.load(full=True)
    assert aged_home.seal() == []
    assert aged_home.sources() == before
    assert gone(expire_now(aged_home)) == []


def test_dry_run_says_what_would_go(aged_home: Home) -> None:
    states = partition_states(aged_home)
    foreseen = expire_now(aged_home, dry_run=True)
    assert partition_states(aged_home) == states
    assert foreseen.expired == expire_now(aged_home).expired


def test_day_without_rows_leaves_without_a_file(aged_home: Home) -> None:
    run(aged_home, PARTITION.format(table="tracking_documents", day=OLD, end=OLD + (DAY - days_ago(4))))
    assert ("tracking_documents", OLD) in gone(expire_now(aged_home))
    assert partition(OLD, "tracking_documents") not in partition_states(aged_home)


def test_day_that_is_not_proved_stays_with_its_reason(aged_home: Home) -> None:
    (aged_home.archive / part("activity_events", OLDER)).unlink()
    flip_a_byte(aged_home.archive / part("activity_events", OLD))
    run(aged_home, AN_OLD_EVENT)
    aged_home.load()
    run(aged_home, f"UPDATE tracking_events SET os = 'other' WHERE os = '' AND received_at < '{OLD}'")
    rows = count(aged_home, "SELECT count(*) FROM tracking_events")
    expiry = expire_now(aged_home)
    assert gone(expiry) == []
    reasons = dict(zip(ALL_OLD, map(str, expiry.stays), strict=True))
    for (table, day), (reason, advice) in {
        ("activity_events", OLDER): ("part-0.parquet is missing", "is the only whole copy of the day now"),
        ("activity_events", OLD): ("has changed since it was sealed", "is the only whole copy of the day now"),
        ("tracking_events", OLDER): ("Postgres has 12 rows (digest", "its sealed files 12 rows (digest"),
        ("tracking_events", OLD): ("1 rows of it are not sealed yet", "look at the job `seal`"),
    }.items():
        assert reasons[table, day].startswith(f"{table} of {day} stays in Postgres: ")
        assert reason in reasons[table, day]
        assert advice in reasons[table, day]
    assert count(aged_home, "SELECT count(*) FROM tracking_events") == rows
    assert set(partition_states(aged_home).values()) == {"attached"}


def test_one_day_that_stays_keeps_no_other(aged_home: Home) -> None:
    run(aged_home, f"DELETE FROM tracking_events WHERE event_name = '' AND received_at < '{OLD}'")
    expiry = expire_now(aged_home)
    assert gone(expiry) == [one for one in ALL_OLD if one != ("tracking_events", OLDER)]
    assert "Postgres has 9 rows" in str(expiry.stays[0])


def test_late_rows_leave_once_they_are_sealed(aged_home: Home) -> None:
    run(aged_home, AN_OLD_EVENT)
    aged_home.load()
    assert ("tracking_events", OLD) not in gone(expire_now(aged_home))
    assert aged_home.seal() == [part("tracking_events", OLD, 1)]
    assert gone(expire_now(aged_home)) == [("tracking_events", OLD)]


def test_day_that_nobody_sealed_stays(aged_home: Home) -> None:
    day = days_ago(95)
    run(aged_home, PARTITION.format(table="tracking_events", day=day, end=days_ago(94)))
    run(aged_home, AN_OLD_EVENT.replace(str(OLD), str(day)))
    [stays] = expire_now(aged_home).stays
    assert (
        str(stays) == f"tracking_events of {day} stays in Postgres: its 1 rows are not sealed (look at the job `seal`)"
    )


def test_unusable_setting_lets_no_day_go(aged_home: Home) -> None:
    run(aged_home, "UPDATE admin_settings SET setting_value = '29' WHERE setting_key = 'archive_after_days'")
    with pytest.raises(SettingUnusable, match="archive_after_days is '29', not a whole number from 30 to 36500"):
        expire_now(aged_home)
    run(aged_home, "UPDATE admin_settings SET setting_value = '97' WHERE setting_key = 'archive_after_days'")
    assert gone(expire_now(aged_home)) == []


def test_warehouse_of_another_postgres_lets_no_day_go(aged_home: Home, aged: aging.Aged) -> None:
    other = Home(aged_home.folder, aged.home.database_url)
    with pytest.raises(OtherDatabase):
        expire_now(other)
    assert partition_states(other)[partition(OLD)] == "attached"


def test_row_that_comes_before_the_drop_brings_the_day_back(aged_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def detach_and_insert(connection: psycopg.Connection, leaving: Partition) -> None:
        detach(connection, leaving)
        if leaving.name == partition(OLD):
            columns = "id, user_type, app_name, event_type, event_name, received_at"
            values = f"999, 'guest', 'DViz', 'visit', 'late', '{OLD} 12:00Z'"
            run(aged_home, f"INSERT INTO {leaving.name} ({columns}) VALUES ({values})")

    with monkeypatch.context() as patch:
        patch.setattr(expire, "detach", detach_and_insert)
        [stays] = expire_now(aged_home).stays
    assert "Postgres has 13 rows" in str(stays)
    assert partition_states(aged_home)[partition(OLD)] == "attached"
    aged_home.load()
    assert aged_home.seal() == [part("tracking_events", OLD, 1)]
    assert gone(expire_now(aged_home)) == [("tracking_events", OLD)]


DETACH = f"ALTER TABLE tracking_events DETACH PARTITION {partition(OLD)}"


def test_detached_day_with_late_rows_is_attached_again(aged_home: Home) -> None:
    run(aged_home, AN_OLD_EVENT, DETACH)
    [stays] = expire_now(aged_home).stays
    assert "Postgres has 13 rows" in str(stays)
    assert partition_states(aged_home)[partition(OLD)] == "attached"


def test_young_day_that_somebody_detached_is_left(aged_home: Home) -> None:
    run(aged_home, DETACH.replace(partition(OLD), partition(DAY)))
    assert gone(expire_now(aged_home)) == ALL_OLD
    assert partition_states(aged_home)[partition(DAY)] == "detached"


def test_partition_made_ahead_is_no_matter(aged_home: Home) -> None:
    expire_now(aged_home)
    assert make_event_partitions(aged_home.database_url) == 0


def test_table_named_for_no_day_is_left_alone(aged_home: Home) -> None:
    run(aged_home, "CREATE TABLE tracking_events_p20249999 AS SELECT 1 AS id")
    assert gone(expire_now(aged_home)) == ALL_OLD
    aged_home.load()
    assert count(aged_home, "SELECT count(*) FROM tracking_events_p20249999") == 1


def test_days_in_a_bucket_let_theirs_go_and_come_back(aged_home: Home, s3: S3Server) -> None:
    home = replace(aged_home, archive_address=s3.address(f"tests/{uuid.uuid4().hex}"))
    for name in aged_home.store.listing():
        with aged_home.store.local(name) as path:
            shutil.copy(path, home.store.staging(name))
        home.store.put_in_place(name)
    shutil.rmtree(home.archive)
    home.store.remove(part("tracking_events", OLD))
    expiry = expire_now(home)
    assert gone(expiry) == [one for one in ALL_OLD if one != ("tracking_events", OLD)]
    assert "part-0.parquet is missing: this partition is the only whole copy" in str(expiry.stays[0])
    with chosen(home.warehouse_path, home.store, [OLDER]) as files:
        restored = restore_into_postgres(home.database_url, home.store, files)
    assert [one.written_row_count for one in restored] == [4, 12]
