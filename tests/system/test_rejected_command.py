"""`footfall rejected list|retry` as an operator types it."""

import psycopg
import pytest

from tests.system.conftest import Footfall

AN_EVENT = (
    '{"event_id": "6f9619ff-8b86-4011-b42d-00cf4fc964ff", "user_type": "student", "app_name": "DViz", '
    '"event_type": "button", "event_name": "poison", "created_at": "2026-11-01T00:00:00Z", '
    '"created_at_adjusted": false, "is_bot": false, "os": "[red]"}'
)


@pytest.fixture
def rejected(migrated: Footfall, database_url: str) -> Footfall:
    """A footfall whose Postgres has refused one record."""
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE tracking_events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')")
        connection.execute(
            "INSERT INTO rejected_records (kind, event_id, reason, body) VALUES ('events', %s, 'no_poison', %s)",
            ["6f9619ff-8b86-4011-b42d-00cf4fc964ff", AN_EVENT],
        )
    return migrated


def test_rejected_records_are_listed_with_their_reason(rejected: Footfall) -> None:
    listed = rejected.run("rejected", "list", COLUMNS="300")
    assert listed.returncode == 0
    for expected in (
        "events",
        "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
        "no_poison",
        '"event_name": "poison"',
        '"os": "[red]"',
    ):
        assert expected in listed.stdout


def test_retry_fails_until_the_reason_is_mended(rejected: Footfall, database_url: str) -> None:
    refused = rejected.run("rejected", "retry")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "1 are still refused: see `footfall rejected list`" in refused.stderr
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE tracking_events DROP CONSTRAINT no_poison")
    mended = rejected.run("rejected", "retry", "1")
    assert (mended.returncode, mended.stdout) == (0, "1 records are in Postgres now\n")
    assert rejected.run("rejected", "list").stdout == "no record was rejected\n"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT event_name FROM tracking_events").fetchall() == [("poison",)]
