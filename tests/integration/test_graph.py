"""What the UI tells of each asset without anything being run: what it is, where it is defined, of what it is made."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode

from pipelines.columns import OF_NO_COLUMN
from pipelines.dbt_project import TRANSFORMS
from pipelines.definitions import build_defs
from pipelines.jobs import JOBS, REFRESH, SCHEDULES
from pipelines.lineage import column_lineage
from pipelines.sensors import MOST_TRIES
from pipelines.settings import Settings
from warehouse.tables import TABLES

GROUPS = {"postgres", "raw", "staging", "intermediate", "marts", "published", "retention"}
BY_HAND_ALONE = {"rebuilt_days"}
# what is done to Postgres, files or tables of others, and is no table itself
WITHOUT_COLUMNS = {"expired_days", "expired_live_sessions", "event_partitions", "housekeeping", *BY_HAND_ALONE}
Columns = dict[str, list[tuple[dg.AssetKey, str]]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "FOOTFALL_HOME", "FOOTFALL_ARCHIVE"):
            patch.setenv(name, "")
        yield tmp_path_factory.mktemp("graph")


@pytest.fixture(scope="module")
def definitions(home: Path, give_models: Callable[[Path], None]) -> dg.Definitions:
    give_models(home)
    return build_defs(Settings(footfall_home=home, database_url="postgresql://nobody@/none"))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


def lineage_of(node: BaseAssetNode) -> Columns:
    lineage = node.metadata.get("dagster/column_lineage")
    return {
        column: [(dep.asset_key, dep.column_name) for dep in deps]
        for column, deps in (lineage.deps_by_column if lineage else {}).items()
    }


def test_groups_are_the_stages_of_the_path(graph: AssetGraph) -> None:
    assert {node.group_name for node in graph.asset_nodes} == GROUPS


def test_every_asset_says_what_it_is(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        assert (node.description or "").rstrip().endswith("."), node.key
        assert node.owners, node.key
        assert node.kinds, node.key


def test_every_asset_links_to_its_definition(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        [reference] = node.metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text().splitlines()
        name = node.key.path[-1]
        # a model is a file of its own, all others are declared where the link leads
        declaration = "".join(lines[reference.line_number - 1 :][:25])
        assert Path(reference.file_path).stem == name or name in declaration or "KEY" in declaration, node.key


def test_every_table_tells_its_columns(graph: AssetGraph) -> None:
    found = {node.key: node.metadata.get("dagster/column_schema") for node in graph.asset_nodes}
    assert {key.to_user_string() for key, schema in found.items() if not schema} == WITHOUT_COLUMNS
    columns = [(key, column) for key, schema in found.items() for column in (schema.columns if schema else ())]
    assert [(key, column.name) for key, column in columns if not (column.type and column.description)] == []
    required = {column.name for key, column in columns if key.path[0] == "raw" and not column.constraints.nullable}
    assert {"id", "received_at", "xid"} <= required


def test_every_column_of_a_mart_leads_back_to_postgres(graph: AssetGraph) -> None:
    def ends(key: dg.AssetKey, column: str) -> set[tuple[dg.AssetKey, str]]:
        made_of = lineage_of(graph.get(key)).get(column, [])
        return {end for parent, name in made_of for end in ends(parent, name)} or {(key, column)}

    told = {
        (node.key, column.name): column.description
        for node in graph.asset_nodes
        for column in getattr(node.metadata.get("dagster/column_schema"), "columns", ())
    }
    marts = [name for name in told if graph.get(name[0]).group_name == "marts"]
    origins = [end for name in marts for end in ends(*name)]
    assert len(origins) > len(marts) > 100
    assert [end for end in origins if end[0].path[0] != "postgres" and OF_NO_COLUMN not in told[end]] == []
    assert {name for key, name in origins if key.path[0] == "postgres"} >= {"created_at", "user_id", "app_name"}


def test_each_stage_may_grow_only_so_old(graph: AssetGraph) -> None:
    def fail_after(node: BaseAssetNode) -> timedelta | None:
        policy = node.freshness_policy_or_from_metadata
        return policy.fail_window.to_timedelta() if policy else None  # type: ignore[attr-defined]

    for node in graph.asset_nodes:
        if node.group_name == "postgres" or node.key.path[-1] in BY_HAND_ALONE:
            assert fail_after(node) is None, node.key
        elif node.group_name == "retention":
            assert fail_after(node) in {timedelta(minutes=15), timedelta(hours=50)}, node.key
        else:
            assert fail_after(node) == timedelta(minutes=20), node.key


def test_load_alone_has_retries_of_its_own(definitions: dg.Definitions) -> None:
    assert definitions.assets
    found = [asset for asset in definitions.assets if isinstance(asset, dg.AssetsDefinition)]
    steps = [asset.op for asset in found if isinstance(asset.node_def, dg.OpDefinition)]
    assert {op.name: op.retry_policy.max_retries for op in steps if op.retry_policy} == {"load": 2}


def test_retries_of_steps_and_runs_never_multiply(definitions: dg.Definitions) -> None:
    for schedule in SCHEDULES:
        job = definitions.resolve_job_def(schedule.job_name)
        of_steps = max((node.retry_policy.max_retries for node in job.nodes if node.retry_policy), default=0)
        of_runs = int(schedule.tags.get("dagster/max_retries", 0))
        assert 0 in {of_steps, of_runs}, schedule.job_name
        assert of_steps + of_runs < MOST_TRIES


def test_count_of_rows_is_drawn_from_the_key() -> None:
    source = {"name": "visits", "source_name": "raw", "schema": "sources", "database": "w", "columns": {}}
    source["columns"] = {name: {"data_type": "BIGINT"} for name in ("id", "size")}
    model = {"name": "rpt", "schema": "marts", "database": "w", "columns": {}}
    manifest = {"sources": {"s": source}, "nodes": {"m": model, "broken": {**model, "name": "no"}}}
    sql = "with v as (select * from w.sources.visits) select count(*) as visits, sum(size) as bytes, 1 as one from v"
    assert column_lineage(manifest, {"m": sql, "broken": "selec !"}) == {
        "m": {"visits": [("s", "id")], "bytes": [("s", "size")], "one": []}
    }


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
    by_hand_alone = {"rebuild_days"}
    assert {schedule.job_name for schedule in SCHEDULES} == {job.name for job in JOBS} - by_hand_alone
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
