"""Servers and load for the benchmarks over HTTP: granian as `footfall up` starts it, and wrk (Debian's package)."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from footfall.stack import INGEST_WORKERS, serve_command

AN_EVENT = {
    "user_type": "student",
    "app_name": "DViz",
    "event_type": "button",
    "event_name": "press",
    "user_id": 7,
    "session_id": "8d7f2f0e-5d0e-4a39-a2f5-0b6d8a9f3c11",
    "meta": {"page": 3, "referrer": "https://example.org/lessons/12"},
}
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
LUA = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["User-Agent"] = "{agent}"
wrk.headers["Authorization"] = "Bearer {key}"
"""
READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured: answers per second, latencies in ms, and how many answers were not 2xx."""

    per_second: float
    p50_ms: float
    p99_ms: float
    refused: int


@contextmanager
def process(command: Sequence[str], env: Mapping[str, str]) -> Iterator[psutil.Process]:
    """Run a process and stop it at the end, its children too."""
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(command, env={**os.environ, **env}, stdout=output, stderr=output)
        try:
            yield psutil.Process(running.pid)
        finally:
            running.terminate()
            running.wait(30)


@contextmanager
def server(target: str, env: Mapping[str, str], workers: int = INGEST_WORKERS) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a WSGI factory as `footfall up` does; yield its address and its main process."""
    port = free_port()
    with process(serve_command(target, port, workers), env) as running:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(url):
            if time.monotonic() > deadline or not running.is_running():
                raise RuntimeError(f"{target} did not start")
            time.sleep(0.1)
        yield url, running


@contextmanager
def drainer(env: Mapping[str, str]) -> Iterator[None]:
    """Run the drainer of the home folder of `env`."""
    with process([sys.executable, "-m", "ingest_app.drain"], env):
        yield


def wrk(url: str, key: str, seconds: float, connections: int) -> Load:
    """Post single events as fast as `connections` take them. Raises FileNotFoundError where there is no wrk."""
    script = LUA.format(body=json.dumps(AN_EVENT), agent=BROWSER, key=key)
    return run_wrk(f"{url}/api/events", script, seconds, connections)


def run_wrk(address: str, script: str, seconds: float, connections: int) -> Load:
    """Send what a Lua script says. Raises FileNotFoundError where there is no wrk."""
    if shutil.which("wrk") is None:
        raise FileNotFoundError("this benchmark needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requests.lua"
        path.write_text(script)
        load = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"]
        command = ["wrk", *load, "-s", str(path), address]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _read_wrk(printed)


def _read_wrk(printed: str) -> Load:
    def milliseconds(percent: int) -> float:
        found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", printed, re.MULTILINE)
        if not found:
            raise RuntimeError(f"wrk said:\n{printed}")
        return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]

    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", printed, re.MULTILINE)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    if not rate:
        raise RuntimeError(f"wrk said:\n{printed}")
    return Load(float(rate[1]), milliseconds(50), milliseconds(99), int(refused[1]) if refused else 0)


def _answers(url: str) -> bool:
    try:
        requests.get(f"{url}/healthz", timeout=2)
    except requests.RequestException:
        return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
