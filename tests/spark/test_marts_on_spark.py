"""The models built on a cluster of Spark's own give the marts that DuckDB builds, row for row."""

import random
from collections.abc import Callable
from datetime import date

import psycopg
import pytest

from pipelines.dbt_project import parse
from pipelines.settings import Settings
from pipelines.spark.build import SPARK, Spark
from tests.spark.cluster import SparkCluster
from tests.sql import histories, state_history
from tests.sql.conftest import Models
from tests.sql.production import Production, project_of
from tests.sql.rows import insert
from warehouse.archive.seal import seal
from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import open_archive
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse, transaction
from warehouse.lake.removal import remove_hot_rows
from warehouse.load import load
from warehouse.touched import touch_days

pytestmark = pytest.mark.timeout(1200)
TIMEZONE = "Europe/Berlin"
# no history of these has anything near it
LONELY_DAY = date(2024, 2, 10)
ON_LONELY_DAY = f"SELECT activity_date, login_count FROM marts.rpt_daily_activity WHERE activity_date = '{LONELY_DAY}'"


def test_marts_equal_those_of_duckdb(
    make_models: Callable[[], Models], database_url: str, database: psycopg.Connection, cluster: SparkCluster
) -> None:
    chance, models = random.Random(1), make_models()
    production = Production(models, database_url, TIMEZONE, project_of(models.home, models.manifest, TIMEZONE))
    on_spark = OnSpark(production, cluster.address)
    histories.make_partitions(database)
    state_history.give_points(database)
    _live(database, chance, 30)
    histories.insert_rows(database, chance, 10, received_at=f"{histories.ENDED_DAY} 12:00Z")
    state_history.settle_ledger(database)
    insert(database, "activity_events", [{"event_type": "login", "created_at": f"{LONELY_DAY} 12:00Z"}])
    assert on_spark.refresh() is None
    assert models.rows(ON_LONELY_DAY) == [(LONELY_DAY, 1)]

    assert len(seal(database_url, models.warehouse_path)) == len(histories.EVENT_TABLES)
    with psycopg.connect(database_url) as late:
        histories.insert_rows(late, chance, 5)
        state_history.settle_ledger(late)
    histories.insert_rows(database, chance, 5, received_at=f"{histories.ENDED_DAY} 13:00Z")
    _live(database, chance, 3)
    load(database_url, models.warehouse_path, into_lake=True)
    _empty_a_day(models)
    assert on_spark.build() is not None
    assert models.rows(ON_LONELY_DAY) == []
    assert on_spark.differences() == {}


class OnSpark:
    """Refreshes of one home as production does them with the engine spark, without Dagster."""

    def __init__(self, production: Production, master: str) -> None:
        self.production, self.path = production, production.models.warehouse_path
        settings = Settings(
            footfall_home=production.models.home,
            database_url=production.database_url,
            footfall_engine=SPARK,
            footfall_spark_master=master,
        )
        self.engine = Spark(parse(settings.dbt_folder, production.project.transforms, SPARK), settings)

    def refresh(self) -> list[str] | None:
        """Load and build; return which tables had something new, or None where all was built from the start."""
        load(self.production.database_url, self.path, into_lake=True)
        return self.build()

    def build(self) -> list[str] | None:
        prepare_sources(self.path)
        touched = begin_build(
            self.path,
            "a build",
            models_version=self.engine.project.fingerprint,
            models=self.engine.relations(),
            full=not self.engine.has_all_tables(),
        )
        results = self.engine.build(touched)
        assert [(result.name, result.status, result.message) for result in results if result.is_failed] == []
        finish_build(self.path, "a build")
        return touched

    def differences(self) -> dict[str, object]:
        """Return the rows of each mart, and those that DuckDB makes of the same sources, where they differ."""
        return {
            name: rows for name, rows in self.production.differences().items() if not name.startswith("intermediate.")
        }


def _live(database: psycopg.Connection, chance: random.Random, count: int) -> None:
    histories.insert_rows(database, chance, count)
    histories.repeat_rows(database, chance)
    state_history.change_state(database, chance)
    state_history.settle_ledger(database)


def _empty_a_day(models: Models) -> None:
    """Let a day lose all its rows, as an erasure does."""
    archive = open_archive(None, models.warehouse_path)
    with open_warehouse(models.warehouse_path) as warehouse, transaction(warehouse):
        on_the_day = f"created_at::DATE = '{LONELY_DAY}'"
        remove_hot_rows(warehouse, archive, "activity_events", on_the_day, reason="a test")
        touch_days(warehouse, LONELY_DAY, LONELY_DAY)
