"""Rows and files of any age, for rules of retention to find. No assertion here."""

import os
from datetime import timedelta
from pathlib import Path

import psycopg

DAY = timedelta(days=1)
# one row of each table, as old as it is told
INSERTS = {
    "live_sessions": "INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, last_heartbeat)"
    " SELECT gen_random_uuid(), n, 'student', 'DViz', now() - %(age)s FROM generate_series(1, %(count)s) AS n",
    "visitor_sessions": "INSERT INTO visitor_sessions (session_id, first_seen_at, last_seen_at)"
    " SELECT gen_random_uuid(), now() - %(age)s - n %% 40 * interval '1 day', now() - %(age)s"
    " FROM generate_series(1, %(count)s) AS n",
    "event_ids": "INSERT INTO event_ids (event_id, table_name, received_at)"
    " SELECT gen_random_uuid(), 'tracking_events', now() - %(age)s FROM generate_series(1, %(count)s)",
    "idempotency_keys": "INSERT INTO idempotency_keys (idempotency_key, request_hash, status, answer, created_at)"
    " SELECT gen_random_uuid(), 'h', 200, '{}', now() - %(age)s FROM generate_series(1, %(count)s)",
    "rejected_records": "INSERT INTO rejected_records (kind, reason, body, rejected_at)"
    " SELECT 'events', 'wrong', '{}', now() - %(age)s FROM generate_series(1, %(count)s)",
}
TABLES = {name: "tracking_live_sessions" if name == "live_sessions" else name for name in INSERTS}


def grow(database: psycopg.Connection, rule: str, age: timedelta, count: int = 1) -> None:
    """Put rows of that age into the table of a rule."""
    database.execute(INSERTS[rule].encode(), {"age": age, "count": count})


def count(database: psycopg.Connection, rule: str) -> int:
    """Count the rows of a rule's table."""
    [(found,)] = database.execute(f"SELECT count(*) FROM {TABLES[rule]}".encode()).fetchall()
    return int(found)


def visitors(database: psycopg.Connection) -> int:
    """Count the visitors that there ever were."""
    [(found,)] = database.execute("""
        SELECT
            (SELECT count(*) FROM visitor_sessions)
            + (SELECT coalesce(sum(visitor_count), 0) FROM forgotten_visitors)
    """).fetchall()
    return int(found)


def a_file(path: Path, age: timedelta) -> Path:
    """Make a file, or the folder that a name without a point is, that has not changed for so long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_text("something")
    else:
        path.mkdir()
        (path / "inside.log").write_text("something")
    leave_alone(path, age)
    return path


def leave_alone(path: Path, age: timedelta) -> None:
    """Let a file look as if nothing had changed it for so long."""
    then = path.stat().st_mtime - age.total_seconds()
    os.utime(path, (then, then))
