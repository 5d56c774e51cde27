"""From spools into Postgres, exactly once: drainers that are killed, or meet another; rows that are refused."""

import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError

from ingest_app.database import make_engine
from ingest_app.drain.batch import Drained
from ingest_app.drain.drainer import BATCH_RECORDS, Drainer
from ingest_app.drain.rejected import list_rejected, retry_rejected
from ingest_app.spool import Spool
from ingest_app.spool.files import spools_in
from ingest_app.spool.reader import read_backlog
from ingest_app.spool.writer import Limits
from tests.integration.spools import a_part, a_spool, an_event, run_python

BEAT = "heartbeat"
NOON = "2026-01-02T12:00:00+00:00"
NO_POISON = "CHECK (event_name <> 'poison') NOT VALID"
DRAIN_ONCE = """
import sys
from pathlib import Path
from ingest_app.database import make_engine
from ingest_app.drain.drainer import Drainer
Drainer(make_engine(sys.argv[1]), Path(sys.argv[2])).drain_round()
print("drained")
"""
# whoever moves a cursor waits, with the rows written, for the lock that the test holds
HOLD_UP = """
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN new; END $$;
CREATE TRIGGER hold_up BEFORE UPDATE ON spool_cursors FOR EACH ROW EXECUTE FUNCTION hold_up();
"""
HELD_UP = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def drainer(engine: Engine, tmp_path: Path) -> Iterator[Drainer]:
    with closing(Drainer(engine, tmp_path)) as made:
        yield made


def test_drained_spool_goes_with_its_cursor(drainer: Drainer, database: psycopg.Connection, tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 0, Limits(file_bytes=1))) as spool:
        for _ in range(3):
            spool.append(a_part(an_event(), an_event()))
        drain(drainer)
        # the one that its worker still holds
        assert len(spools_in(tmp_path)) == count(database, "spool_cursors") == 1
    drain(drainer)
    assert [path.name for path in tmp_path.iterdir()] == ["drained.json"]
    assert (count(database, "tracking_events"), count(database, "spool_cursors")) == (6, 0)


