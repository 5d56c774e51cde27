"""The orchestration as an operator has it: one running footfall, asked over GraphQL, and what is killed in it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import duckdb
import psutil
import psycopg
import pytest
import requests

from tests.conftest import new_database

PROJECT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
DEADLINE_SECONDS = 180
BROKEN_MODEL = "rpt_daily_activity"
CHECK_OF_BROKEN_MODEL = "unique_rpt_daily_activity_activity_date"

LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
TERMINATE = """
mutation ($id: String!) { terminateRun(runId: $id) { __typename } }
"""
REBUILD = """
mutation ($days: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: [{path: ["rebuilt_days"]}], partitionNames: $days}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
RUNS_OF_BACKFILL = """
query ($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) { ... on Runs { results { status } } }
}
"""
UNFINISHED = """
{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]}) { ... on Runs { results { runId } } } }
"""
FAILURES = """
query ($id: ID!) {
  logsForRun(runId: $id) { ... on EventConnection {
    events { ... on ExecutionStepFailureEvent { stepKey error { message } } }
  } }
}
"""
MATERIALIZATION = """
query ($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) { ... on Asset {
    assetMaterializations(limit: 1) { runId metadataEntries { label ... on IntMetadataEntry { intValue } } }
  } }
}
"""
CHECKS = """
query ($key: AssetKeyInput!) {
  assetNodes(assetKeys: [$key]) { assetChecksOrError { ... on AssetChecks {
    checks { name description executionForLatestMaterialization { status } }
  } } }
}
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
SCHEDULES = """
{ repositoryOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "footfall"}) {
  ... on Repository { schedules { pipelineName cronSchedule description scheduleState { status } } }
} }
"""


@dataclass(frozen=True)
class Dagster:
    """The running footfall, and where it keeps things."""

    url: str
    database_url: str
    project: Path
    home: Path

    def ask(self, query: str, **variables: Any) -> Any:  # noqa: ANN401, it is as free as JSON
        """Return the one field that the query asks for."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=90).json()
        assert "errors" not in answer, answer
        [value] = answer["data"].values()
        return value

    def launch(self) -> str:
        """Launch the job; returns the run's id."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "footfall",
            "jobName": "refresh",
        }
        launched = self.ask(LAUNCH, selector=selector)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def refresh(self) -> tuple[str, str]:
        """Launch the job, wait for its end; returns the run's id and its status."""
        run_id = self.launch()
        wait_until(lambda: self.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, "the run's end")
        return run_id, self.status(run_id)

    def wait_held(self, run_id: str, database: psycopg.Connection) -> None:
        """Wait until the run waits for a table that somebody has locked; `database` is not in a transaction."""
        wait_until(lambda: self.status(run_id) == "STARTED" and count(database, WAITING) > 0, "a wait")

    def kill(self, part_of_command: str) -> None:
        """Kill the processes of this footfall that have that in their command line."""
        found = [process for process in psutil.process_iter() if self._is_ours(process, part_of_command)]
        assert found
        for process in found:
            process.kill()

    def _is_ours(self, process: psutil.Process, part_of_command: str) -> bool:
        try:
            is_ours = process.environ().get("FOOTFALL_HOME") == str(self.home)
            return is_ours and part_of_command in " ".join(process.cmdline())
        except psutil.Error:
            return False

    def status(self, run_id: str) -> str:
        return str(self.ask(RUN, id=run_id)["status"])

    def metadata(self, *key: str) -> dict[str, int | None]:
        """Return the whole numbers of an asset's latest materialization."""
        [latest] = self.ask(MATERIALIZATION, key={"path": key})["assetMaterializations"]
        return {entry["label"]: entry.get("intValue") for entry in latest["metadataEntries"]}

    def checks(self, *key: str) -> dict[str, str]:
        [node] = self.ask(CHECKS, key={"path": key})
        return {
            check["name"]: str((check["executionForLatestMaterialization"] or {}).get("status"))
            for check in node["assetChecksOrError"]["checks"]
        }

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse" / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.home / "warehouse" / "analytics.duckdb"


@pytest.fixture(scope="module")
def dagster(server_url: str, template_database: str, give_models: Callable[[Path], None]) -> Iterator[Dagster]:
    with new_database(server_url, template_database) as database_url, TemporaryDirectory(prefix="footfall-") as folder:
        project, home, port = Path(folder) / "project", Path(folder) / "home", free_port()
        copy_tracked_files(project)
        give_models(home)
        env = {
            **os.environ,
            "PYTHONPATH": str(project),
            "FOOTFALL_HOME": str(home),
            "DATABASE_URL": database_url,
            "FOOTFALL_SECRET": "s" * 32,
            "FOOTFALL_ADMIN_PORT": str(free_port()),
            "FOOTFALL_DAGSTER_PORT": str(port),
        }
        with process(["footfall", "up", "--only", "warehouse"], env, project, Path(folder) / "up.log"):
            stack = Dagster(f"http://127.0.0.1:{port}", database_url, project, home)
            wait_until(lambda: location_is_loaded(stack), "the code location")
            yield stack


@pytest.fixture
def database(dagster: Dagster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dagster.database_url, autocommit=True) as connection:
        yield connection


def test_chosen_days_are_rebuilt_in_one_run(dagster: Dagster, database: psycopg.Connection) -> None:
    database.execute("INSERT INTO activity_events (event_type) VALUES ('login'), ('login')")
    assert dagster.refresh()[1] == "SUCCESS"
    good = logins_published(dagster)
    wait_until(lambda: not dagster.ask(UNFINISHED)["results"], "the end of earlier runs")
    with duckdb.connect(str(dagster.warehouse)) as warehouse:
        warehouse.execute(f"UPDATE marts.{BROKEN_MODEL} SET login_count = 77")

    today = datetime.now(UTC).date()
    days = [str(today - timedelta(days=before)) for before in (2, 1, 0)]
    launched = dagster.ask(REBUILD, days=days)

    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def runs() -> list[str]:
        return [run["status"] for run in dagster.ask(RUNS_OF_BACKFILL, id=launched["backfillId"])["results"]]

    wait_until(lambda: runs() == ["SUCCESS"], "one run")
    assert logins_published(dagster) == good


