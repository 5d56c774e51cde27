"""The orchestration as an operator has it: a real web server and daemon, asked over GraphQL."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import requests

PROJECT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
DEADLINE_SECONDS = 180
BROKEN_MODEL = "rpt_daily_activity"
CHECK_OF_BROKEN_MODEL = "unique_rpt_daily_activity_activity_date"

# what the command line prepares for its children, printed by a process of its own
PREPARE = """
import json, os, pathlib, footfall.dagster_home as home
print(json.dumps(home.dagster_environment(pathlib.Path(os.environ["FOOTFALL_HOME"]), os.environ["DATABASE_URL"])))
"""

LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
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
RELOAD = """
mutation { reloadRepositoryLocation(repositoryLocationName: "footfall") {
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
} }
"""
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
SCHEDULES = """
{ repositoryOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "footfall"}) {
  ... on Repository { schedules { pipelineName cronSchedule description scheduleState { status } } }
} }
"""


@dataclass(frozen=True)
class Dagster:
    """The running web server and daemon, and where they keep things."""

    url: str
    project: Path
    home: Path

    def ask(self, query: str, **variables: Any) -> Any:  # noqa: ANN401, it is as free as JSON
        """Return the one field that the query asks for."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=90).json()
        assert "errors" not in answer, answer
        [value] = answer["data"].values()
        return value

    def refresh(self) -> tuple[str, str]:
        """Launch the job, wait for its end; returns the run's id and its status."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "footfall",
            "jobName": "refresh",
        }
        launched = self.ask(LAUNCH, selector=selector)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        wait_until(lambda: self.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, "the run's end")
        return run_id, self.status(run_id)

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
    def published(self) -> Path:
        return self.home / "warehouse" / "analytics.duckdb"


@pytest.fixture
def dagster(database_url: str, tmp_path: Path) -> Iterator[Dagster]:
    project, home = tmp_path / "project", tmp_path / "home"
    copy_tracked_files(project)
    with ExitStack() as running:
        port = free_port()
        env = {**os.environ, "PYTHONPATH": str(project), "FOOTFALL_HOME": str(home), "DATABASE_URL": database_url}
        prepared = subprocess.run(
            [sys.executable, "-c", PREPARE], env=env, cwd=project, check=True, capture_output=True, text=True
        )
        env |= json.loads(prepared.stdout)
        web = ["dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
        for command in (web, ["dagster-daemon", "run", "-w", "workspace.yaml"]):
            running.enter_context(process(command, env, project, tmp_path / f"{command[0]}.log"))
        stack = Dagster(f"http://127.0.0.1:{port}", project, home)
        wait_until(lambda: location_is_loaded(stack), "the code location")
        yield stack


def test_refresh_publishes_and_broken_model_does_not(dagster: Dagster, database: psycopg.Connection) -> None:
    database.execute("INSERT INTO activity_events (event_type) VALUES ('login'), ('login'), ('app_open')")

    run_id, status = dagster.refresh()

    assert status == "SUCCESS", failures(dagster, run_id)
    assert logins_published(dagster) == 2
    assert dagster.metadata("raw", "activity_events")["dagster/row_count"] == 3
    assert dagster.metadata("raw", "activity_events")["loaded_row_count"] == 3
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
    assert logins_published(dagster) == 2
    assert dagster.metadata("raw", "activity_events")["dagster/row_count"] == 4

    schedules = dagster.ask(SCHEDULES)["schedules"]
    running = {schedule["pipelineName"]: schedule["cronSchedule"] for schedule in schedules}
    assert {running["refresh"], running["cleanup_live_sessions"]} == {"*/5 * * * *"}
    assert {schedule["scheduleState"]["status"] for schedule in schedules} == {"RUNNING"}
    assert all(schedule["description"] for schedule in schedules)


def break_model(dagster: Dagster) -> None:
    """Break it in the copy, and wait until no run is under way that still has the good one."""
    [model] = (dagster.project / "transforms").rglob(f"{BROKEN_MODEL}.sql")
    model.write_text("select no_such_column from {{ ref('stg_activity_events') }}\n")
    reloaded = dagster.ask(RELOAD)
    assert reloaded["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    wait_until(lambda: not dagster.ask(UNFINISHED)["results"], "the end of earlier runs")


def failures(dagster: Dagster, run_id: str) -> list[tuple[str, str]]:
    events = dagster.ask(FAILURES, id=run_id)["events"]
    return [(event["stepKey"], event["error"]["message"]) for event in events if event]


def logins_published(dagster: Dagster) -> int:
    with duckdb.connect(str(dagster.published), read_only=True) as connection:
        [(count,)] = connection.sql(f"SELECT sum(login_count)::BIGINT FROM marts.{BROKEN_MODEL}").fetchall()
    return int(count)


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
