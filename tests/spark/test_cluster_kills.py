"""Workers and drivers are killed in the middle of a build; that build or the next one ends with the right tables."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from pipelines.spark.models import MODELS
from tests.conftest import new_database
from tests.spark.cluster import SparkCluster, wait_until
from tests.sql import histories, state_history
from tests.sql.conftest import Models
from tests.sql.production import Production, project_of
from warehouse.archive.store import open_archive
from warehouse.lake.files import lake_folder

# builds of all models, while other tests run
BUILD_SECONDS = 900
pytestmark = pytest.mark.timeout(4 * BUILD_SECONDS)
REFRESH = (sys.executable, "-m", "tests.spark.refreshing")
# of some thirty tables
MODELS_BEFORE_KILL = 8
# where Spark writes days, before it puts them in place of the earlier ones
REPLACING = ".spark-staging-*"


def test_kills_before_all_is_built_do_no_harm(home: "Home", cluster: SparkCluster) -> None:
    with home.refreshing() as refresh:
        home.wait_until(home.is_in_the_middle, refresh)
        refresh.kill()
    assert home.marts() == []

    with home.refreshing() as refresh:
        home.wait_until(home.is_in_the_middle, refresh)
        cluster.kill_workers(1)
        assert refresh.wait() == 0, home.log.read_text()
    assert home.differences() == {}


def test_driver_killed_while_days_are_replaced_does_no_harm(home: "Home", cluster: SparkCluster) -> None:
    if not home.marts():
        home.refresh()
    before = home.marts()
    home.receive(5)
    with home.refreshing() as refresh:
        home.wait_until(home.is_replacing_days, refresh)
        # Java alone would take away what it had begun
        for process in psutil.Process(refresh.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        refresh.kill()
    assert home.is_replacing_days()
    assert home.marts() == before
    home.refresh()
    assert home.differences() == {}


class Home:
    """A home that refreshes on the cluster, each time in a process of its own, and the Postgres that it follows."""

    def __init__(self, production: Production, database: psycopg.Connection, master: str) -> None:
        self.log = production.models.home / "refresh.log"
        self._production, self._database, self._chance = production, database, random.Random(1)
        self._env = {
            **os.environ,
            "FOOTFALL_HOME": str(production.models.home),
            "DATABASE_URL": production.database_url,
            "FOOTFALL_ENGINE": "spark",
            "FOOTFALL_SPARK_MASTER": master,
        }

    def receive(self, count: int) -> None:
        """Let Postgres have new rows, late and repeated ones among them."""
        histories.insert_rows(self._database, self._chance, count)
        histories.repeat_rows(self._database, self._chance)
        state_history.change_state(self._database, self._chance)
        state_history.settle_ledger(self._database)

    @contextmanager
    def refreshing(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start a refresh; whoever leaves has seen it end."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(REFRESH, env=self._env, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def refresh(self) -> None:
        """Refresh, undisturbed."""
        with self.refreshing() as process:
            assert process.wait() == 0, self.log.read_text()

    def wait_until(self, is_reached: Callable[[], bool], refresh: "subprocess.Popen[bytes]") -> None:
        """Wait for a moment of a refresh, which has to be there still."""
        wait_until(lambda: refresh.poll() is not None or is_reached(), BUILD_SECONDS)
        assert refresh.poll() is None, self.log.read_text()

    def is_in_the_middle(self) -> bool:
        """Whether the last build from the start has made some tables, and not all."""
        made = [mark.parent.name for mark in self._tables.glob("*/*/_SUCCESS")]
        return made.count(max(made, default="")) >= MODELS_BEFORE_KILL

    def is_replacing_days(self) -> bool:
        """Whether Spark is writing days of a table that was made before."""
        return next(self._tables.glob(f"*/*/{REPLACING}"), None) is not None

    def marts(self) -> list[tuple[str, object]]:
        """All rows that people may read."""
        if not self._production.models.warehouse_path.exists():
            return []
        tables = self._production.tables()
        return [(name, rows) for name, rows in tables.items() if name.startswith("marts.")]

    def differences(self) -> dict[str, object]:
        """Return the rows of each mart, and those that DuckDB makes of the same sources, where they differ."""
        found = self._production.differences()
        return {name: rows for name, rows in found.items() if not name.startswith("intermediate.")}

    @property
    def _tables(self) -> Path:
        return lake_folder(open_archive(None, self._production.models.warehouse_path)) / MODELS


@pytest.fixture(scope="module")
def home(
    make_models: Callable[[], Models], server_url: str, template_database: str, running_cluster: SparkCluster
) -> Iterator[Home]:
    models = make_models()
    with (
        new_database(server_url, template_database) as url,
        psycopg.connect(url, autocommit=True) as database,
    ):
        histories.make_partitions(database)
        state_history.give_points(database)
        project = project_of(models.home, models.manifest, "UTC")
        home = Home(Production(models, url, "UTC", project), database, running_cluster.address)
        home.receive(30)
        yield home
