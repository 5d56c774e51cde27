"""A footfall with ingest, drainer and refresh: the canary goes all its way, and each command of the playbook runs."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg
import pytest

from footfall.settings import Settings
from footfall.watch.canary import read_key, read_sent
from footfall.watch.settings import WatchSettings
from footfall.watch.watcher import Watcher
from tests.conftest import new_database
from tests.integration.node import Node, running_node, wait_until
from tests.integration.watch.playbook import commands
from tests.integration.watch.servers import Hook, webhook

REFRESH = "footfall refresh"
LOGS = ("ingest", "drainer", "watch", "dagster-daemon")


@dataclass(frozen=True)
class World:
    """A home, its database, ingest and drainer, and a webhook; a refresh has published what they brought."""

    node: Node
    database_url: str
    hook: Hook
    watcher: Watcher
    # what the refresh said, for it takes long
    said: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        given = {
            "FOOTFALL_HOME": str(self.node.home),
            "DATABASE_URL": self.database_url,
            "FOOTFALL_INGEST_PORT": self.node.url.rpartition(":")[2],
            "FOOTFALL_ALERT_WEBHOOK": self.hook.url,
            "COLUMNS": "300",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        bash = ("bash", "-o", "pipefail", "-c", command)
        return subprocess.run(bash, env={**os.environ, **given}, capture_output=True, text=True, timeout=240)

    def query(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            found = connection.execute(query.encode())
            return found.fetchall() if found.description else []


@pytest.fixture(scope="module")
def module_database_url(server_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of this module."""
    with new_database(server_url, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def world(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, give_models: Callable[[Path], None]
) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    give_models(home)
    with webhook() as hook, running_node(module_database_url, home) as node:
        settings = Settings(FOOTFALL_HOME=home, DATABASE_URL=module_database_url)
        watcher = Watcher(settings, WatchSettings(FOOTFALL_INGEST_URL=node.url))
        (home / "logs").mkdir()
        for name in LOGS:
            (home / "logs" / f"{name}.log").symlink_to(home / f"{'drainer' if name == 'drainer' else 'ingest'}.log")
        made = World(node, module_database_url, hook, watcher)
        wait_until(lambda: _is_sent(made))
        made.said[REFRESH] = made.run(REFRESH)
        assert made.said[REFRESH].returncode == 0, made.said[REFRESH].stderr
        yield made


def _is_sent(world: World) -> bool:
    """Send canaries until one is in Postgres: a worker learns of a new key within a second."""
    world.watcher.send_canary()
    return bool(world.query("SELECT 1 FROM tracking_events WHERE app_name = 'footfall.canary'"))


def test_canary_is_timed_to_the_published_file(world: World) -> None:
    found = json.loads(world.run("footfall status --json").stdout)
    assert found["canary_seen_at"]
    assert 0 < found["canary_travel_seconds"] < 300
    assert found["canary_age_seconds"] >= found["canary_travel_seconds"]
    assert found["canary_fault"] is None
    assert found["hot_days"] >= 1
    assert found["is_watched"] is False
    assert found["unknown"].keys() == {"dagster"}


def test_canary_is_a_bot_and_no_report_has_it(world: World) -> None:
    assert set(world.query("SELECT is_bot FROM tracking_events WHERE app_name = 'footfall.canary'")) == {(True,)}
    with duckdb.connect(world.node.home / "warehouse" / "analytics.duckdb", read_only=True) as published:
        marts = published.sql("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
        assert marts
        for (name,) in marts:
            assert published.sql(f"SELECT count(*) FROM marts.{name} t WHERE t::text LIKE '%canary%'").fetchall() == [
                (0,)
            ]


def test_key_of_the_canary_is_kept_to_itself_and_made_anew(world: World) -> None:
    home, before = world.node.home, read_key(world.node.home)
    assert (home / "canary.key").stat().st_mode & 0o777 == 0o600
    world.query("UPDATE api_keys SET revoked_at = now() WHERE app_name = 'footfall.canary'")

    def is_refused() -> bool:
        world.watcher.send_canary()
        sent = read_sent(home)
        return sent is not None and sent.fault == "ingest answered 401"

    wait_until(is_refused)
    assert read_key(home) != before
    wait_until(lambda: not is_refused())
    sent = read_sent(home)
    assert sent
    assert sent.fault == ""


def test_canary_is_dropped_while_tracking_is_switched_off(world: World) -> None:
    def is_dropped() -> bool:
        world.watcher.send_canary()
        sent = read_sent(world.node.home)
        return sent is not None and sent.is_dropped

    world.query("UPDATE admin_settings SET setting_value = '0' WHERE setting_key = 'tracking_enabled'")
    wait_until(is_dropped)
    said = world.run("footfall status").stdout
    assert "tracking   is switched off" in said
    assert "; nobody watches: " in said
    world.query("UPDATE admin_settings SET setting_value = '1' WHERE setting_key = 'tracking_enabled'")
    wait_until(lambda: not is_dropped())


def a_damaged_spool(world: World) -> None:
    folder = world.node.home / "spool"
    (folder / f"{uuid.uuid4()}.spool").write_text("no database at all" * 100)
    wait_until(lambda: any(folder.glob("*.damaged")) and not any(folder.glob("*-*-*-*-*.spool")))
    world.query(
        "INSERT INTO intake_counts (received_hour, table_name, node_name, accepted_count)"
        " VALUES (date_trunc('hour', now()), 'unreadable', 'a node', 3) ON CONFLICT DO NOTHING"
    )


def a_rejected_record(world: World) -> None:
    event_id = uuid.uuid4()
    body = {
        **{"event_id": str(event_id), "user_type": "guest", "app_name": "DViz", "event_type": "visit"},
        **{"event_name": "home", "is_bot": False, "created_at": "2026-11-01T00:00:00Z", "created_at_adjusted": False},
    }
    named = f"'events', '{event_id}', 'a reason', '{json.dumps(body)}'"
    world.query(f"INSERT INTO rejected_records (kind, event_id, reason, body) VALUES ({named})")


def a_wrong_balance(world: World) -> None:
    world.query("INSERT INTO user_points (user_id, points) VALUES (7, 70)")


# what is to be there for a command to mean something, and what it must say or leave
STATES: dict[str, Callable[[World], None]] = {
    "spool_damaged": a_damaged_spool,
    "records_rejected": a_rejected_record,
    "check_failed": a_wrong_balance,
}
SAYS = {
    "footfall status": "records wait",
    "footfall watch --test-alert": "sent by webhook",
    "footfall rejected list": "a reason",
    "footfall rejected retry": "2 records are in Postgres now",
    "footfall rejected lost --accept": "3 records count as rejected now",
    "footfall keys list": "footfall.canary",
    "footfall doctor --mend-balances": "user 7 has 70 points, the log adds up to 0: mended",
}


@pytest.mark.parametrize(("kind", "command"), list(commands()), ids=lambda part: part[:40])
def test_every_command_of_the_playbook_runs(world: World, kind: str, command: str) -> None:
    if kind in STATES:
        STATES[kind](world)
    done = world.said.get(command) or world.run(command)
    # the doctor answers 1 where anything is wrong, which is why it is asked
    allowed = {0, 1} if command.startswith("footfall doctor") else {0}
    assert done.returncode in allowed, done.stdout + done.stderr
    assert done.stdout or command.startswith("mkdir")
    assert SAYS.get(command, "") in done.stdout
    assert "Traceback" not in done.stderr
