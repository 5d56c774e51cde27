"""Each rule of the ledger, broken in every way: its check must fail, and name the user. Balances without logs, too."""

from collections.abc import Callable, Iterator

import duckdb
import psycopg
import pytest
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.contracts.graph.manifest import Manifest

from tests.sql import rows
from tests.sql.conftest import Models

BOUGHT, UNDONE = "assert_consumed_points_bought_credits", "assert_reversals_undo_their_rows"
STORED, ONCE = "assert_rewarded_events_are_stored", "assert_no_event_is_rewarded_twice"
DRIFT = "assert_ledger_has_no_drift"
CHECKS = (BOUGHT, UNDONE, STORED, ONCE)
# all of one day and of one user, so that it is known who is to be named
WORLD = """
    INSERT INTO raw.user_point_logs BY NAME
    SELECT *, 7 AS user_id, 10 AS points, TIMESTAMPTZ '2024-02-29 12:00Z' AS created_at FROM (
        VALUES (1, 'earn', NULL, NULL), (2, 'redeem', NULL, NULL), (3, 'redeem', NULL, NULL), (4, 'earn', 3, NULL),
            (5, 'earn', NULL, NULL), (6, 'redeem', 5, NULL),
            (7, 'earn', NULL, uuid '00000000-0000-0000-0000-000000000001')
    ) AS moves (id, action, reverses_id, event_id);
    INSERT INTO raw.user_credit_logs BY NAME
    SELECT *, 7 AS user_id, TIMESTAMPTZ '2024-02-29 12:00Z' AS created_at FROM (
        VALUES (1, 2, 5, 10), (2, 3, 5, 10), (3, 4, -5, -10), (4, NULL, -1, 0)
    ) AS moves (id, point_log_id, credits_added, points_consumed);
    INSERT INTO raw.tracking_events BY NAME
    SELECT *, TIMESTAMPTZ '2024-02-29 12:00Z' AS received_at FROM (
        VALUES (uuid '00000000-0000-0000-0000-000000000001', 7), (uuid '00000000-0000-0000-0000-000000000002', 8)
    ) AS events (event_id, user_id);
"""
ANOTHER = "INSERT INTO raw.user_{0}_logs SELECT * REPLACE ({1}) FROM raw.user_{0}_logs WHERE id = {2}"
# so that only the day of the points is touched
AT_MIDNIGHT = "UPDATE raw.user_credit_logs SET created_at = '2024-03-01 00:00Z'"
WAYS = {
    "redemption without credits": (BOUGHT, "DELETE FROM raw.user_credit_logs WHERE id = 1"),
    "redemption credited twice": (BOUGHT, ANOTHER.format("credit", "9 AS id", 1)),
    "redemption of fewer points": (BOUGHT, "UPDATE raw.user_credit_logs SET points_consumed = 9 WHERE id = 1"),
    "redemption that brought none": (BOUGHT, "UPDATE raw.user_credit_logs SET credits_added = 0 WHERE id = 1"),
    "redemption credited to another": (BOUGHT, "UPDATE raw.user_credit_logs SET user_id = 8 WHERE id = 1"),
    "redemption of fewer points at midnight": (BOUGHT, f"{AT_MIDNIGHT}, points_consumed = 9 WHERE id = 1"),
    "redemption credited to another at midnight": (BOUGHT, f"{AT_MIDNIGHT}, user_id = 8 WHERE id = 1"),
    "credits for points earned and kept": (
        BOUGHT,
        ANOTHER.format("credit", "9 AS id, 1 AS point_log_id, 0 AS points_consumed", 1),
    ),
    "credits for no points": (BOUGHT, ANOTHER.format("credit", "9 AS id, 99 AS point_log_id", 1)),
    "credits for points nobody names": (BOUGHT, ANOTHER.format("credit", "9 AS id, NULL AS point_log_id", 1)),
    "credits from nowhere": (
        BOUGHT,
        ANOTHER.format("credit", "9 AS id, NULL AS point_log_id, 0 AS points_consumed", 1),
    ),
    "spend of nothing": (BOUGHT, "UPDATE raw.user_credit_logs SET credits_added = 0 WHERE id = 4"),
    "credits for points earned": (BOUGHT, ANOTHER.format("credit", "9 AS id, 1 AS point_log_id", 1)),
    "credits gone with points taken back": (BOUGHT, ANOTHER.format("credit", "9 AS id, 6 AS point_log_id", 3)),
    "credits gone for fewer points": (BOUGHT, "UPDATE raw.user_credit_logs SET points_consumed = -9 WHERE id = 3"),
    "credits gone from another": (BOUGHT, "UPDATE raw.user_credit_logs SET user_id = 8 WHERE id = 3"),
    "reversal of nothing": (UNDONE, "UPDATE raw.user_point_logs SET reverses_id = 99 WHERE id = 6"),
    "reversal of another's": (UNDONE, "UPDATE raw.user_point_logs SET user_id = 8 WHERE id = 5"),
    "reversal of more points": (UNDONE, "UPDATE raw.user_point_logs SET points = 11 WHERE id = 6"),
    "reversal of the same action": (UNDONE, "UPDATE raw.user_point_logs SET action = 'earn' WHERE id = 6"),
    "reversal a second time": (UNDONE, ANOTHER.format("point", "9 AS id", 6)),
    "reversal of a reversal": (UNDONE, ANOTHER.format("point", "9 AS id, 'earn' AS action, 6 AS reverses_id", 6)),
    "reversal that left the credits": (UNDONE, "DELETE FROM raw.user_credit_logs WHERE id = 3"),
    "reversal that took too few credits": (UNDONE, "UPDATE raw.user_credit_logs SET credits_added = -4 WHERE id = 3"),
    "reversal of fewer points for credits": (
        UNDONE,
        "UPDATE raw.user_credit_logs SET points_consumed = -9 WHERE id = 3",
    ),
    "event that is not there": (STORED, "DELETE FROM raw.tracking_events WHERE user_id = 7"),
    "event of another": (STORED, "UPDATE raw.tracking_events SET user_id = 8 WHERE user_id = 7"),
    "event of nobody": (STORED, "UPDATE raw.tracking_events SET user_id = NULL WHERE user_id = 7"),
    "event of another long ago": (
        STORED,
        "UPDATE raw.tracking_events SET user_id = 8, received_at = '2024-01-01 00:00Z' WHERE user_id = 7",
    ),
    "event rewarded twice": (ONCE, ANOTHER.format("point", "9 AS id", 7)),
    "event rewarded long ago": (
        ONCE,
        ANOTHER.format("point", "9 AS id, created_at - INTERVAL 99 DAY AS created_at", 7),
    ),
}
TOUCHED = "CREATE TABLE meta.touched AS SELECT '*' AS table_name, TIMESTAMPTZ '{}' AS quarter_hour"
LEDGER = ("user_points", "user_point_logs", "user_credits", "user_credit_logs")


