"""Build the models on Spark: dbt runs them in a session on its cluster, and the marts come back into the warehouse.

What is computed across machines, Spark computes. Here it is given the files, told of the tables that it made before,
and asked for what it made. What is new and which checks passed is noted by `warehouse.builds`, as for DuckDB.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pipelines.dbt_project import NodeResult, ParsedProject, build, build_views
from pipelines.errors import BuildFailed
from pipelines.failed_rows import with_rows
from pipelines.settings import Settings
from pipelines.spark.models import ModelTable, model_tables, register, remove_old
from pipelines.spark.session import open_session
from pipelines.spark.sources import give_sources
from warehouse.archive.store import open_archive
from warehouse.connection import open_warehouse
from warehouse.errors import one_line
from warehouse.lake.files import lake_folder
from warehouse.returned import count_rows, give_history, take_mart

SPARK = "spark"
# a history that was given: it is older than what any build makes
GIVEN = "0-given"
# of these schemas people read; what else Spark makes stays in the lake
RETURNED = ("marts", "meta")


@dataclass(frozen=True)
class Spark:
    """The engine for what one machine cannot hold; `project` is as parsed for it."""

    project: ParsedProject
    settings: Settings

    def relations(self) -> list[str]:
        """Those that are brought back: what people read, and the histories."""
        return [f"{table.mart.schema}.{table.mart.name}" for table in self._tables() if _returns(table)]

    def has_all_tables(self) -> bool:
        """Look into the lake. Raises LakeNotLocal."""
        lake = lake_folder(open_archive(self.settings.archive_address, self.settings.warehouse_path))
        return all(table.current(lake) is not None for table in self._tables() if not table.is_history)

    def build(self, touched: Sequence[str] | None) -> list[NodeResult]:
        """Build on the cluster that the settings name, and bring back what was built, if no check failed.

        The sources are prepared. Raises SparkUnusable, BuildFailed, LakeNotLocal, HotRowsNotInLake.
        """
        archive = open_archive(self.settings.archive_address, self.settings.warehouse_path)
        lake = lake_folder(archive)
        tables = self._tables()
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        with (
            open_session(self.settings.spark_master, lake) as spark,
            open_warehouse(self.settings.warehouse_path) as warehouse,
        ):
            archive.attach(warehouse)
            give_sources(spark, warehouse, archive)
            for table in tables:
                if table.is_history:
                    _give_history(warehouse, table, lake)
            register(spark, tables, lake)
            variables = {"lake": str(lake), "build": name}
            if touched is not None:
                build_views(self.project, self.settings.dbt_folder, variables)
            results = build(self.project, self.settings.dbt_folder, touched, variables)
            results = [with_rows(result, partial(_read, spark)) for result in results]
        if any(result.is_failed for result in results):
            return results
        done = {result.unique_id for result in results if result.is_done}
        built = [table for table in tables if table.unique_id in done]
        for table in built:
            if table.is_made_anew(lake, is_full=touched is None):
                table.mark_whole(lake, name)
        with open_warehouse(self.settings.warehouse_path) as warehouse:
            counts = {table.unique_id: _take(warehouse, table, lake) for table in built}
        remove_old(tables, lake)
        return [replace(result, row_count=counts.get(result.unique_id)) for result in results]

    def _tables(self) -> list[ModelTable]:
        return model_tables(self.project.for_dbt())


def _returns(table: ModelTable) -> bool:
    return table.is_history or table.mart.schema in RETURNED


def _give_history(warehouse: duckdb.DuckDBPyConnection, table: ModelTable, lake: Path) -> None:
    """Let Spark go on from the history as the warehouse keeps it, whatever a killed build appended to its own copy."""
    shutil.rmtree(table.folder(lake), ignore_errors=True)
    if give_history(warehouse, table.mart, table.folder(lake) / GIVEN / "rows.parquet"):
        table.mark_whole(lake, GIVEN)


def _take(warehouse: duckdb.DuckDBPyConnection, table: ModelTable, lake: Path) -> int:
    """Bring a table that people read into the warehouse, and count the rows of any. Raises BuildFailed."""
    folder = table.current(lake) or table.folder(lake)
    try:
        return take_mart(warehouse, table.mart, folder) if _returns(table) else count_rows(warehouse, folder)
    except duckdb.Error as error:
        raise BuildFailed(f"{table.mart.name}: {one_line(error)}") from error


def _read(spark: SparkSession, query: str, limit: int) -> list[Mapping[str, object]]:
    try:
        found = spark.sql(query)
        return [row.asDict() for row in found.orderBy(*found.columns).limit(limit).collect()]
    except PySparkException:
        return []
