"""Files that no line of the manifest names lose rows too: rows that only the warehouse had, and parts set aside."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.integration.archive.rewriting import CONDITIONS, REASON
from tests.integration.archive.sealing import DAY, Home, part
from warehouse.archive.errors import LooseFilesStay
from warehouse.archive.loose import count_loose_rows, loose_files, rewrite_loose_files
from warehouse.archive.rewrite import Rewritten

SET_ASIDE = f"{part('tracking_events', DAY)}.unnamed-20260101T000000000000"
ONLY_HERE = "only-here/tracking_events-20260101T000000.parquet"
ALL_GONE = "only-here/activity_events-20260101T000000.parquet"
LOG = "only-here/user_point_logs-20260101T000000.parquet"

ROWS_OF_LOG = "SELECT n AS id, n % 2 AS user_id, TIMESTAMPTZ '2026-01-01 00:00Z' AS created_at FROM range(4) AS n (n)"


@pytest.fixture
def loose(home: Home) -> Home:
    """As a load of everything and a seal write them: uuids as Parquet's own type, or as sixteen bytes."""
    for name in (SET_ASIDE, ONLY_HERE):
        (home.archive / name).parent.mkdir(parents=True, exist_ok=True)
    rows = f"FROM raw.tracking_events WHERE received_at::DATE = '{DAY}'"
    home.ask(f"COPY (SELECT * {rows}) TO '{home.archive / ONLY_HERE}' (FORMAT parquet)")
    sixteen_bytes = f"COPY (SELECT * REPLACE (event_id::BLOB AS event_id) {rows}) TO"
    home.ask(f"{sixteen_bytes} '{home.archive / SET_ASIDE}' (FORMAT parquet)")
    home.ask(f"COPY (FROM raw.activity_events LIMIT 3) TO '{home.archive / ALL_GONE}' (FORMAT parquet)")
    home.ask(f"COPY ({ROWS_OF_LOG}) TO '{home.archive / LOG}' (FORMAT parquet)")
    return home


def written(home: Home, conditions: dict[str, str]) -> dict[str, Rewritten]:
    return {one.path: one for one in rewrite_loose_files(home.store, conditions, REASON)}


def user_ids(path: Path) -> list[int | None]:
    return pl.read_parquet(path, columns=["user_id"])["user_id"].to_list()


def test_each_loose_file_loses_just_these_rows(loose: Home) -> None:
    before = {name: pl.read_parquet(loose.archive / name) for name in (SET_ASIDE, ONLY_HERE)}
    conditions = {**CONDITIONS, "activity_events": "true", "user_point_logs": "user_id = 1"}
    assert [count_loose_rows(loose.store, *one, conditions[one[1]]) for one in loose_files(loose.store)] == [3, 3, 2, 3]
    done = written(loose, conditions)
    assert {name: (one.removed_row_count, one.row_count) for name, one in done.items()} == {
        ALL_GONE: (3, 0), ONLY_HERE: (3, 9), LOG: (2, 2), SET_ASIDE: (3, 9),
    }  # fmt: skip
    for name, frame in before.items():
        stays = frame.filter(pl.col("user_id").is_null() | (pl.col("user_id") != 1))
        assert pl.read_parquet(loose.archive / name).equals(stays)
    assert user_ids(loose.archive / LOG) == [0, 0]
    assert not (loose.archive / ALL_GONE).exists()
    assert written(loose, conditions) == {}


def test_loose_file_without_such_rows_is_untouched(loose: Home) -> None:
    content = (loose.archive / ONLY_HERE).read_bytes()
    assert written(loose, {"tracking_events": "user_id = 987654"}) == {}
    assert (loose.archive / ONLY_HERE).read_bytes() == content


def test_condition_on_a_missing_column_is_told(loose: Home) -> None:
    """An older footfall wrote the file; the others are done all the same."""
    fewer = loose.archive / "only-here/tracking_events-20250101T000000.parquet"
    with duckdb.connect() as engine:
        engine.execute(f"COPY (SELECT * EXCLUDE (session_id) FROM '{loose.archive / ONLY_HERE}') TO '{fewer}'")
    content = fewer.read_bytes()
    with pytest.raises(LooseFilesStay, match=r"1 files .*tracking_events-20250101T000000\.parquet: .*session_id"):
        written(loose, {"tracking_events": "user_id = 1 OR session_id = 'x'"})
    assert fewer.read_bytes() == content
    assert 1 not in user_ids(loose.archive / ONLY_HERE)


def test_loose_file_that_is_no_parquet_is_told(loose: Home) -> None:
    (loose.archive / SET_ASIDE).write_bytes(b"cut short")
    with pytest.raises(LooseFilesStay, match="unnamed-20260101T000000000000"):
        written(loose, CONDITIONS)
    assert (loose.archive / SET_ASIDE).read_bytes() == b"cut short"
    assert not list(loose.archive.rglob("*.new"))
