"""Last step of a refresh: the marts, copied into the file that people read, swapped in whole.

It runs only where all models were built and no check of severity error failed, and no other refresh has built them
since: else the old file stays.
How the file is made and checked is in `warehouse.publish`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import dagster as dg

from pipelines.assets.load import WAREHOUSE_POOL, WRITER_WAIT_SECONDS
from pipelines.assets.models import build_id
from pipelines.assets.postgres import OWNERS
from pipelines.freshness import OF_EACH_REFRESH
from pipelines.settings import Settings
from warehouse.new_rows import newest_event_age_seconds
from warehouse.publish import publish

GROUP = "published"
KEY = dg.AssetKey([GROUP, "analytics"])


def publish_asset(marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """Return the step `publish`, downstream of all `marts`."""

    @dg.asset(
        key=KEY,
        deps=marts,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"duckdb", "file"},
        pool=WAREHOUSE_POOL,
        freshness_policy=OF_EACH_REFRESH,
        description="The file `analytics.duckdb` with all marts: what analysts and the admin page open, read-only. "
        "Replaced in one step, and only when every model was built and every check passed; else the last good one "
        "stays.",
    )
    def publish_analytics(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata=run_publish(settings, context.run))

    return publish_analytics


def run_publish(settings: Settings, run: dg.DagsterRun) -> dict[str, Any]:
    """Publish what this run has built, and return what the UI shows of it."""
    started = time.monotonic()
    tables = publish(
        settings.warehouse_path,
        settings.published_path,
        build_id=build_id(run),
        wait_seconds=WRITER_WAIT_SECONDS,
    )
    return {
        "dagster/row_count": sum(table.row_count for table in tables),
        "file_byte_count": settings.published_path.stat().st_size,
        "duration_seconds": round(time.monotonic() - started, 3),
        **_age(settings),
        "path": dg.MetadataValue.path(settings.published_path),
        "tables": dg.MetadataValue.table(
            [dg.TableRecord({"table": table.table_name, "rows": table.row_count}) for table in tables]
        ),
    }


def _age(settings: Settings) -> dict[str, float]:
    """Tell how old the newest event was by now: what readers of the file lag behind."""
    age = newest_event_age_seconds(settings.warehouse_path, WRITER_WAIT_SECONDS)
    return {} if age is None else {"newest_event_age_seconds": round(age, 3)}


def row_counts(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, int]:
    """Return rows per published table, from the metadata of a materialization."""
    records = cast("dg.TableMetadataValue", metadata["tables"]).records
    return {str(record.data["table"]): int(record.data["rows"] or 0) for record in records}
