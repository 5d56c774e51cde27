"""A refresh in the foreground: the job `refresh`, run in this process and recorded where operators look.

For the command line; the schedule starts the same job by itself. No steps here: they are in `pipelines.assets`.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from pipelines.assets import publish
from pipelines.assets.load import held_back_longer, only_here
from pipelines.definitions import build_defs
from pipelines.errors import RefreshFailed
from pipelines.jobs import REFRESH, refresh_config
from pipelines.launcher import foreground_tags
from pipelines.settings import adopt, load_settings
from pipelines.translator import SOURCE
from warehouse.errors import BuildOvertaken

HELD_BACK_WORTH_TELLING_SECONDS = 60.0

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Metadata = Mapping[str, dg.MetadataValue[Any]]


@dataclass(frozen=True)
class RefreshSummary:
    """What moved: new rows per raw table, rows per published table; the run's id in the UI.

    `held_back` names, per raw table, the open transactions whose rows wait for longer than a minute; `only_here` says,
    per raw table, what a full refresh found in the warehouse and not in Postgres.
    """

    loaded_row_counts: Mapping[str, int]
    held_back: Mapping[str, str]
    only_here: Mapping[str, str]
    published_row_counts: Mapping[str, int]
    run_id: str
    duration_seconds: float


def refresh_now(environment: Mapping[str, str], *, full: bool = False) -> RefreshSummary:
    """Run the job `refresh` here and now; nothing is printed, and the run is in the UI like any other.

    `environment` is what `footfall.dagster_home.dagster_environment` returned; this process adopts it. `full` loads
    and builds everything again. A refresh that the schedule's own one overtook, which then publishes in its place, is
    run once more: who waits here wants to see what is published. Raises RefreshFailed, which names the step and what is
    wrong there.
    """
    adopt(environment)
    settings = load_settings()
    job = build_defs(settings).resolve_job_def(REFRESH)
    started_at = time.monotonic()
    with dg.DagsterInstance.from_config(str(settings.dagster_folder)) as instance:
        result = _run(job, instance, full)
        if not result.success and _root_error(result)[0] == BuildOvertaken.__name__:
            result = _run(job, instance, full)
    if not result.success:
        raise RefreshFailed(*_first_failure(result), run_id=result.run_id)
    made = list(_materializations(result))
    return RefreshSummary(
        loaded_row_counts={key.path[1]: _loaded_row_count(data) for key, data in made if _is_raw(key)},
        held_back={
            key.path[1]: names
            for key, data in made
            if _is_raw(key) and (names := held_back_longer(HELD_BACK_WORTH_TELLING_SECONDS, data))
        },
        only_here={key.path[1]: told for key, data in made if _is_raw(key) and (told := only_here(data))},
        published_row_counts=next(publish.row_counts(data) for key, data in made if key == publish.KEY),
        run_id=result.run_id,
        duration_seconds=time.monotonic() - started_at,
    )


def _run(job: dg.JobDefinition, instance: dg.DagsterInstance, full: bool) -> dg.ExecuteInProcessResult:
    config = {**refresh_config(full=full), **_QUIET}
    return job.execute_in_process(config, instance=instance, raise_on_error=False, tags=foreground_tags())


def _materializations(result: dg.ExecuteInProcessResult) -> Iterator[tuple[dg.AssetKey, Metadata]]:
    for event in result.all_events:
        if event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            yield materialization.asset_key, materialization.metadata


def _is_raw(key: dg.AssetKey) -> bool:
    return key.path[0] == SOURCE


def _loaded_row_count(metadata: Metadata) -> int:
    return int(str(metadata["loaded_row_count"].value))


def _first_failure(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """Return the failed step and its error: the words of the step's own failure, or of what it ran into."""
    event = next(event for event in result.all_events if event.is_step_failure)
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return event.step_key or REFRESH, failure.user_failure_data.description
    # "package.errors.Kind: message\n"
    _, message = _root_error(result)
    return event.step_key or REFRESH, message.partition(": ")[2] or message


def _root_error(result: dg.ExecuteInProcessResult) -> tuple[str | None, str]:
    """Return the class and the message of what the failed step ran into, below what was made of it on the way."""
    event = next(event for event in result.all_events if event.is_step_failure)
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return (error.cls_name, error.message.strip()) if error else (None, "no reason given")
