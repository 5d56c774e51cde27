"""warehouse and ingest_app share tables, not code: the raw tables are held against Postgres's own catalogue."""

import duckdb
import psycopg
import pytest

from warehouse.queries import raw_tables_ddl
from warehouse.tables import TABLES

DUCKDB_TYPE = {
    "uuid": "UUID",
    "bigint": "BIGINT",
    "integer": "INTEGER",
    "text": "VARCHAR",
    "character varying": "VARCHAR",
    "character": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "jsonb": "VARCHAR",
    "xid8": "UBIGINT",
}


@pytest.fixture
def postgres_tables(database: psycopg.Connection) -> dict[str, list[tuple[str, str]]]:
    """Columns and types of each table with an xid, partitions left out."""
    rows = database.execute("""
        SELECT table_name, column_name, data_type
        FROM information_schema.columns
        WHERE table_schema = 'public'
            AND table_name IN (SELECT table_name FROM information_schema.columns WHERE column_name = 'xid')
            AND to_regclass(table_name) NOT IN (SELECT inhrelid FROM pg_inherits)
        ORDER BY table_name, ordinal_position
    """).fetchall()
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, data_type in rows:
        tables.setdefault(table, []).append((column, DUCKDB_TYPE[data_type]))
    return tables


def test_raw_tables_have_columns_of_postgres(postgres_tables: dict[str, list[tuple[str, str]]]) -> None:
    with duckdb.connect() as connection:
        connection.execute(raw_tables_ddl())
        rows = connection.execute("""
            SELECT table_name, column_name, data_type FROM information_schema.columns
            WHERE table_schema = 'raw' ORDER BY table_name, ordinal_position
        """).fetchall()
    raw: dict[str, list[tuple[str, str]]] = {}
    for table, column, data_type in rows:
        raw.setdefault(table, []).append((column, data_type))
    assert raw == postgres_tables


def test_every_table_with_xid_is_declared(postgres_tables: dict[str, list[tuple[str, str]]]) -> None:
    assert sorted(table.name for table in TABLES) == sorted(postgres_tables)


def test_declared_keys_are_primary_keys(database: psycopg.Connection) -> None:
    rows = database.execute("""
        SELECT i.indrelid::regclass::text, array_agg(a.attname::text)
        FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indisprimary AND a.attname <> 'received_at'
        GROUP BY 1
    """).fetchall()
    primary_keys: dict[str, list[str]] = dict(rows)
    assert {table.name: [table.key] for table in TABLES} == {table.name: primary_keys[table.name] for table in TABLES}


def test_state_tables_keep_xid_by_trigger(database: psycopg.Connection) -> None:
    rows = database.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'set_xid'").fetchall()
    assert {table.name for table in TABLES if table.kind == "state"} == {name for (name,) in rows}
