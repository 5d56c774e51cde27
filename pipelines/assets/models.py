"""Second step of a refresh: dbt builds the models on the raw tables and tests them.

Of event tables only the days with new rows are built, whole, unless `begin_build` says that nothing made before
counts. A model that cannot be built, or a test of severity error that finds rows, fails the run by name, and nothing is
published. The models are in `transforms/`, how dbt runs is in `pipelines.dbt_project`.
"""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import dagster as dg

from pipelines.assets.load import WAREHOUSE_POOL, WRITER_WAIT_SECONDS
from pipelines.dbt_project import NodeResult, ParsedProject
from pipelines.engine import chosen_engine
from pipelines.settings import Settings
from pipelines.translator import UNIQUE_ID, model_specs
from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import open_archive
from warehouse.builds import begin_build, finish_build, require_loads
from warehouse.connection import open_warehouse, quoted
from warehouse.observed import take_over_observed
from warehouse.writer import writer_lock

# what a model or a check says that this run left as it was
IS_UNCHANGED = "unchanged"
ROW_COUNT = "dagster/row_count"


class ModelsConfig(dg.Config):
    """Whether to build every model from the start, not only the days with new rows."""

    full: bool = False


def models_asset(project: ParsedProject, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Return the step `models`, which makes one asset per dbt model and one asset check per dbt test.

    `manifest` is the project's.
    """
    specs, check_specs = model_specs(manifest)
    models = {str(spec.metadata[UNIQUE_ID]): spec for spec in _sources_first(specs)}
    checks = {str((spec.metadata or {})[UNIQUE_ID]): spec for spec in check_specs}

    @dg.multi_asset(name="models", specs=specs, check_specs=check_specs, pool=WAREHOUSE_POOL)
    def build_models(
        context: dg.AssetExecutionContext, config: ModelsConfig, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with writer_lock(settings.warehouse_path, WRITER_WAIT_SECONDS, purpose="build models"):
            results = run_build(project, settings, context.run, full=config.full)
            made = told_by_model(settings, results)
        left_out = {*models, *checks} - {result.unique_id for result in results}
        known = _last_row_counts(context.instance, [models[unique_id].key for unique_id in left_out & models.keys()])
        materializations = {
            **{unique_id: _unchanged(models[unique_id], known) for unique_id in left_out & models.keys()},
            **{
                unique_id: dg.MaterializeResult(asset_key=spec.key, metadata=made[spec.key.path[-1]])
                for unique_id, spec in models.items()
                if spec.key.path[-1] in made
            },
        }
        yield from (materializations[unique_id] for unique_id in models if unique_id in materializations)
        for result in results:
            if result.unique_id in checks and not result.is_skipped:
                yield _evaluation(checks[result.unique_id], result)
        yield from (_still_passed(checks[unique_id]) for unique_id in checks if unique_id in left_out)
        fail_if_any_failed(results, checks)
        context.log.info(f"{len(made)} models built, {len(results) - len(made)} tests passed, the rest is up to date")

    return build_models


def build_id(run: dg.DagsterRun) -> str:
    """Return the name under which a run's build is signed; a run that only tries the last steps again keeps it."""
    return run.root_run_id or run.run_id


def run_build(
    project: ParsedProject, settings: Settings, run: dg.DagsterRun, *, full: bool = False
) -> list[NodeResult]:
    """Build and test what is new, or all, signed as this run's, on the engine that the settings name.

    The caller holds the writer's lock.
    """
    require_loads(settings.warehouse_path)
    prepare_sources(settings.warehouse_path, settings.archive_address)
    take_over_observed(settings.warehouse_path, settings.published_path)
    engine = chosen_engine(project, settings)
    touched = begin_build(
        settings.warehouse_path,
        build_id(run),
        code_version=version("footfall"),
        models_version=engine.project.fingerprint,
        models=engine.relations(),
        full=full or not engine.has_all_tables(),
    )
    results = engine.build(touched)
    if not any(result.is_failed for result in results):
        finish_build(settings.warehouse_path, build_id(run))
    return results


def told_by_model(settings: Settings, results: Sequence[NodeResult]) -> dict[str, dict[str, int | float | str]]:
    """Return what the UI shows of each model that was built, by its name. The caller holds the writer's lock."""
    built = [result for result in results if result.kind == "model" and result.is_done]
    if settings.engine != "duckdb":
        counted = {result.name: result.row_count for result in built}
    else:
        counted = _row_counts(settings, built)
    return {
        result.name: {
            "engine": settings.engine,
            "duration_seconds": result.duration_seconds,
            **({} if (count := counted[result.name]) is None else {ROW_COUNT: count}),
        }
        for result in built
    }


def _row_counts(settings: Settings, built: Sequence[NodeResult]) -> dict[str, int | None]:
    """Count the rows of tables and views in the warehouse."""
    with open_warehouse(settings.warehouse_path) as connection:
        # views are among them
        open_archive(settings.archive_address, settings.warehouse_path).attach(connection)
        relations = {result.name: f"{quoted(result.schema_name)}.{quoted(result.name)}" for result in built}
        return {
            name: connection.sql(f"FROM {relation} SELECT count(*)").fetchall()[0][0]
            for name, relation in relations.items()
        }


def _evaluation(spec: dg.AssetCheckSpec, result: NodeResult) -> dg.AssetCheckResult:
    found = [dg.TableRecord(row) for row in result.failed_rows]
    return dg.AssetCheckResult(
        check_name=spec.name,
        asset_key=spec.asset_key,
        passed=result.is_done,
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        description=result.message if result.is_done else _told(spec, result),
        metadata={
            "failed_row_count": result.failure_count or 0,
            "duration_seconds": result.duration_seconds,
            **({"first_failed_rows": dg.MetadataValue.table(found)} if found else {}),
        },
    )


def _unchanged(spec: dg.AssetSpec, row_counts: Mapping[dg.AssetKey, int]) -> dg.MaterializeResult[None]:
    """Report a model that dbt was not asked to build, because nothing that it reads has changed since it was built.

    It has the rows that it had, so that their plot has no hole.
    """
    had = {ROW_COUNT: row_counts[spec.key]} if spec.key in row_counts else {}
    return dg.MaterializeResult(asset_key=spec.key, metadata={IS_UNCHANGED: True, **had})


def _last_row_counts(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> dict[dg.AssetKey, int]:
    """Return how many rows assets had when they were last materialized, as far as that is known."""
    events = [record.asset_entry.last_materialization for record in instance.get_asset_records(keys)] if keys else []
    made = [event.asset_materialization for event in events if event and event.asset_materialization]
    return {last.asset_key: int(str(last.metadata[ROW_COUNT].value)) for last in made if ROW_COUNT in last.metadata}


def _still_passed(spec: dg.AssetCheckSpec) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=spec.name,
        asset_key=spec.asset_key,
        passed=True,
        description="Nothing that it looks at has changed since it passed.",
        metadata={IS_UNCHANGED: True},
    )


def _sources_first(specs: Sequence[dg.AssetSpec]) -> list[dg.AssetSpec]:
    """Put each model behind those that it is made of: Dagster wants to hear of them in this order."""
    by_key = {spec.key: spec for spec in specs}
    made_of = {spec.key: {dep.asset_key for dep in spec.deps if dep.asset_key in by_key} for spec in specs}
    return [by_key[key] for key in TopologicalSorter(made_of).static_order()]


def _told(spec: dg.AssetCheckSpec | None, result: NodeResult) -> str:
    """Say what was found, and what it means and where to look, as the check's description has it."""
    return f"{result.message} — {spec.description}" if spec and spec.description else result.message


def fail_if_any_failed(
    results: Sequence[NodeResult], checks: Mapping[str, dg.AssetCheckSpec] = MappingProxyType({})
) -> None:
    """Raise Failure, which names what failed and what was not built; `checks` say what their tests mean."""
    failed = [result for result in results if result.is_failed]
    if not failed:
        return
    skipped = [result.name for result in results if result.is_skipped and result.kind == "model"]
    raise dg.Failure(
        description="; ".join(
            f"{result.kind} {result.name}: {_told(checks.get(result.unique_id), result)}" for result in failed
        ),
        metadata={"failed": [result.name for result in failed], "not_built": skipped},
        allow_retries=False,
    )
