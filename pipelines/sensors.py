"""What Dagster tells of its own health, each minute: a sensor that writes `HOME/watch/dagster.json`.

Nobody is told from here: `footfall.watch` reads the file (`report.py` has its format) and sends every alert, also the
one that this file is old. A tick asks for what is new since the last one: it costs the same however much there was.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import dagster as dg

from pipelines.forgotten_runs import FINISHED
from pipelines.jobs import EACH_FIVE_MINUTES, JOBS
from pipelines.report import FailedCheck, FailedRun, LongRun, Report, StaleAsset, read_report, write_report
from pipelines.settings import Settings

EACH_SECONDS = 60
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
LONG_SECONDS = 600.0
LONG_TIMES = 5
USUAL_RUNS = 20
FAIL = "FAIL"
# what Dagster notes of a failed run that it will start anew, and how often it does at most, the first time included
TRIED_AGAIN = "dagster/will_retry"
MOST_TRIES = 3


@dg.sensor(
    minimum_interval_seconds=EACH_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Each minute: which jobs and checks fail, what is stale, and which runs take too long, for the alerts.",
)
def report_health(context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]) -> dg.SkipReason:
    """Write the report, and say in the UI what it says."""
    assert context.repository_def, "a sensor is of a repository"  # noqa: S101 # for mypy
    graph = context.repository_def.asset_graph
    before = read_report(settings.footfall_home) if context.cursor else None
    runs = _ended_since(context.instance, context.cursor) if before else []
    report = Report(
        datetime.now(UTC),
        tuple(_failed_runs(context.instance)),
        tuple(_failed_checks(context.instance, graph.asset_check_keys, before, runs)),
        tuple(_stale_assets(context.instance, [node.key for node in graph.asset_nodes if node.freshness_policy])),
        tuple(_long_runs(context.instance)),
    )
    write_report(settings.footfall_home, report)
    context.update_cursor(_cursor(context, runs))
    return dg.SkipReason(f"reported: {report}")


def _cursor(context: dg.SensorEvaluationContext, runs: Sequence[dg.RunRecord]) -> str:
    """Return when the last run ended whose checks are in the report."""
    if runs:
        return _utc(runs[-1].update_timestamp).isoformat()
    return context.cursor or (datetime.now(UTC) - timedelta(seconds=EACH_SECONDS)).isoformat()


def _ended_since(instance: dg.DagsterInstance, cursor: str | None) -> list[dg.RunRecord]:
    """Return the runs that ended since, the first one first."""
    since = datetime.fromisoformat(cursor) if cursor else None
    found = instance.get_run_records(dg.RunsFilter(statuses=FINISHED, updated_after=since))
    return sorted(found, key=lambda run: run.update_timestamp)


def _failed_runs(instance: dg.DagsterInstance) -> Iterable[FailedRun]:
    """Find the jobs whose last run that ended by itself failed, and is not tried again.

    Of those that come again in five minutes one failure is none yet: a restart in the midst of a run is one.
    """
    for job in JOBS:
        ended = instance.get_run_records(dg.RunsFilter(job_name=job.name, statuses=ENDED), limit=MOST_TRIES)
        # no verdict yet, and none on what failed before it
        final = (run for run in ended if run.dagster_run.tags.get(TRIED_AGAIN) != "true")
        if (last := next(final, None)) and last.dagster_run.status == dg.DagsterRunStatus.FAILURE:
            count = _failures_since_success(instance, job.name)
            if count == 1 and job.name in EACH_FIVE_MINUTES:
                continue
            yield FailedRun(job.name, last.dagster_run.run_id, _utc(last.update_timestamp), count)


def _failures_since_success(instance: dg.DagsterInstance, job_name: str) -> int:
    well = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    good = instance.get_run_records(well, limit=1)
    since = _utc(good[0].create_timestamp) if good else None
    failures = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.FAILURE], created_after=since)
    return instance.get_runs_count(failures)


def _failed_checks(
    instance: dg.DagsterInstance,
    keys: Iterable[dg.AssetCheckKey],
    before: Report | None,
    runs: Sequence[dg.RunRecord],
) -> list[FailedCheck]:
    """Take the last report's, and what the runs since said; those that block come first."""
    known = {_name(key) for key in keys}
    found = {one.name: one for one in before.failed_checks} if before else _from_history(instance, list(keys))
    for run in runs:
        for name, failed in _evaluated(instance, run.dagster_run.run_id):
            found.pop(name, None)
            if failed:
                found[name] = failed
    there = [one for name, one in found.items() if name in known]
    return sorted(there, key=lambda one: (not one.is_blocking, one.name))


def _evaluated(instance: dg.DagsterInstance, run_id: str) -> Iterable[tuple[str, FailedCheck | None]]:
    """Give each check that a run evaluated, with what was wrong."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if entry.dagster_event:
            said = entry.dagster_event.asset_check_evaluation_data
            yield _name(said.asset_check_key), None if said.passed else _failed(said, run_id, entry.timestamp)


def _from_history(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> dict[str, FailedCheck]:
    """Find the checks whose last evaluation is bad; it reads all there ever were, so only where there is no report."""
    found = {}
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(keys).items():
        event = record.event.dagster_event if record.event else None
        if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            said = event.asset_check_evaluation_data
            if not said.passed:
                found[_name(key)] = _failed(said, record.run_id, record.create_timestamp)
    return found


def _failed(said: "dg.AssetCheckEvaluation", run_id: str, timestamp: float) -> FailedCheck:
    key = said.asset_check_key
    is_blocking = said.severity == dg.AssetCheckSeverity.ERROR
    at = datetime.fromtimestamp(timestamp, UTC)
    return FailedCheck(key.asset_key.to_user_string(), key.name, is_blocking, run_id, at)


def _stale_assets(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> Iterable[StaleAsset]:
    for key, record in sorted(instance.get_freshness_state_records(keys).items()):
        if record.freshness_state == FAIL:
            yield StaleAsset(key.to_user_string(), _utc(record.updated_at))


def _long_runs(instance: dg.DagsterInstance) -> Iterable[LongRun]:
    """Find unfinished runs that take several times as long as usual, those that wait for their place included."""
    for run in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        since = _utc(run.create_timestamp)
        seconds = (datetime.now(UTC) - since).total_seconds()
        if seconds > LONG_SECONDS:
            usual = _usual_seconds(instance, run.dagster_run.job_name)
            if seconds > LONG_TIMES * usual:
                yield LongRun(run.dagster_run.job_name, run.dagster_run.run_id, since, usual)


def _usual_seconds(instance: dg.DagsterInstance, job_name: str) -> float:
    """Return how long the job's good runs usually took; 0 where there is none."""
    well = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    runs = instance.get_run_records(well, limit=USUAL_RUNS)
    return median([run.end_time - run.start_time for run in runs if run.start_time and run.end_time] or [0.0])


def _name(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}:{key.name}"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


SENSORS = (report_health,)
