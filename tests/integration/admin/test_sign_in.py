"""Who gets in, with what, and for how long."""

import logging
from base64 import urlsafe_b64decode as b64decode
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie

import psycopg
import pytest
from flask import Response
from flask.testing import FlaskClient

from admin_app.access import SESSION_LIFETIME, TRIES_PER_MINUTE, actor, public
from admin_app.app import create_app
from admin_app.live import Live
from tests.integration.admin.conftest import Admin, token_of
from tests.integration.controlling import new_key, revoke, wait_until

ADMIN_KEY_ID = 3


@pytest.fixture
def guarded(admin_away: Admin) -> Admin:
    """The read side with a page and an address of the API that say who asked."""
    return _guard(admin_away)


@pytest.fixture
def with_postgres(admin: Admin) -> Admin:
    """The same, where keys come and go."""
    return _guard(admin)


def test_key_signs_in_and_session_stays(guarded: Admin) -> None:
    assert guarded.client.get("/api/a-thing").status_code == 401
    guarded.sign_in()
    assert guarded.client.get("/api/a-thing").text == "admin key 3 (Tests)"
    assert guarded.client.get("/a-page").text == "admin key 3 (Tests)"


def test_script_asks_with_the_key_itself(guarded: Admin) -> None:
    assert guarded.get("/api/a-thing").text == "admin key 3 (Tests)"
    posted = guarded.client.post("/api/a-thing", headers=guarded.bearer)
    assert posted.status_code == 200, "a header is not sent along unasked, so no token is needed"
    assert "Set-Cookie" not in posted.headers


def test_api_without_key_is_told_how(guarded: Admin) -> None:
    answer = guarded.client.get("/api/a-thing")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json == {
        "error": {
            "code": "not_authenticated",
            "message": "sign in with an admin key, or send one: `Authorization: Bearer KEY`",
            "field": None,
        }
    }


def test_page_without_session_leads_to_sign_in_and_back(guarded: Admin) -> None:
    answer = guarded.client.get("/a-page?from=2026-01-01&app=A%26B%20%23")
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        "/sign-in?next=/a-page?from%3D2026-01-01%26app%3DA%2526B%2520%2523",
    )
    form = guarded.client.get(answer.headers["Location"])
    assert 'value="/a-page?from=2026-01-01&amp;app=A%26B%20%23"' in form.text
    sent = {"key": guarded.keys["admin"], "csrf_token": token_of(guarded.client)}
    signed_in = guarded.client.post("/sign-in", data=sent | {"next": "/a-page?from=2026-01-01&app=A%26B%20%23"})
    assert signed_in.headers["Location"] == "/a-page?from=2026-01-01&app=A%26B%20%23"


def test_posted_form_without_session_comes_back_to_start(guarded: Admin) -> None:
    assert guarded.client.post("/a-page").headers["Location"] == "/sign-in"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        " //evil.example",
        "/%5cevil\x00",
        "",
    ],
)
def test_sign_in_leads_to_no_other_site(guarded: Admin, elsewhere: str) -> None:
    sent = {"key": guarded.keys["admin"], "csrf_token": token_of(guarded.client), "next": elsewhere}
    assert guarded.client.post("/sign-in", data=sent).headers["Location"] == "/"
    signed_in = guarded.client.get("/sign-in", query_string={"next": elsewhere})
    assert (signed_in.status_code, signed_in.headers["Location"]) == (302, "/")


@pytest.mark.parametrize("key", ["", "ff_admin_wrong", "ü" * 500, "x' OR 1=1 --"])
def test_wrong_key_gets_words_and_is_not_shown(guarded: Admin, key: str) -> None:
    answer = guarded.client.post("/sign-in", data={"key": key, "csrf_token": token_of(guarded.client)})
    assert answer.status_code == 401
    assert "This key does not work" in answer.text
    assert not key or key not in answer.text
    assert guarded.client.get("/api/a-thing").status_code == 401


@pytest.mark.parametrize("scope", ["write", "server"])
def test_key_of_another_scope_does_not_get_in(guarded: Admin, scope: str) -> None:
    answer = guarded.client.post("/sign-in", data={"key": guarded.keys[scope], "csrf_token": token_of(guarded.client)})
    assert answer.status_code == 403
    assert f"this one has {scope}" in answer.text
    asked = guarded.client.get("/api/a-thing", headers={"Authorization": f"Bearer {guarded.keys[scope]}"})
    assert (asked.status_code, asked.json["error"]["code"]) == (403, "not_allowed")  # type: ignore[index]


