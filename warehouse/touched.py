"""Which tables, and which quarter hours of `created_at`, have rows that no passed build has seen. No models here.

The load writes them to `meta.touched` in the transaction that writes the rows, a passed build deletes them, and in
between the models read off them which days to build. A quarter hour lies in one day of any time zone in use, so that
what is written here holds for every `reporting_timezone`. A row without a quarter hour means all of the table; a state
table has no days.
"""

from datetime import date

import duckdb

from warehouse.cursors import Cursor
from warehouse.queries import touched_query
from warehouse.tables import TABLES

# in the place of a table's name: the models changed, so nothing that they made before counts
EVERY_TABLE = "*"
STATE_TABLES = [table.name for table in TABLES if table.kind == "state"]
TABLES_WITH_DAYS = [table.name for table in TABLES if table.kind != "state"]


def touch_table(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> None:
    """Note that all of a table is new, in the caller's transaction."""
    warehouse.execute(touched_query("touch_table"), [table_name])


def touch_new_rows(warehouse: duckdb.DuckDBPyConnection, table_name: str, cursor: Cursor) -> None:
    """Note when the rows happened that the cursor had not seen, in the transaction that loads them.

    Only they are looked at: a lower xid than any that was new then is skipped with its whole row group.
    """
    _, xmax, open_xids = cursor.snapshot.split(":")
    late = [int(xid) for xid in open_xids.split(",") if xid]
    query = touched_query("touch_new_rows").format(table=table_name, first=min([int(xmax), *late]))
    warehouse.execute(query, {"table_name": table_name, "xmax": int(xmax), "late": late})


def touch_days(warehouse: duckdb.DuckDBPyConnection, first_day: date, last_day: date) -> None:
    """Note that these days (UTC, both included) are to be built anew, of every event and log table.

    In the caller's transaction. Where reports cut days elsewhere, each day of theirs that shares an hour with one of
    these is built.
    """
    warehouse.execute(touched_query("touch_days"), [TABLES_WITH_DAYS, first_day, last_day])


def touched_tables(warehouse: duckdb.DuckDBPyConnection) -> list[str] | None:
    """Name the tables with something new; None where all days of one are, so that models are built from the start."""
    if warehouse.execute(touched_query("is_all_touched"), [STATE_TABLES]).fetchone() == (True,):
        return None
    return [name for (name,) in warehouse.execute(touched_query("touched_tables")).fetchall()]


def forget_touched(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Forget all: the marts show every row that is loaded."""
    warehouse.execute(touched_query("forget_touched"))
