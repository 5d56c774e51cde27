"""The schema: migrations and tables agree, partitions are ahead, triggers hold, versions are told apart."""

import re
import warnings
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from ingest_app.database import make_engine
from ingest_app.errors import SchemaTooNew
from ingest_app.migrate import migrate, require_current
from ingest_app.schema import EVENT_TABLES, STATE_TABLES, metadata

PARTITION = re.compile(r"_p\d{8}(_|$)")


def test_migrated_database_equals_the_metadata(database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'")
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_object": lambda found, name, kind, reflected, _: not PARTITION.search(name or ""),
            "include_name": lambda name, kind, _: not (kind == "table" and PARTITION.search(name or "")),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE connamespace = 'public'::regnamespace AND NOT relispartition AND relname <> 'alembic_version'
"""


def test_constraints_equal_those_of_the_metadata(database: psycopg.Connection, empty_database_url: str) -> None:
    # Alembic compares no CHECK, so the metadata makes a database of its own to hold the migrated one against
    engine = make_engine(empty_database_url)
    metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(empty_database_url) as declared:
        expected = set(declared.execute(CONSTRAINTS).fetchall())
    assert len(expected) > len(metadata.tables)
    assert set(database.execute(CONSTRAINTS).fetchall()) == expected


def test_required_settings_are_seeded(database: psycopg.Connection) -> None:
    rows: dict[str, str] = dict(database.execute("SELECT setting_key, setting_value FROM admin_settings").fetchall())
    assert rows == {
        "tracking_enabled": "1",
        "points_enabled": "1",
        "live_session_timeout_minutes": "5",
        "archive_after_days": "90",
        "forget_visitors_after_days": "395",
        "points_per_credit": "100",
    }


@pytest.mark.parametrize("table", [table.name for table in EVENT_TABLES])
def test_partitions_are_made_ahead_with_indexes(database: psycopg.Connection, table: str) -> None:
    today = datetime.now(UTC).date()
    query = "SELECT right(inhrelid::regclass::text, 8), inhrelid FROM pg_inherits WHERE inhparent = %s::regclass"
    found: dict[str, int] = dict(database.execute(query, [table]).fetchall())
    assert set(found) == {f"{today + timedelta(days=n):%Y%m%d}" for n in range(-1, 15)}
    counts = "SELECT count(*) FROM pg_index WHERE indrelid = %s"
    parent = database.execute(counts.replace("%s", "%s::regclass"), [table]).fetchone()
    assert {database.execute(counts, [child]).fetchone() for child in found.values()} == {parent}


def test_partitions_are_made_once_only(database: psycopg.Connection) -> None:
    assert database.execute("SELECT make_event_partitions(14)").fetchone() == (0,)
    assert database.execute("SELECT make_event_partitions(15)").fetchone() == (3,)


def test_row_goes_to_the_day_of_receipt_in_utc(database: psycopg.Connection) -> None:
    database.execute("SET timezone = 'Asia/Tokyo'")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for received_at in (midnight, midnight - timedelta(microseconds=1)):
        database.execute("INSERT INTO activity_events (event_type, received_at) VALUES ('login', %s)", [received_at])
    rows = database.execute("SELECT right(tableoid::regclass::text, 8) FROM activity_events ORDER BY received_at")
    yesterday = midnight - timedelta(days=1)
    assert [row[0] for row in rows] == [f"{yesterday:%Y%m%d}", f"{midnight:%Y%m%d}"]


def test_plain_insert_needs_only_what_the_seed_needs(database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO tracking_events (user_type, app_name, event_type, event_name) VALUES ('guest', 'a', 'visit', 'x')"
    )
    row = database.execute("SELECT event_id, received_at, created_at, xid FROM tracking_events").fetchone()
    assert row is not None
    assert None not in row


@pytest.mark.parametrize("table", [table.name for table in STATE_TABLES])
def test_state_table_keeps_xid_by_trigger(database: psycopg.Connection, table: str) -> None:
    query = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal"
    assert "set_xid" in {row[0] for row in database.execute(query, [table])}


def test_update_moves_the_xid_of_a_row(database: psycopg.Connection) -> None:
    query = "SELECT xid::text::bigint FROM admin_settings WHERE setting_key = 'points_enabled'"
    before = database.execute(query).fetchone()
    database.execute("UPDATE admin_settings SET setting_value = '0', xid = '3' WHERE setting_key = 'points_enabled'")
    after = database.execute(query).fetchone()
    assert before is not None
    assert after is not None
    assert after[0] > before[0]


def test_balance_moves_updated_at_by_itself(database: psycopg.Connection) -> None:
    database.execute("INSERT INTO user_points (user_id, updated_at) VALUES (1, '2020-01-01')")
    database.execute("UPDATE user_points SET points = 5")
    row = database.execute("SELECT updated_at > now() - interval '1 minute' FROM user_points").fetchone()
    assert row == (True,)


def test_schema_of_newer_version_is_refused(database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for step in (migrate, require_current):
        with engine.connect() as connection, pytest.raises(SchemaTooNew, match=r"9999.*upgrade footfall"):
            step(connection)
    engine.dispose()
