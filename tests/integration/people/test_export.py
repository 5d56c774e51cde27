"""What is held on a person, as JSON: each row once, wherever it lies, and nobody else's."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from signal import Signals
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from footfall.cli import app
from footfall.exporting import _name, export
from tests.integration.archive.sealing import DAY
from tests.integration.people.conftest import settings_of
from tests.integration.people.persons import EVENT_TABLES, GONE, STAYS, SUBJECT, Place

EXPORT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from footfall import exporting
from footfall.settings import Settings
from tests.integration.people.persons import SUBJECT

folder, url, name, output = sys.argv[1:]
write = exporting.write_export
def write_and_die(out, *others):
    write(out, *others)
    out.flush()
    os.kill(os.getpid(), signal.Signals[name])
exporting.write_export = write_and_die
exporting.export(Settings(FOOTFALL_HOME=Path(folder), DATABASE_URL=url), url, SUBJECT, Path(output), print)
"""


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


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
def test_killed_export_leaves_nothing_behind(settled: Place, tmp_path: Path, signal: str) -> None:
    command = [sys.executable, "-c", EXPORT_AND_DIE, str(settled.home.folder), settled.home.database_url, signal]
    exporting = subprocess.run([*command, str(tmp_path / "person.json")], check=False, cwd=Path(__file__).parents[3])
    assert exporting.returncode == -Signals[signal]
    assert [*tmp_path.iterdir(), *settled.home.folder.glob(".*")] == []


def test_row_of_two_unnamed_files_is_exported_once(place: Place, tmp_path: Path) -> None:
    with psycopg.connect(place.home.database_url, autocommit=True) as database:
        database.execute("DELETE FROM tracking_events")
    with duckdb.connect(str(place.home.warehouse_path)) as warehouse:
        warehouse.execute("DELETE FROM raw.tracking_events")
    folder = place.archive / "only-here"
    shutil.copy(folder / "tracking_events-20200101T000000.parquet", folder / "tracking_events-20200103T000000.parquet")
    unnamed = exported(place, tmp_path / "person.json")["files that nothing names"]
    ids = [row["event_id"] for name, rows in unnamed.items() if "tracking_events" in name for row in rows]
    assert len(ids) == len(set(ids)) > 0


def test_file_that_no_name_can_be_given_is_copied(tmp_path: Path) -> None:
    (tmp_path / "person.json").write_text("an older export")
    with tempfile.TemporaryFile("w+") as file:
        file.write("all of it")
        _name(file, tmp_path / "person.json")
    assert (tmp_path / "person.json").read_text() == "all of it"
    assert (tmp_path / "person.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", ["erase", "export"])
@pytest.mark.parametrize("given", [[], ["--user", "1", "--account", "00000000-0000-0000-0000-000000000001"]])
def test_one_person_has_to_be_named(command: str, given: list[str]) -> None:
    result = CliRunner().invoke(app, [command, *given])
    assert result.exit_code == 2
