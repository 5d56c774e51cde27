"""The read side as it runs: two of granian's workers, on a port, with its log."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests

from footfall.stack import serve_command
from ingest_app.logs import CONFIG
from tests.integration.controlling import new_key, wait_until

WORKERS = 2
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Served:
    """The read side's address, its process and its log."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = serve_command("admin_app.app:create_app", port, WORKERS)
    # granian's own list of requests too: an address may be in a log, so no key may be in an address
    logs = ("--log-config", str(CONFIG), "--access-log")
    env = {**os.environ, "DATABASE_URL": database_url, "FOOTFALL_SECRET": "a test's", "FOOTFALL_HOME": str(tmp_path)}
    log = tmp_path / "admin.log"
    with log.open("w") as written:
        process = subprocess.Popen([*command, *logs], env=env, stdout=written, stderr=written, cwd=ROOT)
    served = Served(f"http://127.0.0.1:{port}", process, log)
    try:
        # each has begun to serve: one that is told to end before it does never hears it
        wait_until(lambda: log.read_text().count("Started worker-") >= WORKERS or process.poll() is not None, "granian")
        yield served
    finally:
        served.stop()


def test_session_of_one_worker_works_in_the_other_and_no_key_is_logged(served: Served, database_url: str) -> None:
    key = new_key(database_url, "admin")
    with requests.Session() as browser:
        form = browser.get(f"{served.url}/sign-in?next=/controls", timeout=10)
        _, _, rest = form.text.partition('name="csrf_token" value="')
        sent = {"key": key, "csrf_token": rest.partition('"')[0]}
        assert browser.post(f"{served.url}/sign-in", data=sent, allow_redirects=False, timeout=10).status_code == 303
        cookies = browser.cookies
    # lines of their own, which the kernel gives to one worker or the other
    asked = [requests.get(f"{served.url}/api/settings", cookies=cookies, timeout=10) for _ in range(12)]
    assert {answer.status_code for answer in asked} == {200}
    requests.get(f"{served.url}/api/settings", headers={"Authorization": f"Bearer {key}"}, timeout=10)
    requests.get(f"{served.url}/api/settings", headers={"Authorization": "Bearer ff_admin_wrong"}, timeout=10)
    assert served.stop() == 0
    lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert {"signed in", "a key that does not work was shown"} <= {line["event"] for line in lines}
    assert len({line["pid"] for line in lines}) > 1
    written = served.log.read_text()
    assert key not in written
    assert "ff_admin" not in written
    assert str(cookies["footfall"]) not in written


def test_workers_end_while_postgres_hangs(served: Served, database: psycopg.Connection) -> None:
    with database.transaction():
        database.execute("LOCK TABLE api_keys, admin_settings IN ACCESS EXCLUSIVE MODE")
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        wait_until(lambda: database.execute(waiting).fetchone() != (0,), "a look that hangs")
        assert served.stop() == 0


def test_missing_settings_are_named_at_once(tmp_path: Path) -> None:
    code = "from admin_app.app import create_app; create_app()"
    env = {"PATH": os.environ["PATH"], "FOOTFALL_TRUSTED_PROXIES": "many", "FOOTFALL_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 1
    for name in ("database_url", "footfall_secret", "footfall_trusted_proxies"):
        assert name in ended.stderr
    assert "many" not in ended.stderr
