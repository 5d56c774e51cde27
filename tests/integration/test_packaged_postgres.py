"""The whole path on a Postgres of the machine's own packages, reached over TCP with a password.

The rest of the suite runs on the embedded server, or wholly on another one by `DATABASE_URL=… make test`.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psycopg
import pytest

from footfall.commands.refresh import run_refresh
from footfall.settings import load_settings
from ingest_app.database import make_engine
from ingest_app.migrate import migrate

PASSWORD = "p@ss word/1"
QUOTED = "p%40ss%20word%2F1"
OLDEST_VERSION = 15


@pytest.fixture
def packaged_url() -> Iterator[str]:
    """The URL of a server that this test starts from the programs on the PATH."""
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("no Postgres of the machine's own on the PATH (initdb, pg_ctl)")
    # Postgres refuses to run as root
    user = "nobody" if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="footfall-pg-") as name, socket.socket() as probe:
        folder, port = Path(name), _free_port(probe)
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        _run(user, "initdb", "-D", f"{folder}/data", "-U", "app", "-A", "scram-sha-256", f"--pwfile={folder}/password")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder}"
        _run(user, "pg_ctl", "start", "-w", "-D", f"{folder}/data", "-l", f"{folder}/log", "-o", options)
        try:
            yield f"postgresql://app:{QUOTED}@127.0.0.1:{port}/postgres"
        finally:
            _run(user, "pg_ctl", "stop", "-m", "fast", "-D", f"{folder}/data")


def test_path_runs_on_packaged_postgres_with_password(
    packaged_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, give_models: Callable[[Path], None]
) -> None:
    give_models(tmp_path)
    monkeypatch.setenv("DATABASE_URL", packaged_url)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path))
    settings = load_settings()
    engine = make_engine(packaged_url)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()
    with psycopg.connect(packaged_url, autocommit=True) as database:
        assert database.info.server_version // 10_000 >= OLDEST_VERSION
        database.execute("INSERT INTO activity_events (event_type) VALUES ('login'), ('login'), ('signup')")
    summary = run_refresh(settings, packaged_url)
    assert summary.loaded_row_counts["activity_events"] == 3
    with duckdb.connect(settings.published_path, read_only=True) as published:
        counts = published.execute("SELECT login_count, signup_count FROM marts.rpt_activity_by_day").fetchall()
    assert counts == [(2, 1)]
    assert PASSWORD not in (tmp_path / "dagster" / "dagster.yaml").read_text()


def _free_port(probe: socket.socket) -> int:
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    probe.close()
    return port


def _run(user: str | None, *command: str) -> None:
    subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/")
