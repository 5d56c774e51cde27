"""What builds the models: DuckDB in the warehouse's own file, or Spark on a cluster. One setting chooses.

The models, their checks and what comes after a build are the same for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.dbt_project import NodeResult, ParsedProject, build, parse
from pipelines.failed_rows import with_failed_rows
from pipelines.settings import Settings


class Engine(Protocol):
    """Builds a project; the caller of its methods holds the writer's lock."""

    @property
    def project(self) -> ParsedProject:
        """The project, parsed for this engine."""

    def relations(self) -> list[str]:
        """Return the tables and views `schema.name` that are in the warehouse after a build."""

    def has_all_tables(self) -> bool:
        """Tell whether what it made before is there, so that what is new can be built upon it."""

    def build(self, touched: Sequence[str] | None) -> list[NodeResult]:
        """Build and test what comes of the `touched` tables, or all; see `pipelines.dbt_project.build`."""


@dataclass(frozen=True)
class DuckDB:
    """The engine for what fits one machine."""

    project: ParsedProject
    settings: Settings

    def relations(self) -> list[str]:
        """All of them."""
        return self.project.relations()

    def has_all_tables(self) -> bool:
        """Leave it to `warehouse.builds`, which looks for each relation."""
        return True

    def build(self, touched: Sequence[str] | None) -> list[NodeResult]:
        """Build in this process."""
        results = build(self.project, self.settings.dbt_folder, touched)
        return with_failed_rows(self.settings.warehouse_path, results, self.settings.archive_address)


def chosen_engine(project: ParsedProject, settings: Settings) -> Engine:
    """Return the engine that the settings name; `project` is as parsed for DuckDB. Raises SparkUnusable."""
    if settings.engine == "duckdb":
        return DuckDB(project, settings)
    from pipelines.spark.needs import check_needs

    # before anything of Spark is imported: it is an extra, which may not be installed
    check_needs(settings.spark_master)
    from pipelines.spark.build import SPARK, Spark

    return Spark(parse(settings.dbt_folder, project.transforms, SPARK), settings)
