"""Reads the named queries of `warehouse/sql/`. No query stands here, and none is run."""

import re
from functools import cache
from importlib.resources import files

from psycopg import sql

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def raw_tables_ddl() -> str:
    """Return the DDL of the schemas `raw` and `meta`; it changes nothing where they are there."""
    return _read("raw.sql")


def postgres_query(name: str) -> str:
    """Return a query on Postgres by its name in `sql/postgres.sql`."""
    return _named_queries("postgres.sql")[name]


def filled_postgres_query(name: str, /, **parts: sql.Composable) -> str:
    """Return such a query with its names and literals in their places, quoted."""
    return sql.SQL(postgres_query(name)).format(**parts).as_string()


def duckdb_query(name: str) -> str:
    """Return a query on DuckDB by its name in `sql/duckdb.sql`."""
    return _named_queries("duckdb.sql")[name]


def archive_query(name: str) -> str:
    """Return a query about sealed days by its name in `sql/archive.sql`."""
    return _named_queries("archive.sql")[name]


def lake_query(name: str) -> str:
    """Return a query about the lake by its name in `sql/lake.sql`."""
    return _named_queries("lake.sql")[name]


def filled_lake_query(name: str, /, **parts: sql.Composable) -> str:
    """Return such a query on Postgres with its names and literals in their places, quoted."""
    return sql.SQL(lake_query(name)).format(**parts).as_string()


def returned_query(name: str) -> str:
    """Return a query about the marts that another engine makes by its name in `sql/returned.sql`."""
    return _named_queries("returned.sql")[name]


def comparison_query(name: str) -> str:
    """Return a query that compares both sides by its name in `sql/comparison.sql`."""
    return _named_queries("comparison.sql")[name]


def filled_expire_query(name: str, /, **parts: sql.Composable) -> str:
    """Return a query of `sql/expire.sql`, on Postgres, with its names and literals in their places, quoted."""
    return sql.SQL(_named_queries("expire.sql")[name]).format(**parts).as_string()


def people_query(name: str) -> str:
    """Return a query about one person by its name in `sql/people.sql`."""
    return _named_queries("people.sql")[name]


def rewrite_query(name: str) -> str:
    """Return a query about files that are written anew by its name in `sql/rewrite.sql`."""
    return _named_queries("rewrite.sql")[name]


def retention_query(name: str, /, **parts: str) -> bytes:
    """Return a query of `sql/retention.sql`, on Postgres, with our own names and conditions in their places.

    As bytes, for psycopg takes no text that was put together; nothing in it comes from outside.
    """
    return _named_queries("retention.sql")[name].format(**parts).encode()


def restore_query(name: str) -> str:
    """Return a query that reads sealed files for a restore by its name in `sql/restore.sql`."""
    return _named_queries("restore.sql")[name]


def new_rows_query(name: str) -> str:
    """Return a query on what a load has brought by its name in `sql/new_rows.sql`."""
    return _named_queries("new_rows.sql")[name]


def touched_query(name: str) -> str:
    """Return a query on `meta.touched` by its name in `sql/touched.sql`."""
    return _named_queries("touched.sql")[name]


def trace_query(name: str) -> str:
    """Return a query about one event on its way by its name in `sql/trace.sql`."""
    return _named_queries("trace.sql")[name]


@cache
def _named_queries(file_name: str) -> dict[str, str]:
    _, *parts = _NAME.split(_read(file_name))
    return dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))


def _read(file_name: str) -> str:
    return files("warehouse").joinpath("sql", file_name).read_text(encoding="utf-8")
