"""A real cluster of Spark's: a master and workers, each a process of its own, from the installed package.

No test and no fixture here. All listen on 127.0.0.1, and write below a folder of the caller's.
"""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
DEPLOY = "org.apache.spark.deploy"
WORKER_MEMORY = "1g"
START_SECONDS = 120
END_SECONDS = 20
MASTER_AT = re.compile(r"Starting Spark master at (?P<address>spark://127\.0\.0\.1:\d+)")
PAGE_AT = re.compile(r"MasterWebUI.*started at (?P<url>http://127\.0\.0\.1:\d+)")


@dataclass
class SparkCluster:
    """A master that runs and its workers, in the order of their start. Each leads a group of processes, its own."""

    folder: Path
    master: subprocess.Popen[bytes]
    address: str
    page: str
    workers: list[subprocess.Popen[bytes]]

    @property
    def worker_count(self) -> int:
        """How many run."""
        return sum(worker.poll() is None for worker in self.workers)

    def start_workers(self, count: int) -> None:
        """Start workers at once, with a core and WORKER_MEMORY each, and wait until the master knows them."""
        wanted = len(self._alive_workers()) + count
        for _ in range(count):
            name = f"worker-{len(self.workers)}"
            work = ("--work-dir", self.folder / name / "work")
            size = ("--cores", 1, "--memory", WORKER_MEMORY)
            listen = ("--host", "127.0.0.1", "--port", 0, "--webui-port", 0)
            process = _start(self.folder / name, f"{DEPLOY}.worker.Worker", *listen, *size, *work, self.address)
            self.workers.append(process)
        wait_until(lambda: len(self._alive_workers()) >= wanted)

    def keep_workers(self, count: int) -> None:
        """Start as many as there are too few, for a test before may have killed some."""
        if self.worker_count < count:
            self.start_workers(count - self.worker_count)

    def kill_workers(self, count: int) -> None:
        """Kill the first that still run, each with the executors that it started, and wait until the master knows."""
        wanted = len(self._alive_workers()) - count
        for worker in [worker for worker in self.workers if worker.poll() is None][:count]:
            kill(worker)
        wait_until(lambda: len(self._alive_workers()) <= wanted)

    def _alive_workers(self) -> list[dict[str, object]]:
        with urllib.request.urlopen(f"{self.page}/json/", timeout=10) as answer:
            return [worker for worker in json.load(answer)["workers"] if worker["state"] == "ALIVE"]


@contextmanager
def spark_cluster(folder: Path, worker_count: int = 2) -> Iterator[SparkCluster]:
    """Start a cluster, and end all of it: asked first, killed where that does not help."""
    master = _start(folder / "master", f"{DEPLOY}.master.Master", "--host", "127.0.0.1", "--port", 0, "--webui-port", 0)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        log = folder / "master" / "log"
        wait_until(lambda: PAGE_AT.search(log.read_text()) is not None)
        address, page = MASTER_AT.search(log.read_text()), PAGE_AT.search(log.read_text())
        assert address
        assert page
        cluster = SparkCluster(folder, master, address["address"], page["url"], workers)
        cluster.start_workers(worker_count)
        yield cluster
    finally:
        for process in (*workers, master):
            _end(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started here, with its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Look ten times a second."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def _start(folder: Path, *command: object) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    env = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_PUBLIC_DNS": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_CONF_DIR": str(folder),
        # else it takes programs over HTTP as well, at a port that is the same for all
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
    }
    with (folder / "log").open("wb") as log:
        words = [str(word) for word in (SPARK_CLASS, *command)]
        # a group of its own, so that what it starts can be ended with it
        return subprocess.Popen(words, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)