def test_drainer_killed_before_commit_neither_loses_nor_doubles(
    drainer: Drainer, database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    a_spool(tmp_path, a_part(an_event(), an_event()), a_part({"session_id": "s"}, kind="unknown"))
    with holding_up(database, database_url, tmp_path) as victim:
        victim.kill()
    wait_until(lambda: database.execute(HELD_UP).fetchone() is None)
    assert [count(database, table) for table in ("tracking_events", "intake_counts", "spool_cursors")] == [0, 0, 0]
    drain(drainer)
    assert (count(database, "tracking_events"), count(database, "rejected_records")) == (2, 1)
    assert database.execute("SELECT accepted_count, stored_count FROM intake_counts").fetchall() == [(2, 2)]


def test_commit_that_broke_off_is_done_anew(
    drainer: Drainer, database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    a_spool(tmp_path, a_part(an_event(), an_event()))
    with holding_up(database, database_url, tmp_path) as victim:
        database.execute(HELD_UP.replace("pid", "pg_terminate_backend(pid)", 1))
        assert "terminating connection" in victim.communicate(timeout=30)[1]
    drain(drainer)
    assert count(database, "tracking_events") == 2


def test_drainer_killed_after_commit_doubles_nothing(
    drainer: Drainer, database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    # what counts twice if it is read twice: nothing in its table keeps a second one out
    with closing(Spool(tmp_path, 0)) as spool:
        spool.append(a_part({"n": 1}, kind="unknown"))
        with run_python(DRAIN_ONCE, database_url, tmp_path) as victim:
            assert victim.stdout
            assert victim.stdout.readline() == "drained\n"
            victim.kill()
        drain(drainer)
    drain(drainer)
    assert (count(database, "rejected_records"), spools_in(tmp_path)) == (1, [])


def test_poisonous_record_goes_alone(drainer: Drainer, database: psycopg.Connection, tmp_path: Path) -> None:
    refuse_poison(database)
    events = [an_event(event_name="poison" if n in {3, 40, 41} else f"e{n}") for n in range(50)]
    a_spool(tmp_path, a_part(*events[:30]), a_part({"user_id": str(uuid.uuid4()), "last_seen_at": NOON}, kind=BEAT))
    a_spool(tmp_path, a_part(*events[30:]))
    drained = drain(drainer)
    assert (drained.records, drained.rejected, drained.duplicates) == (51, 3, 0)
    assert (count(database, "tracking_events"), count(database, "user_heartbeats")) == (47, 1)
    found = database.execute("SELECT event_id, reason FROM rejected_records").fetchall()
    assert {str(event_id) for event_id, _ in found} == {events[n]["event_id"] for n in (3, 40, 41)}
    assert all("no_poison" in reason for _, reason in found)


def test_rejected_records_are_retried_once_mended(
    drainer: Drainer, engine: Engine, database: psycopg.Connection, tmp_path: Path
) -> None:
    refuse_poison(database)
    event = an_event(event_name="poison")
    a_spool(tmp_path, a_part(event, an_event(event_name="poison")))
    drain(drainer)
    with engine.begin() as connection:
        first = list_rejected(connection, 10)[-1].id
        assert retry_rejected(connection, []) == (0, 2)
    database.execute("ALTER TABLE tracking_events DROP CONSTRAINT no_poison")
    # its sender has sent it again meanwhile
    a_spool(tmp_path, a_part(event))
    drain(drainer)
    with engine.begin() as connection:
        assert retry_rejected(connection, [first]) == (1, 0)
        assert retry_rejected(connection, []) == (1, 0)
        assert list_rejected(connection, 10) == []
    assert count(database, "tracking_events") == 2


@pytest.mark.parametrize(
    "row",
    [
        an_event(event_id="no uuid"),
        an_event(created_at="never"),
        an_event(meta={"nul": "\0"}),
        an_event(user_type="x"),
        an_event(app_name="x" * 51),
        an_event(user_id=2**70),
        "not a row",
    ],
    ids=["uuid", "time", "nul", "enum", "length", "number", "shape"],
)
def test_whatever_postgres_refuses_is_set_aside(
    drainer: Drainer, database: psycopg.Connection, tmp_path: Path, row: object
) -> None:
    a_spool(tmp_path, a_part(an_event(), row, an_event()))
    assert drain(drainer).rejected == 1
    assert (count(database, "tracking_events"), count(database, "rejected_records")) == (2, 1)


def test_missing_partition_is_no_poison(drainer: Drainer, database: psycopg.Connection, tmp_path: Path) -> None:
    for (name,) in database.execute("SELECT inhrelid::regclass::text FROM pg_inherits").fetchall():
        database.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(name)))
    # its message is no help: servers speak their operators' languages
    a_spool(tmp_path, a_part(an_event(), an_event()))
    drain(drainer)
    assert (count(database, "tracking_events"), count(database, "rejected_records")) == (2, 0)


def test_postgres_away_costs_nothing_but_time(
    drainer: Drainer, database: psycopg.Connection, server_url: str, database_url: str, tmp_path: Path
) -> None:
    name = make_url(database_url).database or ""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with closing(Spool(tmp_path, 0)) as spool, psycopg.connect(server_url, autocommit=True) as server:
        spool.append(a_part(an_event()))
        drain(drainer)
        server.execute(allow.format(sql.Identifier(name), False))
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        for _ in range(2):
            spool.append(a_part(an_event()))
            with pytest.raises(DBAPIError):
                drainer.drain_round()
        assert read_backlog(tmp_path).record_count == 2
        server.execute(allow.format(sql.Identifier(name), True))
        drain(drainer)
    with psycopg.connect(database_url) as again:
        assert count(again, "tracking_events") == 3


def test_spool_that_must_wait_holds_up_no_other(
    drainer: Drainer, database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    first = a_spool(tmp_path, a_part(an_event()))
    database.execute("INSERT INTO spool_cursors (spool_name) VALUES (%s)", [first.stem])
    a_spool(tmp_path, a_part(an_event(), an_event()))
    name = sql.Identifier(make_url(database_url).database or "")
    database.execute(sql.SQL("ALTER DATABASE {} SET lock_timeout = '200ms'").format(name))
    with psycopg.connect(database_url) as other:
        other.execute("SELECT 1 FROM spool_cursors FOR UPDATE")
        with pytest.raises(DBAPIError, match="lock timeout"):
            drainer.drain_round()
        assert count(database, "tracking_events") == 2
    drain(drainer)
    assert count(database, "tracking_events") == 3


def test_two_drainers_at_once_write_each_once(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    stop, counts = threading.Event(), []

    def drain_on() -> None:
        engine = make_engine(database_url)
        with closing(Drainer(engine, tmp_path)) as drainer:
            while drainer.drain_round().records or spools_in(tmp_path) or not stop.is_set():
                counts.append(1)
        engine.dispose()

    drainers = [threading.Thread(target=drain_on) for _ in range(2)]
    for thread in drainers:
        thread.start()
    with closing(Spool(tmp_path, 0, Limits(file_bytes=1_000))) as spool:
        for number in range(120):
            spool.append(a_part(an_event(), an_event()))
            spool.append(a_part({"n": number}, kind="unknown"))
    stop.set()
    for thread in drainers:
        thread.join(60)
    assert (count(database, "tracking_events"), count(database, "rejected_records")) == (240, 120)
    assert count(database, "spool_cursors") == 0
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".lock"} <= {"drained.json", ".drained.json"}


def test_event_of_two_workers_counts_once(drainer: Drainer, database: psycopg.Connection, tmp_path: Path) -> None:
    twice, thrice = an_event(), an_event()
    with closing(Spool(tmp_path, 0)) as one, closing(Spool(tmp_path, 0)) as other:
        one.append(a_part(twice, thrice, twice))
        other.append(a_part(thrice))
        drained = drain(drainer)
        assert (drained.records, drained.duplicates) == (4, 2)
        other.append(a_part(thrice, an_event()))
        assert drain(drainer).duplicates == 1
    assert count(database, "tracking_events") == 3


def test_state_is_folded_and_never_moves_back(drainer: Drainer, database: psycopg.Connection, tmp_path: Path) -> None:
    user = str(uuid.uuid4())
    times = [f"2026-01-02T12:00:0{second}+00:00" for second in (5, 3, 7, 4)]
    for order in (times, times[:2]):
        parts = []
        for at in order:
            parts.append(a_part(a_visit(at), a_visit(at), kind="track-visit"))
            parts.append(a_part({"user_id": user, "last_seen_at": at}, kind=BEAT))
            parts.append(a_part(a_session(at), kind="sessions/heartbeat"))
        a_spool(tmp_path, *parts)
        drain(drainer)
        visit = database.execute("SELECT ip_hash, first_seen_at, last_seen_at FROM visitor_sessions").fetchall()
        assert [(row[0], row[1].second, row[2].second) for row in visit] == [(times[1], 3, 7)]
        for statement in (
            "SELECT last_seen_at FROM user_heartbeats",
            "SELECT last_heartbeat FROM tracking_live_sessions",
        ):
            assert [row[0].second for row in database.execute(statement).fetchall()] == [7]


def test_spool_longer_than_a_batch_is_drained_whole(
    drainer: Drainer, database: psycopg.Connection, tmp_path: Path
) -> None:
    parts = [a_part(*(an_event() for _ in range(1_000))) for _ in range(5)]
    a_spool(tmp_path, *parts)
    first = drainer.drain_round()
    assert (first.records, first.has_more) == (BATCH_RECORDS, True)
    drain(drainer)
    assert count(database, "tracking_events") == 5_000


def drain(drainer: Drainer) -> Drained:
    total = Drained()
    while (found := drainer.drain_round()).records:
        total.add(found)
    return total


def count(database: psycopg.Connection, table: str) -> int:
    row = database.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def refuse_poison(database: psycopg.Connection) -> None:
    database.execute(f"ALTER TABLE tracking_events ADD CONSTRAINT no_poison {NO_POISON}")


@contextmanager
def holding_up(database: psycopg.Connection, database_url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a drainer's process that has written its rows and not committed."""
    database.execute(HOLD_UP)
    database.execute("SELECT pg_advisory_lock(42)")
    with run_python(DRAIN_ONCE, database_url, folder) as victim:
        wait_until(lambda: database.execute(HELD_UP).fetchone() is not None)
        yield victim
    database.execute("SELECT pg_advisory_unlock(42)")
    database.execute("DROP FUNCTION hold_up CASCADE")


def a_visit(at: str) -> dict[str, str]:
    return {"session_id": "s", "ip_hash": at, "ua_hash": "u", "first_seen_at": at, "last_seen_at": at}


def a_session(at: str) -> dict[str, object]:
    return {"session_id": "s", "user_id": 7, "user_type": "student", "app_name": "DViz", "last_heartbeat": at}


def wait_until(is_true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if is_true():
            return
        waiting.wait(0.05)
    pytest.fail("it did not happen within 30 s")
