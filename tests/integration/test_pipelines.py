"""The orchestration in one process: the graph that operators read, and what a run does when something is wrong."""

import shutil
from pathlib import Path

import dagster as dg
import duckdb
import psycopg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from sqlalchemy import make_url

from footfall.dagster_home import dagster_environment, storage_url
from pipelines.dbt_project import TRANSFORMS, one_line, parse
from pipelines.definitions import build_defs
from pipelines.errors import ModelsUnreadable, RefreshFailed, SettingsMissing
from pipelines.jobs import JOBS, REFRESH, SCHEDULES, refresh_schedule
from pipelines.orphans import fail_orphaned_runs
from pipelines.refresh import refresh_now
from pipelines.settings import Settings, load_settings
from warehouse.tables import TABLES
from warehouse.writer import writer_lock


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give back, after each test, the variables that the code under test makes its own."""
    for name in ("DATABASE_URL", "DAGSTER_HOME", "FOOTFALL_DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt folder in which the project is parsed already, to copy from: parsing takes some seconds."""
    folder = tmp_path_factory.mktemp("parsed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOTFALL_HOME", str(folder))
        parse(folder)
    return folder


@pytest.fixture
def settings(database_url: str, tmp_path: Path, parsed: Path) -> Settings:
    shutil.copytree(parsed, tmp_path / "dbt")
    return Settings(footfall_home=tmp_path, database_url=database_url)


@pytest.fixture
def graph(settings: Settings) -> AssetGraph:
    return build_defs(settings).resolve_asset_graph()


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


@pytest.mark.parametrize(
    ("status", "expected"), [("STARTED", dg.SkipReason), ("STARTING", dg.SkipReason), ("FAILURE", dg.RunRequest)]
)
def test_refresh_is_not_scheduled_twice_at_once(tmp_path: Path, status: str, expected: type) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_run(dg.DagsterRun(job_name=REFRESH, status=dg.DagsterRunStatus(status)))
        with dg.build_schedule_context(instance=instance) as context:
            assert isinstance(refresh_schedule(context), expected)


def test_all_who_write_the_warehouse_share_a_pool(settings: Settings) -> None:
    job = build_defs(settings).resolve_job_def(REFRESH)
    assert {node.name: node.definition.pool for node in job.nodes if isinstance(node.definition, dg.OpDefinition)} == {
        "load": "warehouse",
        "models": "warehouse",
        "published__analytics": "warehouse",
    }


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SettingsMissing, match="DATABASE_URL"):
        load_settings()


def test_project_is_parsed_anew_only_after_change(settings: Settings, tmp_path: Path) -> None:
    transforms = tmp_path / "transforms"
    shutil.copytree(TRANSFORMS, transforms)
    first = parse(settings.dbt_folder, transforms)
    parsed_at = first.folder.stat().st_mtime_ns
    assert parse(settings.dbt_folder, transforms).folder.stat().st_mtime_ns == parsed_at
    (transforms / "models" / "marts" / "rpt_new.sql").write_text("select 1 as one from {{ ref('no_such_model') }}")
    with pytest.raises(ModelsUnreadable, match="no_such_model"):
        parse(settings.dbt_folder, transforms)
    assert first.folder.exists()


def test_refresh_moves_rows_once_and_is_recorded(settings: Settings, database: psycopg.Connection) -> None:
    database.execute("INSERT INTO activity_events (event_type) VALUES ('login'), ('signup')")
    tables_in_public = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    before = database.execute(tables_in_public).fetchone()
    environment = dagster_environment(settings.footfall_home, settings.database_url)

    summary = refresh_now(environment)

    assert summary.loaded_row_counts["activity_events"] == 2
    assert summary.published_row_counts["rpt_activity_by_day"] == summary.model_row_counts["rpt_activity_by_day"] == 1
    assert refresh_now(environment).loaded_row_counts["activity_events"] == 0
    runs = database.execute("SELECT status FROM dagster.runs WHERE pipeline_name = 'refresh'").fetchall()
    assert runs == [("SUCCESS",), ("SUCCESS",)]
    assert database.execute(tables_in_public).fetchone() == before
    # with another configuration, DuckDB refuses while this process still has the file open
    with duckdb.connect(str(settings.warehouse_path), read_only=True, config={"threads": 1}) as connection:
        assert connection.sql("SELECT count(*) FROM raw.activity_events").fetchall() == [(2,)]


