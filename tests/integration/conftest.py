"""A running ingest app, without a server: Flask's client on the test's own database."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ingest_app.app import create_app
from ingest_app.database import make_engine
from ingest_app.drain.drainer import Drainer
from ingest_app.keys import create_key
from ingest_app.settings import IngestSettings

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


@dataclass(frozen=True)
class Api:
    """The write side as an app sees it, with a key of each scope."""

    client: FlaskClient
    keys: dict[str, str]
    drainer: Drainer

    def send(self, path: str, body: object, scope: str = "write", method: str = "POST", **headers: str) -> TestResponse:
        """Send `body` as JSON (bytes as they are) with the key of `scope`, and let the drainer go round."""
        sent = {"User-Agent": BROWSER, "Authorization": f"Bearer {self.keys[scope]}", **headers}
        content: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        response = self.client.open(path, method=method, headers=sent, **content)
        self.drain()
        return response

    def drain(self) -> None:
        """Take everything that was answered 202 to Postgres."""
        while self.drainer.drain_round().records:
            pass


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        keys = {scope: create_key(connection, scope) for scope in ("write", "server", "admin")}
    engine.dispose()
    settings = IngestSettings(database_url=database_url, footfall_secret="a test's secret", footfall_home=tmp_path)
    app = create_app(settings)
    draining = make_engine(database_url)
    drainer = Drainer(draining, settings.spool_folder)
    yield Api(app.test_client(), keys, drainer)
    app.extensions["footfall"].close()
    drainer.close()
    draining.dispose()
