"""First step of a refresh: what is new in Postgres goes into the raw tables, each row exactly once.

How that is done is in `warehouse.load`; here is only what Dagster shows of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from pipelines.assets.postgres import GROUP as POSTGRES
from pipelines.assets.postgres import OWNERS
from pipelines.freshness import LOAD_RETRIES, OF_EACH_REFRESH
from pipelines.settings import Settings
from pipelines.translator import SOURCE
from warehouse.errors import LoadFailed, PostgresQueryFailed, PostgresUnreachable, WarehouseError
from warehouse.load import TableLoad, load

WAREHOUSE_POOL = "warehouse"
# how long a step waits for another writer: a scheduled refresh may meet one that somebody started by hand
WRITER_WAIT_SECONDS = 60.0
# over in a moment, perhaps; what else can be wrong, a second try would find again
TRANSIENT = (LoadFailed, PostgresQueryFailed, PostgresUnreachable)
HELD_BACK_BY = "held_back_by"
HELD_BACK_SECONDS = "held_back_seconds"
ONLY_HERE = "rows_not_in_postgres"


class LoadConfig(dg.Config):
    """How much to read: what is new (default), everything again, or also what proves that both sides are equal."""

    full: bool = False
    compare_keys: bool = False


def load_asset(tables: Mapping[str, str]) -> dg.AssetsDefinition:
    """Return the step `load`, which makes one raw asset per table; `tables` gives each name and what it holds."""

    @dg.multi_asset(
        name="load",
        specs=[_raw(table, description) for table, description in tables.items()],
        pool=WAREHOUSE_POOL,
        retry_policy=LOAD_RETRIES,
    )
    def load_tables(
        context: dg.AssetExecutionContext, config: LoadConfig, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[None]]:
        try:
            tables = load(
                settings.database_url,
                settings.warehouse_path,
                full=config.full,
                compare_keys=config.compare_keys,
                archive_address=settings.archive_address,
                wait_seconds=WRITER_WAIT_SECONDS,
                run_id=context.run.run_id,
                # there the cluster reads it
                into_lake=settings.engine != "duckdb",
            )
        except TRANSIENT:
            raise
        except WarehouseError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for table in tables:
            if table.loaded_row_count:
                context.log_event(_seen(table))
            if table.only_here:
                context.log.warning(f"{table.only_here} of {table.table_name}")
            yield _loaded(table)

    return load_tables


def _seen(table: TableLoad) -> dg.AssetObservation:
    """Tell on the table of Postgres that it had something new, so that its latest event is when that was."""
    return dg.AssetObservation([POSTGRES, table.table_name], metadata={"new_row_count": table.loaded_row_count})


def _loaded(table: TableLoad) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=[SOURCE, table.table_name],
        metadata={
            "dagster/row_count": table.total_row_count,
            "loaded_row_count": table.loaded_row_count,
            **({} if table.late_row_count is None else {"late_row_count": table.late_row_count}),
            "deleted_row_count": table.deleted_row_count,
            "loaded_byte_count": table.byte_count,
            "duration_seconds": round(table.duration_seconds, 3),
            **_held_back(table),
            **({ONLY_HERE: str(table.only_here)} if table.only_here else {}),
        },
    )


def _held_back(table: TableLoad) -> dict[str, str | float]:
    """Name the transactions whose rows wait, and the age of the oldest; an age that Postgres hides counts as none."""
    if not table.held_back:
        return {}
    oldest_seconds = max(transaction.age_seconds or 0.0 for transaction in table.held_back)
    return {
        HELD_BACK_BY: "; ".join(map(str, table.held_back)),
        HELD_BACK_SECONDS: round(oldest_seconds, 3),
    }


def held_back_longer(seconds: float, metadata: Mapping[str, dg.MetadataValue[Any]]) -> str | None:
    """Read off a table's materialization who has held rows back for longer than so many seconds."""
    age = metadata.get(HELD_BACK_SECONDS)
    if age is None or float(str(age.value)) <= seconds:
        return None
    return str(metadata[HELD_BACK_BY].value)


def only_here(metadata: Mapping[str, dg.MetadataValue[Any]]) -> str | None:
    """Read off a table's materialization what a load of everything found in the warehouse alone."""
    return str(metadata[ONLY_HERE].value) if ONLY_HERE in metadata else None


def _raw(table: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=[SOURCE, table],
        deps=[[POSTGRES, table]],
        group_name=SOURCE,
        owners=OWNERS,
        kinds={"duckdb"},
        freshness_policy=OF_EACH_REFRESH,
        description=f"{description} A copy of the table in Postgres with the same columns, to which each refresh adds "
        "what is new, each row exactly once.",
    )
