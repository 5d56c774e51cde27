"""The orchestration in one process: the graph that operators read, and what a run does when something is wrong."""

import os
import shutil
import time
from functools import partial
from pathlib import Path

import dagster as dg
import duckdb
import psycopg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from footfall.dagster_home import dagster_environment
from pipelines.assets.models import IS_UNCHANGED
from pipelines.assets.publish import KEY
from pipelines.dbt_project import KEEP_UNUSED_SECONDS, TRANSFORMS, parse, without_heading
from pipelines.definitions import build_defs
from pipelines.errors import ModelsUnreadable, RefreshFailed, SettingsMissing
from pipelines.jobs import JOBS, REFRESH, SCHEDULES
from pipelines.orphans import PID_TAG
from pipelines.refresh import refresh_now
from pipelines.settings import Settings, load_settings
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.errors import BuildNotPassed, BuildOvertaken, TablesNotLoaded
from warehouse.publish import PublishedTable, publish
from warehouse.tables import TABLES
from warehouse.writer import writer_lock


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give back, after each test, the variables that the code under test makes its own."""
    for name in ("DATABASE_URL", "DAGSTER_HOME", "FOOTFALL_DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """All there is; nothing of it is run."""
    home = tmp_path_factory.mktemp("all")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "FOOTFALL_HOME"):
            patch.setenv(name, "")
        return build_defs(Settings(footfall_home=home, database_url="postgresql://nobody@/none"))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


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


def test_every_asset_is_described_grouped_and_owned(graph: AssetGraph) -> None:
    nodes = list(graph.asset_nodes)
    assert len(nodes) > 2 * len(TABLES)
    assert {node.group_name for node in nodes} >= {"postgres", "raw", "staging", "marts", "published", "retention"}
    assert [node.key for node in nodes if not (node.description and node.owners and node.kinds)] == []


def test_each_raw_table_comes_from_its_postgres_table(graph: AssetGraph) -> None:
    for table in TABLES:
        assert graph.get(dg.AssetKey(["raw", table.name])).parent_keys == {dg.AssetKey(["postgres", table.name])}
        assert not graph.get(dg.AssetKey(["postgres", table.name])).is_materializable


def test_published_file_waits_for_every_mart(graph: AssetGraph) -> None:
    marts = {node.key for node in graph.asset_nodes if node.group_name == "marts"}
    assert marts
    assert graph.get(dg.AssetKey(["published", "analytics"])).parent_keys == marts


def test_every_dbt_test_is_a_described_check(graph: AssetGraph) -> None:
    keys = graph.asset_check_keys
    singular = {path.stem for path in (TRANSFORMS / "tests").glob("assert_*.sql")}
    assert singular
    assert singular <= {key.name for key in keys}
    assert [key for key in keys if not graph.get_check_spec(key).description] == []


def test_jobs_and_schedules_say_what_they_do() -> None:
    assert {schedule.job_name for schedule in SCHEDULES} == {job.name for job in JOBS}
    assert all(part.description for part in (*JOBS, *SCHEDULES))
    assert {schedule.default_status for schedule in SCHEDULES} == {dg.DefaultScheduleStatus.RUNNING}


def test_all_definitions_load_as_the_web_server_loads_them(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    repository.load_all_definitions()
    assert {job.name for job in JOBS} <= set(repository.job_names)


def test_all_who_write_the_warehouse_share_a_pool(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(REFRESH)
    assert {node.name: node.definition.pool for node in job.nodes if isinstance(node.definition, dg.OpDefinition)} == {
        "load": "warehouse",
        "models": "warehouse",
        "published__analytics": "warehouse",
        # it reads Postgres alone
        "expired_days_nothing_is_overdue": None,
        "housekeeping_nothing_outlives_its_rule": None,
    }


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
