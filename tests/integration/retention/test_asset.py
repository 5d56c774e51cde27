"""Housekeeping as Dagster shows it, on Dagster's own tables: what it reports, what it removes there, when it fails."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import dagster as dg
import psycopg
import pytest

from footfall.dagster_home import SCHEMA, dagster_environment
from pipelines.assets.retention import housekeeping, nothing_outlives_its_rule
from pipelines.settings import Settings
from tests.integration.retention.growing import DAY, grow, leave_alone
from warehouse.aged_rows import AGED_ROWS
from warehouse.retention import RULES

# as a schedule that is no more would have left it
A_TICK = """
    INSERT INTO dagster.job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body)
    SELECT 'gone', 'gone', 'STARTED', 'SCHEDULE', (now() AT TIME ZONE 'UTC') - %s, '{}'
"""
A_CHECK = """
    INSERT INTO dagster.asset_check_executions (asset_key, check_name, run_id, execution_status, create_timestamp)
    SELECT '["rpt_totals"]', 'a check', gen_random_uuid()::text, 'SUCCEEDED', (now() AT TIME ZONE 'UTC') - %s
"""
A_RUN = "UPDATE dagster.runs SET update_timestamp = update_timestamp - %s WHERE run_id = %s"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(footfall_home=tmp_path, database_url=database_url)


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance in the test's own Postgres."""
    for name, value in dagster_environment(settings.footfall_home, settings.database_url).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as made:
        yield made


def keep(settings: Settings, instance: dg.DagsterInstance | None = None) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [housekeeping, nothing_outlives_its_rule],
        instance=instance,
        resources={"settings": settings},
        raise_on_error=False,
    )


def table(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    [event] = result.asset_materializations_for_node("housekeeping")
    records = cast("dg.TableMetadataValue", event.metadata["rules"]).records
    return {str(record.data["rule"]): dict(record.data) for record in records}


def test_dagsters_old_rows_and_files_go(
    settings: Settings, instance: dg.DagsterInstance, database: psycopg.Connection
) -> None:
    @dg.op
    def say(context: dg.OpExecutionContext) -> None:
        context.log.info("said")
        print("printed")  # noqa: T201 (it is what Dagster keeps on disk)

    @dg.job
    def saying() -> None:
        say()

    old = saying.execute_in_process(instance=instance).run_id
    young = saying.execute_in_process(instance=instance).run_id
    for age in (15 * DAY, 13 * DAY):
        database.execute(A_TICK.encode(), [age])
        database.execute(A_CHECK.encode(), [age])
    database.execute(A_RUN.encode(), [15 * DAY, old])
    written = [path for path in (settings.dagster_folder / "logs").iterdir() if old in path.name]
    assert written, "Dagster leaves what a run prints in a folder of its name"
    for path in written:
        leave_alone(path, 15 * DAY)
    found = table(keep(settings, instance))
    names = ("dagster_runs", "dagster_ticks", "dagster_checks", "dagster_files")
    assert {name: (found[name]["due"], found[name]["removed"]) for name in names} == dict.fromkeys(names, (1, 1))
    assert [run.run_id for run in instance.get_runs(dg.RunsFilter(job_name="saying"))] == [young]
    assert instance.all_logs(old) == []
    assert not any(path.exists() for path in written)
    assert any(young in path.name for path in (settings.dagster_folder / "logs").iterdir())


def test_report_has_a_line_for_each_rule(settings: Settings, database: psycopg.Connection) -> None:
    grow(database, "rejected_records", 100 * DAY, 3)
    grow(database, "rejected_records", 10 * DAY)
    result = keep(settings)
    assert result.success
    found = table(result)
    assert list(found) == [rule.name for rule in RULES]
    then = datetime.now(UTC) - timedelta(days=10)
    assert found["rejected_records"] == {
        "rule": "rejected_records",
        "kept for": "90 days",
        "due": 3,
        "removed": 3,
        "oldest left": f"{then:%Y-%m-%d %H:%M}",
    }
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]


def test_rule_that_cannot_be_obeyed_fails_the_run_after_the_others(
    settings: Settings, database: psycopg.Connection
) -> None:
    grow(database, "rejected_records", 100 * DAY)
    database.execute("UPDATE admin_settings SET setting_value = '1' WHERE setting_key = 'forget_visitors_after_days'")
    result = keep(settings)
    assert not result.success
    assert table(result)["rejected_records"]["removed"] == 1
    [failure] = [event for event in result.all_events if event.is_step_failure and event.node_name == "housekeeping"]
    data = failure.step_failure_data.user_failure_data
    assert data
    assert data.description == (
        "visitor_sessions: the setting forget_visitors_after_days is '1', not a whole number from 30 to 36500: "
        "mend it in Postgres's table admin_settings"
    )


def test_check_names_what_outlives_its_rule(settings: Settings, database: psycopg.Connection) -> None:
    grow(database, "event_ids", 11 * DAY)
    with dg.DagsterInstance.ephemeral() as instance:
        result = nothing_outlives_its_rule(dg.build_asset_check_context(instance=instance), settings)
    assert isinstance(result, dg.AssetCheckResult)
    assert not result.passed
    assert str(result.description).startswith("event_ids (kept for 8 days) go back to ")


def test_dagsters_tables_are_in_its_schema() -> None:
    assert {rows.table.partition(".")[0] for rows in AGED_ROWS.values() if "." in rows.table} == {SCHEMA}
