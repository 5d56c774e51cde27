"""Where an event's row is kept does not show in a mart: hot, sealed to a folder or a bucket, or taken over anew."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.archive.sealing import PARTITION, days_ago
from tests.s3_server import S3Server
from tests.sql.conftest import Models, Rows
from tests.sql.rows import AS_OF, insert_all
from tests.sql.test_events_are_conserved import COUNT_INTAKE
from warehouse.archive.seal import seal
from warehouse.archive.sources import prepare_sources
from warehouse.load import load

EVENT_TABLES = ("activity_events", "tracking_events", "tracking_documents")
MARTS = """
    SELECT schema_name || '.' || table_name FROM duckdb_tables()
    WHERE schema_name = 'marts' OR table_name = 'conservation' ORDER BY ALL
"""


@pytest.fixture(scope="module")
def ended_url(module_database: psycopg.Connection, server_url: str) -> str:
    """A database whose events were received three days ago, but for those of today."""
    day = days_ago(3)
    insert_all(module_database)
    for table in EVENT_TABLES:
        module_database.execute(PARTITION.format(table=table, day=day, end=days_ago(2)))
        module_database.execute(f"UPDATE {table} SET received_at = '{day} 12:00Z' WHERE id % 3 > 0")
        module_database.execute(COUNT_INTAKE.format(table=table).encode())
    return make_url(server_url).set(database=module_database.info.dbname).render_as_string(hide_password=False)


def test_marts_are_the_same_wherever_rows_are(
    ended_url: str, make_models: Callable[[], Models], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = make_models()
    load(ended_url, models.warehouse_path)
    hot = marts(models)
    assert len(hot) >= 7
    assert [name for name, found in hot.items() if not found] == ["marts.rpt_ledger_drift"]
    assert len(seal(ended_url, models.warehouse_path)) == len(EVENT_TABLES)
    assert marts(models) == hot
    assert models.rows("SELECT count(*), min(is_conserved) FROM meta.conservation WHERE stored_count > 0") == [
        (6, True)
    ]
    models.warehouse_path.unlink()
    load(ended_url, models.warehouse_path, full=True)
    assert marts(models) == hot
    remade = make_models()
    load(ended_url, remade.warehouse_path)
    address = s3.address("marts")
    assert len(seal(ended_url, remade.warehouse_path, archive_address=address)) == len(EVENT_TABLES)
    monkeypatch.setenv("FOOTFALL_ARCHIVE", address)
    assert marts(remade, address) == hot


def marts(models: Models, archive_address: str | None = None) -> dict[str, Rows]:
    prepare_sources(models.warehouse_path, archive_address)
    models.build(as_of=AS_OF.isoformat())
    return {name: models.rows(f"SELECT * FROM {name} ORDER BY ALL") for (name,) in models.rows(MARTS)}
