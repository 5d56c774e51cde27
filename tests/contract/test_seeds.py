"""Every table, column and index that the two seeds name exists under its own name.

The list is written out by hand from the seeds, so that it can disagree with the code. Index names of the
second seed repeat from table to table; here each carries its table's name before its own.
"""

import psycopg
import pytest

COLUMNS = {
    "visitor_sessions": "id session_id ip_hash ua_hash first_seen_at last_seen_at",
    "user_heartbeats": "user_id last_seen_at",
    "activity_events": "id user_id event_type action_name created_at",
    "accounts": "id username display_name role org_id created_at updated_at",
    "organizations": "id name slug",
    "subscriptions": "id org_id plan duration status started_at ends_at updated_at",
    "users": "id name email user_type country_code",
    "tracking_events": (
        "id user_id user_type app_name event_type event_name country_code ip_hash os device_type session_id meta "
        "created_at"
    ),
    "tracking_live_sessions": "session_id user_id user_type app_name country_code last_heartbeat created_at",
    "tracking_documents": (
        "id user_id user_type app_name level_name chapter_name document_name country_code ip_hash created_at"
    ),
    "user_points": "user_id points updated_at",
    "user_point_logs": "id user_id action points related_event created_at",
    "user_credits": "user_id credits updated_at",
    "user_credit_logs": "id user_id credits_added points_consumed created_at",
    "admin_settings": "setting_key setting_value",
}

TYPES = {
    "visitor_sessions.id": "uuid",
    "visitor_sessions.last_seen_at": "timestamp with time zone",
    "activity_events.id": "bigint",
    "tracking_events.user_id": "bigint",
    "tracking_events.app_name": "character varying(50)",
    "tracking_events.event_name": "character varying(100)",
    "tracking_events.country_code": "character(2)",
    "tracking_events.ip_hash": "character(64)",
    "tracking_events.os": "character varying(50)",
    "tracking_events.session_id": "character varying(100)",
    "tracking_events.meta": "jsonb",
    "tracking_documents.level_name": "character varying(100)",
    "tracking_documents.chapter_name": "character varying(150)",
    "tracking_documents.document_name": "character varying(200)",
    "users.name": "character varying(150)",
    "user_point_logs.related_event": "character varying(100)",
    "user_points.points": "integer",
    "admin_settings.setting_key": "character varying(50)",
    "admin_settings.setting_value": "character varying(100)",
}

# table, and the columns or expression of the index as Postgres prints them
INDEXES = [
    ("visitor_sessions", "(session_id)"),
    ("visitor_sessions", "(last_seen_at)"),
    ("visitor_sessions", "((((last_seen_at AT TIME ZONE 'UTC'::text))::date))"),
    ("user_heartbeats", "(user_id)"),
    ("user_heartbeats", "(last_seen_at)"),
    ("activity_events", "(created_at)"),
    ("activity_events", "(event_type, created_at)"),
    ("activity_events", "((((created_at AT TIME ZONE 'UTC'::text))::date))"),
]

NAMED_INDEXES = {
    "tracking_events": {
        "idx_date": "created_at",
        "idx_app_event": "app_name, event_type",
        "idx_user": "user_id",
        "idx_country": "country_code",
    },
    "tracking_live_sessions": {
        "idx_app": "app_name",
        "idx_country": "country_code",
        "idx_heartbeat": "last_heartbeat",
    },
    "tracking_documents": {"idx_doc": "level_name, chapter_name", "idx_date": "created_at"},
    "user_point_logs": {"idx_user": "user_id", "idx_action": "action"},
    "user_credit_logs": {"idx_user": "user_id"},
}


@pytest.mark.parametrize("table", COLUMNS)
def test_table_has_every_column_of_its_seed(database: psycopg.Connection, table: str) -> None:
    query = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
    found = {row[0] for row in database.execute(query, [table])}
    assert set(COLUMNS[table].split()) - found == set()


def test_columns_have_the_types_of_the_seeds(database: psycopg.Connection) -> None:
    query = """
        SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    """
    found: dict[str, str] = dict(database.execute(query).fetchall())
    assert {name: found[name] for name in TYPES} == TYPES


def test_every_index_of_the_seeds_exists(database: psycopg.Connection) -> None:
    rows = database.execute("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    found: dict[tuple[str, str], str] = {
        (table, name): definition.partition(" USING btree ")[2] for table, name, definition in rows
    }
    unnamed = {(table, definition) for (table, _), definition in found.items()}
    assert [index for index in INDEXES if index not in unnamed] == []
    named = {
        (table, f"{table}_{name}"): f"({columns})"
        for table, indexes in NAMED_INDEXES.items()
        for name, columns in indexes.items()
    }
    assert {index: found.get(index) for index in named} == named


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("activity_events", "event_type", "login signup app_open action"),
        ("subscriptions", "status", "active expired cancelled"),
        ("users", "user_type", "student teacher admin"),
        ("tracking_events", "user_type", "student teacher guest"),
        ("tracking_events", "event_type", "visit button document session"),
        ("tracking_events", "device_type", "desktop mobile tablet"),
        ("tracking_live_sessions", "user_type", "student teacher"),
        ("tracking_documents", "user_type", "student teacher guest"),
        ("user_point_logs", "action", "earn redeem"),
    ],
)
def test_enum_of_the_seed_is_checked(database: psycopg.Connection, table: str, column: str, values: str) -> None:
    query = """
        SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = %s::regclass AND contype = 'c' AND conname = %s
    """
    row = database.execute(query, [table, f"{table}_{column}_check"]).fetchone()
    assert row is not None
    assert {part.partition("'")[0] for part in row[0].split("'")[1::2]} == set(values.split())
