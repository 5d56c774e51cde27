"""The orchestration in one process: what a run does, and what it does when something is wrong."""

import os
import shutil
import time
from functools import partial
from pathlib import Path

import dagster as dg
import duckdb
import psycopg
import pytest

from footfall.dagster_home import dagster_environment
from pipelines.assets.models import IS_UNCHANGED
from pipelines.assets.publish import KEY
from pipelines.dbt_project import KEEP_UNUSED_SECONDS, LINEAGE, TRANSFORMS, parse, without_heading
from pipelines.definitions import build_defs
from pipelines.errors import ModelsUnreadable, RefreshFailed, SettingsMissing
from pipelines.jobs import REFRESH
from pipelines.launcher import PID_TAG
from pipelines.refresh import refresh_now
from pipelines.settings import Settings, load_settings
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.errors import BuildNotPassed, BuildOvertaken, TablesNotLoaded
from warehouse.publish import PublishedTable, publish
from warehouse.writer import writer_lock


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give back, after each test, the variables that the code under test makes its own."""
    for name in ("DATABASE_URL", "DAGSTER_HOME", "FOOTFALL_DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one mart, for what a run does is the same with all of them; and `dbt`, where it is parsed."""
    folder = tmp_path_factory.mktemp("small")
    transforms = folder / "transforms"
    shutil.copytree(TRANSFORMS, transforms)
    for path in [*(transforms / "models").rglob("*.*"), *(transforms / "tests").glob("*.*")]:
        if path.stem not in {"_sources", "stg_activity_events", "rpt_activity_by_day"}:
            path.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOTFALL_HOME", str(folder))
        parse(folder / "dbt", transforms)
    return folder


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(footfall_home=tmp_path, database_url=database_url)


@pytest.fixture
def transforms(small: Path, settings: Settings) -> Path:
    """A copy of the small project, parsed: that takes some seconds."""
    shutil.copytree(small, settings.footfall_home, dirs_exist_ok=True)
    return settings.footfall_home / "transforms"


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SettingsMissing, match="DATABASE_URL"):
        load_settings()


def test_project_is_parsed_anew_only_after_change(settings: Settings, transforms: Path) -> None:
    first = parse(settings.dbt_folder, transforms)
    parsed_at = (first.folder / "manifest.json").stat().st_mtime_ns
    again = parse(settings.dbt_folder, transforms).folder / "manifest.json"
    assert again.stat().st_mtime_ns == parsed_at
    (transforms / "models" / "marts" / "rpt_new.sql").write_text("select 1 as one from {{ ref('no_such_model') }}")
    with pytest.raises(ModelsUnreadable, match="no_such_model"):
        parse(settings.dbt_folder, transforms)
    assert first.folder.exists()


def test_project_parsed_by_older_footfall_is_parsed_anew(settings: Settings, transforms: Path) -> None:
    kept = parse(settings.dbt_folder, transforms).folder / LINEAGE
    lineage = kept.read_text()
    kept.unlink()
    parse(settings.dbt_folder, transforms)
    assert kept.read_text() == lineage


def test_only_long_unused_parsed_projects_are_removed(settings: Settings, transforms: Path) -> None:
    [used] = (settings.dbt_folder / "parsed").iterdir()
    unused = used.with_name("unused")
    unused.mkdir()
    long_ago = time.time() - KEEP_UNUSED_SECONDS - 60
    for folder in (used, unused):
        os.utime(folder, (long_ago, long_ago))
    assert parse(settings.dbt_folder, transforms).folder == used
    (transforms / "models" / "marts" / "rpt_activity_by_day.yml").unlink()
    changed = parse(settings.dbt_folder, transforms).folder
    assert set(used.parent.iterdir()) == {used, changed}


