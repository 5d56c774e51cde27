"""Brings the hot rows of an event table from `warehouse.duckdb` into the lake, or back: the engine was changed.

Each table in a transaction of its own: killed at any point, a table is where it was or where it is to be, and the next
load goes on. No row comes from Postgres here.
"""

import duckdb

from warehouse.archive.fingerprint import day_bounds
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns
from warehouse.connection import transaction
from warehouse.errors import LoadFailed, one_line
from warehouse.lake.hot import is_in_lake, swap_files
from warehouse.lake.writing import write_hot_file
from warehouse.queries import lake_query, raw_tables_ddl


def bring_rows(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str, *, into_lake: bool) -> bool:
    """Bring all hot rows of a table to where they are to be; tell whether they were elsewhere.

    The columns are today's. Files that count no more are for `remove_unnamed`. Raises LoadFailed.
    """
    if is_in_lake(warehouse, table_name) == into_lake:
        return False
    try:
        with transaction(warehouse):
            if into_lake:
                _into_files(warehouse, archive, table_name)
            else:
                _into_table(warehouse, table_name)
    except (duckdb.Error, OSError) as error:
        raise LoadFailed(table_name, one_line(error)) from error
    return True


def put_aside(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> None:
    """Give the view another name, `<table>_before`, and name its files no more; in the caller's transaction."""
    warehouse.execute(lake_query("put_view_aside").format(table=table_name))
    warehouse.execute(lake_query("delete_hot_files"), [table_name])


def _into_table(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> None:
    put_aside(warehouse, table_name)
    warehouse.execute(raw_tables_ddl())
    columns = ", ".join(declared_columns()[table_name])
    warehouse.execute(lake_query("take_back").format(table=table_name, columns=columns))
    warehouse.execute(lake_query("drop_view_aside").format(table=table_name))


def _into_files(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str) -> None:
    days = warehouse.execute(lake_query("days_of_table").format(table=table_name)).fetchall()
    written = [
        write_hot_file(
            warehouse,
            archive,
            table_name,
            day,
            lake_query("day_of_table").format(table=table_name, **day_bounds(day)),
        )
        for (day,) in days
    ]
    warehouse.execute(lake_query("drop_table").format(table=table_name))
    swap_files(warehouse, archive, table_name, new=[file for file in written if file])
