"""Runs whose processes ended with an earlier stack: they would hold their place in the pool and block later ones."""

from collections.abc import Mapping

import dagster as dg

from pipelines.settings import adopt, load_settings

UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def fail_orphaned_runs(environment: Mapping[str, str]) -> int:
    """Mark every unfinished run as failed and return how many there were.

    Only for the one who is about to start this instance's only daemon, when nothing it launched can be alive. Runs in
    the foreground (`footfall refresh`) were launched by nobody and are left alone. `environment` is what
    `footfall.dagster_home.dagster_environment` returned; this process adopts it.
    """
    adopt(environment)
    with dg.DagsterInstance.from_config(str(load_settings().dagster_folder)) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        orphans = [run for run in runs if run.remote_job_origin]
        for run in orphans:
            instance.report_run_failed(
                run, "The stack ended while this run was going on. The next refresh makes it good."
            )
    return len(orphans)
