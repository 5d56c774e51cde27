"""What drained events earn by rules: who earns, how much in a day, once whatever is sent, drained or killed again."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.event import listen

from ingest_app.database import DRAINING, make_engine
from ingest_app.drain.drainer import Drainer
from ingest_app.drain.rejected import retry_rejected
from ingest_app.kinds import KINDS
from ingest_app.rewards.rules import Rule, remove_rule
from tests.integration.earning import CAPPED, PRESS, a_press, balances, make
from tests.integration.spools import a_part, a_spool, an_event
from tests.integration.test_drain import count, drain

MOST = 2**31 - 1
LOGS = """
    SELECT user_id, action, points, related_event, event_id::text, rule_id, reverses_id
    FROM user_point_logs ORDER BY id
"""

Send = Callable[..., Path]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url, options=DRAINING)
    yield made
    made.dispose()


@pytest.fixture
def drainer(engine: Engine, tmp_path: Path) -> Iterator[Drainer]:
    with closing(Drainer(engine, tmp_path)) as made:
        yield made


@pytest.fixture
def send(drainer: Drainer, tmp_path: Path) -> Send:
    """Send rows in one spool, each its own entry, and drain them; returns a copy of the spool for later."""

    def send(*events: dict[str, Any]) -> Path:
        spool = a_spool(tmp_path, *map(a_part, events))
        copy = tmp_path / "copies" / spool.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(spool, copy)
        drain(drainer)
        return copy

    return send


def switch_points(database: psycopg.Connection, value: str) -> None:
    database.execute("UPDATE admin_settings SET setting_value = %s WHERE setting_key = 'points_enabled'", [value])


def test_matching_event_earns_with_a_log_row(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, PRESS)
    event = a_press()
    send(event, a_press(8), a_press(8))
    assert balances(database) == {7: 10, 8: 20}
    [(rule_id,)] = database.execute("SELECT id FROM point_rules").fetchall()
    logs = database.execute(LOGS).fetchall()
    assert len(logs) == 3
    assert (7, "earn", 10, "press", event["event_id"], rule_id, None) in logs
    same = "SELECT bool_and(l.created_at = p.updated_at) FROM user_point_logs l JOIN user_points p USING (user_id)"
    assert database.execute(same).fetchone() == (True,)


def test_other_events_are_stored_and_earn_nothing(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, PRESS, Rule("button", "quiz_%", 10))
    others: dict[str, dict[str, Any]] = {
        "type": {"event_type": "visit"},
        "case": {"event_name": "Press"},
        "space": {"event_name": "press "},
        "wildcard": {"event_name": "%"},
        "pattern": {"event_name": "quiz_1"},
        "guest": {"user_type": "guest"},
        "bot": {"is_bot": True},
        "nobody": {"user_id": None},
        "before the rule": {"created_at": "2026-01-02T12:00:00+00:00"},
    }
    sent = {name: a_press(**changed) for name, changed in others.items()}
    send(*sent.values())
    assert count(database, "tracking_events") == len(others)
    rewarded = {row[4] for row in database.execute(LOGS)}
    assert [name for name, event in sent.items() if event["event_id"] in rewarded] == []
    assert balances(database) == {}


def test_inactive_rule_gives_nothing_beside_active_one(
    engine: Engine, database: psycopg.Connection, send: Send
) -> None:
    make(engine, Rule("button", "press", 10, active=False), Rule("visit", "press", 3))
    send(a_press(), a_press(event_type="visit"))
    assert balances(database) == {7: 3}


def test_nothing_is_earned_while_points_are_disabled(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, PRESS)
    switch_points(database, "0")
    copy = send(a_press())
    assert (count(database, "tracking_events"), balances(database)) == (1, {})
    switch_points(database, "1")
    # nor later: it was drained when nothing was to be earned
    replay(copy, send)
    assert balances(database) == {}


def test_documents_and_activity_earn_nothing(
    engine: Engine, database: psycopg.Connection, drainer: Drainer, tmp_path: Path
) -> None:
    make(engine, PRESS, Rule("document", "press", 10))
    names = ("event_id", "created_at", "created_at_adjusted", "is_bot")
    common = {name: an_event()[name] for name in names}
    opened = {**common, "user_id": 7, "user_type": "student", "app_name": "DViz", "level_name": "press"}
    a_spool(tmp_path, a_part({**opened, "chapter_name": "press", "document_name": "press"}, kind="documents"))
    drain(drainer)
    assert (count(database, "tracking_documents"), balances(database)) == (1, {})


def test_import_earns_nothing(engine: Engine, database: psycopg.Connection) -> None:
    make(engine, PRESS)
    with engine.begin() as connection:
        KINDS["events"].write_rows(connection, [a_press()])
    assert (count(database, "tracking_events"), balances(database)) == (1, {})


@pytest.mark.parametrize("batches", [[5], [2, 3], [1, 1, 1, 1, 1]], ids=str)
def test_cap_holds_within_and_across_batches(
    engine: Engine, database: psycopg.Connection, send: Send, batches: list[int]
) -> None:
    make(engine, CAPPED)
    for size in batches:
        send(*(a_press(user_id) for user_id in (7, 8) for _ in range(size)))
    # a fourth one would make 40: it earns nothing, not the 5 that are left
    assert balances(database) == {7: 30, 8: 30}
    assert count(database, "tracking_events") == 10


def test_cap_may_be_reached_to_the_point(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, Rule("button", "press", 10, daily_cap=30), Rule("button", "once", 1, daily_cap=1))
    send(a_press(), a_press(), a_press(event_name="once"))
    send(a_press(), a_press(), a_press(event_name="once"))
    assert balances(database) == {7: 31}


def test_cap_is_of_a_rule_and_a_day(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, CAPPED)
    send(*(a_press() for _ in range(4)))
    # what was earned otherwise does not count, nor what was earned by the rule before this day
    database.execute(
        "UPDATE user_point_logs SET created_at = date_trunc('day', now(), 'UTC') - interval '1 microsecond'"
    )
    database.execute(
        "INSERT INTO user_point_logs (user_id, action, points, related_event) VALUES (7, 'earn', 30, 'press')"
    )
    database.execute("UPDATE user_points SET points = points + 30")
    send(*(a_press() for _ in range(4)))
    assert balances(database) == {7: 30 + 30 + 30}
    database.execute("UPDATE user_point_logs SET created_at = date_trunc('day', now(), 'UTC')")
    send(a_press())
    assert balances(database) == {7: 90}


def test_changed_rule_counts_what_it_gave_today(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, Rule("button", "press", 10))
    send(a_press(), a_press())
    make(engine, Rule("button", "press", 7, daily_cap=30))
    send(a_press(), a_press())
    assert balances(database) == {7: 27}


def test_event_earns_once_however_often_it_comes(
    engine: Engine, database: psycopg.Connection, send: Send, drainer: Drainer, tmp_path: Path
) -> None:
    make(engine, PRESS)
    event = a_press()
    send(event, event, a_press())
    a_spool(tmp_path, a_part(event, event))
    a_spool(tmp_path, a_part(event))
    assert drain(drainer).points == 0
    assert (balances(database), count(database, "tracking_events")) == ({7: 20}, 2)


def test_event_from_before_the_rule_earns_nothing_when_sent_again(
    engine: Engine, database: psycopg.Connection, send: Send
) -> None:
    event = a_press(created_at="2999-01-01T00:00:00+00:00")
    send(event)
    make(engine, PRESS)
    send(event)
    assert (balances(database), count(database, "tracking_events")) == ({}, 1)


def test_rewarded_event_whose_id_was_forgotten_earns_no_more(
    engine: Engine, database: psycopg.Connection, send: Send
) -> None:
    make(engine, PRESS)
    event = a_press()
    send(event)
    database.execute("DELETE FROM event_ids")
    send(event, a_press())
    assert (balances(database), count(database, "tracking_events")) == ({7: 20}, 3)


def test_batch_replayed_after_its_commit_earns_nothing(
    engine: Engine, database: psycopg.Connection, send: Send, tmp_path: Path
) -> None:
    make(engine, CAPPED)
    copy = send(*(a_press(user_id) for user_id in range(20)))
    # the crash came before the note and the removal: the file is there as it was, and nobody remembers a cursor
    (tmp_path / "drained.json").unlink()
    assert count(database, "spool_cursors") == 0
    replay(copy, send)
    assert balances(database) == dict.fromkeys(range(20), 10)


def test_full_balance_leaves_the_event_stored(
    engine: Engine, database: psycopg.Connection, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    make(engine, PRESS)
    database.execute("INSERT INTO user_points (user_id, points) VALUES (7, %s)", [MOST - 20])
    database.execute("INSERT INTO user_point_logs (user_id, action, points) VALUES (7, 'earn', %s)", [MOST - 20])
    with caplog.at_level(logging.WARNING, logger="ingest_app.rewards.earning"):
        send(*(a_press() for _ in range(3)), a_press(8))
    assert balances(database) == {7: MOST, 8: 10}
    assert (count(database, "tracking_events"), count(database, "rejected_records")) == (4, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "1 events earned nothing: a balance holds no more points"
    ]


def test_refused_event_earns_once_it_is_in(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, CAPPED)
    database.execute("ALTER TABLE tracking_events ADD CONSTRAINT no_poison CHECK (os <> 'poison') NOT VALID")
    send(*(a_press(user_id, os="poison") for user_id in (9, 8, 7) for _ in range(4)), a_press())
    assert balances(database) == {7: 10}
    database.execute("ALTER TABLE tracking_events DROP CONSTRAINT no_poison")
    with engine.begin() as connection:
        assert retry_rejected(connection, [1, 2]) == (2, 0)
        assert retry_rejected(connection, []) == (10, 0)
    assert balances(database) == {7: 30, 8: 30, 9: 30}


def test_missing_partition_doubles_no_points(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, PRESS)
    for (name,) in database.execute("SELECT inhrelid::regclass::text FROM pg_inherits").fetchall():
        database.execute(f"DROP TABLE IF EXISTS {name} CASCADE")
    send(a_press())
    assert balances(database) == {7: 10}


def test_removed_rule_gives_nothing_more(engine: Engine, database: psycopg.Connection, send: Send) -> None:
    make(engine, PRESS)
    send(a_press())
    with engine.begin() as connection:
        remove_rule(connection, "button", "press", "cli:ada")
    send(a_press())
    assert balances(database) == {7: 10}


def test_batch_pays_one_look_without_active_rules(engine: Engine, send: Send) -> None:
    make(engine, Rule("button", "press", 10, active=False))
    looks: list[str] = []
    listen(engine, "before_cursor_execute", lambda *given: looks.append(given[2]))
    send(a_press(), a_press())
    of_rewards = ("point_rules", "admin_settings", "user_point")
    assert len([look for look in looks if any(table in look for table in of_rewards)]) == 1


def test_points_by_rules_are_counted(
    engine: Engine, database: psycopg.Connection, drainer: Drainer, tmp_path: Path
) -> None:
    make(engine, PRESS)
    a_spool(tmp_path, a_part(a_press(), a_press(), a_press(user_type="guest")))
    drain(drainer)
    assert drainer.metrics.registry
    assert drainer.metrics.registry.get_sample_value("footfall_rule_points_total") == 20


def replay(copy: Path, send: Send) -> None:
    """Put a spool back as it was before it was drained, and drain what is there."""
    shutil.copy(copy, copy.parents[1] / copy.name)
    send(an_event())
