"""Which build the marts are of, and whether all its checks passed: without that, nothing is published. No models here.

A build and its publishing are two steps, and another refresh may come between them; and a killed build leaves marts
of two minds. So a build signs the file before it changes a mart, and again when all its checks passed; only then it
forgets which rows were new (`warehouse.touched`). Whoever calls holds the writer lock.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from warehouse.connection import open_warehouse, transaction
from warehouse.errors import BuildNotPassed, BuildOvertaken, TablesNotLoaded
from warehouse.queries import duckdb_query, raw_tables_ddl, touched_query
from warehouse.tables import TABLES
from warehouse.touched import EVERY_TABLE, forget_touched, touch_table, touched_tables


def require_loads(warehouse_path: Path) -> None:
    """Refuse to build where no load has come to some table yet: it is empty, and so would be what is made of it.

    A history would note for ever that all had gone. Raises TablesNotLoaded, WarehouseUnusable.
    """
    with open_warehouse(warehouse_path) as warehouse:
        loaded = {table for table, *_ in warehouse.execute(duckdb_query("cursors")).fetchall()}
    if absent := [table.name for table in TABLES if table.name not in loaded]:
        raise TablesNotLoaded(absent)


def begin_build(
    warehouse_path: Path,
    build_id: str,
    *,
    code_version: str | None = None,
    models_version: str | None = None,
    models: Sequence[str] | None = None,
    full: bool = False,
) -> list[str] | None:
    """Sign the file before the first mart changes: from here on nothing can be published, until the checks passed.

    What is loaded at this moment is what the marts will show, so it is kept for `meta.refresh`, with the versions
    of the program and of its models (a text that changes whenever one of them does). `models` are the tables and views
    `schema.name` that they make; none else is published (None: whatever is there). Returns the tables with something
    new; or None where all models have to be built from the start: because of `full`, of other models than the last
    build's, of one that is not there, of a table that was loaded anew, or because a build that had to did not pass.
    Raises WarehouseUnusable.
    """
    with open_warehouse(warehouse_path) as warehouse:
        is_new = _last_models_version(warehouse) != (models_version,)
        with transaction(warehouse):
            if full or is_new or _missing(warehouse, models or []):
                touch_table(warehouse, EVERY_TABLE)
            # made anew, so that a file of an older footfall gets today's columns
            warehouse.execute(duckdb_query("drop_builds"))
            warehouse.execute(raw_tables_ddl())
            warehouse.execute(duckdb_query("insert_build"), [build_id, code_version, models_version, models])
            return touched_tables(warehouse)


def finish_build(warehouse_path: Path, build_id: str) -> None:
    """Sign that every mart was built and no check of severity error failed, so that the marts show every loaded row.

    Raises WarehouseUnusable.
    """
    with open_warehouse(warehouse_path) as warehouse, transaction(warehouse):
        warehouse.execute(duckdb_query("finish_build"), [build_id])
        forget_touched(warehouse)


def _missing(warehouse: duckdb.DuckDBPyConnection, models: Sequence[str]) -> list[str]:
    return [model for (model,) in warehouse.execute(duckdb_query("missing_models"), [list(models)]).fetchall()]


def _last_models_version(warehouse: duckdb.DuckDBPyConnection) -> tuple[str | None] | None:
    """Read it off the file; of one that an older footfall signed in its own way, there is none."""
    try:
        version: tuple[str | None] | None = warehouse.execute(touched_query("models_version")).fetchone()
    except duckdb.BinderException:
        return None
    return version


def require_passed_build(warehouse: duckdb.DuckDBPyConnection, warehouse_path: Path, build_id: str | None) -> None:
    """Refuse marts that may not be published: of a build other than `build_id` (None: any), or one that did not pass.

    Raises BuildOvertaken, BuildNotPassed.
    """
    last = warehouse.execute(duckdb_query("last_build")).fetchone()
    if last is None:
        raise BuildNotPassed(warehouse_path)
    found, has_passed = last
    if build_id not in {None, found}:
        raise BuildOvertaken(warehouse_path, found)
    if not has_passed:
        raise BuildNotPassed(warehouse_path)
