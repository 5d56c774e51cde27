"""Which load brought a row: what two snapshots say of a transaction that has committed."""

from datetime import UTC, datetime

import pytest

from warehouse.loads import Load, has_brought, is_seen

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("xid", "snapshot", "seen"),
    [(9, "10:20:", True), (10, "10:20:10,12", False), (11, "10:20:10,12", True), (19, "10:20:10", True),
     (20, "10:20:", False), (1, "10:20:11", True), (2**40, f"{2**40}:{2**40}:", False)],
)  # fmt: skip
def test_snapshot_sees_what_ended_before_it(xid: int, snapshot: str, seen: bool) -> None:
    assert is_seen(xid, snapshot) is seen


@pytest.mark.parametrize(
    ("xid", "brought_by"),
    [(5, "first"), (10, "third"), (15, "second"), (19, "second"), (20, "third"), (31, "fourth"), (40, None)],
)
def test_row_comes_with_one_load_however_late(xid: int, brought_by: str | None) -> None:
    snapshots = {"first": "10:12:10", "second": "10:20:10", "third": "22:31:", "fourth": "40:40:"}
    previous = [None, *snapshots.values()]
    loads = [Load(name, AT, before, snapshots[name]) for name, before in zip(snapshots, previous, strict=False)]
    assert [load.run_id for load in loads if has_brought(load, xid)] == ([brought_by] if brought_by else [])
