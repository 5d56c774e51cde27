"""A removal alone, without refresh and search, and what every store holds afterwards. No assertion here."""

from typing import Any

import duckdb
import psycopg

from tests.integration.archive.sealing import Home
from tests.integration.people.persons import SUBJECT
from warehouse.archive.sources import prepare_sources
from warehouse.people.erase import find_person, opened, remove
from warehouse.people.erasures import Erasure, alone
from warehouse.people.search import Found, search
from warehouse.people.subject import Subject
from warehouse.tables import TABLES
from warehouse.writer import writer_lock

State = dict[str, list[Any]]
UNLIKE = ("alembic_version", "erasures", "intake_counts", "spool_cursors")


def remove_person(home: Home, subject: Subject = SUBJECT) -> Erasure:
    """Remove all rows of the person, as the command does when it has found any."""
    with alone(home.database_url) as connection, writer_lock(home.warehouse_path):
        with opened(home.warehouse_path, None) as (warehouse, _):
            person = find_person(connection, warehouse, subject)
        return remove(connection, home.warehouse_path, None, subject, person, reason="asked", actor="a test")


def found_in(home: Home, erasure: Erasure) -> list[Found]:
    """Search all stores but the spool for who was removed."""
    with (
        alone(home.database_url) as connection,
        writer_lock(home.warehouse_path),
        opened(home.warehouse_path, None) as (warehouse, archive),
    ):
        return search(connection, warehouse, archive, home.warehouse_path, erasure.person)


def state_of(home: Home, pseudonym: int | None = None) -> State:
    """All rows of Postgres and of the warehouse's sources, where one pseudonym is like another."""
    with psycopg.connect(home.database_url) as database:
        found = _postgres_rows(database)
    prepare_sources(home.warehouse_path)
    with duckdb.connect(str(home.warehouse_path)) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        for name in [table.name for table in TABLES if table.name not in UNLIKE]:
            rows = warehouse.execute(f"SELECT * EXCLUDE (xid) FROM sources.{name}").fetchall()
            found[f"sources.{name}"] = [str(row) for row in rows]
    return {table: sorted(row.replace(str(pseudonym), "a pseudonym") for row in rows) for table, rows in found.items()}


def _postgres_rows(database: psycopg.Connection) -> State:
    names = database.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND NOT relname = ANY (%s)",
        [list(UNLIKE)],
    ).fetchall()
    database.execute("SET TimeZone = 'UTC'")
    found: State = {}
    for (name,) in names:
        left_out = "'{xid}'" if name != "admin_audit_log" else "'{xid,id,created_at}'"
        rows = database.execute(f"SELECT (to_jsonb(t) - {left_out}::text[])::text FROM {name} AS t".encode())
        found[name] = [row for (row,) in rows if '"action": "person.erase"' not in row]
    return found
