"""What an admin changes over HTTP, and what Postgres has of it then."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from werkzeug.test import TestResponse

from ingest_app.admin_settings import RULES
from ingest_app.keys import hash_key
from tests.integration.admin.conftest import Admin
from tests.integration.spools import an_event


def _send(admin: Admin, method: str, path: str, body: object = None) -> TestResponse:
    return admin.client.open(path, method=method, json=body, headers=admin.bearer)


def _body(answer: TestResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.text)
    return found


def _fault(answer: TestResponse) -> tuple[int, str, str | None]:
    error = _body(answer)["error"]
    return answer.status_code, error["code"], error["field"]


def _audit(database: psycopg.Connection) -> list[tuple[Any, ...]]:
    query = "SELECT actor, action, subject, detail FROM admin_audit_log WHERE action <> 'keys.create' ORDER BY id"
    return database.execute(query).fetchall()


def test_every_setting_is_shown_with_its_rule(admin: Admin) -> None:
    settings = {one["key"]: one for one in _body(admin.get("/api/settings"))["settings"]}
    assert set(settings) == set(RULES)
    assert settings["archive_after_days"] == {
        "key": "archive_after_days",
        "value": "90",
        "default": "90",
        "meaning": RULES["archive_after_days"].meaning,
        "allowed": "a whole number from 30 to 36500",
        "is_switch": False,
        "changed_at": None,
        "changed_by": None,
        "changed_from": None,
    }


def test_change_is_stored_told_and_audited(admin: Admin, database: psycopg.Connection) -> None:
    answer = _send(admin, "PUT", "/api/settings", {"tracking_enabled": "0", "points_per_credit": 50})
    assert answer.status_code == 200
    assert _body(answer)["changed"] == [
        {"key": "points_per_credit", "from": "100", "to": "50"},
        {"key": "tracking_enabled", "from": "1", "to": "0"},
    ]
    settings = {one["key"]: one for one in _body(answer)["settings"]}
    assert settings["tracking_enabled"]["value"] == "0"
    assert settings["tracking_enabled"]["changed_by"] == "admin key 3 (Tests)"
    assert settings["tracking_enabled"]["changed_from"] == "1"
    assert database.execute("SELECT count(*) FROM admin_settings WHERE setting_value IN ('0', '50')").fetchone() == (2,)
    assert _audit(database)[-1] == (
        "admin key 3 (Tests)",
        "settings.set",
        "tracking_enabled",
        {"old": "1", "new": "0"},
    )


def test_same_value_again_changes_nothing(admin: Admin, database: psycopg.Connection) -> None:
    assert _body(_send(admin, "PUT", "/api/settings", {"tracking_enabled": "1"}))["changed"] == []
    assert _audit(database) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"points_enabled": "0", "archive_after_days": "7"}, "archive_after_days"),
        ({"points_enabled": "0", "unheard_of": "1"}, "unheard_of"),
        ({"points_enabled": "0", "points_per_credit": " 7"}, "points_per_credit"),
        ({"points_enabled": "0", "tracking_enabled": -1}, "tracking_enabled"),
    ],
)
def test_one_bad_value_changes_none(
    admin: Admin, database: psycopg.Connection, body: dict[str, object], field: str
) -> None:
    assert _fault(_send(admin, "PUT", "/api/settings", body)) == (400, "invalid_setting", field)
    assert database.execute(
        "SELECT setting_value FROM admin_settings WHERE setting_key = 'points_enabled'"
    ).fetchone() == ("1",)
    assert _audit(database) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"tracking_enabled": true}', b'{"tracking_enabled": null}', b"\xff"]
)
def test_unreadable_body_is_refused(admin: Admin, body: bytes) -> None:
    answer = admin.client.put("/api/settings", data=body, headers=admin.bearer)
    assert answer.status_code == 400
    assert "body" in _body(answer)["error"]["message"]
    assert _body(answer)["error"]["field"] is None


def test_key_is_shown_once_and_kept_as_hash(admin: Admin, database: psycopg.Connection) -> None:
    wanted = {"scope": "write", "app_name": "DViz", "allowed_origins": ["HTTPS://App.Example:443"]}
    answer = _send(admin, "POST", "/api/keys", wanted)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    key = _body(answer)["key"]
    stored = database.execute(
        "SELECT scope, app_name, allowed_origins FROM api_keys WHERE key_hash = %s", [hash_key(key)]
    ).fetchone()
    assert stored == ("write", "DViz", ["https://app.example"])
    listed = admin.get("/api/keys")
    assert key not in listed.text
    assert _body(listed)["keys"][-1]["app_name"] == "DViz"
    made = database.execute("SELECT actor FROM admin_audit_log ORDER BY id DESC LIMIT 1").fetchone()
    assert made == ("admin key 3 (Tests)",)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, None),
        ({"scope": "root"}, "scope"),
        ({"scope": "write", "app_name": "x" * 51}, "app_name"),
        ({"scope": "write", "allowed_origins": ["app.example"]}, "allowed_origins"),
        ({"scope": "write", "requests_per_second": 0}, "requests_per_second"),
        ({"scope": "write", "unheard_of": 1}, None),
        ({"scope": "write", "app_name": "a\0b"}, "app_name"),
    ],
)
def test_bad_key_is_refused_by_field(admin: Admin, wanted: dict[str, object], field: str | None) -> None:
    status, _, named = _fault(_send(admin, "POST", "/api/keys", wanted))
    assert (status, named) == (400, field)


def test_revoked_key_opens_nothing_any_more(admin: Admin) -> None:
    other = _body(_send(admin, "POST", "/api/keys", {"scope": "admin"}))["key"]
    header = {"Authorization": f"Bearer {other}"}
    admin.refresh_live()
    assert admin.client.get("/api/settings", headers=header).status_code == 200
    assert _send(admin, "DELETE", "/api/keys/4").status_code == 204
    assert _fault(_send(admin, "DELETE", "/api/keys/4"))[0] == 404
    admin.refresh_live()
    assert admin.client.get("/api/settings", headers=header).status_code == 401


def test_nobody_revokes_the_key_they_use(admin: Admin) -> None:
    assert _fault(_send(admin, "DELETE", "/api/keys/3"))[:2] == (409, "key_in_use")
    assert admin.get("/api/settings").status_code == 200


def _reject(database: psycopg.Connection, count: int) -> None:
    for _ in range(count):
        event = an_event()
        database.execute(
            "INSERT INTO rejected_records (kind, event_id, reason, body) VALUES ('events', %s, 'a reason', %s)",
            [event["event_id"], json.dumps(event)],
        )


def test_rejected_records_come_page_by_page(admin: Admin, database: psycopg.Connection) -> None:
    _reject(database, 5)
    ids, address = [], "/api/rejected?limit=2"
    while address:
        answer = _body(admin.get(address))
        assert answer["total_row_count"] == 5
        ids += [record["id"] for record in answer["records"]]
        address = answer["next"]
    assert ids == [5, 4, 3, 2, 1]


def test_retry_brings_in_what_was_chosen(admin: Admin, database: psycopg.Connection) -> None:
    _reject(database, 3)
    database.execute("UPDATE rejected_records SET body = '{\"app_name\": null}' WHERE id = 2")
    answer = _send(admin, "POST", "/api/rejected/retry", {"ids": [1, 2]})
    assert _body(answer) == {"kept": 1, "stayed": 1}
    assert database.execute("SELECT count(*) FROM tracking_events").fetchone() == (1,)
    assert database.execute("SELECT array_agg(id ORDER BY id) FROM rejected_records").fetchone() == ([2, 3],)
    assert _audit(database)[-1][1:] == (
        "rejected.retry",
        "2 records",
        {"ids": [1, 2], "kept": 1, "stayed": 1},
    )


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["1"]}, {"ids": [0]}, {"ids": list(range(1, 1_002))}])
def test_retry_without_sound_ids_is_refused(admin: Admin, body: object) -> None:
    assert _send(admin, "POST", "/api/rejected/retry", body).status_code == 400


def test_audit_log_is_answered_newest_first(admin: Admin) -> None:
    for value in ("0", "1"):
        _send(admin, "PUT", "/api/settings", {"points_enabled": value})
    answer = _body(admin.get("/api/audit?limit=2"))
    assert [entry["detail"]["new"] for entry in answer["entries"]] == ["1", "0"]
    assert [entry["action"] for entry in _body(admin.get(answer["next"]))["entries"]] == ["keys.create"] * 2


@pytest.mark.parametrize("path", ["/api/audit", "/api/rejected"])
def test_all_bad_parameters_are_named_at_once(admin: Admin, path: str) -> None:
    answer = admin.get(f"{path}?limit=0&before=x&page=2&limit=3")
    assert answer.status_code == 400
    assert set(_body(answer)["error"]["parameters"]) == {"limit", "before", "page"}


@pytest.mark.parametrize("number", ["9" * 5000, str(2**63), "00", "\u0661", "+1"])
def test_number_beyond_postgres_is_named(admin: Admin, number: str) -> None:
    answer = admin.get(f"/api/audit?limit={quote(number)}&before={quote(number)}")
    assert answer.status_code == 400
    assert set(_body(answer)["error"]["parameters"]) == {"limit", "before"}


def test_key_beyond_postgres_is_not_there(admin: Admin) -> None:
    assert _fault(_send(admin, "DELETE", f"/api/keys/{2**63}"))[:2] == (404, "not_found")


def test_retention_tells_days_that_should_have_left(admin: Admin, database: psycopg.Connection) -> None:
    today = datetime.now(UTC).date()
    for days in (3, 93):
        day = today - timedelta(days=days)
        database.execute(
            f"CREATE TABLE tracking_events_p{day:%Y%m%d} PARTITION OF tracking_events"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )
    found = _body(admin.get("/api/retention"))
    assert found["archive_after_days"] == 90
    assert found["overdue_day_count"] == 1
    [table] = [table for table in found["hot_days"] if table["table_name"] == "tracking_events"]
    assert table == {
        "table_name": "tracking_events",
        "day_count": 4,
        "oldest_date": (today - timedelta(days=93)).isoformat(),
        "overdue_count": 1,
    }


def test_retention_knows_visitors_nobody_forgot(admin: Admin, database: psycopg.Connection) -> None:
    assert _body(admin.get("/api/retention"))["visitor_seen_at"] is None
    database.execute(
        "INSERT INTO visitor_sessions (session_id, first_seen_at, last_seen_at)"
        " VALUES ('a', now() - interval '400 days', now() - interval '400 days')"
    )
    found = _body(admin.get("/api/retention"))
    assert found["visitor_seen_at"].endswith("Z")
    assert found["forget_visitors_after_days"] == 395
