"""What analysts were promised of every mart: its columns, their types, and a comment on each."""

import re
from collections.abc import Callable

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode, ModelNode

from pipelines.dbt_project import _of_now
from tests.sql.conftest import TRANSFORMS, Models, messages

DAY, COUNT, TEXT, TIME = "DATE", "BIGINT", "VARCHAR", "TIMESTAMP WITH TIME ZONE"
USER, ID, PERCENT = "BIGINT", "UUID", "DECIMAL(4,1)"
PROMISED = {
    "rpt_totals": {
        "total_users": COUNT,
        "active_users_now": COUNT,
        "expired_users": COUNT,
        "inactive_users": COUNT,
        "active_subscriptions": COUNT,
        "expired_subscriptions": COUNT,
        "cancelled_subscriptions": COUNT,
        "total_visitors": COUNT,
        "visitors_now": COUNT,
        "visitors_today": COUNT,
        "refreshed_at": TIME,
    },
    "rpt_subscription_status": {"status": TEXT, "subscription_count": COUNT},
    "rpt_user_status": {"status": TEXT, "user_count": COUNT, "user_percent": PERCENT},
    "rpt_visitors_daily": {"visit_date": DAY, "visitor_count": COUNT, "new_visitor_count": COUNT},
    "rpt_plan_distribution_daily": {
        "snapshot_date": DAY,
        "plan": TEXT,
        "subscription_count": COUNT,
        "subscription_percent": PERCENT,
    },
    "rpt_live_users": {
        "observed_at": TIME,
        "app_name": TEXT,
        "country_code": TEXT,
        "user_type": TEXT,
        "live_user_count": COUNT,
    },
    "rpt_points_daily": {
        "log_date": DAY,
        "earned_points": COUNT,
        "redeemed_points": COUNT,
        "earning_user_count": COUNT,
        "redeeming_user_count": COUNT,
    },
    "rpt_points_balances": {
        "user_id": USER,
        "points": COUNT,
        "earned_points": COUNT,
        "redeemed_points": COUNT,
        "credits": COUNT,
        "credits_added": COUNT,
        "credits_spent": COUNT,
    },
    "rpt_ledger_drift": {
        "user_id": USER,
        "points": COUNT,
        "logged_points": COUNT,
        "credits": COUNT,
        "logged_credits": COUNT,
    },
    "dim_users": {
        "user_id": USER,
        "user_name": TEXT,
        "email": TEXT,
        "user_type": TEXT,
        "country_code": TEXT,
        "account_id": ID,
    },
    "dim_accounts": {
        "account_id": ID,
        "username": TEXT,
        "display_name": TEXT,
        "role": TEXT,
        "organization_id": ID,
        "created_at": TIME,
        "updated_at": TIME,
    },
    "dim_organizations": {
        "organization_id": ID,
        "organization_name": TEXT,
        "organization_slug": TEXT,
        "created_at": TIME,
        "updated_at": TIME,
    },
    "dim_subscriptions": {
        "subscription_id": ID,
        "organization_id": ID,
        "plan": TEXT,
        "duration": TEXT,
        "status": TEXT,
        "started_at": TIME,
        "ends_at": TIME,
        "updated_at": TIME,
        "valid_from": TIME,
        "valid_to": TIME,
        "is_current": "BOOLEAN",
    },
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
        "subscription_percent": PERCENT,
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
    "rpt_app_usage_daily": {
        "event_date": DAY,
        "app_name": TEXT,
        "event_count": COUNT,
        "user_count": COUNT,
        "session_count": COUNT,
    },
    "rpt_app_usage_monthly": {
        "month": TEXT,
        "app_name": TEXT,
        "event_count": COUNT,
        "user_count": COUNT,
        "session_count": COUNT,
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
# what the published file says of its own data, in `meta`
PROMISED_OF_META = {
    "canary": {"event_id": ID, "created_at": TIME, "received_at": TIME},
    "conservation": {
        "table_name": TEXT,
        "day": DAY,
        "accepted_count": COUNT,
        "stored_count": COUNT,
        "duplicate_count": COUNT,
        "rejected_count": COUNT,
        "dropped_count": COUNT,
        "erased_count": COUNT,
        "inserted_count": COUNT,
        "raw_count": COUNT,
        "dated_count": COUNT,
        "mart_count": COUNT,
        "uncounted_bot_count": COUNT,
        "canary_count": COUNT,
        "broken_term": TEXT,
        "is_conserved": "BOOLEAN",
    },
}

# rows of a state table as they are
COPIED = {"dim_accounts", "dim_organizations", "dim_users"}


@pytest.fixture(scope="module")
def built(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    models = make_models()
    models.copy_raw(module_database)
    result = models.dbt("build")
    assert result.success, result.exception or messages(result)
    return models


@pytest.mark.parametrize("mart", sorted(PROMISED | PROMISED_OF_META))
def test_mart_has_promised_columns_and_types(built: Models, mart: str) -> None:
    assert _columns(built, "marts", "meta")[mart] == (PROMISED | PROMISED_OF_META)[mart]


def test_every_mart_is_promised(built: Models, manifest: Manifest) -> None:
    assert set(_columns(built, "marts")) == set(PROMISED)
    assert {node.name for node in _models(manifest) if node.schema == "meta"} == set(PROMISED_OF_META)


def test_every_mart_and_column_has_a_comment(built: Models) -> None:
    is_read = "(schema_name = 'marts' OR table_name IN ('canary', 'conservation'))"
    query = f"""
        SELECT table_name, NULL AS column_name FROM duckdb_tables() WHERE {is_read} AND coalesce(comment, '') = ''
        UNION ALL
        SELECT table_name, column_name FROM duckdb_columns() WHERE {is_read} AND coalesce(comment, '') = ''
    """
    assert built.rows(query) == []


def test_schemas_are_named_after_their_folders(built: Models) -> None:
    query = "SELECT DISTINCT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name != 'main'"
    assert {schema for (schema,) in built.rows(query)} == {
        "meta",
        "raw",
        "sources",
        "staging",
        "intermediate",
        "marts",
    }


def test_every_loaded_table_is_staged_whole(built: Models, manifest: Manifest) -> None:
    raw = {name for (name,) in built.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'")}
    assert {source.name for source in manifest.sources.values()} == raw
    staged = "SELECT view_name FROM duckdb_views() WHERE schema_name = 'staging'"
    assert {name for (name,) in built.rows(staged)} == {
        "stg_received_days",
        *(f"stg_{table}" for table in raw),
    }


def test_yaml_names_every_column_and_type(built: Models, manifest: Manifest) -> None:
    long_names = {"TIMESTAMPTZ": TIME}
    written = {
        node.name: {name: long_names.get(str(it.data_type), it.data_type) for name, it in node.columns.items()}
        for node in _models(manifest)
    }
    found = _columns(built, "staging", "intermediate", "marts", "meta")
    assert found.keys() - written.keys() == {"builds", "load_cursors", "sealed_files"}
    assert {name: found.get(name) for name in written} == written


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


def test_every_mart_that_computes_has_a_unit_test(manifest: Manifest) -> None:
    tested = {unit_test.model for unit_test in manifest.unit_tests.values()}
    assert set(PROMISED) - tested == COPIED


def _models(manifest: Manifest) -> list[ModelNode]:
    return [node for node in manifest.nodes.values() if isinstance(node, ModelNode)]


def _columns(models: Models, *schemas: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    query = "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() ORDER BY ALL"
    for schema, table, column, kind in models.rows(query):
        if schema in schemas:
            found.setdefault(table, {})[column] = kind
    return found


def test_time_is_asked_of_one_macro_by_models_alone() -> None:
    """A refresh builds what asks for the time, and knows it by that macro; what asked otherwise would grow stale."""
    clock = re.compile(r"\b(current_timestamp|current_date|run_started_at|now\(|today\(|getdate\(|localtimestamp)")
    macros = {path.name: path.read_text() for path in (TRANSFORMS / "macros").rglob("*.sql")}
    models = {path.name: path.read_text() for path in (TRANSFORMS / "models").rglob("*.sql")}
    assert [name for name, text in {**macros, **models}.items() if clock.search(text)] == ["as_of.sql"]
    assert [name for name, text in macros.items() if "as_of()" in text] == ["as_of.sql"]


def test_with_nothing_new_all_that_asks_for_the_time_is_built(built: Models, manifest: Manifest) -> None:
    asking = {path.stem for path in (TRANSFORMS / "models").rglob("*.sql") if "as_of()" in path.read_text()}
    listed = built.dbt("ls", "--resource-type", "model", "--output", "name", "--select", *_of_now(manifest))
    assert isinstance(listed.result, list)
    assert asking
    assert asking | {"rpt_user_status"} <= set(listed.result)
    assert not {"dim_users", "rpt_event_usage_daily"} & set(listed.result)
