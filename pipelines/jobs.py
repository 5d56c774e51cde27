"""The jobs an operator can start, and when they start by themselves. Each is a named selection with a sentence."""

from typing import Any

import dagster as dg

from pipelines.assets import archive, rebuild, retention

REFRESH = "refresh"
_EVERY_FIVE_MINUTES = "*/5 * * * *"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_BESIDE_THE_PATH = (
    rebuild.REBUILT_DAYS,
    archive.sealed_days,
    archive.EXPIRED_DAYS,
    retention.expired_live_sessions,
    retention.event_partitions,
    retention.housekeeping,
)
_THE_PATH = (dg.AssetSelection.all() - dg.AssetSelection.assets(*_BESIDE_THE_PATH)) | dg.AssetSelection.checks(
    archive.nothing_is_overdue, retention.nothing_outlives_its_rule
)
# anew from the start, whether a step failed or the run's process ended: tomorrow is late. Dagster cannot start it
# before Postgres, which has its runs too, is back. No step of these jobs has retries of its own: they would multiply
_RETRIES = {
    "dagster/max_retries": "2",
    "dagster/retry_strategy": "ALL_STEPS",
    "dagster/retry_on_asset_or_op_failure": "true",
}


def refresh_config(*, full: bool = False, compare_keys: bool = False) -> dict[str, Any]:
    """Return the run config of `refresh`: what `LoadConfig` and `ModelsConfig` say of these words."""
    return {
        "ops": {
            "load": {"config": {"full": full, "compare_keys": compare_keys}},
            "models": {"config": {"full": full}},
        }
    }


refresh = dg.define_asset_job(
    REFRESH,
    selection=_THE_PATH,
    description="Loads what is new, builds and checks the models, and swaps in the published file.",
)

compare_keys = dg.define_asset_job(
    "compare_keys",
    selection=_THE_PATH,
    config=refresh_config(compare_keys=True),
    description=(
        "A refresh that also finds rows deleted in Postgres, and proves that both sides have the same rows: events of "
        "open days by number and event_id, all else whole."
    ),
)

seal = dg.define_asset_job(
    "seal",
    selection=[archive.sealed_days],
    description="Turns closed days into Parquet files, proves each against Postgres, and tells how much that was.",
)

expire = dg.define_asset_job(
    "expire",
    selection=[archive.EXPIRED_DAYS],
    description=(
        "Lets days older than `archive_after_days` leave Postgres, each proved to be in the archive; with `dry_run` in "
        "its config it only says which."
    ),
)

rebuild_days = dg.define_asset_job(
    "rebuild_days",
    selection=[rebuild.REBUILT_DAYS],
    description="Builds the days that you choose anew in all marts, checks and publishes them, in one run: for when a "
    "report of some days is wrong. Other days are not touched.",
)

cleanup_live_sessions = dg.define_asset_job(
    "cleanup_live_sessions",
    selection=[retention.expired_live_sessions],
    description="Deletes live sessions whose last heartbeat is too old, and reports how many.",
)

make_partitions = dg.define_asset_job(
    "make_partitions",
    selection=[retention.event_partitions],
    description="Makes the daily partitions of the event tables ahead, so that no event is ever refused.",
)

keep_house = dg.define_asset_job(
    "keep_house",
    selection=[retention.housekeeping],
    description="Removes all else that is older than its rule of retention says, and reports how much of each.",
)

EACH_FIVE_MINUTES = frozenset({refresh.name, cleanup_live_sessions.name})
JOBS = (refresh, compare_keys, rebuild_days, seal, expire, cleanup_live_sessions, make_partitions, keep_house)


def _schedule(
    job: "dg.UnresolvedAssetJobDefinition", cron: str, description: str, *, is_tried_again: bool = False
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule=cron,
        tags=_RETRIES if is_tried_again else {},
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


@dg.schedule(
    job=refresh,
    cron_schedule=_EVERY_FIVE_MINUTES,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every five minutes, unless the last one is still under way: reports are about that old.",
)
def refresh_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a refresh; a long one, as the first may be, must not leave a queue of them behind."""
    unfinished = dg.RunsFilter(job_name=REFRESH, statuses=_UNFINISHED)
    if context.instance.get_runs_count(unfinished):
        return dg.SkipReason("the last refresh is still under way")
    return dg.RunRequest()


SCHEDULES = (
    refresh_schedule,
    _schedule(compare_keys, "17 2 * * *", "Each night at 02:17 UTC, when few look."),
    _schedule(
        seal,
        "37 0 * * *",
        "Each day at 00:37 UTC, when the day before is closed unless a transaction is still open.",
        is_tried_again=True,
    ),
    _schedule(
        expire,
        "7 1 * * *",
        "Each day at 01:07 UTC, after the seal: what is old enough leaves Postgres.",
        is_tried_again=True,
    ),
    _schedule(cleanup_live_sessions, _EVERY_FIVE_MINUTES, "Every five minutes: who left is soon not counted."),
    _schedule(make_partitions, "7 0 * * *", "Each day at 00:07 UTC, two weeks ahead.", is_tried_again=True),
    _schedule(keep_house, "37 3 * * *", "Each night at 03:37 UTC: what is old enough goes.", is_tried_again=True),
)