def test_refresh_moves_rows_once_and_is_recorded(
    settings: Settings, transforms: Path, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.refresh.build_defs", partial(build_defs, transforms=transforms))
    database.execute("INSERT INTO activity_events (event_type) VALUES ('login'), ('signup')")
    tables_in_public = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    before = database.execute(tables_in_public).fetchone()
    environment = dagster_environment(settings.footfall_home, settings.database_url)

    summary = refresh_now(environment)

    assert summary.loaded_row_counts["activity_events"] == 2
    assert summary.published_row_counts == {"rpt_activity_by_day": 1}
    again = refresh_now(environment)
    assert again.loaded_row_counts["activity_events"] == 0
    runs = database.execute("SELECT status FROM dagster.runs WHERE pipeline_name = 'refresh'").fetchall()
    assert runs == [("SUCCESS",), ("SUCCESS",)]
    tags = database.execute("SELECT value FROM dagster.run_tags WHERE key = %s", [PID_TAG]).fetchall()
    assert tags == [(str(os.getpid()),)] * 2
    assert database.execute(tables_in_public).fetchone() == before
    # with another configuration, DuckDB refuses while this process still has the file open
    with duckdb.connect(str(settings.warehouse_path), read_only=True, config={"threads": 1}) as connection:
        assert connection.sql("SELECT count(*) FROM raw.activity_events").fetchall() == [(2,)]
        assert connection.sql("SELECT build_id FROM meta.builds WHERE passed_at > begun_at").fetchall() == [
            (again.run_id,)
        ]


def test_only_what_new_rows_reach_is_built_and_checked(
    settings: Settings, transforms: Path, database: psycopg.Connection
) -> None:
    job = build_defs(settings, transforms).resolve_job_def(REFRESH)
    mart, view = dg.AssetKey("rpt_activity_by_day"), dg.AssetKey("stg_activity_events")
    with dg.DagsterInstance.ephemeral() as instance:

        def unchanged() -> tuple[list[bool], set[bool]]:
            result = job.execute_in_process(instance=instance)
            models = result.asset_materializations_for_node("models")
            told = {made.asset_key: IS_UNCHANGED in made.metadata for made in models}
            # unchanged ones too: else their plot would have holes
            assert all("dagster/row_count" in made.metadata for made in models)
            evaluations = result.get_asset_check_evaluations()
            assert all(evaluation.passed for evaluation in evaluations)
            # the others ask how old things are, of which nothing is known before
            of_models = [evaluation for evaluation in evaluations if evaluation.asset_key in told]
            return [told[mart], told[view]], {IS_UNCHANGED in evaluation.metadata for evaluation in of_models}

        assert unchanged() == ([False, False], {False})
        assert unchanged() == ([True, True], {True})
        database.execute("INSERT INTO users (id, name, user_type) VALUES (1, 'Ann', 'student')")
        assert unchanged() == ([True, True], {True})
        database.execute("INSERT INTO activity_events (event_type) VALUES ('login')")
        assert unchanged() == ([False, False], {False})
        with open_warehouse(settings.warehouse_path) as warehouse:
            warehouse.execute(
                "DROP TABLE marts.rpt_activity_by_day; CREATE TABLE marts.rpt_of_before AS SELECT 1 AS one"
            )
        assert unchanged() == ([False, False], {False})
    with duckdb.connect(str(settings.published_path), read_only=True) as published:
        assert published.sql("SELECT login_count FROM marts.rpt_activity_by_day").fetchall() == [(1,)]
        # what no model makes is not published
        assert published.sql("SELECT table_name FROM meta.refresh_tables").fetchall() == [("rpt_activity_by_day",)]


def test_each_step_gives_the_numbers_to_plot(
    settings: Settings, transforms: Path, database: psycopg.Connection
) -> None:
    database.execute("INSERT INTO activity_events (event_type) VALUES ('login')")
    with dg.DagsterInstance.ephemeral() as instance:
        result = build_defs(settings, transforms).resolve_job_def(REFRESH).execute_in_process(instance=instance)
    numbers = {
        event.materialization.asset_key.to_user_string(): {
            name for name, value in event.materialization.metadata.items() if isinstance(value.value, int | float)
        }
        for event in result.get_asset_materialization_events()
    }
    common = {"dagster/row_count", "duration_seconds"}
    of_load = {*common, "loaded_row_count", "deleted_row_count", "loaded_byte_count"}
    assert numbers["raw/users"] == of_load
    assert numbers["raw/activity_events"] == {*of_load, "late_row_count"}
    assert numbers["rpt_activity_by_day"] == common
    assert numbers["published/analytics"] == {*common, "file_byte_count", "newest_event_age_seconds"}


def test_models_are_not_built_of_tables_never_loaded(settings: Settings, transforms: Path) -> None:
    job = build_defs(settings, transforms).resolve_job_def(REFRESH)
    models = [dg.AssetKey("rpt_activity_by_day"), dg.AssetKey("stg_activity_events")]
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance).success
        with open_warehouse(settings.warehouse_path) as warehouse:
            warehouse.execute("DELETE FROM meta.load_cursors WHERE table_name IN ('subscriptions', 'users')")
        with pytest.raises(TablesNotLoaded, match="subscriptions, users are not loaded yet: run `footfall refresh`"):
            job.execute_in_process(instance=instance, asset_selection=models)


