"""Days that are old enough to leave Postgres, loaded and sealed; a copy for each test. No assertion here."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests.integration.archive.sealing import DAY, Home, days_ago, fill
from warehouse.archive.expire import Expiry, expire

OLDER, OLD = days_ago(97), days_ago(93)
AGED_TABLES = ("activity_events", "tracking_events")
AN_OLD_EVENT = f"""
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, received_at)
    VALUES ('guest', 'DViz', 'visit', 'late', '{OLD} 12:00Z')
"""
STATES = """
    SELECT c.relname, coalesce(i.inhdetachpending::text, 'detached')
    FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
    WHERE c.relkind = 'r' AND c.relname ~ '_p[0-9]{8}$'
        AND right(c.relname, 8) < to_char(now() - interval '2 days', 'YYYYMMDD')
"""
STATE_NAMES = {"false": "attached", "true": "pending", "detached": "detached"}


@dataclass(frozen=True)
class Aged:
    """A sealed home, and the name of the database that it was loaded from."""

    home: Home
    database: str


def of(home: Home) -> Aged:
    """Let a home be copied."""
    return Aged(home, str(make_url(home.database_url).database))


def age(home: Home) -> None:
    """Fill two old days, a young one and today; load and seal them."""
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        for day in (OLDER, OLD, DAY, days_ago(0)):
            fill(connection, day)
    home.load_closed()
    home.seal()


@contextmanager
def copied(aged: Aged, server_url: str, folder: Path) -> Iterator[Home]:
    """Give a home and a Postgres like these; the copy of the warehouse is told that it was loaded from the copy."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    shutil.copytree(aged.home.folder, folder)
    with psycopg.connect(server_url, autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(made.format(sql.Identifier(name), sql.Identifier(aged.database)))
        try:
            home = Home(folder, make_url(server_url).set(database=name).render_as_string(hide_password=False))
            row = connection.execute("SELECT oid::bigint FROM pg_database WHERE datname = %s", [name]).fetchone()
            with duckdb.connect(str(home.warehouse_path)) as warehouse:
                for table in ("load_cursors", "day_marks"):
                    warehouse.execute(f"UPDATE meta.{table} SET database_oid = ?", row)
            yield home
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def expire_now(home: Home, *, dry_run: bool = False) -> Expiry:
    return expire(home.database_url, home.warehouse_path, archive_address=home.archive_address, dry_run=dry_run)


def gone(expiry: Expiry) -> list[tuple[str, date]]:
    return [(one.table_name, one.day) for one in expiry.expired]


def partition(day: date, table: str = "tracking_events") -> str:
    return f"{table}_p{day:%Y%m%d}"


def partition_states(home: Home) -> dict[str, str]:
    """The tables of days that have ended, and whether they are attached."""
    with psycopg.connect(home.database_url) as connection:
        return {name: STATE_NAMES[state] for name, state in connection.execute(STATES)}