@pytest.fixture(scope="module")
def empty(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    models = make_models()
    models.copy_raw(module_database)
    return models


@pytest.fixture(scope="module")
def compiled(empty: Models) -> dict[tuple[str, str], str]:
    """The checks' SQL, by the day that is touched: theirs, another, or all."""
    found: dict[tuple[str, str], str] = {}
    for touched, moment in (("that", "2024-02-29 12:00Z"), ("another", "2024-02-28 12:00Z"), ("all", "")):
        empty.execute("DROP TABLE IF EXISTS meta.touched")
        if moment:
            empty.execute(TOUCHED.format(moment))
        result = empty.dbt("compile", "--select", *CHECKS)
        assert isinstance(result.result, RunExecutionResult), result.exception
        found |= {(run.node.name, touched): str(run.node.compiled_code) for run in result.result.results}  # type: ignore[union-attr]
    return found


@pytest.fixture(scope="module")
def filled(empty: Models, compiled: dict[tuple[str, str], str]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(empty.warehouse_path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(WORLD)
        yield connection


@pytest.fixture
def warehouse(filled: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    filled.begin()
    yield filled
    filled.rollback()


@pytest.mark.parametrize("touched", ["that", "all"])
@pytest.mark.parametrize("way", sorted(WAYS))
def test_broken_rule_is_caught_and_user_named(
    warehouse: duckdb.DuckDBPyConnection, compiled: dict[tuple[str, str], str], way: str, touched: str
) -> None:
    check, statement = WAYS[way]
    warehouse.execute(statement)
    found = warehouse.execute(f"SELECT user_id FROM ({compiled[check, touched]})").fetchall()
    assert found
    assert set(found) <= {(7,), (8,)}


@pytest.mark.parametrize("touched", ["that", "another", "all"])
@pytest.mark.parametrize("check", CHECKS)
def test_ledger_that_is_well_passes(
    warehouse: duckdb.DuckDBPyConnection, compiled: dict[tuple[str, str], str], check: str, touched: str
) -> None:
    assert warehouse.execute(compiled[check, touched]).fetchall() == []


@pytest.mark.parametrize("check", CHECKS)
def test_days_without_new_rows_are_not_read(
    warehouse: duckdb.DuckDBPyConnection, compiled: dict[tuple[str, str], str], check: str
) -> None:
    for broken, statement in WAYS.values():
        if broken == check:
            warehouse.execute(statement)
    assert warehouse.execute(compiled[check, "another"]).fetchall() == []


@pytest.mark.parametrize(
    "moved",
    [
        "UPDATE raw.tracking_events SET received_at = '2024-02-28 23:59:59Z'",
        "UPDATE raw.tracking_events SET received_at = '2024-03-01 00:00:01Z'",
        "UPDATE raw.tracking_events SET received_at = '2023-01-01 00:00Z'",
        "UPDATE raw.user_credit_logs SET created_at = '2024-03-01 00:00Z'",
        "UPDATE raw.user_point_logs SET created_at = '2024-01-01 00:00Z' WHERE id IN (2, 3, 5)",
    ],
    ids=["event before midnight", "event after it", "clock a year behind", "credits after midnight", "undone later"],
)
def test_other_half_may_be_of_another_day(
    warehouse: duckdb.DuckDBPyConnection, compiled: dict[tuple[str, str], str], moved: str
) -> None:
    warehouse.execute(moved)
    assert [check for check in CHECKS if warehouse.execute(compiled[check, "that"]).fetchall()] == []


def test_rows_of_postgres_keep_all_rules(make_models: Callable[[], Models], database: psycopg.Connection) -> None:
    rows.insert_all(database)
    models = make_models()
    models.copy_raw(database)
    models.build("--select", "+rpt_ledger_drift", "+rpt_points_daily", as_of=rows.AS_OF.isoformat())
    result = models.dbt("test", "--select", *CHECKS, DRIFT)
    assert isinstance(result.result, RunExecutionResult), result.exception
    assert {run.node.name: str(run.status) for run in result.result.results} == dict.fromkeys([*CHECKS, DRIFT], "pass")


@pytest.mark.parametrize("table", LEDGER)
def test_change_of_any_table_has_drift_checked(manifest: Manifest, table: str) -> None:
    [check] = [node.unique_id for node in manifest.nodes.values() if node.name == DRIFT]
    waiting, reached = [f"source.footfall.raw.{table}"], set()
    while waiting:
        found = manifest.child_map[waiting.pop()]
        waiting += [child for child in found if child not in reached]
        reached |= set(found)
    assert check in reached
