"""The engine is changed, and back: the next load brings hot rows to where they are to be, each once."""

import psycopg
import pytest

import warehouse.lake.switching
from tests.integration.archive.sealing import DAY, days_ago
from tests.integration.lake.lakes import LakeHome, events, hot_rows, ids, ids_in_postgres
from warehouse.errors import LoadFailed
from warehouse.tables import EVENT_TABLES

TODAY = days_ago(0)


@pytest.fixture(params=[True, False], ids=["into the lake", "back"])
def into_lake(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_rows_move_with_the_load_that_is_told_to(
    database: psycopg.Connection, filled_lake: LakeHome, into_lake: bool
) -> None:
    filled_lake.load_tables(into_lake=not into_lake)
    rows = hot_rows(filled_lake)
    filled_lake.load_tables(into_lake=into_lake)
    assert hot_rows(filled_lake) == rows
    assert filled_lake.in_lake() == (EVENT_TABLES if into_lake else [])
    assert bool(filled_lake.named()) == into_lake
    assert filled_lake.stray() == set()


def test_new_rows_come_with_the_same_load(database: psycopg.Connection, filled_lake: LakeHome, into_lake: bool) -> None:
    filled_lake.load_tables(into_lake=not into_lake)
    events(database, TODAY, 5)
    events(database, DAY, 2)
    assert filled_lake.load_tables(into_lake=into_lake)["tracking_events"].loaded_row_count == 7
    assert ids(filled_lake) == ids_in_postgres(database)
    filled_lake.load_tables(into_lake=into_lake, compare_keys=True)


def test_full_load_changes_the_place_too(database: psycopg.Connection, filled_lake: LakeHome, into_lake: bool) -> None:
    filled_lake.load_tables(into_lake=not into_lake)
    rows = hot_rows(filled_lake)
    filled_lake.load_tables(into_lake=into_lake, full=True)
    assert hot_rows(filled_lake) == rows
    assert filled_lake.in_lake() == (EVENT_TABLES if into_lake else [])
    assert filled_lake.stray() == set()


def test_failed_change_leaves_rows_where_they_were(
    database: psycopg.Connection, filled_lake: LakeHome, into_lake: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled_lake.load_tables(into_lake=not into_lake)
    rows = hot_rows(filled_lake)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    step = "swap_files" if into_lake else "raw_tables_ddl"
    with monkeypatch.context() as patch:
        patch.setattr(warehouse.lake.switching, step, fail)
        with pytest.raises(LoadFailed, match="No space left"):
            filled_lake.load_tables(into_lake=into_lake)
    assert hot_rows(filled_lake) == rows
    assert filled_lake.in_lake() == ([] if into_lake else EVENT_TABLES)
    filled_lake.load_tables(into_lake=into_lake)
    assert hot_rows(filled_lake) == rows
    assert filled_lake.stray() == set()


def test_sealed_days_stay_sealed(lake: LakeHome) -> None:
    lake.seal()
    rows = lake.sources()
    for into_lake in (False, True):
        lake.load_tables(into_lake=into_lake)
        assert lake.sources() == rows
