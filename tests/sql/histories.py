"""What happens to a Postgres between refreshes, by chance of a seed: new, late and repeated rows. No assertion here."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from tests.integration.archive.sealing import PARTITION, days_ago
from tests.sql.moments import MOMENTS, Row
from tests.sql.rows import insert

EVENT_TABLES = ("activity_events", "tracking_events", "tracking_documents")
APPS = ("DViz", "Speech-to-Code")
ENDED_DAY = days_ago(3)
_COLUMNS = """
    SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = %s AND column_name NOT IN ('id', 'event_id', 'xid', 'received_at')
"""
# some events earn points in their own session, and some of that is undone
_REWARD = """
    WITH earned AS (
        INSERT INTO user_point_logs (user_id, action, points, related_event, event_id, rule_id, created_at)
        VALUES (%(user_id)s, 'earn', 5, %(event_name)s, %(event_id)s, 1, %(earned_at)s)
        RETURNING id, user_id, points, created_at
    )
    INSERT INTO user_point_logs (user_id, action, points, created_at, reverses_id, reason)
    SELECT user_id, 'redeem', points, created_at, id, 'by mistake' FROM earned WHERE %(is_undone)s
"""
# what was redeemed and bought nothing yet
_BUY = """
    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, created_at, point_log_id)
    SELECT user_id, 1, points, created_at, id FROM user_point_logs
    WHERE action = 'redeem' AND reverses_id IS NULL AND id NOT IN (
        SELECT point_log_id FROM user_credit_logs WHERE point_log_id IS NOT NULL)
"""


def make_partitions(database: psycopg.Connection) -> None:
    """Let rows be received on a day that has ended, so that it can be sealed."""
    for table in EVENT_TABLES:
        database.execute(PARTITION.format(table=table, day=ENDED_DAY, end=days_ago(2)))


def insert_rows(database: psycopg.Connection, chance: random.Random, count: int, **overrides: object) -> None:
    """Insert rows into each event table and a log, at few moments, so that some days get new rows and others do not.

    Of what `overrides` names, a log has only the time.
    """
    moments = chance.sample(MOMENTS, 3)
    for table, make in _MADE:
        rows = [{**make(chance), "created_at": _near(chance, chance.choice(moments))} for _ in range(count)]
        known = overrides if table in EVENT_TABLES else {name: overrides[name] for name in overrides.keys() & rows[0]}
        insert(database, table, [{**row, **known} for row in rows])
        if table == "tracking_events":
            _reward(database, chance, [{**row, **known} for row in rows])
    database.execute(_BUY)


def _reward(database: psycopg.Connection, chance: random.Random, events: list[Row]) -> None:
    users = [event for event in events if event["user_id"] is not None]
    # on the day on which rows are to be; else when the event is received, as the drainer does
    is_told = len({event["created_at"] for event in events}) == 1
    for event in chance.sample(users, min(3, len(users))):
        earned_at = event["created_at"] if is_told else event.get("received_at", datetime.now(UTC))
        database.execute(_REWARD, {**event, "earned_at": earned_at, "is_undone": chance.random() < 0.3})


def repeat_rows(database: psycopg.Connection, chance: random.Random) -> None:
    """Insert some rows again with the same content: another event, for its id is another."""
    for table in EVENT_TABLES:
        [(columns,)] = database.execute(_COLUMNS, [table]).fetchall()
        some = f"SELECT {columns} FROM {table} ORDER BY md5(id::text || %s) LIMIT 3"
        database.execute(f"INSERT INTO {table} ({columns}) {some}".encode(), [str(chance.random())])


def _near(chance: random.Random, moment: datetime) -> datetime:
    return moment + timedelta(microseconds=chance.choice([0, 1, -1, 10**6, 14 * 60 * 10**6, 3 * 3600 * 10**6]))


def _activity(chance: random.Random) -> Row:
    kinds = ["login", "signup", "app_open", "action"]
    return {"event_type": chance.choice(kinds), "is_bot": chance.random() < 0.2}


def _event(chance: random.Random) -> Row:
    return {
        "event_id": UUID(int=chance.getrandbits(128)),
        "user_id": chance.choice([None, 1, 2, 3]),
        "user_type": chance.choice(["student", "teacher", "guest"]),
        "app_name": chance.choice(APPS),
        "event_type": chance.choice(["visit", "button"]),
        "event_name": "open",
        "session_id": chance.choice([None, "s1", "s2", "s3"]),
        "is_bot": chance.random() < 0.2,
    }


def _open(chance: random.Random) -> Row:
    return {
        "user_id": chance.choice([None, 1, 2, 3]),
        "user_type": "student",
        "level_name": "A1",
        "chapter_name": "Greetings",
        "document_name": chance.choice(["Hello", "Übung 1"]),
        "country_code": chance.choice([None, "DE"]),
        "is_bot": chance.random() < 0.2,
    }


def _move(chance: random.Random) -> Row:
    earned = chance.random() < 0.6
    related_event = chance.choice([None, "quiz", "streak"]) if earned else None
    return {
        "user_id": chance.choice([1, 2, 3]),
        "action": "earn" if earned else "redeem",
        "points": chance.randrange(1, 100),
        "related_event": related_event,
    }


_MADE = (
    ("activity_events", _activity),
    ("tracking_events", _event),
    ("tracking_documents", _open),
    ("user_point_logs", _move),
)
