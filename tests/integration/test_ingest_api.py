"""The write endpoints against a real Postgres: what is accepted is there, what is wrong is named."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ingest_app.control import read_control
from ingest_app.database import make_engine
from tests.integration.conftest import Api

ACCOUNT = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"
AN_EVENT = {"user_type": "student", "app_name": "DViz", "event_type": "button", "event_name": "press"}
A_DOCUMENT = {"user_type": "guest", "level_name": "A1", "chapter_name": "Intro", "document_name": "Hello"}
POSTED: dict[str, tuple[str, dict[str, Any]]] = {
    "/api/track-visit": ("visitor_sessions", {"session_id": "s1"}),
    "/api/heartbeat": ("user_heartbeats", {"user_id": ACCOUNT}),
    "/api/activity": ("activity_events", {"event_type": "login", "user_id": ACCOUNT}),
    "/api/events": ("tracking_events", AN_EVENT),
    "/api/documents": ("tracking_documents", A_DOCUMENT),
    "/api/sessions/heartbeat": (
        "tracking_live_sessions",
        {"session_id": "s1", "user_id": 7, "user_type": "teacher", "app_name": "DViz"},
    ),
}
PUT: dict[str, tuple[str, dict[str, Any]]] = {
    "/api/accounts": ("accounts", {"id": ACCOUNT, "username": "ada"}),
    "/api/organizations": ("organizations", {"id": ACCOUNT, "name": "School"}),
    "/api/subscriptions": ("subscriptions", {"id": ACCOUNT, "status": "active", "ends_at": "2031-01-01T00:00:00Z"}),
    "/api/users": ("users", {"id": 7, "user_type": "student", "country_code": "DE"}),
}


def count(database: psycopg.Connection, table: str) -> int:
    row = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("path", POSTED)
def test_each_posted_record_becomes_a_row(api: Api, database: psycopg.Connection, path: str) -> None:
    table, record = POSTED[path]
    response = api.send(path, record)
    assert (response.status_code, response.json["accepted"], response.json["errors"]) == (202, 1, [])  # type: ignore[index]
    assert count(database, table) == 1


@pytest.mark.parametrize("path", PUT)
def test_each_put_record_is_upserted_then_deleted(api: Api, database: psycopg.Connection, path: str) -> None:
    table, record = PUT[path]
    for _ in range(2):
        assert api.send(path, [record, record], "server", "PUT").status_code == 202
        assert count(database, table) == 1
    assert api.send(f"{path}/{record['id']}", b"", "server", "DELETE").status_code == 204
    assert count(database, table) == 0
    assert api.send(f"{path}/{record['id']}", b"", "server", "DELETE").status_code == 404


def test_put_keeps_what_a_record_leaves_out(api: Api, database: psycopg.Connection) -> None:
    api.send("/api/accounts", {"id": ACCOUNT, "username": "ada", "role": "owner"}, "server", "PUT")
    api.send("/api/accounts", {"id": ACCOUNT, "role": None}, "server", "PUT")
    assert database.execute("SELECT username, role FROM accounts").fetchall() == [("ada", None)]


def test_retry_with_same_event_id_counts_once(api: Api, database: psycopg.Connection) -> None:
    event = {**AN_EVENT, "event_id": str(uuid.uuid4())}
    answers = [api.send("/api/events", body).json for body in (event, [event, event], event)]
    assert [answer["accepted"] for answer in answers] == [1, 2, 1]  # type: ignore[index]
    assert answers[0]["event_ids"] == [event["event_id"]]  # type: ignore[index]
    assert count(database, "tracking_events") == 1


def test_batch_keeps_good_items_and_names_bad_ones(api: Api, database: psycopg.Connection) -> None:
    batch = [AN_EVENT, {**AN_EVENT, "event_type": "click"}, {**AN_EVENT, "event_name": "x" * 101}, 5]
    response = api.send("/api/events", batch)
    assert response.status_code == 202
    assert response.json is not None
    assert (response.json["accepted"], response.json["dropped"]) == (1, 3)
    found = [(error["index"], error["field"]) for error in response.json["errors"]]
    assert found == [(1, "event_type"), (2, "event_name"), (3, None)]
    assert count(database, "tracking_events") == 1


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"{", None, "not valid JSON"),
        (b"[]", None, "no record"),
        (b"\xff", None, "not valid JSON"),
        ({**AN_EVENT, "user_id": 2**63}, "user_id", "<="),
        ({**AN_EVENT, "user_id": "7"}, "user_id", "Expected"),
        ({**AN_EVENT, "country_code": "DE\n"}, "country_code", "Expected"),
        ({**AN_EVENT, "event_name": "a\x00b"}, "event_name", "NUL"),
        ({**AN_EVENT, "meta": {"deep": [{"a\x00": 1}]}}, "meta", "NUL"),
        ({**AN_EVENT, "created_at": "2026-01-01T00:00:00"}, "created_at", "timezone"),
        ({**AN_EVENT, "created_at": "0001-01-01T00:00:00+14:00"}, "created_at", "1900"),
        ({"user_type": "student"}, "app_name", "missing"),
        (b'{"meta":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, None, ""),
    ],
)
def test_bad_record_is_refused_by_field(
    api: Api, database: psycopg.Connection, body: object, field: str | None, says: str
) -> None:
    response = api.send("/api/events", body)
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["field"] == field
    assert says in response.json["error"]["message"]
    assert count(database, "tracking_events") == 0


def test_too_many_items_or_bytes_are_refused(api: Api) -> None:
    assert api.send("/api/events", [AN_EVENT] * 1_001).status_code == 413
    assert api.send("/api/events", b" " * (1024 * 1024 + 1)).status_code == 413
    assert api.send("/api/events", [AN_EVENT] * 1_000).status_code == 202


@pytest.mark.parametrize(
    ("headers", "path", "method", "status"),
    [
        ({}, "/api/events", "POST", 401),
        ({"Authorization": "Bearer ff_write_wrong"}, "/api/events", "POST", 401),
        ({"Authorization": "Basic eDp5"}, "/api/events", "POST", 401),
        ({}, "/api/accounts", "PUT", 401),
        ({}, "/api/nothing", "POST", 404),
        ({}, "/api/events", "GET", 405),
    ],
)
def test_errors_of_http_are_json(api: Api, headers: dict[str, str], path: str, method: str, status: int) -> None:
    response = api.client.open(path, method=method, headers=headers, json=AN_EVENT)
    assert response.status_code == status
    assert response.json is not None
    assert set(response.json["error"]) == {"code", "message", "field"}


def test_scope_limits_what_a_key_may_do(api: Api) -> None:
    assert api.send("/api/accounts", PUT["/api/accounts"][1], "write", "PUT").status_code == 403
    assert api.send("/api/events", AN_EVENT, "admin").status_code == 403
    assert api.send("/api/events", AN_EVENT, "server").status_code == 202


def test_key_may_come_in_the_address(api: Api) -> None:
    assert api.client.post(f"/api/events?key={api.keys['write']}", json=AN_EVENT).status_code == 202


def test_event_time_is_bounded_by_scope(api: Api, database: psycopg.Connection) -> None:
    old = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    for scope in ("write", "server"):
        api.send("/api/events", {**AN_EVENT, "event_name": scope, "created_at": old}, scope)
    rows = database.execute(
        "SELECT event_name, created_at_adjusted, created_at = received_at::timestamptz, "
        "received_at - created_at < interval '1 minute' FROM tracking_events ORDER BY event_name"
    ).fetchall()
    assert [(name, adjusted, recent) for name, adjusted, _, recent in rows] == [
        ("server", False, False),
        ("write", True, True),
    ]


def test_wrong_client_clock_is_corrected_by_sent_at(api: Api, database: psycopg.Connection) -> None:
    sent = datetime.now(UTC) + timedelta(hours=3)
    event = {**AN_EVENT, "created_at": (sent - timedelta(minutes=10)).isoformat(), "sent_at": sent.isoformat()}
    api.send("/api/events", event)
    row = database.execute(
        "SELECT received_at - created_at BETWEEN '9 minutes' AND '11 minutes', created_at_adjusted FROM tracking_events"
    ).fetchone()
    assert row == (True, False)


def test_bot_visit_is_dropped_and_bot_event_is_marked(api: Api, database: psycopg.Connection) -> None:
    bot = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    answer = api.send("/api/track-visit", {"session_id": "b"}, **bot).json
    assert answer is not None
    assert (answer["accepted"], answer["dropped"], answer["reason"]) == (0, 1, "bot")
    assert count(database, "visitor_sessions") == 0
    api.send("/api/events", AN_EVENT, **bot)
    assert database.execute("SELECT is_bot FROM tracking_events").fetchall() == [(True,)]


def test_sender_is_stored_as_hash_only(api: Api, database: psycopg.Connection) -> None:
    api.send("/api/events", AN_EVENT)
    api.send("/api/events", {**AN_EVENT, "event_name": "by server"}, "server")
    rows = database.execute("SELECT length(ip_hash), os, device_type, t::text FROM tracking_events t ORDER BY id")
    browser, server = rows.fetchall()
    assert browser[:3] == (64, "Windows", "desktop")
    assert server[:3] == (None, None, None)
    assert "127.0.0.1" not in browser[3]


def test_heartbeats_never_move_a_time_back(api: Api, database: psycopg.Connection) -> None:
    paths = ("/api/track-visit", "/api/heartbeat", "/api/sessions/heartbeat")
    for path in paths:
        api.send(path, POSTED[path][1])
    later = datetime.now(UTC) + timedelta(hours=1)
    database.execute("UPDATE visitor_sessions SET last_seen_at = %s", [later])
    database.execute("UPDATE user_heartbeats SET last_seen_at = %s", [later])
    database.execute("UPDATE tracking_live_sessions SET last_heartbeat = %s", [later])
    for path in paths:
        api.send(path, POSTED[path][1])
    times = database.execute(
        "SELECT v.last_seen_at, u.last_seen_at, t.last_heartbeat, v.first_seen_at < v.last_seen_at "
        "FROM visitor_sessions v, user_heartbeats u, tracking_live_sessions t"
    ).fetchall()
    assert times == [(later, later, later, True)]


def test_heartbeat_of_unknown_account_makes_it_known(api: Api, database: psycopg.Connection) -> None:
    api.send("/api/heartbeat", [{"user_id": ACCOUNT}, {"user_id": ACCOUNT}])
    assert database.execute("SELECT id::text, username FROM accounts").fetchall() == [(ACCOUNT, None)]
    api.send(f"/api/accounts/{ACCOUNT}", b"", "server", "DELETE")
    assert count(database, "user_heartbeats") == 0


def test_postgres_away_is_not_noticed_by_apps(
    api: Api, database: psycopg.Connection, database_url: str, server_url: str
) -> None:
    name = database.info.dbname
    headers = {"Authorization": f"Bearer {api.keys['server']}"}
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        posted = api.client.post("/api/events", json=AN_EVENT, headers=headers)
        put = api.client.put("/api/users", json=PUT["/api/users"][1], headers=headers)
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert posted.status_code == 202
    assert (put.status_code, put.headers["Retry-After"]) == (503, "5")
    api.drain()
    with psycopg.connect(database_url) as again:
        assert (count(again, "tracking_events"), count(again, "users")) == (1, 0)


def test_one_id_in_two_tables_is_two_events(api: Api, database: psycopg.Connection) -> None:
    event_id = str(uuid.uuid4())
    api.send("/api/events", {**AN_EVENT, "event_id": event_id})
    api.send("/api/documents", {**A_DOCUMENT, "event_id": event_id})
    assert (count(database, "tracking_events"), count(database, "tracking_documents")) == (1, 1)


def test_impossible_clock_is_adjusted(api: Api, database: psycopg.Connection) -> None:
    event = {**AN_EVENT, "created_at": "9999-12-31T00:00:00Z", "sent_at": "1901-01-01T00:00:00Z"}
    assert api.send("/api/events", event).status_code == 202
    assert database.execute("SELECT created_at_adjusted FROM tracking_events").fetchall() == [(True,)]


@pytest.mark.parametrize("key", ["1_000", "-1", "9223372036854775808", "1e3", "x", " 7"])
def test_delete_takes_only_an_id(api: Api, database: psycopg.Connection, key: str) -> None:
    api.send("/api/users", [{"id": 7, "user_type": "admin"}, {"id": 1000, "user_type": "admin"}], "server", "PUT")
    response = api.client.delete(f"/api/users/{key}", headers={"Authorization": f"Bearer {api.keys['server']}"})
    assert response.status_code == 400
    assert count(database, "users") == 2


@pytest.mark.parametrize("value", [None, "soon", "", "999999999999"])
def test_broken_archive_setting_refuses_no_event(
    database: psycopg.Connection, database_url: str, value: str | None
) -> None:
    database.execute("DELETE FROM admin_settings WHERE setting_key = 'archive_after_days'")
    if value is not None:
        database.execute("INSERT INTO admin_settings VALUES ('archive_after_days', %s)", [value])
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert read_control(connection).archive_after_days == 90
    engine.dispose()


def test_locked_row_is_waited_for_within_bounds(api: Api, database: psycopg.Connection) -> None:
    api.send("/api/users", PUT["/api/users"][1], "server", "PUT")
    with database.transaction():
        database.execute("SELECT FROM users FOR UPDATE")
        response = api.send("/api/users", {"id": 7, "user_type": "admin"}, "server", "PUT")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
