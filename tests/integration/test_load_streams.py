"""Much is read on two connections: both see one moment, share the pieces, and miss or double none."""

from pathlib import Path

import duckdb
import psycopg
import pytest

import warehouse.load
from warehouse import pieces
from warehouse.columns import declared_columns
from warehouse.errors import LoadFailed
from warehouse.load import load
from warehouse.pieces import everything
from warehouse.postgres import open_snapshot
from warehouse.tables import TABLES

EVENTS = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, received_at)
    SELECT 'student', 'DViz', 'visit', 'open', now() - n %% 2 * interval '1 day' FROM generate_series(1, %s) AS n
"""
COUNT = "SELECT count(*) AS n, pg_backend_pid() AS pid FROM tracking_events"


def test_both_connections_see_one_moment(database: psycopg.Connection, database_url: str) -> None:
    database.execute(EVENTS, [3])
    with open_snapshot(database_url) as snapshot:
        database.execute(EVENTS, [5])
        with snapshot.streams([COUNT, COUNT]) as streams:
            # the second stream's first batch is read while the first one is open
            [first, second] = [stream.read_next_batch().to_pylist()[0] for stream in streams]
    assert (first["n"], second["n"]) == (3, 3)
    assert first["pid"] != second["pid"]


def test_one_query_needs_no_second_connection(database_url: str) -> None:
    with open_snapshot(database_url) as snapshot, snapshot.streams([COUNT]) as streams:
        assert len(streams) == 1
        assert "_second" not in vars(snapshot)


def test_pieces_cover_each_row_once(
    database: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BLOCKS", 3)
    database.execute(EVENTS, [2_000])
    database.execute("DELETE FROM tracking_events WHERE id % 7 = 0")
    table = next(table for table in TABLES if table.name == "tracking_events")
    with open_snapshot(database_url) as snapshot:
        queries = everything(snapshot, table, declared_columns()[table.name])
        read = sorted(row[0] for query in queries for row in snapshot.fetch(query))
    assert len(queries) > 5
    assert read == [row[0] for row in database.execute("SELECT id FROM tracking_events ORDER BY id").fetchall()]


def test_failure_in_a_later_piece_undoes_all(
    database: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "HALVED_FROM_XIDS", 0)
    warehouse_path = tmp_path / "warehouse.duckdb"
    load(database_url, warehouse_path)
    database.execute(EVENTS, [2_000])
    with monkeypatch.context() as broken:
        # the third of three queries, so it is asked when one of the streams has ended its first
        broken.setattr(warehouse.load, "difference", lambda *given: [*pieces.difference(*given), "SELECT 1 / 0"])
        with pytest.raises(LoadFailed, match="division by zero") as failed:
            load(database_url, warehouse_path)
    assert "Traceback" not in str(failed.value)
    with duckdb.connect(str(warehouse_path)) as connection:
        assert connection.execute("SELECT count(*) FROM raw.tracking_events").fetchone() == (0,)
    assert sum(table.loaded_row_count for table in load(database_url, warehouse_path)) == 2_000
