"""What tests of points and credits share: an app's server that moves them, and a look at all tables. No test here."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ingest_app.admin_settings import RULES
from ingest_app.app import create_app
from ingest_app.database import make_engine
from ingest_app.keys import create_key
from ingest_app.schema import metadata
from ingest_app.settings import IngestSettings
from tests.conftest import new_database

# a worker writes into it when keys were used, at times of its own
UNWATCHED = {"api_keys"}
POINT_LOGS = "SELECT action, points, related_event, reverses_id, reason FROM user_point_logs ORDER BY id"
CREDIT_LOGS = "SELECT credits_added, points_consumed, point_log_id FROM user_credit_logs ORDER BY id"
BALANCES = """
    SELECT coalesce((SELECT points FROM user_points WHERE user_id = %(user)s), 0),
        coalesce((SELECT credits FROM user_credits WHERE user_id = %(user)s), 0)
"""


SET = """
    INSERT INTO admin_settings (setting_key, setting_value) VALUES (%s, %s)
    ON CONFLICT (setting_key) DO UPDATE SET setting_value = excluded.setting_value
"""
# what moves write; emptied between tests, as a database of each test's own takes a second to make
MOVED = "user_points, user_point_logs, user_credits, user_credit_logs, idempotency_keys, users"


@dataclass(frozen=True)
class Rewards:
    """The ledger over HTTP, with a server key, and the database behind it."""

    client: FlaskClient
    key: str
    database: psycopg.Connection
    database_url: str

    def move(self, name: str, body: object, key: str | None = None, **headers: str) -> TestResponse:
        """Ask for a move, with an Idempotency-Key of its own unless one is given; bytes are sent as they are."""
        content: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        sent = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": key or uuid.uuid4().hex, **headers}
        return self.client.post(f"/api/{name}", headers=sent, **content)

    def made(self, name: str, **body: object) -> dict[str, Any]:
        """Make a move that must succeed, and return its answer."""
        response = self.move(name, body)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json  # type: ignore[assignment]
        return found

    def get(self, path: str) -> TestResponse:
        return self.client.get(f"/api/{path}", headers={"Authorization": f"Bearer {self.key}"})

    def set(self, key: str, value: str) -> None:
        self.database.execute(SET, [key, value])

    def balances(self, user: int) -> tuple[int, int]:
        row = self.database.execute(BALANCES, {"user": user}).fetchone()
        assert row is not None
        return row[0], row[1]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.database.execute(query).fetchall()

    def empty(self) -> None:
        """Begin anew: log ids too, and the settings as they are at first."""
        self.database.execute(f"TRUNCATE {MOVED} RESTART IDENTITY")
        for key, rule in RULES.items():
            self.set(key, str(rule.default))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Read all rows of all tables, with the transaction that wrote each."""
        names = [name for name in metadata.tables if name not in UNWATCHED]
        return {name: self.rows(f"SELECT xmin::text, t.* FROM {name} AS t ORDER BY t::text") for name in names}


@contextmanager
def serve_rewards(server_url: str, template: str, home: Path) -> Iterator[Rewards]:
    """Run the write side on a database of its own."""
    with new_database(server_url, template) as url, psycopg.connect(url, autocommit=True) as database:
        app = create_app(IngestSettings(database_url=url, footfall_secret="a test's", footfall_home=home))
        yield Rewards(app.test_client(), server_key(url), database, url)
        app.extensions["footfall"].close()


def server_key(database_url: str, app_name: str | None = None) -> str:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, "server", app_name, requests_per_second=100_000)
    engine.dispose()
    return key


def error_of(response: TestResponse) -> tuple[int, str, str | None, int | None]:
    """Return status, code, field and what is missing."""
    error = response.json["error"]  # type: ignore[index]
    return response.status_code, error["code"], error["field"], error.get("missing")
