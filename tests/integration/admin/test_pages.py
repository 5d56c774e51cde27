"""What the dashboard's HTML says of the marts that are published; how it looks is seen in a browser."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import msgspec
import psycopg
import pytest

from ingest_app.records import Event
from tests.integration.admin.conftest import LOADED_AT, Admin

HOSTILE = "<script>alert(1)</script>"
NOTHING = {
    "rpt_totals": "SELECT 0::bigint AS total_users, 0::bigint AS active_users_now, 0::bigint AS expired_users,"
    " 0::bigint AS inactive_users, 0::bigint AS active_subscriptions, 0::bigint AS expired_subscriptions,"
    " 0::bigint AS cancelled_subscriptions, 0::bigint AS total_visitors, 0::bigint AS visitors_now,"
    " 0::bigint AS visitors_today, now() AS refreshed_at",
    "rpt_activity_by_day": "SELECT DATE '2026-03-09' AS activity_date, 1::bigint AS login_count, 1::bigint AS"
    " signup_count LIMIT 0",
    "rpt_daily_activity": "SELECT DATE '2026-03-09' AS activity_date, 1::bigint AS login_count, 1::bigint AS"
    " app_open_count, 1::bigint AS action_count LIMIT 0",
    "rpt_monthly_logins": "SELECT '2026-03' AS month, 7::bigint AS login_count LIMIT 0",
    "rpt_plan_distribution": "SELECT 'x' AS plan, 1::bigint AS subscription_count, 1.0::decimal(4,1) AS"
    " subscription_percent LIMIT 0",
    "rpt_plan_distribution_daily": "SELECT DATE '2026-03-09' AS snapshot_date, 'x' AS plan, 1::bigint AS"
    " subscription_count, 1.0::decimal(4,1) AS subscription_percent LIMIT 0",
    "rpt_subscription_status": "SELECT 'active' AS status, 0::bigint AS subscription_count",
    "rpt_user_status": "SELECT 'active' AS status, 0::bigint AS user_count, 0.0::decimal(4,1) AS user_percent",
    "rpt_visitors_daily": "SELECT DATE '2026-03-09' AS visit_date, 1::bigint AS visitor_count, 1::bigint AS"
    " new_visitor_count LIMIT 0",
    "rpt_event_usage_daily": "SELECT DATE '2026-03-09' AS event_date, 'x' AS app_name, 'x' AS event_type, 'x' AS"
    " event_name, 'guest' AS user_type, 'DE' AS country_code, 'x' AS device_type, 'x' AS os, 1::bigint AS"
    " event_count LIMIT 0",
    "rpt_app_usage_daily": "SELECT DATE '2026-03-09' AS event_date, 'x' AS app_name, 1::bigint AS event_count,"
    " 1::bigint AS user_count, 1::bigint AS session_count LIMIT 0",
    "rpt_document_opens_daily": "SELECT DATE '2026-03-09' AS open_date, 'x' AS app_name, 'x' AS level_name, 'x' AS"
    " chapter_name, 'x' AS document_name, 'guest' AS user_type, 'DE' AS country_code, 1::bigint AS open_count LIMIT 0",
    "rpt_points_daily": "SELECT DATE '2026-03-09' AS log_date, 1::bigint AS earned_points, 1::bigint AS"
    " redeemed_points, 1::bigint AS earning_user_count, 1::bigint AS redeeming_user_count LIMIT 0",
    "rpt_points_balances": "SELECT 1::bigint AS user_id, 1::bigint AS points, 1::bigint AS earned_points, 1::bigint AS"
    " redeemed_points, 1::bigint AS credits, 1::bigint AS credits_added, 1::bigint AS credits_spent LIMIT 0",
}
DOCUMENTS = (
    "SELECT DATE '2026-03-09' AS open_date, 'Reader' AS app_name, 'Level ' || i % 40 AS level_name,"
    " 'Chapter ' || i % 40 AS chapter_name, 'Document ' || i AS document_name, 'guest' AS user_type,"
    " 'DE' AS country_code, i::bigint AS open_count FROM range(1, 5001) AS numbers (i)"
)
EVENTS = (
    f"SELECT DATE '2026-03-09' AS event_date, '{HOSTILE}' AS app_name, 'page' AS event_type, 'hello' AS event_name,"
    " 'guest' AS user_type, code AS country_code, 'mobile' AS device_type, 'iOS' AS os, 1234::bigint AS event_count"
    " FROM (SELECT chr(65 + (i // 26)::int) || chr(65 + (i % 26)::int) AS code FROM range(200) AS numbers (i))"
)
SOME = NOTHING | {"rpt_document_opens_daily": DOCUMENTS, "rpt_event_usage_daily": EVENTS}


class Page(HTMLParser):
    """The links of a page, its fields' values and its scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.links: list[str] = []
        self.options: list[str] = []
        self.tags: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "option":
            self.options.append(given.get("value") or "")
        if tag == "style" or (tag == "script" and "src" not in given and given.get("type") != "application/json"):
            self.inline.append(tag)
        self.inline.extend(name for name in given if name == "style" or name.startswith("on"))

    def link(self, *parts: str) -> dict[str, list[str]]:
        """Return the parameters of the one link that has all these in it."""
        [found] = {link for link in self.links if all(part in link for part in parts)}
        return parse_qs(urlsplit(found).query)


