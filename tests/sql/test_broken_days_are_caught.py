"""Each rule of the event marts, broken once: its check must fail. Days without new rows are held in total alone."""

from collections.abc import Callable

import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import TRANSFORMS, Models, messages
from tests.sql.test_broken_ledgers_are_caught import CHECKS
from tests.sql.test_broken_rules_are_caught import BREAKS, BREAKS_OF_STATE
from tests.sql.test_events_are_conserved import CHECK as CONSERVED
from tests.sql.test_events_are_conserved import DAY_CHECK
from tests.sql.test_stale_loads_are_caught import CHECK

BREAKS_OF_ALL_TIME = {
    "assert_activity_days_add_up_to_all_events": """
        UPDATE marts.rpt_activity_by_day SET signup_count = signup_count + 2 WHERE activity_date = '2024-02-29'
    """,
    "assert_days_and_months_count_the_same_logins": """
        UPDATE marts.rpt_monthly_logins SET login_count = login_count + 1 WHERE month = '2024-02'
    """,
    "assert_document_days_add_up_to_all_opens": "DELETE FROM marts.rpt_document_opens WHERE document_name = 'Guests'",
    "assert_documents_have_the_users_of_each_day": "UPDATE marts.rpt_document_opens SET user_count = 0",
    "assert_people_and_bots_make_all_events": "DELETE FROM marts.rpt_bot_traffic_daily WHERE app_name = 'Crawled'",
    "assert_app_months_fit_their_days": "UPDATE marts.rpt_app_usage_monthly SET user_count = 99",
    "assert_points_and_credits_add_up_to_all_logs": """
        UPDATE marts.rpt_points_balances SET credits_spent = credits_spent + 1 WHERE user_id = 1
    """,
}
BREAKS_OF_DAYS = {
    "assert_activity_days_count_every_human_event": """
        UPDATE marts.rpt_daily_activity SET action_count = action_count + 1 WHERE activity_date = '2024-02-29'
    """,
    "assert_apps_have_the_users_of_each_part": """
        UPDATE marts.rpt_app_usage_daily SET user_count = 0 WHERE event_date = '2024-02-29'
    """,
    "assert_bot_traffic_counts_every_event_of_bots": """
        UPDATE marts.rpt_bot_traffic_daily SET event_count = event_count + 1 WHERE event_date = '2024-02-29'
    """,
    "assert_document_days_count_every_human_open": """
        DELETE FROM marts.rpt_document_opens_daily WHERE open_date = '2024-02-29'
    """,
    "assert_event_usage_counts_every_human_event": """
        UPDATE marts.rpt_event_usage_daily SET event_count = event_count + 1 WHERE event_date = '2024-02-29'
    """,
    "assert_no_day_counts_less_than_nothing": """
        UPDATE marts.rpt_bot_traffic_daily SET event_count = 0 WHERE event_date = '2024-02-29' AND app_name = 'DViz'
    """,
    "assert_points_days_count_every_log_row": """
        UPDATE marts.rpt_points_daily SET earned_points = earned_points - 1, redeemed_points = redeemed_points + 1
        WHERE log_date = '2024-02-29'
    """,
    "assert_points_days_have_the_users_of_each_part": """
        UPDATE marts.rpt_points_daily SET redeeming_user_count = 0 WHERE log_date = '2024-02-29'
    """,
    "unique_key_int_user_days_event_date__app_name__user_id": """
        INSERT INTO intermediate.int_user_days FROM intermediate.int_user_days WHERE event_date = '2024-02-29'
    """,
}
# of each event and log table: its key, and the checks that miss its rows where staging leaves some out
MISSED_ROWS = {
    "activity_events": (
        "activity_event_id",
        {"assert_activity_days_add_up_to_all_events", "assert_activity_days_count_every_human_event"},
    ),
    "tracking_documents": (
        "tracking_document_id",
        {"assert_document_days_add_up_to_all_opens", "assert_document_days_count_every_human_open"},
    ),
    "tracking_events": (
        "tracking_event_id",
        {
            "assert_bot_traffic_counts_every_event_of_bots",
            "assert_event_usage_counts_every_human_event",
            "assert_people_and_bots_make_all_events",
        },
    ),
    "user_credit_logs": ("credit_log_id", {"assert_points_and_credits_add_up_to_all_logs"}),
    "user_point_logs": (
        "point_log_id",
        {"assert_points_and_credits_add_up_to_all_logs", "assert_points_days_count_every_log_row"},
    ),
}


@pytest.fixture(scope="module")
def built(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    rows.insert_all(module_database)
    models = make_models()
    models.copy_raw(module_database)
    models.build(as_of=rows.AS_OF.isoformat())
    return models


@pytest.fixture(scope="module")
def broken(make_models: Callable[[], Models], built: Models) -> Models:
    models = copy(built, make_models)
    for statement in (BREAKS_OF_ALL_TIME | BREAKS_OF_DAYS).values():
        models.execute(statement)
    models.execute("CREATE TABLE meta.touched (table_name VARCHAR, quarter_hour TIMESTAMPTZ)")
    return models


@pytest.mark.parametrize(
    ("touched", "caught"),
    [
        ("NULL", BREAKS_OF_ALL_TIME | BREAKS_OF_DAYS),
        ("'2024-02-29 12:00:00Z'", BREAKS_OF_ALL_TIME | BREAKS_OF_DAYS),
        ("'2024-02-28 12:00:00Z'", BREAKS_OF_ALL_TIME),
    ],
    ids=["all", "that-day", "another-day"],
)
def test_broken_rule_fails_where_rows_are_new(broken: Models, touched: str, caught: dict[str, str]) -> None:
    broken.execute("DELETE FROM meta.touched")
    broken.execute(f"INSERT INTO meta.touched VALUES ('*', {touched})")
    result = broken.dbt("test", "--select", *BREAKS_OF_ALL_TIME, *BREAKS_OF_DAYS)
    assert set(messages(result)) == set(caught)


def test_rows_that_staging_leaves_out_are_missed(built: Models, make_models: Callable[[], Models]) -> None:
    models = copy(built, make_models)
    for table, (key, _) in MISSED_ROWS.items():
        view = f"staging.stg_{table}"
        models.execute(f"ALTER VIEW {view} RENAME TO stg_{table}_whole")
        models.execute(f"CREATE VIEW {view} AS FROM {view}_whole WHERE {key} % 7 > 0")
    models.build("--full-refresh", "--exclude", "path:models/staging", as_of=rows.AS_OF.isoformat())
    checks = set().union(*(checks for _, checks in MISSED_ROWS.values()))
    assert set(messages(models.dbt("test", "--select", *checks))) == checks


def test_every_check_of_ours_is_broken_once() -> None:
    checks = {path.stem for path in (TRANSFORMS / "tests").glob("assert_*.sql")}
    assert checks <= {
        CHECK,
        CONSERVED,
        DAY_CHECK,
        *CHECKS,
        *BREAKS,
        *BREAKS_OF_STATE,
        *BREAKS_OF_ALL_TIME,
        *BREAKS_OF_DAYS,
    }


def copy(models: Models, make_models: Callable[[], Models]) -> Models:
    """Copy a warehouse into a home of its own."""
    copied = make_models()
    copied.warehouse_path.write_bytes(models.warehouse_path.read_bytes())
    return copied
