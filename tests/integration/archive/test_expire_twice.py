"""An expire whose list of days is older than its lock: another one, or a restore, was there in between."""

from collections.abc import Callable

import pytest

from tests.integration.archive.aging import OLDER, expire_now, gone, partition, partition_states
from tests.integration.archive.sealing import Home
from tests.integration.archive.test_expire import ALL_OLD, run
from tests.integration.archive.test_restore import restore
from warehouse.archive import expire
from warehouse.archive.detach import drop_if, open_session
from warehouse.archive.errors import DayStays
from warehouse.archive.retention import Partition, due

DETACH_OLDER = f"ALTER TABLE tracking_events DETACH PARTITION {partition(OLDER)}"


def once_listed(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen between the list of days and the lock."""

    def due_then_act(partitions: list[Partition], *arguments: object) -> list[Partition]:
        monkeypatch.setattr(expire, "due", due)
        found = due(partitions, *arguments)  # type: ignore[arg-type]
        act()
        return found

    monkeypatch.setattr(expire, "due", due_then_act)


def test_two_expires_at_once_end_well(aged_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    other = []
    once_listed(monkeypatch, lambda: other.extend(gone(expire_now(aged_home))))
    expiry = expire_now(aged_home)
    assert (other, gone(expiry), expiry.stays) == (ALL_OLD, [], [])


def test_day_restored_behind_the_list_leaves_again(aged_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run(aged_home, DETACH_OLDER)
    once_listed(monkeypatch, lambda: restore(aged_home, OLDER, table="tracking_events"))
    expiry = expire_now(aged_home)
    assert (sorted(gone(expiry)), expiry.stays) == (sorted(ALL_OLD), [])


def test_attached_partition_is_never_dropped(aged_home: Home) -> None:
    with (
        open_session(aged_home.database_url, "expire") as connection,
        pytest.raises(DayStays, match="attached it again"),
    ):
        drop_if(connection, Partition("tracking_events", OLDER, "detached"), lambda: None)
    assert partition_states(aged_home)[partition(OLDER)] == "attached"
