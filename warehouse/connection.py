"""The way into `warehouse.duckdb`: one kind of connection for all who write. No loading, no publishing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from warehouse.errors import WarehouseUnusable, one_line
from warehouse.queries import raw_tables_ddl

# DuckDB's share of a writer: streams do not need more, and what is larger spills to disk beside the file. With it a
# load of any size and the seal of a day stay below 600 MB; the drivers' batches and the program take the rest
MEMORY_LIMIT = "350MB"


@contextmanager
def open_warehouse(warehouse_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file to write, made with its raw tables if missing. The caller holds the writer lock.

    Raises WarehouseUnusable where it is no DuckDB file, or where another program has it open.
    """
    warehouse_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # no `config`: DuckDB refuses a second connection of one process whose config differs, as dbt's does
        connection = duckdb.connect(str(warehouse_path))
    except duckdb.Error as error:
        raise WarehouseUnusable(warehouse_path, one_line(error)) from error
    with connection:
        connection.execute("SET TimeZone = 'UTC'")
        # it would be drawn into whatever a command prints
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        with transaction(connection):
            connection.execute(raw_tables_ddl())
        yield connection


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit all of the block, or nothing of it."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def quoted(name: str) -> str:
    """Quote a name for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for DuckDB, where it takes no parameter."""
    return "'" + text.replace("'", "''") + "'"