def look(admin: Admin, path: str = "/") -> Page:
    answer = admin.get(path)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.fixture
def some(admin_away: Admin) -> Iterator[Admin]:
    admin_away.publish(SOME)
    yield admin_away


def test_fresh_install_shows_first_event(admin: Admin) -> None:
    html = look(admin).html
    assert "Send the first event" in html
    assert "KEY=$(footfall keys create --scope write)" in html
    assert "curl -sS http://127.0.0.1:8000/api/events" in html
    assert "first refresh comes within five minutes" in html
    # live values are there without any file
    assert '<dd id="visitors_now">0</dd>' in html
    assert '<dd id="total_users">\N{EN DASH}</dd>' in html


def test_first_event_is_one_that_ingest_takes(admin_away: Admin) -> None:
    [body] = re.findall(r"-d '([^']*)'", unescape(look(admin_away).html))
    assert msgspec.json.decode(body, type=Event).app_name == "MyApp"


def test_published_nothing_still_shows_first_event(admin_away: Admin) -> None:
    admin_away.publish(NOTHING)
    html = look(admin_away).html
    assert "Send the first event" in html
    assert "first refresh comes" not in html
    assert "No events in this range." in html
    assert "Nobody has points yet." in html


def test_sent_events_end_the_first_steps(some: Admin) -> None:
    assert "Send the first event" not in look(some).html


def test_tiles_show_each_count_of_stats(admin_away: Admin) -> None:
    counts = "SELECT " + ", ".join(
        f"{number}::bigint AS {name}"
        for name, number in {
            "total_users": 1_234_567,
            "active_users_now": 2,
            "expired_users": 3,
            "inactive_users": 4,
            "active_subscriptions": 5,
            "expired_subscriptions": 6,
            "cancelled_subscriptions": 7,
            "total_visitors": 8,
            "visitors_now": 9,
            "visitors_today": 10,
        }.items()
    )
    admin_away.publish(SOME | {"rpt_totals": counts + ", now() AS refreshed_at"})
    html = look(admin_away).html
    assert '<dd id="total_users">1,234,567</dd>' in html
    stats = admin_away.get("/api/stats").json or {}
    for name in ("expiredUsers", "inactiveUsers", "visitorsToday", "visitorsNow", "cancelledSubscriptions"):
        column = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        assert f'<dd id="{column}">{stats[name]:,}</dd>' in html


def test_hostile_names_stay_text_everywhere(some: Admin) -> None:
    page = look(some)
    assert HOSTILE not in page.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.html
    assert page.inline == []
    assert HOSTILE in page.options


