"""What GET /api/stats says of how old its numbers are, and what it says where something is missing.

That each value is the seed's is proved in `tests/sql/test_stats_equal_seed_sql.py`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from admin_app.published import PublishedFile
from tests.integration.admin.conftest import LOADED_AT, Admin
from tests.integration.controlling import postgres_away, wait_until

NOW = "SELECT 10 AS total_users, 11 AS active_users_now, 3 AS expired_users, 4 AS inactive_users"
MARTS = {
    "rpt_totals": f"""
        {NOW}, 5 AS active_subscriptions, 6 AS expired_subscriptions, 7 AS cancelled_subscriptions,
        80 AS total_visitors, 12 AS visitors_now, 9 AS visitors_today
    """,
    "rpt_activity_by_day": "SELECT DATE '2026-03-10' AS activity_date, 1 AS login_count, 2 AS signup_count",
    "rpt_daily_activity": """
        SELECT DATE '2026-03-04' AS activity_date, 1 AS login_count, 2 AS app_open_count, 3 AS action_count
    """,
    "rpt_monthly_logins": "SELECT '2025-10' AS month, 5 AS login_count",
    "rpt_plan_distribution": """
        SELECT NULL::VARCHAR AS plan, 5 AS subscription_count, 100.0::DECIMAL(4, 1) AS subscription_percent
    """,
    "rpt_user_status": "SELECT 'inactive' AS status, 10 AS user_count, 100.0::DECIMAL(4, 1) AS user_percent",
}
LIVE = ("activeUsersNow", "visitorsNow")
VISIT = "INSERT INTO visitor_sessions (session_id, first_seen_at, last_seen_at) VALUES (%s, now(), now())"
Value = dict[str, Any]


@pytest.fixture
def quickly_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a sample be old after a second, that no test need wait for ten."""
    monkeypatch.setattr("admin_app.live.STALE_SECONDS", 1.0)


def ask(admin: Admin) -> Value:
    response = admin.get("/api/stats")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    found: Value = response.get_json()
    return found


def test_stats_need_an_admin_key(admin_away: Admin) -> None:
    assert admin_away.client.get("/api/stats").status_code == 401


def test_now_is_postgres_and_the_rest_is_the_file(admin: Admin, database: psycopg.Connection) -> None:
    database.execute(VISIT, ["one"])
    admin.publish(MARTS)
    admin.refresh_live()
    found = ask(admin)
    assert (found["activeUsersNow"], found["visitorsNow"]) == (0, 1)
    # these have to fit the file's other numbers, not those of now
    assert (found["totalUsers"], found["totalVisitors"], found["visitorsToday"]) == (10, 80, 9)
    assert found["usersStatusPercentage"] == {"active": 0.0, "expired": 0.0, "inactive": 100.0}
    assert found["planDistribution"] == [{"plan": None, "count": 5}]
    assert found["asOf"]["history"] == "2026-03-10T12:30:00Z"
    assert abs(datetime.fromisoformat(found["asOf"]["live"]) - datetime.now(UTC)) < timedelta(seconds=30)


def test_stats_follow_the_next_published_file(admin: Admin) -> None:
    admin.publish(MARTS)
    before = ask(admin)
    admin.publish(MARTS | {"rpt_totals": MARTS["rpt_totals"].replace("10 AS", "20 AS")}, LOADED_AT + timedelta(days=1))
    after = ask(admin)
    assert (before["totalUsers"], after["totalUsers"]) == (10, 20)
    # the window moves with the day that the file is as of
    assert [day["date"] for day in after["activityByDay"]][:2] == ["2026-03-05", "2026-03-06"]
    assert before["dailyActivity"][0] == {"date": "2026-03-04", "logins": 1, "appOpens": 2, "actions": 3}


@pytest.mark.parametrize(("minutes", "expected"), [(14, False), (16, True)])
def test_history_is_stale_after_a_quarter_of_an_hour(admin: Admin, minutes: int, expected: bool) -> None:
    admin.publish(MARTS, datetime.now(UTC) - timedelta(minutes=minutes))
    admin.refresh_live()
    assert ask(admin)["stale"] is expected
    assert admin.get("/api/reports/activity").json["stale"] is expected  # type: ignore[index]


def test_fresh_install_has_now_and_no_history(admin: Admin) -> None:
    admin.refresh_live()
    found = ask(admin)
    as_of = found.pop("asOf")
    assert (as_of["history"], found.pop("stale")) == (None, False)
    assert [found.pop(name) for name in LIVE] == [0, 0]
    assert len(found) == 14
    assert set(found.values()) == {None}


def test_postgres_never_reached_leaves_the_files_now(admin_away: Admin) -> None:
    admin_away.publish(MARTS, datetime.now(UTC))
    found = ask(admin_away)
    assert [found[name] for name in LIVE] == [11, 12]
    assert (found["asOf"]["live"], found["stale"]) == (found["asOf"]["history"], True)


def test_nothing_known_at_all_is_said_with_nulls(admin_away: Admin) -> None:
    found = ask(admin_away)
    assert (found.pop("asOf"), found.pop("stale")) == ({"live": None, "history": None}, True)
    assert set(found.values()) == {None}


@pytest.mark.usefixtures("quickly_stale")
def test_stats_go_on_while_postgres_is_away(admin: Admin, database: psycopg.Connection, server_url: str) -> None:
    database.execute(VISIT, ["one"])
    admin.publish(MARTS, datetime.now(UTC))
    admin.refresh_live()
    before = ask(admin)
    assert (before["visitorsNow"], before["stale"]) == (1, False)
    with postgres_away(server_url, database):
        database.execute(VISIT, ["two"])
        wait_until(lambda: ask(admin)["stale"], "stale numbers")
        old = ask(admin)
        assert old == before | {"stale": True, "asOf": old["asOf"]}
        admin.refresh_live()
        assert ask(admin) == old
    admin.refresh_live()
    after = ask(admin)
    assert (after["visitorsNow"], after["stale"]) == (2, False)
    assert after["asOf"]["live"] > old["asOf"]["live"]


def test_file_without_a_mart_leaves_its_others_readable(admin: Admin) -> None:
    admin.publish({name: query for name, query in MARTS.items() if name != "rpt_monthly_logins"})
    found = ask(admin)
    assert (found["totalUsers"], found["asOf"]["history"]) == (None, "2026-03-10T12:30:00Z")
    file = admin.sources.published.current
    assert file
    assert file.rows("SELECT total_users FROM marts.rpt_totals").rows == [(10,)]


def test_request_runs_no_query_of_its_own(admin_away: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    admin_away.publish(MARTS)
    monkeypatch.delattr(PublishedFile, "rows")
    assert ask(admin_away)["totalUsers"] == 10