def test_refresh_beside_other_writer_names_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.assets.load.WRITER_WAIT_SECONDS", 0.1)
    environment = dagster_environment(settings.footfall_home, settings.database_url)
    with (
        writer_lock(settings.warehouse_path, purpose="hold it"),
        pytest.raises(RefreshFailed, match=r"failed at load: another process writes .*\(hold it\)"),
    ):
        refresh_now(environment)


def test_failing_check_keeps_the_old_published_file(settings: Settings, tmp_path: Path) -> None:
    transforms = tmp_path / "transforms"
    shutil.copytree(TRANSFORMS, transforms)
    test = transforms / "tests" / "assert_nobody_counts.sql"
    test.write_text("select * from {{ ref('stg_admin_settings') }}")
    settings.published_path.parent.mkdir()
    settings.published_path.write_text("the old file")

    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(settings, transforms).resolve_job_def(REFRESH)
        result = job.execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    [failed] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failed.user_failure_data is not None
    assert "test assert_nobody_counts: Got" in (failed.user_failure_data.description or "")
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert [name for name, passed in checks.items() if not passed] == ["assert_nobody_counts"]
    assert settings.published_path.read_text() == "the old file"


def test_dagster_home_holds_no_password(tmp_path: Path, settings: Settings) -> None:
    url = make_url(settings.database_url)
    secret = url.update_query_dict({"application_name": "s3cret"}).render_as_string(hide_password=False)
    environment = dagster_environment(tmp_path, secret)
    assert "s3cret" in environment["FOOTFALL_DAGSTER_DATABASE_URL"]
    assert "s3cret" not in (tmp_path / "dagster" / "dagster.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://postgres@/f?host=/tmp/x", "postgresql+psycopg2://postgres@/f?host=%2Ftmp%2Fx&options={}"),
        ("postgresql://u:p%40ss@db:5433/f", "postgresql+psycopg2://u:p%40ss@db:5433/f?options={}"),
        ("postgres://u@db/f?sslmode=require", "postgresql+psycopg2://u@db/f?options={}&sslmode=require"),
        ("postgresql://u@db/f?options=-cx%3D1", "postgresql+psycopg2://u@db/f?options=-cx%3D1+{}"),
    ],
)
def test_storage_url_sees_only_dagsters_schema(given: str, expected: str) -> None:
    assert storage_url(given) == expected.format("-csearch_path%3Ddagster")


def test_dbt_message_is_one_line_without_heading() -> None:
    message = "Runtime Error in model rpt_x (models/marts/rpt_x.sql)\n  Binder Error: no column\n  LINE 1: select"
    assert one_line(message) == "Binder Error: no column LINE 1: select"


def test_orphaned_runs_are_failed_but_not_foreground_ones(settings: Settings) -> None:
    environment = dagster_environment(settings.footfall_home, settings.database_url)
    fail_orphaned_runs(environment)
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="pipelines.definitions"))
    origin = RemoteRepositoryOrigin(code, "__repository__").get_job_origin(REFRESH)
    started = dg.DagsterRunStatus.STARTED
    with dg.DagsterInstance.from_config(str(settings.dagster_folder)) as instance:
        launched = instance.add_run(DagsterRun(REFRESH, status=started, remote_job_origin=origin))
        foreground = instance.add_run(DagsterRun(REFRESH, status=started))
        assert fail_orphaned_runs(environment) == 1
        statuses = [instance.get_run_by_id(run.run_id) for run in (launched, foreground)]
    assert [run and run.status for run in statuses] == [dg.DagsterRunStatus.FAILURE, started]
