"""Files of the home folder go when their rule says so, and no others; logs are set aside without losing a line."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from tests.integration.retention.growing import DAY, a_file, count, grow, leave_alone
from warehouse import aged_files
from warehouse.aged_files import set_logs_aside
from warehouse.housekeeping import keep_house, outlived

OLD = [
    "warehouse/analytics.duckdb.new",
    "warehouse/analytics.duckdb.new.wal",
    "warehouse/warehouse.duckdb.tmp/spilled.tmp",
    "archive-staging/downloads/tmp0badcafe/part-0.parquet",
    "archive-staging/manifest.jsonl",
    "warehouse/restored.duckdb",
    "dagster/logs/0badcafe-0000-4000-8000-000000000000",
    "dagster/storage/storage/0badcafe-0000-4000-8000-000000000000",
    "dbt/parsed/0badcafe0badcafe",
    "logs/ingest.log.20200101T000000",
]
# as old, and not to be removed
OTHERS = [
    "warehouse/warehouse.duckdb",
    "warehouse/analytics.duckdb",
    "archive/manifest.jsonl",
    "archive/tracking_events/part-0.parquet.new",
    "archive/only-here/rows.parquet",
    "spool/20200101T000000-0badcafe.spool",
    "spool/20200101T000000-0badcafe.damaged",
    "spool/drained.json",
    "logs/ingest.log",
    "dagster/dagster.yaml",
    "dbt/parsed.lock",
    "secret.txt",
]
AGE = 40 * DAY
LINES = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


def test_old_files_go_and_no_others(database_url: str, tmp_path: Path) -> None:
    old = [a_file(tmp_path / name, AGE) for name in OLD]
    young = [a_file(path.with_name(f"young{path.name}"), DAY / 2) for path in old]
    others = [a_file(tmp_path / name, AGE) for name in OTHERS]
    assert sum(found.removed_count for found in keep_house(database_url, tmp_path)) == 0
    assert all(path.exists() for path in (*old, *young, *others))
    keep_house(database_url, tmp_path, dry_run=False)
    assert [path for path in old if path.exists()] == []
    assert [path for path in (*young, *others) if not path.exists()] == []


def test_restored_days_stay_while_they_change(database_url: str, tmp_path: Path) -> None:
    restored = a_file(tmp_path / "warehouse" / "restored.duckdb", AGE)
    log = a_file(tmp_path / "warehouse" / "restored.duckdb.wal", DAY)
    keep_house(database_url, tmp_path, dry_run=False)
    assert restored.exists()
    leave_alone(log, AGE)
    keep_house(database_url, tmp_path, dry_run=False)
    assert not (restored.exists() or log.exists())


def test_link_is_removed_and_not_what_it_leads_to(database_url: str, tmp_path: Path) -> None:
    kept = a_file(tmp_path / "elsewhere", AGE)
    link = tmp_path / "dagster" / "logs" / "link"
    link.parent.mkdir(parents=True)
    link.symlink_to(kept)
    aged_files.AGED_FILES["dagster_files"].remove(tmp_path, datetime.now(UTC) + DAY, dry_run=False)
    assert not link.is_symlink()
    assert (kept / "inside.log").exists()


@pytest.mark.parametrize("suffix", ["spool", "damaged"])
def test_spool_that_stays_is_named_and_kept(database_url: str, tmp_path: Path, suffix: str) -> None:
    spool = a_file(tmp_path / "spool" / f"20200101T000000-0badcafe.{suffix}", AGE)
    [left] = outlived(database_url, tmp_path)
    assert str(left).startswith("spools (kept for 1 day) go back to 2020-01-01: run `footfall doctor`")
    keep_house(database_url, tmp_path, dry_run=False)
    assert spool.exists()


def test_old_files_that_stay_are_named(database_url: str, tmp_path: Path) -> None:
    for name in OLD:
        a_file(tmp_path / name, 33 * DAY)
    assert {left.rule.name for left in outlived(database_url, tmp_path)} == set(aged_files.AGED_FILES)


def test_log_is_set_aside_under_its_writer(database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "drainer.log"
    log.parent.mkdir()
    with log.open("ab") as output:
        child = subprocess.Popen([sys.executable, "-c", LINES], stdin=subprocess.PIPE, stdout=output, text=True)

    def write(number: int) -> None:
        assert child.stdin
        child.stdin.write(f"line {number} \n")
        child.stdin.flush()
        while f"line {number} " not in log.read_text():
            assert child.poll() is None

    write(1)
    keep_house(database_url, tmp_path, dry_run=False)
    assert log.read_text() == ""
    write(2)
    assert log.read_text().startswith("line 2 ")
    [aside] = log.parent.glob("drainer.log.*")
    assert aside.read_text().startswith("line 1 ")
    child.communicate()


def test_absent_and_empty_logs_are_left(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    set_logs_aside(tmp_path, now)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "admin.log").touch()
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "log").write_text("a line")
    set_logs_aside(tmp_path, now)
    assert [path.name for path in (tmp_path / "logs").glob("*.log.*")] == [f"postgres.log.{now:%Y%m%dT%H%M%S}"]


def test_log_that_cannot_be_set_aside_stops_nothing(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    a_file(tmp_path / "logs" / "a.log", DAY)
    (tmp_path / "logs" / "gone.log").symlink_to(tmp_path / "nowhere")
    a_file(tmp_path / "logs" / "z.log", DAY)
    grow(database, "rejected_records", 200 * DAY)
    [fault] = [found for found in keep_house(database_url, tmp_path, dry_run=False) if found.fault]
    assert (fault.rule.name, "gone.log cannot be set aside" in fault.fault) == ("logs", True)
    assert count(database, "rejected_records") == 0
    assert [(tmp_path / "logs" / name).read_text() for name in ("a.log", "z.log")] == ["", ""]
