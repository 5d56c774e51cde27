"""A node for tests: ingest's workers under granian and the drainer, as processes with their logs, and no more."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from prometheus_client.parser import text_string_to_metric_families

from footfall.stack import serve_command
from ingest_app.logs import CONFIG

Metrics = dict[str, dict[tuple[str, ...], float]]
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Node:
    """What runs, and where it is reached. Each request has a connection of its own, so that any worker may answer."""

    url: str
    home: Path
    ingest: subprocess.Popen[bytes]
    drainer: subprocess.Popen[bytes]

    def is_alive(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def post(self, path: str, body: dict[str, Any] | list[Any] | str, key: str, **headers: str) -> requests.Response:
        sent = {"Authorization": f"Bearer {key}", **headers}
        return requests.post(f"{self.url}{path}", json=body, headers=sent, timeout=10)

    def metrics(self) -> Metrics:
        return read_metrics(requests.get(f"{self.url}/metrics", timeout=10).text)

    def worker_pids(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.ingest.pid).children() if child.is_running()]

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.home.glob("*.log")))


def read_metrics(text: str) -> Metrics:
    """Return the samples of a scrape: name, then the values of the labels in the order of their names."""
    found: Metrics = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@contextmanager
def running_node(database_url: str, home: Path) -> Iterator[Node]:
    port = _free_port()
    given = {"DATABASE_URL": database_url, "FOOTFALL_SECRET": "a test's secret", "FOOTFALL_HOME": str(home)}
    env = {**os.environ, **given, "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics")}
    served = (*serve_command("ingest_app.app:create_app", port, 2), "--log-config", str(CONFIG))
    drain = (sys.executable, "-m", "ingest_app.drain")
    with _process(drain, env, home / "drainer.log") as drainer, _process(served, env, home / "ingest.log") as ingest:
        node = Node(f"http://127.0.0.1:{port}", home, ingest, drainer)
        wait_until(node.is_alive)
        yield node


@contextmanager
def _process(command: tuple[str, ...], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        # not asked to stop: granian waits for ever for a worker that was still starting when it was asked
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
