"""What an operator presses where days of the marts are wrong: chosen days are built, checked and published anew.

An asset of daily partitions, so that the UI lets any range of days be chosen, and a policy by which a range is one run.
The steps are those of a refresh: `pipelines.assets.models` and `pipelines.assets.publish`.
"""

import time
from datetime import date

import dagster as dg

from pipelines.assets.load import WAREHOUSE_POOL, WRITER_WAIT_SECONDS
from pipelines.assets.models import fail_if_any_failed, run_build, told_by_model
from pipelines.assets.postgres import OWNERS
from pipelines.assets.publish import GROUP, KEY, run_publish
from pipelines.dbt_project import ParsedProject
from pipelines.settings import Settings
from pipelines.translator import SOURCE
from warehouse.connection import open_warehouse, transaction
from warehouse.tables import TABLES
from warehouse.touched import touch_days
from warehouse.writer import writer_lock

REBUILT_DAYS = "rebuilt_days"
# before any event that an app sends; the UI lists some thousand days at no cost
FIRST_DAY = "2010-01-01"


def rebuild_asset(project: ParsedProject) -> dg.AssetsDefinition:
    """Return the asset `rebuilt_days`, which is made by hand alone."""

    @dg.multi_asset(
        name=REBUILT_DAYS,
        specs=[_rebuilt_days()],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
    )
    def rebuild(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        first_day, last_day = (date.fromisoformat(key) for key in context.partition_key_range)
        with writer_lock(settings.warehouse_path, WRITER_WAIT_SECONDS, purpose="rebuild days"):
            with open_warehouse(settings.warehouse_path) as warehouse, transaction(warehouse):
                touch_days(warehouse, first_day, last_day)
            results = run_build(project, settings, context.run)
            made = told_by_model(settings, results)
        fail_if_any_failed(results)
        for model, metadata in made.items():
            context.log_event(dg.AssetMaterialization(model, metadata=metadata))
        context.log_event(dg.AssetMaterialization(KEY, metadata=run_publish(settings, context.run)))
        return dg.MaterializeResult(
            asset_key=REBUILT_DAYS,
            metadata={
                "first_day": str(first_day),
                "last_day": str(last_day),
                "model_count": len(made),
                "duration_seconds": round(time.monotonic() - started, 3),
            },
        )

    return rebuild


def _rebuilt_days() -> dg.AssetSpec:
    return dg.AssetSpec(
        REBUILT_DAYS,
        # today too
        partitions_def=dg.DailyPartitionsDefinition(FIRST_DAY, end_offset=1),
        deps=[[SOURCE, table.name] for table in TABLES if table.kind != "state"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"duckdb", "dbt"},
        description="Days that an operator had built anew: choose a range of days (UTC, of `created_at`) and all marts "
        "are made again for these days from the raw rows, checked and published, in one run. Other days stay as they "
        "are. Days before 2010 are not among them: `footfall refresh --full` builds all. No schedule "
        "does this; a refresh builds by itself what has new rows.",
    )
