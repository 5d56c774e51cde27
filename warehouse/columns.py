"""Which columns are loaded, and how each type travels; and whether both sides have them. No rows here."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from warehouse.errors import SchemaMissing, SchemaUnknown, WarehouseOutdated
from warehouse.postgres import Snapshot
from warehouse.queries import duckdb_query, postgres_query, raw_tables_ddl

Columns = dict[str, dict[str, str]]
"""Table to column to type, in the order of the table."""

RAW_TYPES = {
    "uuid": "UUID",
    "int8": "BIGINT",
    "int4": "INTEGER",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "bpchar": "VARCHAR",
    "bool": "BOOLEAN",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "jsonb": "VARCHAR",
    "xid8": "UBIGINT",
}
"""Postgres's type to the raw type."""

FIRST_DAY, LAST_DAY = "TIMESTAMPTZ '0001-01-02 00:00:00+00'", "TIMESTAMPTZ '9999-12-31 00:00:00+00'"
# as it arrives: the least 64-bit number, which is Postgres's, and the 30 years between 1970 and 2000, in microseconds
MINUS_INFINITY = f"make_timestamptz({-(2**63) + 946_684_800_000_000})"


@cache
def declared_columns() -> Columns:
    """Read off what `sql/raw.sql` declares, once a process."""
    with duckdb.connect() as connection:
        connection.execute(raw_tables_ddl())
        return raw_columns(connection)


def raw_columns(connection: duckdb.DuckDBPyConnection) -> Columns:
    """Read off what a warehouse file has."""
    return _by_table(connection.execute(duckdb_query("columns")).fetchall())


def postgres_columns(snapshot: Snapshot) -> Columns:
    """Read off the tables of Postgres that keep the xid of their rows, types as the raw types they become.

    A type that no raw table knows keeps its Postgres name.
    """
    rows = snapshot.fetch(postgres_query("columns"), "name its columns")
    return _by_table((table, column, RAW_TYPES.get(kind, kind)) for table, column, kind in rows)


def require_same_columns(declared: Columns, found: Columns) -> None:
    """Hold Postgres to what we load, whatever the order.

    Raises SchemaMissing where Postgres is older than this code, SchemaUnknown where it is newer.
    """
    unknown = _only_in(found, declared)
    if missing := _only_in(declared, found):
        raise SchemaMissing(", ".join(missing), ", ".join(unknown))
    if unknown:
        raise SchemaUnknown(", ".join(unknown))


def require_current_file(declared: Columns, found: Columns, warehouse_path: Path) -> None:
    """Hold the file to what we load: an older footfall may have made it. Raises WarehouseOutdated."""
    for table, columns in declared.items():
        if list(found[table].items()) != list(columns.items()):
            raise WarehouseOutdated(table, warehouse_path)


def selected(column: str, raw_type: str) -> str:
    """Write one item of a SELECT on Postgres that gives what `received` makes of it."""
    if raw_type == RAW_TYPES["timestamptz"]:
        bounded = f"least(greatest({column}, '0001-01-02 00:00:00+00'), '9999-12-31 00:00:00+00')"
        # both functions skip NULL: without the CASE, no time would become the first day
        return f"CASE WHEN {column} IS NOT NULL THEN {bounded} END AS {column}"
    return column


def received(column: str, raw_type: str) -> str:
    """Write one item of the SELECT on what arrived: an xid8 comes as its eight bytes, a time as the driver has it.

    Postgres's infinity and years beyond 9999 become the last day that Python, Parquet and Spark know (and the first,
    likewise). The driver counts from 1970 where Postgres counts from 2000, and what is too far ahead for that turns up
    290,000 years ago, before minus infinity. To mend it here costs nothing; in Postgres it took a fifth of its time.
    """
    if raw_type == RAW_TYPES["timestamptz"]:
        return (
            f"CASE WHEN {column} >= {FIRST_DAY} THEN least({column}, {LAST_DAY})"
            f" WHEN {column} < {MINUS_INFINITY} THEN {LAST_DAY} WHEN {column} < {FIRST_DAY} THEN {FIRST_DAY} END"
            f" AS {column}"
        )
    return f"{column}::BIT::{raw_type} AS {column}" if raw_type == RAW_TYPES["xid8"] else column


def _only_in(these: Columns, those: Columns) -> list[str]:
    absent = [table for table in these if table not in those]
    return absent + [
        f"{table}.{column} ({kind})"
        for table, columns in these.items()
        if table in those
        for column, kind in columns.items()
        if those[table].get(column) != kind
    ]


def _by_table(rows: Iterable[tuple[Any, ...]]) -> Columns:
    found: Columns = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found
