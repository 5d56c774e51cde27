"""`/healthz` and `/readyz`: alive, and able to accept, which an absent Postgres does not change."""

import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from ingest_app.app import create_app
from ingest_app.settings import IngestSettings
from tests.integration.conftest import Api

AWAY = "postgresql://127.0.0.1:1/none"
MORE_THAN_ANY_DISK_MB = 2**40


def an_app(home: Path, database_url: str = AWAY, reserve_mb: int = 0) -> Flask:
    return create_app(
        IngestSettings(
            database_url=database_url,
            footfall_secret="a test's secret",
            footfall_home=home,
            footfall_spool_reserve_mb=reserve_mb,
        )
    )


def checks_of(answer: TestResponse) -> dict[str, str]:
    found: dict[str, str] = answer.get_json()["checks"]
    return found


@pytest.fixture
def app(tmp_path: Path, database_url: str) -> Iterator[Flask]:
    app = an_app(tmp_path, database_url)
    with closing(app.extensions["footfall"]):
        yield app


def test_well_worker_is_alive_and_ready(api: Api) -> None:
    assert api.client.get("/healthz").json == {"status": "ok"}
    answer = api.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ready",
        "checks": {"spool": "ok", "disk": "ok", "keys": "ok"},
        "postgres": "reachable",
    }


def test_absent_postgres_leaves_a_worker_ready(tmp_path: Path, app: Flask) -> None:
    # the first app noted its keys; the second starts while Postgres is away
    other = an_app(tmp_path)
    with closing(other.extensions["footfall"]):
        answer = other.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json
    assert answer.json["status"] == "ready"
    assert answer.json["postgres"] == "away"


def test_worker_without_keys_is_not_ready(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    with closing(app.extensions["footfall"]):
        client = app.test_client()
        answer = client.get("/readyz")
        assert client.get("/healthz").status_code == 200
    assert answer.status_code == 503
    checks = checks_of(answer)
    assert "does not know its keys" in checks.pop("keys")
    assert checks == {"spool": "ok", "disk": "ok"}


def test_worker_without_room_is_not_ready(tmp_path: Path, database_url: str) -> None:
    app = an_app(tmp_path, database_url, MORE_THAN_ANY_DISK_MB)
    with closing(app.extensions["footfall"]):
        answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    checks = checks_of(answer)
    assert "nearly full" in checks.pop("disk")
    assert checks == {"spool": "ok", "keys": "ok"}


def test_worker_that_cannot_write_is_not_ready(app: Flask) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        answer = app.test_client().get("/readyz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer.status_code == 503
    assert "File too large" in checks_of(answer)["spool"]


def test_worker_without_its_folder_is_not_ready(tmp_path: Path, app: Flask) -> None:
    (tmp_path / "spool").rename(tmp_path / "moved")
    client = app.test_client()
    answer = client.get("/readyz")
    assert client.get("/healthz").status_code == 200
    # and it can still be looked at
    assert client.get("/metrics").status_code == 200
    assert answer.status_code == 503
    checks = checks_of(answer)
    assert "No such file" in checks.pop("spool")
    assert checks == {"disk": "ok", "keys": "ok"}


def test_readiness_probe_leaves_no_file(api: Api, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    api.client.get("/readyz")
    assert sorted(tmp_path.rglob("*")) == before
