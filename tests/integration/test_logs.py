"""Logs are JSON lines in which an operator finds an error, and nobody what was sent."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ingest_app.database import connect, make_engine
from ingest_app.errors import DatabaseUnreachable
from ingest_app.keys import create_key
from ingest_app.logs import JsonLines, describe
from tests.integration.conftest import Api
from tests.integration.node import Node, running_node, wait_until
from tests.integration.spools import a_part, a_spool, an_event
from tests.integration.test_health import an_app

SENT = "sent-and-not-to-be-logged"
UNKNOWN_ID = "5e27aa1c-4b0c-4a44-9c11-2f3a44aa77bb"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as the servers write it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def faulty(tmp_path: Path, database_url: str) -> Iterator[FlaskClient]:
    """An app with a handler that fails over what it was sent, as one with a bug does."""
    app: Flask = an_app(tmp_path, database_url)

    def fail(sent: str) -> str:
        try:
            return str(int(sent))
        except ValueError as error:
            raise RuntimeError(f"cannot go on with {sent}") from error

    app.add_url_rule("/faulty/<sent>", "faulty", fail)
    with closing(app.extensions["footfall"]):
        yield app.test_client()


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    with running_node(database_url, tmp_path) as running:
        yield running


def lines_of(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def second_drainer(node: Node) -> subprocess.CompletedProcess[bytes]:
    """Start a drainer beside the node's, which says so and ends."""
    env = psutil.Process(node.drainer.pid).environ()
    with (node.home / "second.log").open("wb") as output:
        return subprocess.run(
            (sys.executable, "-m", "ingest_app.drain"), env=env, stdout=output, stderr=output, timeout=60, check=False
        )


def test_line_has_time_level_logger_and_event(log: io.StringIO) -> None:
    logging.getLogger("ingest_app.some").error("moved %d records\nat once", 3, extra={"spool": "a"})
    [line] = lines_of(log)
    assert list(line) == ["time", "level", "logger", "pid", "event", "spool"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["logger"], line["spool"]) == ("ERROR", "ingest_app.some", "a")
    assert line["event"] == "moved 3 records\nat once"


def test_unforeseen_error_is_answered_with_its_id(faulty: FlaskClient, log: io.StringIO) -> None:
    answer = faulty.get(f"/faulty/{SENT}?key={SENT}", headers={"User-Agent": SENT})
    assert answer.status_code == 500
    assert answer.json
    assert answer.json["error"]["code"] == "internal_error"
    assert SENT not in answer.text
    assert "Traceback" not in answer.text
    [line] = lines_of(log)
    assert line["error_id"] == answer.json["error"]["id"]
    assert line["error_id"] in answer.json["error"]["message"]
    assert line["endpoint"] == "faulty"


def test_logged_error_has_its_places_without_its_text(faulty: FlaskClient, log: io.StringIO) -> None:
    faulty.get(f"/faulty/{SENT}")
    [line] = lines_of(log)
    exception = line["exception"]
    assert SENT not in log.getvalue()
    # its cause too
    assert exception.index("ValueError") < exception.index("RuntimeError")
    assert "test_logs.py" in exception
    assert "in fail" in exception


def test_refused_state_is_logged_without_its_values(api: Api, database: psycopg.Connection, log: io.StringIO) -> None:
    # Postgres's answer has `Failing row contains (7, …)`
    database.execute("ALTER TABLE users ADD CONSTRAINT nobody CHECK (name IS NULL)")
    user = {"id": 7, "user_type": "student", "name": SENT, "email": f"{SENT}@example.org"}
    assert api.send("/api/users", user, scope="server", method="PUT").status_code == 503
    [line] = lines_of(log)
    assert line["event"] == "not kept: CheckViolation: 23514"
    assert SENT not in log.getvalue()


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        (f"SELECT '{SENT}'::uuid", "22P02"),
        (f"INSERT INTO user_heartbeats (user_id) VALUES ('{UNKNOWN_ID}')", "23503"),
        (f"INSERT INTO tracking_events (user_type, app_name) VALUES ('guest', '{SENT}')", "23502"),
        (f"INSERT INTO admin_settings VALUES ('{SENT}', '1'), ('{SENT}', '2')", "23505"),
        (f"DO $$ BEGIN RAISE EXCEPTION 'refused' USING DETAIL = '{SENT}'; END $$", "P0001 refused"),
    ],
)
def test_postgres_error_is_described_without_values(database_url: str, statement: str, sqlstate: str) -> None:
    engine = make_engine(database_url)
    with engine.connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.execute(text(statement))
    engine.dispose()
    said = describe(raised.value)
    assert sqlstate in said
    assert SENT not in said
    assert UNKNOWN_ID not in said


def test_absent_postgres_is_described_by_its_reason() -> None:
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect("postgresql://127.0.0.1:1/none")
    assert "refused" in describe(raised.value)
    assert "\n" not in describe(raised.value)


@pytest.mark.parametrize("login", ["u:a-secret@127.0.0.1:1/none", "127.0.0.1:1/none?user=u&password=a-secret"])
def test_absent_postgres_is_named_without_its_password(login: str) -> None:
    with pytest.raises(DatabaseUnreachable) as told:
        connect(make_engine(f"postgresql://{login}"))
    assert "127.0.0.1" in str(told.value)
    assert "a-secret" not in str(told.value)


def test_processes_log_json_without_what_was_sent(node: Node, database_url: str, database: psycopg.Connection) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, "write")
    engine.dispose()
    headers = {"User-Agent": f"{SENT}/1.0", "X-Forwarded-For": "203.0.113.77"}
    for body in ({"user_type": SENT}, [{"app_name": SENT}], SENT):
        assert node.post(f"/api/events?q={SENT}", body, key, **headers).status_code == 400
    node.post(f"/api/{SENT}", {}, SENT, **headers)
    event = {"user_type": "guest", "app_name": SENT, "event_type": "button", "event_name": SENT}
    assert node.post("/api/events", event, key, **headers).status_code == 202
    # and rows that Postgres refuses after their 202, in each way it knows
    poisonous: list[dict[str, Any]] = [{"country_code": SENT}, {"created_at": SENT}, {"app_name": None, "os": SENT}]
    a_spool(node.home / "spool", *(a_part(an_event(**row)) for row in poisonous))
    rejected = "SELECT count(*) FROM rejected_records"
    wait_until(lambda: database.execute(rejected).fetchall() == [(len(poisonous),)])
    assert second_drainer(node).returncode == 1
    written = node.logs()
    assert [json.loads(line)["level"] for line in written.splitlines()]
    assert "Starting granian" in written
    assert "another drainer works on" in written
    for secret in (SENT, key, "203.0.113.77"):
        assert secret not in written
