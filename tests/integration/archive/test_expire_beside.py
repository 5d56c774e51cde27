"""The expire beside others: who inserts does not wait, who reads for long is named, and the next run goes on."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from sqlalchemy import Engine

from footfall.doctor import health
from footfall.settings import load_settings
from ingest_app.database import make_engine
from ingest_app.intake import Intake
from ingest_app.kinds import KINDS
from pipelines.assets import archive
from pipelines.settings import Settings
from tests.integration.archive.aging import AN_OLD_EVENT, OLD, OLDER, expire_now, gone, partition, partition_states
from tests.integration.archive.sealing import PARTITION, Home, days_ago, part
from tests.integration.archive.test_expire import ALL_OLD, count, run
from tests.integration.archive.test_restore import restore
from tests.integration.spools import a_part, an_event
from warehouse.archive import detach, overdue
from warehouse.archive.expire import Expiry
from warehouse.partitions import make_event_partitions

AN_EVENT = (
    "INSERT INTO tracking_events (user_type, app_name, event_type, event_name) VALUES ('guest', 'a', 'visit', 'x')"
)
# a statement that joined the queue of a detach would wait as long as that, three times
SHORT_WAIT_MS = 400


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detach, "LOCK_WAIT_MS", SHORT_WAIT_MS)


@pytest.fixture
def reader(aged_home: Home) -> Iterator[psycopg.Connection]:
    """Somebody who has read the event table and not ended the transaction."""
    with psycopg.connect(aged_home.database_url, application_name="a slow report") as connection:
        connection.execute("SELECT count(*) FROM tracking_events")
        yield connection


@pytest.fixture
def engine(aged_home: Home) -> Iterator[Engine]:
    made = make_engine(aged_home.database_url)
    yield made
    made.dispose()


def longest_insert_seconds(home: Home, engine: Engine, busy: threading.Thread) -> tuple[float, int]:
    """Insert as the drainer and as anybody does for as long as the other is busy."""
    longest, inserted = 0.0, 0
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        while busy.is_alive():
            started = time.perf_counter()
            connection.execute(AN_EVENT)
            with engine.begin() as draining:
                assert KINDS["events"].write(Intake(draining), a_part(an_event()).rows) == 1
            longest = max(longest, time.perf_counter() - started)
            inserted += 2
    return longest, inserted


@pytest.mark.usefixtures("impatient")
def test_inserts_do_not_wait_for_an_expire_that_waits(
    aged_home: Home, engine: Engine, reader: psycopg.Connection
) -> None:
    done: list[Expiry] = []
    before = count(aged_home, "SELECT count(*) FROM tracking_events")
    expiring = threading.Thread(target=lambda: done.append(expire_now(aged_home)))
    expiring.start()
    longest, inserted = longest_insert_seconds(aged_home, engine, expiring)
    expiring.join()
    assert inserted > 4
    assert longest < SHORT_WAIT_MS / 1000
    [expiry] = done
    assert gone(expiry) == [("activity_events", OLDER), ("activity_events", OLD)]
    [stays] = map(str, expiry.stays)
    assert stays.startswith(f"tracking_events of {OLDER} is not detached yet, and the next run goes on from there: ")
    assert f"it waits for pid {reader.info.backend_pid} (a slow report), open for " in stays
    assert "pg_terminate_backend" in stays
    assert partition_states(aged_home)[partition(OLDER)] == "pending"
    assert count(aged_home, "SELECT count(*) FROM tracking_events") == before - 12 + inserted
    reader.rollback()
    assert gone(expire_now(aged_home)) == [one for one in ALL_OLD if one[0] == "tracking_events"]


def leave_pending(home: Home, reader: psycopg.Connection) -> None:
    """Let a detach get as far as its first half, for a reader is in its way."""
    assert expire_now(home).stays
    assert partition_states(home)[partition(OLDER)] == "pending"
    reader.rollback()


@pytest.mark.usefixtures("impatient")
def test_pending_detach_disturbs_nobody_else(aged_home: Home, engine: Engine, reader: psycopg.Connection) -> None:
    before = aged_home.sources()
    leave_pending(aged_home, reader)
    run(aged_home, f"DROP TABLE {partition(days_ago(-14))}")
    assert make_event_partitions(aged_home.database_url) == 1
    for full in (False, True):
        aged_home.load(full=full)
        assert aged_home.sources() == before
    assert aged_home.seal() == []
    with engine.connect() as connection:
        wrong = {found.item for found in health(connection, load_settings(aged_home.folder)) if not found.is_well}
    assert wrong <= {"warehouse", "disk", "retention"}
    assert restore(aged_home, OLDER, table="tracking_events") == [0]
    assert partition_states(aged_home)[partition(OLDER)] == "attached"


@pytest.mark.usefixtures("impatient")
def test_late_row_of_a_pending_day_brings_it_back(aged_home: Home, reader: psycopg.Connection) -> None:
    leave_pending(aged_home, reader)
    columns = "id, user_type, app_name, event_type, event_name, received_at"
    run(
        aged_home,
        f"INSERT INTO {partition(OLDER)} ({columns}) VALUES (9, 'guest', 'a', 'visit', 'x', '{OLDER} 12:00Z')",
    )
    assert [stays.day for stays in expire_now(aged_home).stays] == [OLDER]
    assert partition_states(aged_home)[partition(OLDER)] == "attached"
    aged_home.load()
    assert aged_home.seal() == [part("tracking_events", OLDER, 1)]
    assert gone(expire_now(aged_home)) == [("tracking_events", OLDER)]


@pytest.mark.usefixtures("impatient")
def test_pending_day_that_is_no_longer_due_comes_back(aged_home: Home, reader: psycopg.Connection) -> None:
    leave_pending(aged_home, reader)
    run(aged_home, "UPDATE admin_settings SET setting_value = '180' WHERE setting_key = 'archive_after_days'")
    assert (gone(expire_now(aged_home, dry_run=True)), partition_states(aged_home)[partition(OLDER)]) == ([], "pending")
    assert gone(expire_now(aged_home)) == []
    assert partition_states(aged_home)[partition(OLDER)] == "attached"


def test_session_ended_in_a_detach_is_resumed(aged_home: Home, reader: psycopg.Connection) -> None:
    """As by a restart of Postgres."""
    done: list[Expiry] = []
    expiring = threading.Thread(target=lambda: done.append(expire_now(aged_home)))
    expiring.start()
    waiting = "query LIKE '%CONCURRENTLY' AND wait_event_type = 'Lock'"
    end_it = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {waiting}"
    while expiring.is_alive() and not count(aged_home, end_it):
        pass
    expiring.join()
    [expiry] = done
    assert gone(expiry) == [("activity_events", OLDER)]
    assert "Postgres refused to expire old days" in str(expiry.failure)
    assert partition_states(aged_home)[partition(OLDER)] == "pending"
    reader.rollback()
    assert {("tracking_events", OLDER), ("tracking_events", OLD)} <= set(gone(expire_now(aged_home)))
    assert not {partition(OLDER), partition(OLD)} & partition_states(aged_home).keys()


@pytest.mark.usefixtures("impatient")
def test_reader_of_the_detached_table_delays_its_drop(aged_home: Home) -> None:
    run(aged_home, f"ALTER TABLE tracking_events DETACH PARTITION {partition(OLDER)}")
    with psycopg.connect(aged_home.database_url, application_name="a curious one") as reader:
        reader.execute(f"SELECT count(*) FROM {partition(OLDER)}".encode())
        [stays] = map(str, expire_now(aged_home).stays)
    assert f"tracking_events of {OLDER} is detached and not dropped yet" in stays
    assert "(a curious one)" in stays
    assert ("tracking_events", OLDER) in gone(expire_now(aged_home))


def materialize(home: Home, *, dry_run: bool = False) -> dg.ExecuteInProcessResult:
    settings = Settings(footfall_home=home.folder, database_url=home.database_url)
    config = {"ops": {"expired_days": {"config": {"dry_run": dry_run}}}}
    assets = [archive.expired_days, archive.nothing_is_overdue]
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            assets, instance=instance, resources={"settings": settings}, run_config=config, raise_on_error=False
        )


def test_expire_asset_tells_what_left_and_what_stays(aged_home: Home) -> None:
    for dry_run, is_well in ((True, False), (False, True)):
        result = materialize(aged_home, dry_run=dry_run)
        metadata = result.asset_materializations_for_node("expired_days")[0].metadata
        assert (metadata["expired_row_count"].value, metadata["expired_day_count"].value) == (32, 2)
        assert metadata["freed_byte_count"].value
        assert metadata["dry_run"].value is dry_run
        [check] = result.get_asset_check_evaluations()
        assert check.passed is is_well
    assert f"tracking_events still has {OLDER}, {OLD}" not in str(check.description)
    nothing_more = materialize(aged_home)
    assert nothing_more.success
    assert nothing_more.asset_materializations_for_node("expired_days")[0].metadata["expired_row_count"].value == 0


def test_day_that_stays_fails_the_run(aged_home: Home) -> None:
    (aged_home.archive / part("tracking_events", OLD)).unlink()
    result = materialize(aged_home)
    assert not result.success
    assert result.asset_materializations_for_node("expired_days")[0].metadata["expired_row_count"].value == 20
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data
    assert str(failure.user_failure_data.description).startswith("1 day stays in Postgres that is due")


def test_overdue_days_are_named_with_what_to_run(aged_home: Home, engine: Engine, tmp_path: Path) -> None:
    found = [str(one) for one in overdue.overdue_in(aged_home.database_url)]
    assert found == [
        f"activity_events still has {OLDER}, {OLD}, due since {days_ago(6)}",
        f"tracking_events still has {OLDER}, {OLD}, due since {days_ago(6)}",
    ]
    with engine.connect() as connection:
        [finding] = [one for one in health(connection, load_settings(tmp_path)) if one.item == "retention"]
    assert (finding.is_well, finding.found) == (False, "; ".join(found))
    assert "footfall archive expire" in finding.advice
    expire_now(aged_home)
    assert overdue.overdue_in(aged_home.database_url) == []


def test_old_rows_in_a_partition_of_another_name_are_overdue(aged_home: Home) -> None:
    expire_now(aged_home)
    made = PARTITION.format(table="tracking_events", day=OLD, end=days_ago(92))
    run(aged_home, made.replace(partition(OLD), "tracking_events_by_hand"), AN_OLD_EVENT)
    [found] = map(str, overdue.overdue_in(aged_home.database_url))
    assert found == f"tracking_events has rows from before {days_ago(92)} in a partition that is not named for its day"


def test_unusable_setting_fails_the_check_and_no_more(aged_home: Home) -> None:
    run(aged_home, "UPDATE admin_settings SET setting_value = 'soon' WHERE setting_key = 'archive_after_days'")
    settings = Settings(footfall_home=aged_home.folder, database_url=aged_home.database_url)
    assets = [archive.expired_days, archive.nothing_is_overdue]
    alone = dg.AssetSelection.checks(archive.nothing_is_overdue)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(assets, instance=instance, resources={"settings": settings}, selection=alone)
    [check] = result.get_asset_check_evaluations()
    assert (result.success, check.passed) == (True, False)
    assert "archive_after_days is 'soon'" in str(check.description)


def test_doctor_looks_on_where_an_event_table_is_gone(aged_home: Home, engine: Engine, tmp_path: Path) -> None:
    run(aged_home, "DROP TABLE tracking_documents")
    with engine.connect() as connection:
        [finding] = [one for one in health(connection, load_settings(tmp_path)) if one.item == "retention"]
    assert finding.found == "its tables cannot be looked at"
