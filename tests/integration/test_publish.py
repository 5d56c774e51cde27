"""The published file: whole or not at all, with its comments, and never pulled from under a reader."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.errors import BuildNotPassed, BuildOvertaken, NothingToPublish, PublishFailed, WarehouseError, WriterBusy
from warehouse.publish import PublishedTable, publish
from warehouse.writer import writer_lock

A_READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
for _ in range(2):
    print(connection.execute("SELECT day_count FROM marts.rpt_days").fetchone()[0], flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    """A warehouse with one mart, loaded in two tables at different times."""
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path) as warehouse:
        warehouse.execute("""
            CREATE SCHEMA marts;
            CREATE TABLE marts.rpt_days (day_count BIGINT NOT NULL);
            INSERT INTO marts.rpt_days VALUES (1);
            COMMENT ON TABLE marts.rpt_days IS 'the day''s count';
            COMMENT ON COLUMN marts.rpt_days.day_count IS 'how many "days"';
            INSERT INTO meta.load_cursors VALUES
                ('users', '10:10:', '1', 1, '2026-01-02 00:00:00+00'),
                ('accounts', '9:9:', '1', 1, '2026-01-01 00:00:00+00');
        """)
    build(path)
    return path


@pytest.fixture
def published_path(tmp_path: Path) -> Path:
    return tmp_path / "published" / "analytics.duckdb"


def build(path: Path, build_id: str = "first", *, passes: bool = True) -> None:
    begin_build(path, build_id, code_version="1.2.3", models_version="abc")
    if passes:
        finish_build(path, build_id)


def in_file(path: Path, statement: str, *, read_only: bool = True) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=read_only) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(statement).fetchall()


def test_marts_are_published_with_their_comments(warehouse_path: Path, published_path: Path) -> None:
    in_file(warehouse_path, "CREATE VIEW marts.dim_v AS SELECT range AS a FROM range(3)", read_only=False)
    tables = publish(warehouse_path, published_path)
    assert tables == [PublishedTable("dim_v", 3), PublishedTable("rpt_days", 1)]
    assert in_file(published_path, "FROM meta.refresh_tables") == [("dim_v", 3), ("rpt_days", 1)]
    assert in_file(published_path, "SELECT comment FROM duckdb_tables() WHERE table_name = 'rpt_days'") == [
        ("the day's count",)
    ]
    assert in_file(published_path, "SELECT comment FROM duckdb_columns() WHERE column_name = 'day_count'") == [
        ('how many "days"',)
    ]
    assert in_file(published_path, "SELECT DISTINCT schema_name FROM duckdb_tables() ORDER BY 1") == [
        ("marts",),
        ("meta",),
    ]


def test_refresh_row_tells_the_oldest_load(warehouse_path: Path, published_path: Path) -> None:
    publish(warehouse_path, published_path)
    assert in_file(published_path, "SELECT loaded_at::VARCHAR, snapshot FROM meta.refresh") == [
        ("2026-01-01 00:00:00+00", "9:9:")
    ]
    assert in_file(published_path, "SELECT count(*) FROM meta.refresh WHERE refreshed_at > loaded_at") == [(1,)]


def test_refresh_row_tells_code_build_and_rows(warehouse_path: Path, published_path: Path) -> None:
    in_file(warehouse_path, "CREATE TABLE marts.rpt_more AS FROM range(41)", read_only=False)
    publish(warehouse_path, published_path)
    assert in_file(published_path, "SELECT build_id, code_version, models_version, row_count FROM meta.refresh") == [
        ("first", "1.2.3", "abc", 42)
    ]


def test_all_that_is_known_of_a_refresh_is_explained(warehouse_path: Path, published_path: Path) -> None:
    publish(warehouse_path, published_path)
    for catalog in ("duckdb_tables", "duckdb_columns"):
        found = in_file(published_path, f"SELECT comment FROM {catalog}() WHERE schema_name = 'meta'")
        assert len(found) >= 2
        assert [comment for (comment,) in found if not comment] == []


def test_build_signs_a_file_of_an_older_footfall(warehouse_path: Path, published_path: Path) -> None:
    in_file(warehouse_path, "ALTER TABLE meta.builds DROP COLUMN code_version", read_only=False)
    with pytest.raises(PublishFailed, match="code_version"):
        publish(warehouse_path, published_path)
    build(warehouse_path)
    publish(warehouse_path, published_path)


def test_mart_keeps_order_types_and_required_columns(warehouse_path: Path, published_path: Path) -> None:
    in_file(
        warehouse_path,
        """
        CREATE TABLE marts.rpt_ordered (id BIGINT NOT NULL, "per cent" DECIMAL(4, 1) NOT NULL, seen TIMESTAMPTZ);
        INSERT INTO marts.rpt_ordered SELECT 300_000 - range, 1.5, now() FROM range(300_000)
        """,
        read_only=False,
    )
    publish(warehouse_path, published_path)
    described = 'SELECT column_name, column_type, "null" FROM (DESCRIBE marts.rpt_ordered)'
    assert in_file(published_path, described) == [
        ("id", "BIGINT", "NO"),
        ("per cent", "DECIMAL(4,1)", "NO"),
        ("seen", "TIMESTAMP WITH TIME ZONE", "YES"),
    ]
    assert in_file(published_path, "SELECT count(*) FROM marts.rpt_ordered WHERE id + rowid != 300_000") == [(0,)]


def test_mart_larger_than_memory_is_published(
    warehouse_path: Path, published_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file(
        warehouse_path,
        "CREATE TABLE marts.rpt_large AS SELECT hash(range) AS a, hash(-range) AS b FROM range(2_000_000)",
        read_only=False,
    )
    monkeypatch.setattr("warehouse.connection.MEMORY_LIMIT", "16MB")
    assert PublishedTable("rpt_large", 2_000_000) in publish(warehouse_path, published_path)
    assert published_path.stat().st_size > 32_000_000


def test_published_file_suits_the_oldest_duckdb(warehouse_path: Path, published_path: Path) -> None:
    publish(warehouse_path, published_path)
    [(tags,)] = in_file(published_path, "SELECT tags FROM duckdb_databases() WHERE database_name = 'analytics'")
    assert tags["storage_version"].startswith("v1.5.0")


def test_reader_keeps_its_view_through_publish(warehouse_path: Path, published_path: Path) -> None:
    publish(warehouse_path, published_path)
    with subprocess.Popen(
        [sys.executable, "-c", A_READER, str(published_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        in_file(warehouse_path, "UPDATE marts.rpt_days SET day_count = 2", read_only=False)
        publish(warehouse_path, published_path)
        assert in_file(published_path, "SELECT day_count FROM marts.rpt_days") == [(2,)]
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "1\n"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("DROP TABLE marts.rpt_days", NothingToPublish),
        ("DELETE FROM meta.builds", BuildNotPassed),
        ("CREATE VIEW marts.rpt_bad AS SELECT 'x'::INTEGER AS a", PublishFailed),
        ("DROP TABLE meta.builds; CREATE VIEW meta.builds AS SELECT 1 AS a", PublishFailed),
    ],
)
def test_failed_publish_keeps_the_old_file(
    warehouse_path: Path, published_path: Path, change: str, error: type[Exception]
) -> None:
    publish(warehouse_path, published_path)
    before = published_path.read_bytes()
    in_file(warehouse_path, change, read_only=False)
    with pytest.raises(error):
        publish(warehouse_path, published_path)
    assert published_path.read_bytes() == before
    assert {path.name for path in published_path.parent.iterdir()} == {"analytics.duckdb", "analytics.duckdb.wal"}


@pytest.mark.parametrize(
    ("second_passes", "asked_by", "error"),
    [
        (False, "first", BuildOvertaken),
        (False, "second", BuildNotPassed),
        (False, None, BuildNotPassed),
        (True, "first", BuildOvertaken),
    ],
)
def test_only_the_last_passed_build_is_published(
    warehouse_path: Path, published_path: Path, second_passes: bool, asked_by: str | None, error: type[WarehouseError]
) -> None:
    publish(warehouse_path, published_path, build_id="first")
    before = published_path.read_bytes()
    build(warehouse_path, "second", passes=second_passes)
    in_file(warehouse_path, "UPDATE marts.rpt_days SET day_count = 666", read_only=False)
    with pytest.raises(error):
        publish(warehouse_path, published_path, build_id=asked_by)
    assert published_path.read_bytes() == before


def test_later_load_makes_no_mart_look_fresher(warehouse_path: Path, published_path: Path) -> None:
    in_file(warehouse_path, "UPDATE meta.load_cursors SET snapshot = '11:11:', loaded_at = now()", read_only=False)
    publish(warehouse_path, published_path)
    assert in_file(published_path, "SELECT snapshot FROM meta.refresh") == [("9:9:",)]


def test_remains_of_a_killed_publish_are_cleared(warehouse_path: Path, published_path: Path) -> None:
    published_path.parent.mkdir()
    for remains in ("analytics.duckdb.new", "analytics.duckdb.new.wal", "analytics.duckdb.wal"):
        published_path.with_name(remains).write_text("half-made")
    publish(warehouse_path, published_path)
    assert {path.name for path in published_path.parent.iterdir()} == {"analytics.duckdb", "analytics.duckdb.wal"}
    assert in_file(published_path, "SELECT day_count FROM marts.rpt_days") == [(1,)]


def test_missing_warehouse_is_not_made(tmp_path: Path, published_path: Path) -> None:
    with pytest.raises(NothingToPublish, match="footfall refresh"):
        publish(tmp_path / "none.duckdb", published_path)
    assert not (tmp_path / "none.duckdb").exists()


def test_publish_waits_for_no_other_writer(warehouse_path: Path, published_path: Path) -> None:
    with writer_lock(warehouse_path, purpose="build models"), pytest.raises(WriterBusy, match="build models"):
        publish(warehouse_path, published_path)
