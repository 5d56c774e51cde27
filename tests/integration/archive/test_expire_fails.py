"""An expire that something ends: what has left by then is told all the same, and what to do about the rest."""

from pathlib import Path

import psycopg
import pytest

from tests.integration.archive.aging import OLD, OLDER, expire_now, gone
from tests.integration.archive.sealing import Home, part
from tests.integration.archive.test_expire import ALL_OLD, run
from tests.integration.archive.test_expire_beside import materialize
from tests.integration.archive.test_restore import footfall_archive, restore
from warehouse.archive import expire
from warehouse.archive.detach import drop_if
from warehouse.archive.retention import Partition
from warehouse.errors import ErasureUnfinished

AN_ERASURE = """
    INSERT INTO erasures (subject_kind, subject, pseudonym, reason, actor, certificate)
    VALUES ('user', '31', -1, 'erasure', 'cli:ada', '{}')
"""


def break_after_a_day(monkeypatch: pytest.MonkeyPatch, manifest: Path) -> str:
    """Let a line of the manifest be lost as soon as one day has left, a day a turn; return the manifest as it was."""
    content = manifest.read_text()

    def drop_and_break(connection: psycopg.Connection, partition: Partition, *arguments: object) -> int:
        byte_count = drop_if(connection, partition, *arguments)  # type: ignore[arg-type]
        manifest.write_text(content.replace('"part":0', '"part":1', 1))
        return byte_count

    monkeypatch.setattr(expire, "drop_if", drop_and_break)
    monkeypatch.setattr(expire, "TURN_SECONDS", 0.0001)
    return content


def test_expire_that_ends_midway_tells_what_has_left(aged_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    content = break_after_a_day(monkeypatch, aged_home.manifest)
    answer = footfall_archive(aged_home, "expire")
    assert answer.exit_code == 1
    assert "1 days of tables left Postgres" in answer.output
    assert "it ended before all days had their turn: " in answer.output
    assert "know other sealed files" in answer.output
    aged_home.manifest.write_text(content)
    result = materialize(aged_home)
    assert not result.success
    assert result.asset_materializations_for_node("expired_days")[0].metadata["expired_row_count"].value == 12
    aged_home.manifest.write_text(content)
    monkeypatch.undo()
    assert gone(expire_now(aged_home)) == ALL_OLD[2:]


def test_day_whose_file_cannot_be_read_keeps_no_other(aged_home: Home) -> None:
    folder = (aged_home.archive / part("activity_events", OLDER)).parent
    folder.rename(folder.with_name("away"))
    folder.write_text("a disk that errs")
    expiry = expire_now(aged_home)
    assert gone(expiry) == ALL_OLD[1:]
    [stays] = map(str, expiry.stays)
    assert "activity_events" in stays
    assert "its sealed files cannot be read: [Errno 20] Not a directory" in stays


def test_rows_that_postgres_lacks_are_restored_first(aged_home: Home) -> None:
    run(aged_home, f"DELETE FROM tracking_events WHERE received_at < '{OLD}' AND id % 2 = 0")
    aged_home.load(full=True)
    [stays] = map(str, expire_now(aged_home).stays)
    assert f"`footfall archive restore {OLDER}`, then run it again" in stays
    assert restore(aged_home, OLDER, table="tracking_events") == [6]
    assert gone(expire_now(aged_home)) == [("tracking_events", OLDER)]


def test_nothing_leaves_while_a_person_is_half_erased(aged_home: Home) -> None:
    run(aged_home, AN_ERASURE)
    with pytest.raises(ErasureUnfinished, match="footfall erase --user 31"):
        expire_now(aged_home)
