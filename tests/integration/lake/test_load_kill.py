"""A load into the lake, or back, is killed after each of its steps, one run after the other: each row counts once."""

import psycopg
import pytest

from tests.integration.archive.sealing import DAY, days_ago
from tests.integration.lake.killing import kill_after
from tests.integration.lake.lakes import LakeHome, events, hot_rows, ids, ids_in_postgres

TODAY = days_ago(0)
# functions that a load calls, in this order
WRITING = ["writing.sha256_of", "store.put_in_place"]
KILLED_AFTER = {
    "first": [*WRITING, "loading.swap_files", "load.save_cursor", "load.note_load", "load.remove_unnamed"],
    "difference": [*WRITING, "loading.swap_files", "load.touch_new_rows", "load.save_cursor", "load.note_load"],
    "full": [
        "load.let_go_of_damaged",
        "load.adopt_sealed_files",
        "load.keep_before",
        *WRITING,
        "load.save_only_here",
        "load.note_load",
        "store.remove",
    ],
    "into the lake": [*WRITING, "switching.swap_files", "load.bring_rows", "loading.swap_files", "load.note_load"],
    "back": ["switching.put_aside", "switching._into_table", "load.bring_rows", "store.remove", "load.note_load"],
}


@pytest.mark.parametrize("mode", KILLED_AFTER)
def test_load_killed_after_every_step_is_resumed(
    database: psycopg.Connection, filled_lake: LakeHome, mode: str
) -> None:
    if mode != "first":
        filled_lake.load_tables(into_lake=mode != "into the lake")
        rows = hot_rows(filled_lake)
    for day in (DAY, TODAY):
        events(database, day, 4)
    run = {"full": "full", "back": "back"}.get(mode, "load")
    kill_after(filled_lake, run, KILLED_AFTER[mode])
    into_lake = mode != "back"
    if mode != "first":
        # whatever is loaded by now, nothing is there twice or half
        assert set(ids(filled_lake)) <= set(ids_in_postgres(database))
        assert len(ids(filled_lake)) in {len(rows["tracking_events"]), len(rows["tracking_events"]) + 8}
    filled_lake.load_tables(into_lake=into_lake)
    for table in ("tracking_events", "activity_events"):
        assert ids(filled_lake, table) == ids_in_postgres(database, table)
    filled_lake.load_tables(into_lake=into_lake, compare_keys=True)
    assert filled_lake.stray() == set()
    assert not [path for path in filled_lake.archive.rglob("*") if path.suffix == ".new"]
