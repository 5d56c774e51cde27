"""What the whole stack takes while nobody uses it, and what a refresh takes outside of load, models and publishing.

A fresh home, `footfall up` as a user starts it, no event. Memory is PSS, in which what processes share counts once, and
RSS, as most tools show it. Shares of CPU are of one processor. How long load and models take with rows is measured by
`benchmarks.refresh`.
"""

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import requests
from rich.console import Group
from rich.table import Table

from benchmarks.serving import free_port

DEFAULT_MINUTES = 10.0
SAMPLE_SECONDS = 0.5
DEADLINE_SECONDS = 300.0
RUN = "a run"
# what a process is, by what stands in its command line; the first that fits
NAMES = {
    "resource_tracker": "code server",
    "spawn_main": RUN,
    "ingest_app.drain": "drainer",
    "ingest_app.app": "ingest, 2 workers",
    "admin_app.app": "admin app",
    "footfall.watch": "watcher",
    "dagster-webserver": "Dagster web server",
    "dagster-daemon": "Dagster daemon",
    "dagster api": "code server",
    "postgres": "Postgres, all its processes",
    "footfall up": "footfall up",
}
RUNS = """
{ runsOrError(filter: {pipelineName: "refresh", statuses: [SUCCESS]}) { ... on Runs { results { runId } } } }
"""
EVENTS = """
query ($id: ID!) { logsForRun(runId: $id, limit: 1000) { ... on EventConnection {
  events { ... on MessageEvent { timestamp stepKey eventType } }
} } }
"""
# the moments of a run that are worth a line, and of which of them the work itself begins or ends
WORK = ("load", "models", "published__analytics")


@dataclass
class Taken:
    """What the processes of one name took while they were watched: seconds of CPU between runs and during them."""

    pss_mb: float = 0.0
    rss_mb: float = 0.0
    between_seconds: float = 0.0
    during_seconds: float = 0.0


@dataclass
class Watched:
    """The stack over some minutes; `quiet_seconds` is how long no run was under way."""

    seconds: float = 0.0
    quiet_seconds: float = 0.0
    run_pss_mb: float = 0.0
    runs: set[psutil.Process] = field(default_factory=set)
    names: dict[str, Taken] = field(default_factory=lambda: defaultdict(Taken))


def measure_footprint(folder: Path, minutes: float) -> Group:
    """Start everything, watch it for so many minutes, and return what it took and what its refreshes took."""
    with _stack(folder / "footprint") as (up, url, ready_seconds):
        _wait_for_refreshes(url, 1)
        watched = _watch(up, folder / "footprint" / "home", minutes * 60)
        later = _refreshes(url)[:-1]
        timelines = [_timeline(_ask(url, EVENTS, id=run_id)["events"]) for run_id in later]
    return Group(_processes(watched, ready_seconds), _refresh(timelines))


@contextmanager
def _stack(folder: Path) -> Iterator[tuple[psutil.Process, str, float]]:
    """Run `footfall up` on a fresh home; yield it, Dagster's address, and after how many seconds all was ready."""
    folder.mkdir()
    ports = {name: str(free_port()) for name in ("INGEST", "ADMIN", "DAGSTER")}
    env = {**os.environ, **{f"FOOTFALL_{name}_PORT": port for name, port in ports.items()}, "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    with subprocess.Popen(
        [Path(sys.executable).with_name("footfall"), "up", "--home", folder / "home"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    ) as up:
        try:
            assert up.stdout is not None
            next(line for line in up.stdout if line.startswith("Ctrl-C"))
            yield psutil.Process(up.pid), f"http://127.0.0.1:{ports['DAGSTER']}/graphql", time.monotonic() - started
        finally:
            up.terminate()


def _ask(url: str, query: str, **variables: str) -> Any:  # noqa: ANN401, it is as free as JSON
    answer = requests.post(url, json={"query": query, "variables": variables}, timeout=60).json()
    [value] = answer["data"].values()
    return value


def _refreshes(url: str) -> list[str]:
    """Return the runs that succeeded, the newest first."""
    return [run["runId"] for run in _ask(url, RUNS)["results"]]


def _wait_for_refreshes(url: str, number: int) -> None:
    deadline = time.monotonic() + 2 * DEADLINE_SECONDS
    while len(_refreshes(url)) < number:
        if time.monotonic() > deadline:
            raise RuntimeError("no refresh succeeded")
        time.sleep(5)


def _watch(up: psutil.Process, home: Path, seconds: float) -> Watched:
    watched = Watched()
    postmaster = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))
    before = _cpu_seconds(up, postmaster)
    started = last = time.monotonic()
    while last - started < seconds:
        time.sleep(SAMPLE_SECONDS)
        now, after = time.monotonic(), _cpu_seconds(up, postmaster)
        is_quiet = not any(name == RUN for name, _ in after.values())
        watched.seconds += now - last
        watched.quiet_seconds += (now - last) * is_quiet
        for process, (name, used) in after.items():
            spent = used - before.get(process, (name, 0.0))[1]
            taken = watched.names[name]
            taken.between_seconds += spent * is_quiet
            taken.during_seconds += spent * (not is_quiet)
        if not is_quiet:
            runs = [process for process, (name, _) in after.items() if name == RUN]
            watched.runs.update(runs)
            watched.run_pss_mb = max(watched.run_pss_mb, *(_memory_mb(process)[0] for process in runs))
        last, before = now, after
    for process, (name, _) in before.items():
        pss, rss = _memory_mb(process)
        watched.names[name].pss_mb += pss
        watched.names[name].rss_mb += rss
    return watched


