"""Models as views, which show whatever `raw` holds: to look at them takes a hundredth of a build. No test here."""

import duckdb
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.contracts.graph.nodes import ModelNode

from tests.sql.conftest import Models

SCHEMAS = ("marts", "intermediate", "staging")


def make_views(models: Models, timezone: str, as_of: str) -> None:
    """Make a view of each model, as of a moment, in the place of whatever was built."""
    _execute(models, *(f"DROP SCHEMA IF EXISTS {schema} CASCADE" for schema in SCHEMAS))
    result = models.dbt(
        "compile",
        "--select=resource_type:model",
        "--indirect-selection=empty",
        as_of=as_of,
        reporting_timezone=timezone,
    )
    assert isinstance(result.result, RunExecutionResult), result.exception
    nodes = [run.node for run in result.result.results if isinstance(run.node, ModelNode)]
    views = [f"CREATE VIEW {node.schema}.{node.name} AS {node.compiled_code}" for node in nodes]
    _execute(models, *(f"CREATE SCHEMA {schema}" for schema in SCHEMAS), *views)


def _execute(models: Models, *statements: str) -> None:
    with duckdb.connect(str(models.warehouse_path)) as connection:
        for statement in statements:
            connection.execute(statement)
