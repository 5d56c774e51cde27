"""Closed days of the event tables become Parquet, which keeps old rows for ever; and then, in time, leave Postgres.

How a day is sealed, proved and let go is in `warehouse.archive`; here is only what Dagster shows of it.
"""

import time
from collections.abc import Iterator

import dagster as dg

from pipelines.assets.load import WAREHOUSE_POOL, WRITER_WAIT_SECONDS
from pipelines.assets.postgres import OWNERS
from pipelines.assets.retention import GROUP
from pipelines.freshness import OF_EACH_DAY
from pipelines.settings import Settings
from pipelines.translator import SOURCE
from warehouse.archive.errors import DaysStay
from warehouse.archive.expire import ExpiredDay, expire
from warehouse.archive.overdue import RUN, overdue_in
from warehouse.archive.seal import seal
from warehouse.archive.sealed_file import SealedFile
from warehouse.errors import WarehouseError
from warehouse.tables import TABLES

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
    freshness_policy=OF_EACH_DAY,
    description="Days of the event tables to which no row can come any more, each as a file that is kept for ever. A "
    "day leaves the warehouse file only once its own file was found equal to Postgres; the models go on reading it. "
    "`footfall archive list` names all of them.",
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
            # Dagster refuses a table without a row
            **({"files": dg.MetadataValue.table([_record(file) for file in files])} if files else {}),
        }
    )


def _record(file: SealedFile) -> dg.TableRecord:
    return dg.TableRecord({"file": file.path, "rows": file.row_count, "bytes": file.byte_count})


@dg.multi_asset(
    name=EXPIRED_DAYS,
    pool=WAREHOUSE_POOL,
    specs=[
        dg.AssetSpec(
            EXPIRED_DAYS,
            deps=[sealed_days],
            group_name=GROUP,
            owners=OWNERS,
            kinds={"postgres"},
            freshness_policy=OF_EACH_DAY,
            description="Days older than `archive_after_days` leave Postgres, so that it stays small. Each goes only "
            "if its files in the archive, read again, have every row that Postgres has; a day that is not proved "
            "stays, and the run fails and says why. New events come in meanwhile.",
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
            **({"days": dg.MetadataValue.table([_expired(day) for day in expiry.expired])} if expiry.expired else {}),
        },
    )
    reasons = [str(DaysStay(expiry.stays))] if expiry.stays else []
    if expiry.failure:
        reasons.append(f"it ended before all days had their turn: {expiry.failure}")
    if reasons:
        raise dg.Failure("; ".join(reasons))


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