def _cpu_seconds(up: psutil.Process, postmaster: psutil.Process) -> dict[psutil.Process, tuple[str, float]]:
    """Return each living process of the stack, with its name and the seconds of CPU that it has used so far."""
    found = {}
    for process in {up, *up.children(recursive=True), postmaster, *postmaster.children(recursive=True)}:
        # it may end while we look
        with suppress(psutil.NoSuchProcess), process.oneshot():
            used = process.cpu_times()
            found[process] = (_name(process), used.user + used.system)
    return found


def _name(process: psutil.Process) -> str:
    command = " ".join(process.cmdline()) or process.name()
    return next((name for part, name in NAMES.items() if part in command), command[:40])


def _memory_mb(process: psutil.Process) -> tuple[float, float]:
    with suppress(psutil.NoSuchProcess):
        memory = process.memory_full_info()
        return memory.pss / 2**20, memory.rss / 2**20
    return 0.0, 0.0


def _timeline(events: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds between a run's moments, in their order, and what of them was neither of its three works."""
    at: dict[str, float] = {}
    for event in events:
        moment, kind, step = int(event["timestamp"]) / 1000, event["eventType"], event["stepKey"]
        if step is None and kind and kind.startswith(("PIPELINE_", "RUN_")):
            at.setdefault(kind, moment)
        elif step in WORK and kind == "STEP_START":
            at[f"{step} starts"] = moment
        elif step in WORK and kind in {"ASSET_MATERIALIZATION", "STEP_OUTPUT"}:
            at.setdefault(f"{step} is done", moment)
        elif step in WORK and kind == "STEP_SUCCESS":
            at[f"{step} is recorded"] = moment
    in_order = sorted(at.items(), key=lambda pair: pair[1])
    spans = {f"{before} → {after}": then - now for (before, now), (after, then) in pairwise(in_order)}
    total = in_order[-1][1] - in_order[0][1]
    worked = sum(at[f"{step} is done"] - at[f"{step} starts"] for step in WORK)
    return {**spans, "all of it": total, "outside of load, models, publish": total - worked}


def _processes(watched: Watched, ready_seconds: float) -> Table:
    spent = watched.names[RUN].during_seconds / max(1, len(watched.runs))
    table = Table(
        "process",
        "PSS MB",
        "RSS MB",
        "CPU % between runs",
        "CPU % with them",
        title=f"ready after {ready_seconds:.1f} s; watched for {watched.seconds / 60:.1f} min; of "
        f"{len(watched.runs)} runs each took {spent:.1f} s of CPU, the largest {watched.run_pss_mb:.0f} MB",
    )
    total = Taken()
    for name, taken in sorted(watched.names.items(), key=lambda pair: -pair[1].pss_mb):
        table.add_row(name, *_cells(taken, watched))
        total.pss_mb += taken.pss_mb
        total.rss_mb += taken.rss_mb
        total.between_seconds += taken.between_seconds
        total.during_seconds += taken.during_seconds
    table.add_section()
    table.add_row("all", *_cells(total, watched))
    return table


def _cells(taken: Taken, watched: Watched) -> tuple[str, ...]:
    between = taken.between_seconds / watched.quiet_seconds * 100
    overall = (taken.between_seconds + taken.during_seconds) / watched.seconds * 100
    return f"{taken.pss_mb:,.0f}", f"{taken.rss_mb:,.0f}", f"{between:.2f}", f"{overall:.2f}"


def _refresh(timelines: list[dict[str, float]]) -> Table:
    table = Table("a refresh with nothing new", "seconds", title=f"median of {len(timelines)} refreshes")
    for moment in timelines[0]:
        table.add_row(moment, f"{statistics.median(line.get(moment, 0.0) for line in timelines):.2f}")
    return table
