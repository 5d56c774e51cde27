"""A person is erased between two refreshes: every table is what it would be had the person never been there."""

from collections.abc import Callable

import psycopg

from footfall.erasing import erase
from footfall.settings import Settings
from tests.sql import rows
from tests.sql.conftest import Models
from tests.sql.production import Production, project_of
from warehouse.people.subject import Subject

# what it counts was so when it was refreshed
OBSERVED = {"marts.rpt_live_users"}


def test_marts_are_as_if_the_person_never_was(
    make_models: Callable[[], Models], database_url: str, database: psycopg.Connection
) -> None:
    models = make_models()
    production = Production(models, database_url, "UTC", project_of(models.home, models.manifest, "UTC"))
    rows.insert_all(database)
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
    assert after["marts.rpt_ledger_drift"] == []
    assert after["marts.rpt_points_daily"] == before["marts.rpt_points_daily"]
    assert len(after["marts.dim_users"]) == len(before["marts.dim_users"]) - 1
    assert after["marts.rpt_live_users"][: len(before["marts.rpt_live_users"])] == before["marts.rpt_live_users"]
