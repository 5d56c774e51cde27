"""Histories that no other table keeps, taken over from the published file into a new warehouse, and only into one."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.errors import HistoriesUnreadable
from warehouse.observed import take_over_observed
from warehouse.publish import publish

# changed on the 2nd, gone on the 3rd, back on the 5th; another is gone for good
MARTS = """
    CREATE SCHEMA marts;
    CREATE TABLE marts.rpt_live_users AS
    SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS observed_at, 'DViz' AS app_name, NULL::VARCHAR AS country_code,
        'student' AS user_type, 3::BIGINT AS live_user_count;
    CREATE TABLE marts.dim_subscriptions AS
    SELECT subscription_id, plan, 'active' AS status, TIMESTAMPTZ '2027-01-01 00:00:00+00' AS ends_at,
        ('2026-01-0' || valid_from || ' 00:00:00+00')::TIMESTAMPTZ AS valid_from,
        ('2026-01-0' || valid_to || ' 00:00:00+00')::TIMESTAMPTZ AS valid_to, valid_to IS NULL AS is_current
    FROM (VALUES (1, 'free', 1, 2), (1, 'pro', 2, 3), (1, 'team', 5, NULL), (2, 'pro', 1, 4))
        AS versions (subscription_id, plan, valid_from, valid_to)
"""
VERSIONS = """
    SELECT subscription_id, plan, day(valid_from), is_deleted FROM intermediate.int_subscription_versions ORDER BY ALL
"""


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def published_path(tmp_path: Path) -> Path:
    """What an earlier warehouse published."""
    earlier, path = tmp_path / "earlier" / "warehouse.duckdb", tmp_path / "analytics.duckdb"
    ask(earlier, MARTS)
    begin_build(earlier, "a build")
    finish_build(earlier, "a build")
    publish(earlier, path)
    return path


def ask(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with open_warehouse(path) as warehouse:
        return warehouse.execute(statement).fetchall()


def test_new_warehouse_takes_over_both_histories(warehouse_path: Path, published_path: Path) -> None:
    assert take_over_observed(warehouse_path, published_path) == ["rpt_live_users", "dim_subscriptions"]
    assert ask(warehouse_path, "SELECT app_name, live_user_count FROM marts.rpt_live_users") == [("DViz", 3)]
    assert ask(warehouse_path, VERSIONS) == [
        (1, "free", 1, False),
        (1, "pro", 2, False),
        (1, "pro", 3, True),
        (1, "team", 5, False),
        (2, "pro", 1, False),
        (2, "pro", 4, True),
    ]


def test_history_that_is_kept_is_not_touched(warehouse_path: Path, published_path: Path) -> None:
    ask(warehouse_path, "CREATE SCHEMA marts; CREATE TABLE marts.rpt_live_users AS SELECT 'its own' AS app_name")
    assert take_over_observed(warehouse_path, published_path) == ["dim_subscriptions"]
    assert take_over_observed(warehouse_path, published_path) == []
    assert ask(warehouse_path, "FROM marts.rpt_live_users") == [("its own",)]


def test_nothing_is_taken_where_nothing_is_published(warehouse_path: Path, tmp_path: Path) -> None:
    assert take_over_observed(warehouse_path, tmp_path / "analytics.duckdb") == []


def test_published_file_of_older_footfall_has_no_history(warehouse_path: Path, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "older.duckdb")).close()
    assert take_over_observed(warehouse_path, tmp_path / "older.duckdb") == []


def test_unreadable_published_file_stops_and_says_what_to_do(warehouse_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "analytics.duckdb"
    path.write_text("no database" * 1_000)
    with pytest.raises(HistoriesUnreadable, match=r"analytics\.duckdb: .* \(put back a copy that can be read, or move"):
        take_over_observed(warehouse_path, path)


def test_failed_take_over_leaves_nothing_half_taken(warehouse_path: Path, published_path: Path) -> None:
    published_path.chmod(0o644)
    published_path.with_name(f"{published_path.name}.wal").unlink()
    with duckdb.connect(str(published_path)) as published:
        published.execute("ALTER TABLE marts.dim_subscriptions DROP COLUMN valid_from")
    with pytest.raises(HistoriesUnreadable, match="valid_from"):
        take_over_observed(warehouse_path, published_path)
    assert ask(warehouse_path, "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'marts'") == [(0,)]
