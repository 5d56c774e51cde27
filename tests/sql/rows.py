"""Rows whose numbers are easy to get wrong: midnights, month ends, leap days, changes of clock. No assertion here."""

import random
from itertools import product
from uuid import UUID

import psycopg
from psycopg import sql

from tests.sql import state_rows
from tests.sql.moments import AS_OF, BOT_DAY, MOMENTS, SIGNUP_DAY, TICK, Row

STATE = (
    state_rows.organizations,
    state_rows.accounts,
    state_rows.user_heartbeats,
    state_rows.subscriptions,
    state_rows.visitor_sessions,
    state_rows.tracking_live_sessions,
    state_rows.users,
    state_rows.user_point_logs,
    state_rows.user_credit_logs,
    state_rows.user_points,
    state_rows.user_credits,
)
__all__ = ["AS_OF", "BOT_DAY", "MOMENTS", "SIGNUP_DAY", "TICK", "Row"]


def activity_events() -> list[Row]:
    """Every kind at every border, some of them many times, some of them a bot's."""
    chosen = random.Random(1)
    kinds = ("login", "signup", "app_open", "action")
    rows: list[Row] = [
        {"event_type": kind, "created_at": moment, "is_bot": chosen.random() < 0.2}
        for moment, kind in product(MOMENTS, kinds)
        for _ in range(chosen.randrange(4))
    ]
    rows.append({"event_type": "login", "created_at": BOT_DAY, "is_bot": True})
    rows.append({"event_type": "signup", "created_at": SIGNUP_DAY, "is_bot": False})
    return rows


def tracking_events() -> list[Row]:
    """Enough events that most combinations repeat, and unknown values meet known ones; a day that only bots saw."""
    chosen = random.Random(2)
    rows = [
        _an_event(
            user_id=chosen.choice([None, 1, 2]),
            user_type=chosen.choice(["student", "teacher", "guest"]),
            app_name=chosen.choice(["DViz", "Speech-to-Code"]),
            event_type=chosen.choice(["visit", "button"]),
            event_name=chosen.choice(["open", "save's"]),
            country_code=chosen.choice([None, "DE", "IN"]),
            os=chosen.choice([None, "Android"]),
            device_type=chosen.choice([None, "mobile", "desktop"]),
            session_id=chosen.choice([None, "s1", "s2", "s3"]),
            created_at=chosen.choice(MOMENTS[:9]),
            is_bot=chosen.random() < 0.2,
        )
        for _ in range(1500)
    ]
    seen_by_bots = [_an_event(app_name="Crawled", created_at=BOT_DAY, is_bot=True)] * 2
    rewarded = [_an_event(**event, user_type="student") for event in state_rows.rewarded_events()]
    others = [*rows, *seen_by_bots, _an_event(created_at=SIGNUP_DAY)]
    return [*({**row, "event_id": UUID(int=(4 << 124) + number)} for number, row in enumerate(others)), *rewarded]


def tracking_documents() -> list[Row]:
    """Documents whose names repeat from chapter to chapter; one that only guests opened, one that only bots did."""
    chosen = random.Random(3)
    rows = [
        _an_open(
            user_id=chosen.choice([None, 1, 2, 3]),
            user_type=chosen.choice(["student", "teacher"]),
            level_name=chosen.choice(["A1", "A2"]),
            chapter_name=chosen.choice(["Greetings", "Numbers"]),
            document_name=chosen.choice(["Hello", "Übung 1"]),
            country_code=chosen.choice([None, "DE", "IN"]),
            created_at=chosen.choice(MOMENTS),
            is_bot=chosen.random() < 0.2,
        )
        for _ in range(500)
    ]
    return [*rows, *[_an_open(document_name="Guests")] * 3, _an_open(document_name="Bots", is_bot=True)]


def insert_all(database: psycopg.Connection) -> None:
    """Insert all of the rows above, and those of the state tables and the ledger."""
    for rows in (activity_events, tracking_events, tracking_documents, *STATE):
        insert(database, rows.__name__, rows())


def insert(database: psycopg.Connection, table: str, rows: list[Row]) -> None:
    """Insert rows that all name the same columns; the database fills in the rest."""
    columns = list(rows[0])
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(map(sql.Placeholder, columns)),
    )
    with database.cursor() as cursor:
        cursor.executemany(statement, rows)


def _an_event(**overrides: object) -> Row:
    return {
        "user_id": None,
        "user_type": "guest",
        "app_name": "DViz",
        "event_type": "visit",
        "event_name": "open",
        "country_code": "DE",
        "os": None,
        "device_type": None,
        "session_id": None,
        "created_at": AS_OF,
        "is_bot": False,
        **overrides,
    }


def _an_open(**overrides: object) -> Row:
    return {
        "user_id": None,
        "user_type": "guest",
        "level_name": "A1",
        "chapter_name": "Greetings",
        "document_name": "Hello",
        "country_code": "DE",
        "created_at": AS_OF,
        "is_bot": False,
        **overrides,
    }
