"""Closed days of the event tables become Parquet, which keeps old rows for ever; and then, in time, leave Postgres.

How a day is sealed, proved and let go is in `warehouse.archive`; here is only what Dagster shows of it.
"""

import time
from collections.abc import Iterator

import dagster as dg

from pipelines.assets.load import WAREHOUSE_POOL, WRITER_WAIT_SECONDS
from pipelines.assets.postgres import OWNERS
from pipelines.assets.retention import GROUP as RETENTION
from pipelines.settings import Settings
from pipelines.translator import SOURCE
from warehouse.archive.errors import DaysStay
from warehouse.archive.expire import ExpiredDay, expire
from warehouse.archive.overdue import RUN, overdue_in
from warehouse.archive.seal import seal
from warehouse.archive.sealed_file import SealedFile
from warehouse.errors import WarehouseError
from warehouse.tables import TABLES

GROUP = "archive"
EXPIRED_DAYS = "expired_days"
# an expire takes turns of some seconds, for which it can wait longer than who waits for it
EXPIRE_WAIT_SECONDS = 600.0


class ExpireConfig(dg.Config):
    """Whether to let days go, or only to look at each as closely and to report what would go."""

    dry_run: bool = False


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


# not in the pool: it changes nothing in the warehouse, and a run of many days must not keep refreshes from running
@dg.multi_asset(
    name=EXPIRED_DAYS,
    specs=[
        dg.AssetSpec(
            EXPIRED_DAYS,
            deps=[sealed_days],
            group_name=RETENTION,
            owners=OWNERS,
            kinds={"postgres"},
            description="The event tables' days older than `archive_after_days` leave Postgres, each only if its "
            "sealed files, read again, have every row that Postgres has. Inserts go on meanwhile. A day that is not "
            "proved stays and fails the run, with the reason.",
        )
    ],
)
def expired_days(config: ExpireConfig, settings: dg.ResourceParam[Settings]) -> Iterator[dg.MaterializeResult[None]]:
    """Let days go and report what that was; or, with `dry_run`, what it would be."""
    started = time.monotonic()
    expiry = expire(
        settings.database_url,
        settings.warehouse_path,
        archive_address=settings.archive_address,
        dry_run=config.dry_run,
        wait_seconds=EXPIRE_WAIT_SECONDS,
    )
    yield dg.MaterializeResult(
        asset_key=EXPIRED_DAYS,
        metadata={
            "dry_run": config.dry_run,
            "expired_row_count": sum(day.row_count for day in expiry.expired),
            "freed_byte_count": sum(day.byte_count for day in expiry.expired),
            "expired_day_count": len({day.day for day in expiry.expired}),
            "archive_after_days": expiry.keep_days,
            "oldest_days_kept": {table: str(day) for table, day in expiry.oldest_days.items()},
            "days_that_stay": [str(stays) for stays in expiry.stays],
            "duration_seconds": round(time.monotonic() - started, 3),
            "days": dg.MetadataValue.table([_expired(day) for day in expiry.expired]),
        },
    )
    reasons = [str(DaysStay(expiry.stays))] if expiry.stays else []
    if expiry.failure:
        reasons.append(f"it ended before all days had their turn: {expiry.failure}")
    if reasons:
        raise dg.Failure("; ".join(reasons), allow_retries=False)


@dg.asset_check(
    asset=EXPIRED_DAYS,
    description="No day is still in Postgres two days after it had to leave. Looked at by each refresh too, for an "
    f"expire that no longer runs cannot complain: {RUN}.",
)
def nothing_is_overdue(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Look at the names of partitions and for rows; a check that fails here stops no refresh."""
    try:
        found = [str(overdue) for overdue in overdue_in(settings.database_url)]
    except WarehouseError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    told = f"{'; '.join(found)}: {RUN}" if found else "No day is overdue."
    return dg.AssetCheckResult(passed=not found, description=told, metadata={"overdue_table_count": len(found)})


def _expired(day: ExpiredDay) -> dg.TableRecord:
    return dg.TableRecord(
        {"day": str(day.day), "table": day.table_name, "rows": day.row_count, "bytes": day.byte_count}
    )
