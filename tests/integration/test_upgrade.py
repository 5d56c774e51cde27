"""A database of an older footfall, with rows in it: `migrate` brings its schema up to date and keeps every row."""

import psycopg
from alembic import command
from alembic.config import Config

from ingest_app.database import make_engine
from ingest_app.migrate import migrate, require_current

# the last one before visitors were forgotten, persons erased and intake counted
OLDER = "0010"
FILL = """
    SELECT make_event_partitions(1);
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name) SELECT 'guest', 'a', 'visit', n::text
        FROM generate_series(1, 20) AS n;
    INSERT INTO activity_events (event_type) VALUES ('login');
    INSERT INTO users (id, user_type) VALUES (1, 'student');
    INSERT INTO user_points (user_id, points) VALUES (1, 5);
    INSERT INTO visitor_sessions (session_id) VALUES ('s')
"""
Rows = list[dict[str, object]]
TABLES = ("tracking_events", "activity_events", "users", "user_points", "visitor_sessions", "admin_settings")


def test_migrate_keeps_the_rows_of_an_older_schema(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    config = Config()
    config.set_main_option("script_location", "ingest_app:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLDER)
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute(FILL)
        before = {table: _rows(database, table) for table in TABLES}
        with engine.connect() as connection:
            revision, _ = migrate(connection)
            require_current(connection)
        assert revision == OLDER
        # what came with it may have columns and settings more
        assert {table: _rows(database, table, before[table]) for table in TABLES} == before
    engine.dispose()


def _rows(database: psycopg.Connection, table: str, like: Rows | None = None) -> Rows:
    found = [row for (row,) in database.execute(f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY t")]
    if like is None:
        return found
    columns = like[0].keys()
    return [kept for row in found if (kept := {name: row[name] for name in columns}) in like]
