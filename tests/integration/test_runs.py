"""Runs as Dagster records them: no two writing at once, none under way for ever, caught up once, not kept for ever."""

import json
import logging
import socket
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.events import RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.launcher.base import WorkerStatus
from dagster._core.remote_origin import CodeLocationOrigin, InProcessCodeLocationOrigin
from dagster._core.scheduler import DagsterDaemonScheduler
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._scheduler.scheduler import launch_scheduled_runs

from footfall.dagster_home import dagster_environment
from pipelines import forgotten_runs
from pipelines.forgotten_runs import FinishedRuns
from pipelines.jobs import REFRESH, SCHEDULES, refresh_schedule
from pipelines.launcher import HOST_TAG, PID_TAG, WatchingRunLauncher, foreground_tags
from tests.conftest import new_database
from warehouse.aged_rows import Counts

STARTED, FAILURE, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS
QUEUED = dg.DagsterRunStatus.QUEUED
WRITING_JOBS = {REFRESH, "compare_keys", "seal", "expire"}
LOG = logging.getLogger(__name__)


class OurDefinitions(WorkspaceLoadTarget):
    """The definitions as the code server has them, in this process."""

    def create_origins(self) -> list[CodeLocationOrigin]:
        module = LoadableTargetOrigin(module_name="pipelines.definitions", attribute="defs")
        return [InProcessCodeLocationOrigin(module, location_name="footfall")]


@pytest.fixture(scope="module")
def dead() -> dict[str, str]:
    """The tags of a run in the foreground whose process is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return {PID_TAG: str(process.pid), HOST_TAG: socket.gethostname()}


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory,
    server_url: str,
    template_database: str,
    give_models: Callable[[Path], None],
) -> Iterator[WorkspaceProcessContext]:
    """The instance as `footfall up` sets it up, and what the daemon knows."""
    with new_database(server_url, template_database) as url, pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        give_models(home)
        environment = dagster_environment(home, url)
        for name, value in environment.items():
            patch.setenv(name, value)
        with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance, warnings.catch_warnings():
            # Dagster reads off each schedule what it has deprecated itself
            warnings.filterwarnings("ignore", "Property `ScheduleDefinition.environment_vars`", DeprecationWarning)
            with WorkspaceProcessContext(instance, OurDefinitions()) as workspace:
                yield workspace


@pytest.fixture
def instance(workspace: WorkspaceProcessContext) -> dg.DagsterInstance:
    workspace.instance.wipe()
    assert workspace.instance.schedule_storage
    workspace.instance.schedule_storage.wipe()
    # as a process finds it that comes first
    dg.DagsterInstance.get().dispose()
    return workspace.instance


def run_scheduler(workspace: WorkspaceProcessContext, now: datetime) -> None:
    """Let the daemon's scheduler look at all schedules once, as it does each minute."""
    scheduler = workspace.instance.scheduler
    assert isinstance(scheduler, DagsterDaemonScheduler)
    catchup_runs = scheduler.max_catchup_runs
    list(launch_scheduled_runs(workspace, LOG, now, iteration_times={}, max_catchup_runs=catchup_runs))