def test_filters_stay_in_every_link(some: Admin) -> None:
    page = look(some, "/?from=2026-03-01&to=2026-03-10&app=Reader&country=DE&level=Level+7")
    for parameters in (page.link("chapter=Chapter"), page.link("/api/reports/documents")):
        assert parameters["from"] == ["2026-03-01"]
        assert parameters["app"] == ["Reader"]
        assert parameters["country"] == ["DE"]
        assert parameters["level"] == ["Level 7"]
    # a preset changes the days and nothing else
    preset = page.link("from=2026-03-04&")
    assert (preset["to"], preset["app"], preset["level"]) == (["2026-03-10"], ["Reader"], ["Level 7"])
    # a report is not asked for what it does not know
    assert "app" not in page.link("/api/reports/visitors")


def test_reset_leads_to_no_filters(some: Admin) -> None:
    assert ">Reset</a>" not in look(some).html
    assert ">Reset</a>" in look(some, "/?app=Reader").html


def test_documents_open_step_by_step(some: Admin) -> None:
    levels = look(some)
    assert "1 to 15 of 40" in levels.html
    assert '<datalist id="names-documents">' in levels.html
    assert "Level 7" in levels.options
    chapters = look(some, "/?level=Level+7")
    assert chapters.link("chapter=Chapter+7")["level"] == ["Level 7"]
    documents = look(some, "/?level=Level+7&chapter=Chapter+7")
    assert "1 to 15 of 125" in documents.html
    assert ">Document 4967</th>" in documents.html
    assert '<span aria-current="page">Chapter 7</span>' in documents.html


def test_pages_of_documents_follow_one_another(some: Admin) -> None:
    second = look(some, "/?level=Level+7&chapter=Chapter+7&documents_page=2")
    assert "16 to 30 of 125" in second.html
    assert second.link("documents_page=3", "chapter=")["level"] == ["Level 7"]
    last = look(some, "/?level=Level+7&chapter=Chapter+7&documents_page=9")
    assert "121 to 125 of 125" in last.html
    assert 'rel="next">' not in last.html
    # of a step before, where there are fewer
    assert "1 to 15 of 40" in look(some, "/?documents_page=9").html
    assert "1 to 15 of 40" in look(some, "/?documents_page=minus").html


def test_all_of_200_countries_can_be_chosen(some: Admin) -> None:
    options = [option for option in look(some).options if len(option) == 2]
    assert len(options) == 200
    assert options == sorted(options)


def test_chosen_app_without_rows_stays_chosen(some: Admin) -> None:
    html = look(some, "/?app=Gone").html
    assert '<option value="Gone" selected>' in html
    assert "No events in this range." in html


def test_charts_say_which_filters_they_ignore(some: Admin) -> None:
    assert "All countries." not in look(some).html
    html = look(some, "/?app=Reader&country=DE").html
    assert "All apps. All countries." in html


def test_wrong_filters_are_named_in_words(some: Admin) -> None:
    answer = some.get("/?from=yesterday&colour=red")
    assert answer.status_code == 400
    assert "from" in answer.text
    assert "colour" in answer.text
    assert "To the dashboard" in answer.text


@pytest.mark.parametrize(
    "days",
    [
        "to=9999-12-31",
        "from=9999-12-31",
        "from=0001-01-01&to=9999-12-31",
        "from=0001-01-01&to=0001-01-31",
        "to=0001-01-01",
        "from=0001-01-01",
    ],
)
def test_days_at_the_ends_of_time_are_shown(some: Admin, days: str) -> None:
    assert some.get(f"/?{days}").status_code == 200


def test_install_without_accounts_has_a_page(admin_away: Admin) -> None:
    no_shares = (
        "SELECT unnest(['active', 'expired', 'inactive']) AS status, 0::bigint AS user_count,"
        " NULL::decimal(4,1) AS user_percent"
    )
    admin_away.publish(SOME | {"rpt_user_status": no_shares})
    assert "User status" in look(admin_away).html


def test_documents_without_an_app_are_no_choice(admin_away: Admin) -> None:
    without = DOCUMENTS.replace("'Reader' AS app_name", "NULL::text AS app_name")
    admin_away.publish(SOME | {"rpt_document_opens_daily": without})
    assert "None" not in look(admin_away).options


