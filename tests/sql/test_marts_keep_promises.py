"""What analysts were promised of every mart: its columns, their types, and a comment on each."""

from collections.abc import Callable

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode, ModelNode

from tests.sql.conftest import Models, messages

DAY, COUNT, TEXT, TIME = "DATE", "BIGINT", "VARCHAR", "TIMESTAMP WITH TIME ZONE"
PROMISED = {
    "rpt_activity_by_day": {"activity_date": DAY, "login_count": COUNT, "signup_count": COUNT},
    "rpt_daily_activity": {
        "activity_date": DAY,
        "login_count": COUNT,
        "app_open_count": COUNT,
        "action_count": COUNT,
    },
    "rpt_monthly_logins": {"month": TEXT, "login_count": COUNT},
    "rpt_plan_distribution": {
        "plan": TEXT,
        "subscription_count": COUNT,
        "subscription_percent": "DECIMAL(4,1)",
    },
    "rpt_event_usage_daily": {
        "event_date": DAY,
        "app_name": TEXT,
        "event_type": TEXT,
        "event_name": TEXT,
        "user_type": TEXT,
        "country_code": TEXT,
        "device_type": TEXT,
        "os": TEXT,
        "event_count": COUNT,
    },
    "rpt_bot_traffic_daily": {"event_date": DAY, "app_name": TEXT, "event_count": COUNT},
    "rpt_document_opens": {
        "app_name": TEXT,
        "level_name": TEXT,
        "chapter_name": TEXT,
        "document_name": TEXT,
        "open_count": COUNT,
        "user_count": COUNT,
        "first_opened_at": TIME,
        "last_opened_at": TIME,
    },
    "rpt_document_opens_daily": {
        "open_date": DAY,
        "app_name": TEXT,
        "level_name": TEXT,
        "chapter_name": TEXT,
        "document_name": TEXT,
        "user_type": TEXT,
        "country_code": TEXT,
        "open_count": COUNT,
    },
}


@pytest.fixture(scope="module")
def built(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    models = make_models()
    models.copy_raw(module_database)
    result = models.dbt("build")
    assert result.success, result.exception or messages(result)
    return models


@pytest.mark.parametrize("mart", sorted(PROMISED))
def test_mart_has_promised_columns_and_types(built: Models, mart: str) -> None:
    assert _columns(built, "marts")[mart] == PROMISED[mart]


def test_every_mart_and_column_has_a_comment(built: Models) -> None:
    query = """
        SELECT table_name, NULL AS column_name FROM duckdb_tables()
        WHERE schema_name = 'marts' AND coalesce(comment, '') = ''
        UNION ALL
        SELECT table_name, column_name FROM duckdb_columns()
        WHERE schema_name = 'marts' AND coalesce(comment, '') = ''
    """
    assert built.rows(query) == []


def test_schemas_are_named_after_their_folders(built: Models) -> None:
    query = "SELECT DISTINCT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name != 'main'"
    assert {schema for (schema,) in built.rows(query)} == {"raw", "sources", "staging", "marts"}


def test_every_loaded_table_is_staged_whole(built: Models, manifest: Manifest) -> None:
    raw = {name for (name,) in built.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'")}
    assert {source.name for source in manifest.sources.values()} == raw
    staged = "SELECT view_name FROM duckdb_views() WHERE schema_name = 'staging'"
    assert {name for (name,) in built.rows(staged)} == {f"stg_{table}" for table in raw}


def test_yaml_names_every_column_and_type(built: Models, manifest: Manifest) -> None:
    long_names = {"TIMESTAMPTZ": TIME}
    written = {
        node.name: {name: long_names.get(str(it.data_type), it.data_type) for name, it in node.columns.items()}
        for node in _models(manifest)
    }
    assert _columns(built, "staging", "marts") == written


def test_yaml_describes_every_model_and_column(manifest: Manifest) -> None:
    bare = [node.name for node in _models(manifest) if not node.description]
    bare += [
        f"{node.name}.{name}"
        for node in _models(manifest)
        for name, column in node.columns.items()
        if not column.description
    ]
    assert bare == []


def test_every_model_has_an_owner_and_a_tested_key(manifest: Manifest) -> None:
    owned = {node.name for node in _models(manifest) if node.config.meta["dagster"]["owners"]}
    keyed = {
        manifest.nodes[str(node.attached_node)].name
        for node in manifest.nodes.values()
        if isinstance(node, GenericTestNode) and node.test_metadata.name in ("primary_key", "unique", "unique_key")
    }
    assert owned == keyed == {node.name for node in _models(manifest)}


def test_every_mart_has_a_unit_test(manifest: Manifest) -> None:
    tested = {unit_test.model for unit_test in manifest.unit_tests.values()}
    assert tested == set(PROMISED)


def _models(manifest: Manifest) -> list[ModelNode]:
    return [node for node in manifest.nodes.values() if isinstance(node, ModelNode)]


def _columns(models: Models, *schemas: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    query = "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() ORDER BY ALL"
    for schema, table, column, kind in models.rows(query):
        if schema in schemas:
            found.setdefault(table, {})[column] = kind
    return found
