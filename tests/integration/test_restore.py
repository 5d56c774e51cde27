"""What docs/deploy.md says of backup and restore, done word for word: nothing is missing then, nothing is double."""

import getpass
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psutil
import psycopg
import pytest

from footfall.postgres import embedded_postgres
from ingest_app.database import make_engine
from ingest_app.migrate import migrate
from ingest_app.spool import Spool
from tests.integration.archive.aging import OLD, expire_now, gone
from tests.integration.archive.sealing import DAY, Home, days_ago, fill
from tests.integration.spools import a_part, an_event

ROOT = Path(__file__).parents[2]
# what the page's shell has: here nobody needs to become somebody else
PRELUDE = """
set -eu
sudo() { "$@"; }
as_footfall() { "$@"; }
"""
EVENTS = """
    WITH visits AS (
        INSERT INTO tracking_events (user_id, user_type, app_name, event_type, event_name, created_at, received_at)
        SELECT n %% 3, 'student', 'DViz', 'visit', 'home', %(at)s, %(at)s FROM generate_series(1, 10) AS n
    )
    INSERT INTO activity_events (event_type, created_at, received_at) VALUES ('login', %(at)s, %(at)s)
"""
LIVE = (
    "INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name) VALUES ('a', 1, 'student', 'DViz')"
)
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Host:
    """A machine as docs/deploy.md describes it, in a folder."""

    folder: Path
    database_url: str = ""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def published_path(self) -> Path:
        return self.home / "warehouse" / "analytics.duckdb"

    def run(self, *blocks: str, backups: Path) -> None:
        """Run blocks of the page with its paths put where they are here."""
        places = {
            "/opt/footfall/.venv/lib/python3*": f"{sys.prefix}/lib/python3*",
            "/opt/footfall": str(ROOT),
            "/var/lib/footfall": str(self.home),
            "/mnt/backup": str(backups),
            "footfall: ": f"{'pgserver' if os.geteuid() == 0 else getpass.getuser()}: ",
        }
        script = PRELUDE + "\n".join(blocks)
        for there, here in places.items():
            script = script.replace(there, here)
        env = {**os.environ, "FOOTFALL_HOME": str(self.home), "DATABASE_URL": self.database_url, "COLUMNS": "200"}
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        done = subprocess.run(["bash", "-c", script], env=env, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def marts(self) -> dict[str, Rows]:
        with duckdb.connect(self.published_path, read_only=True) as published:
            tables = published.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
            # the one column that tells when, not what
            query = "SELECT COLUMNS(lambda c: c <> 'refreshed_at') FROM marts.{} ORDER BY ALL"
            return {name: published.execute(query.format(name)).fetchall() for (name,) in tables}


@pytest.fixture(scope="module")
def blocks() -> dict[str, list[str]]:
    """Section of the page -> its shell blocks."""
    sections = re.split(r"^## ", (ROOT / "docs" / "deploy.md").read_text(), flags=re.MULTILINE)
    return {part.partition("\n")[0]: re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.M) for part in sections}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not a folder of pytest's, which Postgres's own user may not enter."""
    with TemporaryDirectory(prefix="footfall-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


# two whole refreshes, one with a parse of the models
@pytest.mark.timeout(600)
def test_restored_host_shows_what_it_showed(
    blocks: dict[str, list[str]], folder: Path, give_models: Callable[[Path], None]
) -> None:
    before, after = _host(folder / "before"), _host(folder / "after")
    give_models(before.home)
    with embedded_postgres(before.home / "postgres") as url, psycopg.connect(url, autocommit=True) as database:
        _fill(Home(before.home, url), database)
        before.run("footfall refresh", backups=folder)
        # only the published file has it now
        database.execute("DELETE FROM tracking_live_sessions")
        (before.home / "spool").mkdir()
        with closing(Spool(before.home / "spool", 0)) as spool:
            spool.append(a_part(an_event(is_bot=True)))
            before.run(*blocks["Backup"], backups=folder)
    shown = before.marts()
    assert len(shown["rpt_live_users"]) == 1
    assert len(shown["rpt_event_usage_daily"]) == 3

    copied, embedded, _, last = blocks["Restore"]
    after.run(copied, embedded, last, backups=folder)
    restored = after.marts()
    # the bot's event that waited in the spool has come in; nothing else has changed
    assert restored.pop("rpt_bot_traffic_daily") == [(days_ago(0), "DViz", 1)]
    assert shown.pop("rpt_bot_traffic_daily") == []
    assert restored == shown


def test_backup_that_fails_leaves_none_and_shows_no_password(folder: Path) -> None:
    script = ROOT / "deploy" / "backup.sh"
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://u:a-secret@127.0.0.1:{server.getsockname()[1]}/none"
        env = {**os.environ, "FOOTFALL_HOME": str(folder / "home"), "DATABASE_URL": url}
        command = ("sh", str(script), f"{folder}/monday/")
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as backup:
            server.settimeout(60)
            asked, _ = server.accept()
            dump = psutil.Process(backup.pid).children(recursive=True)[-1].cmdline()
            asked.close()
            said, _ = backup.communicate(timeout=60)
    assert dump[0].endswith("pg_dump")
    assert "a-secret" not in f"{dump} {said}"
    assert backup.returncode
    assert said.endswith(f"NO BACKUP was made: remove {folder}/monday.part, which is not whole\n")
    assert not (folder / "monday").exists()


def test_dump_of_own_server_loads_as_before(
    blocks: dict[str, list[str]], database_url: str, empty_database_url: str, folder: Path
) -> None:
    before = replace(_host(folder / "before"), database_url=database_url)
    after = replace(_host(folder / "after"), database_url=empty_database_url)
    home = Home(before.home, database_url)
    with psycopg.connect(database_url, autocommit=True) as database:
        _insert(database, [DAY, days_ago(0)])
    home.load_closed()
    home.seal()
    shown = _events(home)
    backup, _ = blocks["Backup"][0].splitlines()
    before.run(backup, backups=folder)
    copied, _, own_server, _ = blocks["Restore"]
    after.run(copied, own_server, backups=folder)
    restored = Home(after.home, empty_database_url)
    restored.load(full=True)
    assert len(shown) == 22
    assert _events(restored) == shown


def _events(home: Home) -> Rows:
    """All that models read but `xid`, which is of one server."""
    tables = home.sources()
    return [row for name in tables for row in home.ask(f"SELECT * EXCLUDE (xid) FROM sources.{name} ORDER BY ALL")]


def _host(folder: Path) -> Host:
    (folder / "home").mkdir(parents=True)
    return Host(folder)


def _fill(home: Home, database: psycopg.Connection) -> None:
    """Fill a day that is in sealed files alone, one that is in Postgres too, and today."""
    engine = make_engine(home.database_url)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()
    _insert(database, [OLD, DAY, days_ago(0)])
    database.execute(LIVE)
    home.load_closed()
    home.seal()
    assert [day for _, day in gone(expire_now(home))] == [OLD, OLD]


def _insert(database: psycopg.Connection, days: list[date]) -> None:
    for day in days:
        fill(database, day, events=0, activity=0)
        database.execute(EVENTS, {"at": datetime.combine(day, time(), UTC)})
