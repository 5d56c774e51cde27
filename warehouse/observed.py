"""What only the refreshes saw: who was live at each, and the versions of subscriptions. No model here.

Postgres keeps the last of both alone, so these tables are appended to and never made anew. The published file has
them too, and a warehouse that was deleted takes them over from there, before models are built. Where both files are
gone the two histories are gone; everything else can be derived again.
"""

from pathlib import Path

import duckdb

from warehouse.connection import literal, open_warehouse, transaction
from warehouse.errors import HistoriesUnreadable, one_line
from warehouse.queries import duckdb_query

HISTORIES = {"rpt_live_users": "take_over_live_users", "dim_subscriptions": "take_over_subscription_versions"}
"""Mart that shows a history to the query that makes, out of it, the table that keeps the history."""


def take_over_observed(warehouse_path: Path, published_path: Path) -> list[str]:
    """Make the tables that keep a history, where they are missing here and published there; return those marts.

    The caller holds the writer lock. Raises HistoriesUnreadable, WarehouseUnusable.
    """
    with open_warehouse(warehouse_path) as warehouse:
        missing = _marts_without_history(warehouse)
        if not missing or not published_path.exists():
            return []
        try:
            warehouse.execute(duckdb_query("attach_histories").format(path=literal(str(published_path))))
            taken = [mart for mart in missing if _is_published(warehouse, mart)]
            with transaction(warehouse):
                for mart in taken:
                    warehouse.execute(duckdb_query(HISTORIES[mart]))
            warehouse.execute("DETACH published")
        except duckdb.Error as error:
            raise HistoriesUnreadable(published_path, one_line(error)) from error
        return taken


def _marts_without_history(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    kept = {mart for (mart,) in warehouse.execute(duckdb_query("kept_histories")).fetchall()}
    return [mart for mart in HISTORIES if mart not in kept]


def _is_published(warehouse: duckdb.DuckDBPyConnection, mart: str) -> bool:
    return warehouse.execute(duckdb_query("is_published"), [mart]).fetchone() is not None
