"""The doctor's findings about what was accepted: what waits on disk, what is damaged, what Postgres refused."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from footfall.doctor import LATE_DRAIN_SECONDS, Finding, health
from footfall.settings import load_settings
from ingest_app.database import make_engine
from tests.integration.spools import a_part, a_spool, an_event
from tests.s3_server import BUCKET, S3Server


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def finding(engine: Engine, home: Path, item: str) -> Finding:
    with engine.connect() as connection:
        return next(found for found in health(connection, load_settings(home)) if found.item == item)


def test_home_without_spools_is_well(engine: Engine, tmp_path: Path) -> None:
    found = finding(engine, tmp_path, "spool")
    assert found.is_well
    assert found.found == "0 records wait, the oldest for 0 s"


def test_records_that_wait_briefly_are_well(engine: Engine, tmp_path: Path, spools: Path) -> None:
    a_spool(spools, a_part(an_event(), an_event()), a_part(an_event()))
    found = finding(engine, tmp_path, "spool")
    assert found.is_well
    assert found.found.startswith("3 records wait")


def test_records_that_wait_long_are_not_well(engine: Engine, tmp_path: Path, spools: Path) -> None:
    spool = a_spool(spools, a_part(an_event()))
    with sqlite3.connect(spool) as connection:
        connection.execute("UPDATE entries SET received_at = received_at - ?", (LATE_DRAIN_SECONDS + 60,))
    connection.close()
    found = finding(engine, tmp_path, "spool")
    assert not found.is_well
    assert "footfall up" in found.advice


def test_damaged_spool_is_not_well(engine: Engine, tmp_path: Path, spools: Path) -> None:
    a_spool(spools, a_part(an_event())).rename(spools / "kept.damaged")
    found = finding(engine, tmp_path, "spool")
    assert not found.is_well
    assert "damaged files: 1" in found.found


def test_archive_is_named_where_it_is(
    engine: Engine, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finding(engine, tmp_path, "archive").found == f"{tmp_path / 'archive'}, made with the first sealed day"
    for address, named in [
        (str(tmp_path / "elsewhere"), str(tmp_path / "elsewhere")),
        (s3.address("doctor"), f"s3://{BUCKET}/doctor at 127.0.0.1:{s3.port}"),
    ]:
        monkeypatch.setenv("FOOTFALL_ARCHIVE", address)
        found = finding(engine, tmp_path, "archive")
        assert (found.is_well, found.found) == (True, f"{named} can be written")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_archive_that_cannot_be_written_is_not_well(
    engine: Engine, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    for address, told in [
        (str(tmp_path / "a file" / "archive"), "File exists"),
        (s3.address("doctor", bucket="no-bucket"), "there is no bucket"),
    ]:
        monkeypatch.setenv("FOOTFALL_ARCHIVE", address)
        found = finding(engine, tmp_path, "archive")
        assert not found.is_well
        assert told in found.found
        assert "check FOOTFALL_ARCHIVE" in found.advice


def test_rejected_records_are_counted(engine: Engine, tmp_path: Path) -> None:
    assert finding(engine, tmp_path, "rejected records") == Finding(
        "rejected records", True, "0", "`footfall rejected list` says why each was refused"
    )
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO rejected_records (kind, reason, body) VALUES ('events', 'r', '{}')"))
    found = finding(engine, tmp_path, "rejected records")
    assert not found.is_well
    assert found.found == "1"