def test_old_history_is_said_in_words(some: Admin) -> None:
    some.publish(SOME, datetime.now(UTC))
    assert "no refresh has passed since" not in look(some).html
    some.publish(SOME, LOADED_AT)
    assert "History ends at 2026-03-10 12:30:00 UTC: no refresh has passed since" in look(some).html


def test_away_postgres_is_said_in_words(some: Admin) -> None:
    html = look(some).html
    assert "Postgres was not reached yet" in html
    assert 'class="now stale"' in html


def test_damaged_file_is_said_in_words(admin_away: Admin) -> None:
    path = admin_away.settings.published_path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all")
    admin_away.sources.published.await_look()
    html = look(admin_away).html
    said = ("The published file cannot be used", "no history can be shown", "History cannot be read")
    assert [words for words in said if words not in html] == []
    assert "published_unreadable" in admin_away.get("/api/reports/events").text


def test_switched_off_tracking_is_said_in_words(admin: Admin, database: psycopg.Connection) -> None:
    admin.publish(SOME)
    switch(database, "1", "0", "2026-03-09T10:00:00Z")
    switch(database, "0", "1", "2026-03-09T11:30:00Z")
    admin.refresh_live()
    html = look(admin).html
    assert "2026-03-09 10:00:00 to 2026-03-09 11:30:00 UTC" in html
    assert "Tracking is switched off" not in html
    for days in ("from=2026-02-01&to=2026-03-08", "from=2026-03-10&to=2026-03-11"):
        assert "Tracking was switched off" not in look(admin, f"/?{days}").html


def test_tracking_off_now_is_said_first(admin: Admin, database: psycopg.Connection) -> None:
    admin.publish(SOME)
    switch(database, "1", "0", "2026-03-10T10:00:00Z")
    database.execute("UPDATE admin_settings SET setting_value = '0' WHERE setting_key = 'tracking_enabled'")
    admin.refresh_live()
    assert "<strong>Tracking is switched off</strong> since 2026-03-10 10:00:00 UTC" in look(admin).html


def test_live_table_names_app_and_country(admin: Admin, database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, country_code, last_heartbeat)"
        " VALUES ('a', 1, 'student', 'Reader', 'DE', now()), ('b', 2, 'teacher', %s, NULL, now())",
        [HOSTILE],
    )
    admin.refresh_live()
    html = look(admin).html
    assert (
        '<th scope="row" class="long">Reader</th><td data-country="DE">DE</td><td>student</td><td class="number">1</td>'
        in html
    )
    assert "<td>unknown</td><td>teacher</td>" in html
    assert HOSTILE not in html
    assert 'data-live="/api/reports/live?app=Reader&amp;limit=100"' in look(admin, "/?app=Reader").html


def test_monthly_logins_show_six_months(some: Admin) -> None:
    assert look(some, "/?from=2026-03-01&to=2026-03-10").link("/api/reports/logins")["from"] == ["2025-10-01"]


def test_headings_descend_without_a_gap(some: Admin) -> None:
    levels = [int(tag[1]) for tag in look(some).tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(("today", "first"), [("2026-03-31", "2025-04-01"), ("2028-02-29", "2027-03-01")])
def test_twelve_months_begin_after_last_years_day(admin_away: Admin, today: str, first: str) -> None:
    admin_away.publish(SOME, datetime.combine(date.fromisoformat(today), datetime.min.time(), UTC))
    assert any(f"from={first}&to={today}" in link for link in look(admin_away).links)


def switch(database: psycopg.Connection, old: str, new: str, when: str) -> None:
    """Note in the audit log that tracking was switched, at this time."""
    database.execute(
        "INSERT INTO admin_audit_log (actor, action, subject, detail, created_at)"
        " VALUES ('a test', 'settings.set', 'tracking_enabled', jsonb_build_object('old', %s::text, 'new', %s::text),"
        " %s)",
        [old, new, when],
    )
