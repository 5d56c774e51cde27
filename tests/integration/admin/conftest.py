"""The read side without a server: Flask's client on the test's own database and home folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from admin_app.app import create_app
from admin_app.settings import AdminSettings
from admin_app.sources import Sources
from ingest_app.database import make_engine
from ingest_app.keys import Key, create_key, hash_key

LOADED_AT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
Marts = Mapping[str, str]


@dataclass(frozen=True)
class Admin:
    """The read side as its users see it: `client` has no session yet, `keys` one of each scope."""

    app: Flask
    client: FlaskClient
    keys: dict[str, str]
    settings: AdminSettings

    @property
    def sources(self) -> Sources:
        found: Sources = self.app.extensions["footfall"]
        return found

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a script with the admin key."""
        return {"Authorization": f"Bearer {self.keys['admin']}"}

    def get(self, path: str) -> TestResponse:
        """Ask as a script does."""
        return self.client.get(path, headers=self.bearer)

    def sign_in(self, client: FlaskClient | None = None, key: str | None = None) -> str:
        """Sign a client in as a browser does, and return the token that its forms carry."""
        client = client or self.client
        sent = {"key": key or self.keys["admin"], "csrf_token": token_of(client)}
        answer = client.post("/sign-in", data=sent)
        assert answer.status_code == 303, answer.text
        return token_of(client)

    def publish(self, marts: Marts, loaded_at: datetime = LOADED_AT) -> None:
        """Publish a file with these tables: a name in the schema marts, and the query that makes it."""
        publish_file(self.settings.published_path, marts, loaded_at)
        self.sources.published.await_look()

    def refresh_live(self) -> None:
        """Have what is now in Postgres known."""
        self.sources.live.await_look()


def token_of(client: FlaskClient) -> str:
    """Return a token that this client's forms may carry, whatever page they are on."""
    client.get("/sign-in")
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", "a token of the tests")
    serializer = URLSafeTimedSerializer(client.application.secret_key or "", salt="wtf-csrf-token")
    return str(serializer.dumps(raw))


def publish_file(path: Path, marts: Marts, loaded_at: datetime = LOADED_AT) -> None:
    """Swap in a published file, as `warehouse.publish` does: whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name("made.duckdb")
    made.unlink(missing_ok=True)
    with duckdb.connect(str(made)) as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA marts; CREATE SCHEMA meta")
        refresh = "SELECT $1::timestamptz AS loaded_at, $1::timestamptz AS refreshed_at"
        connection.execute(f"CREATE TABLE meta.refresh AS {refresh}", [loaded_at])
        for name, query in marts.items():
            connection.execute(f"CREATE TABLE marts.{name} AS {query}")
    made.replace(path)


@pytest.fixture
def admin_home(tmp_path: Path) -> Path:
    """The home folder, for a test that puts something into it before the read side starts."""
    return tmp_path


@pytest.fixture
def admin_away(admin_home: Path) -> Iterator[Admin]:
    """The read side while Postgres is away and nothing is published: it knows its keys by its note. Made in no time."""
    with read_side_away(admin_home) as admin:
        yield admin


@contextmanager
def read_side_away(home: Path) -> Iterator[Admin]:
    """Make what `admin_away` is, for a fixture that more than one test shares."""
    keys = {scope: f"ff_{scope}_of_the_tests" for scope in ("write", "server", "admin")}
    noted = {
        hash_key(key): Key(number, scope, "Tests", (), 1_000) for number, (scope, key) in enumerate(keys.items(), 1)
    }
    address = "postgresql://nobody@127.0.0.1:1/nothing"
    settings = AdminSettings(database_url=address, footfall_secret="a test's secret", footfall_home=home)
    settings.cache_folder.mkdir()
    (settings.cache_folder / "keys.json").write_bytes(msgspec.json.encode(noted))
    app = create_app(settings)
    yield Admin(app, app.test_client(), keys, settings)
    app.extensions["footfall"].close()


@pytest.fixture
def admin(database_url: str, admin_home: Path) -> Iterator[Admin]:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        keys = {scope: create_key(connection, scope, app_name="Tests") for scope in ("write", "server", "admin")}
    engine.dispose()
    settings = AdminSettings(database_url=database_url, footfall_secret="a test's secret", footfall_home=admin_home)
    app = create_app(settings)
    yield Admin(app, app.test_client(), keys, settings)
    app.extensions["footfall"].close()
