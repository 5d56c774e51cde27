"""Rows of Postgres go when their rule says so, in bounded batches found by an index, whatever else goes on there."""

import threading
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.drain.drainer import drain_all
from ingest_app.drain.rejected import retry_rejected
from tests.integration.retention.growing import DAY, INSERTS, TABLES, count, grow
from tests.integration.spools import a_part, a_spool, an_event
from warehouse import aged_rows
from warehouse.aged_rows import AGED_ROWS, Counts, RowsByIndex, RowsByPlace
from warehouse.housekeeping import Outcome, keep_house, outlived
from warehouse.queries import retention_query
from warehouse.retention import HOUSEKEEPING, RULES, kept_for

A_MINUTE = timedelta(minutes=1)
KEPT = {rule.name: kept_for(rule, {}) or DAY for rule in RULES if rule.name in INSERTS}
REMOVED_HERE = [rule.name for rule in RULES if rule.name in INSERTS and rule.remover == HOUSEKEEPING]


def outcome(outcomes: list[Outcome], name: str) -> Outcome:
    return next(found for found in outcomes if found.rule.name == name)


def one_old_one_young(database: psycopg.Connection) -> None:
    for rule, kept in KEPT.items():
        grow(database, rule, kept + A_MINUTE)
        grow(database, rule, kept - A_MINUTE)


