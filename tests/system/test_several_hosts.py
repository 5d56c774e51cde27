"""Several ingest hosts and one Postgres: each event once, whichever host took it, also when a host is lost."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from tests.system.conftest import Footfall, Running, _free_ports
from tests.system.killing import wait_until

EVENT = {"user_type": "guest", "app_name": "DViz", "event_type": "visit", "event_name": "home"}
ID = "0198a5d0-0000-7000-8000-00000000000{}"


@pytest.fixture
def hosts(migrated: Footfall, folder: Path) -> list[Footfall]:
    """Two ingest hosts: home folders and ports of their own, the Postgres and the secret of both."""
    return [_host(migrated, folder / name) for name in ("first", "second")]


def test_event_counts_once_whichever_host_took_it(
    migrated: Footfall, hosts: list[Footfall], start: Callable[..., Running]
) -> None:
    key = migrated.run("keys", "create", "--scope", "write").stdout.strip()
    for host in hosts:
        up = start(host, "up", "--only", "ingest")
        up.wait_for("Ctrl-C stops everything")
        assert not [line for line in up.lines if "Dagster" in line]
    first, second = hosts
    assert _post(first, key, ID.format(1), ID.format(2)) == 202
    # a balancer sends a retry to the other host
    assert _post(second, key, ID.format(2), ID.format(3)) == 202
    with psycopg.connect(migrated.env["DATABASE_URL"], autocommit=True) as database:
        _wait_for(database, 3)
        assert database.execute("SELECT count(DISTINCT ip_hash) FROM tracking_events").fetchone() == (1,)

        # the second host's drainer is stopped, the host takes a last event and is lost; another one reads its disk
        _drainer(second).suspend()
        assert _post(second, key, ID.format(4)) == 202
        for process in second.processes():
            process.kill()
        with _draining(second.home, migrated.env["DATABASE_URL"]):
            _wait_for(database, 4)
            wait_until(lambda: not list(second.home.glob("spool/*.spool")))


def test_ingest_host_starts_while_postgres_is_away(hosts: list[Footfall], start: Callable[..., Running]) -> None:
    away = replace(hosts[0], env={**hosts[0].env, "DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    start(away, "up", "--only", "ingest").wait_for("Ctrl-C stops everything")
    assert requests.get(away.url("ingest") + "/healthz", timeout=10).ok
    for process in away.processes():
        process.kill()


def _host(migrated: Footfall, home: Path) -> Footfall:
    [port] = _free_ports(1)
    given = {"FOOTFALL_HOME": str(home), "FOOTFALL_INGEST_PORT": str(port), "FOOTFALL_SECRET": "one for all hosts"}
    return Footfall(home, {**migrated.env, **given})


def _post(host: Footfall, key: str, *event_ids: str) -> int:
    body = [{**EVENT, "event_id": event_id} for event_id in event_ids]
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "Firefox/140.0"}
    return requests.post(host.url("ingest") + "/api/events", json=body, headers=headers, timeout=10).status_code


def _drainer(host: Footfall) -> psutil.Process:
    return next(process for process in host.processes() if "ingest_app.drain" in process.cmdline())


@contextmanager
def _draining(home: Path, database_url: str) -> Iterator[None]:
    env = {**os.environ, "FOOTFALL_HOME": str(home), "DATABASE_URL": database_url, "FOOTFALL_SECRET": "not used"}
    with subprocess.Popen([sys.executable, "-m", "ingest_app.drain"], env=env, stderr=subprocess.DEVNULL) as drainer:
        yield
        drainer.terminate()


def _wait_for(database: psycopg.Connection, count: int) -> None:
    wait_until(lambda: database.execute("SELECT count(*) FROM tracking_events").fetchone() == (count,))
    assert database.execute("SELECT count(DISTINCT event_id) FROM tracking_events").fetchone() == (count,)
