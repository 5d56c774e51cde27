"""A day that is half detached is no longer read with its table: a person's rows in it are found and go all the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from footfall.exporting import export
from tests.integration.archive.sealing import DAY
from tests.integration.people.conftest import settings_of
from tests.integration.people.persons import GONE, STAYS, SUBJECT, Place
from tests.integration.people.removing import found_in, remove_person
from warehouse.archive import detach
from warehouse.archive.retention import Partition
from warehouse.people.erase import survey
from warehouse.people.postgres import find_sessions
from warehouse.writer import writer_lock

PARTITION = Partition("tracking_events", DAY)
# a session that no other day names
IN_A_SESSION = f"""
    INSERT INTO tracking_events (user_id, user_type, app_name, event_type, event_name, session_id, received_at)
    SELECT user_id, 'student', 'DViz', 'button', 'open', 'of the day', '{DAY} 05:00Z'
    FROM (VALUES ({GONE}), (NULL)) AS v (user_id)
"""


@pytest.fixture
def pending(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """Give a connection to a Postgres that began to detach a day, and gave up waiting for who reads."""
    monkeypatch.setattr(detach, "DETACH_MS", 200)
    url = place.home.database_url
    with psycopg.connect(url, autocommit=True) as database, psycopg.connect(url) as reader:
        database.execute(IN_A_SESSION.encode())
        reader.execute("SELECT count(*) FROM tracking_events")
        detach.try_detach(database, PARTITION, "detach")
        assert detach.state_of(database, PARTITION) == "pending"
        reader.rollback()
        yield database


def users_in(database: psycopg.Connection) -> set[int | None]:
    return {user for (user,) in database.execute(f"SELECT user_id FROM {PARTITION.name}".encode())}


def test_nobody_stays_in_a_half_detached_day(place: Place, pending: psycopg.Connection) -> None:
    assert users_in(pending) == {GONE, STAYS, None}
    assert "of the day" in find_sessions(pending, GONE)
    with writer_lock(place.home.warehouse_path):
        _, found = survey(pending, place.home.warehouse_path, None, SUBJECT)
    assert f"public.{PARTITION.name}" in {one.place for one in found}
    erasure = remove_person(place.home)
    assert users_in(pending) == {STAYS, None}
    sessions = f"SELECT count(*) FROM {PARTITION.name} WHERE session_id = 'of the day'"
    assert pending.execute(sessions.encode()).fetchone() == (0,)
    assert found_in(place.home, erasure) == []


def test_half_detached_day_is_exported(place: Place, pending: psycopg.Connection, tmp_path: Path) -> None:
    export(settings_of(place), place.home.database_url, SUBJECT, tmp_path / "person.json", print)
    rows = json.loads((tmp_path / "person.json").read_text())["postgres"]["tracking_events"]
    assert sum(row["session_id"] == "of the day" for row in rows) == 2
