"""A refresh in a process of its own, which a test may kill: load and build of production, without Dagster's run.

`python -m tests.spark.refreshing` takes its settings from the environment, as a run does.
"""

import dagster as dg

from pipelines.assets.models import run_build
from pipelines.dbt_project import parse
from pipelines.settings import Settings, load_settings
from warehouse.load import load
from warehouse.writer import writer_lock

BUILD = "a build"


def refresh(settings: Settings) -> None:
    """Load what is new and build what comes of it, on the engine that is set. Fails with the words of what failed."""
    load(settings.database_url, settings.warehouse_path, into_lake=settings.engine == "spark")
    run = dg.DagsterRun(job_name="refresh", run_id=BUILD)
    with writer_lock(settings.warehouse_path, 60, purpose="refresh"):
        results = run_build(parse(settings.dbt_folder), settings, run)
    assert [(result.name, result.message) for result in results if result.is_failed] == []


if __name__ == "__main__":
    refresh(load_settings())
