"""What keeps Postgres and Dagster's own history small, and new events acceptable. The rules are in `warehouse`."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines.assets.postgres import GROUP as POSTGRES
from pipelines.assets.postgres import OWNERS
from pipelines.settings import Settings
from warehouse.live_sessions import delete_stale_live_sessions
from warehouse.partitions import make_event_partitions

GROUP = "retention"
# a run each five minutes leaves some hundred rows in Dagster's tables: two weeks are enough to look back on
KEEP_RUNS_DAYS = 14
RUNS_AT_ONCE = 500


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    deps=[[POSTGRES, "tracking_live_sessions"]],
    description="Live sessions without a heartbeat for `live_session_timeout_minutes` are deleted from Postgres.",
)
def expired_live_sessions(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Delete them and report how many, and how many were just then held by somebody and stay for the next run."""
    counts = delete_stale_live_sessions(settings.database_url)
    return dg.MaterializeResult(
        metadata={"deleted_row_count": counts.removed, "left_row_count": counts.due - counts.removed}
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    description="The daily partitions of the event tables, made ahead: without one for today no event is accepted.",
)
def event_partitions(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Make those that are missing and report how many."""
    return dg.MaterializeResult(metadata={"made_partition_count": make_event_partitions(settings.database_url)})


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"dagster"},
    description=f"Finished runs older than {KEEP_RUNS_DAYS} days are forgotten, with their events: Dagster keeps them "
    "for ever by itself.",
)
def forgotten_runs(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Delete them and report how many."""
    old = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
        updated_before=datetime.now(UTC) - timedelta(days=KEEP_RUNS_DAYS),
    )
    deleted_run_count = 0
    # oldest first, and until none is left: more runs end in a day than one batch holds
    while runs := context.instance.get_runs(old, limit=RUNS_AT_ONCE, ascending=True):
        for run in runs:
            context.instance.delete_run(run.run_id)
        deleted_run_count += len(runs)
    return dg.MaterializeResult(metadata={"deleted_run_count": deleted_run_count})
