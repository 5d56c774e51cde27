"""The stop that does not clear itself: Postgres has another past than the one that was loaded. Nothing is found here.

A restored Postgres soon has given out as many transaction ids as before, and then looks like the one that was loaded.
So what a load has once seen is written down, and only a full load takes it back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from warehouse.errors import OtherPast, StillStopped
from warehouse.queries import comparison_query


@contextmanager
def noted_stops(warehouse: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Write down the stop that ends the block, if one does."""
    try:
        yield
    except StillStopped:
        raise
    except OtherPast as stop:
        warehouse.execute(comparison_query("insert_stop"), [str(stop)])
        raise


def require_no_stop(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Stop as a load before has stopped, in its words. Raises StillStopped."""
    if stop := warehouse.execute(comparison_query("stop")).fetchone():
        raise StillStopped(*stop)


def forget_stops(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Let loads and seals go on: everything was loaded anew."""
    warehouse.execute(comparison_query("delete_stop"))
