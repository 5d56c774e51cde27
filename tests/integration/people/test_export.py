"""What is held on a person, as JSON: each row once, wherever it lies, and nobody else's."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from footfall.cli import app
from footfall.exporting import export
from tests.integration.archive.sealing import DAY
from tests.integration.people.conftest import settings_of
from tests.integration.people.persons import EVENT_TABLES, GONE, STAYS, SUBJECT, Place


def exported(place: Place, path: Path) -> dict[str, Any]:
    row_count = export(settings_of(place), place.home.database_url, SUBJECT, path, print)
    found: dict[str, Any] = json.loads(path.read_text())
    rows = [row for store, tables in found.items() if store != "person" for rows in tables.values() for row in rows]
    assert len(rows) == row_count
    return found


def event_ids(found: dict[str, Any]) -> list[str]:
    stores = [tables for store, tables in found.items() if store not in {"person", "spool"}]
    return [
        row["event_id"] for tables in stores for table, rows in tables.items() for row in rows if table in EVENT_TABLES
    ]


def test_day_that_left_postgres_is_exported_once(place: Place, tmp_path: Path) -> None:
    before = exported(place, tmp_path / "before.json")
    assert len(event_ids(before)) == len(set(event_ids(before))) == 32
    assert before["warehouse and archive"] == {}
    with psycopg.connect(place.home.database_url, autocommit=True) as database:
        for table in EVENT_TABLES:
            database.execute(f"DROP TABLE {table}_p{DAY:%Y%m%d}".encode())
    after = exported(place, tmp_path / "after.json")
    assert sorted(event_ids(after)) == sorted(event_ids(before))
    assert len(after["warehouse and archive"]["tracking_events"]) == 5


def test_export_has_what_waits_and_nobody_elses(place: Place, tmp_path: Path) -> None:
    found = exported(place, tmp_path / "person.json")
    assert [row["record"].get("user_id") for row in found["spool"]["records"]] == [GONE, None]
    assert len(found["postgres"]["rejected_records"]) == 3
    assert str(STAYS) not in (tmp_path / "person.json").read_text()
    assert (tmp_path / "person.json").stat().st_mode & 0o777 == 0o600


def test_export_that_fails_leaves_nothing(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(place.home.database_url, autocommit=True) as database:
        database.execute("DROP TABLE admin_audit_log")
    with pytest.raises(psycopg.Error):
        exported(place, tmp_path / "person.json")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("command", ["erase", "export"])
@pytest.mark.parametrize("given", [[], ["--user", "1", "--account", "00000000-0000-0000-0000-000000000001"]])
def test_one_person_has_to_be_named(command: str, given: list[str]) -> None:
    result = CliRunner().invoke(app, [command, *given])
    assert result.exit_code == 2
