"""Live sessions end with the setting's timeout; partitions are made ahead."""

import json
import threading
from datetime import UTC, datetime

import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.intake import Intake
from ingest_app.store import see_live_sessions
from warehouse.aged_rows import BATCH_ROWS, Counts
from warehouse.errors import PostgresQueryFailed, SettingUnusable
from warehouse.live_sessions import delete_stale_live_sessions
from warehouse.partitions import make_event_partitions

SESSION = {"user_type": "student", "app_name": "DViz", "country_code": None}


def insert_sessions(database: psycopg.Connection, prefix: str, count: int, age: str) -> None:
    database.execute(
        """
        INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, last_heartbeat)
        SELECT %s || n, n, 'student', 'DViz', now() - %s::interval FROM generate_series(1, %s) AS n
        """,
        [prefix, age, count],
    )


def session_count(database: psycopg.Connection) -> int:
    [(count,)] = database.execute("SELECT count(*) FROM tracking_live_sessions").fetchall()
    return int(count)


@pytest.mark.parametrize(
    ("setting", "deleted_row_count"),
    [
        ("UPDATE admin_settings SET setting_value = '5'", 2),
        ("UPDATE admin_settings SET setting_value = '60'", 1),
        ("UPDATE admin_settings SET setting_value = '1'", 3),
        ("DELETE FROM admin_settings", 2),
    ],
)
def test_only_sessions_past_the_timeout_go(
    database: psycopg.Connection, database_url: str, setting: str, deleted_row_count: int
) -> None:
    database.execute(f"{setting} WHERE setting_key = 'live_session_timeout_minutes'")
    for age in ("0 minutes", "4 minutes", "6 minutes", "2 hours"):
        insert_sessions(database, age, 1, age)
    assert delete_stale_live_sessions(database_url).removed == deleted_row_count
    assert session_count(database) == 4 - deleted_row_count


def test_more_than_a_batch_is_deleted(database: psycopg.Connection, database_url: str) -> None:
    insert_sessions(database, "stale", 2 * BATCH_ROWS + 1, "1 hour")
    insert_sessions(database, "live", 3, "0 minutes")
    assert delete_stale_live_sessions(database_url) == Counts(2 * BATCH_ROWS + 1, 2 * BATCH_ROWS + 1)
    assert session_count(database) == 3


def test_session_that_is_being_changed_is_left(database: psycopg.Connection, database_url: str) -> None:
    insert_sessions(database, "stale", 2, "1 hour")
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE tracking_live_sessions SET last_heartbeat = now() WHERE session_id = 'stale1'")
        assert delete_stale_live_sessions(database_url) == Counts(due=2, removed=1)
    assert session_count(database) == 1


@pytest.mark.parametrize("value", ["0", "-1", "soon", ""])
def test_unusable_timeout_deletes_nothing(database: psycopg.Connection, database_url: str, value: str) -> None:
    database.execute(
        "UPDATE admin_settings SET setting_value = %s WHERE setting_key = 'live_session_timeout_minutes'", [value]
    )
    insert_sessions(database, "stale", 1, "1 hour")
    with pytest.raises(SettingUnusable, match="live_session_timeout_minutes"):
        delete_stale_live_sessions(database_url)
    assert session_count(database) == 1


def test_missing_partitions_are_made_once(database: psycopg.Connection, database_url: str) -> None:
    database.execute("""
        DO $$ BEGIN
            EXECUTE 'DROP TABLE ' || (
                SELECT max(inhrelid::regclass::text) FROM pg_inherits
                WHERE inhparent = 'tracking_events'::regclass AND inhrelid::regclass::text LIKE 'tracking%p2%');
        END $$
    """)
    assert make_event_partitions(database_url) == 1
    assert make_event_partitions(database_url) == 0


def test_unmigrated_database_names_the_command(empty_database_url: str) -> None:
    with pytest.raises(PostgresQueryFailed, match="footfall migrate"):
        make_event_partitions(empty_database_url)
    with pytest.raises(PostgresQueryFailed, match="footfall migrate"):
        delete_stale_live_sessions(empty_database_url)


def test_heartbeats_meanwhile_keep_their_sessions(database: psycopg.Connection, database_url: str) -> None:
    # every one of them is stale when the cleanup begins, and a third of them sends a heartbeat while it goes on
    insert_sessions(database, "s", 3_000, "1 hour")
    engine = make_engine(database_url)
    beats = [
        {**SESSION, "session_id": f"s{number}", "user_id": number, "last_heartbeat": datetime.now(UTC).isoformat()}
        for number in range(1, 3_001, 3)
    ]

    def beat() -> None:
        for some in (beats[first : first + 50] for first in range(0, len(beats), 50)):
            with engine.begin() as connection:
                see_live_sessions(Intake(connection), json.dumps(some).encode())

    beating = threading.Thread(target=beat)
    beating.start()
    while beating.is_alive():
        delete_stale_live_sessions(database_url)
    beating.join()
    engine.dispose()
    delete_stale_live_sessions(database_url)
    alive = {row[0] for row in database.execute("SELECT session_id FROM tracking_live_sessions").fetchall()}
    assert alive == {beat["session_id"] for beat in beats}
