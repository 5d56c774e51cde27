"""A person is erased between two refreshes: every table is what it would be had the person never been there."""

from collections.abc import Callable

import psycopg
import pytest

from footfall.erasing import erase
from footfall.settings import Settings
from tests.sql import rows
from tests.sql.conftest import Models
from tests.sql.production import Production, project_of
from tests.sql.test_bots_are_left_out import MARKED
from tests.sql.test_events_are_conserved import CHECK, COUNT_INTAKE
from warehouse.errors import BuildNotPassed
from warehouse.people.subject import Subject
from warehouse.publish import publish

# what it counts was so when it was refreshed
OBSERVED = {"marts.rpt_live_users"}


def test_marts_are_as_if_the_person_never_was(
    make_models: Callable[[], Models], database_url: str, database: psycopg.Connection
) -> None:
    models = make_models()
    production = Production(models, database_url, "UTC", project_of(models.home, models.manifest, "UTC"))
    rows.insert_all(database)
    for table in MARKED:
        database.execute(COUNT_INTAKE.format(table=table).encode())
    assert production.refresh(compare_keys=False, checked=False) == []
    before = production.tables()
    failed: list[str] = []
    settings = Settings(FOOTFALL_HOME=models.home, DATABASE_URL=database_url)
    outcome = erase(
        settings,
        database_url,
        Subject("user", "2"),
        # all checks, the ledger's among them
        lambda: failed.extend(production.refresh(compare_keys=True)),
        reason="asked",
        actor="a test",
    )
    assert failed == []
    assert outcome.certificate, outcome.found
    assert {name: rows for name, rows in production.differences().items() if name not in OBSERVED} == {}
    after = production.tables()
    erased = "SELECT table_name FROM meta.conservation WHERE erased_count > 0 AND inserted_count = 0 ORDER BY ALL"
    assert models.rows(erased) == [("tracking_documents",), ("tracking_events",)]
    assert after["marts.rpt_ledger_drift"] == []
    assert after["marts.rpt_points_daily"] == before["marts.rpt_points_daily"]
    assert len(after["marts.dim_users"]) == len(before["marts.dim_users"]) - 1
    assert after["marts.rpt_live_users"][: len(before["marts.rpt_live_users"])] == before["marts.rpt_live_users"]
    assert_loss_stops_the_publishing(production, database)


def assert_loss_stops_the_publishing(production: Production, database: psycopg.Connection) -> None:
    """A row that was counted and that the warehouse lost is missed by the next refresh."""
    path = production.models.warehouse_path
    production.models.execute(
        "DELETE FROM raw.tracking_documents WHERE id = (SELECT max(id) FROM raw.tracking_documents)"
    )
    # as when a batch comes
    database.execute("UPDATE intake_counts SET updated_at = now()")
    assert CHECK in {words.partition(":")[0] for words in production.refresh(compare_keys=False)}
    with pytest.raises(BuildNotPassed):
        publish(path, path.with_name("analytics.duckdb"))
