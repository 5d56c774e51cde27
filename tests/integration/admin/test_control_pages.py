"""The controls as a person uses them, without JavaScript: each change is asked about once and told of."""

import html
import json
import re

import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ingest_app.keys import hash_key
from tests.integration.admin.conftest import Admin
from tests.integration.spools import an_event

FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
KEY = re.compile(r"ff_(?:write|server|admin)_[\w-]+")


@pytest.fixture
def browser(admin: Admin) -> FlaskClient:
    """A browser that is signed in."""
    admin.sign_in()
    return admin.client


def _agree(browser: FlaskClient, asked: TestResponse) -> TestResponse:
    """Press the button of the page that asks, and follow to the page that tells."""
    assert asked.status_code == 200, asked.text
    action = html.unescape(re.findall(r'<form method="post" action="([^"]+)" class="actions">', asked.text)[-1])
    sent: dict[str, list[str]] = {}
    for name, value in FIELD.findall(asked.text.split(f'action="{action}" class="actions">')[1]):
        sent.setdefault(name, []).append(html.unescape(value))
    return browser.post(action, data=sent, follow_redirects=True)


def _value(database: psycopg.Connection, key: str) -> str:
    [(value,)] = database.execute("SELECT setting_value FROM admin_settings WHERE setting_key = %s", [key]).fetchall()
    return str(value)


def test_switch_is_asked_about_then_told_of(browser: FlaskClient, database: psycopg.Connection) -> None:
    asked = browser.get("/controls/settings?key=tracking_enabled&value=0")
    assert "dropped from now on, answered 202" in asked.text
    assert _value(database, "tracking_enabled") == "1"
    told = _agree(browser, asked)
    assert "tracking_enabled is 0 now; it was 1." in told.text
    assert "by admin key 3 (Tests), from 1" in told.text
    assert "Switch on …" in told.text
    assert _value(database, "tracking_enabled") == "0"


def test_bad_value_is_told_beside_its_field(browser: FlaskClient, database: psycopg.Connection) -> None:
    answer = browser.get('/controls/settings?key=archive_after_days&value=7"<')
    assert answer.status_code == 400
    assert "it is a whole number from 30 to 36500" in answer.text
    assert 'value="7&#34;&lt;"' in answer.text
    assert _value(database, "archive_after_days") == "90"


def test_other_admins_change_is_not_overwritten(browser: FlaskClient, database: psycopg.Connection) -> None:
    asked = browser.get("/controls/settings?key=points_per_credit&value=50")
    database.execute("UPDATE admin_settings SET setting_value = '70' WHERE setting_key = 'points_per_credit'")
    answer = _agree(browser, asked)
    assert answer.status_code == 409
    assert "omebody else has set points_per_credit meanwhile, to 70" in answer.text
    assert _value(database, "points_per_credit") == "70"


def test_form_sent_twice_changes_once(browser: FlaskClient, database: psycopg.Connection) -> None:
    asked = browser.get("/controls/settings?key=points_per_credit&value=50")
    assert "points_per_credit is 50 now" in _agree(browser, asked).text
    again = _agree(browser, asked)
    assert again.status_code == 200
    assert "points_per_credit was 50 already; nothing was changed." in again.text
    changes = "SELECT count(*) FROM admin_audit_log WHERE action = 'settings.set'"
    assert database.execute(changes).fetchone() == (1,)


def test_numbers_have_their_thousands_apart(browser: FlaskClient, database: psycopg.Connection) -> None:
    database.execute("UPDATE admin_settings SET setting_value = '20000' WHERE setting_key = 'archive_after_days'")
    page = browser.get("/controls").text
    assert "a whole number from 1 to 1,000,000, 100 by default" in page
    assert ">20,000</td>" in page
    assert "Event days leave Postgres 20,000 days" in page


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("key=nothing&value=1", "Nothing was changed: there is no setting &#39;nothing&#39;"),
        ("key=tracking_enabled&value=2", "Nothing was changed: tracking_enabled cannot be"),
    ],
)
def test_setting_without_a_field_is_refused_in_words(browser: FlaskClient, asked: str, said: str) -> None:
    answer = browser.get(f"/controls/settings?{asked}")
    assert (answer.status_code, said in answer.text) == (400, True)


def test_long_list_of_an_entry_is_shortened(browser: FlaskClient, database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO admin_audit_log (actor, action, subject, detail)"
        " SELECT 'me', 'rejected.retry', 'x', jsonb_build_object('ids', array_agg(n)) FROM generate_series(1, 1000) n"
    )
    assert "ids: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, … (1,000 in all)" in browser.get("/controls").text


