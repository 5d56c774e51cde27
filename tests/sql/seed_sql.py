"""The oracle: the seed's own SQL, one file of `oracle/` a mart, run on Postgres. No test here."""

from datetime import datetime
from pathlib import Path

import psycopg

from tests.sql.conftest import Rows

ORACLE = {path.stem: path.read_text() for path in (Path(__file__).parent / "oracle").glob("*.sql")}


def seed_rows(database: psycopg.Connection, mart: str, timezone: str, as_of: datetime) -> Rows:
    """Ask Postgres for what the mart must hold when "now" is `as_of` and days end in `timezone`."""
    return database.execute(ORACLE[mart], {"timezone": timezone, "as_of": as_of}).fetchall()


def in_order(found: Rows) -> Rows:
    """Sort rows of which some columns are null."""
    return sorted(found, key=repr)
