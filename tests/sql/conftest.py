"""dbt in this process, on a warehouse filled from a real Postgres. What the models must give stands in the tests."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.run import RunExecutionResult, RunResult
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import CompiledNode
from psycopg import sql
from sqlalchemy import make_url

from warehouse.archive.sources import make_received_days_view

TRANSFORMS = Path(__file__).parents[2] / "transforms"
NOT_LOADED = (
    *("admin_audit_log", "alembic_version", "api_keys", "erasures", "event_ids", "idempotency_keys", "point_rules"),
    *("rejected_records", "spool_cursors"),
)
RAW_TYPES = {
    "bigint": "BIGINT",
    "boolean": "BOOLEAN",
    "character": "VARCHAR",
    "character varying": "VARCHAR",
    "integer": "INTEGER",
    "jsonb": "VARCHAR",
    "text": "VARCHAR",
    "timestamp with time zone": "TIMESTAMPTZ",
    "uuid": "UUID",
    "xid8": "UBIGINT",
}
# what a load and the beginning of a build leave behind
LOADED_NOW = """
    CREATE SCHEMA IF NOT EXISTS meta;
    CREATE OR REPLACE TABLE meta.load_cursors AS
    SELECT table_name, 'a moment' AS snapshot, now() AS loaded_at FROM duckdb_tables() WHERE schema_name = 'raw';
    CREATE OR REPLACE TABLE meta.builds AS SELECT 'a build' AS build_id, now() AS loaded_at, now() AS begun_at;
    CREATE TABLE IF NOT EXISTS meta.sealed_files (manifest_line VARCHAR);
"""
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Models:
    """A home folder of its own and what dbt makes of its warehouse."""

    home: Path
    manifest: Manifest

    @property
    def warehouse_path(self) -> Path:
        return self.home / "warehouse" / "warehouse.duckdb"

    def dbt(self, command: str, *arguments: str, **variables: str) -> dbtRunnerResult:
        """Run one dbt command on this home; the result tells, nothing is raised."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FOOTFALL_HOME", str(self.home))
            try:
                return _invoke(
                    self.home, self.manifest, command, *arguments, "--vars", str(variables) if variables else "{}"
                )
            finally:
                # dbt keeps its file open in this process, and the next test has another
                DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    def build(self, *arguments: str, **variables: str) -> None:
        """Build the models without testing them; fail with dbt's own words."""
        result = self.dbt("run", *arguments, **variables)
        assert result.success, messages(result)

    def compile(self, template: str, **variables: str) -> str:
        """Render SQL with the project's macros."""
        [run] = _runs(self.dbt("compile", "--inline", template, **variables))
        assert isinstance(run.node, CompiledNode)
        return str(run.node.compiled_code)

    def rows(self, query: str) -> Rows:
        """Ask the warehouse."""
        with duckdb.connect(str(self.warehouse_path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(query).fetchall()

    def execute(self, statement: str) -> None:
        """Change the warehouse."""
        self.rows(statement)

    def copy_raw(self, database: psycopg.Connection) -> None:
        """Fill `raw` anew with all rows of all loaded tables, types as the load maps them; `sources` shows them."""
        with duckdb.connect(str(self.warehouse_path)) as connection:
            connection.execute("DROP SCHEMA IF EXISTS raw CASCADE")
            connection.execute("CREATE SCHEMA raw; CREATE SCHEMA IF NOT EXISTS sources")
            for table, columns in _loaded_tables(database).items():
                listed = ", ".join(f'"{name}" {RAW_TYPES[kind]}' for name, kind in columns)
                connection.execute(f'CREATE TABLE raw."{table}" ({listed})')
                connection.execute(f'CREATE OR REPLACE VIEW sources."{table}" AS SELECT * FROM raw."{table}"')
                path = _csv(database, table, self.home / f"{table}.csv")
                connection.execute(f"COPY raw.\"{table}\" FROM '{path}' (FORMAT csv, HEADER)")
            connection.execute(LOADED_NOW)
            make_received_days_view(connection)


def messages(result: dbtRunnerResult) -> dict[str, str]:
    """Node name -> status and message, of the nodes that did not go well."""
    return {
        run.node.name: f"{run.status}: {run.message}" for run in _runs(result) if run.status not in ("success", "pass")
    }


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The project, parsed once; every deprecation is an error."""
    home = tmp_path_factory.mktemp("parse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOTFALL_HOME", str(home))
        result = _invoke(home, None, "--warn-error", "parse", "--show-all-deprecations")
    assert result.success, result.exception
    assert isinstance(result.result, Manifest)
    return result.result


@pytest.fixture(scope="session")
def make_models(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Callable[[], Models]:
    """Make a new home with an empty warehouse folder."""

    def make() -> Models:
        home = tmp_path_factory.mktemp("home")
        (home / "warehouse").mkdir()
        return Models(home, manifest)

    return make


@pytest.fixture(scope="module")
def module_database(server_url: str, template_database: str) -> Iterator[psycopg.Connection]:
    """A migrated database that the tests of a module only read, once one of its fixtures filled it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("SET TimeZone = 'UTC'")
            yield database
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _invoke(home: Path, manifest: Manifest | None, *arguments: str) -> dbtRunnerResult:
    return dbtRunner(manifest=manifest).invoke(
        [
            "--quiet",
            "--log-level-file=none",
            *arguments,
            f"--project-dir={TRANSFORMS}",
            f"--profiles-dir={TRANSFORMS}",
            f"--target-path={home / 'dbt' / 'target'}",
            f"--log-path={home / 'dbt' / 'logs'}",
        ]
    )


def _runs(result: dbtRunnerResult) -> list[RunResult]:
    assert isinstance(result.result, RunExecutionResult), result.exception
    return list(result.result.results)


def _loaded_tables(database: psycopg.Connection) -> dict[str, list[tuple[str, str]]]:
    found = database.execute(
        """
        SELECT columns.table_name, column_name, data_type
        FROM information_schema.columns
        JOIN pg_class ON oid = format('public.%%I', columns.table_name)::regclass
        WHERE table_schema = 'public' AND NOT relispartition AND NOT columns.table_name = ANY (%s)
        ORDER BY columns.table_name, ordinal_position
        """,
        [list(NOT_LOADED)],
    )
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in found:
        tables.setdefault(table, []).append((column, kind))
    return tables


def _csv(database: psycopg.Connection, table: str, path: Path) -> Path:
    query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER)").format(sql.Identifier(table))
    with database.cursor().copy(query) as rows, path.open("wb") as file:
        for data in rows:
            file.write(data)
    return path
