"""What is counted of the records that came in: each term by itself, in the transaction that writes the rows."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from ingest_app.database import DRAINING, make_engine
from ingest_app.drain.drainer import drain_all
from ingest_app.drain.rejected import retry_rejected
from ingest_app.intake import Intake, accept_lost, list_lost
from ingest_app.kinds import KINDS
from tests.integration.controlling import postgres_away, wait_until, watching
from tests.integration.spools import a_part, a_spool, an_event

Counts = dict[str, int]
COUNTS = """
    SELECT sum(accepted_count)::int, sum(stored_count)::int, sum(duplicate_count)::int, sum(rejected_count)::int,
           sum(dropped_count)::int, sum(human_count)::int
    FROM intake_counts WHERE table_name = 'tracking_events'
"""
NAMES = ("accepted", "stored", "duplicate", "rejected", "dropped", "human")
# what no statement of ours notices by the number of rows that it was given
SWALLOW = """
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.event_name = 'swallowed' THEN RETURN NULL; END IF; RETURN new; END $$;
    CREATE TRIGGER swallow BEFORE INSERT ON tracking_events FOR EACH ROW EXECUTE FUNCTION swallow();
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url, options=DRAINING)
    yield made
    made.dispose()


def test_each_term_is_counted_by_itself(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    database.execute("ALTER TABLE tracking_events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')")
    again, bot, poison = an_event(), an_event(is_bot=True), an_event(event_name="poison")
    a_spool(tmp_path, a_part(again, bot, poison), a_part(an_event(), again))
    a_spool(tmp_path, a_part(again))
    drain_all(engine, tmp_path)
    assert counted(database) == a_count(accepted=6, stored=3, duplicate=2, rejected=1, human=2)
    repeats = database.execute("SELECT repeat_count, repeated_at IS NULL FROM event_ids ORDER BY 1").fetchall()
    assert repeats == [(0, True), (0, True), (2, False)]


def test_rows_are_of_the_moment_that_counts_them(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    a_spool(tmp_path, a_part(an_event(), an_event()), a_part(an_event()))
    drain_all(engine, tmp_path)
    [(moment,)] = database.execute("SELECT DISTINCT received_at FROM tracking_events").fetchall()
    found = database.execute("SELECT received_hour, last_human_at FROM intake_counts").fetchall()
    assert found == [(moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0), moment)]


def test_row_that_a_trigger_swallows_is_missed(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    database.execute(SWALLOW)
    a_spool(tmp_path, a_part(an_event(), an_event(event_name="swallowed")))
    drain_all(engine, tmp_path)
    assert counted(database) == a_count(accepted=2, stored=1, human=1)


def test_retried_record_is_accepted_again(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    database.execute("ALTER TABLE tracking_events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')")
    a_spool(tmp_path, a_part(an_event(event_name="poison"), an_event(event_name="poison")))
    drain_all(engine, tmp_path)
    with engine.begin() as connection:
        assert retry_rejected(connection, []) == (0, 2)
    database.execute("ALTER TABLE tracking_events DROP CONSTRAINT no_poison")
    with engine.begin() as connection:
        assert retry_rejected(connection, []) == (2, 0)
    assert counted(database) == a_count(accepted=4, stored=2, rejected=2, human=2)


def test_transaction_that_is_undone_counts_nothing(engine: Engine, database: psycopg.Connection) -> None:
    with engine.connect() as connection:
        KINDS["events"].write_rows(connection, [an_event()])
        connection.rollback()
    assert database.execute("SELECT count(*) FROM intake_counts").fetchone() == (0,)


def test_imported_rows_are_counted_as_well(engine: Engine, database: psycopg.Connection) -> None:
    event = an_event()
    for _ in range(2):
        with engine.begin() as connection:
            KINDS["events"].write_rows(connection, [event])
    assert counted(database) == a_count(accepted=2, stored=1, duplicate=1, human=1)


def test_drainer_waits_for_no_import(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    known = an_event()
    a_spool(tmp_path, a_part(known))
    drain_all(engine, tmp_path)
    a_spool(tmp_path, a_part(known))
    with engine.begin() as importing:
        KINDS["events"].write_rows(importing, [known, an_event()])
        drain_all(engine, tmp_path)
        assert counted(database) == a_count(accepted=2, stored=1, duplicate=1, human=1)
    assert counted(database) == a_count(accepted=4, stored=2, duplicate=2, human=2)


@pytest.mark.parametrize("others_node", [None, "another"], ids=["one node", "two nodes"])
def test_two_drainers_take_turns(engine: Engine, database: psycopg.Connection, others_node: str | None) -> None:
    events = [an_event() for _ in range(20)]
    first, second = (a_part(*rows).rows for rows in (events, events[::-1]))
    with engine.connect() as connection:
        intake = Intake(connection)
        KINDS["events"].write(intake, first)
        other = threading.Thread(target=write, args=(engine, second, others_node))
        other.start()
        while not database.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
            assert other.is_alive()
        intake.write()
        connection.commit()
    other.join(30)
    assert counted(database) == a_count(stored=20, duplicate=20, human=20)


def write(engine: Engine, rows: bytes, node_name: str | None) -> None:
    with engine.begin() as connection:
        intake = Intake(connection, node_name)
        KINDS["events"].write(intake, rows)
        intake.write()


def test_dropped_records_are_counted_once_postgres_is_back(
    database_url: str, server_url: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    with watching(database_url, tmp_path, mark_used_seconds=0.1) as control:
        with postgres_away(server_url, database):
            control.note_dropped("tracking_events", 2)
            control.note_dropped("tracking_events", 3)
            wait_until(lambda: control.is_postgres_away, "its absence")
        wait_until(lambda: not control.is_postgres_away, "its return")
    with psycopg.connect(database_url) as connection:
        assert counted(connection) == a_count(accepted=5, dropped=5)


def test_hours_are_those_of_utc(engine: Engine, database: psycopg.Connection) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL TimeZone = 'Asia/Kathmandu'")  # a quarter of an hour off
        intake = Intake(connection)
        intake.count("tracking_events", accepted=1)
        intake.write()
    [(hour,)] = database.execute("SELECT received_hour FROM intake_counts").fetchall()
    assert (hour.astimezone(UTC).minute, datetime.now(UTC) >= hour) == (0, True)


def counted(database: psycopg.Connection) -> Counts:
    found = database.execute(COUNTS).fetchone()
    assert found
    return dict(zip(NAMES, found, strict=True))


def a_count(**counts: int) -> Counts:
    return {name: counts.get(name, 0) for name in NAMES}


def test_what_was_lost_is_listed_then_taken_note_of(
    engine: Engine, database: psycopg.Connection, tmp_path: Path
) -> None:
    database.execute(SWALLOW)
    a_spool(tmp_path, a_part(an_event(event_name="swallowed"), an_event(), an_event(event_name="swallowed")))
    drain_all(engine, tmp_path)
    with engine.begin() as connection:
        [lost] = list_lost(connection)
        assert (lost.table_name, lost.record_count) == ("tracking_events", 2)
        assert accept_lost(connection, "me") == [lost]
        assert list_lost(connection) == accept_lost(connection, "me") == []
    assert counted(database) == a_count(accepted=3, stored=1, rejected=2, human=1)
    entries = database.execute("SELECT actor, action, subject, detail ->> 'records' FROM admin_audit_log").fetchall()
    assert entries == [("me", "rejected.lost", "tracking_events", "2")]
