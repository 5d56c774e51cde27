"""What Dagster's code server loads: assets, checks, jobs, schedules and sensors, put together. No logic here."""

from pathlib import Path

import dagster as dg

from pipelines.assets.archive import expired_days, nothing_is_overdue, sealed_days
from pipelines.assets.load import load_asset
from pipelines.assets.models import models_asset
from pipelines.assets.postgres import postgres_assets
from pipelines.assets.publish import publish_asset
from pipelines.assets.rebuild import rebuild_asset
from pipelines.assets.retention import (
    event_partitions,
    expired_live_sessions,
    housekeeping,
    nothing_outlives_its_rule,
)
from pipelines.dbt_project import TRANSFORMS, parse
from pipelines.explained import Asset, explained
from pipelines.jobs import JOBS, SCHEDULES
from pipelines.sensors import SENSORS
from pipelines.settings import Settings, adopt, load_settings
from pipelines.translator import source_descriptions
from warehouse.tables import TABLES


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions for the settings in the environment. Raises SettingsMissing, ModelsUnreadable."""
    return build_defs(load_settings())


def build_defs(settings: Settings, transforms: Path = TRANSFORMS) -> dg.Definitions:
    """Return the definitions for `settings`; parses the dbt project in `transforms` where its files changed.

    Raises ModelsUnreadable.
    """
    adopt(settings.environment)
    project = parse(settings.dbt_folder, transforms)
    # some megabytes of JSON, read once
    manifest = project.manifest()
    descriptions = source_descriptions(manifest)
    tables = {table.name: descriptions[table.name] for table in TABLES}
    models = models_asset(project, manifest)
    marts = [key for key, group in models.group_names_by_key.items() if group == "marts"]
    assets: list[Asset] = [
        *postgres_assets(tables),
        load_asset(tables),
        models,
        publish_asset(sorted(marts)),
        rebuild_asset(project),
        sealed_days,
        expired_days,
        expired_live_sessions,
        event_partitions,
        housekeeping,
    ]
    return dg.Definitions(
        assets=explained(assets, project, manifest),
        asset_checks=[nothing_is_overdue, nothing_outlives_its_rule],
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={"settings": settings},
        executor=dg.in_process_executor,
    )
