"""Models as views, which show whatever `raw` holds: to look at them takes a hundredth of a build. No test here."""

import duckdb
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.contracts.graph.nodes import ModelNode

from tests.sql.conftest import Models

SCHEMAS = ("marts", "intermediate", "staging")


def make_views(models: Models, timezone: str, as_of: str) -> None:
    """Make a view of each model, as of a moment, in the place of whatever was built."""
    _execute(models, *(f"DROP SCHEMA IF EXISTS {schema} CASCADE" for schema in SCHEMAS))
    nodes = _compiled(models, "resource_type:model", timezone, as_of)
    # of a schema in which there is more
    _execute(models, *(_drop(models, node) for node in nodes if node.schema not in SCHEMAS))
    _execute(models, *(f"CREATE SCHEMA {schema}" for schema in SCHEMAS), *map(_view, nodes))


def replace_tables(models: Models, names: str, timezone: str, as_of: str) -> None:
    """Make views of some models (names with blanks between them) in the place of their tables."""
    nodes = _compiled(models, names, timezone, as_of)
    _execute(models, *(f"DROP TABLE {node.schema}.{node.name}" for node in nodes), *map(_view, nodes))


def _compiled(models: Models, selected: str, timezone: str, as_of: str) -> list[ModelNode]:
    result = models.dbt(
        "compile", "--select", selected, "--indirect-selection=empty", as_of=as_of, reporting_timezone=timezone
    )
    assert isinstance(result.result, RunExecutionResult), result.exception
    return [run.node for run in result.result.results if isinstance(run.node, ModelNode)]


def _view(node: ModelNode) -> str:
    return f"CREATE VIEW {node.schema}.{node.name} AS {node.compiled_code}"


def _drop(models: Models, node: ModelNode) -> str:
    is_view = models.rows(f"SELECT view_name FROM duckdb_views() WHERE view_name = '{node.name}'")
    return f"DROP {'VIEW' if is_view else 'TABLE'} IF EXISTS {node.schema}.{node.name}"


def _execute(models: Models, *statements: str) -> None:
    with duckdb.connect(str(models.warehouse_path)) as connection:
        for statement in statements:
            connection.execute(statement)
