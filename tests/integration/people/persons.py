"""Two persons, each with rows in everything that footfall keeps, and rows of nobody. No assertion here."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import psycopg

from tests.integration.archive.sealing import DAY, OTHER_DAY, PARTITION, Home, days_ago
from tests.integration.spools import a_part, a_spool, an_event
from warehouse.archive.store import open_archive
from warehouse.people.subject import Subject

GONE, STAYS = 424_242, 777_777
GONE_ACCOUNT, STAYING_ACCOUNT = UUID(int=0x42 << 96), UUID(int=0x77 << 96)
SUBJECT = Subject("user", str(GONE))
ACCOUNTS = {GONE: GONE_ACCOUNT, STAYS: STAYING_ACCOUNT}
EVENT_TABLES = ("tracking_events", "tracking_documents", "activity_events")

EVENTS = """
    INSERT INTO tracking_events
        (user_id, user_type, app_name, event_type, event_name, session_id, meta, received_at, created_at)
    SELECT %(user)s, 'student', 'DViz', 'button', 'open', session, meta::jsonb, moment, moment
    FROM (VALUES ('own-%(user)s', NULL), ('shared', '{"a": 1}'), (NULL, '{"nested": {"user_id": 5}}'))
            AS v (session, meta),
        LATERAL (SELECT %(day)s::timestamp AT TIME ZONE 'UTC' + interval '1 hour') AS at (moment);
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, session_id, meta, received_at, created_at)
    SELECT 'guest', 'DViz', 'visit', 'open', session, meta::jsonb, moment, moment
    FROM (VALUES ('own-%(user)s', NULL), ('shared', NULL), (NULL, '{"user_id": %(user)s}')) AS v (session, meta),
        LATERAL (SELECT %(day)s::timestamp AT TIME ZONE 'UTC' + interval '2 hours') AS at (moment);
    INSERT INTO tracking_documents
        (user_id, user_type, level_name, chapter_name, document_name, received_at, created_at)
    SELECT %(user)s, 'student', 'A1', 'Greetings', 'Hello', moment, moment
    FROM (SELECT %(day)s::timestamp AT TIME ZONE 'UTC' + interval '3 hours') AS at (moment);
    INSERT INTO activity_events (user_id, event_type, received_at, created_at)
    SELECT %(account)s::uuid, kind, moment, moment
    FROM (VALUES ('login'), ('app_open')) AS v (kind),
        LATERAL (SELECT %(day)s::timestamp AT TIME ZONE 'UTC' + interval '4 hours') AS at (moment)
"""
STATE = """
    INSERT INTO accounts (id, username) VALUES (%(account)s::uuid, 'name-%(user)s');
    INSERT INTO users (id, name, user_type, account_id)
        VALUES (%(user)s, 'name-%(user)s', 'student', %(account)s::uuid);
    INSERT INTO user_heartbeats (user_id) VALUES (%(account)s::uuid);
    INSERT INTO visitor_sessions (session_id) VALUES ('own-%(user)s');
    INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name)
        VALUES ('live-%(user)s', %(user)s, 'student', 'DViz');
    INSERT INTO user_points (user_id, points) VALUES (%(user)s, 30);
    INSERT INTO user_credits (user_id, credits) VALUES (%(user)s, 2);
    WITH earned AS (
        INSERT INTO user_point_logs (user_id, action, points, event_id, rule_id)
        SELECT %(user)s, 'earn', 50, event_id, 1 FROM tracking_events WHERE user_id = %(user)s ORDER BY id LIMIT 1
        RETURNING id
    ), undone AS (
        INSERT INTO user_point_logs (user_id, action, points, reverses_id, reason)
        SELECT %(user)s, 'redeem', 10, id, 'asked by name-%(user)s' FROM earned
    ), redeemed AS (
        INSERT INTO user_point_logs (user_id, action, points) VALUES (%(user)s, 'redeem', 10) RETURNING id
    )
    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, point_log_id)
    SELECT %(user)s, 2, 10, id FROM redeemed;
    INSERT INTO idempotency_keys (idempotency_key, request_hash, status, answer)
        VALUES ('key-%(user)s', repeat('0', 64), 200, '{"log_id":1,"user_id":%(user)s,"points":30}');
    INSERT INTO rejected_records (kind, reason, body) VALUES
        ('events', 'a trigger', '{"user_id":%(user)s,"event_type":"button"}'),
        ('events', 'a trigger', 'no JSON, of %(user)s'),
        ('activity', 'a trigger', '{"user_id":"%(account)s"}');
    INSERT INTO admin_audit_log (actor, action, subject, detail) VALUES
        ('cli:root', 'ledger.mend', 'points of user %(user)s', '{"user_id": %(user)s, "old": 1}')
"""


@dataclass(frozen=True)
class Place:
    """A home folder and its Postgres."""

    home: Home

    @property
    def spool(self) -> Path:
        return self.home.folder / "spool"

    @property
    def archive(self) -> Path:
        return self.home.archive


def run(database: psycopg.Connection, statements: str, **values: object) -> None:
    """Run statements one by one; values are put in by the client, in texts too."""
    for statement in statements.split(";\n"):
        for name, value in values.items():
            written = f"'{value}'" if isinstance(value, date) else str(value)
            quoted = f"'{value}'" if isinstance(value, UUID) else written
            statement = statement.replace(f"'%({name})s'", f"'{value}'").replace(f'"%({name})s"', f'"{value}"')
            statement = statement.replace(f"%({name})s::uuid", f"{quoted}::uuid").replace(f"%({name})s", written)
        database.execute(statement.encode())


def add_events(database: psycopg.Connection, user: int, day: date) -> None:
    """Put events of a person into a day, some of them anonymous in the person's own session."""
    for table in EVENT_TABLES:
        if database.execute("SELECT to_regclass(%s)", [f"{table}_p{day:%Y%m%d}"]).fetchone() == (None,):
            database.execute(PARTITION.format(table=table, day=day, end=day + timedelta(days=1)).encode())
    run(database, EVENTS, user=user, account=ACCOUNTS[user], day=day)


def settle(place: Place, users: tuple[int, ...] = (GONE, STAYS)) -> None:
    """Fill a home: two sealed days, a hot one, rows not loaded yet, and files that nothing names."""
    home = place.home
    with psycopg.connect(home.database_url, autocommit=True) as database:
        for day in (OTHER_DAY, DAY, days_ago(0)):
            for user in users:
                add_events(database, user, day)
        for user in users:
            run(database, STATE, user=user, account=ACCOUNTS[user])
        home.load_closed()
        home.seal()
        _leave_files(place)
        # neither loaded nor sealed yet
        for user in users:
            add_events(database, user, days_ago(0))
    place.spool.mkdir()
    for user in users:
        a_spool(place.spool, a_part(an_event(user_id=user)), a_part(an_event(session_id=f"own-{user}")))


def _leave_files(place: Place) -> None:
    """Leave files that no manifest names: what only the warehouse had, and a part that was set aside."""
    (place.archive / "only-here").mkdir()
    with duckdb.connect(str(place.home.warehouse_path)) as warehouse:
        path = place.archive / "only-here" / "tracking_events-20200101T000000.parquet"
        warehouse.execute(f"COPY raw.tracking_events TO '{path}' (FORMAT parquet)")
    archive = open_archive(None, place.home.warehouse_path)
    part = next(name for name in archive.listing() if name.startswith("activity_events"))
    copied = place.archive / f"{part}.unnamed-20200101T000000"
    copied.write_bytes((place.archive / part).read_bytes())
