"""Runs whose processes are gone: they would hold their place in the pool and block later ones.

A run is launched, by the daemon or the UI, or it is in the foreground (`footfall refresh`), which nobody watches: so
that one carries the process and the host it runs on as tags.
"""

import os
import socket
from collections.abc import Mapping

import dagster as dg

from pipelines.settings import adopt, load_settings

UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
PID_TAG = "footfall/pid"
HOST_TAG = "footfall/host"


def foreground_tags() -> dict[str, str]:
    """Return what tells that a run goes on in this very process."""
    return {PID_TAG: str(os.getpid()), HOST_TAG: socket.gethostname()}


def fail_dead_foreground_runs(instance: dg.DagsterInstance) -> int:
    """Mark as failed each unfinished foreground run of this host whose process is gone; returns how many there were.

    Of another host's processes nothing is known here: its runs end with Dagster's own limit at the latest.
    """
    ours = dg.RunsFilter(statuses=UNFINISHED, tags={HOST_TAG: socket.gethostname()})
    dead = [run for run in instance.get_runs(ours) if not _is_alive(int(run.tags[PID_TAG]))]
    for run in dead:
        instance.report_run_failed(run, "Its process ended before it did. The next refresh makes it good.")
    return len(dead)


def fail_orphaned_runs(environment: Mapping[str, str]) -> int:
    """Mark as failed every unfinished run that cannot be under way, and return how many there were.

    Only for the one who is about to start this instance's only daemon, when nothing it launched can be alive. Runs in
    the foreground were launched by nobody: they are left alone where their process lives. `environment` is what
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
        return len(orphans) + fail_dead_foreground_runs(instance)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, but there
    return True