def test_form_without_token_changes_nothing(browser: FlaskClient, database: psycopg.Connection) -> None:
    sent = {"key": "tracking_enabled", "value": "0", "shown": "1"}
    assert browser.post("/controls/settings", data=sent).status_code == 400
    assert _value(database, "tracking_enabled") == "1"


def test_made_key_is_on_one_page_alone(
    browser: FlaskClient, admin: Admin, database: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    [token] = re.findall(r'name="csrf_token" value="([^"]+)"', browser.get("/controls/keys/new").text)[-1:]
    sent = {"csrf_token": token, "scope": "server", "app_name": "DViz", "requests_per_second": "50"}
    made = browser.post("/controls/keys/new", data=sent)
    [key] = KEY.findall(made.text)
    assert made.headers["Cache-Control"] == "no-store"
    assert database.execute("SELECT id FROM api_keys WHERE key_hash = %s", [hash_key(key)]).fetchone() == (4,)
    assert key not in browser.get("/controls").text + caplog.text
    assert all(key not in str(header) for header in made.headers.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [("scope", "root"), ("app_name", "x" * 51), ("allowed_origins", "app.example"), ("requests_per_second", "many")],
)
def test_bad_key_form_keeps_what_was_typed(browser: FlaskClient, field: str, value: str) -> None:
    [token] = re.findall(r'name="csrf_token" value="([^"]+)"', browser.get("/controls/keys/new").text)[-1:]
    sent = {"csrf_token": token, "scope": "write", "app_name": "DViz", "requests_per_second": "50", field: value}
    answer = browser.post("/controls/keys/new", data=sent)
    assert answer.status_code == 400
    assert f'id="error-{field}"' in answer.text
    assert "Expected" not in answer.text
    assert ("DViz" if field != "app_name" else value) in answer.text


def test_key_is_revoked_after_one_question(browser: FlaskClient, database: psycopg.Connection) -> None:
    asked = browser.get("/controls/keys/1/revoke")
    assert "Key 1 is revoked." in _agree(browser, asked).text
    assert "Key 1 did not work any more; nothing was changed." in _agree(browser, asked).text
    assert database.execute("SELECT revoked_at IS NOT NULL FROM api_keys WHERE id = 1").fetchone() == (True,)
    assert browser.get("/controls/keys/1/revoke").status_code == 404


def test_chosen_records_are_tried_again(browser: FlaskClient, database: psycopg.Connection) -> None:
    for name in ("<script>alert(1)</script>", "b", "c"):
        event = an_event(event_name=name)
        database.execute(
            "INSERT INTO rejected_records (kind, event_id, reason, body) VALUES ('events', %s, 'a <b>reason</b>', %s)",
            [event["event_id"], json.dumps(event)],
        )
    page = browser.get("/controls").text
    assert "a &lt;b&gt;reason&lt;/b&gt;" in page
    assert "<script>alert" not in page
    told = _agree(browser, browser.get("/controls/rejected/retry?ids=1&ids=3"))
    assert "Records that are in Postgres now: 2; still refused: 0." in told.text
    assert database.execute("SELECT array_agg(id) FROM rejected_records").fetchone() == ([2],)
    again = _agree(browser, browser.get("/controls/rejected/retry?ids=1&ids=3"))
    assert "none of them is here any more" in again.text


@pytest.mark.parametrize("number", [str(2**63), "9" * 5000, "-1", "x", ""])
def test_page_before_no_row_is_the_first(browser: FlaskClient, number: str) -> None:
    page = browser.get(f"/controls?audit_before={number}&rejected_before={number}")
    assert page.status_code == 200
    assert "keys.create" in page.text


def test_retry_of_nothing_says_so(browser: FlaskClient) -> None:
    assert "No record was chosen." in browser.get("/controls/rejected/retry?ids=x", follow_redirects=True).text


def test_old_entries_are_pages_away(browser: FlaskClient, database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO admin_audit_log (actor, action, subject) SELECT 'me', 'settings.set', 'n' || n"
        " FROM generate_series(1, 30) AS n"
    )
    first = browser.get("/controls").text
    [older] = re.findall(r'href="([^"]*audit_before=[^"]*)"', first)
    second = browser.get(html.unescape(older)).text
    assert ">n30</td>" in first
    assert ">n30</td>" not in second
    assert ">n5</td>" in second
