"""Runs as Dagster records them: not twice at once, not for ever under way, not kept for ever."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from footfall.dagster_home import dagster_environment
from pipelines import forgotten_runs
from pipelines.forgotten_runs import FinishedRuns
from pipelines.jobs import REFRESH, refresh_schedule
from pipelines.orphans import HOST_TAG, PID_TAG, fail_orphaned_runs, foreground_tags
from warehouse.aged_rows import Counts

STARTED, FAILURE, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@pytest.fixture(scope="module")
def dead() -> dict[str, str]:
    """The tags of a run in the foreground whose process is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return {PID_TAG: str(process.pid), HOST_TAG: socket.gethostname()}


@pytest.fixture(scope="module")
def one_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def instance(one_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    one_instance.wipe()
    return one_instance


def is_scheduled(instance: dg.DagsterInstance) -> bool:
    with dg.build_schedule_context(instance=instance) as context:
        return isinstance(refresh_schedule(context), dg.RunRequest)


@pytest.mark.parametrize(("status", "expected"), [("STARTED", False), ("STARTING", False), ("FAILURE", True)])
def test_refresh_is_not_scheduled_twice_at_once(instance: dg.DagsterInstance, status: str, expected: bool) -> None:
    instance.add_run(DagsterRun(REFRESH, status=dg.DagsterRunStatus(status)))
    assert is_scheduled(instance) == expected


@pytest.mark.parametrize(("host", "expected"), [(socket.gethostname(), True), ("elsewhere", False)])
def test_killed_foreground_refresh_blocks_no_schedule(
    instance: dg.DagsterInstance, dead: dict[str, str], host: str, expected: bool
) -> None:
    killed = instance.add_run(DagsterRun(REFRESH, status=STARTED, tags={**dead, HOST_TAG: host}))
    assert is_scheduled(instance) == expected
    run = instance.get_run_by_id(killed.run_id)
    assert run
    assert run.status == (FAILURE if expected else STARTED)


def test_living_foreground_refresh_holds_the_schedule(instance: dg.DagsterInstance) -> None:
    instance.add_run(DagsterRun(REFRESH, status=STARTED, tags=foreground_tags()))
    assert not is_scheduled(instance)


def test_orphaned_runs_are_failed_but_not_living_ones(
    tmp_path: Path, database_url: str, dead: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FOOTFALL_HOME", "DATABASE_URL", "DAGSTER_HOME", "FOOTFALL_DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, "")  # given back after the test, for the code under test makes them its own
    environment = dagster_environment(tmp_path, database_url)
    fail_orphaned_runs(environment)
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="pipelines.definitions"))
    origin = RemoteRepositoryOrigin(code, "__repository__").get_job_origin(REFRESH)
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        launched = instance.add_run(DagsterRun(REFRESH, status=STARTED, remote_job_origin=origin))
        living = instance.add_run(DagsterRun(REFRESH, status=STARTED, tags=foreground_tags()))
        killed = instance.add_run(DagsterRun(REFRESH, status=STARTED, tags=dead))
        assert fail_orphaned_runs(environment) == 2
        statuses = [instance.get_run_by_id(run.run_id) for run in (launched, living, killed)]
    assert [run and run.status for run in statuses] == [FAILURE, STARTED, FAILURE]


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
