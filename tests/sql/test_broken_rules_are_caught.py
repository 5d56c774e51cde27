"""Each kind of rule, broken once: dbt must fail, and name the rule or the model."""

from collections.abc import Callable

import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import Models, messages

BREAKS = {
    "primary_key_stg_activity_events_activity_event_id": """
        INSERT INTO raw.activity_events SELECT * FROM raw.activity_events LIMIT 1
    """,
    "accepted_values_stg_subscriptions_status__active__expired__cancelled": """
        UPDATE raw.subscriptions SET status = 'paused' WHERE plan = 'pro'
    """,
    "not_null_stg_subscriptions_ends_at": "UPDATE raw.subscriptions SET ends_at = NULL WHERE plan = 'pro'",
    "rpt_event_usage_daily": "UPDATE raw.tracking_events SET app_name = NULL WHERE os IS NULL",
    "unique_key_rpt_plan_distribution_plan": """
        INSERT INTO marts.rpt_plan_distribution SELECT * FROM marts.rpt_plan_distribution WHERE plan IS NULL
    """,
    "unique_rpt_monthly_logins_month": """
        INSERT INTO marts.rpt_monthly_logins SELECT * FROM marts.rpt_monthly_logins LIMIT 1
    """,
    "assert_event_usage_counts_every_human_event": """
        UPDATE marts.rpt_event_usage_daily SET event_count = event_count + 1 WHERE os IS NULL
    """,
    "assert_people_and_bots_make_all_events": "DELETE FROM marts.rpt_bot_traffic_daily WHERE app_name = 'Crawled'",
    "assert_document_days_add_up_to_all_opens": """
        DELETE FROM marts.rpt_document_opens WHERE document_name = 'Guests'
    """,
    "assert_days_and_months_count_the_same_logins": """
        UPDATE marts.rpt_monthly_logins SET login_count = login_count + 1 WHERE month = '2024-02'
    """,
    "assert_plan_percents_sum_to_a_hundred": """
        UPDATE marts.rpt_plan_distribution SET subscription_percent = 0.0 WHERE plan = 'free'
    """,
}

# each breaks one rule alone, so that all are looked at in one go
BREAKS_OF_STATE = {
    "assert_ledger_has_no_drift": """
        INSERT INTO marts.rpt_ledger_drift SELECT user_id, points + 1, points, credits, credits
        FROM marts.rpt_points_balances LIMIT 1
    """,
    "assert_no_count_is_negative": "UPDATE marts.rpt_points_balances SET credits_spent = -1 WHERE user_id = 1",
    "assert_user_percents_sum_to_a_hundred": """
        UPDATE marts.rpt_user_status SET user_percent = user_percent + 0.2 WHERE status = 'expired'
    """,
    "assert_three_states_add_up_to_all_accounts": """
        UPDATE marts.rpt_user_status SET user_count = user_count - 1 WHERE status = 'inactive'
    """,
    "assert_plan_percents_of_each_day_sum_to_a_hundred": """
        DELETE FROM marts.rpt_plan_distribution_daily WHERE snapshot_date = '2024-02-29' AND plan = 'team'
    """,
    "assert_plans_of_today_are_those_of_now": """
        UPDATE marts.rpt_plan_distribution_daily SET subscription_count = subscription_count + 1
        WHERE snapshot_date = '2024-03-01' AND plan = 'team'
    """,
    "assert_subscription_statuses_add_up": """
        UPDATE marts.rpt_subscription_status SET subscription_count = subscription_count + 1 WHERE status = 'expired'
    """,
    "assert_subscription_versions_do_not_overlap": """
        INSERT INTO marts.dim_subscriptions
        SELECT * REPLACE (valid_from - INTERVAL 1 DAY AS valid_from) FROM marts.dim_subscriptions LIMIT 1
    """,
    "assert_every_visitor_was_new_once": "DELETE FROM marts.rpt_visitors_daily WHERE visit_date = '2024-01-01'",
    "assert_no_day_has_more_visitors_than_visits": """
        UPDATE marts.rpt_visitors_daily SET visitor_count = 1000 WHERE visit_date = '2024-03-01'
    """,
    "assert_accounts_are_no_fewer_than_any_part": "UPDATE marts.rpt_totals SET expired_users = total_users + 1",
    "assert_live_users_fit_their_sessions": "UPDATE marts.rpt_live_users SET live_user_count = 100",
}


@pytest.fixture(scope="module")
def good(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    rows.insert_all(module_database)
    models = make_models()
    models.copy_raw(module_database)
    models.build(as_of=rows.AS_OF.isoformat())
    return models


@pytest.fixture
def copied(good: Models, make_models: Callable[[], Models]) -> Models:
    models = make_models()
    models.warehouse_path.write_bytes(good.warehouse_path.read_bytes())
    return models


@pytest.mark.parametrize("rule", sorted(BREAKS))
def test_broken_rule_fails_by_its_name(copied: Models, rule: str) -> None:
    command = "run" if rule.startswith("rpt_") else "test"
    assert copied.dbt(command, "--select", rule).success
    copied.execute(BREAKS[rule])
    result = copied.dbt(command, "--select", rule)
    assert not result.success
    assert list(messages(result)) == [rule]


def test_broken_rules_of_state_fail_by_their_names(copied: Models) -> None:
    selected = ("test", "--select", *BREAKS_OF_STATE)
    assert messages(copied.dbt(*selected, as_of=rows.AS_OF.isoformat())) == {}
    for statement in BREAKS_OF_STATE.values():
        copied.execute(statement)
    assert set(messages(copied.dbt(*selected, as_of=rows.AS_OF.isoformat()))) == set(BREAKS_OF_STATE)


def test_mart_that_fails_keeps_its_last_rows(copied: Models) -> None:
    before = copied.rows("SELECT count(*) FROM marts.rpt_event_usage_daily")
    copied.execute(BREAKS["rpt_event_usage_daily"])
    assert not copied.dbt("build").success
    assert copied.rows("SELECT count(*) FROM marts.rpt_event_usage_daily") == before
