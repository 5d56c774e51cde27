"""How runs are launched, as `dagster.yaml` names it: by Dagster's own launcher, which here also says who is gone.

A run whose process is gone holds its place in the pool and blocks all later ones. Dagster looks after runs every few
seconds, but its own launcher cannot tell it that a code server ended together with its runs. A run in the foreground
(`footfall refresh`) was launched by nobody: it carries its process and host as tags.
"""

import os
import socket

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value

PID_TAG = "footfall/pid"
HOST_TAG = "footfall/host"
GONE = CheckRunHealthResult(
    WorkerStatus.NOT_FOUND, "its process ended before it did; the next run of its job makes it good"
)
# also where nobody can tell, as of another host's processes, or while the code server starts: Dagster's limit is left
THERE = CheckRunHealthResult(WorkerStatus.RUNNING)


class WatchingRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, which also says whether the process of a started run is still there."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Tell Dagster to ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the code server that launched it for the runs it has, or look for the foreground's process."""
        if HOST_TAG in run.tags:
            is_here = run.tags[HOST_TAG] == socket.gethostname()
            return GONE if is_here and not _is_alive(int(run.tags[PID_TAG])) else THERE
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return THERE
        try:
            running = deserialize_value(client.get_current_runs(), GetCurrentRunsResult).current_runs
        except DagsterUserCodeUnreachableError:
            return THERE
        return THERE if run.run_id in running else GONE


def foreground_tags() -> dict[str, str]:
    """Return what tells that a run goes on in this very process."""
    return {PID_TAG: str(os.getpid()), HOST_TAG: socket.gethostname()}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, but there
    return True