def test_dry_run_counts_and_removes_nothing(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    one_old_one_young(database)
    outcomes = keep_house(database_url, tmp_path)
    assert {name: outcome(outcomes, name).due_count for name in INSERTS} == dict.fromkeys(INSERTS, 1)
    assert {found.removed_count for found in outcomes} == {0}
    assert {name: count(database, name) for name in INSERTS} == dict.fromkeys(INSERTS, 2)


def test_rows_go_at_the_border_of_their_rule(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    one_old_one_young(database)
    outcomes = keep_house(database_url, tmp_path, dry_run=False)
    assert [found.fault for found in outcomes if found.fault] == []
    assert {name: outcome(outcomes, name).removed_count for name in INSERTS} == {
        name: int(name in REMOVED_HERE) for name in INSERTS
    }
    assert {name: count(database, name) for name in REMOVED_HERE} == dict.fromkeys(REMOVED_HERE, 1)
    assert count(database, "live_sessions") == 2, "its own job deletes them"
    again = keep_house(database_url, tmp_path, dry_run=False)
    assert sum(found.removed_count for found in again) == 0


def test_ids_of_imports_stay(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    grow(database, "event_ids", 400 * DAY, 3)
    made_by_import = UUID(int=(1 << 127) | (0x8 << 76) | (0x2 << 62))
    assert made_by_import.version == 8
    database.execute(
        "INSERT INTO event_ids VALUES (%s, 'tracking_events', now() - interval '400 days')", [made_by_import]
    )
    keep_house(database_url, tmp_path, dry_run=False)
    assert database.execute("SELECT event_id FROM event_ids").fetchall() == [(made_by_import,)]
    assert outlived(database_url, tmp_path) == []


def test_record_retried_late_counts_once(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    database.execute("ALTER TABLE tracking_events ADD CONSTRAINT never CHECK (event_name <> 'press') NOT VALID")
    event, engine = an_event(), make_engine(database_url)
    for _ in range(2):
        # refused, and once the reason is mended it comes in by the client's own retry
        a_spool(tmp_path, a_part(event))
        drain_all(engine, tmp_path)
        database.execute("ALTER TABLE tracking_events DROP CONSTRAINT IF EXISTS never")
    database.execute("UPDATE event_ids SET received_at = now() - interval '20 days'")
    keep_house(database_url, tmp_path, dry_run=False)
    assert outlived(database_url, tmp_path) == []
    with engine.begin() as connection:
        assert retry_rejected(connection, []) == (1, 0)
    engine.dispose()
    assert database.execute("SELECT count(*) FROM tracking_events").fetchone() == (1,)
    assert outcome(keep_house(database_url, tmp_path, dry_run=False), "event_ids").removed_count == 1


def test_ids_stay_while_a_spool_may_hold_their_retry(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    for days in (9, 12, 14):
        grow(database, "event_ids", days * DAY)
    [(name,)] = database.execute("SELECT to_char(now() - interval '5 days', 'YYYYMMDD\"T\"HH24MISS')").fetchall()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / f"{name}-0badcafe.spool").touch()
    assert outcome(keep_house(database_url, tmp_path, dry_run=False), "event_ids").removed_count == 1
    (tmp_path / "spool" / f"{name}-0badcafe.spool").unlink()
    assert outcome(keep_house(database_url, tmp_path, dry_run=False), "event_ids").removed_count == 2


def test_held_row_is_left_for_the_next_run(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    for rule in REMOVED_HERE:
        grow(database, rule, KEPT[rule] + DAY, 2)
    with psycopg.connect(database_url) as other:
        for rule in REMOVED_HERE:
            other.execute(f"SELECT FROM {TABLES[rule]} LIMIT 1 FOR UPDATE".encode())
        outcomes = keep_house(database_url, tmp_path, dry_run=False)
    held = {rule: (outcome(outcomes, rule).due_count, outcome(outcomes, rule).removed_count) for rule in REMOVED_HERE}
    assert held == dict.fromkeys(REMOVED_HERE, (2, 1))
    again = keep_house(database_url, tmp_path, dry_run=False)
    assert {outcome(again, rule).removed_count for rule in REMOVED_HERE} == {1}
    assert {count(database, rule) for rule in REMOVED_HERE} == {0}


def test_locked_table_stops_no_other_rule(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    one_old_one_young(database)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE visitor_sessions IN ACCESS EXCLUSIVE MODE")
        outcomes = keep_house(database_url, tmp_path, dry_run=False)
    assert [found.rule.name for found in outcomes if found.fault] == ["visitor_sessions"]
    assert "lock timeout" in outcome(outcomes, "visitor_sessions").fault
    assert {count(database, rule) for rule in REMOVED_HERE if rule != "visitor_sessions"} == {1}


def test_two_at_once_remove_each_row_once(
    database: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aged_rows, "BATCH_ROWS", 20)
    monkeypatch.setattr(aged_rows, "BATCH_BLOCKS", 1)
    for rule in REMOVED_HERE:
        grow(database, rule, KEPT[rule] + DAY, 400)
    removed: list[int] = []

    def keep() -> None:
        removed.append(sum(found.removed_count for found in keep_house(database_url, tmp_path, dry_run=False)))

    threads = [threading.Thread(target=keep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(removed) == 400 * len(REMOVED_HERE)
    assert database.execute("SELECT sum(visitor_count) FROM forgotten_visitors").fetchone() == (400,)


def test_what_outlives_its_rule_is_named(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    for rule, kept in KEPT.items():
        grow(database, rule, kept + 2 * DAY - A_MINUTE)
    assert outlived(database_url, tmp_path) == []
    for rule, kept in KEPT.items():
        grow(database, rule, kept + 2 * DAY + A_MINUTE)
    assert {left.rule.name for left in outlived(database_url, tmp_path)} == set(KEPT)


def plan(database: psycopg.Connection, name: str, rows: RowsByIndex | RowsByPlace) -> str:
    query = retention_query(name, table=rows.table, time=rows.time, condition=getattr(rows, "condition", ""))
    values = {"after": "-infinity", "limit": 1_000, "first": "(0,0)", "end": "(10,0)"}
    [(before,)] = database.execute("SELECT now() - interval '500 days'").fetchall()
    with psycopg.ClientCursor(database) as cursor:
        found = cursor.execute(b"EXPLAIN " + query, {**values, "before": before}).fetchall()
    return "\n".join(line for (line,) in found)


@pytest.mark.parametrize(
    ("rule", "index"),
    [
        ("live_sessions", "tracking_live_sessions_idx_heartbeat"),
        ("visitor_sessions", "visitor_sessions_last_seen_at_idx"),
        ("rejected_records", "rejected_records_rejected_at_idx"),
        ("event_ids", None),
        ("idempotency_keys", None),
    ],
)
def test_batch_reads_no_table_whole(database: psycopg.Connection, rule: str, index: str | None) -> None:
    for age in (1, 100, 600):
        grow(database, rule, age * DAY, 33_334 if rule == "live_sessions" else 8_000)
    database.execute(f"ANALYZE {TABLES[rule]}".encode())
    rows = AGED_ROWS[rule]
    assert isinstance(rows, RowsByIndex | RowsByPlace)
    found = plan(database, rows.batch if isinstance(rows, RowsByIndex) else "delete_in_blocks", rows)
    assert f"Seq Scan on {TABLES[rule]}" not in found, found
    assert (f"Index Scan using {index}" if index else "Tid Range Scan") in found, found
    if index:
        assert "Seq Scan" not in plan(database, "oldest_by_index", rows)


def test_batch_of_ids_reads_no_rejected_bodies(database: psycopg.Connection) -> None:
    grow(database, "event_ids", 600 * DAY, 8_000)
    database.execute("""
        INSERT INTO rejected_records (kind, event_id, reason, body)
        SELECT 'events', gen_random_uuid(), 'wrong', repeat('x', 1000) FROM generate_series(1, 8000)
    """)
    database.execute("VACUUM (ANALYZE) event_ids, rejected_records")
    rows = AGED_ROWS["event_ids"]
    assert isinstance(rows, RowsByPlace)
    found = plan(database, "delete_in_blocks", rows)
    assert "Index Only Scan using rejected_records_event_id_idx" in found, found


def test_large_table_is_only_sampled(database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aged_rows, "SAMPLED_BLOCKS", 30)
    grow(database, "event_ids", 20 * DAY, 10_000)
    rows = AGED_ROWS["event_ids"]
    assert rows.oldest(database) is not None, "all of it is old, so any block tells"
    assert rows.remove(database, before=database.execute("SELECT now()").fetchall()[0][0]) == Counts(10_000, 0)
