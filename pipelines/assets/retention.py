"""What keeps Postgres and Dagster's own history small, and new events acceptable. The rules are in `warehouse`."""

import time
from collections.abc import Iterator
from datetime import UTC

import dagster as dg

from pipelines.assets.postgres import GROUP as POSTGRES
from pipelines.assets.postgres import OWNERS
from pipelines.forgotten_runs import FinishedRuns
from pipelines.freshness import OF_EACH_CLEANUP, OF_EACH_DAY
from pipelines.settings import Settings
from warehouse.errors import WarehouseError
from warehouse.housekeeping import Keeper, Outcome, keep_house, outlived
from warehouse.live_sessions import delete_stale_live_sessions
from warehouse.partitions import make_event_partitions
from warehouse.retention import ADVICE, HOUSEKEEPING, told

GROUP = "retention"


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    deps=[[POSTGRES, "tracking_live_sessions"]],
    freshness_policy=OF_EACH_CLEANUP,
    description="Sessions not heard of for `live_session_timeout_minutes` are deleted from Postgres: who left is no "
    "longer counted as being there.",
)
def expired_live_sessions(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Delete them and report how many, and how many were just then held by somebody and stay for the next run."""
    started = time.monotonic()
    counts = delete_stale_live_sessions(settings.database_url)
    return dg.MaterializeResult(
        metadata={
            "deleted_row_count": counts.removed,
            "left_row_count": counts.due - counts.removed,
            "duration_seconds": round(time.monotonic() - started, 3),
        }
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    freshness_policy=OF_EACH_DAY,
    description="Room for the events of the days to come: Postgres keeps each day in a part of its own, made two weeks "
    "ahead. Without one for today no event would be stored.",
)
def event_partitions(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Make those that are missing and report how many."""
    return dg.MaterializeResult(metadata={"made_partition_count": make_event_partitions(settings.database_url)})


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres", "dagster", "file"},
    deps=[[POSTGRES, "visitor_sessions"]],
    freshness_policy=OF_EACH_DAY,
    description="All else that grows is kept as long as its rule says and then removed: rows of Postgres, Dagster's "
    "runs, logs and files. `docs/retention.md` has the rules.",
)
def housekeeping(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult[None]]:
    """Remove what is due and report it by rule; a rule that could not be obeyed fails the run after all others were."""
    started = time.monotonic()
    outcomes = keep_house(
        settings.database_url, settings.footfall_home, others=_dagsters(context.instance), dry_run=False
    )
    yield dg.MaterializeResult(
        metadata={
            "removed_count": sum(outcome.removed_count for outcome in outcomes),
            "duration_seconds": round(time.monotonic() - started, 3),
            "rules": dg.MetadataValue.table([_record(outcome) for outcome in outcomes]),
        }
    )
    if faults := [f"{outcome.rule.name}: {outcome.fault}" for outcome in outcomes if outcome.fault]:
        raise dg.Failure("; ".join(faults))


@dg.asset_check(
    asset=housekeeping,
    description="Nothing is there two days after its rule of retention says that it goes. Looked at by each refresh "
    f"too, for a housekeeping that no longer runs cannot complain: {ADVICE[HOUSEKEEPING]}.",
)
def nothing_outlives_its_rule(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Look at the oldest of everything; a check that fails here stops no refresh."""
    try:
        found = outlived(settings.database_url, settings.footfall_home, others=_dagsters(context.instance))
    except WarehouseError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    named = "; ".join(map(str, found))
    return dg.AssetCheckResult(
        passed=not found,
        description=named or "Nothing outlives its rule.",
        metadata={"outliving_rule_count": len(found)},
    )


def _dagsters(instance: dg.DagsterInstance) -> dict[str, Keeper]:
    return {"dagster_runs": FinishedRuns(instance)}


def _record(outcome: Outcome) -> dg.TableRecord:
    oldest_at = outcome.oldest_at
    return dg.TableRecord(
        {
            "rule": outcome.rule.name,
            "kept for": told(outcome.rule),
            "due": outcome.due_count,
            "removed": outcome.removed_count,
            "oldest left": f"{oldest_at.astimezone(UTC):%Y-%m-%d %H:%M}" if oldest_at else "",
        }
    )