def runs_to_start(instance: dg.DagsterInstance) -> set[str]:
    """Return the jobs of the queued runs that the daemon would start now."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    runs = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), fixed_iteration_time=None)
    return {run.job_name for run in runs}


def is_scheduled(instance: dg.DagsterInstance) -> bool:
    with dg.build_schedule_context(instance=instance) as context:
        return isinstance(refresh_schedule(context), dg.RunRequest)


@pytest.mark.parametrize(("status", "expected"), [("STARTED", False), ("STARTING", False), ("FAILURE", True)])
def test_refresh_is_not_scheduled_twice_at_once(instance: dg.DagsterInstance, status: str, expected: bool) -> None:
    instance.add_run(DagsterRun(REFRESH, status=dg.DagsterRunStatus(status)))
    assert is_scheduled(instance) == expected


@pytest.mark.parametrize("away", [timedelta(hours=1), timedelta(days=30)], ids=str)
def test_missed_ticks_are_caught_up_once(
    workspace: WorkspaceProcessContext, instance: dg.DagsterInstance, away: timedelta
) -> None:
    last_seen_at = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
    run_scheduler(workspace, last_seen_at)
    assert not instance.get_runs()
    run_scheduler(workspace, last_seen_at + away)
    missed = {"refresh", "cleanup_live_sessions", "seal", "make_partitions"}
    everything = {schedule.job_name for schedule in SCHEDULES}
    expected = everything if away > timedelta(days=1) else missed
    assert Counter(run.job_name for run in instance.get_runs()) == Counter(expected)
    run_scheduler(workspace, last_seen_at + away + timedelta(minutes=1))
    assert len(instance.get_runs()) == len(expected)


def test_runs_that_write_never_overlap(workspace: WorkspaceProcessContext, instance: dg.DagsterInstance) -> None:
    for days in (0, 1):
        run_scheduler(workspace, datetime(2026, 3, 1 + days, 4, 1, tzinfo=UTC))
    others = {schedule.job_name for schedule in SCHEDULES} - WRITING_JOBS
    [canceled] = instance.get_runs(dg.RunsFilter(job_name=REFRESH))
    assert instance.run_coordinator.cancel_run(canceled.run_id)
    began = [REFRESH]
    while writing := runs_to_start(instance) - others:
        [job_name] = writing
        [run] = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=[QUEUED]))
        for status in (dg.DagsterEventType.PIPELINE_STARTING, dg.DagsterEventType.PIPELINE_START):
            instance.report_dagster_event(dg.DagsterEvent(status.value, job_name), run.run_id)
            assert runs_to_start(instance) == others
        instance.report_run_canceling(run)
        assert runs_to_start(instance) == others
        instance.report_run_canceled(run)
        began.append(job_name)
    assert set(began) == WRITING_JOBS
    assert len(began) == len(WRITING_JOBS)


DAILY = {"seal", "expire", "make_partitions", "keep_house"}


@pytest.mark.parametrize("reason", [None, RunFailureReason.STEP_FAILURE], ids=["its process ended", "a step failed"])
def test_daily_runs_alone_are_started_anew_and_twice(
    instance: dg.DagsterInstance, reason: RunFailureReason | None
) -> None:
    tries = {}
    for schedule in SCHEDULES:
        first = run = instance.add_run(DagsterRun(schedule.job_name, status=FAILURE, tags=schedule.tags))
        tries[schedule.job_name] = 1
        while tries[schedule.job_name] < 9 and auto_reexecution_should_retry_run(instance, run, reason):
            of_the_first = {**schedule.tags, "dagster/root_run_id": first.run_id, "dagster/parent_run_id": run.run_id}
            again = DagsterRun(
                schedule.job_name,
                status=FAILURE,
                root_run_id=first.run_id,
                parent_run_id=run.run_id,
                tags=of_the_first,
            )
            run = instance.add_run(again)
            tries[schedule.job_name] += 1
    assert tries == {schedule.job_name: 3 if schedule.job_name in DAILY else 1 for schedule in SCHEDULES}


def test_runs_of_dead_processes_are_failed(
    workspace: WorkspaceProcessContext, instance: dg.DagsterInstance, dead: dict[str, str]
) -> None:
    tags = {"dead": dead, "alive": foreground_tags(), "elsewhere": {**dead, HOST_TAG: "elsewhere"}}
    runs = {name: instance.add_run(DagsterRun(REFRESH, status=STARTED, tags=its)) for name, its in tags.items()}
    list(execute_run_monitoring_iteration(workspace, LOG))
    statuses = {name: instance.get_run_by_id(run.run_id) for name, run in runs.items()}
    assert {name: run and run.status for name, run in statuses.items()} == {
        "dead": FAILURE,
        "alive": STARTED,
        "elsewhere": STARTED,
    }


def test_silent_code_server_fails_no_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    nobody = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "nobody")})}
    run = instance.add_run(DagsterRun(REFRESH, status=STARTED, tags=nobody))
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchingRunLauncher)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_a_run_opens_few_connections(instance: dg.DagsterInstance, database: psycopg.Connection) -> None:
    [(url,)] = [(instance._event_storage._engine.url,)]  # type: ignore[attr-defined]

    def opened() -> int:
        database.execute("SELECT pg_stat_clear_snapshot()")
        query = "SELECT sessions FROM pg_stat_database WHERE datname = %s"
        return int(database.execute(query, [url.database]).fetchall()[0][0])

    before = opened()
    for _ in range(50):
        instance.add_run(DagsterRun(REFRESH, status=STARTED))
    assert opened() == before


def test_all_old_finished_runs_are_forgotten(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten_runs, "RUNS_AT_ONCE", 2)
    for status in (SUCCESS, FAILURE, SUCCESS, SUCCESS, SUCCESS, STARTED):
        instance.add_run(DagsterRun(REFRESH, status=status))
    runs, now = FinishedRuns(instance), datetime.now(UTC)
    assert runs.remove(now - timedelta(days=1), dry_run=False) == Counts(0, 0)
    tomorrow = now + timedelta(days=1)
    assert runs.oldest() is not None
    assert runs.remove(tomorrow) == Counts(due=5, removed=0)
    assert runs.remove(tomorrow, dry_run=False) == Counts(5, 5)
    assert runs.oldest() is None
    assert {run.status for run in instance.get_runs()} == {STARTED}