def test_nothing_that_is_killed_or_canceled_blocks(dagster: Dagster, database: psycopg.Connection) -> None:
    with locked(dagster):
        killed = dagster.launch()
        dagster.wait_held(killed, database)
        next_one, canceled = dagster.launch(), dagster.launch()
        dagster.ask(TERMINATE, id=canceled)
        assert dagster.status(canceled) == "CANCELED"

        dagster.kill("spawn_main")
        wait_until(lambda: dagster.status(killed) == "FAILURE", "its failure")
        dagster.wait_held(next_one, database)
        dagster.ask(TERMINATE, id=next_one)
    wait_until(lambda: dagster.status(next_one) == "CANCELED", "its end")

    with locked(dagster):
        orphaned = dagster.launch()
        dagster.wait_held(orphaned, database)
        dagster.kill("api grpc")
        killed_at = time.monotonic()
        wait_until(lambda: dagster.status(orphaned) == "FAILURE", "its failure")
        assert time.monotonic() - killed_at < 100
    wait_until(lambda: location_is_loaded(dagster), "the code location")
    assert dagster.refresh()[1] == "SUCCESS"


def test_refresh_publishes_and_broken_model_does_not(dagster: Dagster, database: psycopg.Connection) -> None:
    database.execute("INSERT INTO activity_events (event_type) VALUES ('login'), ('login'), ('app_open')")

    run_id, status = dagster.refresh()

    assert status == "SUCCESS", failures(dagster, run_id)
    assert logins_published(dagster) == logins(database)
    rows = count(database, "SELECT count(*) FROM activity_events")
    assert dagster.metadata("raw", "activity_events")["dagster/row_count"] == rows
    assert dagster.metadata(BROKEN_MODEL)["dagster/row_count"] == 1
    assert dagster.metadata("published", "analytics")["dagster/row_count"] > 0  # type: ignore[operator]
    assert dagster.checks(BROKEN_MODEL)[CHECK_OF_BROKEN_MODEL] == "SUCCEEDED"

    database.execute("INSERT INTO activity_events (event_type) VALUES ('login')")
    break_model(dagster)
    old = dagster.published.read_bytes()

    run_id, status = dagster.refresh()

    assert status == "FAILURE"
    [(step, message)] = failures(dagster, run_id)
    assert step == "models"
    assert f"model {BROKEN_MODEL}" in message
    assert "no_such_column" in message
    assert dagster.published.read_bytes() == old
    assert logins_published(dagster) == logins(database) - 1
    assert dagster.metadata("raw", "activity_events")["dagster/row_count"] == rows + 1

    schedules = dagster.ask(SCHEDULES)["schedules"]
    running = {schedule["pipelineName"]: schedule["cronSchedule"] for schedule in schedules}
    assert {running["refresh"], running["cleanup_live_sessions"]} == {"*/5 * * * *"}
    assert {schedule["scheduleState"]["status"] for schedule in schedules} == {"RUNNING"}
    assert all(schedule["description"] for schedule in schedules)


def break_model(dagster: Dagster) -> None:
    """Break it in the copy, and wait until no run is under way that still has the good one."""
    [model] = (dagster.project / "transforms").rglob(f"{BROKEN_MODEL}.sql")
    model.write_text("select no_such_column from {{ ref('stg_activity_events') }}\n")
    wait_until(lambda: not dagster.ask(UNFINISHED)["results"], "the end of earlier runs")


def failures(dagster: Dagster, run_id: str) -> list[tuple[str, str]]:
    events = dagster.ask(FAILURES, id=run_id)["events"]
    return [(event["stepKey"], event["error"]["message"]) for event in events if event]


def logins_published(dagster: Dagster) -> int:
    with duckdb.connect(str(dagster.published), read_only=True) as connection:
        [(count,)] = connection.sql(f"SELECT sum(login_count)::BIGINT FROM marts.{BROKEN_MODEL}").fetchall()
    return int(count)


@contextmanager
def locked(dagster: Dagster) -> Iterator[None]:
    """Keep every load waiting, of runs that are launched from now on: those of before have ended."""
    wait_until(lambda: not dagster.ask(UNFINISHED)["results"], "the end of earlier runs")
    with psycopg.connect(dagster.database_url) as holder:
        holder.execute("LOCK TABLE activity_events")
        yield


def logins(database: psycopg.Connection) -> int:
    return count(database, "SELECT count(*) FROM activity_events WHERE event_type = 'login'")


def count(database: psycopg.Connection, query: LiteralString) -> int:
    [(number,)] = database.execute(query).fetchall()
    return int(number)


def location_is_loaded(dagster: Dagster) -> bool:
    try:
        entries = dagster.ask(LOCATIONS)["locationEntries"]
    except requests.ConnectionError:
        return False
    return {"name": "footfall", "loadStatus": "LOADED"} in entries


def copy_tracked_files(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, folder / name)


@contextmanager
def process(command: list[str], env: Mapping[str, str], folder: Path, log_path: Path) -> Iterator[None]:
    with log_path.open("w") as log:
        child = subprocess.Popen(
            [PROGRAMS / command[0], *command[1:]], env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            child.terminate()
            child.wait(60)


def wait_until(condition: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{name} did not come within {DEADLINE_SECONDS} s"
        time.sleep(0.25)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
