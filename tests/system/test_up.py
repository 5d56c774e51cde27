"""The whole stack, up and down: addresses, keys, a child that dies, an orderly end, and the demo."""

import signal
from collections.abc import Callable
from pathlib import Path

import duckdb
import psutil
import pytest
import requests

from tests.system.conftest import Footfall, Running

EVENT = {"user_type": "guest", "app_name": "DViz", "event_type": "visit", "event_name": "home"}


def test_up_serves_restarts_and_stops_cleanly(
    footfall: Footfall, start: Callable[..., Running], give_models: Callable[[Path], None]
) -> None:
    give_models(footfall.home)
    up = start(footfall, "up")
    keys = {scope: up.wait_for(rf"{scope} key +(\S+)")[1] for scope in ("write", "server", "admin")}
    up.wait_for("Ctrl-C stops everything")
    assert _post(footfall, keys["write"]) == 202
    assert requests.get(footfall.url("admin"), timeout=10).status_code == 200
    assert requests.get(footfall.url("dagster") + "/server_info", timeout=10).ok

    refused = footfall.run("up")
    assert refused.returncode == 1
    assert f"already up on {footfall.home} (process {up.process.pid})" in refused.stderr

    _kill_ingest(footfall)
    up.wait_for(r"ingest ended with exit code .*restarting in 1 s")
    _wait_until(lambda: _post(footfall, keys["write"]) == 202)

    _kill_postgres(footfall)
    up.wait_for("Postgres ended; starting it again")
    _wait_until(lambda: _post(footfall, keys["write"]) == 202)

    up.process.kill()
    up.process.wait(60)
    assert footfall.processes() != []
    up = start(footfall, "up")
    up.wait_for("ended [0-9]+ processes that an earlier footfall had left running")
    up.wait_for("keys +made earlier, shown once")
    up.wait_for("Ctrl-C stops everything")
    assert _post(footfall, keys["write"]) == 202

    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(60) == 0
    assert footfall.processes() == []


def test_demo_once_shows_numbers_and_leaves_nothing_running(footfall: Footfall) -> None:
    answer = footfall.run("demo", "--once", "--days", "3", timeout=240)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert footfall.url("dagster") in answer.stdout
    assert "Active subscriptions by plan" in answer.stdout
    assert footfall.processes() == []
    with duckdb.connect(footfall.home / "warehouse" / "analytics.duckdb", read_only=True) as published:
        counted = published.sql("SELECT sum(event_count) FROM marts.rpt_event_usage_daily").fetchall()
    assert counted[0][0] > 1_000


def _post(footfall: Footfall, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    try:
        return requests.post(
            footfall.url("ingest") + "/api/events", json=EVENT, headers=headers, timeout=10
        ).status_code
    except requests.ConnectionError:
        return 0


def _kill_ingest(footfall: Footfall) -> None:
    port = footfall.env["FOOTFALL_INGEST_PORT"]
    victims = [process for process in footfall.processes() if port in process.cmdline()]
    assert victims
    for process in victims:
        process.kill()


def _kill_postgres(footfall: Footfall) -> None:
    pid = int((footfall.home / "postgres" / "postmaster.pid").read_text().split()[0])
    psutil.Process(pid).kill()


def _wait_until(is_true: Callable[[], bool]) -> None:
    watched = psutil.Process()
    for _ in range(300):
        if is_true():
            return
        watched.cpu_percent(interval=0.1)
    pytest.fail("it did not happen within 30 s")
