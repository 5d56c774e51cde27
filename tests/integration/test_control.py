"""Keys and kill switches as workers obey them: soon, in every worker, without a query a request, without Postgres."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg
import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from ingest_app.app import create_app
from ingest_app.control import LONGEST_WAIT_SECONDS, Control
from ingest_app.settings import IngestSettings
from ingest_app.spool.files import Part, spools_in
from ingest_app.spool.reader import SpoolReader, read_backlog
from ingest_app.spool.writer import Limits, Spool
from tests.integration.conftest import Api
from tests.integration.controlling import new_key, postgres_away, revoke, switch, wait_until, watching

AN_EVENT = {"user_type": "student", "app_name": "DViz", "event_type": "button", "event_name": "press"}
DROPPED = {"accepted": 0, "dropped": 2, "reason": "tracking_disabled", "event_ids": [], "errors": []}
PROMISED_SECONDS = 1.0
WORKERS = 2
ROUNDS = 4


class Workers:
    """Ingest as it runs: granian with two workers, and lines to each of them that stay open."""

    def __init__(self, address: tuple[str, int], process: psutil.Process) -> None:
        self.address = address
        self.process = process
        self.lines: dict[int, HTTPConnection] = {}

    def reach_all(self) -> bool:
        """Open a line more; the kernel gives it to one of the workers."""
        line = HTTPConnection(*self.address, timeout=10)
        line.request("GET", "/healthz")
        line.getresponse().read()
        port = line.sock.getsockname()[1]
        owner = next(pid for pid in self._pids() if port in _remote_ports(pid))
        if self.lines.setdefault(owner, line) is not line:
            line.close()
        return len(self.lines) == WORKERS

    def post(self, pid: int, key: str) -> tuple[int, Any]:
        self.lines[pid].request(
            "POST", "/api/events", msgspec.json.encode([AN_EVENT] * 2), {"Authorization": f"Bearer {key}"}
        )
        response = self.lines[pid].getresponse()
        return response.status, msgspec.json.decode(response.read())

    def answers(self, key: str, status: int, accepted: int | None, pid: int) -> bool:
        answered, body = self.post(pid, key)
        return (answered, body.get("accepted")) == (status, accepted)

    def seconds_until(self, is_so: Callable[[int], bool], since: float) -> float:
        """Ask each worker in turn until all have answered so; return when the last first did, after `since`."""
        waiting = set(self.lines)
        deadline = since + 10
        while waiting:
            waiting -= {pid for pid in waiting if is_so(pid)}
            assert time.monotonic() < deadline, "a worker never knew"
        return time.monotonic() - since

    def _pids(self) -> list[int]:
        return [child.pid for child in self.process.children(recursive=True)]


@pytest.fixture
def workers(database_url: str, tmp_path: Path) -> Iterator[Workers]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--factory")
    served = ("ingest_app.app:create_app", "--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS))
    env = {**os.environ, "DATABASE_URL": database_url, "FOOTFALL_SECRET": "a test's", "FOOTFALL_HOME": str(tmp_path)}
    with (tmp_path / "granian.log").open("w") as log:
        process = subprocess.Popen([*command, *served], env=env, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
    made = Workers(("127.0.0.1", port), psutil.Process(process.pid))
    try:
        wait_until(lambda: _answers(made.address) or process.poll() is not None, "granian")
        wait_until(made.reach_all, "a line to each worker")
        yield made
    finally:
        for line in made.lines.values():
            line.close()
        process.terminate()
        assert process.wait(30) == 0


def test_switch_is_obeyed_by_each_worker_within_a_second(workers: Workers, database_url: str) -> None:
    key, delays = new_key(database_url), []
    for value, accepted in (("0", 0), ("1", 2)) * ROUNDS:
        committed_at = switch(database_url, value)
        obeys = partial(workers.answers, key, 202, accepted)
        delays.append(workers.seconds_until(obeys, committed_at))
    assert max(delays) < PROMISED_SECONDS, delays


def test_key_works_and_stops_in_each_worker_within_a_second(workers: Workers, database_url: str) -> None:
    delays = []
    for key_id in range(1, ROUNDS + 1):
        key = new_key(database_url)
        assert [workers.post(pid, key)[0] for pid in workers.lines] == [202] * WORKERS, "a new key works at once"
        revoke(database_url, key_id)
        delays.append(workers.seconds_until(partial(workers.answers, key, 401, None), time.monotonic()))
    assert max(delays) < PROMISED_SECONDS, delays


def test_thousand_requests_cost_no_query_each(
    workers: Workers, database: psycopg.Connection, database_url: str
) -> None:
    key = new_key(database_url)
    before = _transactions(database)
    for number in range(1_000):
        if number == 500:
            switch(database_url, "0")
        for pid in workers.lines:
            assert workers.post(pid, key)[0] == 202
    # a server process tells what it did within a second of its next transaction, and each worker asks all the time
    counted = _transactions(database)
    wait_until(lambda: _transactions(database) > counted + 20, "the count of what was done before")
    assert _transactions(database) - before < 500


def test_stopped_workers_note_when_keys_were_used(
    workers: Workers, database: psycopg.Connection, database_url: str
) -> None:
    key = new_key(database_url)
    assert [workers.post(pid, key)[0] for pid in workers.lines] == [202] * WORKERS
    assert database.execute("SELECT last_used_at FROM api_keys").fetchone() == (None,)
    workers.process.terminate()
    workers.process.wait(30)
    assert database.execute("SELECT last_used_at FROM api_keys").fetchone() != (None,)


def test_known_key_is_found_without_a_query(api: Api) -> None:
    queries = _queries_of(api)
    for _ in range(200):
        assert _post(api).status_code == 202
    assert threading.get_ident() not in queries
    assert len(queries) < 50


def test_guessed_keys_cost_no_query_each(api: Api) -> None:
    queries, started_at = _queries_of(api), time.monotonic()
    for number in range(300):
        assert _post(api, f"ff_write_{number}").status_code == 401
        if time.monotonic() - started_at > 3:
            break
    # ten looks a second at most, and the pulse of the connection beside the two queries of a look
    assert len(queries) <= 3 * (2 + 10 * (time.monotonic() - started_at))


def test_switched_off_tracking_keeps_nothing(api: Api, database: psycopg.Connection, database_url: str) -> None:
    _switch_off(api, database_url)
    spool = api.client.application.extensions["footfall"].settings.spool_folder
    response = _post(api)
    assert (response.status_code, response.json) == (202, DROPPED)
    assert read_backlog(spool).record_count == 0
    api.drain()
    assert database.execute("SELECT count(*) FROM tracking_events").fetchone() == (0,)


def test_statements_of_servers_are_not_tracking(api: Api, database: psycopg.Connection, database_url: str) -> None:
    _switch_off(api, database_url)
    assert api.send("/api/users", {"id": 7, "user_type": "student"}, "server", "PUT").status_code == 202
    assert database.execute("SELECT id FROM users").fetchall() == [(7,)]
    assert api.send("/api/users/7", b"", "server", "DELETE").status_code == 204


def test_worker_that_starts_without_postgres_knows_its_keys(
    database: psycopg.Connection, database_url: str, server_url: str, tmp_path: Path
) -> None:
    key = new_key(database_url)
    _note(database_url, tmp_path)
    with postgres_away(server_url, database):
        assert _post_to_new_app(database_url, tmp_path, key).status_code == 202
        assert _post_to_new_app(database_url, tmp_path, "ff_write_unknown").status_code == 401
        (tmp_path / "spool" / "control.json").unlink()
        unready = _post_to_new_app(database_url, tmp_path, key)
    assert (unready.status_code, unready.json["error"]["code"]) == (503, "not_ready")  # type: ignore[index]
    assert int(unready.headers["Retry-After"]) >= 1


def test_switched_off_state_outlives_a_restart_without_postgres(
    database: psycopg.Connection, database_url: str, server_url: str, tmp_path: Path
) -> None:
    key = new_key(database_url)
    switch(database_url, "0")
    _note(database_url, tmp_path)
    with postgres_away(server_url, database):
        assert _post_to_new_app(database_url, tmp_path, key).json == DROPPED


def test_worker_without_note_is_ready_once_postgres_is(
    database: psycopg.Connection, database_url: str, server_url: str, tmp_path: Path
) -> None:
    key = new_key(database_url)
    with postgres_away(server_url, database):
        context = watching(database_url, tmp_path)
        watch = context.__enter__()
    wait_until(lambda: not watch.is_postgres_away, "Postgres")
    assert watch.find_key(key)
    context.__exit__(None, None, None)


@pytest.mark.parametrize("note", [b"", b"{", b'{"keys": 5}', b"\x00" * 100])
def test_damaged_note_counts_as_none(tmp_path: Path, note: bytes) -> None:
    (tmp_path / "control.json").write_bytes(note)
    with watching("postgresql://nobody@127.0.0.1:1/x", tmp_path) as watch:
        assert watch._control is None


def test_note_holds_no_key_and_is_private(database_url: str, tmp_path: Path) -> None:
    key = new_key(database_url)
    with watching(database_url, tmp_path):
        note = tmp_path / "control.json"
        assert key not in note.read_text()
        assert note.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["control.json"]


def test_note_is_written_once_the_disk_lets_it(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "later"
    with caplog.at_level(logging.WARNING), watching(database_url, folder):
        assert "was not noted" in caplog.text
        folder.mkdir()
        wait_until((folder / "control.json").exists, "the note")
    assert msgspec.json.decode((folder / "control.json").read_bytes(), type=Control) == Control()


def test_note_changes_only_with_what_it_says(database_url: str, tmp_path: Path) -> None:
    key = new_key(database_url)
    with watching(database_url, tmp_path, mark_used_seconds=0.0) as watch:
        written = (tmp_path / "control.json").stat().st_ino
        watch.find_key(key)
        looks = watch._looks_done
        wait_until(lambda: watch._looks_done > looks + 2, "a mark and a look after it")
        assert (tmp_path / "control.json").stat().st_ino == written


def test_slow_postgres_holds_up_no_request(api: Api, database: psycopg.Connection) -> None:
    control = api.client.application.extensions["footfall"].control
    with database.transaction():
        database.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        stuck = control._looks_begun
        wait_until(lambda: control._looks_begun > stuck and control._looks_done < control._looks_begun, "a stuck look")
        for key, status, seconds in ((None, 202, 1.0), ("ff_write_unknown", 401, LONGEST_WAIT_SECONDS + 1.0)):
            started_at = time.monotonic()
            assert _post(api, key).status_code == status
            assert time.monotonic() - started_at < seconds


def _post(api: Api, key: str | None = None) -> TestResponse:
    sent = {"Authorization": f"Bearer {key or api.keys['write']}"}
    return api.client.post("/api/events", headers=sent, json=[AN_EVENT] * 2)


def _post_to_new_app(database_url: str, home: Path, key: str) -> TestResponse:
    app = create_app(IngestSettings(database_url=database_url, footfall_secret="a test's", footfall_home=home))
    try:
        return app.test_client().post("/api/events", headers={"Authorization": f"Bearer {key}"}, json=[AN_EVENT] * 2)
    finally:
        app.extensions["footfall"].close()


def _note(database_url: str, home: Path) -> None:
    """Leave the note that a worker of this home leaves."""
    (home / "spool").mkdir()
    with watching(database_url, home / "spool"):
        pass


def _switch_off(api: Api, database_url: str) -> None:
    switch(database_url, "0")
    control = api.client.application.extensions["footfall"].control
    wait_until(lambda: not control.current.is_tracking_enabled, "the switch")


def _queries_of(api: Api) -> list[int]:
    """Note the thread of each query from now on."""
    parts = api.client.application.extensions["footfall"]
    threads: list[int] = []
    for engine in (parts.engine, parts.control._engine):
        event.listen(engine, "before_cursor_execute", lambda *_: threads.append(threading.get_ident()))
    return threads


def _transactions(database: psycopg.Connection) -> int:
    counted = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    row = database.execute(counted).fetchone()
    assert row is not None
    return int(row[0])


def _answers(address: tuple[str, int]) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(address) == 0


def _remote_ports(pid: int) -> set[int]:
    return {found.raddr.port for found in psutil.Process(pid).net_connections("tcp") if found.raddr}


def test_idle_worker_lets_go_of_its_old_spool(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_app.app.Spool", partial(Spool, limits=Limits(file_seconds=0)))
    app = create_app(IngestSettings(database_url=database_url, footfall_secret="x", footfall_home=tmp_path))
    with closing(app.extensions["footfall"]) as ingest:
        ingest.spool.append(Part("events", 1, b"[{}]"))
        [path] = spools_in(tmp_path / "spool")
        with closing(SpoolReader(path)) as reader:
            deadline = time.monotonic() + 20
            while not reader.is_left():
                assert time.monotonic() < deadline
