"""Two footfalls with one archive address by mistake: neither takes, moves nor writes over what the other has sealed."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.archive.conftest import filled
from tests.integration.archive.sealing import Home
from tests.integration.archive.test_s3 import SEALED
from warehouse.archive import seal
from warehouse.archive.errors import ArchiveOfAnother
from warehouse.archive.verify import verify_files


@pytest.fixture
def other(home: Home, empty_migrated_url: str, tmp_path: Path) -> Home:
    """One of another Postgres whose archive is the first one's."""
    return filled(Home(tmp_path / "other", empty_migrated_url, str(home.archive)))


def test_archive_of_another_footfall_is_not_adopted(home: Home, other: Home) -> None:
    home.seal()
    source = home.ask("SELECT DISTINCT system_identifier || '/' || database_oid FROM meta.load_cursors")[0][0]
    for refused in (other.sources, other.seal, lambda: other.load(full=True)):
        with pytest.raises(
            ArchiveOfAnother, match=f"sealed from the Postgres {source}, .* FOOTFALL_ARCHIVE of its own"
        ):
            refused()
    own = replace(other, archive_address=None)
    assert own.seal() == SEALED
    assert len(own.sources()["tracking_events"]) == 36


@pytest.mark.parametrize("step", ["_make_room", "write_part", "commit"])
def test_two_seals_at_once_keep_their_hands_off(
    home: Home, other: Home, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    do = getattr(seal, step)

    def do_behind_the_other(*arguments: object) -> None:
        if step == "_make_room":
            do(*arguments)
        monkeypatch.setattr(seal, step, do)
        assert other.seal() == SEALED
        if step != "_make_room":
            do(*arguments)

    monkeypatch.setattr(seal, step, do_behind_the_other)
    before = home.hot_count()
    with pytest.raises(ArchiveOfAnother):
        home.seal()
    assert home.hot_count() == before
    assert [finding.fault for finding in verify_files(other.store)] == [None] * len(SEALED)


def test_new_warehouse_is_made_from_the_archive_of_an_older_postgres(home: Home, other: Home) -> None:
    """A server was replaced and an old dump put back: what says so is that the warehouse is made anew as well."""
    home.seal()
    other.warehouse_path.unlink()
    other.load(full=True)
    assert len(other.sources()["tracking_events"]) == 24 + 36
