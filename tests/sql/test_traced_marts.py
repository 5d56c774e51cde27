"""What is said of one event in the reports is what the models make of all: by mart, by row and by column."""

from collections.abc import Callable

import duckdb
import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from tests.sql import rows
from tests.sql.conftest import Models
from tests.sql.views import make_views
from warehouse.connection import literal
from warehouse.tables import EVENT_TABLES
from warehouse.trace_marts import TRACED_MARTS, TracedMart, find_in_marts

TIMEZONE = "America/New_York"
# what is counted once however often it comes
DISTINCT = {"user_count": "user_id", "session_count": "session_id"}
AS_PUBLISHED = """
    SET TimeZone = 'UTC';
    CREATE TABLE meta.refresh AS SELECT now() AS refreshed_at, '9:9:' AS snapshot;
    CREATE TABLE meta.refresh_tables AS SELECT 'rpt_event_usage_daily' AS table_name
"""
COLUMNS = [pytest.param(mart, column, id=f"{mart.mart}-{column}") for mart in TRACED_MARTS for column in mart.counts]


@pytest.fixture(scope="module")
def built(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    rows.insert_all(module_database)
    models = make_models()
    models.copy_raw(module_database)
    make_views(models, TIMEZONE, rows.AS_OF.isoformat())
    return models


def test_every_mart_of_events_is_traced(manifest: Manifest) -> None:
    marts = {
        node.name
        for node in manifest.nodes.values()
        if node.schema == "marts"
        and ancestors(manifest, node.unique_id) & {f"source.footfall.raw.{table}" for table in EVENT_TABLES}
    }
    assert marts == {mart.mart for mart in TRACED_MARTS}


@pytest.mark.parametrize(("mart", "column"), COLUMNS)
def test_traced_events_add_up_to_the_mart(built: Models, mart: TracedMart, column: str) -> None:
    key = ", ".join(f"{item} AS {name}" for name, item in mart.key.items()).format(timezone=literal(TIMEZONE))
    counted = f"count(DISTINCT {DISTINCT[column]})" if column in DISTINCT else "count(*)"
    wanted = f"SELECT {key}, {counted} FILTER ({mart.counts[column]}) AS n FROM raw.{mart.source} GROUP BY ALL"
    found = f"SELECT {', '.join(mart.key)}, {column} AS n FROM marts.{mart.mart}"
    traced, made = ({row for row in built.rows(query) if row[-1]} for query in (wanted, found))
    assert traced == made
    assert len(made) > 1


def test_event_is_found_where_it_is_counted(built: Models) -> None:
    query = "SELECT * FROM raw.tracking_events WHERE NOT is_bot AND user_id = 1 AND country_code IS NULL LIMIT 1"
    with duckdb.connect(str(built.warehouse_path)) as connection:
        connection.execute(AS_PUBLISHED)
        found = connection.execute(query)
        event = dict(zip([column[0] for column in found.description], found.fetchall()[0], strict=True))
    [row] = find_in_marts(built.warehouse_path, "tracking_events", event, TIMEZONE).rows
    where = " AND ".join(
        f"{name} IS NULL" if value is None else f"{name}::VARCHAR = {literal(value)}" for name, value in row.key.items()
    )
    assert built.rows(f"SELECT event_count FROM marts.{row.mart} WHERE {where}") == [(row.counts["event_count"],)]
    assert (row.key["country_code"], row.counts["event_count"] > 0) == (None, True)


def ancestors(manifest: Manifest, unique_id: str) -> set[str]:
    """Name all that a node is made of."""
    parents = set(getattr(manifest.nodes.get(unique_id), "depends_on_nodes", ()))
    return parents.union(*(ancestors(manifest, parent) for parent in parents))
