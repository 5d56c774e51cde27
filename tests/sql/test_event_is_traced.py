"""One event on all of its way: at each station `footfall trace` says that it is there, and nowhere else too early."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from footfall.cli import app
from footfall.settings import Settings
from footfall.stations import stations
from footfall.tracing import reporting_timezone, trace
from ingest_app.database import make_engine
from ingest_app.drain.drainer import drain_all
from tests.integration.archive.aging import OLD, expire_now
from tests.integration.archive.sealing import PARTITION, Home, part
from tests.integration.spools import a_part, a_spool, an_event
from tests.sql.conftest import Models
from tests.sql.views import make_views
from warehouse.archive.sources import prepare_sources
from warehouse.builds import begin_build, finish_build
from warehouse.load import load
from warehouse.publish import publish
from warehouse.trace_marts import TRACED_MARTS
from warehouse.writer import writer_lock

# it came on a day that is old enough to leave Postgres
AGE = """
    INSERT INTO tracking_events OVERRIDING SYSTEM VALUE
    SELECT (jsonb_populate_record(event, jsonb_build_object('received_at', %(at)s::text))).*
    FROM tracking_events AS event WHERE event_id = %(event_id)s
"""
FORGET = "DELETE FROM tracking_events WHERE event_id = %(event_id)s AND received_at > %(at)s"
SEEN = "UPDATE event_ids SET received_at = %(at)s WHERE event_id = %(event_id)s"
NOBODY_THERE = "postgresql://postgres@127.0.0.1:1/none"


@dataclass(frozen=True)
class Followed:
    """A home, and an event on its way."""

    home: Home
    models: Models
    event_id: UUID

    @property
    def spool(self) -> Path:
        return self.home.folder / "spool"

    def ask(self, *options: str, database_url: str | None = None) -> Result:
        env = {"DATABASE_URL": database_url or self.home.database_url, "FOOTFALL_ARCHIVE": ""}
        arguments = ["trace", str(self.event_id), *options, "--home", str(self.home.folder)]
        return CliRunner().invoke(app, arguments, env=env)

    def stations(self, database_url: str | None = None) -> list[dict[str, Any]]:
        answer = self.ask("--json", database_url=database_url)
        found = json.loads(answer.output)
        assert answer.exit_code == (0 if found["is_known"] else 1)
        return list(found["stations"])

    def states(self, database_url: str | None = None) -> list[str]:
        return [f"{one['station']} {one['state']}" for one in self.stations(database_url)]

    def station(self, name: str) -> dict[str, Any]:
        return next(one for one in self.stations() if one["station"] == name)

    def accept(self) -> Path:
        """Leave it in a spool, behind another event."""
        record = an_event(event_id=str(self.event_id), user_id=7, app_name="Traced")
        return a_spool(self.spool, a_part(an_event()), a_part(record))

    def drain(self) -> None:
        engine = make_engine(self.home.database_url)
        try:
            drain_all(engine, self.spool)
        finally:
            engine.dispose()

    def load(self, run_id: str) -> None:
        load(self.home.database_url, self.home.warehouse_path, run_id=run_id)

    def publish(self) -> None:
        prepare_sources(self.home.warehouse_path)
        make_views(self.models, reporting_timezone(), datetime.now(UTC).isoformat())
        begin_build(self.home.warehouse_path, "a build", models=[f"marts.{mart.mart}" for mart in TRACED_MARTS])
        finish_build(self.home.warehouse_path, "a build")
        publish(self.home.warehouse_path, self.home.warehouse_path.with_name("analytics.duckdb"))


@pytest.fixture
def followed(database_url: str, make_models: Callable[[], Models]) -> Followed:
    models = make_models()
    (models.home / "spool").mkdir()
    return Followed(Home(models.home, database_url), models, uuid.uuid4())


def test_event_is_told_at_every_station(followed: Followed, database: psycopg.Connection) -> None:
    assert followed.ask().exit_code == 1
    file = followed.accept()
    [waits] = followed.stations()
    assert (waits["station"], waits["state"], waits["file"]) == ("spool", "waits", file.name)
    assert "records before it: 1 at most" in waits["words"]
    followed.drain()
    assert followed.states() == ["postgres stored", "warehouse waits"]
    assert followed.station("postgres")["app_name"] == "Traced"
    followed.accept()
    assert followed.states() == ["spool repeat_waits", "postgres stored", "warehouse waits"]
    followed.drain()
    assert followed.states() == ["postgres stored", "duplicate duplicate", "warehouse waits"]
    assert followed.station("duplicate")["repeat_count"] == 1

    came_at = {"at": f"{OLD} 12:00Z", "event_id": followed.event_id}
    database.execute(PARTITION.format(table="tracking_events", day=OLD, end=OLD + timedelta(days=1)))
    for statement in (AGE, FORGET, SEEN):
        database.execute(statement, came_at)
    followed.load("run-1")
    on_disk = ["postgres stored", "duplicate duplicate", "warehouse loaded"]
    assert followed.states() == [*on_disk, "marts waits", "archive hot"]
    followed.publish()
    counted = ["marts counted"] * 3
    found = followed.stations()
    assert [f"{one['station']} {one['state']}" for one in found] == [*on_disk, *counted, "archive hot"]
    assert found[2]["run_id"] == "run-1"
    month = next(one for one in found if one.get("mart") == "rpt_app_usage_monthly")
    assert (month["key"]["app_name"], month["counts"]) == ("Traced", {"event_count": 1, "user_count": 1})

    followed.home.load_closed()
    followed.home.seal()
    assert followed.states() == [*on_disk, *counted, "archive sealed"]
    assert followed.station("archive")["path"] == part("tracking_events", OLD)
    expire_now(followed.home)
    gone = ["duplicate duplicate", "warehouse loaded", *counted, "archive sealed", "postgres expired"]
    found = followed.stations()
    assert [f"{one['station']} {one['state']}" for one in found] == gone
    lines = followed.ask().output.splitlines()
    assert lines == ["tracking_events", *(f"  {one['station']:<10} {one['words']}" for one in found)]

    away = followed.states(database_url=NOBODY_THERE)
    assert away == ["warehouse loaded", *counted, "archive sealed", "postgres not_asked"]
    with writer_lock(followed.home.warehouse_path, purpose="refresh"):
        busy = stations(trace(settings_of(followed.home), followed.event_id, wait_seconds=0))
    assert [f"{one.station} {one.state}" for one in busy] == [*gone, "warehouse not_asked"]
    assert "(refresh)" in busy[-1].words


def settings_of(home: Home) -> Settings:
    given: dict[str, Any] = {"FOOTFALL_HOME": home.folder, "DATABASE_URL": home.database_url}
    return Settings(**given, FOOTFALL_ARCHIVE="")


def test_what_is_not_a_uuid_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["trace", "0190"]).exit_code == 2


def test_rejected_event_says_why_and_what_to_run(followed: Followed, database: psycopg.Connection) -> None:
    a_spool(followed.spool, a_part(an_event(event_id=str(followed.event_id), event_type="unheard of")))
    followed.drain()
    assert followed.states() == ["rejected rejected"]
    [(number, reason)] = database.execute("SELECT id, reason FROM rejected_records").fetchall()
    assert f"`footfall rejected retry {number}`" in followed.station("rejected")["words"]
    assert followed.station("rejected")["reason"] == reason


def test_rejected_record_hides_no_event_that_came_later(followed: Followed, database: psycopg.Connection) -> None:
    for event_type in ("unheard of", "button"):
        a_spool(followed.spool, a_part(an_event(event_id=str(followed.event_id), event_type=event_type)))
        followed.drain()
    database.execute("DELETE FROM event_ids")  # as after 8 days
    assert "postgres stored" in followed.states()


def test_id_of_two_tables_is_told_of_both(followed: Followed) -> None:
    opened = {**an_event(), "level_name": "A", "chapter_name": "B", "document_name": "C"}
    opened = {name: value for name, value in opened.items() if name not in {"event_type", "event_name"}}
    opened["event_id"] = str(followed.event_id)
    a_spool(followed.spool, a_part(an_event(event_id=str(followed.event_id))), a_part(opened, kind="documents"))
    followed.drain()
    assert [one["table_name"] for one in followed.stations() if one["state"] == "stored"] == [
        "tracking_events",
        "tracking_documents",
    ]


def test_event_of_an_erased_person_is_gone(followed: Followed, database: psycopg.Connection) -> None:
    followed.accept()
    followed.drain()
    database.execute("DELETE FROM tracking_events")
    assert followed.states() == ["postgres gone"]


def test_late_event_waits_for_the_next_refresh(followed: Followed, database: psycopg.Connection) -> None:
    with psycopg.connect(followed.home.database_url) as late:
        late.execute(
            "INSERT INTO tracking_events (event_id, user_type, app_name, event_type, event_name)"
            "VALUES (%s, 'guest', 'DViz', 'visit', 'open')",
            [followed.event_id],
        )
        # a later one that has ended, so that the load's snapshot names the one that has not
        database.execute("INSERT INTO activity_events (event_type) VALUES ('login')")
        followed.load("run-1")
        assert followed.states() == ["postgres open_transaction", "nowhere unknown"]
    assert "held back by its open transaction" in followed.station("warehouse")["words"]
    followed.load("run-2")
    assert followed.station("warehouse")["run_id"] == "run-2"
