"""Closed days of the event tables become Parquet, which keeps the warehouse file small and old rows for ever.

How a day is sealed and proved is in `warehouse.archive`; here is only what Dagster shows of it.
"""

import time

import dagster as dg

from pipelines.assets.load import WAREHOUSE_POOL, WRITER_WAIT_SECONDS
from pipelines.assets.postgres import OWNERS
from pipelines.settings import Settings
from pipelines.translator import SOURCE
from warehouse.archive.seal import seal
from warehouse.archive.sealed_file import SealedFile
from warehouse.tables import TABLES

GROUP = "archive"


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    deps=[[SOURCE, table.name] for table in TABLES if table.kind == "event"],
    pool=WAREHOUSE_POOL,
    description="The event tables' closed days as Parquet files, each compared with Postgres before its rows leave the "
    "warehouse file. The models go on reading them; `footfall archive list` names them all.",
)
def sealed_days(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Seal what is closed and report what that was."""
    started = time.monotonic()
    files = seal(
        settings.database_url,
        settings.warehouse_path,
        archive_address=settings.archive_address,
        wait_seconds=WRITER_WAIT_SECONDS,
    )
    return dg.MaterializeResult(
        metadata={
            "sealed_row_count": sum(file.row_count for file in files),
            "sealed_byte_count": sum(file.byte_count for file in files),
            "sealed_day_count": len({file.received_date for file in files}),
            "duration_seconds": round(time.monotonic() - started, 3),
            "files": dg.MetadataValue.table([_record(file) for file in files]),
        }
    )


def _record(file: SealedFile) -> dg.TableRecord:
    return dg.TableRecord({"file": file.path, "rows": file.row_count, "bytes": file.byte_count})
