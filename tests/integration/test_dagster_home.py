"""The home of the Dagster instance: no password on disk, nothing pulled from under a reader, its own schema."""

import os
import uuid
from pathlib import Path

import psycopg
import pytest
import yaml
from sqlalchemy import make_url

from footfall import dagster_home
from footfall.dagster_home import code_socket, dagster_environment, storage_url
from footfall.errors import DagsterSchemaRefused


def test_dagster_home_holds_no_password(tmp_path: Path, database_url: str) -> None:
    url = make_url(database_url)
    secret = url.update_query_dict({"application_name": "s3cret"}).render_as_string(hide_password=False)
    environment = dagster_environment(tmp_path, secret)
    assert "s3cret" in environment["FOOTFALL_DAGSTER_DATABASE_URL"]
    assert "s3cret" not in (tmp_path / "dagster" / "dagster.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://postgres@/f?host=/tmp/x", "postgresql+psycopg2://postgres@/f?host=%2Ftmp%2Fx&options={}"),
        ("postgresql://u:p%40ss@db:5433/f", "postgresql+psycopg2://u:p%40ss@db:5433/f?options={}"),
        ("postgres://u@db/f?sslmode=require", "postgresql+psycopg2://u@db/f?options={}&sslmode=require"),
        ("postgresql://u@db/f?options=-cx%3D1", "postgresql+psycopg2://u@db/f?options=-cx%3D1+{}"),
    ],
)
def test_storage_url_sees_only_dagsters_schema(given: str, expected: str) -> None:
    assert storage_url(given) == expected.format("-csearch_path%3Ddagster")


def test_unchanged_instance_file_is_left_alone(tmp_path: Path, database_url: str) -> None:
    dagster_environment(tmp_path, database_url)
    path = tmp_path / "dagster" / "dagster.yaml"
    before = path.stat()
    dagster_environment(tmp_path, database_url)
    # it may have been read
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_changed_instance_file_is_swapped_whole(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dagster_environment(tmp_path, database_url)
    path = tmp_path / "dagster" / "dagster.yaml"
    with path.open() as reader:
        monkeypatch.setattr(dagster_home, "KEEP_TICKS_DAYS", 99)
        dagster_environment(tmp_path, database_url)
        assert yaml.safe_load(reader)["retention"]["sensor"]["purge_after_days"] == 14
    assert yaml.safe_load(path.read_text())["retention"]["sensor"]["purge_after_days"] == 99
    assert set(os.listdir(path.parent)) == {path.name, "workspace.yaml"}


def test_socket_of_a_deep_home_is_short() -> None:
    assert code_socket(Path("/srv/footfall")) == Path("/srv/footfall/dagster/code.sock")
    deep = code_socket(Path("/srv") / ("folder " * 20))
    assert len(str(deep)) < 108
    assert deep != code_socket(Path("/srv") / ("folder " * 21))


def test_user_without_rights_needs_a_schema_made_before(
    tmp_path: Path, database: psycopg.Connection, database_url: str
) -> None:
    user = f"user_{uuid.uuid4().hex[:8]}"
    database.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'x'")
    url = make_url(database_url).set(username=user, password="x").render_as_string(hide_password=False)
    try:
        with pytest.raises(DagsterSchemaRefused, match="permission denied") as refusal:
            dagster_environment(tmp_path, url)
        assert "\n" not in str(refusal.value)
        database.execute(str(refusal.value).partition("can: ")[2].rstrip(")"))
        assert dagster_environment(tmp_path, url)["DATABASE_URL"] == url
    finally:
        database.execute(f"DROP OWNED BY {user}")
        database.execute(f"DROP ROLE {user}")
