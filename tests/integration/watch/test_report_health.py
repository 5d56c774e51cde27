"""What Dagster reports of its own health: failed jobs and checks, stale assets, runs that take too long."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.dagster_run import DagsterRun

from pipelines import sensors
from pipelines.jobs import EACH_FIVE_MINUTES, JOBS, REFRESH, SCHEDULES
from pipelines.report import FailedCheck, Report, read_report, report_path
from pipelines.sensors import MOST_TRIES, TRIED_AGAIN, report_health
from pipelines.settings import Settings

FAILURE, SUCCESS, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED


@dg.asset(freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=20)))
def mart() -> None:
    """A table."""


@dg.asset_check(asset=mart)
def warns(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    is_bad = context.run.tags.get("bad")
    return dg.AssetCheckResult(passed=not is_bad, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=mart)
def blocks(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not context.run.tags.get("bad"))


@dataclass
class Dagster:
    """A small Dagster with its sensor, which remembers its cursor as the daemon does."""

    instance: dg.DagsterInstance
    settings: Settings
    cursor: str | None = None
    definitions: dg.Definitions = field(
        default_factory=lambda: dg.Definitions(assets=[mart], asset_checks=[warns, blocks])
    )

    def report(self) -> Report:
        repository = self.definitions.get_repository_def()
        with dg.build_sensor_context(
            self.instance, self.cursor, repository_def=repository, resources={"settings": self.settings}
        ) as context:
            report_health(context)
            self.cursor = context.cursor
        found = read_report(self.settings.footfall_home)
        assert found
        return found

    def run(self, *, checks: dg.AssetSelection | None = None, bad: bool = False) -> None:
        job = dg.define_asset_job("checking", selection=checks or dg.AssetSelection.all())
        definitions = dg.Definitions(assets=[mart], asset_checks=[warns, blocks], jobs=[job])
        tags = {"bad": "yes"} if bad else {}
        definitions.resolve_job_def("checking").execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        )


@pytest.fixture(scope="module")
def one_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def dagster(one_instance: dg.DagsterInstance, tmp_path: Path) -> Dagster:
    one_instance.wipe()
    return Dagster(one_instance, Settings(footfall_home=tmp_path, database_url="postgresql://nobody@/none"))


def names(found: tuple[FailedCheck, ...]) -> list[tuple[str, bool]]:
    return [(one.name, one.is_blocking) for one in found]


def test_healthy_dagster_reports_nothing_wrong(dagster: Dagster) -> None:
    before = datetime.now(UTC)
    dagster.run()
    report = dagster.report()
    assert report == Report(report.written_at)
    assert before < report.written_at < datetime.now(UTC)
    assert str(report) == "all is well"


def test_job_fails_until_it_goes_well_again(dagster: Dagster) -> None:
    for status in (FAILURE, SUCCESS, FAILURE, FAILURE):
        run = dagster.instance.add_run(DagsterRun(REFRESH, status=status))
    dagster.instance.add_run(DagsterRun("seal", status=SUCCESS))
    [failed] = dagster.report().failed_runs
    assert (failed.job, failed.run_id, failed.failure_count) == (REFRESH, run.run_id, 2)
    dagster.instance.add_run(DagsterRun(REFRESH, status=dg.DagsterRunStatus.CANCELED))
    assert len(dagster.report().failed_runs) == 1
    dagster.instance.add_run(DagsterRun(REFRESH, status=SUCCESS))
    assert dagster.report().failed_runs == ()


@pytest.mark.parametrize("job", sorted(EACH_FIVE_MINUTES))
def test_one_failure_of_what_comes_again_soon_is_none(dagster: Dagster, job: str) -> None:
    assert job in {schedule.job_name for schedule in SCHEDULES if schedule.cron_schedule == "*/5 * * * *"}
    dagster.instance.add_run(DagsterRun(job, status=SUCCESS))
    dagster.instance.add_run(DagsterRun(job, status=FAILURE))
    assert dagster.report().failed_runs == ()
    dagster.instance.add_run(DagsterRun(job, status=FAILURE))
    assert [failed.failure_count for failed in dagster.report().failed_runs] == [2]


def test_run_that_is_tried_again_is_no_failure_yet(dagster: Dagster) -> None:
    dagster.instance.add_run(DagsterRun("seal", status=SUCCESS))
    for _ in range(MOST_TRIES - 1):
        dagster.instance.add_run(DagsterRun("seal", status=FAILURE, tags={TRIED_AGAIN: "true"}))
        assert dagster.report().failed_runs == ()
    dagster.instance.add_run(DagsterRun("seal", status=FAILURE, tags={TRIED_AGAIN: "false"}))
    assert [failed.failure_count for failed in dagster.report().failed_runs] == [MOST_TRIES]
    # nor does it make good what failed before
    dagster.instance.add_run(DagsterRun("seal", status=FAILURE, tags={TRIED_AGAIN: "true"}))
    assert len(dagster.report().failed_runs) == 1


def test_checks_fail_until_they_are_evaluated_well(dagster: Dagster) -> None:
    dagster.report()
    dagster.run(bad=True)
    assert names(dagster.report().failed_checks) == [("mart:blocks", True), ("mart:warns", False)]
    assert len(dagster.report().failed_checks) == 2
    dagster.run(checks=dg.AssetSelection.checks(warns))
    assert names(dagster.report().failed_checks) == [("mart:blocks", True)]
    dagster.run()
    assert dagster.report().failed_checks == ()


@pytest.mark.parametrize("left", ["a report but no cursor", "a cursor but no report"])
def test_checks_are_found_where_nothing_is_remembered(dagster: Dagster, left: str) -> None:
    dagster.run()
    dagster.run(bad=True)
    dagster.report()
    if left == "a cursor but no report":
        report_path(dagster.settings.footfall_home).write_text("half of i")
    else:
        dagster.cursor = None
    assert len(dagster.report().failed_checks) == 2


def test_checks_that_are_no_more_are_forgotten(dagster: Dagster) -> None:
    dagster.run(bad=True)
    assert len(dagster.report().failed_checks) == 2
    dagster.definitions = dg.Definitions(assets=[mart], asset_checks=[warns])
    assert names(dagster.report().failed_checks) == [("mart:warns", False)]


def test_stale_assets_are_reported(dagster: Dagster) -> None:
    for state, count in [(FreshnessState.FAIL, 1), (FreshnessState.WARN, 0)]:
        change = FreshnessStateChange(
            key=mart.key,
            previous_state=FreshnessState.UNKNOWN,
            new_state=state,
            state_change_timestamp=datetime.now(UTC).timestamp(),
        )
        event = DagsterEvent(
            event_type_value=DagsterEventType.FRESHNESS_STATE_CHANGE.value, job_name="", event_specific_data=change
        )
        dagster.instance.report_dagster_event(event, run_id="")
        assert len(dagster.report().stale_assets) == count


def test_run_that_takes_far_too_long_is_reported(dagster: Dagster, monkeypatch: pytest.MonkeyPatch) -> None:
    run = dagster.instance.add_run(DagsterRun(REFRESH, status=STARTED))
    assert dagster.report().long_runs == ()
    monkeypatch.setattr(sensors, "LONG_SECONDS", 0.0)
    [long] = dagster.report().long_runs
    assert (long.job, long.run_id, long.usual_seconds) == (REFRESH, run.run_id, 0.0)


def test_every_job_is_watched() -> None:
    assert REFRESH in {job.name for job in JOBS}
    assert report_health.default_status == dg.DefaultSensorStatus.RUNNING
    assert report_health.minimum_interval_seconds == 60
    assert report_health.description
