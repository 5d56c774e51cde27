"""The watcher from look to message: told, repeated, resolved; a way that fails, a restart, a second watcher."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from prometheus_client import generate_latest

from footfall.errors import AlreadyWatched
from footfall.settings import Settings
from footfall.watch import watcher as watching
from footfall.watch.book import is_watched, read_alerts
from footfall.watch.lags import Lookout
from footfall.watch.look import Ingest
from footfall.watch.settings import WatchSettings
from footfall.watch.watcher import Watcher, watch
from ingest_app.spool.files import take_lock
from tests.integration.node import read_metrics
from tests.integration.watch.servers import Hook, Mail, mail_server, webhook

AWAY = "http://127.0.0.1:1"


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as served:
        yield served


@pytest.fixture
def mail() -> Iterator[Mail]:
    with mail_server() as served:
        yield served


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("FOOTFALL_HOME", "DATABASE_URL", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Settings(FOOTFALL_HOME=tmp_path, DATABASE_URL=database_url)


@pytest.fixture
def watch_settings(hook: Hook, mail: Mail) -> WatchSettings:
    return WatchSettings(
        FOOTFALL_ALERT_WEBHOOK=hook.url,
        FOOTFALL_ALERT_EMAIL="ops@example.org",
        FOOTFALL_SMTP_URL=f"smtp://127.0.0.1:{mail.port}",
        FOOTFALL_INGEST_URL=AWAY,
    )


def a_reject(database: psycopg.Connection) -> None:
    database.execute("INSERT INTO rejected_records (kind, reason, body) VALUES ('events', 'no', '{\"user_id\": 4711}')")


def changes(texts: list[str], kind: str) -> list[str]:
    """What was said of a kind, in order; a message holds several lines."""
    lines = [line for text in texts for line in text.splitlines()]
    return [line.split(":")[0] for line in lines if f": {kind}" in line]


def bodies(mail: Mail) -> list[str]:
    return [str(message.get_payload()) for message in mail.messages]


def test_problem_is_opened_and_resolved_on_every_way(
    settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook, mail: Mail
) -> None:
    watcher = Watcher(settings, watch_settings)
    a_reject(database)
    watcher.look()
    watcher.look()
    database.execute("DELETE FROM rejected_records")
    watcher.look()
    watcher.look()
    for texts in (hook.texts, bodies(mail)):
        assert changes(texts, "records_rejected") == ["open", "resolved"]
        # ingest is away for the whole time; a single look is not believed
        assert changes(texts, "ingest_away") == ["open"]
        assert "4711" not in "".join(texts)


def test_way_that_fails_is_tried_again_and_holds_up_no_other(
    settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook, mail: Mail
) -> None:
    hook.status = 500
    watcher = Watcher(settings, watch_settings)
    a_reject(database)
    watcher.look()
    watcher.look()
    assert hook.texts == []
    assert changes(bodies(mail), "records_rejected") == ["open"]
    hook.status = 200
    watcher.look()
    assert changes(hook.texts, "records_rejected") == ["open"]
    assert changes(hook.texts, "ingest_away") == ["open"]
    assert len(hook.texts) == 1
    watcher.look()
    assert len(hook.texts) == 1
    assert changes(bodies(mail), "records_rejected") == ["open"]


def test_restart_neither_repeats_nor_forgets(
    settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook
) -> None:
    hook.status = 503
    a_reject(database)
    Watcher(settings, watch_settings).look()
    hook.status = 200
    # what the first one could not send is sent by the second, and by no other again
    for _ in range(3):
        Watcher(settings, watch_settings).look()
    assert changes(hook.texts, "records_rejected") == ["open"]
    database.execute("DELETE FROM rejected_records")
    Watcher(settings, watch_settings).look()
    assert changes(hook.texts, "records_rejected") == ["open", "resolved"]


def test_open_alert_is_told_again_after_half_a_day(
    settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook
) -> None:
    a_reject(database)
    Watcher(settings, watch_settings).look()
    path = settings.home / "watch" / "alerts.json"
    kept = json.loads(path.read_text())
    long_ago = (datetime.now(UTC) - timedelta(hours=12)).isoformat()
    for alert in kept["alerts"]:
        alert.update(opened_at=long_ago, told_at=alert["told_at"] and long_ago)
    path.write_text(json.dumps(kept))
    Watcher(settings, watch_settings).look()
    assert changes(hook.texts, "records_rejected") == ["open", "still open"]


def test_without_a_way_problems_are_in_log_and_book(
    settings: Settings, database: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    a_reject(database)
    with caplog.at_level(logging.WARNING, "footfall.watch"):
        Watcher(settings, WatchSettings(FOOTFALL_INGEST_URL=AWAY)).look()
    assert "open: records_rejected: Postgres refused 1 records in a day" in caplog.text
    alerts, unsent = read_alerts(settings.home)
    assert "records_rejected" in [alert.kind for alert in alerts if alert.told_at]
    assert unsent == {}


def test_watcher_works_while_everything_is_away(tmp_path: Path, watch_settings: WatchSettings, hook: Hook) -> None:
    settings = Settings(FOOTFALL_HOME=tmp_path, DATABASE_URL="postgresql://127.0.0.1:1/none")
    watcher = Watcher(settings, watch_settings)
    watcher.send_canary()
    watcher.look()
    watcher.look()
    assert changes(hook.texts, "postgres_away") == ["open"]
    assert changes(hook.texts, "ingest_away") == ["open"]


def test_alerts_are_sent_though_the_disk_is_full(
    settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook
) -> None:
    watcher = Watcher(settings, watch_settings)
    # root may write anywhere, but not a file where a folder is
    (settings.home / "watch" / f".alerts.json.{os.getpid()}").mkdir()
    a_reject(database)
    watcher.look()
    assert changes(hook.texts, "records_rejected") == ["open"]


def test_gauges_show_what_was_seen_and_go_with_the_watcher(settings: Settings, database: psycopg.Connection) -> None:
    watcher = Watcher(settings, WatchSettings(FOOTFALL_INGEST_URL=AWAY))
    a_reject(database)
    watcher.look()
    registry = watcher._metrics.registry
    assert registry
    found = read_metrics(generate_latest(registry).decode())
    assert found["footfall_open_alerts"]["records_rejected",] == 1
    assert found["footfall_open_alerts"]["disk_full",] == 0
    # not known yet
    assert str(found["footfall_canary_age_seconds"][()]) == "nan"


def test_second_watcher_of_a_home_is_refused(settings: Settings, watch_settings: WatchSettings) -> None:
    (settings.home / "watch").mkdir()
    lock = take_lock(settings.home / "watch" / "watch.lock")
    assert lock is not None
    with pytest.raises(AlreadyWatched, match="another watcher"):
        watch(settings, watch_settings, threading.Event())
    os.close(lock)


def test_slow_mail_server_does_not_hold_up_the_canary(
    settings: Settings, watch_settings: WatchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIRST_CANARY_SECONDS", 0.0)
    monkeypatch.setattr(watching, "CANARY_SECONDS", 0.01)
    stop, canaries = threading.Event(), threading.Semaphore(0)
    monkeypatch.setattr(Watcher, "look", lambda _: stop.wait(60))
    monkeypatch.setattr(Watcher, "send_canary", lambda _: canaries.release())
    thread = threading.Thread(target=watch, args=(settings, watch_settings, stop))
    thread.start()
    for _ in range(3):
        assert canaries.acquire(timeout=30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("found", ["half of i", '{"alerts": [{"kind": "of another version"}], "unsent": {}}', "[]"])
def test_book_that_cannot_be_read_ends_no_watcher(
    found: str, settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook
) -> None:
    (settings.home / "watch").mkdir()
    for name in ("alerts.json", "canary.json"):
        (settings.home / "watch" / name).write_text(found)
    a_reject(database)
    Watcher(settings, watch_settings).look()
    assert changes(hook.texts, "records_rejected") == ["open"]


def test_long_silence_of_a_way_is_made_up_in_parts(
    settings: Settings, watch_settings: WatchSettings, database: psycopg.Connection, hook: Hook
) -> None:
    unsent = [f"open: run_failed: number {number}" for number in range(watching.LINES_AT_ONCE + 1)]
    (settings.home / "watch").mkdir()
    (settings.home / "watch" / "alerts.json").write_text(json.dumps({"alerts": [], "unsent": {"webhook": unsent}}))
    watcher = Watcher(settings, watch_settings)
    watcher.look()
    watcher.look()
    assert [text.count("number") for text in hook.texts] == [watching.LINES_AT_ONCE, 1]


def test_ingest_behind_its_proxy_is_not_away(settings: Settings, hook: Hook) -> None:
    assert Lookout(settings, f"http://127.0.0.1:{hook.port}/").look().ingest == Ingest(is_open=False)


def test_home_is_watched_as_long_as_a_watcher_lives(settings: Settings) -> None:
    assert not is_watched(settings.home)
    (settings.home / "watch").mkdir()
    lock = take_lock(settings.home / "watch" / "watch.lock")
    assert lock is not None
    assert is_watched(settings.home)
    os.close(lock)
    assert not is_watched(settings.home)