def test_run_publishes_only_its_own_build(settings: Settings, transforms: Path) -> None:
    with open_warehouse(settings.warehouse_path) as warehouse:
        warehouse.execute("CREATE SCHEMA marts; CREATE TABLE marts.rpt_activity_by_day AS SELECT 1 AS one")
    begin_build(settings.warehouse_path, "another")
    finish_build(settings.warehouse_path, "another")
    job = build_defs(settings, transforms).resolve_job_def(REFRESH)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(BuildOvertaken, match="run another has built them since"),
    ):
        job.execute_in_process(instance=instance, asset_selection=[KEY])
    assert not settings.published_path.exists()


def test_overtaken_refresh_in_foreground_runs_once_more(
    settings: Settings, transforms: Path, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken_once(path: Path, published_path: Path, *, build_id: str, wait_seconds: float) -> list[PublishedTable]:
        monkeypatch.setattr("pipelines.assets.publish.publish", publish)
        begin_build(path, "another")
        finish_build(path, "another")
        return publish(path, published_path, build_id=build_id, wait_seconds=wait_seconds)

    monkeypatch.setattr("pipelines.refresh.build_defs", partial(build_defs, transforms=transforms))
    monkeypatch.setattr("pipelines.assets.publish.publish", overtaken_once)
    summary = refresh_now(dagster_environment(settings.footfall_home, settings.database_url))
    assert summary.published_row_counts == {"rpt_activity_by_day": 0}
    runs = database.execute("SELECT status FROM dagster.runs ORDER BY id").fetchall()
    assert runs == [("FAILURE",), ("SUCCESS",)]


def test_refresh_beside_other_writer_names_it(
    settings: Settings, transforms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.refresh.build_defs", partial(build_defs, transforms=transforms))
    monkeypatch.setattr("pipelines.assets.load.WRITER_WAIT_SECONDS", 0.1)
    environment = dagster_environment(settings.footfall_home, settings.database_url)
    with (
        writer_lock(settings.warehouse_path, purpose="hold it"),
        pytest.raises(RefreshFailed, match=r"failed at load: another process writes .*\(hold it\)"),
    ):
        refresh_now(environment)


def test_failing_check_keeps_the_old_published_file(settings: Settings, transforms: Path) -> None:
    test = transforms / "tests" / "assert_nobody_counts.sql"
    test.write_text("select count(*) from {{ ref('rpt_activity_by_day') }}")
    settings.published_path.parent.mkdir()
    duckdb.connect(str(settings.published_path)).close()
    old_file = settings.published_path.read_bytes()

    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(settings, transforms).resolve_job_def(REFRESH)
        result = job.execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    [failed] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failed.user_failure_data is not None
    assert "test assert_nobody_counts: Got" in (failed.user_failure_data.description or "")
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert [name for name, passed in checks.items() if not passed] == ["assert_nobody_counts"]
    assert settings.published_path.read_bytes() == old_file
    with pytest.raises(BuildNotPassed):
        publish(settings.warehouse_path, settings.published_path)


def test_dbt_message_is_one_line_without_heading() -> None:
    message = "Runtime Error in model rpt_x (models/marts/rpt_x.sql)\n  Binder Error: no column\n  LINE 1: select"
    assert without_heading(message) == "Binder Error: no column LINE 1: select"


def test_damaged_days_are_rebuilt_and_no_others(
    settings: Settings, transforms: Path, database: psycopg.Connection
) -> None:
    database.execute(
        "INSERT INTO activity_events (event_type, created_at) "
        "SELECT 'login', now() - n * interval '1 day' FROM generate_series(1, 8) AS days (n), generate_series(1, n)"
    )
    definitions = build_defs(settings, transforms)
    mart = "FROM marts.rpt_activity_by_day ORDER BY activity_date"
    with dg.DagsterInstance.ephemeral() as instance:
        assert definitions.resolve_job_def(REFRESH).execute_in_process(instance=instance).success
        with open_warehouse(settings.warehouse_path) as warehouse:
            good = warehouse.sql(mart).fetchall()
            warehouse.execute("UPDATE marts.rpt_activity_by_day SET login_count = -1")
        first_day, last_day = good[2][0], good[4][0]
        chosen = {
            "dagster/asset_partition_range_start": str(first_day),
            "dagster/asset_partition_range_end": str(last_day),
        }
        result = definitions.resolve_job_def("rebuild_days").execute_in_process(instance=instance, tags=chosen)
        rebuilt = {made.asset_key.to_user_string() for made in result.asset_materializations_for_node("rebuilt_days")}
        assert rebuilt >= {"rpt_activity_by_day", "published/analytics", "rebuilt_days"}
    expected = [row if first_day <= row[0] <= last_day else (row[0], -1, row[2]) for row in good]
    with duckdb.connect(str(settings.published_path), read_only=True) as published:
        assert published.sql(mart).fetchall() == expected