def test_guesses_are_limited_by_address(guarded: Admin) -> None:
    token = token_of(guarded.client)
    for _ in range(TRIES_PER_MINUTE // 2):
        assert guarded.client.post("/sign-in", data={"key": "wrong", "csrf_token": token}).status_code == 401
        asked = guarded.client.get("/api/a-thing", headers={"Authorization": "Bearer wrong"})
        assert asked.status_code == 401
    for key in ("wrong", guarded.keys["admin"]):
        limited = guarded.client.post("/sign-in", data={"key": key, "csrf_token": token})
        assert limited.status_code == 429
        assert "Too many tries" in limited.text
        assert 1 <= int(limited.headers["Retry-After"]) <= 60
    asked = guarded.client.get("/api/a-thing", headers={"Authorization": "Bearer wrong"})
    assert (asked.status_code, asked.json["error"]["code"]) == (429, "too_many_requests")  # type: ignore[index]
    assert guarded.get("/api/a-thing").status_code == 200, "who has a key is not kept out by who guesses beside them"
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    other = guarded.client.post("/sign-in", data={"key": "wrong", "csrf_token": token}, environ_overrides=elsewhere)
    assert other.status_code == 401


def test_guesses_beyond_the_limit_ask_postgres_nothing(with_postgres: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Live] = []
    monkeypatch.setattr(Live, "await_look", lambda live: asked.append(live))
    for number in range(3 * TRIES_PER_MINUTE):
        with_postgres.client.get("/api/a-thing", headers={"Authorization": f"Bearer wrong {number}"})
    assert TRIES_PER_MINUTE <= len(asked) < 2 * TRIES_PER_MINUTE


def test_new_key_works_at_once(with_postgres: Admin, database_url: str) -> None:
    with_postgres.sign_in(key=new_key(database_url, "admin"))
    assert with_postgres.client.get("/a-page").text == "admin key 4"


def test_revoked_key_ends_its_sessions(with_postgres: Admin, database_url: str) -> None:
    with_postgres.sign_in()
    revoke(database_url, ADMIN_KEY_ID)
    with_postgres.refresh_live()
    assert with_postgres.client.get("/api/a-thing").status_code == 401
    assert with_postgres.get("/api/a-thing").status_code == 401
    assert with_postgres.client.get("/a-page").headers["Location"] == "/sign-in?next=/a-page"


def test_session_ends_after_half_a_day(guarded: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded.sign_in()
    with guarded.client.session_transaction() as session:
        # as it would be by then, though the cookie was written anew since
        session["signed_in_at"] -= int(SESSION_LIFETIME.total_seconds()) + 1
    assert guarded.client.get("/api/a-thing").status_code == 401
    guarded.sign_in()
    monkeypatch.setitem(guarded.app.config, "PERMANENT_SESSION_LIFETIME", timedelta(seconds=-1))
    assert guarded.client.get("/api/a-thing").status_code == 401


def test_session_of_another_secret_is_none(guarded: Admin) -> None:
    guarded.sign_in()
    cookie = guarded.client.get_cookie("footfall")
    assert cookie
    other = create_app(guarded.settings.model_copy(update={"footfall_secret": "another"}))
    other.add_url_rule("/api/a-thing", "a thing", actor)
    try:
        for value in (cookie.value, cookie.value[:-1], "x", ""):
            client = other.test_client()
            client.set_cookie("footfall", value)
            assert client.get("/api/a-thing").status_code == 401
    finally:
        other.extensions["footfall"].close()


def test_signing_out_ends_the_session(guarded: Admin) -> None:
    token = guarded.sign_in()
    assert guarded.client.get("/sign-out").status_code == 405, "no image of another site signs anybody out"
    answer = guarded.client.post("/sign-out", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert guarded.client.get("/api/a-thing").status_code == 401


def test_change_by_cookie_needs_the_forms_token(guarded: Admin) -> None:
    token = guarded.sign_in()
    foreign = token_of(guarded.app.test_client())
    for sent in (None, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": foreign}):
        refused = guarded.client.post("/a-page", data=sent)
        assert refused.status_code == 400
        assert "This form is not of your present session" in refused.text
    refused = guarded.client.post("/api/a-thing")
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "csrf_token")  # type: ignore[index]
    assert guarded.client.post("/a-page", data={"csrf_token": token}).status_code == 200
    assert guarded.client.post("/api/a-thing", headers={"X-CSRFToken": token}).status_code == 200


def test_sign_in_form_needs_its_token_too(guarded: Admin) -> None:
    refused = guarded.client.post("/sign-in", data={"key": guarded.keys["admin"]})
    assert refused.status_code == 400
    assert guarded.client.get("/api/a-thing").status_code == 401


def test_cookie_is_kept_from_scripts_and_other_sites(guarded: Admin) -> None:
    sent = {"key": guarded.keys["admin"], "csrf_token": token_of(guarded.client)}
    cookie = SimpleCookie(guarded.client.post("/sign-in", data=sent).headers["Set-Cookie"])["footfall"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["path"]) == (True, "Lax", "", "/")
    assert guarded.keys["admin"] not in b64decode(cookie.value.partition(".")[0] + "===").decode()


@pytest.mark.parametrize(
    ("proxies", "proto", "is_secure"), [(1, "https", True), (1, "http", False), (0, "https", False)]
)
def test_cookie_is_secure_where_a_proxy_says_https(guarded: Admin, proxies: int, proto: str, is_secure: bool) -> None:
    app = create_app(guarded.settings.model_copy(update={"footfall_trusted_proxies": proxies}))
    try:
        assert bool(_cookie_of(app.test_client(), proto)["secure"]) == is_secure
    finally:
        app.extensions["footfall"].close()


def test_tries_are_counted_by_who_is_behind_the_proxy(guarded: Admin) -> None:
    app = create_app(guarded.settings.model_copy(update={"footfall_trusted_proxies": 1}))
    try:
        client = app.test_client()
        token = token_of(client)

        def try_from(address: str) -> int:
            sent = {"key": "wrong", "csrf_token": token}
            return client.post("/sign-in", data=sent, headers={"X-Forwarded-For": f"1.1.1.1, {address}"}).status_code

        assert [try_from("192.0.2.1") for _ in range(TRIES_PER_MINUTE + 1)][-1] == 429
        assert try_from("192.0.2.2") == 401
    finally:
        app.extensions["footfall"].close()


def test_public_is_only_what_says_so(guarded: Admin) -> None:
    guarded.app.add_url_rule("/open", "open", public(lambda: Response("open")))
    reached = {}
    for rule in guarded.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.arguments:
            reached[rule.rule] = guarded.client.get(rule.rule).status_code
    assert {path for path, status in reached.items() if status == 200} == {
        "/open",
        "/healthz",
        "/openapi.json",
        "/sign-in",
    }
    assert set(reached.values()) == {200, 303, 401}


def test_log_says_who_signed_in_and_no_key(guarded: Admin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    guarded.client.post("/sign-in", data={"key": "ff_admin_wrong", "csrf_token": token_of(guarded.client)})
    guarded.sign_in()
    told = [(record.getMessage(), getattr(record, "key_id", None)) for record in caplog.records]
    assert ("signed in", ADMIN_KEY_ID) in told
    assert ("a key that does not work was shown", None) in told
    assert "ff_admin" not in caplog.text


def test_key_in_use_is_marked(
    with_postgres: Admin, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin_app.known_keys.MARK_USED_SECONDS", 0.0)
    with_postgres.sign_in()
    with_postgres.client.get("/api/a-thing")
    with_postgres.refresh_live()
    used = "SELECT id FROM api_keys WHERE last_used_at IS NOT NULL"
    wait_until(lambda: database.execute(used).fetchall() == [(ADMIN_KEY_ID,)], "the mark")


def _cookie_of(client: FlaskClient, proto: str = "http") -> Morsel[str]:
    """Have the cookie set anew, and return it as a browser gets it."""
    client.delete_cookie("footfall")
    cookies = SimpleCookie(client.get("/sign-in", headers={"X-Forwarded-Proto": proto}).headers["Set-Cookie"])
    return cookies["footfall"]


def _guard(admin: Admin) -> Admin:
    for path in ("/a-page", "/api/a-thing"):
        admin.app.add_url_rule(path, path, lambda: Response(actor()), methods=["GET", "POST"])
    return admin
