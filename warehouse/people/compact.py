"""The warehouse file without the bytes of rows that were deleted: a copy of what is there now, swapped in.

DuckDB marks deleted rows and leaves them in the file, also after a checkpoint. No row is chosen here; the caller holds
the writer lock and has no connection open.
"""

import os
from pathlib import Path

import duckdb

from warehouse.connection import literal, open_warehouse
from warehouse.durable import fsync, remove_database, write_ahead_log
from warehouse.errors import WarehouseUnusable, one_line
from warehouse.people.errors import NotCompacted
from warehouse.people.search import count_rows
from warehouse.queries import people_query


def compact(warehouse_path: Path) -> int:
    """Copy and swap in; return the bytes of the new file. Killed at any point, one of both files is there, whole.

    Raises NotCompacted, and then the old file is there, as it was.
    """
    made_path = warehouse_path.with_name(f"{warehouse_path.name}.new")
    try:
        remove_database(made_path)
        with open_warehouse(warehouse_path) as warehouse:
            warehouse.execute(people_query("attach_copy").format(path=literal(str(made_path))))
            [(database,)] = warehouse.execute(people_query("attached_name")).fetchall()
            warehouse.execute(people_query("copy_all").format(database=database))
            warehouse.execute("CHECKPOINT")
            wanted = count_rows(warehouse, database)
        with duckdb.connect(str(made_path), read_only=True) as made:
            [(database,)] = made.execute(people_query("attached_name")).fetchall()
            if count_rows(made, database) != wanted:
                raise NotCompacted(warehouse_path, "the copy has other rows")
        _swap_in(made_path, warehouse_path)
    except (duckdb.Error, OSError, WarehouseUnusable) as error:
        raise NotCompacted(warehouse_path, one_line(error)) from error
    finally:
        remove_database(made_path)
    return warehouse_path.stat().st_size


def _swap_in(made_path: Path, warehouse_path: Path) -> None:
    if write_ahead_log(warehouse_path).exists() or write_ahead_log(made_path).exists():
        raise NotCompacted(warehouse_path, "its write-ahead log was not folded in")
    made_path.chmod(warehouse_path.stat().st_mode & 0o777)
    fsync(made_path)
    os.replace(made_path, warehouse_path)
    fsync(warehouse_path.parent)
